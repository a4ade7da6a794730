#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: checklog.sh KERNEL_LOG [KMEMLEAK [MODULE_DIR]]
#
# Is there anything in a kernel log that must not be there, whatever the tests
# said? KMEMLEAK is the content of debugfs' kmemleak file after the last scan, if
# there was one; it then decides about leaks instead of the log's lines, as a
# scan may have been misled by a pointer that moved. MODULE_DIR has the modules,
# to name addresses in those that were unloaded before that. Prints what was found; the
# exit status is 1 then.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/symbols.sh"

# Extended regular expressions. In each line the text that a report begins with,
# which not even a test that is named after it prints.
BAD='\bBUG[: ]|kernel BUG at
\bWARNING: 
\bOops[: ]|general protection fault|invalid opcode:|divide error:|stack segment:|double fault:
Kernel panic - not syncing
KASAN: |UBSAN: |KFENCE: |KCSAN: 
INFO: (task .* blocked |possible|lockdep|trying to register|rcu)
rcu: INFO: .* (stall|starv)|rcu.*(self-detected stall|detected stalls|detected expedited stalls|kthread starved)
task .* blocked for more than [0-9]+ seconds
scheduling while atomic|sleeping function called|Voluntary context switch within
refcount_t: 
DMA-API: .*(device driver|driver |exceeded|overlapping|out of memory|cacheline|failed|leaked|mapping)
ODEBUG: 
(list_add|list_del|slab).*(corruption|corrupt)
Bad page (state|map|cache)|page dumped because|Bad rss-counter
kmemleak: [0-9]+ new suspected memory leaks
kmemleak: (Cannot|Memory pool|Kernel memory leak detector disabled|Automatic.*failed)
soft lockup|hard LOCKUP|hung_task: 
rmmod.*(in use|failed)|Unloading .* while
unable to handle|Unable to handle'

# What a sound kernel prints too.
GOOD='DMA-API: (preallocated|debugging enabled)
calibrate_delay_direct\(\) failed
\[TTM\] Buffer eviction failed
memory used by lock dependency info:
Kernel command line:|Unknown kernel command line'

# Stacks that fault injection prints belong to no report; they are cut out with
# the line that announces them. A report inside is not a part of them.
without_injected()
{
	awk '
		/FAULT_INJECTION: forcing a failure/ { inside = 1; next }
		inside && /BUG|WARNING|KASAN|UBSAN|INFO:|Oops/ { inside = 0 }
		inside && /<\/TASK>/ { inside = 0; next }
		!inside { print NR ":" $0 }' "$1"
}

# leaks FILE: judge the list of leaks. TTM forgets list_lru_destroy() in its page
# pools: each load of a driver after the first loses some, none of them ours.
leaks()
{
	awk '
		function flush() {
			if (block == "") return
			if (block ~ /ttm_pool_type_init/) ttm++
			else { ours++; if (ours <= 3) text = text block }
			block = ""
		}
		/^unreferenced object/ { flush(); inside = 1 }
		inside { block = block $0 "\n" }
		END {
			flush()
			if (ttm) printf "kmemleak: %d leaks of TTM'"'"'s page pools are left out (ttm_pool_type_init)\n", ttm
			if (ours) printf "kmemleak: %d leaked objects\n%s", ours, text
			exit ours ? 1 : 0
		}' "$1"
}

main()
{
	local log=$1 leaks=${2:-} modules=${3:-} found bad=0 pattern=$BAD
	[ -s "$log" ] || { echo "there is no kernel log"; exit 1; }
	grep -q 'Linux version' "$log" || { echo "the kernel log does not begin with a kernel: $log"; exit 1; }
	if [ -n "$leaks" ] && [ -e "$leaks" ]; then
		pattern=$(grep -v 'new suspected' <<<"$BAD")
		leaks "$leaks" >"$leaks.judged" || bad=1
		name_addresses "$modules" "$(dirname "$leaks")/modules" <"$leaks.judged"
	fi
	found=$(without_injected "$log" | tr -d '\r' | grep -E "$pattern" | grep -vE "$GOOD" || :)
	if [ -n "$found" ]; then
		echo "the kernel log has $(wc -l <<<"$found") bad lines:"
		head -n 20 <<<"$found"
		show_first "$log" "${found%%:*}"
		bad=1
	fi
	[ "$bad" -eq 0 ] || { echo "kernel log: $log"; exit 1; }
}

# show_first LOG LINE: the beginning of the first report, to be read at once
show_first()
{
	echo "--- from line $2:"
	tail -n "+$2" "$1" | head -n 30
	echo "---"
}

main "$@"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The log checker finds each kind of report, and only reports.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

log=$WORK/log

# judge: the log that standard input adds to a sound beginning
judge()
{
	{ echo "[    0.000000] Linux version 7.3.4"; cat; } >"$log"
	run "$KDIR/checklog.sh" "$log" "$@"
}

while IFS= read -r line; do
	judge <<<"[   12.345678] $line"
	same "found: $line" 1 "$STATUS"
done <<'END'
BUG: KASAN: slab-use-after-free in vsvm_vm_fini+0x10/0x20 [vsvm]
BUG: KASAN: wild-memory-access in do_raw_spin_lock+0x10d/0x240
BUG: kernel NULL pointer dereference, address: 0000000000000008
BUG: sleeping function called from invalid context at mm/slab.h:1
BUG: scheduling while atomic: vsvm-demo/77/0x00000002
BUG: spinlock bad magic on CPU#0, swapper/0/1
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 61s!
BUG: Bad page state in process vsvm-demo  pfn:12345
BUG: Bad rss-counter state mm:0000000012345678 type:MM_ANONPAGES val:3
BUG: unable to handle page fault for address: ffffc90000000000
BUG kmalloc-64 (Tainted: G    B): Object already free
kernel BUG at mm/migrate_device.c:123!
WARNING: drivers/gpu/drm/vsvm/vsvm_drv.c:17 at go+0x5a/0x230 [vsvm], CPU#0: modprobe/59
WARNING: CPU: 1 PID: 77 at mm/memremap.c:1 memunmap_pages+0x1/0x2
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
Oops: general protection fault, probably for non-canonical address 0xdffffc: 0000 [#1] SMP KASAN
Oops: Oops: 0000 [#1] SMP
general protection fault, maybe for address 0x0: 0000 [#1] SMP
Kernel panic - not syncing: Fatal exception
INFO: task vsvm-demo:77 blocked for more than 60 seconds.
INFO: task kworker/0:1:9 is blocked on a mutex likely owned by task x:1.
INFO: trying to register non-static key.
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: rcu_preempt kthread starved for 6000 jiffies!
watchdog: BUG: soft lockup - CPU#1 stuck for 42s! [vsvm-demo:77]
refcount_t: underflow; use-after-free.
DMA-API: vsvm vsvm.0: device driver frees DMA memory with different size
DMA-API: vsvm vsvm.0: cacheline tracking EEXIST, overlapping mappings aren't supported
DMA-API: debugging out of memory - disabling
UBSAN: array-index-out-of-bounds in drivers/gpu/drm/vsvm/x.c:1:2
ODEBUG: free active (active state 0) object: 0000000012345678 object type: timer_list
list_del corruption. prev->next should be ffff888, but was ffff889
page dumped because: VM_BUG_ON_FOLIO(!folio_test_locked(folio))
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
kmemleak: Cannot allocate a kmemleak_object structure
kmemleak: Kernel memory leak detector disabled
END

while IFS= read -r line; do
	judge <<<"[   12.345678] $line"
	same "left alone: $line" 0 "$STATUS"
done <<'END'
Kernel command line: console=ttyS0 loglevel=7 oops=panic panic=-1
DMA-API: preallocated 65536 debug entries
DMA-API: debugging enabled by kernel config
calibrate_delay_direct() failed to get a good estimate for loops_per_jiffy.
 memory used by lock dependency info: 6365 kB
[TTM] Buffer eviction failed
    # Subtest: a_BUG_that_was_fixed
    ok 3 warns_without_WARNING
kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)
kmemleak: Automatic memory scanning thread started
rcu: Preemptible hierarchical RCU implementation.
vsvm-demo[77]: segfault at 0 ip 0000000000401000 sp 00007ffc00000000 error 4
clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable
END

injected='[   12.0] FAULT_INJECTION: forcing a failure.
[   12.0] name failslab, interval 1, probability 0, space 0, times 0
[   12.0] CPU: 0 UID: 0 PID: 77 Comm: fail_nth_test Not tainted 7.3.4 #1 PREEMPT
[   12.0] Call Trace:
[   12.0]  <TASK>
[   12.0]  dump_stack_lvl+0x66/0x90
[   12.0]  ? spin_bug+0x1c0/0x1c0
[   12.0]  </TASK>'
judge <<<"$injected"
same "a stack of fault injection is left alone" 0 "$STATUS"
judge <<<"$injected
[   13.0] WARNING: mm/x.c:1 at f+0x1/0x2"
same "a warning after such a stack is found" 1 "$STATUS"
judge <<<"${injected/spin_bug*/
[   12.1] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2}"
same "a report that cuts such a stack short is found" 1 "$STATUS"

leak()
{
	printf 'unreferenced object 0xffff888100000000 (size 128):\n  comm "insmod", pid 7, jiffies 1\n'
	printf '  backtrace (crc 0):\n    kmalloc_noprof+0x1/0x2\n    %s+0x1/0x2\n' "$1"
}
suspected='[   12.3] kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'
: >"$WORK/kmemleak"
judge "$WORK/kmemleak" <<<"$suspected"
same "a suspicion that the last scan dropped is none" 0 "$STATUS"
{ leak ttm_pool_type_init; leak ttm_pool_type_init; } >"$WORK/kmemleak"
judge "$WORK/kmemleak" <<<"$suspected"
same "TTM's own leaks are left out" 0 "$STATUS"
says "and counted" "2 leaks of TTM"
{ leak ttm_pool_type_init; leak vsvm_vm_create; } >"$WORK/kmemleak"
judge "$WORK/kmemleak" <<<"$suspected"
same "a leak beside them is found" 1 "$STATUS"
says "and shown" "vsvm_vm_create"

. "$KDIR/symbols.sh"
module_symbols()
{
	echo "symbol vsvm 0 0000000000000080 000000000000004a vsvm_io"
	echo "module vsvm 0xffffffffa0100000"
}
echo table >"$WORK/table"
same "addresses in an unloaded module are named" "vsvm_io [vsvm]? (unloaded) 0xffffffffa01000ca" \
	"$(printf '    0xffffffffa01000c9\n    0xffffffffa01000ca\n' | name_addresses . "$WORK/table" | xargs)"

run "$KDIR/checklog.sh" "$WORK/none"
same "no log is an error" 1 "$STATUS"
echo "qemu says hello" >"$WORK/odd"
run "$KDIR/checklog.sh" "$WORK/odd"
same "a log without a kernel in it is an error" 1 "$STATUS"

finish

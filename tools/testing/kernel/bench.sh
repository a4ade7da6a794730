#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: bench.sh [ROUNDS]
#
# What the two transports cost: the hardware in the guest's kernel (local), and in a
# process outside the virtual machine (pci). Both with the same driver, in one boot
# of the bench kernel, in turns. The machine has one processor, so that what the
# process does beside it shows. TRANSPORT=local or pci measures only that one.
#
# Prints the medians, and writes all figures to build/bench/transport.csv.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OUT=$BUILD/bench

# medians: of the lines "ROUND,TRANSPORT,NAME,VALUE,UNIT", a line for each name
medians()
{
	sort -t, -k3,3 -k2,2 -k4,4n | awk -F, '
		function flush() {
			if (n) result[name, where] = sprintf("%s [%s..%s]", v[int((n + 1) / 2)], v[1], v[n])
			n = 0
		}
		$3 != name || $2 != where { flush(); name = $3; where = $2 }
		{ v[++n] = $4; unit[$3] = $5; if (!($3 in seen)) { seen[$3] = 1; order[++m] = $3 } }
		END {
			flush()
			printf "%-34s %-6s %-26s %s\n", "median [least..most]", "", "local", "pci"
			for (i = 1; i <= m; i++)
				printf "%-34s %-6s %-26s %s\n", order[i], unit[order[i]],
					(order[i], "local") in result ? result[order[i], "local"] : "-",
					(order[i], "pci") in result ? result[order[i], "pci"] : "-"
		}'
}

main()
{
	local rounds=${1:-7} which=${TRANSPORT:-local pci}
	[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "rounds: a number, not '$rounds'"
	"$KDIR/build.sh" modules bench
	mkdir -p "$OUT"
	say "$rounds rounds of: $which"
	# One of two processors, or the emulator's atomic operations are none for
	# who is outside of it.
	"$KDIR/vm.sh" --kernel bench --name bench --timeout $((rounds * 60 + 120)) --cpus 1,maxcpus=2 \
		--transport pci --mem 2048 -- bench "$rounds" "$which"
	{
		echo "round,transport,name,value,unit"
		cat "$BUILD/vm/bench/results/figures.csv"
	} >"$OUT/transport.csv"
	medians <"$BUILD/vm/bench/results/figures.csv"
	say "all figures: $OUT/transport.csv"
}

main "$@"

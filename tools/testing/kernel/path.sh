#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: path.sh [TAP_FILE]
#
# How many instructions it takes from a GPU's fault on a resident huge page to the
# end of the job, the move of the page to VRAM included: ours, and the kernel's own
# drm_pagemap with the same driver. Counted by the emulator, so that neither the
# machine nor its load matters. Fails if ours needs more.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# Only what is in the machine is counted.
export TRANSPORT=local

main()
{
	local out=${1:-$BUILD/path.tap} dir=$BUILD/vm/path/results rc=0 ours peer
	mkdir -p "$(dirname "$out")"
	"$KDIR/build.sh" modules bench
	"$KDIR/build.sh" peer bench
	say "counting instructions in a virtual machine"
	ACCEL=icount "$KDIR/vm.sh" --kernel bench --name path --timeout 600 --cpus 1 --progress -- sh -c '
		for round in 1 2 3; do
			for which in ours peer; do
				use $which && /tests/path_run >>/results/$which || exit
			done
		done' || rc=$?
	ours=$(sort -n "$dir/ours" | sed -n '2s/ .*//p')
	peer=$(sort -n "$dir/peer" | sed -n '2s/ .*//p')
	{
		printf 'TAP version 13\n1..1\n# instructions of a fault: ours %s, the kernel'\''s own %s\n' \
			"${ours:-?}" "${peer:-?}"
		if [ "$rc" -eq 0 ] && [ "${ours:-1}" -le "${peer:-0}" ]; then
			echo "ok 1 a fault takes no more instructions than with the kernel's own"
		else
			rc=1
			echo "not ok 1 a fault takes no more instructions than with the kernel's own"
		fi
	} >"$out"
	cat "$out" >&2
	return "$rc"
}

main "$@"

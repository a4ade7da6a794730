#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: defects.sh [ID...]
#
# One test for each known defect of a drm_pagemap (or of the named ones), on ours
# and on the kernel's own, with the same vsvm and in one boot of the debug kernel.
# Those that the kernel's own may not live through have a boot of their own. A
# report in the kernel log is a "fail", whatever the test said.
#
# Writes build/defects.csv, and what was seen to build/defects/. The exit status is
# 1 if ours fails, or if a defect that the kernel's own has does not show there.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/rows.sh"
# The machine has memory of its own making.
export TRANSPORT=local

KIND=debug RUNS=defects SIDE="" OUT=$BUILD/defects

# table: the file, and what is to be said about it
table()
{
	local id how expected text peer ours
	echo "id,description,peer,ours"
	list | sort -t "$(printf '\t')" -k1,1V | while IFS=$'\t' read -r id how expected text; do
		peer=$(result "$id" peer)
		ours=$(result "$id" ours)
		echo "$id,$text,$peer,$ours"
		[ "$ours" != fail ] || echo "$id: ours fails: $(cut -f2 "$OUT/$id.ours")" >>"$OUT/wrong"
		[ "$expected" != fail ] || [ "$peer" = fail ] ||
			echo "$id: not provoked in the kernel's own: $(cut -f2 "$OUT/$id.peer")" >>"$OUT/wrong"
	done
}

main()
{
	local start=$SECONDS
	WANTED=${*:+" $* "}
	"$KDIR/build.sh" modules debug
	"$KDIR/build.sh" peer debug
	rm -rf "$OUT"
	mkdir -p "$OUT"
	"$BUILD/tests/defects_run" list >"$OUT/list"
	run_rows
	table >"$BUILD/defects.csv"
	awk -F, '{ printf "%-5s %-13s %-13s %s\n", $1, $3, $4, $2 }' "$BUILD/defects.csv"
	say "$(elapsed $((SECONDS - start))); $BUILD/defects.csv"
	if [ -s "$OUT/wrong" ]; then
		cat "$OUT/wrong" >&2
		exit 1
	fi
}

main "$@"

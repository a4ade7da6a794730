#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: mm-fixes.sh [ID...]
#
# For each patch in mm/ the tests that show what it mends (mm/tests; or only the named
# ones), on the debug kernel as it is and on the one with all patches. On both the
# kernel's own drm_pagemap and drm_gpusvm are in use, which make up for nothing, and
# vsvm does not either: what guards ours has no part in the result. A report in the
# kernel log is a "fail", whatever the test said.
#
# Writes build/mm-fixes.csv, and what was seen to build/mm-fixes/. The exit status is 1
# unless each test fails without and passes with its patch.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/rows.sh"
# The machine has memory of its own making.
export TRANSPORT=local

# tests: "PATCH ID" a line, or "PATCH -" for a patch without a test
tests()
{
	local patch ids id
	grep -v '^#' "$KDIR/mm/tests" | while read -r patch ids; do
		case $ids in
		-*)	[ -n "$ONLY" ] || echo "$patch -" ;;
		*)	for id in $ids; do
				[ -n "$ONLY" ] && [[ $ONLY != *" $id "* ]] || echo "$patch $id"
			done ;;
		esac
	done
}

# why PATCH: there is no test
why()
{
	sed -n "s/^$1 - //p" "$KDIR/mm/tests"
}

# subject PATCH: what it mends, in the patch's words, without commas
subject()
{
	awk '/^Subject: / { sub(/^Subject: \[PATCH\] /, ""); text = $0; next }
	     text && /^ / { text = text $0; next }
	     text { gsub(/,/, ""); print text; exit }' "$KDIR"/mm/"$1"-*.patch
}

# in_words ID: of the result in $OUT
in_words()
{
	local result
	result=$(result "$1" peer)
	[ "$result" != "not provoked" ] || result+=": $(cut -f2 "$OUT/$1.peer" 2>/dev/null | tr , ';')"
	echo "$result"
}

# rows_on KIND
rows_on()
{
	KIND=$1 RUNS=mm-fixes-$1 SIDE=peer OUT=$BUILD/mm-fixes/$1
	WANTED=" $(tests | awk '$2 != "-" { print $2 }' | sort -u | xargs) "
	mkdir -p "$OUT"
	"$BUILD/tests/defects_run" list >"$OUT/list"
	run_rows
}

# table: the file, and what is to be said about it
table()
{
	local patch id before after
	echo "patch,test,unmodified,patched,defect"
	tests | while read -r patch id; do
		if [ "$id" = - ]; then
			echo "$patch,-,not provoked: $(why "$patch" | tr , ';'),-,$(subject "$patch")"
			continue
		fi
		before=$(OUT=$BUILD/mm-fixes/debug in_words "$id")
		# A test that has to hit a moment may not have.
		[ "$before" != pass ] ||
			before="not provoked: $(cut -f2 "$BUILD/mm-fixes/debug/$id.peer" | tr , ';')"
		after=$(OUT=$BUILD/mm-fixes/mm-debug in_words "$id")
		# What does not show without the patch says nothing about it.
		[ "$before" = fail ] || [ "$after" != pass ] || after="(pass)"
		echo "$patch,$id,$before,$after,$(subject "$patch")"
		[ "$before $after" = "fail pass" ] ||
			echo "$patch, $id: without the patch $before, with it $after" \
				"($(cut -f2 "$BUILD/mm-fixes/mm-debug/$id.peer" 2>/dev/null))" >>"$BUILD/mm-fixes/wrong"
	done
}

main()
{
	local start=$SECONDS kind
	ONLY=${*:+" $* "}
	rm -rf "$BUILD/mm-fixes"
	for kind in debug mm-debug; do
		"$KDIR/build.sh" modules "$kind"
		"$KDIR/build.sh" peer "$kind"
		rows_on "$kind"
	done
	table >"$BUILD/mm-fixes.csv"
	awk -F, '{ printf "%-5s %-5s %-13s %-8s %s\n", $1, $2, $3, $4, $5 }' "$BUILD/mm-fixes.csv"
	say "$(elapsed $((SECONDS - start))); $BUILD/mm-fixes.csv"
	if [ -s "$BUILD/mm-fixes/wrong" ]; then
		cat "$BUILD/mm-fixes/wrong" >&2
		exit 1
	fi
}

main "$@"

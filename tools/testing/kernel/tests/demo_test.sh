#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# What the targets say to wrong input, and that the help names them all.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

unset MAKEFLAGS MFLAGS MAKELEVEL
run make -s -C "$TOP" demo INPUT=/no/such/file
same "an INPUT that is not there: stops" 2 "$STATUS"
says "and says so" "INPUT=/no/such/file: no such file"
run make -s -C "$TOP" demo "INPUT=$WORK/it's not there"
says "a name with blanks and quotes arrives whole" "INPUT=$WORK/it's not there: no such file"
run make -s -C "$TOP" demo INPUT="$WORK"
says "a directory is no input" "is not a file"
run make -s -C "$TOP" apply
same "apply without a tree: stops" 2 "$STATUS"
run make -s -C "$TOP" modules KSRC=/no/such/tree
says "a KSRC that is not there" "/no/such/tree: no such directory"
run "$KDIR/build.sh" kernel other
says "a kernel that nobody knows" "no kernel is called 'other'"

run make -s -C "$TOP"
while read -r target; do
	says "make help names $target" "make $target"
done < <(sed -n 's/^\.PHONY: help//p' "$TOP/Makefile" | xargs -n1)

finish

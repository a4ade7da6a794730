#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The table of covered lines, its limit, and files that nothing was counted of.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
. "$KDIR/coverage.sh"

# info FILE LH LF BRH BRF: a file's record as lcov writes it
info()
{
	printf 'TN:\nSF:%s\nDA:1,1\nBRF:%d\nBRH:%d\nLF:%d\nLH:%d\nend_of_record\n' "$1" "$5" "$4" "$3" "$2"
}

{
	info /x/src/drivers/gpu/drm/pagemap/a.c 90 100 5 10
	info /x/src/include/drm/drm_pagemap.h 10 10 0 0
	info /x/src/drivers/gpu/drm/vsvm/hw/b.c 1 50 1 4
} >"$WORK/info"
run table "$WORK/info" 90
same "above the limit" 0 "$STATUS"
same "a file" "a.c 90 of 100 90.0 % 5 of 10 50.0 %" "$(grep ' a\.c' <<<"$OUTPUT" | xargs)"
same "a file of a directory below" "hw/b.c 1 of 50 2.0 % 1 of 4 25.0 %" "$(grep ' hw/b\.c' <<<"$OUTPUT" | xargs)"
same "a file without branches" "drm_pagemap.h 10 of 10 100.0 % 0 of 0 -" "$(grep 'drm_pagemap\.h' <<<"$OUTPUT" | xargs)"
same "the sums" "all 100 of 110 90.9 % 5 of 10 50.0 % all 1 of 50 2.0 % 1 of 4 25.0 %" "$(grep ' all ' <<<"$OUTPUT" | xargs)"
says "what is said at the end is of the core" "core:  90.9 % of the lines,  50.0 % of the branches"
run table "$WORK/info" 91
same "below the limit" 1 "$STATUS"
run table /dev/null 0
same "nothing counted is below any limit" 1 "$STATUS"

OUT=$WORK/out DATA=$WORK/out/data
mkdir -p "$DATA/dir" "$OUT/src/dir"
touch "$DATA"/dir/{ran,not,gone}.gcno "$DATA/dir/ran.gcda" "$OUT"/src/dir/{ran,not}.c
same "a file without counts" dir/not.c "$(uncounted)"

mkdir -p "$OUT/src/drivers/gpu/drm/vsvm"
printf 'one\ntwo\nthree\n' | tee "$OUT/src/dir/ran.c" >"$OUT/src/drivers/gpu/drm/vsvm/v.c"
for file in dir/ran.c drivers/gpu/drm/vsvm/v.c; do
	printf 'SF:%s\nDA:1,5\nDA:2,0\nDA:3,10\nend_of_record\n' "$OUT/src/$file"
done >"$WORK/info"
same "the core's line that did not run" "dir/ran.c:2:two" "$(not_run "$WORK/info")"

finish

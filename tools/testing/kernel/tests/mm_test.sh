#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The private tree with and without the patches for mm, and the patches themselves.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
. "$KDIR/config.sh"
. "$KDIR/mm.sh"
. "$KDIR/objects.sh"
unset KSRC

patches()
{
	mm_patches | wc -l
}

same "each patch is in the list of tests" "$(mm_patches | sed 's,.*/,,; s,-.*,,' | xargs)" \
	"$(awk '!/^#/ { print $1 }' "$KDIR/mm/tests" | xargs)"
same "each has tests, or a reason that there are none" "" \
	"$(grep -v '^#' "$KDIR/mm/tests" | grep -vE '^[0-9]{4}( [WDM]-[0-9]+)+$|^[0-9]{4} - .{20}')"
same "each test is one of defects_run" "" "$(grep -oE ' [WDM]-[0-9]+' "$KDIR/mm/tests" | while read -r id; do
	grep -q "{ \"$id\", [ATI]" "$TOP/tools/testing/selftests/drm/vsvm/defects.c" || echo "$id"
done)"
same "there are patches" yes "$([ "$(patches)" -gt 0 ] && echo yes)"

# A tree with two files, one of which is patched
TREE=$WORK/tree
mkdir -p "$TREE/src/mm" "$WORK/patches"
printf 'one\ntwo\nthree\n' >"$TREE/src/mm/a.c"
echo other >"$TREE/src/mm/b.c"
touch -d 2001-01-01 "$TREE/src/mm/a.c" "$TREE/src/mm/b.c"
mm_patches() { find "$WORK/patches" -name '[0-9]*.patch' | sort; }

# add_patch NAME FROM TO
add_patch()
{
	printf '%s\n' 'Subject: [PATCH] a' '---' '--- a/mm/a.c' '+++ b/mm/a.c' '@@ -1,3 +1,3 @@' \
		' one' "-$2" "+$3" ' three' >"$WORK/patches/$1.patch"
}

add_patch 0001-a two zwei
mm_sync debug
same "a kind without patches: nothing happens" "two 2001" \
	"$(sed -n 2p "$TREE/src/mm/a.c") $(date -r "$TREE/src/mm/a.c" +%Y)"
mm_sync mm-debug
same "one with patches has them" zwei "$(sed -n 2p "$TREE/src/mm/a.c")"
same "and the patched file is new" yes "$([ "$(date -r "$TREE/src/mm/a.c" +%Y)" -gt 2001 ] && echo yes)"
first=$MM_KEY time=$(stat -c %y "$TREE/src/mm/a.c")
objects_dir mm-debug
fixed=$OBJ
mm_restore
same "afterwards the original is back, with its time" "two 2001" \
	"$(sed -n 2p "$TREE/src/mm/a.c") $(date -r "$TREE/src/mm/a.c" +%Y)"
same "a file without a patch is not touched" 2001 "$(date -r "$TREE/src/mm/b.c" +%Y)"
sleep 0.1
mm_sync mm-debug
same "the same patches: the same time" "$first $time" "$MM_KEY $(stat -c %y "$TREE/src/mm/a.c")"

# The build was killed here. Other patches, other objects
add_patch 0002-b zwei deux
mm_sync mm-bench
same "patches are applied in order" deux "$(sed -n 2p "$TREE/src/mm/a.c")"
same "other patches: another key" yes "$([ "$first" != "$MM_KEY" ] && echo yes)"
echo patched >"$fixed/object"
mkdir -p "$TREE/debug-old"
echo original >"$TREE/debug-old/object"
mm_sync mm-debug
objects_dir mm-debug
same "objects with other patches are no start" original "$(cat "$OBJ/object")"
mm_sync debug
objects_dir debug
same "objects without patches are apart" original "$(cat "$OBJ/object")"
same "a kind without patches finds the original" two "$(sed -n 2p "$TREE/src/mm/a.c")"

add_patch 0003-c drei trois
run mm_sync mm-debug
same "a patch that does not fit: stops" 1 "$STATUS"
says "and says which" "0003-c.patch does not fit"
same "and leaves the original" two "$(sed -n 2p "$TREE/src/mm/a.c")"

finish

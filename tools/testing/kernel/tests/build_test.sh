#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# The cache after a killed build, two builds at once, no room, no tools, and the
# private tree when the overlay changes.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
. "$KDIR/packages.sh"
. "$KDIR/config.sh"
. "$KDIR/apply.sh"
. "$KDIR/objects.sh"

# A build that was killed: half an object that looks new, and whole ones.
OBJ=$WORK/obj
mkdir -p "$OBJ/dir"
run objects_begin
same "a first build removes nothing" "" "$OUTPUT"
for file in whole half lone empty; do
	echo "$file" >"$OBJ/dir/$file.o"
	echo cmd >"$OBJ/dir/.$file.o.cmd"
done
touch -d 'now + 1 hour' "$OBJ/dir/half.o"
rm "$OBJ/dir/.lone.o.cmd"
: >"$OBJ/dir/empty.o"
echo stamp >"$OBJ/overlay-stamp"
echo image >"$OBJ/vmlinux"
run objects_begin
says "the next one knows" "interrupted"
same "only the whole object stays" "whole.o" "$(cd "$OBJ/dir" && echo *.o)"
same "the images go" no "$([ -e "$OBJ/vmlinux" ] && echo yes || echo no)"
run objects_current
same "the stamp vouches for nothing" 1 "$STATUS"
settled false || :
same "a build that failed by another cause leaves the mark" yes "$([ -e "$OBJ/overlay-busy" ] && echo yes || echo no)"
settled sh -c 'exit 2' || :
same "a make that failed by itself does not" no "$([ -e "$OBJ/overlay-busy" ] && echo yes || echo no)"

# Two at once
CACHE=$WORK/cache
(unset CACHE_LOCKED; cache_lock; touch "$WORK/held"; sleep 2; touch "$WORK/freed") 2>/dev/null &
until [ -e "$WORK/held" ]; do sleep 0.1; done
run bash -c 'unset CACHE_LOCKED; . "$0/lib.sh"; CACHE=$1; cache_lock; [ -e "$2/freed" ]' "$KDIR" "$CACHE" "$WORK"
same "the second build waits for the first" 0 "$STATUS"
says "and says so" "another build"
wait

run need_space "$WORK" 99999999 "building a kernel"
same "no room: stops" 1 "$STATUS"
same "with one line" 1 "$(wc -l <<<"$OUTPUT")"
says "that has the figure" "needs 99999999 GiB"

# No tools, no root
run bash -c '. "$0/lib.sh"; . "$KDIR/packages.sh"; id() { echo 1000; }
	need_packages "no-such-tool-here some-package
sh dash" "/no/such/file other-dev"' "$KDIR"
same "a missing tool: stops" 1 "$STATUS"
same "with one line that can be typed" \
	"error: packages are missing; as root: apt-get install -y --no-install-recommends other-dev some-package" "$OUTPUT"
run need_packages "sh dash"
same "nothing missing: silent" "0 " "$STATUS $OUTPUT"

# The private tree follows the overlay
TREE=$WORK/tree ORIG=$WORK/tree/orig
real_top=$TOP TOP=$WORK/top
mkdir -p "$TREE/src/include" "$ORIG" "$TOP/drivers/new" "$TOP/include"
hook_files() { :; }
echo kernel >"$TREE/src/include/replaced.h"
echo ours >"$TOP/include/replaced.h"
echo new >"$TOP/drivers/new/new.c"
sync_overlay
same "a file is replaced" ours "$(cat "$TREE/src/include/replaced.h")"
same "a file is added" new "$(cat "$TREE/src/drivers/new/new.c")"
touch -d '2001-01-01' "$TREE/src/drivers/new/new.c"
touch "$TOP/drivers/new/new.c"
sync_overlay
same "an equal file keeps its time" 2001 "$(date -r "$TREE/src/drivers/new/new.c" +%Y)"
echo newer >"$TOP/drivers/new/new.c"
sync_overlay
same "an edited file gets a new one" yes "$([ "$(date -r "$TREE/src/drivers/new/new.c" +%Y)" -gt 2001 ] && echo yes)"
rm -r "$TOP/drivers/new" "$TOP/include/replaced.h"
sync_overlay
same "a removed file goes" no "$([ -e "$TREE/src/drivers/new" ] && echo yes || echo no)"
same "a replaced file comes back" kernel "$(cat "$TREE/src/include/replaced.h")"
TOP=$real_top

# A new configuration starts from the objects of another
mkdir -p "$TREE"/{bench,debug}-older
echo of bench >"$TREE/bench-older/object"
echo of debug >"$TREE/debug-older/object"
for kind in debug:debug bench:bench coverage:bench consumers:bench; do
	objects_dir "${kind%:*}"
	same "${kind%:*} starts from ${kind#*:}" "of ${kind#*:}" "$(cat "$OBJ/object")"
done
rm -r "$TREE"/{bench,debug}-*
echo newer >"$OBJ/object"
mv "$OBJ" "${OBJ%-*}-older"
objects_dir consumers
same "and from its own kind, if there is one" newer "$(cat "$OBJ/object")"

# Configurations
printf 'CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\n' >"$WORK/asked"
printf 'CONFIG_A=y\nCONFIG_C=m\n' >"$WORK/config"
same "symbols that were asked for in vain" "CONFIG_B=y # CONFIG_C is not set" \
	"$(missing_symbols "$WORK/config" "$WORK/asked" | xargs)"
printf '# CONFIG_A is not set\nCONFIG_B=m\n' >"$WORK/more"
same "what a later fragment says is what counts" "# CONFIG_A is not set CONFIG_B=m # CONFIG_C is not set" \
	"$(missing_symbols "$WORK/config" "$WORK/asked" "$WORK/more" | xargs)"
same "each symbol is asked for once" "" \
	"$(cat "$KDIR/base.config" "$KDIR/debug.config" | grep -o 'CONFIG_[A-Z0-9_]*' | sort | uniq -d | xargs)"
for kind in $KINDS; do
	[ -e "$BUILD/$kind/config" ] || continue
	mapfile -t list < <(fragments "$kind")
	same "the $kind kernel has all that was asked for" "" "$(missing_symbols "$BUILD/$kind/config" "${list[@]}")"
done

finish

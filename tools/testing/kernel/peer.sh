# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The peer, for comparison: the kernel's own drm_gpusvm_helper from its unchanged
# sources, and the same vsvm against its headers. Both export the same symbols as
# our modules, so they are external modules with symbols of their own, in /peer of
# the guest, where modprobe does not see them (guest command "use"). Sourced.

# build_peer KIND
build_peer()
{
	local kind=$1 dir=$TREE/peer-$1 file
	objects_current && [ -s "$OBJ/overlay-modules" ] || { build_modules "$kind"; gather_modules "$kind"; }
	mkdir -p "$dir/include/drm" "$dir/helper" "$dir/vsvm"
	for file in drm_pagemap.h drm_pagemap_util.h; do
		peer_original "include/drm/$file" "$dir/include/drm/$file"
	done
	for file in drm_gpusvm.c drm_pagemap.c drm_pagemap_util.c; do
		peer_original "drivers/gpu/drm/$file" "$dir/helper/$file"
	done
	rsync -rc --delete --exclude='*.o' --exclude='*.ko' --exclude='*.mod*' --exclude='.*' --exclude=/Kbuild \
		--exclude=/Module.symvers --exclude=/modules.order --exclude='*.a' "$TOP/drivers/gpu/drm/vsvm/" "$dir/vsvm/"
	put_if_changed "$dir/helper/Kbuild" <<-'END'
		LINUXINCLUDE := -I$(src)/../include $(LINUXINCLUDE)
		drm_gpusvm_helper-y := drm_gpusvm.o drm_pagemap.o drm_pagemap_util.o
		obj-m := drm_gpusvm_helper.o
	END
	put_if_changed "$dir/vsvm/Kbuild" <<-'END'
		LINUXINCLUDE := -I$(src)/../include $(LINUXINCLUDE)
		include $(src)/Makefile
	END
	settled logged "peer's helper, $kind" "$dir/helper.log" kmake M="$dir/helper" modules
	settled logged "peer's vsvm, $kind" "$dir/vsvm.log" kmake M="$dir/vsvm" \
		KBUILD_EXTRA_SYMBOLS="$dir/helper/Module.symvers" CONFIG_DRM_VSVM_KUNIT_TEST= modules
	peer_symbols "$dir"
	results_lock
	mkdir -p "$BUILD/$kind/root/peer"
	cp "$dir/helper/drm_gpusvm_helper.ko" "$dir/vsvm/vsvm.ko" "$BUILD/$kind/root/peer/"
}

# peer_original FILE TO: FILE as the kernel has it
peer_original()
{
	local from=$TREE/src/$1
	[ ! -e "$ORIG/$1" ] || from=$ORIG/$1
	[ -z "${MM_KEY:-}" ] || [ ! -e "$TREE/mm/$MM_KEY/$1" ] || from=$TREE/mm/$MM_KEY/$1
	put_if_changed "$2" <"$from"
}

# peer_symbols DIR: modpost takes a symbol from our modules too, whose names it
# finds in the kernel's list. Nothing but ours may be missing then: say which.
peer_symbols()
{
	local dir=$1 missing
	missing=$(nm -u "$dir/vsvm/vsvm.ko" | awk '{ print $2 }' | sort -u | comm -23 - <(
		{ awk -F'\t' '$3 !~ /\/(drm_pagemap|drm_gpusvm_helper)$/ { print $2 }' "$OBJ/Module.symvers"
		  awk -F'\t' '{ print $2 }' "$dir/helper/Module.symvers"; } | sort -u))
	[ -z "$missing" ] || die "vsvm uses what the peer does not have: $(xargs <<<"$missing")"
}

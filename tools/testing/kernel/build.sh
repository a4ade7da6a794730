#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: build.sh kernel KIND     the kernel, its modules and the user programs
#        build.sh modules KIND    the modules again; seconds when only C files changed
#        build.sh user            only the user programs
#        build.sh peer KIND       the kernel's own helper, for comparison
#        build.sh output DIR      the modules in an object directory of the user's
#        build.sh source          only get the source, print where it is
#
# KIND is bench, debug, coverage or kcsan; with mm- before it (mm-debug) it is a kernel
# with the patches in mm/. Building is done in the cache, under its lock; what came out is
# copied to the clone's build/, where vm.sh takes it from.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/packages.sh"
. "$KDIR/source.sh"
. "$KDIR/config.sh"
. "$KDIR/apply.sh"
. "$KDIR/objects.sh"
. "$KDIR/gather.sh"
. "$KDIR/peer.sh"

# A user's make must not reach into the kernel's: no flags, no variables.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH CROSS_COMPILE O
# The same input gives the same image, so that a build changes nothing by date.
export KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_USER=user KBUILD_BUILD_HOST=host

# prepare [KIND]: packages, lock, source with the overlay of now, and with the patches
# for mm if KIND has them; sets TREE, ORIG and MM_KEY
prepare()
{
	need_packages "$PACKAGES_BUILD"
	! mm_is_fixed "${1:-}" || need_packages "patch patch"
	cache_lock
	source_tree
	sync_overlay
	mm_sync "${1:-}"
}

# build_kernel KIND
build_kernel()
{
	local kind=$1
	objects_begin
	configure "$kind"
	# The image first and alone: an overlay that does not compile must not
	# keep anybody from a kernel.
	rm -f "$OBJ/overlay-stamp"
	settled logged "$kind kernel" "$OBJ/build-kernel.log" kmake bzImage
	objects_stamp
	gather_kernel "$kind"
	build_all_modules "$kind"
}

build_all_modules()
{
	local kind=$1 rc=0
	rm -f "$OBJ/overlay-modules"
	settled logged "$kind modules" "$OBJ/build-modules.log" kmake -k modules || rc=$?
	[ "$rc" -eq 0 ] || exit "$rc"
	show_warnings "$OBJ/build-modules.log"
	sed 's/\.o$/.ko/' "$OBJ/modules.order" >"$OBJ/overlay-modules"
	makefile_state >"$OBJ/overlay-makefiles"
}

# build_modules KIND: the shortest way that is right. Edited C files and headers
# need the modules only. A changed overlay Makefile or a new file may mean a new
# module: walk the tree. Changed Kconfig, hooks, fragments, compiler or source:
# the whole kernel.
build_modules()
{
	local kind=$1
	if [ -n "${KSRC:-}" ] || ! objects_current; then
		build_kernel "$kind"
		return
	fi
	objects_begin
	if [ -s "$OBJ/overlay-modules" ] &&
	   [ "$(makefile_state)" = "$(cat "$OBJ/overlay-makefiles")" ]; then
		quick_modules
	else
		build_all_modules "$kind"
	fi
}

# quick_modules: the modules that there are, by name
quick_modules()
{
	local log=$OBJ/build-modules.log
	# shellcheck disable=SC2046 # module names without white space
	if ! settled kmake -k -s $(cat "$OBJ/overlay-modules") >"$log" 2>&1; then
		show_errors "$log" >&2
		die "the modules do not build; log: $log"
	fi
	show_warnings "$log"
}

build_user()
{
	local hdr=$TREE/headers state
	state=$({ cat "$TREE/src/include/config/kernel.release" 2>/dev/null
		  overlay_files | grep '^include/uapi/' |
		  while read -r f; do sha256sum "$TREE/src/$f"; done; } | sha256sum)
	if [ -n "${KSRC:-}" ] || [ "$state" != "$(cat "$hdr/state" 2>/dev/null)" ]; then
		logged "user headers" "$hdr/build.log" make -C "$TREE/src" O="$hdr" -j"$(nproc)" \
			headers_install INSTALL_HDR_PATH="$hdr/install"
		echo "$state" >"$hdr/state"
	fi
	gather_user
}

# build_output DIR: into the user's object directory; nothing is copied. A tree
# that has the overlay already is used as it is, any other by a copy.
build_output()
{
	local out=$1 src sym
	mkdir -p "$out"
	out=$(cd "$out" && pwd -P)
	need_packages "$PACKAGES_BUILD"
	if [ -n "${KSRC:-}" ] && [ -d "$KSRC/drivers/gpu/drm/vsvm" ]; then
		src=$(cd "$KSRC" && pwd -P)
	else
		prepare
		src=$TREE/src
	fi
	if [ ! -e "$out/.config" ]; then
		say "no configuration in $out, using that of the bench kernel"
		make_config "$src" "$out" bench >"$out/config.log" 2>&1 || die "see $out/config.log"
	else
		make -s -C "$src" O="$out" olddefconfig
	fi
	for sym in DRM_PAGEMAP DRM_VSVM; do
		grep -q "^CONFIG_$sym=" "$out/.config" ||
			die "$out/.config does not enable CONFIG_$sym (set CONFIG_DRM_VSVM=m)"
	done
	logged "modules in $out" "$out/build-modules.log" make -C "$src" O="$out" -j"$(nproc)" all modules
	(cd "$out" && find drivers/gpu/drm -name '*.ko')
}

main()
{
	local what=${1:-} kind=${2:-}
	case $what in
	kernel|modules|peer)
		fragments "${kind:-debug}" >/dev/null
		kind=${kind:-debug}
		# Races of others are theirs: the overlay's Makefiles say otherwise.
		[ "${kind#mm-}" != kcsan ] || export KCSAN_SANITIZE=n
		prepare "$kind"
		objects_dir "$kind"
		"build_$what" "$kind"
		objects_done
		mm_restore
		# A fresh clone has neither, even if nothing had to be built.
		[ "$what" = peer ] || { gather_kernel "$kind"; gather_modules "$kind"; build_user; }
		;;
	user)	prepare; build_user ;;
	output)	[ -n "$kind" ] || die "which object directory?"; build_output "$kind" ;;
	source)	prepare; echo "$TREE/src" ;;
	*)	die "usage: build.sh kernel|modules|user|peer|output|source [KIND]" ;;
	esac
}

main "$@"

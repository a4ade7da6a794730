#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: consumers.sh [TAP_FILE]
#
# The kernel's own users of drm_pagemap, drm_gpusvm.c and all of xe but its
# display, compile and link against our headers and our module: as Debian packaged
# them, with warnings as errors, and with modpost to find each symbol. Then the
# core in the series of kernels before, where nothing but it is compiled.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/packages.sh"
. "$KDIR/source.sh"
. "$KDIR/config.sh"
. "$KDIR/apply.sh"
. "$KDIR/objects.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH CROSS_COMPILE O KSRC
export KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_USER=user KBUILD_BUILD_HOST=host

OLD_SERIES=7.2
CORE=drivers/gpu/drm/pagemap/drm_pagemap.ko
GPUSVM=drivers/gpu/drm/drm_gpusvm_helper.ko
XE=drivers/gpu/drm/xe/xe.ko

# one NAME COMMAND...: a case, by the command's status; what it prints are notes
one()
{
	local name=$1 out rc=0
	shift
	COUNT=$((COUNT + 1))
	out=$("$@" 2>&1) || rc=$?
	[ -z "$out" ] || printf '# %s\n' "${out//$'\n'/$'\n'# }" >>"$TAP"
	if [ "$rc" -eq 0 ]; then
		echo "ok $COUNT $name" >>"$TAP"
		say "consumers: $name: good${out:+ (${out##*$'\n'})}"
	else
		BAD=$((BAD + 1))
		echo "not ok $COUNT $name" >>"$TAP"
		[ -z "$out" ] || printf '%s\n' "$out" >&2
		say "consumers: $name: BAD"
	fi
}

# skip NAME REASON
skip()
{
	COUNT=$((COUNT + 1))
	echo "ok $COUNT $1 # SKIP $2" >>"$TAP"
	say "consumers: $1: skipped, $2"
}

# not_ours: filter; lines of check sums without the files that the overlay has or edits
not_ours()
{
	awk 'NR == FNR { ours[$1] = 1; next } !($2 in ours)' <(overlay_files; hook_files) -
}

# What xe and drm_gpusvm.c are made of is what the package has, no file less or more.
check_sources()
{
	local want now changed
	want=$(package_sums | not_ours) && [ -n "$want" ] ||
		{ echo "the package of ${TREE##*/} cannot be had any more to compare with; without the cache's copy a newer one is got"; return 1; }
	now=$(source_sums "$TREE/src" | not_ours)
	changed=$(diff <(echo "$want") <(echo "$now") | awk '/^[<>]/ { print $3 }' | sort -u)
	[ -z "$changed" ] || { echo "not as in the package: ${changed//$'\n'/ }"; return 1; }
	grep -q ' drivers/gpu/drm/drm_gpusvm\.c$' <<<"$now" || { echo "there is no drm_gpusvm.c"; return 1; }
	echo "$(grep -c ' drivers/gpu/drm/xe/' <<<"$now") files of xe and $(grep -vc ' drivers/gpu/drm/xe/' <<<"$now") of DRM"
}

check_options()
{
	local want
	for want in DRM_XE=m DRM_XE_GPUSVM=y DRM_XE_PAGEMAP=y DRM_GPUSVM=m DRM_PAGEMAP=m DRM_WERROR=y; do
		grep -qx "CONFIG_$want" "$OBJ/.config" || { echo "not CONFIG_$want"; return 1; }
	done
}

# built_warnings LOG: what the compiler, objtool or modpost said about DRM
built_warnings()
{
	grep -E -A6 'warning: |WARNING: modpost' "$1" | grep -vE '^(--|  [A-Z]+ )' | sed "s,$TREE/src/,,g" | head -n 60
}

# check_build STATUS LOG: warnings that are no errors are told once, as an object
# that is there is not made again: so these go, to be told the next time as well
check_build()
{
	local found
	found=$(built_warnings "$2")
	[ -z "$found" ] || { rm -rf "$OBJ/drivers/gpu/drm"; echo "$found"; }
	[ "$1" -eq 0 ] || echo "the build failed: $2"
	[ -z "$found" ] && [ "$1" -eq 0 ]
}

# exported KO: the symbols that it exports
exported()
{
	nm "$1" | sed -n 's/.* __ksymtab_//p' | sort -u
}

# needed KO: the core's symbols that it takes from elsewhere
needed()
{
	nm -u "$1" | awk '$2 ~ /^drm_pagemap_/ { print $2 }' | sort -u
}

check_symbols()
{
	local ko missing own
	for ko in "$CORE" "$GPUSVM" "$XE"; do
		[ -s "$OBJ/$ko" ] || { echo "$ko was not built"; return 1; }
	done
	for ko in "$GPUSVM" "$XE"; do
		missing=$(needed "$OBJ/$ko" | comm -23 - <(exported "$OBJ/$CORE"))
		[ -z "$missing" ] || { echo "$ko needs what drm_pagemap.ko does not export: ${missing//$'\n'/ }"; return 1; }
		own=$(nm --defined-only "$OBJ/$ko" | awk '$3 ~ /^(__ksymtab_)?drm_pagemap_/ { print $3 }')
		[ -z "$own" ] || { echo "$ko has symbols of drm_pagemap itself: ${own//$'\n'/ }"; return 1; }
	done
	[ -n "$(needed "$OBJ/$XE")" ] || { echo "$XE uses nothing of drm_pagemap"; return 1; }
	echo "xe uses $(needed "$OBJ/$XE" | wc -l) of the $(exported "$OBJ/$CORE" | grep -c '^drm_pagemap_') symbols of drm_pagemap.ko, drm_gpusvm_helper $(needed "$OBJ/$GPUSVM" | wc -l)"
}

# The symbols that are looked for in a kernel as a whole come from vmlinux.o,
# which is the cheapest form of it that modpost takes.
build_consumers()
{
	local rc=0 log=$OBJ/build-consumers.log
	objects_begin
	configure consumers
	# modpost is to look again, and an older module is no result.
	rm -f "$OBJ"/{Module.symvers,"$CORE","$GPUSVM","$XE"}
	settled logged "drm_gpusvm and xe" "$log" kmake -k vmlinux_o modules || rc=$?
	[ "$rc" -ne 0 ] || objects_done
	one "the sources are as packaged" check_sources
	one "the configuration has it all" check_options
	one "drm_gpusvm and xe compile and link without a warning" check_build "$rc" "$log"
	one "all of the core's symbols are ours" check_symbols
}

# check_exports: modpost would need all of that kernel; that its source has an
# export by that name of each symbol is told by the text as well
check_exports()
{
	local list=() missing
	mapfile -t list < <(nm -u "$OBJ/${CORE%.ko}.o" 2>/dev/null | awk '{ print $2 }' | sort -u)
	[ "${#list[@]}" -gt 10 ] || { echo "the core was not compiled"; return 1; }
	# The compiler's, the tracer's and the module's own have no such line, nor what
	# a macro exports (dev_err() and the like).
	missing=$(printf '%s\n' "${list[@]}" | grep -vE '^(__x86_|__fentry__$|__SCT__|__stack_chk_|__this_module$|_dev_[a-z]+$)' | comm -23 - <(
		cd "$TREE/src" && grep -rhoE --include='*.[chS]' 'EXPORT_(PER_CPU_|TRACEPOINT_)?SYMBOL[A-Z_]*\([A-Za-z0-9_]+' \
			arch/x86 block drivers/base drivers/dma-buf drivers/gpu/drm/*.c drivers/iommu drivers/pci fs \
			include init kernel lib mm security virt |
			sed -E 's/^EXPORT_TRACEPOINT_.*\(/__tracepoint_/; s/.*\(//' | sort -u))
	[ -z "$missing" ] || { echo "no export of: ${missing//$'\n'/ }"; return 1; }
	echo "${#list[@]} symbols"
}

# build_old: the core, and the helper that is beside it. The virtual GPU is not for
# that series: drm_gpusvm's interface differs.
build_old()
{
	local rc=0 log
	sync_overlay
	objects_dir consumers
	log=$OBJ/build-core.log
	objects_begin
	configure consumers
	settled logged "core in Linux $OLD_SERIES" "$log" kmake -k drivers/gpu/drm/pagemap/ drivers/gpu/drm/drm_gpusvm.o || rc=$?
	[ "$rc" -ne 0 ] || objects_done
	one "Linux $OLD_SERIES: core and drm_gpusvm compile without a warning" check_build "$rc" "$log"
	one "Linux $OLD_SERIES: it exports all that the core uses" check_exports
}

main()
{
	TAP=${1:-$BUILD/consumers.tap} COUNT=0 BAD=0
	mkdir -p "$(dirname "$TAP")"
	echo "TAP version 13" >"$TAP"
	need_packages "$PACKAGES_BUILD"
	cache_lock
	source_tree
	sync_overlay
	objects_dir consumers
	build_consumers
	if source_series "$OLD_SERIES"; then
		build_old
	else
		skip "Linux $OLD_SERIES" "$REASON"
	fi
	echo "1..$COUNT" >>"$TAP"
	echo "consumers: $((COUNT - BAD)) of $COUNT good"
	[ "$BAD" -eq 0 ]
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	main "$@"
fi

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: tools.sh [TAP_FILE]
#
# The tools that people use with any GPU must work with this one: gputop reads its
# fdinfo, trace-cmd its trace events, drm_info its DRM device, modinfo its module.
# They come from Debian's packages, into a directory of the cache of their own, and
# run in the virtual machine.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/packages.sh"
. "$KDIR/source.sh"

# Of a suite whose gputop knows all drivers
TOOLS_SUITE=trixie
TOOLS="intel-gpu-tools trace-cmd drm-info kmod bsdutils dash coreutils"
ROOT=$CACHE/tools-$TOOLS_SUITE

# tools_root: ROOT becomes a directory with the tools and all that they need
tools_root()
{
	local dir deb
	[ ! -e "$ROOT/complete" ] || return 0
	say "fetching the tools"
	private_apt_update deb "$TOOLS_SUITE" ||
		die "the tools are not in the cache and Debian's package mirror ($TOOLS_SUITE) cannot be reached"
	# shellcheck disable=SC2086 # one word for each package
	private_apt apt-get install -y --download-only --no-install-recommends \
		$TOOLS >"$CACHE/apt/tools.log" 2>&1 </dev/null ||
		die "the tools cannot be fetched; log: $CACHE/apt/tools.log"
	rm -rf "$ROOT"
	mkdir -p "$ROOT"/{proc,sys,dev,tmp} "$ROOT/usr/lib/modules"
	for dir in bin sbin lib lib64; do
		mkdir -p "$ROOT/usr/$dir"
		ln -s "usr/$dir" "$ROOT/$dir"
	done
	for deb in "$CACHE"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$deb" "$ROOT" || die "cannot unpack $(basename "$deb")"
		rm "$deb"
	done
	touch "$ROOT/complete"
}

main()
{
	local out=${1:-$BUILD/tools.tap} rc=0
	mkdir -p "$(dirname "$out")"
	rm -f "$out"
	need_packages "$PACKAGES_BUILD" "$PACKAGES_VM"
	"$KDIR/build.sh" modules debug || die "the debug kernel or its modules do not build"
	(cache_lock; tools_root)
	say "the tools in a virtual machine"
	"$KDIR/vm.sh" --kernel debug --name tools --timeout 300 --leaks --progress \
		--share "$ROOT" -- tools || rc=$?
	{
		cat "$BUILD/vm/tools/results/tools.tap"
		[ "$rc" -eq 0 ] || echo "# exit status $rc"
	} >"$out"
	return "$rc"
}

main "$@"

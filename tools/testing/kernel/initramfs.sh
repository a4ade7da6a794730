# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The root file system of a virtual machine: busybox, the guest scripts, the
# modules and the user programs. The kernel unpacks archives that follow one
# another, so each part is packed where it is. Sourced.

# pack DIR: all below DIR as a cpio archive
pack()
{
	(cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet)
}

# make_initramfs KIND OUT SETTINGS_DIR: SETTINGS_DIR becomes /etc/vm
make_initramfs()
{
	local kind=$1 out=$2 settings=$3 stage dir
	stage=$(mktemp -d)
	for dir in bin dev etc/vm lib proc results root sys tests tmp usr/bin; do
		mkdir -p "$stage/$dir"
	done
	cp "$(find_tool busybox)" "$stage/bin/busybox"
	ln -s busybox "$stage/bin/sh"
	cp "$KDIR/guest/init" "$stage/init"
	cp "$KDIR"/guest/* "$stage/usr/bin/"
	rm "$stage/usr/bin/init"
	chmod 755 "$stage/init" "$stage"/usr/bin/*
	cp "$settings"/* "$stage/etc/vm/"
	copy_programs "$BUILD/user" "$stage/usr/bin"
	copy_programs "$BUILD/tests" "$stage/tests"
	{ pack "$stage"; pack "$BUILD/$kind/root"; } >"$out"
	rm -rf "$stage"
}

# copy_programs FROM TO
copy_programs()
{
	if [ -d "$1" ]; then
		find "$1" -maxdepth 1 -type f -perm -u+x -exec cp --reflink=auto -t "$2" {} +
	fi
}

# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Debian packages by the tool that is needed from them. Sourced.

# Lines of "tool package"; a tool with a slash is a file that must exist.
PACKAGES_BUILD="gcc gcc
make make
ld binutils
flex flex
bison bison
bc bc
perl perl
python3 python3
rsync rsync
xz xz-utils
gzip gzip
cpio cpio
depmod kmod
flock util-linux
dpkg-deb dpkg
/usr/include/stdlib.h libc6-dev
/usr/include/libelf.h libelf-dev
/usr/include/openssl/ssl.h libssl-dev"
PACKAGES_VM="qemu-system-x86_64 qemu-system-x86
/bin/busybox busybox-static
pgrep procps"
PACKAGES_COVERAGE="gcov gcc
gcov-tool gcc
lcov lcov"
PACKAGES_CHECK="shellcheck shellcheck
pahole dwarves
git git
pkg-config pkg-config
dpkg-source dpkg-dev"

# missing_packages LIST: names of the packages to install, on one line
missing_packages()
{
	local tool package out=""
	while read -r tool package; do
		case $tool in
		/bin/busybox)	busybox_is_static && continue ;;
		/*)		[ ! -e "$tool" ] || continue ;;
		*)		[ -z "$(find_tool "$tool")" ] || continue ;;
		esac
		out+=" $package"
	done <<<"$1"
	echo "${out# }"
}

# Debian keeps depmod and the like outside a plain user's PATH.
find_tool()
{
	PATH=$PATH:/usr/sbin:/sbin command -v "$1" || :
}

# The dynamic busybox cannot run in an initramfs that holds nothing else.
busybox_is_static()
{
	local file
	file=$(find_tool busybox)
	# A dynamic program names its loader right after the program headers.
	[ -n "$file" ] && ! head -c 2048 "$file" | grep -aq 'ld-linux'
}

# need_packages LIST...: install what is missing, or say how
need_packages()
{
	local list missing="" command log
	for list in "$@"; do
		missing+=" $(missing_packages "$list")"
	done
	missing=$(xargs -n1 <<<"$missing" | sort -u | xargs)
	PATH=$PATH:/usr/sbin:/sbin
	[ -n "$missing" ] || return 0
	command="apt-get install -y --no-install-recommends $missing"
	[ "$(id -u)" -eq 0 ] || die "packages are missing; as root: $command"
	command -v apt-get >/dev/null || die "tools are missing (Debian packages: $missing), and there is no apt-get"
	say "installing $missing"
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	# Package lists may be absent or old: try without, then with an update.
	# shellcheck disable=SC2086 # a command of several words
	$command >"$log" 2>&1 </dev/null ||
		{ apt-get update && $command; } >>"$log" 2>&1 </dev/null ||
		{ tail -n 5 "$log" >&2; die "could not install packages; try: $command"; }
	rm -f "$log"
	hash -r
	for list in "$@"; do
		[ -z "$(missing_packages "$list")" ] ||
			die "still missing after the installation: $(missing_packages "$list")"
	done
}

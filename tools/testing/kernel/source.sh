# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The kernel source, in a private tree of the cache that the overlay is put
# into. It comes from the Debian package linux-source-7.3 by way of an apt
# directory of our own, so that the machine's package selection stays as it is,
# or is a copy of the user's tree KSRC. Sourced.

SUITE=trixie-backports
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
APT_ETC=${APT_ETC:-/etc/apt}

# debian_uris: where this machine gets Debian itself from, best first. Both of
# apt's formats; other vendors' entries do not have our suite with "main", or
# fail the check of the signature later.
debian_uris()
{
	local code file
	code=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
	for file in "$APT_ETC"/sources.list.d/*.sources; do
		[ ! -e "$file" ] || sed 's/\r$//' "$file"; echo
	done | awk -v code="$code" '
		function flush() {
			if (types ~ / deb / && suites ~ (" " code " ") && comps ~ / main /)
				print uri
			types = suites = comps = uri = field = ""
		}
		/^#/ { next }
		/^[ \t]*$/ { flush(); next }
		{
			if ($0 ~ /^[A-Za-z-]+:/) {
				field = tolower($1)
				$1 = ""
			}
			if (field == "types:") types = types " " $0 " "
			if (field == "suites:") suites = suites " " $0 " "
			if (field == "components:") comps = comps " " $0 " "
			if (field == "uris:" && uri == "") { $0 = $0; uri = $1 }
		}
		END { flush() }'
	for file in "$APT_ETC"/sources.list "$APT_ETC"/sources.list.d/*.list; do
		[ ! -e "$file" ] || sed 's/\r$//; s/\[[^]]*\]//' "$file"; echo
	done | awk -v code="$code" '
		$1 == "deb" && $3 == code { for (i = 4; i <= NF; i++) if ($i == "main") print $2 }'
}

# private_apt PROGRAM ARG...: apt with lists, cache and sources of our own
private_apt()
{
	local program=$1 dir=$CACHE/apt
	shift
	"$program" -o Dir::State="$dir" -o Dir::State::lists="$dir/lists" \
		-o Dir::State::status=/dev/null -o Dir::Cache="$dir/cache" \
		-o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o APT::Update::Error-Mode=any -o APT::Sandbox::User=root \
		-o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::Languages=none \
		-q "$@" 9>&-
}

# apt_in DIR PROGRAM ARG...: the same, for what writes to where it is called
apt_in()
{
	cd "$1" || return
	shift
	private_apt "$@"
}

# private_apt_update TYPE SUITE: the list of one suite, from the first of this
# machine's Debian entries that has it
private_apt_update()
{
	local uri dir=$CACHE/apt
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	while read -r uri; do
		[ -n "$uri" ] || continue
		echo "$1 [signed-by=$KEYRING] $uri $2 main" >"$dir/sources.list"
		if private_apt apt-get update >"$dir/update.log" 2>&1 </dev/null; then
			return 0
		fi
	done < <(debian_uris | awk '{ k = ($0 ~ /\/debian\/?$/) ? 0 : 1; print k, $0 }' |
		 sort -s -k1,1n | awk '!seen[$2]++ { print $2 }')
	return 1
}

# mangled NAME: fit for a directory
mangled()
{
	tr -c 'A-Za-z0-9.\n' . <<<"$1"
}

# fetch_source: the newest package that fits
fetch_source()
{
	local package
	need_space "$CACHE" 6 "building a kernel"
	say "fetching the kernel source"
	private_apt_update deb "$SUITE" ||
		die "the kernel source is not in the cache and Debian's package mirror ($SUITE) cannot be reached"
	package=$(private_apt apt-cache search --names-only '^linux-source-7\.[0-9]+$' |
		  awk '{ print $1 }' | sort -V | tail -n 1)
	[ -n "$package" ] || die "Debian's $SUITE has no linux-source-7.x package"
	if private_apt apt-cache show linux-source-7.3 >/dev/null 2>&1; then
		package=linux-source-7.3
	else
		say "linux-source-7.3 is not in $SUITE, using $package"
	fi
	fetch_package "$package" source
}

# fetch_package PACKAGE POINTER: unpacked into $CACHE/linux-VERSION; the file
# $CACHE/POINTER names it and is written last
fetch_package()
{
	local package=$1 pointer=$2 version name tmp=$CACHE/tmp-source
	version=$(private_apt apt-cache show "$package" | awk '/^Version:/ { print $2; exit }')
	name=linux-$(mangled "$version")
	download_source "$tmp" "$package" "$version"
	source_sums "$tmp/src" >"$tmp/sums"
	rm -rf "${CACHE:?}/$name"
	mkdir -p "$CACHE/$name"
	mv "$tmp/src" "$tmp/sums" "$CACHE/$name/"
	rm -rf "$tmp"
	echo "$name" >"$CACHE/$pointer.new"
	mv "$CACHE/$pointer.new" "$CACHE/$pointer"
}

# download_source DIR PACKAGE VERSION: to DIR/src
download_source()
{
	local dir=$1 package=$2 version=$3
	rm -rf "$dir" "$CACHE"/apt/*.deb
	mkdir -p "$dir"
	logged "downloading $package $version" "$dir/download.log" \
		apt_in "$dir" apt-get download "$package=$version" || true
	ls "$dir"/*.deb >/dev/null 2>&1 || die "could not download $package $version"
	unpack_source "$dir" "$package"
}

# source_sums SRC: check sums of DRM's helpers and of xe, with all headers of DRM
source_sums()
{
	(cd "$1" && { find drivers/gpu/drm -maxdepth 1 -type f
		find drivers/gpu/drm/xe drivers/gpu/drm/ttm drivers/gpu/drm/scheduler \
			include/drm include/uapi/drm -type f; } | sort | xargs -d '\n' sha256sum)
}

# package_sums: the check sums of the package that TREE was unpacked from. They
# are taken while it is unpacked; a cache that is older gets the package again.
package_sums()
{
	local name=${TREE##*/} package version tmp=$CACHE/tmp-source
	if [ ! -s "$TREE/sums" ]; then
		package=linux-source-$(cut -d. -f1,2 <<<"${name#linux-}")
		private_apt_update deb "$SUITE" || return
		version=$(private_apt apt-cache madison "$package" | awk '{ print $3 }' |
			while read -r version; do
				[ "$(mangled "linux-$version")" != "$(mangled "$name")" ] || echo "$version"
			done | head -n 1)
		[ -n "$version" ] || return
		download_source "$tmp" "$package" "$version"
		source_sums "$tmp/src" >"$tmp/sums"
		mv "$tmp/sums" "$TREE/sums"
		rm -rf "$tmp"
	fi
	cat "$TREE/sums"
}

# source_series SERIES: sets TREE and ORIG to the newest source of another series
# of kernels, such as 7.2, that one of the suites has; if none has, REASON
source_series()
{
	local package=linux-source-$1 pointer=source-$1 suite
	REASON="no Debian package mirror can be reached"
	if [ ! -s "$CACHE/$pointer" ] || [ ! -d "$CACHE/$(cat "$CACHE/$pointer")/src" ]; then
		for suite in "$SUITE" testing sid; do
			private_apt_update deb "$suite" || continue
			REASON="none of Debian's $SUITE, testing and sid has the package $package"
			! private_apt apt-cache show "$package" >/dev/null 2>&1 || break
		done
		private_apt apt-cache show "$package" >/dev/null 2>&1 || return 1
		need_space "$CACHE" 4 "unpacking $package"
		fetch_package "$package" "$pointer"
	fi
	TREE=$CACHE/$(cat "$CACHE/$pointer")
	ORIG=$TREE/orig
	mkdir -p "$ORIG"
}

# unpack_source DIR PACKAGE: DIR/*.deb to DIR/src
unpack_source()
{
	local dir=$1 package=$2
	logged "unpacking $package" "$dir/unpack.log" \
		sh -c 'set -e; cd "$1"; dpkg-deb -x ./*.deb deb; rm -f ./*.deb
		       tar -xvf deb/usr/src/"$2".tar.*; rm -rf deb; mv "$2" src' sh "$dir" "$package"
}

# copy_ksrc: the user's tree, without what was built in it, into the cache
copy_ksrc()
{
	local skip=$TREE/skip
	[ -f "$KSRC/Makefile" ] && [ -d "$KSRC/drivers/gpu/drm" ] ||
		die "KSRC=$KSRC is not a Linux kernel tree"
	[ -d "$TREE/src" ] || need_space "$CACHE" 6 "building a kernel"
	mkdir -p "$TREE"
	# What apply put into the copy is not to be overwritten with the original.
	{ cat "$TREE/manifest" 2>/dev/null || :; hook_files; } | sed 's,^,/,' >"$skip"
	logged "copying $KSRC" "$TREE/copy.log" rsync -av --delete --exclude-from="$skip" \
		--exclude=/.git --exclude='*.o' --exclude='*.a' --exclude='*.ko' \
		--exclude='*.mod' --exclude='*.mod.c' --exclude='.*.cmd' --exclude='/vmlinux*' \
		--exclude=/.config --exclude=/include/config --exclude=/include/generated \
		--exclude='/arch/*/include/generated' --exclude='modules.order' "$KSRC/" "$TREE/src/"
}

# source_tree: sets TREE, the directory of the source and its object
# directories, and ORIG, where the files that the overlay replaces are found in
# their original form. Fetches what is not there.
source_tree()
{
	if [ -n "${KSRC:-}" ]; then
		[ -d "$KSRC" ] || die "KSRC=$KSRC: no such directory"
		KSRC=$(cd "$KSRC" && pwd -P)
		TREE=$CACHE/ksrc-$(sha256sum <<<"$KSRC" | cut -c1-12)
		ORIG=$KSRC
		copy_ksrc
		return
	fi
	if [ ! -s "$CACHE/source" ] || [ ! -d "$CACHE/$(cat "$CACHE/source")/src" ]; then
		fetch_source
	fi
	TREE=$CACHE/$(cat "$CACHE/source")
	ORIG=$TREE/orig
	mkdir -p "$ORIG"
}

# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The checker "sparse", new enough for this kernel. Debian 12 has 0.6.4, with
# which the kernel's build prints one warning and then checks nothing; so it is
# built from the source package of a later suite, once, in the cache. Sourced.

# sparse_binary: sets SPARSE
sparse_binary()
{
	if [ -s "$CACHE/sparse" ] && [ -x "$(cat "$CACHE/sparse")" ]; then
		SPARSE=$(cat "$CACHE/sparse")
		return
	fi
	local suite
	need_packages "$PACKAGES_CHECK"
	for suite in testing sid; do
		say "fetching the source of sparse"
		if private_apt_update deb-src "$suite" && build_sparse; then
			return
		fi
	done
	die "sparse is not in the cache, and Debian's package mirror cannot be reached or has none that is new enough"
}

build_sparse()
{
	local work=$CACHE/tmp-sparse version dir
	rm -rf "$work"
	mkdir -p "$work"
	version=$(private_apt apt-cache showsrc sparse | awk '/^Version:/ { print $2 }' | sort -V | tail -n 1)
	dpkg --compare-versions "$version" gt 0.6.5~ || return 1
	logged "downloading sparse $version" "$work/download.log" \
		apt_in "$work" apt-get source --download-only "sparse=$version" || return 1
	(cd "$work" && dpkg-source --no-check -x ./*.dsc src >unpack.log 2>&1) || return 1
	logged "building sparse" "$work/build.log" \
		make -C "$work/src" -j"$(nproc)" CC=gcc HAVE_LLVM=no HAVE_SQLITE=no HAVE_GTK=no sparse || return 1
	dir=$CACHE/sparse-$(tr -c 'A-Za-z0-9.\n' . <<<"$version")
	rm -rf "$dir"
	mkdir -p "$dir"
	mv "$work/src/sparse" "$dir/sparse"
	rm -rf "$work"
	SPARSE=$dir/sparse
	echo "$SPARSE" >"$CACHE/sparse.new"
	mv "$CACHE/sparse.new" "$CACHE/sparse"
}

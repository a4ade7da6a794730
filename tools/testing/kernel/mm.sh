# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Kernels with the patches in mm/, which mend what the tests find in mm and in
# drm_gpusvm: kinds that begin with "mm-", such as mm-debug. Their objects start
# from a copy of those of the kind without, so that only what the patches touch is
# built again. For that the source has to be at the same place: under the cache's
# lock the private tree has the patched files, after it the original ones, both
# with times of their own. Sourced.

# mm_is_fixed KIND
mm_is_fixed()
{
	[[ ${1:-} == mm-* ]]
}

# mm_patches: in their order
mm_patches()
{
	find "$KDIR/mm" -name '[0-9]*.patch' | sort
}

# mm_files: that they change
mm_files()
{
	mm_patches | xargs -r -d '\n' sed -n 's,^+++ b/,,p' | sort -u
}

# mm_keep: the original files to $TREE/mm/orig, before the tree is touched. A
# user's own tree may have changed since.
mm_keep()
{
	local file kept=$TREE/mm/orig from=${KSRC:-$TREE/src}
	mm_files | while read -r file; do
		[ -e "$from/$file" ] || die "the patches for mm do not fit: $file is missing"
		mkdir -p "$kept/$(dirname "$file")"
		if [ ! -e "$kept/$file" ] || { [ -n "${KSRC:-}" ] && ! cmp -s "$from/$file" "$kept/$file"; }; then
			cp -p "$from/$file" "$kept/$file.new"
			mv "$kept/$file.new" "$kept/$file"
		fi
	done || exit
}

# mm_key: of what the patches do, not of what they say about it, and of the files that
# they are for; after mm_keep()
mm_key()
{
	{ mm_patches | xargs -r -d '\n' awk 'FNR == 1 { diff = 0 } /^--- a\// { diff = 1 } diff'
	  mm_files | while read -r file; do cat "$TREE/mm/orig/$file"; done; } | sha256sum | cut -c1-10
}

# mm_patched: the patched files to $TREE/mm/KEY, once, so that they keep their
# times. No fuzz: a patch that has to be searched for is not for this kernel.
mm_patched()
{
	local dir=$1 patch tmp=$1.new
	[ ! -d "$dir" ] || return 0
	rm -rf "$tmp"
	cp -r "$TREE/mm/orig" "$tmp"
	mm_patches | while read -r patch; do
		patch -s -p1 --fuzz=0 --no-backup-if-mismatch -d "$tmp" <"$patch" >"$TREE/mm/patch.log" 2>&1 ||
			die "$(basename "$patch") does not fit this kernel; see $TREE/mm/patch.log"
	done || exit
	mv "$tmp" "$dir"
}

# mm_put DIR: its files to the private tree, with their times
mm_put()
{
	local dir=$1 file
	[ -d "$dir" ] || return 0
	(cd "$dir" && find . -type f -printf '%P\n') | while read -r file; do
		cmp -s "$dir/$file" "$TREE/src/$file" || cp -p "$dir/$file" "$TREE/src/$file"
	done
}

# mm_restore: the private tree has the original files, also after a build that
# was killed
mm_restore()
{
	mm_put "$TREE/mm/orig"
}

# mm_sync KIND: the private tree is that of KIND; sets MM_KEY
mm_sync()
{
	MM_KEY=""
	mm_restore
	mm_is_fixed "$1" || return 0
	mm_keep
	MM_KEY=$(mm_key)
	mm_patched "$TREE/mm/$MM_KEY"
	mm_put "$TREE/mm/$MM_KEY"
}

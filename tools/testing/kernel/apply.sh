#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: apply.sh TREE
#
# Puts the overlay and the hook lines into a kernel tree of the user's. Doing it
# again changes nothing but what changed in the overlay. The private tree of the
# cache is kept current by the same functions when this file is sourced.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/hooks.sh"
. "$KDIR/mm.sh"

# copy_overlay LIST DEST: files that differ get the time of now, so that what
# depends on them is built again; equal ones keep theirs
copy_overlay()
{
	rsync -rc --executability --files-from="$1" "$TOP/" "$2/"
}

# keep_original FILE: before the private tree's FILE is changed
keep_original()
{
	if [ -e "$TREE/src/$1" ] && [ ! -e "$ORIG/$1" ]; then
		mkdir -p "$ORIG/$(dirname "$1")"
		cp "$TREE/src/$1" "$ORIG/$1.new.$$"
		mv "$ORIG/$1.new.$$" "$ORIG/$1"
	fi
}

# restore_original FILE: the overlay does not have it any more
restore_original()
{
	rm -f "$TREE/src/$1"
	if [ -e "$ORIG/$1" ]; then
		cp "$ORIG/$1" "$TREE/src/$1"
	else
		rmdir -p --ignore-fail-on-non-empty "$TREE/src/$(dirname "$1")" 2>/dev/null || :
	fi
}

# sync_overlay: the private tree gets exactly the overlay that the clone has
# now. The list of what is ours is written before the tree is touched, as the
# union of old and new: a sync that was killed is completed by the next one.
sync_overlay()
{
	local file old=$TREE/manifest new=$TREE/manifest.new
	mm_restore
	touch "$old"
	overlay_files >"$new"
	if [ -z "${KSRC:-}" ]; then
		{ comm -13 "$old" "$new"; hook_files; } |
			while read -r file; do keep_original "$file"; done
	fi
	sort -u "$old" "$new" >"$old.union"
	mv "$old.union" "$old"
	copy_overlay "$new" "$TREE/src"
	comm -23 "$old" "$new" | while read -r file; do restore_original "$file"; done
	for file in $(hook_files); do
		hook_file "$file" "$ORIG/$file" "$TREE/src/$file"
	done
	mv "$new" "$old"
}

# apply_to TREE: nothing is changed when one of the hooks does not fit
apply_to()
{
	local dest=$1 file list work
	[ -f "$dest/Makefile" ] && [ -d "$dest/drivers/gpu/drm" ] ||
		die "$dest is not a Linux kernel tree"
	work=$(mktemp -d)
	# shellcheck disable=SC2064 # the name of now is meant
	trap "rm -rf '$work'" EXIT
	for file in $(hook_files); do
		mkdir -p "$work/$(dirname "$file")"
		hook_file "$file" "$dest/$file" "$work/$file"
	done
	list=$work/overlay-files
	overlay_files >"$list"
	copy_overlay "$list" "$dest"
	for file in $(hook_files); do
		put_if_changed "$dest/$file" <"$work/$file"
	done
	say "$(wc -l <"$list") files and the hook lines are in $dest"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	[ $# -eq 1 ] && [ -n "$1" ] || die "which tree? (make apply KSRC=/path/to/linux)"
	[ -d "$1" ] || die "$1: no such directory"
	apply_to "$(cd "$1" && pwd -P)"
fi

# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Object directories in the cache: one for each kind of kernel, configuration
# and compiler, beside the source that they belong to. Sourced.

# kmake ARG...: the kernel's make
kmake()
{
	make -C "$TREE/src" O="$OBJ" -j"$(nproc)" "$@"
}

# settled COMMAND...: a make that ended by itself, with errors or without, has
# left nothing half done
settled()
{
	local rc=0
	"$@" || rc=$?
	[ "$rc" -ne 2 ] || rm -f "$OBJ/overlay-busy"
	return "$rc"
}

# toolchain: what the objects depend on besides source and configuration
toolchain()
{
	gcc --version | head -n 1
	ld --version | head -n 1
}

# objects_dir KIND: sets OBJ. A new configuration starts from a copy of the
# newest directory of that kind, or of the bench kernel, as most of the objects
# usually stay good; make knows which do not.
objects_dir()
{
	local kind=$1 key old list
	mapfile -t list < <(fragments "$kind")
	key=$({ cat "${list[@]}"; toolchain; printf %s "${MM_KEY:-}"; } | sha256sum | cut -c1-10)
	OBJ=$TREE/$kind-$key
	if [ ! -d "$OBJ" ]; then
		# The newest two stay, for two clones that differ.
		objects_old "$kind" | tail -n +2 | while read -r old; do rm -rf "$old"; done
		old=$(objects_start "$kind" | sed -n 1p)
		need_space "$CACHE" 2 "building a kernel"
		rm -rf "$OBJ.new"
		if [ -n "$old" ]; then
			cp -a "$old" "$OBJ.new"
			rm -f "$OBJ.new/overlay-stamp"
		else
			mkdir -p "$OBJ.new"
		fi
		mv "$OBJ.new" "$OBJ"
	fi
	touch "$OBJ"
}

# objects_start KIND: directories to start from, the best first. One with other
# patches has objects of files that are newer than the original of today.
objects_start()
{
	if mm_is_fixed "$1"; then
		objects_old "${1#mm-}"
		return
	fi
	objects_old "$1"
	[ "$1" = debug ] || objects_old bench
}

# objects_old KIND: the directories of that kind that are there, newest first
objects_old()
{
	local dir
	for dir in "$TREE/$1"-*; do
		[ ! -d "$dir" ] || [[ $dir == *.new ]] || stat -c '%Y %n' "$dir"
	done | sort -rn | cut -d' ' -f2-
}

# full_state KIND: all that asks for more than new modules when it changes
full_state()
{
	local file
	cat "$TREE/src/drivers/gpu/drm/Kconfig" "$TREE/src/drivers/gpu/drm/Makefile" "$KDIR/config.sh"
	toolchain
	overlay_files | grep '/Kconfig' | while read -r file; do cat "$TOP/$file"; done
}

# makefile_state: all that may make for a new or a vanished module
makefile_state()
{
	local file
	{
		overlay_files
		overlay_files | grep -E '/(Makefile|Kbuild)$' | while read -r file; do cat "$TOP/$file"; done
	} | sha256sum
}

# objects_current: was a whole kernel finished there, for this state?
objects_current()
{
	[ -s "$OBJ/overlay-stamp" ] &&
		[ "$(full_state | sha256sum)" = "$(cat "$OBJ/overlay-stamp")" ]
}

# objects_begin: the mark that a build runs. If it is there already, the last
# one was killed, and may have left half an object that looks new: make writes
# the command file of a target after the target, so a target without one, or
# younger than it, is not to be trusted. Images have no such order: they go.
objects_begin()
{
	local file cmd
	if [ ! -e "$OBJ/overlay-busy" ]; then
		touch "$OBJ/overlay-busy"
		return
	fi
	say "the last build was interrupted, removing what it left half done"
	find "$OBJ" -type f \( -name '*.o' -o -name '*.a' -o -name '*.ko' \) |
		while read -r file; do
			cmd=${file%/*}/.${file##*/}.cmd
			if [ ! -s "$file" ] || [ "$file" -nt "$cmd" ]; then
				rm -f "$file" "$cmd"
			fi
		done
	find "$OBJ" -size 0 -name '*.cmd' -delete
	rm -f "$OBJ"/vmlinux* "$OBJ"/.vmlinux* "$OBJ"/arch/x86/boot/bzImage \
		"$OBJ"/arch/x86/boot/compressed/vmlinux* "$OBJ"/overlay-stamp
}

# objects_stamp: the image is whole
objects_stamp()
{
	full_state | sha256sum >"$OBJ/overlay-stamp.new"
	mv "$OBJ/overlay-stamp.new" "$OBJ/overlay-stamp"
}

objects_done()
{
	rm -f "$OBJ/overlay-busy"
}

# configure KIND: an equal configuration is left alone, with its time
configure()
{
	local kind=$1 work=$TREE/kconfig
	logged "$kind configuration" "$work/build.log" make_config "$TREE/src" "$work" "$kind"
	check_config "$work/.config" "$kind"
	put_if_changed "$OBJ/.config" <"$work/.config"
}

# show_warnings LOG: the compiler's words about the overlay; those about the
# rest of the kernel are not ours to mend
show_warnings()
{
	grep -E -A6 '(drm/pagemap/|drm/vsvm/|drm_pagemap|vsvm_drm).*warning:' "$1" |
		sed "s,$TREE/src/,,g" >&2 || :
}

# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Kernel configurations from the fragments beside this file. Sourced.

# fragments KIND
fragments()
{
	case $1 in
	bench)	echo "$KDIR/base.config" ;;
	debug)	echo "$KDIR/base.config"; echo "$KDIR/debug.config" ;;
	*)	die "no kernel is called '$1' (there are: $KINDS)" ;;
	esac
}

# missing_symbols CONFIG FRAGMENT...: lines of the fragments that CONFIG lacks
missing_symbols()
{
	local config=$1
	shift
	awk -v first="$config" '
		FILENAME == first { have[$0] = 1; if (/^CONFIG_/) set[substr($0, 1, index($0, "=") - 1)] = 1; next }
		/^CONFIG_/ && !($0 in have) { print }
		/^# CONFIG_.* is not set$/ && ($2 in set) { print }' "$config" "$@"
}

# check_config CONFIG KIND: name the symbols that were asked for in vain. What
# the tests rely on must be there, or they would pass without looking.
check_config()
{
	local line list bad=0
	mapfile -t list < <(fragments "$2")
	while read -r line; do
		say "not in the $2 kernel's configuration: $line"
		if grep -qxF -- "$line" "$KDIR/debug.config" || [[ $line == CONFIG_DRM_* ]]; then
			bad=1
		fi
	done < <(missing_symbols "$1" "${list[@]}")
	[ "$bad" -eq 0 ] || die "the $2 kernel would lack what its tests need"
}

# make_config SRC WORK KIND: writes WORK/.config
make_config()
{
	local src=$1 work=$2 kind=$3 list
	mkdir -p "$work"
	mapfile -t list < <(fragments "$kind")
	make -s -C "$src" O="$work" tinyconfig
	(cd "$src" && scripts/kconfig/merge_config.sh -m -Q -O "$work" "$work/.config" "${list[@]}")
	make -s -C "$src" O="$work" olddefconfig
}

# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Kernel configurations from the fragments beside this file. Sourced.

# fragments KIND
fragments()
{
	case ${1#mm-} in
	bench)	echo "$KDIR/base.config" ;;
	debug|coverage|consumers|kcsan)
		echo "$KDIR/base.config"; echo "$KDIR/${1#mm-}.config" ;;
	*)	die "no kernel is called '$1' (there are: $KINDS coverage kcsan, and each with mm- before it)" ;;
	esac
}

# missing_symbols CONFIG FRAGMENT...: lines of the fragments that CONFIG lacks. Of
# two fragments with the same symbol the later one is right.
missing_symbols()
{
	local config=$1
	shift
	awk -v first="$config" '
		function symbol() { return /^#/ ? $2 : substr($0, 1, index($0, "=") - 1) }
		FILENAME == first { have[$0] = 1; if (/^CONFIG_/) set[symbol()] = 1; next }
		/^CONFIG_/ || /^# CONFIG_.* is not set$/ {
			if (!(symbol() in asked)) order[++n] = symbol()
			asked[symbol()] = $0
		}
		END {
			for (i = 1; i <= n; i++) {
				line = asked[order[i]]
				if (line ~ /^#/ ? (order[i] in set) : !(line in have)) print line
			}
		}' "$config" "$@"
}

# check_config CONFIG KIND: name the symbols that were asked for in vain. What a
# kind of kernel is there for must be in it, or its tests would pass without looking.
check_config()
{
	local line list bad=0
	mapfile -t list < <(fragments "$2")
	while read -r line; do
		say "not in the $2 kernel's configuration: $line"
		if ! grep -qxF -- "$line" "$KDIR/base.config" || [[ $line == CONFIG_DRM_* ]]; then
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

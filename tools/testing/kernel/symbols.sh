# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Names for addresses in modules that were unloaded before a trace was printed.
# For reading only: another module may have been loaded at that place. Sourced.

# name_addresses MODULE_DIR TABLE: filter; TABLE has lines "module text-address"
# that the guest wrote, MODULE_DIR is where the modules are
name_addresses()
{
	if [ ! -s "$2" ]; then
		cat
		return
	fi
	awk '
		# The low half is enough for a module, and exact in a double.
		function number(hex,   i, n) {
			hex = tolower(substr(hex, length(hex) - 7))
			for (i = 1; i <= length(hex); i++)
				n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
			return n
		}
		$1 == "symbol" { first[++n] = $3 + number($4); size[n] = number($5); name[n] = $6 " [" $2 "]"; next }
		$1 == "module" { base[++m] = number($3); module[m] = $2; next }
		/^ +0xffffffff[0-9a-f]+$/ {
			at = number($1)
			for (i = m; i > 0; i--) for (j = 1; j <= n; j++)
				if (name[j] ~ ("\\[" module[i] "\\]$") && at >= base[i] + first[j] && at < base[i] + first[j] + size[j]) {
					printf "    %s? (unloaded)\n", name[j]
					next
				}
		}
		{ print }' <(module_symbols "$1" "$2") -
}

module_symbols()
{
	local module base file
	sort -u "$2" | while read -r module base; do
		echo "module $module $base"
	done
	cut -d' ' -f1 "$2" | sort -u | while read -r module; do
		file=$(find "$1" -name "$module.ko" -o -name "${module//_/-}.ko" | head -n 1)
		[ -z "$file" ] || objdump -t "$file" | awk -v module="$module" '
			/ F \.text/ { print "symbol", module, 0, $1, $(NF - 1) ~ /^[0-9a-f]+$/ ? $(NF - 1) : 0, $NF }'
	done
}

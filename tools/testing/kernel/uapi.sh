# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The layout of the user-space interface. Sourced.

# uapi_layout HEADER FLAG OBJECT: each structure as the compiler lays it out
uapi_layout()
{
	local header=$1 flag=$2 object=$3
	{
		echo "#include <drm/$(basename "$header")>"
		sed -n 's/^struct \([a-z_]*\) {$/struct \1 var_\1;/p' "$header"
	} | gcc "$flag" -g -c -isystem "$TREE/headers/install/include" -x c -o "$object" - || return
	pahole "$object" 2>&1
}

# check_uapi: the same for programs of 32 and 64 bits, without holes or padding
check_uapi()
{
	local work header=$TOP/include/uapi/drm/vsvm_drm.h want found rc=0
	work=$(mktemp -d)
	uapi_layout "$header" -m64 "$work/64.o" >"$work/64" || rc=1
	uapi_layout "$header" -m32 "$work/32.o" >"$work/32" || rc=1
	want=$(grep -c '^struct [a-z_]* {$' "$header")
	found=$(grep -c '^struct drm_vsvm_[a-z_]* {' "$work/64")
	[ "$want" -eq "$found" ] || { echo "structures: $found of $want"; rc=1; }
	diff -u "$work/64" "$work/32" || rc=1
	! grep -E 'hole|padding' "$work/64" || rc=1
	rm -rf "$work"
	return $rc
}

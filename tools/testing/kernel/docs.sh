#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Manual pages of what the core's headers and files document by kernel-doc, in
# build/docs/man, and the same as text for Sphinx in build/docs/rst. The kernel's
# own documentation build takes in the overlay's Documentation/ by make apply.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

tree=$("$KDIR/build.sh" source)
out=$BUILD/docs
rm -rf "$out"
mkdir -p "$out/man" "$out/rst"
mapfile -t files < <(overlay_files |
	grep -E '^(include/.*\.h|drivers/gpu/drm/(pagemap|vsvm)/[^/]*\.[ch])$')
cd "$tree" || exit
for file in "${files[@]}"; do
	rst=$out/rst/$(tr / - <<<"${file%.*}").rst
	python3 tools/docs/kernel-doc -rst "$file" >"$rst" 2>/dev/null || die "kernel-doc cannot read $file"
	[ -s "$rst" ] || rm -f "$rst"
	python3 tools/docs/kernel-doc -man "$file" 2>/dev/null
done | awk -v dir="$out/man" '
	/^\.TH / {
		name = $2
		gsub(/"/, "", name)
		gsub(/[^A-Za-z0-9_.-]/, "-", name)
		file = dir "/" name ".9"
	}
	file { print >file }'
pages=$(find "$out/man" -name '*.9' | wc -l)
[ "$pages" -gt 0 ] || die "no kernel-doc was found"
say "$pages manual pages in $out/man (man -l FILE), text for Sphinx in $out/rst"

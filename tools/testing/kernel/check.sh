#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: check.sh [TAP_FILE]
#
# All that can be said about the files without running them: the kernel's style,
# compiler warnings (W=1), sparse, kernel-doc, the layout of the user-space
# interface, shellcheck, licenses, and that no
# path or host name of a machine is in them. Each check must find nothing.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/packages.sh"
. "$KDIR/source.sh"
. "$KDIR/config.sh"
. "$KDIR/apply.sh"
. "$KDIR/objects.sh"
. "$KDIR/sparse.sh"
. "$KDIR/uapi.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES KSRC

c_files()
{
	overlay_files | grep -E '\.[ch]$'
}

# all_files: of the project, without what is ignored or not ours
all_files()
{
	(cd "$TOP" && git ls-files -co --exclude-standard | grep -v '^LICENSES/' |
		while read -r file; do [ ! -f "$file" ] || echo "$file"; done)
}

# In the private tree, so that checkpatch's notes stay out of the clone. One type
# is left out, MACRO_ARG_REUSE: a macro that iterates cannot but use its arguments
# more than once. Trace events have a style of their own, which checkpatch knows
# by the directory include/trace only.
check_checkpatch()
{
	local work clean patch patches=0
	local trace=COMPLEX_MACRO,MACRO_ARG_UNUSED,TRAILING_SEMICOLON,PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE,SPACING
	work=$(mktemp -d)
	c_files >"$work/files"
	(cd "$TREE/src" && xargs -a "$work/files" -d '\n' -P "$(nproc)" -I{} sh -c \
		'skip=MACRO_ARG_REUSE; case $1 in *_trace.h) skip=$skip,$3 ;; esac
		perl scripts/checkpatch.pl --no-tree --strict --show-types --ignore "$skip" -f "$1" >"$2/$$.out" 2>&1' \
		sh {} "$work" "$trace") || :
	find "$KDIR/mm" -name '*.patch' | sort | while read -r patch; do
		(cd "$TREE/src" && perl scripts/checkpatch.pl --no-tree --no-signoff --strict --show-types \
			--ignore UNKNOWN_COMMIT_ID - <"$patch" >"$work/$patches.out" 2>&1) || :
		patches=$((patches + 1))
		echo "$patch" >>"$work/files"
	done
	cat "$work"/*.out | grep -E -A5 '^(ERROR|WARNING|CHECK):' | grep -vE '^(total:|NOTE:|--|$)' | head -n 150
	# Silence of a script that did not run is no verdict.
	clean=$(cat "$work"/*.out | grep -c '^total: 0 errors, 0 warnings, 0 checks')
	set -- "$clean" "$(wc -l <"$work/files")"
	rm -rf "$work"
	[ "$1" -eq "$2" ] || { echo "clean: $1 of $2 files"; return 1; }
}

# check_compiler KIND: W=1 and sparse over all of the overlay, in a copy of the
# object directory, as other flags would have everything built again
check_compiler()
{
	local kind=$1 log dir dirs=() want
	objects_dir "$kind"
	objects_current || { echo "the $kind kernel is not built or not current"; return 1; }
	rsync -a --delete --exclude=/drivers/gpu/drm/pagemap --exclude=/drivers/gpu/drm/vsvm \
		"$OBJ/" "$TREE/check-$kind/"
	OBJ=$TREE/check-$kind
	log=$OBJ/check.log
	for dir in drivers/gpu/drm/pagemap drivers/gpu/drm/vsvm; do
		rm -rf "${OBJ:?}/$dir"
		dirs+=("$dir/")
	done
	# A limit on the size of copies is not for what copies video memory.
	kmake -k W=1 C=2 CHECK="$SPARSE" CF=-Wno-memcpy-max-count "${dirs[@]}" >"$log" 2>&1 ||
		echo "the build failed: $log"
	grep -E -A6 '(warning|error|Warning|Error):? ' "$log" | grep -vE '^(--|  [A-Z]+ )' |
		sed "s,$TREE/src/,,g" | head -n 100
	want=$(grep -cE '^  CC .* drivers/gpu/drm/(pagemap|vsvm)/' "$log" || :)
	[ "$want" -gt 0 ] || { echo "nothing was compiled"; return 1; }
	[ "$(grep -cE '^  CHECK .*drivers/gpu/drm/(pagemap|vsvm)/' "$log" || :)" -ge "$want" ] ||
		{ echo "sparse did not see all files"; return 1; }
	! grep -qE '(warning|error|Warning|Error):? |\*\*\*' "$log"
}

check_kernel_doc()
{
	local out files rc=0
	mapfile -t files < <(c_files | grep -v '^tools/')
	out=$(cd "$TREE/src" && python3 tools/docs/kernel-doc -none -Wall -Werror "${files[@]}" 2>&1) || rc=$?
	[ -z "$out" ] || sort -u <<<"$out" | head -n 60
	[ "$rc" -eq 0 ] && [ -z "$out" ]
}

# scripts: files that shellcheck can read
scripts()
{
	all_files | while read -r file; do
		if head -n 4 "$TOP/$file" | grep -qaE '^#!.*sh|^# shellcheck shell='; then
			echo "$file"
		fi
	done
}

check_shellcheck()
{
	local files
	mapfile -t files < <(scripts)
	[ "${#files[@]}" -gt 10 ] || { echo "only ${#files[@]} scripts found"; return 1; }
	# 1090, 1091: sourced files are checked by themselves; 2034, 2154: and share
	# variables with who sources them. 2015: "a && b || die" is meant, as die does
	# not come back. 2016: text in single quotes is for awk, or another shell.
	(cd "$TOP" && shellcheck -e SC1090,SC1091,SC2034,SC2154,SC2015,SC2016 "${files[@]}")
}

check_licenses()
{
	local file bad=0 line='SPDX-License-Identifier: (GPL-2\.0-only|\(GPL-2\.0-only WITH Linux-syscall-note\)) OR MIT'
	while read -r file; do
		# Those are mails, and have the license of the file that they are for.
		[[ $file != tools/testing/kernel/mm/*.patch ]] || continue
		head -n 3 "$TOP/$file" | grep -qE "$line" || { echo "$file: no SPDX line"; bad=1; }
	done < <(all_files)
	return "$bad"
}

# Names that stand for nothing (RFC 2606) and this host's own address are fine.
check_machine()
{
	local found
	found=$(all_files | (cd "$TOP" && xargs -d '\n' grep -nIE \
		'(^|[^A-Za-z0-9_}./-])/(home|root|work|Users)/[A-Za-z]|\.debian\.org|https?://[A-Za-z0-9.-]+|\b(10|172|192)\.[0-9]+\.[0-9]+\.[0-9]+\b') |
		grep -vE 'https?://([a-z]+\.invalid|127\.0\.0\.1|(www|docs|lore)\.kernel\.org|spdx\.org)|^tools/testing/kernel/check\.sh:' || :)
	[ -z "$found" ] || { echo "$found"; return 1; }
}

# one NAME COMMAND...
one()
{
	local name=$1 out rc=0 start=$SECONDS
	shift
	COUNT=$((COUNT + 1))
	out=$("$@" 2>&1) || rc=$?
	if [ "$rc" -eq 0 ]; then
		echo "ok $COUNT $name" >>"$TAP"
		say "check: $name: nothing found ($(elapsed $((SECONDS - start))))"
	else
		BAD=$((BAD + 1))
		printf '# %s\nnot ok %s %s\n' "${out//$'\n'/$'\n'# }" "$COUNT" "$name" >>"$TAP"
		printf '%s\n' "$out" >&2
		say "check: $name: NOT CLEAN"
	fi
}

main()
{
	local kind
	TAP=${1:-$BUILD/check.tap} COUNT=0 BAD=0
	mkdir -p "$(dirname "$TAP")"
	printf 'TAP version 13\n1..8\n' >"$TAP"
	need_packages "$PACKAGES_BUILD" "$PACKAGES_CHECK"
	for kind in $KINDS; do
		"$KDIR/build.sh" modules "$kind" || die "the $kind kernel or its modules do not build"
	done
	[ "$(all_files | wc -l)" -gt 50 ] || die "git does not tell which files are the project's"
	cache_lock
	source_tree
	sync_overlay
	sparse_binary
	one checkpatch check_checkpatch
	for kind in $KINDS; do
		one "compiler (W=1) and sparse, $kind kernel" check_compiler "$kind"
	done
	one kernel-doc check_kernel_doc
	one "layout of the user-space interface" check_uapi
	one shellcheck check_shellcheck
	one licenses check_licenses
	one "paths and host names" check_machine
	if [ "$BAD" -eq 0 ]; then
		echo "check: clean, $COUNT checks found nothing"
	else
		echo "check: NOT clean, $BAD of $COUNT checks found something"
		exit 1
	fi
}

main "$@"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: coverage.sh [PART...]
#
# Which lines and branches of the core and of vsvm the tests run, as counted by
# the coverage kernel (gcov) during the parts of test.sh, which are kunit, selftest
# and iommu without arguments. Prints a table, and writes pages to build/coverage/html.
# Fails when a test does, or when too few of the core's lines ran.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/packages.sh"

# Percent of the core's lines that must have run
LIMIT=95

OUT=$BUILD/coverage
DATA=$OUT/data

# merge_counts DIR...: the counts of several runs to DATA, beside the compiler's
# notes that say what was counted
merge_counts()
{
	local dir sum=$OUT/sum
	rm -rf "$DATA" "$sum"
	cp -r "$1" "$sum"
	for dir in "${@:2}"; do
		gcov-tool merge -o "$sum.new" "$sum" "$dir" >"$OUT/merge.log" 2>&1 ||
			die "the counts do not fit together; see $OUT/merge.log"
		rm -rf "$sum"
		mv "$sum.new" "$sum"
	done
	mkdir -p "$DATA"
	rsync -r "$OUT/notes/" "$sum/" "$DATA/"
	rm -rf "$sum"
}

# uncounted: files that were compiled but have no counts, as their module was
# never loaded; they would be missing from the sums
uncounted()
{
	local file
	(cd "$DATA" && find . -name '*.gcno' -printf '%P\n') | sort | while read -r file; do
		[ ! -e "$OUT/src/${file%.gcno}.c" ] || [ -e "$DATA/${file%.gcno}.gcda" ] || echo "${file%.gcno}.c"
	done
}

# trace: counts to lcov's format, of our files only, whose source is the one that
# was compiled
trace()
{
	local info=$OUT/coverage.info branches="lcov_branch_coverage=1"
	lcov -q --rc "$branches" --capture --directory "$DATA" --output-file "$info.all" &&
	lcov -q --rc "$branches" --output-file "$info.new" --extract "$info.all" \
		'*/drivers/gpu/drm/pagemap/*' '*/drivers/gpu/drm/vsvm/*' '*/include/drm/drm_pagemap*' &&
	sed -E "s,^SF:.*/((drivers/gpu|include)/drm/),SF:$OUT/src/\1," "$info.new" >"$info" &&
	rm -rf "$info.all" "$info.new" "$OUT/html" &&
	genhtml -q --branch-coverage --prefix "$OUT/src" --title "drm_pagemap" --output-directory "$OUT/html" "$info"
}

# table INFO LIMIT: by file and in sum; status 1 if the core is below LIMIT percent
table()
{
	awk -F: -v limit="$2" '
		function percent(hit, all) { return all ? sprintf("%5.1f %%", 100 * hit / all) : "      -" }
		function row(name, lh, lf, bh, bf) {
			printf "%-28s %5d of %5d  %s   %5d of %5d  %s\n", name, lh, lf, percent(lh, lf), bh, bf, percent(bh, bf)
		}
		function part(title, key,   i, f) {
			print "\n" title
			for (i = 1; i <= n; i++) {
				f = file[i]
				if (of[f] != key) continue
				row("  " base[f], lh[f], lf[f], bh[f], bf[f])
				LH[key] += lh[f]; LF[key] += lf[f]; BH[key] += bh[f]; BF[key] += bf[f]
			}
			row("  all", LH[key], LF[key], BH[key], BF[key])
		}
		/^SF:/ {
			at = $2
			file[++n] = at
			of[at] = at ~ /drm\/vsvm\// ? "vsvm" : "core"
			base[at] = at
			sub(/.*\/(pagemap|vsvm|include\/drm)\//, "", base[at])
		}
		/^LF:/ { lf[at] = $2 } /^LH:/ { lh[at] = $2 }
		/^BRF:/ { bf[at] = $2 } /^BRH:/ { bh[at] = $2 }
		END {
			printf "%-28s %14s %25s\n", "", "lines", "branches"
			part("core, drivers/gpu/drm/pagemap", "core")
			part("virtual GPU, drivers/gpu/drm/vsvm", "vsvm")
			printf "\ncore: %s of the lines, %s of the branches (at least %s %% of the lines are wanted)\n", \
				percent(LH["core"], LF["core"]), percent(BH["core"], BF["core"]), limit
			exit !(LF["core"] && 100 * LH["core"] >= limit * LF["core"])
		}' "$1"
}

# not_run INFO: the core's lines that did not run, with their text
not_run()
{
	local file line
	awk -F'[:,]' '/^SF:/ { at = $2 } /^DA:/ && $3 == 0 && at !~ /drm\/vsvm\// { print at, $2 }' "$1" |
		while read -r file line; do
			printf '%s:%s:%s\n' "${file#"$OUT/src/"}" "$line" "$(sed -n "${line}p" "$file")"
		done
}

main()
{
	local rc=0 runs list
	[ $# -gt 0 ] || set -- kunit selftest iommu
	need_packages "$PACKAGES_BUILD" "$PACKAGES_VM" "$PACKAGES_COVERAGE"
	"$KDIR/build.sh" modules coverage
	touch "$OUT/begun"
	KERNEL=coverage "$KDIR/test.sh" "$@" || rc=1
	mapfile -t runs < <(find "$BUILD/vm" -path '*/results/gcov' -newer "$OUT/begun" | sort)
	[ "${#runs[@]}" -gt 0 ] || die "no run left counts"
	merge_counts "${runs[@]}"
	list=$(uncounted)
	[ -z "$list" ] || { say "no counts of: ${list//$'\n'/ }"; rc=1; }
	logged "reading the counts of ${#runs[@]} runs" "$OUT/lcov.log" trace
	table "$OUT/coverage.info" "$LIMIT" || { say "the core's coverage is below $LIMIT %"; rc=1; }
	not_run "$OUT/coverage.info" >"$OUT/not-run"
	say "line by line: $OUT/html/index.html; the core's lines that did not run: $OUT/not-run"
	exit "$rc"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	main "$@"
fi

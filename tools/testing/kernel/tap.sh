# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Test results: (K)TAP files to numbers of leaf cases, and their sum over a run.
# Sourced.

PASSED=0 FAILED=0 SKIPPED=0

# tap_count FILE: "PASSED FAILED SKIPPED", then a line for each failure. A line
# of results that has results deeper than it before it is their sum and does not
# count, except that it fails while they all pass. Fewer results than planned, or
# none, or a program that failed without saying why, are a failure too.
tap_count()
{
	awk '
		function fail(what) { failed++; why = why what "\n" }
		# The level LEVEL ends: was its plan kept, was there anything deeper?
		function finish(level) {
			if (level in plan && seen[level] < plan[level])
				fail(sprintf("planned %d results, got only %d (last: %s)", plan[level], seen[level], last))
			delete plan[level]
			seen[level] = 0
			bad[level] = 0
		}
		BEGIN { deepest = 0 }
		{ sub(/\r$/, ""); match($0, /^ */); level = int(RLENGTH / 4); line = substr($0, RLENGTH + 1) }
		line ~ /^1\.\.[0-9]+/ {
			plan[level] = substr(line, 4) + 0
			if (level > deepest) deepest = level
			if (line ~ /# SKIP/) skipped++
			next
		}
		line ~ /^(not )?ok( |$)/ {
			name = line
			sub(/^(not )?ok *[0-9]* *(- )?/, "", name)
			children = 0
			broken = 0
			for (i = level + 1; i <= deepest; i++) {
				children += seen[i]
				before = failed
				broken += bad[i]
				finish(i)
				broken += failed - before
			}
			last = name
			seen[level]++
			ok = line !~ /^not/ || line ~ /# (TODO|XFAIL)/
			if (level > deepest) deepest = level
			if (children) {
				if (!ok && !broken) fail(name " (all its cases passed)")
			} else if (line ~ /# SKIP/) {
				skipped++
			} else if (ok) {
				passed++
			} else {
				fail(name)
			}
			if (!ok) bad[level]++
			results++
		}
		line ~ /^Bail out!/ { fail(line); results++ }
		line ~ /^# exit status [1-9]/ { status = line }
		END {
			for (i = deepest; i >= 0; i--) finish(i)
			if (!results && !skipped && !failed) fail("no results")
			if (status != "" && !failed) fail("ended with" substr(status, 7))
			printf "%d %d %d\n%s", passed, failed, skipped, why
		}' "$1"
}

# add_tap NAME FILE
add_tap()
{
	local passed failed skipped reason
	{
		read -r passed failed skipped
		PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed)) SKIPPED=$((SKIPPED + skipped))
		while read -r reason; do
			printf 'FAILED: %s: %s\n' "$1" "$reason"
		done
	} < <(tap_count "$2")
	[ "$failed" -eq 0 ] || sed -n '/^# .*not\|^not ok\|^#.*Expected\|^#.*EXPECT/{s/^/    /;p}' "$2" | head -n 10
	if [ "$skipped" -gt 0 ]; then
		grep -E '^ *(not )?ok .*# SKIP' "$2" | sed "s/^ *ok [0-9]* */skipped: $1: /"
	fi
}

# add_fail NAME REASON
add_fail()
{
	FAILED=$((FAILED + 1))
	printf 'FAILED: %s: %s\n' "$1" "$2"
}

add_pass()
{
	PASSED=$((PASSED + 1))
}

# add_status NAME STATUS: of vm.sh, as a case of its own
add_status()
{
	case $2 in
	0)	add_pass ;;
	97)	add_fail "$1" "the kernel log has something bad" ;;
	98)	add_fail "$1" "the virtual machine crashed" ;;
	124)	add_fail "$1" "time limit" ;;
	*)	add_fail "$1" "status $2" ;;
	esac
}

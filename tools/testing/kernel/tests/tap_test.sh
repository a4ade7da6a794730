#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Counting of results: leaf cases only, and nothing that is missing goes unseen.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
. "$KDIR/tap.sh"

# counts NAME WANT [TEXT]: of standard input; TEXT is in the reasons
counts()
{
	cat >"$WORK/tap"
	run tap_count "$WORK/tap"
	same "$1" "$2" "${OUTPUT%%$'\n'*}"
	[ $# -lt 3 ] || says "$1: reason" "$3"
}

counts "a program's plain results" "2 1 1" "second" <<'END'
TAP version 13
1..4
# Starting 4 tests from 1 test cases.
ok 1 first
not ok 2 second
ok 3 third # SKIP not here
ok 4 fourth # XFAIL known
END

kunit='KTAP version 1
1..1
    KTAP version 1
    # Subtest: suite
    1..3
    ok 1 a
        KTAP version 1
        # Subtest: b
        ok 1 v1
        not ok 2 v2
    not ok 2 b
    ok 3 c # SKIP no
not ok 1 suite'
counts "suites and parameters do not count, their cases do" "2 1 1" "v2" <<<"$kunit"
counts "a suite fails by itself" "3 1 1" "suite (all its cases passed)" \
	<<<"${kunit//not ok 2/ok 2}"
counts "a case is missing in a suite" "2 1 0" "planned 3 results, got only 2" \
	<<<"$(grep -v 'not ok\|3 c' <<<"$kunit"; echo '    ok 3 x'; echo 'ok 1 suite')
"
counts "results end early" "1 1 0" "planned 4 results, got only 1" <<'END'
TAP version 13
1..4
ok 1 first
END
counts "nothing ran" "0 1 0" "no results" <<'END'
TAP version 13
END
counts "planned, nothing came" "0 1 0" "planned 2" <<'END'
TAP version 13
1..2
END
counts "all of it skipped" "0 0 1" <<'END'
TAP version 13
1..0 # SKIP no device
END
counts "a program gives up" "1 1 0" "Bail out! stuck" <<'END'
1..1
ok 1 first
Bail out! stuck
END
counts "a program fails without saying why" "1 1 0" "ended with status 139" <<'END'
1..1
ok 1 first
# exit status 139
END
counts "its status adds nothing to a failure" "0 1 0" <<'END'
1..1
not ok 1 first
# exit status 1
END
: >"$WORK/empty"
run tap_count "$WORK/empty"
same "an empty file" "0 1 0" "${OUTPUT%%$'\n'*}"

finish

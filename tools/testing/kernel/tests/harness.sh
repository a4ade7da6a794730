# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# For the tests of the scripts beside this directory: TAP output, a directory
# that goes away at the end. Sourced.

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
unset TRANSPORT

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
COUNT=0 BROKEN=0
echo "TAP version 13"

# result STATUS NAME
result()
{
	COUNT=$((COUNT + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $COUNT $2"
	else
		BROKEN=$((BROKEN + 1))
		echo "not ok $COUNT $2"
	fi
}

# same NAME WANT GOT
same()
{
	local rc=0
	[ "$2" = "$3" ] || rc=1
	[ "$rc" -eq 0 ] || printf '# not what was expected\n#   want: %s\n#   got:  %s\n' "$2" "$3"
	result "$rc" "$1"
}

# run COMMAND...: sets STATUS and OUTPUT (both channels)
run()
{
	STATUS=0
	OUTPUT=$("$@" 2>&1 </dev/null) || STATUS=$?
}

# says NAME TEXT: the last run's output contains TEXT
says()
{
	local rc=0
	[[ $OUTPUT == *"$2"* ]] || rc=1
	[ "$rc" -eq 0 ] || printf '# not said: %s\n#   in: %s\n' "$2" "${OUTPUT//$'\n'/$'\n'#   }"
	result "$rc" "$1"
}

finish()
{
	echo "1..$COUNT"
	[ "$BROKEN" -eq 0 ]
}

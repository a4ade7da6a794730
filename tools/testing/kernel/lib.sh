# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# What all scripts here share: where things are, how to speak, how to stop.
# Sourced, never run.

set -euo pipefail

KDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$KDIR/../../.." && pwd)
BUILD=$TOP/build
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/drm-pagemap
KINDS="bench debug"
# Parts of the clone that go into a kernel tree, at the same path there.
OVERLAY_DIRS="drivers include tools/gpu tools/testing/selftests Documentation"
export LC_ALL=C

say()
{
	printf '== %s\n' "$*" >&2
}

die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# elapsed SECONDS: m:ss
elapsed()
{
	printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# show_errors LOG: of a build, with paths as they are in the clone
show_errors()
{
	local found
	found=$(grep -E -A3 '(: (fatal )?error:|ERROR|undefined|No such file|No space left|Permission denied|^E: )' "$1" |
		grep -vE '^(make(\[|: (\*|Ent|Leav|Tar))|  [A-Z]+ )' | head -n 60)
	[ -n "$found" ] || found=$(tail -n 20 "$1")
	printf '%s\n' "${found//"${TREE:-/dev/null}/src/"/}"
}

# logged TITLE LOG COMMAND...: run with the output in LOG and a line of progress
# now and then, so that a long step is never silent. A failure shows the errors.
logged()
{
	local title=$1 log=$2 pid rc=0 start=$SECONDS next=$((SECONDS + 20))
	shift 2
	mkdir -p "$(dirname "$log")"
	# A process group of its own, so that all of it can be stopped.
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # the number of now is meant
	trap "kill -TERM -- -$pid 2>/dev/null; wait $pid; exit 130" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if [ "$SECONDS" -ge "$next" ]; then
			next=$((SECONDS + 20))
			say "$title: $(wc -l <"$log") steps, $(elapsed $((SECONDS - start)))"
		fi
	done
	wait "$pid" || rc=$?
	trap - INT TERM HUP
	if [ "$rc" -ne 0 ]; then
		show_errors "$log" >&2
		say "$title failed after $(elapsed $((SECONDS - start))); log: $log"
		return "$rc"
	fi
	say "$title: done in $(elapsed $((SECONDS - start)))"
}

# cache_lock: one user of the cache at a time. The lock goes with the process
# and its children, so a killed build frees it once its compilers are gone.
cache_lock()
{
	[ -z "${CACHE_LOCKED:-}" ] || return 0
	mkdir -p "$CACHE" 2>/dev/null || die "cannot create the cache directory $CACHE"
	exec 9>"$CACHE/lock"
	if ! flock -n 9; then
		say "another build uses the cache, waiting for it"
		until flock -w 30 9; do
			say "still waiting for the other build"
		done
	fi
	export CACHE_LOCKED=1
}

# need_space DIR GIB WHAT: stop early, with a figure, instead of in the middle
need_space()
{
	local dir=$1 need=$2 what=$3 have
	mkdir -p "$dir"
	have=$(($(df -Pk "$dir" | awk 'NR == 2 { print $4 }') / 1048576))
	[ "$have" -ge "$need" ] ||
		die "$what needs $need GiB of disk space below $dir, only $have GiB are free"
}

# put_if_changed FILE: standard input to FILE; an equal FILE keeps its time
put_if_changed()
{
	local tmp=$1.new.$$
	cat >"$tmp"
	if cmp -s "$tmp" "$1"; then
		rm -f "$tmp"
	else
		mv -f "$tmp" "$1"
	fi
}

# overlay_files: paths of all overlay files, relative to the clone
overlay_files()
{
	local dir dirs=()
	for dir in $OVERLAY_DIRS; do
		[ ! -d "$TOP/$dir" ] || dirs+=("$dir")
	done
	(cd "$TOP" && find "${dirs[@]}" -type f ! -name '*.o' ! -name '*.ko' \
		! -name '*.cmd' ! -name '*.mod*' ! -name '*~' ! -name '.*' \
		! -name '*.orig' ! -name '*.rej' | sort)
}

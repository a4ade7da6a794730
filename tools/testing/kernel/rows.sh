# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The rows of defects_run in virtual machines of a debug kernel, each judged by what
# it said and by the kernel log. Sourced, with these set:
#
#   KIND	of kernel, debug or mm-debug, with the peer built
#   RUNS	first part of their names
#   OUT		directory for what was seen, with defects_run's table in OUT/list
#   WANTED	" ID ID ", or empty for all
#   SIDE	ours or peer, or empty for both

# DMA debugging says so, and stops, when it gets no memory, which is a test here.
# And a zone of nothing but movable memory is on the second node.
APPEND="movablecore=512M dma_debug=off"
# So that one report does not keep the next from being seen
MULTI="kasan_multi_shot"
IOMMU="-device intel-iommu -device pci-testdev"

# list [HOW]: the rows of the program's table, or the IDs of a kind of test
list()
{
	local how=${1:-} row_id row_how rest
	while IFS=$'\t' read -r row_id row_how rest; do
		[ -z "$WANTED" ] || [[ $WANTED = *" $row_id "* ]] || continue
		if [ -z "$how" ]; then
			printf '%s\t%s\t%s\n' "$row_id" "$row_how" "$rest"
		elif [ "$how" = "$row_how" ]; then
			echo "$row_id"
		fi
	done <"$OUT/list"
}

# boot HOW ID...: one machine for all of them, or for as many as it lives through
boot()
{
	local how=$1 name=$RUNS-$1 append="$APPEND $MULTI" qemu="" limit=$((120 + 60 * ($# - 1)))
	shift
	if [ "$how" = alone ]; then
		# It ends with the first report.
		name+=-$1
		append="$APPEND kasan.fault=panic"
		limit=300
	elif [ "$how" = iommu ]; then
		append+=" intel_iommu=on"
		qemu=$IOMMU
	fi
	say "$how: $*"
	"$KDIR/vm.sh" --kernel "$KIND" --name "$name" --timeout "$limit" --two-nodes --append "$append" --qemu "$qemu" \
		--no-log-check -- defects ${SIDE:+-s "$SIDE"} "$how" "$@" 2>"$OUT/$name.err" || :
	log=$BUILD/vm/$name/console.log
	results=$BUILD/vm/$name/results
	[ -s "$log" ] || die "no machine: $(cat "$OUT/$name.err")"
}

# boots HOW ID...: as many machines as it takes
boots()
{
	local how=$1 id
	shift
	while [ $# -gt 0 ]; do
		boot "$how" "$@"
		# A machine that does not come to the first one will not, either.
		judge "$1"
		shift
		while [ $# -gt 0 ] && grep -q "defects: begin $1 ${SIDE:-ours}" "$log"; do
			judge "$1"
			shift
		done
	done
}

judge()
{
	[ "$SIDE" = peer ] || judge_one "$1" ours
	[ "$SIDE" = ours ] || judge_one "$1" peer
}

# judge_one ID WHICH: from the log and the results of the last machine
judge_one()
{
	local id=$1 which=$2 piece=$OUT/$1.$2.log seen=$OUT/$1.$2 report
	{ grep -m 1 'Linux version' "$log" || :
	  awk -v "from=defects: begin $id $which" -v "to=defects: end $id $which" '
		{ sub(/\r$/, "") }
		substr($0, length($0) - length(from) + 1) == from { inside = 1 }
		inside
		substr($0, length($0) - length(to) + 1) == to { exit }' "$log"; } >"$piece"
	tail -n 1 "$results/$id.$which" >"$seen" 2>/dev/null || :
	if ! grep -q "defects: begin $id $which" "$piece"; then
		printf 'not provoked\tthe machine did not get here\n' >"$seen"
	elif ! report=$("$KDIR/checklog.sh" "$piece"); then
		printf 'fail\t%s\n' "$(sed -n '2s/^[0-9]*:\[ *[0-9.]*\] *//p' <<<"$report" | cut -c1-120)" >"$seen"
		printf '%s\n' "$report" >"$piece.report"
	elif ! grep -q "defects: end $id $which" "$piece"; then
		printf 'fail\tthe machine hung\n' >"$seen"
	elif ! grep -qE '^(pass|fail|not provoked)	' "$seen"; then
		printf 'fail\tthe test ended without a word\n' >"$seen"
	fi
}

# run_rows: all of the list, or those that are wanted
run_rows()
{
	local id
	# shellcheck disable=SC2046 # IDs
	boots together $(list together)
	# shellcheck disable=SC2046
	boots iommu $(list iommu)
	for id in $(list alone); do
		boots alone "$id"
	done
}

# result ID WHICH
result()
{
	if [ -e "$OUT/$1.$2" ]; then
		cut -f1 "$OUT/$1.$2"
	else
		echo "not provoked"
	fi
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# How a run in the virtual machine ends: well, failed, with a bad log, crashed,
# hung. On the bench kernel, as it boots in seconds.

. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

"$KDIR/build.sh" modules bench

# vm OPTION... COMMAND: OUTPUT is what it printed, ERRORS what was said about it
vm()
{
	STATUS=0
	OUTPUT=$("$KDIR/vm.sh" --kernel bench --name scripts "$@" 2>"$WORK/errors" </dev/null) || STATUS=$?
	ERRORS=$(cat "$WORK/errors")
	LOG=$BUILD/vm/scripts/console.log
}

says_error()
{
	OUTPUT=$ERRORS
	says "$@"
}

mkdir "$WORK/a share"
echo "from the host" >"$WORK/a share/file"
vm --timeout 60 --share "$WORK/a share" -- sh -c 'cat /share/file; echo kept >/results/kept; exit 5'
same "the command's status comes back" 5 "$STATUS"
same "its output comes alone" "from the host" "$OUTPUT"
same "its files are kept" kept "$(cat "$BUILD/vm/scripts/results/kept")"
vm --timeout 60 --share "$WORK/a share" -- sh -c 'echo x >/share/file; exit 0'
same "a share cannot be written" "from the host" "$(cat "$WORK/a share/file")"
same "a good run says nothing" "0 " "$STATUS $ERRORS"

vm --timeout 60 -- sh -c 'echo "WARNING: a.c:1 at f" >/dev/kmsg'
same "a bad log fails a good command" 97 "$STATUS"
says_error "and the line is shown" "WARNING: a.c:1 at f"
says_error "and where the log is" "console.log"
vm --timeout 60 --no-log-check -- sh -c 'echo "WARNING: a.c:1 at f" >/dev/kmsg'
same "unless that was wanted" 0 "$STATUS"

vm --timeout 60 -- sh -c 'echo c >/proc/sysrq-trigger; sleep 50'
same "a crash" 98 "$STATUS"
says_error "is told as such" "ended before the command did"

vm --timeout 12 -- sh -c 'echo begun; sleep 1000'
same "a command that hangs" 124 "$STATUS"
same "what it printed came" begun "$OUTPUT"
says_error "is told as such" "limit of 12 s"
same "and the log tells where it was" yes "$(grep -q 'task:sleep' "$LOG" && echo yes || echo no)"

# Programs of the runners in the guest, and what they leave behind
# shellcheck disable=SC2016 # for the guest's shell
vm --timeout 100 -- sh -c '. /usr/bin/lib
	program() { name=$1; run_program "$@"; verdict "$name" end unload_after_program; echo "$(session)" >/results/after.$name; }
	program alone 50 true
	program passed 50 sh -c "sleep 1000 & sleep 1000 & exit 0"
	program failed 50 sh -c "sleep 1000 & exit 1"
	program hung 2 sh -c "(trap : TERM; while :; do sleep 1; done) & sleep 1000"
	program deaf 2 sh -c "trap : TERM; sleep 1000 & while :; do sleep 1; done"
	program limits 50 limited 64 96 sh -c "sleep 1000 & exit 1"
	program late 2 limited 64 96 sh -c "sleep 1000 & sleep 1000"'
tap()
{
	OUTPUT=$(cat "$BUILD/vm/scripts/results/$1.tap")
}
tap alone.run
same "a program that ends alone" "# exit status 0" "$OUTPUT"
tap passed.run
says "who passes, but leaves processes" "# 2 processes left behind"
tap passed.end
says "fails" "not ok 1 end"
for program in failed hung deaf limits late; do
	tap "$program.run"
	says "$program: what is left is told" "left behind: "
	same "$program: and ended" "" "$(cat "$BUILD/vm/scripts/results/after.$program")"
	tap "$program.end"
	says "$program: and all is unloaded" $'\nok 1 end'
done
tap hung.run
says "a time limit" "Bail out! hung: time limit of 2 s"

run env ACCEL=warp "$KDIR/vm.sh" --kernel bench --name scripts -- true
says "an accelerator that nobody knows" "ACCEL=warp: kvm, tcg or icount"
same "stops before it starts" 1 "$STATUS"

run "$KDIR/vm.sh" --kernel bench --name scripts --transport isa -- true
says "a transport that nobody knows" "transport 'isa': local or pci"
same "stops before it starts" 1 "$STATUS"
vm --timeout 60 --transport pci -- sh -c 'modprobe vsvm && ls -d /sys/bus/pci/drivers/vsvm/0* | wc -l'
same "a GPU on PCI is there" "0 1" "$STATUS $OUTPUT"
same "and nothing is said" "" "$ERRORS"
vm --timeout 60 --transport pci --mem 63 -- true
same "what vsvm-device does not like ends the run" 98 "$STATUS"
says_error "with its reason" "vsvm-device: "

finish

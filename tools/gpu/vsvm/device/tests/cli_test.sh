#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# What is wrong with a command line is said in one line, with status 2, before
# QEMU starts. The argument is the path of vsvm-device.

set -u

device=$(realpath "$1")
dir=$(mktemp -d)
trap 'kill "${server:-}" 2> /dev/null; rm -rf "$dir"' EXIT
num=0
failed=0

result() {	# STATUS NAME
	num=$((num + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $num $2"
	else
		echo "not ok $num $2"
		failed=$((failed + 1))
	fi
}

fake() {	# FILE VERSION-LINE: says its version, else leaves a mark
	cat > "$dir/$1" <<- EOF
		#!/bin/sh
		[ "\$1" = -version ] && { echo "$2"; exit 0; }
		touch "$dir/started"
		exit 7
	EOF
	chmod +x "$dir/$1"
}

refused() {	# PATTERN ARGS...
	local pattern=$1 out status
	shift
	rm -f "$dir/started"
	out=$("$device" "$@" 2>&1 < /dev/null)
	status=$?
	[ $status -eq 2 ] && [ "$(wc -l <<< "$out")" -eq 1 ] &&
		grep -qE "^vsvm-device: .*$pattern" <<< "$out" && [ ! -e "$dir/started" ]
	result $? "refused: $pattern"
	[ $status -eq 2 ] && grep -qE "$pattern" <<< "$out" || echo "# status $status: $out"
}

accepted() {	# NAME ARGS...: QEMU starts, and its status is ours
	local name=$1 status
	shift
	rm -f "$dir/started"
	"$device" "$@" > /dev/null 2>&1 < /dev/null
	status=$?
	[ $status -eq 7 ] && [ -e "$dir/started" ]
	result $? "accepted: $name"
}

fake qemu "QEMU emulator version 7.2.22 (Debian 1:7.2)"
fake new "QEMU emulator version 10.0.1"
fake old "QEMU emulator version 7.1.0"
fake ancient "QEMU emulator version 6.9.9"
fake odd "something else"
echo "not a program" > "$dir/plain"
qemu=$dir/qemu

echo "TAP version 13"
refused "QEMU command is missing"
refused "QEMU command is missing" --devices 2 --
refused "not found" -- "$dir/none" -m 512
refused "not found" -- no-such-qemu-at-all -m 512
refused "not executable" -- "$dir/plain" -m 512
refused "version 7.1 is too old" -- "$dir/old" -m 512
refused "version 6.9 is too old" -- "$dir/ancient" -m 512
refused "does not tell its version" -- "$dir/odd" -m 512
refused "have no -m" -- "$qemu" -machine q35
refused "have no -m" -- "$qemu" -append -m
refused "have no -m" -- "$qemu" -m
refused "cannot tell the size of RAM" -- "$qemu" -m lots
refused "cannot tell the size of RAM" -- "$qemu" -m 512X
refused "cannot tell the size of RAM" -- "$qemu" -m slots=2
refused "cannot tell the size of RAM" -- "$qemu" -m 99999999999999999999
refused "machine microvm: must be q35 or pc" -- "$qemu" -m 512 -M microvm
refused "machine isapc: must be q35 or pc" -- "$qemu" -m 512 -machine accel=tcg,type=isapc
refused "memory backend must be left" -- "$qemu" -m 512 -machine q35,memory-backend=x
refused "needs --ram-low" -- "$qemu" -m 512 -machine q35,max-ram-below-4g=1G
refused "RAM of 62 MiB: needs 64 MiB" -- "$qemu" -m 62
refused "must be a multiple of 2 MiB" -- "$qemu" -m 513
refused "too little shared memory: needs [0-9]+ MiB, [0-9]+ MiB are free" -- "$qemu" -m 900T
refused "too little shared memory" --devices 8 --vram 65536 -- "$qemu" -m 512
refused "vram 3: must be even, 2 to 65536" --vram 3 -- "$qemu" -m 512
refused "vram 0: must be even" --vram 0 -- "$qemu" -m 512
refused "vram 65538: must be even" --vram 65538 -- "$qemu" -m 512
refused "vram x: not a number" --vram x -- "$qemu" -m 512
refused "devices 0: must be 1 to 8" --devices 0 -- "$qemu" -m 512
refused "devices 9: must be 1 to 8" --devices 9 -- "$qemu" -m 512
refused "ram-low 1024: must be" --ram-low 1024 -- "$qemu" -m 512
refused "ram-low 3: must be" --ram-low 3 -- "$qemu" -m 512
refused "daemonize" -- "$qemu" -m 512 -daemonize
refused "too little shared memory" -- "$qemu" -m 17592186044414M
refused "nonsense: unknown option" --nonsense -- "$qemu" -m 512
refused "vram: unknown option, or without" --vram
refused "serve needs --ram" --serve "$dir"
refused "serve starts no command" --serve "$dir" --ram 64 -- "$qemu"
refused "ram is for --serve" --ram 64 -- "$qemu" -m 512
refused "ram 5x: not a size" --serve "$dir" --ram 5x
refused "No such file" --serve "$dir/none" --ram 64
refused "too little shared memory" --serve "$dir" --ram 900T
accepted "-m 512" -- "$qemu" -m 512
accepted "-m 512M" -- "$qemu" -machine pc-q35-7.2,accel=tcg -m 512M
accepted "-m size=1G,slots=2" -- "$qemu" -M pc -m size=1G,slots=2
accepted "all there is" --devices 8 --vram 2 --hotplug --guest-control -- "$qemu" -M q35 -m 64
accepted "newer" --devices 8 --vram 2 -- "$dir/new" -machine type=q35 -m 512 -m 64
accepted "max-ram-below-4g" --ram-low 512 -- "$qemu" -m 1G -M q35,max-ram-below-4g=512M

"$device" --serve "$dir" --ram 64 --devices 2 2> /dev/null &
server=$!
for _ in $(seq 50); do
	[ -S "$dir/gpu1.sock" ] && break
	sleep 0.1
done
refused "socket $dir/gpu0.sock is taken by a running process" --serve "$dir" --ram 64
kill -9 "$server"
wait "$server" 2> /dev/null
[ -S "$dir/gpu0.sock" ]
result $? "a dead server leaves its socket"
"$device" --serve "$dir" --ram 64 --devices 2 2> /dev/null &
server=$!
sleep 0.5
kill -0 "$server"
result $? "a stale socket is no hindrance"
kill "$server"
wait "$server" 2> /dev/null
[ -z "$(find "$dir" -name 'gpu*' -o -name ram)" ]
result $? "nothing is left behind"

mkdir "$dir/file"
touch "$dir/file/gpu1.sock"
refused "gpu1.sock: Address already in use" --serve "$dir/file" --ram 64 --devices 2
[ "$(ls -A "$dir/file")" = gpu1.sock ]
result $? "a file that is no socket stays, and nothing else"

mkfifo "$dir/pipe"
exec 3<> "$dir/pipe"
exec 4> "$dir/pipe"
exec 3>&-
"$device" --serve "$dir" --ram 64 2>&4 &
server=$!
sleep 0.5
kill -0 "$server"
result $? "who does not read its messages does not end it"
kill "$server"
wait "$server" 2> /dev/null

echo "1..$num"
exit $((failed > 0))

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: demo.sh [FILE]
#
# Runs the demonstration on the bench kernel: FILE, or the kernel's own image, is
# read-only in the virtual machine and the work of the virtual GPU. Exit status:
# the demonstration's.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

input=${1:-}
if [ -n "$input" ]; then
	[ -e "$input" ] || die "INPUT=$input: no such file"
	[ -f "$input" ] || die "INPUT=$input is not a file"
	[ -r "$input" ] || die "INPUT=$input cannot be read"
fi
"$KDIR/build.sh" modules bench
[ -n "$input" ] || input=$BUILD/bench/vmlinux
[ -x "$BUILD/user/vsvm-demo" ] || die "there is no vsvm-demo in tools/gpu/vsvm"
input=$(realpath -e "$input")
say "vsvm-demo on $input ($(($(stat -c %s "$input") / 1048576)) MiB), in a virtual machine"
rc=0
# shellcheck disable=SC2016 # for the guest's shell
"$KDIR/vm.sh" --kernel bench --name demo --timeout "${DEMO_TIMEOUT:-300}" --share "$(dirname "$input")" -- \
	sh -c 'modprobe vsvm && exec vsvm-demo "/share/$1"' sh "$(basename "$input")" || rc=$?
exit "$rc"

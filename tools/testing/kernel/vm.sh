#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: vm.sh [OPTION...] -- COMMAND...
#
#  --kernel KIND     bench, debug, ... (default debug), as built by build.sh
#  --name NAME       of the run; its files are in build/vm/NAME/ (a link to the last)
#  --timeout S       limit for the whole run, boot included (default 300)
#  --mem MIB         memory (default: bench 2048, debug 3072)
#  --cpus N          processors (default 2)
#  --two-nodes       two NUMA nodes, each with half of the memory and of the processors
#  --share DIR       read-only in the guest as /share; a second one is /share2, ...
#  --append ARGS     more kernel command line
#  --transport T     local (the virtual GPU is in the guest's kernel) or pci (two GPUs
#                    are PCI functions, their hardware is the process vsvm-device;
#                    default: TRANSPORT, or local)
#  --device-args A   more arguments for vsvm-device, split at white space
#  --reboot          a reset of the guest boots it again instead of ending the run
#  --images          the guest finds its kernel and root file system in /results/images
#  --qemu ARGS       more arguments for QEMU, split at white space
#  --leaks           debug kernel: look for leaked memory after the command
#  --no-log-check    do not judge the kernel log (for runs that must break something)
#  --progress        a line every half a minute, on standard error
#  --interactive     a shell on this terminal instead of a command
#
# Runs COMMAND in a virtual machine. What it prints comes out here, and nothing
# else; files that it leaves in /results are found in build/vm/NAME/results/.
# Exit status: that of COMMAND, or 124 after the time limit, 98 when the machine
# ended without a word, 97 when COMMAND was content but the kernel log is not.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/packages.sh"
. "$KDIR/accel.sh"
. "$KDIR/initramfs.sh"

kind=debug name="" limit=300 mem="" cpus=2 two_nodes=0 append="" extra="" leaks=0 check=1 interactive=0 progress=0
transport=${TRANSPORT:-local} device_args="" reboot=0 images=0
shares=()

parse()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--kernel)	kind=$2; shift ;;
		--name)		name=$2; shift ;;
		--timeout)	limit=$2; shift ;;
		--mem)		mem=$2; shift ;;
		--cpus)		cpus=$2; shift ;;
		--two-nodes)	two_nodes=1 ;;
		--share)	shares+=("$(realpath -e "$2")"); shift ;;
		--append)	append=$2; shift ;;
		--qemu)		extra=$2; shift ;;
		--transport)	transport=$2; shift ;;
		--device-args)	device_args=$2; shift ;;
		--reboot)	reboot=1 ;;
		--images)	images=1 ;;
		--leaks)	leaks=1 ;;
		--no-log-check)	check=0 ;;
		--progress)	progress=1 ;;
		--interactive)	interactive=1 ;;
		--)		shift; break ;;
		*)		die "vm.sh: what is '$1'? (see the head of the script)" ;;
		esac
		shift
	done
	command=("$@")
	[ $# -gt 0 ] || [ "$interactive" -eq 1 ] || die "vm.sh: no command"
	case $transport in
	local)	;;
	pci)	[ -x "$BUILD/host/vsvm-device" ] || die "vsvm-device is not built (build.sh user)" ;;
	*)	die "transport '$transport': local or pci" ;;
	esac
	[ -s "$BUILD/$kind/bzImage" ] || die "the $kind kernel is not built (build.sh kernel $kind)"
	if [ -z "$mem" ]; then
		mem=2048
		[ "${kind#mm-}" = bench ] || mem=3072
	fi
	[ -n "$name" ] || name=$kind
}

# make_run: the directory of this run, with all that the machine needs
make_run()
{
	local i tag=share tags="" settings rows=24 columns=80
	mkdir -p "$BUILD/vm"
	# Ten runs of a name are kept.
	find "$BUILD/vm" -maxdepth 1 -type d -name "$name.*" | sort -r | tail -n +10 | xargs -r rm -rf
	run=$BUILD/vm/$name.$(date +%Y%m%d-%H%M%S).$$
	settings=$run/settings
	mkdir -p "$run/results" "$settings"
	ln -sfn "${run##*/}" "$BUILD/vm/$name"
	virtfs=()
	for i in "${!shares[@]}"; do
		[ "$i" -eq 0 ] || tag=share$((i + 1))
		tags+=" $tag"
		[ -d "${shares[i]}" ] || die "--share ${shares[i]}: not a directory"
		virtfs+=(-virtfs "local,path=${shares[i]//,/,,},mount_tag=$tag,security_model=none,readonly=on")
	done
	[ "$interactive" -eq 0 ] || read -r rows columns < <(stty size 2>/dev/null || echo 24 80)
	[ ${#command[@]} -eq 0 ] || printf '%q ' "${command[@]}" >"$settings/command"
	cat >"$settings/settings" <<-END
		SHARES="$tags"
		LEAKS=$leaks
		INTERACTIVE=$interactive
		ROWS=$rows
		COLUMNS=$columns
	END
	exec 7>"$BUILD/lock"
	flock -s 7
	cp --reflink=auto "$BUILD/$kind/bzImage" "$run/bzImage"
	make_initramfs "$kind" "$run/initramfs" "$settings"
	exec 7>&-
	if [ "$images" -eq 1 ]; then
		mkdir -p "$run/results/images"
		ln "$run/bzImage" "$run/initramfs" "$run/results/images/"
	fi
	log=$run/console.log
}

# node_args: for QEMU, the memory and the processors as two nodes, one a socket
node_args()
{
	local node
	for node in 0 1; do
		printf '%s ' -object "memory-backend-ram,id=node$node,size=$((mem / 2))M" \
			-numa "node,memdev=node$node" -numa "cpu,node-id=$node,socket-id=$node"
	done
}

# kernel_args: the kernel's command line
kernel_args()
{
	# Nothing goes on after an oops: what holds locks then would only hang.
	printf '%s ' console=ttyS0 loglevel=7 oops=panic panic=-1 sysrq_always_enabled=1
	# On a busy host without KVM seconds of silence are no fault.
	printf '%s ' rcupdate.rcu_cpu_stall_timeout=60 workqueue.watchdog_thresh=60
	# Nor is a timer that does not tick while the kernel looks whether it does.
	printf '%s ' no_timer_check
	# Else a driver that finds no GPU on PCI would make one up.
	[ "$transport" != pci ] || printf '%s ' vsvm.transport=pci
	# With five levels of page tables KASAN reports a wild access when an
	# interrupt comes while identify_cpu() has the feature bits cleared.
	printf '%s ' no5lvl
}

qemu_args()
{
	accel=$(accel_args "$run/bzImage" "$run/initramfs")
	mapfile -t accel <<<"$accel"
	# What the tests print goes by a channel of its own; the serial line is the
	# kernel's, and keys are sent to it by the monitor when a run hangs.
	# QEMU opens both ends of a "pipe" by name, so the out end may be a file.
	mkfifo "$pipes/monitor.in" "$pipes/kernel.in"
	touch "$log" "$run/monitor"
	ln -s "$log" "$pipes/kernel.out"
	ln -s "$run/monitor" "$pipes/monitor.out"
	# shellcheck disable=SC2054 # the commas are QEMU's
	args=(-machine q35 -m "$mem" -smp "$cpus,sockets=$((1 + two_nodes))" "${accel[@]}"
		-nodefaults -no-user-config -display none
		-kernel "$run/bzImage" -initrd "$run/initramfs"
		-append "$(kernel_args) $append"
		-chardev "pipe,id=kernel,path=$pipes/kernel" -serial chardev:kernel
		-chardev "pipe,id=monitor,path=$pipes/monitor" -mon chardev=monitor
		-chardev stdio,id=output,signal=off
		-device virtio-serial-pci -device virtio-rng-pci
		-virtfs "local,path=${run//,/,,}/results,mount_tag=results,security_model=none"
		"${virtfs[@]}")
	[ "$reboot" -eq 1 ] || args+=(-no-reboot)
	if [ "$interactive" -eq 1 ]; then
		args+=(-device "virtconsole,chardev=output")
	else
		args+=(-device "virtserialport,chardev=output,name=output")
	fi
	[ "$two_nodes" -eq 0 ] || extra+=" $(node_args)"
	# shellcheck disable=SC2206 # to be split
	args+=($extra)
	qemu=(qemu-system-x86_64)
	if [ "$transport" = pci ]; then
		# With a kernel that looks for errors, a process that does.
		local device=$BUILD/host/vsvm-device
		[ "${kind#mm-}" = bench ] || device+=-asan
		# shellcheck disable=SC2206 # to be split
		qemu=("$device" --devices 2 $device_args -- "${qemu[@]}")
	fi
}

# ask_where: before a hung machine is killed, the kernel tells what each task
# waits for (t, w), which locks are held (d), and where the processors are (l)
ask_where()
{
	local key
	for key in w t d l; do
		echo "chardev-send-break kernel" >&5
		sleep 0.3
		printf '%s' "$key" >&6
		sleep 1.5
	done
	echo "info registers -a" >&5
	sleep 1
}

# sample_host PID: of vsvm-device's children, "SECONDS NAME DESCRIPTORS KIB" each
# in the file host of the run, for tests that run for long
sample_host()
{
	local child
	for child in $(pgrep -P "$1"); do
		echo "$SECONDS $(tr ' ' - <"/proc/$child/comm") $(find "/proc/$child/fd" -type l | wc -l)" \
			"$(awk '/^RssAnon/ { print $2 }' "/proc/$child/status")" >>"$run/host"
	done 2>/dev/null
}

# watch PID: wait for QEMU to end, not longer than the limit
watch()
{
	local pid=$1 start=$SECONDS end=$((SECONDS + limit)) next=$((SECONDS + 30)) sample=$((SECONDS + 60))
	while kill -0 "$pid" 2>/dev/null; do
		if [ "$transport" = pci ] && [ "$SECONDS" -ge "$sample" ]; then
			sample=$((SECONDS + 30))
			sample_host "$pid" || :
		fi
		if [ "$progress" -eq 1 ] && [ "$SECONDS" -ge "$next" ]; then
			next=$((SECONDS + 30))
			say "$name: $(elapsed $((SECONDS - start))), $(cat "$run"/results/*.tap 2>/dev/null |
				grep -c '^ *ok ' || :) results are good so far"
		fi
		if [ "$SECONDS" -ge "$end" ]; then
			timed_out=1
			ask_where
			echo quit >&5
			sleep 2
			kill -KILL "$pid" 2>/dev/null || :
			break
		fi
		sleep 0.1
	done
	wait "$pid" || :
}

# verdict: the exit status, with the reason on standard error
verdict()
{
	local status="" rc=0
	status=$(cat "$run/results/.status" 2>/dev/null || :)
	if [ "$timed_out" -eq 1 ]; then
		say "$name: stopped after the limit of $limit s; the log ends with what each task was doing"
		rc=124
	elif [ -z "$status" ]; then
		say "$name: the virtual machine ended before the command did"
		cat "$run/qemu.err" >&2
		rc=98
	else
		rc=$status
	fi
	if [ "$check" -eq 1 ] && ! "$KDIR/checklog.sh" "$log" "$run/results/kmemleak" "$BUILD/$kind/root" >&2; then
		[ "$rc" -ne 0 ] || rc=97
	fi
	[ "$rc" -eq 0 ] || say "$name: status $rc; kernel log: $log"
	return "$rc"
}

main()
{
	local pid rc=0
	parse "$@"
	need_packages "$PACKAGES_VM"
	timed_out=0
	make_run
	pipes=$(mktemp -d)
	trap 'rm -rf "$pipes" "$run/initramfs" "$run/bzImage" "$run/results/images"' EXIT
	qemu_args
	exec 5<>"$pipes/monitor.in" 6<>"$pipes/kernel.in"
	if [ "$interactive" -eq 1 ]; then
		"${qemu[@]}" "${args[@]}" 2>"$run/qemu.err" 9>&- || :
	else
		# Its standard input must be open and silent: at an end of file
		# QEMU would close the channel that the output comes by.
		mkfifo "$pipes/nothing"
		exec 4<>"$pipes/nothing"
		"${qemu[@]}" "${args[@]}" <&4 2>"$run/qemu.err" 9>&- &
		pid=$!
		trap 'kill -KILL "$pid" 2>/dev/null; exit 130' INT TERM HUP
		watch "$pid"
		trap - INT TERM HUP
	fi
	verdict || rc=$?
	exit "$rc"
}

main "$@"

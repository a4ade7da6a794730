# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# How QEMU runs the processors. A /dev/kvm that is there may still not run an
# ordinary kernel, so KVM is used only after a kernel booted with it; the answer
# holds until the host boots again. Sourced.

# accel_args BZIMAGE INITRAMFS: QEMU's arguments, one per line
accel_args()
{
	case ${ACCEL:-$(probe_accel "$@")} in
	kvm)	printf '%s\n' -accel kvm -cpu host ;;
	# With ERMS the kernel copies by "rep movsb", which TCG does a byte at a time.
	tcg)	printf '%s\n' -accel tcg,thread=multi -cpu max,-erms,-fsrm ;;
	# Time is what was executed: a nanosecond for each instruction.
	icount)	printf '%s\n' -accel tcg,thread=single -icount shift=0,sleep=off -cpu max,-erms,-fsrm ;;
	*)	die "ACCEL=$ACCEL: kvm, tcg or icount" ;;
	esac
}

# probe_accel BZIMAGE INITRAMFS: kvm or tcg
probe_accel()
{
	local known found=tcg
	if [ ! -w /dev/kvm ]; then
		echo tcg
		return
	fi
	known=$CACHE/accel-$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -s "$known" ]; then
		if timeout -k 1 20 qemu-system-x86_64 -accel kvm -cpu host -m 1024 -nodefaults \
			-display none -no-reboot -serial stdio -kernel "$1" -initrd "$2" \
			-append "console=ttyS0 panic=-1 quiet vm.probe" </dev/null 2>/dev/null 9>&- |
			grep -q 'vm: probe booted'; then
			found=kvm
		fi
		mkdir -p "$CACHE"
		rm -f "$CACHE"/accel-*
		echo "$found" >"$known"
	fi
	cat "$known"
}

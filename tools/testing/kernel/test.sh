#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# usage: test.sh PART...
#
# Runs the parts (scripts, hwtest, device, kunit, selftest, pci, iommu, vram, demo,
# consumers, tools, path, check, stress, fuzz, and those of long.sh) and ends with one
# line "N passed, N failed" that counts the cases of all of
# them. A part goes on after a failure in another, so that one run tells everything.
# KERNEL is the kind of kernel for what runs in one, if it is not to be debug; SELFTESTS
# are the programs of the part selftest, if it is not to be all of them; PARAMETERS
# are more of vsvm's for stress; WITHIN is a command to run each self-test by.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$KDIR/packages.sh"
. "$KDIR/tap.sh"
. "$KDIR/pci.sh"
. "$KDIR/long.sh"

# built COMMAND...: build.sh, once for each set of arguments
built()
{
	if [ "${done_builds#*"|$*|"}" = "$done_builds" ]; then
		"$KDIR/build.sh" "$@" || return
		done_builds+="|$*|"
	fi
}
done_builds=""
# More arguments for vm.sh
vm_args=()
KERNEL=${KERNEL:-debug}

# in_vm NAME LIMIT RUNNER TEST...: a guest's test runner on that kernel. A
# crash or a hang costs the test that it came in; the rest goes on in a new
# machine.
in_vm()
{
	local name=$1 limit=$2 runner=$3 test rc before=$PASSED
	shift 3
	[ "$KERNEL" = debug ] || name=$KERNEL-$name
	while [ $# -gt 0 ]; do
		rc=0
		say "$name: $# programs in a virtual machine (limit $limit s)"
		"$KDIR/vm.sh" --kernel "$KERNEL" --name "$name" --timeout "$limit" --leaks --progress "${vm_args[@]}" -- \
			${WITHIN:+env "WITHIN=$WITHIN"} "$runner" "$@" || rc=$?
		add_results "$name"
		add_status "$name, kernel log and end" "$rc"
		case $rc in
		98|124)	drop_done "$name" "$@"; set -- "${LEFT[@]}" ;;
		*)	set -- ;;
		esac
	done
	[ "$PASSED" -gt "$before" ] || add_fail "$name" "no test passed"
}

# add_results NAME: of the last run of that name
add_results()
{
	local file
	for file in "$BUILD/vm/$1/results"/*.tap; do
		[ ! -e "$file" ] || add_tap "$(basename "$file" .tap)" "$file"
	done
}

# drop_done NAME TEST...: sets LEFT, those that the last run did not come to
drop_done()
{
	local test dir=$BUILD/vm/$1/results
	shift
	LEFT=()
	for test; do
		[ -e "$dir/$test.load.tap" ] || LEFT+=("$test")
	done
	# A machine that does not even come up would do so for ever.
	[ "${#LEFT[@]}" -lt $# ] || LEFT=()
}

part_kunit()
{
	local list
	built modules "$KERNEL" || { add_fail kunit "the $KERNEL kernel or its modules do not build"; return; }
	mapfile -t list < <(cd "$BUILD/$KERNEL/root" && find . -name '*_kunit.ko' -printf '%f\n' | sort)
	[ "${#list[@]}" -gt 0 ] || { add_fail kunit "there are no KUnit modules"; return; }
	# Memory that the kernel leaves alone plays a device's, which the CPU reaches.
	vm_args=(--transport local --two-nodes --qemu "-device intel-iommu"
		--append 'intel_iommu=on memmap=2M$0x60000000 drm_pagemap_kunit.coherent=0x60000000')
	in_vm kunit 1200 kunit "${list[@]%.ko}"
	vm_args=()
}

part_selftest()
{
	local list
	built modules "$KERNEL" || { add_fail selftest "the $KERNEL kernel or its modules do not build"; return; }
	mapfile -t list < <(find "$BUILD/tests" -name '*_test' -type f ! -name pci_test ! -name frozen_test \
		-printf '%f\n' | sort)
	[ -z "${SELFTESTS:-}" ] || read -ra list <<<"$SELFTESTS"
	[ "${#list[@]}" -gt 0 ] || { add_fail selftest "there are no self-tests"; return; }
	if [ "${TRANSPORT:-local}" = pci ]; then
		[ -n "${SELFTESTS:-}" ] || list+=(pci_test frozen_test)
		vm_args=(--device-args "$PCI_DEVICE_ARGS")
	fi
	in_vm selftest 3600 selftest "${list[@]}"
	vm_args=()
}

# The model check for long, with less VRAM than it works on
part_stress()
{
	local rc=0 name=stress seconds=${SECONDS_OF_STRESS:-600}
	built modules "$KERNEL" || { add_fail stress "the $KERNEL kernel or its modules do not build"; return; }
	[ "$KERNEL" = debug ] || name=$KERNEL-$name
	"$KDIR/vm.sh" --kernel "$KERNEL" --name "$name" --timeout $((seconds * 4 + 600)) --leaks --progress -- \
		sh -c "modprobe zram; modprobe vsvm vram_mb=16 devices=2 ${PARAMETERS:-} && VSVM_SECONDS=$seconds /tests/model_test >/results/model_test.tap && unload" || rc=$?
	add_results "$name"
	add_status "stress, kernel log and end" "$rc"
	if grep -q 'an interrupt got lost' "$BUILD/vm/$name/console.log"; then
		add_fail stress "an interrupt got lost"
	else
		add_pass
	fi
	[ "${TRANSPORT:-local}" != pci ] || pci_host_leaks "$name"
}

# Every ioctl with random structures, for long
part_fuzz()
{
	local rc=0 seconds=${SECONDS_OF_STRESS:-600}
	built modules "$KERNEL" || { add_fail fuzz "the $KERNEL kernel or its modules do not build"; return; }
	"$KDIR/vm.sh" --kernel "$KERNEL" --name fuzz --timeout $((seconds + 900)) --leaks --progress -- \
		sh -c "export VSVM_SECONDS=$seconds; selftest -t $((seconds + 300)) fuzz_test" || rc=$?
	add_results fuzz
	add_status "fuzz, kernel log and end" "$rc"
}

# DMA by IO virtual addresses, which a platform device never does
part_iommu()
{
	built modules "$KERNEL" || { add_fail iommu "the $KERNEL kernel or its modules do not build"; return; }
	vm_args=(--transport local --append intel_iommu=on --qemu "-device intel-iommu -device pci-testdev")
	in_vm iommu 600 iommu migrate_test gem_test
	vm_args=()
}

part_demo()
{
	local rc=0
	"$KDIR/demo.sh" || rc=$?
	add_status demo "$rc"
}

# As much data as VRAM, and four times as much, each byte compared
part_vram()
{
	local mb rc
	built modules bench || { add_fail vram "the bench kernel or its modules do not build"; return; }
	for mb in 256 64; do
		rc=0
		say "256 MiB of data in $mb MiB of VRAM"
		"$KDIR/vm.sh" --kernel bench --name "vram-$mb" --timeout 600 --mem 3072 -- \
			sh -c "modprobe vsvm vram_mb=$mb && exec vsvm-demo --size 268435456 --no-unbind" || rc=$?
		add_status "256 MiB of data in $mb MiB of VRAM" "$rc"
	done
}

# The hardware's tests, as a program of its own with sanitizers
part_hwtest()
{
	local out=$BUILD/hwtest
	mkdir -p "$out"
	make -s -C "$TOP/tools/gpu/vsvm/hwtest" OUT="$out" run >"$out/hwtest.tap" </dev/null ||
		echo "# exit status $?" >>"$out/hwtest.tap"
	add_tap hwtest "$out/hwtest.tap"
}

# The scripts' own tests
part_scripts()
{
	local script out
	mkdir -p "$BUILD/scripts"
	built modules bench || { add_fail scripts "the bench kernel or its modules do not build"; return; }
	for script in "$KDIR"/tests/*_test.sh; do
		out=$BUILD/scripts/$(basename "$script" .sh).tap
		say "$(basename "$script")"
		bash "$script" >"$out" </dev/null || echo "# exit status $?" >>"$out"
		add_tap "$(basename "$out" .tap)" "$out"
	done
}

# The kernel's own users of the core
part_consumers()
{
	local out=$BUILD/consumers.tap
	"$KDIR/consumers.sh" "$out" || :
	add_tap consumers "$out"
}

# Instructions of a GPU fault, against the kernel's own helper
part_path()
{
	local out=$BUILD/path.tap
	"$KDIR/path.sh" "$out" || :
	add_tap path "$out"
}

# The tools that people have for GPUs
part_tools()
{
	local out=$BUILD/tools.tap
	"$KDIR/tools.sh" "$out" || :
	add_tap tools "$out"
}

part_check()
{
	local out=$BUILD/check.tap
	"$KDIR/check.sh" "$out" || :
	add_tap check "$out"
}

main()
{
	local part start=$SECONDS before
	for part; do
		before=$FAILED
		"part_$part" >&2
		say "$part: $((FAILED - before)) failed, $(elapsed $((SECONDS - start))) so far"
	done
	[ "$SKIPPED" -eq 0 ] || say "$SKIPPED skipped"
	echo "$PASSED passed, $FAILED failed"
	[ "$FAILED" -eq 0 ]
}

main "$@"

# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# The tests of a GPU whose hardware is a process outside the virtual machine. For
# test.sh: sourced, with what that has.

# What vsvm-device must do for pci_test and the guest's script pci
PCI_DEVICE_ARGS="--hotplug --guest-control"

# part_device: the process alone, with a guest that is a program, under sanitizers
part_device()
{
	local out=$BUILD/device
	mkdir -p "$out"
	need_packages "$PACKAGES_BUILD"
	make -s -C "$TOP/tools/gpu/vsvm/device" OUT="$out" run >"$out/device.tap" </dev/null ||
		echo "# exit status $?" >>"$out/device.tap"
	add_tap device "$out/device.tap"
	make -s -C "$TOP/tools/gpu/vsvm/device" OUT="$out" cli >"$out/cli.tap" </dev/null ||
		echo "# exit status $?" >>"$out/cli.tap"
	add_tap device-cli "$out/cli.tap"
}

# pci_vm NAME OPTION... -- COMMAND...: a run of its own on the bench kernel
pci_vm()
{
	local name=pci-$1 rc=0
	shift
	say "$name"
	"$KDIR/vm.sh" --kernel bench --name "$name" --transport pci --timeout 120 --mem 1024 "$@" || rc=$?
	add_results "$name"
	add_status "$name, kernel log and end" "$rc"
}

# pci_host_leaks NAME: QEMU and the engines have as many descriptors in the end of
# a run as a minute after its beginning, and not much more memory
pci_host_leaks()
{
	local leaks
	leaks=$(awk '
		!($2 in first) { first[$2] = $3; kib[$2] = $4 }
		{ last[$2] = $3; now[$2] = $4; num[$2]++ }
		END {
			if (!("vsvm-engine" in num)) print "nothing was looked at"
			for (name in num)
				if (last[name] > first[name] || now[name] > kib[name] + 65536)
					printf "%s: %d descriptors and %d KiB became %d and %d; ",
						name, first[name], kib[name], last[name], now[name]
		}' "$BUILD/vm/$1/host" 2>&1)
	if [ -n "$leaks" ]; then
		add_fail "$1" "$leaks"
	else
		add_pass
	fi
}

# Machines that are reset while DMA is under way; and one in which nobody stops it,
# or the test would not see that either.
part_pci_resets()
{
	local how args
	for how in hard soft kexec careless; do
		args=$PCI_DEVICE_ARGS
		[ "$how" != careless ] || args+=" --no-stop-on-reset"
		pci_vm "$how" --reboot --images --device-args "$args" -- pci reset "$how"
	done
}

# Machines that the device cannot work on: the driver says why
part_pci_refusals()
{
	local iommu=(--append intel_iommu=on --qemu "-device intel-iommu,intremap=off")
	pci_vm iommu "${iommu[@]}" -- pci refuse "an IOMMU translates its DMA"
	pci_vm identity "${iommu[@]}" -- pci identity
	pci_vm private --device-args --private-ram -- pci refuse "is the RAM of the virtual machine shared"
	# Less than there is, and more
	pci_vm split-low --mem 3072 --device-args "--ram-low 1024" -- pci refuse "wrong RAM split"
	pci_vm split-high --mem 4096 --device-args "--ram-low 3072" -- pci refuse "wrong RAM split"
}

# Hot plug as PCIe has it, not by ACPI as in pci_test
part_pci_native()
{
	pci_vm native --device-args "$PCI_DEVICE_ARGS" --timeout 240 \
		--qemu "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off" -- pci unplug
}

# Engines that are let go on when the driver has given them up
part_pci_frozen()
{
	pci_vm frozen --device-args "$PCI_DEVICE_ARGS" -- pci frozen
}

# A part of the self-tests, and what only this transport has
part_pci()
{
	built modules "$KERNEL" && built modules bench ||
		{ add_fail pci "the kernels or their modules do not build"; return; }
	vm_args=(--transport pci --device-args "$PCI_DEVICE_ARGS")
	in_vm pci 1800 selftest pci_test exec_test gem_test peer_test unbind_test
	vm_args=()
	part_pci_native
	part_pci_frozen
	part_pci_resets
	part_pci_refusals
}

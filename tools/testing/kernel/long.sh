# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Parts of the tests that make test has no time for. For test.sh: sourced, with what
# that has. SECONDS_OF_STRESS is for each of the four tests of the model check.

# The model check on a driver that uses none of the additions to drm_pagemap
part_stress_plain()
{
	PARAMETERS=plain=1 part_stress
}

# The others let memory leave VRAM as soon as a CPU wants it.
part_stress_pci()
{
	TRANSPORT=pci PARAMETERS=timeslice_ms=20 part_stress
}

# Placement over PCI, which takes too long for make test
part_migrate_pci()
{
	TRANSPORT=pci SELFTESTS=migrate_test part_selftest
}

# One test instead of four, for twice as long
part_fuzz_long()
{
	SECONDS_OF_STRESS=$((${SECONDS_OF_STRESS:-300} * 2)) part_fuzz
}

# Every mapping for DMA is a copy, so who forgets to sync or unmap one is found.
part_swiotlb()
{
	built modules "$KERNEL" || { add_fail swiotlb "the $KERNEL kernel or its modules do not build"; return; }
	vm_args=(--transport local --append swiotlb=force)
	in_vm swiotlb 900 kunit drm_pagemap_kunit
	in_vm swiotlb-prefetch 600 selftest prefetch_test
	vm_args=()
}

# In a memory cgroup with limits, and swap space for what is beyond
part_limits()
{
	built modules "$KERNEL" || { add_fail limits "the $KERNEL kernel or its modules do not build"; return; }
	WITHIN="limited 64 96" in_vm limits 1800 selftest evict_test migrate_test oversub_test process_test
}

# Data races, in a kernel of its own, which is slow; only core and driver are looked at.
part_kcsan()
{
	KERNEL=kcsan part_kunit
	KERNEL=kcsan SECONDS_OF_STRESS=$((${SECONDS_OF_STRESS:-300} / 2)) part_stress
	KERNEL=kcsan SELFTESTS="exec_test fence_test queue_test stall_test" part_selftest
}

part_mm_fixes()
{
	local rc=0
	"$KDIR/mm-fixes.sh" || rc=$?
	add_status "tests of the patches for mm" "$rc"
}

part_defects()
{
	local rc=0
	"$KDIR/defects.sh" || rc=$?
	add_status "known defects" "$rc"
}

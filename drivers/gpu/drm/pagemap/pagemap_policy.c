// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Policy of the core: what to move. Pure functions, so that a table of cases
 * is all that a test needs.
 */
#include <kunit/visibility.h>
#include <linux/log2.h>

#include "pagemap_internal.h"

/**
 * pagemap_choose() - what becomes of an entry on the way to devmem
 * @source: what was collected
 * @move_ours: pages that are in the pagemap already are to move as well
 *
 * KSM pages are not collected in the first place, see pagemap_look(). One that
 * became KSM's since then is refused here, for ksmd would go on to read a page
 * that has become device-private.
 *
 * Return: %DRM_PAGEMAP_MOVED if it is to move, or what keeps it from that.
 */
enum drm_pagemap_outcome
pagemap_choose(struct pagemap_source source, bool move_ours)
{
	if (!source.collected)
		return DRM_PAGEMAP_SKIP_UNKNOWN;
	if (source.hole)
		return source.uffd ? DRM_PAGEMAP_SKIP_UFFD : DRM_PAGEMAP_MOVED;
	if (source.ksm)
		return DRM_PAGEMAP_SKIP_KSM;
	if (!source.device)
		return DRM_PAGEMAP_MOVED;
	if (source.ours && !move_ours)
		return DRM_PAGEMAP_PRESENT;

	return source.reachable ? DRM_PAGEMAP_MOVED : DRM_PAGEMAP_SKIP_DEVICE;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_choose);

/**
 * pagemap_refuses() - may nothing of an anonymous VMA go to VRAM, and why?
 * @vm_flags: of the VMA
 *
 * Return: %DRM_PAGEMAP_MOVED if it may, or the outcome for all of its pages.
 */
enum drm_pagemap_outcome pagemap_refuses(vm_flags_t vm_flags)
{
	/*
	 * hmm_range_fault() would not give it to the device, so that VRAM is of
	 * no use there; and a copy loses tags.
	 */
	if (!(vm_flags & VM_READ) || vm_flags & (VM_MTE | VM_SHADOW_STACK))
		return DRM_PAGEMAP_SKIP_ACCESS;

	/* hmm_range_fault() gives device pages without asking anybody. */
	if (vm_flags & VM_UFFD_RWP)
		return DRM_PAGEMAP_SKIP_UFFD;

	/* ksmd may be about to merge any page, see pagemap_look(). */
	if (vm_flags & VM_MERGEABLE)
		return DRM_PAGEMAP_SKIP_KSM;

	return DRM_PAGEMAP_MOVED;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_refuses);

/**
 * pagemap_chunk() - size of the next allocation for a run of missing pages
 * @start: address of the first one
 * @end: behind the last one
 * @max: not more than this, a power of two
 *
 * Naturally aligned, so that the GPU can map it in as large a piece, and none
 * of it is left unused.
 *
 * Return: bytes, a power of two.
 */
unsigned long pagemap_chunk(unsigned long start, unsigned long end,
			    unsigned long max)
{
	unsigned long size = rounddown_pow_of_two(end - start);

	if (start)
		size = min(size, start & -start);

	return min(size, max);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_chunk);

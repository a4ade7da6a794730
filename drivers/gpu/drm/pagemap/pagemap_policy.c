// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Policy of the core: what to move. Pure functions, so that a table of cases
 * is all that a test needs.
 */
#include <kunit/visibility.h>
#include <linux/log2.h>

#include "pagemap_internal.h"

/**
 * pagemap_window() - what one CPU fault brings home
 * @addr: faulting address
 * @size: of the allocation that holds the page, a power of two, in bytes
 * @vma: the VMA's bounds, page-aligned
 *
 * The block of @size bytes that @addr lies in, for that is how a driver
 * places an allocation; a move of the mapping since then makes the block hold
 * less of the allocation, never a page too much, because the caller takes
 * only pages of the pagemap. Never more than a batch, never beyond the VMA.
 *
 * Return: the window, which has @addr in it.
 */
struct pagemap_window
pagemap_window(unsigned long addr, unsigned long size, struct pagemap_window vma)
{
	unsigned long block = rounddown_pow_of_two(clamp(size, PAGE_SIZE,
							  PMD_SIZE));
	unsigned long start = addr & ~(block - 1);

	/* start + block may wrap at the top of the address space. */
	return (struct pagemap_window) {
		.start = max(start, vma.start),
		.end = min(start + block - 1, vma.end - 1) + 1,
	};
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_window);

/**
 * pagemap_choose() - what becomes of an entry on the way to devmem
 * @source: what was collected
 * @move_ours: pages that are in the pagemap already are to move as well
 *
 * KSM pages are refused here because the collect phase of mm does not: ksmd
 * would go on to read a page that has become device-private.
 *
 * Return: the verdict.
 */
enum pagemap_verdict
pagemap_choose(struct pagemap_source source, bool move_ours)
{
	if (!source.collected || source.ksm)
		return PAGEMAP_MISSING;
	if (source.hole || !source.device)
		return PAGEMAP_MOVE;
	if (source.ours)
		return move_ours ? PAGEMAP_MOVE : PAGEMAP_STAY;

	return PAGEMAP_MISSING;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_choose);

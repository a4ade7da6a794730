// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How much one CPU fault brings home, for a pagemap with a fault policy. Who
 * reads on gets twice as much each time, up to a limit; who jumps about gets
 * the least:
 *
 *   fault    +0  +64K  +128K  +256K  +512K  +1M   +2M   elsewhere
 *   window  64K  128K   256K   512K     1M   2M    2M   64K
 *
 * Windows are aligned to their size, so each but the first one of such a row
 * has a first half that is home already. What an address space did last is
 * remembered in hints: a few for each, because its threads read at different
 * places, and beyond the allocation, because the next one is often where the
 * last one ends.
 *
 * Nothing here has a lock or a device. Hints are read and written field by
 * field while others do the same; one that is torn makes a window of another
 * size, within the limits.
 */
#include <kunit/visibility.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sizes.h>

#include "pagemap_internal.h"

#define PAGEMAP_MIN_WINDOW	SZ_64K

static unsigned long pagemap_window_round(unsigned long size)
{
	return roundup_pow_of_two(clamp(size, PAGE_SIZE,
					pagemap_batch_size()));
}

/**
 * pagemap_window() - what one CPU fault brings home
 * @addr: faulting address
 * @size: of the window, or of the allocation that holds the page, a power of
 *	two, in bytes
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
							 pagemap_batch_size()));
	unsigned long start = addr & ~(block - 1);

	/* start + block may wrap at the top of the address space. */
	return (struct pagemap_window) {
		.start = max(start, vma.start),
		.end = min(start + block - 1, vma.end - 1) + 1,
	};
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_window);

static bool pagemap_hint_follows(const struct pagemap_hint *hint,
				 const struct mm_struct *mm, unsigned long addr)
{
	return READ_ONCE(hint->mm) == mm &&
	       (addr == READ_ONCE(hint->end) ||
		addr + PAGE_SIZE == READ_ONCE(hint->start));
}

/**
 * pagemap_window_size() - size of the window of a fault
 * @hint: what the address space did last
 * @mm: the address space; compared, never dereferenced
 * @addr: address of the page that faulted
 * @policy: the limits
 *
 * The next fault is sequential if it is where the last window ended or, going
 * down, just before it began.
 *
 * Return: bytes, a power of two within the limits, whatever is in @hint.
 */
unsigned long
pagemap_window_size(const struct pagemap_hint *hint, const struct mm_struct *mm,
		    unsigned long addr,
		    const struct drm_pagemap_fault_policy *policy)
{
	unsigned long least, most;

	least = pagemap_window_round(policy->min_window ?: PAGEMAP_MIN_WINDOW);
	most = pagemap_window_round(policy->max_window ?: pagemap_batch_size());
	most = max(least, most);
	if (!pagemap_hint_follows(hint, mm, addr))
		return least;

	return clamp(pagemap_window_round(READ_ONCE(hint->size)) * 2, least, most);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_window_size);

/**
 * pagemap_hint_find() - the hint that a fault is to be seen with
 * @hints: of the pagemap
 * @mm: address space of the fault
 * @addr: address of the page that faulted
 *
 * Return: the one that the fault follows, or one to be overwritten.
 */
struct pagemap_hint *pagemap_hint_find(struct pagemap_hints *hints,
				       const struct mm_struct *mm,
				       unsigned long addr)
{
	struct pagemap_hint *set = hints->set[hash_ptr(mm, PAGEMAP_HINT_BITS)];
	unsigned int way;

	for (way = 0; way < PAGEMAP_HINT_WAYS; way++)
		if (pagemap_hint_follows(&set[way], mm, addr))
			return &set[way];

	/* In turn; two threads that take the same one do no harm. */
	way = READ_ONCE(hints->next);
	WRITE_ONCE(hints->next, way + 1);

	return &set[way % PAGEMAP_HINT_WAYS];
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_hint_find);

/* The window has come home. */
void pagemap_hint_note(struct pagemap_hint *hint, const struct mm_struct *mm,
		       struct pagemap_window window, unsigned long size)
{
	WRITE_ONCE(hint->mm, mm);
	WRITE_ONCE(hint->start, window.start);
	WRITE_ONCE(hint->end, window.end);
	WRITE_ONCE(hint->size, size);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_hint_note);

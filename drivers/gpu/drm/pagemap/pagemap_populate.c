// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Generic population: which parts of a range are missing in VRAM, how they are
 * cut into allocations, and their migration. In rounds of three steps, which
 * must not be mixed (see pagemap_job.h):
 *
 *   look      for runs of pages that are not in the pagemap
 *   allocate  VRAM for as much as will be underway at a time
 *   migrate   it, several batches at a time if the copies are asynchronous
 *
 * What is found missing is asked for in naturally aligned blocks. When VRAM is
 * short the blocks become smaller, down to a page.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include "pagemap_inject.h"
#include "pagemap_job.h"

/* Blocks of one round; more than one batch each would be of no use. */
#define PAGEMAP_ROUND		16

/* A block that cannot be had is tried in parts of this fraction of its size. */
#define PAGEMAP_SHRINK_SHIFT	3

struct pagemap_populate {
	struct pagemap_move move;
	unsigned long cursor;		/* next address to look at */
	unsigned long end;
	unsigned long max;		/* size of the largest block to ask for */
	int alloc_err;			/* why there is no more VRAM */

	struct pagemap_seen seen;	/* around the cursor */

	unsigned int nchunks;
	struct pagemap_chunk chunk[PAGEMAP_ROUND];
};

static bool pagemap_vma_fits(struct vm_area_struct *vma)
{
	return vma && vma_is_anonymous(vma) && !(vma->vm_flags & VM_SPECIAL);
}

/* Goes on from the cursor to @next, for what is there cannot be in VRAM. */
static int pagemap_populate_step(struct pagemap_populate *p,
				 struct vm_area_struct *vma, unsigned long next)
{
	struct pagemap_move *m = &p->move;
	unsigned long start = p->cursor;

	p->cursor = next;
	if (vma && pagemap_vma_fits(vma))
		return pagemap_move_refuse(m, start, next,
					   pagemap_refuses(vma->vm_flags));

	pagemap_note(m, start, (next - start) >> PAGE_SHIFT,
		     DRM_PAGEMAP_SKIP_ABSENT);

	return 0;
}

/*
 * Steps over what cannot be in VRAM, to a VMA or to the end of the range.
 *
 * Return: 0, or the error that a refusal makes for all or nothing.
 */
static int pagemap_populate_find_vma(struct pagemap_populate *p)
{
	struct pagemap_move *m = &p->move;
	int err = 0;

	while (!err && p->cursor < p->end) {
		struct vm_area_struct *vma = find_vma(m->mm, p->cursor);
		unsigned long next = p->end;

		if (vma && vma->vm_start > p->cursor) {
			next = min(vma->vm_start, p->end);
			vma = NULL;
		} else if (vma) {
			next = min(vma->vm_end, p->end);
		}
		if (vma && pagemap_vma_fits(vma) &&
		    !pagemap_refuses(vma->vm_flags)) {
			m->vma = vma;
			break;
		}
		err = pagemap_populate_step(p, vma, next);
	}

	return err;
}

/* Look at the rest of the PMD that the cursor is in, unless that was done. */
static int pagemap_populate_look(struct pagemap_populate *p)
{
	struct pagemap_move *m = &p->move;
	unsigned long start = p->cursor, end;
	int err;

	if (start >= p->seen.start && start < p->seen.end)
		return 0;

	end = pagemap_batch_end(start, min(p->end, m->vma->vm_end));
	err = pagemap_look(m, start, end, &p->seen);
	if (!err && p->seen.any_ksm && m->policy == DRM_PAGEMAP_ALL_OR_NOTHING) {
		pagemap_note_seen(m, &p->seen, start, end,
				  DRM_PAGEMAP_SKIP_OTHERS);
		err = -EBUSY;
	}

	return err;
}

/* From the cursor to @next no page is missing. */
static void pagemap_populate_pass(struct pagemap_populate *p,
				  unsigned long next)
{
	if (p->seen.any_ksm)
		pagemap_note_seen(&p->move, &p->seen, p->cursor, next,
				  DRM_PAGEMAP_SKIP_UNKNOWN);
	else
		pagemap_note(&p->move, p->cursor, (next - p->cursor) >> PAGE_SHIFT,
			     DRM_PAGEMAP_PRESENT);
	p->cursor = next;
}

/* The next run of missing pages of what was looked at; steps over the others. */
static bool pagemap_populate_find_run(struct pagemap_populate *p,
				      unsigned long *run_end)
{
	const struct pagemap_seen *seen = &p->seen;
	unsigned long npages = (seen->end - seen->start) >> PAGE_SHIFT;
	unsigned long from = (p->cursor - seen->start) >> PAGE_SHIFT;
	unsigned long bit = find_next_bit(seen->missing, npages, from);

	pagemap_populate_pass(p, seen->start + (bit << PAGE_SHIFT));
	if (bit == npages)
		return false;

	bit = find_next_zero_bit(seen->missing, npages, bit);
	*run_end = seen->start + (bit << PAGE_SHIFT);

	return true;
}

static struct drm_pagemap_devmem *
pagemap_populate_alloc(struct pagemap_populate *p, unsigned long size)
{
	struct drm_pagemap *dpagemap = p->move.dpagemap;

	if (pagemap_inject(PAGEMAP_INJECT_DEVMEM_ALLOC))
		return ERR_PTR(-ENOSPC);

	return dpagemap->ops->devmem_alloc(dpagemap, p->move.mm, size);
}

static int pagemap_populate_no_vram(struct pagemap_populate *p,
				    unsigned long end, int err)
{
	pagemap_note(&p->move, p->cursor, (end - p->cursor) >> PAGE_SHIFT,
		     DRM_PAGEMAP_SKIP_NO_VRAM);
	p->cursor = end;
	p->alloc_err = err;

	return p->move.policy == DRM_PAGEMAP_ALL_OR_NOTHING ? err : 0;
}

/* One block at the cursor, and a chunk for it. */
static int pagemap_populate_add(struct pagemap_populate *p,
				unsigned long run_end)
{
	struct pagemap_chunk *chunk = &p->chunk[p->nchunks];
	struct drm_pagemap_devmem *devmem;
	unsigned long size;
	int err;

	for (;;) {
		size = pagemap_chunk(p->cursor, run_end, p->max);
		devmem = pagemap_populate_alloc(p, size);
		if (!IS_ERR(devmem))
			break;

		err = PTR_ERR(devmem);
		if (err != -ENOSPC && err != -ENOMEM)
			return err;
		if (size == PAGE_SIZE)
			return pagemap_populate_no_vram(p, run_end, err);
		p->max = max(size >> PAGEMAP_SHRINK_SHIFT, PAGE_SIZE);
	}

	err = pagemap_chunk_begin(chunk, devmem, p->move.mm, p->cursor,
				  p->cursor + size, true);
	if (err)
		return err;

	p->cursor += size;
	p->nchunks++;

	return 0;
}

/* Look and allocate, for one round. All of its blocks are in one VMA. */
static int pagemap_populate_gather(struct pagemap_populate *p)
{
	unsigned long run_end, bytes = 0;
	int err;

	p->nchunks = 0;
	p->move.look = false;
	err = pagemap_populate_find_vma(p);
	if (err || p->cursor == p->end)
		return err;

	while (p->nchunks < PAGEMAP_ROUND &&
	       bytes < p->move.depth * pagemap_batch_size() &&
	       p->cursor < min(p->end, p->move.vma->vm_end)) {
		err = pagemap_populate_look(p);
		if (err)
			return err;
		if (!pagemap_populate_find_run(p, &run_end))
			continue;
		/* The allocation may take its time. */
		p->move.look |= p->seen.shared;

		err = pagemap_populate_add(p, run_end);
		if (err)
			return err;
		bytes = p->nchunks ? p->cursor - p->chunk[0].start : 0;
	}

	return 0;
}

static int pagemap_populate_round(struct pagemap_populate *p)
{
	struct pagemap_move *m = &p->move;
	unsigned int i;
	int err;

	err = pagemap_populate_gather(p);
	for (i = 0; i < p->nchunks && !err; i++)
		err = pagemap_move_chunk(m, &p->chunk[i]);
	err = pagemap_move_drain(m, err);
	if (!err)
		m->result->reached = p->cursor;

	for (i = 0; i < p->nchunks; i++)
		pagemap_chunk_end(&p->chunk[i]);

	return err;
}

static int pagemap_populate_rounds(struct pagemap_populate *p)
{
	const unsigned long *pages = p->move.result->pages;
	unsigned long start = p->cursor;
	int err = 0;

	while (p->cursor < p->end && !err) {
		err = pagemap_populate_round(p);
		cond_resched();
	}
	pagemap_scan_reasons(&p->move, start, p->cursor);

	if (!err && !pages[DRM_PAGEMAP_MOVED] && !pages[DRM_PAGEMAP_PRESENT])
		err = p->alloc_err;

	return pagemap_move_result(&p->move, err);
}

/**
 * drm_pagemap_populate_range() - bring a range of a process into VRAM
 * @dpagemap: the VRAM; its driver has the devmem_alloc operation
 * @mm: the process
 * @start: first address, page-aligned
 * @end: behind the last one; there may be several VMAs, and gaps
 * @mdetails: how, with the policy
 * @result: what became of the pages; @result.outcome is the caller's array or
 *	NULL, the rest is filled in here
 *
 * Takes just as much VRAM as is missing, in the largest naturally aligned
 * blocks that there are. All that a driver's populate_mm needs to do. All that
 * is evicted for it shares one budget, see drm_pagemap_budget_begin().
 *
 * Context: mmap lock of @mm held for reading, no dma_resv. Sleeps.
 * Return: 0; -EINVAL for a range that is not page-aligned, or empty; -ENOSPC or
 *	-ENOMEM when there was no VRAM for any of it, or for part of it with
 *	%DRM_PAGEMAP_ALL_OR_NOTHING; -EBUSY when a page that had to move did
 *	not; -EINTR when the calling thread is being killed, which is looked at
 *	in each PMD, with @result.reached telling how far it got; -EOPNOTSUPP
 *	when the driver lacks an operation; or what an operation returned.
 */
int drm_pagemap_populate_range(struct drm_pagemap *dpagemap,
			       struct mm_struct *mm,
			       unsigned long start, unsigned long end,
			       const struct drm_pagemap_migrate_details *mdetails,
			       struct drm_pagemap_migrate_result *result)
{
	struct drm_pagemap_budget budget;
	struct pagemap_populate *p;
	int err;

	mmap_assert_locked(mm);
	memset(result->pages, 0, sizeof(result->pages));
	if (!PAGE_ALIGNED(start) || !PAGE_ALIGNED(end) || start >= end)
		return -EINVAL;
	if (!dpagemap->ops->devmem_alloc)
		return -EOPNOTSUPP;

	p = kzalloc_obj(*p);
	if (!p)
		return -ENOMEM;

	p->move.dpagemap = dpagemap;
	p->move.mm = mm;
	p->move.details = mdetails;
	p->move.policy = mdetails->policy;
	p->move.start = start;
	p->move.result = result;
	p->cursor = start;
	p->end = end;
	p->max = pagemap_batch_size();

	pagemap_note_none(&p->move, end);
	pagemap_move_begin(&p->move, true);
	drm_pagemap_budget_begin(&budget, 0);
	err = pagemap_populate_rounds(p);
	drm_pagemap_budget_end(&budget);
	pagemap_move_end(&p->move);
	kfree(p);

	return err;
}
EXPORT_SYMBOL_GPL(drm_pagemap_populate_range);

/**
 * pagemap_populate_best_effort() - for a driver without a populate_mm operation
 * @dpagemap: the VRAM
 * @mm: the process
 * @start: first address
 * @end: behind the last one
 * @timeslice_ms: time that the pages are to stay, in milliseconds
 *
 * Return: as drm_pagemap_populate_range().
 */
int pagemap_populate_best_effort(struct drm_pagemap *dpagemap,
				 struct mm_struct *mm, unsigned long start,
				 unsigned long end, unsigned long timeslice_ms)
{
	const struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
		.policy = DRM_PAGEMAP_BEST_EFFORT,
	};
	struct drm_pagemap_migrate_result result = {};

	return drm_pagemap_populate_range(dpagemap, mm, start, end, &details,
					  &result);
}

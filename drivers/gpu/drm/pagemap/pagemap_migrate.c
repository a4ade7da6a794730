// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Migration to devmem: pages and holes of a range of virtual addresses go to
 * one devmem allocation, batch by batch. Either all of a batch moves, or what
 * can; in the first case nothing is copied as long as a page is missing. A
 * driver answers -EBUSY by bringing the range into a state that can move, so
 * that a half that moved before would just travel twice.
 */
#include <linux/export.h>

#include "pagemap_job.h"
#include "pagemap_report.h"

/**
 * pagemap_note() - say what became of pages
 * @m: the call
 * @addr: of the first of them
 * @npages: how many
 * @outcome: what
 */
void pagemap_note(struct pagemap_move *m, unsigned long addr,
		  unsigned long npages, enum drm_pagemap_outcome outcome)
{
	unsigned long must = m->details->must_have;

	m->result->pages[outcome] += npages;
	if (m->result->outcome)
		memset(m->result->outcome + ((addr - m->start) >> PAGE_SHIFT),
		       outcome, npages);
	if ((outcome == DRM_PAGEMAP_MOVED || outcome == DRM_PAGEMAP_PRESENT) &&
	    must >= addr && must - addr < npages << PAGE_SHIFT)
		m->has_must_have = true;
}

/* Nothing has been tried yet. */
void pagemap_note_none(struct pagemap_move *m, unsigned long end)
{
	m->result->reached = m->start;
	if (m->result->outcome)
		memset(m->result->outcome, DRM_PAGEMAP_NUM_OUTCOMES,
		       (end - m->start) >> PAGE_SHIFT);
}

/**
 * pagemap_move_begin() - get what a call needs for its batches
 * @m: with the caller's part filled in
 * @async: the copies return fences, so that more than one batch is of use
 */
void pagemap_move_begin(struct pagemap_move *m, bool async)
{
	m->job[0].batch = pagemap_batch_get(m->dpagemap, PAGEMAP_POOL_POPULATE);
	for (m->depth = 1; async && m->depth < PAGEMAP_RING; m->depth++) {
		struct pagemap_job *job = &m->job[m->depth];

		/* A second wait could be for somebody who waits for us. */
		job->batch = pagemap_batch_try_get(m->dpagemap,
						   PAGEMAP_POOL_POPULATE);
		if (!job->batch)
			break;
	}
}

/**
 * pagemap_move_end() - the call has no more to do
 * @m: drained
 */
void pagemap_move_end(struct pagemap_move *m)
{
	while (m->depth)
		pagemap_batch_put(m->dpagemap, PAGEMAP_POOL_POPULATE,
				  m->job[--m->depth].batch);
	pagemap_count_outcomes(m->dpagemap, m->result);
}

static int pagemap_move_end_oldest(struct pagemap_move *m)
{
	struct pagemap_job *job = &m->job[m->first];

	m->first = (m->first + 1) % m->depth;
	m->underway--;

	return pagemap_job_end(m, job);
}

/*
 * Pages that did not move are an error only of a call that wants them all, or
 * this one.
 */
static bool pagemap_move_goes_on(const struct pagemap_move *m, int err)
{
	return !err || (err == -EBUSY && m->policy != DRM_PAGEMAP_ALL_OR_NOTHING);
}

/**
 * pagemap_move_drain() - end all jobs that are underway
 * @m: the call
 * @err: what went wrong before, or 0
 *
 * Return: @err, or the first error that stops the call.
 */
int pagemap_move_drain(struct pagemap_move *m, int err)
{
	while (m->underway) {
		int ret = pagemap_move_end_oldest(m);

		if (!err && !pagemap_move_goes_on(m, ret))
			err = ret;
	}

	return err;
}

static void pagemap_move_batch(struct pagemap_move *m,
			       struct pagemap_chunk *chunk, unsigned long start,
			       unsigned long end)
{
	pagemap_job_begin(m, pagemap_next_job(m), chunk, start, end);
	m->underway++;
}

/*
 * Looks once more, and does not collect any page of KSM's: the pages between
 * them, run by run.
 */
static int pagemap_move_around_ksm(struct pagemap_move *m,
				   struct pagemap_chunk *chunk,
				   unsigned long start, unsigned long end)
{
	unsigned int from, to;
	struct pagemap_seen seen;
	int err = pagemap_look(m, start, end, &seen);

	if (err)
		return err;
	if (seen.any_ksm && m->policy == DRM_PAGEMAP_ALL_OR_NOTHING) {
		pagemap_note_seen(m, &seen, start, end, DRM_PAGEMAP_SKIP_OTHERS);
		return -EBUSY;
	}

	for_each_set_bit(from, seen.ksm, (end - start) >> PAGE_SHIFT)
		pagemap_note(m, start + ((unsigned long)from << PAGE_SHIFT), 1,
			     DRM_PAGEMAP_SKIP_KSM);
	for_each_clear_bitrange(from, to, seen.ksm, (end - start) >> PAGE_SHIFT) {
		err = m->underway == m->depth ? pagemap_move_end_oldest(m) : 0;
		if (!pagemap_move_goes_on(m, err))
			return err;
		pagemap_move_batch(m, chunk, start + ((unsigned long)from << PAGE_SHIFT),
				   start + ((unsigned long)to << PAGE_SHIFT));
	}

	return 0;
}

/**
 * pagemap_move_refuse() - leave a range where it is
 * @m: the call
 * @start: first address
 * @end: behind the last one, in the same VMA
 * @why: not one of its pages may go to VRAM
 *
 * What is there already, from before the VMA became what it is, stays as well.
 *
 * Return: 0; -EBUSY if all were to move, and some are not there; or the error
 *	of the look at them.
 */
int pagemap_move_refuse(struct pagemap_move *m, unsigned long start,
			unsigned long end, enum drm_pagemap_outcome why)
{
	struct pagemap_seen seen;
	bool some = false;

	for (; start < end; start = seen.end) {
		unsigned long next = pagemap_batch_end(start, end);
		int err = pagemap_look(m, start, next, &seen);

		if (err)
			return err;
		some |= pagemap_note_seen(m, &seen, start, next, why);
		m->result->reached = next;
		cond_resched();
	}

	return some && m->policy == DRM_PAGEMAP_ALL_OR_NOTHING ? -EBUSY : 0;
}

/**
 * pagemap_move_chunk() - move the range of an allocation
 * @m: the call
 * @chunk: begun
 *
 * Jobs may be underway on return.
 *
 * Return: 0, or the error of any job that has ended meanwhile, after which
 *	pagemap_move_drain() should follow. With a policy other than all or
 *	nothing, pages that could not move are no error.
 */
int pagemap_move_chunk(struct pagemap_move *m, struct pagemap_chunk *chunk)
{
	unsigned long addr, next;
	int err;

	for (addr = chunk->start; addr < chunk->end; addr = next) {
		err = 0;
		next = pagemap_batch_end(addr, chunk->end);
		if (m->underway == m->depth)
			err = pagemap_move_end_oldest(m);
		if (!pagemap_move_goes_on(m, err))
			return err;

		err = 0;
		if (m->look)
			err = pagemap_move_around_ksm(m, chunk, addr, next);
		else
			pagemap_move_batch(m, chunk, addr, next);
		if (err)
			return err;
		m->result->reached = next;
	}

	return 0;
}

/* The return value of a call with a policy. */
int pagemap_move_result(const struct pagemap_move *m, int err)
{
	if (!err && m->policy == DRM_PAGEMAP_MUST_HAVE && !m->has_must_have)
		return -EBUSY;

	return err;
}

static int pagemap_check_range(struct mm_struct *mm, unsigned long start,
			       unsigned long end, struct vm_area_struct **vma)
{
	mmap_assert_locked(mm);

	if (!PAGE_ALIGNED(start) || !PAGE_ALIGNED(end) || start >= end)
		return -EINVAL;

	*vma = vma_lookup(mm, start);
	if (!*vma)
		return -ENOENT;
	if (end > (*vma)->vm_end)
		return -EINVAL;
	if (!vma_is_anonymous(*vma))
		return -EBUSY;

	return 0;
}

/* Consumes the reference to @devmem. */
static int pagemap_move_to_devmem(struct pagemap_move *m,
				  struct drm_pagemap_devmem *devmem,
				  unsigned long end)
{
	struct pagemap_chunk chunk;
	int err;

	err = pagemap_chunk_begin(&chunk, devmem, m->mm, m->start, end, false);
	if (err)
		return err;

	err = pagemap_check_range(m->mm, m->start, end, &m->vma);
	if (!err) {
		enum drm_pagemap_outcome why = pagemap_refuses(m->vma->vm_flags);

		pagemap_note_none(m, end);
		pagemap_move_begin(m, devmem->ops->copy_to_devmem_async);
		m->look = true;
		err = why ? pagemap_move_refuse(m, m->start, end, why) :
			    pagemap_move_chunk(m, &chunk);
		err = pagemap_move_drain(m, err);
		pagemap_scan_reasons(m, m->start, end);
		pagemap_move_end(m);
	}
	pagemap_chunk_end(&chunk);

	return err;
}

/**
 * drm_pagemap_migrate_to_devmem() - move a range of a process to VRAM
 * @devmem_allocation: VRAM to move to, with room for the range. The caller's
 *	reference to it is consumed, whatever is returned; the caller needs
 *	another one to touch it afterwards.
 * @mm: the process
 * @start: first address, page-aligned
 * @end: behind the last one, within the same VMA
 * @mdetails: how; the policy is all or nothing
 *
 * Pages that are in the pagemap already count as moved. On error some of the
 * pages may be in VRAM, if the range is larger than a PMD or if a page was
 * taken away in the middle; they keep the allocation.
 *
 * Context: mmap lock of @mm held, and whatever keeps the driver from evicting
 *	the allocation meanwhile, usually its dma_resv. Sleeps.
 * Return: 0 when all of the range is in the pagemap. -EBUSY when a page
 *	cannot move now, or was taken away meanwhile, or the VMA is not
 *	anonymous, or KSM may merge its pages (%MADV_MERGEABLE); -ENOENT without
 *	a VMA at @start; -EINVAL for a bad range, or for pages that are not the
 *	driver's to give; -EOPNOTSUPP when the driver lacks an operation;
 *	-EINTR when the calling thread is being killed; -ENOMEM; or what an
 *	operation of the driver returned.
 */
int drm_pagemap_migrate_to_devmem(struct drm_pagemap_devmem *devmem_allocation,
				  struct mm_struct *mm,
				  unsigned long start, unsigned long end,
				  const struct drm_pagemap_migrate_details *mdetails)
{
	struct drm_pagemap_migrate_result result = {};
	struct pagemap_move m = {
		.dpagemap = devmem_allocation->dpagemap,
		.mm = mm,
		.details = mdetails,
		.policy = DRM_PAGEMAP_ALL_OR_NOTHING,
		.start = start,
		.result = &result,
	};

	return pagemap_move_to_devmem(&m, devmem_allocation, end);
}
EXPORT_SYMBOL_GPL(drm_pagemap_migrate_to_devmem);

/**
 * drm_pagemap_migrate_range() - move what can be moved, and say what was not
 * @devmem_allocation: as for drm_pagemap_migrate_to_devmem()
 * @mm: the process
 * @start: first address, page-aligned
 * @end: behind the last one, within the same VMA
 * @mdetails: how, with the policy
 * @result: what became of the pages; @result.outcome is the caller's array or
 *	NULL, the rest is filled in here
 *
 * A range that ends up with pages in both places can be mapped by drm_gpusvm
 * only with drm_gpusvm_ctx.allow_mixed.
 *
 * Context: as for drm_pagemap_migrate_to_devmem().
 * Return: as for drm_pagemap_migrate_to_devmem() with
 *	%DRM_PAGEMAP_ALL_OR_NOTHING. With %DRM_PAGEMAP_BEST_EFFORT pages that
 *	stayed are no error; with %DRM_PAGEMAP_MUST_HAVE they are if the page
 *	that must move is one of them, which is -EBUSY.
 */
int drm_pagemap_migrate_range(struct drm_pagemap_devmem *devmem_allocation,
			      struct mm_struct *mm,
			      unsigned long start, unsigned long end,
			      const struct drm_pagemap_migrate_details *mdetails,
			      struct drm_pagemap_migrate_result *result)
{
	struct pagemap_move m = {
		.dpagemap = devmem_allocation->dpagemap,
		.mm = mm,
		.details = mdetails,
		.policy = mdetails->policy,
		.start = start,
		.result = result,
	};
	int err;

	memset(result->pages, 0, sizeof(result->pages));
	err = pagemap_move_to_devmem(&m, devmem_allocation, end);

	return pagemap_move_result(&m, err);
}
EXPORT_SYMBOL_GPL(drm_pagemap_migrate_range);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One batch on its way to devmem: collect, choose, get destinations and start
 * the copy in pagemap_job_begin(); the rest in pagemap_job_end().
 *
 * The struct pages of the destination come to life here, each with a
 * reference to the zdd. Those that are not committed are put again, and take
 * their reference along; so the allocation is released when its last page
 * goes, or at the end of a migration that moved nothing.
 */
#include <linux/jiffies.h>
#include <linux/ksm.h>
#include <linux/memremap.h>
#include <linux/sizes.h>
#include <linux/userfaultfd_k.h>

#include <drm/drm_print.h>

#include "pagemap_inject.h"
#include "pagemap_job.h"
#include "pagemap_report.h"

static unsigned long pagemap_job_addr(const struct pagemap_job *job,
				      unsigned long i)
{
	return job->migrate.start + (i << PAGE_SHIFT);
}

static struct pagemap_source pagemap_source(const struct pagemap_job *job,
					    struct vm_area_struct *vma,
					    unsigned long src)
{
	struct page *page = migrate_pfn_to_page(src);
	struct pagemap_source s = {
		.collected = src & MIGRATE_PFN_MIGRATE,
		.hole = !page,
		/* mm would refuse it, after the pages around it have moved. */
		.uffd = userfaultfd_missing(vma),
	};

	if (!page)
		return s;

	s.device = is_device_private_page(page);
	if (s.device) {
		s.ours = page_pgmap(page) ==
			 job->chunk->devmem->dpagemap->pagemap;
		s.reachable = pagemap_copy_reaches(job->chunk->devmem, page);
	} else {
		s.ksm = folio_test_ksm(page_folio(page));
	}

	return s;
}

/* None moves, because some cannot. */
static void pagemap_choose_none(struct pagemap_move *m, struct pagemap_job *job)
{
	struct pagemap_batch *b = job->batch;
	unsigned long i;

	pagemap_batch_for_each(b, i) {
		if (!(b->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		b->src[i] &= ~MIGRATE_PFN_MIGRATE;
		pagemap_note(m, pagemap_job_addr(job, i), 1UL << b->order,
			     DRM_PAGEMAP_SKIP_OTHERS);
	}
	job->to_move = 0;
	job->err = -EBUSY;
}

/* Entries that keep MIGRATE are those that are to move. */
static void pagemap_choose_sources(struct pagemap_move *m,
				   struct pagemap_job *job)
{
	unsigned long pages = (job->migrate.end - job->migrate.start) >> PAGE_SHIFT;
	struct pagemap_batch *b = job->batch;
	bool all = b->npages == pages;
	unsigned long i;

	pagemap_batch_for_each(b, i) {
		struct pagemap_source source = pagemap_source(job, m->vma,
							      b->src[i]);
		enum drm_pagemap_outcome outcome =
			pagemap_choose(source,
				       m->details->can_migrate_same_pagemap);

		if (outcome == DRM_PAGEMAP_MOVED) {
			job->to_move += 1UL << b->order;
			continue;
		}
		b->src[i] &= ~MIGRATE_PFN_MIGRATE;
		pagemap_note(m, pagemap_job_addr(job, i), 1UL << b->order,
			     outcome);
		if (outcome != DRM_PAGEMAP_PRESENT)
			all = false;
	}

	if (!all && m->policy == DRM_PAGEMAP_ALL_OR_NOTHING)
		pagemap_choose_none(m, job);
}

static void pagemap_note_node(struct drm_pagemap_devmem *devmem,
			      struct page *page)
{
	if (!page || devmem->nid != NUMA_NO_NODE)
		return;

	devmem->nid = is_device_private_page(page) ?
		      pagemap_folio_zdd(page_folio(page))->devmem->nid :
		      page_to_nid(page);
}

/* A page that is in use cannot become the driver's by its saying so. */
static bool pagemap_device_page_free(struct drm_pagemap *dpagemap,
				     unsigned long pfn, unsigned int order)
{
	struct page *page = pfn_to_page(pfn);
	struct page *end = page + (1UL << order);

	/* One dev_pagemap's struct pages are neighbours. */
	for (; page < end; page++) {
		if (!page_ref_count(page))
			continue;
		drm_err_ratelimited(dpagemap->drm,
				    "populate_devmem_pfn: page frame %#lx is in use\n",
				    page_to_pfn(page));
		return false;
	}

	return true;
}

/* Bring the destination's struct pages to life. */
static int pagemap_get_device_pages(struct pagemap_job *job)
{
	struct pagemap_chunk *chunk = job->chunk;
	struct drm_pagemap_devmem *devmem = chunk->devmem;
	const unsigned long *pfn = chunk->pfn +
		((job->migrate.start - chunk->start) >> PAGE_SHIFT);
	struct pagemap_batch *b = job->batch;
	unsigned long i;

	pagemap_batch_for_each(b, i) {
		struct folio *folio = (struct folio *)pfn_to_page(pfn[i]);

		if (!(b->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		if (!pagemap_device_page_free(devmem->dpagemap, pfn[i], b->order))
			return -EINVAL;

		zone_device_folio_init(folio, devmem->dpagemap->pagemap,
				       b->order);
		folio_set_zone_device_data(folio, chunk->zdd);
		kref_get(&chunk->zdd->refcount);
		atomic_add(1 << b->order, &chunk->zdd->live);

		b->dst[i] = migrate_pfn(pfn[i]);
		if (b->order)
			b->dst[i] |= MIGRATE_PFN_COMPOUND;
		pagemap_note_node(devmem, pagemap_batch_src_page(b, i));
	}

	return 0;
}

/*
 * Is a THP to stay whole? It must find a block of VRAM, and one in RAM when it
 * comes home; where a PMD is very large (512 MiB with pages of 64 KiB) the
 * latter is too much to hope for. mm splits what is collected page by page,
 * for all that map it; to split it on the way would leave the entries of
 * forked children behind, and a block of holes with one destination missing
 * is more than mm can take.
 */
static bool pagemap_wants_block(const struct pagemap_job *job)
{
	const struct migrate_vma *migrate = &job->migrate;
	const struct pagemap_chunk *chunk = job->chunk;
	unsigned long size = migrate->end - migrate->start;

	if (size != PMD_SIZE || size > SZ_32M)
		return false;

	return pagemap_pfns_fit_block(chunk->pfn + ((migrate->start -
						     chunk->start) >> PAGE_SHIFT),
				      PAGEMAP_PMD_ORDER);
}

static int pagemap_job_collect(struct pagemap_move *m, struct pagemap_job *job)
{
	struct migrate_vma *migrate = &job->migrate;
	int err;

	*migrate = (struct migrate_vma) {
		.vma = m->vma,
		.start = job->migrate.start,
		.end = job->migrate.end,
		.src = job->batch->src,
		.dst = job->batch->dst,
		.pgmap_owner = m->dpagemap->pagemap->owner,
		.flags = MIGRATE_VMA_SELECT_SYSTEM |
			 MIGRATE_VMA_SELECT_DEVICE_COHERENT |
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	if (pagemap_wants_block(job))
		migrate->flags |= MIGRATE_VMA_SELECT_COMPOUND;

	err = pagemap_batch_collect(m->dpagemap, job->batch, migrate);
	if (err == -EBUSY)
		pagemap_note(m, migrate->start,
			     (migrate->end - migrate->start) >> PAGE_SHIFT,
			     DRM_PAGEMAP_SKIP_RACED);
	job->collected = !err;

	return err;
}

/**
 * pagemap_job_begin() - collect a batch and start its copy
 * @m: the call
 * @job: one of its, with a batch
 * @chunk: where to
 * @start: first address, of @chunk
 * @end: behind the last one, within the same aligned PMD
 *
 * Context: mmap lock held for reading. On return folios of the batch are
 *	locked, whatever went wrong: pagemap_job_end() must follow.
 */
void pagemap_job_begin(struct pagemap_move *m, struct pagemap_job *job,
		       struct pagemap_chunk *chunk, unsigned long start,
		       unsigned long end)
{
	job->chunk = chunk;
	job->migrate.start = start;
	job->migrate.end = end;
	job->pull = m->details->source_peer_migrates;
	job->collected = false;
	job->cleared = NULL;
	job->copied = NULL;
	job->to_move = 0;
	job->copying = false;
	job->swap_busy = false;
	job->began = ktime_get_ns();

	pagemap_report_begin(m->dpagemap, PAGEMAP_TO_DEVMEM, start,
			     (end - start) >> PAGE_SHIFT);
	job->err = pagemap_job_collect(m, job);
	if (job->err)
		return;

	pagemap_choose_sources(m, job);
	if (!job->to_move)
		return;

	job->err = pagemap_get_device_pages(job);
	if (job->err)
		return;

	job->copying = true;
	pagemap_copy_to_devmem(job);
}

static enum drm_pagemap_outcome pagemap_job_failure(const struct pagemap_job *job)
{
	if (!job->copying)
		return DRM_PAGEMAP_SKIP_NO_VRAM;

	return job->err == -ENOMEM ? DRM_PAGEMAP_SKIP_DMA :
				     DRM_PAGEMAP_SKIP_COPY;
}

static void pagemap_job_failed(struct pagemap_move *m, struct pagemap_job *job)
{
	enum drm_pagemap_outcome outcome = pagemap_job_failure(job);
	struct pagemap_batch *b = job->batch;
	unsigned long i;

	pagemap_batch_for_each(b, i)
		if (b->src[i] & MIGRATE_PFN_MIGRATE)
			pagemap_note(m, pagemap_job_addr(job, i),
				     1UL << b->order, outcome);
	pagemap_batch_drop_all_dst(b);
	if (outcome == DRM_PAGEMAP_SKIP_COPY)
		pagemap_report_copy_error(m->dpagemap, PAGEMAP_TO_DEVMEM,
					  job->err);
}

/* The slice runs from before the first page can be seen by a CPU fault. */
static void pagemap_start_slice(struct pagemap_move *m, struct pagemap_job *job)
{
	WRITE_ONCE(job->chunk->devmem->timeslice_expiration, get_jiffies_64() +
		   msecs_to_jiffies(m->details->timeslice_ms));
}

/*
 * Nothing is mapped any more, so that the bitmap can tell which entries were
 * to move, which mm forgets about those that it refuses.
 */
static void pagemap_mark_moving(struct pagemap_batch *b)
{
	unsigned long i;

	pagemap_batch_for_each(b, i)
		if (b->dst[i])
			__set_bit(i, b->mapped);
}

static bool pagemap_in_swap_cache(const struct pagemap_batch *b, unsigned long i)
{
	struct page *page = pagemap_batch_src_page(b, i);

	return page && folio_test_swapcache(page_folio(page));
}

static enum drm_pagemap_outcome
pagemap_commit_outcome(const struct pagemap_job *job, unsigned long i)
{
	const struct pagemap_batch *b = job->batch;

	if (b->dst[i] && (b->src[i] & MIGRATE_PFN_MIGRATE))
		return DRM_PAGEMAP_MOVED;
	if (b->dst[i] && pagemap_in_swap_cache(b, i))
		return DRM_PAGEMAP_SKIP_BUSY;

	return job->swap_busy ? DRM_PAGEMAP_SKIP_OTHERS : DRM_PAGEMAP_SKIP_RACED;
}

static void pagemap_note_moved(struct pagemap_move *m, struct pagemap_job *job)
{
	struct pagemap_batch *b = job->batch;
	unsigned long i;

	for_each_set_bit(i, b->mapped, b->npages)
		pagemap_note(m, pagemap_job_addr(job, i), 1UL << b->order,
			     pagemap_commit_outcome(job, i));
	bitmap_zero(b->mapped, b->npages);
}

static void pagemap_commit_pages(struct pagemap_job *job, unsigned long from,
				 unsigned long to)
{
	struct migrate_vma part = job->migrate;

	part.src += from;
	part.dst += from;
	part.npages = to - from;
	part.start = pagemap_job_addr(job, from);
	part.end = pagemap_job_addr(job, to);
	migrate_vma_pages(&part);
}

/*
 * mm takes a page out of the swap cache when it commits it, and refuses it if
 * another process still has the swap slot in its page table. With all or nothing
 * such a page would be left behind each time, so those in the swap cache go
 * first, and if one does not, then none of the others does.
 */
static void pagemap_commit_swapped_first(struct pagemap_job *job)
{
	DECLARE_BITMAP(swapped, PAGEMAP_BATCH_PAGES);
	struct pagemap_batch *b = job->batch;
	unsigned int from, to;
	unsigned long i;

	bitmap_zero(swapped, b->npages);
	for_each_set_bit(i, b->mapped, b->npages)
		if (pagemap_in_swap_cache(b, i))
			__set_bit(i, swapped);

	for_each_set_bit(i, swapped, b->npages) {
		pagemap_commit_pages(job, i, i + 1);
		if (b->src[i] & MIGRATE_PFN_MIGRATE)
			continue;
		job->swap_busy = true;
		bitmap_clear(swapped, i + 1, b->npages - i - 1);
		for_each_clear_bit(i, swapped, b->npages)
			pagemap_batch_drop_dst(b, i);
		return;
	}

	for_each_clear_bitrange(from, to, swapped, b->npages)
		pagemap_commit_pages(job, from, to);
}

static unsigned long pagemap_job_commit(struct pagemap_move *m,
					struct pagemap_job *job)
{
	struct pagemap_batch *b = job->batch;
	unsigned long moved;

	pagemap_mark_moving(b);
	if (pagemap_inject(PAGEMAP_INJECT_COMMIT))
		pagemap_batch_drop_all_dst(b);

	pagemap_start_slice(m, job);
	pagemap_block_unguard(b);
	if (m->policy == DRM_PAGEMAP_ALL_OR_NOTHING && !b->order && !b->demoted)
		pagemap_commit_swapped_first(job);
	else
		migrate_vma_pages(&job->migrate);
	moved = pagemap_batch_moved(b);
	pagemap_retire_moved(b);
	pagemap_note_moved(m, job);

	if (moved)
		job->chunk->committed = true;
	if (moved != job->to_move)
		job->err = -EBUSY;

	return moved;
}

static void pagemap_job_report(struct pagemap_move *m,
			       const struct pagemap_job *job,
			       unsigned long moved)
{
	const struct pagemap_report report = {
		.direction = PAGEMAP_TO_DEVMEM,
		.start = job->migrate.start,
		.npages = (job->migrate.end - job->migrate.start) >> PAGE_SHIFT,
		.moved = moved,
		.order = job->batch->order,
		.ns = ktime_get_ns() - job->began,
		.err = job->err,
	};

	pagemap_report_end(m->dpagemap, &report);
}

/**
 * pagemap_job_end() - wait for the copy of a batch, and hand the pages over
 * @m: the call
 * @job: after pagemap_job_begin(); the oldest one that has not ended
 *
 * Return: 0 when all pages that were to move did, or were there; -EBUSY when
 *	some are missing; or what an operation returned.
 */
int pagemap_job_end(struct pagemap_move *m, struct pagemap_job *job)
{
	unsigned long moved = 0;

	if (job->to_move) {
		int err = pagemap_copy_finish(job);

		if (!job->err)
			job->err = err;
		if (job->err)
			pagemap_job_failed(m, job);
		else
			moved = pagemap_job_commit(m, job);
	}
	if (job->collected) {
		if (!moved)
			pagemap_block_unguard(job->batch);
		migrate_vma_finalize(&job->migrate);
		pagemap_block_release(job->batch);
	}
	pagemap_job_report(m, job, moved);

	return job->err;
}

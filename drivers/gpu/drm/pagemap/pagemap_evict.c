// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Eviction: from VRAM to RAM by physical address. It needs no mm, so it works
 * while the owner exits, after it is gone, and when just a forked child maps
 * the pages. GPU page tables are torn down by the driver's notifier, which mm
 * calls as it unmaps.
 *
 * Destinations are allocated before anything is locked, so that reclaim never
 * runs with folios of the batch held.
 */
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/memremap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <drm/drm_print.h>

#include "pagemap_evict.h"
#include "pagemap_inject.h"
#include "pagemap_report.h"

/* Passes over an allocation before the caller is told to come back. */
#define PAGEMAP_EVICT_PASSES	3

static bool pagemap_evict_get_dst(struct pagemap_evict *e, unsigned long i)
{
	int nid = e->devmem->nid;
	struct folio *folio;

	if (e->batch->order)
		folio = pagemap_ram_block(nid, e->budget);
	else
		folio = pagemap_ram_page(nid);
	if (!folio)
		return false;

	e->batch->dst[i] = pagemap_ram_dst(folio);

	return true;
}

enum pagemap_evict_want {
	PAGEMAP_EVICT_NOT,
	PAGEMAP_EVICT_WANT,
	PAGEMAP_EVICT_LATER,	/* too many anon_vmas for one batch */
};

static enum pagemap_evict_want pagemap_evict_pin(struct pagemap_evict *e,
						 struct folio *folio)
{
	if (pagemap_folio_retired(folio))
		return PAGEMAP_EVICT_NOT;
	if (pagemap_pin_anon_vma(&e->pins, folio))
		return PAGEMAP_EVICT_WANT;

	return folio_mapped(folio) && e->pins.num == PAGEMAP_MAX_PINS ?
	       PAGEMAP_EVICT_LATER : PAGEMAP_EVICT_NOT;
}

/*
 * A folio that is worth an attempt: alive, the head, still holding content,
 * and with its anon_vma pinned. The state may change as soon as it is
 * unlocked; what has been collected is looked at again.
 */
static enum pagemap_evict_want pagemap_evict_wants(struct pagemap_evict *e,
						   struct page *page,
						   unsigned int *order)
{
	enum pagemap_evict_want want = PAGEMAP_EVICT_NOT;
	struct folio *folio = page_folio(page);

	if (!folio_try_get(folio))
		return want;

	if (page_folio(page) == folio && &folio->page == page &&
	    folio_trylock(folio)) {
		*order = folio_order(folio);
		want = pagemap_evict_pin(e, folio);
		folio_unlock(folio);
	}
	folio_put(folio);

	return want;
}

/* A block stays alone, with all its pages listed, as mm wants it. */
static void pagemap_evict_list_block(struct pagemap_batch *b, unsigned long pfn)
{
	unsigned long i;

	b->order = PAGEMAP_PMD_ORDER;
	b->npages = 1UL << PAGEMAP_PMD_ORDER;
	for (i = 0; i < b->npages; i++)
		b->src[i] = pfn + i;
}

/*
 * Put the pages worth an attempt into src, closed up, because
 * migrate_device_pfns() knows no entry to skip. Returns how many pages of @pfn
 * it used.
 */
static unsigned long pagemap_evict_list(struct pagemap_evict *e,
					const unsigned long *pfn,
					unsigned long npages)
{
	struct pagemap_batch *b = e->batch;
	unsigned long i;

	b->npages = 0;
	b->order = 0;
	b->demoted = false;

	for (i = 0; i < npages && b->npages < PAGEMAP_BATCH_PAGES; i++) {
		enum pagemap_evict_want want;
		unsigned int order = 0;

		want = pagemap_evict_wants(e, pfn_to_page(pfn[i]), &order);
		if (want == PAGEMAP_EVICT_LATER && b->npages)
			return i;
		if (want != PAGEMAP_EVICT_WANT)
			continue;

		if (!order) {
			b->src[b->npages++] = pfn[i];
			continue;
		}

		/* The pages before it are a batch of their own. */
		if (b->npages)
			return i;
		if (order != PAGEMAP_PMD_ORDER || npages - i < 1UL << order)
			continue;

		pagemap_evict_list_block(b, pfn[i]);
		return i + b->npages;
	}

	return i;
}

/* Allocate for the listed pages; those without a destination stay. */
static void pagemap_evict_get_dsts(struct pagemap_evict *e)
{
	struct pagemap_batch *b = e->batch;
	unsigned long i;

	memset(b->dst, 0, b->npages * sizeof(*b->dst));
	pagemap_batch_for_each(b, i)
		if (!pagemap_evict_get_dst(e, i))
			break;

	/* A block steps over its end; a short list ends where memory did. */
	b->npages = min(i, b->npages);
}

/*
 * Folios that went another way since they were listed. One that has been
 * retired meanwhile must not get to finalize: its anon_vma may be gone.
 */
static void pagemap_evict_sort_out(struct pagemap_evict *e, unsigned int order)
{
	struct pagemap_batch *b = e->batch;
	unsigned long i;

	pagemap_batch_for_each(b, i) {
		struct page *page = pagemap_batch_src_page(b, i);
		struct folio *folio;

		if (!page) {
			pagemap_batch_drop_dst(b, i);
			continue;
		}

		folio = page_folio(page);
		if (pagemap_folio_retired(folio) ||
		    !pagemap_anon_vma_pinned(&e->pins, folio)) {
			pagemap_block_unguard(b);
			folio_unlock(folio);
			folio_put(folio);
			b->src[i] = 0;
			pagemap_batch_drop_dst(b, i);
		} else if (order != b->order ||
			   !(b->src[i] & MIGRATE_PFN_MIGRATE)) {
			pagemap_batch_drop_dst(b, i);
		}
	}
}

/* A copy that failed leaves everything in VRAM, but for what is to be lost. */
static int pagemap_evict_copy(struct pagemap_evict *e)
{
	struct pagemap_batch *b = e->batch;
	int err = pagemap_copy_to_ram(b, e->devmem);

	if (err && err != -ENOMEM) {
		e->copy_err = err;
		pagemap_report_copy_error(e->dpagemap, PAGEMAP_EVICT, err);
	}
	if (err && pagemap_lost_allowed(e, err))
		err = pagemap_lost_salvage(e);
	if (err)
		pagemap_batch_drop_all_dst(b);

	return err;
}

static int pagemap_evict_collected(struct pagemap_evict *e,
				   unsigned long *moved)
{
	struct pagemap_batch *b = e->batch;
	int err = pagemap_evict_copy(e);

	if (pagemap_inject(PAGEMAP_INJECT_COMMIT))
		pagemap_batch_drop_all_dst(b);

	pagemap_block_unguard(b);
	migrate_device_pages(b->src, b->dst, b->npages);
	*moved = pagemap_batch_moved(b);
	pagemap_retire_moved(b);
	if (e->lost)
		pagemap_lost_committed(e);

	return err;
}

/*
 * A block has a reference to lose even while it is collected: mm tolerates one
 * on a device-private folio at that point.
 */
static void pagemap_evict_collect(struct pagemap_evict *e)
{
	struct pagemap_batch *b = e->batch;
	struct folio *block = NULL;

	if (b->order)
		block = folio_get_nontail_page(pfn_to_page(b->src[0]));
	migrate_device_pfns(b->src, b->npages);
	pagemap_batch_collected(b, b->npages);
	/*
	 * If mm gave up because of a zap, that has taken our reference along
	 * with the folio; the allocation, and with it the page, is ours still.
	 */
	if (block && (b->src[0] || folio_ref_count(block)))
		folio_put(block);
}

/*
 * A zap of a block while mm collects it is more than the guard can stand, for
 * it is not up yet (see pagemap_block.c). So keep the owner from exiting for
 * the time being; one that exits already takes the block away by itself.
 */
static bool pagemap_evict_hold_owner(struct pagemap_evict *e)
{
	e->held = e->batch->order && mmget_not_zero(e->mm);

	return e->held || !e->batch->order ||
	       mm_flags_test(MMF_OOM_SKIP, e->mm);
}

static void pagemap_evict_release_owner(struct pagemap_evict *e)
{
	/* The last user tears the address space down: not under our locks. */
	if (e->held)
		mmput_async(e->mm);
	e->held = false;
}

/* From collect to finalize. Returns an error of the copy. */
static int pagemap_evict_move(struct pagemap_evict *e, unsigned long *moved)
{
	struct pagemap_batch *b = e->batch;
	unsigned int order = b->order;
	int err;

	pagemap_evict_collect(e);
	pagemap_evict_sort_out(e, order);
	err = pagemap_evict_collected(e, moved);
	migrate_device_finalize(b->src, b->dst, b->npages);
	pagemap_block_release(b);

	return err;
}

/* Move what has been listed. What stays is tried again, or reported. */
static void pagemap_evict_batch(struct pagemap_evict *e)
{
	struct pagemap_batch *b = e->batch;
	struct pagemap_report report = {
		.direction = PAGEMAP_EVICT,
		.start = b->src[0],
		.npages = b->npages,
		.order = b->order,
	};
	u64 began = ktime_get_ns();

	if (!pagemap_evict_hold_owner(e))
		return;

	pagemap_report_begin(e->dpagemap, PAGEMAP_EVICT, report.start,
			     report.npages);
	pagemap_evict_get_dsts(e);
	report.err = b->npages ? pagemap_evict_move(e, &report.moved) : -ENOMEM;
	report.ns = ktime_get_ns() - began;
	pagemap_report_end(e->dpagemap, &report);
	pagemap_evict_release_owner(e);

	e->pages_moved += report.moved;
	if (e->lost)
		pagemap_lost_poison(e);
}

/* Time is over, or the caller's life. */
static bool pagemap_evict_late(const struct pagemap_evict *e)
{
	return (e->deadline && time_after_eq(jiffies, e->deadline)) ||
	       pagemap_budget_killed(e->budget);
}

/* All of @pfn once; a block that had to be split once more, as pages. */
static void pagemap_evict_list_all(struct pagemap_evict *e,
				   const unsigned long *pfn,
				   unsigned long npages)
{
	struct pagemap_batch *b = e->batch;
	unsigned long i = 0;

	while (i < npages && !pagemap_evict_late(e)) {
		unsigned long used = pagemap_evict_list(e, pfn + i, npages - i);
		unsigned int order = b->order;
		bool split = false;

		if (b->npages)
			pagemap_evict_batch(e);
		pagemap_unpin_anon_vmas(&e->pins);
		/* No pages left in the batch: there was no room in RAM. */
		if (order && !b->npages) {
			unsigned long block = i + used - (1UL << order);

			split = pagemap_split_block(e, block,
						    pfn_to_page(pfn[block]));
		}
		if (!split)
			i += used;
		cond_resched();
	}
}

/**
 * pagemap_evict_pass() - try once to move all pages of an allocation
 * @e: eviction that has begun
 *
 * The page frame numbers of an allocation of one batch, which is what drivers
 * use, find room in the batch.
 */
void pagemap_evict_pass(struct pagemap_evict *e)
{
	struct drm_pagemap_devmem *devmem = e->devmem;
	unsigned long npages = devmem->size >> PAGE_SHIFT;
	unsigned long *pfn = e->pfn;

	/* What a batch overwrites there has been listed before. */
	if (npages <= PAGEMAP_BATCH_PAGES)
		pfn = (unsigned long *)e->batch->pages;
	if (pfn && !devmem->ops->populate_devmem_pfn(devmem, npages, pfn))
		pagemap_evict_list_all(e, pfn, npages);
}

/**
 * pagemap_evict_begin() - get ready to evict an allocation
 * @e: with its budget and the fields that make a difference set, the others zero
 * @zdd: of the allocation; its reference may be put before the first pass if
 *	there is another to the allocation itself
 *
 * Ends the allocation's timeslice.
 */
void pagemap_evict_begin(struct pagemap_evict *e, struct drm_pagemap_zdd *zdd)
{
	unsigned long npages = zdd->devmem->size >> PAGE_SHIFT;

	e->began = ktime_get_ns();
	e->devmem = zdd->devmem;
	e->dpagemap = drm_pagemap_get(zdd->dpagemap);
	e->mm = zdd->mm;
	e->addr = zdd->start;
	mmgrab(e->mm);

	WRITE_ONCE(e->devmem->timeslice_expiration, 0);
	pagemap_end_slices(e->dpagemap);

	if (npages > PAGEMAP_BATCH_PAGES)
		e->pfn = kvmalloc_array(npages, sizeof(*e->pfn),
					GFP_KERNEL | __GFP_NOWARN);
	e->batch = pagemap_batch_get(e->dpagemap, PAGEMAP_POOL_EVICT);
}

/* Once for an allocation, however often it is tried. */
static void pagemap_evict_complain(struct pagemap_evict *e)
{
	struct drm_pagemap_zdd *zdd;

	if (!e->copy_err)
		return;

	zdd = pagemap_zdd_get(e->devmem);
	if (!zdd)
		return;
	if (!READ_ONCE(zdd->copy_failed))
		drm_err(e->dpagemap->drm,
			"copy_to_ram: error %d, %s\n", e->copy_err,
			e->pages_lost ? "content is lost" :
					"pages stay in VRAM");
	WRITE_ONCE(zdd->copy_failed, true);
	pagemap_zdd_put(zdd);
}

/**
 * pagemap_evict_end() - report, and let go of the allocation
 * @e: eviction
 * @left: pages that are in VRAM still
 * @gone: the allocation has nothing left
 */
void pagemap_evict_end(struct pagemap_evict *e, unsigned long left, bool gone)
{
	pagemap_evict_complain(e);
	pagemap_report_evict(e->dpagemap, e->pages_moved, left,
			     ktime_get_ns() - e->began, gone ? 0 : -EBUSY);
	pagemap_count(e->dpagemap, gone ? PAGEMAP_STAT_EVICTIONS :
					  PAGEMAP_STAT_EVICT_BUSY, 1);

	kvfree(e->pfn);
	pagemap_batch_put(e->dpagemap, PAGEMAP_POOL_EVICT, e->batch);
	mmdrop(e->mm);
	drm_pagemap_put(e->dpagemap);
}

static unsigned long pagemap_devmem_live(struct drm_pagemap_devmem *devmem)
{
	struct drm_pagemap_zdd *zdd = pagemap_zdd_get(devmem);
	unsigned long live = 0;

	if (zdd) {
		live = atomic_read(&zdd->live);
		pagemap_zdd_put(zdd);
	}

	return live;
}

/* A tick for those who are just letting go of the last page, if there is time. */
static bool pagemap_evict_await(struct pagemap_evict *e)
{
	u64 began = ktime_get_ns();
	bool gone = try_wait_for_completion(&e->devmem->detached);

	if (gone || pagemap_evict_late(e) || !pagemap_budget_left(e->budget))
		return gone;

	gone = wait_for_completion_timeout(&e->devmem->detached, 1);
	pagemap_budget_spend(e->budget, began);

	return gone;
}

/* Returns whether there is nothing left. Consumes the reference to @zdd. */
static bool pagemap_evict_passes(struct drm_pagemap_zdd *zdd,
				 struct drm_pagemap_budget *budget)
{
	struct drm_pagemap_devmem *devmem = zdd->devmem;
	struct pagemap_evict e = { .budget = budget };
	unsigned int pass = 0;
	bool gone;

	pagemap_evict_begin(&e, zdd);
	/* The zdd itself must be free to go with the last page. */
	pagemap_zdd_put(zdd);

	do {
		pagemap_evict_pass(&e);
		gone = pagemap_evict_await(&e);
	} while (!gone && ++pass < PAGEMAP_EVICT_PASSES &&
		 !pagemap_evict_late(&e) && pagemap_budget_left(budget));
	pagemap_evict_end(&e, pagemap_devmem_live(devmem), gone);

	return gone;
}

/**
 * drm_pagemap_evict_to_ram() - move all pages of an allocation to RAM
 * @devmem_allocation: to empty. The caller holds a reference to it, and
 *	whatever keeps the driver from populating it meanwhile.
 *
 * Ends the allocation's timeslice. An error of the driver's copy is logged once
 * for an allocation; its pages stay in VRAM. A walk that evicts many gives them
 * one budget, see drm_pagemap_budget_begin().
 *
 * Context: sleeps and allocates. An mmap lock may be held for reading, and a
 *	dma_resv, as for an allocation of VRAM; not locks that a notifier takes,
 *	or folio locks.
 * Return: 0 when every page is gone and the allocation detached; -EINTR when
 *	the calling thread is being killed, which is to end a walk; -EBUSY when
 *	any page is left for another reason.
 */
int drm_pagemap_evict_to_ram(struct drm_pagemap_devmem *devmem_allocation)
{
	struct drm_pagemap_budget budget;
	struct drm_pagemap_zdd *zdd;
	bool killed, gone;

	if (WARN_ONCE(READ_ONCE(devmem_allocation->populating),
		      "eviction of an allocation that is being populated\n"))
		return -EBUSY;

	zdd = pagemap_zdd_get(devmem_allocation);
	if (!zdd)
		return 0;
	drm_pagemap_budget_begin(&budget, 0);
	gone = pagemap_evict_passes(zdd, &budget);
	killed = pagemap_budget_killed(&budget);
	drm_pagemap_budget_end(&budget);
	if (gone)
		return 0;

	return killed ? -EINTR : -EBUSY;
}
EXPORT_SYMBOL_GPL(drm_pagemap_evict_to_ram);

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
#include <linux/memremap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "pagemap_internal.h"

/* Passes over an allocation before the caller is told to come back. */
#define PAGEMAP_EVICT_PASSES	3

struct pagemap_evict {
	struct drm_pagemap_devmem *devmem;
	struct pagemap_batch *batch;
	struct pagemap_pins pins;
	bool no_block;			/* could not be made; not again */
};

/*
 * A block where the page allocator has none, made by moving others out of the
 * way. A block in VRAM cannot be split from here, so this is worth the effort.
 */
static struct folio *pagemap_evict_make_block(struct pagemap_evict *e, int nid)
{
	unsigned int order = e->batch->order;
	struct page *page = NULL;

	/* It looks at all of memory, under the caller's locks. */
	if (e->no_block || fatal_signal_pending(current))
		return NULL;

#ifdef CONFIG_CONTIG_ALLOC
	page = alloc_contig_frozen_pages(1UL << order,
					 GFP_KERNEL | __GFP_COMP | __GFP_NOWARN,
					 nid, NULL);
#endif
	if (!page) {
		e->no_block = true;
		return NULL;
	}

	set_page_count(page, 1);
	folio_set_large_rmappable(page_folio(page));

	return page_folio(page);
}

/*
 * No OOM kill and no cpuset of whoever happens to evict; the node is the one
 * that the content came from.
 */
static bool pagemap_evict_get_dst(struct pagemap_evict *e, unsigned long i)
{
	gfp_t gfp = e->batch->order ? GFP_TRANSHUGE : GFP_HIGHUSER_MOVABLE;
	int nid = e->devmem->nid;
	struct folio *folio;

	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	gfp &= ~__GFP_HARDWALL;
	gfp |= __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	folio = __folio_alloc(gfp, e->batch->order, nid, NULL);
	if (!folio && e->batch->order)
		folio = pagemap_evict_make_block(e, nid);
	if (!folio)
		return false;

	e->batch->dst[i] = pagemap_ram_dst(folio);

	return true;
}

/*
 * A folio that is worth an attempt: alive, the head, still holding content,
 * and with its anon_vma pinned. The state may change as soon as it is
 * unlocked; what has been collected is looked at again.
 */
static bool pagemap_evict_wants(struct pagemap_evict *e, struct page *page,
				unsigned int *order)
{
	struct folio *folio = page_folio(page);
	bool want = false;

	if (!folio_try_get(folio))
		return false;

	if (page_folio(page) == folio && &folio->page == page &&
	    folio_trylock(folio)) {
		*order = folio_order(folio);
		want = !pagemap_folio_retired(folio) &&
		       pagemap_pin_anon_vma(&e->pins, folio);
		folio_unlock(folio);
	}
	folio_put(folio);

	return want;
}

/*
 * Put the pages worth an attempt into src, closed up, because
 * migrate_device_pfns() knows no entry to skip. A block stays alone, with all
 * its pages listed, as mm wants it. Returns how many pages of @pfn it used.
 */
static unsigned long pagemap_evict_list(struct pagemap_evict *e,
					const unsigned long *pfn,
					unsigned long npages)
{
	struct pagemap_batch *b = e->batch;
	unsigned long i, j;

	b->npages = 0;
	b->order = 0;
	b->demoted = false;

	for (i = 0; i < npages && b->npages < PAGEMAP_BATCH_PAGES; i++) {
		unsigned int order = 0;

		if (!pagemap_evict_wants(e, pfn_to_page(pfn[i]), &order))
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

		b->order = order;
		b->npages = 1UL << order;
		for (j = 0; j < b->npages; j++)
			b->src[j] = pfn[i] + j;
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

static int pagemap_evict_collected(struct pagemap_evict *e)
{
	struct pagemap_batch *b = e->batch;
	int err;

	err = pagemap_copy_to_ram(b, e->devmem);
	if (err)
		pagemap_batch_drop_all_dst(b);

	pagemap_block_unguard(b);
	migrate_device_pages(b->src, b->dst, b->npages);
	pagemap_retire_moved(b);

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
	if (block)
		folio_put(block);
}

static int pagemap_evict_batch(struct pagemap_evict *e)
{
	struct pagemap_batch *b = e->batch;
	unsigned int order = b->order;
	int err;

	pagemap_evict_get_dsts(e);
	if (!b->npages)
		return -ENOMEM;

	pagemap_evict_collect(e);
	pagemap_evict_sort_out(e, order);
	err = pagemap_evict_collected(e);
	migrate_device_finalize(b->src, b->dst, b->npages);
	pagemap_block_release(b);

	return err;
}

static void pagemap_evict_pass(struct pagemap_evict *e,
			       const unsigned long *pfn, unsigned long npages)
{
	unsigned long done;

	for (; npages; pfn += done, npages -= done) {
		done = pagemap_evict_list(e, pfn, npages);
		/* What stays, for whatever reason, is tried again or reported. */
		if (e->batch->npages)
			pagemap_evict_batch(e);
		pagemap_unpin_anon_vmas(&e->pins);
		cond_resched();
	}
}

/*
 * The page frame numbers of the allocation. An allocation of one batch, which
 * is what drivers use, has room for them in the batch; @large serves others.
 */
static int pagemap_evict_all_pages(struct pagemap_evict *e,
				   unsigned long *large)
{
	unsigned long *pfn = large ?: e->batch->dst;
	struct drm_pagemap_devmem *devmem = e->devmem;
	unsigned long npages = devmem->size >> PAGE_SHIFT;

	if (devmem->ops->populate_devmem_pfn(devmem, npages, pfn))
		return -EBUSY;

	pagemap_evict_pass(e, pfn, npages);

	return 0;
}

static int pagemap_evict_passes(struct pagemap_evict *e)
{
	struct drm_pagemap_devmem *devmem = e->devmem;
	unsigned long npages = devmem->size >> PAGE_SHIFT;
	unsigned long *large = NULL;
	int pass, err = -EBUSY;

	if (npages > PAGEMAP_BATCH_PAGES) {
		large = kvmalloc_array(npages, sizeof(*large),
				       GFP_KERNEL | __GFP_NOWARN);
		if (!large)
			return -EBUSY;
	}

	for (pass = 0; err && pass < PAGEMAP_EVICT_PASSES; pass++) {
		if (pagemap_evict_all_pages(e, large))
			break;
		/* A tick for those who are just letting go of the last page. */
		if (wait_for_completion_timeout(&devmem->detached, 1))
			err = 0;
	}
	kvfree(large);

	return err;
}

/**
 * drm_pagemap_evict_to_ram() - move all pages of an allocation to RAM
 * @devmem_allocation: to empty. The caller holds a reference to it, and
 *	whatever keeps the driver from populating it meanwhile.
 *
 * Ends the allocation's timeslice.
 *
 * Context: sleeps and allocates. A dma_resv may be held; not the mmap lock,
 *	locks that a notifier takes, or folio locks.
 * Return: 0 when every page is gone and the allocation detached; -EBUSY when
 *	any is left, whatever the reason.
 */
int drm_pagemap_evict_to_ram(struct drm_pagemap_devmem *devmem_allocation)
{
	struct pagemap_evict e = { .devmem = devmem_allocation };
	struct drm_pagemap *dpagemap;
	struct drm_pagemap_zdd *zdd;
	int err;

	if (WARN_ONCE(READ_ONCE(devmem_allocation->populating),
		      "eviction of an allocation that is being populated\n"))
		return -EBUSY;

	zdd = pagemap_zdd_get(devmem_allocation);
	if (!zdd)
		return 0;
	/* The zdd itself must be free to go with the last page. */
	dpagemap = drm_pagemap_get(zdd->dpagemap);
	pagemap_zdd_put(zdd);

	WRITE_ONCE(devmem_allocation->timeslice_expiration, 0);
	pagemap_end_slices(dpagemap);

	e.batch = pagemap_batch_get(dpagemap, PAGEMAP_POOL_EVICT);
	err = pagemap_evict_passes(&e);
	pagemap_batch_put(dpagemap, PAGEMAP_POOL_EVICT, e.batch);
	drm_pagemap_put(dpagemap);

	return err;
}
EXPORT_SYMBOL_GPL(drm_pagemap_evict_to_ram);

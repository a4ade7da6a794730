// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Content that is lost with its device. As long as the device is there, a copy
 * that failed leaves the page in VRAM. Once it has been unplugged nobody will
 * read that VRAM again, but the driver cannot go before its pages have gone. So
 * exactly the pages that cannot be read are committed without their content,
 * and mm is told that the RAM they are in now has failed: who touches them gets
 * SIGBUS, as for any other memory that has failed, and never something else
 * than what was there.
 *
 * This is for drm_pagemap_evict_all() only. If mm knows of no memory that fails
 * (CONFIG_MEMORY_FAILURE) the pages stay where they are: their users would see
 * nothing but zeroes, and not be told.
 */
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "pagemap_evict.h"
#include "pagemap_report.h"

/*
 * What is in a lost page until mm has marked it. Not zero: when mm splits a
 * block it takes pages of zeroes for pages that nobody needs.
 */
#define PAGEMAP_LOST_FILL	0xff

/* For &pagemap_evict.lost, to be kvfree()d. NULL: nothing is to be lost. */
struct pagemap_lost *pagemap_lost_alloc(void)
{
	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		return NULL;

	return kvzalloc_obj(struct pagemap_lost);
}

/* Is a copy that failed with @err to be repeated page by page? */
bool pagemap_lost_allowed(const struct pagemap_evict *e, int err)
{
	return e->lost && err != -ENOMEM && drm_dev_is_unplugged(e->dpagemap->drm);
}

/* Address a block by its pages, for there may be some that can be read. */
static void pagemap_lost_expand(struct pagemap_batch *b)
{
	unsigned long i, pfn = page_to_pfn(migrate_pfn_to_page(b->dst[0]));

	for (i = 0; i < b->npages; i++)
		b->dst[i] = migrate_pfn(pfn + i);
	b->order = 0;
	b->demoted = true;
}

static void pagemap_lost_collapse(struct pagemap_batch *b)
{
	memset(b->dst + 1, 0, (b->npages - 1) * sizeof(*b->dst));
	b->dst[0] |= MIGRATE_PFN_COMPOUND;
	b->order = PAGEMAP_PMD_ORDER;
	b->demoted = false;
}

static int pagemap_lost_copy_page(struct pagemap_evict *e, unsigned long i)
{
	struct pagemap_batch *b = e->batch;
	int err;

	b->pages[i] = pagemap_batch_src_page(b, i);
	err = pagemap_dma_map(b, e->devmem->dev, DMA_FROM_DEVICE);
	if (!err) {
		err = pagemap_copy_wait(pagemap_copy_submit(b, e->devmem, true,
							    NULL));
		pagemap_dma_unmap(b);
	}
	b->pages[i] = NULL;
	memset(&b->addr[i], 0, sizeof(b->addr[i]));

	return err;
}

static int pagemap_lost_copy_pages(struct pagemap_evict *e, bool block)
{
	struct pagemap_batch *b = e->batch;
	unsigned long i;

	pagemap_batch_select_none(b);
	for (i = 0; i < b->npages; i++) {
		int err = b->dst[i] ? pagemap_lost_copy_page(e, i) : 0;

		if (err == -ENOMEM && block)
			return err;
		if (err == -ENOMEM) {
			pagemap_batch_drop_dst(b, i);
		} else if (err) {
			memset_page(migrate_pfn_to_page(b->dst[i]), 0,
				    PAGEMAP_LOST_FILL, PAGE_SIZE);
			__set_bit(i, e->lost->page);
		}
	}

	return 0;
}

/**
 * pagemap_lost_salvage() - copy what can be read, and note what cannot
 * @e: with a batch whose copy failed, if pagemap_lost_allowed() says so
 *
 * Context: folios of the batch locked. Sleeps.
 * Return: 0, and the batch may be committed; -ENOMEM.
 */
int pagemap_lost_salvage(struct pagemap_evict *e)
{
	struct pagemap_batch *b = e->batch;
	bool block = b->order;
	int err;

	if (block)
		pagemap_lost_expand(b);
	err = pagemap_lost_copy_pages(e, block);
	if (block)
		pagemap_lost_collapse(b);
	if (err)
		bitmap_zero(e->lost->page, b->npages);

	return err;
}

/**
 * pagemap_lost_committed() - forget those that mm did not commit after all
 * @e: with a batch between commit and finalize
 */
void pagemap_lost_committed(struct pagemap_evict *e)
{
	const struct pagemap_batch *b = e->batch;
	unsigned long i;

	for_each_set_bit(i, e->lost->page, b->npages) {
		unsigned long entry = ALIGN_DOWN(i, 1UL << b->order);
		struct page *page = migrate_pfn_to_page(b->dst[entry]);

		if (page && (b->src[entry] & MIGRATE_PFN_MIGRATE))
			e->lost->pgoff[i] = page_folio(page)->index + i - entry;
		else
			__clear_bit(i, e->lost->page);
	}
}

/*
 * A page that was unmapped since the finalize may be somebody else's by now.
 * The anon_vma is pinned, so that it and the place in it tell. References from
 * before would keep mm from splitting a block.
 */
static bool pagemap_lost_get(struct pagemap_evict *e, struct page *page,
			     pgoff_t pgoff)
{
	struct folio *folio = page_folio(page);
	bool ours;

	if (!folio_try_get(folio))
		return false;

	folio_lock(folio);
	ours = page_folio(page) == folio && folio_mapped(folio) &&
	       pagemap_anon_vma_pinned(&e->pins, folio) &&
	       page_pgoff(folio, page) == pgoff;
	folio_unlock(folio);
	if (!ours)
		folio_put(folio);

	return ours;
}

/**
 * pagemap_lost_poison() - have mm take lost pages away from their users
 * @e: with a finalized batch, anon_vmas still pinned
 *
 * Context: no folio locked. Sleeps.
 */
void pagemap_lost_poison(struct pagemap_evict *e)
{
	const struct pagemap_batch *b = e->batch;
	unsigned long i;

	for_each_set_bit(i, e->lost->page, b->npages) {
		unsigned long entry = ALIGN_DOWN(i, 1UL << b->order);
		struct page *page = migrate_pfn_to_page(b->dst[entry]) + i - entry;

		if (!pagemap_lost_get(e, page, e->lost->pgoff[i]))
			continue;

		/* Consumes the reference; says itself what became of it. */
		if (IS_ENABLED(CONFIG_MEMORY_FAILURE))
			memory_failure(page_to_pfn(page), MF_COUNT_INCREASED |
				       MF_SW_SIMULATED);
		pagemap_report_lost(e->dpagemap, page_to_pfn(page));
		e->pages_lost++;
		cond_resched();
	}
	bitmap_zero(e->lost->page, b->npages);
}

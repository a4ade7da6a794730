// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The batch: arrays for one aligned PMD of pages, where they come from, and
 * what can be asked about them.
 */
#include <kunit/visibility.h>
#include <linux/slab.h>

#include "pagemap_inject.h"
#include "pagemap_internal.h"

struct pagemap_batch *pagemap_large_batch_init(struct pagemap_large_batch *large)
{
	large->batch = (struct pagemap_batch) {
		.mapped = large->mapped,
		.src = large->src,
		.dst = large->dst,
		.pages = large->pages,
		.addr = large->addr,
	};

	return &large->batch;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_large_batch_init);

static void *pagemap_batch_alloc(gfp_t gfp, void *data)
{
	struct pagemap_large_batch *large = kvmalloc(sizeof(*large), gfp);

	return large ? pagemap_large_batch_init(large) : NULL;
}

/* For a window of PAGEMAP_SMALL_PAGES at most. */
struct pagemap_batch *pagemap_small_batch_init(struct pagemap_small_batch *small)
{
	small->batch = (struct pagemap_batch) {
		.mapped = small->mapped,
		.src = small->src,
		.dst = small->dst,
		.pages = small->pages,
		.addr = small->addr,
	};

	return &small->batch;
}

/* The last put of a pagemap destroys its pools, in any context. */
static void pagemap_batch_free(void *element, void *data)
{
	kvfree_atomic(container_of(element, struct pagemap_large_batch, batch));
}

int pagemap_pools_init(struct drm_pagemap_private *priv)
{
	for (int i = 0; i < PAGEMAP_NUM_POOLS; i++) {
		priv->pool[i] = mempool_create(1, pagemap_batch_alloc,
					       pagemap_batch_free, NULL);
		if (!priv->pool[i]) {
			pagemap_pools_fini(priv);
			return -ENOMEM;
		}
	}

	return 0;
}

void pagemap_pools_fini(struct drm_pagemap_private *priv)
{
	for (int i = 0; i < PAGEMAP_NUM_POOLS; i++) {
		mempool_destroy(priv->pool[i]);
		priv->pool[i] = NULL;
	}
}

/*
 * Never fails, may wait for another holder of the same pool; a thread holds
 * one at a time. The element in reserve comes first: mempool_alloc() would
 * take a large piece of memory from the allocator for each call.
 */
struct pagemap_batch *pagemap_batch_get(struct drm_pagemap *dpagemap,
					enum pagemap_pool pool)
{
	mempool_t *from = dpagemap->priv->pool[pool];
	struct pagemap_batch *b = mempool_alloc_preallocated(from);

	return b ?: mempool_alloc(from, GFP_KERNEL);
}

/* A further one for a thread that has one; NULL if that would mean to wait. */
struct pagemap_batch *pagemap_batch_try_get(struct drm_pagemap *dpagemap,
					    enum pagemap_pool pool)
{
	return mempool_alloc(dpagemap->priv->pool[pool],
			     GFP_NOWAIT | __GFP_NOWARN);
}

void pagemap_batch_put(struct drm_pagemap *dpagemap, enum pagemap_pool pool,
		       struct pagemap_batch *b)
{
	mempool_free(b, dpagemap->priv->pool[pool]);
}

/* No page of the batch takes part in a copy, for the time being. */
void pagemap_batch_select_none(struct pagemap_batch *b)
{
	memset(b->pages, 0, b->npages * sizeof(*b->pages));
	memset(b->addr, 0, b->npages * sizeof(*b->addr));
}

/*
 * Take over @src as mm has filled it in; there are no destinations yet. The
 * block, if it is one in VRAM, is guarded until pagemap_block_unguard().
 */
void pagemap_batch_collected(struct pagemap_batch *b, unsigned long npages)
{
	b->npages = npages;
	b->order = npages && (b->src[0] & MIGRATE_PFN_COMPOUND) ?
		   PAGEMAP_PMD_ORDER : 0;
	b->demoted = false;
	memset(&b->iova, 0, sizeof(b->iova));
	bitmap_zero(b->mapped, npages);
	pagemap_batch_select_none(b);
	pagemap_block_guard(b);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_batch_collected);

/*
 * As mm leaves it if it began anew at the last page, and found all of them then:
 * what it had before are holes here.
 */
static void pagemap_batch_inject_twice(struct migrate_vma *migrate)
{
	unsigned long i, npages = migrate->npages, before = npages - 1;

	memmove(migrate->src + before, migrate->src,
		npages * sizeof(*migrate->src));
	for (i = 0; i < before; i++)
		migrate->src[i] = MIGRATE_PFN_MIGRATE;
	for (i = npages; i < before + npages; i++)
		migrate->dst[i] = 0;
	migrate->npages += before;
	migrate->cpages += before;
}

/**
 * pagemap_batch_collect() - let mm collect a range, each page of it once
 * @dpagemap: for which pagemap
 * @b: batch, with room for the range
 * @migrate: all that migrate_vma_setup() wants to know, within one aligned PMD
 *
 * When migrate_vma_collect_pmd() splits a large folio that is mapped page by
 * page, it drops the lock of the page table, and then begins anew; if somebody
 * has zapped the PMD meanwhile, and the page table is gone (MADV_DONTNEED, which
 * needs the mmap lock for reading only), it takes the range as a whole, and
 * appends that to the entries that it has (Linux 7.3, mm/migrate_device.c). It
 * does so once for a PMD, for then it returns. So there are less than twice the
 * entries asked for, which is why the arrays have that much room, and an entry
 * does not tell its address any more. But each has a folio of its own, locked,
 * for the first ones have been zapped where the others were found; so the
 * finalize that nothing was moved for puts everything right again.
 *
 * Context: mmap lock held for reading.
 * Return: 0, and migrate_vma_finalize() must follow if there are cpages; or, with
 *	nothing collected, -EBUSY if somebody came in between, or the error of
 *	migrate_vma_setup().
 */
int pagemap_batch_collect(struct drm_pagemap *dpagemap, struct pagemap_batch *b,
			  struct migrate_vma *migrate)
{
	const unsigned long end = migrate->end;
	unsigned long npages = (end - migrate->start) >> PAGE_SHIFT;
	int err = migrate_vma_setup(migrate);

	if (err)
		return err;
	if (migrate->npages > 1 && pagemap_inject(PAGEMAP_INJECT_COLLECT))
		pagemap_batch_inject_twice(migrate);

	/* mm makes it the end of the entries. */
	migrate->end = end;
	if (migrate->npages > npages) {
		pagemap_count(dpagemap, PAGEMAP_STAT_COLLECTED_TWICE, 1);
		migrate_vma_finalize(migrate);
		b->npages = 0;
		b->order = 0;
		return -EBUSY;
	}
	pagemap_batch_collected(b, migrate->npages);

	return 0;
}

/* NULL if the entry is a hole, or was not collected. */
struct page *pagemap_batch_src_page(const struct pagemap_batch *b,
				    unsigned long i)
{
	struct page *page;

	if (!b->demoted)
		return migrate_pfn_to_page(b->src[i]);

	page = migrate_pfn_to_page(b->src[0]);

	return page ? page + i : NULL;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_batch_src_page);

/* Give back a destination that was not committed: it is locked and ours. */
void pagemap_batch_drop_dst(struct pagemap_batch *b, unsigned long i)
{
	struct page *page = migrate_pfn_to_page(b->dst[i]);

	if (page) {
		struct folio *folio = page_folio(page);

		folio_unlock(folio);
		folio_put(folio);
	}
	b->dst[i] = 0;
}

void pagemap_batch_drop_all_dst(struct pagemap_batch *b)
{
	unsigned long i;

	pagemap_batch_for_each(b, i)
		pagemap_batch_drop_dst(b, i);
}

/*
 * Pages that mm has committed. A block of holes is recognized by its order: mm
 * leaves its source entry as it was, without a page.
 */
unsigned long pagemap_batch_moved(const struct pagemap_batch *b)
{
	unsigned long i, moved = 0;

	pagemap_batch_for_each(b, i)
		if ((b->src[i] & MIGRATE_PFN_MIGRATE) && b->dst[i])
			moved += 1UL << b->order;

	return moved;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_batch_moved);

/* Can a folio of @order begin at @pfn[0]? */
bool pagemap_pfns_fit_block(const unsigned long *pfn, unsigned int order)
{
	if (!IS_ALIGNED(pfn[0], 1UL << order))
		return false;

	for (unsigned long i = 1; i < 1UL << order; i++)
		if (pfn[i] != pfn[0] + i)
			return false;

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_pfns_fit_block);

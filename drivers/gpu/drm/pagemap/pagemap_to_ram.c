// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What CPU faults and evictions have in common: copying a collected batch to
 * system memory, and what is done to the folios that it leaves behind.
 */
#include <linux/memremap.h>

#include "pagemap_internal.h"

/* The entry of a destination in RAM; locks the new folio. */
unsigned long pagemap_ram_dst(struct folio *folio)
{
	unsigned long dst = migrate_pfn(folio_pfn(folio));

	folio_lock(folio);

	return folio_test_large(folio) ? dst | MIGRATE_PFN_COMPOUND : dst;
}

/**
 * pagemap_copy_to_ram() - fill the destinations of a batch
 * @b: collected batch, with a destination where one was to be had
 * @devmem: an allocation, for its device and operations
 *
 * Context: folios of the batch locked. Sleeps.
 * Return: 0; on error nothing may be committed: -ENOMEM if the destinations
 *	could not be mapped, which passes, or what the driver returned.
 */
int pagemap_copy_to_ram(struct pagemap_batch *b,
			const struct drm_pagemap_devmem *devmem)
{
	bool any = false;
	unsigned long i;
	int err;

	pagemap_batch_for_each(b, i) {
		b->pages[i] = b->dst[i] ? pagemap_batch_src_page(b, i) : NULL;
		any |= !!b->pages[i];
	}
	if (!any)
		return 0;

	err = pagemap_dma_map(b, devmem->dev, DMA_FROM_DEVICE);
	if (err)
		return err;

	err = devmem->ops->copy_to_ram(b->pages, b->addr, b->npages, NULL);
	/* Bounce buffers reach the destination here, before the commit. */
	pagemap_dma_unmap(b);

	return err;
}

/*
 * Between commit and finalize, with the source folios locked: mark them, so
 * that an eviction that finds one with a stray reference leaves it alone. After
 * finalize, pagemap_block_release() must follow.
 */
void pagemap_retire_moved(struct pagemap_batch *b)
{
	unsigned long i;

	pagemap_block_guard(b);

	pagemap_batch_for_each(b, i) {
		struct page *page = pagemap_batch_src_page(b, i);

		if (page && b->dst[i] && (b->src[i] & MIGRATE_PFN_MIGRATE) &&
		    is_device_private_page(page))
			pagemap_folio_retire(page_folio(page));
	}
}

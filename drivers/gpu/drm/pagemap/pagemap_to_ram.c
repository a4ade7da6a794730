// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What is done to folios on both sides of a way out of VRAM, whichever it is.
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

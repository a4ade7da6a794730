// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * While a device-private block (a PMD-mapped folio) is on its way, a migration
 * entry stands for it in each page table that had it mapped. zap_huge_pmd()
 * takes such an entry for the mapping itself, because it looks at the folio
 * and not at the entry (Linux 7.3, mm/huge_memory.c): when a process unmaps
 * the address or exits meanwhile, the folio loses a reference and a mapping
 * that it does not have, and would be freed under our hands. Entries of
 * single pages are zapped as they should be.
 *
 * The core cannot keep a process from exiting, so it guards the block with
 * references to lose, and puts right afterwards what went wrong: a mapcount
 * below zero tells how often it happened. Unguarded remains the instant of
 * the commit, for which mm wants the exact count of references; and while mm
 * collects there is one reference to lose at most, so an eviction keeps the
 * owner from exiting meanwhile. The statistic of mapped anonymous
 * memory stays wrong. This file goes away when mm looks at the entry.
 */
#include <linux/memremap.h>
#include <linux/page_ref.h>
#include <linux/rmap.h>

#include "pagemap_internal.h"

/* More than there are processes that can exit meanwhile. */
#define PAGEMAP_GUARD	0x100000

/* The block of a collected batch, or NULL if it has none in VRAM. */
static struct folio *pagemap_device_block(const struct pagemap_batch *b)
{
	struct page *page = migrate_pfn_to_page(b->src[0]);

	if (!page || !(b->src[0] & MIGRATE_PFN_MIGRATE) ||
	    !(b->src[0] & MIGRATE_PFN_COMPOUND) || !is_device_private_page(page))
		return NULL;

	return page_folio(page);
}

/*
 * How often a folio that is not mapped was unmapped. Says so once: the counters
 * are right again.
 */
static int pagemap_block_settle(struct folio *folio)
{
	int zaps;

	/* A zap reads and writes the count under this lock as well. */
	folio_lock_large_mapcount(folio);
	zaps = -(atomic_read(&folio->_large_mapcount) + 1);
	if (zaps > 0) {
		atomic_set(&folio->_large_mapcount, -1);
		atomic_set(&folio->_entire_mapcount, -1);
		atomic_set(&folio->_nr_pages_mapped, 0);
	}
	folio_unlock_large_mapcount(folio);

	return max(zaps, 0);
}

/**
 * pagemap_block_guard() - give the block references to lose, if there is one
 * @b: batch, just collected or just committed
 */
void pagemap_block_guard(struct pagemap_batch *b)
{
	b->block = pagemap_device_block(b);
	if (b->block)
		folio_ref_add(b->block, PAGEMAP_GUARD);
}

/**
 * pagemap_block_unguard() - make the block's count of references exact again
 * @b: guarded batch, not yet finalized, so that its folios are not mapped
 *
 * For the commit, and for a finalize that puts back what has not moved.
 */
void pagemap_block_unguard(struct pagemap_batch *b)
{
	if (!b->block)
		return;

	folio_ref_sub(b->block, PAGEMAP_GUARD - pagemap_block_settle(b->block));
	b->block = NULL;
}

/**
 * pagemap_block_release() - let go of a block whose content has moved
 * @b: batch that was guarded for its finalize; that has put the folio
 */
void pagemap_block_release(struct pagemap_batch *b)
{
	if (!b->block)
		return;

	folio_put_refs(b->block,
		       PAGEMAP_GUARD - pagemap_block_settle(b->block));
	b->block = NULL;
}

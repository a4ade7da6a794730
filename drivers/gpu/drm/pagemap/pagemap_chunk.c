// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A devmem allocation on the way to its first use. What the driver says about
 * it is checked here: a page that is not its own belongs to somebody else.
 */
#include <linux/dma-fence.h>

#include <drm/drm_print.h>

#include "pagemap_job.h"
#include "pagemap_report.h"

/* No page frame of any pagemap. */
#define PAGEMAP_NO_PFN	(~0UL)

static int pagemap_chunk_check_pfns(const struct pagemap_chunk *chunk,
				    unsigned long npages)
{
	struct drm_pagemap *dpagemap = chunk->devmem->dpagemap;
	const struct range *range = &dpagemap->pagemap->range;

	for (unsigned long i = 0; i < npages; i++) {
		if (chunk->pfn[i] >= PHYS_PFN(range->start) &&
		    chunk->pfn[i] <= PHYS_PFN(range->end))
			continue;

		drm_err_ratelimited(dpagemap->drm,
				    "populate_devmem_pfn: page %lu of %lu is %s\n",
				    i, npages, chunk->pfn[i] == PAGEMAP_NO_PFN ?
				    "missing" : "not of the pagemap");
		return -EINVAL;
	}

	return 0;
}

static int pagemap_chunk_get_pfns(struct pagemap_chunk *chunk)
{
	unsigned long npages = (chunk->end - chunk->start) >> PAGE_SHIFT;
	struct drm_pagemap_devmem *devmem = chunk->devmem;
	int err;

	chunk->pfn = kvmalloc_array(npages, sizeof(*chunk->pfn), GFP_KERNEL);
	if (!chunk->pfn)
		return -ENOMEM;

	memset(chunk->pfn, 0xff, npages * sizeof(*chunk->pfn));
	err = devmem->ops->populate_devmem_pfn(devmem, npages, chunk->pfn);

	return err ?: pagemap_chunk_check_pfns(chunk, npages);
}

static int pagemap_chunk_check_ops(const struct drm_pagemap_devmem *devmem)
{
	const struct drm_pagemap_devmem_ops *ops = devmem->ops;
	const char *missing = NULL;

	if (!ops->populate_devmem_pfn)
		missing = "populate_devmem_pfn";
	else if (!ops->copy_to_devmem && !ops->copy_to_devmem_async)
		missing = "copy_to_devmem";
	else if (!ops->copy_to_ram && !ops->copy_to_ram_async)
		missing = "copy_to_ram";
	if (!missing)
		return 0;

	drm_err_ratelimited(devmem->dpagemap->drm,
			    "migration needs the operation %s\n", missing);

	return -EOPNOTSUPP;
}

static int pagemap_chunk_check(const struct pagemap_chunk *chunk)
{
	const struct drm_pagemap_devmem *devmem = chunk->devmem;

	if (chunk->end - chunk->start > devmem->size)
		return -EINVAL;

	return pagemap_chunk_check_ops(devmem);
}

/* From now on an eviction may find it. */
static void pagemap_chunk_populated(const struct pagemap_chunk *chunk)
{
	struct drm_pagemap_devmem *devmem = chunk->devmem;
	const struct drm_pagemap_ops *ops = devmem->dpagemap->ops;

	/* Pairs with drm_pagemap_evict_all(): what was committed shows before. */
	smp_store_release(&devmem->populating, false);
	if (chunk->pinned && ops->devmem_populated)
		ops->devmem_populated(devmem);
}

/**
 * pagemap_chunk_begin() - take over an allocation from the driver
 * @chunk: to fill in
 * @devmem: with the reference that is the core's, which is consumed
 * @mm: process that it is for
 * @start: first address that is to move there
 * @end: behind the last one
 * @pinned: it is from the devmem_alloc operation, which devmem_populated ends,
 *	whatever becomes of it
 *
 * Return: 0, and pagemap_chunk_end() must follow; -ENOMEM; -EINVAL if the
 *	driver broke a rule; -EOPNOTSUPP; or what an operation returned.
 */
int pagemap_chunk_begin(struct pagemap_chunk *chunk,
			struct drm_pagemap_devmem *devmem, struct mm_struct *mm,
			unsigned long start, unsigned long end, bool pinned)
{
	int err;

	*chunk = (struct pagemap_chunk) {
		.devmem = devmem,
		.pinned = pinned,
		.start = start,
		.end = end,
	};
	WRITE_ONCE(devmem->populating, true);
	chunk->zdd = pagemap_zdd_alloc(devmem, mm, start);
	if (!chunk->zdd) {
		pagemap_chunk_populated(chunk);
		if (devmem->ops->devmem_release)
			devmem->ops->devmem_release(devmem);
		return -ENOMEM;
	}

	pagemap_count(devmem->dpagemap, PAGEMAP_STAT_ALLOCATIONS, 1);
	err = pagemap_chunk_check(chunk);
	if (!err)
		err = pagemap_chunk_get_pfns(chunk);
	if (err)
		pagemap_chunk_end(chunk);

	return err;
}

/**
 * pagemap_chunk_end() - its pages are in place, or will not come
 * @chunk: begun; without jobs underway
 *
 * Context: mmap lock held, if anything moved.
 *
 * The allocation may be gone on return.
 */
void pagemap_chunk_end(struct pagemap_chunk *chunk)
{
	struct drm_pagemap_devmem *devmem = chunk->devmem;

	if (chunk->committed) {
		dma_fence_put(devmem->pre_migrate_fence);
		devmem->pre_migrate_fence = NULL;
		if (devmem->nid == NUMA_NO_NODE)
			devmem->nid = pagemap_ram_node(chunk->zdd->mm,
						       chunk->start);
	}
	pagemap_chunk_populated(chunk);
	kvfree(chunk->pfn);
	pagemap_zdd_put(chunk->zdd);
}

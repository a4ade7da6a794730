// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Migration to devmem: pages and holes of a range of virtual addresses go to
 * one devmem allocation. All of a batch moves, or nothing: a driver answers
 * -EBUSY by bringing the range into a state that can move, so that a half that
 * moved before would just travel twice.
 *
 * The struct pages of the destination come to life here, each with a
 * reference to the zdd. Those that are not committed are put again, and take
 * their reference along; so the allocation is released when its last page
 * goes, or at the end of a migration that moved nothing.
 */
#include <linux/dma-fence.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/ksm.h>
#include <linux/memremap.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "pagemap_internal.h"

/* One call of drm_pagemap_migrate_to_devmem(). */
struct pagemap_to_devmem {
	struct drm_pagemap_devmem *devmem;
	struct drm_pagemap_zdd *zdd;
	struct vm_area_struct *vma;
	struct pagemap_batch *batch;
	unsigned long *pfn;		/* destinations of the whole range */
	bool move_ours;
	bool committed;			/* pages of devmem are in use */
	unsigned long timeslice_ms;
};

static struct pagemap_source pagemap_source(const struct pagemap_to_devmem *m,
					    unsigned long src)
{
	struct page *page = migrate_pfn_to_page(src);
	struct pagemap_source s = {
		.collected = src & MIGRATE_PFN_MIGRATE,
		.hole = !page,
	};

	if (!page) {
		/* mm would refuse it, after the pages around it have moved. */
		s.collected = s.collected && !userfaultfd_missing(m->vma);
		return s;
	}

	s.device = is_device_private_page(page);
	s.ours = s.device && page_pgmap(page) == m->devmem->dpagemap->pagemap;
	s.ksm = !s.device && folio_test_ksm(page_folio(page));

	return s;
}

/*
 * Number of pages that are to move, or -EBUSY if any cannot. Copies from VRAM
 * to VRAM have no operation yet.
 */
static long pagemap_choose_sources(struct pagemap_to_devmem *m)
{
	struct pagemap_batch *b = m->batch;
	unsigned long i;
	long pages = 0;

	pagemap_batch_for_each(b, i) {
		struct pagemap_source source = pagemap_source(m, b->src[i]);

		switch (pagemap_choose(source, m->move_ours)) {
		case PAGEMAP_MOVE:
			if (source.device)
				return -EOPNOTSUPP;
			pages += 1L << b->order;
			break;
		case PAGEMAP_STAY:
			b->src[i] &= ~MIGRATE_PFN_MIGRATE;
			break;
		case PAGEMAP_MISSING:
			return -EBUSY;
		}
	}

	return pages;
}

static void pagemap_note_node(struct pagemap_to_devmem *m, struct page *page)
{
	if (page && m->devmem->nid == NUMA_NO_NODE)
		m->devmem->nid = page_to_nid(page);
}

/* Bring the destination's struct pages to life. */
static void pagemap_get_device_pages(struct pagemap_to_devmem *m,
				     const unsigned long *pfn)
{
	struct dev_pagemap *pgmap = m->devmem->dpagemap->pagemap;
	struct pagemap_batch *b = m->batch;
	unsigned long i;

	pagemap_batch_for_each(b, i) {
		struct page *page = pfn_to_page(pfn[i]);

		if (!(b->src[i] & MIGRATE_PFN_MIGRATE))
			continue;

		zone_device_folio_init((struct folio *)page, pgmap, b->order);
		folio_set_zone_device_data((struct folio *)page, m->zdd);
		kref_get(&m->zdd->refcount);

		b->pages[i] = page;
		b->dst[i] = migrate_pfn(pfn[i]);
		if (b->order)
			b->dst[i] |= MIGRATE_PFN_COMPOUND;
		pagemap_note_node(m, pagemap_batch_src_page(b, i));
	}
}

static int pagemap_copy_to_devmem(struct pagemap_to_devmem *m)
{
	struct drm_pagemap_devmem *devmem = m->devmem;
	struct pagemap_batch *b = m->batch;
	int err;

	err = pagemap_dma_map(b, devmem->dev, DMA_TO_DEVICE);
	if (err)
		return err;

	err = devmem->ops->copy_to_devmem(b->pages, b->addr, b->npages,
					  devmem->pre_migrate_fence);
	pagemap_dma_unmap(b);

	return err;
}

/* The slice runs from before the first page can be seen by a CPU fault. */
static void pagemap_start_slice(struct pagemap_to_devmem *m)
{
	WRITE_ONCE(m->devmem->timeslice_expiration,
		   get_jiffies_64() + msecs_to_jiffies(m->timeslice_ms));
}

/* Everything between collect and finalize. */
static int pagemap_move_collected(struct pagemap_to_devmem *m,
				  struct migrate_vma *migrate,
				  const unsigned long *pfn)
{
	struct pagemap_batch *b = m->batch;
	long pages;
	int err;

	pages = pagemap_choose_sources(m);
	if (pages <= 0)
		return pages;

	pagemap_get_device_pages(m, pfn);
	err = pagemap_copy_to_devmem(m);
	if (err) {
		pagemap_batch_drop_all_dst(b);
		return err;
	}

	pagemap_start_slice(m);
	migrate_vma_pages(migrate);
	m->committed = true;

	return pagemap_batch_moved(b) == pages ? 0 : -EBUSY;
}

/*
 * Is a THP to stay whole? It must find a block of VRAM, and one in RAM when it
 * comes home; where a PMD is very large (512 MiB with pages of 64 KiB) the
 * latter is too much to hope for. mm splits what is collected page by page,
 * for all that map it; to split it on the way would leave the entries of
 * forked children behind.
 */
static bool pagemap_wants_block(unsigned long start, unsigned long end,
				const unsigned long *pfn)
{
	if (end - start != PMD_SIZE || end - start > SZ_32M)
		return false;

	return pagemap_pfns_fit_block(pfn, PAGEMAP_PMD_ORDER);
}

/* @start and @end within one aligned PMD. */
static int pagemap_batch_to_devmem(struct pagemap_to_devmem *m,
				   unsigned long start, unsigned long end,
				   const unsigned long *pfn)
{
	struct pagemap_batch *b = m->batch;
	struct migrate_vma migrate = {
		.vma = m->vma,
		.start = start,
		.end = end,
		.src = b->src,
		.dst = b->dst,
		.pgmap_owner = m->devmem->dpagemap->pagemap->owner,
		.flags = MIGRATE_VMA_SELECT_SYSTEM |
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	int err;

	if (pagemap_wants_block(start, end, pfn))
		migrate.flags |= MIGRATE_VMA_SELECT_COMPOUND;

	err = migrate_vma_setup(&migrate);
	if (err)
		return err;
	if (!migrate.cpages)
		return -EBUSY;

	pagemap_batch_collected(b, migrate.npages);
	err = migrate.npages == (end - start) >> PAGE_SHIFT ? 0 : -EBUSY;
	if (!err)
		err = pagemap_move_collected(m, &migrate, pfn);
	pagemap_block_unguard(b);
	migrate_vma_finalize(&migrate);

	return err;
}

static int pagemap_range_to_devmem(struct pagemap_to_devmem *m,
				   unsigned long start, unsigned long end)
{
	unsigned long addr, next;
	int err;

	for (addr = start; addr < end; addr = next) {
		next = min(ALIGN_DOWN(addr, PMD_SIZE) + PMD_SIZE, end);
		err = pagemap_batch_to_devmem(m, addr, next, m->pfn +
					      ((addr - start) >> PAGE_SHIFT));
		if (err)
			return err;
	}

	return 0;
}

/* The driver's pages, checked: a wrong one would belong to somebody else. */
static int pagemap_get_pfns(struct pagemap_to_devmem *m, unsigned long npages)
{
	const struct range *range = &m->devmem->dpagemap->pagemap->range;
	int err;

	m->pfn = kvmalloc_array(npages, sizeof(*m->pfn), GFP_KERNEL);
	if (!m->pfn)
		return -ENOMEM;

	err = m->devmem->ops->populate_devmem_pfn(m->devmem, npages, m->pfn);
	if (err)
		return err;

	for (unsigned long i = 0; i < npages; i++) {
		phys_addr_t phys = PFN_PHYS(m->pfn[i]);

		if (WARN_ONCE(phys < range->start || phys > range->end,
			      "populate_devmem_pfn: page %lu outside the pagemap\n",
			      i))
			return -EINVAL;
	}

	return 0;
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

static int pagemap_do_to_devmem(struct pagemap_to_devmem *m,
				unsigned long start, unsigned long end)
{
	struct drm_pagemap_devmem *devmem = m->devmem;
	int err;

	err = pagemap_get_pfns(m, (end - start) >> PAGE_SHIFT);
	if (err)
		return err;

	WRITE_ONCE(devmem->populating, true);
	m->batch = pagemap_batch_get(devmem->dpagemap, PAGEMAP_POOL_POPULATE);
	err = pagemap_range_to_devmem(m, start, end);
	pagemap_batch_put(devmem->dpagemap, PAGEMAP_POOL_POPULATE, m->batch);
	WRITE_ONCE(devmem->populating, false);

	if (m->committed) {
		dma_fence_put(devmem->pre_migrate_fence);
		devmem->pre_migrate_fence = NULL;
	}

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
 * @mdetails: how
 *
 * Pages that are in the pagemap already count as moved. On error some of the
 * pages may be in VRAM, if the range is larger than a PMD or if a page was
 * taken away in the middle; they keep the allocation.
 *
 * Context: mmap lock of @mm held, and whatever keeps the driver from evicting
 *	the allocation meanwhile, usually its dma_resv. Sleeps.
 * Return: 0 when all of the range is in the pagemap. -EBUSY when a page
 *	cannot move now, or was taken away meanwhile, or the VMA is not
 *	anonymous; -ENOENT without a VMA at @start; -EINVAL for a bad range;
 *	-EOPNOTSUPP when the driver lacks an operation; -ENOMEM; or what an
 *	operation of the driver returned.
 */
int drm_pagemap_migrate_to_devmem(struct drm_pagemap_devmem *devmem_allocation,
				  struct mm_struct *mm,
				  unsigned long start, unsigned long end,
				  const struct drm_pagemap_migrate_details *mdetails)
{
	const struct drm_pagemap_devmem_ops *ops = devmem_allocation->ops;
	struct pagemap_to_devmem m = {
		.devmem = devmem_allocation,
		.move_ours = mdetails->can_migrate_same_pagemap,
		.timeslice_ms = mdetails->timeslice_ms,
	};
	int err;

	m.zdd = pagemap_zdd_alloc(devmem_allocation);
	if (!m.zdd) {
		if (ops->devmem_release)
			ops->devmem_release(devmem_allocation);
		return -ENOMEM;
	}

	if (!ops->populate_devmem_pfn || !ops->copy_to_devmem || !ops->copy_to_ram)
		err = -EOPNOTSUPP;
	else if (end - start > devmem_allocation->size)
		err = -EINVAL;
	else
		err = pagemap_check_range(mm, start, end, &m.vma);
	if (!err)
		err = pagemap_do_to_devmem(&m, start, end);

	kvfree(m.pfn);
	pagemap_zdd_put(m.zdd);

	return err;
}
EXPORT_SYMBOL_GPL(drm_pagemap_migrate_to_devmem);

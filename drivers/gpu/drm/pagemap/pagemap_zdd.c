// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Zone device data: what the pages of one devmem allocation point to.
 *
 *   folio --+
 *   folio --+--> zdd --> devmem (driver's, until the last folio is freed)
 *   folio --+     +----> drm_pagemap (referenced)
 *
 * The pointer in a folio stays the same from allocation to free. Its lowest
 * bit, changed under the folio lock, says that the content has moved away and
 * what is left is a folio that somebody still has a reference to.
 */
#include <kunit/visibility.h>
#include <linux/dma-fence.h>
#include <linux/export.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "pagemap_internal.h"
#include "pagemap_report.h"

/* What an allocation costs here, which a driver may have a great many of. */
static_assert(sizeof(struct drm_pagemap_zdd) +
	      sizeof(struct drm_pagemap_devmem) -
	      offsetof(struct drm_pagemap_devmem, zdd) <= 256);

/*
 * Protects devmem->zdd, and a pagemap's list of zdds, against the last put. A
 * leaf lock; interrupts off, because folios may be freed in any context.
 */
static DEFINE_SPINLOCK(pagemap_zdd_lock);

struct drm_pagemap_zdd *pagemap_zdd_alloc(struct drm_pagemap_devmem *devmem,
					  struct mm_struct *mm,
					  unsigned long start)
{
	struct drm_pagemap_zdd *zdd = kmalloc_obj(*zdd);

	if (!zdd)
		return NULL;

	kref_init(&zdd->refcount);
	zdd->devmem = devmem;
	zdd->dpagemap = drm_pagemap_get(devmem->dpagemap);
	zdd->mm = mm;
	zdd->start = start;
	zdd->copy_failed = false;
	mmgrab(mm);
	atomic_set(&zdd->live, 0);
	scoped_guard(spinlock_irqsave, &pagemap_zdd_lock) {
		devmem->zdd = zdd;
		zdd->sweep = zdd->dpagemap->priv->sweep;
		list_add_tail(&zdd->link, &zdd->dpagemap->priv->zdds);
	}

	return zdd;
}

/* The zdd of an allocation with a reference, or NULL if it has no pages. */
struct drm_pagemap_zdd *pagemap_zdd_get(struct drm_pagemap_devmem *devmem)
{
	guard(spinlock_irqsave)(&pagemap_zdd_lock);

	if (!devmem->zdd || !kref_get_unless_zero(&devmem->zdd->refcount))
		return NULL;

	return devmem->zdd;
}

/* Adds to @usage. An allocation is there as long as its zdd is in the list. */
void pagemap_zdd_usage(struct drm_pagemap *dpagemap,
		       struct pagemap_usage *usage)
{
	struct drm_pagemap_zdd *zdd;

	guard(spinlock_irqsave)(&pagemap_zdd_lock);

	list_for_each_entry(zdd, &dpagemap->priv->zdds, link) {
		usage->allocations++;
		usage->vram += zdd->devmem->size;
		usage->used += (u64)atomic_read(&zdd->live) << PAGE_SHIFT;
	}
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_zdd_usage);

/**
 * pagemap_zdd_sweep_begin() - begin to visit all zdds of a pagemap
 * @dpagemap: the pagemap
 *
 * Context: any.
 * Return: a number for pagemap_zdd_sweep().
 */
unsigned int pagemap_zdd_sweep_begin(struct drm_pagemap *dpagemap)
{
	guard(spinlock_irqsave)(&pagemap_zdd_lock);

	return ++dpagemap->priv->sweep;
}

/**
 * pagemap_zdd_sweep() - visit the next zdd of a pagemap
 * @dpagemap: the pagemap
 * @sweep: the sweep
 *
 * Those that have been visited are behind those that have not, so the first
 * one tells. Those that are new wait for another sweep.
 *
 * Context: any.
 * Return: a zdd with a reference; NULL at the end.
 */
struct drm_pagemap_zdd *pagemap_zdd_sweep(struct drm_pagemap *dpagemap,
					  unsigned int sweep)
{
	struct list_head *zdds = &dpagemap->priv->zdds;
	struct drm_pagemap_zdd *zdd;

	guard(spinlock_irqsave)(&pagemap_zdd_lock);

	while ((zdd = list_first_entry_or_null(zdds, struct drm_pagemap_zdd,
					       link))) {
		if ((int)(zdd->sweep - sweep) >= 0)
			return NULL;
		zdd->sweep = sweep;
		list_move_tail(&zdd->link, zdds);
		/* The last put may be waiting for the lock. */
		if (kref_get_unless_zero(&zdd->refcount))
			return zdd;
	}

	return NULL;
}

/*
 * The mm that a zdd hints at may be the last thing to go of its process, which
 * takes a context that may sleep. Module exit flushes this.
 */
static LLIST_HEAD(pagemap_dead_zdds);

static void pagemap_bury_zdds(struct work_struct *work)
{
	struct drm_pagemap_zdd *zdd, *next;

	llist_for_each_entry_safe(zdd, next, llist_del_all(&pagemap_dead_zdds),
				  dead) {
		mmdrop(zdd->mm);
		kfree(zdd);
	}
}

static DECLARE_WORK(pagemap_bury_work, pagemap_bury_zdds);

void pagemap_zdd_exit(void)
{
	flush_work(&pagemap_bury_work);
}

/* May run under a page-table lock, from the free of the last folio. */
static void pagemap_zdd_free(struct kref *ref)
{
	struct drm_pagemap_zdd *zdd =
		container_of(ref, struct drm_pagemap_zdd, refcount);
	struct drm_pagemap_devmem *devmem = zdd->devmem;
	struct drm_pagemap *dpagemap = zdd->dpagemap;

	/* Each page that is in use has a reference. */
	VM_WARN_ON_ONCE(atomic_read(&zdd->live));
	scoped_guard(spinlock_irqsave, &pagemap_zdd_lock) {
		devmem->zdd = NULL;
		list_del(&zdd->link);
	}
	/* A waiter may go on to free it, if it has a reference of its own. */
	complete_all(&devmem->detached);
	if (devmem->ops->devmem_release)
		devmem->ops->devmem_release(devmem);
	drm_pagemap_put(dpagemap);
	if (llist_add(&zdd->dead, &pagemap_dead_zdds))
		queue_work(system_dfl_wq, &pagemap_bury_work);
}

void pagemap_zdd_put(struct drm_pagemap_zdd *zdd)
{
	kref_put(&zdd->refcount, pagemap_zdd_free);
}

struct drm_pagemap_zdd *pagemap_folio_zdd(const struct folio *folio)
{
	unsigned long data = (unsigned long)folio_zone_device_data(folio);

	return (struct drm_pagemap_zdd *)(data & ~DRM_PAGEMAP_ZDD_FLAG_MASK);
}

bool pagemap_folio_retired(const struct folio *folio)
{
	unsigned long data = (unsigned long)folio_zone_device_data(folio);

	return data & DRM_PAGEMAP_ZDD_FLAG_MIGRATED;
}

void pagemap_folio_retire(struct folio *folio)
{
	unsigned long data = (unsigned long)folio_zone_device_data(folio);

	folio_set_zone_device_data(folio, (void *)
				   (data | DRM_PAGEMAP_ZDD_FLAG_MIGRATED));
}

static void pagemap_folio_free(struct folio *folio)
{
	struct drm_pagemap_zdd *zdd = pagemap_folio_zdd(folio);
	int left = atomic_sub_return(folio_nr_pages(folio), &zdd->live);

	VM_WARN_ON_ONCE(left < 0);
	pagemap_zdd_put(zdd);
}

/* Interrupts are off and both folios frozen. */
static void pagemap_folio_split(struct folio *orig, struct folio *new)
{
	if (!new)
		return;

	new->pgmap = orig->pgmap;
	folio_set_zone_device_data(new, folio_zone_device_data(orig));
	kref_get(&pagemap_folio_zdd(orig)->refcount);
}

/* Is it a page of a drm_pagemap, as far as its operations tell? */
bool pagemap_page_known(struct page *page)
{
	return page_pgmap(page)->ops->folio_free == pagemap_folio_free;
}

static const struct dev_pagemap_ops pagemap_dev_ops = {
	.folio_free = pagemap_folio_free,
	.migrate_to_ram = pagemap_migrate_to_ram,
	.folio_split = pagemap_folio_split,
};

/**
 * drm_pagemap_pagemap_ops_get() - the operations for a dev_pagemap
 *
 * A driver sets them as dev_pagemap.ops, or wraps them in a table of its own,
 * before it makes the pages with memremap_pages().
 *
 * Return: the operations.
 */
const struct dev_pagemap_ops *drm_pagemap_pagemap_ops_get(void)
{
	return &pagemap_dev_ops;
}
EXPORT_SYMBOL_GPL(drm_pagemap_pagemap_ops_get);

/**
 * drm_pagemap_devmem_init() - prepare an allocation for migration
 * @devmem_allocation: to prepare
 * @dev: device that copies
 * @mm: process it is for; no reference is taken
 * @ops: the driver's operations
 * @dpagemap: pagemap of the VRAM; the caller keeps it until migration
 * @size: in bytes, a power of two
 * @pre_migrate_fence: to be waited for before the first write, or NULL. Its
 *	reference is consumed by a migration that succeeds, and is the
 *	driver's to drop in devmem_release otherwise.
 *
 * Context: any.
 */
void drm_pagemap_devmem_init(struct drm_pagemap_devmem *devmem_allocation,
			     struct device *dev, struct mm_struct *mm,
			     const struct drm_pagemap_devmem_ops *ops,
			     struct drm_pagemap *dpagemap, size_t size,
			     struct dma_fence *pre_migrate_fence)
{
	*devmem_allocation = (struct drm_pagemap_devmem) {
		.dev = dev,
		.mm = mm,
		.ops = ops,
		.dpagemap = dpagemap,
		.size = size,
		.pre_migrate_fence = pre_migrate_fence,
		.nid = NUMA_NO_NODE,
	};
	init_completion(&devmem_allocation->detached);
}
EXPORT_SYMBOL_GPL(drm_pagemap_devmem_init);

/**
 * drm_pagemap_page_to_dpagemap() - the pagemap that a page belongs to
 * @page: a device-private page of a drm_pagemap
 *
 * Context: any; the caller makes sure that the page is not freed meanwhile.
 * Return: the pagemap, without a reference.
 */
struct drm_pagemap *drm_pagemap_page_to_dpagemap(struct page *page)
{
	return pagemap_folio_zdd(page_folio(page))->dpagemap;
}
EXPORT_SYMBOL_GPL(drm_pagemap_page_to_dpagemap);

/**
 * drm_pagemap_page_to_devmem() - the devmem allocation that a page is part of
 * @page: a device-private page of a drm_pagemap
 *
 * The answer stays the same as long as the page is in use, split or not. Only
 * the allocation's last page releases it.
 *
 * Context: any; the caller makes sure that the page is not freed meanwhile.
 * Return: the allocation, without a reference.
 */
struct drm_pagemap_devmem *drm_pagemap_page_to_devmem(struct page *page)
{
	return pagemap_folio_zdd(page_folio(page))->devmem;
}
EXPORT_SYMBOL_GPL(drm_pagemap_page_to_devmem);

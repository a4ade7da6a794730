// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Lifetime of a pagemap. Pages in VRAM hold it, and so it may outlive the
 * driver's use of it; as long as it has references it keeps the DRM device
 * and the driver's module. Those are dropped from a work item, because the
 * last reference may go in a context that must not sleep, and because the
 * module cannot be dropped from its own code.
 */
#include <linux/export.h>
#include <linux/llist.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_pagemap_util.h>

#include "pagemap_internal.h"

struct drm_pagemap_dev_hold {
	struct llist_node link;
	struct drm_device *drm;
};

static LLIST_HEAD(pagemap_holds);

static struct module *pagemap_hold_owner(const struct drm_device *drm)
{
	return drm->driver->fops ? drm->driver->fops->owner : NULL;
}

static struct drm_pagemap_dev_hold *pagemap_hold_get(struct drm_device *drm)
{
	struct drm_pagemap_dev_hold *hold;

	hold = kzalloc_obj(*hold);
	if (!hold)
		return ERR_PTR(-ENOMEM);

	/* The driver calls, but its module may be on the way out. */
	if (!try_module_get(pagemap_hold_owner(drm))) {
		kfree(hold);
		return ERR_PTR(-ENODEV);
	}
	drm_dev_get(drm);
	hold->drm = drm;

	return hold;
}

static void pagemap_holds_release(struct work_struct *work)
{
	struct drm_pagemap_dev_hold *hold, *next;

	llist_for_each_entry_safe(hold, next, llist_del_all(&pagemap_holds),
				  link) {
		struct module *owner = pagemap_hold_owner(hold->drm);

		drm_dev_put(hold->drm);
		module_put(owner);
		kfree(hold);
	}
}

static DECLARE_WORK(pagemap_holds_work, pagemap_holds_release);

static void pagemap_hold_put(struct drm_pagemap_dev_hold *hold)
{
	llist_add(&hold->link, &pagemap_holds);
	queue_work(system_dfl_wq, &pagemap_holds_work);
}

static void pagemap_private_free(struct drm_pagemap_private *priv)
{
	pagemap_record_fini(&priv->record);
	pagemap_pools_fini(priv);
	kfree(priv);
}

static struct drm_pagemap_private *pagemap_private_alloc(void)
{
	struct drm_pagemap_private *priv = kzalloc_obj(*priv);

	if (!priv)
		return NULL;

	init_waitqueue_head(&priv->slice_wait);
	INIT_LIST_HEAD(&priv->zdds);
	mutex_init(&priv->evict_all);
	if (pagemap_record_init(&priv->record) || pagemap_pools_init(priv)) {
		pagemap_private_free(priv);
		return NULL;
	}

	return priv;
}

/**
 * drm_pagemap_init() - initialize a pagemap that the driver allocated
 * @dpagemap: to initialize
 * @pagemap: its struct pages; may be filled in until the first migration
 * @drm: the DRM device
 * @ops: the driver's operations
 *
 * Takes a reference to @drm and to its driver's module, for as long as the
 * pagemap has references. After success the pagemap goes by
 * drm_pagemap_put() alone; after an error its memory is the caller's to free.
 *
 * Context: may sleep.
 * Return: 0; -ENOMEM; -ENODEV when the module is being unloaded.
 */
int drm_pagemap_init(struct drm_pagemap *dpagemap,
		     struct dev_pagemap *pagemap,
		     struct drm_device *drm,
		     const struct drm_pagemap_ops *ops)
{
	struct drm_pagemap_private *priv;
	struct drm_pagemap_dev_hold *hold;

	priv = pagemap_private_alloc();
	if (!priv)
		return -ENOMEM;

	hold = pagemap_hold_get(drm);
	if (IS_ERR(hold)) {
		pagemap_private_free(priv);
		return PTR_ERR(hold);
	}

	*dpagemap = (struct drm_pagemap) {
		.ops = ops,
		.drm = drm,
		.pagemap = pagemap,
		.dev_hold = hold,
		.priv = priv,
	};
	kref_init(&dpagemap->ref);
	INIT_LIST_HEAD(&dpagemap->shrink_link);
	pagemap_record_link(&priv->record, dpagemap);

	return 0;
}
EXPORT_SYMBOL(drm_pagemap_init);

/**
 * drm_pagemap_create() - allocate and initialize a pagemap
 * @drm: the DRM device
 * @pagemap: its struct pages
 * @ops: the driver's operations. Without a destroy operation the memory is
 *	freed by the core; with one it is for that operation to kfree() it.
 *
 * Context: may sleep.
 * Return: the pagemap, or an ERR_PTR() with what drm_pagemap_init() returns.
 */
struct drm_pagemap *drm_pagemap_create(struct drm_device *drm,
				       struct dev_pagemap *pagemap,
				       const struct drm_pagemap_ops *ops)
{
	struct drm_pagemap *dpagemap = kzalloc_obj(*dpagemap);
	int err;

	if (!dpagemap)
		return ERR_PTR(-ENOMEM);

	err = drm_pagemap_init(dpagemap, pagemap, drm, ops);
	if (err) {
		kfree(dpagemap);
		return ERR_PTR(err);
	}

	return dpagemap;
}
EXPORT_SYMBOL(drm_pagemap_create);

/**
 * drm_pagemap_reinit() - revive a pagemap whose last reference is gone
 * @dpagemap: a pagemap that idled in a cache, and has been taken from there
 *
 * Context: may sleep.
 * Return: 0, and there is one reference; -ENOMEM or -ENODEV, and nothing has
 * changed.
 */
int drm_pagemap_reinit(struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_dev_hold *hold = pagemap_hold_get(dpagemap->drm);

	if (IS_ERR(hold))
		return PTR_ERR(hold);

	dpagemap->dev_hold = hold;
	kref_init(&dpagemap->ref);

	return 0;
}
EXPORT_SYMBOL(drm_pagemap_reinit);

/**
 * drm_pagemap_destroy() - free a pagemap that nobody can find any more
 * @dpagemap: without references, in no cache
 * @is_atomic_or_reclaim: the caller may be atomic or in reclaim
 */
void drm_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim)
{
	pagemap_private_free(dpagemap->priv);
	dpagemap->priv = NULL;

	if (dpagemap->ops->destroy)
		dpagemap->ops->destroy(dpagemap, is_atomic_or_reclaim);
	else
		kfree(dpagemap);
}

static void pagemap_release(struct kref *ref)
{
	struct drm_pagemap *dpagemap = container_of(ref, struct drm_pagemap, ref);
	struct drm_pagemap_dev_hold *hold = dpagemap->dev_hold;

	/* The pagemap may be revived or freed as soon as the cache has it. */
	dpagemap->dev_hold = NULL;
	drm_pagemap_shrinker_add(dpagemap);
	pagemap_hold_put(hold);
}

/**
 * drm_pagemap_put() - drop a reference
 * @dpagemap: a pagemap, or NULL
 *
 * With the last one, the pagemap idles in its cache, or is destroyed.
 *
 * Context: any.
 */
void drm_pagemap_put(struct drm_pagemap *dpagemap)
{
	if (!dpagemap)
		return;

	drm_pagemap_shrinker_might_lock(dpagemap);
	kref_put(&dpagemap->ref, pagemap_release);
}
EXPORT_SYMBOL(drm_pagemap_put);

/**
 * drm_pagemap_populate_mm() - bring a range of a process into VRAM
 * @dpagemap: the VRAM
 * @start: first address
 * @end: behind the last one
 * @mm: the process; the caller keeps the structure from being freed
 * @timeslice_ms: time that the pages are to stay, in milliseconds
 *
 * Context: takes the mmap lock of @mm; no dma_resv may be held.
 * A driver without the populate_mm operation, but with devmem_alloc, gets
 * drm_pagemap_populate_range() with %DRM_PAGEMAP_BEST_EFFORT.
 *
 * Return: 0; -EFAULT when the process is gone; -EOPNOTSUPP when the driver
 *	has neither operation; or what it returned.
 */
int drm_pagemap_populate_mm(struct drm_pagemap *dpagemap,
			    unsigned long start, unsigned long end,
			    struct mm_struct *mm,
			    unsigned long timeslice_ms)
{
	int err;

	if (!dpagemap->ops->populate_mm && !dpagemap->ops->devmem_alloc)
		return -EOPNOTSUPP;
	if (!mmget_not_zero(mm))
		return -EFAULT;

	mmap_read_lock(mm);
	err = dpagemap->ops->populate_mm ?
	      dpagemap->ops->populate_mm(dpagemap, start, end, mm,
					 timeslice_ms) :
	      pagemap_populate_best_effort(dpagemap, mm, start, end,
					   timeslice_ms);
	mmap_read_unlock(mm);
	mmput(mm);

	return err;
}
EXPORT_SYMBOL(drm_pagemap_populate_mm);

static int __init pagemap_module_init(void)
{
	pagemap_debug_init();

	return 0;
}

/* All pagemaps are gone, for their drivers depend on this module. */
static void __exit pagemap_module_exit(void)
{
	pagemap_debug_exit();
	pagemap_wait_exit();
	pagemap_split_exit();
	pagemap_zdd_exit();
	flush_work(&pagemap_holds_work);
}

module_init(pagemap_module_init);
module_exit(pagemap_module_exit);

MODULE_DESCRIPTION("DRM helper for migration between system and device memory");
MODULE_LICENSE("Dual MIT/GPL");

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * VRAM as a whole: TTM's view of it (a range manager) and mm's (a range of
 * struct pages that name memory no CPU can reach).
 *
 * The two have different lives. struct pages end when the device is unbound,
 * and that waits until the last one is home: vsvm_remove() evicts before.
 * TTM's part ends with the last open file.
 */
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_range_manager.h>
#include <drm/ttm/ttm_resource.h>
#include <linux/delay.h>
#include <linux/ioport.h>
#include <linux/memremap.h>

#include "vsvm_bo.h"
#include "vsvm_drv.h"
#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_quota.h"

static DRM_PAGEMAP_OWNER_LIST_DEFINE(vsvm_owners);

static void vsvm_ttm_fini(struct drm_device *drm, void *unused)
{
	struct vsvm_device *vdev = to_vsvm(drm);

	vsvm_vram_flush(vdev);
	ttm_range_man_fini(&vdev->ttm, TTM_PL_VRAM);
	ttm_device_fini(&vdev->ttm);
	destroy_workqueue(vdev->release_wq);
}

static int vsvm_ttm_init(struct vsvm_device *vdev)
{
	struct drm_device *drm = &vdev->drm;
	int err;

	init_llist_head(&vdev->release_list);
	INIT_WORK(&vdev->release_work, vsvm_bo_release_work);
	vdev->release_wq = alloc_workqueue("vsvm-release",
					   WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!vdev->release_wq)
		return -ENOMEM;
	err = ttm_device_init(&vdev->ttm, &vsvm_ttm_funcs, drm->dev,
			      drm->anon_inode->i_mapping,
			      drm->vma_offset_manager,
			      TTM_ALLOCATION_PROPAGATE_ENOSPC);
	if (err)
		goto err_wq;
	err = ttm_range_man_init(&vdev->ttm, TTM_PL_VRAM, false,
				 vdev->hw->vram_size >> PAGE_SHIFT);
	if (err)
		goto err_ttm;
	return drmm_add_action_or_reset(drm, vsvm_ttm_fini, NULL);

err_ttm:
	ttm_device_fini(&vdev->ttm);
err_wq:
	destroy_workqueue(vdev->release_wq);
	return err;
}

/* Whether the link is plugged in may change; the owner must not. */
static bool vsvm_has_interconnect(struct drm_pagemap_peer *peer1,
				  struct drm_pagemap_peer *peer2)
{
	struct vsvm_device *one = peer1->private, *other = peer2->private;

	return peer1 == peer2 || vsvm_peer_may_link(one, other);
}

static void vsvm_release_owner(void *peer)
{
	drm_pagemap_release_owner(peer);
}

static int vsvm_pages_add(struct vsvm_device *vdev)
{
	struct dev_pagemap *pagemap = &vdev->pagemap;
	struct device *dev = vdev->drm.dev;
	struct resource *res;
	void *addr;

	res = devm_request_free_mem_region(dev, &iomem_resource,
					   vdev->hw->vram_size);
	if (IS_ERR(res))
		return PTR_ERR(res);
	pagemap->type = MEMORY_DEVICE_PRIVATE;
	pagemap->range.start = res->start;
	pagemap->range.end = res->start + vdev->hw->vram_size - 1;
	pagemap->nr_range = 1;
	pagemap->ops = vsvm_dev_pagemap_ops();
	pagemap->owner = vdev->peer.owner;
	addr = devm_memremap_pages(dev, pagemap);
	return PTR_ERR_OR_ZERO(addr);
}

static int vsvm_pages_init(struct vsvm_device *vdev)
{
	struct device *dev = vdev->drm.dev;
	int err;

	vdev->peer.private = vdev;
	err = drm_pagemap_acquire_owner(&vdev->peer, &vsvm_owners,
					vsvm_has_interconnect);
	if (err)
		return err;
	err = devm_add_action_or_reset(dev, vsvm_release_owner, &vdev->peer);
	if (err)
		return err;
	return vsvm_has_additions(vdev) ? vsvm_additions_add_vram(vdev) :
					  vsvm_pages_add(vdev);
}

/**
 * vsvm_vram_init - set up VRAM
 * @vdev: device, connected to its hardware
 *
 * Return: 0, -ENOMEM, or -ERANGE if there is no room for its struct pages.
 */
int vsvm_vram_init(struct vsvm_device *vdev)
{
	struct drm_pagemap_shrinker *shrinker;
	int err;

	vsvm_quota_init_vram(vdev);
	err = vsvm_ttm_init(vdev);
	if (err)
		return err;
	err = vsvm_pages_init(vdev);
	if (err)
		return err;
	/* After the pages, so that an idle pagemap goes before them. */
	shrinker = drm_pagemap_shrinker_create_devm(&vdev->drm);
	if (IS_ERR(shrinker))
		return PTR_ERR(shrinker);
	vdev->cache = drm_pagemap_cache_create_devm(shrinker);
	if (IS_ERR(vdev->cache))
		return PTR_ERR(vdev->cache);
	return vsvm_peer_join(vdev);
}

/**
 * vsvm_vram_used - how much is allocated
 * @vdev: device
 *
 * Return: bytes.
 */
u64 vsvm_vram_used(struct vsvm_device *vdev)
{
	return ttm_resource_manager_usage(ttm_manager_type(&vdev->ttm,
							   TTM_PL_VRAM));
}

/**
 * vsvm_vram_flush - free the BOs that are on their way out
 * @vdev: device
 */
void vsvm_vram_flush(struct vsvm_device *vdev)
{
	flush_workqueue(vdev->release_wq);
	flush_workqueue(vdev->ttm.wq);
}

/**
 * vsvm_vram_hold - let nobody have VRAM for memory of processes for a while
 * @vdev: device
 * @duration: in jiffies
 *
 * For who needs VRAM and cannot have it while all of it is on its way.
 *
 * Context: any.
 */
void vsvm_vram_hold(struct vsvm_device *vdev, unsigned long duration)
{
	WRITE_ONCE(vdev->held_until, jiffies + duration);
}

/**
 * vsvm_vram_is_held - is memory of processes to stay where it is?
 * @vdev: device
 *
 * Return: true if so.
 */
bool vsvm_vram_is_held(struct vsvm_device *vdev)
{
	return time_before(jiffies, READ_ONCE(vdev->held_until));
}

/*
 * Tries every BO once, by its place in the list and not again and again the
 * first one. Ends after as much as was there at the start, as who uses VRAM
 * meanwhile adds to the list's end.
 */
static bool vsvm_vram_evict_pass(struct vsvm_device *vdev)
{
	const struct ttm_place system = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = {
		.num_placement = 1,
		.placement = &system,
	};
	struct ttm_operation_ctx ctx = {};
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .sleeping_lock = true };
	s64 budget = atomic64_read(&vdev->svm_bytes) +
		     atomic64_read(&vdev->gem_bytes);
	struct ttm_bo_lru_cursor cursor;
	struct ttm_buffer_object *ttm;
	bool complete = true;

	ttm_bo_lru_for_each_reserved_guarded(&cursor,
					     ttm_manager_type(&vdev->ttm,
							      TTM_PL_VRAM),
					     &arg, ttm) {
		if (budget <= 0)
			break;
		if (ttm->deleted || ttm->pin_count)
			continue;
		budget -= ttm->base.size;
		if (ttm_bo_validate(ttm, &placement, &ctx))
			complete = false;
		else if (to_vsvm_bo(ttm)->kind == VSVM_BO_GEM)
			vsvm_stat_add(vdev, VSVM_STAT_EVICTIONS, 1);
	}
	return complete;
}

/**
 * vsvm_vram_evict_all - move memory of processes and objects out of VRAM
 * @vdev: device
 * @tries: passes to make; between them others get time to finish
 *
 * New memory may come in at any time, unless the device was unplugged. Signals
 * do not end it: an unbind has no other way.
 *
 * Context: process, without locks.
 *
 * Return: 0 if all that was there has gone, -EBUSY if some would not.
 */
int vsvm_vram_evict_all(struct vsvm_device *vdev, unsigned int tries)
{
	struct drm_pagemap_budget budget;
	bool complete = false;
	unsigned int i;

	drm_pagemap_budget_begin(&budget, DRM_PAGEMAP_BUDGET_UNKILLABLE);
	for (i = 0; i < tries && !complete; i++) {
		complete = vsvm_vram_evict_pass(vdev);
		vsvm_vram_flush(vdev);
		if (!complete)
			usleep_range(100, 200 << min(i, 8));
	}
	drm_pagemap_budget_end(&budget);
	return complete ? 0 : -EBUSY;
}

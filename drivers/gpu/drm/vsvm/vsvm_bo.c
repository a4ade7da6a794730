// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects. TTM manages who is where in VRAM, so that memory of processes
 * and the device's own objects push each other out by the same rules.
 *
 * An SVM BO lives from vsvm_pagemap_populate() until its last page has gone
 * home: by CPU faults, because its process freed it, or because TTM wants its
 * place, which ends in vsvm_bo_evict(). Its contents are never moved by TTM:
 * once evicted, it is an empty shell that is about to be put. A BO of user space
 * keeps its content wherever it goes: see vsvm_gem.c.
 *
 * Whatever is in VRAM keeps the device awake.
 */
#include <drm/drm_gem.h>
#include <drm/ttm/ttm_placement.h>
#include <linux/slab.h>

#include "vsvm_bo.h"
#include "vsvm_drv.h"
#include "vsvm_gem.h"
#include "vsvm_pagemap.h"
#include "vsvm_pm.h"
#include "vsvm_quota.h"

/* Page tables go to the top of VRAM, as long as they fit into this part of it. */
#define VSVM_TABLE_SHARE	16

static struct vsvm_device *vsvm_bo_device(struct ttm_buffer_object *ttm)
{
	return to_vsvm(ttm->base.dev);
}

static void vsvm_evict_flags(struct ttm_buffer_object *ttm,
			     struct ttm_placement *placement)
{
	static const struct ttm_place system = { .mem_type = TTM_PL_SYSTEM };

	*placement = (struct ttm_placement) {
		.num_placement = 1,
		.placement = &system,
	};
}

/**
 * vsvm_res_offset - where in VRAM a piece of it is
 * @res: resource of VRAM
 *
 * Return: offset in bytes.
 */
u64 vsvm_res_offset(struct ttm_resource *res)
{
	return (u64)res->start << PAGE_SHIFT;
}

static void vsvm_bo_account(struct vsvm_bo *bo, s64 bytes)
{
	struct vsvm_device *vdev = vsvm_bo_device(&bo->ttm);

	if (bo->kind == VSVM_BO_GEM)
		atomic64_add(bytes, &vdev->gem_bytes);
	if (bo->kind != VSVM_BO_SVM)
		return;
	atomic64_add(bytes, &vdev->svm_bytes);
	if (bo->usage)
		atomic64_add(bytes, &bo->usage->bytes);
}

/**
 * vsvm_bo_enter_vram - a BO gets a place in VRAM
 * @bo: reserved BO
 * @res: the place
 *
 * The hardware must know before an engine touches it. Tables begin empty; what
 * is in other BOs is not defined yet.
 *
 * Return: 0, -EIO or -ENODEV.
 */
int vsvm_bo_enter_vram(struct vsvm_bo *bo, struct ttm_resource *res)
{
	struct vsvm_device *vdev = vsvm_bo_device(&bo->ttm);
	struct vsvm_ring *ring = &vdev->ring[VSVM_HW_PAGING];
	struct vsvm_wait wait;
	struct vsvm_push push;
	int err;

	err = vsvm_pm_get(vdev);
	if (err)
		return err;
	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	vsvm_push_mark(&push, vsvm_res_offset(res), res->size, true);
	if (bo->kind == VSVM_BO_TABLE)
		vsvm_push_fill(&push, vsvm_res_offset(res), 0, 0, res->size);
	vsvm_push_end(&push);
	err = vsvm_wait_for(ring, &wait);
	if (err)
		vsvm_pm_put(vdev);
	else
		vsvm_bo_account(bo, res->size);
	return err;
}

/**
 * vsvm_bo_leave_vram - a BO gives up its place in VRAM
 * @bo: BO, reserved or unreachable
 * @res: the place, which no engine touches any more
 *
 * Nobody waits: who gets this place next marks it on the same ring, after this.
 */
void vsvm_bo_leave_vram(struct vsvm_bo *bo, struct ttm_resource *res)
{
	struct vsvm_device *vdev = vsvm_bo_device(&bo->ttm);
	struct vsvm_push push;

	vsvm_bo_account(bo, -(s64)res->size);
	vsvm_push_begin(&push, &vdev->ring[VSVM_HW_PAGING], NULL);
	vsvm_push_mark(&push, vsvm_res_offset(res), res->size, false);
	vsvm_push_end(&push);
	vsvm_pm_put(vdev);
}

/* TTM skips a BO that gives -EBUSY; any other error would end its search. */
static int vsvm_bo_evict(struct vsvm_bo *bo)
{
	int err;

	if (bo->kind != VSVM_BO_SVM)
		return -EBUSY;
	if (READ_ONCE(bo->released))
		return 0;
	err = drm_pagemap_evict_to_ram(&bo->devmem);
	if (err == -EINTR)
		return err;
	if (err)
		return -EBUSY;
	vsvm_stat_add(vsvm_bo_device(&bo->ttm), VSVM_STAT_EVICTIONS, 1);
	return 0;
}

static int vsvm_bo_move(struct ttm_buffer_object *ttm, bool evict,
			struct ttm_operation_ctx *ctx,
			struct ttm_resource *new_mem, struct ttm_place *hop)
{
	struct ttm_resource *old = ttm->resource;
	struct vsvm_bo *bo = to_vsvm_bo(ttm);
	const bool was_vram = old && old->mem_type == TTM_PL_VRAM;
	int err = 0;

	if (bo->kind == VSVM_BO_GEM)
		return vsvm_gem_move(to_vsvm_gem(&ttm->base), evict, ctx, new_mem);
	if (new_mem->mem_type == TTM_PL_VRAM)
		err = was_vram ? -EINVAL : vsvm_bo_enter_vram(bo, new_mem);
	else if (was_vram)
		err = vsvm_bo_evict(bo);
	if (err)
		return err;
	if (was_vram)
		vsvm_bo_leave_vram(bo, old);
	ttm_bo_move_null(ttm, new_mem);
	return 0;
}

static void vsvm_delete_mem_notify(struct ttm_buffer_object *ttm)
{
	if (vsvm_bo_in_vram(to_vsvm_bo(ttm)))
		vsvm_bo_leave_vram(to_vsvm_bo(ttm), ttm->resource);
}

/* What is swapped out may not be mapped; it is in system memory. */
static void vsvm_swap_notify(struct ttm_buffer_object *ttm)
{
	if (to_vsvm_bo(ttm)->kind == VSVM_BO_GEM)
		vsvm_gem_unmap(to_vsvm_gem(&ttm->base));
}

/* VRAM is private to the device. */
static int vsvm_io_mem_reserve(struct ttm_device *bdev,
			       struct ttm_resource *res)
{
	return res->mem_type == TTM_PL_SYSTEM ? 0 : -EINVAL;
}

const struct ttm_device_funcs vsvm_ttm_funcs = {
	.ttm_tt_create = vsvm_tt_create,
	.ttm_tt_populate = vsvm_tt_populate,
	.ttm_tt_unpopulate = vsvm_tt_unpopulate,
	.ttm_tt_destroy = vsvm_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.evict_flags = vsvm_evict_flags,
	.move = vsvm_bo_move,
	.delete_mem_notify = vsvm_delete_mem_notify,
	.swap_notify = vsvm_swap_notify,
	.io_mem_reserve = vsvm_io_mem_reserve,
};

/**
 * vsvm_bo_free - the last reference is gone
 * @obj: GEM object of a BO
 */
void vsvm_bo_free(struct drm_gem_object *obj)
{
	ttm_bo_fini(container_of(obj, struct ttm_buffer_object, base));
}

/* For those that user space has no name for. */
static const struct drm_gem_object_funcs vsvm_bo_funcs = {
	.free = vsvm_bo_free,
};

/**
 * vsvm_usage_put - drop a reference
 * @usage: usage, or NULL
 */
void vsvm_usage_put(struct vsvm_usage *usage)
{
	if (usage && refcount_dec_and_test(&usage->ref))
		kfree(usage);
}

static void vsvm_bo_destroy(struct ttm_buffer_object *ttm)
{
	struct vsvm_bo *bo = to_vsvm_bo(ttm);

	if (bo->kind == VSVM_BO_GEM)
		vsvm_user_put(vsvm_bo_device(ttm), to_vsvm_gem(&ttm->base)->user,
			      ttm->base.size);
	drm_gem_object_release(&ttm->base);
	vsvm_usage_put(bo->usage);
	kfree(bo);
}

/**
 * vsvm_bo_init - make a BO of a structure
 * @vdev: device
 * @bo: zeroed but for what is @kind's; freed by kfree(), on failure at once
 * @type: TTM's; ttm_bo_type_device for one that user space may map
 * @funcs: what the object can do
 * @size: bytes
 * @alignment: in VRAM, in bytes
 * @placement: where it may be at first
 *
 * Evicts other BOs if it must.
 *
 * Context: process, without any dma_resv.
 *
 * Return: 0 with @bo reserved, or as vsvm_bo_create().
 */
int vsvm_bo_init(struct vsvm_device *vdev, struct vsvm_bo *bo,
		 enum ttm_bo_type type, const struct drm_gem_object_funcs *funcs,
		 u64 size, u64 alignment, struct ttm_placement *placement)
{
	struct ttm_operation_ctx ctx = {
		.interruptible = !(current->flags & PF_KTHREAD),
		.gfp_retry_mayfail = true,
	};
	struct drm_pagemap_budget budget;
	int err;

	bo->ttm.base.funcs = funcs;
	drm_gem_private_object_init(&vdev->drm, &bo->ttm.base, size);
	drm_pagemap_budget_begin(&budget, 0);
	/* On failure this has called vsvm_bo_destroy(). */
	err = ttm_bo_init_reserved(&vdev->ttm, &bo->ttm, type, placement,
				   alignment >> PAGE_SHIFT, &ctx, NULL, NULL,
				   vsvm_bo_destroy);
	drm_pagemap_budget_end(&budget);
	return err;
}

/**
 * vsvm_bo_create - allocate VRAM for the driver's own use
 * @vdev: device
 * @kind: what for
 * @size: bytes, a power of two; also the alignment
 * @usage: who accounts for it; the reference is consumed; may be NULL
 *
 * Evicts other BOs if it must.
 *
 * Context: process, without any dma_resv.
 *
 * Return: the BO, reserved; or ERR_PTR() of -ENOMEM, -ENOSPC if VRAM is full of
 * what cannot be moved, or held for others, -EIO, or -ERESTARTSYS or -EINTR in a
 * user's thread.
 */
struct vsvm_bo *vsvm_bo_create(struct vsvm_device *vdev, enum vsvm_bo_kind kind,
			       u64 size, struct vsvm_usage *usage)
{
	const u64 pages = vdev->hw->vram_size >> PAGE_SHIFT;
	const struct ttm_place svm = { .mem_type = TTM_PL_VRAM };
	const struct ttm_place table[] = {
		{ .mem_type = TTM_PL_VRAM, .flags = TTM_PL_FLAG_TOPDOWN,
		  .fpfn = pages - pages / VSVM_TABLE_SHARE },
		{ .mem_type = TTM_PL_VRAM, .flags = TTM_PL_FLAG_TOPDOWN },
	};
	struct ttm_placement placement = {
		.num_placement = kind == VSVM_BO_SVM ? 1 : ARRAY_SIZE(table),
		.placement = kind == VSVM_BO_SVM ? &svm : table,
	};
	struct vsvm_bo *bo;
	int err;

	if (kind == VSVM_BO_SVM && vsvm_vram_is_held(vdev)) {
		vsvm_usage_put(usage);
		return ERR_PTR(-ENOSPC);
	}
	bo = kzalloc_obj(*bo, GFP_KERNEL_ACCOUNT);
	if (!bo) {
		vsvm_usage_put(usage);
		return ERR_PTR(-ENOMEM);
	}
	bo->kind = kind;
	bo->usage = usage;
	err = vsvm_bo_init(vdev, bo, ttm_bo_type_kernel, &vsvm_bo_funcs, size,
			   size, &placement);
	return err ? ERR_PTR(err) : bo;
}

/**
 * vsvm_bo_put - drop a reference
 * @bo: BO
 *
 * Context: process.
 */
void vsvm_bo_put(struct vsvm_bo *bo)
{
	drm_gem_object_put(&bo->ttm.base);
}

/**
 * vsvm_bo_offset - where in VRAM a BO is
 * @bo: BO in VRAM, reserved or pinned
 *
 * Return: offset in bytes.
 */
u64 vsvm_bo_offset(struct vsvm_bo *bo)
{
	return vsvm_res_offset(bo->ttm.resource);
}

/**
 * vsvm_bo_in_vram - is a BO in VRAM?
 * @bo: reserved BO
 *
 * Return: true if so.
 */
bool vsvm_bo_in_vram(struct vsvm_bo *bo)
{
	return bo->ttm.resource && bo->ttm.resource->mem_type == TTM_PL_VRAM;
}

/**
 * vsvm_table_create - allocate an empty page table
 * @vdev: device
 *
 * Return: a pinned BO, or as vsvm_bo_create().
 */
struct vsvm_bo *vsvm_table_create(struct vsvm_device *vdev)
{
	struct vsvm_bo *bo;

	bo = vsvm_bo_create(vdev, VSVM_BO_TABLE, VSVM_HW_PAGE_SIZE, NULL);
	if (IS_ERR(bo))
		return bo;
	ttm_bo_pin(&bo->ttm);
	ttm_bo_unreserve(&bo->ttm);
	return bo;
}

/**
 * vsvm_table_destroy - free a page table
 * @bo: what vsvm_table_create() gave; no queue reaches it any more
 */
void vsvm_table_destroy(struct vsvm_bo *bo)
{
	dma_resv_lock(bo->ttm.base.resv, NULL);
	ttm_bo_unpin(&bo->ttm);
	dma_resv_unlock(bo->ttm.base.resv);
	vsvm_bo_put(bo);
}

/**
 * vsvm_bo_release_work - put the BOs that were released
 * @work: vsvm_device.release_work
 */
void vsvm_bo_release_work(struct work_struct *work)
{
	struct vsvm_device *vdev =
		container_of(work, struct vsvm_device, release_work);
	struct vsvm_bo *bo, *next;

	llist_for_each_entry_safe(bo, next, llist_del_all(&vdev->release_list),
				  release_link)
		vsvm_bo_put(bo);
}

/**
 * vsvm_bo_release - drop the reference that the pages of an SVM BO had
 * @bo: BO; no page is left in it
 *
 * Context: any. The last page may go under a page-table lock.
 */
void vsvm_bo_release(struct vsvm_bo *bo)
{
	struct vsvm_device *vdev = vsvm_bo_device(&bo->ttm);

	WRITE_ONCE(bo->released, true);
	if (llist_add(&bo->release_link, &vdev->release_list))
		queue_work(vdev->release_wq, &vdev->release_work);
}

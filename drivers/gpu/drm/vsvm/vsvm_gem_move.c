// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Where a buffer object of user space is, and how it gets elsewhere. One that
 * belongs into VRAM goes there when the GPU touches it, unless there is no room
 * and none can be made; it goes to system memory when a CPU touches it, or when
 * its place is wanted for another object or for memory of a process.
 *
 * No fence is ever attached to an object, not even by clients: see vsvm_prime.c.
 * A job may wait for a page fault, which may need to move that very object. A
 * move takes the object from the GPU first, as an invalidation does; the next
 * access of a job faults and finds it anew.
 *
 *	          first use: clear
 *	nowhere ------------------------------> VRAM
 *	   |                                    |  ^
 *	   | first use                    copy  |  | copy
 *	   v                                    v  |
 *	system memory <---------------------- system memory
 *	               (one that stays there)
 *
 * An object that two sides fight for would spend its time on the way. When it
 * was in VRAM for a moment only, several times in a row, it stays in system
 * memory for a while, where both of them can use it.
 */
#include <drm/ttm/ttm_placement.h>
#include <linux/dma-mapping.h>

#include "vsvm_bind.h"
#include "vsvm_copy.h"
#include "vsvm_drv.h"
#include "vsvm_gem.h"
#include "vsvm_inject.h"
#include "vsvm_pagemap.h"

#define VSVM_SHORT_STAY_MS	20
#define VSVM_SHORT_STAYS	3
#define VSVM_REST_MS		200

static struct vsvm_device *vsvm_gem_device(struct vsvm_gem *gem)
{
	return to_vsvm(vsvm_gem_obj(gem)->dev);
}

/**
 * vsvm_gem_unmap - take an object from the GPU
 * @gem: reserved object
 *
 * On return nothing of it is in a page table, in a TLB, or mapped for DMA.
 *
 * Context: process; does not allocate.
 */
void vsvm_gem_unmap(struct vsvm_gem *gem)
{
	vsvm_bind_zap(gem);
	vsvm_tt_unmap(gem);
}

static void vsvm_gem_push_home(struct vsvm_push *push, dma_addr_t system,
			       u64 vram, u64 len)
{
	vsvm_copy_forget_code(push->ring->vdev, system, len);
	vsvm_push_copy(push, VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
		       VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM), system, vram, len);
}

static void vsvm_gem_push_copy(struct vsvm_push *push, struct vsvm_gem *gem,
			       u64 vram, bool to_vram)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(vsvm_tt_sgt(gem), sg, i) {
		const u64 system = sg_dma_address(sg);

		if (to_vram)
			vsvm_push_copy(push, VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
				       VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
				       vram, system, sg_dma_len(sg));
		else
			vsvm_gem_push_home(push, system, vram, sg_dma_len(sg));
		vram += sg_dma_len(sg);
	}
}

/* All of an object, between VRAM and its system memory. */
static int vsvm_gem_copy(struct vsvm_gem *gem, u64 vram, bool to_vram)
{
	struct vsvm_device *vdev = vsvm_gem_device(gem);
	struct vsvm_ring *ring = &vdev->ring[to_vram ? VSVM_HW_COPY_TO_VRAM :
						       VSVM_HW_COPY_FROM_VRAM];
	const u64 start = ktime_get_ns();
	struct vsvm_wait wait;
	struct vsvm_push push;
	int err;

	err = vsvm_inject_copy(to_vram);
	if (err)
		return err;
	err = vsvm_tt_map(gem);
	if (err)
		return err;
	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	vsvm_gem_push_copy(&push, gem, vram, to_vram);
	vsvm_push_end(&push);
	err = vsvm_wait_for(ring, &wait);
	/* Only page tables need it for longer. */
	vsvm_tt_unmap(gem);
	if (err)
		return -EIO;
	vsvm_stat_add(vdev, to_vram ? VSVM_STAT_TO_VRAM_BYTES :
		      VSVM_STAT_TO_RAM_BYTES, vsvm_gem_obj(gem)->size);
	vsvm_stat_add(vdev, to_vram ? VSVM_STAT_TO_VRAM_NS :
		      VSVM_STAT_TO_RAM_NS, ktime_get_ns() - start);
	return 0;
}

static int vsvm_gem_clear(struct vsvm_gem *gem, u64 vram)
{
	struct vsvm_device *vdev = vsvm_gem_device(gem);
	struct vsvm_ring *ring = &vdev->ring[VSVM_HW_COPY_TO_VRAM];
	const u64 size = vsvm_gem_obj(gem)->size;
	struct vsvm_wait wait;
	struct vsvm_push push;

	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	vsvm_push_fill(&push, vram, 0, 0, size);
	vsvm_push_end(&push);
	if (vsvm_wait_for(ring, &wait))
		return -EIO;
	vsvm_stat_add(vdev, VSVM_STAT_CLEARED_BYTES, size);
	return 0;
}

/* Is there anything in its system memory? Else it reads as zeroes. */
static bool vsvm_gem_has_content(struct vsvm_gem *gem)
{
	struct ttm_tt *tt = gem->base.ttm.ttm;

	return tt && (ttm_tt_is_populated(tt) || ttm_tt_is_swapped(tt));
}

static int vsvm_gem_fill_vram(struct vsvm_gem *gem,
			      struct ttm_operation_ctx *ctx, u64 vram)
{
	int err;

	if (!vsvm_gem_has_content(gem))
		return vsvm_gem_clear(gem, vram);
	err = ttm_bo_populate(&gem->base.ttm, ctx);
	return err ?: vsvm_gem_copy(gem, vram, true);
}

static int vsvm_gem_to_vram(struct vsvm_gem *gem, struct ttm_operation_ctx *ctx,
			    struct ttm_resource *new_mem)
{
	struct ttm_buffer_object *ttm = &gem->base.ttm;
	int err;

	/* TTM would wait for it, and not say if that was in vain. */
	if (!dma_resv_test_signaled(ttm->base.resv, DMA_RESV_USAGE_BOOKKEEP))
		return -EBUSY;
	err = vsvm_bo_enter_vram(&gem->base, new_mem);
	if (err)
		return err;
	vsvm_gem_unmap(gem);
	err = vsvm_gem_fill_vram(gem, ctx, vsvm_res_offset(new_mem));
	if (err) {
		vsvm_bo_leave_vram(&gem->base, new_mem);
		return err;
	}
	WRITE_ONCE(gem->where, VSVM_GEM_VRAM);
	gem->entered = ktime_get();
	if (ttm->resource)
		ttm_bo_move_sync_cleanup(ttm, new_mem);
	else
		ttm_bo_move_null(ttm, new_mem);
	return 0;
}

static void vsvm_gem_note_stay(struct vsvm_gem *gem)
{
	gem->left = ktime_get();
	if (ktime_ms_delta(gem->left, gem->entered) < VSVM_SHORT_STAY_MS)
		gem->short_stays++;
	else
		gem->short_stays = 0;
}

static int vsvm_gem_to_ram(struct vsvm_gem *gem, struct ttm_operation_ctx *ctx,
			   struct ttm_resource *new_mem)
{
	struct ttm_buffer_object *ttm = &gem->base.ttm;
	struct ttm_resource *old = ttm->resource;
	int err;

	vsvm_gem_note_stay(gem);
	vsvm_gem_unmap(gem);
	err = ttm_bo_populate(ttm, ctx);
	if (err)
		return err;
	err = vsvm_gem_copy(gem, vsvm_res_offset(old), false);
	if (err)
		return err;
	vsvm_bo_leave_vram(&gem->base, old);
	WRITE_ONCE(gem->where, VSVM_GEM_RAM);
	ttm_bo_move_null(ttm, new_mem);
	return 0;
}

/* TTM skips a BO that gives -EBUSY; any other error would end its search. */
static int vsvm_gem_evict_errno(int err)
{
	return !err || err == -EINTR || err == -ERESTARTSYS ? err : -EBUSY;
}

/**
 * vsvm_gem_move - struct ttm_device_funcs.move for an object of user space
 * @gem: reserved object
 * @evict: its place is wanted for another one
 * @ctx: how to wait and to allocate
 * @new_mem: where to
 *
 * If it fails the object is where it was, with its content.
 *
 * Return: 0, -ENOMEM, -EIO, -ENODEV, -EINTR, -ERESTARTSYS; with @evict -EBUSY
 * instead of most.
 */
int vsvm_gem_move(struct vsvm_gem *gem, bool evict,
		  struct ttm_operation_ctx *ctx, struct ttm_resource *new_mem)
{
	int err;

	if (new_mem->mem_type == TTM_PL_VRAM)
		return vsvm_bo_in_vram(&gem->base) ? -EINVAL :
		       vsvm_gem_to_vram(gem, ctx, new_mem);
	if (!vsvm_bo_in_vram(&gem->base)) {
		ttm_bo_move_null(&gem->base.ttm, new_mem);
		return 0;
	}
	err = vsvm_gem_to_ram(gem, ctx, new_mem);
	if (evict && !err)
		vsvm_stat_add(vsvm_gem_device(gem), VSVM_STAT_EVICTIONS, 1);
	return evict ? vsvm_gem_evict_errno(err) : err;
}

static bool vsvm_gem_rests(struct vsvm_gem *gem)
{
	return gem->short_stays >= VSVM_SHORT_STAYS &&
	       ktime_ms_delta(ktime_get(), gem->left) < VSVM_REST_MS;
}

static int vsvm_gem_validate(struct vsvm_gem *gem, u32 mem_type,
			     struct ttm_operation_ctx *ctx)
{
	const struct ttm_place place = { .mem_type = mem_type };
	struct ttm_placement placement = {
		.num_placement = 1,
		.placement = &place,
	};
	struct drm_pagemap_budget budget;
	int err;

	drm_pagemap_budget_begin(&budget, 0);
	err = ttm_bo_validate(&gem->base.ttm, &placement, ctx);
	drm_pagemap_budget_end(&budget);
	return err;
}

/**
 * vsvm_gem_place - bring an object to where the GPU is to find it
 * @gem: reserved object
 * @retry: say so if there was no room in VRAM, which may be but for a moment
 *
 * On success it is in VRAM, or in system memory that is mapped for DMA. It is
 * that also if it belongs into VRAM and cannot go there: VRAM is a preference.
 *
 * Context: process, without other dma_resv.
 *
 * Return: 0, -ENOMEM, -EIO, or -ENOSPC with @retry.
 */
int vsvm_gem_place(struct vsvm_gem *gem, bool retry)
{
	struct ttm_operation_ctx ctx = { .gfp_retry_mayfail = true };
	int err;

	if (vsvm_bo_in_vram(&gem->base))
		return 0;
	if (!gem->system && !vsvm_gem_rests(gem)) {
		err = vsvm_gem_validate(gem, TTM_PL_VRAM, &ctx);
		if (!err)
			return vsvm_bo_in_vram(&gem->base) ? 0 : -EIO;
		if (err == -ENOSPC && retry)
			return err;
	}
	err = ttm_bo_populate(&gem->base.ttm, &ctx);
	return err ?: vsvm_tt_map(gem);
}

/**
 * vsvm_gem_bring_home - bring an object to where a CPU can touch it
 * @gem: reserved object
 * @interruptible: by signals
 *
 * Return: 0, -ENOMEM, -EIO, -EINTR or -ERESTARTSYS.
 */
int vsvm_gem_bring_home(struct vsvm_gem *gem, bool interruptible)
{
	struct ttm_operation_ctx ctx = {
		.interruptible = interruptible,
		.gfp_retry_mayfail = true,
	};

	return vsvm_gem_validate(gem, TTM_PL_SYSTEM, &ctx);
}

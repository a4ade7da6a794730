// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * System memory of buffer objects. TTM gets the pages and swaps them out; they
 * are mapped for DMA only while the GPU has them in its page tables or an engine
 * copies them. So a device that is unbound leaves no mapping behind, and the
 * CPU keeps the pages.
 */
#include <drm/ttm/ttm_pool.h>
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "vsvm_drv.h"
#include "vsvm_gem.h"
#include "vsvm_keep.h"

static struct vsvm_tt *to_vsvm_tt(struct ttm_tt *tt)
{
	return container_of(tt, struct vsvm_tt, base);
}

static struct device *vsvm_tt_device(struct vsvm_gem *gem)
{
	return vsvm_gem_obj(gem)->dev->dev;
}

/**
 * vsvm_tt_create - struct ttm_device_funcs.ttm_tt_create
 * @ttm: BO
 * @flags: TTM_TT_FLAG_*
 *
 * Return: room for pages, or NULL.
 */
struct ttm_tt *vsvm_tt_create(struct ttm_buffer_object *ttm, u32 flags)
{
	struct vsvm_tt *tt = kzalloc_obj(*tt, GFP_KERNEL_ACCOUNT);

	if (!tt)
		return NULL;
	if (ttm_tt_init(&tt->base, ttm, flags, ttm_cached, 0)) {
		kfree(tt);
		return NULL;
	}
	if (to_vsvm_bo(ttm)->kind == VSVM_BO_GEM)
		tt->gem = to_vsvm_gem(&ttm->base);
	return &tt->base;
}

/**
 * vsvm_tt_populate - struct ttm_device_funcs.ttm_tt_populate
 * @bdev: TTM device
 * @tt: gets pages
 * @ctx: how hard to try
 *
 * Return: 0, -ENOMEM or -EINTR.
 */
int vsvm_tt_populate(struct ttm_device *bdev, struct ttm_tt *tt,
		     struct ttm_operation_ctx *ctx)
{
	struct vsvm_gem *gem = to_vsvm_tt(tt)->gem;
	int err;

	err = ttm_pool_alloc(&bdev->pool, tt, ctx);
	if (!err && gem && gem->where == VSVM_GEM_NOWHERE)
		WRITE_ONCE(gem->where, VSVM_GEM_RAM);
	return err;
}

/**
 * vsvm_tt_unpopulate - struct ttm_device_funcs.ttm_tt_unpopulate
 * @bdev: TTM device
 * @tt: loses its pages
 */
void vsvm_tt_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt)
{
	struct vsvm_gem *gem = to_vsvm_tt(tt)->gem;

	WARN_ON_ONCE(to_vsvm_tt(tt)->sgt.sgl);
	if (to_vsvm_tt(tt)->kept)
		vsvm_keep_ttm(container_of(bdev, struct vsvm_device, ttm)->keep,
			      tt->pages, tt->num_pages);
	ttm_pool_free(&bdev->pool, tt);
	if (gem && gem->where == VSVM_GEM_RAM)
		WRITE_ONCE(gem->where, VSVM_GEM_NOWHERE);
}

/**
 * vsvm_tt_destroy - struct ttm_device_funcs.ttm_tt_destroy
 * @bdev: TTM device
 * @tt: has no pages
 */
void vsvm_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	ttm_tt_fini(tt);
	kfree(to_vsvm_tt(tt));
}

/**
 * vsvm_tt_map - let the device touch an object's system memory
 * @gem: reserved object, whose system memory is populated
 *
 * Return: 0, -ENOMEM or -EIO.
 */
int vsvm_tt_map(struct vsvm_gem *gem)
{
	struct vsvm_tt *tt = to_vsvm_tt(gem->base.ttm.ttm);
	int err;

	if (tt->sgt.sgl)
		return 0;
	err = sg_alloc_table_from_pages(&tt->sgt, tt->base.pages,
					tt->base.num_pages, 0,
					(u64)tt->base.num_pages << PAGE_SHIFT,
					GFP_KERNEL_ACCOUNT);
	if (err)
		return err;
	err = dma_map_sgtable(vsvm_tt_device(gem), &tt->sgt, DMA_BIDIRECTIONAL,
			      0);
	if (err)
		sg_free_table(&tt->sgt);
	return err ? (err == -ENOMEM ? err : -EIO) : 0;
}

/**
 * vsvm_tt_unmap - the device does not touch an object's system memory any more
 * @gem: reserved object
 */
void vsvm_tt_unmap(struct vsvm_gem *gem)
{
	struct vsvm_tt *tt;

	if (!gem->base.ttm.ttm)
		return;
	tt = to_vsvm_tt(gem->base.ttm.ttm);
	if (!tt->sgt.sgl)
		return;
	tt->kept |= vsvm_keep_active(to_vsvm(vsvm_gem_obj(gem)->dev)->keep);
	dma_unmap_sgtable(vsvm_tt_device(gem), &tt->sgt, DMA_BIDIRECTIONAL, 0);
	sg_free_table(&tt->sgt);
}

/**
 * vsvm_tt_sgt - where the device finds an object's system memory
 * @gem: reserved object, after vsvm_tt_map()
 *
 * Return: the table.
 */
struct sg_table *vsvm_tt_sgt(struct vsvm_gem *gem)
{
	return &to_vsvm_tt(gem->base.ttm.ttm)->sgt;
}

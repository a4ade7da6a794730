/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Buffer objects of user space. */
#ifndef _VSVM_GEM_H_
#define _VSVM_GEM_H_

#include <drm/ttm/ttm_tt.h>
#include <linux/ktime.h>
#include <linux/scatterlist.h>

#include "vsvm_bo.h"

struct ttm_operation_ctx;
struct vsvm_gem;
struct vsvm_user;

/* Where the pages of an object are. */
enum vsvm_gem_where {
	VSVM_GEM_NOWHERE,	/* never touched, or swapped out */
	VSVM_GEM_RAM,
	VSVM_GEM_VRAM,
};

/**
 * struct vsvm_tt - system memory of a BO
 * @base: base
 * @gem: whose memory; NULL for BOs that have none
 * @sgt: the same memory for the device, while it may touch it; else empty
 * @kept: the device may touch it for longer than that, as it does not answer
 */
struct vsvm_tt {
	struct ttm_tt base;
	struct vsvm_gem *gem;
	struct sg_table sgt;
	bool kept;
};

/**
 * struct vsvm_gem - a buffer object of user space
 * @base: base
 * @user: who made it, constant
 * @system: it belongs into system memory, else into VRAM; constant
 * @where: where it is; read without a lock for statistics only
 * @mapped: windows of its bindings that the GPU has entries for
 * @entered: when it came to VRAM
 * @left: when it was last taken out of VRAM
 * @short_stays: how often in a row it was there for a moment only
 *
 * What is not constant is protected by its reservation.
 */
struct vsvm_gem {
	struct vsvm_bo base;
	struct vsvm_user *user;
	bool system;
	enum vsvm_gem_where where;
	unsigned int mapped;
	ktime_t entered;
	ktime_t left;
	unsigned int short_stays;
};

static inline struct vsvm_gem *to_vsvm_gem(struct drm_gem_object *obj)
{
	return container_of(obj, struct vsvm_gem, base.ttm.base);
}

static inline struct drm_gem_object *vsvm_gem_obj(struct vsvm_gem *gem)
{
	return &gem->base.ttm.base;
}

/* vsvm_tt.c */
struct ttm_tt *vsvm_tt_create(struct ttm_buffer_object *ttm, u32 flags);
int vsvm_tt_populate(struct ttm_device *bdev, struct ttm_tt *tt,
		     struct ttm_operation_ctx *ctx);
void vsvm_tt_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt);
void vsvm_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt);
int vsvm_tt_map(struct vsvm_gem *gem);
void vsvm_tt_unmap(struct vsvm_gem *gem);
struct sg_table *vsvm_tt_sgt(struct vsvm_gem *gem);

/* vsvm_prime.c */
struct dma_buf *vsvm_prime_export(struct drm_gem_object *obj, int flags);
struct drm_gem_object *vsvm_prime_import(struct drm_device *drm,
					 struct dma_buf *dmabuf);

/* vsvm_gem_move.c */
int vsvm_gem_move(struct vsvm_gem *gem, bool evict,
		  struct ttm_operation_ctx *ctx, struct ttm_resource *new_mem);
int vsvm_gem_place(struct vsvm_gem *gem, bool retry);
int vsvm_gem_bring_home(struct vsvm_gem *gem, bool interruptible);
void vsvm_gem_unmap(struct vsvm_gem *gem);

#endif /* _VSVM_GEM_H_ */

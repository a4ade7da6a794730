/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Buffer objects: pieces of VRAM, and who uses them. */
#ifndef _VSVM_BO_H_
#define _VSVM_BO_H_

#include <drm/drm_pagemap.h>
#include <drm/ttm/ttm_bo.h>
#include <linux/atomic.h>
#include <linux/llist.h>
#include <linux/refcount.h>

struct drm_gem_object_funcs;
struct ttm_placement;
struct vsvm_device;

enum vsvm_bo_kind {
	VSVM_BO_SVM,		/* backs pages of a process; evictable */
	VSVM_BO_TABLE,		/* a page table; pinned */
	VSVM_BO_GEM,		/* an object of user space: struct vsvm_gem */
};

/* What an address space takes of VRAM. Outlives it, as its BOs may. */
struct vsvm_usage {
	refcount_t ref;
	atomic64_t bytes;
};

/**
 * struct vsvm_bo - a buffer object
 * @ttm: base; its reservation covers where the BO is
 * @kind: what it is for, constant
 * @devmem: SVM: the allocation as drm_pagemap sees it
 * @usage: SVM: who accounts for it, referenced; or NULL
 * @released: SVM: its last page has gone home
 * @release_link: SVM: on its way to be put
 */
struct vsvm_bo {
	struct ttm_buffer_object ttm;
	enum vsvm_bo_kind kind;
	struct drm_pagemap_devmem devmem;
	struct vsvm_usage *usage;
	bool released;
	struct llist_node release_link;
};

static inline struct vsvm_bo *to_vsvm_bo(struct ttm_buffer_object *ttm)
{
	return container_of(ttm, struct vsvm_bo, ttm);
}

extern const struct ttm_device_funcs vsvm_ttm_funcs;

int vsvm_bo_init(struct vsvm_device *vdev, struct vsvm_bo *bo,
		 enum ttm_bo_type type, const struct drm_gem_object_funcs *funcs,
		 u64 size, u64 alignment, struct ttm_placement *placement);
int vsvm_bo_enter_vram(struct vsvm_bo *bo, struct ttm_resource *res);
void vsvm_bo_leave_vram(struct vsvm_bo *bo, struct ttm_resource *res);
void vsvm_bo_free(struct drm_gem_object *obj);

void vsvm_usage_put(struct vsvm_usage *usage);
struct vsvm_bo *vsvm_bo_create(struct vsvm_device *vdev, enum vsvm_bo_kind kind,
			       u64 size, struct vsvm_usage *usage);
void vsvm_bo_put(struct vsvm_bo *bo);
u64 vsvm_res_offset(struct ttm_resource *res);
u64 vsvm_bo_offset(struct vsvm_bo *bo);
bool vsvm_bo_in_vram(struct vsvm_bo *bo);
struct vsvm_bo *vsvm_table_create(struct vsvm_device *vdev);
void vsvm_table_destroy(struct vsvm_bo *bo);
void vsvm_bo_release_work(struct work_struct *work);
void vsvm_bo_release(struct vsvm_bo *bo);

#endif /* _VSVM_BO_H_ */

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the driver makes of the additions to drm_pagemap. Nothing of it is
 * needed: without, vsvm_place.c cuts a range into pieces by itself, each piece
 * moves as a whole or not at all, and copies are waited for. With them
 *
 *	- the core cuts, asks for as much VRAM as is missing, and has several
 *	  pieces underway at a time, by copies that give it a fence;
 *	- a page that cannot move keeps no other from it, so that a range is in
 *	  both places then, which drm_gpusvm maps with allow_mixed;
 *	- a CPU fault brings a window home instead of a whole allocation;
 *	- a device that goes away gets rid of its pages even if it is dead.
 */
#include "vsvm_pagemap.h"

#ifdef DRM_PAGEMAP_HAS_ADDITIONS

#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vsvm_bo.h"
#include "vsvm_copy.h"
#include "vsvm_inject.h"
#include "vsvm_vm.h"

/* Somebody may have a page for a moment only. */
#define VSVM_POPULATE_TRIES	2

/* Time that an unbind gives those who are in the middle of something. */
#define VSVM_EVICT_ALL_MS	1000

static struct drm_pagemap_ops vsvm_added_ops __ro_after_init;
static struct drm_pagemap_devmem_ops vsvm_added_devmem_ops __ro_after_init;

/* The pagemap, and what it refers to as long as it lives. */
struct vsvm_pagemap {
	struct drm_pagemap base;
	struct drm_pagemap_fault_policy policy;
};

static struct dma_fence *
vsvm_copy_to_devmem_async(struct page **pages, struct drm_pagemap_addr *addr,
			  unsigned long npages, struct dma_fence *pre)
{
	return vsvm_copy_async(pages, addr, npages, pre, true);
}

static struct dma_fence *
vsvm_copy_to_ram_async(struct page **pages, struct drm_pagemap_addr *addr,
		       unsigned long npages, struct dma_fence *pre)
{
	return vsvm_copy_async(pages, addr, npages, pre, false);
}

/*
 * The devmem is the core's: its reference is the only one. An allocation whose
 * operations a test has changed is to be one without additions.
 */
static struct drm_pagemap_devmem *
vsvm_devmem_alloc(struct drm_pagemap *dpagemap, struct mm_struct *mm,
		  size_t size)
{
	const struct drm_pagemap_devmem_ops *ops = vsvm_inject_ops(&vsvm_devmem_ops);
	struct vsvm_device *vdev = to_vsvm(dpagemap->drm);
	struct vsvm_bo *bo;

	bo = vsvm_bo_create(vdev, VSVM_BO_SVM, size, vsvm_vm_usage(vdev, mm));
	if (bo == ERR_PTR(-ENOSPC)) {
		/* What is on its way out is none that TTM could evict. */
		vsvm_vram_flush(vdev);
		bo = vsvm_bo_create(vdev, VSVM_BO_SVM, size,
				    vsvm_vm_usage(vdev, mm));
	}
	if (IS_ERR(bo))
		return ERR_CAST(bo);
	if (ops == &vsvm_devmem_ops)
		ops = &vsvm_added_devmem_ops;
	drm_pagemap_devmem_init(&bo->devmem, vdev->drm.dev, mm, ops, dpagemap,
				size, NULL);
	ttm_bo_pin(&bo->ttm);
	ttm_bo_unreserve(&bo->ttm);
	return &bo->devmem;
}

static void vsvm_devmem_populated(struct drm_pagemap_devmem *devmem)
{
	struct vsvm_bo *bo = container_of(devmem, struct vsvm_bo, devmem);

	dma_resv_lock(bo->ttm.base.resv, NULL);
	ttm_bo_unpin(&bo->ttm);
	dma_resv_unlock(bo->ttm.base.resv);
}

static bool vsvm_worth_a_retry(const struct drm_pagemap_migrate_result *result)
{
	return result->pages[DRM_PAGEMAP_SKIP_UNKNOWN] ||
	       result->pages[DRM_PAGEMAP_SKIP_RACED];
}

static int vsvm_populate_range(struct drm_pagemap *dpagemap,
			       unsigned long start, unsigned long end,
			       struct mm_struct *mm, unsigned long timeslice_ms)
{
	const struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
		.source_peer_migrates = 1,
		.policy = DRM_PAGEMAP_BEST_EFFORT,
	};
	struct drm_pagemap_migrate_result result = {};
	unsigned int tries = VSVM_POPULATE_TRIES;
	int idx, err;

	if (!drm_dev_enter(dpagemap->drm, &idx))
		return -ENODEV;
	do {
		err = drm_pagemap_populate_range(dpagemap, mm, start, end,
						 &details, &result);
	} while (!err && vsvm_worth_a_retry(&result) && --tries);
	drm_dev_exit(idx);
	return err;
}

/**
 * vsvm_additions_module_init - prepare what all devices share
 */
void __init vsvm_additions_module_init(void)
{
	vsvm_added_ops = vsvm_pagemap_ops;
	vsvm_added_ops.populate_mm = vsvm_populate_range;
	vsvm_added_ops.devmem_alloc = vsvm_devmem_alloc;
	vsvm_added_ops.devmem_populated = vsvm_devmem_populated;

	/* Holes are cleared as a copy with nothing to copy from is. */
	vsvm_added_devmem_ops = vsvm_devmem_ops;
	vsvm_added_devmem_ops.copy_to_devmem_async = vsvm_copy_to_devmem_async;
	vsvm_added_devmem_ops.copy_to_ram_async = vsvm_copy_to_ram_async;
	vsvm_added_devmem_ops.clear_devmem = vsvm_copy_to_devmem_async;
	/* Between devices the one that gets the memory copies. */
	vsvm_added_devmem_ops.flags = DRM_PAGEMAP_DEVMEM_PULLS;
}

/**
 * vsvm_additions_create - make the device's pagemap
 * @vdev: device
 *
 * Return: the pagemap, to be freed by kfree(); or ERR_PTR().
 */
struct drm_pagemap *vsvm_additions_create(struct vsvm_device *vdev)
{
	struct vsvm_pagemap *pagemap = kzalloc_obj(*pagemap);
	int err;

	BUILD_BUG_ON(offsetof(struct vsvm_pagemap, base));
	if (!pagemap)
		return ERR_PTR(-ENOMEM);
	err = drm_pagemap_init(&pagemap->base, &vdev->pagemap, &vdev->drm,
			       &vsvm_added_ops);
	if (err) {
		kfree(pagemap);
		return ERR_PTR(err);
	}
	pagemap->policy = (struct drm_pagemap_fault_policy) {
		.min_window = vdev->config.window_min_kb * SZ_1K,
		.max_window = vdev->config.window_max_kb * SZ_1K,
	};
	pagemap->base.fault_policy = &pagemap->policy;
	return &pagemap->base;
}

/**
 * vsvm_additions_add_vram - make struct pages for VRAM
 * @vdev: device
 *
 * Return: 0 or an error.
 */
int vsvm_additions_add_vram(struct vsvm_device *vdev)
{
	/* There is one of ours among them. */
	vdev->pagemap.ops = vsvm_dev_pagemap_ops();
	return devm_drm_pagemap_add_vram(&vdev->drm, &vdev->pagemap,
					 vdev->hw->vram_size, vdev->peer.owner);
}

/**
 * vsvm_additions_evict_all - bring all memory of processes home
 * @vdev: device, unplugged
 *
 * What cannot be read any more is given up; who touches it gets a signal.
 */
void vsvm_additions_evict_all(struct vsvm_device *vdev)
{
	struct drm_pagemap_evict_result result = {};
	struct drm_pagemap *dpagemap;

	/* Every page in use has a reference. */
	dpagemap = drm_pagemap_get_from_cache_if_active(vdev->cache);
	if (!dpagemap)
		return;
	drm_pagemap_evict_all(dpagemap, VSVM_EVICT_ALL_MS, &result);
	drm_pagemap_put(dpagemap);
	if (result.lost)
		drm_err(&vdev->drm, "%lu pages of VRAM were lost\n", result.lost);
}

/*
 * A large page's worth of memory that came to VRAM in several allocations goes
 * to one, which the GPU can map as a large page.
 */
static int vsvm_compact_one(struct vsvm_device *vdev,
			    struct drm_pagemap *dpagemap, struct mm_struct *mm,
			    unsigned long start)
{
	const struct drm_pagemap_migrate_details details = {
		.timeslice_ms = vdev->config.timeslice_ms,
		.can_migrate_same_pagemap = 1,
		.policy = DRM_PAGEMAP_BEST_EFFORT,
	};
	struct drm_pagemap_migrate_result result = {};
	struct vsvm_bo *bo;
	int err;

	mmap_read_lock(mm);
	bo = vsvm_bo_create(vdev, VSVM_BO_SVM, SZ_2M, vsvm_vm_usage(vdev, mm));
	err = PTR_ERR_OR_ZERO(bo);
	if (!err) {
		drm_pagemap_devmem_init(&bo->devmem, vdev->drm.dev, mm,
					&vsvm_added_devmem_ops, dpagemap, SZ_2M,
					NULL);
		drm_gem_object_get(&bo->ttm.base);
		err = drm_pagemap_migrate_range(&bo->devmem, mm, start,
						start + SZ_2M, &details, &result);
		ttm_bo_unreserve(&bo->ttm);
		vsvm_bo_put(bo);
	}
	mmap_read_unlock(mm);
	return err;
}

static int vsvm_compact(struct vsvm_device *vdev, u64 start, u64 length)
{
	struct drm_pagemap *dpagemap;
	unsigned long addr;
	int idx, err;

	if (!IS_ALIGNED(start | length, SZ_2M) || start + length < start)
		return -EINVAL;
	if (!drm_dev_enter(&vdev->drm, &idx))
		return -ENODEV;
	dpagemap = vsvm_pagemap_get(vdev);
	err = PTR_ERR_OR_ZERO(dpagemap);
	if (!err) {
		for (addr = start; addr < start + length && !err; addr += SZ_2M)
			err = vsvm_compact_one(vdev, dpagemap, current->mm, addr);
		drm_pagemap_put(dpagemap);
	}
	drm_dev_exit(idx);
	return err;
}

/* "START LENGTH", in hexadecimal, of the caller's memory. */
static ssize_t vsvm_compact_write(struct file *file, const char __user *user,
				  size_t size, loff_t *pos)
{
	unsigned long long start, length;
	char text[64] = {};
	int err;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, size))
		return -EFAULT;
	if (sscanf(text, "%llx %llx", &start, &length) != 2)
		return -EINVAL;
	err = vsvm_compact(file->private_data, start, length);
	return err ?: size;
}

static const struct debugfs_short_fops vsvm_compact_fops = {
	.write = vsvm_compact_write,
};

/**
 * vsvm_additions_debugfs - make the files
 * @vdev: device
 * @root: its directory
 */
void vsvm_additions_debugfs(struct vsvm_device *vdev, struct dentry *root)
{
	debugfs_create_file("compact", 0200, root, vdev, &vsvm_compact_fops);
	drm_pagemap_debugfs_init(&vdev->drm);
}

#endif /* DRM_PAGEMAP_HAS_ADDITIONS */

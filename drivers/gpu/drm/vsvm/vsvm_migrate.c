// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What drm_pagemap asks of a driver: VRAM for a range of a process's memory,
 * the pages that it consists of, and copies in both directions. This is what
 * the kernel's own drm_pagemap knows as well; vsvm_additions.c builds on it.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_bo.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "vsvm_bo.h"
#include "vsvm_copy.h"
#include "vsvm_drv.h"
#include "vsvm_inject.h"
#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

static struct dev_pagemap_ops vsvm_page_ops __ro_after_init;
static vm_fault_t (*vsvm_core_migrate_to_ram)(struct vm_fault *vmf) __ro_after_init;

/**
 * vsvm_addr_offset - where in VRAM an address points to
 * @vdev: device that the memory belongs to
 * @addr: address of VSVM_INTERCONNECT_VRAM
 *
 * Such addresses are those of the struct pages, so that none of them is 0.
 *
 * Return: offset in bytes.
 */
u64 vsvm_addr_offset(struct vsvm_device *vdev,
		     const struct drm_pagemap_addr *addr)
{
	return addr->addr - vdev->pagemap.range.start;
}

/* A CPU touched a page in VRAM: count, and leave the work to the core. */
static vm_fault_t vsvm_migrate_to_ram(struct vm_fault *vmf)
{
	vsvm_stat_add(vsvm_page_device(vmf->page), VSVM_STAT_CPU_FAULTS, 1);
	return vsvm_inject_faulted(vmf, vsvm_core_migrate_to_ram(vmf));
}

/**
 * vsvm_migrate_module_init - prepare what all devices share
 */
void __init vsvm_migrate_module_init(void)
{
	vsvm_page_ops = *drm_pagemap_pagemap_ops_get();
	vsvm_core_migrate_to_ram = vsvm_page_ops.migrate_to_ram;
	vsvm_page_ops.migrate_to_ram = vsvm_migrate_to_ram;
	vsvm_additions_module_init();
}

/**
 * vsvm_dev_pagemap_ops - callbacks for struct pages of VRAM
 *
 * Return: the table.
 */
const struct dev_pagemap_ops *vsvm_dev_pagemap_ops(void)
{
	return &vsvm_page_ops;
}

static int vsvm_copy_to_devmem(struct page **pages,
			       struct drm_pagemap_addr *addr,
			       unsigned long npages, struct dma_fence *pre)
{
	return vsvm_copy(pages, addr, npages, pre, true);
}

static int vsvm_copy_to_ram(struct page **pages, struct drm_pagemap_addr *addr,
			    unsigned long npages, struct dma_fence *pre)
{
	return vsvm_copy(pages, addr, npages, pre, false);
}

static struct vsvm_bo *to_devmem_bo(struct drm_pagemap_devmem *devmem)
{
	return container_of(devmem, struct vsvm_bo, devmem);
}

static void vsvm_devmem_release(struct drm_pagemap_devmem *devmem)
{
	dma_fence_put(devmem->pre_migrate_fence);
	vsvm_bo_release(to_devmem_bo(devmem));
}

static int vsvm_populate_devmem_pfn(struct drm_pagemap_devmem *devmem,
				    unsigned long npages, unsigned long *pfn)
{
	struct vsvm_bo *bo = to_devmem_bo(devmem);
	struct vsvm_device *vdev = to_vsvm(bo->ttm.base.dev);
	unsigned long first, i;

	first = PHYS_PFN(vdev->pagemap.range.start + vsvm_bo_offset(bo));
	for (i = 0; i < npages; i++)
		pfn[i] = first + i;
	vsvm_inject_pfns(pfn, npages);
	return 0;
}

const struct drm_pagemap_devmem_ops vsvm_devmem_ops = {
	.devmem_release = vsvm_devmem_release,
	.populate_devmem_pfn = vsvm_populate_devmem_pfn,
	.copy_to_devmem = vsvm_copy_to_devmem,
	.copy_to_ram = vsvm_copy_to_ram,
};

/* A peer gets an address for its link, if that is up. */
static struct drm_pagemap_addr
vsvm_device_map(struct drm_pagemap *dpagemap, struct device *dev,
		struct page *page, unsigned int order,
		enum dma_data_direction dir)
{
	struct vsvm_device *vdev = to_vsvm(dpagemap->drm);
	const phys_addr_t phys = PFN_PHYS(page_to_pfn(page));
	u64 offset = phys - vdev->pagemap.range.start;

	if (dev == vdev->drm.dev)
		return drm_pagemap_addr_encode(phys, VSVM_INTERCONNECT_VRAM,
					       order, dir);
	return drm_pagemap_addr_encode(vsvm_peer_reaches(dev, vdev) ?
				       offset | VSVM_PEER_ADDR :
				       DMA_MAPPING_ERROR,
				       VSVM_INTERCONNECT_PEER(vdev->id),
				       order, dir);
}

static void vsvm_device_unmap(struct drm_pagemap *dpagemap, struct device *dev,
			      const struct drm_pagemap_addr *addr)
{
}

/*
 * The BO stays reserved until its pages are in place: an eviction must not see
 * it before. The migration consumes one reference, the other one is ours.
 */
static int vsvm_populate_bo(struct vsvm_device *vdev,
			    struct drm_pagemap *dpagemap, unsigned long start,
			    unsigned long end, struct mm_struct *mm,
			    unsigned long timeslice_ms)
{
	const struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
	};
	struct vsvm_bo *bo;
	int err;

	bo = vsvm_bo_create(vdev, VSVM_BO_SVM, end - start,
			    vsvm_vm_usage(vdev, mm));
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	drm_pagemap_devmem_init(&bo->devmem, vdev->drm.dev, mm,
				vsvm_inject_ops(&vsvm_devmem_ops), dpagemap,
				end - start, NULL);
	drm_gem_object_get(&bo->ttm.base);
	err = drm_pagemap_migrate_to_devmem(&bo->devmem, mm, start, end,
					    &details);
	err = vsvm_inject_migrated(bo, err);
	ttm_bo_unreserve(&bo->ttm);
	vsvm_bo_put(bo);
	return err;
}

static int vsvm_populate_mm(struct drm_pagemap *dpagemap, unsigned long start,
			    unsigned long end, struct mm_struct *mm,
			    unsigned long timeslice_ms)
{
	struct vsvm_device *vdev = to_vsvm(dpagemap->drm);
	int idx, err;

	if (!drm_dev_enter(&vdev->drm, &idx))
		return -ENODEV;
	err = vsvm_populate_bo(vdev, dpagemap, start, end, mm, timeslice_ms);
	drm_dev_exit(idx);
	return err;
}

/* It is but a name for the struct pages, which go with the device. */
static void vsvm_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic)
{
	kfree(dpagemap);
}

const struct drm_pagemap_ops vsvm_pagemap_ops = {
	.device_map = vsvm_device_map,
	.device_unmap = vsvm_device_unmap,
	.populate_mm = vsvm_populate_mm,
	.destroy = vsvm_pagemap_destroy,
};

static struct drm_pagemap *vsvm_pagemap_create(struct vsvm_device *vdev)
{
	struct drm_pagemap *dpagemap = kzalloc_obj(*dpagemap);
	int err;

	if (!dpagemap)
		return ERR_PTR(-ENOMEM);
	err = drm_pagemap_init(dpagemap, &vdev->pagemap, &vdev->drm,
			       &vsvm_pagemap_ops);
	if (err) {
		kfree(dpagemap);
		return ERR_PTR(err);
	}
	return dpagemap;
}

/**
 * vsvm_pagemap_get - the device's pagemap, made on first use
 * @vdev: device, under drm_dev_enter()
 *
 * Return: a reference, or ERR_PTR() of -ENOMEM, -EINTR or -ERESTARTSYS.
 */
struct drm_pagemap *vsvm_pagemap_get(struct vsvm_device *vdev)
{
	struct drm_pagemap *dpagemap;
	int err;

	err = drm_pagemap_cache_lock_lookup(vdev->cache);
	if (err)
		return ERR_PTR(err);
	dpagemap = drm_pagemap_get_from_cache(vdev->cache);
	if (!dpagemap) {
		dpagemap = vsvm_has_additions(vdev) ?
			   vsvm_additions_create(vdev) :
			   vsvm_pagemap_create(vdev);
		if (!IS_ERR(dpagemap))
			drm_pagemap_cache_set_pagemap(vdev->cache, dpagemap);
	}
	drm_pagemap_cache_unlock_lookup(vdev->cache);
	return dpagemap;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What drm_pagemap asks of a driver: VRAM for a range of a process's memory,
 * the pages that it consists of, and copies in both directions.
 *
 * The copies move data between struct pages of this device and addresses that
 * the core has mapped for DMA. They depend on nothing else: not on a VM, not
 * on page tables. The core holds folio locks around them, so they take no lock
 * but a ring's, and their wait is bounded by a reset of the engine.
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
#include "vsvm_drv.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

static struct dev_pagemap_ops vsvm_page_ops __ro_after_init;
static vm_fault_t (*vsvm_core_migrate_to_ram)(struct vm_fault *vmf) __ro_after_init;

static struct vsvm_device *vsvm_page_device(struct page *page)
{
	return container_of(page_pgmap(page), struct vsvm_device, pagemap);
}

static u64 vsvm_page_offset(struct vsvm_device *vdev, struct page *page)
{
	return PFN_PHYS(page_to_pfn(page)) - vdev->pagemap.range.start;
}

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
	return vsvm_core_migrate_to_ram(vmf);
}

/**
 * vsvm_migrate_module_init - prepare what all devices share
 */
void __init vsvm_migrate_module_init(void)
{
	vsvm_page_ops = *drm_pagemap_pagemap_ops_get();
	vsvm_core_migrate_to_ram = vsvm_page_ops.migrate_to_ram;
	vsvm_page_ops.migrate_to_ram = vsvm_migrate_to_ram;
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

/* A copy that grows as long as its pages are neighbours on both sides. */
struct vsvm_run {
	u64 vram;
	u64 system;
	u64 len;
	bool fill;
};

struct vsvm_copy {
	struct vsvm_device *vdev;
	struct vsvm_push push;
	struct vsvm_run run;
	bool to_vram;
	u64 bytes;
	u64 cleared;
};

static void vsvm_copy_flush(struct vsvm_copy *copy)
{
	struct vsvm_run *run = &copy->run;

	if (!run->len)
		return;
	if (run->fill)
		vsvm_push_fill(&copy->push, run->vram, 0, 0, run->len);
	else if (copy->to_vram)
		vsvm_push_copy(&copy->push,
			       VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
			       VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
			       run->vram, run->system, run->len);
	else
		vsvm_push_copy(&copy->push,
			       VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
			       VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM),
			       run->system, run->vram, run->len);
	*(run->fill ? &copy->cleared : &copy->bytes) += run->len;
	run->len = 0;
}

static void vsvm_copy_add(struct vsvm_copy *copy, u64 vram, u64 system, u64 len,
			  bool fill)
{
	struct vsvm_run *run = &copy->run;

	if (run->len && run->fill == fill && run->vram + run->len == vram &&
	    (fill || run->system + run->len == system)) {
		run->len += len;
		return;
	}
	vsvm_copy_flush(copy);
	*run = (struct vsvm_run) {
		.vram = vram,
		.system = system,
		.len = len,
		.fill = fill,
	};
}

/*
 * One entry. Memory that has no page yet has no address either: its VRAM is
 * cleared, as that is what the process will read.
 *
 * Return: the number of entries that it covers, or -EOPNOTSUPP.
 */
static int vsvm_copy_entry(struct vsvm_copy *copy, struct page *page,
			   const struct drm_pagemap_addr *addr)
{
	u64 vram;

	if (!page)
		return 1 << (addr->addr ? addr->order : 0);
	vram = vsvm_page_offset(copy->vdev, page);
	if (!addr->addr) {
		struct folio *folio = page_folio(page);
		bool head = page == folio_page(folio, 0);
		u64 len = head ? folio_size(folio) : PAGE_SIZE;

		if (copy->to_vram)
			vsvm_copy_add(copy, vram, 0, len, true);
		return len >> PAGE_SHIFT;
	}
	if (addr->proto != DRM_INTERCONNECT_SYSTEM)
		return -EOPNOTSUPP;
	vsvm_copy_add(copy, vram, addr->addr, PAGE_SIZE << addr->order, false);
	return 1 << addr->order;
}

static void vsvm_copy_account(struct vsvm_copy *copy, u64 start)
{
	const u64 ns = ktime_get_ns() - start;
	struct vsvm_device *vdev = copy->vdev;

	if (copy->to_vram) {
		vsvm_stat_add(vdev, VSVM_STAT_TO_VRAM_BYTES, copy->bytes);
		vsvm_stat_add(vdev, VSVM_STAT_TO_VRAM_NS, ns);
		vsvm_stat_add(vdev, VSVM_STAT_CLEARED_BYTES, copy->cleared);
	} else {
		vsvm_stat_add(vdev, VSVM_STAT_TO_RAM_BYTES, copy->bytes);
		vsvm_stat_add(vdev, VSVM_STAT_TO_RAM_NS, ns);
	}
}

static struct page *vsvm_first_page(struct page **pages, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		if (pages[i])
			return pages[i];
	}
	return NULL;
}

static int vsvm_wait_fence(struct dma_fence *fence)
{
	if (!fence)
		return 0;
	dma_fence_wait(fence, false);
	return dma_fence_get_status(fence) < 0 ? -EIO : 0;
}

static int vsvm_copy(struct page **pages, struct drm_pagemap_addr *addr,
		     unsigned long npages, struct dma_fence *pre, bool to_vram)
{
	struct page *first = vsvm_first_page(pages, npages);
	struct vsvm_copy copy = { .to_vram = to_vram };
	u64 start = ktime_get_ns();
	struct vsvm_ring *ring;
	struct vsvm_wait wait;
	unsigned long i;
	int num = 0, err;

	if (!first)
		return 0;
	err = vsvm_wait_fence(pre);
	if (err)
		return err;
	copy.vdev = vsvm_page_device(first);
	ring = &copy.vdev->ring[to_vram ? VSVM_HW_COPY_TO_VRAM :
					  VSVM_HW_COPY_FROM_VRAM];
	vsvm_wait_init(&wait);
	vsvm_push_begin(&copy.push, ring, &wait.sub);
	for (i = 0; i < npages && num >= 0; i += num)
		num = vsvm_copy_entry(&copy, pages[i], &addr[i]);
	vsvm_copy_flush(&copy);
	vsvm_push_end(&copy.push);
	err = vsvm_wait_for(ring, &wait);
	if (num < 0)
		return num;
	if (err)
		return -EIO;
	vsvm_copy_account(&copy, start);
	return 0;
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
	return 0;
}

static const struct drm_pagemap_devmem_ops vsvm_devmem_ops = {
	.devmem_release = vsvm_devmem_release,
	.populate_devmem_pfn = vsvm_populate_devmem_pfn,
	.copy_to_devmem = vsvm_copy_to_devmem,
	.copy_to_ram = vsvm_copy_to_ram,
};

static struct drm_pagemap_addr
vsvm_device_map(struct drm_pagemap *dpagemap, struct device *dev,
		struct page *page, unsigned int order,
		enum dma_data_direction dir)
{
	dma_addr_t addr = PFN_PHYS(page_to_pfn(page));

	if (dev != dpagemap->drm->dev)
		addr = DMA_MAPPING_ERROR;
	return drm_pagemap_addr_encode(addr, VSVM_INTERCONNECT_VRAM, order, dir);
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
				&vsvm_devmem_ops, dpagemap, end - start, NULL);
	drm_gem_object_get(&bo->ttm.base);
	err = drm_pagemap_migrate_to_devmem(&bo->devmem, mm, start, end,
					    &details);
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

static const struct drm_pagemap_ops vsvm_pagemap_ops = {
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
	drm_pagemap_cache_set_pagemap(vdev->cache, dpagemap);
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
	if (!dpagemap)
		dpagemap = vsvm_pagemap_create(vdev);
	drm_pagemap_cache_unlock_lookup(vdev->cache);
	return dpagemap;
}

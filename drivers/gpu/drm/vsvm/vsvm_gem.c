// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects of user space: how they are made, and mapped by a CPU.
 *
 * No CPU reaches VRAM, so an object comes to system memory when a CPU touches a
 * mapping of it; TTM takes the mappings away when it moves again. They outlive
 * the device: vsvm_remove() brings all objects to system memory, where those
 * who have them mapped find them.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_placement.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "vsvm_copy.h"
#include "vsvm_drv.h"
#include "vsvm_gem.h"
#include "vsvm_quota.h"

/* It may move on between being brought home and being looked at. */
#define VSVM_ACCESS_TRIES	8

static vm_fault_t vsvm_gem_errno_to_fault(int err)
{
	switch (err) {
	case 0:
	case -EINTR:
	case -ERESTARTSYS:
	case -EAGAIN:
		return VM_FAULT_NOPAGE;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t vsvm_gem_fault_insert(struct vm_fault *vmf)
{
	return ttm_bo_vm_fault_reserved(vmf, vmf->vma->vm_page_prot,
					TTM_BO_VM_NUM_PREFAULT);
}

static vm_fault_t vsvm_gem_fault_bound(struct vsvm_gem *gem,
				       struct vm_fault *vmf)
{
	int err = vsvm_gem_bring_home(gem, true);

	return err ? vsvm_gem_errno_to_fault(err) : vsvm_gem_fault_insert(vmf);
}

/*
 * The device was unbound, or is about to be. What is in VRAM is on its way home,
 * unless that has failed.
 */
static vm_fault_t vsvm_gem_fault_unbound(struct vsvm_gem *gem,
					 struct vm_fault *vmf)
{
	if (!vsvm_bo_in_vram(&gem->base))
		return vsvm_gem_fault_insert(vmf);
	return READ_ONCE(to_vsvm(vsvm_gem_obj(gem)->dev)->gone) ?
	       VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}

static vm_fault_t vsvm_gem_fault(struct vm_fault *vmf)
{
	struct ttm_buffer_object *ttm = vmf->vma->vm_private_data;
	struct vsvm_gem *gem = to_vsvm_gem(&ttm->base);
	bool bound, wait;
	vm_fault_t ret;
	int idx;

	ret = ttm_bo_vm_reserve(ttm, vmf);
	if (ret)
		return ret;
	bound = drm_dev_enter(ttm->base.dev, &idx);
	if (bound) {
		ret = vsvm_gem_fault_bound(gem, vmf);
		drm_dev_exit(idx);
	} else {
		ret = vsvm_gem_fault_unbound(gem, vmf);
	}
	/* Then it is not reserved any more. */
	if (ret == VM_FAULT_RETRY && !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return ret;
	wait = !bound && ret == VM_FAULT_NOPAGE && vsvm_bo_in_vram(&gem->base);
	dma_resv_unlock(ttm->base.resv);
	if (wait)
		usleep_range(500, 1000);
	return ret;
}

/* A debugger's look at the memory of a process. */
static int vsvm_gem_access(struct vm_area_struct *vma, unsigned long addr,
			   void *buf, int len, int write)
{
	struct ttm_buffer_object *ttm = vma->vm_private_data;
	struct drm_device *drm = ttm->base.dev;
	unsigned int tries = VSVM_ACCESS_TRIES;
	int idx, ret;

	do {
		ret = ttm_bo_vm_access(vma, addr, buf, len, write);
		if (ret != -EIO || !drm_dev_enter(drm, &idx))
			return ret;
		ret = dma_resv_lock_interruptible(ttm->base.resv, NULL);
		if (!ret) {
			ret = vsvm_gem_bring_home(to_vsvm_gem(&ttm->base), true);
			dma_resv_unlock(ttm->base.resv);
		}
		drm_dev_exit(idx);
	} while (!ret && --tries);
	return ret ?: -EIO;
}

static const struct vm_operations_struct vsvm_gem_vm_ops = {
	.fault = vsvm_gem_fault,
	.open = ttm_bo_vm_open,
	.close = ttm_bo_vm_close,
	.access = vsvm_gem_access,
};

static int vsvm_gem_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_EXEC)
		vsvm_copy_note_code();
	return drm_gem_ttm_mmap(obj, vma);
}

static const struct drm_gem_object_funcs vsvm_gem_funcs = {
	.free = vsvm_bo_free,
	.export = vsvm_prime_export,
	.mmap = vsvm_gem_mmap,
	.vm_ops = &vsvm_gem_vm_ops,
};

/* So that the GPU can map it by large pages. */
static u64 vsvm_gem_alignment(u64 size)
{
	return size >= SZ_2M ? SZ_2M : size >= SZ_64K ? SZ_64K : SZ_4K;
}

/*
 * Return: the object, referenced, or ERR_PTR() of what vsvm_user_get() and
 * vsvm_bo_init() say.
 */
static struct vsvm_gem *vsvm_gem_create(struct vsvm_device *vdev, u64 size,
					bool system)
{
	/* The second one if all of VRAM is taken, by what cannot be moved. */
	const struct ttm_place place[] = {
		{ .mem_type = TTM_PL_VRAM },
		{ .mem_type = TTM_PL_SYSTEM, .flags = TTM_PL_FLAG_FALLBACK },
	};
	const struct ttm_place system_place = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = {
		.num_placement = system ? 1 : ARRAY_SIZE(place),
		.placement = system ? &system_place : place,
	};
	struct vsvm_gem *gem;
	int err;

	BUILD_BUG_ON(offsetof(struct vsvm_gem, base));
	gem = kzalloc_obj(*gem, GFP_KERNEL_ACCOUNT);
	if (!gem)
		return ERR_PTR(-ENOMEM);
	gem->user = vsvm_user_get(vdev, size);
	if (IS_ERR(gem->user)) {
		err = PTR_ERR(gem->user);
		kfree(gem);
		return ERR_PTR(err);
	}
	gem->base.kind = VSVM_BO_GEM;
	gem->system = system;
	err = vsvm_bo_init(vdev, &gem->base, ttm_bo_type_device, &vsvm_gem_funcs,
			   size, vsvm_gem_alignment(size), &placement);
	if (err)
		return ERR_PTR(err);
	ttm_bo_unreserve(&gem->base.ttm);
	return gem;
}

static int vsvm_gem_create_handle(struct vsvm_device *vdev, struct drm_file *file,
				  struct drm_vsvm_gem_create *args)
{
	const bool system = args->flags & DRM_VSVM_GEM_SYSTEM;
	struct vsvm_gem *gem;
	int err;

	if (!system && args->size > vdev->hw->vram_size)
		return -ENOSPC;
	/* An array of that many pages is more than what may be asked for. */
	if (args->size > PFN_PHYS(totalram_pages()))
		return -ENOMEM;
	gem = vsvm_gem_create(vdev, args->size, system);
	if (IS_ERR(gem))
		return PTR_ERR(gem);
	err = drm_gem_handle_create(file, vsvm_gem_obj(gem), &args->handle);
	/* The handle has its own. */
	drm_gem_object_put(vsvm_gem_obj(gem));
	return err;
}

/**
 * vsvm_gem_create_ioctl - DRM_IOCTL_VSVM_GEM_CREATE
 * @drm: device
 * @data: struct drm_vsvm_gem_create
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_gem_create_ioctl(struct drm_device *drm, void *data,
			  struct drm_file *file)
{
	struct drm_vsvm_gem_create *args = data;
	int idx, err;

	if (!args->size || !PAGE_ALIGNED(args->size) ||
	    args->flags & ~DRM_VSVM_GEM_SYSTEM)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	err = vsvm_gem_create_handle(to_vsvm(drm), file, args);
	drm_dev_exit(idx);
	return err;
}

/**
 * vsvm_gem_mmap_ioctl - DRM_IOCTL_VSVM_GEM_MMAP
 * @drm: device
 * @data: struct drm_vsvm_gem_mmap
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_gem_mmap_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vsvm_gem_mmap *args = data;
	struct drm_gem_object *obj;
	int idx;

	if (args->flags)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	obj = drm_gem_object_lookup(file, args->handle);
	if (obj) {
		args->offset = drm_vma_node_offset_addr(&obj->vma_node);
		drm_gem_object_put(obj);
	}
	drm_dev_exit(idx);
	return obj ? 0 : -ENOENT;
}

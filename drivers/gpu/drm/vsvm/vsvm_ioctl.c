// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The ioctls that do not run anything on the GPU.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vsvm_pagemap.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

/* What a signal may wait for, when all is placed at once. */
#define VSVM_PREFETCH_SIZE	SZ_64M

static void vsvm_query_device(struct vsvm_device *vdev,
			      struct drm_vsvm_device_info *info)
{
	info->vram_size = vdev->hw->vram_size;
	info->vram_used = vsvm_vram_used(vdev);
	info->va_bits = VSVM_VA_BITS;
	info->large_page = VSVM_HW_LARGE_SIZE;
	info->device_id = vdev->id;
}

static void vsvm_query_stats(struct vsvm_device *vdev,
			     struct drm_vsvm_stats *stats)
{
	u64 *value = (u64 *)stats;
	unsigned int i;

	static_assert(sizeof(*stats) == VSVM_NUM_STATS * sizeof(u64));
	for (i = 0; i < VSVM_NUM_STATS; i++)
		value[i] = vsvm_stat_read(vdev, i);
}

/**
 * vsvm_query_ioctl - DRM_IOCTL_VSVM_QUERY
 * @drm: device
 * @data: struct drm_vsvm_query
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vsvm_query *args = data;
	union {
		struct drm_vsvm_device_info info;
		struct drm_vsvm_stats stats;
	} answer = {};
	int idx, err = 0;
	u32 room, size;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	switch (args->param) {
	case DRM_VSVM_QUERY_DEVICE:
		vsvm_query_device(to_vsvm(drm), &answer.info);
		size = sizeof(answer.info);
		break;
	case DRM_VSVM_QUERY_STATS:
		vsvm_query_stats(to_vsvm(drm), &answer.stats);
		size = sizeof(answer.stats);
		break;
	default:
		err = -EINVAL;
	}
	drm_dev_exit(idx);
	if (err)
		return err;
	room = min(args->size, size);
	if (copy_to_user(u64_to_user_ptr(args->data), &answer, room))
		return -EFAULT;
	args->size = size;
	return 0;
}

/**
 * vsvm_vm_create_ioctl - DRM_IOCTL_VSVM_VM_CREATE
 * @drm: device
 * @data: struct drm_vsvm_vm_create
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_vm_create_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct drm_vsvm_vm_create *args = data;
	struct vsvm_vm *vm;
	int idx, err;

	if (args->flags)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	vm = vsvm_vm_create(to_vsvm(drm));
	drm_dev_exit(idx);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	/* The file's reference, from now on: others may find and destroy it. */
	err = xa_alloc(&vfile->vms, &vm->id, vm, xa_limit_32b, GFP_KERNEL);
	if (err) {
		vsvm_vm_close(vm);
		vsvm_vm_put(vm);
		return err;
	}
	args->vm_id = vm->id;
	return 0;
}

/**
 * vsvm_vm_destroy_ioctl - DRM_IOCTL_VSVM_VM_DESTROY
 * @drm: device
 * @data: struct drm_vsvm_vm_destroy
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_vm_destroy_ioctl(struct drm_device *drm, void *data,
			  struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct drm_vsvm_vm_destroy *args = data;
	struct vsvm_vm *vm;
	int err = -ENOENT;

	if (args->pad)
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	if (xa_cmpxchg(&vfile->vms, args->vm_id, vm, NULL, 0) == vm) {
		vsvm_vm_close(vm);
		vsvm_vm_put(vm);
		err = 0;
	}
	vsvm_vm_put(vm);
	return err;
}

/* Pages that a request is about, as [start, end). */
static int vsvm_check_range(u64 start, u64 length, u64 limit, u64 *end)
{
	if (!length || !PAGE_ALIGNED(start | length) ||
	    check_add_overflow(start, length, end))
		return -EINVAL;
	return *end > limit ? -EINVAL : 0;
}

static bool vsvm_scan_invalidate(struct mmu_interval_notifier *notifier,
				 const struct mmu_notifier_range *range,
				 unsigned long seq)
{
	mmu_interval_set_seq(notifier, seq);
	return true;
}

static const struct mmu_interval_notifier_ops vsvm_scan_ops = {
	.invalidate = vsvm_scan_invalidate,
};

/* A request that goes over memory of the caller, one large page at a time. */
struct vsvm_walk {
	struct vsvm_vm *vm;
	struct drm_pagemap *dpagemap;
	struct vsvm_scanner scanner;
	struct mmu_interval_notifier notifier;
	unsigned long start;
	unsigned long end;
	unsigned long pfn[VSVM_SCAN_PAGES];
	u8 before[VSVM_SCAN_PAGES];
	u8 after[VSVM_SCAN_PAGES];
};

static void vsvm_walk_free(struct vsvm_walk *walk)
{
	if (IS_ERR_OR_NULL(walk))
		return;
	mmu_interval_notifier_remove(&walk->notifier);
	drm_pagemap_put(walk->dpagemap);
	kvfree(walk);
}

DEFINE_FREE(vsvm_walk, struct vsvm_walk *, vsvm_walk_free(_T))

static struct vsvm_walk *vsvm_walk_create(struct vsvm_vm *vm, u64 start, u64 end)
{
	struct vsvm_walk *walk;
	int err;

	walk = kvzalloc_obj(*walk);
	if (!walk)
		return ERR_PTR(-ENOMEM);
	err = mmu_interval_notifier_insert(&walk->notifier, current->mm, start,
					   end - start, &vsvm_scan_ops);
	if (err) {
		kvfree(walk);
		return ERR_PTR(err);
	}
	walk->vm = vm;
	/* The address space may be closed meanwhile. */
	scoped_guard(mutex, &vm->close_lock)
		walk->dpagemap = drm_pagemap_get(vm->dpagemap);
	walk->start = start;
	walk->end = end;
	walk->scanner = (struct vsvm_scanner) {
		.notifier = &walk->notifier,
		.mm = current->mm,
		.vdev = vm->vdev,
		.pfn = walk->pfn,
	};
	return walk;
}

static unsigned long vsvm_walk_next(struct vsvm_walk *walk, unsigned long addr)
{
	return min(walk->end, ALIGN(addr + 1, SZ_2M));
}

/* Memory of one VMA, which is @offset bytes into what was looked at. */
static int vsvm_prefetch_place(struct vsvm_walk *walk, unsigned long start,
			       unsigned long end, unsigned long offset)
{
	struct vsvm_device *vdev = walk->vm->vdev;

	if (vsvm_has_additions(vdev))
		return vsvm_place_at_once(vdev, walk->dpagemap, current->mm,
					  start, end);
	return vsvm_place_in_vram(vdev, walk->dpagemap, current->mm, start, end,
				  &walk->before[offset >> PAGE_SHIFT], SZ_4K);
}

/* Anonymous memory of [start, end) to VRAM; other memory stays. */
static int vsvm_prefetch_vram(struct vsvm_walk *walk, unsigned long start,
			      unsigned long end)
{
	const unsigned long first = start;
	struct vsvm_span span;
	int err;

	while (start < end) {
		err = vsvm_span_at(current->mm, start, &span);
		if (err == -EFAULT) {
			/* Unmapped since, or no memory. */
			start += PAGE_SIZE;
			continue;
		}
		if (err)
			return err;
		span.end = min(span.end, end);
		if (span.anon && span.read)
			err = vsvm_prefetch_place(walk, start, span.end,
						  start - first);
		if (err)
			return err;
		start = span.end;
	}
	return 0;
}

/* How many pages are where they are wanted? */
static unsigned long vsvm_prefetch_count(const u8 *res, unsigned long npages,
					 u32 location)
{
	const u8 want = location == DRM_VSVM_LOC_DEVICE ? DRM_VSVM_RES_DEVICE :
							  DRM_VSVM_RES_SYSTEM;
	unsigned long i, there = 0;

	for (i = 0; i < npages; i++)
		there += (res[i] & DRM_VSVM_RES_MASK) == want;
	return there;
}

static int vsvm_prefetch_step(struct vsvm_walk *walk, unsigned long start,
			      unsigned long end, u32 location, u64 *there)
{
	int err;

	err = vsvm_scan(&walk->scanner, start, end, walk->before);
	if (err)
		return err;
	*there += vsvm_prefetch_count(walk->before, (end - start) >> PAGE_SHIFT,
				      location);
	if (location == DRM_VSVM_LOC_SYSTEM)
		return vsvm_place_in_ram(&walk->scanner, start, end);
	/* Otherwise it follows for all of the range. */
	return vsvm_has_additions(walk->vm->vdev) ? 0 :
	       vsvm_prefetch_vram(walk, start, end);
}

static int vsvm_prefetch_all(struct vsvm_walk *walk, unsigned long start,
			     unsigned long end)
{
	unsigned long next;
	int err = 0;

	for (; start < end && !err; start = next) {
		if (signal_pending(current))
			return -EINTR;
		next = min(end, ALIGN(start + 1, VSVM_PREFETCH_SIZE));
		err = vsvm_prefetch_vram(walk, start, next);
	}
	return err;
}

static int vsvm_prefetch_check(struct vsvm_walk *walk, unsigned long start,
			       unsigned long end, u32 location, u64 *there)
{
	int err;

	err = vsvm_scan(&walk->scanner, start, end, walk->after);
	if (!err)
		*there += vsvm_prefetch_count(walk->after,
					      (end - start) >> PAGE_SHIFT,
					      location);
	return err;
}

/*
 * One round over the range in the steps that a walk can take. Where memory
 * keeps changing nobody can tell where it is: such a step counts for nothing.
 */
static int vsvm_prefetch_walk(struct vsvm_walk *walk, unsigned long start,
			      unsigned long end, u32 location, u64 *there,
			      int (*step)(struct vsvm_walk *walk,
					  unsigned long start,
					  unsigned long end, u32 location,
					  u64 *there))
{
	unsigned long addr, next;
	int err;

	for (addr = start; addr < end; addr = next) {
		if (signal_pending(current))
			return -EINTR;
		next = vsvm_walk_next(walk, addr);
		err = step(walk, addr, next, location, there);
		if (err && err != -EBUSY && err != -EFAULT)
			return err;
		cond_resched();
	}
	return 0;
}

static int vsvm_prefetch(struct vsvm_vm *vm, struct drm_vsvm_prefetch *args)
{
	u64 end;
	int err;

	err = vsvm_check_range(args->start, args->length, vm->svm.mm_range, &end);
	if (err)
		return err;
	err = vsvm_span_check(current->mm, args->start, end);
	if (err)
		return err;

	struct vsvm_walk *walk __free(vsvm_walk) =
		vsvm_walk_create(vm, args->start, end);
	u64 before = 0, after = 0;

	if (IS_ERR(walk))
		return PTR_ERR(walk);
	if (!walk->dpagemap)
		return -ENODEV;
	err = vsvm_prefetch_walk(walk, args->start, end, args->location,
				 &before, vsvm_prefetch_step);
	if (!err && args->location == DRM_VSVM_LOC_DEVICE &&
	    vsvm_has_additions(vm->vdev))
		err = vsvm_prefetch_all(walk, args->start, end);
	/* Looked at in the end: what came last may have evicted the first. */
	if (!err)
		err = vsvm_prefetch_walk(walk, args->start, end, args->location,
					 &after, vsvm_prefetch_check);
	args->moved = after > before ? after - before : 0;
	args->skipped = (args->length >> PAGE_SHIFT) - after;
	return err;
}

/**
 * vsvm_prefetch_ioctl - DRM_IOCTL_VSVM_PREFETCH
 * @drm: device
 * @data: struct drm_vsvm_prefetch
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_prefetch_ioctl(struct drm_device *drm, void *data,
			struct drm_file *file)
{
	struct drm_vsvm_prefetch *args = data;
	struct vsvm_vm *vm;
	int idx, err;

	if (args->flags || args->syncobj ||
	    args->location > DRM_VSVM_LOC_DEVICE)
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	args->moved = 0;
	args->skipped = 0;
	if (drm_dev_enter(drm, &idx)) {
		err = vsvm_prefetch(vm, args);
		drm_dev_exit(idx);
	} else {
		err = -ENODEV;
	}
	vsvm_vm_put(vm);
	/* Not restarted: the counts would be wrong. */
	return err == -ERESTARTSYS ? -EINTR : err;
}

static int vsvm_residency(struct vsvm_vm *vm,
			  const struct drm_vsvm_residency *args)
{
	u8 __user *user = u64_to_user_ptr(args->pages);
	u64 end;
	int err;

	err = vsvm_check_range(args->start, args->length, vm->svm.mm_range, &end);
	if (err)
		return err;
	err = vsvm_span_check(current->mm, args->start, end);
	if (err)
		return err;

	struct vsvm_walk *walk __free(vsvm_walk) =
		vsvm_walk_create(vm, args->start, end);
	unsigned long addr, next;

	if (IS_ERR(walk))
		return PTR_ERR(walk);
	for (addr = args->start; addr < end; addr = next) {
		next = vsvm_walk_next(walk, addr);
		if (fatal_signal_pending(current))
			return -EINTR;
		err = vsvm_scan(&walk->scanner, addr, next, walk->before);
		if (err)
			return err;
		if (copy_to_user(user, walk->before, (next - addr) >> PAGE_SHIFT))
			return -EFAULT;
		user += (next - addr) >> PAGE_SHIFT;
		cond_resched();
	}
	return 0;
}

/**
 * vsvm_residency_ioctl - DRM_IOCTL_VSVM_RESIDENCY
 * @drm: device
 * @data: struct drm_vsvm_residency
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_residency_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file)
{
	struct drm_vsvm_residency *args = data;
	struct vsvm_vm *vm;
	int idx, err;

	if (args->flags)
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	if (drm_dev_enter(drm, &idx)) {
		err = vsvm_residency(vm, args);
		drm_dev_exit(idx);
	} else {
		err = -ENODEV;
	}
	vsvm_vm_put(vm);
	return err;
}

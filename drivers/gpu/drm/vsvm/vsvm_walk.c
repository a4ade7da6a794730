// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Requests that go over memory of the caller, and the one that only looks.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vsvm_exclusive.h"
#include "vsvm_walk.h"

/**
 * vsvm_check_range - are these pages that a request may be about?
 * @start: first address
 * @length: bytes
 * @limit: end of the address space
 * @end: gets the address after the last one
 *
 * Return: 0 or -EINVAL.
 */
int vsvm_check_range(u64 start, u64 length, u64 limit, u64 *end)
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

/**
 * vsvm_walk_prime - have interval notifiers of a process need no mmap lock
 * @mm: of the caller
 *
 * The first that a process gets takes its mmap lock for writing, and others do not,
 * for as long as it lives. So this is the first one. Those of drm_gpusvm come with
 * vsvm_vm.lock held.
 *
 * Context: process, without locks and outside of drm_dev_enter(): another thread
 * may hold the mmap lock for as long as user space likes.
 *
 * Return: 0, -ENOMEM or -EINTR.
 */
int vsvm_walk_prime(struct mm_struct *mm)
{
	struct mmu_interval_notifier notifier;
	int err;

	err = mmu_interval_notifier_insert(&notifier, mm, 0, PAGE_SIZE,
					   &vsvm_scan_ops);
	if (!err)
		mmu_interval_notifier_remove(&notifier);
	return err;
}

/**
 * vsvm_walk_free - end a request
 * @walk: what vsvm_walk_create() gave, or NULL or an ERR_PTR()
 */
void vsvm_walk_free(struct vsvm_walk *walk)
{
	if (IS_ERR_OR_NULL(walk))
		return;
	mmu_interval_notifier_remove(&walk->notifier);
	vsvm_target_put(&walk->to);
	kvfree(walk);
}

/**
 * vsvm_walk_create - begin a request
 * @vm: address space, with a reference of its process's users
 * @start: first address
 * @end: address after the last one
 *
 * Return: the walk, or ERR_PTR() of -ENOMEM or -EINTR.
 */
struct vsvm_walk *vsvm_walk_create(struct vsvm_vm *vm, u64 start, u64 end)
{
	struct vsvm_walk *walk;
	int err;

	walk = kvzalloc_obj(*walk, GFP_KERNEL_ACCOUNT);
	if (!walk)
		return ERR_PTR(-ENOMEM);
	err = mmu_interval_notifier_insert(&walk->notifier, vm->mm, start,
					   end - start, &vsvm_scan_ops);
	if (err) {
		kvfree(walk);
		return ERR_PTR(err);
	}
	walk->vm = vm;
	walk->start = start;
	walk->end = end;
	walk->scanner = (struct vsvm_scanner) {
		.notifier = &walk->notifier,
		.mm = vm->mm,
		.vdev = vm->vdev,
		.pfn = walk->pfn,
	};
	return walk;
}

/**
 * vsvm_walk_aim - say where memory is to go
 * @walk: new request
 * @location: one of DRM_VSVM_LOC_*
 *
 * Return: 0 or as vsvm_target_get().
 */
int vsvm_walk_aim(struct vsvm_walk *walk, u32 location)
{
	struct vsvm_vm *vm = walk->vm;
	struct drm_pagemap *own;
	int err;

	walk->location = location;
	if (location == DRM_VSVM_LOC_SYSTEM)
		return 0;
	/* The address space may be closed meanwhile, by who waits for us. */
	err = mutex_lock_interruptible(&vm->close_lock);
	if (err)
		return err;
	own = drm_pagemap_get(vm->dpagemap);
	mutex_unlock(&vm->close_lock);
	err = vsvm_target_get(&walk->to, vm->vdev, own, location);
	drm_pagemap_put(own);
	if (!err)
		walk->scanner.vdev = walk->to.vdev;
	return err;
}

/**
 * vsvm_walk_scan - look where pages are, as vsvm_scan() does
 * @walk: request
 * @start: first address
 * @end: address after the last one, as of vsvm_walk_next()
 * @res: gets DRM_VSVM_RES_* for each page
 *
 * Return: as vsvm_scan().
 */
int vsvm_walk_scan(struct vsvm_walk *walk, unsigned long start,
		   unsigned long end, u8 *res)
{
	int err = vsvm_scan(&walk->scanner, start, end, res);

	return err ?: vsvm_exclusive_look(walk->vm, start, end, res);
}

/**
 * vsvm_walk_next - where the step that begins at an address ends
 * @walk: request
 * @addr: address in it
 *
 * Return: the address after the last one of the step.
 */
unsigned long vsvm_walk_next(struct vsvm_walk *walk, unsigned long addr)
{
	return min(walk->end, ALIGN(addr + 1, SZ_2M));
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
	err = vsvm_span_check(vm->mm, args->start, end);
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
		if (drm_dev_is_unplugged(&vm->vdev->drm))
			return -ENODEV;
		err = vsvm_walk_scan(walk, addr, next, walk->before);
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
	int err;

	if (args->flags)
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	/* As vsvm_exclusive_ioctl(): @pages may be memory of userfaultfd. */
	err = vsvm_residency(vm, args);
	vsvm_vm_put(vm);
	return err;
}

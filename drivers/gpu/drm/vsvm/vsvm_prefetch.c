// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DRM_IOCTL_VSVM_PREFETCH: memory goes where the user wants it.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_walk.h"

/* What a signal may wait for, when all is placed at once. */
#define VSVM_PREFETCH_SIZE	SZ_64M

/* Memory of one VMA, which is @offset bytes into what was looked at. */
static int vsvm_prefetch_place(struct vsvm_walk *walk, unsigned long start,
			       unsigned long end, unsigned long offset)
{
	const struct vsvm_target to = {
		.vdev = walk->vm->vdev,
		.dpagemap = walk->dpagemap,
		.timeslice_ms = walk->vm->vdev->config.timeslice_ms,
	};

	if (vsvm_has_additions(to.vdev))
		return vsvm_place_at_once(&to, walk->vm->mm, start, end);
	return vsvm_place_in_vram(&to, walk->vm->mm, start, end,
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
		err = vsvm_span_at(walk->vm->mm, start, &span);
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
	err = vsvm_span_check(vm->mm, args->start, end);
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

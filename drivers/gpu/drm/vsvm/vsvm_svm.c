// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Shared virtual memory of one address space, on top of drm_gpusvm.
 *
 *	fault --> collect garbage --> find range --> to VRAM, if it can go
 *	  ^                                               |
 *	  +-- something changed -- map <-- take pages <---+
 *
 * Nothing holds still while a fault is served: the process may unmap, fork or
 * touch the memory, TTM may evict it. Every step finds out by itself and says
 * -EAGAIN; one bound counts all retries. With each few of them the range gets
 * smaller, so that one page that cannot be had (beyond the end of a file,
 * poisoned) does not take 511 others with it.
 *
 * VRAM is a preference. Memory that cannot go there is mapped where it is.
 */
#include <drm/drm_gpusvm.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"

#define VSVM_FAULT_TRIES	16
/* Memory that CPU and GPU fight for stays in RAM for a while. */
#define VSVM_FAULT_REPEATS	8

static bool vsvm_range_ready(struct vsvm_vm *vm, struct vsvm_range *range,
			     bool write)
{
	bool ready;

	drm_gpusvm_notifier_lock(&vm->svm);
	ready = range->mapped && (range->writable || !write);
	drm_gpusvm_notifier_unlock(&vm->svm);
	return ready;
}

/* Where the range's pages are, in vm->scan_res. */
static int vsvm_range_scan(struct vsvm_vm *vm, struct vsvm_range *range)
{
	struct vsvm_scanner scanner = {
		.notifier = &range->base.notifier->notifier,
		.mm = vm->mm,
		.vdev = vm->vdev,
		.pfn = vm->scan_pfn,
	};

	return vsvm_scan(&scanner, drm_gpusvm_range_start(&range->base),
			 drm_gpusvm_range_end(&range->base), vm->scan_res);
}

/*
 * A page in VRAM that the process shares with another one, after a fork(), and
 * must not write to. hmm hands out a device's own pages as they are, even if
 * asked for pages to write to.
 */
static bool vsvm_page_shared(u8 res)
{
	return (res & DRM_VSVM_RES_MASK) == DRM_VSVM_RES_DEVICE &&
	       !(res & DRM_VSVM_RES_WRITE);
}

/*
 * Is the range to be mapped for reading only? The answer is good as long as
 * the pages that were taken before are valid.
 */
static bool vsvm_range_shared(struct vsvm_vm *vm, struct vsvm_range *range)
{
	unsigned long i;

	if (!range->pages.flags.has_devmem_pages)
		return false;
	if (vsvm_range_scan(vm, range))
		return true;
	for (i = 0; i < vsvm_range_npages(range); i++) {
		if (vsvm_page_shared(vm->scan_res[i]))
			return true;
	}
	return false;
}

/*
 * The GPU is to write: give the process pages of its own, as a write by the CPU
 * would. They come home for that, and the migration takes them back.
 */
static int vsvm_range_unshare(struct vsvm_vm *vm, struct vsvm_range *range)
{
	unsigned long addr = drm_gpusvm_range_start(&range->base);
	struct page *page;
	unsigned long i;
	long got = 1;

	if (vsvm_range_scan(vm, range))
		return -EAGAIN;
	if (mmap_read_lock_killable(vm->mm))
		return -EINTR;
	for (i = 0; i < vsvm_range_npages(range) && got == 1; i++) {
		if (!vsvm_page_shared(vm->scan_res[i]))
			continue;
		got = get_user_pages_remote(vm->mm, addr + i * PAGE_SIZE, 1,
					    FOLL_WRITE, &page, NULL);
		if (got == 1)
			put_page(page);
	}
	mmap_read_unlock(vm->mm);
	return got == 1 ? 0 : got == -ENOMEM ? got : -EAGAIN;
}

static void vsvm_range_migrate(struct vsvm_vm *vm, struct vsvm_range *range)
{
	const unsigned long start = drm_gpusvm_range_start(&range->base);
	const unsigned long end = drm_gpusvm_range_end(&range->base);

	const struct vsvm_target to = {
		.vdev = vm->vdev,
		.dpagemap = vm->dpagemap,
		.timeslice_ms = vm->vdev->config.timeslice_ms,
	};

	if (vsvm_has_additions(to.vdev))
		vsvm_place_at_once(&to, vm->mm, start, end);
	else if (!vsvm_range_scan(vm, range))
		vsvm_place_in_vram(&to, vm->mm, start, end, vm->scan_res,
				   SZ_64K);
}

/* Is any of it in VRAM of a device that this one has no link to now? */
static bool vsvm_range_unreachable(struct vsvm_vm *vm,
				   struct vsvm_range *range)
{
	unsigned long i;

	if (vsvm_range_scan(vm, range))
		return false;
	for (i = 0; i < vsvm_range_npages(range); i++) {
		if ((vm->scan_res[i] & DRM_VSVM_RES_MASK) == DRM_VSVM_RES_PEER)
			return true;
	}
	return false;
}

static int vsvm_range_get_pages(struct vsvm_vm *vm, struct vsvm_range *range,
				const struct drm_gpusvm_ctx *ctx)
{
	int err;

	range->writable = !ctx->read_only;
	err = drm_gpusvm_get_pages(&vm->svm, &range->pages, vm->mm,
				   &range->base.notifier->notifier,
				   drm_gpusvm_range_start(&range->base),
				   drm_gpusvm_range_end(&range->base), ctx);
	if (!err && range->writable)
		range->writable = !vsvm_range_shared(vm, range);
	if (!err || err == -ENOMEM)
		return err;
	if (err == -EOPNOTSUPP || vsvm_range_unreachable(vm, range))
		drm_gpusvm_range_evict(&vm->svm, &range->base);
	return -EAGAIN;
}

static int vsvm_find_errno(int err)
{
	switch (err) {
	case -ENOENT:
	case -EPERM:
		/* The mapping changed since we looked. */
		return -EAGAIN;
	case -ENOMEM:
		return err;
	default:
		return -EFAULT;
	}
}

/*
 * The range for an address. One that no longer lies in a single VMA, or is
 * larger than wanted now, makes way for another one.
 */
static struct vsvm_range *
vsvm_range_find(struct vsvm_vm *vm, unsigned long addr,
		const struct vsvm_span *span, unsigned long window,
		const struct drm_gpusvm_ctx *ctx)
{
	const unsigned long start = max(span->start, ALIGN_DOWN(addr, window));
	const unsigned long end = min(span->end,
				      ALIGN_DOWN(addr, window) + window);
	struct drm_gpusvm_range *base;

	base = drm_gpusvm_range_find_or_insert(&vm->svm, addr, start, end, ctx);
	if (IS_ERR(base))
		return ERR_PTR(vsvm_find_errno(PTR_ERR(base)));
	if (drm_gpusvm_range_start(base) < start ||
	    drm_gpusvm_range_end(base) > end) {
		vsvm_range_remove(vm, to_vsvm_range(base));
		return ERR_PTR(-EAGAIN);
	}
	return to_vsvm_range(base);
}

static int vsvm_fault_once(struct vsvm_queue *queue, unsigned long addr,
			   u32 access, unsigned int try)
{
	const bool write = access != VSVM_HW_READ;
	struct vsvm_vm *vm = queue->vm;
	const unsigned long window = vsvm_chunks[try * VSVM_NUM_CHUNKS /
						 VSVM_FAULT_TRIES];
	struct drm_gpusvm_ctx ctx = {
		.device_private_page_owner = vm->vdev->peer.owner,
		.timeslice_ms = vm->vdev->config.timeslice_ms,
		.devmem_possible = true,
		.allow_mixed = true,
	};
	struct vsvm_range *range;
	struct vsvm_span span;
	int err;

	vsvm_svm_collect(vm);
	err = vsvm_span_at(vm->mm, addr, &span);
	if (err)
		return err;
	if (!span.read || (write && !span.write))
		return -EFAULT;
	ctx.read_only = !span.write;
	range = vsvm_range_find(vm, addr, &span, window, &ctx);
	if (IS_ERR(range))
		return PTR_ERR(range);
	if (vsvm_range_ready(vm, range, write))
		return 0;
	if (range->writable == ctx.read_only || (write && !range->writable))
		vsvm_range_unmap(vm, range);
	if (write) {
		err = vsvm_range_unshare(vm, range);
		if (err)
			return err;
	}
	if (range->base.flags.migrate_devmem &&
	    queue->fault_repeat < VSVM_FAULT_REPEATS)
		vsvm_range_migrate(vm, range);
	err = vsvm_range_get_pages(vm, range, &ctx);
	if (!err && write && !range->writable)
		err = -EAGAIN;
	return err ?: vsvm_range_map(vm, range);
}

static void vsvm_fault_note(struct vsvm_queue *queue, unsigned long addr)
{
	if (queue->fault_page == addr >> PAGE_SHIFT) {
		queue->fault_repeat++;
	} else {
		queue->fault_page = addr >> PAGE_SHIFT;
		queue->fault_repeat = 0;
	}
}

static int vsvm_fault_retry(struct vsvm_queue *queue, unsigned long addr,
			    u32 access)
{
	struct vsvm_vm *vm = queue->vm;
	unsigned int try;
	int err = -EAGAIN;

	guard(mutex)(&vm->lock);
	vsvm_fault_note(queue, addr);
	for (try = 0; try < VSVM_FAULT_TRIES && err == -EAGAIN; try++) {
		if (READ_ONCE(vm->closed))
			return -ECANCELED;
		if (vsvm_vm_broken(vm))
			return -EIO;
		err = vsvm_fault_once(queue, addr, access, try);
	}
	return err;
}

/**
 * vsvm_svm_fault - serve a fault of the GPU
 * @queue: which stalls
 * @addr: address that it touched
 * @access: VSVM_HW_READ, VSVM_HW_WRITE or VSVM_HW_ATOMIC
 *
 * On success the address is mapped, unless it was invalidated again meanwhile.
 *
 * Context: process, without locks.
 *
 * Return: 0; -EFAULT if the process itself could not do that access, or if
 * serving it failed too often; -ENOMEM, -ENOSPC for want of a page table; -EIO,
 * -ENODEV; -ECANCELED if the address space is being closed.
 */
int vsvm_svm_fault(struct vsvm_queue *queue, unsigned long addr, u32 access)
{
	struct vsvm_vm *vm = queue->vm;
	int err;

	if (!mmget_not_zero(vm->mm))
		return -EFAULT;
	err = vsvm_fault_retry(queue, addr, access);
	/* Maybe the last user: do not tear down a process's memory here. */
	mmput_async(vm->mm);
	return err == -EAGAIN || err == -EINTR ? -EFAULT : err;
}

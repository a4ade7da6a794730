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
 * -EAGAIN; one bound counts all retries, and pauses between them. With each few of
 * them the range gets smaller, so that one page that cannot be had (beyond the end
 * of a file, poisoned) does not take 511 others with it.
 *
 * VRAM is a preference. Memory that cannot go there is mapped where it is. Just
 * an atomic operation may insist on it; then it fails if that cannot be.
 *
 * The queues of an address space are served side by side, each with the range
 * that it faulted in locked, and with nothing else: a page may be somebody's in
 * user space who never gives it (userfaultfd, FUSE). So vsvm_vm.lock is taken for
 * look-ups only, and a fault may come back to an address space that is closed
 * and a device that is gone. It finds that out wherever it wants to change
 * something: no range is found any more, its own is gone, no page-table entry
 * is attached, no page is valid, and the ring takes no command.
 */
#include <drm/drm_gpusvm.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "vsvm_advice.h"
#include "vsvm_exclusive.h"
#include "vsvm_keep.h"
#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_quota.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"

#define VSVM_FAULT_TRIES	16
/*
 * The first attempts follow each other at once, and all of them in some ms if that
 * went on. What is in their way may take longer, as a device does that is taken away
 * while it has the page: the pauses make 0.8 s of all attempts together.
 */
#define VSVM_FAULT_QUICK	4
#define VSVM_FAULT_PAUSE_MS	128
/* Memory that CPU and GPU fight for stays in RAM for a while. */
#define VSVM_FAULT_REPEATS	8

/*
 * An atomic operation gets that many migrations, which last twice as long each
 * time: a machine that is busy takes a while from the migration to the mapping.
 */
#define VSVM_ATOMIC_TRIES	6
#define VSVM_ATOMIC_SLICE_MS	5

/* A fault that is being served. */
struct vsvm_access {
	struct vsvm_queue *queue;
	unsigned long addr;
	bool write;
	bool atomic;
	unsigned int tries;
	unsigned int atomic_tries;
	unsigned int crowded;		/* times that others had the range */
	int place_err;			/* why the last migration failed */
	bool no_table;			/* VRAM had no place for a page table */
	struct vsvm_span span;		/* in which one advice holds */
	struct vsvm_advice advice;
	struct drm_pagemap *dpagemap;	/* of the device, referenced */
	struct vsvm_space *space;
};

static bool vsvm_range_atomic_at(struct vsvm_range *range, unsigned long addr)
{
	const unsigned long page =
		(addr - drm_gpusvm_range_start(&range->base)) >> PAGE_SHIFT;
	const struct drm_pagemap_addr *dma = range->pages.dma_addr;
	unsigned long i;

	if (range->exclusive)
		return true;
	for (i = 1ul << dma->order; i <= page; i += 1ul << dma->order)
		dma++;
	return vsvm_range_is_atomic(range, dma);
}

/* Mapped, but not for atomic operations? */
static bool vsvm_range_not_atomic_at(struct vsvm_vm *vm,
				     struct vsvm_range *range,
				     unsigned long addr)
{
	bool not_atomic;

	drm_gpusvm_notifier_lock(&vm->svm);
	not_atomic = range->mapped && !vsvm_range_atomic_at(range, addr);
	drm_gpusvm_notifier_unlock(&vm->svm);
	return not_atomic;
}

static bool vsvm_range_ready(struct vsvm_vm *vm, struct vsvm_range *range,
			     const struct vsvm_access *access)
{
	bool ready;

	drm_gpusvm_notifier_lock(&vm->svm);
	ready = range->mapped && (range->writable || !access->write);
	if (ready && access->atomic)
		ready = vsvm_range_atomic_at(range, access->addr);
	drm_gpusvm_notifier_unlock(&vm->svm);
	return ready;
}

static int vsvm_range_migrate(const struct vsvm_access *access,
			      struct vsvm_range *range,
			      const struct vsvm_target *to,
			      unsigned long min_size)
{
	struct vsvm_vm *vm = access->queue->vm;
	const unsigned long start = drm_gpusvm_range_start(&range->base);
	const unsigned long end = drm_gpusvm_range_end(&range->base);

	if (vsvm_has_additions(to->vdev))
		return vsvm_place_at_once(to, vm->mm, start, end);
	if (vsvm_range_scan(vm, range, to->vdev, access->space))
		return -EAGAIN;
	return vsvm_place_in_vram(to, vm->mm, start, end, access->space->res,
				  min_size);
}

/*
 * What an atomic operation is after must be in VRAM of this device, for long
 * enough that the GPU gets to it before a CPU does.
 */
static int vsvm_fault_place_atomic(const struct vsvm_access *access,
				   struct vsvm_range *range)
{
	struct vsvm_queue *queue = access->queue;
	struct vsvm_vm *vm = queue->vm;
	const unsigned int nth = min(access->atomic_tries + queue->fault_repeat,
				     VSVM_ATOMIC_TRIES - 1);
	const struct vsvm_target to = {
		.vdev = vm->vdev,
		.dpagemap = access->dpagemap,
		.timeslice_ms = max(VSVM_ATOMIC_SLICE_MS << nth,
				    vm->vdev->config.timeslice_ms),
	};

	return vsvm_place_piece(&to, vm->mm, drm_gpusvm_range_start(&range->base),
				drm_gpusvm_range_size(&range->base), false);
}

static int vsvm_fault_place(const struct vsvm_access *access,
			    struct vsvm_range *range)
{
	const struct vsvm_advice *advice = &access->advice;
	struct vsvm_vm *vm = access->queue->vm;
	struct vsvm_target to;
	int err;

	if (!range->base.flags.migrate_devmem)
		return 0;
	if (access->atomic && advice->atomic == DRM_VSVM_ATOMIC_DEVICE)
		return vsvm_fault_place_atomic(access, range);
	if (access->queue->fault_repeat >= VSVM_FAULT_REPEATS ||
	    drm_gpusvm_range_size(&range->base) < advice->granularity)
		return 0;
	if (advice->location == DRM_VSVM_LOC_SYSTEM)
		return vsvm_range_go_home(vm, range, access->space);
	err = vsvm_target_get(&to, vm->vdev, access->dpagemap,
			      advice->location);
	if (err)
		return err;
	err = vsvm_range_migrate(access, range, &to,
				 max(advice->granularity, SZ_64K));
	vsvm_target_put(&to);
	return err;
}

/*
 * The mapping around the address, as far as the same advice holds. The GPU may
 * not do what the process may not.
 */
static int vsvm_fault_look(struct vsvm_access *access)
{
	struct vsvm_vm *vm = access->queue->vm;
	struct vsvm_advice *advice = &access->advice;
	struct vsvm_span *span = &access->span;
	int err;

	err = vsvm_span_at(vm->mm, access->addr, span);
	if (err)
		return err;
	if (!span->read || (access->write && !span->write))
		return -EFAULT;
	scoped_guard(mutex, &vm->lock)
		vsvm_advice_at(vm, access->addr, advice);
	span->start = max(span->start, advice->start);
	span->end = min(span->end - 1, advice->last) + 1;
	return 0;
}

/* Was it in our VRAM, until another device took it? */
static bool vsvm_fault_lost(const struct vsvm_access *access,
			    struct vsvm_range *range)
{
	struct vsvm_vm *vm = access->queue->vm;
	const unsigned long page =
		(access->addr - drm_gpusvm_range_start(&range->base)) >> PAGE_SHIFT;

	return !access->place_err &&
	       !vsvm_range_scan(vm, range, vm->vdev, access->space) &&
	       vsvm_page_at_peer(access->space->res[page]);
}

/* Each attempt is at a smaller piece, so that others are not in its way. */
static int vsvm_fault_not_atomic(struct vsvm_access *access,
				 struct vsvm_range *range)
{
	const bool is_last = access->tries + 1 == VSVM_FAULT_TRIES;

	if (access->span.anon && !is_last &&
	    (vsvm_fault_lost(access, range) ||
	     ++access->atomic_tries < VSVM_ATOMIC_TRIES))
		return -EAGAIN;
	return access->place_err == -ENOSPC || access->place_err == -ENOMEM ||
	       access->place_err == -ENODEV ? access->place_err : -EACCES;
}

static unsigned long vsvm_fault_window(const struct vsvm_access *access)
{
	const unsigned int nth = access->tries * VSVM_NUM_CHUNKS / VSVM_FAULT_TRIES;

	return vsvm_chunks[min(max3(nth, access->atomic_tries, access->crowded),
			       VSVM_NUM_CHUNKS - 1)];
}

static int vsvm_fault_map(struct vsvm_access *access, struct vsvm_range *range,
			  const struct drm_gpusvm_ctx *ctx)
{
	struct vsvm_vm *vm = access->queue->vm;
	int err;

	if (access->write) {
		err = vsvm_range_unshare(vm, range, access->space);
		if (err)
			return err;
	}
	if (!access->span.anon) {
		err = vsvm_read_in(vm->mm, drm_gpusvm_range_start(&range->base),
				   drm_gpusvm_range_end(&range->base),
				   access->span.write);
		if (err)
			return err == -EINTR || err == -ENOMEM ||
			       vsvm_range_npages(range) == 1 ? err : -EAGAIN;
	}
	access->place_err = vsvm_fault_place(access, range);
	range->atomic_anywhere = access->advice.atomic == DRM_VSVM_ATOMIC_SYSTEM;
	err = vsvm_range_get_pages(vm, range, access->space, ctx);
	if (!err && access->write && !range->writable)
		err = -EAGAIN;
	if (!err) {
		err = vsvm_range_map(vm, range);
		access->no_table = err == -ENOSPC;
	}
	if (!err && access->atomic &&
	    vsvm_range_not_atomic_at(vm, range, access->addr))
		err = vsvm_fault_not_atomic(access, range);
	return err;
}

/* With the range, which nobody else maps meanwhile. */
static int vsvm_fault_range(struct vsvm_access *access, struct vsvm_range *range,
			    const struct drm_gpusvm_ctx *ctx)
{
	struct vsvm_vm *vm = access->queue->vm;

	if (vsvm_range_ready(vm, range, access)) {
		/* Who had it before has answered this fault too. */
		if (!access->tries)
			vsvm_stat_add(vm->vdev, VSVM_STAT_GPU_FAULTS_MERGED, 1);
		return 0;
	}
	if (range->writable == ctx->read_only ||
	    (access->write && !range->writable))
		vsvm_range_unmap(vm, range);
	return vsvm_fault_map(access, range, ctx);
}

static int vsvm_fault_once(struct vsvm_access *access)
{
	struct vsvm_vm *vm = access->queue->vm;
	struct drm_gpusvm_ctx ctx = {
		.device_private_page_owner = vm->vdev->peer.owner,
		.timeslice_ms = vm->vdev->config.timeslice_ms,
		.devmem_possible = true,
		.allow_mixed = true,
	};
	struct vsvm_range *range;
	int err;

	access->no_table = false;
	err = vsvm_fault_look(access);
	if (err)
		return err;
	if (access->atomic && access->advice.atomic == DRM_VSVM_ATOMIC_EXCLUSIVE)
		return vsvm_exclusive_take(vm, access->addr, &access->span,
					   access->queue);
	ctx.read_only = !access->span.write;
	range = vsvm_range_find(vm, access->addr, &access->span,
				vsvm_fault_window(access), &ctx);
	if (range == ERR_PTR(-EBUSY)) {
		/* Not once it is a page: that one is waited for. */
		access->crowded++;
		return -EAGAIN;
	}
	if (IS_ERR(range))
		return PTR_ERR(range);
	err = vsvm_fault_range(access, range, &ctx);
	vsvm_range_release(range);
	if (access->no_table && access->tries + 1 < VSVM_FAULT_TRIES &&
	    vsvm_reclaim_tables(vm))
		return -EAGAIN;
	return err;
}

/* Does the queue get anywhere? Not if the same few pages fault in turn. */
static void vsvm_fault_note(struct vsvm_queue *queue, unsigned long addr)
{
	const u64 page = addr >> PAGE_SHIFT;
	const u32 seen = READ_ONCE(queue->ring->seen);
	unsigned int i;

	if (seen != queue->fault_seen) {
		queue->fault_seen = seen;
		memset(queue->fault_page, 0, sizeof(queue->fault_page));
	}
	for (i = 0; i < VSVM_FAULT_PAGES; i++) {
		if (queue->fault_page[i] == page) {
			queue->fault_repeat++;
			return;
		}
	}
	queue->fault_page[queue->fault_next++ % VSVM_FAULT_PAGES] = page;
	queue->fault_repeat = 0;
}

static void vsvm_fault_pause(const struct vsvm_access *access)
{
	if (access->tries >= VSVM_FAULT_QUICK)
		msleep(min(1u << (access->tries - VSVM_FAULT_QUICK),
			   VSVM_FAULT_PAUSE_MS));
}

static int vsvm_fault_retry(struct vsvm_access *access)
{
	struct vsvm_vm *vm = access->queue->vm;
	int err = -EAGAIN;

	vsvm_fault_note(access->queue, access->addr);
	for (; access->tries < VSVM_FAULT_TRIES && err == -EAGAIN;
	     access->tries++) {
		if (READ_ONCE(vm->closed))
			return -ECANCELED;
		if (vsvm_vm_broken(vm))
			return -EIO;
		vsvm_fault_pause(access);
		err = vsvm_fault_once(access);
	}
	return err;
}

/* Return: a reference, or NULL once the address space is closed. */
static struct drm_pagemap *vsvm_fault_pagemap(struct vsvm_vm *vm)
{
	guard(mutex)(&vm->lock);
	return vm->closed ? NULL : drm_pagemap_get(vm->dpagemap);
}

/**
 * vsvm_svm_fault - serve a fault of the GPU
 * @queue: which stalls
 * @addr: address that it touched
 * @access: VSVM_HW_READ, VSVM_HW_WRITE or VSVM_HW_ATOMIC
 *
 * On success the address is mapped, unless it was invalidated again meanwhile.
 *
 * Context: process, without locks; one at a time for a queue. May wait for user
 * space for ever.
 *
 * Return: 0; -EFAULT if the process itself could not do that access, or if
 * serving it failed too often; -EACCES if an atomic operation cannot be done
 * where the memory is; -ENOMEM, -ENOSPC for want of a page table, or of VRAM that
 * an atomic operation needs; -EIO; -ENODEV if the device goes; -ECANCELED if the
 * address space is being closed.
 */
int vsvm_svm_fault(struct vsvm_queue *queue, unsigned long addr, u32 access)
{
	struct vsvm_access fault = {
		.queue = queue,
		.addr = addr,
		.write = access != VSVM_HW_READ,
		.atomic = access == VSVM_HW_ATOMIC,
		.space = queue->space,
	};
	struct vsvm_vm *vm = queue->vm;
	struct drm_pagemap_budget budget;
	int err;

	if (!mmget_not_zero(vm->mm))
		return -EFAULT;
	fault.dpagemap = vsvm_fault_pagemap(vm);
	/* However often it is tried. */
	drm_pagemap_budget_begin(&budget, 0);
	err = fault.dpagemap ? vsvm_fault_retry(&fault) : -ECANCELED;
	drm_pagemap_budget_end(&budget);
	drm_pagemap_put(fault.dpagemap);
	/* Maybe the last user: do not tear down a process's memory here. */
	mmput_async(vm->mm);
	return err == -EAGAIN || err == -EINTR ? -EFAULT : err;
}

/**
 * vsvm_svm_unmap_dma - a range's pages are not the device's any more
 * @vm: address space, with the notifier lock held for writing
 * @range: range that the GPU does not map any more
 */
void vsvm_svm_unmap_dma(struct vsvm_vm *vm, struct vsvm_range *range)
{
	const struct drm_gpusvm_ctx ctx = { .in_notifier = true };

	vsvm_exclusive_end(vm, range);
	vsvm_keep_svm(vm->vdev->keep, &range->pages, vsvm_range_npages(range));
	drm_gpusvm_unmap_pages(&vm->svm, &range->pages,
			       vsvm_range_npages(range), &ctx);
}

/**
 * vsvm_svm_link_work - take the memory of other devices from the GPU
 * @work: vsvm_vm.link_work
 */
void vsvm_svm_link_work(struct work_struct *work)
{
	struct vsvm_vm *vm = container_of(work, struct vsvm_vm, link_work);
	struct drm_gpusvm_notifier *notifier;

	guard(mutex)(&vm->lock);
	if (vm->closed)
		return;
	drm_gpusvm_for_each_notifier(notifier, &vm->svm, 0, ULONG_MAX) {
		struct drm_gpusvm_range *base = NULL;

		drm_gpusvm_for_each_range(base, notifier, 0, ULONG_MAX) {
			struct vsvm_range *range = to_vsvm_range(base);
			struct drm_pagemap *dpagemap =
				READ_ONCE(range->pages.dpagemap);

			if (dpagemap && dpagemap != vm->dpagemap)
				vsvm_range_unmap(vm, range);
		}
	}
}

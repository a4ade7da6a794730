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
 * VRAM is a preference. Memory that cannot go there is mapped where it is. Just
 * an atomic operation may insist on it; then it fails if that cannot be.
 */
#include <drm/drm_gpusvm.h>
#include <linux/hmm.h>
#include <linux/huge_mm.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "vsvm_advice.h"
#include "vsvm_exclusive.h"
#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"

#define VSVM_FAULT_TRIES	16
/* Memory that CPU and GPU fight for stays in RAM for a while. */
#define VSVM_FAULT_REPEATS	8

/* An atomic operation gets that many migrations, which last longer each time. */
#define VSVM_ATOMIC_TRIES	3
#define VSVM_ATOMIC_SLICE_MS	5

/* A fault that is being served. */
struct vsvm_access {
	struct vsvm_queue *queue;
	unsigned long addr;
	bool write;
	bool atomic;
	unsigned int tries;
	unsigned int atomic_tries;
	int place_err;			/* why the last migration failed */
	struct vsvm_span span;		/* in which one advice holds */
	struct vsvm_advice advice;
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

/* Where the range's pages are as seen by @vdev, in vm->scan_res. */
static int vsvm_range_scan(struct vsvm_vm *vm, struct vsvm_range *range,
			   struct vsvm_device *vdev)
{
	struct vsvm_scanner scanner = {
		.notifier = &range->base.notifier->notifier,
		.mm = vm->mm,
		.vdev = vdev,
		.pfn = vm->scan_pfn,
	};

	return vsvm_scan(&scanner, drm_gpusvm_range_start(&range->base),
			 drm_gpusvm_range_end(&range->base), vm->scan_res);
}

/* Has it a page that @is says so of? No, if nobody can tell. */
static bool vsvm_range_any(struct vsvm_vm *vm, struct vsvm_range *range,
			   bool (*is)(u8 res))
{
	unsigned long i;

	if (vsvm_range_scan(vm, range, vm->vdev))
		return false;
	for (i = 0; i < vsvm_range_npages(range); i++) {
		if (is(vm->scan_res[i]))
			return true;
	}
	return false;
}

static bool vsvm_page_at_peer(u8 res)
{
	return (res & DRM_VSVM_RES_MASK) == DRM_VSVM_RES_PEER;
}

static bool vsvm_page_in_vram(u8 res)
{
	return (res & DRM_VSVM_RES_MASK) == DRM_VSVM_RES_DEVICE ||
	       vsvm_page_at_peer(res);
}

/*
 * A page in VRAM that the process shares with another one, after a fork(), and
 * must not write to. hmm hands out the pages of a device and its peers as they
 * are, even if asked for pages to write to.
 */
static bool vsvm_page_shared(u8 res)
{
	return vsvm_page_in_vram(res) && !(res & DRM_VSVM_RES_WRITE);
}

/* Does a page-table entry for a block of a device map it? */
static bool vsvm_pfn_in_block(unsigned long pfn)
{
	return pfn & HMM_PFN_VALID &&
	       hmm_pfn_to_map_order(pfn) == HPAGE_PMD_ORDER &&
	       is_device_private_page(hmm_pfn_to_page(pfn));
}

/*
 * Where a walk begins inside a block of a device, hmm gives the pages from the
 * first one of the block on instead (Linux 7.3, hmm_vma_handle_absent_pmd()),
 * and so does drm_gpusvm. No range goes beyond the block that it begins in, so
 * that all addresses are wrong by the same; 0 with an hmm that is right.
 */
static u64 vsvm_range_skip(struct vsvm_range *range, unsigned long pfn)
{
	const unsigned long start = drm_gpusvm_range_start(&range->base);
	struct page *page = hmm_pfn_to_page(pfn);
	unsigned long found;

	if (!vsvm_pfn_in_block(pfn))
		return 0;
	found = folio_page_idx(page_folio(page), page);
	return (start & ~HPAGE_PMD_MASK) - (found << PAGE_SHIFT);
}

/*
 * The GPU writes without a word, so what it may write to is dirty from here on.
 * Neither hmm nor drm_gpusvm sees to that: hmm asks for an entry that is
 * writable, which may be a clean one.
 *
 * The mark is set before there is an entry of the GPU's, and stays until that is
 * gone: all that cleans a folio invalidates its mappings first, or in between,
 * and the next access of the GPU comes by here again.
 *
 *	reclaim		unmaps, then looks whether it is dirty, then writes it out
 *	write-back	unmaps or write-protects (folio_mkclean()), then clears the
 *			mark; of memory that is only swapped: see reclaim
 *	MADV_FREE	clears the mark between start and end of an invalidation,
 *			while nobody can take pages
 *	migration	unmaps, and takes the mark along, to VRAM and back as well
 *
 * Truncation too has to invalidate before it takes a folio out of its file, so
 * that the notifier lock keeps the mapping, as the page-table lock does for a
 * CPU's fault.
 */
static int vsvm_range_mark_dirty(struct vsvm_vm *vm, struct vsvm_range *range)
{
	struct folio *folio, *last = NULL;
	unsigned long i;
	bool valid;

	drm_gpusvm_notifier_lock(&vm->svm);
	valid = drm_gpusvm_pages_valid(&vm->svm, &range->pages);
	for (i = 0; i < vsvm_range_npages(range) && valid; i++) {
		folio = page_folio(hmm_pfn_to_page(vm->scan_pfn[i]));
		if (folio != last)
			folio_mark_dirty(folio);
		last = folio;
	}
	drm_gpusvm_notifier_unlock(&vm->svm);
	return valid ? 0 : -EAGAIN;
}

/* Which pages, and can the GPU have all of them for what it wants? */
static int vsvm_range_look_at(struct vsvm_vm *vm, struct vsvm_range *range)
{
	unsigned long i;

	if (vsvm_range_scan(vm, range, vm->vdev))
		return -EAGAIN;
	for (i = 0; i < vsvm_range_npages(range); i++) {
		if (!(vm->scan_pfn[i] & HMM_PFN_VALID))
			return -EAGAIN;
		if (vsvm_page_shared(vm->scan_res[i]))
			range->writable = false;
	}
	range->skip = vsvm_range_skip(range, vm->scan_pfn[0]);
	return range->writable ? vsvm_range_mark_dirty(vm, range) : 0;
}

/* Is the mapping still one that the GPU may have, as when the fault began? */
static int vsvm_range_check(struct vsvm_vm *vm, struct vsvm_range *range)
{
	struct vsvm_span span;
	int err;

	/* Pages in VRAM are of ordinary memory. */
	if (range->pages.flags.has_devmem_pages)
		return 0;
	err = vsvm_span_at(vm->mm, drm_gpusvm_range_start(&range->base), &span);
	if (err == -EINTR)
		return err;
	return err || (range->writable && !span.write) ? -EAGAIN : 0;
}

/*
 * What drm_gpusvm does not tell of the pages that were taken: whether all may be
 * written to, where in a block they are, and what mapping they are of. The
 * answers are good as long as the pages are valid.
 */
static int vsvm_range_look(struct vsvm_vm *vm, struct vsvm_range *range)
{
	const bool inside = !IS_ALIGNED(drm_gpusvm_range_start(&range->base),
					HPAGE_PMD_SIZE);
	int err;

	range->skip = 0;
	err = vsvm_range_check(vm, range);
	if (err)
		return err;
	if (range->writable || (range->pages.flags.has_devmem_pages && inside))
		return vsvm_range_look_at(vm, range);
	return 0;
}

/*
 * The GPU is to write: give the process pages of its own, as a write by the CPU
 * would. They come home for that, and the migration takes them back.
 */
static int vsvm_range_unshare(struct vsvm_vm *vm, struct vsvm_range *range)
{
	unsigned long addr = drm_gpusvm_range_start(&range->base);
	unsigned long i;
	int err = 0;

	if (vsvm_range_scan(vm, range, vm->vdev))
		return -EAGAIN;
	for (i = 0; i < vsvm_range_npages(range) && !err; i++) {
		if (vsvm_page_shared(vm->scan_res[i]))
			err = vsvm_fault_in(vm->mm, addr + i * PAGE_SIZE);
	}
	return !err || err == -ENOMEM || err == -EINTR ? err : -EAGAIN;
}

/* To system memory, if any of it is elsewhere. */
static int vsvm_range_go_home(struct vsvm_vm *vm, struct vsvm_range *range)
{
	return vsvm_range_any(vm, range, vsvm_page_in_vram) ?
	       drm_gpusvm_range_evict(&vm->svm, &range->base) : 0;
}

static int vsvm_range_migrate(struct vsvm_vm *vm, struct vsvm_range *range,
			      const struct vsvm_target *to,
			      unsigned long min_size)
{
	const unsigned long start = drm_gpusvm_range_start(&range->base);
	const unsigned long end = drm_gpusvm_range_end(&range->base);

	if (vsvm_has_additions(to->vdev))
		return vsvm_place_at_once(to, vm->mm, start, end);
	if (vsvm_range_scan(vm, range, to->vdev))
		return -EAGAIN;
	return vsvm_place_in_vram(to, vm->mm, start, end, vm->scan_res,
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
		.dpagemap = vm->dpagemap,
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
		return vsvm_range_go_home(vm, range);
	err = vsvm_target_get(&to, vm->vdev, vm->dpagemap, advice->location);
	if (err)
		return err;
	err = vsvm_range_migrate(vm, range, &to,
				 max(advice->granularity, SZ_64K));
	vsvm_target_put(&to);
	return err;
}

/* Is any of it in VRAM of a device that this one has no link to now? */
static bool vsvm_range_unreachable(struct vsvm_vm *vm,
				   struct vsvm_range *range)
{
	return vsvm_range_any(vm, range, vsvm_page_at_peer);
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
	if (!err)
		return vsvm_range_look(vm, range);
	if (err == -ENOMEM)
		return err;
	if (err == -EOPNOTSUPP || vsvm_range_unreachable(vm, range))
		drm_gpusvm_range_evict(&vm->svm, &range->base);
	return -EAGAIN;
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

	return !access->place_err && !vsvm_range_scan(vm, range, vm->vdev) &&
	       vsvm_page_at_peer(vm->scan_res[page]);
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
	return access->place_err == -ENOSPC || access->place_err == -ENOMEM ?
	       access->place_err : -EACCES;
}

static unsigned long vsvm_fault_window(const struct vsvm_access *access)
{
	const unsigned int nth = access->tries * VSVM_NUM_CHUNKS / VSVM_FAULT_TRIES;

	return vsvm_chunks[max(nth, access->atomic_tries)];
}

static int vsvm_fault_map(struct vsvm_access *access, struct vsvm_range *range,
			  const struct drm_gpusvm_ctx *ctx)
{
	struct vsvm_vm *vm = access->queue->vm;
	int err;

	if (access->write) {
		err = vsvm_range_unshare(vm, range);
		if (err)
			return err;
	}
	access->place_err = vsvm_fault_place(access, range);
	range->atomic_anywhere = access->advice.atomic == DRM_VSVM_ATOMIC_SYSTEM;
	err = vsvm_range_get_pages(vm, range, ctx);
	if (!err && access->write && !range->writable)
		err = -EAGAIN;
	if (!err)
		err = vsvm_range_map(vm, range);
	if (!err && access->atomic &&
	    vsvm_range_not_atomic_at(vm, range, access->addr))
		err = vsvm_fault_not_atomic(access, range);
	return err;
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

	vsvm_svm_collect(vm);
	err = vsvm_fault_look(access);
	if (err)
		return err;
	if (access->atomic && access->advice.atomic == DRM_VSVM_ATOMIC_EXCLUSIVE)
		return vsvm_exclusive_take(vm, access->addr, &access->span,
					   access->queue);
	ctx.read_only = !access->span.write;
	range = vsvm_range_find(vm, access->addr, &access->span,
				vsvm_fault_window(access), &ctx);
	if (IS_ERR(range))
		return PTR_ERR(range);
	if (vsvm_range_ready(vm, range, access))
		return 0;
	if (range->writable == ctx.read_only ||
	    (access->write && !range->writable))
		vsvm_range_unmap(vm, range);
	return vsvm_fault_map(access, range, &ctx);
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

static int vsvm_fault_retry(struct vsvm_access *access)
{
	struct vsvm_vm *vm = access->queue->vm;
	int err = -EAGAIN;

	guard(mutex)(&vm->lock);
	vsvm_fault_note(access->queue, access->addr);
	for (; access->tries < VSVM_FAULT_TRIES && err == -EAGAIN;
	     access->tries++) {
		if (READ_ONCE(vm->closed))
			return -ECANCELED;
		if (vsvm_vm_broken(vm))
			return -EIO;
		err = vsvm_fault_once(access);
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
 * serving it failed too often; -EACCES if an atomic operation cannot be done
 * where the memory is; -ENOMEM, -ENOSPC for want of a page table, or of VRAM that
 * an atomic operation needs; -EIO, -ENODEV; -ECANCELED if the address space is
 * being closed.
 */
int vsvm_svm_fault(struct vsvm_queue *queue, unsigned long addr, u32 access)
{
	struct vsvm_access fault = {
		.queue = queue,
		.addr = addr,
		.write = access != VSVM_HW_READ,
		.atomic = access == VSVM_HW_ATOMIC,
	};
	struct vsvm_vm *vm = queue->vm;
	int err;

	if (!mmget_not_zero(vm->mm))
		return -EFAULT;
	err = vsvm_fault_retry(&fault);
	/* Maybe the last user: do not tear down a process's memory here. */
	mmput_async(vm->mm);
	return err == -EAGAIN || err == -EINTR ? -EFAULT : err;
}

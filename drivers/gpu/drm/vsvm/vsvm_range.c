// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * SVM ranges: their life, and taking memory from the GPU when it is about to
 * change. A range is mapped as a whole and taken away as a whole.
 *
 *	vsvm_vm.lock	which ranges there are. Short: nothing waits for memory of
 *			user space with it, so that it is there for who closes
 *			the address space
 *	a reference	for who works on one, after the lock has been let go. It
 *			keeps the structure, and the notifier that it belongs to
 *	vsvm_range.lock	one at a time takes its pages and maps them, and may wait
 *			for user space for ever
 *	notifier lock	for write: to take it away. No other lock is needed for that,
 *			so that it can be removed under who works on it: he finds
 *			that its pages are not valid, or cannot get any
 *
 * Who finds a large range in the hands of somebody who does not get on makes it
 * smaller, and goes ahead with his own part of it.
 */
#include <drm/drm_gpusvm.h>
#include <drm/drm_print.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "vsvm_copy.h"
#include "vsvm_exclusive.h"
#include "vsvm_inject.h"
#include "vsvm_quota.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"

#define VSVM_NOTIFIER_SIZE	SZ_512M
/* Who has a range that long waits for somebody who may never come. */
#define VSVM_CROWD_TIMEOUT	HZ
/* To find the mmap lock free, before it is waited for all the same. */
#define VSVM_FIND_TRIES		16

const unsigned long vsvm_chunks[VSVM_NUM_CHUNKS] = { SZ_2M, SZ_64K, SZ_4K };

static struct drm_gpusvm_range *vsvm_range_alloc(struct drm_gpusvm *svm)
{
	struct vsvm_range *range = kzalloc_obj(*range, GFP_KERNEL_ACCOUNT);

	if (!range)
		return NULL;
	INIT_LIST_HEAD(&range->gc_link);
	INIT_LIST_HEAD(&range->lru);
	mutex_init(&range->lock);
	drm_gpusvm_init_pages(&range->pages, &to_vsvm_vm(svm)->vdev->drm);
	return &range->base;
}

/* No invalidation can find it any more, so the collector's list is settled. */
static void vsvm_range_free(struct drm_gpusvm_range *base)
{
	struct vsvm_range *range = to_vsvm_range(base);
	struct vsvm_vm *vm = to_vsvm_vm(base->gpusvm);

	scoped_guard(spinlock, &vm->gc_lock)
		list_del_init(&range->gc_link);
	drm_gpusvm_free_pages(base->gpusvm, &range->pages,
			      vsvm_range_npages(range));
	vsvm_quota_add(vm, VSVM_POOL_RANGES, -(s64)range->bytes);
	mutex_destroy(&range->lock);
	kfree(range);
}

static struct drm_gpusvm_notifier *vsvm_notifier_alloc(void)
{
	struct vsvm_notifier *notifier =
		kzalloc_obj(*notifier, GFP_KERNEL_ACCOUNT);

	if (!notifier)
		return NULL;
	kref_init(&notifier->ref);
	return &notifier->base;
}

static void vsvm_notifier_release(struct kref *ref)
{
	kfree(container_of(ref, struct vsvm_notifier, ref));
}

static void vsvm_notifier_free(struct drm_gpusvm_notifier *base)
{
	kref_put(&to_vsvm_notifier(base)->ref, vsvm_notifier_release);
}

/* With vsvm_vm.lock, which keeps it from being removed meanwhile. */
static struct vsvm_range *vsvm_range_get(struct vsvm_range *range)
{
	drm_gpusvm_range_get(&range->base);
	kref_get(&to_vsvm_notifier(range->base.notifier)->ref);
	return range;
}

static void vsvm_range_put(struct vsvm_range *range)
{
	struct drm_gpusvm_notifier *notifier = range->base.notifier;

	drm_gpusvm_range_put(&range->base);
	vsvm_notifier_free(notifier);
}

/* Takes the range from the GPU. The notifier lock must be held. */
static void vsvm_range_zap(struct vsvm_vm *vm, struct vsvm_range *range)
{
	struct vsvm_ring *ring = &vm->vdev->ring[VSVM_HW_PAGING];
	struct vsvm_wait wait;
	struct vsvm_push push;

	if (!range->mapped)
		return;
	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	vsvm_pt_clear(&push, &range->ptes);
	vsvm_pt_flush(&push, vm, drm_gpusvm_range_start(&range->base),
		      drm_gpusvm_range_size(&range->base));
	vsvm_push_end(&push);
	vsvm_wait_for(ring, &wait);
	range->mapped = false;
}

static void vsvm_range_take_away(struct vsvm_vm *vm, struct vsvm_range *range)
{
	lockdep_assert_held_write(&vm->svm.notifier_lock);
	vsvm_range_zap(vm, range);
	vsvm_svm_unmap_dma(vm, range);
}

/* Who works on it gets no pages from now on, and those that he has are void. */
static void vsvm_range_retire(struct vsvm_vm *vm, struct vsvm_range *range)
{
	vsvm_range_take_away(vm, range);
	range->gone = true;
	range->disturbed = true;
	range->pages.flags.unmapped = true;
	/* Nor does the collector, which would remove it once more. */
	guard(spinlock)(&vm->gc_lock);
	list_del_init(&range->gc_link);
}

/**
 * vsvm_range_unmap - take a range from the GPU, and give its pages back
 * @vm: address space
 * @range: range, mapped or not
 *
 * Context: process; with what keeps the range.
 */
void vsvm_range_unmap(struct vsvm_vm *vm, struct vsvm_range *range)
{
	down_write(&vm->svm.notifier_lock);
	vsvm_range_take_away(vm, range);
	up_write(&vm->svm.notifier_lock);
}

/**
 * vsvm_range_remove - see that a range is not found any more
 * @vm: address space, locked
 * @range: range, whoever else works on it
 */
void vsvm_range_remove(struct vsvm_vm *vm, struct vsvm_range *range)
{
	lockdep_assert_held(&vm->lock);
	down_write(&vm->svm.notifier_lock);
	vsvm_range_retire(vm, range);
	up_write(&vm->svm.notifier_lock);
	vsvm_pt_detach(vm, &range->ptes);
	list_del_init(&range->lru);
	drm_gpusvm_range_remove(&vm->svm, &range->base);
}

static struct vsvm_range *vsvm_svm_next_of(struct vsvm_vm *vm,
					   struct list_head *list)
{
	struct vsvm_range *range;

	guard(spinlock)(&vm->gc_lock);
	range = list_first_entry_or_null(list, struct vsvm_range, gc_link);
	if (range)
		list_del_init(&range->gc_link);
	return range;
}

/* It would hold VRAM for all of what it was. Consumes a reference. */
static void vsvm_svm_send_home(struct vsvm_vm *vm, struct vsvm_range *range)
{
	scoped_guard(spinlock, &vm->gc_lock)
		list_add_tail(&range->gc_link, &vm->home_list);
	vsvm_vm_queue_work(vm, &vm->gc_work);
}

/* Removes the ranges whose memory was unmapped. */
static void vsvm_svm_collect(struct vsvm_vm *vm)
{
	struct vsvm_range *range;

	lockdep_assert_held(&vm->lock);
	while ((range = vsvm_svm_next_of(vm, &vm->gc_list))) {
		vsvm_range_get(range);
		vsvm_range_remove(vm, range);
		if (range->base.flags.partial_unmap)
			vsvm_svm_send_home(vm, range);
		else
			vsvm_range_put(range);
	}
}

/* What is left of a range that lost a part. Holds no lock: see vsvm_svm_fault(). */
static void vsvm_svm_bring_home(struct vsvm_vm *vm, struct vsvm_range *range)
{
	const unsigned long start = drm_gpusvm_range_start(&range->base);
	const unsigned long end = drm_gpusvm_range_end(&range->base);
	struct vsvm_scanner scanner = {
		.notifier = &range->base.notifier->notifier,
		.mm = vm->mm,
		.vdev = vm->vdev,
		.pfn = vm->gc_space->pfn,
	};

	if (!READ_ONCE(vm->closed) &&
	    !vsvm_scan(&scanner, start, end, vm->gc_space->res))
		vsvm_place_back(&scanner, start, end, vm->gc_space->res);
}

static void vsvm_svm_gc_work(struct work_struct *work)
{
	struct vsvm_vm *vm = container_of(work, struct vsvm_vm, gc_work);
	const bool used = mmget_not_zero(vm->mm);
	struct vsvm_range *range;

	scoped_guard(mutex, &vm->lock) {
		if (!vm->closed)
			vsvm_svm_collect(vm);
	}
	while ((range = vsvm_svm_next_of(vm, &vm->home_list))) {
		if (used)
			vsvm_svm_bring_home(vm, range);
		vsvm_range_put(range);
	}
	/* Maybe the last user: see vsvm_svm_fault(). */
	if (used)
		mmput_async(vm->mm);
	vsvm_vm_work_done(vm);
}

static void vsvm_svm_add_garbage(struct vsvm_vm *vm, struct vsvm_range *range,
				 const struct mmu_notifier_range *mmu_range)
{
	drm_gpusvm_range_set_unmapped(&range->base, &range->pages, 1, mmu_range);
	scoped_guard(spinlock, &vm->gc_lock) {
		if (!range->gone && list_empty(&range->gc_link))
			list_add_tail(&range->gc_link, &vm->gc_list);
	}
	vsvm_vm_queue_work(vm, &vm->gc_work);
}

/* All ranges in one submission, with one TLB invalidation. */
static void vsvm_svm_zap(struct vsvm_vm *vm,
			 struct drm_gpusvm_notifier *notifier,
			 unsigned long start, unsigned long end,
			 const struct mmu_notifier_range *mmu_range)
{
	struct vsvm_ring *ring = &vm->vdev->ring[VSVM_HW_PAGING];
	unsigned long first = ULONG_MAX, last = 0;
	struct drm_gpusvm_range *base = NULL;
	struct vsvm_wait wait;
	struct vsvm_push push;

	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	drm_gpusvm_for_each_range(base, notifier, start, end) {
		struct vsvm_range *range = to_vsvm_range(base);

		if (!range->mapped || vsvm_exclusive_spared(range, mmu_range))
			continue;
		vsvm_pt_clear(&push, &range->ptes);
		first = min(first, drm_gpusvm_range_start(base));
		last = max(last, drm_gpusvm_range_end(base));
		range->mapped = false;
	}
	if (!last)
		return;
	vsvm_pt_flush(&push, vm, first, last - first);
	vsvm_push_end(&push);
	vsvm_stat_add(vm->vdev, VSVM_STAT_INVALIDATIONS, 1);
	/* The reset that this comes from has stopped the queues, for good. */
	if (vsvm_wait_for(ring, &wait))
		drm_err_ratelimited(&vm->vdev->drm,
				    "vm %u: invalidation failed\n", vm->id);
	vsvm_inject_zapped();
}

/* Is it to become code? Who changes that holds the mmap lock. */
static void vsvm_svm_look_for_code(const struct mmu_notifier_range *mmu_range)
{
	VMA_ITERATOR(vmi, mmu_range->mm, mmu_range->start);
	struct vm_area_struct *vma;

	if (mmu_range->event != MMU_NOTIFY_PROTECTION_VMA)
		return;
	for_each_vma_range(vmi, vma, mmu_range->end) {
		if (vma->vm_flags & VM_EXEC)
			vsvm_copy_note_code();
	}
}

/*
 * Memory is about to change. A range is taken away as a whole, as its pages
 * are unmapped for DMA as a whole. May run in reclaim.
 */
static void vsvm_svm_invalidate(struct drm_gpusvm *svm,
				struct drm_gpusvm_notifier *notifier,
				const struct mmu_notifier_range *mmu_range)
{
	struct drm_gpusvm_range *base = NULL;
	struct vsvm_vm *vm = to_vsvm_vm(svm);
	unsigned long start, end;

	vsvm_svm_look_for_code(mmu_range);
	start = max(mmu_range->start, drm_gpusvm_notifier_start(notifier));
	end = min(mmu_range->end, drm_gpusvm_notifier_end(notifier));
	vsvm_svm_zap(vm, notifier, start, end, mmu_range);
	drm_gpusvm_for_each_range(base, notifier, start, end) {
		struct vsvm_range *range = to_vsvm_range(base);

		if (vsvm_exclusive_spared(range, mmu_range))
			continue;
		range->disturbed = true;
		vsvm_svm_unmap_dma(vm, range);
		if (mmu_range->event == MMU_NOTIFY_UNMAP)
			vsvm_svm_add_garbage(vm, range, mmu_range);
	}
}

static const struct drm_gpusvm_ops vsvm_gpusvm_ops = {
	.notifier_alloc = vsvm_notifier_alloc,
	.notifier_free = vsvm_notifier_free,
	.range_alloc = vsvm_range_alloc,
	.range_free = vsvm_range_free,
	.invalidate = vsvm_svm_invalidate,
};

/**
 * vsvm_svm_init - begin to mirror the calling process
 * @vm: address space
 *
 * Return: 0 or what drm_gpusvm_init() says.
 */
int vsvm_svm_init(struct vsvm_vm *vm)
{
	/* A process may have more than that, with five levels of tables. */
	const unsigned long size = min(TASK_SIZE, DRM_VSVM_BIND_START);
	int err;

	spin_lock_init(&vm->gc_lock);
	INIT_LIST_HEAD(&vm->gc_list);
	INIT_LIST_HEAD(&vm->home_list);
	INIT_WORK(&vm->gc_work, vsvm_svm_gc_work);
	err = drm_gpusvm_init(&vm->svm, VSVM_NAME, vm->mm, 0, size,
			      VSVM_NOTIFIER_SIZE, &vsvm_gpusvm_ops,
			      vsvm_chunks, VSVM_NUM_CHUNKS);
	if (!err)
		drm_gpusvm_driver_set_lock(&vm->svm, &vm->lock);
	return err;
}

/* The tables were taken away: no entry of the range is of use any more. */
static void vsvm_range_drop(struct vsvm_vm *vm, struct vsvm_range *range)
{
	down_write(&vm->svm.notifier_lock);
	range->mapped = false;
	vsvm_range_retire(vm, range);
	up_write(&vm->svm.notifier_lock);
	vsvm_pt_forget(vm, &range->ptes);
	list_del_init(&range->lru);
}

/**
 * vsvm_svm_unmap_all - give all memory back
 * @vm: address space, locked, whose page table was disabled
 */
void vsvm_svm_unmap_all(struct vsvm_vm *vm)
{
	struct drm_gpusvm_notifier *notifier;

	drm_gpusvm_for_each_notifier(notifier, &vm->svm, 0, ULONG_MAX) {
		struct drm_gpusvm_range *base = NULL;

		drm_gpusvm_for_each_range(base, notifier, 0, ULONG_MAX)
			vsvm_range_drop(vm, to_vsvm_range(base));
	}
}

/**
 * vsvm_svm_fini - stop mirroring
 * @vm: address space, locked, with nothing mapped
 */
void vsvm_svm_fini(struct vsvm_vm *vm)
{
	struct vsvm_range *range;

	while ((range = vsvm_svm_next_of(vm, &vm->home_list)))
		vsvm_range_put(range);
	drm_gpusvm_fini(&vm->svm);
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

/* It is new, or faults again. */
static void vsvm_range_touch(struct vsvm_vm *vm, struct vsvm_range *range)
{
	if (!range->bytes) {
		range->bytes = sizeof(*range) + vsvm_range_npages(range) *
			       sizeof(*range->pages.dma_addr);
		vsvm_quota_add(vm, VSVM_POOL_RANGES, range->bytes);
	}
	list_move_tail(&range->lru, &vm->range_lru);
}

/*
 * The range for an address, which may be a new one. One that no longer lies in a
 * single VMA, or is larger than wanted now, makes way for another one. -EINPROGRESS
 * if it is not to @wait for the mmap lock, with vsvm_vm.lock.
 */
static struct vsvm_range *vsvm_range_look_up(struct vsvm_vm *vm,
					     unsigned long addr,
					     unsigned long start,
					     unsigned long end,
					     const struct drm_gpusvm_ctx *ctx,
					     bool wait)
{
	struct drm_gpusvm_range *base;
	int err;

	ACQUIRE(mutex_intr, lock)(&vm->lock);
	err = ACQUIRE_ERR(mutex_intr, &lock);
	if (err)
		return ERR_PTR(err);
	if (vm->closed)
		return ERR_PTR(-ECANCELED);
	vsvm_svm_collect(vm);
	if (!wait) {
		if (!mmap_read_trylock(vm->mm))
			return ERR_PTR(-EINPROGRESS);
		mmap_read_unlock(vm->mm);
	}
	base = drm_gpusvm_range_find_or_insert(&vm->svm, addr, start, end, ctx);
	if (IS_ERR(base))
		return ERR_PTR(vsvm_find_errno(PTR_ERR(base)));
	if (drm_gpusvm_range_start(base) < start ||
	    drm_gpusvm_range_end(base) > end) {
		vsvm_range_remove(vm, to_vsvm_range(base));
		return ERR_PTR(-EAGAIN);
	}
	vsvm_range_touch(vm, to_vsvm_range(base));
	return vsvm_range_get(to_vsvm_range(base));
}

/* Nobody can have less than a page, so that one is waited for. */
static int vsvm_range_lock(struct vsvm_range *range)
{
	if (vsvm_range_npages(range) == 1)
		return mutex_lock_interruptible(&range->lock);
	return wait_var_event_timeout(&range->lock, mutex_trylock(&range->lock),
				      VSVM_CROWD_TIMEOUT) ? 0 : -EBUSY;
}

/**
 * vsvm_range_find - have the range for an address to oneself
 * @vm: address space
 * @addr: address
 * @span: what it must not go beyond
 * @window: size of an aligned area that it must not go beyond
 * @ctx: as drm_gpusvm wants it
 *
 * drm_gpusvm takes the mmap lock under vsvm_vm.lock, and a process may keep the
 * former for ever (an mmap() that a FUSE server does not answer). So that closing
 * does not wait for it, it is waited for here, without a lock of our own. Whose
 * threads hold it all the time, for writing, gets so many attempts, lest the fault
 * never ends.
 *
 * Context: process, with a reference of the process's users and no locks;
 * vsvm_range_release() must follow.
 *
 * Return: the range, or ERR_PTR() of -EAGAIN; -EBUSY if somebody else has it for
 * too long, which a smaller @window helps; -ECANCELED if the address space was
 * closed; -ENOMEM, -EFAULT, -EINTR.
 */
struct vsvm_range *
vsvm_range_find(struct vsvm_vm *vm, unsigned long addr,
		const struct vsvm_span *span, unsigned long window,
		const struct drm_gpusvm_ctx *ctx)
{
	const unsigned long start = max(span->start, ALIGN_DOWN(addr, window));
	const unsigned long end = min(span->end,
				      ALIGN_DOWN(addr, window) + window);
	unsigned int tries = VSVM_FIND_TRIES;
	struct vsvm_range *range;
	int err;

	vsvm_reclaim(vm);
	vsvm_inject_finding();
	while ((range = vsvm_range_look_up(vm, addr, start, end, ctx, !tries--)) ==
	       ERR_PTR(-EINPROGRESS)) {
		if (mmap_read_lock_killable(vm->mm))
			return ERR_PTR(-EINTR);
		mmap_read_unlock(vm->mm);
	}
	if (IS_ERR(range))
		return range;
	err = vsvm_range_lock(range);
	if (err) {
		vsvm_range_put(range);
		return ERR_PTR(err);
	}
	if (READ_ONCE(range->gone)) {
		vsvm_range_release(range);
		return ERR_PTR(-EAGAIN);
	}
	return range;
}

/**
 * vsvm_range_release - done with a range
 * @range: what vsvm_range_find() gave
 */
void vsvm_range_release(struct vsvm_range *range)
{
	mutex_unlock(&range->lock);
	/* Pairs with what waits in vsvm_range_lock(). */
	smp_mb();
	wake_up_var(&range->lock);
	vsvm_range_put(range);
}

/**
 * vsvm_range_map - give a range to the GPU
 * @vm: address space
 * @range: locked range whose pages were taken
 *
 * Return: 0; -EAGAIN if the pages were invalidated meanwhile; or why there is no
 * page table for them: -ENOMEM, -ENOSPC, -EIO, -ENODEV.
 */
int vsvm_range_map(struct vsvm_vm *vm, struct vsvm_range *range)
{
	struct vsvm_ring *ring = &vm->vdev->ring[VSVM_HW_PAGING];
	struct vsvm_wait wait;
	struct vsvm_push push;
	int err;

	err = vsvm_pt_attach(vm, &range->ptes,
			     drm_gpusvm_range_start(&range->base),
			     drm_gpusvm_range_size(&range->base),
			     vsvm_pt_large(range));
	if (err)
		return err;
	if (vsvm_inject_invalidation())
		vsvm_range_unmap(vm, range);
	guard(mutex)(&vm->staging_lock);
	drm_gpusvm_notifier_lock(&vm->svm);
	if (!drm_gpusvm_pages_valid(&vm->svm, &range->pages)) {
		drm_gpusvm_notifier_unlock(&vm->svm);
		return -EAGAIN;
	}
	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	vsvm_pt_write(&push, vm, range);
	vsvm_push_end(&push);
	range->mapped = true;
	drm_gpusvm_notifier_unlock(&vm->svm);
	/* An invalidation from here on comes after this on the ring. */
	return vsvm_wait_for(ring, &wait);
}

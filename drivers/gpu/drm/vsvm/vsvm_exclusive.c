// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Device-exclusive access: a page in system memory is taken from the CPU, so
 * that an atomic operation of the GPU is one for everybody. The CPU's page table
 * gets an entry that faults; who touches it gets the page back, and an
 * invalidation takes it from the GPU.
 *
 * hmm_range_fault() is such a touch. So a page like that cannot come from
 * drm_gpusvm_get_pages(), nor be next to pages that do: it is an SVM range of
 * its own, of 4 KiB, and what other ranges have is here for it.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gpusvm.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "vsvm_exclusive.h"
#include "vsvm_keep.h"
#include "vsvm_quota.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"
#include "vsvm_walk.h"

#define VSVM_EXCLUSIVE_TRIES	8

/*
 * How long a GPU that comes back for a page is shielded from the CPU: it would
 * never get to do anything otherwise.
 */
#define VSVM_EXCLUSIVE_US	1000
#define VSVM_EXCLUSIVE_MAX_US	16000

/**
 * vsvm_exclusive_spared - does an invalidation leave a page alone?
 * @range: range
 * @mmu_range: the invalidation
 *
 * A migration to or from VRAM takes what is around such a page, but never it.
 * That we take a page is no news either: it is not mapped then.
 *
 * Return: true if so.
 */
bool vsvm_exclusive_spared(const struct vsvm_range *range,
			   const struct mmu_notifier_range *mmu_range)
{
	switch (mmu_range->event) {
	case MMU_NOTIFY_MIGRATE:
		return range->exclusive;
	case MMU_NOTIFY_EXCLUSIVE:
		return mmu_range->owner == range;
	default:
		return false;
	}
}

/**
 * vsvm_exclusive_end - give a page back
 * @vm: address space, with the notifier lock held
 * @range: range that the GPU does not map any more, exclusive or not
 *
 * The CPU's entry stays, until somebody touches it. While it is there it keeps
 * the page.
 */
void vsvm_exclusive_end(struct vsvm_vm *vm, struct vsvm_range *range)
{
	if (!range->exclusive)
		return;
	/* mm takes it for clean. */
	folio_mark_dirty(page_folio(range->exclusive));
	vsvm_keep_range(vm->vdev->keep, range->exclusive_dma, PAGE_SIZE);
	dma_unmap_page(vm->vdev->drm.dev, range->exclusive_dma, PAGE_SIZE,
		       DMA_BIDIRECTIONAL);
	range->exclusive = NULL;
	atomic_dec(&vm->num_exclusive);
}

/*
 * Invalidations that are under way are waited for, and those that come later
 * leave a mark. The notifier's own sequence is of no use: taking the page
 * changes it.
 */
static void vsvm_exclusive_watch(struct vsvm_vm *vm, struct vsvm_range *range)
{
	drm_gpusvm_notifier_lock(&vm->svm);
	range->disturbed = false;
	drm_gpusvm_notifier_unlock(&vm->svm);
	mmu_interval_read_begin(&range->base.notifier->notifier);
}

/* Return: 0, -EAGAIN if it is not to be mapped any more, -ENOMEM. */
static int vsvm_exclusive_write(struct vsvm_vm *vm, struct vsvm_range *range,
				struct page *page, struct vsvm_wait *wait)
{
	struct device *dev = vm->vdev->drm.dev;
	struct vsvm_push push;
	dma_addr_t dma;

	lockdep_assert_held(&vm->svm.notifier_lock);
	/* Nor is the device to be asked for an address: it may be gone. */
	if (range->disturbed || range->gone)
		return -EAGAIN;
	dma = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, dma))
		return -ENOMEM;
	range->exclusive = page;
	range->exclusive_dma = dma;
	range->writable = true;
	range->mapped = true;
	atomic_inc(&vm->num_exclusive);
	vsvm_push_begin(&push, &vm->vdev->ring[VSVM_HW_PAGING], &wait->sub);
	vsvm_pt_write_exclusive(&push, range);
	vsvm_push_end(&push);
	return 0;
}

/* The folio is locked, so no CPU gets it back before this is through. */
static int vsvm_exclusive_map(struct vsvm_vm *vm, struct vsvm_range *range,
			      struct page *page)
{
	struct vsvm_wait wait;
	int err;

	vsvm_wait_init(&wait);
	drm_gpusvm_notifier_lock(&vm->svm);
	err = vsvm_exclusive_write(vm, range, page, &wait);
	drm_gpusvm_notifier_unlock(&vm->svm);
	if (err)
		return err;
	vsvm_stat_add(vm->vdev, VSVM_STAT_EXCLUSIVE_PAGES, 1);
	return vsvm_wait_for(&vm->vdev->ring[VSVM_HW_PAGING], &wait);
}

/*
 * Let the GPU go ahead, while a CPU that wants the page waits for the folio, and
 * who wants to change the address space for mmap_lock.
 */
static void vsvm_exclusive_linger(struct vsvm_queue *queue)
{
	const unsigned int us = min(VSVM_EXCLUSIVE_US << min(queue->fault_repeat, 8u),
				    VSVM_EXCLUSIVE_MAX_US);

	vsvm_ring_replay(queue->ring);
	usleep_range(us, us + us / 4);
}

static int vsvm_exclusive_errno(int err)
{
	switch (err) {
	case -ENOMEM:
	case -EINTR:
		return err;
	case -EBUSY:
	case -EAGAIN:
	case -EFAULT:
		/* The mapping changed since we looked: the next try decides. */
		return -EAGAIN;
	default:
		/* Of a file, of a hugetlbfs, poisoned, gone. */
		return -EACCES;
	}
}

/* With mmap_lock held: fork() fails if it finds such a page with a locked folio. */
static int vsvm_exclusive_take_locked(struct vsvm_vm *vm,
				      struct vsvm_range *range,
				      struct vsvm_queue *queue)
{
	struct folio *folio;
	struct page *page;
	int err;

	page = make_device_exclusive(vm->mm, drm_gpusvm_range_start(&range->base),
				     range, &folio);
	if (IS_ERR(page))
		return vsvm_exclusive_errno(PTR_ERR(page));
	err = vsvm_exclusive_map(vm, range, page);
	if (!err && queue && queue->fault_repeat)
		vsvm_exclusive_linger(queue);
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

static int vsvm_exclusive_take_once(struct vsvm_vm *vm, struct vsvm_range *range,
				    struct vsvm_queue *queue)
{
	int err;

	/*
	 * Have a page that can be taken, and by nobody else: each of the steps
	 * to that is an invalidation, which must be over.
	 */
	err = vsvm_fault_in(vm->mm, drm_gpusvm_range_start(&range->base));
	if (err)
		return vsvm_exclusive_errno(err);
	vsvm_exclusive_watch(vm, range);
	if (mmap_read_lock_killable(vm->mm))
		return -EINTR;
	err = vsvm_exclusive_take_locked(vm, range, queue);
	mmap_read_unlock(vm->mm);
	return err;
}

static bool vsvm_exclusive_has(struct vsvm_vm *vm, struct vsvm_range *range)
{
	bool has;

	drm_gpusvm_notifier_lock(&vm->svm);
	has = range->exclusive;
	drm_gpusvm_notifier_unlock(&vm->svm);
	return has;
}

static int vsvm_exclusive_take_range(struct vsvm_vm *vm,
				     struct vsvm_range *range,
				     struct vsvm_queue *queue)
{
	int err;

	if (vsvm_exclusive_has(vm, range))
		return 0;
	vsvm_range_unmap(vm, range);
	/* May evict memory, which it could not with the folio locked. */
	err = vsvm_pt_attach(vm, &range->ptes, drm_gpusvm_range_start(&range->base),
			     SZ_4K, false);
	return err ?: vsvm_exclusive_take_once(vm, range, queue);
}

/**
 * vsvm_exclusive_take - take a page from the CPU
 * @vm: address space
 * @addr: address in it
 * @span: the mapping around it
 * @queue: of the GPU that waits for it, or NULL
 *
 * A page in VRAM comes home for it.
 *
 * Context: process, with a reference of the process's users and no locks.
 *
 * Return: 0, also if it is the GPU's already; -EAGAIN if it changed meanwhile;
 * -EACCES if it is none that can be taken; -ECANCELED if the address space was
 * closed; -ENOMEM, -EINTR; or why there is no page table for it: -ENOSPC, -EIO,
 * -ENODEV.
 */
int vsvm_exclusive_take(struct vsvm_vm *vm, unsigned long addr,
			const struct vsvm_span *span, struct vsvm_queue *queue)
{
	const struct drm_gpusvm_ctx ctx = { .devmem_possible = true };
	struct vsvm_range *range;
	int err;

	if (!span->anon || !span->write)
		return -EACCES;
	range = vsvm_range_find(vm, addr, span, SZ_4K, &ctx);
	if (IS_ERR(range))
		return PTR_ERR(range);
	err = vsvm_exclusive_take_range(vm, range, queue);
	vsvm_range_release(range);
	return err == -ENOSPC && vsvm_reclaim_tables(vm) ? -EAGAIN : err;
}

/* Pages that were taken look to hmm as if there were none. */
static void vsvm_exclusive_note(struct drm_gpusvm_notifier *notifier,
				unsigned long start, unsigned long end, u8 *res)
{
	struct drm_gpusvm_range *base = NULL;

	drm_gpusvm_for_each_range(base, notifier, start, end) {
		const unsigned long addr = drm_gpusvm_range_start(base);

		if (to_vsvm_range(base)->exclusive)
			res[(addr - start) >> PAGE_SHIFT] =
				DRM_VSVM_RES_SYSTEM | DRM_VSVM_RES_WRITE;
	}
}

/**
 * vsvm_exclusive_look - put the pages that were taken into a scan's result
 * @vm: address space
 * @start: first address of the scan
 * @end: address after the last one
 * @res: what the scan found
 *
 * Return: 0 or -EINTR.
 */
int vsvm_exclusive_look(struct vsvm_vm *vm, unsigned long start,
			unsigned long end, u8 *res)
{
	struct drm_gpusvm_notifier *notifier;
	int err;

	if (!atomic_read(&vm->num_exclusive))
		return 0;
	/* Who holds it may wait for this process. */
	ACQUIRE(mutex_intr, lock)(&vm->lock);
	err = ACQUIRE_ERR(mutex_intr, &lock);
	if (err || vm->closed)
		return err;
	drm_gpusvm_notifier_lock(&vm->svm);
	drm_gpusvm_for_each_notifier(notifier, &vm->svm, start, end)
		vsvm_exclusive_note(notifier, start, end, res);
	drm_gpusvm_notifier_unlock(&vm->svm);
	return 0;
}

/* Return: whether it could be taken, or an error. Sets where to go on. */
static int vsvm_exclusive_page(struct vsvm_vm *vm, unsigned long addr,
			       unsigned long *next)
{
	unsigned int tries = VSVM_EXCLUSIVE_TRIES;
	struct vsvm_span span;
	int err;

	*next = addr + PAGE_SIZE;
	do {
		if (READ_ONCE(vm->closed))
			return -ECANCELED;
		err = vsvm_span_at(vm->mm, addr, &span);
		if (err == -EFAULT)
			return 0;
		if (err)
			return err;
		if (!span.anon || !span.write) {
			/* As all of the mapping. */
			*next = span.end;
			return 0;
		}
		err = vsvm_exclusive_take(vm, addr, &span, NULL);
	} while (err == -EAGAIN && --tries);
	if (err == -EAGAIN || err == -EACCES || err == -EFAULT)
		return 0;
	return err ?: 1;
}

static int vsvm_exclusive(struct vsvm_vm *vm, struct drm_vsvm_exclusive *args)
{
	unsigned long addr, next;
	int taken;
	u64 end;
	int err;

	err = vsvm_check_range(args->start, args->length, vm->svm.mm_range, &end);
	if (!err)
		err = vsvm_span_check(vm->mm, args->start, end);
	if (err)
		return err;
	for (addr = args->start; addr < end; addr = next) {
		if (signal_pending(current))
			return -EINTR;
		if (drm_dev_is_unplugged(&vm->vdev->drm))
			return -ENODEV;
		taken = vsvm_exclusive_page(vm, addr, &next);
		if (taken < 0)
			return taken;
		args->taken += taken;
		cond_resched();
	}
	return 0;
}

/**
 * vsvm_exclusive_ioctl - DRM_IOCTL_VSVM_EXCLUSIVE
 * @drm: device
 * @data: struct drm_vsvm_exclusive
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_exclusive_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file)
{
	struct drm_vsvm_exclusive *args = data;
	struct vsvm_vm *vm;
	int err;

	if (args->flags)
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	args->taken = 0;
	/*
	 * Not under drm_dev_enter(), for which the removal of any DRM device
	 * waits: userfaultfd may take its time. Whether the device is still
	 * there is found out as by a fault: see vsvm_svm.c.
	 */
	err = vsvm_exclusive(vm, args);
	vsvm_vm_put(vm);
	return err;
}

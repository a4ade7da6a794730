// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Hardware that does not answer is taken for lost, as every wait has an end. But
 * it may be just slow: a host that does not let its process run, in the middle of
 * a write to memory. What is then unmapped belongs to somebody else a moment later,
 * and the write comes after that.
 *
 * A driver of real hardware resets the function and clears its bus-master bit,
 * and is safe. There is no such way to stop a process that nobody lets run. So
 * nothing that it may write to is let go until it is known to be off:
 *
 *	no answer --> begin --> an unmapped page gets a reference, once
 *		  --> another connection is answered, or the engines are dead --> end
 *
 * It is no more than what was mapped when the device was lost, since nothing is
 * mapped for a lost one. A bit for each page says whether it is kept: unmapping
 * happens in reclaim and in interrupts, where nothing can be allocated.
 *
 * Memory of a device that never came back is not given out again, not even when
 * the module goes.
 */
#include <drm/drm_gpusvm.h>
#include <drm/drm_pagemap.h>
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <kunit/visibility.h>

#include "vsvm_keep.h"

/**
 * struct vsvm_keep - what a device may still write to
 * @link: in the list of all
 * @dev: device, referenced, bound or not
 * @users: who has it; one that has none stays only if it has pages
 * @lock: protects what follows
 * @active: the device was not seen to end
 * @num: pages of memory that there are
 * @pages: how many are kept
 * @map: which
 */
struct vsvm_keep {
	struct list_head link;
	struct device *dev;
	unsigned int users;
	/* All that follows. */
	spinlock_t lock;
	bool active;
	unsigned long num;
	unsigned long pages;
	unsigned long *map;
};

static DEFINE_MUTEX(vsvm_keep_lock);
static LIST_HEAD(vsvm_keeps);

static int vsvm_kept_pages_get(char *buffer, const struct kernel_param *param)
{
	struct vsvm_keep *keep;
	unsigned long pages = 0;

	scoped_guard(mutex, &vsvm_keep_lock) {
		list_for_each_entry(keep, &vsvm_keeps, link)
			pages += READ_ONCE(keep->pages);
	}
	return sysfs_emit(buffer, "%lu\n", pages);
}

static const struct kernel_param_ops vsvm_kept_pages_ops = {
	.get = vsvm_kept_pages_get,
};

module_param_cb(kept_pages, &vsvm_kept_pages_ops, NULL, 0444);
MODULE_PARM_DESC(kept_pages, "Read: pages kept for devices that may still write to them");

static unsigned long vsvm_keep_num_pages(void)
{
	/* There is no high memory on 64 bits. */
	return PHYS_PFN(virt_to_phys(high_memory - 1)) + 1;
}

static struct vsvm_keep *vsvm_keep_create(struct device *dev)
{
	struct vsvm_keep *keep = kzalloc_obj(*keep);

	if (!keep)
		return NULL;
	keep->num = vsvm_keep_num_pages();
	keep->map = vzalloc(array_size(BITS_TO_LONGS(keep->num), sizeof(long)));
	if (!keep->map) {
		kfree(keep);
		return NULL;
	}
	spin_lock_init(&keep->lock);
	keep->dev = get_device(dev);
	list_add_tail(&keep->link, &vsvm_keeps);
	return keep;
}

static void vsvm_keep_destroy(struct vsvm_keep *keep)
{
	list_del(&keep->link);
	put_device(keep->dev);
	vfree(keep->map);
	kfree(keep);
}

/**
 * vsvm_keep_get - where the pages of a device are kept
 * @dev: device
 *
 * Context: process; allocates.
 * Return: the same as the last time if there are any, or NULL without memory.
 */
struct vsvm_keep *vsvm_keep_get(struct device *dev)
{
	struct vsvm_keep *keep, *found = NULL;

	guard(mutex)(&vsvm_keep_lock);
	list_for_each_entry(keep, &vsvm_keeps, link) {
		if (keep->dev == dev)
			found = keep;
	}
	if (!found)
		found = vsvm_keep_create(dev);
	if (found)
		found->users++;
	return found;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_keep_get);

/**
 * vsvm_keep_put - one user less
 * @keep: what vsvm_keep_get() returned
 */
void vsvm_keep_put(struct vsvm_keep *keep)
{
	guard(mutex)(&vsvm_keep_lock);
	if (!--keep->users && !keep->pages)
		vsvm_keep_destroy(keep);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_keep_put);

/**
 * vsvm_keep_begin - the device is given up, and may not know
 * @keep: where its pages are kept
 *
 * To be called before anybody unmaps anything on that account.
 *
 * Context: any.
 */
void vsvm_keep_begin(struct vsvm_keep *keep)
{
	guard(spinlock_irqsave)(&keep->lock);
	if (keep->active)
		return;
	WRITE_ONCE(keep->active, true);
	dev_warn(keep->dev, "it may still write to memory, which is kept until it is back\n");
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_keep_begin);

/**
 * vsvm_keep_active - is memory kept that is unmapped now?
 * @keep: where, or NULL: never
 *
 * Return: true if so.
 */
bool vsvm_keep_active(const struct vsvm_keep *keep)
{
	return keep && READ_ONCE(keep->active);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_keep_active);

/* A page that nobody has a reference to has been let go before. */
static void vsvm_keep_pfn(struct vsvm_keep *keep, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	guard(spinlock_irqsave)(&keep->lock);
	if (!keep->active || test_bit(pfn, keep->map) ||
	    !page || !folio_try_get(page_folio(page)))
		return;
	__set_bit(pfn, keep->map);
	keep->pages++;
}

/**
 * vsvm_keep_range - memory is about to be unmapped
 * @keep: where to keep it, or NULL
 * @addr: DMA address, which is a physical one with hardware of that kind
 * @len: bytes
 *
 * Context: any.
 */
void vsvm_keep_range(struct vsvm_keep *keep, dma_addr_t addr, u64 len)
{
	const unsigned long end = PHYS_PFN(addr + len - 1);
	unsigned long pfn;

	if (!vsvm_keep_active(keep) || !len)
		return;
	for (pfn = PHYS_PFN(addr); pfn <= min(end, keep->num - 1); pfn++)
		vsvm_keep_pfn(keep, pfn);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_keep_range);

/**
 * vsvm_keep_svm - pages of a range are about to be unmapped
 * @keep: where to keep them, or NULL
 * @pages: of drm_gpusvm, with the notifier lock held
 * @npages: how many
 */
void vsvm_keep_svm(struct vsvm_keep *keep, const struct drm_gpusvm_pages *pages,
		   unsigned long npages)
{
	const struct drm_pagemap_addr *addr = pages->dma_addr;
	unsigned long i;

	if (!vsvm_keep_active(keep) || !pages->flags.has_dma_mapping)
		return;
	for (i = 0; i < npages; i += 1 << addr->order, addr++) {
		if (addr->proto == DRM_INTERCONNECT_SYSTEM &&
		    addr->dir != DMA_TO_DEVICE)
			vsvm_keep_range(keep, addr->addr,
					PAGE_SIZE << addr->order);
	}
}

/**
 * vsvm_keep_ttm - pages of TTM are about to be freed
 * @keep: where to keep them, or NULL
 * @pages: all of an object's
 * @npages: how many
 *
 * TTM's large pages are no folios, and a reference to one keeps no more than its
 * first page: they become small ones, as TTM makes them when it swaps.
 */
void vsvm_keep_ttm(struct vsvm_keep *keep, struct page **pages,
		   unsigned long npages)
{
	unsigned long i, j, num;

	if (!vsvm_keep_active(keep))
		return;
	for (i = 0; i < npages; i += num) {
		num = pages[i] ? 1ul << page_private(pages[i]) : 1;
		if (!pages[i])
			continue;
		if (num > 1)
			split_page(pages[i], page_private(pages[i]));
		for (j = 0; j < num; j++)
			set_page_private(pages[i] + j, 0);
		vsvm_keep_range(keep, page_to_phys(pages[i]), num * PAGE_SIZE);
	}
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_keep_ttm);

/**
 * vsvm_keep_end - the device is known to write to nothing any more
 * @keep: where pages of it may be
 *
 * Context: process.
 */
void vsvm_keep_end(struct vsvm_keep *keep)
{
	unsigned long pages, pfn;

	scoped_guard(spinlock_irqsave, &keep->lock) {
		WRITE_ONCE(keep->active, false);
		pages = keep->pages;
	}
	if (!pages)
		return;
	/* None is added as long as it is not active. */
	for_each_set_bit(pfn, keep->map, keep->num) {
		__clear_bit(pfn, keep->map);
		put_page(pfn_to_page(pfn));
		cond_resched();
	}
	WRITE_ONCE(keep->pages, 0);
	dev_info(keep->dev, "%lu pages that were kept are free\n", pages);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_keep_end);

/**
 * vsvm_keep_module_exit - no device has a driver any more
 */
void vsvm_keep_module_exit(void)
{
	struct vsvm_keep *keep, *next;

	list_for_each_entry_safe(keep, next, &vsvm_keeps, link) {
		dev_crit(keep->dev, "%lu pages are lost: it may still write to them\n",
			 keep->pages);
		vsvm_keep_destroy(keep);
	}
}

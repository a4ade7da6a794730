// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A block in VRAM that no block in RAM can be had for is split. mm does that
 * where a single page of it is collected by its address, and for all that map
 * the block; by physical address it does not. So the owner's address space is
 * entered, if it still is there, at the address that the block was moved in
 * from: both are hints. Nothing moves here; eviction finds single pages then.
 *
 * An eviction may hold a dma_resv, which comes after the mmap lock, so that it
 * can but try to take the latter. A worker tries for longer, for the next
 * attempt to evict. It does not wait for the lock either: a process can keep its
 * own for ever (an mmap() that a FUSE server does not answer), and others want
 * their blocks split. The worker works on the address space alone, and needs no
 * reference to the pagemap; just this module must wait for it.
 */
#include <kunit/visibility.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "pagemap_evict.h"
#include "pagemap_report.h"

/* Requests that wait for the mmap lock, of all pagemaps and of a process. */
#define PAGEMAP_MAX_SPLITS	64
#define PAGEMAP_MAX_SPLITS_OF_ONE	8
/* How long each is tried, and how often. */
#define PAGEMAP_SPLIT_PATIENCE	(5 * HZ)
#define PAGEMAP_SPLIT_PAUSE	msecs_to_jiffies(20)

struct pagemap_split_request {
	struct list_head link;
	struct mm_struct *mm;		/* grabbed */
	unsigned long addr;
	void *owner;			/* of the device pages; to compare */
	unsigned long deadline;		/* jiffies */
};

/* Innermost; for the list. */
static DEFINE_SPINLOCK(pagemap_split_lock);
static LIST_HEAD(pagemap_split_requests);

/* Collect one page, and put it back. True if it now is a single one. */
static bool pagemap_split_at(struct mm_struct *mm, unsigned long addr,
			     void *owner)
{
	unsigned long src = 0, dst = 0;
	struct migrate_vma migrate = {
		.vma = vma_lookup(mm, addr),
		.start = addr,
		.end = addr + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = owner,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	struct page *page;

	if (!migrate.vma || migrate_vma_setup(&migrate))
		return false;

	page = migrate_pfn_to_page(src);
	/* The owner may be the address of another one by now. */
	if (page && pagemap_page_known(page))
		pagemap_count(pagemap_folio_zdd(page_folio(page))->dpagemap,
			      PAGEMAP_STAT_BLOCK_SPLIT, 1);
	migrate_vma_finalize(&migrate);

	return page;
}

/* Any page of the block will do; the first ones may have been unmapped. */
static bool pagemap_split_range(struct mm_struct *mm, unsigned long addr,
				void *owner)
{
	unsigned long offset;

	if (pagemap_split_at(mm, addr, owner))
		return true;

	for (offset = PAGE_SIZE; offset < PMD_SIZE; offset <<= 1)
		if (pagemap_split_at(mm, addr + offset, owner))
			return true;

	return pagemap_split_at(mm, addr + PMD_SIZE - PAGE_SIZE, owner);
}

/* False if somebody has the mmap lock, so that it is worth another attempt. */
static bool pagemap_split_try(struct mm_struct *mm, unsigned long addr,
			      void *owner)
{
	bool locked;

	/* Without users there is nothing left to do. */
	if (!mmget_not_zero(mm))
		return true;

	locked = mmap_read_trylock(mm);
	if (locked) {
		pagemap_split_range(mm, addr, owner);
		mmap_read_unlock(mm);
	}
	mmput_async(mm);

	return locked;
}

static void pagemap_split_free(struct pagemap_split_request *req)
{
	mmdrop(req->mm);
	kfree(req);
}

/* Each that is there is tried once; those that come meanwhile queue the work. */
static void pagemap_split_worker(struct work_struct *work)
{
	struct pagemap_split_request *req, *next;
	LIST_HEAD(requests);

	scoped_guard(spinlock, &pagemap_split_lock)
		list_splice_init(&pagemap_split_requests, &requests);

	list_for_each_entry_safe(req, next, &requests, link) {
		if (pagemap_split_try(req->mm, req->addr, req->owner) ||
		    time_after(jiffies, req->deadline)) {
			list_del(&req->link);
			pagemap_split_free(req);
		}
		cond_resched();
	}
	if (list_empty(&requests))
		return;

	scoped_guard(spinlock, &pagemap_split_lock)
		list_splice(&requests, &pagemap_split_requests);
	queue_delayed_work(system_dfl_wq, to_delayed_work(work),
			   PAGEMAP_SPLIT_PAUSE);
}

static DECLARE_DELAYED_WORK(pagemap_split_work, pagemap_split_worker);

/* Adds the request, unless there are too many. */
static bool pagemap_split_add(struct pagemap_split_request *req)
{
	const struct pagemap_split_request *other;
	unsigned int all = 0, of_mm = 0;

	guard(spinlock)(&pagemap_split_lock);
	list_for_each_entry(other, &pagemap_split_requests, link) {
		all++;
		of_mm += other->mm == req->mm;
	}
	if (all >= PAGEMAP_MAX_SPLITS || of_mm >= PAGEMAP_MAX_SPLITS_OF_ONE)
		return false;

	list_add_tail(&req->link, &pagemap_split_requests);

	return true;
}

static void pagemap_split_later(struct pagemap_evict *e, unsigned long addr)
{
	struct pagemap_split_request *req;

	/* One is enough to tell whether it can be done this way. */
	if (e->asked)
		return;

	req = kmalloc_obj(*req, GFP_NOWAIT | __GFP_NOWARN);
	if (!req)
		return;

	mmgrab(e->mm);
	req->mm = e->mm;
	req->addr = addr;
	req->owner = e->dpagemap->pagemap->owner;
	req->deadline = jiffies + PAGEMAP_SPLIT_PATIENCE;
	if (!pagemap_split_add(req)) {
		pagemap_split_free(req);
		return;
	}
	e->asked = true;
	/* At once, also if the worker pauses for others. */
	mod_delayed_work(system_dfl_wq, &pagemap_split_work, 0);
}

/**
 * pagemap_split_block() - split a block in VRAM
 * @e: eviction
 * @i: index of the block's first page in the allocation
 * @page: that page
 *
 * Context: no folio locked. The mmap lock is not waited for.
 * Return: whether it is no block any more. A caller that looks at it again gets
 *	along with either.
 */
bool pagemap_split_block(struct pagemap_evict *e, unsigned long i,
			 struct page *page)
{
	unsigned long addr = e->addr + (i << PAGE_SHIFT);

	if (!pagemap_split_try(e->mm, addr, e->dpagemap->pagemap->owner))
		pagemap_split_later(e, addr);

	return !folio_test_large(page_folio(page));
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_split_block);

void pagemap_split_exit(void)
{
	struct pagemap_split_request *req, *next;

	cancel_delayed_work_sync(&pagemap_split_work);
	/* No pagemap is left that could ask for more. */
	list_for_each_entry_safe(req, next, &pagemap_split_requests, link)
		pagemap_split_free(req);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A block in VRAM that no block in RAM can be had for is split. mm does that
 * where a single page of it is collected by its address, and for all that map
 * the block; by physical address it does not. So the owner's address space is
 * entered, if it still is there, at the address that the block was moved in
 * from: both are hints. Nothing moves here; eviction finds single pages then.
 *
 * An eviction may hold a dma_resv, which comes after the mmap lock, so that it
 * can but try to take the latter. A worker without any lock waits for it, for
 * the next attempt. It works on the address space alone, and needs no reference
 * to the pagemap; just this module must wait for it.
 */
#include <linux/llist.h>
#include <linux/memremap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "pagemap_evict.h"
#include "pagemap_report.h"

/* Requests that wait for the mmap lock, of all pagemaps. */
#define PAGEMAP_MAX_SPLITS	64

struct pagemap_split_request {
	struct llist_node link;
	struct mm_struct *mm;		/* grabbed */
	unsigned long addr;
	void *owner;			/* of the device pages; to compare */
};

static LLIST_HEAD(pagemap_split_requests);
static atomic_t pagemap_num_splits;

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

static void pagemap_split_worker(struct work_struct *work)
{
	struct pagemap_split_request *req, *next;

	llist_for_each_entry_safe(req, next,
				  llist_del_all(&pagemap_split_requests), link) {
		if (mmget_not_zero(req->mm)) {
			mmap_read_lock(req->mm);
			pagemap_split_range(req->mm, req->addr, req->owner);
			mmap_read_unlock(req->mm);
			mmput_async(req->mm);
		}
		mmdrop(req->mm);
		kfree(req);
		atomic_dec(&pagemap_num_splits);
		cond_resched();
	}
}

static DECLARE_WORK(pagemap_split_work, pagemap_split_worker);

static void pagemap_split_later(struct pagemap_evict *e, unsigned long addr)
{
	struct pagemap_split_request *req;

	/* One is enough to tell whether it can be done this way. */
	if (e->asked || atomic_read(&pagemap_num_splits) >= PAGEMAP_MAX_SPLITS)
		return;

	req = kmalloc_obj(*req, GFP_NOWAIT | __GFP_NOWARN);
	if (!req)
		return;

	mmgrab(e->mm);
	req->mm = e->mm;
	req->addr = addr;
	req->owner = e->dpagemap->pagemap->owner;
	e->asked = true;
	atomic_inc(&pagemap_num_splits);
	if (llist_add(&req->link, &pagemap_split_requests))
		queue_work(system_dfl_wq, &pagemap_split_work);
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

	if (!mmget_not_zero(e->mm))
		return false;

	if (mmap_read_trylock(e->mm)) {
		pagemap_split_range(e->mm, addr, e->dpagemap->pagemap->owner);
		mmap_read_unlock(e->mm);
	} else {
		pagemap_split_later(e, addr);
	}
	mmput_async(e->mm);

	return !folio_test_large(page_folio(page));
}

void pagemap_split_exit(void)
{
	flush_work(&pagemap_split_work);
}

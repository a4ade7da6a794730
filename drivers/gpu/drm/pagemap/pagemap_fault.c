// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * CPU faults on device-private pages. mm calls with the mmap lock held for
 * reading and the faulting folio locked and referenced, and drops lock and
 * reference afterwards itself. That extra reference makes the faulting folio
 * special: it can be moved as it is, but not split on the way.
 *
 *   entry maps             passes
 *   one page               the window
 *   a page of a large      the page alone, which makes mm split the folio,
 *   folio                  then the window: mm loses track of the fault's
 *                          folio if it has to split it in a wider pass
 *   a PMD                  the PMD; without a large page in RAM a pass that
 *                          only splits the mapping, then the page alone
 *
 * The page that faulted is what counts. The rest of the window comes along if
 * there is memory for it without trying hard.
 */
#include <linux/export.h>
#include <linux/memremap.h>

#include "pagemap_internal.h"

struct pagemap_fault {
	struct vm_fault *vmf;
	struct drm_pagemap *dpagemap;
	struct drm_pagemap_devmem *devmem;	/* of the page that faulted */
	struct pagemap_batch *batch;
	unsigned long start;			/* of the pass */
	bool split;				/* the pass is to split a block */
	bool moved;				/* the page that faulted is home */
};

static unsigned long pagemap_fault_addr(const struct pagemap_fault *f)
{
	return f->vmf->address & PAGE_MASK;
}

/* Entry of the page that faulted. */
static unsigned long pagemap_fault_index(const struct pagemap_fault *f)
{
	return ALIGN_DOWN((pagemap_fault_addr(f) - f->start) >> PAGE_SHIFT,
			  1UL << f->batch->order);
}

static bool pagemap_slice_runs(const struct drm_pagemap_devmem *devmem)
{
	return time_before64(get_jiffies_64(),
			     READ_ONCE(devmem->timeslice_expiration));
}

/*
 * May the page of entry @i come along? It was collected if its owner is right,
 * which can be a group of pagemaps. Drivers expect the pages of one copy to be
 * of one allocation.
 */
static bool pagemap_fault_takes(const struct pagemap_fault *f, unsigned long i)
{
	struct page *page = pagemap_batch_src_page(f->batch, i);

	return page && page_pgmap(page) == f->dpagemap->pagemap &&
	       pagemap_folio_zdd(page_folio(page))->devmem == f->devmem;
}

static void pagemap_fault_choose(struct pagemap_fault *f)
{
	struct pagemap_batch *b = f->batch;
	unsigned long i;

	pagemap_batch_for_each(b, i)
		if (!pagemap_fault_takes(f, i))
			b->src[i] &= ~MIGRATE_PFN_MIGRATE;
}

/* How hard to try for a block follows what the owner said about its VMA. */
static gfp_t pagemap_fault_gfp(const struct pagemap_fault *f, unsigned long i)
{
	unsigned long vm_flags = f->vmf->vma->vm_flags;

	if (f->batch->order)
		return vm_flags & VM_HUGEPAGE ? GFP_TRANSHUGE | __GFP_NORETRY :
						GFP_TRANSHUGE_LIGHT;
	if (f->split || i == pagemap_fault_index(f))
		return GFP_HIGHUSER_MOVABLE;

	return GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN;
}

static int pagemap_fault_get_dst(struct pagemap_fault *f, unsigned long i)
{
	struct pagemap_batch *b = f->batch;
	struct folio *folio;

	if (b->order && f->vmf->vma->vm_flags & VM_NOHUGEPAGE)
		return -ENOMEM;

	folio = vma_alloc_folio(pagemap_fault_gfp(f, i), b->order,
				f->vmf->vma, f->start + (i << PAGE_SHIFT));
	if (!folio)
		return -ENOMEM;

	b->dst[i] = pagemap_ram_dst(folio);

	return 0;
}

/*
 * mm splits the mapping of a block when it finds a single page as its
 * destination. The folio it can hardly split, because of the fault's
 * reference; if it does, the first page moves, so it is copied as well.
 */
static int pagemap_fault_get_split_dst(struct pagemap_fault *f)
{
	struct pagemap_batch *b = f->batch;

	/* Somebody else has split it. */
	if (!b->order || !(b->src[0] & MIGRATE_PFN_MIGRATE))
		return 0;

	b->order = 0;
	b->demoted = true;

	return pagemap_fault_get_dst(f, 0);
}

/* The page that faulted first; the others until one cannot be had. */
static int pagemap_fault_get_dsts(struct pagemap_fault *f)
{
	struct pagemap_batch *b = f->batch;
	unsigned long i, fault = pagemap_fault_index(f);

	if (f->split)
		return pagemap_fault_get_split_dst(f);

	if (b->src[fault] & MIGRATE_PFN_MIGRATE) {
		int err = pagemap_fault_get_dst(f, fault);

		if (err)
			return err;
	}

	pagemap_batch_for_each(b, i) {
		if (b->dst[i] || !(b->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		if (pagemap_fault_get_dst(f, i))
			break;
	}

	return 0;
}

static int pagemap_fault_move(struct pagemap_fault *f,
			      struct migrate_vma *migrate)
{
	struct pagemap_batch *b = f->batch;
	int err;

	pagemap_fault_choose(f);
	err = pagemap_fault_get_dsts(f);
	if (!err)
		err = pagemap_copy_to_ram(b, f->devmem);
	pagemap_block_unguard(b);
	if (err) {
		pagemap_batch_drop_all_dst(b);
		return err;
	}

	migrate_vma_pages(migrate);
	pagemap_retire_moved(b);
	if (b->src[pagemap_fault_index(f)] & MIGRATE_PFN_MIGRATE)
		f->moved = true;

	return 0;
}

static int pagemap_fault_pass(struct pagemap_fault *f,
			      struct pagemap_window window)
{
	struct pagemap_batch *b = f->batch;
	struct migrate_vma migrate = {
		.vma = f->vmf->vma,
		.start = window.start,
		.end = window.end,
		.src = b->src,
		.dst = b->dst,
		.pgmap_owner = f->dpagemap->pagemap->owner,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
		.fault_page = f->vmf->page,
	};
	int err;

	if (window.end - window.start == PMD_SIZE)
		migrate.flags |= MIGRATE_VMA_SELECT_COMPOUND;

	err = migrate_vma_setup(&migrate);
	if (err || !migrate.cpages)
		return err;

	f->start = window.start;
	pagemap_batch_collected(b, migrate.npages);
	err = pagemap_fault_move(f, &migrate);
	migrate_vma_finalize(&migrate);
	pagemap_block_release(b);

	return err;
}

static int pagemap_fault_one_page(struct pagemap_fault *f)
{
	unsigned long addr = pagemap_fault_addr(f);

	return pagemap_fault_pass(f, (struct pagemap_window) {
		.start = addr,
		.end = addr + PAGE_SIZE,
	});
}

/* Bring the page home, in the widest window that works. */
static int pagemap_fault_serve(struct pagemap_fault *f)
{
	struct vm_area_struct *vma = f->vmf->vma;
	struct pagemap_window bounds = { vma->vm_start, vma->vm_end };
	struct pagemap_window window = pagemap_window(pagemap_fault_addr(f),
						      f->devmem->size, bounds);
	bool large = folio_test_large(page_folio(f->vmf->page));
	bool pmd = !f->vmf->pte;
	int err;

	if (large && !pmd) {
		err = pagemap_fault_one_page(f);
		if (err)
			return err;
		/* Still large: mm could not split it, so stay with one page. */
		if (folio_test_large(page_folio(f->vmf->page)))
			return 0;
	}

	err = pagemap_fault_pass(f, window);
	if (!err || f->moved)
		return 0;

	if (pmd) {
		f->split = true;
		err = pagemap_fault_pass(f, window);
		f->split = false;
		if (err || f->moved)
			return err;
	}

	return pagemap_fault_one_page(f);
}

static vm_fault_t pagemap_fault_result(const struct pagemap_fault *f, int err)
{
	if (err && err != -ENOMEM)
		return VM_FAULT_SIGBUS;

	/*
	 * Somebody else has a reference to the page, or the memory that it
	 * takes: let them get on with it.
	 */
	if (!f->moved)
		pagemap_wait_raced(f->vmf, f->dpagemap);

	return err ? VM_FAULT_OOM : 0;
}

/* dev_pagemap_ops.migrate_to_ram */
vm_fault_t pagemap_migrate_to_ram(struct vm_fault *vmf)
{
	struct drm_pagemap_zdd *zdd = pagemap_folio_zdd(page_folio(vmf->page));
	struct pagemap_fault f = { .vmf = vmf };
	bool migrate = true;
	vm_fault_t ret = 0;

	if (pagemap_fault_is_khugepaged(vmf->flags, (current->flags & PF_KTHREAD) &&
					!current->mm)) {
		release_fault_lock(vmf);
		return VM_FAULT_RETRY;
	}

	/* The folios' references go as they move; this one stays to the end. */
	kref_get(&zdd->refcount);
	f.devmem = zdd->devmem;
	f.dpagemap = zdd->dpagemap;

	if (pagemap_slice_runs(f.devmem))
		ret = pagemap_wait_slice(vmf, zdd, &migrate);
	else
		pagemap_forget_wait();

	if (migrate) {
		f.batch = pagemap_batch_get(f.dpagemap, PAGEMAP_POOL_FAULT);
		ret = pagemap_fault_result(&f, pagemap_fault_serve(&f));
		pagemap_batch_put(f.dpagemap, PAGEMAP_POOL_FAULT, f.batch);
	}

	pagemap_zdd_put(zdd);

	return ret;
}

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
 * there is memory for it without trying hard, and the page comes alone if the
 * window cannot.
 *
 *   what went wrong        then
 *   no memory              smaller windows down to the page, VM_FAULT_OOM
 *   page is referenced     wait a moment, and let the access fault again
 *   the copy               the page alone; if that fails as well, and not for
 *                          a passing reason, SIGBUS. It stays in VRAM
 */
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/memremap.h>
#include <linux/sizes.h>

#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_report.h"

/* Without memory for the whole window, a window of this fraction of its size. */
#define PAGEMAP_SHRINK_SHIFT	3

/**
 * struct pagemap_fault - a fault and its passes
 * @vmf: as mm gave it
 * @dpagemap: pagemap of the page
 * @devmem: allocation of the page that faulted
 * @policy: of the pagemap, or NULL
 * @window: what to bring home
 * @near: the part of it in which pages of other allocations come along
 * @near_size: the same, before it was cut to what there is
 * @hint: what the address space did last, with a policy
 * @batch: of the pass
 * @start: address of the pass
 * @split: the pass is to split a block, and moves nothing
 * @no_page: there was no memory for the page that faulted
 * @moved: the page that faulted is home
 * @waited_ns: time that the fault had to wait for a timeslice
 */
struct pagemap_fault {
	struct vm_fault *vmf;
	struct drm_pagemap *dpagemap;
	struct drm_pagemap_devmem *devmem;
	const struct drm_pagemap_fault_policy *policy;
	struct pagemap_window window;
	struct pagemap_window near;
	unsigned long near_size;
	struct pagemap_hint *hint;
	struct pagemap_batch *batch;
	unsigned long start;
	bool split;
	bool no_page;
	bool moved;
	u64 waited_ns;
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

static bool pagemap_has_to_wait(const struct pagemap_fault *f,
				const struct drm_pagemap_devmem *devmem)
{
	return pagemap_slice_runs(devmem) &&
	       !(f->policy && f->policy->ignore_timeslice);
}

/* Can its pages go in one copy with those of the page that faulted? */
static bool pagemap_fault_takes_other(const struct pagemap_fault *f,
				      const struct drm_pagemap_devmem *devmem,
				      unsigned long addr)
{
	return addr >= f->near.start && addr < f->near.end &&
	       devmem->ops == f->devmem->ops && devmem->dev == f->devmem->dev &&
	       !pagemap_has_to_wait(f, devmem);
}

/*
 * May the page of entry @i come along? It was collected if its owner is right,
 * which can be a group of pagemaps. Drivers without a policy expect the pages
 * of one copy to be of one allocation.
 */
static bool pagemap_fault_takes(const struct pagemap_fault *f, unsigned long i)
{
	struct page *page = pagemap_batch_src_page(f->batch, i);
	struct drm_pagemap_devmem *devmem;

	if (!page || page_pgmap(page) != f->dpagemap->pagemap)
		return false;

	devmem = pagemap_folio_zdd(page_folio(page))->devmem;

	return devmem == f->devmem ||
	       pagemap_fault_takes_other(f, devmem, f->start + (i << PAGE_SHIFT));
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

/* A block of several hundred MiB, as there are, is too much for one fault. */
static bool pagemap_fault_wants_block(const struct pagemap_fault *f)
{
	unsigned long size = PAGE_SIZE << f->batch->order;

	return size <= SZ_32M && !(f->vmf->vma->vm_flags & VM_NOHUGEPAGE);
}

static int pagemap_fault_get_dst(struct pagemap_fault *f, unsigned long i)
{
	struct pagemap_batch *b = f->batch;
	struct folio *folio;

	if (b->order && !pagemap_fault_wants_block(f))
		return -ENOMEM;
	if (pagemap_inject(b->order ? PAGEMAP_INJECT_RAM_BLOCK :
				      PAGEMAP_INJECT_RAM_PAGE))
		return -ENOMEM;

	folio = vma_alloc_folio(pagemap_fault_gfp(f, i), b->order,
				f->vmf->vma, f->start + (i << PAGE_SHIFT));
	if (!folio)
		return -ENOMEM;

	b->dst[i] = pagemap_ram_dst(folio);

	return 0;
}

/* The page that faulted first; the others until one cannot be had. */
static int pagemap_fault_get_dsts(struct pagemap_fault *f)
{
	struct pagemap_batch *b = f->batch;
	unsigned long i, fault = pagemap_fault_index(f);

	if (b->src[fault] & MIGRATE_PFN_MIGRATE) {
		int err = pagemap_fault_get_dst(f, fault);

		if (err) {
			f->no_page = !b->order;
			return err;
		}
	}

	pagemap_batch_for_each(b, i) {
		if (b->dst[i] || !(b->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		if (pagemap_fault_get_dst(f, i))
			break;
	}

	return 0;
}

/*
 * mm splits the mapping of a block, and then the folio, when it finds a single
 * page as its destination. It must not get to the second step, after which it
 * would move the first page, whose content has not been copied: the guard, one
 * reference too many, keeps it from that.
 */
static int pagemap_fault_split(struct pagemap_fault *f,
			       struct migrate_vma *migrate)
{
	struct pagemap_batch *b = f->batch;
	int err = 0;

	/* Unless somebody else has split it. */
	if (b->block && (b->src[0] & MIGRATE_PFN_MIGRATE)) {
		b->order = 0;
		b->demoted = true;
		err = pagemap_fault_get_dst(f, 0);
	}
	if (b->dst[0]) {
		migrate_vma_pages(migrate);
		pagemap_count(f->dpagemap, PAGEMAP_STAT_BLOCK_SPLIT, 1);
	}
	pagemap_block_unguard(b);

	return err;
}

/* Does the error of a copy say nothing about the data? */
static bool pagemap_error_passes(int err)
{
	switch (err) {
	case 0:
	case -ENOMEM:
	case -EAGAIN:
	case -EBUSY:
	case -EINTR:
	case -ERESTARTSYS:
		return true;
	default:
		return false;
	}
}

static int pagemap_fault_copy(struct pagemap_fault *f)
{
	int err = pagemap_copy_to_ram(f->batch, f->devmem);

	if (!pagemap_error_passes(err))
		pagemap_report_copy_error(f->dpagemap, PAGEMAP_CPU_FAULT, err);

	return err;
}

static int pagemap_fault_move(struct pagemap_fault *f,
			      struct migrate_vma *migrate)
{
	struct pagemap_batch *b = f->batch;
	int err;

	pagemap_fault_choose(f);
	if (f->split)
		return pagemap_fault_split(f, migrate);

	err = pagemap_fault_get_dsts(f);
	if (!err)
		err = pagemap_fault_copy(f);
	pagemap_block_unguard(b);
	if (err || pagemap_inject(PAGEMAP_INJECT_COMMIT)) {
		pagemap_batch_drop_all_dst(b);
		return err;
	}

	migrate_vma_pages(migrate);
	pagemap_retire_moved(b);
	if (b->src[pagemap_fault_index(f)] & MIGRATE_PFN_MIGRATE)
		f->moved = true;

	return 0;
}

static int pagemap_fault_migrate(struct pagemap_fault *f,
				 struct pagemap_window window,
				 struct pagemap_report *report)
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

	err = pagemap_batch_collect(f->dpagemap, b, &migrate);
	if (err || !migrate.cpages)
		return err;

	f->start = window.start;
	report->order = b->order;
	err = pagemap_fault_move(f, &migrate);
	if (!err && !f->split)
		report->moved = pagemap_batch_moved(b);
	migrate_vma_finalize(&migrate);
	pagemap_block_release(b);

	return err;
}

static int pagemap_fault_run(struct pagemap_fault *f,
			     struct pagemap_window window)
{
	struct pagemap_report report = {
		.direction = PAGEMAP_CPU_FAULT,
		.start = window.start,
		.npages = (window.end - window.start) >> PAGE_SHIFT,
	};
	u64 began = ktime_get_ns();

	pagemap_report_begin(f->dpagemap, PAGEMAP_CPU_FAULT, report.start,
			     report.npages);
	report.err = pagemap_fault_migrate(f, window, &report);
	report.ns = ktime_get_ns() - began;
	pagemap_report_end(f->dpagemap, &report);

	return report.err;
}

/* The batch is on the stack, which a pass with a large one must not pay for. */
static noinline int pagemap_fault_small_pass(struct pagemap_fault *f,
					     struct pagemap_window window)
{
	struct pagemap_small_batch small;

	f->batch = pagemap_small_batch_init(&small);

	return pagemap_fault_run(f, window);
}

static noinline int pagemap_fault_large_pass(struct pagemap_fault *f,
					     struct pagemap_window window)
{
	int err;

	f->batch = pagemap_batch_get(f->dpagemap, PAGEMAP_POOL_FAULT);
	err = pagemap_fault_run(f, window);
	pagemap_batch_put(f->dpagemap, PAGEMAP_POOL_FAULT, f->batch);

	return err;
}

static int pagemap_fault_pass(struct pagemap_fault *f,
			      struct pagemap_window window)
{
	return window.end - window.start <= PAGEMAP_SMALL_PAGES * PAGE_SIZE ?
	       pagemap_fault_small_pass(f, window) :
	       pagemap_fault_large_pass(f, window);
}

static struct pagemap_window
pagemap_fault_window(const struct pagemap_fault *f, unsigned long size)
{
	const struct vm_area_struct *vma = f->vmf->vma;

	return pagemap_window(pagemap_fault_addr(f), size,
			      (struct pagemap_window) {
					.start = vma->vm_start,
					.end = vma->vm_end,
			      });
}

static int pagemap_fault_one_page(struct pagemap_fault *f)
{
	return pagemap_fault_pass(f, pagemap_fault_window(f, PAGE_SIZE));
}

static int pagemap_fault_shrink(struct pagemap_fault *f)
{
	unsigned long size = f->window.end - f->window.start;
	int err = -ENOMEM;

	while (err == -ENOMEM && size > PAGE_SIZE) {
		size = f->no_page ? PAGE_SIZE :
				    max(size >> PAGEMAP_SHRINK_SHIFT, PAGE_SIZE);
		err = pagemap_fault_pass(f, pagemap_fault_window(f, size));
	}

	return err;
}

/* The window did not work: bring the page home without it. */
static int pagemap_fault_retry(struct pagemap_fault *f, int err)
{
	if (err != -ENOMEM && pagemap_error_passes(err))
		return err;

	/* The mapping of a block is split first. */
	if (!f->vmf->pte) {
		f->split = true;
		err = pagemap_fault_pass(f, f->window);
		f->split = false;
		return err ?: pagemap_fault_one_page(f);
	}

	if (f->window.end - f->window.start == PAGE_SIZE)
		return err;
	if (err != -ENOMEM)
		return pagemap_fault_one_page(f);

	return pagemap_fault_shrink(f);
}

/* Bring the page home, in the widest window that works. */
static int pagemap_fault_serve(struct pagemap_fault *f)
{
	bool pmd = !f->vmf->pte;
	int err;

	if (!pmd && folio_test_large(page_folio(f->vmf->page))) {
		err = pagemap_fault_one_page(f);
		if (err)
			return err;
		/* Still large: mm could not split it, so stay with one page. */
		if (folio_test_large(page_folio(f->vmf->page)))
			return 0;
	}

	err = pagemap_fault_pass(f, f->window);
	if (!err || f->moved)
		return 0;

	return pagemap_fault_retry(f, err);
}

static void pagemap_fault_apply_policy(struct pagemap_fault *f,
				       const struct drm_pagemap_zdd *zdd)
{
	const struct mm_struct *mm = f->vmf->vma->vm_mm;
	unsigned long addr = pagemap_fault_addr(f), size, old;

	f->hint = pagemap_hint_find(&f->dpagemap->priv->hints, mm, addr);
	old = READ_ONCE(f->hint->mm) == mm ? READ_ONCE(f->hint->size) : 0;
	/* A block moves as a whole. */
	size = f->vmf->pte ? pagemap_window_size(f->hint, mm, addr, f->policy) :
			     pagemap_batch_size();
	if (size != old)
		pagemap_report_window(f->dpagemap, addr, old, size);

	f->near_size = size;
	f->near = pagemap_fault_window(f, size);
	/* What is left of an allocation is not worth the VRAM that it keeps. */
	if (atomic_read(&zdd->live) < size >> PAGE_SHIFT)
		size = max(size, f->devmem->size);
	f->window = pagemap_fault_window(f, size);
}

static vm_fault_t pagemap_fault_result(const struct pagemap_fault *f, int err)
{
	if (f->moved) {
		pagemap_forget_waits();
		return 0;
	}
	if (err == -ENOMEM) {
		pagemap_count(f->dpagemap, PAGEMAP_STAT_FAULT_OOM, 1);
		pagemap_wait_memory(f->vmf, f->dpagemap);
		return VM_FAULT_OOM;
	}
	if (!pagemap_error_passes(err)) {
		pagemap_count(f->dpagemap, PAGEMAP_STAT_FAULT_SIGBUS, 1);
		return VM_FAULT_SIGBUS;
	}

	pagemap_count(f->dpagemap, PAGEMAP_STAT_FAULT_RACED, 1);

	return pagemap_wait_raced(f->vmf, f->dpagemap);
}

/* The mmap lock may be gone on return. */
static vm_fault_t pagemap_fault_go(struct pagemap_fault *f,
				   const struct drm_pagemap_zdd *zdd)
{
	unsigned long addr = pagemap_fault_addr(f);
	struct drm_pagemap *dpagemap = f->dpagemap;
	vm_fault_t ret;
	int err;

	pagemap_count(dpagemap, PAGEMAP_STAT_CPU_FAULTS, 1);
	if (f->policy)
		pagemap_fault_apply_policy(f, zdd);
	else
		f->window = pagemap_fault_window(f, f->devmem->size);

	err = pagemap_fault_serve(f);
	if (f->moved && f->policy)
		pagemap_hint_note(f->hint, f->vmf->vma->vm_mm, f->near,
				  f->near_size);
	ret = pagemap_fault_result(f, err);
	pagemap_report_fault(dpagemap, addr, f->window.start, f->window.end,
			     f->waited_ns, ret);

	return ret;
}

static bool pagemap_fault_refused(const struct vm_fault *vmf)
{
	return pagemap_fault_is_khugepaged(vmf->flags,
					   (current->flags & PF_KTHREAD) &&
					   !current->mm);
}

/* dev_pagemap_ops.migrate_to_ram */
vm_fault_t pagemap_migrate_to_ram(struct vm_fault *vmf)
{
	struct drm_pagemap_zdd *zdd = pagemap_folio_zdd(page_folio(vmf->page));
	struct pagemap_fault f = {
		.vmf = vmf,
		.dpagemap = zdd->dpagemap,
		.devmem = zdd->devmem,
		.policy = zdd->dpagemap->fault_policy,
	};
	bool migrate = true, waited;
	vm_fault_t ret = 0;

	if (pagemap_fault_refused(vmf)) {
		pagemap_count(f.dpagemap, PAGEMAP_STAT_FAULT_REFUSED, 1);
		release_fault_lock(vmf);
		return VM_FAULT_RETRY;
	}

	/* The folios' references go as they move; this one stays to the end. */
	kref_get(&zdd->refcount);

	waited = pagemap_take_waited(vmf->address, &f.waited_ns);
	if (pagemap_has_to_wait(&f, f.devmem)) {
		u64 began = ktime_get_ns();

		ret = pagemap_wait_slice(vmf, zdd, waited, &migrate);
		f.waited_ns += ktime_get_ns() - began;
	}
	if (migrate)
		ret = pagemap_fault_go(&f, zdd);

	pagemap_zdd_put(zdd);

	return ret;
}

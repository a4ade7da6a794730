// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Which pages a range has: taking them, and what drm_gpusvm does not tell of
 * them. Who calls has locked the range, and has work space of his own; he may
 * wait for user space, as long as it likes, so nothing else is locked.
 *
 * An answer is good as long as the pages are valid that were taken before it.
 */
#include <drm/drm_gpusvm.h>
#include <linux/hmm.h>
#include <linux/huge_mm.h>
#include <linux/memremap.h>
#include <linux/mm.h>

#include "vsvm_inject.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

/**
 * vsvm_range_scan - look where the pages of a range are
 * @vm: address space
 * @range: range
 * @vdev: whose VRAM counts as that of the device
 * @space: gets the answer in @res
 *
 * Return: as vsvm_scan().
 */
int vsvm_range_scan(struct vsvm_vm *vm, struct vsvm_range *range,
		    struct vsvm_device *vdev, struct vsvm_space *space)
{
	struct vsvm_scanner scanner = {
		.notifier = &range->base.notifier->notifier,
		.mm = vm->mm,
		.vdev = vdev,
		.pfn = space->pfn,
	};

	return vsvm_scan(&scanner, drm_gpusvm_range_start(&range->base),
			 drm_gpusvm_range_end(&range->base), space->res);
}

/* Has it a page that @is says so of? No, if nobody can tell. */
static bool vsvm_range_any(struct vsvm_vm *vm, struct vsvm_range *range,
			   struct vsvm_space *space, bool (*is)(u8 res))
{
	unsigned long i;

	if (vsvm_range_scan(vm, range, vm->vdev, space))
		return false;
	for (i = 0; i < vsvm_range_npages(range); i++) {
		if (is(space->res[i]))
			return true;
	}
	return false;
}

/*
 * A page in VRAM that the process shares with another one, after a fork(), and
 * must not write to. hmm hands out the pages of a device and its peers as they
 * are, even if asked for pages to write to.
 */
static bool vsvm_page_shared(u8 res)
{
	return vsvm_page_in_vram(res) && !(res & DRM_VSVM_RES_WRITE) &&
	       !vsvm_inject_unguarded();
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

	if (!vsvm_pfn_in_block(pfn) || vsvm_inject_unguarded())
		return 0;
	found = folio_page_idx(page_folio(page), page);
	return (start & ~HPAGE_PMD_MASK) - (found << PAGE_SHIFT);
}

/* The first page after @i that a page-table entry of its own maps. */
static unsigned long vsvm_range_next(struct vsvm_range *range, unsigned long i,
				     unsigned long pfn)
{
	const unsigned long size = 1ul << hmm_pfn_to_map_order(pfn);
	const unsigned long at =
		(drm_gpusvm_range_start(&range->base) >> PAGE_SHIFT) + i;

	return i + size - (at & (size - 1));
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
static int vsvm_range_mark_dirty(struct vsvm_vm *vm, struct vsvm_range *range,
				 struct vsvm_space *space)
{
	const unsigned long npages = vsvm_range_npages(range);
	struct folio *folio, *last = NULL;
	unsigned long i;
	bool valid;

	if (vsvm_inject_unguarded())
		return 0;
	drm_gpusvm_notifier_lock(&vm->svm);
	valid = drm_gpusvm_pages_valid(&vm->svm, &range->pages);
	for (i = 0; i < npages && valid;
	     i = vsvm_range_next(range, i, space->pfn[i])) {
		folio = page_folio(hmm_pfn_to_page(space->pfn[i]));
		if (folio != last)
			folio_mark_dirty(folio);
		last = folio;
	}
	drm_gpusvm_notifier_unlock(&vm->svm);
	return valid ? 0 : -EAGAIN;
}

/* Which pages, and can the GPU have all of them for what it wants? */
static int vsvm_range_look_at(struct vsvm_vm *vm, struct vsvm_range *range,
			      struct vsvm_space *space)
{
	const unsigned long npages = vsvm_range_npages(range);
	unsigned long i;

	if (vsvm_range_scan(vm, range, vm->vdev, space))
		return -EAGAIN;
	for (i = 0; i < npages; i = vsvm_range_next(range, i, space->pfn[i])) {
		if (!(space->pfn[i] & HMM_PFN_VALID))
			return -EAGAIN;
		if (vsvm_page_shared(space->res[i]))
			range->writable = false;
	}
	range->skip = vsvm_range_skip(range, space->pfn[0]);
	return range->writable ? vsvm_range_mark_dirty(vm, range, space) : 0;
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
static int vsvm_range_look(struct vsvm_vm *vm, struct vsvm_range *range,
			   struct vsvm_space *space)
{
	const bool inside = !IS_ALIGNED(drm_gpusvm_range_start(&range->base),
					HPAGE_PMD_SIZE);
	int err;

	range->skip = 0;
	err = vsvm_range_check(vm, range);
	if (err)
		return err;
	if (range->writable || (range->pages.flags.has_devmem_pages && inside))
		return vsvm_range_look_at(vm, range, space);
	return 0;
}

/**
 * vsvm_range_unshare - give the process pages of its own, as the GPU is to write
 * @vm: address space
 * @range: locked range
 * @space: work space
 *
 * As a write by the CPU would. They come home for that, and the migration takes
 * them back.
 *
 * Return: 0, -EAGAIN, -ENOMEM, -EINTR.
 */
int vsvm_range_unshare(struct vsvm_vm *vm, struct vsvm_range *range,
		       struct vsvm_space *space)
{
	unsigned long addr = drm_gpusvm_range_start(&range->base);
	unsigned long i;
	int err = 0;

	if (vsvm_range_scan(vm, range, vm->vdev, space))
		return -EAGAIN;
	for (i = 0; i < vsvm_range_npages(range) && !err; i++) {
		if (vsvm_page_shared(space->res[i]))
			err = vsvm_fault_in(vm->mm, addr + i * PAGE_SIZE);
	}
	return !err || err == -ENOMEM || err == -EINTR ? err : -EAGAIN;
}

/**
 * vsvm_range_go_home - bring a range to system memory, if any of it is elsewhere
 * @vm: address space
 * @range: locked range
 * @space: work space
 *
 * Return: 0 or what drm_gpusvm_range_evict() says.
 */
int vsvm_range_go_home(struct vsvm_vm *vm, struct vsvm_range *range,
		       struct vsvm_space *space)
{
	return vsvm_range_any(vm, range, space, vsvm_page_in_vram) ?
	       drm_gpusvm_range_evict(&vm->svm, &range->base) : 0;
}

/**
 * vsvm_range_get_pages - take the pages of a range
 * @vm: address space
 * @range: locked range, which is not mapped
 * @space: work space
 * @ctx: as drm_gpusvm wants it
 *
 * Sets range->writable to whether all of it can be mapped for writing.
 *
 * Return: 0; -EAGAIN if something changed meanwhile, or the range was removed;
 * -ENOMEM, -EINTR.
 */
int vsvm_range_get_pages(struct vsvm_vm *vm, struct vsvm_range *range,
			 struct vsvm_space *space,
			 const struct drm_gpusvm_ctx *ctx)
{
	int err;

	range->writable = !ctx->read_only;
	err = drm_gpusvm_get_pages(&vm->svm, &range->pages, vm->mm,
				   &range->base.notifier->notifier,
				   drm_gpusvm_range_start(&range->base),
				   drm_gpusvm_range_end(&range->base), ctx);
	if (!err)
		return vsvm_range_look(vm, range, space);
	if (err == -ENOMEM)
		return err;
	/* Of another device, to which there is no link now? */
	if (err == -EOPNOTSUPP ||
	    vsvm_range_any(vm, range, space, vsvm_page_at_peer))
		drm_gpusvm_range_evict(&vm->svm, &range->base);
	return -EAGAIN;
}

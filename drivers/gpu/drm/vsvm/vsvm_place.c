// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Where a process's memory is, and moving it. All of this looks at the CPU's
 * page tables only; what the GPU maps follows from invalidations and faults.
 *
 * Moving is best effort: a page that is pinned, swapped out or busy stays where
 * it is. To VRAM it goes in the largest aligned pieces that work; the core finds
 * them by itself if it has the additions for it.
 */
#include <drm/drm_drv.h>
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/hugetlb_inline.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "vsvm_bo.h"
#include "vsvm_copy.h"
#include "vsvm_drv.h"
#include "vsvm_inject.h"
#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

/* A scan that is disturbed this often gives up. */
#define VSVM_SCAN_TRIES		64
/* How long one that is to move pages tries again, for all of its range. */
#define VSVM_FAULT_TIMEOUT	HZ

/* Allocation sizes, in descending order. */
static const unsigned long vsvm_piece[] = { SZ_2M, SZ_64K, SZ_4K };

/*
 * Memory that the kernel itself has no way to, by memfd_secret(), is for nobody
 * but the process. What says so is mm's own; the file system is not.
 */
static bool vsvm_vma_is_secret(const struct vm_area_struct *vma)
{
	return vma->vm_file &&
	       file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC;
}

/* Would get_user_pages() refuse it too? */
static bool vsvm_vma_is_refused(const struct vm_area_struct *vma)
{
	return vma->vm_flags & (VM_IO | VM_PFNMAP) || vsvm_vma_is_secret(vma);
}

/* The CPU writes a shadow stack as it calls, and in no other way. */
static bool vsvm_vma_is_writable(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_WRITE && !(vma->vm_flags & VM_SHADOW_STACK);
}

/**
 * vsvm_span_at - look up the mapping around an address
 * @mm: address space of a process, with a reference of its users
 * @addr: address
 * @span: gets what is there
 *
 * Return: 0, -EFAULT if nothing is mapped there or it is no memory that a device
 * may have, -EINTR.
 */
int vsvm_span_at(struct mm_struct *mm, unsigned long addr,
		 struct vsvm_span *span)
{
	struct vm_area_struct *vma;
	int err = -EFAULT;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, addr);
	if (vma && !vsvm_vma_is_refused(vma)) {
		span->start = vma->vm_start;
		span->end = vma->vm_end;
		span->read = vma->vm_flags & VM_READ;
		span->write = vsvm_vma_is_writable(vma);
		span->anon = vma_is_anonymous(vma) && !is_vm_hugetlb_page(vma);
		if (vma->vm_flags & VM_EXEC)
			vsvm_copy_note_code();
		err = 0;
	}
	mmap_read_unlock(mm);
	return err;
}

/**
 * vsvm_span_check - is all of a range mapped?
 * @mm: address space of a process, with a reference of its users
 * @start: first address
 * @end: address after the last one
 *
 * Return: 0, -EFAULT if there is a hole, -EINTR.
 */
int vsvm_span_check(struct mm_struct *mm, unsigned long start,
		    unsigned long end)
{
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (start < end) {
		vma = vma_lookup(mm, start);
		if (!vma)
			break;
		start = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return start < end ? -EFAULT : 0;
}

/* Home from VRAM or from who took it, a copy of its own, writable: a fault each. */
#define VSVM_FAULT_STEPS	3

/**
 * vsvm_fault_in - give a process a page of its own, in RAM, to write to
 * @mm: address space of a process, with a reference of its users
 * @addr: address
 *
 * As a write by the CPU would. Lets mmap_lock go while userfaultfd is asked. And
 * not by get_user_pages(), which marks the page as accessed: it then waits in a
 * list of this CPU to become an active one, which holds a reference, so that it
 * cannot be moved by another CPU until that list is full.
 *
 * Context: process, without mmap_lock.
 *
 * Return: 0, -EINTR, or why it cannot have one.
 */
int vsvm_fault_in(struct mm_struct *mm, unsigned long addr)
{
	unsigned int i;
	bool unlocked;
	int err = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (i = 0; i < VSVM_FAULT_STEPS && !err; i++)
		err = fixup_user_fault(mm, addr,
				       FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE,
				       &unlocked);
	mmap_read_unlock(mm);
	return err;
}

/* From a file, or shared: what somebody else may have to give. */
static struct vm_area_struct *vsvm_next_file(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end)
{
	struct vm_area_struct *vma;

	VMA_ITERATOR(vmi, mm, start);
	for_each_vma_range(vmi, vma, end) {
		if (!vma_is_anonymous(vma) &&
		    !(vma->vm_flags & (VM_IO | VM_PFNMAP)))
			return vma;
	}
	return NULL;
}

/**
 * vsvm_read_in - have pages of files read before hmm asks for them
 * @mm: address space of a process, with a reference of its users
 * @start: first address
 * @end: address after the last one
 * @write: to write to, where the process may
 *
 * A page that cannot be read is an error at the second attempt, as the first one
 * lets mmap_lock go to wait for it. hmm_range_fault_unlocked_timeout() does not
 * tell mm that it is the second one, so each is the first, and takes that for
 * progress: it goes on for ever, at full speed (Linux 7.3).
 *
 * Memory without a file costs a look at its VMA.
 *
 * Context: process, without mmap_lock. May wait for user space for ever.
 *
 * Return: 0, -EINTR, or why some page cannot be had.
 */
int vsvm_read_in(struct mm_struct *mm, unsigned long start, unsigned long end,
		 bool write)
{
	struct vm_area_struct *vma;
	unsigned int flags;
	bool unlocked;
	int err = 0;

	if (vsvm_inject_unguarded())
		return 0;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	/* Each fault may have let the lock go. */
	while (!err && (vma = vsvm_next_file(mm, start, end))) {
		start = max(start, vma->vm_start);
		flags = FAULT_FLAG_REMOTE;
		if (write && vma->vm_flags & VM_WRITE)
			flags |= FAULT_FLAG_WRITE;
		err = fixup_user_fault(mm, start, flags, &unlocked);
		start += PAGE_SIZE;
	}
	mmap_read_unlock(mm);
	return err;
}

static u8 vsvm_scan_page(struct vsvm_device *vdev, unsigned long pfn)
{
	u8 res = DRM_VSVM_RES_SYSTEM;
	struct page *page;

	if (!(pfn & HMM_PFN_VALID))
		return DRM_VSVM_RES_NONE;
	page = hmm_pfn_to_page(pfn);
	if (is_device_private_page(page))
		res = page_pgmap(page) == &vdev->pagemap ?
		      DRM_VSVM_RES_DEVICE : DRM_VSVM_RES_PEER;
	if (pfn & HMM_PFN_WRITE)
		res |= DRM_VSVM_RES_WRITE;
	if (hmm_pfn_to_map_order(pfn) == HPAGE_PMD_ORDER)
		res |= DRM_VSVM_RES_PMD;
	return res;
}

/**
 * vsvm_scan - look where pages are
 * @scanner: who looks; nobody else may use it meanwhile
 * @start: first address
 * @end: address after the last one, at most VSVM_SCAN_PAGES away
 * @res: gets DRM_VSVM_RES_* for each page
 *
 * Moves nothing, makes nothing present. The answer may be old on return.
 *
 * Context: process; takes mmap_lock.
 *
 * Return: 0, -EINTR, -EBUSY if the range kept changing, -EFAULT.
 */
int vsvm_scan(struct vsvm_scanner *scanner, unsigned long start,
	      unsigned long end, u8 *res)
{
	const unsigned long npages = (end - start) >> PAGE_SHIFT;
	struct hmm_range range = {
		.notifier = scanner->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = scanner->pfn,
		.dev_private_owner = scanner->vdev->peer.owner,
	};
	unsigned int tries = VSVM_SCAN_TRIES;
	unsigned long i;
	int err;

	do {
		memset(scanner->pfn, 0, npages * sizeof(*scanner->pfn));
		range.notifier_seq = mmu_interval_read_begin(range.notifier);
		if (mmap_read_lock_killable(scanner->mm))
			return -EINTR;
		err = hmm_range_fault(&range);
		mmap_read_unlock(scanner->mm);
	} while (err == -EBUSY && --tries);
	if (err)
		return err;
	for (i = 0; i < npages; i++)
		res[i] = vsvm_scan_page(scanner->vdev, scanner->pfn[i]);
	return 0;
}

/* Errors after which it makes no sense to go on with the next piece. */
static bool vsvm_place_fatal(int err)
{
	return err == -ENODEV || err == -EINTR || err == -ERESTARTSYS;
}

/* Not if the device is about to go, with what frees its BOs. */
static void vsvm_place_flush(struct vsvm_device *vdev)
{
	int idx;

	if (!drm_dev_enter(&vdev->drm, &idx))
		return;
	vsvm_vram_flush(vdev);
	drm_dev_exit(idx);
}

/**
 * vsvm_place_piece - move one piece of memory to VRAM
 * @to: where to
 * @mm: address space of a process, with a reference of its users
 * @start: first address
 * @size: SZ_4K, SZ_64K or SZ_2M, which @start is a multiple of
 * @is_part: it is but a part of one that had its own chances
 *
 * What keeps it from moving may be gone in a moment (somebody else moves it, or
 * VRAM is about to become free): it gets a second chance, unless @is_part.
 *
 * Context: process, without mmap_lock and without any dma_resv.
 *
 * Return: 0; or -EBUSY, -ENOSPC, -ENOMEM, -ENODEV, -EINTR, -ERESTARTSYS.
 */
int vsvm_place_piece(const struct vsvm_target *to, struct mm_struct *mm,
		     unsigned long start, unsigned long size, bool is_part)
{
	int err;

	err = drm_pagemap_populate_mm(to->dpagemap, start, start + size, mm,
				      to->timeslice_ms);
	if (err == -ENOSPC || err == -ENOMEM)
		vsvm_place_flush(to->vdev);
	else if (err != -EBUSY || is_part)
		return err;
	return drm_pagemap_populate_mm(to->dpagemap, start, start + size, mm,
				       to->timeslice_ms);
}

/* Pieces of one size and below, down to @min_size for those that cannot move. */
static int vsvm_place_run(const struct vsvm_target *to, struct mm_struct *mm,
			  unsigned long start, unsigned long end,
			  unsigned long min_size)
{
	unsigned long max_size = SZ_2M, retry_end = start;
	int err;

	while (start < end) {
		unsigned long size = SZ_4K;
		unsigned int i;

		if (start >= retry_end)
			max_size = SZ_2M;
		for (i = 0; i < ARRAY_SIZE(vsvm_piece); i++) {
			size = vsvm_piece[i];
			if (size <= max_size && IS_ALIGNED(start, size) &&
			    end - start >= size)
				break;
		}
		err = vsvm_place_piece(to, mm, start, size, max_size < SZ_2M);
		if (vsvm_place_fatal(err))
			return err;
		if (err == -EBUSY && size > max(min_size, SZ_4K)) {
			retry_end = max(retry_end, start + size);
			max_size = size == SZ_2M ? SZ_64K : SZ_4K;
			continue;
		}
		start += size;
		if (max_size == SZ_4K && IS_ALIGNED(start, SZ_64K))
			max_size = SZ_64K;
	}
	return 0;
}

/**
 * vsvm_place_at_once - move memory to VRAM, as far as possible
 * @to: where to; a device with additions
 * @mm: address space of a process, with a reference of its users
 * @start: first address
 * @end: address after the last one
 *
 * Context: process, without mmap_lock and without any dma_resv.
 *
 * Return: 0 also if some stayed; -ENODEV, -EINTR or -ERESTARTSYS.
 */
int vsvm_place_at_once(const struct vsvm_target *to, struct mm_struct *mm,
		       unsigned long start, unsigned long end)
{
	int err = drm_pagemap_populate_mm(to->dpagemap, start, end, mm,
					  to->timeslice_ms);

	return vsvm_place_fatal(err) ? err : 0;
}

/**
 * vsvm_place_in_vram - move memory to VRAM, piece by piece
 * @to: where to
 * @mm: address space of a process, with a reference of its users
 * @start: first address, in one anonymous VMA
 * @end: address after the last one
 * @res: where its pages are now; those in VRAM stay
 * @min_size: if a piece cannot move as a whole, try parts down to this size
 *
 * What there is to do without the additions of drm_pagemap.
 *
 * Context: process, without mmap_lock and without any dma_resv.
 *
 * Return: 0 also if some stayed; -ENODEV, -EINTR or -ERESTARTSYS.
 */
int vsvm_place_in_vram(const struct vsvm_target *to, struct mm_struct *mm,
		       unsigned long start, unsigned long end, const u8 *res,
		       unsigned long min_size)
{
	const unsigned long npages = (end - start) >> PAGE_SHIFT;
	unsigned long i = 0, first;
	int err = 0;

	while (i < npages && !err) {
		first = i;
		while (i < npages &&
		       (res[i] & DRM_VSVM_RES_MASK) != DRM_VSVM_RES_DEVICE)
			i++;
		if (i > first)
			err = vsvm_place_run(to, mm, start + first * PAGE_SIZE,
					     start + i * PAGE_SIZE, min_size);
		else
			i++;
	}
	return err;
}

/**
 * vsvm_place_back - bring home what is in VRAM, and touch nothing else
 * @scanner: whose memory; nobody else may use it meanwhile
 * @start: first address
 * @end: address after the last one, at most VSVM_SCAN_PAGES away
 * @res: where its pages are
 *
 * Context: process, without mmap_lock.
 *
 * Return: 0 or what hmm_range_fault_unlocked_timeout() says.
 */
int vsvm_place_back(struct vsvm_scanner *scanner, unsigned long start,
		    unsigned long end, const u8 *res)
{
	struct hmm_range range = {
		.notifier = scanner->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = scanner->pfn,
		.pfn_flags_mask = HMM_PFN_REQ_FAULT,
		/* No owner: pages of any device come home. */
	};
	unsigned long i;

	for (i = 0; i < (end - start) >> PAGE_SHIFT; i++)
		scanner->pfn[i] = vsvm_page_in_vram(res[i]) ? HMM_PFN_REQ_FAULT : 0;
	return hmm_range_fault_unlocked_timeout(&range, VSVM_FAULT_TIMEOUT);
}

/* Does anybody still want what a request does? */
static bool vsvm_place_wanted(const struct vsvm_vm *vm)
{
	return !READ_ONCE(vm->closed) && !signal_pending(current) &&
	       !drm_dev_is_unplugged(&vm->vdev->drm);
}

/**
 * vsvm_place_in_ram - move memory to system memory
 * @vm: address space, for which that is done
 * @scanner: whose memory; nobody else may use it meanwhile
 * @start: first address
 * @end: address after the last one, at most VSVM_SCAN_PAGES away
 *
 * Also gives pages to memory that had none.
 *
 * Context: process, without mmap_lock.
 *
 * Return: 0 also if some stayed, such as when the address space is closed or a
 * signal comes; -EINTR.
 */
int vsvm_place_in_ram(const struct vsvm_vm *vm, struct vsvm_scanner *scanner,
		      unsigned long start, unsigned long end)
{
	const unsigned long deadline = jiffies + VSVM_FAULT_TIMEOUT;
	struct hmm_range range = {
		.notifier = scanner->notifier,
		.hmm_pfns = scanner->pfn,
		.default_flags = HMM_PFN_REQ_FAULT,
		/* No owner: pages of any device come home. */
	};
	unsigned long size = end - start;
	int err;

	while (start < end && vsvm_place_wanted(vm)) {
		/* Once that is over, each page still has a try. */
		const long left = max(1l, (long)(deadline - jiffies));

		range.start = start;
		range.end = start + size;
		memset(scanner->pfn, 0, (size >> PAGE_SHIFT) *
		       sizeof(*scanner->pfn));
		err = vsvm_read_in(scanner->mm, range.start, range.end, false);
		err = err ?: hmm_range_fault_unlocked_timeout(&range, left);
		if (err == -EINTR)
			return err;
		/* Some page cannot be had: let it not keep the others. */
		if (err && size > PAGE_SIZE)
			size = PAGE_SIZE;
		else
			start += size;
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * GPU page tables. They are in VRAM, where the CPU cannot go: every change is a
 * command on the paging ring, whose order makes a table empty before it is
 * linked, and an entry written before it is cleared.
 *
 *	level 3    level 2     level 1         level 0
 *	root ----> 512 GiB --> 1 GiB --+-----> 2 MiB --> pages of 4 KiB
 *				       +-> a large page of 2 MiB
 *
 * No SVM range crosses 2 MiB, so the entries of one are neighbours in one
 * table. A range remembers where, and its invalidation is a single fill that
 * looks at no table.
 *
 * vsvm_vm.pt_lock is for the tree of tables, and for who uses which of them. Who
 * has given up his entries for good gets no other ones: a fault may be under way
 * with a range that was removed meanwhile.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "vsvm_bo.h"
#include "vsvm_peer.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

static unsigned int vsvm_pt_index(const struct vsvm_pt *pt, u64 va)
{
	return VSVM_PT_INDEX(va, pt->level);
}

static u64 vsvm_pt_span(unsigned int level)
{
	return 1ull << VSVM_PT_SHIFT(level + 1);
}

static struct vsvm_pt *vsvm_pt_create(struct vsvm_vm *vm, unsigned int level,
				      u64 va)
{
	struct vsvm_pt *pt;
	struct vsvm_bo *bo;

	pt = kvzalloc_flex(*pt, child, level ? VSVM_PT_ENTRIES : 0,
			   GFP_KERNEL_ACCOUNT);
	if (!pt)
		return ERR_PTR(-ENOMEM);
	bo = vsvm_table_create(vm->vdev);
	if (IS_ERR(bo)) {
		kvfree(pt);
		return ERR_CAST(bo);
	}
	pt->bo = bo;
	pt->offset = vsvm_bo_offset(bo);
	pt->va = ALIGN_DOWN(va, vsvm_pt_span(level));
	pt->level = level;
	INIT_LIST_HEAD(&pt->lru);
	vsvm_quota_add(vm, VSVM_POOL_TABLES, VSVM_HW_PAGE_SIZE);
	return pt;
}

static void vsvm_pt_destroy(struct vsvm_vm *vm, struct vsvm_pt *pt)
{
	vsvm_quota_add(vm, VSVM_POOL_TABLES, -(s64)VSVM_HW_PAGE_SIZE);
	vsvm_table_destroy(pt->bo);
	list_del(&pt->lru);
	kvfree(pt);
}

/* Nobody waits: what uses the link follows on the same ring. */
static void vsvm_pt_link(struct vsvm_vm *vm, struct vsvm_pt *parent,
			 struct vsvm_pt *pt)
{
	const unsigned int index = vsvm_pt_index(parent, pt->va);
	struct vsvm_push push;

	vsvm_push_begin(&push, &vm->vdev->ring[VSVM_HW_PAGING], NULL);
	vsvm_push_fill(&push, parent->offset + index * sizeof(u64),
		       pt->offset | VSVM_PTE_VALID, 0, sizeof(u64));
	vsvm_push_end(&push);
	pt->parent = parent;
	parent->child[index] = pt;
	parent->users++;
}

/* The invalidation makes sure that no walk is still inside the table. */
static void vsvm_pt_unlink(struct vsvm_vm *vm, struct vsvm_pt *pt)
{
	struct vsvm_ring *ring = &vm->vdev->ring[VSVM_HW_PAGING];
	const unsigned int index = vsvm_pt_index(pt->parent, pt->va);
	struct vsvm_wait wait;
	struct vsvm_push push;

	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	vsvm_push_fill(&push, pt->parent->offset + index * sizeof(u64), 0, 0,
		       sizeof(u64));
	vsvm_pt_flush(&push, vm, pt->va, vsvm_pt_span(pt->level));
	vsvm_push_end(&push);
	vsvm_wait_for(ring, &wait);
	pt->parent->child[index] = NULL;
	pt->parent->users--;
}

/* Frees a table that nobody uses, and those above it that only led to it. */
static void vsvm_pt_prune(struct vsvm_vm *vm, struct vsvm_pt *pt)
{
	while (pt && pt->parent && !pt->users) {
		struct vsvm_pt *parent = pt->parent;

		vsvm_pt_unlink(vm, pt);
		vsvm_pt_destroy(vm, pt);
		pt = parent;
	}
}

static struct vsvm_pt *vsvm_pt_get(struct vsvm_vm *vm, u64 va,
				   unsigned int level)
{
	struct vsvm_pt *pt = vm->root;

	while (pt->level > level) {
		struct vsvm_pt *child = pt->child[vsvm_pt_index(pt, va)];

		if (!child) {
			child = vsvm_pt_create(vm, pt->level - 1, va);
			if (IS_ERR(child)) {
				vsvm_pt_prune(vm, pt);
				return child;
			}
			vsvm_pt_link(vm, pt, child);
		}
		pt = child;
	}
	pt->users++;
	pt->pages++;
	return pt;
}

static int vsvm_pt_set_root(struct vsvm_vm *vm, u64 offset)
{
	struct vsvm_ring *ring = &vm->vdev->ring[VSVM_HW_PAGING];
	struct vsvm_wait wait;
	struct vsvm_push push;

	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	vsvm_push_root(&push, vsvm_vm_hw_queue(vm), VSVM_VM_QUEUES, offset);
	vsvm_push_end(&push);
	return vsvm_wait_for(ring, &wait);
}

/**
 * vsvm_pt_init - give an address space an empty page table
 * @vm: address space with queues
 *
 * Return: 0, -ENOMEM, -ENOSPC, -EIO, -ENODEV or -ERESTARTSYS.
 */
int vsvm_pt_init(struct vsvm_vm *vm)
{
	struct vsvm_pt *root;
	int err;

	root = vsvm_pt_create(vm, VSVM_PT_LEVELS - 1, 0);
	if (IS_ERR(root))
		return PTR_ERR(root);
	err = vsvm_pt_set_root(vm, root->offset);
	if (err) {
		vsvm_pt_destroy(vm, root);
		return err;
	}
	vm->root = root;
	return 0;
}

/**
 * vsvm_pt_disable - take the page table away from the hardware
 * @vm: address space
 *
 * No access by way of it is under way any more on return.
 */
void vsvm_pt_disable(struct vsvm_vm *vm)
{
	vsvm_pt_set_root(vm, VSVM_NO_ROOT);
}

/**
 * vsvm_pt_fini - free all tables
 * @vm: disabled address space without ranges
 */
void vsvm_pt_fini(struct vsvm_vm *vm)
{
	struct vsvm_pt *pt;
	unsigned int i;

	guard(mutex)(&vm->pt_lock);
	pt = vm->root;
	/* Depth first, without recursion. */
	while (pt) {
		struct vsvm_pt *next = NULL;

		for (i = 0; pt->level && i < VSVM_PT_ENTRIES && !next; i++) {
			next = pt->child[i];
			pt->child[i] = NULL;
		}
		if (!next) {
			next = pt->parent;
			vsvm_pt_destroy(vm, pt);
		}
		pt = next;
	}
	vm->root = NULL;
}

static void vsvm_pt_leave(struct vsvm_vm *vm, struct vsvm_ptes *ptes)
{
	struct vsvm_pt *pt = ptes->pt;

	if (!pt)
		return;
	ptes->pt = NULL;
	pt->users--;
	if (!--pt->pages)
		list_del_init(&pt->lru);
	vsvm_pt_prune(vm, pt);
}

/**
 * vsvm_pt_attach - make room for entries
 * @vm: address space
 * @ptes: what nothing is mapped by; gets where the entries are
 * @start: first virtual address
 * @size: bytes, which do not cross 2 MiB
 * @large: it will be one large entry
 *
 * Context: may evict memory, so without locks that an invalidation needs.
 *
 * Return: 0; -EAGAIN if they were given up for good; or why there is no table:
 * -ENOMEM, -ENOSPC, -EIO, -ENODEV.
 */
int vsvm_pt_attach(struct vsvm_vm *vm, struct vsvm_ptes *ptes, u64 start,
		   u64 size, bool large)
{
	const unsigned int level = large ? 1 : 0;
	struct vsvm_pt *pt;

	guard(mutex)(&vm->pt_lock);
	if (ptes->gone)
		return -EAGAIN;
	if (ptes->pt && ptes->pt->level == level) {
		list_move_tail(&ptes->pt->lru, &vm->pt_lru);
		return 0;
	}
	vsvm_pt_leave(vm, ptes);
	pt = vsvm_pt_get(vm, start, level);
	if (IS_ERR(pt))
		return PTR_ERR(pt);
	list_move_tail(&pt->lru, &vm->pt_lru);
	ptes->pt = pt;
	ptes->offset = pt->offset + vsvm_pt_index(pt, start) * sizeof(u64);
	ptes->bytes = large ? sizeof(u64) : size >> VSVM_HW_PAGE_SHIFT << 3;
	return 0;
}

/**
 * vsvm_pt_detach - give up the room for entries, for good
 * @vm: address space
 * @ptes: what nothing is mapped by
 */
void vsvm_pt_detach(struct vsvm_vm *vm, struct vsvm_ptes *ptes)
{
	guard(mutex)(&vm->pt_lock);
	ptes->gone = true;
	vsvm_pt_leave(vm, ptes);
}

/**
 * vsvm_pt_release - give up the room for entries, until there is to be another one
 * @vm: address space, locked so that nobody maps by way of @ptes
 * @ptes: what nothing is mapped by
 */
void vsvm_pt_release(struct vsvm_vm *vm, struct vsvm_ptes *ptes)
{
	guard(mutex)(&vm->pt_lock);
	vsvm_pt_leave(vm, ptes);
}

/**
 * vsvm_pt_coldest - the table for pages that nothing faulted in for longest
 * @vm: address space
 * @cold: gets what it is for; it may be gone on return
 *
 * Return: false if there is none.
 */
bool vsvm_pt_coldest(struct vsvm_vm *vm, struct vsvm_cold *cold)
{
	struct vsvm_pt *pt;

	guard(mutex)(&vm->pt_lock);
	pt = list_first_entry_or_null(&vm->pt_lru, struct vsvm_pt, lru);
	if (!pt)
		return false;
	*cold = (struct vsvm_cold) {
		.start = pt->va,
		.size = vsvm_pt_span(pt->level),
		.level = pt->level,
	};
	return true;
}

/**
 * vsvm_pt_is_cold - are entries in a table that is to go?
 * @vm: address space
 * @ptes: entries, within the addresses of @cold
 * @cold: what vsvm_pt_coldest() found
 *
 * Return: true if so.
 */
bool vsvm_pt_is_cold(struct vsvm_vm *vm, const struct vsvm_ptes *ptes,
		     const struct vsvm_cold *cold)
{
	guard(mutex)(&vm->pt_lock);
	return ptes->pt && ptes->pt->level == cold->level;
}

/**
 * vsvm_pt_forget - give up entries in tables that go as well
 * @vm: address space whose page table was disabled
 * @ptes: what was mapped by
 */
void vsvm_pt_forget(struct vsvm_vm *vm, struct vsvm_ptes *ptes)
{
	guard(mutex)(&vm->pt_lock);
	ptes->gone = true;
	ptes->pt = NULL;
}

/**
 * vsvm_range_is_atomic - may atomic operations go to a part of a range?
 * @range: range whose pages were taken
 * @addr: where the part is
 *
 * Return: true if so.
 */
bool vsvm_range_is_atomic(const struct vsvm_range *range,
			  const struct drm_pagemap_addr *addr)
{
	return range->writable && (range->atomic_anywhere ||
				   addr->proto == VSVM_INTERCONNECT_VRAM);
}

static u64 vsvm_pte_encode(struct vsvm_range *range,
			   const struct drm_pagemap_addr *addr)
{
	u64 pte = VSVM_PTE_VALID;

	if (range->writable)
		pte |= VSVM_PTE_WRITE;
	if (vsvm_range_is_atomic(range, addr))
		pte |= VSVM_PTE_ATOMIC;
	if (addr->proto == VSVM_INTERCONNECT_VRAM)
		return pte | VSVM_HW_VRAM << VSVM_PTE_APERTURE_SHIFT |
		       (vsvm_addr_offset(to_vsvm(range->pages.drm), addr) +
			range->skip);
	if (vsvm_addr_is_peer(addr))
		return pte | VSVM_HW_PEER << VSVM_PTE_APERTURE_SHIFT |
		       (vsvm_peer_hw_addr(addr) + range->skip);
	return pte | VSVM_HW_SYSTEM << VSVM_PTE_APERTURE_SHIFT | addr->addr;
}

static unsigned long vsvm_range_pages(struct vsvm_range *range)
{
	return drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT;
}

/* All its memory in one piece, so that entry i is the first one + i pages? */
static bool vsvm_pt_contiguous(struct vsvm_range *range, u64 *first)
{
	const struct drm_pagemap_addr *addr = range->pages.dma_addr;
	const unsigned long npages = vsvm_range_pages(range);
	unsigned long i, j;

	*first = vsvm_pte_encode(range, &addr[0]);
	for (i = 0, j = 0; i < npages; i += 1ul << addr[j].order, j++) {
		if (vsvm_pte_encode(range, &addr[j]) != *first + i * PAGE_SIZE)
			return false;
	}
	return true;
}

/**
 * vsvm_pt_large - can one large entry map a range?
 * @range: range whose pages were taken
 *
 * Return: true if it is as large as a large page, and its memory is one.
 */
bool vsvm_pt_large(struct vsvm_range *range)
{
	u64 first;

	return drm_gpusvm_range_size(&range->base) == VSVM_HW_LARGE_SIZE &&
	       vsvm_pt_contiguous(range, &first) &&
	       IS_ALIGNED(first & VSVM_PTE_ADDR_MASK, VSVM_HW_LARGE_SIZE);
}

/**
 * vsvm_pt_write - write the entries of a range
 * @push: submission on the paging ring
 * @vm: address space, with the staging area locked until @push has completed
 * @range: attached range whose pages are valid
 */
void vsvm_pt_write(struct vsvm_push *push, struct vsvm_vm *vm,
		   struct vsvm_range *range)
{
	const struct drm_pagemap_addr *addr = range->pages.dma_addr;
	const unsigned long npages = vsvm_range_pages(range);
	unsigned long i, j, k;
	u64 first;

	lockdep_assert_held(&vm->staging_lock);
	if (vsvm_pt_contiguous(range, &first)) {
		if (range->ptes.pt->level)
			first |= VSVM_PTE_LARGE;
		vsvm_push_fill(push, range->ptes.offset, first, PAGE_SIZE,
			       range->ptes.bytes);
		return;
	}
	for (i = 0, j = 0; i < npages; i += 1ul << addr[j].order, j++) {
		first = vsvm_pte_encode(range, &addr[j]);
		for (k = 0; k < 1ul << addr[j].order; k++)
			vm->staging[i + k] = first + k * PAGE_SIZE;
	}
	vsvm_push_copy(push, VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
		       VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
		       range->ptes.offset, vm->staging_dma, range->ptes.bytes);
}

/**
 * vsvm_pt_write_exclusive - write the entry of a page that was taken
 * @push: submission on the paging ring
 * @range: attached range of one page
 */
void vsvm_pt_write_exclusive(struct vsvm_push *push,
			     const struct vsvm_range *range)
{
	vsvm_push_fill(push, range->ptes.offset, range->exclusive_dma |
		       VSVM_HW_SYSTEM << VSVM_PTE_APERTURE_SHIFT |
		       VSVM_PTE_VALID | VSVM_PTE_WRITE | VSVM_PTE_ATOMIC, 0,
		       range->ptes.bytes);
}

/**
 * vsvm_pt_clear - clear entries
 * @push: submission on the paging ring; vsvm_pt_flush() must follow
 * @ptes: entries
 *
 * Context: with what keeps others from mapping by way of @ptes.
 */
void vsvm_pt_clear(struct vsvm_push *push, const struct vsvm_ptes *ptes)
{
	vsvm_push_fill(push, ptes->offset, 0, 0, ptes->bytes);
}

/**
 * vsvm_pt_flush - make the queues forget translations
 * @push: submission on the paging ring
 * @vm: address space
 * @start: first virtual address
 * @size: bytes
 */
void vsvm_pt_flush(struct vsvm_push *push, struct vsvm_vm *vm, u64 start,
		   u64 size)
{
	vsvm_push_tlb(push, vsvm_vm_hw_queue(vm), VSVM_VM_QUEUES, start, size);
}

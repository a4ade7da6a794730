// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Faults of the GPU where buffer objects are bound: what vsvm_bind.c left to the
 * first access.
 *
 *	fault --> binding, window --> room in the page table --> reserve the object
 *					   ^				|
 *					   +-- too large for it --  place, map
 */
#include <drm/drm_gpuvm.h>
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>

#include "vsvm_bind.h"
#include "vsvm_binding.h"
#include "vsvm_gem.h"
#include "vsvm_quota.h"
#include "vsvm_vm.h"

/* Room in VRAM, and a large page that is none: two reasons to look again. */
#define VSVM_BIND_TRIES		4

static u64 vsvm_binding_flags(struct vsvm_binding *binding)
{
	return binding->readonly ? VSVM_PTE_VALID :
	       VSVM_PTE_VALID | VSVM_PTE_WRITE | VSVM_PTE_ATOMIC;
}

/*
 * The entries of a window of system memory, in vm->staging. All of them, or
 * what another window left there would be mapped.
 *
 * Return: 0, or -EIO if the memory is not mapped for the device.
 */
static int vsvm_window_stage(struct vsvm_vm *vm, struct vsvm_binding *binding,
			     u64 addr)
{
	const u64 flags = vsvm_binding_flags(binding) |
			  VSVM_HW_SYSTEM << VSVM_PTE_APERTURE_SHIFT;
	const unsigned int num = vsvm_window_size(binding, addr) >> PAGE_SHIFT;
	struct sg_table *sgt = vsvm_tt_sgt(vsvm_binding_gem(binding));
	struct sg_dma_page_iter iter;
	unsigned int i = 0;

	for_each_sgtable_dma_page(sgt, &iter, vsvm_window_offset(binding, addr) >>
					      PAGE_SHIFT) {
		if (i == num)
			break;
		vm->staging[i++] = flags | sg_page_iter_dma_address(&iter);
	}
	return WARN_ON_ONCE(i != num) ? -EIO : 0;
}

/* Are the staged entries what one large one says? */
static bool vsvm_window_contiguous(struct vsvm_vm *vm)
{
	unsigned int i;

	if (!IS_ALIGNED(vm->staging[0] & VSVM_PTE_ADDR_MASK, VSVM_HW_LARGE_SIZE))
		return false;
	for (i = 1; i < VSVM_PT_ENTRIES; i++) {
		if (vm->staging[i] != vm->staging[0] + i * PAGE_SIZE)
			return false;
	}
	return true;
}

/* Return: 0, -EIO, or -EAGAIN if the memory is no large page, but has to be. */
static int vsvm_window_write(struct vsvm_push *push, struct vsvm_vm *vm,
			     struct vsvm_binding *binding, u64 addr, bool large)
{
	struct vsvm_gem *gem = vsvm_binding_gem(binding);
	const struct vsvm_ptes *ptes = &vsvm_window_at(binding, addr)->ptes;
	u64 first;
	int err;

	if (vsvm_bo_in_vram(&gem->base)) {
		first = vsvm_bo_offset(&gem->base) +
			vsvm_window_offset(binding, addr);
		if (large && !IS_ALIGNED(first, VSVM_HW_LARGE_SIZE))
			return -EAGAIN;
		first |= vsvm_binding_flags(binding);
	} else {
		err = vsvm_window_stage(vm, binding, addr);
		if (err)
			return err;
		if (large && !vsvm_window_contiguous(vm))
			return -EAGAIN;
		first = vm->staging[0];
		if (!large) {
			vsvm_push_copy(push,
				       VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
				       VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
				       ptes->offset, vm->staging_dma, ptes->bytes);
			return 0;
		}
	}
	vsvm_push_fill(push, ptes->offset, first | (large ? VSVM_PTE_LARGE : 0),
		       PAGE_SIZE, ptes->bytes);
	return 0;
}

static int vsvm_window_map(struct vsvm_vm *vm, struct vsvm_binding *binding,
			   u64 addr, bool large)
{
	struct vsvm_ring *ring = &vm->vdev->ring[VSVM_HW_PAGING];
	struct vsvm_wait wait;
	struct vsvm_push push;
	int err;

	guard(mutex)(&vm->staging_lock);
	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	err = vsvm_window_write(&push, vm, binding, addr, large);
	if (err)
		return err;
	vsvm_push_end(&push);
	WRITE_ONCE(vsvm_window_at(binding, addr)->mapped, true);
	vsvm_binding_gem(binding)->mapped++;
	return vsvm_wait_for(ring, &wait);
}

/* What a fault goes by on its way to a mapping. */
struct vsvm_bind_try {
	bool large;		/* the window may be a large page */
	bool room;		/* VRAM may have room in a moment */
};

static int vsvm_bind_fault_once(struct vsvm_vm *vm, struct vsvm_binding *binding,
				u64 addr, struct vsvm_bind_try *try)
{
	struct vsvm_window *window = vsvm_window_at(binding, addr);
	struct vsvm_gem *gem = vsvm_binding_gem(binding);
	bool mapped;
	int err;

	/* Once it is not, nobody but us looks at the window's entries. */
	dma_resv_lock(vsvm_gem_obj(gem)->resv, NULL);
	mapped = window->mapped;
	dma_resv_unlock(vsvm_gem_obj(gem)->resv);
	if (mapped)
		return 0;
	try->large &= vsvm_window_size(binding, addr) == VSVM_WINDOW &&
		      IS_ALIGNED(vsvm_window_offset(binding, addr), VSVM_WINDOW);
	/* May evict, this object too: so it comes before the reservation. */
	err = vsvm_pt_attach(vm, &window->ptes, vsvm_window_start(binding, addr),
			     vsvm_window_size(binding, addr), try->large);
	if (err)
		return err;
	dma_resv_lock(vsvm_gem_obj(gem)->resv, NULL);
	err = vsvm_gem_place(gem, try->room);
	if (!err) {
		err = vsvm_window_map(vm, binding, addr, try->large);
		if (err == -EAGAIN)
			try->large = false;
		if (!gem->mapped)
			vsvm_tt_unmap(gem);
	}
	ttm_bo_unreserve(&gem->base.ttm);
	if (err == -ENOSPC && try->room) {
		/* What is on its way out is none that TTM could evict. */
		vsvm_vram_flush(vm->vdev);
		try->room = false;
		err = -EAGAIN;
	}
	return err;
}

static int vsvm_bind_fault_locked(struct vsvm_vm *vm, u64 addr, u32 access)
{
	struct vsvm_bind_try try = { .large = true, .room = true };
	struct vsvm_binding *binding;
	unsigned int tries = 0;
	struct drm_gpuva *va;
	int err;

	if (READ_ONCE(vm->closed))
		return -ECANCELED;
	if (vsvm_vm_broken(vm))
		return -EIO;
	va = drm_gpuva_find_first(&vm->gpuvm, addr, 1);
	if (!va)
		return -EFAULT;
	binding = to_vsvm_binding(va);
	if (binding->readonly && access != VSVM_HW_READ)
		return -EFAULT;
	do {
		err = vsvm_bind_fault_once(vm, binding, addr, &try);
	} while (err == -EAGAIN && ++tries < VSVM_BIND_TRIES);
	return err;
}

/**
 * vsvm_bind_fault - serve a fault of the GPU where buffer objects are bound
 * @queue: which stalls
 * @addr: address that it touched
 * @access: VSVM_HW_READ, VSVM_HW_WRITE or VSVM_HW_ATOMIC
 *
 * On success the address is mapped, unless the object was moved again meanwhile.
 *
 * Context: process, without locks.
 *
 * Return: 0; -EFAULT if nothing is bound there, or for reading only; -ENOMEM,
 * -ENOSPC for want of a page table; -EIO; -ECANCELED if the address space is
 * being closed.
 */
int vsvm_bind_fault(struct vsvm_queue *queue, u64 addr, u32 access)
{
	struct vsvm_vm *vm = queue->vm;
	unsigned int tries = 0;
	int err;

	vsvm_reclaim(vm);
	do {
		scoped_guard(mutex, &vm->lock)
			err = vsvm_bind_fault_locked(vm, addr, access);
	} while (err == -ENOSPC && ++tries < VSVM_BIND_TRIES &&
		 vsvm_reclaim_tables(vm));
	return err;
}

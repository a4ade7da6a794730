// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects in GPU address spaces, on top of drm_gpuvm. They are bound to
 * addresses that no process has, so that they and SVM never meet.
 *
 * Binding writes no page-table entry: the first access of the GPU faults, as it
 * does when the object was moved since. A binding is mapped in windows, which
 * are the parts of it that share a table of 4 KiB entries, or are one large
 * entry.
 *
 *	fault --> binding, window --> room in the page table --> reserve the object
 *					   ^				|
 *					   +-- too large for it --  place, map
 *
 * Windows are written with vsvm_vm.lock, except for @mapped, which needs the
 * object's reservation: it alone is enough to take an object from the GPU, in
 * all address spaces.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gpuvm.h>
#include <linux/dma-mapping.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "vsvm_bind.h"
#include "vsvm_gem.h"
#include "vsvm_vm.h"

#define VSVM_WINDOW		VSVM_HW_LARGE_SIZE
/* Room in VRAM, and a large page that is none: two reasons to look again. */
#define VSVM_BIND_TRIES		4

/**
 * struct vsvm_window - a part of a binding
 * @ptes: its page-table entries
 * @mapped: they are valid
 */
struct vsvm_window {
	struct vsvm_ptes ptes;
	bool mapped;
};

/**
 * struct vsvm_binding - a buffer object at some addresses
 * @base: base
 * @readonly: the GPU may not write
 * @num: number of windows
 * @window: the windows
 */
struct vsvm_binding {
	struct drm_gpuva base;
	bool readonly;
	unsigned int num;
	struct vsvm_window window[] __counted_by(num);
};

static struct vsvm_binding *to_vsvm_binding(struct drm_gpuva *va)
{
	return container_of(va, struct vsvm_binding, base);
}

static struct vsvm_vm *vsvm_binding_vm(struct vsvm_binding *binding)
{
	return container_of(binding->base.vm, struct vsvm_vm, gpuvm);
}

static struct vsvm_gem *vsvm_binding_gem(struct vsvm_binding *binding)
{
	return to_vsvm_gem(binding->base.gem.obj);
}

static u64 vsvm_binding_end(struct vsvm_binding *binding)
{
	return binding->base.va.addr + binding->base.va.range;
}

static unsigned int vsvm_window_count(u64 start, u64 length)
{
	return (ALIGN(start + length, VSVM_WINDOW) -
		ALIGN_DOWN(start, VSVM_WINDOW)) / VSVM_WINDOW;
}

static struct vsvm_window *vsvm_window_at(struct vsvm_binding *binding, u64 addr)
{
	return &binding->window[addr / VSVM_WINDOW -
				binding->base.va.addr / VSVM_WINDOW];
}

/* The addresses of the window around one. */
static u64 vsvm_window_start(struct vsvm_binding *binding, u64 addr)
{
	return max(binding->base.va.addr, ALIGN_DOWN(addr, VSVM_WINDOW));
}

static u64 vsvm_window_size(struct vsvm_binding *binding, u64 addr)
{
	return min(vsvm_binding_end(binding),
		   ALIGN_DOWN(addr, VSVM_WINDOW) + VSVM_WINDOW) -
	       vsvm_window_start(binding, addr);
}

/* Where in the object that is. */
static u64 vsvm_window_offset(struct vsvm_binding *binding, u64 addr)
{
	return binding->base.gem.offset + vsvm_window_start(binding, addr) -
	       binding->base.va.addr;
}

/* Takes what is mapped from the GPU, with the object reserved. Anything? */
static bool vsvm_binding_clear(struct vsvm_push *push,
			       struct vsvm_binding *binding)
{
	const u64 end = vsvm_binding_end(binding);
	u64 first = U64_MAX, last = 0, addr;

	for (addr = binding->base.va.addr; addr < end;
	     addr = ALIGN_DOWN(addr, VSVM_WINDOW) + VSVM_WINDOW) {
		struct vsvm_window *window = vsvm_window_at(binding, addr);

		if (!window->mapped)
			continue;
		vsvm_pt_clear(push, &window->ptes);
		WRITE_ONCE(window->mapped, false);
		vsvm_binding_gem(binding)->mapped--;
		first = min(first, addr);
		last = addr + vsvm_window_size(binding, addr);
	}
	if (last)
		vsvm_pt_flush(push, vsvm_binding_vm(binding), first, last - first);
	return last;
}

static void vsvm_bind_wait(struct vsvm_device *vdev, struct vsvm_push *push,
			   struct vsvm_wait *wait)
{
	vsvm_push_end(push);
	vsvm_stat_add(vdev, VSVM_STAT_INVALIDATIONS, 1);
	/* The reset that this comes from has stopped the queues, for good. */
	if (vsvm_wait_for(push->ring, wait))
		dev_err_ratelimited(vdev->drm.dev, "unmapping failed\n");
}

/**
 * vsvm_bind_zap - take an object from the GPU, wherever it is bound
 * @gem: reserved object
 *
 * Context: process; does not allocate.
 */
void vsvm_bind_zap(struct vsvm_gem *gem)
{
	struct vsvm_device *vdev = to_vsvm(vsvm_gem_obj(gem)->dev);
	struct drm_gpuvm_bo *vm_bo;
	struct vsvm_wait wait;
	struct vsvm_push push;
	struct drm_gpuva *va;

	if (!gem->mapped)
		return;
	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, &vdev->ring[VSVM_HW_PAGING], &wait.sub);
	drm_gem_for_each_gpuvm_bo(vm_bo, vsvm_gem_obj(gem)) {
		drm_gpuvm_bo_for_each_va(va, vm_bo) {
			vsvm_binding_clear(&push, to_vsvm_binding(va));
			cond_resched();
		}
	}
	vsvm_bind_wait(vdev, &push, &wait);
	WARN_ON_ONCE(gem->mapped);
}

static void vsvm_binding_zap(struct vsvm_binding *binding)
{
	struct vsvm_device *vdev = vsvm_binding_vm(binding)->vdev;
	struct vsvm_wait wait;
	struct vsvm_push push;

	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, &vdev->ring[VSVM_HW_PAGING], &wait.sub);
	if (vsvm_binding_clear(&push, binding))
		vsvm_bind_wait(vdev, &push, &wait);
}

/* The tables were taken away: no entry is of use any more. */
static void vsvm_binding_drop(struct vsvm_binding *binding)
{
	unsigned int i;

	for (i = 0; i < binding->num; i++) {
		struct vsvm_window *window = &binding->window[i];

		if (window->mapped)
			vsvm_binding_gem(binding)->mapped--;
		window->mapped = false;
		window->ptes.pt = NULL;
	}
}

/* The binding is of no use to the GPU any more; @vm is locked. */
static void vsvm_binding_remove(struct vsvm_vm *vm, struct vsvm_binding *binding,
				void (*unmap)(struct vsvm_binding *binding))
{
	struct vsvm_gem *gem = vsvm_binding_gem(binding);
	struct drm_gem_object *obj = vsvm_gem_obj(gem);
	unsigned int i;

	/* The link may have been the last to hold it. */
	drm_gem_object_get(obj);
	dma_resv_lock(obj->resv, NULL);
	unmap(binding);
	if (!gem->mapped)
		vsvm_tt_unmap(gem);
	drm_gpuva_unlink(&binding->base);
	dma_resv_unlock(obj->resv);
	drm_gem_object_put(obj);

	for (i = 0; i < binding->num; i++)
		vsvm_pt_detach(vm, &binding->window[i].ptes);
	drm_gpuva_remove(&binding->base);
	kvfree(binding);
}

static struct vsvm_binding *
vsvm_binding_create(struct drm_gem_object *obj,
		    const struct drm_vsvm_vm_bind *args)
{
	struct vsvm_binding *binding;

	binding = kvzalloc_flex(*binding, window,
				vsvm_window_count(args->start, args->length),
				GFP_KERNEL_ACCOUNT);
	if (!binding)
		return NULL;
	binding->num = vsvm_window_count(args->start, args->length);
	binding->readonly = args->flags & DRM_VSVM_BIND_READONLY;
	binding->base.va.addr = args->start;
	binding->base.va.range = args->length;
	binding->base.gem.obj = obj;
	binding->base.gem.offset = args->offset;
	return binding;
}

static int vsvm_binding_link(struct vsvm_vm *vm, struct vsvm_binding *binding)
{
	struct drm_gem_object *obj = binding->base.gem.obj;
	struct drm_gpuvm_bo *vm_bo;

	dma_resv_lock(obj->resv, NULL);
	vm_bo = drm_gpuvm_bo_obtain_locked(&vm->gpuvm, obj);
	if (!IS_ERR(vm_bo)) {
		drm_gpuva_link(&binding->base, vm_bo);
		drm_gpuvm_bo_put(vm_bo);
	}
	dma_resv_unlock(obj->resv);
	return PTR_ERR_OR_ZERO(vm_bo);
}

static int vsvm_binding_insert(struct vsvm_vm *vm, struct vsvm_binding *binding)
{
	int err;

	ACQUIRE(mutex_intr, lock)(&vm->lock);
	err = ACQUIRE_ERR(mutex_intr, &lock);
	if (err)
		return err;
	if (READ_ONCE(vm->closed))
		return -ECANCELED;
	err = drm_gpuva_insert(&vm->gpuvm, &binding->base);
	if (err)
		return err;
	err = vsvm_binding_link(vm, binding);
	if (err)
		drm_gpuva_remove(&binding->base);
	return err;
}

static int vsvm_bind_map(struct vsvm_vm *vm, struct drm_file *file,
			 const struct drm_vsvm_vm_bind *args)
{
	struct vsvm_binding *binding;
	struct drm_gem_object *obj;
	int err = -EINVAL;
	u64 end;

	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	if (check_add_overflow(args->offset, args->length, &end) ||
	    end > obj->size)
		goto out;
	err = -ENOMEM;
	binding = vsvm_binding_create(obj, args);
	if (!binding)
		goto out;
	err = vsvm_binding_insert(vm, binding);
	if (err)
		kvfree(binding);
out:
	drm_gem_object_put(obj);
	return err;
}

static int vsvm_bind_unmap(struct vsvm_vm *vm,
			   const struct drm_vsvm_vm_bind *args)
{
	struct drm_gpuva *va;
	int err;

	ACQUIRE(mutex_intr, lock)(&vm->lock);
	err = ACQUIRE_ERR(mutex_intr, &lock);
	if (err)
		return err;
	if (READ_ONCE(vm->closed))
		return -ECANCELED;
	va = drm_gpuva_find(&vm->gpuvm, args->start, args->length);
	if (!va)
		return -ENOENT;
	vsvm_binding_remove(vm, to_vsvm_binding(va), vsvm_binding_zap);
	return 0;
}

static bool vsvm_bind_valid(const struct drm_vsvm_vm_bind *args)
{
	u64 end;

	if (!args->length || !PAGE_ALIGNED(args->start | args->length) ||
	    args->start < DRM_VSVM_BIND_START ||
	    check_add_overflow(args->start, args->length, &end) ||
	    end > DRM_VSVM_BIND_END)
		return false;
	switch (args->op) {
	case DRM_VSVM_BIND_MAP:
		return !(args->flags & ~DRM_VSVM_BIND_READONLY) &&
		       PAGE_ALIGNED(args->offset);
	case DRM_VSVM_BIND_UNMAP:
		return !args->handle && !args->flags && !args->offset;
	default:
		return false;
	}
}

/**
 * vsvm_vm_bind_ioctl - DRM_IOCTL_VSVM_VM_BIND
 * @drm: device
 * @data: struct drm_vsvm_vm_bind
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_vm_bind_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_vsvm_vm_bind *args = data;
	struct vsvm_vm *vm;
	int err;

	if (!vsvm_bind_valid(args))
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	/*
	 * Not under drm_dev_enter(), for which the removal of any DRM device
	 * waits. The device is there as long as the address space is locked and
	 * not closed.
	 */
	err = args->op == DRM_VSVM_BIND_MAP ? vsvm_bind_map(vm, file, args) :
					      vsvm_bind_unmap(vm, args);
	if (err == -ECANCELED && drm_dev_is_unplugged(drm))
		err = -ENODEV;
	vsvm_vm_put(vm);
	return err;
}

static void vsvm_bind_free(struct drm_gpuvm *gpuvm)
{
	vsvm_vm_put(container_of(gpuvm, struct vsvm_vm, gpuvm));
}

static const struct drm_gpuvm_ops vsvm_gpuvm_ops = {
	.vm_free = vsvm_bind_free,
};

/**
 * vsvm_bind_init - prepare an address space for bindings
 * @vm: address space
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_bind_init(struct vsvm_vm *vm)
{
	struct drm_device *drm = &vm->vdev->drm;
	struct drm_gem_object *obj = drm_gpuvm_resv_object_alloc(drm);

	if (!obj)
		return -ENOMEM;
	drm_gpuvm_init(&vm->gpuvm, VSVM_NAME, 0, drm, obj, DRM_VSVM_BIND_START,
		       DRM_VSVM_BIND_END - DRM_VSVM_BIND_START, 0, 0,
		       &vsvm_gpuvm_ops);
	drm_gem_object_put(obj);
	/* For vsvm_bind_free(). */
	kref_get(&vm->ref);
	return 0;
}

/**
 * vsvm_bind_fini - end all bindings
 * @vm: address space, locked, whose page table was disabled
 */
void vsvm_bind_fini(struct vsvm_vm *vm)
{
	struct drm_gpuva *va, *next;

	drm_gpuvm_for_each_va_safe(va, next, &vm->gpuvm)
		vsvm_binding_remove(vm, to_vsvm_binding(va), vsvm_binding_drop);
	drm_gpuvm_put(&vm->gpuvm);
}

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
	struct vsvm_bind_try try = { .large = true, .room = true };
	struct vsvm_vm *vm = queue->vm;
	struct vsvm_binding *binding;
	unsigned int tries = 0;
	struct drm_gpuva *va;
	int err;

	guard(mutex)(&vm->lock);
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
 * vsvm_bind_show - print the bindings of an address space
 * @m: where to
 * @vm: address space, locked and not closed
 */
void vsvm_bind_show(struct seq_file *m, struct vsvm_vm *vm)
{
	struct drm_gpuva *va;

	drm_gpuvm_for_each_va(va, &vm->gpuvm) {
		struct vsvm_binding *binding = to_vsvm_binding(va);
		unsigned int i, mapped = 0, large = 0;

		for (i = 0; i < binding->num; i++) {
			const struct vsvm_window *window = &binding->window[i];

			if (!READ_ONCE(window->mapped))
				continue;
			mapped++;
			large += window->ptes.pt->level;
		}
		seq_printf(m, "  binding %#llx-%#llx%s windows %u mapped %u large %u\n",
			   va->va.addr, vsvm_binding_end(binding),
			   binding->readonly ? " readonly" : "", binding->num,
			   mapped, large);
	}
}

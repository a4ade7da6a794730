// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects in GPU address spaces, on top of drm_gpuvm. They are bound to
 * addresses that no process has, so that they and SVM never meet.
 *
 * Binding writes no page-table entry: the first access of the GPU faults, as it
 * does when the object was moved since. A binding is mapped in windows, which
 * are the parts of it that share a table of 4 KiB entries, or are one large
 * entry: see vsvm_bind_map.c.
 *
 * Windows are written with vsvm_vm.lock, except for @mapped, which needs the
 * object's reservation: it alone is enough to take an object from the GPU, in
 * all address spaces.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gpuvm.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "vsvm_bind.h"
#include "vsvm_binding.h"
#include "vsvm_gem.h"
#include "vsvm_vm.h"

/* Takes what is mapped from the GPU, with the object reserved. Anything? */
static bool vsvm_binding_clear(struct vsvm_push *push,
			       struct vsvm_binding *binding, u64 start, u64 end)
{
	u64 first = U64_MAX, last = 0, addr;

	for (addr = start; addr < end;
	     addr = ALIGN_DOWN(addr, VSVM_WINDOW) + VSVM_WINDOW) {
		struct vsvm_window *window = vsvm_window_at(binding, addr);

		if (!window->mapped)
			continue;
		vsvm_pt_clear(push, &window->ptes);
		WRITE_ONCE(window->mapped, false);
		vsvm_binding_gem(binding)->mapped--;
		first = min(first, vsvm_window_start(binding, addr));
		last = vsvm_window_start(binding, addr) +
		       vsvm_window_size(binding, addr);
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
			vsvm_binding_clear(&push, to_vsvm_binding(va),
					   va->va.addr,
					   va->va.addr + va->va.range);
			cond_resched();
		}
	}
	vsvm_bind_wait(vdev, &push, &wait);
	WARN_ON_ONCE(gem->mapped);
}

/* As vsvm_bind_zap(), for the windows that an area touches. */
static void vsvm_binding_zap_area(struct vsvm_binding *binding, u64 start,
				  u64 end)
{
	struct vsvm_device *vdev = vsvm_binding_vm(binding)->vdev;
	struct vsvm_wait wait;
	struct vsvm_push push;

	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, &vdev->ring[VSVM_HW_PAGING], &wait.sub);
	if (vsvm_binding_clear(&push, binding, start, end))
		vsvm_bind_wait(vdev, &push, &wait);
}

static void vsvm_binding_zap(struct vsvm_binding *binding)
{
	vsvm_binding_zap_area(binding, binding->base.va.addr,
			      vsvm_binding_end(binding));
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

/* The GPU has the windows between two addresses no more, until it faults. */
static void vsvm_binding_reclaim(struct vsvm_vm *vm,
				 struct vsvm_binding *binding,
				 const struct vsvm_cold *cold)
{
	const u64 start = max(cold->start, binding->base.va.addr);
	const u64 end = min(cold->start + cold->size, vsvm_binding_end(binding));
	struct vsvm_gem *gem = vsvm_binding_gem(binding);
	u64 addr;

	dma_resv_lock(vsvm_gem_obj(gem)->resv, NULL);
	vsvm_binding_zap_area(binding, start, end);
	if (!gem->mapped)
		vsvm_tt_unmap(gem);
	dma_resv_unlock(vsvm_gem_obj(gem)->resv);
	for (addr = start; addr < end;
	     addr = ALIGN_DOWN(addr, VSVM_WINDOW) + VSVM_WINDOW)
		vsvm_pt_release(vm, &vsvm_window_at(binding, addr)->ptes);
}

/**
 * vsvm_bind_reclaim - take a page table from the objects that use it
 * @vm: address space, locked
 * @cold: the table
 *
 * And with it those below, if there are any.
 */
void vsvm_bind_reclaim(struct vsvm_vm *vm, const struct vsvm_cold *cold)
{
	struct drm_gpuva *va;

	drm_gpuvm_for_each_va_range(va, &vm->gpuvm, cold->start,
				    cold->start + cold->size)
		vsvm_binding_reclaim(vm, to_vsvm_binding(va), cold);
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * GPU address spaces: their life.
 *
 * One ends in two steps. Closing takes it from the hardware and the process,
 * once, whoever comes first: the user, the last close of the file, or the
 * removal of the device. What is left is a name that jobs and ioctls at work
 * may still hold; the last reference frees it.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <linux/dma-mapping.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vsvm_advice.h"
#include "vsvm_bind.h"
#include "vsvm_bo.h"
#include "vsvm_pm.h"
#include "vsvm_prefetch.h"
#include "vsvm_quota.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

static int vsvm_vm_init_spaces(struct vsvm_vm *vm)
{
	unsigned int i;

	vm->gc_space = kvzalloc_obj(*vm->gc_space, GFP_KERNEL_ACCOUNT);
	if (!vm->gc_space)
		return -ENOMEM;
	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		vm->queue[i].space = kvzalloc_obj(*vm->queue[i].space,
						  GFP_KERNEL_ACCOUNT);
		if (!vm->queue[i].space)
			return -ENOMEM;
	}
	return 0;
}

/* Nobody is at work any more. */
static void vsvm_vm_fini_spaces(struct vsvm_vm *vm)
{
	unsigned int i;

	for (i = 0; i < VSVM_VM_QUEUES; i++)
		kvfree(vm->queue[i].space);
	kvfree(vm->gc_space);
}

static int vsvm_vm_init_memory(struct vsvm_vm *vm)
{
	vm->usage = kzalloc_obj(*vm->usage, GFP_KERNEL_ACCOUNT);
	if (!vm->usage)
		return -ENOMEM;
	refcount_set(&vm->usage->ref, 1);
	vm->staging = dma_alloc_coherent(vm->vdev->drm.dev, VSVM_HW_PAGE_SIZE,
					 &vm->staging_dma, GFP_KERNEL);
	return vm->staging ? vsvm_vm_init_spaces(vm) : -ENOMEM;
}

static int vsvm_vm_init_queues(struct vsvm_vm *vm)
{
	struct vsvm_device *vdev = vm->vdev;
	unsigned int i;
	int group;

	group = ida_alloc_max(&vdev->group_ida, vsvm_quota_max_vms(vdev) - 1,
			      GFP_KERNEL);
	if (group < 0)
		return group;
	vm->group = group;
	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		vm->queue[i].ring = &vdev->ring[VSVM_HW_QUEUE0 +
						vsvm_vm_hw_queue(vm) + i];
	}
	set_bit(group, vdev->groups);
	return 0;
}

/* Somebody may be about to find out that there is nothing to write any more. */
static void vsvm_vm_fini_staging(struct vsvm_vm *vm)
{
	guard(mutex)(&vm->staging_lock);
	if (vm->staging)
		dma_free_coherent(vm->vdev->drm.dev, VSVM_HW_PAGE_SIZE,
				  vm->staging, vm->staging_dma);
	vm->staging = NULL;
}

static void vsvm_vm_fini_queues(struct vsvm_vm *vm)
{
	if (vm->group < 0)
		return;
	clear_bit(vm->group, vm->vdev->groups);
	ida_free(&vm->vdev->group_ida, vm->group);
}

/* One that is left behind keeps the queues, so that they cannot be had again. */
static void vsvm_vm_leave(struct vsvm_vm *vm)
{
	if (refcount_dec_and_test(&vm->workers))
		vsvm_vm_fini_queues(vm);
}

static int vsvm_vm_init_parts(struct vsvm_vm *vm)
{
	int err;

	err = vsvm_quota_enter(vm);
	if (err)
		return err;
	err = vsvm_vm_init_memory(vm);
	if (err)
		return err;
	err = vsvm_pm_get(vm->vdev);
	if (err)
		return err;
	vm->awake = true;
	err = vsvm_vm_init_queues(vm);
	if (err)
		return err;
	vm->dpagemap = vsvm_pagemap_get(vm->vdev);
	if (IS_ERR(vm->dpagemap)) {
		err = PTR_ERR(vm->dpagemap);
		vm->dpagemap = NULL;
		return err;
	}
	return vsvm_pt_init(vm);
}

/* Undoes vsvm_vm_init_parts(), also if it stopped half-way. */
static void vsvm_vm_fini_parts(struct vsvm_vm *vm)
{
	if (vm->root) {
		vsvm_pt_disable(vm);
		vsvm_pt_fini(vm);
	}
	drm_pagemap_put(vm->dpagemap);
	vm->dpagemap = NULL;
	vsvm_vm_leave(vm);
	vsvm_vm_fini_staging(vm);
	if (vm->awake)
		vsvm_pm_put(vm->vdev);
}

static void vsvm_vm_free(struct kref *ref)
{
	struct vsvm_vm *vm = container_of(ref, struct vsvm_vm, ref);
	struct drm_device *drm = &vm->vdev->drm;

	vsvm_quota_leave(vm);
	vsvm_vm_fini_spaces(vm);
	vsvm_usage_put(vm->usage);
	vsvm_advice_fini(vm);
	mmdrop(vm->mm);
	mem_cgroup_put(vm->memcg);
	mutex_destroy(&vm->staging_lock);
	mutex_destroy(&vm->pt_lock);
	mutex_destroy(&vm->lock);
	mutex_destroy(&vm->submit_lock);
	mutex_destroy(&vm->close_lock);
	kfree_rcu(vm, rcu);
	drm_dev_put(drm);
}

/**
 * vsvm_vm_put - drop a reference
 * @vm: address space
 *
 * Context: any that may free a drm_device.
 */
void vsvm_vm_put(struct vsvm_vm *vm)
{
	kref_put(&vm->ref, vsvm_vm_free);
}

/*
 * Workers that may wait for user space for ever, and outlive the device. With one
 * queue for all devices, address spaces on some of them could leave none to the
 * others: each has up to six such workers, and a workqueue has 2048, which the
 * nodes of the machine share.
 */
static struct workqueue_struct *vsvm_vm_wq[VSVM_MAX_DEVICES];

/**
 * vsvm_vm_module_exit - no address space is left
 */
void vsvm_vm_module_exit(void)
{
	unsigned int i;

	for (i = 0; i < VSVM_MAX_DEVICES && vsvm_vm_wq[i]; i++)
		destroy_workqueue(vsvm_vm_wq[i]);
}

/**
 * vsvm_vm_module_init - before the first address space
 *
 * Return: 0 or -ENOMEM.
 */
int __init vsvm_vm_module_init(void)
{
	unsigned int i;

	for (i = 0; i < VSVM_MAX_DEVICES; i++) {
		vsvm_vm_wq[i] = alloc_workqueue("%s%u", WQ_UNBOUND,
						WQ_MAX_ACTIVE, VSVM_NAME, i);
		if (!vsvm_vm_wq[i]) {
			vsvm_vm_module_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

/**
 * vsvm_vm_queue_work - have something done that may wait for user space
 * @vm: address space that is not closed, or about to be
 * @work: ends with vsvm_vm_work_done()
 *
 * Context: any.
 */
void vsvm_vm_queue_work(struct vsvm_vm *vm, struct work_struct *work)
{
	kref_get(&vm->ref);
	refcount_inc(&vm->workers);
	if (!queue_work(vsvm_vm_wq[vm->vdev->id % VSVM_MAX_DEVICES], work))
		vsvm_vm_work_done(vm);
}

/**
 * vsvm_vm_cancel_work - see that something is not begun any more
 * @vm: closed address space
 * @work: what vsvm_vm_queue_work() may have been called for
 *
 * If it was, it may go on for as long as user space likes.
 */
void vsvm_vm_cancel_work(struct vsvm_vm *vm, struct work_struct *work)
{
	if (cancel_work(work))
		vsvm_vm_work_done(vm);
}

/**
 * vsvm_vm_work_done - the last thing that a worker does
 * @vm: address space that it worked for, and may be gone now
 */
void vsvm_vm_work_done(struct vsvm_vm *vm)
{
	vsvm_vm_leave(vm);
	vsvm_vm_put(vm);
}

/* From here on faults find it. */
static void vsvm_vm_publish(struct vsvm_vm *vm)
{
	struct vsvm_device *vdev = vm->vdev;

	scoped_guard(mutex, &vdev->vm_lock)
		list_add_tail(&vm->link, &vdev->vms);
	scoped_guard(spinlock, &vdev->fault_lock)
		vdev->group_vm[vm->group] = vm;
}

static void vsvm_vm_ignore_faults(struct vsvm_vm *vm)
{
	unsigned int i;

	scoped_guard(spinlock, &vm->vdev->fault_lock)
		vm->vdev->group_vm[vm->group] = NULL;
	for (i = 0; i < VSVM_VM_QUEUES; i++)
		vsvm_vm_cancel_work(vm, &vm->queue[i].fault_work);
}

/* Last: the removal of the device waits for those that it finds. */
static void vsvm_vm_retract(struct vsvm_vm *vm)
{
	guard(mutex)(&vm->vdev->vm_lock);
	list_del_init(&vm->link);
}

static void vsvm_vm_close_work(struct work_struct *work)
{
	struct vsvm_vm *vm = container_of(work, struct vsvm_vm, close_work);

	vsvm_vm_close(vm);
	complete_all(&vm->closed_now);
	vsvm_vm_put(vm);
}

static struct vsvm_vm *vsvm_vm_alloc(struct vsvm_device *vdev)
{
	struct vsvm_vm *vm = kzalloc_obj(*vm, GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!vm)
		return NULL;
	kref_init(&vm->ref);
	refcount_set(&vm->workers, 1);
	drm_dev_get(&vdev->drm);
	vm->vdev = vdev;
	vm->epoch = READ_ONCE(vdev->epoch);
	mmgrab(current->mm);
	vm->mm = current->mm;
	vm->memcg = get_mem_cgroup_from_mm(current->mm);
	vm->group = -1;
	mutex_init(&vm->close_lock);
	mutex_init(&vm->submit_lock);
	mutex_init(&vm->lock);
	mutex_init(&vm->pt_lock);
	mutex_init(&vm->staging_lock);
	INIT_LIST_HEAD(&vm->link);
	INIT_LIST_HEAD(&vm->quota_link);
	INIT_LIST_HEAD(&vm->pt_lru);
	INIT_LIST_HEAD(&vm->range_lru);
	INIT_LIST_HEAD(&vm->prefetches);
	INIT_WORK(&vm->prefetch_work, vsvm_prefetch_work);
	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		vm->queue[i].vm = vm;
		INIT_WORK(&vm->queue[i].fault_work, vsvm_queue_fault_work);
	}
	INIT_WORK(&vm->link_work, vsvm_svm_link_work);
	INIT_WORK(&vm->close_work, vsvm_vm_close_work);
	init_completion(&vm->closed_now);
	init_waitqueue_head(&vm->job_ended);
	return vm;
}

/*
 * Tell lockdep at once what an invalidation may lead to: it waits for an engine
 * that may have to be reset. drm_gpusvm has told it what leads to one.
 */
static void vsvm_vm_prime_lockdep(struct vsvm_vm *vm)
{
	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return;
	down_write(&vm->svm.notifier_lock);
	might_lock(&vm->vdev->reset_lock);
	up_write(&vm->svm.notifier_lock);
}

/**
 * vsvm_vm_create - make an address space that mirrors the calling process
 * @vdev: device, under drm_dev_enter()
 *
 * Return: a reference, or ERR_PTR() of -EDQUOT if the caller has as many as he
 * may have, -ENOSPC if no queue is left, -ENOMEM, -EINTR, -ERESTARTSYS, -EIO.
 */
struct vsvm_vm *vsvm_vm_create(struct vsvm_device *vdev)
{
	struct vsvm_vm *vm = vsvm_vm_alloc(vdev);
	int err;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	err = vsvm_vm_init_parts(vm);
	if (err)
		goto err_parts;
	err = vsvm_svm_init(vm);
	if (err)
		goto err_parts;
	err = vsvm_bind_init(vm);
	if (err)
		goto err_svm;
	vsvm_vm_prime_lockdep(vm);
	err = vsvm_sched_init(vm);
	if (err)
		goto err_bind;
	vsvm_vm_publish(vm);
	return vm;

err_bind:
	scoped_guard(mutex, &vm->lock)
		vsvm_bind_fini(vm);
err_svm:
	scoped_guard(mutex, &vm->lock)
		vsvm_svm_fini(vm);
err_parts:
	vsvm_vm_fini_parts(vm);
	vsvm_vm_put(vm);
	return ERR_PTR(err);
}

/**
 * vsvm_vm_close - end an address space
 * @vm: address space, referenced
 *
 * On return no job of it runs, nothing of it is mapped. If somebody else ends
 * it already, waits for that.
 *
 * A fault that is being served, or memory that is being moved, may wait for user
 * space, for ever. Such a worker is left behind: it holds a reference, and finds
 * nothing any more that it could change (see vsvm_svm.c). All that is waited for
 * here is the hardware and short sections of vsvm_vm.lock.
 *
 * Context: process, without locks.
 */
void vsvm_vm_close(struct vsvm_vm *vm)
{
	guard(mutex)(&vm->close_lock);
	if (vm->closed)
		return;
	scoped_guard(mutex, &vm->submit_lock)
		WRITE_ONCE(vm->closed, true);
	vsvm_vm_ignore_faults(vm);
	vsvm_prefetch_cancel_all(vm);
	vsvm_sched_kill(vm);
	scoped_guard(mutex, &vm->lock) {
		/* Before memory is unmapped that the tables point to. */
		vsvm_pt_disable(vm);
		vsvm_bind_fini(vm);
		vsvm_svm_unmap_all(vm);
		vsvm_svm_fini(vm);
	}
	vsvm_vm_cancel_work(vm, &vm->gc_work);
	/* It may be queued until the end. */
	disable_work_sync(&vm->link_work);
	vsvm_vm_fini_parts(vm);
	vsvm_vm_retract(vm);
}

/**
 * vsvm_vm_release - end an address space for who made it
 * @vm: address space; the reference of its file is consumed
 * @wait: until it has ended, or a fatal signal comes
 */
void vsvm_vm_release(struct vsvm_vm *vm, bool wait)
{
	kref_get(&vm->ref);
	queue_work(vsvm_close_wq, &vm->close_work);
	if (wait)
		wait_for_completion_killable(&vm->closed_now);
	vsvm_vm_put(vm);
}

/**
 * vsvm_vm_usage - who accounts for the VRAM of a process
 * @vdev: device
 * @mm: the process
 *
 * Context: innermost lock only, for a migration.
 *
 * Return: a reference, or NULL if it has no address space (any more). If it has
 * several, the first one.
 */
struct vsvm_usage *vsvm_vm_usage(struct vsvm_device *vdev,
				 const struct mm_struct *mm)
{
	struct vsvm_vm *vm;

	guard(mutex)(&vdev->vm_lock);
	list_for_each_entry(vm, &vdev->vms, link) {
		if (vm->mm == mm) {
			refcount_inc(&vm->usage->ref);
			return vm->usage;
		}
	}
	return NULL;
}

/**
 * vsvm_vm_collect - references to all address spaces
 * @vdev: device
 * @vms: gets them
 * @max: room in @vms
 *
 * Return: how many.
 */
unsigned int vsvm_vm_collect(struct vsvm_device *vdev, struct vsvm_vm **vms,
			     unsigned int max)
{
	struct vsvm_vm *vm;
	unsigned int num = 0;

	guard(mutex)(&vdev->vm_lock);
	list_for_each_entry(vm, &vdev->vms, link) {
		if (num == max)
			break;
		/* The last reference goes only after it left the list. */
		kref_get(&vm->ref);
		vms[num++] = vm;
	}
	return num;
}

static struct vsvm_vm *vsvm_vm_first(struct vsvm_device *vdev)
{
	struct vsvm_vm *vm;

	return vsvm_vm_collect(vdev, &vm, 1) ? vm : NULL;
}

/**
 * vsvm_vm_close_all - end all address spaces
 * @vdev: device that makes no new ones
 */
void vsvm_vm_close_all(struct vsvm_device *vdev)
{
	struct vsvm_vm *vm;

	while ((vm = vsvm_vm_first(vdev))) {
		vsvm_vm_close(vm);
		vsvm_vm_put(vm);
	}
}

/**
 * vsvm_vm_lookup - find an address space by its number
 * @file: open file
 * @id: number
 *
 * Return: a reference, or ERR_PTR() of -ENOENT, or -EPERM if the caller is not
 * the process that it mirrors.
 */
struct vsvm_vm *vsvm_vm_lookup(struct drm_file *file, u32 id)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct vsvm_vm *vm;

	xa_lock(&vfile->vms);
	vm = xa_load(&vfile->vms, id);
	if (vm)
		kref_get(&vm->ref);
	xa_unlock(&vfile->vms);
	if (!vm)
		return ERR_PTR(-ENOENT);
	if (vm->mm != current->mm) {
		vsvm_vm_put(vm);
		return ERR_PTR(-EPERM);
	}
	return vm;
}

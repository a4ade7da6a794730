// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DRM_IOCTL_VSVM_PREFETCH: memory goes where the user wants it, while he waits
 * or by a worker, which gives a syncobj its fence in the end.
 *
 * That fence is signalled already: a prefetch waits for memory, for mmap_lock and
 * perhaps for the process itself, and a fence that does would hold up those who
 * move buffers or get memory. The end of the address space gives it to the
 * syncobj as well, and leaves the worker behind, which looks now and then if it
 * is to stop.
 *
 * Each address space has one worker, which takes them in turn: a process whose
 * memory cannot be had (userfaultfd, FUSE) holds up nobody else. For the same
 * reason nothing here is under drm_dev_enter(), for which the removal of any DRM
 * device waits; what moves memory to VRAM sees to that itself.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_syncobj.h>
#include <linux/dma-fence.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_prefetch.h"
#include "vsvm_walk.h"

/* What a signal may wait for, when all is placed at once. */
#define VSVM_PREFETCH_SIZE	SZ_64M
/* Of an address space that nobody waits for, and that have not begun. */
#define VSVM_MAX_PREFETCHES	256

/* One that nobody waits for. */
struct vsvm_prefetch {
	struct list_head link;		/* in vsvm_vm.prefetches */
	struct vsvm_walk *walk;
	struct drm_syncobj *syncobj;
	struct dma_fence *fence;	/* for the syncobj, in the end */
};

static bool vsvm_prefetch_to_vram(const struct vsvm_walk *walk)
{
	return walk->location != DRM_VSVM_LOC_SYSTEM;
}

/* Is there a reason not to go on? */
static int vsvm_prefetch_stop(const struct vsvm_walk *walk)
{
	struct vsvm_vm *vm = walk->vm;

	if (READ_ONCE(vm->closed))
		return -ECANCELED;
	if (drm_dev_is_unplugged(&vm->vdev->drm) ||
	    (vsvm_prefetch_to_vram(walk) &&
	     drm_dev_is_unplugged(&walk->to.vdev->drm)))
		return -ENODEV;
	return signal_pending(current) ? -EINTR : 0;
}

/* Memory of one VMA, which is @offset bytes into what was looked at. */
static int vsvm_prefetch_place(struct vsvm_walk *walk, unsigned long start,
			       unsigned long end, unsigned long offset)
{
	if (vsvm_has_additions(walk->to.vdev))
		return vsvm_place_at_once(&walk->to, walk->vm->mm, start, end);
	return vsvm_place_in_vram(&walk->to, walk->vm->mm, start, end,
				  &walk->before[offset >> PAGE_SHIFT], SZ_4K);
}

/* Anonymous memory of [start, end) to VRAM; other memory stays. */
static int vsvm_prefetch_vram(struct vsvm_walk *walk, unsigned long start,
			      unsigned long end)
{
	const unsigned long first = start;
	struct vsvm_span span;
	int err;

	while (start < end) {
		err = vsvm_span_at(walk->vm->mm, start, &span);
		if (err == -EFAULT) {
			/* Unmapped since, or no memory. */
			start += PAGE_SIZE;
			continue;
		}
		if (err)
			return err;
		span.end = min(span.end, end);
		if (span.anon && span.read)
			err = vsvm_prefetch_place(walk, start, span.end,
						  start - first);
		if (err)
			return err;
		start = span.end;
	}
	return 0;
}

static unsigned long vsvm_prefetch_count(const u8 *res, unsigned long npages,
					 u8 where)
{
	unsigned long i, there = 0;

	for (i = 0; i < npages; i++)
		there += (res[i] & DRM_VSVM_RES_MASK) == where;
	return there;
}

/* How many pages are where they are wanted? A scan sees it from there. */
static unsigned long vsvm_prefetch_there(const struct vsvm_walk *walk,
					 const u8 *res, unsigned long npages)
{
	return vsvm_prefetch_count(res, npages, vsvm_prefetch_to_vram(walk) ?
				   DRM_VSVM_RES_DEVICE : DRM_VSVM_RES_SYSTEM);
}

/* Memory of a device that the target has no link to goes by way of RAM. */
static bool vsvm_prefetch_detour(const struct vsvm_walk *walk,
				 unsigned long npages)
{
	return !vsvm_peer_all_linked(walk->to.vdev) &&
	       vsvm_prefetch_count(walk->before, npages, DRM_VSVM_RES_PEER);
}

static int vsvm_prefetch_step(struct vsvm_walk *walk, unsigned long start,
			      unsigned long end, u64 *there)
{
	const unsigned long npages = (end - start) >> PAGE_SHIFT;
	int err;

	err = vsvm_walk_scan(walk, start, end, walk->before);
	if (err)
		return err;
	*there += vsvm_prefetch_there(walk, walk->before, npages);
	if (!vsvm_prefetch_to_vram(walk))
		return vsvm_place_in_ram(walk->vm, &walk->scanner, start, end);
	if (vsvm_prefetch_detour(walk, npages)) {
		err = vsvm_place_in_ram(walk->vm, &walk->scanner, start, end);
		if (err)
			return err;
		memset(walk->before, DRM_VSVM_RES_SYSTEM, npages);
	}
	/* Otherwise it follows for all of the range. */
	return vsvm_has_additions(walk->to.vdev) ? 0 :
	       vsvm_prefetch_vram(walk, start, end);
}

static int vsvm_prefetch_all(struct vsvm_walk *walk)
{
	unsigned long start, next;
	int err = 0;

	for (start = walk->start; start < walk->end && !err; start = next) {
		err = vsvm_prefetch_stop(walk);
		if (err)
			return err;
		next = min(walk->end, ALIGN(start + 1, VSVM_PREFETCH_SIZE));
		err = vsvm_prefetch_vram(walk, start, next);
	}
	return err;
}

static int vsvm_prefetch_check(struct vsvm_walk *walk, unsigned long start,
			       unsigned long end, u64 *there)
{
	int err;

	err = vsvm_walk_scan(walk, start, end, walk->after);
	if (!err)
		*there += vsvm_prefetch_there(walk, walk->after,
					      (end - start) >> PAGE_SHIFT);
	return err;
}

/*
 * One round over the range in the steps that a walk can take. Where memory
 * keeps changing nobody can tell where it is: such a step counts for nothing.
 */
static int vsvm_prefetch_walk(struct vsvm_walk *walk, u64 *there,
			      int (*step)(struct vsvm_walk *walk,
					  unsigned long start,
					  unsigned long end, u64 *there))
{
	unsigned long addr, next;
	int err;

	for (addr = walk->start; addr < walk->end; addr = next) {
		err = vsvm_prefetch_stop(walk);
		if (err)
			return err;
		next = vsvm_walk_next(walk, addr);
		err = step(walk, addr, next, there);
		if (err && err != -EBUSY && err != -EFAULT)
			return err;
		cond_resched();
	}
	return 0;
}

static int vsvm_prefetch_run(struct vsvm_walk *walk, u64 *before, u64 *after)
{
	int err;

	*before = 0;
	*after = 0;
	err = vsvm_prefetch_walk(walk, before, vsvm_prefetch_step);
	if (!err && vsvm_prefetch_to_vram(walk) &&
	    vsvm_has_additions(walk->to.vdev))
		err = vsvm_prefetch_all(walk);
	/* Looked at in the end: what came last may have evicted the first. */
	return err ?: vsvm_prefetch_walk(walk, after, vsvm_prefetch_check);
}

static struct vsvm_walk *
vsvm_prefetch_prepare(struct vsvm_vm *vm, const struct drm_vsvm_prefetch *args)
{
	struct vsvm_walk *walk;
	u64 end;
	int err;

	err = vsvm_check_range(args->start, args->length, vm->svm.mm_range, &end);
	if (!err)
		err = vsvm_location_check(vm->vdev, args->location);
	if (!err)
		err = vsvm_span_check(vm->mm, args->start, end);
	if (err)
		return ERR_PTR(err);
	walk = vsvm_walk_create(vm, args->start, end);
	if (IS_ERR(walk))
		return walk;
	err = vsvm_walk_aim(walk, args->location);
	if (err) {
		vsvm_walk_free(walk);
		return ERR_PTR(err);
	}
	return walk;
}

static const char *vsvm_prefetch_driver_name(struct dma_fence *fence)
{
	return VSVM_NAME;
}

static const char *vsvm_prefetch_timeline_name(struct dma_fence *fence)
{
	return "prefetch";
}

/* Neither release nor wait: a fence must not need this module once signalled. */
static const struct dma_fence_ops vsvm_prefetch_fence_ops = {
	.get_driver_name = vsvm_prefetch_driver_name,
	.get_timeline_name = vsvm_prefetch_timeline_name,
};

static void vsvm_prefetch_free(struct vsvm_prefetch *prefetch)
{
	drm_syncobj_put(prefetch->syncobj);
	vsvm_walk_free(prefetch->walk);
	dma_fence_put(prefetch->fence);
	kfree(prefetch);
}

/*
 * A prefetch takes the mmap lock, allocates, and may wait for what the process
 * does about a fault: so nobody gets to see its fence before it is signalled.
 */
static void vsvm_prefetch_signal(struct vsvm_prefetch *prefetch, int err)
{
	if (err)
		dma_fence_set_error(prefetch->fence, err == -ENODEV ||
				    err == -EINTR ? -ECANCELED : err);
	dma_fence_signal(prefetch->fence);
	drm_syncobj_replace_fence(prefetch->syncobj, prefetch->fence);
}

static struct vsvm_prefetch *vsvm_prefetch_next(struct vsvm_vm *vm)
{
	struct vsvm_prefetch *prefetch;

	guard(mutex)(&vm->submit_lock);
	prefetch = list_first_entry_or_null(&vm->prefetches,
					    struct vsvm_prefetch, link);
	if (prefetch) {
		list_del(&prefetch->link);
		vm->num_prefetches--;
	}
	vm->prefetch_now = prefetch;
	return prefetch;
}

/* Whoever comes first signals it: its worker, or who closes. */
static void vsvm_prefetch_end(struct vsvm_vm *vm, struct vsvm_prefetch *prefetch,
			      int err)
{
	scoped_guard(mutex, &vm->submit_lock) {
		if (vm->prefetch_now == prefetch)
			vsvm_prefetch_signal(prefetch, err);
		vm->prefetch_now = NULL;
	}
	vsvm_prefetch_free(prefetch);
}

/**
 * vsvm_prefetch_work - move what nobody waits for
 * @work: vsvm_vm.prefetch_work
 */
void vsvm_prefetch_work(struct work_struct *work)
{
	struct vsvm_vm *vm = container_of(work, struct vsvm_vm, prefetch_work);
	struct mem_cgroup *old = set_active_memcg(vm->memcg);
	struct vsvm_prefetch *prefetch;
	u64 before, after;
	int err;

	while ((prefetch = vsvm_prefetch_next(vm))) {
		err = -ECANCELED;
		if (mmget_not_zero(vm->mm)) {
			err = vsvm_prefetch_run(prefetch->walk, &before, &after);
			/* Maybe the last user: see vsvm_svm_fault(). */
			mmput_async(vm->mm);
		}
		vsvm_prefetch_end(vm, prefetch, err);
	}
	set_active_memcg(old);
	vsvm_vm_work_done(vm);
}

/* Consumes the walk on success; the syncobj gets another reference. */
static struct vsvm_prefetch *vsvm_prefetch_create(struct vsvm_walk *walk,
						  struct drm_syncobj *syncobj)
{
	struct vsvm_prefetch *prefetch =
		kzalloc_obj(*prefetch, GFP_KERNEL_ACCOUNT);

	if (!prefetch)
		return NULL;
	prefetch->fence = kzalloc_obj(*prefetch->fence, GFP_KERNEL_ACCOUNT);
	if (!prefetch->fence) {
		kfree(prefetch);
		return NULL;
	}
	/* It may be cancelled before an older one ends: a context of its own. */
	dma_fence_init(prefetch->fence, &vsvm_prefetch_fence_ops, NULL,
		       dma_fence_context_alloc(1), 1);
	prefetch->walk = walk;
	prefetch->syncobj = syncobj;
	drm_syncobj_get(syncobj);
	return prefetch;
}

static int vsvm_prefetch_start(struct vsvm_vm *vm,
			       struct vsvm_prefetch *prefetch)
{
	guard(mutex)(&vm->submit_lock);
	if (vm->closed)
		return -ECANCELED;
	/* The one under way may wait for user space for ever. */
	if (vm->num_prefetches == VSVM_MAX_PREFETCHES)
		return -EAGAIN;
	vm->num_prefetches++;
	list_add_tail(&prefetch->link, &vm->prefetches);
	/* What it has says nothing of this prefetch. */
	drm_syncobj_replace_fence(prefetch->syncobj, NULL);
	vsvm_vm_queue_work(vm, &vm->prefetch_work);
	return 0;
}

static int vsvm_prefetch_async(struct vsvm_vm *vm, struct drm_file *file,
			       const struct drm_vsvm_prefetch *args)
{
	struct vsvm_prefetch *prefetch;
	struct drm_syncobj *syncobj;
	struct vsvm_walk *walk;
	int err;

	syncobj = drm_syncobj_find(file, args->syncobj);
	if (!syncobj)
		return -ENOENT;
	walk = vsvm_prefetch_prepare(vm, args);
	err = PTR_ERR_OR_ZERO(walk);
	if (err)
		goto out;
	prefetch = vsvm_prefetch_create(walk, syncobj);
	if (!prefetch) {
		vsvm_walk_free(walk);
		err = -ENOMEM;
		goto out;
	}
	err = vsvm_prefetch_start(vm, prefetch);
	if (err) {
		/* Nobody has seen it. */
		dma_fence_signal(prefetch->fence);
		vsvm_prefetch_free(prefetch);
	}
out:
	drm_syncobj_put(syncobj);
	return err;
}

/**
 * vsvm_prefetch_cancel_all - end what is under way
 * @vm: closed address space
 *
 * The worker may be busy for as long as user space likes: it is not waited for.
 *
 * Context: process, without locks that a migration needs.
 */
void vsvm_prefetch_cancel_all(struct vsvm_vm *vm)
{
	struct vsvm_prefetch *prefetch, *next;
	LIST_HEAD(prefetches);

	vsvm_vm_cancel_work(vm, &vm->prefetch_work);
	scoped_guard(mutex, &vm->submit_lock) {
		list_splice_init(&vm->prefetches, &prefetches);
		if (vm->prefetch_now)
			vsvm_prefetch_signal(vm->prefetch_now, -ECANCELED);
		vm->prefetch_now = NULL;
	}
	list_for_each_entry_safe(prefetch, next, &prefetches, link) {
		vsvm_prefetch_signal(prefetch, -ECANCELED);
		vsvm_prefetch_free(prefetch);
	}
}

static int vsvm_prefetch_and_wait(struct vsvm_vm *vm,
				  struct drm_vsvm_prefetch *args)
{
	struct vsvm_walk *walk __free(vsvm_walk) =
		vsvm_prefetch_prepare(vm, args);
	u64 before, after;
	int err;

	if (IS_ERR(walk))
		return PTR_ERR(walk);
	err = vsvm_prefetch_run(walk, &before, &after);
	args->moved = after > before ? after - before : 0;
	args->skipped = (args->length >> PAGE_SHIFT) - after;
	return err;
}

/**
 * vsvm_prefetch_ioctl - DRM_IOCTL_VSVM_PREFETCH
 * @drm: device
 * @data: struct drm_vsvm_prefetch
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_prefetch_ioctl(struct drm_device *drm, void *data,
			struct drm_file *file)
{
	struct drm_vsvm_prefetch *args = data;
	const bool async = args->flags & DRM_VSVM_PREFETCH_ASYNC;
	struct vsvm_vm *vm;
	int err;

	if (args->flags & ~DRM_VSVM_PREFETCH_ASYNC ||
	    (!async && args->syncobj))
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	args->moved = 0;
	args->skipped = 0;
	err = async ? vsvm_prefetch_async(vm, file, args) :
		      vsvm_prefetch_and_wait(vm, args);
	vsvm_vm_put(vm);
	/* Not restarted: the counts would be wrong. */
	return err == -ERESTARTSYS ? -EINTR : err;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Page tables, and what else address spaces take from a pool that all of them
 * share, are taken back from who has most when the pool is used up: what was not
 * faulted in for longest. It faults again when the GPU touches it.
 *
 *	fault --> pool used up? --> largest address space --> its coldest table
 *	  |			       ^		       |
 *	  |			       +-- still used up? <----+-- ranges, windows
 *	  +--> look-up, room in the page table, pages, map
 *
 * Who floods a device is the one who has most, and so pays with his own. A client
 * with less than its part loses nothing, and everybody keeps what an access of
 * the GPU needs at a time, or it would never get to be done.
 *
 * All of it happens before a fault looks its range up, with no lock held. It
 * needs vsvm_vm.lock of the address space that is to give something back, and one
 * at a time of these. That of somebody else is only tried: he may hold it while he
 * waits for mmap_lock of his process, and what he does with that is up to him. If
 * none can be had, the pool is more than used up for a moment.
 *
 * A worker may be about to map a range that is taken away here. It finds that out
 * as if the memory had been unmapped: see vsvm_range.c.
 */
#include <drm/drm_gpusvm.h>
#include <linux/delay.h>

#include "vsvm_bind.h"
#include "vsvm_quota.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

/* Taken at a time, so that not every fault is about that. */
#define VSVM_RECLAIM_BATCH	8
/* Others may take as fast as we give back. */
#define VSVM_RECLAIM_ROUNDS	32
/* A copy to VRAM takes less, unless the machine is very busy: a fault has 16 tries. */
#define VSVM_ROOM_WAIT		(HZ / 16)

/* The address spaces that may have to give something back, referenced. */
struct vsvm_victims {
	struct vsvm_vm *vm[VSVM_MAX_VMS];
	unsigned int num;
	bool busy;		/* one of them was locked by somebody */
};

static void vsvm_victims_drop(struct vsvm_victims *victims, unsigned int i)
{
	vsvm_vm_put(victims->vm[i]);
	victims->vm[i] = victims->vm[--victims->num];
}

static void vsvm_victims_put(struct vsvm_victims *victims)
{
	while (victims->num)
		vsvm_victims_drop(victims, victims->num - 1);
}

/* Return: which one has most of a pool, or -1 if nobody has more than he needs. */
static int vsvm_victims_largest(const struct vsvm_victims *victims,
				enum vsvm_pool_id pool)
{
	s64 used, most;
	unsigned int i;
	int found = -1;

	if (!victims->num)
		return -1;
	most = victims->vm[0]->vdev->pool[pool].least;
	for (i = 0; i < victims->num; i++) {
		used = atomic64_read(&victims->vm[i]->used[pool]);
		if (used > most) {
			most = used;
			found = i;
		}
	}
	return found;
}

/* SVM ranges of an area; those with entries in a table, or all of them. */
static void vsvm_svm_remove(struct vsvm_vm *vm, unsigned long start,
			    unsigned long end, const struct vsvm_cold *cold)
{
	struct drm_gpusvm_notifier *notifier, *next_notifier;

	drm_gpusvm_for_each_notifier_safe(notifier, next_notifier, &vm->svm,
					  start, end) {
		struct drm_gpusvm_range *base, *next;

		drm_gpusvm_for_each_range_safe(base, next, notifier, start, end) {
			struct vsvm_range *range = to_vsvm_range(base);

			if (!cold || vsvm_pt_is_cold(vm, &range->ptes, cold))
				vsvm_range_remove(vm, range);
		}
	}
}

/* Return: false if there is none. */
static bool vsvm_reclaim_range(struct vsvm_vm *vm)
{
	struct vsvm_range *range;

	range = list_first_entry_or_null(&vm->range_lru, struct vsvm_range, lru);
	if (range)
		vsvm_range_remove(vm, range);
	return range;
}

/* Return: false if there is none. */
static bool vsvm_reclaim_table(struct vsvm_vm *vm)
{
	struct vsvm_cold cold;

	if (!vsvm_pt_coldest(vm, &cold))
		return false;
	if (cold.start >= DRM_VSVM_BIND_START)
		vsvm_bind_reclaim(vm, &cold);
	else
		vsvm_svm_remove(vm, cold.start, cold.start + cold.size, &cold);
	return true;
}

static bool vsvm_reclaim_locked(struct vsvm_vm *vm, enum vsvm_pool_id pool)
{
	const s64 least = vm->vdev->pool[pool].least;
	unsigned int i;

	if (vm->closed)
		return false;
	for (i = 0; i < VSVM_RECLAIM_BATCH &&
	     atomic64_read(&vm->used[pool]) > least; i++) {
		if (pool == VSVM_POOL_TABLES ? !vsvm_reclaim_table(vm) :
					       !vsvm_reclaim_range(vm))
			break;
	}
	return i;
}

/* Return: was there anything to take, and the lock to be had? */
static bool vsvm_reclaim_from(struct vsvm_victims *victims, unsigned int i,
			      const struct vsvm_vm *own, enum vsvm_pool_id pool)
{
	struct vsvm_vm *vm = victims->vm[i];
	bool any;

	if (vm == own) {
		if (mutex_lock_interruptible(&vm->lock))
			return false;
	} else if (!mutex_trylock(&vm->lock)) {
		victims->busy = true;
		return false;
	}
	any = vsvm_reclaim_locked(vm, pool);
	mutex_unlock(&vm->lock);
	return any;
}

static bool vsvm_pool_used_up(struct vsvm_device *vdev, enum vsvm_pool_id pool)
{
	return atomic64_read(&vdev->pool[pool].used) > vdev->pool[pool].limit;
}

/* Return: was anything given back? */
static bool vsvm_reclaim_pool(struct vsvm_vm *own, struct vsvm_victims *victims,
			      enum vsvm_pool_id pool, unsigned int rounds)
{
	bool any = false;
	int i;

	victims->num = vsvm_vm_collect(own->vdev, victims->vm, VSVM_MAX_VMS);
	do {
		i = vsvm_victims_largest(victims, pool);
		if (i < 0)
			break;
		if (vsvm_reclaim_from(victims, i, own, pool))
			any = true;
		else
			vsvm_victims_drop(victims, i);
	} while (--rounds && (!any || vsvm_pool_used_up(own->vdev, pool)));
	vsvm_victims_put(victims);
	return any;
}

/**
 * vsvm_reclaim - see that there is some left of what all address spaces share
 * @vm: address space that is about to take some
 *
 * Context: process, without locks.
 */
void vsvm_reclaim(struct vsvm_vm *vm)
{
	struct vsvm_victims victims;
	unsigned int pool;

	for (pool = 0; pool < VSVM_NUM_POOLS; pool++) {
		if (vsvm_pool_used_up(vm->vdev, pool))
			vsvm_reclaim_pool(vm, &victims, pool,
					  VSVM_RECLAIM_ROUNDS);
	}
}

/*
 * All that is in VRAM may be just on its way there, or out again, so that TTM finds
 * nothing to evict. VRAM is a preference for data, which waits until there is
 * a place for the table.
 */
static bool vsvm_reclaim_wait(struct vsvm_device *vdev)
{
	const unsigned long end = jiffies + VSVM_ROOM_WAIT;

	if (!atomic64_read(&vdev->svm_bytes) && !atomic64_read(&vdev->gem_bytes))
		return false;
	vsvm_vram_hold(vdev, 2 * VSVM_ROOM_WAIT);
	do {
		usleep_range(1000, 2000);
		vsvm_vram_flush(vdev);
	} while (vsvm_vram_used(vdev) == vdev->hw->vram_size &&
		 time_before(jiffies, end));
	return true;
}

/**
 * vsvm_reclaim_tables - make room for a page table, as there is no VRAM for one
 * @vm: address space that wants one
 *
 * When all else was evicted, what is left in VRAM are tables. If that is not so,
 * waits for a moment.
 *
 * Context: process, without locks.
 *
 * Return: whether it makes sense to try again.
 */
bool vsvm_reclaim_tables(struct vsvm_vm *vm)
{
	struct vsvm_victims victims = {};

	if (vsvm_reclaim_pool(vm, &victims, VSVM_POOL_TABLES, VSVM_MAX_VMS))
		return true;
	if (vsvm_reclaim_wait(vm->vdev))
		return true;
	if (victims.busy)
		usleep_range(1000, 2000);
	return victims.busy;
}

/**
 * vsvm_svm_forget - take memory from the GPU, until it touches it again
 * @vm: address space, locked
 * @start: first address
 * @end: address after the last one
 */
void vsvm_svm_forget(struct vsvm_vm *vm, unsigned long start, unsigned long end)
{
	lockdep_assert_held(&vm->lock);
	if (!vm->closed)
		vsvm_svm_remove(vm, start, end, NULL);
}

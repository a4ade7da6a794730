// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Eviction of all that a pagemap has, for suspend and unbind. In sweeps over
 * its allocations, until nothing is left or time is over. What cannot be moved
 * for the moment, or is moving in just now, has another chance in the next
 * sweep; what the driver failed to copy comes last in each.
 *
 * An allocation is kept by a reference to its zdd, and so is not detached
 * before that is put: it is empty when no page of it is in use.
 */
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "pagemap_evict.h"

struct pagemap_evict_all {
	struct drm_pagemap *dpagemap;
	struct pagemap_lost *lost;
	struct drm_pagemap_budget budget;
	unsigned long deadline;
	bool once;		/* a single sweep, however long it takes */
	struct drm_pagemap_evict_result *result;

	/* After the last sweep. */
	bool populating;	/* an allocation that may get pages */
	bool copy_failed;	/* of an allocation that has pages left */
};

static bool pagemap_evict_all_late(const struct pagemap_evict_all *a)
{
	return !a->once && time_after_eq(jiffies, a->deadline);
}

static void pagemap_evict_all_one(struct pagemap_evict_all *a,
				  struct drm_pagemap_zdd *zdd)
{
	struct drm_pagemap_evict_result *result = a->result;
	struct pagemap_evict e = {
		.lost = a->lost,
		.budget = &a->budget,
		.deadline = a->once ? 0 : a->deadline ?: 1,
	};
	unsigned long left;

	pagemap_evict_begin(&e, zdd);
	pagemap_evict_pass(&e);
	left = atomic_read(&zdd->live);
	pagemap_evict_end(&e, left, !left);

	result->evicted += e.pages_moved - e.pages_lost;
	result->lost += e.pages_lost;
}

static void pagemap_evict_all_visit(struct pagemap_evict_all *a,
				    struct drm_pagemap_zdd *zdd, bool failed)
{
	if (READ_ONCE(zdd->copy_failed) != failed)
		return;

	/* Pairs with the end of the populate: its pages are complete then. */
	if (smp_load_acquire(&zdd->devmem->populating))
		a->populating = true;
	else if (atomic_read(&zdd->live) && !pagemap_evict_all_late(a))
		pagemap_evict_all_one(a, zdd);
}

/* Visit those that no copy has failed for, or the others. */
static void pagemap_evict_all_sweep(struct pagemap_evict_all *a, bool failed)
{
	unsigned int sweep = pagemap_zdd_sweep_begin(a->dpagemap);
	struct drm_pagemap_zdd *zdd;

	while ((zdd = pagemap_zdd_sweep(a->dpagemap, sweep))) {
		pagemap_evict_all_visit(a, zdd, failed);
		pagemap_zdd_put(zdd);
		cond_resched();
	}
}

static void pagemap_evict_all_left(struct pagemap_evict_all *a)
{
	unsigned int sweep = pagemap_zdd_sweep_begin(a->dpagemap);
	struct drm_pagemap_zdd *zdd;

	a->result->left = 0;
	a->copy_failed = false;
	while ((zdd = pagemap_zdd_sweep(a->dpagemap, sweep))) {
		unsigned long live = atomic_read(&zdd->live);

		a->result->left += live;
		if (live && READ_ONCE(zdd->copy_failed))
			a->copy_failed = true;
		pagemap_zdd_put(zdd);
		cond_resched();
	}
}

static void pagemap_evict_all_sweeps(struct pagemap_evict_all *a)
{
	struct drm_pagemap_evict_result *result = a->result;

	for (;;) {
		unsigned long before = result->evicted + result->lost;

		a->populating = false;
		pagemap_evict_all_sweep(a, false);
		pagemap_evict_all_sweep(a, true);

		pagemap_evict_all_left(a);
		if (!result->left && !a->populating)
			return;
		if (a->once || pagemap_evict_all_late(a))
			return;
		/* Whoever is in the way must get on. */
		if (before == result->evicted + result->lost)
			schedule_timeout_uninterruptible(1);
	}
}

/**
 * drm_pagemap_evict_all() - move all pages of a pagemap to RAM
 * @dpagemap: the pagemap. The caller has a reference to it, and has seen to it
 *	that no new allocations are made, or there may be no end
 * @timeout_ms: when to give up, in milliseconds. 0: when everything has been
 *	tried once. UINT_MAX: never
 * @result: what became of the pages, filled in here; or NULL
 *
 * Waits for allocations that pages are moving into, and ends all timeslices. A
 * second call for the same pagemap waits for the first one to end. It is not
 * ended by signals, and all its evictions share one budget.
 *
 * After drm_dev_unplug(), pages whose copy fails are lost: what can be read is
 * moved, page by page, and what cannot be read goes without its content, so that
 * the driver can go too. Users of these pages get SIGBUS when they touch them.
 * Each costs a page of RAM, which mm takes for a broken one, and the system goes
 * down with the first if the sysctl vm.memory_failure_recovery says that this
 * is what failing memory is to do. Without CONFIG_MEMORY_FAILURE there is no
 * way to tell users: the pages stay in VRAM, and are reported as left.
 *
 * Context: sleeps and allocates. No dma_resv, mmap lock, lock that a notifier
 *	takes, or folio lock may be held.
 * Return: 0 when nothing is left; -EBUSY when pages are; -EIO when content was
 *	lost, or pages are left of an allocation that a copy failed of.
 */
int drm_pagemap_evict_all(struct drm_pagemap *dpagemap, unsigned int timeout_ms,
			  struct drm_pagemap_evict_result *result)
{
	struct drm_pagemap_evict_result dummy;
	struct pagemap_evict_all a = {
		.dpagemap = dpagemap,
		.lost = pagemap_lost_alloc(),
		.deadline = jiffies + msecs_to_jiffies(timeout_ms),
		.once = !timeout_ms,
	};

	if (!result)
		result = &dummy;
	a.result = result;
	*result = (struct drm_pagemap_evict_result) {};
	/* Who unbinds a device cannot leave it half done. */
	drm_pagemap_budget_begin(&a.budget, DRM_PAGEMAP_BUDGET_UNKILLABLE);
	scoped_guard(mutex, &dpagemap->priv->evict_all)
		pagemap_evict_all_sweeps(&a);
	drm_pagemap_budget_end(&a.budget);
	kvfree(a.lost);

	if (result->lost || a.copy_failed)
		return -EIO;

	return result->left || a.populating ? -EBUSY : 0;
}
EXPORT_SYMBOL_GPL(drm_pagemap_evict_all);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How long the evictions of one operation may wait for what would be nice to
 * have, all of them together. Who wants VRAM may evict many allocations for it,
 * one by one, in a walk that is the driver's or TTM's; that each of them waits
 * in bounded time is not much of a bound for the whole.
 *
 * The walk hands nothing of the operation down to where it evicts, so a budget
 * belongs to the thread. Few threads evict at a time: a list of all budgets is
 * short. Just the waits are counted, not the copies, which are the work itself.
 */
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

#include <kunit/visibility.h>

#include "pagemap_budget.h"

/*
 * About what a thread would still take for slow rather than for stuck. The last
 * wait may be longer than what is left.
 */
#define PAGEMAP_BUDGET_NS	NSEC_PER_SEC

static DEFINE_SPINLOCK(pagemap_budgets_lock);
static LIST_HEAD(pagemap_budgets);	/* the newest of a thread comes first */

static struct drm_pagemap_budget *pagemap_budget_of(struct task_struct *task)
{
	struct drm_pagemap_budget *budget;

	lockdep_assert_held(&pagemap_budgets_lock);

	list_for_each_entry(budget, &pagemap_budgets, link)
		if (budget->task == task)
			return budget;

	return NULL;
}

/**
 * drm_pagemap_budget_begin() - an operation begins that may evict repeatedly
 * @budget: to initialize; on the caller's stack, until
 *	drm_pagemap_budget_end()
 * @flags: DRM_PAGEMAP_BUDGET_*
 *
 * From here on the evictions of the calling thread, whatever they are of, share
 * one budget of time, a second: for making blocks in RAM, and for pages that
 * somebody is just letting go of. When it is used up, they go on without: blocks
 * are split at once, and nothing is tried again.
 *
 * Within another one, @budget draws on that, and has its flags too. An eviction
 * outside has a budget of its own; so has drm_pagemap_populate_range(), for all
 * that it evicts.
 *
 * Context: process; any locks.
 */
void drm_pagemap_budget_begin(struct drm_pagemap_budget *budget, u32 flags)
{
	struct drm_pagemap_budget *outer;

	budget->task = current;
	budget->left = PAGEMAP_BUDGET_NS;
	budget->flags = flags;

	guard(spinlock)(&pagemap_budgets_lock);

	outer = pagemap_budget_of(current);
	if (outer) {
		budget->left = outer->left;
		budget->flags |= outer->flags;
	}
	budget->outer = outer;
	list_add(&budget->link, &pagemap_budgets);
}
EXPORT_SYMBOL_GPL(drm_pagemap_budget_begin);

/**
 * drm_pagemap_budget_end() - the operation is over
 * @budget: the one that this thread began last
 *
 * Context: process; any locks.
 */
void drm_pagemap_budget_end(struct drm_pagemap_budget *budget)
{
	guard(spinlock)(&pagemap_budgets_lock);

	if (budget->outer)
		budget->outer->left = budget->left;
	list_del(&budget->link);
}
EXPORT_SYMBOL_GPL(drm_pagemap_budget_end);

/* May it still wait? */
bool pagemap_budget_left(const struct drm_pagemap_budget *budget)
{
	return budget->left > 0;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_budget_left);

/* It has waited since @began, in nanoseconds. */
void pagemap_budget_spend(struct drm_pagemap_budget *budget, u64 began)
{
	budget->left -= ktime_get_ns() - began;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_budget_spend);

/* Is it to end at once, done or not? */
bool pagemap_budget_killed(const struct drm_pagemap_budget *budget)
{
	return !(budget->flags & DRM_PAGEMAP_BUDGET_UNKILLABLE) &&
	       fatal_signal_pending(current);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Failures on request, at points where the core has to get along with one.
 *
 * In debugfs, drm_pagemap/fail_<point> has the usual files of the kernel's
 * fault injection, and a thread's /proc/thread-self/fail-nth counts the points
 * as well. Before that comes what a KUnit test asks for, which concerns the
 * calls of the test's own thread only: tests and their devices may run beside
 * others.
 */
#include <kunit/visibility.h>
#include <linux/fault-inject.h>
#include <linux/sched.h>

#include "pagemap_inject.h"

struct pagemap_inject_state {
	struct fault_attr attr;
	struct task_struct *task;	/* of the test; to compare, no reference */
	unsigned int countdown;		/* of its calls, the last one fails */
};

static struct pagemap_inject_state pagemap_inject_states[PAGEMAP_INJECT_POINTS];

static const char * const pagemap_inject_names[PAGEMAP_INJECT_POINTS] = {
	[PAGEMAP_INJECT_DEVMEM_ALLOC] = "fail_devmem_alloc",
	[PAGEMAP_INJECT_RAM_PAGE] = "fail_ram_page",
	[PAGEMAP_INJECT_RAM_BLOCK] = "fail_ram_block",
	[PAGEMAP_INJECT_COLLECT] = "fail_collect",
	[PAGEMAP_INJECT_DMA_MAP] = "fail_dma_map",
	[PAGEMAP_INJECT_COPY] = "fail_copy",
	[PAGEMAP_INJECT_COMMIT] = "fail_commit",
};

#if IS_ENABLED(CONFIG_KUNIT)

/* The state is changed by the thread whose it is, so that no lock is needed. */
static bool pagemap_inject_tested(struct pagemap_inject_state *state)
{
	if (likely(READ_ONCE(state->task) != current))
		return false;
	if (state->countdown == PAGEMAP_INJECT_ALWAYS)
		return true;
	if (--state->countdown)
		return false;

	WRITE_ONCE(state->task, NULL);

	return true;
}

/**
 * pagemap_inject_nth() - let a call of pagemap_inject() fail
 * @point: where
 * @n: 1 is the next call of this thread, 2 the one behind it, and so on, and
 *	only that one; %PAGEMAP_INJECT_ALWAYS is each from now on, and
 *	%PAGEMAP_INJECT_NEVER none
 */
void pagemap_inject_nth(enum pagemap_inject_point point, unsigned int n)
{
	struct pagemap_inject_state *state = &pagemap_inject_states[point];

	WRITE_ONCE(state->task, NULL);
	state->countdown = n;
	if (n != PAGEMAP_INJECT_NEVER)
		WRITE_ONCE(state->task, current);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_inject_nth);

/* Has the call that is to fail not come yet? */
bool pagemap_inject_pending(enum pagemap_inject_point point)
{
	return READ_ONCE(pagemap_inject_states[point].task) == current;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_inject_pending);

/* Undo each pagemap_inject_nth(): for a test's end. */
void pagemap_inject_clear(void)
{
	for (unsigned int i = 0; i < PAGEMAP_INJECT_POINTS; i++)
		pagemap_inject_nth(i, PAGEMAP_INJECT_NEVER);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_inject_clear);

const char *pagemap_inject_name(enum pagemap_inject_point point)
{
	return pagemap_inject_names[point];
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_inject_name);

#else

static bool pagemap_inject_tested(struct pagemap_inject_state *state)
{
	return false;
}

#endif

/* Is the call to fail? What that means is for the caller to know. */
bool pagemap_inject(enum pagemap_inject_point point)
{
	struct pagemap_inject_state *state = &pagemap_inject_states[point];

	return pagemap_inject_tested(state) || should_fail(&state->attr, 1);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_inject);

void pagemap_inject_init(struct dentry *dir)
{
	DECLARE_FAULT_ATTR(attr);

	for (unsigned int i = 0; i < PAGEMAP_INJECT_POINTS; i++) {
		pagemap_inject_states[i].attr = attr;
		/* Without debugfs there is nothing to undo. */
		fault_create_debugfs_attr(pagemap_inject_names[i], dir,
					  &pagemap_inject_states[i].attr);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Evictions that share a budget: who draws on which, what goes on without when
 * it is used up, and what a fatal signal ends.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "pagemap_budget.h"
#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_mock.h"

#define SEED	43
#define PAGES	16ul
#define MANY	3

static unsigned long evict_batches(struct kunit *test, struct pagemap_mock *mock)
{
	return pagemap_mock_snapshot(test, mock)->stats.flow[PAGEMAP_EVICT].batches;
}

/* The inner one spends what is the outer one's, and has its flags. */
static void nested_test(struct kunit *test)
{
	struct drm_pagemap_budget outer, inner;
	s64 all;

	drm_pagemap_budget_begin(&outer, DRM_PAGEMAP_BUDGET_UNKILLABLE);
	all = outer.left;
	KUNIT_EXPECT_TRUE(test, pagemap_budget_left(&outer));
	pagemap_budget_spend(&outer, ktime_get_ns() - 1000);
	KUNIT_EXPECT_LE(test, outer.left, all - 1000);

	drm_pagemap_budget_begin(&inner, 0);
	KUNIT_EXPECT_EQ(test, inner.left, outer.left);
	KUNIT_EXPECT_EQ(test, inner.flags, DRM_PAGEMAP_BUDGET_UNKILLABLE);
	pagemap_budget_spend(&inner, ktime_get_ns() - all);
	KUNIT_EXPECT_FALSE(test, pagemap_budget_left(&inner));
	drm_pagemap_budget_end(&inner);
	KUNIT_EXPECT_FALSE(test, pagemap_budget_left(&outer));
	drm_pagemap_budget_end(&outer);

	drm_pagemap_budget_begin(&outer, 0);
	KUNIT_EXPECT_EQ(test, outer.left, all);
	KUNIT_EXPECT_EQ(test, outer.flags, 0u);
	drm_pagemap_budget_end(&outer);
}

struct budget_thread {
	struct completion done;
	s64 left;
};

static int budget_thread(void *data)
{
	struct budget_thread *t = data;
	struct drm_pagemap_budget budget;

	drm_pagemap_budget_begin(&budget, 0);
	t->left = budget.left;
	drm_pagemap_budget_end(&budget);
	complete(&t->done);

	return 0;
}

/* One thread's is not another one's. */
static void threads_test(struct kunit *test)
{
	struct drm_pagemap_budget budget;
	struct budget_thread t = {};
	struct task_struct *task;
	s64 all;

	init_completion(&t.done);
	drm_pagemap_budget_begin(&budget, 0);
	all = budget.left;
	budget.left = 0;
	task = kthread_run(budget_thread, &t, "pagemap-budget");
	if (!IS_ERR(task))
		wait_for_completion(&t.done);
	drm_pagemap_budget_end(&budget);
	KUNIT_EXPECT_EQ(test, t.left, all);
}

/* Reclaim and compaction are for those who have the time. */
static void gfp_test(struct kunit *test)
{
	struct drm_pagemap_budget budget = { .left = 1 };

	KUNIT_EXPECT_TRUE(test, pagemap_ram_block_gfp(&budget) &
				__GFP_DIRECT_RECLAIM);
	budget.left = 0;
	KUNIT_EXPECT_FALSE(test, pagemap_ram_block_gfp(&budget) &
				 __GFP_DIRECT_RECLAIM);
}

/*
 * Allocations that will not move, one after the other: as long as there is time
 * each is tried again and again, and then once. Who comes later pays for those
 * before.
 */
static void walk_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_budget budget;
	struct pagemap_mock_piece p[MANY];
	unsigned long before;
	s64 left;

	for (int i = 0; i < MANY; i++)
		p[i] = pagemap_mock_piece(test, mock, PAGES << PAGE_SHIFT, SEED);
	pagemap_inject_nth(PAGEMAP_INJECT_COMMIT, PAGEMAP_INJECT_ALWAYS);

	drm_pagemap_budget_begin(&budget, 0);
	left = budget.left;
	for (int i = 0; i < MANY; i++) {
		before = evict_batches(test, mock);
		KUNIT_EXPECT_EQ(test, -EBUSY,
				drm_pagemap_evict_to_ram(&p[i].chunk->devmem));
		KUNIT_EXPECT_GT(test, evict_batches(test, mock), before + 1);
		KUNIT_EXPECT_LT(test, budget.left, left);
		left = budget.left;
	}

	budget.left = 1;
	for (int i = 0; i < MANY; i++) {
		before = evict_batches(test, mock);
		KUNIT_EXPECT_EQ(test, -EBUSY,
				drm_pagemap_evict_to_ram(&p[i].chunk->devmem));
		KUNIT_EXPECT_EQ(test, evict_batches(test, mock), before + 1);
	}
	drm_pagemap_budget_end(&budget);
	KUNIT_EXPECT_LE(test, budget.left, 0);

	/* Outside, each has one of its own. */
	before = evict_batches(test, mock);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			drm_pagemap_evict_to_ram(&p[0].chunk->devmem));
	KUNIT_EXPECT_GT(test, evict_batches(test, mock), before + 1);

	pagemap_inject_clear();
	for (int i = 0; i < MANY; i++)
		pagemap_mock_check(test, p[i].addr, p[i].size, SEED);
}

/* Blocks move nevertheless: as a whole if that is for free, or else split. */
static void used_up_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_budget budget;
	struct pagemap_mock_piece p[MANY];
	struct pagemap_snapshot *s;

	for (int i = 0; i < MANY; i++)
		p[i] = pagemap_mock_piece(test, mock, PMD_SIZE, SEED);

	drm_pagemap_budget_begin(&budget, 0);
	budget.left = 0;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p[0].chunk->devmem));
	pagemap_inject_nth(PAGEMAP_INJECT_RAM_BLOCK, PAGEMAP_INJECT_ALWAYS);
	for (int i = 1; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, 0,
				drm_pagemap_evict_to_ram(&p[i].chunk->devmem));
	pagemap_inject_clear();
	drm_pagemap_budget_end(&budget);

	s = pagemap_mock_snapshot(test, mock);
	KUNIT_EXPECT_GE(test, s->stats.count[PAGEMAP_STAT_BLOCK_SPLIT],
			(unsigned long)MANY - 1);
	for (int i = 0; i < MANY; i++) {
		KUNIT_EXPECT_TRUE(test, p[i].chunk->released);
		pagemap_mock_check(test, p[i].addr, p[i].size, SEED);
	}
}

static void kill_in_copy(struct pagemap_mock *mock)
{
	send_sig(SIGKILL, mock->during_data, 1);
}

/* A walk ends where its thread was killed. */
static void killed_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_budget budget;
	struct pagemap_mock_piece p[MANY];

	mock->devmem_ops = &pagemap_mock_async_ops;
	for (int i = 0; i < MANY; i++)
		p[i] = pagemap_mock_piece(test, mock, PMD_SIZE, SEED);
	mock->during_data = current;
	mock->during_copy = kill_in_copy;
	/* A kthread does not hear of signals otherwise. */
	allow_signal(SIGKILL);

	drm_pagemap_budget_begin(&budget, 0);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p[0].chunk->devmem));
	mock->during_copy = NULL;
	KUNIT_EXPECT_EQ(test, -EINTR,
			drm_pagemap_evict_to_ram(&p[1].chunk->devmem));
	KUNIT_EXPECT_EQ(test, mock->to_ram, PMD_SIZE);
	drm_pagemap_budget_end(&budget);

	/* But not what must come to its end. */
	drm_pagemap_budget_begin(&budget, DRM_PAGEMAP_BUDGET_UNKILLABLE);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p[1].chunk->devmem));
	drm_pagemap_budget_end(&budget);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, 0, NULL));

	flush_signals(current);
	disallow_signal(SIGKILL);
	for (int i = 0; i < MANY; i++) {
		KUNIT_EXPECT_TRUE(test, p[i].chunk->released);
		pagemap_mock_check(test, p[i].addr, p[i].size, SEED);
	}
}

static void budget_exit(struct kunit *test)
{
	pagemap_inject_clear();
}

static struct kunit_case budget_cases[] = {
	KUNIT_CASE(nested_test),
	KUNIT_CASE(threads_test),
	KUNIT_CASE(gfp_test),
	KUNIT_CASE(walk_test),
	KUNIT_CASE(used_up_test),
	KUNIT_CASE(killed_test),
	{}
};

static struct kunit_suite budget_suite = {
	.name = "drm_pagemap_budget",
	.exit = budget_exit,
	.test_cases = budget_cases,
};

kunit_test_suite(budget_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Failures on request come when they were asked for, for this thread only, and
 * the points are where the core says that they are.
 */
#include <linux/completion.h>
#include <linux/kthread.h>

#include "pagemap_inject.h"
#include "pagemap_mock.h"

#define SEED	29

static void clear_points(void *unused)
{
	pagemap_inject_clear();
}

static int inject_test_init(struct kunit *test)
{
	pagemap_inject_clear();

	return kunit_add_action_or_reset(test, clear_points, NULL);
}

struct nth_case {
	const char *name;
	unsigned int n;
	const char *want;	/* of each call, F: it fails */
};

static const struct nth_case nth_cases[] = {
	{ "never", PAGEMAP_INJECT_NEVER, "....." },
	{ "the next one", 1, "F...." },
	{ "the second one", 2, ".F..." },
	{ "the fourth one", 4, "...F." },
	{ "always", PAGEMAP_INJECT_ALWAYS, "FFFFF" },
};

KUNIT_ARRAY_PARAM_DESC(nth, nth_cases, name);

static void nth_test(struct kunit *test)
{
	const struct nth_case *c = test->param_value;

	for (unsigned int point = 0; point < PAGEMAP_INJECT_POINTS; point++) {
		pagemap_inject_nth(point, c->n);
		for (unsigned int i = 0; c->want[i]; i++)
			KUNIT_EXPECT_EQ_MSG(test, c->want[i] == 'F',
					    pagemap_inject(point),
					    "%s, call %u",
					    pagemap_inject_name(point), i + 1);
		pagemap_inject_clear();
	}
}

static void points_are_apart_test(struct kunit *test)
{
	pagemap_inject_nth(PAGEMAP_INJECT_COPY, 1);
	KUNIT_EXPECT_FALSE(test, pagemap_inject(PAGEMAP_INJECT_COMMIT));
	KUNIT_EXPECT_TRUE(test, pagemap_inject(PAGEMAP_INJECT_COPY));
}

static void clear_test(struct kunit *test)
{
	pagemap_inject_nth(PAGEMAP_INJECT_COPY, PAGEMAP_INJECT_ALWAYS);
	pagemap_inject_clear();
	KUNIT_EXPECT_FALSE(test, pagemap_inject(PAGEMAP_INJECT_COPY));
}

struct other_thread {
	struct completion done;
	bool failed;
};

static int other_thread(void *data)
{
	struct other_thread *other = data;

	other->failed = pagemap_inject(PAGEMAP_INJECT_COPY);
	complete(&other->done);

	return 0;
}

static void other_thread_test(struct kunit *test)
{
	struct other_thread other = { .failed = true };
	struct task_struct *task;

	init_completion(&other.done);
	pagemap_inject_nth(PAGEMAP_INJECT_COPY, 1);
	task = kthread_run(other_thread, &other, "pagemap_inject");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&other.done);
	KUNIT_EXPECT_FALSE(test, other.failed);
	KUNIT_EXPECT_TRUE(test, pagemap_inject(PAGEMAP_INJECT_COPY));
}

static void names_test(struct kunit *test)
{
	for (unsigned int i = 0; i < PAGEMAP_INJECT_POINTS; i++) {
		const char *name = pagemap_inject_name(i);

		KUNIT_ASSERT_NOT_NULL(test, name);
		KUNIT_EXPECT_TRUE(test, strstarts(name, "fail_"));
	}
}

struct migrate_case {
	const char *name;
	enum pagemap_inject_point point;
	unsigned int n;
	int want;
};

static const struct migrate_case migrate_cases[] = {
	{ "first entry", PAGEMAP_INJECT_DMA_MAP, 1, -ENOMEM },
	{ "last entry", PAGEMAP_INJECT_DMA_MAP, 16, -ENOMEM },
	{ "behind the last entry", PAGEMAP_INJECT_DMA_MAP, 17, 0 },
	{ "collected twice", PAGEMAP_INJECT_COLLECT, 1, -EBUSY },
	{ "copy", PAGEMAP_INJECT_COPY, 1, -EIO },
	{ "commit", PAGEMAP_INJECT_COMMIT, 1, -EBUSY },
};

KUNIT_ARRAY_PARAM_DESC(migrate, migrate_cases, name);

/* A failed migration moves nothing and loses nothing, and the next one works. */
static void migrate_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct migrate_case *c = test->param_value;
	unsigned long addr, size = 16 * PAGE_SIZE;
	struct pagemap_mock_chunk *chunk;

	addr = pagemap_mock_mmap(test, size, false);
	pagemap_mock_fill(test, addr, size, SEED);

	chunk = pagemap_mock_chunk(test, mock, size);
	pagemap_inject_nth(c->point, c->n);
	KUNIT_EXPECT_EQ(test, c->want, pagemap_mock_migrate(test, chunk, addr,
							    addr + size, 0));
	KUNIT_EXPECT_EQ(test, chunk->released, c->want != 0);
	pagemap_inject_clear();
	pagemap_mock_check(test, addr, size, SEED);

	chunk = pagemap_mock_chunk(test, mock, size);
	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + size, 0));
	pagemap_mock_check(test, addr, size, SEED);
}

static struct kunit_case inject_cases[] = {
	KUNIT_CASE_PARAM(nth_test, nth_gen_params),
	KUNIT_CASE(points_are_apart_test),
	KUNIT_CASE(clear_test),
	KUNIT_CASE(other_thread_test),
	KUNIT_CASE(names_test),
	KUNIT_CASE_PARAM(migrate_test, migrate_gen_params),
	{}
};

static struct kunit_suite inject_suite = {
	.name = "drm_pagemap_inject",
	.init = inject_test_init,
	.test_cases = inject_cases,
};

kunit_test_suite(inject_suite);

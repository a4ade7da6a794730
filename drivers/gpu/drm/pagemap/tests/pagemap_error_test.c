// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What goes wrong must lose nothing: every error of an operation, at both
 * orders, and every bad argument.
 */
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "pagemap_mock.h"

#define SEED	23

struct size_case {
	const char *name;
	unsigned long size;
	bool huge;
};

static const struct size_case size_cases[] = {
	{ "pages", 16 * PAGE_SIZE },
	{ "THP", PMD_SIZE, .huge = true },
};

KUNIT_ARRAY_PARAM_DESC(size, size_cases, name);

static unsigned long filled(struct kunit *test, const struct size_case *c)
{
	unsigned long addr = pagemap_mock_mmap(test, c->size, c->huge);

	pagemap_mock_fill(test, addr, c->size, SEED);

	return addr;
}

static void copy_to_devmem_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct size_case *c = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr = filled(test, c);

	mock->fail_to_devmem = -EIO;
	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_EXPECT_EQ(test, -EIO, pagemap_mock_migrate(test, chunk, addr,
							 addr + c->size, 0));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	KUNIT_EXPECT_EQ(test, mock->released, 1ul);

	pagemap_mock_check(test, addr, c->size, SEED);
	KUNIT_EXPECT_EQ(test, mock->to_ram, 0ul);
}

static void populate_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct size_case *c = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr = filled(test, c);

	mock->fail_populate = -ENOSPC;
	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_EXPECT_EQ(test, -ENOSPC, pagemap_mock_migrate(test, chunk, addr,
							    addr + c->size, 0));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	pagemap_mock_check(test, addr, c->size, SEED);
}

/* A page that is not in the pagemap would be somebody else's. */
static void bad_pfn_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct size_case *c = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr = filled(test, c);

	mock->bad_pfn = true;
	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_EXPECT_EQ(test, -EINVAL, pagemap_mock_migrate(test, chunk, addr,
							    addr + c->size, 0));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	pagemap_mock_check(test, addr, c->size, SEED);
}

/* A page that has been given away is not free to be given again. */
static void page_in_use_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct size_case *c = test->param_value;
	struct pagemap_mock_chunk *first, *second;
	unsigned long a = filled(test, c), b = filled(test, c);

	first = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, first, a,
						      a + c->size, 0));
	second = pagemap_mock_chunk(test, mock, c->size);
	second->first = first->first;
	KUNIT_EXPECT_EQ(test, -EINVAL, pagemap_mock_migrate(test, second, b,
							    b + c->size, 0));
	KUNIT_EXPECT_TRUE(test, second->released);
	KUNIT_EXPECT_FALSE(test, first->released);
	pagemap_mock_check(test, a, c->size, SEED);
	pagemap_mock_check(test, b, c->size, SEED);
}

/* The access fails; the content is still there when the device works again. */
static void fault_copy_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct size_case *c = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr = filled(test, c);

	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + c->size, 0));
	mock->fail_to_ram = -EIO;
	KUNIT_EXPECT_EQ(test, -EFAULT, pagemap_mock_touch(addr));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pagemap_mock_touch(addr + c->size - 8));
	KUNIT_EXPECT_FALSE(test, chunk->released);

	mock->fail_to_ram = 0;
	pagemap_mock_check(test, addr, c->size, SEED);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

static void evict_copy_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct size_case *c = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr = filled(test, c);

	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + c->size, 0));
	mock->fail_to_ram = -EIO;
	KUNIT_EXPECT_EQ(test, -EBUSY, drm_pagemap_evict_to_ram(&chunk->devmem));
	KUNIT_EXPECT_FALSE(test, chunk->released);
	mock->fail_to_ram = 0;
	mock->fail_populate = -EIO;
	KUNIT_EXPECT_EQ(test, -EBUSY, drm_pagemap_evict_to_ram(&chunk->devmem));
	mock->fail_populate = 0;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	pagemap_mock_check(test, addr, c->size, SEED);
}

struct range_case {
	const char *name;
	unsigned long start, end;	/* from the mapping's start */
	int want;
};

/* The mapping has 16 pages, and nothing before and behind it. */
static const struct range_case range_cases[] = {
	{ "empty", 0, 0, -EINVAL },
	{ "backwards", 2 * PAGE_SIZE, PAGE_SIZE, -EINVAL },
	{ "unaligned start", 8, PAGE_SIZE, -EINVAL },
	{ "unaligned end", 0, PAGE_SIZE + 8, -EINVAL },
	{ "beyond the VMA", 8 * PAGE_SIZE, 17 * PAGE_SIZE, -EINVAL },
	{ "behind the VMA", 16 * PAGE_SIZE, 17 * PAGE_SIZE, -ENOENT },
	{ "larger than the chunk", 0, 16 * PAGE_SIZE + PMD_SIZE, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(range, range_cases, name);

static void bad_range_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct range_case *c = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	addr = filled(test, &size_cases[0]);
	chunk = pagemap_mock_chunk(test, mock, 16 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, c->want,
			pagemap_mock_migrate(test, chunk, addr + c->start,
					     addr + c->end, 0));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	KUNIT_EXPECT_EQ(test, mock->to_devmem, 0ul);
	pagemap_mock_check(test, addr, size_cases[0].size, SEED);
}

/* The reference is consumed, and a missing operation is no oops. */
static void missing_ops_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	static const struct drm_pagemap_ops no_ops = {};
	struct drm_pagemap_devmem_ops ops;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	addr = filled(test, &size_cases[0]);
	chunk = pagemap_mock_chunk(test, mock, 16 * PAGE_SIZE);
	ops = *chunk->devmem.ops;
	ops.copy_to_ram = NULL;
	chunk->devmem.ops = &ops;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			pagemap_mock_migrate(test, chunk, addr,
					     addr + 16 * PAGE_SIZE, 0));
	KUNIT_EXPECT_TRUE(test, chunk->released);

	mock->dpagemap->ops = &no_ops;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			drm_pagemap_populate_mm(mock->dpagemap, addr,
						addr + PAGE_SIZE, current->mm, 0));
}

/* Memory that is shared on purpose stays where it is. */
static void shared_vma_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	pagemap_mock_fill(test, addr, PAGE_SIZE, SEED);
	chunk = pagemap_mock_chunk(test, mock, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EBUSY, pagemap_mock_migrate(test, chunk, addr,
							   addr + PAGE_SIZE, 0));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	pagemap_mock_check(test, addr, PAGE_SIZE, SEED);
}

/* Several copies may be underway: each of them does it. */
static void kill_in_copy(struct pagemap_mock *mock)
{
	send_sig(SIGKILL, mock->during_data, 1);
}

/* Who is killed does not wait for the end of a large range. */
static void killed_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long size = 5 * PMD_SIZE, moved;
	unsigned long addr = pagemap_mock_mmap(test, size, true);
	struct drm_pagemap_migrate_result result = {};

	pagemap_mock_fill(test, addr, size, SEED);
	mock->devmem_ops = &pagemap_mock_async_ops;
	mock->during_data = current;
	mock->during_copy = kill_in_copy;
	/* A kthread does not hear of signals otherwise. */
	allow_signal(SIGKILL);
	KUNIT_EXPECT_EQ(test, -EINTR,
			pagemap_mock_populate(mock, addr, size,
					      DRM_PAGEMAP_BEST_EFFORT,
					      &result));
	mock->during_copy = NULL;
	moved = result.pages[DRM_PAGEMAP_MOVED] * PAGE_SIZE;
	KUNIT_EXPECT_GE(test, moved, PMD_SIZE);
	KUNIT_EXPECT_LT(test, moved, size);
	KUNIT_EXPECT_EQ(test, result.reached, addr + moved);

	/* Killed before it began. */
	KUNIT_EXPECT_EQ(test, -EINTR,
			pagemap_mock_populate(mock, addr, size,
					      DRM_PAGEMAP_BEST_EFFORT,
					      &result));
	KUNIT_EXPECT_EQ(test, result.reached, addr);
	flush_signals(current);
	disallow_signal(SIGKILL);

	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, size,
					      DRM_PAGEMAP_BEST_EFFORT,
					      &result));
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_PRESENT],
			moved >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, result.reached, addr + size);
	pagemap_mock_check(test, addr, size, SEED);
}

static struct kunit_case error_cases[] = {
	KUNIT_CASE_PARAM(copy_to_devmem_fails_test, size_gen_params),
	KUNIT_CASE_PARAM(populate_fails_test, size_gen_params),
	KUNIT_CASE_PARAM(bad_pfn_test, size_gen_params),
	KUNIT_CASE_PARAM(page_in_use_test, size_gen_params),
	KUNIT_CASE_PARAM(fault_copy_fails_test, size_gen_params),
	KUNIT_CASE_PARAM(evict_copy_fails_test, size_gen_params),
	KUNIT_CASE_PARAM(bad_range_test, range_gen_params),
	KUNIT_CASE(missing_ops_test),
	KUNIT_CASE(shared_vma_test),
	KUNIT_CASE(killed_test),
	{}
};

static struct kunit_suite error_suite = {
	.name = "drm_pagemap_error",
	.test_cases = error_cases,
};

kunit_test_suite(error_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Real migrations of a real address space, against a mock device.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "pagemap_mock.h"

struct layout {
	const char *name;
	unsigned long size;
	bool huge;
	bool hole;
};

static const struct layout layouts[] = {
	{ "one page", PAGE_SIZE },
	{ "pages", 16 * PAGE_SIZE },
	{ "PMD of pages", PMD_SIZE },
	{ "THP", PMD_SIZE, .huge = true },
	{ "hole", PAGE_SIZE, .hole = true },
	{ "holes", 16 * PAGE_SIZE, .hole = true },
	{ "PMD of holes", PMD_SIZE, .hole = true },
	{ "PMD-sized hole", PMD_SIZE, .huge = true, .hole = true },
};

KUNIT_ARRAY_PARAM_DESC(layout, layouts, name);

#define SEED	17

/* A mapping as the layout says, moved to a chunk of VRAM. */
static struct pagemap_mock_chunk *move(struct kunit *test,
				       struct pagemap_mock *mock,
				       const struct layout *l,
				       unsigned long *addr)
{
	struct pagemap_mock_chunk *chunk = pagemap_mock_chunk(test, mock, l->size);

	*addr = pagemap_mock_mmap(test, l->size, l->huge);
	if (!l->hole)
		pagemap_mock_fill(test, *addr, l->size, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, *addr,
						      *addr + l->size, 0));

	return chunk;
}

static void check(struct kunit *test, const struct layout *l, unsigned long addr)
{
	if (l->hole)
		pagemap_mock_check_zero(test, addr, l->size);
	else
		pagemap_mock_check(test, addr, l->size, SEED);
}

static void fault_back_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct layout *l = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	chunk = move(test, mock, l, &addr);
	KUNIT_EXPECT_EQ(test, mock->to_devmem, l->hole ? 0 : l->size);
	KUNIT_EXPECT_EQ(test, mock->cleared, l->hole ? l->size : 0);
	KUNIT_EXPECT_FALSE(test, chunk->released);

	check(test, l, addr);
	KUNIT_EXPECT_EQ(test, mock->to_ram, l->size);
	KUNIT_EXPECT_TRUE(test, chunk->released);
	KUNIT_EXPECT_TRUE(test, completion_done(&chunk->devmem.detached));
}

static void evict_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct layout *l = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	chunk = move(test, mock, l, &addr);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	KUNIT_EXPECT_EQ(test, mock->to_ram, l->size);
	/* Nothing left: no work, and no error. */
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));

	check(test, l, addr);
	KUNIT_EXPECT_EQ(test, mock->to_ram, l->size);
}

static void munmap_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct layout *l = test->param_value;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	chunk = move(test, mock, l, &addr);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(addr, l->size));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	KUNIT_EXPECT_EQ(test, mock->to_ram, 0ul);
}

/*
 * The process unmaps what is being evicted. The anon_vma goes, which mm walks
 * for the migration entries; and mm takes the entry of a block for the block.
 */
static void evict_munmap_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct layout *l = test->param_value;
	struct pagemap_mock_chunk *chunk;

	chunk = move(test, mock, l, &mock->munmap_addr);
	mock->munmap_size = l->size;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	KUNIT_EXPECT_EQ(test, mock->munmap_size, 0ul);
	KUNIT_EXPECT_EQ(test, mock->released, 1ul);
	KUNIT_EXPECT_EQ(test, kref_read(&mock->dpagemap->ref), 1u);
}

/* The same, and then the copy fails: nothing is left to be put back. */
static void evict_munmap_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct layout *l = test->param_value;
	struct pagemap_mock_chunk *chunk;

	chunk = move(test, mock, l, &mock->munmap_addr);
	mock->munmap_size = l->size;
	mock->fail_to_ram = -EIO;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	KUNIT_EXPECT_EQ(test, mock->to_ram, 0ul);
	KUNIT_EXPECT_EQ(test, mock->released, 1ul);
	KUNIT_EXPECT_EQ(test, kref_read(&mock->dpagemap->ref), 1u);
}

/*
 * A block whose mapping is split: mm must split the folio for a fault in the
 * middle, and must not lose its lock (contract of mm, W-28).
 */
static void split_block_test(struct kunit *test)
{
	static const struct layout l = { "THP", PMD_SIZE, .huge = true };
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *chunk;
	unsigned long addr, hole;

	chunk = move(test, mock, &l, &addr);
	hole = addr + 7 * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(hole, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, chunk->released);

	/* First touch in the middle, while all of it is still one folio. */
	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch(addr + 100 * PAGE_SIZE));
	pagemap_mock_check(test, addr, 7 * PAGE_SIZE, SEED);
	pagemap_mock_check_part(test, addr, 8 * PAGE_SIZE, PMD_SIZE, SEED);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

static void split_block_evict_test(struct kunit *test)
{
	static const struct layout l = { "THP", PMD_SIZE, .huge = true };
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *chunk;
	unsigned long addr, half = PMD_SIZE / 2;

	chunk = move(test, mock, &l, &addr);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + half, half));
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	pagemap_mock_check(test, addr, half, SEED);
}

/* VRAM that is not one block takes the pages of a THP one by one. */
static void scattered_test(struct kunit *test)
{
	const struct layout *l = test->param_value;
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	mock->scatter = true;
	chunk = move(test, mock, l, &addr);
	check(test, l, addr);
	KUNIT_EXPECT_EQ(test, mock->to_ram, l->size);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

/* Part of the range is there already: it stays, and the rest moves. */
static void half_there_test(struct kunit *test)
{
	static const struct layout half = { "half", PMD_SIZE / 2 };
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *first, *second;
	unsigned long addr;

	first = pagemap_mock_chunk(test, mock, half.size);
	second = pagemap_mock_chunk(test, mock, PMD_SIZE);
	addr = pagemap_mock_mmap(test, PMD_SIZE, false);
	pagemap_mock_fill(test, addr, PMD_SIZE, SEED);

	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, first, addr,
						      addr + half.size, 0));
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, second, addr,
						      addr + PMD_SIZE, 0));
	KUNIT_EXPECT_EQ(test, mock->to_devmem, PMD_SIZE);
	KUNIT_EXPECT_EQ(test, mock->to_ram, 0ul);
	KUNIT_EXPECT_FALSE(test, first->released);

	pagemap_mock_check(test, addr, PMD_SIZE, SEED);
	KUNIT_EXPECT_TRUE(test, first->released);
	KUNIT_EXPECT_TRUE(test, second->released);
}

/* More than a batch, at addresses that are not aligned to one. */
static void long_range_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long size = 3 * PMD_SIZE, addr;
	struct pagemap_mock_chunk *chunk;

	chunk = pagemap_mock_chunk(test, mock, 2 * PMD_SIZE);
	addr = pagemap_mock_mmap(test, size, true);
	pagemap_mock_fill(test, addr, size, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk,
						      addr + PMD_SIZE / 2,
						      addr + PMD_SIZE / 2 +
						      2 * PMD_SIZE, 0));
	KUNIT_EXPECT_EQ(test, mock->to_devmem, 2 * PMD_SIZE);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	pagemap_mock_check(test, addr, size, SEED);
}

static void timeslice_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const unsigned long slice_ms = 200;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr, before;

	chunk = pagemap_mock_chunk(test, mock, PMD_SIZE);
	addr = pagemap_mock_mmap(test, PMD_SIZE, true);
	pagemap_mock_fill(test, addr, PMD_SIZE, SEED);
	before = jiffies;
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + PMD_SIZE, slice_ms));
	pagemap_mock_check(test, addr, PMD_SIZE, SEED);
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - before), slice_ms);
}

struct waiter {
	struct mm_struct *mm;
	unsigned long addr;
	struct completion started, done;
};

static int waiter_thread(void *data)
{
	struct waiter *w = data;

	kthread_use_mm(w->mm);
	complete(&w->started);
	pagemap_mock_touch(w->addr);
	kthread_unuse_mm(w->mm);
	complete(&w->done);

	return 0;
}

/* A thread that waits for the end of a slice is sent on by an eviction. */
static void timeslice_evict_test(struct kunit *test)
{
	static struct waiter w;
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *chunk;

	init_completion(&w.started);
	init_completion(&w.done);
	chunk = pagemap_mock_chunk(test, mock, PMD_SIZE);
	w.addr = pagemap_mock_mmap(test, PMD_SIZE, true);
	w.mm = current->mm;
	pagemap_mock_fill(test, w.addr, PMD_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, w.addr,
						      w.addr + PMD_SIZE, 100000));

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(waiter_thread, &w,
						       "pagemap-waiter"));
	wait_for_completion(&w.started);
	KUNIT_EXPECT_EQ(test, 0ul, wait_for_completion_timeout(&w.done, HZ / 2));
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	KUNIT_ASSERT_NE(test, 0ul, wait_for_completion_timeout(&w.done, 20 * HZ));
	pagemap_mock_check(test, w.addr, PMD_SIZE, SEED);
}

static struct kunit_case migrate_cases[] = {
	KUNIT_CASE_PARAM(fault_back_test, layout_gen_params),
	KUNIT_CASE_PARAM(evict_test, layout_gen_params),
	KUNIT_CASE_PARAM(evict_munmap_test, layout_gen_params),
	KUNIT_CASE_PARAM(evict_munmap_fails_test, layout_gen_params),
	KUNIT_CASE_PARAM(munmap_test, layout_gen_params),
	KUNIT_CASE_PARAM(scattered_test, layout_gen_params),
	KUNIT_CASE(split_block_test),
	KUNIT_CASE(split_block_evict_test),
	KUNIT_CASE(half_there_test),
	KUNIT_CASE(long_range_test),
	KUNIT_CASE(timeslice_test),
	KUNIT_CASE(timeslice_evict_test),
	{}
};

static struct kunit_suite migrate_suite = {
	.name = "drm_pagemap_migrate",
	.test_cases = migrate_cases,
};

kunit_test_suite(migrate_suite);

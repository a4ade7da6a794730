// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * CPU faults: how much comes home, and what happens if it cannot. What is
 * still in VRAM is counted, because a copy that failed has copied as well.
 */
#include <linux/jiffies.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_mock.h"

#define SEED		41
#define FOREVER_MS	1000000
#define PAGES(bytes)	((bytes) >> PAGE_SHIFT)

static const struct drm_pagemap_fault_policy by_default = {};
static const struct drm_pagemap_fault_policy at_once = { .ignore_timeslice = true };
static const struct drm_pagemap_fault_policy fixed_page = { PAGE_SIZE, PAGE_SIZE };
static const struct drm_pagemap_fault_policy fixed_64k = { SZ_64K, SZ_64K };
static const struct drm_pagemap_fault_policy fixed_256k = { SZ_256K, SZ_256K };
static const struct drm_pagemap_fault_policy fixed_256k_at_once = {
	SZ_256K, SZ_256K, .ignore_timeslice = true,
};

static const struct drm_pagemap_fault_policy up_to_128k = { .max_window = SZ_128K };

static void clear_inject(void *unused)
{
	pagemap_inject_clear();
}

static struct pagemap_mock *mock_with(struct kunit *test,
				      const struct drm_pagemap_fault_policy *policy)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);

	mock->dpagemap->fault_policy = policy;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, clear_inject, NULL));

	return mock;
}

/* What is at [@start, @start + @size) goes to an allocation of its own. */
static struct pagemap_mock_chunk *to_vram(struct kunit *test,
					  struct pagemap_mock *mock,
					  unsigned long start, unsigned long size,
					  unsigned long timeslice_ms)
{
	struct pagemap_mock_chunk *chunk = pagemap_mock_chunk(test, mock, size);

	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, start,
						      start + size, timeslice_ms));

	return chunk;
}

static unsigned long filled(struct kunit *test, unsigned long size, bool huge)
{
	unsigned long addr = pagemap_mock_mmap(test, size, huge);

	pagemap_mock_fill(test, addr, size, SEED);

	return addr;
}

/* Pages that are in VRAM. */
static unsigned long live(const struct pagemap_mock_chunk *chunk)
{
	return chunk->released ? 0 : atomic_read(&chunk->devmem.zdd->live);
}

struct window_step {
	unsigned long offset;
	unsigned long moved;		/* bytes; 0: end of the steps */
};

struct steps_case {
	const char *name;
	const struct drm_pagemap_fault_policy *policy;
	struct window_step step[8];
};

/* Two allocations of PMD_SIZE each. */
static const struct steps_case steps_cases[] = {
	{ "no policy", NULL, { { SZ_1M, PMD_SIZE }, { PMD_SIZE, PMD_SIZE } } },
	{ "up", &by_default,
	  { { 0, SZ_64K }, { SZ_64K, SZ_64K }, { SZ_128K, SZ_128K },
	    { SZ_256K, SZ_256K }, { SZ_512K, SZ_512K }, { SZ_1M, SZ_1M },
	    { PMD_SIZE, PMD_SIZE } } },
	{ "down", &by_default,
	  { { PMD_SIZE - 1, SZ_64K }, { PMD_SIZE - SZ_64K - 1, SZ_64K },
	    { PMD_SIZE - SZ_128K - 1, SZ_128K },
	    { PMD_SIZE - SZ_256K - 1, SZ_256K } } },
	{ "about", &by_default,
	  { { SZ_1M, SZ_64K }, { 0, SZ_64K }, { SZ_512K, SZ_64K },
	    { PMD_SIZE + SZ_1M, SZ_64K }, { SZ_256K, SZ_64K } } },
	{ "up, then about, then up", &by_default,
	  { { 0, SZ_64K }, { SZ_64K, SZ_64K }, { SZ_128K, SZ_128K },
	    { SZ_1M, SZ_64K }, { SZ_1M + SZ_64K, SZ_64K },
	    { SZ_1M + SZ_128K, SZ_128K } } },
	{ "two at a time", &by_default,
	  { { 0, SZ_64K }, { SZ_1M, SZ_64K }, { SZ_64K, SZ_64K },
	    { SZ_1M + SZ_64K, SZ_64K }, { SZ_128K, SZ_128K },
	    { SZ_1M + SZ_128K, SZ_128K } } },
	{ "pages", &fixed_page, { { 0, PAGE_SIZE }, { PAGE_SIZE, PAGE_SIZE },
				  { SZ_1M + 12, PAGE_SIZE } } },
	{ "fixed", &fixed_256k, { { SZ_64K, SZ_256K }, { SZ_256K, SZ_256K },
				  { SZ_512K, SZ_256K } } },
	{ "up to a limit", &up_to_128k,
	  { { 0, SZ_64K }, { SZ_64K, SZ_64K }, { SZ_128K, SZ_128K },
	    { SZ_256K, SZ_128K }, { SZ_512K - SZ_128K, SZ_128K } } },
};

KUNIT_ARRAY_PARAM_DESC(steps, steps_cases, name);

static void window_steps_test(struct kunit *test)
{
	const struct steps_case *c = test->param_value;
	struct pagemap_mock *mock = mock_with(test, c->policy);
	unsigned long addr = filled(test, 2 * PMD_SIZE, false);

	to_vram(test, mock, addr, PMD_SIZE, 0);
	to_vram(test, mock, addr + PMD_SIZE, PMD_SIZE, 0);

	for (const struct window_step *s = c->step; s->moved; s++) {
		mock->to_ram = 0;
		KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch((addr + s->offset) & ~7ul));
		KUNIT_EXPECT_EQ_MSG(test, mock->to_ram, s->moved, "step %td",
				    s - c->step);
	}
	pagemap_mock_check(test, addr, 2 * PMD_SIZE, SEED);
}

/* Mapped as a block, it moves as one; split, with the pages of a window. */
static void block_test(struct kunit *test)
{
	struct pagemap_mock *mock = mock_with(test, &fixed_64k);
	unsigned long addr = filled(test, 2 * PMD_SIZE, true);
	struct pagemap_mock_chunk *whole, *split;

	whole = to_vram(test, mock, addr, PMD_SIZE, 0);
	split = to_vram(test, mock, addr + PMD_SIZE, PMD_SIZE, 0);
	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch(addr + 100 * PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, whole->released);

	/* First touch at a tail, while all of it is still one folio: W-28. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + PMD_SIZE + 7 * PAGE_SIZE,
					   PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch(addr + PMD_SIZE +
						    100 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, live(split), PAGES(PMD_SIZE - SZ_64K) - 1);

	pagemap_mock_check(test, addr, PMD_SIZE + 7 * PAGE_SIZE, SEED);
	pagemap_mock_check_part(test, addr, PMD_SIZE + 8 * PAGE_SIZE,
				2 * PMD_SIZE, SEED);
	KUNIT_EXPECT_TRUE(test, split->released);
}

struct policy_case {
	const char *name;
	const struct drm_pagemap_fault_policy *policy;
};

static const struct policy_case policy_cases[] = {
	{ "no policy", NULL },
	{ "policy", &by_default },
};

KUNIT_ARRAY_PARAM_DESC(policy, policy_cases, name);

/* Without a block in RAM, one page comes home, and the others stay. */
static void no_block_test(struct kunit *test)
{
	const struct policy_case *c = test->param_value;
	struct pagemap_mock *mock = mock_with(test, c->policy);
	unsigned long addr = filled(test, PMD_SIZE, true);
	struct pagemap_mock_chunk *chunk;

	chunk = to_vram(test, mock, addr, PMD_SIZE, 0);
	pagemap_inject_nth(PAGEMAP_INJECT_RAM_BLOCK, PAGEMAP_INJECT_ALWAYS);
	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch(addr + 100 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, live(chunk), PAGEMAP_BATCH_PAGES - 1);
	KUNIT_EXPECT_EQ(test, mock->to_ram, PAGE_SIZE);

	pagemap_mock_check(test, addr, PMD_SIZE, SEED);
	KUNIT_EXPECT_EQ(test, mock->to_ram, PMD_SIZE);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

struct neighbour_case {
	const char *name;
	const struct drm_pagemap_fault_policy *policy;
	bool slice;			/* of the second of four runs */
	unsigned long moved;
};

static const struct neighbour_case neighbour_cases[] = {
	{ "no policy", NULL, false, SZ_64K },
	{ "policy", &fixed_256k, false, SZ_256K },
	{ "slice", &fixed_256k, true, SZ_256K - SZ_64K },
	{ "slice ignored", &fixed_256k_at_once, true, SZ_256K },
	{ "small window", &fixed_64k, false, SZ_64K },
};

KUNIT_ARRAY_PARAM_DESC(neighbour, neighbour_cases, name);

/* Pages of other allocations come along, unless their slice runs. */
static void neighbour_test(struct kunit *test)
{
	const struct neighbour_case *c = test->param_value;
	struct pagemap_mock *mock = mock_with(test, c->policy);
	unsigned long addr = filled(test, SZ_512K, false);
	struct pagemap_mock_chunk *chunk[4];

	for (int i = 0; i < 4; i++)
		chunk[i] = to_vram(test, mock, addr + i * SZ_64K, SZ_64K,
				   c->slice && i == 1 ? FOREVER_MS : 0);

	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch(addr + SZ_128K));
	KUNIT_EXPECT_EQ(test, mock->to_ram, c->moved);
	KUNIT_EXPECT_EQ(test, mock->released, c->moved / SZ_64K);
	KUNIT_EXPECT_TRUE(test, chunk[2]->released);
	if (c->slice)
		KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk[1]->devmem));
	pagemap_mock_check(test, addr, SZ_512K, SEED);
}

static void touch_each(struct kunit *test, unsigned long start, unsigned long end)
{
	for (; start < end; start += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, 0, pagemap_mock_touch(start));
}

/* The last few pages of an allocation come together, and no others with them. */
static void last_pages_test(struct kunit *test)
{
	struct pagemap_mock *mock = mock_with(test, &fixed_page);
	unsigned long addr = filled(test, SZ_1M, false);
	struct pagemap_mock_chunk *inner, *outer;

	inner = to_vram(test, mock, addr + SZ_64K, SZ_64K, 0);
	outer = to_vram(test, mock, addr, SZ_1M, 0);
	touch_each(test, addr + SZ_16K, addr + SZ_64K);
	touch_each(test, addr + SZ_128K, addr + SZ_1M - SZ_16K);
	KUNIT_EXPECT_EQ(test, live(outer), PAGES(2 * SZ_16K));

	mock->dpagemap->fault_policy = &fixed_64k;
	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch(addr));
	KUNIT_EXPECT_TRUE(test, outer->released);
	KUNIT_EXPECT_EQ(test, live(inner), PAGES(SZ_64K));
	pagemap_mock_check(test, addr, SZ_1M, SEED);
}

struct inject_case {
	const char *name;
	enum pagemap_inject_point point;
	unsigned int nth;
	int err;
	unsigned long moved;		/* pages, of a window of 64 */
};

static const struct inject_case inject_cases[] = {
	{ "no page", PAGEMAP_INJECT_RAM_PAGE, PAGEMAP_INJECT_ALWAYS, -EFAULT, 0 },
	{ "no page at first", PAGEMAP_INJECT_RAM_PAGE, 1, 0, 1 },
	{ "one page", PAGEMAP_INJECT_RAM_PAGE, 2, 0, 1 },
	{ "five pages", PAGEMAP_INJECT_RAM_PAGE, 6, 0, 5 },
	{ "no mapping", PAGEMAP_INJECT_DMA_MAP, PAGEMAP_INJECT_ALWAYS, -EFAULT, 0 },
	{ "a small mapping", PAGEMAP_INJECT_DMA_MAP, 1, 0, 8 },
	{ "no copy", PAGEMAP_INJECT_COPY, PAGEMAP_INJECT_ALWAYS, -EFAULT, 0 },
	{ "no large copy", PAGEMAP_INJECT_COPY, 1, 0, 1 },
	{ "no commit at first", PAGEMAP_INJECT_COMMIT, 1, 0, 64 },
};

KUNIT_ARRAY_PARAM_DESC(inject, inject_cases, name);

static void inject_test(struct kunit *test)
{
	const struct inject_case *c = test->param_value;
	struct pagemap_mock *mock = mock_with(test, &fixed_256k);
	unsigned long addr = filled(test, SZ_1M, false);
	struct pagemap_mock_chunk *chunk;

	chunk = to_vram(test, mock, addr, SZ_1M, 0);
	pagemap_inject_nth(c->point, c->nth);
	KUNIT_EXPECT_EQ(test, c->err, pagemap_mock_touch(addr + SZ_64K));
	pagemap_inject_clear();
	KUNIT_EXPECT_EQ(test, live(chunk), PAGES(SZ_1M) - c->moved);

	pagemap_mock_check(test, addr, SZ_1M, SEED);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

struct bad_case {
	const char *name;
	const struct drm_pagemap_fault_policy *policy;
	bool huge;
};

static const struct bad_case bad_cases[] = {
	{ "pages", NULL, false },
	{ "pages, policy", &fixed_64k, false },
	{ "THP", NULL, true },
	{ "THP, policy", &fixed_64k, true },
};

KUNIT_ARRAY_PARAM_DESC(bad, bad_cases, name);

/* A page that cannot be read costs that page, and nothing else. */
static void bad_page_test(struct kunit *test)
{
	const struct bad_case *c = test->param_value;
	struct pagemap_mock *mock = mock_with(test, c->policy);
	unsigned long addr = filled(test, PMD_SIZE, c->huge);
	struct pagemap_mock_chunk *chunk;

	chunk = to_vram(test, mock, addr, PMD_SIZE, 0);
	mock->bad_first = chunk->first + 5;
	mock->bad_pages = 1;

	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_touch(addr + 6 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, live(chunk), PAGEMAP_BATCH_PAGES - 1);
	KUNIT_EXPECT_EQ(test, -EFAULT, pagemap_mock_touch(addr + 5 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, live(chunk), PAGEMAP_BATCH_PAGES - 1);
	/* Not all of them: each means a copy of the window that fails. */
	pagemap_mock_check_part(test, addr, 3 * PAGE_SIZE, 5 * PAGE_SIZE, SEED);
	pagemap_mock_check_part(test, addr, 6 * PAGE_SIZE, 8 * PAGE_SIZE, SEED);
	KUNIT_EXPECT_EQ(test, live(chunk), PAGEMAP_BATCH_PAGES - 4);

	mock->bad_pages = 0;
	pagemap_mock_check(test, addr, PMD_SIZE, SEED);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

/* An error that says nothing about the data is no reason for a signal. */
static void passing_error_test(struct kunit *test)
{
	struct pagemap_mock *mock = mock_with(test, &fixed_64k);
	unsigned long addr = filled(test, SZ_64K, false);
	struct vm_area_struct *vma;
	vm_fault_t ret;

	to_vram(test, mock, addr, SZ_64K, 0);
	mock->fail_to_ram = -EAGAIN;
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	ret = vma ? handle_mm_fault(vma, addr, FAULT_FLAG_REMOTE, NULL) :
		    VM_FAULT_SIGSEGV;
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, (__force int)(ret & VM_FAULT_ERROR), 0);
	mock->fail_to_ram = 0;
	pagemap_mock_check(test, addr, SZ_64K, SEED);
}

struct flags_case {
	const char *name;
	unsigned int flags;
	bool retry, locked, moved, waits;
};

#define SLICE_MS	100

static const struct flags_case flags_cases[] = {
	{ "may retry", FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE,
	  .retry = true, .waits = true },
	{ "user flag of a worker", FAULT_FLAG_DEFAULT | FAULT_FLAG_USER,
	  .retry = true, .waits = true },
	{ "must not wait", FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT,
	  .retry = true, .locked = true },
	{ "has tried", FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_TRIED,
	  .locked = true, .moved = true },
	{ "must not retry", FAULT_FLAG_REMOTE, .locked = true, .moved = true },
};

KUNIT_ARRAY_PARAM_DESC(flags, flags_cases, name);

static void slice_flags_test(struct kunit *test)
{
	const struct flags_case *c = test->param_value;
	struct pagemap_mock *mock = mock_with(test, &fixed_64k);
	unsigned long addr = filled(test, SZ_64K, false);
	struct pagemap_mock_chunk *chunk;
	unsigned long began = jiffies;
	struct vm_area_struct *vma;
	vm_fault_t ret;

	chunk = to_vram(test, mock, addr, SZ_64K, c->waits ? SLICE_MS : FOREVER_MS);
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	ret = handle_mm_fault(vma, addr, c->flags, NULL);
	if (!(ret & VM_FAULT_RETRY) || c->locked)
		mmap_read_unlock(current->mm);

	KUNIT_EXPECT_EQ(test, !!(ret & VM_FAULT_RETRY), c->retry);
	KUNIT_EXPECT_EQ(test, (__force int)(ret & VM_FAULT_ERROR), 0);
	KUNIT_EXPECT_EQ(test, chunk->released, c->moved);
	KUNIT_EXPECT_EQ(test, jiffies_to_msecs(jiffies - began) >= SLICE_MS ||
			!c->waits, true);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - began), FOREVER_MS / 10);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	pagemap_mock_check(test, addr, SZ_64K, SEED);
}

static void ignore_slice_test(struct kunit *test)
{
	struct pagemap_mock *mock = mock_with(test, &at_once);
	unsigned long addr = filled(test, SZ_64K, false);
	unsigned long began = jiffies;

	to_vram(test, mock, addr, SZ_64K, FOREVER_MS);
	pagemap_mock_check(test, addr, SZ_64K, SEED);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - began), FOREVER_MS / 10);
}

static struct kunit_case fault_cases[] = {
	KUNIT_CASE_PARAM(window_steps_test, steps_gen_params),
	KUNIT_CASE(block_test),
	KUNIT_CASE_PARAM(no_block_test, policy_gen_params),
	KUNIT_CASE_PARAM(neighbour_test, neighbour_gen_params),
	KUNIT_CASE(last_pages_test),
	KUNIT_CASE_PARAM(inject_test, inject_gen_params),
	KUNIT_CASE_PARAM(bad_page_test, bad_gen_params),
	KUNIT_CASE(passing_error_test),
	KUNIT_CASE_PARAM(slice_flags_test, flags_gen_params),
	KUNIT_CASE(ignore_slice_test),
	{}
};

static struct kunit_suite fault_suite = {
	.name = "drm_pagemap_fault",
	.test_cases = fault_cases,
};

kunit_test_suite(fault_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Parts of a range: what could not move and why, and generic population.
 */
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "pagemap_inject.h"
#include "pagemap_mock.h"

#define SEED	31
#define PAGES	16ul

static struct drm_pagemap_migrate_result *result_of(struct kunit *test,
						    unsigned long npages)
{
	struct drm_pagemap_migrate_result *result =
		kunit_kzalloc(test, sizeof(*result), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, result);
	result->outcome = kunit_kmalloc(test, npages, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, result->outcome);
	memset(result->outcome, 0xff, npages);

	return result;
}

static int range(struct pagemap_mock_chunk *chunk, unsigned long addr,
		 unsigned long size, enum drm_pagemap_policy policy,
		 unsigned long must_have,
		 struct drm_pagemap_migrate_result *result)
{
	const struct drm_pagemap_migrate_details details = {
		.policy = policy,
		.must_have = must_have,
	};
	int err;

	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_range(&chunk->devmem, current->mm, addr,
					addr + size, &details, result);
	mmap_read_unlock(current->mm);

	return err;
}

/* The counts and the array say the same. */
static void check_sums(struct kunit *test,
		       const struct drm_pagemap_migrate_result *result,
		       unsigned long npages)
{
	unsigned long pages[DRM_PAGEMAP_NUM_OUTCOMES] = {};

	for (unsigned long i = 0; i < npages; i++) {
		KUNIT_ASSERT_LT_MSG(test, (int)result->outcome[i],
				    (int)DRM_PAGEMAP_NUM_OUTCOMES, "page %lu", i);
		pages[result->outcome[i]]++;
	}
	for (int i = 0; i < DRM_PAGEMAP_NUM_OUTCOMES; i++)
		KUNIT_EXPECT_EQ_MSG(test, pages[i], result->pages[i],
				    "outcome %d", i);
}

/* A range in which one page each cannot move for one of the reasons. */
struct trouble {
	struct pagemap_mock *mock, *foreign;
	unsigned long addr;
	struct page *pinned, *busy;
	u8 want[PAGES];
};

static struct trouble make_trouble(struct kunit *test)
{
	struct trouble t = { .mock = pagemap_mock_create(test) };
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;

	t.foreign = pagemap_mock_create(test);
	t.addr = pagemap_mock_mmap(test, PAGES * PAGE_SIZE, false);
	pagemap_mock_fill(test, t.addr, PAGES * PAGE_SIZE, SEED);

	chunk = pagemap_mock_chunk(test, t.mock, PAGE_SIZE);
	addr = t.addr + 2 * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + PAGE_SIZE, 0));
	t.want[2] = DRM_PAGEMAP_PRESENT;

	chunk = pagemap_mock_chunk(test, t.foreign, PAGE_SIZE);
	addr = t.addr + 5 * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + PAGE_SIZE, 0));
	t.want[5] = DRM_PAGEMAP_SKIP_ABSENT;

	KUNIT_ASSERT_EQ(test, 1, pin_user_pages_fast(t.addr + 7 * PAGE_SIZE, 1,
						     FOLL_WRITE, &t.pinned));
	t.want[7] = DRM_PAGEMAP_SKIP_PINNED;
	KUNIT_ASSERT_EQ(test, 1, get_user_pages_fast(t.addr + 11 * PAGE_SIZE, 1,
						     FOLL_WRITE, &t.busy));
	t.want[11] = DRM_PAGEMAP_SKIP_BUSY;

	return t;
}

static void end_trouble(struct trouble *t)
{
	unpin_user_page(t->pinned);
	put_page(t->busy);
}

static void best_effort_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result *result = result_of(test, PAGES);
	struct trouble t = make_trouble(test);
	struct pagemap_mock_chunk *chunk;

	chunk = pagemap_mock_chunk(test, t.mock, PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, range(chunk, t.addr, PAGES * PAGE_SIZE,
				       DRM_PAGEMAP_BEST_EFFORT, 0, result));
	for (unsigned long i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, result->outcome[i], t.want[i],
				    "page %lu", i);
	check_sums(test, result, PAGES);
	KUNIT_EXPECT_EQ(test, t.mock->to_devmem, (PAGES - 3) * PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, chunk->released);

	end_trouble(&t);
	pagemap_mock_check(test, t.addr, PAGES * PAGE_SIZE, SEED);
}

/* Without an array nobody looks why. */
static void no_reasons_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result result = {};
	struct trouble t = make_trouble(test);
	struct pagemap_mock_chunk *chunk;

	chunk = pagemap_mock_chunk(test, t.mock, PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, range(chunk, t.addr, PAGES * PAGE_SIZE,
				       DRM_PAGEMAP_BEST_EFFORT, 0, &result));
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_MOVED], PAGES - 4);
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_PRESENT], 1ul);
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_SKIP_UNKNOWN], 3ul);
	end_trouble(&t);
	pagemap_mock_check(test, t.addr, PAGES * PAGE_SIZE, SEED);
}

static void all_or_nothing_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result *result = result_of(test, PAGES);
	struct trouble t = make_trouble(test);
	struct pagemap_mock_chunk *chunk;
	unsigned long before = t.mock->to_devmem;

	chunk = pagemap_mock_chunk(test, t.mock, PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EBUSY, range(chunk, t.addr, PAGES * PAGE_SIZE,
					    DRM_PAGEMAP_ALL_OR_NOTHING, 0,
					    result));
	for (unsigned long i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, result->outcome[i], t.want[i] ?:
				    DRM_PAGEMAP_SKIP_OTHERS, "page %lu", i);
	check_sums(test, result, PAGES);
	KUNIT_EXPECT_EQ(test, t.mock->to_devmem, before);
	KUNIT_EXPECT_TRUE(test, chunk->released);
	end_trouble(&t);
	pagemap_mock_check(test, t.addr, PAGES * PAGE_SIZE, SEED);
}

struct must_case {
	const char *name;
	unsigned long page;
	int want;
};

static const struct must_case must_cases[] = {
	{ "moves", 0, 0 },
	{ "is there", 2, 0 },
	{ "absent", 5, -EBUSY },
	{ "pinned", 7, -EBUSY },
	{ "busy", 11, -EBUSY },
};

KUNIT_ARRAY_PARAM_DESC(must, must_cases, name);

static void must_have_test(struct kunit *test)
{
	const struct must_case *c = test->param_value;
	struct drm_pagemap_migrate_result result = {};
	struct trouble t = make_trouble(test);
	struct pagemap_mock_chunk *chunk;

	chunk = pagemap_mock_chunk(test, t.mock, PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, c->want, range(chunk, t.addr, PAGES * PAGE_SIZE,
					     DRM_PAGEMAP_MUST_HAVE,
					     t.addr + c->page * PAGE_SIZE + 8,
					     &result));
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_MOVED], PAGES - 4);
	end_trouble(&t);
	pagemap_mock_check(test, t.addr, PAGES * PAGE_SIZE, SEED);
}

/* One page in the way keeps a THP's others from nothing. */
static void pinned_in_thp_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result *result =
		result_of(test, PMD_SIZE / PAGE_SIZE);
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, PMD_SIZE, false);
	struct pagemap_mock_chunk *chunk;
	struct page *page;

	pagemap_mock_fill(test, addr, PMD_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 1, pin_user_pages_fast(addr + 100 * PAGE_SIZE, 1,
						     FOLL_WRITE, &page));
	chunk = pagemap_mock_chunk(test, mock, PMD_SIZE);
	KUNIT_EXPECT_EQ(test, 0, range(chunk, addr, PMD_SIZE,
				       DRM_PAGEMAP_BEST_EFFORT, 0, result));
	check_sums(test, result, PMD_SIZE / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_MOVED],
			PMD_SIZE / PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, (int)result->outcome[100],
			(int)DRM_PAGEMAP_SKIP_PINNED);
	unpin_user_page(page);
	pagemap_mock_check(test, addr, PMD_SIZE, SEED);
}

/* A batch that loses its race keeps those behind it from nothing. */
static void goes_on_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, 4 * PMD_SIZE, true);
	unsigned long npages = PMD_SIZE / PAGE_SIZE;
	struct drm_pagemap_migrate_result result = {};
	struct pagemap_mock_chunk *chunk;

	pagemap_mock_fill(test, addr, 4 * PMD_SIZE, SEED);
	chunk = pagemap_mock_chunk(test, mock, 4 * PMD_SIZE);
	pagemap_inject_nth(PAGEMAP_INJECT_COMMIT, 1);
	KUNIT_EXPECT_EQ(test, 0, range(chunk, addr, 4 * PMD_SIZE,
				       DRM_PAGEMAP_MUST_HAVE, addr + PMD_SIZE,
				       &result));
	pagemap_inject_clear();
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_SKIP_RACED], npages);
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_MOVED], 3 * npages);
	pagemap_mock_check(test, addr, 4 * PMD_SIZE, SEED);
}

static void set_vm_flags(unsigned long addr, vm_flags_t flags)
{
	mmap_write_lock(current->mm);
	vm_flags_set(vma_lookup(current->mm, addr), flags);
	mmap_write_unlock(current->mm);
}

/* Where KSM may merge pages nothing moves; what was in VRAM before stays. */
static void mergeable_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result *result = result_of(test, PAGES);
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, PAGES * PAGE_SIZE, false);
	struct pagemap_mock_chunk *chunk;

	pagemap_mock_fill(test, addr, PAGES * PAGE_SIZE, SEED);
	chunk = pagemap_mock_chunk(test, mock, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + PAGE_SIZE, 0));
	set_vm_flags(addr, VM_MERGEABLE);

	chunk = pagemap_mock_chunk(test, mock, PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			pagemap_mock_migrate(test, chunk, addr,
					     addr + PAGES * PAGE_SIZE, 0));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	chunk = pagemap_mock_chunk(test, mock, PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, range(chunk, addr, PAGES * PAGE_SIZE,
				       DRM_PAGEMAP_BEST_EFFORT, 0, result));
	check_sums(test, result, PAGES);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_KSM], PAGES - 1);
	KUNIT_EXPECT_EQ(test, (int)result->outcome[0], (int)DRM_PAGEMAP_PRESENT);
	KUNIT_EXPECT_TRUE(test, chunk->released);

	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT, result));
	check_sums(test, result, PAGES);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_KSM], PAGES - 1);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_ALL_OR_NOTHING,
					      result));
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, PAGE_SIZE,
					      DRM_PAGEMAP_ALL_OR_NOTHING,
					      result));
	KUNIT_EXPECT_EQ(test, mock->to_devmem, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mock->allocs, 0ul);
	pagemap_mock_check(test, addr, PAGES * PAGE_SIZE, SEED);
}

/* Memory that the process may not read gets no VRAM; what has some keeps it. */
static void no_access_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result *result = result_of(test, PAGES);
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, PAGES * PAGE_SIZE, false);
	unsigned long none;

	pagemap_mock_fill(test, addr, 8 * PAGE_SIZE, SEED);
	none = vm_mmap(NULL, addr + 8 * PAGE_SIZE, 8 * PAGE_SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	KUNIT_ASSERT_EQ(test, none, addr + 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT, result));
	check_sums(test, result, PAGES);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_MOVED], 8ul);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_ACCESS], 8ul);
	KUNIT_EXPECT_EQ(test, mock->allocs, 1ul);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_ALL_OR_NOTHING,
					      result));
	KUNIT_EXPECT_EQ(test, mock->allocs, 1ul);
	pagemap_mock_check(test, addr, 8 * PAGE_SIZE, SEED);
}

/* What an error left untried is told from what was. */
static void untried_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, 4 * PMD_SIZE, true);
	unsigned long npages = PMD_SIZE / PAGE_SIZE;
	struct drm_pagemap_migrate_result *result = result_of(test, 4 * npages);
	struct pagemap_mock_chunk *chunk;

	memset(result->outcome, DRM_PAGEMAP_SKIP_UNKNOWN, 4 * npages);
	pagemap_mock_fill(test, addr, 4 * PMD_SIZE, SEED);
	chunk = pagemap_mock_chunk(test, mock, 4 * PMD_SIZE);
	pagemap_inject_nth(PAGEMAP_INJECT_COPY, 2);
	KUNIT_EXPECT_EQ(test, -EIO, range(chunk, addr, 4 * PMD_SIZE,
					  DRM_PAGEMAP_BEST_EFFORT, 0, result));
	pagemap_inject_clear();
	for (unsigned long i = 0; i < 4 * npages; i++)
		KUNIT_ASSERT_EQ_MSG(test, (int)result->outcome[i],
				    i < npages ? (int)DRM_PAGEMAP_MOVED :
				    i < 2 * npages ? (int)DRM_PAGEMAP_SKIP_COPY :
				    (int)DRM_PAGEMAP_NUM_OUTCOMES, "page %lu", i);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_MOVED], npages);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_COPY], npages);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_UNKNOWN], 0ul);
	pagemap_mock_check(test, addr, 4 * PMD_SIZE, SEED);
}

struct populate_case {
	const char *name;
	unsigned long start, end;	/* pages of the range */
	bool huge;
	unsigned long allocs;
};

/* How a range that is missing as a whole is cut. */
static const struct populate_case populate_cases[] = {
	{ "one page", 3, 4, false, 1 },
	{ "aligned", 16, 32, false, 1 },
	{ "odd", 1, 32, false, 5 },
	{ "PMD", 0, 512, false, 1 },
	{ "THP", 0, 512, true, 1 },
	{ "over the edge of a PMD", 508, 520, true, 2 },
	{ "three PMDs", 0, 3 * 512, true, 3 },
};

KUNIT_ARRAY_PARAM_DESC(populate, populate_cases, name);

static void populate_test(struct kunit *test)
{
	const struct populate_case *c = test->param_value;
	unsigned long npages = c->end - c->start, size = npages * PAGE_SIZE;
	struct drm_pagemap_migrate_result *result = result_of(test, npages);
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr;

	addr = pagemap_mock_mmap(test, 4 * PMD_SIZE, c->huge) +
	       c->start * PAGE_SIZE;
	pagemap_mock_fill(test, addr, size, SEED);

	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, size,
					      DRM_PAGEMAP_ALL_OR_NOTHING,
					      result));
	check_sums(test, result, npages);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_MOVED], npages);
	KUNIT_EXPECT_EQ(test, mock->allocs, c->allocs);
	KUNIT_EXPECT_EQ(test, mock->populated, c->allocs);

	/* All there: nothing is allocated, nothing moves. */
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, size,
					      DRM_PAGEMAP_ALL_OR_NOTHING,
					      result));
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_PRESENT], npages);
	KUNIT_EXPECT_EQ(test, mock->allocs, c->allocs);
	KUNIT_EXPECT_EQ(test, mock->to_devmem, size);

	/* One page at home: one page goes. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, size,
					      DRM_PAGEMAP_BEST_EFFORT, result));
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_ABSENT], 1ul);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_PRESENT], npages - 1);
	/* An odd address had an allocation for its page alone. */
	KUNIT_EXPECT_EQ(test, mock->released, c->start % 2);

	if (npages > 1)
		pagemap_mock_check_part(test, addr, PAGE_SIZE, size, SEED);
	KUNIT_EXPECT_EQ(test, mock->released, c->allocs);
}

/* Asynchronous: four allocations are underway at a time. */
static void populate_ring_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, 5 * PMD_SIZE, true);
	struct drm_pagemap_migrate_result result = {};

	mock->devmem_ops = &pagemap_mock_async_ops;
	mock->async_ms = 300;
	pagemap_mock_fill(test, addr, 5 * PMD_SIZE, SEED);
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, 5 * PMD_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT,
					      &result));
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_MOVED],
			5 * PMD_SIZE / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mock->allocs, 5ul);
	KUNIT_EXPECT_EQ(test, mock->populated, 5ul);
	KUNIT_EXPECT_EQ(test, mock->most_running, 4);
	mock->async_ms = 0;
	pagemap_mock_check(test, addr, 5 * PMD_SIZE, SEED);
}

/* VRAM in small pieces only: the blocks become smaller. */
static void populate_small_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, PMD_SIZE, true);
	struct drm_pagemap_migrate_result result = {};

	mock->max_alloc = 64 * PAGE_SIZE;
	pagemap_mock_fill(test, addr, PMD_SIZE, SEED);
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, PMD_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT,
					      &result));
	KUNIT_EXPECT_EQ(test, result.pages[DRM_PAGEMAP_MOVED],
			PMD_SIZE / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mock->allocs, 8ul);
	pagemap_mock_check(test, addr, PMD_SIZE, SEED);
}

/* VRAM for some: the others stay, and the caller learns. */
static void populate_full_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result *result = result_of(test, PAGES);
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, PAGES * PAGE_SIZE, false);

	mock->max_alloc = PAGE_SIZE;
	mock->free_allocs = 5;
	pagemap_mock_fill(test, addr, PAGES * PAGE_SIZE, SEED);
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT, result));
	check_sums(test, result, PAGES);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_MOVED], 5ul);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_NO_VRAM], PAGES - 5);
	KUNIT_EXPECT_EQ(test, mock->populated, 5ul);

	/* None at all is an error. */
	pagemap_mock_check(test, addr, PAGES * PAGE_SIZE, SEED);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT, result));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_ALL_OR_NOTHING,
					      result));
	/* One that is not about room ends it at once. */
	mock->fail_alloc = -ENODEV;
	KUNIT_EXPECT_EQ(test, -ENODEV,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT, result));
	KUNIT_EXPECT_EQ(test, mock->released, 5ul);
	pagemap_mock_check(test, addr, PAGES * PAGE_SIZE, SEED);
}

/* Gaps, and mappings that cannot be in VRAM, are stepped over. */
static void populate_gaps_test(struct kunit *test)
{
	struct drm_pagemap_migrate_result *result = result_of(test, PAGES);
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, PAGES * PAGE_SIZE, false);

	pagemap_mock_fill(test, addr, PAGES * PAGE_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + 4 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + 14 * PAGE_SIZE, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0,
			drm_pagemap_populate_mm(mock->dpagemap, addr,
						addr + 2 * PAGE_SIZE,
						current->mm, 0));
	KUNIT_EXPECT_EQ(test, mock->to_devmem, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0,
			pagemap_mock_populate(mock, addr, PAGES * PAGE_SIZE,
					      DRM_PAGEMAP_BEST_EFFORT, result));
	check_sums(test, result, PAGES);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_MOVED], 11ul);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_PRESENT], 2ul);
	KUNIT_EXPECT_EQ(test, result->pages[DRM_PAGEMAP_SKIP_ABSENT], 3ul);
	pagemap_mock_check_part(test, addr, 0, 4 * PAGE_SIZE, SEED);
	pagemap_mock_check_part(test, addr, 5 * PAGE_SIZE, 14 * PAGE_SIZE, SEED);
}

static void populate_bad_range_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_migrate_result result;

	result.outcome = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pagemap_mock_populate(mock, PAGE_SIZE + 1, PAGE_SIZE, 0,
					      &result));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pagemap_mock_populate(mock, PAGE_SIZE, 0, 0, &result));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pagemap_mock_populate(mock, PAGE_SIZE, 1, 0, &result));
	KUNIT_EXPECT_EQ(test, mock->allocs, 0ul);
}

static struct kunit_case range_cases[] = {
	KUNIT_CASE(best_effort_test),
	KUNIT_CASE(no_reasons_test),
	KUNIT_CASE(all_or_nothing_test),
	KUNIT_CASE_PARAM(must_have_test, must_gen_params),
	KUNIT_CASE(pinned_in_thp_test),
	KUNIT_CASE(goes_on_test),
	KUNIT_CASE(mergeable_test),
	KUNIT_CASE(no_access_test),
	KUNIT_CASE(untried_test),
	KUNIT_CASE_PARAM(populate_test, populate_gen_params),
	KUNIT_CASE(populate_ring_test),
	KUNIT_CASE(populate_small_test),
	KUNIT_CASE(populate_full_test),
	KUNIT_CASE(populate_gaps_test),
	KUNIT_CASE(populate_bad_range_test),
	{}
};

static int range_init(struct kunit *test)
{
	return kunit_attach_mm();
}

static struct kunit_suite range_suite = {
	.name = "drm_pagemap_range",
	.init = range_init,
	.test_cases = range_cases,
};

kunit_test_suite(range_suite);

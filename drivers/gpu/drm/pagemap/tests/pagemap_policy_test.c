// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The pure parts: what to move, how to wait, whether a block fits.
 */
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sizes.h>

#include <kunit/test.h>

#include "pagemap_internal.h"

#define MIB	SZ_1M
#define VMA_ALL	{ 0, PAGE_MASK }

struct window_case {
	const char *name;
	unsigned long addr, size;
	struct pagemap_window vma, want;
};

static const struct window_case window_cases[] = {
	{ "page", 0x5000, PAGE_SIZE, VMA_ALL, { 0x5000, 0x6000 } },
	{ "64K", 0x25000, 0x10000, VMA_ALL, { 0x20000, 0x30000 } },
	{ "64K, VMA starts inside", 0x25000, 0x10000, { 0x24000, 0x80000 },
	  { 0x24000, 0x30000 } },
	{ "64K, VMA ends inside", 0x25000, 0x10000, { 0x10000, 0x26000 },
	  { 0x20000, 0x26000 } },
	{ "PMD", 4 * MIB + 0x1000, PMD_SIZE, VMA_ALL, { 4 * MIB, 6 * MIB } },
	{ "larger than a batch", 5 * MIB, 8 * MIB, VMA_ALL, { 4 * MIB, 6 * MIB } },
	{ "size no power of two", 0x27000, 0x18000, VMA_ALL, { 0x20000, 0x30000 } },
	{ "top of the address space", -0x1000ul, PMD_SIZE, { 0, -0x1000ul + 0xfff },
	  { -PMD_SIZE, -0x1000ul + 0xfff } },
};

KUNIT_ARRAY_PARAM_DESC(window, window_cases, name);

static void window_test(struct kunit *test)
{
	const struct window_case *c = test->param_value;
	struct pagemap_window w = pagemap_window(c->addr, c->size, c->vma);

	KUNIT_EXPECT_EQ(test, w.start, c->want.start);
	KUNIT_EXPECT_EQ(test, w.end, c->want.end);
}

static void window_random_test(struct kunit *test)
{
	u64 seed = get_random_u64();
	struct rnd_state rnd;

	kunit_info(test, "seed %#llx", seed);
	prandom_seed_state(&rnd, seed);

	for (int i = 0; i < 10000; i++) {
		unsigned long vma = prandom_u32_state(&rnd) & PAGE_MASK;
		unsigned long len = PAGE_SIZE + (prandom_u32_state(&rnd) & PAGE_MASK);
		unsigned long addr = vma + (prandom_u32_state(&rnd) % len & PAGE_MASK);
		unsigned long size = PAGE_SIZE << prandom_u32_state(&rnd) % 14;
		struct pagemap_window w = pagemap_window(addr, size,
			(struct pagemap_window){ vma, vma + len });

		KUNIT_ASSERT_LE(test, w.start, addr);
		KUNIT_ASSERT_GE(test, w.end, addr + PAGE_SIZE);
		KUNIT_ASSERT_GE(test, w.start, vma);
		KUNIT_ASSERT_LE(test, w.end, vma + len);
		KUNIT_ASSERT_LE(test, w.end - w.start, min(size, PMD_SIZE));
		KUNIT_ASSERT_EQ(test, w.start >> PMD_SHIFT, (w.end - 1) >> PMD_SHIFT);
	}
}

struct choose_case {
	const char *name;
	struct pagemap_source source;
	bool move_ours;
	enum pagemap_verdict want;
};

static const struct choose_case choose_cases[] = {
	{ "not collected", {}, false, PAGEMAP_MISSING },
	{ "hole", { .collected = true, .hole = true }, false, PAGEMAP_MOVE },
	{ "hole not collected", { .hole = true }, false, PAGEMAP_MISSING },
	{ "system page", { .collected = true }, false, PAGEMAP_MOVE },
	{ "KSM", { .collected = true, .ksm = true }, false, PAGEMAP_MISSING },
	{ "ours", { .collected = true, .device = true, .ours = true }, false,
	  PAGEMAP_STAY },
	{ "ours, to move", { .collected = true, .device = true, .ours = true },
	  true, PAGEMAP_MOVE },
	{ "a peer's", { .collected = true, .device = true }, true,
	  PAGEMAP_MISSING },
};

KUNIT_ARRAY_PARAM_DESC(choose, choose_cases, name);

static void choose_test(struct kunit *test)
{
	const struct choose_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, pagemap_choose(c->source, c->move_ours), c->want);
}

struct wait_case {
	const char *name;
	unsigned int flags;
	bool user, waited;
	enum pagemap_wait want;
};

static const struct wait_case wait_cases[] = {
	{ "user", FAULT_FLAG_DEFAULT | FAULT_FLAG_USER, true, false,
	  PAGEMAP_WAIT_RETURN },
	{ "user, waited", FAULT_FLAG_DEFAULT | FAULT_FLAG_USER, true, true,
	  PAGEMAP_WAIT_NONE },
	{ "user, tried", FAULT_FLAG_DEFAULT | FAULT_FLAG_USER | FAULT_FLAG_TRIED,
	  true, false, PAGEMAP_WAIT_NONE },
	{ "user flag from a worker", FAULT_FLAG_DEFAULT | FAULT_FLAG_USER, false,
	  false, PAGEMAP_WAIT_RETRY },
	{ "copy_from_user", FAULT_FLAG_DEFAULT, true, false, PAGEMAP_WAIT_RETRY },
	{ "nowait", FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT, false, false,
	  PAGEMAP_WAIT_NOWAIT },
	{ "ptrace", FAULT_FLAG_REMOTE, false, false, PAGEMAP_WAIT_LOCKED },
	{ "hmm_range_fault", FAULT_FLAG_REMOTE, true, false, PAGEMAP_WAIT_LOCKED },
};

KUNIT_ARRAY_PARAM_DESC(wait, wait_cases, name);

static void wait_test(struct kunit *test)
{
	const struct wait_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, pagemap_wait_choose(c->flags, c->user, c->waited),
			c->want);
}

static void khugepaged_test(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, pagemap_fault_is_khugepaged(FAULT_FLAG_ALLOW_RETRY,
							    true));
	/* MADV_COLLAPSE, a GPU driver's worker, ksmd, a user. */
	KUNIT_EXPECT_FALSE(test, pagemap_fault_is_khugepaged(FAULT_FLAG_ALLOW_RETRY,
							     false));
	KUNIT_EXPECT_FALSE(test, pagemap_fault_is_khugepaged(FAULT_FLAG_ALLOW_RETRY |
							     FAULT_FLAG_KILLABLE |
							     FAULT_FLAG_REMOTE,
							     true));
	KUNIT_EXPECT_FALSE(test, pagemap_fault_is_khugepaged(FAULT_FLAG_REMOTE |
							     FAULT_FLAG_UNSHARE,
							     true));
	KUNIT_EXPECT_FALSE(test, pagemap_fault_is_khugepaged(FAULT_FLAG_DEFAULT |
							     FAULT_FLAG_USER,
							     false));
}

static void block_test(struct kunit *test)
{
	unsigned long pfn[8];

	for (int i = 0; i < 8; i++)
		pfn[i] = 64 + i;
	KUNIT_EXPECT_TRUE(test, pagemap_pfns_fit_block(pfn, 3));
	KUNIT_EXPECT_TRUE(test, pagemap_pfns_fit_block(pfn, 0));
	KUNIT_EXPECT_FALSE(test, pagemap_pfns_fit_block(pfn + 1, 2));

	for (int i = 1; i < 8; i++) {
		pfn[i]++;
		KUNIT_EXPECT_FALSE_MSG(test, pagemap_pfns_fit_block(pfn, 3),
				       "gap at %d", i);
		pfn[i]--;
	}
}

/* The iterator steps over entries, and the count is in pages. */
static void batch_test(struct kunit *test)
{
	struct pagemap_batch *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned long i, steps = 0;

	KUNIT_ASSERT_NOT_NULL(test, b);

	b->src[0] = MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND;
	pagemap_batch_collected(b, PAGEMAP_BATCH_PAGES);
	KUNIT_EXPECT_EQ(test, b->order, PAGEMAP_PMD_ORDER);
	pagemap_batch_for_each(b, i)
		steps++;
	KUNIT_EXPECT_EQ(test, steps, 1ul);
	KUNIT_EXPECT_EQ(test, pagemap_batch_moved(b), 0ul);
	b->dst[0] = MIGRATE_PFN_VALID | MIGRATE_PFN_COMPOUND;
	KUNIT_EXPECT_EQ(test, pagemap_batch_moved(b), PAGEMAP_BATCH_PAGES);

	memset(b->src, 0, sizeof(b->src));
	b->src[1] = MIGRATE_PFN_MIGRATE;
	b->src[2] = MIGRATE_PFN_MIGRATE;
	b->dst[2] = MIGRATE_PFN_VALID;
	pagemap_batch_collected(b, 5);
	KUNIT_EXPECT_EQ(test, b->order, 0u);
	steps = 0;
	pagemap_batch_for_each(b, i)
		steps++;
	KUNIT_EXPECT_EQ(test, steps, 5ul);
	KUNIT_EXPECT_EQ(test, pagemap_batch_moved(b), 1ul);
	KUNIT_EXPECT_NULL(test, pagemap_batch_src_page(b, 1));

	pagemap_batch_collected(b, 0);
	pagemap_batch_for_each(b, i)
		KUNIT_FAIL(test, "step in an empty batch");
}

static struct kunit_case policy_cases[] = {
	KUNIT_CASE_PARAM(window_test, window_gen_params),
	KUNIT_CASE(window_random_test),
	KUNIT_CASE_PARAM(choose_test, choose_gen_params),
	KUNIT_CASE_PARAM(wait_test, wait_gen_params),
	KUNIT_CASE(khugepaged_test),
	KUNIT_CASE(block_test),
	KUNIT_CASE(batch_test),
	{}
};

static struct kunit_suite policy_suite = {
	.name = "drm_pagemap_policy",
	.test_cases = policy_cases,
};

kunit_test_suite(policy_suite);

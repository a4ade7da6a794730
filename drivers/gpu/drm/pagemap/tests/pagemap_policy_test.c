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

static const struct mm_struct *const MM = (void *)0x1000;
static const struct mm_struct *const OTHER_MM = (void *)0x2000;

struct window_size_case {
	const char *name;
	struct pagemap_hint hint;
	unsigned long addr;
	struct drm_pagemap_fault_policy policy;
	unsigned long want;
};

#define HINT(size)	{ (void *)0x1000, MIB, MIB + (size), (size) }

static const struct window_size_case window_size_cases[] = {
	{ "first", {}, MIB, {}, SZ_64K },
	{ "at address 0", {}, 0, {}, SZ_64K },
	{ "up", HINT(SZ_64K), MIB + SZ_64K, {}, SZ_128K },
	{ "down", HINT(SZ_64K), MIB - PAGE_SIZE, {}, SZ_128K },
	{ "again", HINT(SZ_128K), MIB, {}, SZ_64K },
	{ "inside", HINT(SZ_128K), MIB + PAGE_SIZE, {}, SZ_64K },
	{ "one page further", HINT(SZ_64K), MIB + SZ_64K + PAGE_SIZE, {}, SZ_64K },
	{ "two pages before", HINT(SZ_64K), MIB - 2 * PAGE_SIZE, {}, SZ_64K },
	{ "up to a PMD", HINT(PMD_SIZE), MIB + PMD_SIZE, {}, PMD_SIZE },
	{ "up to the limit", HINT(SZ_256K), MIB + SZ_256K,
	  { .max_window = SZ_256K }, SZ_256K },
	{ "limit lowered", HINT(SZ_1M), MIB + SZ_1M,
	  { .max_window = SZ_128K }, SZ_128K },
	{ "least raised", HINT(SZ_64K), MIB + SZ_64K,
	  { .min_window = SZ_512K }, SZ_512K },
	{ "least above most", {}, MIB, { SZ_512K, SZ_64K }, SZ_512K },
	{ "pages", HINT(PAGE_SIZE), MIB + PAGE_SIZE, { PAGE_SIZE, PAGE_SIZE },
	  PAGE_SIZE },
	{ "no power of two", {}, MIB, { 3 * PAGE_SIZE }, 4 * PAGE_SIZE },
	{ "huge limits", {}, MIB, { ~0ul, ~0ul }, PMD_SIZE },
	{ "torn: no size", { (void *)0x1000, 0, MIB, 0 }, MIB, {}, SZ_64K },
	{ "torn: any size", { (void *)0x1000, 0, MIB, ~0ul }, MIB, {}, PMD_SIZE },
	{ "another mm", { (void *)0x2000, 0, MIB, SZ_1M }, MIB, {}, SZ_64K },
};

KUNIT_ARRAY_PARAM_DESC(window_size, window_size_cases, name);

static void window_size_test(struct kunit *test)
{
	const struct window_size_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, pagemap_window_size(&c->hint, MM, c->addr,
						  &c->policy), c->want);
}

/* Whatever is in a hint: a power of two, within the limits and a batch. */
static void window_size_random_test(struct kunit *test)
{
	u64 seed = get_random_u64();
	struct rnd_state rnd;

	kunit_info(test, "seed %#llx", seed);
	prandom_seed_state(&rnd, seed);

	for (int i = 0; i < 10000; i++) {
		unsigned long least = PAGE_SIZE << prandom_u32_state(&rnd) % 10;
		unsigned long most = least << prandom_u32_state(&rnd) % 4;
		unsigned long addr = prandom_u32_state(&rnd) & PAGE_MASK;
		struct drm_pagemap_fault_policy policy = { least, most };
		struct pagemap_hint hint = { MM };
		unsigned long size;

		prandom_bytes_state(&rnd, &hint.size, sizeof(hint.size));
		hint.start = prandom_u32_state(&rnd);
		hint.end = i % 2 ? addr : prandom_u32_state(&rnd);
		size = pagemap_window_size(&hint, MM, addr, &policy);

		KUNIT_ASSERT_TRUE(test, is_power_of_2(size));
		KUNIT_ASSERT_GE(test, size, min(least, PMD_SIZE));
		KUNIT_ASSERT_LE(test, size, min(most, PMD_SIZE));
	}
}

/* Several places of one mm are remembered, and none of another one. */
static void hint_test(struct kunit *test)
{
	struct pagemap_hints *hints =
		kunit_kzalloc(test, sizeof(*hints), GFP_KERNEL);
	struct drm_pagemap_fault_policy policy = {};
	struct pagemap_hint *hint;

	KUNIT_ASSERT_NOT_NULL(test, hints);
	for (unsigned long i = 0; i < PAGEMAP_HINT_WAYS; i++) {
		unsigned long start = i * SZ_1G;

		hint = pagemap_hint_find(hints, MM, start);
		pagemap_hint_note(hint, MM, (struct pagemap_window) {
				  start, start + SZ_64K }, SZ_64K);
	}
	for (unsigned long i = 0; i < PAGEMAP_HINT_WAYS; i++) {
		unsigned long next = i * SZ_1G + SZ_64K;

		hint = pagemap_hint_find(hints, MM, next);
		KUNIT_EXPECT_EQ(test, pagemap_window_size(hint, MM, next, &policy),
				(unsigned long)SZ_128K);
		hint = pagemap_hint_find(hints, OTHER_MM, next);
		KUNIT_EXPECT_EQ(test, pagemap_window_size(hint, OTHER_MM, next,
							  &policy),
				(unsigned long)SZ_64K);
	}
}

struct choose_case {
	const char *name;
	struct pagemap_source source;
	bool move_ours;
	enum drm_pagemap_outcome want;
};

#define PAGE_OF(...)	{ .collected = true, __VA_ARGS__ }

static const struct choose_case choose_cases[] = {
	{ "not collected", {}, false, DRM_PAGEMAP_SKIP_UNKNOWN },
	{ "hole", PAGE_OF(.hole = true), false, DRM_PAGEMAP_MOVED },
	{ "hole not collected", { .hole = true }, false,
	  DRM_PAGEMAP_SKIP_UNKNOWN },
	{ "hole of a userfaultfd", PAGE_OF(.hole = true, .uffd = true), false,
	  DRM_PAGEMAP_SKIP_UFFD },
	{ "page where a userfaultfd is", PAGE_OF(.uffd = true), false,
	  DRM_PAGEMAP_MOVED },
	{ "system page", PAGE_OF(), false, DRM_PAGEMAP_MOVED },
	{ "KSM", PAGE_OF(.ksm = true), false, DRM_PAGEMAP_SKIP_KSM },
	{ "ours", PAGE_OF(.device = true, .ours = true, .reachable = true),
	  false, DRM_PAGEMAP_PRESENT },
	{ "ours, to move",
	  PAGE_OF(.device = true, .ours = true, .reachable = true), true,
	  DRM_PAGEMAP_MOVED },
	{ "ours, to move, no way", PAGE_OF(.device = true, .ours = true), true,
	  DRM_PAGEMAP_SKIP_DEVICE },
	{ "a peer's", PAGE_OF(.device = true, .reachable = true), false,
	  DRM_PAGEMAP_MOVED },
	{ "a peer's, no way", PAGE_OF(.device = true), true,
	  DRM_PAGEMAP_SKIP_DEVICE },
};

KUNIT_ARRAY_PARAM_DESC(choose, choose_cases, name);

static void choose_test(struct kunit *test)
{
	const struct choose_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, pagemap_choose(c->source, c->move_ours), c->want);
}

struct refuse_case {
	const char *name;
	vm_flags_t vm_flags;
	enum drm_pagemap_outcome want;
};

#define VM_USUAL	(VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

static const struct refuse_case refuse_cases[] = {
	{ "usual", VM_USUAL, DRM_PAGEMAP_MOVED },
	{ "read-only", VM_USUAL & ~VM_WRITE, DRM_PAGEMAP_MOVED },
	{ "PROT_NONE", VM_USUAL & ~(VM_READ | VM_WRITE), DRM_PAGEMAP_SKIP_ACCESS },
	{ "write-only", VM_USUAL & ~VM_READ, DRM_PAGEMAP_SKIP_ACCESS },
	{ "shadow stack", VM_USUAL | VM_SHADOW_STACK,
	  VM_SHADOW_STACK ? DRM_PAGEMAP_SKIP_ACCESS : DRM_PAGEMAP_MOVED },
	{ "tags", VM_USUAL | VM_MTE,
	  VM_MTE ? DRM_PAGEMAP_SKIP_ACCESS : DRM_PAGEMAP_MOVED },
	{ "missing pages to a userfaultfd", VM_USUAL | VM_UFFD_MISSING,
	  DRM_PAGEMAP_MOVED },
	{ "writes to a userfaultfd", VM_USUAL | VM_UFFD_WP, DRM_PAGEMAP_MOVED },
	{ "accesses to a userfaultfd", VM_USUAL | VM_UFFD_RWP,
	  VM_UFFD_RWP ? DRM_PAGEMAP_SKIP_UFFD : DRM_PAGEMAP_MOVED },
	{ "KSM", VM_USUAL | VM_MERGEABLE, DRM_PAGEMAP_SKIP_KSM },
};

KUNIT_ARRAY_PARAM_DESC(refuse, refuse_cases, name);

static void refuse_test(struct kunit *test)
{
	const struct refuse_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, pagemap_refuses(c->vm_flags), c->want);
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

/* Next to nothing after a short slice, and never for long. */
static void wait_grace_test(struct kunit *test)
{
	const u64 jiffy = NSEC_PER_SEC / HZ + 1;
	const unsigned long most = pagemap_wait_grace(U64_MAX);

	KUNIT_EXPECT_EQ(test, pagemap_wait_grace(0), 2ul);
	KUNIT_EXPECT_EQ(test, pagemap_wait_grace(jiffy), 2ul);
	KUNIT_EXPECT_EQ(test, pagemap_wait_grace(4 * jiffy), 4ul);
	KUNIT_EXPECT_GE(test, most, msecs_to_jiffies(50));
	KUNIT_EXPECT_LE(test, most, msecs_to_jiffies(50) + 1);
	KUNIT_EXPECT_EQ(test, pagemap_wait_grace(NSEC_PER_SEC), most);
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
	struct pagemap_large_batch *large =
		kunit_kzalloc(test, sizeof(*large), GFP_KERNEL);
	unsigned long i, steps = 0;
	struct pagemap_batch *b;

	KUNIT_ASSERT_NOT_NULL(test, large);
	b = pagemap_large_batch_init(large);

	b->src[0] = MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND;
	pagemap_batch_collected(b, PAGEMAP_BATCH_PAGES);
	KUNIT_EXPECT_EQ(test, b->order, PAGEMAP_PMD_ORDER);
	pagemap_batch_for_each(b, i)
		steps++;
	KUNIT_EXPECT_EQ(test, steps, 1ul);
	KUNIT_EXPECT_EQ(test, pagemap_batch_moved(b), 0ul);
	b->dst[0] = MIGRATE_PFN_VALID | MIGRATE_PFN_COMPOUND;
	KUNIT_EXPECT_EQ(test, pagemap_batch_moved(b), PAGEMAP_BATCH_PAGES);

	memset(b->src, 0, sizeof(large->src));
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

struct batch_case {
	const char *name;
	unsigned long start, end, want;
};

#define BATCH	MIN(PMD_SIZE, SZ_2M)

static const struct batch_case batch_cases[] = {
	{ "aligned", 0, 3 * BATCH, BATCH },
	{ "in the middle", BATCH + PAGE_SIZE, 3 * BATCH, 2 * BATCH },
	{ "short", BATCH + PAGE_SIZE, BATCH + 2 * PAGE_SIZE,
	  BATCH + 2 * PAGE_SIZE },
	{ "last page", 2 * BATCH - PAGE_SIZE, 3 * BATCH, 2 * BATCH },
	{ "to the end", BATCH, 2 * BATCH, 2 * BATCH },
};

KUNIT_ARRAY_PARAM_DESC(batch, batch_cases, name);

/* However large a PMD is. */
static void batch_end_test(struct kunit *test)
{
	const struct batch_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, pagemap_batch_size(), (unsigned long)BATCH);
	KUNIT_EXPECT_LE(test, pagemap_batch_size() >> PAGE_SHIFT,
			(unsigned long)PAGEMAP_BATCH_PAGES);
	KUNIT_EXPECT_EQ(test, pagemap_batch_end(c->start, c->end), c->want);
}

static struct kunit_case policy_cases[] = {
	KUNIT_CASE_PARAM(window_test, window_gen_params),
	KUNIT_CASE(window_random_test),
	KUNIT_CASE_PARAM(window_size_test, window_size_gen_params),
	KUNIT_CASE(window_size_random_test),
	KUNIT_CASE(hint_test),
	KUNIT_CASE_PARAM(choose_test, choose_gen_params),
	KUNIT_CASE_PARAM(refuse_test, refuse_gen_params),
	KUNIT_CASE_PARAM(wait_test, wait_gen_params),
	KUNIT_CASE(wait_grace_test),
	KUNIT_CASE(khugepaged_test),
	KUNIT_CASE(block_test),
	KUNIT_CASE(batch_test),
	KUNIT_CASE_PARAM(batch_end_test, batch_gen_params),
	{}
};

static struct kunit_suite policy_suite = {
	.name = "drm_pagemap_policy",
	.test_cases = policy_cases,
};

kunit_test_suite(policy_suite);

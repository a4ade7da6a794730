// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Where the content of a batch comes from, and who copies it: other devices, an
 * older allocation, operations that return a fence, operations that clear.
 */
#include <linux/hmm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/uaccess.h>

#include "pagemap_mock.h"

#define SEED	29

struct peer_case {
	const char *name;
	unsigned long size;
	bool huge;
	bool same;		/* not a peer: an older allocation of the same device */
	bool can_pull;
	bool want_pull;
};

static const struct peer_case peer_cases[] = {
	{ "pages pushed", 16 * PAGE_SIZE },
	{ "THP pushed", PMD_SIZE, .huge = true },
	{ "pages, cannot pull", 16 * PAGE_SIZE, .want_pull = true },
	{ "pages, need not pull", 16 * PAGE_SIZE, .can_pull = true },
	{ "pages pulled", 16 * PAGE_SIZE, .can_pull = true, .want_pull = true },
	{ "THP pulled", PMD_SIZE, .huge = true, .can_pull = true,
	  .want_pull = true },
	{ "pages within a device", 16 * PAGE_SIZE, .same = true },
	{ "THP within a device", PMD_SIZE, .huge = true, .same = true,
	  .can_pull = true, .want_pull = true },
};

KUNIT_ARRAY_PARAM_DESC(peer, peer_cases, name);

static int migrate(struct pagemap_mock_chunk *chunk, unsigned long addr,
		   unsigned long size, bool pull)
{
	struct drm_pagemap_migrate_details details = {
		.can_migrate_same_pagemap = true,
		.source_peer_migrates = pull,
	};
	int err;

	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&chunk->devmem, current->mm, addr,
					    addr + size, &details);
	mmap_read_unlock(current->mm);

	return err;
}

struct two_devices {
	struct pagemap_mock *from, *to;
	struct pagemap_mock_chunk *old, *new;
	unsigned long addr;
};

static struct two_devices two_devices(struct kunit *test)
{
	const struct peer_case *c = test->param_value;
	struct two_devices t;

	t.from = pagemap_mock_create(test);
	t.to = c->same ? t.from : pagemap_mock_create_peer(test, t.from);
	if (c->can_pull)
		t.to->devmem_ops = &pagemap_mock_pull_ops;

	t.addr = pagemap_mock_mmap(test, c->size, c->huge);
	pagemap_mock_fill(test, t.addr, c->size, SEED);
	t.old = pagemap_mock_chunk(test, t.from, c->size);
	KUNIT_ASSERT_EQ(test, 0, migrate(t.old, t.addr, c->size, false));
	t.new = pagemap_mock_chunk(test, t.to, c->size);

	return t;
}

static void peer_test(struct kunit *test)
{
	const struct peer_case *c = test->param_value;
	bool pull = c->can_pull && c->want_pull && !c->same;
	struct two_devices t = two_devices(test);

	KUNIT_EXPECT_EQ(test, 0, migrate(t.new, t.addr, c->size, c->want_pull));
	KUNIT_EXPECT_TRUE(test, t.old->released);
	KUNIT_EXPECT_FALSE(test, t.new->released);
	KUNIT_EXPECT_EQ(test, t.to->pulled, pull ? c->size : 0);
	KUNIT_EXPECT_EQ(test, t.to->from_peer, pull ? 0 : c->size);
	KUNIT_EXPECT_EQ(test, t.from->to_ram, 0ul);
	KUNIT_EXPECT_EQ(test, t.to->mapped, 0ul);
	KUNIT_EXPECT_EQ(test, t.from->mapped, 0ul);

	pagemap_mock_check(test, t.addr, c->size, SEED);
	KUNIT_EXPECT_EQ(test, t.to->to_ram, c->size);
	KUNIT_EXPECT_TRUE(test, t.new->released);
}

/* Neither a copy nor a mapping that fails loses what the old place holds. */
static void peer_fails_test(struct kunit *test)
{
	const struct peer_case *c = test->param_value;
	bool pull = c->can_pull && c->want_pull && !c->same;
	struct two_devices t = two_devices(test);

	(pull ? t.from : t.to)->fail_map = true;
	KUNIT_EXPECT_EQ(test, -ENOMEM, migrate(t.new, t.addr, c->size,
					       c->want_pull));
	KUNIT_EXPECT_TRUE(test, t.new->released);
	t.from->fail_map = false;
	t.to->fail_map = false;

	t.new = pagemap_mock_chunk(test, t.to, c->size);
	if (pull)
		t.to->fail_to_devmem = -EIO;
	else
		t.from->fail_to_ram = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, migrate(t.new, t.addr, c->size,
					    c->want_pull));
	KUNIT_EXPECT_TRUE(test, t.new->released);
	KUNIT_EXPECT_FALSE(test, t.old->released);
	KUNIT_EXPECT_EQ(test, t.to->mapped, 0ul);
	KUNIT_EXPECT_EQ(test, t.from->mapped, 0ul);

	t.from->fail_to_ram = 0;
	pagemap_mock_check(test, t.addr, c->size, SEED);
	KUNIT_EXPECT_EQ(test, t.from->to_ram, c->size);
}

/* Two peers, an allocation of its own, system memory and holes, in one batch. */
static void mixed_sources_test(struct kunit *test)
{
	struct pagemap_mock *a = pagemap_mock_create(test);
	struct pagemap_mock *b = pagemap_mock_create_peer(test, a);
	struct pagemap_mock *to = pagemap_mock_create_peer(test, a);
	unsigned long addr = pagemap_mock_mmap(test, 20 * PAGE_SIZE, false);
	struct pagemap_mock *of[] = { a, b, to };
	struct pagemap_mock_chunk *chunk;

	/* Pages 0 to 15; 3 and 4 of each group of 5 stay in system memory. */
	pagemap_mock_fill(test, addr, 16 * PAGE_SIZE, SEED);
	for (unsigned int i = 0; i < 16; i++) {
		if (i % 5 >= ARRAY_SIZE(of))
			continue;
		chunk = pagemap_mock_chunk(test, of[i % 5], PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, 0, migrate(chunk, addr + i * PAGE_SIZE,
						 PAGE_SIZE, false));
	}

	to->to_devmem = 0;
	to->from_peer = 0;
	chunk = pagemap_mock_chunk(test, to, 32 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, migrate(chunk, addr, 20 * PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, to->to_devmem, 6 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, to->cleared, 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, to->from_peer, 10 * PAGE_SIZE);

	pagemap_mock_check(test, addr, 16 * PAGE_SIZE, SEED);
	pagemap_mock_check_zero(test, addr + 16 * PAGE_SIZE, 4 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

struct clear_case {
	const char *name;
	const struct drm_pagemap_devmem_ops *ops;
	bool zeroed, huge;
	unsigned long by_copy, by_op;	/* pages */
};

static const struct clear_case clear_cases[] = {
	{ "by the copy", NULL, false, false, 6, 0 },
	{ "by its operation", &pagemap_mock_clear_ops, false, false, 0, 6 },
	{ "not at all", NULL, true, false, 0, 0 },
	{ "operation not used", &pagemap_mock_clear_ops, true, false, 0, 0 },
	{ "block by its operation", &pagemap_mock_clear_ops, false, true, 0,
	  PMD_SIZE / PAGE_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(clear, clear_cases, name);

/* Exactly the holes are cleared, and those only if they have to be. */
static void clear_test(struct kunit *test)
{
	const struct clear_case *c = test->param_value;
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long size = c->huge ? PMD_SIZE : 16 * PAGE_SIZE;
	unsigned long addr = pagemap_mock_mmap(test, size, c->huge);
	struct pagemap_mock_chunk *chunk;

	if (c->ops)
		mock->devmem_ops = c->ops;
	if (c->zeroed)
		memset(mock->vram, 0, MOCK_VRAM_SIZE);
	mock->zeroed = c->zeroed;
	if (!c->huge)
		pagemap_mock_fill(test, addr + 3 * PAGE_SIZE, 10 * PAGE_SIZE, SEED);

	chunk = pagemap_mock_chunk(test, mock, size);
	KUNIT_ASSERT_EQ(test, 0, migrate(chunk, addr, size, false));
	KUNIT_EXPECT_EQ(test, mock->cleared, c->by_copy * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mock->cleared_by_op, c->by_op * PAGE_SIZE);

	if (c->huge) {
		pagemap_mock_check_zero(test, addr, size);
		return;
	}
	pagemap_mock_check_zero(test, addr, 3 * PAGE_SIZE);
	pagemap_mock_check(test, addr + 3 * PAGE_SIZE, 10 * PAGE_SIZE, SEED);
	pagemap_mock_check_zero(test, addr + 13 * PAGE_SIZE, 3 * PAGE_SIZE);
}

static void clear_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, 4 * PAGE_SIZE, false);
	struct pagemap_mock_chunk *chunk;

	mock->devmem_ops = &pagemap_mock_clear_ops;
	mock->fail_clear = -EIO;
	pagemap_mock_fill(test, addr, PAGE_SIZE, SEED);
	chunk = pagemap_mock_chunk(test, mock, 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EIO, migrate(chunk, addr, 4 * PAGE_SIZE, false));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	pagemap_mock_check(test, addr, PAGE_SIZE, SEED);
	pagemap_mock_check_zero(test, addr + PAGE_SIZE, 3 * PAGE_SIZE);
}

struct async_case {
	const char *name;
	unsigned long size;
	bool huge;
	int most;		/* copies at a time */
};

static const struct async_case async_cases[] = {
	{ "pages", 16 * PAGE_SIZE, false, 1 },
	{ "THP", PMD_SIZE, true, 1 },
	{ "two PMDs of pages", 2 * PMD_SIZE, false, 2 },
	{ "four THPs", 4 * PMD_SIZE, true, 4 },
};

KUNIT_ARRAY_PARAM_DESC(async, async_cases, name);

/* The copies of several batches run at a time. */
static void async_test(struct kunit *test)
{
	const struct async_case *c = test->param_value;
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, c->size, c->huge);
	struct pagemap_mock_chunk *chunk;

	mock->devmem_ops = &pagemap_mock_async_ops;
	mock->async_ms = 200;
	pagemap_mock_fill(test, addr, c->size, SEED);
	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_ASSERT_EQ(test, 0, migrate(chunk, addr, c->size, false));
	KUNIT_EXPECT_EQ(test, mock->to_devmem, c->size);
	if (c->huge)
		KUNIT_EXPECT_EQ(test, mock->most_running, c->most);
	KUNIT_EXPECT_EQ(test, atomic_read(&mock->running), 0);

	mock->async_ms = 0;
	pagemap_mock_check(test, addr, c->size, SEED);
	KUNIT_EXPECT_EQ(test, mock->to_ram, c->size);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

/* A fence that signals an error: nothing of that batch is committed. */
static void async_fails_test(struct kunit *test)
{
	const struct async_case *c = test->param_value;
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, c->size, c->huge);
	struct pagemap_mock_chunk *chunk;

	mock->devmem_ops = &pagemap_mock_async_ops;
	mock->fail_fence = -ETIMEDOUT;
	pagemap_mock_fill(test, addr, c->size, SEED);
	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, migrate(chunk, addr, c->size, false));
	KUNIT_EXPECT_TRUE(test, chunk->released);
	pagemap_mock_check(test, addr, c->size, SEED);
	KUNIT_EXPECT_EQ(test, mock->to_ram, 0ul);

	/* The way out. */
	mock->fail_fence = 0;
	chunk = pagemap_mock_chunk(test, mock, c->size);
	KUNIT_ASSERT_EQ(test, 0, migrate(chunk, addr, c->size, false));
	mock->fail_fence = -EIO;
	KUNIT_EXPECT_EQ(test, -EFAULT, pagemap_mock_touch(addr));
	KUNIT_EXPECT_EQ(test, -EBUSY, drm_pagemap_evict_to_ram(&chunk->devmem));
	mock->fail_fence = 0;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	pagemap_mock_check(test, addr, c->size, SEED);
}

/* What another device's driver sees of a range while a copy is underway. */
struct glance {
	struct mm_struct *mm;
	unsigned long addr;
	void *owner;
	unsigned long pfns[4];
	int err;
};

static void glance(struct pagemap_mock *mock)
{
	struct glance *g = mock->during_data;
	struct mmu_interval_notifier notifier = { .mm = g->mm };
	struct hmm_range range = {
		.notifier = &notifier,
		.start = g->addr,
		.end = g->addr + ARRAY_SIZE(g->pfns) * PAGE_SIZE,
		.hmm_pfns = g->pfns,
		.dev_private_owner = g->owner,
	};

	memset(g->pfns, 0, sizeof(g->pfns));
	g->err = -EAGAIN;
	/* The migrating thread has it for reading too. */
	if (!mmap_read_trylock(g->mm))
		return;
	g->err = hmm_range_fault(&range);
	mmap_read_unlock(g->mm);
}

/* Neither a page nor a hole is in VRAM before its content is. */
static void not_before_the_copy_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, 4 * PAGE_SIZE, false);
	struct pagemap_mock_chunk *chunk;
	struct glance g = {
		.mm = current->mm,
		.addr = addr,
		.owner = mock->pgmap.owner,
	};

	mock->devmem_ops = &pagemap_mock_async_ops;
	mock->during_copy = glance;
	mock->during_data = &g;
	pagemap_mock_fill(test, addr, 2 * PAGE_SIZE, SEED);
	chunk = pagemap_mock_chunk(test, mock, 4 * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, migrate(chunk, addr, 4 * PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, 0, g.err);
	for (unsigned int i = 0; i < ARRAY_SIZE(g.pfns); i++)
		KUNIT_EXPECT_EQ_MSG(test, g.pfns[i] & HMM_PFN_VALID, 0ul,
				    "page %u", i);

	/* It does see what is in VRAM, so that was no accident. */
	glance(mock);
	KUNIT_EXPECT_EQ(test, 0, g.err);
	for (unsigned int i = 0; i < ARRAY_SIZE(g.pfns); i++)
		KUNIT_EXPECT_NE_MSG(test, g.pfns[i] & HMM_PFN_VALID, 0ul,
				    "page %u", i);

	mock->during_copy = NULL;
	pagemap_mock_check(test, addr, 2 * PAGE_SIZE, SEED);
	pagemap_mock_check_zero(test, addr + 2 * PAGE_SIZE, 2 * PAGE_SIZE);
}

static struct kunit_case source_cases[] = {
	KUNIT_CASE_PARAM(peer_test, peer_gen_params),
	KUNIT_CASE_PARAM(peer_fails_test, peer_gen_params),
	KUNIT_CASE(mixed_sources_test),
	KUNIT_CASE_PARAM(clear_test, clear_gen_params),
	KUNIT_CASE(clear_fails_test),
	KUNIT_CASE_PARAM(async_test, async_gen_params),
	KUNIT_CASE_PARAM(async_fails_test, async_gen_params),
	KUNIT_CASE(not_before_the_copy_test),
	{}
};

static int source_init(struct kunit *test)
{
	return kunit_attach_mm();
}

static struct kunit_suite source_suite = {
	.name = "drm_pagemap_source",
	.init = source_init,
	.test_cases = source_cases,
};

kunit_test_suite(source_suite);

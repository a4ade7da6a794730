// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Every step of a migration that can fail is made to fail once, at each place
 * where it happens: the first page, the second one, and so on, until it happens
 * no more. Whatever is returned, nothing may be lost, and once nothing fails any
 * more everything works.
 */
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_mock.h"

#define SEED	37

struct nth_case {
	const char *name;
	unsigned long size;
	bool huge;
	bool async;
	bool holes;		/* every other page */
	bool peer;		/* the pages come from another device */
};

static const struct nth_case nth_cases[] = {
	{ "pages", 8 * PAGE_SIZE },
	{ "pages with holes", 8 * PAGE_SIZE, .holes = true },
	{ "pages of a peer", 8 * PAGE_SIZE, .peer = true },
	{ "pages, asynchronous", 8 * PAGE_SIZE, .async = true },
	{ "THP", PMD_SIZE, .huge = true },
	{ "THP of a peer", PMD_SIZE, .huge = true, .peer = true },
	{ "two THPs, asynchronous", 2 * PMD_SIZE, .huge = true, .async = true },
};

KUNIT_ARRAY_PARAM_DESC(nth, nth_cases, name);

static const enum pagemap_inject_point to_devmem_points[] = {
	PAGEMAP_INJECT_DEVMEM_ALLOC,
	PAGEMAP_INJECT_COLLECT,
	PAGEMAP_INJECT_DMA_MAP,
	PAGEMAP_INJECT_COPY,
	PAGEMAP_INJECT_COMMIT,
};

static const enum pagemap_inject_point to_ram_points[] = {
	PAGEMAP_INJECT_COLLECT,
	PAGEMAP_INJECT_RAM_PAGE,
	PAGEMAP_INJECT_RAM_BLOCK,
	PAGEMAP_INJECT_DMA_MAP,
	PAGEMAP_INJECT_COPY,
	PAGEMAP_INJECT_COMMIT,
};

struct nth {
	const struct nth_case *c;
	struct pagemap_mock *mock, *peer;
	unsigned long addr;
};

static void nth_fill(struct kunit *test, struct nth *n)
{
	unsigned long step = n->c->holes ? 2 * PAGE_SIZE : PAGE_SIZE;

	/* Pages that have been written are no holes any more: begin anew. */
	n->addr = pagemap_mock_mmap(test, n->c->size, n->c->huge);
	for (unsigned long o = 0; o < n->c->size; o += step)
		pagemap_mock_fill(test, n->addr + o, PAGE_SIZE, SEED + o);
}

static void nth_check(struct kunit *test, struct nth *n)
{
	unsigned long step = n->c->holes ? 2 * PAGE_SIZE : PAGE_SIZE;

	for (unsigned long o = 0; o < n->c->size; o += step) {
		pagemap_mock_check(test, n->addr + o, PAGE_SIZE, SEED + o);
		if (n->c->holes)
			pagemap_mock_check_zero(test, n->addr + o + PAGE_SIZE,
						PAGE_SIZE);
	}
}

static int nth_populate(struct pagemap_mock *mock, struct nth *n)
{
	const struct drm_pagemap_migrate_details details = {};
	struct drm_pagemap_migrate_result result = {};
	int err;

	/* Chunks are not used twice, but all of them are free in between. */
	mock->next = 0;
	mmap_read_lock(current->mm);
	err = drm_pagemap_populate_range(mock->dpagemap, current->mm, n->addr,
					 n->addr + n->c->size, &details, &result);
	mmap_read_unlock(current->mm);

	return err;
}

static void nth_begin(struct kunit *test, struct nth *n)
{
	nth_fill(test, n);
	if (n->peer)
		KUNIT_ASSERT_EQ(test, 0, nth_populate(n->peer, n));
}

static void nth_init(struct kunit *test, struct nth *n)
{
	n->c = test->param_value;
	n->mock = pagemap_mock_create(test);
	n->peer = n->c->peer ? pagemap_mock_create_peer(test, n->mock) : NULL;
	if (n->c->async)
		n->mock->devmem_ops = &pagemap_mock_async_ops;
}

/* Returns whether the point was reached so often. */
static bool nth_to_devmem(struct kunit *test, struct nth *n,
			  enum pagemap_inject_point point, unsigned int nth)
{
	bool reached;
	int err;

	nth_begin(test, n);
	pagemap_inject_nth(point, nth);
	err = nth_populate(n->mock, n);
	reached = !pagemap_inject_pending(point);
	pagemap_inject_clear();

	/* Less VRAM at a time is no error. */
	if (reached && point != PAGEMAP_INJECT_DEVMEM_ALLOC)
		KUNIT_EXPECT_NE_MSG(test, err, 0, "%s, %u",
				    pagemap_inject_name(point), nth);
	if (!reached)
		KUNIT_EXPECT_EQ_MSG(test, err, 0, "%s, %u",
				    pagemap_inject_name(point), nth);
	nth_check(test, n);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(n->addr, n->c->size));

	return reached;
}

static void to_devmem_test(struct kunit *test)
{
	struct nth n;

	nth_init(test, &n);
	for (int i = 0; i < ARRAY_SIZE(to_devmem_points); i++) {
		unsigned int nth = 1;

		/* A block less is eight smaller ones more: once is enough. */
		if (n.c->size > PMD_SIZE &&
		    to_devmem_points[i] == PAGEMAP_INJECT_DEVMEM_ALLOC)
			continue;
		while (nth_to_devmem(test, &n, to_devmem_points[i], nth))
			KUNIT_ASSERT_LT(test, nth++, 1000u);
		/* A peer's page is not mapped by the DMA layer. */
		if (!n.peer || to_devmem_points[i] != PAGEMAP_INJECT_DMA_MAP)
			KUNIT_EXPECT_GT_MSG(test, nth, 1u, "%s is never reached",
					    pagemap_inject_name(to_devmem_points[i]));
	}
}

static int nth_evict(struct nth *n)
{
	struct drm_pagemap_evict_result result;

	return drm_pagemap_evict_all(n->mock->dpagemap, 0, &result);
}

static bool nth_to_ram(struct kunit *test, struct nth *n, bool evict,
		       enum pagemap_inject_point point, unsigned int nth)
{
	bool reached;

	nth_begin(test, n);
	KUNIT_ASSERT_EQ(test, 0, nth_populate(n->mock, n));
	pagemap_inject_nth(point, nth);
	if (evict)
		nth_evict(n);
	else
		pagemap_mock_touch(n->addr);
	reached = !pagemap_inject_pending(point);
	pagemap_inject_clear();

	nth_check(test, n);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(n->addr, n->c->size));

	return reached;
}

static void to_ram_test(struct kunit *test, bool evict)
{
	struct nth n;

	nth_init(test, &n);
	for (int i = 0; i < ARRAY_SIZE(to_ram_points); i++) {
		bool block = to_ram_points[i] == PAGEMAP_INJECT_RAM_BLOCK;
		bool page = to_ram_points[i] == PAGEMAP_INJECT_RAM_PAGE;
		/* An eviction collects by page frame, each one once. */
		bool collect = to_ram_points[i] == PAGEMAP_INJECT_COLLECT;
		unsigned int nth = 1;

		while (nth_to_ram(test, &n, evict, to_ram_points[i], nth))
			KUNIT_ASSERT_LT(test, nth++, 1000u);
		if ((!block || n.c->huge) && (!page || !n.c->huge) &&
		    (!collect || !evict))
			KUNIT_EXPECT_GT_MSG(test, nth, 1u, "%s is never reached",
					    pagemap_inject_name(to_ram_points[i]));
	}
}

static void fault_test(struct kunit *test)
{
	to_ram_test(test, false);
}

static void evict_test(struct kunit *test)
{
	to_ram_test(test, true);
}

/* Every time, for a while: errors that last lose nothing either. */
static void always_test(struct kunit *test)
{
	struct nth n;

	nth_init(test, &n);
	for (int i = 0; i < ARRAY_SIZE(to_ram_points); i++) {
		nth_begin(test, &n);
		KUNIT_ASSERT_EQ(test, 0, nth_populate(n.mock, &n));
		pagemap_inject_nth(to_ram_points[i], PAGEMAP_INJECT_ALWAYS);
		nth_evict(&n);
		/* A fault that always loses its race is repeated for ever. */
		if (to_ram_points[i] != PAGEMAP_INJECT_COMMIT &&
		    to_ram_points[i] != PAGEMAP_INJECT_COLLECT)
			pagemap_mock_touch(n.addr);
		pagemap_inject_clear();
		nth_check(test, &n);
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(n.addr, n.c->size));
	}
}

static struct kunit_case nth_test_cases[] = {
	KUNIT_CASE_PARAM(to_devmem_test, nth_gen_params),
	KUNIT_CASE_PARAM(fault_test, nth_gen_params),
	KUNIT_CASE_PARAM(evict_test, nth_gen_params),
	KUNIT_CASE_PARAM(always_test, nth_gen_params),
	{}
};

static int nth_test_init(struct kunit *test)
{
	return kunit_attach_mm();
}

static void nth_test_exit(struct kunit *test)
{
	pagemap_inject_clear();
}

static struct kunit_suite nth_suite = {
	.name = "drm_pagemap_nth",
	.init = nth_test_init,
	.exit = nth_test_exit,
	.test_cases = nth_test_cases,
};

kunit_test_suite(nth_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Threads that want a page of VRAM in kernel mode, and cannot have it yet: because
 * of its slice, or of somebody else's reference. Each has a reference itself as
 * long as it waits.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "pagemap_internal.h"
#include "pagemap_mock.h"

#define SEED		44
#define FOREVER_MS	1000000
#define PAGES(bytes)	((bytes) >> PAGE_SHIFT)

static const struct drm_pagemap_fault_policy one_page = { PAGE_SIZE, PAGE_SIZE };
static const struct drm_pagemap_fault_policy fixed_64k = { SZ_64K, SZ_64K };

struct wait_test {
	struct pagemap_mock *mock;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;
	struct page *page;		/* the first one */
};

static struct pagemap_mock_chunk *to_vram(struct kunit *test,
					  struct pagemap_mock *mock,
					  unsigned long start,
					  unsigned long timeslice_ms)
{
	struct pagemap_mock_chunk *chunk = pagemap_mock_chunk(test, mock, SZ_64K);

	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, start,
						      start + SZ_64K,
						      timeslice_ms));

	return chunk;
}

/* 64 KiB in VRAM, which come home page by page. */
static struct wait_test wait_begin(struct kunit *test, unsigned long timeslice_ms)
{
	struct wait_test w = { .mock = pagemap_mock_create(test) };

	w.mock->dpagemap->fault_policy = &one_page;
	w.addr = pagemap_mock_mmap(test, SZ_64K, false);
	pagemap_mock_fill(test, w.addr, SZ_64K, SEED);
	w.chunk = to_vram(test, w.mock, w.addr, timeslice_ms);
	w.page = pagemap_mock_page(w.chunk, 0);

	return w;
}

/* One page came home. */
static void wait_end(struct kunit *test, struct wait_test *w)
{
	KUNIT_EXPECT_EQ(test, atomic_read(&w->chunk->devmem.zdd->live),
			PAGES(SZ_64K) - 1);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&w->chunk->devmem));
	pagemap_mock_check(test, w->addr, SZ_64K, SEED);
}

/* Freed by touched(), unless it does not end: then the test goes on without it. */
struct toucher {
	struct mm_struct *mm;
	unsigned long addr;
	bool locked;			/* never lets go of the mmap lock */
	struct completion done;
	int err;
};

#define TOUCHER_TIMEOUT	(30 * HZ)

static int touch_locked(struct toucher *t)
{
	long got;

	mmap_read_lock(t->mm);
	got = get_user_pages_remote(t->mm, t->addr, 1, 0, NULL, NULL);
	mmap_read_unlock(t->mm);

	return got == 1 ? 0 : -EFAULT;
}

static int toucher_thread(void *data)
{
	struct toucher *t = data;

	kthread_use_mm(t->mm);
	t->err = t->locked ? touch_locked(t) : pagemap_mock_touch(t->addr);
	kthread_unuse_mm(t->mm);
	mmput(t->mm);
	complete(&t->done);

	return 0;
}

static struct toucher *touch_beside(struct kunit *test, unsigned long addr,
				    bool locked)
{
	struct toucher *t = kzalloc_obj(*t);

	KUNIT_ASSERT_NOT_NULL(test, t);
	init_completion(&t->done);
	mmget(current->mm);
	t->mm = current->mm;
	t->addr = addr;
	t->locked = locked;
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(toucher_thread, t,
						       "pagemap-toucher"));

	return t;
}

/* A thread that never gets its page fails the test, and does not hang it. */
static void touched(struct kunit *test, struct toucher *t)
{
	KUNIT_ASSERT_NE(test, 0ul,
			wait_for_completion_timeout(&t->done, TOUCHER_TIMEOUT));
	KUNIT_EXPECT_EQ(test, t->err, 0);
	kfree(t);
}

/* Somebody has a reference to the page: the fault waits, and does not spin. */
static void raced_test(struct kunit *test)
{
	struct wait_test w = wait_begin(test, 0);
	unsigned long began, tries;
	struct toucher *t;

	get_page(w.page);
	began = jiffies;
	t = touch_beside(test, w.addr, false);
	KUNIT_EXPECT_EQ(test, 0ul, wait_for_completion_timeout(&t->done, HZ));
	tries = READ_ONCE(w.mock->to_ram) / PAGE_SIZE;
	kunit_info(test, "%lu tries in %lu jiffies", tries, jiffies - began);
	KUNIT_EXPECT_GT(test, tries, 2ul);
	KUNIT_EXPECT_LE(test, tries, (jiffies - began) / 2 + 4);

	put_page(w.page);
	touched(test, t);
	wait_end(test, &w);
}

struct crowd_case {
	const char *name;
	unsigned int slice_ms;
	bool locked;
	bool race;
};

static const struct crowd_case crowd_cases[] = {
	{ "after a race", 0, false, true },
	{ "after a slice", 100, false, false },
	{ "after both", 100, false, true },
	{ "with the mmap lock, after a race", 0, true, true },
	{ "with the mmap lock, in a slice", FOREVER_MS, true, false },
};

KUNIT_ARRAY_PARAM_DESC(crowd, crowd_cases, name);

/* Several threads: they must not keep each other from the page. */
static void crowd_test(struct kunit *test)
{
	const struct crowd_case *c = test->param_value;
	struct wait_test w = wait_begin(test, c->slice_ms);
	struct toucher *t[4];
	unsigned long began, i;

	if (c->race)
		get_page(w.page);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		t[i] = touch_beside(test, w.addr, c->locked);
		msleep(20);
	}
	msleep(200);
	if (c->race)
		put_page(w.page);

	began = jiffies;
	for (i = 0; i < ARRAY_SIZE(t); i++)
		touched(test, t[i]);
	kunit_info(test, "%u ms", jiffies_to_msecs(jiffies - began));
	KUNIT_EXPECT_LT(test, jiffies - began, HZ);
	wait_end(test, &w);
}

/* The thread that waits may have a page in its hands for a moment. */
static int evict_patiently(struct drm_pagemap_devmem *devmem)
{
	int err, i;

	for (i = 0; i < 100; i++) {
		err = drm_pagemap_evict_to_ram(devmem);
		if (err != -EBUSY)
			break;
		msleep(20);
	}
	return err;
}

/* The end of one allocation's slice is not the end of another's. */
static void other_slice_test(struct kunit *test)
{
	unsigned long addr = pagemap_mock_mmap(test, SZ_128K, false);
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *ours, *other;
	struct toucher *t;

	mock->dpagemap->fault_policy = &fixed_64k;
	pagemap_mock_fill(test, addr, SZ_128K, SEED);
	ours = to_vram(test, mock, addr, FOREVER_MS);
	other = to_vram(test, mock, addr + SZ_64K, FOREVER_MS);
	t = touch_beside(test, addr, false);
	KUNIT_EXPECT_EQ(test, 0ul, wait_for_completion_timeout(&t->done, HZ / 2));
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&other->devmem));
	KUNIT_EXPECT_EQ(test, 0ul, wait_for_completion_timeout(&t->done, HZ / 2));
	KUNIT_EXPECT_EQ(test, 0, evict_patiently(&ours->devmem));
	touched(test, t);
	pagemap_mock_check(test, addr, SZ_128K, SEED);
}

static struct kunit_case wait_cases[] = {
	KUNIT_CASE(raced_test),
	KUNIT_CASE_PARAM(crowd_test, crowd_gen_params),
	KUNIT_CASE(other_slice_test),
	{}
};

static struct kunit_suite wait_suite = {
	.name = "drm_pagemap_wait",
	.test_cases = wait_cases,
};

kunit_test_suite(wait_suite);

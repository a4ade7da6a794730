// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Eviction under difficulties: all of a pagemap, in bounded time; without a
 * block in RAM; from a device that is gone.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/percpu.h>

#include "pagemap_evict.h"
#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_mock.h"
#include "pagemap_report.h"

#define SEED	41
#define PAGES	16ul
#define LONG_MS	20000

static struct pagemap_mock_piece evict_piece(struct kunit *test,
					     struct pagemap_mock *mock,
					     unsigned long size)
{
	return pagemap_mock_piece(test, mock, size, SEED);
}

static void evict_check(struct kunit *test, const struct pagemap_mock_piece *p)
{
	KUNIT_EXPECT_TRUE(test, p->chunk->released);
	pagemap_mock_check(test, p->addr, p->size, SEED);
}

static unsigned long evict_count(struct pagemap_mock *mock,
				 enum pagemap_stat stat)
{
	const struct pagemap_record *record = &mock->dpagemap->priv->record;
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(record->stats, cpu)->count[stat];

	return sum;
}

static void evict_exit(struct kunit *test)
{
	pagemap_inject_clear();
}

#define MANY	6

static void evict_many(struct kunit *test, struct pagemap_mock *mock,
		       struct pagemap_mock_piece *p, unsigned long *pages)
{
	*pages = 0;
	for (int i = 0; i < MANY; i++) {
		p[i] = evict_piece(test, mock, i % 3 ? PAGES << PAGE_SHIFT :
						       PMD_SIZE);
		*pages += p[i].size >> PAGE_SHIFT;
	}
}

static void all_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_evict_result result;
	struct pagemap_mock_piece p[MANY];
	unsigned long pages;

	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
						       &result));
	KUNIT_EXPECT_EQ(test, result.evicted, 0ul);

	evict_many(test, mock, p, &pages);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, UINT_MAX,
						       &result));
	KUNIT_EXPECT_EQ(test, result.evicted, pages);
	KUNIT_EXPECT_EQ(test, result.left, 0ul);
	KUNIT_EXPECT_EQ(test, result.lost, 0ul);
	KUNIT_EXPECT_EQ(test, evict_count(mock, PAGEMAP_STAT_EVICTIONS),
			(unsigned long)MANY);
	for (int i = 0; i < MANY; i++)
		evict_check(test, &p[i]);
	KUNIT_EXPECT_EQ(test, kref_read(&mock->dpagemap->ref), 1u);
}

/* VRAM without pages: before the first one comes, and when the last is gone. */
static void empty_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr = pagemap_mock_mmap(test, PMD_SIZE, true);
	struct pagemap_mock_piece p = {
		.addr = addr,
		.size = PMD_SIZE,
		.chunk = pagemap_mock_chunk(test, mock, PMD_SIZE),
	};

	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p.chunk->devmem));
	KUNIT_EXPECT_FALSE(test, p.chunk->released);
	KUNIT_EXPECT_EQ(test, evict_count(mock, PAGEMAP_STAT_EVICTIONS), 0ul);

	pagemap_mock_fill(test, addr, PMD_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, p.chunk, addr,
						      addr + PMD_SIZE, 0));
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p.chunk->devmem));
	evict_check(test, &p);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p.chunk->devmem));
	KUNIT_EXPECT_EQ(test, mock->to_ram, PMD_SIZE);
	KUNIT_EXPECT_EQ(test, mock->released, 1ul);
}

static void all_once_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece p = evict_piece(test, mock, PMD_SIZE);
	struct drm_pagemap_evict_result result;

	mock->fail_to_ram = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, drm_pagemap_evict_all(mock->dpagemap, 0,
							  &result));
	KUNIT_EXPECT_EQ(test, result.left, PMD_SIZE >> PAGE_SHIFT);
	mock->fail_to_ram = 0;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, 0, NULL));
	evict_check(test, &p);
}

/* Each copy takes a while, so that there is time for some of them only. */
static void all_late_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_evict_result result;
	struct pagemap_mock_piece p[MANY];
	unsigned long pages;

	mock->devmem_ops = &pagemap_mock_async_ops;
	evict_many(test, mock, p, &pages);
	mock->async_ms = 200;
	KUNIT_EXPECT_EQ(test, -EBUSY, drm_pagemap_evict_all(mock->dpagemap, 300,
							    &result));
	mock->async_ms = 0;
	KUNIT_EXPECT_GT(test, result.left, 0ul);
	KUNIT_EXPECT_EQ(test, result.left + result.evicted, pages);
	for (int i = 0; i < MANY; i++)
		pagemap_mock_check(test, p[i].addr, p[i].size, SEED);
}

struct populating {
	struct delayed_work work;
	struct drm_pagemap_devmem *devmem;
};

static void populating_end(struct work_struct *work)
{
	struct populating *p = container_of(to_delayed_work(work),
					    struct populating, work);

	WRITE_ONCE(p->devmem->populating, false);
}

/* What is moving in is left alone, and waited for as long as there is time. */
static void all_populating_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece a = evict_piece(test, mock, PMD_SIZE);
	struct pagemap_mock_piece b = evict_piece(test, mock, PAGES << PAGE_SHIFT);
	struct populating p = { .devmem = &a.chunk->devmem };
	struct drm_pagemap_evict_result result;
	unsigned long before = jiffies, took;

	WRITE_ONCE(a.chunk->devmem.populating, true);
	KUNIT_EXPECT_EQ(test, -EBUSY, drm_pagemap_evict_all(mock->dpagemap, 200,
							    &result));
	took = jiffies_to_msecs(jiffies - before);
	KUNIT_EXPECT_GE(test, took, 200ul);
	KUNIT_EXPECT_LT(test, took, 2000ul);
	KUNIT_EXPECT_EQ(test, result.left, PMD_SIZE >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, result.evicted, PAGES);
	evict_check(test, &b);

	INIT_DELAYED_WORK_ONSTACK(&p.work, populating_end);
	schedule_delayed_work(&p.work, HZ / 5);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
						       &result));
	flush_delayed_work(&p.work);
	destroy_delayed_work_on_stack(&p.work);
	evict_check(test, &a);
}

/*
 * One that cannot be read, of a device that is there: it stays, alone. The others
 * may take a busy machine more than one attempt.
 */
static void all_copy_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_evict_result result;
	struct pagemap_mock_piece p[MANY];
	unsigned long pages, evicted = 0;
	int err, tries = 0;

	evict_many(test, mock, p, &pages);
	mock->bad_first = p[1].chunk->first + 5;
	mock->bad_pages = 1;
	do {
		err = drm_pagemap_evict_all(mock->dpagemap, 200, &result);
		KUNIT_EXPECT_NE(test, err, 0);
		KUNIT_EXPECT_EQ(test, result.lost, 0ul);
		evicted += result.evicted;
	} while (result.left > PAGES && ++tries < 50);
	KUNIT_EXPECT_EQ(test, err, -EIO);
	KUNIT_EXPECT_EQ(test, result.left, PAGES);
	KUNIT_EXPECT_EQ(test, evicted, pages - PAGES);
	KUNIT_EXPECT_GE(test, evict_count(mock, PAGEMAP_STAT_COPY_ERRORS), 1ul);
	KUNIT_EXPECT_FALSE(test, p[1].chunk->released);

	mock->bad_pages = 0;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
						       &result));
	for (int i = 0; i < MANY; i++)
		evict_check(test, &p[i]);
}

/* Nothing but an -EBUSY, and everything where it was. */
static void copy_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece p = evict_piece(test, mock, PMD_SIZE);
	struct drm_pagemap_evict_result result;

	mock->fail_to_ram = -ENODEV;
	KUNIT_EXPECT_EQ(test, -EBUSY,
			drm_pagemap_evict_to_ram(&p.chunk->devmem));
	KUNIT_EXPECT_EQ(test, -EIO, drm_pagemap_evict_all(mock->dpagemap, 50,
							  &result));
	KUNIT_EXPECT_EQ(test, result.left, PMD_SIZE >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, result.lost, 0ul);

	/* Even if the device is gone: only evict_all may give it up. */
	mock->drm.unplugged = true;
	KUNIT_EXPECT_EQ(test, -EBUSY,
			drm_pagemap_evict_to_ram(&p.chunk->devmem));
	mock->drm.unplugged = false;
	mock->fail_to_ram = 0;
	KUNIT_EXPECT_GE(test, evict_count(mock, PAGEMAP_STAT_EVICT_BUSY), 2ul);
	KUNIT_EXPECT_EQ(test, evict_count(mock, PAGEMAP_STAT_LOST_PAGES), 0ul);
	pagemap_mock_check(test, p.addr, p.size, SEED);
}

struct lost_case {
	const char *name;
	unsigned long size;
	unsigned long first, pages;	/* that cannot be read */
};

static const struct lost_case lost_cases[] = {
	{ "one of some pages", PAGES << PAGE_SHIFT, 3, 1 },
	{ "all of some pages", PAGES << PAGE_SHIFT, 0, PAGES },
	{ "the first of a block", PMD_SIZE, 0, 1 },
	{ "some of a block", PMD_SIZE, 100, 4 },
};

KUNIT_ARRAY_PARAM_DESC(lost, lost_cases, name);

/* Who touches what is lost is told; nobody else is. */
static void lost_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct lost_case *c = test->param_value;
	unsigned long start = c->first << PAGE_SHIFT;
	unsigned long end = start + (c->pages << PAGE_SHIFT);
	struct pagemap_mock_piece p, other;
	struct drm_pagemap_evict_result result;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");

	other = evict_piece(test, mock, PMD_SIZE);
	p = evict_piece(test, mock, c->size);
	mock->bad_first = p.chunk->first + c->first;
	mock->bad_pages = c->pages;
	mock->drm.unplugged = true;
	KUNIT_EXPECT_EQ(test, -EIO, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
							  &result));
	KUNIT_EXPECT_EQ(test, result.left, 0ul);
	KUNIT_EXPECT_EQ(test, result.lost, c->pages);
	KUNIT_EXPECT_EQ(test, result.evicted,
			((other.size + p.size) >> PAGE_SHIFT) - c->pages);
	KUNIT_EXPECT_EQ(test, evict_count(mock, PAGEMAP_STAT_LOST_PAGES),
			c->pages);
	KUNIT_EXPECT_TRUE(test, p.chunk->released);

	evict_check(test, &other);
	pagemap_mock_check_part(test, p.addr, 0, start, SEED);
	for (unsigned long o = start; o < end; o += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, -EFAULT, pagemap_mock_touch(p.addr + o));
	pagemap_mock_check_part(test, p.addr, end, p.size, SEED);
}

struct split_case {
	const char *name;
	unsigned long unmap;		/* pages at the start */
	bool all;			/* by evict_all() */
};

static const struct split_case split_cases[] = {
	{ "PMD-mapped" },
	{ "PMD-mapped, all", .all = true },
	{ "PTE-mapped", .unmap = 1 },
	{ "second half", .unmap = 256 },
};

KUNIT_ARRAY_PARAM_DESC(split, split_cases, name);

/* There is no block at all: mm splits the one in VRAM. */
static void split_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece p = evict_piece(test, mock, PMD_SIZE);
	const struct split_case *c = test->param_value;
	unsigned long gone = c->unmap << PAGE_SHIFT;
	struct drm_pagemap_evict_result result;

	if (gone)
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(p.addr, gone));
	pagemap_inject_nth(PAGEMAP_INJECT_RAM_BLOCK, PAGEMAP_INJECT_ALWAYS);
	KUNIT_EXPECT_EQ(test, 0, c->all ?
			drm_pagemap_evict_all(mock->dpagemap, LONG_MS, &result) :
			drm_pagemap_evict_to_ram(&p.chunk->devmem));
	KUNIT_EXPECT_EQ(test, evict_count(mock, PAGEMAP_STAT_BLOCK_SPLIT), 1ul);
	KUNIT_EXPECT_TRUE(test, p.chunk->released);
	KUNIT_EXPECT_EQ(test, mock->to_ram, PMD_SIZE - gone);
	pagemap_mock_check_part(test, p.addr, gone, PMD_SIZE, SEED);
}

/* A process that keeps its own mmap lock until it is told to end. */
struct stuck {
	struct mm_struct *mm;
	struct completion begun, end;
};

static int stuck_thread(void *data)
{
	struct stuck *s = data;

	if (!kunit_attach_mm()) {
		s->mm = current->mm;
		mmap_write_lock(s->mm);
	}
	complete(&s->begun);
	wait_for_completion(&s->end);
	if (s->mm)
		mmap_write_unlock(s->mm);
	complete(&s->begun);

	return 0;
}

static void stuck_begin(struct kunit *test, struct stuck *s)
{
	init_completion(&s->begun);
	init_completion(&s->end);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(stuck_thread, s,
						       "pagemap-stuck"));
	wait_for_completion(&s->begun);
}

static void stuck_end(struct stuck *s)
{
	complete(&s->end);
	wait_for_completion(&s->begun);
}

/* False if the worker does not get to it in time. */
static bool evict_is_split(struct pagemap_mock *mock)
{
	unsigned long limit = jiffies + 10 * HZ;

	while (!evict_count(mock, PAGEMAP_STAT_BLOCK_SPLIT)) {
		if (time_after(jiffies, limit))
			return false;
		msleep(20);
	}

	return true;
}

/*
 * The owner is busy: -EBUSY now, and the next attempt finds pages. Another process
 * that is busy for good does not matter.
 */
static void split_later_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece p = evict_piece(test, mock, PMD_SIZE);
	struct pagemap_evict other = { .dpagemap = mock->dpagemap };
	struct stuck s = {};

	stuck_begin(test, &s);
	other.mm = s.mm;
	if (s.mm)
		pagemap_split_block(&other, 0, pagemap_mock_page(p.chunk, 0));
	pagemap_inject_nth(PAGEMAP_INJECT_RAM_BLOCK, PAGEMAP_INJECT_ALWAYS);
	mmap_write_lock(current->mm);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			drm_pagemap_evict_to_ram(&p.chunk->devmem));
	KUNIT_EXPECT_EQ(test, evict_count(mock, PAGEMAP_STAT_BLOCK_SPLIT), 0ul);
	mmap_write_unlock(current->mm);

	KUNIT_EXPECT_NOT_NULL(test, s.mm);
	KUNIT_EXPECT_TRUE(test, evict_is_split(mock));
	stuck_end(&s);
	mmap_write_lock(current->mm);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p.chunk->devmem));
	mmap_write_unlock(current->mm);
	evict_check(test, &p);
}

/* Pages that have gone already must not be in the way of the others. */
static void vacated_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece p = evict_piece(test, mock, PAGES << PAGE_SHIFT);
	struct drm_pagemap_evict_result result;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(p.addr + 2 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(p.addr + 5 * PAGE_SIZE,
					   4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
						       &result));
	KUNIT_EXPECT_EQ(test, result.evicted, PAGES - 5);
	KUNIT_EXPECT_TRUE(test, p.chunk->released);
	pagemap_mock_check_part(test, p.addr, 0, 2 * PAGE_SIZE, SEED);
	pagemap_mock_check_part(test, p.addr, 3 * PAGE_SIZE, 5 * PAGE_SIZE, SEED);
	pagemap_mock_check_part(test, p.addr, 9 * PAGE_SIZE, p.size, SEED);
}

/* mm commits nothing; the next attempt is as good as the first. */
static void commit_fails_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece p = evict_piece(test, mock, PMD_SIZE);

	pagemap_inject_nth(PAGEMAP_INJECT_COMMIT, PAGEMAP_INJECT_ALWAYS);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			drm_pagemap_evict_to_ram(&p.chunk->devmem));
	pagemap_inject_clear();
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&p.chunk->devmem));
	evict_check(test, &p);
}

static void all_munmap_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_piece p = evict_piece(test, mock, PMD_SIZE);
	struct drm_pagemap_evict_result result;

	mock->munmap_addr = p.addr;
	mock->munmap_size = p.size;
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
						       &result));
	KUNIT_EXPECT_EQ(test, result.left, 0ul);
	KUNIT_EXPECT_TRUE(test, p.chunk->released);
	KUNIT_EXPECT_EQ(test, kref_read(&mock->dpagemap->ref), 1u);
}

struct toucher {
	struct mm_struct *mm;
	const struct pagemap_mock_piece *p;
	struct completion started, done;
	int err;
};

static int toucher_thread(void *data)
{
	struct toucher *t = data;

	kthread_use_mm(t->mm);
	complete(&t->started);
	for (int round = 0; round < 3; round++)
		for (int i = MANY - 1; i >= 0; i--)
			for (unsigned long o = 0; o < t->p[i].size;
			     o += 7 * PAGE_SIZE)
				t->err |= pagemap_mock_touch(t->p[i].addr + o);
	kthread_unuse_mm(t->mm);
	complete(&t->done);

	return 0;
}

/* Two ways home at once. */
static void all_faults_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_evict_result result;
	struct pagemap_mock_piece p[MANY];
	struct toucher t = { .mm = current->mm, .p = p };
	unsigned long pages;

	init_completion(&t.started);
	init_completion(&t.done);
	evict_many(test, mock, p, &pages);
	t.mm = current->mm;
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(toucher_thread, &t,
						       "pagemap-toucher"));
	wait_for_completion(&t.started);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
						       &result));
	wait_for_completion(&t.done);
	KUNIT_EXPECT_EQ(test, t.err, 0);
	KUNIT_EXPECT_LE(test, result.evicted, pages);
	for (int i = 0; i < MANY; i++)
		evict_check(test, &p[i]);
}

struct leaver {
	struct kunit *test;
	struct pagemap_mock *mock;
	struct pagemap_mock_piece p;
	struct completion ready, leave;
};

static int leaver_thread(void *data)
{
	struct leaver *l = data;

	if (!kunit_attach_mm())
		l->p = evict_piece(l->test, l->mock, PMD_SIZE);
	complete(&l->ready);
	wait_for_completion(&l->leave);

	/* The address space goes with the thread. */
	return 0;
}

/* The process exits, and its pages are evicted at the same time. */
static void all_exit_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct drm_pagemap_evict_result result;
	struct leaver l = { .test = test, .mock = mock };
	struct task_struct *task;

	init_completion(&l.ready);
	init_completion(&l.leave);
	task = kthread_run(leaver_thread, &l, "pagemap-leaver");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wait_for_completion(&l.ready);
	KUNIT_ASSERT_NOT_NULL(test, l.p.chunk);

	pagemap_inject_nth(PAGEMAP_INJECT_RAM_BLOCK, PAGEMAP_INJECT_ALWAYS);
	complete(&l.leave);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_all(mock->dpagemap, LONG_MS,
						       &result));
	KUNIT_EXPECT_EQ(test, result.left, 0ul);
	kthread_stop_put(task);
	KUNIT_EXPECT_TRUE(test, l.p.chunk->released);
}

static struct kunit_case evict_cases[] = {
	KUNIT_CASE(all_test),
	KUNIT_CASE(empty_test),
	KUNIT_CASE(all_once_test),
	KUNIT_CASE(all_late_test),
	KUNIT_CASE(all_populating_test),
	KUNIT_CASE(all_copy_fails_test),
	KUNIT_CASE(copy_fails_test),
	KUNIT_CASE_PARAM(lost_test, lost_gen_params),
	KUNIT_CASE_PARAM(split_test, split_gen_params),
	KUNIT_CASE(split_later_test),
	KUNIT_CASE(vacated_test),
	KUNIT_CASE(commit_fails_test),
	KUNIT_CASE(all_munmap_test),
	KUNIT_CASE(all_faults_test),
	KUNIT_CASE(all_exit_test),
	{}
};

static struct kunit_suite evict_suite = {
	.name = "drm_pagemap_evict",
	.exit = evict_exit,
	.test_cases = evict_cases,
};

kunit_test_suite(evict_suite);

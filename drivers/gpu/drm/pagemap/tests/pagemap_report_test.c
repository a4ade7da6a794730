// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Counters and histograms: what is counted on any CPU is in the sum, once; a
 * reset starts from zero; and all of it is in the text.
 */
#include <drm/drm_print.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "pagemap_internal.h"
#include "pagemap_mock.h"

#define SEED	31

struct bucket_case {
	const char *name;
	u64 ns;
	unsigned int want;
};

static const struct bucket_case bucket_cases[] = {
	{ "nothing", 0, 0 },
	{ "just below a microsecond", NSEC_PER_USEC - 1, 0 },
	{ "1 us", NSEC_PER_USEC, 1 },
	{ "just below 2 us", 2 * NSEC_PER_USEC - 1, 1 },
	{ "2 us", 2 * NSEC_PER_USEC, 2 },
	{ "3 us", 3 * NSEC_PER_USEC, 2 },
	{ "4 us", 4 * NSEC_PER_USEC, 3 },
	{ "1 ms", NSEC_PER_MSEC, 10 },
	{ "1 s", NSEC_PER_SEC, 20 },
	{ "just below the last", (NSEC_PER_USEC << 22) - 1,
	  PAGEMAP_LATENCY_BUCKETS - 2 },
	{ "the last", NSEC_PER_USEC << 22, PAGEMAP_LATENCY_BUCKETS - 1 },
	{ "more than the last", NSEC_PER_USEC << 23,
	  PAGEMAP_LATENCY_BUCKETS - 1 },
	{ "for ever", U64_MAX, PAGEMAP_LATENCY_BUCKETS - 1 },
};

KUNIT_ARRAY_PARAM_DESC(bucket, bucket_cases, name);

static void bucket_test(struct kunit *test)
{
	const struct bucket_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, c->want, pagemap_latency_bucket(c->ns));
}

static void count_here(void *dpagemap)
{
	pagemap_count(dpagemap, PAGEMAP_STAT_EVICTIONS, 1);
	pagemap_count(dpagemap, PAGEMAP_STAT_LOST_PAGES, 100);
}

static void cpus_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned int cpus = num_online_cpus();
	struct pagemap_snapshot *s;

	on_each_cpu(count_here, mock->dpagemap, true);
	s = pagemap_mock_snapshot(test, mock);
	KUNIT_EXPECT_EQ(test, s->stats.count[PAGEMAP_STAT_EVICTIONS], cpus);
	KUNIT_EXPECT_EQ(test, s->stats.count[PAGEMAP_STAT_LOST_PAGES],
			100 * cpus);
	KUNIT_EXPECT_EQ(test, s->stats.count[PAGEMAP_STAT_EVICT_BUSY], 0);
}

static void report_end_test(struct kunit *test)
{
	static const struct pagemap_report reports[] = {
		{ .direction = PAGEMAP_EVICT, .npages = 16, .moved = 10,
		  .ns = 5 * NSEC_PER_USEC },
		{ .direction = PAGEMAP_EVICT, .npages = 512, .moved = 512,
		  .order = 9, .ns = 5 * NSEC_PER_USEC },
	};
	struct pagemap_mock *mock = pagemap_mock_create(test);
	const struct pagemap_flow *flow;

	for (unsigned int i = 0; i < ARRAY_SIZE(reports); i++)
		pagemap_report_end(mock->dpagemap, &reports[i]);

	flow = &pagemap_mock_snapshot(test, mock)->stats.flow[PAGEMAP_EVICT];
	KUNIT_EXPECT_EQ(test, flow->batches, 2);
	KUNIT_EXPECT_EQ(test, flow->asked, 528);
	KUNIT_EXPECT_EQ(test, flow->moved, 522);
	KUNIT_EXPECT_EQ(test, flow->latency[PAGEMAP_LATENCY_PAGES][3], 1);
	KUNIT_EXPECT_EQ(test, flow->latency[PAGEMAP_LATENCY_BLOCK][3], 1);
	KUNIT_EXPECT_EQ(test, flow->latency[PAGEMAP_LATENCY_BLOCK][2], 0);
}

static void reset_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock *other = pagemap_mock_create(test);
	struct drm_pagemap_migrate_result result = {
		.pages[DRM_PAGEMAP_SKIP_KSM] = 7,
	};

	pagemap_count(mock->dpagemap, PAGEMAP_STAT_EVICTIONS, 5);
	pagemap_count_outcomes(mock->dpagemap, &result);
	pagemap_count(other->dpagemap, PAGEMAP_STAT_EVICTIONS, 6);
	pagemap_stats_reset(&mock->drm);
	KUNIT_EXPECT_NULL(test, memchr_inv(&pagemap_mock_snapshot(test, mock)->stats, 0,
					   sizeof(struct pagemap_stats)));

	pagemap_count(mock->dpagemap, PAGEMAP_STAT_EVICTIONS, 2);
	pagemap_count_outcomes(mock->dpagemap, &result);
	KUNIT_EXPECT_EQ(test, 2, pagemap_mock_snapshot(test, mock)
			->stats.count[PAGEMAP_STAT_EVICTIONS]);
	KUNIT_EXPECT_EQ(test, 7, pagemap_mock_snapshot(test, mock)
			->stats.outcome[DRM_PAGEMAP_SKIP_KSM]);
	/* Another device's. */
	KUNIT_EXPECT_EQ(test, 6, pagemap_mock_snapshot(test, other)
			->stats.count[PAGEMAP_STAT_EVICTIONS]);
}

/* The longest one counts, and after a reset it is another one. */
static void longest_evict_test(struct kunit *test)
{
	static const u64 ns[] = { 3000, 70000, 0, 69999 };
	struct pagemap_mock *mock = pagemap_mock_create(test);

	KUNIT_EXPECT_EQ(test, pagemap_mock_snapshot(test, mock)->longest_evict, 0ull);
	for (unsigned int i = 0; i < ARRAY_SIZE(ns); i++)
		pagemap_report_evict(mock->dpagemap, 1, 0, ns[i], 0);
	KUNIT_EXPECT_EQ(test, pagemap_mock_snapshot(test, mock)->longest_evict, 70000ull);

	pagemap_stats_reset(&mock->drm);
	KUNIT_EXPECT_EQ(test, pagemap_mock_snapshot(test, mock)->longest_evict, 0ull);
	pagemap_report_evict(mock->dpagemap, 1, 1, 5000, -EBUSY);
	KUNIT_EXPECT_EQ(test, pagemap_mock_snapshot(test, mock)->longest_evict, 5000ull);
}

static const struct drm_pagemap_ops idle_ops = {};

/* Each pagemap of a device is found, until it is gone. */
static void several_pagemaps_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_snapshot *s = pagemap_mock_snapshot(test, mock);
	struct drm_pagemap *second;
	u64 first = s->id;

	KUNIT_EXPECT_FALSE(test, pagemap_snapshot_next(&mock->drm, s));
	second = drm_pagemap_create(&mock->drm, &mock->pgmap, &idle_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, second);
	pagemap_count(second, PAGEMAP_STAT_EVICTIONS, 3);

	KUNIT_EXPECT_TRUE(test, pagemap_snapshot_next(&mock->drm, s));
	KUNIT_EXPECT_GT(test, s->id, first);
	KUNIT_EXPECT_EQ(test, s->stats.count[PAGEMAP_STAT_EVICTIONS], 3);

	drm_pagemap_put(second);
	s->id = first;
	KUNIT_EXPECT_FALSE(test, pagemap_snapshot_next(&mock->drm, s));
}

static void migration_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	unsigned long addr, size = 16 * PAGE_SIZE;
	struct pagemap_mock_chunk *chunk;
	struct pagemap_snapshot *s;

	addr = pagemap_mock_mmap(test, size, false);
	pagemap_mock_fill(test, addr, size, SEED);
	chunk = pagemap_mock_chunk(test, mock, size);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + size, 0));
	/* Four of the pages are gone, their VRAM is not. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, 4 * PAGE_SIZE));

	s = pagemap_mock_snapshot(test, mock);
	KUNIT_EXPECT_EQ(test, s->stats.count[PAGEMAP_STAT_ALLOCATIONS], 1);
	KUNIT_EXPECT_EQ(test, s->stats.outcome[DRM_PAGEMAP_MOVED], 16);
	KUNIT_EXPECT_EQ(test, s->stats.flow[PAGEMAP_TO_DEVMEM].moved, 16);
	KUNIT_EXPECT_EQ(test, s->usage.allocations, 1);
	KUNIT_EXPECT_EQ(test, s->usage.vram, 16 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, s->usage.used, 12 * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, s->longest_evict, 0ull);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	s = pagemap_mock_snapshot(test, mock);
	KUNIT_EXPECT_GT(test, s->longest_evict, 0ull);
	KUNIT_EXPECT_EQ(test, s->stats.count[PAGEMAP_STAT_EVICTIONS], 1);
	KUNIT_EXPECT_EQ(test, s->stats.flow[PAGEMAP_EVICT].moved, 12);
	KUNIT_EXPECT_EQ(test, s->usage.allocations, 0);
	KUNIT_EXPECT_EQ(test, s->usage.used, 0);
}

#define TEXT_SIZE	8192

static char *text_of(struct kunit *test, const struct pagemap_snapshot *s)
{
	char *text = kunit_kzalloc(test, TEXT_SIZE, GFP_KERNEL);
	struct drm_print_iterator iter = {
		.data = text,
		.remain = TEXT_SIZE - 1,
	};
	struct drm_printer p = drm_coredump_printer(&iter);

	KUNIT_ASSERT_NOT_NULL(test, text);
	pagemap_snapshot_print(&p, s);
	KUNIT_ASSERT_GT(test, iter.remain, 0);

	return text;
}

static const char * const text_lines[] = {
	"pagemap 3:\n",
	"    allocations: 2\n",
	"    vram: 12288 bytes\n",
	"    used: 4096 bytes\n",
	"    waste: 8192 bytes\n",
	"    lost_pages: 5\n",
	"    longest_evict: 1234567 us\n",
	"    skip_pinned: 6 pages\n",
	"  to_devmem:\n",
	"  cpu_fault:\n",
	"    batches: 7\n",
	"    asked: 8 pages\n",
	"    moved: 9 pages\n",
	"    latency of single pages:\n      >= 0 us: 10\n      >= 4 us: 11\n",
	"    latency of blocks:\n      >= 4194304 us: 12\n",
	"  evict:\n",
};

static void text_test(struct kunit *test)
{
	struct pagemap_snapshot *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	struct pagemap_flow *flow;
	char *text;

	KUNIT_ASSERT_NOT_NULL(test, s);
	s->id = 3;
	s->usage = (struct pagemap_usage) { 2, 12288, 4096 };
	s->stats.count[PAGEMAP_STAT_LOST_PAGES] = 5;
	s->longest_evict = 1234567890;
	s->stats.outcome[DRM_PAGEMAP_SKIP_PINNED] = 6;
	flow = &s->stats.flow[PAGEMAP_CPU_FAULT];
	flow->batches = 7;
	flow->asked = 8;
	flow->moved = 9;
	flow->latency[PAGEMAP_LATENCY_PAGES][0] = 10;
	flow->latency[PAGEMAP_LATENCY_PAGES][3] = 11;
	flow->latency[PAGEMAP_LATENCY_BLOCK][PAGEMAP_LATENCY_BUCKETS - 1] = 12;

	text = text_of(test, s);
	for (unsigned int i = 0; i < ARRAY_SIZE(text_lines); i++)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, text_lines[i]),
					  "not there: %s", text_lines[i]);
}

/* Each value has a name, and it is in the text. */
static void names_test(struct kunit *test)
{
	struct pagemap_snapshot *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	char *text;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, s);
	text = text_of(test, s);
	for (i = 0; i < PAGEMAP_NUM_STATS; i++) {
		KUNIT_ASSERT_NOT_NULL(test, pagemap_stat_name(i));
		KUNIT_EXPECT_NOT_NULL(test, strstr(text, pagemap_stat_name(i)));
	}
	for (i = 0; i < DRM_PAGEMAP_NUM_OUTCOMES; i++) {
		KUNIT_ASSERT_NOT_NULL(test, pagemap_outcome_name(i));
		KUNIT_EXPECT_NOT_NULL(test, strstr(text, pagemap_outcome_name(i)));
	}
	for (i = 0; i < PAGEMAP_NUM_DIRECTIONS; i++) {
		KUNIT_ASSERT_NOT_NULL(test, pagemap_direction_name(i));
		KUNIT_EXPECT_NOT_NULL(test,
				      strstr(text, pagemap_direction_name(i)));
	}
}

static struct kunit_case report_cases[] = {
	KUNIT_CASE_PARAM(bucket_test, bucket_gen_params),
	KUNIT_CASE(cpus_test),
	KUNIT_CASE(report_end_test),
	KUNIT_CASE(reset_test),
	KUNIT_CASE(longest_evict_test),
	KUNIT_CASE(several_pagemaps_test),
	KUNIT_CASE(migration_test),
	KUNIT_CASE(text_test),
	KUNIT_CASE(names_test),
	{}
};

static struct kunit_suite report_suite = {
	.name = "drm_pagemap_report",
	.test_cases = report_cases,
};

kunit_test_suite(report_suite);

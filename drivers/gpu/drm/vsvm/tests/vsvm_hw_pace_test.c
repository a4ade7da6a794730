// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Bandwidth and latency of the copy channels, by a clock that only the bench
 * turns.
 */
#include "vsvm_hw_bench.h"

#define MB	1000000ull
#define US	1000ull
#define MS	(1000 * US)

struct pace_case {
	const char *name;
	u64 rate;
	u64 latency;
	u64 len;
	u64 ns;		/* what the model says */
};

static const struct pace_case paces[] = {
	{ "no model", 0, 0, 2 << 20, 0 },
	{ "latency alone", 0, 7 * US, 4096, 7 * US },
	{ "latency of nothing", 0, 3 * MS + 1, 0, 3 * MS + 1 },
	{ "a longer sleep than one", 1000 * MB, 10 * MS, 1000, 10 * MS + US },
	{ "a byte a ns", 1000 * MB, 0, 100000, 100 * US },
	{ "a byte in less than a ns", 8000 * MB, 0, 4096, 512 },
	{ "slices", 100 * MB, 0, 1 << 20, 10485760 },
	{ "slices and latency", 100 * MB, 20 * US, 1 << 20, 10505760 },
	/* 3 bytes in 10 ns, so that no slice takes whole ones. */
	{ "fractions", 300 * MB, 0, 3 << 20, 10485760 },
	{ "slow", MB, 0, 1000, MS },
	{ "fastest", VSVM_HW_MAX_COPY_RATE, 0, 1 << 20, 1 },
	{ "latest", 0, VSVM_HW_MAX_COPY_NS, 8, VSVM_HW_MAX_COPY_NS },
};

KUNIT_ARRAY_PARAM_DESC(pace, paces, name);

static struct hw_bench *pace_bench(struct kunit *test, u64 rate, u64 latency)
{
	struct hw_bench *b = hw_bench_create_as(test, &(struct vsvm_hw_config){
		.copy_bytes_per_s = rate, .copy_latency_ns = latency,
	});

	if (b)
		b->now = 12345;
	return b;
}

static struct vsvm_hw_cmd copy_of(u64 len)
{
	return (struct vsvm_hw_cmd){
		.op = VSVM_HW_COPY, .dst = BENCH_TABLES, .src = BENCH_SYSTEM_BASE,
		.flags = VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
			 VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
		.len = len,
	};
}

static struct vsvm_hw_cmd fill_of(u64 len)
{
	return (struct vsvm_hw_cmd){
		.op = VSVM_HW_FILL, .dst = BENCH_SYSTEM_BASE,
		.flags = VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM), .len = len & ~7ull,
	};
}

static u64 time_of(struct hw_bench *b, unsigned int engine,
		   const struct vsvm_hw_cmd *cmd)
{
	const u64 before = b->now;

	KUNIT_EXPECT_EQ(b->test, hw_bench_do(b, engine, cmd), VSVM_HW_OK);
	return b->now - before;
}

/* To the ns where time passes as the model wants it. */
static void pace_exact(struct kunit *test)
{
	const struct pace_case *p = test->param_value;
	struct hw_bench *b = pace_bench(test, p->rate, p->latency);
	const struct vsvm_hw_cmd copy = copy_of(p->len), fill = fill_of(p->len);

	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_EXPECT_EQ(test, time_of(b, VSVM_HW_COPY_TO_VRAM, &copy), p->ns);
	KUNIT_EXPECT_EQ(test, time_of(b, VSVM_HW_COPY_FROM_VRAM, &copy), p->ns);
	if (p->len % 8 == 0)
		KUNIT_EXPECT_EQ(test, time_of(b, VSVM_HW_COPY_TO_VRAM, &fill), p->ns);
	KUNIT_EXPECT_EQ(test, !b->sleeps, !p->ns);
	/* The paging channel knows no time. */
	b->sleeps = 0;
	KUNIT_EXPECT_EQ(test, time_of(b, VSVM_HW_PAGING, &copy), 0);
	KUNIT_EXPECT_EQ(test, b->sleeps, 0);
	hw_bench_destroy(b);
}

/* Sleeps that take too long do not add up. */
static void pace_oversleep(struct kunit *test)
{
	const struct pace_case *p = test->param_value;
	struct hw_bench *b = pace_bench(test, p->rate, p->latency);
	const struct vsvm_hw_cmd copy = copy_of(p->len);
	u64 ns;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->sleep_over = 40 * US;
	ns = time_of(b, VSVM_HW_COPY_TO_VRAM, &copy);
	KUNIT_EXPECT_LT(test, p->ns, ns + 1);
	KUNIT_EXPECT_LT(test, ns, p->ns + b->sleep_over + 1);
	hw_bench_destroy(b);
}

/* Memory that is slower than the model sets the time, and none is slept. */
static void pace_slow_memory(struct kunit *test)
{
	struct hw_bench *b = pace_bench(test, 1000 * MB, 0);
	const struct vsvm_hw_cmd copy = copy_of(1 << 20), one = copy_of(64);

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->dma_ns = 2 * MS;
	KUNIT_EXPECT_EQ(test, time_of(b, VSVM_HW_COPY_TO_VRAM, &copy), 8 * MS);
	KUNIT_EXPECT_EQ(test, b->sleeps, 0);
	/* It saves nothing up for the next command. */
	b->dma_ns = 0;
	KUNIT_EXPECT_EQ(test, time_of(b, VSVM_HW_COPY_TO_VRAM, &one), 64);
	hw_bench_destroy(b);
}

/* A command that fails does so at once, without the time of what it did not do. */
static void pace_error(struct kunit *test)
{
	struct hw_bench *b = pace_bench(test, 1000 * MB, 3 * US);
	struct vsvm_hw_cmd copy = copy_of(2 * VSVM_HW_COPY_SLICE);
	const u64 before = b ? b->now : 0;

	KUNIT_ASSERT_NOT_NULL(test, b);
	copy.dst = BENCH_VRAM_SIZE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_COPY_TO_VRAM, &copy), VSVM_HW_ERR_VRAM);
	KUNIT_EXPECT_EQ(test, b->now, before);
	copy = copy_of(2 * VSVM_HW_COPY_SLICE);
	b->dma_hole = VSVM_HW_COPY_SLICE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_COPY_TO_VRAM, &copy), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, b->now - before, 3 * US + VSVM_HW_COPY_SLICE);
	hw_bench_destroy(b);
}

/* In the latency, between two slices, and after the last. */
static const u64 moments[] = { 500 * US, 2 * MS, 4500 * US, 8 * MS };

static void pace_cancel(struct kunit *test)
{
	struct hw_bench *b = pace_bench(test, 100 * MB, MS);
	const struct vsvm_hw_cmd copy = copy_of(3 * VSVM_HW_COPY_SLICE);
	unsigned int i;
	u64 start;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->busy = VSVM_HW_COPY_FROM_VRAM;
	for (i = 0; i < ARRAY_SIZE(moments); i++) {
		start = b->now;
		b->cancel_at = start + moments[i];
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &copy), VSVM_HW_ERR_CANCELLED);
		KUNIT_EXPECT_EQ(test, hw_bench_result(b, b->busy), 0);
		KUNIT_EXPECT_LT(test, b->now - start, moments[i] + VSVM_HW_MAX_SLEEP_NS + 1);
	}
	KUNIT_EXPECT_EQ(test, time_of(b, b->busy, &copy), MS + 3 * VSVM_HW_COPY_SLICE * 10);
	hw_bench_destroy(b);
}

static void pace_stop(struct kunit *test)
{
	struct hw_bench *b = pace_bench(test, 100 * MB, MS);
	const struct vsvm_hw_cmd copy = copy_of(3 * VSVM_HW_COPY_SLICE);
	unsigned int i;
	u64 start;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->busy = VSVM_HW_COPY_TO_VRAM;
	for (i = 0; i < ARRAY_SIZE(moments); i++) {
		start = b->now;
		b->stop_at = start + moments[i];
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &copy), VSVM_HW_WAIT);
		KUNIT_EXPECT_LT(test, b->now - start, moments[i] + VSVM_HW_MAX_SLEEP_NS + 1);
		/* From its beginning, in its full time. */
		start = b->now;
		vsvm_hw_reset(b->hw, b->busy);
		vsvm_hw_run(b->hw, b->busy);
		KUNIT_EXPECT_EQ(test, b->now - start, MS + 3 * VSVM_HW_COPY_SLICE * 10);
		KUNIT_EXPECT_EQ(test, b->shared->ring[b->busy].tail, i + 1);
	}
	hw_bench_destroy(b);
}

static u64 no_time(void *priv)
{
	(void)priv;
	return 0;
}

static void no_sleep(void *priv, u64 ns)
{
	(void)priv;
	(void)ns;
}

static void pace_config(struct kunit *test)
{
	static const struct {
		u64 rate, latency;
		bool now, sleep;
	} wrong[] = {
		{ VSVM_HW_MAX_COPY_RATE + 1, 0, true, true },
		{ ~0ull, 0, true, true },
		{ 1, VSVM_HW_MAX_COPY_NS + 1, true, true },
		{ 1, 0, false, true }, { 1, 0, true, false }, { 0, 1, false, true },
	};
	struct hw_bench *b = pace_bench(test, 0, 0);
	struct vsvm_hw *hw;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct vsvm_hw_config config = {
			.vram = b->vram, .vram_size = BENCH_VRAM_SIZE, .shared = b->shared,
			.copy_bytes_per_s = wrong[i].rate,
			.copy_latency_ns = wrong[i].latency,
		};
		const struct vsvm_hw_host host = {
			.now = wrong[i].now ? no_time : NULL,
			.sleep = wrong[i].sleep ? no_sleep : NULL,
		};

		KUNIT_EXPECT_EQ(test, vsvm_hw_init(&hw, &config, &host, NULL), -EINVAL);
	}
	hw_bench_destroy(b);
}

static struct kunit_case pace_cases[] = {
	KUNIT_CASE_PARAM(pace_exact, pace_gen_params),
	KUNIT_CASE_PARAM(pace_oversleep, pace_gen_params),
	KUNIT_CASE(pace_slow_memory),
	KUNIT_CASE(pace_error),
	KUNIT_CASE(pace_cancel),
	KUNIT_CASE(pace_stop),
	KUNIT_CASE(pace_config),
	{ }
};

static struct kunit_suite pace_suite = {
	.name = "vsvm_hw_pace",
	.test_cases = pace_cases,
};

kunit_test_suite(pace_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Figures, which are printed and not judged. */
#include <poll.h>

#include "guest.h"

#define BENCH_PAGES	512
#define BENCH_ROUNDS	40
#define BENCH_LATENCIES	2000

static int compare(const void *a, const void *b)
{
	const u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 median(u64 *ns, unsigned int num)
{
	qsort(ns, num, sizeof(*ns), compare);
	return ns[num / 2];
}

/* 2 MiB as pages, one doorbell at the end, one interrupt. */
static u64 one_batch(struct guest *g, unsigned int engine)
{
	const u64 begin = now_ns();
	unsigned int i;

	for (i = 0; i < BENCH_PAGES; i++) {
		struct vsvm_hw_cmd cmd = {
			.op = VSVM_HW_COPY, .len = PAGE,
			.flags = i == BENCH_PAGES - 1 ? VSVM_HW_CMD_IRQ : 0,
		};

		if (engine == VSVM_HW_COPY_TO_VRAM) {
			cmd.src = HIGH + (engine * BENCH_PAGES + i) * PAGE;
			cmd.dst = i * PAGE;
			cmd.flags |= VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM);
		} else {
			cmd.dst = HIGH + (engine * BENCH_PAGES + i) * PAGE;
			cmd.src = i * PAGE;
			cmd.flags |= VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM);
		}
		guest_push(g, 0, engine, &cmd);
	}
	guest_ring(g, 0, engine);
	KUNIT_ASSERT_TRUE(g->test, guest_wait_tail(g, 0, engine, g->dev[0].head[engine]));
	return now_ns() - begin;
}

static void bench_batch(struct kunit *test)
{
	static const char * const name[] = { "", "to VRAM", "from VRAM" };
	struct guest *g = guest_create(test, 1);
	u64 ns[BENCH_ROUNDS], mid, first;
	unsigned int engine, i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	memset(guest_ram(g, HIGH), 1, 4 * BENCH_PAGES * PAGE);
	for (engine = VSVM_HW_COPY_TO_VRAM; engine <= VSVM_HW_COPY_FROM_VRAM; engine++) {
		first = one_batch(g, engine);
		for (i = 0; i < BENCH_ROUNDS; i++)
			ns[i] = one_batch(g, engine);
		mid = median(ns, BENCH_ROUNDS);
		kunit_info(test, "2 MiB %s as 512 x 4 KiB: %llu us, best %llu us, first %llu us, %llu MB/s\n",
			   name[engine], mid / 1000, ns[0] / 1000, first / 1000,
			   BENCH_PAGES * PAGE * 1000 / mid);
	}
}

static void bench_latency(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY, .src = HIGH, .len = PAGE,
		.flags = VSVM_HW_CMD_IRQ | VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
	};
	static u64 ns[BENCH_LATENCIES];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	for (i = 0; i < BENCH_LATENCIES; i++) {
		const u64 begin = now_ns();

		guest_push(g, 0, VSVM_HW_COPY_TO_VRAM, &cmd);
		guest_ring(g, 0, VSVM_HW_COPY_TO_VRAM);
		KUNIT_ASSERT_TRUE(test, guest_wait_irq(g, 0, VSVM_HW_VEC_TO_VRAM, 5000));
		ns[i] = now_ns() - begin;
	}
	median(ns, BENCH_LATENCIES);
	kunit_info(test, "4 KiB, command to interrupt: p50 %llu us, p99 %llu us, best %llu us\n",
		   ns[BENCH_LATENCIES / 2] / 1000, ns[BENCH_LATENCIES * 99 / 100] / 1000,
		   ns[0] / 1000);
}

static struct kunit_case bench_cases[] = {
	KUNIT_CASE(bench_batch),
	KUNIT_CASE(bench_latency),
	{ }
};

static struct kunit_suite bench_suite = {
	.name = "vsvm_device_bench",
	.exit = guest_exit,
	.test_cases = bench_cases,
};

kunit_test_suite(bench_suite);

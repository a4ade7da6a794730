// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The fault FIFO: order, wrap, and what becomes of faults it has no room for. */
#include "vsvm_hw_bench.h"

#define VA(queue)	(0x10000000ull * ((queue) + 1))

/* A write by @queue to an address of its own, that is not mapped. */
static void fault_once(struct hw_bench *b, unsigned int queue)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_FILL, .dst = VA(queue), .len = 1, .arg = 1,
	};

	KUNIT_ASSERT_EQ(b->test, hw_bench_do(b, BENCH_QUEUE(queue), &cmd), VSVM_HW_WAIT);
}

static void expect_record(struct hw_bench *b, unsigned int queue)
{
	struct vsvm_hw_fault fault = { };

	KUNIT_ASSERT_TRUE(b->test, hw_bench_fault(b, &fault));
	KUNIT_EXPECT_EQ(b->test, fault.queue, queue);
	KUNIT_EXPECT_EQ(b->test, fault.address, VA(queue));
	KUNIT_EXPECT_EQ(b->test, fault.access, VSVM_HW_WRITE);
	KUNIT_EXPECT_EQ(b->test, fault.index, b->shared->ring[BENCH_QUEUE(queue)].tail);
	KUNIT_EXPECT_EQ(b->test, fault.generation, queue + 1);
}

static int fifo_init(struct kunit *test)
{
	struct hw_bench *b;
	unsigned int q;

	if (hw_bench_init(test))
		return -ENOMEM;
	b = test->priv;
	for (q = 0; q < VSVM_HW_NUM_QUEUES; q++) {
		b->shared->ring[BENCH_QUEUE(q)].generation = q + 1;
		b->shared->ring[BENCH_QUEUE(q)].head = 5 * q;
		b->shared->ring[BENCH_QUEUE(q)].tail = 5 * q;
	}
	return 0;
}

static void fifo_order(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int round, q;

	for (q = 0; q < VSVM_HW_NUM_QUEUES; q++)
		fault_once(b, q);
	/* Several times around, with faults in two orders. */
	for (round = 0; round < 10; round++) {
		for (q = 0; q < VSVM_HW_NUM_QUEUES; q++)
			expect_record(b, round & 1 ? VSVM_HW_NUM_QUEUES - 1 - q : q);
		KUNIT_EXPECT_FALSE(test, hw_bench_fault(b, &(struct vsvm_hw_fault){ }));
		for (q = 0; q < VSVM_HW_NUM_QUEUES; q++)
			hw_bench_replay(b, round & 1 ? q : VSVM_HW_NUM_QUEUES - 1 - q);
	}
	KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, 0);
}

/* The driver does not look until far too many queues have stalled too often. */
static void fifo_overflow(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const unsigned int rounds = VSVM_HW_FAULT_RING / VSVM_HW_NUM_QUEUES;
	unsigned int i, q;

	for (q = 0; q < VSVM_HW_NUM_QUEUES; q++)
		fault_once(b, q);
	for (i = 1; i < rounds; i++)
		for (q = 0; q < VSVM_HW_NUM_QUEUES; q++)
			hw_bench_replay(b, q);
	KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, 0);
	KUNIT_EXPECT_EQ(test, b->irqs[VSVM_HW_VEC_FAULT], VSVM_HW_FAULT_RING);
	for (q = 0; q < 10; q++)
		hw_bench_replay(b, q);
	KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, 10);
	KUNIT_EXPECT_EQ(test, b->shared->fifo.head, VSVM_HW_FAULT_RING);
	KUNIT_EXPECT_EQ(test, b->irqs[VSVM_HW_VEC_FAULT], VSVM_HW_FAULT_RING + 10);
	/* Nothing in the FIFO was harmed. */
	for (i = 0; i < rounds; i++)
		for (q = 0; q < VSVM_HW_NUM_QUEUES; q++)
			expect_record(b, q);
	/* The ten are still there to be found. */
	for (q = 0; q < 10; q++) {
		KUNIT_EXPECT_EQ(test, b->shared->ring[BENCH_QUEUE(q)].stalled, 1);
		hw_bench_replay(b, q);
		expect_record(b, q);
		hw_bench_map(b, q, VA(q), PTE_SYSTEM(q * PAGE) | PTE_RW);
		hw_bench_replay(b, q);
		KUNIT_EXPECT_EQ(test, b->system[q * PAGE], 1);
	}
	KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, 10);
}

/* A cancelled queue leaves no more than the record that it had written. */
static void fifo_overflow_cancel(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int i;

	fault_once(b, 0);
	for (i = 0; i < VSVM_HW_FAULT_RING; i++)
		hw_bench_replay(b, 0);
	KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, 1);
	hw_bench_cancel(b, BENCH_QUEUE(0));
	vsvm_hw_run(b->hw, BENCH_QUEUE(0));
	for (i = 0; i < VSVM_HW_FAULT_RING; i++)
		KUNIT_ASSERT_TRUE(test, hw_bench_fault(b, &(struct vsvm_hw_fault){ }));
	hw_bench_replay(b, 0);
	KUNIT_EXPECT_FALSE(test, hw_bench_fault(b, &(struct vsvm_hw_fault){ }));
}

/* A tail that the driver cannot have reached is a FIFO without room. */
static void fifo_bad_tail(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	b->shared->fifo.tail = 1;
	fault_once(b, 3);
	KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, 1);
	KUNIT_EXPECT_EQ(test, b->shared->fifo.head, 0);
	b->shared->fifo.tail = 0;
	hw_bench_replay(b, 3);
	expect_record(b, 3);
}

/* A FIFO of few places is one whatever the driver writes to its size. */
static void fifo_small(struct kunit *test)
{
	static const u32 sizes[] = { 1, 2, 3, 7, 100, 255, 256 };
	struct hw_bench *b;
	unsigned int i, q, round;
	u32 size;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size = sizes[i];
		b = hw_bench_create_as(test, &(struct vsvm_hw_config){
			.sanitize = true, .fault_entries = size,
		});
		KUNIT_ASSERT_NOT_NULL(test, b);
		KUNIT_EXPECT_EQ(test, b->shared->fifo.size, size);
		b->shared->fifo.size = i & 1 ? 0 : ~0u;
		for (q = 0; q < VSVM_HW_NUM_QUEUES; q++) {
			b->shared->ring[BENCH_QUEUE(q)].generation = q + 1;
			fault_once(b, q);
		}
		KUNIT_EXPECT_EQ(test, b->shared->fifo.head, size);
		KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, VSVM_HW_NUM_QUEUES - size);
		/* The driver takes what is there, and replays all. */
		for (round = 0; round < 4; round++) {
			for (q = 0; q < size; q++)
				expect_record(b, q);
			KUNIT_EXPECT_FALSE(test, hw_bench_fault(b, &(struct vsvm_hw_fault){ }));
			for (q = 0; q < VSVM_HW_NUM_QUEUES; q++)
				hw_bench_replay(b, q);
		}
		/* Beyond the places in use nobody wrote. */
		for (q = size; q < VSVM_HW_FAULT_RING; q++)
			KUNIT_EXPECT_EQ(test, b->shared->fault[q].generation, 0);
		hw_bench_destroy(b);
	}
}

/*
 * Indices wrap where places do only if these are a power of two. Else the
 * records before and after would be in the same place.
 */
static void fifo_index_wrap(struct kunit *test)
{
	static const u32 sizes[] = { 3, 4, 5, 8, 100, 255, 256 };
	struct hw_bench *b;
	unsigned int i, q, kept;
	u32 size;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size = sizes[i];
		b = hw_bench_create_as(test, &(struct vsvm_hw_config){
			.fault_entries = size,
		});
		KUNIT_ASSERT_NOT_NULL(test, b);
		b->hw->fifo_head = -2;
		b->shared->fifo.head = -2;
		b->shared->fifo.tail = -2;
		for (q = 0; q < 4; q++) {
			b->shared->ring[BENCH_QUEUE(q)].generation = q + 1;
			fault_once(b, q);
		}
		kept = size & (size - 1) ? 2 : 4;
		KUNIT_EXPECT_EQ(test, b->shared->fifo.overflow, 4 - kept);
		for (q = 0; q < kept; q++)
			expect_record(b, q);
		for (; q < 4; q++) {
			hw_bench_replay(b, q);
			expect_record(b, q);
		}
		KUNIT_EXPECT_EQ(test, b->shared->fifo.tail, 2);
		hw_bench_destroy(b);
	}
}

static struct kunit_case fifo_cases[] = {
	KUNIT_CASE(fifo_order),
	KUNIT_CASE(fifo_overflow),
	KUNIT_CASE(fifo_overflow_cancel),
	KUNIT_CASE(fifo_bad_tail),
	KUNIT_CASE(fifo_small),
	KUNIT_CASE(fifo_index_wrap),
	{ }
};

static struct kunit_suite fifo_suite = {
	.name = "vsvm_hw_fifo",
	.init = fifo_init,
	.exit = hw_bench_exit,
	.test_cases = fifo_cases,
};

kunit_test_suite(fifo_suite);

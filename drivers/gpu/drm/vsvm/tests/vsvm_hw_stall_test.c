// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Kernels that do not just run to their end: what stops them, and how. */
#include "vsvm_hw_bench.h"

/* A replay that served nothing reports the same fault anew. */
static void stall_replay_in_vain(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_FILL, .dst = DST_VA, .len = 8,
	};
	struct vsvm_hw_fault fault, again;
	unsigned int i;

	hw_bench_map(b, 0, DST_VA, 0);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_WAIT);
	hw_bench_expect_stalled(b, &fault);
	for (i = 0; i < 3; i++) {
		hw_bench_replay(b, 0);
		hw_bench_expect_stalled(b, &again);
		KUNIT_EXPECT_MEMEQ(test, &fault, &again, sizeof(fault));
	}
	KUNIT_EXPECT_EQ(test, b->irqs[VSVM_HW_VEC_FAULT], 4);
}

static void replay_now(struct hw_bench *b)
{
	b->shared->ring[BENCH_QUEUE(0)].replay++;
}

static void serve_in_irq(struct hw_bench *b, unsigned int vector)
{
	struct vsvm_hw_fault fault;

	while (vector == VSVM_HW_VEC_FAULT && hw_bench_fault(b, &fault)) {
		hw_window_map(b, fault.address, fault.access);
		replay_now(b);
	}
}

/* A replay counts as soon as there is a record, and even before. */
static void stall_replay_at_once(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_FILL, .dst = DST_VA, .len = 2 * PAGE,
	};
	struct vsvm_hw_fault fault;

	b->on_irq = serve_in_irq;
	hw_bench_map(b, 0, DST_VA, 0);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_WAIT);
	vsvm_hw_run(b->hw, BENCH_QUEUE(0));
	vsvm_hw_run(b->hw, BENCH_QUEUE(0));
	KUNIT_EXPECT_EQ(test, ring->tail, ring->head);
	b->on_irq = NULL;
	/* During the access to page 0, just before the fault on page 1. */
	hw_bench_map(b, 0, DST_VA + PAGE, 0);
	hw_bench_invalidate(b, 0, DST_VA, 2 * PAGE);
	b->on_dma = replay_now;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_WAIT);
	b->on_dma = NULL;
	KUNIT_EXPECT_TRUE(test, hw_bench_fault(b, &fault));
	vsvm_hw_run(b->hw, BENCH_QUEUE(0));
	KUNIT_EXPECT_TRUE(test, hw_bench_fault(b, &fault));
	KUNIT_EXPECT_EQ(test, fault.address, DST_VA + PAGE);
}

/* The counts are those of the time of counting: the result is not made twice. */
static void stall_result_fault(struct kunit *test)
{
	static const u32 ops[] = {
		VSVM_HW_K_HISTOGRAM, VSVM_HW_K_SUM, VSVM_HW_K_CHASE,
	};
	struct hw_bench *b = test->priv;
	u64 *dst = (u64 *)(b->system + hw_window_offset(DST_VA)), *src;
	struct vsvm_hw_fault fault;
	unsigned int i;

	src = (u64 *)(b->system + hw_window_offset(SRC_VA));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		const struct vsvm_hw_cmd cmd = {
			.op = ops[i], .dst = DST_VA, .src = SRC_VA,
			.len = ops[i] == VSVM_HW_K_CHASE ? 1 : 16, .arg = 8,
		};

		hw_window_unmap_all(b);
		hw_window_map(b, SRC_VA, VSVM_HW_READ);
		src[0] = 0;
		src[1] = 5;
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_WAIT);
		hw_bench_expect_stalled(b, &fault);
		KUNIT_EXPECT_EQ(test, fault.address, DST_VA);
		KUNIT_EXPECT_EQ(test, fault.access, VSVM_HW_WRITE);
		src[1] = 6;
		hw_window_map(b, DST_VA, VSVM_HW_WRITE);
		hw_bench_replay(b, 0);
		switch (ops[i]) {
		case VSVM_HW_K_HISTOGRAM:
			KUNIT_EXPECT_EQ(test, dst[0], 15);
			KUNIT_EXPECT_EQ(test, dst[5], 1);
			KUNIT_EXPECT_EQ(test, dst[6], 0);
			break;
		case VSVM_HW_K_SUM:
			KUNIT_EXPECT_EQ(test, dst[0], 5);
			break;
		default:
			KUNIT_EXPECT_EQ(test, dst[0], 1);
			KUNIT_EXPECT_EQ(test, dst[1], 5);
		}
	}
}

/* Words at addresses that words do not have. */
static void stall_alignment(struct kunit *test)
{
	static const struct {
		struct vsvm_hw_cmd cmd;
		u64 address;
	} wrong[] = {
		{ { VSVM_HW_K_SAXPY, 0, DST_VA + 2, SRC_VA, 1 }, DST_VA + 2 },
		{ { VSVM_HW_K_SAXPY, 0, DST_VA, SRC_VA + 1, 1 }, SRC_VA + 1 },
		{ { VSVM_HW_K_HISTOGRAM, 0, DST_VA + 4, SRC_VA, 1 }, DST_VA + 4 },
		{ { VSVM_HW_K_SUM, 0, DST_VA + 1, SRC_VA, 1 }, DST_VA + 1 },
		{ { VSVM_HW_K_ATOMIC_ADD, 0, DST_VA + 4, 0, 1 }, DST_VA + 4 },
		{ { VSVM_HW_K_STORE, 0, DST_VA + 4, 0, 0, 1 }, DST_VA + 4 },
		{ { VSVM_HW_K_CHASE, 0, DST_VA + 4, SRC_VA, 1, 8 }, DST_VA + 4 },
		{ { VSVM_HW_K_CHASE, 0, DST_VA, SRC_VA + 4, 1, 8 }, SRC_VA + 4 },
		{ { VSVM_HW_K_CHASE, 0, DST_VA, SRC_VA, 1, 4 }, SRC_VA + 4 },
		{ { VSVM_HW_K_CHASE, 0, DST_VA, SRC_VA, 2, 8 }, SRC_VA + 20 },
	};
	struct hw_bench *b = test->priv;
	unsigned int i;

	hw_window_map_all(b);
	*(u64 *)(b->system + hw_window_offset(SRC_VA)) = SRC_VA + 20;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		KUNIT_EXPECT_EQ_MSG(test, hw_bench_do(b, BENCH_QUEUE(0), &wrong[i].cmd),
				    VSVM_HW_ERR_CMD, " row %u", i);
		KUNIT_EXPECT_EQ(test, hw_bench_result(b, BENCH_QUEUE(0)), wrong[i].address);
	}
}

/* Slices of 64 KiB, and a look at cancel between them. */
static void stall_cancel_running(struct kunit *test)
{
	static const u32 ops[] = {
		VSVM_HW_K_FILL, VSVM_HW_K_COPY, VSVM_HW_K_SAXPY,
		VSVM_HW_K_HISTOGRAM, VSVM_HW_K_SUM,
	};
	struct hw_bench *b = test->priv;
	unsigned int i;

	hw_window_map_all(b);
	b->busy = BENCH_QUEUE(0);
	b->cancel_after = 1;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		const u32 size = ops[i] == VSVM_HW_K_SAXPY ? 4 : 1;
		const struct vsvm_hw_cmd cmd = {
			.op = ops[i], .dst = DST_VA, .src = SRC_VA,
			.len = 39 * PAGE / size, .arg = 1,
		};
		u64 last;

		b->relaxed = 0;
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_ERR_CANCELLED);
		/* The address is that of the last page of the first slice. */
		last = hw_bench_result(b, b->busy) & ~(PAGE - 1);
		KUNIT_EXPECT_EQ(test, last, (ops[i] == VSVM_HW_K_FILL ? DST_VA : SRC_VA) +
				VSVM_HW_KERNEL_SLICE - PAGE);
	}
}

/* A ring of nodes has no end, but a slice does. */
static void stall_endless_chase(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_CHASE, .dst = DST_VA, .src = SRC_VA, .arg = 8,
	};
	const struct vsvm_hw_cmd sum = {
		.op = VSVM_HW_K_SUM, .dst = DST_VA, .src = SRC_VA + 8, .len = 8,
	};
	u64 *node = (u64 *)(b->system + hw_window_offset(SRC_VA));

	hw_window_map_all(b);
	node[0] = SRC_VA;
	node[1] = 1;
	b->busy = BENCH_QUEUE(0);
	b->relaxed = 0;
	b->cancel_after = 20;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, b->busy), SRC_VA + 8);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->system + hw_window_offset(DST_VA)), 0);
	b->cancel_after = 0;
	/* The same, told to stop. */
	b->relaxed = 0;
	b->stop_after = 20;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_WAIT);
	b->stop_after = 0;
	hw_bench_cancel(b, b->busy);
	vsvm_hw_reset(b->hw, b->busy);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &sum), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->system + hw_window_offset(DST_VA)), 1);
}

/* Additions without end, at one word: a slice of them, and a look. */
static void stall_endless_atomic(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_ATOMIC_ADD, .dst = DST_VA, .len = ~0ull, .arg = 2,
	};
	u64 *word = (u64 *)(b->system + hw_window_offset(DST_VA));

	hw_window_map_all(b);
	b->busy = BENCH_QUEUE(0);
	b->relaxed = 0;
	b->cancel_after = 3;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, b->busy), DST_VA);
	KUNIT_EXPECT_EQ(test, *word, 3 * 2 * VSVM_HW_ATOMIC_SLICE);
}

/* What stalls one queue, and what is cancelled there, is nothing to another. */
static void stall_queues_apart(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = { .op = VSVM_HW_K_FILL, .dst = DST_VA, .len = PAGE };
	struct vsvm_hw_fault fault;
	unsigned int q;

	for (q = 0; q < 3; q++)
		hw_bench_map(b, q, DST_VA, q == 1 ? 0 : PTE_SYSTEM(q * PAGE) | PTE_RW);
	for (q = 0; q < 3; q++) {
		cmd.arg = 10 + q;
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(q), &cmd),
				q == 1 ? VSVM_HW_WAIT : VSVM_HW_OK);
	}
	KUNIT_ASSERT_TRUE(test, hw_bench_fault(b, &fault));
	KUNIT_EXPECT_EQ(test, fault.queue, 1);
	hw_bench_replay(b, 0);
	hw_bench_replay(b, 2);
	KUNIT_EXPECT_EQ(test, b->shared->ring[BENCH_QUEUE(1)].stalled, 1);
	hw_bench_map(b, 1, DST_VA, PTE_SYSTEM(PAGE) | PTE_RW);
	hw_bench_replay(b, 1);
	for (q = 0; q < 3; q++)
		KUNIT_EXPECT_EQ(test, b->system[q * PAGE + 5], 10 + q);
}

/* Errors of the memory behind a translation name the virtual address. */
static void stall_memory_error(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_COPY, .dst = DST_VA, .src = SRC_VA, .len = 8 * PAGE,
	};
	const struct vsvm_hw_cmd chase = {
		.op = VSVM_HW_K_CHASE, .dst = DST_VA, .src = SRC_VA, .arg = 8,
	};

	hw_window_map_all(b);
	b->dma_hole = hw_window_offset(SRC_VA + 3 * PAGE);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, BENCH_QUEUE(0)), SRC_VA + 3 * PAGE);
	b->dma_hole = 0;
	hw_bench_map(b, 0, DST_VA + 5 * PAGE, PTE_VRAM(BENCH_TABLES) | PTE_RW);
	hw_bench_invalidate(b, 0, 0, ~0ull);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_ERR_FREE);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, BENCH_QUEUE(0)), DST_VA + 5 * PAGE);
	b->dma_split = 3;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &chase), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, BENCH_QUEUE(0)), SRC_VA);
	KUNIT_EXPECT_EQ(test, b->irqs[VSVM_HW_VEC_FAULT], 0);
}

static struct kunit_case stall_cases[] = {
	KUNIT_CASE(stall_replay_in_vain),
	KUNIT_CASE(stall_replay_at_once),
	KUNIT_CASE(stall_result_fault),
	KUNIT_CASE(stall_alignment),
	KUNIT_CASE(stall_cancel_running),
	KUNIT_CASE(stall_endless_chase),
	KUNIT_CASE(stall_endless_atomic),
	KUNIT_CASE(stall_queues_apart),
	KUNIT_CASE(stall_memory_error),
	{ }
};

static struct kunit_suite stall_suite = {
	.name = "vsvm_hw_stall",
	.init = hw_bench_init,
	.exit = hw_bench_exit,
	.test_cases = stall_cases,
};

kunit_test_suite(stall_suite);

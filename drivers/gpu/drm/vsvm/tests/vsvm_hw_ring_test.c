// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Rings: order, wrap, interrupts, cancel, stop, and words that make no sense. */
#include "vsvm_hw_bench.h"

static const struct vsvm_hw_cmd nop = { .op = VSVM_HW_NOP };
static const struct vsvm_hw_cmd nop_irq = {
	.op = VSVM_HW_NOP, .flags = VSVM_HW_CMD_IRQ,
};

/* One engine of each kind. */
static const unsigned int kinds[] = {
	VSVM_HW_PAGING, VSVM_HW_COPY_TO_VRAM, VSVM_HW_COPY_FROM_VRAM,
	BENCH_QUEUE(0), BENCH_QUEUE(VSVM_HW_NUM_QUEUES - 1),
};

static unsigned int vector_of(unsigned int engine)
{
	return engine < VSVM_HW_QUEUE0 ? engine : VSVM_HW_VEC_COMPUTE;
}

/* As Documentation/gpu/vsvm.rst has it. */
static void ring_offsets(struct kunit *test)
{
	static const struct {
		u64 is, want;
	} numbers[] = {
		{ VSVM_HW_NUM_ENGINES, 259 }, { VSVM_HW_NUM_CMDS, 22528 },
		{ offsetof(struct vsvm_hw_shared, vram_size), 0x8 },
		{ offsetof(struct vsvm_hw_shared, ring), 0x40 },
		{ offsetof(struct vsvm_hw_shared, fifo), 0x4100 },
		{ offsetof(struct vsvm_hw_shared, fault), 0x4140 },
		{ offsetof(struct vsvm_hw_shared, cmd), 0x6140 },
		{ sizeof(struct vsvm_hw_ring), 64 },
		{ offsetof(struct vsvm_hw_ring, replay), 8 },
		{ offsetof(struct vsvm_hw_ring, generation), 16 },
		{ offsetof(struct vsvm_hw_ring, stalled), 20 },
		{ offsetof(struct vsvm_hw_ring, size), 28 },
		{ sizeof(struct vsvm_hw_cmd), 64 },
		{ offsetof(struct vsvm_hw_cmd, dst), 8 },
		{ offsetof(struct vsvm_hw_cmd, arg), 32 },
		{ offsetof(struct vsvm_hw_cmd, result), 40 },
		{ offsetof(struct vsvm_hw_cmd, generation), 52 },
		{ sizeof(struct vsvm_hw_fault), 32 },
		{ offsetof(struct vsvm_hw_fault, access), 12 },
		{ offsetof(struct vsvm_hw_fault, index), 20 },
		{ sizeof(struct vsvm_hw_fifo), 64 },
		{ offsetof(struct vsvm_hw_fifo, overflow), 8 },
		{ offsetof(struct vsvm_hw_fifo, size), 12 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		KUNIT_EXPECT_EQ_MSG(test, numbers[i].is, numbers[i].want, " row %u", i);
}

static void ring_layout(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_shared *shared = b->shared;
	u32 next = 0;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, shared->magic, VSVM_HW_MAGIC);
	KUNIT_EXPECT_EQ(test, shared->version, VSVM_HW_VERSION);
	KUNIT_EXPECT_EQ(test, shared->vram_size, BENCH_VRAM_SIZE);
	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		KUNIT_EXPECT_EQ(test, shared->ring[i].first, next);
		KUNIT_EXPECT_EQ(test, shared->ring[i].size,
				i < VSVM_HW_QUEUE0 ? VSVM_HW_COPY_RING : VSVM_HW_QUEUE_RING);
		next += shared->ring[i].size;
	}
	KUNIT_EXPECT_EQ(test, next, VSVM_HW_NUM_CMDS);
	KUNIT_EXPECT_EQ(test, shared->fifo.size, VSVM_HW_FAULT_RING);
}

static void ring_vram_size(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	static const u64 wrong[] = { 0, 8, PAGE - 1, PAGE + 1 };
	const struct vsvm_hw_host host = { };
	struct vsvm_hw *hw;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct vsvm_hw_config config = {
			.vram = b->vram, .vram_size = wrong[i], .shared = b->shared,
		};

		KUNIT_EXPECT_EQ(test, vsvm_hw_init(&hw, &config, &host, NULL), -EINVAL);
	}
	vsvm_hw_fini(NULL);
}

static void ring_fault_entries(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	static const u32 wrong[] = { VSVM_HW_FAULT_RING + 1, ~0u };
	const struct vsvm_hw_host host = { };
	struct vsvm_hw *hw;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct vsvm_hw_config config = {
			.vram = b->vram, .vram_size = BENCH_VRAM_SIZE,
			.shared = b->shared, .fault_entries = wrong[i],
		};

		KUNIT_EXPECT_EQ(test, vsvm_hw_init(&hw, &config, &host, NULL), -EINVAL);
	}
	KUNIT_EXPECT_EQ(test, b->shared->fifo.size, VSVM_HW_FAULT_RING);
}

/* Batches of all sizes, twice around the ring, and across the wrap of indices. */
static void ring_wrap(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int i, k, batch, done;
	struct vsvm_hw_cmd cmd;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct vsvm_hw_ring *ring = &b->shared->ring[kinds[k]];

		ring->head = -ring->size;
		ring->tail = ring->head;
		batch = 1;
		for (done = 0; done < 2 * ring->size; done += batch) {
			const u32 head = ring->head;

			ring->generation = done + 1;
			for (i = 0; i < batch; i++) {
				cmd = (struct vsvm_hw_cmd){ .status = 99, .result = 99 };
				hw_bench_push(b, kinds[k], &cmd);
			}
			vsvm_hw_run(b->hw, kinds[k]);
			KUNIT_ASSERT_EQ(test, ring->tail, ring->head);
			for (i = 0; i < batch; i++) {
				cmd = *hw_bench_slot(b, kinds[k], head + i);
				KUNIT_ASSERT_EQ(test, cmd.status, VSVM_HW_OK);
				KUNIT_ASSERT_EQ(test, cmd.result, 0);
				KUNIT_ASSERT_EQ(test, cmd.generation, done + 1);
			}
			batch = batch % ring->size + (batch < 8 ? 1 : ring->size / 8 - 1);
			batch = min(batch, ring->size);
		}
	}
}

static void ring_order(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_FILL, .dst = BENCH_TABLES, .len = 8,
	};
	unsigned int i;

	hw_bench_mark(b, BENCH_TABLES, PAGE, true);
	for (i = 0; i < 100; i++) {
		cmd.arg = i;
		hw_bench_push(b, VSVM_HW_COPY_TO_VRAM, &cmd);
	}
	vsvm_hw_run(b->hw, VSVM_HW_COPY_TO_VRAM);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + BENCH_TABLES), 99);
}

static void ring_interrupts(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int want[VSVM_HW_NUM_VECTORS] = { };
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		hw_bench_push(b, kinds[k], &nop);
		hw_bench_push(b, kinds[k], &nop_irq);
		hw_bench_push(b, kinds[k], &nop);
		vsvm_hw_run(b->hw, kinds[k]);
		want[vector_of(kinds[k])]++;
		KUNIT_EXPECT_MEMEQ(test, b->irqs, want, sizeof(want));
	}
}

static void irq_sees_tail(struct hw_bench *b, unsigned int vector)
{
	struct vsvm_hw_ring *ring = &b->shared->ring[VSVM_HW_PAGING];

	KUNIT_EXPECT_EQ(b->test, vector, VSVM_HW_VEC_PAGING);
	KUNIT_EXPECT_EQ(b->test, ring->tail, b->irqs[vector]);
	KUNIT_EXPECT_EQ(b->test, hw_bench_slot(b, VSVM_HW_PAGING, ring->tail - 1)->status,
			VSVM_HW_OK);
	/* A doorbell during a run: the run itself must notice. */
	if (b->irqs[vector] < 5)
		hw_bench_push(b, VSVM_HW_PAGING, &nop_irq);
}

static void ring_irq_after_tail(struct kunit *test)
{
	struct hw_bench *b = hw_bench_create(test, false);
	struct vsvm_hw_cmd cmd = nop_irq;

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->shared->ring[VSVM_HW_PAGING].head = 0;
	b->shared->ring[VSVM_HW_PAGING].tail = 0;
	b->on_irq = irq_sees_tail;
	cmd.status = 99;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, b->irqs[VSVM_HW_VEC_PAGING], 5);
	hw_bench_destroy(b);
}

static void ring_bad_head(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct vsvm_hw_ring *ring = &b->shared->ring[kinds[k]];
		const u32 tail = ring->tail;

		hw_bench_slot(b, kinds[k], tail)->flags = VSVM_HW_CMD_IRQ;
		ring->head = tail + ring->size + 1;
		vsvm_hw_run(b->hw, kinds[k]);
		ring->head = tail - 1;
		vsvm_hw_run(b->hw, kinds[k]);
		KUNIT_EXPECT_EQ(test, ring->tail, tail);
		KUNIT_EXPECT_EQ(test, b->hw->engine[kinds[k]].bad_heads, 2);
		/* It goes on as soon as head makes sense, with a full ring. */
		ring->head = tail;
		while (ring->head != tail + VSVM_HW_QUEUE_RING)
			hw_bench_push(b, kinds[k], &nop);
		vsvm_hw_run(b->hw, kinds[k]);
		KUNIT_EXPECT_EQ(test, ring->tail, ring->head);
		KUNIT_EXPECT_EQ(test, b->hw->engine[kinds[k]].bad_heads, 2);
	}
	vsvm_hw_run(b->hw, VSVM_HW_NUM_ENGINES);
	vsvm_hw_run(b->hw, ~0u);
	for (k = 0; k < VSVM_HW_NUM_VECTORS; k++)
		KUNIT_EXPECT_EQ(test, b->irqs[k], 0);
}

/* The hardware has its own idea of where a ring is. */
static void ring_layout_is_private(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(3)];
	struct vsvm_hw_cmd *slot = hw_bench_slot(b, BENCH_QUEUE(3), 0);

	slot->op = VSVM_HW_NOP;
	slot->status = 99;
	ring->first = 0xffffff00;
	ring->size = 0;
	ring->head++;
	vsvm_hw_run(b->hw, BENCH_QUEUE(3));
	KUNIT_EXPECT_EQ(test, ring->tail, 1);
	KUNIT_EXPECT_EQ(test, slot->status, VSVM_HW_OK);
}

static void ring_wrong_ops(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = { };
	unsigned int k, op;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		const bool compute = kinds[k] >= VSVM_HW_QUEUE0;
		const bool paging = kinds[k] == VSVM_HW_PAGING;

		for (op = 0; op < 64; op++) {
			bool known = op == VSVM_HW_NOP;

			if (compute)
				known |= op >= VSVM_HW_K_FILL && op <= VSVM_HW_K_STORE;
			else
				known |= op == VSVM_HW_COPY || op == VSVM_HW_FILL;
			if (paging)
				known |= op >= VSVM_HW_SET_ROOT && op <= VSVM_HW_MARK;
			if (known)
				continue;
			cmd.op = op;
			KUNIT_EXPECT_EQ_MSG(test, hw_bench_do(b, kinds[k], &cmd),
					    VSVM_HW_ERR_CMD, "engine %u op %u", kinds[k], op);
		}
	}
}

static void ring_cancel(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int i, k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct vsvm_hw_ring *ring = &b->shared->ring[kinds[k]];
		const unsigned int vector = vector_of(kinds[k]);
		const unsigned int irqs = b->irqs[vector];
		const u32 first = ring->head;

		for (i = 0; i < 10; i++)
			hw_bench_push(b, kinds[k], &nop_irq);
		ring->cancel = first + 6;
		vsvm_hw_run(b->hw, kinds[k]);
		KUNIT_EXPECT_EQ(test, ring->tail, ring->head);
		KUNIT_EXPECT_EQ(test, b->irqs[vector], irqs + 10);
		for (i = 0; i < 10; i++)
			KUNIT_EXPECT_EQ(test, hw_bench_slot(b, kinds[k], first + i)->status,
					i < 6 ? VSVM_HW_ERR_CANCELLED : VSVM_HW_OK);
	}
}

/* A cancel that nobody moved since the indices were last here. */
static void ring_stale_cancel(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	const u32 start[] = { 1, 0x80000000, 0x80000010, -VSVM_HW_QUEUE_RING, -5 };
	unsigned int i, k;

	for (k = 0; k < ARRAY_SIZE(start); k++) {
		ring->head = start[k];
		ring->tail = start[k];
		for (i = 0; i < 2 * VSVM_HW_QUEUE_RING; i++)
			KUNIT_ASSERT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &nop),
					VSVM_HW_OK);
	}
}

/* A cancel that is overtaken by the command it was meant for, and nonsense. */
static void ring_late_cancel(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	unsigned int i;

	for (i = 0; i < 10; i++)
		KUNIT_ASSERT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &nop), VSVM_HW_OK);
	ring->cancel = ring->tail - 3;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &nop), VSVM_HW_OK);
	ring->cancel = ring->tail;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &nop), VSVM_HW_OK);
	ring->cancel = ring->tail + VSVM_HW_QUEUE_RING + 1;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &nop), VSVM_HW_OK);
	ring->cancel = ring->tail + 1;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &nop), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &nop), VSVM_HW_OK);
}

static void ring_stop(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct vsvm_hw_ring *ring = &b->shared->ring[kinds[k]];

		vsvm_hw_stop(b->hw, kinds[k]);
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, kinds[k], &nop), VSVM_HW_WAIT);
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, kinds[k], &nop), VSVM_HW_WAIT);
		vsvm_hw_reset(b->hw, kinds[k]);
		vsvm_hw_run(b->hw, kinds[k]);
		KUNIT_EXPECT_EQ(test, ring->tail, ring->head);
	}
	vsvm_hw_stop(b->hw, ~0u);
	vsvm_hw_reset(b->hw, ~0u);
}

/* Cancelled before the reset, done after it: how a driver empties a ring. */
static void ring_cancel_by_reset(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct vsvm_hw_ring *ring = &b->shared->ring[kinds[k]];
		const u32 first = ring->head;

		hw_bench_push(b, kinds[k], &nop);
		hw_bench_push(b, kinds[k], &nop);
		vsvm_hw_stop(b->hw, kinds[k]);
		hw_bench_cancel(b, kinds[k]);
		ring->generation = 7;
		vsvm_hw_reset(b->hw, kinds[k]);
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, kinds[k], &nop), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(test, hw_bench_slot(b, kinds[k], first)->status,
				VSVM_HW_ERR_CANCELLED);
		KUNIT_EXPECT_EQ(test, hw_bench_slot(b, kinds[k], first + 1)->status,
				VSVM_HW_ERR_CANCELLED);
		KUNIT_EXPECT_EQ(test, hw_bench_slot(b, kinds[k], first)->generation, 7);
	}
}

static u64 odd_number(struct hw_random *r)
{
	static const u64 base[] = {
		0, 0, 1, BENCH_TABLES, BENCH_VRAM_SIZE, BENCH_SYSTEM_BASE,
		BENCH_SYSTEM_BASE + BENCH_SYSTEM_SIZE, LARGE, 1ull << 48,
		1ull << 56, 1ull << 63, ~0ull,
	};
	u64 value = base[hw_random_below(r, ARRAY_SIZE(base))];

	switch (hw_random_below(r, 5)) {
	case 0:
		return value + hw_random_below(r, 3 * PAGE);
	case 1:
		return value - hw_random_below(r, 3 * PAGE);
	case 2:
		return value + hw_random_below(r, 512) * PAGE;
	case 3:
		return value + hw_random_below(r, 512) * 8;
	}
	return value;
}

/* Page tables, full of any bits: the first page of VRAM on is their room. */
static void scribble(struct hw_bench *b, struct hw_random *r)
{
	u64 *tables = (u64 *)b->vram;
	unsigned int i;

	for (i = 0; i < BENCH_TABLES / 8; i += 1 + hw_random_below(r, 3))
		tables[i] = (odd_number(r) & ~0xfffull) | hw_random_below(r, 64);
}

static void random_command(struct hw_bench *b, struct hw_random *r)
{
	const unsigned int engine = hw_random_below(r, VSVM_HW_QUEUE0 + 4);
	struct vsvm_hw_ring *ring = &b->shared->ring[engine];
	struct vsvm_hw_cmd cmd = {
		.op = hw_random_below(r, 4) ? hw_random_below(r, 40) : hw_random(r),
		.flags = hw_random(r),
		.dst = odd_number(r),
		.src = odd_number(r),
		.len = odd_number(r),
		.arg = odd_number(r),
	};

	if (engine >= VSVM_HW_QUEUE0)
		cmd.op |= VSVM_HW_K_FILL;
	b->busy = engine;
	b->relaxed = 0;
	hw_bench_do(b, engine, &cmd);
	if (ring->head != ring->tail) {
		hw_bench_replay(b, engine - VSVM_HW_QUEUE0);
		hw_bench_cancel(b, engine);
		vsvm_hw_run(b->hw, engine);
	}
	KUNIT_ASSERT_EQ(b->test, ring->head, ring->tail);
}

/* Records come and go, and the driver's words in the FIFO are any. */
static void random_fifo(struct hw_bench *b, struct hw_random *r)
{
	struct vsvm_hw_fifo *fifo = &b->shared->fifo;

	switch (hw_random_below(r, 4)) {
	case 0:
		fifo->size = hw_random(r);
		break;
	case 1:
		fifo->tail = hw_random(r);
		break;
	default:
		fifo->tail = fifo->head;
	}
}

static void random_commands(struct hw_bench *b, struct hw_random *r)
{
	unsigned int i;

	b->cancel_after = 8;
	for (i = 0; i < 10000; i++) {
		if (i % 4000 == 0)
			scribble(b, r);
		if (!hw_random_below(r, 8))
			random_fifo(b, r);
		b->cancel_at = b->now + hw_random_below(r, 1 << 30);
		random_command(b, r);
	}
}

/* Nothing to see but that it neither crashes nor hangs. */
static void ring_random(struct kunit *test)
{
	const struct vsvm_hw_config small = {
		.sanitize = true, .fault_entries = 3, .copy_bytes_per_s = 777777777,
		.copy_latency_ns = 99999,
	};
	struct hw_bench *b = test->priv;
	struct hw_bench *peer = hw_bench_create_as(test, &small);
	struct hw_random r;

	KUNIT_ASSERT_NOT_NULL(test, peer);
	hw_random_init(&r, test);
	b->peer = peer;
	random_commands(b, &r);
	b->peer = NULL;
	peer->peer = b;
	random_commands(peer, &r);
	hw_bench_destroy(peer);
}

/* Each command counts, and so does a slice of one that has no end. */
static void ring_turns(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd nop = { .op = VSVM_HW_NOP };
	const struct vsvm_hw_cmd endless = {
		.op = VSVM_HW_K_CHASE, .dst = DST_VA, .src = DST_VA, .arg = 8,
	};
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	unsigned int i;

	hw_bench_map(b, 0, DST_VA, PTE_SYSTEM(0) | PTE_RW);
	*(u64 *)b->system = DST_VA;
	for (i = 0; i < 5; i++)
		hw_bench_push(b, BENCH_QUEUE(0), &nop);
	hw_bench_push(b, BENCH_QUEUE(0), &endless);
	KUNIT_EXPECT_TRUE(test, vsvm_hw_run_turn(b->hw, BENCH_QUEUE(0), 2));
	KUNIT_EXPECT_EQ(test, ring->tail, 2);
	KUNIT_EXPECT_TRUE(test, vsvm_hw_run_turn(b->hw, BENCH_QUEUE(0), 2));
	KUNIT_EXPECT_EQ(test, ring->tail, 4);
	for (i = 0; i < 3; i++) {
		b->relaxed = 0;
		KUNIT_EXPECT_TRUE(test, vsvm_hw_run_turn(b->hw, BENCH_QUEUE(0), 4));
		KUNIT_EXPECT_EQ(test, b->relaxed, 3);
	}
	KUNIT_EXPECT_EQ(test, ring->tail, 5);
	/* Neither one that is told to stop wants another turn, nor one that is done. */
	vsvm_hw_stop(b->hw, BENCH_QUEUE(0));
	KUNIT_EXPECT_FALSE(test, vsvm_hw_run_turn(b->hw, BENCH_QUEUE(0), 4));
	vsvm_hw_reset(b->hw, BENCH_QUEUE(0));
	KUNIT_EXPECT_TRUE(test, vsvm_hw_run_turn(b->hw, BENCH_QUEUE(0), 4));
	hw_bench_cancel(b, BENCH_QUEUE(0));
	KUNIT_EXPECT_FALSE(test, vsvm_hw_run_turn(b->hw, BENCH_QUEUE(0), 4));
	KUNIT_EXPECT_EQ(test, ring->tail, 6);
	KUNIT_EXPECT_EQ(test, hw_bench_slot(b, BENCH_QUEUE(0), 5)->status,
			VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_FALSE(test, vsvm_hw_run_turn(b->hw, VSVM_HW_NUM_ENGINES, 4));
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(ring_offsets),
	KUNIT_CASE(ring_layout),
	KUNIT_CASE(ring_vram_size),
	KUNIT_CASE(ring_fault_entries),
	KUNIT_CASE(ring_wrap),
	KUNIT_CASE(ring_order),
	KUNIT_CASE(ring_interrupts),
	KUNIT_CASE(ring_irq_after_tail),
	KUNIT_CASE(ring_bad_head),
	KUNIT_CASE(ring_layout_is_private),
	KUNIT_CASE(ring_wrong_ops),
	KUNIT_CASE(ring_cancel),
	KUNIT_CASE(ring_stale_cancel),
	KUNIT_CASE(ring_late_cancel),
	KUNIT_CASE(ring_stop),
	KUNIT_CASE(ring_turns),
	KUNIT_CASE(ring_cancel_by_reset),
	KUNIT_CASE_SLOW(ring_random),
	{ }
};

static struct kunit_suite ring_suite = {
	.name = "vsvm_hw_ring",
	.init = hw_bench_init,
	.exit = hw_bench_exit,
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The MMU as a driver meets it: through kernels that read and write. A TLB that
 * was not invalidated must show, and one that was must not.
 */
#include "vsvm_hw_bench.h"

#define DATA	BENCH_TABLES
#define VA	0x123456600000ull	/* with something in each level's index */

static int mmu_init(struct kunit *test)
{
	struct hw_bench *b;
	u64 page;

	if (hw_bench_init(test))
		return -ENOMEM;
	b = test->priv;
	b->peer = hw_bench_create(test, true);
	if (!b->peer) {
		hw_bench_exit(test);
		return -ENOMEM;
	}
	hw_bench_mark(b, DATA, BENCH_VRAM_SIZE - DATA, true);
	hw_bench_mark(b->peer, DATA, BENCH_VRAM_SIZE - DATA, true);
	/* Every page of memory holds its own number. */
	for (page = 0; page < BENCH_VRAM_SIZE; page += PAGE) {
		*(u64 *)(b->system + page) = 0x1000000 + page;
		if (page < DATA)
			continue;
		*(u64 *)(b->vram + page) = page;
		*(u64 *)(b->peer->vram + page) = 0x2000000 + page;
	}
	return 0;
}

static void mmu_exit(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	if (b)
		hw_bench_destroy(b->peer);
	hw_bench_exit(test);
}

/*
 * Where gpu_read() copies to: the end of system memory, that no test maps
 * elsewhere, at an address whose entry in the TLB no test uses otherwise.
 */
#define OUT_VA		0x70000003f000ull
#define OUT_OFFSET	(BENCH_SYSTEM_SIZE - PAGE)

static u32 gpu_read(struct hw_bench *b, unsigned int queue, u64 va, u64 *value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_COPY, .dst = OUT_VA, .src = va, .len = 8,
	};
	u32 status;

	hw_bench_map(b, queue, OUT_VA, PTE_SYSTEM(OUT_OFFSET) | PTE_RW);
	status = hw_bench_do(b, BENCH_QUEUE(queue), &cmd);
	memcpy(value, b->system + OUT_OFFSET, 8);
	return status;
}

static u32 gpu_write(struct hw_bench *b, unsigned int queue, u64 va, u8 value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_FILL, .dst = va, .len = 8, .arg = value,
	};

	return hw_bench_do(b, BENCH_QUEUE(queue), &cmd);
}

static void expect_read(struct hw_bench *b, unsigned int queue, u64 va, u64 want)
{
	u64 value;

	KUNIT_EXPECT_EQ(b->test, gpu_read(b, queue, va, &value), VSVM_HW_OK);
	KUNIT_EXPECT_EQ_MSG(b->test, value, want, " at %llx", (unsigned long long)va);
}

static u32 gpu_add(struct hw_bench *b, unsigned int queue, u64 va, u64 value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_ATOMIC_ADD, .dst = va, .len = 1, .arg = value,
	};

	return hw_bench_do(b, BENCH_QUEUE(queue), &cmd);
}

/* Expects that the queue stalled at @va, and cancels what it was at. */
static void expect_fault(struct hw_bench *b, unsigned int queue, u64 va, u32 access)
{
	struct vsvm_hw_fault fault = { };

	KUNIT_EXPECT_TRUE(b->test, hw_bench_fault(b, &fault));
	KUNIT_EXPECT_EQ(b->test, fault.address, va);
	KUNIT_EXPECT_EQ(b->test, fault.access, access);
	KUNIT_EXPECT_EQ(b->test, fault.queue, queue);
	KUNIT_EXPECT_FALSE(b->test, hw_bench_fault(b, &fault));
	hw_bench_cancel(b, BENCH_QUEUE(queue));
	vsvm_hw_run(b->hw, BENCH_QUEUE(queue));
}

static void expect_read_fault(struct hw_bench *b, unsigned int queue, u64 va)
{
	u64 value;

	KUNIT_EXPECT_EQ(b->test, gpu_read(b, queue, va, &value), VSVM_HW_WAIT);
	expect_fault(b, queue, va, VSVM_HW_READ);
}

static void expect_write_fault(struct hw_bench *b, unsigned int queue, u64 va)
{
	KUNIT_EXPECT_EQ(b->test, gpu_write(b, queue, va, 1), VSVM_HW_WAIT);
	expect_fault(b, queue, va, VSVM_HW_WRITE);
}

static void expect_add_fault(struct hw_bench *b, unsigned int queue, u64 va)
{
	KUNIT_EXPECT_EQ(b->test, gpu_add(b, queue, va, 1), VSVM_HW_WAIT);
	expect_fault(b, queue, va, VSVM_HW_ATOMIC);
}

static void mmu_apertures(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
	hw_bench_map(b, 0, VA + PAGE, PTE_SYSTEM(5 * PAGE));
	hw_bench_map(b, 0, VA + 2 * PAGE, PTE_PEER(1, DATA + 3 * PAGE));
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	hw_bench_map(b, 0, VA + 2 * LARGE, PTE_SYSTEM(LARGE) | VSVM_PTE_LARGE);
	hw_bench_map(b, 0, VA + 3 * LARGE, PTE_PEER(1, LARGE) | VSVM_PTE_LARGE);
	expect_read(b, 0, VA, DATA + PAGE);
	expect_read(b, 0, VA + PAGE, 0x1000000 + 5 * PAGE);
	expect_read(b, 0, VA + 2 * PAGE, 0x2000000 + DATA + 3 * PAGE);
	expect_read(b, 0, VA + LARGE + 7 * PAGE, 2 * LARGE + 7 * PAGE);
	expect_read(b, 0, VA + 2 * LARGE + 511 * PAGE, 0x1000000 + LARGE + 511 * PAGE);
	expect_read(b, 0, VA + 3 * LARGE + PAGE, 0x2000000 + LARGE + PAGE);
}

/* A large leaf is as large as it says, and the bits around it are ignored. */
static void mmu_large_at_level_0(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	*hw_bench_entry(b, 0, VA, 0) = PTE_VRAM(DATA + PAGE) | VSVM_PTE_LARGE;
	expect_read(b, 0, VA, DATA + PAGE);
	expect_read_fault(b, 0, VA + PAGE);
	/* Above level 1 the bit means nothing. */
	*hw_bench_entry(b, 0, VA, 2) |= VSVM_PTE_LARGE;
	*hw_bench_entry(b, 0, VA, 3) |= VSVM_PTE_LARGE;
	hw_bench_invalidate(b, 0, VA, PAGE);
	expect_read(b, 0, VA, DATA + PAGE);
}

static void mmu_stale_until_invalidate(struct kunit *test)
{
	static const u64 large[] = { 0, VSVM_PTE_LARGE };
	struct hw_bench *b = test->priv;
	const u64 old = 2 * LARGE, new = 3 * LARGE;
	u64 size, at = VA;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(large); i++) {
		size = i ? LARGE : PAGE;
		at += 4 * LARGE;
		hw_bench_map(b, 0, at, PTE_VRAM(old) | large[i]);
		hw_bench_map(b, 0, at + size, PTE_VRAM(old) | large[i]);
		expect_read(b, 0, at, old);
		expect_read(b, 0, at + size, old);
		hw_bench_map(b, 0, at, PTE_VRAM(new) | large[i]);
		hw_bench_map(b, 0, at + size, PTE_VRAM(new) | large[i]);
		/* Forgotten, aside by a byte, or for another queue: no use. */
		expect_read(b, 0, at, old);
		hw_bench_invalidate(b, 1, at, size);
		hw_bench_invalidate(b, 0, at - PAGE, PAGE);
		hw_bench_invalidate(b, 0, at, 0);
		hw_bench_invalidate(b, 0, at + size, size);
		expect_read(b, 0, at, old);
		expect_read(b, 0, at + size, new);
		/* One byte of it is enough. */
		hw_bench_invalidate(b, 0, at + size - 1, 1);
		expect_read(b, 0, at, new);
		/* And an unmapped page can be read on. */
		*hw_bench_entry(b, 0, at, i) = 0;
		expect_read(b, 0, at, new);
		hw_bench_invalidate(b, 0, at, size);
		expect_read_fault(b, 0, at);
	}
}

static void mmu_invalidate_all(struct kunit *test)
{
	static const struct {
		u64 va, len;
	} all[] = {
		{ 0, ~0ull }, { 0, 1ull << 48 }, { VA, ~0ull }, { VA + PAGE - 1, ~0ull },
	};
	struct hw_bench *b = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		hw_bench_map(b, 0, VA, PTE_VRAM(DATA));
		hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(LARGE) | VSVM_PTE_LARGE);
		hw_bench_invalidate(b, 0, all[i].va, all[i].len);
		expect_read(b, 0, VA, DATA);
		expect_read(b, 0, VA + LARGE, LARGE);
		hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
		hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
		expect_read(b, 0, VA, DATA);
		hw_bench_invalidate(b, 0, all[i].va, all[i].len);
		expect_read(b, 0, VA, DATA + PAGE);
		expect_read(b, 0, VA + LARGE, 2 * LARGE);
	}
}

/* What was not valid is not kept: mapping needs no invalidation. */
static void mmu_absent_not_kept(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	unsigned int level;

	for (level = 0; level < VSVM_PT_LEVELS; level++) {
		const u64 va = VA + ((u64)level << VSVM_PT_SHIFT(3));

		/* All it lacks is that it is valid. */
		*hw_bench_entry(b, 0, va, level) =
			(PTE_VRAM(DATA + PAGE) | PTE_RW) & ~VSVM_PTE_VALID;
		expect_read_fault(b, 0, va);
		hw_bench_map(b, 0, va, PTE_VRAM(DATA));
		expect_read(b, 0, va, DATA);
	}
}

/* A miss of permission walks again, and keeps what it finds. */
static void mmu_permission_walk(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA));
	expect_read(b, 0, VA, DATA);
	expect_write_fault(b, 0, VA);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA), DATA);
	/* Writable, and elsewhere: the write finds both, and reads follow it. */
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE) | PTE_RW);
	expect_read(b, 0, VA, DATA);
	KUNIT_EXPECT_EQ(test, gpu_write(b, 0, VA, 7), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA), DATA);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA + PAGE), 0x0707070707070707ull);
	expect_read(b, 0, VA, 0x0707070707070707ull);
	/* Write permission is kept as well, until invalidated. */
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + 2 * PAGE));
	KUNIT_EXPECT_EQ(test, gpu_write(b, 0, VA, 8), VSVM_HW_OK);
	hw_bench_invalidate(b, 0, VA, PAGE);
	expect_write_fault(b, 0, VA);
	expect_read(b, 0, VA, DATA + 2 * PAGE);
}

/* A write that faults on a read-only leaf leaves that leaf for reads. */
static void mmu_write_fault_keeps_leaf(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA));
	expect_write_fault(b, 0, VA);
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
	expect_read(b, 0, VA, DATA);
}

/* An atomic access needs both bits, wherever the memory is. */
static void mmu_atomic(struct kunit *test)
{
	static const u64 leaf[] = {
		PTE_VRAM(DATA), PTE_SYSTEM(5 * PAGE), PTE_PEER(1, DATA),
	};
	struct hw_bench *b = test->priv;
	u64 *const memory[] = {
		(u64 *)(b->vram + DATA), (u64 *)(b->system + 5 * PAGE),
		(u64 *)(b->peer->vram + DATA),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(leaf); i++) {
		const u64 old = *memory[i];

		hw_bench_map(b, 0, VA, 0);
		hw_bench_invalidate(b, 0, VA, PAGE);
		expect_add_fault(b, 0, VA);
		hw_bench_map(b, 0, VA, leaf[i]);
		expect_add_fault(b, 0, VA);
		hw_bench_map(b, 0, VA, leaf[i] | VSVM_PTE_ATOMIC);
		expect_add_fault(b, 0, VA);
		expect_write_fault(b, 0, VA);
		hw_bench_map(b, 0, VA, leaf[i] | PTE_RW);
		expect_add_fault(b, 0, VA);
		KUNIT_EXPECT_EQ(test, *memory[i], old);
		/* The bit alone was missing: no invalidation. */
		hw_bench_map(b, 0, VA, leaf[i] | PTE_RWA);
		KUNIT_EXPECT_EQ(test, gpu_add(b, 0, VA, 5), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(test, *memory[i], old + 5);
		/* It is kept until invalidated, and lets write. */
		hw_bench_map(b, 0, VA, leaf[i]);
		KUNIT_EXPECT_EQ(test, gpu_add(b, 0, VA, -1), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(test, *memory[i], old + 4);
		KUNIT_EXPECT_EQ(test, gpu_write(b, 0, VA, 9), VSVM_HW_OK);
		hw_bench_invalidate(b, 0, VA, PAGE);
		expect_add_fault(b, 0, VA);
		expect_write_fault(b, 0, VA);
	}
}

/* The same of a large leaf. */
static void mmu_atomic_large(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const u64 leaf = PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE, va = VA + LARGE - 8;
	u64 *word = (u64 *)(b->vram + 3 * LARGE - 8);

	*word = 1;
	hw_bench_map(b, 0, VA, leaf | PTE_RW);
	expect_add_fault(b, 0, va);
	hw_bench_map(b, 0, VA, leaf | PTE_RWA);
	KUNIT_EXPECT_EQ(test, gpu_add(b, 0, va, ~0ull), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *word, 0);
}

static void mmu_address_width(struct kunit *test)
{
	static const u64 beyond[] = {
		1ull << 48, (1ull << 48) + VA, 0xffff800000000000ull, ~7ull, ~0ull,
	};
	struct hw_bench *b = test->priv;
	const u64 last = (1ull << 48) - PAGE;
	struct vsvm_hw_cmd cmd = { .op = VSVM_HW_K_FILL, .arg = 3 };
	unsigned int i;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA) | PTE_RW);
	hw_bench_map(b, 0, 0, PTE_VRAM(DATA) | PTE_RW);
	hw_bench_map(b, 0, last, PTE_VRAM(DATA + PAGE) | PTE_RW);
	expect_read(b, 0, last, DATA + PAGE);
	for (i = 0; i < ARRAY_SIZE(beyond); i++) {
		expect_read_fault(b, 0, beyond[i]);
		expect_write_fault(b, 0, beyond[i]);
	}
	/* Over the edge: up to there, and not around to 0. */
	cmd.dst = last;
	cmd.len = 2 * PAGE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_WAIT);
	expect_fault(b, 0, 1ull << 48, VSVM_HW_WRITE);
	KUNIT_EXPECT_EQ(test, b->vram[DATA + 2 * PAGE - 1], 3);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA), DATA);
}

static void mmu_root(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = { .op = VSVM_HW_SET_ROOT, .dst = ~0ull };

	/* A queue that never had a root. */
	KUNIT_EXPECT_EQ(test, gpu_write(b, 0, VA, 1), VSVM_HW_WAIT);
	expect_fault(b, 0, VA, VSVM_HW_WRITE);
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA) | PTE_RW);
	hw_bench_map(b, 1, VA, PTE_VRAM(DATA + PAGE) | PTE_RW);
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(LARGE) | VSVM_PTE_LARGE);
	hw_bench_map(b, 1, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	expect_read(b, 0, VA, DATA);
	expect_read(b, 0, VA + LARGE, LARGE);
	expect_read(b, 1, VA, DATA + PAGE);
	/* Queue 0 gets the tables of queue 1, and nothing remains. */
	cmd.dst = b->root[1];
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	expect_read(b, 0, VA, DATA + PAGE);
	expect_read(b, 0, VA + LARGE, 2 * LARGE);
	cmd.dst = ~0ull;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	expect_write_fault(b, 0, VA);
	expect_read(b, 1, VA, DATA + PAGE);
}

#define GROUP	5	/* queues; the ones before and after are not in it */

/* All queues of a group at once, and none beside it. */
static void mmu_group_invalidate(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_TLB_INVALIDATE, .dst = VA, .len = PAGE, .arg = 1, .src = GROUP,
	};
	unsigned int q;

	for (q = 0; q < GROUP + 2; q++) {
		hw_bench_map(b, q, VA, PTE_VRAM(DATA));
		hw_bench_map(b, q, VA + LARGE, PTE_VRAM(LARGE) | VSVM_PTE_LARGE);
		expect_read(b, q, VA, DATA);
		expect_read(b, q, VA + LARGE, LARGE);
		hw_bench_map(b, q, VA, PTE_VRAM(DATA + PAGE));
		hw_bench_map(b, q, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	}
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 0; q < GROUP + 2; q++) {
		expect_read(b, q, VA, q && q <= GROUP ? DATA + PAGE : DATA);
		expect_read(b, q, VA + LARGE, LARGE);
	}
	cmd.dst = VA + LARGE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 0; q < GROUP + 2; q++)
		expect_read(b, q, VA + LARGE, q && q <= GROUP ? 2 * LARGE : LARGE);
	/* 0 is 1; the last queue is in reach. */
	cmd.src = 0;
	cmd.arg = 0;
	cmd.dst = VA;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	expect_read(b, 0, VA, DATA + PAGE);
	expect_read(b, GROUP + 1, VA, DATA);
	cmd.src = VSVM_HW_NUM_QUEUES - GROUP - 1;
	cmd.arg = GROUP + 1;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	expect_read(b, GROUP + 1, VA, DATA + PAGE);
}

static void mmu_group_root(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_SET_ROOT, .arg = 1, .src = GROUP,
	};
	unsigned int q;

	for (q = 0; q < GROUP + 2; q++) {
		hw_bench_map(b, q, VA, PTE_VRAM(DATA + q * PAGE) | PTE_RW);
		expect_read(b, q, VA, DATA + q * PAGE);
	}
	cmd.dst = b->root[0];
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 0; q < GROUP + 1; q++)
		expect_read(b, q, VA, DATA);
	expect_read(b, q, VA, DATA + q * PAGE);
	cmd.dst = ~0ull;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 1; q <= GROUP; q++)
		expect_write_fault(b, q, VA);
	expect_read(b, 0, VA, DATA);
	expect_read(b, GROUP + 1, VA, DATA + (GROUP + 1) * PAGE);
}

/* A reset drops the TLB, and nothing else of the queue's translation. */
static void mmu_reset(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA));
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(LARGE) | VSVM_PTE_LARGE);
	expect_read(b, 0, VA, DATA);
	expect_read(b, 0, VA + LARGE, LARGE);
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	vsvm_hw_reset(b->hw, BENCH_QUEUE(1));
	expect_read(b, 0, VA, DATA);
	vsvm_hw_reset(b->hw, BENCH_QUEUE(0));
	expect_read(b, 0, VA, DATA + PAGE);
	expect_read(b, 0, VA + LARGE, 2 * LARGE);
}

static void mmu_arguments(struct kunit *test)
{
	static const struct {
		struct vsvm_hw_cmd cmd;
		u32 status;
	} wrong[] = {
		{ { VSVM_HW_SET_ROOT, .arg = VSVM_HW_NUM_QUEUES }, VSVM_HW_ERR_CMD },
		{ { VSVM_HW_SET_ROOT, .arg = ~0ull }, VSVM_HW_ERR_CMD },
		{ { VSVM_HW_SET_ROOT, .dst = 8 }, VSVM_HW_ERR_CMD },
		{ { VSVM_HW_SET_ROOT, .dst = BENCH_VRAM_SIZE }, VSVM_HW_ERR_VRAM },
		{ { VSVM_HW_SET_ROOT, .dst = DATA }, VSVM_HW_ERR_FREE },
		{ { VSVM_HW_TLB_INVALIDATE, .len = 1, .arg = VSVM_HW_NUM_QUEUES },
		  VSVM_HW_ERR_CMD },
		/* Groups that are partly beyond, or wrap. */
		{ { VSVM_HW_SET_ROOT, .dst = ~0ull, .src = VSVM_HW_NUM_QUEUES + 1 },
		  VSVM_HW_ERR_CMD },
		{ { VSVM_HW_SET_ROOT, .dst = ~0ull, .src = ~0ull }, VSVM_HW_ERR_CMD },
		{ { VSVM_HW_SET_ROOT, .dst = ~0ull, .arg = 1, .src = ~0ull },
		  VSVM_HW_ERR_CMD },
		{ { VSVM_HW_SET_ROOT, .dst = 8, .src = 2 }, VSVM_HW_ERR_CMD },
		{ { VSVM_HW_TLB_INVALIDATE, .len = 1, .arg = VSVM_HW_NUM_QUEUES - 1,
		    .src = 2 }, VSVM_HW_ERR_CMD },
		{ { VSVM_HW_TLB_INVALIDATE, .len = 0, .arg = 255, .src = ~0ull },
		  VSVM_HW_ERR_CMD },
		{ { VSVM_HW_TLB_INVALIDATE, .arg = ~0ull, .src = 1 }, VSVM_HW_ERR_CMD },
	};
	struct hw_bench *b = test->priv;
	unsigned int i;

	hw_bench_mark(b, DATA, PAGE, false);
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &wrong[i].cmd),
				wrong[i].status);
	expect_read(b, 0, VA, DATA + PAGE);
}

/* Page tables that lead nowhere end the command, with the address. */
static void mmu_bad_tables(struct kunit *test)
{
	static const struct {
		unsigned int level;
		u64 entry;
		u32 status;
	} bad[] = {
		{ 3, PTE_VRAM(BENCH_VRAM_SIZE), VSVM_HW_ERR_VRAM },
		{ 2, PTE_VRAM(VSVM_PTE_ADDR_MASK), VSVM_HW_ERR_VRAM },
		{ 1, PTE_VRAM(BENCH_VRAM_SIZE), VSVM_HW_ERR_VRAM },
		{ 3, PTE_VRAM(DATA), VSVM_HW_ERR_FREE },
		{ 1, PTE_VRAM(DATA), VSVM_HW_ERR_FREE },
		{ 0, PTE_VRAM(DATA), VSVM_HW_ERR_FREE },
		{ 0, PTE_VRAM(BENCH_VRAM_SIZE), VSVM_HW_ERR_VRAM },
		{ 0, PTE_SYSTEM(BENCH_SYSTEM_SIZE), VSVM_HW_ERR_DMA },
		{ 0, PTE_PEER(2, DATA), VSVM_HW_ERR_PEER },
		{ 0, PTE_PEER(1, BENCH_VRAM_SIZE), VSVM_HW_ERR_VRAM },
		{ 0, PTE_VRAM(DATA) | VSVM_PTE_APERTURE_MASK, VSVM_HW_ERR_CMD },
		{ 1, PTE_VRAM(LARGE + PAGE) | VSVM_PTE_LARGE, VSVM_HW_ERR_CMD },
		{ 1, PTE_VRAM(BENCH_VRAM_SIZE) | VSVM_PTE_LARGE, VSVM_HW_ERR_VRAM },
		{ 1, PTE_VRAM(LARGE) | VSVM_PTE_LARGE, VSVM_HW_ERR_FREE },
	};
	struct hw_bench *b = test->priv;
	unsigned int i;
	u64 value, *entry, good;

	hw_bench_mark(b, DATA, PAGE, false);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
		entry = hw_bench_entry(b, 0, VA, bad[i].level);
		good = *entry;
		*entry = bad[i].entry;
		hw_bench_invalidate(b, 0, 0, ~0ull);
		KUNIT_EXPECT_EQ_MSG(test, gpu_read(b, 0, VA, &value), bad[i].status, " row %u", i);
		KUNIT_EXPECT_EQ(test, hw_bench_result(b, BENCH_QUEUE(0)), VA);
		*entry = good;
		hw_bench_invalidate(b, 0, 0, ~0ull);
		expect_read(b, 0, VA, DATA + PAGE);
	}
	KUNIT_EXPECT_FALSE(test, hw_bench_fault(b, &(struct vsvm_hw_fault){ }));
}

/* Reads of many pages, so that entries displace each other. */
static void mmu_displaced(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const unsigned int num = 2 * VSVM_HW_TLB_SMALL;
	unsigned int i, stale = 0;
	u64 value;

	for (i = 0; i < num; i++) {
		hw_bench_map(b, 0, VA + i * PAGE, PTE_VRAM(DATA + i * PAGE));
		expect_read(b, 0, VA + i * PAGE, DATA + i * PAGE);
	}
	for (i = 0; i < num; i++)
		hw_bench_map(b, 0, VA + i * PAGE, PTE_VRAM(DATA + num * PAGE));
	for (i = num; i--;) {
		gpu_read(b, 0, VA + i * PAGE, &value);
		stale += value == DATA + i * PAGE;
	}
	/* One entry is that of the place to copy to. */
	KUNIT_EXPECT_EQ(test, stale, VSVM_HW_TLB_SMALL - 1);
}

/*
 * Random page tables against a flat model: what memory each page shows, and
 * whether it may be written, and by atomic accesses.
 */
#define MODEL_PAGES	(4 * 512)

struct model {
	struct hw_bench *b;
	struct hw_random r;
	u64 small[MODEL_PAGES];		/* what the tables hold */
	u64 large[MODEL_PAGES / 512];	/* what covers a table, or 0 */
	u64 table[MODEL_PAGES / 512];	/* entries of level 1 for the tables */
};

static u64 model_leaf(const struct model *m, u64 page)
{
	const u64 large = m->large[page / 512];

	return large ? large + page % 512 * PAGE : m->small[page];
}

static u64 random_leaf(struct model *m, u64 align)
{
	static const u64 bits[] = { 0, PTE_RW, VSVM_PTE_ATOMIC, PTE_RWA };
	const u64 rw = bits[hw_random_below(&m->r, ARRAY_SIZE(bits))];
	/* The last large page of system memory holds what kernels write. */
	const u64 addr = LARGE + hw_random_below(&m->r, 2 * LARGE / align) * align;

	switch (hw_random_below(&m->r, 4)) {
	case 0:
		return PTE_VRAM(addr) | rw;
	case 1:
		return PTE_SYSTEM(addr) | rw;
	case 2:
		return PTE_PEER(1, addr) | rw;
	}
	return 0;
}

static void model_change(struct model *m)
{
	const u64 page = hw_random_below(&m->r, MODEL_PAGES);
	const u64 leaf = random_leaf(m, PAGE);
	u64 *large = &m->large[page / 512], *table;

	if (hw_random_below(&m->r, 16)) {
		/* By way of the table itself: a large leaf may hide it. */
		table = (u64 *)(m->b->vram + (m->table[page / 512] & VSVM_PTE_ADDR_MASK));
		table[page % 512] = leaf;
		m->small[page] = leaf;
		hw_bench_invalidate(m->b, 0, VA + page * PAGE, 1);
		return;
	}
	*large = random_leaf(m, LARGE);
	if (*large)
		*large |= VSVM_PTE_LARGE;
	*hw_bench_entry(m->b, 0, VA + page * PAGE, 1) =
		*large ? *large : m->table[page / 512];
	hw_bench_invalidate(m->b, 0, VA + (page & ~511ull) * PAGE, LARGE);
}

static u64 *model_memory(struct model *m, u64 leaf)
{
	const u64 addr = leaf & VSVM_PTE_ADDR_MASK;

	switch ((leaf & VSVM_PTE_APERTURE_MASK) >> VSVM_PTE_APERTURE_SHIFT) {
	case VSVM_HW_VRAM:
		return (u64 *)(m->b->vram + addr);
	case VSVM_HW_SYSTEM:
		return (u64 *)(m->b->system + addr - BENCH_SYSTEM_BASE);
	}
	return (u64 *)(m->b->peer->vram + addr);
}

static void model_add(struct model *m, u64 leaf, u64 va)
{
	u64 want;

	if ((leaf & PTE_RWA) != PTE_RWA) {
		expect_add_fault(m->b, 0, va);
		return;
	}
	want = *model_memory(m, leaf) + 7;
	KUNIT_EXPECT_EQ(m->b->test, gpu_add(m->b, 0, va, 7), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(m->b->test, *model_memory(m, leaf), want);
}

static void model_access(struct model *m)
{
	const u64 page = hw_random_below(&m->r, MODEL_PAGES);
	const u64 leaf = model_leaf(m, page), va = VA + page * PAGE;
	const u8 value = hw_random(&m->r) >> 32;

	if (!hw_random_below(&m->r, 4)) {
		model_add(m, leaf, va);
	} else if (hw_random_below(&m->r, 2)) {
		if (leaf)
			expect_read(m->b, 0, va, *model_memory(m, leaf));
		else
			expect_read_fault(m->b, 0, va);
	} else if (leaf & PTE_RW) {
		KUNIT_EXPECT_EQ(m->b->test, gpu_write(m->b, 0, va, value), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(m->b->test, *model_memory(m, leaf),
				value * 0x0101010101010101ull);
	} else {
		expect_write_fault(m->b, 0, va);
	}
}

static void mmu_random(struct kunit *test)
{
	struct model *m = vsvm_hw_alloc(sizeof(*m));
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->b = test->priv;
	hw_random_init(&m->r, test);
	for (i = 0; i < ARRAY_SIZE(m->table); i++) {
		hw_bench_map(m->b, 0, VA + i * LARGE, 0);
		m->table[i] = *hw_bench_entry(m->b, 0, VA + i * LARGE, 1);
	}
	for (i = 0; i < 20000 && !hw_bench_failed(test); i++) {
		if (hw_random_below(&m->r, 3))
			model_access(m);
		else
			model_change(m);
	}
	vsvm_hw_free(m);
}

static struct kunit_case mmu_cases[] = {
	KUNIT_CASE(mmu_apertures),
	KUNIT_CASE(mmu_large_at_level_0),
	KUNIT_CASE(mmu_stale_until_invalidate),
	KUNIT_CASE(mmu_invalidate_all),
	KUNIT_CASE(mmu_absent_not_kept),
	KUNIT_CASE(mmu_permission_walk),
	KUNIT_CASE(mmu_write_fault_keeps_leaf),
	KUNIT_CASE(mmu_atomic),
	KUNIT_CASE(mmu_atomic_large),
	KUNIT_CASE(mmu_address_width),
	KUNIT_CASE(mmu_root),
	KUNIT_CASE(mmu_group_invalidate),
	KUNIT_CASE(mmu_group_root),
	KUNIT_CASE(mmu_reset),
	KUNIT_CASE(mmu_arguments),
	KUNIT_CASE(mmu_bad_tables),
	KUNIT_CASE(mmu_displaced),
	KUNIT_CASE_SLOW(mmu_random),
	{ }
};

static struct kunit_suite mmu_suite = {
	.name = "vsvm_hw_mmu",
	.init = mmu_init,
	.exit = mmu_exit,
	.test_cases = mmu_cases,
};

kunit_test_suite(mmu_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The MMU as a driver meets it: through kernels that read and write. A TLB that
 * was not invalidated must show, and one that was must not.
 */
#include "vsvm_hw_mmu_bench.h"

static void mmu_apertures(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
	hw_bench_map(b, 0, VA + PAGE, PTE_SYSTEM(5 * PAGE));
	hw_bench_map(b, 0, VA + 2 * PAGE, PTE_PEER(1, DATA + 3 * PAGE));
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	hw_bench_map(b, 0, VA + 2 * LARGE, PTE_SYSTEM(LARGE) | VSVM_PTE_LARGE);
	hw_bench_map(b, 0, VA + 3 * LARGE, PTE_PEER(1, LARGE) | VSVM_PTE_LARGE);
	mmu_expect_read(b, 0, VA, DATA + PAGE);
	mmu_expect_read(b, 0, VA + PAGE, 0x1000000 + 5 * PAGE);
	mmu_expect_read(b, 0, VA + 2 * PAGE, 0x2000000 + DATA + 3 * PAGE);
	mmu_expect_read(b, 0, VA + LARGE + 7 * PAGE, 2 * LARGE + 7 * PAGE);
	mmu_expect_read(b, 0, VA + 2 * LARGE + 511 * PAGE, 0x1000000 + LARGE + 511 * PAGE);
	mmu_expect_read(b, 0, VA + 3 * LARGE + PAGE, 0x2000000 + LARGE + PAGE);
}

/* A large leaf is as large as it says, and the bits around it are ignored. */
static void mmu_large_at_level_0(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	*hw_bench_entry(b, 0, VA, 0) = PTE_VRAM(DATA + PAGE) | VSVM_PTE_LARGE;
	mmu_expect_read(b, 0, VA, DATA + PAGE);
	mmu_expect_read_fault(b, 0, VA + PAGE);
	/* Above level 1 the bit means nothing. */
	*hw_bench_entry(b, 0, VA, 2) |= VSVM_PTE_LARGE;
	*hw_bench_entry(b, 0, VA, 3) |= VSVM_PTE_LARGE;
	hw_bench_invalidate(b, 0, VA, PAGE);
	mmu_expect_read(b, 0, VA, DATA + PAGE);
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
		mmu_expect_read(b, 0, at, old);
		mmu_expect_read(b, 0, at + size, old);
		hw_bench_map(b, 0, at, PTE_VRAM(new) | large[i]);
		hw_bench_map(b, 0, at + size, PTE_VRAM(new) | large[i]);
		/* Forgotten, aside by a byte, or for another queue: no use. */
		mmu_expect_read(b, 0, at, old);
		hw_bench_invalidate(b, 1, at, size);
		hw_bench_invalidate(b, 0, at - PAGE, PAGE);
		hw_bench_invalidate(b, 0, at, 0);
		hw_bench_invalidate(b, 0, at + size, size);
		mmu_expect_read(b, 0, at, old);
		mmu_expect_read(b, 0, at + size, new);
		/* One byte of it is enough. */
		hw_bench_invalidate(b, 0, at + size - 1, 1);
		mmu_expect_read(b, 0, at, new);
		/* And an unmapped page can be read on. */
		*hw_bench_entry(b, 0, at, i) = 0;
		mmu_expect_read(b, 0, at, new);
		hw_bench_invalidate(b, 0, at, size);
		mmu_expect_read_fault(b, 0, at);
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
		mmu_expect_read(b, 0, VA, DATA);
		mmu_expect_read(b, 0, VA + LARGE, LARGE);
		hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
		hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
		mmu_expect_read(b, 0, VA, DATA);
		hw_bench_invalidate(b, 0, all[i].va, all[i].len);
		mmu_expect_read(b, 0, VA, DATA + PAGE);
		mmu_expect_read(b, 0, VA + LARGE, 2 * LARGE);
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
		mmu_expect_read_fault(b, 0, va);
		hw_bench_map(b, 0, va, PTE_VRAM(DATA));
		mmu_expect_read(b, 0, va, DATA);
	}
}

/* A miss of permission walks again, and keeps what it finds. */
static void mmu_permission_walk(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA));
	mmu_expect_read(b, 0, VA, DATA);
	mmu_expect_write_fault(b, 0, VA);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA), DATA);
	/* Writable, and elsewhere: the write finds both, and reads follow it. */
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE) | PTE_RW);
	mmu_expect_read(b, 0, VA, DATA);
	KUNIT_EXPECT_EQ(test, mmu_write(b, 0, VA, 7), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA), DATA);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA + PAGE), 0x0707070707070707ull);
	mmu_expect_read(b, 0, VA, 0x0707070707070707ull);
	/* Write permission is kept as well, until invalidated. */
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + 2 * PAGE));
	KUNIT_EXPECT_EQ(test, mmu_write(b, 0, VA, 8), VSVM_HW_OK);
	hw_bench_invalidate(b, 0, VA, PAGE);
	mmu_expect_write_fault(b, 0, VA);
	mmu_expect_read(b, 0, VA, DATA + 2 * PAGE);
}

/* A write that faults on a read-only leaf leaves that leaf for reads. */
static void mmu_write_fault_keeps_leaf(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA));
	mmu_expect_write_fault(b, 0, VA);
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
	mmu_expect_read(b, 0, VA, DATA);
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
		mmu_expect_add_fault(b, 0, VA);
		hw_bench_map(b, 0, VA, leaf[i]);
		mmu_expect_add_fault(b, 0, VA);
		hw_bench_map(b, 0, VA, leaf[i] | VSVM_PTE_ATOMIC);
		mmu_expect_add_fault(b, 0, VA);
		mmu_expect_write_fault(b, 0, VA);
		hw_bench_map(b, 0, VA, leaf[i] | PTE_RW);
		mmu_expect_add_fault(b, 0, VA);
		KUNIT_EXPECT_EQ(test, *memory[i], old);
		/* The bit alone was missing: no invalidation. */
		hw_bench_map(b, 0, VA, leaf[i] | PTE_RWA);
		KUNIT_EXPECT_EQ(test, mmu_add(b, 0, VA, 5), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(test, *memory[i], old + 5);
		/* It is kept until invalidated, and lets write. */
		hw_bench_map(b, 0, VA, leaf[i]);
		KUNIT_EXPECT_EQ(test, mmu_add(b, 0, VA, -1), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(test, *memory[i], old + 4);
		KUNIT_EXPECT_EQ(test, mmu_write(b, 0, VA, 9), VSVM_HW_OK);
		hw_bench_invalidate(b, 0, VA, PAGE);
		mmu_expect_add_fault(b, 0, VA);
		mmu_expect_write_fault(b, 0, VA);
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
	mmu_expect_add_fault(b, 0, va);
	hw_bench_map(b, 0, VA, leaf | PTE_RWA);
	KUNIT_EXPECT_EQ(test, mmu_add(b, 0, va, ~0ull), VSVM_HW_OK);
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
	mmu_expect_read(b, 0, last, DATA + PAGE);
	for (i = 0; i < ARRAY_SIZE(beyond); i++) {
		mmu_expect_read_fault(b, 0, beyond[i]);
		mmu_expect_write_fault(b, 0, beyond[i]);
	}
	/* Over the edge: up to there, and not around to 0. */
	cmd.dst = last;
	cmd.len = 2 * PAGE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_WAIT);
	mmu_expect_fault(b, 0, 1ull << 48, VSVM_HW_WRITE);
	KUNIT_EXPECT_EQ(test, b->vram[DATA + 2 * PAGE - 1], 3);
	KUNIT_EXPECT_EQ(test, *(u64 *)(b->vram + DATA), DATA);
}

static void mmu_root(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = { .op = VSVM_HW_SET_ROOT, .dst = ~0ull };

	/* A queue that never had a root. */
	KUNIT_EXPECT_EQ(test, mmu_write(b, 0, VA, 1), VSVM_HW_WAIT);
	mmu_expect_fault(b, 0, VA, VSVM_HW_WRITE);
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA) | PTE_RW);
	hw_bench_map(b, 1, VA, PTE_VRAM(DATA + PAGE) | PTE_RW);
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(LARGE) | VSVM_PTE_LARGE);
	hw_bench_map(b, 1, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	mmu_expect_read(b, 0, VA, DATA);
	mmu_expect_read(b, 0, VA + LARGE, LARGE);
	mmu_expect_read(b, 1, VA, DATA + PAGE);
	/* Queue 0 gets the tables of queue 1, and nothing remains. */
	cmd.dst = b->root[1];
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	mmu_expect_read(b, 0, VA, DATA + PAGE);
	mmu_expect_read(b, 0, VA + LARGE, 2 * LARGE);
	cmd.dst = ~0ull;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	mmu_expect_write_fault(b, 0, VA);
	mmu_expect_read(b, 1, VA, DATA + PAGE);
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
		mmu_expect_read(b, q, VA, DATA);
		mmu_expect_read(b, q, VA + LARGE, LARGE);
		hw_bench_map(b, q, VA, PTE_VRAM(DATA + PAGE));
		hw_bench_map(b, q, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	}
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 0; q < GROUP + 2; q++) {
		mmu_expect_read(b, q, VA, q && q <= GROUP ? DATA + PAGE : DATA);
		mmu_expect_read(b, q, VA + LARGE, LARGE);
	}
	cmd.dst = VA + LARGE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 0; q < GROUP + 2; q++)
		mmu_expect_read(b, q, VA + LARGE, q && q <= GROUP ? 2 * LARGE : LARGE);
	/* 0 is 1; the last queue is in reach. */
	cmd.src = 0;
	cmd.arg = 0;
	cmd.dst = VA;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	mmu_expect_read(b, 0, VA, DATA + PAGE);
	mmu_expect_read(b, GROUP + 1, VA, DATA);
	cmd.src = VSVM_HW_NUM_QUEUES - GROUP - 1;
	cmd.arg = GROUP + 1;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	mmu_expect_read(b, GROUP + 1, VA, DATA + PAGE);
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
		mmu_expect_read(b, q, VA, DATA + q * PAGE);
	}
	cmd.dst = b->root[0];
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 0; q < GROUP + 1; q++)
		mmu_expect_read(b, q, VA, DATA);
	mmu_expect_read(b, q, VA, DATA + q * PAGE);
	cmd.dst = ~0ull;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	for (q = 1; q <= GROUP; q++)
		mmu_expect_write_fault(b, q, VA);
	mmu_expect_read(b, 0, VA, DATA);
	mmu_expect_read(b, GROUP + 1, VA, DATA + (GROUP + 1) * PAGE);
}

/* A reset drops the TLB, and nothing else of the queue's translation. */
static void mmu_reset(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	hw_bench_map(b, 0, VA, PTE_VRAM(DATA));
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(LARGE) | VSVM_PTE_LARGE);
	mmu_expect_read(b, 0, VA, DATA);
	mmu_expect_read(b, 0, VA + LARGE, LARGE);
	hw_bench_map(b, 0, VA, PTE_VRAM(DATA + PAGE));
	hw_bench_map(b, 0, VA + LARGE, PTE_VRAM(2 * LARGE) | VSVM_PTE_LARGE);
	vsvm_hw_reset(b->hw, BENCH_QUEUE(1));
	mmu_expect_read(b, 0, VA, DATA);
	vsvm_hw_reset(b->hw, BENCH_QUEUE(0));
	mmu_expect_read(b, 0, VA, DATA + PAGE);
	mmu_expect_read(b, 0, VA + LARGE, 2 * LARGE);
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
	mmu_expect_read(b, 0, VA, DATA + PAGE);
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
		KUNIT_EXPECT_EQ_MSG(test, mmu_read(b, 0, VA, &value), bad[i].status, " row %u", i);
		KUNIT_EXPECT_EQ(test, hw_bench_result(b, BENCH_QUEUE(0)), VA);
		*entry = good;
		hw_bench_invalidate(b, 0, 0, ~0ull);
		mmu_expect_read(b, 0, VA, DATA + PAGE);
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
		mmu_expect_read(b, 0, VA + i * PAGE, DATA + i * PAGE);
	}
	for (i = 0; i < num; i++)
		hw_bench_map(b, 0, VA + i * PAGE, PTE_VRAM(DATA + num * PAGE));
	for (i = num; i--;) {
		mmu_read(b, 0, VA + i * PAGE, &value);
		stale += value == DATA + i * PAGE;
	}
	/* One entry is that of the place to copy to. */
	KUNIT_EXPECT_EQ(test, stale, VSVM_HW_TLB_SMALL - 1);
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
	{ }
};

static struct kunit_suite mmu_suite = {
	.name = "vsvm_hw_mmu",
	.init = mmu_bench_init,
	.exit = mmu_bench_exit,
	.test_cases = mmu_cases,
};

kunit_test_suite(mmu_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include "vsvm_hw_bench.h"

#ifdef __KERNEL__
#include <linux/moduleparam.h>
#include <linux/random.h>

static unsigned long seed;
module_param(seed, ulong, 0644);
MODULE_PARM_DESC(seed, "of the random tests, 0 for a new one each time");
#else
#include <time.h>
#endif

static void *bench_dma(void *priv, __u64 addr, __u64 *len)
{
	struct hw_bench *b = priv;
	const u64 offset = addr - BENCH_SYSTEM_BASE;

	if (b->on_dma)
		b->on_dma(b);
	if (b->dma_ns)
		b->now += b->dma_ns;
	if (addr < BENCH_SYSTEM_BASE || offset >= BENCH_SYSTEM_SIZE)
		return NULL;
	*len = min(*len, BENCH_SYSTEM_SIZE - offset);
	if (b->dma_split)
		*len = min(*len, b->dma_split - offset % b->dma_split);
	if (b->dma_hole) {
		if (offset / PAGE == b->dma_hole / PAGE)
			return NULL;
		if (offset < b->dma_hole)
			*len = min(*len, b->dma_hole - offset);
	}
	return b->system + offset;
}

static void bench_irq(void *priv, unsigned int vector)
{
	struct hw_bench *b = priv;

	WRITE_ONCE(b->irqs[vector], READ_ONCE(b->irqs[vector]) + 1);
	if (b->on_irq)
		b->on_irq(b, vector);
}

static struct vsvm_hw *bench_peer(void *priv, unsigned int n)
{
	struct hw_bench *b = priv;

	return n == 1 && b->peer ? b->peer->hw : NULL;
}

static void bench_relax(void *priv)
{
	struct hw_bench *b = priv;
	const unsigned int n = READ_ONCE(b->relaxed) + 1;

	WRITE_ONCE(b->relaxed, n);
	if (b->cancel_after && n == b->cancel_after)
		hw_bench_cancel(b, b->busy);
	if (b->stop_after && n == b->stop_after)
		vsvm_hw_stop(b->hw, b->busy);
	if (b->unmap_after && n == b->unmap_after)
		hw_window_unmap_all(b);
}

static u64 bench_now(void *priv)
{
	struct hw_bench *b = priv;

	return b->now;
}

static void bench_sleep(void *priv, u64 ns)
{
	struct hw_bench *b = priv;
	const u64 before = b->now;

	KUNIT_EXPECT_GT(b->test, ns, 0);
	KUNIT_EXPECT_LT(b->test, ns, VSVM_HW_MAX_SLEEP_NS + 1);
	b->now += ns + b->sleep_over;
	b->sleeps++;
	if (before < b->cancel_at && b->cancel_at <= b->now)
		hw_bench_cancel(b, b->busy);
	if (before < b->stop_at && b->stop_at <= b->now)
		vsvm_hw_stop(b->hw, b->busy);
}

static const struct vsvm_hw_host bench_host = {
	.dma = bench_dma,
	.irq = bench_irq,
	.peer = bench_peer,
	.relax = bench_relax,
	.now = bench_now,
	.sleep = bench_sleep,
};

struct hw_bench *hw_bench_create(struct kunit *test, bool sanitize)
{
	return hw_bench_create_as(test, &(struct vsvm_hw_config){
		.sanitize = sanitize,
	});
}

struct hw_bench *hw_bench_create_as(struct kunit *test,
				    const struct vsvm_hw_config *wanted)
{
	struct vsvm_hw_config config = *wanted;
	struct hw_bench *b = vsvm_hw_alloc(sizeof(*b));

	if (!b)
		return NULL;
	b->test = test;
	b->vram = vsvm_hw_alloc(BENCH_VRAM_SIZE);
	b->system = vsvm_hw_alloc(BENCH_SYSTEM_SIZE);
	b->shared = vsvm_hw_alloc(sizeof(*b->shared));
	config.vram = b->vram;
	config.vram_size = BENCH_VRAM_SIZE;
	config.shared = b->shared;
	if (!b->vram || !b->system || !b->shared ||
	    vsvm_hw_init(&b->hw, &config, &bench_host, b)) {
		hw_bench_destroy(b);
		return NULL;
	}
	hw_bench_mark(b, 0, BENCH_TABLES, true);
	return b;
}

void hw_bench_destroy(struct hw_bench *b)
{
	if (!b)
		return;
	vsvm_hw_fini(b->hw);
	vsvm_hw_free(b->shared);
	vsvm_hw_free(b->system);
	vsvm_hw_free(b->vram);
	vsvm_hw_free(b);
}

int hw_bench_init(struct kunit *test)
{
	test->priv = hw_bench_create(test, true);
	return test->priv ? 0 : -ENOMEM;
}

void hw_bench_exit(struct kunit *test)
{
	hw_bench_destroy(test->priv);
}

struct vsvm_hw_cmd *hw_bench_slot(struct hw_bench *b, unsigned int engine,
				  u32 index)
{
	const struct vsvm_hw_ring *ring = &b->shared->ring[engine];

	return &b->shared->cmd[ring->first + index % ring->size];
}

/* Queues a command without a doorbell. */
void hw_bench_push(struct hw_bench *b, unsigned int engine,
		   const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_ring *ring = &b->shared->ring[engine];

	*hw_bench_slot(b, engine, ring->head) = *cmd;
	smp_store_release(&ring->head, ring->head + 1);	/* the slot */
}

/*
 * Queues a command and runs the engine. Returns its status, or VSVM_HW_WAIT if
 * it is not done.
 */
u32 hw_bench_do(struct hw_bench *b, unsigned int engine,
		const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_ring *ring = &b->shared->ring[engine];

	hw_bench_push(b, engine, cmd);
	vsvm_hw_run(b->hw, engine);
	if (ring->tail != ring->head)
		return VSVM_HW_WAIT;
	return hw_bench_slot(b, engine, ring->head - 1)->status;
}

/* Of the newest command. */
u64 hw_bench_result(struct hw_bench *b, unsigned int engine)
{
	return hw_bench_slot(b, engine, b->shared->ring[engine].head - 1)->result;
}

void hw_bench_mark(struct hw_bench *b, u64 addr, u64 len, bool in_use)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_MARK, .dst = addr, .len = len, .arg = in_use,
	};

	KUNIT_ASSERT_EQ(b->test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(b->test, hw_bench_result(b, VSVM_HW_PAGING), 0);
}

void hw_bench_invalidate(struct hw_bench *b, unsigned int queue, u64 va, u64 len)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_TLB_INVALIDATE, .dst = va, .len = len, .arg = queue,
	};

	KUNIT_ASSERT_EQ(b->test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
}

static u64 new_table(struct hw_bench *b)
{
	const u64 table = b->next_table;

	KUNIT_ASSERT_LT(b->test, table, BENCH_TABLES);
	b->next_table += PAGE;
	memset(b->vram + table, 0, PAGE);
	return table;
}

static void need_root(struct hw_bench *b, unsigned int queue)
{
	struct vsvm_hw_cmd cmd = { .op = VSVM_HW_SET_ROOT, .arg = queue };

	if (b->root[queue])
		return;
	if (!b->next_table)
		b->next_table = PAGE;	/* 0 stands for no root in here */
	b->root[queue] = new_table(b);
	cmd.dst = b->root[queue];
	KUNIT_ASSERT_EQ(b->test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
}

/* Pointer to the entry for @va at @level, with tables made down to there. */
u64 *hw_bench_entry(struct hw_bench *b, unsigned int queue, u64 va,
		    unsigned int level)
{
	unsigned int i;
	u64 *entry;
	u64 table;

	need_root(b, queue);
	table = b->root[queue];
	for (i = VSVM_PT_LEVELS - 1; ; i--) {
		entry = (u64 *)(b->vram + table) + VSVM_PT_INDEX(va, i);
		if (i == level)
			return entry;
		if (!(*entry & VSVM_PTE_VALID))
			*entry = new_table(b) | VSVM_PTE_VALID;
		table = *entry & VSVM_PTE_ADDR_MASK;
	}
}

/* Sets the leaf for @va: 2 MiB if @pte has LARGE, else 4 KiB. 0 unmaps 4 KiB. */
void hw_bench_map(struct hw_bench *b, unsigned int queue, u64 va, u64 pte)
{
	const unsigned int level = pte & VSVM_PTE_LARGE ? 1 : 0;

	WRITE_ONCE(*hw_bench_entry(b, queue, va, level), pte);
}

bool hw_bench_fault(struct hw_bench *b, struct vsvm_hw_fault *fault)
{
	struct vsvm_hw_fifo *fifo = &b->shared->fifo;

	/* Acquire: the record. */
	if (smp_load_acquire(&fifo->head) == fifo->tail)
		return false;
	*fault = b->shared->fault[fifo->tail % b->hw->fifo_size];
	smp_store_release(&fifo->tail, fifo->tail + 1);	/* done with the slot */
	return true;
}

void hw_bench_replay(struct hw_bench *b, unsigned int queue)
{
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(queue)];

	smp_store_release(&ring->replay, ring->replay + 1);	/* page tables */
	vsvm_hw_run(b->hw, BENCH_QUEUE(queue));
}

/* Cancels all that is queued. */
void hw_bench_cancel(struct hw_bench *b, unsigned int engine)
{
	struct vsvm_hw_ring *ring = &b->shared->ring[engine];

	WRITE_ONCE(ring->cancel, READ_ONCE(ring->head));
}

void hw_bench_expect_stalled(struct hw_bench *b, struct vsvm_hw_fault *fault)
{
	const struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];

	KUNIT_ASSERT_TRUE(b->test, hw_bench_fault(b, fault));
	KUNIT_EXPECT_FALSE(b->test, hw_bench_fault(b, &(struct vsvm_hw_fault){ }));
	KUNIT_EXPECT_EQ(b->test, fault->queue, 0);
	KUNIT_EXPECT_EQ(b->test, fault->index, ring->tail);
	KUNIT_EXPECT_EQ(b->test, fault->generation, ring->generation);
	KUNIT_EXPECT_EQ(b->test, ring->stalled, 1);
	/* A doorbell without a replay changes nothing, and reports nothing. */
	vsvm_hw_run(b->hw, BENCH_QUEUE(0));
	KUNIT_EXPECT_FALSE(b->test, hw_bench_fault(b, &(struct vsvm_hw_fault){ }));
}

/* System memory page of page @i of a window: 7 and 40 have no common factor. */
u64 hw_window_offset(u64 va)
{
	const u64 base = va >= SRC_VA ? SRC_VA : DST_VA;
	const u64 page = (va - base) / PAGE;

	return (va >= SRC_VA ? LARGE : 0) + page * 7 % (WINDOW_SIZE / PAGE) * PAGE;
}

/* With what an access of that kind needs. */
void hw_window_map(struct hw_bench *b, u64 va, u32 access)
{
	static const u64 bits[] = {
		[VSVM_HW_READ] = 0,
		[VSVM_HW_WRITE] = PTE_RW,
		[VSVM_HW_ATOMIC] = PTE_RWA,
	};

	hw_bench_map(b, 0, va, PTE_SYSTEM(hw_window_offset(va)) | bits[access]);
}

void hw_window_unmap_all(struct hw_bench *b)
{
	u64 i;

	for (i = 0; i < WINDOW_SIZE; i += PAGE) {
		hw_bench_map(b, 0, DST_VA + i, 0);
		hw_bench_map(b, 0, SRC_VA + i, 0);
	}
	hw_bench_invalidate(b, 0, 0, ~0ull);
}

void hw_window_map_all(struct hw_bench *b)
{
	u64 i;

	for (i = 0; i < WINDOW_SIZE; i += PAGE) {
		hw_window_map(b, DST_VA + i, VSVM_HW_ATOMIC);
		hw_window_map(b, SRC_VA + i, VSVM_HW_READ);
	}
}

void hw_random_init(struct hw_random *r, struct kunit *test)
{
#ifdef __KERNEL__
	r->state = seed ? seed : get_random_u32();
#else
	r->state = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) :
				    (u64)time(NULL);
#endif
	kunit_info(test, "seed %llu\n", (unsigned long long)r->state);
	r->state ^= 0x9e3779b97f4a7c15ull;
}

/* xorshift64* */
u64 hw_random(struct hw_random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dull;
}

void hw_random_bytes(struct hw_random *r, void *p, u64 len)
{
	u8 *byte = p;
	u64 i;

	for (i = 0; i < len; i++)
		byte[i] = hw_random(r) >> 56;
}

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("KUnit tests of vsvm");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

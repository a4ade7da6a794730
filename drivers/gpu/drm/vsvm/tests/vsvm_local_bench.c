// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include "vsvm_local_bench.h"

const struct vsvm_hw_cmd local_to_vram = {
	.op = VSVM_HW_COPY,
	.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
		 VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
	.len = LOCAL_SIZE,
};

static void local_irq(void *data, unsigned int vector)
{
	struct local_bench *l = data;

	atomic_inc(&l->irqs[vector]);
	wake_up_all(&l->wait);
}

void local_push(struct local_bench *l, unsigned int engine,
		const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_ring *ring = &l->t->shared->ring[engine];

	l->t->shared->cmd[ring->first + ring->head % ring->size] = *cmd;
	smp_store_release(&ring->head, ring->head + 1);	/* the slot */
	vsvm_transport_doorbell(l->t, engine);
}

bool local_done(struct local_bench *l, unsigned int engine)
{
	struct vsvm_hw_ring *ring = &l->t->shared->ring[engine];

	/* Acquire: the slots. */
	return smp_load_acquire(&ring->tail) == ring->head;
}

u32 local_wait(struct local_bench *l, unsigned int engine)
{
	struct vsvm_hw_ring *ring = &l->t->shared->ring[engine];
	long left = wait_event_timeout(l->wait, local_done(l, engine), 20 * HZ);

	KUNIT_ASSERT_GT(l->test, left, 0);
	return l->t->shared->cmd[ring->first + (ring->head - 1) % ring->size].status;
}

u32 local_do(struct local_bench *l, unsigned int engine,
	     const struct vsvm_hw_cmd *cmd)
{
	local_push(l, engine, cmd);
	return local_wait(l, engine);
}

void local_bench_create(struct local_bench *l, struct device *dev)
{
	const struct vsvm_hw_cmd mark = {
		.op = VSVM_HW_MARK, .flags = VSVM_HW_CMD_IRQ, .len = 2 * LOCAL_SIZE,
		.arg = 1,
	};

	l->t = vsvm_local_create(dev, &l->config, local_irq, l);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(l->test, l->t);
	KUNIT_ASSERT_EQ(l->test, local_do(l, VSVM_HW_PAGING, &mark), VSVM_HW_OK);
}

void local_bench_destroy(struct local_bench *l)
{
	if (!IS_ERR_OR_NULL(l->t))
		l->t->ops->destroy(l->t);
	l->t = NULL;
}

void local_bench_begin(struct local_bench *l, struct kunit *test,
		       struct device *dev, unsigned int link)
{
	l->test = test;
	l->dev = dev;
	init_waitqueue_head(&l->wait);
	KUNIT_ASSERT_EQ(test, dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64)), 0);
	l->config.vram_size = LOCAL_VRAM;
	l->config.link = link;
	local_bench_create(l, dev);
	l->pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, LOCAL_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, l->pages);
	l->dma = dma_map_page(dev, l->pages, 0, LOCAL_SIZE, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, l->dma));
}

void local_bench_end(struct local_bench *l)
{
	local_bench_destroy(l);
	if (l->dma)
		dma_unmap_page(l->dev, l->dma, LOCAL_SIZE, DMA_BIDIRECTIONAL);
	if (l->pages)
		__free_pages(l->pages, LOCAL_ORDER);
}

void local_start_chase(struct local_bench *l, unsigned int queue, u64 leaf)
{
	const struct vsvm_hw_cmd root = {
		.op = VSVM_HW_SET_ROOT, .flags = VSVM_HW_CMD_IRQ, .arg = queue,
	};
	const struct vsvm_hw_cmd chase = {
		.op = VSVM_HW_K_CHASE, .flags = VSVM_HW_CMD_IRQ, .dst = LOCAL_VA + 64,
		.src = LOCAL_VA, .arg = 8,
	};
	u64 *mem = page_address(l->pages);
	struct vsvm_hw_cmd cmd = local_to_vram;
	int level;

	memset(mem, 0, LOCAL_SIZE);
	for (level = VSVM_PT_LEVELS - 1; level >= 0; level--) {
		const u64 table = VSVM_PT_LEVELS - 1 - level;

		mem[table * VSVM_PT_ENTRIES + VSVM_PT_INDEX(LOCAL_VA, level)] =
			level ? (table + 1) * VSVM_HW_PAGE_SIZE | VSVM_PTE_VALID : leaf;
	}
	mem[VSVM_PT_LEVELS * VSVM_PT_ENTRIES] = LOCAL_VA;
	cmd.src = l->dma;
	KUNIT_ASSERT_EQ(l->test, local_do(l, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(l->test, local_do(l, VSVM_HW_PAGING, &root), VSVM_HW_OK);
	local_push(l, VSVM_HW_QUEUE0 + queue, &chase);
}

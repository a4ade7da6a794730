// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The local transport: real pages by their DMA addresses, workers that are
 * rung, reset and taken away while they are busy.
 */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/wait.h>

#include "../vsvm_transport.h"

#define LOCAL_VRAM	(4ull << 20)
#define LOCAL_ORDER	3
#define LOCAL_SIZE	(PAGE_SIZE << LOCAL_ORDER)
#define LOCAL_VA	0x7f0000000000ull

struct local_test {
	struct kunit *test;
	struct device *dev;
	struct vsvm_transport *t;
	wait_queue_head_t wait;
	atomic_t irqs[VSVM_HW_NUM_VECTORS];
	struct page *pages;
	dma_addr_t dma;
};

/* The whole buffer to the start of VRAM. */
static const struct vsvm_hw_cmd to_vram = {
	.op = VSVM_HW_COPY,
	.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
		 VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
	.len = LOCAL_SIZE,
};

static void local_irq(void *data, unsigned int vector)
{
	struct local_test *l = data;

	atomic_inc(&l->irqs[vector]);
	wake_up_all(&l->wait);
}

static void local_push(struct local_test *l, unsigned int engine,
		       const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_ring *ring = &l->t->shared->ring[engine];

	l->t->shared->cmd[ring->first + ring->head % ring->size] = *cmd;
	smp_store_release(&ring->head, ring->head + 1);	/* the slot */
	vsvm_transport_doorbell(l->t, engine);
}

static bool local_done(struct vsvm_hw_ring *ring)
{
	/* Acquire: the slots. */
	return smp_load_acquire(&ring->tail) == ring->head;
}

/* Status of the last command of @engine, once all of them are done. */
static u32 local_wait(struct local_test *l, unsigned int engine)
{
	struct vsvm_hw_ring *ring = &l->t->shared->ring[engine];
	long left = wait_event_timeout(l->wait, local_done(ring), 20 * HZ);

	KUNIT_ASSERT_GT(l->test, left, 0);
	return l->t->shared->cmd[ring->first + (ring->head - 1) % ring->size].status;
}

static u32 local_do(struct local_test *l, unsigned int engine,
		    const struct vsvm_hw_cmd *cmd)
{
	local_push(l, engine, cmd);
	return local_wait(l, engine);
}

/* Hardware for @dev, with as much VRAM in use as the tests need. */
static void local_create(struct local_test *l, struct device *dev)
{
	const struct vsvm_hw_cmd mark = {
		.op = VSVM_HW_MARK, .flags = VSVM_HW_CMD_IRQ, .len = 2 * LOCAL_SIZE,
		.arg = 1,
	};

	l->t = vsvm_local_create(dev, LOCAL_VRAM, local_irq, l);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(l->test, l->t);
	KUNIT_ASSERT_EQ(l->test, local_do(l, VSVM_HW_PAGING, &mark), VSVM_HW_OK);
}

static int local_init(struct kunit *test)
{
	struct local_test *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->test = test;
	init_waitqueue_head(&l->wait);
	l->dev = kunit_device_register(test, "vsvm-local");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, l->dev);
	KUNIT_ASSERT_EQ(test, dma_set_mask_and_coherent(l->dev, DMA_BIT_MASK(64)), 0);
	test->priv = l;
	local_create(l, l->dev);
	l->pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, LOCAL_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, l->pages);
	l->dma = dma_map_page(l->dev, l->pages, 0, LOCAL_SIZE, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(l->dev, l->dma));
	return 0;
}

static void local_exit(struct kunit *test)
{
	struct local_test *l = test->priv;

	if (!l)
		return;
	if (!IS_ERR_OR_NULL(l->t))
		l->t->ops->destroy(l->t);
	if (l->dma)
		dma_unmap_page(l->dev, l->dma, LOCAL_SIZE, DMA_BIDIRECTIONAL);
	if (l->pages)
		__free_pages(l->pages, LOCAL_ORDER);
}

static void local_sizes(struct kunit *test)
{
	struct local_test *l = test->priv;
	static const u64 wrong[] = { 0, 8, PAGE_SIZE + 8, 1ull << 60 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_TRUE(test, IS_ERR(vsvm_local_create(l->dev, wrong[i],
								 local_irq, l)));
	KUNIT_EXPECT_EQ(test, l->t->vram_size, LOCAL_VRAM);
	KUNIT_EXPECT_EQ(test, l->t->shared->vram_size, LOCAL_VRAM);
	KUNIT_EXPECT_EQ(test, l->t->shared->magic, VSVM_HW_MAGIC);
	KUNIT_EXPECT_TRUE(test, l->t->ops->alive(l->t));
}

static void local_copy(struct kunit *test)
{
	struct local_test *l = test->priv;
	u8 *mem = page_address(l->pages);
	struct vsvm_hw_cmd cmd = to_vram;
	unsigned long i;

	for (i = 0; i < LOCAL_SIZE; i++)
		mem[i] = i * 7 + i / PAGE_SIZE;
	cmd.src = l->dma;
	KUNIT_EXPECT_EQ(test, local_do(l, VSVM_HW_COPY_TO_VRAM, &cmd), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, atomic_read(&l->irqs[VSVM_HW_VEC_TO_VRAM]), 1);
	memset(mem, 0, LOCAL_SIZE);
	cmd.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
		    VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM);
	cmd.dst = l->dma + 3;
	cmd.src = 3;
	cmd.len = LOCAL_SIZE - 5;
	KUNIT_EXPECT_EQ(test, local_do(l, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	for (i = 3; i < LOCAL_SIZE - 2; i++)
		KUNIT_ASSERT_EQ(test, mem[i], (u8)(i * 7 + i / PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, mem[2], 0);
	KUNIT_EXPECT_EQ(test, mem[LOCAL_SIZE - 2], 0);
}

/* Numbers that are no memory: devices, holes, nothing at all. */
static void local_bad_addresses(struct kunit *test)
{
	struct local_test *l = test->priv;
	static const u64 bad[] = {
		0xa0000, 0xfec00000, 0xfee00000, 1ull << 45, 1ull << 62, ~0xfffull,
	};
	struct vsvm_hw_cmd cmd = to_vram;
	unsigned int i;

	cmd.len = 8;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		cmd.src = bad[i];
		KUNIT_EXPECT_EQ_MSG(test, local_do(l, VSVM_HW_COPY_TO_VRAM, &cmd),
				    VSVM_HW_ERR_DMA, "%#llx", bad[i]);
	}
}

/* Any device that has one; its own use of it is not disturbed. */
static struct device *local_iommu_device(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		struct iommu_domain *domain = iommu_get_domain_for_dev(&pdev->dev);

		if (domain && domain->type & __IOMMU_DOMAIN_PAGING)
			return &pdev->dev;
	}
	return NULL;
}

static void local_iommu_copy(struct local_test *l, struct scatterlist *sg)
{
	struct vsvm_hw_cmd cmd = to_vram;
	u8 *mem = page_address(l->pages);
	unsigned long i, num = sg_dma_len(sg);

	for (i = 0; i < LOCAL_SIZE; i++)
		mem[i] = i * 7 + i / PAGE_SIZE;
	cmd.src = sg_dma_address(sg);
	cmd.len = num;
	KUNIT_EXPECT_EQ(l->test, local_do(l, VSVM_HW_COPY_TO_VRAM, &cmd), VSVM_HW_OK);
	memset(mem, 0, LOCAL_SIZE);
	cmd.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
		    VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM);
	cmd.src = 8;
	cmd.dst = sg_dma_address(sg) + 8;
	cmd.len = num - 16;
	KUNIT_EXPECT_EQ(l->test, local_do(l, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	/* The pages are mapped from the last to the first. */
	for (i = 8; i < num - 8; i++) {
		const unsigned long at = LOCAL_SIZE - PAGE_SIZE * (1 + i / PAGE_SIZE) +
					 i % PAGE_SIZE;

		KUNIT_ASSERT_EQ(l->test, mem[at], (u8)(at * 7 + at / PAGE_SIZE));
	}
}

/* Neighbours for the device that are none in memory, and then nothing. */
static void local_iommu(struct kunit *test)
{
	const unsigned int num = 1 << LOCAL_ORDER;
	struct local_test *l = test->priv;
	struct device *dev = local_iommu_device();
	struct scatterlist sg[1 << LOCAL_ORDER];
	struct vsvm_hw_cmd cmd = to_vram;
	int i;

	if (!dev)
		kunit_skip(test, "no device with an IOMMU");
	l->t->ops->destroy(l->t);
	local_create(l, dev);
	sg_init_table(sg, num);
	for (i = 0; i < num; i++)
		sg_set_page(&sg[i], l->pages + num - 1 - i, PAGE_SIZE, 0);
	i = dma_map_sg(dev, sg, num, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, i, 1);
	local_iommu_copy(l, sg);
	cmd.src = sg_dma_address(sg);
	cmd.len = 8;
	dma_unmap_sg(dev, sg, num, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, local_do(l, VSVM_HW_COPY_TO_VRAM, &cmd), VSVM_HW_ERR_DMA);
	put_device(dev);
}

static void local_all_engines(struct kunit *test)
{
	struct local_test *l = test->priv;
	const struct vsvm_hw_cmd nop = { .op = VSVM_HW_NOP, .flags = VSVM_HW_CMD_IRQ };
	unsigned int i, k;

	for (i = 0; i < VSVM_HW_QUEUE_RING; i++)
		for (k = 0; k < VSVM_HW_NUM_ENGINES; k++)
			local_push(l, k, &nop);
	for (k = 0; k < VSVM_HW_NUM_ENGINES; k++)
		KUNIT_EXPECT_EQ(test, local_wait(l, k), VSVM_HW_OK);
}

/* A page that holds a list without end, by tables at the start of VRAM. */
static void local_start_chase(struct local_test *l, unsigned int queue)
{
	const struct vsvm_hw_cmd root = {
		.op = VSVM_HW_SET_ROOT, .flags = VSVM_HW_CMD_IRQ, .arg = queue,
	};
	const struct vsvm_hw_cmd chase = {
		.op = VSVM_HW_K_CHASE, .flags = VSVM_HW_CMD_IRQ, .dst = LOCAL_VA + 64,
		.src = LOCAL_VA, .arg = 8,
	};
	u64 *mem = page_address(l->pages);
	struct vsvm_hw_cmd cmd = to_vram;
	int level;

	memset(mem, 0, LOCAL_SIZE);
	for (level = VSVM_PT_LEVELS - 1; level >= 0; level--) {
		const u64 table = VSVM_PT_LEVELS - 1 - level;

		mem[table * VSVM_PT_ENTRIES + VSVM_PT_INDEX(LOCAL_VA, level)] =
			(table + 1) * VSVM_HW_PAGE_SIZE | VSVM_PTE_VALID | VSVM_PTE_WRITE;
	}
	mem[VSVM_PT_LEVELS * VSVM_PT_ENTRIES] = LOCAL_VA;
	cmd.src = l->dma;
	KUNIT_ASSERT_EQ(l->test, local_do(l, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(l->test, local_do(l, VSVM_HW_PAGING, &root), VSVM_HW_OK);
	local_push(l, VSVM_HW_QUEUE0 + queue, &chase);
}

static void local_cancel(struct kunit *test)
{
	struct local_test *l = test->priv;
	struct vsvm_hw_ring *ring = &l->t->shared->ring[VSVM_HW_QUEUE0 + 5];

	local_start_chase(l, 5);
	KUNIT_EXPECT_EQ(test, wait_event_timeout(l->wait, local_done(ring), HZ / 20), 0);
	WRITE_ONCE(ring->cancel, ring->head);
	vsvm_transport_doorbell(l->t, VSVM_HW_QUEUE0 + 5);
	KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_QUEUE0 + 5), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, atomic_read(&l->irqs[VSVM_HW_VEC_FAULT]), 0);
}

/* Stops a kernel without end; what is queued goes on from there. */
static void local_reset(struct kunit *test)
{
	struct local_test *l = test->priv;
	struct vsvm_hw_ring *ring = &l->t->shared->ring[VSVM_HW_QUEUE0];
	unsigned int i;

	for (i = 0; i < 20; i++) {
		local_start_chase(l, 0);
		WRITE_ONCE(ring->generation, i + 1);
		WRITE_ONCE(ring->cancel, ring->head);
		l->t->ops->reset(l->t, VSVM_HW_QUEUE0);
		KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_QUEUE0), VSVM_HW_ERR_CANCELLED);
	}
	/* As it goes on, the command is simply begun anew. */
	local_start_chase(l, 0);
	l->t->ops->reset(l->t, VSVM_HW_QUEUE0);
	KUNIT_EXPECT_EQ(test, wait_event_timeout(l->wait, local_done(ring), HZ / 20), 0);
	/* Left running: destroy must cope. */
}

static void local_destroy_busy(struct kunit *test)
{
	struct local_test *l = test->priv;
	unsigned int i, q;

	for (q = 0; q < 4; q++)
		local_start_chase(l, q);
	for (i = 0; i < 100; i++) {
		struct vsvm_hw_cmd cmd = to_vram;

		cmd.src = l->dma;
		cmd.dst = LOCAL_SIZE;
		local_push(l, VSVM_HW_COPY_TO_VRAM, &cmd);
	}
}

static struct kunit_case local_cases[] = {
	KUNIT_CASE(local_sizes),
	KUNIT_CASE(local_copy),
	KUNIT_CASE(local_bad_addresses),
	KUNIT_CASE(local_iommu),
	KUNIT_CASE(local_all_engines),
	KUNIT_CASE(local_cancel),
	KUNIT_CASE(local_reset),
	KUNIT_CASE(local_destroy_busy),
	{ }
};

static struct kunit_suite local_suite = {
	.name = "vsvm_local",
	.init = local_init,
	.exit = local_exit,
	.test_cases = local_cases,
};

kunit_test_suite(local_suite);

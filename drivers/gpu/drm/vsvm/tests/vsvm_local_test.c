// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The local transport: real pages by their DMA addresses, workers that are
 * rung, reset and taken away while they are busy.
 */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/wait.h>

#include "vsvm_local_bench.h"

static int local_init(struct kunit *test)
{
	struct local_bench *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);
	struct device *dev = kunit_device_register(test, "vsvm-local");

	KUNIT_ASSERT_NOT_NULL(test, l);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	test->priv = l;
	local_bench_begin(l, test, dev, VSVM_NO_LINK);
	return 0;
}

static void local_exit(struct kunit *test)
{
	if (test->priv)
		local_bench_end(test->priv);
}

static void no_irq(void *data, unsigned int vector)
{
}

static void local_sizes(struct kunit *test)
{
	struct local_bench *l = test->priv;
	static const u64 wrong[] = { 0, 8, PAGE_SIZE + 8, 1ull << 60 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct vsvm_transport_config config = {
			.vram_size = wrong[i], .link = VSVM_NO_LINK,
		};

		KUNIT_EXPECT_TRUE(test, IS_ERR(vsvm_local_create(l->dev, &config, no_irq, l)));
	}
	KUNIT_EXPECT_EQ(test, l->t->vram_size, LOCAL_VRAM);
	KUNIT_EXPECT_EQ(test, l->t->shared->vram_size, LOCAL_VRAM);
	KUNIT_EXPECT_EQ(test, l->t->shared->magic, VSVM_HW_MAGIC);
	KUNIT_EXPECT_TRUE(test, l->t->ops->alive(l->t));
}

static void local_copy(struct kunit *test)
{
	struct local_bench *l = test->priv;
	u8 *mem = page_address(l->pages);
	struct vsvm_hw_cmd cmd = local_to_vram;
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
	struct local_bench *l = test->priv;
	static const u64 bad[] = {
		0xa0000, 0xfec00000, 0xfee00000, 1ull << 45, 1ull << 62, ~0xfffull,
	};
	struct vsvm_hw_cmd cmd = local_to_vram;
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

static void local_iommu_copy(struct local_bench *l, struct scatterlist *sg)
{
	struct vsvm_hw_cmd cmd = local_to_vram;
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
	struct local_bench *l = test->priv;
	struct device *dev = local_iommu_device();
	struct scatterlist sg[1 << LOCAL_ORDER];
	struct vsvm_hw_cmd cmd = local_to_vram;
	int i;

	if (!dev)
		kunit_skip(test, "no device with an IOMMU");
	local_bench_destroy(l);
	local_bench_create(l, dev);
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
	struct local_bench *l = test->priv;
	const struct vsvm_hw_cmd nop = { .op = VSVM_HW_NOP, .flags = VSVM_HW_CMD_IRQ };
	unsigned int i, k;

	for (i = 0; i < VSVM_HW_QUEUE_RING; i++)
		for (k = 0; k < VSVM_HW_NUM_ENGINES; k++)
			local_push(l, k, &nop);
	for (k = 0; k < VSVM_HW_NUM_ENGINES; k++)
		KUNIT_EXPECT_EQ(test, local_wait(l, k), VSVM_HW_OK);
}

static void local_cancel(struct kunit *test)
{
	struct local_bench *l = test->priv;
	struct vsvm_hw_ring *ring = &l->t->shared->ring[VSVM_HW_QUEUE0 + 5];

	local_start_chase(l, 5, LOCAL_CHASE_LEAF);
	KUNIT_EXPECT_EQ(test, wait_event_timeout(l->wait, local_done(l, VSVM_HW_QUEUE0 + 5),
						 HZ / 20), 0);
	WRITE_ONCE(ring->cancel, ring->head);
	vsvm_transport_doorbell(l->t, VSVM_HW_QUEUE0 + 5);
	KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_QUEUE0 + 5), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, atomic_read(&l->irqs[VSVM_HW_VEC_FAULT]), 0);
}

/* Stops a kernel without end; what is queued goes on from there. */
static void local_reset(struct kunit *test)
{
	struct local_bench *l = test->priv;
	struct vsvm_hw_ring *ring = &l->t->shared->ring[VSVM_HW_QUEUE0];
	unsigned int i;

	for (i = 0; i < 20; i++) {
		local_start_chase(l, 0, LOCAL_CHASE_LEAF);
		WRITE_ONCE(ring->generation, i + 1);
		WRITE_ONCE(ring->cancel, ring->head);
		l->t->ops->reset(l->t, VSVM_HW_QUEUE0);
		KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_QUEUE0), VSVM_HW_ERR_CANCELLED);
	}
	/* As it goes on, the command is simply begun anew. */
	local_start_chase(l, 0, LOCAL_CHASE_LEAF);
	l->t->ops->reset(l->t, VSVM_HW_QUEUE0);
	KUNIT_EXPECT_EQ(test, wait_event_timeout(l->wait, local_done(l, VSVM_HW_QUEUE0),
						 HZ / 20), 0);
	/* Left running: destroy must cope. */
}

/*
 * The model by the real clock: the buffer takes 33 ms, however fast memory is,
 * and both channels are at it at a time. How much later it ends is up to what
 * else the machine has to do.
 */
static void local_pace(struct kunit *test)
{
	struct local_bench *l = test->priv;
	struct vsvm_hw_cmd cmd = local_to_vram;
	u64 start, ns;

	local_bench_destroy(l);
	l->config.copy_bytes_per_s = 1000000;
	l->config.copy_latency_ns = 50000000;
	local_bench_create(l, l->dev);
	cmd.src = l->dma;
	start = ktime_get_ns();
	local_push(l, VSVM_HW_COPY_TO_VRAM, &cmd);
	cmd.dst = LOCAL_SIZE;
	local_push(l, VSVM_HW_COPY_FROM_VRAM, &cmd);
	KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_COPY_TO_VRAM), VSVM_HW_OK);
	ns = ktime_get_ns() - start;
	KUNIT_EXPECT_GT(test, ns, 50000000 + LOCAL_SIZE * 1000 - 1);
	KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_COPY_FROM_VRAM), VSVM_HW_OK);
	/* One after the other would be 165 ms. */
	kunit_info(test, "82.8 ms by the model, %llu us by the clock\n", div_u64(ns, 1000));
}

/* A copy of half a minute ends when it is cancelled, reset, or its device goes. */
static void local_pace_ends(struct kunit *test)
{
	struct local_bench *l = test->priv;
	struct vsvm_hw_ring *ring;
	struct vsvm_hw_cmd cmd = local_to_vram;
	u64 start;

	local_bench_destroy(l);
	l->config.copy_bytes_per_s = 1000;
	local_bench_create(l, l->dev);
	ring = &l->t->shared->ring[VSVM_HW_COPY_TO_VRAM];
	cmd.src = l->dma;
	start = ktime_get_ns();
	local_push(l, VSVM_HW_COPY_TO_VRAM, &cmd);
	/* Meanwhile the other channel is free. */
	cmd.len = 8;
	KUNIT_EXPECT_EQ(test, local_do(l, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	cmd.len = LOCAL_SIZE;
	KUNIT_EXPECT_FALSE(test, local_done(l, VSVM_HW_COPY_TO_VRAM));
	WRITE_ONCE(ring->cancel, ring->head);
	KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_COPY_TO_VRAM), VSVM_HW_ERR_CANCELLED);
	local_push(l, VSVM_HW_COPY_TO_VRAM, &cmd);
	WRITE_ONCE(ring->cancel, ring->head);
	l->t->ops->reset(l->t, VSVM_HW_COPY_TO_VRAM);
	KUNIT_EXPECT_EQ(test, local_wait(l, VSVM_HW_COPY_TO_VRAM), VSVM_HW_ERR_CANCELLED);
	local_push(l, VSVM_HW_COPY_TO_VRAM, &cmd);
	local_bench_destroy(l);
	KUNIT_EXPECT_LT(test, ktime_get_ns() - start, 10 * NSEC_PER_SEC);
}

static void local_fault_entries(struct kunit *test)
{
	struct local_bench *l = test->priv;

	KUNIT_EXPECT_EQ(test, l->t->shared->fifo.size, VSVM_HW_FAULT_RING);
	local_bench_destroy(l);
	l->config.fault_entries = 3;
	local_bench_create(l, l->dev);
	KUNIT_EXPECT_EQ(test, l->t->shared->fifo.size, 3);
}

static void local_destroy_busy(struct kunit *test)
{
	struct local_bench *l = test->priv;
	unsigned int i, q;

	for (q = 0; q < 4; q++)
		local_start_chase(l, q, LOCAL_CHASE_LEAF);
	for (i = 0; i < 100; i++) {
		struct vsvm_hw_cmd cmd = local_to_vram;

		cmd.src = l->dma;
		cmd.dst = LOCAL_SIZE;
		local_push(l, VSVM_HW_COPY_TO_VRAM, &cmd);
	}
}

#define LOCAL_HOGS	8

/* Wants a processor, all of it. */
static int local_hog(void *unused)
{
	while (!kthread_should_stop())
		cond_resched();
	return 0;
}

static void local_spin_all(struct local_bench *l)
{
	struct vsvm_hw_cmd root = {
		.op = VSVM_HW_SET_ROOT, .flags = VSVM_HW_CMD_IRQ,
		.src = VSVM_HW_NUM_QUEUES,
	};
	struct vsvm_hw_cmd chase;
	unsigned int i;

	local_start_chase(l, 0, LOCAL_CHASE_LEAF);
	chase = l->t->shared->cmd[l->t->shared->ring[VSVM_HW_QUEUE0].first];
	KUNIT_ASSERT_EQ(l->test, local_do(l, VSVM_HW_PAGING, &root), VSVM_HW_OK);
	for (i = 1; i < VSVM_HW_NUM_QUEUES; i++)
		local_push(l, VSVM_HW_QUEUE0 + i, &chase);
}

/* ns at worst; the first few may be luck. */
static u64 local_worst(struct local_bench *l, const struct vsvm_hw_cmd *cmd)
{
	u64 worst = 0, begin;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		begin = ktime_get_ns();
		KUNIT_EXPECT_EQ(l->test, local_do(l, VSVM_HW_PAGING, cmd), VSVM_HW_OK);
		worst = max(worst, ktime_get_ns() - begin);
	}
	return worst;
}

/*
 * Every queue spins, and so do others on every processor: an invalidation takes
 * no longer than a slice of each queue. Who waits for it wants a processor, too,
 * so there is more to the clock than that.
 */
static void local_invalidate_busy(struct kunit *test)
{
	struct local_bench *l = test->priv;
	struct task_struct *hog[LOCAL_HOGS];
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_TLB_INVALIDATE, .flags = VSVM_HW_CMD_IRQ,
		.dst = LOCAL_VA, .len = VSVM_HW_PAGE_SIZE, .src = 4,
	};
	unsigned int i;
	u64 ns[2];

	local_spin_all(l);
	for (i = 0; i < LOCAL_HOGS; i++)
		hog[i] = kthread_run(local_hog, NULL, "vsvm-hog/%u", i);
	msleep(200);
	ns[0] = local_worst(l, &cmd);
	cmd.src = VSVM_HW_NUM_QUEUES;
	ns[1] = local_worst(l, &cmd);
	for (i = 0; i < LOCAL_HOGS; i++)
		if (!IS_ERR(hog[i]))
			kthread_stop(hog[i]);
	kunit_info(test, "4 queues: %llu us at worst, all of them: %llu us\n",
		   div_u64(ns[0], 1000), div_u64(ns[1], 1000));
	KUNIT_EXPECT_LT(test, ns[0], NSEC_PER_SEC);
	KUNIT_EXPECT_LT(test, ns[1], 3 * NSEC_PER_SEC);
}

static struct kunit_case local_cases[] = {
	KUNIT_CASE(local_sizes),
	KUNIT_CASE(local_copy),
	KUNIT_CASE(local_bad_addresses),
	KUNIT_CASE(local_iommu),
	KUNIT_CASE(local_all_engines),
	KUNIT_CASE(local_cancel),
	KUNIT_CASE(local_reset),
	KUNIT_CASE(local_pace),
	KUNIT_CASE(local_pace_ends),
	KUNIT_CASE(local_fault_entries),
	KUNIT_CASE(local_destroy_busy),
	KUNIT_CASE(local_invalidate_busy),
	{ }
};

static struct kunit_suite local_suite = {
	.name = "vsvm_local",
	.init = local_init,
	.exit = local_exit,
	.test_cases = local_cases,
};

kunit_test_suite(local_suite);

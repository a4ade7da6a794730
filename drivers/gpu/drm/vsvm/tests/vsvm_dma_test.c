// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Memory that is not mapped for DMA is out of the hardware's reach, on a
 * platform device without an IOMMU.
 */
#include <kunit/platform_device.h>
#include <linux/dma-map-ops.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>

#include "../vsvm_dma.h"
#include "vsvm_local_bench.h"

#define DMA_TEST_NAME	"vsvm-dma-test"

struct dma_test {
	struct local_bench l;
	struct platform_device *pdev;
};

static int dma_test_probe(struct platform_device *pdev)
{
	int err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));

	return err ?: vsvm_dma_track(&pdev->dev);
}

static struct platform_driver dma_test_driver = {
	.probe = dma_test_probe,
	.driver.name = DMA_TEST_NAME,
};

static int dma_test_init(struct kunit *test)
{
	struct dma_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	KUNIT_ASSERT_EQ(test, kunit_platform_driver_register(test, &dma_test_driver), 0);
	t->pdev = kunit_platform_device_alloc(test, DMA_TEST_NAME, PLATFORM_DEVID_NONE);
	KUNIT_ASSERT_NOT_NULL(test, t->pdev);
	KUNIT_ASSERT_EQ(test, kunit_platform_device_add(test, t->pdev), 0);
	KUNIT_ASSERT_TRUE(test, device_is_bound(&t->pdev->dev));
	if (!vsvm_dma_of(&t->pdev->dev))
		kunit_skip(test, "mappings are not counted here");
	test->priv = t;
	local_bench_begin(&t->l, test, &t->pdev->dev, VSVM_NO_LINK);
	return 0;
}

static void dma_test_exit(struct kunit *test)
{
	struct dma_test *t = test->priv;

	if (!t)
		return;
	local_bench_end(&t->l);
	/* All is given back: no warning. */
	device_release_driver(&t->pdev->dev);
	KUNIT_EXPECT_NULL(test, get_dma_ops(&t->pdev->dev));
}

static u32 read_at(struct dma_test *t, u64 addr, u64 len)
{
	struct vsvm_hw_cmd cmd = local_to_vram;

	cmd.src = addr;
	cmd.len = len;
	return local_do(&t->l, VSVM_HW_COPY_TO_VRAM, &cmd);
}

static u32 write_at(struct dma_test *t, u64 addr, u64 len)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY,
		.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
			 VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM),
		.dst = addr, .len = len,
	};

	return local_do(&t->l, VSVM_HW_COPY_FROM_VRAM, &cmd);
}

/* Of the last command that read_at() gave. */
static u64 read_result(struct dma_test *t)
{
	struct vsvm_hw_shared *shared = t->l.t->shared;
	struct vsvm_hw_ring *ring = &shared->ring[VSVM_HW_COPY_TO_VRAM];

	return shared->cmd[ring->first + (ring->head - 1) % ring->size].result;
}

/* The bench's buffer is mapped at first. */
static void unmap_buffer(struct dma_test *t)
{
	dma_unmap_page(t->l.dev, t->l.dma, LOCAL_SIZE, DMA_BIDIRECTIONAL);
	t->l.dma = 0;
}

static void dma_page(struct kunit *test)
{
	struct dma_test *t = test->priv;
	struct device *dev = t->l.dev;
	const u64 addr = t->l.dma;
	dma_addr_t again;

	KUNIT_EXPECT_EQ(test, addr, page_to_phys(t->l.pages));
	KUNIT_EXPECT_EQ(test, read_at(t, addr, LOCAL_SIZE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, write_at(t, addr, LOCAL_SIZE), VSVM_HW_OK);
	/* What is around it is not. */
	KUNIT_EXPECT_EQ(test, read_at(t, addr, LOCAL_SIZE + 8), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, read_result(t), addr + LOCAL_SIZE);
	KUNIT_EXPECT_EQ(test, read_at(t, addr - 8, 16), VSVM_HW_ERR_DMA);
	/* A page that is mapped twice is mapped until both are undone. */
	again = dma_map_page(dev, t->l.pages, PAGE_SIZE + 100, 200, DMA_TO_DEVICE);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, again));
	unmap_buffer(t);
	KUNIT_EXPECT_EQ(test, read_at(t, addr, LOCAL_SIZE), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, read_at(t, again, 200), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, read_at(t, addr + PAGE_SIZE, LOCAL_SIZE - PAGE_SIZE),
			VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, read_result(t), addr + 2 * PAGE_SIZE);
	dma_unmap_page(dev, again, 200, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, read_at(t, again, 200), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, write_at(t, addr, 8), VSVM_HW_ERR_DMA);
}

/* Pages that a few bytes of the mapping are in. */
static void dma_page_edges(struct kunit *test)
{
	struct dma_test *t = test->priv;
	const u64 addr = t->l.dma;
	dma_addr_t edge;

	unmap_buffer(t);
	edge = dma_map_page(t->l.dev, t->l.pages, PAGE_SIZE - 1, PAGE_SIZE + 2,
			    DMA_FROM_DEVICE);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(t->l.dev, edge));
	KUNIT_EXPECT_EQ(test, write_at(t, addr, 3 * PAGE_SIZE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, write_at(t, addr, 3 * PAGE_SIZE + 1), VSVM_HW_ERR_DMA);
	dma_unmap_page(t->l.dev, edge, PAGE_SIZE + 2, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, write_at(t, addr, 1), VSVM_HW_ERR_DMA);
}

static void dma_sg(struct kunit *test)
{
	struct dma_test *t = test->priv;
	const u64 addr = t->l.dma;
	struct scatterlist sg[3];
	int i;

	unmap_buffer(t);
	sg_init_table(sg, ARRAY_SIZE(sg));
	for (i = 0; i < ARRAY_SIZE(sg); i++)
		sg_set_page(&sg[i], t->l.pages + 2 * i, PAGE_SIZE, 0);
	KUNIT_ASSERT_EQ(test, dma_map_sg(t->l.dev, sg, ARRAY_SIZE(sg), DMA_BIDIRECTIONAL),
			ARRAY_SIZE(sg));
	for (i = 0; i < 2 * ARRAY_SIZE(sg); i++)
		KUNIT_EXPECT_EQ(test, read_at(t, addr + i * PAGE_SIZE, PAGE_SIZE),
				i % 2 ? VSVM_HW_ERR_DMA : VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, sg_dma_address(&sg[1]), addr + 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, sg_dma_len(&sg[1]), PAGE_SIZE);
	dma_unmap_sg(t->l.dev, sg, ARRAY_SIZE(sg), DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, read_at(t, addr, PAGE_SIZE), VSVM_HW_ERR_DMA);
}

static void dma_coherent(struct kunit *test)
{
	struct dma_test *t = test->priv;
	const size_t size = 3 * PAGE_SIZE - 100;
	dma_addr_t addr;
	u8 *p;

	p = dma_alloc_coherent(t->l.dev, size, &addr, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE(test, mem_is_zero(p, size));
	KUNIT_EXPECT_EQ(test, write_at(t, addr, size), VSVM_HW_OK);
	KUNIT_EXPECT_FALSE(test, mem_is_zero(p, size));
	dma_free_coherent(t->l.dev, size, p, addr);
	KUNIT_EXPECT_EQ(test, read_at(t, addr, 8), VSVM_HW_ERR_DMA);
}

/* A device's registers count as nothing, neither mapped nor when unmapped. */
static void dma_mmio(struct kunit *test)
{
	struct dma_test *t = test->priv;
	const phys_addr_t phys = 0xfec00000;
	dma_addr_t addr;

	addr = dma_map_resource(t->l.dev, phys, PAGE_SIZE, DMA_BIDIRECTIONAL, 0);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(t->l.dev, addr));
	KUNIT_EXPECT_EQ(test, addr, phys);
	KUNIT_EXPECT_EQ(test, read_at(t, addr, 8), VSVM_HW_ERR_DMA);
	dma_unmap_resource(t->l.dev, addr, PAGE_SIZE, DMA_BIDIRECTIONAL, 0);
}

static void dma_masks(struct kunit *test)
{
	struct dma_test *t = test->priv;

	KUNIT_EXPECT_NE(test, dma_set_mask(t->l.dev, DMA_BIT_MASK(24)), 0);
	KUNIT_EXPECT_FALSE(test, dma_addressing_limited(t->l.dev));
}

/* One mapping too few at the end, and one too many in the middle. */
static void dma_unbalanced(struct kunit *test)
{
	struct dma_test *t = test->priv;
	struct device *dev = t->l.dev;
	const dma_addr_t addr = t->l.dma;

	unmap_buffer(t);
	kunit_warning_suppress(test) {
		/* By the side of the DMA API's own debugging, which sees it, too. */
		get_dma_ops(dev)->unmap_phys(dev, addr, PAGE_SIZE, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, read_at(t, addr, 8), VSVM_HW_ERR_DMA);
	t->l.dma = dma_map_page(dev, t->l.pages, 0, LOCAL_SIZE, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, t->l.dma));
	KUNIT_EXPECT_EQ(test, read_at(t, addr, LOCAL_SIZE), VSVM_HW_OK);
	local_bench_destroy(&t->l);
	kunit_warning_suppress(test) {
		device_release_driver(dev);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	/* The mapping is one of the kernel's ordinary ones now. */
}

static struct kunit_case dma_cases[] = {
	KUNIT_CASE(dma_page),
	KUNIT_CASE(dma_page_edges),
	KUNIT_CASE(dma_sg),
	KUNIT_CASE(dma_coherent),
	KUNIT_CASE(dma_mmio),
	KUNIT_CASE(dma_masks),
	KUNIT_CASE(dma_unbalanced),
	{ }
};

static struct kunit_suite dma_suite = {
	.name = "vsvm_dma",
	.init = dma_test_init,
	.exit = dma_test_exit,
	.test_cases = dma_cases,
};

kunit_test_suite(dma_suite);

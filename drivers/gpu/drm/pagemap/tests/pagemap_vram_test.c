// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Hotplug of VRAM: a page can move there, and when the device goes, it is back
 * in RAM with what was in it.
 */
#include <drm/drm_drv.h>
#include <kunit/device.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "pagemap_mock.h"

#define SEED	37
#define VRAM_SIZE	SZ_4M

struct vram_device {
	struct drm_device drm;
	struct dev_pagemap pages;
	struct drm_pagemap_devmem devmem;
	unsigned long first;		/* page of it */
	u8 *vram;
};

static const struct file_operations vram_fops = { .owner = THIS_MODULE };

static const struct drm_driver vram_driver = {
	.name = "pagemap_vram",
	.desc = "VRAM to test drm_pagemap with",
	.fops = &vram_fops,
};

static int owner;

static void *vram_of(struct page *page)
{
	struct vram_device *vdev =
		container_of(drm_pagemap_page_to_dpagemap(page)->drm,
			     struct vram_device, drm);

	return vdev->vram + (page_to_phys(page) -
			     page_pgmap(page)->range.start);
}

static int vram_copy(struct page **pages, struct drm_pagemap_addr *addr,
		     unsigned long npages, bool to_devmem)
{
	for (unsigned long i = 0; i < npages; i++) {
		void *vram, *ram;

		if (!pages[i])
			continue;
		vram = vram_of(pages[i]);
		ram = phys_to_virt(addr[i].addr);
		memcpy(to_devmem ? vram : ram, to_devmem ? ram : vram,
		       PAGE_SIZE << addr[i].order);
	}

	return 0;
}

static int vram_copy_to_devmem(struct page **pages,
			       struct drm_pagemap_addr *addr,
			       unsigned long npages, struct dma_fence *fence)
{
	return vram_copy(pages, addr, npages, true);
}

static int vram_copy_to_ram(struct page **pages, struct drm_pagemap_addr *addr,
			    unsigned long npages, struct dma_fence *fence)
{
	return vram_copy(pages, addr, npages, false);
}

static int vram_populate(struct drm_pagemap_devmem *devmem,
			 unsigned long npages, unsigned long *pfn)
{
	struct vram_device *vdev = container_of(devmem, struct vram_device,
						devmem);

	for (unsigned long i = 0; i < npages; i++)
		pfn[i] = PHYS_PFN(devmem->dpagemap->pagemap->range.start) +
			 vdev->first + i;

	return 0;
}

static const struct drm_pagemap_devmem_ops vram_devmem_ops = {
	.populate_devmem_pfn = vram_populate,
	.copy_to_devmem = vram_copy_to_devmem,
	.copy_to_ram = vram_copy_to_ram,
};

static unsigned int vram_destroyed;

static void vram_destroy(struct drm_pagemap *dpagemap, bool atomic)
{
	vram_destroyed++;
	kfree(dpagemap);
}

static const struct drm_pagemap_ops vram_ops = {
	.destroy = vram_destroy,
};

static struct vram_device *vram_device(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "pagemap_vram");
	struct vram_device *vdev;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, 0,
			dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64)));
	vdev = devm_drm_dev_alloc(dev, &vram_driver, struct vram_device, drm);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vdev);

	return vdev;
}

static void vram_free(void *vram)
{
	vfree(vram);
}

/* Two pages of the process, in VRAM. */
static unsigned long vram_fill(struct kunit *test, struct vram_device *vdev,
			       struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_migrate_details details = {};
	unsigned long addr, size = 2 * PAGE_SIZE;
	int err;

	addr = pagemap_mock_mmap(test, size, false);
	pagemap_mock_fill(test, addr, size, SEED);
	drm_pagemap_devmem_init(&vdev->devmem, vdev->drm.dev, current->mm,
				&vram_devmem_ops, dpagemap, size, NULL);
	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&vdev->devmem, current->mm, addr,
					    addr + size, &details);
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_EXPECT_NE(test, 0, *(u64 *)(vdev->vram +
					  (vdev->first << PAGE_SHIFT)));

	return addr;
}

struct create_case {
	const char *name;
	unsigned long size;
	unsigned long first;		/* page that is used, and the next one */
	unsigned long range;
};

static const struct create_case create_cases[] = {
	{ "whole blocks", VRAM_SIZE, 0, VRAM_SIZE },
	{ "a block and three pages, the last ones", SZ_2M + 3 * PAGE_SIZE,
	  (SZ_2M >> PAGE_SHIFT) + 1, VRAM_SIZE },
	{ "two pages", 2 * PAGE_SIZE, 0, SZ_2M },
};

KUNIT_ARRAY_PARAM_DESC(create, create_cases, name);

static void create_test(struct kunit *test)
{
	const struct create_case *c = test->param_value;
	struct vram_device *vdev = vram_device(test);
	struct drm_pagemap *dpagemap;
	struct device *dev = vdev->drm.dev;
	unsigned long addr;

	vdev->first = c->first;
	vdev->vram = vzalloc(VRAM_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, vdev->vram);
	/* Behind the device's own resources, which need it to the last. */
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, vram_free,
							   vdev->vram));

	dpagemap = devm_drm_pagemap_create_vram(&vdev->drm, c->size, &owner,
						&vram_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);
	KUNIT_EXPECT_EQ(test, range_len(&dpagemap->pagemap->range), c->range);
	KUNIT_EXPECT_PTR_EQ(test, dpagemap->pagemap->owner, (void *)&owner);
	addr = vram_fill(test, vdev, dpagemap);

	vram_destroyed = 0;
	drm_pagemap_get(dpagemap);
	kunit_device_unregister(test, dev);
	/* A user of the pagemap keeps it, but not the pages. */
	KUNIT_EXPECT_EQ(test, vram_destroyed, 0);
	drm_pagemap_put(dpagemap);
	KUNIT_EXPECT_EQ(test, vram_destroyed, 1);
	pagemap_mock_check(test, addr, 2 * PAGE_SIZE, SEED);
}

struct bad_case {
	const char *name;
	resource_size_t size;
	void *owner;
	int want;
};

static const struct bad_case bad_cases[] = {
	{ "nothing", 0, &owner, -EINVAL },
	{ "less than a page", 512, &owner, -EINVAL },
	{ "a page and a byte", PAGE_SIZE + 1, &owner, -EINVAL },
	{ "too large a number", -(resource_size_t)PAGE_SIZE, &owner, -EINVAL },
	{ "more than there are addresses", 1ull << 62, &owner, -ERANGE },
	{ "no owner", VRAM_SIZE, NULL, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(bad, bad_cases, name);

static void bad_test(struct kunit *test)
{
	struct vram_device *vdev = vram_device(test);
	const struct bad_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, c->want,
			devm_drm_pagemap_add_vram(&vdev->drm, &vdev->pages,
						  c->size, c->owner));
	vram_destroyed = 0;
	KUNIT_EXPECT_EQ(test, c->want, PTR_ERR_OR_ZERO
			(devm_drm_pagemap_create_vram(&vdev->drm, c->size,
						      c->owner, &vram_ops)));
	KUNIT_EXPECT_EQ(test, vram_destroyed, 1);
}

/* The struct pages alone, of an odd size, with operations of the driver's. */
static void add_test(struct kunit *test)
{
	struct vram_device *vdev = vram_device(test);
	struct dev_pagemap *pages = &vdev->pages;
	struct dev_pagemap_ops ops = *drm_pagemap_pagemap_ops_get();
	struct device *dev = vdev->drm.dev;
	u64 start;

	pages->ops = &ops;
	KUNIT_ASSERT_EQ(test, 0, devm_drm_pagemap_add_vram(&vdev->drm, pages,
							   PAGE_SIZE, &owner));
	KUNIT_EXPECT_PTR_EQ(test, pages->ops, &ops);
	KUNIT_EXPECT_GE(test, range_len(&pages->range), PAGE_SIZE);
	start = pages->range.start;
	KUNIT_EXPECT_TRUE(test, pfn_valid(PHYS_PFN(start)));
	KUNIT_EXPECT_TRUE(test, is_device_private_page
			  (pfn_to_page(PHYS_PFN(start))));
	kunit_device_unregister(test, dev);

	/* The range is free again. */
	vdev = vram_device(test);
	KUNIT_ASSERT_EQ(test, 0, devm_drm_pagemap_add_vram(&vdev->drm,
							   &vdev->pages,
							   PAGE_SIZE, &owner));
	KUNIT_EXPECT_EQ(test, vdev->pages.range.start, start);
	KUNIT_EXPECT_PTR_EQ(test, vdev->pages.ops,
			    drm_pagemap_pagemap_ops_get());
}

static struct kunit_case vram_cases[] = {
	KUNIT_CASE_PARAM(create_test, create_gen_params),
	KUNIT_CASE_PARAM(bad_test, bad_gen_params),
	KUNIT_CASE(add_test),
	{}
};

static struct kunit_suite vram_suite = {
	.name = "drm_pagemap_vram",
	.test_cases = vram_cases,
};

kunit_test_suite(vram_suite);

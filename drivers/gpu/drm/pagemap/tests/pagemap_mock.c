// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <linux/dma-mapping.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <kunit/device.h>

#include "pagemap_mock.h"

static const struct file_operations mock_fops = { .owner = THIS_MODULE };

static const struct drm_driver mock_driver = {
	.name = "pagemap_mock",
	.desc = "mock device for drm_pagemap",
	.fops = &mock_fops,
};

static struct pagemap_mock *mock_of_page(struct page *page)
{
	return container_of(page_pgmap(page), struct pagemap_mock, pgmap);
}

static void *mock_vram(struct pagemap_mock *mock, struct page *page)
{
	phys_addr_t base = mock->pgmap.range.start;

	return mock->vram + (page_to_phys(page) - base);
}

static void mock_release(struct drm_pagemap_devmem *devmem)
{
	struct pagemap_mock_chunk *chunk =
		container_of(devmem, struct pagemap_mock_chunk, devmem);

	chunk->released = true;
	chunk->mock->released++;
}

static int mock_populate(struct drm_pagemap_devmem *devmem,
			 unsigned long npages, unsigned long *pfn)
{
	struct pagemap_mock_chunk *chunk =
		container_of(devmem, struct pagemap_mock_chunk, devmem);
	unsigned long base = PHYS_PFN(chunk->mock->pgmap.range.start);

	if (chunk->mock->fail_populate)
		return chunk->mock->fail_populate;

	for (unsigned long i = 0; i < npages; i++)
		pfn[i] = base + chunk->first +
			 (chunk->scattered ? npages - 1 - i : i);
	if (chunk->bad_pfn)
		pfn[npages - 1] = base - 1;

	return 0;
}

static int mock_copy_to_devmem(struct page **pages,
			       struct drm_pagemap_addr *addr,
			       unsigned long npages, struct dma_fence *fence)
{
	for (unsigned long i = 0; i < npages; i++) {
		struct pagemap_mock *mock;
		size_t size;

		if (!pages[i])
			continue;

		mock = mock_of_page(pages[i]);
		if (mock->fail_to_devmem)
			return mock->fail_to_devmem;

		if (!addr[i].addr) {
			size = folio_size(page_folio(pages[i]));
			memset(mock_vram(mock, pages[i]), 0, size);
			mock->cleared += size;
			continue;
		}

		size = PAGE_SIZE << addr[i].order;
		memcpy(mock_vram(mock, pages[i]), phys_to_virt(addr[i].addr),
		       size);
		mock->to_devmem += size;
	}

	return 0;
}

static int mock_copy_to_ram(struct page **pages, struct drm_pagemap_addr *addr,
			    unsigned long npages, struct dma_fence *fence)
{
	for (unsigned long i = 0; i < npages; i++) {
		struct pagemap_mock *mock;
		size_t size;

		if (!pages[i])
			continue;

		mock = mock_of_page(pages[i]);
		if (mock->munmap_size) {
			vm_munmap(mock->munmap_addr, mock->munmap_size);
			mock->munmap_size = 0;
		}

		size = PAGE_SIZE << addr[i].order;
		memcpy(phys_to_virt(addr[i].addr), mock_vram(mock, pages[i]),
		       size);
		/* What a failed copy has written must not be seen. */
		if (mock->fail_to_ram) {
			memset(phys_to_virt(addr[i].addr), 0xee, size);
			return mock->fail_to_ram;
		}
		mock->to_ram += size;
	}

	return 0;
}

static const struct drm_pagemap_devmem_ops mock_devmem_ops = {
	.devmem_release = mock_release,
	.populate_devmem_pfn = mock_populate,
	.copy_to_devmem = mock_copy_to_devmem,
	.copy_to_ram = mock_copy_to_ram,
};

static const struct drm_pagemap_ops mock_ops = {};

static void mock_vfree(void *vram)
{
	vfree(vram);
}

static void mock_put_pagemap(void *dpagemap)
{
	drm_pagemap_put(dpagemap);
}

static void mock_add_pages(struct kunit *test, struct pagemap_mock *mock)
{
	struct device *dev = mock->drm.dev;
	struct resource *res;
	void *addr;

	res = devm_request_free_mem_region(dev, &iomem_resource, MOCK_VRAM_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, res);

	mock->pgmap.type = MEMORY_DEVICE_PRIVATE;
	mock->pgmap.range.start = ALIGN(res->start, PMD_SIZE);
	mock->pgmap.range.end = mock->pgmap.range.start + MOCK_VRAM_SIZE - 1;
	mock->pgmap.nr_range = 1;
	mock->pgmap.ops = drm_pagemap_pagemap_ops_get();
	mock->pgmap.owner = mock;
	addr = devm_memremap_pages(dev, &mock->pgmap);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, addr);
}

/* Goes with the test's device, after the test's address space. */
struct pagemap_mock *pagemap_mock_create(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "pagemap_mock");
	struct pagemap_mock *mock;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64)), 0);

	mock = devm_drm_dev_alloc(dev, &mock_driver, struct pagemap_mock, drm);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock);
	mock->vram = vzalloc(MOCK_VRAM_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, mock->vram);
	KUNIT_ASSERT_EQ(test, 0, devm_add_action_or_reset(dev, mock_vfree,
							  mock->vram));
	/* What nobody has written to must not look right. */
	memset(mock->vram, 0xdd, MOCK_VRAM_SIZE);
	mock_add_pages(test, mock);

	mock->dpagemap = drm_pagemap_create(&mock->drm, &mock->pgmap, &mock_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock->dpagemap);
	KUNIT_ASSERT_EQ(test, 0, devm_add_action_or_reset(dev, mock_put_pagemap,
							  mock->dpagemap));

	return mock;
}

struct pagemap_mock_chunk *pagemap_mock_chunk(struct kunit *test,
					      struct pagemap_mock *mock,
					      unsigned long size)
{
	struct pagemap_mock_chunk *chunk;

	/* On the mock's device: its pages may outlive the test's thread. */
	chunk = devm_kzalloc(mock->drm.dev, sizeof(*chunk), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chunk);

	chunk->mock = mock;
	chunk->scattered = mock->scatter;
	chunk->bad_pfn = mock->bad_pfn;
	chunk->first = ALIGN(mock->next, size >> PAGE_SHIFT);
	mock->next = chunk->first + (size >> PAGE_SHIFT);
	KUNIT_ASSERT_LE(test, mock->next, MOCK_VRAM_SIZE >> PAGE_SHIFT);

	drm_pagemap_devmem_init(&chunk->devmem, mock->drm.dev, current->mm,
				&mock_devmem_ops, mock->dpagemap, size, NULL);

	return chunk;
}

int pagemap_mock_migrate(struct kunit *test, struct pagemap_mock_chunk *chunk,
			 unsigned long start, unsigned long end,
			 unsigned long timeslice_ms)
{
	struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
	};
	int err;

	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&chunk->devmem, current->mm, start,
					    end, &details);
	mmap_read_unlock(current->mm);

	return err;
}

/* A VMA of its own, aligned to a PMD, with THPs allowed or not. */
unsigned long pagemap_mock_mmap(struct kunit *test, unsigned long size,
				bool huge)
{
	struct vm_area_struct *vma;
	unsigned long addr, start;

	addr = kunit_vm_mmap(test, NULL, 0, size + PMD_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	start = ALIGN(addr, PMD_SIZE);
	if (start > addr)
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, start - addr));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(start + size,
					   addr + PMD_SIZE - start));

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, start);
	if (vma) {
		vm_flags_clear(vma, VM_HUGEPAGE | VM_NOHUGEPAGE);
		vm_flags_set(vma, huge ? VM_HUGEPAGE : VM_NOHUGEPAGE);
	}
	mmap_write_unlock(current->mm);
	KUNIT_ASSERT_NOT_NULL(test, vma);

	return start;
}

int pagemap_mock_touch(unsigned long addr)
{
	u64 word;

	return copy_from_user(&word, (void __user *)addr, sizeof(word)) ?
	       -EFAULT : 0;
}

static u64 mock_pattern(unsigned long offset, unsigned int seed)
{
	return (offset + 1) * 0x9e3779b97f4a7c15ull + seed;
}

/* Every word of a page would take long under emulation; a few tell as much. */
#define MOCK_STRIDE	(PAGE_SIZE / 8)

void pagemap_mock_fill(struct kunit *test, unsigned long addr,
		       unsigned long size, unsigned int seed)
{
	for (unsigned long o = 0; o < size; o += MOCK_STRIDE)
		KUNIT_ASSERT_EQ(test, 0, put_user(mock_pattern(o, seed),
						  (u64 __user *)(addr + o)));
}

/* Bytes @start to @end of what was filled at @addr. */
void pagemap_mock_check_part(struct kunit *test, unsigned long addr,
			     unsigned long start, unsigned long end,
			     unsigned int seed)
{
	for (unsigned long o = start; o < end; o += MOCK_STRIDE) {
		u64 found = 0;

		KUNIT_ASSERT_EQ_MSG(test, 0, get_user(found, (u64 __user *)(addr + o)),
				    "at offset %#lx", o);
		KUNIT_ASSERT_EQ_MSG(test, found, mock_pattern(o, seed),
				    "at offset %#lx", o);
	}
}

void pagemap_mock_check(struct kunit *test, unsigned long addr,
			unsigned long size, unsigned int seed)
{
	pagemap_mock_check_part(test, addr, 0, size, seed);
}

void pagemap_mock_check_zero(struct kunit *test, unsigned long addr,
			     unsigned long size)
{
	for (unsigned long o = 0; o < size; o += MOCK_STRIDE) {
		u64 found = 1;

		KUNIT_ASSERT_EQ(test, 0, get_user(found, (u64 __user *)(addr + o)));
		KUNIT_ASSERT_EQ_MSG(test, found, 0ull, "at offset %#lx", o);
	}
}

MODULE_DESCRIPTION("KUnit tests for drm_pagemap");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

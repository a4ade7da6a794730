// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A devmem allocation, from its pages' point of view: which one they belong to.
 */
#include <linux/memremap.h>
#include <linux/mman.h>

#include "pagemap_internal.h"
#include "pagemap_mock.h"

#define SEED	43
#define BLOCK	(PMD_SIZE >> PAGE_SHIFT)

/* A THP of the process, in a block of VRAM. */
static struct pagemap_mock_chunk *devmem_block(struct kunit *test,
					       struct pagemap_mock *mock,
					       unsigned long *addr)
{
	struct pagemap_mock_chunk *chunk = pagemap_mock_chunk(test, mock,
							      PMD_SIZE);

	*addr = pagemap_mock_mmap(test, PMD_SIZE, true);
	pagemap_mock_fill(test, *addr, PMD_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, *addr,
						      *addr + PMD_SIZE, 0));

	return chunk;
}

static struct page *devmem_page(const struct pagemap_mock_chunk *chunk,
				unsigned long i)
{
	return pfn_to_page(PHYS_PFN(chunk->mock->pgmap.range.start) +
			   chunk->first + i);
}

/* CPU faults bring home one page, and leave the others where they are. */
static void devmem_fault_pages(struct pagemap_mock *mock)
{
	static const struct drm_pagemap_fault_policy one_page = {
		.min_window = PAGE_SIZE,
		.max_window = PAGE_SIZE,
	};

	mock->dpagemap->fault_policy = &one_page;
}

static void page_to_devmem_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *other = pagemap_mock_chunk(test, mock,
							      PAGE_SIZE);
	unsigned long addr = pagemap_mock_mmap(test, PAGE_SIZE, false);
	struct pagemap_mock_chunk *chunk;
	unsigned long block;

	pagemap_mock_fill(test, addr, PAGE_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, other, addr,
						      addr + PAGE_SIZE, 0));
	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_page_to_devmem(devmem_page(other, 0)),
			    &other->devmem);

	devmem_fault_pages(mock);
	chunk = devmem_block(test, mock, &block);
	KUNIT_ASSERT_TRUE(test, folio_test_large(page_folio(devmem_page(chunk, 0))));
	for (unsigned long i = 0; i < BLOCK; i += 73)
		KUNIT_EXPECT_PTR_EQ(test, &chunk->devmem,
				    drm_pagemap_page_to_devmem(devmem_page(chunk, i)));

	/* mm splits it, and one page goes home. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(block, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_touch(block + 9 * PAGE_SIZE));
	KUNIT_ASSERT_FALSE(test, folio_test_large(page_folio(devmem_page(chunk, 10))));
	for (unsigned long i = 10; i < BLOCK; i += 73) {
		KUNIT_EXPECT_PTR_EQ(test, &chunk->devmem,
				    drm_pagemap_page_to_devmem(devmem_page(chunk, i)));
		KUNIT_EXPECT_PTR_EQ(test, mock->dpagemap,
				    drm_pagemap_page_to_dpagemap(devmem_page(chunk, i)));
	}
}

static struct kunit_case devmem_cases[] = {
	KUNIT_CASE(page_to_devmem_test),
	{}
};

static struct kunit_suite devmem_suite = {
	.name = "drm_pagemap_devmem",
	.test_cases = devmem_cases,
};

kunit_test_suite(devmem_suite);

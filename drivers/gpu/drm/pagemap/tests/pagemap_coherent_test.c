// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Device-coherent memory as the source of a migration: memory of a device that
 * the CPU reaches, with the same owner as the pagemap. It takes memory that the
 * kernel does not use; without any, as told by the module's parameter, the test
 * is skipped.
 */
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mman.h>
#include <linux/moduleparam.h>

#include "pagemap_mock.h"

#define SEED	41
#define PAGES	16

static unsigned long coherent;
module_param(coherent, ulong, 0400);
MODULE_PARM_DESC(coherent, "Address of 2 MiB of memory that nobody uses (memmap=2M$ADDRESS), for tests");

struct coherent_device {
	struct dev_pagemap pgmap;
	unsigned int freed;
};

static void coherent_folio_free(struct folio *folio)
{
	container_of(folio->pgmap, struct coherent_device, pgmap)->freed++;
}

static const struct dev_pagemap_ops coherent_ops = {
	.folio_free = coherent_folio_free,
};

static void coherent_create(struct kunit *test, struct pagemap_mock *mock,
			    struct coherent_device *c)
{
	c->pgmap.type = MEMORY_DEVICE_COHERENT;
	c->pgmap.range.start = coherent;
	c->pgmap.range.end = coherent + SZ_2M - 1;
	c->pgmap.nr_range = 1;
	c->pgmap.ops = &coherent_ops;
	c->pgmap.owner = mock->pgmap.owner;
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, devm_memremap_pages(mock->drm.dev,
							       &c->pgmap));
}

/* What the driver of such memory does: not by way of drm_pagemap. */
static void move_to_coherent(struct kunit *test, unsigned long addr)
{
	unsigned long src[PAGES] = {}, dst[PAGES] = {};
	struct migrate_vma migrate = {
		.start = addr,
		.end = addr + PAGES * PAGE_SIZE,
		.src = src,
		.dst = dst,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};
	int err;

	mmap_read_lock(current->mm);
	migrate.vma = vma_lookup(current->mm, addr);
	err = migrate_vma_setup(&migrate);
	for (unsigned int i = 0; !err && i < PAGES; i++) {
		struct page *page = pfn_to_page(PHYS_PFN(coherent) + i);
		struct page *from = migrate_pfn_to_page(src[i]);

		if (!from || !(src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		zone_device_folio_init((struct folio *)page, page_pgmap(page), 0);
		copy_highpage(page, from);
		dst[i] = migrate_pfn(page_to_pfn(page));
	}
	if (!err) {
		migrate_vma_pages(&migrate);
		migrate_vma_finalize(&migrate);
	}
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_EQ(test, 0, err);
}

static void coherent_test(struct kunit *test)
{
	unsigned long addr, size = PAGES * PAGE_SIZE;
	struct pagemap_mock_chunk *chunk;
	struct coherent_device *c;
	struct pagemap_mock *mock;
	struct page *page;

	if (!coherent)
		kunit_skip(test, "no memory to use: parameter coherent is not set");

	mock = pagemap_mock_create(test);
	c = devm_kzalloc(mock->drm.dev, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);
	coherent_create(test, mock, c);
	addr = pagemap_mock_mmap(test, size, false);
	pagemap_mock_fill(test, addr, size, SEED);

	move_to_coherent(test, addr);
	pagemap_mock_check(test, addr, size, SEED);
	KUNIT_ASSERT_EQ(test, 1, get_user_pages_fast(addr, 1, 0, &page));
	KUNIT_EXPECT_TRUE(test, is_device_coherent_page(page));
	put_page(page);

	chunk = pagemap_mock_chunk(test, mock, size);
	KUNIT_EXPECT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + size, 0));
	KUNIT_EXPECT_EQ(test, mock->to_devmem, size);
	KUNIT_EXPECT_EQ(test, c->freed, PAGES);
	pagemap_mock_check(test, addr, size, SEED);
	KUNIT_EXPECT_EQ(test, mock->to_ram, size);
	KUNIT_EXPECT_TRUE(test, chunk->released);
}

static struct kunit_case coherent_cases[] = {
	KUNIT_CASE(coherent_test),
	{}
};

static int coherent_init(struct kunit *test)
{
	return kunit_attach_mm();
}

static struct kunit_suite coherent_suite = {
	.name = "drm_pagemap_coherent",
	.init = coherent_init,
	.test_cases = coherent_cases,
};

kunit_test_suite(coherent_suite);

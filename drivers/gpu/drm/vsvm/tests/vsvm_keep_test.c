// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Memory that is kept for a device which may still write to it.
 */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "../vsvm_keep.h"

#define KEEP_ORDER	2

struct keep_test {
	struct device *dev;
	struct vsvm_keep *keep;
	struct page *page;	/* of a folio, and a reference besides */
};

static int keep_test_init(struct kunit *test)
{
	struct keep_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	t->dev = kunit_device_register(test, "vsvm-keep-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->dev));
	t->keep = vsvm_keep_get(t->dev);
	KUNIT_ASSERT_NOT_NULL(test, t->keep);
	t->page = alloc_pages(GFP_KERNEL | __GFP_COMP, KEEP_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, t->page);
	return 0;
}

static void keep_test_exit(struct kunit *test)
{
	struct keep_test *t = test->priv;

	if (!t || !t->keep)
		return;
	vsvm_keep_end(t->keep);
	vsvm_keep_put(t->keep);
	if (!t->page)
		return;
	KUNIT_EXPECT_EQ(test, page_count(t->page), 1);
	__free_pages(t->page, KEEP_ORDER);
}

static void keep_not_wanted(struct kunit *test)
{
	struct keep_test *t = test->priv;

	KUNIT_EXPECT_FALSE(test, vsvm_keep_active(NULL));
	vsvm_keep_range(NULL, page_to_phys(t->page), PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, vsvm_keep_active(t->keep));
	vsvm_keep_range(t->keep, page_to_phys(t->page), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, page_count(t->page), 1);
	/* There is nothing to end. */
	vsvm_keep_end(t->keep);
}

static void keep_once(struct kunit *test)
{
	struct keep_test *t = test->priv;
	const phys_addr_t addr = page_to_phys(t->page);

	vsvm_keep_begin(t->keep);
	vsvm_keep_begin(t->keep);
	KUNIT_EXPECT_TRUE(test, vsvm_keep_active(t->keep));
	vsvm_keep_range(t->keep, addr, 0);
	KUNIT_EXPECT_EQ(test, page_count(t->page), 1);
	/* The end of the first page, and the beginning of the second one. */
	vsvm_keep_range(t->keep, addr + PAGE_SIZE - 8, 16);
	KUNIT_EXPECT_EQ(test, page_count(t->page), 3);
	/* Each page once. */
	vsvm_keep_range(t->keep, addr, PAGE_SIZE << KEEP_ORDER);
	vsvm_keep_range(t->keep, addr, PAGE_SIZE << KEEP_ORDER);
	KUNIT_EXPECT_EQ(test, page_count(t->page), 1 + (1 << KEEP_ORDER));
	/* Where there is no memory. */
	vsvm_keep_range(t->keep, ~0ull << PAGE_SHIFT, PAGE_SIZE);
	vsvm_keep_end(t->keep);
	KUNIT_EXPECT_FALSE(test, vsvm_keep_active(t->keep));
	KUNIT_EXPECT_EQ(test, page_count(t->page), 1);
}

/* The driver is unbound, and bound again. */
static void keep_over_unbind(struct kunit *test)
{
	struct keep_test *t = test->priv;

	vsvm_keep_begin(t->keep);
	vsvm_keep_range(t->keep, page_to_phys(t->page), PAGE_SIZE);
	vsvm_keep_put(t->keep);
	KUNIT_EXPECT_EQ(test, page_count(t->page), 2);
	KUNIT_EXPECT_PTR_EQ(test, vsvm_keep_get(t->dev), t->keep);
	KUNIT_EXPECT_TRUE(test, vsvm_keep_active(t->keep));
}

/* TTM's: large ones without being folios. */
static void keep_of_ttm(struct kunit *test)
{
	struct keep_test *t = test->priv;
	struct page *large = alloc_pages(GFP_KERNEL, 1);
	struct page *pages[] = { large, large + 1, NULL };
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, large);
	set_page_private(large, 1);
	vsvm_keep_begin(t->keep);
	vsvm_keep_ttm(t->keep, pages, ARRAY_SIZE(pages));
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, page_private(pages[i]), 0);
		KUNIT_EXPECT_EQ(test, page_count(pages[i]), 2);
		/* As TTM does then. */
		__free_pages(pages[i], 0);
	}
	KUNIT_EXPECT_EQ(test, page_count(large), 1);
	KUNIT_EXPECT_EQ(test, page_count(large + 1), 1);
}

static struct kunit_case keep_test_cases[] = {
	KUNIT_CASE(keep_not_wanted),
	KUNIT_CASE(keep_once),
	KUNIT_CASE(keep_over_unbind),
	KUNIT_CASE(keep_of_ttm),
	{}
};

static struct kunit_suite keep_test_suite = {
	.name = "vsvm_keep",
	.init = keep_test_init,
	.exit = keep_test_exit,
	.test_cases = keep_test_cases,
};

kunit_test_suite(keep_test_suite);

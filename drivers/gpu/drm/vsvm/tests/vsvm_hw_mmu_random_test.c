// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The MMU against a model that knows neither tables nor a TLB. */
#include "vsvm_hw_mmu_bench.h"

/*
 * Random page tables against a flat model: what memory each page shows, and
 * whether it may be written, and by atomic accesses.
 */
#define MODEL_PAGES	(4 * 512)

struct model {
	struct hw_bench *b;
	struct hw_random r;
	u64 small[MODEL_PAGES];		/* what the tables hold */
	u64 large[MODEL_PAGES / 512];	/* what covers a table, or 0 */
	u64 table[MODEL_PAGES / 512];	/* entries of level 1 for the tables */
};

static u64 model_leaf(const struct model *m, u64 page)
{
	const u64 large = m->large[page / 512];

	return large ? large + page % 512 * PAGE : m->small[page];
}

static u64 random_leaf(struct model *m, u64 align)
{
	static const u64 bits[] = { 0, PTE_RW, VSVM_PTE_ATOMIC, PTE_RWA };
	const u64 rw = bits[hw_random_below(&m->r, ARRAY_SIZE(bits))];
	/* The last large page of system memory holds what kernels write. */
	const u64 addr = LARGE + hw_random_below(&m->r, 2 * LARGE / align) * align;

	switch (hw_random_below(&m->r, 4)) {
	case 0:
		return PTE_VRAM(addr) | rw;
	case 1:
		return PTE_SYSTEM(addr) | rw;
	case 2:
		return PTE_PEER(1, addr) | rw;
	}
	return 0;
}

static void model_change(struct model *m)
{
	const u64 page = hw_random_below(&m->r, MODEL_PAGES);
	const u64 leaf = random_leaf(m, PAGE);
	u64 *large = &m->large[page / 512], *table;

	if (hw_random_below(&m->r, 16)) {
		/* By way of the table itself: a large leaf may hide it. */
		table = (u64 *)(m->b->vram + (m->table[page / 512] & VSVM_PTE_ADDR_MASK));
		table[page % 512] = leaf;
		m->small[page] = leaf;
		hw_bench_invalidate(m->b, 0, VA + page * PAGE, 1);
		return;
	}
	*large = random_leaf(m, LARGE);
	if (*large)
		*large |= VSVM_PTE_LARGE;
	*hw_bench_entry(m->b, 0, VA + page * PAGE, 1) =
		*large ? *large : m->table[page / 512];
	hw_bench_invalidate(m->b, 0, VA + (page & ~511ull) * PAGE, LARGE);
}

static u64 *model_memory(struct model *m, u64 leaf)
{
	const u64 addr = leaf & VSVM_PTE_ADDR_MASK;

	switch ((leaf & VSVM_PTE_APERTURE_MASK) >> VSVM_PTE_APERTURE_SHIFT) {
	case VSVM_HW_VRAM:
		return (u64 *)(m->b->vram + addr);
	case VSVM_HW_SYSTEM:
		return (u64 *)(m->b->system + addr - BENCH_SYSTEM_BASE);
	}
	return (u64 *)(m->b->peer->vram + addr);
}

static void model_add(struct model *m, u64 leaf, u64 va)
{
	u64 want;

	if ((leaf & PTE_RWA) != PTE_RWA) {
		mmu_expect_add_fault(m->b, 0, va);
		return;
	}
	want = *model_memory(m, leaf) + 7;
	KUNIT_EXPECT_EQ(m->b->test, mmu_add(m->b, 0, va, 7), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(m->b->test, *model_memory(m, leaf), want);
}

static void model_access(struct model *m)
{
	const u64 page = hw_random_below(&m->r, MODEL_PAGES);
	const u64 leaf = model_leaf(m, page), va = VA + page * PAGE;
	const u8 value = hw_random(&m->r) >> 32;

	if (!hw_random_below(&m->r, 4)) {
		model_add(m, leaf, va);
	} else if (hw_random_below(&m->r, 2)) {
		if (leaf)
			mmu_expect_read(m->b, 0, va, *model_memory(m, leaf));
		else
			mmu_expect_read_fault(m->b, 0, va);
	} else if (leaf & PTE_RW) {
		KUNIT_EXPECT_EQ(m->b->test, mmu_write(m->b, 0, va, value), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(m->b->test, *model_memory(m, leaf),
				value * 0x0101010101010101ull);
	} else {
		mmu_expect_write_fault(m->b, 0, va);
	}
}

static void mmu_random(struct kunit *test)
{
	struct model *m = vsvm_hw_alloc(sizeof(*m));
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->b = test->priv;
	hw_random_init(&m->r, test);
	for (i = 0; i < ARRAY_SIZE(m->table); i++) {
		hw_bench_map(m->b, 0, VA + i * LARGE, 0);
		m->table[i] = *hw_bench_entry(m->b, 0, VA + i * LARGE, 1);
	}
	for (i = 0; i < 20000 && !hw_bench_failed(test); i++) {
		if (hw_random_below(&m->r, 3))
			model_access(m);
		else
			model_change(m);
	}
	vsvm_hw_free(m);
}

static struct kunit_case mmu_random_cases[] = {
	KUNIT_CASE_SLOW(mmu_random),
	{ }
};

static struct kunit_suite mmu_random_suite = {
	.name = "vsvm_hw_mmu_random",
	.init = mmu_bench_init,
	.exit = mmu_bench_exit,
	.test_cases = mmu_random_cases,
};

kunit_test_suite(mmu_random_suite);

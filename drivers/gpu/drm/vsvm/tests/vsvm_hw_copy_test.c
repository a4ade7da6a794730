// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* COPY, FILL, MARK, and the sanitizer of VRAM. */
#include "vsvm_hw_bench.h"

#define DATA	BENCH_TABLES	/* first page of VRAM for data */

static const unsigned int channels[] = {
	VSVM_HW_PAGING, VSVM_HW_COPY_TO_VRAM, VSVM_HW_COPY_FROM_VRAM,
};

struct place {
	unsigned int aperture;
	u64 base;	/* to add to an offset */
	u8 *mem;	/* what offset 0 is */
};

static struct place place_of(struct hw_bench *b, unsigned int aperture)
{
	struct place place = { .aperture = aperture };

	switch (aperture) {
	case VSVM_HW_VRAM:
		place.base = DATA;
		place.mem = b->vram + DATA;
		break;
	case VSVM_HW_SYSTEM:
		place.base = BENCH_SYSTEM_BASE;
		place.mem = b->system;
		break;
	case VSVM_HW_PEER:
		place.base = (1ull << VSVM_PTE_PEER_SHIFT) + DATA;
		place.mem = b->peer->vram + DATA;
		break;
	}
	return place;
}

static int copy_init(struct kunit *test)
{
	struct hw_bench *b;

	if (hw_bench_init(test))
		return -ENOMEM;
	b = test->priv;
	b->peer = hw_bench_create(test, true);
	if (!b->peer) {
		hw_bench_exit(test);
		return -ENOMEM;
	}
	hw_bench_mark(b, DATA, BENCH_VRAM_SIZE - DATA, true);
	hw_bench_mark(b->peer, DATA, BENCH_VRAM_SIZE - DATA, true);
	return 0;
}

static void copy_exit(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	if (b)
		hw_bench_destroy(b->peer);
	hw_bench_exit(test);
}

struct copy_range {
	const char *name;
	u64 dst, src, len;
	u64 split;
};

static const struct copy_range ranges[] = {
	{ "nothing", 0, 1 << 20, 0 },
	{ "a byte", 1, (1 << 20) + 6, 1 },
	{ "a word", 8, (1 << 20) + 16, 8 },
	{ "a page", PAGE, 1 << 20, PAGE },
	{ "across pages", PAGE - 3, (1 << 20) + 5, 3 * PAGE + 11 },
	{ "a slice", 0, 1 << 20, VSVM_HW_COPY_SLICE },
	{ "slices and a bit", 7, (1 << 20) + 1, 3 * VSVM_HW_COPY_SLICE + 5 },
	{ "split by page", 100, (1 << 20) + 200, 5 * PAGE + 1, PAGE },
	{ "split oddly", 1, (1 << 20) + 2, 2 * PAGE, 24 },
	{ "split words", 8, (1 << 20) + 16, 2 * PAGE, 40 },
};

KUNIT_ARRAY_PARAM_DESC(copy_range, ranges, name);

/* @before: a copy of what was in @mem around [@off, @off + @len). */
static void expect_outside(struct kunit *test, const u8 *mem, const u8 *before,
			   u64 off, u64 len)
{
	const u64 start = off < 64 ? 0 : off - 64;

	KUNIT_EXPECT_MEMEQ(test, mem + start, before + start, off - start);
	KUNIT_EXPECT_MEMEQ(test, mem + off + len, before + off + len, 64);
}

static void one_copy(struct kunit *test, unsigned int channel, struct place d,
		     struct place s, const struct copy_range *range, u8 *before)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY,
		.flags = VSVM_HW_DST_APERTURE(d.aperture) | VSVM_HW_SRC_APERTURE(s.aperture),
		.dst = d.base + range->dst,
		.src = s.base + range->src,
		.len = range->len,
	};

	memset(d.mem + range->dst, 0, range->len);
	memcpy(before, d.mem, range->dst + range->len + 64);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, channel, &cmd), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, channel), 0);
	KUNIT_EXPECT_MEMEQ(test, d.mem + range->dst, s.mem + range->src, range->len);
	expect_outside(test, d.mem, before, range->dst, range->len);
}

/* Every range between every two kinds of memory, by every channel. */
static void copy_everywhere(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	u8 *before = vsvm_hw_alloc(1 << 20);
	struct hw_random r;
	unsigned int dst, src, c;

	KUNIT_ASSERT_NOT_NULL(test, before);
	hw_random_init(&r, test);
	hw_random_bytes(&r, b->system, 2 << 20);
	hw_random_bytes(&r, b->vram + DATA, 2 << 20);
	hw_random_bytes(&r, b->peer->vram + DATA, 2 << 20);
	b->dma_split = ((const struct copy_range *)test->param_value)->split;
	for (dst = 0; dst < 3; dst++)
		for (src = 0; src < 3; src++)
			for (c = 0; c < ARRAY_SIZE(channels); c++)
				one_copy(test, channels[c], place_of(b, dst),
					 place_of(b, src), test->param_value, before);
	vsvm_hw_free(before);
}

static void copy_fill(struct kunit *test)
{
	static const struct {
		u64 arg, step, len;
	} fills[] = {
		{ 0, 0, 8 }, { 0, 0, 3 * PAGE + 8 }, { 0x5a5a5a5a5a5a5a5aull, 0, PAGE },
		{ 0x0123456789abcdefull, 0, 4 * VSVM_HW_COPY_SLICE - 8 },
		{ 0x8000000000000003ull, PAGE, 2 * PAGE },
		{ 7, ~0ull, VSVM_HW_COPY_SLICE + 64 }, { 1, 1, 0 },
		{ 0, 1, PAGE }, { ~0ull, 1ull << 56, 64 },
	};
	struct hw_bench *b = test->priv;
	unsigned int i, k, c;
	u64 w;

	b->dma_split = 3 * 8;
	for (i = 0; i < ARRAY_SIZE(fills); i++) {
		for (k = 0; k < 3 * ARRAY_SIZE(channels); k++) {
			const struct place d = place_of(b, k % 3);
			const u64 *words = (u64 *)(d.mem + 16);
			const struct vsvm_hw_cmd cmd = {
				.op = VSVM_HW_FILL,
				.flags = VSVM_HW_DST_APERTURE(d.aperture),
				.dst = d.base + 16,
				.src = fills[i].step,
				.len = fills[i].len,
				.arg = fills[i].arg,
			};

			c = channels[k / 3];
			memset(d.mem, 0x77, fills[i].len + 32);
			KUNIT_ASSERT_EQ(test, hw_bench_do(b, c, &cmd), VSVM_HW_OK);
			for (w = 0; w < fills[i].len / 8; w++)
				KUNIT_ASSERT_EQ(test, words[w],
						fills[i].arg + w * fills[i].step);
			KUNIT_EXPECT_EQ(test, words[-1], 0x7777777777777777ull);
			KUNIT_EXPECT_EQ(test, words[w], 0x7777777777777777ull);
		}
	}
}

/* No word is written in halves, not even by chance. */
static void copy_fill_split(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_FILL,
		.flags = VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM),
		.dst = BENCH_SYSTEM_BASE + 16, .len = 64, .arg = ~0ull,
	};

	b->dma_split = 12;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, VSVM_HW_PAGING), BENCH_SYSTEM_BASE + 32);
	KUNIT_EXPECT_EQ(test, b->system[31], 0xff);
	KUNIT_EXPECT_EQ(test, b->system[32], 0);
}

#define TO(a)	VSVM_HW_DST_APERTURE(VSVM_HW_##a)
#define FROM(a)	VSVM_HW_SRC_APERTURE(VSVM_HW_##a)
#define PEER1	(VSVM_HW_PEER_OFFSET + 1)
#define END	BENCH_VRAM_SIZE
#define SYS	BENCH_SYSTEM_BASE
#define SYS_END	(BENCH_SYSTEM_BASE + BENCH_SYSTEM_SIZE)

struct bad_copy {
	const char *name;
	struct vsvm_hw_cmd cmd;
	u32 status;
	u64 result;
};

static const struct bad_copy bad_copies[] = {
	{ "dst ends outside", { VSVM_HW_COPY, TO(VRAM) | FROM(SYSTEM), END - 8, SYS, 9 },
	  VSVM_HW_ERR_VRAM, END - 8 },
	{ "dst outside", { VSVM_HW_COPY, TO(VRAM) | FROM(SYSTEM), END + 1, SYS, 1 },
	  VSVM_HW_ERR_VRAM, END + 1 },
	{ "src wraps", { VSVM_HW_COPY, TO(SYSTEM) | FROM(VRAM), 8, END - PAGE, ~8ull },
	  VSVM_HW_ERR_VRAM, END - PAGE },
	{ "src far", { VSVM_HW_COPY, TO(SYSTEM) | FROM(VRAM), SYS, ~0ull, 1 },
	  VSVM_HW_ERR_VRAM, ~0ull },
	{ "fill wraps", { VSVM_HW_FILL, TO(VRAM), DATA, 0, ~7ull }, VSVM_HW_ERR_VRAM, DATA },
	{ "fill at 4", { VSVM_HW_FILL, TO(VRAM), DATA + 4, 0, 8 }, VSVM_HW_ERR_CMD, DATA + 4 },
	{ "fill of 12", { VSVM_HW_FILL, TO(VRAM), DATA, 0, 12 }, VSVM_HW_ERR_CMD, DATA },
	{ "below system", { VSVM_HW_COPY, TO(VRAM) | FROM(SYSTEM), DATA, SYS - 1, 8 },
	  VSVM_HW_ERR_DMA, SYS - 1 },
	{ "runs off system", { VSVM_HW_COPY, TO(SYSTEM) | FROM(VRAM), SYS_END - 8, DATA, 16 },
	  VSVM_HW_ERR_DMA, SYS_END },
	{ "system wraps", { VSVM_HW_COPY, TO(VRAM) | FROM(SYSTEM), DATA, ~0ull, 8 },
	  VSVM_HW_ERR_DMA, ~0ull },
	{ "fill runs off system", { VSVM_HW_FILL, TO(SYSTEM), SYS_END - 8, 0, 16 },
	  VSVM_HW_ERR_DMA, SYS_END },
	{ "peer outside", { VSVM_HW_COPY, TO(PEER) | FROM(SYSTEM), PEER1 + END, SYS, 1 },
	  VSVM_HW_ERR_VRAM, PEER1 + END },
	{ "peer runs off", { VSVM_HW_COPY, TO(SYSTEM) | FROM(PEER), SYS, PEER1 + END - 8, 9 },
	  VSVM_HW_ERR_VRAM, PEER1 + END },
	{ "into the next peer", { VSVM_HW_COPY, TO(SYSTEM) | FROM(PEER), SYS, PEER1 - 8, 16 },
	  VSVM_HW_ERR_VRAM, PEER1 - 8 },
	{ "no such peer", { VSVM_HW_COPY, TO(PEER) | FROM(VRAM), 2 * PEER1, DATA, 8 },
	  VSVM_HW_ERR_PEER, 2 * PEER1 },
	{ "aperture 3", { VSVM_HW_COPY, VSVM_HW_DST_APERTURE(3) | FROM(VRAM), 0, DATA, 8 },
	  VSVM_HW_ERR_CMD, 0 },
	{ "src aperture 3", { VSVM_HW_COPY, TO(VRAM) | VSVM_HW_SRC_APERTURE(3), DATA, 8, 8 },
	  VSVM_HW_ERR_CMD, 8 },
};

KUNIT_ARRAY_PARAM_DESC(bad_copy, bad_copies, name);

static void copy_errors(struct kunit *test)
{
	const struct bad_copy *bad = test->param_value;
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd nop = { .op = VSVM_HW_NOP };
	unsigned int c;

	for (c = 0; c < ARRAY_SIZE(channels); c++) {
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, channels[c], &bad->cmd), bad->status);
		KUNIT_EXPECT_EQ(test, hw_bench_result(b, channels[c]), bad->result);
		KUNIT_EXPECT_EQ(test, hw_bench_do(b, channels[c], &nop), VSVM_HW_OK);
	}
}

/* Half of the range is there: that half is copied, and the rest named. */
static void copy_dma_hole(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY, .flags = TO(VRAM) | FROM(SYSTEM),
		.dst = DATA, .src = SYS, .len = 4 * PAGE,
	};

	memset(b->system, 0x42, 4 * PAGE);
	b->dma_hole = 2 * PAGE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_COPY_TO_VRAM, &cmd), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, hw_bench_result(b, VSVM_HW_COPY_TO_VRAM), SYS + 2 * PAGE);
	KUNIT_EXPECT_MEMEQ(test, b->vram + DATA, b->system, 2 * PAGE);
	KUNIT_EXPECT_EQ(test, b->vram[DATA + 2 * PAGE], VSVM_HW_POISON);
}

static void copy_peer_down(struct kunit *test)
{
	struct hw_bench *b = test->priv, *peer = b->peer;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY, .flags = TO(PEER) | FROM(VRAM),
		.dst = PEER1 + DATA, .src = DATA, .len = 8,
	};

	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	b->peer = NULL;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_ERR_PEER);
	b->peer = peer;
}

static void copy_cancel(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_FILL, .flags = TO(SYSTEM), .dst = SYS, .arg = 1,
		.len = 8 * VSVM_HW_COPY_SLICE,
	};

	b->busy = VSVM_HW_COPY_TO_VRAM;
	b->relaxed = 0;
	b->cancel_after = 2;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, b->system[2 * VSVM_HW_COPY_SLICE - 8], 1);
	KUNIT_EXPECT_EQ(test, b->system[2 * VSVM_HW_COPY_SLICE], 0);
	b->cancel_after = 0;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_OK);
}

static void copy_stop(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_FILL, .flags = TO(SYSTEM), .dst = SYS, .arg = 1,
		.len = 8 * VSVM_HW_COPY_SLICE,
	};

	b->busy = VSVM_HW_COPY_TO_VRAM;
	b->relaxed = 0;
	b->stop_after = 2;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_WAIT);
	KUNIT_EXPECT_EQ(test, b->system[2 * VSVM_HW_COPY_SLICE], 0);
	vsvm_hw_run(b->hw, b->busy);
	KUNIT_EXPECT_EQ(test, b->system[2 * VSVM_HW_COPY_SLICE], 0);
	vsvm_hw_reset(b->hw, b->busy);
	vsvm_hw_run(b->hw, b->busy);
	KUNIT_EXPECT_EQ(test, b->shared->ring[b->busy].tail, b->shared->ring[b->busy].head);
	KUNIT_EXPECT_EQ(test, b->system[8 * VSVM_HW_COPY_SLICE - 8], 1);
}

static bool all_bytes(const u8 *p, u64 len, u8 value)
{
	while (len && *p == value) {
		p++;
		len--;
	}
	return !len;
}

static void mark_poison(struct kunit *test)
{
	struct hw_bench *b = hw_bench_create(test, true);
	u8 *page = b ? b->vram + DATA + PAGE : NULL;

	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_EXPECT_TRUE(test, all_bytes(b->vram + DATA, END - DATA, VSVM_HW_POISON));
	hw_bench_mark(b, DATA + PAGE, PAGE, true);
	KUNIT_EXPECT_TRUE(test, all_bytes(page, PAGE, VSVM_HW_POISON));
	memset(page - PAGE, 1, 3 * PAGE);
	hw_bench_mark(b, DATA + PAGE, PAGE, true);
	KUNIT_EXPECT_TRUE(test, all_bytes(page, PAGE, 1));
	hw_bench_mark(b, DATA + PAGE, PAGE, false);
	KUNIT_EXPECT_TRUE(test, all_bytes(page, PAGE, VSVM_HW_POISON));
	KUNIT_EXPECT_EQ(test, page[-1], 1);
	KUNIT_EXPECT_EQ(test, page[PAGE], 1);
	hw_bench_destroy(b);
}

/* One page in the middle of five is free: every way to touch it fails. */
static void mark_free_page(struct kunit *test)
{
	static const struct {
		u64 dst, len;
		u32 status;
	} spans[] = {
		{ DATA, 5 * PAGE, VSVM_HW_ERR_FREE }, { DATA, 2 * PAGE, VSVM_HW_OK },
		{ DATA, 2 * PAGE + 8, VSVM_HW_ERR_FREE },
		{ DATA + 3 * PAGE, 2 * PAGE, VSVM_HW_OK },
		{ DATA + 3 * PAGE - 8, PAGE, VSVM_HW_ERR_FREE },
		{ DATA + 2 * PAGE + 16, 8, VSVM_HW_ERR_FREE },
	};
	struct hw_bench *b = test->priv;
	struct vsvm_hw_cmd cmd;
	unsigned int i, op;
	u64 at;

	hw_bench_mark(b, DATA + 2 * PAGE, PAGE, false);
	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		at = spans[i].dst > DATA + 2 * PAGE ? spans[i].dst : DATA + 2 * PAGE;
		for (op = 0; op < 3; op++) {
			cmd = (struct vsvm_hw_cmd){
				.op = op ? VSVM_HW_COPY : VSVM_HW_FILL,
				.flags = op == 2 ? TO(SYSTEM) | FROM(VRAM) :
						   TO(VRAM) | FROM(SYSTEM),
				.dst = spans[i].dst, .src = op ? SYS : 0,
				.len = spans[i].len,
			};
			if (op == 2) {
				cmd.src = cmd.dst;
				cmd.dst = SYS;
			}
			KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_COPY_TO_VRAM, &cmd),
					spans[i].status);
			KUNIT_EXPECT_EQ(test, hw_bench_result(b, VSVM_HW_COPY_TO_VRAM),
					spans[i].status ? at : 0);
		}
	}
	KUNIT_EXPECT_TRUE(test, all_bytes(b->vram + DATA + 2 * PAGE, PAGE, VSVM_HW_POISON));
	/* And over the link. */
	cmd.flags = TO(SYSTEM) | FROM(PEER);
	cmd.src = PEER1 + DATA + 2 * PAGE;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	hw_bench_mark(b->peer, DATA + 2 * PAGE, PAGE, false);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, VSVM_HW_PAGING, &cmd), VSVM_HW_ERR_FREE);
}

static void mark_arguments(struct kunit *test)
{
	static const struct {
		u64 dst, len;
		u32 status;
	} marks[] = {
		{ DATA + 8, PAGE, VSVM_HW_ERR_CMD }, { DATA, PAGE + 8, VSVM_HW_ERR_CMD },
		{ DATA, 0, VSVM_HW_OK }, { END, 0, VSVM_HW_OK },
		{ END, PAGE, VSVM_HW_ERR_VRAM }, { END - PAGE, 2 * PAGE, VSVM_HW_ERR_VRAM },
		{ END - PAGE, PAGE, VSVM_HW_OK }, { DATA, -PAGE, VSVM_HW_ERR_VRAM },
		{ -PAGE, 2 * PAGE, VSVM_HW_ERR_VRAM },
	};
	struct hw_bench *plain = hw_bench_create(test, false);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, plain);
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		const struct vsvm_hw_cmd cmd = {
			.op = VSVM_HW_MARK, .dst = marks[i].dst, .len = marks[i].len,
		};

		KUNIT_EXPECT_EQ(test, hw_bench_do(test->priv, VSVM_HW_PAGING, &cmd),
				marks[i].status);
		KUNIT_EXPECT_EQ(test, hw_bench_do(plain, VSVM_HW_PAGING, &cmd),
				marks[i].status);
	}
	/* Without a sanitizer MARK leaves the memory alone. */
	KUNIT_EXPECT_TRUE(test, all_bytes(plain->vram + DATA, END - DATA, 0));
	hw_bench_destroy(plain);
}

static void mark_stop(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_MARK, .dst = DATA, .len = 4 * PAGE,
	};
	u8 *page = b->vram + DATA;

	memset(page, 1, 4 * PAGE);
	b->busy = VSVM_HW_PAGING;
	b->relaxed = 0;
	b->stop_after = 2;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, b->busy, &cmd), VSVM_HW_WAIT);
	KUNIT_EXPECT_TRUE(test, all_bytes(page, 2 * PAGE, VSVM_HW_POISON));
	KUNIT_EXPECT_TRUE(test, all_bytes(page + 2 * PAGE, 2 * PAGE, 1));
	vsvm_hw_reset(b->hw, b->busy);
	vsvm_hw_run(b->hw, b->busy);
	KUNIT_EXPECT_EQ(test, b->shared->ring[b->busy].tail, b->shared->ring[b->busy].head);
	KUNIT_EXPECT_TRUE(test, all_bytes(page, 4 * PAGE, VSVM_HW_POISON));
}

static struct kunit_case copy_cases[] = {
	KUNIT_CASE_PARAM(copy_everywhere, copy_range_gen_params),
	KUNIT_CASE(copy_fill),
	KUNIT_CASE(copy_fill_split),
	KUNIT_CASE_PARAM(copy_errors, bad_copy_gen_params),
	KUNIT_CASE(copy_dma_hole),
	KUNIT_CASE(copy_peer_down),
	KUNIT_CASE(copy_cancel),
	KUNIT_CASE(copy_stop),
	KUNIT_CASE(mark_poison),
	KUNIT_CASE(mark_free_page),
	KUNIT_CASE(mark_arguments),
	KUNIT_CASE(mark_stop),
	{ }
};

static struct kunit_suite copy_suite = {
	.name = "vsvm_hw_copy",
	.init = copy_init,
	.exit = copy_exit,
	.test_cases = copy_cases,
};

kunit_test_suite(copy_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Working sets larger than VRAM: of 110, 150, 200 and 300 percent of it, gone
 * through in order, with a stride, and at random. All jobs must end well, in
 * bounded time, with the right bytes in memory. For a GPU with little VRAM
 * ("modprobe vsvm vram_mb=16").
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(240)
#define MOST		(256 * MIB)
/* As in model_test. */
#define LONGEST_EVICT_US	(vt_timeout(10) * 1000000l)

enum pattern { SEQUENTIAL, STRIDED, RANDOM };

FIXTURE(oversub) {
	struct vt t;
	size_t vram;
	__u64 used;
	struct drm_vsvm_stats before;
};

FIXTURE_VARIANT(oversub) {
	unsigned int percent;
	enum pattern pattern;
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(oversub, sequential_110) { 110, SEQUENTIAL, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, sequential_150) { 150, SEQUENTIAL, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, sequential_200) { 200, SEQUENTIAL, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, sequential_300) { 300, SEQUENTIAL, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, sequential_300_small) { 300, SEQUENTIAL, VT_SMALL, };
FIXTURE_VARIANT_ADD(oversub, strided_110) { 110, STRIDED, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, strided_150) { 150, STRIDED, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, strided_200) { 200, STRIDED, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, strided_300) { 300, STRIDED, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, strided_200_small) { 200, STRIDED, VT_SMALL, };
FIXTURE_VARIANT_ADD(oversub, random_110) { 110, RANDOM, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, random_150) { 150, RANDOM, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, random_200) { 200, RANDOM, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, random_300) { 300, RANDOM, VT_THP, };
FIXTURE_VARIANT_ADD(oversub, random_150_small) { 150, RANDOM, VT_SMALL, };

FIXTURE_SETUP(oversub)
{
	struct drm_vsvm_device_info info = {};
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vsvm_query_device(self->t.dev.fd, &info));
	self->vram = info.vram_size;
	self->used = info.vram_used;
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &self->before));
	vt_pagemap_reset(&self->t.dev);
}

FIXTURE_TEARDOWN(oversub)
{
	vt_close(&self->t);
}

/*
 * How a working set is gone through: in pieces smaller than what moves at a
 * time, so that each of these comes and goes again and again; small pages cost
 * more time than large ones.
 */
struct walk {
	enum pattern pattern;
	size_t piece;
	__u64 seed;
};

/* The piece that comes at a place in the pattern. */
static size_t piece_at(struct walk *w, size_t i, size_t pieces)
{
	/* A large page and a piece: neighbours in time are none in memory. */
	const size_t stride = LARGE_PAGE / w->piece + 1;
	const size_t rows = (pieces + stride - 1) / stride;

	switch (w->pattern) {
	case SEQUENTIAL:
		return i;
	case STRIDED:
		/* Column by column; a place outside the last row wraps. */
		return (i % rows * stride + i / rows) % pieces;
	default:
		return vt_random_below(&w->seed, pieces);
	}
}

static int go_through(struct vt *t, struct vt_buf *b, struct walk *w)
{
	struct drm_vsvm_kernel k[DRM_VSVM_MAX_KERNELS];
	const size_t pieces = b->len / w->piece;
	unsigned int num = 0;
	size_t i, j;
	int err = 0;

	for (i = 0; i < pieces && !err; i++) {
		const size_t at = piece_at(w, i, pieces) * w->piece;

		k[num++] = (struct drm_vsvm_kernel) {
			.op = DRM_VSVM_OP_ADD,
			.dst = vsvm_addr(b->p + at),
			.src = vsvm_addr(b->p + at),
			.count = w->piece,
			.arg = 1,
		};
		for (j = at; j < at + w->piece; j++)
			b->model[j]++;
		if (num == ARRAY_SIZE(k) || i == pieces - 1) {
			err = vsvm_run(t->dev.fd, t->vm, k, num, NULL);
			num = 0;
		}
	}
	return err;
}

TEST_F_TIMEOUT(oversub, working_set, SECONDS)
{
	const size_t len = (self->vram / 100 * variant->percent + LARGE_PAGE) &
			   ~(LARGE_PAGE - 1);
	struct walk w = {
		.pattern = variant->pattern,
		.piece = (variant->kind == VT_THP ? 64 : 512) * KIB,
		.seed = vt_seed(),
	};
	struct drm_vsvm_stats s;
	struct vt_buf b;
	long longest;
	int pass;

	if (len > MOST || 3 * len > vt_mem_available())
		SKIP(return, "%zu MiB are too much here: modprobe vsvm vram_mb=16",
		     len / MIB);
	ASSERT_EQ(0, vt_buf_map(&b, len, variant->kind));
	for (pass = 0; pass < 2; pass++)
		ASSERT_EQ(0, go_through(&self->t, &b, &w));
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &s));
	vsvm_stats_sub(&s, &self->before);
	EXPECT_EQ(0u, s.jobs_failed);
	EXPECT_LT(0u, s.evictions);
	longest = vt_pagemap_number(&self->t.dev, "longest_evict");
	TH_LOG("%llu evictions, the longest %ld us", s.evictions, longest);
	EXPECT_GT(LONGEST_EVICT_US, longest);
	ASSERT_EQ(0, vt_buf_check(&b));
	vt_buf_unmap(&b);
	/* Page tables stay as long as the address space. */
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used + len / 256));
}

TEST_HARNESS_MAIN

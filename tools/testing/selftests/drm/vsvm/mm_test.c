// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A process that changes its address space while the memory is in VRAM: mremap,
 * munmap, madvise, and threads that work in the same 2 MiB as the GPU. The GPU
 * must see what the CPU sees, at every address and at once.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

FIXTURE(mm) {
	struct vt t;
	struct vt_buf b;
	__u8 *room;
};

FIXTURE_VARIANT(mm) {
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(mm, small) { .kind = VT_SMALL, };
FIXTURE_VARIANT_ADD(mm, thp) { .kind = VT_THP, };

/* Everything starts in VRAM, and there is room to move it to. */
FIXTURE_SETUP(mm)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, variant->kind));
	self->room = vt_map_aligned(LEN + LARGE_PAGE, PROT_NONE, MAP_PRIVATE);
	ASSERT_NE(NULL, self->room);
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
}

FIXTURE_TEARDOWN(mm)
{
	vt_close(&self->t);
}

/* The moved buffer, read by the GPU, changed by it, and read by the CPU. */
static int works(struct vt *t, struct vt_buf *b)
{
	return VT_WRONG(!vt_buf_check_gpu(t, b)) ||
	       VT_WRONG(!vt_buf_add(t, b, 0, b->len, 1)) ||
	       VT_WRONG(!vt_buf_check(b));
}

TEST_F_TIMEOUT(mm, move_whole, SECONDS)
{
	__u8 *old = self->b.p;

	self->b.p = mremap(old, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   self->room);
	ASSERT_EQ(self->room, self->b.p);
	ASSERT_EQ(0, works(&self->t, &self->b));
	ASSERT_EQ(-EFAULT, vt_fill(&self->t, old, 1, 1));
	EXPECT_EQ(vsvm_addr(old), self->t.last.fault_addr);
}

/* To an address where large pages cannot stay large. */
TEST_F_TIMEOUT(mm, move_unaligned, SECONDS)
{
	__u8 *to = self->room + 5 * PAGE;

	self->b.p = mremap(self->b.p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   to);
	ASSERT_EQ(to, self->b.p);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, works(&self->t, &self->b));
}

TEST_F_TIMEOUT(mm, move_part, SECONDS)
{
	size_t start = MIB + 3 * PAGE, len = MIB + PAGE;
	struct vt_buf part = {
		.p = self->room,
		.model = self->b.model + start,
		.len = len,
	};

	ASSERT_EQ(self->room, mremap(self->b.p + start, len, len,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     self->room));
	ASSERT_EQ(0, works(&self->t, &part));
	ASSERT_EQ(-EFAULT, vt_fill(&self->t, self->b.p + start, 1, 1));
	ASSERT_EQ(0, vt_buf_check_range(&self->b, 0, start));
	ASSERT_EQ(0, vt_buf_check_range(&self->b, start + len,
					LEN - start - len));
}

/* Move twice, so that what the first move left behind is in the way. */
TEST_F_TIMEOUT(mm, move_there_and_back, SECONDS)
{
	__u8 *old = self->b.p;

	self->b.p = mremap(old, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   self->room);
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, MIB, 1));
	self->b.p = mremap(self->room, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   old);
	ASSERT_EQ(old, self->b.p);
	ASSERT_EQ(0, works(&self->t, &self->b));
}

TEST_F_TIMEOUT(mm, grow, SECONDS)
{
	struct vt_buf grown = {
		.p = self->room,
		.model = calloc(1, LEN + LARGE_PAGE),
		.len = LEN + LARGE_PAGE,
	};

	ASSERT_EQ(self->room, mremap(self->b.p, LEN, grown.len,
				     MREMAP_MAYMOVE | MREMAP_FIXED,
				     self->room));
	memcpy(grown.model, self->b.model, LEN);
	ASSERT_EQ(0, works(&self->t, &grown));
}

TEST_F_TIMEOUT(mm, shrink, SECONDS)
{
	size_t len = LEN - LARGE_PAGE - 3 * PAGE;

	ASSERT_EQ(self->b.p, mremap(self->b.p, LEN, len, 0));
	ASSERT_EQ(-EFAULT, vt_fill(&self->t, self->b.p + len, 1, 1));
	self->b.len = len;
	ASSERT_EQ(0, works(&self->t, &self->b));
}

/* The old range stays and is empty. */
TEST_F_TIMEOUT(mm, move_dontunmap, SECONDS)
{
	struct vt_buf old = {
		.p = self->b.p,
		.model = calloc(1, LEN),
		.len = LEN,
	};

	self->b.p = mremap(old.p, LEN, LEN,
			   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			   self->room);
	ASSERT_EQ(self->room, self->b.p);
	ASSERT_EQ(0, works(&self->t, &old));
	ASSERT_EQ(0, works(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&old));
}

/* What comes to an address that was unmapped is zero, for the GPU too. */
static int map_again(struct vt *t, struct vt_buf *b, size_t start, size_t len)
{
	munmap(b->p + start, len);
	if (VT_WRONG(vt_fill(t, b->p + start, 1, 1) == -EFAULT) ||
	    VT_WRONG(mmap(b->p + start, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		     b->p + start))
		return 1;
	memset(b->model + start, 0, len);
	return works(t, b);
}

TEST_F_TIMEOUT(mm, unmap_whole, SECONDS)
{
	ASSERT_EQ(0, map_again(&self->t, &self->b, 0, LEN));
}

TEST_F_TIMEOUT(mm, unmap_head, SECONDS)
{
	ASSERT_EQ(0, map_again(&self->t, &self->b, 0, MIB));
}

TEST_F_TIMEOUT(mm, unmap_middle, SECONDS)
{
	ASSERT_EQ(0, map_again(&self->t, &self->b, MIB + PAGE, 2 * MIB));
}

TEST_F_TIMEOUT(mm, unmap_tail, SECONDS)
{
	ASSERT_EQ(0, map_again(&self->t, &self->b, LEN - 3 * PAGE, 3 * PAGE));
}

/* Replaced without a gap in between. */
TEST_F_TIMEOUT(mm, map_over, SECONDS)
{
	ASSERT_EQ(self->b.p + MIB,
		  mmap(self->b.p + MIB, MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	memset(self->b.model + MIB, 0, MIB);
	ASSERT_EQ(0, works(&self->t, &self->b));
}

TEST_F_TIMEOUT(mm, madvise_dontneed, SECONDS)
{
	size_t start = MIB / 2 + PAGE, len = 2 * MIB;

	ASSERT_EQ(0, madvise(self->b.p + start, len, MADV_DONTNEED));
	memset(self->b.model + start, 0, len);
	ASSERT_EQ(0, works(&self->t, &self->b));
	ASSERT_EQ(0, madvise(self->b.p, LEN, MADV_DONTNEED));
	memset(self->b.model, 0, LEN);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, works(&self->t, &self->b));
}

/* Each page is what it was, or zero. */
TEST_F_TIMEOUT(mm, madvise_free, SECONDS)
{
	size_t at;

	ASSERT_EQ(0, madvise(self->b.p, LEN, MADV_FREE));
	for (at = 0; at < LEN; at += PAGE)
		if (!self->b.p[at] && !self->b.p[at + PAGE - 1])
			memset(self->b.model + at, 0, PAGE);
	ASSERT_EQ(0, works(&self->t, &self->b));
}

/*
 * Freed at home, written by the GPU, and then reclaim comes by: what was written
 * is no longer free to go, whether it went to VRAM for that or not.
 */
static int free_write_reclaim(struct vt *t, struct vt_buf *b, __u32 location)
{
	long there;
	int err;

	if (VT_WRONG(!vt_buf_check(b)) || VT_WRONG(!madvise(b->p, LEN, MADV_FREE)) ||
	    VT_WRONG(!vsvm_madvise(t->dev.fd, t->vm, b->p, LEN,
				   DRM_VSVM_MADVISE_LOCATION, location)))
		return 1;
	err = vsvm_prefetch(t->dev.fd, t->vm, b->p, LEN, location, NULL, NULL);
	if (VT_WRONG(!err) || VT_WRONG(!vt_buf_fill(t, b, 0, LEN, 0x5c)))
		return 1;
	there = vt_pages_at(t, b->p, LEN, IN_VRAM);
	err = vsvm_prefetch(t->dev.fd, t->vm, b->p, LEN, DRM_VSVM_LOC_SYSTEM,
			    NULL, NULL);
	return VT_WRONG(there == (location ? (long)(LEN / PAGE) : 0)) ||
	       VT_WRONG(!err) || VT_WRONG(!madvise(b->p, LEN, MADV_PAGEOUT)) ||
	       VT_WRONG(!vt_buf_check(b)) || works(t, b);
}

TEST_F_TIMEOUT(mm, free_then_write_in_vram, SECONDS)
{
	ASSERT_EQ(0, free_write_reclaim(&self->t, &self->b,
					DRM_VSVM_LOC_DEVICE));
}

TEST_F_TIMEOUT(mm, free_then_write_in_ram, SECONDS)
{
	ASSERT_EQ(0, free_write_reclaim(&self->t, &self->b,
					DRM_VSVM_LOC_SYSTEM));
}

TEST_F_TIMEOUT(mm, unmap_gives_vram_back, SECONDS)
{
	__u64 used = vt_vram_used(&self->t);

	ASSERT_LE(LEN, used);
	munmap(self->b.p, LEN);
	ASSERT_EQ(0, vt_vram_settles(&self->t, used - LEN));
}

/* Pages of one thread: every fourth one, from its number on. */
struct worker {
	pthread_t thread;
	struct vt_buf *b;
	unsigned int number;
	bool *stop;
	unsigned long rounds;
	int err;
};

#define WORKERS	3

static void *work(void *arg)
{
	struct worker *w = arg;
	size_t at;

	while (!w->err && !__atomic_load_n(w->stop, __ATOMIC_RELAXED)) {
		for (at = w->number * PAGE; at < w->b->len && !w->err;
		     at += 4 * PAGE) {
			w->err = vt_buf_check_range(w->b, at, PAGE);
			if (!w->err)
				vt_buf_write(w->b, at, PAGE, at + w->rounds);
		}
		w->rounds++;
	}
	return NULL;
}

/* The GPU owns page 3 of every four; threads write the others meanwhile. */
TEST_F_TIMEOUT(mm, threads_beside_the_gpu, 2 * SECONDS)
{
	struct vt_buf b = { self->b.p, self->b.model, LARGE_PAGE };
	struct worker w[WORKERS];
	unsigned int i, round;
	bool stop = false;
	int err = 0;
	size_t at;

	for (i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ .b = &b, .number = i, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, work, &w[i]));
	}
	for (round = 0; round < 2 && !err; round++)
		for (at = 3 * PAGE; at < b.len && !err; at += 4 * PAGE)
			err = vt_buf_add(&self->t, &b, at, PAGE, 1);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < WORKERS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(0, w[i].err);
	}
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_check(&b));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
}

static void *read_all(void *arg)
{
	struct worker *w = arg;

	w->err = vt_buf_check(w->b);
	return NULL;
}

/* Several threads bring the same memory home. */
TEST_F_TIMEOUT(mm, threads_read_the_same, SECONDS)
{
	struct worker w[WORKERS];
	unsigned int i, round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
		for (i = 0; i < WORKERS; i++) {
			w[i] = (struct worker){ .b = &self->b };
			ASSERT_EQ(0, pthread_create(&w[i].thread, NULL,
						    read_all, &w[i]));
		}
		for (i = 0; i < WORKERS; i++) {
			pthread_join(w[i].thread, NULL);
			ASSERT_EQ(0, w[i].err);
		}
	}
}

static void *touch_on_and_on(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(w->stop, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(w->b->p + w->number, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&w->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * A GPU that needs two pages at once, and a CPU at each of them. They touch
 * other bytes than it does.
 */
TEST_F_TIMEOUT(mm, fight_over_two_pages, SECONDS)
{
	const size_t at[] = { 0, LARGE_PAGE + PAGE };
	struct worker w[ARRAY_SIZE(at)];
	struct vt_buf *b = &self->b;
	bool stop = false;
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		w[i] = (struct worker){ .b = b, .stop = &stop,
					.number = at[i] + PAGE - 1 };
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL,
					    touch_on_and_on, &w[i]));
	}
	/* There is no fight before all have begun. */
	for (i = 0; i < ARRAY_SIZE(at); i++)
		while (!__atomic_load_n(&w[i].rounds, __ATOMIC_RELAXED))
			vt_sleep_ms(1);
	for (i = 0; i < 5 && !err; i++)
		err = vt_copy(&self->t, b->p + at[1] + i * 256, b->p + at[0],
			      256);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		pthread_join(w[i].thread, NULL);
		b->model[w[i].number] += w[i].rounds;
	}
	ASSERT_EQ(0, err);
	for (i = 0; i < 5; i++)
		memcpy(b->model + at[1] + i * 256, b->model + at[0], 256);
	ASSERT_EQ(0, vt_buf_check(b));
}

static void *unmap_slowly(void *arg)
{
	struct worker *w = arg;
	size_t at;

	for (at = 0; at < w->b->len; at += 64 * KIB)
		munmap(w->b->p + at, 64 * KIB);
	return NULL;
}

/* Memory goes away under a job: the job fails, and nothing else does. */
TEST_F_TIMEOUT(mm, unmap_under_a_job, SECONDS)
{
	struct worker w = { .b = &self->b };
	__u64 sum, used;
	int err;

	/* The result has its page and its page tables from now on. */
	ASSERT_EQ(0, vt_sum(&self->t, self->b.p, LEN, &sum));
	used = vt_vram_used(&self->t);
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, unmap_slowly, &w));
	do {
		err = vt_sum(&self->t, self->b.p, LEN, &sum);
	} while (!err);
	EXPECT_EQ(-EFAULT, err);
	EXPECT_LE(vsvm_addr(self->b.p), self->t.last.fault_addr);
	EXPECT_GT(vsvm_addr(self->b.p + LEN), self->t.last.fault_addr);
	pthread_join(w.thread, NULL);
	ASSERT_EQ(0, vt_vram_settles(&self->t, used - LEN));
}

TEST_HARNESS_MAIN

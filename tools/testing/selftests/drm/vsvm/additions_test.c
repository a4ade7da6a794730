// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a driver gets from the additions to drm_pagemap: a page that cannot
 * move keeps no other from it, a CPU fault brings a window home, copies that
 * are reset in the middle lose nothing, little VRAM is used up to the last
 * page. Skipped where the module does without.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(120)
#define LEN	(4 * MIB)
#define PAGE	vsvm_page_size()

/* enum vsvm_hw_engine */
#define TO_VRAM		1
#define FROM_VRAM	2

FIXTURE(additions) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(additions)
{
	struct drm_vsvm_device_info info;
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (vt_parameter("plain") != 0)
		SKIP(return, "drm_pagemap has no additions, or vsvm does without");
	ASSERT_EQ(0, vsvm_query_device(self->t.dev.fd, &info));
	if (info.vram_size < 16 * MIB)
		SKIP(return, "needs a GPU with more VRAM");
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
}

FIXTURE_TEARDOWN(additions)
{
	vt_close(&self->t);
}

/* The GPU faults on a large range with one page that is in use elsewhere. */
TEST_F_TIMEOUT(additions, one_pinned_page, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u8 *pinned = b->p + 100 * PAGE;
	struct iovec page = { .iov_base = pinned, .iov_len = PAGE };
	__u8 *copy = malloc(PAGE);
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ((ssize_t)PAGE, vmsplice(pipes[1], &page, 1, 0));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_elsewhere(t, pinned, PAGE, IN_RAM));
	EXPECT_EQ((long)(b->len / PAGE - 1),
		  vt_pages_at(t, b->p, b->len, IN_VRAM));
	ASSERT_EQ((ssize_t)PAGE, read(pipes[0], copy, PAGE));
	ASSERT_EQ(0, vt_same(copy, b->model + 100 * PAGE, PAGE));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_check(b));
	close(pipes[0]);
	close(pipes[1]);
	free(copy);
}

static void touch(const __u8 *p)
{
	__atomic_load_n(p, __ATOMIC_RELAXED);
}

/* How much is home of a buffer that was in VRAM; nobody else touches it. */
static size_t home(struct vt *t, const struct vt_buf *b)
{
	return vt_pages_at(t, b->p, b->len, IN_RAM) * PAGE;
}

/* A fault out of the blue brings the least, one that reads on twice as much. */
TEST_F_TIMEOUT(additions, window, SECONDS)
{
	size_t at, last = 0, window = vt_parameter("window_min_kb") * KIB;
	const __u8 *p = self->b.p;
	struct vt *t = &self->t;
	unsigned int faults = 0;

	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(t, &self->b, IN_VRAM));
	/* Not next to anything that the fault above may have come from. */
	touch(p + LEN / 2 + LEN / 4 + 5 * PAGE);
	EXPECT_EQ(window, home(t, &self->b));
	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(t, &self->b, IN_VRAM));
	for (at = 0; at < LEN; at = last, faults++) {
		touch(p + at);
		ASSERT_LT(last, home(t, &self->b));
		last = home(t, &self->b);
	}
	/* 64 KiB at first: 64, 64, 128, 256, 512, 1024, 2048 */
	EXPECT_LE(faults, 9u);
	EXPECT_LE(4u, faults);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Back and forth all over: no two faults in a row. */
TEST_F_TIMEOUT(additions, window_jumps, SECONDS)
{
	size_t at, window = vt_parameter("window_min_kb") * KIB;
	const __u8 *p = self->b.p;
	struct vt *t = &self->t;
	unsigned int i;

	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, LEN, 1));
	for (i = 0, at = LEN - window; i < 4; i++, at -= 4 * window)
		touch(p + at + 3 * PAGE);
	EXPECT_EQ(4 * window, home(t, &self->b));
	ASSERT_EQ(0, vt_buf_check_gpu(t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* A thread that pulls the plug of the copy engines. */
struct resetter {
	struct vt *t;
	bool stop;
	int err;
};

static void *reset_on_and_on(void *arg)
{
	struct resetter *r = arg;
	unsigned int i;

	for (i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED) && !r->err; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%d", i % 2 ? TO_VRAM : FROM_VRAM);
		r->err = vt_tell(r->t, "reset", text);
		vt_sleep_ms(1);
	}
	return NULL;
}

/*
 * Whatever a reset hits stays where it is: in RAM on the way to VRAM, in VRAM
 * on the way home. The CPU does not touch it meanwhile, for it could not have it.
 */
TEST_F_TIMEOUT(additions, reset_in_the_middle, SECONDS)
{
	struct resetter r = { .t = &self->t };
	const struct vt *t = &self->t;
	__u64 moved, skipped = 0, total = 0;
	pthread_t thread;
	int i, err = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, reset_on_and_on, &r));
	for (i = 0; i < 20 && !err; i++) {
		err = vsvm_prefetch(t->dev.fd, t->vm, self->b.p, LEN,
				    i % 2 ? DRM_VSVM_LOC_SYSTEM :
					    DRM_VSVM_LOC_DEVICE,
				    &moved, &skipped);
		total += skipped;
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, r.err);
	TH_LOG("%llu pages did not move in %d passes", total, i);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* From many allocations in VRAM to one, without a way home. */
TEST_F_TIMEOUT(additions, compact, SECONDS)
{
	struct drm_vsvm_stats before, after;
	struct vt *t = &self->t;
	char text[64];
	size_t at;

	for (at = 0; at < LEN; at += 128 * KIB) {
		ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, self->b.p + at,
					   128 * KIB, DRM_VSVM_LOC_DEVICE, NULL,
					   NULL));
	}
	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &before));
	snprintf(text, sizeof(text), "%llx %lx", vsvm_addr(self->b.p), LEN);
	ASSERT_EQ(0, vt_tell(t, "compact", text));
	ASSERT_EQ(0, vt_buf_elsewhere(t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &after));
	vsvm_stats_sub(&after, &before);
	EXPECT_EQ(LEN, after.to_ram_bytes);
	EXPECT_EQ(0u, after.to_vram_bytes);
	ASSERT_EQ(0, vt_buf_check_gpu(t, &self->b));
	ASSERT_EQ(0, vsvm_evict(&t->dev));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

static size_t statistics(const struct vt *t, char *text, size_t size)
{
	char path[PATH_MAX];
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/drm_pagemap",
		 t->dev.name);
	f = fopen(path, "r");
	if (f) {
		len = fread(text, 1, size - 1, f);
		fclose(f);
	}
	text[len] = 0;
	return len;
}

/* What moved is counted, and the counters can be begun anew. */
TEST_F_TIMEOUT(additions, statistics, SECONDS)
{
	char *text = malloc(64 * KIB), line[64];

	ASSERT_NE(NULL, text);
	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p,
				   LARGE_PAGE, DRM_VSVM_LOC_SYSTEM, NULL, NULL));
	ASSERT_EQ(0, vt_tell(&self->t, "drm_pagemap", "0"));
	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p,
				   LARGE_PAGE, DRM_VSVM_LOC_DEVICE, NULL, NULL));
	ASSERT_NE(0u, statistics(&self->t, text, 64 * KIB));
	snprintf(line, sizeof(line), "moved: %lu pages\n", LARGE_PAGE / PAGE);
	EXPECT_NE(NULL, strstr(text, line));
	EXPECT_NE(NULL, strstr(text, "waste: 0 bytes\n"));
	ASSERT_EQ(0, vt_tell(&self->t, "drm_pagemap", "0"));
	ASSERT_NE(0u, statistics(&self->t, text, 64 * KIB));
	EXPECT_EQ(NULL, strstr(text, line));
	free(text);
}

/* A number of the statistics, -1 if it is not there. */
static long statistic(const struct vt *t, const char *name)
{
	char *text = malloc(64 * KIB), *line;
	long n = -1;

	if (text && statistics(t, text, 64 * KIB)) {
		line = strstr(text, name);
		if (line)
			sscanf(line + strlen(name), ": %ld", &n);
	}
	free(text);
	return n;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* A thread that zaps a large page at a time that it is told. */
struct zapper {
	__u8 *p;
	__u64 at;	/* ns; 0: wait for it */
	bool stop;
};

static void *zap_in_time(void *arg)
{
	struct zapper *z = arg;
	__u64 at;

	while (!__atomic_load_n(&z->stop, __ATOMIC_ACQUIRE)) {
		at = __atomic_load_n(&z->at, __ATOMIC_ACQUIRE);
		if (!at || now_ns() < at)
			continue;
		madvise(z->p, LARGE_PAGE, MADV_DONTNEED);
		__atomic_store_n(&z->at, 0, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* A large page that is mapped page by page, and half of which has gone. */
static int halve(__u8 *p)
{
	p[LARGE_PAGE / 2] = 1;
	return madvise(p, LARGE_PAGE / 2, MADV_DONTNEED) ? -errno : 0;
}

/*
 * mm splits such a page when it collects it, and may find the page table gone
 * afterwards: it collects the range a second time, beyond the end of it.
 */
TEST_F_TIMEOUT(additions, zapped_while_split, SECONDS)
{
	__u64 end = vt_now_ms() + vt_seconds(2) * 1000, seed = vt_seed();
	__u64 begun, took = 1000000;
	struct vt *t = &self->t;
	struct zapper z = {};
	pthread_t thread;
	int rounds, err = 0;
	long twice;

	z.p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, z.p);
	ASSERT_EQ(0, madvise(z.p, LARGE_PAGE, MADV_HUGEPAGE));
	twice = statistic(t, "collected_twice");
	ASSERT_EQ(0, pthread_create(&thread, NULL, zap_in_time, &z));
	for (rounds = 0; vt_now_ms() < end && !err; rounds++) {
		err = halve(z.p);
		begun = now_ns();
		__atomic_store_n(&z.at, begun + vt_random_below(&seed, took),
				 __ATOMIC_RELEASE);
		err = err ?: vsvm_prefetch(t->dev.fd, t->vm, z.p, LARGE_PAGE,
					   DRM_VSVM_LOC_DEVICE, NULL, NULL);
		took = (3 * took + now_ns() - begun) / 4;
		while (__atomic_load_n(&z.at, __ATOMIC_ACQUIRE))
			sched_yield();
		err = err ?: vt_all(z.p + LARGE_PAGE / 2, 0, PAGE);
		madvise(z.p, LARGE_PAGE, MADV_DONTNEED);
	}
	__atomic_store_n(&z.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, err);
	TH_LOG("%d rounds, collected twice: %ld", rounds,
	       statistic(t, "collected_twice") - twice);
	ASSERT_EQ(0, munmap(z.p, LARGE_PAGE));
	ASSERT_EQ(0, vt_buf_check_gpu(t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

FIXTURE(little_vram) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(little_vram)
{
	struct drm_vsvm_device_info info;
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (vt_parameter("plain") != 0)
		SKIP(return, "drm_pagemap has no additions, or vsvm does without");
	ASSERT_EQ(0, vsvm_query_device(self->t.dev.fd, &info));
	if (info.vram_size > LARGE_PAGE)
		SKIP(return, "needs a GPU with 2 MiB of VRAM");
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
}

FIXTURE_TEARDOWN(little_vram)
{
	vt_close(&self->t);
}

/* A large page does not fit, with the page tables; smaller pieces do. */
TEST_F_TIMEOUT(little_vram, smaller_pieces, SECONDS)
{
	struct vt *t = &self->t;

	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, LEN, 1));
	EXPECT_LE((long)(MIB / PAGE), vt_pages_at(t, self->b.p, LEN, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_gpu(t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_HARNESS_MAIN

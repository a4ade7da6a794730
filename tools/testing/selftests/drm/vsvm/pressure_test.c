// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The system's memory under pressure. VRAM is wanted while RAM is in pieces, so
 * that there is no large page for a large page that has to leave; and khugepaged,
 * compaction and reclaim take pages that the GPU copies. Nobody waits for long,
 * and every byte is right. For a GPU with little VRAM ("modprobe vsvm vram_mb=16").
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(120)
#define PAGE		vsvm_page_size()

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
/*
 * In ms, on a machine that may have other things to do: the budget is a second, and
 * an attempt that is begun when it is almost used up takes its time.
 */
#define LONGEST_EVICT	((unsigned int)vt_scaled(3000))
#define LONGEST_OBJECT	((unsigned int)vt_scaled(5000))

#define MIN_FREE	"/proc/sys/vm/min_free_kbytes"
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"
#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* What is left of RAM, to be broken up; and of that, what the system needs. */
#define REST		(192 * MIB)
#define SPARE		(24 * MIB)
#define PIPES		128
#define PIPE_PAGES	16
#define OBJECTS		3

#define BUSY_LEN	LARGE_PAGE
#define BUSY_MS		4000

static int write_number(const char *path, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	return vsvm_write_file(path, text);
}

/* Free pieces of RAM that a large page fits into, but for the DMA zone's. */
static unsigned long free_blocks(void)
{
	FILE *file = fopen("/proc/buddyinfo", "re");
	unsigned long n[11], blocks = 0;
	char line[256], zone[16];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %*d, zone %15s %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu",
			   zone, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6],
			   &n[7], &n[8], &n[9], &n[10]) == 12 &&
		    strcmp(zone, "DMA"))
			blocks += n[9] + 2 * n[10];
	}
	fclose(file);
	return blocks;
}

/**
 * struct pieces - RAM that has been broken up
 * @p: memory of which every other page is there
 * @len: its size
 * @used: what of it was touched
 * @large: memory that has taken what was in one piece still
 * @fd: pipes that hold pages of it where they are
 * @pipes: how many
 * @min_free: what the system had set aside before
 */
struct pieces {
	__u8 *p;
	size_t len;
	size_t used;
	__u8 *large;
	int fd[PIPES][2];
	unsigned int pipes;
	long min_free;
};

/* Some pages of each large page cannot be moved away. */
static int hold_pages(struct pieces *s, __u8 *p, size_t len)
{
	size_t at = 0;

	while (at < len && s->pipes < PIPES) {
		int *fd = s->fd[s->pipes];
		unsigned int i;

		if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
			return -errno;
		s->pipes++;
		for (i = 0; i < PIPE_PAGES && at < len; i++) {
			struct iovec page = { p + at, PAGE };

			if (vmsplice(fd[1], &page, 1, 0) != (ssize_t)PAGE)
				return -errno;
			at += LARGE_PAGE / 8;
		}
	}
	return 0;
}

/* After that there is room for @need bytes, but none for a large page. */
static int take_blocks(struct pieces *s, size_t need)
{
	size_t at;

	s->large = vt_map_aligned(2 * SPARE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_NORESERVE);
	if (!s->large)
		return -ENOMEM;
	madvise(s->large, 2 * SPARE, MADV_HUGEPAGE);
	for (at = 0; at < 2 * SPARE && free_blocks(); at += LARGE_PAGE) {
		if (vt_mem_available() < need + SPARE)
			break;
		s->large[at] = 1;
	}
	return 0;
}

/* @other: memory besides that is to stay where it is, or NULL */
static int break_up(struct pieces *s, const struct vt_buf *other, size_t need)
{
	const long available = vt_mem_available();
	size_t at;
	int err;

	*s = (struct pieces){ .len = REST + REST / 2 };
	s->min_free = vt_read_number(MIN_FREE, "");
	write_number(MIN_FREE, 2048);
	/* Most of it goes in one piece, which takes no time. */
	if (available > (long)REST)
		write_number(HUGE_PAGES, (available - REST) / LARGE_PAGE);
	s->p = vt_map_aligned(s->len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_NORESERVE);
	if (!s->p)
		return -ENOMEM;
	madvise(s->p, s->len, MADV_NOHUGEPAGE);
	while (s->used < s->len && vt_mem_available() > SPARE && free_blocks()) {
		memset(s->p + s->used, 0x77, MIB);
		s->used += MIB;
	}
	err = other ? hold_pages(s, s->p, s->used) : 0;
	if (other && !err)
		err = hold_pages(s, other->model, other->len);
	for (at = PAGE; at < s->used; at += 2 * PAGE)
		madvise(s->p + at, PAGE, MADV_DONTNEED);
	return err ?: take_blocks(s, need);
}

static void put_together(struct pieces *s)
{
	while (s->pipes--) {
		close(s->fd[s->pipes][0]);
		close(s->fd[s->pipes][1]);
	}
	if (s->p)
		munmap(s->p, s->len);
	if (s->large)
		munmap(s->large, 2 * SPARE);
	write_number(HUGE_PAGES, 0);
	if (s->min_free > 0)
		write_number(MIN_FREE, s->min_free);
}

FIXTURE(pieces) {
	struct vt t;
	struct vt_buf b;
	struct pieces s;
	size_t object;
};

FIXTURE_VARIANT(pieces) {
	bool hold;
	bool whole;
};

FIXTURE_VARIANT_ADD(pieces, none) { .whole = true, };
FIXTURE_VARIANT_ADD(pieces, that_move) { };
FIXTURE_VARIANT_ADD(pieces, that_stay) { .hold = true, };

FIXTURE_SETUP(pieces)
{
	struct drm_vsvm_device_info info = {};
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vsvm_query_device(self->t.dev.fd, &info));
	self->object = info.vram_size / 4;
	ASSERT_EQ(0, vt_buf_map(&self->b, info.vram_size - LARGE_PAGE, VT_THP));
}

FIXTURE_TEARDOWN(pieces)
{
	put_together(&self->s);
	vt_close(&self->t);
}

TEST_F_TIMEOUT(pieces, vram_is_wanted, SECONDS)
{
	__u64 start, ms, worst = 0;
	struct vt *t = &self->t;
	long longest, split;
	unsigned int i;
	__u32 handle;

	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(t, &self->b, IN_VRAM));
	if (!variant->whole)
		ASSERT_EQ(0, break_up(&self->s, variant->hold ? &self->b : NULL,
				      self->b.len));
	vt_pagemap_reset(&t->dev);
	for (i = 0; i < OBJECTS; i++) {
		__u8 *at = (__u8 *)DRM_VSVM_BIND_START + i * self->object;

		start = vt_now_ms();
		ASSERT_EQ(0, vsvm_gem_create(t->dev.fd, self->object, 0, &handle));
		ASSERT_EQ(0, vsvm_gem_bind(t->dev.fd, t->vm, handle, 0,
					   vsvm_addr(at), self->object, 0));
		/* It gets its place when the GPU first comes there. */
		ASSERT_EQ(0, vt_fill(t, at, PAGE, 1));
		ms = vt_now_ms() - start;
		worst = ms > worst ? ms : worst;
	}
	longest = vt_pagemap_number(&t->dev, "longest_evict");
	split = vt_pagemap_number(&t->dev, "block_split");
	TH_LOG("%llu ms for an object at worst, %ld us for an eviction; %ld blocks split",
	       worst, longest, split);
	EXPECT_GT(LONGEST_OBJECT, worst);
	EXPECT_GT(1000l * LONGEST_EVICT, longest);
	EXPECT_LT(self->b.len / LARGE_PAGE / 4,
		  (size_t)vt_pagemap_number(&t->dev, "evictions"));
	if (variant->whole)
		EXPECT_GE(0, split);
	put_together(&self->s);
	memset(&self->s, 0, sizeof(self->s));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* What mm does with memory that the GPU is working on. */
struct busy {
	struct vt_buf home;	/* stays in RAM */
	struct vt_buf away;	/* in VRAM */
	bool stop;
	unsigned long times[3];
};

static bool is_over(struct busy *m)
{
	return __atomic_load_n(&m->stop, __ATOMIC_RELAXED);
}

static void *compact(void *arg)
{
	struct busy *m = arg;

	for (; !is_over(m); m->times[0]++)
		write_number("/proc/sys/vm/compact_memory", 1);
	return NULL;
}

static void *reclaim(void *arg)
{
	struct busy *m = arg;
	__u64 state = vt_seed();

	for (; !is_over(m); m->times[1]++) {
		const size_t at = vt_random_below(&state, 4) * (BUSY_LEN / 4);

		madvise(m->home.p + at, BUSY_LEN / 4, MADV_PAGEOUT);
		madvise(m->away.p + at, BUSY_LEN / 4, MADV_PAGEOUT);
	}
	return NULL;
}

/* khugepaged comes by itself, but not as often. */
static void *collapse(void *arg)
{
	struct busy *m = arg;

	for (; !is_over(m); m->times[2]++) {
		madvise(m->home.p, BUSY_LEN, MADV_COLLAPSE);
		madvise(m->away.p, BUSY_LEN, MADV_COLLAPSE);
		vt_sleep_ms(10);
	}
	return NULL;
}

static void *(* const mm_threads[])(void *) = { compact, reclaim, collapse };

FIXTURE(busy) {
	struct vt t;
	struct busy m;
	pthread_t thread[ARRAY_SIZE(mm_threads)];
	long sleep_ms;
	long to_scan;
};

FIXTURE_SETUP(busy)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	self->sleep_ms = vt_read_number(KHUGEPAGED "scan_sleep_millisecs", "");
	self->to_scan = vt_read_number(KHUGEPAGED "pages_to_scan", "");
	write_number(KHUGEPAGED "scan_sleep_millisecs", 1);
	write_number(KHUGEPAGED "pages_to_scan", 4 * BUSY_LEN / PAGE);
	ASSERT_EQ(0, vt_buf_map(&self->m.home, BUSY_LEN, VT_THP));
	ASSERT_EQ(0, vt_buf_map(&self->m.away, BUSY_LEN, VT_THP));
	ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm, self->m.home.p,
				  BUSY_LEN, DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
}

FIXTURE_TEARDOWN(busy)
{
	write_number(KHUGEPAGED "scan_sleep_millisecs", self->sleep_ms);
	write_number(KHUGEPAGED "pages_to_scan", self->to_scan);
	vt_swap_end();
	vt_close(&self->t);
}

/* All that the GPU does in one round: in RAM, from RAM to VRAM, and back. */
static int work(struct vt *t, struct busy *m, unsigned int round)
{
	const size_t at = round % 4 * (BUSY_LEN / 4);
	int err;

	err = vt_buf_add(t, &m->home, 0, BUSY_LEN, 1);
	err = err ?: vt_copy(t, m->away.p, m->home.p, BUSY_LEN);
	memcpy(m->away.model, m->home.model, BUSY_LEN);
	err = err ?: vt_buf_add(t, &m->away, at, BUSY_LEN / 4, 3);
	err = err ?: vt_copy(t, m->home.p + at, m->away.p + at, BUSY_LEN / 4);
	memcpy(m->home.model + at, m->away.model + at, BUSY_LEN / 4);
	if (!err && round % 4 == 1)
		vsvm_evict(&t->dev);
	/* A CPU brings a part home, where reclaim finds it. */
	return err ?: vt_buf_check_range(&m->away, at, BUSY_LEN / 4);
}

TEST_F_TIMEOUT(busy, mm_takes_what_the_gpu_copies, SECONDS)
{
	const __u64 start = vt_now_ms();
	struct drm_vsvm_stats before, after;
	struct busy *m = &self->m;
	unsigned int i, round = 0;
	int err = 0;

	if (vt_swap_begin())
		SKIP(return, "no swap (modprobe zram)");
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &before));
	for (i = 0; i < ARRAY_SIZE(mm_threads); i++)
		ASSERT_EQ(0, pthread_create(&self->thread[i], NULL, mm_threads[i],
					    m));
	while (!err && (round < 4 || vt_now_ms() < start + BUSY_MS))
		err = work(&self->t, m, round++);
	__atomic_store_n(&m->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(mm_threads); i++)
		pthread_join(self->thread[i], NULL);
	TH_LOG("%u rounds; compacted %lu, reclaimed %lu, collapsed %lu times",
	       round, m->times[0], m->times[1], m->times[2]);
	ASSERT_EQ(0, err);
	for (i = 0; i < ARRAY_SIZE(mm_threads); i++)
		EXPECT_LT(0u, m->times[i]);
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &after));
	vsvm_stats_sub(&after, &before);
	EXPECT_EQ(0u, after.jobs_failed);
	EXPECT_EQ(0, vt_buf_check(&m->home));
	EXPECT_EQ(0, vt_buf_check(&m->away));
	/* Nothing that failed meanwhile is remembered. */
	EXPECT_EQ(0, work(&self->t, m, 0));
}

TEST_HARNESS_MAIN

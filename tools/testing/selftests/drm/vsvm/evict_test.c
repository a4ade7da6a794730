// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * VRAM that runs out: pages are moved out of it on request, under running jobs,
 * and because there is more memory than VRAM. No byte may get lost, and jobs
 * must get on.
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

/* Larger buffers than this take too long on an emulated machine. */
#define MAX_LEN	vt_scaled(64 * MIB)

FIXTURE(evict) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_VARIANT(evict) {
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(evict, small) { .kind = VT_SMALL, };
FIXTURE_VARIANT_ADD(evict, thp) { .kind = VT_THP, };
FIXTURE_VARIANT_ADD(evict, holes) { .kind = VT_HOLES, };

FIXTURE_SETUP(evict)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, variant->kind));
}

FIXTURE_TEARDOWN(evict)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(evict, on_request, SECONDS)
{
	struct drm_vsvm_stats before, after;
	struct vt *t = &self->t;
	__u64 used;

	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(t, &self->b, IN_VRAM));
	used = vt_vram_used(t);
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &before));
	ASSERT_EQ(0, vsvm_evict(&t->dev));
	ASSERT_EQ(0, vt_buf_elsewhere(t, &self->b, IN_RAM));
	ASSERT_EQ(0, vt_vram_settles(t, used - LEN));
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &after));
	vsvm_stats_sub(&after, &before);
	EXPECT_LT(0u, after.evictions);
	EXPECT_EQ(LEN, after.to_ram_bytes);
	/* It was not the CPU that touched it. */
	EXPECT_EQ(0u, after.cpu_faults);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The GPU had entries for these pages. */
TEST_F_TIMEOUT(evict, then_gpu_again, SECONDS)
{
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
		ASSERT_EQ(0, vsvm_evict(&self->t.dev));
	}
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vsvm_evict(&self->t.dev));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(evict, partly_home, SECONDS)
{
	size_t at;

	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	for (at = 0; at < LEN; at += 37 * PAGE)
		vt_buf_write(&self->b, at, PAGE, at);
	ASSERT_EQ(0, vsvm_evict(&self->t.dev));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Pages that parent and child share after a fork. */
TEST_F_TIMEOUT(evict, after_fork, SECONDS)
{
	int pipes[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	pid = fork();
	if (!pid)
		_exit(VT_WRONG(!vt_await(pipes[0])) ||
		      VT_WRONG(!vt_buf_check(&self->b)));
	ASSERT_EQ(0, vsvm_evict(&self->t.dev));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	vt_wake(pipes[1]);
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	close(pipes[0]);
	close(pipes[1]);
}

/* A thread that evicts until it is told to stop. */
struct evictor {
	struct vt *t;
	bool stop;
	unsigned long passes;
	int err;
};

static void *evict_on_and_on(void *arg)
{
	struct evictor *e = arg;

	while (!__atomic_load_n(&e->stop, __ATOMIC_RELAXED) && !e->err) {
		e->err = vsvm_evict(&e->t->dev);
		e->passes++;
		vt_sleep_ms(5);
	}
	return NULL;
}

TEST_F_TIMEOUT(evict, under_jobs, 2 * SECONDS)
{
	struct evictor e = { .t = &self->t };
	pthread_t thread;
	int i, err = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, evict_on_and_on, &e));
	for (i = 0; i < 4 && !err; i++)
		err = vt_buf_add(&self->t, &self->b, 0, LEN / 4, 1);
	__atomic_store_n(&e.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, e.err);
	EXPECT_LT(0u, e.passes);
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(evict, under_cpu_faults, 2 * SECONDS)
{
	struct evictor e = { .t = &self->t };
	pthread_t thread;
	int i, err = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, evict_on_and_on, &e));
	for (i = 0; i < 4 && !err; i++) {
		err = vt_buf_add(&self->t, &self->b, 0, LEN / 4, 1);
		err = err ?: vt_buf_check(&self->b);
	}
	__atomic_store_n(&e.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, e.err);
}

/* The owner of the memory goes while it is being evicted. */
TEST_F_TIMEOUT(evict, while_the_owner_exits, 2 * SECONDS)
{
	__u64 used = vt_vram_used(&self->t);
	int i, j, err = 0;
	struct vt t;
	pid_t pid;

	for (i = 0; i < 8; i++) {
		int pipes[2];

		ASSERT_EQ(0, pipe(pipes));
		pid = fork();
		if (!pid) {
			if (VT_WRONG(!vt_open(&t)) ||
			    VT_WRONG(!vt_buf_add(&t, &self->b, 0, LEN / 2, 1)))
				_exit(1);
			vt_wake(pipes[1]);
			_exit(0);
		}
		close(pipes[1]);
		ASSERT_EQ(0, vt_await(pipes[0]));
		for (j = 0; j < 4; j++)
			err = err ?: vsvm_evict(&self->t.dev);
		ASSERT_EQ(0, err);
		ASSERT_EQ(0, vt_join(pid));
		close(pipes[0]);
	}
	ASSERT_EQ(0, vt_vram_settles(&self->t, used));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

FIXTURE(oversubscribe) {
	struct vt t;
	size_t vram;
};

FIXTURE_SETUP(oversubscribe)
{
	struct drm_vsvm_device_info info;
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vsvm_query_device(self->t.dev.fd, &info));
	self->vram = info.vram_size;
}

FIXTURE_TEARDOWN(oversubscribe)
{
	vt_close(&self->t);
}

/* NULL, or why a buffer of @len is too much for this machine. */
static const char *too_much(size_t len)
{
	if (len > MAX_LEN)
		return "takes too long: load vsvm with less VRAM, or set VSVM_SCALE";
	if (len + len / 4 > vt_mem_available())
		return "not enough memory: load vsvm with less VRAM";
	return NULL;
}

/*
 * The value of a byte depends on the megabyte that it is in, so that pages that
 * got mixed up show. There is no model in memory: there is no room for it.
 */
static __u8 value_at(size_t offset)
{
	return offset / MIB * 7 + 3;
}

static int fill_all(struct vt *t, __u8 *p, size_t len)
{
	size_t at;
	int err = 0;

	for (at = 0; at < len && !err; at += MIB)
		err = vt_fill(t, p + at, MIB, value_at(at));
	return err;
}

static int sum_all(struct vt *t, __u8 *p, size_t len, __u8 added)
{
	__u64 sum;
	size_t at;
	int err;

	for (at = 0; at < len; at += MIB) {
		err = vt_sum(t, p + at, MIB, &sum);
		if (err)
			return err;
		if (VT_WRONG(sum == (__u8)(value_at(at) + added) * MIB))
			return -EILSEQ;
	}
	return 0;
}

static int check_all(const __u8 *p, size_t len, __u8 added)
{
	size_t at;
	int err = 0;

	for (at = 0; at < len && !err; at += MIB)
		err = vt_all(p + at, value_at(at) + added, MIB);
	return err;
}

/* Fill, add and read a buffer, several times as large as VRAM, in passes. */
static int stream(struct vt *t, size_t len, enum vt_kind kind, int passes)
{
	__u8 *p = vt_map_aligned(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int i, err;

	if (VT_WRONG(p))
		return -ENOMEM;
	madvise(p, len, kind == VT_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	err = fill_all(t, p, len);
	for (i = 0; i < passes && !err; i++)
		err = vt_add(t, p, p, len, 1);
	err = err ?: sum_all(t, p, len, passes);
	err = err ?: check_all(p, len, passes);
	munmap(p, len);
	return err;
}

TEST_F_TIMEOUT(oversubscribe, one_and_a_half, 4 * SECONDS)
{
	size_t len = (self->vram * 3 / 2) & ~(LARGE_PAGE - 1);
	__u64 used = vt_vram_used(&self->t);

	if (too_much(len))
		SKIP(return, "%zu MiB: %s", len / MIB, too_much(len));
	ASSERT_EQ(0, stream(&self->t, len, VT_THP, 2));
	/* Page tables stay as long as the address space. */
	ASSERT_EQ(0, vt_vram_settles(&self->t, used + len / 256));
}

TEST_F_TIMEOUT(oversubscribe, one_and_a_half_small_pages, 4 * SECONDS)
{
	size_t len = (self->vram * 3 / 2) & ~(LARGE_PAGE - 1);

	if (too_much(len))
		SKIP(return, "%zu MiB: %s", len / MIB, too_much(len));
	ASSERT_EQ(0, stream(&self->t, len, VT_SMALL, 1));
}

TEST_F_TIMEOUT(oversubscribe, four_times, 4 * SECONDS)
{
	size_t len = self->vram * 4;

	if (too_much(len))
		SKIP(return, "%zu MiB: %s", len / MIB, too_much(len));
	ASSERT_EQ(0, stream(&self->t, len, VT_THP, 1));
}

/* Two processes that together want more than there is. */
TEST_F_TIMEOUT(oversubscribe, two_processes, 4 * SECONDS)
{
	size_t len = (self->vram * 3 / 4) & ~(LARGE_PAGE - 1);
	__u64 used = vt_vram_used(&self->t);
	int i, err = 0;
	pid_t pid[2];

	if (too_much(2 * len))
		SKIP(return, "%zu MiB: %s", 2 * len / MIB, too_much(2 * len));
	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			struct vt t;

			_exit(vt_open(&t) || stream(&t, len, VT_THP, 2));
		}
	}
	for (i = 0; i < 2; i++)
		err |= vt_join(pid[i]);
	EXPECT_EQ(0, err);
	ASSERT_EQ(0, vt_vram_settles(&self->t, used));
}

/* One job whose operands do not fit into VRAM together. */
TEST_F_TIMEOUT(oversubscribe, copy_of_more_than_half, 4 * SECONDS)
{
	size_t len = (self->vram * 3 / 4) & ~(LARGE_PAGE - 1);
	__u8 *a, *b;

	if (too_much(2 * len))
		SKIP(return, "%zu MiB: %s", 2 * len / MIB, too_much(2 * len));
	a = vt_map_aligned(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	b = vt_map_aligned(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, a);
	ASSERT_NE(NULL, b);
	madvise(a, len, MADV_HUGEPAGE);
	madvise(b, len, MADV_HUGEPAGE);
	ASSERT_EQ(0, fill_all(&self->t, a, len));
	ASSERT_EQ(0, vt_copy(&self->t, b, a, len));
	ASSERT_EQ(0, sum_all(&self->t, b, len, 0));
	ASSERT_EQ(0, check_all(a, len, 0));
	ASSERT_EQ(0, check_all(b, len, 0));
}

/* More than fits is asked for at once: some stays behind, which is no error. */
TEST_F_TIMEOUT(oversubscribe, prefetch_too_much, 4 * SECONDS)
{
	size_t len = (self->vram * 5 / 4) & ~(LARGE_PAGE - 1);
	__u8 *p = vt_map_aligned(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	__u64 moved, skipped;

	ASSERT_NE(NULL, p);
	if (too_much(len))
		SKIP(return, "%zu MiB: %s", len / MIB, too_much(len));
	madvise(p, len, MADV_HUGEPAGE);
	memset(p, 0x5a, len);
	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, p, len,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_LE((len - self->vram) / PAGE, skipped);
	EXPECT_LT(0u, moved);
	EXPECT_GE(len / PAGE, moved + skipped);
	EXPECT_EQ((long)(len / PAGE - skipped),
		  vt_pages_at(&self->t, p, len, IN_VRAM));
	ASSERT_EQ(0, vt_all(p, 0x5a, len));
}

TEST_HARNESS_MAIN

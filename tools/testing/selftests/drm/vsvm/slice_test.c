// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Waiting out a timeslice: a CPU thread that touches memory which is to stay in
 * VRAM for a while sleeps, with nothing held that others want. Needs vsvm with a
 * long slice; skipped without.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define PAGE	vsvm_page_size()
#define THREADS	6
/* The slice that the tests are made for, and what counts as a part of it. */
#define SLICE	1000
#define EARLY	(SLICE * 6 / 10)

static long slice_ms(void)
{
	char text[32] = {};
	FILE *f = fopen("/sys/module/vsvm/parameters/timeslice_ms", "r");

	if (!f || !fgets(text, sizeof(text), f))
		text[0] = 0;
	if (f)
		fclose(f);
	return strtol(text, NULL, 0);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static long cpu_ms(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
}

struct toucher {
	pthread_t thread;
	const __u8 *p;
	long took;
};

static void *touch_thread(void *arg)
{
	struct toucher *t = arg;
	long start = now_ms();

	__atomic_load_n(t->p, __ATOMIC_RELAXED);
	t->took = now_ms() - start;
	return NULL;
}

FIXTURE(slice) {
	struct vt t;
	struct vt_buf b;
	struct toucher toucher[THREADS];
};

FIXTURE_VARIANT(slice) {
	enum vt_kind kind;
	size_t len;
};

FIXTURE_VARIANT_ADD(slice, page) {
	.kind = VT_SMALL,
	.len = 4096,
};

FIXTURE_VARIANT_ADD(slice, block) {
	.kind = VT_THP,
	.len = LARGE_PAGE,
};

FIXTURE_SETUP(slice)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (slice_ms() != SLICE)
		SKIP(return, "needs vsvm with timeslice_ms=1000");
	ASSERT_EQ(0, vt_buf_map(&self->b, variant->len, variant->kind));
	/* The GPU writes it, which begins the slice. */
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, variant->len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
}

FIXTURE_TEARDOWN(slice)
{
	vt_close(&self->t);
}

/* Each thread at a page of its own, if there are so many. */
static int touch_all(struct toucher *toucher, const struct vt_buf *b)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < THREADS && !err; i++) {
		toucher[i].p = b->p + i * 17 * PAGE % b->len;
		err = pthread_create(&toucher[i].thread, NULL, touch_thread,
				     &toucher[i]);
	}
	return err;
}

static void join_all(struct toucher *toucher)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		pthread_join(toucher[i].thread, NULL);
}

/* All wait, nobody computes, and what they waited for is copied once. */
TEST_F_TIMEOUT(slice, sleeps, SECONDS)
{
	struct drm_vsvm_stats before, after;
	long cpu = cpu_ms();
	unsigned int i;

	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &before));
	ASSERT_EQ(0, touch_all(self->toucher, &self->b));
	join_all(self->toucher);
	cpu = cpu_ms() - cpu;
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &after));

	for (i = 0; i < THREADS; i++) {
		EXPECT_LE(SLICE / 4, self->toucher[i].took);
		EXPECT_GE(5 * SLICE, self->toucher[i].took);
	}
	/* Spinning takes as much of both processors as there is. */
	EXPECT_GE(SLICE / 2, cpu);
	TH_LOG("%ld ms of processor time", cpu);
	EXPECT_EQ(variant->len, after.to_ram_bytes - before.to_ram_bytes);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* An eviction is not in their way, nor they in its; it sends them on. */
TEST_F_TIMEOUT(slice, eviction_ends_it, SECONDS)
{
	long start = now_ms();
	unsigned int i;

	ASSERT_EQ(0, touch_all(self->toucher, &self->b));
	vt_sleep_ms(SLICE / 10);
	EXPECT_EQ(0, vsvm_evict(&self->t.dev));
	EXPECT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	join_all(self->toucher);
	EXPECT_GT(EARLY, now_ms() - start);
	for (i = 0; i < THREADS; i++)
		EXPECT_GT(EARLY, self->toucher[i].took);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

static long alarm_at;

static void on_alarm(int sig)
{
	(void)sig;
	__atomic_store_n(&alarm_at, now_ms(), __ATOMIC_RELAXED);
}

/* A signal's handler runs while its thread waits. */
TEST_F_TIMEOUT(slice, signal, SECONDS)
{
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	struct sigaction action = { .sa_handler = on_alarm };
	long start = now_ms(), at;

	__atomic_store_n(&alarm_at, 0, __ATOMIC_RELAXED);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	__atomic_load_n(self->b.p, __ATOMIC_RELAXED);
	at = __atomic_load_n(&alarm_at, __ATOMIC_RELAXED);
	EXPECT_NE(0, at);
	EXPECT_GT(EARLY, at - start);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Who is killed in the wait does not wait for its end. */
TEST_F_TIMEOUT(slice, killed, SECONDS)
{
	long start = now_ms();
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid) {
		__atomic_load_n(self->b.p, __ATOMIC_RELAXED);
		_exit(0);
	}
	vt_sleep_ms(SLICE / 10);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_GT(EARLY, now_ms() - start);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* So is the kernel on behalf of a thread: a write() from the memory. */
TEST_F_TIMEOUT(slice, system_call, SECONDS)
{
	long cpu = cpu_ms();
	__u8 byte;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(1, write(p[1], self->b.p, 1));
	ASSERT_EQ(1, read(p[0], &byte, 1));
	EXPECT_EQ(self->b.model[0], byte);
	EXPECT_GE(SLICE / 2, cpu_ms() - cpu);
	close(p[0]);
	close(p[1]);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_HARNESS_MAIN

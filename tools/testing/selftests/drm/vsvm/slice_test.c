// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Waiting out a timeslice: a CPU thread that touches memory which is to stay in
 * VRAM for a while sleeps, with nothing held that others want. Needs vsvm with a
 * long slice; skipped without.
 *
 * A slice does not wait for a test that the machine has no time for just now. So
 * what takes time has several chances to be done within one. That makes nothing
 * pass that waits for the end of the slice: it is late every time.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define PAGE	vsvm_page_size()
#define THREADS	6
/* The slice that the tests are made for; a virtual machine's ticks may lag. */
#define SLICE	1000
#define EARLY	(SLICE * 85 / 100)
#define CHANCES	8

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
	__u64 done;
};

static void *touch_thread(void *arg)
{
	struct toucher *t = arg;

	__atomic_load_n(t->p, __ATOMIC_RELAXED);
	t->done = vt_now_ms();
	return NULL;
}

/* @begun: a time just before the slice */
FIXTURE(slice) {
	struct vt t;
	struct vt_buf b;
	struct toucher toucher[THREADS];
	__u64 begun;
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
	if (vt_parameter("timeslice_ms") != SLICE)
		SKIP(return, "needs vsvm with timeslice_ms=1000");
	ASSERT_EQ(0, vt_buf_map(&self->b, variant->len, variant->kind));
}

FIXTURE_TEARDOWN(slice)
{
	vt_close(&self->t);
}

/* The GPU writes memory that was in RAM, which begins a slice. */
static int begin(struct vt *t, struct vt_buf *b, __u64 *begun)
{
	if (VT_WRONG(!vsvm_evict(&t->dev)) ||
	    VT_WRONG(!vt_buf_elsewhere(t, b, IN_RAM)))
		return 1;
	*begun = vt_now_ms();
	return VT_WRONG(!vt_buf_add(t, b, 0, b->len, 1)) ||
	       VT_WRONG(!vt_buf_elsewhere(t, b, IN_VRAM));
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

static bool all_done_before(const struct toucher *toucher, __u64 ms)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		if (toucher[i].done >= ms)
			return false;
	}
	return true;
}

/* All wait, nobody computes, and what they waited for is copied once. */
TEST_F_TIMEOUT(slice, sleeps, SECONDS)
{
	struct drm_vsvm_stats before, after;
	bool in_time = false;
	long cpu = LONG_MAX;
	unsigned int n, i;

	/* Spinning takes as much of both processors as there is. */
	for (n = 0; n < CHANCES && (cpu > SLICE / 2 || !in_time); n++) {
		ASSERT_EQ(0, begin(&self->t, &self->b, &self->begun));
		ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &before));
		cpu = cpu_ms();
		ASSERT_EQ(0, touch_all(self->toucher, &self->b));
		join_all(self->toucher);
		cpu = cpu_ms() - cpu;
		ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &after));
		for (i = 0; i < THREADS; i++)
			EXPECT_LE(self->begun + EARLY, self->toucher[i].done);
		in_time = all_done_before(self->toucher,
					  self->begun + 5 * SLICE);
		EXPECT_EQ(variant->len, after.to_ram_bytes - before.to_ram_bytes);
		ASSERT_EQ(0, vt_buf_check(&self->b));
	}
	TH_LOG("%ld ms of processor time, attempt %u", cpu, n);
	EXPECT_GE(SLICE / 2, cpu);
	EXPECT_TRUE(in_time);
}

/* A thread that goes twice to the same page, and meets all others between. */
struct comer {
	struct toucher toucher;
	pthread_barrier_t *all;
};

static void *come_thread(void *arg)
{
	struct comer *c = arg;

	touch_thread(&c->toucher);
	pthread_barrier_wait(c->all);
	pthread_barrier_wait(c->all);
	touch_thread(&c->toucher);
	return NULL;
}

/*
 * All wait for a slice, but one of them brings the page home for all. That the
 * others have waited is no reason to take the page away in the next slice.
 */
TEST_F_TIMEOUT(slice, again, SECONDS)
{
	pthread_barrier_t all;
	struct comer comer[THREADS];
	unsigned int i;

	ASSERT_EQ(0, pthread_barrier_init(&all, NULL, THREADS + 1));
	ASSERT_EQ(0, begin(&self->t, &self->b, &self->begun));
	for (i = 0; i < THREADS; i++) {
		comer[i] = (struct comer) {
			.toucher.p = self->b.p,
			.all = &all,
		};
		ASSERT_EQ(0, pthread_create(&comer[i].toucher.thread, NULL,
					    come_thread, &comer[i]));
	}
	pthread_barrier_wait(&all);
	vt_sleep_ms(SLICE / 2);
	ASSERT_EQ(0, begin(&self->t, &self->b, &self->begun));
	pthread_barrier_wait(&all);
	for (i = 0; i < THREADS; i++) {
		pthread_join(comer[i].toucher.thread, NULL);
		EXPECT_LE(self->begun + EARLY, comer[i].toucher.done);
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* An eviction is not in their way, nor they in its; it sends them on. */
TEST_F_TIMEOUT(slice, eviction_ends_it, SECONDS)
{
	bool early = false;
	unsigned int n, i;
	__u64 evicted;

	for (n = 0; n < CHANCES && !early; n++) {
		ASSERT_EQ(0, begin(&self->t, &self->b, &self->begun));
		ASSERT_EQ(0, touch_all(self->toucher, &self->b));
		vt_sleep_ms(SLICE / 10);
		evicted = vt_now_ms();
		EXPECT_EQ(0, vsvm_evict(&self->t.dev));
		early = vt_now_ms() < self->begun + EARLY;
		EXPECT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
		join_all(self->toucher);
		early &= all_done_before(self->toucher, self->begun + EARLY);
		for (i = 0; i < THREADS; i++)
			EXPECT_TRUE(self->toucher[i].done >= evicted ||
				    self->toucher[i].done >= self->begun + EARLY);
		ASSERT_EQ(0, vt_buf_check(&self->b));
	}
	TH_LOG("attempt %u", n);
	EXPECT_TRUE(early);
}

static __u64 alarm_at;

static void on_alarm(int sig)
{
	(void)sig;
	__atomic_store_n(&alarm_at, vt_now_ms(), __ATOMIC_RELAXED);
}

/* A signal's handler runs while its thread waits, which then waits on. */
TEST_F_TIMEOUT(slice, signal, SECONDS)
{
	const struct itimerval soon = { .it_value.tv_usec = 50000 }, never = {};
	struct sigaction action = { .sa_handler = on_alarm };
	bool early = false;
	unsigned int n;
	__u64 at;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (n = 0; n < CHANCES && !early; n++) {
		ASSERT_EQ(0, begin(&self->t, &self->b, &self->begun));
		__atomic_store_n(&alarm_at, 0, __ATOMIC_RELAXED);
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
		__atomic_load_n(self->b.p, __ATOMIC_RELAXED);
		at = __atomic_load_n(&alarm_at, __ATOMIC_RELAXED);
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
		EXPECT_LE(self->begun + EARLY, vt_now_ms());
		early = at && at < self->begun + EARLY;
		ASSERT_EQ(0, vt_buf_check(&self->b));
	}
	TH_LOG("attempt %u", n);
	EXPECT_TRUE(early);
}

/*
 * Who is killed in the wait does not wait for its end. Nor is the next one spared
 * the wait because it got the dead one's task_struct.
 */
TEST_F_TIMEOUT(slice, killed, SECONDS)
{
	bool early = false;
	unsigned int n;
	int status;
	pid_t pid;

	for (n = 0; n < CHANCES && !early; n++) {
		ASSERT_EQ(0, begin(&self->t, &self->b, &self->begun));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			__atomic_load_n(self->b.p, __ATOMIC_RELAXED);
			_exit(0);
		}
		vt_sleep_ms(SLICE / 10);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		early = vt_now_ms() < self->begun + EARLY;
		EXPECT_TRUE(WIFSIGNALED(status) || !early);
		ASSERT_EQ(0, vt_buf_check(&self->b));
	}
	TH_LOG("attempt %u", n);
	EXPECT_TRUE(early);
}

/* The kernel sleeps as well, for a thread that does a write() from the memory. */
TEST_F_TIMEOUT(slice, system_call, SECONDS)
{
	long cpu = LONG_MAX;
	unsigned int n;
	__u8 byte;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	for (n = 0; n < CHANCES && cpu > SLICE / 2; n++) {
		ASSERT_EQ(0, begin(&self->t, &self->b, &self->begun));
		cpu = cpu_ms();
		ASSERT_EQ(1, write(p[1], self->b.p, 1));
		cpu = cpu_ms() - cpu;
		EXPECT_LE(self->begun + EARLY, vt_now_ms());
		ASSERT_EQ(1, read(p[0], &byte, 1));
		EXPECT_EQ(self->b.model[0], byte);
		ASSERT_EQ(0, vt_buf_check(&self->b));
	}
	EXPECT_GE(SLICE / 2, cpu);
	close(p[0]);
	close(p[1]);
}

TEST_HARNESS_MAIN

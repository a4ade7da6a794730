// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How long things take on a machine that is busy, or whose GPU hangs: clients
 * whose kernels never end keep nobody's memory from moving, an invalidation in
 * the middle of a fault costs that fault no more than another look, and who waits
 * for engines that stopped gets on when they are reset.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../../gpu/vsvm/vsvm_hogs.h"
#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(120)
#define QUEUES		DRM_VSVM_NUM_QUEUES
#define LEN		(256 * KIB)
#define PAGE		vsvm_page_size()
/*
 * In ms. What must not happen to anybody is that seconds are gone as a whole; a few
 * may be, on a machine that has other things to do.
 */
#define SECOND		((unsigned int)vt_scaled(1000))

#define MAX_CLIENTS	12
#define MIN_CLIENTS	8
#define NUM_HOGS	4
#define INVALIDATE	"inject/invalidate"
/* enum vsvm_hw_engine */
#define PAGING		"0"
#define FROM_VRAM	"2"

FIXTURE(load) {
	struct vt t;
	struct vt_buf b;
	struct vt client[MAX_CLIENTS];
	unsigned int num;
	pid_t hog[NUM_HOGS];
};

FIXTURE_SETUP(load)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	self->num = 0;
}

FIXTURE_TEARDOWN(load)
{
	while (self->num)
		vt_close(&self->client[--self->num]);
	vt_swap_end();
	vt_close(&self->t);
}

/*
 * Far more queues than processors, with a kernel without end on each; to end all
 * that there may be takes minutes on the debug kernel.
 */
static int clients_start(struct vt *client, unsigned int *num, void *node)
{
	struct drm_vsvm_kernel kernel;
	unsigned int i;
	int err = 0;

	vt_endless(&kernel, node);
	for (*num = 0; *num < MAX_CLIENTS; ++*num) {
		struct vt *t = &client[*num];

		*t = (struct vt){};
		if (vsvm_open(&t->dev, -1))
			break;
		if (vsvm_vm_create(t->dev.fd, &t->vm)) {
			vsvm_close(&t->dev);
			break;
		}
		for (i = 0; i < QUEUES && !err; i++) {
			struct drm_vsvm_exec exec = {
				.vm_id = t->vm,
				.queue = i,
				.num_kernels = 1,
				.kernels = vsvm_addr(&kernel),
			};

			err = vsvm_exec(t->dev.fd, &exec);
		}
		if (err)
			return err;
	}
	return *num < MIN_CLIENTS ? -ENOSPC : 0;
}

/*
 * Memory that the GPU has mapped comes home page by page, each by an invalidation
 * and a copy, while all queues of the GPU and all processors are taken. Engines of
 * which nobody is sure any more would be reset, and break all address spaces.
 */
TEST_F_TIMEOUT(load, clients_that_spin, SECONDS)
{
	void *node = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	__u64 start, ms, worst = 0;
	unsigned int i;
	int err = 0;

	ASSERT_NE(NULL, node);
	/* Of its own accord: nobody's job is to be cancelled meanwhile. */
	ASSERT_LE(10000, vt_parameter("timeout_ms"));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	hogs_start(self->hog, NUM_HOGS);
	err = clients_start(self->client, &self->num, node);
	for (i = 0; i < 8 && !err; i++) {
		start = vt_now_ms();
		err = mprotect(self->b.p + i * PAGE, PAGE, PROT_READ) ? -errno :
		      vt_buf_check_range(&self->b, i * PAGE, PAGE);
		ms = vt_now_ms() - start;
		worst = ms > worst ? ms : worst;
	}
	hogs_end(self->hog, NUM_HOGS);
	ASSERT_EQ(0, err);
	TH_LOG("%u clients, %llu ms at worst", self->num, worst);
	EXPECT_GT(5 * SECOND, worst);
	while (self->num)
		vt_close(&self->client[--self->num]);
	ASSERT_EQ(0, mprotect(self->b.p, LEN, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

struct disturber {
	__u8 *p;
	size_t len;
	unsigned int times;
	bool stop;
};

/* The neighbours of what the GPU is after change all the time. */
static void *disturb(void *arg)
{
	struct disturber *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED)) {
		madvise(d->p, d->len, MADV_DONTNEED);
		d->p[0] = 1;
		mprotect(d->p, d->len, PROT_READ);
		mprotect(d->p, d->len, PROT_READ | PROT_WRITE);
		d->times++;
	}
	return NULL;
}

/*
 * The second half of a buffer is invalidated while faults on the first one are
 * served, that is, in the middle of looks at the pages: by chance, but by the
 * hundred. Nobody is made to wait until a budget for attempts has gone.
 */
TEST_F_TIMEOUT(load, faults_that_are_disturbed, SECONDS)
{
	const size_t half = LEN / 2;
	struct disturber d = { .p = self->b.p + half, .len = half };
	__u64 start, ms, worst = 0;
	pthread_t thread;
	unsigned int i;
	int err = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, disturb, &d));
	for (i = 0; i < 24 && !err; i++) {
		const size_t at = i % 8 * PAGE;

		start = vt_now_ms();
		err = vt_buf_add(&self->t, &self->b, at, half - at, 1);
		ms = vt_now_ms() - start;
		worst = ms > worst ? ms : worst;
		/* Home, so that there is something to fault on. */
		err = err ?: vt_buf_check_range(&self->b, at, half - at);
	}
	__atomic_store_n(&d.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, err);
	TH_LOG("%u times in %u faults, %llu ms at worst", d.times, i, worst);
	EXPECT_LT(0u, d.times);
	EXPECT_GT(5 * SECOND, worst);
}

/* How long the GPU takes for a page that it has to fetch first, in ms. */
static int timed_fault(struct vt *t, struct vt_buf *b, size_t at, __u64 *ms)
{
	__u64 start;
	int err;

	/* Home, so that there is something to fault on. */
	err = vt_buf_check_range(b, at, PAGE);
	start = vt_now_ms();
	err = err ?: vt_buf_add(t, b, at, PAGE, 1);
	*ms = vt_now_ms() - start;
	return err;
}

/*
 * The same, but for certain, and once in each fault: right before the page table is
 * written. That costs another look, and not the time that a back-off or a budget of
 * attempts would. The quickest of several tells, on a machine that has other things
 * to do.
 */
TEST_F_TIMEOUT(load, invalidated_once, SECONDS)
{
	__u64 ms, plain = UINT64_MAX, disturbed = UINT64_MAX;
	unsigned int i;

	if (vt_tell(&self->t, INVALIDATE, "0"))
		SKIP(return, "needs CONFIG_DRM_VSVM_DEBUG");
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, timed_fault(&self->t, &self->b, i * PAGE, &ms));
		plain = ms < plain ? ms : plain;
		ASSERT_EQ(0, vt_tell(&self->t, INVALIDATE, "1"));
		ASSERT_EQ(0, timed_fault(&self->t, &self->b, i * PAGE, &ms));
		disturbed = ms < disturbed ? ms : disturbed;
		/* It was used. */
		ASSERT_EQ(0, vt_ask(&self->t, INVALIDATE));
	}
	TH_LOG("%llu ms, %llu ms when invalidated", plain, disturbed);
	EXPECT_GE(plain + SECOND / 10, disturbed);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/*
 * In each attempt, for as long as a device takes to go: that must not be taken for a
 * page that cannot be had.
 */
TEST_F_TIMEOUT(load, invalidated_for_a_while, SECONDS)
{
	struct vt_work w;

	if (vt_tell(&self->t, INVALIDATE, "1000000"))
		SKIP(return, "needs CONFIG_DRM_VSVM_DEBUG");
	ASSERT_EQ(0, vt_work_begin(&w, &self->t, 0, self->b.p, PAGE, 0));
	vt_sleep_ms(200);
	EXPECT_FALSE(vt_work_done(&w));
	ASSERT_EQ(0, vt_tell(&self->t, INVALIDATE, "0"));
	ASSERT_EQ(0, vt_work_end(&w));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

static sigjmp_buf on_sigbus;

static void sigbus(int sig)
{
	(void)sig;
	siglongjmp(on_sigbus, 1);
}

struct waiter {
	__u8 *p;
	__u64 ms;
	bool bus;
};

static void *wait_for_page(void *arg)
{
	struct waiter *w = arg;
	const __u64 start = vt_now_ms();

	if (!sigsetjmp(on_sigbus, 1))
		(void)__atomic_load_n(w->p, __ATOMIC_RELAXED);
	else
		w->bus = true;
	w->ms = vt_now_ms() - start;
	return NULL;
}

/*
 * The engine that brings memory home hangs, then the one that takes it from the
 * GPU. A CPU that wants a page, and reclaim of pages that the GPU has mapped, wait
 * until both are given up, and no longer; nothing is lost. What was to be told to
 * the paging engine is, so no job of this address space runs again.
 */
TEST_F_TIMEOUT(load, engines_that_hang, SECONDS)
{
	const long timeout = vt_parameter("timeout_ms");
	const __u64 limit = timeout > 10000 ? timeout : 10000;
	struct sigaction action = { .sa_handler = sigbus };
	struct waiter w = { .p = self->b.p };
	struct vt_buf home;
	pthread_t thread;
	struct vt fresh;
	__u64 start;

	ASSERT_EQ(0, vt_buf_map(&home, LEN, VT_SMALL));
	if (vt_swap_begin())
		SKIP(return, "no swap (modprobe zram)");
	ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm, home.p, LEN,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_buf_add(&self->t, &home, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &home, IN_RAM));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	sigaction(SIGBUS, &action, NULL);
	if (vt_tell(&self->t, "halt", FROM_VRAM) == -EOPNOTSUPP)
		SKIP(return, "engines hang at the other end: pci_test has that");
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_page, &w));
	vt_sleep_ms(300);
	ASSERT_EQ(0, vt_tell(&self->t, "halt", PAGING));
	start = vt_now_ms();
	ASSERT_EQ(0, madvise(home.p, LEN, MADV_PAGEOUT));
	TH_LOG("reclaim: %llu ms", vt_now_ms() - start);
	EXPECT_GT(limit + 3 * SECOND, vt_now_ms() - start);
	pthread_join(thread, NULL);
	TH_LOG("CPU fault: %llu ms%s", w.ms, w.bus ? ", signal" : "");
	EXPECT_GT(limit + 4 * SECOND, w.ms);
	ASSERT_EQ(0, vt_open(&fresh));
	EXPECT_EQ(0, vt_buf_check(&self->b));
	EXPECT_EQ(0, vt_buf_check(&home));
	EXPECT_EQ(0, vt_buf_add(&fresh, &self->b, 0, LEN, 1));
	EXPECT_EQ(0, vt_buf_check(&self->b));
	vt_close(&fresh);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * User fences: what a queue writes when a job is done, where that may be, and
 * how one waits for it. Fences of others that jobs and objects have to do with.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(60)
#define WAIT_MS		vt_timeout(20000)
#define LEN		vt_scaled(256 * KIB)
#define PAGE		vsvm_page_size()
#define AT		((__u8 *)DRM_VSVM_BIND_START)

FIXTURE(fence) {
	struct vt t;
	struct vt_buf b;
	struct vt_ufence f;
};

FIXTURE_SETUP(fence)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	ASSERT_EQ(0, vt_ufence_create(&self->f));
}

FIXTURE_TEARDOWN(fence)
{
	vt_close(&self->t);
}

static struct drm_vsvm_kernel fill(void *dst, size_t count, __u8 value)
{
	return (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(dst),
		.count = count,
		.arg = value,
	};
}

/* A job whose fence is @word, on any queue. */
static int run_to(struct vt *t, __u32 queue, const struct drm_vsvm_kernel *k,
		  void *word, __u64 value, __u64 *job)
{
	struct drm_vsvm_exec exec = {
		.vm_id = t->vm,
		.flags = DRM_VSVM_EXEC_FENCE,
		.num_kernels = 1,
		.kernels = vsvm_addr(k),
		.queue = queue,
		.fence_addr = vsvm_addr(word),
		.fence_value = value,
	};
	int err = vsvm_exec(t->dev.fd, &exec);

	if (job)
		*job = exec.job;
	return err;
}

static int wait_for(struct vt *t, void *word, __u32 op, __u64 value,
		    unsigned int ms)
{
	struct drm_vsvm_wait_user_fence w = {
		.vm_id = t->vm,
		.op = op,
		.addr = vsvm_addr(word),
		.value = value,
		.mask = ~0ull,
		.timeout_ns = ms * 1000000ll,
	};

	return vsvm_wait_user_fence(t->dev.fd, &w);
}

/* Who sees the word sees what the job wrote, and all jobs before it. */
TEST_F_TIMEOUT(fence, in_order, SECONDS)
{
	struct vt *t = &self->t;
	__u64 i, job;

	for (i = 1; i <= 40; i++) {
		const struct drm_vsvm_kernel k = fill(self->b.p, LEN, i);

		ASSERT_EQ(0, run_to(t, 2, &k, self->f.word, i, &job));
		EXPECT_EQ(i, job);
		if (i % 8)
			continue;
		ASSERT_EQ(0, wait_for(t, self->f.word, DRM_VSVM_UFENCE_GTE, i,
				      WAIT_MS));
		ASSERT_EQ(i, *self->f.word);
		ASSERT_EQ(0, vt_all(self->b.p, i, LEN));
	}
}

/* Every comparison, with a mask, of a word that does not change. */
TEST_F_TIMEOUT(fence, comparisons, SECONDS)
{
	static const struct {
		__u32 op;
		bool less, equal, greater;
	} op[] = {
		{ DRM_VSVM_UFENCE_EQ, false, true, false },
		{ DRM_VSVM_UFENCE_NEQ, true, false, true },
		{ DRM_VSVM_UFENCE_GT, false, false, true },
		{ DRM_VSVM_UFENCE_GTE, false, true, true },
		{ DRM_VSVM_UFENCE_LT, true, false, false },
		{ DRM_VSVM_UFENCE_LTE, true, true, false },
	};
	/* The words differ in bits that do not count. */
	const __u64 top = 1ull << 63;
	__u64 word[] = { 4 | 1ull << 40, top | 5, top | 6 };
	struct drm_vsvm_wait_user_fence w = { .vm_id = self->t.vm };
	unsigned int i;

	w.value = 5 | 1ull << 41;
	w.mask = ~(3ull << 40) & ~top;
	for (i = 0; i < ARRAY_SIZE(op); i++) {
		w.op = op[i].op;
		w.addr = vsvm_addr(&word[0]);
		EXPECT_EQ(op[i].less ? 0 : -ETIME,
			  vsvm_wait_user_fence(self->t.dev.fd, &w));
		w.addr = vsvm_addr(&word[1]);
		EXPECT_EQ(op[i].equal ? 0 : -ETIME,
			  vsvm_wait_user_fence(self->t.dev.fd, &w));
		w.addr = vsvm_addr(&word[2]);
		EXPECT_EQ(op[i].greater ? 0 : -ETIME,
			  vsvm_wait_user_fence(self->t.dev.fd, &w));
	}
	/* There is no sign. */
	w.mask = ~0ull;
	w.op = DRM_VSVM_UFENCE_GT;
	w.value = 1;
	w.addr = vsvm_addr(&word[1]);
	EXPECT_EQ(0, vsvm_wait_user_fence(self->t.dev.fd, &w));
}

static __s64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

TEST_F_TIMEOUT(fence, timeouts, SECONDS)
{
	struct drm_vsvm_wait_user_fence w = {
		.vm_id = self->t.vm,
		.addr = vsvm_addr(self->f.word),
		.value = 1,
		.mask = ~0ull,
		.timeout_ns = 60000000,
	};
	__s64 start = now_ns();

	EXPECT_EQ(-ETIME, vsvm_wait_user_fence(self->t.dev.fd, &w));
	EXPECT_LE(start + 60000000, now_ns());
	EXPECT_EQ(0, w.timeout_ns);
	/* Another time than now, and one that has passed. */
	w.flags = DRM_VSVM_UFENCE_ABSTIME;
	start = now_ns();
	w.timeout_ns = start + 60000000;
	EXPECT_EQ(-ETIME, vsvm_wait_user_fence(self->t.dev.fd, &w));
	EXPECT_LE(start + 60000000, now_ns());
	EXPECT_EQ(start + 60000000, w.timeout_ns);
	w.timeout_ns = 1;
	EXPECT_EQ(-ETIME, vsvm_wait_user_fence(self->t.dev.fd, &w));
	w.timeout_ns = -1;
	EXPECT_EQ(-ETIME, vsvm_wait_user_fence(self->t.dev.fd, &w));
	/* What is true needs no time. */
	*self->f.word = 1;
	EXPECT_EQ(0, vsvm_wait_user_fence(self->t.dev.fd, &w));
	w.flags = 0;
	EXPECT_EQ(0, vsvm_wait_user_fence(self->t.dev.fd, &w));
	w.timeout_ns = 3600 * 1000000000ll;
	EXPECT_EQ(0, vsvm_wait_user_fence(self->t.dev.fd, &w));
	EXPECT_LT(0, w.timeout_ns);
}

/* A CPU writes it, while somebody waits who knows of no timeout. */
static void *write_later(void *word)
{
	vt_sleep_ms(100);
	__atomic_store_n((__u64 *)word, 5, __ATOMIC_RELEASE);
	return NULL;
}

TEST_F_TIMEOUT(fence, written_by_a_cpu, SECONDS)
{
	struct drm_vsvm_wait_user_fence w = {
		.vm_id = self->t.vm,
		.addr = vsvm_addr(self->f.word),
		.value = 5,
		.mask = ~0ull,
		.timeout_ns = -1,
	};
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_later, self->f.word));
	EXPECT_EQ(0, vsvm_wait_user_fence(self->t.dev.fd, &w));
	EXPECT_EQ(-1, w.timeout_ns);
	pthread_join(thread, NULL);
}

static void on_alarm(int number)
{
	(void)number;
}

/* A signal interrupts it, or it goes on with what is left of its time. */
TEST_F_TIMEOUT(fence, signals, SECONDS)
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = {};
	struct sigaction action = { .sa_handler = on_alarm };
	struct drm_vsvm_wait_user_fence w = {
		.vm_id = self->t.vm,
		.addr = vsvm_addr(self->f.word),
		.value = 1,
		.mask = ~0ull,
		.timeout_ns = 30 * 1000000000ll,
	};
	__s64 start = now_ns();

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	setitimer(ITIMER_REAL, &often, NULL);
	EXPECT_EQ(-EINTR, vsvm_wait_user_fence(self->t.dev.fd, &w));
	EXPECT_GT(30 * 1000000000ll, w.timeout_ns);
	action.sa_flags = SA_RESTART;
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	w.timeout_ns = 200000000;
	start = now_ns();
	EXPECT_EQ(-ETIME, vsvm_wait_user_fence(self->t.dev.fd, &w));
	setitimer(ITIMER_REAL, &never, NULL);
	EXPECT_GT(start + 5000000000ll, now_ns());
}

/* A failed job writes nothing; who waits for that one is told, and why. */
TEST_F_TIMEOUT(fence, failed_jobs, SECONDS)
{
	const struct drm_vsvm_kernel bad = fill((void *)0x1000, 1, 1);
	const struct drm_vsvm_kernel good = fill(self->b.p, LEN, 9);
	struct vt *t = &self->t;
	struct drm_vsvm_wait_user_fence w = {
		.vm_id = t->vm,
		.addr = vsvm_addr(self->f.word),
		.value = 1,
		.mask = ~0ull,
		.timeout_ns = WAIT_MS * 1000000ll,
	};
	__u64 first, job;
	unsigned int i;

	ASSERT_EQ(0, run_to(t, 0, &bad, self->f.word, 1, &first));
	w.job = first;
	ASSERT_EQ(-EIO, vsvm_wait_user_fence(t->dev.fd, &w));
	EXPECT_EQ(-EFAULT, w.error);
	EXPECT_EQ(0x1000u, w.fault_addr);
	EXPECT_EQ(0u, w.failed_kernel);
	EXPECT_EQ(0u, *self->f.word);
	/* A job that went well, with a word that another one took back. */
	ASSERT_EQ(0, run_to(t, 0, &good, self->f.word, 2, &w.job));
	ASSERT_EQ(0, wait_for(t, self->f.word, DRM_VSVM_UFENCE_EQ, 2, WAIT_MS));
	w.timeout_ns = 0;
	EXPECT_EQ(-ETIME, vsvm_wait_user_fence(t->dev.fd, &w));
	/* Numbers of another queue mean nothing here. */
	w.queue = 1;
	EXPECT_EQ(-EINVAL, vsvm_wait_user_fence(t->dev.fd, &w));
	w.queue = 0;
	/* After many more nobody knows. */
	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, run_to(t, 0, &bad, self->f.word, 1, &job));
	w.job = job;
	w.timeout_ns = WAIT_MS * 1000000ll;
	ASSERT_EQ(-EIO, vsvm_wait_user_fence(t->dev.fd, &w));
	EXPECT_EQ(-EFAULT, w.error);
	w.job = first;
	ASSERT_EQ(-EIO, vsvm_wait_user_fence(t->dev.fd, &w));
	EXPECT_EQ(-ENODATA, w.error);
}

/* Addresses that cannot be written fail the job, at what comes after its kernels. */
TEST_F_TIMEOUT(fence, bad_address, SECONDS)
{
	void *readonly = vt_map_aligned(PAGE, PROT_READ, MAP_PRIVATE);
	void *bad[] = { (void *)0x1000, readonly, AT };
	const struct drm_vsvm_kernel k = fill(self->b.p, LEN, 3);
	struct vt *t = &self->t;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct drm_vsvm_exec exec = {
			.vm_id = t->vm,
			.flags = DRM_VSVM_EXEC_FENCE | DRM_VSVM_EXEC_WAIT,
			.num_kernels = 1,
			.kernels = vsvm_addr(&k),
			.fence_addr = vsvm_addr(bad[i]),
			.fence_value = 1,
		};

		memset(self->b.p, 0, LEN);
		ASSERT_EQ(-EFAULT, vsvm_exec(t->dev.fd, &exec));
		EXPECT_EQ(1u, exec.failed_kernel);
		EXPECT_EQ(vsvm_addr(bad[i]), exec.fault_addr);
		/* The kernels before it have run. */
		ASSERT_EQ(0, vt_all(self->b.p, 3, LEN));
	}
	ASSERT_EQ(0, vt_fill(t, self->b.p, LEN, 4));
}

/* In memory that is in VRAM, and goes there again, and in an object. */
TEST_F_TIMEOUT(fence, anywhere, SECONDS)
{
	struct vt *t = &self->t;
	__u64 *word = (__u64 *)(self->b.p + 2 * PAGE);
	const struct drm_vsvm_kernel k = fill(self->b.p, PAGE, 1);
	struct vt_obj o;
	int i;

	memset(word, 0, PAGE);
	for (i = 1; i <= 4; i++) {
		ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, self->b.p, LEN,
					   DRM_VSVM_LOC_DEVICE, NULL, NULL));
		ASSERT_EQ(0, run_to(t, 0, &k, word, i, NULL));
		ASSERT_EQ(0, wait_for(t, word, DRM_VSVM_UFENCE_EQ, i, WAIT_MS));
	}
	ASSERT_EQ(0, vt_obj_create(t, &o, LEN, 0, AT));
	for (i = 1; i <= 4; i++) {
		ASSERT_EQ(0, run_to(t, 0, &k, o.at + 8, i, NULL));
		ASSERT_EQ(0, wait_for(t, o.p + 8, DRM_VSVM_UFENCE_EQ, i, WAIT_MS));
	}
	vt_obj_destroy(t, &o);
}

/* The address space goes while somebody waits for its word. */
static void *wait_for_five(void *arg)
{
	struct vt *t = ((void **)arg)[0];

	return (void *)(long)wait_for(t, ((void **)arg)[1], DRM_VSVM_UFENCE_EQ,
				      5, 60000);
}

TEST_F_TIMEOUT(fence, address_space_goes, SECONDS)
{
	void *arg[] = { &self->t, self->f.word };
	pthread_t thread;
	void *err;

	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_five, arg));
	vt_sleep_ms(200);
	ASSERT_EQ(0, vsvm_vm_destroy(self->t.dev.fd, self->t.vm));
	pthread_join(thread, &err);
	EXPECT_EQ(-ECANCELED, (long)err);
}

/*
 * A client attaches a fence to the dma-buf of an object. The object still goes
 * where the GPU and the CPU want it: a move that waited for the fence could wait
 * for the very job whose fault it serves.
 */
TEST_F_TIMEOUT(fence, of_a_client_on_an_object, SECONDS)
{
	struct dma_buf_import_sync_file import = { .flags = DMA_BUF_SYNC_RW };
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct vt *t = &self->t;
	struct vt_hold hold;
	struct vt_obj o;
	__u64 start;
	int i;

	ASSERT_EQ(0, vt_obj_create(t, &o, LEN, 0, AT));
	vt_obj_write(&o, 0, LEN, 1);
	ASSERT_EQ(0, vt_hold(&hold));
	prime.handle = o.handle;
	ASSERT_EQ(0, ioctl(t->dev.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	import.fd = hold.fd;
	ASSERT_EQ(0, ioctl(prime.fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import));
	start = vt_now_ms();
	for (i = 0; i < 4; i++) {
		/* To VRAM and home; and pushed out of VRAM. */
		ASSERT_EQ(0, vt_obj_add(t, &o, 0, LEN, 1));
		if (i % 2)
			ASSERT_EQ(0, vsvm_evict(&t->dev));
		ASSERT_EQ(0, vt_obj_check(&o));
	}
	/* vgem would have signalled it after ten seconds. */
	EXPECT_GT(start + 8000, vt_now_ms());
	vt_hold_end(&hold);
	close(prime.fd);
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	vt_obj_destroy(t, &o);
}

TEST_HARNESS_MAIN

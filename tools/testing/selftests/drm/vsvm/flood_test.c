// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A client that submits jobs without end, to all queues of several address
 * spaces, and none of them ends. It gets so far and no further; another client has
 * its work done beside it, and all memory is there again once it is gone.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(120)
#define PAGE		vsvm_page_size()
/* The other's work takes no longer, whatever goes on beside it. */
#define SOON_MS		VT_SOON_MS
#define VMS		2
#define QUEUES		(VMS * DRM_VSVM_NUM_QUEUES)
/* Of a queue that have not ended, as vsvm_drm.h has it. */
#define MAX_JOBS	256
/* A job with all the kernels that there may be, and what the scheduler adds. */
#define JOB_BYTES	(6 * KIB)
/* So long the flood is looked at. */
#define FLOOD_MS	2000

/**
 * struct flood - the client, in a process of its own
 * @stalls: its jobs wait for a page that nobody gives, instead of running
 * @pid: the process
 * @full: from it: how many jobs were taken until each queue was full
 */
struct flood {
	bool stalls;
	pid_t pid;
	int full[2];
};

static int flood_kernels(const struct flood *f, struct drm_vsvm_kernel *k)
{
	__u64 *p = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	unsigned int i;

	if (!p)
		return -ENOMEM;
	for (i = 0; i < DRM_VSVM_MAX_KERNELS; i++) {
		if (!f->stalls)
			vt_endless(&k[i], p);
		else
			k[i] = (struct drm_vsvm_kernel) {
				.op = DRM_VSVM_OP_FILL,
				.dst = vsvm_addr(p),
				.count = 1,
			};
	}
	/* It never comes, for those who read it. */
	return f->stalls && vt_monitor(p, PAGE) < 0 ? -EPERM : 0;
}

/* Until the queue takes no more. Return: how many, or an error. */
static int fill_queue(struct vt *t, const struct drm_vsvm_kernel *k, __u32 vm,
		      __u32 queue)
{
	int num = 0;

	for (;;) {
		struct drm_vsvm_exec exec = {
			.vm_id = vm,
			.queue = queue,
			.num_kernels = DRM_VSVM_MAX_KERNELS,
			.kernels = vsvm_addr(k),
		};
		const int err = vsvm_exec(t->dev.fd, &exec);

		if (err)
			return err == -EAGAIN ? num : err;
		/* One that has no end would never say so. */
		if (++num == 64 * MAX_JOBS)
			return -E2BIG;
	}
}

static int fill_queues(struct vt *t, const struct drm_vsvm_kernel *k,
		       const __u32 *vm)
{
	int i, num, sum = 0;

	for (i = 0; i < QUEUES; i++) {
		num = fill_queue(t, k, vm[i / DRM_VSVM_NUM_QUEUES],
				 i % DRM_VSVM_NUM_QUEUES);
		if (num < 0)
			return num;
		sum += num;
	}
	return sum;
}

static void flood_run(const struct flood *f)
{
	struct drm_vsvm_kernel k[DRM_VSVM_MAX_KERNELS];
	__u32 vm[VMS];
	struct vt t;
	int i, num;

	if (vt_open(&t) || flood_kernels(f, k))
		_exit(1);
	vm[0] = t.vm;
	for (i = 1; i < VMS; i++) {
		if (vsvm_vm_create(t.dev.fd, &vm[i]))
			_exit(1);
	}
	num = fill_queues(&t, k, vm);
	if (write(f->full[1], &num, sizeof(num)) != sizeof(num))
		_exit(1);
	while (fill_queues(&t, k, vm) >= 0)
		;
	_exit(1);
}

/* Return: how many jobs it got in, or an error. */
static int flood_begin(struct flood *f)
{
	int num = -EIO;

	if (pipe(f->full))
		return -errno;
	f->pid = fork();
	if (!f->pid)
		flood_run(f);
	close(f->full[1]);
	if (read(f->full[0], &num, sizeof(num)) != sizeof(num))
		num = -EIO;
	close(f->full[0]);
	return num;
}

FIXTURE(flood) {
	struct vt t;
	struct vt_buf b;
	struct flood f;
	__u64 available;
	__u64 used;
};

FIXTURE_SETUP(flood)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, 128 * KIB, VT_SMALL));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	self->used = vt_vram_used(&self->t);
	self->available = vt_mem_available();
}

FIXTURE_TEARDOWN(flood)
{
	if (self->f.pid > 0)
		kill(self->f.pid, SIGKILL);
	vt_close(&self->t);
}

/* Somebody else's work. Return: how long it took, or an error. */
static long work(struct vt *t, struct vt_buf *b)
{
	const __u64 start = vt_now_ms();
	int err;

	err = vt_buf_add(t, b, 0, b->len, 1);
	err = err ?: vt_buf_check_gpu(t, b);
	err = err ?: vt_buf_check(b);
	return err ?: (long)(vt_now_ms() - start);
}

/* The other one gets on while it lasts. Return: the longest that it took. */
static long work_on(struct vt *t, struct vt_buf *b)
{
	const __u64 end = vt_now_ms() + FLOOD_MS;
	unsigned int rounds = 0;
	long ms, longest = 0;

	do {
		ms = work(t, b);
		if (ms < 0)
			return ms;
		longest = ms > longest ? ms : longest;
		rounds++;
	} while (vt_now_ms() < end);
	fprintf(stderr, "# done %u times meanwhile, in %ld ms at most\n", rounds,
		longest);
	return longest;
}

FIXTURE_VARIANT(flood) {
	bool stalls;
};

FIXTURE_VARIANT_ADD(flood, endless) { .stalls = false };
FIXTURE_VARIANT_ADD(flood, stalled) { .stalls = true };

TEST_F_TIMEOUT(flood, jobs, SECONDS)
{
	__u64 available;
	int num, status;
	long longest;

	self->f.stalls = variant->stalls;
	num = flood_begin(&self->f);
	/* Some may have been cancelled by now, as they hang. */
	ASSERT_LE(QUEUES * MAX_JOBS, num);
	EXPECT_GE(2 * QUEUES * MAX_JOBS, num);
	longest = work_on(&self->t, &self->b);
	ASSERT_LE(0, longest);
	EXPECT_GT(SOON_MS, (__u64)longest);
	available = vt_mem_available();
	fprintf(stderr, "# %d jobs, %lld KiB\n", num,
		(long long)(self->available - available) / 1024);
	EXPECT_LT(self->available, available + QUEUES * MAX_JOBS * JOB_BYTES +
		  vt_mem_slack());
	/* It would go on. */
	ASSERT_EQ(0, waitpid(self->f.pid, &status, WNOHANG));
	ASSERT_EQ(0, kill(self->f.pid, SIGKILL));
	ASSERT_EQ(self->f.pid, waitpid(self->f.pid, &status, 0));
	self->f.pid = 0;
	EXPECT_EQ(0, vt_vram_settles(&self->t, self->used + 64 * KIB));
	EXPECT_EQ(0, vt_mem_settles(self->available, SOON_MS));
	longest = work(&self->t, &self->b);
	EXPECT_LE(0, longest);
	EXPECT_GT(SOON_MS, (__u64)longest);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Atomic operations of the GPU, in the three modes that DRM_VSVM_MADVISE_ATOMIC
 * knows, and DRM_IOCTL_VSVM_EXCLUSIVE. What counts is counted exactly, whoever
 * else works on it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(120)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

FIXTURE(atomic) {
	struct vt t;
	struct vt_buf b;
	__u64 *counter;
};

FIXTURE_SETUP(atomic)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	/* In the middle of a page in the middle of a large page. */
	self->counter = (__u64 *)(self->b.p + MIB + 3 * PAGE + 256);
	*self->counter = 0;
}

FIXTURE_TEARDOWN(atomic)
{
	vt_close(&self->t);
}

static int set_mode(struct vt *t, const void *addr, size_t len, __u32 mode)
{
	return vsvm_madvise(t->dev.fd, t->vm, addr, len,
			    DRM_VSVM_MADVISE_ATOMIC, mode);
}

static int take(struct vt *t, const void *addr, size_t len, __u64 *taken)
{
	return vsvm_exclusive(t->dev.fd, t->vm, addr, len, taken);
}

/* Pages that were taken since @before, which is brought up to date. */
static __u64 taken_since(struct vt *t, __u64 *before)
{
	struct drm_vsvm_stats stats;
	__u64 n;

	if (vsvm_query_stats(t->dev.fd, &stats))
		return UINT64_MAX;
	n = stats.exclusive_pages - *before;
	*before = stats.exclusive_pages;
	return n;
}

/* A CPU that counts as well, until it is told to stop. */
struct fighter {
	pthread_t thread;
	__u64 *counter;
	__u64 count;
	bool stop;
};

static void *fight(void *data)
{
	struct fighter *f = data;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(f->counter, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&f->count, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Both count; the sum is that of both. */
static int fight_over(struct vt *t, __u64 *counter, unsigned int jobs,
		      size_t per_job)
{
	struct fighter f = { .counter = counter };
	__u64 sum = *counter;
	unsigned int i;
	int err = 0;

	if (pthread_create(&f.thread, NULL, fight, &f))
		return -ENOMEM;
	/* There is no fight before both have begun. */
	while (!__atomic_load_n(&f.count, __ATOMIC_RELAXED))
		vt_sleep_ms(1);
	for (i = 0; i < jobs && !err; i++)
		err = vt_atomic_add(t, counter, per_job, 1);
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(f.thread, NULL);
	if (err)
		return err;
	sum += f.count + (__u64)jobs * per_job;
	return VT_WRONG(*counter == sum) ? -EILSEQ : 0;
}

TEST_F_TIMEOUT(atomic, moves_to_the_device, SECONDS)
{
	struct vt *t = &self->t;

	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 1000, 7));
	EXPECT_EQ(0, vt_elsewhere(t, self->counter, 8, IN_VRAM));
	EXPECT_EQ(7000u, *self->counter);
	memcpy(self->b.model + ((__u8 *)self->counter - self->b.p),
	       self->counter, 8);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Mapped where it is before, and then it has to move after all. */
TEST_F_TIMEOUT(atomic, moves_in_spite_of_advice, SECONDS)
{
	struct vt *t = &self->t;
	__u64 sum;

	ASSERT_EQ(0, vsvm_madvise(t->dev.fd, t->vm, self->b.p, LEN,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vsvm_madvise(t->dev.fd, t->vm, self->b.p, LEN,
				  DRM_VSVM_MADVISE_GRANULARITY, LARGE_PAGE));
	ASSERT_EQ(0, vt_fill(t, self->counter, 8, 0));
	ASSERT_EQ(0, vt_sum(t, self->counter, 8, &sum));
	EXPECT_EQ(0, vt_elsewhere(t, self->counter, 8, IN_RAM));
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 10, 1));
	EXPECT_EQ(0, vt_elsewhere(t, self->counter, 8, IN_VRAM));
	EXPECT_EQ(10u, *self->counter);
}

TEST_F_TIMEOUT(atomic, permissions, SECONDS)
{
	struct vt *t = &self->t;

	ASSERT_EQ(0, mprotect(self->b.p, LEN, PROT_READ));
	ASSERT_EQ(-EFAULT, vt_atomic_add(t, self->counter, 1, 1));
	EXPECT_EQ(vsvm_addr(self->counter), t->last.fault_addr);
	ASSERT_EQ(0, set_mode(t, self->b.p, LEN, DRM_VSVM_ATOMIC_EXCLUSIVE));
	ASSERT_EQ(-EFAULT, vt_atomic_add(t, self->counter, 1, 1));
	ASSERT_EQ(0, set_mode(t, self->b.p, LEN, DRM_VSVM_ATOMIC_SYSTEM));
	ASSERT_EQ(-EFAULT, vt_atomic_add(t, self->counter, 1, 1));
	ASSERT_EQ(0, mprotect(self->b.p, LEN, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 1, 1));
	EXPECT_EQ(1u, *self->counter);
}

/* Memory that cannot be in VRAM, nor be taken from the CPU. */
TEST_F_TIMEOUT(atomic, memory_of_files, SECONDS)
{
	struct vt *t = &self->t;
	int fd = memfd_create("vsvm", MFD_CLOEXEC);
	__u64 *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	p[100] = 5;
	ASSERT_EQ(-EACCES, vt_atomic_add(t, &p[100], 1, 1));
	EXPECT_EQ(vsvm_addr(&p[100]), t->last.fault_addr);
	EXPECT_EQ(0u, t->last.failed_kernel);
	ASSERT_EQ(0, set_mode(t, p, LEN, DRM_VSVM_ATOMIC_EXCLUSIVE));
	ASSERT_EQ(-EACCES, vt_atomic_add(t, &p[100], 1, 1));
	EXPECT_EQ(vsvm_addr(&p[100]), t->last.fault_addr);
	ASSERT_EQ(0, set_mode(t, p, LEN, DRM_VSVM_ATOMIC_SYSTEM));
	ASSERT_EQ(0, vt_atomic_add(t, &p[100], 1, 1));
	EXPECT_EQ(6u, p[100]);
	/* Other accesses never minded. */
	ASSERT_EQ(0, vt_add(t, p, p, 1000, 0));
	close(fd);
}

TEST_F_TIMEOUT(atomic, pinned_page, SECONDS)
{
	struct vt *t = &self->t;
	struct iovec page = { .iov_base = self->counter, .iov_len = 8 };
	__u64 copy;
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(8, vmsplice(pipes[1], &page, 1, 0));
	ASSERT_EQ(-EACCES, vt_atomic_add(t, self->counter, 1, 1));
	EXPECT_EQ(vsvm_addr(self->counter), t->last.fault_addr);
	ASSERT_EQ(8, read(pipes[0], &copy, 8));
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 1, 1));
	EXPECT_EQ(1u, *self->counter);
}

TEST_F_TIMEOUT(atomic, system_stays, SECONDS)
{
	struct vt *t = &self->t;

	ASSERT_EQ(0, set_mode(t, self->b.p, LEN, DRM_VSVM_ATOMIC_SYSTEM));
	ASSERT_EQ(0, vsvm_madvise(t->dev.fd, t->vm, self->b.p, LEN,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 1000, 3));
	EXPECT_EQ(0, vt_elsewhere(t, self->counter, 8, IN_RAM));
	EXPECT_EQ(3000u, *self->counter);
}

/* A write by the GPU does not do: it asks again for the atomic operation. */
TEST_F_TIMEOUT(atomic, after_a_write, SECONDS)
{
	struct vt *t = &self->t;
	const __u32 mode[] = {
		DRM_VSVM_ATOMIC_SYSTEM,
		DRM_VSVM_ATOMIC_EXCLUSIVE,
		DRM_VSVM_ATOMIC_DEVICE,
	};
	__u64 sum = 0;
	unsigned int i;

	ASSERT_EQ(0, vsvm_madvise(t->dev.fd, t->vm, self->b.p, LEN,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
	for (i = 0; i < ARRAY_SIZE(mode); i++) {
		ASSERT_EQ(0, set_mode(t, self->b.p, LEN, mode[i]));
		ASSERT_EQ(0, vt_add(t, self->b.p + MIB, self->b.p + MIB,
				    8 * PAGE, 0));
		ASSERT_EQ(0, vt_atomic_add(t, self->counter, 10, 1));
		ASSERT_EQ(0, vt_add(t, self->b.p + MIB, self->b.p + MIB,
				    8 * PAGE, 0));
		sum += 10;
		ASSERT_EQ(sum, *self->counter);
	}
}

/* Four queues, one counter. */
TEST_F_TIMEOUT(atomic, queues_side_by_side, SECONDS)
{
	struct vt *t = &self->t;
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_ATOMIC_ADD,
		.dst = vsvm_addr(self->counter),
		.count = 500,
		.arg = 1,
	};
	struct drm_vsvm_exec exec = {
		.vm_id = t->vm,
		.num_kernels = 1,
		.kernels = vsvm_addr(&kernel),
	};
	struct vt_ufence done[4 * DRM_VSVM_NUM_QUEUES];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(done); i++) {
		ASSERT_EQ(0, vt_ufence_create(&done[i]));
		exec.queue = i % DRM_VSVM_NUM_QUEUES;
		ASSERT_EQ(0, vt_ufence_exec(t, &exec, &done[i]));
	}
	for (i = 0; i < ARRAY_SIZE(done); i++)
		ASSERT_EQ(0, vt_ufence_wait(t, &done[i], 60000));
	EXPECT_EQ(500u * ARRAY_SIZE(done), *self->counter);
}

FIXTURE(fight) {
	struct vt t;
	__u64 *counter;
};

FIXTURE_VARIANT(fight) {
	__u32 mode;
};

FIXTURE_VARIANT_ADD(fight, device) { .mode = DRM_VSVM_ATOMIC_DEVICE, };
FIXTURE_VARIANT_ADD(fight, exclusive) { .mode = DRM_VSVM_ATOMIC_EXCLUSIVE, };
FIXTURE_VARIANT_ADD(fight, system) { .mode = DRM_VSVM_ATOMIC_SYSTEM, };

FIXTURE_SETUP(fight)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	self->counter = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE);
	ASSERT_NE(NULL, self->counter);
	ASSERT_EQ(0, set_mode(&self->t, self->counter, LARGE_PAGE,
			      variant->mode));
	/* Its place is not the question here. */
	if (variant->mode == DRM_VSVM_ATOMIC_SYSTEM)
		ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm,
					  self->counter, LARGE_PAGE,
					  DRM_VSVM_MADVISE_LOCATION,
					  DRM_VSVM_LOC_SYSTEM));
}

FIXTURE_TEARDOWN(fight)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(fight, over_one_counter, SECONDS)
{
	ASSERT_EQ(0, fight_over(&self->t, self->counter, 10, 200));
	ASSERT_EQ(0, fight_over(&self->t, self->counter + 1000, 10, 1));
}

FIXTURE(exclusive) {
	struct vt t;
	struct vt_buf b;
	__u64 *counter;
	__u64 stats;
};

FIXTURE_SETUP(exclusive)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	ASSERT_EQ(0, set_mode(&self->t, self->b.p, LEN,
			      DRM_VSVM_ATOMIC_EXCLUSIVE));
	memset(self->b.p + MIB, 0, PAGE);
	memset(self->b.model + MIB, 0, PAGE);
	self->counter = (__u64 *)(self->b.p + MIB);
	taken_since(&self->t, &self->stats);
}

FIXTURE_TEARDOWN(exclusive)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(exclusive, wrong_arguments, SECONDS)
{
	struct vt *t = &self->t;
	struct drm_vsvm_exclusive args = {
		.vm_id = t->vm,
		.flags = 1,
		.start = vsvm_addr(self->b.p),
		.length = PAGE,
	};

	EXPECT_EQ(-1, ioctl(t->dev.fd, DRM_IOCTL_VSVM_EXCLUSIVE, &args));
	EXPECT_EQ(EINVAL, errno);
	args.flags = 0;
	args.length = 0;
	EXPECT_EQ(-1, ioctl(t->dev.fd, DRM_IOCTL_VSVM_EXCLUSIVE, &args));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-ENOENT, vsvm_exclusive(t->dev.fd, t->vm + 1, self->b.p, PAGE,
					  NULL));
	munmap(self->b.p + PAGE, PAGE);
	EXPECT_EQ(-EFAULT, take(t, self->b.p, 3 * PAGE, NULL));
	EXPECT_EQ(0u, taken_since(t, &self->stats));
}

/* Who looks where pages are does not take them back. A CPU does. */
TEST_F_TIMEOUT(exclusive, taken_and_taken_back, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u64 taken;
	int i;

	ASSERT_EQ(0, take(t, b->p + MIB, 16 * PAGE, &taken));
	EXPECT_EQ(16u, taken);
	EXPECT_EQ(16u, taken_since(t, &self->stats));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, vt_elsewhere(t, b->p + MIB, 16 * PAGE, IN_RAM));
	/* The GPU has them already. */
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 5, 1));
	ASSERT_EQ(0, vt_buf_add(t, b, MIB + PAGE, 15 * PAGE, 1));
	EXPECT_EQ(0u, taken_since(t, &self->stats));
	EXPECT_EQ(5u, *self->counter);
	b->model[MIB] = 5;
	ASSERT_EQ(0, vt_buf_check(b));
	/* Now the CPU has them. */
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 5, 1));
	EXPECT_EQ(1u, taken_since(t, &self->stats));
	EXPECT_EQ(10u, *self->counter);
	b->model[MIB] = 10;
	ASSERT_EQ(0, vt_buf_check(b));
}

TEST_F_TIMEOUT(exclusive, comes_home_for_it, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u64 taken;

	ASSERT_EQ(0, vt_buf_add(t, b, 2 * MIB, MIB, 1));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + 2 * MIB, MIB, IN_VRAM));
	ASSERT_EQ(0, take(t, b->p + 2 * MIB, 32 * PAGE, &taken));
	EXPECT_EQ(32u, taken);
	EXPECT_EQ(0, vt_elsewhere(t, b->p + 2 * MIB, 32 * PAGE, IN_RAM));
	ASSERT_EQ(0, vt_buf_add(t, b, 2 * MIB, MIB, 1));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + 2 * MIB, 32 * PAGE, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Holes get pages; huge pages are split; what belongs to a file is not taken. */
TEST_F_TIMEOUT(exclusive, kinds_of_memory, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf holes, thp;
	__u64 taken;
	int fd = memfd_create("vsvm", MFD_CLOEXEC);
	__u8 *file;

	ASSERT_EQ(0, vt_buf_map(&holes, LARGE_PAGE, VT_HOLES));
	ASSERT_EQ(0, take(t, holes.p, 8 * PAGE, &taken));
	EXPECT_EQ(8u, taken);
	ASSERT_EQ(0, vt_all(holes.p, 0, LARGE_PAGE));
	ASSERT_EQ(0, vt_buf_map(&thp, LARGE_PAGE, VT_THP));
	ASSERT_EQ(0, take(t, thp.p + 5 * PAGE, 8 * PAGE, &taken));
	EXPECT_EQ(8u, taken);
	ASSERT_EQ(0, vt_buf_add(t, &thp, 0, LARGE_PAGE, 1));
	ASSERT_EQ(0, vt_buf_check(&thp));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, LARGE_PAGE));
	file = mmap(holes.p + LARGE_PAGE / 2, 4 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)file);
	ASSERT_EQ(0, take(t, file - 4 * PAGE, 12 * PAGE, &taken));
	EXPECT_EQ(8u, taken);
	ASSERT_EQ(0, mprotect(holes.p, PAGE, PROT_READ));
	ASSERT_EQ(0, take(t, holes.p, 2 * PAGE, &taken));
	EXPECT_EQ(1u, taken);
	close(fd);
}

/* All other accesses of this and another address space work as well. */
TEST_F_TIMEOUT(exclusive, other_accesses, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	const size_t len = 24 * PAGE, around = 48 * PAGE;
	struct vt other;

	ASSERT_EQ(0, vt_open(&other));
	ASSERT_EQ(0, take(t, b->p, len, NULL));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, around, 1));
	ASSERT_EQ(0, vt_buf_add(&other, b, 0, around, 1));
	ASSERT_EQ(0, take(t, b->p, len, NULL));
	ASSERT_EQ(0, vt_buf_add(&other, b, 0, around, 1));
	ASSERT_EQ(0, take(&other, b->p, len, NULL));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, around, 1));
	ASSERT_EQ(0, vt_buf_check(b));
	vt_close(&other);
}

TEST_F_TIMEOUT(exclusive, prefetch, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u64 moved, skipped;

	ASSERT_EQ(0, take(t, b->p, 8 * PAGE, NULL));
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, LARGE_PAGE,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_EQ(LARGE_PAGE / PAGE, moved + skipped);
	ASSERT_EQ(0, vt_buf_add(t, b, 0, LARGE_PAGE, 1));
	ASSERT_EQ(0, take(t, b->p, 8 * PAGE, NULL));
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, LARGE_PAGE,
				   DRM_VSVM_LOC_SYSTEM, &moved, &skipped));
	EXPECT_EQ(0u, skipped);
	EXPECT_EQ(0, vt_elsewhere(t, b->p, LARGE_PAGE, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* The child has the values of now; what the parent's GPU does later is its own. */
TEST_F_TIMEOUT(exclusive, fork, SECONDS)
{
	struct vt *t = &self->t;
	int pipes[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 100, 1));
	pid = fork();
	if (!pid) {
		struct vt child;

		if (vt_await(pipes[0]) || VT_WRONG(*self->counter == 100))
			_exit(1);
		if (vt_open(&child) ||
		    set_mode(&child, self->b.p, LEN, DRM_VSVM_ATOMIC_EXCLUSIVE) ||
		    vt_atomic_add(&child, self->counter, 11, 1))
			_exit(2);
		_exit(VT_WRONG(*self->counter == 111));
	}
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 100, 1));
	vt_wake(pipes[1]);
	ASSERT_EQ(0, vt_join(pid));
	EXPECT_EQ(200u, *self->counter);
}

struct forker {
	pthread_t thread;
	bool *stop;
	unsigned int forks;
	int err;
};

static void *fork_on_and_on(void *data)
{
	struct forker *f = data;
	pid_t pid;

	while (!f->err && !__atomic_load_n(f->stop, __ATOMIC_RELAXED)) {
		pid = fork();
		if (!pid)
			_exit(0);
		f->err = pid < 0 ? -errno : vt_join(pid);
		f->forks++;
	}
	return NULL;
}

/* A child can be had at any time, also while a page is being taken. */
TEST_F_TIMEOUT(exclusive, fork_in_a_fight, SECONDS)
{
	bool stop = false;
	struct forker f = { .stop = &stop };
	int err;

	ASSERT_EQ(0, pthread_create(&f.thread, NULL, fork_on_and_on, &f));
	err = fight_over(&self->t, self->counter, 10, 100);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(f.thread, NULL);
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, f.err);
	EXPECT_LT(0u, f.forks);
}

TEST_F_TIMEOUT(exclusive, mprotect, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 5, 1));
	b->model[MIB] = 5;
	ASSERT_EQ(0, take(t, b->p, 16 * PAGE, NULL));
	ASSERT_EQ(0, mprotect(b->p, LEN, PROT_READ));
	ASSERT_EQ(-EFAULT, vt_atomic_add(t, self->counter, 1, 1));
	EXPECT_EQ(vsvm_addr(self->counter), t->last.fault_addr);
	ASSERT_EQ(0, vt_buf_check(b));
	ASSERT_EQ(0, mprotect(b->p, LEN, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_atomic_add(t, self->counter, 5, 1));
	EXPECT_EQ(10u, *self->counter);
}

/* Shared with a child: to take a page is to write to it. */
TEST_F_TIMEOUT(exclusive, cow, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	int pipes[2];
	__u64 taken;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	if (!pid)
		_exit(vt_await(pipes[0]) || vt_buf_check(b));
	ASSERT_EQ(0, take(t, b->p, 32 * PAGE, &taken));
	EXPECT_EQ(32u, taken);
	ASSERT_EQ(0, vt_fill(t, b->p, 32 * PAGE, 9));
	vt_wake(pipes[1]);
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_all(b->p, 9, 32 * PAGE));
}

/* Pages that were taken go away, by and by and all at once. */
TEST_F_TIMEOUT(exclusive, memory_goes, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	pid_t pid;

	ASSERT_EQ(0, take(t, b->p, 64 * PAGE, NULL));
	ASSERT_EQ(0, madvise(b->p, 16 * PAGE, MADV_DONTNEED));
	memset(b->model, 0, 16 * PAGE);
	ASSERT_EQ(0, vt_buf_add(t, b, 0, 32 * PAGE, 1));
	ASSERT_EQ(0, vt_buf_check(b));
	ASSERT_EQ(0, take(t, b->p, 64 * PAGE, NULL));
	ASSERT_EQ(b->p + 2 * MIB, mremap(b->p, 64 * PAGE, 64 * PAGE,
					 MREMAP_MAYMOVE | MREMAP_FIXED,
					 b->p + 2 * MIB));
	ASSERT_EQ(0, vt_same(b->p + 2 * MIB, b->model, 64 * PAGE));
	munmap(b->p, MIB);
	ASSERT_EQ(-EFAULT, vt_atomic_add(t, (__u64 *)b->p, 1, 1));
	pid = fork();
	if (!pid) {
		struct vt child;

		_exit(vt_open(&child) || take(&child, b->p + MIB, 64 * PAGE, NULL));
	}
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, take(t, b->p + MIB, 64 * PAGE, NULL));
	ASSERT_EQ(0, vsvm_vm_destroy(t->dev.fd, t->vm));
	ASSERT_EQ(0, vt_buf_check_range(b, MIB, MIB));
}

TEST_HARNESS_MAIN

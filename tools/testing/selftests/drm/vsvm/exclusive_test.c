// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Pages that belong to the GPU for its atomic operations: taken by
 * DRM_IOCTL_VSVM_EXCLUSIVE or by an operation where the advice says so, and all
 * that takes them back.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(120)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

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
	ASSERT_EQ(0, vt_atomic_mode(&self->t, self->b.p, LEN,
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
		    vt_atomic_mode(&child, self->b.p, LEN,
				   DRM_VSVM_ATOMIC_EXCLUSIVE) ||
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
	err = vt_fight_over(&self->t, self->counter, 10, 100);
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DRM_IOCTL_VSVM_PREFETCH with a fence instead of a wait.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(90)
#define LEN	vt_scaled(8 * MIB)
#define PAGE	vsvm_page_size()
#define WAIT_MS	60000

/* Of an address space that have not begun, as vsvm_drm.h has it. */
#define MAX_PREFETCHES	256u
/* More than the machine works on at a time. */
#define MANY	24

FIXTURE(prefetch) {
	struct vt t;
	struct vt_buf b;
	__u32 sync;
};

FIXTURE_SETUP(prefetch)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	ASSERT_EQ(0, vt_syncobj_create(&self->t, &self->sync));
}

FIXTURE_TEARDOWN(prefetch)
{
	vt_close(&self->t);
}

static int start(struct vt *t, const void *addr, size_t len, __u32 location,
		 __u32 sync)
{
	return vsvm_prefetch_async(t->dev.fd, t->vm, addr, len, location, sync);
}

TEST_F_TIMEOUT(prefetch, wrong_arguments, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	struct drm_vsvm_prefetch args = {
		.vm_id = t->vm,
		.location = DRM_VSVM_LOC_DEVICE,
		.start = vsvm_addr(b->p),
		.length = PAGE,
		.flags = 2,
	};
	__u8 *gap = b->p + 2 * MIB;

	EXPECT_EQ(-1, ioctl(t->dev.fd, DRM_IOCTL_VSVM_PREFETCH, &args));
	EXPECT_EQ(EINVAL, errno);
	args.flags = 0;
	args.syncobj = self->sync;
	EXPECT_EQ(-1, ioctl(t->dev.fd, DRM_IOCTL_VSVM_PREFETCH, &args));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-ENOENT, start(t, b->p, PAGE, DRM_VSVM_LOC_DEVICE, 0));
	EXPECT_EQ(-ENOENT, start(t, b->p, PAGE, DRM_VSVM_LOC_DEVICE,
				 self->sync + 100));
	EXPECT_EQ(-EINVAL, start(t, b->p, PAGE, 2, self->sync));
	EXPECT_EQ(-ENXIO, start(t, b->p, PAGE, DRM_VSVM_LOC_DEVICE_ID(100),
				self->sync));
	EXPECT_EQ(-ENXIO, vsvm_prefetch(t->dev.fd, t->vm, b->p, PAGE,
					DRM_VSVM_LOC_DEVICE_ID(100), NULL, NULL));
	munmap(gap, PAGE);
	EXPECT_EQ(-EFAULT, start(t, b->p, b->len, DRM_VSVM_LOC_DEVICE,
				 self->sync));
	/* None of them has put a fence into it. */
	EXPECT_GT(0, vt_syncobj_export(t, self->sync));
	EXPECT_EQ(0, vt_pages_at(t, b->p, 2 * MIB, IN_VRAM));
}

TEST_F_TIMEOUT(prefetch, there_and_back, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u32 own = DRM_VSVM_LOC_DEVICE_ID(t->dev.id);

	ASSERT_EQ(0, start(t, b->p, b->len, own, self->sync));
	ASSERT_EQ(0, vt_syncobj_wait(t, self->sync, 0, WAIT_MS));
	EXPECT_EQ(1, vt_syncobj_status(t, self->sync));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, start(t, b->p, b->len, DRM_VSVM_LOC_SYSTEM, self->sync));
	ASSERT_EQ(0, vt_syncobj_wait(t, self->sync, 0, WAIT_MS));
	EXPECT_EQ(1, vt_syncobj_status(t, self->sync));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* A job that comes after it finds the memory in VRAM, without a fault for it. */
TEST_F_TIMEOUT(prefetch, job_after_it, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_ADD,
		.dst = vsvm_addr(b->p),
		.src = vsvm_addr(b->p),
		.count = MIB,
		.arg = 1,
	};
	struct drm_vsvm_stats before, stats;
	size_t i;

	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &before));
	ASSERT_EQ(0, start(t, b->p, b->len, DRM_VSVM_LOC_DEVICE, self->sync));
	ASSERT_EQ(0, vt_syncobj_wait(t, self->sync, 0, WAIT_MS));
	EXPECT_EQ(1, vt_syncobj_status(t, self->sync));
	ASSERT_EQ(0, vsvm_run(t->dev.fd, t->vm, &kernel, 1, NULL));
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &stats));
	vsvm_stats_sub(&stats, &before);
	EXPECT_EQ(b->len, stats.to_vram_bytes);
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	for (i = 0; i < MIB; i++)
		b->model[i]++;
	ASSERT_EQ(0, vt_buf_check(b));
}

/*
 * Nobody gets hold of a fence that depends on user memory: there is none until
 * it is signalled, whatever the syncobj had before.
 */
TEST_F_TIMEOUT(prefetch, fence_comes_last, SECONDS)
{
	struct drm_vsvm_sync in = { .handle = self->sync };
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(b->p),
		.count = 1,
	};
	struct drm_vsvm_exec exec = {
		.vm_id = t->vm,
		.num_kernels = 1,
		.num_syncs = 1,
		.kernels = vsvm_addr(&kernel),
		.syncs = vsvm_addr(&in),
	};
	int i, fd, status, pending = 0;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, start(t, b->p, b->len, i % 2 ? DRM_VSVM_LOC_SYSTEM :
				   DRM_VSVM_LOC_DEVICE, self->sync));
		fd = vt_syncobj_export(t, self->sync);
		status = fd < 0 ? fd : vt_sync_file_status(fd);
		if (fd >= 0)
			close(fd);
		/* None, or one of a prefetch that has ended. */
		ASSERT_TRUE(status == -EINVAL || status == 1);
		if (status == -EINVAL && vsvm_exec(t->dev.fd, &exec) == -EINVAL)
			pending++;
		ASSERT_EQ(0, vt_syncobj_wait(t, self->sync, 0, WAIT_MS));
		ASSERT_EQ(1, vt_syncobj_status(t, self->sync));
	}
	EXPECT_LT(0, pending);
}

/* Many at a time, each of its own part, there and back in one go. */
TEST_F_TIMEOUT(prefetch, many_at_a_time, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	const size_t part = b->len / MANY / PAGE * PAGE;
	__u32 sync[MANY];
	unsigned int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < MANY; i++) {
			ASSERT_EQ(0, vt_syncobj_create(t, &sync[i]));
			ASSERT_EQ(0, start(t, b->p + i * part, part,
					   round ? DRM_VSVM_LOC_SYSTEM :
						   DRM_VSVM_LOC_DEVICE, sync[i]));
		}
		for (i = 0; i < MANY; i++) {
			ASSERT_EQ(0, vt_syncobj_wait(t, sync[i], 0, WAIT_MS));
			EXPECT_EQ(1, vt_syncobj_status(t, sync[i]));
			vt_syncobj_destroy(t, sync[i]);
		}
		EXPECT_EQ(0, vt_elsewhere(t, b->p, MANY * part,
					  round ? IN_RAM : IN_VRAM));
	}
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Those that are not done when it goes end with an error; none stays. */
TEST_F_TIMEOUT(prefetch, address_space_goes, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	unsigned int i, cancelled = 0;
	__u32 sync[MANY];
	int status;

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, vt_syncobj_create(t, &sync[i]));
		ASSERT_EQ(0, start(t, b->p, b->len, i % 2 ? DRM_VSVM_LOC_SYSTEM :
				   DRM_VSVM_LOC_DEVICE, sync[i]));
	}
	ASSERT_EQ(0, vsvm_vm_destroy(t->dev.fd, t->vm));
	for (i = 0; i < MANY; i++) {
		/* Signalled when the call returned. */
		status = vt_syncobj_status(t, sync[i]);
		EXPECT_NE(0, status);
		if (status != 1)
			EXPECT_EQ(-ECANCELED, status);
		cancelled += status == -ECANCELED;
	}
	EXPECT_LT(0u, cancelled);
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Threads beside a test. */
struct beside {
	struct vt *t;
	__u8 *p;
	size_t len;
	bool stop;
	unsigned int cancelled;
	int err;
};

static void *prefetch_on_and_on(void *data)
{
	struct beside *b = data;
	int err;

	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
		err = vsvm_prefetch(b->t->dev.fd,
				    __atomic_load_n(&b->t->vm, __ATOMIC_RELAXED),
				    b->p, PAGE, DRM_VSVM_LOC_DEVICE, NULL, NULL);
		if (err == -ECANCELED)
			__atomic_add_fetch(&b->cancelled, 1, __ATOMIC_RELAXED);
		else if (err && err != -ENOENT)
			b->err = err;
	}
	return NULL;
}

/* Whoever looks at the process's memory has to wait. */
static void *change_on_and_on(void *data)
{
	struct beside *b = data;

	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
		if (mprotect(b->p, b->len, PROT_READ) ||
		    mprotect(b->p, b->len, PROT_READ | PROT_WRITE))
			b->err = -errno;
	}
	return NULL;
}

/* It goes while one that is waited for has hardly begun. */
TEST_F_TIMEOUT(prefetch, address_space_goes_at_once, SECONDS)
{
	struct vt *t = &self->t;
	struct beside moves = { .t = t, .p = self->b.p };
	struct beside changes = {
		.p = self->b.p + MIB,
		.len = self->b.len - MIB,
	};
	pthread_t thread[2];
	unsigned int i;
	__u32 vm;

	ASSERT_EQ(0, pthread_create(&thread[0], NULL, prefetch_on_and_on, &moves));
	ASSERT_EQ(0, pthread_create(&thread[1], NULL, change_on_and_on, &changes));
	for (i = 0; i < 500 &&
	     __atomic_load_n(&moves.cancelled, __ATOMIC_RELAXED) < 5; i++) {
		vt_sleep_ms(1);
		EXPECT_EQ(0, vsvm_vm_destroy(t->dev.fd, t->vm));
		EXPECT_EQ(0, vsvm_vm_create(t->dev.fd, &vm));
		__atomic_store_n(&t->vm, vm, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&moves.stop, true, __ATOMIC_RELAXED);
	__atomic_store_n(&changes.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	TH_LOG("%u address spaces, %u prefetches cancelled", i, moves.cancelled);
	EXPECT_EQ(0, moves.err);
	EXPECT_EQ(0, changes.err);
	EXPECT_LT(0u, moves.cancelled);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The process dies; who else holds the fence sees it end. */
TEST_F_TIMEOUT(prefetch, process_goes, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	int pipes[2], i;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid) {
			struct vt child;
			__u32 sync;
			int n;

			if (vt_open(&child))
				_exit(1);
			for (n = 0; n < MANY; n++) {
				if (vt_syncobj_create(&child, &sync) ||
				    start(&child, b->p, b->len, n % 2 ?
					  DRM_VSVM_LOC_SYSTEM :
					  DRM_VSVM_LOC_DEVICE, sync))
					_exit(2);
			}
			vt_wake(pipes[1]);
			pause();
		}
		ASSERT_EQ(0, vt_await(pipes[0]));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(SIGKILL, vt_join(pid));
	}
	ASSERT_EQ(0, vt_buf_add(t, b, 0, MIB, 1));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Memory that a monitor does not give holds up its address space, and no other. */
TEST_F_TIMEOUT(prefetch, monitor_sleeps, SECONDS)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct pollfd uffd = { .events = POLLIN };
	struct vt_buf *b = &self->b;
	__u32 sync[MANY];
	struct vt other;
	unsigned int i;

	ASSERT_NE(NULL, p);
	uffd.fd = vt_monitor(p, LARGE_PAGE);
	if (uffd.fd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, vt_open(&other));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, vt_syncobj_create(&other, &sync[i]));
		ASSERT_EQ(0, start(&other, p + i * PAGE, PAGE,
				   DRM_VSVM_LOC_SYSTEM, sync[i]));
	}
	ASSERT_EQ(1, poll(&uffd, 1, WAIT_MS));
	ASSERT_EQ(0, start(&self->t, b->p, b->len, DRM_VSVM_LOC_DEVICE,
			   self->sync));
	EXPECT_EQ(0, vt_syncobj_wait(&self->t, self->sync, 0, WAIT_MS / 2));
	EXPECT_EQ(0, vt_buf_elsewhere(&self->t, b, IN_VRAM));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(-EINVAL, vt_syncobj_status(&other, sync[i]));
	close(uffd.fd);
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, vt_syncobj_wait(&other, sync[i], 0, WAIT_MS));
		EXPECT_EQ(1, vt_syncobj_status(&other, sync[i]));
	}
	vt_close(&other);
}

/* A client gets no more than so many behind the one that does not end. */
TEST_F_TIMEOUT(prefetch, no_more_than_there_may_be, SECONDS)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct pollfd uffd = { .events = POLLIN };
	struct vt *t = &self->t;
	unsigned int num = 0;
	int err;

	ASSERT_NE(NULL, p);
	uffd.fd = vt_monitor(p, LARGE_PAGE);
	if (uffd.fd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, start(t, p, PAGE, DRM_VSVM_LOC_SYSTEM, self->sync));
	ASSERT_EQ(1, poll(&uffd, 1, WAIT_MS));
	do {
		err = start(t, p, PAGE, DRM_VSVM_LOC_SYSTEM, self->sync);
	} while (!err && ++num <= MAX_PREFETCHES);
	EXPECT_EQ(-EAGAIN, err);
	EXPECT_EQ(MAX_PREFETCHES, num);
	/* As there is room again, there may be more. */
	close(uffd.fd);
	ASSERT_EQ(0, vt_syncobj_wait(t, self->sync, 0, WAIT_MS));
	while ((err = start(t, p, PAGE, DRM_VSVM_LOC_SYSTEM, self->sync)) == -EAGAIN)
		vt_sleep_ms(5);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_syncobj_wait(t, self->sync, 0, WAIT_MS));
}

/* The memory goes while it is on its way. */
TEST_F_TIMEOUT(prefetch, memory_goes, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	ASSERT_EQ(0, start(t, b->p, b->len, DRM_VSVM_LOC_DEVICE, self->sync));
	munmap(b->p, b->len);
	ASSERT_EQ(0, vt_syncobj_wait(t, self->sync, 0, WAIT_MS));
	EXPECT_EQ(1, vt_syncobj_status(t, self->sync));
	ASSERT_EQ(0, vt_vram_settles(t, 4 * MIB));
}

TEST_HARNESS_MAIN

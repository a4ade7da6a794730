// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Atomic operations of the GPU, in the three modes that DRM_VSVM_MADVISE_ATOMIC
 * knows. What counts is counted exactly, whoever else works on it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
	ASSERT_EQ(0, vt_atomic_mode(t, self->b.p, LEN, DRM_VSVM_ATOMIC_EXCLUSIVE));
	ASSERT_EQ(-EFAULT, vt_atomic_add(t, self->counter, 1, 1));
	ASSERT_EQ(0, vt_atomic_mode(t, self->b.p, LEN, DRM_VSVM_ATOMIC_SYSTEM));
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
	ASSERT_EQ(0, vt_atomic_mode(t, p, LEN, DRM_VSVM_ATOMIC_EXCLUSIVE));
	ASSERT_EQ(-EACCES, vt_atomic_add(t, &p[100], 1, 1));
	EXPECT_EQ(vsvm_addr(&p[100]), t->last.fault_addr);
	ASSERT_EQ(0, vt_atomic_mode(t, p, LEN, DRM_VSVM_ATOMIC_SYSTEM));
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

	ASSERT_EQ(0, vt_atomic_mode(t, self->b.p, LEN, DRM_VSVM_ATOMIC_SYSTEM));
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
		ASSERT_EQ(0, vt_atomic_mode(t, self->b.p, LEN, mode[i]));
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
	ASSERT_EQ(0, vt_atomic_mode(&self->t, self->counter, LARGE_PAGE,
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
	ASSERT_EQ(0, vt_fight_over(&self->t, self->counter, 10, 200));
	ASSERT_EQ(0, vt_fight_over(&self->t, self->counter + 1000, 10, 1));
}

TEST_HARNESS_MAIN

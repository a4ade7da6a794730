// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the GPU may touch: memory without permission or without a mapping ends
 * the job at the address that failed, and memory that cannot move is used where
 * it is.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447
#endif

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

/* Operands where a compiler may put them. */
static __u8 in_data[3 * 4096] = { 1 };
static __u8 in_bss[3 * 4096];

FIXTURE(access) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(access)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
}

FIXTURE_TEARDOWN(access)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(access, read_only, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u64 sum;

	ASSERT_EQ(0, mprotect(b->p, b->len, PROT_READ));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(-EFAULT, vt_fill(t, b->p + 5, 100, 1));
	EXPECT_EQ(vsvm_addr(b->p + 5), t->last.fault_addr);
	EXPECT_EQ(0u, t->last.failed_kernel);
	ASSERT_EQ(0, vt_sum(t, b->p, b->len, &sum));
	ASSERT_EQ(0, vt_buf_check(b));
	ASSERT_EQ(0, mprotect(b->p, b->len, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* The GPU has written: its own entry must not outlive the permission. */
TEST_F_TIMEOUT(access, read_only_while_in_vram, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	ASSERT_EQ(0, mprotect(b->p + MIB, MIB, PROT_READ));
	ASSERT_EQ(-EFAULT, vt_fill(t, b->p + MIB + 3 * PAGE, 1, 1));
	EXPECT_EQ(vsvm_addr(b->p + MIB + 3 * PAGE), t->last.fault_addr);
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, MIB, 1));
	ASSERT_EQ(0, vt_buf_add(t, b, 2 * MIB, b->len - 2 * MIB, 1));
	ASSERT_EQ(0, mprotect(b->p + MIB, MIB, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* A page that was only ever read is the zero page. */
TEST_F_TIMEOUT(access, read_only_never_written, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf b;

	ASSERT_EQ(0, vt_buf_map(&b, MIB, VT_HOLES));
	ASSERT_EQ(0, mprotect(b.p, b.len, PROT_READ));
	ASSERT_EQ(0, vt_buf_check_gpu(t, &b));
	ASSERT_EQ(-EFAULT, vt_fill(t, b.p, 1, 1));
	ASSERT_EQ(0, vt_buf_check(&b));
	ASSERT_EQ(0, mprotect(b.p, b.len, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_buf_add(t, &b, 0, b.len, 1));
	ASSERT_EQ(0, vt_buf_check(&b));
}

TEST_F_TIMEOUT(access, no_permission, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u64 sum;

	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	ASSERT_EQ(0, mprotect(b->p + MIB, MIB, PROT_NONE));
	ASSERT_EQ(-EFAULT, vt_sum(t, b->p + MIB + 1, 10, &sum));
	EXPECT_EQ(vsvm_addr(b->p + MIB + 1), t->last.fault_addr);
	ASSERT_EQ(-EFAULT, vt_fill(t, b->p + MIB + 2, 10, 0));
	EXPECT_EQ(vsvm_addr(b->p + MIB + 2), t->last.fault_addr);
	ASSERT_EQ(0, mprotect(b->p + MIB, MIB, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* The kernels before the one that failed have run, those after it have not. */
TEST_F_TIMEOUT(access, unmapped, SECONDS)
{
	__u8 *bad = vt_map_aligned(LARGE_PAGE, PROT_NONE, MAP_PRIVATE);
	struct drm_vsvm_kernel kernels[5];
	struct drm_vsvm_stats before, after;
	struct vt *t = &self->t;
	struct drm_vsvm_exec result;
	unsigned int i;

	ASSERT_NE(NULL, bad);
	munmap(bad, LARGE_PAGE);
	memset(kernels, 0, sizeof(kernels));
	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		kernels[i].op = DRM_VSVM_OP_FILL;
		kernels[i].dst = vsvm_addr(self->b.p + i * PAGE);
		kernels[i].count = PAGE;
		kernels[i].arg = i;
	}
	kernels[2].dst = vsvm_addr(bad + 0x1235);
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &before));
	ASSERT_EQ(-EFAULT, vsvm_run(t->dev.fd, t->vm, kernels,
				    ARRAY_SIZE(kernels), &result));
	EXPECT_EQ(vsvm_addr(bad + 0x1235), result.fault_addr);
	EXPECT_EQ(2u, result.failed_kernel);
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &after));
	vsvm_stats_sub(&after, &before);
	EXPECT_EQ(1u, after.jobs);
	EXPECT_EQ(1u, after.jobs_failed);
	EXPECT_LT(0u, after.gpu_faults_failed);
	memset(self->b.model, 0, PAGE);
	memset(self->b.model + PAGE, 1, PAGE);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* From mapped into unmapped memory: the first byte there is what fails. */
TEST_F_TIMEOUT(access, runs_off_the_end, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u64 sum;

	munmap(b->p + 2 * MIB, PAGE);
	ASSERT_EQ(-EFAULT, vt_fill(t, b->p + 2 * MIB - 100, 200, 1));
	EXPECT_EQ(vsvm_addr(b->p + 2 * MIB), t->last.fault_addr);
	ASSERT_EQ(-EFAULT, vt_sum(t, b->p + 2 * MIB - 1, PAGE + 2, &sum));
	EXPECT_EQ(vsvm_addr(b->p + 2 * MIB), t->last.fault_addr);
	ASSERT_EQ(0, vt_buf_check_range(b, 0, 2 * MIB - 100));
	ASSERT_EQ(0, vt_buf_check_range(b, 2 * MIB + PAGE,
					b->len - 2 * MIB - PAGE));
}

/* No process maps the one kind, and none can map the other. */
TEST_F_TIMEOUT(access, null_and_kernel_addresses, SECONDS)
{
	const unsigned long unmapped[] = { 0, 0x10, 0xfff };
	const unsigned long beyond[] = {
		0x1000000000000, 0xffff800000000000, -4096ul,
	};
	struct vt *t = &self->t;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unmapped); i++) {
		EXPECT_EQ(-EFAULT, vt_fill(t, (void *)unmapped[i], 1, 1));
		EXPECT_EQ(unmapped[i], t->last.fault_addr);
	}
	for (i = 0; i < ARRAY_SIZE(beyond); i++) {
		EXPECT_EQ(-EINVAL, vt_fill(t, (void *)beyond[i], 1, 1))
			TH_LOG("at 0x%lx", beyond[i]);
	}
	ASSERT_EQ(0, vt_buf_add(t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Map @b->len bytes of a new file over the buffer, with the model's content. */
static int map_file(struct vt_buf *b, size_t offset, size_t len, int flags)
{
	int fd = memfd_create("vsvm", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (pwrite(fd, b->model + offset, len, 0) != (ssize_t)len ||
	    mmap(b->p + offset, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
		 fd, 0) == MAP_FAILED)
		return -EIO;
	return fd;
}

TEST_F_TIMEOUT(access, shared_file, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u8 *file = malloc(b->len);
	int fd = map_file(b, 0, b->len, MAP_SHARED);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_add(t, b, 7, b->len - 7, 3));
	EXPECT_EQ(0, vt_pages_at(t, b->p, b->len, IN_VRAM));
	ASSERT_EQ((ssize_t)b->len, pread(fd, file, b->len, 0));
	ASSERT_EQ(0, vt_same(file, b->model, b->len));
	ASSERT_EQ(0, vt_buf_check(b));
	close(fd);
	free(file);
}

/* What the GPU writes to a private mapping is not seen in the file. */
TEST_F_TIMEOUT(access, private_file, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u8 *file = malloc(b->len), *before = malloc(b->len);
	int fd = map_file(b, 0, b->len, MAP_PRIVATE);

	ASSERT_LE(0, fd);
	memcpy(before, b->model, b->len);
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	EXPECT_EQ(0, vt_pages_at(t, b->p, b->len, IN_VRAM));
	ASSERT_EQ(0, vt_buf_add(t, b, 7, b->len / 2, 3));
	ASSERT_EQ((ssize_t)b->len, pread(fd, file, b->len, 0));
	ASSERT_EQ(0, vt_same(file, before, b->len));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_check(b));
	close(fd);
	free(file);
	free(before);
}

TEST_F_TIMEOUT(access, shared_anonymous, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	pid_t pid;

	b->p = vt_map_aligned(b->len, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(NULL, b->p);
	memcpy(b->p, b->model, b->len);
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_pages_at(t, b->p, b->len, IN_VRAM));
	pid = fork();
	if (!pid) {
		struct vt child;

		_exit(vt_open(&child) ||
		      vt_buf_check_gpu(&child, b) ||
		      vt_fill(&child, b->p, b->len, 0x77));
	}
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_all(b->p, 0x77, b->len));
}

TEST_F_TIMEOUT(access, prefetch_over_a_file, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	size_t part = b->len / 4;
	__u64 moved, skipped;
	int fd = map_file(b, part, part, MAP_SHARED);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, b->len,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_EQ(3 * part / PAGE, moved);
	EXPECT_EQ(part / PAGE, skipped);
	EXPECT_EQ(0, vt_elsewhere(t, b->p, part, IN_VRAM));
	EXPECT_EQ(0, vt_pages_at(t, b->p + part, part, IN_VRAM));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + 2 * part, 2 * part, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_check(b));
	close(fd);
}

/* What the kernel itself cannot read is not for the GPU either. */
TEST_F_TIMEOUT(access, secret_memory, SECONDS)
{
	struct vt *t = &self->t;
	const size_t len = 4 * PAGE;
	int fd = syscall(SYS_memfd_secret, 0);
	__u64 sum, moved, skipped, taken;
	__u8 *p;

	if (fd < 0)
		SKIP(return, "no memfd_secret()");
	ASSERT_EQ(0, ftruncate(fd, len));
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 1, len);
	EXPECT_EQ(-EFAULT, vt_sum(t, p + 8, 8, &sum));
	EXPECT_EQ(vsvm_addr(p + 8), t->last.fault_addr);
	EXPECT_EQ(-EFAULT, vt_fill(t, p + PAGE, 8, 2));
	EXPECT_EQ(vsvm_addr(p + PAGE), t->last.fault_addr);
	EXPECT_EQ(0, vsvm_exclusive(t->dev.fd, t->vm, p, len, &taken));
	EXPECT_EQ(0u, taken);
	EXPECT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, p, len,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_EQ(0u, moved);
	EXPECT_EQ(len / PAGE, skipped);
	EXPECT_EQ(0, vt_elsewhere(t, p, len, IN_RAM));
	EXPECT_EQ(0, vt_all(p, 1, len));
	munmap(p, len);
	close(fd);
}

TEST_F_TIMEOUT(access, prefetch_over_a_gap, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	munmap(b->p + 2 * MIB, PAGE);
	ASSERT_EQ(-EFAULT, vsvm_prefetch(t->dev.fd, t->vm, b->p, b->len,
					 DRM_VSVM_LOC_DEVICE, NULL, NULL));
	EXPECT_EQ(0, vt_pages_at(t, b->p, 2 * MIB, IN_VRAM));
	EXPECT_EQ(0, vt_pages_at(t, b->p + 2 * MIB + PAGE,
				 b->len - 2 * MIB - PAGE, IN_VRAM));
}

/* A page that somebody holds on to stays; its neighbours move. */
TEST_F_TIMEOUT(access, pinned_page, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u8 *pinned = b->p + 100 * PAGE;
	struct iovec page = { .iov_base = pinned, .iov_len = PAGE };
	__u8 *copy = malloc(PAGE);
	__u64 moved, skipped;
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ((ssize_t)PAGE, vmsplice(pipes[1], &page, 1, 0));
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, b->len,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_EQ(1u, skipped);
	EXPECT_EQ(b->len / PAGE - 1, moved);
	EXPECT_EQ(0, vt_elsewhere(t, pinned, PAGE, IN_RAM));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_elsewhere(t, pinned, PAGE, IN_RAM));
	/* The pipe holds the page, not a copy of what was in it. */
	ASSERT_EQ((ssize_t)PAGE, read(pipes[0], copy, PAGE));
	ASSERT_EQ(0, vt_same(copy, b->model + 100 * PAGE, PAGE));
	ASSERT_EQ(0, vt_buf_check(b));
	close(pipes[0]);
	close(pipes[1]);
	free(copy);
}

/* Fill a piece of memory with a pattern, and let the GPU change all of it. */
static int use(struct vt *t, __u8 *p, size_t len)
{
	__u8 *model = malloc(len);
	size_t i;
	int err;

	vt_pattern(p, len, len);
	vt_pattern(model, len, len);
	for (i = 0; i < len; i++)
		model[i] += 4;
	err = vt_add(t, p, p, len, 4);
	err = err ?: vt_same(p, model, len);
	free(model);
	return err;
}

TEST_F_TIMEOUT(access, stack, SECONDS)
{
	__u8 on_stack[3 * 4096 + 1];
	int i, err = 0;

	for (i = 0; i < 3 && !err; i++)
		err = use(&self->t, on_stack, sizeof(on_stack));
	ASSERT_EQ(0, err);
}

TEST_F_TIMEOUT(access, globals, SECONDS)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, use(&self->t, in_data, sizeof(in_data)));
		ASSERT_EQ(0, use(&self->t, in_bss, sizeof(in_bss)));
	}
}

TEST_F_TIMEOUT(access, malloced, SECONDS)
{
	const size_t size[] = { 1, 100, 5000, 70000, 1000001 };
	__u8 *p[ARRAY_SIZE(size)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		p[i] = malloc(size[i]);
		ASSERT_EQ(0, use(&self->t, p[i], size[i]));
	}
	for (i = 0; i < ARRAY_SIZE(size); i++)
		free(p[i]);
}

/* The program's own code can be read, and not written. */
TEST_F_TIMEOUT(access, code, SECONDS)
{
	const __u8 *code = (const __u8 *)vt_open;
	__u64 sum, cpu = 0;
	size_t i;

	for (i = 0; i < 64; i++)
		cpu += code[i];
	ASSERT_EQ(0, vt_sum(&self->t, code, 64, &sum));
	EXPECT_EQ(cpu, sum);
	ASSERT_EQ(-EFAULT, vt_fill(&self->t, (void *)code, 1, 0));
	EXPECT_EQ(vsvm_addr(code), self->t.last.fault_addr);
}

TEST_F_TIMEOUT(access, hugetlb, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	vsvm_write_file("/proc/sys/vm/nr_hugepages", "2");
	b->len = 2 * LARGE_PAGE;
	b->p = mmap(NULL, b->len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (b->p == MAP_FAILED) {
		vsvm_write_file("/proc/sys/vm/nr_hugepages", "0");
		SKIP(return, "no hugetlb pages");
	}
	b->model = malloc(b->len);
	vt_buf_write(b, 0, b->len, 5);
	EXPECT_EQ(0, vt_buf_check_gpu(t, b));
	EXPECT_EQ(0, vt_buf_add(t, b, 9, b->len - 9, 1));
	EXPECT_EQ(0, vt_pages_at(t, b->p, b->len, IN_VRAM));
	EXPECT_EQ(0, vt_buf_check(b));
	munmap(b->p, b->len);
	vsvm_write_file("/proc/sys/vm/nr_hugepages", "0");
}

TEST_HARNESS_MAIN

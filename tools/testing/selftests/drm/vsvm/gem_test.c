// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Ordinary buffer objects: their content as seen by CPU and GPU, bindings and
 * sharing. What happens when VRAM runs out is in gem_evict_test.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()
/* Nothing lives there but objects. */
#define AT	((__u8 *)DRM_VSVM_BIND_START)
#define FAR	(AT + 64 * MIB)

FIXTURE(gem) {
	struct vt t;
	struct vt_obj o;
};

FIXTURE_VARIANT(gem) {
	__u32 flags;
};

FIXTURE_VARIANT_ADD(gem, vram) { .flags = 0, };
FIXTURE_VARIANT_ADD(gem, system) { .flags = DRM_VSVM_GEM_SYSTEM, };

FIXTURE_SETUP(gem)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_obj_create(&self->t, &self->o, LEN, variant->flags, AT));
}

FIXTURE_TEARDOWN(gem)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(gem, begins_with_zeroes, SECONDS)
{
	__u64 sum = 1;

	ASSERT_EQ(0, vt_sum(&self->t, AT, LEN, &sum));
	EXPECT_EQ(0u, sum);
	ASSERT_EQ(0, vt_all(self->o.p, 0, LEN));
}

TEST_F_TIMEOUT(gem, gpu_writes_cpu_reads, SECONDS)
{
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 3));
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

TEST_F_TIMEOUT(gem, cpu_writes_gpu_reads, SECONDS)
{
	vt_obj_write(&self->o, 0, LEN, 5);
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

/* Where it is to be, and what fdinfo says about that. */
TEST_F_TIMEOUT(gem, is_where_it_belongs, SECONDS)
{
	__u64 vram, system;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
		ASSERT_EQ(0, vsvm_fdinfo(self->t.dev.fd, "drm-resident-vram",
					 &vram));
		ASSERT_EQ(0, vsvm_fdinfo(self->t.dev.fd, "drm-resident-system",
					 &system));
		EXPECT_EQ(variant->flags ? 0 : LEN, vram);
		EXPECT_EQ(variant->flags ? LEN : 0, system);
		/* A CPU brings all of it to system memory. */
		vt_obj_write(&self->o, 7 * PAGE, 1, i);
		ASSERT_EQ(0, vsvm_fdinfo(self->t.dev.fd, "drm-resident-vram",
					 &vram));
		ASSERT_EQ(0, vsvm_fdinfo(self->t.dev.fd, "drm-resident-system",
					 &system));
		EXPECT_EQ(0u, vram);
		EXPECT_EQ(LEN, system);
		/* Not a fight, which it would sit out in system memory. */
		vt_sleep_ms(50);
	}
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

/* In turns, faster than it is worth moving the object for. */
TEST_F_TIMEOUT(gem, ping_pong, SECONDS)
{
	size_t at;
	int i;

	for (i = 0; i < 16; i++) {
		at = i * 37 * PAGE % LEN;
		ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, at, 8 * PAGE, 1));
		ASSERT_EQ(0, vt_same(self->o.p + at, self->o.model + at,
				     8 * PAGE));
		vt_obj_write(&self->o, at + PAGE, 3 * PAGE, i);
	}
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

TEST_F_TIMEOUT(gem, with_memory_of_the_process, SECONDS)
{
	struct vt_buf b;

	ASSERT_EQ(0, vt_buf_map(&b, LEN, VT_SMALL));
	ASSERT_EQ(0, vt_copy(&self->t, AT, b.p, LEN));
	memcpy(self->o.model, b.model, LEN);
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 9));
	ASSERT_EQ(0, vt_copy(&self->t, b.p, AT, LEN));
	ASSERT_EQ(0, vt_obj_check(&self->o));
	ASSERT_EQ(0, vt_same(b.p, self->o.model, LEN));
	vt_buf_unmap(&b);
}

/* Addresses and offsets that are no multiples of anything but a page. */
TEST_F_TIMEOUT(gem, odd_bindings, SECONDS)
{
	static const struct {
		size_t offset, at, pages;
	} bind[] = {
		{ 0, 0, 1 },
		{ 1, 2, 511 },
		{ 3, 513, 512 },
		{ 512, 1537, 512 },
		{ 5, 2560, 600 },
		{ 100, 3840, 900 },
	};
	int fd = self->t.dev.fd;
	size_t i, at, len;
	__u8 *p;

	for (i = 0; i < ARRAY_SIZE(bind); i++) {
		at = bind[i].offset * PAGE;
		len = bind[i].pages * PAGE;
		p = FAR + bind[i].at * PAGE;
		ASSERT_EQ(0, vsvm_gem_bind(fd, self->t.vm, self->o.handle, at,
					   vsvm_addr(p), len, 0));
		ASSERT_EQ(0, vt_add(&self->t, p, p, len, 1));
		for (; len; len--, at++)
			self->o.model[at]++;
	}
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
	/* The other way round: mapped are pages that a CPU has seen. */
	for (i = 0; i < ARRAY_SIZE(bind); i++) {
		at = bind[i].offset * PAGE;
		len = bind[i].pages * PAGE;
		p = FAR + bind[i].at * PAGE;
		ASSERT_EQ(0, vt_add(&self->t, p, p, len, 2));
		ASSERT_EQ(0, vsvm_gem_unbind(fd, self->t.vm, vsvm_addr(p), len));
		for (; len; len--, at++)
			self->o.model[at] += 2;
	}
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

TEST_F_TIMEOUT(gem, two_address_spaces, SECONDS)
{
	struct vt other = self->t;
	int i;

	ASSERT_EQ(0, vsvm_vm_create(other.dev.fd, &other.vm));
	ASSERT_EQ(0, vsvm_gem_bind(other.dev.fd, other.vm, self->o.handle, 0,
				   vsvm_addr(FAR), LEN, 0));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
		ASSERT_EQ(0, vt_add(&other, FAR, FAR, LEN, 1));
		ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, 0, 0));
		memset(self->o.model, 2 * (i + 1), LEN);
		ASSERT_EQ(0, vt_same(self->o.p + i * PAGE, self->o.model, PAGE));
	}
	/* It goes on without one of them. */
	ASSERT_EQ(0, vsvm_vm_destroy(other.dev.fd, other.vm));
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

/* What another process gets through a file is the same object. */
static int use_shared(int fd, __u32 handle, size_t len)
{
	struct vt t;
	__u32 mine;

	if (VT_WRONG(!vt_open(&t)) ||
	    VT_WRONG(!vsvm_gem_share(fd, handle, t.dev.fd, &mine)) ||
	    VT_WRONG(!vsvm_gem_bind(t.dev.fd, t.vm, mine, 0, vsvm_addr(FAR), len,
				    0)) ||
	    VT_WRONG(!vt_add(&t, FAR, FAR, len, 3)))
		return 1;
	vt_close(&t);
	return 0;
}

TEST_F_TIMEOUT(gem, shared_with_a_process, SECONDS)
{
	int fd = self->t.dev.fd;
	__u64 shared, total;
	pid_t pid;

	vt_obj_write(&self->o, 0, LEN, 2);
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
	pid = fork();
	if (!pid)
		_exit(use_shared(fd, self->o.handle, LEN));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, 0, 0));
	for (total = 0; total < LEN; total++)
		self->o.model[total] += 3;
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
	ASSERT_EQ(0, vsvm_fdinfo(fd, variant->flags ? "drm-shared-system" :
						      "drm-shared-vram", &shared));
	ASSERT_EQ(0, vsvm_fdinfo(fd, variant->flags ? "drm-total-system" :
						      "drm-total-vram", &total));
	EXPECT_EQ(LEN, total);
	/* Until it was shared it was private; the other file is closed again. */
	EXPECT_TRUE(shared == 0 || shared == LEN);
}

TEST_F_TIMEOUT(gem, read_only, SECONDS)
{
	struct vt *t = &self->t;
	__u64 sum;

	ASSERT_EQ(0, vsvm_gem_bind(t->dev.fd, t->vm, self->o.handle, 0,
				   vsvm_addr(FAR), LEN,
				   DRM_VSVM_BIND_READONLY));
	ASSERT_EQ(0, vt_obj_add(t, &self->o, 0, LEN, 1));
	ASSERT_EQ(0, vt_sum(t, FAR, LEN, &sum));
	EXPECT_EQ(LEN, sum);
	/* Mapped for reading by now, and where it is not. */
	ASSERT_EQ(-EFAULT, vt_fill(t, FAR + PAGE + 5, 1, 7));
	EXPECT_EQ(vsvm_addr(FAR + PAGE + 5), t->last.fault_addr);
	ASSERT_EQ(0, vsvm_evict(&t->dev));
	ASSERT_EQ(-EFAULT, vt_fill(t, FAR + 2 * PAGE, 1, 7));
	EXPECT_EQ(vsvm_addr(FAR + 2 * PAGE), t->last.fault_addr);
	ASSERT_EQ(0, vt_obj_check_gpu(t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

TEST_F_TIMEOUT(gem, nothing_bound, SECONDS)
{
	static __u8 *const last = (__u8 *)DRM_VSVM_BIND_END - 8;
	struct vt *t = &self->t;

	EXPECT_EQ(-EFAULT, vt_fill(t, FAR, 1, 1));
	EXPECT_EQ(vsvm_addr(FAR), t->last.fault_addr);
	EXPECT_EQ(-EFAULT, vt_fill(t, last, 8, 1));
	EXPECT_EQ(vsvm_addr(last), t->last.fault_addr);
	/* One byte beyond. What was before it is done. */
	EXPECT_EQ(-EFAULT, vt_fill(t, AT + LEN - PAGE, PAGE + 1, 9));
	EXPECT_EQ(vsvm_addr(AT + LEN), t->last.fault_addr);
	memset(self->o.model + LEN - PAGE, 9, PAGE);
	ASSERT_EQ(0, vsvm_gem_unbind(t->dev.fd, t->vm, vsvm_addr(AT), LEN));
	EXPECT_EQ(-EFAULT, vt_fill(t, AT + PAGE, 1, 1));
	EXPECT_EQ(vsvm_addr(AT + PAGE), t->last.fault_addr);
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

/* Two nodes in the object that point to each other, for ever. */
static void endless(struct vt_obj *o, struct drm_vsvm_kernel *kernel, size_t at)
{
	__u64 *node = (__u64 *)(o->p + at);

	vt_endless(kernel, node);
	node[0] = vsvm_addr(o->at + at + 4 * sizeof(*node));
	node[4] = vsvm_addr(o->at + at);
	kernel->dst = vsvm_addr(o->at + at + 8 * sizeof(*node));
	kernel->src = vsvm_addr(o->at + at);
}

TEST_F_TIMEOUT(gem, unbind_under_a_job, SECONDS)
{
	struct drm_vsvm_kernel kernel;
	struct vt *t = &self->t;
	struct vt_ufence done;

	ASSERT_EQ(0, vt_ufence_create(&done));
	endless(&self->o, &kernel, 3 * PAGE);
	ASSERT_EQ(0, vt_submit(t, t->vm, &kernel, 1, &done));
	vt_sleep_ms(100);
	ASSERT_EQ(0, vt_ufence_status(t, &done));
	ASSERT_EQ(0, vsvm_gem_unbind(t->dev.fd, t->vm, vsvm_addr(AT), LEN));
	ASSERT_EQ(-EFAULT, vt_ufence_wait(t, &done, 20000));
	/* The same, waited for, to learn the address. */
	ASSERT_EQ(-EFAULT, vsvm_run(t->dev.fd, t->vm, &kernel, 1, &t->last));
	EXPECT_EQ(vsvm_addr(AT + 3 * PAGE), t->last.fault_addr);
}

/* A job does not notice that what it works on moves about. */
TEST_F_TIMEOUT(gem, evict_under_a_job, SECONDS)
{
	struct drm_vsvm_kernel kernel;
	struct vt *t = &self->t;
	struct vt_ufence done;
	int i;

	ASSERT_EQ(0, vt_ufence_create(&done));
	endless(&self->o, &kernel, 3 * PAGE);
	ASSERT_EQ(0, vt_submit(t, t->vm, &kernel, 1, &done));
	for (i = 0; i < 20; i++) {
		vt_sleep_ms(10);
		ASSERT_EQ(0, vsvm_evict(&t->dev));
		ASSERT_EQ(0, vt_ufence_status(t, &done));
		self->o.p[4 * PAGE] = i;
	}
	/* The CPU ends it. */
	*(__u64 *)(self->o.p + 3 * PAGE) = 0;
	ASSERT_EQ(0, vt_ufence_wait(t, &done, 20000));
	EXPECT_LT(0u, *(__u64 *)(self->o.p + 3 * PAGE + 8 * sizeof(__u64)));
}

/* A binding keeps what it binds. */
TEST_F_TIMEOUT(gem, handle_closed, SECONDS)
{
	struct vt *t = &self->t;
	__u64 used = vt_vram_used(t);

	ASSERT_EQ(0, vt_obj_add(t, &self->o, 0, LEN, 1));
	ASSERT_EQ(0, vsvm_gem_close(t->dev.fd, self->o.handle));
	ASSERT_EQ(0, vt_obj_add(t, &self->o, 0, LEN, 1));
	ASSERT_EQ(0, vt_obj_check_gpu(t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
	ASSERT_EQ(0, vt_obj_add(t, &self->o, 0, LEN, 1));
	ASSERT_EQ(0, munmap(self->o.p, LEN));
	ASSERT_EQ(0, vt_obj_check_gpu(t, &self->o));
	ASSERT_EQ(0, vsvm_gem_unbind(t->dev.fd, t->vm, vsvm_addr(AT), LEN));
	/* But for page tables, for this and for results of kernels. */
	if (!variant->flags)
		ASSERT_EQ(0, vt_vram_settles(t, used - LEN + 64 * KIB));
	EXPECT_EQ(-EINVAL, vsvm_gem_close(t->dev.fd, self->o.handle));
}

/* A mapping keeps it as well, and its address space goes with the file. */
TEST_F_TIMEOUT(gem, file_closed, SECONDS)
{
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 4));
	vt_close(&self->t);
	ASSERT_EQ(0, vt_obj_check(&self->o));
	memset(self->o.p, 1, LEN);
	ASSERT_EQ(0, vt_all(self->o.p, 1, LEN));
}

TEST_F_TIMEOUT(gem, atomic_additions, SECONDS)
{
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_ATOMIC_ADD,
		.dst = vsvm_addr(AT + 5 * PAGE + 8),
		.count = 1000,
		.arg = 3,
	};
	struct vt *t = &self->t;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vsvm_run(t->dev.fd, t->vm, &kernel, 1, NULL));
		ASSERT_EQ(3000u * (i + 1),
			  *(__u64 *)(self->o.p + 5 * PAGE + 8));
	}
}

/* A child has the mapping, and no address space of its own. */
TEST_F_TIMEOUT(gem, fork, SECONDS)
{
	pid_t pid;

	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
	pid = fork();
	if (!pid) {
		if (VT_WRONG(!vt_obj_check(&self->o)) ||
		    VT_WRONG(vt_fill(&self->t, AT, 1, 1) == -EPERM))
			_exit(1);
		memset(self->o.p, 0x5a, LEN);
		_exit(0);
	}
	ASSERT_EQ(0, vt_join(pid));
	memset(self->o.model, 0x5a, LEN);
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
}

/* System calls and debuggers see the content, wherever it is. */
TEST_F_TIMEOUT(gem, system_calls, SECONDS)
{
	__u8 *page = malloc(PAGE);
	int fd, pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 6));
	ASSERT_EQ((ssize_t)PAGE, pread(fd, page, PAGE, vsvm_addr(self->o.p + 9 * PAGE)));
	ASSERT_EQ(0, vt_all(page, 6, PAGE));
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
	memset(page, 0x77, PAGE);
	ASSERT_EQ((ssize_t)PAGE, pwrite(fd, page, PAGE, vsvm_addr(self->o.p)));
	memset(self->o.model, 0x77, PAGE);
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
	ASSERT_EQ((ssize_t)PAGE, write(pipes[1], self->o.p, PAGE));
	ASSERT_EQ((ssize_t)PAGE, read(pipes[0], self->o.p + PAGE, PAGE));
	memset(self->o.model + PAGE, 0x78, PAGE);
	ASSERT_EQ(0, vt_obj_check(&self->o));
	close(fd);
	free(page);
}

/* The CPU's address of an object is none of the GPU's. */
TEST_F_TIMEOUT(gem, mapping_is_no_svm, SECONDS)
{
	ASSERT_EQ(-EFAULT, vt_fill(&self->t, self->o.p + PAGE, 8, 1));
	EXPECT_EQ(vsvm_addr(self->o.p + PAGE), self->t.last.fault_addr);
	ASSERT_EQ(0, vt_all(self->o.p, 0, LEN));
}

TEST_F_TIMEOUT(gem, mappings, SECONDS)
{
	struct drm_vsvm_gem_mmap args = { .handle = self->o.handle };
	int fd = self->t.dev.fd;
	struct vt other;
	__u8 *p;

	ASSERT_EQ(0, ioctl(fd, DRM_IOCTL_VSVM_GEM_MMAP, &args));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, fd, args.offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN + PAGE, PROT_READ, MAP_SHARED, fd,
				   args.offset));
	/* A file that has no handle of it. */
	ASSERT_EQ(0, vt_open(&other));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN, PROT_READ, MAP_SHARED,
				   other.dev.fd, args.offset));
	EXPECT_EQ(EACCES, errno);
	vt_close(&other);
	/* Its first page, for reading. */
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, args.offset);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 8));
	ASSERT_EQ(0, vt_all(p, 8, PAGE));
	munmap(p, PAGE);
}

/* Pages of 2 MiB, as far as the GPU's page tables go. */
static int large_pages(struct vt *t, unsigned int *mapped, unsigned int *large)
{
	char line[256], path[128];
	int err = -ENOENT;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/page_tables",
		 t->dev.name);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (err && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " binding %*x-%*x windows %*u mapped %u large %u",
			   mapped, large) == 2)
			err = 0;
	}
	fclose(file);
	return err;
}

TEST_F_TIMEOUT(gem, large_pages, SECONDS)
{
	const unsigned int pages = LEN / LARGE_PAGE;
	unsigned int mapped = 0, large = 0;

	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
	ASSERT_EQ(0, large_pages(&self->t, &mapped, &large));
	EXPECT_EQ(pages, mapped);
	/* System memory may be in pieces. */
	if (!variant->flags)
		EXPECT_EQ(pages, large);
	/* From large pages to small ones and back. */
	ASSERT_EQ(0, vt_obj_check(&self->o));
	ASSERT_EQ(0, vt_obj_add(&self->t, &self->o, 0, LEN, 1));
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &self->o));
	ASSERT_EQ(0, vt_obj_check(&self->o));
	ASSERT_EQ(0, large_pages(&self->t, &mapped, &large));
	EXPECT_GE(pages, mapped);
}

TEST_HARNESS_MAIN

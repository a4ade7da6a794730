// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the ioctls refuse: each wrong argument gives exactly the error that
 * <drm/vsvm_drm.h> says, and leaves everything as it was.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	(256 * KIB)
#define PAGE	vsvm_page_size()

/* An address that no process has, and that is valid for the CPU otherwise. */
#define BAD_POINTER	0x00007ffffffff000ull
/* Address spaces of 64-bit processes end far below. */
#define ABOVE_USER	0x0100000000000000ull

/* The layout is the same on 32-bit and 64-bit machines. */
#define LAYOUT(type, size, member, offset)				\
	static_assert(sizeof(struct type) == (size) &&			\
		      offsetof(struct type, member) == (offset), #type)

LAYOUT(drm_vsvm_query, 16, data, 8);
LAYOUT(drm_vsvm_device_info, 32, va_bits, 16);
LAYOUT(drm_vsvm_device_info, 32, device_id, 28);
LAYOUT(drm_vsvm_stats, 160, to_vram_bytes, 32);
LAYOUT(drm_vsvm_stats, 160, jobs_failed, 104);
LAYOUT(drm_vsvm_stats, 160, copies_2m, 152);
LAYOUT(drm_vsvm_vm_create, 8, vm_id, 4);
LAYOUT(drm_vsvm_vm_destroy, 8, pad, 4);
LAYOUT(drm_vsvm_kernel, 40, dst, 8);
LAYOUT(drm_vsvm_kernel, 40, arg, 32);
LAYOUT(drm_vsvm_sync, 16, point, 8);
LAYOUT(drm_vsvm_exec, 72, kernels, 16);
LAYOUT(drm_vsvm_exec, 72, fault_addr, 32);
LAYOUT(drm_vsvm_exec, 72, queue, 44);
LAYOUT(drm_vsvm_exec, 72, job, 64);
LAYOUT(drm_vsvm_wait_user_fence, 80, job, 16);
LAYOUT(drm_vsvm_wait_user_fence, 80, fault_addr, 56);
LAYOUT(drm_vsvm_wait_user_fence, 80, pad, 72);
LAYOUT(drm_vsvm_prefetch, 48, start, 8);
LAYOUT(drm_vsvm_prefetch, 48, flags, 24);
LAYOUT(drm_vsvm_prefetch, 48, skipped, 40);
LAYOUT(drm_vsvm_residency, 32, start, 8);
LAYOUT(drm_vsvm_residency, 32, pages, 24);
LAYOUT(drm_vsvm_gem_create, 16, handle, 12);
LAYOUT(drm_vsvm_gem_mmap, 16, offset, 8);
LAYOUT(drm_vsvm_vm_bind, 40, offset, 16);
LAYOUT(drm_vsvm_vm_bind, 40, length, 32);
LAYOUT(drm_vsvm_madvise, 32, value, 24);
LAYOUT(drm_vsvm_exclusive, 32, taken, 24);

FIXTURE(ioctl) {
	struct vt t;
	struct vt_buf b;
	struct drm_vsvm_stats stats;
	__u64 used;
};

FIXTURE_SETUP(ioctl)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	/* Page tables for the buffer are there from now on. */
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_pages_at(&self->t, self->b.p, LEN, IN_VRAM));
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &self->stats));
	self->used = vt_vram_used(&self->t);
}

/* After all that was refused: nothing ran, nothing moved, and all still works. */
FIXTURE_TEARDOWN(ioctl)
{
	struct drm_vsvm_stats stats;

	EXPECT_EQ(0, vsvm_query_stats(self->t.dev.fd, &stats));
	EXPECT_EQ(self->stats.jobs, stats.jobs);
	EXPECT_EQ(self->stats.to_vram_bytes, stats.to_vram_bytes);
	EXPECT_EQ(0, vt_vram_settles(&self->t, self->used));
	EXPECT_EQ(0, vt_pages_at(&self->t, self->b.p, LEN, IN_VRAM));
	EXPECT_EQ(0, vt_buf_check(&self->b));
	EXPECT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	EXPECT_EQ(0, vt_buf_check(&self->b));
	vt_close(&self->t);
}

/* ioctl() with a pointer to @arg; evaluates to 0 or a negative errno. */
#define CALL(self, name, arg)						\
	(ioctl((self)->t.dev.fd, DRM_IOCTL_VSVM_##name, arg) ? -errno : 0)

TEST_F_TIMEOUT(ioctl, query, SECONDS)
{
	struct drm_vsvm_device_info info;
	struct drm_vsvm_query q = { .param = 2 };
	__u8 one[2] = { 0, 0xee };

	EXPECT_EQ(-EINVAL, CALL(self, QUERY, &q));
	q.param = UINT32_MAX;
	EXPECT_EQ(-EINVAL, CALL(self, QUERY, &q));

	q = (struct drm_vsvm_query){ .param = DRM_VSVM_QUERY_DEVICE };
	EXPECT_EQ(0, CALL(self, QUERY, &q));
	EXPECT_EQ(sizeof(info), q.size);
	q = (struct drm_vsvm_query){ .param = DRM_VSVM_QUERY_STATS };
	EXPECT_EQ(0, CALL(self, QUERY, &q));
	EXPECT_EQ(sizeof(struct drm_vsvm_stats), q.size);

	/* Room for one byte gets one byte. */
	q = (struct drm_vsvm_query){ .size = 1, .data = vsvm_addr(one) };
	EXPECT_EQ(0, CALL(self, QUERY, &q));
	EXPECT_EQ(sizeof(info), q.size);
	EXPECT_EQ(0xee, one[1]);

	q = (struct drm_vsvm_query){ .size = sizeof(info) };
	EXPECT_EQ(-EFAULT, CALL(self, QUERY, &q));
	q.data = BAD_POINTER;
	EXPECT_EQ(-EFAULT, CALL(self, QUERY, &q));
	EXPECT_EQ(-EFAULT, CALL(self, QUERY, NULL));
}

TEST_F_TIMEOUT(ioctl, query_more_than_there_is, SECONDS)
{
	struct {
		struct drm_vsvm_device_info info;
		__u8 rest[16];
	} room;
	struct drm_vsvm_query q = {
		.size = sizeof(room),
		.data = vsvm_addr(&room),
	};

	memset(&room, 0xee, sizeof(room));
	ASSERT_EQ(0, CALL(self, QUERY, &q));
	EXPECT_EQ(sizeof(room.info), q.size);
	EXPECT_EQ(0, vt_all(room.rest, 0xee, sizeof(room.rest)));
	EXPECT_LT(0u, room.info.vram_size);
	EXPECT_GE(room.info.vram_size, room.info.vram_used);
	EXPECT_EQ(48u, room.info.va_bits);
	EXPECT_EQ(LARGE_PAGE, room.info.large_page);
}

TEST_F_TIMEOUT(ioctl, unknown_ioctl, SECONDS)
{
	unsigned long request = DRM_IOWR(DRM_COMMAND_BASE + 0x20,
					 struct drm_vsvm_query);
	struct drm_vsvm_query q = {};

	EXPECT_EQ(-1, ioctl(self->t.dev.fd, request, &q));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F_TIMEOUT(ioctl, vm_create, SECONDS)
{
	struct drm_vsvm_vm_create create = { .flags = 1 };

	EXPECT_EQ(-EINVAL, CALL(self, VM_CREATE, &create));
	create.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, CALL(self, VM_CREATE, &create));
	EXPECT_EQ(-EFAULT, CALL(self, VM_CREATE, NULL));
}

TEST_F_TIMEOUT(ioctl, vm_destroy, SECONDS)
{
	struct drm_vsvm_vm_destroy destroy = { .vm_id = self->t.vm, .pad = 1 };

	EXPECT_EQ(-EINVAL, CALL(self, VM_DESTROY, &destroy));
	EXPECT_EQ(-ENOENT, vsvm_vm_destroy(self->t.dev.fd, 0));
	EXPECT_EQ(-ENOENT, vsvm_vm_destroy(self->t.dev.fd, 0x7fffffff));
	EXPECT_EQ(-ENOENT, vsvm_vm_destroy(self->t.dev.fd, UINT32_MAX));
}

/* Whatever the number of an address space is wrong for, each ioctl says so. */
static int refused(int fd, __u32 vm, struct vt_buf *b, int expected)
{
	struct drm_vsvm_kernel k = {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(b->p),
		.count = 1,
	};
	__u8 map;

	return VT_WRONG(vsvm_run(fd, vm, &k, 1, NULL) == expected) ||
	       VT_WRONG(vsvm_prefetch(fd, vm, b->p, 1, DRM_VSVM_LOC_DEVICE,
				      NULL, NULL) == expected) ||
	       VT_WRONG(vsvm_residency(fd, vm, b->p, 1, &map) == expected);
}

TEST_F_TIMEOUT(ioctl, vm_unknown, SECONDS)
{
	EXPECT_EQ(0, refused(self->t.dev.fd, 0, &self->b, -ENOENT));
	EXPECT_EQ(0, refused(self->t.dev.fd, 0x7fffffff, &self->b, -ENOENT));
	EXPECT_EQ(0, refused(self->t.dev.fd, UINT32_MAX, &self->b, -ENOENT));
}

TEST_F_TIMEOUT(ioctl, vm_destroyed, SECONDS)
{
	int fd = self->t.dev.fd;
	__u32 vm;

	ASSERT_EQ(0, vsvm_vm_create(fd, &vm));
	EXPECT_NE(0u, vm);
	EXPECT_NE(self->t.vm, vm);
	ASSERT_EQ(0, vsvm_vm_destroy(fd, vm));
	EXPECT_EQ(0, refused(fd, vm, &self->b, -ENOENT));
	EXPECT_EQ(-ENOENT, vsvm_vm_destroy(fd, vm));
}

TEST_F_TIMEOUT(ioctl, vm_of_another_file, SECONDS)
{
	struct vt other;
	__u32 vm;

	/* Numbers count up: this file has none as high as the other's second. */
	ASSERT_EQ(0, vt_open(&other));
	ASSERT_EQ(0, vsvm_vm_create(other.dev.fd, &vm));
	ASSERT_NE(self->t.vm, vm);
	EXPECT_EQ(0, refused(self->t.dev.fd, vm, &self->b, -ENOENT));
	EXPECT_EQ(-ENOENT, vsvm_vm_destroy(self->t.dev.fd, vm));
	vt_close(&other);
}

/* The file is the parent's, and so is the memory that the numbers stand for. */
TEST_F_TIMEOUT(ioctl, vm_of_the_parent, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(refused(self->t.dev.fd, self->t.vm, &self->b, -EPERM));
	EXPECT_EQ(0, vt_join(pid));
}

TEST_F_TIMEOUT(ioctl, vm_exhaustion, SECONDS)
{
	int i, n, err, fd = self->t.dev.fd;
	__u32 vm[256];

	for (n = 0, err = 0; n < 256; n++) {
		err = vsvm_vm_create(fd, &vm[n]);
		if (err)
			break;
	}
	/* For one process: see quota_test for all of them. */
	EXPECT_EQ(-EDQUOT, err);
	EXPECT_EQ(15, n);
	ASSERT_LT(0, n);
	/* Those that are there work. */
	EXPECT_EQ(0, vsvm_vm_destroy(fd, self->t.vm));
	self->t.vm = vm[--n];
	for (i = 0, err = 0; i < n; i++)
		err = err ?: vsvm_vm_destroy(fd, vm[i]);
	EXPECT_EQ(0, err);
	for (i = 0; i < n; i++)
		err = err ?: vsvm_vm_create(fd, &vm[i]);
	EXPECT_EQ(0, err);
	for (i = 0; i < n; i++)
		err = err ?: vsvm_vm_destroy(fd, vm[i]);
	EXPECT_EQ(0, err);
}

/* What PREFETCH, both ways, and RESIDENCY say to a range. */
static int refuses(struct vt *t, __u64 start, __u64 length, int expected)
{
	static __u8 map[LEN / 4096];
	struct drm_vsvm_prefetch p = {
		.vm_id = t->vm,
		.location = DRM_VSVM_LOC_DEVICE,
		.start = start,
		.length = length,
	};
	struct drm_vsvm_residency r = {
		.vm_id = t->vm,
		.start = start,
		.length = length,
		.pages = vsvm_addr(map),
	};
	int to_vram, to_ram, ask;

	to_vram = ioctl(t->dev.fd, DRM_IOCTL_VSVM_PREFETCH, &p) ? -errno : 0;
	p.location = DRM_VSVM_LOC_SYSTEM;
	to_ram = ioctl(t->dev.fd, DRM_IOCTL_VSVM_PREFETCH, &p) ? -errno : 0;
	ask = ioctl(t->dev.fd, DRM_IOCTL_VSVM_RESIDENCY, &r) ? -errno : 0;
	if (to_vram == expected && to_ram == expected && ask == expected)
		return 0;
	fprintf(stderr, "# PREFETCH %d and %d, RESIDENCY %d, not %d\n",
		to_vram, to_ram, ask, expected);
	return 1;
}

TEST_F_TIMEOUT(ioctl, ranges, SECONDS)
{
	__u64 p = vsvm_addr(self->b.p);
	struct vt *t = &self->t;

	EXPECT_EQ(0, refuses(t, p + 1, PAGE, -EINVAL));
	EXPECT_EQ(0, refuses(t, p, PAGE - 1, -EINVAL));
	EXPECT_EQ(0, refuses(t, p, 1, -EINVAL));
	EXPECT_EQ(0, refuses(t, p, 0, -EINVAL));
	EXPECT_EQ(0, refuses(t, p, PAGE - p, -EINVAL));
	EXPECT_EQ(0, refuses(t, -PAGE, 2 * PAGE, -EINVAL));
	EXPECT_EQ(0, refuses(t, p, -PAGE, -EINVAL));
	/* Beyond what any process can have. */
	EXPECT_EQ(0, refuses(t, ABOVE_USER, PAGE, -EINVAL));
	EXPECT_EQ(0, refuses(t, -2 * PAGE, PAGE, -EINVAL));
	EXPECT_EQ(0, refuses(t, p, ABOVE_USER, -EINVAL));
}

TEST_F_TIMEOUT(ioctl, ranges_not_mapped, SECONDS)
{
	__u8 *gap = vt_map_aligned(LARGE_PAGE, PROT_NONE, MAP_PRIVATE);
	__u64 p = vsvm_addr(self->b.p);
	struct vt *t = &self->t;

	ASSERT_NE(NULL, gap);
	munmap(gap, LARGE_PAGE);
	EXPECT_EQ(0, refuses(t, vsvm_addr(gap), PAGE, -EFAULT));
	EXPECT_EQ(0, refuses(t, 0, PAGE, -EFAULT));
	/* The first part is mapped, and stays where it is. */
	munmap(self->b.p + LEN / 2, PAGE);
	EXPECT_EQ(0, refuses(t, p, LEN, -EFAULT));
	EXPECT_EQ(0, vt_pages_at(t, self->b.p, LEN / 2, IN_VRAM));
	mmap(self->b.p + LEN / 2, PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(self->b.model + LEN / 2, 0, PAGE);
}

TEST_F_TIMEOUT(ioctl, prefetch, SECONDS)
{
	struct drm_vsvm_prefetch good = {
		.vm_id = self->t.vm,
		.location = DRM_VSVM_LOC_DEVICE,
		.start = vsvm_addr(self->b.p),
		.length = LEN,
	}, p;

	p = good;
	p.location = 2;
	EXPECT_EQ(-EINVAL, CALL(self, PREFETCH, &p));
	p.location = UINT32_MAX;
	EXPECT_EQ(-EINVAL, CALL(self, PREFETCH, &p));
	p = good;
	p.flags = 2;
	EXPECT_EQ(-EINVAL, CALL(self, PREFETCH, &p));
	p = good;
	p.syncobj = 1;
	EXPECT_EQ(-EINVAL, CALL(self, PREFETCH, &p));
	EXPECT_EQ(-EFAULT, CALL(self, PREFETCH, NULL));
}

TEST_F_TIMEOUT(ioctl, residency, SECONDS)
{
	__u8 *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct drm_vsvm_residency good = {
		.vm_id = self->t.vm,
		.start = vsvm_addr(self->b.p),
		.length = LEN,
	}, r;

	r = good;
	EXPECT_EQ(-EFAULT, CALL(self, RESIDENCY, &r));
	r.pages = BAD_POINTER;
	EXPECT_EQ(-EFAULT, CALL(self, RESIDENCY, &r));
	r.pages = vsvm_addr(map);
	EXPECT_EQ(-EFAULT, CALL(self, RESIDENCY, &r));
	r.flags = 1;
	EXPECT_EQ(-EINVAL, CALL(self, RESIDENCY, &r));
	EXPECT_EQ(-EFAULT, CALL(self, RESIDENCY, NULL));
	munmap(map, PAGE);
}

/* A job that would be right but for what a test makes of it. */
struct job {
	struct drm_vsvm_kernel k[DRM_VSVM_MAX_KERNELS + 1];
	struct drm_vsvm_sync s[DRM_VSVM_MAX_SYNCS + 1];
	struct drm_vsvm_exec exec;
};

static struct job good_job(struct vt *t, struct vt_buf *b)
{
	struct job job = {
		.exec = {
			.vm_id = t->vm,
			.flags = DRM_VSVM_EXEC_WAIT,
			.num_kernels = 1,
		},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(job.k); i++) {
		job.k[i].op = DRM_VSVM_OP_COPY;
		job.k[i].dst = vsvm_addr(b->p);
		job.k[i].src = vsvm_addr(b->p + LEN / 2);
		job.k[i].count = LEN / 2;
	}
	return job;
}

/* The pointers are set last, so that a job can be copied. */
static int submit(struct vt *t, struct job *job)
{
	struct drm_vsvm_exec exec = job->exec;

	exec.kernels = exec.kernels ?: vsvm_addr(job->k);
	exec.syncs = exec.syncs ?: vsvm_addr(job->s);
	return vsvm_exec(t->dev.fd, &exec);
}

TEST_F_TIMEOUT(ioctl, exec, SECONDS)
{
	const struct job good = good_job(&self->t, &self->b);
	struct job j = good;
	struct drm_vsvm_exec none = { .vm_id = self->t.vm, .num_kernels = 1 };

	j.exec.flags = DRM_VSVM_EXEC_FENCE << 1;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j.exec.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j = good;
	j.exec.queue = DRM_VSVM_NUM_QUEUES;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j = good;
	j.exec.num_kernels = 0;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j.exec.num_kernels = DRM_VSVM_MAX_KERNELS + 1;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j.exec.num_kernels = UINT32_MAX;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j = good;
	j.exec.num_syncs = DRM_VSVM_MAX_SYNCS + 1;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j.exec.num_syncs = UINT32_MAX;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j));
	j = good;
	j.exec.kernels = BAD_POINTER;
	EXPECT_EQ(-EFAULT, submit(&self->t, &j));
	j = good;
	j.exec.num_syncs = 1;
	j.exec.syncs = BAD_POINTER;
	EXPECT_EQ(-EFAULT, submit(&self->t, &j));
	EXPECT_EQ(-EFAULT, vsvm_exec(self->t.dev.fd, &none));
	EXPECT_EQ(-EFAULT, CALL(self, EXEC, NULL));
}

static int kernel_refused(struct vt *t, struct vt_buf *b, unsigned int at,
			  struct drm_vsvm_kernel k)
{
	struct job job = good_job(t, b);

	job.exec.num_kernels = at + 1;
	job.k[at] = k;
	return VT_WRONG(submit(t, &job) == -EINVAL);
}

TEST_F_TIMEOUT(ioctl, exec_kernels, SECONDS)
{
	__u64 p = vsvm_addr(self->b.p);
	const struct drm_vsvm_kernel bad[] = {
		{ .op = 7, .dst = p, .src = p, .count = 1 },
		{ .op = UINT32_MAX, .dst = p, .src = p, .count = 1 },
		{ .op = DRM_VSVM_OP_FILL, .pad = 1, .dst = p, .count = 1 },
		{ .op = DRM_VSVM_OP_FILL, .dst = p, .src = p, .count = 1 },
		/* Not aligned to their elements. */
		{ .op = DRM_VSVM_OP_SAXPY, .dst = p + 2, .src = p, .count = 1 },
		{ .op = DRM_VSVM_OP_SAXPY, .dst = p, .src = p + 1, .count = 1 },
		{ .op = DRM_VSVM_OP_HISTOGRAM, .dst = p + 4, .src = p, .count = 1 },
		{ .op = DRM_VSVM_OP_SUM, .dst = p + 4, .src = p, .count = 1 },
		{ .op = DRM_VSVM_OP_CHASE, .dst = p + 4, .src = p, .arg = 8 },
		{ .op = DRM_VSVM_OP_CHASE, .dst = p, .src = p + 4, .arg = 8 },
		{ .op = DRM_VSVM_OP_CHASE, .dst = p, .src = p, .arg = 4 },
		/* Over the end of the address space. */
		{ .op = DRM_VSVM_OP_FILL, .dst = p, .count = UINT64_MAX },
		{ .op = DRM_VSVM_OP_FILL, .dst = p, .count = -p + 1 },
		{ .op = DRM_VSVM_OP_COPY, .dst = p, .src = p, .count = -p + 1 },
		{ .op = DRM_VSVM_OP_SUM, .dst = p, .src = p, .count = UINT64_MAX },
		{ .op = DRM_VSVM_OP_SAXPY, .dst = p, .src = p,
		  .count = (1ull << 62) + 1 },
		{ .op = DRM_VSVM_OP_HISTOGRAM, .dst = -8ull, .src = p, .count = 1 },
		/* The ranges overlap, and are not the same. */
		{ .op = DRM_VSVM_OP_COPY, .dst = p, .src = p + 1, .count = 2 },
		{ .op = DRM_VSVM_OP_COPY, .dst = p + 99, .src = p, .count = 100 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(0, kernel_refused(&self->t, &self->b, 0, bad[i]))
			TH_LOG("kernel %u, alone", i);
		/* Behind a right one, which must not have run. */
		EXPECT_EQ(0, kernel_refused(&self->t, &self->b, 5, bad[i]))
			TH_LOG("kernel %u, the last of six", i);
	}
}

TEST_F_TIMEOUT(ioctl, exec_syncs, SECONDS)
{
	const struct job good = good_job(&self->t, &self->b);
	struct job j = good;
	__u32 empty;

	ASSERT_EQ(0, vt_syncobj_create(&self->t, &empty));
	j.exec.num_syncs = 1;
	EXPECT_EQ(-ENOENT, submit(&self->t, &j)) TH_LOG("handle 0");
	j.s[0].handle = 0x7fffffff;
	EXPECT_EQ(-ENOENT, submit(&self->t, &j)) TH_LOG("unknown");
	j.s[0].handle = empty;
	j.s[0].flags = 2;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j)) TH_LOG("unknown flag");
	j.s[0].flags = 0;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j)) TH_LOG("without a fence");
	/* No fence may depend on a page fault. */
	j.s[0].flags = DRM_VSVM_SYNC_SIGNAL;
	EXPECT_EQ(-EOPNOTSUPP, submit(&self->t, &j)) TH_LOG("to be signalled");
	EXPECT_EQ(-EINVAL, vt_syncobj_status(&self->t, empty));
	vt_syncobj_destroy(&self->t, empty);
}

TEST_F_TIMEOUT(ioctl, exec_fence, SECONDS)
{
	const struct job good = good_job(&self->t, &self->b);
	struct job j = good;

	j.exec.fence_value = 1;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j)) TH_LOG("value without a flag");
	j = good;
	j.exec.fence_addr = vsvm_addr(self->b.p);
	EXPECT_EQ(-EINVAL, submit(&self->t, &j)) TH_LOG("address without a flag");
	j.exec.flags |= DRM_VSVM_EXEC_FENCE;
	j.exec.fence_addr += 4;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j)) TH_LOG("not aligned");
	j.exec.fence_addr = DRM_VSVM_BIND_END;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j)) TH_LOG("beyond the end");
	j.exec.fence_addr = -8ull;
	EXPECT_EQ(-EINVAL, submit(&self->t, &j)) TH_LOG("wraps");
}

/* @change makes a wait that would succeed at once a wrong one. */
static int wait_refused(struct vt *t, void (*change)(struct drm_vsvm_wait_user_fence *w))
{
	static __u64 word = 7;
	struct drm_vsvm_wait_user_fence w = {
		.vm_id = t->vm,
		.addr = vsvm_addr(&word),
		.value = 7,
		.mask = ~0ull,
	};

	if (VT_WRONG(!vsvm_wait_user_fence(t->dev.fd, &w)))
		return -EPROTO;
	change(&w);
	return vsvm_wait_user_fence(t->dev.fd, &w);
}

#define CHANGE(name, what) \
	static void name(struct drm_vsvm_wait_user_fence *w) { what; }

CHANGE(wrong_vm, w->vm_id = 0)
CHANGE(wrong_op, w->op = DRM_VSVM_UFENCE_LTE + 1)
CHANGE(wrong_flags, w->flags = 2)
CHANGE(wrong_queue, w->queue = DRM_VSVM_NUM_QUEUES)
CHANGE(wrong_job, w->job = 1ull << 40)
CHANGE(wrong_alignment, w->addr += 4)
CHANGE(wrong_address, w->addr = BAD_POINTER & ~7ull)
CHANGE(wrong_pad, w->pad = 1)

TEST_F_TIMEOUT(ioctl, wait_user_fence, SECONDS)
{
	struct vt *t = &self->t;

	EXPECT_EQ(-ENOENT, wait_refused(t, wrong_vm));
	EXPECT_EQ(-EINVAL, wait_refused(t, wrong_op));
	EXPECT_EQ(-EINVAL, wait_refused(t, wrong_flags));
	EXPECT_EQ(-EINVAL, wait_refused(t, wrong_queue));
	EXPECT_EQ(-EINVAL, wait_refused(t, wrong_job));
	EXPECT_EQ(-EINVAL, wait_refused(t, wrong_alignment));
	EXPECT_EQ(-EFAULT, wait_refused(t, wrong_address));
	EXPECT_EQ(-EINVAL, wait_refused(t, wrong_pad));
	EXPECT_EQ(-EFAULT, CALL(self, WAIT_USER_FENCE, NULL));
}

TEST_HARNESS_MAIN

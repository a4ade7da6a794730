// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Copy on write by the GPU. Two processes share pages after fork(); one of them
 * has its GPU read them, so that they are mapped, and then write them, with
 * nothing to fault on if that mapping allowed it. The other one must keep what it
 * had. Pages are in VRAM or in RAM, small or huge, and written by plain kernels or
 * by atomic additions.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define PAGE	vsvm_page_size()
/* One large page, and some that are not. */
#define LEN	(LARGE_PAGE + 64 * KIB)

FIXTURE(cow) {
	struct vt t;
	struct vt_buf b;
	__u64 *sum;
	int go[2];
};

FIXTURE_VARIANT(cow) {
	enum vt_kind kind;
	__u32 location;
	__u8 where;
};

FIXTURE_VARIANT_ADD(cow, small_in_vram) {
	.kind = VT_SMALL,
	.location = DRM_VSVM_LOC_DEVICE,
	.where = IN_VRAM,
};

FIXTURE_VARIANT_ADD(cow, thp_in_vram) {
	.kind = VT_THP,
	.location = DRM_VSVM_LOC_DEVICE,
	.where = IN_VRAM,
};

FIXTURE_VARIANT_ADD(cow, small_in_ram) {
	.kind = VT_SMALL,
	.location = DRM_VSVM_LOC_SYSTEM,
	.where = IN_RAM,
};

FIXTURE_VARIANT_ADD(cow, thp_in_ram) {
	.kind = VT_THP,
	.location = DRM_VSVM_LOC_SYSTEM,
	.where = IN_RAM,
};

static int stays(struct vt *t, const struct vt_buf *b, __u32 location)
{
	return vsvm_madvise(t->dev.fd, t->vm, b->p, b->len,
			    DRM_VSVM_MADVISE_LOCATION, location);
}

FIXTURE_SETUP(cow)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, variant->kind));
	self->sum = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, self->sum);
	ASSERT_EQ(0, pipe(self->go));
	ASSERT_EQ(0, stays(&self->t, &self->b, variant->location));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, variant->where));
}

FIXTURE_TEARDOWN(cow)
{
	vt_close(&self->t);
}

/* What comes after the read in the same job. */
static struct drm_vsvm_kernel write_kernel(struct vt_buf *b, bool atomic)
{
	struct drm_vsvm_kernel kernel = {
		.op = atomic ? DRM_VSVM_OP_ATOMIC_ADD : DRM_VSVM_OP_ADD,
		.dst = vsvm_addr(b->p),
		.src = atomic ? 0 : vsvm_addr(b->p),
		.count = atomic ? 3 : b->len,
		.arg = 7,
	};
	size_t i;

	if (atomic)
		*(__u64 *)b->model += 3 * 7;
	else
		for (i = 0; i < b->len; i++)
			b->model[i] += 7;
	return kernel;
}

/*
 * In one job: the GPU reads all of it, and writes it by the entry that it then
 * has. @sum: where it puts what it read
 */
static int read_and_write(struct vt *t, struct vt_buf *b, __u64 *sum, bool atomic)
{
	struct drm_vsvm_kernel kernel[2] = {
		{
			.op = DRM_VSVM_OP_SUM,
			.dst = vsvm_addr(sum),
			.src = vsvm_addr(b->p),
			.count = b->len,
		},
	};
	__u64 expected = 0;
	size_t i;

	for (i = 0; i < b->len; i++)
		expected += b->model[i];
	kernel[1] = write_kernel(b, atomic);
	return VT_WRONG(!vsvm_run(t->dev.fd, t->vm, kernel, 2, &t->last)) ||
	       VT_WRONG(*sum == expected) || VT_WRONG(!vt_buf_check_gpu(t, b)) ||
	       VT_WRONG(!vt_buf_check(b));
}

/* A process that looks when it is told to. */
static pid_t start_looker(const struct vt_buf *b, const int *go)
{
	pid_t pid = fork();

	if (!pid)
		_exit(VT_WRONG(!vt_await(go[0])) || VT_WRONG(!vt_buf_check(b)));
	return pid;
}

static int parent_writes(struct vt *t, struct vt_buf *b, __u64 *sum,
			 const int *go, bool atomic)
{
	pid_t pid = start_looker(b, go);
	int err = read_and_write(t, b, sum, atomic);

	vt_wake(go[1]);
	return VT_WRONG(pid > 0) || VT_WRONG(!vt_join(pid)) || err ||
	       VT_WRONG(!vt_buf_check(b));
}

/* Mapped for the first time when the pages are shared already. */
TEST_F_TIMEOUT(cow, parent_reads_and_writes, SECONDS)
{
	ASSERT_EQ(0, parent_writes(&self->t, &self->b, self->sum, self->go,
				   false));
}

/* Mapped by a read before fork(), and never read again. */
TEST_F_TIMEOUT(cow, mapped_before_fork, SECONDS)
{
	__u64 sum;
	pid_t pid;

	ASSERT_EQ(0, vt_sum(&self->t, self->b.p, LEN, &sum));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, variant->where));
	pid = start_looker(&self->b, self->go);
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 9));
	vt_wake(self->go[1]);
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The child's GPU writes, and the parent must not see it. */
static int child_writes(struct vt_buf *b, __u64 *sum, __u32 location)
{
	struct vt t;

	return VT_WRONG(!vt_open(&t)) || VT_WRONG(!stays(&t, b, location)) ||
	       read_and_write(&t, b, sum, false);
}

TEST_F_TIMEOUT(cow, child_reads_and_writes, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child_writes(&self->b, self->sum, variant->location));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

static int atomic_write(struct vt *t, struct vt_buf *b, __u64 *sum,
			const int *go, __u32 mode)
{
	return VT_WRONG(!vsvm_madvise(t->dev.fd, t->vm, b->p, b->len,
				      DRM_VSVM_MADVISE_ATOMIC, mode)) ||
	       parent_writes(t, b, sum, go, true);
}

TEST_F_TIMEOUT(cow, atomic_in_vram, SECONDS)
{
	ASSERT_EQ(0, atomic_write(&self->t, &self->b, self->sum, self->go,
				  DRM_VSVM_ATOMIC_DEVICE));
}

TEST_F_TIMEOUT(cow, atomic_exclusive, SECONDS)
{
	ASSERT_EQ(0, atomic_write(&self->t, &self->b, self->sum, self->go,
				  DRM_VSVM_ATOMIC_EXCLUSIVE));
}

TEST_F_TIMEOUT(cow, atomic_anywhere, SECONDS)
{
	ASSERT_EQ(0, atomic_write(&self->t, &self->b, self->sum, self->go,
				  DRM_VSVM_ATOMIC_SYSTEM));
}

TEST_HARNESS_MAIN

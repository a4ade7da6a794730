// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The page that the GPU is told to use is the one that it uses, also where the
 * GPU's mapping begins in the middle of a large block of VRAM. And what it wrote
 * to system memory is there after that was reclaimed.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define SECONDS	vt_timeout(60)
#define LEN	LARGE_PAGE
#define PAGE	vsvm_page_size()

/* Parts of a large page that the GPU maps apart from the rest. */
struct part {
	size_t at;
	size_t len;
};

static const struct part parts[] = {
	{ 0, 4 * KIB },
	{ 4 * KIB, 4 * KIB },
	{ 640 * KIB, 4 * KIB },
	{ MIB, 64 * KIB },
	{ LARGE_PAGE - 64 * KIB, 64 * KIB },
	{ LARGE_PAGE - 68 * KIB, 4 * KIB },
};

FIXTURE(page) {
	struct vt t;
	struct vt_buf b;
	struct vt_buf probe;
};

FIXTURE_SETUP(page)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_HOLES));
	ASSERT_EQ(0, vt_buf_map(&self->probe, 64 * KIB, VT_SMALL));
}

FIXTURE_TEARDOWN(page)
{
	vt_close(&self->t);
}

/*
 * Mappings of the GPU as small as a VMA was for a moment; they stay that small.
 * Or as small as a page that was taken from the CPU.
 */
static int map_apart(struct vt *t, struct vt_buf *b, struct vt_buf *probe,
		     const struct part *part, bool exclusive)
{
	__u8 *p = b->p + part->at;
	int err;

	if (exclusive && part->len == PAGE)
		return vsvm_exclusive(t->dev.fd, t->vm, p, PAGE, NULL);
	if (mprotect(p, part->len, PROT_READ))
		return -errno;
	err = vt_copy(t, probe->p, p, PAGE);
	return mprotect(p, part->len, PROT_READ | PROT_WRITE) ? -errno : err;
}

/* Then all of it becomes one block of VRAM of @where. */
static int one_block(struct vt *where, struct vt_buf *b)
{
	__u8 map[LEN / (4 * KIB)];
	__u64 moved;
	size_t i;
	int err;

	if (madvise(b->p, LEN, MADV_DONTNEED) || madvise(b->p, LEN, MADV_HUGEPAGE))
		return -errno;
	vt_buf_write(b, 0, LEN, 7);
	err = vsvm_prefetch(where->dev.fd, where->vm, b->p, LEN,
			    DRM_VSVM_LOC_DEVICE, &moved, NULL);
	if (!err)
		err = vsvm_residency(where->dev.fd, where->vm, b->p, LEN, map);
	for (i = 0; i < LEN / PAGE && !err; i++) {
		if (map[i] != (IN_VRAM | DRM_VSVM_RES_WRITE | DRM_VSVM_RES_PMD))
			err = -EXDEV;
	}
	return err;
}

/* Read, write, both, and count: each in the part, and nowhere else. */
static int use_part(struct vt *t, struct vt_buf *b, struct vt_buf *probe,
		    const struct part *part, bool atomic)
{
	__u64 *counter = (__u64 *)(b->model + part->at + part->len - 8);
	const size_t half = part->len / 2;
	int err;

	err = vt_copy(t, probe->p, b->p + part->at, part->len);
	if (!err)
		err = vt_same(probe->p, b->model + part->at, part->len);
	if (!err)
		err = vt_fill(t, b->p + part->at + 16, 32, 0xee);
	memset(b->model + part->at + 16, 0xee, 32);
	if (!err)
		err = vt_buf_add(t, b, part->at + half, half, 3);
	if (!err && atomic)
		err = vt_atomic_add(t, (__u64 *)(b->p + part->at + part->len - 8),
				    5, 1);
	if (atomic)
		*counter += 5;
	return err;
}

static void inside_a_block(struct __test_metadata *_metadata, struct vt *t,
			   struct vt *where, struct vt_buf *b,
			   struct vt_buf *probe, bool exclusive)
{
	unsigned int i;

	ASSERT_EQ(0, madvise(b->p, LEN, MADV_NOHUGEPAGE));
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		ASSERT_EQ(0, map_apart(t, b, probe, &parts[i], exclusive));
	ASSERT_EQ(0, one_block(where, b));
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		EXPECT_EQ(0, use_part(t, b, probe, &parts[i], t == where));
	/* Without a CPU in between: what else is there is as it was. */
	EXPECT_EQ(0, vt_elsewhere(where, b->p, LEN, IN_VRAM));
	EXPECT_EQ(0, vt_buf_check_gpu(t, b));
	EXPECT_EQ(0, vt_buf_check(b));
}

TEST_F_TIMEOUT(page, inside_a_block, SECONDS)
{
	inside_a_block(_metadata, &self->t, &self->t, &self->b, &self->probe,
		       false);
}

TEST_F_TIMEOUT(page, inside_a_block_once_exclusive, SECONDS)
{
	inside_a_block(_metadata, &self->t, &self->t, &self->b, &self->probe,
		       true);
}

/* Memory that the GPU may only read takes another way through the driver. */
TEST_F_TIMEOUT(page, inside_a_block_read_only, SECONDS)
{
	struct vt_buf *b = &self->b;
	unsigned int i;

	ASSERT_EQ(0, madvise(b->p, LEN, MADV_NOHUGEPAGE));
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		ASSERT_EQ(0, map_apart(&self->t, b, &self->probe, &parts[i], false));
	ASSERT_EQ(0, one_block(&self->t, b));
	ASSERT_EQ(0, mprotect(b->p, LEN, PROT_READ));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ(0, vt_copy(&self->t, self->probe.p, b->p + parts[i].at,
				     parts[i].len));
		EXPECT_EQ(0, vt_same(self->probe.p, b->model + parts[i].at,
				     parts[i].len));
	}
	EXPECT_EQ(0, vt_elsewhere(&self->t, b->p, LEN, IN_VRAM));
}

/* The block is another GPU's, and used over the link. */
TEST_F_TIMEOUT(page, inside_a_block_of_a_peer, SECONDS)
{
	struct vt peer;

	if (vt_open_id(&peer, !self->t.dev.id))
		SKIP(return, "needs modprobe vsvm devices=2");
	/* Whatever the size of the mapping, it is to stay there. */
	ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm, self->b.p, LEN,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_DEVICE_ID(peer.dev.id)));
	inside_a_block(_metadata, &self->t, &peer, &self->b, &self->probe, false);
	vt_close(&peer);
}

/* System memory that the CPU has only read is clean, shared memory also writable. */
TEST_F_TIMEOUT(page, shared_memory_is_reclaimed, SECONDS)
{
	__u8 *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, vt_all(p, 0, LEN));
	ASSERT_EQ(0, vt_fill(&self->t, p, LEN, 0x22));
	ASSERT_EQ(0, madvise(p, LEN, MADV_PAGEOUT));
	/* Once more: reclaim has cleaned them, if there is swap. */
	EXPECT_EQ(0, vt_all(p, 0x22, LEN));
	ASSERT_EQ(0, vt_add(&self->t, p, p, LEN, 1));
	ASSERT_EQ(0, madvise(p, LEN, MADV_PAGEOUT));
	EXPECT_EQ(0, vt_all(p, 0x23, LEN));
	munmap(p, LEN);
}

/* To write cancels MADV_FREE, for the GPU as for the CPU. */
static void write_after_free(struct __test_metadata *_metadata, struct vt *t,
			     struct vt_buf *b, __u32 location)
{
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, vsvm_madvise(t->dev.fd, t->vm, b->p, LEN,
				  DRM_VSVM_MADVISE_LOCATION, location));
	memset(b->p, 0x11, LEN);
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_FREE));
	ASSERT_EQ(0, vt_fill(t, b->p, LEN, 0x22));
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, LEN,
				   DRM_VSVM_LOC_SYSTEM, NULL, NULL));
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_PAGEOUT));
	EXPECT_EQ(0, vt_all(b->p, 0x22, LEN));
}

TEST_F_TIMEOUT(page, freed_memory_is_reclaimed, SECONDS)
{
	write_after_free(_metadata, &self->t, &self->b, DRM_VSVM_LOC_SYSTEM);
}

TEST_F_TIMEOUT(page, freed_memory_in_vram, SECONDS)
{
	write_after_free(_metadata, &self->t, &self->b, DRM_VSVM_LOC_DEVICE);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DRM_IOCTL_VSVM_MADVISE: where memory goes when the GPU touches it, and in
 * pieces of what size. What it says of atomic operations is in atomic_test.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(90)
#define LEN	vt_scaled(8 * MIB)
#define PAGE	vsvm_page_size()

#define LOCATION	DRM_VSVM_MADVISE_LOCATION
#define GRANULARITY	DRM_VSVM_MADVISE_GRANULARITY
#define ATOMIC		DRM_VSVM_MADVISE_ATOMIC

#define FAILSLAB	"/sys/kernel/debug/failslab"

FIXTURE(advice) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(advice)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
}

FIXTURE_TEARDOWN(advice)
{
	vt_close(&self->t);
}

static int advise(struct vt *t, const void *addr, size_t len, __u32 type,
		  __u32 value)
{
	return vsvm_madvise(t->dev.fd, t->vm, addr, len, type, value);
}

/* Let the GPU touch one byte of each page of a part. */
static int touch(struct vt *t, struct vt_buf *b, size_t offset, size_t len)
{
	size_t i;
	int err = 0;

	for (i = offset; i < offset + len && !err; i += PAGE)
		err = vt_buf_add(t, b, i, 1, 1);
	return err;
}

TEST_F_TIMEOUT(advice, wrong_arguments, SECONDS)
{
	struct vt *t = &self->t;
	__u8 *p = self->b.p;
	struct drm_vsvm_madvise pad = {
		.vm_id = t->vm,
		.start = vsvm_addr(p),
		.length = PAGE,
		.pad = 1,
	};
	struct drm_vsvm_madvise odd = pad;

	EXPECT_EQ(-EINVAL, advise(t, p, PAGE, 3, 0));
	EXPECT_EQ(-EINVAL, advise(t, p, PAGE, LOCATION, 2));
	EXPECT_EQ(-EINVAL, advise(t, p, PAGE, LOCATION, 0xff));
	EXPECT_EQ(-ENXIO, advise(t, p, PAGE, LOCATION,
				 DRM_VSVM_LOC_DEVICE_ID(200)));
	EXPECT_EQ(-EINVAL, advise(t, p, PAGE, LOCATION, UINT32_MAX));
	EXPECT_EQ(-EINVAL, advise(t, p, PAGE, GRANULARITY, 0));
	EXPECT_EQ(-EINVAL, advise(t, p, PAGE, GRANULARITY, 8192));
	EXPECT_EQ(-EINVAL, advise(t, p, PAGE, ATOMIC, 3));
	EXPECT_EQ(-ENOENT, vsvm_madvise(t->dev.fd, t->vm + 1, p, PAGE, LOCATION,
					DRM_VSVM_LOC_SYSTEM));
	EXPECT_EQ(-1, ioctl(t->dev.fd, DRM_IOCTL_VSVM_MADVISE, &pad));
	EXPECT_EQ(EINVAL, errno);
	odd.pad = 0;
	odd.start++;
	EXPECT_EQ(-1, ioctl(t->dev.fd, DRM_IOCTL_VSVM_MADVISE, &odd));
	EXPECT_EQ(EINVAL, errno);
	odd.start = -(__u64)PAGE;
	EXPECT_EQ(-1, ioctl(t->dev.fd, DRM_IOCTL_VSVM_MADVISE, &odd));
	EXPECT_EQ(EINVAL, errno);
	/* Nothing of it had an effect. */
	ASSERT_EQ(0, touch(t, &self->b, 0, PAGE));
	EXPECT_EQ(0, vt_elsewhere(t, p, PAGE, IN_VRAM));
}

TEST_F_TIMEOUT(advice, system_memory_stays, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	ASSERT_EQ(0, advise(t, b->p, b->len, LOCATION, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_check(b));
	/* Said otherwise, the next touch moves it. */
	ASSERT_EQ(0, advise(t, b->p, b->len, LOCATION, DRM_VSVM_LOC_DEVICE));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_RAM));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	/* And back again. */
	ASSERT_EQ(0, advise(t, b->p, b->len, LOCATION, DRM_VSVM_LOC_SYSTEM));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

TEST_F_TIMEOUT(advice, own_number, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	__u32 own = DRM_VSVM_LOC_DEVICE_ID(t->dev.id);

	ASSERT_EQ(0, advise(t, b->p, b->len, LOCATION, own));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Advice is by address: what is mapped there later is used the same way. */
TEST_F_TIMEOUT(advice, outlives_the_mapping, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	munmap(b->p, b->len);
	ASSERT_EQ(0, advise(t, b->p, b->len, LOCATION, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(b->p, mmap(b->p, b->len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	vt_buf_write(b, 0, b->len, 4);
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Two address spaces of one process do not share it. */
TEST_F_TIMEOUT(advice, per_address_space, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	struct vt other;

	ASSERT_EQ(0, vt_open(&other));
	ASSERT_EQ(0, advise(t, b->p, b->len, LOCATION, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_buf_add(&other, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(&other, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, b->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(b));
	vt_close(&other);
}

/* Parts, overlaps and holes against a model of one byte for each page. */
TEST_F_TIMEOUT(advice, overlapping_parts, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	size_t pages = 2 * MIB / PAGE, i, wrong = 0;
	__u64 state = vt_seed();
	__u8 *want = malloc(pages), *map = malloc(pages);

	memset(want, IN_VRAM, pages);
	for (i = 0; i < 60; i++) {
		size_t first = vt_random_below(&state, pages);
		size_t n = 1 + vt_random_below(&state, pages - first);
		bool ram = vt_random_below(&state, 2);

		/* Short ones more often. */
		if (i > 20 && n > 16)
			n = 16;
		ASSERT_EQ(0, advise(t, b->p + first * PAGE, n * PAGE, LOCATION,
				    ram ? DRM_VSVM_LOC_SYSTEM :
					  DRM_VSVM_LOC_DEVICE));
		memset(want + first, ram ? IN_RAM : IN_VRAM, n);
	}
	ASSERT_EQ(0, vt_buf_add(t, b, 0, pages * PAGE, 1));
	ASSERT_EQ(0, vsvm_residency(t->dev.fd, t->vm, b->p, pages * PAGE, map));
	for (i = 0; i < pages; i++)
		wrong += (map[i] & DRM_VSVM_RES_MASK) != want[i];
	EXPECT_EQ(0u, wrong);
	ASSERT_EQ(0, vt_buf_check(b));
	free(want);
	free(map);
}

/* Setting one attribute leaves the others as they were, on each part. */
TEST_F_TIMEOUT(advice, one_attribute_of_many, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	ASSERT_EQ(0, advise(t, b->p + MIB, MIB, LOCATION, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, advise(t, b->p, 4 * MIB, GRANULARITY, 65536));
	ASSERT_EQ(0, advise(t, b->p, 4 * MIB, ATOMIC, DRM_VSVM_ATOMIC_SYSTEM));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, 4 * MIB, 1));
	EXPECT_EQ(0, vt_elsewhere(t, b->p, MIB, IN_VRAM));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + MIB, MIB, IN_RAM));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + 2 * MIB, 2 * MIB, IN_VRAM));
	/* All of it as it was at first. */
	ASSERT_EQ(0, advise(t, b->p, 4 * MIB, GRANULARITY, 4096));
	ASSERT_EQ(0, advise(t, b->p, 4 * MIB, ATOMIC, DRM_VSVM_ATOMIC_DEVICE));
	ASSERT_EQ(0, advise(t, b->p, 4 * MIB, LOCATION, DRM_VSVM_LOC_DEVICE));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, 4 * MIB, 1));
	EXPECT_EQ(0, vt_elsewhere(t, b->p, 4 * MIB, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* A mapping that is smaller than the granularity is used where it is. */
TEST_F_TIMEOUT(advice, granularity, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	const size_t small = 16 * KIB;

	/* Nothing but @small is left of the second large page. */
	munmap(b->p + LARGE_PAGE + small, LARGE_PAGE - small);
	ASSERT_EQ(0, advise(t, b->p, b->len, GRANULARITY, 65536));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, LARGE_PAGE + small, 1));
	EXPECT_EQ(0, vt_elsewhere(t, b->p, LARGE_PAGE, IN_VRAM));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + LARGE_PAGE, small, IN_RAM));
	ASSERT_EQ(0, advise(t, b->p, b->len, GRANULARITY, 4096));
	ASSERT_EQ(0, vt_buf_add(t, b, LARGE_PAGE, small, 1));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + LARGE_PAGE, small, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_range(b, 0, LARGE_PAGE + small));
}

TEST_F_TIMEOUT(advice, granularity_of_large_pages, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	/* The third large page is not all there. */
	munmap(b->p + 2 * LARGE_PAGE + MIB, PAGE);
	ASSERT_EQ(0, advise(t, b->p, b->len, GRANULARITY, LARGE_PAGE));
	ASSERT_EQ(0, touch(t, b, 0, PAGE));
	ASSERT_EQ(0, touch(t, b, 2 * LARGE_PAGE, 10 * PAGE));
	EXPECT_EQ(0, vt_elsewhere(t, b->p, LARGE_PAGE, IN_VRAM));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + 2 * LARGE_PAGE, MIB, IN_RAM));
	ASSERT_EQ(0, vt_buf_check_range(b, 0, 2 * LARGE_PAGE + MIB));
}

/* PREFETCH is an order, not advice. */
TEST_F_TIMEOUT(advice, prefetch_goes_first, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	ASSERT_EQ(0, advise(t, b->p, b->len, LOCATION, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, b->len,
				   DRM_VSVM_LOC_DEVICE, NULL, NULL));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Let allocation number @nth from now on fail; 0: none. */
static int fail_nth(int fd, unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fd, text, n, 0) == n ? 0 : -errno;
}

/* Many small areas, and one call over all of them that finds no memory. */
TEST_F_TIMEOUT(advice, all_or_nothing, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;
	const size_t pages = MIB / PAGE;
	unsigned int nth, failed = 0;
	size_t i, wrong = 0;
	int fd, err = 0;

	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fd < 0 || vsvm_write_file(FAILSLAB "/ignore-gfp-wait", "N"))
		SKIP(return, "no injection of failing allocations");
	vsvm_write_file(FAILSLAB "/verbose", "0");
	for (i = 0; i < pages; i += 2)
		ASSERT_EQ(0, advise(t, b->p + i * PAGE, PAGE, LOCATION,
				    DRM_VSVM_LOC_SYSTEM));
	for (nth = 1; nth < 200; nth++) {
		ASSERT_EQ(0, fail_nth(fd, nth));
		err = advise(t, b->p, MIB, GRANULARITY, 65536);
		fail_nth(fd, 0);
		if (!err)
			break;
		failed += err == -ENOMEM;
		ASSERT_EQ(-ENOMEM, err);
		/* No page is too small for its piece yet. */
		ASSERT_EQ(0, touch(t, b, (2 * nth + 1) * PAGE, PAGE));
		ASSERT_EQ(0, vt_elsewhere(t, b->p + (2 * nth + 1) * PAGE, PAGE,
					  IN_VRAM));
	}
	vsvm_write_file(FAILSLAB "/ignore-gfp-wait", "Y");
	ASSERT_EQ(0, err);
	EXPECT_LT(0u, failed);
	TH_LOG("%u allocations failed", failed);
	/* Now they are. */
	ASSERT_EQ(0, touch(t, b, pages / 2 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, vt_elsewhere(t, b->p + pages / 2 * PAGE, 4 * PAGE, IN_RAM));
	ASSERT_EQ(0, advise(t, b->p, MIB, GRANULARITY, 4096));
	ASSERT_EQ(0, touch(t, b, 0, MIB));
	for (i = 0; i < pages; i++)
		wrong += !!vt_elsewhere(t, b->p + i * PAGE, PAGE,
					i % 2 ? IN_VRAM : IN_RAM);
	EXPECT_EQ(0u, wrong);
	ASSERT_EQ(0, vt_buf_check(b));
	close(fd);
}

TEST_HARNESS_MAIN

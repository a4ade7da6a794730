// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Where pages go, and what is in them then: the GPU touches memory and it
 * moves to VRAM, the CPU touches it and it comes home. Each test runs for
 * small pages, for huge pages and for memory that has no pages yet.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

FIXTURE(migrate) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_VARIANT(migrate) {
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(migrate, small) { .kind = VT_SMALL, };
FIXTURE_VARIANT_ADD(migrate, thp) { .kind = VT_THP, };
FIXTURE_VARIANT_ADD(migrate, holes) { .kind = VT_HOLES, };

FIXTURE_SETUP(migrate)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, variant->kind));
}

FIXTURE_TEARDOWN(migrate)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(migrate, gpu_writes_cpu_reads, SECONDS)
{
	ASSERT_EQ(0, vt_buf_fill(&self->t, &self->b, 0, self->b.len, 0xa5));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
}

TEST_F_TIMEOUT(migrate, gpu_reads, SECONDS)
{
	int elsewhere;

	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	/* What reading does to memory without pages is the driver's choice. */
	elsewhere = variant->kind == VT_HOLES ? 0 :
		vt_buf_elsewhere(&self->t, &self->b, IN_VRAM);
	ASSERT_EQ(0, elsewhere);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_pages_at(&self->t, self->b.p, self->b.len,
				 IN_VRAM));
}

TEST_F_TIMEOUT(migrate, gpu_adds_in_place, SECONDS)
{
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
}

TEST_F_TIMEOUT(migrate, cpu_writes_in_vram, SECONDS)
{
	ASSERT_EQ(0, vt_buf_fill(&self->t, &self->b, 0, self->b.len, 1));
	vt_buf_write(&self->b, 0, self->b.len, 77);
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(migrate, round_trips, 2 * SECONDS)
{
	struct drm_vsvm_stats before, after;
	const int rounds = 8;
	int i;

	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &before));
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
		ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
		ASSERT_EQ(0, vt_buf_check(&self->b));
		ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	}
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &after));
	vsvm_stats_sub(&after, &before);
	/* On the first trip, holes have nothing to copy. */
	EXPECT_GE(after.to_vram_bytes, (rounds - 1) * self->b.len);
	EXPECT_GE(after.to_ram_bytes, rounds * self->b.len);
	EXPECT_LT(0u, after.cpu_faults);
	EXPECT_LT(0u, after.gpu_faults);
	EXPECT_EQ(0u, after.gpu_faults_failed);
	EXPECT_EQ(0u, after.jobs_failed);
}

/* What one trip there and back adds to each counter. */
TEST_F_TIMEOUT(migrate, statistics, SECONDS)
{
	const bool holes = variant->kind == VT_HOLES;
	struct drm_vsvm_stats before, s;

	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &before));
	ASSERT_EQ(0, vt_buf_fill(&self->t, &self->b, 0, LEN, 3));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &s));
	vsvm_stats_sub(&s, &before);
	EXPECT_EQ(LEN / MIB / 4, s.jobs);
	EXPECT_EQ(0u, s.jobs_failed);
	EXPECT_EQ(0u, s.gpu_faults_failed);
	EXPECT_LE(LEN / LARGE_PAGE, s.gpu_faults - s.gpu_faults_merged);
	EXPECT_EQ(holes ? 0 : LEN, s.to_vram_bytes);
	EXPECT_EQ(holes ? LEN : 0, s.cleared_bytes);
	EXPECT_EQ(LEN, s.to_ram_bytes);
	/* To clear takes time as well. */
	EXPECT_LT(0u, s.to_vram_ns);
	EXPECT_LT(0u, s.to_ram_ns);
	EXPECT_LT(0u, s.cpu_faults);
	/* What comes home is taken from the GPU first, its TLB included. */
	EXPECT_LE(LEN / LARGE_PAGE, s.invalidations);
	EXPECT_LE(s.invalidations, s.tlb_flushes);
	EXPECT_EQ(0u, s.evictions);
	EXPECT_EQ(0u, s.link_bytes);
	EXPECT_EQ(0u, s.exclusive_pages);
}

TEST_F_TIMEOUT(migrate, cpu_reads_some_pages, SECONDS)
{
	size_t i;

	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 9));
	for (i = 5 * PAGE; i < self->b.len; i += 61 * PAGE) {
		ASSERT_EQ(self->b.model[i], self->b.p[i]);
		ASSERT_EQ(0, vt_elsewhere(&self->t, self->b.p + i, 1,
					  IN_RAM));
	}
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(migrate, cpu_writes_some_pages, SECONDS)
{
	size_t i;

	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 9));
	for (i = 3 * PAGE + 17; i < self->b.len; i += 61 * PAGE) {
		self->b.p[i] = i / PAGE;
		self->b.model[i] = i / PAGE;
	}
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Neither the first nor the last byte is at the edge of anything. */
TEST_F_TIMEOUT(migrate, unaligned, SECONDS)
{
	size_t start = 3 * PAGE + 123, len = 2 * MIB + 77;

	ASSERT_EQ(0, vt_buf_fill(&self->t, &self->b, start, len, 0x3c));
	ASSERT_EQ(0, vt_elsewhere(&self->t, self->b.p + start, len,
				  IN_VRAM));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, start + 1, len - 2, 5));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(migrate, single_bytes, SECONDS)
{
	int err = 0;
	size_t i;

	for (i = 1; i < self->b.len && !err; i += 256 * KIB + PAGE + 1)
		err = vt_buf_fill(&self->t, &self->b, i, 1, i);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* A VMA that has large pages inside, but neither starts nor ends with one. */
TEST_F_TIMEOUT(migrate, vma_with_odd_edges, SECONDS)
{
	size_t first = 7 * PAGE, last = self->b.len - 3 * PAGE;

	munmap(self->b.p, first);
	munmap(self->b.p + last, self->b.len - last);
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, first, last - first, 3));
	ASSERT_EQ(0, vt_buf_check_range(&self->b, first, last - first));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, first, last - first, 3));
	ASSERT_EQ(0, vt_buf_check_range(&self->b, first, last - first));
}

/* Every page changes its owner in every round. */
TEST_F_TIMEOUT(migrate, page_ping_pong, 2 * SECONDS)
{
	size_t i, len = 64 * KIB;
	unsigned int round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < len; i += PAGE) {
			if ((i / PAGE + round) % 2) {
				ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, i,
							PAGE, 1));
			} else {
				vt_buf_write(&self->b, i, PAGE, round * len + i);
			}
		}
		ASSERT_EQ(0, vt_buf_check_range(&self->b, 0, len));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/*
 * Move the buffer, and compare the figures with what RESIDENCY said before and
 * says after.
 */
static int prefetch_and_count(struct vt *t, const struct vt_buf *b,
			      __u32 location)
{
	__u8 where = location == DRM_VSVM_LOC_DEVICE ? IN_VRAM :
						       IN_RAM;
	size_t i, pages = b->len / PAGE;
	__u64 moved, skipped, now = 0, elsewhere = 0;
	__u8 *before = malloc(pages), *after = malloc(pages);
	int err;

	err = vsvm_residency(t->dev.fd, t->vm, b->p, b->len, before);
	err = err ?: vsvm_prefetch(t->dev.fd, t->vm, b->p, b->len, location,
				   &moved, &skipped);
	err = err ?: vsvm_residency(t->dev.fd, t->vm, b->p, b->len, after);
	for (i = 0; i < pages && !err; i++) {
		bool there = (after[i] & DRM_VSVM_RES_MASK) == where;

		now += there && (before[i] & DRM_VSVM_RES_MASK) != where;
		elsewhere += !there;
	}
	free(before);
	free(after);
	if (err)
		return err;
	return VT_WRONG(moved == now) || VT_WRONG(skipped == elsewhere) ?
	       -EILSEQ : 0;
}

TEST_F_TIMEOUT(migrate, prefetch_there_and_back, SECONDS)
{
	ASSERT_EQ(0, prefetch_and_count(&self->t, &self->b,
					DRM_VSVM_LOC_DEVICE));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, prefetch_and_count(&self->t, &self->b,
					DRM_VSVM_LOC_DEVICE));
	ASSERT_EQ(0, prefetch_and_count(&self->t, &self->b,
					DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(migrate, prefetch_figures, SECONDS)
{
	const struct vt *t = &self->t;
	__u64 moved, skipped;

	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, self->b.p, self->b.len,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_EQ(self->b.len / PAGE, moved);
	EXPECT_EQ(0u, skipped);
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, self->b.p, self->b.len,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_EQ(0u, moved);
	EXPECT_EQ(0u, skipped);
}

TEST_F_TIMEOUT(migrate, prefetch_part, SECONDS)
{
	const struct vt *t = &self->t;
	size_t start = 129 * PAGE, len = 300 * PAGE;
	__u64 moved, skipped;

	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, self->b.p + start, len,
				   DRM_VSVM_LOC_DEVICE, &moved, &skipped));
	EXPECT_EQ(300u, moved);
	EXPECT_EQ(0u, skipped);
	EXPECT_EQ(0, vt_elsewhere(&self->t, self->b.p + start, len,
				  IN_VRAM));
	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, self->b.p + start + PAGE,
				   PAGE, DRM_VSVM_LOC_SYSTEM, &moved, &skipped));
	EXPECT_EQ(1u, moved);
	EXPECT_EQ(0u, skipped);
	ASSERT_EQ(0, prefetch_and_count(&self->t, &self->b,
					DRM_VSVM_LOC_DEVICE));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The kernel's own view agrees: not present, and not absent either. */
TEST_F_TIMEOUT(migrate, residency_and_pagemap, SECONDS)
{
	size_t i, pages = self->b.len / PAGE;
	__u8 *gpu = malloc(pages), *cpu = malloc(pages);
	const struct vt *t = &self->t;

	ASSERT_EQ(0, vt_buf_fill(&self->t, &self->b, 0, self->b.len / 2, 7));
	ASSERT_EQ(0, vsvm_residency(t->dev.fd, t->vm, self->b.p, self->b.len,
				    gpu));
	ASSERT_EQ(0, vsvm_residency_pagemap(self->b.p, self->b.len, cpu));
	for (i = 0; i < pages; i++) {
		ASSERT_EQ(cpu[i], gpu[i] & DRM_VSVM_RES_MASK)
			TH_LOG("page %zu", i);
	}
	free(gpu);
	free(cpu);
}

/* Pages that were read and never written: the zero page stands in for them. */
TEST_F_TIMEOUT(migrate, read_then_gpu_writes, SECONDS)
{
	struct vt_buf b;

	ASSERT_EQ(0, vt_buf_map(&b, LEN, VT_HOLES));
	if (variant->kind == VT_THP)
		madvise(b.p, b.len, MADV_HUGEPAGE);
	ASSERT_EQ(0, vt_buf_check(&b));
	ASSERT_EQ(0, vt_buf_add(&self->t, &b, b.len / 4, b.len / 2, 3));
	ASSERT_EQ(0, vt_elsewhere(&self->t, b.p + b.len / 4, b.len / 2,
				  IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&b));
	vt_buf_unmap(&b);
}

/* System calls reach memory that is in VRAM, in both directions. */
TEST_F_TIMEOUT(migrate, system_calls, SECONDS)
{
	struct iovec here = { .iov_base = self->b.p, .iov_len = self->b.len };
	__u8 *copy = malloc(self->b.len);
	struct iovec there = { .iov_base = copy, .iov_len = self->b.len };
	int fd = memfd_create("vsvm", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ((ssize_t)self->b.len, pwrite(fd, self->b.p, self->b.len, 0));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ((ssize_t)self->b.len,
		  process_vm_readv(getpid(), &there, 1, &here, 1, 0));
	ASSERT_EQ(0, vt_same(copy, self->b.model, self->b.len));
	ASSERT_EQ(0, vt_buf_fill(&self->t, &self->b, 0, self->b.len, 0));
	ASSERT_EQ((ssize_t)self->b.len, pread(fd, self->b.p, self->b.len, 0));
	ASSERT_EQ(0, vt_add(&self->t, self->b.p, self->b.p, self->b.len, 1));
	ASSERT_EQ(0, vt_same(self->b.p, copy, self->b.len));
	close(fd);
	free(copy);
}

/* Two address spaces of one process, on files of their own. */
TEST_F_TIMEOUT(migrate, two_address_spaces, SECONDS)
{
	struct vt other;

	ASSERT_EQ(0, vt_open(&other));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_add(&other, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_check_gpu(&other, &self->b));
	vt_close(&other);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

FIXTURE(large_folio) {
	struct vt t;
	struct vt_buf b;
	size_t pages;
};

/* Pages of the buffer that an entry of 2 MiB maps, and that are at @where. */
static size_t count_pmd(struct vt *t, const struct vt_buf *b, __u8 where)
{
	size_t i, n = 0, pages = b->len / PAGE;
	__u8 *map = calloc(pages, 1);

	if (vsvm_residency(t->dev.fd, t->vm, b->p, b->len, map))
		return 0;
	for (i = 0; i < pages; i++)
		n += (map[i] & DRM_VSVM_RES_PMD) &&
		     (map[i] & DRM_VSVM_RES_MASK) == where;
	free(map);
	return n;
}

FIXTURE_SETUP(large_folio)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, 8 * MIB, VT_THP));
	self->pages = self->b.len / PAGE;
	if (count_pmd(&self->t, &self->b, IN_RAM) < self->pages)
		SKIP(return, "the kernel gave no huge pages");
}

FIXTURE_TEARDOWN(large_folio)
{
	vt_close(&self->t);
}

/* A huge page stays one in VRAM, and comes home as one. */
TEST_F_TIMEOUT(large_folio, stays_whole, SECONDS)
{
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	EXPECT_EQ(self->pages, count_pmd(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p,
				   self->b.len, DRM_VSVM_LOC_SYSTEM, NULL,
				   NULL));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	EXPECT_EQ(self->pages, count_pmd(&self->t, &self->b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* One page out of the middle of a huge page in VRAM. */
TEST_F_TIMEOUT(large_folio, splits, SECONDS)
{
	size_t at = LARGE_PAGE + 100 * PAGE;
	__u64 moved, skipped;

	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p + at,
				   PAGE, DRM_VSVM_LOC_SYSTEM, &moved, &skipped));
	EXPECT_EQ(1u, moved);
	EXPECT_EQ(0u, skipped);
	ASSERT_EQ(0, vt_elsewhere(&self->t, self->b.p + at, PAGE,
				  IN_RAM));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

FIXTURE(swapped) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(swapped)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (vt_swap_begin())
		SKIP(return, "no swap (modprobe zram)");
	ASSERT_EQ(0, vt_buf_map(&self->b, LARGE_PAGE, VT_SMALL));
}

FIXTURE_TEARDOWN(swapped)
{
	vt_swap_end();
	vt_close(&self->t);
}

/* A child that has our pages as they were when they were swapped out. */
static pid_t fork_swapped(struct vt_buf *b)
{
	pid_t pid;

	if (madvise(b->p, b->len, MADV_PAGEOUT))
		return -1;
	pid = fork();
	if (!pid)
		pause();
	return pid;
}

static int all_to_vram(const struct vt *t, const struct vt_buf *b)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/inject/populate",
		 t->dev.name);
	snprintf(text, sizeof(text), "%llx %lx 0", vsvm_addr(b->p), b->len);
	return vsvm_write_file(path, text);
}

/*
 * A page in the swap cache, whose slot a child still has in its page table,
 * cannot go to VRAM. Where all or nothing is to go, no other goes.
 */
TEST_F_TIMEOUT(swapped, slot_of_a_child, SECONDS)
{
	const size_t page = 100;
	const bool plain = vt_parameter("plain") > 0;
	struct vt_buf *b = &self->b;
	struct vt *t = &self->t;
	size_t i;
	pid_t pid = fork_swapped(b);
	int err;

	ASSERT_LT(0, pid);
	for (i = 0; i < b->len / PAGE; i++)
		if (i != page)
			b->p[i * PAGE] = b->model[i * PAGE];
	ASSERT_EQ(0, vt_buf_check_range(b, page * PAGE, PAGE));
	err = all_to_vram(t, b);
	if (err == -ENOENT)
		SKIP(goto out, "no debugfs");
	EXPECT_EQ(plain ? -EBUSY : 0, err);
	EXPECT_EQ(plain ? 0 : (long)(b->len / PAGE) - 1,
		  vt_pages_at(t, b->p, b->len, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_check(b));
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, vt_join(pid));
	pid = 0;
	EXPECT_EQ(0, all_to_vram(t, b));
	EXPECT_EQ(0, vt_buf_elsewhere(t, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(b));
out:
	if (pid)
		kill(pid, SIGKILL);
}

TEST_HARNESS_MAIN

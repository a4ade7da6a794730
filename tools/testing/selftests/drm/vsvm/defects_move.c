// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Defects that show when memory goes to VRAM.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "defects.h"

#define KSM	"/sys/kernel/mm/ksm/"
/* For its file "run": forget all that is left of others */
#define KSM_UNMERGE	2

static long failed_migrations(struct vt *t)
{
	return inject_count(t, "calls") - inject_count(t, "moved");
}

/* An empty 2 MiB, read before or not, is to go to VRAM at the first attempt. */
static enum result first_touch(struct vt *t, bool read_first)
{
	const char *kind = read_first ? "huge zero page" : "empty range";
	long calls = inject_count(t, "calls"), failed = failed_migrations(t);
	__u64 home = to_ram_bytes(t);
	__u8 *p;

	p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	if (!p || calls < 0)
		return broken("set-up", p ? calls : -ENOMEM);
	madvise(p, LARGE_PAGE, MADV_HUGEPAGE);
	if (read_first)
		touch(p);
	if (to_vram(t, p, LARGE_PAGE))
		return saw(FAIL, "%s: not in VRAM", kind);
	calls = inject_count(t, "calls") - calls;
	failed = failed_migrations(t) - failed;
	home = to_ram_bytes(t) - home;
	if (calls < 1)
		return broken("no migration was counted", -ENODATA);
	if (failed || home)
		return saw(FAIL, "%s: %ld of %ld migrations failed", kind,
			   failed, calls);
	if (vt_all(p, 0, LARGE_PAGE))
		return saw(FAIL, "%s: not zero any more", kind);
	munmap(p, LARGE_PAGE);
	return saw(PASS, "%ld migration; none failed", calls);
}

enum result test_w1(struct vt *t)
{
	enum result result = first_touch(t, false);

	return result == PASS ? first_touch(t, true) : result;
}

/* Six failures: more than one eviction tries by itself. */
static enum result failed_copies(struct vt *t, enum vt_kind kind)
{
	struct vt_buf b;
	int err;

	err = vt_buf_map(&b, LARGE_PAGE, kind);
	err = err ?: inject_set(t, "fail_to_vram", 1);
	err = err ?: vt_buf_add(t, &b, 0, b.len, 1);
	if (err || inject_get(t, "fail_to_vram") || vt_buf_check(&b))
		return saw(FAIL, "a copy to VRAM failed: GPU %d, or content lost",
			   err);
	err = to_vram(t, b.p, b.len);
	if (err)
		return broken("prefetch", err);
	err = inject_set(t, "fail_to_ram", 6);
	err = err ?: vsvm_evict(&t->dev);
	if (err)
		return saw(FAIL, "eviction after failed copies: %d", err);
	if (vt_buf_check(&b))
		return saw(FAIL, "content lost after a failed copy");
	if (inject_get(t, "fail_to_ram"))
		return saw(FAIL, "copies that had failed were not repeated");
	vt_buf_unmap(&b);
	return saw(PASS, "content right after 7 failed copies");
}

enum result test_w5(struct vt *t)
{
	enum result result = failed_copies(t, VT_SMALL);

	return result == PASS ? failed_copies(t, VT_THP) : result;
}

/* Eight pages, and holes around them, in one piece to VRAM. */
static int move_with_holes(struct vt *t)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE);
	int i, err;

	if (!p)
		return -ENOMEM;
	madvise(p, LARGE_PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < 8; i++)
		p[i * PAGE] = 1;
	err = inject_populate(t, p, LARGE_PAGE, 0);
	munmap(p, LARGE_PAGE);
	return err;
}

/* More than the objects of one slab */
#define IOVA_TRIES	100

/* Freed as eight pages, an IOVA of 512 is kept for the next user of eight. */
enum result test_w13(struct vt *t)
{
	static const char * const slabs = "/proc/slabinfo";
	long before, more;
	int i, err = 0;

	err = move_with_holes(t);
	before = vt_read_number(slabs, "iommu_iova");
	for (i = 0; i < IOVA_TRIES && !err; i++)
		err = move_with_holes(t);
	more = vt_read_number(slabs, "iommu_iova") - before;
	if (err || before < 0)
		return broken("migration of holes", err ?: before);
	return saw(more < IOVA_TRIES / 2 ? PASS : FAIL,
		   "%d migrations left %ld IOVA ranges allocated", IOVA_TRIES,
		   more);
}

enum result test_w17(struct vt *t)
{
	__u8 *p = vt_map_aligned(2 * LARGE_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE);
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	/* A huge page, and then a page table with one entry. */
	madvise(p, 2 * LARGE_PAGE, MADV_HUGEPAGE);
	memset(p, 1, LARGE_PAGE);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	p[LARGE_PAGE] = 2;
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	if (!is_block(t, p) || is_block(t, p + LARGE_PAGE))
		return saw(NOT_PROVOKED, "no huge page to be had");
	err = inject_populate(t, p, 2 * LARGE_PAGE, 0);
	if (err)
		return saw(FAIL, "4 MiB: %s", strerror(-err));
	if (vt_elsewhere(t, p, 2 * LARGE_PAGE, IN_VRAM))
		return saw(FAIL, "4 MiB: not all in VRAM");
	if (vt_all(p, 1, LARGE_PAGE) || p[LARGE_PAGE] != 2 ||
	    vt_all(p + LARGE_PAGE + 1, 0, LARGE_PAGE - 1))
		return saw(FAIL, "content changed");
	return saw(PASS, "4 MiB moved");
}

/*
 * Three neighbours in VRAM. The one in the middle is replaced by one whose
 * pages are in another order.
 */
enum result test_w19(struct vt *t)
{
	__u8 *p[3];
	int i, err;

	for (i = 0; i < 3; i++) {
		p[i] = in_vram(t, LARGE_PAGE, VT_THP, i + 1);
		if (!p[i])
			return broken("memory", -ENOMEM);
	}
	munmap(p[1], LARGE_PAGE);
	vt_sleep_ms(200);
	err = inject_set(t, "rotate_pfns", 1);
	p[1] = in_vram(t, LARGE_PAGE, VT_THP, 2);
	if (err || !p[1])
		return saw(FAIL, "pages that are not contiguous do not work");
	for (i = 0; i < 3; i++) {
		if (vt_all(p[i], i + 1, LARGE_PAGE))
			return saw(FAIL, "buffer %d of 3 has other content", i);
	}
	return saw(PASS, "content right");
}

enum result test_w21(struct vt *t)
{
	long calls = inject_count(t, "calls");
	struct vt_buf b;
	long leaked;
	int err;

	err = vt_buf_map(&b, LARGE_PAGE, VT_SMALL);
	err = err ?: inject_set(t, "hide_copy", 1);
	err = err ?: vsvm_prefetch(t->dev.fd, t->vm, b.p, b.len,
				   DRM_VSVM_LOC_DEVICE, NULL, NULL);
	err = err ?: inject_set(t, "hide_copy", 0);
	leaked = inject_count(t, "leaked");
	calls = inject_count(t, "calls") - calls;
	if (err || calls < 1)
		return broken("prefetch", err ?: calls);
	if (vt_buf_elsewhere(t, &b, IN_RAM) || vt_buf_check(&b))
		return saw(FAIL, "memory moved without an operation for it");
	return saw(leaked ? FAIL : PASS, "%ld of %ld allocations leaked",
		   leaked, calls);
}

/* A page in a pipe is one that the kernel refers to. */
enum result test_d1(struct vt *t)
{
	struct iovec page;
	struct vt_buf b;
	int pipes[2];
	long there;
	int err;

	err = vt_buf_map(&b, LARGE_PAGE, VT_SMALL);
	page = (struct iovec) { .iov_base = b.p + 100 * PAGE, .iov_len = PAGE };
	if (err || pipe(pipes) || vmsplice(pipes[1], &page, 1, 0) != PAGE)
		return broken("pipe", err ?: -errno);
	err = vt_buf_add(t, &b, 0, LARGE_PAGE, 1);
	there = vt_pages_at(t, b.p, LARGE_PAGE, IN_VRAM);
	close(pipes[0]);
	close(pipes[1]);
	if (err || there == 512)
		return broken("a pinned page that moves", err);
	if (vt_buf_check(&b))
		return saw(FAIL, "content lost");
	return saw(there == 511 ? PASS : FAIL, "%ld of 511 other pages moved",
		   there);
}

enum result test_d3(struct vt *t)
{
	struct vt_buf b;
	size_t at;
	__u64 home, sum;
	int err;

	err = vt_buf_map(&b, LARGE_PAGE, VT_SMALL);
	for (at = 0; at < b.len && !err; at += 64 * KIB)
		err = to_vram(t, b.p + at, 64 * KIB);
	if (err)
		return broken("prefetch in pieces", err);
	home = to_ram_bytes(t);
	err = vt_sum(t, b.p, b.len, &sum);
	home = to_ram_bytes(t) - home;
	if (err || vt_buf_check_gpu(t, &b))
		return saw(FAIL, "the GPU reads something else");
	/* What the sum is in comes home for the CPU to read it. */
	return saw(home > LARGE_PAGE / 2 ? FAIL : PASS,
		   "32 allocations in a range: %llu KiB went home when the GPU read them",
		   home / KIB);
}

static int ksm_set(const char *file, unsigned long value)
{
	char path[64];

	snprintf(path, sizeof(path), KSM "%s", file);
	return write_number(path, value);
}

/*
 * KSM's own page for two equal ones, the first ones of @p. One of the two is
 * then made another one.
 */
static int ksm_merge(__u8 *p, size_t len, __u8 value)
{
	int i;

	madvise(p, len, MADV_NOHUGEPAGE);
	vt_pattern(p, len, value);
	memset(p, value, 2 * PAGE);
	madvise(p, len, MADV_MERGEABLE);
	ksm_set("pages_to_scan", 2000);
	ksm_set("sleep_millisecs", 1);
	ksm_set("run", 1);
	for (i = 0; i < 400 && vt_read_number(KSM "pages_sharing", "") < 1; i++)
		vt_sleep_ms(50);
	if (vt_read_number(KSM "pages_sharing", "") < 1)
		return -ETIMEDOUT;
	p[PAGE] = ~value;
	return 0;
}

static __u8 *ksm_page(size_t len, __u8 value)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	return p && !ksm_merge(p, len, value) ? p : NULL;
}

/* ksmd stands still while the page goes, and compares with it afterwards. */
enum result test_m5(struct vt *t)
{
	__u8 *p, *q;
	long there;
	int err;

	ksm_set("run", KSM_UNMERGE);
	p = ksm_page(2 * PAGE, 0x55);
	ksm_set("run", 0);
	if (!p)
		return saw(NOT_PROVOKED, "KSM merges nothing");
	err = vsvm_prefetch(t->dev.fd, t->vm, p, PAGE, DRM_VSVM_LOC_DEVICE, NULL,
			    NULL);
	there = vt_pages_at(t, p, PAGE, IN_VRAM);
	if (err || there < 0)
		return broken("prefetch", err ?: there);
	q = ksm_page(2 * PAGE, 0x55);
	vt_sleep_ms(1000);
	ksm_set("run", 0);
	if (!q || touch(q) || touch(p) || vt_all(q, 0x55, PAGE) ||
	    vt_all(p, 0x55, PAGE))
		return saw(FAIL, "content lost");
	return saw(PASS, there ? "ksmd survived a page in VRAM" :
				 "the page stayed in RAM");
}

/*
 * ksmd looks for the page while it is collected, and forgets where it is mapped:
 * the next one who collects it cannot put the entry back. It is collected with
 * 511 others, which takes long.
 */
enum result test_m6(struct vt *t)
{
	int i, err = 0;
	__u8 *p;

	ksm_set("run", KSM_UNMERGE);
	p = ksm_page(LARGE_PAGE, 0x66);
	if (!p)
		return saw(NOT_PROVOKED, "KSM merges nothing");
	for (i = 0; i < 10 && !err; i++) {
		err = vsvm_prefetch(t->dev.fd, t->vm, p, LARGE_PAGE,
				    DRM_VSVM_LOC_DEVICE, NULL, NULL);
		err = err ?: touch(p);
		err = err ?: vsvm_evict(&t->dev);
		err = err ?: touch(p);
	}
	ksm_set("run", 0);
	if (err == -ETIMEDOUT)
		return saw(FAIL, "after %d attempts the page cannot be read any more", i);
	if (err || vt_all(p, 0x66, PAGE))
		return saw(FAIL, "attempt %d: %s", i, strerror(-err));
	return saw(PASS, "%d attempts beside ksmd", i);
}

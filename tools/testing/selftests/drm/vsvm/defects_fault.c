// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Defects that show when a CPU brings memory home.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "defects.h"

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"
/* More than a fault on 16 pages has allocations. */
#define MAX_NTH		100

/*
 * The @nth allocation of the access fails. 1 if there were as many, 0 if not.
 * @fd is that of fail-nth: to open it would count.
 */
static int touch_and_fail(int fd, const __u8 *p, int nth)
{
	char text[16] = {};
	int len, err;

	len = snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(fd, text, len, 0) != len)
		return -errno;
	err = touch(p);
	memset(text, 0, sizeof(text));
	if (pread(fd, text, sizeof(text) - 1, 0) < 1 || pwrite(fd, "0", 1, 0) != 1)
		return -errno;
	return err ?: !atoi(text);
}

static enum result touch_all_failures(struct vt *t, __u8 *p, size_t len)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int nth, got = 1, err;

	for (nth = 1; nth <= MAX_NTH && got == 1; nth++) {
		err = vt_fill(t, p, len, nth);
		err = err ?: to_vram(t, p, len);
		if (err)
			return broken("GPU", err);
		got = touch_and_fail(fd, p + 5 * PAGE, nth);
		if (got == -EFAULT)
			return saw(FAIL, "SIGBUS when allocation %d fails", nth);
		if (got < 0)
			return broken("fail-nth", got);
		if (vt_all(p, nth, len))
			return saw(FAIL, "content lost");
	}
	close(fd);
	/* The last attempt was one too many, and without a failure. */
	if (nth < 4 || got)
		return broken("number of allocations", -ERANGE);
	return saw(PASS, "each of %d allocations failed once; no SIGBUS",
		   nth - 2);
}

enum result test_w6(struct vt *t)
{
	__u8 *p = in_vram(t, 64 * KIB, VT_SMALL, 1);
	int err;

	/* fail-nth decides; this tells which kinds may fail at all. */
	err = fail_begin("fail_page_alloc", true, 0);
	fail_end("fail_page_alloc");
	if (!p || err)
		return broken("set-up", err);
	return touch_all_failures(t, p, 64 * KIB);
}

static __u64 cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000ull +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

enum result test_w7(struct vt *t)
{
	__u8 *p = vt_map_aligned(64 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	__u64 wall, cpu;
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	madvise(p, 64 * KIB, MADV_NOHUGEPAGE);
	memset(p, 3, 64 * KIB);
	err = inject_populate(t, p, 64 * KIB, 1000);
	if (err)
		return broken("populate", err);
	wall = vt_now_ms();
	cpu = cpu_ms();
	err = touch(p + PAGE);
	cpu = cpu_ms() - cpu;
	wall = vt_now_ms() - wall;
	if (err || vt_all(p, 3, 64 * KIB))
		return saw(FAIL, "content lost");
	if (wall < 500)
		return saw(FAIL, "only %llu ms of a slice of 1000 ms", wall);
	return saw(cpu > wall / 4 ? FAIL : PASS,
		   "%llu ms of CPU time for a wait of %llu ms", cpu, wall);
}

enum result test_w28(struct vt *t)
{
	__u8 *p = in_vram(t, LARGE_PAGE, VT_THP, 4);

	if (!p)
		return broken("memory", -ENOMEM);
	if (!is_block(t, p))
		return saw(NOT_PROVOKED, "no huge page to be had");
	madvise(p + 16 * PAGE, 4 * PAGE, MADV_DONTNEED);
	if (touch(p + 300 * PAGE))
		return saw(FAIL, "SIGBUS");
	if (vt_all(p, 4, 16 * PAGE) || vt_all(p + 16 * PAGE, 0, 4 * PAGE) ||
	    vt_all(p + 20 * PAGE, 4, LARGE_PAGE - 20 * PAGE))
		return saw(FAIL, "content lost");
	return saw(PASS, "content right");
}

enum result test_d2(struct vt *t)
{
	__u8 *p = in_vram(t, LARGE_PAGE, VT_SMALL, 5);
	long home;

	if (!p)
		return broken("memory", -ENOMEM);
	if (touch(p + 100 * PAGE))
		return saw(FAIL, "SIGBUS");
	home = vt_pages_at(t, p, LARGE_PAGE, IN_RAM);
	if (home < 1 || vt_all(p, 5, LARGE_PAGE))
		return saw(FAIL, "content lost");
	return saw(home <= 64 ? PASS : FAIL,
		   "one access brought %ld of 512 pages home", home);
}

/* Pages for user space are to be had, memory for the kernel is not. */
enum result test_d6(struct vt *t)
{
	__u8 *p = in_vram(t, 64 * KIB, VT_SMALL, 6);
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	err = fail_begin("failslab", true, 0);
	if (!err)
		err = touch(p + PAGE);
	fail_end("failslab");
	if (err == -EFAULT)
		return saw(FAIL, "SIGBUS without kernel memory");
	if (err)
		return broken("failslab", err);
	if (vt_all(p, 6, 64 * KIB))
		return saw(FAIL, "content lost");
	return saw(PASS, "the page came home without any kernel memory");
}

/* -1 if there is no page */
static long pfn_of(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u64 entry = 0;

	if (fd < 0)
		return -1;
	if (pread(fd, &entry, sizeof(entry), vsvm_addr(p) / PAGE * 8) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry >> 63 ? (long)(entry & ((1ull << 55) - 1)) : -1;
}

/* Is it in a zone that has nothing but movable memory? */
static bool in_movable_zone(long pfn)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	bool movable = false, found = false;
	long spanned = 0, start;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, "zone "))
			movable = strstr(line, "Movable");
		if (sscanf(line, " spanned %ld", &spanned) == 1 ||
		    sscanf(line, " start_pfn: %ld", &start) != 1)
			continue;
		found |= movable && pfn >= start && pfn < start + spanned;
	}
	if (file)
		fclose(file);
	return found;
}

static long movable_pages(const __u8 *p, size_t len)
{
	size_t at;
	long n = 0;

	for (at = 0; at < len; at += PAGE)
		n += in_movable_zone(pfn_of(p + at));
	return n;
}

enum result test_d7(struct vt *t)
{
	__u8 *p = vt_map_aligned(64 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	long movable;

	if (!p)
		return broken("memory", -ENOMEM);
	/* With movablecore=, the movable zone is that of the last node. */
	use_node(1);
	madvise(p, 64 * KIB, MADV_NOHUGEPAGE);
	memset(p, 7, 64 * KIB);
	if (movable_pages(p, 64 * KIB) < 16)
		return saw(NOT_PROVOKED, "no movable zone (movablecore=)");
	if (vt_fill(t, p, 64 * KIB, 8) || to_vram(t, p, 64 * KIB))
		return broken("GPU", -EIO);
	if (vt_all(p, 8, 64 * KIB))
		return saw(FAIL, "content lost");
	movable = movable_pages(p, 64 * KIB);
	return saw(movable == 16 ? PASS : FAIL,
		   "%ld of 16 pages came home to the movable zone", movable);
}

/* Until khugepaged has looked at everything @times. */
static int await_khugepaged(int times)
{
	long scans = vt_read_number(KHUGEPAGED "full_scans", "");
	int i;

	for (i = 0; i < 300; i++) {
		if (vt_read_number(KHUGEPAGED "full_scans", "") >= scans + times)
			return 0;
		vt_sleep_ms(50);
	}
	return -ETIMEDOUT;
}

/* Small pages in memory that may have huge ones. */
static void fill_small(__u8 *p, size_t len, __u8 value)
{
	madvise(p, len, MADV_NOHUGEPAGE);
	memset(p, value, len);
	madvise(p, len, MADV_HUGEPAGE);
}

enum result test_m2(struct vt *t)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	const size_t len = 32 * PAGE;
	long there;
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	/* To offer it memory wakes it up once. */
	write_number(KHUGEPAGED "scan_sleep_millisecs", 600000);
	fill_small(p, LARGE_PAGE, 9);
	vt_sleep_ms(500);
	err = to_vram(t, p, len);
	if (err)
		return broken("prefetch", err);
	write_number(KHUGEPAGED "scan_sleep_millisecs", 10);
	write_number(KHUGEPAGED "pages_to_scan", 8192);
	err = await_khugepaged(4);
	there = vt_pages_at(t, p, len, IN_VRAM);
	write_number(KHUGEPAGED "scan_sleep_millisecs", 10000);
	if (err || vt_all(p, 9, LARGE_PAGE))
		return broken("khugepaged", err);
	return saw(there == 32 ? PASS : FAIL,
		   "%ld of 32 pages are in VRAM after khugepaged's scans", there);
}

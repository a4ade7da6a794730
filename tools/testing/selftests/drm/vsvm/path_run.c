// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How long the way of a GPU fault is: a job that writes one byte to a resident
 * huge page, which goes to VRAM for that, less the same job once more. On a
 * machine that counts instructions as time (QEMU's -icount shift=0), with one
 * processor, nanoseconds are instructions, and the same run gives the same
 * figures.
 *
 * usage: path_run [ROUNDS]. Prints the median, smallest and largest figure.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "vsvm_test.h"

/* As much as VRAM has room for, with the default size. */
#define MAX_ROUNDS	100

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int job(struct vt *t, void *p, __u64 *ns)
{
	const __u64 start = now_ns();
	int err = vt_fill(t, p, 1, 1);

	*ns = now_ns() - start;
	return err;
}

/* 0, or a negative errno; -EAGAIN if the memory was no huge page in VRAM. */
static int round_trip(struct vt *t, __u64 *ns)
{
	/*
	 * Stays: the driver takes an address that faults again and again for one
	 * that is fought for.
	 */
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	__u64 with = 0, without = 0;
	__u8 page = 0;
	int err;

	if (!p)
		return -ENOMEM;
	madvise(p, LARGE_PAGE, MADV_HUGEPAGE);
	memset(p, 0x5a, LARGE_PAGE);
	err = job(t, p, &with);
	err = err ?: job(t, p, &without);
	err = err ?: vsvm_residency(t->dev.fd, t->vm, p, 1, &page);
	if (!err && page != (IN_VRAM | DRM_VSVM_RES_WRITE | DRM_VSVM_RES_PMD)) {
		fprintf(stderr, "path_run: the page is at %#x\n", page);
		err = -EAGAIN;
	}
	*ns = with - without;
	return err;
}

static int compare(const void *a, const void *b)
{
	const __u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	const unsigned int rounds = argc > 1 ? atoi(argv[1]) : 51;
	static __u64 ns[MAX_ROUNDS];
	unsigned int i;
	struct vt t;
	__u64 first;
	int err;

	if (!rounds || rounds > MAX_ROUNDS || vt_open(&t))
		return 2;
	/* The first one makes page tables and fills caches. */
	err = round_trip(&t, &first);
	for (i = 0; i < rounds && !err; i++)
		err = round_trip(&t, &ns[i]);
	if (err) {
		fprintf(stderr, "path_run: %s\n", strerror(-err));
		return 1;
	}
	qsort(ns, rounds, sizeof(*ns), compare);
	printf("%llu %llu %llu\n", ns[rounds / 2], ns[0], ns[rounds - 1]);
	vt_close(&t);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * One test for each known defect of a drm_pagemap, to be run on several of them.
 *
 *	defects_run list	the table: ID, how to run it, what is expected of
 *				the kernel's own drm_pagemap, text
 *	defects_run ID		run one; prints "pass", "fail" or "not provoked",
 *				a tab, and what was seen
 *
 * The IDs are those of the list in which the defects were found: W is wrong, D a
 * limit by design, M what mm does with a driver's pages.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "defects.h"

#define XE	"in the xe driver"
#define GPUSVM	"in drm_gpusvm: the same code runs on both"

static const struct defect defects[] = {
	{ "W-1", TOGETHER, FAIL, test_w1,
	  "first touch of an empty or huge-zero 2 MiB range moves but reports -EBUSY", NULL },
	{ "W-2", ALONE, FAIL, test_w2,
	  "eviction after fork and the parent's exit uses a freed mm", NULL },
	{ "W-3", TOGETHER, FAIL, test_w3,
	  "eviction is refused when just a child maps the pages", NULL },
	{ "W-4", ALONE, FAIL, test_w4,
	  "a huge page cannot leave VRAM while RAM has no free 2 MiB", NULL },
	{ "W-5", TOGETHER, PASS, test_w5,
	  "a failed copy is committed",
	  "the peer believes an error that a driver returns; the ignored fences are xe's" },
	{ "W-6", TOGETHER, FAIL, test_w6,
	  "SIGBUS when a CPU fault finds no page in RAM", NULL },
	{ "W-7", TOGETHER, FAIL, test_w7,
	  "a CPU fault spins until the timeslice ends", NULL },
	{ "W-8", TOGETHER, NOT_PROVOKED, test_w8,
	  "the shrinker clobbers a new pagemap in the cache",
	  "a race of a few instructions: not hit in seconds of trying" },
	{ "W-9", ALONE, FAIL, test_w9,
	  "the cache keeps a pointer to a pagemap that unplug has freed", NULL },
	{ "W-10", NEVER, NOT_PROVOKED, NULL,
	  "a late completion marks a newer pagemap as queued",
	  "a race of two instructions; needs a stop between them" },
	{ "W-11", NEVER, NOT_PROVOKED, NULL,
	  "error path of the pagemap's creation releases twice",
	  XE },
	{ "W-12", NEVER, NOT_PROVOKED, NULL,
	  "GPU fault handler reports success after a failure",
	  XE },
	{ "W-13", IOMMU, PASS, test_w13,
	  "IOVA space over holes is freed with the wrong size",
	  "dma_iova_destroy() of 7.3 frees the whole space itself" },
	{ "W-14", NEVER, NOT_PROVOKED, NULL,
	  "device-coherent sources are unmapped through a bogus pointer",
	  "needs device-coherent memory" },
	{ "W-15", NEVER, NOT_PROVOKED, NULL,
	  "moves between devices do not mark folios as moved",
	  "a race: needs a page that is referenced, moved and evicted at once" },
	{ "W-16", ALONE, FAIL, test_w16,
	  "a moved folio that somebody still refers to goes through a freed anon_vma", NULL },
	{ "W-17", TOGETHER, FAIL, test_w17,
	  "-EBUSY for a range above 2 MiB with a huge page and a hole", NULL },
	{ "W-18", NEVER, NOT_PROVOKED, NULL,
	  "window arithmetic of sizes that are no power of two",
	  "windows are clipped to the VMA: nothing to observe" },
	{ "W-19", ALONE, FAIL, test_w19,
	  "huge page on VRAM that is not contiguous takes another allocation's pages", NULL },
	{ "W-20", NEVER, NOT_PROVOKED, NULL,
	  "miscounted own pages",
	  "dead code: an abort comes before it" },
	{ "W-21", TOGETHER, FAIL, test_w21,
	  "the allocation's reference leaks on -EOPNOTSUPP", NULL },
	{ "W-22", NEVER, NOT_PROVOKED, NULL,
	  "failure of try_module_get() ignored",
	  "latent: drivers are called with a reference" },
	{ "W-23", NEVER, NOT_PROVOKED, NULL,
	  "uninitialised pointer and unset fields",
	  XE },
	{ "W-24", NEVER, NOT_PROVOKED, NULL,
	  "scan without a reference to the mm; range eviction stops at a gap",
	  GPUSVM },
	{ "W-25", NEVER, NOT_PROVOKED, NULL,
	  "locks of two folios taken in both orders",
	  "in mm; needs two mms that map huge pages crosswise" },
	{ "W-26", NEVER, NOT_PROVOKED, NULL,
	  "size of a copy with huge entries",
	  XE },
	{ "W-27", NEVER, NOT_PROVOKED, NULL,
	  "TLB invalidation of several ranges",
	  XE },
	{ "W-28", ALONE, FAIL, test_w28,
	  "first touch of a tail of a split huge page uses a stale fault folio", NULL },
	{ "D-1", TOGETHER, FAIL, test_d1,
	  "one pinned page keeps its neighbours in RAM", NULL },
	{ "D-2", TOGETHER, FAIL, test_d2,
	  "one CPU fault brings 2 MiB home", NULL },
	{ "D-3", TOGETHER, PASS, test_d3,
	  "pages of several allocations in one range are evicted to be mapped",
	  "7.3's drm_gpusvm maps them for a driver that sets allow_mixed" },
	{ "D-4", NEVER, NOT_PROVOKED, NULL,
	  "pages of 16 KiB to 1 MiB are split to 4 KiB",
	  "costs time only" },
	{ "D-5", NEVER, NOT_PROVOKED, NULL,
	  "serial: no overlap of mapping and copying and committing",
	  "costs time only: see the benchmark" },
	{ "D-6", TOGETHER, FAIL, test_d6,
	  "a CPU fault needs kernel memory besides the page", NULL },
	{ "D-7", TOGETHER, FAIL, test_d7,
	  "memory comes home to unmovable memory", NULL },
	{ "D-8", TOGETHER, FAIL, test_d8,
	  "eviction puts memory on the node of who evicts", NULL },
	{ "D-9", NEVER, NOT_PROVOKED, NULL,
	  "an idle pagemap weighs 1 for the shrinker whatever it costs",
	  "needs CONFIG_SHRINKER_DEBUG to see" },
	{ "D-10", NEVER, NOT_PROVOKED, NULL,
	  "no tracepoints and no counters",
	  "a missing feature: nothing goes wrong" },
	{ "D-11", NEVER, NOT_PROVOKED, NULL,
	  "-EBUSY has nine meanings",
	  "part of the interface" },
	{ "D-12", NEVER, NOT_PROVOKED, NULL,
	  "eviction does not wait for the last reference",
	  "vsvm tries again itself" },
	{ "D-13", NEVER, NOT_PROVOKED, NULL,
	  "CPUs spin on a huge page that another one brings home",
	  "in mm: both do" },
	{ "D-14", NEVER, NOT_PROVOKED, NULL,
	  "nothing notices memory that goes to and fro",
	  "the driver's business: vsvm does" },
	{ "M-1", ALONE, FAIL, test_m1,
	  "munmap while a huge page leaves VRAM takes references that are not there", NULL },
	{ "M-2", TOGETHER, FAIL, test_m2,
	  "khugepaged brings pages home that nobody touched", NULL },
	{ "M-3", ALONE, FAIL, test_m3,
	  "munmap while pages are on their way out of VRAM frees the anon_vma in use", NULL },
	{ "M-4", NEVER, NOT_PROVOKED, NULL,
	  "eviction beside population",
	  "vsvm keeps the allocation reserved until its pages are in place" },
	{ "M-5", ALONE, FAIL, test_m5,
	  "a KSM page goes to VRAM and ksmd reads it there", NULL },
	{ "M-6", ALONE, FAIL, test_m6,
	  "a KSM page that ksmd looks for while it is collected stays unreadable", NULL },
	{ "M-7", ALONE, FAIL, test_m7,
	  "a page that KSM merged through a forked child stays unreadable", NULL },
	{ "M-8", TOGETHER, FAIL, test_m8,
	  "the GPU is given the first page of a huge page in VRAM for any other", NULL },
	{ "M-9", TOGETHER, FAIL, test_m9,
	  "reclaim drops what the GPU wrote to system memory", NULL },
	{ "M-10", ALONE, FAIL, test_m10,
	  "a page table that goes while a huge page is split has mm write past its arrays", NULL },
	{ "M-11", TOGETHER, FAIL, test_m11,
	  "the GPU writes to a page in VRAM that is shared after fork", NULL },
	{ "M-12", TOGETHER, FAIL, test_m12,
	  "a fault of the GPU goes on for ever at a page that cannot be read", NULL },
	{ "M-13", TOGETHER, FAIL, test_m13,
	  "mm warns as it splits a huge page that came into being in VRAM",
	  "with ours too: a module cannot mend it" },
	{ "M-14", TOGETHER, FAIL, test_m14,
	  "mm warns as it reclaims a huge page of which the GPU has taken pages",
	  "with ours too: a module cannot mend it" },
};

static char seen[256];

enum result saw(enum result result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(seen, sizeof(seen), format, args);
	va_end(args);
	return result;
}

enum result broken(const char *what, long err)
{
	return saw(FAIL, "the test itself: %s: %s", what, strerror(-err));
}

static const char *result_name(enum result result)
{
	static const char * const name[] = { "pass", "fail", "not provoked" };

	return name[result];
}

static void print_list(void)
{
	static const char * const how[] = { "together", "alone", "iommu", "never" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(defects); i++)
		printf(defects[i].why ? "%s\t%s\t%s\t%s [%s]\n" : "%s\t%s\t%s\t%s\n",
		       defects[i].id, how[defects[i].how], result_name(defects[i].peer),
		       defects[i].text, defects[i].why);
}

static int run(const struct defect *defect)
{
	enum result result;
	struct vt t;
	int err;

	err = vt_open(&t);
	if (err)
		return 1;
	result = defect->test(&t);
	vt_close(&t);
	printf("%s\t%s\n", result_name(result), seen);
	return 0;
}

int main(int argc, char **argv)
{
	size_t i;

	setlinebuf(stdout);
	if (argc == 2 && !strcmp(argv[1], "list")) {
		print_list();
		return 0;
	}
	for (i = 0; argc == 2 && i < ARRAY_SIZE(defects); i++) {
		if (!strcmp(argv[1], defects[i].id) && defects[i].test)
			return run(&defects[i]);
	}
	fprintf(stderr, "usage: defects_run list | ID\n");
	return 2;
}

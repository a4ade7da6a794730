/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the tests of single defects share. Each is a function that leaves the
 * kernel as it found it and says what it saw; a report in the kernel's log is
 * looked for by who runs it.
 */
#ifndef DEFECTS_H
#define DEFECTS_H

#include "vsvm_test.h"

#define PAGE		4096ul
#define PAGES_OF(len)	((long)((len) / PAGE))

enum result {
	PASS,
	FAIL,
	NOT_PROVOKED,
};

/* How a test has to be run. */
enum how {
	TOGETHER,	/* in one boot with others */
	ALONE,		/* the peer may not live through it */
	IOMMU,		/* on a GPU behind an IOMMU */
	NEVER,		/* there is no test, and the description says why */
};

/**
 * struct defect - one row of the table
 * @id: as in the list of defects
 * @how: to run it
 * @peer: what is expected of the kernel's own drm_pagemap
 * @test: NULL if there is none
 * @text: what goes wrong; without commas, as it becomes a field of a table
 * @why: the peer passes, or it is not provoked; or NULL. Without commas, too.
 */
struct defect {
	const char *id;
	enum how how;
	enum result peer;
	enum result (*test)(struct vt *t);
	const char *text;
	const char *why;
};

/* Say what was seen, for the result. The last one counts. */
enum result saw(enum result result, const char *format, ...);
/* For what must work so that there is a test at all. */
enum result broken(const char *what, long err);

/* Files of vsvm_inject.c. */
int inject_set(struct vt *t, const char *file, unsigned long value);
long inject_get(struct vt *t, const char *file);
/* Migrations so far that ended in that way: "calls", "moved", "leaked" */
long inject_count(struct vt *t, const char *what);
/* Move memory to VRAM as one piece, with a timeslice. */
int inject_populate(struct vt *t, void *p, size_t len, unsigned int ms);

/* The kernel's failing allocations: "failslab" or "fail_page_alloc" */
int fail_begin(const char *kind, bool this_task_only, unsigned int min_order);
void fail_end(const char *kind);

int write_number(const char *path, unsigned long value);

/* Memory policy of this thread: all from one node. -ENODEV without it. */
int use_node(int node);

/* Move it by PREFETCH. An error if some of it stays. */
int to_vram(struct vt *t, const void *p, size_t len);
/* Memory of its own, all of it in VRAM and of @value. NULL on failure. */
__u8 *in_vram(struct vt *t, size_t len, enum vt_kind kind, __u8 value);
/* Is it mapped by an entry of 2 MiB? */
bool is_block(struct vt *t, const void *p);
__u64 to_ram_bytes(struct vt *t);
__u64 to_vram_bytes(struct vt *t);

/* Evict, with fault injection or a delay that ends by itself after @ms. */
int evict_until(struct vt *t, unsigned int ms, void (*end)(struct vt *t));

/* Read one byte. -EFAULT: SIGBUS or SIGSEGV; -ETIMEDOUT: it went on for ever. */
int touch(const __u8 *p);

/* defects_move.c: memory goes to VRAM */
enum result test_w1(struct vt *t);
enum result test_w5(struct vt *t);
enum result test_w13(struct vt *t);
enum result test_w17(struct vt *t);
enum result test_w19(struct vt *t);
enum result test_w21(struct vt *t);
enum result test_d1(struct vt *t);
enum result test_d3(struct vt *t);
enum result test_m5(struct vt *t);
enum result test_m6(struct vt *t);

/* defects_fault.c: a CPU brings memory home */
enum result test_w6(struct vt *t);
enum result test_w7(struct vt *t);
enum result test_w28(struct vt *t);
enum result test_d2(struct vt *t);
enum result test_d6(struct vt *t);
enum result test_d7(struct vt *t);
enum result test_m2(struct vt *t);

/* defects_evict.c: memory has to go, or the device has */
enum result test_w2(struct vt *t);
enum result test_w3(struct vt *t);
enum result test_w4(struct vt *t);
enum result test_w8(struct vt *t);
enum result test_w9(struct vt *t);
enum result test_w16(struct vt *t);
enum result test_d8(struct vt *t);
enum result test_m1(struct vt *t);
enum result test_m3(struct vt *t);

/* defects_mm.c: what processes do with memory that the GPU uses */
enum result test_m7(struct vt *t);
enum result test_m8(struct vt *t);
enum result test_m9(struct vt *t);
enum result test_m10(struct vt *t);
enum result test_m11(struct vt *t);
enum result test_m12(struct vt *t);
enum result test_m13(struct vt *t);
enum result test_m14(struct vt *t);

#endif /* DEFECTS_H */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The way to devmem. A call moves a range, which is cut into batches; a job is
 * one batch on its way. With copies that return a fence, several jobs are
 * underway at a time: while the device copies one, mm collects the next.
 *
 * A thread that has a job between begin and end holds folio locks. It takes no
 * mmap lock, no dma_resv, and allocates no VRAM, until the last one has ended.
 * Jobs end in the order in which they began.
 */
#ifndef _PAGEMAP_JOB_H_
#define _PAGEMAP_JOB_H_

#include "pagemap_internal.h"

/* Batches underway in one thread. */
#define PAGEMAP_RING	4

/*
 * A devmem allocation with the range that moves there. @zdd is the reference
 * of the one who moves.
 */
struct pagemap_chunk {
	struct drm_pagemap_devmem *devmem;
	struct drm_pagemap_zdd *zdd;
	unsigned long start;
	unsigned long end;
	unsigned long *pfn;		/* for each page of the range */
	bool committed;			/* pages of it are in use */
	bool pinned;			/* until the driver hears of its end */
};

struct pagemap_job {
	struct pagemap_batch *batch;
	struct pagemap_chunk *chunk;
	struct migrate_vma migrate;
	bool pull;			/* from peers, if possible */
	bool collected;			/* to be finalized */
	struct dma_fence *cleared;
	struct dma_fence *copied;
	unsigned long to_move;		/* pages */
	bool copying;			/* an operation was asked to copy */
	u64 began;			/* ktime, ns */
	int err;
};

/* One call. */
struct pagemap_move {
	struct drm_pagemap *dpagemap;
	struct mm_struct *mm;
	struct vm_area_struct *vma;
	const struct drm_pagemap_migrate_details *details;
	enum drm_pagemap_policy policy;
	unsigned long start;		/* of the range that @result is about */
	struct drm_pagemap_migrate_result *result;

	struct pagemap_job job[PAGEMAP_RING];
	bool has_must_have;
	unsigned int depth;		/* jobs that have a batch */
	unsigned int first;		/* the oldest one underway */
	unsigned int underway;
};

/* pagemap_to_devmem.c */
void pagemap_job_begin(struct pagemap_move *m, struct pagemap_job *job,
		       struct pagemap_chunk *chunk, unsigned long start,
		       unsigned long end);
int pagemap_job_end(struct pagemap_move *m, struct pagemap_job *job);

/* pagemap_copy.c */
bool pagemap_copy_reaches(const struct drm_pagemap_devmem *devmem,
			  struct page *page);
void pagemap_copy_to_devmem(struct pagemap_job *job);
int pagemap_copy_finish(struct pagemap_job *job);

/* pagemap_migrate.c */
void pagemap_move_begin(struct pagemap_move *m, bool async);
void pagemap_move_end(struct pagemap_move *m);
int pagemap_move_chunk(struct pagemap_move *m, struct pagemap_chunk *chunk);
int pagemap_move_drain(struct pagemap_move *m, int err);
int pagemap_move_result(const struct pagemap_move *m, int err);
void pagemap_note_none(struct pagemap_move *m, unsigned long end);
void pagemap_note(struct pagemap_move *m, unsigned long addr,
		  unsigned long npages, enum drm_pagemap_outcome outcome);

/* pagemap_chunk.c */
int pagemap_chunk_begin(struct pagemap_chunk *chunk,
			struct drm_pagemap_devmem *devmem, struct mm_struct *mm,
			unsigned long start, unsigned long end, bool pinned);
void pagemap_chunk_end(struct pagemap_chunk *chunk);

/* pagemap_scan.c */
int pagemap_scan_missing(struct pagemap_move *m, unsigned long start,
			 unsigned long end, unsigned long *missing);
int pagemap_scan_ksm(struct pagemap_move *m, unsigned long start,
		     unsigned long end, unsigned long *ksm);
void pagemap_scan_reasons(struct pagemap_move *m, unsigned long start,
			  unsigned long end);

#endif /* _PAGEMAP_JOB_H_ */

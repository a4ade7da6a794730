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
	bool swap_busy;			/* one page is, so that none moves */
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
	bool look;			/* at each batch, before its collect */
	unsigned int depth;		/* jobs that have a batch */
	unsigned int first;		/* the oldest one underway */
	unsigned int underway;
};

/* The slot for the next one; there is one if not all are underway. */
static inline struct pagemap_job *pagemap_next_job(struct pagemap_move *m)
{
	return &m->job[(m->first + m->underway) % m->depth];
}

/**
 * struct pagemap_seen - what a look at the page tables found
 * @start: first address of what was looked at
 * @end: behind the last one, at most a PMD further
 * @any_ksm: there are bits in @ksm
 * @shared: one at least may be mapped by another process as well
 * @ram_section: the last memory section that was found to be system memory
 * @missing: a bit for each page that is not in the pagemap, and could be
 * @ksm: a bit for each page that KSM has merged
 */
struct pagemap_seen {
	unsigned long start;
	unsigned long end;
	bool any_ksm;
	bool shared;
	unsigned long ram_section;
	DECLARE_BITMAP(missing, PAGEMAP_BATCH_PAGES);
	DECLARE_BITMAP(ksm, PAGEMAP_BATCH_PAGES);
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
int pagemap_move_refuse(struct pagemap_move *m, unsigned long start,
			unsigned long end, enum drm_pagemap_outcome why);
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
int pagemap_look(struct pagemap_move *m, unsigned long start, unsigned long end,
		 struct pagemap_seen *seen);
bool pagemap_note_seen(struct pagemap_move *m, const struct pagemap_seen *seen,
		       unsigned long start, unsigned long end,
		       enum drm_pagemap_outcome missing);
void pagemap_scan_reasons(struct pagemap_move *m, unsigned long start,
			  unsigned long end);

#endif /* _PAGEMAP_JOB_H_ */

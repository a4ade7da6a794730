/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Eviction of one devmem allocation, as the front ends need it: begin, passes
 * until nothing is left or patience is over, end.
 */
#ifndef _PAGEMAP_EVICT_H_
#define _PAGEMAP_EVICT_H_

#include "pagemap_budget.h"
#include "pagemap_internal.h"

/*
 * Pages of a batch that the device does not give back, by index, and where in
 * the object that they belong to they are, once mm has taken them over.
 */
struct pagemap_lost {
	DECLARE_BITMAP(page, PAGEMAP_BATCH_PAGES);
	pgoff_t pgoff[PAGEMAP_BATCH_PAGES];
};

struct pagemap_evict {
	struct drm_pagemap *dpagemap;		/* referenced */
	struct drm_pagemap_devmem *devmem;
	struct mm_struct *mm;			/* hint, grabbed */
	unsigned long addr;			/* hint, of the first page */
	struct pagemap_batch *batch;
	unsigned long *pfn;			/* for more pages than a batch */
	struct pagemap_pins pins;
	struct pagemap_lost *lost;		/* NULL: lose nothing */
	struct drm_pagemap_budget *budget;	/* of the operation */
	unsigned long deadline;			/* jiffies; 0: none */
	bool held;				/* mm has users, we are one */
	bool asked;				/* the worker to split a block */

	/* What happened. */
	u64 began;				/* nanoseconds */
	unsigned long pages_moved;
	unsigned long pages_lost;
	int copy_err;
};

/* pagemap_evict.c */
void pagemap_evict_begin(struct pagemap_evict *e, struct drm_pagemap_zdd *zdd);
void pagemap_evict_pass(struct pagemap_evict *e);
void pagemap_evict_end(struct pagemap_evict *e, unsigned long left, bool gone);

/* pagemap_lost.c */
struct pagemap_lost *pagemap_lost_alloc(void);
bool pagemap_lost_allowed(const struct pagemap_evict *e, int err);
int pagemap_lost_salvage(struct pagemap_evict *e);
void pagemap_lost_committed(struct pagemap_evict *e);
void pagemap_lost_poison(struct pagemap_evict *e);

/* pagemap_split.c */
bool pagemap_split_block(struct pagemap_evict *e, unsigned long i,
			 struct page *page);

#endif /* _PAGEMAP_EVICT_H_ */

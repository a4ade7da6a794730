/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the core tells about itself: counters, histograms and trace events, all
 * from these few calls.
 */
#ifndef _PAGEMAP_REPORT_H_
#define _PAGEMAP_REPORT_H_

#include <drm/drm_pagemap.h>
#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mm_types.h>

struct drm_printer;

enum pagemap_direction {
	PAGEMAP_TO_DEVMEM,
	PAGEMAP_CPU_FAULT,
	PAGEMAP_EVICT,
	PAGEMAP_NUM_DIRECTIONS,
};

enum pagemap_stat {
	PAGEMAP_STAT_ALLOCATIONS,	/* devmem allocations that were begun */
	PAGEMAP_STAT_CPU_FAULTS,
	PAGEMAP_STAT_FAULT_WAITS,	/* for a timeslice */
	PAGEMAP_STAT_FAULT_RACED,	/* the page did not move */
	PAGEMAP_STAT_FAULT_REFUSED,	/* khugepaged's */
	PAGEMAP_STAT_FAULT_OOM,
	PAGEMAP_STAT_FAULT_SIGBUS,
	PAGEMAP_STAT_EVICTIONS,		/* allocations that were emptied */
	PAGEMAP_STAT_EVICT_BUSY,	/* and those that were not */
	PAGEMAP_STAT_BLOCK_SPLIT,	/* no block in RAM: ours was split */
	PAGEMAP_STAT_COLLECTED_TWICE,	/* a batch, by mm */
	PAGEMAP_STAT_COPY_ERRORS,
	PAGEMAP_STAT_LOST_PAGES,
	PAGEMAP_NUM_STATS,
};

/* A batch that has gone through. */
struct pagemap_report {
	enum pagemap_direction direction;
	unsigned long start;		/* address, or page frame if evicted */
	unsigned long npages;
	unsigned long moved;
	unsigned int order;
	u64 ns;
	int err;
};

/*
 * Bucket 0 is for less than a microsecond, k for at least 2^(k-1) of them, and
 * the last one for all that took longer: 4 s.
 */
#define PAGEMAP_LATENCY_BUCKETS	24

enum pagemap_latency {
	PAGEMAP_LATENCY_PAGES,
	PAGEMAP_LATENCY_BLOCK,
	PAGEMAP_NUM_LATENCIES,
};

/* Of one direction. */
struct pagemap_flow {
	unsigned long batches;
	unsigned long asked;		/* pages */
	unsigned long moved;		/* pages */
	unsigned long latency[PAGEMAP_NUM_LATENCIES][PAGEMAP_LATENCY_BUCKETS];
};

/* Each an unsigned long, so that they can be summed up without their names. */
struct pagemap_stats {
	unsigned long count[PAGEMAP_NUM_STATS];
	unsigned long outcome[DRM_PAGEMAP_NUM_OUTCOMES];	/* pages */
	struct pagemap_flow flow[PAGEMAP_NUM_DIRECTIONS];
};

/**
 * struct pagemap_record - the statistics of a pagemap
 * @link: among those of all pagemaps
 * @dpagemap: whose it is
 * @id: grows along the list, never used twice
 * @stats: what happened since the pagemap was made, on each CPU
 * @reset: what there was at the last reset; counters are never set back, which
 *	would race with those who count
 * @longest_evict: of an allocation, in nanoseconds; set back at a reset
 */
struct pagemap_record {
	struct list_head link;
	struct drm_pagemap *dpagemap;
	u64 id;
	struct pagemap_stats __percpu *stats;
	struct pagemap_stats reset;
	atomic64_t longest_evict;
};

/* The devmem allocations that a pagemap has now. */
struct pagemap_usage {
	unsigned long allocations;
	u64 vram;			/* bytes that they take, */
	u64 used;			/* and bytes in pages that are in use */
};

struct pagemap_snapshot {
	u64 id;				/* of the record */
	struct pagemap_usage usage;
	struct pagemap_stats stats;	/* since the last reset, as is */
	u64 longest_evict;		/* this one, in nanoseconds */
};

/* pagemap_report.c: the calls, and what they add up to */
void pagemap_count(struct drm_pagemap *dpagemap, enum pagemap_stat stat,
		   unsigned long n);
void pagemap_count_outcomes(struct drm_pagemap *dpagemap,
			    const struct drm_pagemap_migrate_result *result);
void pagemap_report_begin(struct drm_pagemap *dpagemap,
			  enum pagemap_direction direction,
			  unsigned long start, unsigned long npages);
void pagemap_report_end(struct drm_pagemap *dpagemap,
			const struct pagemap_report *report);
void pagemap_report_fault(struct drm_pagemap *dpagemap, unsigned long addr,
			  unsigned long window_start, unsigned long window_end,
			  u64 waited_ns, vm_fault_t result);
void pagemap_report_window(struct drm_pagemap *dpagemap, unsigned long addr,
			   unsigned long old_size, unsigned long new_size);
void pagemap_report_evict(struct drm_pagemap *dpagemap, unsigned long pages,
			  unsigned long left, u64 ns, int err);
/* These two count as well. */
void pagemap_report_lost(struct drm_pagemap *dpagemap, unsigned long pfn);
void pagemap_report_copy_error(struct drm_pagemap *dpagemap,
			       enum pagemap_direction direction, int err);

unsigned int pagemap_latency_bucket(u64 ns);
int pagemap_record_init(struct pagemap_record *record);
void pagemap_record_fini(struct pagemap_record *record);
void pagemap_record_sum(const struct pagemap_record *record,
			struct pagemap_stats *sum);

/* pagemap_debugfs.c: who may read them */
void pagemap_record_link(struct pagemap_record *record,
			 struct drm_pagemap *dpagemap);
void pagemap_record_unlink(struct pagemap_record *record);
bool pagemap_snapshot_next(struct drm_device *drm, struct pagemap_snapshot *s);
void pagemap_snapshot_print(struct drm_printer *p,
			    const struct pagemap_snapshot *s);
void pagemap_stats_reset(struct drm_device *drm);
const char *pagemap_stat_name(enum pagemap_stat stat);
const char *pagemap_outcome_name(enum drm_pagemap_outcome outcome);
const char *pagemap_direction_name(enum pagemap_direction direction);

/* pagemap_zdd.c */
void pagemap_zdd_usage(struct drm_pagemap *dpagemap,
		       struct pagemap_usage *usage);

#endif /* _PAGEMAP_REPORT_H_ */

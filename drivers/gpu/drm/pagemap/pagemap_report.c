// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Where the core says what it does. A call is one addition to a counter of this
 * CPU, and a trace event that is off: no lock, no memory that CPUs share, in any
 * context.
 *
 * The counters belong to the pagemap, from drm_pagemap_init() to its end; while
 * it idles in a cache they are kept. Who reads them is in pagemap_debugfs.c.
 */
#include <kunit/visibility.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/percpu.h>

#include <drm/drm_print.h>

#include "pagemap_internal.h"
#include "pagemap_report.h"

#define CREATE_TRACE_POINTS
#include "pagemap_trace.h"

static struct pagemap_stats __percpu *pagemap_stats(struct drm_pagemap *dpagemap)
{
	return dpagemap->priv->record.stats;
}

unsigned int pagemap_latency_bucket(u64 ns)
{
	u64 us = div_u64(ns, NSEC_PER_USEC);
	unsigned int bucket = us ? ilog2(us) + 1 : 0;

	return min(bucket, PAGEMAP_LATENCY_BUCKETS - 1);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_latency_bucket);

void pagemap_count(struct drm_pagemap *dpagemap, enum pagemap_stat stat,
		   unsigned long n)
{
	this_cpu_add(pagemap_stats(dpagemap)->count[stat], n);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_count);

void pagemap_count_outcomes(struct drm_pagemap *dpagemap,
			    const struct drm_pagemap_migrate_result *result)
{
	for (unsigned int i = 0; i < DRM_PAGEMAP_NUM_OUTCOMES; i++) {
		unsigned long pages = result->pages[i];

		if (!pages)
			continue;
		this_cpu_add(pagemap_stats(dpagemap)->outcome[i], pages);
		if (i != DRM_PAGEMAP_MOVED && i != DRM_PAGEMAP_PRESENT)
			trace_drm_pagemap_outcome(dpagemap, i, pages);
	}
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_count_outcomes);

void pagemap_report_begin(struct drm_pagemap *dpagemap,
			  enum pagemap_direction direction,
			  unsigned long start, unsigned long npages)
{
	trace_drm_pagemap_migrate_begin(dpagemap, direction, start, npages);
}

void pagemap_report_end(struct drm_pagemap *dpagemap,
			const struct pagemap_report *report)
{
	struct pagemap_flow __percpu *flow =
		&pagemap_stats(dpagemap)->flow[report->direction];
	enum pagemap_latency latency = report->order ? PAGEMAP_LATENCY_BLOCK :
						       PAGEMAP_LATENCY_PAGES;
	unsigned int bucket = pagemap_latency_bucket(report->ns);

	this_cpu_inc(flow->batches);
	this_cpu_add(flow->asked, report->npages);
	this_cpu_add(flow->moved, report->moved);
	this_cpu_inc(flow->latency[latency][bucket]);
	trace_drm_pagemap_migrate_end(dpagemap, report);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_report_end);

void pagemap_report_fault(struct drm_pagemap *dpagemap, unsigned long addr,
			  unsigned long window_start, unsigned long window_end,
			  u64 waited_ns, vm_fault_t result)
{
	trace_drm_pagemap_cpu_fault(dpagemap, addr, window_start, window_end,
				    waited_ns, result);
}

void pagemap_report_window(struct drm_pagemap *dpagemap, unsigned long addr,
			   unsigned long old_size, unsigned long new_size)
{
	trace_drm_pagemap_window(dpagemap, addr, old_size, new_size);
}

void pagemap_report_evict(struct drm_pagemap *dpagemap, unsigned long pages,
			  unsigned long left, u64 ns, int err)
{
	atomic64_t *longest = &dpagemap->priv->record.longest_evict;
	s64 old = atomic64_read(longest);

	/* Seldom more than the look: it is about the worst one. */
	while ((s64)ns > old && !atomic64_try_cmpxchg(longest, &old, ns))
		;
	trace_drm_pagemap_evict(dpagemap, pages, left, ns, err);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_report_evict);

void pagemap_report_lost(struct drm_pagemap *dpagemap, unsigned long pfn)
{
	pagemap_count(dpagemap, PAGEMAP_STAT_LOST_PAGES, 1);
	trace_drm_pagemap_lost(dpagemap, pfn);
}

void pagemap_report_copy_error(struct drm_pagemap *dpagemap,
			       enum pagemap_direction direction, int err)
{
	pagemap_count(dpagemap, PAGEMAP_STAT_COPY_ERRORS, 1);
	trace_drm_pagemap_copy_error(dpagemap, direction, err);
	/* An eviction says so itself, once for an allocation. */
	if (direction != PAGEMAP_EVICT)
		drm_err_ratelimited(dpagemap->drm,
				    "%s: error %d, pages stay where they are\n",
				    direction == PAGEMAP_TO_DEVMEM ?
				    "copy_to_devmem" : "copy_to_ram", err);
}

int pagemap_record_init(struct pagemap_record *record)
{
	INIT_LIST_HEAD(&record->link);
	record->stats = alloc_percpu(struct pagemap_stats);

	return record->stats ? 0 : -ENOMEM;
}

/* In any context, as the last put of a pagemap may come in any. */
void pagemap_record_fini(struct pagemap_record *record)
{
	pagemap_record_unlink(record);
	free_percpu(record->stats);
}

/* Since the pagemap was made; others go on to count. */
void pagemap_record_sum(const struct pagemap_record *record,
			struct pagemap_stats *sum)
{
	unsigned long *to = (unsigned long *)sum;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const unsigned long *from = (const unsigned long *)
			per_cpu_ptr(record->stats, cpu);

		for (unsigned int i = 0; i < sizeof(*sum) / sizeof(*to); i++)
			to[i] += READ_ONCE(from[i]);
	}
}

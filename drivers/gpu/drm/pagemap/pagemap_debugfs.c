// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Statistics as text, in the file drm_pagemap of a DRM device's debugfs
 * directory: one section for each pagemap of the device. Writing to it makes
 * the counters start again from zero.
 *
 * Lifetimes. The file belongs to the DRM device, and goes with its directory.
 * A pagemap comes and goes at other times; its end may come where nothing can
 * sleep, so that it could not remove a file. Instead the file looks for the
 * pagemaps of its device in a list, each time, and what it finds stays as long
 * as it holds the list's lock: a pagemap leaves the list before any part of it
 * is freed. Idle ones in a cache are still in it.
 */
#include <drm/drm_device.h>
#include <drm/drm_print.h>
#include <kunit/visibility.h>
#include <linux/debugfs.h>
#include <linux/math64.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_report.h"
#include "pagemap_trace.h"

/* Interrupts off, as a last put may come with them off; zdds are looked at. */
static DEFINE_SPINLOCK(pagemap_records_lock);
static LIST_HEAD(pagemap_records);
static u64 pagemap_last_id;

static struct dentry *pagemap_debugfs_root;

#define PAGEMAP_NAME(value, name) \
	[value] = name,

static const char * const pagemap_direction_names[] = {
	PAGEMAP_DIRECTION_NAMES(PAGEMAP_NAME, PAGEMAP_NAME)
};

static const char * const pagemap_outcome_names[] = {
	PAGEMAP_OUTCOME_NAMES(PAGEMAP_NAME, PAGEMAP_NAME)
};

static const char * const pagemap_stat_names[] = {
	[PAGEMAP_STAT_ALLOCATIONS] = "allocations",
	[PAGEMAP_STAT_CPU_FAULTS] = "cpu_faults",
	[PAGEMAP_STAT_FAULT_WAITS] = "fault_waits",
	[PAGEMAP_STAT_FAULT_RACED] = "fault_raced",
	[PAGEMAP_STAT_FAULT_REFUSED] = "fault_refused",
	[PAGEMAP_STAT_FAULT_OOM] = "fault_oom",
	[PAGEMAP_STAT_FAULT_SIGBUS] = "fault_sigbus",
	[PAGEMAP_STAT_EVICTIONS] = "evictions",
	[PAGEMAP_STAT_EVICT_BUSY] = "evict_busy",
	[PAGEMAP_STAT_BLOCK_SPLIT] = "block_split",
	[PAGEMAP_STAT_COLLECTED_TWICE] = "collected_twice",
	[PAGEMAP_STAT_COPY_ERRORS] = "copy_errors",
	[PAGEMAP_STAT_LOST_PAGES] = "lost_pages",
};

static_assert(ARRAY_SIZE(pagemap_direction_names) == PAGEMAP_NUM_DIRECTIONS);
static_assert(ARRAY_SIZE(pagemap_outcome_names) == DRM_PAGEMAP_NUM_OUTCOMES);
static_assert(ARRAY_SIZE(pagemap_stat_names) == PAGEMAP_NUM_STATS);

const char *pagemap_direction_name(enum pagemap_direction direction)
{
	return pagemap_direction_names[direction];
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_direction_name);

const char *pagemap_outcome_name(enum drm_pagemap_outcome outcome)
{
	return pagemap_outcome_names[outcome];
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_outcome_name);

const char *pagemap_stat_name(enum pagemap_stat stat)
{
	return pagemap_stat_names[stat];
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_stat_name);

/* Whoever reads may come as soon as this returns. */
void pagemap_record_link(struct pagemap_record *record,
			 struct drm_pagemap *dpagemap)
{
	guard(spinlock_irqsave)(&pagemap_records_lock);

	record->dpagemap = dpagemap;
	record->id = ++pagemap_last_id;
	list_add_tail(&record->link, &pagemap_records);
}

void pagemap_record_unlink(struct pagemap_record *record)
{
	guard(spinlock_irqsave)(&pagemap_records_lock);

	list_del_init(&record->link);
}

static struct pagemap_record *pagemap_record_next(const struct drm_device *drm,
						  u64 id)
{
	struct pagemap_record *record;

	lockdep_assert_held(&pagemap_records_lock);

	list_for_each_entry(record, &pagemap_records, link)
		if (record->id > id && record->dpagemap->drm == drm)
			return record;

	return NULL;
}

static void pagemap_stats_sub(struct pagemap_stats *stats,
			      const struct pagemap_stats *sub)
{
	unsigned long *from = (unsigned long *)stats;
	const unsigned long *n = (const unsigned long *)sub;

	for (unsigned int i = 0; i < sizeof(*stats) / sizeof(*from); i++)
		from[i] -= n[i];
}

/**
 * pagemap_snapshot_next() - take the statistics of a device's next pagemap
 * @drm: the device
 * @s: the snapshot of the one before, or zeroed memory for the first
 *
 * Return: false when there are no more.
 */
bool pagemap_snapshot_next(struct drm_device *drm, struct pagemap_snapshot *s)
{
	struct pagemap_record *record;

	guard(spinlock_irqsave)(&pagemap_records_lock);

	record = pagemap_record_next(drm, s->id);
	if (!record)
		return false;

	s->id = record->id;
	s->usage = (struct pagemap_usage) {};
	pagemap_zdd_usage(record->dpagemap, &s->usage);
	pagemap_record_sum(record, &s->stats);
	pagemap_stats_sub(&s->stats, &record->reset);
	s->longest_evict = atomic64_read(&record->longest_evict);

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_snapshot_next);

/**
 * pagemap_stats_reset() - let the counters of a device start again from zero
 * @drm: the device; all its pagemaps
 */
void pagemap_stats_reset(struct drm_device *drm)
{
	struct pagemap_record *record;
	u64 id = 0;

	guard(spinlock_irqsave)(&pagemap_records_lock);

	while ((record = pagemap_record_next(drm, id))) {
		id = record->id;
		pagemap_record_sum(record, &record->reset);
		atomic64_set(&record->longest_evict, 0);
	}
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_stats_reset);

static void pagemap_print_latency(struct drm_printer *p, const char *what,
				  const unsigned long *bucket)
{
	drm_printf(p, "    latency of %s:\n", what);
	for (unsigned int i = 0; i < PAGEMAP_LATENCY_BUCKETS; i++)
		if (bucket[i])
			drm_printf(p, "      >= %lu us: %lu\n",
				   i ? 1UL << (i - 1) : 0, bucket[i]);
}

static void pagemap_print_flow(struct drm_printer *p, const char *name,
			       const struct pagemap_flow *flow)
{
	drm_printf(p, "  %s:\n", name);
	drm_printf(p, "    batches: %lu\n", flow->batches);
	drm_printf(p, "    asked: %lu pages\n", flow->asked);
	drm_printf(p, "    moved: %lu pages\n", flow->moved);
	pagemap_print_latency(p, "single pages",
			      flow->latency[PAGEMAP_LATENCY_PAGES]);
	pagemap_print_latency(p, "blocks",
			      flow->latency[PAGEMAP_LATENCY_BLOCK]);
}

static void pagemap_print_usage(struct drm_printer *p,
				const struct pagemap_usage *usage)
{
	drm_puts(p, "  now:\n");
	drm_printf(p, "    allocations: %lu\n", usage->allocations);
	drm_printf(p, "    vram: %llu bytes\n", usage->vram);
	drm_printf(p, "    used: %llu bytes\n", usage->used);
	drm_printf(p, "    waste: %llu bytes\n", usage->vram - usage->used);
}

/**
 * pagemap_snapshot_print() - print the statistics of a pagemap
 * @p: where to
 * @s: what
 *
 * Of a histogram, only the buckets that have something.
 */
void pagemap_snapshot_print(struct drm_printer *p,
			    const struct pagemap_snapshot *s)
{
	unsigned int i;

	drm_printf(p, "pagemap %llu:\n", s->id);
	pagemap_print_usage(p, &s->usage);

	drm_puts(p, "  counters:\n");
	for (i = 0; i < PAGEMAP_NUM_STATS; i++)
		drm_printf(p, "    %s: %lu\n", pagemap_stat_names[i],
			   s->stats.count[i]);
	drm_printf(p, "    longest_evict: %llu us\n",
		   div_u64(s->longest_evict, NSEC_PER_USEC));

	drm_puts(p, "  outcomes:\n");
	for (i = 0; i < DRM_PAGEMAP_NUM_OUTCOMES; i++)
		drm_printf(p, "    %s: %lu pages\n", pagemap_outcome_names[i],
			   s->stats.outcome[i]);

	for (i = 0; i < PAGEMAP_NUM_DIRECTIONS; i++)
		pagemap_print_flow(p, pagemap_direction_names[i],
				   &s->stats.flow[i]);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_snapshot_print);

static int pagemap_stats_show(struct seq_file *m, void *data)
{
	struct drm_printer p = drm_seq_file_printer(m);
	struct pagemap_snapshot *s __free(kfree) = kzalloc_obj(*s);

	if (!s)
		return -ENOMEM;

	while (pagemap_snapshot_next(m->private, s))
		pagemap_snapshot_print(&p, s);

	return 0;
}

/* Whatever is written. */
static ssize_t pagemap_stats_write(struct file *file, const char __user *data,
				   size_t size, loff_t *pos)
{
	struct seq_file *m = file->private_data;

	pagemap_stats_reset(m->private);

	return size;
}

DEFINE_SHOW_STORE_ATTRIBUTE(pagemap_stats);

/**
 * drm_pagemap_debugfs_init() - show the statistics of a device's pagemaps
 * @drm: the device, which has its debugfs directory
 *
 * Makes a file drm_pagemap there. It tells about all pagemaps that the device
 * has when it is read, those that idle in a cache included, so that it does
 * not matter whether they are there already. It goes with the directory. To be
 * called once for a device; without debugfs it does nothing.
 *
 * Context: may sleep.
 */
void drm_pagemap_debugfs_init(struct drm_device *drm)
{
	/* Without a directory, the file would be for nobody in particular. */
	if (drm->debugfs_root)
		debugfs_create_file("drm_pagemap", 0600, drm->debugfs_root, drm,
				    &pagemap_stats_fops);
}
EXPORT_SYMBOL_GPL(drm_pagemap_debugfs_init);

void pagemap_debug_init(void)
{
	if (!IS_ENABLED(CONFIG_FAULT_INJECTION_DEBUG_FS))
		return;

	pagemap_debugfs_root = debugfs_create_dir("drm_pagemap", NULL);
	pagemap_inject_init(pagemap_debugfs_root);
}

void pagemap_debug_exit(void)
{
	debugfs_remove(pagemap_debugfs_root);
}

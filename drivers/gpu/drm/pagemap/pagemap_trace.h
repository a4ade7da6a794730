/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM drm_pagemap

#if !defined(_PAGEMAP_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _PAGEMAP_TRACE_H_

#include <drm/drm_device.h>
#include <linux/tracepoint.h>

#include "pagemap_report.h"

/*
 * The names of enums, for the events and debugfs alike. The last one is apart,
 * for lists that must not end with a comma.
 */
#define PAGEMAP_DIRECTION_NAMES(X, LAST)				\
	X(PAGEMAP_TO_DEVMEM, "to_devmem")				\
	X(PAGEMAP_CPU_FAULT, "cpu_fault")				\
	LAST(PAGEMAP_EVICT, "evict")

#define PAGEMAP_OUTCOME_NAMES(X, LAST)					\
	X(DRM_PAGEMAP_MOVED, "moved")					\
	X(DRM_PAGEMAP_PRESENT, "present")				\
	X(DRM_PAGEMAP_SKIP_UNKNOWN, "skip_unknown")			\
	X(DRM_PAGEMAP_SKIP_ABSENT, "skip_absent")			\
	X(DRM_PAGEMAP_SKIP_PINNED, "skip_pinned")			\
	X(DRM_PAGEMAP_SKIP_BUSY, "skip_busy")				\
	X(DRM_PAGEMAP_SKIP_UFFD, "skip_uffd")				\
	X(DRM_PAGEMAP_SKIP_ACCESS, "skip_access")			\
	X(DRM_PAGEMAP_SKIP_KSM, "skip_ksm")				\
	X(DRM_PAGEMAP_SKIP_DEVICE, "skip_device")			\
	X(DRM_PAGEMAP_SKIP_OTHERS, "skip_others")			\
	X(DRM_PAGEMAP_SKIP_NO_VRAM, "skip_no_vram")			\
	X(DRM_PAGEMAP_SKIP_DMA, "skip_dma")				\
	X(DRM_PAGEMAP_SKIP_COPY, "skip_copy")				\
	LAST(DRM_PAGEMAP_SKIP_RACED, "skip_raced")

/* For those who read the events' formats, which have the enums' names. */
#define PAGEMAP_TRACE_ENUM(value, name) TRACE_DEFINE_ENUM(value);
PAGEMAP_DIRECTION_NAMES(PAGEMAP_TRACE_ENUM, PAGEMAP_TRACE_ENUM)
PAGEMAP_OUTCOME_NAMES(PAGEMAP_TRACE_ENUM, PAGEMAP_TRACE_ENUM)
#ifndef __CHECKER__ /* which does not take a vm_fault_t for a number */
TRACE_DEFINE_ENUM(VM_FAULT_OOM);
TRACE_DEFINE_ENUM(VM_FAULT_SIGBUS);
TRACE_DEFINE_ENUM(VM_FAULT_MAJOR);
TRACE_DEFINE_ENUM(VM_FAULT_HWPOISON);
TRACE_DEFINE_ENUM(VM_FAULT_HWPOISON_LARGE);
TRACE_DEFINE_ENUM(VM_FAULT_SIGSEGV);
TRACE_DEFINE_ENUM(VM_FAULT_NOPAGE);
TRACE_DEFINE_ENUM(VM_FAULT_LOCKED);
TRACE_DEFINE_ENUM(VM_FAULT_RETRY);
TRACE_DEFINE_ENUM(VM_FAULT_FALLBACK);
TRACE_DEFINE_ENUM(VM_FAULT_DONE_COW);
TRACE_DEFINE_ENUM(VM_FAULT_NEEDDSYNC);
TRACE_DEFINE_ENUM(VM_FAULT_COMPLETED);
#endif
#undef PAGEMAP_TRACE_ENUM

#define PAGEMAP_TRACE_NAME(value, name) { value, name },
#define PAGEMAP_TRACE_LAST(value, name) { value, name }
#define pagemap_trace_direction(direction) __print_symbolic(direction,	\
	PAGEMAP_DIRECTION_NAMES(PAGEMAP_TRACE_NAME, PAGEMAP_TRACE_LAST))
#define pagemap_trace_outcome(outcome) __print_symbolic(outcome,	\
	PAGEMAP_OUTCOME_NAMES(PAGEMAP_TRACE_NAME, PAGEMAP_TRACE_LAST))
#define pagemap_trace_fault(result)					\
	__print_flags(result, "|", VM_FAULT_RESULT_TRACE)

TRACE_EVENT(drm_pagemap_migrate_begin,
	TP_PROTO(struct drm_pagemap *dpagemap, enum pagemap_direction direction,
		 unsigned long start, unsigned long pages),
	TP_ARGS(dpagemap, direction, start, pages),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned int, direction)
		__field(unsigned long, start)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->direction = direction;
		__entry->start = start;
		__entry->pages = pages;
	),
	TP_printk("dev=%s direction=%s start=0x%lx pages=%lu",
		  __get_str(dev), pagemap_trace_direction(__entry->direction),
		  __entry->start, __entry->pages)
);

TRACE_EVENT(drm_pagemap_migrate_end,
	TP_PROTO(struct drm_pagemap *dpagemap,
		 const struct pagemap_report *report),
	TP_ARGS(dpagemap, report),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned int, direction)
		__field(unsigned int, order)
		__field(unsigned long, start)
		__field(unsigned long, pages)
		__field(unsigned long, moved)
		__field(unsigned long, skipped)
		__field(u64, ns)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->direction = report->direction;
		__entry->order = report->order;
		__entry->start = report->start;
		__entry->pages = report->npages;
		__entry->moved = report->moved;
		__entry->skipped = report->npages - report->moved;
		__entry->ns = report->ns;
		__entry->err = report->err;
	),
	TP_printk("dev=%s direction=%s start=0x%lx pages=%lu moved=%lu skipped=%lu order=%u ns=%llu err=%d",
		  __get_str(dev), pagemap_trace_direction(__entry->direction),
		  __entry->start, __entry->pages, __entry->moved,
		  __entry->skipped, __entry->order, __entry->ns, __entry->err)
);

TRACE_EVENT(drm_pagemap_outcome,
	TP_PROTO(struct drm_pagemap *dpagemap, unsigned int outcome,
		 unsigned long pages),
	TP_ARGS(dpagemap, outcome, pages),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned int, outcome)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->outcome = outcome;
		__entry->pages = pages;
	),
	TP_printk("dev=%s outcome=%s pages=%lu", __get_str(dev),
		  pagemap_trace_outcome(__entry->outcome), __entry->pages)
);

TRACE_EVENT(drm_pagemap_cpu_fault,
	TP_PROTO(struct drm_pagemap *dpagemap, unsigned long addr,
		 unsigned long start, unsigned long end, u64 waited_ns,
		 vm_fault_t result),
	TP_ARGS(dpagemap, addr, start, end, waited_ns, result),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned long, addr)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(u64, waited_ns)
		__field(unsigned int, result)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->addr = addr;
		__entry->start = start;
		__entry->end = end;
		__entry->waited_ns = waited_ns;
		__entry->result = (__force unsigned int)result;
	),
	TP_printk("dev=%s addr=0x%lx window=0x%lx-0x%lx waited_ns=%llu result=%s",
		  __get_str(dev), __entry->addr, __entry->start, __entry->end,
		  __entry->waited_ns, pagemap_trace_fault(__entry->result))
);

TRACE_EVENT(drm_pagemap_window,
	TP_PROTO(struct drm_pagemap *dpagemap, unsigned long addr,
		 unsigned long old_size, unsigned long new_size),
	TP_ARGS(dpagemap, addr, old_size, new_size),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned long, addr)
		__field(unsigned long, old_size)
		__field(unsigned long, new_size)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->addr = addr;
		__entry->old_size = old_size;
		__entry->new_size = new_size;
	),
	TP_printk("dev=%s addr=0x%lx old=%lu new=%lu", __get_str(dev),
		  __entry->addr, __entry->old_size, __entry->new_size)
);

TRACE_EVENT(drm_pagemap_evict,
	TP_PROTO(struct drm_pagemap *dpagemap, unsigned long pages,
		 unsigned long left, u64 ns, int err),
	TP_ARGS(dpagemap, pages, left, ns, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned long, pages)
		__field(unsigned long, left)
		__field(u64, ns)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pages = pages;
		__entry->left = left;
		__entry->ns = ns;
		__entry->err = err;
	),
	TP_printk("dev=%s pages=%lu left=%lu ns=%llu err=%d", __get_str(dev),
		  __entry->pages, __entry->left, __entry->ns, __entry->err)
);

TRACE_EVENT(drm_pagemap_lost,
	TP_PROTO(struct drm_pagemap *dpagemap, unsigned long pfn),
	TP_ARGS(dpagemap, pfn),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned long, pfn)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->pfn = pfn;
	),
	TP_printk("dev=%s pfn=0x%lx", __get_str(dev), __entry->pfn)
);

TRACE_EVENT(drm_pagemap_copy_error,
	TP_PROTO(struct drm_pagemap *dpagemap, enum pagemap_direction direction,
		 int err),
	TP_ARGS(dpagemap, direction, err),
	TP_STRUCT__entry(
		__string(dev, dev_name(dpagemap->drm->dev))
		__field(unsigned int, direction)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->direction = direction;
		__entry->err = err;
	),
	TP_printk("dev=%s direction=%s err=%d", __get_str(dev),
		  pagemap_trace_direction(__entry->direction), __entry->err)
);

#endif /* _PAGEMAP_TRACE_H_ */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH ../../drivers/gpu/drm/pagemap
#define TRACE_INCLUDE_FILE pagemap_trace
#include <trace/define_trace.h>

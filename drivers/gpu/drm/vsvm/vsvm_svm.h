/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Shared virtual memory: how a process's memory gets to the GPU. */
#ifndef _VSVM_SVM_H_
#define _VSVM_SVM_H_

#include <drm/vsvm_drm.h>
#include <linux/mmu_notifier.h>
#include <linux/types.h>

struct drm_pagemap;
struct drm_pagemap_addr;
struct mm_struct;
struct vsvm_device;
struct vsvm_queue;
struct vsvm_range;
struct vsvm_target;
struct vsvm_vm;
struct work_struct;

/* Pages that a scan looks at in one go: a large page. */
#define VSVM_SCAN_PAGES	512

/**
 * struct vsvm_span - the mapping around an address
 * @start: first address of the VMA
 * @end: address after the last one
 * @read: the process may read it
 * @write: the process may write it
 * @anon: ordinary anonymous memory, which can go to VRAM
 */
struct vsvm_span {
	unsigned long start;
	unsigned long end;
	bool read;
	bool write;
	bool anon;
};

/**
 * struct vsvm_space - work space of who serves a fault, and of nobody else
 * @pfn: what a scan saw, in the words of hmm
 * @res: and in those of DRM_VSVM_RES_*
 */
struct vsvm_space {
	unsigned long pfn[VSVM_SCAN_PAGES];
	u8 res[VSVM_SCAN_PAGES];
};

/**
 * struct vsvm_scanner - looks where pages of an mm are
 * @notifier: covers the memory; tells if it changes meanwhile
 * @mm: whose memory
 * @vdev: whose VRAM counts as that of the device
 * @pfn: work space for VSVM_SCAN_PAGES pages
 */
struct vsvm_scanner {
	struct mmu_interval_notifier *notifier;
	struct mm_struct *mm;
	struct vsvm_device *vdev;
	unsigned long *pfn;
};

static inline bool vsvm_page_at_peer(u8 res)
{
	return (res & DRM_VSVM_RES_MASK) == DRM_VSVM_RES_PEER;
}

static inline bool vsvm_page_in_vram(u8 res)
{
	return (res & DRM_VSVM_RES_MASK) == DRM_VSVM_RES_DEVICE ||
	       vsvm_page_at_peer(res);
}

/* vsvm_svm.c */
int vsvm_svm_init(struct vsvm_vm *vm);
void vsvm_svm_unmap_all(struct vsvm_vm *vm);
void vsvm_svm_fini(struct vsvm_vm *vm);
void vsvm_svm_forget(struct vsvm_vm *vm, unsigned long start,
		     unsigned long end);
void vsvm_svm_link_work(struct work_struct *work);
int vsvm_svm_fault(struct vsvm_queue *queue, unsigned long addr, u32 access);
void vsvm_svm_unmap_dma(struct vsvm_vm *vm, struct vsvm_range *range);

/* vsvm_place.c */
int vsvm_span_at(struct mm_struct *mm, unsigned long addr,
		 struct vsvm_span *span);
int vsvm_span_check(struct mm_struct *mm, unsigned long start,
		    unsigned long end);
int vsvm_fault_in(struct mm_struct *mm, unsigned long addr);
int vsvm_read_in(struct mm_struct *mm, unsigned long start, unsigned long end,
		 bool write);
int vsvm_scan(struct vsvm_scanner *scanner, unsigned long start,
	      unsigned long end, u8 *res);
int vsvm_place_piece(const struct vsvm_target *to, struct mm_struct *mm,
		     unsigned long start, unsigned long size, bool is_part);
int vsvm_place_at_once(const struct vsvm_target *to, struct mm_struct *mm,
		       unsigned long start, unsigned long end);
int vsvm_place_in_vram(const struct vsvm_target *to, struct mm_struct *mm,
		       unsigned long start, unsigned long end, const u8 *res,
		       unsigned long min_size);
int vsvm_place_back(struct vsvm_scanner *scanner, unsigned long start,
		    unsigned long end, const u8 *res);
int vsvm_place_in_ram(const struct vsvm_vm *vm, struct vsvm_scanner *scanner,
		      unsigned long start, unsigned long end);

/* vsvm_migrate.c */
u64 vsvm_addr_offset(struct vsvm_device *vdev,
		     const struct drm_pagemap_addr *addr);

#endif /* _VSVM_SVM_H_ */

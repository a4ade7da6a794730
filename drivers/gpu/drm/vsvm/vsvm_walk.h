/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Requests that go over memory of a process. */
#ifndef _VSVM_WALK_H_
#define _VSVM_WALK_H_

#include <linux/cleanup.h>
#include <linux/mmu_notifier.h>

#include "vsvm_peer.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

/* A request that goes over memory of the caller, one large page at a time. */
struct vsvm_walk {
	struct vsvm_vm *vm;
	struct vsvm_target to;		/* of no meaning for DRM_VSVM_LOC_SYSTEM */
	u32 location;
	struct vsvm_scanner scanner;
	struct mmu_interval_notifier notifier;
	unsigned long start;
	unsigned long end;
	unsigned long pfn[VSVM_SCAN_PAGES];
	u8 before[VSVM_SCAN_PAGES];
	u8 after[VSVM_SCAN_PAGES];
};

int vsvm_walk_prime(struct mm_struct *mm);
int vsvm_check_range(u64 start, u64 length, u64 limit, u64 *end);
struct vsvm_walk *vsvm_walk_create(struct vsvm_vm *vm, u64 start, u64 end);
int vsvm_walk_aim(struct vsvm_walk *walk, u32 location);
int vsvm_walk_scan(struct vsvm_walk *walk, unsigned long start,
		   unsigned long end, u8 *res);
void vsvm_walk_free(struct vsvm_walk *walk);
unsigned long vsvm_walk_next(struct vsvm_walk *walk, unsigned long addr);

DEFINE_FREE(vsvm_walk, struct vsvm_walk *, vsvm_walk_free(_T))

#endif /* _VSVM_WALK_H_ */

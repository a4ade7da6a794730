/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* SVM ranges: what the service of faults asks of them. */
#ifndef _VSVM_RANGE_H_
#define _VSVM_RANGE_H_

#include <drm/drm_gpusvm.h>

#include "vsvm_svm.h"
#include "vsvm_vm.h"

/* Sizes of ranges, in descending order. */
#define VSVM_NUM_CHUNKS	3
extern const unsigned long vsvm_chunks[VSVM_NUM_CHUNKS];

static inline unsigned long vsvm_range_npages(struct vsvm_range *range)
{
	return drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT;
}

/* vsvm_range.c */
void vsvm_range_unmap(struct vsvm_vm *vm, struct vsvm_range *range);
void vsvm_range_remove(struct vsvm_vm *vm, struct vsvm_range *range);
struct vsvm_range *
vsvm_range_find(struct vsvm_vm *vm, unsigned long addr,
		const struct vsvm_span *span, unsigned long window,
		const struct drm_gpusvm_ctx *ctx);
void vsvm_range_release(struct vsvm_range *range);
int vsvm_range_map(struct vsvm_vm *vm, struct vsvm_range *range);

/* vsvm_look.c */
int vsvm_range_scan(struct vsvm_vm *vm, struct vsvm_range *range,
		    struct vsvm_device *vdev, struct vsvm_space *space);
int vsvm_range_unshare(struct vsvm_vm *vm, struct vsvm_range *range,
		       struct vsvm_space *space);
int vsvm_range_go_home(struct vsvm_vm *vm, struct vsvm_range *range,
		       struct vsvm_space *space);
int vsvm_range_get_pages(struct vsvm_vm *vm, struct vsvm_range *range,
			 struct vsvm_space *space,
			 const struct drm_gpusvm_ctx *ctx);

#endif /* _VSVM_RANGE_H_ */

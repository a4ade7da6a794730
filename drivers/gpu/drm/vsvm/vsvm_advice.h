/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the user said about how memory will be used. */
#ifndef _VSVM_ADVICE_H_
#define _VSVM_ADVICE_H_

#include <linux/types.h>

struct drm_device;
struct drm_file;
struct vsvm_vm;

/**
 * struct vsvm_advice - how memory will be used
 * @location: where it is to be when the GPU has touched it: DRM_VSVM_LOC_*
 * @granularity: smallest piece that a fault moves, in bytes
 * @atomic: what an atomic operation does: DRM_VSVM_ATOMIC_*
 * @start: first address that it holds for
 * @last: the last one
 */
struct vsvm_advice {
	u32 location;
	u32 granularity;
	u32 atomic;
	unsigned long start;
	unsigned long last;
};

void vsvm_advice_at(struct vsvm_vm *vm, unsigned long addr,
		    struct vsvm_advice *advice);
void vsvm_advice_fini(struct vsvm_vm *vm);
int vsvm_madvise_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file);

#endif /* _VSVM_ADVICE_H_ */

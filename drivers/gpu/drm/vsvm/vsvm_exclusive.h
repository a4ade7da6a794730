/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Pages that are taken from the CPU, for atomic operations of the GPU. */
#ifndef _VSVM_EXCLUSIVE_H_
#define _VSVM_EXCLUSIVE_H_

#include <linux/types.h>

struct drm_device;
struct drm_file;
struct mmu_notifier_range;
struct vsvm_queue;
struct vsvm_range;
struct vsvm_span;
struct vsvm_vm;

bool vsvm_exclusive_spared(const struct vsvm_range *range,
			   const struct mmu_notifier_range *mmu_range);
void vsvm_exclusive_end(struct vsvm_vm *vm, struct vsvm_range *range);
int vsvm_exclusive_take(struct vsvm_vm *vm, unsigned long addr,
			const struct vsvm_span *span, struct vsvm_queue *queue);
int vsvm_exclusive_look(struct vsvm_vm *vm, unsigned long start,
			unsigned long end, u8 *res);
int vsvm_exclusive_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file);

#endif /* _VSVM_EXCLUSIVE_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Memory on its way to where the user wants it. */
#ifndef _VSVM_PREFETCH_H_
#define _VSVM_PREFETCH_H_

struct drm_device;
struct drm_file;
struct vsvm_vm;
struct work_struct;

void vsvm_prefetch_work(struct work_struct *work);
void vsvm_prefetch_cancel_all(struct vsvm_vm *vm);
int vsvm_prefetch_ioctl(struct drm_device *drm, void *data,
			struct drm_file *file);

#endif /* _VSVM_PREFETCH_H_ */

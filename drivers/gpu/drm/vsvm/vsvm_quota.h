/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a client may have of a device. */
#ifndef _VSVM_QUOTA_H_
#define _VSVM_QUOTA_H_

struct vsvm_device;
struct vsvm_vm;

void vsvm_quota_init(struct vsvm_device *vdev);
int vsvm_quota_enter(struct vsvm_vm *vm);
void vsvm_quota_leave(struct vsvm_vm *vm);

#endif /* _VSVM_QUOTA_H_ */

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How many address spaces a client may have of a device, so that there are some
 * for others.
 *
 * One counts until the last trace of it is gone, not just until it is closed: if
 * a worker that waits for user space was left behind, so were the queues.
 */
#include <linux/capability.h>
#include <linux/cred.h>

#include "vsvm_quota.h"
#include "vsvm_vm.h"

/* Of a process, and of a user; the hardware has VSVM_MAX_VMS. */
#define VSVM_PROCESS_VMS	16
#define VSVM_USER_VMS		48

/**
 * vsvm_quota_init - prepare what a device keeps of its clients
 * @vdev: device
 */
void vsvm_quota_init(struct vsvm_device *vdev)
{
	spin_lock_init(&vdev->quota_lock);
	INIT_LIST_HEAD(&vdev->quota_vms);
}

/**
 * vsvm_quota_enter - count a new address space for who makes it
 * @vm: address space
 *
 * As a user, who may go beyond resource limits has no bound.
 *
 * Return: 0, or -EDQUOT if the process or the user has as many as it may have.
 */
int vsvm_quota_enter(struct vsvm_vm *vm)
{
	const bool may_exceed = capable(CAP_SYS_RESOURCE);
	struct vsvm_device *vdev = vm->vdev;
	unsigned int process = 0, user = 0;
	struct vsvm_vm *other;

	vm->uid = current_uid();
	guard(spinlock)(&vdev->quota_lock);
	list_for_each_entry(other, &vdev->quota_vms, quota_link) {
		process += other->mm == vm->mm;
		user += uid_eq(other->uid, vm->uid);
	}
	if (process >= VSVM_PROCESS_VMS ||
	    (user >= VSVM_USER_VMS && !may_exceed))
		return -EDQUOT;
	list_add_tail(&vm->quota_link, &vdev->quota_vms);
	return 0;
}

/**
 * vsvm_quota_leave - an address space is no more
 * @vm: address space, counted or not
 */
void vsvm_quota_leave(struct vsvm_vm *vm)
{
	guard(spinlock)(&vm->vdev->quota_lock);
	list_del_init(&vm->quota_link);
}

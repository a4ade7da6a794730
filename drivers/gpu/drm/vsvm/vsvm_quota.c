// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a client may have of a device, so that there is something for others.
 *
 *	address spaces	a process and a user may have so many
 *	page tables	all share a part of VRAM, and
 *	ranges		a part of system memory: see vsvm_reclaim.c
 *
 * Ranges and the structures of tables are also charged to the memory cgroup of
 * the process; what drm_gpusvm keeps for a range, which is most of it, is not.
 *
 * An address space counts until the last trace of it is gone, not just until it is
 * closed: if a worker that waits for user space was left behind, so were the
 * queues.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "vsvm_quota.h"
#include "vsvm_vm.h"

/* Of a process, and of a user; the hardware has VSVM_MAX_VMS. */
#define VSVM_PROCESS_VMS	16
#define VSVM_USER_VMS		48

/* How much of VRAM may be page tables: leave the rest for what they map. */
#define VSVM_TABLES_SHARE	2

/* How much of system memory ranges may be: a range of 2 MiB needs 8 KiB. */
#define VSVM_RANGES_SHARE	32
#define VSVM_MIN_RANGES		SZ_64K

/**
 * vsvm_quota_init - prepare what a device keeps of its clients
 * @vdev: device
 */
void vsvm_quota_init(struct vsvm_device *vdev)
{
	spin_lock_init(&vdev->quota_lock);
	INIT_LIST_HEAD(&vdev->quota_vms);
	vdev->pool[VSVM_POOL_RANGES] = (struct vsvm_pool) {
		.limit = PFN_PHYS(totalram_pages()) / VSVM_RANGES_SHARE,
		.least = VSVM_MIN_RANGES,
	};
}

/**
 * vsvm_quota_init_vram - divide VRAM
 * @vdev: device, connected to its hardware
 */
void vsvm_quota_init_vram(struct vsvm_device *vdev)
{
	vdev->pool[VSVM_POOL_TABLES] = (struct vsvm_pool) {
		.limit = vdev->hw->vram_size / VSVM_TABLES_SHARE,
		.least = VSVM_MIN_TABLES * VSVM_HW_PAGE_SIZE,
	};
}

/**
 * vsvm_quota_max_vms - how many address spaces the device has
 * @vdev: device
 *
 * Return: as many as it has queues for, and as can have the page tables that an
 * access needs.
 */
unsigned int vsvm_quota_max_vms(const struct vsvm_device *vdev)
{
	const u64 tables = vdev->hw->vram_size / VSVM_TABLES_SHARE;

	return clamp(div64_u64(tables, VSVM_MIN_TABLES * VSVM_HW_PAGE_SIZE), 1,
		     VSVM_MAX_VMS);
}

/**
 * vsvm_quota_add - an address space has more, or less, of a pool
 * @vm: address space
 * @pool: which
 * @bytes: how much more
 */
void vsvm_quota_add(struct vsvm_vm *vm, enum vsvm_pool_id pool, s64 bytes)
{
	atomic64_add(bytes, &vm->used[pool]);
	atomic64_add(bytes, &vm->vdev->pool[pool].used);
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

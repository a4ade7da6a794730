// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a client may have of a device, so that there is something for others.
 *
 *	address spaces	a process and a user may have so many
 *	jobs		a queue has so many that have not ended (vsvm_sched.c), and
 *			the hardware gives each queue its turn
 *	objects		those of a user may be so large, all together
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
#include <linux/slab.h>

#include "vsvm_quota.h"
#include "vsvm_vm.h"

/* Of a process, and of a user; the hardware has VSVM_MAX_VMS. */
#define VSVM_PROCESS_VMS	16
#define VSVM_USER_VMS		48

/* How much of VRAM may be page tables: leave the rest for what they map. */
#define VSVM_TABLES_SHARE	2

/*
 * How much of system memory the objects of a user may be, wherever they are. TTM
 * charges their pages to nobody, and has no more than half of memory for all.
 */
#define VSVM_OBJECTS_SHARE	4

/**
 * struct vsvm_user - what a user has on a device
 * @link: in vsvm_device.quota_users
 * @uid: who it is
 * @objects: how many
 * @bytes: how large they are
 *
 * Protected by vsvm_device.quota_lock. One that has no objects is freed.
 */
struct vsvm_user {
	struct list_head link;
	kuid_t uid;
	unsigned int objects;
	u64 bytes;
};

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
	INIT_LIST_HEAD(&vdev->quota_users);
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

/* The one there is already, or the new one, which is used up then. */
static struct vsvm_user *vsvm_user_find(struct vsvm_device *vdev,
					struct vsvm_user **new)
{
	struct vsvm_user *user;

	lockdep_assert_held(&vdev->quota_lock);
	list_for_each_entry(user, &vdev->quota_users, link) {
		if (uid_eq(user->uid, current_uid()))
			return user;
	}
	user = *new;
	user->uid = current_uid();
	list_add_tail(&user->link, &vdev->quota_users);
	*new = NULL;
	return user;
}

/* As vsvm_user_put(), with the lock. Return: what is to be freed, or NULL. */
static struct vsvm_user *vsvm_user_put_locked(struct vsvm_user *user, u64 bytes)
{
	user->bytes -= bytes;
	if (--user->objects)
		return NULL;
	list_del(&user->link);
	return user;
}

/**
 * vsvm_user_get - count an object for the user who makes it
 * @vdev: device
 * @bytes: how large it is
 *
 * Who may go beyond resource limits has no bound.
 *
 * Return: the user, or ERR_PTR() of -EDQUOT if he has as much as he may have, or
 * -ENOMEM.
 */
struct vsvm_user *vsvm_user_get(struct vsvm_device *vdev, u64 bytes)
{
	const u64 limit = PFN_PHYS(totalram_pages()) / VSVM_OBJECTS_SHARE;
	const bool may_exceed = capable(CAP_SYS_RESOURCE);
	struct vsvm_user *user, *unused __free(kfree) = NULL;
	struct vsvm_user *new __free(kfree) =
		kzalloc_obj(*new, GFP_KERNEL_ACCOUNT);

	if (!new)
		return ERR_PTR(-ENOMEM);
	guard(spinlock)(&vdev->quota_lock);
	user = vsvm_user_find(vdev, &new);
	user->objects++;
	user->bytes += bytes;
	if (user->bytes <= limit || may_exceed)
		return user;
	unused = vsvm_user_put_locked(user, bytes);
	return ERR_PTR(-EDQUOT);
}

/**
 * vsvm_user_put - an object is no more
 * @vdev: device
 * @user: whose it was
 * @bytes: how large it was
 */
void vsvm_user_put(struct vsvm_device *vdev, struct vsvm_user *user, u64 bytes)
{
	struct vsvm_user *unused;

	scoped_guard(spinlock, &vdev->quota_lock)
		unused = vsvm_user_put_locked(user, bytes);
	kfree(unused);
}

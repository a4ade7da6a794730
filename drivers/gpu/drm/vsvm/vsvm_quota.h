/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a client may have of a device. */
#ifndef _VSVM_QUOTA_H_
#define _VSVM_QUOTA_H_

#include <linux/atomic.h>
#include <linux/types.h>

struct vsvm_device;
struct vsvm_vm;

/*
 * Page tables that nobody takes from an address space: the root, and three for
 * each of the four pages that an access of the GPU needs at a time.
 */
#define VSVM_MIN_TABLES		16

enum vsvm_pool_id {
	VSVM_POOL_TABLES,
	VSVM_POOL_RANGES,
	VSVM_NUM_POOLS,
};

/**
 * struct vsvm_pool - something that all address spaces of a device share
 * @used: bytes that they have; may be more than @limit for a moment
 * @limit: if it is more than that, who has most gives some back
 * @least: what each can have in any case
 */
struct vsvm_pool {
	atomic64_t used;
	u64 limit;
	u64 least;
};

struct vsvm_user;

/* vsvm_quota.c */
void vsvm_quota_init(struct vsvm_device *vdev);
void vsvm_quota_init_vram(struct vsvm_device *vdev);
unsigned int vsvm_quota_max_vms(const struct vsvm_device *vdev);
void vsvm_quota_add(struct vsvm_vm *vm, enum vsvm_pool_id pool, s64 bytes);
int vsvm_quota_enter(struct vsvm_vm *vm);
void vsvm_quota_leave(struct vsvm_vm *vm);
struct vsvm_user *vsvm_user_get(struct vsvm_device *vdev, u64 bytes);
void vsvm_user_put(struct vsvm_device *vdev, struct vsvm_user *user, u64 bytes);

/* vsvm_reclaim.c */
void vsvm_reclaim(struct vsvm_vm *vm);
bool vsvm_reclaim_tables(struct vsvm_vm *vm);

#endif /* _VSVM_QUOTA_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Devices that reach each other's VRAM over a link. */
#ifndef _VSVM_PEER_H_
#define _VSVM_PEER_H_

#include <linux/types.h>

#include "vsvm_drv.h"

struct dentry;

/*
 * Interconnect of an address that is VRAM of device @id. The address is an
 * offset into it, and a bit that keeps it from being 0, which means a hole.
 */
#define VSVM_INTERCONNECT_PEER(id)	(VSVM_INTERCONNECT_VRAM + 1 + (id))
#define VSVM_PEER_ADDR			BIT_ULL(52)

/* Numbers of devices that can have a link: the hardware's field for it. */
#define VSVM_MAX_PEERS			256

/**
 * struct vsvm_target - VRAM that memory is to go to
 * @vdev: whose
 * @dpagemap: its pagemap, referenced, which keeps @vdev
 * @timeslice_ms: how long it is to stay there at least
 */
struct vsvm_target {
	struct vsvm_device *vdev;
	struct drm_pagemap *dpagemap;
	unsigned long timeslice_ms;
};

/* The hardware's address of an offset into a peer's VRAM. */
static inline u64 vsvm_peer_hw_addr(const struct drm_pagemap_addr *addr)
{
	const u64 id = addr->proto - VSVM_INTERCONNECT_PEER(0);

	return id << VSVM_PTE_PEER_SHIFT | (addr->addr & ~VSVM_PEER_ADDR);
}

static inline bool vsvm_addr_is_peer(const struct drm_pagemap_addr *addr)
{
	return addr->proto > VSVM_INTERCONNECT_VRAM;
}

int vsvm_peer_join(struct vsvm_device *vdev);
bool vsvm_peer_may_link(const struct vsvm_device *one,
			const struct vsvm_device *other);
bool vsvm_peer_linked(const struct vsvm_device *one,
		      const struct vsvm_device *other);
bool vsvm_peer_reaches(const struct device *dev,
		       const struct vsvm_device *owner);
bool vsvm_peer_all_linked(const struct vsvm_device *vdev);
unsigned int vsvm_peer_count(const struct vsvm_device *vdev);
void vsvm_peer_copied(const struct drm_pagemap_addr *addr, u64 bytes);
void vsvm_peer_debugfs(struct vsvm_device *vdev, struct dentry *root);
void vsvm_peer_lost_work(struct work_struct *work);
int vsvm_location_check(struct vsvm_device *vdev, u32 location);
int vsvm_target_get(struct vsvm_target *target, struct vsvm_device *vdev,
		    struct drm_pagemap *dpagemap, u32 location);
void vsvm_target_put(struct vsvm_target *target);

#endif /* _VSVM_PEER_H_ */

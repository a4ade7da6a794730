// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Devices that reach each other's VRAM over a link.
 *
 * Those that could have one share an owner, so that mm lets them see each
 * other's pages. Whether it is plugged in at a moment is asked when an address
 * is made; without one memory goes by way of RAM. Who unplugs it tells nobody:
 * jobs that use it fail, and that is when the driver takes the mappings away.
 *
 * Nothing of a peer is held but by the memory that is mapped or moved, so that
 * an idle peer can go at any time.
 */
#include <drm/drm_drv.h>
#include <linux/debugfs.h>
#include <linux/kstrtox.h>
#include <linux/rculist.h>

#include "vsvm_peer.h"
#include "vsvm_vm.h"

/* All bound devices, for readers under RCU. */
static LIST_HEAD(vsvm_peers);
/* For those who change the list; nothing below. */
static DEFINE_MUTEX(vsvm_peers_lock);

static void vsvm_peer_leave(void *data)
{
	struct vsvm_device *vdev = data;

	scoped_guard(mutex, &vsvm_peers_lock)
		list_del_rcu(&vdev->peer_link);
	WRITE_ONCE(vdev->link_up, false);
	synchronize_rcu();
	cancel_work_sync(&vdev->link_work);
}

static bool vsvm_peer_has_link(const struct vsvm_device *vdev)
{
	return vdev->linkable && vdev->id < VSVM_MAX_PEERS;
}

/**
 * vsvm_peer_may_link - could two devices ever have a link?
 * @one: device, bound or not
 * @other: another one
 *
 * Return: true if so. The answer is always the same.
 */
bool vsvm_peer_may_link(const struct vsvm_device *one,
			const struct vsvm_device *other)
{
	return vsvm_peer_has_link(one) && vsvm_peer_has_link(other) &&
	       one->family == other->family;
}

/**
 * vsvm_peer_join - let other devices find this one
 * @vdev: device with VRAM
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_peer_join(struct vsvm_device *vdev)
{
	WRITE_ONCE(vdev->link_up, vsvm_peer_has_link(vdev));
	scoped_guard(mutex, &vsvm_peers_lock)
		list_add_tail_rcu(&vdev->peer_link, &vsvm_peers);
	return devm_add_action_or_reset(vdev->drm.dev, vsvm_peer_leave, vdev);
}

/**
 * vsvm_peer_linked - is there a link between two devices now?
 * @one: device
 * @other: another one
 *
 * Return: true if so.
 */
bool vsvm_peer_linked(const struct vsvm_device *one,
		      const struct vsvm_device *other)
{
	return one != other && READ_ONCE(one->link_up) &&
	       READ_ONCE(other->link_up) && vsvm_peer_may_link(one, other);
}

/**
 * vsvm_peer_reaches - can a device reach the VRAM of another one?
 * @dev: any device
 * @owner: whose VRAM
 *
 * Context: any.
 *
 * Return: true if @dev is one of ours, and has a link to @owner.
 */
bool vsvm_peer_reaches(const struct device *dev, const struct vsvm_device *owner)
{
	struct vsvm_device *vdev;

	guard(rcu)();
	list_for_each_entry_rcu(vdev, &vsvm_peers, peer_link) {
		if (vdev->drm.dev == dev)
			return vsvm_peer_linked(vdev, owner);
	}
	return false;
}

/**
 * vsvm_peer_count - how many devices have a link to this one now?
 * @vdev: device
 *
 * Return: the number.
 */
unsigned int vsvm_peer_count(const struct vsvm_device *vdev)
{
	struct vsvm_device *other;
	unsigned int num = 0;

	guard(rcu)();
	list_for_each_entry_rcu(other, &vsvm_peers, peer_link)
		num += vsvm_peer_linked(vdev, other);
	return num;
}

/**
 * vsvm_peer_all_linked - do all other devices have a link to this one now?
 * @vdev: device
 *
 * Return: true if so.
 */
bool vsvm_peer_all_linked(const struct vsvm_device *vdev)
{
	struct vsvm_device *other;

	guard(rcu)();
	list_for_each_entry_rcu(other, &vsvm_peers, peer_link) {
		if (other != vdev && !vsvm_peer_linked(vdev, other))
			return false;
	}
	return true;
}

/**
 * vsvm_peer_copied - account for what another device wrote to VRAM
 * @addr: where it wrote to
 * @bytes: how much
 *
 * Context: any.
 */
void vsvm_peer_copied(const struct drm_pagemap_addr *addr, u64 bytes)
{
	struct vsvm_device *vdev;

	guard(rcu)();
	list_for_each_entry_rcu(vdev, &vsvm_peers, peer_link) {
		if (addr->proto == VSVM_INTERCONNECT_PEER(vdev->id))
			vsvm_stat_add(vdev, VSVM_STAT_LINK_BYTES, bytes);
	}
}

/* The GPU finds out when it uses what is mapped over it. */
static void vsvm_peer_set_link(struct vsvm_device *vdev, bool up)
{
	if (!up)
		WRITE_ONCE(vdev->link_up, false);
	vdev->hw->ops->set_link(vdev->hw, up);
	if (up)
		WRITE_ONCE(vdev->link_up, true);
}

static ssize_t vsvm_peer_link_write(struct file *file, const char __user *user,
				    size_t size, loff_t *pos)
{
	struct vsvm_device *vdev = file->private_data;
	bool up;
	int err;

	err = kstrtobool_from_user(user, size, &up);
	if (err)
		return err;
	if (!vsvm_peer_has_link(vdev))
		return -ENXIO;
	vsvm_peer_set_link(vdev, up);
	return size;
}

static const struct debugfs_short_fops vsvm_peer_link_fops = {
	.write = vsvm_peer_link_write,
};

/**
 * vsvm_peer_debugfs - make the file that pulls the link out
 * @vdev: device
 * @root: its directory
 */
void vsvm_peer_debugfs(struct vsvm_device *vdev, struct dentry *root)
{
	debugfs_create_file("link", 0200, root, vdev, &vsvm_peer_link_fops);
}

/**
 * vsvm_peer_lost_work - take away what is mapped over the link
 * @work: vsvm_device.link_work
 *
 * An access to a peer failed. Who touches the memory again asks anew. Each
 * address space does it by itself: one that is at work for long holds up no
 * other.
 */
void vsvm_peer_lost_work(struct work_struct *work)
{
	struct vsvm_device *vdev =
		container_of(work, struct vsvm_device, link_work);
	struct vsvm_vm *vms[VSVM_MAX_VMS];
	unsigned int num, i;

	num = vsvm_vm_collect(vdev, vms, ARRAY_SIZE(vms));
	for (i = 0; i < num; i++) {
		queue_work(vdev->svm_wq, &vms[i]->link_work);
		vsvm_vm_put(vms[i]);
	}
}

/* Device number @id if it is another one with a link to @vdev; a reference. */
static struct vsvm_device *vsvm_peer_find(struct vsvm_device *vdev,
					  unsigned int id)
{
	struct vsvm_device *other;

	guard(rcu)();
	list_for_each_entry_rcu(other, &vsvm_peers, peer_link) {
		if (other->id == id && vsvm_peer_linked(vdev, other)) {
			drm_dev_get(&other->drm);
			return other;
		}
	}
	return NULL;
}

static bool vsvm_location_is_own(const struct vsvm_device *vdev, u32 location)
{
	return location == DRM_VSVM_LOC_DEVICE ||
	       location == DRM_VSVM_LOC_DEVICE_ID(vdev->id);
}

static bool vsvm_location_is_peer(u32 location)
{
	return location >= DRM_VSVM_LOC_DEVICE_ID(0) &&
	       location < DRM_VSVM_LOC_DEVICE_ID(VSVM_MAX_PEERS);
}

/**
 * vsvm_location_check - is this a place that memory can go to?
 * @vdev: device that asks
 * @location: what the user wrote
 *
 * Return: 0; -EINVAL if it is none; -ENXIO if there is no such device, or no
 * link to it now.
 */
int vsvm_location_check(struct vsvm_device *vdev, u32 location)
{
	struct vsvm_device *peer;

	if (location == DRM_VSVM_LOC_SYSTEM || vsvm_location_is_own(vdev, location))
		return 0;
	if (!vsvm_location_is_peer(location))
		return -EINVAL;
	peer = vsvm_peer_find(vdev, location - DRM_VSVM_LOC_DEVICE_ID(0));
	if (!peer)
		return -ENXIO;
	drm_dev_put(&peer->drm);
	return 0;
}

static int vsvm_target_get_peer(struct vsvm_target *target,
				struct vsvm_device *peer)
{
	struct drm_pagemap *dpagemap;
	int idx;

	if (!drm_dev_enter(&peer->drm, &idx))
		return -ENXIO;
	dpagemap = vsvm_pagemap_get(peer);
	drm_dev_exit(idx);
	if (IS_ERR(dpagemap))
		return PTR_ERR(dpagemap);
	target->vdev = peer;
	target->dpagemap = dpagemap;
	return 0;
}

/**
 * vsvm_target_get - find the VRAM that a location stands for
 * @target: gets it
 * @vdev: device that asks
 * @dpagemap: its own pagemap, or NULL if the address space was closed
 * @location: other than DRM_VSVM_LOC_SYSTEM
 *
 * Context: process; may be interrupted.
 *
 * Return: 0, and vsvm_target_put() must follow; -ECANCELED without @dpagemap;
 * -EINVAL and -ENXIO as vsvm_location_check(); -ENOMEM, -EINTR, -ERESTARTSYS.
 */
int vsvm_target_get(struct vsvm_target *target, struct vsvm_device *vdev,
		    struct drm_pagemap *dpagemap, u32 location)
{
	struct vsvm_device *peer;
	int err;

	target->timeslice_ms = vdev->config.timeslice_ms;
	target->vdev = vdev;
	target->dpagemap = NULL;
	if (vsvm_location_is_own(vdev, location)) {
		target->dpagemap = drm_pagemap_get(dpagemap);
		return dpagemap ? 0 : -ECANCELED;
	}
	if (!vsvm_location_is_peer(location))
		return -EINVAL;
	peer = vsvm_peer_find(vdev, location - DRM_VSVM_LOC_DEVICE_ID(0));
	if (!peer)
		return -ENXIO;
	err = vsvm_target_get_peer(target, peer);
	/* From here on the pagemap keeps it. */
	drm_dev_put(&peer->drm);
	return err;
}

/**
 * vsvm_target_put - done with it
 * @target: what vsvm_target_get() gave
 */
void vsvm_target_put(struct vsvm_target *target)
{
	drm_pagemap_put(target->dpagemap);
}

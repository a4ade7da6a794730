// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A device whose hardware is gone: its engines ended, and what was in VRAM with
 * them. All that is left to do is to tell, and to begin anew:
 *
 *	interrupt -> jobs and copies end with an error
 *		  -> unbind: memory that was in VRAM only is lost, page by page,
 *		     and who touches it gets a signal; all else is as it was
 *		  -> bind: to the engines that took the place of the others
 *
 * For user space it is as if the GPU had been pulled out and another one plugged
 * in: open files give -ENODEV, and the device can be opened again.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "vsvm_drv.h"
#include "vsvm_keep.h"
#include "vsvm_pci.h"

/* New engines may take a moment, or end at once like those before. */
#define VSVM_REBIND_TRIES	30
#define VSVM_REBIND_MS		100
/* Hardware that is lost again and again is not to keep anybody busy. */
#define VSVM_REBIND_EVERY	HZ

/* Outlives the device that it is about. */
struct vsvm_rebind {
	struct work_struct work;
	struct device *dev;
	struct vsvm_device *vdev;	/* referenced, so that no other is like it */
};

static bool vsvm_lost_exiting;
/* When a device was bound anew, in jiffies; of all of them. */
static unsigned long vsvm_rebound;

/* Somebody else may have unbound it meanwhile, and not want it back. */
static bool vsvm_rebind_wanted(const struct vsvm_rebind *rebind)
{
	guard(device)(rebind->dev);
	return dev_get_drvdata(rebind->dev) == rebind->vdev;
}

static void vsvm_rebind_attach(struct device *dev)
{
	unsigned int i;

	/* Does nothing to a device that has a driver. */
	for (i = 0; i < VSVM_REBIND_TRIES && !READ_ONCE(vsvm_lost_exiting); i++) {
		if (device_attach(dev))
			return;
		msleep(VSVM_REBIND_MS);
	}
	dev_err(dev, "cannot be bound again\n");
}

static void vsvm_rebind_work(struct work_struct *work)
{
	struct vsvm_rebind *rebind =
		container_of(work, struct vsvm_rebind, work);
	const unsigned long next = READ_ONCE(vsvm_rebound) + VSVM_REBIND_EVERY;
	struct device *dev = rebind->dev;
	const bool wanted = vsvm_rebind_wanted(rebind);

	drm_dev_put(&rebind->vdev->drm);
	if (wanted) {
		device_release_driver(dev);
		if (time_before(jiffies, next))
			schedule_timeout_uninterruptible(next - jiffies);
		WRITE_ONCE(vsvm_rebound, jiffies);
		vsvm_rebind_attach(dev);
	}
	put_device(dev);
	kfree(rebind);
}

/**
 * vsvm_lost_work - end what waits for hardware that is gone
 * @work: vsvm_device.lost_work
 */
void vsvm_lost_work(struct work_struct *work)
{
	struct vsvm_device *vdev =
		container_of(work, struct vsvm_device, lost_work);
	struct vsvm_rebind *rebind;

	vsvm_rings_kill(vdev);
	drm_err(&vdev->drm, "the hardware is gone, and what was in VRAM with it\n");
	rebind = kzalloc_obj(*rebind, GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&rebind->work, vsvm_rebind_work);
	rebind->dev = get_device(vdev->drm.dev);
	drm_dev_get(&vdev->drm);
	rebind->vdev = vdev;
	queue_work(vsvm_close_wq, &rebind->work);
}

/**
 * vsvm_lost - the hardware of a device is gone
 * @data: struct vsvm_device
 *
 * Context: any, once in its life.
 */
void vsvm_lost(void *data)
{
	struct vsvm_device *vdev = data;

	WRITE_ONCE(vdev->lost, true);
	queue_work(system_highpri_wq, &vdev->lost_work);
}

static void vsvm_lost_fini(struct drm_device *drm, void *unused)
{
	vsvm_keep_put(to_vsvm(drm)->keep);
}

/**
 * vsvm_lost_init - be prepared for the loss of a device that is only stuck
 * @vdev: device without a transport
 *
 * Hardware in this kernel stops when it is told to.
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_lost_init(struct vsvm_device *vdev)
{
	if (!vsvm_pci_of(vdev->drm.dev))
		return 0;
	vdev->keep = vsvm_keep_get(vdev->drm.dev);
	return vdev->keep ?
	       drmm_add_action_or_reset(&vdev->drm, vsvm_lost_fini, NULL) : -ENOMEM;
}

/**
 * vsvm_lost_module_exit - no device is to be bound again
 */
void vsvm_lost_module_exit(void)
{
	WRITE_ONCE(vsvm_lost_exiting, true);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Runtime power management. The device sleeps when nobody has an address space
 * and nothing is in VRAM, as that would be lost. So there is a reference for
 * each of those, from before its first command to after its last.
 *
 * Who brings memory home needs none of its own: what is in VRAM has one until
 * it has left. That is why evictions may run where a device must not be woken.
 */
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>

#include "vsvm_drv.h"
#include "vsvm_pm.h"

/* Idle for so long before it goes to sleep; power/autosuspend_delay_ms. */
#define VSVM_AUTOSUSPEND_MS	50

/**
 * vsvm_runtime_suspend - a device that nobody uses is to sleep
 * @dev: device
 *
 * Return: 0, or -EBUSY if it has still something to do.
 */
int vsvm_runtime_suspend(struct device *dev)
{
	struct vsvm_device *vdev = dev_get_drvdata(dev);
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		/* The last commands are such that nobody waits for. */
		vsvm_ring_irq(&vdev->ring[i]);
		if (!vsvm_ring_idle(&vdev->ring[i])) {
			/* Try again after another while. */
			pm_runtime_mark_last_busy(dev);
			return -EBUSY;
		}
	}
	WRITE_ONCE(vdev->asleep, true);
	return 0;
}

/**
 * vsvm_runtime_resume - a device that slept is to take commands
 * @dev: device
 *
 * Must not allocate: see above who calls, and what locks are held.
 *
 * Return: 0.
 */
int vsvm_runtime_resume(struct device *dev)
{
	struct vsvm_device *vdev = dev_get_drvdata(dev);

	WRITE_ONCE(vdev->asleep, false);
	return 0;
}

const struct dev_pm_ops vsvm_pm_ops = {
	RUNTIME_PM_OPS(vsvm_runtime_suspend, vsvm_runtime_resume, NULL)
};

static void vsvm_pm_use_autosuspend(struct device *dev)
{
	pm_runtime_set_autosuspend_delay(dev, VSVM_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
}

/**
 * vsvm_pm_init - let the device sleep when it is idle
 * @vdev: device that can take commands
 *
 * Only the driver's own platform devices. On PCI the bus has runtime PM, which
 * vsvm_pm_allow() makes use of.
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_pm_init(struct vsvm_device *vdev)
{
	struct device *dev = vdev->drm.dev;
	int err;

	if (!dev_is_platform(dev))
		return 0;
	vsvm_pm_use_autosuspend(dev);
	err = pm_runtime_set_active(dev);
	if (err)
		return err;
	/* After the probe the driver core looks whether the device is idle. */
	pm_runtime_mark_last_busy(dev);
	return devm_pm_runtime_enable(dev);
}

/**
 * vsvm_pm_allow - let a device on PCI sleep when it is idle
 * @dev: device, at the end of its probe
 *
 * The bus has a reference while it probes, and one until somebody allows it.
 */
void vsvm_pm_allow(struct device *dev)
{
	vsvm_pm_use_autosuspend(dev);
	pm_runtime_mark_last_busy(dev);
	pm_runtime_allow(dev);
	pm_runtime_put_autosuspend(dev);
}

/**
 * vsvm_pm_forbid - undo vsvm_pm_allow()
 * @dev: device that the bus has woken to remove it
 */
void vsvm_pm_forbid(struct device *dev)
{
	pm_runtime_get_noresume(dev);
	pm_runtime_forbid(dev);
	pm_runtime_dont_use_autosuspend(dev);
}

/**
 * vsvm_pm_get - wake the device, and keep it awake
 * @vdev: device, under drm_dev_enter(), or kept awake by somebody else
 *
 * Context: process; does not allocate.
 *
 * Return: 0, or -ENODEV if it cannot be woken.
 */
int vsvm_pm_get(struct vsvm_device *vdev)
{
	if (pm_runtime_resume_and_get(vdev->drm.dev))
		return -ENODEV;
	atomic_inc(&vdev->wakers);
	return 0;
}

/**
 * vsvm_pm_put - let the device sleep again, in a while
 * @vdev: device; may be unbound
 *
 * Context: any.
 */
void vsvm_pm_put(struct vsvm_device *vdev)
{
	/* After vsvm_pm_put_all() there is none. */
	if (atomic_dec_if_positive(&vdev->wakers) >= 0)
		pm_runtime_put_autosuspend(vdev->drm.dev);
}

/**
 * vsvm_pm_put_all - nothing that is left is a reason to be awake
 * @vdev: device that is being unbound
 *
 * What was lost with it must not keep awake who is bound next.
 */
void vsvm_pm_put_all(struct vsvm_device *vdev)
{
	while (atomic_dec_if_positive(&vdev->wakers) >= 0)
		pm_runtime_put_noidle(vdev->drm.dev);
}

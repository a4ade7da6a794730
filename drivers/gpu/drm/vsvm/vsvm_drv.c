// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Module, devices, and the order in which a device comes and goes.
 *
 * Probe registers the undoing of each step right after it; nothing has to be
 * unwound by hand. Removal adds what cannot wait for that: no new work, end the
 * jobs, bring all memory home. Only then may the struct pages of VRAM go, which
 * would otherwise wait for ever for the last of them.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vsvm_advice.h"
#include "vsvm_dma.h"
#include "vsvm_drv.h"
#include "vsvm_exclusive.h"
#include "vsvm_gem.h"
#include "vsvm_keep.h"
#include "vsvm_pagemap.h"
#include "vsvm_pci.h"
#include "vsvm_peer.h"
#include "vsvm_pm.h"
#include "vsvm_prefetch.h"
#include "vsvm_quota.h"
#include "vsvm_vm.h"

/* Passes of eviction between two complaints of a removal that takes long. */
#define VSVM_REMOVE_TRIES	200

static struct vsvm_config vsvm_config = {
	.devices = 1,
	.vram_mb = 256,
	.timeout_ms = 10000,
	.window_min_kb = 64,
	.window_max_kb = 2048,
	.fault_entries = VSVM_HW_FAULT_RING,
};

module_param_named(devices, vsvm_config.devices, uint, 0444);
MODULE_PARM_DESC(devices, "Number of virtual GPUs, 1 to 8; on PCI at most [1]");
module_param_named(vram_mb, vsvm_config.vram_mb, ulong, 0444);
MODULE_PARM_DESC(vram_mb, "VRAM of each in MiB, even; on PCI at most [256]");
module_param_named(timeout_ms, vsvm_config.timeout_ms, uint, 0444);
MODULE_PARM_DESC(timeout_ms, "Time that a job may go without progress, in ms [10000]");
module_param_named(timeslice_ms, vsvm_config.timeslice_ms, uint, 0444);
MODULE_PARM_DESC(timeslice_ms, "Time that migrated memory stays in VRAM at least, in ms, 0 to 1000 [0]");
module_param_named(window_min_kb, vsvm_config.window_min_kb, uint, 0444);
MODULE_PARM_DESC(window_min_kb, "What a single CPU fault brings home, in KiB, 0 to 2048 [64]");
module_param_named(window_max_kb, vsvm_config.window_max_kb, uint, 0444);
MODULE_PARM_DESC(window_max_kb, "What CPU faults in a row bring home at most, in KiB, 0 to 2048 [2048]");
module_param_named(copy_mbps, vsvm_config.copy_mbps, uint, 0444);
MODULE_PARM_DESC(copy_mbps, "Bandwidth of a copy channel in MB/s, 16 to 1000000, 0: as fast as memory [0]");
module_param_named(copy_latency_us, vsvm_config.copy_latency_us, uint, 0444);
MODULE_PARM_DESC(copy_latency_us, "Latency of a copy in us, 0 to 10000 [0]");
module_param_named(fault_entries, vsvm_config.fault_entries, uint, 0444);
MODULE_PARM_DESC(fault_entries, "Places of the fault FIFO, 1 to 256 [256]");
module_param_named(plain, vsvm_config.plain, bool, 0444);
MODULE_PARM_DESC(plain, "Use drm_pagemap as the kernel has it, without additions [N]");

static char *vsvm_transport = "auto";
module_param_named(transport, vsvm_transport, charp, 0444);
MODULE_PARM_DESC(transport, "Where the hardware is: local (in this kernel), pci, or auto: on PCI if there is any [auto]");

struct workqueue_struct *vsvm_close_wq;

static DEFINE_IDA(vsvm_ids);
static struct platform_device *vsvm_platform[VSVM_MAX_DEVICES];
/* Why the last probe failed: the driver core keeps it to itself. */
static int vsvm_probe_error;
/* There are devices in this kernel, which have the first numbers. */
static bool vsvm_has_local;
/* Numbers on the link of devices on PCI. */
static unsigned long vsvm_pci_links;

static int vsvm_open(struct drm_device *drm, struct drm_file *file)
{
	struct vsvm_file *vfile = kzalloc_obj(*vfile, GFP_KERNEL_ACCOUNT);

	if (!vfile)
		return -ENOMEM;
	xa_init_flags(&vfile->vms, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	file->driver_priv = vfile;
	return 0;
}

static void vsvm_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	unsigned long id;
	struct vsvm_vm *vm;

	xa_for_each(&vfile->vms, id, vm)
		vsvm_vm_release(vm, false);
	xa_destroy(&vfile->vms);
	kfree(vfile);
}

static const struct drm_ioctl_desc vsvm_ioctls[] = {
	DRM_IOCTL_DEF_DRV(VSVM_QUERY, vsvm_query_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_VM_CREATE, vsvm_vm_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_VM_DESTROY, vsvm_vm_destroy_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_EXEC, vsvm_exec_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_PREFETCH, vsvm_prefetch_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_RESIDENCY, vsvm_residency_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_MADVISE, vsvm_madvise_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_GEM_CREATE, vsvm_gem_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_GEM_MMAP, vsvm_gem_mmap_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_VM_BIND, vsvm_vm_bind_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_EXCLUSIVE, vsvm_exclusive_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VSVM_WAIT_USER_FENCE, vsvm_wait_user_fence_ioctl,
			  DRM_RENDER_ALLOW),
};

static const struct file_operations vsvm_fops = {
	.owner = THIS_MODULE,
	DRM_GEM_FOPS,
	.show_fdinfo = drm_show_fdinfo,
};

static const struct drm_driver vsvm_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE,
	.open = vsvm_open,
	.postclose = vsvm_postclose,
	.show_fdinfo = vsvm_show_fdinfo,
	.debugfs_init = vsvm_debugfs_init,
	.gem_prime_import = vsvm_prime_import,
	.ioctls = vsvm_ioctls,
	.num_ioctls = ARRAY_SIZE(vsvm_ioctls),
	.fops = &vsvm_fops,
	.name = VSVM_NAME,
	.desc = "Virtual GPU with shared virtual memory",
	.major = 1,
	.minor = 0,
};

/* One vector for all queues: look at those that somebody has. */
static void vsvm_compute_irq(struct vsvm_device *vdev)
{
	unsigned int group, i;

	for_each_set_bit(group, vdev->groups, VSVM_MAX_VMS) {
		struct vsvm_ring *ring = &vdev->ring[VSVM_HW_QUEUE0 +
						     group * VSVM_VM_QUEUES];

		for (i = 0; i < VSVM_VM_QUEUES; i++) {
			if (!vsvm_ring_idle(&ring[i]))
				vsvm_ring_irq(&ring[i]);
		}
	}
}

static void vsvm_irq(void *data, unsigned int vector)
{
	struct vsvm_device *vdev = data;

	switch (vector) {
	case VSVM_HW_VEC_PAGING:
	case VSVM_HW_VEC_TO_VRAM:
	case VSVM_HW_VEC_FROM_VRAM:
		vsvm_ring_irq(&vdev->ring[vector]);
		break;
	case VSVM_HW_VEC_COMPUTE:
		vsvm_compute_irq(vdev);
		break;
	case VSVM_HW_VEC_FAULT:
		vsvm_fault_irq(vdev);
		break;
	}
}

static void vsvm_id_fini(struct drm_device *drm, void *unused)
{
	struct vsvm_device *vdev = to_vsvm(drm);

	ida_destroy(&vdev->group_ida);
	mutex_destroy(&vdev->vm_lock);
	mutex_destroy(&vdev->reset_lock);
	if (vdev->id >= VSVM_MAX_DEVICES)
		ida_free(&vsvm_ids, vdev->id);
}

static void vsvm_pci_link_free(void *data)
{
	clear_bit((unsigned long)data, &vsvm_pci_links);
}

/* What a device on PCI says that its number is, unless somebody else has it. */
static int vsvm_pci_link_get(struct device *dev, const struct vsvm_pci *pci)
{
	const unsigned long link = READ_ONCE(pci->bar->device.link);

	if (vsvm_has_local || link >= VSVM_MAX_DEVICES ||
	    test_and_set_bit(link, &vsvm_pci_links))
		return -1;
	return devm_add_action_or_reset(dev, vsvm_pci_link_free, (void *)link) ?
	       -1 : link;
}

/* The number on the link of those that may have one, else -1. */
static int vsvm_fixed_id(struct vsvm_device *vdev)
{
	struct device *dev = vdev->drm.dev;
	const struct vsvm_pci *pci = vsvm_pci_of(dev);

	if (dev_is_platform(dev))
		return to_platform_device(dev)->id;
	if (!pci)
		return -1;
	vdev->family = READ_ONCE(pci->bar->device.family);
	return vdev->family ? vsvm_pci_link_get(dev, pci) : -1;
}

/*
 * Such a device keeps its number when it is bound again, though an open file may
 * keep the old DRM device for long. Others get another one each time.
 */
static int vsvm_id_init(struct vsvm_device *vdev)
{
	int id = vsvm_fixed_id(vdev);

	vdev->linkable = id >= 0;
	if (id < 0)
		id = ida_alloc_min(&vsvm_ids, VSVM_MAX_DEVICES, GFP_KERNEL);
	if (id < 0)
		return id;
	vdev->id = id;
	return drmm_add_action_or_reset(&vdev->drm, vsvm_id_fini, NULL);
}

/* Tell lockdep at once what reclaim may lead to. */
static void vsvm_prime_lockdep(struct vsvm_device *vdev)
{
	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return;
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&vdev->reset_lock);
	fs_reclaim_release(GFP_KERNEL);
}

static int vsvm_device_init(struct vsvm_device *vdev)
{
	vdev->config = vsvm_config;
	mutex_init(&vdev->reset_lock);
	mutex_init(&vdev->vm_lock);
	spin_lock_init(&vdev->fault_lock);
	INIT_LIST_HEAD(&vdev->vms);
	vsvm_quota_init(vdev);
	vdev->held_until = jiffies;
	ida_init(&vdev->group_ida);
	INIT_WORK(&vdev->fault_work, vsvm_fault_drain);
	INIT_WORK(&vdev->link_work, vsvm_peer_lost_work);
	INIT_WORK(&vdev->lost_work, vsvm_lost_work);
	vsvm_rings_prepare(vdev);
	vsvm_prime_lockdep(vdev);
	return vsvm_id_init(vdev);
}

static int vsvm_workqueues_init(struct vsvm_device *vdev)
{
	struct device *dev = vdev->drm.dev;

	vdev->svm_wq = devm_alloc_workqueue(dev, "vsvm-svm", WQ_UNBOUND, 0);
	if (!vdev->svm_wq)
		return -ENOMEM;
	vdev->timeout_wq = devm_alloc_ordered_workqueue(dev, "vsvm-timeout",
							WQ_MEM_RECLAIM);
	return vdev->timeout_wq ? 0 : -ENOMEM;
}

static void vsvm_hw_down(void *data)
{
	struct vsvm_device *vdev = data;

	vsvm_rings_kill(vdev);
	/* An interrupt may still ask for them, in vain. */
	disable_work_sync(&vdev->fault_work);
	disable_work_sync(&vdev->lost_work);
	vdev->hw->ops->destroy(vdev->hw);
}

static int vsvm_hw_up(struct vsvm_device *vdev)
{
	const struct vsvm_transport_config config = {
		.vram_size = vsvm_config_vram_bytes(&vdev->config),
		.fault_entries = vdev->config.fault_entries,
		.copy_bytes_per_s = vdev->config.copy_mbps * 1000000ull,
		.copy_latency_ns = vdev->config.copy_latency_us * 1000ull,
		.link = vdev->linkable ? vdev->id : VSVM_NO_LINK,
		.keep = vdev->keep,
	};
	struct device *dev = vdev->drm.dev;
	const struct vsvm_pci *pci = vsvm_pci_of(dev);
	struct vsvm_transport *hw;
	int err;

	hw = pci ? vsvm_pci_hw_create(pci, &config, vsvm_irq, vsvm_lost, vdev) :
		   vsvm_local_create(dev, &config, vsvm_irq, vdev);
	if (IS_ERR(hw)) {
		/* It may have been there, for a moment. */
		disable_work_sync(&vdev->lost_work);
		/* What is on PCI has said why. */
		return pci ? PTR_ERR(hw) :
			     dev_err_probe(dev, PTR_ERR(hw), "no hardware\n");
	}
	vdev->hw = hw;
	err = vsvm_rings_init(vdev);
	if (err) {
		disable_work_sync(&vdev->lost_work);
		hw->ops->destroy(hw);
		return err;
	}
	vsvm_transport_open(hw);
	return devm_add_action_or_reset(vdev->drm.dev, vsvm_hw_down, vdev);
}

static int vsvm_check_config(struct device *dev)
{
	const char *reason;
	int err;

	err = vsvm_config_check(&vsvm_config, PFN_PHYS(totalram_pages()),
				&reason);
	if (err && dev)
		dev_err(dev, "%s\n", reason);
	else if (err)
		pr_err(VSVM_NAME ": %s\n", reason);
	return err;
}

static int vsvm_probe_device(struct device *dev)
{
	struct vsvm_device *vdev;
	int err;

	err = vsvm_check_config(dev);
	if (err)
		return err;
	/* A smaller mask would make DMA go through copies, silently. */
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (err)
		return dev_err_probe(dev, err, "no DMA of 64 bits\n");
	/* What TTM has in one piece may be mapped in one piece. */
	dma_set_max_seg_size(dev, UINT_MAX);
	dma_set_seg_boundary(dev, ULONG_MAX);
	/* Before all that maps memory, so that it ends after it. */
	err = vsvm_dma_track(dev);
	if (err)
		return err;
	vdev = devm_drm_dev_alloc(dev, &vsvm_driver, struct vsvm_device, drm);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	dev_set_drvdata(dev, vdev);
	err = vsvm_device_init(vdev);
	if (err)
		return err;
	err = vsvm_workqueues_init(vdev) ?: vsvm_lost_init(vdev);
	if (err)
		return err;
	err = vsvm_hw_up(vdev);
	if (err)
		return err;
	err = vsvm_vram_init(vdev);
	if (err)
		return dev_err_probe(dev, err, "no VRAM\n");
	err = vsvm_pm_init(vdev);
	if (err)
		return err;
	return drm_dev_register(&vdev->drm, 0);
}

/**
 * vsvm_probe_failed - remember why, for who loads the module
 * @err: why, or 0
 */
void vsvm_probe_failed(int err)
{
	vsvm_probe_error = err;
}

/**
 * vsvm_probe - bind a device
 * @dev: whose DMA the virtual GPU does
 *
 * Return: 0; -EINVAL or -ENOMEM for settings that do not fit; or an error.
 */
int vsvm_probe(struct device *dev)
{
	int err = vsvm_probe_device(dev);

	vsvm_probe_failed(err);
	return err;
}

/* Return: true if nothing is left, or nothing more can be done about it. */
static bool vsvm_remove_vram(struct vsvm_device *vdev)
{
	/* Of hardware that is gone, no copy will ever succeed. */
	const unsigned int tries = VSVM_ADDITIONS && READ_ONCE(vdev->lost) ?
				   1 : VSVM_REMOVE_TRIES;

	/* It alone gives up what a dead engine cannot read. */
	if (vsvm_has_additions(vdev) || (VSVM_ADDITIONS && READ_ONCE(vdev->lost)))
		vsvm_additions_evict_all(vdev);
	if (!vsvm_vram_evict_all(vdev, tries) &&
	    !atomic64_read(&vdev->svm_bytes))
		return true;
	if (atomic64_read(&vdev->svm_bytes)) {
		dev_warn_ratelimited(vdev->drm.dev,
				     "%lld bytes of VRAM still in use\n",
				     atomic64_read(&vdev->svm_bytes));
		return false;
	}
	drm_err(&vdev->drm, "%lld bytes of buffer objects were lost\n",
		atomic64_read(&vdev->gem_bytes));
	return true;
}

/**
 * vsvm_remove - unbind a device
 * @dev: device
 *
 * Returns when all memory of processes is home. There is no other way: struct
 * pages that are in use cannot go. Open files stay, and get -ENODEV; buffer
 * objects go to system memory, for those who have them mapped. An object that
 * cannot be read any more is lost, and who touches it gets a signal.
 */
void vsvm_remove(struct device *dev)
{
	struct vsvm_device *vdev = dev_get_drvdata(dev);

	drm_dev_unplug(&vdev->drm);
	vsvm_vm_close_all(vdev);
	while (!vsvm_remove_vram(vdev))
		;
	WRITE_ONCE(vdev->gone, true);
	vsvm_pm_put_all(vdev);
}

/**
 * vsvm_shutdown - this kernel is about to end
 * @dev: device, bound or not
 *
 * On return nothing is written to memory on its behalf. Who waits for it gets an
 * error, and has no more time to make anything of it.
 */
void vsvm_shutdown(struct device *dev)
{
	struct vsvm_device *vdev = dev_get_drvdata(dev);

	if (!vdev || !vdev->hw || !vdev->hw->ops->quiesce)
		return;
	/* Before anybody is told that memory is not in use any more. */
	vdev->hw->ops->quiesce(vdev->hw);
	vsvm_rings_kill(vdev);
}

/**
 * vsvm_pci_taken - is a function on PCI one too many?
 * @nth: how many there would be with it
 *
 * Return: true if so.
 */
bool vsvm_pci_taken(unsigned int nth)
{
	return vsvm_config.where == VSVM_WHERE_LOCAL || nth > vsvm_config.devices;
}

static int vsvm_platform_probe(struct platform_device *pdev)
{
	return vsvm_probe(&pdev->dev);
}

static void vsvm_platform_remove(struct platform_device *pdev)
{
	vsvm_remove(&pdev->dev);
}

static struct platform_driver vsvm_platform_driver = {
	.probe = vsvm_platform_probe,
	.remove = vsvm_platform_remove,
	.driver = {
		.name = VSVM_NAME,
		.pm = pm_ptr(&vsvm_pm_ops),
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

static void vsvm_devices_destroy(void)
{
	unsigned int i;

	for (i = 0; i < VSVM_MAX_DEVICES; i++)
		platform_device_unregister(vsvm_platform[i]);
}

static int vsvm_devices_create(void)
{
	struct platform_device_info info = {
		.name = VSVM_NAME,
		.dma_mask = DMA_BIT_MASK(64),
	};
	struct platform_device *pdev;
	unsigned int i;

	if (vsvm_config.where == VSVM_WHERE_PCI ||
	    (vsvm_config.where == VSVM_WHERE_AUTO && vsvm_pci_any_bound()))
		return 0;
	vsvm_has_local = true;
	for (i = 0; i < vsvm_config.devices; i++) {
		vsvm_probe_error = 0;
		info.id = i;
		pdev = platform_device_register_full(&info);
		if (IS_ERR(pdev))
			return PTR_ERR(pdev);
		vsvm_platform[i] = pdev;
		if (vsvm_probe_error)
			return vsvm_probe_error;
	}
	return 0;
}

static int __init vsvm_init(void)
{
	int err;

	err = vsvm_config_parse_where(vsvm_transport, &vsvm_config.where);
	if (err) {
		pr_err(VSVM_NAME ": transport must be auto, local or pci\n");
		return err;
	}
	err = vsvm_check_config(NULL);
	if (err)
		return err;
	vsvm_config.plain |= !VSVM_ADDITIONS;
	vsvm_migrate_module_init();
	err = vsvm_vm_module_init();
	if (err)
		return err;
	vsvm_close_wq = alloc_workqueue("%s_close", WQ_UNBOUND, 0, VSVM_NAME);
	if (!vsvm_close_wq) {
		err = -ENOMEM;
		goto err_vm;
	}
	err = platform_driver_register(&vsvm_platform_driver);
	if (err)
		goto err_close_wq;
	err = vsvm_pci_register();
	if (err)
		goto err_platform;
	err = vsvm_config.where == VSVM_WHERE_PCI && !vsvm_pci_any_bound() ?
	      vsvm_probe_error : vsvm_devices_create();
	if (err)
		goto err_devices;
	return 0;

err_devices:
	vsvm_devices_destroy();
	vsvm_lost_module_exit();
	vsvm_pci_unregister();
err_platform:
	platform_driver_unregister(&vsvm_platform_driver);
	vsvm_keep_module_exit();
err_close_wq:
	destroy_workqueue(vsvm_close_wq);
err_vm:
	vsvm_vm_module_exit();
	return err;
}

static void __exit vsvm_exit(void)
{
	vsvm_devices_destroy();
	vsvm_lost_module_exit();
	vsvm_pci_unregister();
	platform_driver_unregister(&vsvm_platform_driver);
	/* No file is open any more. */
	destroy_workqueue(vsvm_close_wq);
	vsvm_vm_module_exit();
	/* Fences are freed, and names of them read, under RCU. */
	rcu_barrier();
	vsvm_keep_module_exit();
}

module_init(vsvm_init);
module_exit(vsvm_exit);

MODULE_DESCRIPTION("Virtual GPU with shared virtual memory");
MODULE_LICENSE("Dual MIT/GPL");

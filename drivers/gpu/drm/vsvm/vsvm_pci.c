// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The GPU on a PCI function. There are two kinds of them:
 *
 *	- a function of QEMU's ivshmem by which a process outside the virtual
 *	  machine offers its engines and VRAM. The process tells by a magic number
 *	  that it is one; any other ivshmem is left to its own drivers;
 *	- any function at all that sysfs gives to the driver (driver_override,
 *	  new_id). Its hardware is in this kernel as that of a platform device is,
 *	  but its DMA goes by way of an IOMMU if there is one.
 */
#include <linux/atomic.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>

#include "vsvm_drv.h"
#include "vsvm_pci.h"
#include "vsvm_pm.h"

/* Of functions with a process behind them. */
static atomic_t vsvm_pci_bound = ATOMIC_INIT(0);

static const struct pci_device_id vsvm_pci_ids[] = {
	{ PCI_DEVICE(VSVM_PCI_VENDOR, VSVM_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, vsvm_pci_ids);

static bool vsvm_pci_is_ivshmem(const struct pci_dev *pdev)
{
	return pdev->vendor == VSVM_PCI_VENDOR && pdev->device == VSVM_PCI_DEVICE;
}

static void vsvm_pci_release(struct device *dev, void *res)
{
}

/**
 * vsvm_pci_of - the BARs of a function
 * @dev: any device
 *
 * Return: them, good for as long as the function is bound; NULL if it is none
 * that has its hardware behind it.
 */
const struct vsvm_pci *vsvm_pci_of(struct device *dev)
{
	return devres_find(dev, vsvm_pci_release, NULL, NULL);
}

/* Return: 0; -ENODEV for an ivshmem of another kind; or an error. */
static int vsvm_pci_map(struct pci_dev *pdev)
{
	const resource_size_t start = pci_resource_start(pdev, 2);
	struct vsvm_pci_bar *bar;
	struct vsvm_pci *pci;

	if (pci_resource_len(pdev, 2) != VSVM_PCI_BAR_SIZE)
		return -ENODEV;
	pci = devres_alloc(vsvm_pci_release, sizeof(*pci), GFP_KERNEL);
	if (!pci)
		return -ENOMEM;
	devres_add(&pdev->dev, pci);
	pci->pdev = pdev;
	pci->regs = pcim_iomap_region(pdev, 0, VSVM_NAME);
	if (IS_ERR(pci->regs))
		return PTR_ERR(pci->regs);
	if (!devm_request_mem_region(&pdev->dev, start, VSVM_PCI_BAR_SIZE,
				     VSVM_NAME))
		return -EBUSY;
	/* It is memory, of the process. */
	bar = devm_memremap(&pdev->dev, start, VSVM_PCI_BAR_SIZE, MEMREMAP_WB);
	if (IS_ERR(bar))
		return PTR_ERR(bar);
	pci->bar = bar;
	if (READ_ONCE(bar->device.magic) != VSVM_PCI_MAGIC)
		return -ENODEV;
	if (READ_ONCE(bar->device.version) != VSVM_PCI_VERSION)
		return dev_err_probe(&pdev->dev, -ENXIO,
				     "the device speaks version %u of its interface, the driver %u\n",
				     READ_ONCE(bar->device.version),
				     VSVM_PCI_VERSION);
	return 0;
}

static int vsvm_pci_probe_engines(struct pci_dev *pdev)
{
	int err;

	err = vsvm_pci_map(pdev);
	/* An ivshmem of another kind is no failure. */
	if (err && err != -ENODEV)
		vsvm_probe_failed(err);
	if (err)
		return err;
	if (vsvm_pci_taken(atomic_inc_return(&vsvm_pci_bound))) {
		dev_info(&pdev->dev, "not used: see the parameters devices and transport\n");
		err = -ENODEV;
		goto err_bound;
	}
	pci_set_master(pdev);
	err = vsvm_probe(&pdev->dev);
	if (err)
		goto err_master;
	vsvm_pm_allow(&pdev->dev);
	return 0;

err_master:
	pci_clear_master(pdev);
err_bound:
	atomic_dec(&vsvm_pci_bound);
	return err;
}

static int vsvm_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	if (vsvm_pci_is_ivshmem(pdev))
		return vsvm_pci_probe_engines(pdev);
	pci_set_master(pdev);
	return vsvm_probe(&pdev->dev);
}

static void vsvm_pci_remove(struct pci_dev *pdev)
{
	vsvm_remove(&pdev->dev);
	if (!vsvm_pci_is_ivshmem(pdev))
		return;
	vsvm_pm_forbid(&pdev->dev);
	atomic_dec(&vsvm_pci_bound);
}

/*
 * Before a reboot, and before another kernel takes over: what the device still
 * wrote would land in the next one's memory.
 */
static void vsvm_pci_shutdown(struct pci_dev *pdev)
{
	vsvm_shutdown(&pdev->dev);
	pci_clear_master(pdev);
}

/*
 * The device would go on to write, as it does not see that its bus-master bit is
 * cleared; and what is in VRAM would be lost.
 */
static int vsvm_pci_prepare(struct device *dev)
{
	return vsvm_pci_of(dev) ? -EBUSY : 0;
}

static const struct dev_pm_ops vsvm_pci_pm_ops = {
	.prepare = pm_sleep_ptr(vsvm_pci_prepare),
	RUNTIME_PM_OPS(vsvm_runtime_suspend, vsvm_runtime_resume, NULL)
};

static struct pci_driver vsvm_pci_driver = {
	.name = VSVM_NAME,
	.id_table = vsvm_pci_ids,
	.probe = vsvm_pci_probe,
	.remove = vsvm_pci_remove,
	.shutdown = vsvm_pci_shutdown,
	.driver = {
		.pm = pm_ptr(&vsvm_pci_pm_ops),
		/* Who loads the module looks what came of it. */
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

/**
 * vsvm_pci_register - offer the driver to PCI
 *
 * Return: 0 or an error.
 */
int vsvm_pci_register(void)
{
	return pci_register_driver(&vsvm_pci_driver);
}

/**
 * vsvm_pci_unregister - take it back, and remove its devices
 */
void vsvm_pci_unregister(void)
{
	pci_unregister_driver(&vsvm_pci_driver);
}

/**
 * vsvm_pci_any_bound - is there a function with a process behind it?
 *
 * Return: true if one is bound.
 */
bool vsvm_pci_any_bound(void)
{
	return atomic_read(&vsvm_pci_bound);
}

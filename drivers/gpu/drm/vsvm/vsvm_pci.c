// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The same GPU on a PCI function. There is no such hardware, so the driver has
 * no ids: it takes what sysfs gives it (driver_override, new_id). Behind an
 * IOMMU, such a device makes DMA go through IO virtual addresses, which a
 * platform device never does.
 */
#include <linux/pci.h>

#include "vsvm_drv.h"

static int vsvm_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	pci_set_master(pdev);
	return vsvm_probe(&pdev->dev);
}

static void vsvm_pci_remove(struct pci_dev *pdev)
{
	vsvm_remove(&pdev->dev);
}

static struct pci_driver vsvm_pci_driver = {
	.name = VSVM_NAME,
	.probe = vsvm_pci_probe,
	.remove = vsvm_pci_remove,
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

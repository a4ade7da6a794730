// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Does the process outside see the same memory as this machine does? It takes a
 * DMA address for a physical one, knows by itself where RAM is, and has RAM
 * mapped only if that is shared. Were it wrong in any of that it would write to
 * somebody else's memory, and nobody would be told. So nothing of it is taken
 * for granted: pages from below and above 4 GiB are sent to it and back, and if
 * that fails the driver does not bind, and says what the matter is.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/random.h>
#include <linux/sizes.h>

#include "vsvm_pci.h"

#define VSVM_ECHO_WORDS		(PAGE_SIZE / sizeof(u64))

static int vsvm_pci_check_iommu(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	if (!domain || !(domain->type & __IOMMU_DOMAIN_PAGING))
		return 0;
	return dev_err_probe(dev, -ENXIO,
			     "an IOMMU translates its DMA, which it cannot follow: boot with iommu=pt, or set its group's type to identity\n");
}

/* RAM that the process does not know would be out of its reach. */
static int vsvm_pci_check_ram(const struct vsvm_pci *pci)
{
	const u64 low = READ_ONCE(pci->bar->device.ram_low);
	const u64 high = READ_ONCE(pci->bar->device.ram_high);

	if (low && low <= SZ_4G && PAGE_ALIGNED(low | high) &&
	    (low == SZ_4G || !page_is_ram(PHYS_PFN(low))) &&
	    !page_is_ram(PHYS_PFN(SZ_4G + high)))
		return 0;
	return dev_err_probe(&pci->pdev->dev, -ENXIO,
			     "wrong RAM split: it knows %llu MiB below 4 GiB and %llu MiB above, this machine has more\n",
			     low / SZ_1M, high / SZ_1M);
}

/**
 * vsvm_pci_check_before - what can be told without the device
 * @pci: function
 * @vram_size: of what it says that it has, what will be used, in bytes
 *
 * Return: 0, or -ENXIO with a reason in the log.
 */
int vsvm_pci_check_before(const struct vsvm_pci *pci, u64 vram_size)
{
	if (!vram_size)
		return dev_err_probe(&pci->pdev->dev, -ENXIO, "it has no VRAM\n");
	return vsvm_pci_check_iommu(&pci->pdev->dev) ?:
	       vsvm_pci_check_ram(pci);
}

/* Is @to the inverse of @from, after the device was asked to make it so? */
static int vsvm_pci_echo(struct vsvm_pci_hw *hw, struct page *from,
			 struct page *to)
{
	struct device *dev = &vsvm_pci_hw_function(hw)->pdev->dev;
	const u64 *sent = page_address(from), *back = page_address(to);
	u64 arg[] = { 0, 0, VSVM_ECHO_WORDS, sent[0], back[0] };
	unsigned int i;
	int err;

	arg[0] = dma_map_page(dev, from, 0, PAGE_SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, arg[0]))
		return -ENOMEM;
	arg[1] = dma_map_page(dev, to, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, arg[1])) {
		dma_unmap_page(dev, arg[0], PAGE_SIZE, DMA_TO_DEVICE);
		return -ENOMEM;
	}
	err = vsvm_pci_hw_request(hw, VSVM_PCI_OP_ECHO, arg, ARRAY_SIZE(arg));
	/* One that does not answer now may do it later. */
	if (err == -ETIMEDOUT)
		vsvm_pci_hw_keep(hw, arg[1], PAGE_SIZE);
	dma_unmap_page(dev, arg[1], PAGE_SIZE, DMA_BIDIRECTIONAL);
	dma_unmap_page(dev, arg[0], PAGE_SIZE, DMA_TO_DEVICE);
	for (i = 0; i < VSVM_ECHO_WORDS && !err; i++)
		err = back[i] == ~sent[i] ? 0 : -EIO;
	return err;
}

/* Two pages of random numbers; @high: from above 4 GiB, if there is any. */
static int vsvm_pci_echo_at(struct vsvm_pci_hw *hw, bool high)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_COMP | (high ? 0 : GFP_DMA32);
	struct page *page = alloc_pages(gfp, 1);
	int err = 0;

	if (!page)
		return -ENOMEM;
	get_random_bytes(page_address(page), 2 * PAGE_SIZE);
	if (!high || page_to_phys(page) >= SZ_4G)
		err = vsvm_pci_echo(hw, page, page + 1);
	__free_pages(page, 1);
	return err;
}

/**
 * vsvm_pci_check_memory - have the device read and write memory
 * @hw: connection to a device that is running
 *
 * Context: process; allocates.
 *
 * Return: 0; -EIO with a reason in the log; -ENOMEM; or what
 * vsvm_pci_hw_request() says of a device that does not answer.
 */
int vsvm_pci_check_memory(struct vsvm_pci_hw *hw)
{
	const struct vsvm_pci *pci = vsvm_pci_hw_function(hw);
	struct device *dev = &pci->pdev->dev;
	int err;

	err = vsvm_pci_echo_at(hw, false);
	if (err == -EIO)
		return dev_err_probe(dev, err,
				     "its DMA does not get to this machine's memory: is the RAM of the virtual machine shared (share=on)?\n");
	if (!err)
		err = vsvm_pci_echo_at(hw, true);
	if (err == -EIO)
		return dev_err_probe(dev, err,
				     "wrong RAM split: its DMA does not get to memory above 4 GiB, which it takes to begin after %llu MiB\n",
				     READ_ONCE(pci->bar->device.ram_low) / SZ_1M);
	if (err)
		dev_err(dev, "its DMA could not be tested: %d\n", err);
	return err;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DMA operations that count. Without an IOMMU a DMA address is a physical one,
 * good for ever: memory that the driver unmapped too early is still reached,
 * and nobody notices. With these operations the device's mappings are the same,
 * but each counts in a table with a number for each page of memory, in which
 * the hardware looks before it reaches for a page.
 *
 * Mapping happens in reclaim and under all kinds of locks, so there is nothing
 * here but atomic additions.
 *
 * An ordinary driver has no business with struct dma_map_ops. This one stands
 * in for the hardware's IOMMU.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <kunit/visibility.h>

#include "vsvm_dma.h"

/**
 * struct vsvm_dma - what is mapped for one device
 * @ops: a copy of the operations, to which the device points, and which so
 *	lead here
 * @dev: device
 * @num: pages that are counted. Memory that was added later is not, and counts
 *	as mapped.
 * @mapped: for each page, mappings that it is in
 */
struct vsvm_dma {
	const struct dma_map_ops ops;
	struct device *dev;
	unsigned long num;
	atomic_t *mapped;
};

static dma_addr_t vsvm_dma_map_phys(struct device *dev, phys_addr_t phys,
				    size_t size, enum dma_data_direction dir,
				    unsigned long attrs);

/**
 * vsvm_dma_of - the table of a device
 * @dev: device
 *
 * Return: the table, or NULL if the device's mappings are not counted. Good for
 * as long as the device is bound.
 */
const struct vsvm_dma *vsvm_dma_of(struct device *dev)
{
	const struct dma_map_ops *ops = get_dma_ops(dev);

	if (!ops || ops->map_phys != vsvm_dma_map_phys)
		return NULL;
	return container_of_const(ops, struct vsvm_dma, ops);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_dma_of);

/**
 * vsvm_dma_is_mapped - may the device reach a page now?
 * @dma: table
 * @phys: any address in it
 *
 * Context: any.
 * Return: true if so.
 */
bool vsvm_dma_is_mapped(const struct vsvm_dma *dma, phys_addr_t phys)
{
	const unsigned long pfn = PHYS_PFN(phys);

	return pfn >= dma->num || atomic_read(&dma->mapped[pfn]) > 0;
}

/**
 * vsvm_dma_table - where the table is in memory
 * @dma: table
 * @pages: gets the physical address of each page of it; the numbers in them are
 *	32 bits each
 * @max: elements of @pages; memory that is past them counts as mapped
 *
 * Return: how many there are.
 */
unsigned int vsvm_dma_table(const struct vsvm_dma *dma, u64 *pages,
			    unsigned int max)
{
	const unsigned int counts = PAGE_SIZE / sizeof(*dma->mapped);
	const unsigned long num = DIV_ROUND_UP(dma->num, counts);
	unsigned int i;

	for (i = 0; i < min(num, max); i++)
		pages[i] = PFN_PHYS(vmalloc_to_pfn(dma->mapped + i * counts));
	return i;
}

/* For each page that has a byte in [phys, phys + size). */
static void vsvm_dma_count(struct device *dev, phys_addr_t phys, size_t size)
{
	const struct vsvm_dma *dma = vsvm_dma_of(dev);
	unsigned long pfn, end = PHYS_PFN(phys + size - 1) + 1;

	for (pfn = PHYS_PFN(phys); pfn < min(end, dma->num); pfn++)
		atomic_inc(&dma->mapped[pfn]);
}

static void vsvm_dma_uncount(struct device *dev, phys_addr_t phys, size_t size)
{
	const struct vsvm_dma *dma = vsvm_dma_of(dev);
	unsigned long pfn, end = PHYS_PFN(phys + size - 1) + 1;
	bool wrong = false;

	for (pfn = PHYS_PFN(phys); pfn < min(end, dma->num); pfn++)
		wrong |= atomic_dec_if_positive(&dma->mapped[pfn]) < 0;
	if (wrong)
		dev_WARN(dev, "unmaps %#zx bytes at %pa that are not mapped\n",
			 size, &phys);
}

static dma_addr_t vsvm_dma_map_phys(struct device *dev, phys_addr_t phys,
				    size_t size, enum dma_data_direction dir,
				    unsigned long attrs)
{
	if (!(attrs & DMA_ATTR_MMIO))
		vsvm_dma_count(dev, phys, size);
	return phys;
}

static void vsvm_dma_unmap_phys(struct device *dev, dma_addr_t addr,
				size_t size, enum dma_data_direction dir,
				unsigned long attrs)
{
	if (!(attrs & DMA_ATTR_MMIO))
		vsvm_dma_uncount(dev, addr, size);
}

static int vsvm_dma_map_sg(struct device *dev, struct scatterlist *sgl,
			   int nents, enum dma_data_direction dir,
			   unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		vsvm_dma_count(dev, sg_phys(sg), sg->length);
		sg_dma_address(sg) = sg_phys(sg);
		sg_dma_len(sg) = sg->length;
	}
	return nents;
}

static void vsvm_dma_unmap_sg(struct device *dev, struct scatterlist *sgl,
			      int nents, enum dma_data_direction dir,
			      unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i)
		vsvm_dma_uncount(dev, sg_phys(sg), sg->length);
}

static void *vsvm_dma_alloc(struct device *dev, size_t size, dma_addr_t *addr,
			    gfp_t gfp, unsigned long attrs)
{
	void *p = alloc_pages_exact(size, gfp | __GFP_ZERO);

	if (!p)
		return NULL;
	*addr = virt_to_phys(p);
	vsvm_dma_count(dev, *addr, size);
	return p;
}

static void vsvm_dma_free(struct device *dev, size_t size, void *p,
			  dma_addr_t addr, unsigned long attrs)
{
	vsvm_dma_uncount(dev, addr, size);
	free_pages_exact(p, size);
}

/* The last byte of memory: there is no high memory on 64 bits. */
static phys_addr_t vsvm_dma_last(void)
{
	return virt_to_phys(high_memory - 1);
}

/* Addresses are those of memory, and nothing is copied to reach it. */
static u64 vsvm_dma_required_mask(struct device *dev)
{
	return DMA_BIT_MASK(fls64(vsvm_dma_last()));
}

static int vsvm_dma_supported(struct device *dev, u64 mask)
{
	return mask >= vsvm_dma_required_mask(dev);
}

static const struct dma_map_ops vsvm_dma_ops = {
	.alloc = vsvm_dma_alloc,
	.free = vsvm_dma_free,
	.map_phys = vsvm_dma_map_phys,
	.unmap_phys = vsvm_dma_unmap_phys,
	.map_sg = vsvm_dma_map_sg,
	.unmap_sg = vsvm_dma_unmap_sg,
	.dma_supported = vsvm_dma_supported,
	.get_required_mask = vsvm_dma_required_mask,
};

static void vsvm_dma_untrack(void *data)
{
	struct vsvm_dma *dma = data;
	unsigned long pfn, left = 0;

	set_dma_ops(dma->dev, NULL);
	for (pfn = 0; pfn < dma->num; pfn++)
		left += atomic_read(&dma->mapped[pfn]) > 0;
	if (left)
		dev_WARN(dma->dev, "%lu pages are mapped for DMA for ever\n", left);
	vfree(dma->mapped);
	kfree(dma);
}

/**
 * vsvm_dma_track - count a device's mappings from now on
 * @dev: device that is being bound and has no mapping yet
 *
 * Does nothing to a device that has an IOMMU or DMA operations of another kind.
 * It ends when the device is unbound, after all that was registered with the
 * device later. Who has mappings left then has lost them: a warning says so.
 *
 * Context: process; allocates.
 * Return: 0 or -ENOMEM.
 */
int vsvm_dma_track(struct device *dev)
{
	struct vsvm_dma *dma;

	if (device_iommu_mapped(dev) || get_dma_ops(dev))
		return 0;
	dma = kzalloc_obj(*dma);
	if (!dma)
		return -ENOMEM;
	/* Constant from here on. */
	memcpy((void *)&dma->ops, &vsvm_dma_ops, sizeof(dma->ops));
	dma->dev = dev;
	dma->num = PHYS_PFN(vsvm_dma_last()) + 1;
	dma->mapped = vzalloc(array_size(dma->num, sizeof(*dma->mapped)));
	if (!dma->mapped) {
		kfree(dma);
		return -ENOMEM;
	}
	set_dma_ops(dev, &dma->ops);
	return devm_add_action_or_reset(dev, vsvm_dma_untrack, dma);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_dma_track);

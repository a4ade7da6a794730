// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The other side of a batch, mapped for the device that copies: system memory
 * by the DMA layer, another device's memory by that device's driver.
 *
 * With an IOMMU that the DMA layer manages, one piece of IO virtual memory is
 * filled without gaps: entries that have no system page take no space, and
 * physically contiguous entries are linked in one call. So what is linked is
 * always [0, iova_linked), and undoing it takes one number. Otherwise each
 * folio is mapped by itself, and a bitmap tells which entries are.
 */
#include "pagemap_inject.h"
#include "pagemap_internal.h"

/* The page of entry @i that is not in @b->pages, if the entry is to be copied. */
static struct page *pagemap_other_page(const struct pagemap_batch *b,
				       unsigned long i)
{
	if (!b->pages[i])
		return NULL;
	if (b->dir == DMA_FROM_DEVICE)
		return migrate_pfn_to_page(b->dst[i]);

	return pagemap_batch_src_page(b, i);
}

static void pagemap_set_addr(struct pagemap_batch *b, unsigned long i,
			     dma_addr_t addr, unsigned int order)
{
	b->addr[i] = drm_pagemap_addr_encode(addr, DRM_INTERCONNECT_SYSTEM,
					     order, b->dir);
}

struct pagemap_run {
	phys_addr_t phys;
	size_t size;
};

static int pagemap_link_run(struct pagemap_batch *b, struct pagemap_run *run)
{
	int err;

	if (!run->size)
		return 0;

	err = dma_iova_link(b->dev, &b->iova, run->phys, b->iova_linked,
			    run->size, b->dir, 0);
	if (!err)
		b->iova_linked += run->size;
	run->size = 0;

	return err;
}

static int pagemap_map_iova(struct pagemap_batch *b)
{
	size_t size = PAGE_SIZE << b->order, offset = 0;
	struct pagemap_run run = {};
	unsigned long i;
	int err;

	pagemap_batch_for_each(b, i) {
		struct page *page = pagemap_other_page(b, i);

		if (!page)
			continue;

		err = pagemap_inject(PAGEMAP_INJECT_DMA_MAP) ? -ENOMEM : 0;
		if (!err && run.size &&
		    page_to_phys(page) != run.phys + run.size)
			err = pagemap_link_run(b, &run);
		if (err)
			goto err_unmap;
		if (!run.size)
			run.phys = page_to_phys(page);
		run.size += size;
		pagemap_set_addr(b, i, b->iova.addr + offset, b->order);
		offset += size;
	}

	err = pagemap_link_run(b, &run);
	if (!err)
		err = dma_iova_sync(b->dev, &b->iova, 0, b->iova_linked);
	if (!err)
		return 0;

err_unmap:
	pagemap_dma_unmap(b);

	return err;
}

/*
 * Map one entry, in blocks of map_order pages where the DMA layer can take no
 * larger ones at a time.
 */
static int pagemap_map_entry(struct pagemap_batch *b, unsigned long i,
			     struct page *page)
{
	struct page *device_page = b->pages[i];
	unsigned long j, step = 1UL << b->map_order;

	if (pagemap_inject(PAGEMAP_INJECT_DMA_MAP))
		return -ENOMEM;

	for (j = 0; j < 1UL << b->order; j += step) {
		/* By address: a page may be device-coherent memory. */
		dma_addr_t addr = dma_map_phys(b->dev, page_to_phys(page + j),
					       PAGE_SIZE << b->map_order,
					       b->dir, 0);

		if (dma_mapping_error(b->dev, addr))
			return -ENOMEM;
		/* A valid address, but drivers take it for a hole. */
		if (!addr) {
			dma_unmap_phys(b->dev, addr, PAGE_SIZE << b->map_order,
				       b->dir, 0);
			return -ENOMEM;
		}

		__set_bit(i + j, b->mapped);
		b->pages[i + j] = device_page + j;
		pagemap_set_addr(b, i + j, addr, b->map_order);
	}

	return 0;
}

static int pagemap_map_pages(struct pagemap_batch *b)
{
	size_t max = dma_max_mapping_size(b->dev);
	unsigned long i;
	int err;

	while (b->map_order && PAGE_SIZE << b->map_order > max)
		b->map_order--;

	pagemap_batch_for_each(b, i) {
		struct page *page = pagemap_other_page(b, i);

		if (!page)
			continue;

		err = pagemap_map_entry(b, i, page);
		if (err) {
			pagemap_dma_unmap(b);
			return err;
		}
	}

	return 0;
}

/* The entry of the first system page, or npages if there is none. */
static unsigned long pagemap_first_system(const struct pagemap_batch *b,
					  size_t *total)
{
	unsigned long i, first = b->npages;

	*total = 0;
	pagemap_batch_for_each(b, i) {
		if (!pagemap_other_page(b, i))
			continue;
		first = min(first, i);
		*total += PAGE_SIZE << b->order;
	}

	return first;
}

static void pagemap_map_init(struct pagemap_batch *b, struct device *dev,
			     enum dma_data_direction dir)
{
	b->dev = dev;
	b->dir = dir;
	b->peer = NULL;
	b->map_order = b->order;
	b->iova_linked = 0;
	memset(&b->iova, 0, sizeof(b->iova));
	bitmap_zero(b->mapped, b->npages);
}

/**
 * pagemap_dma_map() - map the system pages of a batch
 * @b: batch with device pages in @b->pages, system pages in src or dst
 * @dev: the device that copies
 * @dir: DMA_TO_DEVICE: system pages are the source; DMA_FROM_DEVICE: the
 *	destination
 *
 * Fills @b->addr.
 *
 * Context: folios of the batch locked.
 * Return: 0, or -ENOMEM, and then nothing is mapped.
 */
int pagemap_dma_map(struct pagemap_batch *b, struct device *dev,
		    enum dma_data_direction dir)
{
	unsigned long first;
	size_t total;

	pagemap_map_init(b, dev, dir);
	first = pagemap_first_system(b, &total);
	if (first == b->npages)
		return 0;

	if (dma_iova_try_alloc(dev, &b->iova,
			       page_to_phys(pagemap_other_page(b, first)),
			       total)) {
		int err = pagemap_map_iova(b);

		/* An IOMMU with larger pages than ours cannot link them. */
		if (!err || err == -ENOMEM)
			return err;
	}

	return pagemap_map_pages(b);
}

/**
 * pagemap_peer_map() - map pages of another device's pagemap
 * @b: batch with pages of the copying device in @b->pages
 * @peer: the pagemap that the pages on the other side belong to; it may be the
 *	copying device's own
 * @dev: the device that copies
 * @dir: DMA_TO_DEVICE: @dev reads from @peer; DMA_FROM_DEVICE: it writes there
 *
 * Fills @b->addr.
 *
 * Context: folios of the batch locked.
 * Return: 0, or -ENOMEM, and then nothing is mapped.
 */
int pagemap_peer_map(struct pagemap_batch *b, struct drm_pagemap *peer,
		     struct device *dev, enum dma_data_direction dir)
{
	unsigned long i;

	pagemap_map_init(b, dev, dir);
	b->peer = peer;

	pagemap_batch_for_each(b, i) {
		struct page *page = pagemap_other_page(b, i);

		if (!page)
			continue;

		if (pagemap_inject(PAGEMAP_INJECT_DMA_MAP))
			goto err_unmap;

		b->addr[i] = peer->ops->device_map(peer, dev, page, b->order,
						   dir);
		if (dma_mapping_error(dev, b->addr[i].addr))
			goto err_unmap;
		__set_bit(i, b->mapped);
		/* The reader would take it for a hole. */
		if (dir == DMA_TO_DEVICE && drm_pagemap_addr_is_hole(&b->addr[i]))
			goto err_unmap;
	}

	return 0;

err_unmap:
	pagemap_dma_unmap(b);

	return -ENOMEM;
}

static void pagemap_unmap_entry(struct pagemap_batch *b, unsigned long i)
{
	if (b->peer)
		b->peer->ops->device_unmap(b->peer, b->dev, &b->addr[i]);
	else
		dma_unmap_phys(b->dev, b->addr[i].addr,
			       PAGE_SIZE << b->addr[i].order, b->dir, 0);
}

/* Undo either of them, or as much of it as was done. */
void pagemap_dma_unmap(struct pagemap_batch *b)
{
	unsigned long i;

	if (dma_use_iova(&b->iova)) {
		if (b->iova_linked)
			dma_iova_unlink(b->dev, &b->iova, 0, b->iova_linked,
					b->dir, 0);
		dma_iova_free(b->dev, &b->iova);
		memset(&b->iova, 0, sizeof(b->iova));
		return;
	}

	for_each_set_bit(i, b->mapped, b->npages)
		pagemap_unmap_entry(b, i);
	bitmap_zero(b->mapped, b->npages);
}

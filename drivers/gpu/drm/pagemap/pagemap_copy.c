// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Copies, by the driver's operations: those that return a fence, or those that
 * return when they are done. Nothing may be committed before pagemap_copy_wait()
 * has said that the content is there.
 *
 * The content of one batch can come from several places on its way to devmem:
 *
 *   a hole                     is cleared, if it must be
 *   system memory              copied by the destination's device
 *   another device's memory,   pushed by that device's copy_to_ram, or pulled
 *   or an older allocation     by ours, if it says that it can
 *   of the same device
 *
 * The latter is rare, and each such origin is served to the end before the
 * next one, with the arrays of the batch. The copy from system memory is the
 * last one, and may be left running.
 */
#include <linux/dma-fence.h>
#include <linux/memremap.h>

#include <drm/drm_print.h>

#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_job.h"

/**
 * pagemap_copy_wait() - wait for a copy
 * @fence: what an operation returned: fence, NULL or ERR_PTR(); consumed
 *
 * Not interruptible: the pages are unmapped, and the device writes to them. The
 * driver ends a copy that hangs.
 *
 * Return: 0, or the error of the operation or of the fence.
 */
int pagemap_copy_wait(struct dma_fence *fence)
{
	int err;

	if (IS_ERR_OR_NULL(fence))
		return PTR_ERR_OR_ZERO(fence);

	dma_fence_wait(fence, false);
	err = dma_fence_get_status(fence);
	dma_fence_put(fence);

	return min(err, 0);
}

/**
 * pagemap_copy_submit() - have the driver copy what has been mapped
 * @b: batch with pages and addresses filled in
 * @devmem: an allocation of the device that copies, for its operations
 * @to_ram: out of @b->pages, not into them
 * @pre: fence to wait for before the first write, or NULL
 *
 * Return: for pagemap_copy_wait().
 */
struct dma_fence *pagemap_copy_submit(struct pagemap_batch *b,
				      const struct drm_pagemap_devmem *devmem,
				      bool to_ram, struct dma_fence *pre)
{
	const struct drm_pagemap_devmem_ops *ops = devmem->ops;
	int err;

	if (pagemap_inject(PAGEMAP_INJECT_COPY))
		return ERR_PTR(-EIO);

	if (to_ram && ops->copy_to_ram_async)
		return ops->copy_to_ram_async(b->pages, b->addr, b->npages, pre);
	if (!to_ram && ops->copy_to_devmem_async)
		return ops->copy_to_devmem_async(b->pages, b->addr, b->npages,
						 pre);

	err = to_ram ? ops->copy_to_ram(b->pages, b->addr, b->npages, pre) :
		       ops->copy_to_devmem(b->pages, b->addr, b->npages, pre);

	return ERR_PTR(err);
}

/**
 * pagemap_copy_to_ram() - fill the destinations of a batch in system memory
 * @b: collected batch, with a destination where one was to be had
 * @devmem: an allocation, for its device and operations
 *
 * Context: folios of the batch locked. Sleeps.
 * Return: 0; on error nothing may be committed: -ENOMEM if the destinations
 *	could not be mapped, which passes, or what the driver returned.
 */
int pagemap_copy_to_ram(struct pagemap_batch *b,
			const struct drm_pagemap_devmem *devmem)
{
	bool any = false;
	unsigned long i;
	int err;

	pagemap_batch_for_each(b, i) {
		b->pages[i] = b->dst[i] ? pagemap_batch_src_page(b, i) : NULL;
		any |= !!b->pages[i];
	}
	if (!any)
		return 0;

	err = pagemap_dma_map(b, devmem->dev, DMA_FROM_DEVICE);
	if (err)
		return err;

	err = pagemap_copy_wait(pagemap_copy_submit(b, devmem, true, NULL));
	/* Bounce buffers reach the destination here, before the commit. */
	pagemap_dma_unmap(b);

	return err;
}

static bool pagemap_is_hole(const struct pagemap_job *job, unsigned long i)
{
	return job->batch->dst[i] && !pagemap_batch_src_page(job->batch, i);
}

/* Start to clear what has no content, if the driver has a way of its own. */
static struct dma_fence *pagemap_clear_holes(struct pagemap_job *job)
{
	struct drm_pagemap_devmem *devmem = job->chunk->devmem;
	struct pagemap_batch *b = job->batch;
	bool any = false;
	unsigned long i;

	if (!devmem->ops->clear_devmem || devmem->zeroed)
		return NULL;

	pagemap_batch_select_none(b);
	pagemap_batch_for_each(b, i) {
		if (!pagemap_is_hole(job, i))
			continue;
		b->pages[i] = migrate_pfn_to_page(b->dst[i]);
		b->addr[i].order = b->order;
		any = true;
	}

	return any ? devmem->ops->clear_devmem(b->pages, b->addr, b->npages,
					       devmem->pre_migrate_fence) : NULL;
}

/* The allocation that entry @i is copied out of; NULL: system memory, or none. */
static struct drm_pagemap_devmem *pagemap_origin(const struct pagemap_job *job,
						 unsigned long i)
{
	struct page *page = job->batch->dst[i] ?
			    pagemap_batch_src_page(job->batch, i) : NULL;

	if (!page || !is_device_private_page(page))
		return NULL;

	return pagemap_folio_zdd(page_folio(page))->devmem;
}

static bool pagemap_same_origin(const struct drm_pagemap_devmem *a,
				const struct drm_pagemap_devmem *b)
{
	return a && b && a->dpagemap == b->dpagemap && a->ops == b->ops &&
	       a->dev == b->dev;
}

/* A device can be told where its peer's pages are. */
static bool pagemap_maps_for_devices(const struct drm_pagemap *dpagemap)
{
	return dpagemap->ops->device_map && dpagemap->ops->device_unmap;
}

static bool pagemap_can_pull(const struct drm_pagemap_devmem *devmem,
			     const struct drm_pagemap *from)
{
	return from != devmem->dpagemap &&
	       (devmem->ops->flags & DRM_PAGEMAP_DEVMEM_PULLS) &&
	       pagemap_maps_for_devices(from);
}

/**
 * pagemap_copy_reaches() - is there a way for a copy between devices?
 * @devmem: the destination
 * @page: device-private page of any pagemap, collected
 *
 * Return: whether there is.
 */
bool pagemap_copy_reaches(const struct drm_pagemap_devmem *devmem,
			  struct page *page)
{
	return pagemap_maps_for_devices(devmem->dpagemap) ||
	       pagemap_can_pull(devmem, pagemap_folio_zdd(page_folio(page))->dpagemap);
}

/* Does the destination's device read it, instead of the source's writing it? */
static bool pagemap_pulls(const struct pagemap_job *job,
			  const struct drm_pagemap_devmem *origin)
{
	const struct drm_pagemap_devmem *devmem = job->chunk->devmem;

	return pagemap_can_pull(devmem, origin->dpagemap) &&
	       (job->pull || !pagemap_maps_for_devices(devmem->dpagemap));
}

static int pagemap_copy_from_device(struct pagemap_job *job,
				    struct drm_pagemap_devmem *origin)
{
	struct drm_pagemap_devmem *devmem = job->chunk->devmem;
	bool pull = pagemap_pulls(job, origin);
	struct pagemap_batch *b = job->batch;
	unsigned long i;
	int err;

	pagemap_batch_select_none(b);
	pagemap_batch_for_each(b, i)
		if (pagemap_same_origin(pagemap_origin(job, i), origin))
			b->pages[i] = pull ? migrate_pfn_to_page(b->dst[i]) :
					     pagemap_batch_src_page(b, i);

	err = pull ? pagemap_peer_map(b, origin->dpagemap, devmem->dev,
				      DMA_TO_DEVICE) :
		     pagemap_peer_map(b, devmem->dpagemap, origin->dev,
				      DMA_FROM_DEVICE);
	if (err)
		return err;

	err = pagemap_copy_wait(pagemap_copy_submit(b, pull ? devmem : origin,
						    !pull,
						    devmem->pre_migrate_fence));
	pagemap_dma_unmap(b);

	return err;
}

/* Serve each origin once: at the first entry that has it. */
static int pagemap_copy_from_devices(struct pagemap_job *job)
{
	struct drm_pagemap_devmem *last = NULL, *origin;
	struct pagemap_batch *b = job->batch;
	unsigned long i, j;
	int err;

	pagemap_batch_for_each(b, i) {
		origin = pagemap_origin(job, i);
		if (!origin || pagemap_same_origin(origin, last))
			continue;
		pagemap_batch_for_each(b, j)
			if (pagemap_same_origin(pagemap_origin(job, j), origin))
				break;
		if (j != i)
			continue;

		last = origin;
		err = pagemap_copy_from_device(job, origin);
		if (err)
			return err;
	}

	return 0;
}

/* Start the copy from system memory, which also clears holes without an op. */
static struct dma_fence *pagemap_copy_from_system(struct pagemap_job *job)
{
	struct drm_pagemap_devmem *devmem = job->chunk->devmem;
	bool holes = !devmem->ops->clear_devmem && !devmem->zeroed;
	struct pagemap_batch *b = job->batch;
	bool any = false;
	unsigned long i;
	int err;

	pagemap_batch_select_none(b);
	pagemap_batch_for_each(b, i) {
		if (!b->dst[i] || pagemap_origin(job, i) ||
		    (!holes && pagemap_is_hole(job, i)))
			continue;
		b->pages[i] = migrate_pfn_to_page(b->dst[i]);
		any = true;
	}
	if (!any)
		return NULL;

	err = pagemap_dma_map(b, devmem->dev, DMA_TO_DEVICE);
	if (err)
		return ERR_PTR(err);

	return pagemap_copy_submit(b, devmem, false, devmem->pre_migrate_fence);
}

/**
 * pagemap_copy_to_devmem() - start to fill the destinations of a job
 * @job: collected, with destinations
 *
 * Context: folios of the batch locked. pagemap_copy_finish() must follow.
 */
void pagemap_copy_to_devmem(struct pagemap_job *job)
{
	int err;

	job->cleared = pagemap_clear_holes(job);
	job->copied = NULL;
	if (IS_ERR(job->cleared))
		return;

	err = pagemap_copy_from_devices(job);
	job->copied = err ? ERR_PTR(err) : pagemap_copy_from_system(job);
}

/**
 * pagemap_copy_finish() - wait until the destinations of a job are filled
 * @job: after pagemap_copy_to_devmem()
 *
 * Return: 0, or the error of any of the operations.
 */
int pagemap_copy_finish(struct pagemap_job *job)
{
	int cleared = pagemap_copy_wait(job->cleared);
	int copied = pagemap_copy_wait(job->copied);

	job->cleared = NULL;
	job->copied = NULL;
	pagemap_dma_unmap(job->batch);

	return cleared ?: copied;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * VRAM as hotplugged memory: struct pages for it, at physical addresses that
 * nothing else has. What every driver would write, and the order in which it
 * goes when the device is unbound:
 *
 *	pages come home -> struct pages -> physical range -> pagemap
 *
 * as memunmap_pages() waits for each page that is in use, and a pagemap has a
 * pointer to its struct pages' owner.
 */
#include <drm/drm_device.h>
#include <drm/drm_print.h>
#include <linux/device/devres.h>
#include <linux/export.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mmzone.h>
#include <linux/slab.h>

#include "pagemap_internal.h"

/*
 * Long enough for any VRAM that a working device has. If pages are left then,
 * there is no end but to wait for their users, and somebody should be told.
 */
#define PAGEMAP_UNBIND_TIMEOUT_MS	30000

/* The pagemap comes first: without an operation of the driver it is kfree()d. */
struct pagemap_vram {
	struct drm_pagemap dpagemap;
	struct dev_pagemap pages;
};

static_assert(!offsetof(struct pagemap_vram, dpagemap));

/**
 * devm_drm_pagemap_add_vram() - make struct pages for VRAM
 * @drm: the device
 * @pagemap: to fill in. If it has operations it keeps them, which call those
 *	of drm_pagemap_pagemap_ops_get(); otherwise it gets these
 * @size: of the VRAM, in bytes; a multiple of PAGE_SIZE. The range in @pagemap
 *	is rounded up to what mm can hotplug, and the driver never hands out the
 *	pages behind @size
 * @owner: what hmm_range_fault() knows the device's own pages by
 *
 * They go when the device is unbound, which waits until none of them is in use:
 * the driver has them evicted before.
 *
 * Context: sleeps; takes the memory hotplug lock.
 * Return: 0; -EINVAL for a bad @size or no @owner; -EOPNOTSUPP without
 *	CONFIG_DEVICE_PRIVATE; -ERANGE when there is no free physical range of
 *	that size; -ENOMEM; or what else devm_memremap_pages() returns. After an
 *	error nothing is left behind.
 */
int devm_drm_pagemap_add_vram(struct drm_device *drm,
			      struct dev_pagemap *pagemap,
			      resource_size_t size, void *owner)
{
	struct resource *res;
	void *addr;

	if (!size || !PAGE_ALIGNED(size) || size > LONG_MAX || !owner)
		return -EINVAL;
	if (!IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		return -EOPNOTSUPP;

	size = ALIGN(size, SUBSECTION_SIZE);
	res = devm_request_free_mem_region(drm->dev, &iomem_resource, size);
	if (IS_ERR(res))
		return PTR_ERR(res);

	pagemap->type = MEMORY_DEVICE_PRIVATE;
	pagemap->range.start = res->start;
	pagemap->range.end = res->start + size - 1;
	pagemap->nr_range = 1;
	pagemap->owner = owner;
	if (!pagemap->ops)
		pagemap->ops = drm_pagemap_pagemap_ops_get();

	addr = devm_memremap_pages(drm->dev, pagemap);
	if (IS_ERR(addr))
		devm_release_mem_region(drm->dev, res->start,
					resource_size(res));

	return PTR_ERR_OR_ZERO(addr);
}
EXPORT_SYMBOL_GPL(devm_drm_pagemap_add_vram);

static void pagemap_vram_put(void *dpagemap)
{
	drm_pagemap_put(dpagemap);
}

static void pagemap_vram_evict(void *data)
{
	struct drm_pagemap_evict_result result;
	struct drm_pagemap *dpagemap = data;
	int err;

	/* As long as it gets anywhere: what is left is waited for without end. */
	do {
		err = drm_pagemap_evict_all(dpagemap, PAGEMAP_UNBIND_TIMEOUT_MS,
					    &result);
	} while (err && result.left && result.evicted + result.lost);
	if (err)
		drm_warn(dpagemap->drm, "%lu pages left in VRAM, %lu lost: %pe\n",
			 result.left, result.lost, ERR_PTR(err));
}

/* Each step has its undo in the device's resources. */
static int pagemap_vram_init(struct pagemap_vram *vram, struct drm_device *drm,
			     resource_size_t size, void *owner)
{
	struct drm_pagemap *dpagemap = &vram->dpagemap;
	int err;

	err = devm_add_action_or_reset(drm->dev, pagemap_vram_put, dpagemap);
	if (err)
		return err;
	err = devm_drm_pagemap_add_vram(drm, &vram->pages, size, owner);
	if (err)
		return err;

	return devm_add_action_or_reset(drm->dev, pagemap_vram_evict, dpagemap);
}

/**
 * devm_drm_pagemap_create_vram() - make a pagemap, and struct pages for it
 * @drm: the device
 * @size: as for devm_drm_pagemap_add_vram()
 * @owner: as for devm_drm_pagemap_add_vram()
 * @ops: the driver's operations, as for drm_pagemap_create()
 *
 * For a driver that needs no cache of pagemaps. When the device is unbound the
 * pages in its VRAM are brought home, then the struct pages go, then the
 * reference. Until then that reference holds the driver's module. The driver
 * sees to it, with drm_dev_unplug(), that no more pages move to VRAM by then;
 * and all that the operations need must have been set up before this call, for
 * it goes after.
 *
 * Context: sleeps; takes the memory hotplug lock.
 * Return: the pagemap, without a reference for the caller; or an ERR_PTR() with
 *	what drm_pagemap_init() or devm_drm_pagemap_add_vram() return, and
 *	nothing is left behind.
 */
struct drm_pagemap *devm_drm_pagemap_create_vram(struct drm_device *drm,
						 resource_size_t size,
						 void *owner,
						 const struct drm_pagemap_ops *ops)
{
	struct pagemap_vram *vram = kzalloc_obj(*vram);
	void *group;
	int err;

	if (!vram)
		return ERR_PTR(-ENOMEM);

	err = drm_pagemap_init(&vram->dpagemap, &vram->pages, drm, ops);
	if (err) {
		kfree(vram);
		return ERR_PTR(err);
	}
	group = devres_open_group(drm->dev, NULL, GFP_KERNEL);
	if (!group) {
		drm_pagemap_put(&vram->dpagemap);
		return ERR_PTR(-ENOMEM);
	}

	err = pagemap_vram_init(vram, drm, size, owner);
	if (err) {
		devres_release_group(drm->dev, group);
		return ERR_PTR(err);
	}
	devres_remove_group(drm->dev, group);

	return &vram->dpagemap;
}
EXPORT_SYMBOL_GPL(devm_drm_pagemap_create_vram);

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The driver works with the drm_pagemap that the kernel has, and with ours,
 * which has additions. What uses those is in vsvm_additions.c, which is empty
 * without them; everybody else asks vsvm_has_additions(), which says no as well
 * if the module was told to do without them.
 */
#ifndef _VSVM_PAGEMAP_H_
#define _VSVM_PAGEMAP_H_

#include <drm/drm_pagemap.h>

#include "vsvm_drv.h"

struct dentry;

/* vsvm_migrate.c: what there is with any drm_pagemap */
extern const struct drm_pagemap_ops vsvm_pagemap_ops;
extern const struct drm_pagemap_devmem_ops vsvm_devmem_ops;

/**
 * vsvm_has_additions - does the device use the additions to drm_pagemap?
 * @vdev: device
 *
 * Return: true if so.
 */
static inline bool vsvm_has_additions(const struct vsvm_device *vdev)
{
	return !vdev->config.plain;
}

#ifdef DRM_PAGEMAP_HAS_ADDITIONS

#define VSVM_ADDITIONS		true

void vsvm_additions_module_init(void);
struct drm_pagemap *vsvm_additions_create(struct vsvm_device *vdev);
int vsvm_additions_add_vram(struct vsvm_device *vdev);
void vsvm_additions_evict_all(struct vsvm_device *vdev);
void vsvm_additions_debugfs(struct vsvm_device *vdev, struct dentry *root);

#else

#define VSVM_ADDITIONS		false

/* Each eviction is for itself. */
struct drm_pagemap_budget {
};

#define DRM_PAGEMAP_BUDGET_UNKILLABLE	0

static inline void drm_pagemap_budget_begin(struct drm_pagemap_budget *budget,
					    u32 flags)
{
}

static inline void drm_pagemap_budget_end(struct drm_pagemap_budget *budget)
{
}

static inline void vsvm_additions_module_init(void)
{
}

static inline struct drm_pagemap *
vsvm_additions_create(struct vsvm_device *vdev)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline int vsvm_additions_add_vram(struct vsvm_device *vdev)
{
	return -EOPNOTSUPP;
}

static inline void vsvm_additions_evict_all(struct vsvm_device *vdev)
{
}

static inline void vsvm_additions_debugfs(struct vsvm_device *vdev,
					  struct dentry *root)
{
}

#endif /* DRM_PAGEMAP_HAS_ADDITIONS */

#endif /* _VSVM_PAGEMAP_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Faults on request, for tests of what drm_pagemap does about them. */
#ifndef _VSVM_INJECT_H_
#define _VSVM_INJECT_H_

#include <linux/mm_types.h>
#include <linux/types.h>

struct dentry;
struct drm_pagemap_devmem_ops;
struct vsvm_bo;
struct vsvm_device;

#if IS_ENABLED(CONFIG_DRM_VSVM_DEBUG)

int vsvm_inject_copy(bool to_vram);
bool vsvm_inject_unguarded(void);
const struct drm_pagemap_devmem_ops *
vsvm_inject_ops(const struct drm_pagemap_devmem_ops *ops);
void vsvm_inject_pfns(unsigned long *pfn, unsigned long npages);
vm_fault_t vsvm_inject_faulted(struct vm_fault *vmf, vm_fault_t result);
int vsvm_inject_migrated(struct vsvm_bo *bo, int err);
bool vsvm_inject_invalidation(void);
void vsvm_inject_zapped(void);
void vsvm_inject_finding(void);
void vsvm_inject_debugfs(struct vsvm_device *vdev, struct dentry *root);

#else

static inline int vsvm_inject_copy(bool to_vram)
{
	return 0;
}

static inline bool vsvm_inject_unguarded(void)
{
	return false;
}

static inline const struct drm_pagemap_devmem_ops *
vsvm_inject_ops(const struct drm_pagemap_devmem_ops *ops)
{
	return ops;
}

static inline void vsvm_inject_pfns(unsigned long *pfn, unsigned long npages)
{
}

static inline vm_fault_t vsvm_inject_faulted(struct vm_fault *vmf,
					     vm_fault_t result)
{
	return result;
}

static inline int vsvm_inject_migrated(struct vsvm_bo *bo, int err)
{
	return err;
}

static inline bool vsvm_inject_invalidation(void)
{
	return false;
}

static inline void vsvm_inject_zapped(void)
{
}

static inline void vsvm_inject_finding(void)
{
}

static inline void vsvm_inject_debugfs(struct vsvm_device *vdev,
				       struct dentry *root)
{
}

#endif

#endif /* _VSVM_INJECT_H_ */

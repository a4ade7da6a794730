/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Copies between VRAM and what the core has mapped, by the copy engines. */
#ifndef _VSVM_COPY_H_
#define _VSVM_COPY_H_

#include <linux/types.h>

struct dma_fence;
struct drm_pagemap_addr;
struct page;
struct vsvm_device;

struct vsvm_device *vsvm_page_device(struct page *page);
int vsvm_copy(struct page **pages, struct drm_pagemap_addr *addr,
	      unsigned long npages, struct dma_fence *pre, bool to_vram);
struct dma_fence *vsvm_copy_async(struct page **pages,
				  struct drm_pagemap_addr *addr,
				  unsigned long npages, struct dma_fence *pre,
				  bool to_vram);

void vsvm_copy_note_code(void);
void vsvm_copy_forget_code(struct vsvm_device *vdev, dma_addr_t addr, u64 len);

#endif /* _VSVM_COPY_H_ */

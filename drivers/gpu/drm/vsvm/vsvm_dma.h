/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which memory is mapped for DMA at any moment, so that the hardware can refuse
 * what is not, as an IOMMU would. Debug builds only, on devices without an
 * IOMMU of their own.
 */
#ifndef _VSVM_DMA_H_
#define _VSVM_DMA_H_

#include <linux/types.h>

struct device;
struct vsvm_dma;

#if IS_ENABLED(CONFIG_DRM_VSVM_DEBUG) && IS_ENABLED(CONFIG_ARCH_HAS_DMA_OPS)
int vsvm_dma_track(struct device *dev);
const struct vsvm_dma *vsvm_dma_of(struct device *dev);
bool vsvm_dma_is_mapped(const struct vsvm_dma *dma, phys_addr_t phys);
unsigned int vsvm_dma_table(const struct vsvm_dma *dma, u64 *pages,
			    unsigned int max);
#else
static inline int vsvm_dma_track(struct device *dev)
{
	return 0;
}

static inline const struct vsvm_dma *vsvm_dma_of(struct device *dev)
{
	return NULL;
}

static inline bool vsvm_dma_is_mapped(const struct vsvm_dma *dma,
				      phys_addr_t phys)
{
	return true;
}

static inline unsigned int vsvm_dma_table(const struct vsvm_dma *dma,
					  u64 *pages, unsigned int max)
{
	return 0;
}
#endif

#endif /* _VSVM_DMA_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Memory that hardware may still write to, though the driver has given it up.
 */
#ifndef _VSVM_KEEP_H_
#define _VSVM_KEEP_H_

#include <linux/types.h>

struct device;
struct drm_gpusvm_pages;
struct page;
struct vsvm_keep;

struct vsvm_keep *vsvm_keep_get(struct device *dev);
void vsvm_keep_put(struct vsvm_keep *keep);
void vsvm_keep_begin(struct vsvm_keep *keep);
bool vsvm_keep_active(const struct vsvm_keep *keep);
void vsvm_keep_range(struct vsvm_keep *keep, dma_addr_t addr, u64 len);
void vsvm_keep_svm(struct vsvm_keep *keep, const struct drm_gpusvm_pages *pages,
		   unsigned long npages);
void vsvm_keep_ttm(struct vsvm_keep *keep, struct page **pages,
		   unsigned long npages);
void vsvm_keep_end(struct vsvm_keep *keep);
void vsvm_keep_module_exit(void);

#endif /* _VSVM_KEEP_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef _DRM_PAGEMAP_H_
#define _DRM_PAGEMAP_H_

#include <linux/bits.h>
#include <linux/dma-direction.h>
#include <linux/hmm.h>
#include <linux/memremap.h>
#include <linux/types.h>

/* Pages in a block of 2^order of them. */
#define NR_PAGES(order) (1U << (order))

struct device;
struct dma_fence;
struct drm_device;
struct drm_pagemap;
struct drm_pagemap_cache;
struct drm_pagemap_dev_hold;
struct drm_pagemap_devmem;
struct drm_pagemap_private;
struct drm_pagemap_zdd;

/**
 * enum drm_interconnect_protocol - how to read the address of a mapping
 * @DRM_INTERCONNECT_SYSTEM: a DMA address of system memory
 * @DRM_INTERCONNECT_DRIVER: the first value that a driver defines; more may
 *	follow
 */
enum drm_interconnect_protocol {
	DRM_INTERCONNECT_SYSTEM,
	DRM_INTERCONNECT_DRIVER,
};

/**
 * struct drm_pagemap_addr - where a device finds a block of pages
 * @addr: address, to be read as @proto says
 * @proto: enum drm_interconnect_protocol, or a value of the driver's own
 * @order: log2 of the pages in the block
 * @dir: enum dma_data_direction of the mapping
 *
 * In an array with an element for each page, element i of order k stands for
 * 2^k pages; the 2^k - 1 elements behind it are not filled.
 */
struct drm_pagemap_addr {
	dma_addr_t addr;
	u64 proto : 54;
	u64 order : 8;
	u64 dir : 2;
};

/**
 * drm_pagemap_addr_encode() - compose a struct drm_pagemap_addr
 * @addr: address
 * @proto: how to read it
 * @order: log2 of the pages that it covers
 * @dir: direction that it was mapped for
 *
 * Return: the four in one.
 */
static inline struct drm_pagemap_addr
drm_pagemap_addr_encode(dma_addr_t addr, enum drm_interconnect_protocol proto,
			unsigned int order, enum dma_data_direction dir)
{
	return (struct drm_pagemap_addr) {
		.addr = addr,
		.proto = proto,
		.order = order,
		.dir = dir,
	};
}

/**
 * struct drm_pagemap_ops - what a driver does for its pagemap
 */
struct drm_pagemap_ops {
	/**
	 * @device_map: Make @page of this pagemap reachable for @dev, for
	 * 2^@order pages. Called under mmu-notifier locks: no allocation that
	 * waits for reclaim. A failure is an address that dma_mapping_error()
	 * recognizes.
	 */
	struct drm_pagemap_addr (*device_map)(struct drm_pagemap *dpagemap,
					      struct device *dev,
					      struct page *page,
					      unsigned int order,
					      enum dma_data_direction dir);

	/** @device_unmap: Undo @device_map. May run in an mmu notifier. */
	void (*device_unmap)(struct drm_pagemap *dpagemap,
			     struct device *dev,
			     const struct drm_pagemap_addr *addr);

	/**
	 * @populate_mm: Bring [@start, @end) of @mm into this pagemap, as far
	 * as possible, and leave it there for @timeslice_ms at least. Called
	 * with the mmap lock held for reading and a reference to @mm.
	 * Returns 0, or a negative errno that its caller may retry on;
	 * -ENODEV after unplug.
	 */
	int (*populate_mm)(struct drm_pagemap *dpagemap,
			   unsigned long start, unsigned long end,
			   struct mm_struct *mm,
			   unsigned long timeslice_ms);

	/**
	 * @destroy: Free the pagemap, whose last reference is gone. Optional:
	 * kfree() without it. If @is_atomic_or_reclaim the caller may hold a
	 * spinlock or be in reclaim, and work that sleeps must be deferred.
	 */
	void (*destroy)(struct drm_pagemap *dpagemap,
			bool is_atomic_or_reclaim);
};

/**
 * struct drm_pagemap - VRAM of a device, as memory that pages can move to
 * @ops: the driver's part
 * @ref: references; never touched directly
 * @drm: the DRM device
 * @pagemap: its struct pages
 * @dev_hold: keeps device and module while there are references
 * @cache: the cache that it is in, or NULL
 * @shrink_link: place among the idle pagemaps, owned by the shrinker
 * @priv: state of the core
 *
 * A driver embeds it, or has drm_pagemap_create() allocate it.
 */
struct drm_pagemap {
	const struct drm_pagemap_ops *ops;
	struct kref ref;
	struct drm_device *drm;
	struct dev_pagemap *pagemap;
	struct drm_pagemap_dev_hold *dev_hold;
	struct drm_pagemap_cache *cache;
	struct list_head shrink_link;
	struct drm_pagemap_private *priv;
};

/**
 * struct drm_pagemap_devmem_ops - what a driver does for a devmem allocation
 *
 * In the copies, element i of an array stands for page i of the batch. The
 * device page is pages[i], the system side is pagemap_addr[i]; an order k in
 * the address covers 2^k pages on both sides, and only element i is filled.
 * Elements without a page are to be skipped. A copy has reached its
 * destination when the operation returns 0. It may sleep, but must not take
 * the mmap lock, a page lock, or any lock that is held over an allocation of
 * VRAM.
 */
struct drm_pagemap_devmem_ops {
	/**
	 * @devmem_release: Drop the reference that the core was handed with
	 * the allocation. Optional. Runs when the last page is freed, maybe
	 * under a page-table lock: must not sleep.
	 */
	void (*devmem_release)(struct drm_pagemap_devmem *devmem_allocation);

	/**
	 * @populate_devmem_pfn: Fill @pfn with the page frame numbers of the
	 * allocation's first @npages pages. The answer must not change over
	 * the allocation's life. A block that is to hold a PMD-sized folio
	 * must be contiguous and aligned; otherwise its pages move one by one.
	 */
	int (*populate_devmem_pfn)(struct drm_pagemap_devmem *devmem_allocation,
				   unsigned long npages, unsigned long *pfn);

	/**
	 * @copy_to_devmem: Copy from system memory to @pages. A page whose
	 * address is 0 was a hole: it must read as zero, over the size of its
	 * folio. @pre_migrate_fence, if any, must have signalled before VRAM
	 * is written to.
	 */
	int (*copy_to_devmem)(struct page **pages,
			      struct drm_pagemap_addr *pagemap_addr,
			      unsigned long npages,
			      struct dma_fence *pre_migrate_fence);

	/** @copy_to_ram: Copy from @pages to system memory. */
	int (*copy_to_ram)(struct page **pages,
			   struct drm_pagemap_addr *pagemap_addr,
			   unsigned long npages,
			   struct dma_fence *pre_migrate_fence);
};

/**
 * struct drm_pagemap_devmem - a chunk of VRAM that backs one migrated range
 * @dev: the device that copies, for DMA mapping
 * @mm: the process it was allocated for. A hint: never dereferenced
 * @detached: completed when the last page is gone
 * @ops: the driver's part
 * @dpagemap: the pagemap that its pages belong to
 * @size: in bytes, a power of two
 * @timeslice_expiration: time in jiffies until which a CPU fault leaves the
 *	pages in VRAM
 * @pre_migrate_fence: to be waited for before the first write, or NULL
 * @zdd: state of the core while there are pages, changed under a lock of its own
 * @nid: memory node that its content came from, where it goes back to
 * @populating: set while pages are moving in; eviction has no business then
 *
 * The driver embeds it in its buffer object. It serves for one migration.
 */
struct drm_pagemap_devmem {
	struct device *dev;
	struct mm_struct *mm;
	struct completion detached;
	const struct drm_pagemap_devmem_ops *ops;
	struct drm_pagemap *dpagemap;
	size_t size;
	u64 timeslice_expiration;
	struct dma_fence *pre_migrate_fence;
	struct drm_pagemap_zdd *zdd;
	int nid;
	bool populating;
};

/**
 * struct drm_pagemap_migrate_details - how to migrate to devmem
 * @timeslice_ms: time that the pages stay in VRAM at least, in milliseconds
 * @can_migrate_same_pagemap: move pages that are in this pagemap already to
 *	the new allocation. Without it they stay where they are. Copies within
 *	VRAM have no operation yet: such a migration returns -EOPNOTSUPP.
 * @source_peer_migrates: on a move from another device, let its driver copy.
 *	Such moves are not there yet, and pages of another device stay.
 */
struct drm_pagemap_migrate_details {
	unsigned long timeslice_ms;
	u32 can_migrate_same_pagemap : 1;
	u32 source_peer_migrates : 1;
};

/**
 * drm_pagemap_get() - take a reference
 * @dpagemap: a pagemap that the caller has a reference to, or NULL
 *
 * Context: any.
 * Return: @dpagemap.
 */
static inline struct drm_pagemap *drm_pagemap_get(struct drm_pagemap *dpagemap)
{
	if (likely(dpagemap))
		kref_get(&dpagemap->ref);

	return dpagemap;
}

/**
 * drm_pagemap_get_unless_zero() - take a reference if there still is one
 * @dpagemap: memory that is known to hold a pagemap, or NULL
 *
 * Context: any.
 * Return: @dpagemap, or NULL when its last reference is gone.
 */
static inline struct drm_pagemap * __must_check
drm_pagemap_get_unless_zero(struct drm_pagemap *dpagemap)
{
	return (dpagemap && kref_get_unless_zero(&dpagemap->ref)) ? dpagemap : NULL;
}

#if IS_ENABLED(CONFIG_ZONE_DEVICE)

#define DRM_PAGEMAP_ZDD_FLAG_MIGRATED	BIT(0)
#define DRM_PAGEMAP_ZDD_FLAG_MASK	DRM_PAGEMAP_ZDD_FLAG_MIGRATED

int drm_pagemap_init(struct drm_pagemap *dpagemap,
		     struct dev_pagemap *pagemap,
		     struct drm_device *drm,
		     const struct drm_pagemap_ops *ops);

struct drm_pagemap *drm_pagemap_create(struct drm_device *drm,
				       struct dev_pagemap *pagemap,
				       const struct drm_pagemap_ops *ops);

struct drm_pagemap *drm_pagemap_page_to_dpagemap(struct page *page);

void drm_pagemap_put(struct drm_pagemap *dpagemap);

int drm_pagemap_migrate_to_devmem(struct drm_pagemap_devmem *devmem_allocation,
				  struct mm_struct *mm,
				  unsigned long start, unsigned long end,
				  const struct drm_pagemap_migrate_details *mdetails);

int drm_pagemap_evict_to_ram(struct drm_pagemap_devmem *devmem_allocation);

const struct dev_pagemap_ops *drm_pagemap_pagemap_ops_get(void);

void drm_pagemap_devmem_init(struct drm_pagemap_devmem *devmem_allocation,
			     struct device *dev, struct mm_struct *mm,
			     const struct drm_pagemap_devmem_ops *ops,
			     struct drm_pagemap *dpagemap, size_t size,
			     struct dma_fence *pre_migrate_fence);

int drm_pagemap_populate_mm(struct drm_pagemap *dpagemap,
			    unsigned long start, unsigned long end,
			    struct mm_struct *mm,
			    unsigned long timeslice_ms);

void drm_pagemap_destroy(struct drm_pagemap *dpagemap, bool is_atomic_or_reclaim);

int drm_pagemap_reinit(struct drm_pagemap *dpagemap);

/**
 * drm_pagemap_page_zone_device_data() - what a device-private page belongs to
 * @page: a device-private page of a pagemap
 *
 * A cookie to compare, never to dereference: equal for pages that one mapping
 * may hold together, which are those of one pagemap, from however many
 * allocations.
 *
 * Context: any; the caller makes sure that the page is not freed meanwhile.
 * Return: the cookie.
 */
static inline struct drm_pagemap_zdd *
drm_pagemap_page_zone_device_data(struct page *page)
{
	return (struct drm_pagemap_zdd *)page_pgmap(page);
}

#else

static inline struct drm_pagemap *drm_pagemap_page_to_dpagemap(struct page *page)
{
	return NULL;
}

static inline void drm_pagemap_put(struct drm_pagemap *dpagemap)
{
}

static inline struct drm_pagemap_zdd *
drm_pagemap_page_zone_device_data(struct page *page)
{
	return NULL;
}

#endif /* IS_ENABLED(CONFIG_ZONE_DEVICE) */

#endif /* _DRM_PAGEMAP_H_ */

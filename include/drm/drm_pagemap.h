/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef _DRM_PAGEMAP_H_
#define _DRM_PAGEMAP_H_

#include <linux/bits.h>
#include <linux/dma-direction.h>
#include <linux/hmm.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/types.h>

/* Pages in a block of 2^order of them. */
#define NR_PAGES(order) (1U << (order))

/*
 * What is here beyond Linux 7.3's interface, for a driver that is to build with
 * that one too.
 */
#define DRM_PAGEMAP_HAS_ADDITIONS 1

struct device;
struct dma_fence;
struct drm_device;
struct drm_pagemap;
struct drm_pagemap_cache;
struct drm_pagemap_dev_hold;
struct drm_pagemap_devmem;
struct drm_pagemap_private;
struct drm_pagemap_zdd;
struct task_struct;

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
 * In an array with an element for each page, one of order k stands for 2^k pages;
 * the 2^k - 1 elements behind it are not filled.
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
 * drm_pagemap_addr_is_hole() - is there nothing to copy from?
 * @addr: element of a copy to devmem that has a page
 *
 * No address of system memory is 0. One of a peer's memory may be, for drivers
 * with %DRM_PAGEMAP_DEVMEM_PULLS: its protocol tells it from a hole.
 *
 * Return: true if the page must read as zero.
 */
static inline bool drm_pagemap_addr_is_hole(const struct drm_pagemap_addr *addr)
{
	return !addr->addr && addr->proto == DRM_INTERCONNECT_SYSTEM;
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
	 * @populate_mm: Bring [@start, @end) of @mm into this pagemap, as far as
	 * possible, for @timeslice_ms at least. Called with the mmap lock held
	 * for reading and a reference to @mm. Returns 0, or a negative errno
	 * that its caller may retry on; -ENODEV after unplug.
	 */
	int (*populate_mm)(struct drm_pagemap *dpagemap,
			   unsigned long start, unsigned long end,
			   struct mm_struct *mm,
			   unsigned long timeslice_ms);

	/**
	 * @destroy: Free the pagemap, whose last reference is gone; kfree()
	 * without it. If @is_atomic_or_reclaim the caller may hold a spinlock or
	 * be in reclaim, and work that sleeps must be deferred.
	 */
	void (*destroy)(struct drm_pagemap *dpagemap,
			bool is_atomic_or_reclaim);

	/**
	 * @devmem_alloc: Allocate @size bytes of VRAM for pages of @mm, a power
	 * of two up to PMD_SIZE, or 2 MiB if that is less, and prepare them with
	 * drm_pagemap_devmem_init(). Optional; drm_pagemap_populate_range()
	 * needs it. The one reference is the core's and goes with
	 * devmem_release. The allocation must stay until @devmem_populated;
	 * several may be underway in one thread, so pin it rather than lock it.
	 * Called with the mmap lock held for reading and no page locked. After
	 * -ENOSPC or -ENOMEM the core asks for less.
	 */
	struct drm_pagemap_devmem *(*devmem_alloc)(struct drm_pagemap *dpagemap,
						   struct mm_struct *mm,
						   size_t size);

	/**
	 * @devmem_populated: The pages are in place, or will not come: from now
	 * on the allocation may be evicted. Goes with @devmem_alloc. Called with
	 * the mmap lock held for reading; released maybe as soon as it returns.
	 */
	void (*devmem_populated)(struct drm_pagemap_devmem *devmem_allocation);
};

/**
 * struct drm_pagemap_fault_policy - what a CPU fault brings home
 * @min_window: what a fault out of the blue takes, in bytes. 0: 64 KiB
 * @max_window: what sequential faults grow to, each taking twice what the one
 *	before it took, in bytes. 0: PMD_SIZE, or 2 MiB if that is less, which is
 *	the upper bound
 * @ignore_timeslice: bring pages home although their timeslice runs
 *
 * Rounded up to powers of two. If both are equal the window is fixed. For drivers
 * that can put single pages back, with &drm_pagemap_ops.devmem_alloc: one that
 * allocates VRAM for a whole range would get an allocation for each window.
 */
struct drm_pagemap_fault_policy {
	unsigned long min_window;
	unsigned long max_window;
	bool ignore_timeslice;
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
 * @fault_policy: what CPU faults bring home, or NULL: the whole allocation that
 *	the page belongs to. The driver may set it after drm_pagemap_init(), and
 *	keeps it until the pagemap is destroyed
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
	const struct drm_pagemap_fault_policy *fault_policy;
};

/**
 * DRM_PAGEMAP_DEVMEM_PULLS - the copy to devmem can read from a peer
 *
 * In &drm_pagemap_devmem_ops.flags: copy_to_devmem takes addresses that the
 * device_map operation of another device's pagemap has made. One of them may be
 * 0, with a protocol other than %DRM_INTERCONNECT_SYSTEM.
 */
#define DRM_PAGEMAP_DEVMEM_PULLS	BIT(0)

/**
 * struct drm_pagemap_devmem_ops - what a driver does for a devmem allocation
 *
 * In the copies, element i of an array stands for page i of the batch. The device
 * page is pages[i], the system side is pagemap_addr[i]; an order k in the address
 * covers 2^k pages on both sides, and only element i is filled. Elements without a
 * page are to be skipped. A copy is done when the operation returns 0. It may
 * sleep, but must not take the mmap lock, a page lock, or any lock that is held
 * over an allocation of VRAM.
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
	 * allocation's first @npages pages, which must never change. A block for
	 * a PMD-sized folio must be contiguous and aligned; otherwise its pages
	 * move one by one.
	 */
	int (*populate_devmem_pfn)(struct drm_pagemap_devmem *devmem_allocation,
				   unsigned long npages, unsigned long *pfn);

	/**
	 * @copy_to_devmem: Copy from system memory to @pages. A page whose
	 * address is 0 was a hole, see drm_pagemap_addr_is_hole(): it must read
	 * as zero, over the size of its folio. @pre_migrate_fence, if any, must
	 * have signalled before VRAM is written to.
	 */
	int (*copy_to_devmem)(struct page **pages,
			      struct drm_pagemap_addr *pagemap_addr,
			      unsigned long npages,
			      struct dma_fence *pre_migrate_fence);

	/**
	 * @copy_to_ram: Copy from @pages to system memory; or, where the
	 * address is one of a device_map operation, to that device's memory.
	 * @pre_migrate_fence, if any, must have signalled before the
	 * destination is written to.
	 */
	int (*copy_to_ram)(struct page **pages,
			   struct drm_pagemap_addr *pagemap_addr,
			   unsigned long npages,
			   struct dma_fence *pre_migrate_fence);

	/**
	 * @copy_to_devmem_async: As @copy_to_devmem, but may return before the
	 * copy is done: a fence with a reference; NULL if it is done already; an
	 * ERR_PTR() if it failed. Pages and addresses stay until the fence
	 * signals; the arrays are read before the return. It signals in bounded
	 * time, without the help of anybody who waits for memory, the mmap lock
	 * or a page, and its error makes the copy fail: it is no dma_fence_chain,
	 * which loses the errors of its links. Optional; preferred.
	 */
	struct dma_fence *(*copy_to_devmem_async)(struct page **pages,
						  struct drm_pagemap_addr *pagemap_addr,
						  unsigned long npages,
						  struct dma_fence *pre_migrate_fence);

	/** @copy_to_ram_async: The same for @copy_to_ram. */
	struct dma_fence *(*copy_to_ram_async)(struct page **pages,
					       struct drm_pagemap_addr *pagemap_addr,
					       unsigned long npages,
					       struct dma_fence *pre_migrate_fence);

	/**
	 * @clear_devmem: Make @pages read as zero. Elements as in a copy; the
	 * addresses are 0, their order tells how much to clear. Returns as the
	 * asynchronous copies do. Optional: with it, the copies see no holes;
	 * they are cleared here, unless &drm_pagemap_devmem.zeroed.
	 */
	struct dma_fence *(*clear_devmem)(struct page **pages,
					  struct drm_pagemap_addr *pagemap_addr,
					  unsigned long npages,
					  struct dma_fence *pre_migrate_fence);

	/** @flags: DRM_PAGEMAP_DEVMEM_* */
	u32 flags;
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
 * @zeroed: the VRAM reads as zero, so that holes need no clearing. Set by the
 *	driver after drm_pagemap_devmem_init()
 *
 * Embedded in the driver's buffer object. It serves for one migration.
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
	bool zeroed;
};

/**
 * enum drm_pagemap_policy - what becomes of a range if not all of it can move
 * @DRM_PAGEMAP_ALL_OR_NOTHING: nothing moves, in each aligned PMD for itself
 * @DRM_PAGEMAP_BEST_EFFORT: what can move moves
 * @DRM_PAGEMAP_MUST_HAVE: the same; without the page at
 *	&drm_pagemap_migrate_details.must_have it counts as failed
 */
enum drm_pagemap_policy {
	DRM_PAGEMAP_ALL_OR_NOTHING,
	DRM_PAGEMAP_BEST_EFFORT,
	DRM_PAGEMAP_MUST_HAVE,
};

/**
 * enum drm_pagemap_outcome - what became of a page on its way to VRAM
 * @DRM_PAGEMAP_MOVED: it is in VRAM now
 * @DRM_PAGEMAP_PRESENT: it was there already
 * @DRM_PAGEMAP_SKIP_UNKNOWN: mm did not give it; nobody looked why
 * @DRM_PAGEMAP_SKIP_ABSENT: there is no page, nor room for one: swapped out,
 *	in the memory of a device that is not our peer, poisoned, guarded
 * @DRM_PAGEMAP_SKIP_PINNED: pinned for DMA of somebody else
 * @DRM_PAGEMAP_SKIP_BUSY: referenced or locked by somebody else for the moment;
 *	or its swap slot is still needed by another process
 * @DRM_PAGEMAP_SKIP_UFFD: a hole that a userfaultfd wants to fill, or memory of
 *	which it wants to know each access
 * @DRM_PAGEMAP_SKIP_ACCESS: the process may not read there, or it is no memory
 *	for a device: it has tags (MTE), or is a shadow stack
 * @DRM_PAGEMAP_SKIP_KSM: merged by KSM
 * @DRM_PAGEMAP_SKIP_DEVICE: in another device, and no way for a copy
 * @DRM_PAGEMAP_SKIP_OTHERS: it could, but others of the same PMD could not
 * @DRM_PAGEMAP_SKIP_NO_VRAM: VRAM is full
 * @DRM_PAGEMAP_SKIP_DMA: it could not be mapped for the device
 * @DRM_PAGEMAP_SKIP_COPY: the copy failed
 * @DRM_PAGEMAP_SKIP_RACED: taken away after the copy
 * @DRM_PAGEMAP_NUM_OUTCOMES: how many there are
 */
enum drm_pagemap_outcome {
	DRM_PAGEMAP_MOVED,
	DRM_PAGEMAP_PRESENT,
	DRM_PAGEMAP_SKIP_UNKNOWN,
	DRM_PAGEMAP_SKIP_ABSENT,
	DRM_PAGEMAP_SKIP_PINNED,
	DRM_PAGEMAP_SKIP_BUSY,
	DRM_PAGEMAP_SKIP_UFFD,
	DRM_PAGEMAP_SKIP_ACCESS,
	DRM_PAGEMAP_SKIP_KSM,
	DRM_PAGEMAP_SKIP_DEVICE,
	DRM_PAGEMAP_SKIP_OTHERS,
	DRM_PAGEMAP_SKIP_NO_VRAM,
	DRM_PAGEMAP_SKIP_DMA,
	DRM_PAGEMAP_SKIP_COPY,
	DRM_PAGEMAP_SKIP_RACED,
	DRM_PAGEMAP_NUM_OUTCOMES,
};

/**
 * struct drm_pagemap_migrate_result - what became of a range
 * @pages: number of pages for each enum drm_pagemap_outcome
 * @outcome: an enum drm_pagemap_outcome for each page of the range, in an
 *	array of the caller's, or NULL. With it the core looks once more at what
 *	mm did not give, and tells %DRM_PAGEMAP_SKIP_ABSENT, _PINNED and _BUSY
 *	apart, which otherwise are all %DRM_PAGEMAP_SKIP_UNKNOWN. Pages that the
 *	call did not get to, for an error ended it, have the value
 *	%DRM_PAGEMAP_NUM_OUTCOMES, and are not in the sum over @pages
 * @reached: the address that the call got to; for an error what lies behind was
 *	not tried. A caller that has time, or was interrupted, can go on there
 */
struct drm_pagemap_migrate_result {
	unsigned long pages[DRM_PAGEMAP_NUM_OUTCOMES];
	u8 *outcome;
	unsigned long reached;
};

/**
 * struct drm_pagemap_evict_result - what became of the pages of a pagemap
 * @evicted: pages that are in RAM now
 * @left: pages that still are in VRAM
 * @lost: pages whose content the device did not give back. Their users get
 *	SIGBUS when they touch them
 */
struct drm_pagemap_evict_result {
	unsigned long evicted;
	unsigned long left;
	unsigned long lost;
};

/**
 * DRM_PAGEMAP_BUDGET_UNKILLABLE - a fatal signal does not end the evictions, for an
 * operation that must come to its end, such as an unbind
 */
#define DRM_PAGEMAP_BUDGET_UNKILLABLE	BIT(0)

/**
 * struct drm_pagemap_budget - how long the evictions of an operation may wait
 *
 * See drm_pagemap_budget_begin(). All of it is the core's.
 */
struct drm_pagemap_budget {
	/* private: */
	struct list_head link;
	struct drm_pagemap_budget *outer;	/* of the same thread, or NULL */
	struct task_struct *task;		/* to compare, no reference */
	s64 left;				/* nanoseconds */
	u32 flags;
};

/**
 * struct drm_pagemap_migrate_details - how to migrate to devmem
 * @timeslice_ms: time that the pages stay in VRAM at least, in milliseconds
 * @can_migrate_same_pagemap: move pages that are in this pagemap already to
 *	the new allocation, by the copy_to_ram operation. Without it they stay
 *	where they are.
 * @source_peer_migrates: whose driver copies from another device. 0: the source
 *	pushes, by its copy_to_ram. 1: the destination pulls, by its
 *	copy_to_devmem, if it has %DRM_PAGEMAP_DEVMEM_PULLS, else as 0
 * @policy: enum drm_pagemap_policy, for drm_pagemap_migrate_range() and
 *	drm_pagemap_populate_range()
 * @must_have: an address of the range, for %DRM_PAGEMAP_MUST_HAVE
 */
struct drm_pagemap_migrate_details {
	unsigned long timeslice_ms;
	u32 can_migrate_same_pagemap : 1;
	u32 source_peer_migrates : 1;
	u32 policy : 2;
	unsigned long must_have;
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

struct drm_pagemap_devmem *drm_pagemap_page_to_devmem(struct page *page);

void drm_pagemap_put(struct drm_pagemap *dpagemap);

int drm_pagemap_migrate_to_devmem(struct drm_pagemap_devmem *devmem_allocation,
				  struct mm_struct *mm,
				  unsigned long start, unsigned long end,
				  const struct drm_pagemap_migrate_details *mdetails);

int drm_pagemap_migrate_range(struct drm_pagemap_devmem *devmem_allocation,
			      struct mm_struct *mm,
			      unsigned long start, unsigned long end,
			      const struct drm_pagemap_migrate_details *mdetails,
			      struct drm_pagemap_migrate_result *result);

int drm_pagemap_populate_range(struct drm_pagemap *dpagemap,
			       struct mm_struct *mm,
			       unsigned long start, unsigned long end,
			       const struct drm_pagemap_migrate_details *mdetails,
			       struct drm_pagemap_migrate_result *result);

void drm_pagemap_budget_begin(struct drm_pagemap_budget *budget, u32 flags);

void drm_pagemap_budget_end(struct drm_pagemap_budget *budget);

int drm_pagemap_evict_to_ram(struct drm_pagemap_devmem *devmem_allocation);

int drm_pagemap_evict_all(struct drm_pagemap *dpagemap, unsigned int timeout_ms,
			  struct drm_pagemap_evict_result *result);

int devm_drm_pagemap_add_vram(struct drm_device *drm,
			      struct dev_pagemap *pagemap,
			      resource_size_t size, void *owner);

struct drm_pagemap *devm_drm_pagemap_create_vram(struct drm_device *drm,
						 resource_size_t size,
						 void *owner,
						 const struct drm_pagemap_ops *ops);

void drm_pagemap_debugfs_init(struct drm_device *drm);

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
 * A cookie to compare, never to dereference: equal for pages that one mapping may
 * hold together, those of one pagemap, from however many allocations.
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

static inline struct drm_pagemap_devmem *
drm_pagemap_page_to_devmem(struct page *page)
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

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Shared by the files of the core. The way of a migration, whichever its
 * direction and cause, is always the same, over one batch:
 *
 *   collect   mm unmaps the pages and puts migration entries in their place
 *   choose    which of them move, which stay, what is missing
 *   get       destinations, locked
 *   map       the system side for DMA
 *   copy      by the driver
 *   unmap
 *   commit    mm hands state and charge of a page over; only after a copy
 *             that succeeded, for there is no way back
 *   finalize  mm replaces the migration entries, unlocks and puts
 *
 * Locks, outermost first: mmap_lock (not for eviction), dma_resv of the
 * driver's buffer object (not for CPU faults), folio locks. From collect to
 * finalize nothing may take any of the first two, or allocate VRAM.
 */
#ifndef _PAGEMAP_INTERNAL_H_
#define _PAGEMAP_INTERNAL_H_

#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/kref.h>
#include <linux/mempool.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/wait.h>

#include <drm/drm_pagemap.h>

#define PAGEMAP_PMD_ORDER	(PMD_SHIFT - PAGE_SHIFT)
#define PAGEMAP_BATCH_PAGES	(PMD_SIZE / PAGE_SIZE)

/*
 * A batch lies within one aligned PMD, so it holds either one PMD-sized block
 * or single pages, never both: @order tells which. A block whose other side is
 * single pages is demoted: @order is 0 then, and @src[0] alone describes the
 * source.
 */
struct pagemap_batch {
	unsigned long npages;
	unsigned int order;		/* of each entry */
	bool demoted;
	struct folio *block;		/* guarded; see pagemap_block.c */

	/* The mapping of the system side; see pagemap_dma.c. */
	struct device *dev;
	enum dma_data_direction dir;
	unsigned int map_order;
	struct dma_iova_state iova;
	size_t iova_linked;
	DECLARE_BITMAP(mapped, PAGEMAP_BATCH_PAGES);

	unsigned long src[PAGEMAP_BATCH_PAGES];
	unsigned long dst[PAGEMAP_BATCH_PAGES];
	struct page *pages[PAGEMAP_BATCH_PAGES];	/* device side */
	struct drm_pagemap_addr addr[PAGEMAP_BATCH_PAGES];
};

#define pagemap_batch_for_each(b, i) \
	for ((i) = 0; (i) < (b)->npages; (i) += 1UL << (b)->order)

/*
 * Batches are large, and are needed when memory is short. Each kind of user
 * has a reserve of its own, because a populate may have to wait for an
 * eviction, and an eviction for the CPU faults that hold its folios.
 */
enum pagemap_pool {
	PAGEMAP_POOL_POPULATE,
	PAGEMAP_POOL_FAULT,
	PAGEMAP_POOL_EVICT,
	PAGEMAP_NUM_POOLS,
};

struct drm_pagemap_private {
	mempool_t *pool[PAGEMAP_NUM_POOLS];
	wait_queue_head_t slice_wait;	/* threads that wait out a timeslice */
	atomic_t slice_ended;		/* bumped to send them all on */
};

/**
 * struct drm_pagemap_zdd - zone device data, one for a devmem allocation
 * @refcount: one for each device folio, and one while the core works on it
 * @devmem: the allocation. Valid while there is a reference.
 * @dpagemap: its pagemap, referenced
 */
struct drm_pagemap_zdd {
	struct kref refcount;
	struct drm_pagemap_devmem *devmem;
	struct drm_pagemap *dpagemap;
};

/* pagemap_zdd.c */
struct drm_pagemap_zdd *pagemap_zdd_alloc(struct drm_pagemap_devmem *devmem);
struct drm_pagemap_zdd *pagemap_zdd_get(struct drm_pagemap_devmem *devmem);
void pagemap_zdd_put(struct drm_pagemap_zdd *zdd);
struct drm_pagemap_zdd *pagemap_folio_zdd(const struct folio *folio);
bool pagemap_folio_retired(const struct folio *folio);
void pagemap_folio_retire(struct folio *folio);

/* pagemap_batch.c */
int pagemap_pools_init(struct drm_pagemap_private *priv);
void pagemap_pools_fini(struct drm_pagemap_private *priv);
struct pagemap_batch *pagemap_batch_get(struct drm_pagemap *dpagemap,
					enum pagemap_pool pool);
void pagemap_batch_put(struct drm_pagemap *dpagemap, enum pagemap_pool pool,
		       struct pagemap_batch *b);
void pagemap_batch_collected(struct pagemap_batch *b, unsigned long npages);
struct page *pagemap_batch_src_page(const struct pagemap_batch *b,
				    unsigned long i);
void pagemap_batch_drop_dst(struct pagemap_batch *b, unsigned long i);
void pagemap_batch_drop_all_dst(struct pagemap_batch *b);
unsigned long pagemap_batch_moved(const struct pagemap_batch *b);
bool pagemap_pfns_fit_block(const unsigned long *pfn, unsigned int order);

/* pagemap_dma.c */
int pagemap_dma_map(struct pagemap_batch *b, struct device *dev,
		    enum dma_data_direction dir);
void pagemap_dma_unmap(struct pagemap_batch *b);

/* pagemap_to_ram.c */
unsigned long pagemap_ram_dst(struct folio *folio);
int pagemap_copy_to_ram(struct pagemap_batch *b,
			const struct drm_pagemap_devmem *devmem);
void pagemap_retire_moved(struct pagemap_batch *b);

/* pagemap_anon_vma.c */
#define PAGEMAP_MAX_PINS	8

struct pagemap_pins {
	unsigned int num;
	struct anon_vma *anon_vma[PAGEMAP_MAX_PINS];
};

bool pagemap_pin_anon_vma(struct pagemap_pins *pins, struct folio *folio);
bool pagemap_anon_vma_pinned(const struct pagemap_pins *pins,
			     const struct folio *folio);
void pagemap_unpin_anon_vmas(struct pagemap_pins *pins);

/* pagemap_block.c */
void pagemap_block_guard(struct pagemap_batch *b);
void pagemap_block_unguard(struct pagemap_batch *b);
void pagemap_block_release(struct pagemap_batch *b);

/* pagemap_fault.c */
vm_fault_t pagemap_migrate_to_ram(struct vm_fault *vmf);

/* pagemap_wait.c */
enum pagemap_wait {
	PAGEMAP_WAIT_NONE,	/* migrate now */
	PAGEMAP_WAIT_RETURN,	/* on the way back to user mode; fault again */
	PAGEMAP_WAIT_NOWAIT,	/* VM_FAULT_RETRY, locks kept */
	PAGEMAP_WAIT_RETRY,	/* locks dropped, then VM_FAULT_RETRY */
	PAGEMAP_WAIT_LOCKED,	/* mmap lock kept, then migrate */
};

enum pagemap_wait pagemap_wait_choose(unsigned int flags, bool user_task,
				      bool waited);
bool pagemap_fault_is_khugepaged(unsigned int flags, bool kthread_without_mm);
vm_fault_t pagemap_wait_slice(struct vm_fault *vmf, struct drm_pagemap_zdd *zdd,
			      bool *migrate);
void pagemap_forget_wait(void);
void pagemap_wait_raced(struct vm_fault *vmf, struct drm_pagemap *dpagemap);
void pagemap_end_slices(struct drm_pagemap *dpagemap);
void pagemap_wait_exit(void);

/* pagemap_policy.c: no locks and no device */
struct pagemap_window {
	unsigned long start;
	unsigned long end;
};

struct pagemap_window pagemap_window(unsigned long addr, unsigned long size,
				     struct pagemap_window vma);

enum pagemap_verdict {
	PAGEMAP_MOVE,
	PAGEMAP_STAY,		/* where it is wanted already */
	PAGEMAP_MISSING,	/* cannot move */
};

struct pagemap_source {
	bool collected;		/* src has MIGRATE */
	bool hole;
	bool device;		/* device-private page */
	bool ours;		/* of the destination's pagemap */
	bool ksm;
};

enum pagemap_verdict pagemap_choose(struct pagemap_source source,
				    bool move_ours);

#endif /* _PAGEMAP_INTERNAL_H_ */

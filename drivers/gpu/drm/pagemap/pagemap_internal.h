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
 * Locks, outermost first: mmap_lock (an eviction needs none, and only tries to
 * get one, for its caller may have it), dma_resv of the driver's buffer object
 * (not for CPU faults), folio locks. From collect to finalize nothing may take
 * any of the first two, or allocate VRAM.
 */
#ifndef _PAGEMAP_INTERNAL_H_
#define _PAGEMAP_INTERNAL_H_

#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/migrate.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/wait.h>

#include <drm/drm_pagemap.h>

#include "pagemap_report.h"

/* Linux 7.2 has no userfaultfd that is told of reads. */
#ifndef VM_UFFD_RWP
#define VM_UFFD_RWP	VM_NONE
#endif

#define PAGEMAP_PMD_ORDER	(PMD_SHIFT - PAGE_SHIFT)

/*
 * What moves at a time, at most. With large pages a PMD is far more than anyone
 * should wait for, or find in one piece: 512 MiB if they have 64 KiB.
 */
#define PAGEMAP_MAX_SIZE	SZ_2M
/* On powerpc the size of a PMD is not known before the boot. */
#define PAGEMAP_BATCH_PAGES	MIN(MAX_PTRS_PER_PTE, PAGEMAP_MAX_SIZE >> PAGE_SHIFT)

static_assert(PAGE_SIZE <= PAGEMAP_MAX_SIZE);

/* In bytes; the addresses of a batch lie within one piece aligned to this. */
static inline unsigned long pagemap_batch_size(void)
{
	return min(PMD_SIZE, PAGEMAP_MAX_SIZE);
}

/* Where the batch that begins at @start ends, at the latest. */
static inline unsigned long pagemap_batch_end(unsigned long start,
					      unsigned long end)
{
	unsigned long size = pagemap_batch_size();

	return min(ALIGN_DOWN(start, size) + size, end);
}

/*
 * A batch lies within one aligned PMD, so it holds either one PMD-sized block
 * or single pages, never both: @order tells which. Larger PMDs than a batch move
 * as single pages. A block whose other side is single pages is demoted: @order
 * is 0 then, and @src[0] alone describes the source.
 *
 * In the mapping, one side are pages that the copying device reaches by itself,
 * in @pages, and the other side has addresses in @addr: system memory, or the
 * memory of another device, whose pagemap is @peer then.
 */
struct pagemap_batch {
	unsigned long npages;
	unsigned int order;		/* of each entry */
	bool demoted;
	struct folio *block;		/* guarded; see pagemap_block.c */

	/* See pagemap_dma.c. */
	struct device *dev;
	enum dma_data_direction dir;
	struct drm_pagemap *peer;
	unsigned int map_order;
	struct dma_iova_state iova;
	size_t iova_linked;

	/* With room for more than the batch was made for. */
	unsigned long *src;
	unsigned long *dst;

	/* As many elements as the batch was made for. */
	unsigned long *mapped;		/* bitmap */
	struct page **pages;
	struct drm_pagemap_addr *addr;
};

/* One for few pages fits on the stack. */
#define PAGEMAP_SMALL_PAGES	16

/*
 * migrate_vma_setup() may append more entries than it was asked for, see
 * pagemap_batch_collect(): of n pages, n - 1 that it had when it began anew, and
 * then n.
 */
#define PAGEMAP_BATCH_ROOM(npages)	(2 * (npages) - 1)

/* A batch with the room for it. */
struct pagemap_large_batch {
	struct pagemap_batch batch;
	DECLARE_BITMAP(mapped, PAGEMAP_BATCH_PAGES);
	unsigned long src[PAGEMAP_BATCH_ROOM(PAGEMAP_BATCH_PAGES)];
	unsigned long dst[PAGEMAP_BATCH_ROOM(PAGEMAP_BATCH_PAGES)];
	struct page *pages[PAGEMAP_BATCH_PAGES];
	struct drm_pagemap_addr addr[PAGEMAP_BATCH_PAGES];
};

/* Three of them are kept for each pagemap, and more are allocated in a hurry. */
static_assert(sizeof(struct pagemap_large_batch) <= SZ_32K);

struct pagemap_small_batch {
	struct pagemap_batch batch;
	DECLARE_BITMAP(mapped, PAGEMAP_SMALL_PAGES);
	unsigned long src[PAGEMAP_BATCH_ROOM(PAGEMAP_SMALL_PAGES)];
	unsigned long dst[PAGEMAP_BATCH_ROOM(PAGEMAP_SMALL_PAGES)];
	struct page *pages[PAGEMAP_SMALL_PAGES];
	struct drm_pagemap_addr addr[PAGEMAP_SMALL_PAGES];
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

/* Where an address space had its last window. See pagemap_window.c. */
struct pagemap_hint {
	const struct mm_struct *mm;	/* compared, never dereferenced */
	unsigned long start;
	unsigned long end;
	unsigned long size;		/* before it was cut to what there is */
};

#define PAGEMAP_HINT_BITS	4
#define PAGEMAP_HINT_WAYS	4

struct pagemap_hints {
	struct pagemap_hint set[1 << PAGEMAP_HINT_BITS][PAGEMAP_HINT_WAYS];
	unsigned int next;
};

struct drm_pagemap_private {
	mempool_t *pool[PAGEMAP_NUM_POOLS];
	wait_queue_head_t slice_wait;	/* threads that wait out a timeslice */
	atomic_t slice_ended;		/* bumped to send them all on */
	struct list_head zdds;		/* under pagemap_zdd_lock */
	unsigned int sweep;		/* the last one over them */
	struct mutex evict_all;		/* one at a time, for its sweeps */
	struct pagemap_record record;
	struct pagemap_hints hints;
};

/**
 * struct drm_pagemap_zdd - zone device data, one for a devmem allocation
 * @refcount: one for each device folio, and one while the core works on it
 * @devmem: the allocation. Valid while there is a reference.
 * @dpagemap: its pagemap, referenced
 * @link: among those of the pagemap
 * @dead: after the last reference, until @mm is dropped
 * @mm: the process that it was made for. A hint, where the pages may be found:
 *	the structure is kept, not its address space
 * @start: the address that its first page was to have there
 * @live: pages that are in use
 * @sweep: the last one that came by, see pagemap_zdd_sweep()
 * @copy_failed: the driver could not copy it to RAM, and that has been said
 */
struct drm_pagemap_zdd {
	struct kref refcount;
	struct drm_pagemap_devmem *devmem;
	struct drm_pagemap *dpagemap;
	union {
		struct list_head link;
		struct llist_node dead;
	};
	struct mm_struct *mm;
	unsigned long start;
	atomic_t live;
	unsigned int sweep;
	bool copy_failed;
};

/* pagemap_zdd.c */
struct drm_pagemap_zdd *pagemap_zdd_alloc(struct drm_pagemap_devmem *devmem,
					  struct mm_struct *mm,
					  unsigned long start);
struct drm_pagemap_zdd *pagemap_zdd_get(struct drm_pagemap_devmem *devmem);
void pagemap_zdd_put(struct drm_pagemap_zdd *zdd);
struct drm_pagemap_zdd *pagemap_folio_zdd(const struct folio *folio);
struct drm_pagemap_zdd *pagemap_zdd_sweep(struct drm_pagemap *dpagemap,
					  unsigned int sweep);
unsigned int pagemap_zdd_sweep_begin(struct drm_pagemap *dpagemap);
bool pagemap_page_known(struct page *page);
void pagemap_zdd_exit(void);
bool pagemap_folio_retired(const struct folio *folio);
void pagemap_folio_retire(struct folio *folio);

/* pagemap_batch.c */
int pagemap_pools_init(struct drm_pagemap_private *priv);
void pagemap_pools_fini(struct drm_pagemap_private *priv);
struct pagemap_batch *pagemap_batch_get(struct drm_pagemap *dpagemap,
					enum pagemap_pool pool);
struct pagemap_batch *pagemap_batch_try_get(struct drm_pagemap *dpagemap,
					    enum pagemap_pool pool);
void pagemap_batch_put(struct drm_pagemap *dpagemap, enum pagemap_pool pool,
		       struct pagemap_batch *b);
struct pagemap_batch *pagemap_large_batch_init(struct pagemap_large_batch *large);
struct pagemap_batch *pagemap_small_batch_init(struct pagemap_small_batch *small);
void pagemap_batch_select_none(struct pagemap_batch *b);
int pagemap_batch_collect(struct drm_pagemap *dpagemap, struct pagemap_batch *b,
			  struct migrate_vma *migrate);
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
int pagemap_peer_map(struct pagemap_batch *b, struct drm_pagemap *peer,
		     struct device *dev, enum dma_data_direction dir);
void pagemap_dma_unmap(struct pagemap_batch *b);

/* pagemap_copy.c */
int pagemap_copy_wait(struct dma_fence *fence);
struct dma_fence *pagemap_copy_submit(struct pagemap_batch *b,
				      const struct drm_pagemap_devmem *devmem,
				      bool to_ram, struct dma_fence *pre);
int pagemap_copy_to_ram(struct pagemap_batch *b,
			const struct drm_pagemap_devmem *devmem);

/* pagemap_to_ram.c */
unsigned long pagemap_ram_dst(struct folio *folio);
void pagemap_retire_moved(struct pagemap_batch *b);

/* pagemap_debugfs.c */
void pagemap_debug_init(void);
void pagemap_debug_exit(void);

/* pagemap_ram.c */
struct folio *pagemap_ram_page(int nid);
struct folio *pagemap_ram_block(int nid, struct drm_pagemap_budget *budget);
gfp_t pagemap_ram_block_gfp(const struct drm_pagemap_budget *budget);
int pagemap_ram_node(struct mm_struct *mm, unsigned long addr);

/* pagemap_split.c */
void pagemap_split_exit(void);

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
unsigned long pagemap_wait_grace(u64 slept);
bool pagemap_fault_is_khugepaged(unsigned int flags, bool kthread_without_mm);
vm_fault_t pagemap_wait_slice(struct vm_fault *vmf, struct drm_pagemap_zdd *zdd,
			      bool waited, bool *migrate);
bool pagemap_take_waited(unsigned long addr, u64 *slept);
void pagemap_forget_waits(void);
void pagemap_wait_memory(struct vm_fault *vmf, struct drm_pagemap *dpagemap);
vm_fault_t pagemap_wait_raced(struct vm_fault *vmf,
			      struct drm_pagemap *dpagemap);
void pagemap_end_slices(struct drm_pagemap *dpagemap);
void pagemap_wait_exit(void);

/* pagemap_window.c: no locks and no device */
struct pagemap_window {
	unsigned long start;
	unsigned long end;
};

struct pagemap_window pagemap_window(unsigned long addr, unsigned long size,
				     struct pagemap_window vma);
unsigned long
pagemap_window_size(const struct pagemap_hint *hint, const struct mm_struct *mm,
		    unsigned long addr,
		    const struct drm_pagemap_fault_policy *policy);
struct pagemap_hint *pagemap_hint_find(struct pagemap_hints *hints,
				       const struct mm_struct *mm,
				       unsigned long addr);
void pagemap_hint_note(struct pagemap_hint *hint, const struct mm_struct *mm,
		       struct pagemap_window window, unsigned long size);

/* pagemap_policy.c: the same */
struct pagemap_source {
	bool collected;		/* src has MIGRATE */
	bool hole;
	bool uffd;		/* a hole that a userfaultfd is to fill */
	bool device;		/* device-private page */
	bool ours;		/* of the destination's pagemap */
	bool reachable;		/* device page, and there is a way to copy it */
	bool ksm;
};

/* pagemap_populate.c */
int pagemap_populate_best_effort(struct drm_pagemap *dpagemap,
				 struct mm_struct *mm, unsigned long start,
				 unsigned long end, unsigned long timeslice_ms);

enum drm_pagemap_outcome pagemap_choose(struct pagemap_source source,
					bool move_ours);
enum drm_pagemap_outcome pagemap_refuses(vm_flags_t vm_flags);
unsigned long pagemap_chunk(unsigned long start, unsigned long end,
			    unsigned long max);

/* pagemap_cache.c, for tests */
struct drm_pagemap_shrinker;
struct shrinker *pagemap_shrinker_mm(struct drm_pagemap_shrinker *shrinker);

#endif /* _PAGEMAP_INTERNAL_H_ */

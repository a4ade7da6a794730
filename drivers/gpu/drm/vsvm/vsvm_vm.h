/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A GPU address space, and what maps memory into it. */
#ifndef _VSVM_VM_H_
#define _VSVM_VM_H_

#include <drm/drm_gpusvm.h>
#include <drm/drm_gpuvm.h>
#include <drm/gpu_scheduler.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "vsvm_drv.h"

struct drm_file;
struct vsvm_bo;
struct vsvm_usage;

/**
 * struct vsvm_pt - a page table, as the driver remembers it
 * @bo: the table itself, in VRAM, which the CPU never reads
 * @parent: the table that points to it, NULL for the root
 * @offset: in VRAM
 * @va: first address that it translates
 * @level: 0 for the one whose entries are pages
 * @users: child tables, and SVM ranges and bindings that have entries in it
 * @child: tables that its entries point to; for a level above 0
 *
 * Protected by vsvm_vm.pt_lock; @offset and @va are constant.
 */
struct vsvm_pt {
	struct vsvm_bo *bo;
	struct vsvm_pt *parent;
	u64 offset;
	u64 va;
	unsigned int level;
	unsigned int users;
	struct vsvm_pt *child[];
};

/**
 * struct vsvm_ptes - where the entries of up to 2 MiB are
 * @pt: table that holds them, referenced; NULL if there never were any
 * @offset: of the first one in VRAM
 * @bytes: size of all; one entry if they are a large page
 * @gone: they were given up for good
 *
 * Written with vsvm_vm.pt_lock, by who may map by way of them, while nothing is;
 * or by who has made sure that nobody can any more.
 */
struct vsvm_ptes {
	struct vsvm_pt *pt;
	u64 offset;
	u64 bytes;
	bool gone;
};

/**
 * struct vsvm_range - an SVM range
 * @base: base; lies in one VMA when it is mapped
 * @pages: DMA addresses of its pages
 * @ptes: its page-table entries
 * @mapped: its entries are valid
 * @writable: @pages were taken for writing
 * @atomic_anywhere: atomic operations may go to memory that is not in VRAM of
 *	this device
 * @exclusive: page that was taken from the CPU, mapped instead of @pages, or NULL
 * @exclusive_dma: its address for the device
 * @disturbed: its memory changed since this was cleared
 * @skip: bytes from where the addresses in @pages point to, to where they should
 * @gc_link: in vsvm_vm.gc_list, when its memory was unmapped
 *
 * Written with vsvm_vm.lock and the notifier lock for read, except for @mapped,
 * @exclusive and @disturbed, which an invalidation clears or sets with the
 * notifier lock for write.
 */
struct vsvm_range {
	struct drm_gpusvm_range base;
	struct drm_gpusvm_pages pages;
	struct vsvm_ptes ptes;
	bool mapped;
	bool writable;
	bool atomic_anywhere;
	bool disturbed;
	u64 skip;
	struct page *exclusive;
	dma_addr_t exclusive_dma;
	struct list_head gc_link;
};

static inline struct vsvm_range *to_vsvm_range(struct drm_gpusvm_range *range)
{
	return container_of(range, struct vsvm_range, base);
}

#define VSVM_VM_QUEUES	DRM_VSVM_NUM_QUEUES

/* Pages that faulted last; an operation of the GPU needs several at once. */
#define VSVM_FAULT_PAGES	4

/**
 * struct vsvm_queue - one of the queues of an address space
 * @vm: address space
 * @ring: of a compute queue of the hardware
 * @sched: scheduler, of its own so that one hung job stops no others
 * @entity: where jobs queue
 * @fence_context: of the fences of the hardware
 * @fence_seqno: of the last one; jobs of a queue run one after the other
 * @busy_until: when the last of them was done
 * @served: faults served, to tell a slow job from a hung one
 * @fault_page: pages that faulted last, in a ring; with vsvm_vm.lock
 * @fault_next: place of the next one
 * @fault_seen: what the queue had completed then
 * @fault_repeat: how often these faulted again, and no other one did
 */
struct vsvm_queue {
	struct vsvm_vm *vm;
	struct vsvm_ring *ring;
	struct drm_gpu_scheduler sched;
	struct drm_sched_entity entity;
	u64 fence_context;
	u64 fence_seqno;
	u64 busy_until;
	atomic_t served;
	u64 fault_page[VSVM_FAULT_PAGES];
	unsigned int fault_next;
	u32 fault_seen;
	unsigned int fault_repeat;
};

/**
 * struct vsvm_vm - an address space
 * @ref: held by the file, by ioctls at work, and by jobs
 * @rcu: frees it, as names of its fences may still be read
 * @vdev: device, referenced
 * @id: number in its file
 * @mm: process that it mirrors; the memory of the structure is held, not more
 * @group: of the hardware's queues, all by one page table; -1 if it has none
 * @queue: its queues
 * @dpagemap: the device's pagemap, referenced until it is closed
 * @close_lock: ends it once, and makes others wait for that
 * @close_work: ends it for its file
 * @closed_now: that is done
 * @closed: it has ended; with @close_lock, @submit_lock and @lock to set
 * @link: in vsvm_device.vms
 * @submit_lock: order of jobs; covers @prefetches
 * @prefetches: those that nobody waits for and that have not begun
 * @prefetch_work: takes them in turn
 * @awake: it keeps the device awake
 * @gpuvm: buffer objects bound in it
 * @svm: mirror of the process
 * @lock: see vsvm_drv.h
 * @advice: how memory will be used, with @lock; NULL if nobody said anything
 * @pt_lock: page tables; held while VRAM for one is allocated
 * @root: page table
 * @epoch: of the device when it was made; if it is another one now, the page
 *	table is not to be trusted
 * @staging_lock: covers @staging until the hardware has read it
 * @staging: page-table entries on their way to VRAM
 * @staging_dma: its address for the device
 * @scan_pfn: work space of a scan of one range, with @lock
 * @scan_res: its result
 * @num_exclusive: ranges that are such pages
 * @gc_lock: protects @gc_list; taken in invalidations
 * @gc_list: ranges whose memory was unmapped
 * @gc_work: removes them
 * @link_work: takes away what is mapped over the link, after it failed
 * @fault: what each queue is stalled at, with vsvm_device.fault_lock
 * @faults: of these, which are to be served: a bit each
 * @fault_work: serves them
 * @usage: VRAM of its process, referenced
 * @busy_ns: time that its jobs spent on the hardware
 */
struct vsvm_vm {
	struct kref ref;
	struct rcu_head rcu;
	struct vsvm_device *vdev;
	u32 id;
	struct mm_struct *mm;
	int group;
	struct vsvm_queue queue[VSVM_VM_QUEUES];
	struct drm_pagemap *dpagemap;

	/* Outermost. */
	struct mutex close_lock;
	struct work_struct close_work;
	struct completion closed_now;
	bool closed;
	struct list_head link;

	/* Order of jobs. */
	struct mutex submit_lock;
	struct list_head prefetches;
	struct work_struct prefetch_work;

	bool awake;
	struct drm_gpuvm gpuvm;
	struct drm_gpusvm svm;
	/* Ranges and bindings. */
	struct mutex lock;
	struct maple_tree *advice;
	/* Page tables. */
	struct mutex pt_lock;
	struct vsvm_pt *root;
	u32 epoch;
	/* Entries on their way. */
	struct mutex staging_lock;
	u64 *staging;
	dma_addr_t staging_dma;
	unsigned long *scan_pfn;
	u8 *scan_res;

	atomic_t num_exclusive;

	/* The list. */
	spinlock_t gc_lock;
	struct list_head gc_list;
	struct work_struct gc_work;
	struct work_struct link_work;

	struct vsvm_hw_fault fault[VSVM_VM_QUEUES];
	unsigned long faults;
	struct work_struct fault_work;
	struct vsvm_usage *usage;
	atomic64_t busy_ns;
};

static inline struct vsvm_vm *to_vsvm_vm(struct drm_gpusvm *svm)
{
	return container_of(svm, struct vsvm_vm, svm);
}

/* The first of the hardware's queues that it has. */
static inline unsigned int vsvm_vm_hw_queue(const struct vsvm_vm *vm)
{
	return vm->group * VSVM_VM_QUEUES;
}

/* May its jobs run? Not after the paging engine lost commands. */
static inline bool vsvm_vm_broken(struct vsvm_vm *vm)
{
	return READ_ONCE(vm->epoch) != READ_ONCE(vm->vdev->epoch);
}

/* vsvm_vm.c */
struct vsvm_vm *vsvm_vm_create(struct vsvm_device *vdev);
void vsvm_vm_close(struct vsvm_vm *vm);
void vsvm_vm_release(struct vsvm_vm *vm, bool wait);
void vsvm_vm_close_all(struct vsvm_device *vdev);
struct vsvm_vm *vsvm_vm_lookup(struct drm_file *file, u32 id);
void vsvm_vm_put(struct vsvm_vm *vm);
struct vsvm_usage *vsvm_vm_usage(struct vsvm_device *vdev,
				 const struct mm_struct *mm);
unsigned int vsvm_vm_collect(struct vsvm_device *vdev, struct vsvm_vm **vms,
			     unsigned int max);

/* vsvm_pt.c */
int vsvm_pt_init(struct vsvm_vm *vm);
void vsvm_pt_disable(struct vsvm_vm *vm);
void vsvm_pt_fini(struct vsvm_vm *vm);
int vsvm_pt_attach(struct vsvm_vm *vm, struct vsvm_ptes *ptes, u64 start,
		   u64 size, bool large);
void vsvm_pt_detach(struct vsvm_vm *vm, struct vsvm_ptes *ptes);
void vsvm_pt_forget(struct vsvm_vm *vm, struct vsvm_ptes *ptes);
bool vsvm_range_is_atomic(const struct vsvm_range *range,
			  const struct drm_pagemap_addr *addr);
bool vsvm_pt_large(struct vsvm_range *range);
void vsvm_pt_write(struct vsvm_push *push, struct vsvm_vm *vm,
		   struct vsvm_range *range);
void vsvm_pt_write_exclusive(struct vsvm_push *push,
			     const struct vsvm_range *range);
void vsvm_pt_clear(struct vsvm_push *push, const struct vsvm_ptes *ptes);
void vsvm_pt_flush(struct vsvm_push *push, struct vsvm_vm *vm, u64 start,
		   u64 size);

/* vsvm_fault.c */
void vsvm_vm_fault_work(struct work_struct *work);

/* vsvm_sched.c */
int vsvm_sched_init(struct vsvm_vm *vm);
void vsvm_sched_kill(struct vsvm_vm *vm);

#endif /* _VSVM_VM_H_ */

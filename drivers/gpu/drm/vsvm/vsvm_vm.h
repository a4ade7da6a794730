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
#include <linux/refcount.h>
#include <linux/uidgid_types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "vsvm_drv.h"

struct drm_file;
struct mem_cgroup;
struct vsvm_bo;
struct vsvm_prefetch;
struct vsvm_space;
struct vsvm_usage;

/**
 * struct vsvm_pt - a page table, as the driver remembers it
 * @bo: the table itself, in VRAM, which the CPU never reads
 * @parent: the table that points to it, NULL for the root
 * @offset: in VRAM
 * @va: first address that it translates
 * @level: 0 for the one whose entries are pages
 * @users: child tables, and SVM ranges and bindings that have entries in it
 * @pages: of these, those that are no tables
 * @lru: in vsvm_vm.pt_lru, if there are @pages
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
	unsigned int pages;
	struct list_head lru;
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
 * struct vsvm_cold - a page table that is to go
 * @start: first address that it translates
 * @size: bytes from there
 * @level: of it
 */
struct vsvm_cold {
	u64 start;
	u64 size;
	unsigned int level;
};

/**
 * struct vsvm_notifier - what tells of changes of the memory of some ranges
 * @base: base
 * @ref: held by drm_gpusvm, and by those who work on one of the ranges, which
 *	may not be in there any more
 */
struct vsvm_notifier {
	struct drm_gpusvm_notifier base;
	struct kref ref;
};

static inline struct vsvm_notifier *
to_vsvm_notifier(struct drm_gpusvm_notifier *notifier)
{
	return container_of(notifier, struct vsvm_notifier, base);
}

/**
 * struct vsvm_range - an SVM range
 * @base: base; lies in one VMA when it is mapped
 * @lock: held by who takes its pages and maps them
 * @pages: DMA addresses of its pages
 * @ptes: its page-table entries
 * @mapped: its entries are valid
 * @writable: @pages were taken for writing
 * @atomic_anywhere: atomic operations may go to memory that is not in VRAM of
 *	this device
 * @exclusive: page that was taken from the CPU, mapped instead of @pages, or NULL
 * @exclusive_dma: its address for the device
 * @disturbed: its memory changed since this was cleared
 * @gone: it was removed, and will not be mapped any more
 * @skip: bytes from where the addresses in @pages point to, to where they should
 * @gc_link: in vsvm_vm.gc_list, when its memory was unmapped
 * @lru: in vsvm_vm.range_lru, as long as it can be found; with vsvm_vm.lock
 * @bytes: what it counts in VSVM_POOL_RANGES
 *
 * Written with @lock and the notifier lock for read. Who takes it from the GPU
 * has the notifier lock for write, and nothing else: he clears @mapped and
 * @exclusive, and sets @disturbed and @gone.
 */
struct vsvm_range {
	struct drm_gpusvm_range base;
	/* Who works on it, and may wait for user space. */
	struct mutex lock;
	struct drm_gpusvm_pages pages;
	struct vsvm_ptes ptes;
	bool mapped;
	bool writable;
	bool atomic_anywhere;
	bool disturbed;
	bool gone;
	u64 skip;
	struct page *exclusive;
	dma_addr_t exclusive_dma;
	struct list_head gc_link;
	struct list_head lru;
	size_t bytes;
};

static inline struct vsvm_range *to_vsvm_range(struct drm_gpusvm_range *range)
{
	return container_of(range, struct vsvm_range, base);
}

#define VSVM_VM_QUEUES	DRM_VSVM_NUM_QUEUES

/* Pages that faulted last; an operation of the GPU needs several at once. */
#define VSVM_FAULT_PAGES	4

/* Jobs that failed last, of a queue. */
#define VSVM_FAILURES	16

/* A job that failed. */
struct vsvm_failure {
	u64 job;		/* its number, 0: none */
	u64 fault_addr;
	int error;
	u32 failed_kernel;
};

/**
 * struct vsvm_queue - one of the queues of an address space
 * @vm: address space
 * @ring: of a compute queue of the hardware
 * @sched: scheduler, of its own so that one hung job stops no others
 * @entity: where jobs queue
 * @fence_context: of the fences of the hardware
 * @fence_seqno: of the last one; jobs of a queue run one after the other
 * @jobs: those that are not freed
 * @last_job: number of the last one, with vsvm_vm.submit_lock
 * @failure_lock: covers what follows; taken in interrupts
 * @failure: jobs that failed last, in a ring
 * @num_failures: jobs that failed
 * @forgotten: number of the last one that failed and is in there no more
 * @busy_until: when the last of them was done
 * @served: faults served, to tell a slow job from a hung one
 * @fault: what it is stalled at, with vsvm_device.fault_lock
 * @faulted: that is to be served; with the same lock
 * @fault_work: serves it; one at a time, so that what follows is its own
 * @space: work space
 * @fault_page: pages that faulted last, in a ring
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
	atomic_t jobs;
	u64 last_job;
	/* What follows. */
	spinlock_t failure_lock;
	struct vsvm_failure failure[VSVM_FAILURES];
	unsigned int num_failures;
	u64 forgotten;
	u64 busy_until;
	atomic_t served;
	struct vsvm_hw_fault fault;
	bool faulted;
	struct work_struct fault_work;
	struct vsvm_space *space;
	u64 fault_page[VSVM_FAULT_PAGES];
	unsigned int fault_next;
	u32 fault_seen;
	unsigned int fault_repeat;
};

/**
 * struct vsvm_vm - an address space
 * @ref: held by the file, by ioctls at work, by jobs, and with @workers
 * @workers: those that serve faults or move memory, and may be left behind when
 *	it is closed; and one more until it is. The last one gives @group back, so
 *	that nobody can have more of them than address spaces allow
 * @rcu: frees it, as names of its fences may still be read
 * @vdev: device, referenced
 * @id: number in its file
 * @mm: process that it mirrors; the memory of the structure is held, not more
 * @memcg: to which is charged what is allocated for it, also by a worker
 * @uid: user who made it
 * @quota_link: in vsvm_device.quota_vms, until it is freed
 * @group: of the hardware's queues, all by one page table; -1 if it has none
 * @queue: its queues
 * @dpagemap: the device's pagemap, referenced until it is closed
 * @close_lock: ends it once, and makes others wait for that
 * @close_work: ends it for its file
 * @closed_now: that is done
 * @closed: it has ended; with @close_lock, @submit_lock and @lock to set
 * @ended: no job of it is left
 * @dead_jobs: those that were killed before they ran, to be freed
 * @job_ended: woken when a job or all of it has ended
 * @link: in vsvm_device.vms
 * @submit_lock: order of jobs; covers all that is about @prefetches
 * @prefetches: those that nobody waits for and that have not begun
 * @num_prefetches: how many
 * @prefetch_now: the one that has begun
 * @prefetch_work: takes them in turn
 * @awake: it keeps the device awake
 * @gpuvm: buffer objects bound in it
 * @svm: mirror of the process
 * @lock: see vsvm_drv.h
 * @range_lru: ranges, that of the last fault at the end; with @lock
 * @advice: how memory will be used, with @lock; NULL if nobody said anything
 * @pt_lock: page tables; held while VRAM for one is allocated
 * @root: page table
 * @pt_lru: tables with entries for pages, that of the last fault at the end; with
 *	@pt_lock
 * @used: what it has of vsvm_device.pool
 * @epoch: of the device when it was made; if it is another one now, the page
 *	table is not to be trusted
 * @staging_lock: covers @staging until the hardware has read it
 * @staging: page-table entries on their way to VRAM
 * @staging_dma: its address for the device
 * @num_exclusive: ranges that are such pages
 * @gc_lock: protects @gc_list and @home_list; taken in invalidations
 * @gc_list: ranges whose memory was unmapped
 * @home_list: those of them that are removed, but have memory left in VRAM
 * @gc_work: removes the ones, and brings home the others
 * @gc_space: its work space
 * @link_work: takes away what is mapped over the link, after it failed
 * @usage: VRAM of its process, referenced
 * @busy_ns: time that its jobs spent on the hardware
 */
struct vsvm_vm {
	struct kref ref;
	refcount_t workers;
	struct rcu_head rcu;
	struct vsvm_device *vdev;
	u32 id;
	struct mm_struct *mm;
	struct mem_cgroup *memcg;
	kuid_t uid;
	struct list_head quota_link;
	int group;
	struct vsvm_queue queue[VSVM_VM_QUEUES];
	struct drm_pagemap *dpagemap;

	/* Outermost. */
	struct mutex close_lock;
	struct work_struct close_work;
	struct completion closed_now;
	bool closed;
	bool ended;
	struct llist_head dead_jobs;
	wait_queue_head_t job_ended;
	struct list_head link;

	/* Order of jobs. */
	struct mutex submit_lock;
	struct list_head prefetches;
	unsigned int num_prefetches;	/* up to VSVM_MAX_PREFETCHES */
	struct vsvm_prefetch *prefetch_now;
	struct work_struct prefetch_work;

	bool awake;
	struct drm_gpuvm gpuvm;
	struct drm_gpusvm svm;
	/* Ranges and bindings. */
	struct mutex lock;
	struct list_head range_lru;
	struct maple_tree *advice;
	/* Page tables. */
	struct mutex pt_lock;
	struct vsvm_pt *root;
	struct list_head pt_lru;
	atomic64_t used[VSVM_NUM_POOLS];
	u32 epoch;
	/* Entries on their way. */
	struct mutex staging_lock;
	u64 *staging;
	dma_addr_t staging_dma;

	atomic_t num_exclusive;

	/* The list. */
	spinlock_t gc_lock;
	struct list_head gc_list;
	struct list_head home_list;
	struct work_struct gc_work;
	struct vsvm_space *gc_space;
	struct work_struct link_work;

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
int vsvm_vm_module_init(void);
void vsvm_vm_module_exit(void);
void vsvm_vm_queue_work(struct vsvm_vm *vm, struct work_struct *work);
void vsvm_vm_cancel_work(struct vsvm_vm *vm, struct work_struct *work);
void vsvm_vm_work_done(struct vsvm_vm *vm);
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
void vsvm_pt_release(struct vsvm_vm *vm, struct vsvm_ptes *ptes);
bool vsvm_pt_coldest(struct vsvm_vm *vm, struct vsvm_cold *cold);
bool vsvm_pt_is_cold(struct vsvm_vm *vm, const struct vsvm_ptes *ptes,
		     const struct vsvm_cold *cold);
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
void vsvm_queue_fault_work(struct work_struct *work);

/* vsvm_sched.c */
int vsvm_sched_init(struct vsvm_vm *vm);
void vsvm_sched_kill(struct vsvm_vm *vm);

#endif /* _VSVM_VM_H_ */

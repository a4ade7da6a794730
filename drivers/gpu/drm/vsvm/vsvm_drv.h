/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The reference GPU's driver: what its files share.
 *
 *	vsvm_drv: module, probe and remove    vsvm_prefetch	vsvm_exec
 *	vsvm_lost		 vsvm_ioctl, vsvm_walk	    |
 *		|				    |		    |
 *	     vsvm_vm ------- vsvm_svm ------- vsvm_place    vsvm_sched
 *	     |	   |		|		    |		    |
 *	vsvm_pt  vsvm_fault	|	      vsvm_migrate	    |
 *	     |	   |		|		    |		    |
 *	     |	vsvm_bind  (drm_gpusvm)	  vsvm_bo, vsvm_vram	    |
 *	     |	   |				    |		    |
 *	     |	vsvm_gem ---------------------------+		    |
 *	     +----------------- vsvm_ring ----------+---------------+
 *				    | vsvm_transport.h: vsvm_local, vsvm_pci_hw
 *				 hardware
 *
 *	vsvm_svm stands for	vsvm_range, vsvm_advice, vsvm_exclusive
 *	vsvm_bind		vsvm_bind_map as well
 *	below vsvm_place	vsvm_peer, vsvm_copy, vsvm_additions
 *
 * Locks, outermost first:
 *
 *	vsvm_vm.close_lock	ends an address space, once
 *	vsvm_vm.submit_lock	order of arm and push, list of prefetches; nothing
 *				below but the scheduler's own locks
 *	vsvm_range.lock		who takes its pages and maps them
 *	vsvm_vm.lock		which SVM ranges there are, bindings, advice; nothing
 *				below waits for memory of user space
 *	vsvm_vm.pt_lock		page tables
 *	look-up in a cache	of pagemaps, of this device or a peer
 *	mmap_lock
 *	vsvm_device.vm_lock	the list of address spaces; nothing below
 *	dma_resv		of a BO, and which of its bindings are mapped; TTM
 *				only tries those of others
 *	(fs_reclaim)		nothing below may allocate with reclaim
 *	vsvm_vm.staging_lock	until the hardware has read what is in there
 *	folio lock		while a page is taken from the CPU
 *	drm_gpusvm.notifier_lock	read: map and look; write: invalidate
 *	vsvm_device.reset_lock
 *	vsvm_ring.lock, vsvm_device.fault_lock, vsvm_device.quota_lock,
 *	vsvm_vm.gc_lock		spinlocks
 *
 * The list of devices is read under RCU, also with notifier_lock; the mutex of
 * those who change it has nothing below.
 *
 * An invalidation holds notifier_lock for write and waits for the paging
 * engine, which waits for nothing of this driver. A fence of a job may wait for
 * a fault to be served, and so for all of the above: none leaves vsvm_sched.c,
 * and nothing above waits for one, except where it has cancelled it before. The
 * fence of a prefetch is signalled when somebody gets to see it, and one of a
 * copy waits for its engine alone.
 */
#ifndef _VSVM_DRV_H_
#define _VSVM_DRV_H_

#include <drm/drm_device.h>
#include <drm/drm_pagemap.h>
#include <drm/drm_pagemap_util.h>
#include <drm/ttm/ttm_device.h>
#include <drm/vsvm_drm.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "vsvm_config.h"
#include "vsvm_quota.h"
#include "vsvm_ring.h"
#include "vsvm_transport.h"

struct drm_file;
struct vsvm_keep;
struct vsvm_vm;

#define VSVM_NAME	"vsvm"

/* Address spaces of a device; each has some of the hardware's queues. */
#define VSVM_MAX_VMS	(VSVM_HW_NUM_QUEUES / DRM_VSVM_NUM_QUEUES)

/* Interconnect of a drm_pagemap_addr that is VRAM of the device that asks. */
#define VSVM_INTERCONNECT_VRAM	DRM_INTERCONNECT_DRIVER

#define VSVM_NO_ROOT		(~0ull)

/* Members of struct drm_vsvm_stats, in their order. */
enum vsvm_stat {
	VSVM_STAT_GPU_FAULTS,
	VSVM_STAT_GPU_FAULTS_MERGED,
	VSVM_STAT_GPU_FAULTS_FAILED,
	VSVM_STAT_CPU_FAULTS,
	VSVM_STAT_TO_VRAM_BYTES,
	VSVM_STAT_TO_VRAM_NS,
	VSVM_STAT_TO_RAM_BYTES,
	VSVM_STAT_TO_RAM_NS,
	VSVM_STAT_CLEARED_BYTES,
	VSVM_STAT_EVICTIONS,
	VSVM_STAT_INVALIDATIONS,
	VSVM_STAT_TLB_FLUSHES,
	VSVM_STAT_JOBS,
	VSVM_STAT_JOBS_FAILED,
	VSVM_STAT_FIFO_OVERFLOWS,
	VSVM_STAT_LINK_BYTES,
	VSVM_STAT_EXCLUSIVE_PAGES,
	VSVM_STAT_COPIES_4K,
	VSVM_STAT_COPIES_64K,
	VSVM_STAT_COPIES_2M,
	VSVM_NUM_STATS,
};

/**
 * struct vsvm_device - one virtual GPU
 * @drm: base
 * @config: settings, constant
 * @id: number among the driver's devices
 * @hw: connection to the hardware, from probe until after the last page of
 *	VRAM is home
 * @keep: what it may still write to when it is gone; NULL if that cannot be
 * @ring: the driver's side of every engine
 * @reset_lock: one reset at a time
 * @epoch: counts resets of the paging engine
 * @ttm: memory manager of VRAM
 * @svm_bytes: VRAM that backs SVM allocations now
 * @gem_bytes: VRAM that backs objects of user space now
 * @held_until: jiffies, until when memory of processes gets no VRAM
 * @pagemap: struct pages of VRAM
 * @peer: in the driver's list of devices that share an owner cookie
 * @peer_link: in the list of devices that can have links to each other
 * @linkable: there may be a link to other devices of its family
 * @family: 0 for those in this kernel, else what their process made up
 * @link_up: its link is plugged in
 * @link_work: has what is mapped over it taken away, after it failed
 * @cache: holds the drm_pagemap while nobody uses it
 * @release_list: BOs whose last page went home, to be put by @release_work
 * @release_work: puts BOs that were released in atomic context
 * @release_wq: for @release_work
 * @svm_wq: serves faults, collects garbage and moves memory that nobody waits
 *	for; unbound, so that address spaces do not wait for each other
 * @timeout_wq: handles hung jobs and copies, one after the other
 * @fault_work: drains the fault FIFO
 * @fault_entries: places in the FIFO, constant
 * @fault_tail: of the FIFO, records that were taken out
 * @fault_overflow: records that the hardware said it had dropped
 * @fault_lock: protects @group_vm and what it points to while faults are handed
 *	out
 * @group_vm: whose compute queues they are
 * @group_ida: groups of compute queues in use
 * @groups: the same for the interrupt
 * @wakers: references that keep it awake
 * @asleep: runtime suspended; takes no commands
 * @gone: unbound: what is in VRAM now is lost
 * @lost: the hardware has gone, and VRAM with it
 * @lost_work: ends what waits for it, and has the device bound anew
 * @vm_lock: protects @vms
 * @vms: address spaces that are not closed
 * @quota_lock: protects @quota_vms and @quota_users
 * @quota_vms: address spaces that are not freed
 * @quota_users: users who have objects
 * @pool: what all of them share
 * @copied_until: time of the last copy's end, in ns, by direction; 1 is to VRAM
 * @stats: counters, by enum vsvm_stat
 */
struct vsvm_device {
	struct drm_device drm;
	struct vsvm_config config;
	unsigned int id;

	struct vsvm_transport *hw;
	struct vsvm_keep *keep;
	struct vsvm_ring ring[VSVM_HW_NUM_ENGINES];
	/* One reset at a time. */
	struct mutex reset_lock;
	u32 epoch;

	struct ttm_device ttm;
	atomic64_t svm_bytes;
	atomic64_t gem_bytes;
	unsigned long held_until;
	struct dev_pagemap pagemap;
	struct drm_pagemap_peer peer;
	struct list_head peer_link;
	bool linkable;
	u64 family;
	bool link_up;
	struct work_struct link_work;
	struct drm_pagemap_cache *cache;

	struct llist_head release_list;
	struct work_struct release_work;
	struct workqueue_struct *release_wq;
	struct workqueue_struct *svm_wq;
	struct workqueue_struct *timeout_wq;

	struct work_struct fault_work;
	u32 fault_entries;
	u32 fault_tail;
	u32 fault_overflow;
	/* Whose queue it is. */
	spinlock_t fault_lock;
	struct vsvm_vm *group_vm[VSVM_MAX_VMS];
	struct ida group_ida;
	DECLARE_BITMAP(groups, VSVM_MAX_VMS);

	atomic_t wakers;
	bool asleep;
	bool gone;
	bool lost;
	struct work_struct lost_work;

	/* The list. */
	struct mutex vm_lock;
	struct list_head vms;
	/* The other lists. */
	spinlock_t quota_lock;
	struct list_head quota_vms;
	struct list_head quota_users;
	struct vsvm_pool pool[VSVM_NUM_POOLS];

	atomic64_t copied_until[2];
	atomic64_t stats[VSVM_NUM_STATS];
};

/**
 * struct vsvm_file - an open file
 * @vms: its address spaces, by number
 * @next_id: where to look for the next number: none is used again for a long time
 * @busy_ns: time that jobs of others, which are not in there any more, spent on
 *	the hardware; with the lock of @vms
 */
struct vsvm_file {
	struct xarray vms;
	u32 next_id;
	u64 busy_ns;
};

static inline struct vsvm_device *to_vsvm(struct drm_device *drm)
{
	return container_of(drm, struct vsvm_device, drm);
}

static inline void vsvm_stat_add(struct vsvm_device *vdev, enum vsvm_stat stat,
				 u64 value)
{
	atomic64_add(value, &vdev->stats[stat]);
}

static inline u64 vsvm_stat_read(struct vsvm_device *vdev, enum vsvm_stat stat)
{
	return atomic64_read(&vdev->stats[stat]);
}

/* vsvm_drv.c */
/*
 * For closing and unbinding, which may outlive the device that they are about. They
 * find a worker here however many wait for user space, see vsvm_vm_queue_work().
 */
extern struct workqueue_struct *vsvm_close_wq;
void vsvm_probe_failed(int err);
int vsvm_probe(struct device *dev);
void vsvm_remove(struct device *dev);
void vsvm_shutdown(struct device *dev);
bool vsvm_pci_taken(unsigned int nth);

/* vsvm_lost.c */
int vsvm_lost_init(struct vsvm_device *vdev);
void vsvm_lost(void *data);
void vsvm_lost_work(struct work_struct *work);
void vsvm_lost_module_exit(void);

/* vsvm_vram.c */
int vsvm_vram_init(struct vsvm_device *vdev);
int vsvm_vram_evict_all(struct vsvm_device *vdev, unsigned int tries);
u64 vsvm_vram_used(struct vsvm_device *vdev);
void vsvm_vram_flush(struct vsvm_device *vdev);
void vsvm_vram_hold(struct vsvm_device *vdev, unsigned long duration);
bool vsvm_vram_is_held(struct vsvm_device *vdev);

/* vsvm_migrate.c */
void vsvm_migrate_module_init(void);
const struct dev_pagemap_ops *vsvm_dev_pagemap_ops(void);
struct drm_pagemap *vsvm_pagemap_get(struct vsvm_device *vdev);

/* vsvm_fault.c */
void vsvm_fault_drain(struct work_struct *work);
void vsvm_fault_irq(struct vsvm_device *vdev);

/* vsvm_ioctl.c, vsvm_exec.c */
int vsvm_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int vsvm_vm_create_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file);
int vsvm_vm_destroy_ioctl(struct drm_device *drm, void *data,
			  struct drm_file *file);
int vsvm_exec_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* vsvm_ufence.c */
int vsvm_wait_user_fence_ioctl(struct drm_device *drm, void *data,
			       struct drm_file *file);

/* vsvm_walk.c */
int vsvm_residency_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file);

/* vsvm_gem.c, vsvm_bind.c */
int vsvm_gem_create_ioctl(struct drm_device *drm, void *data,
			  struct drm_file *file);
int vsvm_gem_mmap_ioctl(struct drm_device *drm, void *data,
			struct drm_file *file);
int vsvm_vm_bind_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file);

/* vsvm_bench.c */
void vsvm_bench_debugfs(struct vsvm_device *vdev, struct dentry *root);

/* vsvm_debugfs.c */
void vsvm_debugfs_init(struct drm_minor *minor);
void vsvm_show_fdinfo(struct drm_printer *p, struct drm_file *file);

#endif /* _VSVM_DRV_H_ */

/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * User-space interface of vsvm, a virtual GPU with shared virtual memory.
 *
 * For every ioctl: unknown flags and enum values, and padding that is not zero,
 * give -EINVAL; a user pointer that cannot be accessed -EFAULT; a device that was
 * unplugged -ENODEV; an address space that does not exist, or belongs to another
 * open file, -ENOENT; one that mirrors another process, as after fork(), -EPERM. A
 * failed call leaves everything as it was. Addresses are those of the calling
 * process; one that no process can have gives -EINVAL, except from
 * DRM_VSVM_BIND_START on, where buffer objects are bound. Layouts are the same for
 * programs of 32 and 64 bits.
 */
#ifndef _UAPI_VSVM_DRM_H_
#define _UAPI_VSVM_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_VSVM_QUERY		0x00
#define DRM_VSVM_VM_CREATE	0x01
#define DRM_VSVM_VM_DESTROY	0x02
#define DRM_VSVM_EXEC		0x03
#define DRM_VSVM_PREFETCH	0x04
#define DRM_VSVM_RESIDENCY	0x05
#define DRM_VSVM_GEM_CREATE	0x06
#define DRM_VSVM_GEM_MMAP	0x07
#define DRM_VSVM_VM_BIND	0x08
#define DRM_VSVM_MADVISE	0x09
#define DRM_VSVM_EXCLUSIVE	0x0a
#define DRM_VSVM_WAIT_USER_FENCE	0x0b

/* Parameters of DRM_IOCTL_VSVM_QUERY and the structures that they return. */
#define DRM_VSVM_QUERY_DEVICE	0	/* struct drm_vsvm_device_info */
#define DRM_VSVM_QUERY_STATS	1	/* struct drm_vsvm_stats */

/**
 * struct drm_vsvm_query - ask for a structure of facts
 * @param: one of DRM_VSVM_QUERY_*
 * @size: in: room at @data in bytes; out: full size of the structure.
 *	0 just asks for the size.
 * @data: user pointer. Gets the smaller of room and structure.
 *
 * Errors: -EINVAL for an unknown @param, -EFAULT.
 */
struct drm_vsvm_query {
	__u32 param;
	__u32 size;
	__u64 data;
};

/**
 * struct drm_vsvm_device_info - what the device is
 * @vram_size: bytes of VRAM
 * @vram_used: bytes of it that are allocated now
 * @va_bits: width of a GPU virtual address
 * @num_peers: other devices that this one has a link to now
 * @large_page: size of a large GPU page in bytes
 * @device_id: number of this device among those of the driver
 */
struct drm_vsvm_device_info {
	__u64 vram_size;
	__u64 vram_used;
	__u32 va_bits;
	__u32 num_peers;
	__u32 large_page;
	__u32 device_id;
};

/**
 * struct drm_vsvm_stats - counters of the device since it was bound
 * @gpu_faults: fault records that the GPU raised
 * @gpu_faults_merged: of those, answered by another record's service
 * @gpu_faults_failed: of those, that ended a job
 * @cpu_faults: passes in which CPU accesses brought memory home from VRAM
 * @to_vram_bytes: bytes copied from system memory to VRAM
 * @to_vram_ns: time that these copies took, from submission to completion
 * @to_ram_bytes: bytes copied from VRAM to system memory
 * @to_ram_ns: time that these copies took
 * @cleared_bytes: bytes of VRAM cleared for memory that had no page yet
 * @evictions: allocations moved out of VRAM to make room or on unbind
 * @invalidations: calls that made GPU mappings invalid
 * @tlb_flushes: TLB invalidations sent to the GPU
 * @jobs: jobs completed
 * @jobs_failed: of those, that ended with an error
 * @fifo_overflows: fault records that found no room
 * @link_bytes: bytes copied to VRAM of this device from that of another one
 * @exclusive_pages: pages taken from the CPU for atomic operations
 * @copies_4k: copies to or from VRAM, by a copy engine, of less than 64 KiB
 * @copies_64k: of less than 2 MiB
 * @copies_2m: of 2 MiB and more
 */
struct drm_vsvm_stats {
	__u64 gpu_faults;
	__u64 gpu_faults_merged;
	__u64 gpu_faults_failed;
	__u64 cpu_faults;
	__u64 to_vram_bytes;
	__u64 to_vram_ns;
	__u64 to_ram_bytes;
	__u64 to_ram_ns;
	__u64 cleared_bytes;
	__u64 evictions;
	__u64 invalidations;
	__u64 tlb_flushes;
	__u64 jobs;
	__u64 jobs_failed;
	__u64 fifo_overflows;
	__u64 link_bytes;
	__u64 exclusive_pages;
	__u64 copies_4k;
	__u64 copies_64k;
	__u64 copies_2m;
};

/**
 * struct drm_vsvm_vm_create - make a GPU address space
 * @flags: must be 0
 * @vm_id: out: its number, not 0
 *
 * It mirrors that of the calling process, for as long as the process or the file
 * lives. A process may have 16 on a device, a user 48, more with
 * CAP_SYS_RESOURCE; the device has 64. One that has ended counts until nothing is
 * at work for it, which a page fault that the process does not answer puts off.
 *
 * Errors: -EINVAL, -ENOMEM, -ENODEV, -EDQUOT when the process or the user has as
 * many as it may have, -ENOSPC when the device has none left (one that has just
 * ended may be on its way), -EIO, -EINTR.
 */
struct drm_vsvm_vm_create {
	__u32 flags;
	__u32 vm_id;
};

/**
 * struct drm_vsvm_vm_destroy - end a GPU address space
 * @vm_id: its number
 * @pad: must be 0
 *
 * Jobs on it end with an error. Memory in VRAM stays there. A fatal signal ends
 * the wait for that.
 *
 * Errors: -EINVAL, -ENOENT.
 */
struct drm_vsvm_vm_destroy {
	__u32 vm_id;
	__u32 pad;
};

/* What a kernel does. Elements are bytes unless it says otherwise. */
#define DRM_VSVM_OP_FILL	0	/* dst[i] = arg */
#define DRM_VSVM_OP_COPY	1	/* dst[i] = src[i] */
#define DRM_VSVM_OP_ADD		2	/* dst[i] = src[i] + arg */
#define DRM_VSVM_OP_SAXPY	3	/* u32 dst[i] += arg * src[i] */
#define DRM_VSVM_OP_HISTOGRAM	4	/* u64 dst[256] = counts of src[0..count) */
#define DRM_VSVM_OP_SUM		5	/* u64 dst[0] = sum of src[0..count) */
/*
 * Follow u64 next pointers at offset 0 of each node from src to 0, or for
 * count nodes if count is not 0. u64 dst[0] = nodes, u64 dst[1] = sum of the
 * u64 at offset arg of each node.
 */
#define DRM_VSVM_OP_CHASE	6
/*
 * count times, one after the other: add arg to the u64 at dst, in one step as
 * seen by everybody else, CPUs included. Where the memory must be for that is
 * said by DRM_VSVM_MADVISE_ATOMIC.
 */
#define DRM_VSVM_OP_ATOMIC_ADD	7

/**
 * struct drm_vsvm_kernel - one kernel of a job
 * @op: one of DRM_VSVM_OP_*
 * @pad: must be 0
 * @dst: virtual address of the result
 * @src: virtual address of the input; must be 0 for FILL and ATOMIC_ADD
 * @count: elements
 * @arg: see @op
 *
 * u64 and u32 elements must be naturally aligned. Source and destination of a
 * COPY must not overlap, unless they are the same.
 */
struct drm_vsvm_kernel {
	__u32 op;
	__u32 pad;
	__u64 dst;
	__u64 src;
	__u64 count;
	__u64 arg;
};

#define DRM_VSVM_SYNC_SIGNAL	(1 << 0)	/* not supported, see EXEC */

/**
 * struct drm_vsvm_sync - a drm_syncobj that a job waits for
 * @handle: of the syncobj
 * @flags: must be 0
 * @point: timeline point, 0 for a binary syncobj
 */
struct drm_vsvm_sync {
	__u32 handle;
	__u32 flags;
	__u64 point;
};

#define DRM_VSVM_EXEC_WAIT	(1 << 0)	/* return when the job is done */
#define DRM_VSVM_EXEC_FENCE	(1 << 1)	/* write a user fence */

/* Queues of an address space, which work side by side. */
#define DRM_VSVM_NUM_QUEUES	4

/* Bounds of a job. */
#define DRM_VSVM_MAX_KERNELS	32
#define DRM_VSVM_MAX_SYNCS	64

/**
 * struct drm_vsvm_exec - run kernels, one after the other, as one job
 * @vm_id: address space
 * @flags: DRM_VSVM_EXEC_WAIT, DRM_VSVM_EXEC_FENCE
 * @num_kernels: 1 to DRM_VSVM_MAX_KERNELS
 * @num_syncs: 0 to DRM_VSVM_MAX_SYNCS
 * @kernels: user pointer to struct drm_vsvm_kernel[@num_kernels]
 * @syncs: user pointer to struct drm_vsvm_sync[@num_syncs]
 * @fault_addr: out, with WAIT: the address that failed, if -EFAULT or -EACCES
 * @failed_kernel: out, with WAIT: index of the kernel that failed
 * @queue: 0 to DRM_VSVM_NUM_QUEUES - 1. Jobs of one queue run in their order,
 *	those of different queues side by side
 * @fence_addr: with FENCE: address of the user fence, a multiple of 8; else 0
 * @fence_value: with FENCE: what is written there; else 0
 * @job: out: number of the job in its queue, from 1
 *
 * A user fence is a 64-bit word in memory of the process, or in a bound buffer
 * object. The queue writes it when the kernels are done, after all that they
 * wrote and after the fences of earlier jobs of the queue, in one store, as a
 * kernel would: it may fault, and a bad address ends the job with -EFAULT and a
 * @failed_kernel of @num_kernels. If the job fails nothing is written: see
 * DRM_IOCTL_VSVM_WAIT_USER_FENCE for how to learn of that.
 *
 * A job waits for page faults, and so for what the process does about them
 * (userfaultfd, a file system in user space). A fence that the kernel itself may
 * wait for, to get memory or to move a buffer, must not depend on that: a
 * syncobj with DRM_VSVM_SYNC_SIGNAL gives -EOPNOTSUPP. A job may wait for
 * syncobjs that already have a fence.
 *
 * A job that touches memory without permission, or where there is none or none can
 * be had for most of a second, ends with -EFAULT; one whose atomic operation is on
 * memory that cannot be where it has to be, with -EACCES: returned with WAIT, else
 * by WAIT_USER_FENCE. The kernels before the one that failed have run.
 *
 * Errors: -EINVAL, -ENOENT (VM or syncobj), -EPERM, -EOPNOTSUPP, -EAGAIN (the
 * queue has 256 jobs that have not ended: wait for one of them), -EFAULT,
 * -EACCES, -ENOMEM, -ENOSPC (no VRAM for what must be there), -ENODEV, -ETIME (the
 * job hung and was cancelled), -ECANCELED (device unbound or VM destroyed), -EIO
 * (engine error), -EREMOTEIO (the link to another device went down; its memory is
 * safe, and a later job finds another way to it), -EINTR while waiting: the job
 * goes on.
 */
struct drm_vsvm_exec {
	__u32 vm_id;
	__u32 flags;
	__u32 num_kernels;
	__u32 num_syncs;
	__u64 kernels;
	__u64 syncs;
	__u64 fault_addr;
	__u32 failed_kernel;
	__u32 queue;
	__u64 fence_addr;
	__u64 fence_value;
	__u64 job;
};

/* When a wait is over, for the bits that are in the mask, without a sign. */
#define DRM_VSVM_UFENCE_EQ	0	/* word == value */
#define DRM_VSVM_UFENCE_NEQ	1	/* word != value */
#define DRM_VSVM_UFENCE_GT	2	/* word > value */
#define DRM_VSVM_UFENCE_GTE	3	/* word >= value */
#define DRM_VSVM_UFENCE_LT	4	/* word < value */
#define DRM_VSVM_UFENCE_LTE	5	/* word <= value */

/* The timeout is a time of CLOCK_MONOTONIC; else how long to wait. */
#define DRM_VSVM_UFENCE_ABSTIME	(1 << 0)

/**
 * struct drm_vsvm_wait_user_fence - wait for a word in memory
 * @vm_id: address space whose jobs write it
 * @op: one of DRM_VSVM_UFENCE_EQ to LTE
 * @flags: DRM_VSVM_UFENCE_ABSTIME or 0
 * @queue: queue of @job; 0 to DRM_VSVM_NUM_QUEUES - 1
 * @job: the job that is to write it, as of EXEC, or 0: its failure ends the wait
 * @addr: user pointer to the word, a multiple of 8. That of a buffer object is
 *	where a CPU has it mapped
 * @value: to compare with
 * @mask: bits that count
 * @timeout_ns: nanoseconds: 0 looks once; without ABSTIME a negative one is no
 *	timeout, and what is left of a positive one is returned
 * @fault_addr: out, with -EIO: the address that failed, if -EFAULT or -EACCES
 * @error: out, with -EIO: negative error that the job ended with, as of EXEC, or
 *	-ENODATA if it ended and so many failed since that nobody knows how
 * @failed_kernel: out, with -EIO: index of the kernel that failed
 * @pad: must be 0
 *
 * Looks when jobs of the address space end, and a few times a second for others
 * that may write. What was true in between may go unnoticed.
 *
 * Errors: -EINVAL (also a @job that there never was), -ENOENT (VM), -EPERM,
 * -EFAULT (@addr), -ETIME, -EIO (the job failed, and the word is not as wanted),
 * -ECANCELED (device unbound or VM destroyed meanwhile), -ENODEV, -EINTR. -ENODEV
 * and -ENOENT say nothing of the job, which may write until the removal of the
 * device has ended it, or VM_DESTROY has returned.
 */
struct drm_vsvm_wait_user_fence {
	__u32 vm_id;
	__u32 op;
	__u32 flags;
	__u32 queue;
	__u64 job;
	__u64 addr;
	__u64 value;
	__u64 mask;
	__s64 timeout_ns;
	__u64 fault_addr;
	__s32 error;
	__u32 failed_kernel;
	__u64 pad;
};

#define DRM_VSVM_LOC_SYSTEM	0
#define DRM_VSVM_LOC_DEVICE	1	/* VRAM of this device */
/* VRAM of device number n: this one, or one that it has a link to. */
#define DRM_VSVM_LOC_DEVICE_ID(n)	(0x100 + (n))

/* Do not wait; the syncobj gets a signalled fence when the memory has moved. */
#define DRM_VSVM_PREFETCH_ASYNC	(1 << 0)

/**
 * struct drm_vsvm_prefetch - move memory
 * @vm_id: address space
 * @location: one of DRM_VSVM_LOC_*
 * @start: first address, a multiple of the page size
 * @length: bytes, a multiple of the page size, not 0
 * @flags: DRM_VSVM_PREFETCH_ASYNC or 0
 * @syncobj: with ASYNC: handle of a binary syncobj; else must be 0
 * @moved: out: pages that are at @location now and were not before, or had no
 *	page before
 * @skipped: out: pages that are not at @location now
 *
 * Returns when the memory has moved. Pages that cannot move stay and are counted
 * as skipped: that is not an error. Memory of a device that has no link to the one
 * at @location goes by way of system memory.
 *
 * With ASYNC it returns at once, with 0 in @moved and @skipped. The syncobj has no
 * fence until the end: wait for it with DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT. So
 * no fence depends on what the process does about page faults, and EXEC cannot
 * wait for it. An error that shows only later is that of the syncobj's fence.
 *
 * After -ENODEV, -ENOMEM, -EINTR and -ECANCELED some of the memory may have
 * moved, and @moved and @skipped say nothing. To do it again does no harm.
 *
 * Errors: -EINVAL (range unaligned, empty, wrapping or beyond the address
 * space), -ENOENT (VM, syncobj), -EPERM, -ENXIO (no link to that device, or no
 * such device), -EFAULT (part of the range is not mapped; nothing has moved),
 * -ENODEV (the device is gone), -ENOMEM, -EINTR, -ECANCELED (the address space
 * was closed, or the device unbound, meanwhile; also of the fence), -EAGAIN (256
 * with ASYNC wait behind the one under way: wait for one of them).
 */
struct drm_vsvm_prefetch {
	__u32 vm_id;
	__u32 location;
	__u64 start;
	__u64 length;
	__u32 flags;
	__u32 syncobj;
	__u64 moved;
	__u64 skipped;
};

/*
 * Where a page is: the value of a byte of DRM_IOCTL_VSVM_RESIDENCY. NONE is no
 * page, swapped out, taken from the CPU but not for this address space, or in VRAM
 * of a device that never has a link to this one.
 */
#define DRM_VSVM_RES_NONE	0x00
#define DRM_VSVM_RES_SYSTEM	0x01
#define DRM_VSVM_RES_DEVICE	0x02	/* VRAM of this device */
#define DRM_VSVM_RES_PEER	0x03	/* VRAM of another device */
#define DRM_VSVM_RES_MASK	0x0f
#define DRM_VSVM_RES_WRITE	0x10	/* the CPU's entry allows writing */
#define DRM_VSVM_RES_PMD	0x20	/* mapped by an entry of 2 MiB */

/**
 * struct drm_vsvm_residency - ask where pages are
 * @vm_id: address space
 * @flags: must be 0
 * @start: first address, a multiple of the page size
 * @length: bytes, a multiple of the page size, not 0
 * @pages: user pointer to a byte for each page
 *
 * Moves nothing. The answer may be old when it arrives.
 *
 * Errors: -EINVAL (as PREFETCH), -ENOENT (VM), -EPERM, -EFAULT (@pages, or part
 * of the range is not mapped), -ENODEV, -ENOMEM, -EBUSY (the range kept changing),
 * -EINTR.
 */
struct drm_vsvm_residency {
	__u32 vm_id;
	__u32 flags;
	__u64 start;
	__u64 length;
	__u64 pages;
};

#define DRM_VSVM_GEM_SYSTEM	(1 << 0)	/* in system memory; else in VRAM */

/**
 * struct drm_vsvm_gem_create - make a buffer object
 * @size: bytes, a multiple of the page size, not 0
 * @flags: DRM_VSVM_GEM_SYSTEM or 0
 * @handle: out: its number, not 0
 *
 * Its content is zeroes. One in VRAM competes for it with the memory of processes:
 * each may be moved to system memory to make room for the other, and comes back
 * when the GPU touches it. Where there is no room, or two sides fight for it, the
 * GPU uses it in system memory. All objects that a user made on a device may be a
 * quarter of the system's memory together, more with CAP_SYS_RESOURCE.
 *
 * Errors: -EINVAL, -ENODEV, -ENOMEM (or larger than memory), -EDQUOT, -ENOSPC
 * (larger than VRAM, and not SYSTEM; or no room for its mmap()), -EIO (the engine
 * failed), -EINTR.
 */
struct drm_vsvm_gem_create {
	__u64 size;
	__u32 flags;
	__u32 handle;
};

/**
 * struct drm_vsvm_gem_mmap - ask where to mmap() a buffer object
 * @handle: its number
 * @flags: must be 0
 * @offset: out: for mmap() of the device's file
 *
 * A CPU cannot reach VRAM: its first touch moves the object to system memory.
 * A mapping is shared, and begins with the object. It outlives the device: the
 * content comes home when that goes, and touching one that cannot gives SIGBUS.
 *
 * Errors: -EINVAL, -ENOENT (no such object), -ENOMEM, -ENODEV.
 */
struct drm_vsvm_gem_mmap {
	__u32 handle;
	__u32 flags;
	__u64 offset;
};

/* Where buffer objects can be bound: no process has memory there. */
#define DRM_VSVM_BIND_START	(1ull << 47)
#define DRM_VSVM_BIND_END	(1ull << 48)

#define DRM_VSVM_BIND_MAP	0
#define DRM_VSVM_BIND_UNMAP	1

#define DRM_VSVM_BIND_READONLY	(1 << 0)	/* the GPU may not write */

/**
 * struct drm_vsvm_vm_bind - bind a buffer object to addresses, or undo it
 * @vm_id: address space
 * @op: DRM_VSVM_BIND_MAP or DRM_VSVM_BIND_UNMAP
 * @handle: MAP: number of the object; UNMAP: must be 0
 * @flags: MAP: DRM_VSVM_BIND_READONLY or 0; UNMAP: must be 0
 * @offset: MAP: first byte of the object, a multiple of the page size; UNMAP:
 *	must be 0
 * @start: first address, a multiple of the page size, DRM_VSVM_BIND_START at
 *	least
 * @length: bytes, a multiple of the page size, not 0; UNMAP: as it was mapped
 *
 * Takes effect at once, also under a job. A binding keeps an object without handle.
 *
 * Errors: -EINVAL (unaligned, empty, outside the object or outside
 * [DRM_VSVM_BIND_START, DRM_VSVM_BIND_END)), -ENOENT (VM, object; UNMAP: no
 * such binding), -EEXIST (something is bound there), -EPERM, -ENOMEM, -ENODEV,
 * -ECANCELED (the address space was closed meanwhile), -EINTR.
 */
struct drm_vsvm_vm_bind {
	__u32 vm_id;
	__u32 op;
	__u32 handle;
	__u32 flags;
	__u64 offset;
	__u64 start;
	__u64 length;
};

/*
 * Where memory is to be when the GPU has touched it: DRM_VSVM_LOC_*. System
 * memory is used where it is. DRM_VSVM_LOC_DEVICE at first.
 */
#define DRM_VSVM_MADVISE_LOCATION	0
/*
 * The smallest piece of memory that a fault of the GPU moves, in bytes: 4096,
 * 65536 or 2097152; 4096 at first. What lies in no such piece, as its mapping is
 * too small, is used where it is.
 */
#define DRM_VSVM_MADVISE_GRANULARITY	1
/* What an atomic operation of the GPU does: DRM_VSVM_ATOMIC_*. */
#define DRM_VSVM_MADVISE_ATOMIC		2

/* Move the memory to VRAM of this device, and keep it there for a while. */
#define DRM_VSVM_ATOMIC_DEVICE		0	/* at first */
/* Take the page from the CPU, as DRM_IOCTL_VSVM_EXCLUSIVE does. */
#define DRM_VSVM_ATOMIC_EXCLUSIVE	1
/* Go ahead: the bus can do it, wherever the memory is. */
#define DRM_VSVM_ATOMIC_SYSTEM		2

/**
 * struct drm_vsvm_madvise - say how memory will be used
 * @vm_id: address space
 * @type: one of DRM_VSVM_MADVISE_*
 * @start: first address, a multiple of the page size
 * @length: bytes, a multiple of the page size, not 0
 * @value: see @type
 * @pad: must be 0
 *
 * Holds for the addresses, whatever is mapped there, until it is changed. Moves
 * nothing by itself: the next touch by the GPU does. A location that there is no
 * link to any more counts as one in system memory that memory stays in.
 *
 * Errors: -EINVAL, -ENOENT (VM), -EPERM, -ENXIO (no link to that device, or no
 * such device), -ENODEV, -ENOMEM, -EINTR.
 */
struct drm_vsvm_madvise {
	__u32 vm_id;
	__u32 type;
	__u64 start;
	__u64 length;
	__u32 value;
	__u32 pad;
};

/**
 * struct drm_vsvm_exclusive - take pages for atomic operations of the GPU
 * @vm_id: address space
 * @flags: must be 0
 * @start: first address, a multiple of the page size
 * @length: bytes, a multiple of the page size, not 0
 * @taken: out: pages that are the GPU's now
 *
 * The pages stay in system memory (those in VRAM come home before). The GPU may
 * work on them until a CPU touches them, which takes them back, as do PREFETCH and
 * accesses by the GPU of another address space. Pages that cannot be taken, such
 * as those of files, are left as they are: that is not an error. After -ENODEV,
 * -ENOMEM, -ENOSPC, -EIO, -EINTR and -ECANCELED those taken before are the GPU's,
 * if there still is one, and @taken says how many.
 *
 * Errors: -EINVAL, -ENOENT (VM), -EPERM, -EFAULT (part of the range is not
 * mapped), -ENODEV, -ENOMEM, -ENOSPC (no VRAM for a page table), -EIO, -EINTR,
 * -ECANCELED (the address space was closed meanwhile).
 */
struct drm_vsvm_exclusive {
	__u32 vm_id;
	__u32 flags;
	__u64 start;
	__u64 length;
	__u64 taken;
};

#define DRM_IOCTL_VSVM_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_QUERY, struct drm_vsvm_query)
#define DRM_IOCTL_VSVM_VM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_VM_CREATE, struct drm_vsvm_vm_create)
#define DRM_IOCTL_VSVM_VM_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_VM_DESTROY, struct drm_vsvm_vm_destroy)
#define DRM_IOCTL_VSVM_EXEC \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_EXEC, struct drm_vsvm_exec)
#define DRM_IOCTL_VSVM_PREFETCH \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_PREFETCH, struct drm_vsvm_prefetch)
#define DRM_IOCTL_VSVM_RESIDENCY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_RESIDENCY, struct drm_vsvm_residency)
#define DRM_IOCTL_VSVM_GEM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_GEM_CREATE, struct drm_vsvm_gem_create)
#define DRM_IOCTL_VSVM_GEM_MMAP \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_GEM_MMAP, struct drm_vsvm_gem_mmap)
#define DRM_IOCTL_VSVM_VM_BIND \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_VM_BIND, struct drm_vsvm_vm_bind)
#define DRM_IOCTL_VSVM_MADVISE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_VSVM_MADVISE, struct drm_vsvm_madvise)
#define DRM_IOCTL_VSVM_EXCLUSIVE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_EXCLUSIVE, struct drm_vsvm_exclusive)
#define DRM_IOCTL_VSVM_WAIT_USER_FENCE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VSVM_WAIT_USER_FENCE, \
		 struct drm_vsvm_wait_user_fence)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_VSVM_DRM_H_ */

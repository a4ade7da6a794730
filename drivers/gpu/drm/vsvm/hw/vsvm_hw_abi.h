/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The virtual GPU as a programmer of it sees it: rings, commands, page-table
 * entries and fault records. Everything here is plain little-endian data of
 * fixed layout in a memory region that driver and hardware share, so that the
 * hardware may be a worker in this kernel or a process outside it.
 *
 *   driver ── commands ──> ring ── doorbell ──> engine
 *   driver <── status in the command's slot, tail index, interrupt ── engine
 *   driver <── fault FIFO ── compute queue (stalls until replay or cancel)
 *
 * An engine takes the commands of its ring in order and completes them in
 * order, by writing the lower part of the slot and then the ring's tail.
 * Indices run freely; a slot is index modulo ring size.
 */
#ifndef _VSVM_HW_ABI_H_
#define _VSVM_HW_ABI_H_

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include "vsvm_hw_types.h"
#endif

#define VSVM_HW_MAGIC		0x4d565356u	/* "VSVM" */
#define VSVM_HW_VERSION		3

#define VSVM_HW_PAGE_SHIFT	12
#define VSVM_HW_PAGE_SIZE	0x1000ull
#define VSVM_HW_LARGE_SHIFT	21
#define VSVM_HW_LARGE_SIZE	0x200000ull

/* Engines. A compute queue belongs to one GPU address space. */
#define VSVM_HW_PAGING		0	/* page tables, TLB, housekeeping */
#define VSVM_HW_COPY_TO_VRAM	1
#define VSVM_HW_COPY_FROM_VRAM	2
#define VSVM_HW_QUEUE0		3
#define VSVM_HW_NUM_QUEUES	256
#define VSVM_HW_NUM_ENGINES	(VSVM_HW_QUEUE0 + VSVM_HW_NUM_QUEUES)

/* Ring sizes in commands, powers of two. */
#define VSVM_HW_COPY_RING	2048
#define VSVM_HW_QUEUE_RING	64
#define VSVM_HW_FAULT_RING	256	/* at most: see vsvm_hw_fifo.size */

/* Interrupt vectors. They coalesce: look at the tails, never count. */
enum vsvm_hw_vector {
	VSVM_HW_VEC_PAGING = VSVM_HW_PAGING,
	VSVM_HW_VEC_TO_VRAM = VSVM_HW_COPY_TO_VRAM,
	VSVM_HW_VEC_FROM_VRAM = VSVM_HW_COPY_FROM_VRAM,
	VSVM_HW_VEC_COMPUTE,
	VSVM_HW_VEC_FAULT,
	VSVM_HW_NUM_VECTORS,
};

/* Where an address of a copy points to (two of them in flags). */
enum vsvm_hw_aperture {
	VSVM_HW_VRAM = 0,		/* offset into this device's VRAM */
	VSVM_HW_SYSTEM = 1,		/* DMA address */
	VSVM_HW_PEER = 2,		/* offset into a peer's VRAM */
};

#define VSVM_HW_DST_APERTURE(a)	((a) << 0)
#define VSVM_HW_SRC_APERTURE(a)	((a) << 2)
#define VSVM_HW_DST_GET(flags)	(((flags) >> 0) & 3)
#define VSVM_HW_SRC_GET(flags)	(((flags) >> 2) & 3)
/* Raise the engine's interrupt when this command completes. */
#define VSVM_HW_CMD_IRQ		0x100u

enum vsvm_hw_op {
	VSVM_HW_NOP = 0,

	/* Paging and copy channels. Addresses by aperture, len in bytes. */
	VSVM_HW_COPY = 1,		/* dst <- src */
	VSVM_HW_FILL = 2,		/* u64 dst[i] = arg + i * src; len % 8 == 0 */

	/* Paging channel only. */
	/* These two are for queues [arg, arg + src), or queue arg if src is 0. */
	VSVM_HW_SET_ROOT = 16,		/* root table at VRAM dst, or none if ~0 */
	VSVM_HW_TLB_INVALIDATE = 17,	/* virtual [dst, dst + len) */
	VSVM_HW_MARK = 18,		/* VRAM [dst, dst + len) in use if arg, else free */

	/* Compute queues: virtual addresses, len in elements. */
	VSVM_HW_K_FILL = 32,		/* u8  dst[i] = arg */
	VSVM_HW_K_COPY = 33,		/* u8  dst[i] = src[i] */
	VSVM_HW_K_ADD = 34,		/* u8  dst[i] = src[i] + arg */
	VSVM_HW_K_SAXPY = 35,		/* u32 dst[i] += arg * src[i] */
	VSVM_HW_K_HISTOGRAM = 36,	/* u64 dst[256] = counts of the bytes src[0..len) */
	VSVM_HW_K_SUM = 37,		/* u64 dst[0] = sum of the bytes src[0..len) */
	VSVM_HW_K_CHASE = 38,		/* walk a list, see below */
	VSVM_HW_K_ATOMIC_ADD = 39,	/* len times: u64 dst[0] += arg, atomically */
	VSVM_HW_K_STORE = 40,		/* u64 dst[0] = arg, see below */
};

/*
 * K_CHASE: a node holds the u64 address of the next one at offset 0 and a u64
 * value at offset arg. The engine starts at src, stops at a next of 0 or after
 * len nodes (0: no limit), and stores the number of nodes in dst[0] and the
 * sum of their values in dst[1], both u64.
 */

/*
 * K_STORE is one store of a word, seen after all that the commands before it
 * wrote. If one of the len commands before it on the ring did not end OK, or the
 * ring was reset since, it stores nothing and ends CANCELLED.
 */

enum vsvm_hw_status {
	VSVM_HW_OK = 0,
	VSVM_HW_ERR_CMD = 1,		/* unknown command, bad length or alignment */
	VSVM_HW_ERR_VRAM = 2,		/* outside VRAM */
	VSVM_HW_ERR_FREE = 3,		/* VRAM that is not in use */
	VSVM_HW_ERR_DMA = 4,		/* system address that cannot be reached */
	VSVM_HW_ERR_PEER = 5,		/* no such peer, or link down */
	VSVM_HW_ERR_CANCELLED = 6,	/* by the driver; result: last fault address */
};

/* 64 bytes. The hardware writes from @result on. */
struct vsvm_hw_cmd {
	__u32 op;
	__u32 flags;
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 arg;
	__u64 result;		/* failed kernel: the address that failed */
	__u32 status;
	__u32 generation;	/* of the ring, when the command completed */
	__u64 pad;
};

/*
 * 64 bytes. The driver writes head, replay, cancel and generation, the
 * hardware writes tail and stalled. All are indices or counters that run
 * freely.
 */
struct vsvm_hw_ring {
	__u32 head;		/* commands [tail, head) are to be done */
	__u32 tail;
	__u32 replay;		/* changes: a stalled kernel tries again */
	__u32 cancel;		/* commands before this index end CANCELLED */
	__u32 generation;	/* changes at reset */
	__u32 stalled;		/* compute: 1 while waiting for a replay */
	__u32 first;		/* slot 0 in vsvm_hw_shared.cmd[] */
	__u32 size;		/* in commands */
	__u32 pad[8];
};

/* Kinds of access in a fault record. */
#define VSVM_HW_READ		0
#define VSVM_HW_WRITE		1
#define VSVM_HW_ATOMIC		2	/* read, change and write in one */

struct vsvm_hw_fault {
	__u64 address;
	__u32 queue;		/* 0 .. NUM_QUEUES - 1 */
	__u32 access;
	__u32 generation;	/* of the queue's ring */
	__u32 index;		/* of the command that stalled */
	__u64 pad;
};

/* The FIFO: the hardware writes head, the driver writes tail. */
struct vsvm_hw_fifo {
	__u32 head;
	__u32 tail;
	__u32 overflow;		/* records dropped; a replay raises them again */
	__u32 size;		/* places, 1 to VSVM_HW_FAULT_RING */
	__u32 pad[12];
};

#define VSVM_HW_NUM_CMDS \
	(3 * VSVM_HW_COPY_RING + VSVM_HW_NUM_QUEUES * VSVM_HW_QUEUE_RING)

/* The region that driver and hardware share. */
struct vsvm_hw_shared {
	__u32 magic;
	__u32 version;
	__u64 vram_size;
	__u64 pad[6];
	struct vsvm_hw_ring ring[VSVM_HW_NUM_ENGINES];
	struct vsvm_hw_fifo fifo;
	struct vsvm_hw_fault fault[VSVM_HW_FAULT_RING];
	struct vsvm_hw_cmd cmd[VSVM_HW_NUM_CMDS];
};

/*
 * Page tables: four levels of 512 entries of 8 bytes, in VRAM, for a virtual
 * address of 48 bits. Level 3 is the root. A valid entry at level 1 with LARGE
 * maps 2 MiB; entries at level 0 map 4 KiB; any other valid entry holds the
 * VRAM offset of the next table. An address that a LARGE entry maps is a
 * multiple of 2 MiB. The hardware keeps leaves that it has used in
 * the queue's TLB until a TLB_INVALIDATE of their address: a change of a valid
 * entry without one goes unnoticed. An entry that was not valid is not kept.
 */
#define VSVM_PTE_VALID		0x1ull
#define VSVM_PTE_WRITE		0x2ull
#define VSVM_PTE_LARGE		0x4ull
#define VSVM_PTE_APERTURE_SHIFT	3		/* enum vsvm_hw_aperture, leaves */
#define VSVM_PTE_APERTURE_MASK	(3ull << VSVM_PTE_APERTURE_SHIFT)
#define VSVM_PTE_ATOMIC		0x20ull		/* leaves; needs WRITE as well */
#define VSVM_PTE_ADDR_MASK	0x000ffffffffff000ull
#define VSVM_PTE_PEER_SHIFT	56		/* which peer, aperture PEER */

#define VSVM_PT_LEVELS		4
#define VSVM_PT_ENTRIES		512
#define VSVM_PT_SHIFT(level)	(VSVM_HW_PAGE_SHIFT + 9 * (level))
#define VSVM_PT_INDEX(va, level) \
	((unsigned int)(((va) >> VSVM_PT_SHIFT(level)) & (VSVM_PT_ENTRIES - 1)))
#define VSVM_VA_BITS		48

#endif /* _VSVM_HW_ABI_H_ */

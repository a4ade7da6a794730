/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of the virtual GPU share among themselves.
 *
 * Locks: a queue's lock covers its root, its TLB and every access to memory by
 * way of them. The paging engine takes it to change either, and so waits for
 * accesses that are under way. fifo_lock covers the fault FIFO. Neither is ever
 * taken with the other or with a second of its kind held, and no callback but
 * dma() and peer() runs under one. Everything else belongs to one engine, of
 * which there is never more than one run at a time.
 */
#ifndef _VSVM_HW_PRIV_H_
#define _VSVM_HW_PRIV_H_

#include "vsvm_hw.h"

/*
 * Bytes between two looks at cancel and stop. A kernel holds its queue's lock
 * for a slice, and an invalidation waits for that; a copy holds nothing.
 */
#define VSVM_HW_KERNEL_SLICE	(64ull << 10)
#define VSVM_HW_COPY_SLICE	(256ull << 10)
/* The same for a pointer chase, in nodes: each may miss every cache there is. */
#define VSVM_HW_CHASE_SLICE	1024
/* And for atomics, in operations. */
#define VSVM_HW_ATOMIC_SLICE	1024

#define VSVM_HW_NO_ROOT		(~0ull)
#define VSVM_HW_POISON		0xe5

/* Where the peer's number is in an address of aperture PEER. */
#define VSVM_HW_PEER_OFFSET	((1ull << VSVM_PTE_PEER_SHIFT) - 1)

/* Direct-mapped, so that a test can tell what displaces what. */
#define VSVM_HW_TLB_SMALL	64
#define VSVM_HW_TLB_LARGE	16

/* What a step of a command returns besides an enum vsvm_hw_status. */
enum vsvm_hw_unfinished {
	VSVM_HW_UNFINISHED = 0x100,
	VSVM_HW_MORE = VSVM_HW_UNFINISHED,	/* call again */
	VSVM_HW_FAULT,				/* no translation */
	VSVM_HW_WAIT,				/* stalled, or told to stop */
	VSVM_HW_TURN,				/* its turn is over */
};

struct vsvm_hw_engine {
	struct vsvm_hw_ring *ring;
	struct vsvm_hw_cmd *slots;
	u32 size;
	u32 id;
	u32 tail;		/* index of the command that runs or is next */
	u32 cancel;		/* ring->cancel as last seen */
	bool cancelling;	/* [tail, cancel) is to be cancelled */
	bool stop;		/* set by anyone: return soon */
	u32 slices;		/* left of this turn */
	u32 good;		/* commands that ended OK in a row, as K_STORE counts */
	u32 bad_heads;		/* runs that found head out of reach of tail */
};

/* Tag 0: empty. Else twice the virtual page number, plus 1. */
struct vsvm_hw_tlb_entry {
	u64 tag;
	u64 pte;
};

/* The kernel that a queue is at, complete enough to go on after a fault. */
struct vsvm_hw_kernel {
	struct vsvm_hw_cmd cmd;	/* taken once: the slot is anyone's to write */
	u32 index;
	bool active;
	bool stalled;
	u32 replay;		/* ring->replay before the access that faulted */
	u32 access;		/* of the last translation */
	u64 address;		/* of the last translation */
	u64 pos;		/* elements or nodes done */
	u64 out;		/* words of the result stored */
	u64 node;
	u64 sum;
	u64 bins[256];
	u32 lanes[4][256];	/* of one slice, too large for a stack */
};

struct vsvm_hw_queue {
	struct vsvm_hw *hw;
	struct vsvm_hw_lock lock;
	u64 root;
	struct vsvm_hw_tlb_entry small[VSVM_HW_TLB_SMALL];
	struct vsvm_hw_tlb_entry large[VSVM_HW_TLB_LARGE];
	struct vsvm_hw_kernel kernel;
};

struct vsvm_hw {
	struct vsvm_hw_host host;
	void *priv;
	struct vsvm_hw_shared *shared;
	u8 *vram;
	u64 vram_size;
	u8 *in_use;		/* a byte per page of VRAM, or NULL: no sanitizer */
	struct vsvm_hw_lock fifo_lock;
	u32 fifo_size;		/* what the driver makes of its copy is its affair */
	u32 fifo_head;
	u32 fifo_overflow;
	u64 copy_rate;		/* bytes per second, 0: no limit */
	u64 copy_latency;	/* ns */
	struct vsvm_hw_engine engine[VSVM_HW_NUM_ENGINES];
	struct vsvm_hw_queue queue[VSVM_HW_NUM_QUEUES];
};

static inline void vsvm_hw_relax(struct vsvm_hw *hw)
{
	if (hw->host.relax)
		hw->host.relax(hw->priv);
}

/* vsvm_hw.c */
bool vsvm_hw_cancelled(struct vsvm_hw_engine *e);
bool vsvm_hw_turn_over(struct vsvm_hw_engine *e);

/* vram.c */
int vsvm_hw_vram_init(struct vsvm_hw *hw, bool sanitize);
void vsvm_hw_vram_fini(struct vsvm_hw *hw);
u32 vsvm_hw_resolve(struct vsvm_hw *hw, unsigned int aperture, u64 addr,
		    void **ptr, u64 *len);
u32 vsvm_hw_mark(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd);

/* copy.c */
u32 vsvm_hw_copy(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		 const struct vsvm_hw_cmd *cmd, u64 *result);

/* mmu.c */
void vsvm_hw_mmu_init(struct vsvm_hw_queue *q);
void vsvm_hw_mmu_fini(struct vsvm_hw_queue *q);
void vsvm_hw_tlb_drop(struct vsvm_hw_queue *q);
u32 vsvm_hw_set_root(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd);
u32 vsvm_hw_tlb_invalidate(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd);
u32 vsvm_hw_translate(struct vsvm_hw_queue *q, u64 va, u32 access,
		      void **ptr, u64 *len);

/* compute.c */
u32 vsvm_hw_compute(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		    const struct vsvm_hw_cmd *cmd, u64 *result);

/* fifo.c */
void vsvm_hw_fault_push(struct vsvm_hw *hw, const struct vsvm_hw_fault *fault);

#endif /* _VSVM_HW_PRIV_H_ */

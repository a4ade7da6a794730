/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Command submission to the engines.
 *
 * A submission is a number of commands on one ring whose completion somebody
 * wants to know. Commands go in through a struct vsvm_push, which gathers a
 * few and writes them to the ring in one go:
 *
 *	struct vsvm_wait wait;
 *	struct vsvm_push push;
 *
 *	vsvm_wait_init(&wait);
 *	vsvm_push_begin(&push, ring, &wait.sub);
 *	vsvm_push_fill(&push, offset, 0, 0, len);
 *	vsvm_push_end(&push);
 *	err = vsvm_wait_for(ring, &wait);
 *
 * Nothing here allocates, so an MMU notifier may use it in reclaim.
 */
#ifndef _VSVM_RING_H_
#define _VSVM_RING_H_

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "hw/vsvm_hw_abi.h"

struct vsvm_device;
struct vsvm_sub;

/**
 * struct vsvm_sub - one submission
 * @done: called once when all commands have completed; from the interrupt,
 *	without locks. The submission is the callee's from then on.
 * @link: in the list of those that just completed
 * @pending: commands that have not completed, and 1 while it is being written
 * @first: ring index of its first command
 * @end: ring index after its last command
 * @failed: ring index of the first command that failed
 * @result: what that command left as result
 * @begun: a command was written
 * @error: 0 or why it failed
 * @cancel_error: what a cancelled command counts as
 *
 * All but @done is protected by the ring's lock, and the owner's after @done.
 */
struct vsvm_sub {
	void (*done)(struct vsvm_sub *sub);
	struct list_head link;
	u32 pending;
	u32 first;
	u32 end;
	u32 failed;
	u64 result;
	bool begun;
	int error;
	int cancel_error;
};

/* Memory that a command writes to; none: 0 bytes. */
struct vsvm_ring_dst {
	dma_addr_t addr;
	u64 len;
};

/**
 * struct vsvm_ring - the driver's side of one engine's ring
 * @vdev: device
 * @engine: number of the engine
 * @hw: the half that is shared with the hardware
 * @cmd: its slots
 * @owner: for each slot whose submission it is; NULL if nobody waits for it
 * @dst: for each slot what memory it writes to; NULL if that is of no interest
 * @size: number of slots
 * @lock: protects all that follows, taken in interrupts
 * @head: index of the next command to be written
 * @seen: index of the first command whose completion was not looked at
 * @generation: counts resets; completions of another one are ignored
 * @replay: counts replays
 * @stopped: a reset is under way: nothing goes in or out
 * @dead: the hardware is gone
 * @room: woken when slots became free
 */
struct vsvm_ring {
	struct vsvm_device *vdev;
	unsigned int engine;
	struct vsvm_hw_ring *hw;
	struct vsvm_hw_cmd *cmd;
	struct vsvm_sub **owner;
	struct vsvm_ring_dst *dst;
	u32 size;
	/* All that follows. */
	spinlock_t lock;
	u32 head;
	u32 seen;
	u32 generation;
	u32 replay;
	bool stopped;
	bool dead;
	wait_queue_head_t room;
};

void vsvm_rings_prepare(struct vsvm_device *vdev);
int vsvm_rings_init(struct vsvm_device *vdev);
void vsvm_rings_kill(struct vsvm_device *vdev);
unsigned long vsvm_ring_timeout(struct vsvm_ring *ring);
bool vsvm_ring_stuck(struct vsvm_ring *ring, u32 *seen);
void vsvm_ring_irq(struct vsvm_ring *ring);
void vsvm_ring_write(struct vsvm_ring *ring, struct vsvm_sub *sub,
		     const struct vsvm_hw_cmd *cmd, unsigned int num, bool last);
void vsvm_ring_reset(struct vsvm_ring *ring, int error);
void vsvm_ring_cancel(struct vsvm_ring *ring, u32 index, int error);
void vsvm_ring_cancel_all(struct vsvm_ring *ring, int error);
void vsvm_ring_replay(struct vsvm_ring *ring);
bool vsvm_ring_idle(struct vsvm_ring *ring);

/**
 * vsvm_sub_init - make a submission ready to be written
 * @sub: submission
 * @done: what to call when it has completed
 */
static inline void vsvm_sub_init(struct vsvm_sub *sub,
				 void (*done)(struct vsvm_sub *sub))
{
	*sub = (struct vsvm_sub) { .done = done, .pending = 1 };
	INIT_LIST_HEAD(&sub->link);
}

/* A submission that somebody sleeps on, good for the stack. */
struct vsvm_wait {
	struct vsvm_sub sub;
	struct completion done;
};

void vsvm_wait_init(struct vsvm_wait *wait);
int vsvm_wait_for(struct vsvm_ring *ring, struct vsvm_wait *wait);

#define VSVM_PUSH_CMDS	8

/* A handful of commands on their way into a ring. */
struct vsvm_push {
	struct vsvm_ring *ring;
	struct vsvm_sub *sub;
	unsigned int num;
	struct vsvm_hw_cmd cmd[VSVM_PUSH_CMDS];
};

void vsvm_push_begin(struct vsvm_push *push, struct vsvm_ring *ring,
		     struct vsvm_sub *sub);
void vsvm_push_copy(struct vsvm_push *push, u32 apertures, u64 dst, u64 src,
		    u64 len);
void vsvm_push_fill(struct vsvm_push *push, u64 dst, u64 value, u64 step,
		    u64 len);
void vsvm_push_mark(struct vsvm_push *push, u64 dst, u64 len, bool in_use);
void vsvm_push_tlb(struct vsvm_push *push, unsigned int queue, unsigned int num,
		   u64 start, u64 len);
void vsvm_push_root(struct vsvm_push *push, unsigned int queue,
		    unsigned int num, u64 root);
void vsvm_push_end(struct vsvm_push *push);

#endif /* _VSVM_RING_H_ */

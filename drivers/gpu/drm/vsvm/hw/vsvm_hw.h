/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The inside of the virtual GPU: what a transport needs to run it. Nothing in
 * this directory knows of Linux beyond vsvm_hw_port.h, so the same files serve
 * in the module, in a unit test and in a process of their own.
 */
#ifndef _VSVM_HW_H_
#define _VSVM_HW_H_

#include "vsvm_hw_abi.h"
#include "vsvm_hw_port.h"

struct vsvm_hw;

/**
 * struct vsvm_hw_host - what the hardware needs from where it runs
 * @dma: pointer to the system memory at DMA address @addr. *@len holds the
 *	bytes wanted, and on return those that the pointer is good for. NULL if
 *	the address cannot be reached. Called from engine context, with a
 *	queue's lock held or without; must not sleep.
 * @irq: raise an interrupt. Called from engine context without hardware locks.
 * @peer: the device of number @n on the link, NULL if there is none or the link
 *	is down. Good until the next @relax of the engine that asked. May be
 *	NULL.
 * @relax: called between slices of a long command and between commands, without
 *	hardware locks; may sleep. No pointer from @dma or @peer is used after it
 *	that was got before. May be NULL.
 * @now: a time in ns that never goes back. Needed for the copy model only.
 * @sleep: as @relax, and sleep for @ns, at most VSVM_HW_MAX_SLEEP_NS, or a
 *	little longer. Needed for the copy model only.
 */
struct vsvm_hw_host {
	void *(*dma)(void *priv, __u64 addr, __u64 *len);
	void (*irq)(void *priv, unsigned int vector);
	struct vsvm_hw *(*peer)(void *priv, unsigned int n);
	void (*relax)(void *priv);
	__u64 (*now)(void *priv);
	void (*sleep)(void *priv, __u64 ns);
};

/* At most so long a sleep at a time: engines look at cancel and stop after it. */
#define VSVM_HW_MAX_SLEEP_NS	1000000ull
/* Limits of the copy model: 1 PB/s, 1 s. */
#define VSVM_HW_MAX_COPY_RATE	1000000000000000ull
#define VSVM_HW_MAX_COPY_NS	1000000000ull

/**
 * struct vsvm_hw_config - what a device is made of
 * @vram: backing store of the VRAM
 * @vram_size: in bytes, a multiple of the 4 KiB page
 * @shared: rings, zeroed by the caller
 * @sanitize: poison free VRAM, and refuse engines access to it
 * @fault_entries: places of the fault FIFO, 1 to VSVM_HW_FAULT_RING, or 0 for
 *	VSVM_HW_FAULT_RING
 * @copy_bytes_per_s: bandwidth of each of the two copy channels, at most
 *	VSVM_HW_MAX_COPY_RATE, or 0: as fast as memory
 * @copy_latency_ns: what each of their copies and fills takes besides, at most
 *	VSVM_HW_MAX_COPY_NS
 */
struct vsvm_hw_config {
	void *vram;
	__u64 vram_size;
	struct vsvm_hw_shared *shared;
	bool sanitize;
	__u32 fault_entries;
	__u64 copy_bytes_per_s;
	__u64 copy_latency_ns;
};

int vsvm_hw_init(struct vsvm_hw **hw, const struct vsvm_hw_config *config,
		 const struct vsvm_hw_host *host, void *priv);
void vsvm_hw_fini(struct vsvm_hw *hw);

/*
 * Do what is to be done on one engine, and return. Calls for different
 * engines may run side by side; two for the same engine may not. Returns when
 * the ring is empty or the engine waits for a replay.
 */
void vsvm_hw_run(struct vsvm_hw *hw, unsigned int engine);

/*
 * The same, but return after @slices slices of kernels and commands at most.
 * True if it could go on at once: it wants another turn, after those of others.
 * A kernel may have no end, so who runs queues by fewer threads than there are
 * queues runs them by turns.
 */
bool vsvm_hw_run_turn(struct vsvm_hw *hw, unsigned int engine, __u32 slices);

/* A good number of slices: some 10 to 100 us, many times what a change costs. */
#define VSVM_HW_TURN_SLICES	4
/* Enough to see a ring of commands off that do nothing, as after a reset. */
#define VSVM_HW_TURN_RING(engine) \
	(((engine) < VSVM_HW_QUEUE0 ? VSVM_HW_COPY_RING : VSVM_HW_QUEUE_RING) + 1)

/*
 * Make a run of @engine that is under way, or to come, return without taking
 * another command and without finishing a long one. From any context. Lasts
 * until vsvm_hw_reset().
 */
void vsvm_hw_stop(struct vsvm_hw *hw, unsigned int engine);

/*
 * Drop what @engine was doing, and a queue's TLB; its root stays. No run of
 * @engine may be under way. The next one starts with the command at the ring's
 * tail, from its beginning.
 */
void vsvm_hw_reset(struct vsvm_hw *hw, unsigned int engine);

#endif /* _VSVM_HW_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What carries rings, doorbells and interrupts between the driver and the
 * hardware. The driver above knows nothing of who is at the other end: the
 * local transport runs the hardware in workers of this kernel, the PCI transport
 * (vsvm_pci.h) reaches a process outside the virtual machine.
 */
#ifndef _VSVM_TRANSPORT_H_
#define _VSVM_TRANSPORT_H_

#include <linux/types.h>
#include <asm/barrier.h>

#include "hw/vsvm_hw_abi.h"

struct device;
struct vsvm_keep;
struct vsvm_transport;

/**
 * struct vsvm_transport_ops - one kind of transport
 * @doorbell: tell @engine that its ring changed. Any context, does not sleep,
 *	orders all earlier stores to the shared region before it.
 * @reset: stop @engine, drop what it was doing, and let it go on with the
 *	ring's head, tail and generation as they are then. Sleeps until the
 *	engine touches no memory any more.
 * @halt: stop @engine, without a word, until it is reset: as one that hangs. For
 *	tests; NULL if that has to be done at the other end
 * @set_link: plug the link in or pull it out, for tests. It is in at first.
 *	Sleeps until no engine is at an access that the change concerns.
 * @alive: false when the hardware is gone for good
 * @give_up: an engine does not do what it said that it does: take all of the
 *	hardware for lost. NULL if that cannot be
 * @quiesce: on return no engine touches memory, or ever will: this kernel ends.
 *	NULL if the hardware ends with it. Sleeps.
 * @destroy: stop all engines and interrupts, then free. Sleeps.
 */
struct vsvm_transport_ops {
	void (*doorbell)(struct vsvm_transport *t, unsigned int engine);
	void (*reset)(struct vsvm_transport *t, unsigned int engine);
	void (*halt)(struct vsvm_transport *t, unsigned int engine);
	void (*set_link)(struct vsvm_transport *t, bool up);
	bool (*alive)(struct vsvm_transport *t);
	void (*give_up)(struct vsvm_transport *t);
	void (*quiesce)(struct vsvm_transport *t);
	void (*destroy)(struct vsvm_transport *t);
};

/**
 * struct vsvm_transport - one device's connection
 * @ops: the kind
 * @shared: rings, initialised: magic, sizes, first slots
 * @vram_size: bytes
 * @stale_code: what the hardware writes to memory is not seen by this machine's
 *	instruction fetch
 * @poll_us: how long it pays to look for a completion before sleeping until the
 *	interrupt; 0: not at all, as the hardware needs this processor
 * @open: the driver takes interrupts
 * @irq: the driver's interrupt handler. May be called in any context, must
 *	not sleep.
 * @data: first argument of @irq
 */
struct vsvm_transport {
	const struct vsvm_transport_ops *ops;
	struct vsvm_hw_shared *shared;
	u64 vram_size;
	bool stale_code;
	unsigned int poll_us;
	bool open;
	void (*irq)(void *data, unsigned int vector);
	void *data;
};

/* Peers have one byte for their number: see VSVM_PTE_PEER_SHIFT. */
#define VSVM_NUM_LINKS	256
#define VSVM_NO_LINK	(~0u)

/**
 * struct vsvm_transport_config - hardware that a transport is to bring up
 * @vram_size: bytes, a multiple of the 4 KiB page
 * @fault_entries: places of the fault FIFO, 1 to VSVM_HW_FAULT_RING, or 0 for
 *	VSVM_HW_FAULT_RING
 * @copy_bytes_per_s: bandwidth of each copy channel, at most 1 PB/s, or 0: as
 *	fast as memory
 * @copy_latency_ns: what each of their commands takes besides, at most 1 s
 * @link: the device's number on the link, by which peers reach its VRAM, less
 *	than VSVM_NUM_LINKS; or VSVM_NO_LINK
 * @keep: what is told if hardware is given up that may still write to memory;
 *	outlives the transport
 */
struct vsvm_transport_config {
	u64 vram_size;
	u32 fault_entries;
	u64 copy_bytes_per_s;
	u64 copy_latency_ns;
	unsigned int link;
	struct vsvm_keep *keep;
};

struct vsvm_transport *
vsvm_local_create(struct device *dev, const struct vsvm_transport_config *config,
		  void (*irq)(void *data, unsigned int vector), void *data);

/* The driver has set up all that @irq needs. */
static inline void vsvm_transport_open(struct vsvm_transport *t)
{
	/* Release: all of that. */
	smp_store_release(&t->open, true);
}

/* For a transport whose hardware may raise interrupts that nobody asked for. */
static inline bool vsvm_transport_is_open(struct vsvm_transport *t)
{
	/* Acquire: what @irq needs. */
	return smp_load_acquire(&t->open);
}

static inline void vsvm_transport_doorbell(struct vsvm_transport *t,
					   unsigned int engine)
{
	t->ops->doorbell(t, engine);
}

#endif /* _VSVM_TRANSPORT_H_ */

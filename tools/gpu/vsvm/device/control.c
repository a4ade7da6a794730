// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The mailbox: requests of the driver that are not commands of a ring. Each
 * field is read once, as the guest may be writing it.
 */
#include <sys/mman.h>

#include "engine.h"
#include "link.h"

/* One look at a page of each zone is what it is for. */
#define CONTROL_ECHO_WORDS	0x100000ull

struct request {
	u32 number;
	u32 op;
	u64 arg[VSVM_PCI_NUM_ARGS];
};

static bool take_request(struct engine_device *dev, struct request *r)
{
	struct vsvm_pci_driver *page = &dev->bar->driver;
	unsigned int i;

	/* Acquire: the operation and its arguments. */
	r->number = smp_load_acquire(&page->request);
	if (r->number == dev->vm->board->device[dev->index].answer)
		return false;
	r->op = READ_ONCE(page->op);
	for (i = 0; i < VSVM_PCI_NUM_ARGS; i++)
		r->arg[i] = READ_ONCE(page->arg[i]);
	return true;
}

static bool reset_valid(struct engine_device *dev, const u64 *arg)
{
	const u64 flags = VSVM_PCI_RESET_SANITIZE | VSVM_PCI_RESET_LINK;

	/* The rest are vsvm_hw_init()'s limits, before anything is stopped. */
	return arg[VSVM_PCI_ARG_VRAM_SIZE] &&
	       arg[VSVM_PCI_ARG_VRAM_SIZE] <= dev->vm->shape.vram &&
	       !(arg[VSVM_PCI_ARG_VRAM_SIZE] & (VSVM_HW_PAGE_SIZE - 1)) &&
	       arg[VSVM_PCI_ARG_FAULT_ENTRIES] <= VSVM_HW_FAULT_RING &&
	       arg[VSVM_PCI_ARG_COPY_BYTES_PER_S] <= VSVM_HW_MAX_COPY_RATE &&
	       arg[VSVM_PCI_ARG_COPY_LATENCY_NS] <= VSVM_HW_MAX_COPY_NS &&
	       !(arg[VSVM_PCI_ARG_FLAGS] & ~flags) &&
	       arg[VSVM_PCI_ARG_MAP_PAGES] <= VSVM_PCI_MAP_ENTRIES;
}

static void set_link(struct engine_device *dev, struct vsvm_hw *hw, bool linked)
{
	link_change_begin();
	dev->hw = hw;
	dev->linked = linked;
	link_change_end();
}

/* Neither the driver's memory nor a peer is touched afterwards. */
static void power_off(struct engine_device *dev)
{
	workers_halt(dev);
	set_link(dev, dev->hw, false);
	dev->vm->board->device[dev->index].state = VSVM_PCI_OFF;
	vm_publish(dev->vm, dev->index);
}

static void drop_hardware(struct engine_device *dev)
{
	struct vsvm_hw *old = dev->hw;

	power_off(dev);
	set_link(dev, NULL, false);
	vsvm_hw_fini(old);
	/* Zeroes from here on. */
	madvise(dev->vram, dev->vm->shape.vram, MADV_DONTNEED);
	memset(&dev->bar->shared, 0, sizeof(dev->bar->shared));
}

static u32 do_reset(struct engine_device *dev, const u64 *arg)
{
	const u64 flags = arg[VSVM_PCI_ARG_FLAGS];
	const struct vsvm_hw_config config = {
		.vram = dev->vram,
		.vram_size = arg[VSVM_PCI_ARG_VRAM_SIZE],
		.shared = &dev->bar->shared,
		.sanitize = flags & VSVM_PCI_RESET_SANITIZE,
		.fault_entries = arg[VSVM_PCI_ARG_FAULT_ENTRIES],
		.copy_bytes_per_s = arg[VSVM_PCI_ARG_COPY_BYTES_PER_S],
		.copy_latency_ns = arg[VSVM_PCI_ARG_COPY_LATENCY_NS],
	};
	struct vsvm_hw *hw;

	if (!reset_valid(dev, arg))
		return VSVM_HW_ERR_CMD;
	drop_hardware(dev);
	if (vsvm_hw_init(&hw, &config, &engine_host, dev))
		return VSVM_HW_ERR_VRAM;
	dev->map_entries = arg[VSVM_PCI_ARG_MAP_PAGES];
	vm_enter_state(dev->vm, dev->index, VSVM_PCI_RUNNING);
	dev->generation = dev->vm->board->device[dev->index].generation;
	set_link(dev, hw, flags & VSVM_PCI_RESET_LINK);
	WRITE_ONCE(dev->open, true);
	return VSVM_HW_OK;
}

static u32 do_off(struct engine_device *dev, const u64 *arg)
{
	(void)arg;
	power_off(dev);
	return VSVM_HW_OK;
}

static u64 *echo_at(struct engine_device *dev, u64 addr)
{
	u64 len = sizeof(u64);
	u64 *p = engine_dma(dev, addr, &len);

	return len < sizeof(u64) ? NULL : p;
}

/* The first one also has to be what the driver says that is there now. */
static u32 echo_word(struct engine_device *dev, const u64 *arg, u64 i)
{
	u64 *src = echo_at(dev, arg[0] + i * sizeof(u64));
	u64 *dst = echo_at(dev, arg[1] + i * sizeof(u64));

	if (!src || !dst)
		return VSVM_HW_ERR_DMA;
	if (!i && (READ_ONCE(*src) != arg[3] || READ_ONCE(*dst) != arg[4]))
		return VSVM_HW_ERR_DMA;
	WRITE_ONCE(*dst, ~READ_ONCE(*src));
	return VSVM_HW_OK;
}

static u32 do_echo(struct engine_device *dev, const u64 *arg)
{
	const u64 words = arg[2];
	u32 status = VSVM_HW_OK;
	u64 i;

	if (((arg[0] | arg[1]) & 7) || words > CONTROL_ECHO_WORDS)
		return VSVM_HW_ERR_CMD;
	if (arg[0] + words * 8 < arg[0] || arg[1] + words * 8 < arg[1])
		return VSVM_HW_ERR_DMA;
	for (i = 0; i < words && !status; i++) {
		link_enter();
		status = echo_word(dev, arg, i);
		link_leave();
	}
	return status;
}

static u32 do_engine_reset(struct engine_device *dev, const u64 *arg)
{
	struct worker *w;

	if (arg[0] >= VSVM_HW_NUM_ENGINES)
		return VSVM_HW_ERR_CMD;
	w = &dev->worker[arg[0]];
	vsvm_hw_stop(dev->hw, w->engine);
	pthread_mutex_lock(&w->lock);
	vsvm_hw_reset(dev->hw, w->engine);
	if (w->engine >= VSVM_HW_QUEUE0) {
		/* The driver waits for that: not for the others' turns. */
		link_enter();
		vsvm_hw_run_turn(dev->hw, w->engine, VSVM_HW_TURN_RING(w->engine));
		link_leave();
	}
	pthread_mutex_unlock(&w->lock);
	/* Doorbells that came while it was stopped did nothing. */
	worker_kick(w);
	return VSVM_HW_OK;
}

static u32 do_link(struct engine_device *dev, const u64 *arg)
{
	if (arg[0] > 1)
		return VSVM_HW_ERR_CMD;
	set_link(dev, dev->hw, arg[0]);
	return VSVM_HW_OK;
}

static u32 do_request(struct engine_device *dev, const struct request *r)
{
	switch (r->op) {
	case VSVM_PCI_OP_RESET:
		return do_reset(dev, r->arg);
	case VSVM_PCI_OP_OFF:
		return do_off(dev, r->arg);
	}
	if (!dev->open)
		return VSVM_HW_ERR_CMD;
	switch (r->op) {
	case VSVM_PCI_OP_ECHO:
		return do_echo(dev, r->arg);
	case VSVM_PCI_OP_ENGINE_RESET:
		return do_engine_reset(dev, r->arg);
	case VSVM_PCI_OP_LINK:
		return do_link(dev, r->arg);
	}
	return VSVM_HW_ERR_CMD;
}

/**
 * control_serve - do what the driver asks for, if it asks for anything
 * @dev: the device
 *
 * Context: the control thread. Waits for runs to end.
 */
void control_serve(struct engine_device *dev)
{
	struct vm_board_device *b = &dev->vm->board->device[dev->index];
	struct request r;

	pthread_mutex_lock(&dev->control);
	if (!take_request(dev, &r)) {
		pthread_mutex_unlock(&dev->control);
		return;
	}
	b->result = do_request(dev, &r);
	WRITE_ONCE(b->answer, r.number);
	vm_publish(dev->vm, dev->index);
	pthread_mutex_unlock(&dev->control);
	vm_raise(dev->vm, dev->index, VSVM_PCI_VEC_CONTROL);
	if (r.op == VSVM_PCI_OP_OFF) {
		__atomic_fetch_add(&dev->vm->board->num_off, 1, __ATOMIC_SEQ_CST);
		event_ring(dev->vm->note_fd);
	}
}

/**
 * control_power_off - the function was unplugged, and its driver did not say so
 * @dev: the device
 * @generation: as it was then. Another one is that of the next driver, which may
 *	have been faster than the order.
 */
void control_power_off(struct engine_device *dev, u32 generation)
{
	pthread_mutex_lock(&dev->control);
	if (dev->generation == generation)
		power_off(dev);
	pthread_mutex_unlock(&dev->control);
}

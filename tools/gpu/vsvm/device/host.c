// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the hardware asks of the process that it runs in (struct vsvm_hw_host).
 */
#include <signal.h>
#include <time.h>

#include "engine.h"
#include "link.h"

/* A page at a time, anywhere in it: who asks is content with any bytes. */
static void *scratch_at(u64 addr, u64 *len)
{
	const u64 offset = addr & (VSVM_HW_PAGE_SIZE - 1);

	*len = min(*len, VSVM_HW_PAGE_SIZE - offset);
	return engine.scratch + offset;
}

/*
 * For tests: the worst moment to be stopped at. All that could be looked at has
 * been, and the next thing that this thread does is to read or write.
 */
static void hold_at(struct vm_board *board, u64 addr)
{
	if (READ_ONCE(board->hold) != worker_engine + 1)
		return;
	board->held = addr;
	WRITE_ONCE(board->hold, 0);
	raise(SIGSTOP);
}

/**
 * engine_dma - pointer to guest memory, for the hardware and for ECHO
 * @priv: the device
 * @addr: DMA address, any number
 * @len: bytes wanted. Gets the bytes that the pointer is good for.
 *
 * Return: the pointer, or NULL: not RAM, not a bus master, or not mapped.
 */
void *engine_dma(void *priv, u64 addr, u64 *len)
{
	struct engine_device *dev = priv;
	void *p;

	if (READ_ONCE(engine.scratch))
		return scratch_at(addr, len);
	/* Acquire: what the driver wrote before it let us have it. */
	if (smp_load_acquire(&dev->bar->driver.master) != dev->generation)
		return NULL;
	p = ram_at(&dev->vm->ram, addr, len);
	if (p && dev->map_entries) {
		*len = ram_live(&dev->vm->ram, dev->bar->map, dev->map_entries,
				addr, *len);
		if (!*len)
			return NULL;
	}
	/*
	 * The first store to a page would map it alone, but a first load also
	 * those around it, for stores as well: most page faults do not happen.
	 */
	if (p) {
		READ_ONCE(*(u8 *)p);
		hold_at(dev->vm->board, addr);
	}
	return p;
}

static void host_irq(void *priv, unsigned int vector)
{
	struct engine_device *dev = priv;

	vm_raise(dev->vm, dev->index, vector);
}

/* A device is no peer of itself. */
static struct vsvm_hw *host_peer(void *priv, unsigned int n)
{
	struct engine_device *dev = priv;

	if (n >= dev->vm->shape.devices || n == dev->index || !dev->linked)
		return NULL;
	return engine.device[n].linked ? engine.device[n].hw : NULL;
}

static void host_relax(void *priv)
{
	(void)priv;
	link_relax();
}

static __u64 host_now(void *priv)
{
	(void)priv;
	return now_ns();
}

static void host_sleep(void *priv, __u64 ns)
{
	const struct timespec ts = { .tv_nsec = ns };

	(void)priv;
	link_leave();
	nanosleep(&ts, NULL);
	link_enter();
}

const struct vsvm_hw_host engine_host = {
	.dma = engine_dma,
	.irq = host_irq,
	.peer = host_peer,
	.relax = host_relax,
	.now = host_now,
	.sleep = host_sleep,
};

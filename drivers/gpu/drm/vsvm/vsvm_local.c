// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The local transport: the hardware runs in workers of this kernel, on memory
 * of this kernel. It is the default, and works on any machine.
 *
 *   doorbell ── queue_work ──> vsvm_hw_run ──> irq callback, in the worker
 *
 * Every engine is one work item, so that it never runs twice at a time, and a
 * doorbell during a run makes another. The copy and paging engines have a queue
 * each: with memory short, a queue's only thread may be its rescuer, and none
 * of these engines may wait for another, nor for a kernel. What they complete
 * lets reclaim go on, so nothing in a worker allocates or takes a lock that is
 * held over an allocation.
 *
 * The compute queues run by turns, as many at a time as there are processors: a
 * client whose kernels have no end costs the others of this machine no more than
 * another process for each processor would. The paging engine comes before all
 * of that. Who waits for it holds up reclaim, and what it does itself is short.
 *
 * The link: a table of all transports in this kernel that have a number on it.
 * An engine finds its peer there and works on the peer's VRAM by a pointer that
 * it never keeps over relax(). vsvm_link_sem is held for reading by every worker
 * but in relax() and sleep(), and for writing to change anything about the link: who has
 * done so knows that no engine works by what was there before. Of this file's
 * and the hardware's locks it is the outermost.
 */
#include <linux/delay.h>
#include <linux/dma-fence.h>
#include <linux/iommu.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <kunit/visibility.h>

#include "hw/vsvm_hw.h"
#include "vsvm_dma.h"
#include "vsvm_transport.h"

/* One for each engine that is not a compute queue, and one for those. */
#define VSVM_LOCAL_NUM_WQ	(VSVM_HW_QUEUE0 + 1)

struct vsvm_local_engine {
	struct work_struct work;
	struct vsvm_local *local;
};

struct vsvm_local {
	struct vsvm_transport base;
	struct iommu_domain *domain;
	const struct vsvm_dma *dma;
	struct vsvm_hw *hw;
	void *vram;
	/* Both are protected by vsvm_link_sem. */
	unsigned int link;
	bool link_up;
	struct workqueue_struct *wq[VSVM_LOCAL_NUM_WQ];
	struct vsvm_local_engine engine[VSVM_HW_NUM_ENGINES];
};

static DECLARE_RWSEM(vsvm_link_sem);
static struct vsvm_local *vsvm_links[VSVM_NUM_LINKS];

static struct vsvm_local *to_local(struct vsvm_transport *t)
{
	return container_of(t, struct vsvm_local, base);
}

static phys_addr_t vsvm_local_phys(struct vsvm_local *local, u64 addr)
{
	return local->domain ? iommu_iova_to_phys(local->domain, addr) : addr;
}

/*
 * Ordinary memory that is there? A DMA address is a number that the driver made
 * up as far as the hardware knows. The zero page is reserved, and so are holes.
 */
static bool vsvm_local_is_ram(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	return page && (!PageReserved(page) || page_is_ram(pfn));
}

static bool vsvm_local_reaches(struct vsvm_local *local, phys_addr_t phys)
{
	return vsvm_local_is_ram(PHYS_PFN(phys)) &&
	       (!local->dma || vsvm_dma_is_mapped(local->dma, phys));
}

/*
 * The direct map is as contiguous as physical memory, so it is enough to look
 * at each page on the way. With an IOMMU, neighbours need not be neighbours.
 */
static void *vsvm_local_dma(void *priv, u64 addr, u64 *len)
{
	struct vsvm_local *local = priv;
	const phys_addr_t first = vsvm_local_phys(local, addr);
	u64 good = 0;

	while (good < *len) {
		const phys_addr_t phys = vsvm_local_phys(local, addr + good);

		if ((!phys && local->domain) || phys != first + good ||
		    !vsvm_local_reaches(local, phys))
			break;
		good += PAGE_SIZE - offset_in_page(addr + good);
	}
	*len = min(*len, good);
	if (!good)
		return NULL;
	return page_address(pfn_to_page(PHYS_PFN(first))) + offset_in_page(first);
}

static void vsvm_local_irq(void *priv, unsigned int vector)
{
	struct vsvm_local *local = priv;

	local->base.irq(local->base.data, vector);
}

/* A device is no peer of itself. */
static struct vsvm_hw *vsvm_local_peer(void *priv, unsigned int n)
{
	struct vsvm_local *local = priv, *peer;

	lockdep_assert_held(&vsvm_link_sem);
	if (n >= VSVM_NUM_LINKS || n == local->link || !local->link_up)
		return NULL;
	peer = vsvm_links[n];
	return peer && peer->link_up ? peer->hw : NULL;
}

static void vsvm_local_relax(void *priv)
{
	/* Who waits for the link gets it before the next line does. */
	up_read(&vsvm_link_sem);
	cond_resched();
	down_read(&vsvm_link_sem);
}

static u64 vsvm_local_now(void *priv)
{
	return ktime_get_ns();
}

static void vsvm_local_sleep(void *priv, u64 ns)
{
	const unsigned long us = DIV_ROUND_UP_ULL(ns, NSEC_PER_USEC);

	up_read(&vsvm_link_sem);
	/* A timer costs more than what is less. */
	if (us < 10)
		udelay(us);
	else
		usleep_range(us, us + us / 16 + 2);
	down_read(&vsvm_link_sem);
}

static const struct vsvm_hw_host vsvm_local_host = {
	.dma = vsvm_local_dma,
	.irq = vsvm_local_irq,
	.peer = vsvm_local_peer,
	.relax = vsvm_local_relax,
	.now = vsvm_local_now,
	.sleep = vsvm_local_sleep,
};

static void vsvm_local_queue(struct vsvm_local *local, unsigned int engine)
{
	struct workqueue_struct *wq = local->wq[min(engine, VSVM_LOCAL_NUM_WQ - 1)];

	queue_work(wq, &local->engine[engine].work);
}

static void vsvm_local_work(struct work_struct *work)
{
	struct vsvm_local_engine *e =
		container_of(work, struct vsvm_local_engine, work);
	/* The interrupt handler signals fences, and it does so from in here. */
	const unsigned int engine = e - e->local->engine;
	bool cookie = dma_fence_begin_signalling();
	bool again = false;

	down_read(&vsvm_link_sem);
	if (engine < VSVM_HW_QUEUE0)
		vsvm_hw_run(e->local->hw, engine);
	else
		again = vsvm_hw_run_turn(e->local->hw, engine,
					 VSVM_HW_TURN_SLICES);
	up_read(&vsvm_link_sem);
	/* Behind the others. */
	if (again)
		vsvm_local_queue(e->local, engine);
	dma_fence_end_signalling(cookie);
}

static void vsvm_local_doorbell(struct vsvm_transport *t, unsigned int engine)
{
	vsvm_local_queue(to_local(t), engine);
}

static void vsvm_local_reset(struct vsvm_transport *t, unsigned int engine)
{
	struct vsvm_local *local = to_local(t);
	struct work_struct *work = &local->engine[engine].work;

	vsvm_hw_stop(local->hw, engine);
	/* Doorbells get lost from here on; the last line makes up for them. */
	disable_work_sync(work);
	vsvm_hw_reset(local->hw, engine);
	/* Who waits for that shall not depend on what else wants a processor. */
	scoped_guard(rwsem_read, &vsvm_link_sem)
		vsvm_hw_run_turn(local->hw, engine, VSVM_HW_TURN_RING(engine));
	enable_work(work);
	vsvm_local_queue(local, engine);
}

static void vsvm_local_halt(struct vsvm_transport *t, unsigned int engine)
{
	vsvm_hw_stop(to_local(t)->hw, engine);
}

static void vsvm_local_set_link(struct vsvm_transport *t, bool up)
{
	struct vsvm_local *local = to_local(t);

	down_write(&vsvm_link_sem);
	local->link_up = up && local->link != VSVM_NO_LINK;
	up_write(&vsvm_link_sem);
}

static int vsvm_local_plug(struct vsvm_local *local, unsigned int link)
{
	int err = 0;

	if (link == VSVM_NO_LINK)
		return 0;
	down_write(&vsvm_link_sem);
	if (vsvm_links[link]) {
		err = -EEXIST;
	} else {
		vsvm_links[link] = local;
		local->link = link;
		local->link_up = true;
	}
	up_write(&vsvm_link_sem);
	return err;
}

/* For good. The caller may then free what engines of peers worked on. */
static void vsvm_local_unplug(struct vsvm_local *local)
{
	down_write(&vsvm_link_sem);
	if (local->link != VSVM_NO_LINK)
		vsvm_links[local->link] = NULL;
	local->link = VSVM_NO_LINK;
	local->link_up = false;
	up_write(&vsvm_link_sem);
}

static bool vsvm_local_alive(struct vsvm_transport *t)
{
	return true;
}

static void vsvm_local_stop(struct vsvm_local *local)
{
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++)
		vsvm_hw_stop(local->hw, i);
	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++)
		disable_work_sync(&local->engine[i].work);
}

/* Also of one that was made in part. */
static void vsvm_local_free(struct vsvm_local *local)
{
	unsigned int i;

	for (i = 0; i < VSVM_LOCAL_NUM_WQ; i++)
		if (local->wq[i])
			destroy_workqueue(local->wq[i]);
	vsvm_hw_fini(local->hw);
	kvfree(local->base.shared);
	vfree(local->vram);
	kvfree(local);
}

static void vsvm_local_destroy(struct vsvm_transport *t)
{
	struct vsvm_local *local = to_local(t);

	vsvm_local_unplug(local);
	vsvm_local_stop(local);
	vsvm_local_free(local);
}

static const struct vsvm_transport_ops vsvm_local_ops = {
	.doorbell = vsvm_local_doorbell,
	.reset = vsvm_local_reset,
	.halt = vsvm_local_halt,
	.set_link = vsvm_local_set_link,
	.alive = vsvm_local_alive,
	.destroy = vsvm_local_destroy,
};

static int vsvm_local_init_queues(struct vsvm_local *local)
{
	static const char * const name[] = { "paging", "to-vram", "from-vram" };
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		local->engine[i].local = local;
		INIT_WORK(&local->engine[i].work, vsvm_local_work);
	}
	for (i = 0; i < VSVM_HW_QUEUE0; i++) {
		const unsigned int first = i == VSVM_HW_PAGING ? WQ_HIGHPRI : 0;

		local->wq[i] = alloc_ordered_workqueue("vsvm-%s",
						       WQ_MEM_RECLAIM | first,
						       name[i]);
		if (!local->wq[i])
			return -ENOMEM;
	}
	local->wq[i] = alloc_workqueue("vsvm-compute", WQ_UNBOUND | WQ_MEM_RECLAIM,
				       min(num_online_cpus(), VSVM_HW_NUM_QUEUES));
	return local->wq[i] ? 0 : -ENOMEM;
}

static int vsvm_local_init(struct vsvm_local *local,
			   const struct vsvm_transport_config *wanted)
{
	struct vsvm_hw_config config = {
		.vram_size = wanted->vram_size,
		.sanitize = IS_ENABLED(CONFIG_DRM_VSVM_DEBUG),
		.fault_entries = wanted->fault_entries,
		.copy_bytes_per_s = wanted->copy_bytes_per_s,
		.copy_latency_ns = wanted->copy_latency_ns,
	};
	int err;

	err = vsvm_local_init_queues(local);
	if (err)
		return err;
	local->base.shared = kvzalloc_obj(*local->base.shared);
	if (!local->base.shared)
		return -ENOMEM;
	/*
	 * Zeroed, as VRAM ends up in user programs. Much memory at a time: give
	 * up before others are killed for it.
	 */
	local->vram = vmalloc_huge(wanted->vram_size, GFP_KERNEL | __GFP_ZERO |
				   __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!local->vram)
		return -ENOMEM;
	config.vram = local->vram;
	config.shared = local->base.shared;
	err = vsvm_hw_init(&local->hw, &config, &vsvm_local_host, local);
	return err ?: vsvm_local_plug(local, wanted->link);
}

/**
 * vsvm_local_create - hardware in this kernel
 * @dev: the device that the driver maps memory for. Must outlive the transport
 *	and be bound, or it has no IOMMU yet.
 * @config: what the hardware shall be like
 * @irq: see struct vsvm_transport; called from a worker, which holds no lock
 *	that a user of the transport could take
 * @data: first argument of @irq
 *
 * Context: process; allocates.
 * Return: the transport; its @destroy frees it. ERR_PTR(-ENOMEM);
 * ERR_PTR(-EINVAL) if there is no such hardware; ERR_PTR(-EEXIST) if another
 * device has its number on the link.
 */
struct vsvm_transport *
vsvm_local_create(struct device *dev, const struct vsvm_transport_config *config,
		  void (*irq)(void *data, unsigned int vector), void *data)
{
	struct vsvm_local *local;
	int err;

	if (!config->vram_size || !PAGE_ALIGNED(config->vram_size))
		return ERR_PTR(-EINVAL);
	if (config->link >= VSVM_NUM_LINKS && config->link != VSVM_NO_LINK)
		return ERR_PTR(-EINVAL);
	local = kvzalloc_obj(*local);
	if (!local)
		return ERR_PTR(-ENOMEM);
	local->base.ops = &vsvm_local_ops;
	local->base.vram_size = config->vram_size;
	local->base.irq = irq;
	local->base.data = data;
	local->dma = vsvm_dma_of(dev);
	local->domain = iommu_get_domain_for_dev(dev);
	local->link = VSVM_NO_LINK;
	err = vsvm_local_init(local, config);
	if (err) {
		vsvm_local_free(local);
		return ERR_PTR(err);
	}
	return &local->base;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_local_create);

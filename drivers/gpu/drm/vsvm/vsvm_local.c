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
 */
#include <linux/dma-fence.h>
#include <linux/iommu.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <kunit/visibility.h>

#include "hw/vsvm_hw.h"
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
	struct vsvm_hw *hw;
	void *vram;
	struct workqueue_struct *wq[VSVM_LOCAL_NUM_WQ];
	struct vsvm_local_engine engine[VSVM_HW_NUM_ENGINES];
};

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
		    !vsvm_local_is_ram(PHYS_PFN(phys)))
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

static void vsvm_local_relax(void *priv)
{
	cond_resched();
}

static const struct vsvm_hw_host vsvm_local_host = {
	.dma = vsvm_local_dma,
	.irq = vsvm_local_irq,
	.relax = vsvm_local_relax,
};

static void vsvm_local_work(struct work_struct *work)
{
	struct vsvm_local_engine *e =
		container_of(work, struct vsvm_local_engine, work);
	/* The interrupt handler signals fences, and it does so from in here. */
	bool cookie = dma_fence_begin_signalling();

	vsvm_hw_run(e->local->hw, e - e->local->engine);
	dma_fence_end_signalling(cookie);
}

static void vsvm_local_queue(struct vsvm_local *local, unsigned int engine)
{
	struct workqueue_struct *wq = local->wq[min(engine, VSVM_LOCAL_NUM_WQ - 1)];

	queue_work(wq, &local->engine[engine].work);
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
	enable_work(work);
	vsvm_local_queue(local, engine);
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

	vsvm_local_stop(local);
	vsvm_local_free(local);
}

static const struct vsvm_transport_ops vsvm_local_ops = {
	.doorbell = vsvm_local_doorbell,
	.reset = vsvm_local_reset,
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
		local->wq[i] = alloc_ordered_workqueue("vsvm-%s", WQ_MEM_RECLAIM,
						       name[i]);
		if (!local->wq[i])
			return -ENOMEM;
	}
	local->wq[i] = alloc_workqueue("vsvm-compute", WQ_UNBOUND | WQ_MEM_RECLAIM,
				       VSVM_HW_NUM_QUEUES);
	return local->wq[i] ? 0 : -ENOMEM;
}

static int vsvm_local_init(struct vsvm_local *local, u64 vram_size)
{
	struct vsvm_hw_config config = {
		.vram_size = vram_size,
		.sanitize = IS_ENABLED(CONFIG_DRM_VSVM_DEBUG),
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
	local->vram = vmalloc_huge(vram_size, GFP_KERNEL | __GFP_ZERO |
				   __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!local->vram)
		return -ENOMEM;
	config.vram = local->vram;
	config.shared = local->base.shared;
	return vsvm_hw_init(&local->hw, &config, &vsvm_local_host, local);
}

/**
 * vsvm_local_create - hardware in this kernel
 * @dev: the device that the driver maps memory for. Must outlive the transport
 *	and be bound, or it has no IOMMU yet.
 * @vram_size: bytes, a multiple of the 4 KiB page
 * @irq: see struct vsvm_transport; called from a worker, with no lock held
 * @data: first argument of @irq
 *
 * Context: process; allocates.
 * Return: the transport; its @destroy frees it. ERR_PTR(-ENOMEM), or
 * ERR_PTR(-EINVAL) if @vram_size is not whole pages.
 */
struct vsvm_transport *
vsvm_local_create(struct device *dev, u64 vram_size,
		  void (*irq)(void *data, unsigned int vector), void *data)
{
	struct vsvm_local *local;
	int err;

	if (!vram_size || !PAGE_ALIGNED(vram_size))
		return ERR_PTR(-EINVAL);
	local = kvzalloc_obj(*local);
	if (!local)
		return ERR_PTR(-ENOMEM);
	local->base.ops = &vsvm_local_ops;
	local->base.vram_size = vram_size;
	local->base.irq = irq;
	local->base.data = data;
	local->domain = iommu_get_domain_for_dev(dev);
	err = vsvm_local_init(local, vram_size);
	if (err) {
		vsvm_local_free(local);
		return ERR_PTR(err);
	}
	return &local->base;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_local_create);

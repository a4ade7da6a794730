// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Copies between VRAM and the addresses that the core has mapped for DMA. They
 * depend on nothing else: not on a VM, not on page tables. The core holds folio
 * locks around them, so they take no lock but a ring's, and allocate nothing
 * that would have to wait for memory.
 *
 * A copy is one submission to one of the two copy engines. Either its caller
 * waits for it, or gets a fence. Both ends are bounded by a reset of the engine:
 * by the one who waits, or by a delayed work that the fence carries, as nobody
 * can be relied on to look at a fence.
 */
#include <drm/drm_pagemap.h>
#include <linux/dma-fence.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "vsvm_copy.h"
#include "vsvm_drv.h"
#include "vsvm_inject.h"
#include "vsvm_peer.h"
#include "vsvm_svm.h"

#define VSVM_NUM_COPY_SIZES	3

/* What a copy did, for the counters. */
struct vsvm_copied {
	struct vsvm_device *vdev;
	bool to_vram;
	u64 start;
	u64 bytes;		/* from or to system memory */
	u64 cleared;
	u64 link_bytes;
	struct drm_pagemap_addr peer;	/* the last address of one */
	u32 sizes[VSVM_NUM_COPY_SIZES];
};

/* Classes of size, in the order of their counters. */
static unsigned int vsvm_copy_size(u64 len)
{
	return len < SZ_64K ? 0 : len < SZ_2M ? 1 : 2;
}

/* A copy that grows as long as its pages are neighbours on both sides. */
struct vsvm_run {
	u64 vram;
	u64 other;
	u64 len;
	u32 aperture;		/* of the other side */
	bool fill;
};

/* A copy that is being written to its ring. */
struct vsvm_copy {
	struct vsvm_copied *did;
	struct vsvm_push push;
	struct vsvm_run run;
};

/* A copy that nobody waits for in here. The fence comes first: RCU frees it. */
struct vsvm_copy_fence {
	struct dma_fence base;
	struct vsvm_sub sub;
	struct vsvm_copied did;
	struct vsvm_ring *ring;
	struct delayed_work timeout;
	u32 seen;		/* of the ring, when that began */
};

/*
 * An emulator that keeps translations of the code that it ran sees the CPUs'
 * stores, and not those of hardware outside of it: when code comes home to where
 * other code was it runs the other. If there is such hardware, the CPU stores
 * something to each page that is about to be written, before anybody has it
 * mapped. That costs as much as a copy, so it is done only once memory that holds
 * code has been seen.
 */
static bool vsvm_code_seen;

/**
 * vsvm_copy_note_code - a GPU works on memory that may be executed
 *
 * Context: any.
 */
void vsvm_copy_note_code(void)
{
	if (!READ_ONCE(vsvm_code_seen))
		WRITE_ONCE(vsvm_code_seen, true);
}

/**
 * vsvm_copy_forget_code - the hardware will write to memory
 * @vdev: device
 * @addr: DMA address, which is a physical one if this does anything
 * @len: bytes
 */
void vsvm_copy_forget_code(struct vsvm_device *vdev, dma_addr_t addr, u64 len)
{
	if (vdev->hw->stale_code && READ_ONCE(vsvm_code_seen))
		memset(phys_to_virt(addr), 0, len);
}

/**
 * vsvm_page_device - whose VRAM is it?
 * @page: device-private page of this driver
 *
 * Return: the device.
 */
struct vsvm_device *vsvm_page_device(struct page *page)
{
	return container_of(page_pgmap(page), struct vsvm_device, pagemap);
}

static u64 vsvm_page_offset(struct vsvm_device *vdev, struct page *page)
{
	return PFN_PHYS(page_to_pfn(page)) - vdev->pagemap.range.start;
}

static void vsvm_copy_flush(struct vsvm_copy *copy)
{
	struct vsvm_copied *did = copy->did;
	struct vsvm_run *run = &copy->run;

	if (!run->len)
		return;
	if (run->fill)
		vsvm_push_fill(&copy->push, run->vram, 0, 0, run->len);
	else if (did->to_vram)
		vsvm_push_copy(&copy->push,
			       VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
			       VSVM_HW_SRC_APERTURE(run->aperture),
			       run->vram, run->other, run->len);
	else
		vsvm_push_copy(&copy->push,
			       VSVM_HW_DST_APERTURE(run->aperture) |
			       VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM),
			       run->other, run->vram, run->len);
	if (run->fill) {
		did->cleared += run->len;
	} else {
		if (run->aperture == VSVM_HW_PEER)
			did->link_bytes += run->len;
		else
			did->bytes += run->len;
		did->sizes[vsvm_copy_size(run->len)]++;
	}
	run->len = 0;
}

static void vsvm_copy_add(struct vsvm_copy *copy, const struct vsvm_run *more)
{
	struct vsvm_run *run = &copy->run;

	if (run->len && run->fill == more->fill &&
	    run->aperture == more->aperture &&
	    run->vram + run->len == more->vram &&
	    (run->fill || run->other + run->len == more->other)) {
		run->len += more->len;
		return;
	}
	vsvm_copy_flush(copy);
	*run = *more;
}

/* A page without an address had no content: the process is to read zeroes. */
static unsigned long vsvm_copy_hole(struct vsvm_copy *copy, struct page *page)
{
	struct folio *folio = page_folio(page);
	bool head = page == folio_page(folio, 0);
	u64 len = head ? folio_size(folio) : PAGE_SIZE;

	if (copy->did->to_vram)
		vsvm_copy_add(copy, &(struct vsvm_run) {
			.vram = vsvm_page_offset(copy->did->vdev, page),
			.len = len,
			.fill = true,
		});
	return len >> PAGE_SHIFT;
}

/* Return: the number of entries that it covers. */
static unsigned int vsvm_copy_entry(struct vsvm_copy *copy, struct page *page,
				    const struct drm_pagemap_addr *addr)
{
	struct vsvm_device *vdev = copy->did->vdev;
	struct vsvm_run run = { .len = PAGE_SIZE << addr->order };

	if (!page)
		return 1 << (addr->addr ? addr->order : 0);
	if (!addr->addr)
		return vsvm_copy_hole(copy, page);
	run.vram = vsvm_page_offset(vdev, page);
	switch (addr->proto) {
	case DRM_INTERCONNECT_SYSTEM:
		run.other = addr->addr;
		run.aperture = VSVM_HW_SYSTEM;
		if (!copy->did->to_vram)
			vsvm_copy_forget_code(vdev, run.other, run.len);
		break;
	case VSVM_INTERCONNECT_VRAM:
		/* Of this device: vsvm_device_map() gives it to nobody else. */
		run.other = vsvm_addr_offset(vdev, addr);
		run.aperture = VSVM_HW_VRAM;
		break;
	default:
		run.other = vsvm_peer_hw_addr(addr);
		run.aperture = VSVM_HW_PEER;
		copy->did->peer = *addr;
	}
	vsvm_copy_add(copy, &run);
	return 1 << addr->order;
}

static struct vsvm_ring *vsvm_copy_ring(const struct vsvm_copied *did)
{
	return &did->vdev->ring[did->to_vram ? VSVM_HW_COPY_TO_VRAM :
					       VSVM_HW_COPY_FROM_VRAM];
}

/* All but the last word, which ends the submission. */
static void vsvm_copy_write(struct vsvm_copy *copy, struct vsvm_sub *sub,
			    struct page **pages, struct drm_pagemap_addr *addr,
			    unsigned long npages)
{
	unsigned long i;

	vsvm_push_begin(&copy->push, vsvm_copy_ring(copy->did), sub);
	for (i = 0; i < npages;)
		i += vsvm_copy_entry(copy, pages[i], &addr[i]);
	vsvm_copy_flush(copy);
}

/* The destination counts what comes over the link. */
static void vsvm_copy_account_link(const struct vsvm_copied *did)
{
	if (!did->link_bytes)
		return;
	if (did->to_vram)
		vsvm_stat_add(did->vdev, VSVM_STAT_LINK_BYTES, did->link_bytes);
	else
		vsvm_peer_copied(&did->peer, did->link_bytes);
}

/* Copies wait on the ring for those before: time counts once. */
static void vsvm_copy_account(const struct vsvm_copied *did)
{
	struct vsvm_device *vdev = did->vdev;
	const u64 now = ktime_get_ns();
	const u64 until = atomic64_xchg(&vdev->copied_until[did->to_vram], now);
	const u64 ns = now - min(now, max(did->start, until));
	unsigned int i;

	for (i = 0; i < VSVM_NUM_COPY_SIZES; i++)
		vsvm_stat_add(vdev, VSVM_STAT_COPIES_4K + i, did->sizes[i]);
	vsvm_copy_account_link(did);
	if (did->to_vram) {
		vsvm_stat_add(vdev, VSVM_STAT_TO_VRAM_BYTES, did->bytes);
		vsvm_stat_add(vdev, VSVM_STAT_TO_VRAM_NS, ns);
		vsvm_stat_add(vdev, VSVM_STAT_CLEARED_BYTES, did->cleared);
	} else {
		vsvm_stat_add(vdev, VSVM_STAT_TO_RAM_BYTES, did->bytes);
		vsvm_stat_add(vdev, VSVM_STAT_TO_RAM_NS, ns);
	}
}

static int vsvm_wait_fence(struct dma_fence *fence)
{
	if (!fence)
		return 0;
	dma_fence_wait(fence, false);
	return dma_fence_get_status(fence) < 0 ? -EIO : 0;
}

/* Return: 0, with @did filled in if there is something to copy; or an error. */
static int vsvm_copy_prepare(struct vsvm_copied *did, struct page **pages,
			     unsigned long npages, struct dma_fence *pre,
			     bool to_vram)
{
	unsigned long i;
	int err;

	for (i = 0; i < npages && !pages[i]; i++)
		;
	if (i == npages)
		return 0;
	err = vsvm_wait_fence(pre) ?: vsvm_inject_copy(to_vram);
	if (err)
		return err;
	*did = (struct vsvm_copied) {
		.vdev = vsvm_page_device(pages[i]),
		.to_vram = to_vram,
		.start = ktime_get_ns(),
	};
	return 0;
}

static int vsvm_copy_and_wait(struct vsvm_copied *did, struct page **pages,
			      struct drm_pagemap_addr *addr,
			      unsigned long npages)
{
	struct vsvm_copy copy = { .did = did };
	struct vsvm_wait wait;

	vsvm_wait_init(&wait);
	vsvm_copy_write(&copy, &wait.sub, pages, addr, npages);
	vsvm_push_end(&copy.push);
	if (vsvm_wait_for(copy.push.ring, &wait))
		return -EIO;
	vsvm_copy_account(did);
	return 0;
}

/**
 * vsvm_copy - copy, and wait for it
 * @pages: pages of VRAM, as for drm_pagemap_devmem_ops
 * @addr: the other side, in system memory or VRAM of this device or a peer
 * @npages: elements of both
 * @pre: to be waited for before, or NULL
 * @to_vram: direction; VRAM without an address is cleared
 *
 * Context: sleeps, until the engine is done or reset.
 *
 * Return: 0 or -EIO.
 */
int vsvm_copy(struct page **pages, struct drm_pagemap_addr *addr,
	      unsigned long npages, struct dma_fence *pre, bool to_vram)
{
	struct vsvm_copied did = {};
	int err;

	err = vsvm_copy_prepare(&did, pages, npages, pre, to_vram);
	if (err || !did.vdev)
		return err;
	return vsvm_copy_and_wait(&did, pages, addr, npages);
}

static const char *vsvm_copy_driver_name(struct dma_fence *fence)
{
	return VSVM_NAME;
}

static const char *vsvm_copy_timeline_name(struct dma_fence *fence)
{
	return "copy";
}

/* Neither release nor wait: a fence must not need this module once signalled. */
static const struct dma_fence_ops vsvm_copy_fence_ops = {
	.get_driver_name = vsvm_copy_driver_name,
	.get_timeline_name = vsvm_copy_timeline_name,
};

/* In the interrupt, or in a reset. */
static void vsvm_copy_done(struct vsvm_sub *sub)
{
	struct vsvm_copy_fence *fence =
		container_of(sub, struct vsvm_copy_fence, sub);

	if (sub->error)
		dma_fence_set_error(&fence->base, -EIO);
	else
		vsvm_copy_account(&fence->did);
	dma_fence_signal(&fence->base);
	if (cancel_delayed_work(&fence->timeout))
		dma_fence_put(&fence->base);
	dma_fence_put(&fence->base);
}

static void vsvm_copy_timeout(struct work_struct *work)
{
	struct vsvm_copy_fence *fence = container_of(to_delayed_work(work),
						     struct vsvm_copy_fence,
						     timeout);

	const bool stuck = vsvm_ring_stuck(fence->ring, &fence->seen);

	if (!dma_fence_is_signaled(&fence->base) && !stuck) {
		queue_delayed_work(fence->did.vdev->timeout_wq, &fence->timeout,
				   vsvm_ring_timeout(fence->ring));
		return;
	}
	if (!dma_fence_is_signaled(&fence->base))
		vsvm_ring_reset(fence->ring, -EIO);
	dma_fence_put(&fence->base);
}

/*
 * Fences of one context are taken to signal in their order, but threads share
 * a ring: each copy has a context of its own.
 */
static struct vsvm_copy_fence *vsvm_copy_fence_alloc(const struct vsvm_copied *did)
{
	struct vsvm_copy_fence *fence;

	fence = kzalloc_obj(*fence, GFP_NOWAIT);
	if (!fence)
		return NULL;
	dma_fence_init(&fence->base, &vsvm_copy_fence_ops, NULL,
		       dma_fence_context_alloc(1), 1);
	vsvm_sub_init(&fence->sub, vsvm_copy_done);
	INIT_DELAYED_WORK(&fence->timeout, vsvm_copy_timeout);
	fence->did = *did;
	fence->ring = vsvm_copy_ring(did);
	fence->seen = READ_ONCE(fence->ring->seen);
	return fence;
}

/**
 * vsvm_copy_async - start to copy
 * @pages: pages of VRAM, as for drm_pagemap_devmem_ops
 * @addr: the other side, in system memory or VRAM of this device or a peer
 * @npages: elements of both
 * @pre: to be waited for before, or NULL
 * @to_vram: direction; VRAM without an address is cleared
 *
 * Context: sleeps while the ring is full.
 *
 * Return: a fence that ends with 0 or as vsvm_copy() does; NULL if it is done,
 * which is also what happens without memory for a fence; or ERR_PTR().
 */
struct dma_fence *vsvm_copy_async(struct page **pages,
				  struct drm_pagemap_addr *addr,
				  unsigned long npages, struct dma_fence *pre,
				  bool to_vram)
{
	struct vsvm_copied did = {};
	struct vsvm_copy_fence *fence;
	struct vsvm_copy copy = {};
	int err;

	err = vsvm_copy_prepare(&did, pages, npages, pre, to_vram);
	if (err || !did.vdev)
		return ERR_PTR(err);
	fence = vsvm_copy_fence_alloc(&did);
	if (!fence)
		return ERR_PTR(vsvm_copy_and_wait(&did, pages, addr, npages));
	copy.did = &fence->did;
	/* One for the caller, one for the time-out, one for the completion. */
	dma_fence_get(&fence->base);
	dma_fence_get(&fence->base);
	/* Before the copy can be done, so that its end finds it. */
	queue_delayed_work(did.vdev->timeout_wq, &fence->timeout,
			   vsvm_ring_timeout(fence->ring));
	vsvm_copy_write(&copy, &fence->sub, pages, addr, npages);
	vsvm_push_end(&copy.push);
	return &fence->base;
}

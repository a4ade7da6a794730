// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <kunit/device.h>

#include "pagemap_internal.h"
#include "pagemap_mock.h"

static const struct file_operations mock_fops = { .owner = THIS_MODULE };

static const struct drm_driver mock_driver = {
	.name = "pagemap_mock",
	.desc = "mock device for drm_pagemap",
	.fops = &mock_fops,
};

static struct pagemap_mock *mock_of_page(struct page *page)
{
	return container_of(page_pgmap(page), struct pagemap_mock, pgmap);
}

static void *mock_vram(struct pagemap_mock *mock, struct page *page)
{
	phys_addr_t base = mock->pgmap.range.start;

	return mock->vram + (page_to_phys(page) - base);
}

static void mock_release(struct drm_pagemap_devmem *devmem)
{
	struct pagemap_mock_chunk *chunk =
		container_of(devmem, struct pagemap_mock_chunk, devmem);

	chunk->released = true;
	chunk->mock->released++;
}

static int mock_populate(struct drm_pagemap_devmem *devmem,
			 unsigned long npages, unsigned long *pfn)
{
	struct pagemap_mock_chunk *chunk =
		container_of(devmem, struct pagemap_mock_chunk, devmem);
	unsigned long base = PHYS_PFN(chunk->mock->pgmap.range.start);

	if (chunk->mock->fail_populate)
		return chunk->mock->fail_populate;

	for (unsigned long i = 0; i < npages; i++)
		pfn[i] = base + chunk->first +
			 (chunk->scattered ? npages - 1 - i : i);
	if (chunk->bad_pfn)
		pfn[npages - 1] = base - 1;

	return 0;
}

/* Where an address of the mapped side points to. */
static void *mock_other(struct pagemap_mock *mock, struct drm_pagemap_addr *addr)
{
	struct page *page;

	if (addr->proto == DRM_INTERCONNECT_SYSTEM)
		return phys_to_virt(addr->addr);
	if (addr->proto == MOCK_INTERCONNECT_AT_0)
		return mock->peer_at_0->vram + addr->addr;

	page = pfn_to_page(PHYS_PFN(addr->addr));
	KUNIT_EXPECT_TRUE(mock->test, is_device_private_page(page));

	return mock_vram(mock_of_page(page), page);
}

/* Asynchronous copies of one device run side by side. */
static void mock_count(unsigned long *bytes, size_t size)
{
	static DEFINE_SPINLOCK(lock);

	guard(spinlock)(&lock);
	*bytes += size;
}

static int mock_copy_to_devmem(struct page **pages,
			       struct drm_pagemap_addr *addr,
			       unsigned long npages, struct dma_fence *fence)
{
	for (unsigned long i = 0; i < npages; i++) {
		struct pagemap_mock *mock;
		size_t size;

		if (!pages[i])
			continue;

		mock = mock_of_page(pages[i]);
		if (mock->fail_to_devmem)
			return mock->fail_to_devmem;

		if (drm_pagemap_addr_is_hole(&addr[i])) {
			size = folio_size(page_folio(pages[i]));
			memset(mock_vram(mock, pages[i]), 0, size);
			mock_count(&mock->cleared, size);
			continue;
		}

		size = PAGE_SIZE << addr[i].order;
		memcpy(mock_vram(mock, pages[i]), mock_other(mock, &addr[i]),
		       size);
		mock_count(addr[i].proto == DRM_INTERCONNECT_SYSTEM ?
			   &mock->to_devmem : &mock->pulled, size);
	}

	return 0;
}

static int mock_read_error(struct pagemap_mock *mock, struct page *page,
			   size_t size)
{
	unsigned long first = page_to_pfn(page) -
			      PHYS_PFN(mock->pgmap.range.start);

	if (first < mock->bad_first + mock->bad_pages &&
	    first + (size >> PAGE_SHIFT) > mock->bad_first)
		return -EIO;

	return mock->fail_to_ram;
}

static int mock_copy_to_ram(struct page **pages, struct drm_pagemap_addr *addr,
			    unsigned long npages, struct dma_fence *fence)
{
	for (unsigned long i = 0; i < npages; i++) {
		struct pagemap_mock *mock;
		size_t size;
		void *to;
		int err;

		if (!pages[i])
			continue;

		mock = mock_of_page(pages[i]);
		if (mock->munmap_size) {
			vm_munmap(mock->munmap_addr, mock->munmap_size);
			mock->munmap_size = 0;
		}

		size = PAGE_SIZE << addr[i].order;
		to = mock_other(mock, &addr[i]);
		memcpy(to, mock_vram(mock, pages[i]), size);
		/* What a failed copy has written must not be seen. */
		err = mock_read_error(mock, pages[i], size);
		if (err) {
			memset(to, 0xee, size);
			return err;
		}
		if (addr[i].proto != DRM_INTERCONNECT_SYSTEM)
			mock = mock_of_page(pfn_to_page(PHYS_PFN(addr[i].addr)));
		mock_count(addr[i].proto == DRM_INTERCONNECT_SYSTEM ?
			   &mock->to_ram : &mock->from_peer, size);
	}

	return 0;
}

/* A copy that is done a little later, from what was in the arrays. */
struct mock_fence {
	struct dma_fence base;
	spinlock_t lock;		/* the fence's own */
	struct delayed_work work;
	struct pagemap_mock *mock;
	bool to_ram;
	unsigned long npages;
	struct page **pages;
	struct drm_pagemap_addr *addr;
};

static const char *mock_fence_name(struct dma_fence *fence)
{
	return "pagemap_mock";
}

static void mock_fence_release(struct dma_fence *base)
{
	struct mock_fence *fence = container_of(base, struct mock_fence, base);

	kvfree(fence->pages);
	kvfree(fence->addr);
	dma_fence_free(base);
}

static const struct dma_fence_ops mock_fence_ops = {
	.get_driver_name = mock_fence_name,
	.get_timeline_name = mock_fence_name,
	.release = mock_fence_release,
};

static void mock_fence_work(struct work_struct *work)
{
	struct mock_fence *fence = container_of(to_delayed_work(work),
						struct mock_fence, work);
	struct pagemap_mock *mock = fence->mock;
	int err;

	if (mock->during_copy)
		mock->during_copy(mock);
	err = fence->to_ram ?
	      mock_copy_to_ram(fence->pages, fence->addr, fence->npages, NULL) :
	      mock_copy_to_devmem(fence->pages, fence->addr, fence->npages, NULL);
	if (mock->fail_fence)
		err = mock->fail_fence;
	if (err)
		dma_fence_set_error(&fence->base, err);
	atomic_dec(&mock->running);
	dma_fence_signal(&fence->base);
	dma_fence_put(&fence->base);
}

static struct dma_fence *mock_async(struct page **pages,
				    struct drm_pagemap_addr *addr,
				    unsigned long npages, bool to_ram)
{
	struct mock_fence *fence = kzalloc_obj(*fence);
	struct pagemap_mock *mock = NULL;

	for (unsigned long i = 0; i < npages && !mock; i++)
		mock = pages[i] ? mock_of_page(pages[i]) : NULL;
	if (!fence || !mock) {
		kfree(fence);
		return ERR_PTR(mock ? -ENOMEM : -EINVAL);
	}

	fence->mock = mock;
	fence->to_ram = to_ram;
	fence->npages = npages;
	fence->pages = kvmemdup(pages, npages * sizeof(*pages), GFP_KERNEL);
	fence->addr = kvmemdup(addr, npages * sizeof(*addr), GFP_KERNEL);
	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &mock_fence_ops, &fence->lock, 0, 0);
	mock->most_running = max(mock->most_running,
				 atomic_inc_return(&mock->running));

	/* One for the worker, one for the core. */
	dma_fence_get(&fence->base);
	INIT_DELAYED_WORK(&fence->work, mock_fence_work);
	queue_delayed_work(mock->wq, &fence->work,
			   msecs_to_jiffies(mock->async_ms));

	return &fence->base;
}

static struct dma_fence *mock_to_devmem_async(struct page **pages,
					      struct drm_pagemap_addr *addr,
					      unsigned long npages,
					      struct dma_fence *pre)
{
	return mock_async(pages, addr, npages, false);
}

static struct dma_fence *mock_to_ram_async(struct page **pages,
					   struct drm_pagemap_addr *addr,
					   unsigned long npages,
					   struct dma_fence *pre)
{
	return mock_async(pages, addr, npages, true);
}

static struct dma_fence *mock_clear(struct page **pages,
				    struct drm_pagemap_addr *addr,
				    unsigned long npages, struct dma_fence *pre)
{
	struct pagemap_mock *mock = NULL;

	for (unsigned long i = 0; i < npages; i++) {
		if (!pages[i])
			continue;
		mock = mock_of_page(pages[i]);
		KUNIT_EXPECT_EQ(mock->test, addr[i].addr, 0);
		if (mock->fail_clear)
			return ERR_PTR(mock->fail_clear);
		memset(mock_vram(mock, pages[i]), 0, PAGE_SIZE << addr[i].order);
		mock->cleared_by_op += PAGE_SIZE << addr[i].order;
	}

	return NULL;
}

static const struct drm_pagemap_devmem_ops mock_devmem_ops = {
	.devmem_release = mock_release,
	.populate_devmem_pfn = mock_populate,
	.copy_to_devmem = mock_copy_to_devmem,
	.copy_to_ram = mock_copy_to_ram,
};

const struct drm_pagemap_devmem_ops pagemap_mock_async_ops = {
	.devmem_release = mock_release,
	.populate_devmem_pfn = mock_populate,
	.copy_to_devmem_async = mock_to_devmem_async,
	.copy_to_ram_async = mock_to_ram_async,
};

const struct drm_pagemap_devmem_ops pagemap_mock_clear_ops = {
	.devmem_release = mock_release,
	.populate_devmem_pfn = mock_populate,
	.copy_to_devmem = mock_copy_to_devmem,
	.copy_to_ram = mock_copy_to_ram,
	.clear_devmem = mock_clear,
};

const struct drm_pagemap_devmem_ops pagemap_mock_pull_ops = {
	.devmem_release = mock_release,
	.populate_devmem_pfn = mock_populate,
	.copy_to_devmem = mock_copy_to_devmem,
	.copy_to_ram = mock_copy_to_ram,
	.flags = DRM_PAGEMAP_DEVMEM_PULLS,
};

static struct pagemap_mock *mock_of_pagemap(struct drm_pagemap *dpagemap)
{
	return container_of(dpagemap->pagemap, struct pagemap_mock, pgmap);
}

static struct drm_pagemap_addr mock_device_map(struct drm_pagemap *dpagemap,
					       struct device *dev,
					       struct page *page,
					       unsigned int order,
					       enum dma_data_direction dir)
{
	struct pagemap_mock *mock = mock_of_pagemap(dpagemap);
	u64 proto = mock->at_0 ? mock->at_0_proto : DRM_INTERCONNECT_DRIVER;
	dma_addr_t addr = page_to_phys(page);

	if (mock->at_0)
		addr -= mock->pgmap.range.start;
	if (mock->fail_map)
		addr = DMA_MAPPING_ERROR;
	else
		mock->mapped += 1 << order;

	return drm_pagemap_addr_encode(addr, proto, order, dir);
}

static void mock_device_unmap(struct drm_pagemap *dpagemap, struct device *dev,
			      const struct drm_pagemap_addr *addr)
{
	mock_of_pagemap(dpagemap)->mapped -= 1 << addr->order;
}

static struct drm_pagemap_devmem *mock_devmem_alloc(struct drm_pagemap *dpagemap,
						    struct mm_struct *mm,
						    size_t size)
{
	struct pagemap_mock *mock = mock_of_pagemap(dpagemap);

	if (mock->fail_alloc)
		return ERR_PTR(mock->fail_alloc);
	if (mock->max_alloc && size > mock->max_alloc)
		return ERR_PTR(-ENOSPC);
	if (mock->free_allocs && mock->free_allocs == mock->allocs)
		return ERR_PTR(-ENOSPC);
	mock->allocs++;

	return &pagemap_mock_chunk(mock->test, mock, size)->devmem;
}

static void mock_devmem_populated(struct drm_pagemap_devmem *devmem)
{
	struct pagemap_mock_chunk *chunk =
		container_of(devmem, struct pagemap_mock_chunk, devmem);

	KUNIT_EXPECT_FALSE(chunk->mock->test, chunk->released);
	chunk->mock->populated++;
}

static const struct drm_pagemap_ops mock_ops = {
	.device_map = mock_device_map,
	.device_unmap = mock_device_unmap,
	.devmem_alloc = mock_devmem_alloc,
	.devmem_populated = mock_devmem_populated,
};

static void mock_vfree(void *vram)
{
	vfree(vram);
}

/* The pagemap's pages are gone by now, so nobody has a chunk any more. */
static void mock_free_chunks(void *data)
{
	struct pagemap_mock *mock = data;
	struct pagemap_mock_chunk *chunk, *next;

	list_for_each_entry_safe(chunk, next, &mock->chunks, link) {
		KUNIT_EXPECT_NULL(mock->test, chunk->devmem.zdd);
		kfree(chunk);
	}
}

static void mock_put_pagemap(void *dpagemap)
{
	drm_pagemap_put(dpagemap);
}

static void mock_destroy_wq(void *wq)
{
	destroy_workqueue(wq);
}

static void mock_add_pages(struct kunit *test, struct pagemap_mock *mock,
			   void *owner)
{
	struct device *dev = mock->drm.dev;
	struct resource *res;
	void *addr;

	res = devm_request_free_mem_region(dev, &iomem_resource, MOCK_VRAM_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, res);

	mock->pgmap.type = MEMORY_DEVICE_PRIVATE;
	mock->pgmap.range.start = ALIGN(res->start, PMD_SIZE);
	mock->pgmap.range.end = mock->pgmap.range.start + MOCK_VRAM_SIZE - 1;
	mock->pgmap.nr_range = 1;
	mock->pgmap.ops = drm_pagemap_pagemap_ops_get();
	mock->pgmap.owner = owner;
	addr = devm_memremap_pages(dev, &mock->pgmap);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, addr);
}

/* Goes with the test's device, which waits for the last page in VRAM. */
static struct pagemap_mock *mock_create(struct kunit *test, void *owner)
{
	static atomic_t number = ATOMIC_INIT(0);
	struct pagemap_mock *mock;
	struct device *dev;
	char name[32];

	/* One test may have several devices. */
	snprintf(name, sizeof(name), "pagemap_mock.%d", atomic_inc_return(&number));
	dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64)), 0);

	mock = devm_drm_dev_alloc(dev, &mock_driver, struct pagemap_mock, drm);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock);
	mock->vram = vzalloc(MOCK_VRAM_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, mock->vram);
	KUNIT_ASSERT_EQ(test, 0, devm_add_action_or_reset(dev, mock_vfree,
							  mock->vram));
	/* What nobody has written to must not look right. */
	memset(mock->vram, 0xdd, MOCK_VRAM_SIZE);
	mock->test = test;
	mock->devmem_ops = &mock_devmem_ops;
	mock->wq = alloc_workqueue("pagemap_mock", WQ_UNBOUND, 0);
	KUNIT_ASSERT_NOT_NULL(test, mock->wq);
	KUNIT_ASSERT_EQ(test, 0, devm_add_action_or_reset(dev, mock_destroy_wq,
							  mock->wq));
	INIT_LIST_HEAD(&mock->chunks);
	KUNIT_ASSERT_EQ(test, 0, devm_add_action_or_reset(dev, mock_free_chunks,
							  mock));
	mock_add_pages(test, mock, owner ?: mock);

	mock->dpagemap = drm_pagemap_create(&mock->drm, &mock->pgmap, &mock_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock->dpagemap);
	KUNIT_ASSERT_EQ(test, 0, devm_add_action_or_reset(dev, mock_put_pagemap,
							  mock->dpagemap));

	return mock;
}

struct pagemap_mock *pagemap_mock_create(struct kunit *test)
{
	return mock_create(test, NULL);
}

/* Another device of the same owner, so that each sees the other's pages. */
struct pagemap_mock *pagemap_mock_create_peer(struct kunit *test,
					      struct pagemap_mock *mock)
{
	return mock_create(test, mock->pgmap.owner);
}

struct pagemap_mock_chunk *pagemap_mock_chunk(struct kunit *test,
					      struct pagemap_mock *mock,
					      unsigned long size)
{
	struct pagemap_mock_chunk *chunk;

	/* Its pages may outlive the test's thread. */
	chunk = kzalloc_obj(*chunk);
	KUNIT_ASSERT_NOT_NULL(test, chunk);

	list_add(&chunk->link, &mock->chunks);
	chunk->mock = mock;
	chunk->scattered = mock->scatter;
	chunk->bad_pfn = mock->bad_pfn;
	chunk->first = ALIGN(mock->next, size >> PAGE_SHIFT);
	mock->next = chunk->first + (size >> PAGE_SHIFT);
	KUNIT_ASSERT_LE(test, mock->next, MOCK_VRAM_SIZE >> PAGE_SHIFT);

	drm_pagemap_devmem_init(&chunk->devmem, mock->drm.dev, current->mm,
				mock->devmem_ops, mock->dpagemap, size, NULL);
	chunk->devmem.zeroed = mock->zeroed;

	return chunk;
}

int pagemap_mock_migrate(struct kunit *test, struct pagemap_mock_chunk *chunk,
			 unsigned long start, unsigned long end,
			 unsigned long timeslice_ms)
{
	struct drm_pagemap_migrate_details details = {
		.timeslice_ms = timeslice_ms,
	};
	int err;

	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&chunk->devmem, current->mm, start,
					    end, &details);
	mmap_read_unlock(current->mm);

	return err;
}

int pagemap_mock_populate(struct pagemap_mock *mock, unsigned long addr,
			  unsigned long size, enum drm_pagemap_policy policy,
			  struct drm_pagemap_migrate_result *result)
{
	const struct drm_pagemap_migrate_details details = { .policy = policy };
	int err;

	mmap_read_lock(current->mm);
	err = drm_pagemap_populate_range(mock->dpagemap, current->mm, addr,
					 addr + size, &details, result);
	mmap_read_unlock(current->mm);

	return err;
}

/* A mapping with content, and the VRAM that it was moved to. */
struct pagemap_mock_piece pagemap_mock_piece(struct kunit *test,
					     struct pagemap_mock *mock,
					     unsigned long size,
					     unsigned int seed)
{
	struct pagemap_mock_piece p = {
		.size = size,
		.addr = pagemap_mock_mmap(test, size, size == PMD_SIZE),
		.chunk = pagemap_mock_chunk(test, mock, size),
	};

	pagemap_mock_fill(test, p.addr, size, seed);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, p.chunk, p.addr,
						      p.addr + size, 0));

	return p;
}

/* Of the one pagemap of the mock. */
struct pagemap_snapshot *pagemap_mock_snapshot(struct kunit *test,
					       struct pagemap_mock *mock)
{
	struct pagemap_snapshot *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_ASSERT_TRUE(test, pagemap_snapshot_next(&mock->drm, s));

	return s;
}

MODULE_DESCRIPTION("KUnit tests for drm_pagemap");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

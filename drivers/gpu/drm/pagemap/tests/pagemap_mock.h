/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The smallest device that a pagemap can have: VRAM is an array, copies are
 * memcpy(), and the test says what goes wrong. A test's thread has an address
 * space of its own, so the migrations are real.
 */
#ifndef _PAGEMAP_MOCK_H_
#define _PAGEMAP_MOCK_H_

#include <drm/drm_device.h>
#include <drm/drm_pagemap.h>
#include <kunit/test.h>
#include <linux/mm.h>

#define MOCK_VRAM_SIZE	(16ul << 20)

/* A peer's address counts from the start of its VRAM. */
#define MOCK_INTERCONNECT_AT_0	(DRM_INTERCONNECT_DRIVER + 1)

struct pagemap_mock {
	struct drm_device drm;
	struct dev_pagemap pgmap;
	struct drm_pagemap *dpagemap;
	u8 *vram;
	unsigned long next;		/* first free page; none is used twice */
	struct list_head chunks;

	/* What to be. */
	const struct drm_pagemap_devmem_ops *devmem_ops;	/* of new chunks */
	struct kunit *test;
	struct workqueue_struct *wq;
	unsigned int async_ms;		/* time that an asynchronous copy takes */
	bool zeroed;			/* new chunks read as zero */
	bool at_0;			/* VRAM begins at 0, for peers */
	u64 at_0_proto;			/* of such addresses */
	struct pagemap_mock *peer_at_0;	/* such a one */

	void (*during_copy)(struct pagemap_mock *mock);	/* an asynchronous one */
	void *during_data;

	/* What to do wrong. */
	unsigned long max_alloc;	/* bytes; a larger chunk is -ENOSPC. 0: any */
	unsigned long free_allocs;	/* chunks until -ENOSPC. 0: any number */
	int fail_alloc;			/* errno of devmem_alloc */
	int fail_clear;
	int fail_fence;			/* errno of the next fences */
	bool fail_map;			/* of pages for a peer */
	int fail_to_devmem;		/* errno of the next copies */
	int fail_to_ram;
	unsigned long bad_first;	/* pages of VRAM that cannot be read */
	unsigned long bad_pages;
	int fail_populate;
	bool scatter;			/* pages of a new chunk not contiguous */
	bool bad_pfn;			/* a page that is not ours */

	/* What the process does in the middle of a copy to RAM. */
	unsigned long munmap_addr;
	unsigned long munmap_size;

	/* What happened; the first ones in bytes. */
	unsigned long to_devmem;
	unsigned long to_ram;
	unsigned long cleared;
	unsigned long cleared_by_op;
	unsigned long from_peer;	/* copied into this device by a peer */
	unsigned long pulled;		/* copied by this device from a peer */
	unsigned long released;		/* chunks */
	unsigned long allocs;		/* chunks by devmem_alloc */
	unsigned long populated;
	unsigned long mapped;		/* pages for a peer, at the moment */
	atomic_t running;		/* asynchronous copies, at the moment */
	int most_running;
};

/* A piece of VRAM; kept until the test ends, so that it can be asked. */
struct pagemap_mock_chunk {
	struct drm_pagemap_devmem devmem;
	struct list_head link;		/* in the mock's */
	struct pagemap_mock *mock;
	unsigned long first;
	bool scattered;
	bool bad_pfn;
	bool released;
};

struct pagemap_mock_piece {
	struct pagemap_mock_chunk *chunk;
	unsigned long addr;
	unsigned long size;
};

/* Page number @i of the chunk; of one that is not scattered. */
static inline struct page *
pagemap_mock_page(const struct pagemap_mock_chunk *chunk, unsigned long i)
{
	return pfn_to_page(PHYS_PFN(chunk->mock->pgmap.range.start) +
			   chunk->first + i);
}

struct pagemap_snapshot;

extern const struct drm_pagemap_devmem_ops pagemap_mock_async_ops;
extern const struct drm_pagemap_devmem_ops pagemap_mock_clear_ops;
extern const struct drm_pagemap_devmem_ops pagemap_mock_pull_ops;

struct pagemap_mock *pagemap_mock_create(struct kunit *test);
struct pagemap_mock *pagemap_mock_create_peer(struct kunit *test,
					      struct pagemap_mock *mock);
struct pagemap_mock_chunk *pagemap_mock_chunk(struct kunit *test,
					      struct pagemap_mock *mock,
					      unsigned long size);
int pagemap_mock_migrate(struct kunit *test, struct pagemap_mock_chunk *chunk,
			 unsigned long start, unsigned long end,
			 unsigned long timeslice_ms);
int pagemap_mock_populate(struct pagemap_mock *mock, unsigned long addr,
			  unsigned long size, enum drm_pagemap_policy policy,
			  struct drm_pagemap_migrate_result *result);

struct pagemap_mock_piece pagemap_mock_piece(struct kunit *test,
					     struct pagemap_mock *mock,
					     unsigned long size,
					     unsigned int seed);
struct pagemap_snapshot *pagemap_mock_snapshot(struct kunit *test,
					       struct pagemap_mock *mock);

unsigned long pagemap_mock_mmap(struct kunit *test, unsigned long size,
				bool huge);
int pagemap_mock_touch(unsigned long addr);
void pagemap_mock_fill(struct kunit *test, unsigned long addr,
		       unsigned long size, unsigned int seed);
void pagemap_mock_check(struct kunit *test, unsigned long addr,
			unsigned long size, unsigned int seed);
void pagemap_mock_check_part(struct kunit *test, unsigned long addr,
			     unsigned long start, unsigned long end,
			     unsigned int seed);
void pagemap_mock_check_zero(struct kunit *test, unsigned long addr,
			     unsigned long size);

#endif /* _PAGEMAP_MOCK_H_ */

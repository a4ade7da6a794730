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

#define MOCK_VRAM_SIZE	(16ul << 20)

struct pagemap_mock {
	struct drm_device drm;
	struct dev_pagemap pgmap;
	struct drm_pagemap *dpagemap;
	u8 *vram;
	unsigned long next;		/* first free page; none is used twice */
	struct work_struct release;

	/* What to do wrong. */
	int fail_to_devmem;		/* errno of the next copies */
	int fail_to_ram;
	int fail_populate;
	bool scatter;			/* pages of a new chunk not contiguous */
	bool bad_pfn;			/* a page that is not ours */

	/* What the process does in the middle of a copy to RAM. */
	unsigned long munmap_addr;
	unsigned long munmap_size;

	/* What happened, in bytes. */
	unsigned long to_devmem;
	unsigned long to_ram;
	unsigned long cleared;
	unsigned long released;		/* chunks */
};

/* A piece of VRAM; kept until the test ends, so that it can be asked. */
struct pagemap_mock_chunk {
	struct drm_pagemap_devmem devmem;
	struct pagemap_mock *mock;
	unsigned long first;
	bool scattered;
	bool bad_pfn;
	bool released;
};

struct pagemap_mock *pagemap_mock_create(struct kunit *test);
struct pagemap_mock_chunk *pagemap_mock_chunk(struct kunit *test,
					      struct pagemap_mock *mock,
					      unsigned long size);
int pagemap_mock_migrate(struct kunit *test, struct pagemap_mock_chunk *chunk,
			 unsigned long start, unsigned long end,
			 unsigned long timeslice_ms);

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

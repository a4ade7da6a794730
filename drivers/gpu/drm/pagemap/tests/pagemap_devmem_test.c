// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A devmem allocation, from its pages' point of view: which one they belong to,
 * how many are counted, where VRAM begins, and which node they come home to.
 */
#include <linux/cpumask.h>
#include <linux/memremap.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/workqueue.h>

#include "pagemap_internal.h"
#include "pagemap_mock.h"

#define SEED	43
#define BLOCK	(PMD_SIZE >> PAGE_SHIFT)

/* A THP of the process, in a block of VRAM. */
static struct pagemap_mock_chunk *devmem_block(struct kunit *test,
					       struct pagemap_mock *mock,
					       unsigned long *addr)
{
	struct pagemap_mock_chunk *chunk = pagemap_mock_chunk(test, mock,
							      PMD_SIZE);

	*addr = pagemap_mock_mmap(test, PMD_SIZE, true);
	pagemap_mock_fill(test, *addr, PMD_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, *addr,
						      *addr + PMD_SIZE, 0));

	return chunk;
}

/* CPU faults bring home one page, and leave the others where they are. */
static void devmem_fault_pages(struct pagemap_mock *mock)
{
	static const struct drm_pagemap_fault_policy one_page = {
		.min_window = PAGE_SIZE,
		.max_window = PAGE_SIZE,
	};

	mock->dpagemap->fault_policy = &one_page;
}

static void page_to_devmem_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *other = pagemap_mock_chunk(test, mock,
							      PAGE_SIZE);
	unsigned long addr = pagemap_mock_mmap(test, PAGE_SIZE, false);
	struct pagemap_mock_chunk *chunk;
	unsigned long block;

	pagemap_mock_fill(test, addr, PAGE_SIZE, SEED);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, other, addr,
						      addr + PAGE_SIZE, 0));
	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_page_to_devmem(pagemap_mock_page(other, 0)),
			    &other->devmem);

	devmem_fault_pages(mock);
	chunk = devmem_block(test, mock, &block);
	KUNIT_ASSERT_TRUE(test, folio_test_large(page_folio(pagemap_mock_page(chunk, 0))));
	for (unsigned long i = 0; i < BLOCK; i += 73)
		KUNIT_EXPECT_PTR_EQ(test, &chunk->devmem,
				    drm_pagemap_page_to_devmem(pagemap_mock_page(chunk, i)));

	/* mm splits it, and one page goes home. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(block, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_touch(block + 9 * PAGE_SIZE));
	KUNIT_ASSERT_FALSE(test, folio_test_large(page_folio(pagemap_mock_page(chunk, 10))));
	for (unsigned long i = 10; i < BLOCK; i += 73) {
		KUNIT_EXPECT_PTR_EQ(test, &chunk->devmem,
				    drm_pagemap_page_to_devmem(pagemap_mock_page(chunk, i)));
		KUNIT_EXPECT_PTR_EQ(test, mock->dpagemap,
				    drm_pagemap_page_to_dpagemap(pagemap_mock_page(chunk, i)));
	}
}

/* Pages that are in use, by a look at each of them. */
static unsigned long devmem_scan(const struct pagemap_mock_chunk *chunk)
{
	unsigned long found = 0;

	for (unsigned long i = 0; i < BLOCK; i++)
		if (folio_ref_count(page_folio(pagemap_mock_page(chunk, i))))
			found++;

	return found;
}

static void devmem_check_count(struct kunit *test,
			       const struct pagemap_mock_chunk *chunk,
			       unsigned long want)
{
	struct drm_pagemap_zdd *zdd = chunk->devmem.zdd;
	struct pagemap_usage usage = {};

	KUNIT_ASSERT_EQ(test, devmem_scan(chunk), want);
	KUNIT_ASSERT_EQ(test, chunk->released, !want);
	pagemap_zdd_usage(chunk->mock->dpagemap, &usage);
	KUNIT_ASSERT_EQ(test, usage.used, (u64)want << PAGE_SHIFT);
	if (want)
		KUNIT_ASSERT_EQ(test, atomic_read(&zdd->live), (int)want);
}

#define STEP	8ul
#define STEPS	(BLOCK / STEP)

/* The parts that a block was split into go in any order, one by one. */
static void free_order_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);
	struct pagemap_mock_chunk *chunk;
	unsigned long addr, left = BLOCK;

	devmem_fault_pages(mock);
	chunk = devmem_block(test, mock, &addr);
	devmem_check_count(test, chunk, left);

	/* A block of which a part is mapped is in use as a whole. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, STEP << PAGE_SHIFT));
	devmem_check_count(test, chunk, left);
	/* To be split is what lets the others go. */
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_touch(addr + PMD_SIZE / 2));
	left -= STEP + 1;
	devmem_check_count(test, chunk, left);

	for (unsigned long i = 1; i < STEPS; i++) {
		unsigned long step = i * 37 % STEPS;
		unsigned long at = addr + (step * STEP << PAGE_SHIFT);

		left -= step == STEPS / 2 ? STEP - 1 : STEP;
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(at, STEP << PAGE_SHIFT));
		devmem_check_count(test, chunk, left);
	}
	KUNIT_EXPECT_EQ(test, left, 0ul);

	/* The same VRAM serves as a block again. */
	mock->next = chunk->first;
	chunk = devmem_block(test, mock, &addr);
	KUNIT_EXPECT_TRUE(test, folio_test_large(page_folio(pagemap_mock_page(chunk, 0))));
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	pagemap_mock_check(test, addr, PMD_SIZE, SEED);
}

struct at_0_case {
	const char *name;
	unsigned long size;
	bool huge;
};

static const struct at_0_case at_0_cases[] = {
	{ "pages", 16 * PAGE_SIZE },
	{ "block", PMD_SIZE, .huge = true },
};

KUNIT_ARRAY_PARAM_DESC(at_0, at_0_cases, name);

struct at_0 {
	struct pagemap_mock *from, *to;
	struct pagemap_mock_chunk *old, *new;
	unsigned long addr;
};

/* A peer whose VRAM begins at 0 for those that read from it. */
static void at_0_init(struct kunit *test, struct at_0 *a, u64 proto)
{
	const struct at_0_case *c = test->param_value;

	a->from = pagemap_mock_create(test);
	a->from->at_0 = true;
	a->from->at_0_proto = proto;
	a->to = pagemap_mock_create_peer(test, a->from);
	a->to->peer_at_0 = a->from;
	a->to->devmem_ops = &pagemap_mock_pull_ops;

	a->addr = pagemap_mock_mmap(test, c->size, c->huge);
	pagemap_mock_fill(test, a->addr, c->size, SEED);
	a->old = pagemap_mock_chunk(test, a->from, c->size);
	KUNIT_ASSERT_EQ(test, a->old->first, 0ul);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, a->old, a->addr,
						      a->addr + c->size, 0));
	a->new = pagemap_mock_chunk(test, a->to, c->size);
}

static int at_0_pull(struct kunit *test, struct at_0 *a)
{
	const struct at_0_case *c = test->param_value;
	struct drm_pagemap_migrate_details details = {
		.source_peer_migrates = true,
	};
	int err;

	mmap_read_lock(current->mm);
	err = drm_pagemap_migrate_to_devmem(&a->new->devmem, current->mm, a->addr,
					    a->addr + c->size, &details);
	mmap_read_unlock(current->mm);

	return err;
}

/* The first page of that VRAM is no hole. */
static void pull_from_0_test(struct kunit *test)
{
	const struct at_0_case *c = test->param_value;
	struct at_0 a;

	at_0_init(test, &a, MOCK_INTERCONNECT_AT_0);
	KUNIT_EXPECT_EQ(test, 0, at_0_pull(test, &a));
	KUNIT_EXPECT_EQ(test, a.to->cleared, 0ul);
	KUNIT_EXPECT_EQ(test, a.to->pulled, c->size);
	KUNIT_EXPECT_EQ(test, a.from->mapped, 0ul);
	KUNIT_EXPECT_TRUE(test, a.old->released);
	pagemap_mock_check(test, a.addr, c->size, SEED);
}

/* One that nobody can tell from a hole is refused, and nothing is lost. */
static void pull_refused_test(struct kunit *test)
{
	const struct at_0_case *c = test->param_value;
	struct at_0 a;

	at_0_init(test, &a, DRM_INTERCONNECT_SYSTEM);
	KUNIT_EXPECT_EQ(test, -ENOMEM, at_0_pull(test, &a));
	KUNIT_EXPECT_EQ(test, a.to->cleared, 0ul);
	KUNIT_EXPECT_EQ(test, a.from->mapped, 0ul);
	KUNIT_EXPECT_TRUE(test, a.new->released);
	KUNIT_EXPECT_FALSE(test, a.old->released);
	pagemap_mock_check(test, a.addr, c->size, SEED);
}

#ifdef CONFIG_NUMA

/* Puts the thread on a CPU of a node. */
static void node_go(struct kunit *test, int nid)
{
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current,
						      cpumask_of_node(nid)));
	KUNIT_ASSERT_EQ(test, numa_mem_id(), nid);
}

static void node_undo(void *unused)
{
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

/* The first two nodes that have both memory and CPUs. */
static void node_find(struct kunit *test, int *node)
{
	int nid, found = 0;

	for_each_node_state(nid, N_MEMORY)
		if (node_state(nid, N_CPU) && found < 2)
			node[found++] = nid;
	if (found < 2)
		kunit_skip(test, "needs two nodes with CPUs");
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, node_undo, NULL));
}

static int node_of(struct kunit *test, unsigned long addr)
{
	struct page *page;
	int nid;

	KUNIT_ASSERT_EQ(test, 1, get_user_pages_fast(addr, 1, 0, &page));
	nid = page_to_nid(page);
	put_page(page);

	return nid;
}

struct node_case {
	const char *name;
	bool policy;		/* of the VMA: the first node */
	bool peer;		/* by way of another device */
};

static const struct node_case node_cases[] = {
	{ "none" },
	{ "none, by way of a peer", .peer = true },
	{ "of the VMA", .policy = true },
};

KUNIT_ARRAY_PARAM_DESC(node, node_cases, name);

static void node_set_policy(struct kunit *test, unsigned long addr, int nid)
{
	/* One reference more than the VMA's, as it is nobody's to free. */
	static struct mempolicy policy;
	struct vm_area_struct *vma;

	policy = (struct mempolicy) {
		.refcnt = ATOMIC_INIT(2),
		.mode = MPOL_BIND,
		.nodes = nodemask_of_node(nid),
		.home_node = NUMA_NO_NODE,
	};
	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma)
		vma->vm_policy = &policy;
	mmap_write_unlock(current->mm);
	KUNIT_ASSERT_NOT_NULL(test, vma);
}

/*
 * What the GPU touched first comes home to where it was populated from, or to
 * where the owner wants it, wherever the one who evicts it is.
 */
static void node_test(struct kunit *test)
{
	const struct node_case *c = test->param_value;
	struct pagemap_mock *mock, *peer;
	struct pagemap_mock_chunk *chunk;
	unsigned long addr, size = 4 * PAGE_SIZE;
	int node[2];

	node_find(test, node);
	mock = pagemap_mock_create(test);
	peer = pagemap_mock_create_peer(test, mock);
	addr = pagemap_mock_mmap(test, size, false);
	if (c->policy)
		node_set_policy(test, addr, node[0]);

	node_go(test, node[1]);
	chunk = pagemap_mock_chunk(test, mock, size);
	KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
						      addr + size, 0));
	node_go(test, node[0]);
	if (c->peer) {
		chunk = pagemap_mock_chunk(test, peer, size);
		KUNIT_ASSERT_EQ(test, 0, pagemap_mock_migrate(test, chunk, addr,
							      addr + size, 0));
	}
	if (c->policy)
		node_go(test, node[1]);
	KUNIT_EXPECT_EQ(test, 0, drm_pagemap_evict_to_ram(&chunk->devmem));
	KUNIT_EXPECT_EQ(test, node_of(test, addr), node[!c->policy]);
}

#else

static const struct at_0_case no_nodes[] = { { "none" } };

KUNIT_ARRAY_PARAM_DESC(node, no_nodes, name);

static void node_test(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_NUMA");
}

#endif

/* A reference that another thread has to the test's memory, for a while. */
static struct mm_struct *late_mm;

static void late_mmput(struct work_struct *work)
{
	mmput(late_mm);
}

static DECLARE_DELAYED_WORK(late_work, late_mmput);

/*
 * KUnit goes on to the cleanup as soon as the test's thread lets go of its
 * memory, before that is gone. The pages in VRAM have to find all that is theirs.
 */
static void late_exit_test(struct kunit *test)
{
	struct pagemap_mock *mock = pagemap_mock_create(test);

	pagemap_mock_piece(test, mock, SZ_64K, SEED);
	late_mm = current->mm;
	mmget(late_mm);
	queue_delayed_work(mock->wq, &late_work, msecs_to_jiffies(200));
}

static struct kunit_case devmem_cases[] = {
	KUNIT_CASE(page_to_devmem_test),
	KUNIT_CASE(late_exit_test),
	KUNIT_CASE(free_order_test),
	KUNIT_CASE_PARAM(pull_from_0_test, at_0_gen_params),
	KUNIT_CASE_PARAM(pull_refused_test, at_0_gen_params),
	KUNIT_CASE_PARAM(node_test, node_gen_params),
	{}
};

static struct kunit_suite devmem_suite = {
	.name = "drm_pagemap_devmem",
	.test_cases = devmem_cases,
};

kunit_test_suite(devmem_suite);

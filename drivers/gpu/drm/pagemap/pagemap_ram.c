// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * RAM for an eviction. It comes without a VMA, from whoever needs VRAM: so no
 * OOM kill, and not the cpuset or the policy of that process; the node is the
 * one that the content came from, or that its owner asked for.
 *
 * A block in VRAM needs a block in RAM, which may be hard to find exactly when
 * memory is short:
 *
 *   the page allocator
 *   the reserve     one per pagemap that has blocks. Before the next, because
 *                   it costs nothing
 *   made            by moving other memory away. It looks at all of memory,
 *                   while the caller waits for VRAM with its locks held
 *
 * and if there is none, the block in VRAM is split; see pagemap_split.c.
 *
 * The reserve is refilled by one work item for all pagemaps. It allocates first
 * and looks then, under a lock, which pagemap wants the block: so it holds no
 * reference, a pagemap may go in any context meanwhile, and just this module
 * must wait for it.
 */
#include <kunit/visibility.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mempolicy.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "pagemap_budget.h"
#include "pagemap_inject.h"
#include "pagemap_internal.h"
#include "pagemap_report.h"

/*
 * How long the refill waits, and so how often it tries where memory is too
 * fragmented for a block: too seldom to be felt.
 */
#define PAGEMAP_REFILL_DELAY	(HZ / 10)

static DEFINE_SPINLOCK(pagemap_reserve_lock);
static LIST_HEAD(pagemap_reserve_wanted);	/* under pagemap_reserve_lock */

static struct folio *pagemap_ram_alloc(int nid, unsigned int order, gfp_t gfp)
{
	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	gfp &= ~__GFP_HARDWALL;

	return __folio_alloc(gfp | __GFP_RETRY_MAYFAIL | __GFP_NOWARN, order,
			     nid, NULL);
}

/**
 * pagemap_ram_page() - a page in RAM for an evicted one
 * @nid: node, or NUMA_NO_NODE
 *
 * Return: the folio, or NULL.
 */
struct folio *pagemap_ram_page(int nid)
{
	if (pagemap_inject(PAGEMAP_INJECT_RAM_PAGE))
		return NULL;

	return pagemap_ram_alloc(nid, 0, GFP_HIGHUSER_MOVABLE);
}

static struct folio *pagemap_ram_make_block(int nid)
{
	struct page *page = NULL;

	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();

#ifdef CONFIG_CONTIG_ALLOC
	page = alloc_contig_frozen_pages(1UL << PAGEMAP_PMD_ORDER,
					 GFP_KERNEL | __GFP_COMP | __GFP_NOWARN,
					 nid, NULL);
#endif
	if (!page)
		return NULL;

	set_page_count(page, 1);
	folio_set_large_rmappable(page_folio(page));

	return page_folio(page);
}

/* What is free already; with time left, what reclaim and compaction make free. */
gfp_t pagemap_ram_block_gfp(const struct drm_pagemap_budget *budget)
{
	return pagemap_budget_left(budget) ? GFP_TRANSHUGE : GFP_TRANSHUGE_LIGHT;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_ram_block_gfp);

static struct folio *pagemap_ram_free_block(int nid,
					    struct drm_pagemap_budget *budget)
{
	u64 began = ktime_get_ns();
	struct folio *folio;

	folio = pagemap_ram_alloc(nid, PAGEMAP_PMD_ORDER,
				  pagemap_ram_block_gfp(budget));
	pagemap_budget_spend(budget, began);

	return folio;
}

/**
 * pagemap_ram_block() - a block in RAM for an evicted one
 * @dpagemap: for its reserve
 * @nid: node, or NUMA_NO_NODE
 * @budget: for the time that it takes to make one
 *
 * Context: no folio locked, for memory may be moved.
 * Return: the folio, or NULL.
 */
struct folio *pagemap_ram_block(struct drm_pagemap *dpagemap, int nid,
				struct drm_pagemap_budget *budget)
{
	struct folio *folio = NULL;

	if (!pagemap_inject(PAGEMAP_INJECT_RAM_BLOCK))
		folio = pagemap_ram_free_block(nid, budget);
	if (folio)
		return folio;

	if (!pagemap_inject(PAGEMAP_INJECT_RAM_BLOCK))
		folio = xchg(&dpagemap->priv->reserve, NULL);
	if (folio) {
		pagemap_count(dpagemap, PAGEMAP_STAT_BLOCK_RESERVE, 1);
		pagemap_reserve_want(dpagemap);
		return folio;
	}

	if (pagemap_budget_left(budget) && !pagemap_budget_killed(budget) &&
	    !pagemap_inject(PAGEMAP_INJECT_RAM_BLOCK)) {
		u64 began = ktime_get_ns();

		folio = pagemap_ram_make_block(nid);
		pagemap_budget_spend(budget, began);
	}
	if (folio)
		pagemap_count(dpagemap, PAGEMAP_STAT_BLOCK_MADE, 1);

	return folio;
}

#ifdef CONFIG_NUMA

static int pagemap_policy_node(const struct mempolicy *policy)
{
	if (!policy)
		return NUMA_NO_NODE;
	if (policy->home_node != NUMA_NO_NODE)
		return policy->home_node;

	return nodes_empty(policy->nodes) ? NUMA_NO_NODE :
					    first_node(policy->nodes);
}

/* A process has its policy to itself, but for those of its VMAs. */
static int pagemap_owner_node(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);

	if (vma && vma->vm_policy)
		return pagemap_policy_node(vma->vm_policy);

	return mm == current->mm ? pagemap_policy_node(current->mempolicy) :
				   NUMA_NO_NODE;
}

#else

static int pagemap_owner_node(struct mm_struct *mm, unsigned long addr)
{
	return NUMA_NO_NODE;
}

#endif

/**
 * pagemap_ram_node() - where memory that never was in RAM is to come home to
 * @mm: process that it belongs to
 * @addr: address of the first page
 *
 * The first node of the policy of the VMA, or of the process if it is the one
 * that asks; otherwise a node near the CPU that populates, as if the GPU's access
 * had been one of that CPU.
 *
 * Context: mmap lock held.
 * Return: a node.
 */
int pagemap_ram_node(struct mm_struct *mm, unsigned long addr)
{
	int nid = pagemap_owner_node(mm, addr);

	return nid == NUMA_NO_NODE ? numa_mem_id() : nid;
}

/* Give the block to the first pagemap that waits for one. */
static struct folio *pagemap_reserve_give(struct folio *folio)
{
	struct drm_pagemap_private *priv;

	guard(spinlock_irqsave)(&pagemap_reserve_lock);

	priv = list_first_entry_or_null(&pagemap_reserve_wanted,
					struct drm_pagemap_private,
					reserve_link);
	if (!priv)
		return folio;
	list_del_init(&priv->reserve_link);

	return xchg(&priv->reserve, folio);
}

/* They come again, when they have or had another block. */
static void pagemap_reserve_give_up(void)
{
	struct drm_pagemap_private *priv, *next;

	guard(spinlock_irqsave)(&pagemap_reserve_lock);

	list_for_each_entry_safe(priv, next, &pagemap_reserve_wanted,
				 reserve_link)
		list_del_init(&priv->reserve_link);
}

/* It is kept for long, where it cannot be moved: so no movable memory. */
static void pagemap_reserve_refill(struct work_struct *work)
{
	while (!list_empty_careful(&pagemap_reserve_wanted)) {
		struct folio *folio =
			pagemap_ram_alloc(NUMA_NO_NODE, PAGEMAP_PMD_ORDER,
					  GFP_TRANSHUGE & ~__GFP_MOVABLE);

		if (!folio)
			folio = pagemap_ram_make_block(NUMA_NO_NODE);
		if (!folio) {
			pagemap_reserve_give_up();
			return;
		}

		folio = pagemap_reserve_give(folio);
		if (folio)
			folio_put(folio);
	}
}

static DECLARE_DELAYED_WORK(pagemap_reserve_work, pagemap_reserve_refill);

/**
 * pagemap_reserve_want() - have a block in reserve soon
 * @dpagemap: that has blocks now, and will have to evict them
 *
 * Context: any.
 */
void pagemap_reserve_want(struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_private *priv = dpagemap->priv;

	if (READ_ONCE(priv->reserve))
		return;

	scoped_guard(spinlock_irqsave, &pagemap_reserve_lock)
		if (list_empty(&priv->reserve_link))
			list_add_tail(&priv->reserve_link,
				      &pagemap_reserve_wanted);
	queue_delayed_work(system_dfl_wq, &pagemap_reserve_work,
			   PAGEMAP_REFILL_DELAY);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_reserve_want);

/**
 * pagemap_reserve_drop() - give the reserve back
 * @priv: of a pagemap that has no pages; it may want one again
 *
 * Context: any.
 */
void pagemap_reserve_drop(struct drm_pagemap_private *priv)
{
	struct folio *folio;

	scoped_guard(spinlock_irqsave, &pagemap_reserve_lock)
		list_del_init(&priv->reserve_link);

	folio = xchg(&priv->reserve, NULL);
	if (folio)
		folio_put(folio);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_reserve_drop);

/* All pagemaps are gone, but the work may be on its way to find that out. */
void pagemap_reserve_exit(void)
{
	cancel_delayed_work_sync(&pagemap_reserve_work);
}

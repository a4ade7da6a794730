// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * RAM for an eviction. It comes without a VMA, from whoever needs VRAM: so no
 * OOM kill, and not the cpuset or the policy of that process; the node is the
 * one that the content came from, or that its owner asked for.
 *
 * A block in VRAM needs a block in RAM, which may be hard to find exactly when
 * memory is short. The page allocator may reclaim and compact for one, within the
 * budget of the operation; if there is none, the block in VRAM is split; see
 * pagemap_split.c. More than that was measured, and is not worth it: see
 * Documentation/gpu/drm-pagemap.rst.
 */
#include <kunit/visibility.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mempolicy.h>

#include "pagemap_budget.h"
#include "pagemap_inject.h"
#include "pagemap_internal.h"

static struct folio *pagemap_ram_alloc(int nid, unsigned int order, gfp_t gfp)
{
	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();
	gfp &= ~__GFP_HARDWALL;

	return __folio_alloc(gfp | __GFP_NOWARN, order, nid, NULL);
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

	return pagemap_ram_alloc(nid, 0,
				 GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL);
}

/*
 * What is free already; with time left, what reclaim and compaction make free in
 * one attempt that waits for no page. To insist finds no more blocks, and may take
 * far longer.
 */
gfp_t pagemap_ram_block_gfp(const struct drm_pagemap_budget *budget)
{
	return pagemap_budget_left(budget) ? GFP_TRANSHUGE | __GFP_NORETRY :
					     GFP_TRANSHUGE_LIGHT;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_ram_block_gfp);

/**
 * pagemap_ram_block() - a block in RAM for an evicted one
 * @nid: node, or NUMA_NO_NODE
 * @budget: for the time that it takes to make one
 *
 * Context: no folio locked, for memory may be moved.
 * Return: the folio, or NULL.
 */
struct folio *pagemap_ram_block(int nid, struct drm_pagemap_budget *budget)
{
	u64 began = ktime_get_ns();
	struct folio *folio;

	if (pagemap_inject(PAGEMAP_INJECT_RAM_BLOCK))
		return NULL;

	folio = pagemap_ram_alloc(nid, PAGEMAP_PMD_ORDER,
				  pagemap_ram_block_gfp(budget));
	pagemap_budget_spend(budget, began);

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

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Address translation of a compute queue: a walk of four levels of tables in
 * VRAM, and a TLB that remembers the leaves it found.
 *
 *   va ── small TLB ── large TLB ── walk ──> leaf ──> aperture and address
 *
 * A hit never looks at memory, so that a driver that forgets an invalidation
 * works with old translations, as it would on silicon. The one exception is an
 * access that the leaf does not permit, which walks again: hardware does so in
 * order that a page can be given permissions without an invalidation.
 *
 * The queue's lock is held from the translation to the end of the accesses
 * that use it. SET_ROOT and TLB_INVALIDATE take the same lock, so once one of
 * them completes, no access by an older translation is under way or to come,
 * and the driver may free the pages. The wait ends: the holder has a slice of
 * bounded length to do, takes no other lock, calls nothing of the driver but
 * dma() and peer(), which do not sleep, and lets go of the lock before it
 * stalls on a fault or raises an interrupt. Then it is the waiter's turn, not
 * the next slice's: see struct vsvm_hw_lock. So a command takes no longer than
 * one slice of each queue, whatever the queues have to do.
 */
#include "vsvm_hw_priv.h"

void vsvm_hw_mmu_init(struct vsvm_hw_queue *q)
{
	vsvm_hw_lock_init(&q->lock);
	q->root = VSVM_HW_NO_ROOT;
}

void vsvm_hw_mmu_fini(struct vsvm_hw_queue *q)
{
	vsvm_hw_lock_fini(&q->lock);
}

static void tlb_clear(struct vsvm_hw_queue *q)
{
	memset(q->small, 0, sizeof(q->small));
	memset(q->large, 0, sizeof(q->large));
}

/* Forget all translations of @q, once those in use have been used. */
void vsvm_hw_tlb_drop(struct vsvm_hw_queue *q)
{
	vsvm_hw_lock(&q->lock);
	tlb_clear(q);
	vsvm_hw_unlock(&q->lock);
}

static u64 tlb_tag(u64 va, unsigned int shift)
{
	return (va >> shift) << 1 | 1;
}

static struct vsvm_hw_tlb_entry *tlb_slot(struct vsvm_hw_queue *q, u64 va,
					  unsigned int shift)
{
	const u64 page = va >> shift;

	return shift == VSVM_HW_PAGE_SHIFT ?
	       &q->small[page % VSVM_HW_TLB_SMALL] :
	       &q->large[page % VSVM_HW_TLB_LARGE];
}

/* The leaf for @va and its size, or 0. */
static u64 tlb_find(struct vsvm_hw_queue *q, u64 va, unsigned int *shift)
{
	struct vsvm_hw_tlb_entry *entry;

	*shift = VSVM_HW_PAGE_SHIFT;
	entry = tlb_slot(q, va, *shift);
	if (entry->tag == tlb_tag(va, *shift))
		return entry->pte;
	*shift = VSVM_HW_LARGE_SHIFT;
	entry = tlb_slot(q, va, *shift);
	if (entry->tag == tlb_tag(va, *shift))
		return entry->pte;
	return 0;
}

static void tlb_insert(struct vsvm_hw_queue *q, u64 va, u64 pte,
		       unsigned int shift)
{
	struct vsvm_hw_tlb_entry *entry = tlb_slot(q, va, shift);

	entry->tag = tlb_tag(va, shift);
	entry->pte = pte;
}

static void tlb_forget(struct vsvm_hw_tlb_entry *entry, unsigned int num,
		       unsigned int shift, u64 first, u64 last)
{
	unsigned int i;
	u64 page;

	for (i = 0; i < num; i++) {
		page = entry[i].tag >> 1;
		if (page >= first >> shift && page <= last >> shift)
			entry[i].tag = 0;
	}
}

/*
 * The queues that SET_ROOT or TLB_INVALIDATE is for: *@num of them from the one
 * returned on, or NULL if there are not that many.
 */
static struct vsvm_hw_queue *group_of(struct vsvm_hw *hw,
				      const struct vsvm_hw_cmd *cmd, u64 *num)
{
	*num = cmd->src ? cmd->src : 1;
	if (cmd->arg >= VSVM_HW_NUM_QUEUES || *num > VSVM_HW_NUM_QUEUES - cmd->arg)
		return NULL;
	return &hw->queue[cmd->arg];
}

/* TLB_INVALIDATE. A range that runs past the end of the space ends there. */
u32 vsvm_hw_tlb_invalidate(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_queue *q;
	u64 last = cmd->dst + cmd->len - 1;
	u64 num;

	q = group_of(hw, cmd, &num);
	if (!q)
		return VSVM_HW_ERR_CMD;
	if (!cmd->len)
		return VSVM_HW_OK;
	if (last < cmd->dst)
		last = ~0ull;
	for (; num; num--, q++) {
		vsvm_hw_lock(&q->lock);
		tlb_forget(q->small, VSVM_HW_TLB_SMALL, VSVM_HW_PAGE_SHIFT,
			   cmd->dst, last);
		tlb_forget(q->large, VSVM_HW_TLB_LARGE, VSVM_HW_LARGE_SHIFT,
			   cmd->dst, last);
		vsvm_hw_unlock(&q->lock);
	}
	return VSVM_HW_OK;
}

/* SET_ROOT. Also drops the queues' TLBs. */
u32 vsvm_hw_set_root(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_queue *q;
	u64 len = VSVM_HW_PAGE_SIZE;
	void *table;
	u32 status;
	u64 num;

	q = group_of(hw, cmd, &num);
	if (!q)
		return VSVM_HW_ERR_CMD;
	if (cmd->dst != VSVM_HW_NO_ROOT) {
		if (cmd->dst & (VSVM_HW_PAGE_SIZE - 1))
			return VSVM_HW_ERR_CMD;
		status = vsvm_hw_resolve(hw, VSVM_HW_VRAM, cmd->dst, &table, &len);
		if (status)
			return status;
	}
	for (; num; num--, q++) {
		vsvm_hw_lock(&q->lock);
		q->root = cmd->dst;
		tlb_clear(q);
		vsvm_hw_unlock(&q->lock);
	}
	return VSVM_HW_OK;
}

/* Reads the leaf for @va from memory. A valid one goes to the TLB. */
static u32 walk(struct vsvm_hw_queue *q, u64 va, u64 *pte, unsigned int *shift)
{
	u64 table = q->root;
	int level;

	if (table == VSVM_HW_NO_ROOT)
		return VSVM_HW_FAULT;
	for (level = VSVM_PT_LEVELS - 1; ; level--) {
		u64 len = sizeof(u64);
		void *entry;
		u32 status;

		status = vsvm_hw_resolve(q->hw, VSVM_HW_VRAM,
					 table + VSVM_PT_INDEX(va, level) * 8ull,
					 &entry, &len);
		if (status)
			return status;
		*pte = READ_ONCE(*(u64 *)entry);
		if (!(*pte & VSVM_PTE_VALID))
			return VSVM_HW_FAULT;
		if (!level || (level == 1 && (*pte & VSVM_PTE_LARGE)))
			break;
		table = *pte & VSVM_PTE_ADDR_MASK;
	}
	*shift = VSVM_PT_SHIFT(level);
	tlb_insert(q, va, *pte, *shift);
	return VSVM_HW_OK;
}

/* What a leaf must have for an access of kind @access. */
static u64 bits_for(u32 access)
{
	switch (access) {
	case VSVM_HW_READ:
		return 0;
	case VSVM_HW_WRITE:
		return VSVM_PTE_WRITE;
	}
	return VSVM_PTE_WRITE | VSVM_PTE_ATOMIC;
}

/**
 * vsvm_hw_translate - pointer to the memory behind a virtual address
 * @q: the queue, locked
 * @va: virtual address
 * @access: VSVM_HW_READ, VSVM_HW_WRITE or VSVM_HW_ATOMIC
 * @ptr: gets the pointer, good while the lock is held
 * @len: bytes wanted, not 0. Gets the bytes that @ptr is good for: at most to
 *	the end of the leaf.
 *
 * Leaves @va and @access in the queue's kernel, for a fault record.
 *
 * Return: an enum vsvm_hw_status, or VSVM_HW_FAULT if there is no leaf that
 * permits the access.
 */
u32 vsvm_hw_translate(struct vsvm_hw_queue *q, u64 va, u32 access,
		      void **ptr, u64 *len)
{
	const u64 need = bits_for(access);
	unsigned int aperture, shift;
	u64 pte, offset, addr;
	u32 status;

	q->kernel.address = va;
	q->kernel.access = access;
	if (va >> VSVM_VA_BITS)
		return VSVM_HW_FAULT;

	pte = tlb_find(q, va, &shift);
	if (!pte || (need & ~pte)) {
		status = walk(q, va, &pte, &shift);
		if (status)
			return status;
	}
	if (need & ~pte)
		return VSVM_HW_FAULT;

	offset = va & ((1ull << shift) - 1);
	aperture = (pte & VSVM_PTE_APERTURE_MASK) >> VSVM_PTE_APERTURE_SHIFT;
	addr = pte & VSVM_PTE_ADDR_MASK;
	if (addr & ((1ull << shift) - 1))
		return VSVM_HW_ERR_CMD;
	if (aperture == VSVM_HW_PEER)
		addr |= pte & ~VSVM_HW_PEER_OFFSET;
	*len = min(*len, (1ull << shift) - offset);
	return vsvm_hw_resolve(q->hw, aperture, addr + offset, ptr, len);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * VRAM and the two other kinds of memory that an engine reaches, and the
 * sanitizer of VRAM: a page that the driver has not marked as in use holds
 * poison, and an engine that comes across one reports an error instead of
 * data.
 */
#include "vsvm_hw_priv.h"

static u64 vram_pages(const struct vsvm_hw *hw)
{
	return hw->vram_size >> VSVM_HW_PAGE_SHIFT;
}

int vsvm_hw_vram_init(struct vsvm_hw *hw, bool sanitize)
{
	if (!sanitize)
		return 0;
	hw->in_use = vsvm_hw_alloc(vram_pages(hw));
	if (!hw->in_use)
		return -ENOMEM;
	memset(hw->vram, VSVM_HW_POISON, hw->vram_size);
	return 0;
}

void vsvm_hw_vram_fini(struct vsvm_hw *hw)
{
	vsvm_hw_free(hw->in_use);
}

/* Bytes from @addr on that are in pages in use, @len at most. */
static u64 bytes_in_use(const struct vsvm_hw *hw, u64 addr, u64 len)
{
	u64 page = addr >> VSVM_HW_PAGE_SHIFT;
	u64 end = addr + len;

	while (page << VSVM_HW_PAGE_SHIFT < end && READ_ONCE(hw->in_use[page]))
		page++;
	return page << VSVM_HW_PAGE_SHIFT <= addr ? 0 :
	       min(len, (page << VSVM_HW_PAGE_SHIFT) - addr);
}

static u32 resolve_vram(struct vsvm_hw *hw, u64 addr, void **ptr, u64 *len)
{
	if (addr >= hw->vram_size)
		return VSVM_HW_ERR_VRAM;
	*len = min(*len, hw->vram_size - addr);
	if (hw->in_use) {
		*len = bytes_in_use(hw, addr, *len);
		if (!*len)
			return VSVM_HW_ERR_FREE;
	}
	*ptr = hw->vram + addr;
	return VSVM_HW_OK;
}

/**
 * vsvm_hw_resolve - pointer to memory of any kind
 * @hw: the hardware
 * @aperture: enum vsvm_hw_aperture; may be any number
 * @addr: address in it; that of a peer has the peer's number in its top byte
 * @ptr: gets the pointer
 * @len: bytes wanted, not 0. Gets the bytes that @ptr is good for, not 0: the
 *	caller comes back for the rest.
 *
 * Return: an enum vsvm_hw_status.
 */
u32 vsvm_hw_resolve(struct vsvm_hw *hw, unsigned int aperture, u64 addr,
		    void **ptr, u64 *len)
{
	struct vsvm_hw *peer;
	u64 good = *len;

	switch (aperture) {
	case VSVM_HW_VRAM:
		return resolve_vram(hw, addr, ptr, len);
	case VSVM_HW_SYSTEM:
		*ptr = hw->host.dma(hw->priv, addr, &good);
		if (!*ptr || !good)
			return VSVM_HW_ERR_DMA;
		*len = min(*len, good);
		return VSVM_HW_OK;
	case VSVM_HW_PEER:
		peer = hw->host.peer ?
		       hw->host.peer(hw->priv, addr >> VSVM_PTE_PEER_SHIFT) : NULL;
		if (!peer)
			return VSVM_HW_ERR_PEER;
		return resolve_vram(peer, addr & VSVM_HW_PEER_OFFSET, ptr, len);
	}
	return VSVM_HW_ERR_CMD;
}

/*
 * MARK. A page keeps its poison when it comes into use: who reads it before
 * anyone wrote it shall notice. Told to stop, it begins anew later; of VRAM of
 * some GiB it takes longer than anyone waits for an engine that stops.
 */
u32 vsvm_hw_mark(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd)
{
	const u64 first = cmd->dst >> VSVM_HW_PAGE_SHIFT;
	const u64 num = cmd->len >> VSVM_HW_PAGE_SHIFT;
	u64 i;

	if ((cmd->dst | cmd->len) & (VSVM_HW_PAGE_SIZE - 1))
		return VSVM_HW_ERR_CMD;
	if (first > vram_pages(hw) || num > vram_pages(hw) - first)
		return VSVM_HW_ERR_VRAM;
	if (!hw->in_use)
		return VSVM_HW_OK;
	for (i = first; i < first + num; i++) {
		if (READ_ONCE(hw->engine[VSVM_HW_PAGING].stop))
			return VSVM_HW_WAIT;
		WRITE_ONCE(hw->in_use[i], cmd->arg ? 1 : 0);
		if (cmd->arg)
			continue;
		memset(hw->vram + (i << VSVM_HW_PAGE_SHIFT), VSVM_HW_POISON,
		       VSVM_HW_PAGE_SIZE);
		vsvm_hw_relax(hw);
	}
	return VSVM_HW_OK;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * COPY and FILL, on the two copy channels and on the paging channel.
 *
 * Ranges that overlap give no defined content, but do no harm. A command that
 * fails half-way has done its first part, as with any DMA.
 *
 * The copy channels may have a bandwidth and a latency: a command waits so long
 * before its first byte, and after each slice until the bandwidth allows for
 * what it has moved. The paging channel, which the CPU waits for under locks,
 * has none.
 */
#include "vsvm_hw_priv.h"

/*
 * Whole entries at a time: the paging channel writes page tables that queues
 * walk at the same moment, and half an entry would lead them anywhere.
 */
static void copy_words(u64 *dst, const u64 *src, u64 num)
{
	u64 i;

	for (i = 0; i < num; i++)
		WRITE_ONCE(dst[i], READ_ONCE(src[i]));
}

static void fill_words(u64 *dst, u64 num, u64 value, u64 step)
{
	u64 i;

	for (i = 0; i < num; i++, value += step)
		WRITE_ONCE(dst[i], value);
}

static bool is_words(const void *dst, const void *src, u64 len)
{
	return !(((unsigned long)dst | (unsigned long)src | len) & 7);
}

static bool is_one_byte(u64 value)
{
	return value == (value & 0xff) * 0x0101010101010101ull;
}

static void do_span(struct vsvm_hw_engine *e, const struct vsvm_hw_cmd *cmd,
		    u64 done, void *dst, const void *src, u64 len)
{
	const bool paging = e->id == VSVM_HW_PAGING;

	if (cmd->op == VSVM_HW_COPY) {
		if (paging && is_words(dst, src, len))
			copy_words(dst, src, len / 8);
		else
			memmove(dst, src, len);
	} else if (!paging && !cmd->src && is_one_byte(cmd->arg)) {
		memset(dst, cmd->arg & 0xff, len);
	} else {
		fill_words(dst, len / 8, cmd->arg + done / 8 * cmd->src, cmd->src);
	}
}

/*
 * A wrong range of VRAM touches nothing at all. System addresses show only on
 * the way whether they can be reached.
 */
static u32 check_range(struct vsvm_hw *hw, unsigned int aperture, u64 addr,
		       u64 len)
{
	switch (aperture) {
	case VSVM_HW_VRAM:
		return addr > hw->vram_size || len > hw->vram_size - addr ?
		       VSVM_HW_ERR_VRAM : VSVM_HW_OK;
	case VSVM_HW_SYSTEM:
		return VSVM_HW_OK;
	case VSVM_HW_PEER:
		/* Must not carry into the peer's number. */
		return len > VSVM_HW_PEER_OFFSET - (addr & VSVM_HW_PEER_OFFSET) ?
		       VSVM_HW_ERR_VRAM : VSVM_HW_OK;
	}
	return VSVM_HW_ERR_CMD;
}

static u32 check_command(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd,
			 u64 *result)
{
	u32 status;

	*result = cmd->dst;
	if (cmd->op == VSVM_HW_FILL && ((cmd->dst | cmd->len) & 7))
		return VSVM_HW_ERR_CMD;
	status = check_range(hw, VSVM_HW_DST_GET(cmd->flags), cmd->dst, cmd->len);
	if (status || cmd->op == VSVM_HW_FILL)
		return status;
	*result = cmd->src;
	return check_range(hw, VSVM_HW_SRC_GET(cmd->flags), cmd->src, cmd->len);
}

/* Does up to *@len bytes at offset @done, and returns in *@len how many. */
static u32 copy_step(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		     const struct vsvm_hw_cmd *cmd, u64 done, u64 *len,
		     u64 *result)
{
	void *dst, *src = NULL;
	u32 status;

	*result = cmd->dst + done;
	status = vsvm_hw_resolve(hw, VSVM_HW_DST_GET(cmd->flags),
				 cmd->dst + done, &dst, len);
	if (status)
		return status;
	if (cmd->op == VSVM_HW_COPY) {
		*result = cmd->src + done;
		status = vsvm_hw_resolve(hw, VSVM_HW_SRC_GET(cmd->flags),
					 cmd->src + done, &src, len);
		if (status)
			return status;
	} else {
		*len &= ~7ull;
		if (!*len)
			return VSVM_HW_ERR_DMA;
	}
	do_span(e, cmd, done, dst, src, *len);
	return VSVM_HW_OK;
}

/* When the model lets a command be where it is. */
struct pace {
	bool used;
	u64 due;	/* time in ns */
	u64 rest;	/* fraction of it, in parts of a byte's rate */
};

static void pace_begin(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		       struct pace *p)
{
	p->used = e->id != VSVM_HW_PAGING && (hw->copy_rate || hw->copy_latency);
	p->rest = 0;
	p->due = p->used ? hw->host.now(hw->priv) + hw->copy_latency : 0;
}

/* @len is one slice at most: no overflow. */
static void pace_moved(struct vsvm_hw *hw, struct pace *p, u64 len)
{
	if (!p->used || !hw->copy_rate)
		return;
	p->rest += len * 1000000000ull;
	p->due += p->rest / hw->copy_rate;
	p->rest %= hw->copy_rate;
}

static u32 interrupted(struct vsvm_hw_engine *e)
{
	if (READ_ONCE(e->stop))
		return VSVM_HW_WAIT;
	return vsvm_hw_cancelled(e) ? VSVM_HW_ERR_CANCELLED : VSVM_HW_OK;
}

static u32 pace_wait(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		     const struct pace *p)
{
	u32 status = VSVM_HW_OK;
	u64 now;

	while (p->used && !status) {
		now = hw->host.now(hw->priv);
		if (now >= p->due)
			break;
		hw->host.sleep(hw->priv, min(p->due - now, VSVM_HW_MAX_SLEEP_NS));
		status = interrupted(e);
	}
	return status;
}

/**
 * vsvm_hw_copy - execute COPY or FILL
 * @hw: the hardware
 * @e: engine of a ring other than a compute queue's
 * @cmd: the command
 * @result: gets the address that failed
 *
 * Return: an enum vsvm_hw_status, or VSVM_HW_WAIT if told to stop; the command
 * then starts anew.
 */
u32 vsvm_hw_copy(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		 const struct vsvm_hw_cmd *cmd, u64 *result)
{
	struct pace p;
	u64 done = 0, len;
	u32 status;

	status = check_command(hw, cmd, result);
	if (status)
		return status;
	pace_begin(hw, e, &p);
	for (;;) {
		status = pace_wait(hw, e, &p);
		if (status || done == cmd->len)
			break;
		len = min(cmd->len - done, VSVM_HW_COPY_SLICE);
		status = copy_step(hw, e, cmd, done, &len, result);
		if (status)
			return status;
		done += len;
		pace_moved(hw, &p, len);
		if (done == cmd->len)
			continue;
		vsvm_hw_relax(hw);
		status = interrupted(e);
		if (status)
			break;
	}
	*result = 0;
	return status;
}

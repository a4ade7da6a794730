// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The compute queues. A kernel runs in slices, and keeps in struct
 * vsvm_hw_kernel all it needs to go on. An access without translation ends
 * the run: the queue stalls, and a later run, after a replay, goes on at that
 * very access.
 *
 *   start -> step -> step -- fault -> stalled -- replay -> step -> done
 *               `---- cancel ------------'----> CANCELLED
 *
 * Every access is translated before anything is written, and progress is
 * counted right after the write, so that nothing is applied twice.
 */
#include "vsvm_hw_priv.h"

#define LOW_BYTES	0x00ff00ff00ff00ffull
#define LOW_HALVES	0x0000ffff0000ffffull
#define ALL_BYTES	0x0101010101010101ull
#define TOP_BITS	0x8080808080808080ull

static u64 load_word(const u8 *p)
{
	u64 word;

	__builtin_memcpy(&word, p, sizeof(word));
	return word;
}

/* dst[i] = src[i] + add, eight at a time: no carry leaves a byte. */
static void add_bytes(u8 *dst, const u8 *src, u64 len, u8 add)
{
	const u64 adds = add * ALL_BYTES;
	u64 i, word;

	for (i = 0; i + 8 <= len; i += 8) {
		word = load_word(src + i);
		word = ((word & ~TOP_BITS) + (adds & ~TOP_BITS)) ^
		       ((word ^ adds) & TOP_BITS);
		__builtin_memcpy(dst + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		dst[i] = src[i] + add;
}

static void saxpy_words(u32 *dst, const u32 *src, u64 num, u32 factor)
{
	u64 i;

	for (i = 0; i < num; i++)
		dst[i] += factor * src[i];
}

/* Adds up 16-bit lanes: 128 words are what a lane has room for. */
static u64 sum_bytes(const u8 *src, u64 len)
{
	u64 i = 0, sum = 0;

	while (i + 8 <= len) {
		const u64 end = min(i + 128 * 8, len);
		u64 lanes = 0;

		for (; i + 8 <= end; i += 8) {
			const u64 word = load_word(src + i);

			lanes += (word & LOW_BYTES) + ((word >> 8) & LOW_BYTES);
		}
		lanes = (lanes & LOW_HALVES) + ((lanes >> 16) & LOW_HALVES);
		sum += (lanes & 0xffffffff) + (lanes >> 32);
	}
	for (; i < len; i++)
		sum += src[i];
	return sum;
}

/* Four counters per value, as equal neighbours would wait for each other. */
static void count_bytes(u32 (*lanes)[256], const u8 *src, u64 len)
{
	u64 i, word;

	for (i = 0; i + 8 <= len; i += 8) {
		word = load_word(src + i);
		lanes[0][word & 0xff]++;
		lanes[1][(word >> 8) & 0xff]++;
		lanes[2][(word >> 16) & 0xff]++;
		lanes[3][(word >> 24) & 0xff]++;
		lanes[0][(word >> 32) & 0xff]++;
		lanes[1][(word >> 40) & 0xff]++;
		lanes[2][(word >> 48) & 0xff]++;
		lanes[3][word >> 56]++;
	}
	for (; i < len; i++)
		lanes[0][src[i]]++;
}

static void flush_lanes(struct vsvm_hw_kernel *k)
{
	unsigned int i;

	for (i = 0; i < 256; i++)
		k->bins[i] += k->lanes[0][i] + k->lanes[1][i] +
			      k->lanes[2][i] + k->lanes[3][i];
	memset(k->lanes, 0, sizeof(k->lanes));
}

/* FILL, COPY, ADD, SAXPY: @len bytes that are whole elements. */
static void apply(const struct vsvm_hw_cmd *cmd, void *dst, const void *src,
		  u64 len)
{
	switch (cmd->op) {
	case VSVM_HW_K_FILL:
		memset(dst, cmd->arg & 0xff, len);
		break;
	case VSVM_HW_K_COPY:
		memmove(dst, src, len);
		break;
	case VSVM_HW_K_ADD:
		add_bytes(dst, src, len, cmd->arg & 0xff);
		break;
	case VSVM_HW_K_SAXPY:
		saxpy_words(dst, src, len / 4, (u32)cmd->arg);
		break;
	}
}

static u32 step_elements(struct vsvm_hw_queue *q)
{
	struct vsvm_hw_kernel *k = &q->kernel;
	const struct vsvm_hw_cmd *cmd = &k->cmd;
	const u64 size = cmd->op == VSVM_HW_K_SAXPY ? 4 : 1;
	u64 budget = VSVM_HW_KERNEL_SLICE;

	while (k->pos < cmd->len) {
		const u64 offset = k->pos * size;
		u64 len = min(budget / size, cmd->len - k->pos) * size;
		void *dst, *src = NULL;
		u32 status;

		if (!len)
			return VSVM_HW_MORE;
		status = vsvm_hw_translate(q, cmd->dst + offset, VSVM_HW_WRITE,
					   &dst, &len);
		if (!status && cmd->op != VSVM_HW_K_FILL)
			status = vsvm_hw_translate(q, cmd->src + offset,
						   VSVM_HW_READ, &src, &len);
		if (status)
			return status;
		len -= len % size;
		if (!len)
			return VSVM_HW_ERR_DMA;
		apply(cmd, dst, src, len);
		k->pos += len / size;
		budget -= len;
	}
	return VSVM_HW_OK;
}

/* Stores the @num words of a result, or what is left of them to store. */
static u32 store_result(struct vsvm_hw_queue *q, const u64 *words, u64 num)
{
	struct vsvm_hw_kernel *k = &q->kernel;

	while (k->out < num) {
		u64 len = (num - k->out) * 8;
		void *dst;
		u32 status;

		status = vsvm_hw_translate(q, k->cmd.dst + k->out * 8,
					   VSVM_HW_WRITE, &dst, &len);
		if (status)
			return status;
		if (len < 8)
			return VSVM_HW_ERR_DMA;
		memcpy(dst, words + k->out, len & ~7ull);
		k->out += len / 8;
	}
	return VSVM_HW_OK;
}

/* HISTOGRAM and SUM. */
static u32 step_reduce(struct vsvm_hw_queue *q)
{
	struct vsvm_hw_kernel *k = &q->kernel;
	const struct vsvm_hw_cmd *cmd = &k->cmd;
	u64 budget = VSVM_HW_KERNEL_SLICE;
	u32 status = VSVM_HW_OK;

	while (k->pos < cmd->len && !status) {
		u64 len = min(budget, cmd->len - k->pos);
		void *src;

		if (!len) {
			status = VSVM_HW_MORE;
			break;
		}
		status = vsvm_hw_translate(q, cmd->src + k->pos, VSVM_HW_READ,
					   &src, &len);
		if (status)
			break;
		if (cmd->op == VSVM_HW_K_SUM)
			k->sum += sum_bytes(src, len);
		else
			count_bytes(k->lanes, src, len);
		k->pos += len;
		budget -= len;
	}
	if (cmd->op == VSVM_HW_K_HISTOGRAM)
		flush_lanes(k);
	if (status)
		return status;
	return cmd->op == VSVM_HW_K_SUM ? store_result(q, &k->sum, 1) :
					  store_result(q, k->bins, 256);
}

static u32 load_field(struct vsvm_hw_queue *q, u64 va, u64 *value)
{
	u64 len = sizeof(u64);
	void *src;
	u32 status;

	q->kernel.address = va;
	if (va & 7)
		return VSVM_HW_ERR_CMD;
	status = vsvm_hw_translate(q, va, VSVM_HW_READ, &src, &len);
	if (status)
		return status;
	if (len < sizeof(u64))
		return VSVM_HW_ERR_DMA;
	*value = READ_ONCE(*(u64 *)src);
	return VSVM_HW_OK;
}

static u32 step_chase(struct vsvm_hw_queue *q)
{
	struct vsvm_hw_kernel *k = &q->kernel;
	const struct vsvm_hw_cmd *cmd = &k->cmd;
	unsigned int budget = VSVM_HW_CHASE_SLICE;
	u64 next, value, result[2];
	u32 status;

	while (k->node && (!cmd->len || k->pos < cmd->len)) {
		if (!budget--)
			return VSVM_HW_MORE;
		status = load_field(q, k->node, &next);
		if (!status)
			status = load_field(q, k->node + cmd->arg, &value);
		if (status)
			return status;
		k->node = next;
		k->sum += value;
		k->pos++;
	}
	result[0] = k->pos;
	result[1] = k->sum;
	return store_result(q, result, 2);
}

/*
 * One addition at a time, each by a translation of its own: the page may be
 * taken away between any two of them.
 */
static u32 step_atomic(struct vsvm_hw_queue *q)
{
	struct vsvm_hw_kernel *k = &q->kernel;
	const struct vsvm_hw_cmd *cmd = &k->cmd;
	unsigned int budget = VSVM_HW_ATOMIC_SLICE;

	while (k->pos < cmd->len) {
		u64 len = sizeof(u64);
		void *dst;
		u32 status;

		if (!budget--)
			return VSVM_HW_MORE;
		status = vsvm_hw_translate(q, cmd->dst, VSVM_HW_ATOMIC, &dst, &len);
		if (status)
			return status;
		if (len < sizeof(u64))
			return VSVM_HW_ERR_DMA;
		vsvm_hw_atomic_add(dst, cmd->arg);
		k->pos++;
	}
	return VSVM_HW_OK;
}

static u32 step_store(struct vsvm_hw_queue *q)
{
	const struct vsvm_hw_cmd *cmd = &q->kernel.cmd;
	u64 len = sizeof(u64);
	void *dst;
	u32 status;

	status = vsvm_hw_translate(q, cmd->dst, VSVM_HW_WRITE, &dst, &len);
	if (status)
		return status;
	if (len < sizeof(u64))
		return VSVM_HW_ERR_DMA;
	/* Release: who sees it sees what the commands before it wrote. */
	smp_store_release((u64 *)dst, cmd->arg);
	return VSVM_HW_OK;
}

static u32 step(struct vsvm_hw_queue *q)
{
	switch (q->kernel.cmd.op) {
	case VSVM_HW_K_HISTOGRAM:
	case VSVM_HW_K_SUM:
		return step_reduce(q);
	case VSVM_HW_K_CHASE:
		return step_chase(q);
	case VSVM_HW_K_ATOMIC_ADD:
		return step_atomic(q);
	case VSVM_HW_K_STORE:
		return step_store(q);
	default:
		return step_elements(q);
	}
}

/* Bits that must be 0 in the addresses of an element of each kernel. */
static u32 check_kernel(const struct vsvm_hw_cmd *cmd, u64 *result)
{
	u64 dst_bits = 0, src_bits = 0;

	switch (cmd->op) {
	case VSVM_HW_K_FILL:
	case VSVM_HW_K_COPY:
	case VSVM_HW_K_ADD:
		break;
	case VSVM_HW_K_SAXPY:
		dst_bits = 3;
		src_bits = 3;
		break;
	case VSVM_HW_K_HISTOGRAM:
	case VSVM_HW_K_SUM:
	case VSVM_HW_K_CHASE:
	case VSVM_HW_K_ATOMIC_ADD:
	case VSVM_HW_K_STORE:
		dst_bits = 7;
		break;
	default:
		return VSVM_HW_ERR_CMD;
	}
	*result = cmd->dst & dst_bits ? cmd->dst : cmd->src;
	return (cmd->dst & dst_bits) || (cmd->src & src_bits) ?
	       VSVM_HW_ERR_CMD : VSVM_HW_OK;
}

static void start(struct vsvm_hw_kernel *k, u32 index,
		  const struct vsvm_hw_cmd *cmd)
{
	k->cmd = *cmd;
	k->index = index;
	k->active = true;
	k->address = 0;
	k->pos = 0;
	k->out = 0;
	k->sum = 0;
	k->node = cmd->src;
	memset(k->bins, 0, sizeof(k->bins));
}

/*
 * Says that it is stalled before it says why, so that who reads the record
 * finds the queue waiting.
 */
static void stall(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		  struct vsvm_hw_kernel *k)
{
	const struct vsvm_hw_fault fault = {
		.address = k->address,
		.queue = e->id - VSVM_HW_QUEUE0,
		.access = k->access,
		.generation = READ_ONCE(e->ring->generation),
		.index = k->index,
	};

	k->stalled = true;
	WRITE_ONCE(e->ring->stalled, 1);
	vsvm_hw_fault_push(hw, &fault);
	hw->host.irq(hw->priv, VSVM_HW_VEC_FAULT);
}

static u32 run_kernel(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		      struct vsvm_hw_queue *q)
{
	struct vsvm_hw_kernel *k = &q->kernel;
	u32 status;

	for (;;) {
		if (READ_ONCE(e->stop))
			return VSVM_HW_WAIT;
		if (vsvm_hw_cancelled(e))
			return VSVM_HW_ERR_CANCELLED;
		/*
		 * Before the access: a replay that comes between the access
		 * and the stall then counts. Acquire: the replay's page tables.
		 */
		k->replay = smp_load_acquire(&e->ring->replay);
		vsvm_hw_lock(&q->lock);
		status = step(q);
		vsvm_hw_unlock(&q->lock);
		if (status != VSVM_HW_MORE)
			break;
		if (vsvm_hw_turn_over(e))
			return VSVM_HW_TURN;
		vsvm_hw_relax(hw);
	}
	if (status != VSVM_HW_FAULT)
		return status;
	stall(hw, e, k);
	return VSVM_HW_WAIT;
}

/**
 * vsvm_hw_compute - execute a command of a compute queue, or go on with it
 * @hw: the hardware
 * @e: engine of a compute queue
 * @cmd: the command at its tail
 * @result: gets the address that failed
 *
 * Return: an enum vsvm_hw_status, VSVM_HW_WAIT if the kernel stalls or the
 * engine was told to stop, or VSVM_HW_TURN.
 */
u32 vsvm_hw_compute(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		    const struct vsvm_hw_cmd *cmd, u64 *result)
{
	struct vsvm_hw_queue *q = &hw->queue[e->id - VSVM_HW_QUEUE0];
	struct vsvm_hw_kernel *k = &q->kernel;
	const bool cancelled = vsvm_hw_cancelled(e);
	u32 status;

	if (k->stalled) {
		/* Acquire: see run_kernel(). */
		if (!cancelled && smp_load_acquire(&e->ring->replay) == k->replay)
			return VSVM_HW_WAIT;
		k->stalled = false;
		WRITE_ONCE(e->ring->stalled, 0);
	}
	if (!k->active) {
		if (cancelled)
			return VSVM_HW_ERR_CANCELLED;
		if (cmd->op == VSVM_HW_NOP)
			return VSVM_HW_OK;
		status = check_kernel(cmd, result);
		if (status)
			return status;
		if (cmd->op == VSVM_HW_K_STORE && cmd->len > e->good)
			return VSVM_HW_ERR_CANCELLED;
		start(k, e->tail, cmd);
	}
	status = run_kernel(hw, e, q);
	*result = status ? k->address : 0;
	if (status < VSVM_HW_UNFINISHED)
		k->active = false;
	return status;
}

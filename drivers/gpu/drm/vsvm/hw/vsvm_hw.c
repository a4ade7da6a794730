// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The virtual GPU's frame: set-up, and the loop that takes commands from a
 * ring and hands them to the part of the hardware that does them.
 *
 * What is in a slot or in the driver's half of a ring's words may be anything:
 * it is read once and checked, and at worst makes commands fail.
 */
#include "vsvm_hw_priv.h"

static u32 ring_size(unsigned int engine)
{
	return engine < VSVM_HW_QUEUE0 ? VSVM_HW_COPY_RING : VSVM_HW_QUEUE_RING;
}

static void init_rings(struct vsvm_hw *hw)
{
	struct vsvm_hw_shared *shared = hw->shared;
	u32 first = 0;
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		struct vsvm_hw_engine *e = &hw->engine[i];

		e->id = i;
		e->ring = &shared->ring[i];
		e->slots = &shared->cmd[first];
		e->size = ring_size(i);
		e->ring->first = first;
		e->ring->size = e->size;
		first += e->size;
	}
	shared->magic = VSVM_HW_MAGIC;
	shared->version = VSVM_HW_VERSION;
	shared->vram_size = hw->vram_size;
	shared->fifo.size = hw->fifo_size;
}

static bool config_valid(const struct vsvm_hw_config *config,
			 const struct vsvm_hw_host *host)
{
	const bool paced = config->copy_bytes_per_s || config->copy_latency_ns;

	return config->vram_size &&
	       !(config->vram_size & (VSVM_HW_PAGE_SIZE - 1)) &&
	       config->fault_entries <= VSVM_HW_FAULT_RING &&
	       config->copy_bytes_per_s <= VSVM_HW_MAX_COPY_RATE &&
	       config->copy_latency_ns <= VSVM_HW_MAX_COPY_NS &&
	       (!paced || (host->now && host->sleep));
}

/**
 * vsvm_hw_init - power on
 * @hw: gets the hardware
 * @config: what it is made of; the memory must outlive it
 * @host: where it runs; copied
 * @priv: first argument of the callbacks
 *
 * Lays out the rings in the shared region. With the sanitizer all of VRAM is
 * free at first.
 *
 * Return: 0, -EINVAL for a configuration out of its bounds or a host that lacks
 * what it needs, or -ENOMEM.
 */
int vsvm_hw_init(struct vsvm_hw **hw, const struct vsvm_hw_config *config,
		 const struct vsvm_hw_host *host, void *priv)
{
	struct vsvm_hw *new;
	unsigned int i;
	int err;

	if (!config_valid(config, host))
		return -EINVAL;
	new = vsvm_hw_alloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->host = *host;
	new->priv = priv;
	new->shared = config->shared;
	new->vram = config->vram;
	new->vram_size = config->vram_size;
	new->fifo_size = config->fault_entries ? config->fault_entries :
						 VSVM_HW_FAULT_RING;
	new->copy_rate = config->copy_bytes_per_s;
	new->copy_latency = config->copy_latency_ns;
	err = vsvm_hw_vram_init(new, config->sanitize);
	if (err) {
		vsvm_hw_free(new);
		return err;
	}
	vsvm_hw_lock_init(&new->fifo_lock);
	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++) {
		new->queue[i].hw = new;
		vsvm_hw_mmu_init(&new->queue[i]);
	}
	init_rings(new);
	*hw = new;
	return 0;
}

/* Power off. No engine may run. */
void vsvm_hw_fini(struct vsvm_hw *hw)
{
	unsigned int i;

	if (!hw)
		return;
	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++)
		vsvm_hw_mmu_fini(&hw->queue[i]);
	vsvm_hw_lock_fini(&hw->fifo_lock);
	vsvm_hw_vram_fini(hw);
	vsvm_hw_free(hw);
}

/**
 * vsvm_hw_cancelled - is the current command to be cancelled?
 * @e: the engine, from its own run
 *
 * Only a new value of ring->cancel starts a cancellation, and only if it lies
 * within a ring's length of tail: one that was left from long ago must not
 * come true when the indices wrap, nor one that came too late.
 *
 * Return: true if so.
 */
bool vsvm_hw_cancelled(struct vsvm_hw_engine *e)
{
	const u32 cancel = READ_ONCE(e->ring->cancel);

	if (cancel != e->cancel) {
		e->cancel = cancel;
		e->cancelling = cancel - e->tail <= e->size;
	}
	if (cancel == e->tail)
		e->cancelling = false;
	return e->cancelling;
}

static bool ring_has_work(struct vsvm_hw_engine *e)
{
	/* Acquire: the commands before head. */
	const u32 num = smp_load_acquire(&e->ring->head) - e->tail;

	if (num > e->size) {
		e->bad_heads++;
		return false;
	}
	return num;
}

static u32 do_paging(struct vsvm_hw *hw, const struct vsvm_hw_cmd *cmd,
		     u64 *result)
{
	*result = cmd->dst;
	switch (cmd->op) {
	case VSVM_HW_SET_ROOT:
		return vsvm_hw_set_root(hw, cmd);
	case VSVM_HW_TLB_INVALIDATE:
		return vsvm_hw_tlb_invalidate(hw, cmd);
	case VSVM_HW_MARK:
		return vsvm_hw_mark(hw, cmd);
	}
	return VSVM_HW_ERR_CMD;
}

static u32 do_command(struct vsvm_hw *hw, struct vsvm_hw_engine *e,
		      const struct vsvm_hw_cmd *cmd, u64 *result)
{
	u32 status;

	*result = 0;
	if (e->id >= VSVM_HW_QUEUE0)
		return vsvm_hw_compute(hw, e, cmd, result);
	if (vsvm_hw_cancelled(e))
		return VSVM_HW_ERR_CANCELLED;
	if (cmd->op == VSVM_HW_NOP)
		return VSVM_HW_OK;
	if (cmd->op == VSVM_HW_COPY || cmd->op == VSVM_HW_FILL)
		return vsvm_hw_copy(hw, e, cmd, result);
	if (e->id != VSVM_HW_PAGING)
		return VSVM_HW_ERR_CMD;
	status = do_paging(hw, cmd, result);
	if (!status)
		*result = 0;
	return status;
}

/* Once, and a word at a time: the driver may be writing it if there is a reset. */
static void take_command(struct vsvm_hw_cmd *cmd, const struct vsvm_hw_cmd *slot)
{
	const u64 *from = (const u64 *)slot;
	u64 *to = (u64 *)cmd;
	unsigned int i;

	for (i = 0; i < sizeof(*cmd) / sizeof(u64); i++)
		to[i] = READ_ONCE(from[i]);
}

static void complete_command(struct vsvm_hw_engine *e, struct vsvm_hw_cmd *slot,
			     u32 status, u64 result)
{
	WRITE_ONCE(slot->result, result);
	WRITE_ONCE(slot->status, status);
	WRITE_ONCE(slot->generation, READ_ONCE(e->ring->generation));
	e->good = status ? 0 : min(e->good + 1, e->size);
	e->tail++;
	/* Release: all that the command wrote, and its slot. */
	smp_store_release(&e->ring->tail, e->tail);
}

/* Engines before the queues have vectors of their own, of the same number. */
static unsigned int vector_of(unsigned int engine)
{
	return engine < VSVM_HW_QUEUE0 ? engine : VSVM_HW_VEC_COMPUTE;
}

/**
 * vsvm_hw_turn_over - count a slice or a command
 * @e: the engine, from its own run
 *
 * Return: true if it was the last of this turn.
 */
bool vsvm_hw_turn_over(struct vsvm_hw_engine *e)
{
	return e->slices && !--e->slices;
}

/*
 * Looks at head again after every command, also after what seemed the last:
 * a doorbell that rang before has nothing left to tell, and one that rings
 * later starts another run. A @slices of 0 is a turn without end.
 */
bool vsvm_hw_run_turn(struct vsvm_hw *hw, unsigned int engine, u32 slices)
{
	struct vsvm_hw_engine *e;

	if (engine >= VSVM_HW_NUM_ENGINES)
		return false;
	e = &hw->engine[engine];
	e->slices = slices;
	e->tail = READ_ONCE(e->ring->tail);
	while (!READ_ONCE(e->stop) && ring_has_work(e)) {
		struct vsvm_hw_cmd *slot = &e->slots[e->tail & (e->size - 1)];
		struct vsvm_hw_cmd cmd;
		u64 result;
		u32 status;

		take_command(&cmd, slot);
		status = do_command(hw, e, &cmd, &result);
		if (status >= VSVM_HW_UNFINISHED)
			return status == VSVM_HW_TURN;
		complete_command(e, slot, status, result);
		if (cmd.flags & VSVM_HW_CMD_IRQ)
			hw->host.irq(hw->priv, vector_of(engine));
		if (vsvm_hw_turn_over(e))
			return true;
		vsvm_hw_relax(hw);
	}
	return false;
}

void vsvm_hw_run(struct vsvm_hw *hw, unsigned int engine)
{
	vsvm_hw_run_turn(hw, engine, 0);
}

void vsvm_hw_stop(struct vsvm_hw *hw, unsigned int engine)
{
	if (engine < VSVM_HW_NUM_ENGINES)
		WRITE_ONCE(hw->engine[engine].stop, true);
}

void vsvm_hw_reset(struct vsvm_hw *hw, unsigned int engine)
{
	struct vsvm_hw_engine *e;

	if (engine >= VSVM_HW_NUM_ENGINES)
		return;
	e = &hw->engine[engine];
	e->cancel = READ_ONCE(e->ring->cancel);
	e->cancelling = e->cancel - READ_ONCE(e->ring->tail) <= e->size;
	e->good = 0;
	if (engine >= VSVM_HW_QUEUE0) {
		struct vsvm_hw_queue *q = &hw->queue[engine - VSVM_HW_QUEUE0];

		q->kernel.active = false;
		q->kernel.stalled = false;
		WRITE_ONCE(e->ring->stalled, 0);
		vsvm_hw_tlb_drop(q);
	}
	WRITE_ONCE(e->stop, false);
}

VSVM_HW_EXPORT(vsvm_hw_init);
VSVM_HW_EXPORT(vsvm_hw_fini);
VSVM_HW_EXPORT(vsvm_hw_run);
VSVM_HW_EXPORT(vsvm_hw_run_turn);
VSVM_HW_EXPORT(vsvm_hw_stop);
VSVM_HW_EXPORT(vsvm_hw_reset);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The fault FIFO: all compute queues write it, the driver reads it.
 */
#include "vsvm_hw_priv.h"

/*
 * Is there a place for the record at head? Indices that wrap leave out places
 * unless their number is a power of two: the FIFO has to be empty then before
 * it begins again with place 0.
 */
static bool has_room(const struct vsvm_hw *hw, u32 tail)
{
	const u32 head = hw->fifo_head, size = hw->fifo_size;

	return head - tail < size && (head >= tail || !(size & (size - 1)));
}

/**
 * vsvm_hw_fault_push - report a fault to the driver
 * @hw: the hardware
 * @fault: the record
 *
 * Counts an overflow if there is no room. The record is not kept anywhere
 * then: the queue that stalled finds the fault again when it is replayed, and
 * the driver, seeing the count, replays every queue that is stalled.
 */
void vsvm_hw_fault_push(struct vsvm_hw *hw, const struct vsvm_hw_fault *fault)
{
	struct vsvm_hw_shared *shared = hw->shared;
	struct vsvm_hw_fifo *fifo = &shared->fifo;

	vsvm_hw_lock(&hw->fifo_lock);
	/* Acquire: the driver is done reading the slots before its tail. */
	if (has_room(hw, smp_load_acquire(&fifo->tail))) {
		shared->fault[hw->fifo_head % hw->fifo_size] = *fault;
		hw->fifo_head++;
		/* Release: the record. */
		smp_store_release(&fifo->head, hw->fifo_head);
	} else {
		hw->fifo_overflow++;
		WRITE_ONCE(fifo->overflow, hw->fifo_overflow);
	}
	vsvm_hw_unlock(&hw->fifo_lock);
}

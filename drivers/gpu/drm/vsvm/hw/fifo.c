// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The fault FIFO: all compute queues write it, the driver reads it.
 */
#include "vsvm_hw_priv.h"

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
	if (hw->fifo_head - smp_load_acquire(&fifo->tail) < VSVM_HW_FAULT_RING) {
		shared->fault[hw->fifo_head % VSVM_HW_FAULT_RING] = *fault;
		hw->fifo_head++;
		/* Release: the record. */
		smp_store_release(&fifo->head, hw->fifo_head);
	} else {
		hw->fifo_overflow++;
		WRITE_ONCE(fifo->overflow, hw->fifo_overflow);
	}
	vsvm_hw_unlock(&hw->fifo_lock);
}

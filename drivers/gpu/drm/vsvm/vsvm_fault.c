// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * GPU page faults. One worker empties the FIFO and hands the records out to
 * their address spaces; each of these serves its own on an unbound queue, so
 * that a slow one holds up nobody else.
 *
 * A record that finds no room is dropped: its queue is stalled, and the replay
 * that follows every service raises it again.
 */
#include <drm/drm_print.h>

#include "vsvm_svm.h"
#include "vsvm_vm.h"

static bool vsvm_fault_merge(struct vsvm_vm *vm,
			     const struct vsvm_hw_fault *fault)
{
	unsigned int i;

	for (i = 0; i < vm->num_faults; i++) {
		struct vsvm_hw_fault *other = &vm->fault[i];

		if (other->index == fault->index &&
		    other->address >> PAGE_SHIFT ==
		    fault->address >> PAGE_SHIFT) {
			other->access |= fault->access;
			return true;
		}
	}
	return false;
}

static void vsvm_fault_hand_out(struct vsvm_device *vdev,
				const struct vsvm_hw_fault *fault)
{
	struct vsvm_vm *vm;

	vsvm_stat_add(vdev, VSVM_STAT_GPU_FAULTS, 1);
	if (fault->queue >= VSVM_HW_NUM_QUEUES)
		return;
	guard(spinlock)(&vdev->fault_lock);
	vm = vdev->queue_vm[fault->queue];
	if (!vm || fault->generation != READ_ONCE(vm->ring->generation))
		return;
	if (vsvm_fault_merge(vm, fault))
		vsvm_stat_add(vdev, VSVM_STAT_GPU_FAULTS_MERGED, 1);
	else if (vm->num_faults < VSVM_VM_FAULTS)
		vm->fault[vm->num_faults++] = *fault;
	queue_work(vdev->svm_wq, &vm->fault_work);
}

static void vsvm_fault_replay_all(struct vsvm_device *vdev)
{
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++) {
		if (READ_ONCE(vdev->queue_vm[i]))
			vsvm_ring_replay(&vdev->ring[VSVM_HW_QUEUE0 + i]);
	}
}

/**
 * vsvm_fault_drain - empty the fault FIFO
 * @work: vsvm_device.fault_work
 */
void vsvm_fault_drain(struct work_struct *work)
{
	struct vsvm_device *vdev =
		container_of(work, struct vsvm_device, fault_work);
	struct vsvm_hw_shared *shared = vdev->hw->shared;
	struct vsvm_hw_fifo *fifo = &shared->fifo;
	unsigned int budget = VSVM_HW_FAULT_RING;
	u32 tail = fifo->tail, overflow;

	/* Acquire: the records before the head. */
	while (tail != smp_load_acquire(&fifo->head) && budget--) {
		const struct vsvm_hw_fault fault =
			shared->fault[tail % VSVM_HW_FAULT_RING];

		tail++;
		/* Release: the record was read, its place is free. */
		smp_store_release(&fifo->tail, tail);
		vsvm_fault_hand_out(vdev, &fault);
	}
	overflow = READ_ONCE(fifo->overflow);
	if (overflow != vdev->fault_overflow) {
		vdev->fault_overflow = overflow;
		vsvm_fault_replay_all(vdev);
	}
	if (tail != READ_ONCE(fifo->head))
		queue_work(vdev->svm_wq, &vdev->fault_work);
}

/**
 * vsvm_fault_irq - the FIFO has records
 * @vdev: device
 *
 * Context: any.
 */
void vsvm_fault_irq(struct vsvm_device *vdev)
{
	queue_work(vdev->svm_wq, &vdev->fault_work);
}

/* What a job fails with if a fault of it cannot be served. */
static int vsvm_fault_errno(int err)
{
	switch (err) {
	case -ENOMEM:
	case -EIO:
	case -ECANCELED:
		return err;
	case -ENODEV:
		return -ECANCELED;
	case -ENOSPC:
		return -ENOMEM;
	default:
		return -EFAULT;
	}
}

static void vsvm_fault_serve(struct vsvm_vm *vm,
			     const struct vsvm_hw_fault *fault)
{
	int err;

	if (fault->generation != READ_ONCE(vm->ring->generation))
		return;
	err = vsvm_svm_fault(vm, fault->address,
			     fault->access == VSVM_HW_WRITE);
	if (!err)
		return;
	drm_dbg(&vm->vdev->drm, "vm %u: %s fault at %#llx failed: %d\n", vm->id,
		fault->access == VSVM_HW_WRITE ? "write" : "read",
		fault->address, err);
	vsvm_stat_add(vm->vdev, VSVM_STAT_GPU_FAULTS_FAILED, 1);
	vsvm_ring_cancel(vm->ring, fault->index, vsvm_fault_errno(err));
}

/**
 * vsvm_vm_fault_work - serve the faults of an address space
 * @work: vsvm_vm.fault_work
 */
void vsvm_vm_fault_work(struct work_struct *work)
{
	struct vsvm_vm *vm = container_of(work, struct vsvm_vm, fault_work);
	struct vsvm_hw_fault fault[VSVM_VM_FAULTS];
	unsigned int num, i;

	scoped_guard(spinlock, &vm->vdev->fault_lock) {
		num = vm->num_faults;
		memcpy(fault, vm->fault, num * sizeof(*fault));
		vm->num_faults = 0;
	}
	for (i = 0; i < num; i++) {
		vsvm_fault_serve(vm, &fault[i]);
		atomic_inc(&vm->served);
	}
	vsvm_ring_replay(vm->ring);
}

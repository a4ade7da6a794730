// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * GPU page faults. One worker empties the FIFO and hands the records out to the
 * queues that stall; each of them has a worker of its own, on a workqueue
 * without order, so that a slow one holds up nobody else: no other process, and
 * no other queue of the same one.
 *
 *	FIFO --> drain --> what each queue is stalled at --> serve --> replay
 *
 * A queue is stalled at one access at a time, so its newest record is all that
 * there is to know of it. Several at one page meet at the lock of its range,
 * where the first one serves them all.
 *
 * A worker may wait for user space for ever. Who closes the address space does
 * not wait for it: see vsvm_vm_close().
 */
#include <drm/drm_print.h>
#include <linux/sched/mm.h>

#include "vsvm_bind.h"
#include "vsvm_svm.h"
#include "vsvm_vm.h"

static void vsvm_fault_hand_out(struct vsvm_device *vdev,
				const struct vsvm_hw_fault *fault)
{
	const unsigned int i = fault->queue % VSVM_VM_QUEUES;
	struct vsvm_vm *vm;

	vsvm_stat_add(vdev, VSVM_STAT_GPU_FAULTS, 1);
	if (fault->queue >= VSVM_HW_NUM_QUEUES)
		return;
	guard(spinlock)(&vdev->fault_lock);
	vm = vdev->group_vm[fault->queue / VSVM_VM_QUEUES];
	if (!vm || fault->generation != READ_ONCE(vm->queue[i].ring->generation))
		return;
	if (vm->queue[i].faulted)
		vsvm_stat_add(vdev, VSVM_STAT_GPU_FAULTS_MERGED, 1);
	vm->queue[i].faulted = true;
	vm->queue[i].fault = *fault;
	vsvm_vm_queue_work(vm, &vm->queue[i].fault_work);
}

static void vsvm_fault_replay_all(struct vsvm_device *vdev)
{
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++) {
		if (test_bit(i / VSVM_VM_QUEUES, vdev->groups))
			vsvm_ring_replay(&vdev->ring[VSVM_HW_QUEUE0 + i]);
	}
}

/* Once: what is checked must be what is used, whatever the hardware does. */
static void vsvm_fault_read(struct vsvm_hw_fault *fault,
			    const struct vsvm_hw_fault *record)
{
	*fault = (struct vsvm_hw_fault) {
		.address = READ_ONCE(record->address),
		.queue = READ_ONCE(record->queue),
		.access = READ_ONCE(record->access),
		.generation = READ_ONCE(record->generation),
		.index = READ_ONCE(record->index),
	};
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
	/* Acquire: the records before the head. */
	const u32 head = smp_load_acquire(&fifo->head);
	u32 tail = vdev->fault_tail, overflow;

	/* No FIFO has more than that: begin again where the hardware is. */
	if (head - tail > vdev->fault_entries) {
		vdev->fault_tail = head;
		/* Release: as below. */
		smp_store_release(&fifo->tail, head);
		vsvm_fault_replay_all(vdev);
		return;
	}
	while (tail != head) {
		struct vsvm_hw_fault fault;

		vsvm_fault_read(&fault, &shared->fault[tail % vdev->fault_entries]);
		tail++;
		/* Release: the record was read, its place is free. */
		smp_store_release(&fifo->tail, tail);
		vsvm_fault_hand_out(vdev, &fault);
	}
	vdev->fault_tail = tail;
	overflow = READ_ONCE(fifo->overflow);
	if (overflow != vdev->fault_overflow) {
		vsvm_stat_add(vdev, VSVM_STAT_FIFO_OVERFLOWS,
			      overflow - vdev->fault_overflow);
		vdev->fault_overflow = overflow;
		dev_warn_ratelimited(vdev->drm.dev, "fault FIFO overflowed\n");
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
	case -ENOSPC:
	case -EACCES:
	case -EIO:
	case -ECANCELED:
		return err;
	case -ENODEV:
		return -ECANCELED;
	default:
		return -EFAULT;
	}
}

static void vsvm_fault_serve(struct vsvm_queue *queue,
			     const struct vsvm_hw_fault *fault)
{
	static const char * const name[] = { "read", "write", "atomic" };
	struct vsvm_vm *vm = queue->vm;
	int err;

	if (fault->address >= DRM_VSVM_BIND_START)
		err = vsvm_bind_fault(queue, fault->address, fault->access);
	else
		err = vsvm_svm_fault(queue, fault->address, fault->access);
	if (!err)
		return;
	drm_dbg(&vm->vdev->drm, "vm %u: %s fault at %#llx failed: %d\n", vm->id,
		name[min(fault->access, VSVM_HW_ATOMIC)], fault->address, err);
	vsvm_stat_add(vm->vdev, VSVM_STAT_GPU_FAULTS_FAILED, 1);
	vsvm_ring_cancel(queue->ring, fault->index, vsvm_fault_errno(err));
}

/* Return: is there a fault? Of several, the last one. */
static bool vsvm_queue_take_fault(struct vsvm_queue *queue,
				  struct vsvm_hw_fault *fault)
{
	bool faulted;

	guard(spinlock)(&queue->vm->vdev->fault_lock);
	faulted = queue->faulted;
	queue->faulted = false;
	*fault = queue->fault;
	return faulted;
}

/**
 * vsvm_queue_fault_work - serve the fault that a queue stalls at
 * @work: vsvm_queue.fault_work
 *
 * The ring stays that of the queue as long as there is a worker, and takes no
 * command once there is no hardware.
 */
void vsvm_queue_fault_work(struct work_struct *work)
{
	struct vsvm_queue *queue =
		container_of(work, struct vsvm_queue, fault_work);
	struct vsvm_vm *vm = queue->vm;
	struct mem_cgroup *old = set_active_memcg(vm->memcg);
	struct vsvm_hw_fault fault;

	if (vsvm_queue_take_fault(queue, &fault) &&
	    fault.generation == READ_ONCE(queue->ring->generation)) {
		vsvm_fault_serve(queue, &fault);
		atomic_inc(&queue->served);
	}
	set_active_memcg(old);
	vsvm_ring_replay(queue->ring);
	vsvm_vm_work_done(vm);
}

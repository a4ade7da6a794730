// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DRM_IOCTL_VSVM_EXEC: from what the user wrote to a job in the queue.
 *
 * Everything that can be wrong is found before the job is armed; from then on
 * there is no way back.
 *
 * A syncobj to be signalled is refused: its fence would depend on page faults of
 * the job, and so on what the process does about them, which may be nothing. A
 * queue that serves faults tells by memory instead: see vsvm_ufence.c.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_syncobj.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "vsvm_sched.h"
#include "vsvm_vm.h"

/* What a kernel does with an operand of so many elements or bytes. */
struct vsvm_op {
	u32 hw_op;
	u8 dst_size;		/* bytes of an element; 0: see dst_bytes */
	u8 src_size;
	u16 dst_bytes;		/* size of a result that does not depend on count */
	u8 dst_align;
	u8 src_align;
};

static const struct vsvm_op vsvm_ops[] = {
	[DRM_VSVM_OP_FILL] = { VSVM_HW_K_FILL, 1, 0, 0, 1, 1 },
	[DRM_VSVM_OP_COPY] = { VSVM_HW_K_COPY, 1, 1, 0, 1, 1 },
	[DRM_VSVM_OP_ADD] = { VSVM_HW_K_ADD, 1, 1, 0, 1, 1 },
	[DRM_VSVM_OP_SAXPY] = { VSVM_HW_K_SAXPY, 4, 4, 0, 4, 4 },
	[DRM_VSVM_OP_HISTOGRAM] = { VSVM_HW_K_HISTOGRAM, 0, 1, 256 * 8, 8, 1 },
	[DRM_VSVM_OP_SUM] = { VSVM_HW_K_SUM, 0, 1, 8, 8, 1 },
	[DRM_VSVM_OP_CHASE] = { VSVM_HW_K_CHASE, 0, 0, 16, 8, 8 },
	[DRM_VSVM_OP_ATOMIC_ADD] = { VSVM_HW_K_ATOMIC_ADD, 0, 0, 8, 8, 1 },
};

/* [@addr, @addr + @count * @size) lies in an address space of @limit bytes. */
static bool vsvm_operand_valid(u64 addr, u64 count, u64 size, u64 align,
			       u64 limit)
{
	u64 bytes, end;

	return !check_mul_overflow(count, size, &bytes) &&
	       !check_add_overflow(addr, bytes, &end) && end <= limit &&
	       IS_ALIGNED(addr, align);
}

static bool vsvm_kernel_overlaps(const struct drm_vsvm_kernel *kernel)
{
	return kernel->src != kernel->dst &&
	       kernel->src < kernel->dst + kernel->count &&
	       kernel->dst < kernel->src + kernel->count;
}

static bool vsvm_kernel_valid(const struct drm_vsvm_kernel *kernel, u64 limit)
{
	const struct vsvm_op *op;
	u64 dst_bytes;

	if (kernel->op >= ARRAY_SIZE(vsvm_ops) || kernel->pad)
		return false;
	op = &vsvm_ops[kernel->op];
	dst_bytes = op->dst_size ? kernel->count : op->dst_bytes;
	if (!vsvm_operand_valid(kernel->dst, dst_bytes, op->dst_size ?: 1,
				op->dst_align, limit) ||
	    !vsvm_operand_valid(kernel->src, kernel->count, op->src_size,
				op->src_align, limit))
		return false;
	switch (kernel->op) {
	case DRM_VSVM_OP_FILL:
	case DRM_VSVM_OP_ATOMIC_ADD:
		return !kernel->src;
	case DRM_VSVM_OP_COPY:
		return !vsvm_kernel_overlaps(kernel);
	case DRM_VSVM_OP_CHASE:
		/* The offset of the value in a node. */
		return IS_ALIGNED(kernel->arg, 8) && kernel->arg < limit;
	default:
		return true;
	}
}

static int vsvm_exec_kernels(struct vsvm_job *job,
			     const struct drm_vsvm_kernel *kernel, u32 num,
			     u64 limit)
{
	u32 i;

	for (i = 0; i < num; i++, kernel++) {
		if (!vsvm_kernel_valid(kernel, limit))
			return -EINVAL;
		job->cmd[i] = (struct vsvm_hw_cmd) {
			.op = vsvm_ops[kernel->op].hw_op,
			.dst = kernel->dst,
			.src = kernel->src,
			.len = kernel->count,
			.arg = kernel->arg,
		};
	}
	return 0;
}

/* The queue writes it last, and only if all kernels went well. */
static void vsvm_exec_fence(struct vsvm_job *job,
			    const struct drm_vsvm_exec *args)
{
	if (!(args->flags & DRM_VSVM_EXEC_FENCE))
		return;
	job->cmd[args->num_kernels] = (struct vsvm_hw_cmd) {
		.op = VSVM_HW_K_STORE,
		.dst = args->fence_addr,
		.len = args->num_kernels,
		.arg = args->fence_value,
	};
}

static int vsvm_exec_sync(struct vsvm_job *job, struct drm_file *file,
			  const struct drm_vsvm_sync *sync)
{
	int err;

	if (sync->flags & ~DRM_VSVM_SYNC_SIGNAL)
		return -EINVAL;
	if (sync->flags & DRM_VSVM_SYNC_SIGNAL)
		return -EOPNOTSUPP;
	err = drm_syncobj_find_fence(file, sync->handle, sync->point, 0,
				     &job->dep[job->num_deps]);
	if (!err)
		job->num_deps++;
	return err;
}

static int vsvm_exec_syncs(struct vsvm_job *job, struct drm_file *file,
			   const struct drm_vsvm_sync *sync, u32 num)
{
	int err = 0;

	for (; num && !err; num--, sync++)
		err = vsvm_exec_sync(job, file, sync);
	return err;
}

/* Consumes the job on success. */
static int vsvm_exec_push(struct vsvm_job *job, u64 *number)
{
	struct vsvm_queue *queue = job->queue;

	guard(mutex)(&queue->vm->submit_lock);
	if (queue->vm->closed)
		return -ECANCELED;
	*number = job->number = ++queue->last_job;
	drm_sched_job_arm(&job->base);
	drm_sched_entity_push_job(&job->base);
	return 0;
}

/* The arrays that @args points to, and what comes of the job. */
struct vsvm_submission {
	struct drm_vsvm_exec *args;
	const struct drm_vsvm_kernel *kernels;
	const struct drm_vsvm_sync *syncs;
	struct vsvm_job_result *result;
};

static int vsvm_exec_submit(struct vsvm_vm *vm, struct drm_file *file,
			    struct vsvm_submission *s)
{
	struct drm_vsvm_exec *args = s->args;
	struct vsvm_job *job;
	int err;

	job = vsvm_job_create(&vm->queue[args->queue], file, args->num_kernels +
			      !!(args->flags & DRM_VSVM_EXEC_FENCE),
			      args->num_syncs);
	if (IS_ERR(job))
		return PTR_ERR(job);
	err = vsvm_exec_kernels(job, s->kernels, args->num_kernels,
				DRM_VSVM_BIND_END);
	vsvm_exec_fence(job, args);
	if (!err)
		err = vsvm_exec_syncs(job, file, s->syncs, args->num_syncs);
	if (!err) {
		refcount_inc(&job->result->ref);
		s->result = job->result;
		err = vsvm_exec_push(job, &args->job);
		if (err)
			vsvm_job_result_put(s->result);
	}
	if (err)
		vsvm_job_abort(job);
	return err;
}

static int vsvm_exec_wait(struct vsvm_vm *vm, struct drm_vsvm_exec *args,
			  const struct vsvm_job_result *result)
{
	int err = vsvm_job_wait(vm, result);

	if (!err || err == -EINTR)
		return err;
	args->failed_kernel = result->failed_kernel;
	if (err == -EFAULT || err == -EACCES)
		args->fault_addr = result->fault_addr;
	return err;
}

static bool vsvm_exec_fence_valid(const struct drm_vsvm_exec *args)
{
	if (!(args->flags & DRM_VSVM_EXEC_FENCE))
		return !args->fence_addr && !args->fence_value;
	return vsvm_operand_valid(args->fence_addr, 1, sizeof(u64), sizeof(u64),
				  DRM_VSVM_BIND_END);
}

static bool vsvm_exec_valid(const struct drm_vsvm_exec *args)
{
	return !(args->flags & ~(DRM_VSVM_EXEC_WAIT | DRM_VSVM_EXEC_FENCE)) &&
	       vsvm_exec_fence_valid(args) &&
	       args->queue < DRM_VSVM_NUM_QUEUES && args->num_kernels &&
	       args->num_kernels <= DRM_VSVM_MAX_KERNELS &&
	       args->num_syncs <= DRM_VSVM_MAX_SYNCS;
}

/*
 * What the user points to may take as long to read as the process likes, by way
 * of userfaultfd: not where an unplug has to wait for it.
 */
static int vsvm_exec_load(struct vsvm_vm *vm, struct drm_device *drm,
			  struct drm_file *file, struct vsvm_submission *s)
{
	struct drm_vsvm_kernel *kernels __free(kfree) =
		memdup_array_user(u64_to_user_ptr(s->args->kernels),
				  s->args->num_kernels, sizeof(*kernels));
	struct drm_vsvm_sync *syncs __free(kfree) =
		memdup_array_user(u64_to_user_ptr(s->args->syncs),
				  s->args->num_syncs, sizeof(*syncs));
	int idx, err;

	if (IS_ERR(kernels))
		return PTR_ERR(kernels);
	if (IS_ERR(syncs))
		return PTR_ERR(syncs);
	s->kernels = kernels;
	s->syncs = syncs;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	err = vsvm_exec_submit(vm, file, s);
	drm_dev_exit(idx);
	return err;
}

/**
 * vsvm_exec_ioctl - DRM_IOCTL_VSVM_EXEC
 * @drm: device
 * @data: struct drm_vsvm_exec
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_exec_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vsvm_exec *args = data;
	struct vsvm_submission s = { .args = args };
	struct vsvm_vm *vm;
	int err;

	if (!vsvm_exec_valid(args))
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	err = vsvm_exec_load(vm, drm, file, &s);
	if (!err) {
		/* Unplug must not wait for a job: it is what ends it. */
		if (args->flags & DRM_VSVM_EXEC_WAIT)
			err = vsvm_exec_wait(vm, args, s.result);
		vsvm_job_result_put(s.result);
	}
	vsvm_vm_put(vm);
	return err;
}

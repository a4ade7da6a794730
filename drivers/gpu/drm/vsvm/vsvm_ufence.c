// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * User fences: words in memory that queues write when a job is done, and that
 * anybody may look at. A queue writes by its page table and faults as with any
 * other access, so the memory may be anywhere, and move.
 *
 *	EXEC --> kernels, store --> word in memory <--- look --- WAIT_USER_FENCE
 *			  |					|   ^
 *			  +---------- job_ended wakes ----------+   |
 *						  a CPU wrote: looks again
 *
 * No dma_fence has a part in this. Who waits does so in an ioctl of its own
 * process, without locks, and a signal ends that.
 */
#include <drm/drm_file.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "vsvm_sched.h"
#include "vsvm_vm.h"

/* A CPU, or the GPU in another address space, does not say that it wrote. */
#define VSVM_UFENCE_POLL_NS	(50 * NSEC_PER_MSEC)

static bool vsvm_ufence_is(const struct drm_vsvm_wait_user_fence *args, u64 word)
{
	const u64 found = word & args->mask, value = args->value & args->mask;

	switch (args->op) {
	case DRM_VSVM_UFENCE_EQ:
		return found == value;
	case DRM_VSVM_UFENCE_NEQ:
		return found != value;
	case DRM_VSVM_UFENCE_GT:
		return found > value;
	case DRM_VSVM_UFENCE_GTE:
		return found >= value;
	case DRM_VSVM_UFENCE_LT:
		return found < value;
	default:
		return found <= value;
	}
}

static int vsvm_ufence_failed(struct drm_vsvm_wait_user_fence *args,
			      const struct vsvm_failure *failure)
{
	args->error = failure->error;
	args->failed_kernel = failure->failed_kernel;
	if (failure->error == -EFAULT || failure->error == -EACCES)
		args->fault_addr = failure->fault_addr;
	return -EIO;
}

/* Return: 0 if it is so, -EAGAIN if it may become so, or why it will not. */
static int vsvm_ufence_look(struct vsvm_vm *vm,
			    struct drm_vsvm_wait_user_fence *args)
{
	struct vsvm_failure failure;
	bool ended, failed;
	u64 word;

	/*
	 * Before the word: a job that has ended by now has written it. Acquire:
	 * pairs with the end of the address space.
	 */
	ended = smp_load_acquire(&vm->ended);
	failed = args->job && vsvm_queue_failure(&vm->queue[args->queue],
						 args->job, &failure);
	if (get_user(word, (u64 __user *)u64_to_user_ptr(args->addr)))
		return -EFAULT;
	if (vsvm_ufence_is(args, word))
		return 0;
	if (failed)
		return vsvm_ufence_failed(args, &failure);
	return ended ? -ECANCELED : -EAGAIN;
}

static ktime_t vsvm_ufence_end(const struct drm_vsvm_wait_user_fence *args)
{
	if (args->flags & DRM_VSVM_UFENCE_ABSTIME)
		return args->timeout_ns;
	return args->timeout_ns < 0 ? KTIME_MAX :
	       ktime_add_safe(ktime_get(), args->timeout_ns);
}

static int vsvm_ufence_wait(struct vsvm_vm *vm,
			    struct drm_vsvm_wait_user_fence *args, ktime_t end)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int err;

	/* Looking may sleep: so the wake-up is remembered, not the state. */
	add_wait_queue(&vm->job_ended, &wait);
	for (;;) {
		s64 left;

		err = vsvm_ufence_look(vm, args);
		if (err != -EAGAIN)
			break;
		left = ktime_sub(end, ktime_get());
		if (left <= 0) {
			err = -ETIME;
			break;
		}
		if (signal_pending(current)) {
			err = -ERESTARTSYS;
			break;
		}
		left = min(left, VSVM_UFENCE_POLL_NS);
		wait_woken(&wait, TASK_INTERRUPTIBLE,
			   nsecs_to_jiffies(left) + 1);
	}
	remove_wait_queue(&vm->job_ended, &wait);
	return err;
}

static bool vsvm_ufence_valid(const struct drm_vsvm_wait_user_fence *args)
{
	return !(args->flags & ~DRM_VSVM_UFENCE_ABSTIME) && !args->pad &&
	       args->op <= DRM_VSVM_UFENCE_LTE &&
	       args->queue < DRM_VSVM_NUM_QUEUES &&
	       IS_ALIGNED(args->addr, sizeof(u64));
}

/**
 * vsvm_wait_user_fence_ioctl - DRM_IOCTL_VSVM_WAIT_USER_FENCE
 * @drm: device
 * @data: struct drm_vsvm_wait_user_fence
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_wait_user_fence_ioctl(struct drm_device *drm, void *data,
			       struct drm_file *file)
{
	struct drm_vsvm_wait_user_fence *args = data;
	struct vsvm_vm *vm;
	ktime_t end;
	int err;

	if (!vsvm_ufence_valid(args))
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	args->error = 0;
	args->fault_addr = 0;
	args->failed_kernel = 0;
	end = vsvm_ufence_end(args);
	err = args->job > READ_ONCE(vm->queue[args->queue].last_job) ?
	      -EINVAL : vsvm_ufence_wait(vm, args, end);
	vsvm_vm_put(vm);
	/* A call that is restarted waits for the rest. */
	if (!(args->flags & DRM_VSVM_UFENCE_ABSTIME) && args->timeout_ns > 0)
		args->timeout_ns = max(ktime_sub(end, ktime_get()), 0);
	return err;
}

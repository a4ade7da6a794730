// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Jobs on their way through drm_sched to a compute queue and back.
 *
 * Every queue has a scheduler of its own, so a job that hangs is cancelled
 * without a word to the others. Hanging means that for a whole timeout neither
 * a command of the queue completed nor a fault of it was served: a job that
 * faults a lot is slow, and that is fine up to a limit.
 *
 * A job may stall at a page fault for as long as its process likes, so nothing
 * that others wait for may depend on it. The scheduler has two fences for each
 * job all the same, by which it knows what to run next. They never leave it: no
 * syncobj, sync file or reservation gets one, so that neither reclaim, nor
 * another driver, nor a move of a buffer can come to wait for a page fault. In
 * here just vsvm_job_timedout() and vsvm_job_cancel() wait for one, when the job
 * was cancelled, which ends it where it stalls. No job waits for room on its
 * ring: credits say that there is some.
 *
 * Users learn of a job's end by the word in memory that the queue itself writes,
 * or in EXEC, which waits for struct vsvm_job_result. Fences of others that a job
 * waits for are given to the scheduler one at a time, as it asks for them: jobs
 * that are killed do not wait for those.
 */
#include <drm/drm_file.h>
#include <drm/drm_print.h>
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "vsvm_sched.h"
#include "vsvm_vm.h"

/* Timeouts that a job may last as long as it makes progress. */
#define VSVM_JOB_EXTENSIONS	600
/* Time for the hardware to obey a cancellation. */
#define VSVM_CANCEL_MS		1000

static struct vsvm_job *to_vsvm_job(struct drm_sched_job *base)
{
	return container_of(base, struct vsvm_job, base);
}

static const char *vsvm_fence_driver_name(struct dma_fence *fence)
{
	return VSVM_NAME;
}

static const char *vsvm_fence_timeline_name(struct dma_fence *fence)
{
	return "compute";
}

/* Neither release nor wait: a fence must not need this module once signalled. */
static const struct dma_fence_ops vsvm_fence_ops = {
	.get_driver_name = vsvm_fence_driver_name,
	.get_timeline_name = vsvm_fence_timeline_name,
};

/**
 * vsvm_job_result_put - drop a reference
 * @result: result
 */
void vsvm_job_result_put(struct vsvm_job_result *result)
{
	if (refcount_dec_and_test(&result->ref))
		kfree(result);
}

/* The address space is not done before the last job is gone. */
static void vsvm_queue_leave(struct vsvm_queue *queue)
{
	if (atomic_dec_and_test(&queue->jobs))
		wake_up_all(&queue->vm->job_ended);
}

static void vsvm_job_free_parts(struct vsvm_job *job)
{
	unsigned int i;

	for (i = job->next_dep; i < job->num_deps; i++)
		dma_fence_put(job->dep[i]);
	kfree(job->dep);
	kfree(job);
}

static void vsvm_job_release(struct vsvm_job *job)
{
	struct vsvm_vm *vm = job->queue->vm;

	if (dma_fence_was_initialized(job->fence))
		dma_fence_put(job->fence);
	else
		kfree(job->fence);
	vsvm_job_result_put(job->result);
	vsvm_job_free_parts(job);
	vsvm_vm_put(vm);
}

static void vsvm_job_destroy(struct vsvm_job *job)
{
	struct vsvm_queue *queue = job->queue;

	kref_get(&queue->vm->ref);
	vsvm_job_release(job);
	vsvm_queue_leave(queue);
	vsvm_vm_put(queue->vm);
}

static struct vsvm_job *vsvm_job_alloc(struct vsvm_queue *queue, u32 num,
				       u32 max_deps)
{
	struct vsvm_job *job = kzalloc_flex(*job, cmd, num, GFP_KERNEL_ACCOUNT);

	if (!job)
		return NULL;
	job->num = num;
	job->dep = kcalloc(max_deps, sizeof(*job->dep), GFP_KERNEL_ACCOUNT);
	job->fence = kzalloc_obj(*job->fence, GFP_KERNEL_ACCOUNT);
	job->result = kzalloc_obj(*job->result, GFP_KERNEL_ACCOUNT);
	if (!job->dep || !job->fence || !job->result) {
		kfree(job->result);
		kfree(job->fence);
		vsvm_job_free_parts(job);
		return NULL;
	}
	refcount_set(&job->result->ref, 1);
	kref_get(&queue->vm->ref);
	job->queue = queue;
	return job;
}

/**
 * vsvm_job_create - make an empty job
 * @queue: where it is to run
 * @file: whose job it is
 * @num: number of commands
 * @max_deps: room for fences that it waits for
 *
 * Return: the job, or ERR_PTR() of -ENOMEM, -EAGAIN if the queue has as many as
 * it may have, or what drm_sched_job_init() says.
 */
struct vsvm_job *vsvm_job_create(struct vsvm_queue *queue,
				 struct drm_file *file, u32 num, u32 max_deps)
{
	struct vsvm_job *job;
	int err;

	if (atomic_inc_return(&queue->jobs) > VSVM_MAX_JOBS) {
		vsvm_queue_leave(queue);
		return ERR_PTR(-EAGAIN);
	}
	job = vsvm_job_alloc(queue, num, max_deps);
	if (!job) {
		vsvm_queue_leave(queue);
		return ERR_PTR(-ENOMEM);
	}
	err = drm_sched_job_init(&job->base, &queue->entity, num, queue->vm,
				 file->client_id);
	if (err) {
		vsvm_job_destroy(job);
		return ERR_PTR(err);
	}
	return job;
}

/**
 * vsvm_job_abort - free a job that was not armed
 * @job: job
 */
void vsvm_job_abort(struct vsvm_job *job)
{
	drm_sched_job_cleanup(&job->base);
	vsvm_job_destroy(job);
}

static void vsvm_queue_note_failure(struct vsvm_job *job)
{
	const struct vsvm_job_result *result = job->result;
	struct vsvm_queue *queue = job->queue;
	struct vsvm_failure *failure;

	guard(spinlock_irqsave)(&queue->failure_lock);
	failure = &queue->failure[queue->num_failures++ % VSVM_FAILURES];
	queue->forgotten = max(queue->forgotten, failure->job);
	*failure = (struct vsvm_failure) {
		.job = job->number,
		.error = result->error,
		.fault_addr = result->fault_addr,
		.failed_kernel = result->failed_kernel,
	};
}

/**
 * vsvm_queue_failure - has a job failed?
 * @queue: its queue
 * @job: its number
 * @failure: gets how. The error is -ENODATA if so many failed after it that
 *	nobody knows if it did
 *
 * Return: true if so, false also as long as it has not ended.
 */
bool vsvm_queue_failure(struct vsvm_queue *queue, u64 job,
			struct vsvm_failure *failure)
{
	unsigned int i;

	guard(spinlock_irqsave)(&queue->failure_lock);
	for (i = 0; i < VSVM_FAILURES; i++) {
		if (queue->failure[i].job == job) {
			*failure = queue->failure[i];
			return true;
		}
	}
	*failure = (struct vsvm_failure) { .job = job, .error = -ENODATA };
	return job <= queue->forgotten;
}

/* Tells all who wait. Context: any. */
static void vsvm_job_end(struct vsvm_job *job, int error)
{
	job->result->error = error;
	if (error)
		vsvm_queue_note_failure(job);
	/* Release: what became of it. */
	smp_store_release(&job->result->ended, true);
	wake_up_all(&job->queue->vm->job_ended);
}

static bool vsvm_job_over(struct vsvm_vm *vm,
			  const struct vsvm_job_result *result)
{
	/* Acquire: what became of it. */
	return smp_load_acquire(&result->ended) || READ_ONCE(vm->ended);
}

/**
 * vsvm_job_wait - wait until a job has ended
 * @vm: its address space
 * @result: of the job
 *
 * For users only: the job may wait for them.
 *
 * Return: what it ended with, -ECANCELED if it never ran, or -EINTR.
 */
int vsvm_job_wait(struct vsvm_vm *vm, const struct vsvm_job_result *result)
{
	/* Not restarted: that would run the job once more. */
	if (wait_event_interruptible(vm->job_ended, vsvm_job_over(vm, result)))
		return -EINTR;
	/* Acquire: as above. */
	return smp_load_acquire(&result->ended) ? result->error : -ECANCELED;
}

/* In the interrupt. Once the fence is signalled the job may be gone. */
static void vsvm_job_done(struct vsvm_sub *sub)
{
	struct vsvm_job *job = container_of(sub, struct vsvm_job, sub);
	struct vsvm_queue *queue = job->queue;
	struct dma_fence *fence = job->fence;
	struct vsvm_vm *vm = queue->vm;
	const u64 now = ktime_get_ns();
	/* Jobs wait on the ring for those before. */
	const u64 since = max(job->start_ns, READ_ONCE(queue->busy_until));

	/* Those that end at a time may be told in any order. */
	if (now > since) {
		atomic64_add(now - since, &vm->busy_ns);
		WRITE_ONCE(queue->busy_until, now);
	}
	vsvm_stat_add(vm->vdev, VSVM_STAT_JOBS, 1);
	if (sub->error) {
		job->result->failed_kernel = sub->failed - sub->first;
		job->result->fault_addr = sub->result;
		vsvm_stat_add(vm->vdev, VSVM_STAT_JOBS_FAILED, 1);
		dma_fence_set_error(fence, sub->error);
	}
	vsvm_job_end(job, sub->error);
	dma_fence_signal(fence);
	/* The reference of vsvm_job_run(). */
	dma_fence_put(fence);
}

static u32 vsvm_queue_progress(struct vsvm_queue *queue)
{
	return READ_ONCE(queue->ring->seen) + atomic_read(&queue->served);
}

/* The next fence that a job waits for; the reference is the caller's. */
static struct dma_fence *vsvm_job_prepare(struct drm_sched_job *base,
					  struct drm_sched_entity *entity)
{
	struct vsvm_job *job = to_vsvm_job(base);

	return job->next_dep < job->num_deps ? job->dep[job->next_dep++] : NULL;
}

static struct dma_fence *vsvm_job_run(struct drm_sched_job *base)
{
	struct vsvm_job *job = to_vsvm_job(base);
	struct vsvm_queue *queue = job->queue;
	struct vsvm_vm *vm = queue->vm;
	int err = 0;

	if (READ_ONCE(vm->closed))
		err = -ECANCELED;
	else if (vsvm_vm_broken(vm))
		err = -EIO;
	if (err) {
		vsvm_job_end(job, err);
		return ERR_PTR(err);
	}
	dma_fence_init(job->fence, &vsvm_fence_ops, NULL, queue->fence_context,
		       ++queue->fence_seqno);
	job->start_ns = ktime_get_ns();
	job->progress = vsvm_queue_progress(queue);
	vsvm_sub_init(&job->sub, vsvm_job_done);
	/* One for vsvm_job_done(), one for the scheduler. */
	dma_fence_get(job->fence);
	dma_fence_get(job->fence);
	/* It may be done, but not freed: the scheduler does not know it yet. */
	vsvm_ring_write(queue->ring, &job->sub, job->cmd, job->num, true);
	if (vsvm_vm_broken(vm))
		vsvm_ring_cancel(queue->ring, job->sub.first, -EIO);
	return job->fence;
}

/* Does it wait for a fault of it to be served? */
static bool vsvm_queue_faults(struct vsvm_queue *queue)
{
	return READ_ONCE(queue->ring->hw->stalled) &&
	       work_busy(&queue->fault_work);
}

static bool vsvm_job_alive(struct vsvm_job *job)
{
	const u32 progress = vsvm_queue_progress(job->queue);

	if (job->extensions++ >= VSVM_JOB_EXTENSIONS)
		return false;
	if (progress == job->progress && !vsvm_queue_faults(job->queue))
		return false;
	job->progress = progress;
	return true;
}

/*
 * The scheduler takes the job back and frees it as usual: all it has to know is
 * the fence.
 */
static enum drm_gpu_sched_stat vsvm_job_timedout(struct drm_sched_job *base)
{
	struct vsvm_job *job = to_vsvm_job(base);
	struct vsvm_ring *ring = job->queue->ring;
	struct vsvm_vm *vm = job->queue->vm;

	if (!dma_fence_was_initialized(job->fence))
		return DRM_GPU_SCHED_STAT_NO_HANG;
	/* Was it but an interrupt that got lost? */
	vsvm_ring_irq(ring);
	if (dma_fence_is_signaled(job->fence) || vsvm_job_alive(job))
		return DRM_GPU_SCHED_STAT_NO_HANG;
	drm_warn(&vm->vdev->drm, "vm %u: job hangs, cancelled\n", vm->id);
	vsvm_ring_cancel(ring, job->sub.first, -ETIME);
	if (!dma_fence_wait_timeout(job->fence, false,
				    msecs_to_jiffies(VSVM_CANCEL_MS)))
		vsvm_ring_reset(ring, -ETIME);
	return DRM_GPU_SCHED_STAT_NO_HANG;
}

static bool vsvm_queues_empty(struct vsvm_vm *vm)
{
	unsigned int i;

	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		if (atomic_read(&vm->queue[i].jobs))
			return false;
	}
	return true;
}

static void vsvm_job_free(struct drm_sched_job *base)
{
	struct vsvm_job *job = to_vsvm_job(base);
	struct vsvm_queue *queue = job->queue;

	drm_sched_job_cleanup(base);
	if (!base->work.func) {
		vsvm_job_destroy(job);
		return;
	}
	/* A work item of the job, in a queue that nobody can flush: see below. */
	llist_add(&job->dead, &queue->vm->dead_jobs);
	vsvm_queue_leave(queue);
}

/*
 * Jobs that never ran are ended each by a work item of its own. Frees them when
 * these have returned: the module may go after that.
 */
static void vsvm_jobs_bury(struct vsvm_vm *vm)
{
	struct vsvm_job *job, *next;

	/* They wait for nothing. */
	wait_event(vm->job_ended, vsvm_queues_empty(vm));
	llist_for_each_entry_safe(job, next, llist_del_all(&vm->dead_jobs), dead) {
		flush_work(&job->base.work);
		vsvm_job_release(job);
	}
}

/* It was cancelled before; see that vsvm_job_done() is through with it. */
static void vsvm_job_cancel(struct drm_sched_job *base)
{
	struct vsvm_job *job = to_vsvm_job(base);

	if (dma_fence_was_initialized(job->fence))
		dma_fence_wait(job->fence, false);
}

static const struct drm_sched_backend_ops vsvm_sched_ops = {
	.prepare_job = vsvm_job_prepare,
	.run_job = vsvm_job_run,
	.timedout_job = vsvm_job_timedout,
	.free_job = vsvm_job_free,
	.cancel_job = vsvm_job_cancel,
};

static int vsvm_queue_init(struct vsvm_queue *queue)
{
	struct vsvm_device *vdev = queue->vm->vdev;
	const struct drm_sched_init_args args = {
		.ops = &vsvm_sched_ops,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = queue->ring->size,
		.timeout = msecs_to_jiffies(vdev->config.timeout_ms),
		.timeout_wq = vdev->timeout_wq,
		.name = VSVM_NAME,
		.dev = vdev->drm.dev,
	};
	struct drm_gpu_scheduler *sched = &queue->sched;
	int err;

	spin_lock_init(&queue->failure_lock);
	queue->fence_context = dma_fence_context_alloc(1);
	err = drm_sched_init(sched, &args);
	if (err)
		return err;
	err = drm_sched_entity_init(&queue->entity, DRM_SCHED_PRIORITY_NORMAL,
				    &sched, 1, NULL);
	if (err)
		drm_sched_fini(sched);
	return err;
}

static void vsvm_queues_fini(struct vsvm_vm *vm, unsigned int num)
{
	while (num--) {
		drm_sched_entity_fini(&vm->queue[num].entity);
		drm_sched_fini(&vm->queue[num].sched);
	}
}

/**
 * vsvm_sched_init - set up the schedulers of an address space
 * @vm: address space with queues
 *
 * Return: 0 or -ENOMEM.
 */
int vsvm_sched_init(struct vsvm_vm *vm)
{
	unsigned int i;
	int err;

	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		err = vsvm_queue_init(&vm->queue[i]);
		if (err) {
			vsvm_queues_fini(vm, i);
			return err;
		}
	}
	return 0;
}

static bool vsvm_queues_idle(struct vsvm_vm *vm)
{
	unsigned int i;

	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		if (!vsvm_ring_idle(vm->queue[i].ring))
			return false;
	}
	return true;
}

/**
 * vsvm_sched_kill - end all jobs and the schedulers
 * @vm: address space, closed for new jobs
 *
 * Those on the hardware end with -ECANCELED. A fault that is being served may
 * still be. On return there is no job any more.
 */
void vsvm_sched_kill(struct vsvm_vm *vm)
{
	struct vsvm_queue *queue = vm->queue;
	unsigned int ms, i;

	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		drm_sched_entity_fini(&queue[i].entity);
		/* No job gets to the ring any more. */
		drm_sched_wqueue_stop(&queue[i].sched);
		vsvm_ring_cancel_all(queue[i].ring, -ECANCELED);
	}
	for (ms = 0; ms < VSVM_CANCEL_MS && !vsvm_queues_idle(vm); ms++)
		usleep_range(500, 1000);
	for (i = 0; i < VSVM_VM_QUEUES; i++) {
		/* Does nothing with one that is idle. */
		vsvm_ring_reset(queue[i].ring, -ECANCELED);
		drm_sched_fini(&queue[i].sched);
	}
	vsvm_jobs_bury(vm);
	/* Release: what became of the others. */
	smp_store_release(&vm->ended, true);
	wake_up_all(&vm->job_ended);
}

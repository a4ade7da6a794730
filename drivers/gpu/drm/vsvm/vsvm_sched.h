/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Jobs. */
#ifndef _VSVM_SCHED_H_
#define _VSVM_SCHED_H_

#include <drm/gpu_scheduler.h>
#include <linux/dma-fence.h>
#include <linux/llist.h>
#include <linux/refcount.h>

#include "vsvm_ring.h"

struct drm_file;
struct vsvm_failure;
struct vsvm_queue;
struct vsvm_vm;

/* Jobs of a queue that have not ended. */
#define VSVM_MAX_JOBS	256

/* What became of a job; outlives it, for who waits. */
struct vsvm_job_result {
	refcount_t ref;
	bool ended;
	int error;
	u64 fault_addr;
	u32 failed_kernel;
};

/**
 * struct vsvm_job - kernels that run one after the other
 * @base: base
 * @sub: its commands on the ring
 * @dead: in vsvm_vm.dead_jobs, when it was killed before it ran
 * @queue: of an address space, which is referenced
 * @fence: of the hardware, allocated with the job, set up when it runs
 * @result: referenced
 * @number: among those of the queue, from 1
 * @dep: fences that it waits for, referenced, NULL when it did
 * @num_deps: how many
 * @next_dep: the first that it has not waited for
 * @start_ns: when it was given to the hardware
 * @progress: of the queue, when it was last looked at
 * @extensions: how often it was found to be slow, but alive
 * @num: number of commands
 * @cmd: the kernels, and the store of a user fence
 */
struct vsvm_job {
	struct drm_sched_job base;
	struct vsvm_sub sub;
	struct llist_node dead;
	struct vsvm_queue *queue;
	struct dma_fence *fence;
	struct vsvm_job_result *result;
	u64 number;
	struct dma_fence **dep;
	unsigned int num_deps;
	unsigned int next_dep;
	u64 start_ns;
	u32 progress;
	unsigned int extensions;
	u32 num;
	struct vsvm_hw_cmd cmd[] __counted_by(num);
};

struct vsvm_job *vsvm_job_create(struct vsvm_queue *queue,
				 struct drm_file *file, u32 num, u32 max_deps);
void vsvm_job_abort(struct vsvm_job *job);
void vsvm_job_result_put(struct vsvm_job_result *result);
int vsvm_job_wait(struct vsvm_vm *vm, const struct vsvm_job_result *result);
bool vsvm_queue_failure(struct vsvm_queue *queue, u64 job,
			struct vsvm_failure *failure);

#endif /* _VSVM_SCHED_H_ */

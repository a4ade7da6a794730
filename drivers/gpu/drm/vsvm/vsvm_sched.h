/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Jobs. */
#ifndef _VSVM_SCHED_H_
#define _VSVM_SCHED_H_

#include <drm/gpu_scheduler.h>
#include <linux/dma-fence.h>
#include <linux/refcount.h>

#include "vsvm_ring.h"

struct drm_file;
struct vsvm_queue;

/* What became of a job; outlives it, for who waits. */
struct vsvm_job_result {
	refcount_t ref;
	u64 fault_addr;
	u32 failed_kernel;
};

/**
 * struct vsvm_job - kernels that run one after the other
 * @base: base
 * @sub: its commands on the ring
 * @queue: of an address space, which is referenced
 * @fence: of the hardware, allocated with the job, set up when it runs
 * @result: referenced
 * @start_ns: when it was given to the hardware
 * @progress: of the queue, when it was last looked at
 * @extensions: how often it was found to be slow, but alive
 * @num: number of kernels
 * @cmd: the kernels
 */
struct vsvm_job {
	struct drm_sched_job base;
	struct vsvm_sub sub;
	struct vsvm_queue *queue;
	struct dma_fence *fence;
	struct vsvm_job_result *result;
	u64 start_ns;
	u32 progress;
	unsigned int extensions;
	u32 num;
	struct vsvm_hw_cmd cmd[] __counted_by(num);
};

struct vsvm_job *vsvm_job_create(struct vsvm_queue *queue,
				 struct drm_file *file, u32 num);
void vsvm_job_abort(struct vsvm_job *job);
void vsvm_job_result_put(struct vsvm_job_result *result);

#endif /* _VSVM_SCHED_H_ */

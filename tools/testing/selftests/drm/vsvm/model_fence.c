// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The model check: jobs that EXEC does not wait for, and their user fences, see
 * model.h.
 */
#include <string.h>

#include "model.h"

#define MAX_PENDING	3

/**
 * struct pending - a job that is queued, and has not been waited for
 * @x: what it fills
 * @value: with what
 * @fence: what it writes after that, a word of its own
 */
struct pending {
	struct part x;
	__u8 value;
	struct vt_ufence fence;
};

static int queue_fill(struct vt *t, struct pending *job, __u32 queue)
{
	const struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(job->x.p),
		.count = job->x.len,
		.arg = job->value,
	};
	struct drm_vsvm_exec exec = {
		.vm_id = t->vm,
		.num_kernels = 1,
		.kernels = vsvm_addr(&kernel),
		.queue = queue,
	};

	__atomic_fetch_add(&shared->jobs, 1, __ATOMIC_RELAXED);
	return vt_ufence_exec(t, &exec, &job->fence);
}

/*
 * The part in up to three pieces, each by a job of its own, so that queues that
 * work side by side meet in a page. @num: how many jobs there are, also if one more
 * was refused.
 */
static int queue_fills(struct walker *w, struct vt *t, const struct part *x,
		       struct pending *job, unsigned int *num)
{
	const unsigned int most = 1 + below(w, MAX_PENDING);
	const bool same = one_in(w, 3);
	__u32 queue = below(w, DRM_VSVM_NUM_QUEUES);
	size_t at = 0, len;
	int err = 0;

	for (*num = 0; *num < most && at < x->len; at += len, ++*num) {
		len = x->len - at;
		if (*num + 1 < most)
			len = 1 + below(w, len);
		job[*num] = (struct pending) {
			.x = { .p = x->p + at, .model = x->model + at, .len = len },
			.value = vt_random(&w->state),
			.fence.word = w->word + *num,
			.fence.value = w->word[*num],
		};
		if (!same)
			queue = below(w, DRM_VSVM_NUM_QUEUES);
		err = queue_fill(t, &job[*num], queue);
		if (err)
			break;
	}
	return err;
}

/* What a CPU does while the GPU is at work on @x, perhaps in the same pages. */
static int meanwhile(struct walker *w, const struct part *x)
{
	static const model_act act[] = {
		model_cpu_write, model_cpu_read, model_by_system_call,
		model_mm_advice,
	};
	struct part y;

	model_choose(w, &y, SIZE_BYTES);
	if ((y.p < x->p + x->len && x->p < y.p + y.len) ||
	    (w->child && !model_all_of_kind(&y, KIND_ANON)))
		return 0;
	return act[below(w, ARRAY_SIZE(act))](w, &y);
}

/*
 * What the job ended with, once it writes to nothing any more. It wrote its fence if,
 * and only if, that is 0.
 */
static int await(struct walker *w, struct vt *t, const struct model_hold *h,
		 const struct pending *job)
{
	int err = vt_ufence_wait_fault(t, &job->fence, FENCE_MS, &w->fault);
	const bool unknown = err == -ENODEV || err == -ENOENT;
	bool written;

	/* Its address space goes, or the device: that may not have come to the job. */
	if (unknown && model_await_end(h))
		return -ETIMEDOUT;
	written = *job->fence.word == job->fence.value;
	if (unknown && written)
		return 0;
	if (written == !err || err == -ETIMEDOUT)
		return err;
	fprintf(stderr, "# job: %s, but its fence is %llu, and was to become %llu\n",
		strerror(-err), *job->fence.word, job->fence.value);
	return -EPROTO;
}

/* All that was queued, from the first or the last. @ended: a job's error, if any. */
static int settle_all(struct walker *w, struct vt *t, const struct model_hold *h,
		      struct pending *job, unsigned int num, int *ended)
{
	const bool back = one_in(w, 2);
	unsigned int i;
	int err = 0;

	for (i = 0; i < num && !err; i++) {
		struct pending *next = &job[back ? num - 1 - i : i];
		int end = await(w, t, h, next);

		memset(w->fresh, next->value, next->x.len);
		err = model_settle(w, &next->x, end);
		/* At once: a fence that came too early is true a moment later. */
		err = err ?: model_check(&next->x);
		*ended = *ended ?: end;
	}
	return err;
}

int model_fence(struct walker *w, struct part *x)
{
	struct model_hold h = model_hold(w);
	struct vt t = { .dev.fd = h.fd, .vm = h.vm };
	struct pending job[MAX_PENDING];
	unsigned int num = 0;
	int ended, err;

	ended = h.fd < 0 ? -ENODEV : queue_fills(w, &t, x, job, &num);
	err = model_excuse(ended);
	if (!err && one_in(w, 2))
		err = meanwhile(w, x);
	err = err ?: settle_all(w, &t, &h, job, num, &ended);
	model_let_go(w, &h, ended);
	return err;
}

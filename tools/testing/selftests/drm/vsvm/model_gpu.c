// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The model check: what walkers have a GPU do, see model.h.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

/* Held for reading while a device's numbers are used, so that it stays open. */
static pthread_rwlock_t gpu_lock = PTHREAD_RWLOCK_INITIALIZER;

/*
 * Each large page of the region is hard in a way of its own, until walkers change
 * that: the second one is mapped in parts that begin inside of it, wherever it is;
 * the third one stays in RAM, where the GPU's writes have to outlive reclaim.
 */
static int begin_vm(int fd, __u32 *vm)
{
	const size_t len = 64 * KIB;
	__u8 *at = model.p + LARGE_PAGE;
	int err = vsvm_vm_create(fd, vm);

	for (; at < model.p + 2 * LARGE_PAGE && !err; at += 2 * len)
		err = vsvm_madvise(fd, *vm, at, len,
				   DRM_VSVM_MADVISE_GRANULARITY, len);
	return err ?: vsvm_madvise(fd, *vm, model.p + 2 * LARGE_PAGE, LARGE_PAGE,
				   DRM_VSVM_MADVISE_LOCATION,
				   DRM_VSVM_LOC_SYSTEM);
}

int model_gpu_open(struct model_gpu *gpu, unsigned int id, unsigned int vms)
{
	unsigned int i;
	int err = vsvm_open(&gpu->dev, id);

	if (err)
		return err;
	for (i = 0; i < vms && !err; i++)
		err = begin_vm(gpu->dev.fd, &gpu->vm[i]);
	if (vms == 1)
		gpu->vm[1] = gpu->vm[0];
	if (err)
		vsvm_close(&gpu->dev);
	return err;
}

void model_gpu_close(struct model_gpu *gpu)
{
	vsvm_close(&gpu->dev);
}

int model_gpu_child(void)
{
	unsigned int i;
	int err = 0;

	/* Another thread of the parent may have had it. */
	pthread_rwlock_init(&gpu_lock, NULL);
	for (i = 0; i < shared->gpus; i++)
		vsvm_close(&model.gpu[i].dev);
	for (i = 0; i < shared->gpus && !err; i++) {
		model.gpu[i].ending = 0;
		err = model_gpu_open(&model.gpu[i], i, 1);
	}
	return err;
}

/* The device is gone, or was: another one may be there by now. */
static void reopen(struct model_gpu *gpu, unsigned int id)
{
	struct drm_vsvm_device_info info;

	pthread_rwlock_wrlock(&gpu_lock);
	if (gpu->dev.fd >= 0 && vsvm_query_device(gpu->dev.fd, &info) == -ENODEV)
		vsvm_close(&gpu->dev);
	if (gpu->dev.fd < 0)
		model_gpu_open(gpu, id, 2);
	pthread_rwlock_unlock(&gpu_lock);
	vt_sleep_ms(5);
}

struct model_hold model_hold(struct walker *w)
{
	struct model_hold h = { .id = below(w, shared->gpus) };
	const struct model_gpu *gpu = &model.gpu[h.id];

	pthread_rwlock_rdlock(&gpu_lock);
	h.fd = gpu->dev.fd;
	h.vm = __atomic_load_n(&gpu->vm[below(w, 2)], __ATOMIC_RELAXED);
	return h;
}

void model_let_go(struct walker *w, const struct model_hold *h, int err)
{
	pthread_rwlock_unlock(&gpu_lock);
	w->history[w->steps % HISTORY].job = err;
	if (err && !model_excuse(err))
		__atomic_fetch_add(&shared->excused, 1, __ATOMIC_RELAXED);
	if (err == -ENODEV && shared->what & MODEL_UNBIND)
		reopen(&model.gpu[h->id], h->id);
}

int model_await_end(const struct model_hold *h)
{
	const __u64 end = vt_now_ms() + FENCE_MS;

	while (__atomic_load_n(&shared->leaving[h->id], __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&model.gpu[h->id].ending, __ATOMIC_ACQUIRE)) {
		if (vt_now_ms() > end)
			return -ETIMEDOUT;
		vt_sleep_ms(1);
	}
	return 0;
}

int model_excuse(int err)
{
	static const struct {
		int err;
		unsigned int what;
	} reason[] = {
		{ -ENODEV, MODEL_UNBIND },
		{ -EIO, MODEL_UNBIND },
		{ -ENOENT, MODEL_UNBIND | MODEL_VMS },
		{ -ECANCELED, MODEL_UNBIND | MODEL_VMS },
		{ -EREMOTEIO, MODEL_LINK },
		{ -ENOMEM, MODEL_CGROUP },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reason); i++)
		if (err == reason[i].err && shared->what & reason[i].what)
			return 0;
	return err;
}

int model_job(struct walker *w, struct drm_vsvm_kernel kernel)
{
	struct model_hold h = model_hold(w);
	struct drm_vsvm_exec exec = {
		.vm_id = h.vm,
		.flags = DRM_VSVM_EXEC_WAIT,
		.num_kernels = 1,
		.kernels = vsvm_addr(&kernel),
		.queue = below(w, DRM_VSVM_NUM_QUEUES),
	};
	int err;

	err = h.fd < 0 ? -ENODEV : vsvm_exec(h.fd, &exec);
	model_let_go(w, &h, err);
	w->fault = exec.fault_addr;
	__atomic_fetch_add(&shared->jobs, 1, __ATOMIC_RELAXED);
	return err;
}

int model_settle(struct walker *w, struct part *x, int err)
{
	size_t i;

	if (!err) {
		memcpy(x->model, w->fresh, x->len);
		return 0;
	}
	if (model_excuse(err)) {
		fprintf(stderr, "# job: %s, at 0x%llx\n", strerror(-err), w->fault);
		return err;
	}
	for (i = 0; i < x->len; i++) {
		__u8 byte = x->p[i];

		if (byte != x->model[i] && byte != w->fresh[i]) {
			fprintf(stderr,
				"# at %p, after a job that failed: expected 0x%02x or 0x%02x, found 0x%02x\n",
				x->p + i, x->model[i], w->fresh[i], byte);
			return -EILSEQ;
		}
		x->model[i] = byte;
	}
	return 0;
}

int model_gpu_fill(struct walker *w, struct part *x)
{
	const __u8 value = vt_random(&w->state);

	memset(w->fresh, value, x->len);
	return model_settle(w, x, model_job(w, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(x->p),
		.count = x->len,
		.arg = value,
	}));
}

int model_gpu_add(struct walker *w, struct part *x)
{
	const __u8 value = vt_random(&w->state);
	size_t i;

	for (i = 0; i < x->len; i++)
		w->fresh[i] = x->model[i] + value;
	return model_settle(w, x, model_job(w, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_ADD,
		.dst = vsvm_addr(x->p),
		.src = vsvm_addr(x->p),
		.count = x->len,
		.arg = value,
	}));
}

/* From another part of the walker's own. */
int model_gpu_copy(struct walker *w, struct part *x)
{
	struct part from;

	model_choose(w, &from, SIZE_BYTES);
	if (x->len > from.len)
		x->len = from.len;
	if ((from.p < x->p + x->len && x->p < from.p + x->len) ||
	    (w->child && !model_all_of_kind(&from, KIND_ANON)))
		return 0;
	memcpy(w->fresh, from.model, x->len);
	return model_settle(w, x, model_job(w, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_COPY,
		.dst = vsvm_addr(x->p),
		.src = vsvm_addr(from.p),
		.count = x->len,
	}));
}

/* What the GPU sees is what it copies to where nobody else is. */
int model_gpu_read(struct walker *w, struct part *x)
{
	__u8 *to = w->probe + vsvm_addr(x->p) % PAGE;
	int err = model_job(w, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_COPY,
		.dst = vsvm_addr(to),
		.src = vsvm_addr(x->p),
		.count = x->len,
	});

	if (!err)
		return vt_same(to, x->model, x->len);
	if (model_excuse(err))
		fprintf(stderr, "# GPU reads %p: %s at 0x%llx, probe %p\n", x->p,
			strerror(-err), w->fault, to);
	return model_excuse(err);
}

static __u32 any_location(struct walker *w)
{
	if (shared->gpus > 1 && one_in(w, 4))
		return DRM_VSVM_LOC_DEVICE_ID(below(w, shared->gpus));
	return one_in(w, 3) ? DRM_VSVM_LOC_SYSTEM : DRM_VSVM_LOC_DEVICE;
}

static int prefetch(struct walker *w, const struct part *x, __u32 location)
{
	struct model_hold h = model_hold(w);
	__u64 moved = 0, skipped = 0;
	int err;

	err = h.fd < 0 ? -ENODEV :
	      vsvm_prefetch(h.fd, h.vm, x->p, x->len, location, &moved, &skipped);
	model_let_go(w, &h, err);
	if (moved + skipped > x->pages) {
		fprintf(stderr, "# of %u pages, %llu moved and %llu were skipped\n",
			x->pages, moved, skipped);
		return -ERANGE;
	}
	/* There may be no link to where it should go. */
	return err == -ENXIO && shared->what & MODEL_LINK ? 0 : model_excuse(err);
}

int model_prefetch_own(struct walker *w, struct part *x)
{
	return prefetch(w, x, any_location(w));
}

/* Its owner may be just moving it: there is a hole then. */
int model_prefetch(struct walker *w, struct part *x)
{
	int err;

	model_anybody(w, x, REGION_PAGES);
	err = prefetch(w, x, any_location(w));
	return err == -EFAULT ? 0 : err;
}

/* A large page of the walker's own becomes one in VRAM, and the GPU works inside. */
int model_gpu_block(struct walker *w, struct part *x)
{
	const size_t at = below(w, BLOCK_PAGES) * PAGE;
	int err;

	if (x->pages != BLOCK_PAGES || !model_all_of_kind(x, KIND_ANON))
		return 0;
	err = model_unify(w, x) ?: prefetch(w, x, DRM_VSVM_LOC_DEVICE);
	if (err)
		return err;
	x->p += at;
	x->model += at;
	x->len = PAGE;
	return model_gpu_add(w, x);
}

static int prefetch_async(struct vt *t, struct walker *w, const struct part *x)
{
	__u32 syncobj;
	int err = vt_syncobj_create(t, &syncobj);

	if (err)
		return err;
	err = vsvm_prefetch_async(t->dev.fd, t->vm, x->p, x->len, any_location(w),
				  syncobj);
	if (!err && one_in(w, 2))
		err = vt_syncobj_wait(t, syncobj, 0, FENCE_MS);
	vt_syncobj_destroy(t, syncobj);
	return err;
}

int model_prefetch_async(struct walker *w, struct part *x)
{
	struct model_hold h = model_hold(w);
	struct vt t = { .dev.fd = h.fd, .vm = h.vm };
	int err;

	model_anybody(w, x, REGION_PAGES);
	err = h.fd < 0 ? -ENODEV : prefetch_async(&t, w, x);
	model_let_go(w, &h, err);
	return err == -EFAULT || (err == -ENXIO && shared->what & MODEL_LINK) ?
	       0 : model_excuse(err);
}

int model_gpu_advice(struct walker *w, struct part *x)
{
	static const __u32 granularity[] = { PAGE, 64 * KIB, LARGE_PAGE };
	const __u32 type = below(w, 3);
	__u32 value = below(w, 3);
	struct model_hold h = model_hold(w);
	int err;

	if (type == DRM_VSVM_MADVISE_LOCATION)
		value = any_location(w);
	else if (type == DRM_VSVM_MADVISE_GRANULARITY)
		value = granularity[value];
	model_anybody(w, x, REGION_PAGES);
	err = h.fd < 0 ? -ENODEV :
	      vsvm_madvise(h.fd, h.vm, x->p, x->len, type, value);
	model_let_go(w, &h, err);
	return err == -ENXIO && shared->what & MODEL_LINK ? 0 : model_excuse(err);
}

/*
 * Best effort; and there may be a hole. Not where memory is reclaimed: mm warns
 * when it asks whether a large page was used a part of which is a device's alone.
 */
int model_exclusive(struct walker *w, struct part *x)
{
	struct model_hold h;
	int err;

	if (shared->what & MODEL_CGROUP)
		return 0;
	h = model_hold(w);
	model_anybody(w, x, 128);
	err = h.fd < 0 ? -ENODEV :
	      vsvm_exclusive(h.fd, h.vm, x->p, x->len, NULL);
	model_let_go(w, &h, err);
	return err == -EFAULT || err == -ENOSPC ? 0 : model_excuse(err);
}

int model_evict(struct walker *w, struct part *x)
{
	int err;

	(void)x;
	if (!(shared->what & MODEL_EVICT))
		return 0;
	err = vsvm_evict(&model.gpu[below(w, shared->gpus)].dev);
	/* Something of it may be in somebody's hands, or the device gone. */
	return err == -EBUSY || err == -EAGAIN || shared->what & MODEL_UNBIND ?
	       0 : model_excuse(err);
}

static void change_mode(struct walker *w)
{
	struct model_hold h = model_hold(w);
	int err;

	err = h.fd < 0 ? -ENODEV :
	      vsvm_madvise(h.fd, h.vm, model.counter, COUNTER_PAGES * PAGE,
			   DRM_VSVM_MADVISE_ATOMIC, below(w, 3));
	model_let_go(w, &h, err);
}

/* CPUs and GPUs add to the same counters, in all modes. */
int model_count(struct walker *w, struct part *x)
{
	const unsigned int i = below(w, COUNTERS), n = 1 + below(w, 50);
	__u64 *counter = (__u64 *)(model.counter + i * 776);
	const __u64 value = 1 + below(w, 9);
	unsigned int k;
	int err = 0;

	(void)x;
	if (one_in(w, 8))
		change_mode(w);
	__atomic_fetch_add(&model.high[i], n * value, __ATOMIC_SEQ_CST);
	if (one_in(w, 2)) {
		for (k = 0; k < n; k++)
			__atomic_fetch_add(counter, value, __ATOMIC_SEQ_CST);
	} else {
		err = model_job(w, (struct drm_vsvm_kernel) {
			.op = DRM_VSVM_OP_ATOMIC_ADD,
			.dst = vsvm_addr(counter),
			.count = n,
			.arg = value,
		});
	}
	if (!err)
		__atomic_fetch_add(&model.low[i], n * value, __ATOMIC_SEQ_CST);
	/* In a fight for the page, it may give up; so it may without VRAM. */
	return err == -EACCES || err == -ENOSPC ? 0 : model_excuse(err);
}

int model_counters_check(void)
{
	unsigned int i;
	__u64 value;

	for (i = 0; i < COUNTERS; i++) {
		value = *(__u64 *)(model.counter + i * 776);
		if (value >= model.low[i] && value <= model.high[i])
			continue;
		fprintf(stderr, "# counter %u at %p: expected %llu to %llu, found %llu\n",
			i, model.counter + i * 776, model.low[i], model.high[i],
			value);
		return -EILSEQ;
	}
	return 0;
}

/* One quarter of a page that four walkers share. */
int model_quarter(struct walker *w, struct part *x)
{
	static const model_act act[] = {
		model_cpu_write, model_cpu_read, model_gpu_fill, model_gpu_add,
		model_gpu_read,
	};
	const size_t len = PAGE / 4;
	const size_t at = below(w, QUARTER_PAGES) * PAGE + w->id * len;

	*x = (struct part) {
		.p = model.quarter + at,
		.model = model.quarter_model + at,
		.len = len,
	};
	return act[below(w, ARRAY_SIZE(act))](w, x);
}

/* The old one goes under whatever others run on it. */
int model_new_vm(struct walker *w, struct part *x)
{
	struct model_gpu *gpu;
	__u32 old, vm, *slot;
	struct model_hold h;
	int err;

	(void)x;
	if (!(shared->what & MODEL_VMS))
		return 0;
	h = model_hold(w);
	gpu = &model.gpu[h.id];
	slot = &gpu->vm[below(w, 2)];
	err = h.fd < 0 ? -ENODEV : begin_vm(h.fd, &vm);
	if (!err) {
		old = __atomic_exchange_n(slot, vm, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&gpu->ending, 1, __ATOMIC_SEQ_CST);
		err = vsvm_vm_destroy(h.fd, old);
		__atomic_fetch_sub(&gpu->ending, 1, __ATOMIC_SEQ_CST);
	}
	model_let_go(w, &h, err);
	return model_excuse(err);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Jobs: each operation against what the CPU computes, jobs of several kernels,
 * fences in and out, jobs beside each other, and jobs that hang.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(2 * MIB)
#define PAGE	vsvm_page_size()
#define ROUNDS	12

FIXTURE(exec) {
	struct vt t;
	struct vt_buf a;
	struct vt_buf b;
	__u64 seed;
};

FIXTURE_SETUP(exec)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->a, LEN, VT_SMALL));
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_HOLES));
	self->seed = vt_seed();
}

FIXTURE_TEARDOWN(exec)
{
	vt_close(&self->t);
}

/* A random part of both buffers. */
struct part {
	size_t a;
	size_t b;
	size_t count;
};

static struct part random_part(__u64 *seed, size_t size)
{
	/* Mostly small: edges and page crossings are what goes wrong. */
	size_t limit = vt_random_below(seed, 4) ? 3 * PAGE : LEN / 2;
	struct part part = {
		.a = vt_random_below(seed, LEN / 2 / size) * size,
		.b = vt_random_below(seed, LEN / 2 / size) * size,
		.count = 1 + vt_random_below(seed, limit / size),
	};

	return part;
}

static int run(struct vt *t, __u32 op, void *dst, const void *src,
	       __u64 count, __u64 arg)
{
	const struct drm_vsvm_kernel kernel = {
		.op = op,
		.dst = vsvm_addr(dst),
		.src = vsvm_addr(src),
		.count = count,
		.arg = arg,
	};

	return vsvm_run(t->dev.fd, t->vm, &kernel, 1, &t->last);
}

TEST_F_TIMEOUT(exec, op_fill, SECONDS)
{
	struct part part;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		part = random_part(&self->seed, 1);
		memset(self->a.model + part.a, i, part.count);
		ASSERT_EQ(0, run(&self->t, DRM_VSVM_OP_FILL,
				 self->a.p + part.a, NULL, part.count,
				 0x12300 + i));
	}
	ASSERT_EQ(0, vt_buf_check(&self->a));
}

TEST_F_TIMEOUT(exec, op_copy, SECONDS)
{
	struct part part;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		part = random_part(&self->seed, 1);
		memcpy(self->b.model + part.b, self->a.model + part.a,
		       part.count);
		ASSERT_EQ(0, run(&self->t, DRM_VSVM_OP_COPY,
				 self->b.p + part.b, self->a.p + part.a,
				 part.count, 0));
	}
	ASSERT_EQ(0, vt_buf_check(&self->a));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Ranges that touch but do not overlap, and a range onto itself. */
TEST_F_TIMEOUT(exec, op_copy_edges, SECONDS)
{
	struct vt *t = &self->t;
	__u8 *p = self->a.p, *model = self->a.model;

	memcpy(model + 1000, model, 1000);
	ASSERT_EQ(0, run(t, DRM_VSVM_OP_COPY, p + 1000, p, 1000, 0));
	memcpy(model + 4000, model + 5000, 1000);
	ASSERT_EQ(0, run(t, DRM_VSVM_OP_COPY, p + 4000, p + 5000, 1000, 0));
	ASSERT_EQ(0, run(t, DRM_VSVM_OP_COPY, p + 3, p + 3, PAGE, 0));
	ASSERT_EQ(0, vt_buf_check(&self->a));
}

TEST_F_TIMEOUT(exec, op_add, SECONDS)
{
	struct part part;
	size_t j;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		part = random_part(&self->seed, 1);
		for (j = 0; j < part.count; j++)
			self->b.model[part.b + j] =
				self->a.model[part.a + j] + i + 250;
		ASSERT_EQ(0, run(&self->t, DRM_VSVM_OP_ADD,
				 self->b.p + part.b, self->a.p + part.a,
				 part.count, i + 250));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(exec, op_saxpy, SECONDS)
{
	struct part part;
	__u32 *x, *y, factor;
	size_t j;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		part = random_part(&self->seed, sizeof(*x));
		factor = vt_random(&self->seed);
		x = (__u32 *)(self->a.model + part.a);
		y = (__u32 *)(self->b.model + part.b);
		for (j = 0; j < part.count; j++)
			y[j] += factor * x[j];
		ASSERT_EQ(0, run(&self->t, DRM_VSVM_OP_SAXPY,
				 self->b.p + part.b, self->a.p + part.a,
				 part.count, factor));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Results replace what was there, also over the end of a page. */
TEST_F_TIMEOUT(exec, op_histogram, SECONDS)
{
	struct part part;
	__u64 *counts;
	size_t j;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		part = random_part(&self->seed, 8);
		counts = (__u64 *)(self->b.model + part.b);
		memset(counts, 0, 256 * sizeof(*counts));
		for (j = 0; j < part.count; j++)
			counts[self->a.model[part.a + 1 + j]]++;
		ASSERT_EQ(0, run(&self->t, DRM_VSVM_OP_HISTOGRAM,
				 self->b.p + part.b, self->a.p + part.a + 1,
				 part.count, 0));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(exec, op_sum, SECONDS)
{
	struct part part;
	__u64 *sum;
	size_t j;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		part = random_part(&self->seed, 8);
		sum = (__u64 *)(self->b.model + part.b);
		*sum = 0;
		for (j = 0; j < part.count; j++)
			*sum += self->a.model[part.a + 1 + j];
		ASSERT_EQ(0, run(&self->t, DRM_VSVM_OP_SUM,
				 self->b.p + part.b, self->a.p + part.a + 1,
				 part.count, 0));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Nodes in shuffled order all over the buffer. */
#define NODES	512

static __u64 *make_list(struct vt_buf *b, __u64 seed, __u64 *values)
{
	__u64 *node[NODES], *swap;
	size_t i, j, stride = b->len / NODES;

	for (i = 0; i < NODES; i++)
		node[i] = (__u64 *)(b->p + i * stride);
	for (i = NODES - 1; i > 0; i--) {
		j = vt_random_below(&seed, i + 1);
		swap = node[i];
		node[i] = node[j];
		node[j] = swap;
	}
	for (i = 0; i < NODES; i++) {
		node[i][0] = i + 1 < NODES ? vsvm_addr(node[i + 1]) : 0;
		values[i] = vt_random(&seed);
		node[i][3] = values[i];
	}
	return node[0];
}

TEST_F_TIMEOUT(exec, op_chase, SECONDS)
{
	const size_t limits[] = { 0, 1, 2, NODES - 1, NODES, NODES + 1 };
	__u64 values[NODES], sum, *head;
	__u64 *result = (__u64 *)self->a.p;
	size_t i, j, nodes;

	head = make_list(&self->b, self->seed, values);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		nodes = limits[i] && limits[i] < NODES ? limits[i] : NODES;
		for (j = 0, sum = 0; j < nodes; j++)
			sum += values[j];
		ASSERT_EQ(0, run(&self->t, DRM_VSVM_OP_CHASE, result, head,
				 limits[i], 3 * sizeof(*head)));
		ASSERT_EQ(nodes, result[0]);
		ASSERT_EQ(sum, result[1]);
	}
}

/* A pointer that leads nowhere is reported, and not where it was read. */
TEST_F_TIMEOUT(exec, op_chase_dangling, SECONDS)
{
	__u64 *node = (__u64 *)self->b.p;

	node[0] = vsvm_addr(&node[1024]);
	node[1024] = 0x12345678;
	ASSERT_EQ(-EFAULT, run(&self->t, DRM_VSVM_OP_CHASE, self->a.p, node, 0,
			       sizeof(*node)));
	EXPECT_EQ(0x12345678u, self->t.last.fault_addr);
}

/* Each kernel uses the result of the one before. */
TEST_F_TIMEOUT(exec, several_kernels, SECONDS)
{
	struct drm_vsvm_kernel k[DRM_VSVM_MAX_KERNELS] = {};
	__u64 *sum = (__u64 *)self->b.p;
	unsigned int i, last = ARRAY_SIZE(k) - 1;

	for (i = 0; i < last; i++) {
		k[i].op = i ? DRM_VSVM_OP_ADD : DRM_VSVM_OP_FILL;
		k[i].dst = vsvm_addr(self->a.p + i * PAGE);
		k[i].src = i ? vsvm_addr(self->a.p + (i - 1) * PAGE) : 0;
		k[i].count = PAGE;
		k[i].arg = i ? 2 : 1;
		memset(self->a.model + i * PAGE, 1 + 2 * i, PAGE);
	}
	k[last].op = DRM_VSVM_OP_SUM;
	k[last].dst = vsvm_addr(sum);
	k[last].src = k[last - 1].dst;
	k[last].count = PAGE;
	ASSERT_EQ(0, vsvm_run(self->t.dev.fd, self->t.vm, k, ARRAY_SIZE(k),
			      NULL));
	EXPECT_EQ((1 + 2 * (last - 1)) * PAGE, *sum);
	ASSERT_EQ(0, vt_buf_check(&self->a));
}

static struct drm_vsvm_kernel add_kernel(const struct vt_buf *b)
{
	return (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_ADD,
		.dst = vsvm_addr(b->p),
		.src = vsvm_addr(b->p),
		.count = b->len,
		.arg = 1,
	};
}

static void model_add(struct vt_buf *b, __u8 value)
{
	size_t i;

	for (i = 0; i < b->len; i++)
		b->model[i] += value;
}

/* Jobs of one address space run in the order in which they came. */
TEST_F_TIMEOUT(exec, in_order, SECONDS)
{
	struct vt *t = &self->t;
	struct drm_vsvm_kernel k = { .op = DRM_VSVM_OP_FILL };
	struct vt_ufence out;
	int i, jobs = 20;

	ASSERT_EQ(0, vt_ufence_create(&out));
	k.dst = vsvm_addr(self->a.p);
	for (i = 0; i < jobs; i++) {
		k.count = LEN - i * PAGE;
		k.arg = i;
		memset(self->a.model, i, k.count);
		ASSERT_EQ(0, vt_submit(t, t->vm, &k, 1, &out));
	}
	ASSERT_EQ(0, vt_ufence_wait(t, &out, 20000));
	ASSERT_EQ(0, vt_buf_check(&self->a));
	vt_ufence_destroy(&out);
}

TEST_F_TIMEOUT(exec, user_fence_has_the_error, SECONDS)
{
	struct vt *t = &self->t;
	struct drm_vsvm_kernel k = {
		.op = DRM_VSVM_OP_FILL,
		.dst = 0x1000,
		.count = 1,
	};
	struct vt_ufence out;

	ASSERT_EQ(0, vt_ufence_create(&out));
	ASSERT_EQ(0, vt_submit(t, t->vm, &k, 1, &out));
	ASSERT_EQ(-EFAULT, vt_ufence_wait(t, &out, 20000));
	EXPECT_EQ(0u, *out.word);
	/* The next job is none the worse for it. */
	k = add_kernel(&self->a);
	ASSERT_EQ(0, vt_submit(t, t->vm, &k, 1, &out));
	ASSERT_EQ(0, vt_ufence_wait(t, &out, 20000));
	EXPECT_EQ(2u, *out.word);
	model_add(&self->a, 1);
	ASSERT_EQ(0, vt_buf_check(&self->a));
	vt_ufence_destroy(&out);
}

/* A fence of somebody else holds a job back, also when its address space goes. */
TEST_F_TIMEOUT(exec, in_fence, SECONDS)
{
	struct drm_vsvm_kernel k = add_kernel(&self->a);
	struct drm_vsvm_sync in = {};
	struct vt *t = &self->t;
	struct drm_vsvm_exec exec = {
		.num_kernels = 1,
		.num_syncs = 1,
		.kernels = vsvm_addr(&k),
		.syncs = vsvm_addr(&in),
	};
	struct vt_ufence out;
	struct vt_hold hold;
	__u32 vm[2];
	__u64 start;
	int i;

	ASSERT_EQ(0, vt_ufence_create(&out));
	ASSERT_EQ(0, vt_syncobj_create(t, &in.handle));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vt_hold(&hold));
		ASSERT_EQ(0, vt_hold_syncobj(&hold, t, in.handle));
		ASSERT_EQ(0, vsvm_vm_create(t->dev.fd, &vm[i]));
		exec.vm_id = vm[i];
		ASSERT_EQ(0, vt_ufence_exec(t, &exec, &out));
		EXPECT_EQ(-ETIMEDOUT, vt_ufence_wait(t, &out, 300));
		ASSERT_EQ(0, vt_buf_check(&self->a));
		if (i)
			break;
		vt_hold_end(&hold);
		ASSERT_EQ(0, vt_ufence_wait(t, &out, 20000));
		model_add(&self->a, 1);
		ASSERT_EQ(0, vt_buf_check(&self->a));
	}
	/* Nobody waits for the other driver. */
	start = vt_now_ms();
	ASSERT_EQ(0, vsvm_vm_destroy(t->dev.fd, vm[1]));
	EXPECT_GT(start + 4000, vt_now_ms());
	vt_hold_end(&hold);
	ASSERT_EQ(0, vt_buf_check(&self->a));
	vt_ufence_destroy(&out);
}

/* Two address spaces work at once, each on memory of its own. */
TEST_F_TIMEOUT(exec, side_by_side, SECONDS)
{
	struct vt_ufence out[2];
	struct vt_buf *b[2] = { &self->a, &self->b };
	struct vt *t = &self->t;
	__u32 vm[2] = { t->vm };
	int i, j;

	ASSERT_EQ(0, vsvm_vm_create(t->dev.fd, &vm[1]));
	ASSERT_EQ(0, vt_ufence_create(&out[0]));
	ASSERT_EQ(0, vt_ufence_create(&out[1]));
	for (j = 0; j < 8; j++) {
		for (i = 0; i < 2; i++) {
			struct drm_vsvm_kernel k = add_kernel(b[i]);

			ASSERT_EQ(0, vt_submit(t, vm[i], &k, 1, &out[i]));
			model_add(b[i], 1);
		}
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vt_ufence_wait(t, &out[i], 30000));
		ASSERT_EQ(0, vt_buf_check(b[i]));
	}
}

/* A job that ends with an endless kernel, and somebody who waits for it. */
struct waiter {
	struct vt *t;
	struct drm_vsvm_exec exec;
	struct drm_vsvm_kernel k[2];
	int err;
	bool done;
};

static void *wait_for_job(void *arg)
{
	struct waiter *w = arg;

	w->err = vsvm_exec(w->t->dev.fd, &w->exec);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void make_endless(struct waiter *w, struct vt *t, __u32 vm,
			 struct vt_buf *b)
{
	*w = (struct waiter){ .t = t };
	w->k[0] = add_kernel(b);
	vt_endless(&w->k[1], aligned_alloc(PAGE, PAGE));
	w->exec.vm_id = vm;
	w->exec.flags = DRM_VSVM_EXEC_WAIT;
	w->exec.num_kernels = ARRAY_SIZE(w->k);
	w->exec.kernels = vsvm_addr(w->k);
}

/* Timed out, without hurting others; waiter and user fence are told. */
TEST_F_TIMEOUT(exec, hung_job, 2 * SECONDS)
{
	struct vt *t = &self->t, other;
	long limit = vt_parameter("timeout_ms");
	struct vt_ufence out;
	pthread_t thread;
	struct waiter w;
	int jobs = 0;
	__u64 end;

	ASSERT_LT(0, limit);
	ASSERT_EQ(0, vt_open(&other));
	ASSERT_EQ(0, vt_ufence_create(&out));
	make_endless(&w, t, t->vm, &self->a);
	w.exec.flags |= DRM_VSVM_EXEC_FENCE;
	w.exec.fence_addr = vsvm_addr(out.word);
	w.exec.fence_value = 1;
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_job, &w));
	end = vt_now_ms() + 3 * limit + 10000;
	while (!__atomic_load_n(&w.done, __ATOMIC_ACQUIRE)) {
		ASSERT_GT(end, vt_now_ms());
		ASSERT_EQ(0, vt_buf_add(&other, &self->b, 0, 64 * KIB, 1));
		jobs++;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(-ETIME, w.err);
	EXPECT_EQ(1u, w.exec.failed_kernel);
	out.value = 1;
	out.vm = t->vm;
	out.job = w.exec.job;
	EXPECT_EQ(-ETIME, vt_ufence_status(t, &out));
	EXPECT_EQ(0u, *out.word);
	EXPECT_LT(0, jobs);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	/* The address space itself is none the worse for it, either. */
	ASSERT_EQ(0, vt_buf_add(t, &self->a, 0, LEN, 1));
	model_add(&self->a, 1);
	ASSERT_EQ(0, vt_buf_check(&self->a));
	vt_close(&other);
}

TEST_F_TIMEOUT(exec, destroyed_under_a_job, SECONDS)
{
	struct drm_vsvm_kernel k;
	struct vt *t = &self->t;
	struct vt_ufence out;
	__u32 vm;

	ASSERT_EQ(0, vt_ufence_create(&out));
	vt_endless(&k, aligned_alloc(PAGE, PAGE));
	ASSERT_EQ(0, vsvm_vm_create(t->dev.fd, &vm));
	ASSERT_EQ(0, vt_submit(t, vm, &k, 1, &out));
	vt_sleep_ms(200);
	ASSERT_EQ(0, vt_ufence_status(t, &out));
	ASSERT_EQ(0, vsvm_vm_destroy(t->dev.fd, vm));
	EXPECT_EQ(-ENOENT, vt_ufence_status(t, &out));
	EXPECT_EQ(0u, *out.word);
	EXPECT_EQ(-ENOENT, vsvm_vm_destroy(t->dev.fd, vm));
	ASSERT_EQ(0, vt_buf_add(t, &self->a, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(&self->a));
}

/* One that waits in EXEC is told, too. */
TEST_F_TIMEOUT(exec, destroyed_under_a_waiter, SECONDS)
{
	pthread_t thread;
	struct waiter w;
	__u32 vm;

	ASSERT_EQ(0, vsvm_vm_create(self->t.dev.fd, &vm));
	make_endless(&w, &self->t, vm, &self->a);
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_job, &w));
	vt_sleep_ms(300);
	ASSERT_EQ(0, vsvm_vm_destroy(self->t.dev.fd, vm));
	pthread_join(thread, NULL);
	EXPECT_EQ(-ECANCELED, w.err);
}

static int alarms;

static void count_alarm(int number)
{
	(void)number;
	__atomic_add_fetch(&alarms, 1, __ATOMIC_RELAXED);
}

/*
 * A signal ends the wait, not the job. The system call must not be started
 * again behind the program's back: the job would run twice.
 */
TEST_F_TIMEOUT(exec, signal_does_not_repeat_a_job, SECONDS)
{
	struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = {};
	struct sigaction action = {
		.sa_handler = count_alarm,
		.sa_flags = SA_RESTART,
	};
	struct drm_vsvm_kernel k = add_kernel(&self->a);
	struct drm_vsvm_exec exec = {
		.vm_id = self->t.vm,
		.flags = DRM_VSVM_EXEC_WAIT,
		.num_kernels = 1,
		.kernels = vsvm_addr(&k),
	};
	struct vt *t = &self->t;
	struct vt_ufence out;
	int i, err;

	ASSERT_EQ(0, vt_ufence_create(&out));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (i = 0; i < 4; i++) {
		setitimer(ITIMER_REAL, &often, NULL);
		err = vt_ufence_exec(t, &exec, &out);
		setitimer(ITIMER_REAL, &never, NULL);
		ASSERT_TRUE(!err || err == -EINTR);
		/* No number: the signal came before there was a job. */
		if (exec.job) {
			ASSERT_EQ(0, vt_ufence_wait(t, &out, 20000));
			model_add(&self->a, 1);
		}
		/* Also brings the pages home, so that the next job takes long. */
		ASSERT_EQ(0, vt_buf_check(&self->a)) TH_LOG("job %d", i);
	}
	EXPECT_LT(0, __atomic_load_n(&alarms, __ATOMIC_RELAXED));
}

TEST_HARNESS_MAIN

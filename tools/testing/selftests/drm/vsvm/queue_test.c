// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The queues of an address space: they work side by side, fault at the same
 * places, hang without a word to each other, and share translations, so that
 * an invalidation must reach all of them. With a fault FIFO of a few places
 * ("modprobe vsvm fault_entries=1") records get lost and must come back.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(60)
#define QUEUES		DRM_VSVM_NUM_QUEUES
#define LEN		vt_scaled(2 * MIB)
#define PAGE		vsvm_page_size()
#define WAIT_MS		vt_timeout(30000)

FIXTURE(queue) {
	struct vt t;
	struct vt_buf b;
	struct drm_vsvm_stats before;
	struct vt_ufence out[QUEUES];
};

FIXTURE_SETUP(queue)
{
	int i, err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &self->before));
	for (i = 0; i < QUEUES; i++)
		ASSERT_EQ(0, vt_ufence_create(&self->out[i]));
}

FIXTURE_TEARDOWN(queue)
{
	vt_close(&self->t);
}

static struct drm_vsvm_stats stats_since(struct vt *t,
					 const struct drm_vsvm_stats *before)
{
	struct drm_vsvm_stats now = {};

	vsvm_query_stats(t->dev.fd, &now);
	vsvm_stats_sub(&now, before);
	return now;
}

/* Without waiting; @out, if not NULL, gets the job's end. */
static int submit_to(struct vt *t, __u32 queue, struct vt_ufence *out,
		     const struct drm_vsvm_kernel *kernels, unsigned int num)
{
	struct drm_vsvm_exec exec = {
		.vm_id = t->vm,
		.queue = queue,
		.num_kernels = num,
		.kernels = vsvm_addr(kernels),
	};

	return out ? vt_ufence_exec(t, &exec, out) : vsvm_exec(t->dev.fd, &exec);
}

static struct drm_vsvm_kernel add_part(const struct vt_buf *b, size_t offset,
				       size_t len)
{
	return (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_ADD,
		.dst = vsvm_addr(b->p + offset),
		.src = vsvm_addr(b->p + offset),
		.count = len,
		.arg = 1,
	};
}

static void model_add(struct vt_buf *b, size_t offset, size_t len)
{
	size_t i;

	for (i = offset; i < offset + len; i++)
		b->model[i]++;
}

/* Each on a part of its own, without an order between them. */
TEST_F_TIMEOUT(queue, parts, SECONDS)
{
	const size_t part = LEN / QUEUES;
	unsigned int round, i;

	for (round = 0; round < 8; round++) {
		for (i = 0; i < QUEUES; i++) {
			struct drm_vsvm_kernel k =
				add_part(&self->b, i * part, part);

			ASSERT_EQ(0, submit_to(&self->t, i, &self->out[i], &k, 1));
			model_add(&self->b, i * part, part);
		}
	}
	for (i = 0; i < QUEUES; i++) {
		ASSERT_EQ(0, vt_ufence_wait(&self->t, &self->out[i], WAIT_MS));
		EXPECT_EQ(1, vt_ufence_status(&self->t, &self->out[i]));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Jobs of one queue need no fence between them to be in order. */
TEST_F_TIMEOUT(queue, order_within, SECONDS)
{
	struct drm_vsvm_kernel k[2];
	unsigned int i;

	for (i = 0; i < 16; i++) {
		k[0] = (struct drm_vsvm_kernel) {
			.op = DRM_VSVM_OP_FILL,
			.dst = vsvm_addr(self->b.p),
			.count = LEN,
			.arg = i,
		};
		k[1] = add_part(&self->b, 0, LEN);
		ASSERT_EQ(0, submit_to(&self->t, 3, NULL, &k[0], 1));
		ASSERT_EQ(0, submit_to(&self->t, 3, &self->out[3], &k[1], 1));
	}
	ASSERT_EQ(0, vt_ufence_wait(&self->t, &self->out[3], WAIT_MS));
	ASSERT_EQ(0, vt_all(self->b.p, 16, LEN));
}

/* A fence is what puts jobs of two queues in order. */
TEST_F_TIMEOUT(queue, order_between, SECONDS)
{
	const struct drm_vsvm_kernel fill = {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(self->b.p),
		.count = LEN,
		.arg = 7,
	};
	const struct drm_vsvm_kernel add = add_part(&self->b, 0, LEN);

	ASSERT_EQ(0, submit_to(&self->t, 0, &self->out[0], &fill, 1));
	ASSERT_EQ(0, vt_ufence_wait(&self->t, &self->out[0], WAIT_MS));
	ASSERT_EQ(0, submit_to(&self->t, 1, &self->out[1], &add, 1));
	ASSERT_EQ(0, vt_ufence_wait(&self->t, &self->out[1], WAIT_MS));
	ASSERT_EQ(0, vt_all(self->b.p, 8, LEN));
}

/*
 * All read the same pages, which the GPU has not seen yet. They start while the
 * first fault is served, so most of what they raise is answered by it.
 */
TEST_F_TIMEOUT(queue, same_pages, SECONDS)
{
	struct vt_buf sums;
	struct drm_vsvm_stats s;
	unsigned int round, i;
	__u64 expected = 0;
	size_t at;

	for (at = 0; at < LEN; at++)
		expected += self->b.model[at];
	ASSERT_EQ(0, vt_buf_map(&sums, QUEUES * PAGE, VT_SMALL));
	for (round = 0; round < 8; round++) {
		for (i = 0; i < QUEUES; i++) {
			const struct drm_vsvm_kernel k = {
				.op = DRM_VSVM_OP_SUM,
				.dst = vsvm_addr(sums.p + i * PAGE),
				.src = vsvm_addr(self->b.p),
				.count = LEN,
			};

			ASSERT_EQ(0, submit_to(&self->t, i, &self->out[i], &k, 1));
		}
		for (i = 0; i < QUEUES; i++)
			ASSERT_EQ(0, vt_ufence_wait(&self->t, &self->out[i], WAIT_MS));
		for (i = 0; i < QUEUES; i++)
			ASSERT_EQ(expected, *(__u64 *)(sums.p + i * PAGE));
		/* Home, so that the next round faults again. */
		ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p,
					   LEN, DRM_VSVM_LOC_SYSTEM, NULL, NULL));
	}
	s = stats_since(&self->t, &self->before);
	EXPECT_EQ(0u, s.gpu_faults_failed);
	EXPECT_LT(0u, s.gpu_faults_merged);
	EXPECT_GE(s.gpu_faults, s.gpu_faults_merged);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* A bad address ends one job; the others fault beside it and go on. */
TEST_F_TIMEOUT(queue, one_fails, SECONDS)
{
	void *bad = vt_map_aligned(PAGE, PROT_NONE, MAP_PRIVATE);
	unsigned int i;

	ASSERT_NE(NULL, bad);
	for (i = 0; i < QUEUES; i++) {
		struct drm_vsvm_kernel k =
			add_part(&self->b, i * LEN / QUEUES, LEN / QUEUES);

		if (i == 2)
			k.src = vsvm_addr(bad);
		else
			model_add(&self->b, i * LEN / QUEUES, LEN / QUEUES);
		ASSERT_EQ(0, submit_to(&self->t, i, &self->out[i], &k, 1));
	}
	for (i = 0; i < QUEUES; i++) {
		ASSERT_EQ(i == 2 ? -EFAULT : 0,
			  vt_ufence_wait(&self->t, &self->out[i], WAIT_MS));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/*
 * One page that all write to, one may not: the read-only mapping of a page and
 * a write to it in one batch must not be mixed up.
 */
TEST_F_TIMEOUT(queue, reads_and_writes_of_one_page, SECONDS)
{
	__u8 *page = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct vt_buf sums;
	unsigned int round, i;

	ASSERT_NE(NULL, page);
	ASSERT_EQ(0, vt_buf_map(&sums, QUEUES * PAGE, VT_SMALL));
	memset(page, 1, PAGE);
	ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ));
	for (round = 0; round < 16; round++) {
		for (i = 0; i < QUEUES; i++) {
			struct drm_vsvm_kernel k = {
				.op = DRM_VSVM_OP_SUM,
				.dst = vsvm_addr(sums.p + i * PAGE),
				.src = vsvm_addr(page),
				.count = PAGE,
			};

			if (i == round % QUEUES)
				k = (struct drm_vsvm_kernel) {
					.op = DRM_VSVM_OP_FILL,
					.dst = vsvm_addr(page),
					.count = PAGE,
				};
			ASSERT_EQ(0, submit_to(&self->t, i, &self->out[i], &k, 1));
		}
		for (i = 0; i < QUEUES; i++) {
			ASSERT_EQ(i == round % QUEUES ? -EFAULT : 0,
				  vt_ufence_wait(&self->t, &self->out[i], WAIT_MS));
		}
	}
	ASSERT_EQ(0, vt_all(page, 1, PAGE));
}

/* The first queue spins for ever; the job of another one does not notice. */
TEST_F_TIMEOUT(queue, one_hangs, 2 * SECONDS)
{
	const long limit = vt_parameter("timeout_ms");
	struct drm_vsvm_kernel endless;
	__u64 end;
	int jobs = 0;

	ASSERT_LT(0, limit);
	vt_endless(&endless, (__u64 *)self->b.p);
	memcpy(self->b.model, self->b.p, PAGE);
	ASSERT_EQ(0, submit_to(&self->t, 0, &self->out[0], &endless, 1));
	end = vt_now_ms() + 3 * limit + 10000;
	while (!vt_ufence_status(&self->t, &self->out[0])) {
		struct drm_vsvm_kernel k = add_part(&self->b, PAGE, 64 * KIB);

		ASSERT_GT(end, vt_now_ms());
		ASSERT_EQ(0, submit_to(&self->t, 1, &self->out[1], &k, 1));
		ASSERT_EQ(0, vt_ufence_wait(&self->t, &self->out[1], WAIT_MS));
		model_add(&self->b, PAGE, 64 * KIB);
		jobs++;
	}
	EXPECT_EQ(-ETIME, vt_ufence_status(&self->t, &self->out[0]));
	EXPECT_LT(0, jobs);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/*
 * What one queue has in its TLB goes when the memory does: another queue wrote
 * there before, so that each has a translation of its own.
 */
TEST_F_TIMEOUT(queue, stale_translations, SECONDS)
{
	unsigned int round, i;

	for (round = 0; round < 8; round++) {
		for (i = 0; i < QUEUES; i++) {
			struct drm_vsvm_kernel k = add_part(&self->b, 0, LEN);

			ASSERT_EQ(0, submit_to(&self->t, i, &self->out[i], &k, 1));
			ASSERT_EQ(0, vt_ufence_wait(&self->t, &self->out[i], WAIT_MS));
			model_add(&self->b, 0, LEN);
		}
		/* Taken by the CPU, and by the device. */
		ASSERT_EQ(0, round % 2 ? vt_buf_check(&self->b) :
					 vsvm_evict(&self->t.dev));
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

FIXTURE(overflow) {
	struct vt t[3];
	struct vt_buf b[3];
	struct vt_ufence out[3][QUEUES];
	struct drm_vsvm_stats before;
};

FIXTURE_SETUP(overflow)
{
	unsigned int i, j;
	int err;

	for (i = 0; i < ARRAY_SIZE(self->t); i++) {
		err = vt_open(&self->t[i]);
		if (err == -ENODEV && vt_may_skip())
			SKIP(return, "no vsvm device");
		ASSERT_EQ(0, err);
		ASSERT_EQ(0, vt_buf_map(&self->b[i], LEN, VT_SMALL));
		for (j = 0; j < QUEUES; j++)
			ASSERT_EQ(0, vt_ufence_create(&self->out[i][j]));
	}
	ASSERT_EQ(0, vsvm_query_stats(self->t[0].dev.fd, &self->before));
}

FIXTURE_TEARDOWN(overflow)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(self->t); i++)
		vt_close(&self->t[i]);
}

/* More queues fault at a time than the FIFO has places. */
TEST_F_TIMEOUT(overflow, comes_back, 2 * SECONDS)
{
	const size_t part = LEN / QUEUES;
	struct drm_vsvm_stats s;
	unsigned int round, i, j;

	if (vt_parameter("fault_entries") < 0 || vt_parameter("fault_entries") > QUEUES)
		SKIP(return, "needs modprobe vsvm fault_entries=1");
	for (round = 0; round < 8; round++) {
		for (i = 0; i < ARRAY_SIZE(self->t); i++) {
			for (j = 0; j < QUEUES; j++) {
				struct drm_vsvm_kernel k =
					add_part(&self->b[i], j * part, part);

				ASSERT_EQ(0, submit_to(&self->t[i], j,
						       &self->out[i][j], &k, 1));
			}
			model_add(&self->b[i], 0, LEN);
		}
		for (i = 0; i < ARRAY_SIZE(self->t); i++) {
			for (j = 0; j < QUEUES; j++)
				ASSERT_EQ(0, vt_ufence_wait(&self->t[i],
							    &self->out[i][j],
							    WAIT_MS));
			ASSERT_EQ(0, vt_buf_check(&self->b[i]));
		}
	}
	s = stats_since(&self->t[0], &self->before);
	EXPECT_LT(0u, s.fifo_overflows);
	EXPECT_EQ(0u, s.gpu_faults_failed);
	EXPECT_EQ(0u, s.jobs_failed);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Engines that run side by side, each in a thread of its own, as a transport
 * runs them. Worth most with SAN=thread.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "../../../../drivers/gpu/drm/vsvm/tests/vsvm_hw_bench.h"

#define DATA	BENCH_TABLES
#define VA	0x7f0000000000ull

/* A doorbell: run the engine whenever it was rung, until told to end. */
struct runner {
	struct hw_bench *b;
	unsigned int engine;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool rung;
	bool end;
};

static void *runner_main(void *arg)
{
	struct runner *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->end) {
		if (!r->rung) {
			pthread_cond_wait(&r->cond, &r->lock);
			continue;
		}
		r->rung = false;
		pthread_mutex_unlock(&r->lock);
		vsvm_hw_run(r->b->hw, r->engine);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void runner_start(struct runner *r, struct hw_bench *b, unsigned int engine)
{
	memset(r, 0, sizeof(*r));
	r->b = b;
	r->engine = engine;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->cond, NULL);
	pthread_create(&r->thread, NULL, runner_main, r);
}

static void ring_doorbell(struct runner *r)
{
	pthread_mutex_lock(&r->lock);
	r->rung = true;
	pthread_cond_signal(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

static void runner_end(struct runner *r)
{
	pthread_mutex_lock(&r->lock);
	r->end = true;
	pthread_cond_signal(&r->cond);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->cond);
	pthread_mutex_destroy(&r->lock);
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* Waits for the engine to reach @index, ten seconds at most. */
static bool wait_tail(struct runner *r, u32 index)
{
	struct vsvm_hw_ring *ring = &r->b->shared->ring[r->engine];
	const u64 end = now_ms() + 10000;

	/* Acquire: what the command wrote. */
	while (smp_load_acquire(&ring->tail) != index) {
		if (now_ms() > end)
			return false;
		usleep(50);
	}
	return true;
}

/* Submits, rings and waits. Returns the status. */
static u32 submit(struct runner *r, const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_ring *ring = &r->b->shared->ring[r->engine];

	hw_bench_push(r->b, r->engine, cmd);
	ring_doorbell(r);
	if (!wait_tail(r, ring->head))
		return VSVM_HW_WAIT;
	return hw_bench_slot(r->b, r->engine, ring->head - 1)->status;
}

static void replay(struct runner *r)
{
	struct vsvm_hw_ring *ring = &r->b->shared->ring[r->engine];

	smp_store_release(&ring->replay, ring->replay + 1);	/* page tables */
	ring_doorbell(r);
}

static struct hw_bench *chase_bench(struct kunit *test)
{
	struct hw_bench *b = hw_bench_create(test, true);
	u64 *node = (u64 *)b->system;

	node[0] = VA;
	node[1] = 1;
	hw_bench_map(b, 0, VA, PTE_SYSTEM(0) | PTE_RW);
	return b;
}

static const struct vsvm_hw_cmd endless = {
	.op = VSVM_HW_K_CHASE, .dst = VA + 64, .src = VA, .arg = 8,
};

static void thread_cancel_chase(struct kunit *test)
{
	struct hw_bench *b = chase_bench(test);
	struct runner queue;
	unsigned int i;

	runner_start(&queue, b, BENCH_QUEUE(0));
	for (i = 0; i < 20; i++) {
		hw_bench_push(b, BENCH_QUEUE(0), &endless);
		ring_doorbell(&queue);
		usleep(2000);
		hw_bench_cancel(b, BENCH_QUEUE(0));
		KUNIT_ASSERT_TRUE(test, wait_tail(&queue, i + 1));
		KUNIT_EXPECT_EQ(test, hw_bench_slot(b, BENCH_QUEUE(0), i)->status,
				VSVM_HW_ERR_CANCELLED);
	}
	runner_end(&queue);
	hw_bench_destroy(b);
}

static void thread_stop_chase(struct kunit *test)
{
	struct hw_bench *b = chase_bench(test);
	struct runner queue;

	runner_start(&queue, b, BENCH_QUEUE(0));
	hw_bench_push(b, BENCH_QUEUE(0), &endless);
	ring_doorbell(&queue);
	usleep(2000);
	vsvm_hw_stop(b->hw, BENCH_QUEUE(0));
	runner_end(&queue);
	KUNIT_EXPECT_EQ(test, b->shared->ring[BENCH_QUEUE(0)].tail, 0);
	hw_bench_destroy(b);
}

/* Invalidations must get their turn against a kernel that never pauses. */
static void thread_invalidate_during_chase(struct kunit *test)
{
	struct hw_bench *b = chase_bench(test);
	const struct vsvm_hw_cmd invalidate = {
		.op = VSVM_HW_TLB_INVALIDATE, .dst = VA, .len = PAGE,
	};
	struct runner queue, paging;
	unsigned int i;

	runner_start(&queue, b, BENCH_QUEUE(0));
	runner_start(&paging, b, VSVM_HW_PAGING);
	hw_bench_push(b, BENCH_QUEUE(0), &endless);
	ring_doorbell(&queue);
	for (i = 0; i < 500; i++)
		KUNIT_ASSERT_EQ(test, submit(&paging, &invalidate), VSVM_HW_OK);
	hw_bench_cancel(b, BENCH_QUEUE(0));
	KUNIT_EXPECT_TRUE(test, wait_tail(&queue, 1));
	runner_end(&paging);
	runner_end(&queue);
	hw_bench_destroy(b);
}

/* An access that takes its time, so that who has to wait for it is caught. */
static bool inside, left;

static void slow_dma(struct hw_bench *b)
{
	(void)b;
	WRITE_ONCE(inside, true);
	usleep(50000);
	WRITE_ONCE(left, true);
}

static void thread_translation_in_use(struct kunit *test)
{
	static const struct vsvm_hw_cmd change[] = {
		{ .op = VSVM_HW_TLB_INVALIDATE, .dst = VA, .len = PAGE },
		{ .op = VSVM_HW_SET_ROOT, .dst = VSVM_HW_NO_ROOT },
	};
	const struct vsvm_hw_cmd fill = {
		.op = VSVM_HW_K_FILL, .dst = VA, .len = 8, .arg = 0x11,
	};
	struct hw_bench *b = hw_bench_create(test, true);
	struct runner queue, paging;
	unsigned int i;

	hw_bench_map(b, 0, VA, PTE_SYSTEM(0) | PTE_RW);
	b->on_dma = slow_dma;
	runner_start(&queue, b, BENCH_QUEUE(0));
	runner_start(&paging, b, VSVM_HW_PAGING);
	for (i = 0; i < ARRAY_SIZE(change); i++) {
		inside = false;
		left = false;
		hw_bench_push(b, BENCH_QUEUE(0), &fill);
		ring_doorbell(&queue);
		while (!READ_ONCE(inside))
			usleep(100);
		KUNIT_ASSERT_EQ(test, submit(&paging, &change[i]), VSVM_HW_OK);
		KUNIT_EXPECT_TRUE(test, READ_ONCE(left));
		KUNIT_ASSERT_TRUE(test, wait_tail(&queue, i + 1));
	}
	runner_end(&paging);
	runner_end(&queue);
	hw_bench_destroy(b);
}

/*
 * A page that was unmapped and invalidated belongs to the driver again: nothing
 * writes it any more, though a kernel writes through that address all the time
 * and faults come and go.
 */
static void thread_unmap_is_final(struct kunit *test)
{
	struct hw_bench *b = hw_bench_create(test, true);
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	const struct vsvm_hw_cmd fill = {
		.op = VSVM_HW_K_FILL, .dst = VA, .len = 16 * PAGE, .arg = 0x11,
	};
	const struct vsvm_hw_cmd invalidate = {
		.op = VSVM_HW_TLB_INVALIDATE, .dst = VA, .len = 16 * PAGE,
	};
	struct runner queue, paging;
	struct vsvm_hw_fault fault;
	unsigned int i, k;

	for (i = 0; i < 16; i++)
		hw_bench_map(b, 0, VA + i * PAGE, 0);
	runner_start(&queue, b, BENCH_QUEUE(0));
	runner_start(&paging, b, VSVM_HW_PAGING);
	for (i = 0; i < 300; i++) {
		const u64 page = i % 4 * 16 * PAGE;

		hw_bench_push(b, BENCH_QUEUE(0), &fill);
		for (k = 0; k < 16; k++)
			hw_bench_map(b, 0, VA + k * PAGE, PTE_SYSTEM(page + k * PAGE) | PTE_RW);
		replay(&queue);
		usleep(i % 7 * 20);
		for (k = 0; k < 16; k++)
			hw_bench_map(b, 0, VA + k * PAGE, 0);
		KUNIT_ASSERT_EQ(test, submit(&paging, &invalidate), VSVM_HW_OK);
		memset(b->system + page, 0x22, 16 * PAGE);
		replay(&queue);
		usleep(100);
		for (k = 0; k < 16 * PAGE; k++)
			KUNIT_ASSERT_EQ(test, b->system[page + k], 0x22);
		hw_bench_cancel(b, BENCH_QUEUE(0));
		ring_doorbell(&queue);
		KUNIT_ASSERT_TRUE(test, wait_tail(&queue, ring->head));
		while (hw_bench_fault(b, &fault))
			KUNIT_EXPECT_EQ(test, fault.queue, 0);
	}
	runner_end(&paging);
	runner_end(&queue);
	hw_bench_destroy(b);
}

/* Several queues fault at once, and one thread serves them all. */
#define NUM_FAULTERS	4
#define NUM_PAGES	64

static void thread_fault_service(struct kunit *test)
{
	struct hw_bench *b = hw_bench_create(test, true);
	struct runner queue[NUM_FAULTERS];
	struct vsvm_hw_fault fault;
	unsigned int q, served = 0;
	const u64 end = now_ms() + 20000;

	for (q = 0; q < NUM_FAULTERS; q++) {
		const struct vsvm_hw_cmd cmd = {
			.op = VSVM_HW_K_FILL, .dst = VA, .len = NUM_PAGES * PAGE, .arg = q + 1,
		};

		hw_bench_map(b, q, VA, 0);
		runner_start(&queue[q], b, BENCH_QUEUE(q));
		hw_bench_push(b, BENCH_QUEUE(q), &cmd);
		ring_doorbell(&queue[q]);
	}
	while (served < NUM_FAULTERS * NUM_PAGES && now_ms() < end) {
		if (!hw_bench_fault(b, &fault)) {
			usleep(10);
			continue;
		}
		KUNIT_ASSERT_LT(test, fault.queue, NUM_FAULTERS);
		served++;
		hw_bench_map(b, fault.queue, fault.address,
			     (PTE_SYSTEM(fault.queue * NUM_PAGES * PAGE) | PTE_RW) +
			     (fault.address - VA));
		replay(&queue[fault.queue]);
	}
	KUNIT_EXPECT_EQ(test, served, NUM_FAULTERS * NUM_PAGES);
	for (q = 0; q < NUM_FAULTERS; q++) {
		KUNIT_EXPECT_TRUE(test, wait_tail(&queue[q], 1));
		runner_end(&queue[q]);
		KUNIT_EXPECT_EQ(test, b->system[(q + 1) * NUM_PAGES * PAGE - 1], q + 1);
	}
	hw_bench_destroy(b);
}

/* Queues and a CPU add to the same word, and nothing gets lost. */
#define NUM_ADDERS	3

static void thread_atomic(struct kunit *test)
{
	struct hw_bench *b = hw_bench_create(test, true);
	const struct vsvm_hw_cmd add = {
		.op = VSVM_HW_K_ATOMIC_ADD, .dst = VA + 64, .len = 20000, .arg = 3,
	};
	struct vsvm_hw_cmd cmd = { .op = VSVM_HW_SET_ROOT, .src = NUM_ADDERS };
	struct vsvm_hw_cmd invalidate = {
		.op = VSVM_HW_TLB_INVALIDATE, .dst = VA, .len = PAGE, .src = NUM_ADDERS,
	};
	struct runner queue[NUM_ADDERS], paging;
	u64 *word = (u64 *)(b->system + 64);
	unsigned int i, q;

	hw_bench_map(b, 0, VA, PTE_SYSTEM(0) | PTE_RWA);
	cmd.dst = b->root[0];
	runner_start(&paging, b, VSVM_HW_PAGING);
	KUNIT_ASSERT_EQ(test, submit(&paging, &cmd), VSVM_HW_OK);
	for (q = 0; q < NUM_ADDERS; q++) {
		runner_start(&queue[q], b, BENCH_QUEUE(q));
		hw_bench_push(b, BENCH_QUEUE(q), &add);
		ring_doorbell(&queue[q]);
	}
	for (i = 0; i < 20000; i++) {
		vsvm_hw_atomic_add(word, 1);
		if (i % 1000 == 0)
			KUNIT_ASSERT_EQ(test, submit(&paging, &invalidate), VSVM_HW_OK);
	}
	for (q = 0; q < NUM_ADDERS; q++) {
		KUNIT_EXPECT_TRUE(test, wait_tail(&queue[q], 1));
		runner_end(&queue[q]);
	}
	runner_end(&paging);
	KUNIT_EXPECT_EQ(test, *word, 20000 * (3 * NUM_ADDERS + 1));
	hw_bench_destroy(b);
}

/*
 * All queues spin, and a few threads run them by turns: one invalidation of all
 * of them after the other, and none takes long.
 */
#define NUM_TURNERS	4

struct turner {
	struct hw_bench *b;
	pthread_t thread;
	unsigned int first;
	bool end;
};

static void *turner_main(void *arg)
{
	struct turner *t = arg;
	unsigned int i;

	while (!READ_ONCE(t->end))
		for (i = t->first; i < VSVM_HW_NUM_QUEUES; i += NUM_TURNERS)
			vsvm_hw_run_turn(t->b->hw, BENCH_QUEUE(i), VSVM_HW_TURN_SLICES);
	return NULL;
}

static void thread_invalidate_all(struct kunit *test)
{
	struct hw_bench *b = chase_bench(test);
	const struct vsvm_hw_cmd root = {
		.op = VSVM_HW_SET_ROOT, .dst = b->root[0], .src = VSVM_HW_NUM_QUEUES,
	};
	const struct vsvm_hw_cmd invalidate = {
		.op = VSVM_HW_TLB_INVALIDATE, .dst = VA, .len = PAGE,
		.src = VSVM_HW_NUM_QUEUES,
	};
	struct turner turner[NUM_TURNERS];
	struct runner paging;
	unsigned int i;
	u64 begin;

	runner_start(&paging, b, VSVM_HW_PAGING);
	KUNIT_ASSERT_EQ(test, submit(&paging, &root), VSVM_HW_OK);
	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++)
		hw_bench_push(b, BENCH_QUEUE(i), &endless);
	for (i = 0; i < NUM_TURNERS; i++) {
		turner[i] = (struct turner){ .b = b, .first = i };
		pthread_create(&turner[i].thread, NULL, turner_main, &turner[i]);
	}
	for (i = 0; i < 20; i++) {
		begin = now_ms();
		KUNIT_ASSERT_EQ(test, submit(&paging, &invalidate), VSVM_HW_OK);
		KUNIT_EXPECT_LT(test, now_ms() - begin, 3000);
	}
	for (i = 0; i < NUM_TURNERS; i++) {
		WRITE_ONCE(turner[i].end, true);
		pthread_join(turner[i].thread, NULL);
	}
	runner_end(&paging);
	hw_bench_destroy(b);
}

static struct kunit_case thread_cases[] = {
	KUNIT_CASE(thread_cancel_chase),
	KUNIT_CASE(thread_stop_chase),
	KUNIT_CASE(thread_invalidate_during_chase),
	KUNIT_CASE(thread_invalidate_all),
	KUNIT_CASE(thread_translation_in_use),
	KUNIT_CASE(thread_unmap_is_final),
	KUNIT_CASE(thread_fault_service),
	KUNIT_CASE(thread_atomic),
	{ }
};

static struct kunit_suite thread_suite = {
	.name = "vsvm_hw_thread",
	.test_cases = thread_cases,
};

kunit_test_suite(thread_suite);

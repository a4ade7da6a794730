// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What runs the engines of the hardware. Those of paging and copies have a thread
 * each, which waits for its doorbell itself, as every hand-over costs a wake-up.
 * Compute queues have one doorbell together, and go by turns:
 *
 *   doorbell COMPUTE ──> dispatcher ── bell[] ──> queue ──> thread of the pool
 *                                                   ^── again ──┘
 *
 * The pool is one for all devices and has a thread for each processor. A guest
 * may have hundreds of queues with kernels that never end: it gets the processors
 * that there are, and the host as many threads to divide them among. Nor are there
 * ever more than so many slices under way that an invalidation may have to wait
 * for.
 */
#include <sched.h>

#include "engine.h"
#include "link.h"

#define POOL_MAX_THREADS	64u

/* Queues that are to run, in the order in which they shall. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct worker *first;
	struct worker *last;
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
};

/* Some times what it takes to wake a thread on an idle processor. */
#define COPIER_LINGER_NS	200000ull

__thread unsigned int worker_engine;

/* Return: true if the hardware seems to have completed something. */
static bool worker_run(struct worker *w)
{
	const struct vsvm_hw_ring *ring = &w->dev->bar->shared.ring[w->engine];
	bool moved = false;
	u32 tail;

	worker_engine = w->engine;
	pthread_mutex_lock(&w->lock);
	if (READ_ONCE(w->dev->open)) {
		tail = READ_ONCE(ring->tail);
		link_enter();
		vsvm_hw_run(w->dev->hw, w->engine);
		link_leave();
		moved = READ_ONCE(ring->tail) != tail;
	}
	pthread_mutex_unlock(&w->lock);
	return moved;
}

static int worker_bell(struct worker *w)
{
	return w->dev->vm->device[w->dev->index].bell[w->engine];
}

/*
 * Look at the ring until there is something in it, to a time @until at most, and
 * no longer than the device is open.
 */
static bool copier_linger(struct worker *w, u64 until)
{
	const struct vsvm_hw_ring *ring = &w->dev->bar->shared.ring[w->engine];

	while (READ_ONCE(w->dev->open) && now_ns() < until) {
		if (READ_ONCE(ring->head) != READ_ONCE(ring->tail))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}

/*
 * To wake a thread costs the guest's processor that rings the doorbell as much as
 * the thread, and is a large part of a copy. So the thread stays awake for a
 * while, but only if the last commands were less than that ago: it does not pay
 * with those that come now and then, and somebody else may need the processor.
 *
 * A doorbell that rang meanwhile is found afterwards, and mostly has nothing to
 * tell.
 */
static void *copier_main(void *arg)
{
	struct worker *w = arg;
	u64 idle = 0;
	bool pays;

	for (;;) {
		engine_wait(worker_bell(w));
		pays = now_ns() - idle < COPIER_LINGER_NS;
		if (!worker_run(w))
			continue;
		do {
			idle = now_ns();
		} while (pays && copier_linger(w, idle + COPIER_LINGER_NS) &&
			 worker_run(w));
	}
	return NULL;
}

/* Return: true if its turn is over, but not what it has to do. */
static bool queue_run(struct worker *w)
{
	bool again = false;

	worker_engine = VSVM_HW_QUEUE0;
	pthread_mutex_lock(&w->lock);
	if (READ_ONCE(w->dev->open)) {
		link_enter();
		again = vsvm_hw_run_turn(w->dev->hw, w->engine, VSVM_HW_TURN_SLICES);
		link_leave();
	}
	pthread_mutex_unlock(&w->lock);
	return again;
}

/* With the pool's lock. One that runs comes back by itself: see pool_main(). */
static void pool_add(struct worker *w)
{
	w->wanted = true;
	w->next = NULL;
	if (pool.first)
		pool.last->next = w;
	else
		pool.first = w;
	pool.last = w;
	pthread_cond_signal(&pool.more);
}

static void *pool_main(void *arg)
{
	struct worker *w;
	bool again;

	(void)arg;
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		while (!pool.first)
			pthread_cond_wait(&pool.more, &pool.lock);
		w = pool.first;
		pool.first = w->next;
		/* Before the run: whoever comes later makes it run again. */
		w->wanted = false;
		w->running = true;
		pthread_mutex_unlock(&pool.lock);
		again = queue_run(w);
		pthread_mutex_lock(&pool.lock);
		w->running = false;
		if (again || w->wanted)
			pool_add(w);
	}
	return NULL;
}

/**
 * pool_start - start the threads that run the compute queues
 *
 * Return: 0 or an errno.
 */
int pool_start(void)
{
	unsigned int num, i;
	cpu_set_t set;
	int err = 0;

	/* Those that this process may use. With more than the set has room for: all. */
	if (!sched_getaffinity(0, sizeof(set), &set))
		num = CPU_COUNT(&set);
	else
		num = POOL_MAX_THREADS;
	num = min(num, POOL_MAX_THREADS);
	for (i = 0; i < num && !err; i++)
		err = engine_thread(pool_main, NULL);
	return err;
}

/* Make @w look at its ring. */
void worker_kick(struct worker *w)
{
	if (w->engine < VSVM_HW_QUEUE0) {
		event_ring(worker_bell(w));
		return;
	}
	pthread_mutex_lock(&pool.lock);
	if (w->running)
		w->wanted = true;
	else if (!w->wanted)
		pool_add(w);
	pthread_mutex_unlock(&pool.lock);
}

static void *dispatcher_main(void *arg)
{
	struct engine_device *dev = arg;
	u8 *bell = dev->bar->bell;
	unsigned int i;

	for (;;) {
		engine_wait(dev->vm->device[dev->index].bell[VSVM_PCI_BELL_COMPUTE]);
		for (i = VSVM_HW_QUEUE0; i < VSVM_HW_NUM_ENGINES; i++) {
			if (!READ_ONCE(bell[i]))
				continue;
			__atomic_exchange_n(&bell[i], 0, __ATOMIC_SEQ_CST);
			worker_kick(&dev->worker[i]);
		}
	}
	return NULL;
}

/**
 * workers_start - start what waits for a device's doorbells
 * @dev: the device, closed
 *
 * Return: 0 or an errno.
 */
int workers_start(struct engine_device *dev)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		struct worker *w = &dev->worker[i];

		w->dev = dev;
		w->engine = i;
		pthread_mutex_init(&w->lock, NULL);
	}
	for (i = 0; i < VSVM_HW_QUEUE0 && !err; i++)
		err = engine_thread(copier_main, &dev->worker[i]);
	return err ?: engine_thread(dispatcher_main, dev);
}

/* No run is under way afterwards, nor will there be one until @dev is opened. */
void workers_halt(struct engine_device *dev)
{
	unsigned int i;

	WRITE_ONCE(dev->open, false);
	if (!dev->hw)
		return;
	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++)
		vsvm_hw_stop(dev->hw, i);
	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		pthread_mutex_lock(&dev->worker[i].lock);
		pthread_mutex_unlock(&dev->worker[i].lock);
	}
}

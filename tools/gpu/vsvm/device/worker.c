// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A thread for each engine of the hardware. Those of paging and copies wait for
 * their doorbell themselves, as every hand-over costs a wake-up. Compute queues
 * have one doorbell together, and a thread only once they are used:
 *
 *   doorbell COMPUTE ──> dispatcher ── bell[] ──> thread of the queue
 */
#include "engine.h"
#include "link.h"

/* Some times what it takes to wake a thread on an idle processor. */
#define COPIER_LINGER_NS	200000ull

/* Return: true if the hardware seems to have completed something. */
static bool worker_run(struct worker *w)
{
	const struct vsvm_hw_ring *ring = &w->dev->bar->shared.ring[w->engine];
	bool moved = false;
	u32 tail;

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

static void *queue_main(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		if (sem_wait(&w->wake))
			continue;
		/* Before the run: whoever comes later wakes us again. */
		__atomic_exchange_n(&w->pending, 0, __ATOMIC_SEQ_CST);
		worker_run(w);
	}
	return NULL;
}

/* A queue that gets no thread is one that hangs: the driver will reset it. */
static bool queue_start(struct worker *w)
{
	struct engine_device *dev = w->dev;
	static u32 told;
	int err = 0;

	pthread_mutex_lock(&dev->spawn);
	if (!w->started) {
		err = engine_thread(queue_main, w);
		w->started = !err;
		/* Once: a guest may ring for it without end. */
		if (err && !__atomic_exchange_n(&told, 1, __ATOMIC_SEQ_CST))
			complain("no thread for queue %u: %s",
				 w->engine - VSVM_HW_QUEUE0, strerror(err));
	}
	pthread_mutex_unlock(&dev->spawn);
	return !err;
}

/* Make @w look at its ring. */
void worker_kick(struct worker *w)
{
	if (w->engine < VSVM_HW_QUEUE0)
		event_ring(worker_bell(w));
	else if (queue_start(w) &&
		 !__atomic_exchange_n(&w->pending, 1, __ATOMIC_SEQ_CST))
		sem_post(&w->wake);
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
		sem_init(&w->wake, 0, 0);
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

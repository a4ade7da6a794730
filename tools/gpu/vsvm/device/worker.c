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

static void worker_run(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	if (READ_ONCE(w->dev->open)) {
		link_enter();
		vsvm_hw_run(w->dev->hw, w->engine);
		link_leave();
	}
	pthread_mutex_unlock(&w->lock);
}

static int worker_bell(struct worker *w)
{
	return w->dev->vm->device[w->dev->index].bell[w->engine];
}

static void *copier_main(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		engine_wait(worker_bell(w));
		worker_run(w);
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

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All that the virtual GPU takes from the place it runs in, besides
 * struct vsvm_hw_host: memory at init, a lock, ordered loads and stores, an
 * addition that is atomic to CPUs as well, memory moves. A third place to run
 * in needs a third section.
 *
 * Who waits for a lock gets it before who held it last gets it again: a queue
 * takes its own right after it let go, slice after slice, and an invalidation
 * must get in between. Nothing sleeps with one held.
 */
#ifndef _VSVM_HW_PORT_H_
#define _VSVM_HW_PORT_H_

#ifdef __KERNEL__

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <kunit/visibility.h>

/* For tests of the hardware alone. */
#define VSVM_HW_EXPORT	EXPORT_SYMBOL_IF_KUNIT

/*
 * Who holds one is not preempted, and so done with it when its slice is,
 * however many others there are that want the processor. With PREEMPT_RT it
 * may be; it comes back then when the scheduler lets it.
 */
struct vsvm_hw_lock {
	spinlock_t lock;	/* covers what the holder of the lock says */
};

static inline void vsvm_hw_lock_init(struct vsvm_hw_lock *lock)
{
	spin_lock_init(&lock->lock);
}

static inline void vsvm_hw_lock_fini(struct vsvm_hw_lock *lock)
{
}

static inline void vsvm_hw_lock(struct vsvm_hw_lock *lock)
{
	spin_lock(&lock->lock);
}

static inline void vsvm_hw_unlock(struct vsvm_hw_lock *lock)
{
	spin_unlock(&lock->lock);
}

static inline void vsvm_hw_atomic_add(void *p, u64 value)
{
	atomic64_add(value, (atomic64_t *)p);
}

/* Zeroed. In init only: engines do not allocate. */
static inline void *vsvm_hw_alloc(size_t size)
{
	return kvzalloc(size, GFP_KERNEL);
}

static inline void vsvm_hw_free(void *p)
{
	kvfree(p);
}

#else /* !__KERNEL__ */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "vsvm_hw_types.h"

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#define VSVM_HW_EXPORT(function)

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
/* These two pair with each other, and with the driver's. */
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
/* See above. */
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#define min(a, b) ({			\
	__typeof__(a) _a = (a);		\
	__typeof__(b) _b = (b);		\
	_a < _b ? _a : _b; })

/*
 * By numbers that are drawn. Here the holder may be preempted: a process has to
 * keep the number of threads small that are in the middle of a slice.
 */
struct vsvm_hw_lock {
	pthread_mutex_t mutex;
	pthread_cond_t turn;
	unsigned int next;
	unsigned int owner;
};

static inline void vsvm_hw_lock_init(struct vsvm_hw_lock *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	pthread_cond_init(&lock->turn, NULL);
	lock->next = 0;
	lock->owner = 0;
}

static inline void vsvm_hw_lock_fini(struct vsvm_hw_lock *lock)
{
	pthread_cond_destroy(&lock->turn);
	pthread_mutex_destroy(&lock->mutex);
}

static inline void vsvm_hw_lock(struct vsvm_hw_lock *lock)
{
	unsigned int turn;

	pthread_mutex_lock(&lock->mutex);
	turn = lock->next++;
	while (turn != lock->owner)
		pthread_cond_wait(&lock->turn, &lock->mutex);
	pthread_mutex_unlock(&lock->mutex);
}

static inline void vsvm_hw_unlock(struct vsvm_hw_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
	lock->owner++;
	if (lock->owner != lock->next)
		pthread_cond_broadcast(&lock->turn);
	pthread_mutex_unlock(&lock->mutex);
}

static inline void vsvm_hw_atomic_add(void *p, u64 value)
{
	__atomic_fetch_add((u64 *)p, value, __ATOMIC_RELAXED);
}

static inline void *vsvm_hw_alloc(size_t size)
{
	return calloc(1, size);
}

static inline void vsvm_hw_free(void *p)
{
	free(p);
}

#endif /* __KERNEL__ */

#endif /* _VSVM_HW_PORT_H_ */

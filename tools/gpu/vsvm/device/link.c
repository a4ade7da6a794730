// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * See link.h. Writers come first: readers are never done.
 */
#include <pthread.h>

#include "link.h"
#include "vsvm_hw_port.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static u32 writers;

void link_enter(void)
{
	pthread_rwlock_rdlock(&lock);
}

void link_leave(void)
{
	pthread_rwlock_unlock(&lock);
}

void link_relax(void)
{
	if (!READ_ONCE(writers))
		return;
	link_leave();
	link_enter();
}

void link_change_begin(void)
{
	__atomic_fetch_add(&writers, 1, __ATOMIC_SEQ_CST);
	pthread_rwlock_wrlock(&lock);
}

void link_change_end(void)
{
	pthread_rwlock_unlock(&lock);
	__atomic_fetch_sub(&writers, 1, __ATOMIC_SEQ_CST);
}

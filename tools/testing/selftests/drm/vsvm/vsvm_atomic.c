// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What tests of atomic operations share, see vsvm_test.h.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "vsvm_test.h"

int vt_atomic_mode(struct vt *t, const void *addr, size_t len, __u32 mode)
{
	return vsvm_madvise(t->dev.fd, t->vm, addr, len,
			    DRM_VSVM_MADVISE_ATOMIC, mode);
}

/* A CPU that counts as well, until it is told to stop. */
struct fighter {
	pthread_t thread;
	__u64 *counter;
	__u64 count;
	bool stop;
};

static void *fight(void *data)
{
	struct fighter *f = data;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(f->counter, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&f->count, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

int vt_fight_over(struct vt *t, __u64 *counter, unsigned int jobs,
		  size_t per_job)
{
	struct fighter f = { .counter = counter };
	__u64 sum = *counter;
	unsigned int i;
	int err = 0;

	if (pthread_create(&f.thread, NULL, fight, &f))
		return -ENOMEM;
	/* There is no fight before both have begun. */
	while (!__atomic_load_n(&f.count, __ATOMIC_RELAXED))
		vt_sleep_ms(1);
	for (i = 0; i < jobs && !err; i++)
		err = vt_atomic_add(t, counter, per_job, 1);
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(f.thread, NULL);
	if (err)
		return err;
	sum += f.count + (__u64)jobs * per_job;
	return VT_WRONG(*counter == sum) ? -EILSEQ : 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects and memory of processes compete for VRAM: each pushes the other
 * out, and comes back. No byte may get lost, none may show that was somebody
 * else's, and jobs must get on. Wants a GPU with little VRAM.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(90)
#define PAGE	vsvm_page_size()
#define AT	((__u8 *)DRM_VSVM_BIND_START)
/* Objects, each with addresses of its own. */
#define AT_N(n)	(AT + (n) * 1024 * MIB)
/* An object that was moved too often stays in system memory for less. */
#define REST_MS	400

/* Larger buffers than this take too long on an emulated machine. */
#define MAX_VRAM	vt_scaled(32 * MIB)

FIXTURE(gem_evict) {
	struct vt t;
	__u64 vram;
};

FIXTURE_SETUP(gem_evict)
{
	struct drm_vsvm_device_info info;
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vsvm_query_device(self->t.dev.fd, &info));
	if (info.vram_size > MAX_VRAM)
		SKIP(return, "VRAM is too large; load vsvm with vram_mb=16");
	self->vram = info.vram_size;
}

FIXTURE_TEARDOWN(gem_evict)
{
	vt_close(&self->t);
}

/* Bytes of objects of this file that are in system memory. */
static __u64 in_system(struct vt *t)
{
	__u64 bytes;

	return vsvm_fdinfo(t->dev.fd, "drm-resident-system", &bytes) ?
	       UINT64_MAX : bytes;
}

TEST_F_TIMEOUT(gem_evict, by_svm_and_back, SECONDS)
{
	const size_t len = self->vram / 2;
	struct vt *t = &self->t;
	struct vt_obj o;
	struct vt_buf b;

	ASSERT_EQ(0, vt_obj_create(t, &o, len, 0, AT));
	vt_obj_write(&o, 0, len, 1);
	ASSERT_EQ(0, vt_obj_add(t, &o, 0, len, 1));
	ASSERT_EQ(0u, in_system(t));
	ASSERT_EQ(0, vt_buf_map(&b, self->vram * 3 / 4, VT_SMALL));
	ASSERT_EQ(0, vt_buf_add(t, &b, 0, b.len, 1));
	ASSERT_EQ(len, in_system(t));
	vt_sleep_ms(REST_MS);
	/* It pushes out memory of the process in turn. */
	ASSERT_EQ(0, vt_obj_add(t, &o, 0, len, 1));
	ASSERT_EQ(0u, in_system(t));
	ASSERT_LT(0, vt_pages_at(t, b.p, b.len, IN_RAM));
	ASSERT_EQ(0, vt_buf_check_gpu(t, &b));
	ASSERT_EQ(0, vt_buf_check(&b));
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	ASSERT_EQ(0, vt_obj_check(&o));
}

/* At creation already: VRAM full of memory of processes is no obstacle. */
TEST_F_TIMEOUT(gem_evict, svm_by_object_and_back, SECONDS)
{
	const size_t len = self->vram * 5 / 8;
	struct drm_vsvm_stats before, after;
	struct vt *t = &self->t;
	struct vt_obj o;
	struct vt_buf b;

	ASSERT_EQ(0, vt_buf_map(&b, len, VT_THP));
	ASSERT_EQ(0, vt_buf_add(t, &b, 0, len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(t, &b, IN_VRAM));
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &before));
	ASSERT_EQ(0, vt_obj_create(t, &o, len, 0, AT));
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &after));
	EXPECT_LT(before.evictions, after.evictions);
	ASSERT_LT(0, vt_pages_at(t, b.p, len, IN_RAM));
	ASSERT_EQ(0, vt_obj_add(t, &o, 0, len, 7));
	ASSERT_EQ(0u, in_system(t));
	ASSERT_EQ(0, vt_buf_add(t, &b, 0, len, 1));
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	ASSERT_EQ(0, vt_buf_check(&b));
	ASSERT_EQ(0, vt_obj_check(&o));
}

TEST_F_TIMEOUT(gem_evict, more_objects_than_vram, SECONDS)
{
	const size_t len = self->vram / 4;
	struct drm_vsvm_stats before, after;
	struct vt *t = &self->t;
	struct vt_obj o[8];
	unsigned int i, round;

	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &before));
	for (i = 0; i < ARRAY_SIZE(o); i++)
		ASSERT_EQ(0, vt_obj_create(t, &o[i], len, 0, AT_N(i)));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(o); i++)
			ASSERT_EQ(0, vt_obj_add(t, &o[i], 0, len, i + round));
	}
	ASSERT_EQ(0, vsvm_query_stats(t->dev.fd, &after));
	EXPECT_LE(before.evictions + 4, after.evictions);
	for (i = 0; i < ARRAY_SIZE(o); i++) {
		ASSERT_EQ(0, vt_obj_check_gpu(t, &o[i]));
		ASSERT_EQ(0, vt_obj_check(&o[i]));
		vt_obj_destroy(t, &o[i]);
	}
}

/* Each fits, both do not, and the kernel touches them in turns. */
TEST_F_TIMEOUT(gem_evict, both_for_one_kernel, SECONDS)
{
	const size_t len = self->vram * 5 / 8;
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_COPY,
		.dst = vsvm_addr(AT_N(1)),
		.src = vsvm_addr(AT_N(0)),
		.count = len,
	};
	struct vt *t = &self->t;
	struct vt_obj o[2];
	int i;

	ASSERT_EQ(0, vt_obj_create(t, &o[0], len, 0, AT_N(0)));
	ASSERT_EQ(0, vt_obj_create(t, &o[1], len, 0, AT_N(1)));
	for (i = 0; i < 3; i++) {
		vt_obj_write(&o[0], 0, len, i);
		ASSERT_EQ(0, vsvm_run(t->dev.fd, t->vm, &kernel, 1, NULL));
		memcpy(o[1].model, o[0].model, len);
		ASSERT_EQ(0, vt_obj_check(&o[1]));
	}
}

/* Page tables need a bit of VRAM as well, so there is never room for it. */
TEST_F_TIMEOUT(gem_evict, as_large_as_vram, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_obj o;

	ASSERT_EQ(0, vt_obj_create(t, &o, self->vram, 0, AT));
	ASSERT_EQ(0, vt_obj_add(t, &o, 0, o.len, 1));
	ASSERT_EQ(o.len, in_system(t));
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	ASSERT_EQ(0, vt_obj_check(&o));
}

/* System memory is pushed out too, to where it may be swapped. */
TEST_F_TIMEOUT(gem_evict, swapped_out, SECONDS)
{
	static const char * const path = "/sys/module/ttm/parameters/pages_limit";
	const size_t len = 4 * MIB;
	struct vt *t = &self->t;
	char limit[32], old[32] = {};
	struct vt_obj o[5];
	unsigned int i;
	FILE *file;

	file = fopen(path, "re");
	ASSERT_NE(NULL, file);
	ASSERT_NE(NULL, fgets(old, sizeof(old), file));
	fclose(file);
	snprintf(limit, sizeof(limit), "%zu", 2 * len / PAGE);
	ASSERT_EQ(0, vsvm_write_file(path, limit));
	for (i = 0; i < ARRAY_SIZE(o); i++) {
		EXPECT_EQ(0, vt_obj_create(t, &o[i], len, DRM_VSVM_GEM_SYSTEM,
					   AT_N(i)));
		vt_obj_write(&o[i], 0, len, i);
		EXPECT_EQ(0, vt_obj_add(t, &o[i], 0, len, 1));
	}
	EXPECT_GT(ARRAY_SIZE(o) * len, in_system(t));
	for (i = 0; i < ARRAY_SIZE(o); i++) {
		EXPECT_EQ(0, vt_obj_add(t, &o[i], 0, len, 1));
		EXPECT_EQ(0, vt_obj_check_gpu(t, &o[i]));
		EXPECT_EQ(0, vt_obj_check(&o[i]));
	}
	EXPECT_EQ(0, vsvm_write_file(path, old));
}

/* VRAM as it was left by another process, for every kind of successor. */
static int leave_content(size_t len)
{
	struct vt_obj o;
	struct vt_buf b;
	struct vt t;

	if (VT_WRONG(!vt_open(&t)) ||
	    VT_WRONG(!vt_obj_create(&t, &o, len / 2, 0, AT)) ||
	    VT_WRONG(!vt_fill(&t, AT, len / 2, 0xa5)) ||
	    VT_WRONG(!vt_buf_map(&b, len / 2, VT_HOLES)) ||
	    VT_WRONG(!vt_buf_fill(&t, &b, 0, b.len, 0xa5)))
		return 1;
	vt_close(&t);
	return 0;
}

/*
 * Memory of a process where an object was: pages that it has touched and others,
 * to VRAM in pieces of any size, and for any kind of access.
 */
static int nothing_shows(struct vt *t, size_t len, unsigned int nth)
{
	static const __u32 granularity[] = { 4096, 64 * KIB, LARGE_PAGE };
	const bool large = nth == 2;
	struct vt_buf b;
	__u64 sum;
	size_t at;
	int err;

	if (VT_WRONG(!vt_buf_map(&b, len, VT_HOLES)))
		return 1;
	madvise(b.p, len, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (at = 0; at < len; at += large ? 2 * LARGE_PAGE : 37 * PAGE)
		__atomic_store_n(b.p + at, 0, __ATOMIC_RELAXED);
	err = vsvm_madvise(t->dev.fd, t->vm, b.p, len,
			   DRM_VSVM_MADVISE_GRANULARITY, granularity[nth]);
	err = err ?: vsvm_madvise(t->dev.fd, t->vm, b.p, len,
				  DRM_VSVM_MADVISE_ATOMIC, nth);
	err = err ?: vt_atomic_add(t, (__u64 *)(b.p + 5 * PAGE), 1, 0);
	/* By faults of a reader, then by those of a writer, then by prefetch. */
	err = err ?: vt_sum(t, b.p, len, &sum);
	if (VT_WRONG(!err) || VT_WRONG(!sum))
		return 1;
	for (at = 100; at < len / 2 && !err; at += 128 * KIB)
		err = vt_fill(t, b.p + at, 1, 0);
	err = err ?: vsvm_prefetch(t->dev.fd, t->vm, b.p, len,
				   DRM_VSVM_LOC_DEVICE, NULL, NULL);
	err = err ?: vt_sum(t, b.p, len, &sum);
	if (VT_WRONG(!err) || VT_WRONG(!sum) || VT_WRONG(!vt_all(b.p, 0, len)))
		return 1;
	vt_buf_unmap(&b);
	return 0;
}

TEST_F_TIMEOUT(gem_evict, nothing_of_others_shows, SECONDS)
{
	const size_t len = ((self->vram * 3 / 4) & ~(LARGE_PAGE - 1));
	struct vt *t = &self->t;
	struct vt_obj o;
	__u64 sum;
	pid_t pid;
	int i;

	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid)
			_exit(leave_content(len));
		ASSERT_EQ(0, vt_join(pid));
		ASSERT_EQ(0, vt_obj_create(t, &o, len - i * PAGE, 0, AT));
		ASSERT_EQ(0, vt_sum(t, AT, o.len, &sum));
		EXPECT_EQ(0u, sum);
		ASSERT_EQ(0, vt_all(o.p, 0, o.len));
		/* The same for memory of a process, after an object. */
		ASSERT_EQ(0, vt_fill(t, AT, o.len, 0xa5));
		vt_obj_destroy(t, &o);
		ASSERT_EQ(0, nothing_shows(t, len, i));
	}
}

/* A thread that evicts until it is told to stop. */
struct evictor {
	struct vt *t;
	bool stop;
	unsigned long passes;
	int err;
};

static void *evict_on_and_on(void *arg)
{
	struct evictor *e = arg;

	while (!__atomic_load_n(&e->stop, __ATOMIC_RELAXED) && !e->err) {
		e->err = vsvm_evict(&e->t->dev);
		e->passes++;
		vt_sleep_ms(5);
	}
	return NULL;
}

TEST_F_TIMEOUT(gem_evict, under_jobs, SECONDS)
{
	struct evictor e = { .t = &self->t };
	const size_t len = self->vram / 4;
	struct vt *t = &self->t;
	struct vt_obj o;
	pthread_t thread;
	int i;

	ASSERT_EQ(0, vt_obj_create(t, &o, len, 0, AT));
	ASSERT_EQ(0, pthread_create(&thread, NULL, evict_on_and_on, &e));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, vt_obj_add(t, &o, 0, len, i));
	__atomic_store_n(&e.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, e.err);
	EXPECT_LT(2u, e.passes);
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	ASSERT_EQ(0, vt_obj_check(&o));
}

/* CPU and GPU at work in one object, on parts of it. */
struct writer {
	struct vt_obj *o;
	size_t offset;
	size_t len;
	bool stop;
	unsigned long rounds;
};

static void *write_on_and_on(void *arg)
{
	struct writer *w = arg;
	size_t i;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		for (i = w->offset; i < w->offset + w->len; i += PAGE)
			w->o->p[i]++;
		w->rounds++;
	}
	return NULL;
}

TEST_F_TIMEOUT(gem_evict, cpu_and_gpu, SECONDS)
{
	const size_t len = self->vram / 8;
	struct vt *t = &self->t;
	struct vt_obj o;
	struct writer w = { .o = &o, .offset = len / 2, .len = len / 4 };
	pthread_t thread;
	size_t at;
	int i;

	ASSERT_EQ(0, vt_obj_create(t, &o, len, 0, AT));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_on_and_on, &w));
	for (i = 0; i < 30; i++)
		EXPECT_EQ(0, vt_obj_add(t, &o, 0, len / 2, 1));
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0u, w.rounds);
	for (at = w.offset; at < w.offset + w.len; at += PAGE)
		o.model[at] += w.rounds;
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	ASSERT_EQ(0, vt_obj_check(&o));
}

/* One of several threads on one object, each with a quarter of it. */
struct part {
	struct vt t;
	struct vt_obj *o;
	unsigned int number;
	bool stop;
	unsigned long rounds;
	int err;
};

#define PART(p)	((p)->o->len / 4 * (p)->number)

static bool goes_on(struct part *p)
{
	return !p->err && !__atomic_load_n(&p->stop, __ATOMIC_RELAXED);
}

/* By a binding that was made just now. */
static void *bind_on_and_on(void *arg)
{
	struct part *p = arg;
	const size_t len = p->o->len / 4;
	__u8 *at = AT_N(1) + PAGE;
	int fd = p->t.dev.fd;

	for (; goes_on(p); p->rounds++) {
		p->err = vsvm_gem_bind(fd, p->t.vm, p->o->handle, PART(p),
				       vsvm_addr(at), len, 0);
		p->err = p->err ?: vt_add(&p->t, at, at, len, 1);
		p->err = p->err ?: vsvm_gem_unbind(fd, p->t.vm, vsvm_addr(at),
						   len);
	}
	return NULL;
}

/* By an address space that was made just now, and goes with all in it. */
static void *bind_elsewhere(void *arg)
{
	struct part *p = arg;
	const size_t len = p->o->len / 4;
	int fd = p->t.dev.fd;

	for (; goes_on(p); p->rounds++) {
		p->err = vsvm_vm_create(fd, &p->t.vm);
		p->err = p->err ?: vsvm_gem_bind(fd, p->t.vm, p->o->handle, 0,
						 vsvm_addr(AT), p->o->len, 0);
		p->err = p->err ?: vt_add(&p->t, AT + PART(p), AT + PART(p),
					  len, 1);
		p->err = p->err ?: vsvm_vm_destroy(fd, p->t.vm);
	}
	return NULL;
}

static void *add_on_and_on(void *arg)
{
	struct part *p = arg;

	for (; goes_on(p); p->rounds++)
		p->err = vt_add(&p->t, AT + PART(p), AT + PART(p),
				p->o->len / 4, 1);
	return NULL;
}

static void *write_part(void *arg)
{
	struct part *p = arg;
	size_t i;

	for (; goes_on(p); p->rounds++) {
		for (i = 0; i < p->o->len / 4; i++)
			p->o->p[PART(p) + i]++;
	}
	return NULL;
}

/* Bindings come and go, while the object moves. */
TEST_F_TIMEOUT(gem_evict, bindings_in_motion, SECONDS)
{
	static void *(*const work[])(void *arg) = {
		bind_on_and_on, bind_elsewhere, add_on_and_on, write_part,
	};
	struct evictor e = { .t = &self->t };
	pthread_t thread[4], evictor;
	struct part part[4];
	struct vt_obj o;
	unsigned int i;
	size_t at;

	ASSERT_EQ(0, vt_obj_create(&self->t, &o, 4 * MIB, 0, AT));
	ASSERT_EQ(0, pthread_create(&evictor, NULL, evict_on_and_on, &e));
	for (i = 0; i < 4; i++) {
		part[i] = (struct part){ .t = self->t, .o = &o, .number = i };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, work[i],
					    &part[i]));
	}
	vt_sleep_ms(1000 * vt_seconds(8));
	for (i = 0; i < 4; i++)
		__atomic_store_n(&part[i].stop, true, __ATOMIC_RELAXED);
	__atomic_store_n(&e.stop, true, __ATOMIC_RELAXED);
	pthread_join(evictor, NULL);
	for (i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, part[i].err)
			TH_LOG("thread %u", i);
		EXPECT_LT(0u, part[i].rounds);
		for (at = 0; at < o.len / 4; at++)
			o.model[o.len / 4 * i + at] += part[i].rounds;
	}
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &o));
	ASSERT_EQ(0, vt_obj_check(&o));
}

/* One of several processes: objects and memory of its own, at random. */
static int compete(__u64 seed, __u64 vram, unsigned int rounds)
{
	const size_t len = ((vram / 4) & ~(LARGE_PAGE - 1));
	struct vt_obj o[3];
	struct vt_buf b;
	unsigned int i;
	size_t at, n;
	struct vt t;

	if (VT_WRONG(!vt_open(&t)) || VT_WRONG(!vt_buf_map(&b, len, VT_THP)))
		return 1;
	for (i = 0; i < ARRAY_SIZE(o); i++) {
		if (VT_WRONG(!vt_obj_create(&t, &o[i], len, i == 2 ?
					    DRM_VSVM_GEM_SYSTEM : 0, AT_N(i))))
			return 1;
	}
	while (rounds--) {
		i = vt_random_below(&seed, ARRAY_SIZE(o));
		at = vt_random_below(&seed, len);
		n = vt_random_below(&seed, len - at) + 1;
		switch (vt_random_below(&seed, 6)) {
		case 0:
		case 1:
			if (VT_WRONG(!vt_obj_add(&t, &o[i], at, n, 1)))
				return 1;
			break;
		case 2:
			if (VT_WRONG(!vt_buf_add(&t, &b, at, n, 1)))
				return 1;
			break;
		case 3:
			vt_obj_write(&o[i], at, n, seed);
			break;
		case 4:
			memcpy(o[i].model + at, b.model + at, n);
			if (VT_WRONG(!vt_copy(&t, o[i].at + at, b.p + at, n)))
				return 1;
			break;
		default:
			if (VT_WRONG(!vt_same(o[i].p + at, o[i].model + at, n)))
				return 1;
		}
	}
	for (i = 0; i < ARRAY_SIZE(o); i++) {
		if (VT_WRONG(!vt_obj_check_gpu(&t, &o[i])) ||
		    VT_WRONG(!vt_obj_check(&o[i])))
			return 1;
	}
	return VT_WRONG(!vt_buf_check(&b));
}

TEST_F_TIMEOUT(gem_evict, several_processes, 2 * SECONDS)
{
	__u64 seed = vt_seed();
	pid_t pid[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(compete(seed + i, self->vram, 40));
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++)
		EXPECT_EQ(0, vt_join(pid[i]));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The GPU is taken away, and comes back. Whatever was in its VRAM must be in
 * system memory afterwards; jobs end with an error and processes go on. Needs
 * root, and must not run beside anything else that uses the GPU.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

FIXTURE(unbind) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_VARIANT(unbind) {
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(unbind, small) { .kind = VT_SMALL, };
FIXTURE_VARIANT_ADD(unbind, thp) { .kind = VT_THP, };

FIXTURE_SETUP(unbind)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, variant->kind));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
}

/* Other tests want a GPU, whatever this one did to it. */
FIXTURE_TEARDOWN(unbind)
{
	vsvm_bind(&self->t.dev);
	vt_close(&self->t);
}

/* By its name: the number changes while somebody holds the old file. */
static int open_named(struct vt *t, const char *name)
{
	int id;

	for (id = 0; id < 16; id++) {
		*t = (struct vt){};
		if (vsvm_open(&t->dev, id))
			continue;
		if (!strcmp(t->dev.name, name))
			return vsvm_vm_create(t->dev.fd, &t->vm);
		vsvm_close(&t->dev);
	}
	return -ENODEV;
}

/* The node of a GPU that was bound again may take a moment to appear. */
static int reopen(struct vt *t, const struct vt *old)
{
	__u64 end = vt_now_ms() + 10000;
	int err;

	do {
		err = open_named(t, old->dev.name);
		if (err)
			vt_sleep_ms(20);
	} while (err && vt_now_ms() < end);
	return err;
}

TEST_F_TIMEOUT(unbind, data_comes_home, SECONDS)
{
	size_t i, pages = LEN / PAGE;
	__u8 *map = malloc(pages);

	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	ASSERT_EQ(0, vsvm_residency_pagemap(self->b.p, LEN, map));
	for (i = 0; i < pages; i++) {
		ASSERT_EQ(IN_RAM, map[i])
			TH_LOG("page %zu", i);
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
	free(map);
}

TEST_F_TIMEOUT(unbind, ioctls_afterwards, SECONDS)
{
	struct drm_vsvm_device_info info;
	struct drm_vsvm_stats stats;
	int fd = self->t.dev.fd;
	__u32 vm = self->t.vm;
	__u8 map;

	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	EXPECT_EQ(-ENODEV, vsvm_query_device(fd, &info));
	EXPECT_EQ(-ENODEV, vsvm_query_stats(fd, &stats));
	EXPECT_EQ(-ENODEV, vt_fill(&self->t, self->b.p, 1, 1));
	EXPECT_EQ(-ENODEV, vsvm_prefetch(fd, vm, self->b.p, PAGE,
					 DRM_VSVM_LOC_DEVICE, NULL, NULL));
	EXPECT_EQ(-ENODEV, vsvm_prefetch(fd, vm, self->b.p, PAGE,
					 DRM_VSVM_LOC_SYSTEM, NULL, NULL));
	EXPECT_EQ(-ENODEV, vsvm_residency(fd, vm, self->b.p, PAGE, &map));
	EXPECT_EQ(-ENODEV, vsvm_vm_destroy(fd, vm));
	EXPECT_EQ(-ENODEV, vsvm_vm_create(fd, &vm));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Memory on its way is at home in the end, and no fence stays behind. */
TEST_F_TIMEOUT(unbind, under_a_prefetch, SECONDS)
{
	struct vt *t = &self->t;
	__u32 sync[8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sync); i++) {
		ASSERT_EQ(0, vt_syncobj_create(t, &sync[i]));
		ASSERT_EQ(0, vsvm_prefetch_async(t->dev.fd, t->vm, self->b.p, LEN,
						 i % 2 ? DRM_VSVM_LOC_DEVICE :
							 DRM_VSVM_LOC_SYSTEM,
						 sync[i]));
	}
	ASSERT_EQ(0, vsvm_unbind(&t->dev));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The old file stays dead, a new one works; the memory is the same. */
TEST_F_TIMEOUT(unbind, bind_again, SECONDS)
{
	struct drm_vsvm_stats stats;
	struct vt fresh;

	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	ASSERT_EQ(0, vsvm_bind(&self->t.dev));
	ASSERT_EQ(0, reopen(&fresh, &self->t));
	EXPECT_EQ(-ENODEV, vt_fill(&self->t, self->b.p, 1, 1));
	ASSERT_EQ(0, vsvm_query_stats(fresh.dev.fd, &stats));
	EXPECT_EQ(0u, stats.jobs);
	ASSERT_EQ(0, vt_buf_check_gpu(&fresh, &self->b));
	ASSERT_EQ(0, vt_buf_add(&fresh, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&fresh, &self->b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	vt_close(&fresh);
}

/* Pulled out by debugfs, which says so before it is done. */
TEST_F_TIMEOUT(unbind, unplug, SECONDS)
{
	__u64 end = vt_now_ms() + SECONDS * 500ull;
	struct vt fresh;
	int err;

	ASSERT_EQ(0, vsvm_unplug(&self->t.dev));
	while (vt_fill(&self->t, self->b.p, 1, self->b.model[0]) != -ENODEV)
		ASSERT_GT(end, vt_now_ms());
	/* -EBUSY or -ENODEV as long as it is on its way out. */
	while ((err = vsvm_bind(&self->t.dev)))
		ASSERT_GT(end, vt_now_ms());
	ASSERT_EQ(0, reopen(&fresh, &self->t));
	ASSERT_EQ(0, vt_buf_check_gpu(&fresh, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	vt_close(&fresh);
}

TEST_F_TIMEOUT(unbind, five_times, 2 * SECONDS)
{
	struct vt fresh;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
		ASSERT_EQ(0, vsvm_bind(&self->t.dev));
		ASSERT_EQ(0, reopen(&fresh, &self->t));
		ASSERT_EQ(0, vt_buf_add(&fresh, &self->b, 0, LEN, 1));
		vt_close(&self->t);
		self->t = fresh;
	}
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* A job that waits for the GPU, in a thread of its own. */
struct waiter {
	struct vt t;
	struct drm_vsvm_kernel kernel;
	pthread_t thread;
	int err;
};

static void *wait_for_job(void *arg)
{
	struct waiter *w = arg;

	w->err = vsvm_run(w->t.dev.fd, w->t.vm, &w->kernel, 1, NULL);
	return NULL;
}

TEST_F_TIMEOUT(unbind, under_an_endless_job, SECONDS)
{
	struct waiter w = { .t = self->t };

	vt_endless(&w.kernel, aligned_alloc(PAGE, PAGE));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, wait_for_job, &w));
	vt_sleep_ms(200);
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	pthread_join(w.thread, NULL);
	EXPECT_EQ(-ECANCELED, w.err);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* A thread that submits jobs until the GPU is gone. */
struct loop {
	struct vt t;
	struct vt_buf *b;
	size_t offset;
	size_t len;
	unsigned int done;
	int err;
};

static void *add_until_gone(void *arg)
{
	struct loop *l = arg;

	while (!l->err) {
		l->err = vt_add(&l->t, l->b->p + l->offset,
				l->b->p + l->offset, l->len, 1);
		if (!l->err)
			__atomic_add_fetch(&l->done, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * A job that was cut off has changed none, some or all of its bytes: each is
 * one of two values.
 */
static int check_loop(const struct loop *l, const __u8 *model)
{
	const __u8 *p = l->b->p + l->offset;
	size_t i;

	for (i = 0; i < l->len; i++) {
		__u8 added = p[i] - model[l->offset + i] - l->done;

		if (VT_WRONG(added <= 1))
			return -EILSEQ;
	}
	return 0;
}

TEST_F_TIMEOUT(unbind, under_jobs, SECONDS)
{
	struct loop l = {
		.t = self->t,
		.b = &self->b,
		.offset = 12345,
		.len = MIB,
	};
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, add_until_gone, &l));
	while (__atomic_load_n(&l.done, __ATOMIC_RELAXED) < 3)
		vt_sleep_ms(5);
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	pthread_join(thread, NULL);
	EXPECT_TRUE(l.err == -ENODEV || l.err == -ECANCELED)
		TH_LOG("errno %d", -l.err);
	ASSERT_EQ(0, check_loop(&l, self->b.model));
	ASSERT_EQ(0, vt_buf_check_range(&self->b, 0, l.offset));
	ASSERT_EQ(0, vt_buf_check_range(&self->b, l.offset + l.len,
					LEN - l.offset - l.len));
}

static void *read_until_done(void *arg)
{
	struct loop *l = arg;

	l->err = vt_buf_check(l->b);
	return NULL;
}

/* Pages come home by CPU faults and by the unbind at the same time. */
TEST_F_TIMEOUT(unbind, under_cpu_faults, SECONDS)
{
	struct loop l[2] = { { .b = &self->b }, { .b = &self->b } };
	pthread_t thread[2];
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, read_until_done,
					    &l[i]));
	}
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	for (i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, l[i].err);
	}
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* A child shares the pages in VRAM; it has a GPU file of its own, or none. */
static int child_outlives_gpu(struct vt_buf *b, int ready, int go, bool opens)
{
	struct vt t;

	if (opens && (VT_WRONG(!vt_open(&t)) ||
		      VT_WRONG(!vt_buf_add(&t, b, MIB, MIB, 1))))
		return 1;
	vt_wake(ready);
	if (VT_WRONG(!vt_await(go)) || VT_WRONG(!vt_buf_check(b)))
		return 1;
	return opens && VT_WRONG(vt_fill(&t, b->p, 1, 1) == -ENODEV);
}

static int unbind_with_child(struct vt *t, struct vt_buf *b, bool opens)
{
	int ready[2], go[2], err;
	pid_t pid;

	if (VT_WRONG(!pipe(ready)) || VT_WRONG(!pipe(go)))
		return 1;
	pid = fork();
	if (!pid)
		_exit(child_outlives_gpu(b, ready[1], go[0], opens));
	close(ready[1]);
	if (VT_WRONG(!vt_await(ready[0])))
		return 1;
	err = vsvm_unbind(&t->dev);
	vt_wake(go[1]);
	return VT_WRONG(!vt_join(pid)) || VT_WRONG(!vt_buf_check(b)) || err;
}

TEST_F_TIMEOUT(unbind, with_a_child, SECONDS)
{
	ASSERT_EQ(0, unbind_with_child(&self->t, &self->b, false));
}

TEST_F_TIMEOUT(unbind, with_a_child_on_the_gpu, SECONDS)
{
	ASSERT_EQ(0, unbind_with_child(&self->t, &self->b, true));
}

/* The owner of the memory goes while the GPU does. */
TEST_F_TIMEOUT(unbind, while_the_owner_exits, SECONDS)
{
	int ready[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid) {
		struct vt t;

		if (VT_WRONG(!vt_open(&t)) ||
		    VT_WRONG(!vt_buf_add(&t, &self->b, 0, LEN, 1)))
			_exit(1);
		vt_wake(ready[1]);
		_exit(0);
	}
	close(ready[1]);
	ASSERT_EQ(0, vt_await(ready[0]));
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Who waits for a job's word is told that the GPU has gone. */
static void *wait_for_word(void *arg)
{
	struct vt *t = ((void **)arg)[0];

	return (void *)(long)vt_ufence_wait(t, ((void **)arg)[1], 60000);
}

TEST_F_TIMEOUT(unbind, waiter_for_an_endless_job, SECONDS)
{
	struct vt *t = &self->t;
	struct drm_vsvm_kernel kernel;
	struct vt_ufence done;
	void *arg[] = { t, &done };
	pthread_t thread;
	void *err;

	vt_endless(&kernel, aligned_alloc(PAGE, PAGE));
	ASSERT_EQ(0, vt_ufence_create(&done));
	ASSERT_EQ(0, vt_submit(t, t->vm, &kernel, 1, &done));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_word, arg));
	vt_sleep_ms(200);
	ASSERT_EQ(0, vt_ufence_status(t, &done));
	ASSERT_EQ(0, vsvm_unbind(&t->dev));
	pthread_join(thread, &err);
	EXPECT_EQ(-ECANCELED, (long)err);
	EXPECT_EQ(-ENODEV, vt_ufence_status(t, &done));
	EXPECT_EQ(0u, *done.word);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Objects as they are while the GPU goes. */
#define AT	((__u8 *)DRM_VSVM_BIND_START)
#define AT_N(n)	(AT + (n) * 64 * MIB)

FIXTURE(unbind_objects) {
	struct vt t;
	/* In VRAM; in system memory, mapped by the GPU; never touched. */
	struct vt_obj o[3];
};

FIXTURE_SETUP(unbind_objects)
{
	struct vt *t = &self->t;
	int err = vt_open(t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_obj_create(t, &self->o[0], LEN, 0, AT_N(0)));
	ASSERT_EQ(0, vt_obj_create(t, &self->o[1], LEN, DRM_VSVM_GEM_SYSTEM,
				   AT_N(1)));
	ASSERT_EQ(0, vt_obj_create(t, &self->o[2], LEN, 0, AT_N(2)));
	vt_obj_write(&self->o[0], 0, LEN, 1);
	vt_obj_write(&self->o[1], 0, LEN, 2);
	ASSERT_EQ(0, vt_obj_add(t, &self->o[0], 0, LEN, 1));
	ASSERT_EQ(0, vt_obj_add(t, &self->o[1], 0, LEN, 1));
}

FIXTURE_TEARDOWN(unbind_objects)
{
	vsvm_bind(&self->t.dev);
	vt_close(&self->t);
}

TEST_F_TIMEOUT(unbind_objects, keep_their_content, SECONDS)
{
	unsigned int i;

	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, vt_obj_check(&self->o[i]));
	/* Ordinary memory from now on, also without its file. */
	for (i = 0; i < 3; i++)
		vt_obj_write(&self->o[i], 0, LEN, 7 + i);
	ASSERT_EQ(0, vsvm_bind(&self->t.dev));
	close(self->t.dev.fd);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vt_obj_check(&self->o[i]));
		ASSERT_EQ(0, munmap(self->o[i].p, LEN));
	}
}

TEST_F_TIMEOUT(unbind_objects, ioctls_afterwards, SECONDS)
{
	struct drm_vsvm_gem_mmap args = { .handle = self->o[0].handle };
	int fd = self->t.dev.fd;
	__u32 handle;

	ASSERT_EQ(0, ioctl(fd, DRM_IOCTL_VSVM_GEM_MMAP, &args));
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	EXPECT_EQ(-ENODEV, vsvm_gem_create(fd, LEN, 0, &handle));
	EXPECT_EQ(-ENODEV, vsvm_gem_bind(fd, self->t.vm, self->o[0].handle, 0,
					 vsvm_addr(AT_N(3)), LEN, 0));
	EXPECT_EQ(-ENODEV, vsvm_gem_unbind(fd, self->t.vm, vsvm_addr(AT), LEN));
	EXPECT_EQ(-1, ioctl(fd, DRM_IOCTL_VSVM_GEM_MMAP, &args));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd,
				   args.offset));
	EXPECT_EQ(ENODEV, errno);
}

static void *touch_all(void *arg)
{
	struct vt_obj *o = arg;

	return vt_obj_check(o) ? o : NULL;
}

/* A CPU brings an object home, and so does the unbind. */
TEST_F_TIMEOUT(unbind_objects, under_cpu_faults, SECONDS)
{
	pthread_t thread[3];
	void *wrong;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, touch_all,
					    &self->o[i]));
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	for (i = 0; i < 3; i++) {
		pthread_join(thread[i], &wrong);
		EXPECT_EQ(NULL, wrong);
	}
}

static void *add_objects_until_gone(void *arg)
{
	struct loop *l = arg;
	__u8 *at = AT_N(2);

	while (!l->err) {
		l->err = vt_add(&l->t, at, at, l->len, 1);
		if (!l->err)
			__atomic_add_fetch(&l->done, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F_TIMEOUT(unbind_objects, under_jobs, SECONDS)
{
	struct vt_buf b = { .p = self->o[2].p, .model = self->o[2].model };
	struct loop l = { .t = self->t, .b = &b, .len = MIB };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, add_objects_until_gone, &l));
	while (__atomic_load_n(&l.done, __ATOMIC_RELAXED) < 3)
		vt_sleep_ms(5);
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	pthread_join(thread, NULL);
	EXPECT_TRUE(l.err == -ENODEV || l.err == -ECANCELED)
		TH_LOG("errno %d", -l.err);
	ASSERT_EQ(0, check_loop(&l, b.model));
	ASSERT_EQ(0, vt_obj_check(&self->o[0]));
	ASSERT_EQ(0, vt_obj_check(&self->o[1]));
}

static bool is_asleep(const char *path)
{
	FILE *file = fopen(path, "re");
	char status[32] = "";
	bool yes;

	if (!file)
		return false;
	yes = fgets(status, sizeof(status), file) &&
	      !strcmp(status, "suspended\n");
	fclose(file);
	return yes;
}

/* A GPU that is dead as well: who touches the object gets a signal. */
TEST_F_TIMEOUT(unbind_objects, that_cannot_be_read, 2 * SECONDS)
{
	char path[PATH_MAX + 128];
	pid_t pid;
	int i;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/inject/fail_to_ram",
		 self->t.dev.name);
	if (vsvm_write_file(path, "1000000"))
		SKIP(return, "no CONFIG_DRM_VSVM_DEBUG");
	EXPECT_EQ(0, vsvm_unbind(&self->t.dev));
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(__atomic_load_n(self->o[0].p, __ATOMIC_RELAXED) & 0);
	}
	EXPECT_EQ(SIGBUS, vt_join(pid));
	EXPECT_EQ(0, vt_obj_check(&self->o[1]));
	ASSERT_EQ(0, vsvm_bind(&self->t.dev));
	ASSERT_EQ(0, vsvm_write_file(path, "0"));
	/* What was lost keeps nobody awake. */
	snprintf(path, sizeof(path), "%s/%s/power/runtime_status",
		 self->t.dev.driver, self->t.dev.name);
	for (i = 0; i < 100 && !is_asleep(path); i++)
		vt_sleep_ms(50);
	EXPECT_TRUE(access(path, F_OK) || is_asleep(path));
}

TEST_HARNESS_MAIN

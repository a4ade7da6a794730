// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects, jobs and PREFETCH when something fails: each allocation once,
 * copies, evictions. The error is a clear one, nothing is lost and nothing leaks;
 * with CONFIG_DMA_API_DEBUG that counts mappings, too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(120)
#define LEN	vt_scaled(256 * KIB)
#define PAGE	vsvm_page_size()
#define AT	((__u8 *)DRM_VSVM_BIND_START)
#define DEBUGFS	"/sys/kernel/debug/"
/* More than any of the calls has allocations. */
#define MAX_NTH	400

FIXTURE(gem_fail) {
	struct vt t;
	__u64 used;
};

/*
 * CONFIG_DMA_API_DEBUG has a tree of what is mapped. It turns itself off, with a
 * line in the log, once it cannot get a node for that, so that nodes of radix
 * trees do not fail.
 */
static int spare_dma_debug(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *cache;
	char path[PATH_MAX];
	int n = 0;

	if (!dir)
		return -errno;
	while ((cache = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab",
			 cache->d_name);
		if (strcmp(cache->d_name, "radix_tree_node") &&
		    !vsvm_write_file(path, "1"))
			n++;
	}
	closedir(dir);
	return n ? vsvm_write_file(DEBUGFS "failslab/cache-filter", "1") : -ENOENT;
}

static int allow_failures(void)
{
	static const char * const file[] = {
		DEBUGFS "failslab/ignore-gfp-wait",
		DEBUGFS "fail_page_alloc/ignore-gfp-wait",
		DEBUGFS "fail_page_alloc/ignore-gfp-highmem",
		DEBUGFS "fail_page_alloc/min-order",
		DEBUGFS "failslab/verbose",
		DEBUGFS "fail_page_alloc/verbose",
	};
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(file) && !err; i++)
		err = vsvm_write_file(file[i], "0");
	return err ?: spare_dma_debug();
}

FIXTURE_SETUP(gem_fail)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	/* The first object makes more than those after it. */
	ASSERT_EQ(0, vt_fill(&self->t, aligned_alloc(PAGE, PAGE), 1, 1));
	ASSERT_EQ(0, vsvm_evict(&self->t.dev));
	self->used = vt_vram_used(&self->t);
}

FIXTURE_TEARDOWN(gem_fail)
{
	vt_close(&self->t);
}

/* What is to be tried with each of its allocations failing once. */
struct attempt {
	struct vt *t;
	struct vt_obj o;
	struct vt_buf b;
	__u32 handle;
	__u32 vm;
	/* Called while an allocation may fail. 0 or an error. */
	int (*call)(struct attempt *a);
	/* After it succeeded, or failed; must leave all as it was. */
	int (*undo)(struct attempt *a, int err);
};

/* 1 if there were @nth allocations, 0 if not. */
static int try_and_fail(struct attempt *a, int fd, int nth)
{
	char text[16] = {};
	int len, err;

	len = snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(fd, text, len, 0) != len)
		return -errno;
	err = a->call(a);
	memset(text, 0, sizeof(text));
	if (pread(fd, text, sizeof(text) - 1, 0) < 1 || pwrite(fd, "0", 1, 0) != 1)
		return -errno;
	if (err && err != -ENOMEM) {
		fprintf(stderr, "# allocation %d failed: error %d\n", nth, -err);
		return err;
	}
	err = a->undo(a, err) ?: !atoi(text);
	if (err < 0)
		fprintf(stderr, "# after allocation %d: error %d\n", nth, -err);
	return err;
}

/* How many allocations there were, or an error. */
static int fail_each(struct attempt *a)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int nth, got = 1;

	for (nth = 1; nth <= MAX_NTH && got == 1; nth++)
		got = try_and_fail(a, fd, nth);
	close(fd);
	return got ?: nth - 2;
}

static int call_create(struct attempt *a)
{
	return vsvm_gem_create(a->t->dev.fd, LEN, 0, &a->handle);
}

static int undo_create(struct attempt *a, int err)
{
	__u64 total;

	if (!err)
		err = vsvm_gem_close(a->t->dev.fd, a->handle);
	else
		err = 0;
	err = err ?: vsvm_fdinfo(a->t->dev.fd, "drm-total-vram", &total);
	return err ?: VT_WRONG(!total) ? -EILSEQ : 0;
}

TEST_F_TIMEOUT(gem_fail, create, SECONDS)
{
	struct attempt a = {
		.t = &self->t,
		.call = call_create,
		.undo = undo_create,
	};

	if (allow_failures())
		SKIP(return, "no fault injection in this kernel");
	EXPECT_LT(3, fail_each(&a));
	EXPECT_EQ(0, vt_vram_settles(&self->t, self->used));
}

static int call_bind(struct attempt *a)
{
	return vsvm_gem_bind(a->t->dev.fd, a->t->vm, a->handle, 0, vsvm_addr(AT),
			     LEN, 0);
}

static int undo_bind(struct attempt *a, int err)
{
	int ret = vsvm_gem_unbind(a->t->dev.fd, a->t->vm, vsvm_addr(AT), LEN);

	/* Bound if it said so, and else not. */
	return ret == (err ? -ENOENT : 0) ? 0 : -EILSEQ;
}

TEST_F_TIMEOUT(gem_fail, bind, SECONDS)
{
	struct attempt a = {
		.t = &self->t,
		.call = call_bind,
		.undo = undo_bind,
	};

	if (allow_failures())
		SKIP(return, "no fault injection in this kernel");
	ASSERT_EQ(0, vsvm_gem_create(self->t.dev.fd, LEN, 0, &a.handle));
	EXPECT_LT(1, fail_each(&a));
	ASSERT_EQ(0, vsvm_gem_close(self->t.dev.fd, a.handle));
	EXPECT_EQ(0, vt_vram_settles(&self->t, self->used));
}

static int call_unbind(struct attempt *a)
{
	return vsvm_gem_unbind(a->t->dev.fd, a->t->vm, vsvm_addr(AT), LEN);
}

static int undo_unbind(struct attempt *a, int err)
{
	return err ?: call_bind(a) ?: vt_fill(a->t, AT, LEN, 1);
}

/* What takes memory away needs none. */
TEST_F_TIMEOUT(gem_fail, unbind, SECONDS)
{
	struct attempt a = {
		.t = &self->t,
		.call = call_unbind,
		.undo = undo_unbind,
	};

	if (allow_failures())
		SKIP(return, "no fault injection in this kernel");
	ASSERT_EQ(0, vsvm_gem_create(self->t.dev.fd, LEN, 0, &a.handle));
	ASSERT_EQ(0, call_bind(&a));
	EXPECT_LE(0, fail_each(&a));
}

static int call_vm_create(struct attempt *a)
{
	return vsvm_vm_create(a->t->dev.fd, &a->vm);
}

static int undo_vm_create(struct attempt *a, int err)
{
	return err ? 0 : vsvm_vm_destroy(a->t->dev.fd, a->vm);
}

TEST_F_TIMEOUT(gem_fail, vm_create, SECONDS)
{
	struct attempt a = {
		.t = &self->t,
		.call = call_vm_create,
		.undo = undo_vm_create,
	};

	if (allow_failures())
		SKIP(return, "no fault injection in this kernel");
	EXPECT_LT(10, fail_each(&a));
	EXPECT_EQ(0, vt_vram_settles(&self->t, self->used));
}

static sigjmp_buf on_sigbus;

static void sigbus(int sig)
{
	(void)sig;
	siglongjmp(on_sigbus, 1);
}

/* A read, without dying from it. */
static int touch(const __u8 *p)
{
	struct sigaction action = { .sa_handler = sigbus }, old;
	int err = -EFAULT;

	sigaction(SIGBUS, &action, &old);
	if (!sigsetjmp(on_sigbus, 1)) {
		(void)__atomic_load_n(p, __ATOMIC_RELAXED);
		err = 0;
	}
	sigaction(SIGBUS, &old, NULL);
	return err;
}

static int call_touch(struct attempt *a)
{
	return touch(a->o.p + 3 * PAGE);
}

static int undo_touch(struct attempt *a, int err)
{
	err = err ?: vt_obj_check(&a->o);
	return err ?: vt_obj_add(a->t, &a->o, 0, LEN, 1);
}

/* A CPU's fault is repeated until there is memory. */
TEST_F_TIMEOUT(gem_fail, cpu_fault, SECONDS)
{
	struct attempt a = {
		.t = &self->t,
		.call = call_touch,
		.undo = undo_touch,
	};

	if (allow_failures())
		SKIP(return, "no fault injection in this kernel");
	ASSERT_EQ(0, vt_obj_create(&self->t, &a.o, LEN, 0, AT));
	ASSERT_EQ(0, vt_obj_add(&self->t, &a.o, 0, LEN, 1));
	EXPECT_LT(0, fail_each(&a));
	ASSERT_EQ(0, vt_obj_check_gpu(&self->t, &a.o));
	vt_obj_destroy(&self->t, &a.o);
	EXPECT_EQ(0, vt_vram_settles(&self->t, self->used));
}

static int call_exec(struct attempt *a)
{
	return vt_add(a->t, a->b.p, a->b.p, LEN, 1);
}

/* A job that was refused has done nothing. */
static int undo_exec(struct attempt *a, int err)
{
	size_t i;

	for (i = 0; i < LEN && !err; i++)
		a->b.model[i]++;
	return vt_buf_check(&a->b);
}

static int call_prefetch(struct attempt *a)
{
	return vsvm_prefetch(a->t->dev.fd, a->t->vm, a->b.p, LEN,
			     DRM_VSVM_LOC_DEVICE, NULL, NULL);
}

/* What did not move is where it was. */
static int undo_prefetch(struct attempt *a, int err)
{
	(void)err;
	return vt_buf_check(&a->b);
}

static int call_home(struct attempt *a)
{
	return vsvm_prefetch(a->t->dev.fd, a->t->vm, a->b.p, LEN,
			     DRM_VSVM_LOC_SYSTEM, NULL, NULL);
}

static int undo_home(struct attempt *a, int err)
{
	(void)err;
	return vt_buf_check(&a->b) ?: vt_buf_add(a->t, &a->b, 0, LEN, 1);
}

static int call_read(struct attempt *a)
{
	return touch(a->b.p + 3 * PAGE);
}

FIXTURE(svm_fail) {
	struct vt t;
	struct attempt a;
};

FIXTURE_VARIANT(svm_fail) {
	int (*call)(struct attempt *a);
	int (*undo)(struct attempt *a, int err);
	int least;	/* allocations that there are at least */
};

FIXTURE_VARIANT_ADD(svm_fail, exec) {
	.call = call_exec, .undo = undo_exec, .least = 4,
};

FIXTURE_VARIANT_ADD(svm_fail, prefetch) {
	.call = call_prefetch, .undo = undo_prefetch, .least = 4,
};

FIXTURE_VARIANT_ADD(svm_fail, prefetch_home) {
	.call = call_home, .undo = undo_home, .least = 4,
};

FIXTURE_VARIANT_ADD(svm_fail, cpu_fault) {
	.call = call_read, .undo = undo_home, .least = 1,
};

FIXTURE_SETUP(svm_fail)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (allow_failures())
		SKIP(return, "no fault injection in this kernel");
	self->a = (struct attempt){
		.t = &self->t,
		.call = variant->call,
		.undo = variant->undo,
	};
	ASSERT_EQ(0, vt_buf_map(&self->a.b, LEN, VT_SMALL));
	/* Something to read, and to bring home. */
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->a.b, 0, LEN, 1));
}

FIXTURE_TEARDOWN(svm_fail)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(svm_fail, each_allocation, SECONDS)
{
	int num = fail_each(&self->a);

	TH_LOG("%d allocations", num);
	EXPECT_LE(variant->least, num);
	/* As always. */
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->a.b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->a.b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(&self->a.b));
}

/* Let a number of copies fail, by the driver's own fault injection. */
static int fail_copies(struct vt *t, const char *direction, int number)
{
	char path[256], text[16];

	snprintf(path, sizeof(path), DEBUGFS "dri/%s/inject/fail_%s",
		 t->dev.name, direction);
	snprintf(text, sizeof(text), "%d", number);
	return vsvm_write_file(path, text);
}

static __u64 in_system(struct vt *t)
{
	__u64 bytes;

	return vsvm_fdinfo(t->dev.fd, "drm-resident-system", &bytes) ?
	       UINT64_MAX : bytes;
}

TEST_F_TIMEOUT(gem_fail, copy_to_ram, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_obj o;

	if (fail_copies(t, "to_ram", 0))
		SKIP(return, "no CONFIG_DRM_VSVM_DEBUG");
	ASSERT_EQ(0, vt_obj_create(t, &o, LEN, 0, AT));
	vt_obj_write(&o, 0, LEN, 1);
	vt_sleep_ms(50);
	ASSERT_EQ(0, vt_obj_add(t, &o, 0, LEN, 1));
	ASSERT_EQ(0u, in_system(t));
	ASSERT_EQ(0, fail_copies(t, "to_ram", 1));
	EXPECT_EQ(-EFAULT, touch(o.p));
	/* It stayed where it was, with all that is in it. */
	EXPECT_EQ(0u, in_system(t));
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	ASSERT_EQ(0, vt_obj_check(&o));
	ASSERT_EQ(LEN, in_system(t));
}

TEST_F_TIMEOUT(gem_fail, copy_to_vram, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_obj o;

	if (fail_copies(t, "to_vram", 0))
		SKIP(return, "no CONFIG_DRM_VSVM_DEBUG");
	ASSERT_EQ(0, vt_obj_create(t, &o, LEN, 0, AT));
	vt_obj_write(&o, 0, LEN, 1);
	vt_sleep_ms(50);
	ASSERT_EQ(0, fail_copies(t, "to_vram", 1));
	/* The job gets on, with system memory. */
	ASSERT_EQ(0, vt_obj_add(t, &o, 0, LEN, 1));
	EXPECT_EQ(LEN, in_system(t));
	ASSERT_EQ(0, vt_obj_check_gpu(t, &o));
	ASSERT_EQ(0, vt_obj_check(&o));
	vt_obj_destroy(t, &o);
	EXPECT_EQ(0, vt_vram_settles(t, self->used));
}

/* Who wants the place does without, and has it later. */
TEST_F_TIMEOUT(gem_fail, eviction, SECONDS)
{
	struct drm_vsvm_device_info info;
	struct vt *t = &self->t;
	struct vt_obj o[2];
	size_t len;
	int i;

	if (fail_copies(t, "to_ram", 0))
		SKIP(return, "no CONFIG_DRM_VSVM_DEBUG");
	ASSERT_EQ(0, vsvm_query_device(t->dev.fd, &info));
	if (info.vram_size > 32 * MIB)
		SKIP(return, "VRAM is too large; load vsvm with vram_mb=16");
	len = (info.vram_size * 5 / 8) & ~(LARGE_PAGE - 1);
	ASSERT_EQ(0, vt_obj_create(t, &o[0], len, 0, AT));
	ASSERT_EQ(0, vt_obj_add(t, &o[0], 0, len, 1));
	ASSERT_EQ(0, fail_copies(t, "to_ram", 1000));
	ASSERT_EQ(0, vt_obj_create(t, &o[1], len, 0, AT + 64 * MIB));
	ASSERT_EQ(0, vt_obj_add(t, &o[1], 0, len, 2));
	EXPECT_EQ(len, in_system(t));
	EXPECT_EQ(-EBUSY, vsvm_evict(&t->dev));
	ASSERT_EQ(0, fail_copies(t, "to_ram", 0));
	ASSERT_EQ(0, vsvm_evict(&t->dev));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vt_obj_check_gpu(t, &o[i]));
		ASSERT_EQ(0, vt_obj_check(&o[i]));
	}
}

TEST_HARNESS_MAIN

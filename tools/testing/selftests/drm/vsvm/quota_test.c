// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Clients that take all that they can get. They get so much and no more, others
 * get their work done beside them in bounded time, and all of it is there again
 * once they are gone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(120)
#define PAGE		vsvm_page_size()
/* The others' work takes no longer, whatever goes on beside it. */
#define SOON_MS		((__u64)vt_timeout(10000))

/* As vsvm_drm.h has them. */
#define PROCESS_VMS	16
#define USER_VMS	48
#define DEVICE_VMS	64
#define HOLDERS		(DEVICE_VMS / PROCESS_VMS)
#define USER		4000

#define CGROUP		VT_CGROUPS "/vsvm-quota"

/* Of a pool, on top of its limit: by faults that are served side by side. */
#define SLACK		(128 * KIB)

FIXTURE(quota) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(quota)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LARGE_PAGE, VT_SMALL));
}

FIXTURE_TEARDOWN(quota)
{
	vt_close(&self->t);
}

/* Somebody else's work. Each time with an answer, or it is an error. */
static int work(struct vt *t, struct vt_buf *b)
{
	const __u64 start = vt_now_ms();
	int err;

	err = vt_buf_add(t, b, 0, b->len, 1);
	err = err ?: vt_buf_check_gpu(t, b);
	err = err ?: vt_buf_check(b);
	if (VT_WRONG(vt_now_ms() - start < SOON_MS))
		return -ETIMEDOUT;
	return err;
}

/* A process that makes as many address spaces as it can. */
struct holder {
	pid_t pid;
	int go[2];	/* to it: end */
	int got[2];	/* from it: how many, and why not one more */
	int num;
	int err;
};

static void hold(const struct holder *h, uid_t uid)
{
	int got[2] = {}, i, fd;
	struct vsvm_dev dev;
	__u32 vm[DEVICE_VMS + 1];

	if (vsvm_open(&dev, -1) || (uid && setresuid(uid, uid, uid)))
		_exit(1);
	fd = dev.fd;
	for (i = 0; i <= DEVICE_VMS && !got[1]; i++) {
		got[1] = vsvm_vm_create(fd, &vm[i]);
		got[0] += !got[1];
	}
	if (write(h->got[1], got, sizeof(got)) != sizeof(got))
		_exit(2);
	vt_await(h->go[0]);
	_exit(0);
}

static int holder_start(struct holder *h, uid_t uid)
{
	int got[2];

	if (pipe(h->go) || pipe(h->got))
		return -errno;
	h->pid = fork();
	if (!h->pid)
		hold(h, uid);
	if (read(h->got[0], got, sizeof(got)) != sizeof(got))
		return -EIO;
	h->num = got[0];
	h->err = got[1];
	return 0;
}

static int holder_end(struct holder *h)
{
	int err;

	vt_wake(h->go[1]);
	err = vt_join(h->pid);
	close(h->go[0]);
	close(h->go[1]);
	close(h->got[0]);
	close(h->got[1]);
	return err;
}

/* They are closed by a worker, after the files. */
static int holder_again(struct holder *h, uid_t uid, int num)
{
	const __u64 end = vt_now_ms() + SOON_MS;
	int err;

	do {
		err = holder_start(h, uid) ?: holder_end(h);
	} while (!err && h->num != num && vt_now_ms() < end);
	return err;
}

TEST_F_TIMEOUT(quota, spaces_of_a_process, SECONDS)
{
	int fd = self->t.dev.fd, round, num, err;
	__u32 vm[DEVICE_VMS];
	struct holder other;

	/* What was destroyed can be had again at once. */
	for (round = 0; round < 2; round++) {
		for (num = 0, err = 0; num < DEVICE_VMS; num++) {
			err = vsvm_vm_create(fd, &vm[num]);
			if (err)
				break;
		}
		EXPECT_EQ(-EDQUOT, err);
		EXPECT_EQ(PROCESS_VMS - 1, num);
		ASSERT_EQ(0, holder_start(&other, 0));
		EXPECT_EQ(PROCESS_VMS, other.num);
		EXPECT_EQ(0, work(&self->t, &self->b));
		EXPECT_EQ(0, holder_end(&other));
		while (num--)
			EXPECT_EQ(0, vsvm_vm_destroy(fd, vm[num]));
	}
}

TEST_F_TIMEOUT(quota, spaces_of_a_user, SECONDS)
{
	struct holder h[HOLDERS], other;
	int i, num = 0;

	for (i = 0; i < HOLDERS; i++) {
		ASSERT_EQ(0, holder_start(&h[i], USER));
		EXPECT_EQ(-EDQUOT, h[i].err);
		num += h[i].num;
	}
	EXPECT_EQ(USER_VMS, num);
	/* Somebody else, and we. */
	ASSERT_EQ(0, holder_start(&other, USER + 1));
	EXPECT_LT(0, other.num);
	EXPECT_EQ(0, work(&self->t, &self->b));
	EXPECT_EQ(0, holder_end(&other));
	for (i = 0; i < HOLDERS; i++)
		EXPECT_EQ(0, holder_end(&h[i]));
	ASSERT_EQ(0, holder_again(&other, USER, PROCESS_VMS));
	EXPECT_EQ(PROCESS_VMS, other.num);
}

/* Who may go beyond resource limits can take all, and no more than that. */
TEST_F_TIMEOUT(quota, spaces_of_the_device, SECONDS)
{
	struct holder h[HOLDERS];
	int i, num = 1;

	for (i = 0; i < HOLDERS; i++) {
		ASSERT_EQ(0, holder_start(&h[i], 0));
		num += h[i].num;
	}
	EXPECT_EQ(DEVICE_VMS, num);
	EXPECT_EQ(-ENOSPC, h[HOLDERS - 1].err);
	EXPECT_EQ(0, work(&self->t, &self->b));
	for (i = 0; i < HOLDERS; i++)
		EXPECT_EQ(0, holder_end(&h[i]));
	ASSERT_EQ(0, holder_again(&h[0], 0, PROCESS_VMS));
	EXPECT_EQ(PROCESS_VMS, h[0].num);
}

/* An address space whose worker is left behind: it counts until that is gone. */
TEST_F_TIMEOUT(quota, spaces_left_behind, SECONDS)
{
	__u8 *p = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct drm_vsvm_kernel k = {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(p),
		.count = 1,
	};
	int dev = self->t.dev.fd, fd = vt_monitor(p, PAGE), num, err;
	struct pollfd event = { .fd = fd, .events = POLLIN };
	const __u64 end = vt_now_ms() + SOON_MS;
	__u32 vm[DEVICE_VMS], last;

	ASSERT_LE(0, fd);
	for (num = 0; num < PROCESS_VMS - 1; num++)
		ASSERT_EQ(0, vsvm_vm_create(dev, &vm[num]));
	ASSERT_EQ(0, vt_submit(&self->t, vm[0], &k, 1, NULL));
	ASSERT_EQ(1, poll(&event, 1, SOON_MS));
	ASSERT_EQ(0, vsvm_vm_destroy(dev, vm[0]));
	EXPECT_EQ(-EDQUOT, vsvm_vm_create(dev, &last));
	EXPECT_EQ(0, work(&self->t, &self->b));
	/* The page comes after all. */
	close(fd);
	do {
		err = vsvm_vm_create(dev, &last);
	} while (err == -EDQUOT && vt_now_ms() < end);
	EXPECT_EQ(0, err);
}

/* Objects of which there is nothing but the promise. Return: bytes, or an error. */
static long take_objects(uid_t uid)
{
	const size_t size = 32 * MIB;
	int got[2], err = 0;
	struct vsvm_dev dev;
	long bytes = -EIO;
	__u32 handle;
	pid_t pid;

	if (pipe(got))
		return -errno;
	pid = fork();
	if (!pid) {
		if (vsvm_open(&dev, -1) || setresuid(uid, uid, uid))
			_exit(1);
		for (bytes = 0; !err; bytes += err ? 0 : size)
			err = vsvm_gem_create(dev.fd, size, DRM_VSVM_GEM_SYSTEM,
					      &handle);
		if (err != -EDQUOT)
			bytes = err;
		_exit(write(got[1], &bytes, sizeof(bytes)) != sizeof(bytes));
	}
	close(got[1]);
	if (read(got[0], &bytes, sizeof(bytes)) != sizeof(bytes))
		bytes = -EIO;
	close(got[0]);
	return vt_join(pid) ? -EIO : bytes;
}

TEST_F_TIMEOUT(quota, objects_of_a_user, SECONDS)
{
	const long limit = sysconf(_SC_PHYS_PAGES) * PAGE / 4;
	int i;

	/* All of it is there again once it was given up. */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(limit / (long)(32 * MIB) * (long)(32 * MIB),
			  take_objects(USER));
}

/* A client that has the GPU touch pages far from each other, and what they are of. */
struct flood {
	struct vt t;
	__u64 base;		/* the first page, as the GPU knows it */
	unsigned int num;	/* pages, one in each large page */
	__u64 *sum;		/* what the GPU has read */
	__u64 expected;
};

/* One page of a file, mapped again and again, for reading. */
static int flood_memory(struct flood *f)
{
	const size_t len = f->num * LARGE_PAGE;
	int fd = memfd_create("flood", MFD_CLOEXEC);
	__u8 *p, page[PAGE];
	unsigned int i;

	memset(page, 7, PAGE);
	p = vt_map_aligned(len, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
	if (!p || write(fd, page, PAGE) != (ssize_t)PAGE)
		return -ENOMEM;
	for (i = 0; i < f->num; i++) {
		if (mmap(p + i * LARGE_PAGE, PAGE, PROT_READ,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return -errno;
	}
	f->base = vsvm_addr(p);
	f->expected = 7 * PAGE;
	return 0;
}

/* An object of one page, bound again and again. */
static int flood_object(struct flood *f)
{
	int fd = f->t.dev.fd, err;
	unsigned int i;
	__u32 handle;

	f->base = DRM_VSVM_BIND_START;
	err = vsvm_gem_create(fd, PAGE, DRM_VSVM_GEM_SYSTEM, &handle);
	for (i = 0; i < f->num && !err; i++)
		err = vsvm_gem_bind(fd, f->t.vm, handle, 0,
				    f->base + i * LARGE_PAGE, PAGE, 0);
	return err;
}

static int flood_touch(struct flood *f, unsigned int first, unsigned int num)
{
	struct drm_vsvm_kernel k[DRM_VSVM_MAX_KERNELS];
	unsigned int i;
	int err;

	for (i = 0; i < num; i++) {
		f->sum[i] = ~0ull;
		k[i] = (struct drm_vsvm_kernel) {
			.op = DRM_VSVM_OP_SUM,
			.dst = vsvm_addr(&f->sum[i]),
			.src = f->base + (first + i) * LARGE_PAGE,
			.count = PAGE,
		};
	}
	err = vsvm_run(f->t.dev.fd, f->t.vm, k, num, NULL);
	for (i = 0; i < num && !err; i++) {
		if (VT_WRONG(f->sum[i] == f->expected))
			err = -EILSEQ;
	}
	return err;
}

/* All of them once, and the first of them again, which may have gone meanwhile. */
static int flood_run(int (*begin)(struct flood *f), unsigned int num)
{
	struct flood f = { .num = num };
	unsigned int i;
	int err;

	f.sum = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	err = vt_open(&f.t);
	err = err ?: begin(&f);
	for (i = 0; i < num && !err; i += DRM_VSVM_MAX_KERNELS)
		err = flood_touch(&f, i, DRM_VSVM_MAX_KERNELS);
	err = err ?: flood_touch(&f, 0, DRM_VSVM_MAX_KERNELS);
	if (err)
		fprintf(stderr, "# page %u of %u: %s\n", i, num, strerror(-err));
	return err;
}

/* What a number in svm_stats is at most while somebody looks. */
struct peak {
	const char *name;
	long most;
};

/* The other one gets on while it lasts, and all is there again after that. */
static int flood_beside(struct vt *t, struct vt_buf *b,
			int (*begin)(struct flood *f), unsigned int num,
			struct peak *peak)
{
	const __u64 used = vt_vram_used(t);
	const __u64 available = vt_mem_available();
	const long before = vt_stat(t, peak->name);
	unsigned int rounds = 0;
	int err = 0, status;
	__u64 end;
	long now;
	pid_t pid = fork();

	if (!pid)
		_exit(flood_run(begin, num) ? 1 : 0);
	do {
		err = work(t, b);
		rounds++;
		now = vt_stat(t, peak->name);
		peak->most = now > peak->most ? now : peak->most;
	} while (!err && !waitpid(pid, &status, WNOHANG));
	if (err) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return err;
	}
	fprintf(stderr, "# the other one's work was done %u times, %s at most %ld\n",
		rounds, peak->name, peak->most);
	if (VT_WRONG(!status) || VT_WRONG(before >= 0))
		return -EIO;
	end = vt_now_ms() + SOON_MS;
	/* Those of the other one come and go as well. */
	err = vt_vram_settles(t, used + LARGE_PAGE + SLACK);
	while (vt_stat(t, peak->name) > before + (long)SLACK) {
		if (VT_WRONG(vt_now_ms() < end))
			return -EILSEQ;
		vt_sleep_ms(10);
	}
	return err ?: vt_mem_settles(available, SOON_MS);
}

static __u64 vram_size(struct vt *t)
{
	struct drm_vsvm_device_info info = {};

	return vsvm_query_device(t->dev.fd, &info) ? 0 : info.vram_size;
}

static int limit_is(struct vt *t, const char *name, __u64 limit)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", limit);
	return vt_tell(t, name, text);
}

/* More tables than there is VRAM: they have to come and go. */
TEST_F_TIMEOUT(quota, tables_of_memory, SECONDS)
{
	struct peak peak = { .name = "table_bytes" };
	const __u64 vram = vram_size(&self->t);

	if (vram > 16 * MIB)
		SKIP(return, "too much VRAM: modprobe vsvm vram_mb=8");
	ASSERT_EQ(0, work(&self->t, &self->b));
	ASSERT_EQ(0, flood_beside(&self->t, &self->b, flood_memory,
				  vram / PAGE + 64, &peak));
	EXPECT_GE((long)(vram / 2 + SLACK), peak.most);
}

/* More than there may be, of another kind. */
TEST_F_TIMEOUT(quota, tables_of_objects, SECONDS)
{
	struct peak peak = { .name = "table_bytes" };

	ASSERT_EQ(0, limit_is(&self->t, "table_limit", 512 * KIB));
	ASSERT_EQ(0, work(&self->t, &self->b));
	EXPECT_EQ(0, flood_beside(&self->t, &self->b, flood_object, 512, &peak));
	EXPECT_GE((long)(512 * KIB + SLACK), peak.most);
	ASSERT_EQ(0, limit_is(&self->t, "table_limit",
			      vram_size(&self->t) / 2));
}

/* Ranges that are more than there may be, of tables that are not. */
TEST_F_TIMEOUT(quota, ranges, SECONDS)
{
	struct peak peak = { .name = "range_bytes" };

	ASSERT_EQ(0, limit_is(&self->t, "range_limit", 128 * KIB));
	ASSERT_EQ(0, work(&self->t, &self->b));
	EXPECT_EQ(0, flood_beside(&self->t, &self->b, flood_memory, 512, &peak));
	EXPECT_GE((long)(128 * KIB + SLACK), peak.most);
	ASSERT_EQ(0, limit_is(&self->t, "range_limit", 64 * MIB));
}

/* What the slabs of our memory cgroup are now. */
static long charged(void)
{
	return vt_read_number(CGROUP "/memory.stat", "slab ");
}

/* Return: what ranges and tables for so many pages cost their cgroup. */
static long flood_cost(unsigned int num)
{
	struct flood f = { .num = num };
	unsigned int i;
	long before;

	f.sum = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	if (vt_cgroup_join(CGROUP) || vt_open(&f.t) ||
	    flood_memory(&f) || flood_touch(&f, 0, 1))
		return -1;
	before = charged();
	for (i = 0; i < num; i += DRM_VSVM_MAX_KERNELS) {
		if (flood_touch(&f, i, DRM_VSVM_MAX_KERNELS))
			return -1;
	}
	return before < 0 ? -1 : charged() - before;
}

/* A worker makes them, and it is not the one who pays. */
TEST_F_TIMEOUT(quota, charged_to_the_owner, SECONDS)
{
	long cost;
	pid_t pid;

	if (vt_cgroup_begin(CGROUP))
		SKIP(return, "no memory cgroups");
	pid = fork();
	if (!pid) {
		cost = flood_cost(512);
		fprintf(stderr, "# 512 ranges: %ld bytes\n", cost);
		_exit(cost < 512 * 300);
	}
	EXPECT_EQ(0, vt_join(pid));
	EXPECT_EQ(0, rmdir(CGROUP));
}

TEST_HARNESS_MAIN

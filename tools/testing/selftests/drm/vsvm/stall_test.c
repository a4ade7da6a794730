// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Faults of the GPU on memory that does not come, as nobody answers the
 * userfaultfd that it is registered with. Whoever does not want that memory
 * must not notice: other queues of the address space, other requests, and who
 * closes it or takes the device away.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define PAGE	vsvm_page_size()
#define LEN	LARGE_PAGE
/* What does not wait for the monitor is done by then. */
#define SOON_MS	VT_SOON_MS

FIXTURE(stall) {
	struct vt t;
	int fd;
	__u8 *p;
	struct vt_buf b;
	struct vt_work stalled;
};

struct request {
	struct vt *t;
	__u8 *p;
	int err;
};

static int monitor_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Memory without a page, of which the first @len bytes are the monitor's. */
static __u8 *monitored(int fd, size_t len)
{
	struct uffdio_register reg = {
		.mode = UFFDIO_REGISTER_MODE_MISSING,
		.range.len = len,
	};
	__u8 *p = vt_map_aligned(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	reg.range.start = vsvm_addr(p);
	return p && !madvise(p, LEN, MADV_NOHUGEPAGE) &&
	       !ioctl(fd, UFFDIO_REGISTER, &reg) ? p : NULL;
}

/* The page that somebody waits for now, or NULL if nobody begins to in time. */
static __u8 *monitor_event(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&poll_fd, 1, SOON_MS) != 1 ||
	    read(fd, &msg, sizeof(msg)) != sizeof(msg))
		return NULL;
	return (__u8 *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE - 1));
}

static int monitor_give(int fd, __u8 *p, __u8 value)
{
	static __u8 page[65536];
	struct uffdio_copy copy = {
		.dst = vsvm_addr(p),
		.src = vsvm_addr(page),
		.len = PAGE,
	};

	memset(page, value, PAGE);
	return ioctl(fd, UFFDIO_COPY, &copy) ? -errno : 0;
}

static int monitor_give_zeroes(int fd, __u8 *p, size_t len)
{
	struct uffdio_zeropage zero = {
		.range = { .start = vsvm_addr(p), .len = len },
	};

	return ioctl(fd, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
}

/* The first queue stalls, at the first page of the monitor's memory. */
FIXTURE_SETUP(stall)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	self->fd = monitor_open();
	if (self->fd < 0)
		SKIP(return, "no userfaultfd");
	self->p = monitored(self->fd, PAGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
	ASSERT_EQ(0, vt_work_begin(&self->stalled, &self->t, 0, self->p, PAGE, 1));
	ASSERT_EQ(self->p, monitor_event(self->fd));
}

/* Who still waits gets pages of zeroes then. */
FIXTURE_TEARDOWN(stall)
{
	vsvm_bind(&self->t.dev);
	close(self->fd);
	vt_close(&self->t);
}

/* Two faults of one address space are served at the same time. */
TEST_F_TIMEOUT(stall, two_at_a_time, SECONDS)
{
	__u8 *other = monitored(self->fd, PAGE);
	struct vt_work w;

	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, vt_work_begin(&w, &self->t, 1, other, PAGE, 2));
	ASSERT_EQ(other, monitor_event(self->fd));
	EXPECT_FALSE(vt_work_done(&self->stalled));
	ASSERT_EQ(0, monitor_give(self->fd, other, 10));
	ASSERT_EQ(0, vt_work_end(&w));
	EXPECT_FALSE(vt_work_done(&self->stalled));
	ASSERT_EQ(0, monitor_give(self->fd, self->p, 20));
	ASSERT_EQ(0, vt_work_end(&self->stalled));
	EXPECT_EQ(12, other[0]);
	EXPECT_EQ(21, self->p[0]);
}

TEST_F_TIMEOUT(stall, others_go_on, SECONDS)
{
	struct vt_work w[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(w); i++)
		ASSERT_EQ(0, vt_work_begin(&w[i], &self->t, i + 1,
					   self->b.p + i * 64 * KIB, 64 * KIB, 1));
	for (i = 0; i < ARRAY_SIZE(w); i++)
		ASSERT_EQ(0, vt_work_end(&w[i]));
	for (i = 0; i < ARRAY_SIZE(w) * 64 * KIB; i++)
		self->b.model[i]++;
	EXPECT_FALSE(vt_work_done(&self->stalled));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, monitor_give(self->fd, self->p, 20));
	ASSERT_EQ(0, vt_work_end(&self->stalled));
	EXPECT_EQ(21, self->p[0]);
}

/* Pages that are there, next to the one that does not come. */
TEST_F_TIMEOUT(stall, neighbours_go_on, SECONDS)
{
	__u8 *p = monitored(self->fd, LEN);
	struct vt_work w, same;
	size_t i;

	ASSERT_NE(NULL, p);
	for (i = 1; i < LEN / PAGE; i++)
		ASSERT_EQ(0, monitor_give(self->fd, p + i * PAGE, 5));
	ASSERT_EQ(0, vt_work_begin(&w, &self->t, 1, p, PAGE, 1));
	ASSERT_EQ(p, monitor_event(self->fd));
	ASSERT_EQ(0, vt_work_begin(&same, &self->t, 2, p + MIB, MIB, 1));
	ASSERT_EQ(0, vt_work_end(&same));
	EXPECT_EQ(0, vt_all(p + MIB, 6, MIB));
	EXPECT_FALSE(vt_work_done(&w));
	/* Who wants the same page waits for it as well. */
	ASSERT_EQ(0, vt_work_begin(&same, &self->t, 3, p, PAGE, 1));
	vt_sleep_ms(50);
	EXPECT_FALSE(vt_work_done(&same));
	ASSERT_EQ(0, monitor_give(self->fd, p, 20));
	ASSERT_EQ(0, vt_work_end(&w));
	ASSERT_EQ(0, vt_work_end(&same));
	EXPECT_EQ(0, vt_all(p + PAGE, 5, MIB - PAGE));
}

/* None of these is about that memory. */
TEST_F_TIMEOUT(stall, requests, SECONDS)
{
	struct vt *t = &self->t;
	const __u64 start = vt_now_ms();
	struct vsvm_where where;
	__u64 taken;
	__u32 bo;

	ASSERT_EQ(0, vsvm_gem_create(t->dev.fd, LEN, 0, &bo));
	EXPECT_EQ(0, vsvm_gem_bind(t->dev.fd, t->vm, bo, 0, DRM_VSVM_BIND_START,
				   LEN, 0));
	EXPECT_EQ(0, vsvm_gem_unbind(t->dev.fd, t->vm, DRM_VSVM_BIND_START, LEN));
	EXPECT_EQ(0, vsvm_madvise(t->dev.fd, t->vm, self->b.p, LEN,
				  DRM_VSVM_MADVISE_GRANULARITY, 64 * KIB));
	EXPECT_EQ(0, vsvm_exclusive(t->dev.fd, t->vm, self->b.p, PAGE, &taken));
	EXPECT_EQ(1u, taken);
	EXPECT_EQ(0, vsvm_where(t->dev.fd, t->vm, self->b.p, LEN, &where));
	EXPECT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, self->b.p, LEN,
				   DRM_VSVM_LOC_DEVICE, NULL, NULL));
	/* Not even if they are, unless they need the page. */
	EXPECT_EQ(0, vsvm_madvise(t->dev.fd, t->vm, self->p, LEN,
				  DRM_VSVM_MADVISE_GRANULARITY, 64 * KIB));
	EXPECT_EQ(0, vsvm_where(t->dev.fd, t->vm, self->p, LEN, &where));
	EXPECT_EQ(where.pages, where.none);
	EXPECT_FALSE(vt_work_done(&self->stalled));
	EXPECT_GT(SOON_MS, vt_now_ms() - start);
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Memory whose range was taken away from under the fault is served nevertheless. */
TEST_F_TIMEOUT(stall, range_goes, SECONDS)
{
	ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm, self->p, LEN,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, monitor_give(self->fd, self->p, 20));
	ASSERT_EQ(0, vt_work_end(&self->stalled));
	EXPECT_EQ(21, self->p[0]);
}

/*
 * A part of its memory is unmapped, and while the collector is on its way to take
 * the range away, somebody else does.
 */
TEST_F_TIMEOUT(stall, range_goes_twice, SECONDS)
{
	unsigned int i, queue;
	struct vt_work w[4];
	__u8 *p[4];

	for (i = 0; i < 8; i++) {
		for (queue = 1; queue < 4; queue++) {
			p[queue] = monitored(self->fd, LEN);
			ASSERT_NE(NULL, p[queue]);
			ASSERT_EQ(0, vt_work_begin(&w[queue], &self->t, queue,
						   p[queue], PAGE, 1));
			ASSERT_EQ(p[queue], monitor_event(self->fd));
			munmap(p[queue] + MIB, MIB);
			EXPECT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm,
						  p[queue], MIB,
						  DRM_VSVM_MADVISE_GRANULARITY,
						  64 * KIB));
		}
		for (queue = 1; queue < 4; queue++) {
			ASSERT_EQ(0, monitor_give(self->fd, p[queue], 20));
			ASSERT_EQ(0, monitor_give_zeroes(self->fd,
							 p[queue] + PAGE,
							 MIB - PAGE));
			ASSERT_EQ(0, vt_work_end(&w[queue]));
			EXPECT_EQ(21, p[queue][0]);
			munmap(p[queue], MIB);
		}
	}
}

TEST_F_TIMEOUT(stall, memory_goes, SECONDS)
{
	struct uffdio_range range = { .start = vsvm_addr(self->p), .len = PAGE };

	ASSERT_EQ(0, munmap(self->p, LEN));
	/* To unmap it wakes nobody. */
	ASSERT_EQ(0, ioctl(self->fd, UFFDIO_WAKE, &range));
	EXPECT_EQ(-EFAULT, vt_work_end(&self->stalled));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Destroyed, made again and used, while faults of the first ones still wait. */
TEST_F_TIMEOUT(stall, destroy, SECONDS)
{
	const __u64 start = vt_now_ms();
	struct vt_work w = self->stalled;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, vsvm_vm_destroy(self->t.dev.fd, self->t.vm));
		EXPECT_EQ(-ECANCELED, i ? vt_work_end(&w) : vt_work_end(&self->stalled));
		ASSERT_EQ(0, vsvm_vm_create(self->t.dev.fd, &self->t.vm));
		ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
		ASSERT_EQ(0, vt_buf_check(&self->b));
		ASSERT_EQ(0, vt_work_begin(&w, &self->t, i, self->p, PAGE, 1));
		ASSERT_EQ(self->p, monitor_event(self->fd));
	}
	EXPECT_GT(2 * SOON_MS, vt_now_ms() - start);
	/* The last one is served, and nobody else does anything. */
	ASSERT_EQ(0, monitor_give(self->fd, self->p, 9));
	ASSERT_EQ(0, vt_work_end(&w));
	EXPECT_EQ(10, self->p[0]);
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The device goes, and comes back, and nobody has answered yet. */
TEST_F_TIMEOUT(stall, unbind, SECONDS)
{
	const __u64 start = vt_now_ms();

	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p, LEN,
				   DRM_VSVM_LOC_DEVICE, NULL, NULL));
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	EXPECT_EQ(-ECANCELED, vt_work_end(&self->stalled));
	ASSERT_EQ(0, vsvm_bind(&self->t.dev));
	EXPECT_GT(SOON_MS, vt_now_ms() - start);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, monitor_give(self->fd, self->p, 9));
	EXPECT_EQ(9, self->p[0]);
}

static void *take(void *arg)
{
	struct request *r = arg;

	r->err = vsvm_exclusive(r->t->dev.fd, r->t->vm, r->p, PAGE, NULL);
	return NULL;
}

static void *prefetch(void *arg)
{
	struct request *r = arg;

	r->err = vsvm_prefetch(r->t->dev.fd, r->t->vm, r->p, PAGE,
			       DRM_VSVM_LOC_SYSTEM, NULL, NULL);
	return NULL;
}

/*
 * Requests that wait for the page in the ioctl itself. No device can go while one
 * is inside of drm_dev_enter(), which is one lock for all of them.
 */
TEST_F_TIMEOUT(stall, unbind_under_requests, SECONDS)
{
	void *(*const call[])(void *) = { take, prefetch };
	struct request r[ARRAY_SIZE(call)];
	pthread_t thread[ARRAY_SIZE(call)];
	unsigned int i;
	__u64 start;

	for (i = 0; i < ARRAY_SIZE(call); i++) {
		r[i] = (struct request){ &self->t, monitored(self->fd, PAGE), 0 };
		ASSERT_NE(NULL, r[i].p);
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, call[i], &r[i]));
		ASSERT_EQ(r[i].p, monitor_event(self->fd));
	}
	start = vt_now_ms();
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	EXPECT_GT(SOON_MS, vt_now_ms() - start);
	EXPECT_EQ(-ECANCELED, vt_work_end(&self->stalled));
	for (i = 0; i < ARRAY_SIZE(call); i++) {
		ASSERT_EQ(0, monitor_give(self->fd, r[i].p, 9));
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
		EXPECT_TRUE(r[i].err == 0 || r[i].err == -ENODEV ||
			    r[i].err == -ECANCELED)
			TH_LOG("request %u: %d", i, r[i].err);
		EXPECT_EQ(9, r[i].p[0]);
	}
}

/* As a fault, so a prefetch that nobody waits for. */
TEST_F_TIMEOUT(stall, prefetch, SECONDS)
{
	__u8 *other = monitored(self->fd, PAGE);
	const __u64 start = vt_now_ms();
	__u32 sync;

	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, vt_syncobj_create(&self->t, &sync));
	ASSERT_EQ(0, vsvm_prefetch_async(self->t.dev.fd, self->t.vm,
					 other, PAGE,
					 DRM_VSVM_LOC_SYSTEM, sync));
	ASSERT_EQ(other, monitor_event(self->fd));
	ASSERT_EQ(0, vsvm_vm_destroy(self->t.dev.fd, self->t.vm));
	EXPECT_EQ(-ECANCELED, vt_syncobj_status(&self->t, sync));
	EXPECT_EQ(-ECANCELED, vt_work_end(&self->stalled));
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	EXPECT_GT(SOON_MS, vt_now_ms() - start);
}

TEST_HARNESS_MAIN

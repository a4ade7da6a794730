// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Faults of the GPU on a page of a file whose file system is a process, which does
 * not answer. The kernel waits for it as long as it takes, and no signal ends that;
 * but it waits for the page alone. Neither other queues, nor who closes the address
 * space or takes the device away, may wait as well.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define PAGE	vsvm_page_size()
#define LEN	(VT_SERVER_PAGES * PAGE)

FIXTURE(fuse) {
	struct vt t;
	struct vt_server s;
	__u8 *p;
	struct vt_buf b;
	struct vt_work stalled;
};

/* The first queue stalls, at the first page of the file. */
FIXTURE_SETUP(fuse)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	err = vt_server_start(&self->s);
	if (err == -ENODEV)
		SKIP(return, "no FUSE");
	ASSERT_EQ(0, err);
	self->p = vt_server_map(&self->s);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(0, vt_buf_map(&self->b, LARGE_PAGE, VT_SMALL));
	ASSERT_EQ(0, vt_work_begin(&self->stalled, &self->t, 0, self->p, PAGE, 1));
	ASSERT_EQ(0, vt_server_asked(&self->s, 1));
}

FIXTURE_TEARDOWN(fuse)
{
	vsvm_bind(&self->t.dev);
	vt_server_stop(&self->s);
	vt_close(&self->t);
}

TEST_F_TIMEOUT(fuse, served_late, SECONDS)
{
	vt_sleep_ms(200);
	EXPECT_FALSE(vt_work_done(&self->stalled));
	vt_server_answers(&self->s);
	ASSERT_EQ(0, vt_work_end(&self->stalled));
	EXPECT_EQ(0, vt_all(self->p, VT_SERVER_CONTENT + 1, PAGE));
	EXPECT_EQ(0, vt_all(self->p + PAGE, VT_SERVER_CONTENT, LEN - PAGE));
}

/* Another queue, and the process itself: memory comes and goes meanwhile. */
TEST_F_TIMEOUT(fuse, others_go_on, SECONDS)
{
	const __u64 start = vt_now_ms();
	struct vt_work w;
	struct vt_buf b;

	ASSERT_EQ(0, vt_buf_map(&b, LARGE_PAGE, VT_SMALL));
	ASSERT_EQ(0, vt_work_begin(&w, &self->t, 1, b.p, b.len, 0));
	ASSERT_EQ(0, vt_work_end(&w));
	ASSERT_EQ(0, vt_buf_check(&b));
	vt_buf_unmap(&b);
	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p,
				   self->b.len, DRM_VSVM_LOC_DEVICE, NULL, NULL));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	EXPECT_FALSE(vt_work_done(&self->stalled));
	EXPECT_GT(VT_SOON_MS, vt_now_ms() - start);
}

/*
 * The server gives up: that is an error of the one job that needs the page. hmm
 * would ask again for ever.
 */
TEST_F_TIMEOUT(fuse, server_goes, SECONDS)
{
	vt_server_stop(&self->s);
	EXPECT_EQ(-EFAULT, vt_work_end(&self->stalled));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(fuse, destroy, SECONDS)
{
	const __u64 start = vt_now_ms();

	ASSERT_EQ(0, vsvm_vm_destroy(self->t.dev.fd, self->t.vm));
	EXPECT_EQ(-ECANCELED, vt_work_end(&self->stalled));
	ASSERT_EQ(0, vsvm_vm_create(self->t.dev.fd, &self->t.vm));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	EXPECT_GT(VT_SOON_MS, vt_now_ms() - start);
	vt_server_answers(&self->s);
	EXPECT_EQ(VT_SERVER_CONTENT, self->p[0]);
}

/* A process whose GPU waits for a page of the file, until it is told to end. */
static int waits_and_ends(__u8 *p, int fd)
{
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_ADD,
		.dst = vsvm_addr(p),
		.src = vsvm_addr(p),
		.count = 8,
		.arg = 1,
	};
	struct vt t;

	return vt_open(&t) || vt_submit(&t, t.vm, &kernel, 1, NULL) ||
	       vt_await(fd);
}

/* Nobody closes anything, and the process ends all the same. */
TEST_F_TIMEOUT(fuse, exit, SECONDS)
{
	struct vt_work w;
	int pipes[2];
	__u64 start;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	if (!pid)
		_exit(waits_and_ends(self->p + PAGE, pipes[0]));
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, vt_server_asked(&self->s, 2));
	start = vt_now_ms();
	vt_wake(pipes[1]);
	EXPECT_EQ(0, vt_join(pid));
	EXPECT_GT(VT_SOON_MS, vt_now_ms() - start);
	ASSERT_EQ(0, vt_work_begin(&w, &self->t, 1, self->b.p, self->b.len, 0));
	ASSERT_EQ(0, vt_work_end(&w));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	EXPECT_FALSE(vt_work_done(&self->stalled));
}

/* The device goes, and comes back, and nobody has answered yet. */
TEST_F_TIMEOUT(fuse, unbind, SECONDS)
{
	const __u64 start = vt_now_ms();

	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, self->b.p,
				   self->b.len, DRM_VSVM_LOC_DEVICE, NULL, NULL));
	ASSERT_EQ(0, vsvm_unbind(&self->t.dev));
	EXPECT_EQ(-ECANCELED, vt_work_end(&self->stalled));
	ASSERT_EQ(0, vsvm_bind(&self->t.dev));
	EXPECT_GT(VT_SOON_MS, vt_now_ms() - start);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	vt_server_answers(&self->s);
	EXPECT_EQ(VT_SERVER_CONTENT, self->p[0]);
}

#define DELAY	"inject/delay_find_ms"
#define DELAYED	"inject/delayed"
#define FIND_MS	1000

/* A process that maps the file in the middle of a fault of its GPU. */
struct mapper {
	int fd;			/* of the file */
	int asked[2];		/* pipe: the server has the write */
	int closed[2];		/* pipe: the address space has ended */
};

static void *direct_write(void *arg)
{
	static __u8 page[65536] __attribute__((aligned(65536)));

	if (pwrite(*(int *)arg, page, PAGE, 0) != (ssize_t)PAGE)
		perror("# write");
	return NULL;
}

static void *map_shared(void *arg)
{
	if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, *(int *)arg, 0) == MAP_FAILED)
		perror("# map");
	return NULL;
}

/* After the mmap() begins, nothing here may need the mmap lock: no malloc(), no exit. */
static int mapper_run(struct mapper *m, struct vt_server *s)
{
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_FILL,
		.count = 8,
	};
	pthread_t thread;
	struct vt t;
	void *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int err;

	kernel.dst = vsvm_addr(p);
	m->fd = vt_server_open_direct(s);
	if (!p || m->fd < 0 || vt_open(&t) ||
	    pthread_create(&thread, NULL, direct_write, &m->fd) ||
	    vt_await(m->asked[0]) || vt_submit(&t, t.vm, &kernel, 1, NULL))
		return 1;
	while (vt_ask(&t, DELAYED) != 1)
		vt_sleep_ms(5);
	if (pthread_create(&thread, NULL, map_shared, &m->fd))
		return 1;
	vt_sleep_ms(2 * FIND_MS);
	err = vsvm_vm_destroy(t.dev.fd, t.vm);
	vt_wake(m->closed[1]);
	return err ? 2 : 0;
}

FIXTURE(fuse_map) {
	struct vt t;
	struct vt_server s;
};

FIXTURE_SETUP(fuse_map)
{
	ASSERT_EQ(0, vt_open(&self->t));
	if (vt_tell(&self->t, DELAY, "1000"))
		SKIP(return, "needs CONFIG_DRM_VSVM_DEBUG");
	if (vt_server_start(&self->s) == -ENODEV)
		SKIP(return, "no FUSE");
}

FIXTURE_TEARDOWN(fuse_map)
{
	vt_tell(&self->t, DELAY, "0");
	vt_server_stop(&self->s);
	vt_close(&self->t);
}

/*
 * A thread of the process waits for the server with the mmap lock, since a fault of
 * the GPU has looked at the memory, and before it looks for its range.
 */
TEST_F_TIMEOUT(fuse_map, in_the_middle_of_a_fault, SECONDS)
{
	struct pollfd closed = { .events = POLLIN };
	struct mapper m = {};
	pid_t pid;

	ASSERT_EQ(0, pipe(m.asked));
	ASSERT_EQ(0, pipe(m.closed));
	pid = fork();
	if (!pid)
		_exit(mapper_run(&m, &self->s));
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, vt_server_asked(&self->s, 1));
	vt_wake(m.asked[1]);
	closed.fd = m.closed[0];
	EXPECT_EQ(1, poll(&closed, 1, 2 * FIND_MS + VT_SOON_MS));
	vt_server_answers(&self->s);
	EXPECT_EQ(0, vt_join(pid));
}

/* As a fault, so a prefetch that nobody waits for. */
TEST_F_TIMEOUT(fuse, prefetch, SECONDS)
{
	const __u64 start = vt_now_ms();
	__u32 sync;

	ASSERT_EQ(0, vt_syncobj_create(&self->t, &sync));
	ASSERT_EQ(0, vsvm_prefetch_async(self->t.dev.fd, self->t.vm,
					 self->p + PAGE, PAGE,
					 DRM_VSVM_LOC_SYSTEM, sync));
	ASSERT_EQ(0, vt_server_asked(&self->s, 2));
	ASSERT_EQ(0, vsvm_vm_destroy(self->t.dev.fd, self->t.vm));
	EXPECT_EQ(-ECANCELED, vt_syncobj_status(&self->t, sync));
	EXPECT_EQ(-ECANCELED, vt_work_end(&self->stalled));
	EXPECT_GT(VT_SOON_MS, vt_now_ms() - start);
}

TEST_HARNESS_MAIN

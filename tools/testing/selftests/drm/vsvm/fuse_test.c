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

/* @lacks: what there is nothing to test without, if it is not there. */
static int begin(struct vt *t, struct vt_server *s, const char **lacks)
{
	int err = vt_open(t);

	if (err == -ENODEV && vt_may_skip()) {
		*lacks = "no vsvm device";
		return 0;
	}
	if (err)
		return err;
	err = vt_server_start(s);
	if (err == -ENODEV) {
		*lacks = "no FUSE";
		return 0;
	}
	return err;
}

/* The first queue stalls, at the first page of the file. */
FIXTURE_SETUP(fuse)
{
	const char *lacks = NULL;

	ASSERT_EQ(0, begin(&self->t, &self->s, &lacks));
	if (lacks)
		SKIP(return, "%s", lacks);
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

#define DELAY	"inject/delay_find_ms"
#define DELAYED	"inject/delayed"
#define FIND_MS	1000

/* A process that has the server keep its mmap lock, and a GPU that faults. */
struct mapper {
	bool reads;		/* a thread reads a page, instead of mapping it */
	int fd;			/* of the file */
	__u8 *p;		/* of the file */
	int asked[2];		/* pipe: the server was asked */
	int closed[2];		/* pipe: the address space has ended */
};

static void *direct_write(void *arg)
{
	static __u8 page[65536];

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

/*
 * The first read ends with an error, after which mm waits for the second one with the
 * mmap lock.
 */
static void *read_page(void *arg)
{
	__atomic_load_n((__u8 *)arg, __ATOMIC_RELAXED);
	return NULL;
}

/* What the server is asked for to begin with: a page, or a write without an end. */
static int mapper_ask(struct mapper *m, struct vt_server *s)
{
	pthread_t thread;

	if (m->reads) {
		m->p = vt_server_map(s);
		return m->p ? pthread_create(&thread, NULL, read_page, m->p) : -1;
	}
	m->fd = vt_server_open_direct(s);
	return m->fd >= 0 ? pthread_create(&thread, NULL, direct_write, &m->fd) : -1;
}

/* The fault has looked at the memory, and not looked for its range yet. */
static int mapper_map(struct mapper *m, struct vt *t)
{
	const __u64 end = vt_now_ms() + VT_SOON_MS;
	pthread_t thread;

	while (vt_ask(t, DELAYED) != 1) {
		if (vt_now_ms() > end)
			return -1;
		vt_sleep_ms(5);
	}
	return pthread_create(&thread, NULL, map_shared, &m->fd);
}

/* Once the mmap lock is gone nothing here may need it: no malloc(), no exit. */
static int mapper_run(struct mapper *m, struct vt_server *s)
{
	struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_FILL,
		.count = 8,
	};
	void *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct vt t;
	int err;

	kernel.dst = vsvm_addr(p);
	if (!p || vt_open(&t) || mapper_ask(m, s))
		return 1;
	/* If the server goes, so does all that waits for it. */
	close(s->fd);
	if (vt_await(m->asked[0]) || vt_submit(&t, t.vm, &kernel, 1, NULL) ||
	    (!m->reads && mapper_map(m, &t)))
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
	const char *lacks = NULL;

	ASSERT_EQ(0, begin(&self->t, &self->s, &lacks));
	if (lacks)
		SKIP(return, "%s", lacks);
	if (vt_tell(&self->t, DELAY, "1000"))
		SKIP(return, "needs CONFIG_DRM_VSVM_DEBUG");
}

FIXTURE_TEARDOWN(fuse_map)
{
	vt_tell(&self->t, DELAY, "0");
	vt_server_stop(&self->s);
	vt_close(&self->t);
}

/* False if the address space that it closes does not end. */
static bool mapper_closes(struct mapper *m, struct vt_server *s)
{
	struct pollfd closed = { .events = POLLIN };
	bool in_time;
	pid_t pid;

	if (pipe(m->asked) || pipe(m->closed))
		return false;
	pid = fork();
	if (!pid)
		_exit(mapper_run(m, s));
	in_time = !vt_server_asked(s, m->reads ? 2 : 1);
	vt_wake(m->asked[1]);
	closed.fd = m->closed[0];
	in_time &= poll(&closed, 1, 2 * FIND_MS + VT_SOON_MS) == 1;
	vt_server_answers(s);
	return !vt_join(pid) && in_time;
}

/*
 * A thread of the process waits for the server with the mmap lock, since a fault of
 * the GPU has looked at the memory, and before it looks for its range.
 */
TEST_F_TIMEOUT(fuse_map, in_the_middle_of_a_fault, SECONDS)
{
	struct mapper m = {};

	EXPECT_TRUE(mapper_closes(&m, &self->s));
}

/* A thread waits with the mmap lock for reading, and the process had no GPU before. */
TEST_F_TIMEOUT(fuse_map, before_the_first_fault, SECONDS)
{
	struct mapper m = { .reads = true };

	self->s.fails = 1;
	EXPECT_TRUE(mapper_closes(&m, &self->s));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What only a GPU can be tested for whose hardware is a process outside the
 * virtual machine: it dies, it stops, it is pulled out and plugged in again, it
 * goes mad. The test asks for that itself, by a virtio port to the process
 * (vsvm-device --guest-control). Needs root, and must not run beside anything
 * else that uses the GPU.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(120)
#define LEN	MIB
#define PAGE	vsvm_page_size()
/* Until jobs of hardware that died have ended. */
#define END_MS	100u

/* What was pulled out takes a while to be gone: seconds, the way of PCIe. */
static int host_plug(unsigned int seconds)
{
	const __u64 end = vt_now_ms() + seconds * 1000ull;
	char reply[256] = "";
	int err;

	while ((err = vt_host_ask("plug 0", reply, sizeof(reply))) &&
	       vt_now_ms() < end)
		vt_sleep_ms(200);
	if (err)
		ksft_print_msg("plug: %s\n", reply);
	return err;
}

FIXTURE(pci) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(pci)
{
	if (!vt_host_there())
		SKIP(return, "no GPU on PCI with --guest-control");
	ASSERT_EQ(0, vt_open(&self->t));
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
}

FIXTURE_TEARDOWN(pci)
{
	vt_buf_unmap(&self->b);
	vt_close(&self->t);
}

/* It does what a GPU does. */
static int works(struct vt *t)
{
	struct vt_buf b;
	int err;

	err = vt_buf_map(&b, LEN, VT_SMALL);
	err = err ?: vt_buf_add(t, &b, 0, LEN, 3);
	err = err ?: vt_buf_elsewhere(t, &b, IN_VRAM);
	err = err ?: vt_buf_check(&b);
	vt_buf_unmap(&b);
	return err;
}

static sigjmp_buf on_sigbus;

static void sigbus(int sig)
{
	(void)sig;
	siglongjmp(on_sigbus, 1);
}

/* 0: as the model; -EILSEQ: something else; -EFAULT: a signal. */
static int look(const struct vt_buf *b, size_t page)
{
	struct sigaction action = { .sa_handler = sigbus }, old;
	int err;

	sigaction(SIGBUS, &action, &old);
	if (sigsetjmp(on_sigbus, 1))
		err = -EFAULT;
	else
		err = vt_buf_check_range(b, page * PAGE, PAGE);
	sigaction(SIGBUS, &old, NULL);
	return err;
}

/* Endless jobs on some queues, and a thread that waits for each. */
struct endless {
	struct vt *t;
	struct vt_ufence done[2];
	int status[2];
	unsigned int num;
};

struct endless_waiter {
	struct endless *e;
	unsigned int i;
};

static void *endless_wait(void *arg)
{
	struct endless_waiter w = *(struct endless_waiter *)arg;

	free(arg);
	__atomic_store_n(&w.e->status[w.i],
			 vt_ufence_wait(w.e->t, &w.e->done[w.i], 600000) ?: 1,
			 __ATOMIC_RELEASE);
	return NULL;
}

static int endless_watch(struct endless *e)
{
	struct endless_waiter *w = malloc(sizeof(*w));
	pthread_t thread;

	*w = (struct endless_waiter){ e, e->num++ };
	return -pthread_create(&thread, NULL, endless_wait, w) ?:
	       -pthread_detach(thread);
}

static int endless_add(struct endless *e, struct vt *t)
{
	struct drm_vsvm_kernel kernel;
	struct drm_vsvm_exec exec = {
		.vm_id = t->vm,
		.queue = e->num,
		.num_kernels = 1,
		.kernels = vsvm_addr(&kernel),
	};
	/* By itself: it will be lost. */
	void *node = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int err;

	if (!node)
		return -ENOMEM;
	vt_endless(&kernel, node);
	err = vt_ufence_create(&e->done[e->num]);
	err = err ?: vt_ufence_exec(t, &exec, &e->done[e->num]);
	err = err ?: endless_watch(e);
	if (err)
		return err;
	/* It runs once its fault was served. */
	while (vt_pages_at(t, node, PAGE, IN_VRAM) != 1)
		vt_sleep_ms(5);
	return 0;
}

static int endless_start(struct endless *e, struct vt *t)
{
	int err = 0;

	*e = (struct endless){ .t = t };
	while (e->num < ARRAY_SIZE(e->done) && !err)
		err = endless_add(e, t);
	vt_sleep_ms(200);
	return err;
}

static bool endless_ended(const struct endless *e)
{
	unsigned int i;

	for (i = 0; i < e->num; i++) {
		if (!__atomic_load_n(&e->status[i], __ATOMIC_ACQUIRE))
			return false;
	}
	return true;
}

/*
 * The host may have other things to do for a moment, so it gets five attempts to
 * be as quick as it must. What is measured has the way to the host and back in it.
 */
TEST_F_TIMEOUT(pci, killed_under_jobs, SECONDS)
{
	__u64 start, took, least = ~0ull;
	struct endless e;
	struct vt fresh;
	unsigned int i, turn;

	for (turn = 0; turn < 5; turn++) {
		ASSERT_EQ(0, endless_start(&e, &self->t));
		ASSERT_FALSE(endless_ended(&e));
		start = vt_now_ms();
		ASSERT_EQ(0, vt_host("kill"));
		while (!endless_ended(&e))
			ASSERT_GT(start + SECONDS * 200ull, vt_now_ms());
		took = vt_now_ms() - start;
		least = took < least ? took : least;
		for (i = 0; i < e.num; i++)
			EXPECT_GT(0, e.status[i]);
		ASSERT_EQ(0, vt_reopen(&fresh, &self->t, SECONDS / 4));
		EXPECT_EQ(-ENODEV, vt_fill(&self->t, self->b.p, 1, 1));
		EXPECT_EQ(0, works(&fresh));
		vt_close(&self->t);
		self->t = fresh;
	}
	ksft_print_msg("jobs ended after %llu ms\n", (unsigned long long)least);
	EXPECT_GE(END_MS, least);
}

/* Half of it was in VRAM, every other 16 pages. */
TEST_F_TIMEOUT(pci, killed_with_memory, SECONDS)
{
	const size_t pages = LEN / PAGE;
	unsigned int lost = 0, kept = 0;
	struct vt fresh;
	size_t i;
	__u8 *map = malloc(pages);

	for (i = 0; i < pages; i += 32)
		ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, i * PAGE, 16 * PAGE, 1));
	ASSERT_EQ(0, vsvm_residency(self->t.dev.fd, self->t.vm, self->b.p, LEN,
				    map));
	ASSERT_EQ(0, vt_host("kill"));
	ASSERT_EQ(0, vt_reopen(&fresh, &self->t, SECONDS / 2));
	for (i = 0; i < pages; i++) {
		const bool was_vram = (map[i] & DRM_VSVM_RES_MASK) == IN_VRAM;

		ASSERT_EQ(was_vram ? -EFAULT : 0, look(&self->b, i))
			TH_LOG("page %zu", i);
		lost += was_vram;
		kept += !was_vram;
	}
	EXPECT_EQ(pages / 2, lost);
	EXPECT_EQ(pages / 2, kept);
	/* All of it can be used again by who maps it anew. */
	ASSERT_EQ(self->b.p, mmap(self->b.p, LEN, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	vt_buf_write(&self->b, 0, LEN, 7);
	ASSERT_EQ(0, vt_buf_add(&fresh, &self->b, 0, LEN, 1));
	EXPECT_EQ(0, vt_buf_check(&self->b));
	vt_close(&fresh);
	free(map);
}

/* A fault waits for a page that nobody gives, and is in nobody's way. */
TEST_F_TIMEOUT(pci, killed_while_a_page_stalls, SECONDS)
{
	__u8 *p = vt_map_aligned(LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct pollfd asked = { .events = POLLIN };
	struct vt_work stalled;
	struct vt fresh;
	__u64 start;
	int err;

	ASSERT_NE(NULL, p);
	asked.fd = vt_monitor(p, LEN);
	if (asked.fd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, vt_work_begin(&stalled, &self->t, 0, p, PAGE, 1));
	ASSERT_EQ(1, poll(&asked, 1, VT_SOON_MS));
	start = vt_now_ms();
	ASSERT_EQ(0, vt_host("kill"));
	err = vt_work_end(&stalled);
	EXPECT_TRUE(err == -ECANCELED || err == -ENODEV) TH_LOG("the job: %d", err);
	ASSERT_EQ(0, vt_reopen(&fresh, &self->t, SECONDS / 2));
	EXPECT_EQ(0, works(&fresh));
	ksft_print_msg("works again after %llu ms\n", (unsigned long long)(vt_now_ms() - start));
	EXPECT_GT(VT_SOON_MS, vt_now_ms() - start);
	close(asked.fd);
	vt_close(&fresh);
}

TEST_F_TIMEOUT(pci, killed_again_and_again, 2 * SECONDS)
{
	struct vt fresh;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, works(&self->t));
		ASSERT_EQ(0, vt_host("kill"));
		ASSERT_EQ(0, vt_reopen(&fresh, &self->t, SECONDS / 2))
			TH_LOG("time %d", i);
		vt_close(&self->t);
		self->t = fresh;
	}
	EXPECT_EQ(0, works(&self->t));
}

/* Nobody answers: the job times out, and the engines are replaced. */
TEST_F_TIMEOUT(pci, stopped, SECONDS)
{
	const long timeout = vt_parameter("timeout_ms");
	struct endless e;
	struct vt fresh;
	unsigned int i;
	__u64 start;

	ASSERT_LT(0, timeout);
	ASSERT_EQ(0, endless_start(&e, &self->t));
	start = vt_now_ms();
	ASSERT_EQ(0, vt_host("stop"));
	while (!endless_ended(&e))
		ASSERT_GT(start + SECONDS * 500ull, vt_now_ms());
	/* The time-out, a second for each way to ask, and as much again. */
	EXPECT_GE(2 * timeout + 8000, (long)(vt_now_ms() - start));
	for (i = 0; i < e.num; i++)
		EXPECT_GT(0, e.status[i]);
	ASSERT_EQ(0, vt_reopen(&fresh, &self->t, SECONDS / 2));
	EXPECT_EQ(0, works(&fresh));
	vt_close(&fresh);
}

/* For less than a time-out: as if nothing had been. */
TEST_F_TIMEOUT(pci, stopped_for_a_moment, SECONDS)
{
	int stopped[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(stopped));
	/* Before: a fork() needs the GPU, which has the memory mapped. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		vt_await(stopped[0]);
		vt_sleep_ms(vt_parameter("timeout_ms") / 3);
		_exit(vt_host("cont") ? 1 : 0);
	}
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_host("stop"));
	vt_wake(stopped[1]);
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	EXPECT_EQ(0, vt_buf_check(&self->b));
}

/* Copies and jobs until the GPU is gone. */
struct load {
	struct vt *t;
	pthread_t thread;
	unsigned int done;
	int err;
};

static void *load(void *arg)
{
	struct load *l = arg;
	struct vt_buf b;
	int err;

	err = vt_buf_map(&b, LEN, VT_THP);
	while (!err) {
		err = vt_add(l->t, b.p, b.p, LEN, 1);
		if (!err)
			__atomic_add_fetch(&l->done, 1, __ATOMIC_RELAXED);
	}
	l->err = err == -ENODEV || err == -ECANCELED ? 0 : err;
	vt_buf_unmap(&b);
	return NULL;
}

TEST_F_TIMEOUT(pci, unplugged_under_load, SECONDS)
{
	struct vt fresh;
	unsigned int i, turn;

	for (turn = 0; turn < 3; turn++) {
		struct load l[3] = {};

		ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
		ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
		for (i = 0; i < ARRAY_SIZE(l); i++) {
			l[i].t = &self->t;
			ASSERT_EQ(0, pthread_create(&l[i].thread, NULL, load,
						    &l[i]));
		}
		for (i = 0; i < ARRAY_SIZE(l); i++)
			while (!__atomic_load_n(&l[i].done, __ATOMIC_RELAXED))
				vt_sleep_ms(10);
		ASSERT_EQ(0, vt_host("unplug 0"));
		for (i = 0; i < ARRAY_SIZE(l); i++) {
			pthread_join(l[i].thread, NULL);
			EXPECT_EQ(0, l[i].err);
		}
		/* An orderly removal: all of it has come home. */
		ASSERT_EQ(0, vt_buf_check(&self->b));
		ASSERT_EQ(0, host_plug(SECONDS / 4));
		ASSERT_EQ(0, vt_reopen(&fresh, &self->t, SECONDS / 4));
		vt_close(&self->t);
		self->t = fresh;
		ASSERT_EQ(0, works(&self->t));
		ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	}
}

/* Pulled out with dead engines, as a device is that is torn off. */
TEST_F_TIMEOUT(pci, killed_and_unplugged, SECONDS)
{
	struct vt fresh;

	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN / 4, 1));
	ASSERT_EQ(0, vt_host("stop"));
	ASSERT_EQ(0, vt_host("unplug 0"));
	ASSERT_EQ(0, host_plug(SECONDS / 2));
	ASSERT_EQ(0, vt_reopen(&fresh, &self->t, SECONDS / 2));
	EXPECT_EQ(0, vt_buf_check_range(&self->b, LEN / 4, LEN - LEN / 4));
	EXPECT_EQ(0, works(&fresh));
	vt_close(&fresh);
}

/* mov $value, %eax; ret */
static void put_code(__u8 *p, __u32 value)
{
	const __u8 code[] = { 0xb8, value, value >> 8, value >> 16, value >> 24, 0xc3 };

	memcpy(p, code, sizeof(code));
}

/*
 * Code that the GPU changed is what runs, also if it comes home to the page of
 * memory that it left, which is likely.
 */
TEST_F_TIMEOUT(pci, code, SECONDS)
{
	__u8 *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int (*run)(void);
	__u32 i, wrong = 0;

	ASSERT_NE(MAP_FAILED, p);
	memcpy(&run, &p, sizeof(run));
	for (i = 0; i < 50; i++) {
		put_code(p, i);
		ASSERT_EQ((int)i, run());
		/* The byte of the value */
		ASSERT_EQ(0, vt_fill(&self->t, p + 1, 1, i + 100));
		wrong += run() != (int)(i + 100);
	}
	EXPECT_EQ(0u, wrong);
	munmap(p, PAGE);
}

/* Whatever comes of it, it does not take for ever. */
static int use_mad_gpu(struct vt *t, unsigned int ms)
{
	const __u64 end = vt_now_ms() + ms;
	struct vt_buf b;
	__u64 sum;

	signal(SIGBUS, SIG_DFL);
	while (vt_now_ms() < end) {
		if (vt_buf_map(&b, LEN, VT_THP))
			return 1;
		vt_fill(t, b.p, LEN / 2, 1);
		vsvm_prefetch(t->dev.fd, t->vm, b.p, LEN, DRM_VSVM_LOC_DEVICE,
			      NULL, NULL);
		vt_sum(t, b.p, LEN, &sum);
		vsvm_prefetch(t->dev.fd, t->vm, b.p, LEN, DRM_VSVM_LOC_SYSTEM,
			      NULL, NULL);
		vt_buf_unmap(&b);
		if (vt_fill(t, &sum, 1, 1) == -ENODEV) {
			struct vt fresh;

			if (vt_reopen(&fresh, t, 1))
				continue;
			vsvm_close(&t->dev);
			*t = fresh;
		}
	}
	return 0;
}

TEST_F_TIMEOUT(pci, hostile, 3 * SECONDS)
{
	const unsigned int ms = vt_seconds(8) * 1000;
	__u64 seed = vt_seed(), end;
	char command[64];
	struct vt fresh;
	pid_t pid[2];
	unsigned int i, turn;

	for (turn = 0; turn < 3; turn++) {
		snprintf(command, sizeof(command), "hostile %llu %u",
			 (unsigned long long)vt_random(&seed), ms);
		ASSERT_EQ(0, vt_host(command));
		for (i = 0; i < ARRAY_SIZE(pid); i++) {
			pid[i] = fork();
			ASSERT_LE(0, pid[i]);
			if (!pid[i]) {
				struct vt t;

				_exit(vt_reopen(&t, &self->t, 5) ? 0 :
				      use_mad_gpu(&t, ms));
			}
		}
		/* Bytes may be wrong, and signals come; but it ends. */
		for (i = 0; i < ARRAY_SIZE(pid); i++)
			waitpid(pid[i], NULL, 0);
		/* Then the engines are others. */
		end = vt_now_ms() + SECONDS * 1000ull;
		while (vt_reopen(&fresh, &self->t, 1)) {
			vsvm_bind(&self->t.dev);
			ASSERT_GT(end, vt_now_ms());
		}
		vt_close(&self->t);
		self->t = fresh;
		ASSERT_EQ(0, works(&self->t));
	}
}

/* Only with a kernel that keeps the table of what is mapped. */
TEST_F_TIMEOUT(pci, stale_dma, SECONDS)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/stale_dma",
		 self->t.dev.name);
	if (access(path, W_OK))
		SKIP(return, "no stale_dma: not a debug kernel");
	err = vsvm_write_file(path, "1");
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, works(&self->t));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Hardware that nobody can stop: the process outside the virtual machine is
 * frozen, all of it, in the middle of a write to memory. The driver gives up and
 * takes the device for lost. Once the process goes on, so does the write; by then
 * the memory must not be anybody else's. Needs root, and must not run beside
 * anything else that uses the GPU.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(120)
#define LEN		MIB
#define PAGE		vsvm_page_size()
/* What the GPU writes, and the others. */
#define THEIRS		0x5a
#define OURS		0x1111111111111111ull
/* Engines, as the process numbers them. */
#define FROM_VRAM	2
#define QUEUES		3
/* No answer for 1 s, and for 2 s to an order to end; and time to take memory. */
#define FREEZE_MS	8000
#define FROZEN_MS	3500
/* Of that, until memory is let go. */
#define KEEP_MS		1500
#define MAX_CPUS	8
#define HOG_LEN		(128 * MIB)
#define KEPT		"/sys/module/vsvm/parameters/kept_pages"

/* A lot of memory, a part of it by each processor. */
struct hog {
	__u64 *p;
	size_t len;
	unsigned int cpus;
};

struct hog_part {
	struct hog *h;
	unsigned int cpu;
	pthread_t thread;
};

static void *hog_fill(void *arg)
{
	struct hog_part *part = arg;
	const size_t words = part->h->len / sizeof(__u64) / part->h->cpus;
	__u64 *p = part->h->p + part->cpu * words;
	cpu_set_t set;
	size_t i;

	CPU_ZERO(&set);
	CPU_SET(part->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (i = 0; i < words; i += PAGE / sizeof(__u64))
		p[i] = OURS;
	return NULL;
}

/* What was freed of late is given out first, by the processor that freed it. */
static int hog_begin(struct hog *h)
{
	struct hog_part part[MAX_CPUS];
	unsigned int i;

	h->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	h->cpus = h->cpus < MAX_CPUS ? h->cpus : MAX_CPUS;
	h->len = HOG_LEN / (h->cpus * PAGE) * (h->cpus * PAGE);
	h->p = mmap(NULL, h->len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h->p == MAP_FAILED)
		return -ENOMEM;
	madvise(h->p, h->len, MADV_NOHUGEPAGE);
	for (i = 0; i < h->cpus; i++) {
		part[i] = (struct hog_part) { .h = h, .cpu = i };
		if (pthread_create(&part[i].thread, NULL, hog_fill, &part[i]))
			return -EAGAIN;
	}
	for (i = 0; i < h->cpus; i++)
		pthread_join(part[i].thread, NULL);
	return 0;
}

/* Pages that somebody else wrote to. */
static unsigned int hog_changed(const struct hog *h)
{
	unsigned int changed = 0;
	size_t i;

	for (i = 0; i < h->len / sizeof(__u64); i += PAGE / sizeof(__u64))
		changed += h->p[i] != OURS;
	return changed;
}

FIXTURE(frozen) {
	struct vt t;
	struct vt_buf b;
	struct vt_obj o;
	struct hog h;
	pthread_t thread;
};

FIXTURE_SETUP(frozen)
{
	if (!vt_host_there())
		SKIP(return, "no GPU on PCI with --guest-control");
	ASSERT_EQ(0, vt_open(&self->t));
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
}

FIXTURE_TEARDOWN(frozen)
{
	vt_close(&self->t);
}

/* Nobody answers once the engine is about to write to memory. */
static int freeze_at(unsigned int engine)
{
	char command[64];

	snprintf(command, sizeof(command), "freeze-at %u %u", engine, FREEZE_MS);
	return vt_host(command);
}

/* Returns when the driver has given up. Any request would do. */
static void lose(struct vt *t)
{
	vt_sleep_ms(FROZEN_MS / 7);
	vt_tell(t, "link", "0");
}

/* Memory is let go: somebody else takes it, and the engine goes on. */
static unsigned int changed_later(struct hog *h)
{
	const __u64 end = vt_now_ms() + KEEP_MS;
	char held[64] = "";
	long kept;

	while ((kept = vt_read_number(KEPT, "")) <= 0 && vt_now_ms() < end)
		vt_sleep_ms(10);
	fprintf(stderr, "# kept while frozen: %ld pages\n", kept);
	if (VT_WRONG(kept > 0) || VT_WRONG(!hog_begin(h)))
		return ~0u;
	/* It is answered after that. */
	if (VT_WRONG(!vt_host_ask("held", held, sizeof(held))))
		return ~0u;
	vt_sleep_ms(200);
	fprintf(stderr, "# it was about to write at %s\n", held + 3);
	return hog_changed(h);
}

/* The device is back, works, and what was kept is not any more. */
static int is_back(struct vt *t)
{
	struct vt fresh;
	int err;

	err = vt_reopen(&fresh, t, SECONDS / 2);
	if (err)
		return err;
	vt_close(t);
	*t = fresh;
	if (VT_WRONG(vt_read_number(KEPT, "") == 0))
		return -EBUSY;
	return 0;
}

struct home {
	struct vt *t;
	void *p;
};

static void *bring_home(void *arg)
{
	struct home *h = arg;

	vsvm_prefetch(h->t->dev.fd, h->t->vm, h->p, LEN, DRM_VSVM_LOC_SYSTEM,
		      NULL, NULL);
	return NULL;
}

/* Pages that memory of a process was to come home to. */
TEST_F_TIMEOUT(frozen, copy, SECONDS)
{
	struct home home = { &self->t, self->b.p };

	ASSERT_EQ(0, vt_fill(&self->t, self->b.p, LEN, THEIRS));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
	ASSERT_EQ(0, freeze_at(FROM_VRAM));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, bring_home, &home));
	lose(&self->t);
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0u, changed_later(&self->h));
	munmap(self->h.p, self->h.len);
	EXPECT_EQ(0, is_back(&self->t));
}

static int fill_later(struct vt *t, void *p, size_t len)
{
	const struct drm_vsvm_kernel k = {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(p),
		.count = len,
		.arg = THEIRS,
	};

	return vt_submit(t, t->vm, &k, 1, NULL);
}

/* Memory of a process that a kernel works on. */
TEST_F_TIMEOUT(frozen, kernel, SECONDS)
{
	ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm, self->b.p, LEN,
				  DRM_VSVM_MADVISE_LOCATION, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_fill(&self->t, self->b.p, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_RAM));
	ASSERT_EQ(0, freeze_at(QUEUES));
	ASSERT_EQ(0, fill_later(&self->t, self->b.p, LEN));
	lose(&self->t);
	munmap(self->b.p, self->b.len);
	EXPECT_EQ(0u, changed_later(&self->h));
	munmap(self->h.p, self->h.len);
	EXPECT_EQ(0, is_back(&self->t));
}

/* The same with an object in system memory. */
TEST_F_TIMEOUT(frozen, object, SECONDS)
{
	void *at = (void *)DRM_VSVM_BIND_START;

	/* Pieces that are as small as this are used up first. */
	ASSERT_EQ(0, vt_obj_create(&self->t, &self->o, 16 * PAGE,
				   DRM_VSVM_GEM_SYSTEM, at));
	ASSERT_EQ(0, vt_fill(&self->t, at, self->o.len, 1));
	ASSERT_EQ(0, freeze_at(QUEUES));
	ASSERT_EQ(0, fill_later(&self->t, at, self->o.len));
	lose(&self->t);
	vt_obj_destroy(&self->t, &self->o);
	/* The handles go with the file, whatever became of the device. */
	vsvm_close(&self->t.dev);
	EXPECT_EQ(0u, changed_later(&self->h));
	munmap(self->h.p, self->h.len);
	EXPECT_EQ(0, is_back(&self->t));
}

TEST_HARNESS_MAIN

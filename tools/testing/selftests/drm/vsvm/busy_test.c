// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * VRAM that is full of memory which is about to come or go, so that there is
 * nothing in it that could make way at once. A page table has to have its place
 * all the same. For a GPU with hardly any VRAM and slow copies ("modprobe vsvm
 * vram_mb=2 copy_latency_us=2000").
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(120)
#define PAGE		vsvm_page_size()
#define PIECE		(64 * KIB)
/* More pieces on their way than VRAM has room for. */
#define NUM_MOVERS	40
#define NUM_TABLES	16

struct mover {
	struct vt *t;
	__u8 *p;
	pthread_t thread;
	unsigned int moves;
};

FIXTURE(busy) {
	struct vt t;
	__u8 *p;
	__u64 *sum;
	struct mover mover[NUM_MOVERS];
};

static bool movers_begin, movers_end;

/* One piece pushes the other one out. */
static void *mover_run(void *arg)
{
	struct mover *m = arg;

	/* They keep the mmap lock, which a thread needs to begin. */
	while (!__atomic_load_n(&movers_begin, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&movers_end, __ATOMIC_ACQUIRE))
		vt_sleep_ms(1);
	while (!__atomic_load_n(&movers_end, __ATOMIC_ACQUIRE)) {
		__u64 moved = 0;

		vsvm_prefetch(m->t->dev.fd, m->t->vm,
			      m->p + m->moves % 2 * PIECE, PIECE,
			      DRM_VSVM_LOC_DEVICE, &moved, NULL);
		if (moved)
			m->moves++;
		else
			vt_sleep_ms(1);
	}
	return NULL;
}

/* A page of a file for reading, at the end of each large page. */
static __u8 *pages_of_a_file(unsigned int num)
{
	int fd = memfd_create("busy", MFD_CLOEXEC);
	__u8 *p, page[PAGE];
	unsigned int i;

	memset(page, 3, PAGE);
	p = vt_map_aligned(num * LARGE_PAGE, PROT_NONE,
			   MAP_PRIVATE | MAP_NORESERVE);
	if (!p || write(fd, page, PAGE) != (ssize_t)PAGE)
		return NULL;
	for (i = 0; i < num; i++) {
		if (mmap(p + i * LARGE_PAGE, PAGE, PROT_READ,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return NULL;
	}
	return p;
}

FIXTURE_SETUP(busy)
{
	int err = vt_open(&self->t);
	unsigned int i;

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (vt_parameter("vram_mb") != 2 || vt_parameter("copy_latency_us") < 1)
		SKIP(return, "modprobe vsvm vram_mb=2 copy_latency_us=2000");
	self->p = pages_of_a_file(NUM_TABLES);
	ASSERT_NE(NULL, self->p);
	self->sum = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, self->sum);
	for (i = 0; i < NUM_MOVERS; i++) {
		struct mover *m = &self->mover[i];

		m->t = &self->t;
		m->p = vt_map_aligned(2 * PIECE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE);
		ASSERT_NE(NULL, m->p);
		memset(m->p, i, 2 * PIECE);
		ASSERT_EQ(0, pthread_create(&m->thread, NULL, mover_run, m));
	}
	__atomic_store_n(&movers_begin, true, __ATOMIC_RELEASE);
}

FIXTURE_TEARDOWN(busy)
{
	unsigned int i, moves = 0;

	__atomic_store_n(&movers_end, true, __ATOMIC_RELEASE);
	for (i = 0; i < NUM_MOVERS && self->mover[i].thread; i++) {
		pthread_join(self->mover[i].thread, NULL);
		moves += self->mover[i].moves;
	}
	fprintf(stderr, "# %u moves\n", moves);
	vt_close(&self->t);
}

/* Each page needs a table of its own. */
TEST_F_TIMEOUT(busy, tables, SECONDS)
{
	const __u64 start = vt_now_ms();
	unsigned int i;

	ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm, self->sum, PAGE,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
	for (i = 0; i < NUM_TABLES; i++) {
		const struct drm_vsvm_kernel k = {
			.op = DRM_VSVM_OP_SUM,
			.dst = vsvm_addr(self->sum),
			.src = vsvm_addr(self->p + i * LARGE_PAGE),
			.count = PAGE,
		};

		ASSERT_EQ(0, vsvm_run(self->t.dev.fd, self->t.vm, &k, 1, NULL));
		EXPECT_EQ(3 * PAGE, *self->sum);
	}
	fprintf(stderr, "# %llu ms\n", vt_now_ms() - start);
}

TEST_HARNESS_MAIN

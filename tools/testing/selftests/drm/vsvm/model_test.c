// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Random things happen to a region, and a byte model says what must be in it:
 * CPU and GPU reads and writes, moves both ways, evictions, and everything that
 * a process may do to its address space. One walker owns a region; several run
 * side by side on neighbouring ones, so that they share 2 MiB blocks.
 *
 * VSVM_SEED repeats a run, as far as one walker goes; VSVM_SECONDS makes it
 * longer.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define DEFAULT_SECONDS	15
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define HISTORY	16

/**
 * struct walker - one that does random things
 * @t: GPU, with an address space of its own
 * @b: region and model; the region's address never changes
 * @away: room of the same size to move the region to
 * @state: of the random numbers
 * @steps: done so far
 * @history: what the last steps were, for a report
 * @err: what went wrong, 0 so far
 */
struct walker {
	struct vt t;
	struct vt_buf b;
	__u8 *away;
	__u64 seed;
	__u64 state;
	unsigned long steps;
	struct step {
		const char *name;
		size_t start;
		size_t len;
	} history[HISTORY];
	int err;
};

/* A random part of the region, mostly small; whole pages if @pages. */
static void choose(struct walker *w, size_t *start, size_t *len, bool pages)
{
	size_t limit = w->b.len;

	if (vt_random_below(&w->state, 4))
		limit = 20 * PAGE;
	*start = vt_random_below(&w->state, w->b.len);
	*len = 1 + vt_random_below(&w->state, limit);
	if (pages) {
		*start &= -PAGE;
		*len = (*len + PAGE - 1) & -PAGE;
	}
	if (*start + *len > w->b.len)
		*len = w->b.len - *start;
}

static int do_cpu_write(struct walker *w, size_t start, size_t len)
{
	vt_buf_write(&w->b, start, len, vt_random(&w->state));
	return 0;
}

static int do_cpu_read(struct walker *w, size_t start, size_t len)
{
	return vt_buf_check_range(&w->b, start, len);
}

static int do_gpu_fill(struct walker *w, size_t start, size_t len)
{
	return vt_buf_fill(&w->t, &w->b, start, len, vt_random(&w->state));
}

static int do_gpu_add(struct walker *w, size_t start, size_t len)
{
	return vt_buf_add(&w->t, &w->b, start, len, vt_random(&w->state));
}

/* The first half of the part goes to the second. */
static int do_gpu_copy(struct walker *w, size_t start, size_t len)
{
	__u8 *p = w->b.p + start, *model = w->b.model + start;

	memcpy(model + len / 2, model, len / 2);
	return len < 2 ? 0 : vt_copy(&w->t, p + len / 2, p, len / 2);
}

static int do_gpu_read(struct walker *w, size_t start, size_t len)
{
	struct vt_buf part = { w->b.p + start, w->b.model + start, len };

	return vt_buf_check_gpu(&w->t, &part);
}

static int do_prefetch_there(struct walker *w, size_t start, size_t len)
{
	return vsvm_prefetch(w->t.dev.fd, w->t.vm, w->b.p + start, len,
			     DRM_VSVM_LOC_DEVICE, NULL, NULL);
}

static int do_prefetch_back(struct walker *w, size_t start, size_t len)
{
	return vsvm_prefetch(w->t.dev.fd, w->t.vm, w->b.p + start, len,
			     DRM_VSVM_LOC_SYSTEM, NULL, NULL);
}

static int do_evict(struct walker *w, size_t start, size_t len)
{
	(void)start;
	(void)len;
	return vsvm_evict(&w->t.dev);
}

/* In one call: another thread's mapping must not get into the gap. */
static int do_map_over(struct walker *w, size_t start, size_t len)
{
	void *p = mmap(w->b.p + start, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	memset(w->b.model + start, 0, len);
	if (vt_random_below(&w->state, 2))
		madvise(p, len, MADV_HUGEPAGE);
	return p == MAP_FAILED ? -errno : 0;
}

static int do_dontneed(struct walker *w, size_t start, size_t len)
{
	memset(w->b.model + start, 0, len);
	return madvise(w->b.p + start, len, MADV_DONTNEED) ? -errno : 0;
}

static int move(__u8 *from, __u8 *to, size_t len)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

	return mremap(from, len, len, flags, to) == to ? 0 : -errno;
}

/* Away, used there by the GPU, and back. What is left behind must be empty. */
static int do_move(struct walker *w, size_t start, size_t len)
{
	__u8 *here = w->b.p + start, *there = w->away + start;
	size_t i;
	int err;

	err = move(here, there, len);
	if (err == -EFAULT || err == -EINVAL) {
		/* More than one VMA; one page is always one. */
		len = PAGE;
		err = move(here, there, len);
	}
	err = err ?: vt_add(&w->t, there, there, len, 1);
	err = err ?: vt_all(here, 0, len);
	err = err ?: move(there, here, len);
	err = err ?: vt_all(there, 0, len);
	for (i = start; i < start + len; i++)
		w->b.model[i]++;
	return err;
}

/* Without permission, neither of the two writes. */
static int do_protect(struct walker *w, size_t start, size_t len)
{
	__u8 *p = w->b.p + start;
	int err;

	if (mprotect(p, len, PROT_READ))
		return -errno;
	err = vt_fill(&w->t, p, len, 0) == -EFAULT ? 0 : -EPROTO;
	err = err ?: vt_buf_check_range(&w->b, start, len);
	if (mprotect(p, len, PROT_READ | PROT_WRITE))
		return -errno;
	return err;
}

/* A child looks and goes; nothing that it writes is seen. */
static int do_fork(struct walker *w, size_t start, size_t len)
{
	pid_t pid = fork();
	int err;

	if (pid < 0)
		return -errno;
	if (!pid) {
		err = vt_buf_check_range(&w->b, start, len);
		memset(w->b.p + start, 0xdd, len);
		_exit(err ? 1 : 0);
	}
	/* Copy on write from the other side, while the child looks. */
	vt_buf_write(&w->b, start, len, vt_random(&w->state));
	return vt_join(pid) ? -ECHILD : 0;
}

static const struct {
	const char *name;
	int (*act)(struct walker *w, size_t start, size_t len);
	bool pages;
	unsigned int weight;
} act[] = {
	{ "CPU write", do_cpu_write, false, 6 },
	{ "CPU read", do_cpu_read, false, 6 },
	{ "GPU fill", do_gpu_fill, false, 6 },
	{ "GPU add", do_gpu_add, false, 6 },
	{ "GPU copy", do_gpu_copy, false, 4 },
	{ "GPU read", do_gpu_read, false, 4 },
	{ "prefetch to VRAM", do_prefetch_there, true, 4 },
	{ "prefetch to RAM", do_prefetch_back, true, 2 },
	{ "evict", do_evict, true, 1 },
	{ "map over", do_map_over, true, 2 },
	{ "MADV_DONTNEED", do_dontneed, true, 2 },
	{ "mremap", do_move, true, 3 },
	{ "mprotect", do_protect, true, 2 },
	{ "fork", do_fork, true, 1 },
};

static size_t choose_act(struct walker *w)
{
	unsigned int i, at, total = 0;

	for (i = 0; i < ARRAY_SIZE(act); i++)
		total += act[i].weight;
	at = vt_random_below(&w->state, total);
	for (i = 0; at >= act[i].weight; i++)
		at -= act[i].weight;
	return i;
}

static void report(const struct walker *w)
{
	const struct step *s;
	unsigned long i;

	fprintf(stderr, "# VSVM_SEED=%llu, region %p: errno %d at step %lu\n",
		w->seed, w->b.p, -w->err, w->steps);
	i = w->steps < HISTORY ? 0 : w->steps - HISTORY + 1;
	for (; i <= w->steps; i++) {
		s = &w->history[i % HISTORY];
		fprintf(stderr, "# %6lu %-16s [0x%zx, 0x%zx)\n", i, s->name,
			s->start, s->start + s->len);
	}
}

static void walk_step(struct walker *w)
{
	size_t start, len, i = choose_act(w);

	choose(w, &start, &len, act[i].pages);
	w->history[w->steps % HISTORY] =
		(struct step){ act[i].name, start, len };
	w->err = act[i].act(w, start, len);
	/* Often enough to find what went wrong near to where it did. */
	if (!w->err && w->steps % 64 == 63)
		w->err = vt_buf_check(&w->b);
	if (w->err)
		report(w);
	else
		w->steps++;
}

static void *walk(void *arg)
{
	__u64 end = vt_now_ms() + vt_seconds(DEFAULT_SECONDS) * 1000ull;
	struct walker *w = arg;

	while (!w->err && vt_now_ms() < end)
		walk_step(w);
	if (!w->err) {
		w->err = vt_buf_check(&w->b);
		if (w->err)
			report(w);
	}
	return NULL;
}

/* Walkers on neighbouring parts of one mapping; none ends at a large page. */
static int walk_all(struct walker *w, unsigned int count, __u64 seed)
{
	size_t len = count > 1 ? 3 * MIB / 4 + 5 * PAGE : LEN;
	__u8 *p, *away, *model;
	unsigned int i, started = 0;
	pthread_t thread[8];
	int err = 0;

	p = vt_map_aligned(count * len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	away = vt_map_aligned(count * len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	model = vt_map_aligned(count * len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE);
	if (!p || !away || !model)
		return -ENOMEM;
	for (i = 0; i < count && !err; i++) {
		w[i].b = (struct vt_buf){ p + i * len, model + i * len, len };
		w[i].away = away + i * len;
		w[i].seed = seed;
		w[i].state = seed + i;
		err = vt_open(&w[i].t);
	}
	for (; started < count && !err; started += !err)
		err = -pthread_create(&thread[started], NULL, walk, &w[started]);
	while (started--)
		pthread_join(thread[started], NULL);
	return err;
}

FIXTURE(model) {
	struct walker w[4];
	__u64 seed;
};

FIXTURE_SETUP(model)
{
	struct vt t;
	int err = vt_open(&t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	vt_close(&t);
	self->seed = vt_seed();
}

FIXTURE_TEARDOWN(model)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(self->w); i++)
		if (self->w[i].steps)
			vt_close(&self->w[i].t);
}

TEST_F_TIMEOUT(model, one_walker, vt_seconds(DEFAULT_SECONDS) + vt_timeout(60))
{
	ASSERT_EQ(0, walk_all(self->w, 1, self->seed));
	EXPECT_EQ(0, self->w[0].err);
	TH_LOG("%lu steps", self->w[0].steps);
}

TEST_F_TIMEOUT(model, four_walkers, vt_seconds(DEFAULT_SECONDS) + vt_timeout(60))
{
	unsigned int i;

	ASSERT_EQ(0, walk_all(self->w, ARRAY_SIZE(self->w), self->seed));
	for (i = 0; i < ARRAY_SIZE(self->w); i++) {
		EXPECT_EQ(0, self->w[i].err);
		TH_LOG("%lu steps", self->w[i].steps);
	}
}

TEST_HARNESS_MAIN

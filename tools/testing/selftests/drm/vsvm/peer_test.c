// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Two GPUs with a link between them: memory in VRAM of one that the other uses
 * over the link, memory that moves from one to the other, and a link that goes
 * down. Needs "modprobe vsvm devices=2". The second half takes the second GPU
 * away, so nothing else may use it.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(120)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

/* Rounds of what runs beside something else. */
#define ROUNDS	12

FIXTURE(peer) {
	struct vt a;
	struct vt b;
	struct vt_buf buf;
	__u32 on_a;
	__u32 on_b;
};

FIXTURE_VARIANT(peer) {
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(peer, small) { .kind = VT_SMALL, };
FIXTURE_VARIANT_ADD(peer, thp) { .kind = VT_THP, };

static int set_link(struct vt *t, bool up)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/link",
		 t->dev.name);
	return vsvm_write_file(path, up ? "1" : "0");
}

FIXTURE_SETUP(peer)
{
	int err = vt_open_id(&self->a, 0);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (vt_open_id(&self->b, 1))
		SKIP(return, "needs \"modprobe vsvm devices=2\"");
	self->on_a = DRM_VSVM_LOC_DEVICE_ID(0);
	self->on_b = DRM_VSVM_LOC_DEVICE_ID(1);
	ASSERT_EQ(0, vt_buf_map(&self->buf, LEN, variant->kind));
}

/* Others want two GPUs and a link, whatever this one did to them. */
FIXTURE_TEARDOWN(peer)
{
	vsvm_bind(&self->b.dev);
	set_link(&self->a, true);
	set_link(&self->b, true);
	vt_close(&self->a);
	vt_close(&self->b);
}

static int advise(struct vt *t, const struct vt_buf *b, __u32 location)
{
	return vsvm_madvise(t->dev.fd, t->vm, b->p, b->len,
			    DRM_VSVM_MADVISE_LOCATION, location);
}

/* A page may be somebody's for a moment, so that it takes more than one go. */
static int move(struct vt *t, const struct vt_buf *b, __u32 location)
{
	__u64 moved, skipped = 1;
	struct vsvm_where where;
	int i, err = 0;

	for (i = 0; i < 3 && !err; i++) {
		err = vsvm_prefetch(t->dev.fd, t->vm, b->p, b->len, location,
				    &moved, &skipped);
		if (err || !skipped)
			break;
		err = vsvm_where(t->dev.fd, t->vm, b->p, b->len, &where);
		fprintf(stderr,
			"# %llu moved, %llu skipped: none %zu, system %zu, VRAM %zu, peer %zu\n",
			moved, skipped, where.none, where.system, where.device,
			where.peer);
	}
	return err ?: skipped ? -EBUSY : 0;
}

static __u64 link_bytes(struct vt *t)
{
	struct drm_vsvm_stats stats;

	return vsvm_query_stats(t->dev.fd, &stats) ? UINT64_MAX :
						     stats.link_bytes;
}

static __u64 to_ram_bytes(struct vt *t)
{
	struct drm_vsvm_stats stats;

	return vsvm_query_stats(t->dev.fd, &stats) ? UINT64_MAX :
						     stats.to_ram_bytes;
}

/* Seen by both: in VRAM of @there, which is not that of @other. */
static int is_in(struct vt *there, struct vt *other, const struct vt_buf *b)
{
	return vt_buf_elsewhere(there, b, IN_VRAM) ?:
	       vt_buf_elsewhere(other, b, IN_PEER);
}

TEST_F_TIMEOUT(peer, have_numbers, SECONDS)
{
	struct drm_vsvm_device_info info;

	ASSERT_EQ(0, vsvm_query_device(self->a.dev.fd, &info));
	EXPECT_EQ(0u, info.device_id);
	EXPECT_EQ(1u, info.num_peers);
	ASSERT_EQ(0, vsvm_query_device(self->b.dev.fd, &info));
	EXPECT_EQ(1u, info.device_id);
	EXPECT_EQ(1u, info.num_peers);
	EXPECT_EQ(-ENXIO, advise(&self->a, &self->buf, DRM_VSVM_LOC_DEVICE_ID(2)));
	EXPECT_EQ(-ENXIO, move(&self->a, &self->buf, DRM_VSVM_LOC_DEVICE_ID(2)));
}

/* From one to the other and back, over the link and not by way of RAM. */
TEST_F_TIMEOUT(peer, move_by_prefetch, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	__u64 linked_a = link_bytes(a), linked_b = link_bytes(b);
	__u64 home = to_ram_bytes(a) + to_ram_bytes(b);

	ASSERT_EQ(0, move(a, buf, self->on_a));
	ASSERT_EQ(0, is_in(a, b, buf));
	ASSERT_EQ(0, move(a, buf, self->on_b));
	ASSERT_EQ(0, is_in(b, a, buf));
	EXPECT_EQ(linked_b + buf->len, link_bytes(b));
	EXPECT_EQ(linked_a, link_bytes(a));
	ASSERT_EQ(0, move(b, buf, self->on_a));
	ASSERT_EQ(0, is_in(a, b, buf));
	EXPECT_EQ(linked_a + buf->len, link_bytes(a));
	ASSERT_EQ(0, move(b, buf, DRM_VSVM_LOC_DEVICE));
	ASSERT_EQ(0, is_in(b, a, buf));
	EXPECT_EQ(home, to_ram_bytes(a) + to_ram_bytes(b));
	ASSERT_EQ(0, vt_buf_check_gpu(b, buf));
	ASSERT_EQ(0, move(a, buf, DRM_VSVM_LOC_SYSTEM));
	EXPECT_EQ(0, vt_buf_elsewhere(a, buf, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(buf));
}

/* Each takes what it touches. */
TEST_F_TIMEOUT(peer, move_by_faults, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	__u64 linked = link_bytes(a);
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
		ASSERT_EQ(0, is_in(a, b, buf));
		ASSERT_EQ(0, vt_buf_add(b, buf, 0, buf->len, 1));
		ASSERT_EQ(0, is_in(b, a, buf));
	}
	EXPECT_EQ(linked + 2 * buf->len, link_bytes(a));
	ASSERT_EQ(0, vt_buf_check(buf));
}

/* Where the advice says, although the other one touches it. */
TEST_F_TIMEOUT(peer, move_by_advice, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;

	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, is_in(b, a, buf));
	ASSERT_EQ(0, advise(a, buf, self->on_a));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, is_in(a, b, buf));
	ASSERT_EQ(0, advise(b, buf, self->on_a));
	ASSERT_EQ(0, vt_buf_add(b, buf, 0, buf->len, 1));
	ASSERT_EQ(0, is_in(a, b, buf));
	ASSERT_EQ(0, vt_buf_check_gpu(b, buf));
	ASSERT_EQ(0, vt_buf_check_gpu(a, buf));
	ASSERT_EQ(0, vt_buf_check(buf));
}

/* Both work on it where it is: nothing moves, and nobody faults any more. */
TEST_F_TIMEOUT(peer, both_map_it, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	struct drm_vsvm_stats before, stats;
	__u64 linked;
	int i;

	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, vt_buf_add(b, buf, 0, buf->len, 1));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, vsvm_query_stats(a->dev.fd, &before));
	linked = link_bytes(b);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vt_buf_add(a, buf, i * 1000, MIB, 1));
		ASSERT_EQ(0, vt_buf_add(b, buf, i * 1000 + 500, MIB, 3));
	}
	ASSERT_EQ(0, vsvm_query_stats(a->dev.fd, &stats));
	EXPECT_EQ(before.gpu_faults, stats.gpu_faults);
	EXPECT_EQ(linked, link_bytes(b));
	ASSERT_EQ(0, is_in(b, a, buf));
	ASSERT_EQ(0, vt_buf_check(buf));
}

/* Parts of it here and there, in one range of the GPU or in several. */
TEST_F_TIMEOUT(peer, here_and_there, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	size_t i;

	for (i = 0; i < buf->len; i += 256 * KIB) {
		struct vt *t = i / (256 * KIB) % 2 ? a : b;

		ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, buf->p + i,
					   128 * KIB, DRM_VSVM_LOC_DEVICE, NULL,
					   NULL));
	}
	ASSERT_EQ(0, advise(a, buf, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, MIB, 1));
	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, is_in(b, a, buf));
	ASSERT_EQ(0, vt_buf_check(buf));
}

TEST_F_TIMEOUT(peer, fork, SECONDS)
{
	struct vt *a = &self->a;
	struct vt_buf *buf = &self->buf;
	int pipes[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	pid = fork();
	if (!pid) {
		struct vt child;

		_exit(vt_await(pipes[0]) || vt_open_id(&child, 0) ||
		      vt_buf_check_gpu(&child, buf) || vt_buf_check(buf));
	}
	/* Shared with the child now: a write is one to a copy. */
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	vt_wake(pipes[1]);
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check(buf));
}

TEST_F_TIMEOUT(peer, atomic, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	__u64 *counter = (__u64 *)(buf->p + MIB);
	__u32 mode;
	__u64 sum = 0;

	*counter = 0;
	for (mode = 0; mode <= DRM_VSVM_ATOMIC_SYSTEM; mode++) {
		ASSERT_EQ(0, vsvm_madvise(a->dev.fd, a->vm, buf->p, buf->len,
					  DRM_VSVM_MADVISE_ATOMIC, mode));
		ASSERT_EQ(0, vsvm_madvise(b->dev.fd, b->vm, buf->p, buf->len,
					  DRM_VSVM_MADVISE_ATOMIC, mode));
		/*
		 * But for a page that was taken: mm may still have it in a
		 * list of pages to be activated, which refers to it.
		 */
		vsvm_prefetch(a->dev.fd, a->vm, buf->p, buf->len, self->on_b,
			      NULL, NULL);
		ASSERT_EQ(0, vt_atomic_add(a, counter, 100, 1));
		ASSERT_EQ(0, vt_atomic_add(b, counter, 100, 1));
		ASSERT_EQ(0, vt_atomic_add(a, counter, 100, 1));
		sum += 300;
		ASSERT_EQ(sum, *counter);
	}
}

/* The memory is pushed out under the other one's hands. */
TEST_F_TIMEOUT(peer, evicted, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	int i;

	ASSERT_EQ(0, advise(a, buf, self->on_b));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
		ASSERT_EQ(0, is_in(b, a, buf));
		ASSERT_EQ(0, vsvm_evict(&b->dev));
		EXPECT_EQ(0, vt_buf_elsewhere(a, buf, IN_RAM));
	}
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, vt_buf_check(buf));
}

struct evictor {
	pthread_t thread;
	struct vsvm_dev *dev;
	bool stop;
	int err;
};

static void *evict_on(void *data)
{
	struct evictor *e = data;

	while (!__atomic_load_n(&e->stop, __ATOMIC_RELAXED) && !e->err) {
		e->err = vsvm_evict(e->dev);
		/* Somebody was at some of it. */
		if (e->err == -EBUSY)
			e->err = 0;
		vt_sleep_ms(20);
	}
	return NULL;
}

TEST_F_TIMEOUT(peer, evicted_under_jobs, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	struct evictor e = { .dev = &b->dev };
	int i;

	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, pthread_create(&e.thread, NULL, evict_on, &e));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
		if (i % 4 == 3)
			ASSERT_EQ(0, vt_buf_add(b, buf, 0, buf->len, 1));
	}
	__atomic_store_n(&e.stop, true, __ATOMIC_RELAXED);
	pthread_join(e.thread, NULL);
	EXPECT_EQ(0, e.err);
	ASSERT_EQ(0, vt_buf_check(buf));
}

/* Nothing of the other one stays in use. */
TEST_F_TIMEOUT(peer, gives_back, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	__u64 used_a, used_b;

	/* Page tables of what is small. */
	ASSERT_EQ(0, move(a, buf, self->on_b));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, move(a, buf, DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_vram_settles(b, MIB));
	used_a = vt_vram_used(a);
	used_b = vt_vram_used(b);
	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	EXPECT_LE(used_b + buf->len, vt_vram_used(b));
	munmap(buf->p, buf->len);
	ASSERT_EQ(0, vt_vram_settles(a, used_a + 64 * KIB));
	ASSERT_EQ(0, vt_vram_settles(b, used_b));
}

/* Copies are counted by their size, by the one whose engine made them. */
TEST_F_TIMEOUT(peer, sizes_of_copies, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	struct drm_vsvm_stats before[2], stats, other;

	ASSERT_EQ(0, move(a, buf, self->on_a));
	ASSERT_EQ(0, vsvm_query_stats(a->dev.fd, &before[0]));
	ASSERT_EQ(0, vsvm_query_stats(b->dev.fd, &before[1]));
	ASSERT_EQ(0, move(b, buf, self->on_b));
	ASSERT_EQ(0, vsvm_query_stats(a->dev.fd, &other));
	ASSERT_EQ(0, vsvm_query_stats(b->dev.fd, &stats));
	vsvm_stats_sub(&other, &before[0]);
	vsvm_stats_sub(&stats, &before[1]);
	EXPECT_EQ(buf->len, stats.link_bytes);
	EXPECT_EQ(0u, stats.to_vram_bytes);
	stats.copies_4k += other.copies_4k;
	stats.copies_64k += other.copies_64k;
	stats.copies_2m += other.copies_2m;
	/* VRAM to VRAM in one piece each, if both have large pieces. */
	EXPECT_LT(0u, stats.copies_4k + stats.copies_64k + stats.copies_2m);
	EXPECT_GE(buf->len, stats.copies_2m * LARGE_PAGE +
			    stats.copies_64k * 64 * KIB +
			    stats.copies_4k * PAGE);
	if (variant->kind == VT_THP)
		EXPECT_EQ(buf->len / LARGE_PAGE, stats.copies_2m);
}

/* One job sees that the link went down; the next one does without. */
TEST_F_TIMEOUT(peer, link_goes_down, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	struct drm_vsvm_device_info info;
	int i;

	ASSERT_EQ(0, advise(a, buf, self->on_b));
	for (i = 0; i < 2; i++) {
		struct vt *t = i ? a : b;
		__u64 end = vt_now_ms() + 20000;
		__u64 sum;
		int err;

		ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
		ASSERT_EQ(0, is_in(b, a, buf));
		ASSERT_EQ(0, set_link(t, false));
		EXPECT_EQ(-EREMOTEIO, vt_sum(a, buf->p, buf->len, &sum));
		ASSERT_EQ(0, vsvm_query_device(a->dev.fd, &info));
		EXPECT_EQ(0u, info.num_peers);
		EXPECT_EQ(-ENXIO, advise(a, buf, self->on_b));
		EXPECT_EQ(-ENXIO, move(a, buf, self->on_b));
		/* The driver takes the mappings away in a moment. */
		do {
			err = vt_sum(a, buf->p, buf->len, &sum);
		} while (err == -EREMOTEIO && vt_now_ms() < end);
		ASSERT_EQ(0, err);
		ASSERT_EQ(0, vt_buf_check_gpu(a, buf));
		ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
		EXPECT_EQ(0, vt_pages_at(b, buf->p, buf->len, IN_VRAM));
		ASSERT_EQ(0, set_link(t, true));
		/* So that the GPU asks again. */
		ASSERT_EQ(0, advise(a, buf, self->on_b));
	}
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, is_in(b, a, buf));
	ASSERT_EQ(0, vt_buf_check(buf));
}

/* Without a link memory goes by way of RAM. */
TEST_F_TIMEOUT(peer, move_without_link, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	__u64 linked;

	ASSERT_EQ(0, move(b, buf, DRM_VSVM_LOC_DEVICE));
	linked = link_bytes(a);
	ASSERT_EQ(0, set_link(a, false));
	ASSERT_EQ(0, move(a, buf, DRM_VSVM_LOC_DEVICE));
	EXPECT_EQ(0, vt_buf_elsewhere(a, buf, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_gpu(a, buf));
	/* By a fault as well. */
	ASSERT_EQ(0, vt_buf_add(b, buf, 0, buf->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(b, buf, IN_VRAM));
	EXPECT_EQ(linked, link_bytes(a));
	ASSERT_EQ(0, set_link(a, true));
	ASSERT_EQ(0, vt_buf_check_gpu(a, buf));
	ASSERT_EQ(0, vt_buf_check(buf));
}

struct flapper {
	pthread_t thread;
	struct vt *t;
	bool stop;
	int err;
};

static void *flap(void *data)
{
	struct flapper *f = data;
	bool up = false;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED) && !f->err) {
		f->err = set_link(f->t, up);
		up = !up;
		vt_sleep_ms(30);
	}
	return NULL;
}

/* The link comes and goes; jobs succeed or say why not, and nothing is lost. */
TEST_F_TIMEOUT(peer, link_comes_and_goes, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	struct flapper f = { .t = b };
	__u64 sum;
	int i, err;

	ASSERT_EQ(0, pthread_create(&f.thread, NULL, flap, &f));
	for (i = 0; i < ROUNDS; i++) {
		err = advise(a, buf, i % 2 ? self->on_b : self->on_a);
		if (err)
			EXPECT_EQ(-ENXIO, err);
		err = vt_sum(a, buf->p, buf->len, &sum);
		if (err)
			EXPECT_EQ(-EREMOTEIO, err);
		err = vt_sum(b, buf->p, MIB, &sum);
		if (err)
			EXPECT_EQ(-EREMOTEIO, err);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(f.thread, NULL);
	EXPECT_EQ(0, f.err);
	ASSERT_EQ(0, vt_buf_check(buf));
}

/* A device whose memory somebody else uses can go; it is all at home then. */
TEST_F_TIMEOUT(peer, unbind, SECONDS)
{
	struct vt *a = &self->a, *b = &self->b;
	struct vt_buf *buf = &self->buf;
	struct drm_vsvm_device_info info;

	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	ASSERT_EQ(0, is_in(b, a, buf));
	ASSERT_EQ(0, vsvm_unbind(&b->dev));
	EXPECT_EQ(0, vt_buf_elsewhere(a, buf, IN_RAM));
	ASSERT_EQ(0, vsvm_query_device(a->dev.fd, &info));
	EXPECT_EQ(0u, info.num_peers);
	EXPECT_EQ(-ENXIO, advise(a, buf, self->on_b));
	/* The advice is still there, but nowhere to go to. */
	ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
	EXPECT_EQ(0, vt_buf_elsewhere(a, buf, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(buf));
	ASSERT_EQ(0, vsvm_bind(&b->dev));
	ASSERT_EQ(0, move(a, buf, self->on_b));
	EXPECT_EQ(0, vt_buf_elsewhere(a, buf, IN_PEER));
	ASSERT_EQ(0, vt_buf_check_gpu(a, buf));
	ASSERT_EQ(0, vt_buf_check(buf));
}

struct binder {
	pthread_t thread;
	struct vsvm_dev *dev;
	bool stop;
	int err;
};

static void *bind_on(void *data)
{
	struct binder *b = data;

	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED) && !b->err) {
		b->err = vsvm_unbind(b->dev) ?: vsvm_bind(b->dev);
		vt_sleep_ms(50);
	}
	return NULL;
}

/* It comes and goes while memory moves to it and is used there. */
TEST_F_TIMEOUT(peer, unbind_under_jobs, SECONDS)
{
	struct vt *a = &self->a;
	struct vt_buf *buf = &self->buf;
	struct binder b = { .dev = &self->b.dev };
	int i, err;

	ASSERT_EQ(0, advise(a, buf, self->on_b));
	ASSERT_EQ(0, pthread_create(&b.thread, NULL, bind_on, &b));
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, vt_buf_add(a, buf, 0, buf->len, 1));
		err = move(a, buf, i % 2 ? self->on_a : self->on_b);
		if (err && err != -EBUSY && err != -ENODEV)
			EXPECT_EQ(-ENXIO, err);
	}
	__atomic_store_n(&b.stop, true, __ATOMIC_RELAXED);
	pthread_join(b.thread, NULL);
	EXPECT_EQ(0, b.err);
	ASSERT_EQ(0, vt_buf_check(buf));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Defects that show when memory has to leave VRAM, or the device goes.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "defects.h"

#define ORPHAN_LEN	(256 * KIB)

/* What an orphan tells its grandparent by its exit code. */
enum {
	ORPHAN_OK,
	ORPHAN_REFUSED,
	ORPHAN_LEFT,
	ORPHAN_CONTENT,
	ORPHAN_BROKEN,
};

/* In VRAM, seen by a process that has no address space on the GPU? */
static size_t pages_away(const void *p, size_t len)
{
	struct vsvm_where where;
	__u8 map[512];

	if (vsvm_residency_pagemap(p, len, map))
		return SIZE_MAX;
	vsvm_where_count(&where, map, vsvm_pages(p, len));
	return where.device;
}

/* The child of an owner that has gone. */
static int orphan(struct vt *t, const __u8 *p, bool keep_file)
{
	pid_t parent = getppid();
	int i, err;

	if (!keep_file)
		vt_close(t);
	for (i = 0; i < 200 && getppid() == parent; i++)
		vt_sleep_ms(10);
	/* An mm is freed after its process has ended. */
	vt_sleep_ms(300);
	if (getppid() == parent || pages_away(p, ORPHAN_LEN) != 64)
		return ORPHAN_BROKEN;
	err = vsvm_evict(&t->dev);
	if (pages_away(p, ORPHAN_LEN))
		return err ? ORPHAN_REFUSED : ORPHAN_LEFT;
	return vt_all(p, 0xa5, ORPHAN_LEN) ? ORPHAN_CONTENT : ORPHAN_OK;
}

static int owner(int to, bool keep_file)
{
	struct vt t;
	__u8 *p;
	char c;

	if (vt_open(&t))
		return 1;
	p = in_vram(&t, ORPHAN_LEN, VT_SMALL, 0xa5);
	if (!p)
		return 1;
	if (!fork()) {
		c = orphan(&t, p, keep_file);
		_exit(write(to, &c, 1) != 1);
	}
	return 0;
}

static enum result evict_from_orphan(bool keep_file)
{
	static const char * const text[] = {
		[ORPHAN_OK] = "pages of a child whose parent has gone were evicted",
		[ORPHAN_REFUSED] = "eviction refused",
		[ORPHAN_LEFT] = "pages are still in VRAM",
		[ORPHAN_CONTENT] = "content lost",
		[ORPHAN_BROKEN] = "the test itself: no orphan with pages in VRAM",
	};
	int pipes[2];
	char c = ORPHAN_BROKEN;
	pid_t pid;

	if (pipe(pipes))
		return broken("pipe", -errno);
	pid = fork();
	if (!pid)
		_exit(owner(pipes[1], keep_file));
	close(pipes[1]);
	if (vt_join(pid) || read(pipes[0], &c, 1) != 1)
		c = ORPHAN_BROKEN;
	close(pipes[0]);
	return saw(c == ORPHAN_OK ? PASS : FAIL, "%s", text[(int)c]);
}

/* Without the file nothing keeps the owner's mm. */
enum result test_w2(struct vt *t)
{
	(void)t;
	return evict_from_orphan(false);
}

enum result test_w3(struct vt *t)
{
	(void)t;
	return evict_from_orphan(true);
}

static void allow_large(struct vt *t)
{
	(void)t;
	fail_end("fail_page_alloc");
}

/* No 2 MiB to be had: one copy must do, of the whole or of less. */
enum result test_w4(struct vt *t)
{
	__u8 *p = in_vram(t, LARGE_PAGE, VT_THP, 7);
	__u64 evicted, touched;
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	if (!is_block(t, p))
		return saw(NOT_PROVOKED, "no huge page to be had");
	evicted = to_ram_bytes(t);
	err = fail_begin("fail_page_alloc", false, 9);
	err = err ?: evict_until(t, 1000, allow_large);
	evicted = to_ram_bytes(t) - evicted;
	if (err || vt_elsewhere(t, p, LARGE_PAGE, IN_RAM) ||
	    vt_all(p, 7, LARGE_PAGE))
		return saw(FAIL, "eviction failed or content lost");

	munmap(p, LARGE_PAGE);
	p = in_vram(t, LARGE_PAGE, VT_THP, 8);
	if (!p || !is_block(t, p))
		return saw(NOT_PROVOKED, "no second huge page to be had");
	touched = to_ram_bytes(t);
	err = fail_begin("fail_page_alloc", false, 9);
	err = err ?: touch(p + 100 * PAGE);
	allow_large(t);
	touched = to_ram_bytes(t) - touched;
	if (err || vt_all(p, 8, LARGE_PAGE))
		return saw(FAIL, "CPU fault failed or content lost");
	return saw(evicted > LARGE_PAGE || touched > LARGE_PAGE ? FAIL : PASS,
		   "without 2 MiB of RAM %llu KiB were copied to evict 2048 KiB; %llu KiB for a CPU fault",
		   evicted / KIB, touched / KIB);
}

/*
 * The shrinker drops an idle pagemap at the moment that somebody wants it: a
 * thread of real time that wakes up on its processor at any moment.
 */
struct race {
	struct vt *t;
	__u64 end;
	unsigned long tries;
	int err;
};

static int stay_on_cpu0(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *use_pagemap(void *arg)
{
	const struct sched_param priority = { .sched_priority = 1 };
	struct race *race = arg;
	int err;

	err = -pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
	while (vt_now_ms() < race->end && !err) {
		err = inject_set(race->t, "pagemap", 100);
		race->tries += 100;
	}
	__atomic_store_n(&race->err, err, __ATOMIC_RELAXED);
	return NULL;
}

enum result test_w8(struct vt *t)
{
	struct race race = { .t = t, .end = vt_now_ms() + 4000 };
	unsigned long shrinks = 0;
	pthread_t thread;

	/* The address space that the test came with holds on to a pagemap. */
	vsvm_vm_destroy(t->dev.fd, t->vm);
	if (stay_on_cpu0() || pthread_create(&thread, NULL, use_pagemap, &race))
		return broken("thread", -errno);
	while (vt_now_ms() < race.end &&
	       !__atomic_load_n(&race.err, __ATOMIC_RELAXED)) {
		write_number("/proc/sys/vm/drop_caches", 2 | 4);
		shrinks++;
	}
	pthread_join(thread, NULL);
	if (race.err && race.err != -EEXIST)
		return broken("pagemap", race.err);
	return saw(race.err ? FAIL : NOT_PROVOKED,
		   "%s after %lu passes of the shrinker beside %lu of a user",
		   race.err ? "two pagemaps" : "nothing", shrinks, race.tries);
}

enum result test_w9(struct vt *t)
{
	__u8 *p = in_vram(t, 256 * KIB, VT_SMALL, 9);
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	err = vsvm_unbind(&t->dev);
	if (err)
		return saw(FAIL, "unbind: %s", strerror(-err));
	if (vt_all(p, 9, 256 * KIB))
		return saw(FAIL, "content lost");
	err = vsvm_bind(&t->dev);
	return saw(err ? FAIL : PASS, "unbound with memory in VRAM and bound: %d",
		   err);
}

static void let_go(struct vt *t)
{
	inject_set(t, "hold_fault", 0);
}

/*
 * Somebody has a reference to a page whose content has gone home; the mapping
 * that it had has gone, too.
 */
enum result test_w16(struct vt *t)
{
	__u8 *p = in_vram(t, 64 * KIB, VT_SMALL, 1);
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	err = inject_set(t, "hold_fault", 1);
	err = err ?: touch(p + 3 * PAGE);
	if (err || inject_get(t, "hold_fault") != 1)
		return broken("reference", err);
	if (vt_all(p, 1, 64 * KIB))
		return saw(FAIL, "content lost");
	munmap(p, 64 * KIB);
	vt_sleep_ms(500);
	err = evict_until(t, 300, let_go);
	return saw(err ? FAIL : PASS,
		   "eviction of a page that had moved and was let go: %d", err);
}

/* How many of the pages are on a node? */
static long pages_on(__u8 *p, size_t len, int node)
{
	void *page;
	long n = 0;
	int status;

	for (; len; p += PAGE, len -= PAGE) {
		page = p;
		if (!syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) &&
		    status == node)
			n++;
	}
	return n;
}

enum result test_d8(struct vt *t)
{
	__u8 *p = vt_map_aligned(64 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	long on;
	int err;

	if (!p)
		return broken("memory", -ENOMEM);
	if (use_node(1))
		return saw(NOT_PROVOKED, "just one node");
	madvise(p, 64 * KIB, MADV_NOHUGEPAGE);
	memset(p, 1, 64 * KIB);
	on = pages_on(p, 64 * KIB, 1);
	err = use_node(0);
	if (on != 16 || err)
		return broken("pages on node 1", err);
	err = vt_fill(t, p, 64 * KIB, 2);
	err = err ?: to_vram(t, p, 64 * KIB);
	err = err ?: vsvm_evict(&t->dev);
	if (err || vt_elsewhere(t, p, 64 * KIB, IN_RAM))
		return broken("eviction", err);
	on = pages_on(p, 64 * KIB, 1);
	if (vt_all(p, 2, 64 * KIB))
		return saw(FAIL, "content lost");
	return saw(on == 16 ? PASS : FAIL,
		   "%ld of 16 pages came back to their node", on);
}

static void *evict_thread(void *arg)
{
	struct vt *t = arg;

	return (void *)(long)vsvm_evict(&t->dev);
}

/* Take the memory away while its eviction is in the middle of the copy. */
static enum result unmap_in_eviction(struct vt *t, enum vt_kind kind)
{
	__u8 *p = in_vram(t, LARGE_PAGE, kind, 1);
	pthread_t thread;
	void *result;
	__u64 used;
	int i, err;

	if (!p)
		return broken("memory", -ENOMEM);
	if (kind == VT_THP && !is_block(t, p))
		return saw(NOT_PROVOKED, "no huge page to be had");
	used = vt_vram_used(t);
	err = inject_set(t, "delay_to_ram_ms", 500);
	if (err)
		return broken("delay", err);
	/* No child: it would map the memory, too. */
	err = pthread_create(&thread, NULL, evict_thread, t);
	if (err)
		return broken("thread", -err);
	for (i = 0; i < 500 && inject_get(t, "delayed") < 1; i++)
		vt_sleep_ms(10);
	if (inject_get(t, "delayed") < 1)
		return broken("eviction does not begin", -ETIMEDOUT);
	munmap(p, LARGE_PAGE);
	inject_set(t, "delay_to_ram_ms", 0);
	pthread_join(thread, &result);
	err = (long)result;
	if (err || vt_vram_settles(t, used - LARGE_PAGE))
		return saw(FAIL, "eviction: %s", strerror(-err));
	return saw(PASS, "unmapped in the middle of an eviction");
}

enum result test_m1(struct vt *t)
{
	return unmap_in_eviction(t, VT_THP);
}

enum result test_m3(struct vt *t)
{
	return unmap_in_eviction(t, VT_SMALL);
}

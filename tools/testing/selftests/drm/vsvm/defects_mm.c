// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Defects of mm, and of drm_gpusvm, that show when a process does with its memory
 * what processes do while the GPU uses it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "defects.h"

#define KSM	"/sys/kernel/mm/ksm/"
#define CGROUP	VT_CGROUPS "/defects"

/* A child that has nothing but KSM in mind, and ends with its parent. */
static pid_t mergeable_child(__u8 *p, size_t len)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		madvise(p, len, MADV_MERGEABLE);
		for (;;)
			pause();
	}
	return pid;
}

static int await_merged(long pages)
{
	int i;

	write_number(KSM "pages_to_scan", 4000);
	write_number(KSM "sleep_millisecs", 1);
	write_number(KSM "run", 1);
	for (i = 0; i < 300; i++) {
		if (vt_read_number(KSM "pages_sharing", "") >= pages)
			return 0;
		vt_sleep_ms(50);
	}
	return -ETIMEDOUT;
}

/*
 * Two kinds of pages, which only a forked child wants merged: KSM knows of the
 * child's mappings alone.
 */
enum result test_m7(struct vt *t)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int i, err;
	pid_t pid;

	if (!p)
		return broken("memory", -ENOMEM);
	madvise(p, LARGE_PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < PAGES_OF(LARGE_PAGE); i++)
		p[i * PAGE] = i % 2 + 1;
	pid = mergeable_child(p, LARGE_PAGE);
	if (await_merged(400))
		return saw(NOT_PROVOKED, "KSM merges nothing");
	err = vsvm_prefetch(t->dev.fd, t->vm, p, LARGE_PAGE,
			    DRM_VSVM_LOC_DEVICE, NULL, NULL);
	for (i = 0; i < PAGES_OF(LARGE_PAGE) && !err; i++) {
		err = touch(p + i * PAGE);
		if (!err && p[i * PAGE] != i % 2 + 1)
			err = -EILSEQ;
	}
	write_number(KSM "run", 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (err)
		return saw(FAIL, "page %d, merged through a child: %s", i - 1,
			   strerror(-err));
	return saw(PASS, "all pages can be read");
}

/* The middle of 2 MiB */
#define MIDDLE	160

/*
 * A range of the GPU's own in the middle of 2 MiB that become a block later: by a
 * VMA of its own for the time being.
 */
enum result test_m8(struct vt *t)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	__u8 *at = p + MIDDLE * PAGE;
	int i, err, other = 0;
	__u64 sum;

	if (!p)
		return broken("memory", -ENOMEM);
	madvise(p, LARGE_PAGE, MADV_NOHUGEPAGE);
	mprotect(at, PAGE, PROT_READ);
	err = vt_sum(t, at, PAGE, &sum);
	mprotect(at, PAGE, PROT_READ | PROT_WRITE);
	madvise(p, LARGE_PAGE, MADV_DONTNEED);
	madvise(p, LARGE_PAGE, MADV_HUGEPAGE);
	for (i = 0; i < PAGES_OF(LARGE_PAGE); i++)
		memset(p + i * PAGE, i % 251 + 1, PAGE);
	err = err ?: to_vram(t, p, LARGE_PAGE);
	if (err)
		return broken("prefetch", err);
	if (!is_block(t, p))
		return saw(NOT_PROVOKED, "no huge page to be had");
	err = vt_fill(t, at, PAGE, 0xee);
	if (err)
		return broken("GPU", err);
	for (i = 0; i < PAGES_OF(LARGE_PAGE); i++)
		other += i != MIDDLE && p[i * PAGE] != i % 251 + 1;
	if (*at != 0xee || other)
		return saw(FAIL, "the GPU wrote to page %d and changed %d others",
			   MIDDLE, other);
	return saw(PASS, "the GPU wrote to page %d", MIDDLE);
}

static long lost_after_reclaim(const __u8 *p, size_t len, __u8 value)
{
	long lost = 0;
	size_t at;

	madvise((void *)p, len, MADV_PAGEOUT);
	for (at = 0; at < len; at += PAGE)
		lost += p[at] != value;
	return lost;
}

/* Pages that were only read, and pages that the process can do without. */
enum result test_m9(struct vt *t)
{
	__u8 *shared = mmap(NULL, LARGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	__u8 *free = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE);
	long lost_shared, lost_free;
	size_t at;
	int err;

	if (shared == MAP_FAILED || !free)
		return broken("memory", -ENOMEM);
	for (at = 0; at < LARGE_PAGE; at += PAGE)
		touch(shared + at);
	err = vt_fill(t, shared, LARGE_PAGE, 0x22);
	lost_shared = lost_after_reclaim(shared, LARGE_PAGE, 0x22);

	madvise(free, LARGE_PAGE, MADV_NOHUGEPAGE);
	memset(free, 0x11, LARGE_PAGE);
	err = err ?: vsvm_madvise(t->dev.fd, t->vm, free, LARGE_PAGE,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM);
	madvise(free, LARGE_PAGE, MADV_FREE);
	err = err ?: vt_fill(t, free, LARGE_PAGE, 0x33);
	lost_free = lost_after_reclaim(free, LARGE_PAGE, 0x33);
	if (err)
		return broken("GPU", err);
	return saw(lost_shared || lost_free ? FAIL : PASS,
		   "of 512 pages that the GPU wrote %ld were lost; %ld after MADV_FREE",
		   lost_shared, lost_free);
}

/*
 * A child splits a huge page of its own. While mm tells its GPU, which is slow, it holds
 * the lock of all anon_vmas that child and parent share.
 */
static int hold_anon_vmas(__u8 *q)
{
	struct vt t;
	__u64 sum;
	int err;

	err = vt_open(&t);
	if (err)
		return 1;
	memset(q, 1, LARGE_PAGE);
	err = vsvm_madvise(t.dev.fd, t.vm, q, LARGE_PAGE, DRM_VSVM_MADVISE_LOCATION,
			   DRM_VSVM_LOC_SYSTEM);
	err = err ?: vt_sum(&t, q, LARGE_PAGE, &sum);
	err = err ?: inject_set(&t, "delay_zap_ms", 2000);
	if (!err && madvise(q, PAGE, MADV_COLD))
		err = -errno;
	inject_set(&t, "delay_zap_ms", 0);
	vt_close(&t);
	return err != 0;
}

/* That child, when it has come there, or an error. */
static pid_t holder(struct vt *t, __u8 *q)
{
	pid_t pid = fork();
	int i;

	if (!pid)
		_exit(hold_anon_vmas(q));
	for (i = 0; i < 1500; i++) {
		if (inject_get(t, "delayed") > 0)
			return pid;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return -ECHILD;
		vt_sleep_ms(10);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -ETIMEDOUT;
}

struct mover {
	struct vt *t;
	__u8 *p;
	int err;
	bool done;
};

static void *move_all(void *arg)
{
	struct mover *m = arg;

	/* In one piece: what does not move is not tried again by parts. */
	m->err = inject_populate(m->t, m->p, LARGE_PAGE, 0);
	__atomic_store_n(&m->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* -EAGAIN: the child did not hold it up. */
static int zap_in_split(struct mover *m)
{
	pthread_t thread;
	int err = 0;

	m->done = false;
	/* What is left of a huge page is mapped by a page table, and is split to go. */
	m->p[LARGE_PAGE / 2] = 1;
	madvise(m->p, LARGE_PAGE / 2, MADV_DONTNEED);
	if (pthread_create(&thread, NULL, move_all, m))
		return -ENOMEM;
	vt_sleep_ms(500);
	madvise(m->p, LARGE_PAGE, MADV_DONTNEED);
	memset(m->p, 0x77, LARGE_PAGE);
	if (__atomic_load_n(&m->done, __ATOMIC_ACQUIRE) || inject_get(m->t, "delayed") < 1)
		err = -EAGAIN;
	pthread_join(thread, NULL);
	return err;
}

static int zap_beside_holder(struct mover *m)
{
	pid_t pid;
	int err;

	madvise(m->p, LARGE_PAGE, MADV_DONTNEED);
	pid = holder(m->t, m->p + LARGE_PAGE);
	if (pid < 0)
		return pid;
	err = zap_in_split(m);
	return vt_join(pid) ? -ECHILD : err;
}

/*
 * The page table goes while mm, collecting, has let go of it to split a huge page,
 * for which it has to wait, and a new huge page takes its place. mm appends all of
 * that to the half that it has, so it is moved as if it began there: to the second
 * half of its place in VRAM, and beyond. The GPU refuses where nothing is in use.
 */
enum result test_m10(struct vt *t)
{
	__u8 *p = vt_map_aligned(2 * LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct mover m = { .t = t, .p = p };
	int i, err = -EAGAIN;

	if (!p || madvise(p, 2 * LARGE_PAGE, MADV_HUGEPAGE))
		return broken("memory", -ENOMEM);
	/* An anon_vma for both halves, which the child's descend from. */
	*p = 1;
	for (i = 0; i < 5 && err == -EAGAIN; i++)
		err = zap_beside_holder(&m);
	if (err == -EAGAIN)
		return saw(NOT_PROVOKED, "nothing held up the split");
	if (err)
		return broken("split", err);
	if (m.err == -EIO)
		return saw(FAIL, "the GPU was to write beyond the end of an allocation");
	err = vt_all(p, 0x77, LARGE_PAGE);
	return saw(err ? FAIL : PASS, "moved: %d, read: %d", m.err, err);
}

static int write_as_child(__u8 *p, size_t len)
{
	struct vt t;
	int err;

	if (vt_open(&t))
		return 1;
	err = vt_fill(&t, p, len, 0x22);
	err = err ?: vt_all(p, 0x22, len);
	vt_close(&t);
	return err != 0;
}

/* Pages in VRAM that a parent and its child share until one of them writes. */
enum result test_m11(struct vt *t)
{
	static const enum vt_kind kind[] = { VT_SMALL, VT_THP };
	size_t i, at;
	long other = 0;
	pid_t pid;
	__u8 *p;

	for (i = 0; i < ARRAY_SIZE(kind); i++) {
		p = in_vram(t, LARGE_PAGE, kind[i], 0x11);
		if (!p)
			return broken("memory", -ENOMEM);
		pid = fork();
		if (!pid)
			_exit(write_as_child(p, LARGE_PAGE));
		if (vt_join(pid))
			return saw(FAIL, "the child does not read what its GPU wrote");
		for (at = 0; at < LARGE_PAGE; at += PAGE)
			other += p[at] != 0x11;
		munmap(p, LARGE_PAGE);
	}
	return saw(other ? FAIL : PASS,
		   "a child's GPU changed %ld of its parent's 1024 pages", other);
}

/* Of a file whose server has gone while the GPU waited for the page. */
enum result test_m12(struct vt *t)
{
	struct vt_server s;
	struct vt_work w;
	__u8 *p;
	int err;

	err = vt_server_start(&s);
	if (err == -ENODEV)
		return saw(NOT_PROVOKED, "no FUSE");
	p = err ? NULL : vt_server_map(&s);
	if (!p)
		return broken("file", err ?: -EIO);
	err = vt_work_begin(&w, t, 0, p, PAGE, 1);
	err = err ?: vt_server_asked(&s, 1);
	vt_server_stop(&s);
	if (err)
		return broken("GPU", err);
	err = vt_work_end(&w);
	if (err != -ETIMEDOUT)
		return saw(err == -EFAULT ? PASS : FAIL, "the job ended with %d", err);
	/* That ends it. */
	munmap(p, VT_SERVER_PAGES * PAGE);
	err = vt_work_end(&w);
	return saw(FAIL, "the fault goes on until the memory is unmapped: %d", err);
}

/* Of a process that never had a huge page in RAM. */
static int split_as_child(void)
{
	struct vt t;
	__u8 *p;
	int err;

	err = vt_cgroup_join(CGROUP) ?: vt_open(&t);
	if (err)
		return 1;
	p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	madvise(p, LARGE_PAGE, MADV_HUGEPAGE);
	/* See W-1: that it failed is not always true. */
	vsvm_prefetch(t.dev.fd, t.vm, p, LARGE_PAGE, DRM_VSVM_LOC_DEVICE, NULL, NULL);
	if (!is_block(&t, p))
		return 2;
	munmap(p + LARGE_PAGE / 2, LARGE_PAGE / 2);
	err = touch(p) || *p;
	vt_close(&t);
	return err ? 1 : 0;
}

/* A huge page that came into being in VRAM is split; the kernel log tells. */
enum result test_m13(struct vt *t)
{
	pid_t pid;
	int err;

	(void)t;
	if (vt_cgroup_begin(CGROUP))
		return saw(NOT_PROVOKED, "no memory cgroups");
	pid = fork();
	if (!pid)
		_exit(split_as_child());
	err = vt_join(pid);
	rmdir(CGROUP);
	if (err == 2)
		return saw(NOT_PROVOKED, "no huge page in VRAM");
	return saw(err ? FAIL : PASS, "the first page, after the other half is gone: %d", err);
}

#define TAKEN	(8 * PAGE)

/* Pages of the cgroup, inactive and active, that reclaim looked at. */
static long looked_at(void)
{
	return vt_read_number(CGROUP "/memory.stat", "pgscan ") +
	       vt_read_number(CGROUP "/memory.stat", "pgrefill ");
}

static int save_as_child(void)
{
	__u64 taken = 0;
	struct vt t;
	int i, err;
	__u8 *p;

	err = vt_cgroup_join(CGROUP) ?: vt_open(&t);
	if (err)
		return 1;
	p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	madvise(p, LARGE_PAGE, MADV_HUGEPAGE);
	memset(p, 7, LARGE_PAGE);
	if (!is_block(&t, p))
		return 2;
	err = vsvm_exclusive(t.dev.fd, t.vm, p + PAGE, TAKEN, &taken);
	if (err || taken != PAGES_OF(TAKEN))
		return 3;
	/*
	 * Far more than there is besides. To read the statistics brings them up to
	 * date: the next reclaim learns from them that there are active pages.
	 */
	for (i = 0; i < 8 && looked_at() < PAGES_OF(LARGE_PAGE); i++)
		vsvm_write_file(CGROUP "/memory.reclaim", "1M");
	if (looked_at() < PAGES_OF(LARGE_PAGE))
		return 4;
	err = vt_all(p, 7, LARGE_PAGE);
	vt_close(&t);
	return err ? 5 : 0;
}

/* Pages of a huge page are the GPU's alone when memory is short; the log tells. */
enum result test_m14(struct vt *t)
{
	static const char * const why[] = {
		[1] = "no memory cgroup to be in, or no GPU",
		[2] = "no huge page to be had",
		[3] = "pages cannot be taken",
		[4] = "reclaim did not come to look",
	};
	pid_t pid;
	int err;

	(void)t;
	if (vt_cgroup_begin(CGROUP))
		return saw(NOT_PROVOKED, "no memory cgroups");
	if (vt_swap_begin())
		return saw(NOT_PROVOKED, "no swap space (modprobe zram)");
	pid = fork();
	if (!pid)
		_exit(save_as_child());
	err = vt_join(pid);
	vt_swap_end();
	rmdir(CGROUP);
	if (err > 0 && err < (int)ARRAY_SIZE(why))
		return saw(NOT_PROVOKED, "%s", why[err]);
	return saw(err ? FAIL : PASS, "the memory after reclaim: %d", err);
}

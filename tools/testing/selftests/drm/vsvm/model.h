/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The model check: processes of several threads do random things to memory that
 * CPUs and GPUs share, and know what must be in each byte of it.
 *
 * A region of a few large pages is divided into runs of pages, each of which
 * belongs to one thread, its walker. Only that changes what is in them, and its
 * own copy, the model, says what that is. Runs of different walkers lie in the
 * same large page. What changes no content (where pages are, how they are mapped,
 * advice, eviction) any walker does to anybody's pages. Besides the region there
 * are pages that walkers share by quarters, counters, and memory that goes away
 * under jobs.
 *
 *	model_test.c	what is tested, and the process that watches the others
 *	model_walk.c	processes and walkers, what they do next, what they report
 *	model_gpu.c	what they have a GPU do
 *	model_fence.c	the same, without waiting for it at once
 *	model_mm.c	what they do by themselves
 *	model_world.c	what happens to them: devices go, swap, KSM, cgroups
 */
#ifndef MODEL_H
#define MODEL_H

#include "vsvm_test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGE		4096ul
#define BLOCKS		4
#define BLOCK_PAGES	(LARGE_PAGE / PAGE)
#define REGION_PAGES	(BLOCKS * BLOCK_PAGES)
#define QUARTER_PAGES	16
#define SCRATCH_PAGES	256
#define COUNTERS	8
#define COUNTER_PAGES	2

#define MAX_PROCESSES	2
#define MAX_WALKERS	4
#define MAX_GPUS	2
#define HISTORY		24

/* How long anything may take that is not waited for by the call that begins it. */
#define FENCE_MS	vt_timeout(60000)

/* What may happen beside the walkers; it decides what jobs may end with, too. */
#define MODEL_EVICT	0x01
#define MODEL_VMS	0x02	/* address spaces come and go */
#define MODEL_FORK	0x04
#define MODEL_KILL	0x08
#define MODEL_LINK	0x10
#define MODEL_UNBIND	0x20
#define MODEL_CGROUP	0x40	/* reclaim */
#define MODEL_SYSTEM	0x80	/* swap, KSM, khugepaged */

/**
 * struct model_shared - what all processes of a run see
 * @seed: of the run
 * @end: when it is over, in ms
 * @what: MODEL_*, what is going on
 * @walkers: of a process
 * @gpus: how many there are
 * @stop: somebody failed
 * @beat: since when each walker has been in what it does, 0: it is in nothing
 * @doing: what that is
 * @leaving: this GPU is being unbound just now
 * @steps: done by all
 * @jobs: how many of them were a GPU's
 * @excused: jobs that failed for a good reason
 * @forks: children that looked
 */
struct model_shared {
	__u64 seed;
	__u64 end;
	unsigned int what;
	unsigned int walkers;
	unsigned int gpus;
	int stop;
	__u64 beat[MAX_PROCESSES][MAX_WALKERS];
	const char *doing[MAX_PROCESSES][MAX_WALKERS];
	bool leaving[MAX_GPUS];
	unsigned long steps;
	unsigned long jobs;
	unsigned long excused;
	unsigned long forks;
};

/* What kind of mapping a page of the region has. */
enum model_kind {
	KIND_ANON,
	KIND_FILE,	/* private, of a file */
	KIND_SHARED,	/* children see what is written, so they keep off */
};

/* Pages of one walker, one after the other. */
struct run {
	unsigned int page;
	unsigned int pages;
};

/**
 * struct part - what the next step is about: a part of one run
 * @page: first page, by number
 * @pages: how many it touches
 * @p: first byte
 * @model: what should be there
 * @len: bytes
 */
struct part {
	unsigned int page;
	unsigned int pages;
	__u8 *p;
	__u8 *model;
	size_t len;
};

/**
 * struct model_gpu - a device
 * @dev: open, or not for a while
 * @vm: address spaces that jobs are given
 * @ending: how many others are being destroyed just now
 */
struct model_gpu {
	struct vsvm_dev dev;
	__u32 vm[2];
	unsigned int ending;
};

/**
 * struct model_hold - a device, locked so that it stays open
 * @id: its number
 * @fd: its file, -1 if it is gone
 * @vm: one of its address spaces
 */
struct model_hold {
	unsigned int id;
	int fd;
	__u32 vm;
};

/**
 * struct walker - a thread, or a child of one
 * @process: number of its process
 * @id: number within
 * @child: it was forked
 * @state: of the random numbers
 * @run: its pages
 * @runs: how many runs these are
 * @fresh: room for what a part is to become
 * @probe: room for a GPU to copy to
 * @away: room as large as the region, to move pages to
 * @word: a page of user fences
 * @kid: the child that it has, or 0
 * @fault: where the last job failed
 * @steps: done so far
 * @history: the last ones
 */
struct walker {
	unsigned int process;
	unsigned int id;
	bool child;
	__u64 state;
	struct run run[REGION_PAGES];
	unsigned int runs;
	__u8 *fresh;
	__u8 *probe;
	__u8 *away;
	__u64 *word;
	pid_t kid;
	__u64 fault;
	unsigned long steps;
	struct step {
		const char *name;
		unsigned int page;
		unsigned int pages;
		size_t at;
		size_t len;
		int job;
	} history[HISTORY];
};

/**
 * struct model - the memory of a process
 * @p: the region; @model: what must be in it; @kind: of each page
 * @quarter: pages that walkers share by quarters; @quarter_model: see above
 * @scratch: memory that comes and goes; nobody knows what is in there
 * @counter: for atomic additions
 * @low: what of each counter was added for sure
 * @high: what may have been added
 * @gpu: the devices
 */
struct model {
	__u8 *p;
	__u8 *model;
	__u8 kind[REGION_PAGES];
	__u8 *quarter;
	__u8 *quarter_model;
	__u8 *scratch;
	__u8 *counter;
	__u64 low[COUNTERS];
	__u64 high[COUNTERS];
	struct model_gpu gpu[MAX_GPUS];
};

extern struct model model;
extern struct model_shared *shared;

static inline __u64 below(struct walker *w, __u64 limit)
{
	return vt_random_below(&w->state, limit);
}

static inline bool one_in(struct walker *w, unsigned int n)
{
	return !below(w, n);
}

/* What a step is about, of a run. */
enum part_size {
	SIZE_BYTES,	/* any bytes of a few pages */
	SIZE_PAGES,	/* a few pages */
	SIZE_LARGE,	/* a few pages, or all of it */
	SIZE_BLOCK,	/* all of a run that is a large page, if there is one */
};

/* A step; functions of this type return 0 or what went wrong. */
typedef int (*model_act)(struct walker *w, struct part *x);

/* model_walk.c */
/* One process: set up, walk until the time is over, and exit. */
void model_process(unsigned int process, __u64 seed);
/* Pages of anybody: for what changes no content. */
void model_anybody(struct walker *w, struct part *x, unsigned int limit);
/* Is each page of the part of that kind? */
bool model_all_of_kind(const struct part *x, enum model_kind kind);
/* Compare, on the CPU, with what should be there. */
int model_check(const struct part *x);
/* A part of a run of the walker's. */
void model_choose(struct walker *w, struct part *x, enum part_size size);

/* model_gpu.c */
int model_gpu_open(struct model_gpu *gpu, unsigned int id, unsigned int vms);
void model_gpu_close(struct model_gpu *gpu);
/* After fork(), with one thread: everything that belongs to the parent goes. */
int model_gpu_child(void);
/* Any device, and what came of it: model_let_go() opens it again if it is gone. */
struct model_hold model_hold(struct walker *w);
void model_let_go(struct walker *w, const struct model_hold *h, int err);
/*
 * After -ENODEV or -ENOENT: once no address space and no device is being taken away
 * any more, jobs of those that were write to nothing. -ETIMEDOUT.
 */
int model_await_end(const struct model_hold *h);
/* One kernel on any GPU and queue, waited for. What the job ended with. */
int model_job(struct walker *w, struct drm_vsvm_kernel kernel);
/* 0 if something that goes on is a reason for this errno, else the errno. */
int model_excuse(int err);
/*
 * A job ended with @err that should have made the part what is in w->fresh: now
 * it is that, or, if it failed for a good reason, each byte is old or new.
 */
int model_settle(struct walker *w, struct part *x, int err);

int model_gpu_fill(struct walker *w, struct part *x);
int model_gpu_add(struct walker *w, struct part *x);
int model_gpu_copy(struct walker *w, struct part *x);
int model_gpu_read(struct walker *w, struct part *x);
int model_prefetch(struct walker *w, struct part *x);
int model_prefetch_own(struct walker *w, struct part *x);
int model_prefetch_async(struct walker *w, struct part *x);
int model_gpu_block(struct walker *w, struct part *x);
int model_gpu_advice(struct walker *w, struct part *x);
int model_exclusive(struct walker *w, struct part *x);
int model_evict(struct walker *w, struct part *x);
int model_count(struct walker *w, struct part *x);
int model_counters_check(void);
int model_quarter(struct walker *w, struct part *x);
int model_new_vm(struct walker *w, struct part *x);

/* model_fence.c */
/* Jobs that fill the part are under way at a time, and tell by user fences. */
int model_fence(struct walker *w, struct part *x);

/* model_mm.c */
int model_cpu_write(struct walker *w, struct part *x);
int model_cpu_write_dull(struct walker *w, struct part *x);
int model_cpu_read(struct walker *w, struct part *x);
int model_by_system_call(struct walker *w, struct part *x);
int model_dontneed(struct walker *w, struct part *x);
int model_free(struct walker *w, struct part *x);
int model_unify(struct walker *w, struct part *x);
int model_mm_advice(struct walker *w, struct part *x);
int model_map_over(struct walker *w, struct part *x);
int model_move(struct walker *w, struct part *x);
int model_protect(struct walker *w, struct part *x);
int model_lock(struct walker *w, struct part *x);
int model_scratch(struct walker *w, struct part *x);

/**
 * struct world - what happens to the walkers
 * @what: MODEL_*
 * @gpus: how many
 * @dev: opened once; good for sysfs and debugfs, also while it is unbound
 * @unbound: when to bind it again, in ms; 0: it is bound
 * @state: of the random numbers
 * @next: when the next thing happens, in ms
 * @events: how many have
 * @longest_evict: that anybody saw, in us
 */
struct world {
	unsigned int what;
	unsigned int gpus;
	struct vsvm_dev dev[MAX_GPUS];
	__u64 unbound[MAX_GPUS];
	__u64 state;
	__u64 next;
	unsigned long events;
	long longest_evict;
};

/* model_world.c */
/* Says what is missing; it goes on without that. */
int world_begin(struct world *world, __u64 seed);
/* To be called often. @process: who may be killed; 0 where there is none */
void world_turn(struct world *world, const pid_t *process);
/* All devices are bound and linked, for who has to end. */
void world_calm(struct world *world);
/* Once more, how long evictions took; that goes with a device. */
void world_look(struct world *world);
void world_end(struct world *world);
/* The calling process shall live in the world's cgroup. */
void world_join(unsigned int what);

#endif /* MODEL_H */

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The model check: processes, walkers and their steps, see model.h.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

#define FEW_PAGES	64
#define CHECK_EVERY	128
#define CHILD_STEPS	40

struct model model;
struct model_shared *shared;

static struct walker *walkers;

/* A number of pages: mostly few. */
static unsigned int some(struct walker *w, unsigned int limit)
{
	return 1 + below(w, one_in(w, 6) ? limit : limit < 4 ? limit : 4);
}

void model_choose(struct walker *w, struct part *x, enum part_size size)
{
	/* Runs of a large page come first. */
	const unsigned int runs = size == SIZE_BLOCK && w->runs > 2 ? 2 : w->runs;
	const struct run *run = &w->run[below(w, runs)];
	size_t at = 0;

	x->page = run->page + below(w, run->pages);
	x->pages = some(w, FEW_PAGES);
	if (size == SIZE_BLOCK || (size == SIZE_LARGE && one_in(w, 3))) {
		x->page = run->page;
		x->pages = run->pages;
	}
	if (x->pages > run->page + run->pages - x->page)
		x->pages = run->page + run->pages - x->page;
	x->len = x->pages * PAGE;
	if (size == SIZE_BYTES) {
		at = below(w, x->len);
		x->len = 1 + below(w, x->len - at);
	}
	x->p = model.p + x->page * PAGE + at;
	x->model = model.model + x->page * PAGE + at;
}

void model_anybody(struct walker *w, struct part *x, unsigned int limit)
{
	x->page = below(w, REGION_PAGES);
	x->pages = some(w, one_in(w, 4) ? limit : FEW_PAGES);
	if (one_in(w, 4)) {
		x->page &= -BLOCK_PAGES;
		x->pages = limit < BLOCK_PAGES ? limit : BLOCK_PAGES;
	}
	if (x->pages > REGION_PAGES - x->page)
		x->pages = REGION_PAGES - x->page;
	x->p = model.p + x->page * PAGE;
	x->model = NULL;
	x->len = x->pages * PAGE;
}

bool model_all_of_kind(const struct part *x, enum model_kind kind)
{
	unsigned int i;

	for (i = 0; i < x->pages; i++)
		if (model.kind[x->page + i] != kind)
			return false;
	return true;
}

int model_check(const struct part *x)
{
	return vt_same(x->p, x->model, x->len);
}

/* All runs; of a child, what its parent cannot change. */
static int check_all(struct walker *w)
{
	struct part x;
	unsigned int i, k;
	int err = 0;

	for (i = 0; i < w->runs; i++) {
		for (k = 0; k < w->run[i].pages && !err; k++) {
			x.page = w->run[i].page + k;
			if (w->child && model.kind[x.page] == KIND_SHARED)
				continue;
			x.p = model.p + x.page * PAGE;
			x.model = model.model + x.page * PAGE;
			x.len = PAGE;
			err = model_check(&x);
		}
	}
	return err;
}

static int reap(struct walker *w, bool wait)
{
	int status;

	if (!w->kid || waitpid(w->kid, &status, wait ? 0 : WNOHANG) != w->kid)
		return 0;
	w->kid = 0;
	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL :
				  WEXITSTATUS(status)) {
		fprintf(stderr, "# a child ended with status 0x%x\n", status);
		return -ECHILD;
	}
	return 0;
}

static void walk_child(struct walker *w);

/* A child that looks, and goes on by itself. */
static int act_fork(struct walker *w, struct part *x)
{
	int err;

	(void)x;
	if (!(shared->what & MODEL_FORK))
		return 0;
	if (w->kid && one_in(w, 3))
		kill(w->kid, SIGKILL);
	err = reap(w, one_in(w, 2));
	if (err || w->kid)
		return err;
	w->kid = fork();
	if (!w->kid)
		walk_child(w);
	if (w->kid > 0) {
		__atomic_fetch_add(&shared->forks, 1, __ATOMIC_RELAXED);
		return 0;
	}
	w->kid = 0;
	return model_excuse(-errno);
}

static const struct act {
	const char *name;
	model_act act;
	enum part_size size;
	bool child;		/* children do that as well */
	unsigned int weight;
} acts[] = {
	{ "CPU write", model_cpu_write, SIZE_BYTES, true, 8 },
	{ "CPU write, dull", model_cpu_write_dull, SIZE_PAGES, true, 4 },
	{ "CPU read", model_cpu_read, SIZE_BYTES, true, 8 },
	{ "GPU fill", model_gpu_fill, SIZE_BYTES, true, 8 },
	{ "GPU add", model_gpu_add, SIZE_BYTES, true, 8 },
	{ "GPU copy", model_gpu_copy, SIZE_BYTES, true, 6 },
	{ "GPU read", model_gpu_read, SIZE_BYTES, true, 6 },
	{ "fence", model_fence, SIZE_LARGE, true, 6 },
	{ "prefetch", model_prefetch, SIZE_PAGES, true, 6 },
	{ "prefetch, own", model_prefetch_own, SIZE_LARGE, true, 4 },
	{ "prefetch, async", model_prefetch_async, SIZE_PAGES, true, 3 },
	{ "block", model_gpu_block, SIZE_BLOCK, true, 3 },
	{ "advice", model_gpu_advice, SIZE_PAGES, true, 3 },
	{ "exclusive", model_exclusive, SIZE_PAGES, true, 2 },
	{ "evict", model_evict, SIZE_PAGES, true, 1 },
	{ "counter", model_count, SIZE_PAGES, false, 4 },
	{ "quarter", model_quarter, SIZE_PAGES, false, 8 },
	{ "address space", model_new_vm, SIZE_PAGES, false, 1 },
	{ "system call", model_by_system_call, SIZE_BYTES, true, 3 },
	{ "MADV_DONTNEED", model_dontneed, SIZE_LARGE, true, 3 },
	{ "MADV_FREE", model_free, SIZE_LARGE, true, 3 },
	{ "madvise", model_mm_advice, SIZE_PAGES, true, 5 },
	{ "map over", model_map_over, SIZE_LARGE, false, 3 },
	{ "mremap", model_move, SIZE_LARGE, false, 3 },
	{ "mprotect", model_protect, SIZE_PAGES, true, 3 },
	{ "mlock", model_lock, SIZE_PAGES, false, 1 },
	{ "scratch", model_scratch, SIZE_PAGES, false, 6 },
	{ "fork", act_fork, SIZE_PAGES, false, 2 },
};

static const struct act *choose_act(struct walker *w)
{
	const struct act *act;
	unsigned int i, at, total;

	for (i = 0, total = 0; i < ARRAY_SIZE(acts); i++)
		total += acts[i].weight;
	do {
		at = below(w, total);
		for (act = acts; at >= act->weight; act++)
			at -= act->weight;
	} while (w->child && !act->child);
	return act;
}

/* In one piece, as several processes may have something to say. */
static void report(const struct walker *w, int err)
{
	char text[HISTORY * 100 + 400];
	const struct step *s;
	unsigned long i;
	int n;

	n = snprintf(text, sizeof(text),
		     "# VSVM_SEED=%llu, process %u, walker %u%s, region %p: %s, at step %lu\n",
		     shared->seed, w->process, w->id, w->child ? ", a child" : "",
		     model.p, strerror(-err), w->steps);
	i = w->steps < HISTORY ? 0 : w->steps - HISTORY + 1;
	for (; i <= w->steps; i++) {
		s = &w->history[i % HISTORY];
		n += snprintf(text + n, sizeof(text) - n,
			      "# %6lu %-16s pages [%u, %u) from 0x%zx, 0x%zx bytes%s%s\n",
			      i, s->name, s->page, s->page + s->pages, s->at,
			      s->len, s->job ? "; job: " : "",
			      s->job ? strerror(-s->job) : "");
	}
	fwrite(text, 1, n, stderr);
}

static void fail(const struct walker *w, int err)
{
	__atomic_store_n(&shared->stop, 1, __ATOMIC_SEQ_CST);
	report(w, err);
	_exit(1);
}

static void walk_step(struct walker *w)
{
	const struct act *act = choose_act(w);
	struct part x;
	int err;

	model_choose(w, &x, act->size);
	w->history[w->steps % HISTORY] = (struct step) {
		.name = act->name,
		.page = x.page,
		.pages = x.pages,
		.at = x.p - model.p,
		.len = x.len,
	};
	if (!w->child) {
		shared->doing[w->process][w->id] = act->name;
		__atomic_store_n(&shared->beat[w->process][w->id], vt_now_ms(),
				 __ATOMIC_SEQ_CST);
	}
	/* Nor can a child know what is in memory that its parent writes to. */
	if (w->child && !model_all_of_kind(&x, KIND_ANON) &&
	    !model_all_of_kind(&x, KIND_FILE))
		return;
	err = act->act(w, &x);
	if (!err && w->steps % CHECK_EVERY == CHECK_EVERY - 1)
		err = check_all(w);
	if (err)
		fail(w, err);
	w->steps++;
	__atomic_fetch_add(&shared->steps, 1, __ATOMIC_RELAXED);
}

/* After fork(): one thread, the pages of one walker, and devices of its own. */
static void walk_child(struct walker *w)
{
	const unsigned int steps = below(w, CHILD_STEPS);
	unsigned int i;
	int err = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	w->child = true;
	w->kid = 0;
	if (one_in(w, 2))
		err = check_all(w);
	if (err)
		fail(w, err);
	err = model_gpu_child();
	if (err && model_excuse(err))
		fprintf(stderr, "# no GPU for a child: %s\n", strerror(-err));
	for (i = 0; i < steps && !err && !shared->stop; i++)
		walk_step(w);
	err = check_all(w);
	if (err)
		fail(w, err);
	_exit(0);
}

static void *walk(void *arg)
{
	struct walker *w = arg;
	int err;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED) &&
	       vt_now_ms() < shared->end)
		walk_step(w);
	err = reap(w, true);
	err = err ?: check_all(w);
	if (err)
		fail(w, err);
	__atomic_store_n(&shared->beat[w->process][w->id], 0, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *map_or_die(size_t len)
{
	void *p = vt_map_aligned(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	if (!p) {
		fprintf(stderr, "# no memory\n");
		_exit(1);
	}
	return p;
}

/* The first large pages belong to one walker each, the others to all. */
static void divide(__u64 *state)
{
	unsigned int page, pages, block;
	struct walker *w;

	for (page = 0; page < REGION_PAGES; page += pages) {
		block = page / BLOCK_PAGES;
		pages = BLOCK_PAGES - page % BLOCK_PAGES;
		w = &walkers[block % shared->walkers];
		if (block >= BLOCKS / 2) {
			unsigned int most = vt_random_below(state, 3) ? 8 : 100;
			unsigned int n = 1 + vt_random_below(state, most);

			pages = n < pages ? n : pages;
			w = &walkers[vt_random_below(state, shared->walkers)];
		}
		w->run[w->runs++] = (struct run){ page, pages };
	}
}

static void set_up(unsigned int process, __u64 *state)
{
	unsigned int i;

	model.p = map_or_die(REGION_PAGES * PAGE);
	model.model = map_or_die(REGION_PAGES * PAGE);
	model.quarter = map_or_die(QUARTER_PAGES * PAGE);
	model.quarter_model = map_or_die(QUARTER_PAGES * PAGE);
	model.scratch = map_or_die(SCRATCH_PAGES * PAGE);
	model.counter = map_or_die(COUNTER_PAGES * PAGE);
	walkers = map_or_die(MAX_WALKERS * sizeof(*walkers));
	for (i = 0; i < BLOCKS; i++)
		if (vt_random_below(state, 2))
			madvise(model.p + i * LARGE_PAGE, LARGE_PAGE,
				MADV_HUGEPAGE);
	/* The last one is what KSM looks for. */
	madvise(model.p + (BLOCKS - 1) * LARGE_PAGE, LARGE_PAGE, MADV_MERGEABLE);
	for (i = (BLOCKS - 1) * BLOCK_PAGES; i < REGION_PAGES; i++) {
		memset(model.p + i * PAGE, i % 3, PAGE);
		memset(model.model + i * PAGE, i % 3, PAGE);
	}
	for (i = 0; i < shared->walkers; i++) {
		walkers[i].process = process;
		walkers[i].id = i;
		walkers[i].state = vt_random(state);
		walkers[i].fresh = map_or_die(LARGE_PAGE);
		walkers[i].probe = map_or_die(LARGE_PAGE);
		walkers[i].away = map_or_die(REGION_PAGES * PAGE);
		walkers[i].word = map_or_die(PAGE);
	}
	divide(state);
}

void model_process(unsigned int process, __u64 seed)
{
	pthread_t thread[MAX_WALKERS];
	unsigned int i;
	int err = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	world_join(shared->what);
	set_up(process, &seed);
	for (i = 0; i < shared->gpus && !err; i++) {
		model.gpu[i].dev.fd = -1;
		err = model_excuse(model_gpu_open(&model.gpu[i], i, 2));
	}
	for (i = 0; i < shared->walkers && !err; i++)
		err = -pthread_create(&thread[i], NULL, walk, &walkers[i]);
	if (err) {
		fprintf(stderr, "# process %u: %s\n", process, strerror(-err));
		_exit(1);
	}
	for (i = 0; i < shared->walkers; i++)
		pthread_join(thread[i], NULL);
	_exit(model_counters_check() ? 1 : 0);
}

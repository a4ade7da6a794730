// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Kernels: what they compute, and that a fault, a replay or a cancellation at
 * any access changes nothing of it.
 *
 * Each job works on two windows of virtual memory, backed page by page by
 * system memory in an order of their own, so that neighbours are not
 * contiguous. A plain model computes what memory must hold.
 */
#include "vsvm_hw_bench.h"

struct job {
	const char *name;
	struct vsvm_hw_cmd cmd;
	unsigned int faults;	/* if nothing is mapped at first */
};

#define JOB(nm, op, dst, src, len, arg, faults) \
	{ nm, { op, VSVM_HW_CMD_IRQ, DST_VA + (dst), SRC_VA + (src), len, arg }, faults }
/* To make src an offset in the window of dst. */
#define SAME	(DST_VA - SRC_VA)

static const struct job jobs[] = {
	JOB("fill nothing", VSVM_HW_K_FILL, 5, 0, 0, 0x41, 0),
	JOB("fill a byte", VSVM_HW_K_FILL, PAGE - 1, 0, 1, 0x41, 1),
	JOB("fill pages", VSVM_HW_K_FILL, PAGE - 1, 0, PAGE + 2, 0x4142, 3),
	JOB("fill slices", VSVM_HW_K_FILL, 17, 0, 33 * PAGE, 0xff, 34),
	JOB("copy", VSVM_HW_K_COPY, 1, PAGE + 2, 3 * PAGE, 0, 8),
	JOB("copy slices", VSVM_HW_K_COPY, 100, 4000, 36 * PAGE + 1, 0, 74),
	JOB("add", VSVM_HW_K_ADD, 3, 4, 2 * PAGE + 7, 0xfe, 6),
	JOB("add slices", VSVM_HW_K_ADD, 0, 1, 33 * PAGE, 1, 67),
	JOB("add in place", VSVM_HW_K_ADD, 9, SAME + 9, 5 * PAGE, 0x81, 6),
	JOB("copy in place", VSVM_HW_K_COPY, 9, SAME + 9, 5 * PAGE, 0, 6),
	JOB("saxpy", VSVM_HW_K_SAXPY, 4, 8, PAGE / 4 + 1, 3, 4),
	JOB("saxpy slices", VSVM_HW_K_SAXPY, PAGE - 4, 16, 9 * PAGE, ~0ull, 74),
	JOB("saxpy in place", VSVM_HW_K_SAXPY, 12, SAME + 12, 4 * PAGE / 4, 5, 5),
	JOB("histogram of nothing", VSVM_HW_K_HISTOGRAM, 8, 0, 0, 0, 1),
	JOB("histogram", VSVM_HW_K_HISTOGRAM, PAGE - 1024, 5, 2 * PAGE, 0, 5),
	JOB("histogram of slices", VSVM_HW_K_HISTOGRAM, 0, 3, 39 * PAGE, 0, 41),
	JOB("sum of nothing", VSVM_HW_K_SUM, 8, 0, 0, 0, 1),
	JOB("sum of a few", VSVM_HW_K_SUM, 16, 3, 13, 0, 2),
	JOB("sum", VSVM_HW_K_SUM, 0, 4095, 2 * PAGE + 3, 0, 5),
	JOB("sum of slices", VSVM_HW_K_SUM, 0, 7, 35 * PAGE, 0, 37),
	/* Nodes lie 3000 bytes apart, so each of 54 touches a page or two. */
	JOB("chase to the end", VSVM_HW_K_CHASE, PAGE - 8, 0, 0, 1600, 42),
	JOB("chase some", VSVM_HW_K_CHASE, 0, 0, 10, 8, 8),
	JOB("chase one", VSVM_HW_K_CHASE, 0, 3000, 1, 4096, 3),
	JOB("chase none", VSVM_HW_K_CHASE, 8, -SRC_VA, 0, 8, 1),
	JOB("add atomically, never", VSVM_HW_K_ATOMIC_ADD, 8, 0, 0, 7, 0),
	JOB("add atomically, once", VSVM_HW_K_ATOMIC_ADD, PAGE - 8, 0, 1, 7, 1),
	JOB("add atomically, for slices", VSVM_HW_K_ATOMIC_ADD, PAGE, 0,
	    3 * VSVM_HW_ATOMIC_SLICE + 1, 1ull << 55, 1),
	JOB("store", VSVM_HW_K_STORE, PAGE - 8, 0, 0, 0x0123456789abcdefull, 1),
};

KUNIT_ARRAY_PARAM_DESC(job, jobs, name);

#define NODE_STEP	3000
#define NUM_NODES	54

/* The two windows as the model sees them: contiguous. */
struct model {
	u8 dst[WINDOW_SIZE];
	u8 src[WINDOW_SIZE];
};

struct compute_test {
	struct hw_bench *b;
	const struct job *job;
	struct model *model;	/* what is expected */
	struct model *seen;	/* what the hardware left */
};

static void to_memory(struct hw_bench *b, const struct model *m)
{
	u64 i;

	for (i = 0; i < WINDOW_SIZE; i += PAGE) {
		memcpy(b->system + hw_window_offset(DST_VA + i), m->dst + i, PAGE);
		memcpy(b->system + hw_window_offset(SRC_VA + i), m->src + i, PAGE);
	}
}

static void from_memory(struct hw_bench *b, struct model *m)
{
	u64 i;

	for (i = 0; i < WINDOW_SIZE; i += PAGE) {
		memcpy(m->dst + i, b->system + hw_window_offset(DST_VA + i), PAGE);
		memcpy(m->src + i, b->system + hw_window_offset(SRC_VA + i), PAGE);
	}
}

static void model_chase(struct model *m, const struct vsvm_hw_cmd *cmd, u64 *out)
{
	u64 node = cmd->src;

	out[0] = 0;
	out[1] = 0;
	while (node && (!cmd->len || out[0] < cmd->len)) {
		out[0]++;
		out[1] += *(u64 *)(m->src + node - SRC_VA + cmd->arg);
		node = *(u64 *)(m->src + node - SRC_VA);
	}
}

/* What the job does, one element after the other. */
static void model_run(struct model *m, const struct job *job)
{
	const struct vsvm_hw_cmd *cmd = &job->cmd;
	u8 *d = m->dst + (cmd->dst - DST_VA);
	const u8 *s = cmd->src == cmd->dst ? d : m->src + (cmd->src - SRC_VA);
	u64 *words = (u64 *)d;
	u64 i;

	if (cmd->op == VSVM_HW_K_HISTOGRAM)
		memset(words, 0, 256 * 8);
	if (cmd->op == VSVM_HW_K_SUM)
		words[0] = 0;
	if (cmd->op == VSVM_HW_K_CHASE) {
		model_chase(m, cmd, words);
		return;
	}
	if (cmd->op == VSVM_HW_K_STORE)
		words[0] = cmd->arg;
	for (i = 0; i < cmd->len; i++) {
		switch (cmd->op) {
		case VSVM_HW_K_FILL:
			d[i] = cmd->arg;
			break;
		case VSVM_HW_K_COPY:
			d[i] = s[i];
			break;
		case VSVM_HW_K_ADD:
			d[i] = s[i] + cmd->arg;
			break;
		case VSVM_HW_K_SAXPY:
			((u32 *)d)[i] += (u32)cmd->arg * ((const u32 *)s)[i];
			break;
		case VSVM_HW_K_HISTOGRAM:
			words[s[i]]++;
			break;
		case VSVM_HW_K_SUM:
			words[0] += s[i];
			break;
		case VSVM_HW_K_ATOMIC_ADD:
			words[0] += cmd->arg;
			break;
		}
	}
}

static void model_fill(struct model *m, struct kunit *test)
{
	struct hw_random r;
	u64 i;

	hw_random_init(&r, test);
	hw_random_bytes(&r, m, sizeof(*m));
	/* A list through the source, without disturbing the other jobs. */
	for (i = 0; i < NUM_NODES; i++)
		*(u64 *)(m->src + i * NODE_STEP) =
			i + 1 < NUM_NODES ? SRC_VA + (i + 1) * NODE_STEP : 0;
}

static struct compute_test *begin(struct kunit *test)
{
	struct compute_test *t = vsvm_hw_alloc(sizeof(*t) + 2 * sizeof(struct model));

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->b = test->priv;
	t->job = test->param_value;
	t->model = (struct model *)(t + 1);
	t->seen = t->model + 1;
	model_fill(t->model, test);
	to_memory(t->b, t->model);
	hw_window_unmap_all(t->b);
	return t;
}

static void expect_memory(struct compute_test *t)
{
	from_memory(t->b, t->seen);
	KUNIT_EXPECT_MEMEQ(t->b->test, t->seen->dst, t->model->dst, WINDOW_SIZE);
	KUNIT_EXPECT_MEMEQ(t->b->test, t->seen->src, t->model->src, WINDOW_SIZE);
}

static void compute_result(struct kunit *test)
{
	struct compute_test *t = begin(test);

	hw_window_map_all(t->b);
	KUNIT_EXPECT_EQ(test, hw_bench_do(t->b, BENCH_QUEUE(0), &t->job->cmd), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, hw_bench_result(t->b, BENCH_QUEUE(0)), 0);
	KUNIT_EXPECT_EQ(test, t->b->irqs[VSVM_HW_VEC_COMPUTE], 1);
	KUNIT_EXPECT_EQ(test, t->b->irqs[VSVM_HW_VEC_FAULT], 0);
	model_run(t->model, t->job);
	expect_memory(t);
	vsvm_hw_free(t);
}

/* A turn at a time, of one slice or of two: the same, whoever ran in between. */
static void compute_turns(struct kunit *test)
{
	struct compute_test *t = begin(test);
	struct hw_bench *b = t->b;
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	unsigned int turns = 0;

	hw_window_map_all(b);
	hw_bench_push(b, BENCH_QUEUE(0), &t->job->cmd);
	while (vsvm_hw_run_turn(b->hw, BENCH_QUEUE(0), 1 + turns % 2)) {
		/* Another queue's, which is at another command. */
		vsvm_hw_run_turn(b->hw, BENCH_QUEUE(1), 1);
		KUNIT_ASSERT_LT(test, turns++, 10);
	}
	KUNIT_EXPECT_EQ(test, ring->tail, ring->head);
	KUNIT_EXPECT_EQ(test, hw_bench_slot(b, BENCH_QUEUE(0), 0)->status, VSVM_HW_OK);
	model_run(t->model, t->job);
	expect_memory(t);
	vsvm_hw_free(t);
}

/* The same through large pages of VRAM, where a slice needs one translation. */
static void compute_large(struct kunit *test)
{
	struct compute_test *t = begin(test);
	struct hw_bench *b = t->b;
	const u64 flags = VSVM_PTE_LARGE | PTE_RWA;
	u64 i;

	hw_bench_mark(b, LARGE, 2 * LARGE, true);
	*hw_bench_entry(b, 0, DST_VA, 1) = PTE_VRAM(LARGE) | flags;
	*hw_bench_entry(b, 0, SRC_VA, 1) = PTE_VRAM(2 * LARGE) | flags;
	for (i = 0; i < WINDOW_SIZE; i += PAGE) {
		memcpy(b->vram + LARGE + i, t->model->dst + i, PAGE);
		memcpy(b->vram + 2 * LARGE + i, t->model->src + i, PAGE);
	}
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &t->job->cmd), VSVM_HW_OK);
	model_run(t->model, t->job);
	KUNIT_EXPECT_MEMEQ(test, b->vram + LARGE, t->model->dst, WINDOW_SIZE);
	KUNIT_EXPECT_MEMEQ(test, b->vram + 2 * LARGE, t->model->src, WINDOW_SIZE);
	vsvm_hw_free(t);
}

/*
 * Starts with nothing mapped and maps at most @num pages, each when it is asked
 * for. Returns how many were; true in *@stalled if the next one is missing.
 */
static unsigned int serve_faults(struct compute_test *t, unsigned int num,
				 bool *stalled, u64 *address)
{
	struct hw_bench *b = t->b;
	const struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	struct vsvm_hw_fault fault = { };
	unsigned int served = 0;

	*stalled = true;
	hw_bench_do(b, BENCH_QUEUE(0), &t->job->cmd);
	for (;;) {
		if (ring->tail == ring->head) {
			*stalled = false;
			return served;
		}
		hw_bench_expect_stalled(b, &fault);
		*address = fault.address;
		if (served == num || hw_bench_failed(b->test))
			return served;
		hw_window_map(b, fault.address, fault.access);
		/* A page mapped for reads may be written later. */
		served++;
		hw_bench_replay(b, 0);
	}
}

static void compute_fault(struct kunit *test)
{
	struct compute_test *t = begin(test);
	struct vsvm_hw_ring *ring = &t->b->shared->ring[BENCH_QUEUE(0)];
	unsigned int served;
	bool stalled;
	u64 address;

	ring->generation = 77;
	served = serve_faults(t, ~0u, &stalled, &address);
	KUNIT_EXPECT_EQ(test, served, t->job->faults);
	KUNIT_EXPECT_EQ(test, t->b->irqs[VSVM_HW_VEC_FAULT], served);
	KUNIT_EXPECT_EQ(test, t->b->irqs[VSVM_HW_VEC_COMPUTE], 1);
	KUNIT_EXPECT_EQ(test, hw_bench_slot(t->b, BENCH_QUEUE(0), ring->tail - 1)->status,
			VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, ring->stalled, 0);
	model_run(t->model, t->job);
	expect_memory(t);
	vsvm_hw_free(t);
}

/* Cancels after every possible number of faults; what follows is not hurt. */
static void compute_cancel(struct kunit *test)
{
	struct compute_test *t = begin(test);
	struct hw_bench *b = t->b;
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	unsigned int num;
	bool stalled;
	u64 address;

	for (num = 0; num < t->job->faults && !hw_bench_failed(test); num++) {
		hw_window_unmap_all(b);
		serve_faults(t, num, &stalled, &address);
		KUNIT_EXPECT_TRUE(test, stalled);
		hw_bench_cancel(b, BENCH_QUEUE(0));
		vsvm_hw_run(b->hw, BENCH_QUEUE(0));
		KUNIT_EXPECT_EQ(test, ring->tail, ring->head);
		KUNIT_EXPECT_EQ(test, ring->stalled, 0);
		KUNIT_EXPECT_EQ(test, hw_bench_slot(b, BENCH_QUEUE(0), ring->tail - 1)->status,
				VSVM_HW_ERR_CANCELLED);
		KUNIT_EXPECT_EQ(test, hw_bench_result(b, BENCH_QUEUE(0)), address);
	}
	/* And then all of it, on fresh memory. */
	to_memory(b, t->model);
	hw_window_map_all(b);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &t->job->cmd), VSVM_HW_OK);
	model_run(t->model, t->job);
	expect_memory(t);
	vsvm_hw_free(t);
}

/* Resets likewise; the kernel then starts from its beginning. */
static void compute_reset(struct kunit *test)
{
	struct compute_test *t = begin(test);
	struct hw_bench *b = t->b;
	struct vsvm_hw_ring *ring = &b->shared->ring[BENCH_QUEUE(0)];
	unsigned int num;
	bool stalled;
	u64 address;

	for (num = 0; num < t->job->faults && !hw_bench_failed(test); num += 3) {
		hw_window_unmap_all(b);
		serve_faults(t, num, &stalled, &address);
		vsvm_hw_stop(b->hw, BENCH_QUEUE(0));
		vsvm_hw_reset(b->hw, BENCH_QUEUE(0));
		KUNIT_EXPECT_EQ(test, ring->stalled, 0);
		/* Fresh memory: part of the job may have been applied. */
		to_memory(b, t->model);
		hw_window_map_all(b);
		vsvm_hw_run(b->hw, BENCH_QUEUE(0));
		KUNIT_EXPECT_EQ(test, ring->tail, ring->head);
		from_memory(b, t->seen);
		model_run(t->model, t->job);
		expect_memory(t);
	}
	vsvm_hw_free(t);
}

static void atomic_dma_hook(struct hw_bench *b)
{
	/* As a CPU would, between any two additions. */
	if (b->relaxed & 1)
		vsvm_hw_atomic_add(b->system + hw_window_offset(DST_VA), 0x10000);
}

/*
 * The word goes to another page in the middle: each addition is to be found in
 * one of the two, once, and others' additions are not lost.
 */
static void compute_atomic_moves(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_ATOMIC_ADD, .dst = DST_VA, .len = 4 * VSVM_HW_ATOMIC_SLICE,
		.arg = 1,
	};
	u64 *first = (u64 *)(b->system + hw_window_offset(DST_VA));
	u64 *second = (u64 *)(b->system + hw_window_offset(DST_VA + PAGE));
	struct vsvm_hw_fault fault;

	hw_window_unmap_all(b);
	hw_window_map(b, DST_VA, VSVM_HW_ATOMIC);
	*first = 0;
	b->on_dma = atomic_dma_hook;
	b->relaxed = 0;
	b->unmap_after = 2;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, BENCH_QUEUE(0), &cmd), VSVM_HW_WAIT);
	hw_bench_expect_stalled(b, &fault);
	KUNIT_EXPECT_EQ(test, fault.address, DST_VA);
	KUNIT_EXPECT_EQ(test, fault.access, VSVM_HW_ATOMIC);
	KUNIT_EXPECT_EQ(test, *first, 2 * VSVM_HW_ATOMIC_SLICE +
				      0x10000ull * VSVM_HW_ATOMIC_SLICE);
	b->on_dma = NULL;
	b->unmap_after = 0;
	*second = *first & 0xffff;
	hw_bench_map(b, 0, DST_VA, PTE_SYSTEM(hw_window_offset(DST_VA + PAGE)) | PTE_RWA);
	hw_bench_replay(b, 0);
	KUNIT_EXPECT_EQ(test, hw_bench_slot(b, BENCH_QUEUE(0), 0)->status, VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *second, 4 * VSVM_HW_ATOMIC_SLICE);
}

/* A store is for commands that went well, of the ring as it is now. */
static void compute_store_if(struct kunit *test)
{
	struct hw_bench *b = test->priv;
	const struct vsvm_hw_cmd good = { .op = VSVM_HW_NOP };
	const struct vsvm_hw_cmd bad = { .op = VSVM_HW_K_SUM, .dst = DST_VA + 1 };
	struct vsvm_hw_cmd store = { .op = VSVM_HW_K_STORE, .dst = DST_VA, .arg = 7 };
	u64 *word = (u64 *)(b->system + hw_window_offset(DST_VA));
	const unsigned int e = BENCH_QUEUE(0);

	hw_window_map_all(b);
	*word = 0;
	store.len = 1;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &store), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &good), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &bad), VSVM_HW_ERR_CMD);
	store.len = 2;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &good), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &store), VSVM_HW_ERR_CANCELLED);
	KUNIT_EXPECT_EQ(test, *word, 0);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &good), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &good), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &store), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *word, 7);
	/* It counts as one of them itself. */
	store.len = 3;
	store.arg = 8;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &store), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *word, 8);
	vsvm_hw_stop(b->hw, e);
	vsvm_hw_reset(b->hw, e);
	store.len = 1;
	KUNIT_EXPECT_EQ(test, hw_bench_do(b, e, &store), VSVM_HW_ERR_CANCELLED);
}

/* Mappings that hold for a few bytes only, so that an element may not fit. */
static void compute_dma_split(struct kunit *test)
{
	struct compute_test *t;
	struct job job = jobs[0];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		job = jobs[i];
		test->param_value = &job;
		t = begin(test);
		hw_window_map_all(t->b);
		t->b->dma_split = 24;
		KUNIT_EXPECT_EQ(test, hw_bench_do(t->b, BENCH_QUEUE(0), &job.cmd), VSVM_HW_OK);
		model_run(t->model, &job);
		expect_memory(t);
		/* Not even one word is whole now. */
		t->b->dma_split = 3;
		if (job.cmd.op >= VSVM_HW_K_SAXPY && job.faults)
			KUNIT_EXPECT_EQ(test, hw_bench_do(t->b, BENCH_QUEUE(0), &job.cmd),
					VSVM_HW_ERR_DMA);
		t->b->dma_split = 0;
		vsvm_hw_free(t);
	}
	test->param_value = NULL;
}

static struct kunit_case compute_cases[] = {
	KUNIT_CASE_PARAM(compute_result, job_gen_params),
	KUNIT_CASE_PARAM(compute_turns, job_gen_params),
	KUNIT_CASE_PARAM(compute_large, job_gen_params),
	KUNIT_CASE_PARAM(compute_fault, job_gen_params),
	KUNIT_CASE_PARAM(compute_cancel, job_gen_params),
	KUNIT_CASE_PARAM(compute_reset, job_gen_params),
	KUNIT_CASE(compute_atomic_moves),
	KUNIT_CASE(compute_store_if),
	KUNIT_CASE(compute_dma_split),
	{ }
};

static struct kunit_suite compute_suite = {
	.name = "vsvm_hw_compute",
	.init = hw_bench_init,
	.exit = hw_bench_exit,
	.test_cases = compute_cases,
};

kunit_test_suite(compute_suite);

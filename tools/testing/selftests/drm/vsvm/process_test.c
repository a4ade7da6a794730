// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Processes that come and go while their memory is in VRAM: fork with copy on
 * write in every direction, exit, exec and kill. VRAM must be given back, and
 * nobody's bytes may change because somebody else's do.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

/* Tells the program that it has been started by exec_while_in_vram. */
#define EXEC_MARK	"VSVM_TEST_EXEC"

static void __attribute__((constructor)) leave_after_exec(void)
{
	if (getenv(EXEC_MARK))
		_exit(0);
}

FIXTURE(process) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_VARIANT(process) {
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(process, small) { .kind = VT_SMALL, };
FIXTURE_VARIANT_ADD(process, thp) { .kind = VT_THP, };

/* Everything starts in VRAM. */
FIXTURE_SETUP(process)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, variant->kind));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, self->b.len, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
}

FIXTURE_TEARDOWN(process)
{
	vt_close(&self->t);
}

static int child_checks_gpu(struct vt_buf *b)
{
	struct vt t;

	return VT_WRONG(!vt_open(&t)) || VT_WRONG(!vt_buf_check_gpu(&t, b));
}

/* The child of a test: what it inherited is right, on the CPU and the GPU. */
static int child_checks(struct vt_buf *b, bool gpu)
{
	return (gpu && child_checks_gpu(b)) || VT_WRONG(!vt_buf_check(b));
}

TEST_F_TIMEOUT(process, child_reads_on_cpu, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child_checks(&self->b, false));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(process, child_reads_on_gpu, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child_checks(&self->b, true));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* Both sides of a fork write, one after the other, and see only their own. */
static int child_writes(struct vt_buf *b, bool gpu)
{
	struct vt t;

	if (VT_WRONG(!vt_open(&t)))
		return 1;
	if (!gpu)
		vt_buf_write(b, MIB, 2 * MIB, 1234);
	else if (VT_WRONG(!vt_buf_add(&t, b, MIB, 2 * MIB, 100)))
		return 1;
	return VT_WRONG(!vt_buf_check(b)) ||
	       VT_WRONG(!vt_buf_check_gpu(&t, b));
}

TEST_F_TIMEOUT(process, child_writes_on_cpu, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child_writes(&self->b, false));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

TEST_F_TIMEOUT(process, child_writes_on_gpu, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child_writes(&self->b, true));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The child waits until the parent has written, and must not see it. */
static int child_waits(struct vt_buf *b, int fd)
{
	if (VT_WRONG(!vt_await(fd)))
		return 1;
	return child_checks(b, true);
}

static int parent_writes(struct vt *t, struct vt_buf *b, bool gpu)
{
	int pipes[2], err = 0;
	pid_t pid;

	if (VT_WRONG(!pipe(pipes)))
		return 1;
	pid = fork();
	if (!pid)
		_exit(child_waits(b, pipes[0]));
	if (gpu)
		err = vt_buf_add(t, b, 0, b->len, 50);
	else
		vt_buf_write(b, 0, b->len, 4321);
	vt_wake(pipes[1]);
	err = err ?: vt_join(pid);
	close(pipes[0]);
	close(pipes[1]);
	err = err ?: vt_buf_check(b);
	return err ?: vt_buf_check_gpu(t, b);
}

TEST_F_TIMEOUT(process, parent_writes_on_cpu, SECONDS)
{
	ASSERT_EQ(0, parent_writes(&self->t, &self->b, false));
}

TEST_F_TIMEOUT(process, parent_writes_on_gpu, SECONDS)
{
	ASSERT_EQ(0, parent_writes(&self->t, &self->b, true));
}

static int grandchild(struct vt_buf *b)
{
	pid_t pid = fork();

	if (!pid)
		_exit(child_writes(b, true));
	return VT_WRONG(!vt_join(pid)) || child_checks(b, true);
}

TEST_F_TIMEOUT(process, grandchild_writes, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(grandchild(&self->b));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &self->b));
	ASSERT_EQ(0, vt_buf_check(&self->b));
}

/* The file is closed, its address space gone: the pages stay, and come home. */
TEST_F_TIMEOUT(process, closed_while_in_vram, SECONDS)
{
	struct vt other;
	__u64 used;

	ASSERT_EQ(0, vt_open(&other));
	vt_close(&self->t);
	ASSERT_EQ(0, vt_buf_elsewhere(&other, &self->b, IN_VRAM));
	used = vt_vram_used(&other);
	ASSERT_EQ(0, vt_buf_check_range(&self->b, MIB, 2 * MIB + PAGE));
	/* The rest has nobody any more who could evict it but the core. */
	ASSERT_EQ(0, vsvm_evict(&other.dev));
	ASSERT_EQ(0, vt_buf_elsewhere(&other, &self->b, IN_RAM));
	ASSERT_EQ(0, vt_buf_check(&self->b));
	ASSERT_EQ(0, vt_vram_settles(&other, used - LEN));
	vt_close(&other);
}

/* A process of its own: fills VRAM, tells so, and waits to be told to end. */
static int owner(int ready, int go)
{
	struct vt_buf b;
	struct vt t;

	if (VT_WRONG(!vt_open(&t)) ||
	    VT_WRONG(!vt_buf_map(&b, LEN, VT_SMALL)) ||
	    VT_WRONG(!vt_buf_fill(&t, &b, 0, b.len, 3)) ||
	    VT_WRONG(!vt_buf_elsewhere(&t, &b, IN_VRAM)))
		return 1;
	vt_wake(ready);
	return vt_await(go) ? 1 : 0;
}

FIXTURE(exit) {
	struct vt t;
	__u64 used;
	int ready[2];
	int go[2];
};

FIXTURE_SETUP(exit)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, pipe(self->ready));
	ASSERT_EQ(0, pipe(self->go));
	self->used = vt_vram_used(&self->t);
}

FIXTURE_TEARDOWN(exit)
{
	vt_close(&self->t);
}

TEST_F_TIMEOUT(exit, exit_while_in_vram, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(owner(self->ready[1], self->go[0]));
	close(self->ready[1]);
	ASSERT_EQ(0, vt_await(self->ready[0]));
	EXPECT_LE(self->used + LEN, vt_vram_used(&self->t));
	vt_wake(self->go[1]);
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
}

TEST_F_TIMEOUT(exit, killed_while_in_vram, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(owner(self->ready[1], self->go[0]));
	close(self->ready[1]);
	ASSERT_EQ(0, vt_await(self->ready[0]));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(SIGKILL, vt_join(pid));
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
}

/* The memory goes with exec, and the file too: it is close-on-exec. */
static int execs(int ready, int go)
{
	char *const argv[] = { "vsvm", NULL };
	char *const envp[] = { EXEC_MARK "=1", NULL };

	if (owner(ready, go))
		return 1;
	execve("/proc/self/exe", argv, envp);
	return VT_WRONG(!"execve");
}

TEST_F_TIMEOUT(exit, exec_while_in_vram, SECONDS)
{
	pid_t pid = fork();

	if (!pid)
		_exit(execs(self->ready[1], self->go[0]));
	close(self->ready[1]);
	ASSERT_EQ(0, vt_await(self->ready[0]));
	vt_wake(self->go[1]);
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
}

/*
 * What a child's GPU moves is also its parent's, and stays for it. (So children
 * whose VRAM has to be free in the end keep off the heap that they inherit.)
 */
TEST_F_TIMEOUT(exit, child_moves_what_parent_has, SECONDS)
{
	struct vt_buf b;
	pid_t pid;

	ASSERT_EQ(0, vt_buf_map(&b, LEN, VT_SMALL));
	pid = fork();
	if (!pid)
		_exit(child_checks_gpu(&b));
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &b, IN_VRAM));
	EXPECT_LE(self->used + LEN, vt_vram_used(&self->t));
	ASSERT_EQ(0, vt_buf_check(&b));
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
}

/* The heir still maps what its parent, now gone, had moved to VRAM. */
static int heir(struct vt_buf *b, int go)
{
	return VT_WRONG(!vt_await(go)) || child_checks(b, true) ||
	       child_writes(b, true);
}

static int testator(int ready, int go, int *result)
{
	struct vt_buf b;
	struct vt t;

	if (VT_WRONG(!vt_open(&t)) ||
	    VT_WRONG(!vt_buf_map(&b, LEN, VT_SMALL)) ||
	    VT_WRONG(!vt_buf_add(&t, &b, 0, b.len, 3)))
		return 1;
	if (!fork()) {
		*result = heir(&b, go);
		vt_wake(ready);
		_exit(0);
	}
	return 0;
}

TEST_F_TIMEOUT(exit, parent_exits_first, SECONDS)
{
	int *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, result);
	*result = -1;
	pid = fork();
	if (!pid)
		_exit(testator(self->ready[1], self->go[0], result));
	ASSERT_EQ(0, vt_join(pid));
	vt_wake(self->go[1]);
	close(self->ready[1]);
	ASSERT_EQ(0, vt_await(self->ready[0]));
	ASSERT_EQ(0, *result);
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
}

/* Evict what only a child still maps: its parent is gone. */
static int heir_is_evicted(struct vt_buf *b, int go)
{
	struct vt t;

	return VT_WRONG(!vt_await(go)) || VT_WRONG(!vt_open(&t)) ||
	       VT_WRONG(!vsvm_evict(&t.dev)) ||
	       VT_WRONG(!vt_pages_at(&t, b->p, b->len, IN_VRAM)) ||
	       VT_WRONG(!vt_buf_check(b));
}

static int testator_of_evicted(int ready, int go, int *result)
{
	struct vt_buf b;
	struct vt t;

	if (VT_WRONG(!vt_open(&t)) ||
	    VT_WRONG(!vt_buf_map(&b, LEN, VT_THP)) ||
	    VT_WRONG(!vt_buf_add(&t, &b, 0, b.len, 3)))
		return 1;
	if (!fork()) {
		*result = heir_is_evicted(&b, go);
		vt_wake(ready);
		_exit(0);
	}
	return 0;
}

TEST_F_TIMEOUT(exit, evict_after_parent_exit, SECONDS)
{
	int *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, result);
	*result = -1;
	pid = fork();
	if (!pid)
		_exit(testator_of_evicted(self->ready[1], self->go[0], result));
	ASSERT_EQ(0, vt_join(pid));
	vt_wake(self->go[1]);
	close(self->ready[1]);
	ASSERT_EQ(0, vt_await(self->ready[0]));
	ASSERT_EQ(0, *result);
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
}

/* Run a job that never ends. Returns only if it does. */
static int runs_endless(int ready)
{
	struct drm_vsvm_kernel kernel;
	__u64 *node = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct vt_buf b;
	struct vt t;

	if (VT_WRONG(node) || VT_WRONG(!vt_open(&t)) ||
	    VT_WRONG(!vt_buf_map(&b, LEN, VT_SMALL)) ||
	    VT_WRONG(!vt_buf_fill(&t, &b, 0, b.len, 3)))
		return 1;
	vt_endless(&kernel, node);
	vt_wake(ready);
	vsvm_run(t.dev.fd, t.vm, &kernel, 1, NULL);
	return 1;
}

TEST_F_TIMEOUT(exit, killed_while_a_job_runs, SECONDS)
{
	__u8 *p = vt_map_aligned(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	__u64 end = vt_now_ms() + 20000;
	struct drm_vsvm_stats before, after;
	pid_t pid = fork();

	if (!pid)
		_exit(runs_endless(self->ready[1]));
	close(self->ready[1]);
	ASSERT_EQ(0, vt_await(self->ready[0]));
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &before));
	/* It either waits in EXEC already, or is about to. */
	vt_sleep_ms(200);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(SIGKILL, vt_join(pid));
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
	do {
		ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &after));
		vsvm_stats_sub(&after, &before);
	} while (!after.jobs_failed && vt_now_ms() < end);
	EXPECT_EQ(1u, after.jobs_failed);
	ASSERT_EQ(0, vt_fill(&self->t, p, MIB, 9));
	ASSERT_EQ(0, vt_all(p, 9, MIB));
}

/* Keeps a file open whose address space is another process's. */
static int keeps_file(struct vt *t, int go, const void *p)
{
	return VT_WRONG(!vt_await(go)) ||
	       VT_WRONG(vt_fill(t, (void *)p, 1, 1) == -EPERM);
}

/* Leaves a job behind that never ends by itself, and memory in VRAM. */
static int leaves_job(int ready, int go, int *result)
{
	struct drm_vsvm_kernel kernel;
	struct vt_buf b;
	struct vt t;

	if (VT_WRONG(!vt_open(&t)))
		return 1;
	if (!fork()) {
		*result = keeps_file(&t, go, result);
		vt_wake(ready);
		_exit(0);
	}
	if (VT_WRONG(!vt_buf_map(&b, LEN, VT_SMALL)) ||
	    VT_WRONG(!vt_buf_fill(&t, &b, 0, b.len, 3)))
		return 1;
	vt_endless(&kernel, (__u64 *)b.p);
	if (VT_WRONG(!vt_submit(&t, t.vm, &kernel, 1, NULL)))
		return 1;
	vt_wake(ready);
	pause();
	return 1;
}

/*
 * The file is still open when the memory behind its address space has gone. The
 * GPU's next access is the job's end, and nothing of it is left in VRAM.
 */
TEST_F_TIMEOUT(exit, file_outlives_the_memory, SECONDS)
{
	int *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	__u64 end = vt_now_ms() + 20000;
	struct drm_vsvm_stats before, after;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, result);
	*result = -1;
	ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &before));
	pid = fork();
	if (!pid)
		_exit(leaves_job(self->ready[1], self->go[0], result));
	ASSERT_EQ(0, vt_await(self->ready[0]));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(SIGKILL, vt_join(pid));
	do {
		vt_sleep_ms(10);
		ASSERT_EQ(0, vsvm_query_stats(self->t.dev.fd, &after));
		vsvm_stats_sub(&after, &before);
	} while (!after.jobs_failed && vt_now_ms() < end);
	EXPECT_EQ(1u, after.jobs_failed);
	EXPECT_LE(1u, after.gpu_faults_failed);
	EXPECT_LE(LEN, after.to_vram_bytes + after.cleared_bytes);
	vt_wake(self->go[1]);
	ASSERT_EQ(0, vt_await(self->ready[0]));
	EXPECT_EQ(0, *result);
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
}

TEST_HARNESS_MAIN

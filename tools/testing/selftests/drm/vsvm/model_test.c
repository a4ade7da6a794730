// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Random operations against a model of each byte: what is tested, and the process
 * that watches those that do it. See model.h.
 *
 * VSVM_SEED repeats a run, as far as one walker goes; VSVM_SECONDS says how long
 * each test takes.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "model.h"

/* Who does nothing else for so long hangs. */
#define HANG_MS		(vt_timeout(90) * 1000ull)
/*
 * For an allocation. The budget of what an eviction may wait for is a second, of which
 * no more than 0.15 s were seen to be used; all else is work. On the debug kernel 512
 * pages take 1.3 s of a CPU, nearly all of it in the copy, and a dozen threads share
 * two CPUs: 5.4 s.
 */
#define LONGEST_EVICT_US	(vt_timeout(10) * 1000000l)
/* Processes that are killed are replaced, but not at the very end. */
#define LAST_START_MS	2000

struct watch {
	pid_t process[MAX_PROCESSES];
	unsigned int processes;
	unsigned int started;
	unsigned int killed;
};

FIXTURE(model) {
	struct world world;
	struct watch watch;
	__u64 used[MAX_GPUS];
};

/* Times add up to the two minutes that "make test" has for all this. */
FIXTURE_VARIANT(model) {
	unsigned int processes;
	unsigned int walkers;
	unsigned int gpus;
	unsigned int what;
	unsigned int seconds;
};

FIXTURE_VARIANT_ADD(model, one_walker) {
	.processes = 1,
	.walkers = 1,
	.gpus = 1,
	.what = MODEL_FORK,
	.seconds = 15,
};

FIXTURE_VARIANT_ADD(model, four_walkers) {
	.processes = 2,
	.walkers = 4,
	.gpus = 1,
	.what = MODEL_EVICT | MODEL_VMS | MODEL_FORK | MODEL_KILL |
		MODEL_CGROUP | MODEL_SYSTEM,
	.seconds = 45,
};

FIXTURE_VARIANT_ADD(model, two_gpus) {
	.processes = 2,
	.walkers = 4,
	.gpus = 2,
	.what = MODEL_EVICT | MODEL_FORK | MODEL_LINK | MODEL_SYSTEM,
	.seconds = 30,
};

FIXTURE_VARIANT_ADD(model, gpus_go) {
	.processes = 2,
	.walkers = 3,
	.gpus = 2,
	.what = MODEL_EVICT | MODEL_VMS | MODEL_FORK | MODEL_KILL | MODEL_LINK |
		MODEL_UNBIND | MODEL_SYSTEM,
	.seconds = 30,
};

/* What is in use of GPU number @id, with an address space that does nothing. */
static int look_at_vram(unsigned int id, __u64 *used)
{
	struct vt t;
	int err = vt_open_id(&t, id);

	if (err)
		return err;
	*used = vt_vram_used(&t);
	vt_close(&t);
	return 0;
}

/* No more than at that time. */
static int await_vram(unsigned int id, __u64 used)
{
	struct vt t;
	int err = vt_open_id(&t, id);

	if (err)
		return err;
	err = vt_vram_settles(&t, used);
	vt_close(&t);
	return err;
}

FIXTURE_SETUP(model)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < variant->gpus && !err; i++)
		err = look_at_vram(i, &self->used[i]);
	if (err == -ENODEV && i == 1 && vt_may_skip())
		SKIP(return, "no vsvm device");
	if (err == -ENODEV && i == 2)
		SKIP(return, "needs \"modprobe vsvm devices=2\"");
	ASSERT_EQ(0, err);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)shared);
	*shared = (struct model_shared) {
		.seed = vt_seed(),
		.what = variant->what,
		.walkers = variant->walkers,
		.gpus = variant->gpus,
	};
	self->watch.processes = variant->processes;
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	self->world.what = variant->what;
	self->world.gpus = variant->gpus;
	ASSERT_EQ(0, world_begin(&self->world, shared->seed));
}

FIXTURE_TEARDOWN(model)
{
	world_end(&self->world);
}

static void start(struct watch *watch, unsigned int i)
{
	const __u64 seed = shared->seed + 1000003ull * watch->started++;

	memset(shared->beat[i], 0, sizeof(shared->beat[i]));
	watch->process[i] = fork();
	if (!watch->process[i])
		model_process(i, seed);
}

/* Who has ended, and how. The number of those that go on. */
static unsigned int look(struct watch *watch)
{
	unsigned int i, running = 0;
	int status;

	for (i = 0; i < watch->processes; i++) {
		pid_t pid = watch->process[i];

		if (pid <= 0)
			continue;
		if (waitpid(pid, &status, WNOHANG) != pid) {
			running++;
			continue;
		}
		watch->process[i] = 0;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
			watch->killed++;
		} else if (status) {
			fprintf(stderr, "# process %u ended with status 0x%x\n", i,
				status);
			shared->stop = 1;
		}
	}
	return running;
}

/*
 * A child whose parent was killed before it had asked for a signal in that case goes
 * on, with its address space. They are ours then: see FIXTURE_SETUP.
 */
static void await_orphans(void)
{
	pid_t pid;

	do {
		pid = waitpid(-1, NULL, 0);
	} while (pid > 0 || (pid < 0 && errno == EINTR));
}

/* Is anybody stuck? Where the kernel has it is in the log then. */
static bool stuck(const struct watch *watch)
{
	unsigned int i, k;
	__u64 beat;

	for (i = 0; i < watch->processes; i++) {
		for (k = 0; k < shared->walkers && watch->process[i]; k++) {
			beat = __atomic_load_n(&shared->beat[i][k],
					       __ATOMIC_SEQ_CST);
			if (!beat || vt_now_ms() < beat + HANG_MS)
				continue;
			fprintf(stderr, "# VSVM_SEED=%llu: process %u, walker %u hangs in \"%s\"\n",
				shared->seed, i, k, shared->doing[i][k]);
			vsvm_write_file("/proc/sysrq-trigger", "w");
			vsvm_write_file("/proc/sysrq-trigger", "l");
			return true;
		}
	}
	return false;
}

static int watch_all(struct watch *watch, struct world *world)
{
	unsigned int i, running = 0;
	bool over = false;

	do {
		over = shared->stop || vt_now_ms() >= shared->end;
		for (i = 0; i < watch->processes && !over; i++)
			if (!watch->process[i] &&
			    (!watch->started || vt_now_ms() + LAST_START_MS < shared->end))
				start(watch, i);
		if (over)
			world_calm(world);
		else
			world_turn(world, watch->process);
		vt_sleep_ms(10);
		running = look(watch);
		if (stuck(watch))
			return -ETIMEDOUT;
	} while (running || !over);
	return shared->stop ? -EPROTO : 0;
}

/* Time for what was begun to end: the last child, and the report of a hang. */
TEST_F_TIMEOUT(model, walk, vt_seconds(45) + 2 * vt_timeout(120))
{
	unsigned int i;

	shared->end = vt_now_ms() + vt_seconds(variant->seconds) * 1000ull;
	EXPECT_EQ(0, watch_all(&self->watch, &self->world));
	for (i = 0; i < self->watch.processes; i++)
		if (self->watch.process[i] > 0)
			kill(self->watch.process[i], SIGKILL);
	await_orphans();
	TH_LOG("%lu steps, %lu jobs (%lu failed as they may), %lu children",
	       shared->steps, shared->jobs, shared->excused, shared->forks);
	TH_LOG("%u processes, %u killed, %lu events", self->watch.started,
	       self->watch.killed, self->world.events);
	world_look(&self->world);
	TH_LOG("the longest eviction: %ld us", self->world.longest_evict);
	EXPECT_GT(LONGEST_EVICT_US, self->world.longest_evict);
	EXPECT_LT(0u, shared->jobs);
	for (i = 0; i < variant->gpus; i++)
		EXPECT_EQ(0, await_vram(i, self->used[i]));
}

TEST_HARNESS_MAIN

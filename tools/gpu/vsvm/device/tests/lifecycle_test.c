// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Deaths, hangs, power-off, and what all that must leave as it was. */
#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../supervisor.h"
#include "guest.h"

static void life_kill(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	const struct vsvm_hw_cmd fill = { .op = VSVM_HW_FILL, .len = PAGE, .arg = ~0ull };
	u32 before;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_start(g, 1), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_do(g, 0, VSVM_HW_COPY_TO_VRAM, &fill), VSVM_HW_OK);
	before = g->dev[0].bar->device.generation;
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "kill"));
	KUNIT_EXPECT_NE(test, g->dev[0].bar->device.state, VSVM_PCI_RUNNING);
	KUNIT_EXPECT_NE(test, g->dev[0].bar->device.generation, before);
	KUNIT_EXPECT_TRUE(test, guest_wait_irq(g, 0, VSVM_PCI_VEC_CONTROL, 1000));
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_READY, before));
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 1, VSVM_PCI_READY, before));
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 1);
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	*(u64 *)guest_ram(g, 0x1000) = 1;
	KUNIT_ASSERT_EQ(test, guest_copy_out(g, 0x1000, 0, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *(u64 *)guest_ram(g, 0x1000), 0);
}

/* Too often: then they stay dead. */
static void life_crash(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	pid_t engine = guest_engine(g);
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, engine > 0);
	for (i = 0; i <= SUPERVISOR_DEATHS; i++) {
		const u32 before = g->dev[0].bar->device.generation;

		engine = guest_engine(g);
		KUNIT_ASSERT_TRUE(test, engine > 0);
		kill(engine, SIGKILL);
		if (i < SUPERVISOR_DEATHS)
			KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_READY, before));
	}
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_DEAD, 0));
	usleep(100000);
	KUNIT_EXPECT_EQ(test, g->dev[0].bar->device.state, VSVM_PCI_DEAD);
	KUNIT_EXPECT_EQ(test, guest_engine(g), 0);
	KUNIT_EXPECT_FALSE(test, guest_ask(g, "kill"));
}

/* What is asked for may happen as often as one likes. */
static void life_killed(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	unsigned int i;

	for (i = 0; i < 2 * SUPERVISOR_DEATHS; i++)
		KUNIT_ASSERT_TRUE(test, guest_ask(g, "kill"));
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 2 * SUPERVISOR_DEATHS);
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
}

static void life_hang(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	u32 before;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	/* For no reason: nothing happens. */
	event_ring(g->dev[0].bell[VSVM_PCI_BELL_RESET]);
	usleep(200000);
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 0);
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "stop"));
	before = g->dev[0].bar->device.generation;
	event_ring(g->dev[0].bell[VSVM_PCI_BELL_RESET]);
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_READY, before));
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 1);
	/* By somebody else, and on again. */
	kill(guest_engine(g), SIGSTOP);
	usleep(50000);
	kill(guest_engine(g), SIGCONT);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "stop"));
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "cont"));
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
}

/* Nobody is there who could answer, or do anything about it, for a while. */
static void life_frozen(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	u64 begin;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	begin = now_ms();
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "freeze 700"));
	event_ring(g->dev[0].bell[VSVM_PCI_BELL_RESET]);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_GT(test, now_ms() - begin, 690);
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 0);
}

/* The same in the middle of a copy, which goes on after that. */
static void life_frozen_at(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	u64 begin;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	memset(guest_ram(g, 0x1000), 0x5a, PAGE);
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "freeze-at 2 700"));
	/* Not this one. */
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	begin = now_ms();
	KUNIT_EXPECT_EQ(test, guest_copy_out(g, 0x3000, 0, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_GT(test, now_ms() - begin, 690);
	KUNIT_EXPECT_EQ(test, memcmp(guest_ram(g, 0x1000), guest_ram(g, 0x3000), PAGE), 0);
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "held"));
	KUNIT_EXPECT_TRUE(test, !strncmp(g->reply, "ok 0x3000", 9));
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 0);
}

/* A request that nobody rings for counts as one that is not answered. */
static void life_unanswered(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	u32 before;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	before = g->dev[0].bar->device.generation;
	/* Until doorbells that were for the one before have been heard. */
	usleep(100000);
	g->dev[0].bar->driver.request++;
	event_ring(g->dev[0].bell[VSVM_PCI_BELL_RESET]);
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_READY, before));
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
}

/* What another device has not answered is its own driver's affair. */
static void life_other_unanswered(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	pid_t engine = guest_engine(g);

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_start(g, 1), VSVM_HW_OK);
	usleep(100000);
	g->dev[1].bar->driver.request++;
	event_ring(g->dev[0].bell[VSVM_PCI_BELL_RESET]);
	usleep(500000);
	KUNIT_EXPECT_EQ(test, guest_engine(g), engine);
	event_ring(g->dev[1].bell[VSVM_PCI_BELL_RESET]);
	usleep(500000);
	KUNIT_EXPECT_NE(test, guest_engine(g), engine);
}

static const u64 slowly[VSVM_PCI_NUM_ARGS] = {
	[VSVM_PCI_ARG_VRAM_SIZE] = GUEST_VRAM,
	[VSVM_PCI_ARG_COPY_BYTES_PER_S] = 100 * VM_MIB,
};

/* Seconds of copies of ever other content. */
static void push_slow_copies(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		const struct vsvm_hw_cmd cmd = {
			.op = VSVM_HW_FILL, .dst = 0x100000, .len = 4 * VM_MIB,
			.arg = i * 0x0101010101010101ull,
			.flags = VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM),
		};

		guest_push(g, 0, VSVM_HW_COPY_FROM_VRAM, &cmd);
	}
	guest_ring(g, 0, VSVM_HW_COPY_FROM_VRAM);
	usleep(100000);
}

static void life_off_is_quiet(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	u8 *copy = malloc(GUEST_RAM);
	unsigned int i;
	u64 begin;

	for (i = 0; i < 5; i++) {
		KUNIT_ASSERT_EQ(test, guest_reset(g, 0, slowly), VSVM_HW_OK);
		push_slow_copies(g);
		/* The check is able to fail. */
		if (!i)
			KUNIT_EXPECT_FALSE(test, guest_ask(g, "pause-check"));
		begin = now_ms();
		KUNIT_ASSERT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_OFF, NULL), VSVM_HW_OK);
		KUNIT_EXPECT_LT(test, now_ms() - begin, 1000);
		memcpy(copy, g->ram.base, GUEST_RAM);
		usleep(50000);
		KUNIT_EXPECT_MEMEQ(test, copy, g->ram.base, GUEST_RAM);
	}
	KUNIT_EXPECT_TRUE(test, guest_ask(g, "pause-check"));
	free(copy);
}

static void life_off_noted(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	const u64 end = now_ms() + 5000;

	KUNIT_ASSERT_EQ(test, guest_reset(g, 0, slowly), VSVM_HW_OK);
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "quiet-next"));
	push_slow_copies(g);
	KUNIT_ASSERT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_OFF, NULL), VSVM_HW_OK);
	do
		KUNIT_ASSERT_TRUE(test, guest_ask(g, "status"));
	while (!strstr(g->reply, "quiet: ok") && now_ms() < end);
	KUNIT_EXPECT_TRUE(test, !!strstr(g->reply, "quiet: ok"));
}

/* As an unplug looks like: the client of device 0 goes away. */
static void unplug_first(struct guest *g)
{
	const u64 end = now_ms() + 5000;

	shutdown(g->sock[0], SHUT_RDWR);
	do
		KUNIT_ASSERT_TRUE(g->test, guest_ask(g, "status"));
	while (!strstr(g->reply, "plugged=1 ") && now_ms() < end);
	KUNIT_ASSERT_TRUE(g->test, !!strstr(g->reply, "plugged=1 "));
}

/* Its driver had no time for an OFF, and what it copied to is not its own now. */
static void life_unplugged(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	const u32 generation = g->dev[1].bar->device.generation;
	u8 *copy = malloc(GUEST_RAM);

	KUNIT_ASSERT_EQ(test, guest_reset(g, 0, slowly), VSVM_HW_OK);
	push_slow_copies(g);
	unplug_first(g);
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_OFF, 0));
	memcpy(copy, g->ram.base, GUEST_RAM);
	usleep(100000);
	KUNIT_EXPECT_MEMEQ(test, copy, g->ram.base, GUEST_RAM);
	free(copy);
	/* The other one goes on; that nobody answers the first is no reason to kill. */
	g->dev[0].bar->driver.request++;
	event_ring(g->dev[1].bell[VSVM_PCI_BELL_RESET]);
	usleep(200000);
	KUNIT_EXPECT_EQ(test, g->dev[1].bar->device.generation, generation);
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 0);
}

/* The next driver may be faster than the order that was for the one before. */
static void life_unplugged_late(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	struct vsvm_pci_driver *page = &g->dev[0].bar->driver;
	u32 before;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	before = g->dev[0].bar->device.generation;
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "stop"));
	unplug_first(g);
	page->op = VSVM_PCI_OP_RESET;
	page->request++;
	event_ring(g->dev[0].bell[VSVM_PCI_BELL_CONTROL]);
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "cont"));
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_RUNNING, before));
	usleep(50000);
	KUNIT_EXPECT_EQ(test, g->dev[0].bar->device.state, VSVM_PCI_RUNNING);
	KUNIT_EXPECT_EQ(test, page->master, 0);
}

static unsigned int count_entries(pid_t pid, const char *what)
{
	char path[64];
	unsigned int num = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	dir = opendir(path);
	while (dir && readdir(dir))
		num++;
	if (dir)
		closedir(dir);
	return num;
}

static void life_no_leak(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	const pid_t engine = guest_engine(g);
	unsigned int fds, threads, i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_start(g, 1), VSVM_HW_OK);
	fds = count_entries(engine, "fd");
	threads = count_entries(engine, "task");
	KUNIT_EXPECT_GT(test, threads, 10);
	for (i = 0; i < 50; i++) {
		KUNIT_ASSERT_EQ(test, guest_start(g, i & 1), VSVM_HW_OK);
		KUNIT_ASSERT_EQ(test, guest_request(g, i & 1, VSVM_PCI_OP_OFF, NULL),
				VSVM_HW_OK);
	}
	KUNIT_EXPECT_EQ(test, guest_engine(g), engine);
	KUNIT_EXPECT_EQ(test, count_entries(engine, "fd"), fds);
	KUNIT_EXPECT_EQ(test, count_entries(engine, "task"), threads);
	fds = count_entries(g->supervisor, "fd");
	for (i = 0; i < 5; i++)
		KUNIT_ASSERT_TRUE(test, guest_ask(g, "kill"));
	KUNIT_EXPECT_EQ(test, count_entries(g->supervisor, "fd"), fds);
}

/* In clock ticks, of 10 ms. */
static unsigned long cpu_ticks(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return ~0ul;
	if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		   &user, &system) != 2)
		user = ~0ul;
	fclose(file);
	return user + system;
}

static unsigned long guest_ticks(struct guest *g)
{
	return cpu_ticks(guest_engine(g)) + cpu_ticks(g->supervisor);
}

/*
 * Gives the engine something to do, and looks until it is done, a time @ns at
 * most: who sleeps and has to be woken comes back too late to keep it awake.
 */
static bool one_nop(struct guest *g, bool bell, u64 ns)
{
	const struct vsvm_hw_cmd nop = { .op = VSVM_HW_NOP };
	const u64 end = now_ns() + ns;
	struct vsvm_hw_ring *ring = &g->dev[0].bar->shared.ring[VSVM_HW_COPY_TO_VRAM];
	bool done;

	guest_push(g, 0, VSVM_HW_COPY_TO_VRAM, &nop);
	if (bell)
		guest_ring(g, 0, VSVM_HW_COPY_TO_VRAM);
	do {
		/* Acquire: the slot, which is used again. */
		done = smp_load_acquire(&ring->tail) == ring->head;
	} while (!done && now_ns() < end);
	return done;
}

static void several_nops(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		KUNIT_ASSERT_TRUE(g->test, one_nop(g, true, 5000000000ull));
}

/* Returns when the engine does something without being asked. */
static void keep_awake(struct guest *g)
{
	const u64 end = now_ms() + 30000;

	do {
		KUNIT_ASSERT_LT(g->test, now_ms(), end);
		/* It cannot be awake while we are, if they share a processor. */
		usleep(500);
		several_nops(g);
	} while (!one_nop(g, false, 100000));
}

static void life_idle(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	unsigned long before;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	keep_awake(g);
	before = guest_ticks(g);
	usleep(1000000);
	KUNIT_EXPECT_LT(test, guest_ticks(g) - before, 2);
}

/* Commands that come seldom do not keep an engine awake between them. */
static void life_seldom(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	unsigned long before;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	before = guest_ticks(g);
	for (i = 0; i < 1000; i++) {
		KUNIT_ASSERT_EQ(test, guest_copy_in(g, 0, 0x1000, 8), VSVM_HW_OK);
		usleep(1000);
	}
	/* They would have been awake for 20 ticks. */
	KUNIT_EXPECT_LT(test, guest_ticks(g) - before, 15);
}

/* Nor does a ring that is not empty, but that nothing can be done with. */
static void life_senseless(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	struct vsvm_hw_ring *ring;
	unsigned long before, ticks = 0;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	ring = &g->dev[0].bar->shared.ring[VSVM_HW_COPY_TO_VRAM];
	for (i = 0; i < 20; i++) {
		keep_awake(g);
		WRITE_ONCE(ring->head, ring->tail + VSVM_HW_COPY_RING + 1);
		before = guest_ticks(g);
		usleep(50000);
		ticks += guest_ticks(g) - before;
		WRITE_ONCE(ring->head, ring->tail);
	}
	/* A single one that is not left alone is 5. */
	KUNIT_EXPECT_LT(test, ticks, 4);
	several_nops(g);
}

static void life_control_lines(struct kunit *test)
{
	static const char * const bad[] = {
		"nonsense", "killer", "plug", "plug 9", "plug 0", "unplug x", "unplug 0",
		"hostile", "hostile 1", "hostile 1 0", "kil", "status?",
		"freeze", "freeze 0", "freeze x",
		"freeze-at", "freeze-at 2", "freeze-at 2 0", "freeze-at 4 1",
	};
	struct guest *g = guest_create(test, 1);
	char line[600];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_FALSE(test, guest_ask(g, bad[i]));
		KUNIT_EXPECT_TRUE(test, !strncmp(g->reply, "error ", 6));
	}
	snprintf(line, sizeof(line), "kill %590d", 1);
	KUNIT_EXPECT_FALSE(test, guest_ask(g, line));
	KUNIT_EXPECT_TRUE(test, guest_ask(g, "status"));
	KUNIT_EXPECT_TRUE(test, !!strstr(g->reply, "engines=1 restarts=0 plugged=0 "));
}

static struct kunit_case life_cases[] = {
	KUNIT_CASE(life_kill),
	KUNIT_CASE(life_crash),
	KUNIT_CASE(life_killed),
	KUNIT_CASE(life_hang),
	KUNIT_CASE(life_frozen),
	KUNIT_CASE(life_frozen_at),
	KUNIT_CASE(life_unanswered),
	KUNIT_CASE(life_other_unanswered),
	KUNIT_CASE(life_off_is_quiet),
	KUNIT_CASE(life_off_noted),
	KUNIT_CASE(life_unplugged),
	KUNIT_CASE(life_unplugged_late),
	KUNIT_CASE(life_no_leak),
	KUNIT_CASE(life_idle),
	KUNIT_CASE(life_seldom),
	KUNIT_CASE(life_senseless),
	KUNIT_CASE(life_control_lines),
	{ }
};

static struct kunit_suite life_suite = {
	.name = "vsvm_device_life",
	.exit = guest_exit,
	.test_cases = life_cases,
};

kunit_test_suite(life_suite);

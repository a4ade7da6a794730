// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A guest that has every queue spin, on a machine whose processors are busy
 * besides: the paging channel still does its work in time, a queue that has
 * something to do gets its turn, and the process has no more threads than that
 * takes.
 */
#include <dirent.h>
#include <unistd.h>

#include "../../vsvm_hogs.h"
#include "guest.h"

#define VA		0x7f0000000000ull
#define LIST		(HIGH + 0x7000)
#define NUM_HOGS	8
#define ROUNDS		20
/* A turn of all that wants to run on two processors takes a few 10 ms. */
#define PATIENCE	2000
/* Paging and copies, dispatcher, control, main thread; of one device. */
#define FIXED_THREADS	6

static void write_vram(struct guest *g, u64 addr, u64 value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_FILL, .dst = addr, .len = 8, .arg = value,
	};

	KUNIT_ASSERT_EQ(g->test, guest_do(g, 0, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
}

/* One address space for all queues, with one page: a list without end. */
static void make_space(struct guest *g)
{
	const struct vsvm_hw_cmd root = {
		.op = VSVM_HW_SET_ROOT, .dst = 0x1000, .src = VSVM_HW_NUM_QUEUES,
	};
	u64 *node = guest_ram(g, LIST);
	int level;

	for (level = 3; level; level--)
		write_vram(g, (4 - level) * 0x1000 + VSVM_PT_INDEX(VA, level) * 8,
			   (5 - level) * 0x1000 | VSVM_PTE_VALID);
	write_vram(g, 0x4000, LIST | VSVM_PTE_VALID | VSVM_PTE_WRITE |
		   (u64)VSVM_HW_SYSTEM << VSVM_PTE_APERTURE_SHIFT);
	node[0] = VA;
	node[1] = 1;
	KUNIT_ASSERT_EQ(g->test, guest_do(g, 0, VSVM_HW_PAGING, &root), VSVM_HW_OK);
}

static void spin(struct guest *g, unsigned int num)
{
	const struct vsvm_hw_cmd chase = {
		.op = VSVM_HW_K_CHASE, .dst = VA + 64, .src = VA, .arg = 8,
	};
	unsigned int i;

	for (i = 0; i < num; i++) {
		guest_push(g, 0, QUEUE(i), &chase);
		guest_ring(g, 0, QUEUE(i));
	}
}

static unsigned int num_threads(pid_t pid)
{
	struct dirent *entry;
	unsigned int num = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		num += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return num;
}

/* ms that @cmd took on the paging channel at worst */
static u64 worst_of(struct guest *g, const struct vsvm_hw_cmd *cmd)
{
	u64 begin, worst = 0;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		begin = now_ms();
		KUNIT_ASSERT_EQ(g->test, guest_do(g, 0, VSVM_HW_PAGING, cmd), VSVM_HW_OK);
		worst = now_ms() - begin > worst ? now_ms() - begin : worst;
	}
	return worst;
}

static void load_invalidate(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	const struct vsvm_hw_cmd all = {
		.op = VSVM_HW_TLB_INVALIDATE, .dst = VA, .len = PAGE,
		.src = VSVM_HW_NUM_QUEUES,
	};
	struct vsvm_hw_cmd some = all;
	pid_t hog[NUM_HOGS];
	u64 worst;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	make_space(g);
	spin(g, VSVM_HW_NUM_QUEUES);
	hogs_start(hog, NUM_HOGS);
	usleep(300000);
	/* As many queues as an address space has. */
	some.src = 4;
	worst = worst_of(g, &some);
	kunit_info(test, "4 queues: %llu ms at worst\n", worst);
	KUNIT_EXPECT_LT(test, worst, PATIENCE);
	worst = worst_of(g, &all);
	kunit_info(test, "all queues: %llu ms at worst\n", worst);
	KUNIT_EXPECT_LT(test, worst, 3 * PATIENCE);
	hogs_end(hog, NUM_HOGS);
	KUNIT_EXPECT_LT(test, num_threads(guest_engine(g)),
			FIXED_THREADS + sysconf(_SC_NPROCESSORS_ONLN) + 1);
}

static void load_turns(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	const unsigned int last = VSVM_HW_NUM_QUEUES - 1;
	const struct vsvm_hw_cmd fill = {
		.op = VSVM_HW_K_FILL, .dst = VA + 128, .len = 64, .arg = 0x5a,
	};
	struct vsvm_hw_ring *ring = g->dev[0].bar->shared.ring;
	unsigned int i;
	u64 begin;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	make_space(g);
	spin(g, last);
	usleep(100000);
	for (i = 0; i < ROUNDS; i++) {
		begin = now_ms();
		KUNIT_ASSERT_EQ(test, guest_do(g, 0, QUEUE(last), &fill), VSVM_HW_OK);
		KUNIT_EXPECT_LT(test, now_ms() - begin, PATIENCE);
	}
	for (i = 0; i < last; i++) {
		WRITE_ONCE(ring[QUEUE(i)].cancel, g->dev[0].head[QUEUE(i)]);
		guest_ring(g, 0, QUEUE(i));
	}
	for (i = 0; i < last; i++)
		KUNIT_ASSERT_TRUE(test, guest_wait_tail(g, 0, QUEUE(i), 1));
	KUNIT_EXPECT_EQ(test, guest_slot(g, 0, QUEUE(7), 0)->status, VSVM_HW_ERR_CANCELLED);
}

static struct kunit_case load_cases[] = {
	KUNIT_CASE(load_invalidate),
	KUNIT_CASE(load_turns),
	{ }
};

static struct kunit_suite load_suite = {
	.name = "vsvm_device_load",
	.exit = guest_exit,
	.test_cases = load_cases,
};

kunit_test_suite(load_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The model check: what happens to the walkers, see model.h.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "model.h"

#define CGROUP		VT_CGROUPS "/vsvm-model"

/* What happens now and then, and not all the time. */
#define EVENTS		(MODEL_EVICT | MODEL_KILL | MODEL_LINK | MODEL_UNBIND | \
			 MODEL_CGROUP)

#define MM		"/sys/kernel/mm/"
#define KHUGEPAGED	MM "transparent_hugepage/khugepaged/"

/* Files of the kernel, for as long as the walkers walk and afterwards. */
static const struct {
	const char *path;
	const char *begin;
	const char *end;
} knob[] = {
	{ MM "ksm/pages_to_scan", "500", "100" },
	{ MM "ksm/sleep_millisecs", "10", "20" },
	/* Afterwards, what is merged is taken apart. */
	{ MM "ksm/run", "1", "2" },
	{ MM "ksm/run", NULL, "0" },
	{ KHUGEPAGED "pages_to_scan", "4096", "4096" },
	{ KHUGEPAGED "scan_sleep_millisecs", "100", "10000" },
	{ KHUGEPAGED "alloc_sleep_millisecs", "100", "60000" },
};

static void turn_knobs(bool begin)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(knob); i++) {
		if (begin && !knob[i].begin)
			continue;
		err = vsvm_write_file(knob[i].path, begin ? knob[i].begin :
							    knob[i].end);
		if (err)
			fprintf(stderr, "# without %s: errno %d\n", knob[i].path,
				-err);
	}
}

/*
 * mm has a list for each memory cgroup of the large pages that are to be split,
 * and makes it with the cgroup's first large page in RAM. One that came into being
 * in VRAM does not count, so that mm warns (VM_WARN_ON) when it splits that one.
 */
static void have_large_page_in_ram(void)
{
	__u8 *p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	if (!p)
		return;
	memset(p, 1, LARGE_PAGE);
	if (madvise(p, LARGE_PAGE, MADV_COLLAPSE))
		fprintf(stderr, "# no large page in RAM: errno %d\n", errno);
	munmap(p, LARGE_PAGE);
}

void world_join(unsigned int what)
{
	if (!(what & MODEL_CGROUP))
		return;
	vt_cgroup_join(CGROUP);
	have_large_page_in_ram();
}

static void set_link(const struct vsvm_dev *dev, bool up)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/link", dev->name);
	vsvm_write_file(path, up ? "1" : "0");
}

int world_begin(struct world *world, __u64 seed)
{
	unsigned int i;
	int err = 0;

	world->state = seed;
	for (i = 0; i < world->gpus; i++) {
		err = vsvm_open(&world->dev[i], i);
		/* Nothing may be open for long that is to go. */
		if (err)
			break;
		vsvm_close(&world->dev[i]);
		vt_pagemap_reset(&world->dev[i]);
	}
	if (err)
		return err;
	if (world->what & MODEL_CGROUP && vt_cgroup_begin(CGROUP))
		fprintf(stderr, "# without a memory cgroup: errno %d\n", errno);
	if (world->what & MODEL_SYSTEM) {
		turn_knobs(true);
		err = vt_swap_begin();
		if (err)
			fprintf(stderr, "# without swap (modprobe zram): errno %d\n",
				-err);
	}
	return 0;
}

/* For a moment a limit, or memory that has to go now. */
static void squeeze(struct world *world)
{
	static const char * const high[] = { "max", "max", "24M", "48M" };

	if (vt_random_below(&world->state, 2))
		vsvm_write_file(CGROUP "/memory.reclaim", "4M");
	else
		vsvm_write_file(CGROUP "/memory.high",
				high[vt_random_below(&world->state, 4)]);
}

static void unbind(struct world *world, unsigned int i)
{
	int err;

	if (world->unbound[i])
		return;
	/* Those who cannot know what their jobs still do wait for that. */
	__atomic_store_n(&shared->leaving[i], true, __ATOMIC_SEQ_CST);
	err = vsvm_unbind(&world->dev[i]);
	__atomic_store_n(&shared->leaving[i], false, __ATOMIC_SEQ_CST);
	if (err)
		return;
	world->unbound[i] = vt_now_ms() + vt_random_below(&world->state, 300);
}

static void bind_in_time(struct world *world, __u64 now)
{
	unsigned int i;
	int err;

	for (i = 0; i < world->gpus; i++) {
		if (!world->unbound[i] || world->unbound[i] > now)
			continue;
		err = vsvm_bind(&world->dev[i]);
		if (err)
			fprintf(stderr, "# bind: errno %d\n", -err);
		else
			world->unbound[i] = 0;
	}
}

void world_look(struct world *world)
{
	unsigned int i;
	long us;

	for (i = 0; i < world->gpus; i++) {
		us = vt_pagemap_number(&world->dev[i], "longest_evict");
		world->longest_evict = us > world->longest_evict ?
				       us : world->longest_evict;
	}
}

void world_turn(struct world *world, const pid_t *process)
{
	const unsigned int i = vt_random_below(&world->state, world->gpus);
	const unsigned int event = 1u << vt_random_below(&world->state, 8);
	const __u64 now = vt_now_ms();
	pid_t pid;

	bind_in_time(world, now);
	if (now < world->next || !(world->what & EVENTS & event))
		return;
	world->next = now + 50 + vt_random_below(&world->state, 600);
	world->events++;
	world_look(world);
	switch (event) {
	case MODEL_EVICT:
		vsvm_evict(&world->dev[i]);
		break;
	case MODEL_KILL:
		pid = process[vt_random_below(&world->state, MAX_PROCESSES)];
		if (pid && !vt_random_below(&world->state, 3))
			kill(pid, SIGKILL);
		break;
	case MODEL_LINK:
		set_link(&world->dev[i], vt_random_below(&world->state, 3));
		break;
	case MODEL_UNBIND:
		unbind(world, i);
		break;
	case MODEL_CGROUP:
		squeeze(world);
		break;
	}
}

void world_calm(struct world *world)
{
	unsigned int i;

	bind_in_time(world, ~0ull);
	for (i = 0; i < world->gpus; i++)
		if (world->what & MODEL_LINK)
			set_link(&world->dev[i], true);
	if (world->what & MODEL_CGROUP)
		vsvm_write_file(CGROUP "/memory.high", "max");
}

void world_end(struct world *world)
{
	world_calm(world);
	if (world->what & MODEL_SYSTEM) {
		turn_knobs(false);
		vt_swap_end();
	}
	if (world->what & MODEL_CGROUP) {
		rmdir(CGROUP);
		umount(VT_CGROUPS);
	}
}

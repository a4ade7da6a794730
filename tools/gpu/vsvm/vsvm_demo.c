// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A program that lets a GPU work on its own memory. A file is read into
 * malloc'ed memory and a linked list is built from malloc'ed nodes; the GPU
 * gets nothing but their virtual addresses. Pages move to VRAM when the GPU
 * touches them and come home when the CPU does, also when the GPU is taken
 * away. After each step the demo shows where the pages are, and what the CPU
 * computes itself says whether all of it is right, byte by byte.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "demo_data.h"
#include "demo_report.h"

#define NODES		10000
#define FACTOR		3	/* of the saxpy */
#define PIECE		(32ul << 20)	/* bytes for one job, far from its time-out */
#define MAX_VECTOR	(16ul << 20)	/* bytes of each saxpy operand */
#define JOB_NS		(60ll * 1000000000)	/* more than any job takes */

/**
 * struct demo - the program's state
 * @dev: the GPU
 * @vm: GPU address space that mirrors this process
 * @buf: the file in memory, with the bytes that must be there
 * @y: saxpy: y += FACTOR * x
 * @x: the other operand
 * @list: the linked list
 * @done: user fence: the GPU writes there how many jobs it has done
 * @jobs: that it was given
 * @wrong: differences found
 * @no_unbind: leave the GPU bound
 * @seed: of everything random
 */
struct demo {
	struct vsvm_dev dev;
	__u32 vm;
	struct data_buffer buf;
	struct data_buffer y;
	struct data_buffer x;
	struct data_list list;
	__u64 *done;
	__u64 jobs;
	size_t wrong;
	bool no_unbind;
	__u64 seed;
};

static int complain(const char *what, int err)
{
	fflush(stdout);
	fprintf(stderr, "vsvm-demo: %s: %s\n", what,
		err == -ENODATA ? "the file is empty" : strerror(-err));
	return err;
}

/* One job, which the GPU says in memory that it has done. */
static int run(struct demo *d, const char *what,
	       const struct drm_vsvm_kernel *kernels, unsigned int count)
{
	struct drm_vsvm_exec exec = {
		.vm_id = d->vm,
		.flags = DRM_VSVM_EXEC_FENCE,
		.num_kernels = count,
		.kernels = vsvm_addr(kernels),
		.fence_addr = vsvm_addr(d->done),
		.fence_value = ++d->jobs,
	};
	struct drm_vsvm_wait_user_fence wait = {
		.vm_id = d->vm,
		.op = DRM_VSVM_UFENCE_GTE,
		.addr = vsvm_addr(d->done),
		.value = d->jobs,
		.mask = ~0ull,
		.timeout_ns = JOB_NS,
	};
	int err;

	err = vsvm_exec(d->dev.fd, &exec);
	if (err)
		return complain(what, err);
	wait.job = exec.job;
	err = vsvm_wait_user_fence(d->dev.fd, &wait);
	if (err == -EIO)
		err = wait.error;
	if (err == -EFAULT)
		fprintf(stderr, "vsvm-demo: kernel %u failed at 0x%llx\n",
			wait.failed_kernel, wait.fault_addr);
	return err ? complain(what, err) : 0;
}

/* A map of a range, from the GPU's driver or, without one, from the kernel. */
static bool residency(struct demo *d, const void *addr, size_t len,
		      __u8 *map)
{
	return !vsvm_residency(d->dev.fd, d->vm, addr, len, map) ||
	       !vsvm_residency_pagemap(addr, len, map);
}

static void show_range(struct demo *d, const char *name, const void *addr,
		       size_t len)
{
	size_t pages = vsvm_pages(addr, len);
	__u8 *map = malloc(pages);

	if (map && residency(d, addr, len, map))
		report_bar(name, map, pages);
	else
		report_line(name, "(cannot say where it is)");
	free(map);
}

static void show_list(struct demo *d)
{
	size_t i = 0, pages = 0, limit = data_list_pages(&d->list);
	__u8 *map = malloc(limit);
	bool ok = map;
	const void *addr;
	size_t len;

	while (ok && data_list_extent(&d->list, &i, &addr, &len)) {
		ok = residency(d, addr, len, map + pages);
		pages += vsvm_pages(addr, len);
	}
	if (ok)
		report_bar("list", map, pages);
	else
		report_line("list", "(cannot say where it is)");
	free(map);
}

static void show(struct demo *d, struct report_step *step, const char *title)
{
	report_end(step, title);
	show_range(d, "buffer", d->buf.data, d->buf.len);
	show_range(d, "vector", d->y.data, d->y.len);
	show_list(d);
	report_moves(step);
}

/* Compare a result of the GPU with the CPU's own. */
static void judge(struct demo *d, const char *what, const void *found,
		  const void *expected, size_t len)
{
	size_t wrong = report_differences("result", found, expected, len);

	if (!wrong)
		report_line("result", "%s: as the CPU computes it", what);
	d->wrong += wrong;
}

/* Histogram and sum, in one job for each piece of the buffer. */
static int gpu_histogram(struct demo *d)
{
	size_t at, i, piece, count = (d->buf.len + PIECE - 1) / PIECE;
	struct data_digest cpu, gpu = {};
	struct report_step step;
	struct data_digest *part;
	int err = 0;

	part = calloc(count, sizeof(*part));
	if (!part)
		return complain("memory for the results", -ENOMEM);
	report_begin(&step, d->dev.fd);
	for (i = 0, at = 0; i < count && !err; i++, at += piece) {
		piece = d->buf.len - at < PIECE ? d->buf.len - at : PIECE;
		const struct drm_vsvm_kernel kernels[] = {
			{
				.op = DRM_VSVM_OP_HISTOGRAM,
				.dst = vsvm_addr(part[i].histogram),
				.src = vsvm_addr(d->buf.data + at),
				.count = piece,
			}, {
				.op = DRM_VSVM_OP_SUM,
				.dst = vsvm_addr(&part[i].sum),
				.src = vsvm_addr(d->buf.data + at),
				.count = piece,
			},
		};

		err = run(d, "histogram and sum", kernels, 2);
	}
	if (!err) {
		show(d, &step, "GPU: histogram and sum of the buffer");
		for (i = 0; i < count; i++)
			data_digest_add(&gpu, &part[i]);
		data_digest(&cpu, d->buf.expected, d->buf.len);
		judge(d, "256 counts and the sum", &gpu, &cpu, sizeof(gpu));
	}
	free(part);
	return err;
}

static int gpu_add(struct demo *d)
{
	struct report_step step;
	size_t at, piece, i;
	int err = 0;

	report_begin(&step, d->dev.fd);
	for (at = 0; at < d->buf.len && !err; at += piece) {
		piece = d->buf.len - at < PIECE ? d->buf.len - at : PIECE;
		const struct drm_vsvm_kernel kernel = {
			.op = DRM_VSVM_OP_ADD,
			.dst = vsvm_addr(d->buf.data + at),
			.src = vsvm_addr(d->buf.data + at),
			.count = piece,
			.arg = 1,
		};

		err = run(d, "add", &kernel, 1);
	}
	if (err)
		return err;
	show(d, &step, "GPU: adds 1 to every byte of the buffer, in place");
	for (i = 0; i < d->buf.len; i++)
		d->buf.expected[i]++;
	return 0;
}

static int gpu_saxpy(struct demo *d)
{
	const struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_SAXPY,
		.dst = vsvm_addr(d->y.data),
		.src = vsvm_addr(d->x.data),
		.count = d->y.len / sizeof(__u32),
		.arg = FACTOR,
	};
	__u32 *y = (__u32 *)d->y.expected;
	__u32 *x = (__u32 *)d->x.expected;
	struct report_step step;
	size_t i;
	int err;

	report_begin(&step, d->dev.fd);
	err = run(d, "saxpy", &kernel, 1);
	if (err)
		return err;
	show(d, &step, "GPU: y += 3 * x on vectors of 32-bit numbers");
	for (i = 0; i < kernel.count; i++)
		y[i] += FACTOR * x[i];
	return 0;
}

static int gpu_chase(struct demo *d)
{
	__u64 cpu[2] = { NODES, d->list.sum };
	struct report_step step;
	__u64 *gpu;
	int err;

	gpu = calloc(2, sizeof(*gpu));
	if (!gpu)
		return complain("memory for the results", -ENOMEM);
	const struct drm_vsvm_kernel kernel = {
		.op = DRM_VSVM_OP_CHASE,
		.dst = vsvm_addr(gpu),
		.src = vsvm_addr(d->list.head),
		.arg = offsetof(struct data_node, value),
	};

	report_begin(&step, d->dev.fd);
	err = run(d, "walk of the list", &kernel, 1);
	if (!err) {
		show(d, &step, "GPU: walks the list, pointer by pointer");
		judge(d, "nodes and the sum of their values", gpu, cpu,
		      sizeof(cpu));
	}
	free(gpu);
	return err;
}

static size_t compare(struct demo *d)
{
	size_t wrong;

	wrong = report_differences("buffer", d->buf.data, d->buf.expected,
				   d->buf.len);
	wrong += report_differences("vector", d->y.data, d->y.expected,
				    d->y.len);
	wrong += report_differences("vector", d->x.data, d->x.expected,
				    d->x.len);
	return wrong;
}

static void cpu_readback(struct demo *d, const char *title)
{
	struct report_step step;
	size_t wrong;

	report_begin(&step, d->dev.fd);
	wrong = compare(d) + data_list_check(&d->list);
	show(d, &step, title);
	if (wrong)
		report_line("result", "%zu differences", wrong);
	else
		report_line("result", "%zu bytes and %d nodes are right",
			    d->buf.len + d->y.len + d->x.len, NODES);
	d->wrong += wrong;
}

static int move_to_vram(struct demo *d)
{
	const struct data_buffer *buffers[] = { &d->buf, &d->y, &d->x };
	__u64 moved, skipped, all_moved = 0, all_skipped = 0;
	struct report_step step;
	const void *addr;
	size_t i, len;
	int err = 0;

	report_begin(&step, d->dev.fd);
	for (i = 0; i < 3 && !err; i++) {
		err = vsvm_prefetch(d->dev.fd, d->vm, buffers[i]->data,
				    buffers[i]->len, DRM_VSVM_LOC_DEVICE,
				    &moved, &skipped);
		all_moved += err ? 0 : moved;
		all_skipped += err ? 0 : skipped;
	}
	for (i = 0; !err && data_list_extent(&d->list, &i, &addr, &len);) {
		err = vsvm_prefetch(d->dev.fd, d->vm, addr, len,
				    DRM_VSVM_LOC_DEVICE, &moved, &skipped);
		all_moved += err ? 0 : moved;
		all_skipped += err ? 0 : skipped;
	}
	if (err)
		return complain("prefetch", err);
	show(d, &step, "prefetch: everything goes to VRAM on request");
	report_line("result", "%llu pages moved, %llu skipped",
		    all_moved, all_skipped);
	return 0;
}

static size_t pages_in_vram(struct demo *d, const void *addr, size_t len)
{
	struct vsvm_where where;

	return vsvm_where(d->dev.fd, d->vm, addr, len, &where) ? 0 : where.device;
}

/* The counters go with the GPU: what comes home has to be known before. */
static __u64 bytes_in_vram(struct demo *d)
{
	size_t i = 0, len, pages;
	const void *addr;

	pages = pages_in_vram(d, d->buf.data, d->buf.len) +
		pages_in_vram(d, d->y.data, d->y.len) +
		pages_in_vram(d, d->x.data, d->x.len);
	while (data_list_extent(&d->list, &i, &addr, &len))
		pages += pages_in_vram(d, addr, len);
	return pages * vsvm_page_size();
}

static int take_away(struct demo *d)
{
	__u64 bytes = bytes_in_vram(d);
	struct report_step step;
	char size[REPORT_SIZE];
	int err;

	report_begin(&step, d->dev.fd);
	err = vsvm_unbind(&d->dev);
	if (err)
		return complain("unbind through sysfs", err);
	show(d, &step, "unbind: the GPU is taken away, with the data in its VRAM");
	report_line("to RAM", "%-11s  %.1f MB/s over the step",
		    report_size(size, bytes), bytes * 1e3 / step.ns);
	return 0;
}

static int steps(struct demo *d)
{
	int err;

	err = gpu_histogram(d);
	err = err ?: gpu_add(d);
	err = err ?: gpu_saxpy(d);
	err = err ?: gpu_chase(d);
	if (err)
		return err;
	cpu_readback(d, "CPU: reads everything back and compares");
	if (d->no_unbind)
		return 0;
	err = move_to_vram(d);
	err = err ?: take_away(d);
	if (!err)
		cpu_readback(d, "CPU: reads everything again, without a GPU");
	return err;
}

/* Everything that the demo works on. Prints what is wrong. */
static int prepare(struct demo *d, const char *input, size_t size)
{
	struct report_step step;
	size_t vector;
	int err;

	report_begin(&step, d->dev.fd);
	err = input ? data_buffer_read(&d->buf, input) :
		      data_buffer_random(&d->buf, size, d->seed);
	if (err)
		return complain(input ?: "memory for the buffer", err);
	vector = d->buf.len < MAX_VECTOR ? d->buf.len : MAX_VECTOR;
	vector = (vector + sizeof(__u32) - 1) & -sizeof(__u32);
	err = data_buffer_random(&d->x, vector, d->seed + 1);
	err = err ?: data_buffer_random(&d->y, vector, d->seed + 2);
	err = err ?: data_list_build(&d->list, NODES, d->seed + 3);
	if (err)
		return complain("memory for the list and the vectors", err);

	report_line("buffer", "%zu bytes of %s at %p", d->buf.len,
		    input ?: "random data", (void *)d->buf.data);
	report_line("vector", "%zu numbers of 32 bits, twice",
		    vector / sizeof(__u32));
	report_line("list", "%d nodes of %zu bytes in shuffled order", NODES,
		    sizeof(struct data_node));
	report_line("seed", "%llu", d->seed);
	report_legend();
	show(d, &step, input ? "CPU: reads the file and builds the list" :
			       "CPU: fills the buffer and builds the list");
	return 0;
}

static int open_gpu(struct demo *d, int id)
{
	struct drm_vsvm_device_info info;
	char total[REPORT_SIZE], used[REPORT_SIZE];
	int err;

	err = vsvm_open(&d->dev, id);
	if (err == -ENODEV) {
		fprintf(stderr, "vsvm-demo: no GPU%s (is vsvm.ko loaded?)\n",
			id < 0 ? "" : " of that number");
		return err;
	}
	err = err ?: vsvm_query_device(d->dev.fd, &info);
	err = err ?: vsvm_vm_create(d->dev.fd, &d->vm);
	if (err)
		return complain(d->dev.node[0] ? d->dev.node : "GPU", err);
	/* By itself, so that nothing else moves when the GPU writes it. */
	d->done = mmap(NULL, vsvm_page_size(), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (d->done == MAP_FAILED)
		return complain("memory for the fence", -ENOMEM);
	printf("A GPU works on a program's own memory, by its pointers.\n\n");
	report_line("GPU", "%u, %s, VRAM %s (%s in use)", d->dev.id, d->dev.node,
		    report_size(total, info.vram_size),
		    report_size(used, info.vram_used));
	return 0;
}

static void print_usage(void)
{
	printf("usage: vsvm-demo [options] [INPUT]\n"
	       "  INPUT           file to work on\n"
	       "  --size BYTES    use random data instead of a file (default: 4 MiB)\n"
	       "  --seed N        seed of everything random\n"
	       "  --device N      number of the GPU\n"
	       "  --no-unbind     do not take the GPU away (needs no root)\n"
	       "  --help          this text\n");
}

/* A number and nothing else. Returns false if @text is not one. */
static bool number(const char *text, __u64 max, __u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return !errno && *text >= '0' && *text <= '9' && !*end && *value <= max;
}

/* Returns 0 to go on, 1 after --help, else -EINVAL. */
static int parse(int argc, char **argv, struct demo *d, __u64 *size,
		 __u64 *id)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "device", required_argument, NULL, 'd' },
		{ "no-unbind", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	bool ok = true;
	int opt;

	while (ok && (opt = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (opt == 's')
			ok = number(optarg, SIZE_MAX / 8, size) && *size;
		else if (opt == 'r')
			ok = number(optarg, UINT64_MAX, &d->seed);
		else if (opt == 'd')
			ok = number(optarg, INT_MAX, id);
		else if (opt == 'n')
			d->no_unbind = true;
		else if (opt == 'h')
			return 1;
		else
			return -EINVAL;
	}
	if (!ok)
		fprintf(stderr, "vsvm-demo: not a valid number: %s\n", optarg);
	else if (argc - optind > 1 || (*size && optind < argc))
		fprintf(stderr, "vsvm-demo: one INPUT, or --size\n");
	else
		return 0;
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct demo d = { .seed = 1 };
	__u64 size = 0, id = UINT64_MAX;
	int err;

	err = parse(argc, argv, &d, &size, &id);
	if (err > 0)
		print_usage();
	if (err)
		return err < 0;
	report_init();
	if (open_gpu(&d, id == UINT64_MAX ? -1 : (int)id))
		return 1;
	err = prepare(&d, optind < argc ? argv[optind] : NULL,
		      size ?: 4ul << 20);
	err = err ?: steps(&d);
	if (!err && !d.wrong) {
		printf("\ndemo: OK\n");
		return 0;
	}
	printf("\ndemo: FAILED\n");
	return 1;
}

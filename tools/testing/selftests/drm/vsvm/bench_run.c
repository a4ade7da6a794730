// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Figures of the GPU that is there: one line each, "NAME VALUE UNIT". Which one
 * it is, and how often, is up to who calls it: tools/testing/kernel/bench.sh.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vsvm_test.h"

#define LEN		(32 * MIB)
#define WORK_LEN	(8 * MIB)

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* The copy engines, by debugfs: ns and MB/s of a round, MB/s of its commands. */
struct engine_figure {
	unsigned int least, median, p99, mbps, command_mbps;
};

static int engine(const struct vt *t, const char *what, struct engine_figure *f)
{
	char path[128], text[64] = "";
	int fd, err = 0;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/copy_bench",
		 t->dev.name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, what, strlen(what)) < 0 ||
	    pread(fd, text, sizeof(text) - 1, 0) < 0)
		err = -errno;
	close(fd);
	if (!err && sscanf(text, "%u %u %u %u %u", &f->least, &f->median,
			   &f->p99, &f->mbps, &f->command_mbps) != 5)
		err = -EPROTO;
	return err;
}

static int engines(const struct vt *t)
{
	static const struct {
		const char *name, *what;
		bool latency;
	} list[] = {
		{ "2MiB_512_pages_to_vram", "to_vram 2097152 4096 100", false },
		{ "2MiB_512_pages_from_vram", "from_vram 2097152 4096 100", false },
		{ "2MiB_one_piece_to_vram", "to_vram 2097152 2097152 100", false },
		{ "2MiB_one_piece_from_vram", "from_vram 2097152 2097152 100", false },
		{ "4KiB_to_vram", "to_vram 4096 4096 2000", true },
		{ "4KiB_from_vram", "from_vram 4096 4096 2000", true },
	};
	struct engine_figure f;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		err = engine(t, list[i].what, &f);
		if (err)
			return err;
		if (list[i].latency)
			printf("%s_p50 %.1f us\n%s_p99 %.1f us\n", list[i].name,
			       f.median / 1e3, list[i].name, f.p99 / 1e3);
		else
			printf("%s %u MB/s\n%s_commands %u MB/s\n", list[i].name,
			       f.mbps, list[i].name, f.command_mbps);
	}
	return 0;
}

static void print_rate(const char *name, __u64 ns)
{
	printf("%s %llu MB/s\n", name, (unsigned long long)LEN * 1000 / ns);
}

/* Memory of 4 KiB pages to VRAM by faults of the GPU, and home by the CPU's. */
static int round_trip(struct vt *t)
{
	struct vt_buf b;
	__u64 start, sum;
	size_t i;
	int err;

	err = vt_buf_map(&b, LEN, VT_SMALL);
	if (err)
		return err;
	start = now_ns();
	err = vt_sum(t, b.p, LEN, &sum);
	print_rate("gpu_faults_in", now_ns() - start);
	start = now_ns();
	for (i = 0; i < LEN; i += vsvm_page_size())
		__atomic_load_n(&b.p[i], __ATOMIC_RELAXED);
	print_rate("cpu_reads_back", now_ns() - start);
	err = err ?: vt_buf_check(&b);
	vt_buf_unmap(&b);
	return err;
}

struct gpu_work {
	struct vt *t;
	__u8 *p;
	unsigned int times;
	int err;
};

static void *gpu_work(void *arg)
{
	struct gpu_work *w = arg;
	unsigned int i;

	for (i = 0; i < w->times && !w->err; i++)
		w->err = vt_add(w->t, w->p, w->p, WORK_LEN, 1);
	return NULL;
}

static void cpu_work(unsigned int times)
{
	static __u64 x = 1;
	unsigned int i, j;

	for (i = 0; i < times; i++)
		for (j = 0; j < 1000000; j++)
			__atomic_store_n(&x, x * 6364136223846793005ull + 1,
					 __ATOMIC_RELAXED);
}

/*
 * Work of the GPU, work of the CPU, and both at a time: (GPU + CPU) / both. That
 * is 1 if one waits for the other, and 2 if they do not know of each other.
 */
static int side_by_side(struct vt *t)
{
	struct gpu_work w = { .t = t, .times = 20 };
	__u64 gpu, cpu, both;
	unsigned int times;
	pthread_t thread;

	w.p = vt_map_aligned(WORK_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	if (!w.p)
		return -ENOMEM;
	memset(w.p, 1, WORK_LEN);
	gpu_work(&w);
	gpu = now_ns();
	gpu_work(&w);
	gpu = now_ns() - gpu;
	/* As much for the CPU. */
	cpu = now_ns();
	cpu_work(1);
	cpu = now_ns() - cpu;
	times = gpu / cpu + 1;
	cpu = now_ns();
	cpu_work(times);
	cpu = now_ns() - cpu;
	both = now_ns();
	if (pthread_create(&thread, NULL, gpu_work, &w))
		return -ENOMEM;
	cpu_work(times);
	pthread_join(thread, NULL);
	both = now_ns() - both;
	printf("overlap %.2f ratio\n", (double)(gpu + cpu) / both);
	munmap(w.p, WORK_LEN);
	return w.err;
}

int main(void)
{
	struct vt t;
	int err;

	if (vt_open(&t))
		return 2;
	err = engines(&t);
	err = err ?: round_trip(&t);
	err = err ?: side_by_side(&t);
	vt_close(&t);
	if (err)
		fprintf(stderr, "bench_run: %s\n", strerror(-err));
	return err ? 1 : 0;
}

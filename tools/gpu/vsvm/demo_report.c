// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What vsvm-demo prints, see demo_report.h. Lines fit into 80 columns.
 */
#define _GNU_SOURCE
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "demo_report.h"

#define BAR_WIDTH	52
#define TITLE_WIDTH	66
#define MAX_SHOWN	4	/* differences printed for each piece of data */

enum tint { PLAIN, BOLD, VRAM, SYSTEM, DIM, BAD };

static bool colours;

static const char *tint(enum tint tint)
{
	static const char * const code[] = {
		[PLAIN] = "\033[0m",
		[BOLD] = "\033[1m",
		[VRAM] = "\033[32m",
		[SYSTEM] = "\033[36m",
		[DIM] = "\033[2m",
		[BAD] = "\033[31m",
	};

	return colours ? code[tint] : "";
}

void report_init(void)
{
	colours = isatty(STDOUT_FILENO);
	/* Steps appear as they happen, also through a pipe. */
	setvbuf(stdout, NULL, _IOLBF, 0);
}

void report_legend(void)
{
	report_line("legend", "%s#%s VRAM   %s-%s system memory   + both   %s.%s no page yet",
		    tint(VRAM), tint(PLAIN), tint(SYSTEM), tint(PLAIN),
		    tint(DIM), tint(PLAIN));
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void report_begin(struct report_step *step, int fd)
{
	*step = (struct report_step){ .fd = fd };
	step->counted = !vsvm_query_stats(fd, &step->stats);
	step->start_ns = now_ns();
}

void report_end(struct report_step *step, const char *title)
{
	static unsigned int number;
	struct drm_vsvm_stats after;

	step->ns = now_ns() - step->start_ns;
	if (step->counted && !vsvm_query_stats(step->fd, &after)) {
		vsvm_stats_sub(&after, &step->stats);
		step->stats = after;
	} else {
		step->counted = false;
	}
	printf("\n%s%2u %-*s%s %7.1f ms\n", tint(BOLD), ++number, TITLE_WIDTH,
	       title, tint(PLAIN), step->ns / 1e6);
}

const char *report_size(char *text, __u64 bytes)
{
	static const char * const unit[] = { "KiB", "MiB", "GiB", "TiB" };
	double size = bytes / 1024.0;
	unsigned int i = 0;

	if (bytes < 1024) {
		snprintf(text, REPORT_SIZE, "%u bytes", (unsigned int)bytes);
		return text;
	}
	while (size >= 1000 && i < 3) {
		size /= 1024;
		i++;
	}
	snprintf(text, REPORT_SIZE, "%.2f %s", size, unit[i]);
	return text;
}

/* The character for pages [from, to) of a map. */
static char cell(const __u8 *map, size_t from, size_t to)
{
	struct vsvm_where where;

	vsvm_where_count(&where, map + from, to - from);
	if (where.device && where.system)
		return '+';
	if (where.device)
		return '#';
	return where.system ? '-' : '.';
}

static enum tint cell_tint(char c)
{
	switch (c) {
	case '#':
		return VRAM;
	case '-':
		return SYSTEM;
	case '.':
		return DIM;
	default:
		return PLAIN;
	}
}

void report_bar(const char *name, const __u8 *map, size_t pages)
{
	enum tint last = PLAIN;
	struct vsvm_where where;
	size_t i, from, to;
	char c;

	printf("   %-8s[", name);
	for (i = 0; i < BAR_WIDTH; i++) {
		from = i * pages / BAR_WIDTH;
		to = (i + 1) * pages / BAR_WIDTH;
		/* Fewer pages than cells: a page has several. */
		c = cell(map, from, to > from ? to : from + 1);
		if (cell_tint(c) != last) {
			last = cell_tint(c);
			printf("%s%s", tint(PLAIN), tint(last));
		}
		putchar(c);
	}
	vsvm_where_count(&where, map, pages);
	printf("%s] %3.0f%% VRAM\n", tint(PLAIN),
	       100.0 * where.device / (pages ? pages : 1));
}

static void report_direction(const char *name, __u64 bytes,
			     __u64 copy_ns, __u64 step_ns)
{
	char size[REPORT_SIZE];

	if (!bytes) {
		report_line(name, "nothing");
		return;
	}
	/* Bytes for each microsecond are MB/s. */
	report_line(name, "%-11s  copied at %.0f MB/s, %.1f MB/s over the step",
		    report_size(size, bytes), bytes * 1e3 / (copy_ns ? copy_ns : 1),
		    bytes * 1e3 / step_ns);
}

void report_moves(const struct report_step *step)
{
	const struct drm_vsvm_stats *stats = &step->stats;
	char size[REPORT_SIZE];

	if (!step->counted)
		return;
	report_direction("to VRAM", stats->to_vram_bytes, stats->to_vram_ns,
			 step->ns);
	report_direction("to RAM", stats->to_ram_bytes, stats->to_ram_ns,
			 step->ns);
	if (stats->cleared_bytes)
		report_line("cleared", "%s of VRAM for memory that had no page",
			    report_size(size, stats->cleared_bytes));
	report_line("faults", "GPU %llu (%llu merged), CPU %llu",
		    stats->gpu_faults,
		    stats->gpu_faults_merged,
		    stats->cpu_faults);
}

/* Print the bytes of a block that differ, as long as few have. */
static size_t block_differences(const char *name, const __u8 *addr,
				const __u8 *found, const __u8 *expected,
				size_t len, size_t wrong)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (found[i] == expected[i] || wrong++ >= MAX_SHOWN)
			continue;
		report_line(name, "%sWRONG%s at %p: expected 0x%02x, found 0x%02x",
			    tint(BAD), tint(PLAIN), (const void *)&addr[i],
			    expected[i], found[i]);
	}
	return wrong;
}

size_t report_differences(const char *name, const void *found,
			  const void *expected, size_t len)
{
	const __u8 *a = found, *b = expected;
	size_t at, n, wrong = 0;
	__u8 block[4096];

	/* From a copy: what is compared is what is printed. */
	for (at = 0; at < len; at += n) {
		n = len - at < sizeof(block) ? len - at : sizeof(block);
		memcpy(block, a + at, n);
		if (memcmp(block, b + at, n))
			wrong = block_differences(name, a + at, block, b + at,
						  n, wrong);
	}
	if (wrong > MAX_SHOWN)
		report_line(name, "%zu bytes of %zu are wrong", wrong, len);
	return wrong;
}

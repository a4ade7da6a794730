/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What vsvm-demo prints: a block for each step, made of what the device's
 * counters say and of where the pages are. Nothing here changes memory.
 */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include <stddef.h>
#include <stdio.h>

#include "vsvm_user.h"

/**
 * struct report_step - a step that is being measured
 * @fd: the GPU
 * @start_ns: when it began
 * @ns: how long it took
 * @stats: counters: of the device at first, then what the step added
 * @counted: @stats are valid; they are not once the GPU is gone
 */
struct report_step {
	int fd;
	__u64 start_ns;
	__u64 ns;
	struct drm_vsvm_stats stats;
	bool counted;
};

/* Decide on colours, and explain the bars. */
void report_init(void);
void report_legend(void);

/* The work between the two is what is measured; end prints the headline. */
void report_begin(struct report_step *step, int fd);
void report_end(struct report_step *step, const char *title);

/* A bar of where @pages pages are. */
void report_bar(const char *name, const __u8 *map, size_t pages);
/* Bytes moved and faults taken. */
void report_moves(const struct report_step *step);
/* "name     text" */
#define report_line(name, format, ...) \
	printf("   %-8s" format "\n", name, ##__VA_ARGS__)

/* The first few bytes that differ; returns how many do. */
size_t report_differences(const char *name, const void *found,
			  const void *expected, size_t len);

/* @bytes as text, e.g. "2.04 MiB". @text is as long as REPORT_SIZE. */
#define REPORT_SIZE 32
const char *report_size(char *text, __u64 bytes);

#endif /* DEMO_REPORT_H */

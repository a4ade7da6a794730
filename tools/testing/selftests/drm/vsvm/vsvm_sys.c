// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What tests ask of the kernel besides, see vsvm_test.h.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#include "vsvm_test.h"

/* Of klogctl(2), which has no names for them. */
#define SYSLOG_READ_ALL	3
#define SYSLOG_SIZE	10

long vt_log_number(const char *text)
{
	const int size = klogctl(SYSLOG_SIZE, NULL, 0);
	char *log = calloc(1, size > 0 ? size + 1 : 1), *found;
	long number = -1;

	if (size < 0 || !log || klogctl(SYSLOG_READ_ALL, log, size) < 0)
		return -1;
	for (found = log; (found = strstr(found, text)); number = atol(found))
		found += strlen(text);
	free(log);
	return number;
}

static void debugfs_path(char *path, size_t size, const struct vsvm_dev *dev,
			 const char *file)
{
	snprintf(path, size, "/sys/kernel/debug/dri/%s/%s", dev->name, file);
}

long vt_stat(const struct vt *t, const char *name)
{
	const size_t len = strlen(name);
	char path[PATH_MAX], line[128];
	long value = -1;
	FILE *file;

	debugfs_path(path, sizeof(path), &t->dev, "svm_stats");
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, len) && line[len] == ':')
			value = atol(line + len + 1);
	}
	if (file)
		fclose(file);
	return value;
}

int vt_tell(const struct vt *t, const char *file, const char *text)
{
	char path[PATH_MAX];

	debugfs_path(path, sizeof(path), &t->dev, file);
	return vsvm_write_file(path, text);
}

long vt_read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long number = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

long vt_ask(const struct vt *t, const char *file)
{
	char path[PATH_MAX];

	debugfs_path(path, sizeof(path), &t->dev, file);
	return vt_read_number(path);
}

long vt_pagemap_number(const struct vsvm_dev *dev, const char *name)
{
	char path[PATH_MAX], line[128], *found;
	long number, most = -1;
	FILE *file;

	debugfs_path(path, sizeof(path), dev, "drm_pagemap");
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		found = strstr(line, name);
		if (!found || sscanf(found + strlen(name), ": %ld", &number) != 1)
			continue;
		most = number > most ? number : most;
	}
	fclose(file);
	return most;
}

void vt_pagemap_reset(const struct vsvm_dev *dev)
{
	char path[PATH_MAX];

	debugfs_path(path, sizeof(path), dev, "drm_pagemap");
	vsvm_write_file(path, "0");
}

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
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

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

long vt_read_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	size_t len = strlen(key);
	long value = -ENOENT;
	char line[256];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, len))
			continue;
		/* "key: 12", "key 12", and "12" for an empty key */
		value = strtol(line + len + strspn(line + len, ": \t"), NULL, 0);
		break;
	}
	fclose(file);
	return value;
}

static void debugfs_path(char *path, size_t size, const struct vsvm_dev *dev,
			 const char *file)
{
	snprintf(path, size, "/sys/kernel/debug/dri/%s/%s", dev->name, file);
}

long vt_stat(const struct vt *t, const char *name)
{
	char path[PATH_MAX];

	debugfs_path(path, sizeof(path), &t->dev, "svm_stats");
	return vt_read_number(path, name);
}

int vt_tell(const struct vt *t, const char *file, const char *text)
{
	char path[PATH_MAX];

	debugfs_path(path, sizeof(path), &t->dev, file);
	return vsvm_write_file(path, text);
}

long vt_ask(const struct vt *t, const char *file)
{
	char path[PATH_MAX];

	debugfs_path(path, sizeof(path), &t->dev, file);
	return vt_read_number(path, "");
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

int vt_cgroup_begin(const char *path)
{
	char file[PATH_MAX];

	/* It may be there already; what counts is whether it works. */
	mount("none", VT_CGROUPS, "cgroup2", 0, NULL);
	vsvm_write_file(VT_CGROUPS "/cgroup.subtree_control", "+memory");
	mkdir(path, 0755);
	snprintf(file, sizeof(file), "%s/memory.max", path);
	return access(file, W_OK) ? -errno : 0;
}

int vt_cgroup_join(const char *path)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	return vsvm_write_file(file, "0");
}

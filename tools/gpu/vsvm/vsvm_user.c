// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A thin layer over the user-space interface of vsvm, see vsvm_user.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vsvm_user.h"

/* Render nodes have the minors 128 to 191. */
#define FIRST_RENDER_NODE	128
#define LAST_RENDER_NODE	191

#define DEBUGFS			"/sys/kernel/debug"

static int vsvm_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static bool is_vsvm(int fd)
{
	char name[sizeof(VSVM_DRIVER_NAME)] = "";
	struct drm_version version = {
		.name_len = sizeof(name) - 1,
		.name = name,
	};

	return !vsvm_ioctl(fd, DRM_IOCTL_VERSION, &version) &&
	       version.name_len == sizeof(name) - 1 &&
	       !memcmp(name, VSVM_DRIVER_NAME, sizeof(name) - 1);
}

/* Learn the device's place in sysfs while it is bound: unbind needs it. */
static int find_sysfs(struct vsvm_dev *dev)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	int n;

	if (fstat(dev->fd, &st))
		return -errno;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/device",
		 major(st.st_rdev), minor(st.st_rdev));
	if (!realpath(link, path))
		return -errno;
	n = snprintf(dev->name, sizeof(dev->name), "%s",
		     strrchr(path, '/') + 1);
	if (n >= (int)sizeof(dev->name))
		return -ENAMETOOLONG;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/device/driver",
		 major(st.st_rdev), minor(st.st_rdev));
	return realpath(link, dev->driver) ? 0 : -errno;
}

static int try_open(struct vsvm_dev *dev, int minor, int id)
{
	struct drm_vsvm_device_info info;
	int err = -ENODEV;

	snprintf(dev->node, sizeof(dev->node), "/dev/dri/renderD%d", minor);
	dev->fd = open(dev->node, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		return -errno;
	if (is_vsvm(dev->fd)) {
		err = vsvm_query_device(dev->fd, &info);
		if (!err && id >= 0 && info.device_id != (unsigned int)id)
			err = -ENODEV;
		if (!err)
			err = find_sysfs(dev);
	}
	if (err)
		vsvm_close(dev);
	else
		dev->id = info.device_id;
	return err;
}

int vsvm_open(struct vsvm_dev *dev, int id)
{
	int minor, err, worst = -ENODEV;

	for (minor = FIRST_RENDER_NODE; minor <= LAST_RENDER_NODE; minor++) {
		err = try_open(dev, minor, id);
		if (!err)
			return 0;
		/* A node without permission may have been the one. */
		if (err != -ENOENT && err != -ENODEV && err != -ENXIO)
			worst = err;
	}
	return worst;
}

void vsvm_close(struct vsvm_dev *dev)
{
	if (dev->fd >= 0)
		close(dev->fd);
	dev->fd = -1;
}

static int query(int fd, __u32 param, void *data, size_t size)
{
	struct drm_vsvm_query query = {
		.param = param,
		.size = size,
		.data = vsvm_addr(data),
	};

	memset(data, 0, size);
	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_QUERY, &query);
}

int vsvm_query_device(int fd, struct drm_vsvm_device_info *info)
{
	return query(fd, DRM_VSVM_QUERY_DEVICE, info, sizeof(*info));
}

int vsvm_query_stats(int fd, struct drm_vsvm_stats *stats)
{
	return query(fd, DRM_VSVM_QUERY_STATS, stats, sizeof(*stats));
}

void vsvm_stats_sub(struct drm_vsvm_stats *stats,
		    const struct drm_vsvm_stats *before)
{
	const __u64 *from = (const __u64 *)before;
	__u64 *to = (__u64 *)stats;
	size_t i;

	/* All members are counters of the same type. */
	for (i = 0; i < sizeof(*stats) / sizeof(*to); i++)
		to[i] -= from[i];
}

int vsvm_vm_create(int fd, __u32 *vm)
{
	struct drm_vsvm_vm_create create = {};
	int err;

	err = vsvm_ioctl(fd, DRM_IOCTL_VSVM_VM_CREATE, &create);
	if (!err)
		*vm = create.vm_id;
	return err;
}

int vsvm_vm_destroy(int fd, __u32 vm)
{
	struct drm_vsvm_vm_destroy destroy = { .vm_id = vm };

	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_VM_DESTROY, &destroy);
}

int vsvm_exec(int fd, struct drm_vsvm_exec *exec)
{
	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_EXEC, exec);
}

int vsvm_run(int fd, __u32 vm, const struct drm_vsvm_kernel *kernels,
	     unsigned int count, struct drm_vsvm_exec *result)
{
	struct drm_vsvm_exec exec = {
		.vm_id = vm,
		.flags = DRM_VSVM_EXEC_WAIT,
		.num_kernels = count,
		.kernels = vsvm_addr(kernels),
	};
	int err;

	err = vsvm_exec(fd, &exec);
	if (result)
		*result = exec;
	return err;
}

int vsvm_wait_user_fence(int fd, struct drm_vsvm_wait_user_fence *wait)
{
	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_WAIT_USER_FENCE, wait);
}

int vsvm_gem_create(int fd, __u64 size, __u32 flags, __u32 *handle)
{
	struct drm_vsvm_gem_create create = { .size = size, .flags = flags };
	int err;

	err = vsvm_ioctl(fd, DRM_IOCTL_VSVM_GEM_CREATE, &create);
	if (!err)
		*handle = create.handle;
	return err;
}

int vsvm_gem_close(int fd, __u32 handle)
{
	struct drm_gem_close args = { .handle = handle };

	return vsvm_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

int vsvm_gem_mmap(int fd, __u32 handle, size_t size, void **p)
{
	struct drm_vsvm_gem_mmap args = { .handle = handle };
	int err;

	err = vsvm_ioctl(fd, DRM_IOCTL_VSVM_GEM_MMAP, &args);
	if (err)
		return err;
	*p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		  args.offset);
	return *p == MAP_FAILED ? -errno : 0;
}

int vsvm_gem_share(int fd, __u32 handle, int to_fd, __u32 *to_handle)
{
	struct drm_prime_handle prime = {
		.handle = handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};
	int err;

	err = vsvm_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
	if (err)
		return err;
	err = vsvm_ioctl(to_fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);
	close(prime.fd);
	if (!err)
		*to_handle = prime.handle;
	return err;
}

int vsvm_gem_bind(int fd, __u32 vm, __u32 handle, __u64 offset, __u64 start,
		  __u64 length, __u32 flags)
{
	struct drm_vsvm_vm_bind bind = {
		.vm_id = vm,
		.op = DRM_VSVM_BIND_MAP,
		.handle = handle,
		.flags = flags,
		.offset = offset,
		.start = start,
		.length = length,
	};

	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_VM_BIND, &bind);
}

int vsvm_gem_unbind(int fd, __u32 vm, __u64 start, __u64 length)
{
	struct drm_vsvm_vm_bind bind = {
		.vm_id = vm,
		.op = DRM_VSVM_BIND_UNMAP,
		.start = start,
		.length = length,
	};

	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_VM_BIND, &bind);
}

size_t vsvm_page_size(void)
{
	static size_t size;

	if (!size)
		size = sysconf(_SC_PAGESIZE);
	return size;
}

static __u64 page_down(const void *addr)
{
	return vsvm_addr(addr) & ~(__u64)(vsvm_page_size() - 1);
}

size_t vsvm_pages(const void *addr, size_t len)
{
	size_t page = vsvm_page_size();

	return (vsvm_addr(addr) - page_down(addr) + len + page - 1) / page;
}

int vsvm_prefetch(int fd, __u32 vm, const void *addr, size_t len,
		  __u32 location, __u64 *moved, __u64 *skipped)
{
	struct drm_vsvm_prefetch prefetch = {
		.vm_id = vm,
		.location = location,
		.start = page_down(addr),
		.length = vsvm_pages(addr, len) * vsvm_page_size(),
	};
	int err;

	err = vsvm_ioctl(fd, DRM_IOCTL_VSVM_PREFETCH, &prefetch);
	if (!err && moved)
		*moved = prefetch.moved;
	if (!err && skipped)
		*skipped = prefetch.skipped;
	return err;
}

int vsvm_prefetch_async(int fd, __u32 vm, const void *addr, size_t len,
			__u32 location, __u32 syncobj)
{
	struct drm_vsvm_prefetch prefetch = {
		.vm_id = vm,
		.location = location,
		.start = page_down(addr),
		.length = vsvm_pages(addr, len) * vsvm_page_size(),
		.flags = DRM_VSVM_PREFETCH_ASYNC,
		.syncobj = syncobj,
	};

	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_PREFETCH, &prefetch);
}

int vsvm_madvise(int fd, __u32 vm, const void *addr, size_t len, __u32 type,
		 __u32 value)
{
	struct drm_vsvm_madvise madvise = {
		.vm_id = vm,
		.type = type,
		.start = page_down(addr),
		.length = vsvm_pages(addr, len) * vsvm_page_size(),
		.value = value,
	};

	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_MADVISE, &madvise);
}

int vsvm_exclusive(int fd, __u32 vm, const void *addr, size_t len,
		   __u64 *taken)
{
	struct drm_vsvm_exclusive exclusive = {
		.vm_id = vm,
		.start = page_down(addr),
		.length = vsvm_pages(addr, len) * vsvm_page_size(),
	};
	int err;

	err = vsvm_ioctl(fd, DRM_IOCTL_VSVM_EXCLUSIVE, &exclusive);
	if (!err && taken)
		*taken = exclusive.taken;
	return err;
}

int vsvm_residency(int fd, __u32 vm, const void *addr, size_t len,
		   __u8 *map)
{
	struct drm_vsvm_residency residency = {
		.vm_id = vm,
		.start = page_down(addr),
		.length = vsvm_pages(addr, len) * vsvm_page_size(),
		.pages = vsvm_addr(map),
	};

	return vsvm_ioctl(fd, DRM_IOCTL_VSVM_RESIDENCY, &residency);
}

/* Bits of an entry of /proc/self/pagemap. */
#define PAGEMAP_PRESENT	63
#define PAGEMAP_SWAP	62

static __u8 pagemap_location(__u64 entry)
{
	if (entry >> PAGEMAP_PRESENT & 1)
		return DRM_VSVM_RES_SYSTEM;
	if (entry >> PAGEMAP_SWAP & 1)
		return DRM_VSVM_RES_DEVICE;
	return DRM_VSVM_RES_NONE;
}

int vsvm_residency_pagemap(const void *addr, size_t len, __u8 *map)
{
	size_t i, n, done, pages = vsvm_pages(addr, len);
	__u64 entry[512];
	off_t offset;
	ssize_t got;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	offset = page_down(addr) / vsvm_page_size() * sizeof(*entry);
	for (done = 0; done < pages; done += n) {
		n = pages - done;
		if (n > sizeof(entry) / sizeof(*entry))
			n = sizeof(entry) / sizeof(*entry);
		got = pread(fd, entry, n * sizeof(*entry),
			    offset + done * sizeof(*entry));
		if (got != (ssize_t)(n * sizeof(*entry))) {
			close(fd);
			return -EIO;
		}
		for (i = 0; i < n; i++)
			map[done + i] = pagemap_location(entry[i]);
	}
	close(fd);
	return 0;
}

void vsvm_where_count(struct vsvm_where *where, const __u8 *map,
		      size_t pages)
{
	size_t i;

	*where = (struct vsvm_where){ .pages = pages };
	for (i = 0; i < pages; i++) {
		switch (map[i] & DRM_VSVM_RES_MASK) {
		case DRM_VSVM_RES_SYSTEM:
			where->system++;
			break;
		case DRM_VSVM_RES_DEVICE:
			where->device++;
			break;
		case DRM_VSVM_RES_PEER:
			where->peer++;
			break;
		default:
			where->none++;
		}
	}
}

int vsvm_where(int fd, __u32 vm, const void *addr, size_t len,
	       struct vsvm_where *where)
{
	size_t pages = vsvm_pages(addr, len);
	__u8 *map;
	int err;

	map = malloc(pages);
	if (!map)
		return -ENOMEM;
	err = vsvm_residency(fd, vm, addr, len, map);
	if (!err)
		vsvm_where_count(where, map, pages);
	free(map);
	return err;
}

/* "KEY:	NUMBER [KiB|MiB|ns]" */
static int fdinfo_number(const char *line, const char *key, __u64 *value)
{
	size_t len = strlen(key);
	unsigned long long number;
	char unit[8] = "";

	if (strncmp(line, key, len) || line[len] != ':' ||
	    sscanf(line + len + 1, "%llu %7s", &number, unit) < 1)
		return -ENOENT;
	*value = number << (!strcmp(unit, "KiB") ? 10 :
			    !strcmp(unit, "MiB") ? 20 : 0);
	return 0;
}

int vsvm_fdinfo(int fd, const char *key, __u64 *value)
{
	char line[256], path[64];
	int err = -ENOENT;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (err && fgets(line, sizeof(line), file))
		err = fdinfo_number(line, key, value);
	fclose(file);
	return err;
}

int vsvm_write_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd, err = 0;
	ssize_t n;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		err = -errno;
	else if ((size_t)n != len)
		err = -EIO;
	close(fd);
	return err;
}

static int write_driver_file(const struct vsvm_dev *dev, const char *file)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", dev->driver, file);
	return vsvm_write_file(path, dev->name);
}

int vsvm_unbind(const struct vsvm_dev *dev)
{
	return write_driver_file(dev, "unbind");
}

int vsvm_bind(const struct vsvm_dev *dev)
{
	return write_driver_file(dev, "bind");
}

static int write_debugfs(const struct vsvm_dev *dev, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEBUGFS "/dri/%s/%s", dev->name, file);
	if (access(path, F_OK) && access(DEBUGFS "/dri", F_OK) &&
	    mount("debugfs", DEBUGFS, "debugfs", 0, NULL) && errno != EBUSY)
		return -errno;
	return vsvm_write_file(path, "1");
}

int vsvm_evict(const struct vsvm_dev *dev)
{
	return write_debugfs(dev, "evict");
}

int vsvm_unplug(const struct vsvm_dev *dev)
{
	return write_debugfs(dev, "unplug");
}

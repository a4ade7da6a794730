/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A thin layer over the user-space interface of vsvm, for the tools and the
 * tests: find the device, call the ioctls, summarise what they return.
 *
 * Functions that can fail return 0 or a negative errno, and print nothing.
 * Addresses and lengths need no alignment unless it says otherwise.
 */
#ifndef VSVM_USER_H
#define VSVM_USER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <drm/vsvm_drm.h>

#define VSVM_DRIVER_NAME "vsvm"

/**
 * struct vsvm_dev - an open GPU
 * @fd: its render node
 * @id: number among the GPUs of the driver
 * @node: path of the render node
 * @name: of the device in sysfs, what unbind and bind want
 * @driver: directory of the driver in sysfs; stays right after an unbind
 */
struct vsvm_dev {
	int fd;
	unsigned int id;
	char node[32];
	char name[64];
	char driver[PATH_MAX];
};

/**
 * struct vsvm_where - how many pages of a range are where
 * @pages: all of them, the sum of the rest
 * @none: no page, or swapped out
 * @system: system memory
 * @device: VRAM of this device
 * @peer: VRAM of another device
 */
struct vsvm_where {
	size_t pages;
	size_t none;
	size_t system;
	size_t device;
	size_t peer;
};

static inline __u64 vsvm_addr(const void *p)
{
	return (uintptr_t)p;
}

/* @id: a device's number, or -1 for the first one. -ENODEV if there is none. */
int vsvm_open(struct vsvm_dev *dev, int id);
void vsvm_close(struct vsvm_dev *dev);

int vsvm_query_device(int fd, struct drm_vsvm_device_info *info);
int vsvm_query_stats(int fd, struct drm_vsvm_stats *stats);
void vsvm_stats_sub(struct drm_vsvm_stats *stats,
		    const struct drm_vsvm_stats *before);

int vsvm_vm_create(int fd, __u32 *vm);
int vsvm_vm_destroy(int fd, __u32 vm);

/* The raw ioctl: @exec is what user space asked for and what came back. */
int vsvm_exec(int fd, struct drm_vsvm_exec *exec);
/* Run kernels and wait. @result may be NULL. */
int vsvm_run(int fd, __u32 vm, const struct drm_vsvm_kernel *kernels,
	     unsigned int count, struct drm_vsvm_exec *result);

/* The raw ioctl: wait for a word that a job writes in the end. */
int vsvm_wait_user_fence(int fd, struct drm_vsvm_wait_user_fence *wait);

/* Buffer objects. @flags: DRM_VSVM_GEM_* */
int vsvm_gem_create(int fd, __u64 size, __u32 flags, __u32 *handle);
int vsvm_gem_close(int fd, __u32 handle);
/* The whole object, shared, for reading and writing. */
int vsvm_gem_mmap(int fd, __u32 handle, size_t size, void **p);
/* Another open file of the GPU gets a handle of its own. */
int vsvm_gem_share(int fd, __u32 handle, int to_fd, __u32 *to_handle);

/* A part of an object at addresses of the GPU. @flags: DRM_VSVM_BIND_* */
int vsvm_gem_bind(int fd, __u32 vm, __u32 handle, __u64 offset, __u64 start,
		  __u64 length, __u32 flags);
int vsvm_gem_unbind(int fd, __u32 vm, __u64 start, __u64 length);

size_t vsvm_page_size(void);
/* Pages that [addr, addr + len) touches. */
size_t vsvm_pages(const void *addr, size_t len);

/*
 * Move the pages that [addr, addr + len) touches. @moved and @skipped may be
 * NULL.
 */
int vsvm_prefetch(int fd, __u32 vm, const void *addr, size_t len,
		  __u32 location, __u64 *moved, __u64 *skipped);

/* The same without waiting: the binary syncobj gets a signalled fence in the end. */
int vsvm_prefetch_async(int fd, __u32 vm, const void *addr, size_t len,
			__u32 location, __u32 syncobj);

/* Say how the pages that [addr, addr + len) touches will be used. */
int vsvm_madvise(int fd, __u32 vm, const void *addr, size_t len, __u32 type,
		 __u32 value);
/* Take these pages for atomic operations. @taken may be NULL. */
int vsvm_exclusive(int fd, __u32 vm, const void *addr, size_t len,
		   __u64 *taken);

/* One byte for each of vsvm_pages(addr, len), as the ioctl returns it. */
int vsvm_residency(int fd, __u32 vm, const void *addr, size_t len,
		   __u8 *map);
/*
 * The same from /proc/self/pagemap, which needs no GPU: a page that is neither
 * present nor absent counts as DRM_VSVM_RES_DEVICE. Swap must be off.
 */
int vsvm_residency_pagemap(const void *addr, size_t len, __u8 *map);
void vsvm_where_count(struct vsvm_where *where, const __u8 *map,
		      size_t pages);
int vsvm_where(int fd, __u32 vm, const void *addr, size_t len,
	       struct vsvm_where *where);

/* Through sysfs; for root. The open file stays open and answers -ENODEV. */
int vsvm_unbind(const struct vsvm_dev *dev);
int vsvm_bind(const struct vsvm_dev *dev);
/* Through debugfs, which gets mounted if it is not; for root. */
int vsvm_evict(const struct vsvm_dev *dev);
/* The same way; like vsvm_unbind(), but returns before it is done. */
int vsvm_unplug(const struct vsvm_dev *dev);

/* A number of /proc/self/fdinfo: "drm-total-vram", in bytes or ns. */
int vsvm_fdinfo(int fd, const char *key, __u64 *value);

/* Write @text to an existing file in one call. */
int vsvm_write_file(const char *path, const char *text);

#endif /* VSVM_USER_H */

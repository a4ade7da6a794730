// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Fences and buffers as files: sync files, syncobjs and dma-bufs, which a client
 * hands from one driver to another as it likes. Any file may be given to
 * whatever takes one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <drm/vgem_drm.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <linux/udmabuf.h>

#include "fuzz.h"

#ifndef SYNC_IOC_SET_DEADLINE
struct sync_set_deadline {
	__u64 deadline_ns;
	__u64 pad;
};

#define SYNC_IOC_SET_DEADLINE	_IOW(SYNC_IOC_MAGIC, 5, struct sync_set_deadline)
#endif

void fuzz_files_open(struct fuzz *f)
{
	const int other = f->dev.id ? 0 : 1;

	if (vsvm_open(&f->other, other))
		f->other.fd = -1;
	f->vgem = vt_vgem_open();
}

void fuzz_files_close(struct fuzz *f)
{
	unsigned int i;

	for (i = 0; i < FILES; i++) {
		if (f->file[i] >= 0)
			close(f->file[i]);
		f->file[i] = -1;
	}
	if (f->other.fd >= 0)
		vsvm_close(&f->other);
	f->other.fd = -1;
	if (f->vgem >= 0)
		close(f->vgem);
	f->vgem = -1;
}

static void keep_file(struct fuzz *f, int fd)
{
	const unsigned int i = draw(f, FILES);

	if (fd < 0)
		return;
	if (f->file[i] >= 0)
		close(f->file[i]);
	f->file[i] = fd;
}

static int any_file(struct fuzz *f)
{
	int fd;

	switch (draw(f, 24)) {
	case 0:
		fd = any_word(f);
		/* Who seeks in the results spoils them. */
		return fd == STDOUT_FILENO || fd == STDERR_FILENO ? -1 : fd;
	case 1:
		return f->dev.fd;
	case 2:
		return f->shared;
	default:
		return f->file[draw(f, FILES)];
	}
}

static __u32 any_syncobj(struct fuzz *f)
{
	return one_in(f, 16) ? any_word(f) :
			       f->syncobj[draw(f, ARRAY_SIZE(f->syncobj))];
}

static __u32 any_bo(struct fuzz *f)
{
	return one_in(f, 16) ? any_word(f) : f->bo[draw(f, HANDLES)];
}

static void export_syncobj(struct fuzz *f)
{
	struct drm_syncobj_handle s = {
		.handle = any_syncobj(f),
		.flags = draw(f, 2) * DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};

	if (one_in(f, 8))
		spoil(f, &s, sizeof(s));
	if (!call(f, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &s))
		keep_file(f, s.fd);
}

static void import_syncobj(struct fuzz *f)
{
	const bool fence = !one_in(f, 3);
	struct drm_syncobj_handle s = {
		.handle = fence ? any_syncobj(f) : 0,
		.flags = fence ? DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE : 0,
		.fd = any_file(f),
	};
	struct drm_syncobj_destroy destroy = {};

	if (one_in(f, 8))
		spoil(f, &s, sizeof(s));
	if (call(f, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &s) || fence)
		return;
	destroy.handle = s.handle;
	call(f, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
}

static void signal_syncobj(struct fuzz *f)
{
	__u32 handle = any_syncobj(f);
	__u64 point = draw(f, 1000);
	struct drm_syncobj_array array = {
		.handles = vsvm_addr(&handle),
		.count_handles = 1,
	};
	struct drm_syncobj_timeline_array timeline = {
		.handles = vsvm_addr(&handle),
		.points = vsvm_addr(&point),
		.count_handles = 1,
		.flags = one_in(f, 8) ? any_word(f) : 0,
	};
	struct drm_syncobj_transfer transfer = {
		.src_handle = any_syncobj(f),
		.dst_handle = handle,
		.src_point = draw(f, 2) * draw(f, 1000),
		.dst_point = draw(f, 2) * point,
	};

	switch (draw(f, 5)) {
	case 0:
		call(f, DRM_IOCTL_SYNCOBJ_SIGNAL, &array);
		break;
	case 1:
		call(f, DRM_IOCTL_SYNCOBJ_RESET, &array);
		break;
	case 2:
		call(f, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &timeline);
		break;
	case 3:
		call(f, DRM_IOCTL_SYNCOBJ_QUERY, &timeline);
		break;
	default:
		call(f, DRM_IOCTL_SYNCOBJ_TRANSFER, &transfer);
	}
}

/* For some milliseconds at most. */
static void wait_syncobj(struct fuzz *f)
{
	__u32 handle[2] = { any_syncobj(f), any_syncobj(f) };
	__u64 point[2] = { draw(f, 1000), draw(f, 2) };
	struct drm_syncobj_timeline_wait w = {
		.handles = vsvm_addr(handle),
		.points = vsvm_addr(point),
		.timeout_nsec = (vt_now_ms() + draw(f, 10)) * 1000000ll,
		.count_handles = 1 + draw(f, 2),
		.flags = draw(f, 16),
		.deadline_nsec = one_in(f, 4) ? any_word(f) : 0,
	};

	call(f, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &w);
}

void fuzz_syncobj(struct fuzz *f)
{
	const unsigned int i = draw(f, ARRAY_SIZE(f->syncobj));
	struct drm_syncobj_destroy destroy = { .handle = f->syncobj[i] };
	struct drm_syncobj_create create = { .flags = one_in(f, 4) };

	call(f, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
	if (!call(f, DRM_IOCTL_SYNCOBJ_CREATE, &create))
		f->syncobj[i] = create.handle;
}

static void merge_files(struct fuzz *f)
{
	struct sync_merge_data merge = { .name = "fuzz", .fd2 = any_file(f) };

	if (one_in(f, 8))
		spoil(f, &merge, sizeof(merge));
	if (!call_on(f, any_file(f), SYNC_IOC_MERGE, &merge))
		keep_file(f, merge.fence);
}

static void ask_file(struct fuzz *f)
{
	struct sync_fence_info fence[4] = {};
	struct sync_file_info info = {
		.num_fences = draw(f, ARRAY_SIZE(fence) + 1),
		.sync_fence_info = one_in(f, 16) ? any_address(f) :
						   vsvm_addr(fence),
	};
	struct sync_set_deadline deadline = { .deadline_ns = any_word(f) };
	struct pollfd poll_fd = { .fd = any_file(f), .events = draw(f, 64) };

	switch (draw(f, 3)) {
	case 0:
		call_on(f, any_file(f), SYNC_IOC_FILE_INFO, &info);
		break;
	case 1:
		call_on(f, any_file(f), SYNC_IOC_SET_DEADLINE, &deadline);
		break;
	default:
		poll(&poll_fd, 1, 0);
	}
}

/* A fence that is signalled late, by its owner or ten seconds later by itself. */
static void hold_fence(struct fuzz *f)
{
	struct vt_hold h;

	if (vt_hold(&h))
		return;
	keep_file(f, dup(h.fd));
	import_syncobj(f);
	if (one_in(f, 2))
		vt_hold_end(&h);
	close(h.fd);
	close(h.vgem);
}

/**
 * fuzz_sync_file - fences as syncobjs and sync files
 * @f: process
 */
void fuzz_sync_file(struct fuzz *f)
{
	static void (* const func[])(struct fuzz *f) = {
		export_syncobj, export_syncobj, import_syncobj, import_syncobj,
		signal_syncobj, signal_syncobj, wait_syncobj, merge_files,
		ask_file, hold_fence,
	};

	func[draw(f, ARRAY_SIZE(func))](f);
}

/* Read and written by somebody who does not mind what is there. */
static void use_mapping(void *p)
{
	char text[64];
	struct iovec local = { text, sizeof(text) };
	struct iovec remote = { p, sizeof(text) };

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) > 0)
		process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

/* At any address, or where the GPU finds it. */
static void mmap_dmabuf(struct fuzz *f)
{
	const size_t at = draw(f, ARENA / PAGE - 8) * PAGE;
	const size_t len = PAGE * (1 + draw(f, 8));
	const bool fixed = one_in(f, 2);
	void *p;

	p = mmap(fixed ? f->arena + at : NULL, len, draw(f, 4),
		 (one_in(f, 8) ? MAP_PRIVATE : MAP_SHARED) | (fixed ? MAP_FIXED : 0),
		 any_file(f), one_in(f, 4) ? draw(f, 8) * PAGE : 0);
	if (p == MAP_FAILED)
		return;
	use_mapping(p);
	if (!fixed)
		munmap(p, len);
}

static void dmabuf_fence(struct fuzz *f)
{
	struct dma_buf_import_sync_file import = {
		.flags = one_in(f, 8) ? any_word(f) : draw(f, 4),
		.fd = any_file(f),
	};
	struct dma_buf_export_sync_file export = { .flags = import.flags };

	if (one_in(f, 2))
		call_on(f, any_file(f), DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import);
	else if (!call_on(f, any_file(f), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export))
		keep_file(f, export.fd);
}

/**
 * fuzz_dmabuf - what a dma-buf can do by itself
 * @f: process
 */
void fuzz_dmabuf(struct fuzz *f)
{
	struct dma_buf_sync sync = {
		.flags = one_in(f, 8) ? any_word(f) : draw(f, 8),
	};
	char name[40] = "fuzz";

	switch (draw(f, 8)) {
	case 0:
	case 1:
		mmap_dmabuf(f);
		break;
	case 2:
	case 3:
	case 4:
		dmabuf_fence(f);
		break;
	case 5:
		call_on(f, any_file(f), DMA_BUF_IOCTL_SYNC, &sync);
		break;
	case 6:
		call_on(f, any_file(f), DMA_BUF_SET_NAME_B, name);
		break;
	default:
		lseek(any_file(f), any_word(f), draw(f, 3));
	}
}

static void export_object(struct fuzz *f, int fd, __u32 handle)
{
	struct drm_prime_handle prime = {
		.handle = handle,
		.flags = draw(f, 2) * DRM_RDWR | draw(f, 2) * DRM_CLOEXEC,
	};

	if (one_in(f, 8))
		spoil(f, &prime, sizeof(prime));
	if (!call_on(f, fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		keep_file(f, prime.fd);
}

/* Ours takes its place among the others; elsewhere it is dropped at once. */
static void import_object(struct fuzz *f, int fd)
{
	struct drm_prime_handle prime = {
		.fd = any_file(f),
		.flags = one_in(f, 8) ? any_word(f) : 0,
	};
	struct drm_gem_close drop = {};
	const unsigned int i = draw(f, HANDLES);

	if (call_on(f, fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return;
	if (fd == f->dev.fd) {
		drop.handle = f->bo[i];
		f->bo[i] = prime.handle;
	} else {
		drop.handle = prime.handle;
	}
	call_on(f, fd, DRM_IOCTL_GEM_CLOSE, &drop);
}

/* An object of another driver, which ours is to refuse. */
static void foreign_object(struct fuzz *f)
{
	struct drm_mode_create_dumb dumb = {
		.width = 64, .height = 16 + draw(f, 64), .bpp = 32,
	};
	struct drm_gem_close drop = {};

	if (call_on(f, f->vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		return;
	export_object(f, f->vgem, dumb.handle);
	drop.handle = dumb.handle;
	call_on(f, f->vgem, DRM_IOCTL_GEM_CLOSE, &drop);
}

/* Pages of a file as a dma-buf. */
static void foreign_pages(struct fuzz *f)
{
	struct udmabuf_create create = {
		.memfd = f->shared,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.offset = draw(f, 16) * PAGE,
		.size = (1 + draw(f, 16)) * PAGE,
	};
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (one_in(f, 8))
		spoil(f, &create, sizeof(create));
	/*
	 * udmabuf allocates a list of the pages before it looks at the file, and the
	 * allocator warns of one of 2 GiB (Linux 7.3).
	 */
	create.size %= 64 * ARENA;
	keep_file(f, ioctl(fd, UDMABUF_CREATE, &create));
	close(fd);
}

/**
 * fuzz_prime - objects go from one file and driver to another
 * @f: process
 */
void fuzz_prime(struct fuzz *f)
{
	switch (draw(f, 8)) {
	case 0:
	case 1:
	case 2:
		export_object(f, f->dev.fd, any_bo(f));
		break;
	case 3:
	case 4:
		import_object(f, f->dev.fd);
		break;
	case 5:
		import_object(f, one_in(f, 2) ? f->other.fd : f->vgem);
		break;
	case 6:
		foreign_object(f);
		break;
	default:
		foreign_pages(f);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Waiting for the GPU, see vsvm_test.h: user fences, syncobjs, and a fence of
 * another driver that a test signals when it likes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/vgem_drm.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include "vsvm_test.h"

int vt_ufence_create(struct vt_ufence *f)
{
	*f = (struct vt_ufence){};
	/* Memory that stays where it is, and moves nothing else. */
	f->word = vt_map_aligned(vsvm_page_size(), PROT_READ | PROT_WRITE,
				 MAP_SHARED);
	return f->word ? 0 : -ENOMEM;
}

void vt_ufence_destroy(struct vt_ufence *f)
{
	munmap(f->word, vsvm_page_size());
}

int vt_ufence_exec(struct vt *t, struct drm_vsvm_exec *exec, struct vt_ufence *f)
{
	int err;

	exec->flags |= DRM_VSVM_EXEC_FENCE;
	exec->fence_addr = vsvm_addr(f->word);
	exec->fence_value = f->value + 1;
	exec->job = 0;
	err = vsvm_exec(t->dev.fd, exec);
	if (exec->job) {
		f->value++;
		f->vm = exec->vm_id;
		f->queue = exec->queue;
		f->job = exec->job;
	}
	return err;
}

int vt_ufence_wait_fault(struct vt *t, const struct vt_ufence *f,
			 unsigned int timeout_ms, __u64 *fault)
{
	struct drm_vsvm_wait_user_fence wait = {
		.vm_id = f->vm,
		.op = DRM_VSVM_UFENCE_GTE,
		.queue = f->queue,
		.job = f->job,
		.addr = vsvm_addr(f->word),
		.value = f->value,
		.mask = ~0ull,
		.timeout_ns = timeout_ms * 1000000ll,
	};
	int err = vsvm_wait_user_fence(t->dev.fd, &wait);

	*fault = wait.fault_addr;
	/* A job that hung ends with -ETIME. */
	return err == -EIO ? wait.error : err == -ETIME ? -ETIMEDOUT : err;
}

int vt_ufence_wait(struct vt *t, const struct vt_ufence *f,
		   unsigned int timeout_ms)
{
	__u64 fault;

	return vt_ufence_wait_fault(t, f, timeout_ms, &fault);
}

int vt_ufence_status(struct vt *t, const struct vt_ufence *f)
{
	int err = vt_ufence_wait(t, f, 0);

	return err == -ETIMEDOUT ? 0 : err ?: 1;
}

int vt_submit(struct vt *t, __u32 vm, const struct drm_vsvm_kernel *kernels,
	      unsigned int count, struct vt_ufence *f)
{
	struct drm_vsvm_exec exec = {
		.vm_id = vm,
		.num_kernels = count,
		.kernels = vsvm_addr(kernels),
	};

	return f ? vt_ufence_exec(t, &exec, f) : vsvm_exec(t->dev.fd, &exec);
}

static void *work_run(void *arg)
{
	struct vt_work *w = arg;
	struct drm_vsvm_exec exec = {
		.vm_id = w->t->vm,
		.queue = w->queue,
		.flags = DRM_VSVM_EXEC_WAIT,
		.num_kernels = 1,
		.kernels = vsvm_addr(&w->kernel),
	};

	w->err = vsvm_exec(w->t->dev.fd, &exec);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

int vt_work_begin(struct vt_work *w, struct vt *t, __u32 queue, __u8 *p,
		  size_t len, __u8 value)
{
	*w = (struct vt_work) {
		.t = t,
		.queue = queue,
		.kernel = {
			.op = DRM_VSVM_OP_ADD,
			.dst = vsvm_addr(p),
			.src = vsvm_addr(p),
			.count = len,
			.arg = value,
		},
	};
	return -pthread_create(&w->thread, NULL, work_run, w);
}

bool vt_work_done(struct vt_work *w)
{
	return __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
}

int vt_work_end(struct vt_work *w)
{
	__u64 end = vt_now_ms() + VT_SOON_MS;

	while (!vt_work_done(w) && vt_now_ms() < end)
		vt_sleep_ms(5);
	if (!vt_work_done(w))
		return -ETIMEDOUT;
	pthread_join(w->thread, NULL);
	return w->err;
}

int vt_syncobj_create(struct vt *t, __u32 *handle)
{
	struct drm_syncobj_create create = {};

	if (ioctl(t->dev.fd, DRM_IOCTL_SYNCOBJ_CREATE, &create))
		return -errno;
	*handle = create.handle;
	return 0;
}

void vt_syncobj_destroy(struct vt *t, __u32 handle)
{
	struct drm_syncobj_destroy destroy = { .handle = handle };

	ioctl(t->dev.fd, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
}

int vt_syncobj_wait(struct vt *t, __u32 handle, __u64 point,
		    unsigned int timeout_ms)
{
	struct drm_syncobj_timeline_wait wait = {
		.handles = vsvm_addr(&handle),
		.points = vsvm_addr(&point),
		.timeout_nsec = (vt_now_ms() + timeout_ms) * 1000000ll,
		.count_handles = 1,
		.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
	};

	return ioctl(t->dev.fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &wait) ?
	       -errno : 0;
}

int vt_syncobj_export(struct vt *t, __u32 handle)
{
	struct drm_syncobj_handle export = {
		.handle = handle,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};

	return ioctl(t->dev.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export) ?
	       -errno : export.fd;
}

int vt_sync_file_status(int fd)
{
	struct sync_fence_info fence = {};
	struct sync_file_info info = {
		.num_fences = 1,
		.sync_fence_info = vsvm_addr(&fence),
	};

	return ioctl(fd, SYNC_IOC_FILE_INFO, &info) ? -errno : info.status;
}

int vt_syncobj_status(struct vt *t, __u32 handle)
{
	int status, fd = vt_syncobj_export(t, handle);

	if (fd < 0)
		return fd;
	status = vt_sync_file_status(fd);
	close(fd);
	return status;
}

static bool is_vgem(int fd)
{
	char name[8] = "";
	struct drm_version version = { .name_len = sizeof(name), .name = name };

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem");
}

int vt_vgem_open(void)
{
	char path[32];
	int minor, fd;

	/* Dumb buffers are none of a render node's. */
	for (minor = 0; minor < 64; minor++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", minor);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && is_vgem(fd))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -ENODEV;
}

/* A buffer of vgem, with a fence, which becomes a file. */
static int hold_fence(struct vt_hold *h)
{
	struct drm_mode_create_dumb dumb = { .width = 64, .height = 64, .bpp = 32 };
	struct drm_vgem_fence_attach attach = { .flags = VGEM_FENCE_WRITE };
	struct dma_buf_export_sync_file sync = { .flags = DMA_BUF_SYNC_RW };
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	int err;

	if (ioctl(h->vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		return -errno;
	attach.handle = dumb.handle;
	prime.handle = dumb.handle;
	if (ioctl(h->vgem, DRM_IOCTL_VGEM_FENCE_ATTACH, &attach) ||
	    ioctl(h->vgem, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return -errno;
	h->fence = attach.out_fence;
	err = ioctl(prime.fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &sync) ? -errno : 0;
	close(prime.fd);
	h->fd = sync.fd;
	return err;
}

int vt_hold(struct vt_hold *h)
{
	int err;

	h->fd = -1;
	h->vgem = vt_vgem_open();
	if (h->vgem < 0)
		return h->vgem;
	err = hold_fence(h);
	if (err)
		close(h->vgem);
	return err;
}

int vt_hold_syncobj(struct vt_hold *h, struct vt *t, __u32 handle)
{
	struct drm_syncobj_handle import = {
		.handle = handle,
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
		.fd = h->fd,
	};

	return ioctl(t->dev.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import) ?
	       -errno : 0;
}

void vt_hold_end(struct vt_hold *h)
{
	struct drm_vgem_fence_signal signal = { .fence = h->fence };

	ioctl(h->vgem, DRM_IOCTL_VGEM_FENCE_SIGNAL, &signal);
	close(h->fd);
	close(h->vgem);
}

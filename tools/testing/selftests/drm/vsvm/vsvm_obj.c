// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects with a model, see vsvm_test.h.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "vsvm_test.h"

/* What the GPU sees of it is a buffer at another address. */
static struct vt_buf obj_buf(const struct vt_obj *o, __u8 *p)
{
	return (struct vt_buf){ .p = p, .model = o->model, .len = o->len };
}

int vt_obj_create(struct vt *t, struct vt_obj *o, size_t len, __u32 flags,
		  void *at)
{
	void *p;
	int err;

	*o = (struct vt_obj){ .len = len, .at = at };
	o->model = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o->model == MAP_FAILED)
		return -ENOMEM;
	err = vsvm_gem_create(t->dev.fd, len, flags, &o->handle);
	err = err ?: vsvm_gem_mmap(t->dev.fd, o->handle, len, &p);
	err = err ?: vsvm_gem_bind(t->dev.fd, t->vm, o->handle, 0, vsvm_addr(at),
				   len, 0);
	if (!err)
		o->p = p;
	return err;
}

void vt_obj_destroy(struct vt *t, struct vt_obj *o)
{
	vsvm_gem_unbind(t->dev.fd, t->vm, vsvm_addr(o->at), o->len);
	vsvm_gem_close(t->dev.fd, o->handle);
	munmap(o->p, o->len);
	munmap(o->model, o->len);
}

void vt_obj_write(struct vt_obj *o, size_t offset, size_t len, __u64 seed)
{
	struct vt_buf b = obj_buf(o, o->p);

	vt_buf_write(&b, offset, len, seed);
}

int vt_obj_add(struct vt *t, struct vt_obj *o, size_t offset, size_t len,
	       __u8 value)
{
	struct vt_buf b = obj_buf(o, o->at);

	return vt_buf_add(t, &b, offset, len, value);
}

int vt_obj_check(const struct vt_obj *o)
{
	return vt_same(o->p, o->model, o->len);
}

int vt_obj_check_gpu(struct vt *t, const struct vt_obj *o)
{
	struct vt_buf b = obj_buf(o, o->at);

	return vt_buf_check_gpu(t, &b);
}

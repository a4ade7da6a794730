// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The model check: what walkers do by themselves, see model.h.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "model.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

int model_cpu_write(struct walker *w, struct part *x)
{
	vt_pattern(x->model, x->len, vt_random(&w->state));
	memcpy(x->p, x->model, x->len);
	return 0;
}

/* Whole pages of few kinds, so that KSM has something to merge. */
int model_cpu_write_dull(struct walker *w, struct part *x)
{
	const __u8 value = below(w, 3);

	memset(x->model, value, x->len);
	memset(x->p, value, x->len);
	return 0;
}

int model_cpu_read(struct walker *w, struct part *x)
{
	(void)w;
	return model_check(x);
}

/* The kernel reads and writes the memory as a debugger would. */
int model_by_system_call(struct walker *w, struct part *x)
{
	struct iovec here = { w->fresh, x->len }, there = { x->p, x->len };
	ssize_t done;

	if (one_in(w, 2)) {
		vt_pattern(x->model, x->len, vt_random(&w->state));
		memcpy(w->fresh, x->model, x->len);
		done = process_vm_writev(getpid(), &here, 1, &there, 1, 0);
	} else {
		done = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	}
	if (done < 0)
		return -errno;
	if (VT_WRONG(done == (ssize_t)x->len))
		return -EIO;
	return vt_same(w->fresh, x->model, x->len);
}

int model_dontneed(struct walker *w, struct part *x)
{
	if (!model_all_of_kind(x, KIND_ANON))
		return 0;
	if (!madvise(x->p, x->len, MADV_DONTNEED)) {
		memset(x->model, 0, x->len);
		return 0;
	}
	if (errno != EINVAL)
		return -errno;
	/* Some of it is locked; what lies before that is gone all the same. */
	memset(w->fresh, 0, x->len);
	for (size_t i = 0; i < x->len; i++) {
		if (x->p[i] && x->p[i] != x->model[i])
			return model_check(x);
		x->model[i] = x->p[i];
	}
	return 0;
}

/* A page that may have been dropped until its byte at @at was written. */
static int settle_page(__u8 *p, __u8 *expected, size_t at, __u8 value)
{
	expected[at] = value;
	if (!memcmp(p, expected, PAGE))
		return 0;
	memset(expected, 0, PAGE);
	expected[at] = value;
	return vt_same(p, expected, PAGE);
}

/* By the CPU: one byte of each page, which keeps what is still there of it. */
static int keep_by_cpu(struct walker *w, struct part *x)
{
	size_t page, at;
	int err = 0;
	__u8 value;

	for (page = 0; page < x->len && !err; page += PAGE) {
		at = below(w, PAGE);
		value = vt_random(&w->state);
		__atomic_store_n(x->p + page + at, value, __ATOMIC_RELAXED);
		err = settle_page(x->p + page, x->model + page, at, value);
	}
	return err;
}

/* A page that nobody needs until it is written: by a CPU, or by a GPU. */
int model_free(struct walker *w, struct part *x)
{
	const __u8 value = vt_random(&w->state);
	int err;

	if (!model_all_of_kind(x, KIND_ANON))
		return 0;
	/* Locked pages are refused, after those that lie before. */
	if (madvise(x->p, x->len, MADV_FREE) && errno != EINVAL)
		return -errno;
	if (one_in(w, 3))
		return keep_by_cpu(w, x);
	if (one_in(w, 3)) {
		model_prefetch_own(w, x);
		if (one_in(w, 2))
			return keep_by_cpu(w, x);
	}
	err = model_job(w, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(x->p),
		.count = x->len,
		.arg = value,
	});
	/* What it did not write may still go: it is given a content now. */
	if (err)
		memset(x->p, value, x->len);
	memset(x->model, value, x->len);
	if (!err && one_in(w, 2))
		madvise(x->p, x->len, MADV_PAGEOUT);
	return model_excuse(err);
}

/* A large page becomes one page, if that can be, or none at all. */
int model_unify(struct walker *w, struct part *x)
{
	if (one_in(w, 2))
		return model_dontneed(w, x);
	madvise(x->p, x->len, MADV_COLLAPSE);
	return 0;
}

int model_mm_advice(struct walker *w, struct part *x)
{
	static const int advice[] = {
		MADV_HUGEPAGE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE,
		MADV_COLLAPSE, MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD,
		MADV_POPULATE_WRITE, MADV_WILLNEED, MADV_MERGEABLE,
		MADV_MERGEABLE, MADV_UNMERGEABLE,
	};

	model_anybody(w, x, REGION_PAGES);
	/* Whether there is anything to follow it with does not matter. */
	madvise(x->p, x->len, advice[below(w, ARRAY_SIZE(advice))]);
	return 0;
}

static int file_of(struct walker *w, const struct part *x)
{
	int fd = memfd_create("model", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	vt_pattern(w->fresh, x->len, vt_random(&w->state));
	if (write(fd, w->fresh, x->len) == (ssize_t)x->len)
		return fd;
	close(fd);
	return -EIO;
}

/*
 * Other memory of any kind at the same place: over what is there, or into a gap, which
 * is there for a moment. Who else asks for memory then may be given that place.
 */
int model_map_over(struct walker *w, struct part *x)
{
	static const __u8 kinds[] = { KIND_ANON, KIND_ANON, KIND_ANON, KIND_FILE,
				      KIND_SHARED };
	const __u8 kind = kinds[below(w, ARRAY_SIZE(kinds))];
	int fd = -1, flags = MAP_FIXED;
	bool failed = false;

	memset(w->fresh, 0, x->len);
	if (kind == KIND_FILE || (kind == KIND_SHARED && one_in(w, 2))) {
		fd = file_of(w, x);
		if (fd < 0)
			return model_excuse(fd);
	} else {
		flags |= MAP_ANONYMOUS;
	}
	flags |= kind == KIND_SHARED ? MAP_SHARED : MAP_PRIVATE;
	if (one_in(w, 2)) {
		flags |= MAP_FIXED_NOREPLACE;
		failed = munmap(x->p, x->len);
	}
	failed = failed || mmap(x->p, x->len, PROT_READ | PROT_WRITE, flags, fd,
				0) == MAP_FAILED;
	if (fd >= 0)
		close(fd);
	if (failed)
		return -errno;
	memset(model.kind + x->page, kind, x->pages);
	memcpy(x->model, w->fresh, x->len);
	if (kind == KIND_ANON && one_in(w, 2))
		madvise(x->p, x->len, MADV_HUGEPAGE);
	return 0;
}

static int move(__u8 *from, __u8 *to, size_t len, int flags)
{
	flags |= MREMAP_MAYMOVE | MREMAP_FIXED;
	return mremap(from, len, len, flags, to) == to ? 0 : -errno;
}

/*
 * Away, used there by a GPU, and back. Either what is left behind is mapped, and
 * empty; or there is a hole for a moment, which must be within one mapping.
 */
int model_move(struct walker *w, struct part *x)
{
	const bool left = one_in(w, 2);
	const int flags = left ? MREMAP_DONTUNMAP : 0;
	__u8 *here = x->p, *there = w->away + x->page * PAGE;
	int err = -EFAULT;

	if (left)
		err = move(here, there, x->len, flags);
	if (err == -EFAULT || err == -EINVAL) {
		/* More than one mapping; one page is always one. */
		x->len = PAGE;
		x->pages = 1;
		err = move(here, there, PAGE, flags);
	}
	if (err)
		return err;
	x->p = there;
	err = model_gpu_add(w, x);
	err = err ?: model_check(x);
	if (left && model_all_of_kind(x, KIND_ANON))
		err = err ?: vt_all(here, 0, x->len);
	x->p = here;
	return err ?: move(there, here, x->len, flags);
}

/* Without permission, a GPU neither reads nor writes. */
int model_protect(struct walker *w, struct part *x)
{
	const bool none = one_in(w, 2);
	int err;

	if (mprotect(x->p, x->len, none ? PROT_NONE : PROT_READ))
		return -errno;
	err = model_job(w, (struct drm_vsvm_kernel) {
		.op = none ? DRM_VSVM_OP_COPY : DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(none ? w->probe : x->p),
		.src = none ? vsvm_addr(x->p) : 0,
		.count = x->len,
	});
	if (mprotect(x->p, x->len, PROT_READ | PROT_WRITE))
		return -errno;
	if (!err || (err != -EFAULT && model_excuse(err))) {
		fprintf(stderr, "# a job without permission: %s\n", strerror(-err));
		return -EPROTO;
	}
	if (err == -EFAULT && VT_WRONG((w->fault & -PAGE) == vsvm_addr(x->p)))
		return -EPROTO;
	return model_check(x);
}

int model_lock(struct walker *w, struct part *x)
{
	model_anybody(w, x, 32);
	if (one_in(w, 2))
		munlock(model.p, REGION_PAGES * PAGE);
	else
		mlock(x->p, x->len);
	return 0;
}

/* The job, if that is what it is to be, on memory that may be there or not. */
static int scratch_job(struct walker *w, const struct part *x)
{
	int err = model_job(w, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(x->p),
		.count = x->len,
		.arg = 0xee,
	});

	return err == -EFAULT ? 0 : model_excuse(err);
}

/* Memory that others unmap, empty and protect under each other's jobs. */
int model_scratch(struct walker *w, struct part *x)
{
	const int prot = PROT_READ | (one_in(w, 2) ? PROT_WRITE : 0);

	x->page = below(w, SCRATCH_PAGES);
	x->pages = 1 + below(w, 64);
	if (x->pages > SCRATCH_PAGES - x->page)
		x->pages = SCRATCH_PAGES - x->page;
	x->p = model.scratch + x->page * PAGE;
	x->len = x->pages * PAGE;
	switch (below(w, 6)) {
	case 0:
		return mmap(x->p, x->len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		       MAP_FAILED ? -errno : 0;
	case 1:
		return madvise(x->p, x->len, MADV_DONTNEED) ? -errno : 0;
	case 2:
		return mprotect(x->p, x->len, prot) ? -errno : 0;
	case 3:
		return model_prefetch_own(w, x);
	default:
		return scratch_job(w, x);
	}
}

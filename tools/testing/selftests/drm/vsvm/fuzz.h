/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the parts of fuzz_test share: a process that calls whatever there is, and
 * what it draws from. See fuzz_test.c.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <sys/ioctl.h>

#include "vsvm_test.h"

#define ARENA		(8 * MIB)
#define PAGE		vsvm_page_size()
#define HANDLES		16
#define FILES		8

/* A process at work: what it has, and what it draws from. */
struct fuzz {
	__u64 seed;
	struct vsvm_dev dev;
	__u8 *arena;
	__u32 vm[4];
	__u32 bo[HANDLES];
	__u32 syncobj[4];
	/* Sync files, dma-bufs and syncobjs, as they come; -1 is none. */
	int file[FILES];
	/* Another GPU, and a driver of others; -1 without them. */
	struct vsvm_dev other;
	int vgem;
	/* Memory that the kernel cannot read, and shared memory; -1 likewise. */
	int secret;
	int shared;
	unsigned long calls;
	unsigned long accepted;
};

static inline __u64 draw(struct fuzz *f, __u64 limit)
{
	return vt_random_below(&f->seed, limit);
}

static inline bool one_in(struct fuzz *f, unsigned int n)
{
	return !draw(f, n);
}

static inline __u64 any_address(struct fuzz *f)
{
	const __u64 in_arena = vsvm_addr(f->arena) + draw(f, ARENA);

	switch (draw(f, 12)) {
	case 0:
		return in_arena;
	case 1:
		return DRM_VSVM_BIND_START + draw(f, 64) * PAGE;
	case 2:
		return vsvm_addr(f->arena) + ARENA - draw(f, 4) * PAGE;
	case 3:
		return DRM_VSVM_BIND_START - draw(f, 4) * PAGE;
	default:
		return in_arena & ~(PAGE - 1);
	}
}

static inline __u64 any_length(struct fuzz *f)
{
	switch (draw(f, 10)) {
	case 0:
		return draw(f, ARENA);
	case 1:
		return 1ull << draw(f, 64);
	case 2:
		return LARGE_PAGE * draw(f, 4);
	default:
		return draw(f, 64) * PAGE;
	}
}

static inline __u64 any_word(struct fuzz *f)
{
	switch (draw(f, 8)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << draw(f, 64);
	case 3:
		return any_address(f);
	case 4:
		return vt_random(&f->seed);
	default:
		return draw(f, 8);
	}
}

/* One word of a structure becomes another one, now and then. */
static inline void spoil(struct fuzz *f, void *data, size_t size)
{
	__u32 *word = data;

	if (one_in(f, 2))
		return;
	word[draw(f, size / sizeof(*word))] = any_word(f);
}

static inline int call_on(struct fuzz *f, int fd, unsigned long request,
			  void *data)
{
	int err = ioctl(fd, request, data);

	f->calls++;
	if (!err)
		f->accepted++;
	return err;
}

static inline int call(struct fuzz *f, unsigned long request, void *data)
{
	return call_on(f, f->dev.fd, request, data);
}

/* fuzz_files.c: what has a file of its own, and other drivers have a say in */
void fuzz_files_open(struct fuzz *f);
void fuzz_files_close(struct fuzz *f);
void fuzz_sync_file(struct fuzz *f);
void fuzz_syncobj(struct fuzz *f);
void fuzz_dmabuf(struct fuzz *f);
void fuzz_prime(struct fuzz *f);

/* fuzz_memory.c: what the process does with its memory */
void fuzz_memory_open(struct fuzz *f);
void fuzz_memory(struct fuzz *f);
/* What this machine has no memory of, in words, or NULL. */
const char *fuzz_memory_lacks(void);

#endif /* FUZZ_H */

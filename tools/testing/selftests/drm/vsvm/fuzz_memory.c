// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What a process does with the memory that the GPU is told to use, and memory of
 * kinds that no GPU may have.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447
#endif
#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack	453
#endif
#ifndef SHADOW_STACK_SET_TOKEN
#define SHADOW_STACK_SET_TOKEN	1
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

/* A file each, as large as the arena. */
void fuzz_memory_open(struct fuzz *f)
{
	f->secret = syscall(SYS_memfd_secret, 0);
	f->shared = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f->secret >= 0 && ftruncate(f->secret, ARENA))
		f->secret = -1;
	/* Or udmabuf does not take it. */
	if (f->shared >= 0 && (ftruncate(f->shared, ARENA) ||
			       fcntl(f->shared, F_ADD_SEALS, F_SEAL_SHRINK)))
		f->shared = -1;
}

static void *map_shadow_stack(void *p, size_t len, unsigned int flags)
{
	return (void *)syscall(SYS_map_shadow_stack, p, len, flags);
}

const char *fuzz_memory_lacks(void)
{
	static char text[128];
	void *stack = map_shadow_stack(NULL, PAGE, 0);
	const int no_stack = stack == MAP_FAILED ? errno : 0;
	const int fd = syscall(SYS_memfd_secret, 0);
	const int no_secret = fd < 0 ? errno : 0;

	if (!no_stack)
		munmap(stack, PAGE);
	if (!no_secret)
		close(fd);
	snprintf(text, sizeof(text), "%s%s%s%s",
		 no_stack ? "shadow stacks: " : "",
		 no_stack ? strerror(no_stack) : "",
		 no_secret ? "; secret memory: " : "",
		 no_secret ? strerror(no_secret) : "");
	return no_stack || no_secret ? text : NULL;
}

static void map_other(struct fuzz *f, __u8 *p, size_t len)
{
	const int fd = one_in(f, 2) ? f->secret : f->shared;
	const off_t at = p - f->arena;

	switch (draw(f, 4)) {
	case 0:
		/* Wants a hole; what does not come is one. */
		munmap(p, len);
		map_shadow_stack(p, len, draw(f, 2) * SHADOW_STACK_SET_TOKEN);
		break;
	case 1:
		if (f->shared >= 0)
			mmap(p, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE,
			     f->shared, at);
		break;
	default:
		if (fd >= 0 && mmap(p, len, PROT_READ | PROT_WRITE,
				    MAP_FIXED | MAP_SHARED, fd, at) != MAP_FAILED &&
		    one_in(f, 2))
			madvise(p, len, MADV_POPULATE_WRITE);
	}
}

static void move_within(struct fuzz *f, __u8 *p, size_t len)
{
	__u8 *to = f->arena + draw(f, (ARENA - len) / PAGE + 1) * PAGE;

	if (to + len <= p || p + len <= to)
		mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

/**
 * fuzz_memory - change a part of the arena
 * @f: process
 */
void fuzz_memory(struct fuzz *f)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
		MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_WRITE, MADV_COLLAPSE,
		MADV_REMOVE,
	};
	const size_t at = draw(f, ARENA / PAGE) * PAGE;
	size_t len = (1 + draw(f, one_in(f, 4) ? 1024 : 32)) * PAGE;
	__u8 *p = f->arena + at;

	if (len > ARENA - at)
		len = ARENA - at;
	switch (draw(f, 9)) {
	case 0:
		mprotect(p, len, draw(f, 4));
		break;
	case 1:
		mmap(p, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_ANONYMOUS |
		     (one_in(f, 4) ? MAP_SHARED : MAP_PRIVATE), -1, 0);
		break;
	case 2:
		munmap(p, len);
		break;
	case 3:
		madvise(p, len, advice[draw(f, ARRAY_SIZE(advice))]);
		break;
	case 4:
		map_other(f, p, len);
		break;
	case 5:
		move_within(f, p, len);
		break;
	default:
		mprotect(p, len, PROT_READ | PROT_WRITE);
		madvise(p, len, MADV_POPULATE_WRITE);
	}
}

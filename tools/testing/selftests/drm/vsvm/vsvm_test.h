/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the tests of vsvm share: a GPU with an address space, buffers with a
 * model of what must be in them, and waiting for things with a time-out.
 *
 * Functions that return int return 0 or a negative errno, unless it says
 * otherwise; those that compare print the first difference.
 */
#ifndef VSVM_TEST_H
#define VSVM_TEST_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/types.h>

#include "../../../../gpu/vsvm/vsvm_user.h"

#define KIB		1024ul
#define MIB		(1024ul * KIB)
#define LARGE_PAGE	(2 * MIB)

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/* Where pages are. */
#define IN_RAM		DRM_VSVM_RES_SYSTEM
#define IN_VRAM		DRM_VSVM_RES_DEVICE
#define IN_PEER		DRM_VSVM_RES_PEER

/*
 * For code that is no TEST_F: a child, a thread, a helper. True, and a message,
 * if @expr does not hold: if (VT_WRONG(a == b)) return 1;
 */
#define VT_WRONG(expr)	vt_wrong(!(expr), #expr, __FILE__, __LINE__)
bool vt_wrong(bool wrong, const char *expr, const char *file, int line);

/* Environment: VSVM_SCALE, VSVM_SEED, VSVM_SECONDS, VSVM_DEVICE. */
size_t vt_scaled(size_t bytes);
int vt_timeout(int seconds);
int vt_seconds(int seconds);
__u64 vt_seed(void);

__u64 vt_random(__u64 *state);
/* 0 to @limit - 1 */
__u64 vt_random_below(__u64 *state, __u64 limit);

/**
 * struct vt - a GPU and an address space on it
 * @dev: the GPU
 * @vm: mirrors the process that opened it
 * @last: what the last job of a vt_ function returned
 */
struct vt {
	struct vsvm_dev dev;
	__u32 vm;
	struct drm_vsvm_exec last;
};

/* Prints what is missing. */
int vt_open(struct vt *t);
/* GPU number @id. */
int vt_open_id(struct vt *t, int id);
void vt_close(struct vt *t);
/* A missing device is a failure, unless VSVM_ALLOW_SKIP is set. */
bool vt_may_skip(void);

/* Jobs, waited for. Long ones go in pieces, far from the GPU's time-out. */
int vt_fill(struct vt *t, void *dst, size_t count, __u8 value);
int vt_copy(struct vt *t, void *dst, const void *src, size_t count);
int vt_add(struct vt *t, void *dst, const void *src, size_t count, __u8 value);
/* Add @value to @counter @count times, in one step each. */
int vt_atomic_add(struct vt *t, __u64 *counter, size_t count, __u64 value);
/* Advice for them: DRM_VSVM_ATOMIC_*. */
int vt_atomic_mode(struct vt *t, const void *addr, size_t len, __u32 mode);
/* So many jobs and a CPU count; the sum must be that of both. */
int vt_fight_over(struct vt *t, __u64 *counter, unsigned int jobs, size_t per_job);
int vt_sum(struct vt *t, const void *src, size_t count, __u64 *sum);
int vt_histogram(struct vt *t, const void *src, size_t count, __u64 *counts);

/* Make @kernel one that never ends. @node: room for 12 u64 in one page. */
void vt_endless(struct drm_vsvm_kernel *kernel, __u64 *node);
/* A parameter of the module, a number or a truth; -1 if it does not say. */
long vt_parameter(const char *name);

/* What a buffer's pages are before a test does anything with them. */
enum vt_kind {
	VT_SMALL,	/* pages of 4 KiB, written */
	VT_THP,		/* transparent huge pages, written */
	VT_HOLES,	/* never touched */
};

/**
 * struct vt_buf - memory for the GPU, and what must be in it
 * @p: private anonymous memory, aligned to a large page
 * @model: the CPU's own copy
 * @len: of both, a multiple of the page size
 */
struct vt_buf {
	__u8 *p;
	__u8 *model;
	size_t len;
};

int vt_buf_map(struct vt_buf *b, size_t len, enum vt_kind kind);
void vt_buf_unmap(struct vt_buf *b);
/* Give it other content, on the CPU. */
void vt_buf_write(struct vt_buf *b, size_t offset, size_t len, __u64 seed);
/* Let the GPU change it, and the model accordingly. */
int vt_buf_fill(struct vt *t, struct vt_buf *b, size_t offset, size_t len,
		__u8 value);
int vt_buf_add(struct vt *t, struct vt_buf *b, size_t offset, size_t len,
	       __u8 value);
/* Compare on the CPU. 0 or -EILSEQ. */
int vt_buf_check(const struct vt_buf *b);
int vt_buf_check_range(const struct vt_buf *b, size_t offset, size_t len);
/* Compare histogram and sum as the GPU reads them. */
int vt_buf_check_gpu(struct vt *t, const struct vt_buf *b);

/**
 * struct vt_obj - a buffer object, and what must be in it
 * @handle: its number
 * @p: where the CPU has it mapped
 * @at: where the GPU has it bound
 * @model: the CPU's own copy
 * @len: of all, a multiple of the page size
 */
struct vt_obj {
	__u32 handle;
	__u8 *p;
	__u8 *at;
	__u8 *model;
	size_t len;
};

/* @flags: DRM_VSVM_GEM_*; @at: DRM_VSVM_BIND_START or beyond */
int vt_obj_create(struct vt *t, struct vt_obj *o, size_t len, __u32 flags,
		  void *at);
void vt_obj_destroy(struct vt *t, struct vt_obj *o);
/* As for a struct vt_buf. */
void vt_obj_write(struct vt_obj *o, size_t offset, size_t len, __u64 seed);
int vt_obj_add(struct vt *t, struct vt_obj *o, size_t offset, size_t len,
	       __u8 value);
int vt_obj_check(const struct vt_obj *o);
int vt_obj_check_gpu(struct vt *t, const struct vt_obj *o);

/* Anonymous memory of its own at an address of its own, NULL on failure. */
void *vt_map_aligned(size_t len, int prot, int flags);

/* 0 or -EILSEQ; the second compares with one byte. */
int vt_same(const void *found, const void *expected, size_t len);
int vt_all(const void *found, __u8 expected, size_t len);
/* Different at every offset and for every seed. */
void vt_pattern(void *to, size_t len, __u64 seed);

/* 0 if all pages are @where, else how many are not. */
int vt_elsewhere(struct vt *t, const void *addr, size_t len, __u8 where);
int vt_buf_elsewhere(struct vt *t, const struct vt_buf *b, __u8 where);
/* How many pages are there, or a negative errno. */
long vt_pages_at(struct vt *t, const void *addr, size_t len, __u8 where);

__u64 vt_vram_used(struct vt *t);
/* Wait until @used bytes or less are in use. -ETIMEDOUT. */
int vt_vram_settles(struct vt *t, __u64 used);
/* Memory that the system can still give, in bytes. */
__u64 vt_mem_available(void);
/* What is not there again for a while: KASAN keeps freed memory, up to 1/32. */
__u64 vt_mem_slack(void);
/* Wait until @available is there again, but for that. -ENOMEM. */
int vt_mem_settles(__u64 available, __u64 ms);
/* A userfaultfd for pages that the GPU asks for, and does not get; or -1. */
int vt_monitor(void *p, size_t len);

/* 0 if the child ended with exit(0), else its exit code or signal. */
int vt_join(pid_t pid);
/* Two processes or threads take turns by a pipe. */
void vt_wake(int fd);
int vt_await(int fd);
void vt_sleep_ms(unsigned int ms);
__u64 vt_now_ms(void);

/* Swap space for pages that are to be swapped out; an error without zram. */
int vt_swap_begin(void);
void vt_swap_end(void);

/* The number that follows @text in the last message that has it, or -1. */
long vt_log_number(const char *text);

/* A number in a file, or in the line of it that begins with @key, or negative. */
long vt_read_number(const char *path, const char *key);

#define VT_CGROUPS	"/sys/fs/cgroup"
/* Make a memory cgroup below that, and have the caller in it. */
int vt_cgroup_begin(const char *path);
int vt_cgroup_join(const char *path);

/* A number of svm_stats in debugfs that QUERY has not, or negative. */
long vt_stat(const struct vt *t, const char *name);
/* Write @text to a file of the GPU in debugfs. */
int vt_tell(const struct vt *t, const char *file, const char *text);
/* The number in one, or negative. */
long vt_ask(const struct vt *t, const char *file);
/*
 * What drm_pagemap tells about the GPU there: the largest number that follows
 * @name, over its pagemaps, or -1. From zero again after vt_pagemap_reset().
 */
long vt_pagemap_number(const struct vsvm_dev *dev, const char *name);
void vt_pagemap_reset(const struct vsvm_dev *dev);

/**
 * struct vt_ufence - a user fence, for the jobs of one queue after another
 * @word: what they write
 * @value: what the newest of them writes
 * @vm: address space of that
 * @queue: its queue
 * @job: its number there
 */
struct vt_ufence {
	__u64 *word;
	__u64 value;
	__u32 vm;
	__u32 queue;
	__u64 job;
};

int vt_ufence_create(struct vt_ufence *f);
void vt_ufence_destroy(struct vt_ufence *f);
/* The job in @exec writes the next value to @f. */
int vt_ufence_exec(struct vt *t, struct drm_vsvm_exec *exec, struct vt_ufence *f);
/* -ETIMEDOUT if the newest job does not end in time, or what it ended with. */
int vt_ufence_wait(struct vt *t, const struct vt_ufence *f,
		   unsigned int timeout_ms);
/* The same; @fault gets the address that it failed at. */
int vt_ufence_wait_fault(struct vt *t, const struct vt_ufence *f,
			 unsigned int timeout_ms, __u64 *fault);
/* 1 it has ended well, 0 not yet, or the negative errno that it ended with. */
int vt_ufence_status(struct vt *t, const struct vt_ufence *f);
/* Returns without waiting for the job; @f may be NULL. */
int vt_submit(struct vt *t, __u32 vm, const struct drm_vsvm_kernel *kernels,
	      unsigned int count, struct vt_ufence *f);

/* What waits for nobody who does not answer is done by then. */
#define VT_SOON_MS	((__u64)vt_timeout(15000))

/* Work of one queue, by a thread that waits for it. */
struct vt_work {
	struct vt *t;
	__u32 queue;
	struct drm_vsvm_kernel kernel;
	pthread_t thread;
	bool done;
	int err;
};

/* @queue adds @value to each byte of [p, p + len). */
int vt_work_begin(struct vt_work *w, struct vt *t, __u32 queue, __u8 *p,
		  size_t len, __u8 value);
bool vt_work_done(struct vt_work *w);
/* What the job ended with, or -ETIMEDOUT. */
int vt_work_end(struct vt_work *w);

/*
 * What the process does that the GPU's hardware is in: see its guestctl.c. The
 * first says whether there is one; the others return -EPROTO for an answer that
 * is not "ok", which the last prints.
 */
bool vt_host_there(void);
int vt_host_ask(const char *command, char *reply, size_t size);
int vt_host(const char *command);
/* The device by its name, when it is there again and works. */
int vt_reopen(struct vt *t, const struct vt *old, unsigned int seconds);

/* Syncobjs. */
int vt_syncobj_create(struct vt *t, __u32 *handle);
void vt_syncobj_destroy(struct vt *t, __u32 handle);
/* @point 0: binary. -ETIME if it does not signal in time. */
int vt_syncobj_wait(struct vt *t, __u32 handle, __u64 point,
		    unsigned int timeout_ms);
/* The fence in a binary one as a file; -EINVAL if there is none. */
int vt_syncobj_export(struct vt *t, __u32 handle);
/* 1 signalled, 0 not yet, or the negative errno that it was signalled with. */
int vt_sync_file_status(int fd);
int vt_syncobj_status(struct vt *t, __u32 handle);

/**
 * struct vt_hold - a fence of another driver, vgem
 * @fd: the fence as a file
 * @vgem: the driver
 * @fence: number of the fence there
 *
 * Signalled by vt_hold_end(), or after ten seconds.
 */
struct vt_hold {
	int fd;
	int vgem;
	__u32 fence;
};

/* A file of its card, for a test of its own. -ENODEV without vgem. */
int vt_vgem_open(void);
/* -ENODEV without vgem. */
int vt_hold(struct vt_hold *h);
int vt_hold_syncobj(struct vt_hold *h, struct vt *t, __u32 handle);
void vt_hold_end(struct vt_hold *h);

/*
 * A file of so many pages, all of the same bytes. They are fewer than make 64 KiB,
 * or where their mapping is aligned to that the GPU faults all of them in at once,
 * and each fault waits for the first page.
 */
#define VT_SERVER_PAGES		8
#define VT_SERVER_CONTENT	20

/**
 * struct vt_server - a FUSE file system with one file, served by a thread
 * @fd: of /dev/fuse
 * @thread: reads requests
 * @path: of the file
 * @lock: for what follows
 * @answers: reads are answered
 * @num_asked: reads and writes so far
 * @fails: so many reads get an error
 * @asked: numbers of reads without an answer
 * @write: number of the write without an answer
 */
struct vt_server {
	int fd;
	pthread_t thread;
	char path[64];
	pthread_mutex_t lock;
	bool answers;
	unsigned int num_asked;
	unsigned int fails;
	__u64 asked[VT_SERVER_PAGES];
	__u64 write;
};

/* It answers neither reads nor writes. -ENODEV without FUSE. */
int vt_server_start(struct vt_server *s);
/* It does, now and from now on. */
void vt_server_answers(struct vt_server *s);
/* Who waits for an answer gets an error, and who asks again. */
void vt_server_stop(struct vt_server *s);
/* Wait until so many pages were asked for. -ETIMEDOUT. */
int vt_server_asked(struct vt_server *s, unsigned int n);
/* The file as private memory, or NULL. */
__u8 *vt_server_map(struct vt_server *s);
/*
 * The file, opened for direct I/O. As long as a write to it has no answer, to map it
 * as shared memory waits, with the mmap lock of the process.
 */
int vt_server_open_direct(struct vt_server *s);

#endif /* VSVM_TEST_H */

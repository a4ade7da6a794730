// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Every ioctl with random structures, from several processes at a time, while
 * their memory changes under it, and with files of fences and buffers of its own
 * and of other drivers. Half of what is asked for makes sense but for
 * one word, so that it gets past the first check. What comes back does not
 * matter; that the kernel has nothing to complain about does, and that the GPU
 * works afterwards.
 *
 * VSVM_SECONDS says how long, VSVM_SEED repeats a run as far as several
 * processes can be repeated. A driver with a short time-out ("modprobe vsvm
 * timeout_ms=300 devices=2") gets further, as many jobs never end by themselves.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "fuzz.h"

#define DEFAULT_SECONDS	20
#define PROCESSES	3

static __u32 any_vm(struct fuzz *f)
{
	return one_in(f, 10) ? any_word(f) : f->vm[draw(f, ARRAY_SIZE(f->vm))];
}

static __u32 any_location(struct fuzz *f)
{
	switch (draw(f, 4)) {
	case 0:
		return DRM_VSVM_LOC_SYSTEM;
	case 1:
		return DRM_VSVM_LOC_DEVICE_ID(draw(f, 3));
	default:
		return DRM_VSVM_LOC_DEVICE;
	}
}

static void fuzz_query(struct fuzz *f)
{
	__u8 answer[256];
	struct drm_vsvm_query q = {
		.param = draw(f, 3),
		.size = draw(f, sizeof(answer)),
		.data = vsvm_addr(answer),
	};

	if (one_in(f, 4)) {
		q.data = any_word(f);
		q.size = 0;
	}
	call(f, DRM_IOCTL_VSVM_QUERY, &q);
}

static void fuzz_vm(struct fuzz *f)
{
	const unsigned int i = draw(f, ARRAY_SIZE(f->vm));
	struct drm_vsvm_vm_destroy destroy = { .vm_id = f->vm[i] };
	struct drm_vsvm_vm_create create = {};

	if (one_in(f, 4))
		spoil(f, &destroy, sizeof(destroy));
	call(f, DRM_IOCTL_VSVM_VM_DESTROY, &destroy);
	if (one_in(f, 8))
		create.flags = any_word(f);
	if (!call(f, DRM_IOCTL_VSVM_VM_CREATE, &create))
		f->vm[i] = create.vm_id;
}

static void any_kernel(struct fuzz *f, struct drm_vsvm_kernel *k)
{
	*k = (struct drm_vsvm_kernel) {
		.op = draw(f, 8),
		.dst = any_address(f) & (one_in(f, 8) ? ~0ull : ~7ull),
		.src = any_address(f) & (one_in(f, 8) ? ~0ull : ~7ull),
		.count = one_in(f, 20) ? any_word(f) : draw(f, 256 * KIB),
		.arg = any_word(f) & ~7ull,
	};
	if (k->op == DRM_VSVM_OP_FILL || k->op == DRM_VSVM_OP_ATOMIC_ADD)
		k->src = 0;
	if (one_in(f, 16))
		spoil(f, k, sizeof(*k));
}

static void fuzz_exec(struct fuzz *f)
{
	struct drm_vsvm_kernel k[4];
	struct drm_vsvm_sync s[3];
	struct drm_vsvm_exec exec = {
		.vm_id = any_vm(f),
		.flags = one_in(f, 4) ? DRM_VSVM_EXEC_WAIT : 0,
		.num_kernels = 1 + draw(f, ARRAY_SIZE(k)),
		.num_syncs = draw(f, ARRAY_SIZE(s) + 1),
		.kernels = vsvm_addr(k),
		.syncs = vsvm_addr(s),
		.queue = draw(f, DRM_VSVM_NUM_QUEUES),
	};
	unsigned int i;

	if (one_in(f, 2)) {
		exec.flags |= DRM_VSVM_EXEC_FENCE;
		exec.fence_addr = any_address(f) & (one_in(f, 8) ? ~0ull : ~7ull);
		exec.fence_value = draw(f, 16);
	}
	for (i = 0; i < ARRAY_SIZE(k); i++)
		any_kernel(f, &k[i]);
	for (i = 0; i < ARRAY_SIZE(s); i++)
		s[i] = (struct drm_vsvm_sync) {
			.handle = one_in(f, 16) ? any_word(f) :
				  f->syncobj[draw(f, ARRAY_SIZE(f->syncobj))],
			.flags = one_in(f, 16) ? any_word(f) : one_in(f, 8),
			.point = one_in(f, 2) ? 0 : draw(f, 1000),
		};
	if (one_in(f, 8))
		spoil(f, &exec, sizeof(exec));
	call(f, DRM_IOCTL_VSVM_EXEC, &exec);
}

static void fuzz_wait(struct fuzz *f)
{
	struct drm_vsvm_wait_user_fence w = {
		.vm_id = any_vm(f),
		.op = draw(f, 6),
		.flags = one_in(f, 8) ? DRM_VSVM_UFENCE_ABSTIME : 0,
		.queue = draw(f, DRM_VSVM_NUM_QUEUES),
		.job = one_in(f, 2) ? 0 : draw(f, 64),
		.addr = any_address(f) & ~7ull,
		.value = draw(f, 16),
		.mask = one_in(f, 2) ? 0xff : ~0ull,
		.timeout_ns = draw(f, 20) * 1000000,
	};

	/* Not for ever. */
	if (one_in(f, 8))
		spoil(f, &w, offsetof(struct drm_vsvm_wait_user_fence, timeout_ns));
	call(f, DRM_IOCTL_VSVM_WAIT_USER_FENCE, &w);
}

static void fuzz_prefetch(struct fuzz *f)
{
	const bool async = one_in(f, 2);
	struct drm_vsvm_prefetch p = {
		.vm_id = any_vm(f),
		.location = any_location(f),
		.start = any_address(f) & ~(PAGE - 1),
		.length = any_length(f),
		.flags = async ? DRM_VSVM_PREFETCH_ASYNC : 0,
		.syncobj = async ? f->syncobj[draw(f, ARRAY_SIZE(f->syncobj))] : 0,
	};

	if (one_in(f, 4))
		spoil(f, &p, sizeof(p));
	call(f, DRM_IOCTL_VSVM_PREFETCH, &p);
}

static void fuzz_residency(struct fuzz *f)
{
	static __u8 pages[2 * ARENA / 4096];
	struct drm_vsvm_residency r = {
		.vm_id = any_vm(f),
		.start = any_address(f) & ~(PAGE - 1),
		.length = draw(f, ARENA / PAGE) * PAGE,
		.pages = one_in(f, 8) ? any_word(f) : vsvm_addr(pages),
	};

	if (one_in(f, 8))
		r.vm_id = any_word(f);
	call(f, DRM_IOCTL_VSVM_RESIDENCY, &r);
}

static void close_bo(struct fuzz *f, unsigned int i)
{
	struct drm_gem_close close_args = { .handle = f->bo[i] };

	if (f->bo[i])
		call(f, DRM_IOCTL_GEM_CLOSE, &close_args);
	f->bo[i] = 0;
}

static void fuzz_gem_create(struct fuzz *f)
{
	const unsigned int i = draw(f, HANDLES);
	struct drm_vsvm_gem_create c = {
		.size = one_in(f, 8) ? any_length(f) : (1 + draw(f, 256)) * PAGE,
		.flags = draw(f, 2) * DRM_VSVM_GEM_SYSTEM,
	};

	close_bo(f, i);
	if (one_in(f, 4))
		spoil(f, &c, sizeof(c));
	if (!call(f, DRM_IOCTL_VSVM_GEM_CREATE, &c))
		f->bo[i] = c.handle;
}

/* Mapped, read by somebody who does not mind what is there, and unmapped. */
static void fuzz_gem_mmap(struct fuzz *f)
{
	struct drm_vsvm_gem_mmap m = {
		.handle = one_in(f, 8) ? any_word(f) : f->bo[draw(f, HANDLES)],
		.flags = one_in(f, 8) ? any_word(f) : 0,
	};
	char text[64];
	struct iovec local = { text, sizeof(text) };
	struct iovec remote = { .iov_len = sizeof(text) };
	const size_t len = PAGE * (1 + draw(f, 8));
	void *p;

	if (call(f, DRM_IOCTL_VSVM_GEM_MMAP, &m))
		return;
	p = mmap(NULL, len, draw(f, 8),
		 one_in(f, 8) ? MAP_PRIVATE : MAP_SHARED, f->dev.fd, m.offset);
	if (p == MAP_FAILED)
		return;
	remote.iov_base = p;
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) > 0)
		process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	munmap(p, len);
}

static void fuzz_bind(struct fuzz *f)
{
	const bool unmap = one_in(f, 3);
	struct drm_vsvm_vm_bind b = {
		.vm_id = any_vm(f),
		.op = unmap,
		.handle = unmap ? 0 : f->bo[draw(f, HANDLES)],
		.flags = unmap ? 0 : draw(f, 2),
		.offset = unmap || one_in(f, 2) ? 0 : draw(f, 4) * PAGE,
		.start = DRM_VSVM_BIND_START + draw(f, 64) * PAGE,
		.length = (1 + draw(f, 32)) * PAGE,
	};

	if (one_in(f, 4))
		spoil(f, &b, sizeof(b));
	call(f, DRM_IOCTL_VSVM_VM_BIND, &b);
}

static void fuzz_madvise(struct fuzz *f)
{
	static const __u32 granularity[] = { 4096, 65536, 2097152, 0 };
	struct drm_vsvm_madvise a = {
		.vm_id = any_vm(f),
		.type = draw(f, 3),
		.start = any_address(f) & ~(PAGE - 1),
		.length = any_length(f),
	};

	if (a.type == DRM_VSVM_MADVISE_LOCATION)
		a.value = any_location(f);
	else if (a.type == DRM_VSVM_MADVISE_GRANULARITY)
		a.value = granularity[draw(f, ARRAY_SIZE(granularity))];
	else
		a.value = draw(f, 4);
	if (one_in(f, 4))
		spoil(f, &a, sizeof(a));
	call(f, DRM_IOCTL_VSVM_MADVISE, &a);
}

static void fuzz_exclusive(struct fuzz *f)
{
	struct drm_vsvm_exclusive e = {
		.vm_id = any_vm(f),
		.start = any_address(f) & ~(PAGE - 1),
		.length = draw(f, 32) * PAGE,
	};

	if (one_in(f, 4))
		spoil(f, &e, sizeof(e));
	call(f, DRM_IOCTL_VSVM_EXCLUSIVE, &e);
}

/* Any number, any size, any content. */
static void fuzz_raw(struct fuzz *f)
{
	const unsigned int size = draw(f, 128);
	__u64 data[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(data); i++)
		data[i] = any_word(f);
	call(f, _IOC(draw(f, 4), DRM_IOCTL_BASE,
		     DRM_COMMAND_BASE + draw(f, 0x12), size),
	     one_in(f, 8) ? (void *)(uintptr_t)any_word(f) : data);
}

/* A child uses what is not its own, and leaves. */
static void fuzz_fork(struct fuzz *f)
{
	pid_t pid = fork();
	unsigned int i;

	if (!pid) {
		signal(SIGALRM, SIG_DFL);
		alarm(10);
		for (i = 0; i < 4; i++) {
			fuzz_exec(f);
			fuzz_prefetch(f);
			fuzz_bind(f);
		}
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void fuzz_reopen(struct fuzz *f)
{
	unsigned int i;

	fuzz_files_close(f);
	vsvm_close(&f->dev);
	if (vsvm_open(&f->dev, one_in(f, 4) ? 1 : 0) && vsvm_open(&f->dev, 0))
		_exit(2);
	memset(f->vm, 0, sizeof(f->vm));
	memset(f->bo, 0, sizeof(f->bo));
	memset(f->syncobj, 0, sizeof(f->syncobj));
	for (i = 0; i < ARRAY_SIZE(f->vm); i++)
		vsvm_vm_create(f->dev.fd, &f->vm[i]);
	for (i = 0; i < ARRAY_SIZE(f->syncobj); i++)
		fuzz_syncobj(f);
	fuzz_files_open(f);
}

/* How often out of all these each is called. */
static const struct {
	unsigned int weight;
	void (*func)(struct fuzz *f);
} fuzz_table[] = {
	{ 2, fuzz_query },	{ 2, fuzz_vm },		{ 30, fuzz_exec },
	{ 15, fuzz_prefetch },	{ 5, fuzz_residency },	{ 8, fuzz_gem_create },
	{ 8, fuzz_gem_mmap },	{ 15, fuzz_bind },	{ 10, fuzz_madvise },
	{ 8, fuzz_exclusive },	{ 5, fuzz_raw },	{ 20, fuzz_memory },
	{ 2, fuzz_syncobj },	{ 1, fuzz_fork },	{ 1, fuzz_reopen },
	{ 10, fuzz_wait },	{ 15, fuzz_sync_file },	{ 10, fuzz_dmabuf },
	{ 8, fuzz_prime },
};

static void fuzz_one(struct fuzz *f)
{
	unsigned int i, at, sum = 0;

	for (i = 0; i < ARRAY_SIZE(fuzz_table); i++)
		sum += fuzz_table[i].weight;
	at = draw(f, sum);
	for (i = 0; at >= fuzz_table[i].weight; i++)
		at -= fuzz_table[i].weight;
	fuzz_table[i].func(f);
}

/*
 * In the middle of addresses where nothing is: what the GPU writes beyond the end
 * must not get at the harness, which shares its memory with all processes.
 */
static __u8 *map_arena(void)
{
	__u8 *p = mmap(NULL, ARENA + 3 * LARGE_PAGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return MAP_FAILED;
	p += LARGE_PAGE - vsvm_addr(p) % LARGE_PAGE;
	return mmap(p, ARENA, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void on_alarm(int number)
{
	(void)number;
}

/*
 * The GPU may be told to write anywhere in here, so that this may crash, which
 * is nobody's fault but its own.
 */
static int fuzz_process(__u64 seed, __u64 end)
{
	/* Some calls wait as long as nobody interrupts them. */
	const struct itimerval often = { { 2, 0 }, { 2, 0 } };
	const struct sigaction action = { .sa_handler = on_alarm };
	struct fuzz f = { .seed = seed, .dev.fd = -1, .other.fd = -1, .vgem = -1 };

	memset(f.file, -1, sizeof(f.file));
	f.arena = map_arena();
	if (f.arena == MAP_FAILED)
		return 3;
	fuzz_memory_open(&f);
	fuzz_reopen(&f);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (vt_now_ms() < end)
		fuzz_one(&f);
	fprintf(stderr, "# %lu calls, of which %lu did what they were asked\n",
		f.calls, f.accepted);
	/* Nothing gets through: the generator is no good any more. */
	return f.accepted < f.calls / 20 ? 4 : 0;
}

FIXTURE(fuzz) {
	struct vt t;
	__u64 used;
	__u64 seed;
	__u64 end;
};

FIXTURE_SETUP(fuzz)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	self->used = vt_vram_used(&self->t);
	self->seed = vt_seed();
	if (fuzz_memory_lacks())
		fprintf(stderr, "# without %s\n", fuzz_memory_lacks());
	self->end = vt_now_ms() + 1000ull * vt_seconds(DEFAULT_SECONDS);
}

FIXTURE_TEARDOWN(fuzz)
{
	vt_close(&self->t);
}

/* Somebody does not come back: the kernel's log is to say what they all wait for. */
static void show_tasks(void)
{
	fprintf(stderr, "# a process has not ended, see the kernel's log\n");
	vsvm_write_file("/proc/sysrq-trigger", "w");
	vsvm_write_file("/proc/sysrq-trigger", "t");
}

TEST_F_TIMEOUT(fuzz, ioctls, vt_seconds(DEFAULT_SECONDS) + vt_timeout(120))
{
	const __u64 late = self->end + vt_timeout(60) * 1000ull;
	unsigned int i, crashes = 0, running = 0;
	int status, failures = 0;
	bool shown = false;
	struct vt_buf b;
	pid_t pid;

	for (i = 0; running || vt_now_ms() < self->end; ) {
		while (running < PROCESSES && vt_now_ms() < self->end) {
			pid = fork();
			if (!pid)
				_exit(fuzz_process(self->seed + 1000003 * i,
						   self->end));
			ASSERT_LT(0, pid);
			i++;
			running++;
		}
		vt_sleep_ms(200);
		vsvm_evict(&self->t.dev);
		if (!shown && vt_now_ms() > late) {
			show_tasks();
			shown = true;
		}
		while (waitpid(-1, &status, WNOHANG) > 0) {
			running--;
			if (WIFSIGNALED(status)) {
				fprintf(stderr, "# signal %d\n", WTERMSIG(status));
				crashes++;
			} else if (WEXITSTATUS(status)) {
				fprintf(stderr, "# exit %d\n", WEXITSTATUS(status));
				failures++;
			}
		}
	}
	fprintf(stderr, "# %u processes, %u of them crashed\n", i, crashes);
	EXPECT_EQ(0, failures);
	/* All theirs is gone, and the GPU is as good as ever. */
	ASSERT_EQ(0, vt_vram_settles(&self->t, self->used));
	ASSERT_EQ(0, vt_buf_map(&b, 4 * MIB, VT_THP));
	ASSERT_EQ(0, vt_buf_add(&self->t, &b, 0, b.len, 1));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, &b));
	ASSERT_EQ(0, vt_buf_check(&b));
}

TEST_HARNESS_MAIN

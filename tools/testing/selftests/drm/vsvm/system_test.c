// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the rest of the system does with memory that is in VRAM: debuggers,
 * /proc, core dumps, userfaultfd, swap, mprotect, mlock and advice. Each must
 * behave as on ordinary memory, and leave the GPU in working order.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/elf.h>
#include <linux/userfaultfd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(60)
#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()

FIXTURE(system) {
	struct vt t;
	struct vt_buf b;
	pid_t owner;
	int wake;
};

FIXTURE_VARIANT(system) {
	enum vt_kind kind;
};

FIXTURE_VARIANT_ADD(system, small) { .kind = VT_SMALL, };
FIXTURE_VARIANT_ADD(system, thp) { .kind = VT_THP, };

/* Everything starts in VRAM. */
FIXTURE_SETUP(system)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, variant->kind));
	ASSERT_EQ(0, vt_buf_add(&self->t, &self->b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&self->t, &self->b, IN_VRAM));
}

FIXTURE_TEARDOWN(system)
{
	vt_swap_end();
	vt_close(&self->t);
}

/*
 * A child with the same memory, in VRAM on its own account, that waits for a
 * byte and then checks what it has against @b. Returns when it is ready.
 */
static pid_t start_owner(struct vt_buf *b, int *wake)
{
	int to_child[2], from_child[2];
	struct vt t;
	pid_t pid;

	if (pipe(to_child) || pipe(from_child))
		return -1;
	pid = fork();
	if (pid) {
		close(to_child[0]);
		close(from_child[1]);
		*wake = to_child[1];
		if (vt_await(from_child[0]))
			return -1;
		close(from_child[0]);
		return pid;
	}
	if (VT_WRONG(!vt_open(&t)) || VT_WRONG(!vt_buf_add(&t, b, 0, LEN, 1)) ||
	    VT_WRONG(!vt_buf_elsewhere(&t, b, IN_VRAM)))
		_exit(1);
	vt_wake(from_child[1]);
	if (VT_WRONG(!vt_await(to_child[0])))
		_exit(1);
	/* The first byte of each page is what the others change. */
	_exit(VT_WRONG(!vt_buf_check(b)) || VT_WRONG(!vt_buf_check_gpu(&t, b)));
}

static void model_add(struct vt_buf *b, __u8 value)
{
	size_t i;

	for (i = 0; i < b->len; i++)
		b->model[i] += value;
}

/* A debugger reads and writes words. */
TEST_F_TIMEOUT(system, ptrace, SECONDS)
{
	pid_t pid = start_owner(&self->b, &self->wake);
	struct vt_buf *b = &self->b;
	int status;
	size_t at;
	long word;

	ASSERT_LT(0, pid);
	model_add(b, 1);
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	for (at = 0; at < LEN; at += 37 * PAGE) {
		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, pid, b->p + at, NULL);
		ASSERT_EQ(0, errno);
		ASSERT_EQ(0, memcmp(&word, b->model + at, sizeof(word)));
		/* As it was, so that the child finds what it expects. */
		ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, pid, b->p + at, (void *)word));
	}
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	vt_wake(self->wake);
	ASSERT_EQ(0, vt_join(pid));
}

TEST_F_TIMEOUT(system, proc_mem, SECONDS)
{
	pid_t pid = start_owner(&self->b, &self->wake);
	struct vt_buf *b = &self->b;
	__u8 *copy = malloc(LEN);
	char path[64];
	int fd;

	ASSERT_LT(0, pid);
	model_add(b, 1);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)LEN, pread(fd, copy, LEN, vsvm_addr(b->p)));
	ASSERT_EQ(0, vt_same(copy, b->model, LEN));
	ASSERT_EQ((ssize_t)PAGE, pwrite(fd, b->model, PAGE, vsvm_addr(b->p)));
	close(fd);
	free(copy);
	vt_wake(self->wake);
	ASSERT_EQ(0, vt_join(pid));
}

TEST_F_TIMEOUT(system, process_vm, SECONDS)
{
	pid_t pid = start_owner(&self->b, &self->wake);
	struct vt_buf *b = &self->b;
	__u8 *copy = malloc(LEN);
	struct iovec local = { copy, LEN };
	struct iovec remote = { b->p, LEN };

	ASSERT_LT(0, pid);
	model_add(b, 1);
	ASSERT_EQ((ssize_t)LEN, process_vm_readv(pid, &local, 1, &remote, 1, 0));
	ASSERT_EQ(0, vt_same(copy, b->model, LEN));
	ASSERT_EQ((ssize_t)LEN, process_vm_writev(pid, &local, 1, &remote, 1, 0));
	free(copy);
	vt_wake(self->wake);
	ASSERT_EQ(0, vt_join(pid));
}

/* Where an address is in a core file, or -1. */
static off_t core_offset(int fd, __u64 addr, size_t len)
{
	struct elf64_hdr head;
	struct elf64_phdr phdr;
	int i;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG))
		return -1;
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &phdr, sizeof(phdr), head.e_phoff +
			  (off_t)i * head.e_phentsize) != sizeof(phdr))
			return -1;
		if (phdr.p_type == PT_LOAD && addr >= phdr.p_vaddr &&
		    addr + len <= phdr.p_vaddr + phdr.p_filesz)
			return phdr.p_offset + (addr - phdr.p_vaddr);
	}
	return -1;
}

/* What a crashed process had in VRAM is in its core. */
TEST_F_TIMEOUT(system, core_dump, SECONDS)
{
	const char *path = "/tmp/vsvm_core";
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct vt_buf *b = &self->b;
	int status, fd;
	__u8 *copy;
	off_t at;
	pid_t pid;

	if (vsvm_write_file("/proc/sys/kernel/core_pattern", path))
		SKIP(return, "no core dumps");
	pid = fork();
	if (!pid) {
		struct vt t;

		/* The models are as large as the buffers. */
		madvise(b->model, b->len, MADV_DONTDUMP);
		if (VT_WRONG(!setrlimit(RLIMIT_CORE, &all)) ||
		    VT_WRONG(!vt_open(&t)) ||
		    VT_WRONG(!vt_buf_add(&t, b, 0, LEN, 1)) ||
		    VT_WRONG(!vt_buf_elsewhere(&t, b, IN_VRAM)))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(SIGABRT, WTERMSIG(status));
	ASSERT_TRUE(WCOREDUMP(status));
	model_add(b, 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	at = core_offset(fd, vsvm_addr(b->p), LEN);
	ASSERT_LE(0, at);
	copy = malloc(LEN);
	ASSERT_EQ((ssize_t)LEN, pread(fd, copy, LEN, at));
	ASSERT_EQ(0, vt_same(copy, b->model, LEN));
	free(copy);
	close(fd);
	unlink(path);
}

TEST_F_TIMEOUT(system, mprotect, SECONDS)
{
	struct vt *t = &self->t;
	struct vt_buf *b = &self->b;

	ASSERT_EQ(0, mprotect(b->p, LEN, PROT_READ));
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	EXPECT_EQ(-EFAULT, vt_fill(t, b->p + LEN / 2, 1, 0));
	ASSERT_EQ(0, mprotect(b->p, LEN, PROT_NONE));
	EXPECT_EQ(-EFAULT, vt_copy(t, b->p, b->model, 1));
	ASSERT_EQ(0, mprotect(b->p, LEN / 2, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, LEN / 2, 1));
	EXPECT_EQ(-EFAULT, vt_fill(t, b->p + LEN / 2, 1, 0));
	ASSERT_EQ(0, mprotect(b->p, LEN, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(b));
}

TEST_F_TIMEOUT(system, mlock, SECONDS)
{
	struct vt_buf *b = &self->b;

	/* Brings it home, and must not keep it from going back. */
	ASSERT_EQ(0, mlock(b->p, LEN));
	ASSERT_EQ(0, vt_buf_add(&self->t, b, 0, LEN, 1));
	ASSERT_EQ(0, munlock(b->p, LEN));
	ASSERT_EQ(0, vt_buf_add(&self->t, b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(b));
}

TEST_F_TIMEOUT(system, wipe_on_fork, SECONDS)
{
	struct vt_buf *b = &self->b;
	pid_t pid;

	ASSERT_EQ(0, madvise(b->p, LEN, MADV_WIPEONFORK));
	pid = fork();
	if (!pid) {
		struct vt t;

		_exit(VT_WRONG(!vt_all(b->p, 0, LEN / 2)) ||
		      VT_WRONG(!vt_open(&t)) ||
		      VT_WRONG(!vt_add(&t, b->p, b->p, LEN, 3)) ||
		      VT_WRONG(!vt_all(b->p, 3, LEN)));
	}
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, b));
	ASSERT_EQ(0, vt_buf_check(b));
}

TEST_F_TIMEOUT(system, not_in_a_child, SECONDS)
{
	struct vt_buf *b = &self->b;
	pid_t pid;

	ASSERT_EQ(0, madvise(b->p, LEN, MADV_DONTFORK));
	pid = fork();
	if (!pid) {
		struct vt t;

		_exit(VT_WRONG(!vt_open(&t)) ||
		      VT_WRONG(vt_fill(&t, b->p, 1, 0) == -EFAULT));
	}
	ASSERT_EQ(0, vt_join(pid));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Answers missing pages with ones of its own, as a monitor would. */
struct monitor {
	int fd;
	__u8 value;
	unsigned int faults;
	int err;
};

static void *monitor_run(void *arg)
{
	struct monitor *m = arg;
	struct pollfd poll_fd = { .fd = m->fd, .events = POLLIN };
	__u8 *page = aligned_alloc(PAGE, PAGE);
	struct uffd_msg msg;

	memset(page, m->value, PAGE);
	while (poll(&poll_fd, 1, 1000) > 0) {
		struct uffdio_copy copy = { .src = vsvm_addr(page), .len = PAGE };

		if (read(m->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		copy.dst = msg.arg.pagefault.address & ~(PAGE - 1);
		if (ioctl(m->fd, UFFDIO_COPY, &copy) && errno != EEXIST)
			m->err = -errno;
		m->faults++;
	}
	free(page);
	return NULL;
}

/* A fault of the GPU on memory that a monitor has to fill in. */
TEST_F_TIMEOUT(system, userfaultfd_missing, SECONDS)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct monitor m = { .value = 0x5c };
	const size_t len = 16 * PAGE;
	pthread_t thread;
	__u8 *p;

	m.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (m.fd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ioctl(m.fd, UFFDIO_API, &api));
	p = vt_map_aligned(LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ASSERT_NE(NULL, p);
	reg.range.start = vsvm_addr(p);
	reg.range.len = len;
	ASSERT_EQ(0, ioctl(m.fd, UFFDIO_REGISTER, &reg));
	ASSERT_EQ(0, pthread_create(&thread, NULL, monitor_run, &m));
	ASSERT_EQ(0, vt_add(&self->t, p, p, len, 1));
	ASSERT_EQ(0, vt_all(p, 0x5d, len));
	/* In VRAM or not, what was dropped is the monitor's to fill in again. */
	ASSERT_EQ(0, madvise(p, len, MADV_DONTNEED));
	ASSERT_EQ(0, vt_add(&self->t, p, p, len, 2));
	ASSERT_EQ(0, vt_all(p, 0x5e, len));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, m.err);
	EXPECT_LE(2 * len / PAGE, m.faults);
	close(m.fd);
}

/*
 * The monitor never answers, and the process is killed: it must be gone soon,
 * with the GPU's fault that waits for the answer.
 */
TEST_F_TIMEOUT(system, userfaultfd_killed, SECONDS)
{
	__u64 used = vt_vram_used(&self->t);
	struct pollfd poll_fd = { .events = POLLIN };
	int pair[2], status, i;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pipe(pair));
		pid = fork();
		if (!pid) {
			struct uffdio_register reg = {
				.mode = UFFDIO_REGISTER_MODE_MISSING,
				.range.len = PAGE,
			};
			struct uffdio_api api = { .api = UFFD_API };
			struct drm_vsvm_kernel k = { .count = PAGE };
			struct vt t;
			void *p;

			/* Files are closed in an order of the kernel's choice. */
			if (!i && VT_WRONG(!vt_open(&t)))
				_exit(1);
			poll_fd.fd = syscall(SYS_userfaultfd, O_CLOEXEC);
			if (poll_fd.fd < 0)
				_exit(77);
			if (i && VT_WRONG(!vt_open(&t)))
				_exit(1);
			p = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE);
			reg.range.start = vsvm_addr(p);
			k.dst = vsvm_addr(p);
			if (VT_WRONG(!ioctl(poll_fd.fd, UFFDIO_API, &api)) ||
			    VT_WRONG(!ioctl(poll_fd.fd, UFFDIO_REGISTER, &reg)) ||
			    VT_WRONG(!vt_submit(&t, t.vm, &k, 1, NULL)) ||
			    VT_WRONG(poll(&poll_fd, 1, 10000) == 1))
				_exit(1);
			vt_wake(pair[1]);
			pause();
			_exit(1);
		}
		close(pair[1]);
		if (vt_await(pair[0])) {
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			ASSERT_EQ(77, WEXITSTATUS(status));
			SKIP(return, "no userfaultfd");
		}
		close(pair[0]);
		vt_sleep_ms(100);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(SIGKILL, WTERMSIG(status));
	}
	ASSERT_EQ(0, vt_vram_settles(&self->t, used));
}

static void *write_protect_run(void *arg)
{
	struct monitor *m = arg;
	struct pollfd poll_fd = { .fd = m->fd, .events = POLLIN };
	struct uffd_msg msg;

	while (poll(&poll_fd, 1, 2000) > 0) {
		struct uffdio_writeprotect wp = { .range.len = PAGE };

		if (read(m->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		wp.range.start = msg.arg.pagefault.address & ~(PAGE - 1);
		if (ioctl(m->fd, UFFDIO_WRITEPROTECT, &wp))
			m->err = -errno;
		m->faults++;
	}
	return NULL;
}

/* Pages in VRAM become write-protected; the monitor sees each write. */
TEST_F_TIMEOUT(system, userfaultfd_write_protect, SECONDS)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct vt_buf *b = &self->b;
	struct monitor m = {};
	const size_t len = 64 * PAGE;
	pthread_t thread;

	m.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (m.fd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, ioctl(m.fd, UFFDIO_API, &api));
	reg.range.start = vsvm_addr(b->p);
	reg.range.len = len;
	if (ioctl(m.fd, UFFDIO_REGISTER, &reg))
		SKIP(return, "no write protection by userfaultfd");
	wp.range = reg.range;
	ASSERT_EQ(0, ioctl(m.fd, UFFDIO_WRITEPROTECT, &wp));
	/* Reads are free. */
	ASSERT_EQ(0, vt_buf_check_range(b, 0, len));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_protect_run, &m));
	ASSERT_EQ(0, vt_buf_add(&self->t, b, 0, len, 1));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, m.err);
	EXPECT_LT(0u, m.faults);
	ASSERT_EQ(0, vt_buf_check(b));
	close(m.fd);
}

/* Nothing in VRAM goes to swap; what went before comes back for the GPU. */
TEST_F_TIMEOUT(system, swap, SECONDS)
{
	struct vt_buf *b = &self->b;

	if (vt_swap_begin())
		SKIP(return, "no swap (modprobe zram)");
	/* In VRAM: out of reach. */
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_PAGEOUT));
	EXPECT_EQ(0, vt_buf_elsewhere(&self->t, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, b));
	/* At home: out it goes, and in again by a fault of the GPU. */
	ASSERT_EQ(0, vt_buf_check(b));
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_PAGEOUT));
	EXPECT_LT(0, vt_pages_at(&self->t, b->p, LEN, DRM_VSVM_RES_NONE));
	ASSERT_EQ(0, vt_buf_add(&self->t, b, 0, LEN, 1));
	EXPECT_EQ(0, vt_pages_at(&self->t, b->p, LEN, DRM_VSVM_RES_NONE));
	ASSERT_EQ(0, vt_buf_check(b));
	/* And by a job after a prefetch, which leaves it where it is. */
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_PAGEOUT));
	ASSERT_EQ(0, vsvm_prefetch(self->t.dev.fd, self->t.vm, b->p, LEN,
				   DRM_VSVM_LOC_DEVICE, NULL, NULL));
	ASSERT_EQ(0, vt_buf_check_gpu(&self->t, b));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Pages that came back from swap are clean, until the GPU writes to them there. */
TEST_F_TIMEOUT(system, swap_and_write, SECONDS)
{
	struct vt_buf *b = &self->b;

	if (vt_swap_begin())
		SKIP(return, "no swap on /dev/zram0 (modprobe zram)");
	ASSERT_EQ(0, vsvm_madvise(self->t.dev.fd, self->t.vm, b->p, LEN,
				  DRM_VSVM_MADVISE_LOCATION,
				  DRM_VSVM_LOC_SYSTEM));
	ASSERT_EQ(0, vt_buf_check(b));
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_PAGEOUT));
	/* Comparing reads them in again. */
	ASSERT_EQ(0, vt_buf_check(b));
	ASSERT_EQ(0, vt_buf_add(&self->t, b, 0, LEN, 1));
	ASSERT_EQ(0, madvise(b->p, LEN, MADV_PAGEOUT));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Advice that has nothing to say about VRAM does no harm there. */
TEST_F_TIMEOUT(system, other_advice, SECONDS)
{
	static const int advice[] = {
		MADV_COLD, MADV_WILLNEED, MADV_SEQUENTIAL, MADV_RANDOM,
		MADV_NORMAL, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTDUMP,
		MADV_DODUMP, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
	};
	struct vt_buf *b = &self->b;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		ASSERT_EQ(0, madvise(b->p, LEN, advice[i]));
		ASSERT_EQ(0, vt_buf_add(&self->t, b, 0, LEN, 1));
	}
	ASSERT_EQ(0, vt_buf_check(b));
}

/* What asks where pages are, without touching them. */
TEST_F_TIMEOUT(system, looking_on, SECONDS)
{
	unsigned char *resident = calloc(LEN / PAGE, 1);
	struct vt_buf *b = &self->b;
	char *line = NULL;
	size_t room = 0;
	FILE *file;

	ASSERT_NE(NULL, resident);
	ASSERT_EQ(0, mincore(b->p, LEN, resident));
	file = fopen("/proc/self/smaps", "re");
	ASSERT_NE(NULL, file);
	while (getline(&line, &room, file) > 0)
		;
	fclose(file);
	file = fopen("/proc/self/numa_maps", "re");
	while (file && getline(&line, &room, file) > 0)
		;
	if (file)
		fclose(file);
	free(line);
	free(resident);
	EXPECT_EQ(0, vt_buf_elsewhere(&self->t, b, IN_VRAM));
	ASSERT_EQ(0, vt_buf_check(b));
}

TEST_HARNESS_MAIN

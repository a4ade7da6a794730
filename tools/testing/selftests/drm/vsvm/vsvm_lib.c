// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the tests of vsvm share, see vsvm_test.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vsvm_test.h"

/* A job of this size is done in seconds on a slow emulated machine. */
#define PIECE		(4 * MIB)

/* How long something may take that happens by itself. */
#define SETTLE_MS	20000

bool vt_wrong(bool wrong, const char *expr, const char *file, int line)
{
	const char *name = strrchr(file, '/');

	if (wrong)
		fprintf(stderr, "# %s:%d: does not hold: %s\n",
			name ? name + 1 : file, line, expr);
	return wrong;
}

static unsigned long env_number(const char *name, unsigned long fallback)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : fallback;
}

size_t vt_scaled(size_t bytes)
{
	return bytes * env_number("VSVM_SCALE", 1);
}

int vt_timeout(int seconds)
{
	return seconds * env_number("VSVM_SCALE", 1);
}

int vt_seconds(int seconds)
{
	return env_number("VSVM_SECONDS", seconds);
}

__u64 vt_seed(void)
{
	struct timespec ts;
	__u64 seed;

	clock_gettime(CLOCK_REALTIME, &ts);
	seed = env_number("VSVM_SEED", (ts.tv_sec ^ ts.tv_nsec) & 0xffffff);
	fprintf(stderr, "# VSVM_SEED=%llu\n", seed);
	return seed;
}

__u64 vt_random(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

__u64 vt_random_below(__u64 *state, __u64 limit)
{
	return vt_random(state) % limit;
}

int vt_open_id(struct vt *t, int id)
{
	int err;

	*t = (struct vt){};
	err = vsvm_open(&t->dev, id);
	if (err) {
		fprintf(stderr, "# no vsvm device: %s\n", strerror(-err));
		return err;
	}
	err = vsvm_vm_create(t->dev.fd, &t->vm);
	if (err) {
		fprintf(stderr, "# no address space on %s: %s\n", t->dev.node,
			strerror(-err));
		vsvm_close(&t->dev);
	}
	return err;
}

int vt_open(struct vt *t)
{
	return vt_open_id(t, (int)env_number("VSVM_DEVICE", -1));
}

void vt_close(struct vt *t)
{
	vsvm_close(&t->dev);
}

bool vt_may_skip(void)
{
	return getenv("VSVM_ALLOW_SKIP");
}

static int run_one(struct vt *t, struct drm_vsvm_kernel kernel)
{
	return vsvm_run(t->dev.fd, t->vm, &kernel, 1, &t->last);
}

/* Run an operation on bytes piece by piece. */
static int run_bytes(struct vt *t, struct drm_vsvm_kernel kernel)
{
	size_t left, count = kernel.count;
	int err = 0;

	for (left = count; left && !err; left -= kernel.count) {
		kernel.count = left < PIECE ? left : PIECE;
		err = run_one(t, kernel);
		kernel.dst += kernel.count;
		kernel.src += kernel.src ? kernel.count : 0;
	}
	return err;
}

int vt_fill(struct vt *t, void *dst, size_t count, __u8 value)
{
	return run_bytes(t, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(dst),
		.count = count,
		.arg = value,
	});
}

int vt_copy(struct vt *t, void *dst, const void *src, size_t count)
{
	return run_bytes(t, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_COPY,
		.dst = vsvm_addr(dst),
		.src = vsvm_addr(src),
		.count = count,
	});
}

int vt_add(struct vt *t, void *dst, const void *src, size_t count, __u8 value)
{
	return run_bytes(t, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_ADD,
		.dst = vsvm_addr(dst),
		.src = vsvm_addr(src),
		.count = count,
		.arg = value,
	});
}

int vt_atomic_add(struct vt *t, __u64 *counter, size_t count, __u64 value)
{
	return run_one(t, (struct drm_vsvm_kernel) {
		.op = DRM_VSVM_OP_ATOMIC_ADD,
		.dst = vsvm_addr(counter),
		.count = count,
		.arg = value,
	});
}

/*
 * Add up the results of an operation that stores @n numbers for each piece. Not
 * on the heap: its pages may be a parent's too, and VRAM that they are moved to
 * is in use as long as the parent lives.
 */
static int run_reduce(struct vt *t, __u32 op, const void *src, size_t count,
		      __u64 *result, size_t n)
{
	struct drm_vsvm_kernel kernel = { .op = op, .src = vsvm_addr(src) };
	__u64 *part = mmap(NULL, n * sizeof(*part), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i, left;
	int err = 0;

	if (part == MAP_FAILED)
		return -ENOMEM;
	memset(result, 0, n * sizeof(*result));
	kernel.dst = vsvm_addr(part);
	for (left = count; left && !err; left -= kernel.count) {
		kernel.count = left < PIECE ? left : PIECE;
		err = run_one(t, kernel);
		kernel.src += kernel.count;
		for (i = 0; i < n; i++)
			result[i] += part[i];
	}
	munmap(part, n * sizeof(*part));
	return err;
}

int vt_sum(struct vt *t, const void *src, size_t count, __u64 *sum)
{
	return run_reduce(t, DRM_VSVM_OP_SUM, src, count, sum, 1);
}

int vt_histogram(struct vt *t, const void *src, size_t count, __u64 *counts)
{
	return run_reduce(t, DRM_VSVM_OP_HISTOGRAM, src, count, counts, 256);
}

void vt_endless(struct drm_vsvm_kernel *kernel, __u64 *node)
{
	memset(node, 0, 12 * sizeof(*node));
	node[0] = vsvm_addr(&node[4]);
	node[4] = vsvm_addr(&node[0]);
	*kernel = (struct drm_vsvm_kernel){
		.op = DRM_VSVM_OP_CHASE,
		.dst = vsvm_addr(&node[8]),
		.src = vsvm_addr(node),
		.arg = sizeof(*node),
	};
}

long vt_parameter(const char *name)
{
	char path[PATH_MAX], text[32] = {};
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/vsvm/parameters/%s", name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (!fgets(text, sizeof(text), file))
		strcpy(text, "-1");
	fclose(file);
	return text[0] == 'Y' || text[0] == 'N' ? text[0] == 'Y' :
						  strtol(text, NULL, 0);
}

void *vt_map_aligned(size_t len, int prot, int flags)
{
	size_t room = len + LARGE_PAGE;
	__u8 *p, *aligned;

	p = mmap(NULL, room, prot, flags | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	aligned = p + (-vsvm_addr(p) & (LARGE_PAGE - 1));
	if (aligned > p)
		munmap(p, aligned - p);
	munmap(aligned + len, p + room - (aligned + len));
	return aligned;
}

int vt_buf_map(struct vt_buf *b, size_t len, enum vt_kind kind)
{
	b->len = len;
	b->p = vt_map_aligned(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	b->model = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!b->p || b->model == MAP_FAILED)
		return -ENOMEM;
	/* EINVAL without CONFIG_TRANSPARENT_HUGEPAGE: all pages are small. */
	madvise(b->p, len, kind == VT_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (kind != VT_HOLES)
		vt_buf_write(b, 0, len, kind + 1);
	return 0;
}

void vt_buf_unmap(struct vt_buf *b)
{
	munmap(b->p, b->len);
	munmap(b->model, b->len);
}

void vt_pattern(void *to, size_t len, __u64 seed)
{
	__u8 *p = to;
	__u64 word;
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at < sizeof(word) ? len - at : sizeof(word);
		word = vt_random(&seed);
		memcpy(p + at, &word, n);
	}
}

void vt_buf_write(struct vt_buf *b, size_t offset, size_t len, __u64 seed)
{
	vt_pattern(b->model + offset, len, seed);
	memcpy(b->p + offset, b->model + offset, len);
}

int vt_buf_fill(struct vt *t, struct vt_buf *b, size_t offset, size_t len,
		__u8 value)
{
	memset(b->model + offset, value, len);
	return vt_fill(t, b->p + offset, len, value);
}

int vt_buf_add(struct vt *t, struct vt_buf *b, size_t offset, size_t len,
	       __u8 value)
{
	size_t i;

	for (i = offset; i < offset + len; i++)
		b->model[i] += value;
	return vt_add(t, b->p + offset, b->p + offset, len, value);
}

int vt_buf_check(const struct vt_buf *b)
{
	return vt_same(b->p, b->model, b->len);
}

int vt_buf_check_range(const struct vt_buf *b, size_t offset, size_t len)
{
	return vt_same(b->p + offset, b->model + offset, len);
}

int vt_buf_check_gpu(struct vt *t, const struct vt_buf *b)
{
	__u64 gpu[256], cpu[256] = {}, gpu_sum, cpu_sum = 0;
	size_t i;
	int err;

	for (i = 0; i < b->len; i++) {
		cpu[b->model[i]]++;
		cpu_sum += b->model[i];
	}
	err = vt_histogram(t, b->p, b->len, gpu);
	err = err ?: vt_sum(t, b->p, b->len, &gpu_sum);
	if (err)
		return err;
	for (i = 0; i < 256; i++) {
		if (gpu[i] == cpu[i])
			continue;
		fprintf(stderr, "# byte 0x%02zx: %llu times, the GPU says %llu\n",
			i, cpu[i], gpu[i]);
		return -EILSEQ;
	}
	return VT_WRONG(gpu_sum == cpu_sum) ? -EILSEQ : 0;
}

static int differ(const void *at, size_t offset, __u8 found, __u8 expected)
{
	fprintf(stderr, "# at %p (offset 0x%zx): expected 0x%02x, found 0x%02x\n",
		at, offset, expected, found);
	return -EILSEQ;
}

int vt_same(const void *found, const void *expected, size_t len)
{
	const __u8 *a = found, *b = expected;
	size_t at, n, i;
	__u8 block[4096];

	/* From a copy: what is compared is what is printed. */
	for (at = 0; at < len; at += n) {
		n = len - at < sizeof(block) ? len - at : sizeof(block);
		memcpy(block, a + at, n);
		if (!memcmp(block, b + at, n))
			continue;
		for (i = 0; i < n; i++)
			if (block[i] != b[at + i])
				return differ(a + at + i, at + i, block[i],
					      b[at + i]);
	}
	return 0;
}

int vt_all(const void *found, __u8 expected, size_t len)
{
	const __u8 *a = found;
	__u8 block[4096];
	size_t at, n;
	int err = 0;

	memset(block, expected, sizeof(block));
	for (at = 0; at < len && !err; at += n) {
		n = len - at < sizeof(block) ? len - at : sizeof(block);
		err = vt_same(a + at, block, n);
	}
	return err;
}

long vt_pages_at(struct vt *t, const void *addr, size_t len, __u8 where)
{
	size_t i, n = 0, pages = vsvm_pages(addr, len);
	__u8 *map = malloc(pages);
	int err;

	if (!map)
		return -ENOMEM;
	err = vsvm_residency(t->dev.fd, t->vm, addr, len, map);
	for (i = 0; i < pages && !err; i++)
		n += (map[i] & DRM_VSVM_RES_MASK) == where;
	free(map);
	return err ? err : (long)n;
}

int vt_elsewhere(struct vt *t, const void *addr, size_t len, __u8 where)
{
	static const char * const name[] = { "none", "system", "VRAM", "peer" };
	struct vsvm_where count;
	long there;
	int err;

	there = vt_pages_at(t, addr, len, where);
	if (there == (long)vsvm_pages(addr, len))
		return 0;
	err = there < 0 ? (int)there :
			  vsvm_where(t->dev.fd, t->vm, addr, len, &count);
	if (err) {
		fprintf(stderr, "# residency of %p: %s\n", addr, strerror(-err));
		return err;
	}
	fprintf(stderr,
		"# %zu pages at %p are not all in %s: none %zu, system %zu, VRAM %zu, peer %zu\n",
		count.pages, addr, name[where], count.none, count.system,
		count.device, count.peer);
	return count.pages - there;
}

int vt_buf_elsewhere(struct vt *t, const struct vt_buf *b, __u8 where)
{
	return vt_elsewhere(t, b->p, b->len, where);
}

__u64 vt_vram_used(struct vt *t)
{
	struct drm_vsvm_device_info info;

	return vsvm_query_device(t->dev.fd, &info) ? UINT64_MAX :
						     info.vram_used;
}

int vt_vram_settles(struct vt *t, __u64 used)
{
	__u64 end = vt_now_ms() + SETTLE_MS;

	while (vt_vram_used(t) > used) {
		if (vt_now_ms() > end) {
			fprintf(stderr, "# VRAM in use: %llu bytes, was %llu\n",
				vt_vram_used(t), used);
			return -ETIMEDOUT;
		}
		vt_sleep_ms(10);
	}
	return 0;
}

__u64 vt_mem_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	fclose(file);
	return kib * KIB;
}

__u64 vt_mem_slack(void)
{
	const __u64 total = sysconf(_SC_PHYS_PAGES) * vsvm_page_size();

	/* There is one in debug kernels. */
	return 8 * MIB +
	       (access("/sys/kernel/debug/kmemleak", F_OK) ? 0 : total / 32);
}

int vt_mem_settles(__u64 available, __u64 ms)
{
	const __u64 end = vt_now_ms() + ms;

	while (vt_mem_available() + vt_mem_slack() < available) {
		if (VT_WRONG(vt_now_ms() < end))
			return -ENOMEM;
		vt_sleep_ms(50);
	}
	return 0;
}

int vt_monitor(void *p, size_t len)
{
	struct uffdio_register reg = {
		.range = { .start = vsvm_addr(p), .len = len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

int vt_join(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

void vt_wake(int fd)
{
	char c = 0;

	if (write(fd, &c, 1) != 1)
		perror("# pipe");
}

int vt_await(int fd)
{
	char c;

	return read(fd, &c, 1) == 1 ? 0 : -EPIPE;
}

void vt_sleep_ms(unsigned int ms)
{
	struct timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000l,
	};

	nanosleep(&ts, NULL);
}

__u64 vt_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

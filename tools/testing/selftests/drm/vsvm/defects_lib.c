// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the tests of single defects share, see defects.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "defects.h"

#define DEBUGFS	"/sys/kernel/debug/"
/* linux/mempolicy.h */
#define POLICY_BIND	2

int write_number(const char *path, unsigned long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", value);
	return vsvm_write_file(path, text);
}

static const char *inject_path(struct vt *t, const char *file)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), DEBUGFS "dri/%s/inject/%s", t->dev.name,
		 file);
	return path;
}

int inject_set(struct vt *t, const char *file, unsigned long value)
{
	return write_number(inject_path(t, file), value);
}

long inject_get(struct vt *t, const char *file)
{
	return vt_read_number(inject_path(t, file), "");
}

long inject_count(struct vt *t, const char *what)
{
	return vt_read_number(inject_path(t, "migrations"), what);
}

int inject_populate(struct vt *t, void *p, size_t len, unsigned int ms)
{
	char text[64];

	snprintf(text, sizeof(text), "%llx %zx %u", vsvm_addr(p), len, ms);
	return vsvm_write_file(inject_path(t, "populate"), text);
}

static int fail_set(const char *kind, const char *file, long value)
{
	char path[128], text[24];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, file);
	snprintf(text, sizeof(text), "%ld", value);
	return vsvm_write_file(path, text);
}

/* Open all the time: who has no memory cannot open a file to say so. */
static int make_it_fail = -1;

static int set_make_it_fail(char value)
{
	if (make_it_fail < 0)
		make_it_fail = open("/proc/thread-self/make-it-fail",
				    O_WRONLY | O_CLOEXEC);
	return pwrite(make_it_fail, &value, 1, 0) == 1 ? 0 : -errno;
}

int fail_begin(const char *kind, bool this_task_only, unsigned int min_order)
{
	int err;

	err = fail_set(kind, "verbose", 0);
	err = err ?: fail_set(kind, "ignore-gfp-wait", 0);
	if (!strcmp(kind, "fail_page_alloc")) {
		err = err ?: fail_set(kind, "ignore-gfp-highmem", 0);
		err = err ?: fail_set(kind, "min-order", min_order);
	}
	err = err ?: fail_set(kind, "task-filter", this_task_only);
	err = err ?: fail_set(kind, "times", -1);
	err = err ?: fail_set(kind, "probability", 100);
	return err ?: set_make_it_fail(this_task_only ? '1' : '0');
}

void fail_end(const char *kind)
{
	set_make_it_fail('0');
	fail_set(kind, "probability", 0);
}

int use_node(int node)
{
	unsigned long mask = 1ul << node;
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
	if (access(path, F_OK))
		return -ENODEV;
	return syscall(SYS_set_mempolicy, POLICY_BIND, &mask, 64ul) ? -errno : 0;
}

int to_vram(struct vt *t, const void *p, size_t len)
{
	int err;

	err = vsvm_prefetch(t->dev.fd, t->vm, p, len, DRM_VSVM_LOC_DEVICE, NULL,
			    NULL);
	return err ?: vt_elsewhere(t, p, len, IN_VRAM) ? -EBUSY : 0;
}

__u8 *in_vram(struct vt *t, size_t len, enum vt_kind kind, __u8 value)
{
	__u8 *p = vt_map_aligned(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	if (!p)
		return NULL;
	/* Unlike its neighbours, so that it shares no anon_vma with them. */
	madvise(p, len, MADV_DONTDUMP);
	madvise(p, len, kind == VT_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (kind != VT_HOLES)
		memset(p, ~value, len);
	if (vt_fill(t, p, len, value) || to_vram(t, p, len))
		return NULL;
	return p;
}

bool is_block(struct vt *t, const void *p)
{
	__u8 res = 0;

	return !vsvm_residency(t->dev.fd, t->vm, p, 1, &res) &&
	       (res & DRM_VSVM_RES_PMD);
}

static struct drm_vsvm_stats stats(struct vt *t)
{
	struct drm_vsvm_stats s = {};

	vsvm_query_stats(t->dev.fd, &s);
	return s;
}

__u64 to_ram_bytes(struct vt *t)
{
	return stats(t).to_ram_bytes;
}

__u64 to_vram_bytes(struct vt *t)
{
	return stats(t).to_vram_bytes;
}

int evict_until(struct vt *t, unsigned int ms, void (*end)(struct vt *t))
{
	pid_t pid = fork();
	int err;

	if (!pid) {
		vt_sleep_ms(ms);
		end(t);
		_exit(0);
	}
	err = vsvm_evict(&t->dev);
	vt_join(pid);
	return err;
}

/* Far beyond all that an access waits for */
#define TOUCH_SECONDS	20

static sigjmp_buf touch_env;

static void touch_failed(int signal)
{
	siglongjmp(touch_env, signal);
}

int touch(const __u8 *p)
{
	struct sigaction action = { .sa_handler = touch_failed };
	int signal;

	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	alarm(TOUCH_SECONDS);
	signal = sigsetjmp(touch_env, 1);
	if (!signal)
		(void)__atomic_load_n(p, __ATOMIC_RELAXED);
	alarm(0);
	action.sa_handler = SIG_DFL;
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	return signal == SIGALRM ? -ETIMEDOUT : signal ? -EFAULT : 0;
}

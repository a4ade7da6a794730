// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Pages that KSM merges, or has merged, must not be collected on their way to
 * VRAM: mm would not find the mapping again, and who touches the address would
 * wait for ever. The time limit of a test is what notices that.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS	vt_timeout(40)
#define LEN	(2 * MIB)
#define PAGE	vsvm_page_size()
#define PAIRS	4

#define KSM	"/sys/kernel/mm/ksm/"

static long ksm_read(const char *file)
{
	char path[PATH_MAX];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), KSM "%s", file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static int ksm_write(const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), KSM "%s", file);
	return vsvm_write_file(path, text);
}

FIXTURE(ksm) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(ksm)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	if (ksm_write("pages_to_scan", "4000"))
		SKIP(return, "no KSM");
	ASSERT_EQ(0, ksm_write("sleep_millisecs", "1"));
	ASSERT_EQ(0, ksm_write("run", "2"));
	ASSERT_EQ(0, vt_buf_map(&self->b, LEN, VT_SMALL));
}

FIXTURE_TEARDOWN(ksm)
{
	ksm_write("run", "2");
	ksm_write("run", "0");
	vt_close(&self->t);
}

static __u64 *word(__u8 *p, size_t page)
{
	return (__u64 *)(p + page * PAGE);
}

/*
 * While ksmd merges as fast as it can, over and over: nothing of an area that
 * is MADV_MERGEABLE goes to VRAM.
 */
TEST_F_TIMEOUT(ksm, beside_ksmd, SECONDS)
{
	__u64 moved, all = 0, end = vt_now_ms() + 2000;
	struct vt_buf *b = &self->b;
	struct vt *t = &self->t;
	size_t i;

	ASSERT_EQ(0, madvise(b->p, LEN, MADV_MERGEABLE));
	memset(b->p, 0, LEN);
	ASSERT_EQ(0, ksm_write("run", "1"));
	do {
		for (i = 0; i < LEN / PAGE; i++)
			*word(b->p, i) = i % 64 + 1;
		moved = 0;
		ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, LEN,
					   DRM_VSVM_LOC_DEVICE, &moved, NULL));
		all += moved;
	} while (vt_now_ms() < end);
	for (i = 0; i < LEN / PAGE; i++)
		ASSERT_EQ(i % 64 + 1, *word(b->p, i));
	EXPECT_EQ(0u, all);
	EXPECT_LT(0, ksm_read("full_scans"));
}

/* Of each pair of equal pages in the child one becomes KSM's, ours as well. */
static int merge_in_child(struct vt_buf *b, size_t first)
{
	size_t i, len = 2 * PAIRS * PAGE;
	pid_t pid;

	for (i = 0; i < 2 * PAIRS; i++)
		memset(b->p + first + i * PAGE, i / 2 + 1, PAGE);
	memcpy(b->model + first, b->p + first, len);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (madvise(b->p + first, len, MADV_MERGEABLE))
			_exit(1);
		pause();
	}
	ksm_write("run", "1");
	for (i = 0; i < 200 && ksm_read("pages_sharing") < PAIRS; i++)
		vt_sleep_ms(50);
	ksm_write("run", "0");
	if (ksm_read("pages_sharing") != PAIRS) {
		printf("# ksmd has merged %ld pages\n", ksm_read("pages_sharing"));
		kill(pid, SIGKILL);
		vt_join(pid);
		return -ETIMEDOUT;
	}
	return pid;
}

/* They stay where they are, and keep no other page from its way. */
static void prefetch_merged(struct __test_metadata *_metadata, struct vt *t,
			    struct vt_buf *b, size_t first)
{
	const bool plain = vt_parameter("plain") != 0;
	const size_t len = 2 * PAIRS * PAGE;

	ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, LEN,
				   DRM_VSVM_LOC_DEVICE, NULL, NULL));
	/* This is where a thread would wait for ever. */
	ASSERT_EQ(0, vt_buf_check_range(b, first, len));
	if (!plain) {
		ASSERT_EQ(0, vsvm_prefetch(t->dev.fd, t->vm, b->p, LEN,
					   DRM_VSVM_LOC_DEVICE, NULL, NULL));
		EXPECT_EQ(PAIRS, vt_pages_at(t, b->p + first, len, IN_RAM));
		EXPECT_EQ((long)(LEN / PAGE - PAIRS),
			  vt_pages_at(t, b->p, LEN, IN_VRAM));
	}
	ASSERT_EQ(0, vt_buf_check_gpu(t, b));
	ASSERT_EQ(0, vt_buf_add(t, b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_check(b));
}

/* Merged through the child, in an area that is not MADV_MERGEABLE for us. */
TEST_F_TIMEOUT(ksm, child_merges, SECONDS)
{
	const size_t first = 100 * PAGE;
	pid_t pid = merge_in_child(&self->b, first);

	ASSERT_LT(0, pid);
	prefetch_merged(_metadata, &self->t, &self->b, first);
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, vt_join(pid));
}

/* The same when it is not there any more. */
TEST_F_TIMEOUT(ksm, child_gone, SECONDS)
{
	const size_t first = 100 * PAGE;
	pid_t pid = merge_in_child(&self->b, first);

	ASSERT_LT(0, pid);
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, vt_join(pid));
	prefetch_merged(_metadata, &self->t, &self->b, first);
}

TEST_HARNESS_MAIN

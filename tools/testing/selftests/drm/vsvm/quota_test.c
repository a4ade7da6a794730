// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Clients that take all that they can get. They get so much and no more, others
 * get their work done beside them in bounded time, and all of it is there again
 * once they are gone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(120)
#define PAGE		vsvm_page_size()
/* The others' work takes no longer, whatever goes on beside it. */
#define SOON_MS		((__u64)vt_timeout(10000))

/* As vsvm_drm.h has them. */
#define PROCESS_VMS	16
#define USER_VMS	48
#define DEVICE_VMS	64
#define HOLDERS		(DEVICE_VMS / PROCESS_VMS)
#define USER		4000

FIXTURE(quota) {
	struct vt t;
	struct vt_buf b;
};

FIXTURE_SETUP(quota)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_buf_map(&self->b, LARGE_PAGE, VT_SMALL));
}

FIXTURE_TEARDOWN(quota)
{
	vt_close(&self->t);
}

/* Somebody else's work. Each time with an answer, or it is an error. */
static int work(struct vt *t, struct vt_buf *b)
{
	const __u64 start = vt_now_ms();
	int err;

	err = vt_buf_add(t, b, 0, b->len, 1);
	err = err ?: vt_buf_check_gpu(t, b);
	err = err ?: vt_buf_check(b);
	if (VT_WRONG(vt_now_ms() - start < SOON_MS))
		return -ETIMEDOUT;
	return err;
}

/* A process that makes as many address spaces as it can. */
struct holder {
	pid_t pid;
	int go[2];	/* to it: end */
	int got[2];	/* from it: how many, and why not one more */
	int num;
	int err;
};

static void hold(const struct holder *h, uid_t uid)
{
	int got[2] = {}, i, fd;
	struct vsvm_dev dev;
	__u32 vm[DEVICE_VMS + 1];

	if (vsvm_open(&dev, -1) || (uid && setresuid(uid, uid, uid)))
		_exit(1);
	fd = dev.fd;
	for (i = 0; i <= DEVICE_VMS && !got[1]; i++) {
		got[1] = vsvm_vm_create(fd, &vm[i]);
		got[0] += !got[1];
	}
	if (write(h->got[1], got, sizeof(got)) != sizeof(got))
		_exit(2);
	vt_await(h->go[0]);
	_exit(0);
}

static int holder_start(struct holder *h, uid_t uid)
{
	int got[2];

	if (pipe(h->go) || pipe(h->got))
		return -errno;
	h->pid = fork();
	if (!h->pid)
		hold(h, uid);
	if (read(h->got[0], got, sizeof(got)) != sizeof(got))
		return -EIO;
	h->num = got[0];
	h->err = got[1];
	return 0;
}

static int holder_end(struct holder *h)
{
	int err;

	vt_wake(h->go[1]);
	err = vt_join(h->pid);
	close(h->go[0]);
	close(h->go[1]);
	close(h->got[0]);
	close(h->got[1]);
	return err;
}

/* They are closed by a worker, after the files. */
static int holder_again(struct holder *h, uid_t uid, int num)
{
	const __u64 end = vt_now_ms() + SOON_MS;
	int err;

	do {
		err = holder_start(h, uid) ?: holder_end(h);
	} while (!err && h->num != num && vt_now_ms() < end);
	return err;
}

TEST_F_TIMEOUT(quota, spaces_of_a_process, SECONDS)
{
	int fd = self->t.dev.fd, round, num, err;
	__u32 vm[DEVICE_VMS];
	struct holder other;

	/* What was destroyed can be had again at once. */
	for (round = 0; round < 2; round++) {
		for (num = 0, err = 0; num < DEVICE_VMS; num++) {
			err = vsvm_vm_create(fd, &vm[num]);
			if (err)
				break;
		}
		EXPECT_EQ(-EDQUOT, err);
		EXPECT_EQ(PROCESS_VMS - 1, num);
		ASSERT_EQ(0, holder_start(&other, 0));
		EXPECT_EQ(PROCESS_VMS, other.num);
		EXPECT_EQ(0, work(&self->t, &self->b));
		EXPECT_EQ(0, holder_end(&other));
		while (num--)
			EXPECT_EQ(0, vsvm_vm_destroy(fd, vm[num]));
	}
}

TEST_F_TIMEOUT(quota, spaces_of_a_user, SECONDS)
{
	struct holder h[HOLDERS], other;
	int i, num = 0;

	for (i = 0; i < HOLDERS; i++) {
		ASSERT_EQ(0, holder_start(&h[i], USER));
		EXPECT_EQ(-EDQUOT, h[i].err);
		num += h[i].num;
	}
	EXPECT_EQ(USER_VMS, num);
	/* Somebody else, and we. */
	ASSERT_EQ(0, holder_start(&other, USER + 1));
	EXPECT_LT(0, other.num);
	EXPECT_EQ(0, work(&self->t, &self->b));
	EXPECT_EQ(0, holder_end(&other));
	for (i = 0; i < HOLDERS; i++)
		EXPECT_EQ(0, holder_end(&h[i]));
	ASSERT_EQ(0, holder_again(&other, USER, PROCESS_VMS));
	EXPECT_EQ(PROCESS_VMS, other.num);
}

/* Who may go beyond resource limits can take all, and no more than that. */
TEST_F_TIMEOUT(quota, spaces_of_the_device, SECONDS)
{
	struct holder h[HOLDERS];
	int i, num = 1;

	for (i = 0; i < HOLDERS; i++) {
		ASSERT_EQ(0, holder_start(&h[i], 0));
		num += h[i].num;
	}
	EXPECT_EQ(DEVICE_VMS, num);
	EXPECT_EQ(-ENOSPC, h[HOLDERS - 1].err);
	EXPECT_EQ(0, work(&self->t, &self->b));
	for (i = 0; i < HOLDERS; i++)
		EXPECT_EQ(0, holder_end(&h[i]));
	ASSERT_EQ(0, holder_again(&h[0], 0, PROCESS_VMS));
	EXPECT_EQ(PROCESS_VMS, h[0].num);
}

/* A page that the GPU asks for, and does not get. */
static int monitor(void *p, size_t len)
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

/* An address space whose worker is left behind: it counts until that is gone. */
TEST_F_TIMEOUT(quota, spaces_left_behind, SECONDS)
{
	__u8 *p = vt_map_aligned(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct drm_vsvm_kernel k = {
		.op = DRM_VSVM_OP_FILL,
		.dst = vsvm_addr(p),
		.count = 1,
	};
	int dev = self->t.dev.fd, fd = monitor(p, PAGE), num, err;
	struct pollfd event = { .fd = fd, .events = POLLIN };
	const __u64 end = vt_now_ms() + SOON_MS;
	__u32 vm[DEVICE_VMS], last;

	ASSERT_LE(0, fd);
	for (num = 0; num < PROCESS_VMS - 1; num++)
		ASSERT_EQ(0, vsvm_vm_create(dev, &vm[num]));
	ASSERT_EQ(0, vt_submit(&self->t, vm[0], &k, 1, NULL));
	ASSERT_EQ(1, poll(&event, 1, SOON_MS));
	ASSERT_EQ(0, vsvm_vm_destroy(dev, vm[0]));
	EXPECT_EQ(-EDQUOT, vsvm_vm_create(dev, &last));
	EXPECT_EQ(0, work(&self->t, &self->b));
	/* The page comes after all. */
	close(fd);
	do {
		err = vsvm_vm_create(dev, &last);
	} while (err == -EDQUOT && vt_now_ms() < end);
	EXPECT_EQ(0, err);
}

TEST_HARNESS_MAIN

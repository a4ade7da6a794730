// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Wrong arguments of the ioctls of buffer objects: the exact error, and nothing
 * changed.
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define LEN	vt_scaled(4 * MIB)
#define PAGE	vsvm_page_size()
#define AT	((__u8 *)DRM_VSVM_BIND_START)

FIXTURE(gem_errors) {
	struct vt t;
	__u32 handle;
};

FIXTURE_SETUP(gem_errors)
{
	int err = vt_open(&self->t);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vsvm_gem_create(self->t.dev.fd, LEN, 0, &self->handle));
}

FIXTURE_TEARDOWN(gem_errors)
{
	vt_close(&self->t);
}

TEST_F(gem_errors, create)
{
	struct drm_vsvm_device_info info;
	int fd = self->t.dev.fd;
	__u64 used, after;
	__u32 handle = 0;

	ASSERT_EQ(0, vsvm_query_device(fd, &info));
	used = info.vram_used;
	EXPECT_EQ(-EINVAL, vsvm_gem_create(fd, 0, 0, &handle));
	EXPECT_EQ(-EINVAL, vsvm_gem_create(fd, PAGE - 1, 0, &handle));
	EXPECT_EQ(-EINVAL, vsvm_gem_create(fd, PAGE + 1, 0, &handle));
	EXPECT_EQ(-EINVAL, vsvm_gem_create(fd, PAGE, 2, &handle));
	EXPECT_EQ(-EINVAL, vsvm_gem_create(fd, PAGE, 1u << 31, &handle));
	EXPECT_EQ(-ENOSPC, vsvm_gem_create(fd, info.vram_size + PAGE, 0,
					   &handle));
	EXPECT_EQ(-ENOSPC, vsvm_gem_create(fd, -PAGE, 0, &handle));
	EXPECT_EQ(-ENOMEM, vsvm_gem_create(fd, -PAGE, DRM_VSVM_GEM_SYSTEM,
					   &handle));
	EXPECT_EQ(-ENOMEM, vsvm_gem_create(fd, 1ull << 45, DRM_VSVM_GEM_SYSTEM,
					   &handle));
	EXPECT_EQ(0u, handle);
	EXPECT_EQ(used, vt_vram_used(&self->t));
	ASSERT_EQ(0, vsvm_fdinfo(fd, "drm-total-system", &after));
	EXPECT_EQ(0u, after);
}

TEST_F(gem_errors, mmap)
{
	struct drm_vsvm_gem_mmap args = { .handle = self->handle, .flags = 1 };
	int fd = self->t.dev.fd;
	void *p;

	EXPECT_EQ(-1, ioctl(fd, DRM_IOCTL_VSVM_GEM_MMAP, &args));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-ENOENT, vsvm_gem_mmap(fd, self->handle + 1, LEN, &p));
	EXPECT_EQ(-ENOENT, vsvm_gem_mmap(fd, 0, LEN, &p));
}

/* A bind that is right, but for what a test changes. */
static struct drm_vsvm_vm_bind right_bind(struct vt *t, __u32 handle)
{
	return (struct drm_vsvm_vm_bind) {
		.vm_id = t->vm,
		.op = DRM_VSVM_BIND_MAP,
		.handle = handle,
		.start = DRM_VSVM_BIND_START,
		.length = LEN,
	};
}

#define EXPECT_BIND(error, change...) do {				\
	struct drm_vsvm_vm_bind bind = right_bind(&self->t, self->handle);\
									\
	change;								\
	EXPECT_EQ(-1, ioctl(self->t.dev.fd, DRM_IOCTL_VSVM_VM_BIND, &bind));\
	EXPECT_EQ(error, errno);					\
} while (0)

TEST_F(gem_errors, bind)
{
	EXPECT_BIND(EINVAL, bind.op = 2);
	EXPECT_BIND(EINVAL, bind.flags = 2);
	EXPECT_BIND(EINVAL, bind.length = 0);
	EXPECT_BIND(EINVAL, bind.length = PAGE + 1);
	EXPECT_BIND(EINVAL, bind.start += 1);
	EXPECT_BIND(EINVAL, bind.offset = 1);
	EXPECT_BIND(EINVAL, bind.start -= PAGE);
	EXPECT_BIND(EINVAL, bind.start = 0);
	EXPECT_BIND(EINVAL, bind.start = DRM_VSVM_BIND_END);
	EXPECT_BIND(EINVAL, bind.start = DRM_VSVM_BIND_END - LEN + PAGE);
	EXPECT_BIND(EINVAL, bind.start = -(__u64)PAGE);
	EXPECT_BIND(EINVAL, bind.length = -(__u64)PAGE);
	EXPECT_BIND(EINVAL, bind.length = LEN + PAGE);
	EXPECT_BIND(EINVAL, bind.offset = PAGE);
	EXPECT_BIND(EINVAL, bind.offset = -(__u64)PAGE);
	EXPECT_BIND(ENOENT, bind.handle = 0);
	EXPECT_BIND(ENOENT, bind.handle = self->handle + 1);
	EXPECT_BIND(ENOENT, bind.vm_id = 0);
	EXPECT_BIND(ENOENT, bind.vm_id = self->t.vm + 1);
	/* Nothing of that has taken place. */
	EXPECT_EQ(-EFAULT, vt_fill(&self->t, AT, 1, 1));
}

TEST_F(gem_errors, bind_twice)
{
	struct vt *t = &self->t;
	int fd = t->dev.fd;

	ASSERT_EQ(0, vsvm_gem_bind(fd, t->vm, self->handle, 0, vsvm_addr(AT),
				   LEN, 0));
	EXPECT_BIND(EEXIST, bind.flags = DRM_VSVM_BIND_READONLY);
	EXPECT_BIND(EEXIST, bind.start += LEN - PAGE);
	EXPECT_BIND(EEXIST, bind.start += PAGE, bind.length = PAGE);
	/* Beside it there is room. */
	ASSERT_EQ(0, vsvm_gem_bind(fd, t->vm, self->handle, 0,
				   vsvm_addr(AT + LEN), PAGE, 0));
	ASSERT_EQ(0, vt_fill(t, AT + LEN - PAGE, 2 * PAGE, 1));
}

TEST_F(gem_errors, unbind)
{
	struct vt *t = &self->t;
	int fd = t->dev.fd;

	EXPECT_EQ(-ENOENT, vsvm_gem_unbind(fd, t->vm, vsvm_addr(AT), LEN));
	ASSERT_EQ(0, vsvm_gem_bind(fd, t->vm, self->handle, 0, vsvm_addr(AT),
				   LEN, 0));
	EXPECT_EQ(-ENOENT, vsvm_gem_unbind(fd, t->vm, vsvm_addr(AT), LEN - PAGE));
	EXPECT_EQ(-ENOENT, vsvm_gem_unbind(fd, t->vm, vsvm_addr(AT) + PAGE,
					   LEN - PAGE));
	EXPECT_EQ(-ENOENT, vsvm_gem_unbind(fd, t->vm, vsvm_addr(AT), LEN + PAGE));
	EXPECT_EQ(-EINVAL, vsvm_gem_unbind(fd, t->vm, vsvm_addr(AT), 0));
	EXPECT_EQ(-EINVAL, vsvm_gem_unbind(fd, t->vm, 0, PAGE));
	EXPECT_EQ(-ENOENT, vsvm_gem_unbind(fd, t->vm + 1, vsvm_addr(AT), LEN));
	EXPECT_BIND(EINVAL, bind.op = DRM_VSVM_BIND_UNMAP);
	EXPECT_BIND(EINVAL, bind.op = DRM_VSVM_BIND_UNMAP, bind.handle = 0,
		    bind.flags = DRM_VSVM_BIND_READONLY);
	EXPECT_BIND(EINVAL, bind.op = DRM_VSVM_BIND_UNMAP, bind.handle = 0,
		    bind.offset = PAGE);
	/* It is still there. */
	ASSERT_EQ(0, vt_fill(t, AT, LEN, 1));
	ASSERT_EQ(0, vsvm_gem_unbind(fd, t->vm, vsvm_addr(AT), LEN));
	EXPECT_EQ(-ENOENT, vsvm_gem_unbind(fd, t->vm, vsvm_addr(AT), LEN));
}

TEST_F(gem_errors, of_another_process)
{
	pid_t pid = fork();

	if (!pid)
		_exit(VT_WRONG(vsvm_gem_bind(self->t.dev.fd, self->t.vm,
					     self->handle, 0, vsvm_addr(AT), LEN,
					     0) == -EPERM) ||
		      VT_WRONG(vsvm_gem_unbind(self->t.dev.fd, self->t.vm,
					       vsvm_addr(AT), LEN) == -EPERM));
	ASSERT_EQ(0, vt_join(pid));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Runtime power management: the GPU sleeps when nobody has an address space and
 * nothing is in VRAM, and is awake otherwise. Nothing else may use the GPU
 * meanwhile; needs root.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "vsvm_test.h"

#define SECONDS		vt_timeout(60)
#define LEN		vt_scaled(MIB)
/* A GPU that is idle sleeps after 50 ms; machines may be slow. */
#define SETTLE_MS	10000
/* One that is not would have fallen asleep long ago. */
#define LINGER_MS	400

FIXTURE(pm) {
	struct vsvm_dev dev;
};

static int power_path(const struct vsvm_dev *dev, const char *file, char *path)
{
	int n = snprintf(path, PATH_MAX, "%s/%s/power/%s", dev->driver,
			 dev->name, file);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool asleep(const struct vsvm_dev *dev)
{
	char path[PATH_MAX], status[32] = "";
	FILE *file;

	if (power_path(dev, "runtime_status", path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(status, sizeof(status), file))
		status[0] = 0;
	fclose(file);
	return !strcmp(status, "suspended\n");
}

static bool falls_asleep(const struct vsvm_dev *dev)
{
	__u64 end = vt_now_ms() + SETTLE_MS;

	while (!asleep(dev) && vt_now_ms() < end)
		vt_sleep_ms(10);
	return asleep(dev);
}

static bool stays_awake(const struct vsvm_dev *dev)
{
	__u64 end = vt_now_ms() + LINGER_MS;

	while (!asleep(dev) && vt_now_ms() < end)
		vt_sleep_ms(10);
	return !asleep(dev);
}

FIXTURE_SETUP(pm)
{
	char path[PATH_MAX];
	int err = vsvm_open(&self->dev, -1);

	if (err == -ENODEV && vt_may_skip())
		SKIP(return, "no vsvm device");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, power_path(&self->dev, "runtime_status", path));
	if (access(path, R_OK))
		SKIP(return, "no runtime PM, or not a platform device");
	ASSERT_TRUE(falls_asleep(&self->dev));
}

FIXTURE_TEARDOWN(pm)
{
	vsvm_close(&self->dev);
}

TEST_F_TIMEOUT(pm, address_space, SECONDS)
{
	struct drm_vsvm_device_info info;
	__u32 vm[2];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vsvm_vm_create(self->dev.fd, &vm[0]));
		ASSERT_EQ(0, vsvm_vm_create(self->dev.fd, &vm[1]));
		ASSERT_EQ(0, vsvm_vm_destroy(self->dev.fd, vm[0]));
		ASSERT_TRUE(stays_awake(&self->dev));
		ASSERT_EQ(0, vsvm_vm_destroy(self->dev.fd, vm[1]));
		ASSERT_TRUE(falls_asleep(&self->dev));
		/* A question wakes nobody. */
		ASSERT_EQ(0, vsvm_query_device(self->dev.fd, &info));
		EXPECT_EQ(0u, info.vram_used);
		ASSERT_TRUE(asleep(&self->dev));
	}
}

TEST_F_TIMEOUT(pm, file_closed, SECONDS)
{
	struct vt t;

	ASSERT_EQ(0, vt_open(&t));
	ASSERT_TRUE(stays_awake(&self->dev));
	vt_close(&t);
	ASSERT_TRUE(falls_asleep(&self->dev));
}

/* Memory of a process, after its address space is gone. */
TEST_F_TIMEOUT(pm, svm_in_vram, SECONDS)
{
	struct vt_buf b;
	struct vt t;

	ASSERT_EQ(0, vt_open(&t));
	ASSERT_EQ(0, vt_buf_map(&b, LEN, VT_SMALL));
	ASSERT_EQ(0, vt_buf_add(&t, &b, 0, LEN, 1));
	ASSERT_EQ(0, vt_buf_elsewhere(&t, &b, IN_VRAM));
	vt_close(&t);
	ASSERT_TRUE(stays_awake(&self->dev));
	ASSERT_EQ(0, vt_buf_check(&b));
	ASSERT_TRUE(falls_asleep(&self->dev));
	vt_buf_unmap(&b);
}

TEST_F_TIMEOUT(pm, object_in_vram, SECONDS)
{
	__u32 handle;
	void *p;

	ASSERT_EQ(0, vsvm_gem_create(self->dev.fd, LEN, 0, &handle));
	ASSERT_TRUE(stays_awake(&self->dev));
	ASSERT_EQ(0, vsvm_gem_mmap(self->dev.fd, handle, LEN, &p));
	memset(p, 1, LEN);
	/* Now it is in system memory. */
	ASSERT_TRUE(falls_asleep(&self->dev));
	ASSERT_EQ(0, vt_all(p, 1, LEN));
	munmap(p, LEN);
	ASSERT_EQ(0, vsvm_gem_close(self->dev.fd, handle));
	ASSERT_EQ(0, vsvm_gem_create(self->dev.fd, LEN, 0, &handle));
	ASSERT_TRUE(stays_awake(&self->dev));
	ASSERT_EQ(0, vsvm_gem_close(self->dev.fd, handle));
	ASSERT_TRUE(falls_asleep(&self->dev));
}

TEST_F_TIMEOUT(pm, object_in_system_memory, SECONDS)
{
	__u32 handle;
	void *p;

	ASSERT_EQ(0, vsvm_gem_create(self->dev.fd, LEN, DRM_VSVM_GEM_SYSTEM,
				     &handle));
	ASSERT_EQ(0, vsvm_gem_mmap(self->dev.fd, handle, LEN, &p));
	memset(p, 1, LEN);
	ASSERT_TRUE(asleep(&self->dev));
	munmap(p, LEN);
	ASSERT_EQ(0, vsvm_gem_close(self->dev.fd, handle));
	ASSERT_TRUE(asleep(&self->dev));
}

/* Evicting wakes nobody, and is what lets the GPU sleep. */
TEST_F_TIMEOUT(pm, evicted, SECONDS)
{
	__u32 handle;

	ASSERT_EQ(0, vsvm_evict(&self->dev));
	ASSERT_TRUE(asleep(&self->dev));
	ASSERT_EQ(0, vsvm_gem_create(self->dev.fd, LEN, 0, &handle));
	ASSERT_EQ(0, vsvm_evict(&self->dev));
	ASSERT_TRUE(falls_asleep(&self->dev));
}

/* Asleep, about to sleep, or not yet: it must work. */
TEST_F_TIMEOUT(pm, on_and_off, SECONDS)
{
	struct vt_buf b;
	struct vt t;
	int i;

	ASSERT_EQ(0, vt_buf_map(&b, LEN, VT_SMALL));
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, vt_open(&t));
		ASSERT_EQ(0, vt_buf_add(&t, &b, 0, LEN, 1));
		vt_close(&t);
		ASSERT_EQ(0, vt_buf_check(&b));
		vt_sleep_ms(35 + i);
	}
	vt_buf_unmap(&b);
	ASSERT_TRUE(falls_asleep(&self->dev));
}

TEST_F_TIMEOUT(pm, kept_on, SECONDS)
{
	char path[PATH_MAX];

	ASSERT_EQ(0, power_path(&self->dev, "control", path));
	ASSERT_EQ(0, vsvm_write_file(path, "on"));
	EXPECT_TRUE(stays_awake(&self->dev));
	ASSERT_EQ(0, vsvm_write_file(path, "auto"));
	ASSERT_TRUE(falls_asleep(&self->dev));
}

TEST_F_TIMEOUT(pm, unbound_asleep, SECONDS)
{
	struct vt t;
	int err, i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vsvm_unbind(&self->dev));
		ASSERT_EQ(0, vsvm_bind(&self->dev));
		vsvm_close(&self->dev);
		while ((err = vsvm_open(&self->dev, -1)) == -ENODEV)
			vt_sleep_ms(20);
		ASSERT_EQ(0, err);
		ASSERT_TRUE(falls_asleep(&self->dev));
		ASSERT_EQ(0, vt_open(&t));
		ASSERT_TRUE(stays_awake(&self->dev));
		vt_close(&t);
		ASSERT_TRUE(falls_asleep(&self->dev));
	}
}

TEST_HARNESS_MAIN

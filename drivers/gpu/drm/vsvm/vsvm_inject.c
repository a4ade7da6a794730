// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Faults on request. A driver can be slow, fail, lack an operation or have its
 * VRAM in pieces, at the worst moment; here a test chooses that moment, by
 * files in the directory "inject" of the device in debugfs:
 *
 *	delay_to_ram_ms	sleep before each copy in that direction
 *	delay_to_vram_ms
 *	delay_zap_ms	sleep in each invalidation that takes something from the GPU, with
 *			all that mm holds around it
 *	delay_find_ms	sleep in each fault, before it looks for its range
 *	delayed		what sleeps now for one of these
 *	fail_to_ram	let as many copies fail, with fail_errno
 *	fail_to_vram
 *	fail_errno
 *	hide_copy	have no copy_to_devmem()
 *	rotate_pfns	give an allocation's pages with the first one last
 *	invalidate	so many times, take a range's pages back in the middle of a
 *			fault, between the look at them and the page table
 *	hold_fault	keep a reference to the next page that a CPU faults on
 *			(1), until it is let go (0)
 *	unguarded	do not make up for what mm and drm_gpusvm do wrong: the page
 *			in a block, what is dirty, who else has the page, pages
 *			that cannot be read
 *	populate	"START LENGTH TIMESLICE_MS": move memory of the caller in
 *			one piece; the result is that of the write
 *	migrations	how many there were, and what came out
 *	pagemap		get the pagemap, which nobody used, twice, so many times;
 *			-EEXIST if that gave two
 *
 * All devices share the settings, which are gone with the module. Tests use it
 * with any implementation of drm_pagemap, so it knows the interface only.
 */
#include <drm/drm_drv.h>
#include <drm/drm_pagemap.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "vsvm_bo.h"
#include "vsvm_drv.h"
#include "vsvm_inject.h"

static struct {
	/* By direction; 1 is to VRAM. */
	u32 delay_ms[2];
	u32 delay_zap_ms;
	u32 delay_find_ms;
	atomic_t fail[2];
	atomic_t delayed;
	u32 fail_errno;
	bool hide_copy;
	bool rotate_pfns;
	atomic_t invalidate;
	bool hold;
	bool unguarded;
	struct page *held;
	atomic_t calls;
	atomic_t moved;
	atomic_t busy;
	atomic_t leaked;
} vsvm_inject = { .fail_errno = EIO };

static void vsvm_inject_sleep(u32 ms)
{
	if (!ms)
		return;
	atomic_inc(&vsvm_inject.delayed);
	msleep(ms);
	atomic_dec(&vsvm_inject.delayed);
}

/**
 * vsvm_inject_copy - a copy begins
 * @to_vram: or to RAM
 *
 * Return: 0, or the error that it is to end with.
 */
int vsvm_inject_copy(bool to_vram)
{
	vsvm_inject_sleep(READ_ONCE(vsvm_inject.delay_ms[to_vram]));
	if (atomic_dec_if_positive(&vsvm_inject.fail[to_vram]) >= 0)
		return -(int)READ_ONCE(vsvm_inject.fail_errno);
	return 0;
}

/**
 * vsvm_inject_unguarded - shall the driver believe what it is told?
 *
 * What it looks at itself (vsvm_look.c, vsvm_read_in()) hides defects of mm and of drm_gpusvm from
 * the tests of patches for these.
 *
 * Return: true if it shall.
 */
bool vsvm_inject_unguarded(void)
{
	return READ_ONCE(vsvm_inject.unguarded);
}

/**
 * vsvm_inject_ops - what a new allocation can do
 * @ops: the driver's operations
 *
 * Return: @ops, or those with one missing.
 */
const struct drm_pagemap_devmem_ops *
vsvm_inject_ops(const struct drm_pagemap_devmem_ops *ops)
{
	static struct drm_pagemap_devmem_ops without_copy;

	if (!READ_ONCE(vsvm_inject.hide_copy))
		return ops;
	without_copy = *ops;
	without_copy.copy_to_devmem = NULL;
	return &without_copy;
}

/**
 * vsvm_inject_pfns - the pages of an allocation were asked for
 * @pfn: their numbers
 * @npages: how many
 */
void vsvm_inject_pfns(unsigned long *pfn, unsigned long npages)
{
	unsigned long i, first;

	if (!READ_ONCE(vsvm_inject.rotate_pfns) || !npages)
		return;
	first = pfn[0];
	for (i = 0; i + 1 < npages; i++)
		pfn[i] = pfn[i + 1];
	pfn[i] = first;
}

/**
 * vsvm_inject_faulted - a CPU fault was served; mm still has its reference
 * @vmf: the fault
 * @result: what came out
 *
 * A reference from now on is one that anybody who walks page frame numbers may
 * have for a while.
 *
 * Return: @result.
 */
vm_fault_t vsvm_inject_faulted(struct vm_fault *vmf, vm_fault_t result)
{
	if (READ_ONCE(vsvm_inject.hold) &&
	    !cmpxchg(&vsvm_inject.held, NULL, vmf->page))
		get_page(vmf->page);
	return result;
}

/**
 * vsvm_inject_migrated - drm_pagemap_migrate_to_devmem() has returned
 * @bo: the allocation, whose reference it was to consume
 * @err: what it returned
 *
 * It has no page then, so nobody would release the allocation any more.
 *
 * Return: @err.
 */
int vsvm_inject_migrated(struct vsvm_bo *bo, int err)
{
	atomic_inc(&vsvm_inject.calls);
	if (!err)
		atomic_inc(&vsvm_inject.moved);
	else if (err == -EBUSY)
		atomic_inc(&vsvm_inject.busy);
	if (err == -EOPNOTSUPP && !READ_ONCE(bo->released)) {
		atomic_inc(&vsvm_inject.leaked);
		vsvm_bo_release(bo);
	}
	return err;
}

/**
 * vsvm_inject_invalidation - a range is about to be mapped
 *
 * Return: whether its pages are to be invalidated first.
 */
bool vsvm_inject_invalidation(void)
{
	return atomic_dec_if_positive(&vsvm_inject.invalidate) >= 0;
}

/**
 * vsvm_inject_zapped - the GPU has lost something to an invalidation
 *
 * A driver that waits for its GPU there may take as long. drm_gpusvm does not come to
 * the driver if it must not sleep.
 */
void vsvm_inject_zapped(void)
{
	vsvm_inject_sleep(READ_ONCE(vsvm_inject.delay_zap_ms));
}

/**
 * vsvm_inject_finding - a fault is about to look for its range
 */
void vsvm_inject_finding(void)
{
	vsvm_inject_sleep(READ_ONCE(vsvm_inject.delay_find_ms));
}

static int vsvm_inject_hold_get(void *data, u64 *value)
{
	*value = !!READ_ONCE(vsvm_inject.held);
	return 0;
}

static int vsvm_inject_hold_set(void *data, u64 value)
{
	struct page *page;

	WRITE_ONCE(vsvm_inject.hold, !!value);
	if (value)
		return 0;
	page = xchg(&vsvm_inject.held, NULL);
	if (page)
		put_page(page);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(vsvm_inject_hold_fops, vsvm_inject_hold_get,
			 vsvm_inject_hold_set, "%llu\n");

static int vsvm_inject_populate(struct vsvm_device *vdev, u64 start, u64 length,
				unsigned int ms)
{
	struct drm_pagemap *dpagemap;
	int idx, err;

	if (!drm_dev_enter(&vdev->drm, &idx))
		return -ENODEV;
	dpagemap = vsvm_pagemap_get(vdev);
	err = PTR_ERR_OR_ZERO(dpagemap);
	if (!err) {
		err = drm_pagemap_populate_mm(dpagemap, start, start + length,
					      current->mm, ms);
		drm_pagemap_put(dpagemap);
	}
	drm_dev_exit(idx);
	return err;
}

static ssize_t vsvm_inject_populate_write(struct file *file,
					  const char __user *user, size_t size,
					  loff_t *pos)
{
	unsigned long long start, length;
	char text[64] = {};
	unsigned int ms;
	int err;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, size))
		return -EFAULT;
	if (sscanf(text, "%llx %llx %u", &start, &length, &ms) != 3)
		return -EINVAL;
	err = vsvm_inject_populate(file->private_data, start, length, ms);
	return err ?: size;
}

static const struct debugfs_short_fops vsvm_inject_populate_fops = {
	.write = vsvm_inject_populate_write,
};

/* While the first one is held, others go on with what they were doing. */
static int vsvm_inject_pagemap_twice(struct vsvm_device *vdev)
{
	struct drm_pagemap *pagemap[2] = {};
	int i, err = 0;

	for (i = 0; i < 2 && !err; i++) {
		pagemap[i] = vsvm_pagemap_get(vdev);
		err = PTR_ERR_OR_ZERO(pagemap[i]);
		if (!i)
			usleep_range(20, 30);
	}
	if (!err && pagemap[0] != pagemap[1])
		err = -EEXIST;
	for (i = 0; i < 2; i++) {
		if (!IS_ERR(pagemap[i]))
			drm_pagemap_put(pagemap[i]);
	}
	return err;
}

static int vsvm_inject_pagemap_set(void *data, u64 times)
{
	struct vsvm_device *vdev = data;
	int idx, err = 0;

	if (!drm_dev_enter(&vdev->drm, &idx))
		return -ENODEV;
	for (; times && !err && !signal_pending(current); times--) {
		/* Nobody uses it for a while. */
		usleep_range(50, 300);
		err = vsvm_inject_pagemap_twice(vdev);
	}
	drm_dev_exit(idx);
	return err;
}

DEFINE_DEBUGFS_ATTRIBUTE(vsvm_inject_pagemap_fops, NULL,
			 vsvm_inject_pagemap_set, "%llu\n");

static int vsvm_inject_migrations_show(struct seq_file *m, void *data)
{
	seq_printf(m, "calls: %d\n", atomic_read(&vsvm_inject.calls));
	seq_printf(m, "moved: %d\n", atomic_read(&vsvm_inject.moved));
	seq_printf(m, "busy: %d\n", atomic_read(&vsvm_inject.busy));
	seq_printf(m, "leaked: %d\n", atomic_read(&vsvm_inject.leaked));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vsvm_inject_migrations);

/**
 * vsvm_inject_debugfs - make the files
 * @vdev: device
 * @root: its directory
 */
void vsvm_inject_debugfs(struct vsvm_device *vdev, struct dentry *root)
{
	struct dentry *dir = debugfs_create_dir("inject", root);

	debugfs_create_u32("delay_to_ram_ms", 0600, dir, &vsvm_inject.delay_ms[0]);
	debugfs_create_u32("delay_to_vram_ms", 0600, dir, &vsvm_inject.delay_ms[1]);
	debugfs_create_u32("delay_zap_ms", 0600, dir, &vsvm_inject.delay_zap_ms);
	debugfs_create_u32("delay_find_ms", 0600, dir, &vsvm_inject.delay_find_ms);
	debugfs_create_atomic_t("delayed", 0400, dir, &vsvm_inject.delayed);
	debugfs_create_atomic_t("fail_to_ram", 0600, dir, &vsvm_inject.fail[0]);
	debugfs_create_atomic_t("fail_to_vram", 0600, dir, &vsvm_inject.fail[1]);
	debugfs_create_u32("fail_errno", 0600, dir, &vsvm_inject.fail_errno);
	debugfs_create_bool("hide_copy", 0600, dir, &vsvm_inject.hide_copy);
	debugfs_create_bool("rotate_pfns", 0600, dir, &vsvm_inject.rotate_pfns);
	debugfs_create_bool("unguarded", 0600, dir, &vsvm_inject.unguarded);
	debugfs_create_atomic_t("invalidate", 0600, dir,
				&vsvm_inject.invalidate);
	debugfs_create_file_unsafe("hold_fault", 0600, dir, NULL,
				   &vsvm_inject_hold_fops);
	debugfs_create_file("populate", 0200, dir, vdev,
			    &vsvm_inject_populate_fops);
	debugfs_create_file("migrations", 0400, dir, NULL,
			    &vsvm_inject_migrations_fops);
	debugfs_create_file_unsafe("pagemap", 0200, dir, vdev,
				   &vsvm_inject_pagemap_fops);
}

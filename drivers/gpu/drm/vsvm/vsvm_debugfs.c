// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the driver shows of itself: counters, page tables, the map of VRAM, a switch to empty
 * it, and the usage of each client in the DRM's standard format.
 */
#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "vsvm_bind.h"
#include "vsvm_bo.h"
#include "vsvm_gem.h"
#include "vsvm_inject.h"
#include "vsvm_pagemap.h"
#include "vsvm_peer.h"
#include "vsvm_vm.h"

#define VSVM_EVICT_TRIES	100

static const char * const vsvm_stat_name[VSVM_NUM_STATS] = {
	[VSVM_STAT_GPU_FAULTS] = "gpu_faults",
	[VSVM_STAT_GPU_FAULTS_MERGED] = "gpu_faults_merged",
	[VSVM_STAT_GPU_FAULTS_FAILED] = "gpu_faults_failed",
	[VSVM_STAT_CPU_FAULTS] = "cpu_faults",
	[VSVM_STAT_TO_VRAM_BYTES] = "to_vram_bytes",
	[VSVM_STAT_TO_VRAM_NS] = "to_vram_ns",
	[VSVM_STAT_TO_RAM_BYTES] = "to_ram_bytes",
	[VSVM_STAT_TO_RAM_NS] = "to_ram_ns",
	[VSVM_STAT_CLEARED_BYTES] = "cleared_bytes",
	[VSVM_STAT_EVICTIONS] = "evictions",
	[VSVM_STAT_INVALIDATIONS] = "invalidations",
	[VSVM_STAT_TLB_FLUSHES] = "tlb_flushes",
	[VSVM_STAT_JOBS] = "jobs",
	[VSVM_STAT_JOBS_FAILED] = "jobs_failed",
	[VSVM_STAT_FIFO_OVERFLOWS] = "fifo_overflows",
	[VSVM_STAT_LINK_BYTES] = "link_bytes",
	[VSVM_STAT_EXCLUSIVE_PAGES] = "exclusive_pages",
	[VSVM_STAT_COPIES_4K] = "copies_4k",
	[VSVM_STAT_COPIES_64K] = "copies_64k",
	[VSVM_STAT_COPIES_2M] = "copies_2m",
};

static int vsvm_stats_show(struct seq_file *m, void *data)
{
	struct drm_debugfs_entry *entry = m->private;
	struct vsvm_device *vdev = to_vsvm(entry->dev);
	unsigned int i;

	for (i = 0; i < VSVM_NUM_STATS; i++)
		seq_printf(m, "%s: %llu\n", vsvm_stat_name[i],
			   vsvm_stat_read(vdev, i));
	seq_printf(m, "svm_bytes: %lld\n", atomic64_read(&vdev->svm_bytes));
	seq_printf(m, "gem_bytes: %lld\n", atomic64_read(&vdev->gem_bytes));
	seq_printf(m, "table_bytes: %lld\n",
		   atomic64_read(&vdev->pool[VSVM_POOL_TABLES].used));
	seq_printf(m, "range_bytes: %lld\n",
		   atomic64_read(&vdev->pool[VSVM_POOL_RANGES].used));
	return 0;
}

static void vsvm_ranges_show(struct seq_file *m, struct vsvm_vm *vm)
{
	struct drm_gpusvm_notifier *notifier;

	drm_gpusvm_for_each_notifier(notifier, &vm->svm, 0, ULONG_MAX) {
		struct drm_gpusvm_range *base = NULL;

		drm_gpusvm_for_each_range(base, notifier, 0, ULONG_MAX) {
			struct vsvm_range *range = to_vsvm_range(base);

			seq_printf(m, "  range %#lx-%#lx%s%s%s%s\n",
				   drm_gpusvm_range_start(base),
				   drm_gpusvm_range_end(base),
				   range->mapped ? " mapped" : "",
				   range->writable ? " writable" : "",
				   range->ptes.pt && range->ptes.pt->level ?
				   " large" : "",
				   range->exclusive ? " exclusive" :
				   range->pages.flags.has_devmem_pages ?
				   " vram" : "");
		}
	}
}

static void vsvm_table_show(struct seq_file *m, const struct vsvm_pt *pt)
{
	unsigned int i;

	seq_printf(m, "  table level %u at %#llx for %#llx: %u users\n",
		   pt->level, pt->offset, pt->va, pt->users);
	for (i = 0; pt->level && i < VSVM_PT_ENTRIES; i++) {
		if (pt->child[i])
			vsvm_table_show(m, pt->child[i]);
	}
}

static int vsvm_page_tables_show(struct seq_file *m, void *data)
{
	struct drm_debugfs_entry *entry = m->private;
	struct vsvm_vm *vms[VSVM_MAX_VMS];
	unsigned int num, i;

	num = vsvm_vm_collect(to_vsvm(entry->dev), vms, ARRAY_SIZE(vms));
	for (i = 0; i < num; i++) {
		struct vsvm_vm *vm = vms[i];

		scoped_guard(mutex, &vm->lock) {
			seq_printf(m, "vm %u queues from %u\n", vm->id,
				   vsvm_vm_hw_queue(vm));
			if (!vm->closed) {
				scoped_guard(mutex, &vm->pt_lock)
					vsvm_table_show(m, vm->root);
				vsvm_ranges_show(m, vm);
				vsvm_bind_show(m, vm);
			}
		}
		vsvm_vm_put(vm);
	}
	return 0;
}

/*
 * The removal of this file waits for who is in here, so no drm_dev_enter() of
 * its own is needed, and what is done in here must end by itself.
 */
static ssize_t vsvm_evict_write(struct file *file, const char __user *user,
				size_t size, loff_t *pos)
{
	struct vsvm_device *vdev = file->private_data;
	bool evict;
	int err;

	err = kstrtobool_from_user(user, size, &evict);
	if (!err && evict)
		err = vsvm_vram_evict_all(vdev, VSVM_EVICT_TRIES);
	return err ?: size;
}

static const struct debugfs_short_fops vsvm_evict_fops = {
	.write = vsvm_evict_write,
};

static int vsvm_engine_from_user(const char __user *user, size_t size,
				 unsigned int *engine)
{
	const int err = kstrtouint_from_user(user, size, 0, engine);

	return !err && *engine >= VSVM_HW_NUM_ENGINES ? -EINVAL : err;
}

/* Pulls the plug of an engine in the middle of what it does. */
static ssize_t vsvm_reset_write(struct file *file, const char __user *user,
				size_t size, loff_t *pos)
{
	struct vsvm_device *vdev = file->private_data;
	unsigned int engine;
	int err;

	err = vsvm_engine_from_user(user, size, &engine);
	if (err)
		return err;
	vsvm_ring_reset(&vdev->ring[engine], -EIO);
	return size;
}

static const struct debugfs_short_fops vsvm_reset_fops = {
	.write = vsvm_reset_write,
};

/* Has one hang, until somebody runs out of patience. */
static ssize_t vsvm_halt_write(struct file *file, const char __user *user,
			       size_t size, loff_t *pos)
{
	struct vsvm_device *vdev = file->private_data;
	unsigned int engine;
	int err;

	err = vsvm_engine_from_user(user, size, &engine);
	if (err)
		return err;
	if (!vdev->hw->ops->halt)
		return -EOPNOTSUPP;
	/* One that is being reset does what that waits for. */
	guard(mutex)(&vdev->reset_lock);
	vdev->hw->ops->halt(vdev->hw, engine);
	return size;
}

static const struct debugfs_short_fops vsvm_halt_fops = {
	.write = vsvm_halt_write,
};

struct vsvm_unplug {
	struct work_struct work;
	struct device *dev;
};

static void vsvm_unplug_work(struct work_struct *work)
{
	struct vsvm_unplug *unplug = container_of(work, struct vsvm_unplug, work);

	device_release_driver(unplug->dev);
	put_device(unplug->dev);
	kfree(unplug);
}

/* Not from in here: this file goes, too, and that waits for who writes to it. */
static ssize_t vsvm_unplug_write(struct file *file, const char __user *user,
				 size_t size, loff_t *pos)
{
	struct vsvm_device *vdev = file->private_data;
	struct vsvm_unplug *unplug;
	bool sure;
	int err;

	err = kstrtobool_from_user(user, size, &sure);
	if (err || !sure)
		return err ?: size;
	unplug = kzalloc_obj(*unplug);
	if (!unplug)
		return -ENOMEM;
	INIT_WORK(&unplug->work, vsvm_unplug_work);
	unplug->dev = get_device(vdev->drm.dev);
	queue_work(vsvm_close_wq, &unplug->work);
	return size;
}

static const struct debugfs_short_fops vsvm_unplug_fops = {
	.write = vsvm_unplug_write,
};

/**
 * vsvm_debugfs_init - make the files
 * @minor: primary minor
 */
void vsvm_debugfs_init(struct drm_minor *minor)
{
	struct vsvm_device *vdev = to_vsvm(minor->dev);
	struct dentry *root = minor->dev->debugfs_root;

	drm_debugfs_add_file(minor->dev, "svm_stats", vsvm_stats_show, NULL);
	drm_debugfs_add_file(minor->dev, "page_tables", vsvm_page_tables_show,
			     NULL);
	debugfs_create_file("evict", 0200, root, vdev, &vsvm_evict_fops);
	debugfs_create_file("reset", 0200, root, vdev, &vsvm_reset_fops);
	debugfs_create_file("halt", 0200, root, vdev, &vsvm_halt_fops);
	debugfs_create_file("unplug", 0200, root, vdev, &vsvm_unplug_fops);
	debugfs_create_u64("table_limit", 0600, root,
			   &vdev->pool[VSVM_POOL_TABLES].limit);
	debugfs_create_u64("range_limit", 0600, root,
			   &vdev->pool[VSVM_POOL_RANGES].limit);
	vsvm_peer_debugfs(vdev, root);
	vsvm_bench_debugfs(vdev, root);
	vsvm_inject_debugfs(vdev, root);
	if (vsvm_has_additions(vdev))
		vsvm_additions_debugfs(vdev, root);
	ttm_resource_manager_create_debugfs(ttm_manager_type(&vdev->ttm,
							     TTM_PL_VRAM),
					    root, "vram_mm");
}

/* What a client has of VRAM and of system memory. */
struct vsvm_fdinfo {
	struct drm_memory_stats vram;
	struct drm_memory_stats system;
};

/* An object counts where it belongs, and is resident where it is. */
static void vsvm_fdinfo_add(struct vsvm_fdinfo *info, struct drm_gem_object *obj)
{
	struct vsvm_gem *gem = to_vsvm_gem(obj);
	struct drm_memory_stats *home = gem->system ? &info->system : &info->vram;

	if (drm_gem_object_is_shared_for_memory_stats(obj))
		home->shared += obj->size;
	else
		home->private += obj->size;
	switch (READ_ONCE(gem->where)) {
	case VSVM_GEM_RAM:
		info->system.resident += obj->size;
		break;
	case VSVM_GEM_VRAM:
		info->vram.resident += obj->size;
		break;
	case VSVM_GEM_NOWHERE:
		break;
	}
}

static void vsvm_fdinfo_objects(struct vsvm_fdinfo *info, struct drm_file *file)
{
	struct drm_gem_object *obj;
	int id;

	/* Without anything but a look at each: its lock is a spinlock. */
	guard(spinlock)(&file->table_lock);
	idr_for_each_entry(&file->object_idr, obj, id)
		vsvm_fdinfo_add(info, obj);
}

/**
 * vsvm_show_fdinfo - usage by one client
 * @p: where to
 * @file: the client
 *
 * Copies are not in there: what moves memory does so for all who want VRAM.
 */
void vsvm_show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct vsvm_fdinfo info = {};
	unsigned long id;
	struct vsvm_vm *vm;
	u64 ns, bytes = 0;

	xa_lock(&vfile->vms);
	ns = vfile->busy_ns;
	xa_for_each(&vfile->vms, id, vm) {
		ns += atomic64_read(&vm->busy_ns);
		bytes += atomic64_read(&vm->usage->bytes);
	}
	xa_unlock(&vfile->vms);
	info.vram.private = bytes;
	info.vram.resident = bytes;
	vsvm_fdinfo_objects(&info, file);
	drm_printf(p, "drm-engine-compute:\t%llu ns\n", ns);
	drm_printf(p, "drm-engine-capacity-compute:\t%u\n", VSVM_HW_NUM_QUEUES);
	drm_print_memory_stats(p, &info.vram, DRM_GEM_OBJECT_RESIDENT, "vram");
	drm_print_memory_stats(p, &info.system, DRM_GEM_OBJECT_RESIDENT, "system");
}

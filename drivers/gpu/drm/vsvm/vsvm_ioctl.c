// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Facts about the device, and address spaces by their numbers.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <linux/uaccess.h>

#include "vsvm_peer.h"
#include "vsvm_vm.h"
#include "vsvm_walk.h"

static void vsvm_query_device(struct vsvm_device *vdev,
			      struct drm_vsvm_device_info *info)
{
	info->vram_size = vdev->hw->vram_size;
	info->vram_used = vsvm_vram_used(vdev);
	info->va_bits = VSVM_VA_BITS;
	info->num_peers = vsvm_peer_count(vdev);
	info->large_page = VSVM_HW_LARGE_SIZE;
	info->device_id = vdev->id;
}

static void vsvm_query_stats(struct vsvm_device *vdev,
			     struct drm_vsvm_stats *stats)
{
	u64 *value = (u64 *)stats;
	unsigned int i;

	static_assert(sizeof(*stats) == VSVM_NUM_STATS * sizeof(u64));
	for (i = 0; i < VSVM_NUM_STATS; i++)
		value[i] = vsvm_stat_read(vdev, i);
}

/**
 * vsvm_query_ioctl - DRM_IOCTL_VSVM_QUERY
 * @drm: device
 * @data: struct drm_vsvm_query
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vsvm_query *args = data;
	union {
		struct drm_vsvm_device_info info;
		struct drm_vsvm_stats stats;
	} answer = {};
	int idx, err = 0;
	u32 room, size;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	switch (args->param) {
	case DRM_VSVM_QUERY_DEVICE:
		vsvm_query_device(to_vsvm(drm), &answer.info);
		size = sizeof(answer.info);
		break;
	case DRM_VSVM_QUERY_STATS:
		vsvm_query_stats(to_vsvm(drm), &answer.stats);
		size = sizeof(answer.stats);
		break;
	default:
		err = -EINVAL;
	}
	drm_dev_exit(idx);
	if (err)
		return err;
	room = min(args->size, size);
	if (copy_to_user(u64_to_user_ptr(args->data), &answer, room))
		return -EFAULT;
	args->size = size;
	return 0;
}

/**
 * vsvm_vm_create_ioctl - DRM_IOCTL_VSVM_VM_CREATE
 * @drm: device
 * @data: struct drm_vsvm_vm_create
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_vm_create_ioctl(struct drm_device *drm, void *data,
			 struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct drm_vsvm_vm_create *args = data;
	struct vsvm_vm *vm;
	int idx, err;

	if (args->flags)
		return -EINVAL;
	/* May wait for user space, so no device may be kept from going meanwhile. */
	err = vsvm_walk_prime(current->mm);
	if (err)
		return err;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	vm = vsvm_vm_create(to_vsvm(drm));
	drm_dev_exit(idx);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	/* From now on others may find and destroy it: keep a reference. */
	kref_get(&vm->ref);
	err = xa_alloc_cyclic(&vfile->vms, &vm->id, vm, xa_limit_32b,
			      &vfile->next_id, GFP_KERNEL);
	if (err < 0) {
		vsvm_vm_close(vm);
		vsvm_vm_put(vm);
	}
	args->vm_id = err < 0 ? 0 : vm->id;
	vsvm_vm_put(vm);
	return min(err, 0);
}

/* Takes it out of the file's list. Return: false if somebody else did. */
static bool vsvm_vm_forget(struct vsvm_file *vfile, struct vsvm_vm *vm, u64 *ns)
{
	bool found;

	xa_lock(&vfile->vms);
	found = __xa_cmpxchg(&vfile->vms, vm->id, vm, NULL, 0) == vm;
	if (found) {
		*ns = atomic64_read(&vm->busy_ns);
		vfile->busy_ns += *ns;
	}
	xa_unlock(&vfile->vms);
	return found;
}

/* The statistics of the file must not go back. Consumes its reference. */
static void vsvm_vm_destroy(struct vsvm_file *vfile, struct vsvm_vm *vm, u64 ns)
{
	vsvm_vm_release(vm, true);
	xa_lock(&vfile->vms);
	vfile->busy_ns += atomic64_read(&vm->busy_ns) - ns;
	xa_unlock(&vfile->vms);
}

/**
 * vsvm_vm_destroy_ioctl - DRM_IOCTL_VSVM_VM_DESTROY
 * @drm: device
 * @data: struct drm_vsvm_vm_destroy
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_vm_destroy_ioctl(struct drm_device *drm, void *data,
			  struct drm_file *file)
{
	struct vsvm_file *vfile = file->driver_priv;
	struct drm_vsvm_vm_destroy *args = data;
	struct vsvm_vm *vm;
	u64 ns;
	int err = -ENOENT;

	if (args->pad)
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	if (vsvm_vm_forget(vfile, vm, &ns)) {
		vsvm_vm_destroy(vfile, vm, ns);
		err = 0;
	}
	vsvm_vm_put(vm);
	return err;
}

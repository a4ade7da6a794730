// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DRM_IOCTL_VSVM_MADVISE: how memory will be used. Advice belongs to addresses,
 * not to what is mapped there. It is kept in a maple tree, whose entries are the
 * attributes themselves, packed into a number; where nothing was said, or what
 * holds anyway, there is no entry.
 *
 * A call changes one attribute of addresses whose other attributes may differ,
 * so it may take several stores. Then they are made in a copy of the tree, so
 * that one which finds no memory leaves everything as it was.
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <linux/bitfield.h>
#include <linux/log2.h>
#include <linux/maple_tree.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "vsvm_advice.h"
#include "vsvm_peer.h"
#include "vsvm_range.h"
#include "vsvm_svm.h"
#include "vsvm_walk.h"

#define VSVM_ADVICE_LOCATION	GENMASK(15, 0)
#define VSVM_ADVICE_SHIFT	GENMASK(21, 16)
#define VSVM_ADVICE_ATOMIC	GENMASK(23, 22)

/* Before anybody says something. */
static const struct vsvm_advice vsvm_advice_default = {
	.location = DRM_VSVM_LOC_DEVICE,
	.granularity = SZ_4K,
	.atomic = DRM_VSVM_ATOMIC_DEVICE,
};

static void *vsvm_advice_pack(const struct vsvm_advice *advice)
{
	if (advice->location == vsvm_advice_default.location &&
	    advice->granularity == vsvm_advice_default.granularity &&
	    advice->atomic == vsvm_advice_default.atomic)
		return NULL;
	return xa_mk_value(FIELD_PREP(VSVM_ADVICE_LOCATION, advice->location) |
			   FIELD_PREP(VSVM_ADVICE_SHIFT,
				      ilog2(advice->granularity)) |
			   FIELD_PREP(VSVM_ADVICE_ATOMIC, advice->atomic));
}

static void vsvm_advice_unpack(struct vsvm_advice *advice, const void *entry)
{
	const unsigned long value = entry ? xa_to_value(entry) : 0;

	*advice = vsvm_advice_default;
	if (!entry)
		return;
	advice->location = FIELD_GET(VSVM_ADVICE_LOCATION, value);
	advice->granularity = 1u << FIELD_GET(VSVM_ADVICE_SHIFT, value);
	advice->atomic = FIELD_GET(VSVM_ADVICE_ATOMIC, value);
}

static void vsvm_advice_look(struct maple_tree *tree, unsigned long addr,
			     struct vsvm_advice *advice)
{
	MA_STATE(mas, tree, addr, addr);

	vsvm_advice_unpack(advice, mas_walk(&mas));
	advice->start = mas.index;
	advice->last = mas.last;
}

/**
 * vsvm_advice_at - look up what was said about an address
 * @vm: address space, locked
 * @addr: address
 * @advice: gets it
 */
void vsvm_advice_at(struct vsvm_vm *vm, unsigned long addr,
		    struct vsvm_advice *advice)
{
	lockdep_assert_held(&vm->lock);
	if (vm->advice) {
		vsvm_advice_look(vm->advice, addr, advice);
		return;
	}
	*advice = vsvm_advice_default;
	advice->last = ULONG_MAX;
}

static struct maple_tree *vsvm_advice_alloc(struct vsvm_vm *vm)
{
	struct maple_tree *tree = kzalloc_obj(*tree);

	if (!tree)
		return NULL;
	mt_init_flags(tree, MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(tree, &vm->lock);
	return tree;
}

static void vsvm_advice_free(struct maple_tree *tree)
{
	if (!tree)
		return;
	__mt_destroy(tree);
	kfree(tree);
}

/**
 * vsvm_advice_fini - forget all advice
 * @vm: address space that nobody uses any more
 */
void vsvm_advice_fini(struct vsvm_vm *vm)
{
	guard(mutex)(&vm->lock);
	vsvm_advice_free(vm->advice);
	vm->advice = NULL;
}

/* One store, together with neighbours that say the same. All or nothing. */
static int vsvm_advice_store(struct maple_tree *tree, unsigned long start,
			     unsigned long last, void *entry)
{
	MA_STATE(mas, tree, start, start);

	if (entry && start) {
		mas_set(&mas, start - 1);
		if (mas_walk(&mas) == entry)
			start = mas.index;
	}
	if (entry && last != ULONG_MAX) {
		mas_set(&mas, last + 1);
		if (mas_walk(&mas) == entry)
			last = mas.last;
	}
	mas_set_range(&mas, start, last);
	return mas_store_gfp(&mas, entry, GFP_KERNEL_ACCOUNT);
}

static void vsvm_advice_change(struct vsvm_advice *advice,
			       const struct drm_vsvm_madvise *args)
{
	switch (args->type) {
	case DRM_VSVM_MADVISE_LOCATION:
		advice->location = args->value;
		break;
	case DRM_VSVM_MADVISE_GRANULARITY:
		advice->granularity = args->value;
		break;
	case DRM_VSVM_MADVISE_ATOMIC:
		advice->atomic = args->value;
		break;
	}
}

static int vsvm_advice_apply(struct maple_tree *tree, unsigned long last,
			     const struct drm_vsvm_madvise *args)
{
	unsigned long addr = args->start;
	struct vsvm_advice advice;
	int err;

	for (;;) {
		vsvm_advice_look(tree, addr, &advice);
		vsvm_advice_change(&advice, args);
		err = vsvm_advice_store(tree, addr, min(advice.last, last),
					vsvm_advice_pack(&advice));
		if (err || advice.last >= last)
			return err;
		addr = advice.last + 1;
	}
}

static int vsvm_advice_apply_copy(struct vsvm_vm *vm, unsigned long last,
				  const struct drm_vsvm_madvise *args)
{
	struct maple_tree *copy = vsvm_advice_alloc(vm);
	int err;

	if (!copy)
		return -ENOMEM;
	err = __mt_dup(vm->advice, copy, GFP_KERNEL_ACCOUNT);
	if (!err)
		err = vsvm_advice_apply(copy, last, args);
	if (!err)
		swap(vm->advice, copy);
	vsvm_advice_free(copy);
	return err;
}

static int vsvm_advice_set(struct vsvm_vm *vm, unsigned long last,
			   const struct drm_vsvm_madvise *args)
{
	struct vsvm_advice advice;

	if (!vm->advice)
		vm->advice = vsvm_advice_alloc(vm);
	if (!vm->advice)
		return -ENOMEM;
	vsvm_advice_look(vm->advice, args->start, &advice);
	return advice.last >= last ? vsvm_advice_apply(vm->advice, last, args) :
				     vsvm_advice_apply_copy(vm, last, args);
}

static int vsvm_madvise_check(struct vsvm_vm *vm,
			      const struct drm_vsvm_madvise *args)
{
	switch (args->type) {
	case DRM_VSVM_MADVISE_LOCATION:
		return vsvm_location_check(vm->vdev, args->value);
	case DRM_VSVM_MADVISE_GRANULARITY:
		return args->value == SZ_4K || args->value == SZ_64K ||
		       args->value == SZ_2M ? 0 : -EINVAL;
	case DRM_VSVM_MADVISE_ATOMIC:
		return args->value <= DRM_VSVM_ATOMIC_SYSTEM ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int vsvm_madvise(struct vsvm_vm *vm, const struct drm_vsvm_madvise *args)
{
	u64 end;
	int err;

	err = vsvm_check_range(args->start, args->length, vm->svm.mm_range, &end);
	if (!err)
		err = vsvm_madvise_check(vm, args);
	if (err)
		return err;
	ACQUIRE(mutex_intr, lock)(&vm->lock);
	err = ACQUIRE_ERR(mutex_intr, &lock);
	if (err)
		return err;
	err = vsvm_advice_set(vm, end - 1, args);
	/* So that the next touch asks what to do. */
	if (!err)
		vsvm_svm_forget(vm, args->start, end);
	return err;
}

/**
 * vsvm_madvise_ioctl - DRM_IOCTL_VSVM_MADVISE
 * @drm: device
 * @data: struct drm_vsvm_madvise
 * @file: open file
 *
 * Return: see the structure.
 */
int vsvm_madvise_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file)
{
	const struct drm_vsvm_madvise *args = data;
	struct vsvm_vm *vm;
	int err;

	if (args->pad)
		return -EINVAL;
	vm = vsvm_vm_lookup(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	/* As vsvm_exclusive_ioctl(): who has it locked may wait for a user. */
	err = vsvm_madvise(vm, args);
	vsvm_vm_put(vm);
	return err;
}

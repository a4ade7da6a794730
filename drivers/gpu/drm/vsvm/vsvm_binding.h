/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Bindings of buffer objects, as those who make and who map them know them. */
#ifndef _VSVM_BINDING_H_
#define _VSVM_BINDING_H_

#include <drm/drm_gpuvm.h>
#include <linux/align.h>
#include <linux/minmax.h>

#include "vsvm_gem.h"
#include "vsvm_vm.h"

#define VSVM_WINDOW		VSVM_HW_LARGE_SIZE

/**
 * struct vsvm_window - a part of a binding
 * @ptes: its page-table entries
 * @mapped: they are valid
 */
struct vsvm_window {
	struct vsvm_ptes ptes;
	bool mapped;
};

/**
 * struct vsvm_binding - a buffer object at some addresses
 * @base: base
 * @readonly: the GPU may not write
 * @num: number of windows
 * @window: the windows
 */
struct vsvm_binding {
	struct drm_gpuva base;
	bool readonly;
	unsigned int num;
	struct vsvm_window window[] __counted_by(num);
};

static inline struct vsvm_binding *to_vsvm_binding(struct drm_gpuva *va)
{
	return container_of(va, struct vsvm_binding, base);
}

static inline struct vsvm_vm *vsvm_binding_vm(struct vsvm_binding *binding)
{
	return container_of(binding->base.vm, struct vsvm_vm, gpuvm);
}

static inline struct vsvm_gem *vsvm_binding_gem(struct vsvm_binding *binding)
{
	return to_vsvm_gem(binding->base.gem.obj);
}

static inline u64 vsvm_binding_end(struct vsvm_binding *binding)
{
	return binding->base.va.addr + binding->base.va.range;
}

static inline unsigned int vsvm_window_count(u64 start, u64 length)
{
	return (ALIGN(start + length, VSVM_WINDOW) -
		ALIGN_DOWN(start, VSVM_WINDOW)) / VSVM_WINDOW;
}

static inline struct vsvm_window *vsvm_window_at(struct vsvm_binding *binding,
						 u64 addr)
{
	return &binding->window[addr / VSVM_WINDOW -
				binding->base.va.addr / VSVM_WINDOW];
}

/* The addresses of the window around one. */
static inline u64 vsvm_window_start(struct vsvm_binding *binding, u64 addr)
{
	return max(binding->base.va.addr, ALIGN_DOWN(addr, VSVM_WINDOW));
}

static inline u64 vsvm_window_size(struct vsvm_binding *binding, u64 addr)
{
	return min(vsvm_binding_end(binding),
		   ALIGN_DOWN(addr, VSVM_WINDOW) + VSVM_WINDOW) -
	       vsvm_window_start(binding, addr);
}

/* Where in the object that is. */
static inline u64 vsvm_window_offset(struct vsvm_binding *binding, u64 addr)
{
	return binding->base.gem.offset + vsvm_window_start(binding, addr) -
	       binding->base.va.addr;
}

#endif /* _VSVM_BINDING_H_ */

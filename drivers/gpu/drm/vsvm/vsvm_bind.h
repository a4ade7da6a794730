/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Buffer objects in GPU address spaces. */
#ifndef _VSVM_BIND_H_
#define _VSVM_BIND_H_

#include <linux/types.h>

struct seq_file;
struct vsvm_cold;
struct vsvm_gem;
struct vsvm_queue;
struct vsvm_vm;

int vsvm_bind_init(struct vsvm_vm *vm);
void vsvm_bind_fini(struct vsvm_vm *vm);
int vsvm_bind_fault(struct vsvm_queue *queue, u64 addr, u32 access);
void vsvm_bind_reclaim(struct vsvm_vm *vm, const struct vsvm_cold *cold);
void vsvm_bind_zap(struct vsvm_gem *gem);
void vsvm_bind_show(struct seq_file *m, struct vsvm_vm *vm);

#endif /* _VSVM_BIND_H_ */

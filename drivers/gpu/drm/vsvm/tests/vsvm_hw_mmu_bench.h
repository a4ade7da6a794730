/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A bench with a peer, whose memory holds its own addresses, and accesses by the
 * kernels of a queue.
 */
#ifndef _VSVM_HW_MMU_BENCH_H_
#define _VSVM_HW_MMU_BENCH_H_

#include "vsvm_hw_bench.h"

#define DATA	BENCH_TABLES
#define VA	0x123456600000ull	/* with something in each level's index */

/* For suites. */
int mmu_bench_init(struct kunit *test);
void mmu_bench_exit(struct kunit *test);

/* 8 bytes at @va. They return the status, or VSVM_HW_WAIT after a fault. */
u32 mmu_read(struct hw_bench *b, unsigned int queue, u64 va, u64 *value);
u32 mmu_write(struct hw_bench *b, unsigned int queue, u64 va, u8 value);
u32 mmu_add(struct hw_bench *b, unsigned int queue, u64 va, u64 value);

void mmu_expect_read(struct hw_bench *b, unsigned int queue, u64 va, u64 want);

/* Expects that the queue stalled at @va, and cancels what it was at. */
void mmu_expect_fault(struct hw_bench *b, unsigned int queue, u64 va, u32 access);
void mmu_expect_read_fault(struct hw_bench *b, unsigned int queue, u64 va);
void mmu_expect_write_fault(struct hw_bench *b, unsigned int queue, u64 va);
void mmu_expect_add_fault(struct hw_bench *b, unsigned int queue, u64 va);

#endif /* _VSVM_HW_MMU_BENCH_H_ */

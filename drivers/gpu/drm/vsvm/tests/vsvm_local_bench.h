/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A bench for tests of the local transport: hardware in workers, one buffer of
 * system memory that is mapped for it, and the test in the driver's place.
 */
#ifndef _VSVM_LOCAL_BENCH_H_
#define _VSVM_LOCAL_BENCH_H_

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/wait.h>

#include "../vsvm_transport.h"

#define LOCAL_VRAM	(4ull << 20)
#define LOCAL_ORDER	3
#define LOCAL_SIZE	(PAGE_SIZE << LOCAL_ORDER)
#define LOCAL_VA	0x7f0000000000ull

struct local_bench {
	struct kunit *test;
	struct device *dev;
	struct vsvm_transport_config config;
	struct vsvm_transport *t;
	wait_queue_head_t wait;
	atomic_t irqs[VSVM_HW_NUM_VECTORS];
	struct page *pages;
	dma_addr_t dma;		/* of all pages, or 0 */
};

/* The whole buffer to the start of VRAM, with an interrupt; no source yet. */
extern const struct vsvm_hw_cmd local_to_vram;

/*
 * Hardware and buffer for @dev. Twice the buffer's size of VRAM is in use. The
 * caller ends what was begun, also after a failure.
 */
void local_bench_begin(struct local_bench *l, struct kunit *test,
		       struct device *dev, unsigned int link);
void local_bench_end(struct local_bench *l);
/* The hardware alone, by @config. */
void local_bench_create(struct local_bench *l, struct device *dev);
void local_bench_destroy(struct local_bench *l);

void local_push(struct local_bench *l, unsigned int engine,
		const struct vsvm_hw_cmd *cmd);
bool local_done(struct local_bench *l, unsigned int engine);
/* Status of the last command of @engine, once all of them are done. */
u32 local_wait(struct local_bench *l, unsigned int engine);
u32 local_do(struct local_bench *l, unsigned int engine,
	     const struct vsvm_hw_cmd *cmd);

/*
 * A list without end in the page that @leaf maps, by tables at the start of
 * VRAM; its first word is to hold LOCAL_VA. Does not wait.
 */
void local_start_chase(struct local_bench *l, unsigned int queue, u64 leaf);
/* The leaf for the page of VRAM after the tables, where that word is put. */
#define LOCAL_CHASE_LEAF \
	(VSVM_PT_LEVELS * VSVM_HW_PAGE_SIZE | VSVM_PTE_VALID | VSVM_PTE_WRITE)

#endif /* _VSVM_LOCAL_BENCH_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A bench for tests of the virtual GPU's hardware: one GPU on plain memory,
 * with the test in the driver's place. The tests see both sides: commands go
 * through the rings, while page tables and data are read and written directly.
 *
 *   VRAM    [0, TABLES)  page tables, in use     [TABLES, SIZE)  free at first
 *   system  DMA addresses [SYSTEM_BASE, + SYSTEM_SIZE)
 */
#ifndef _VSVM_HW_BENCH_H_
#define _VSVM_HW_BENCH_H_

#include <kunit/test.h>

#include "../hw/vsvm_hw_priv.h"

#define BENCH_TABLES		(2ull << 20)
#define BENCH_VRAM_SIZE		(8ull << 20)
#define BENCH_SYSTEM_BASE	0x100000000ull
#define BENCH_SYSTEM_SIZE	(8ull << 20)
#define BENCH_QUEUE(n)		(VSVM_HW_QUEUE0 + (n))

#define PAGE			VSVM_HW_PAGE_SIZE
#define LARGE			VSVM_HW_LARGE_SIZE

/* Leaves of the three apertures. */
#define PTE_VRAM(addr)		((addr) | VSVM_PTE_VALID)
#define PTE_SYSTEM(addr) \
	((BENCH_SYSTEM_BASE + (addr)) | VSVM_PTE_VALID | \
	 (u64)VSVM_HW_SYSTEM << VSVM_PTE_APERTURE_SHIFT)
#define PTE_PEER(n, addr) \
	((addr) | VSVM_PTE_VALID | (u64)(n) << VSVM_PTE_PEER_SHIFT | \
	 (u64)VSVM_HW_PEER << VSVM_PTE_APERTURE_SHIFT)
#define PTE_RW			VSVM_PTE_WRITE
#define PTE_RWA			(VSVM_PTE_WRITE | VSVM_PTE_ATOMIC)

struct hw_bench {
	struct kunit *test;
	struct vsvm_hw *hw;
	struct vsvm_hw_shared *shared;
	u8 *vram;
	u8 *system;
	u64 next_table;
	u64 root[VSVM_HW_NUM_QUEUES];
	unsigned int irqs[VSVM_HW_NUM_VECTORS];

	/* How the host behaves. */
	u64 dma_split;		/* mappings end at multiples of it, if not 0 */
	u64 dma_hole;		/* page of system memory that is out of reach */
	struct hw_bench *peer;	/* number 1 */
	unsigned int relaxed;
	unsigned int cancel_after;	/* at this many relaxed, if not 0 */
	unsigned int stop_after;
	unsigned int unmap_after;	/* the windows */
	unsigned int busy;	/* engine that cancel_after and stop_after mean */
	u64 now;		/* ns; only sleep and the next line pass time */
	u64 dma_ns;		/* what a look at system memory takes */
	u64 sleep_over;		/* what a sleep takes too long */
	unsigned int sleeps;
	u64 cancel_at;		/* as cancel_after, at a time */
	u64 stop_at;
	void (*on_irq)(struct hw_bench *b, unsigned int vector);
	void (*on_dma)(struct hw_bench *b);
};

struct hw_bench *hw_bench_create(struct kunit *test, bool sanitize);
/* With settings other than VRAM and rings, which are the bench's. */
struct hw_bench *hw_bench_create_as(struct kunit *test,
				    const struct vsvm_hw_config *wanted);
void hw_bench_destroy(struct hw_bench *b);
int hw_bench_init(struct kunit *test);		/* for suites; with sanitizer */
void hw_bench_exit(struct kunit *test);

/* For loops that are not worth going on with. */
static inline bool hw_bench_failed(const struct kunit *test)
{
#ifdef __KERNEL__
	return READ_ONCE(test->status) == KUNIT_FAILURE;
#else
	return test->failed;
#endif
}

/* Rings. */
void hw_bench_push(struct hw_bench *b, unsigned int engine,
		   const struct vsvm_hw_cmd *cmd);
struct vsvm_hw_cmd *hw_bench_slot(struct hw_bench *b, unsigned int engine,
				  u32 index);
u32 hw_bench_do(struct hw_bench *b, unsigned int engine,
		const struct vsvm_hw_cmd *cmd);
u64 hw_bench_result(struct hw_bench *b, unsigned int engine);
void hw_bench_mark(struct hw_bench *b, u64 addr, u64 len, bool in_use);
void hw_bench_invalidate(struct hw_bench *b, unsigned int queue, u64 va, u64 len);

/* Page tables, by the side of the rings. */
void hw_bench_map(struct hw_bench *b, unsigned int queue, u64 va, u64 pte);
u64 *hw_bench_entry(struct hw_bench *b, unsigned int queue, u64 va,
		    unsigned int level);

/* Takes the oldest record from the FIFO. */
bool hw_bench_fault(struct hw_bench *b, struct vsvm_hw_fault *fault);
void hw_bench_replay(struct hw_bench *b, unsigned int queue);
void hw_bench_cancel(struct hw_bench *b, unsigned int engine);

/* Looks at the one record of queue 0, that must be stalled and stay so. */
void hw_bench_expect_stalled(struct hw_bench *b, struct vsvm_hw_fault *fault);

/*
 * Two windows of virtual memory of queue 0 for what a kernel writes and reads,
 * backed page by page by system memory in an order of their own, so that
 * neighbours are not contiguous.
 */
#define WINDOW_SIZE		(40 * PAGE)
#define DST_VA			0x400000000000ull
#define SRC_VA			0x500000000000ull

u64 hw_window_offset(u64 va);	/* in system memory; of a page */
void hw_window_map(struct hw_bench *b, u64 va, u32 access);
void hw_window_map_all(struct hw_bench *b);	/* source read-only */
void hw_window_unmap_all(struct hw_bench *b);

/* Numbers that look random and come again with the same seed. */
struct hw_random {
	u64 state;
};

void hw_random_init(struct hw_random *r, struct kunit *test);
u64 hw_random(struct hw_random *r);
static inline u64 hw_random_below(struct hw_random *r, u64 bound)
{
	return (hw_random(r) >> 16) % bound;
}

void hw_random_bytes(struct hw_random *r, void *p, u64 len);

#endif /* _VSVM_HW_BENCH_H_ */

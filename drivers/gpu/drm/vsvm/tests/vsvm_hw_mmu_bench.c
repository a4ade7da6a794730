// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include "vsvm_hw_mmu_bench.h"

int mmu_bench_init(struct kunit *test)
{
	struct hw_bench *b;
	u64 page;

	if (hw_bench_init(test))
		return -ENOMEM;
	b = test->priv;
	b->peer = hw_bench_create(test, true);
	if (!b->peer) {
		hw_bench_exit(test);
		return -ENOMEM;
	}
	hw_bench_mark(b, DATA, BENCH_VRAM_SIZE - DATA, true);
	hw_bench_mark(b->peer, DATA, BENCH_VRAM_SIZE - DATA, true);
	/* Every page of memory holds its own number. */
	for (page = 0; page < BENCH_VRAM_SIZE; page += PAGE) {
		*(u64 *)(b->system + page) = 0x1000000 + page;
		if (page < DATA)
			continue;
		*(u64 *)(b->vram + page) = page;
		*(u64 *)(b->peer->vram + page) = 0x2000000 + page;
	}
	return 0;
}

void mmu_bench_exit(struct kunit *test)
{
	struct hw_bench *b = test->priv;

	if (b)
		hw_bench_destroy(b->peer);
	hw_bench_exit(test);
}

/*
 * Where mmu_read() copies to: the end of system memory, that no test maps
 * elsewhere, at an address whose entry in the TLB no test uses otherwise.
 */
#define OUT_VA		0x70000003f000ull
#define OUT_OFFSET	(BENCH_SYSTEM_SIZE - PAGE)

u32 mmu_read(struct hw_bench *b, unsigned int queue, u64 va, u64 *value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_COPY, .dst = OUT_VA, .src = va, .len = 8,
	};
	u32 status;

	hw_bench_map(b, queue, OUT_VA, PTE_SYSTEM(OUT_OFFSET) | PTE_RW);
	status = hw_bench_do(b, BENCH_QUEUE(queue), &cmd);
	memcpy(value, b->system + OUT_OFFSET, 8);
	return status;
}

u32 mmu_write(struct hw_bench *b, unsigned int queue, u64 va, u8 value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_FILL, .dst = va, .len = 8, .arg = value,
	};

	return hw_bench_do(b, BENCH_QUEUE(queue), &cmd);
}

void mmu_expect_read(struct hw_bench *b, unsigned int queue, u64 va, u64 want)
{
	u64 value;

	KUNIT_EXPECT_EQ(b->test, mmu_read(b, queue, va, &value), VSVM_HW_OK);
	KUNIT_EXPECT_EQ_MSG(b->test, value, want, " at %llx", (unsigned long long)va);
}

u32 mmu_add(struct hw_bench *b, unsigned int queue, u64 va, u64 value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_ATOMIC_ADD, .dst = va, .len = 1, .arg = value,
	};

	return hw_bench_do(b, BENCH_QUEUE(queue), &cmd);
}

/* Expects that the queue stalled at @va, and cancels what it was at. */
void mmu_expect_fault(struct hw_bench *b, unsigned int queue, u64 va, u32 access)
{
	struct vsvm_hw_fault fault = { };

	KUNIT_EXPECT_TRUE(b->test, hw_bench_fault(b, &fault));
	KUNIT_EXPECT_EQ(b->test, fault.address, va);
	KUNIT_EXPECT_EQ(b->test, fault.access, access);
	KUNIT_EXPECT_EQ(b->test, fault.queue, queue);
	KUNIT_EXPECT_FALSE(b->test, hw_bench_fault(b, &fault));
	hw_bench_cancel(b, BENCH_QUEUE(queue));
	vsvm_hw_run(b->hw, BENCH_QUEUE(queue));
}

void mmu_expect_read_fault(struct hw_bench *b, unsigned int queue, u64 va)
{
	u64 value;

	KUNIT_EXPECT_EQ(b->test, mmu_read(b, queue, va, &value), VSVM_HW_WAIT);
	mmu_expect_fault(b, queue, va, VSVM_HW_READ);
}

void mmu_expect_write_fault(struct hw_bench *b, unsigned int queue, u64 va)
{
	KUNIT_EXPECT_EQ(b->test, mmu_write(b, queue, va, 1), VSVM_HW_WAIT);
	mmu_expect_fault(b, queue, va, VSVM_HW_WRITE);
}

void mmu_expect_add_fault(struct hw_bench *b, unsigned int queue, u64 va)
{
	KUNIT_EXPECT_EQ(b->test, mmu_add(b, queue, va, 1), VSVM_HW_WAIT);
	mmu_expect_fault(b, queue, va, VSVM_HW_ATOMIC);
}

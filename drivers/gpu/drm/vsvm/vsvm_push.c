// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The commands that the driver gives to engines other than the compute queues,
 * a few of them gathered before they go to the ring.
 */
#include <linux/sizes.h>

#include "vsvm_drv.h"
#include "vsvm_ring.h"

/* Of one command: so much takes less than a timeout on the slowest engine. */
#define VSVM_PUSH_PIECE		SZ_16M

/**
 * vsvm_push_begin - begin to write a submission
 * @push: on the stack of who writes
 * @ring: where to
 * @sub: the submission, or NULL if nobody waits for it
 */
void vsvm_push_begin(struct vsvm_push *push, struct vsvm_ring *ring,
		     struct vsvm_sub *sub)
{
	push->ring = ring;
	push->sub = sub;
	push->num = 0;
}

/* Return: where the next command goes. */
static struct vsvm_hw_cmd *vsvm_push_next(struct vsvm_push *push)
{
	if (push->num == ARRAY_SIZE(push->cmd)) {
		vsvm_ring_write(push->ring, push->sub, push->cmd, push->num,
				false);
		push->num = 0;
	}
	return &push->cmd[push->num++];
}

/**
 * vsvm_push_copy - copy memory
 * @push: submission
 * @apertures: VSVM_HW_DST_APERTURE() and VSVM_HW_SRC_APERTURE()
 * @dst: where to
 * @src: where from
 * @len: bytes
 */
void vsvm_push_copy(struct vsvm_push *push, u32 apertures, u64 dst, u64 src,
		    u64 len)
{
	u64 done, piece;

	for (done = 0; done < len; done += piece) {
		piece = min(len - done, VSVM_PUSH_PIECE);
		*vsvm_push_next(push) = (struct vsvm_hw_cmd) {
			.op = VSVM_HW_COPY,
			.flags = apertures,
			.dst = dst + done,
			.src = src + done,
			.len = piece,
		};
	}
}

/**
 * vsvm_push_fill - write 64-bit words to VRAM
 * @push: submission
 * @dst: offset of the first
 * @value: what the first is set to
 * @step: by how much each is more than the one before
 * @len: bytes
 */
void vsvm_push_fill(struct vsvm_push *push, u64 dst, u64 value, u64 step,
		    u64 len)
{
	u64 done, piece;

	for (done = 0; done < len; done += piece) {
		piece = min(len - done, VSVM_PUSH_PIECE);
		*vsvm_push_next(push) = (struct vsvm_hw_cmd) {
			.op = VSVM_HW_FILL,
			.flags = VSVM_HW_DST_APERTURE(VSVM_HW_VRAM),
			.dst = dst + done,
			.src = step,
			.len = piece,
			.arg = value + done / sizeof(u64) * step,
		};
	}
}

/**
 * vsvm_push_mark - tell the hardware which VRAM is in use
 * @push: submission on the paging ring
 * @dst: offset
 * @len: bytes
 * @in_use: or free
 */
void vsvm_push_mark(struct vsvm_push *push, u64 dst, u64 len, bool in_use)
{
	u64 done, piece;

	/* Memory that gets free is poisoned: how much is up to a client. */
	for (done = 0; done < len; done += piece) {
		piece = min(len - done, VSVM_PUSH_PIECE);
		*vsvm_push_next(push) = (struct vsvm_hw_cmd) {
			.op = VSVM_HW_MARK,
			.dst = dst + done,
			.len = piece,
			.arg = in_use,
		};
	}
}

/**
 * vsvm_push_tlb - make queues forget translations
 * @push: submission on the paging ring
 * @queue: the first compute queue
 * @num: how many queues
 * @start: first virtual address
 * @len: bytes
 *
 * Also waits for accesses by way of them that are under way.
 */
void vsvm_push_tlb(struct vsvm_push *push, unsigned int queue, unsigned int num,
		   u64 start, u64 len)
{
	*vsvm_push_next(push) = (struct vsvm_hw_cmd) {
		.op = VSVM_HW_TLB_INVALIDATE,
		.dst = start,
		.src = num,
		.len = len,
		.arg = queue,
	};
	vsvm_stat_add(push->ring->vdev, VSVM_STAT_TLB_FLUSHES, 1);
}

/**
 * vsvm_push_root - give queues a page table
 * @push: submission on the paging ring
 * @queue: the first compute queue
 * @num: how many queues
 * @root: offset of the root table, or VSVM_NO_ROOT
 */
void vsvm_push_root(struct vsvm_push *push, unsigned int queue,
		    unsigned int num, u64 root)
{
	*vsvm_push_next(push) = (struct vsvm_hw_cmd) {
		.op = VSVM_HW_SET_ROOT,
		.dst = root,
		.src = num,
		.arg = queue,
	};
}

/**
 * vsvm_push_end - end a submission
 * @push: submission; it may complete at once
 */
void vsvm_push_end(struct vsvm_push *push)
{
	vsvm_ring_write(push->ring, push->sub, push->cmd, push->num, true);
}

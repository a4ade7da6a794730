// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The link between devices: copies and kernels that reach a peer's VRAM, and
 * peers that go away while they do.
 */
#include <kunit/device.h>
#include <linux/delay.h>

#include "vsvm_local_bench.h"

/* Numbers that no device of the driver has. */
#define LINK_A	200
#define LINK_B	201
#define LINK_C	202

#define PEER(link, addr)	((u64)(link) << VSVM_PTE_PEER_SHIFT | (addr))
#define PTE_PEER(link, addr) \
	(PEER(link, addr) | VSVM_PTE_VALID | VSVM_PTE_WRITE | VSVM_PTE_ATOMIC | \
	 (u64)VSVM_HW_PEER << VSVM_PTE_APERTURE_SHIFT)

struct link_test {
	struct local_bench a, b;
};

static int link_init(struct kunit *test)
{
	struct link_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct device *dev = kunit_device_register(test, "vsvm-link");

	KUNIT_ASSERT_NOT_NULL(test, t);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	test->priv = t;
	local_bench_begin(&t->a, test, dev, LINK_A);
	local_bench_begin(&t->b, test, dev, LINK_B);
	return 0;
}

static void link_exit(struct kunit *test)
{
	struct link_test *t = test->priv;

	if (!t)
		return;
	local_bench_end(&t->b);
	local_bench_end(&t->a);
}

/* From a peer's VRAM at @addr to ours at LOCAL_SIZE. */
static struct vsvm_hw_cmd from_peer(unsigned int link, u64 addr)
{
	return (struct vsvm_hw_cmd){
		.op = VSVM_HW_COPY,
		.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
			 VSVM_HW_SRC_APERTURE(VSVM_HW_PEER),
		.dst = LOCAL_SIZE,
		.src = PEER(link, addr),
		.len = LOCAL_SIZE,
	};
}

static struct vsvm_hw_cmd to_peer(unsigned int link, u64 addr)
{
	return (struct vsvm_hw_cmd){
		.op = VSVM_HW_COPY,
		.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_PEER) |
			 VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM),
		.dst = PEER(link, addr),
		.src = LOCAL_SIZE,
		.len = LOCAL_SIZE,
	};
}

static u32 read_peer(struct local_bench *l, unsigned int link)
{
	const struct vsvm_hw_cmd cmd = from_peer(link, 0);

	return local_do(l, VSVM_HW_COPY_TO_VRAM, &cmd);
}

/* A buffer to the VRAM of a, over to b, back to a, and out again. */
static void link_copy(struct kunit *test)
{
	struct link_test *t = test->priv;
	struct vsvm_hw_cmd cmd = local_to_vram;
	u8 *mem = page_address(t->a.pages);
	unsigned long i;

	for (i = 0; i < LOCAL_SIZE; i++)
		mem[i] = i * 11 + i / PAGE_SIZE;
	cmd.src = t->a.dma;
	cmd.dst = LOCAL_SIZE;
	KUNIT_ASSERT_EQ(test, local_do(&t->a, VSVM_HW_COPY_TO_VRAM, &cmd), VSVM_HW_OK);
	cmd = to_peer(LINK_B, 0);
	KUNIT_ASSERT_EQ(test, local_do(&t->a, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	memset(mem, 0, LOCAL_SIZE);
	cmd = (struct vsvm_hw_cmd){
		.op = VSVM_HW_COPY,
		.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
			 VSVM_HW_SRC_APERTURE(VSVM_HW_PEER),
		.dst = t->a.dma, .src = PEER(LINK_B, 0), .len = LOCAL_SIZE,
	};
	KUNIT_ASSERT_EQ(test, local_do(&t->a, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	for (i = 0; i < LOCAL_SIZE; i++)
		KUNIT_ASSERT_EQ(test, mem[i], (u8)(i * 11 + i / PAGE_SIZE));
	/* b has it in its own VRAM, and sees that of a. */
	cmd.flags = VSVM_HW_CMD_IRQ | VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
		    VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM);
	cmd.dst = t->b.dma;
	cmd.src = 0;
	KUNIT_ASSERT_EQ(test, local_do(&t->b, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	KUNIT_EXPECT_MEMEQ(test, page_address(t->b.pages), mem, LOCAL_SIZE);
	KUNIT_EXPECT_EQ(test, read_peer(&t->b, LINK_A), VSVM_HW_OK);
}

/* Either end is enough to take the link down, for both. */
static void link_down(struct kunit *test)
{
	struct link_test *t = test->priv;
	struct local_bench *end[] = { &t->a, &t->b };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(end); i++) {
		KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_B), VSVM_HW_OK);
		KUNIT_EXPECT_EQ(test, read_peer(&t->b, LINK_A), VSVM_HW_OK);
		end[i]->t->ops->set_link(end[i]->t, false);
		KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_B), VSVM_HW_ERR_PEER);
		KUNIT_EXPECT_EQ(test, read_peer(&t->b, LINK_A), VSVM_HW_ERR_PEER);
		end[i]->t->ops->set_link(end[i]->t, true);
	}
	local_bench_destroy(&t->b);
	KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_B), VSVM_HW_ERR_PEER);
	local_bench_create(&t->b, t->b.dev);
	KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_B), VSVM_HW_OK);
}

static void link_numbers(struct kunit *test)
{
	struct link_test *t = test->priv;
	static const struct {
		unsigned int link;
		long err;
	} wrong[] = {
		{ LINK_A, -EEXIST }, { LINK_B, -EEXIST }, { VSVM_NUM_LINKS, -EINVAL },
		{ VSVM_NO_LINK - 1, -EINVAL },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct vsvm_transport_config config = {
			.vram_size = LOCAL_VRAM, .link = wrong[i].link,
		};

		KUNIT_EXPECT_EQ(test, PTR_ERR(vsvm_local_create(t->a.dev, &config, t->a.t->irq,
								&t->a)), wrong[i].err);
	}
	/* Nobody, itself, the last one. */
	KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_C), VSVM_HW_ERR_PEER);
	KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_A), VSVM_HW_ERR_PEER);
	KUNIT_EXPECT_EQ(test, read_peer(&t->a, VSVM_NUM_LINKS - 1), VSVM_HW_ERR_PEER);
	KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_B), VSVM_HW_OK);
	/* A device without a number has no link that could come up. */
	local_bench_destroy(&t->a);
	t->a.config.link = VSVM_NO_LINK;
	local_bench_create(&t->a, t->a.dev);
	t->a.t->ops->set_link(t->a.t, true);
	KUNIT_EXPECT_EQ(test, read_peer(&t->a, LINK_B), VSVM_HW_ERR_PEER);
	KUNIT_EXPECT_EQ(test, read_peer(&t->b, LINK_A), VSVM_HW_ERR_PEER);
	local_bench_destroy(&t->a);
	t->a.config.link = VSVM_NUM_LINKS - 1;
	local_bench_create(&t->a, t->a.dev);
	KUNIT_EXPECT_EQ(test, read_peer(&t->b, VSVM_NUM_LINKS - 1), VSVM_HW_OK);
}

/* The peer's size and the peer's sanitizer count. */
static void link_bounds(struct kunit *test)
{
	struct link_test *t = test->priv;
	struct vsvm_hw_cmd cmd;

	cmd = from_peer(LINK_B, LOCAL_VRAM);
	KUNIT_EXPECT_EQ(test, local_do(&t->a, VSVM_HW_COPY_TO_VRAM, &cmd), VSVM_HW_ERR_VRAM);
	cmd = to_peer(LINK_B, LOCAL_VRAM - 8);
	KUNIT_EXPECT_NE(test, local_do(&t->a, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_OK);
	if (!IS_ENABLED(CONFIG_DRM_VSVM_DEBUG))
		return;
	cmd = from_peer(LINK_B, LOCAL_SIZE + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, local_do(&t->a, VSVM_HW_COPY_TO_VRAM, &cmd), VSVM_HW_ERR_FREE);
	cmd = to_peer(LINK_B, 2 * LOCAL_SIZE);
	KUNIT_EXPECT_EQ(test, local_do(&t->a, VSVM_HW_COPY_FROM_VRAM, &cmd), VSVM_HW_ERR_FREE);
}

/* Copies that cross the link all the time, while the peer comes and goes. */
static void link_peer_goes(struct kunit *test)
{
	struct link_test *t = test->priv;
	struct vsvm_hw_ring *ring = &t->a.t->shared->ring[VSVM_HW_COPY_TO_VRAM];
	struct vsvm_hw_cmd cmd = from_peer(LINK_B, 0);
	unsigned int i, k, ok = 0, down = 0;
	u32 status;

	for (i = 0; i < 20; i++) {
		for (k = 0; k < 200; k++)
			local_push(&t->a, VSVM_HW_COPY_TO_VRAM, &cmd);
		/* There while the first are done, and gone in the middle. */
		KUNIT_ASSERT_GT(test, wait_event_timeout(t->a.wait, READ_ONCE(ring->tail) !=
							 i * 200, 20 * HZ), 0);
		local_bench_destroy(&t->b);
		local_wait(&t->a, VSVM_HW_COPY_TO_VRAM);
		for (k = 0; k < 200; k++) {
			status = t->a.t->shared->cmd[ring->first +
						     (i * 200 + k) % ring->size].status;
			ok += status == VSVM_HW_OK;
			down += status == VSVM_HW_ERR_PEER;
		}
		local_bench_create(&t->b, t->b.dev);
	}
	kunit_info(test, "%u copies, %u with the link down\n", ok, down);
	KUNIT_EXPECT_EQ(test, ok + down, 20 * 200);
	KUNIT_EXPECT_GT(test, ok, 0);
}

/* A kernel on a peer's memory ends when the peer does, and says where it was. */
static void link_kernel(struct kunit *test)
{
	struct link_test *t = test->priv;
	struct vsvm_hw_ring *ring = &t->a.t->shared->ring[VSVM_HW_QUEUE0];
	struct vsvm_hw_cmd cmd = local_to_vram;
	u64 *mem = page_address(t->b.pages);

	mem[0] = LOCAL_VA;
	cmd.src = t->b.dma;
	KUNIT_ASSERT_EQ(test, local_do(&t->b, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
	local_start_chase(&t->a, 0, PTE_PEER(LINK_B, 0));
	KUNIT_EXPECT_EQ(test, wait_event_timeout(t->a.wait, local_done(&t->a, VSVM_HW_QUEUE0),
						 HZ / 20), 0);
	local_bench_destroy(&t->b);
	KUNIT_EXPECT_EQ(test, local_wait(&t->a, VSVM_HW_QUEUE0), VSVM_HW_ERR_PEER);
	KUNIT_EXPECT_EQ(test, t->a.t->shared->cmd[ring->first].result & ~15ull, LOCAL_VA);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->a.irqs[VSVM_HW_VEC_FAULT]), 0);
	local_bench_create(&t->b, t->b.dev);
}

/* Two devices that read each other end at the same time. */
static void link_end_busy(struct kunit *test)
{
	struct link_test *t = test->priv;
	struct vsvm_hw_cmd cmd;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		cmd = from_peer(LINK_B, 0);
		local_push(&t->a, VSVM_HW_COPY_TO_VRAM, &cmd);
		cmd = to_peer(LINK_A, 0);
		local_push(&t->b, VSVM_HW_COPY_FROM_VRAM, &cmd);
	}
}

static struct kunit_case link_cases[] = {
	KUNIT_CASE(link_copy),
	KUNIT_CASE(link_down),
	KUNIT_CASE(link_numbers),
	KUNIT_CASE(link_bounds),
	KUNIT_CASE_SLOW(link_peer_goes),
	KUNIT_CASE(link_kernel),
	KUNIT_CASE(link_end_busy),
	{ }
};

static struct kunit_suite link_suite = {
	.name = "vsvm_link",
	.init = link_init,
	.exit = link_exit,
	.test_cases = link_cases,
};

kunit_test_suite(link_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* What a driver asks of a device: requests, copies, addresses, kernels. */
#include <unistd.h>

#include "guest.h"

static void device_handshake(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	struct vsvm_pci_device *page = &g->dev[1].bar->device;
	const u32 before = page->generation;

	KUNIT_EXPECT_EQ(test, page->magic, VSVM_PCI_MAGIC);
	KUNIT_EXPECT_EQ(test, page->version, VSVM_PCI_VERSION);
	KUNIT_EXPECT_EQ(test, page->vram_size, GUEST_VRAM);
	KUNIT_EXPECT_EQ(test, page->caps, VSVM_PCI_CAP_STALE_CODE);
	KUNIT_EXPECT_EQ(test, page->link, 1);
	KUNIT_EXPECT_EQ(test, page->ram_low, GUEST_LOW);
	KUNIT_EXPECT_EQ(test, page->ram_high, GUEST_RAM - GUEST_LOW);
	KUNIT_EXPECT_NE(test, before, 0);
	KUNIT_ASSERT_EQ(test, guest_start(g, 1), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, page->state, VSVM_PCI_RUNNING);
	KUNIT_EXPECT_NE(test, page->generation, before);
	KUNIT_EXPECT_EQ(test, g->dev[1].bar->shared.magic, VSVM_HW_MAGIC);
	KUNIT_EXPECT_EQ(test, g->dev[0].bar->device.state, VSVM_PCI_READY);
	KUNIT_ASSERT_EQ(test, guest_request(g, 1, VSVM_PCI_OP_OFF, NULL), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, page->state, VSVM_PCI_OFF);
	KUNIT_ASSERT_EQ(test, guest_start(g, 1), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, page->state, VSVM_PCI_RUNNING);
}

static void device_bad_requests(struct kunit *test)
{
	static const u64 arg[][VSVM_PCI_NUM_ARGS] = {
		{ 0 },
		{ GUEST_VRAM + PAGE },
		{ GUEST_VRAM - 1 },
		{ ~0ull },
		{ GUEST_VRAM, VSVM_HW_FAULT_RING + 1 },
		{ GUEST_VRAM, 1ull << 32 },
		{ GUEST_VRAM, 0, VSVM_HW_MAX_COPY_RATE + 1 },
		{ GUEST_VRAM, 0, 0, VSVM_HW_MAX_COPY_NS + 1 },
		{ GUEST_VRAM, 0, 0, 0, 4 },
		{ GUEST_VRAM, 0, 0, 0, 0, VSVM_PCI_MAP_ENTRIES + 1 },
	};
	const u64 none[VSVM_PCI_NUM_ARGS] = { VSVM_HW_NUM_ENGINES };
	struct guest *g = guest_create(test, 1);
	u32 op, generation;
	unsigned int i;

	for (op = VSVM_PCI_OP_ECHO; op <= VSVM_PCI_OP_LINK; op++)
		KUNIT_EXPECT_EQ(test, guest_request(g, 0, op, NULL), VSVM_HW_ERR_CMD);
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	generation = g->dev[0].bar->device.generation;
	for (i = 0; i < ARRAY_SIZE(arg); i++)
		KUNIT_EXPECT_EQ_MSG(test, guest_request(g, 0, VSVM_PCI_OP_RESET, arg[i]),
				    VSVM_HW_ERR_CMD, "arguments %u", i);
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, 0, NULL), VSVM_HW_ERR_CMD);
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, 6, NULL), VSVM_HW_ERR_CMD);
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_LINK, none), VSVM_HW_ERR_CMD);
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_ENGINE_RESET, none),
			VSVM_HW_ERR_CMD);
	/* None of them did anything. */
	KUNIT_EXPECT_EQ(test, g->dev[0].bar->device.state, VSVM_PCI_RUNNING);
	KUNIT_EXPECT_EQ(test, g->dev[0].bar->device.generation, generation);
}

static void device_echo(struct kunit *test)
{
	static const u64 bad[][3] = {
		{ 0x1000, 0xa0000, 1 }, { GUEST_LOW, 0x1000, 1 }, { GUEST_LOW - 8, 0x1000, 2 },
		{ ~7ull, 0x1000, 2 }, { 0x1000, HIGH + GUEST_RAM - GUEST_LOW, 1 },
	};
	struct guest *g = guest_create(test, 1);
	u64 arg[VSVM_PCI_NUM_ARGS] = { 0x3000, HIGH + 0x5000, 512 };
	u64 *from = guest_ram(g, 0x3000), *to = guest_ram(g, HIGH + 0x5000);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	for (i = 0; i < 512; i++)
		from[i] = (i + 1) * 0x123456789abcdefull;
	/* Not what the driver says that is there: it is not asked to write. */
	arg[3] = from[0];
	arg[4] = 1;
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_ECHO, arg), VSVM_HW_ERR_DMA);
	arg[3] = from[0] + 1;
	arg[4] = 0;
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_ECHO, arg), VSVM_HW_ERR_DMA);
	KUNIT_ASSERT_EQ(test, to[0], 0);
	arg[3] = from[0];
	KUNIT_ASSERT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_ECHO, arg), VSVM_HW_OK);
	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_EQ(test, to[i], ~from[i]);
	KUNIT_EXPECT_EQ(test, to[512], 0);
	arg[3] = 0;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(arg, bad[i], sizeof(bad[i]));
		KUNIT_EXPECT_EQ_MSG(test, guest_request(g, 0, VSVM_PCI_OP_ECHO, arg),
				    VSVM_HW_ERR_DMA, "arguments %u", i);
	}
	arg[0] = 0x1001;
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_ECHO, arg), VSVM_HW_ERR_CMD);
}

static void device_copy(struct kunit *test)
{
	static const u64 place[] = { 0x1000, 0x100000, GUEST_LOW - 0x4000, HIGH,
				     HIGH + GUEST_RAM - GUEST_LOW - 0x4000 };
	struct guest *g = guest_create(test, 1);
	const struct vsvm_hw_cmd fill = {
		.op = VSVM_HW_FILL, .dst = 0x4000, .len = 0x4000, .arg = 1ull << 40, .src = 3,
	};
	unsigned int i, k;
	u64 *word;
	u8 *byte;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	for (i = 0; i < ARRAY_SIZE(place); i++) {
		byte = guest_ram(g, place[i]);
		for (k = 0; k < 0x4000; k++)
			byte[k] = k * 7 + i;
		KUNIT_ASSERT_EQ(test, guest_copy_in(g, GUEST_VRAM - 0x4000, place[i], 0x4000),
				VSVM_HW_OK);
		memset(byte, 0, 0x4000);
		KUNIT_ASSERT_EQ(test, guest_copy_out(g, place[i], GUEST_VRAM - 0x4000, 0x4000),
				VSVM_HW_OK);
		for (k = 0; k < 0x4000; k++)
			KUNIT_ASSERT_EQ(test, byte[k], (u8)(k * 7 + i));
	}
	KUNIT_ASSERT_EQ(test, guest_do(g, 0, VSVM_HW_COPY_TO_VRAM, &fill), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_copy_out(g, HIGH, 0x4000, 0x4000), VSVM_HW_OK);
	word = guest_ram(g, HIGH);
	for (k = 0; k < 0x4000 / 8; k++)
		KUNIT_ASSERT_EQ(test, word[k], (1ull << 40) + 3 * k);
	/* VRAM is zeroes again after a reset. */
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_copy_out(g, HIGH, 0x4000, 0x4000), VSVM_HW_OK);
	for (k = 0; k < 0x4000 / 8; k++)
		KUNIT_ASSERT_EQ(test, word[k], 0);
}

static void device_bad_addresses(struct kunit *test)
{
	static const struct {
		u64 addr, len;
	} bad[] = {
		{ 0xa0000, 8 }, { 0x9fff8, 16 }, { 0xffff8, 8 }, { GUEST_LOW, 8 },
		{ GUEST_LOW - 8, 16 }, { HIGH - 8, 8 }, { HIGH + GUEST_RAM - GUEST_LOW, 8 },
		{ HIGH + GUEST_RAM - GUEST_LOW - 8, 16 }, { GUEST_RAM, PAGE },
		{ ~0ull, 8 }, { ~0ull - 7, 16 }, { 1ull << 63, PAGE }, { 0x1000, ~0ull },
	};
	struct guest *g = guest_create(test, 1);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	memset(guest_ram(g, GUEST_LOW - PAGE), 0x11, PAGE);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		const u32 in = guest_copy_in(g, 0, bad[i].addr, bad[i].len);
		const u32 out = guest_copy_out(g, bad[i].addr, 0, bad[i].len);

		KUNIT_EXPECT_TRUE(test, in == VSVM_HW_ERR_DMA || in == VSVM_HW_ERR_VRAM);
		KUNIT_EXPECT_TRUE(test, out == VSVM_HW_ERR_DMA || out == VSVM_HW_ERR_VRAM);
		/* The ring goes on. */
		KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	}
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 0);
}

static void device_master(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	struct vsvm_pci_bar *bar = g->dev[0].bar;
	const u64 arg[VSVM_PCI_NUM_ARGS] = { 0x1000, 0x2000, 1 };

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	WRITE_ONCE(bar->driver.master, 0);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_ECHO, arg), VSVM_HW_ERR_DMA);
	WRITE_ONCE(bar->driver.master, bar->device.generation);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	/* Not what the guest makes of page 0. */
	WRITE_ONCE(bar->driver.master, 77);
	WRITE_ONCE(bar->device.generation, 77);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_ERR_DMA);
}

static void device_live_table(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	const u64 arg[VSVM_PCI_NUM_ARGS] = {
		[VSVM_PCI_ARG_VRAM_SIZE] = GUEST_VRAM, [VSVM_PCI_ARG_MAP_PAGES] = 2,
	};
	u32 *count = guest_ram(g, 0x10000);
	u64 *map = g->dev[0].bar->map;

	map[0] = 0x10000;
	KUNIT_ASSERT_EQ(test, guest_reset(g, 0, arg), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x20000, PAGE), VSVM_HW_ERR_DMA);
	count[0x20] = 1;
	count[0x21] = 2;
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x20000, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x20800, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x20ff8, PAGE + 16), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x21ff8, 16), VSVM_HW_ERR_DMA);
	count[0x20] = 0;
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x20000, PAGE), VSVM_HW_ERR_DMA);
	/* No table of counts for these frames, and past the end of the table. */
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x400000, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, HIGH, PAGE), VSVM_HW_OK);
	/* Tables that are nowhere. */
	map[1] = 0xa0000;
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x400000, PAGE), VSVM_HW_ERR_DMA);
	map[1] = 0x10004;
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x400000, PAGE), VSVM_HW_ERR_DMA);
	map[1] = ~0xfffull;
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x400000, PAGE), VSVM_HW_ERR_DMA);
	KUNIT_EXPECT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x400000, PAGE), VSVM_HW_OK);
}

static void device_engine_reset(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	const u64 slow[VSVM_PCI_NUM_ARGS] = {
		[VSVM_PCI_ARG_VRAM_SIZE] = GUEST_VRAM,
		[VSVM_PCI_ARG_COPY_LATENCY_NS] = 300000000,
	};
	const u64 arg[VSVM_PCI_NUM_ARGS] = { VSVM_HW_COPY_TO_VRAM };
	const struct vsvm_hw_cmd cmd = { .op = VSVM_HW_FILL, .len = PAGE };
	u64 begin;

	KUNIT_ASSERT_EQ(test, guest_reset(g, 0, slow), VSVM_HW_OK);
	begin = now_ms();
	guest_push(g, 0, VSVM_HW_COPY_TO_VRAM, &cmd);
	guest_ring(g, 0, VSVM_HW_COPY_TO_VRAM);
	usleep(100000);
	KUNIT_ASSERT_EQ(test, guest_request(g, 0, VSVM_PCI_OP_ENGINE_RESET, arg), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, g->dev[0].bar->shared.ring[1].tail, 0);
	/* It begins anew, without another doorbell. */
	KUNIT_ASSERT_TRUE(test, guest_wait_tail(g, 0, VSVM_HW_COPY_TO_VRAM, 1));
	KUNIT_EXPECT_GT(test, now_ms() - begin, 390);
}

static u32 copy_from_peer(struct guest *g)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY, .dst = 0, .src = 1ull << VSVM_PTE_PEER_SHIFT, .len = PAGE,
		.flags = VSVM_HW_SRC_APERTURE(VSVM_HW_PEER),
	};

	return guest_do(g, 0, VSVM_HW_COPY_TO_VRAM, &cmd);
}

static void device_link(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	const struct vsvm_hw_cmd fill = { .op = VSVM_HW_FILL, .len = PAGE, .arg = 0x1234 };
	u64 arg[VSVM_PCI_NUM_ARGS] = { 0 };

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, copy_from_peer(g), VSVM_HW_ERR_PEER);
	KUNIT_ASSERT_EQ(test, guest_start(g, 1), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_do(g, 1, VSVM_HW_COPY_TO_VRAM, &fill), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, copy_from_peer(g), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_copy_out(g, 0x1000, 0, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, *(u64 *)guest_ram(g, 0x1000), 0x1234);
	KUNIT_ASSERT_EQ(test, guest_request(g, 1, VSVM_PCI_OP_LINK, arg), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, copy_from_peer(g), VSVM_HW_ERR_PEER);
	arg[0] = 1;
	KUNIT_ASSERT_EQ(test, guest_request(g, 1, VSVM_PCI_OP_LINK, arg), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, copy_from_peer(g), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_request(g, 1, VSVM_PCI_OP_OFF, NULL), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, copy_from_peer(g), VSVM_HW_ERR_PEER);
}

static void write_vram(struct guest *g, u64 addr, u64 value)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_FILL, .dst = addr, .len = 8, .arg = value,
	};

	KUNIT_ASSERT_EQ(g->test, guest_do(g, 0, VSVM_HW_PAGING, &cmd), VSVM_HW_OK);
}

#define VA	0x7f0000000000ull

/* Tables at 0x1000 (root) to 0x4000 of VRAM. */
static void make_tables(struct guest *g, unsigned int queue)
{
	const struct vsvm_hw_cmd root = {
		.op = VSVM_HW_SET_ROOT, .dst = 0x1000, .arg = queue,
	};
	int level;

	for (level = 3; level; level--)
		write_vram(g, (4 - level) * 0x1000 + VSVM_PT_INDEX(VA, level) * 8,
			   (5 - level) * 0x1000 | VSVM_PTE_VALID);
	KUNIT_ASSERT_EQ(g->test, guest_do(g, 0, VSVM_HW_PAGING, &root), VSVM_HW_OK);
}

static void device_compute(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_K_FILL, .dst = VA, .len = PAGE, .arg = 0x5a,
		.flags = VSVM_HW_CMD_IRQ,
	};
	struct vsvm_pci_bar *bar = g->dev[0].bar;
	struct vsvm_hw_ring *ring = &bar->shared.ring[QUEUE(200)];
	u8 *page = guest_ram(g, HIGH + 0x7000);

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	make_tables(g, 200);
	guest_push(g, 0, QUEUE(200), &cmd);
	guest_ring(g, 0, QUEUE(200));
	KUNIT_ASSERT_TRUE(test, guest_wait_irq(g, 0, VSVM_HW_VEC_FAULT, 5000));
	KUNIT_ASSERT_EQ(test, bar->shared.fifo.head, 1);
	KUNIT_EXPECT_EQ(test, bar->shared.fault[0].address, VA);
	KUNIT_EXPECT_EQ(test, bar->shared.fault[0].queue, 200);
	KUNIT_EXPECT_EQ(test, bar->bell[QUEUE(200)], 0);
	KUNIT_EXPECT_EQ(test, ring->stalled, 1);
	write_vram(g, 0x4000, (HIGH + 0x7000) | VSVM_PTE_VALID | VSVM_PTE_WRITE |
		   (u64)VSVM_HW_SYSTEM << VSVM_PTE_APERTURE_SHIFT);
	/* Release: the page table. */
	smp_store_release(&ring->replay, ring->replay + 1);
	guest_ring(g, 0, QUEUE(200));
	KUNIT_ASSERT_TRUE(test, guest_wait_irq(g, 0, VSVM_HW_VEC_COMPUTE, 5000));
	KUNIT_EXPECT_EQ(test, ring->tail, 1);
	KUNIT_EXPECT_EQ(test, guest_slot(g, 0, QUEUE(200), 0)->status, VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, page[0], 0x5a);
	KUNIT_EXPECT_EQ(test, page[PAGE - 1], 0x5a);
}

/* All queues at once. */
static void device_all_queues(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	const struct vsvm_hw_cmd nop = { .op = VSVM_HW_NOP };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++) {
		guest_push(g, 0, QUEUE(i), &nop);
		guest_ring(g, 0, QUEUE(i));
	}
	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++)
		KUNIT_ASSERT_TRUE(test, guest_wait_tail(g, 0, QUEUE(i), 1));
}

static struct kunit_case device_cases[] = {
	KUNIT_CASE(device_handshake),
	KUNIT_CASE(device_bad_requests),
	KUNIT_CASE(device_echo),
	KUNIT_CASE(device_copy),
	KUNIT_CASE(device_bad_addresses),
	KUNIT_CASE(device_master),
	KUNIT_CASE(device_live_table),
	KUNIT_CASE(device_engine_reset),
	KUNIT_CASE(device_link),
	KUNIT_CASE(device_compute),
	KUNIT_CASE(device_all_queues),
	{ }
};

static struct kunit_suite device_suite = {
	.name = "vsvm_device",
	.exit = guest_exit,
	.test_cases = device_cases,
};

kunit_test_suite(device_suite);

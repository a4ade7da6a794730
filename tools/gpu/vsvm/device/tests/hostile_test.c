// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A guest that writes any numbers anywhere, and a device that does. Neither may
 * bring down the other side; SEED=n in the environment repeats a run.
 */
#include <unistd.h>

#include "guest.h"
#include "rng.h"

#define HOSTILE_MS	4000

static void seed(struct kunit *test)
{
	const char *given = getenv("SEED");
	const u64 n = given ? strtoull(given, NULL, 0) : now_ns();

	kunit_info(test, "SEED=%llu\n", n);
	rng_seed(n);
}

/* Addresses that are good for something, more or less. */
static u64 address(void)
{
	switch (rng_below(6)) {
	case 0:
		return rng_below(GUEST_LOW);
	case 1:
		return HIGH + rng_below(GUEST_RAM - GUEST_LOW + PAGE) - 8;
	case 2:
		return rng_below(GUEST_VRAM) & ~7ull;
	case 3:
		return rng_below(4) << VSVM_PTE_PEER_SHIFT | rng_below(GUEST_VRAM);
	case 4:
		return rng_below(16) * PAGE;
	}
	return rng_draw();
}

static void random_command(struct vsvm_hw_cmd *cmd)
{
	static const u32 op[] = { 0, 1, 2, 1, 2, 16, 17, 18, 32, 33, 34, 35, 36, 37, 38, 39 };

	cmd->op = rng_below(50) ? op[rng_below(ARRAY_SIZE(op))] : rng_draw();
	cmd->flags = rng_below(20) ? rng_below(16) | VSVM_HW_CMD_IRQ : rng_draw();
	cmd->dst = address();
	cmd->src = rng_below(3) ? address() : rng_below(4);
	cmd->len = rng_below(10) ? rng_below(3 * PAGE) : rng_draw();
	/* Page-table entries, among other things. */
	cmd->arg = rng_below(2) ? (address() & VSVM_PTE_ADDR_MASK) | rng_below(64) : rng_draw();
}

static void random_ring(struct vsvm_hw_shared *shared)
{
	struct vsvm_hw_ring *ring = &shared->ring[rng_below(8)];
	u32 *word = (u32 *)ring + rng_below(8);

	WRITE_ONCE(*word, rng_below(4) ? READ_ONCE(*word) + rng_below(16) : rng_draw());
}

static void random_request(struct vsvm_pci_driver *page)
{
	unsigned int i;

	for (i = 0; i < VSVM_PCI_NUM_ARGS; i++)
		WRITE_ONCE(page->arg[i], rng_below(2) ? rng_below(8) : address());
	if (!rng_below(4))
		WRITE_ONCE(page->arg[0], GUEST_VRAM / 2);
	WRITE_ONCE(page->op, rng_below(8));
	WRITE_ONCE(page->request, rng_draw());
}

static void be_hostile(struct guest *g)
{
	struct guest_device *dev = &g->dev[rng_below(g->num)];
	struct vsvm_pci_bar *bar = dev->bar;
	unsigned int e = rng_below(10), i;

	switch (rng_below(16)) {
	case 0:
		random_request(&bar->driver);
		break;
	case 1:
		bar->map[rng_below(64)] = rng_below(2) ?
			rng_below(GUEST_RAM) & ~0xfffull : rng_draw();
		break;
	case 2:
		WRITE_ONCE(*((u32 *)bar + rng_below(VSVM_PCI_BAR_SIZE / 4)), rng_draw());
		break;
	case 3:
	case 4:
		random_ring(&bar->shared);
		break;
	case 5:
		WRITE_ONCE(bar->driver.master, bar->device.generation);
		break;
	default:
		/* Where the ring really is: what it says may be a lie by now. */
		for (i = 0; i < 8; i++)
			random_command(&bar->shared.cmd[e < 3 ? e * VSVM_HW_COPY_RING +
					rng_below(64) : 3 * VSVM_HW_COPY_RING +
					(e - 3) * VSVM_HW_QUEUE_RING + rng_below(64)]);
		WRITE_ONCE(bar->shared.ring[e].head,
			   READ_ONCE(bar->shared.ring[e].tail) + rng_below(32));
		WRITE_ONCE(bar->shared.ring[e].cancel, READ_ONCE(bar->shared.ring[e].head));
		WRITE_ONCE(bar->bell[e], 1);
	}
	/* Not RESET: that one is allowed to kill. */
	event_ring(dev->bell[rng_below(VSVM_PCI_BELL_RESET)]);
}

static void hostile_guest(struct kunit *test)
{
	struct guest *g = guest_create(test, 2);
	const u64 end = now_ms() + HOSTILE_MS;
	u64 blows = 0;
	pid_t engine;
	unsigned int i;

	seed(test);
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_ASSERT_EQ(test, guest_start(g, 1), VSVM_HW_OK);
	engine = guest_engine(g);
	while (now_ms() < end) {
		for (i = 0; i < 50; i++, blows++)
			be_hostile(g);
		if (!rng_below(200)) {
			guest_start(g, 0);
			guest_start(g, 1);
		}
	}
	kunit_info(test, "%llu blows\n", blows);
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 0);
	KUNIT_EXPECT_EQ(test, guest_engine(g), engine);
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_out(g, HIGH, 0, PAGE), VSVM_HW_OK);
}

static void hostile_device(struct kunit *test)
{
	struct guest *g = guest_create(test, 1);
	u8 *copy = malloc(GUEST_RAM);
	unsigned int vectors = 0, i;
	u32 before;

	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	before = g->dev[0].bar->device.generation;
	memset(guest_ram(g, 0x1000), 0x77, PAGE);
	memcpy(copy, g->ram.base, GUEST_RAM);
	KUNIT_ASSERT_TRUE(test, guest_ask(g, "hostile 5 500"));
	usleep(100000);
	/* Goes somewhere else. */
	guest_push(g, 0, VSVM_HW_COPY_FROM_VRAM, &(struct vsvm_hw_cmd){
		.op = VSVM_HW_FILL, .dst = 0x1000, .len = PAGE,
		.flags = VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) });
	guest_ring(g, 0, VSVM_HW_COPY_FROM_VRAM);
	usleep(200000);
	for (i = 0; i < VSVM_PCI_NUM_VECTORS; i++)
		vectors += guest_wait_irq(g, 0, i, 0);
	KUNIT_EXPECT_EQ(test, vectors, VSVM_PCI_NUM_VECTORS);
	usleep(400000);
	KUNIT_ASSERT_TRUE(test, guest_wait_state(g, 0, VSVM_PCI_READY, before));
	KUNIT_EXPECT_EQ(test, g->dev[0].bar->device.magic, VSVM_PCI_MAGIC);
	KUNIT_EXPECT_EQ(test, guest_restarts(g), 1);
	KUNIT_EXPECT_MEMEQ(test, copy, g->ram.base, GUEST_RAM);
	KUNIT_ASSERT_EQ(test, guest_start(g, 0), VSVM_HW_OK);
	KUNIT_EXPECT_EQ(test, guest_copy_in(g, 0, 0x1000, PAGE), VSVM_HW_OK);
	free(copy);
}

static struct kunit_case hostile_cases[] = {
	KUNIT_CASE(hostile_guest),
	KUNIT_CASE(hostile_device),
	{ }
};

static struct kunit_suite hostile_suite = {
	.name = "vsvm_device_hostile",
	.exit = guest_exit,
	.test_cases = hostile_cases,
};

kunit_test_suite(hostile_suite);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A device that misbehaves, to test the driver: for some time it writes any
 * numbers into what it is the writer of, raises any interrupts, and then dies.
 * The engines go on in the meantime, but their DMA goes nowhere: what is tested
 * is whether the driver believes a device, not whether DMA can do harm.
 */
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "link.h"
#include "rng.h"

/* About 4000 blows a second for each device. */
#define HOSTILE_PAUSE_NS	250000

/* Numbers that are likely to be believed, and others. */
static u64 number(u64 old)
{
	switch (rng_below(6)) {
	case 0:
		return old + 1;
	case 1:
		return old - 1;
	case 2:
		return rng_below(8);
	case 3:
		return ~0ull;
	case 4:
		return old ^ 1ull << rng_below(64);
	}
	return rng_draw();
}

static void spoil32(u32 *word)
{
	WRITE_ONCE(*word, (u32)number(READ_ONCE(*word)));
}

static void spoil64(__u64 *word)
{
	WRITE_ONCE(*word, number(READ_ONCE(*word)));
}

/* Mostly an engine that is in use. */
static unsigned int any_engine(void)
{
	return rng_below(4) ? rng_below(VSVM_HW_QUEUE0 + 4) : rng_below(VSVM_HW_NUM_ENGINES);
}

static void spoil_ring(struct vsvm_hw_ring *ring)
{
	u32 *word[] = { &ring->tail, &ring->tail, &ring->stalled, &ring->first,
			&ring->size };

	spoil32(word[rng_below(5)]);
}

static void spoil_completion(struct vsvm_hw_shared *shared)
{
	const unsigned int e = any_engine();
	const u32 size = e < VSVM_HW_QUEUE0 ? VSVM_HW_COPY_RING : VSVM_HW_QUEUE_RING;
	const u32 first = e < VSVM_HW_QUEUE0 ? e * VSVM_HW_COPY_RING :
			  VSVM_HW_QUEUE0 * VSVM_HW_COPY_RING +
			  (e - VSVM_HW_QUEUE0) * VSVM_HW_QUEUE_RING;
	/* Near the tail, where the driver looks. */
	const u32 at = READ_ONCE(shared->ring[e].tail) + rng_below(8) - 4;
	struct vsvm_hw_cmd *cmd = &shared->cmd[first + (at & (size - 1))];

	if (!rng_below(3))
		spoil64(&cmd->result);
	else if (rng_below(2))
		spoil32(&cmd->status);
	else
		spoil32(&cmd->generation);
}

static void spoil_faults(struct vsvm_hw_shared *shared)
{
	struct vsvm_hw_fault *f = &shared->fault[rng_below(VSVM_HW_FAULT_RING)];
	u32 *word[] = { &shared->fifo.head, &shared->fifo.head,
			&shared->fifo.overflow, &shared->fifo.size,
			&f->queue, &f->access, &f->generation, &f->index };

	if (rng_below(5))
		spoil32(word[rng_below(8)]);
	else
		spoil64(&f->address);
}

static void spoil_page0(struct vsvm_pci_device *page)
{
	u32 *word[] = { &page->state, &page->generation, &page->caps, &page->link,
			&page->result };
	__u64 *big[] = { &page->vram_size, &page->ram_low, &page->ram_high,
			 &page->family };

	switch (rng_below(16)) {
	case 0:
		spoil32(&page->answer);
		break;
	case 1:
		spoil32(&page->magic);
		break;
	case 2:
		spoil32(&page->version);
		break;
	case 3:
	case 4:
	case 5:
		spoil64(big[rng_below(4)]);
		break;
	default:
		spoil32(word[rng_below(5)]);
	}
}

static void blow(struct vm *vm, unsigned int i)
{
	struct vsvm_pci_bar *bar = vm->device[i].bar;

	switch (rng_below(8)) {
	case 0:
	case 1:
		spoil_ring(&bar->shared.ring[any_engine()]);
		break;
	case 2:
	case 3:
		spoil_completion(&bar->shared);
		break;
	case 4:
		spoil_faults(&bar->shared);
		break;
	case 5:
		spoil_page0(&bar->device);
		break;
	default:
		vm_raise(vm, i, rng_below(VSVM_PCI_NUM_VECTORS));
	}
}

/* Afterwards no engine has a pointer into the guest's RAM. */
static void redirect_dma(void)
{
	u8 *scratch = mmap(NULL, 2 * VSVM_HW_PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (scratch == MAP_FAILED)
		_exit(1);
	link_change_begin();
	WRITE_ONCE(engine.scratch, scratch);
	link_change_end();
}

/**
 * hostile_run - misbehave, then end the process
 * @seed: of the random numbers
 * @ms: how long
 */
void hostile_run(u64 seed, u32 ms)
{
	const struct timespec pause = { .tv_nsec = HOSTILE_PAUSE_NS };
	const u64 end = now_ns() + ms * 1000000ull;
	unsigned int i;

	rng_seed(seed);
	redirect_dma();
	while (now_ns() < end) {
		for (i = 0; i < engine.vm->shape.devices; i++)
			blow(engine.vm, i);
		nanosleep(&pause, NULL);
	}
	_exit(3);
}

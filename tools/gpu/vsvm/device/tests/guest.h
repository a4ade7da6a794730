/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A guest without a virtual machine: the test process has some RAM, is a client
 * of the ivshmem protocol as QEMU is, and does what a driver does. The
 * supervisor is a child of it, and the engines a child of that.
 */
#ifndef _VSVM_DEVICE_GUEST_H_
#define _VSVM_DEVICE_GUEST_H_

#include <kunit/test.h>
#include <sys/types.h>

#include "../vm.h"

#define PAGE		VSVM_HW_PAGE_SIZE
#define GUEST_RAM	(64 * VM_MIB)
#define GUEST_LOW	(32 * VM_MIB)
#define GUEST_VRAM	(8 * VM_MIB)
#define HIGH		RAM_HIGH_BASE
#define QUEUE(n)	(VSVM_HW_QUEUE0 + (n))
/* What waits for an answer gets instead of it. */
#define NO_ANSWER	0xdeadu

struct guest_device {
	struct vsvm_pci_bar *bar;
	int bell[VSVM_PCI_NUM_BELLS];
	int vector[VSVM_PCI_NUM_VECTORS];
	u32 head[VSVM_HW_NUM_ENGINES];
};

struct guest {
	struct kunit *test;
	pid_t supervisor;
	int control;
	int sock[VM_MAX_DEVICES];	/* of the greetings */
	struct ram ram;
	unsigned int num;
	struct guest_device dev[VM_MAX_DEVICES];
	char reply[512];
};

struct guest *guest_create(struct kunit *test, unsigned int devices);
void guest_exit(struct kunit *test);	/* for suites */

void *guest_ram(struct guest *g, u64 addr);
bool guest_wait_state(struct guest *g, unsigned int d, u32 state, u32 not_generation);
u32 guest_request(struct guest *g, unsigned int d, u32 op, const u64 *arg);
u32 guest_start(struct guest *g, unsigned int d);	/* RESET, with defaults */
u32 guest_reset(struct guest *g, unsigned int d, const u64 *arg);

void guest_push(struct guest *g, unsigned int d, unsigned int engine,
		const struct vsvm_hw_cmd *cmd);
void guest_ring(struct guest *g, unsigned int d, unsigned int engine);
struct vsvm_hw_cmd *guest_slot(struct guest *g, unsigned int d, unsigned int engine,
			       u32 index);
bool guest_wait_tail(struct guest *g, unsigned int d, unsigned int engine, u32 tail);
u32 guest_do(struct guest *g, unsigned int d, unsigned int engine,
	     const struct vsvm_hw_cmd *cmd);
u32 guest_copy_in(struct guest *g, u64 vram, u64 addr, u64 len);
u32 guest_copy_out(struct guest *g, u64 addr, u64 vram, u64 len);
bool guest_wait_irq(struct guest *g, unsigned int d, unsigned int vector, int ms);

/* A line to the supervisor. Returns whether the answer is "ok". */
bool guest_ask(struct guest *g, const char *line);
pid_t guest_engine(struct guest *g);
unsigned int guest_restarts(struct guest *g);

static inline u64 now_ms(void)
{
	return now_ns() / 1000000;
}

#endif /* _VSVM_DEVICE_GUEST_H_ */

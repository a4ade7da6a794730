/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The virtual GPU as a function on PCI, whose engines and VRAM are in a process
 * outside the virtual machine: what is in its BARs. The function is QEMU's
 * ivshmem-doorbell, which gives it
 *
 *	BAR 0	a doorbell register, and nothing else of interest
 *	BAR 2	memory that driver and process share: struct vsvm_pci_bar
 *	MSI-X	interrupts, each an eventfd that the process writes
 *
 * and the process has all of the guest's RAM mapped, which it reaches by the
 * guest's physical addresses: these are the DMA addresses.
 *
 * The ids of the function are ivshmem's. That it is a GPU shows in the magic
 * number. A BAR that reads as zeroes has fallen off the bus.
 *
 *	driver                               device
 *	page 1: request number, operation
 *	doorbell CONTROL ------------------> does it
 *	                                     page 0: result, answer number
 *	<----------------------------------- interrupt CONTROL
 *
 * Doorbells may get lost while the function is being plugged in: who waits for
 * an answer rings again. Either side takes what the other one writes for any
 * number at all.
 */
#ifndef _VSVM_HW_PCI_H_
#define _VSVM_HW_PCI_H_

#ifdef __KERNEL__
#include <linux/build_bug.h>
#else
#include <assert.h>
#endif

#include "vsvm_hw_abi.h"

/* QEMU's ivshmem, by the ids of Red Hat. */
#define VSVM_PCI_VENDOR		0x1af4
#define VSVM_PCI_DEVICE		0x1110

#define VSVM_PCI_MAGIC		0x43505356u	/* "VSPC" */
#define VSVM_PCI_VERSION	1

/* Of BAR 0: the process is peer 0 of the function. */
#define VSVM_PCI_DOORBELL	12
#define VSVM_PCI_RING(bell)	((0u << 16) | (bell))

/* What a write to the doorbell register says. */
enum vsvm_pci_bell {
	VSVM_PCI_BELL_PAGING = VSVM_HW_PAGING,
	VSVM_PCI_BELL_TO_VRAM = VSVM_HW_COPY_TO_VRAM,
	VSVM_PCI_BELL_FROM_VRAM = VSVM_HW_COPY_FROM_VRAM,
	VSVM_PCI_BELL_COMPUTE,		/* look at vsvm_pci_bar.bell */
	VSVM_PCI_BELL_CONTROL,		/* look at the request */
	VSVM_PCI_BELL_RESET,		/* the engines do not answer: replace them */
	VSVM_PCI_NUM_BELLS,
};

/* Interrupts: those of enum vsvm_hw_vector, and one for state and answers. */
#define VSVM_PCI_VEC_CONTROL	VSVM_HW_NUM_VECTORS
#define VSVM_PCI_NUM_VECTORS	(VSVM_HW_NUM_VECTORS + 1)

enum vsvm_pci_state {
	VSVM_PCI_OFF = 0,		/* no engines, or they were switched off */
	VSVM_PCI_READY = 1,		/* engines that wait for a RESET */
	VSVM_PCI_RUNNING = 2,
	VSVM_PCI_DEAD = 3,		/* the engines and all VRAM are gone */
};

/* Stores of the device are not seen by the CPUs' instruction fetch. */
#define VSVM_PCI_CAP_STALE_CODE	0x1u

enum vsvm_pci_op {
	/*
	 * Stop everything, forget everything, and lay out the rings anew with
	 * what arg[] says (enum vsvm_pci_reset_arg). VRAM is zeroed or poisoned.
	 * The answer comes with another generation, and state RUNNING.
	 */
	VSVM_PCI_OP_RESET = 1,
	/* Stop everything. After the answer no memory is touched. State OFF. */
	VSVM_PCI_OP_OFF = 2,
	/*
	 * u64 at DMA address arg[1] = ~(u64 at DMA address arg[0]), arg[2] words.
	 * But first: the first word from there must be arg[3], and the first word
	 * that is to be written arg[4]. Else ERR_DMA, and nothing is written:
	 * it would be somebody else's memory.
	 */
	VSVM_PCI_OP_ECHO = 3,
	/* Stop engine arg[0], drop what it did, go on with its ring as it is */
	VSVM_PCI_OP_ENGINE_RESET = 4,
	/* Plug the link in (arg[0] is 1) or pull it out (0) */
	VSVM_PCI_OP_LINK = 5,
};

enum vsvm_pci_reset_arg {
	VSVM_PCI_ARG_VRAM_SIZE = 0,	/* at most vsvm_pci_device.vram_size */
	VSVM_PCI_ARG_FAULT_ENTRIES,
	VSVM_PCI_ARG_COPY_BYTES_PER_S,
	VSVM_PCI_ARG_COPY_LATENCY_NS,
	VSVM_PCI_ARG_FLAGS,		/* VSVM_PCI_RESET_* */
	VSVM_PCI_ARG_MAP_PAGES,		/* entries of vsvm_pci_bar.map, or 0 */
	VSVM_PCI_NUM_ARGS,
};

#define VSVM_PCI_RESET_SANITIZE	0x1ull	/* poison free VRAM, and refuse it */
#define VSVM_PCI_RESET_LINK	0x2ull	/* the link is plugged in */

/* Page 0, which the device writes. */
struct vsvm_pci_device {
	__u32 magic;
	__u32 version;
	__u32 state;		/* enum vsvm_pci_state */
	__u32 generation;	/* another one after each RESET and each death */
	__u64 vram_size;	/* bytes that there are */
	__u32 caps;		/* VSVM_PCI_CAP_* */
	__u32 link;		/* number on the link */
	__u64 ram_low;		/* RAM that the process knows: [0, ram_low) */
	__u64 ram_high;		/* ... and [4 GiB, 4 GiB + ram_high) */
	__u32 answer;		/* number of the last request that was done */
	__u32 result;		/* its enum vsvm_hw_status */
	__u64 family;		/* not 0: the same for all that the link reaches */
	__u8 pad[4096 - 64];
};

/* Page 1, which the driver writes. */
struct vsvm_pci_driver {
	__u32 request;		/* another number: do @op, then answer */
	__u32 op;		/* enum vsvm_pci_op */
	__u64 arg[VSVM_PCI_NUM_ARGS];
	/*
	 * The generation that may do DMA; any other number: none. It stands in
	 * for the bus-master bit, which is not visible to the process.
	 */
	__u32 master;
	__u32 pad32;
	__u8 pad[4096 - 64];
};

/*
 * The table of live mappings, in debug mode: a number of mappings (__u32) for
 * each page of RAM, by page frame number, in pages of the guest's own memory. A
 * page that has 0 is not to be touched. Entry i of map[] is the address of the
 * page that has the numbers of 1024 page frames from 1024 * i on; an entry of 0,
 * and what is past the last entry, is not counted: it may be touched.
 */
#define VSVM_PCI_MAP_COUNTS	1024
#define VSVM_PCI_MAP_ENTRIES	0x40000

#define VSVM_PCI_SHARED_OFFSET	0x10000
#define VSVM_PCI_MAP_OFFSET	0x200000

/* BAR 2. Each page has one writer, but for @bell and @shared. */
struct vsvm_pci_bar {
	struct vsvm_pci_device device;
	struct vsvm_pci_driver driver;
	/* Driver: set to 1 before COMPUTE rings. Device: back to 0, then look. */
	__u8 bell[4096];
	__u8 pad1[VSVM_PCI_SHARED_OFFSET - 3 * 4096];
	struct vsvm_hw_shared shared;
	__u8 pad2[VSVM_PCI_MAP_OFFSET - VSVM_PCI_SHARED_OFFSET -
		  sizeof(struct vsvm_hw_shared)];
	__u64 map[VSVM_PCI_MAP_ENTRIES];
};

#define VSVM_PCI_BAR_SIZE	0x400000

static_assert(sizeof(struct vsvm_pci_device) == 4096, "page 0");
static_assert(sizeof(struct vsvm_pci_driver) == 4096, "page 1");
static_assert(sizeof(struct vsvm_pci_bar) == VSVM_PCI_BAR_SIZE, "BAR 2");
static_assert(VSVM_HW_NUM_ENGINES <= 4096, "bells");

#endif /* _VSVM_HW_PCI_H_ */

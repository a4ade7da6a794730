/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the supervisor and the engine process share: the guest's RAM, the BARs
 * and eventfds of the devices, and a board.
 *
 *   supervisor ── fork ──> engine process, of all devices of the machine
 *        `------- board, order_fd, note_fd -------'
 *
 * The guest can write every byte of a BAR. What must be right is on the board,
 * which only these two processes see, and which outlives an engine.
 */
#ifndef _VSVM_DEVICE_VM_H_
#define _VSVM_DEVICE_VM_H_

#include "vsvm_hw.h"
#include "vsvm_hw_pci.h"
#include "ram.h"

#define VM_MAX_DEVICES	8
#define VM_MIB		0x100000ull

/* What was asked for. */
struct vm_shape {
	unsigned int devices;
	u64 vram;		/* bytes, of each device */
	bool quirk;		/* report VSVM_PCI_CAP_STALE_CODE */
	bool verbose;
	bool keep_on_reset;	/* --no-stop-on-reset */
};

struct vm_device {
	int bar_fd;
	struct vsvm_pci_bar *bar;
	int bell[VSVM_PCI_NUM_BELLS];
	int vector[VSVM_PCI_NUM_VECTORS];
};

/* Written by whichever of the two processes is in charge of the device. */
struct vm_board_device {
	u32 state;
	u32 generation;
	u32 answer;
	u32 result;
	u32 off_wanted;		/* order: this generation was unplugged; 0: none */
};

struct vm_board {
	struct vm_board_device device[VM_MAX_DEVICES];
	u32 num_off;		/* OFF requests that were answered */
	u32 hostile_ms;		/* order: misbehave for so long, then die */
	u32 hostile_seed;
	u32 hold;		/* order: stop at the next DMA of engine hold - 1 */
	u64 held;		/* the address at which that was */
};

struct vm {
	struct vm_shape shape;
	struct ram ram;
	u64 family;		/* tells its devices from those of another process */
	struct vm_device device[VM_MAX_DEVICES];
	struct vm_board *board;	/* shared memory */
	int order_fd;		/* supervisor to engine: look at the board */
	int note_fd;		/* engine to supervisor: num_off changed */
};

int vm_create(struct vm *vm, const struct vm_shape *shape, const struct ram *ram);
void vm_destroy(struct vm *vm);
void vm_publish(struct vm *vm, unsigned int i);
void vm_enter_state(struct vm *vm, unsigned int i, u32 state);
void vm_raise(struct vm *vm, unsigned int i, unsigned int vector);
void vm_forget_guest(struct vm *vm);

/* eventfds */
void event_ring(int fd);
bool event_take(int fd);

u64 now_ns(void);
__printf(1, 2)
void complain(const char *fmt, ...);

#endif /* _VSVM_DEVICE_VM_H_ */

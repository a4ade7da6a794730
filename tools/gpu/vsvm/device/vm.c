// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Makes what vm.h describes, and keeps page 0 of the BARs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

/* One line, by one write: three processes share stderr. */
void complain(const char *fmt, ...)
{
	char line[512];
	va_list args;
	int len, n;

	len = snprintf(line, sizeof(line), "vsvm-device: ");
	va_start(args, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
	va_end(args);
	if (n > 0)
		len += n;
	len = min(len, (int)sizeof(line) - 2);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* One that is full has been rung already. */
void event_ring(int fd)
{
	const u64 one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

bool event_take(int fd)
{
	u64 count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

static int make_events(int *fd, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++) {
		fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fd[i] < 0)
			return -1;
	}
	return 0;
}

static int make_device(struct vm_device *d)
{
	d->bar_fd = memfd_create("vsvm-bar", MFD_CLOEXEC);
	if (d->bar_fd < 0 || ftruncate(d->bar_fd, VSVM_PCI_BAR_SIZE))
		return -1;
	d->bar = mmap(NULL, VSVM_PCI_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      d->bar_fd, 0);
	if (d->bar == MAP_FAILED)
		return -1;
	if (make_events(d->bell, VSVM_PCI_NUM_BELLS))
		return -1;
	return make_events(d->vector, VSVM_PCI_NUM_VECTORS);
}

/**
 * vm_create - memory, BARs and eventfds of a machine
 * @vm: gets them
 * @shape: what it is to be like
 * @ram: its RAM, mapped
 *
 * Return: 0, or -1 and errno; the process is expected to end then.
 */
int vm_create(struct vm *vm, const struct vm_shape *shape, const struct ram *ram)
{
	unsigned int i;

	memset(vm, 0, sizeof(*vm));
	vm->shape = *shape;
	vm->ram = *ram;
	/* Not 0, and nobody else's. */
	if (getrandom(&vm->family, sizeof(vm->family), 0) != sizeof(vm->family))
		return -1;
	vm->family |= 1;
	vm->board = mmap(NULL, sizeof(*vm->board), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vm->board == MAP_FAILED)
		return -1;
	if (make_events(&vm->order_fd, 1) || make_events(&vm->note_fd, 1))
		return -1;
	for (i = 0; i < shape->devices; i++) {
		if (make_device(&vm->device[i]))
			return -1;
		vm_publish(vm, i);
	}
	return 0;
}

static void close_all(const int *fd, unsigned int num)
{
	while (num--)
		close(fd[num]);
}

/* RAM stays: it is the caller's. */
void vm_destroy(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->shape.devices; i++) {
		struct vm_device *d = &vm->device[i];

		munmap(d->bar, VSVM_PCI_BAR_SIZE);
		close(d->bar_fd);
		close_all(d->bell, VSVM_PCI_NUM_BELLS);
		close_all(d->vector, VSVM_PCI_NUM_VECTORS);
	}
	close(vm->order_fd);
	close(vm->note_fd);
	munmap(vm->board, sizeof(*vm->board));
}

/**
 * vm_publish - write page 0 of a device from what is on the board
 * @vm: the machine
 * @i: the device
 *
 * All of it each time: the guest may have written there.
 */
void vm_publish(struct vm *vm, unsigned int i)
{
	const struct vm_board_device *b = &vm->board->device[i];
	struct vsvm_pci_device *page = &vm->device[i].bar->device;

	WRITE_ONCE(page->magic, VSVM_PCI_MAGIC);
	WRITE_ONCE(page->version, VSVM_PCI_VERSION);
	WRITE_ONCE(page->vram_size, vm->shape.vram);
	WRITE_ONCE(page->caps, vm->shape.quirk ? VSVM_PCI_CAP_STALE_CODE : 0);
	WRITE_ONCE(page->link, i);
	WRITE_ONCE(page->family, vm->family);
	WRITE_ONCE(page->ram_low, vm->ram.low);
	WRITE_ONCE(page->ram_high, vm->ram.size - vm->ram.low);
	WRITE_ONCE(page->generation, b->generation);
	/* Release: who sees the state finds the generation that goes with it. */
	smp_store_release(&page->state, b->state);
	WRITE_ONCE(page->result, b->result);
	/* Release: who sees the answer finds all that was done for it. */
	smp_store_release(&page->answer, b->answer);
}

/* With another generation. 0 is none: it is what a driver page starts with. */
void vm_enter_state(struct vm *vm, unsigned int i, u32 state)
{
	struct vm_board_device *b = &vm->board->device[i];

	b->state = state;
	if (!++b->generation)
		b->generation = 1;
	vm_publish(vm, i);
}

void vm_raise(struct vm *vm, unsigned int i, unsigned int vector)
{
	event_ring(vm->device[i].vector[vector]);
}

/*
 * The machine was reset: so are the registers. There must be no engine. What a
 * new guest finds is a device that nobody has talked to, but for the generation.
 */
void vm_forget_guest(struct vm *vm)
{
	unsigned int i, k;

	for (i = 0; i < vm->shape.devices; i++) {
		struct vm_device *d = &vm->device[i];

		memset(&d->bar->driver, 0, VSVM_PCI_BAR_SIZE - sizeof(d->bar->device));
		vm->board->device[i].answer = 0;
		vm->board->device[i].result = 0;
		vm->board->device[i].off_wanted = 0;
		for (k = 0; k < VSVM_PCI_NUM_BELLS; k++)
			event_take(d->bell[k]);
	}
}

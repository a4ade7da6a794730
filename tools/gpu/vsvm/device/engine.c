// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The engine process: all engines of all devices of one machine, forked by the
 * supervisor. It sleeps unless there is something to do, or was a moment ago.
 *
 *   doorbell eventfd ──> thread of the engine ──> vsvm_hw_run ──> interrupt eventfd
 *   doorbell CONTROL ──> control thread ──> control.c
 *   supervisor's order ──> main thread
 *
 * It may end at any moment: the supervisor takes it from there.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine.h"

#define ENGINE_STACK	(256u << 10)
/* Sleeps of the copy model are of microseconds. */
#define ENGINE_SLACK_NS	1000ul

struct engine engine;

/**
 * engine_thread - start a thread that lasts as long as the process
 * @fn: what it does
 * @arg: with what
 *
 * Return: 0 or an errno.
 */
int engine_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, ENGINE_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return err;
}

/* For a doorbell. QEMU makes the eventfds non-blocking, so read() would not do. */
void engine_wait(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	do
		poll(&p, 1, -1);
	while (!event_take(fd));
}

static void *control_main(void *arg)
{
	struct engine_device *dev = arg;

	for (;;) {
		engine_wait(dev->vm->device[dev->index].bell[VSVM_PCI_BELL_CONTROL]);
		control_serve(dev);
	}
	return NULL;
}

static int device_start(struct engine_device *dev, struct vm *vm, unsigned int i)
{
	int err;

	dev->vm = vm;
	dev->index = i;
	dev->bar = vm->device[i].bar;
	pthread_mutex_init(&dev->control, NULL);
	dev->vram = mmap(NULL, vm->shape.vram, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (dev->vram == MAP_FAILED)
		return errno;
	madvise(dev->vram, vm->shape.vram, MADV_HUGEPAGE);
	madvise(dev->vram, vm->shape.vram, MADV_DONTDUMP);
	err = workers_start(dev);
	if (err)
		return err;
	vm_enter_state(vm, i, VSVM_PCI_READY);
	dev->generation = vm->board->device[i].generation;
	/* The last: from here on the state is that thread's. */
	return engine_thread(control_main, dev);
}

static void obey(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->shape.devices; i++) {
		u32 *wanted = &vm->board->device[i].off_wanted;
		const u32 generation = __atomic_exchange_n(wanted, 0, __ATOMIC_SEQ_CST);

		if (generation)
			control_power_off(&engine.device[i], generation);
	}
	if (READ_ONCE(vm->board->hostile_ms)) {
		const u32 ms = READ_ONCE(vm->board->hostile_ms);

		WRITE_ONCE(vm->board->hostile_ms, 0);
		hostile_run(vm->board->hostile_seed, ms);
	}
}

/**
 * engine_main - what the engine process does
 * @vm: the machine
 *
 * To be called right after fork(), in a process with one thread.
 */
void engine_main(struct vm *vm)
{
	unsigned int i;
	int err;

	prctl(PR_SET_NAME, "vsvm-engine");
	prctl(PR_SET_TIMERSLACK, ENGINE_SLACK_NS);
	engine.vm = vm;
	err = pool_start();
	for (i = 0; i < vm->shape.devices && !err; i++)
		err = device_start(&engine.device[i], vm, i);
	if (err) {
		complain("engines cannot start: %s", strerror(err));
		_exit(1);
	}
	for (i = 0; i < vm->shape.devices; i++)
		vm_raise(vm, i, VSVM_PCI_VEC_CONTROL);
	for (;;) {
		engine_wait(vm->order_fd);
		obey(vm);
	}
}

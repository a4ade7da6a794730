/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The engine process: what the files of it share.
 *
 * Locks, outermost first: device.control, worker.lock, link. A worker's lock is
 * held over a run of the hardware; who closes device.open, stops the hardware
 * and has then had each worker's lock once knows that there are no runs. The
 * pool's lock (worker.c) is taken with none of these held but device.control,
 * and none is taken under it.
 */
#ifndef _VSVM_DEVICE_ENGINE_H_
#define _VSVM_DEVICE_ENGINE_H_

#include <pthread.h>

#include "vm.h"

struct engine_device;

/* What runs one engine of the hardware. */
struct worker {
	struct engine_device *dev;
	unsigned int engine;
	pthread_mutex_t lock;
	/* Compute queues only, covered by the pool's lock: */
	bool wanted;		/* shall run */
	bool running;
	struct worker *next;	/* of those that wait for their turn */
};

struct engine_device {
	struct vm *vm;
	unsigned int index;
	struct vsvm_pci_bar *bar;
	pthread_mutex_t control;	/* covers requests and orders */
	bool open;		/* runs may begin */
	/* Change while there are no runs: */
	u8 *vram;
	u32 generation;
	u64 map_entries;
	/* Change with the link's lock held for writing as well: */
	struct vsvm_hw *hw;
	bool linked;
	struct worker worker[VSVM_HW_NUM_ENGINES];
};

struct engine {
	struct vm *vm;
	u8 *scratch;		/* stands in for all of RAM while hostile, or NULL */
	struct engine_device device[VM_MAX_DEVICES];
};

extern struct engine engine;

/* engine.c */
__noreturn void engine_main(struct vm *vm);
int engine_thread(void *(*fn)(void *arg), void *arg);
void engine_wait(int fd);

/* worker.c */
int pool_start(void);
int workers_start(struct engine_device *dev);
void workers_halt(struct engine_device *dev);
void worker_kick(struct worker *w);
/* What the calling thread runs; all compute queues are VSVM_HW_QUEUE0. */
extern __thread unsigned int worker_engine;

/* host.c */
extern const struct vsvm_hw_host engine_host;
void *engine_dma(void *priv, u64 addr, u64 *len);

/* control.c */
void control_serve(struct engine_device *dev);
void control_power_off(struct engine_device *dev, u32 generation);

/* hostile.c */
__noreturn void hostile_run(u64 seed, u32 ms);

#endif /* _VSVM_DEVICE_ENGINE_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The supervisor: one thread, which holds what must outlive an engine.
 */
#ifndef _VSVM_DEVICE_SUPERVISOR_H_
#define _VSVM_DEVICE_SUPERVISOR_H_

#include <sys/types.h>

#include "qmp.h"
#include "vm.h"

/* More deaths than this in that time: something is wrong for good. */
#define SUPERVISOR_DEATHS	10
#define SUPERVISOR_DEATHS_NS	10000000000ull
#define SUPERVISOR_LINE		256

struct supervisor {
	struct vm *vm;
	/* Processes; 0 is none. */
	pid_t engine;
	pid_t qemu;
	int status;		/* QEMU's, when it has ended */
	bool stopped;		/* the engine, by SIGSTOP */
	bool done;
	unsigned int restarts;
	unsigned int deaths;	/* that nobody asked for */
	u64 death[SUPERVISOR_DEATHS];
	u64 reset_due;		/* when to look at requests, ns; 0: no need to */
	bool reset_asked[VM_MAX_DEVICES];	/* whose driver wants that */
	u64 kill_due;		/* when to end QEMU by force, ns; 0: it has time */
	/* Descriptors; -1 is none. */
	int signal_fd;
	int control_fd;		/* of the guest, for tests */
	int peer[VM_MAX_DEVICES];
	int listener[VM_MAX_DEVICES];
	unsigned int next_id;
	bool plugged[VM_MAX_DEVICES];
	/* QEMU */
	struct qmp qmp;
	bool no_reboot;
	bool root_ports;
	/* Tests */
	u32 freeze_ms;		/* now, for so long */
	u32 freeze_at_ms;	/* when the engine has stopped by itself */
	bool quiet_next;
	u32 num_off;		/* of the board, as last seen */
	char quiet[96];
	char line[SUPERVISOR_LINE];
	size_t line_len;
};

/* supervisor.c */
int supervisor_init(struct supervisor *s, struct vm *vm);
int supervisor_run(struct supervisor *s);
int supervisor_connect(struct supervisor *s, unsigned int i, int sock);
void supervisor_reap(struct supervisor *s);
void supervisor_drop_peer(struct supervisor *s, unsigned int i);
pid_t supervisor_fork(void);

/* lifecycle.c */
void engine_begin(struct supervisor *s);
void engine_kill(struct supervisor *s);
void engine_replace(struct supervisor *s);
void engine_reap(struct supervisor *s, int status);
void engine_reset_bell(struct supervisor *s, unsigned int i);
void engine_reset_look(struct supervisor *s);

/* machine.c */
void machine_events(struct supervisor *s);
void machine_cut_off(struct supervisor *s, unsigned int i);
const char *machine_unplug(struct supervisor *s, unsigned int i);
const char *machine_plug(struct supervisor *s, unsigned int i);
void machine_off_noted(struct supervisor *s);
bool machine_pause_check(struct supervisor *s);

/* stale.c */
void stale_handlers_drop(struct supervisor *s);

/* guestctl.c */
void guestctl_read(struct supervisor *s);
void guestctl_freeze(struct supervisor *s);

#endif /* _VSVM_DEVICE_SUPERVISOR_H_ */

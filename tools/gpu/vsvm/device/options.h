/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the command line says, ours and QEMU's, and whether it can be done.
 * Whatever is wrong is said in one line, before anything is started.
 */
#ifndef _VSVM_DEVICE_OPTIONS_H_
#define _VSVM_DEVICE_OPTIONS_H_

#include "vm.h"

#define OPTIONS_EXIT	2

struct options {
	struct vm_shape shape;
	u64 ram;
	u64 ram_low;		/* 0: as the machine has it */
	bool private_ram;
	bool hotplug;
	bool guest_control;
	const char *serve;	/* directory, or NULL: launch */
	/* QEMU's */
	char **qemu;		/* command and arguments, ends with NULL */
	bool pc;		/* else q35 */
	bool no_reboot;
};

__printf(1, 2) __noreturn
void give_up(const char *fmt, ...);

/* options.c */
void options_parse(struct options *o, int argc, char **argv);
bool parse_size(const char *text, u64 *size, const char **end);

/* qemu_args.c */
void qemu_args_parse(struct options *o);

/* check.c */
void check_qemu(const char *command);
void check_sizes(struct options *o);
void check_memory(const struct options *o);

/* launch.c, serve.c */
int launch(const struct options *o);
int serve(const struct options *o);
int make_ram(struct ram *ram, int fd, const struct options *o);

#endif /* _VSVM_DEVICE_OPTIONS_H_ */

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Our own options.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "options.h"

static const char usage[] =
"vsvm-device [options] -- QEMU-COMMAND ARGS...      start QEMU with virtual GPUs\n"
"vsvm-device [options] --serve DIR --ram SIZE       serve a QEMU started elsewhere\n"
"  --devices N       1 to 8, default 1\n"
"  --vram MIB        of each device, even, default 256\n"
"  --hotplug         behind a PCIe root port each, so that they can be unplugged\n"
"  --verbose\n"
"for tests:\n"
"  --ram-low MIB     RAM below 4 GiB, if not what the machine has\n"
"  --private-ram     QEMU does not share its RAM\n"
"  --guest-control   serial port \"vsvm-control\", by which the guest can do harm\n"
"  --no-quirk        do not say that stores are not seen by instruction fetch\n";

enum option_id {
	OPT_DEVICES = 256,
	OPT_VRAM,
	OPT_RAM_LOW,
	OPT_PRIVATE_RAM,
	OPT_HOTPLUG,
	OPT_GUEST_CONTROL,
	OPT_NO_QUIRK,
	OPT_VERBOSE,
	OPT_SERVE,
	OPT_RAM,
	OPT_NO_STOP,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "devices", required_argument, NULL, OPT_DEVICES },
	{ "vram", required_argument, NULL, OPT_VRAM },
	{ "ram-low", required_argument, NULL, OPT_RAM_LOW },
	{ "private-ram", no_argument, NULL, OPT_PRIVATE_RAM },
	{ "hotplug", no_argument, NULL, OPT_HOTPLUG },
	{ "guest-control", no_argument, NULL, OPT_GUEST_CONTROL },
	{ "no-quirk", no_argument, NULL, OPT_NO_QUIRK },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "serve", required_argument, NULL, OPT_SERVE },
	{ "ram", required_argument, NULL, OPT_RAM },
	{ "no-stop-on-reset", no_argument, NULL, OPT_NO_STOP },
	{ "help", no_argument, NULL, OPT_HELP },
	{ }
};

/* The one line. */
void give_up(const char *fmt, ...)
{
	char line[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	complain("%s", line);
	exit(OPTIONS_EXIT);
}

/**
 * parse_size - a size as QEMU takes it for RAM: MiB unless there is a suffix
 * @text: the text
 * @size: gets it, in bytes
 * @end: gets where the text goes on
 *
 * Return: false if there is no such size.
 */
bool parse_size(const char *text, u64 *size, const char **end)
{
	unsigned int shift = 20;
	char *rest;
	u64 number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &rest, 10);
	if (errno)
		return false;
	switch (*rest | 0x20) {
	case 'k':
		shift = 10;
		break;
	case 'm':
		break;
	case 'g':
		shift = 30;
		break;
	case 't':
		shift = 40;
		break;
	default:
		rest--;
	}
	if (number > ~0ull >> shift)
		return false;
	*size = number << shift;
	*end = rest + 1;
	return true;
}

static u64 number_of(const char *name, const char *text)
{
	char *end;
	u64 number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9')
		give_up("--%s %s: not a number", name, text);
	return number;
}

static u64 mib_of(const char *name, const char *text)
{
	const u64 mib = number_of(name, text);

	if (mib > ~0ull / VM_MIB)
		give_up("--%s %s: too large", name, text);
	return mib * VM_MIB;
}

static void set_devices(struct options *o)
{
	const u64 num = number_of("devices", optarg);

	if (!num || num > VM_MAX_DEVICES)
		give_up("--devices %s: must be 1 to %d", optarg, VM_MAX_DEVICES);
	o->shape.devices = num;
}

static void set_ram(struct options *o)
{
	const char *end;

	if (!parse_size(optarg, &o->ram, &end) || *end)
		give_up("--ram %s: not a size", optarg);
}

static void set_flag(struct options *o, int id)
{
	switch (id) {
	case OPT_PRIVATE_RAM:
		o->private_ram = true;
		break;
	case OPT_HOTPLUG:
		o->hotplug = true;
		break;
	case OPT_GUEST_CONTROL:
		o->guest_control = true;
		break;
	case OPT_NO_QUIRK:
		o->shape.quirk = false;
		break;
	case OPT_VERBOSE:
		o->shape.verbose = true;
		break;
	case OPT_NO_STOP:
		o->shape.keep_on_reset = true;
		break;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(0);
	}
}

static void set_option(struct options *o, int id)
{
	switch (id) {
	case OPT_DEVICES:
		set_devices(o);
		break;
	case OPT_VRAM:
		o->shape.vram = mib_of("vram", optarg);
		break;
	case OPT_RAM_LOW:
		o->ram_low = mib_of("ram-low", optarg);
		if (!o->ram_low)
			give_up("--ram-low 0: must not be 0");
		break;
	case OPT_SERVE:
		o->serve = optarg;
		break;
	case OPT_RAM:
		set_ram(o);
		break;
	default:
		set_flag(o, id);
	}
}

/**
 * options_parse - what is wanted
 * @o: gets it
 * @argc: as of main()
 * @argv: as of main()
 *
 * Ends the process if the line makes no sense.
 */
void options_parse(struct options *o, int argc, char **argv)
{
	int id;

	*o = (struct options){
		.shape = { .devices = 1, .vram = 256 * VM_MIB, .quirk = true },
	};
	opterr = 0;
	for (;;) {
		const char *at = argv[optind];

		id = getopt_long(argc, argv, "+", long_options, NULL);
		if (id == -1)
			break;
		if (id == '?')
			give_up("%s: unknown option, or without its argument; see --help", at);
		set_option(o, id);
	}
	o->qemu = argv + optind;
	if (o->serve && *o->qemu)
		give_up("%s: --serve starts no command", *o->qemu);
	if (o->serve && !o->ram)
		give_up("--serve needs --ram");
	if (!o->serve && o->ram)
		give_up("--ram is for --serve: otherwise QEMU's -m says it");
	if (!o->serve && !*o->qemu)
		give_up("the QEMU command is missing; see --help");
}

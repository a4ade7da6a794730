// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What QEMU's arguments say about RAM and machine: the device must know where
 * RAM is, or its DMA goes to the wrong place without anybody noticing.
 */
#include "options.h"

static const char *option_name(const char *arg)
{
	if (arg[0] != '-')
		return "";
	return arg + (arg[1] == '-' ? 2 : 1);
}

static bool is_option(const char *arg, const char *name)
{
	return !strcmp(option_name(arg), name);
}

/* The value of @key in a list "a=b,c=d", whose first key may be left out. */
static const char *value_of(const char *list, const char *key, bool first, size_t *len)
{
	const size_t key_len = strlen(key);

	for (; ; list++) {
		const size_t item = strcspn(list, ",");
		const size_t name = strcspn(list, ",=");

		if (name == item && first) {
			*len = item;
			return list;
		}
		if (name < item && name == key_len && !strncmp(list, key, name)) {
			*len = item - name - 1;
			return list + name + 1;
		}
		first = false;
		list += item;
		if (!*list)
			return NULL;
	}
}

static void parse_memory(struct options *o, const char *list)
{
	const char *value, *end;
	size_t len;

	value = value_of(list, "size", true, &len);
	if (!value || !parse_size(value, &o->ram, &end) || end != value + len)
		give_up("QEMU's -m %s: cannot tell the size of RAM", list);
}

static bool starts(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && !strncmp(text, with, strlen(with));
}

static bool is(const char *text, size_t len, const char *what)
{
	return len == strlen(what) && starts(text, len, what);
}

static void parse_machine(struct options *o, const char *list)
{
	const char *type, *other;
	size_t len, other_len;

	other = value_of(list, "memory-backend", false, &other_len);
	if (other)
		give_up("QEMU's -machine %s: the memory backend must be left to us", list);
	other = value_of(list, "max-ram-below-4g", false, &other_len);
	if (other && !o->ram_low)
		give_up("QEMU's -machine %s: needs --ram-low as well", list);
	type = value_of(list, "type", true, &len);
	if (!type)
		return;
	if (is(type, len, "q35") || starts(type, len, "pc-q35-"))
		o->pc = false;
	else if (is(type, len, "pc") || starts(type, len, "pc-i440fx-"))
		o->pc = true;
	else
		give_up("machine %.*s: must be q35 or pc", (int)len, type);
}

/**
 * qemu_args_parse - look for what matters here
 * @o: has the command, gets the rest
 */
void qemu_args_parse(struct options *o)
{
	char **arg;

	o->pc = true;
	for (arg = o->qemu + 1; o->qemu[0] && *arg; arg++) {
		if (is_option(*arg, "no-reboot"))
			o->no_reboot = true;
		if (is_option(*arg, "daemonize"))
			give_up("QEMU's -daemonize: its end would not be noticed");
		if (!arg[1])
			break;
		if (is_option(*arg, "m"))
			parse_memory(o, *++arg);
		else if (is_option(*arg, "machine") || is_option(*arg, "M"))
			parse_machine(o, *++arg);
		else if (is_option(*arg, "append") || is_option(*arg, "name"))
			arg++;	/* anything */
	}
	if (!o->ram)
		give_up("QEMU's arguments have no -m: cannot tell the size of RAM");
}

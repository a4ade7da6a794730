// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the process has to do with the rest of the virtual machine, by QEMU's
 * monitor: resets, its end, and functions that are plugged in and out.
 *
 * A reset must not be missed: engines that go on would write into a new guest.
 * So QEMU is told (-action) to pause instead, and does the reset when the old
 * engines are no more:
 *
 *   guest resets ──> QEMU pauses ──> engines replaced ──> real reset ──> goes on
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quiet.h"
#include "supervisor.h"

static bool check_quiet(struct supervisor *s)
{
	bool ok;

	s->quiet_next = false;
	ok = quiet_check(&s->vm->ram, s->quiet, sizeof(s->quiet));
	complain("%s", s->quiet);
	return ok;
}

/* The machine is paused, and is to end. */
static void end_machine(struct supervisor *s)
{
	engine_replace(s);
	if (s->quiet_next)
		check_quiet(s);
	qmp_command(&s->qmp, "quit", "%s", "");
}

static int really_reset(struct supervisor *s)
{
	return qmp_command(&s->qmp, "set-action", "\"reboot\": \"reset\"") ?:
	       qmp_command(&s->qmp, "system_reset", "%s", "") ?:
	       (qmp_wait_event(&s->qmp, "RESET") ? 0 : -1) ?:
	       qmp_command(&s->qmp, "set-action", "\"reboot\": \"shutdown\"") ?:
	       qmp_command(&s->qmp, "cont", "%s", "");
}

/* The guest has asked for a reset, and the machine is paused. */
static void reset_machine(struct supervisor *s)
{
	char *echo;

	if (s->no_reboot) {
		end_machine(s);
		return;
	}
	if (!s->vm->shape.keep_on_reset)
		engine_replace(s);
	if (s->quiet_next)
		check_quiet(s);
	if (s->vm->shape.keep_on_reset)
		engine_replace(s);
	if (s->vm->shape.verbose)
		complain("machine reset");
	if (really_reset(s)) {
		complain("cannot reset the machine: %s", s->qmp.error);
		qmp_command(&s->qmp, "quit", "%s", "");
	}
	/* It was ours. */
	echo = qmp_take_event(&s->qmp, "RESET");
	free(echo);
}

static void on_shutdown(struct supervisor *s, const char *line)
{
	char reason[64] = "";

	qmp_field(line, "reason", reason, sizeof(reason));
	if (!strcmp(reason, "guest-reset") || !strcmp(reason, "host-qmp-system-reset"))
		reset_machine(s);
	else if (strcmp(reason, "host-qmp-quit") && strcmp(reason, "host-signal"))
		end_machine(s);
}

/**
 * machine_cut_off - a function is no more: neither may be its DMA
 * @s: the supervisor
 * @i: the device
 *
 * Its driver has no way left to take the permission back, so we do. Engines
 * that sleep or are stopped find that when they go on.
 */
void machine_cut_off(struct supervisor *s, unsigned int i)
{
	struct vm_board_device *b = &s->vm->board->device[i];

	WRITE_ONCE(s->vm->device[i].bar->driver.master, 0);
	WRITE_ONCE(b->off_wanted, READ_ONCE(b->generation));
	event_ring(s->vm->order_fd);
}

static void on_deleted(struct supervisor *s, const char *line)
{
	unsigned long i;
	char name[32];
	char *end;

	if (!qmp_field(line, "device", name, sizeof(name)) || strncmp(name, "gpu", 3))
		return;
	i = strtoul(name + 3, &end, 10);
	if (end == name + 3 || *end || i >= s->vm->shape.devices)
		return;
	machine_cut_off(s, i);
	qmp_command(&s->qmp, "chardev-remove", "\"id\": \"vsvm-c%lu\"", i);
	stale_handlers_drop(s);
	supervisor_drop_peer(s, i);
}

/* Look at what QEMU has told of late. */
void machine_events(struct supervisor *s)
{
	char name[64], *line;

	while ((line = qmp_take_event(&s->qmp, NULL))) {
		if (!qmp_field(line, "event", name, sizeof(name)))
			name[0] = 0;
		if (!strcmp(name, "SHUTDOWN"))
			on_shutdown(s, line);
		else if (!strcmp(name, "RESET"))
			engine_replace(s);
		else if (!strcmp(name, "DEVICE_DELETED"))
			on_deleted(s, line);
		free(line);
	}
}

/**
 * machine_unplug - ask the guest to let go of a function
 * @s: the supervisor
 * @i: the device
 *
 * Return: NULL, or why not.
 */
const char *machine_unplug(struct supervisor *s, unsigned int i)
{
	if (!s->plugged[i])
		return "not plugged in";
	return qmp_command(&s->qmp, "device_del", "\"id\": \"gpu%u\"", i) ?
	       s->qmp.error : NULL;
}

static int add_chardev(struct supervisor *s, unsigned int i, int fd)
{
	char name[32], data[128];

	snprintf(name, sizeof(name), "vsvm-f%u", i);
	snprintf(data, sizeof(data),
		 "\"addr\": {\"type\": \"fd\", \"data\": {\"str\": \"%s\"}}, \"server\": false",
		 name);
	return qmp_send_fd(&s->qmp, name, fd) ?:
	       qmp_command(&s->qmp, "chardev-add",
			   "\"id\": \"vsvm-c%u\", \"backend\": {\"type\": \"socket\", \"data\": {%s}}",
			   i, data);
}

static int add_device(struct supervisor *s, unsigned int i)
{
	char bus[32] = "";

	if (s->root_ports)
		snprintf(bus, sizeof(bus), ", \"bus\": \"rp%u\"", i);
	return qmp_command(&s->qmp, "device_add",
			   "\"driver\": \"ivshmem-doorbell\", \"id\": \"gpu%u\", \"chardev\": \"vsvm-c%u\", \"vectors\": %u%s",
			   i, i, VSVM_PCI_NUM_VECTORS, bus);
}

/**
 * machine_plug - plug a function in again
 * @s: the supervisor
 * @i: the device
 *
 * Return: NULL, or why not.
 */
const char *machine_plug(struct supervisor *s, unsigned int i)
{
	static char why[256];
	int pair[2], err;

	if (s->plugged[i])
		return "plugged in already";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return "no socket";
	/* Before QEMU needs it: it waits for that with everything stopped. */
	if (supervisor_connect(s, i, pair[0])) {
		close(pair[1]);
		supervisor_drop_peer(s, i);
		return "no greeting";
	}
	err = add_chardev(s, i, pair[1]);
	close(pair[1]);
	if (!err)
		err = add_device(s, i);
	if (!err)
		return NULL;
	/* Before the next command has a say. */
	snprintf(why, sizeof(why), "%s", s->qmp.error);
	qmp_command(&s->qmp, "chardev-remove", "\"id\": \"vsvm-c%u\"", i);
	supervisor_drop_peer(s, i);
	return why;
}

/**
 * machine_pause_check - pause, look whether RAM is quiet, and go on
 * @s: the supervisor
 *
 * Return: true if it was.
 */
bool machine_pause_check(struct supervisor *s)
{
	bool ok;

	if (s->qmp.fd >= 0 && qmp_command(&s->qmp, "stop", "%s", "")) {
		snprintf(s->quiet, sizeof(s->quiet), "quiet: FAILED, cannot pause");
		return false;
	}
	ok = check_quiet(s);
	if (s->qmp.fd >= 0)
		qmp_command(&s->qmp, "cont", "%s", "");
	return ok;
}

/* An engine process says that it has answered OFF. */
void machine_off_noted(struct supervisor *s)
{
	const u32 num = READ_ONCE(s->vm->board->num_off);
	unsigned int i;

	if (num == s->num_off)
		return;
	s->num_off = num;
	if (!s->quiet_next)
		return;
	/* Others that run may write. */
	for (i = 0; i < s->vm->shape.devices; i++)
		if (READ_ONCE(s->vm->board->device[i].state) == VSVM_PCI_RUNNING)
			return;
	machine_pause_check(s);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * For tests: the guest asks, by a line of text on a serial port of its own, for
 * what can go wrong with a device. Each line is answered by one.
 *
 *   kill   stop   cont                    the engine process
 *   freeze MS                             that and the supervisor: nobody answers
 *   freeze-at ENGINE MS                   the same, once that engine is about to do
 *                                         DMA; 3 is any compute queue
 *   held                                  at which address it was
 *   unplug I   plug I                     the function gpuI
 *   hostile SEED MS                       see hostile.c
 *   quiet-next   pause-check   status     see machine.c
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor.h"

#define REPLY_SIZE	384

struct command {
	const char *name;
	void (*run)(struct supervisor *s, const char *args, char *reply);
};

static void say(char *reply, const char *why)
{
	if (why)
		snprintf(reply, REPLY_SIZE, "error %s", why);
	else
		snprintf(reply, REPLY_SIZE, "ok");
}

static void run_kill(struct supervisor *s, const char *args, char *reply)
{
	(void)args;
	if (!s->engine) {
		say(reply, "no engines");
		return;
	}
	engine_kill(s);
	say(reply, s->engine ? NULL : "they stay dead");
}

static void run_stop(struct supervisor *s, const char *args, char *reply)
{
	int status = 0;

	(void)args;
	/* Somebody else may have stopped them, or let them go on. */
	supervisor_reap(s);
	if (!s->engine || s->stopped) {
		say(reply, "no engines that run");
		return;
	}
	kill(s->engine, SIGSTOP);
	waitpid(s->engine, &status, WUNTRACED);
	if (WIFSTOPPED(status))
		s->stopped = true;
	else
		engine_reap(s, status);
	say(reply, s->stopped ? NULL : "they died");
}

static void run_cont(struct supervisor *s, const char *args, char *reply)
{
	(void)args;
	if (!s->engine) {
		say(reply, "no engines");
		return;
	}
	kill(s->engine, SIGCONT);
	s->stopped = false;
	say(reply, NULL);
}

/* Not before the answer was sent. */
static void run_freeze(struct supervisor *s, const char *args, char *reply)
{
	const unsigned long ms = strtoul(args, NULL, 10);

	if (!ms || ms > 600000)
		say(reply, "freeze MS");
	else
		run_stop(s, "", reply);
	if (!strcmp(reply, "ok"))
		s->freeze_ms = ms;
}

static void run_freeze_at(struct supervisor *s, const char *args, char *reply)
{
	unsigned int n, ms;

	if (sscanf(args, "%u %u", &n, &ms) != 2 || n > VSVM_HW_QUEUE0 || !ms || ms > 600000) {
		say(reply, "freeze-at ENGINE MS");
		return;
	}
	s->freeze_at_ms = ms;
	WRITE_ONCE(s->vm->board->hold, n + 1);
	say(reply, NULL);
}

static void run_held(struct supervisor *s, const char *args, char *reply)
{
	(void)args;
	snprintf(reply, REPLY_SIZE, "ok %#llx", (unsigned long long)s->vm->board->held);
}

static void freeze(struct supervisor *s)
{
	const struct timespec ts = {
		.tv_sec = s->freeze_ms / 1000,
		.tv_nsec = s->freeze_ms % 1000 * 1000000l,
	};
	char reply[REPLY_SIZE];

	s->freeze_ms = 0;
	nanosleep(&ts, NULL);
	run_cont(s, "", reply);
}

/* The engine stopped where it was asked to: nobody answers from now on. */
void guestctl_freeze(struct supervisor *s)
{
	s->freeze_ms = s->freeze_at_ms;
	s->freeze_at_ms = 0;
	freeze(s);
}

static void with_device(struct supervisor *s, const char *args, char *reply,
			const char *(*fn)(struct supervisor *s, unsigned int i))
{
	char *end;
	const unsigned long i = strtoul(args, &end, 10);

	if (end == args || *end || i >= s->vm->shape.devices)
		say(reply, "no such device");
	else
		say(reply, fn(s, i));
}

static void run_unplug(struct supervisor *s, const char *args, char *reply)
{
	with_device(s, args, reply, machine_unplug);
}

static void run_plug(struct supervisor *s, const char *args, char *reply)
{
	with_device(s, args, reply, machine_plug);
}

static void run_hostile(struct supervisor *s, const char *args, char *reply)
{
	unsigned int seed, ms;

	if (sscanf(args, "%u %u", &seed, &ms) != 2 || !ms || ms > 600000) {
		say(reply, "hostile SEED MS");
		return;
	}
	if (!s->engine) {
		say(reply, "no engines");
		return;
	}
	s->vm->board->hostile_seed = seed;
	WRITE_ONCE(s->vm->board->hostile_ms, ms);
	event_ring(s->vm->order_fd);
	say(reply, NULL);
}

static void run_quiet_next(struct supervisor *s, const char *args, char *reply)
{
	(void)args;
	s->quiet_next = true;
	s->num_off = READ_ONCE(s->vm->board->num_off);
	say(reply, NULL);
}

static void run_pause_check(struct supervisor *s, const char *args, char *reply)
{
	bool ok;

	(void)args;
	ok = machine_pause_check(s);
	snprintf(reply, REPLY_SIZE, "%s %s", ok ? "ok" : "error", s->quiet);
}

static void run_status(struct supervisor *s, const char *args, char *reply)
{
	char plugged[4 * VM_MAX_DEVICES] = "";
	unsigned int i, len = 0;

	(void)args;
	for (i = 0; i < s->vm->shape.devices; i++)
		if (s->plugged[i])
			len += snprintf(plugged + len, sizeof(plugged) - len, "%s%u",
					len ? "," : "", i);
	snprintf(reply, REPLY_SIZE, "ok engines=%d restarts=%u plugged=%s quiet=%s",
		 s->engine > 0, s->restarts, plugged, s->quiet);
}

static const struct command commands[] = {
	{ "kill", run_kill },
	{ "stop", run_stop },
	{ "cont", run_cont },
	{ "freeze", run_freeze },
	{ "freeze-at", run_freeze_at },
	{ "held", run_held },
	{ "unplug", run_unplug },
	{ "plug", run_plug },
	{ "hostile", run_hostile },
	{ "quiet-next", run_quiet_next },
	{ "pause-check", run_pause_check },
	{ "status", run_status },
	{ }
};

static void obey_line(struct supervisor *s, const char *line)
{
	const size_t len = strcspn(line, " ");
	char reply[REPLY_SIZE + 1];
	unsigned int i;

	say(reply, "unknown command");
	for (i = 0; commands[i].name; i++) {
		if (strlen(commands[i].name) != len || strncmp(line, commands[i].name, len))
			continue;
		commands[i].run(s, line + len, reply);
		break;
	}
	if (s->vm->shape.verbose)
		complain("guest: %s -> %s", line, reply);
	i = strlen(reply);
	reply[i++] = '\n';
	/* Who does not read gets none. */
	if (send(s->control_fd, reply, i, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
	if (s->freeze_ms)
		freeze(s);
}

/* Take what has come, and do the lines that are complete. */
void guestctl_read(struct supervisor *s)
{
	ssize_t n, i;
	char buf[SUPERVISOR_LINE];

	n = recv(s->control_fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(s->control_fd);
		s->control_fd = -1;
		return;
	}
	for (i = 0; i < n; i++) {
		if (buf[i] == '\r')
			continue;
		if (buf[i] != '\n') {
			if (s->line_len < sizeof(s->line) - 1)
				s->line[s->line_len++] = buf[i];
			else
				s->line[0] = '?';	/* too long: unknown */
			continue;
		}
		s->line[s->line_len] = 0;
		s->line_len = 0;
		if (s->line[0])
			obey_line(s, s->line);
	}
}

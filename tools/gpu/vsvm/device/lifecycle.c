// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Life and death of the engine process, and what the guest sees of it:
 *
 *   begin ─> READY ─ RESET ─> RUNNING ─ killed ─> DEAD ─> begin
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "supervisor.h"

/* From the doorbell RESET to a look at whether requests are answered. */
#define RESET_PATIENCE_NS	100000000ull

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* In the engine process: what others would take for a sign of life of ours. */
static void close_sockets(struct supervisor *s)
{
	unsigned int i;

	close_if(s->signal_fd);
	close_if(s->control_fd);
	close_if(s->qmp.fd);
	for (i = 0; i < VM_MAX_DEVICES; i++) {
		close_if(s->peer[i]);
		close_if(s->listener[i]);
	}
}

/* Fork a fresh engine process. */
void engine_begin(struct supervisor *s)
{
	s->stopped = false;
	s->engine = supervisor_fork();
	if (!s->engine) {
		close_sockets(s);
		engine_main(s->vm);
	}
	if (s->engine < 0) {
		complain("no engine process: %s", strerror(errno));
		s->engine = 0;
	}
}

static void announce_death(struct supervisor *s, bool tell)
{
	unsigned int i;

	for (i = 0; i < s->vm->shape.devices; i++) {
		s->vm->board->device[i].off_wanted = 0;
		vm_enter_state(s->vm, i, VSVM_PCI_DEAD);
		if (tell)
			vm_raise(s->vm, i, VSVM_PCI_VEC_CONTROL);
	}
	/* What it was told to do, it was told, not its successor. */
	s->vm->board->hostile_ms = 0;
	s->vm->board->hold = 0;
	s->freeze_at_ms = 0;
}

/* Have there been too many lately, this one counted? */
static bool too_many_deaths(struct supervisor *s)
{
	const u64 now = now_ns();
	u64 *oldest = &s->death[s->deaths++ % SUPERVISOR_DEATHS];
	const bool many = *oldest && now - *oldest < SUPERVISOR_DEATHS_NS;

	*oldest = now;
	return many;
}

static void say_why(struct supervisor *s, int status)
{
	const bool crash = WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL :
						 WEXITSTATUS(status) != 3;

	if (!crash && !s->vm->shape.verbose)
		return;
	if (WIFSIGNALED(status))
		complain("engines died of signal %d", WTERMSIG(status));
	else
		complain("engines ended with status %d", WEXITSTATUS(status));
}

/* @asked: it was to end, which is no reason to give up. */
static void engine_succeed(struct supervisor *s, int status, bool asked)
{
	s->engine = 0;
	say_why(s, status);
	announce_death(s, true);
	s->restarts++;
	if (!asked && too_many_deaths(s)) {
		complain("engines died more than %d times in %llu s, they stay dead",
			 SUPERVISOR_DEATHS, SUPERVISOR_DEATHS_NS / 1000000000);
		return;
	}
	engine_begin(s);
}

/**
 * engine_reap - the engine process has ended: tell the guest, begin a new one
 * @s: the supervisor
 * @status: as of waitpid()
 */
void engine_reap(struct supervisor *s, int status)
{
	engine_succeed(s, status, false);
}

static bool end_engine(struct supervisor *s, int *status)
{
	if (!s->engine)
		return false;
	kill(s->engine, SIGKILL);
	while (waitpid(s->engine, status, 0) < 0 && errno == EINTR)
		;
	return true;
}

/* To the guest it is as if it had died by itself. */
void engine_kill(struct supervisor *s)
{
	int status;

	if (end_engine(s, &status))
		engine_succeed(s, status, true);
}

/**
 * engine_replace - a new guest needs a new device
 * @s: the supervisor; the virtual machine is paused or was just reset
 *
 * No write of the old engines comes after this, and nothing is left of what the
 * old guest told them.
 */
void engine_replace(struct supervisor *s)
{
	int status;

	end_engine(s, &status);
	s->engine = 0;
	s->reset_due = 0;
	memset(s->reset_asked, 0, sizeof(s->reset_asked));
	memset(s->death, 0, sizeof(s->death));
	s->deaths = 0;
	vm_forget_guest(s->vm);
	announce_death(s, false);
	engine_begin(s);
}

/* A driver says that device @i does not answer. */
void engine_reset_bell(struct supervisor *s, unsigned int i)
{
	event_take(s->vm->device[i].bell[VSVM_PCI_BELL_RESET]);
	if (s->stopped) {
		engine_kill(s);
		return;
	}
	s->reset_asked[i] = true;
	if (!s->reset_due)
		s->reset_due = now_ns() + RESET_PATIENCE_NS;
}

static bool is_unanswered(const struct supervisor *s, unsigned int i)
{
	const struct vsvm_pci_driver *page = &s->vm->device[i].bar->driver;

	/* Nobody waits for what an unplugged one was asked for. */
	return s->plugged[i] &&
	       READ_ONCE(page->request) != READ_ONCE(s->vm->board->device[i].answer);
}

/* Is it true of one whose driver said so? */
void engine_reset_look(struct supervisor *s)
{
	bool dead = false;
	unsigned int i;

	s->reset_due = 0;
	for (i = 0; i < s->vm->shape.devices; i++) {
		dead |= s->reset_asked[i] && is_unanswered(s, i);
		s->reset_asked[i] = false;
	}
	if (dead)
		engine_kill(s);
}

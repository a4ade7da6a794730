// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The supervisor's loop. It is out of the way of commands and copies: what it
 * waits for are deaths, the doorbell RESET, QEMU's events and clients that come
 * and go.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem.h"
#include "supervisor.h"

/* QEMU's time to end by itself. */
#define SUPERVISOR_GRACE_NS	5000000000ull
#define SUPERVISOR_FDS		(4 + 3 * VM_MAX_DEVICES)

struct source {
	void (*ready)(struct supervisor *s, unsigned int i);
	unsigned int i;
};

struct sources {
	struct pollfd fd[SUPERVISOR_FDS];
	struct source source[SUPERVISOR_FDS];
	unsigned int num;
};

/**
 * supervisor_fork - fork a child that does not outlive this process
 *
 * Return: as fork().
 */
pid_t supervisor_fork(void)
{
	const pid_t parent = getpid();
	const pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

/**
 * supervisor_init - get ready, before there are any children
 * @s: gets ready
 * @vm: the machine
 *
 * Blocks the signals that it wants to hear of. A child that executes another
 * program has to unblock them.
 *
 * Return: 0, or -1 and errno.
 */
int supervisor_init(struct supervisor *s, struct vm *vm)
{
	unsigned int i;
	sigset_t set;

	memset(s, 0, sizeof(*s));
	s->vm = vm;
	s->control_fd = -1;
	s->next_id = 1;
	snprintf(s->quiet, sizeof(s->quiet), "none");
	for (i = 0; i < VM_MAX_DEVICES; i++) {
		s->peer[i] = -1;
		s->listener[i] = -1;
	}
	qmp_open(&s->qmp, -1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Who started us may ignore it: nothing would be left to wait for. */
	signal(SIGCHLD, SIG_DFL);
	/* Messages that nobody reads any more are no reason to end the machine. */
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -1 : 0;
}

/**
 * supervisor_connect - a client of a device
 * @s: the supervisor
 * @i: the device
 * @sock: connection to it, from now on the supervisor's
 *
 * Return: 0, or -1 and errno.
 */
int supervisor_connect(struct supervisor *s, unsigned int i, int sock)
{
	s->peer[i] = sock;
	s->plugged[i] = true;
	if (s->next_id > 0xffff)
		s->next_id = 1;
	return ivshmem_greet(sock, &s->vm->device[i], s->next_id++);
}

void supervisor_drop_peer(struct supervisor *s, unsigned int i)
{
	if (s->peer[i] >= 0)
		close(s->peer[i]);
	s->peer[i] = -1;
	s->plugged[i] = false;
}

/* Take note of what has become of the children by now. */
void supervisor_reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		const bool ended = WIFEXITED(status) || WIFSIGNALED(status);

		if (pid == s->qemu && ended) {
			s->status = status;
			s->qemu = 0;
			s->done = true;
		} else if (pid == s->engine && ended) {
			engine_reap(s, status);
		} else if (pid == s->engine) {
			s->stopped = WIFSTOPPED(status);
		}
	}
}

static void on_signal(struct supervisor *s, unsigned int i)
{
	struct signalfd_siginfo info;

	(void)i;
	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		supervisor_reap(s);
		if (s->stopped && s->freeze_at_ms)
			guestctl_freeze(s);
	} else if (s->qemu) {
		kill(s->qemu, info.ssi_signo);
		if (!s->kill_due)
			s->kill_due = now_ns() + SUPERVISOR_GRACE_NS;
	} else {
		s->done = true;
	}
}

static void on_reset_bell(struct supervisor *s, unsigned int i)
{
	engine_reset_bell(s, i);
}

static void on_note(struct supervisor *s, unsigned int i)
{
	(void)i;
	event_take(s->vm->note_fd);
	machine_off_noted(s);
}

static void on_qmp(struct supervisor *s, unsigned int i)
{
	(void)i;
	qmp_pump(&s->qmp);
}

static void on_guest(struct supervisor *s, unsigned int i)
{
	(void)i;
	guestctl_read(s);
}

/* Clients have nothing to say. */
static void on_peer(struct supervisor *s, unsigned int i)
{
	bool others = false;
	char byte;

	if (recv(s->peer[i], &byte, 1, MSG_DONTWAIT) > 0)
		return;
	machine_cut_off(s, i);
	supervisor_drop_peer(s, i);
	/* The last of a machine that somebody else started: it has ended. */
	for (i = 0; i < s->vm->shape.devices; i++)
		others |= s->peer[i] >= 0;
	if (!others && s->qmp.fd < 0 && !s->qemu)
		engine_replace(s);
}

static void on_client(struct supervisor *s, unsigned int i)
{
	const int sock = accept4(s->listener[i], NULL, NULL, SOCK_CLOEXEC);

	if (sock < 0)
		return;
	if (s->peer[i] >= 0) {
		complain("device %u has a client, another one was refused", i);
		close(sock);
	} else if (supervisor_connect(s, i, sock)) {
		supervisor_drop_peer(s, i);
	}
}

static void add(struct sources *set, int fd,
		void (*ready)(struct supervisor *s, unsigned int i), unsigned int i)
{
	if (fd < 0)
		return;
	set->fd[set->num] = (struct pollfd){ .fd = fd, .events = POLLIN };
	set->source[set->num++] = (struct source){ .ready = ready, .i = i };
}

static void gather(struct supervisor *s, struct sources *set)
{
	unsigned int i;

	set->num = 0;
	add(set, s->signal_fd, on_signal, 0);
	add(set, s->vm->note_fd, on_note, 0);
	add(set, s->qmp.fd, on_qmp, 0);
	add(set, s->control_fd, on_guest, 0);
	for (i = 0; i < s->vm->shape.devices; i++) {
		add(set, s->vm->device[i].bell[VSVM_PCI_BELL_RESET], on_reset_bell, i);
		add(set, s->peer[i], on_peer, i);
		add(set, s->listener[i], on_client, i);
	}
}

static int wait_ms(u64 due, int ms)
{
	const u64 now = now_ns();
	u64 left;

	if (!due)
		return ms;
	left = due > now ? (due - now) / 1000000 + 1 : 0;
	return ms < 0 || left < (u64)ms ? (int)left : ms;
}

static void look_at_clock(struct supervisor *s)
{
	const u64 now = now_ns();

	if (s->reset_due && now >= s->reset_due)
		engine_reset_look(s);
	if (s->kill_due && now >= s->kill_due && s->qemu) {
		s->kill_due = 0;
		kill(s->qemu, SIGKILL);
	}
}

/**
 * supervisor_run - serve until the machine has ended
 * @s: the supervisor, initialized, with QEMU started if it is to start it
 *
 * Return: how QEMU ended, as of waitpid(); 0 if there was none. No children
 * are left.
 */
int supervisor_run(struct supervisor *s)
{
	unsigned int i, turn = 0;
	struct sources set;

	engine_begin(s);
	while (!s->done) {
		gather(s, &set);
		if (poll(set.fd, set.num, wait_ms(s->kill_due, wait_ms(s->reset_due, -1))) < 0 &&
		    errno != EINTR)
			break;
		/*
		 * One at a time: what is done for it may close the others. Each
		 * in turn: a guest may ring its doorbells without end.
		 */
		for (i = 0; i < set.num; i++) {
			turn = (turn + 1) % set.num;
			if (!set.fd[turn].revents)
				continue;
			set.source[turn].ready(s, set.source[turn].i);
			break;
		}
		look_at_clock(s);
		machine_events(s);
	}
	if (s->engine) {
		kill(s->engine, SIGKILL);
		waitpid(s->engine, NULL, 0);
	}
	qmp_close(&s->qmp);
	return s->status;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Starts QEMU. All that it shares with us it inherits as open descriptors, so
 * there are no names for others to find, and none to clean up.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options.h"
#include "supervisor.h"

#define MAX_INHERITED	(3 + VM_MAX_DEVICES)
/* Away from the numbers that people give to root ports of their own. */
#define ROOT_PORT_CHASSIS	200

struct command {
	char **argv;
	unsigned int argc;
	unsigned int first;	/* of the arguments that are ours */
	int inherited[MAX_INHERITED];
	unsigned int num_inherited;
};

__printf(2, 3)
static void add_arg(struct command *c, const char *fmt, ...)
{
	va_list args;

	/* One more for the NULL at the end. */
	c->argv = reallocarray(c->argv, c->argc + 2, sizeof(c->argv[0]));
	va_start(args, fmt);
	if (!c->argv || vasprintf(&c->argv[c->argc++], fmt, args) < 0)
		give_up("out of memory");
	va_end(args);
	c->argv[c->argc] = NULL;
}

static int inherit(struct command *c, int fd)
{
	c->inherited[c->num_inherited++] = fd;
	return fd;
}

/* Returns our end of a connection, whose other end QEMU has as chardev @id. */
static int add_socket(struct command *c, const char *id)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		give_up("no socket: %s", strerror(errno));
	add_arg(c, "-chardev");
	add_arg(c, "socket,fd=%d,id=%s", inherit(c, pair[1]), id);
	return pair[0];
}

static void add_ram(struct command *c, const struct options *o, int fd)
{
	add_arg(c, "-object");
	add_arg(c, "memory-backend-file,id=vsvm-ram,size=%lluM,share=%s,mem-path=/proc/self/fd/%d",
		o->ram / VM_MIB, o->private_ram ? "off" : "on", inherit(c, fd));
	add_arg(c, "-machine");
	add_arg(c, "memory-backend=vsvm-ram");
}

static void add_device(struct command *c, struct supervisor *s, unsigned int i)
{
	char id[32], bus[32] = "";
	int sock;

	snprintf(id, sizeof(id), "vsvm-c%u", i);
	sock = add_socket(c, id);
	if (s->root_ports) {
		add_arg(c, "-device");
		add_arg(c, "pcie-root-port,id=rp%u,chassis=%u,slot=%u,bus=pcie.0", i,
			ROOT_PORT_CHASSIS + i, ROOT_PORT_CHASSIS + i);
		snprintf(bus, sizeof(bus), ",bus=rp%u", i);
	}
	add_arg(c, "-device");
	add_arg(c, "ivshmem-doorbell,chardev=%s,vectors=%u,id=gpu%u%s", id,
		VSVM_PCI_NUM_VECTORS, i, bus);
	if (supervisor_connect(s, i, sock))
		give_up("no greeting: %s", strerror(errno));
}

static void add_guest_control(struct command *c, struct supervisor *s)
{
	s->control_fd = add_socket(c, "vsvm-ctl");
	add_arg(c, "-device");
	add_arg(c, "virtio-serial-pci,id=vsvm-serial");
	add_arg(c, "-device");
	add_arg(c, "virtserialport,bus=vsvm-serial.0,chardev=vsvm-ctl,name=vsvm-control");
}

static void make_command(struct command *c, struct supervisor *s,
			 const struct options *o)
{
	unsigned int i;

	while (o->qemu[c->argc])
		c->argc++;
	c->first = c->argc;
	c->argv = calloc(c->argc, sizeof(c->argv[0]));
	if (!c->argv)
		give_up("out of memory");
	memcpy(c->argv, o->qemu, c->argc * sizeof(c->argv[0]));
	add_ram(c, o, s->vm->ram.fd);
	for (i = 0; i < o->shape.devices; i++)
		add_device(c, s, i);
	if (o->guest_control)
		add_guest_control(c, s);
	qmp_open(&s->qmp, add_socket(c, "vsvm-qmp"));
	add_arg(c, "-mon");
	add_arg(c, "chardev=vsvm-qmp,mode=control");
	add_arg(c, "-action");
	add_arg(c, "reboot=shutdown,shutdown=pause");
}

static __noreturn void execute(struct command *c)
{
	sigset_t none;

	while (c->num_inherited)
		fcntl(c->inherited[--c->num_inherited], F_SETFD, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(c->argv[0], c->argv);
	complain("QEMU command %s: %s", c->argv[0], strerror(errno));
	_exit(127);
}

static void free_command(struct command *c)
{
	while (c->argc > c->first)
		free(c->argv[--c->argc]);
	free(c->argv);
}

static void start_qemu(struct supervisor *s, const struct options *o)
{
	struct command c = { };
	unsigned int i;

	make_command(&c, s, o);
	if (o->shape.verbose)
		for (i = 0; c.argv[i]; i++)
			complain("argument %u: %s", i, c.argv[i]);
	s->qemu = supervisor_fork();
	if (!s->qemu)
		execute(&c);
	if (s->qemu < 0)
		give_up("cannot start QEMU: %s", strerror(errno));
	/* The first one is RAM, which is ours as well. */
	while (c.num_inherited > 1)
		close(c.inherited[--c.num_inherited]);
	free_command(&c);
}

/**
 * make_ram - the memory that the guest will run in
 * @ram: gets it
 * @fd: shared memory
 * @o: how large it is to be
 *
 * Return: 0, or -1 and errno.
 */
int make_ram(struct ram *ram, int fd, const struct options *o)
{
	if (fd < 0 || ftruncate(fd, o->ram))
		return -1;
	return ram_map(ram, fd, o->ram, o->ram_low);
}

/**
 * launch - run QEMU with our devices
 * @o: how
 *
 * Return: the exit status for this process, which is QEMU's.
 */
int launch(const struct options *o)
{
	static struct supervisor s;
	struct ram ram;
	struct vm vm;
	int status;

	if (make_ram(&ram, memfd_create("vsvm-ram", MFD_CLOEXEC), o) ||
	    vm_create(&vm, &o->shape, &ram) || supervisor_init(&s, &vm))
		give_up("cannot set up shared memory: %s", strerror(errno));
	s.no_reboot = o->no_reboot;
	s.root_ports = o->hotplug && !o->pc;
	start_qemu(&s, o);
	status = supervisor_run(&s);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

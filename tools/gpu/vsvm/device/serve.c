// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Serves a QEMU that somebody else starts, by names in a directory:
 *
 *   DIR/ram         the guest's RAM
 *   DIR/gpuN.sock   one for each device
 *
 * There is no monitor, so nobody tells of a reset. The clients' going away
 * tells of the end: engines and devices start anew then.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "options.h"
#include "supervisor.h"

static void name_of(struct sockaddr_un *addr, const char *dir, unsigned int i)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/gpu%u.sock", dir, i) >=
	    (int)sizeof(addr->sun_path))
		give_up("--serve %s: too long a name", dir);
}

/* What is there for others as long as this process is. */
static struct {
	const char *dir;
	unsigned int sockets;
	bool ram;
} made;

static void ram_name(char *path, size_t size)
{
	snprintf(path, size, "%s/ram", made.dir);
}

/* By whatever way the process ends, but for a signal. */
static void clean_up(void)
{
	struct sockaddr_un addr;
	char path[PATH_MAX];

	while (made.sockets) {
		name_of(&addr, made.dir, --made.sockets);
		unlink(addr.sun_path);
	}
	if (!made.ram)
		return;
	ram_name(path, sizeof(path));
	unlink(path);
}

/*
 * A socket that nobody listens to was left behind: a dead one does not answer.
 * One that is too busy to answer at once does listen.
 */
static void remove_stale(const struct sockaddr_un *addr)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN)
		give_up("socket %s is taken by a running process", addr->sun_path);
	/* A file that is no socket refuses, too. */
	if (errno == ECONNREFUSED && !lstat(addr->sun_path, &st) && S_ISSOCK(st.st_mode))
		unlink(addr->sun_path);
	close(fd);
}

static int listen_at(unsigned int i)
{
	struct sockaddr_un addr;
	int fd;

	name_of(&addr, made.dir, i);
	remove_stale(&addr);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		give_up("socket %s: %s", addr.sun_path, strerror(errno));
	made.sockets = i + 1;
	if (listen(fd, 1))
		give_up("socket %s: %s", addr.sun_path, strerror(errno));
	return fd;
}

/* One at a time: between its two steps a new socket looks like a stale one. */
static void listen_at_all(int *listener, unsigned int num)
{
	const int dir = open(made.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int i;

	if (dir < 0 || flock(dir, LOCK_EX))
		give_up("--serve %s: %s", made.dir, strerror(errno));
	for (i = 0; i < num; i++)
		listener[i] = listen_at(i);
	close(dir);
}

static int open_ram(char *path, size_t size)
{
	int fd;

	ram_name(path, size);
	/* Not what was left behind: somebody may still have that mapped. */
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		give_up("%s: %s", path, strerror(errno));
	made.ram = true;
	return fd;
}

static void tell_arguments(const struct options *o, const char *ram)
{
	unsigned int i;

	complain("-object memory-backend-file,id=vsvm-ram,size=%lluM,share=on,mem-path=%s",
		 o->ram / VM_MIB, ram);
	complain("-machine memory-backend=vsvm-ram");
	for (i = 0; i < o->shape.devices; i++) {
		complain("-chardev socket,path=%s/gpu%u.sock,id=vsvm-c%u", o->serve, i, i);
		complain("-device ivshmem-doorbell,chardev=vsvm-c%u,vectors=%u,id=gpu%u", i,
			 VSVM_PCI_NUM_VECTORS, i);
	}
}

/**
 * serve - wait for clients until told to end
 * @o: how
 *
 * Return: the exit status for this process.
 */
int serve(const struct options *o)
{
	static struct supervisor s;
	char path[PATH_MAX];
	struct ram ram;
	struct vm vm;
	int listener[VM_MAX_DEVICES];

	made.dir = o->serve;
	atexit(clean_up);
	/* First: these are what another process may be using. */
	listen_at_all(listener, o->shape.devices);
	if (make_ram(&ram, open_ram(path, sizeof(path)), o) ||
	    vm_create(&vm, &o->shape, &ram) || supervisor_init(&s, &vm))
		give_up("cannot set up shared memory: %s", strerror(errno));
	memcpy(s.listener, listener, o->shape.devices * sizeof(listener[0]));
	tell_arguments(o, path);
	supervisor_run(&s);
	return 0;
}

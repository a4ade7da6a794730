// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* See guest.h. */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../supervisor.h"
#include "guest.h"

#define PATIENCE_MS	10000

static __noreturn void supervise(const struct vm_shape *shape, const struct ram *ram,
				 const int *sock, int control)
{
	static struct supervisor s;
	static struct vm vm;
	unsigned int i;

	if (vm_create(&vm, shape, ram) || supervisor_init(&s, &vm))
		_exit(1);
	for (i = 0; i < shape->devices; i++)
		supervisor_connect(&s, i, sock[i]);
	s.control_fd = control;
	supervisor_run(&s);
	vm_destroy(&vm);
	_exit(0);
}

static __s64 receive(struct kunit *test, int sock, int *fd)
{
	__s64 number = 0;
	struct iovec iov = { .iov_base = &number, .iov_len = sizeof(number) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	*fd = -1;
	KUNIT_ASSERT_EQ(test, recvmsg(sock, &msg, MSG_WAITALL), sizeof(number));
	c = CMSG_FIRSTHDR(&msg);
	if (c)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return number;
}

/* As QEMU does it, and as strict. */
static void be_greeted(struct kunit *test, struct guest_device *dev, int sock)
{
	unsigned int i;
	__s64 id;
	int fd;

	KUNIT_ASSERT_EQ(test, receive(test, sock, &fd), 0);
	id = receive(test, sock, &fd);
	KUNIT_EXPECT_NE(test, id, 0);
	for (i = 0; i < VSVM_PCI_NUM_BELLS; i++) {
		KUNIT_ASSERT_EQ(test, receive(test, sock, &dev->bell[i]), 0);
		KUNIT_ASSERT_TRUE(test, dev->bell[i] >= 0);
	}
	KUNIT_ASSERT_EQ(test, receive(test, sock, &fd), -1);
	dev->bar = mmap(NULL, VSVM_PCI_BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	KUNIT_ASSERT_TRUE(test, dev->bar != MAP_FAILED);
	close(fd);
	for (i = 0; i < VSVM_PCI_NUM_VECTORS; i++) {
		KUNIT_ASSERT_EQ(test, receive(test, sock, &dev->vector[i]), id);
		KUNIT_ASSERT_TRUE(test, dev->vector[i] >= 0);
	}
}

/**
 * guest_create - start a supervisor with devices, which are to be guest_start()ed
 * @test: the test, whose suite has guest_exit()
 * @devices: how many
 *
 * Return: the guest.
 */
struct guest *guest_create(struct kunit *test, unsigned int devices)
{
	const struct vm_shape shape = { .devices = devices, .vram = GUEST_VRAM, .quirk = true };
	struct guest *g = calloc(1, sizeof(*g));
	int theirs[VM_MAX_DEVICES], control[2], pair[2];
	int *ours = g->sock;
	unsigned int i;
	int fd;

	test->priv = g;
	g->test = test;
	g->num = devices;
	fd = memfd_create("guest", MFD_CLOEXEC);
	KUNIT_ASSERT_EQ(test, ftruncate(fd, GUEST_RAM), 0);
	KUNIT_ASSERT_EQ(test, ram_map(&g->ram, fd, GUEST_RAM, GUEST_LOW), 0);
	for (i = 0; i < devices; i++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		ours[i] = pair[0];
		theirs[i] = pair[1];
	}
	socketpair(AF_UNIX, SOCK_STREAM, 0, control);
	g->control = control[0];
	g->supervisor = supervisor_fork();
	if (!g->supervisor) {
		for (i = 0; i < devices; i++)
			close(ours[i]);
		close(control[0]);
		supervise(&shape, &g->ram, theirs, control[1]);
	}
	close(control[1]);
	for (i = 0; i < devices; i++) {
		close(theirs[i]);
		be_greeted(test, &g->dev[i], ours[i]);

		KUNIT_ASSERT_TRUE(test, guest_wait_state(g, i, VSVM_PCI_READY, 0));
	}
	return g;
}

void guest_exit(struct kunit *test)
{
	struct guest *g = test->priv;
	unsigned int i, k;

	if (!g)
		return;
	kill(g->supervisor, SIGTERM);
	waitpid(g->supervisor, NULL, 0);
	for (i = 0; i < g->num; i++) {
		close(g->sock[i]);
		if (g->dev[i].bar)
			munmap(g->dev[i].bar, VSVM_PCI_BAR_SIZE);
		for (k = 0; k < VSVM_PCI_NUM_BELLS; k++)
			close(g->dev[i].bell[k]);
		for (k = 0; k < VSVM_PCI_NUM_VECTORS; k++)
			close(g->dev[i].vector[k]);
	}
	close(g->control);
	ram_unmap(&g->ram);
	close(g->ram.fd);
	free(g);
	test->priv = NULL;
}

void *guest_ram(struct guest *g, u64 addr)
{
	u64 len = 1;

	return ram_at(&g->ram, addr, &len);
}

/* Another generation than @not_generation, in @state. */
bool guest_wait_state(struct guest *g, unsigned int d, u32 state, u32 not_generation)
{
	const u64 end = now_ms() + PATIENCE_MS;
	struct vsvm_pci_device *page = &g->dev[d].bar->device;

	/* Acquire: the generation that goes with it. */
	while (smp_load_acquire(&page->state) != state ||
	       READ_ONCE(page->generation) == not_generation) {
		if (now_ms() > end)
			return false;
		usleep(200);
	}
	return true;
}

bool guest_wait_irq(struct guest *g, unsigned int d, unsigned int vector, int ms)
{
	struct pollfd p = { .fd = g->dev[d].vector[vector], .events = POLLIN };

	return poll(&p, 1, ms) == 1 && event_take(p.fd);
}

/* Also rings again now and then, as a driver does. */
u32 guest_request(struct guest *g, unsigned int d, u32 op, const u64 *arg)
{
	struct vsvm_pci_bar *bar = g->dev[d].bar;
	const u32 number = READ_ONCE(bar->driver.request) + 1;
	const u64 end = now_ms() + PATIENCE_MS;
	unsigned int i;

	WRITE_ONCE(bar->driver.op, op);
	for (i = 0; i < VSVM_PCI_NUM_ARGS; i++)
		WRITE_ONCE(bar->driver.arg[i], arg ? arg[i] : 0);
	/* Release: operation and arguments. Acquire: what was done. */
	smp_store_release(&bar->driver.request, number);
	/* See above. */
	while (smp_load_acquire(&bar->device.answer) != number) {
		if (now_ms() > end)
			return NO_ANSWER;
		event_ring(g->dev[d].bell[VSVM_PCI_BELL_CONTROL]);
		guest_wait_irq(g, d, VSVM_PCI_VEC_CONTROL, 50);
	}
	return READ_ONCE(bar->device.result);
}

u32 guest_reset(struct guest *g, unsigned int d, const u64 *arg)
{
	const u32 status = guest_request(g, d, VSVM_PCI_OP_RESET, arg);
	struct vsvm_pci_bar *bar = g->dev[d].bar;

	memset(g->dev[d].head, 0, sizeof(g->dev[d].head));
	if (status)
		return status;
	/* Release: all of memory. */
	smp_store_release(&bar->driver.master, bar->device.generation);
	return status;
}

u32 guest_start(struct guest *g, unsigned int d)
{
	const u64 arg[VSVM_PCI_NUM_ARGS] = {
		[VSVM_PCI_ARG_VRAM_SIZE] = GUEST_VRAM,
		[VSVM_PCI_ARG_FLAGS] = VSVM_PCI_RESET_LINK,
	};

	return guest_reset(g, d, arg);
}

/* By the layout that the interface has, not by what the device says of it. */
struct vsvm_hw_cmd *guest_slot(struct guest *g, unsigned int d, unsigned int engine,
			       u32 index)
{
	struct vsvm_hw_cmd *slots = g->dev[d].bar->shared.cmd;

	if (engine < VSVM_HW_QUEUE0)
		return slots + engine * VSVM_HW_COPY_RING + index % VSVM_HW_COPY_RING;
	return slots + VSVM_HW_QUEUE0 * VSVM_HW_COPY_RING +
	       (engine - VSVM_HW_QUEUE0) * VSVM_HW_QUEUE_RING + index % VSVM_HW_QUEUE_RING;
}

void guest_push(struct guest *g, unsigned int d, unsigned int engine,
		const struct vsvm_hw_cmd *cmd)
{
	u32 *head = &g->dev[d].head[engine];

	*guest_slot(g, d, engine, *head) = *cmd;
	/* Release: the command. */
	smp_store_release(&g->dev[d].bar->shared.ring[engine].head, ++*head);
}

/* Of the engine's doorbell and vector: all queues have the same. */
static unsigned int own_number(unsigned int engine)
{
	return engine < VSVM_HW_QUEUE0 ? engine : VSVM_HW_QUEUE0;
}

void guest_ring(struct guest *g, unsigned int d, unsigned int engine)
{
	struct guest_device *dev = &g->dev[d];

	if (engine >= VSVM_HW_QUEUE0)
		__atomic_store_n(&dev->bar->bell[engine], 1, __ATOMIC_SEQ_CST);
	event_ring(dev->bell[own_number(engine)]);
}

bool guest_wait_tail(struct guest *g, unsigned int d, unsigned int engine, u32 tail)
{
	const u64 end = now_ms() + PATIENCE_MS;
	struct vsvm_hw_ring *ring = &g->dev[d].bar->shared.ring[engine];

	/* Acquire: what the commands wrote. */
	while (smp_load_acquire(&ring->tail) != tail) {
		if (now_ms() > end)
			return false;
		guest_wait_irq(g, d, own_number(engine), 20);
	}
	return true;
}

/* Returns the status. */
u32 guest_do(struct guest *g, unsigned int d, unsigned int engine,
	     const struct vsvm_hw_cmd *cmd)
{
	struct vsvm_hw_cmd copy = *cmd;
	const u32 index = g->dev[d].head[engine];

	copy.flags |= VSVM_HW_CMD_IRQ;
	guest_push(g, d, engine, &copy);
	guest_ring(g, d, engine);
	if (!guest_wait_tail(g, d, engine, index + 1))
		return NO_ANSWER;
	return guest_slot(g, d, engine, index)->status;
}

u32 guest_copy_in(struct guest *g, u64 vram, u64 addr, u64 len)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY, .dst = vram, .src = addr, .len = len,
		.flags = VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
	};

	return guest_do(g, 0, VSVM_HW_COPY_TO_VRAM, &cmd);
}

u32 guest_copy_out(struct guest *g, u64 addr, u64 vram, u64 len)
{
	const struct vsvm_hw_cmd cmd = {
		.op = VSVM_HW_COPY, .dst = addr, .src = vram, .len = len,
		.flags = VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM),
	};

	return guest_do(g, 0, VSVM_HW_COPY_FROM_VRAM, &cmd);
}

bool guest_ask(struct guest *g, const char *line)
{
	struct pollfd p = { .fd = g->control, .events = POLLIN };
	size_t len = 0;
	ssize_t n;

	g->reply[0] = 0;
	if (send(g->control, line, strlen(line), MSG_NOSIGNAL) < 0 ||
	    send(g->control, "\n", 1, MSG_NOSIGNAL) < 0)
		return false;
	while (len < sizeof(g->reply) - 1 && !memchr(g->reply, '\n', len)) {
		if (poll(&p, 1, PATIENCE_MS) != 1)
			return false;
		n = recv(g->control, g->reply + len, sizeof(g->reply) - 1 - len, 0);
		if (n <= 0)
			return false;
		len += n;
		g->reply[len] = 0;
	}
	return !strncmp(g->reply, "ok", 2);
}

/* The process id. */
pid_t guest_engine(struct guest *g)
{
	char path[64];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", g->supervisor,
		 g->supervisor);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

unsigned int guest_restarts(struct guest *g)
{
	unsigned int num = ~0u;
	const char *p;

	if (guest_ask(g, "status")) {
		p = strstr(g->reply, "restarts=");
		if (p)
			sscanf(p, "restarts=%u", &num);
	}
	return num;
}

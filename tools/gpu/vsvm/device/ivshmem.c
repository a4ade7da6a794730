// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The greeting is a sequence of numbers, of 8 bytes, some with a descriptor:
 *
 *   0                 version of the protocol
 *   id                who the client is
 *   0 + eventfd       each of our doorbells: we are peer 0
 *   -1 + memory       BAR 2
 *   id + eventfd      each of the client's interrupts
 *
 * The order matters. QEMU reads up to the memory before the function is there,
 * so that no doorbell gets lost, and it crashes on interrupts before that.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include "ivshmem.h"

#define IVSHMEM_PROTOCOL	0
#define IVSHMEM_SERVER		0
#define IVSHMEM_MEMORY		(-1)

/**
 * send_with_fd - send bytes, and a descriptor with the first of them
 * @sock: a stream socket
 * @data: the bytes
 * @len: how many; few enough for the socket to take them at once
 * @fd: the descriptor, or -1
 *
 * Return: 0, or -1 and errno.
 */
int send_with_fd(int sock, const void *data, size_t len, int fd)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { };

	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0 : -1;
}

static int send_number(int sock, __s64 number, int fd)
{
	return send_with_fd(sock, &number, sizeof(number), fd);
}

/**
 * ivshmem_greet - tell a client all that there is to tell
 * @sock: connection to it
 * @d: the device
 * @id: number of the client, from 1 to 0xffff
 *
 * Return: 0, or -1 and errno.
 */
int ivshmem_greet(int sock, const struct vm_device *d, unsigned int id)
{
	unsigned int i;
	int err;

	err = send_number(sock, IVSHMEM_PROTOCOL, -1) ?:
	      send_number(sock, id, -1);
	for (i = 0; i < VSVM_PCI_NUM_BELLS && !err; i++)
		err = send_number(sock, IVSHMEM_SERVER, d->bell[i]);
	if (!err)
		err = send_number(sock, IVSHMEM_MEMORY, d->bar_fd);
	for (i = 0; i < VSVM_PCI_NUM_VECTORS && !err; i++)
		err = send_number(sock, id, d->vector[i]);
	return err;
}

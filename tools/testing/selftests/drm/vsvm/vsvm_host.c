// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The process that the GPU's hardware is in, by a virtio port to it
 * (vsvm-device --guest-control), see vsvm_test.h.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vsvm_test.h"

static int host_open(void)
{
	static const char dir[] = "/sys/class/virtio-ports";
	char path[512], name[64] = "";
	DIR *ports = opendir(dir);
	struct dirent *port;
	int fd, found = -ENOENT;

	while (ports && found < 0 && (port = readdir(ports))) {
		snprintf(path, sizeof(path), "%s/%s/name", dir, port->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) > 0 &&
		    !strncmp(name, "vsvm-control", 12)) {
			snprintf(path, sizeof(path), "/dev/%s", port->d_name);
			found = open(path, O_RDWR | O_CLOEXEC);
		}
		close(fd);
	}
	if (ports)
		closedir(ports);
	return found;
}

bool vt_host_there(void)
{
	int fd = host_open();

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int vt_host_ask(const char *command, char *reply, size_t size)
{
	size_t len = 0;
	int fd = host_open();

	if (fd < 0)
		return fd;
	dprintf(fd, "%s\n", command);
	while (len < size - 1 && read(fd, reply + len, 1) == 1 &&
	       reply[len] != '\n')
		len++;
	reply[len] = 0;
	close(fd);
	return strncmp(reply, "ok", 2) ? -EPROTO : 0;
}

int vt_host(const char *command)
{
	char reply[256] = "";
	int err = vt_host_ask(command, reply, sizeof(reply));

	if (err)
		fprintf(stderr, "# %s: %s\n", command, reply);
	return err;
}

int vt_reopen(struct vt *t, const struct vt *old, unsigned int seconds)
{
	const __u64 end = vt_now_ms() + seconds * 1000ull;
	int id;

	do {
		for (id = 0; id < 16; id++) {
			*t = (struct vt){};
			if (vsvm_open(&t->dev, id))
				continue;
			if (!strcmp(t->dev.name, old->dev.name) &&
			    !vsvm_vm_create(t->dev.fd, &t->vm))
				return 0;
			vsvm_close(&t->dev);
		}
		vt_sleep_ms(10);
	} while (vt_now_ms() < end);
	return -ENODEV;
}

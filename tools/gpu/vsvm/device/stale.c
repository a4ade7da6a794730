// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A cure for a flaw of QEMU (7.2): when an ivshmem function is unplugged, QEMU
 * closes the eventfds of its interrupts, but goes on listening to their numbers,
 * on behalf of a function whose memory is free. The next descriptor of such a
 * number that becomes readable is the end of QEMU; of the next function that is
 * plugged in it may be the one of BAR 2, which is readable at once.
 *
 * So all free numbers are given to descriptors that are never readable, and
 * these to somebody who listens to them as well, and who knows how to stop: a
 * network socket. When it goes, so does all that listens to its number.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor.h"

/* More holes than that come from something else. */
#define STALE_MAX	64

/* Numbers of descriptors that QEMU could use next, below the largest in use. */
static unsigned int count_holes(pid_t qemu)
{
	unsigned long last = 0, used = 0;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", qemu);
	dir = opendir(path);
	if (!dir)
		return STALE_MAX / 2;
	while ((entry = readdir(dir))) {
		const unsigned long fd = strtoul(entry->d_name, NULL, 10);

		if (entry->d_name[0] == '.')
			continue;
		used++;
		if (fd > last)
			last = fd;
	}
	closedir(dir);
	/* Room for those at the end, which left no hole. */
	return last - used + 1 + VSVM_PCI_NUM_VECTORS < STALE_MAX ?
	       last - used + 1 + VSVM_PCI_NUM_VECTORS : STALE_MAX;
}

static void listen_and_stop(struct supervisor *s, unsigned int i)
{
	if (!qmp_command(&s->qmp, "netdev_add",
			 "\"type\": \"socket\", \"id\": \"vsvm-n%u\", \"fd\": \"vsvm-s%u\"",
			 i, i))
		qmp_command(&s->qmp, "netdev_del", "\"id\": \"vsvm-n%u\"", i);
	else
		complain("QEMU may not survive the next plug: %s", s->qmp.error);
}

/**
 * stale_handlers_drop - a function was unplugged: have QEMU forget it for good
 * @s: the supervisor
 */
void stale_handlers_drop(struct supervisor *s)
{
	const unsigned int num = count_holes(s->qemu);
	int ours[STALE_MAX], pair[2];
	unsigned int made, i;
	char name[32];

	for (made = 0; made < num; made++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			break;
		ours[made] = pair[0];
		snprintf(name, sizeof(name), "vsvm-s%u", made);
		qmp_send_fd(&s->qmp, name, pair[1]);
		close(pair[1]);
	}
	for (i = 0; i < made; i++) {
		listen_and_stop(s, i);
		close(ours[i]);
	}
}

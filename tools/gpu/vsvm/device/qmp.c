// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Commands carry a number, and so do their answers. QEMU writes one object a
 * line, and fields with one blank after the colon; what is looked for here are
 * words of QEMU's own, so a search for them does.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ivshmem.h"
#include "qmp.h"

/* QEMU answers within milliseconds, unless the host is out of breath. */
#define QMP_TIMEOUT_MS	10000

/* QEMU reads this once it runs. */
void qmp_open(struct qmp *q, int fd)
{
	static const char hello[] = "{\"execute\": \"qmp_capabilities\"}\n";

	memset(q, 0, sizeof(*q));
	q->fd = fd;
	q->patience_ms = QMP_TIMEOUT_MS;
	if (fd >= 0)
		send_with_fd(fd, hello, sizeof(hello) - 1, -1);
}

void qmp_close(struct qmp *q)
{
	while (q->num_events)
		free(q->event[--q->num_events]);
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
}

/* The string or number of field @name in @line. */
bool qmp_field(const char *line, const char *name, char *value, size_t size)
{
	char key[64];
	const char *p;
	size_t len;

	snprintf(key, sizeof(key), "\"%s\": ", name);
	p = strstr(line, key);
	if (!p)
		return false;
	p += strlen(key);
	if (*p == '"') {
		p++;
		len = strcspn(p, "\"\n");
	} else {
		len = strcspn(p, ",}\n ");
	}
	if (len >= size)
		len = size - 1;
	memcpy(value, p, len);
	value[len] = 0;
	return true;
}

/* Only what somebody will take: a guest can cause any number of the others. */
static void keep_event(struct qmp *q, const char *line)
{
	static const char * const kept[] = { "SHUTDOWN", "RESET", "DEVICE_DELETED", NULL };
	char name[64], *copy;
	unsigned int i;

	if (q->num_events == QMP_EVENTS || !qmp_field(line, "event", name, sizeof(name)))
		return;
	for (i = 0; kept[i]; i++) {
		if (strcmp(name, kept[i]))
			continue;
		copy = strdup(line);
		if (copy)
			q->event[q->num_events++] = copy;
		return;
	}
}

/* True if it is the answer to command @id. */
static bool take_line(struct qmp *q, const char *line, unsigned int id)
{
	char value[32];

	if (strstr(line, "\"event\": ")) {
		keep_event(q, line);
		return false;
	}
	if (!qmp_field(line, "id", value, sizeof(value)) || strtoul(value, NULL, 10) != id)
		return false;
	q->error[0] = 0;
	if (strstr(line, "\"error\": ") &&
	    !qmp_field(line, "desc", q->error, sizeof(q->error)))
		snprintf(q->error, sizeof(q->error), "unknown error");
	return true;
}

/* All lines that are there. True if one of them is the answer to command @id. */
static bool take_lines(struct qmp *q, unsigned int id)
{
	bool answered = false;
	char *end;

	while ((end = memchr(q->line, '\n', q->len))) {
		const size_t used = end + 1 - q->line;

		*end = 0;
		answered |= take_line(q, q->line, id);
		q->len -= used;
		memmove(q->line, end + 1, q->len);
	}
	if (q->len == sizeof(q->line) - 1)
		q->len = 0;
	return answered;
}

/* Waits for bytes, @ms at most. Returns whether the answer to @id is among them. */
static bool read_some(struct qmp *q, unsigned int id, int ms)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return false;
	n = recv(q->fd, q->line + q->len, sizeof(q->line) - 1 - q->len, MSG_DONTWAIT);
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(q->fd);
		q->fd = -1;
		return false;
	}
	if (n < 0)
		return false;
	q->silent = false;
	q->len += n;
	return take_lines(q, id);
}

/* Read what is there: events, as no command waits for an answer. */
void qmp_pump(struct qmp *q)
{
	read_some(q, 0, 0);
}

/**
 * qmp_take_event - take an event out of those that came
 * @q: the monitor
 * @name: which one, or NULL for the oldest
 *
 * Return: the line that it came in, to be freed; NULL if there is none.
 */
char *qmp_take_event(struct qmp *q, const char *name)
{
	unsigned int i;
	char value[64];

	for (i = 0; i < q->num_events; i++) {
		char *line = q->event[i];

		if (name && (!qmp_field(line, "event", value, sizeof(value)) ||
			     strcmp(value, name)))
			continue;
		q->num_events--;
		memmove(&q->event[i], &q->event[i + 1],
			(q->num_events - i) * sizeof(q->event[0]));
		return line;
	}
	return NULL;
}

/*
 * Only the first one in a row waits for a QEMU that is stopped: the supervisor
 * has others to serve.
 */
static bool wait_for(struct qmp *q, unsigned int id, const char *event)
{
	const int patience = q->silent ? 0 : q->patience_ms;
	const u64 end = now_ns() + patience * 1000000ull;

	do {
		char *line = event ? qmp_take_event(q, event) : NULL;

		if (line) {
			free(line);
			return true;
		}
		if (read_some(q, id, min(patience, 100)))
			return true;
	} while (q->fd >= 0 && now_ns() < end);
	q->silent = true;
	snprintf(q->error, sizeof(q->error), "QEMU does not answer");
	return false;
}

bool qmp_wait_event(struct qmp *q, const char *name)
{
	return wait_for(q, 0, name);
}

static int do_command(struct qmp *q, const char *name, const char *args, int fd)
{
	const unsigned int id = ++q->id;
	char line[1024];
	int len;

	len = snprintf(line, sizeof(line),
		       "{\"execute\": \"%s\", \"arguments\": {%s}, \"id\": %u}\n",
		       name, args, id);
	snprintf(q->error, sizeof(q->error), "no monitor");
	if (q->fd < 0 || send_with_fd(q->fd, line, len, fd) || !wait_for(q, id, NULL))
		return -1;
	return q->error[0] ? -1 : 0;
}

/**
 * qmp_command - have QEMU do something
 * @q: the monitor
 * @name: of the command
 * @fmt: fields of its arguments
 *
 * Return: 0, or -1 and qmp.error says why.
 */
int qmp_command(struct qmp *q, const char *name, const char *fmt, ...)
{
	char args[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	return do_command(q, name, args, -1);
}

/* Let QEMU have @fd, by the name @name. */
int qmp_send_fd(struct qmp *q, const char *name, int fd)
{
	char args[64];

	snprintf(args, sizeof(args), "\"fdname\": \"%s\"", name);
	return do_command(q, "getfd", args, fd);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * As much of QEMU's monitor protocol as is needed here: a command at a time,
 * whose answer is waited for, and events, which wait to be taken.
 */
#ifndef _VSVM_DEVICE_QMP_H_
#define _VSVM_DEVICE_QMP_H_

#include <stdbool.h>
#include <stddef.h>

#define QMP_LINE	65536
#define QMP_EVENTS	64

struct qmp {
	int fd;			/* -1: there is no monitor, or no more */
	int patience_ms;	/* how long to wait for an answer */
	bool silent;		/* waited that long, and nothing has come since */
	unsigned int id;
	size_t len;
	char *event[QMP_EVENTS];
	unsigned int num_events;
	char line[QMP_LINE];
	char error[256];	/* why the last command failed */
};

void qmp_open(struct qmp *q, int fd);
void qmp_close(struct qmp *q);
void qmp_pump(struct qmp *q);
char *qmp_take_event(struct qmp *q, const char *name);
bool qmp_wait_event(struct qmp *q, const char *name);
__printf(3, 4)
int qmp_command(struct qmp *q, const char *name, const char *fmt, ...);
int qmp_send_fd(struct qmp *q, const char *name, int fd);
bool qmp_field(const char *line, const char *name, char *value, size_t size);

#endif /* _VSVM_DEVICE_QMP_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Processes that keep all processors busy, for tests on either side of the virtual
 * GPU: of the driver in a guest, and of the device on its host.
 */
#ifndef VSVM_HOGS_H
#define VSVM_HOGS_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* They do not outlive a test that fails. */
static inline void hogs_start(pid_t *hog, unsigned int num)
{
	const pid_t parent = getpid();
	unsigned int i;

	for (i = 0; i < num; i++) {
		hog[i] = fork();
		if (hog[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		for (;;)
			;
	}
}

static inline void hogs_end(const pid_t *hog, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++) {
		/* Not -1, which is everybody. */
		if (hog[i] <= 0)
			continue;
		kill(hog[i], SIGKILL);
		waitpid(hog[i], NULL, 0);
	}
}

#endif /* VSVM_HOGS_H */

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Can it be done? Said now, it is a line; later it would be a guest that hangs.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options.h"

#define MIN_QEMU_MAJOR		7
#define MIN_QEMU_MINOR		2
#define VERSION_TIMEOUT_MS	10000

#define MIN_RAM			(64 * VM_MIB)
#define MIN_VRAM		(2 * VM_MIB)
#define MAX_VRAM		(65536 * VM_MIB)
#define SIZE_STEP		(2 * VM_MIB)
/* Where RAM is split, see pc_q35.c and pc_piix.c of QEMU. */
#define Q35_ALL_LOW		(2816 * VM_MIB)
#define Q35_LOW			(2048 * VM_MIB)
#define PC_ALL_LOW		(3584 * VM_MIB)
#define PC_LOW			(3072 * VM_MIB)

static bool can_run(const char *dir, size_t len, const char *command, bool *exists)
{
	char path[4096];

	snprintf(path, sizeof(path), "%.*s%s%s", (int)len, dir, len ? "/" : "", command);
	if (access(path, F_OK))
		return false;
	*exists = true;
	return !access(path, X_OK);
}

/* As execvp() looks for it. */
static void find_command(const char *command)
{
	const char *dir = getenv("PATH") ?: "/bin:/usr/bin";
	bool exists = false;

	if (strchr(command, '/')) {
		if (can_run("", 0, command, &exists))
			return;
	} else {
		for (; ; dir++) {
			const size_t len = strcspn(dir, ":");

			if (can_run(dir, len, command, &exists))
				return;
			dir += len;
			if (!*dir)
				break;
		}
	}
	give_up("QEMU command %s: %s", command, exists ? "not executable" : "not found");
}

/* What @command says to -version; at most a page, and in no more than 10 s. */
static void read_version(const char *command, char *text, size_t size)
{
	int out[2], null;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC))
		give_up("no pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp(command, command, "-version", NULL);
		_exit(127);
	}
	close(out[1]);
	while (len < size - 1) {
		struct pollfd p = { .fd = out[0], .events = POLLIN };

		if (poll(&p, 1, VERSION_TIMEOUT_MS) <= 0)
			break;
		n = read(out[0], text + len, size - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	text[len] = 0;
	close(out[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/**
 * check_qemu - is it QEMU, and new enough?
 * @command: its command
 */
void check_qemu(const char *command)
{
	unsigned int major, minor;
	char text[4096];
	const char *p;

	find_command(command);
	read_version(command, text, sizeof(text));
	p = strstr(text, "version ");
	if (!p || sscanf(p, "version %u.%u", &major, &minor) != 2)
		give_up("QEMU command %s: does not tell its version", command);
	if (major < MIN_QEMU_MAJOR || (major == MIN_QEMU_MAJOR && minor < MIN_QEMU_MINOR))
		give_up("QEMU command %s: version %u.%u is too old, needs %d.%d", command,
			major, minor, MIN_QEMU_MAJOR, MIN_QEMU_MINOR);
}

static u64 split_of(const struct options *o)
{
	if (o->pc)
		return o->ram < PC_ALL_LOW ? o->ram : PC_LOW;
	return o->ram < Q35_ALL_LOW ? o->ram : Q35_LOW;
}

/* Also finds out where RAM is split. */
void check_sizes(struct options *o)
{
	const u64 vram = o->shape.vram;

	if (vram < MIN_VRAM || vram > MAX_VRAM || vram % SIZE_STEP)
		give_up("--vram %llu: must be even, %llu to %llu", vram / VM_MIB,
			MIN_VRAM / VM_MIB, MAX_VRAM / VM_MIB);
	if (o->ram < MIN_RAM)
		give_up("RAM of %llu MiB: needs %llu MiB at least", o->ram / VM_MIB,
			MIN_RAM / VM_MIB);
	if (o->ram % SIZE_STEP)
		give_up("RAM of %llu KiB: must be a multiple of 2 MiB", o->ram >> 10);
	if (!o->ram_low)
		o->ram_low = split_of(o);
	else if (o->ram_low > o->ram || o->ram_low % SIZE_STEP ||
		 o->ram_low > RAM_HIGH_BASE)
		give_up("--ram-low %llu: must be even, and at most the RAM there is",
			o->ram_low / VM_MIB);
}

static u64 memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	u64 kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib << 10;
}

static void need(u64 ram, u64 vram, u64 there)
{
	const u64 wanted = ram + vram < ram ? ~0ull : ram + vram;

	if (wanted > there)
		give_up("too little shared memory: needs %llu MiB, %llu MiB are free",
			wanted / VM_MIB, there / VM_MIB);
}

/* A guest that touches memory that is not there dies without a word. */
void check_memory(const struct options *o)
{
	const u64 vram = o->shape.vram * o->shape.devices;
	struct statvfs fs;

	if (!o->serve) {
		need(o->ram, vram, memory_available());
		return;
	}
	if (statvfs(o->serve, &fs))
		give_up("--serve %s: %s", o->serve, strerror(errno));
	need(o->ram, 0, (u64)fs.f_bavail * fs.f_frsize);
	need(0, vram, memory_available());
}

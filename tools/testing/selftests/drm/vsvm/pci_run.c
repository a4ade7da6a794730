// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * For tests in which this kernel ends while the GPU writes to its memory.
 *
 *	pci_run dma		have an object in VRAM, and start to bring it home,
 *				by engines that are told to be slow, while memory
 *				of the process is mapped in VRAM and at home; then
 *				print a line, and wait for the end
 *	pci_run kexec KERNEL INITRAMFS COMMAND_LINE
 *				go on with another kernel
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/reboot.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vsvm_test.h"

/*
 * Four seconds of it, at 16 MB/s: all of an object is moved by commands that are
 * on the ring before the first one has done anything. So no CPU has to do a thing
 * for it to go on.
 */
#define LEN	(64 * MIB)

static bool home;

static void *touch(void *p)
{
	__atomic_store_n((__u8 *)p, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&home, true, __ATOMIC_RELAXED);
	return NULL;
}

/* Memory of the process that the GPU has mapped, where it is told to be. */
static int live(struct vt *t, __u32 location)
{
	struct vt_buf b;
	int err;

	err = vt_buf_map(&b, MIB, VT_SMALL);
	err = err ?: vsvm_madvise(t->dev.fd, t->vm, b.p, MIB,
				  DRM_VSVM_MADVISE_LOCATION, location);
	return err ?: vt_buf_add(t, &b, 0, MIB, 1);
}

static int dma(void)
{
	pthread_t thread;
	struct vt_obj o;
	struct vt t;
	int err;

	if (vt_open(&t))
		return 1;
	err = live(&t, DRM_VSVM_LOC_DEVICE);
	err = err ?: live(&t, DRM_VSVM_LOC_SYSTEM);
	err = err ?: vt_obj_create(&t, &o, LEN, 0, (void *)DRM_VSVM_BIND_START);
	/* Something that a page does not have before. */
	err = err ?: vt_fill(&t, o.at, LEN, 0x5a);
	err = err ?: -pthread_create(&thread, NULL, touch, o.p);
	if (err) {
		fprintf(stderr, "pci_run: %s\n", strerror(abs(err)));
		return 1;
	}
	vt_sleep_ms(500);
	if (__atomic_load_n(&home, __ATOMIC_RELAXED)) {
		fprintf(stderr, "pci_run: it is not under way any more\n");
		return 1;
	}
	puts("started");
	fflush(stdout);
	pause();
	return 1;
}

static int kexec(const char *kernel, const char *initramfs, const char *cmdline)
{
	const int kernel_fd = open(kernel, O_RDONLY | O_CLOEXEC);
	const int initramfs_fd = open(initramfs, O_RDONLY | O_CLOEXEC);

	if (kernel_fd < 0 || initramfs_fd < 0 ||
	    syscall(SYS_kexec_file_load, kernel_fd, initramfs_fd,
		    strlen(cmdline) + 1, cmdline, 0ul)) {
		perror("pci_run: cannot load the kernel");
		return 1;
	}
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_KEXEC, NULL);
	perror("pci_run: reboot");
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "dma"))
		return dma();
	if (argc == 5 && !strcmp(argv[1], "kexec"))
		return kexec(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: pci_run dma | kexec KERNEL INITRAMFS COMMAND_LINE\n");
	return 2;
}

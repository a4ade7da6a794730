// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Compressed memory as swap space, for tests that want pages swapped out.
 */
#include <fcntl.h>
#include <sys/swap.h>
#include <unistd.h>

#include "vsvm_test.h"

#define SWAP_DEVICE	"/dev/zram0"
#define SWAP_SIZE	(64 * MIB)

/* mkswap(8) would write the same header. */
int vt_swap_begin(void)
{
	struct {
		char boot[1024];
		__u32 version;
		__u32 last_page;
		__u32 bad_pages;
	} head = {
		.version = 1,
		.last_page = SWAP_SIZE / vsvm_page_size() - 1,
	};
	char size[32];
	int fd, err = 0;

	snprintf(size, sizeof(size), "%lu", SWAP_SIZE);
	/* Fails where it has a size already. */
	vsvm_write_file("/sys/block/zram0/disksize", size);
	fd = open(SWAP_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pwrite(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    pwrite(fd, "SWAPSPACE2", 10, vsvm_page_size() - 10) != 10)
		err = -EIO;
	close(fd);
	if (!err && swapon(SWAP_DEVICE, 0))
		err = -errno;
	return err;
}

void vt_swap_end(void)
{
	swapoff(SWAP_DEVICE);
}

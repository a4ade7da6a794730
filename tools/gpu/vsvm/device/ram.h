/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The guest's RAM as the devices see it:
 *
 *   0        640K    1M            low            4G         4G + high
 *   |  RAM   | refused |    RAM     |    nothing   |   RAM    |
 */
#ifndef _VSVM_DEVICE_RAM_H_
#define _VSVM_DEVICE_RAM_H_

#include "vsvm_hw_pci.h"
#include "vsvm_hw_port.h"

#define RAM_HIGH_BASE	0x100000000ull
/* Video memory, option ROMs and BIOS: not RAM, whatever lies beneath. */
#define RAM_LEGACY	0xa0000ull
#define RAM_LEGACY_END	0x100000ull

struct ram {
	int fd;
	u8 *base;
	u64 size;
	u64 low;
};

int ram_map(struct ram *ram, int fd, u64 size, u64 low);
void ram_unmap(struct ram *ram);
u64 ram_address(const struct ram *ram, u64 offset);
void *ram_at(const struct ram *ram, u64 addr, u64 *len);
u64 ram_live(const struct ram *ram, const u64 *map, u64 entries, u64 addr, u64 len);

#endif /* _VSVM_DEVICE_RAM_H_ */

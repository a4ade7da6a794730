// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Guest addresses to pointers, and the table of live mappings. All numbers come
 * from a guest, and may be any.
 */
#include <sys/mman.h>

#include "ram.h"

/**
 * ram_map - map the guest's RAM
 * @ram: gets it
 * @fd: shared memory, of @size bytes
 * @size: of all of it
 * @low: how much is below the hole; the rest is from 4 GiB on
 *
 * Return: 0, or -1 and errno.
 */
int ram_map(struct ram *ram, int fd, u64 size, u64 low)
{
	ram->fd = fd;
	ram->size = size;
	ram->low = low;
	ram->base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (ram->base == MAP_FAILED)
		return -1;
	/* Engines that crash are announced when their dump has been written. */
	madvise(ram->base, size, MADV_DONTDUMP);
	return 0;
}

void ram_unmap(struct ram *ram)
{
	munmap(ram->base, ram->size);
}

/* Guest address of the byte at @offset of the memory. */
u64 ram_address(const struct ram *ram, u64 offset)
{
	return offset < ram->low ? offset : RAM_HIGH_BASE + (offset - ram->low);
}

/**
 * ram_at - pointer to RAM
 * @ram: the RAM
 * @addr: guest address
 * @len: bytes wanted. Gets the bytes that the pointer is good for.
 *
 * Return: the pointer, or NULL if @addr is not RAM.
 */
void *ram_at(const struct ram *ram, u64 addr, u64 *len)
{
	const u64 high = ram->size - ram->low;
	u64 end;

	if (addr >= RAM_HIGH_BASE) {
		addr -= RAM_HIGH_BASE;
		if (addr >= high)
			return NULL;
		*len = min(*len, high - addr);
		return ram->base + ram->low + addr;
	}
	if (addr >= RAM_LEGACY && addr < RAM_LEGACY_END)
		return NULL;
	end = addr < RAM_LEGACY && RAM_LEGACY < ram->low ? RAM_LEGACY : ram->low;
	if (addr >= end)
		return NULL;
	*len = min(*len, end - addr);
	return ram->base + addr;
}

/* May the page be touched? See struct vsvm_pci_bar. */
static bool page_is_live(const struct ram *ram, const u64 *map, u64 entries,
			 u64 pfn)
{
	const u64 i = pfn / VSVM_PCI_MAP_COUNTS;
	u64 len = VSVM_HW_PAGE_SIZE, table;
	u32 *counts;

	if (i >= entries)
		return true;
	table = READ_ONCE(map[i]);
	if (!table)
		return true;
	if (table & (VSVM_HW_PAGE_SIZE - 1))
		return false;
	counts = ram_at(ram, table, &len);
	if (!counts || len < VSVM_HW_PAGE_SIZE)
		return false;
	/* Acquire: what the driver wrote before it mapped the page. */
	return smp_load_acquire(&counts[pfn % VSVM_PCI_MAP_COUNTS]);
}

/**
 * ram_live - how much of a range is mapped for the device
 * @ram: the RAM
 * @map: the table
 * @entries: its length
 * @addr: start of a range that is RAM
 * @len: its length
 *
 * Return: bytes from @addr on that may be touched.
 */
u64 ram_live(const struct ram *ram, const u64 *map, u64 entries, u64 addr, u64 len)
{
	const u64 end = addr + len;
	u64 at = addr;

	while (at < end && page_is_live(ram, map, entries, at >> VSVM_HW_PAGE_SHIFT))
		at = (at | (VSVM_HW_PAGE_SIZE - 1)) + 1;
	return min(at, end) - addr;
}

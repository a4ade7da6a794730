// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Memory of a test's process, and what has to be in it.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "pagemap_mock.h"

/* A VMA of its own, aligned to a PMD, with THPs allowed or not. */
unsigned long pagemap_mock_mmap(struct kunit *test, unsigned long size,
				bool huge)
{
	struct vm_area_struct *vma;
	unsigned long addr, start;

	addr = kunit_vm_mmap(test, NULL, 0, size + PMD_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	start = ALIGN(addr, PMD_SIZE);
	if (start > addr)
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, start - addr));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(start + size,
					   addr + PMD_SIZE - start));

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, start);
	if (vma) {
		vm_flags_clear(vma, VM_HUGEPAGE | VM_NOHUGEPAGE);
		vm_flags_set(vma, huge ? VM_HUGEPAGE : VM_NOHUGEPAGE);
	}
	mmap_write_unlock(current->mm);
	KUNIT_ASSERT_NOT_NULL(test, vma);

	return start;
}

int pagemap_mock_touch(unsigned long addr)
{
	u64 word;

	return copy_from_user(&word, (void __user *)addr, sizeof(word)) ?
	       -EFAULT : 0;
}

static u64 mock_pattern(unsigned long offset, unsigned int seed)
{
	return (offset + 1) * 0x9e3779b97f4a7c15ull + seed;
}

/* Every word of a page would take long under emulation; a few tell as much. */
#define MOCK_STRIDE	(PAGE_SIZE / 8)

void pagemap_mock_fill(struct kunit *test, unsigned long addr,
		       unsigned long size, unsigned int seed)
{
	for (unsigned long o = 0; o < size; o += MOCK_STRIDE)
		KUNIT_ASSERT_EQ(test, 0, put_user(mock_pattern(o, seed),
						  (u64 __user *)(addr + o)));
}

/* Bytes @start to @end of what was filled at @addr. */
void pagemap_mock_check_part(struct kunit *test, unsigned long addr,
			     unsigned long start, unsigned long end,
			     unsigned int seed)
{
	for (unsigned long o = start; o < end; o += MOCK_STRIDE) {
		u64 found = 0;

		KUNIT_ASSERT_EQ_MSG(test, 0, get_user(found, (u64 __user *)(addr + o)),
				    "at offset %#lx", o);
		KUNIT_ASSERT_EQ_MSG(test, found, mock_pattern(o, seed),
				    "at offset %#lx", o);
	}
}

void pagemap_mock_check(struct kunit *test, unsigned long addr,
			unsigned long size, unsigned int seed)
{
	pagemap_mock_check_part(test, addr, 0, size, seed);
}

void pagemap_mock_check_zero(struct kunit *test, unsigned long addr,
			     unsigned long size)
{
	for (unsigned long o = 0; o < size; o += MOCK_STRIDE) {
		u64 found = 1;

		KUNIT_ASSERT_EQ(test, 0, get_user(found, (u64 __user *)(addr + o)));
		KUNIT_ASSERT_EQ_MSG(test, found, 0ull, "at offset %#lx", o);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Points at which the core can be made to fail, by fault injection in debugfs
 * or by a KUnit test. Without either in the kernel they cost nothing.
 */
#ifndef _PAGEMAP_INJECT_H_
#define _PAGEMAP_INJECT_H_

#include <linux/kconfig.h>
#include <linux/limits.h>
#include <linux/types.h>

enum pagemap_inject_point {
	PAGEMAP_INJECT_DEVMEM_ALLOC,	/* before devmem_alloc: -ENOSPC */
	PAGEMAP_INJECT_RAM_PAGE,	/* a page in RAM: none */
	PAGEMAP_INJECT_RAM_BLOCK,	/* a PMD-sized folio in RAM: none */
	PAGEMAP_INJECT_COLLECT,		/* mm collects part of a range twice */
	PAGEMAP_INJECT_DMA_MAP,		/* each entry that is mapped: -ENOMEM */
	PAGEMAP_INJECT_COPY,		/* before each copy: -EIO */
	PAGEMAP_INJECT_COMMIT,		/* mm commits nothing of a batch */
	PAGEMAP_INJECT_POINTS,
};

struct dentry;

#if IS_ENABLED(CONFIG_FAULT_INJECTION) || IS_ENABLED(CONFIG_KUNIT)

bool pagemap_inject(enum pagemap_inject_point point);
void pagemap_inject_init(struct dentry *dir);

#else

static inline bool pagemap_inject(enum pagemap_inject_point point)
{
	return false;
}

static inline void pagemap_inject_init(struct dentry *dir)
{
}

#endif

#if IS_ENABLED(CONFIG_KUNIT)

#define PAGEMAP_INJECT_NEVER	0
#define PAGEMAP_INJECT_ALWAYS	UINT_MAX

void pagemap_inject_nth(enum pagemap_inject_point point, unsigned int n);
bool pagemap_inject_pending(enum pagemap_inject_point point);
void pagemap_inject_clear(void);
const char *pagemap_inject_name(enum pagemap_inject_point point);

#endif

#endif /* _PAGEMAP_INJECT_H_ */

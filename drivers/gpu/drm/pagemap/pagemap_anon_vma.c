// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Eviction by physical address runs without the mmap lock, so the last VMA
 * that maps a folio may go while the folio is unmapped for migration, and
 * with it the anon_vma that migrate_device_finalize() walks to put the
 * mappings back. rmap asks such users to hold a reference, and mm/migrate.c
 * does; mm/migrate_device.c does not. So the core takes one for it, by what
 * include/linux/rmap.h shows, for the functions are not exported. This file
 * goes away when mm takes the reference itself.
 */
#include <linux/rmap.h>
#include <linux/slab.h>

#include "pagemap_internal.h"

/* As anon_vma_free() in mm/rmap.c: wait for a walker that still holds it. */
static void pagemap_anon_vma_free(struct anon_vma *anon_vma)
{
	might_sleep();
	if (rwsem_is_locked(&anon_vma->root->rwsem)) {
		down_write(&anon_vma->root->rwsem);
		up_write(&anon_vma->root->rwsem);
	}
	kfree(anon_vma);
}

static void pagemap_anon_vma_put(struct anon_vma *anon_vma)
{
	struct anon_vma *root = anon_vma->root;

	if (!atomic_dec_and_test(&anon_vma->refcount))
		return;

	pagemap_anon_vma_free(anon_vma);
	if (root != anon_vma && atomic_dec_and_test(&root->refcount))
		pagemap_anon_vma_free(root);
}

static struct anon_vma *pagemap_folio_anon_vma(const struct folio *folio)
{
	unsigned long mapping = (unsigned long)READ_ONCE(folio->mapping);

	if ((mapping & FOLIO_MAPPING_FLAGS) != FOLIO_MAPPING_ANON)
		return NULL;

	return (struct anon_vma *)(mapping - FOLIO_MAPPING_ANON);
}

bool pagemap_anon_vma_pinned(const struct pagemap_pins *pins,
			     const struct folio *folio)
{
	struct anon_vma *anon_vma = pagemap_folio_anon_vma(folio);

	for (unsigned int i = 0; i < pins->num; i++)
		if (pins->anon_vma[i] == anon_vma)
			return true;

	return false;
}

/**
 * pagemap_pin_anon_vma() - keep a folio's anon_vma
 * @pins: those held already. Most folios of an allocation share one.
 * @folio: device-private folio, locked and referenced
 *
 * Return: false if the folio is not mapped, so nobody misses it, or if there
 * are too many different ones for one batch.
 */
bool pagemap_pin_anon_vma(struct pagemap_pins *pins, struct folio *folio)
{
	struct anon_vma *anon_vma;

	if (!folio_mapped(folio))
		return false;
	if (pagemap_anon_vma_pinned(pins, folio))
		return true;
	if (pins->num == PAGEMAP_MAX_PINS)
		return false;

	rcu_read_lock();
	anon_vma = pagemap_folio_anon_vma(folio);
	if (anon_vma && !atomic_inc_not_zero(&anon_vma->refcount))
		anon_vma = NULL;
	rcu_read_unlock();
	if (!anon_vma)
		return false;

	/*
	 * The memory is type-stable only: it was this folio's anon_vma when
	 * the reference was taken, if the folio is mapped even now.
	 */
	if (!folio_mapped(folio)) {
		pagemap_anon_vma_put(anon_vma);
		return false;
	}

	pins->anon_vma[pins->num++] = anon_vma;

	return true;
}

void pagemap_unpin_anon_vmas(struct pagemap_pins *pins)
{
	while (pins->num)
		pagemap_anon_vma_put(pins->anon_vma[--pins->num]);
}

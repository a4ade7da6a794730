// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Looking at page tables, before a migration and after it. The collect phase of
 * mm decides what moves; what is found here may have changed by then. Nothing
 * is waited for, neither a migration entry nor a fault, so that it does not
 * matter who has jobs underway.
 */
#include <linux/hmm.h>
#include <linux/memory_hotplug.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>

#include "pagemap_job.h"

#define PAGEMAP_NO_SECTION	(~0UL)

/*
 * hmm_range_fault() without a fault: nothing becomes present. The notifier is
 * never inserted; an answer that is old at once is good enough.
 */
static int pagemap_scan(struct pagemap_move *m, unsigned long start,
			unsigned long end, unsigned long *pfns)
{
	struct mmu_interval_notifier notifier = { .mm = m->mm };
	struct hmm_range range = {
		.notifier = &notifier,
		.start = start,
		.end = end,
		.hmm_pfns = pfns,
		.dev_private_owner = m->dpagemap->pagemap->owner,
	};

	memset(pfns, 0, ((end - start) >> PAGE_SHIFT) * sizeof(*pfns));

	return hmm_range_fault(&range);
}

/* Pages from entry @i on that are one folio's by way of one page-table entry. */
static unsigned long pagemap_scan_run(const unsigned long *pfns,
				      unsigned long i, unsigned long npages)
{
	unsigned long size, in_folio;

	if (!(pfns[i] & HMM_PFN_VALID))
		return 1;
	size = 1UL << hmm_pfn_to_map_order(pfns[i]);
	in_folio = pfns[i] & (size - 1);

	return min(size - in_folio, npages - i);
}

/*
 * The page if it is system memory, else NULL. The struct page of a device page
 * may go at any time, with its device, so that nothing here looks at one. It is
 * never online, and shares no section with system memory: asked once for each.
 */
static struct page *pagemap_scan_ram(struct pagemap_seen *seen,
				     unsigned long pfn)
{
	unsigned long section = pfn_to_section_nr(pfn);

	if (section != seen->ram_section) {
		if (!pfn_to_online_page(pfn))
			return NULL;
		seen->ram_section = section;
	}

	return pfn_to_page(pfn);
}

static bool pagemap_scan_ours(const struct pagemap_move *m, unsigned long pfn)
{
	const struct range *range = &m->dpagemap->pagemap->range;

	return pfn >= PHYS_PFN(range->start) && pfn <= PHYS_PFN(range->end);
}

/* Zero pages, which are reserved, are shared as well, but never merged. */
static bool pagemap_page_shared(const struct page *page)
{
	return !(READ_ONCE(page->flags.f) &
		 (BIT(PG_anon_exclusive) | BIT(PG_reserved)));
}

static void pagemap_see(const struct pagemap_move *m, struct pagemap_seen *seen,
			unsigned long hmm_pfn, unsigned long i, unsigned long run)
{
	unsigned long pfn = hmm_pfn & ~HMM_PFN_FLAGS;
	unsigned long *bits = seen->missing;

	if (hmm_pfn & HMM_PFN_VALID) {
		struct page *page;

		if (pagemap_scan_ours(m, pfn))
			return;
		page = pagemap_scan_ram(seen, pfn);
		if (page) {
			/* It may be anybody's by now: no reference, no trust. */
			if (data_race(folio_test_ksm(page_folio(page)))) {
				bits = seen->ksm;
				seen->any_ksm = true;
			}
			seen->shared |= pagemap_page_shared(page);
		}
	}

	if (run == 1)
		__set_bit(i, bits);
	else
		bitmap_set(bits, i, run);
}

/**
 * pagemap_look() - find out which pages are to move
 * @m: the call, with a job that is not underway
 * @start: first address
 * @end: behind the last one, in the same VMA, within one aligned PMD
 * @seen: to fill in
 *
 * Pages of KSM's are told apart, because to collect one is too much already:
 * mm puts a migration entry in the place of the mapping, and does not find it
 * again if KSM does not know the mapping (Linux 7.3, mm/ksm.c,
 * rmap_walk_ksm()). That is so while ksmd merges, and for good where a forked
 * child has had the page merged, but not the process itself. Who touches the
 * address then waits for ever.
 *
 * Where the VMA is not VM_MERGEABLE, and the mmap lock is held, a page that
 * belongs to this process alone cannot become KSM's: ksmd comes by VMAs that
 * are VM_MERGEABLE only. One that is shared can, through another process. So
 * @seen.shared asks for another look right before the collect; what becomes
 * KSM's between the two is the rest of that risk.
 *
 * Context: mmap lock held for reading.
 * Return: 0; -EINTR if the thread is being killed; or what hmm_range_fault()
 *	returned.
 */
int pagemap_look(struct pagemap_move *m, unsigned long start, unsigned long end,
		 struct pagemap_seen *seen)
{
	unsigned long *pfns = pagemap_next_job(m)->batch->dst;
	unsigned long i, run, npages = (end - start) >> PAGE_SHIFT;
	int err;

	seen->start = start;
	seen->end = start;
	if (fatal_signal_pending(current))
		return -EINTR;
	err = pagemap_scan(m, start, end, pfns);
	if (err)
		return err;

	seen->end = end;
	seen->ram_section = PAGEMAP_NO_SECTION;
	seen->any_ksm = false;
	seen->shared = false;
	bitmap_zero(seen->missing, npages);
	bitmap_zero(seen->ksm, npages);
	for (i = 0; i < npages; i += run) {
		run = pagemap_scan_run(pfns, i, npages);
		pagemap_see(m, seen, pfns[i], i, run);
	}

	return 0;
}

/**
 * pagemap_note_seen() - what becomes of pages that stay where they are
 * @m: the call
 * @seen: what was seen of them
 * @start: first address
 * @end: behind the last one
 * @missing: outcome of those that are missing in the pagemap
 *
 * Return: one of them is not in the pagemap.
 */
bool pagemap_note_seen(struct pagemap_move *m, const struct pagemap_seen *seen,
		       unsigned long start, unsigned long end,
		       enum drm_pagemap_outcome missing)
{
	bool some = false;

	for (; start < end; start += PAGE_SIZE) {
		unsigned long i = (start - seen->start) >> PAGE_SHIFT;
		enum drm_pagemap_outcome outcome = DRM_PAGEMAP_PRESENT;

		if (test_bit(i, seen->ksm))
			outcome = DRM_PAGEMAP_SKIP_KSM;
		else if (test_bit(i, seen->missing))
			outcome = missing;
		if (outcome != DRM_PAGEMAP_PRESENT)
			some = true;
		pagemap_note(m, start, 1, outcome);
	}

	return some;
}

/*
 * A device page is never pinned. One of system memory may be anybody's by now;
 * it is asked nothing that could hurt.
 */
static bool pagemap_pfn_pinned(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	struct folio *folio;
	bool pinned;

	if (!page)
		return false;
	folio = page_folio(page);
	if (!folio_try_get(folio))
		return false;
	pinned = folio_maybe_dma_pinned(folio);
	folio_put(folio);

	return pinned;
}

static enum drm_pagemap_outcome pagemap_reason(unsigned long hmm_pfn)
{
	if (!(hmm_pfn & HMM_PFN_VALID))
		return DRM_PAGEMAP_SKIP_ABSENT;
	if (pagemap_pfn_pinned(hmm_pfn & ~HMM_PFN_FLAGS))
		return DRM_PAGEMAP_SKIP_PINNED;

	return DRM_PAGEMAP_SKIP_BUSY;
}

static void pagemap_scan_reasons_in(struct pagemap_move *m, unsigned long start,
				    unsigned long end)
{
	u8 *outcome = m->result->outcome + ((start - m->start) >> PAGE_SHIFT);
	unsigned long npages = (end - start) >> PAGE_SHIFT;
	unsigned long *pfns = m->job[0].batch->dst;
	unsigned long i;

	if (!memchr(outcome, DRM_PAGEMAP_SKIP_UNKNOWN, npages) ||
	    pagemap_scan(m, start, end, pfns))
		return;

	for (i = 0; i < npages; i++) {
		if (outcome[i] != DRM_PAGEMAP_SKIP_UNKNOWN)
			continue;
		m->result->pages[DRM_PAGEMAP_SKIP_UNKNOWN]--;
		pagemap_note(m, start + (i << PAGE_SHIFT), 1,
			     pagemap_reason(pfns[i]));
	}
}

/**
 * pagemap_scan_reasons() - why mm did not give some pages, if the caller asks
 * @m: the call, drained
 * @start: first address that was tried
 * @end: behind the last one
 *
 * Context: mmap lock held for reading.
 */
void pagemap_scan_reasons(struct pagemap_move *m, unsigned long start,
			  unsigned long end)
{
	unsigned long next;

	if (!m->result->outcome)
		return;

	for (; start < end; start = next) {
		next = pagemap_batch_end(start, end);
		pagemap_scan_reasons_in(m, start, next);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Looking at page tables, before a migration and after it. The collect phase of
 * mm decides what moves; what is found here may have changed by then. Only while
 * no job is underway: not between a collect and its finalize.
 */
#include <linux/hmm.h>
#include <linux/ksm.h>
#include <linux/mmu_notifier.h>

#include "pagemap_job.h"

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
 * Sets the bits of the pages that @wanted says so of; NULL: there is none. Asks
 * once for what is mapped as one.
 */
static int pagemap_scan_for(struct pagemap_move *m, unsigned long start,
			    unsigned long end, unsigned long *bits,
			    bool (*wanted)(const struct pagemap_move *m,
					   struct page *page))
{
	unsigned long npages = (end - start) >> PAGE_SHIFT;
	unsigned long *pfns = m->job[0].batch->dst;
	int err = pagemap_scan(m, start, end, pfns);
	unsigned long i, run;

	if (err)
		return err;

	bitmap_zero(bits, npages);
	for (i = 0; i < npages; i += run) {
		run = pagemap_scan_run(pfns, i, npages);
		if (wanted(m, pfns[i] & HMM_PFN_VALID ?
			   hmm_pfn_to_page(pfns[i]) : NULL))
			bitmap_set(bits, i, run);
	}

	return 0;
}

static bool pagemap_page_missing(const struct pagemap_move *m,
				 struct page *page)
{
	return !page || !is_device_private_page(page) ||
	       page_pgmap(page) != m->dpagemap->pagemap;
}

/**
 * pagemap_scan_missing() - find the pages that are not in the pagemap
 * @m: the call, with a batch for room
 * @start: first address
 * @end: behind the last one, in the same VMA, within one aligned PMD
 * @missing: bitmap with a bit for each page
 *
 * Context: mmap lock held for reading.
 * Return: 0, or what hmm_range_fault() returned.
 */
int pagemap_scan_missing(struct pagemap_move *m, unsigned long start,
			 unsigned long end, unsigned long *missing)
{
	return pagemap_scan_for(m, start, end, missing, pagemap_page_missing);
}

/* The page may be anybody's by now; it is asked nothing that could hurt. */
static bool pagemap_page_is(struct page *page, bool (*what)(struct folio *))
{
	struct folio *folio = page_folio(page);
	bool is;

	if (!folio_try_get(folio))
		return false;
	is = what(folio);
	folio_put(folio);

	return is;
}

static bool pagemap_folio_ksm(struct folio *folio)
{
	return folio_test_ksm(folio);
}

static bool pagemap_page_ksm(const struct pagemap_move *m, struct page *page)
{
	return page && pagemap_page_is(page, pagemap_folio_ksm);
}

/**
 * pagemap_scan_ksm() - find the pages that KSM has merged
 * @m: the call, drained
 * @start: first address
 * @end: behind the last one, within one aligned PMD
 * @ksm: bitmap with a bit for each page
 *
 * To collect one is too much already: ksmd forgets that a page is mapped where
 * it finds a migration entry, and the entry is not replaced the next time
 * (Linux 7.3, mm/ksm.c). What becomes one between this and the collect is the
 * rest of that risk. Notes the pages as skipped.
 *
 * Context: mmap lock held for reading.
 * Return: 0, or what hmm_range_fault() returned.
 */
int pagemap_scan_ksm(struct pagemap_move *m, unsigned long start,
		     unsigned long end, unsigned long *ksm)
{
	unsigned long i, npages = (end - start) >> PAGE_SHIFT;
	int err = pagemap_scan_for(m, start, end, ksm, pagemap_page_ksm);

	if (err)
		return err;

	for_each_set_bit(i, ksm, npages)
		pagemap_note(m, start + (i << PAGE_SHIFT), 1,
			     DRM_PAGEMAP_SKIP_KSM);

	return 0;
}

static enum drm_pagemap_outcome pagemap_reason(unsigned long hmm_pfn)
{
	if (!(hmm_pfn & HMM_PFN_VALID))
		return DRM_PAGEMAP_SKIP_ABSENT;
	if (pagemap_page_is(hmm_pfn_to_page(hmm_pfn), folio_maybe_dma_pinned))
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
		next = min(ALIGN_DOWN(start, PMD_SIZE) + PMD_SIZE, end);
		pagemap_scan_reasons_in(m, start, next);
	}
}

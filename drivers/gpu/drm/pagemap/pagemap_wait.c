// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Waiting out a timeslice. The fault that has to wait is entered with the
 * folio locked and with a reference that cannot be given back, so a thread
 * that slept inside it would block every eviction, split and migration of
 * that folio. A thread that will return to user mode sleeps there instead, by
 * task work, with nothing held, and faults again; the others sleep with as
 * little held as their caller allows.
 *
 * A fault whose page could not be moved, because of somebody else's passing
 * reference, waits in the same ways, for a moment that doubles each time. Threads
 * that sleep inside the fault for it have a reference each, too. If each woke in its
 * own time, they would keep each other from the page for ever; so would those that
 * wake together, as the first one tries again before the last one has left. So all
 * that sleep for a folio do so until the same time, and until they have left nobody
 * begins to sleep for it.
 *
 * A thread waits for one slice a fault. It leaves a mark in a small table
 * when it goes to sleep, and takes it away when it comes back; a mark that
 * another thread has overwritten means one more wait, or a shorter one. The
 * thread need not come back, as another may have brought the page home or the
 * thread may be dead. So a mark is good for a moment after a wait to its end: in
 * a later slice it would be a licence to take the page away. A thread that is
 * kept from its fault for longer waits for another slice.
 */
#include <kunit/visibility.h>
#include <linux/bitfield.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>

#include "pagemap_internal.h"
#include "pagemap_report.h"

#define PAGEMAP_MARK_BITS	8
#define PAGEMAP_SLEEPER_BITS	6

/* With the mmap lock held for want of a better way, not longer than this. */
#define PAGEMAP_LOCKED_WAIT_MS	20

/* After a race, one jiffy, and up to 1 << 3 of them if it goes on. */
#define PAGEMAP_MAX_RACES	3

/* It does not go on if that many jiffies have passed since the last wait. */
#define PAGEMAP_RACE_GAP	4

/* Jiffies in which a thread comes back to its fault after its wait, if it does. */
#define PAGEMAP_GRACE_MIN	2UL
#define PAGEMAP_GRACE_MAX	(HZ / 20 + 1UL)

/* In the lowest bits of a mark, below the number of its thread. */
#define PAGEMAP_MARK_WAITED	BIT(0)
#define PAGEMAP_MARK_RACES	GENMASK(2, 1)
#define PAGEMAP_MARK_FLAGS	GENMASK(2, 0)

/**
 * struct pagemap_mark - what a thread has been through in a fault
 * @thread: number of the thread, which unlike its task_struct is not used again
 *	while a mark is good, with PAGEMAP_MARK_* flags
 * @addr: address of the fault that waited for a slice
 * @slept: time that this wait took, in ns
 * @woke: end of this wait, in jiffies
 * @until: end of the last wait after a race, in jiffies
 *
 * Others overwrite it at any time. @thread is right or another thread's; the rest
 * may be wrong, and has no other effect than on how long the next wait is, or
 * is said to have been.
 */
struct pagemap_mark {
	unsigned long thread;
	unsigned long addr;
	u64 slept;
	unsigned long woke;
	unsigned long until;
};

/**
 * struct pagemap_sleeper - a thread that sleeps in a fault, after a race
 * @link: in the list of its folio's hash value
 * @folio: whose page it wants, and has a reference to
 * @until: when all of this folio are to leave, in jiffies
 */
struct pagemap_sleeper {
	struct hlist_node link;
	const struct folio *folio;
	u64 until;
};

struct pagemap_wait_work {
	struct callback_head head;
	struct drm_pagemap *dpagemap;	/* referenced */
	u64 until;
	int ended;			/* slice_ended when the wait began */
};

static struct pagemap_mark pagemap_marks[1 << PAGEMAP_MARK_BITS];
static DEFINE_SPINLOCK(pagemap_sleepers_lock);
static struct hlist_head pagemap_sleepers[1 << PAGEMAP_SLEEPER_BITS];
static atomic_t pagemap_works = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(pagemap_works_wait);

static struct pagemap_mark *pagemap_my_mark(void)
{
	return &pagemap_marks[hash_32(current->pid, PAGEMAP_MARK_BITS)];
}

/* This thread in a mark, without flags. */
static unsigned long pagemap_mark_thread(void)
{
	return FIELD_PREP(~PAGEMAP_MARK_FLAGS, current->pid);
}

/* The flags of this thread's mark; 0 if there is none. */
static unsigned long pagemap_mark_flags(const struct pagemap_mark *mark)
{
	unsigned long flags = READ_ONCE(mark->thread) ^ pagemap_mark_thread();

	return flags & ~PAGEMAP_MARK_FLAGS ? 0 : flags;
}

static void pagemap_set_mark(struct pagemap_mark *mark, unsigned long flags)
{
	WRITE_ONCE(mark->thread, pagemap_mark_thread() | flags);
}

static void pagemap_clear_waited(struct pagemap_mark *mark)
{
	unsigned long flags = pagemap_mark_flags(mark);

	if (flags & PAGEMAP_MARK_WAITED)
		pagemap_set_mark(mark, flags & ~PAGEMAP_MARK_WAITED);
}

/**
 * pagemap_wait_grace() - how long after its wait a thread may come back to a fault
 * @slept: time that the wait took, in ns
 *
 * As long as the wait, which was no longer than the slice: that is not past the
 * end of the next one, unless slices are shorter than two jiffies.
 *
 * Return: jiffies, 2 to those of about 50 ms.
 */
unsigned long pagemap_wait_grace(u64 slept)
{
	return clamp(nsecs_to_jiffies(slept), PAGEMAP_GRACE_MIN, PAGEMAP_GRACE_MAX);
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_wait_grace);

/**
 * pagemap_take_waited() - has this thread waited in this fault already?
 * @addr: address of the fault
 * @slept: set to how long, in ns, if it has
 *
 * Whatever it has waited for, it has not for its next fault.
 *
 * Return: whether it has.
 */
bool pagemap_take_waited(unsigned long addr, u64 *slept)
{
	struct pagemap_mark *mark = pagemap_my_mark();
	bool waited = (pagemap_mark_flags(mark) & PAGEMAP_MARK_WAITED) &&
		      READ_ONCE(mark->addr) == addr &&
		      !time_after(jiffies, READ_ONCE(mark->woke) +
				  pagemap_wait_grace(READ_ONCE(mark->slept)));

	if (waited)
		*slept = READ_ONCE(mark->slept);
	pagemap_clear_waited(mark);

	return waited;
}

/* The fault has been served. */
void pagemap_forget_waits(void)
{
	struct pagemap_mark *mark = pagemap_my_mark();

	if (pagemap_mark_flags(mark))
		WRITE_ONCE(mark->thread, 0);
}

static void pagemap_mark_waited(unsigned long addr)
{
	struct pagemap_mark *mark = pagemap_my_mark();
	unsigned long flags = pagemap_mark_flags(mark);

	WRITE_ONCE(mark->addr, addr);
	WRITE_ONCE(mark->slept, 0);
	pagemap_set_mark(mark, flags | PAGEMAP_MARK_WAITED);
}

static void pagemap_mark_woke(struct pagemap_mark *mark, u64 slept)
{
	WRITE_ONCE(mark->slept, slept);
	WRITE_ONCE(mark->woke, jiffies);
}

/* How long to wait after a race, in jiffies. */
static unsigned long pagemap_race_delay(void)
{
	struct pagemap_mark *mark = pagemap_my_mark();
	unsigned long races = FIELD_GET(PAGEMAP_MARK_RACES,
					pagemap_mark_flags(mark));
	unsigned long delay;

	if (time_after(jiffies, READ_ONCE(mark->until) + PAGEMAP_RACE_GAP))
		races = 0;
	delay = 1UL << races;
	races = min(races + 1, PAGEMAP_MAX_RACES);

	WRITE_ONCE(mark->until, jiffies + delay);
	pagemap_set_mark(mark, FIELD_PREP(PAGEMAP_MARK_RACES, races));

	return delay;
}

/**
 * pagemap_wait_choose() - how a fault waits for the end of a timeslice
 * @flags: FAULT_FLAG_*
 * @user_task: the thread is about to return to user mode, and the mm is its own
 * @waited: the thread has been here for this fault already
 *
 * FAULT_FLAG_USER alone is not enough for @user_task: workers that fault on
 * behalf of a device set it too.
 *
 * Return: the way.
 */
enum pagemap_wait
pagemap_wait_choose(unsigned int flags, bool user_task, bool waited)
{
	if (waited || (flags & FAULT_FLAG_TRIED))
		return PAGEMAP_WAIT_NONE;
	if (user_task && (flags & FAULT_FLAG_USER))
		return PAGEMAP_WAIT_RETURN;
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return PAGEMAP_WAIT_NOWAIT;
	if (flags & FAULT_FLAG_ALLOW_RETRY)
		return PAGEMAP_WAIT_RETRY;

	return PAGEMAP_WAIT_LOCKED;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_wait_choose);

/**
 * pagemap_fault_is_khugepaged() - is it a fault that wants no memory back?
 * @flags: FAULT_FLAG_*
 * @kthread_without_mm: the thread is a kernel thread that uses no mm
 *
 * khugepaged takes device-private pages for swapped out ones, and would bring
 * them home although nobody asked for them. It alone allows a retry without
 * being killable.
 *
 * Return: true for khugepaged.
 */
bool pagemap_fault_is_khugepaged(unsigned int flags, bool kthread_without_mm)
{
	return kthread_without_mm && (flags & FAULT_FLAG_ALLOW_RETRY) &&
	       !(flags & (FAULT_FLAG_KILLABLE | FAULT_FLAG_REMOTE |
			  FAULT_FLAG_USER));
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_fault_is_khugepaged);

static void pagemap_sleep(struct drm_pagemap *dpagemap, u64 until, int ended,
			  unsigned int state)
{
	struct drm_pagemap_private *priv = dpagemap->priv;
	u64 now = get_jiffies_64();
	long timeout = until > now ? min(until - now, MAX_SCHEDULE_TIMEOUT - 1) : 0;

	___wait_event(priv->slice_wait,
		      atomic_read(&priv->slice_ended) != ended || !timeout,
		      state, 0, 0, timeout = schedule_timeout(timeout));
}

static void pagemap_wait_work_fn(struct callback_head *head)
{
	struct pagemap_wait_work *work =
		container_of(head, struct pagemap_wait_work, head);

	struct pagemap_mark *mark = pagemap_my_mark();
	u64 began = ktime_get_ns();

	if (!(current->flags & PF_EXITING))
		pagemap_sleep(work->dpagemap, work->until, work->ended,
			      TASK_INTERRUPTIBLE);
	/* Maybe sent on by another allocation's end, or by a signal: wait again. */
	if (time_before64(get_jiffies_64(), work->until))
		pagemap_clear_waited(mark);
	else if (pagemap_mark_flags(mark) & PAGEMAP_MARK_WAITED)
		pagemap_mark_woke(mark, ktime_get_ns() - began);

	drm_pagemap_put(work->dpagemap);
	kfree(work);
	if (atomic_dec_and_test(&pagemap_works))
		wake_up(&pagemap_works_wait);
}

/* Sleep until @until on the way back to user mode. False: no memory. */
static bool pagemap_queue_wait(struct drm_pagemap *dpagemap, u64 until,
			       int ended)
{
	struct pagemap_wait_work *work = kmalloc_obj(*work, GFP_NOWAIT);

	if (!work)
		return false;

	init_task_work(&work->head, pagemap_wait_work_fn);
	work->dpagemap = drm_pagemap_get(dpagemap);
	work->until = until;
	work->ended = ended;
	atomic_inc(&pagemap_works);

	if (task_work_add(current, &work->head, TWA_RESUME)) {
		/* The task exits. */
		atomic_dec(&pagemap_works);
		drm_pagemap_put(dpagemap);
		kfree(work);
		return false;
	}

	return true;
}

static bool pagemap_is_user_task(const struct vm_fault *vmf)
{
	return !(current->flags & (PF_KTHREAD | PF_EXITING)) &&
	       current->mm == vmf->vma->vm_mm;
}

/* How the thread sleeps in the fault. */
static unsigned int pagemap_wait_state(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_INTERRUPTIBLE ? TASK_INTERRUPTIBLE :
						       TASK_KILLABLE;
}

/*
 * Put the thread among those that sleep for a folio, and set when it is to leave:
 * when the first of them is.
 *
 * False: they are leaving. A thread that slept now would still have its reference
 * when they come back, so it is to try again at once, until they are gone.
 */
static bool pagemap_sleeper_add(struct pagemap_sleeper *sleeper,
				const struct folio *folio)
{
	struct hlist_head *head =
		&pagemap_sleepers[hash_ptr(folio, PAGEMAP_SLEEPER_BITS)];
	struct pagemap_sleeper *other;

	sleeper->folio = folio;
	sleeper->until = 0;
	guard(spinlock)(&pagemap_sleepers_lock);

	hlist_for_each_entry(other, head, link) {
		if (other->folio == folio) {
			sleeper->until = other->until;
			break;
		}
	}
	if (!sleeper->until)
		sleeper->until = get_jiffies_64() + pagemap_race_delay();
	else if (time_after_eq64(get_jiffies_64(), sleeper->until))
		return false;
	hlist_add_head(&sleeper->link, head);

	return true;
}

static void pagemap_sleeper_del(struct pagemap_sleeper *sleeper)
{
	guard(spinlock)(&pagemap_sleepers_lock);

	hlist_del(&sleeper->link);
}

/* Sleep in the fault, with the folio unlocked meanwhile. */
static void pagemap_wait_here(struct vm_fault *vmf,
			      struct drm_pagemap *dpagemap, u64 limit,
			      int ended)
{
	struct pagemap_sleeper sleeper;

	if (!pagemap_sleeper_add(&sleeper, page_folio(vmf->page))) {
		cond_resched();
		return;
	}
	folio_unlock(page_folio(vmf->page));
	pagemap_sleep(dpagemap, min(sleeper.until, limit), ended,
		      pagemap_wait_state(vmf));
	/* The fault's reference keeps it one folio or a part of it. */
	folio_lock(page_folio(vmf->page));
	/* The reference goes as soon as the fault has returned. */
	pagemap_sleeper_del(&sleeper);
}

/* The end of the longest wait with the mmap lock held. */
static u64 pagemap_locked_limit(void)
{
	return get_jiffies_64() + msecs_to_jiffies(PAGEMAP_LOCKED_WAIT_MS);
}

/*
 * The same for a slice. All that wait for one of this pagemap are sent on when
 * any of them is ended; go on to sleep if it was another one. A signal ends
 * the wait, for there is no next time.
 */
static void pagemap_wait_slice_here(struct vm_fault *vmf,
				    struct drm_pagemap_zdd *zdd, u64 limit)
{
	struct drm_pagemap *dpagemap = zdd->dpagemap;
	struct drm_pagemap_private *priv = dpagemap->priv;
	u64 until;
	int ended;

	/* Locked once at the end: an eviction waits for this reference to go. */
	folio_unlock(page_folio(vmf->page));
	do {
		ended = atomic_read(&priv->slice_ended);
		/* As in pagemap_wait_slice(). */
		smp_rmb();
		until = READ_ONCE(zdd->devmem->timeslice_expiration);
		pagemap_sleep(dpagemap, min(until, limit), ended,
			      pagemap_wait_state(vmf));
	} while (atomic_read(&priv->slice_ended) != ended &&
		 !signal_pending(current));
	folio_lock(page_folio(vmf->page));
}

/**
 * pagemap_wait_slice() - wait until the pages' timeslice is over
 * @vmf: the fault, as migrate_to_ram() got it
 * @zdd: of the page that faulted, referenced
 * @waited: the thread has waited in this fault already
 * @migrate: set to whether to go on; if not, the fault is to return what this
 *	returns
 *
 * Context: folio of the fault locked; it is unlocked while the thread sleeps.
 * Return: 0, or VM_FAULT_RETRY and then the mmap lock may be gone.
 */
vm_fault_t pagemap_wait_slice(struct vm_fault *vmf, struct drm_pagemap_zdd *zdd,
			      bool waited, bool *migrate)
{
	struct drm_pagemap *dpagemap = zdd->dpagemap;
	enum pagemap_wait how;
	int ended;
	u64 until;

	ended = atomic_read(&dpagemap->priv->slice_ended);
	/* Pairs with pagemap_end_slices(): an end after this wakes us. */
	smp_rmb();
	until = READ_ONCE(zdd->devmem->timeslice_expiration);

	how = pagemap_wait_choose(vmf->flags, pagemap_is_user_task(vmf), waited);
	*migrate = how == PAGEMAP_WAIT_NONE || how == PAGEMAP_WAIT_LOCKED;
	if (how == PAGEMAP_WAIT_NONE)
		return 0;

	pagemap_count(dpagemap, PAGEMAP_STAT_FAULT_WAITS, 1);
	if (how == PAGEMAP_WAIT_RETURN) {
		pagemap_mark_waited(vmf->address);
		if (pagemap_queue_wait(dpagemap, until, ended))
			return 0;
		pagemap_clear_waited(pagemap_my_mark());
		how = pagemap_wait_choose(vmf->flags, false, false);
		*migrate = how == PAGEMAP_WAIT_LOCKED;
	}

	if (how == PAGEMAP_WAIT_NOWAIT)
		return VM_FAULT_RETRY;
	if (how == PAGEMAP_WAIT_LOCKED) {
		pagemap_wait_slice_here(vmf, zdd, pagemap_locked_limit());
		return 0;
	}

	release_fault_lock(vmf);
	pagemap_wait_slice_here(vmf, zdd, U64_MAX);

	return VM_FAULT_RETRY;
}

/**
 * pagemap_wait_memory() - after a fault for which there was no memory
 * @vmf: the fault
 * @dpagemap: pagemap of the page
 *
 * The thread will come back at once, for it is not the one that is killed. A
 * fault from kernel mode fails, which needs no wait.
 *
 * Context: folio of the fault locked. Does not sleep.
 */
void pagemap_wait_memory(struct vm_fault *vmf, struct drm_pagemap *dpagemap)
{
	if ((vmf->flags & FAULT_FLAG_USER) && pagemap_is_user_task(vmf))
		pagemap_queue_wait(dpagemap,
				   get_jiffies_64() + pagemap_race_delay(),
				   atomic_read(&dpagemap->priv->slice_ended));
}

/**
 * pagemap_wait_raced() - after a fault whose page could not be moved
 * @vmf: the fault
 * @dpagemap: pagemap of the page
 *
 * Somebody else has a reference to the page: a wait lets them get on with what
 * they do, where a thread that faults again at once might keep them from it.
 *
 * Context: folio of the fault locked; it is unlocked while the thread sleeps.
 * Return: 0, or VM_FAULT_RETRY and then the mmap lock may be gone.
 */
vm_fault_t pagemap_wait_raced(struct vm_fault *vmf, struct drm_pagemap *dpagemap)
{
	int ended = atomic_read(&dpagemap->priv->slice_ended);
	enum pagemap_wait how;

	/* Unmapped meanwhile: nobody comes back for it. */
	if (!folio_mapped(page_folio(vmf->page)))
		return 0;

	how = pagemap_wait_choose(vmf->flags, pagemap_is_user_task(vmf), false);
	if (how == PAGEMAP_WAIT_RETURN) {
		if (pagemap_queue_wait(dpagemap,
				       get_jiffies_64() + pagemap_race_delay(),
				       ended))
			return 0;
		how = pagemap_wait_choose(vmf->flags, false, false);
	}

	switch (how) {
	case PAGEMAP_WAIT_NOWAIT:
		return VM_FAULT_RETRY;
	case PAGEMAP_WAIT_RETRY:
		release_fault_lock(vmf);
		pagemap_wait_here(vmf, dpagemap, U64_MAX, ended);
		return VM_FAULT_RETRY;
	default:
		/* Cannot let go of the mmap lock, or already has, and is tried. */
		pagemap_wait_here(vmf, dpagemap, pagemap_locked_limit(), ended);
		/* It has had its wait for the slice: it would hold up the others. */
		pagemap_mark_waited(vmf->address);
		pagemap_mark_woke(pagemap_my_mark(), 0);
		return 0;
	}
}

/**
 * pagemap_end_slices() - send on all that wait for a slice of this pagemap
 * @dpagemap: the pagemap
 *
 * Context: any.
 */
void pagemap_end_slices(struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_private *priv = dpagemap->priv;

	/* After the change of an expiration; see pagemap_wait_slice(). */
	smp_mb__before_atomic();
	atomic_inc(&priv->slice_ended);
	wake_up_all(&priv->slice_wait);
}

/* Before the code goes away: each work has run, and has returned from here. */
void pagemap_wait_exit(void)
{
	wait_event(pagemap_works_wait, !atomic_read(&pagemap_works));
	synchronize_rcu_tasks();
}

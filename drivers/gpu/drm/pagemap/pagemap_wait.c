// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Waiting out a timeslice. The fault that has to wait is entered with the
 * folio locked and with a reference that cannot be given back, so a thread
 * that slept inside it would block every eviction, split and migration of
 * that folio. A thread that will return to user mode sleeps there instead, by
 * task work, with nothing held, and faults again; the others sleep with as
 * little held as their caller allows.
 *
 * A thread waits for one slice a fault. It leaves a mark in a small table
 * when it goes to sleep, and takes it away when it comes back; a mark that
 * another thread has overwritten means one more wait.
 */
#include <kunit/visibility.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/task_work.h>

#include "pagemap_internal.h"

#define PAGEMAP_WAITED_BITS	8

/* With the mmap lock held for want of a better way, not longer than this. */
#define PAGEMAP_LOCKED_WAIT_MS	20

struct pagemap_wait_work {
	struct callback_head head;
	struct drm_pagemap *dpagemap;	/* referenced */
	u64 until;
	int ended;			/* slice_ended when the wait began */
};

static struct task_struct *pagemap_waited[1 << PAGEMAP_WAITED_BITS];
static atomic_t pagemap_works = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(pagemap_works_wait);

/* Tasks are compared, never dereferenced. */
static struct task_struct **pagemap_waited_slot(void)
{
	return &pagemap_waited[hash_ptr(current, PAGEMAP_WAITED_BITS)];
}

static bool pagemap_take_waited(void)
{
	struct task_struct **slot = pagemap_waited_slot();

	return READ_ONCE(*slot) == current &&
	       cmpxchg(slot, current, NULL) == current;
}

/* The fault needs no wait, so an old mark must not serve for a later one. */
void pagemap_forget_wait(void)
{
	pagemap_take_waited();
}

static void pagemap_mark_waited(void)
{
	WRITE_ONCE(*pagemap_waited_slot(), current);
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
	long timeout = until > now ? until - now : 0;

	___wait_event(priv->slice_wait,
		      atomic_read(&priv->slice_ended) != ended || !timeout,
		      state, 0, 0, timeout = schedule_timeout(timeout));
}

static void pagemap_wait_work_fn(struct callback_head *head)
{
	struct pagemap_wait_work *work =
		container_of(head, struct pagemap_wait_work, head);

	if (!(current->flags & PF_EXITING))
		pagemap_sleep(work->dpagemap, work->until, work->ended,
			      TASK_INTERRUPTIBLE);
	/* Sent on by the end of another allocation's slice: wait once more. */
	if (atomic_read(&work->dpagemap->priv->slice_ended) != work->ended)
		pagemap_forget_wait();

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

/* Sleep in the fault, with the folio unlocked meanwhile. */
static void pagemap_wait_here(struct vm_fault *vmf,
			      struct drm_pagemap *dpagemap, u64 until,
			      int ended)
{
	unsigned int state = vmf->flags & FAULT_FLAG_INTERRUPTIBLE ?
			     TASK_INTERRUPTIBLE : TASK_KILLABLE;
	struct folio *folio = page_folio(vmf->page);

	folio_unlock(folio);
	pagemap_sleep(dpagemap, until, ended, state);
	/* The fault's reference keeps it one folio or a part of it. */
	folio_lock(page_folio(vmf->page));
}

/**
 * pagemap_wait_slice() - wait until the pages' timeslice is over
 * @vmf: the fault, as migrate_to_ram() got it
 * @zdd: of the page that faulted, referenced
 * @migrate: set to false if the fault is to return what this returns
 *
 * Return: 0, or VM_FAULT_RETRY and then the mmap lock may be gone.
 */
vm_fault_t pagemap_wait_slice(struct vm_fault *vmf, struct drm_pagemap_zdd *zdd,
			      bool *migrate)
{
	struct drm_pagemap *dpagemap = zdd->dpagemap;
	enum pagemap_wait how;
	int ended;
	u64 until;

	ended = atomic_read(&dpagemap->priv->slice_ended);
	/* Pairs with pagemap_end_slices(): an end after this wakes us. */
	smp_rmb();
	until = READ_ONCE(zdd->devmem->timeslice_expiration);

	how = pagemap_wait_choose(vmf->flags, pagemap_is_user_task(vmf),
				  pagemap_take_waited());
	*migrate = false;

	if (how == PAGEMAP_WAIT_RETURN) {
		pagemap_mark_waited();
		if (pagemap_queue_wait(dpagemap, until, ended))
			return 0;
		how = vmf->flags & FAULT_FLAG_ALLOW_RETRY ? PAGEMAP_WAIT_RETRY :
							    PAGEMAP_WAIT_LOCKED;
	}

	switch (how) {
	case PAGEMAP_WAIT_NOWAIT:
		return VM_FAULT_RETRY;
	case PAGEMAP_WAIT_RETRY:
		release_fault_lock(vmf);
		pagemap_wait_here(vmf, dpagemap, until, ended);
		return VM_FAULT_RETRY;
	case PAGEMAP_WAIT_LOCKED:
		pagemap_wait_here(vmf, dpagemap,
				  min(until, get_jiffies_64() +
				      msecs_to_jiffies(PAGEMAP_LOCKED_WAIT_MS)),
				  ended);
		break;
	default:
		break;
	}

	*migrate = true;

	return 0;
}

/*
 * After a fault whose page could not be moved, because somebody else works on
 * it: let them, for a moment, instead of faulting again at once. A fault from
 * kernel mode has no such place to sleep, and its caller decides.
 */
void pagemap_wait_raced(struct vm_fault *vmf, struct drm_pagemap *dpagemap)
{
	if ((vmf->flags & FAULT_FLAG_USER) && pagemap_is_user_task(vmf))
		pagemap_queue_wait(dpagemap, get_jiffies_64() + 1,
				   atomic_read(&dpagemap->priv->slice_ended));
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

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Command submission to the engines, and what their interrupts bring back.
 *
 *	     seen          hw->tail        head
 *	      |               |              |
 *	  ----+-- completed --+--- to do ----+---- free ---
 *
 * A slot is free again only after the interrupt handler has looked at it, so
 * the owner of every slot in [seen, head) is known. Completion is counted per
 * owner: submissions of several threads may lie interleaved on a ring.
 *
 * An engine that does not complete a command in time is reset: what was on its
 * ring fails with an error. That bounds every wait, also those of an MMU
 * notifier, which holds up reclaim.
 */
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <linux/delay.h>

#include "vsvm_drv.h"
#include "vsvm_keep.h"
#include "vsvm_ring.h"

/* Ring the doorbell at least this often, so that the engine begins early. */
#define VSVM_RING_BELL_STEP	64
/* Engines get more time than jobs: nobody chose what they have to do. */
#define VSVM_RING_MIN_TIMEOUT	(10 * HZ)
/* Time for an engine to run through a ring of commands that do nothing. */
#define VSVM_RESET_MS		1000

/**
 * vsvm_ring_timeout - how long an engine may take for a command
 * @ring: ring
 *
 * Return: jiffies.
 */
unsigned long vsvm_ring_timeout(struct vsvm_ring *ring)
{
	return max(msecs_to_jiffies(ring->vdev->config.timeout_ms),
		   VSVM_RING_MIN_TIMEOUT);
}

static struct vsvm_hw_cmd *vsvm_ring_slot(struct vsvm_ring *ring, u32 index)
{
	return &ring->cmd[index & (ring->size - 1)];
}

static u32 vsvm_ring_room(struct vsvm_ring *ring)
{
	return ring->size - (READ_ONCE(ring->head) - READ_ONCE(ring->seen));
}

/*
 * Where the ring begins, and how large it is, is part of the interface. What
 * the hardware says of it has to be the same, and is not looked at again.
 */
static int vsvm_ring_init(struct vsvm_ring *ring, u32 first)
{
	struct vsvm_device *vdev = ring->vdev;
	struct vsvm_hw_shared *shared = vdev->hw->shared;
	const unsigned int engine = ring->engine;

	ring->hw = &shared->ring[engine];
	ring->cmd = &shared->cmd[first];
	ring->size = engine < VSVM_HW_QUEUE0 ? VSVM_HW_COPY_RING :
					       VSVM_HW_QUEUE_RING;
	if (READ_ONCE(ring->hw->first) != first ||
	    READ_ONCE(ring->hw->size) != ring->size)
		return -EIO;
	ring->owner = drmm_kcalloc(&vdev->drm, ring->size, sizeof(*ring->owner),
				   GFP_KERNEL);
	/* What is in a slot may be anything by the time that it counts. */
	if (vdev->keep && engine == VSVM_HW_COPY_FROM_VRAM) {
		ring->dst = drmm_kcalloc(&vdev->drm, ring->size,
					 sizeof(*ring->dst), GFP_KERNEL);
		if (!ring->dst)
			return -ENOMEM;
	}
	/* All else is 0, as in the shared region. */
	return ring->owner ? 0 : -ENOMEM;
}

/**
 * vsvm_rings_prepare - have rings that can be killed, and no more
 * @vdev: device without a transport
 */
void vsvm_rings_prepare(struct vsvm_device *vdev)
{
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		struct vsvm_ring *ring = &vdev->ring[i];

		spin_lock_init(&ring->lock);
		init_waitqueue_head(&ring->room);
		ring->vdev = vdev;
		ring->engine = i;
	}
}

/**
 * vsvm_rings_init - take over the rings of a transport
 * @vdev: device with a transport
 *
 * Return: 0, -ENOMEM, or -EIO if they make no sense.
 */
int vsvm_rings_init(struct vsvm_device *vdev)
{
	unsigned int i;
	u32 first = 0;
	int err;

	vdev->fault_entries = READ_ONCE(vdev->hw->shared->fifo.size);
	if (!vdev->fault_entries || vdev->fault_entries > VSVM_HW_FAULT_RING)
		return -EIO;
	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		err = vsvm_ring_init(&vdev->ring[i], first);
		if (err)
			return err;
		first += vdev->ring[i].size;
	}
	return 0;
}

static int vsvm_ring_errno(struct vsvm_ring *ring, struct vsvm_sub *sub,
			   const struct vsvm_hw_cmd *cmd)
{
	const u32 status = READ_ONCE(cmd->status);

	if (status == VSVM_HW_OK)
		return 0;
	if (status == VSVM_HW_ERR_CANCELLED)
		return sub && sub->cancel_error ? sub->cancel_error : -ECANCELED;
	drm_err_ratelimited(&ring->vdev->drm,
			    "engine %u: command %u failed with status %u at %#llx\n",
			    ring->engine, cmd->op, status,
			    READ_ONCE(cmd->result));
	if (status != VSVM_HW_ERR_PEER)
		return -EIO;
	queue_work(ring->vdev->svm_wq, &ring->vdev->link_work);
	return -EREMOTEIO;
}

/* Account for one command that has ended. Called with the lock held. */
static void vsvm_ring_retire(struct vsvm_ring *ring, int error,
			     struct list_head *done)
{
	struct vsvm_hw_cmd *cmd = vsvm_ring_slot(ring, ring->seen);
	struct vsvm_sub *sub = ring->owner[ring->seen & (ring->size - 1)];

	if (sub) {
		if (error && !sub->error) {
			sub->error = error;
			sub->failed = ring->seen;
			sub->result = READ_ONCE(cmd->result);
		}
		if (!--sub->pending)
			list_add_tail(&sub->link, done);
	}
	WRITE_ONCE(ring->seen, ring->seen + 1);
}

static void vsvm_ring_collect(struct vsvm_ring *ring, struct list_head *done)
{
	/* Acquire: the slots before the tail. */
	const u32 tail = smp_load_acquire(&ring->hw->tail);

	if (tail - ring->seen > ring->head - ring->seen)
		return;
	while (ring->seen != tail) {
		const struct vsvm_hw_cmd *cmd = vsvm_ring_slot(ring, ring->seen);
		struct vsvm_sub *sub = ring->owner[ring->seen & (ring->size - 1)];

		if (READ_ONCE(cmd->generation) != ring->generation)
			return;
		vsvm_ring_retire(ring, vsvm_ring_errno(ring, sub, cmd), done);
	}
}

/* Without the lock: a callback may signal a fence, and that calls anything. */
static void vsvm_ring_finish(struct vsvm_ring *ring, struct list_head *done)
{
	struct vsvm_sub *sub, *next;

	list_for_each_entry_safe(sub, next, done, link) {
		list_del_init(&sub->link);
		sub->done(sub);
	}
	if (wq_has_sleeper(&ring->room))
		wake_up_all(&ring->room);
}

/**
 * vsvm_ring_irq - look what the engine has completed
 * @ring: ring
 *
 * Context: any.
 */
void vsvm_ring_irq(struct vsvm_ring *ring)
{
	LIST_HEAD(done);
	unsigned long flags;

	spin_lock_irqsave(&ring->lock, flags);
	if (!ring->dead && !ring->stopped)
		vsvm_ring_collect(ring, &done);
	spin_unlock_irqrestore(&ring->lock, flags);
	vsvm_ring_finish(ring, &done);
}

/**
 * vsvm_ring_stuck - has an engine not completed anything for a whole timeout?
 * @ring: ring, which is not idle
 * @seen: its position at the start of the timeout; gets that of now
 *
 * It may be slow, and have much to do: that is no reason to reset it. Asks the
 * ring, as it may be but an interrupt that got lost, and says so then.
 *
 * Return: true if so.
 */
bool vsvm_ring_stuck(struct vsvm_ring *ring, u32 *seen)
{
	const u32 before = *seen, told = READ_ONCE(ring->seen);

	vsvm_ring_irq(ring);
	*seen = READ_ONCE(ring->seen);
	if (*seen != told)
		drm_notice(&ring->vdev->drm, "engine %u: an interrupt got lost\n",
			   ring->engine);
	return *seen == before;
}

/*
 * Ask for an interrupt so often that slots become free in time, and not more:
 * one from outside the virtual machine takes as long as dozens of commands.
 */
static u32 vsvm_ring_irq_step(const struct vsvm_ring *ring)
{
	return max(ring->size / 4, VSVM_RING_BELL_STEP);
}

static void vsvm_ring_wait_room(struct vsvm_ring *ring, u32 num)
{
	u32 seen = READ_ONCE(ring->seen);

	vsvm_transport_doorbell(ring->vdev->hw, ring->engine);
	while (!wait_event_timeout(ring->room,
				   READ_ONCE(ring->dead) ||
				   (!READ_ONCE(ring->stopped) &&
				    vsvm_ring_room(ring) >= num),
				   vsvm_ring_timeout(ring))) {
		if (vsvm_ring_stuck(ring, &seen))
			vsvm_ring_reset(ring, -EIO);
	}
}

static void vsvm_ring_note_dst(struct vsvm_ring *ring, u32 index,
			       const struct vsvm_hw_cmd *cmd)
{
	ring->dst[index & (ring->size - 1)] = (struct vsvm_ring_dst) {
		.addr = cmd->dst,
		.len = VSVM_HW_DST_GET(cmd->flags) == VSVM_HW_SYSTEM ? cmd->len : 0,
	};
}

/*
 * The body of each submission, so it is kept short. The ring has room. Called
 * with the lock held.
 *
 * Return: true if the doorbell has to ring.
 */
static bool vsvm_ring_put(struct vsvm_ring *ring, struct vsvm_sub *sub,
			  const struct vsvm_hw_cmd *cmd, unsigned int num,
			  bool last)
{
	const u32 slots = ring->size - 1, irqs = vsvm_ring_irq_step(ring) - 1;
	const u32 end = ring->head + num;
	bool bell = last;
	u32 head;

	for (head = ring->head; head != end; head++, cmd++) {
		struct vsvm_hw_cmd *slot = &ring->cmd[head & slots];
		const bool irq = !(head & irqs) ||
				 (last && sub && head == end - 1);

		/* Only written: what is read there is anyone's. */
		*slot = *cmd;
		/* Not the ring's generation: not completed. */
		slot->generation = ring->generation - 1;
		if (irq)
			slot->flags = cmd->flags | VSVM_HW_CMD_IRQ;
		ring->owner[head & slots] = sub;
		if (ring->dst)
			vsvm_ring_note_dst(ring, head, cmd);
		bell |= irq || !(head % VSVM_RING_BELL_STEP);
	}
	WRITE_ONCE(ring->head, end);
	if (sub)
		sub->pending += num;
	return bell;
}

/**
 * vsvm_ring_write - add commands to a ring
 * @ring: ring
 * @sub: their submission, or NULL if nobody waits for them
 * @cmd: the commands
 * @num: how many, at most the size of the ring, may be 0
 * @last: no more commands will follow for @sub
 *
 * Sleeps while the ring is full. Commands that cannot be written make the
 * submission fail, so there is one place to look for errors: when it is done.
 *
 * Context: process; does not allocate. With @last and enough room, any.
 */
void vsvm_ring_write(struct vsvm_ring *ring, struct vsvm_sub *sub,
		     const struct vsvm_hw_cmd *cmd, unsigned int num, bool last)
{
	LIST_HEAD(done);
	unsigned long flags;
	bool bell = false;

	spin_lock_irqsave(&ring->lock, flags);
	WARN_ON_ONCE(num && !ring->dead && READ_ONCE(ring->vdev->asleep));
	while (!ring->dead && (ring->stopped || vsvm_ring_room(ring) < num)) {
		spin_unlock_irqrestore(&ring->lock, flags);
		vsvm_ring_wait_room(ring, num);
		spin_lock_irqsave(&ring->lock, flags);
	}
	if (sub && !sub->begun) {
		sub->begun = true;
		sub->first = ring->head;
	}
	if (!ring->dead)
		bell = vsvm_ring_put(ring, sub, cmd, num, last);
	if (sub) {
		if (ring->dead && !sub->error)
			sub->error = -ENODEV;
		sub->end = ring->head;
		if (last && !--sub->pending)
			list_add_tail(&sub->link, &done);
	}
	if (!ring->dead) {
		/* Release: the commands before the new head. */
		smp_store_release(&ring->hw->head, ring->head);
		if (bell)
			vsvm_transport_doorbell(ring->vdev->hw, ring->engine);
	}
	spin_unlock_irqrestore(&ring->lock, flags);
	vsvm_ring_finish(ring, &done);
}

/*
 * Before what is on the ring ends, and with it who has the memory, if the engine
 * may still be at it. Nothing goes in or out of the ring meanwhile.
 */
static void vsvm_ring_keep(struct vsvm_ring *ring)
{
	const u32 head = READ_ONCE(ring->head);
	u32 i;

	if (!ring->dst || !vsvm_keep_active(ring->vdev->keep))
		return;
	for (i = READ_ONCE(ring->seen); i != head; i++) {
		const struct vsvm_ring_dst *dst = &ring->dst[i & (ring->size - 1)];

		vsvm_keep_range(ring->vdev->keep, dst->addr, dst->len);
	}
}

/* Ends all that is on the ring. Called with the lock held. */
static void vsvm_ring_drop(struct vsvm_ring *ring, int error,
			   struct list_head *done)
{
	while (ring->seen != ring->head)
		vsvm_ring_retire(ring, error, done);
}

/* Slots must not be used again before the engine is past them. */
static void vsvm_ring_wait_reset(struct vsvm_ring *ring)
{
	struct vsvm_transport *hw = ring->vdev->hw;
	unsigned int i;

	hw->ops->reset(hw, ring->engine);
	for (i = 0; i < VSVM_RESET_MS; i++) {
		if (READ_ONCE(ring->hw->tail) == ring->head || !hw->ops->alive(hw))
			return;
		usleep_range(500, 1000);
	}
	if (hw->ops->give_up)
		hw->ops->give_up(hw);
}

static void vsvm_ring_reset_locked(struct vsvm_ring *ring, int error)
{
	struct vsvm_device *vdev = ring->vdev;
	LIST_HEAD(done);
	u32 i;

	lockdep_assert_held(&vdev->reset_lock);
	scoped_guard(spinlock_irq, &ring->lock) {
		if (ring->dead || ring->seen == ring->head)
			return;
		ring->stopped = true;
		ring->generation++;
		WRITE_ONCE(ring->hw->generation, ring->generation);
		/* The engine may still run up to head: let it do nothing. */
		for (i = ring->seen; i != ring->head; i++)
			WRITE_ONCE(vsvm_ring_slot(ring, i)->op, VSVM_HW_NOP);
	}
	drm_warn(&vdev->drm, "engine %u: reset\n", ring->engine);
	vsvm_ring_wait_reset(ring);
	vsvm_ring_keep(ring);
	scoped_guard(spinlock_irq, &ring->lock) {
		vsvm_ring_drop(ring, error, &done);
		ring->stopped = false;
	}
	vsvm_ring_finish(ring, &done);
}

/**
 * vsvm_ring_reset - stop an engine and let it begin anew
 * @ring: its ring; nothing is done if it is empty
 * @error: what the commands that were on it fail with
 *
 * On return the engine touches no memory on behalf of those commands. When the
 * paging engine drops commands, no page table can be relied on any more: the
 * queues are stopped too, and no address space of now runs another job.
 *
 * Context: process; does not allocate.
 */
void vsvm_ring_reset(struct vsvm_ring *ring, int error)
{
	struct vsvm_device *vdev = ring->vdev;
	unsigned int i;

	guard(mutex)(&vdev->reset_lock);
	/* Somebody else did. */
	if (vsvm_ring_idle(ring))
		return;
	if (ring->engine == VSVM_HW_PAGING)
		WRITE_ONCE(vdev->epoch, vdev->epoch + 1);
	vsvm_ring_reset_locked(ring, error);
	if (ring->engine != VSVM_HW_PAGING)
		return;
	for (i = 0; i < VSVM_HW_NUM_QUEUES; i++)
		vsvm_ring_reset_locked(&vdev->ring[VSVM_HW_QUEUE0 + i], -EIO);
}

/**
 * vsvm_rings_kill - the hardware goes away
 * @vdev: device
 *
 * Fails what is on the rings, and all that will be written from now on, with
 * -ENODEV. The transport may be destroyed afterwards.
 */
void vsvm_rings_kill(struct vsvm_device *vdev)
{
	unsigned int i;

	for (i = 0; i < VSVM_HW_NUM_ENGINES; i++) {
		struct vsvm_ring *ring = &vdev->ring[i];
		LIST_HEAD(done);

		scoped_guard(spinlock_irq, &ring->lock)
			ring->dead = true;
		vsvm_ring_keep(ring);
		scoped_guard(spinlock_irq, &ring->lock)
			vsvm_ring_drop(ring, -ENODEV, &done);
		vsvm_ring_finish(ring, &done);
	}
}

/* Called with the lock held. Slots up to @end are cancelled. */
static void vsvm_ring_cancel_to(struct vsvm_ring *ring, u32 end)
{
	WRITE_ONCE(ring->hw->cancel, end);
	vsvm_transport_doorbell(ring->vdev->hw, ring->engine);
}

/**
 * vsvm_ring_cancel - end the submission that a command belongs to
 * @ring: ring
 * @index: of the command; ignored if it has completed
 * @error: what the submission fails with
 */
void vsvm_ring_cancel(struct vsvm_ring *ring, u32 index, int error)
{
	struct vsvm_sub *sub;

	guard(spinlock_irqsave)(&ring->lock);
	if (ring->dead || index - ring->seen >= ring->head - ring->seen)
		return;
	sub = ring->owner[index & (ring->size - 1)];
	if (!sub)
		return;
	if (!sub->cancel_error)
		sub->cancel_error = error;
	vsvm_ring_cancel_to(ring, sub->end);
}

/**
 * vsvm_ring_cancel_all - end all submissions
 * @ring: ring
 * @error: what they fail with
 */
void vsvm_ring_cancel_all(struct vsvm_ring *ring, int error)
{
	u32 i;

	guard(spinlock_irqsave)(&ring->lock);
	if (ring->dead)
		return;
	for (i = ring->seen; i != ring->head; i++) {
		struct vsvm_sub *sub = ring->owner[i & (ring->size - 1)];

		if (sub && !sub->cancel_error)
			sub->cancel_error = error;
	}
	vsvm_ring_cancel_to(ring, ring->head);
}

/**
 * vsvm_ring_replay - let a stalled kernel try again
 * @ring: ring of a compute queue
 */
void vsvm_ring_replay(struct vsvm_ring *ring)
{
	guard(spinlock_irqsave)(&ring->lock);
	if (ring->dead)
		return;
	/* Release: the page tables were written before. */
	smp_store_release(&ring->hw->replay, ++ring->replay);
	vsvm_transport_doorbell(ring->vdev->hw, ring->engine);
}

/**
 * vsvm_ring_idle - has all completed?
 * @ring: ring
 *
 * Return: true if no command is on the ring.
 */
bool vsvm_ring_idle(struct vsvm_ring *ring)
{
	return vsvm_ring_room(ring) == ring->size;
}

static void vsvm_wait_done(struct vsvm_sub *sub)
{
	complete(&container_of(sub, struct vsvm_wait, sub)->done);
}

/**
 * vsvm_wait_init - make ready to wait for a submission
 * @wait: on the stack of who waits
 */
void vsvm_wait_init(struct vsvm_wait *wait)
{
	vsvm_sub_init(&wait->sub, vsvm_wait_done);
	init_completion(&wait->done);
}

/* Leaves the processor to who needs it. */
static void vsvm_wait_poll(struct vsvm_ring *ring, struct vsvm_wait *wait)
{
	const unsigned int us = ring->vdev->hw->poll_us;
	const u64 end = ktime_get_ns() + us * NSEC_PER_USEC;

	while (us && !completion_done(&wait->done)) {
		if (READ_ONCE(ring->hw->tail) != READ_ONCE(ring->seen))
			vsvm_ring_irq(ring);
		if (need_resched() || ktime_get_ns() > end)
			break;
		cpu_relax();
	}
}

/**
 * vsvm_wait_for - wait until a submission has completed
 * @ring: where it was written to
 * @wait: the submission, after vsvm_push_end()
 *
 * Uninterruptible, but bounded: an engine that gets stuck is reset.
 *
 * Return: 0, -EIO or -ENODEV.
 */
int vsvm_wait_for(struct vsvm_ring *ring, struct vsvm_wait *wait)
{
	u32 seen = READ_ONCE(ring->seen);

	vsvm_wait_poll(ring, wait);
	/* Also what was polled for: its completer must be through with it. */
	while (!wait_for_completion_timeout(&wait->done, vsvm_ring_timeout(ring))) {
		if (vsvm_ring_stuck(ring, &seen) && !completion_done(&wait->done))
			vsvm_ring_reset(ring, -EIO);
	}
	return wait->sub.error;
}

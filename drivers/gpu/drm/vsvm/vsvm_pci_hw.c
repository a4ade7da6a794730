// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The PCI transport: the hardware runs in a process outside the virtual machine.
 *
 *	doorbell ── register of BAR 0 ──> process ── MSI-X ──> irq callback
 *
 * What is more than a doorbell is a request in BAR 2 that the device answers.
 * Every wait for an answer is bounded: engines that do not answer are replaced,
 * by a doorbell that does not need them. Then, and whenever the process dies by
 * itself, the device is lost: its generation is no more the one that was made,
 * nothing of VRAM is left, and somebody else has to make a new connection.
 *
 * Nothing that the device writes is relied on. The worst that it can do is to
 * say that it is lost.
 */
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "vsvm_dma.h"
#include "vsvm_drv.h"
#include "vsvm_keep.h"
#include "vsvm_pci.h"
#include "vsvm_transport.h"

/* An engine finishes a slice of what it does before it stops: less than 1 ms. */
#define VSVM_PCI_ANSWER_MS	1000
/* All of VRAM is written: some GiB, on a machine that has other things to do. */
#define VSVM_PCI_RESET_MS	10000
/* To end the engines, and to start others. */
#define VSVM_PCI_REPLACE_MS	2000
/* A doorbell may be lost while the function is being plugged in. */
#define VSVM_PCI_AGAIN_MS	50

/*
 * An interrupt wakes three threads of the host one after the other, which takes
 * 20 us on a machine that is awake and over 100 us on one whose processors sleep.
 * Most of what is waited for takes no longer than this: 2 MiB do not.
 */
#define VSVM_PCI_POLL_US	300

struct vsvm_pci_vector {
	struct vsvm_pci_hw *hw;
	unsigned int vector;
	char name[24];
};

/**
 * struct vsvm_pci_hw - one function's connection
 * @base: base
 * @pci: its BARs
 * @keep: for what the engines may still write to when they are given up
 * @lost_cb: the driver's, called once, in any context
 * @request_lock: one request at a time; nothing below
 * @request: number of the last one
 * @generation: that was made by the RESET
 * @up: the RESET was answered: another generation or state is a loss
 * @lost: so it was
 * @answered: woken by the control interrupt
 * @num_irqs: vectors that have a handler
 * @vec: what the handlers get
 */
struct vsvm_pci_hw {
	struct vsvm_transport base;
	const struct vsvm_pci *pci;
	struct vsvm_keep *keep;
	void (*lost_cb)(void *data);
	/* One request at a time. */
	struct mutex request_lock;
	u32 request;
	u32 generation;
	bool up;
	bool lost;
	wait_queue_head_t answered;
	unsigned int num_irqs;
	struct vsvm_pci_vector vec[VSVM_PCI_NUM_VECTORS];
};

static struct vsvm_pci_hw *to_pci_hw(struct vsvm_transport *t)
{
	return container_of(t, struct vsvm_pci_hw, base);
}

/**
 * vsvm_pci_hw_function - whose connection is it?
 * @hw: connection
 *
 * Return: the function.
 */
const struct vsvm_pci *vsvm_pci_hw_function(const struct vsvm_pci_hw *hw)
{
	return hw->pci;
}

/**
 * vsvm_pci_hw_keep - do not let go of memory for now
 * @hw: connection to a device that did not answer
 * @addr: DMA address that it knows
 * @len: bytes
 */
void vsvm_pci_hw_keep(struct vsvm_pci_hw *hw, dma_addr_t addr, u64 len)
{
	vsvm_keep_begin(hw->keep);
	vsvm_keep_range(hw->keep, addr, len);
}

static void vsvm_pci_hw_bell(struct vsvm_pci_hw *hw, enum vsvm_pci_bell bell)
{
	/* Before that: all stores to BAR 2, and those of page tables and data. */
	wmb();
	writel_relaxed(VSVM_PCI_RING(bell), hw->pci->regs + VSVM_PCI_DOORBELL);
}

/* The engines of this connection are no more, or do nothing. */
static bool vsvm_pci_hw_is_off(const struct vsvm_pci_hw *hw)
{
	const struct vsvm_pci_device *device = &hw->pci->bar->device;

	return READ_ONCE(device->magic) == VSVM_PCI_MAGIC &&
	       (READ_ONCE(device->state) != VSVM_PCI_RUNNING ||
		READ_ONCE(device->generation) != hw->generation);
}

/* One that is being switched off cannot get lost any more. */
static void vsvm_pci_hw_lose(struct vsvm_pci_hw *hw)
{
	if (!READ_ONCE(hw->up) || READ_ONCE(hw->lost))
		return;
	/* Before anybody lets go of memory. */
	if (!vsvm_pci_hw_is_off(hw))
		vsvm_keep_begin(hw->keep);
	if (xchg(&hw->lost, true))
		return;
	WRITE_ONCE(hw->pci->bar->driver.master, 0);
	wake_up_all(&hw->answered);
	hw->lost_cb(hw->base.data);
}

/* Is it still what it was when it answered the RESET? */
static void vsvm_pci_hw_look(struct vsvm_pci_hw *hw)
{
	const struct vsvm_pci_device *device = &hw->pci->bar->device;

	/* Acquire: the generation. */
	if (smp_load_acquire(&hw->up) &&
	    (READ_ONCE(device->magic) != VSVM_PCI_MAGIC ||
	     READ_ONCE(device->state) != VSVM_PCI_RUNNING ||
	     READ_ONCE(device->generation) != hw->generation))
		vsvm_pci_hw_lose(hw);
}

static irqreturn_t vsvm_pci_hw_irq(int irq, void *data)
{
	struct vsvm_pci_vector *vec = data;
	struct vsvm_pci_hw *hw = vec->hw;

	if (vec->vector == VSVM_PCI_VEC_CONTROL) {
		vsvm_pci_hw_look(hw);
		wake_up_all(&hw->answered);
	} else if (vsvm_transport_is_open(&hw->base)) {
		hw->base.irq(hw->base.data, vec->vector);
	}
	return IRQ_HANDLED;
}

static bool vsvm_pci_hw_is_lost(struct vsvm_pci_hw *hw)
{
	return READ_ONCE(hw->up) && READ_ONCE(hw->lost);
}

static bool vsvm_pci_hw_has_answer(struct vsvm_pci_hw *hw)
{
	/* Acquire: the result, and all that was done before. */
	return smp_load_acquire(&hw->pci->bar->device.answer) == hw->request;
}

static bool vsvm_pci_hw_wait(struct vsvm_pci_hw *hw, unsigned int ms)
{
	const unsigned long end = jiffies + msecs_to_jiffies(ms);
	bool done;

	do {
		vsvm_pci_hw_bell(hw, VSVM_PCI_BELL_CONTROL);
		done = wait_event_timeout(hw->answered,
					  vsvm_pci_hw_has_answer(hw) ||
					  vsvm_pci_hw_is_lost(hw),
					  msecs_to_jiffies(VSVM_PCI_AGAIN_MS));
		/* Nobody may be told who has no interrupts any more. */
		vsvm_pci_hw_look(hw);
	} while (!done && time_before(jiffies, end));
	return done;
}

static int vsvm_pci_hw_result(struct vsvm_pci_hw *hw)
{
	if (vsvm_pci_hw_is_lost(hw))
		return -ENODEV;
	return READ_ONCE(hw->pci->bar->device.result) == VSVM_HW_OK ? 0 : -EIO;
}

/**
 * vsvm_pci_hw_request - have the device do something, and wait for it
 * @hw: connection
 * @op: what
 * @arg: its arguments
 * @num: how many, at most VSVM_PCI_NUM_ARGS
 *
 * Context: process; does not allocate. Returns within seconds.
 *
 * Return: 0; -EIO if the device says no; -ENODEV if it was lost meanwhile;
 * -ETIMEDOUT if there is nobody who could answer.
 */
int vsvm_pci_hw_request(struct vsvm_pci_hw *hw, enum vsvm_pci_op op,
			const u64 *arg, unsigned int num)
{
	struct vsvm_pci_driver *driver = &hw->pci->bar->driver;
	unsigned int i;

	guard(mutex)(&hw->request_lock);
	if (vsvm_pci_hw_is_lost(hw))
		return -ENODEV;
	for (i = 0; i < VSVM_PCI_NUM_ARGS; i++)
		WRITE_ONCE(driver->arg[i], i < num ? arg[i] : 0);
	WRITE_ONCE(driver->op, op);
	/* One that the device has not seen, or it would not look. */
	if (++hw->request == READ_ONCE(hw->pci->bar->device.answer))
		hw->request++;
	/* Release: what is asked for. */
	smp_store_release(&driver->request, hw->request);
	if (vsvm_pci_hw_wait(hw, op == VSVM_PCI_OP_RESET ? VSVM_PCI_RESET_MS :
							   VSVM_PCI_ANSWER_MS))
		return vsvm_pci_hw_result(hw);
	dev_warn(&hw->pci->pdev->dev, "no answer, engines are replaced\n");
	vsvm_pci_hw_bell(hw, VSVM_PCI_BELL_RESET);
	if (vsvm_pci_hw_wait(hw, VSVM_PCI_REPLACE_MS))
		return vsvm_pci_hw_result(hw);
	dev_err(&hw->pci->pdev->dev, "the device does not answer\n");
	return -ETIMEDOUT;
}

static void vsvm_pci_hw_doorbell(struct vsvm_transport *t, unsigned int engine)
{
	struct vsvm_pci_hw *hw = to_pci_hw(t);

	if (engine >= VSVM_HW_QUEUE0) {
		WRITE_ONCE(hw->pci->bar->bell[engine], 1);
		engine = VSVM_PCI_BELL_COMPUTE;
	}
	vsvm_pci_hw_bell(hw, engine);
}

static void vsvm_pci_hw_reset(struct vsvm_transport *t, unsigned int engine)
{
	struct vsvm_pci_hw *hw = to_pci_hw(t);
	const u64 arg[] = { engine };

	/* Without an engine that obeys there is nothing to go on with. */
	if (vsvm_pci_hw_request(hw, VSVM_PCI_OP_ENGINE_RESET, arg, ARRAY_SIZE(arg)))
		vsvm_pci_hw_lose(hw);
}

static void vsvm_pci_hw_set_link(struct vsvm_transport *t, bool up)
{
	const u64 arg[] = { up };

	if (vsvm_pci_hw_request(to_pci_hw(t), VSVM_PCI_OP_LINK, arg, ARRAY_SIZE(arg)))
		vsvm_pci_hw_lose(to_pci_hw(t));
}

static bool vsvm_pci_hw_alive(struct vsvm_transport *t)
{
	return !READ_ONCE(to_pci_hw(t)->lost);
}

/* Engines that died touch no memory; those that only do not answer might. */
static void vsvm_pci_hw_off(struct vsvm_pci_hw *hw)
{
	WRITE_ONCE(hw->up, false);
	WRITE_ONCE(hw->pci->bar->driver.master, 0);
	if (READ_ONCE(hw->pci->bar->device.state) != VSVM_PCI_DEAD &&
	    vsvm_pci_hw_request(hw, VSVM_PCI_OP_OFF, NULL, 0) == -ETIMEDOUT)
		vsvm_keep_begin(hw->keep);
	else
		vsvm_keep_end(hw->keep);
}

/* An answer is no proof for one that lies, but for one that is only stuck. */
static void vsvm_pci_hw_give_up(struct vsvm_transport *t)
{
	struct vsvm_pci_hw *hw = to_pci_hw(t);

	dev_err(&hw->pci->pdev->dev, "an engine does not obey\n");
	vsvm_pci_hw_request(hw, VSVM_PCI_OP_OFF, NULL, 0);
	vsvm_pci_hw_lose(hw);
}

static void vsvm_pci_hw_quiesce(struct vsvm_transport *t)
{
	vsvm_pci_hw_off(to_pci_hw(t));
}

static void vsvm_pci_hw_free_irqs(struct vsvm_pci_hw *hw)
{
	struct pci_dev *pdev = hw->pci->pdev;

	while (hw->num_irqs--)
		free_irq(pci_irq_vector(pdev, hw->num_irqs), &hw->vec[hw->num_irqs]);
	pci_free_irq_vectors(pdev);
}

static void vsvm_pci_hw_destroy(struct vsvm_transport *t)
{
	struct vsvm_pci_hw *hw = to_pci_hw(t);

	vsvm_pci_hw_off(hw);
	vsvm_pci_hw_free_irqs(hw);
	mutex_destroy(&hw->request_lock);
	kfree(hw);
}

static const struct vsvm_transport_ops vsvm_pci_hw_ops = {
	.doorbell = vsvm_pci_hw_doorbell,
	.reset = vsvm_pci_hw_reset,
	.set_link = vsvm_pci_hw_set_link,
	.alive = vsvm_pci_hw_alive,
	.give_up = vsvm_pci_hw_give_up,
	.quiesce = vsvm_pci_hw_quiesce,
	.destroy = vsvm_pci_hw_destroy,
};

static int vsvm_pci_hw_request_irqs(struct vsvm_pci_hw *hw)
{
	struct pci_dev *pdev = hw->pci->pdev;
	unsigned int i;
	int err;

	err = pci_alloc_irq_vectors(pdev, VSVM_PCI_NUM_VECTORS,
				    VSVM_PCI_NUM_VECTORS, PCI_IRQ_MSIX);
	if (err < 0)
		return dev_err_probe(&pdev->dev, err, "no %u interrupts\n",
				     VSVM_PCI_NUM_VECTORS);
	for (i = 0; i < VSVM_PCI_NUM_VECTORS; i++) {
		struct vsvm_pci_vector *vec = &hw->vec[i];

		vec->hw = hw;
		vec->vector = i;
		snprintf(vec->name, sizeof(vec->name), "vsvm-%s-%u",
			 pci_name(pdev), i);
		err = request_irq(pci_irq_vector(pdev, i), vsvm_pci_hw_irq, 0,
				  vec->name, vec);
		if (err)
			break;
		hw->num_irqs++;
	}
	if (err)
		vsvm_pci_hw_free_irqs(hw);
	return err;
}

/* Return: entries of the table of live mappings; 0: there is none. */
static unsigned int vsvm_pci_hw_map_table(struct vsvm_pci_hw *hw)
{
	const struct vsvm_dma *dma = vsvm_dma_of(&hw->pci->pdev->dev);

	return dma ? vsvm_dma_table(dma, hw->pci->bar->map, VSVM_PCI_MAP_ENTRIES) :
		     0;
}

/* Return: 0, with the engines running, or an error that was told. */
static int vsvm_pci_hw_handshake(struct vsvm_pci_hw *hw,
				 const struct vsvm_transport_config *config)
{
	struct vsvm_pci_bar *bar = hw->pci->bar;
	const u64 flags =
		(IS_ENABLED(CONFIG_DRM_VSVM_DEBUG) ? VSVM_PCI_RESET_SANITIZE : 0) |
		(config->link != VSVM_NO_LINK ? VSVM_PCI_RESET_LINK : 0);
	const u64 arg[VSVM_PCI_NUM_ARGS] = {
		[VSVM_PCI_ARG_VRAM_SIZE] = config->vram_size,
		[VSVM_PCI_ARG_FAULT_ENTRIES] = config->fault_entries,
		[VSVM_PCI_ARG_COPY_BYTES_PER_S] = config->copy_bytes_per_s,
		[VSVM_PCI_ARG_COPY_LATENCY_NS] = config->copy_latency_ns,
		[VSVM_PCI_ARG_FLAGS] = flags,
		[VSVM_PCI_ARG_MAP_PAGES] = vsvm_pci_hw_map_table(hw),
	};
	struct device *dev = &hw->pci->pdev->dev;
	int err;

	/* Not that of a request that is still to be answered. */
	hw->request = READ_ONCE(bar->driver.request);
	WRITE_ONCE(bar->driver.master, 0);
	err = vsvm_pci_hw_request(hw, VSVM_PCI_OP_RESET, arg, ARRAY_SIZE(arg));
	if (err)
		return dev_err_probe(dev, err, "the device cannot be reset\n");
	/* The engines of before are no more, whatever became of them. */
	vsvm_keep_end(hw->keep);
	hw->generation = READ_ONCE(bar->device.generation);
	if (READ_ONCE(bar->shared.magic) != VSVM_HW_MAGIC ||
	    READ_ONCE(bar->shared.version) != VSVM_HW_VERSION)
		return dev_err_probe(dev, -ENXIO,
				     "the engines speak version %u, the driver %u\n",
				     READ_ONCE(bar->shared.version),
				     VSVM_HW_VERSION);
	WRITE_ONCE(bar->driver.master, hw->generation);
	/* Release: the generation. From here on it may get lost. */
	smp_store_release(&hw->up, true);
	vsvm_pci_hw_look(hw);
	return 0;
}

static int vsvm_pci_hw_init(struct vsvm_pci_hw *hw,
			    const struct vsvm_transport_config *config)
{
	int err;

	err = vsvm_pci_check_before(hw->pci, config->vram_size);
	if (err)
		return err;
	err = vsvm_pci_hw_request_irqs(hw);
	if (err)
		return err;
	err = vsvm_pci_hw_handshake(hw, config);
	if (!err)
		err = vsvm_pci_check_memory(hw);
	if (err) {
		vsvm_pci_hw_off(hw);
		vsvm_pci_hw_free_irqs(hw);
	}
	return err;
}

/**
 * vsvm_pci_hw_create - connect to hardware in a process
 * @pci: function, with bus mastering enabled
 * @config: what the hardware shall be like. It has no more VRAM than the process
 *	offers, and its number on the link is the process's affair
 * @irq: see struct vsvm_transport; called in interrupts
 * @lost: the hardware is gone, and VRAM with it; called once, in any context
 * @data: first argument of @irq and @lost
 *
 * Context: process; allocates.
 * Return: the transport; its @destroy frees it. ERR_PTR() of -ENOMEM; of -ENXIO
 * or -EIO if the device and this machine do not fit; of -ENODEV or -ETIMEDOUT if
 * it does not answer. The log says why.
 */
struct vsvm_transport *
vsvm_pci_hw_create(const struct vsvm_pci *pci,
		   const struct vsvm_transport_config *config,
		   void (*irq)(void *data, unsigned int vector),
		   void (*lost)(void *data), void *data)
{
	/* Once: what is checked must be what is used, whatever the device does. */
	const u64 there = READ_ONCE(pci->bar->device.vram_size);
	struct vsvm_transport_config fits = *config;
	struct vsvm_pci_hw *hw;
	int err;

	hw = kzalloc_obj(*hw);
	if (!hw)
		return ERR_PTR(-ENOMEM);
	fits.vram_size = min(config->vram_size, round_down(there, SZ_2M));
	hw->base.ops = &vsvm_pci_hw_ops;
	hw->base.shared = &pci->bar->shared;
	hw->base.vram_size = fits.vram_size;
	hw->base.stale_code = READ_ONCE(pci->bar->device.caps) &
			      VSVM_PCI_CAP_STALE_CODE;
	hw->base.poll_us = VSVM_PCI_POLL_US;
	hw->base.irq = irq;
	hw->base.data = data;
	hw->pci = pci;
	hw->keep = config->keep;
	hw->lost_cb = lost;
	mutex_init(&hw->request_lock);
	init_waitqueue_head(&hw->answered);
	err = vsvm_pci_hw_init(hw, &fits);
	if (err) {
		mutex_destroy(&hw->request_lock);
		kfree(hw);
		return ERR_PTR(err);
	}
	return &hw->base;
}

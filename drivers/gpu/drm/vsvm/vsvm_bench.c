// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The copy engines and their transport alone, without mm, for measurements and
 * tests by two files in debugfs:
 *
 *	copy_bench	"DIRECTION BYTES PIECE ROUNDS": copy BYTES in commands of
 *			PIECE each, so many times; DIRECTION is to_vram or
 *			from_vram. Read it: ns of a round, least, median, and 99
 *			of 100; MB/s of the median; and MB/s of the median of the
 *			commands alone. A round is all that a driver has to do:
 *			map pages, write commands, wait, unmap. The commands take
 *			from when the first is written until the waiter goes on.
 *	stale_dma	write anything: copy to a page that was just unmapped. The
 *			result is that of the write: 0 if the hardware refused.
 */
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>

#include "vsvm_bo.h"
#include "vsvm_drv.h"
#include "vsvm_pm.h"

#define VSVM_BENCH_MAX_ROUNDS	100000

struct vsvm_bench {
	struct vsvm_device *vdev;
	bool to_vram;
	unsigned int bytes;
	unsigned int piece;
	unsigned int rounds;
	struct vsvm_bo *bo;
	void **mem;		/* of piece bytes each */
	dma_addr_t *addr;
	u64 written;		/* when the first command was about to be */
	u64 waited;
	u32 *ns;		/* of each round */
	u32 *command_ns;	/* and of its commands */
};

/* Of all devices: whoever measures wants to do so alone. */
static DEFINE_MUTEX(vsvm_bench_lock);
static struct {
	unsigned int min;
	unsigned int median;
	unsigned int p99;
	unsigned int mbps;
	unsigned int command_mbps;
} vsvm_bench_result;

static unsigned int vsvm_bench_num(const struct vsvm_bench *b)
{
	return b->bytes / b->piece;
}

static enum dma_data_direction vsvm_bench_dir(const struct vsvm_bench *b)
{
	return b->to_vram ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

static int vsvm_bench_push(struct vsvm_bench *b)
{
	struct vsvm_ring *ring = &b->vdev->ring[b->to_vram ?
						VSVM_HW_COPY_TO_VRAM :
						VSVM_HW_COPY_FROM_VRAM];
	u64 vram = vsvm_bo_offset(b->bo);
	struct vsvm_wait wait;
	struct vsvm_push push;
	unsigned int i;
	int err;

	b->written = ktime_get_ns();
	vsvm_wait_init(&wait);
	vsvm_push_begin(&push, ring, &wait.sub);
	for (i = 0; i < vsvm_bench_num(b); i++, vram += b->piece) {
		if (b->to_vram)
			vsvm_push_copy(&push, VSVM_HW_DST_APERTURE(VSVM_HW_VRAM) |
				       VSVM_HW_SRC_APERTURE(VSVM_HW_SYSTEM),
				       vram, b->addr[i], b->piece);
		else
			vsvm_push_copy(&push, VSVM_HW_DST_APERTURE(VSVM_HW_SYSTEM) |
				       VSVM_HW_SRC_APERTURE(VSVM_HW_VRAM),
				       b->addr[i], vram, b->piece);
	}
	vsvm_push_end(&push);
	err = vsvm_wait_for(ring, &wait);
	b->waited = ktime_get_ns();
	return err;
}

static void vsvm_bench_unmap(struct vsvm_bench *b, unsigned int num)
{
	while (num--)
		dma_unmap_single(b->vdev->drm.dev, b->addr[num], b->piece,
				 vsvm_bench_dir(b));
}

static int vsvm_bench_map(struct vsvm_bench *b)
{
	struct device *dev = b->vdev->drm.dev;
	unsigned int i;

	for (i = 0; i < vsvm_bench_num(b); i++) {
		b->addr[i] = dma_map_single(dev, b->mem[i], b->piece,
					    vsvm_bench_dir(b));
		if (dma_mapping_error(dev, b->addr[i])) {
			vsvm_bench_unmap(b, i);
			return -ENOMEM;
		}
	}
	return 0;
}

static int vsvm_bench_round(struct vsvm_bench *b)
{
	int err;

	err = vsvm_bench_map(b);
	if (err)
		return err;
	err = vsvm_bench_push(b);
	vsvm_bench_unmap(b, vsvm_bench_num(b));
	return err;
}

static int vsvm_bench_order(const void *a, const void *b)
{
	return cmp_int(*(const u32 *)a, *(const u32 *)b);
}

/* bytes / us */
static unsigned int vsvm_bench_mbps(const struct vsvm_bench *b, u32 ns)
{
	return div_u64(b->bytes * 1000ull, max(ns, 1));
}

static int vsvm_bench_run(struct vsvm_bench *b)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < b->rounds && !err; i++) {
		const u64 start = ktime_get_ns();

		err = vsvm_bench_round(b);
		b->ns[i] = min(ktime_get_ns() - start, U32_MAX);
		b->command_ns[i] = min(b->waited - b->written, U32_MAX);
		if (fatal_signal_pending(current) ||
		    drm_dev_is_unplugged(&b->vdev->drm))
			err = err ?: -EINTR;
		cond_resched();
	}
	if (err)
		return err;
	sort(b->ns, b->rounds, sizeof(*b->ns), vsvm_bench_order, NULL);
	vsvm_bench_result.min = b->ns[0];
	vsvm_bench_result.median = b->ns[b->rounds / 2];
	vsvm_bench_result.p99 = b->ns[b->rounds - 1 - b->rounds / 100];
	vsvm_bench_result.mbps = vsvm_bench_mbps(b, b->ns[b->rounds / 2]);
	sort(b->command_ns, b->rounds, sizeof(*b->command_ns), vsvm_bench_order,
	     NULL);
	vsvm_bench_result.command_mbps =
		vsvm_bench_mbps(b, b->command_ns[b->rounds / 2]);
	return 0;
}

static void vsvm_bench_free(struct vsvm_bench *b)
{
	unsigned int i;

	for (i = 0; b->mem && i < vsvm_bench_num(b); i++)
		if (b->mem[i])
			free_pages_exact(b->mem[i], b->piece);
	if (!IS_ERR_OR_NULL(b->bo)) {
		ttm_bo_unreserve(&b->bo->ttm);
		vsvm_bo_put(b->bo);
	}
	kvfree(b->mem);
	kvfree(b->addr);
	kvfree(b->ns);
	kvfree(b->command_ns);
}

static int vsvm_bench_alloc(struct vsvm_bench *b)
{
	const unsigned int num = vsvm_bench_num(b);
	unsigned int i;

	b->mem = kvcalloc(num, sizeof(*b->mem), GFP_KERNEL);
	b->addr = kvcalloc(num, sizeof(*b->addr), GFP_KERNEL);
	b->ns = kvcalloc(b->rounds, sizeof(*b->ns), GFP_KERNEL);
	b->command_ns = kvcalloc(b->rounds, sizeof(*b->command_ns), GFP_KERNEL);
	if (!b->mem || !b->addr || !b->ns || !b->command_ns)
		return -ENOMEM;
	for (i = 0; i < num; i++) {
		b->mem[i] = alloc_pages_exact(b->piece, GFP_KERNEL | __GFP_ZERO);
		if (!b->mem[i])
			return -ENOMEM;
	}
	/* Reserved, so that it stays where it is. */
	b->bo = vsvm_bo_create(b->vdev, VSVM_BO_TABLE,
			       roundup_pow_of_two(b->bytes), NULL);
	return PTR_ERR_OR_ZERO(b->bo);
}

/* Awake, and under drm_dev_enter(). */
static int vsvm_bench_guarded(struct vsvm_device *vdev,
			      int (*run)(struct vsvm_bench *b),
			      struct vsvm_bench *b)
{
	int idx, err;

	guard(mutex)(&vsvm_bench_lock);
	if (!drm_dev_enter(&vdev->drm, &idx))
		return -ENODEV;
	err = vsvm_pm_get(vdev);
	if (!err) {
		err = vsvm_bench_alloc(b);
		if (!err)
			err = run(b);
		vsvm_bench_free(b);
		vsvm_pm_put(vdev);
	}
	drm_dev_exit(idx);
	return err;
}

static ssize_t vsvm_copy_bench_write(struct file *file,
				     const char __user *user, size_t size,
				     loff_t *pos)
{
	struct seq_file *seq = file->private_data;
	struct vsvm_bench b = { .vdev = seq->private };
	char text[64] = {}, dir[16];
	int err;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, size))
		return -EFAULT;
	if (sscanf(text, "%15s %u %u %u", dir, &b.bytes, &b.piece, &b.rounds) != 4)
		return -EINVAL;
	b.to_vram = !strcmp(dir, "to_vram");
	if (!b.to_vram && strcmp(dir, "from_vram"))
		return -EINVAL;
	if (!b.piece || !PAGE_ALIGNED(b.piece) || !b.bytes || b.bytes > SZ_2M ||
	    b.bytes % b.piece || !b.rounds || b.rounds > VSVM_BENCH_MAX_ROUNDS)
		return -EINVAL;
	err = vsvm_bench_guarded(b.vdev, vsvm_bench_run, &b);
	return err ?: size;
}

static int vsvm_copy_bench_show(struct seq_file *seq, void *unused)
{
	guard(mutex)(&vsvm_bench_lock);
	if (!vsvm_bench_result.median)
		return 0;
	seq_printf(seq, "%u %u %u %u %u\n", vsvm_bench_result.min,
		   vsvm_bench_result.median, vsvm_bench_result.p99,
		   vsvm_bench_result.mbps, vsvm_bench_result.command_mbps);
	return 0;
}

static int vsvm_copy_bench_open(struct inode *inode, struct file *file)
{
	return single_open(file, vsvm_copy_bench_show, inode->i_private);
}

static const struct file_operations vsvm_copy_bench_fops = {
	.owner = THIS_MODULE,
	.open = vsvm_copy_bench_open,
	.read = seq_read,
	.write = vsvm_copy_bench_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* The second copy differs in nothing but that the page is not mapped any more. */
static int vsvm_stale_dma_run(struct vsvm_bench *b)
{
	int err;

	err = vsvm_bench_round(b);
	if (err)
		return err;
	return vsvm_bench_push(b) == -EIO ? 0 : -EILSEQ;
}

static ssize_t vsvm_stale_dma_write(struct file *file, const char __user *user,
				    size_t size, loff_t *pos)
{
	struct vsvm_bench b = {
		.vdev = file->private_data,
		.bytes = PAGE_SIZE,
		.piece = PAGE_SIZE,
		.rounds = 1,
	};
	int err = vsvm_bench_guarded(b.vdev, vsvm_stale_dma_run, &b);

	return err ?: size;
}

static const struct debugfs_short_fops vsvm_stale_dma_fops = {
	.write = vsvm_stale_dma_write,
};

/**
 * vsvm_bench_debugfs - make the files
 * @vdev: device
 * @root: its directory
 */
void vsvm_bench_debugfs(struct vsvm_device *vdev, struct dentry *root)
{
	debugfs_create_file("copy_bench", 0600, root, vdev, &vsvm_copy_bench_fops);
	if (IS_ENABLED(CONFIG_DRM_VSVM_DEBUG))
		debugfs_create_file("stale_dma", 0200, root, vdev,
				    &vsvm_stale_dma_fops);
}

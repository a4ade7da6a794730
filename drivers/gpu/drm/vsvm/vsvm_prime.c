// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffer objects as dma-bufs: a name by which one open file of a device hands
 * an object to another. No other device can map one.
 *
 * A client may attach any fence to a dma-buf (DMA_BUF_IOCTL_IMPORT_SYNC_FILE),
 * and no exporter is asked. One that waits for a job which waits for a page
 * fault must not end up where the fault's service waits for it. So the dma-buf
 * has a reservation of its own: what clients attach stays with it, for those
 * who ask the dma-buf, and the object's reservation holds no fence at all.
 */
#include <drm/drm_prime.h>
#include <linux/dma-buf.h>

#include "vsvm_drv.h"
#include "vsvm_gem.h"

static const struct dma_buf_ops vsvm_dmabuf_ops = {
	.attach = drm_gem_map_attach,
	.detach = drm_gem_map_detach,
	.map_dma_buf = drm_gem_map_dma_buf,
	.unmap_dma_buf = drm_gem_unmap_dma_buf,
	.release = drm_gem_dmabuf_release,
	.mmap = drm_gem_dmabuf_mmap,
};

/**
 * vsvm_prime_export - struct drm_gem_object_funcs.export
 * @obj: object
 * @flags: of the file
 *
 * Return: the dma-buf, or ERR_PTR().
 */
struct dma_buf *vsvm_prime_export(struct drm_gem_object *obj, int flags)
{
	struct dma_buf_export_info info = {
		.exp_name = VSVM_NAME,
		.owner = THIS_MODULE,
		.ops = &vsvm_dmabuf_ops,
		.size = obj->size,
		.flags = flags,
		.priv = obj,
	};

	return drm_gem_dmabuf_export(obj->dev, &info);
}

/**
 * vsvm_prime_import - struct drm_driver.gem_prime_import
 * @drm: device
 * @dmabuf: of this device or of anybody
 *
 * Return: the object, referenced, or ERR_PTR(-EINVAL) if it is not ours.
 */
struct drm_gem_object *vsvm_prime_import(struct drm_device *drm,
					 struct dma_buf *dmabuf)
{
	struct drm_gem_object *obj = dmabuf->priv;

	if (dmabuf->ops != &vsvm_dmabuf_ops || obj->dev != drm)
		return ERR_PTR(-EINVAL);
	drm_gem_object_get(obj);
	return obj;
}

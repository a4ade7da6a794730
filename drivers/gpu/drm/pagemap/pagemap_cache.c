// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Pagemaps that nobody uses stay in a cache, because their struct pages take
 * long to make; a shrinker drops them when memory gets short. A cache has one
 * slot, in one of these states:
 *
 *            set_pagemap         last put
 *   EMPTY -------------> ACTIVE ---------> IDLE    on the shrinker's list
 *     ^                    ^               | |
 *     |                    +-- REVIVING <--+ |
 *     |                                      |
 *     +--------------------------------------+     shrinker, or device gone
 *
 * A pagemap whose count is zero while the slot says ACTIVE is about to be put
 * to IDLE by whoever put it; who looks for it waits for that. All of it
 * changes under the shrinker's lock, which is taken in any context.
 *
 * A device that goes closes its cache; from then on the last put destroys the
 * pagemap. Cache and shrinker live as long as a pagemap points to them.
 */
#include <kunit/visibility.h>
#include <linux/device/devres.h>
#include <linux/export.h>
#include <linux/kref.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include <drm/drm_device.h>
#include <drm/drm_pagemap_util.h>

#include "pagemap_internal.h"

struct drm_pagemap_shrinker {
	struct kref ref;
	struct drm_device *drm;
	struct shrinker *shrinker;
	spinlock_t lock;		/* of this, and of its caches' slots */
	struct list_head idle;
	unsigned long idle_cost;	/* see pagemap_cost() */
};

enum pagemap_slot {
	PAGEMAP_SLOT_EMPTY,
	PAGEMAP_SLOT_ACTIVE,
	PAGEMAP_SLOT_IDLE,
	PAGEMAP_SLOT_REVIVING,
};

struct drm_pagemap_cache {
	struct kref ref;
	struct drm_pagemap_shrinker *shrinker;
	struct mutex lookup;		/* one look-up that may create */
	wait_queue_head_t wait;		/* for a change of the state */
	/* The rest is protected by shrinker->lock. */
	enum pagemap_slot state;
	struct drm_pagemap *dpagemap;	/* NULL in EMPTY only */
	bool closed;
};

static void pagemap_shrinker_release(struct kref *ref)
{
	kfree(container_of(ref, struct drm_pagemap_shrinker, ref));
}

static void pagemap_cache_release(struct kref *ref)
{
	struct drm_pagemap_cache *cache =
		container_of(ref, struct drm_pagemap_cache, ref);

	kref_put(&cache->shrinker->ref, pagemap_shrinker_release);
	kfree(cache);
}

/* What an idle pagemap costs: pages full of struct pages. */
static unsigned long pagemap_cost(const struct drm_pagemap *dpagemap)
{
	u64 pages = range_len(&dpagemap->pagemap->range) >> PAGE_SHIFT;

	return max_t(u64, (pages * sizeof(struct page)) >> PAGE_SHIFT, 1);
}

static void pagemap_make_idle(struct drm_pagemap_cache *cache)
{
	struct drm_pagemap_shrinker *shrinker = cache->shrinker;

	lockdep_assert_held(&shrinker->lock);
	cache->state = PAGEMAP_SLOT_IDLE;
	list_add_tail(&cache->dpagemap->shrink_link, &shrinker->idle);
	shrinker->idle_cost += pagemap_cost(cache->dpagemap);
}

/* Take the pagemap off the list; what becomes of the slot is the caller's. */
static struct drm_pagemap *pagemap_take_idle(struct drm_pagemap_cache *cache)
{
	struct drm_pagemap_shrinker *shrinker = cache->shrinker;
	struct drm_pagemap *dpagemap = cache->dpagemap;

	lockdep_assert_held(&shrinker->lock);
	list_del_init(&dpagemap->shrink_link);
	shrinker->idle_cost -= pagemap_cost(dpagemap);

	return dpagemap;
}

static void pagemap_make_empty(struct drm_pagemap_cache *cache)
{
	lockdep_assert_held(&cache->shrinker->lock);
	cache->state = PAGEMAP_SLOT_EMPTY;
	cache->dpagemap = NULL;
}

/* Out of the cache, without references: the caller is the last to know it. */
static void pagemap_destroy_cached(struct drm_pagemap *dpagemap, bool atomic)
{
	struct drm_pagemap_cache *cache = dpagemap->cache;

	dpagemap->cache = NULL;
	drm_pagemap_destroy(dpagemap, atomic);
	kref_put(&cache->ref, pagemap_cache_release);
}

/**
 * drm_pagemap_shrinker_add() - take over a pagemap without references
 * @dpagemap: whose last reference has just gone
 *
 * Context: any.
 */
void drm_pagemap_shrinker_add(struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_cache *cache = dpagemap->cache;
	bool destroy;

	if (!cache) {
		drm_pagemap_destroy(dpagemap, true);
		return;
	}

	scoped_guard(spinlock_irqsave, &cache->shrinker->lock) {
		destroy = cache->closed;
		if (destroy)
			pagemap_make_empty(cache);
		else
			pagemap_make_idle(cache);
		/* Under the lock: a waiter may drop the cache's memory. */
		wake_up_all(&cache->wait);
	}

	if (destroy)
		pagemap_destroy_cached(dpagemap, true);
}

#ifdef CONFIG_PROVE_LOCKING
/**
 * drm_pagemap_shrinker_might_lock() - tell lockdep of the last put
 * @dpagemap: about to lose a reference, which may be the last
 */
void drm_pagemap_shrinker_might_lock(struct drm_pagemap *dpagemap)
{
	struct drm_pagemap_cache *cache = dpagemap->cache;

	if (cache)
		might_lock(&cache->shrinker->lock);
}
#endif

static unsigned long pagemap_shrinker_count(struct shrinker *s,
					    struct shrink_control *sc)
{
	struct drm_pagemap_shrinker *shrinker = s->private_data;

	return READ_ONCE(shrinker->idle_cost) ?: SHRINK_EMPTY;
}

static struct drm_pagemap *
pagemap_shrinker_pop(struct drm_pagemap_shrinker *shrinker)
{
	struct drm_pagemap *dpagemap;

	guard(spinlock_irqsave)(&shrinker->lock);

	dpagemap = list_first_entry_or_null(&shrinker->idle, struct drm_pagemap,
					    shrink_link);
	if (dpagemap) {
		pagemap_take_idle(dpagemap->cache);
		pagemap_make_empty(dpagemap->cache);
	}

	return dpagemap;
}

static unsigned long pagemap_shrinker_scan(struct shrinker *s,
					   struct shrink_control *sc)
{
	struct drm_pagemap_shrinker *shrinker = s->private_data;
	struct drm_pagemap *dpagemap;
	unsigned long freed = 0;

	while (freed < sc->nr_to_scan) {
		dpagemap = pagemap_shrinker_pop(shrinker);
		if (!dpagemap)
			break;

		freed += pagemap_cost(dpagemap);
		pagemap_destroy_cached(dpagemap, true);
	}

	return freed ?: SHRINK_STOP;
}

#if IS_ENABLED(CONFIG_KUNIT)
/* For a test that asks as reclaim does. */
struct shrinker *pagemap_shrinker_mm(struct drm_pagemap_shrinker *shrinker)
{
	return shrinker->shrinker;
}
EXPORT_SYMBOL_IF_KUNIT(pagemap_shrinker_mm);
#endif

static void pagemap_shrinker_fini(void *data)
{
	struct drm_pagemap_shrinker *shrinker = data;

	shrinker_free(shrinker->shrinker);
	kref_put(&shrinker->ref, pagemap_shrinker_release);
}

/**
 * drm_pagemap_shrinker_create_devm() - make a shrinker for idle pagemaps
 * @drm: DRM device; the shrinker goes with its parent's devres
 *
 * Context: may sleep.
 * Return: the shrinker, or ERR_PTR(-ENOMEM).
 */
struct drm_pagemap_shrinker *drm_pagemap_shrinker_create_devm(struct drm_device *drm)
{
	struct drm_pagemap_shrinker *shrinker = kzalloc_obj(*shrinker);
	int err;

	if (!shrinker)
		return ERR_PTR(-ENOMEM);

	shrinker->shrinker = shrinker_alloc(0, "drm-pagemap:%s", drm->unique);
	if (!shrinker->shrinker) {
		kfree(shrinker);
		return ERR_PTR(-ENOMEM);
	}

	kref_init(&shrinker->ref);
	shrinker->drm = drm;
	spin_lock_init(&shrinker->lock);
	INIT_LIST_HEAD(&shrinker->idle);
	shrinker->shrinker->count_objects = pagemap_shrinker_count;
	shrinker->shrinker->scan_objects = pagemap_shrinker_scan;
	shrinker->shrinker->private_data = shrinker;
	shrinker_register(shrinker->shrinker);

	err = devm_add_action_or_reset(drm->dev, pagemap_shrinker_fini, shrinker);

	return err ? ERR_PTR(err) : shrinker;
}
EXPORT_SYMBOL(drm_pagemap_shrinker_create_devm);

static void pagemap_cache_fini(void *data)
{
	struct drm_pagemap_cache *cache = data;
	struct drm_pagemap *idle = NULL;

	/* Not while somebody revives the pagemap. */
	scoped_guard(mutex, &cache->lookup)
		scoped_guard(spinlock_irq, &cache->shrinker->lock) {
			cache->closed = true;
			if (cache->state == PAGEMAP_SLOT_IDLE) {
				idle = pagemap_take_idle(cache);
				pagemap_make_empty(cache);
			}
		}

	if (idle)
		pagemap_destroy_cached(idle, false);
	kref_put(&cache->ref, pagemap_cache_release);
}

/**
 * drm_pagemap_cache_create_devm() - make a cache for one pagemap
 * @shrinker: that drops it from there when memory is short
 *
 * The cache goes with the device's devres, and its idle pagemap with it. So
 * make it after anything that the pagemap's destroy operation needs.
 *
 * Context: may sleep.
 * Return: the cache, or ERR_PTR(-ENOMEM).
 */
struct drm_pagemap_cache *drm_pagemap_cache_create_devm(struct drm_pagemap_shrinker *shrinker)
{
	struct drm_pagemap_cache *cache = kzalloc_obj(*cache);
	int err;

	if (!cache)
		return ERR_PTR(-ENOMEM);

	kref_init(&cache->ref);
	kref_get(&shrinker->ref);
	cache->shrinker = shrinker;
	mutex_init(&cache->lookup);
	init_waitqueue_head(&cache->wait);

	err = devm_add_action_or_reset(shrinker->drm->dev, pagemap_cache_fini,
				       cache);

	return err ? ERR_PTR(err) : cache;
}
EXPORT_SYMBOL(drm_pagemap_cache_create_devm);

/**
 * drm_pagemap_cache_lock_lookup() - begin a look-up that may create
 * @cache: the cache
 *
 * Context: may sleep.
 * Return: 0, or -EINTR.
 */
int drm_pagemap_cache_lock_lookup(struct drm_pagemap_cache *cache)
{
	return mutex_lock_interruptible(&cache->lookup);
}
EXPORT_SYMBOL(drm_pagemap_cache_lock_lookup);

/**
 * drm_pagemap_cache_unlock_lookup() - end a look-up
 * @cache: the cache
 */
void drm_pagemap_cache_unlock_lookup(struct drm_pagemap_cache *cache)
{
	mutex_unlock(&cache->lookup);
}
EXPORT_SYMBOL(drm_pagemap_cache_unlock_lookup);

/*
 * One look. Sets *@wait if the pagemap is being put; returns it with a
 * reference if it is in use, and without one if it idled and has to be
 * revived.
 */
static struct drm_pagemap *pagemap_cache_look(struct drm_pagemap_cache *cache,
					      bool *idle, bool *wait)
{
	guard(spinlock_irq)(&cache->shrinker->lock);

	*idle = cache->state == PAGEMAP_SLOT_IDLE;
	*wait = false;
	if (*idle) {
		cache->state = PAGEMAP_SLOT_REVIVING;
		return pagemap_take_idle(cache);
	}
	if (drm_pagemap_get_unless_zero(cache->dpagemap))
		return cache->dpagemap;
	*wait = cache->state != PAGEMAP_SLOT_EMPTY;

	return NULL;
}

static bool pagemap_cache_put_done(struct drm_pagemap_cache *cache)
{
	guard(spinlock_irq)(&cache->shrinker->lock);

	return cache->state != PAGEMAP_SLOT_ACTIVE;
}

static struct drm_pagemap *pagemap_cache_revive(struct drm_pagemap_cache *cache,
						struct drm_pagemap *dpagemap)
{
	int err = drm_pagemap_reinit(dpagemap);

	guard(spinlock_irq)(&cache->shrinker->lock);

	if (err) {
		pagemap_make_idle(cache);
		return ERR_PTR(err);
	}
	cache->state = PAGEMAP_SLOT_ACTIVE;

	return dpagemap;
}

/**
 * drm_pagemap_get_from_cache() - get the pagemap, revived if it idled
 * @cache: the cache, locked for a look-up
 *
 * Context: may sleep.
 * Return: the pagemap with a reference; NULL if there is none, and the caller
 *	may make one and hand it in; ERR_PTR(-ERESTARTSYS) or an error of
 *	drm_pagemap_reinit().
 */
struct drm_pagemap *drm_pagemap_get_from_cache(struct drm_pagemap_cache *cache)
{
	struct drm_pagemap *dpagemap;
	bool idle, wait;

	lockdep_assert_held(&cache->lookup);

	for (;;) {
		dpagemap = pagemap_cache_look(cache, &idle, &wait);
		if (idle)
			return pagemap_cache_revive(cache, dpagemap);
		if (!wait)
			return dpagemap;
		if (wait_event_interruptible(cache->wait,
					     pagemap_cache_put_done(cache)))
			return ERR_PTR(-ERESTARTSYS);
	}
}
EXPORT_SYMBOL(drm_pagemap_get_from_cache);

/**
 * drm_pagemap_cache_set_pagemap() - hand a new pagemap to the cache
 * @cache: the cache, locked for a look-up, which found nothing
 * @dpagemap: the pagemap; the caller keeps its reference
 *
 * Context: may sleep.
 */
void drm_pagemap_cache_set_pagemap(struct drm_pagemap_cache *cache,
				   struct drm_pagemap *dpagemap)
{
	lockdep_assert_held(&cache->lookup);

	guard(spinlock_irq)(&cache->shrinker->lock);

	if (WARN_ON(cache->state != PAGEMAP_SLOT_EMPTY))
		return;

	kref_get(&cache->ref);
	dpagemap->cache = cache;
	cache->dpagemap = dpagemap;
	cache->state = PAGEMAP_SLOT_ACTIVE;
}
EXPORT_SYMBOL(drm_pagemap_cache_set_pagemap);

/**
 * drm_pagemap_get_from_cache_if_active() - get the pagemap if it is in use
 * @cache: the cache
 *
 * Context: any, with interrupts on.
 * Return: the pagemap with a reference, or NULL.
 */
struct drm_pagemap *drm_pagemap_get_from_cache_if_active(struct drm_pagemap_cache *cache)
{
	guard(spinlock_irqsave)(&cache->shrinker->lock);

	return drm_pagemap_get_unless_zero(cache->dpagemap);
}
EXPORT_SYMBOL(drm_pagemap_get_from_cache_if_active);

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Lifetime of pagemaps in a cache, and interconnect groups.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/shrinker.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_pagemap.h>
#include <drm/drm_pagemap_util.h>
#include <kunit/device.h>
#include <kunit/test.h>

#include "pagemap_internal.h"

static const struct file_operations cache_fops = { .owner = THIS_MODULE };

static const struct drm_driver cache_driver = {
	.name = "pagemap_cache",
	.desc = "mock device for drm_pagemap",
	.fops = &cache_fops,
};

struct cached {
	struct drm_pagemap base;
	struct kunit *test;
	bool *destroyed;
	bool *atomic;
};

struct cache_fixture {
	struct device *dev;
	struct drm_device *drm;
	struct dev_pagemap pgmap;
	struct drm_pagemap_shrinker *shrinker;
	struct drm_pagemap_cache *cache;
	bool destroyed;
	bool atomic;
};

static void cached_destroy(struct drm_pagemap *dpagemap, bool atomic)
{
	struct cached *c = container_of(dpagemap, struct cached, base);

	*c->destroyed = true;
	*c->atomic = atomic;
	kfree(c);
}

static const struct drm_pagemap_ops cached_ops = { .destroy = cached_destroy };

static struct cache_fixture *cache_create(struct kunit *test)
{
	struct cache_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->dev = kunit_device_register(test, "pagemap_cache");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->dev);
	f->drm = drm_dev_alloc(&cache_driver, f->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->drm);
	f->pgmap.range.end = SZ_16M - 1;
	f->shrinker = drm_pagemap_shrinker_create_devm(f->drm);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->shrinker);
	f->cache = drm_pagemap_cache_create_devm(f->shrinker);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f->cache);

	return f;
}

/* Look up, and create what is not there, as a driver does. */
static struct drm_pagemap *cache_get(struct kunit *test, struct cache_fixture *f)
{
	struct drm_pagemap *dpagemap;
	struct cached *c;

	KUNIT_ASSERT_EQ(test, 0, drm_pagemap_cache_lock_lookup(f->cache));
	dpagemap = drm_pagemap_get_from_cache(f->cache);
	if (!dpagemap) {
		c = kzalloc_obj(*c);
		KUNIT_ASSERT_NOT_NULL(test, c);
		c->destroyed = &f->destroyed;
		c->atomic = &f->atomic;
		KUNIT_ASSERT_EQ(test, 0, drm_pagemap_init(&c->base, &f->pgmap,
							  f->drm, &cached_ops));
		dpagemap = &c->base;
		drm_pagemap_cache_set_pagemap(f->cache, dpagemap);
	}
	drm_pagemap_cache_unlock_lookup(f->cache);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);

	return dpagemap;
}

static void cache_revive_test(struct kunit *test)
{
	struct cache_fixture *f = cache_create(test);
	struct drm_pagemap *first, *again;

	KUNIT_EXPECT_NULL(test, drm_pagemap_get_from_cache_if_active(f->cache));
	first = cache_get(test, f);
	again = drm_pagemap_get_from_cache_if_active(f->cache);
	KUNIT_EXPECT_PTR_EQ(test, again, first);
	drm_pagemap_put(again);
	drm_pagemap_put(first);

	/* Idle: kept, but nobody's. */
	KUNIT_EXPECT_FALSE(test, f->destroyed);
	KUNIT_EXPECT_NULL(test, drm_pagemap_get_from_cache_if_active(f->cache));

	again = cache_get(test, f);
	KUNIT_EXPECT_PTR_EQ(test, again, first);
	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_get_unless_zero(again), again);
	drm_pagemap_put(again);
	drm_pagemap_put(again);

	kunit_device_unregister(test, f->dev);
	KUNIT_EXPECT_TRUE(test, f->destroyed);
	KUNIT_EXPECT_FALSE(test, f->atomic);
	drm_dev_put(f->drm);
}

/* The device goes while the pagemap is in use: the last put destroys it. */
static void cache_outlived_test(struct kunit *test)
{
	struct cache_fixture *f = cache_create(test);
	struct drm_pagemap *dpagemap = cache_get(test, f);

	kunit_device_unregister(test, f->dev);
	KUNIT_EXPECT_FALSE(test, f->destroyed);
	drm_pagemap_put(dpagemap);
	KUNIT_EXPECT_TRUE(test, f->destroyed);
	KUNIT_EXPECT_TRUE(test, f->atomic);
	drm_dev_put(f->drm);
}

static void uncached_test(struct kunit *test)
{
	struct cache_fixture *f = cache_create(test);
	struct drm_pagemap *dpagemap;

	dpagemap = drm_pagemap_create(f->drm, &f->pgmap, &cached_ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dpagemap);
	KUNIT_EXPECT_PTR_EQ(test, drm_pagemap_get(dpagemap), dpagemap);
	KUNIT_EXPECT_EQ(test, kref_read(&dpagemap->ref), 2u);
	drm_pagemap_put(dpagemap);
	KUNIT_EXPECT_NULL(test, drm_pagemap_get(NULL));
	drm_pagemap_put(NULL);
	/* Not one of ours, so without our destroy operation. */
	dpagemap->ops = &(const struct drm_pagemap_ops){};
	drm_pagemap_put(dpagemap);
	kunit_device_unregister(test, f->dev);
	drm_dev_put(f->drm);
}

static unsigned long cache_count(struct cache_fixture *f)
{
	struct shrinker *shrinker = pagemap_shrinker_mm(f->shrinker);
	struct shrink_control sc = {};

	return shrinker->count_objects(shrinker, &sc);
}

static unsigned long cache_scan(struct cache_fixture *f, unsigned long nr)
{
	struct shrinker *shrinker = pagemap_shrinker_mm(f->shrinker);
	struct shrink_control sc = { .nr_to_scan = nr };

	return shrinker->scan_objects(shrinker, &sc);
}

/* An idle pagemap costs its struct pages, and goes when memory is short. */
static void cache_shrink_test(struct kunit *test)
{
	struct cache_fixture *f = cache_create(test);
	unsigned long cost = (SZ_16M / PAGE_SIZE * sizeof(struct page)) >> PAGE_SHIFT;
	struct drm_pagemap *dpagemap;

	KUNIT_EXPECT_EQ(test, cache_count(f), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, cache_scan(f, 1), SHRINK_STOP);
	dpagemap = cache_get(test, f);
	KUNIT_EXPECT_EQ(test, cache_count(f), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, cache_scan(f, 1), SHRINK_STOP);
	drm_pagemap_put(dpagemap);
	KUNIT_EXPECT_EQ(test, cache_count(f), cost);

	KUNIT_EXPECT_EQ(test, cache_scan(f, 1), cost);
	KUNIT_EXPECT_TRUE(test, f->destroyed);
	KUNIT_EXPECT_TRUE(test, f->atomic);
	KUNIT_EXPECT_EQ(test, cache_count(f), SHRINK_EMPTY);

	/* The slot is free for another one. */
	f->destroyed = false;
	dpagemap = cache_get(test, f);
	drm_pagemap_put(dpagemap);
	kunit_device_unregister(test, f->dev);
	KUNIT_EXPECT_TRUE(test, f->destroyed);
	drm_dev_put(f->drm);
}

#define STORM_THREADS	4

struct storm {
	struct kunit *test;
	struct cache_fixture *f;
	unsigned int kind;
	unsigned long done;
	bool stop;
};

/* Gets and puts, looks without creating, or shrinks. */
static int storm_thread(void *data)
{
	struct storm *s = data;

	while (!READ_ONCE(s->stop)) {
		struct drm_pagemap *dpagemap = NULL;

		switch (s->kind) {
		case 2:
			dpagemap = drm_pagemap_get_from_cache_if_active(s->f->cache);
			break;
		case 3:
			cache_scan(s->f, 1);
			break;
		default:
			dpagemap = cache_get(s->test, s->f);
			break;
		}
		if (dpagemap && dpagemap->drm != s->f->drm)
			KUNIT_FAIL(s->test, "not a pagemap");
		if (s->done++ % 3 == 0)
			cond_resched();
		drm_pagemap_put(dpagemap);
	}

	/* kthread_stop() interrupts sleeps, so not before. */
	while (!kthread_should_stop())
		schedule_timeout_idle(1);

	return 0;
}

/* Last puts, revivals, creations and shrinks meet in all orders. */
static void cache_storm_test(struct kunit *test)
{
	struct cache_fixture *f = cache_create(test);
	struct storm storm[STORM_THREADS] = {};
	struct task_struct *thread[STORM_THREADS];

	for (unsigned int i = 0; i < STORM_THREADS; i++) {
		storm[i] = (struct storm) { .test = test, .f = f, .kind = i };
		thread[i] = kthread_run(storm_thread, &storm[i], "storm-%u", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread[i]);
	}
	msleep(2000);
	for (unsigned int i = 0; i < STORM_THREADS; i++) {
		WRITE_ONCE(storm[i].stop, true);
		msleep(100);
		kthread_stop(thread[i]);
		KUNIT_EXPECT_GT(test, storm[i].done, 0ul);
	}

	f->destroyed = false;
	drm_pagemap_put(cache_get(test, f));
	kunit_device_unregister(test, f->dev);
	KUNIT_EXPECT_TRUE(test, f->destroyed);
	drm_dev_put(f->drm);
}

/* Links between peers, as a matrix: bit j of links[i]. */
static const u8 links[] = { 0x2, 0x5, 0x2, 0x0 };

static bool linked(struct drm_pagemap_peer *a, struct drm_pagemap_peer *b)
{
	return links[(unsigned long)a->private] & 1 << (unsigned long)b->private;
}

static void owner_test(struct kunit *test)
{
	static DRM_PAGEMAP_OWNER_LIST_DEFINE(list);
	struct drm_pagemap_peer peer[4] = {};

	for (unsigned long i = 0; i < 4; i++) {
		peer[i].private = (void *)i;
		KUNIT_ASSERT_EQ(test, 0, drm_pagemap_acquire_owner(&peer[i], &list,
								   linked));
	}

	/* 0 and 1 reach each other; 2 reaches 1 but not 0; 3 reaches none. */
	KUNIT_EXPECT_PTR_EQ(test, peer[0].owner, peer[1].owner);
	KUNIT_EXPECT_PTR_NE(test, peer[2].owner, peer[1].owner);
	KUNIT_EXPECT_PTR_NE(test, peer[3].owner, peer[2].owner);

	/* Without 0, 2 can join 1. */
	drm_pagemap_release_owner(&peer[0]);
	drm_pagemap_release_owner(&peer[2]);
	KUNIT_ASSERT_EQ(test, 0, drm_pagemap_acquire_owner(&peer[2], &list, linked));
	KUNIT_EXPECT_PTR_EQ(test, peer[2].owner, peer[1].owner);

	for (int i = 0; i < 4; i++) {
		drm_pagemap_release_owner(&peer[i]);
		KUNIT_EXPECT_NULL(test, peer[i].owner);
		/* Once more is harmless. */
		drm_pagemap_release_owner(&peer[i]);
	}
	KUNIT_EXPECT_TRUE(test, list_empty(&list.peers));
}

static struct kunit_case cache_cases[] = {
	KUNIT_CASE(cache_revive_test),
	KUNIT_CASE(cache_outlived_test),
	KUNIT_CASE(uncached_test),
	KUNIT_CASE(cache_shrink_test),
	KUNIT_CASE(cache_storm_test),
	KUNIT_CASE(owner_test),
	{}
};

static struct kunit_suite cache_suite = {
	.name = "drm_pagemap_cache",
	.test_cases = cache_cases,
};

kunit_test_suite(cache_suite);

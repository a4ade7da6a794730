/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef _DRM_PAGEMAP_UTIL_H_
#define _DRM_PAGEMAP_UTIL_H_

#include <linux/list.h>
#include <linux/mutex.h>

struct drm_device;
struct drm_pagemap;
struct drm_pagemap_cache;
struct drm_pagemap_owner;
struct drm_pagemap_shrinker;

/**
 * struct drm_pagemap_peer - a member of an interconnect group
 * @list: the list it joined, NULL while it is in none
 * @link: place in the list
 * @owner: the group, for use as dev_pagemap.owner
 * @private: the driver's
 *
 * Members of one group have fast links to each other, and so may map each
 * other's device-private pages.
 */
struct drm_pagemap_peer {
	struct drm_pagemap_owner_list *list;
	struct list_head link;
	struct drm_pagemap_owner *owner;
	void *private;
};

/**
 * struct drm_pagemap_owner_list - all peers that may form groups
 * @lock: protects @peers and their membership
 * @peers: the peers
 */
struct drm_pagemap_owner_list {
	struct mutex lock;	/* also held while groups are looked at */
	struct list_head peers;
};

/**
 * DRM_PAGEMAP_OWNER_LIST_DEFINE() - define an owner list, usually one a driver
 * @_name: of the variable
 */
#define DRM_PAGEMAP_OWNER_LIST_DEFINE(_name)			\
	struct drm_pagemap_owner_list _name = {			\
		.lock = __MUTEX_INITIALIZER((_name).lock),	\
		.peers = LIST_HEAD_INIT((_name).peers),		\
	}

void drm_pagemap_shrinker_add(struct drm_pagemap *dpagemap);

int drm_pagemap_cache_lock_lookup(struct drm_pagemap_cache *cache);

void drm_pagemap_cache_unlock_lookup(struct drm_pagemap_cache *cache);

struct drm_pagemap_shrinker *drm_pagemap_shrinker_create_devm(struct drm_device *drm);

struct drm_pagemap_cache *drm_pagemap_cache_create_devm(struct drm_pagemap_shrinker *shrinker);

struct drm_pagemap *drm_pagemap_get_from_cache(struct drm_pagemap_cache *cache);

void drm_pagemap_cache_set_pagemap(struct drm_pagemap_cache *cache,
				   struct drm_pagemap *dpagemap);

struct drm_pagemap *drm_pagemap_get_from_cache_if_active(struct drm_pagemap_cache *cache);

#ifdef CONFIG_PROVE_LOCKING

void drm_pagemap_shrinker_might_lock(struct drm_pagemap *dpagemap);

#else

static inline void drm_pagemap_shrinker_might_lock(struct drm_pagemap *dpagemap)
{
}

#endif /* CONFIG_PROVE_LOCKING */

void drm_pagemap_release_owner(struct drm_pagemap_peer *peer);

int drm_pagemap_acquire_owner(struct drm_pagemap_peer *peer,
			      struct drm_pagemap_owner_list *owner_list,
			      bool (*has_interconnect)(struct drm_pagemap_peer *peer1,
						       struct drm_pagemap_peer *peer2));

#endif /* _DRM_PAGEMAP_UTIL_H_ */

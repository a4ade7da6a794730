// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Interconnect groups. Peers that all reach each other share an owner, and
 * the owner is what mm compares to tell whether a device may map a
 * device-private page as it is. So a group must be a clique: a link that only
 * some members have would hand out addresses that others cannot reach.
 */
#include <linux/export.h>
#include <linux/kref.h>
#include <linux/slab.h>

#include <drm/drm_pagemap_util.h>

struct drm_pagemap_owner {
	struct kref ref;
};

static void pagemap_owner_free(struct kref *ref)
{
	kfree(container_of(ref, struct drm_pagemap_owner, ref));
}

/**
 * drm_pagemap_release_owner() - leave the interconnect group
 * @peer: a member, or one that left already or never joined
 *
 * Context: may sleep.
 */
void drm_pagemap_release_owner(struct drm_pagemap_peer *peer)
{
	struct drm_pagemap_owner_list *list = peer->list;

	if (!list)
		return;

	scoped_guard(mutex, &list->lock)
		list_del(&peer->link);

	kref_put(&peer->owner->ref, pagemap_owner_free);
	peer->owner = NULL;
	peer->list = NULL;
}
EXPORT_SYMBOL(drm_pagemap_release_owner);

/* True if @peer reaches every member of the group @owner. */
static bool
pagemap_owner_fits(struct drm_pagemap_owner_list *list,
		   struct drm_pagemap_owner *owner,
		   struct drm_pagemap_peer *peer,
		   bool (*has_interconnect)(struct drm_pagemap_peer *peer1,
					    struct drm_pagemap_peer *peer2))
{
	struct drm_pagemap_peer *member;

	list_for_each_entry(member, &list->peers, link)
		if (member->owner == owner && !has_interconnect(peer, member))
			return false;

	return true;
}

/**
 * drm_pagemap_acquire_owner() - join an interconnect group
 * @peer: to join; in no group
 * @owner_list: all candidates
 * @has_interconnect: tells whether two peers have a fast link, in both
 *	directions. Called with the list locked.
 *
 * Joins a group whose members it reaches all, or starts one. On success
 * @peer->owner is set.
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int drm_pagemap_acquire_owner(struct drm_pagemap_peer *peer,
			      struct drm_pagemap_owner_list *owner_list,
			      bool (*has_interconnect)(struct drm_pagemap_peer *peer1,
						       struct drm_pagemap_peer *peer2))
{
	struct drm_pagemap_owner *owner = NULL;
	struct drm_pagemap_peer *member;

	guard(mutex)(&owner_list->lock);

	list_for_each_entry(member, &owner_list->peers, link) {
		if (pagemap_owner_fits(owner_list, member->owner, peer,
				       has_interconnect)) {
			owner = member->owner;
			kref_get(&owner->ref);
			break;
		}
	}

	if (!owner) {
		owner = kmalloc_obj(*owner);
		if (!owner)
			return -ENOMEM;
		kref_init(&owner->ref);
	}

	peer->owner = owner;
	peer->list = owner_list;
	list_add_tail(&peer->link, &owner_list->peers);

	return 0;
}
EXPORT_SYMBOL(drm_pagemap_acquire_owner);

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The budget of an operation, for those who spend it. Only the thread that it
 * belongs to looks at it.
 */
#ifndef _PAGEMAP_BUDGET_H_
#define _PAGEMAP_BUDGET_H_

#include <drm/drm_pagemap.h>

bool pagemap_budget_left(const struct drm_pagemap_budget *budget);
void pagemap_budget_spend(struct drm_pagemap_budget *budget, u64 began);
bool pagemap_budget_killed(const struct drm_pagemap_budget *budget);

#endif /* _PAGEMAP_BUDGET_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Runtime power management. */
#ifndef _VSVM_PM_H_
#define _VSVM_PM_H_

#include <linux/pm.h>

struct device;
struct vsvm_device;

extern const struct dev_pm_ops vsvm_pm_ops;

int vsvm_runtime_suspend(struct device *dev);
int vsvm_runtime_resume(struct device *dev);
int vsvm_pm_init(struct vsvm_device *vdev);
void vsvm_pm_allow(struct device *dev);
void vsvm_pm_forbid(struct device *dev);
int vsvm_pm_get(struct vsvm_device *vdev);
void vsvm_pm_put(struct vsvm_device *vdev);
void vsvm_pm_put_all(struct vsvm_device *vdev);

#endif /* _VSVM_PM_H_ */

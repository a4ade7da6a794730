/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Fixed-width types of the hardware's interface outside the kernel. */
#ifndef _VSVM_HW_TYPES_H_
#define _VSVM_HW_TYPES_H_

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#endif /* _VSVM_HW_TYPES_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Proof that nobody writes the guest's RAM. */
#ifndef _VSVM_DEVICE_QUIET_H_
#define _VSVM_DEVICE_QUIET_H_

#include "ram.h"

bool quiet_check(const struct ram *ram, char *text, size_t size);

#endif /* _VSVM_DEVICE_QUIET_H_ */

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The server's side of the ivshmem protocol: a greeting, and then silence. */
#ifndef _VSVM_DEVICE_IVSHMEM_H_
#define _VSVM_DEVICE_IVSHMEM_H_

#include "vm.h"

int send_with_fd(int sock, const void *data, size_t len, int fd);
int ivshmem_greet(int sock, const struct vm_device *d, unsigned int id);

#endif /* _VSVM_DEVICE_IVSHMEM_H_ */

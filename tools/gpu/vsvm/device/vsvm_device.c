// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * vsvm-device: the virtual GPU as a process outside the virtual machine.
 *
 *   QEMU (stock) ── ivshmem-doorbell: BAR 2, eventfds ──┐
 *     guest RAM, shared ───────────────────┐            │
 *                                       engine process, forked by
 *                                       supervisor (this process)
 *
 * The guest's driver is drivers/gpu/drm/vsvm, and the interface is in
 * vsvm_hw_pci.h of it. See options.c for the command line.
 */
#include "options.h"

int main(int argc, char **argv)
{
	struct options o;

	options_parse(&o, argc, argv);
	if (!o.serve) {
		check_qemu(o.qemu[0]);
		qemu_args_parse(&o);
	}
	check_sizes(&o);
	check_memory(&o);
	return o.serve ? serve(&o) : launch(&o);
}

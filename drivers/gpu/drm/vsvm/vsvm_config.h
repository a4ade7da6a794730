/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the user asked for at module load, as plain data: no device, no lock.
 */
#ifndef _VSVM_CONFIG_H_
#define _VSVM_CONFIG_H_

#include <linux/types.h>

#define VSVM_MAX_DEVICES	8
/* VRAM comes in pieces that a large page fits. */
#define VSVM_VRAM_STEP_MB	2
#define VSVM_MAX_TIMEOUT_MS	(3600 * 1000)
#define VSVM_MAX_TIMESLICE_MS	1000
/* More than a large page is more than a CPU fault can take. */
#define VSVM_MAX_WINDOW_KB	2048
/*
 * Copies in MB/s, 1000000 bytes each, and us. What is slower than this runs into
 * time-outs of the driver, which does not know how fast its hardware is.
 */
#define VSVM_MIN_COPY_MBPS	16
#define VSVM_MAX_COPY_MBPS	1000000
#define VSVM_MAX_COPY_LATENCY_US	10000

/* Where the hardware is that the driver looks for. */
enum vsvm_where {
	VSVM_WHERE_AUTO,	/* on PCI, if there is any, else in this kernel */
	VSVM_WHERE_LOCAL,	/* in this kernel */
	VSVM_WHERE_PCI,		/* on PCI */
};

/**
 * struct vsvm_config - settings of the driver
 * @where: where the hardware is
 * @devices: number of virtual GPUs, 1 to VSVM_MAX_DEVICES; on PCI: at most
 * @vram_mb: VRAM of each in MiB, a multiple of VSVM_VRAM_STEP_MB; on PCI: at most
 * @timeout_ms: how long a job may go without progress, 1 ms to an hour
 * @timeslice_ms: how long migrated memory stays in VRAM at least, 0 to 1 s
 * @window_min_kb: what a CPU fault out of the blue brings home, in KiB, 1 to
 *	VSVM_MAX_WINDOW_KB, or 0 for the core's choice. Default 64: enough to
 *	make the fault cheap, little enough to leave the rest to the GPU
 * @window_max_kb: what a CPU that reads on brings home in the end, at least
 *	@window_min_kb; same bounds. Default 2048: as large as a copy gets
 * @copy_mbps: bandwidth of each copy channel in MB/s, VSVM_MIN_COPY_MBPS to
 *	VSVM_MAX_COPY_MBPS, or 0: as fast as memory
 * @copy_latency_us: what each command of theirs takes besides, at most
 *	VSVM_MAX_COPY_LATENCY_US
 * @fault_entries: places of the fault FIFO, 1 to VSVM_HW_FAULT_RING
 * @plain: use no additions to drm_pagemap; always set if there are none
 */
struct vsvm_config {
	enum vsvm_where where;
	unsigned int devices;
	unsigned long vram_mb;
	unsigned int timeout_ms;
	unsigned int timeslice_ms;
	unsigned int window_min_kb;
	unsigned int window_max_kb;
	unsigned int copy_mbps;
	unsigned int copy_latency_us;
	unsigned int fault_entries;
	bool plain;
};

int vsvm_config_parse_where(const char *text, enum vsvm_where *where);
bool vsvm_config_devices_valid(const struct vsvm_config *config);
bool vsvm_config_vram_valid(const struct vsvm_config *config);
bool vsvm_config_vram_fits(const struct vsvm_config *config, u64 ram_bytes);
bool vsvm_config_times_valid(const struct vsvm_config *config);
bool vsvm_config_windows_valid(const struct vsvm_config *config);
bool vsvm_config_copy_valid(const struct vsvm_config *config);
bool vsvm_config_faults_valid(const struct vsvm_config *config);
u64 vsvm_config_vram_bytes(const struct vsvm_config *config);
int vsvm_config_check(const struct vsvm_config *config, u64 ram_bytes,
		      const char **reason);

#endif /* _VSVM_CONFIG_H_ */

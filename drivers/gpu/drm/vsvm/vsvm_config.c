// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Checks of the module's parameters. They live apart from the device, so that
 * a unit test can go through them without one.
 */
#include <kunit/visibility.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "hw/vsvm_hw_abi.h"
#include "vsvm_config.h"

/**
 * vsvm_config_parse_where - read the parameter "transport"
 * @text: auto, local or pci
 * @where: gets what it means
 *
 * Return: 0, or -EINVAL for any other text.
 */
int vsvm_config_parse_where(const char *text, enum vsvm_where *where)
{
	static const char * const name[] = {
		[VSVM_WHERE_AUTO] = "auto",
		[VSVM_WHERE_LOCAL] = "local",
		[VSVM_WHERE_PCI] = "pci",
	};
	const int i = match_string(name, ARRAY_SIZE(name), text);

	if (i < 0)
		return -EINVAL;
	*where = i;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_parse_where);

bool vsvm_config_devices_valid(const struct vsvm_config *config)
{
	return config->devices && config->devices <= VSVM_MAX_DEVICES;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_devices_valid);

/* Within what a page-table entry can address, and in whole steps. */
bool vsvm_config_vram_valid(const struct vsvm_config *config)
{
	return config->vram_mb && config->vram_mb % VSVM_VRAM_STEP_MB == 0 &&
	       config->vram_mb <= 1ull << (VSVM_VA_BITS - 20);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_vram_valid);

/* All devices together take at most half of @ram_bytes. */
bool vsvm_config_vram_fits(const struct vsvm_config *config, u64 ram_bytes)
{
	return vsvm_config_vram_bytes(config) <=
	       ram_bytes / 2 / config->devices;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_vram_fits);

bool vsvm_config_times_valid(const struct vsvm_config *config)
{
	return config->timeout_ms &&
	       config->timeout_ms <= VSVM_MAX_TIMEOUT_MS &&
	       config->timeslice_ms <= VSVM_MAX_TIMESLICE_MS;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_times_valid);

bool vsvm_config_windows_valid(const struct vsvm_config *config)
{
	return config->window_max_kb <= VSVM_MAX_WINDOW_KB &&
	       config->window_min_kb <= (config->window_max_kb ?: VSVM_MAX_WINDOW_KB);
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_windows_valid);

bool vsvm_config_copy_valid(const struct vsvm_config *config)
{
	return (!config->copy_mbps ||
		(config->copy_mbps >= VSVM_MIN_COPY_MBPS &&
		 config->copy_mbps <= VSVM_MAX_COPY_MBPS)) &&
	       config->copy_latency_us <= VSVM_MAX_COPY_LATENCY_US;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_copy_valid);

bool vsvm_config_faults_valid(const struct vsvm_config *config)
{
	return config->fault_entries &&
	       config->fault_entries <= VSVM_HW_FAULT_RING;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_faults_valid);

/**
 * vsvm_config_vram_bytes - VRAM of one device
 * @config: settings, with a valid vram_mb
 *
 * Return: bytes.
 */
u64 vsvm_config_vram_bytes(const struct vsvm_config *config)
{
	return (u64)config->vram_mb * SZ_1M;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_vram_bytes);

/**
 * vsvm_config_check - can the settings be used?
 * @config: settings
 * @ram_bytes: memory of the machine
 * @reason: gets what is wrong
 *
 * Return: 0, -EINVAL for a value that no machine takes, -ENOMEM for one that
 * this machine is too small for.
 */
int vsvm_config_check(const struct vsvm_config *config, u64 ram_bytes,
		      const char **reason)
{
	*reason = "devices must be 1 to 8";
	if (!vsvm_config_devices_valid(config))
		return -EINVAL;
	*reason = "vram_mb must be even, not 0, and within 48 bits of bytes";
	if (!vsvm_config_vram_valid(config))
		return -EINVAL;
	*reason = "timeout_ms must be 1 to 3600000, timeslice_ms 0 to 1000";
	if (!vsvm_config_times_valid(config))
		return -EINVAL;
	*reason = "window_min_kb must be at most window_max_kb, that at most 2048";
	if (!vsvm_config_windows_valid(config))
		return -EINVAL;
	*reason = "copy_mbps must be 0 or 16 to 1000000, copy_latency_us 0 to 10000";
	if (!vsvm_config_copy_valid(config))
		return -EINVAL;
	*reason = "fault_entries must be 1 to 256";
	if (!vsvm_config_faults_valid(config))
		return -EINVAL;
	*reason = "vram_mb of all devices is more than half of the memory";
	if (!vsvm_config_vram_fits(config, ram_bytes))
		return -ENOMEM;
	*reason = NULL;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(vsvm_config_check);

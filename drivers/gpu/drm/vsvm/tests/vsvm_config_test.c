// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the module accepts as its parameters, and why not.
 */
#include <kunit/test.h>
#include <linux/sizes.h>

#include "../vsvm_config.h"

#define RAM	(2ull * SZ_1G)
#define REST	.timeout_ms = 10000, .fault_entries = 256
#define DEVICE	.devices = 1, .vram_mb = 256
#define GOOD	.devices = 1, .vram_mb = 256, REST

struct config_case {
	const char *name;
	struct vsvm_config config;
	int want;
};

static const struct config_case config_cases[] = {
	{ "defaults", { GOOD }, 0 },
	{ "half of memory", { .devices = 4, .vram_mb = 256, REST }, 0 },
	{ "more than half of memory",
	  { .devices = 5, .vram_mb = 256, REST }, -ENOMEM },
	{ "no device", { .vram_mb = 256, REST }, -EINVAL },
	{ "too many devices", { .devices = 9, .vram_mb = 2, REST },
	  -EINVAL },
	{ "no VRAM", { .devices = 1, REST }, -EINVAL },
	{ "odd VRAM", { .devices = 1, .vram_mb = 3, REST }, -EINVAL },
	{ "least VRAM", { .devices = 1, .vram_mb = 2, REST }, 0 },
	{ "VRAM of all addresses",
	  { .devices = 1, .vram_mb = 1ul << 28, REST }, -ENOMEM },
	{ "VRAM beyond all addresses",
	  { .devices = 1, .vram_mb = (1ul << 28) + 2, REST }, -EINVAL },
	{ "VRAM that wraps", { .devices = 1, .vram_mb = ~1ul, REST },
	  -EINVAL },
	{ "least time, one fault", { DEVICE, .timeout_ms = 1, .fault_entries = 1 }, 0 },
	{ "no time", { DEVICE, .fault_entries = 1 }, -EINVAL },
	{ "too much time", { DEVICE, .timeout_ms = 3600001, .fault_entries = 1 },
	  -EINVAL },
	{ "timeslice", { GOOD, .timeslice_ms = 1000 }, 0 },
	{ "too long a timeslice", { GOOD, .timeslice_ms = 1001 }, -EINVAL },
	{ "window", { GOOD, .window_min_kb = 64, .window_max_kb = 2048 }, 0 },
	{ "window of one size", { GOOD, .window_min_kb = 4, .window_max_kb = 4 }, 0 },
	{ "largest first window", { GOOD, .window_min_kb = 2048 }, 0 },
	{ "too large a first window", { GOOD, .window_min_kb = 2049 }, -EINVAL },
	{ "too large a window", { GOOD, .window_max_kb = 2049 }, -EINVAL },
	{ "window that shrinks", { GOOD, .window_min_kb = 128, .window_max_kb = 64 },
	  -EINVAL },
	{ "slowest copies", { GOOD, .copy_mbps = 16, .copy_latency_us = 10000 }, 0 },
	{ "fastest copies", { GOOD, .copy_mbps = 1000000 }, 0 },
	{ "copies that take for ever", { GOOD, .copy_mbps = 15 }, -EINVAL },
	{ "copies too fast", { GOOD, .copy_mbps = 1000001 }, -EINVAL },
	{ "copies that start too late", { GOOD, .copy_latency_us = 10001 }, -EINVAL },
	{ "no faults", { DEVICE, .timeout_ms = 1 }, -EINVAL },
	{ "too many faults", { DEVICE, .timeout_ms = 1, .fault_entries = 257 },
	  -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(config, config_cases, name);

static void config_test(struct kunit *test)
{
	const struct config_case *c = test->param_value;
	const char *reason = "unset";

	KUNIT_EXPECT_EQ(test, vsvm_config_check(&c->config, RAM, &reason), c->want);
	/* An error says why. */
	KUNIT_EXPECT_EQ(test, !reason, !c->want);
}

static void config_where(struct kunit *test)
{
	static const char * const bad[] = { "", "Pci", "pci ", "localx", "3" };
	enum vsvm_where where = VSVM_WHERE_LOCAL;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, vsvm_config_parse_where("pci", &where), 0);
	KUNIT_EXPECT_EQ(test, where, VSVM_WHERE_PCI);
	KUNIT_EXPECT_EQ(test, vsvm_config_parse_where("local", &where), 0);
	KUNIT_EXPECT_EQ(test, where, VSVM_WHERE_LOCAL);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		KUNIT_EXPECT_EQ_MSG(test, vsvm_config_parse_where(bad[i], &where),
				    -EINVAL, "\"%s\"", bad[i]);
		KUNIT_EXPECT_EQ(test, where, VSVM_WHERE_LOCAL);
	}
	KUNIT_EXPECT_EQ(test, vsvm_config_parse_where("auto", &where), 0);
	KUNIT_EXPECT_EQ(test, where, VSVM_WHERE_AUTO);
}

static struct kunit_case config_kunit_cases[] = {
	KUNIT_CASE_PARAM(config_test, config_gen_params),
	KUNIT_CASE(config_where),
	{}
};

static struct kunit_suite config_suite = {
	.name = "vsvm_config",
	.test_cases = config_kunit_cases,
};

kunit_test_suite(config_suite);

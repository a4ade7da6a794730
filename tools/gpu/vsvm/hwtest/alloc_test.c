// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Power-on with each allocation failing in turn. Leaks are the sanitizer's. */
#include <stdlib.h>

#include "../../../../drivers/gpu/drm/vsvm/tests/vsvm_hw_bench.h"

/* Calls of calloc() in this program lead to __wrap_calloc(). */
void *__real_calloc(size_t num, size_t size);
void *__wrap_calloc(size_t num, size_t size);

static int fail_at;	/* counts down; 0: no more */

void *__wrap_calloc(size_t num, size_t size)
{
	if (fail_at && !--fail_at)
		return NULL;
	return __real_calloc(num, size);
}

static void alloc_fails(struct kunit *test)
{
	struct vsvm_hw_config config = { .vram_size = 4 * PAGE, .sanitize = true };
	const struct vsvm_hw_host host = { };
	struct vsvm_hw *hw = NULL;
	int i, err;

	config.vram = malloc(config.vram_size);
	config.shared = __real_calloc(1, sizeof(*config.shared));
	for (i = 1; ; i++) {
		fail_at = i;
		err = vsvm_hw_init(&hw, &config, &host, NULL);
		if (!err)
			break;
		KUNIT_EXPECT_EQ(test, err, -ENOMEM);
		KUNIT_EXPECT_FALSE(test, hw);
	}
	fail_at = 0;
	KUNIT_EXPECT_EQ(test, i, 3);
	vsvm_hw_fini(hw);
	free(config.shared);
	free(config.vram);
}

static struct kunit_case alloc_cases[] = {
	KUNIT_CASE(alloc_fails),
	{ }
};

static struct kunit_suite alloc_suite = {
	.name = "vsvm_hw_alloc",
	.test_cases = alloc_cases,
};

kunit_test_suite(alloc_suite);

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * As much of KUnit as the hardware's tests use, for a process. The tests
 * include <kunit/test.h>, and find this file outside the kernel.
 */
#ifndef _HWTEST_KUNIT_TEST_H_
#define _HWTEST_KUNIT_TEST_H_

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct kunit {
	void *priv;
	const void *param_value;
	bool failed;
	bool aborts;
	jmp_buf abort;
};

#define KUNIT_PARAM_DESC_SIZE	128

/* __printf(), __section() and __used come from the Makefile. */

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
	const void *(*generate)(struct kunit *test, const void *prev, char *desc);
};

struct kunit_suite {
	const char *name;
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
};

#define KUNIT_CASE(fn)			{ .run_case = fn, .name = #fn }
#define KUNIT_CASE_PARAM(fn, gen)	{ .run_case = fn, .name = #fn, .generate = gen }
#define KUNIT_CASE_SLOW(fn)		KUNIT_CASE(fn)

#define KUNIT_ARRAY_PARAM_DESC(nm, array, desc_member)				\
static const void *nm##_gen_params(struct kunit *test, const void *prev, char *desc)	\
{										\
	__typeof__(&(array)[0]) next = prev ? (__typeof__(next))prev + 1 : (array); \
										\
	(void)test;								\
	if (next >= (array) + sizeof(array) / sizeof((array)[0]))		\
		return NULL;							\
	strncpy(desc, (*next).desc_member, KUNIT_PARAM_DESC_SIZE - 1);		\
	return next;								\
}

/* The linker gathers the suites of all files. */
#define kunit_test_suite(s) \
	static struct kunit_suite *s##_entry __used __section("hwtest_suites") = &(s)

extern struct kunit_suite *__start_hwtest_suites[];
extern struct kunit_suite *__stop_hwtest_suites[];

__printf(5, 6)
void hwtest_fail(struct kunit *test, bool fatal, const char *file, int line,
		 const char *fmt, ...);

#define HWTEST_CHECK(test, fatal, cond, fmt, ...) do {				\
	if (!(cond))								\
		hwtest_fail(test, fatal, __FILE__, __LINE__, fmt, ##__VA_ARGS__); \
} while (0)

#define HWTEST_CMP(test, fatal, a, op, b, fmt, ...) do {				\
	const __typeof__((a) + 0) _l = (a);					\
	const __typeof__(_l) _r = (b);						\
	HWTEST_CHECK(test, fatal, _l op _r,					\
		     #a " " #op " " #b ": %#llx, %#llx " fmt,			\
		     (unsigned long long)_l, (unsigned long long)_r, ##__VA_ARGS__); \
} while (0)

#define KUNIT_EXPECT_EQ(t, a, b)	HWTEST_CMP(t, false, a, ==, b, "")
#define KUNIT_EXPECT_NE(t, a, b)	HWTEST_CMP(t, false, a, !=, b, "")
#define KUNIT_EXPECT_GT(t, a, b)	HWTEST_CMP(t, false, a, >, b, "")
#define KUNIT_EXPECT_LT(t, a, b)	HWTEST_CMP(t, false, a, <, b, "")
#define KUNIT_ASSERT_EQ(t, a, b)	HWTEST_CMP(t, true, a, ==, b, "")
#define KUNIT_ASSERT_LT(t, a, b)	HWTEST_CMP(t, true, a, <, b, "")
#define KUNIT_EXPECT_EQ_MSG(t, a, b, ...) HWTEST_CMP(t, false, a, ==, b, __VA_ARGS__)
#define KUNIT_ASSERT_EQ_MSG(t, a, b, ...) HWTEST_CMP(t, true, a, ==, b, __VA_ARGS__)
#define KUNIT_EXPECT_TRUE(t, c)		HWTEST_CHECK(t, false, c, "%s", #c)
#define KUNIT_EXPECT_FALSE(t, c)	HWTEST_CHECK(t, false, !(c), "not: %s", #c)
#define KUNIT_ASSERT_TRUE(t, c)		HWTEST_CHECK(t, true, c, "%s", #c)
#define KUNIT_ASSERT_FALSE(t, c)	HWTEST_CHECK(t, true, !(c), "not: %s", #c)
#define KUNIT_ASSERT_NOT_NULL(t, p)	HWTEST_CHECK(t, true, (p) != NULL, "%s", #p)
#define KUNIT_EXPECT_MEMEQ(t, a, b, n) \
	HWTEST_CHECK(t, false, !memcmp(a, b, n), "%s differs from %s", #a, #b)
#define KUNIT_ASSERT_MEMEQ(t, a, b, n) \
	HWTEST_CHECK(t, true, !memcmp(a, b, n), "%s differs from %s", #a, #b)

#define kunit_info(test, fmt, ...) do {						\
	(void)(test);								\
	printf("# " fmt, ##__VA_ARGS__);					\
} while (0)

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define MODULE_LICENSE(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_IMPORT_NS(x)

#endif /* _HWTEST_KUNIT_TEST_H_ */

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Runs the KUnit suites of the emulated hardware in a process, under the
 * sanitizers of the compiler: seconds instead of a kernel to boot.
 *
 *   hwtest [part of a suite's or case's name]...
 *   SEED=n in the environment repeats the random tests of an earlier run.
 */
#include <kunit/test.h>
#include <stdarg.h>
#include <stdlib.h>

void hwtest_fail(struct kunit *test, bool fatal, const char *file, int line,
		 const char *fmt, ...)
{
	va_list args;

	test->failed = true;
	printf("# %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	if (!fatal)
		return;
	if (!test->aborts)	/* in init, exit, or a thread of its own */
		exit(1);
	longjmp(test->abort, 1);
}

static bool run_once(const struct kunit_suite *suite, const struct kunit_case *c,
		     const void *param)
{
	struct kunit test = { .param_value = param };

	if (suite->init && suite->init(&test))
		return false;
	if (!setjmp(test.abort)) {
		test.aborts = true;
		c->run_case(&test);
	}
	test.aborts = false;
	if (suite->exit)
		suite->exit(&test);
	return !test.failed;
}

static bool run_case(const struct kunit_suite *suite, const struct kunit_case *c)
{
	char desc[KUNIT_PARAM_DESC_SIZE];
	const void *param = NULL;
	bool ok = true;

	if (!c->generate)
		return run_once(suite, c, NULL);
	for (;;) {
		memset(desc, 0, sizeof(desc));
		param = c->generate(NULL, param, desc);
		if (!param)
			return ok;
		if (!run_once(suite, c, param)) {
			printf("# failed: %s\n", desc);
			ok = false;
		}
	}
}

static bool wanted(const struct kunit_suite *suite, const struct kunit_case *c,
		   int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(suite->name, argv[i]) || strstr(c->name, argv[i]))
			return true;
	return argc == 1;
}

/* Runs what is wanted, or just counts it. Returns how many failed, or are there. */
static unsigned int each_case(bool run, int argc, char **argv)
{
	struct kunit_suite **suite;
	const struct kunit_case *c;
	unsigned int num = 0, failed = 0;

	for (suite = __start_hwtest_suites; suite < __stop_hwtest_suites; suite++) {
		for (c = (*suite)->test_cases; c->run_case; c++) {
			bool ok;

			if (!wanted(*suite, c, argc, argv))
				continue;
			num++;
			if (!run)
				continue;
			ok = run_case(*suite, c);
			failed += !ok;
			printf("%sok %u %s.%s\n", ok ? "" : "not ", num,
			       (*suite)->name, c->name);
		}
	}
	return run ? failed : num;
}

int main(int argc, char **argv)
{
	unsigned int num, failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	num = each_case(false, argc, argv);
	printf("KTAP version 1\n1..%u\n", num);
	failed = each_case(true, argc, argv);
	printf("# pass:%u fail:%u\n", num - failed, failed);
	return failed || !num;
}

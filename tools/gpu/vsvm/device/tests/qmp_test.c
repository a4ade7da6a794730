// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* A monitor that is slow, talks too much, or says nothing. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"
#include "../qmp.h"

#define PATIENCE_MS	100

static struct qmp qmp;
static int theirs;

static void begin(struct kunit *test)
{
	int pair[2];

	KUNIT_ASSERT_EQ(test, socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	theirs = pair[1];
	qmp_open(&qmp, pair[0]);
	qmp.patience_ms = PATIENCE_MS;
}

static void end(struct kunit *test)
{
	(void)test;
	qmp_close(&qmp);
	close(theirs);
}

static void say(struct kunit *test, const char *text)
{
	const ssize_t len = strlen(text);

	KUNIT_ASSERT_EQ(test, send(theirs, text, len, MSG_NOSIGNAL), len);
}

static int command(const char *name)
{
	return qmp_command(&qmp, name, "%s", "");
}

static void qmp_answers(struct kunit *test)
{
	begin(test);
	say(test, "{\"QMP\": {}}\n{\"return\": {}}\n{\"return\": {}, \"id\": 1}\n");
	KUNIT_EXPECT_EQ(test, command("one"), 0);
	say(test, "{\"id\": 2, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n");
	KUNIT_EXPECT_EQ(test, command("two"), -1);
	KUNIT_EXPECT_TRUE(test, !strcmp(qmp.error, "no"));
	end(test);
}

/* All of its silence together costs no more than that of one command. */
static void qmp_silence(struct kunit *test)
{
	const u64 start = now_ms();
	unsigned int i;

	begin(test);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, command("stop"), -1);
	KUNIT_EXPECT_TRUE(test, !strcmp(qmp.error, "QEMU does not answer"));
	KUNIT_EXPECT_FALSE(test, qmp_wait_event(&qmp, "RESET"));
	KUNIT_EXPECT_LT(test, now_ms() - start, 5 * PATIENCE_MS);
	/* It is back: late answers are not mistaken for new ones. */
	say(test, "{\"return\": {}, \"id\": 20}\n");
	KUNIT_EXPECT_EQ(test, command("stop"), -1);
	say(test, "{\"return\": {}, \"id\": 22}\n");
	KUNIT_EXPECT_EQ(test, command("stop"), 0);
	end(test);
}

static void qmp_events(struct kunit *test)
{
	unsigned int i;
	char *line;

	begin(test);
	for (i = 0; i < 2 * QMP_EVENTS; i++)
		say(test, "{\"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 1}}\n");
	say(test, "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-reset\"}}\n");
	qmp_pump(&qmp);
	line = qmp_take_event(&qmp, NULL);
	KUNIT_ASSERT_TRUE(test, !!line);
	KUNIT_EXPECT_TRUE(test, !!strstr(line, "guest-reset"));
	free(line);
	KUNIT_EXPECT_TRUE(test, !qmp_take_event(&qmp, NULL));
	end(test);
}

/* QEMU has ended, in the middle of something. */
static void qmp_gone(struct kunit *test)
{
	begin(test);
	say(test, "{\"return\": {}, \"i");
	close(theirs);
	theirs = open("/dev/null", O_RDONLY | O_CLOEXEC);
	KUNIT_EXPECT_EQ(test, command("stop"), -1);
	KUNIT_EXPECT_EQ(test, command("stop"), -1);
	qmp_pump(&qmp);
	qmp_pump(&qmp);
	KUNIT_EXPECT_EQ(test, qmp.fd, -1);
	KUNIT_EXPECT_EQ(test, command("stop"), -1);
	end(test);
}

static struct kunit_case qmp_cases[] = {
	KUNIT_CASE(qmp_answers),
	KUNIT_CASE(qmp_silence),
	KUNIT_CASE(qmp_events),
	KUNIT_CASE(qmp_gone),
	{ }
};

static struct kunit_suite qmp_suite = {
	.name = "vsvm_device_qmp",
	.test_cases = qmp_cases,
};

kunit_test_suite(qmp_suite);

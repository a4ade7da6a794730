// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A number for each page of RAM that there is, and the same once more some time
 * later. The virtual machine must be paused.
 */
#include <stdio.h>
#include <unistd.h>

#include "quiet.h"

#define QUIET_WAIT_US	300000
#define QUIET_CHUNK	(2ull << 20)

struct sums {
	u64 *page;
	u64 bytes;	/* that are not in a hole */
};

/* Of a page of zeroes it is 0, as of one that is not there. */
static u64 sum_page(const u64 *word)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < VSVM_HW_PAGE_SIZE / sizeof(u64); i++) {
		sum = (sum ^ word[i]) * 0x9e3779b97f4a7c15ull;
		sum ^= sum >> 29;
	}
	return sum;
}

static bool sum_chunk(const struct ram *ram, struct sums *s, u64 at, u64 len, u64 *buf)
{
	u64 i;

	if (pread(ram->fd, buf, len, at) != (ssize_t)len)
		return false;
	for (i = 0; i < len / VSVM_HW_PAGE_SIZE; i++)
		s->page[at / VSVM_HW_PAGE_SIZE + i] =
			sum_page(buf + i * VSVM_HW_PAGE_SIZE / sizeof(u64));
	s->bytes += len;
	return true;
}

static bool sum_all(const struct ram *ram, struct sums *s)
{
	u64 *buf = malloc(QUIET_CHUNK);
	u64 at = 0, end;
	bool ok = buf;

	while (ok) {
		const off_t data = lseek(ram->fd, at, SEEK_DATA);

		if (data < 0)
			break;
		end = lseek(ram->fd, data, SEEK_HOLE);
		for (at = data; ok && at < end; at += min(end - at, (u64)QUIET_CHUNK))
			ok = sum_chunk(ram, s, at, min(end - at, (u64)QUIET_CHUNK), buf);
	}
	free(buf);
	return ok;
}

static bool compare(const struct ram *ram, const struct sums *a, const struct sums *b,
		    char *text, size_t size)
{
	u64 i;

	for (i = 0; i < ram->size / VSVM_HW_PAGE_SIZE; i++) {
		if (a->page[i] == b->page[i])
			continue;
		snprintf(text, size, "quiet: FAILED, page %#llx changed",
			 ram_address(ram, i * VSVM_HW_PAGE_SIZE));
		return false;
	}
	snprintf(text, size, "quiet: ok, %llu MiB compared", b->bytes >> 20);
	return true;
}

/**
 * quiet_check - does anybody write the guest's RAM?
 * @ram: the RAM
 * @text: gets a line that says so
 * @size: room in it
 *
 * Context: sleeps for 300 ms.
 * Return: true if nobody does.
 */
bool quiet_check(const struct ram *ram, char *text, size_t size)
{
	const u64 pages = ram->size / VSVM_HW_PAGE_SIZE;
	struct sums a = { .page = calloc(pages, sizeof(u64)) };
	struct sums b = { .page = calloc(pages, sizeof(u64)) };
	bool ok = a.page && b.page && sum_all(ram, &a);

	if (ok) {
		usleep(QUIET_WAIT_US);
		ok = sum_all(ram, &b);
	}
	if (ok)
		ok = compare(ram, &a, &b, text, size);
	else
		snprintf(text, size, "quiet: FAILED, cannot read RAM");
	free(a.page);
	free(b.page);
	return ok;
}

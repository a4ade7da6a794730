// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What vsvm-demo works on, see demo_data.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "demo_data.h"
#include "demo_report.h"

/* splitmix64: good enough to make every page different, and short. */
static __u64 random_next(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static int data_buffer_alloc(struct data_buffer *buf, size_t len)
{
	buf->len = len;
	buf->data = malloc(len);
	/* Shared memory stays: a neighbour from malloc would move along. */
	buf->expected = mmap(NULL, len, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return buf->data && buf->expected != MAP_FAILED ? 0 : -ENOMEM;
}

/* -ENODATA for a file without content. */
static int read_all(FILE *file, struct data_buffer *buf)
{
	struct stat st;
	long len;
	int err;

	if (fstat(fileno(file), &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (fseek(file, 0, SEEK_END))
		return -errno;
	len = ftell(file);
	if (len < 0)
		return -errno;
	if (!len)
		return -ENODATA;
	rewind(file);
	err = data_buffer_alloc(buf, len);
	if (err)
		return err;
	errno = 0;
	if (fread(buf->data, 1, len, file) != (size_t)len)
		return errno ? -errno : -EIO;
	memcpy(buf->expected, buf->data, len);
	return 0;
}

int data_buffer_read(struct data_buffer *buf, const char *path)
{
	FILE *file = fopen(path, "re");
	int err;

	if (!file)
		return -errno;
	err = read_all(file, buf);
	fclose(file);
	return err;
}

int data_buffer_random(struct data_buffer *buf, size_t len, __u64 seed)
{
	int err = data_buffer_alloc(buf, len);
	size_t i;

	if (err)
		return err;
	for (i = 0; i < len; i++)
		buf->expected[i] = random_next(&seed);
	memcpy(buf->data, buf->expected, len);
	return 0;
}

void data_digest(struct data_digest *digest, const __u8 *data, size_t len)
{
	size_t i;

	memset(digest, 0, sizeof(*digest));
	for (i = 0; i < len; i++) {
		digest->histogram[data[i]]++;
		digest->sum += data[i];
	}
}

void data_digest_add(struct data_digest *to, const struct data_digest *part)
{
	size_t i;

	for (i = 0; i < 256; i++)
		to->histogram[i] += part->histogram[i];
	to->sum += part->sum;
}

static int by_address(const void *a, const void *b)
{
	const uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

static __u64 node_value(const struct data_list *list, size_t index)
{
	__u64 state = list->seed + index;

	return random_next(&state);
}

/* Shuffle the nodes and link them. */
static void link_nodes(struct data_list *list)
{
	struct data_node **order = list->order;
	__u64 state = list->seed;
	size_t i, j;

	for (i = list->count - 1; i > 0; i--) {
		struct data_node *node = order[i];

		j = random_next(&state) % (i + 1);
		order[i] = order[j];
		order[j] = node;
	}
	for (i = 0; i < list->count; i++) {
		order[i]->next = i + 1 < list->count ? order[i + 1] : NULL;
		order[i]->index = i;
		order[i]->value = node_value(list, i);
		list->sum += order[i]->value;
	}
	list->head = order[0];
}

int data_list_build(struct data_list *list, size_t count, __u64 seed)
{
	size_t i;

	*list = (struct data_list){ .count = count, .seed = seed };
	list->order = calloc(count, sizeof(*list->order));
	list->sorted = calloc(count, sizeof(*list->sorted));
	if (!list->order || !list->sorted)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		list->order[i] = malloc(sizeof(struct data_node));
		if (!list->order[i])
			return -ENOMEM;
		list->sorted[i] = list->order[i];
	}
	qsort(list->sorted, count, sizeof(*list->sorted), by_address);
	link_nodes(list);
	return 0;
}

size_t data_list_check(const struct data_list *list)
{
	size_t i, wrong = 0;

	/* In the list's order, but not by its pointers: they may be wrong. */
	for (i = 0; i < list->count; i++) {
		const struct data_node *node = list->order[i];
		const struct data_node expected = {
			.next = i + 1 < list->count ? list->order[i + 1] : NULL,
			.index = i,
			.value = node_value(list, i),
		};

		if (memcmp(node, &expected, sizeof(*node)) && !wrong++)
			report_differences("list", node, &expected,
					   sizeof(*node));
	}
	return wrong;
}

bool data_list_extent(const struct data_list *list, size_t *i,
		      const void **addr, size_t *len)
{
	const uintptr_t page = vsvm_page_size();
	const struct data_node *node;
	uintptr_t end;

	if (*i >= list->count)
		return false;
	*addr = list->sorted[*i];
	do {
		node = list->sorted[(*i)++];
		end = (uintptr_t)(node + 1);
	} while (*i < list->count &&
		 (uintptr_t)list->sorted[*i] / page <= (end - 1) / page + 1);
	*len = end - (uintptr_t)*addr;
	return true;
}

size_t data_list_pages(const struct data_list *list)
{
	size_t i = 0, len, pages = 0;
	const void *addr;

	while (data_list_extent(list, &i, &addr, &len))
		pages += vsvm_pages(addr, len);
	return pages;
}

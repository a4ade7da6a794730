/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What vsvm-demo works on, and what the CPU knows about it. All of it comes
 * from malloc, and each piece has a copy of what must be found in it.
 */
#ifndef DEMO_DATA_H
#define DEMO_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

/**
 * struct data_buffer - bytes that the GPU changes
 * @data: what CPU and GPU share
 * @expected: what must be in it, only touched by the CPU
 * @len: of both
 */
struct data_buffer {
	__u8 *data;
	__u8 *expected;
	size_t len;
};

/* All return 0 or a negative errno. */
int data_buffer_read(struct data_buffer *buf, const char *path);
int data_buffer_random(struct data_buffer *buf, size_t len, __u64 seed);

/**
 * struct data_digest - what one reads out of a buffer
 * @histogram: how often each byte is there
 * @sum: of all bytes
 */
struct data_digest {
	__u64 histogram[256];
	__u64 sum;
};

void data_digest(struct data_digest *digest, const __u8 *data, size_t len);
void data_digest_add(struct data_digest *to, const struct data_digest *part);

/* The GPU follows @next, and sums what is at the offset of @value. */
struct data_node {
	struct data_node *next;
	__u64 index;
	__u64 value;
};

/**
 * struct data_list - a linked list of nodes that malloc returned one by one
 * @head: first node; the order has nothing to do with the addresses
 * @order: all nodes in the order of the list
 * @sorted: all nodes by address
 * @count: how many
 * @seed: of the order and the values
 * @sum: of the values
 */
struct data_list {
	struct data_node *head;
	struct data_node **order;
	struct data_node **sorted;
	size_t count;
	__u64 seed;
	__u64 sum;
};

int data_list_build(struct data_list *list, size_t count, __u64 seed);
/* Read all nodes on the CPU. Returns how many are wrong, and prints one. */
size_t data_list_check(const struct data_list *list);

/*
 * The nodes as ranges of memory without gaps: *@i starts at 0; returns false
 * when there are no more. No two ranges share a page.
 */
bool data_list_extent(const struct data_list *list, size_t *i,
		      const void **addr, size_t *len);
/* Pages of all these ranges. */
size_t data_list_pages(const struct data_list *list);

#endif /* DEMO_DATA_H */

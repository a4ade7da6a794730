// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A file whose file system is a thread of the test, see vsvm_test.h. It speaks just
 * as much of FUSE as a file needs that is a file system of its own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vsvm_test.h"

static void reply(struct vt_server *s, __u64 unique, int err, void *data,
		  size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len,
		.error = err,
		.unique = unique,
	};
	struct iovec iov[] = { { &out, sizeof(out) }, { data, len } };

	/* Who asked may not be there any more. */
	if (writev(s->fd, iov, len ? 2 : 1) < 0 && errno != ENOENT)
		perror("# answer");
}

static void reply_page(struct vt_server *s, __u64 unique)
{
	static __u8 page[65536];

	memset(page, VT_SERVER_CONTENT, sizeof(page));
	reply(s, unique, 0, page, vsvm_page_size());
}

/* No more than a page at a time, as there is no readahead. */
static void reply_init(struct vt_server *s, __u64 unique)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 65536,
		.time_gran = 1,
		.flags = FUSE_INIT_EXT,
		.flags2 = FUSE_DIRECT_IO_ALLOW_MMAP >> 32,
	};

	reply(s, unique, 0, &init, sizeof(init));
}

static void reply_attr(struct vt_server *s, __u64 unique)
{
	struct fuse_attr_out attr = {
		.attr_valid = 1000,
		.attr = {
			.ino = FUSE_ROOT_ID,
			.size = VT_SERVER_PAGES * vsvm_page_size(),
			.mode = S_IFREG | 0600,
			.nlink = 1,
			.blksize = 4096,
		},
	};

	reply(s, unique, 0, &attr, sizeof(attr));
}

static void asked_to_read(struct vt_server *s, __u64 unique)
{
	pthread_mutex_lock(&s->lock);
	if (s->fails) {
		s->fails--;
		reply(s, unique, -EIO, NULL, 0);
	} else if (s->answers) {
		reply_page(s, unique);
	} else if (s->num_asked < ARRAY_SIZE(s->asked)) {
		s->asked[s->num_asked] = unique;
	}
	s->num_asked++;
	pthread_mutex_unlock(&s->lock);
}

static void reply_write(struct vt_server *s)
{
	struct fuse_write_out out = { .size = vsvm_page_size() };

	reply(s, s->write, 0, &out, sizeof(out));
	s->write = 0;
}

/* One of a page, and one at a time. */
static void asked_to_write(struct vt_server *s, __u64 unique)
{
	pthread_mutex_lock(&s->lock);
	s->write = unique;
	if (s->answers)
		reply_write(s);
	s->num_asked++;
	pthread_mutex_unlock(&s->lock);
}

static void reply_open(struct vt_server *s, __u64 unique, __u32 flags)
{
	struct fuse_open_out open = {};

	if (flags & O_DIRECT)
		open.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
	reply(s, unique, 0, &open, sizeof(open));
}

static void serve_one(struct vt_server *s, const struct fuse_in_header *in)
{
	const struct fuse_open_in *open = (const void *)(in + 1);
	const __u64 unique = in->unique;

	switch (in->opcode) {
	case FUSE_INIT:
		reply_init(s, unique);
		break;
	case FUSE_GETATTR:
		reply_attr(s, unique);
		break;
	case FUSE_OPEN:
		reply_open(s, unique, open->flags);
		break;
	case FUSE_READ:
		asked_to_read(s, unique);
		break;
	case FUSE_WRITE:
		asked_to_write(s, unique);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(s, unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		/* Nobody waits for an answer, and an interrupt gets none here. */
		break;
	default:
		reply(s, unique, -EOPNOTSUPP, NULL, 0);
	}
}

static void *serve(void *arg)
{
	static __u8 request[128 * KIB];
	struct vt_server *s = arg;
	ssize_t len;

	for (;;) {
		len = read(s->fd, request, sizeof(request));
		if (len >= (ssize_t)sizeof(struct fuse_in_header))
			serve_one(s, (struct fuse_in_header *)request);
		else if (len < 0 && errno != EINTR && errno != EAGAIN &&
			 errno != ENOENT)
			return NULL;
	}
}

int vt_server_start(struct vt_server *s)
{
	char options[96];
	int file, err;

	*s = (struct vt_server){ .lock = PTHREAD_MUTEX_INITIALIZER };
	snprintf(s->path, sizeof(s->path), "/tmp/fuse_test.%d", getpid());
	s->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (s->fd < 0)
		return -ENODEV;
	file = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	close(file);
	snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=0,group_id=0",
		 s->fd, S_IFREG | 0600);
	if (mount("fuse_test", s->path, "fuse", MS_NOSUID | MS_NODEV, options))
		return -errno;
	err = pthread_create(&s->thread, NULL, serve, s);
	return -err;
}

void vt_server_answers(struct vt_server *s)
{
	unsigned int i;

	pthread_mutex_lock(&s->lock);
	s->answers = true;
	for (i = 0; i < ARRAY_SIZE(s->asked); i++) {
		if (s->asked[i])
			reply_page(s, s->asked[i]);
		s->asked[i] = 0;
	}
	if (s->write)
		reply_write(s);
	pthread_mutex_unlock(&s->lock);
}

int vt_server_asked(struct vt_server *s, unsigned int n)
{
	const __u64 end = vt_now_ms() + VT_SOON_MS;
	unsigned int asked;

	do {
		pthread_mutex_lock(&s->lock);
		asked = s->num_asked;
		pthread_mutex_unlock(&s->lock);
		if (asked >= n)
			return 0;
		vt_sleep_ms(5);
	} while (vt_now_ms() < end);
	return -ETIMEDOUT;
}

void vt_server_stop(struct vt_server *s)
{
	umount2(s->path, MNT_FORCE | MNT_DETACH);
	unlink(s->path);
}

/* Until somebody asks for its size the file is empty. */
static int open_file(struct vt_server *s, int flags)
{
	const off_t len = VT_SERVER_PAGES * vsvm_page_size();
	int fd = open(s->path, O_RDWR | O_CLOEXEC | flags);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) || st.st_size != len)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

__u8 *vt_server_map(struct vt_server *s)
{
	const size_t len = VT_SERVER_PAGES * vsvm_page_size();
	int fd = open_file(s, 0);
	void *p;

	if (fd < 0)
		return NULL;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

int vt_server_open_direct(struct vt_server *s)
{
	return open_file(s, O_DIRECT);
}

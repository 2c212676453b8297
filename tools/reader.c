/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader: a file, plain or packed, read as it comes.
 *
 * idea
 *	read() into one buffer, from which lines and runs of bytes are taken.
 *	A packed file is seen by its first bytes (unpack.c); a thread unpacks it
 *	(ahead.c), and its blocks are copied into the buffer.  What a read()
 *	gave is handed on at once, it does not wait for a full buffer:
 *	`put --each` answers a line while its sender waits.
 *
 * layout of the buffer
 *	data      begin          end       room
 *	 | taken   | to be taken  | free    |
 *
 * limits
 *	The buffer grows to the longest line or row, READER_LINE_BYTES at most;
 *	otherwise memory is constant.  Of a part of a file the CRC-32 is found
 *	as it is read, and nothing of its last bytes is handed out if that is
 *	wrong.  A packed file that breaks off, or has
 *	anything but another member or frame after its end, is bad input.
 */
#include "reader.h"
#include "ahead.h"
#include "stop.h"
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READER_READ_BYTES = 262144, READER_START_BYTES = 1048576 };

int reader_open(struct reader *reader, const char *path, struct fault *fault)
{
	int is_input = !strcmp(path, "-");
	struct stat st;

	memset(reader, 0, sizeof *reader);
	reader->name = is_input ? "standard input" : path;
	reader->fd = is_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			      : open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0) {
		fault_errno(fault, reader->name, errno);
		/* Not there is a matter of the input, not of the store. */
		return fault->code =
			   errno == EACCES ? EXIT_DENIED : EXIT_BAD_INPUT;
	}
	reader->limit = UINT64_MAX;
	reader->data = malloc(READER_START_BYTES);
	reader->room = READER_START_BYTES;
	if (!reader->data)
		return fault_errno(fault, reader->name, ENOMEM);
	if (fstat(reader->fd, &st))
		return fault_errno(fault, reader->name, errno);
	if (S_ISDIR(st.st_mode))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is a folder, not a file", reader->name);
	if (S_ISREG(st.st_mode))
		reader->file_bytes = (uint64_t)st.st_size;
	return 0;
}

void reader_close(struct reader *reader)
{
	ahead_stop(reader->ahead);
	if (reader->name && reader->fd >= 0)
		close(reader->fd);
	free(reader->data);
	memset(reader, 0, sizeof *reader);
	reader->fd = -1;
}

int reader_window(struct reader *reader, const struct reader_part *part,
		  struct fault *fault)
{
	ahead_stop(reader->ahead);
	reader->ahead = NULL;
	reader->block_size = reader->begin = reader->end = 0;
	reader->ended = 0;
	reader->is_known = 1;
	reader->limit = part->size;
	reader->part = *part;
	reader->part_bytes = reader->part_crc = 0;
	if (part->offset > INT64_MAX ||
	    lseek(reader->fd, (off_t)part->offset, SEEK_SET) < 0)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: cannot be sought in", reader->name);
	if (!part->is_deflated)
		return 0;
	return ahead_start(&reader->ahead, reader->fd, UNPACK_DEFLATE,
			   part->size, reader->data, 0, reader->name, fault);
}

/* Of a part, what was added behind `from`; at its end, whether it is right. */
static int reader_sum(struct reader *reader, size_t from, struct fault *fault)
{
	const struct reader_part *part = &reader->part;
	size_t size = reader->end - from;

	if (!part->is_checked)
		return 0;
	reader->part_bytes += size;
	reader->part_crc =
	    (uint32_t)crc32_z(reader->part_crc, reader->data + from, size);
	if (reader->part_bytes < part->bytes && !reader->ended)
		return 0;
	if (reader->part_bytes == part->bytes && reader->part_crc == part->crc)
		return 0;
	reader->end = from;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: array '%s' is damaged, its CRC-32 is not what "
			 "the file says. Get the file once more",
			 reader->name, part->name);
}

/* Adds what one read() gives to the data; none: the file has ended. */
static int reader_read(struct reader *reader, struct fault *fault)
{
	size_t room = reader->room - reader->end;
	ssize_t got;

	if (room > READER_READ_BYTES)
		room = READER_READ_BYTES;
	if (!reader->is_known && room > READER_READ_BYTES - reader->end)
		room = READER_READ_BYTES - reader->end; /* ahead takes it */
	if (room > reader->limit)
		room = (size_t)reader->limit;
	got = read(reader->fd, reader->data + reader->end, room);
	if (got < 0 && errno == EINTR && stop_signal())
		return fault_set(fault, 128 + stop_signal(), "%s: interrupted",
				 reader->name);
	if (got < 0 && errno == EINTR)
		return 0;
	if (got < 0) {
		fault_errno(fault, reader->name, errno);
		return fault->code = EXIT_BAD_INPUT;
	}
	reader->end += (size_t)got;
	reader->raw_bytes += (uint64_t)got;
	reader->limit -= (uint64_t)got;
	if (got == 0)
		reader->ended = 1;
	return 0;
}

/* By the first bytes, which are the only ones in the buffer. */
static int reader_find_kind(struct reader *reader, struct fault *fault)
{
	enum unpack_kind kind;
	const char *tool;
	size_t size;
	int needs_more;

	do {
		if (reader_read(reader, fault))
			return fault->code;
		kind =
		    unpack_find(reader->data, reader->end, &needs_more, &tool);
	} while (needs_more && !reader->ended);
	reader->is_known = 1;
	if (kind == UNPACK_PLAIN)
		return 0;
	if (kind == UNPACK_REFUSED)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is packed in a way that is not read "
				 "here; gzip, zstd and lz4 are. Try: %s FILE | "
				 "coppice import STORE -",
				 reader->name, tool);
	size = reader->end;
	reader->end = 0;
	return ahead_start(&reader->ahead, reader->fd, (int)kind, reader->limit,
			   reader->data, size, reader->name, fault);
}

static int reader_copy(struct reader *reader, struct fault *fault)
{
	size_t size = reader->room - reader->end;

	if (reader->block_size == 0 &&
	    ahead_next(reader->ahead, &reader->block, &reader->block_size,
		       &reader->raw_bytes, fault))
		return fault->code;
	if (reader->block_size == 0) {
		reader->ended = 1;
		return 0;
	}
	if (size > reader->block_size)
		size = reader->block_size;
	memcpy(reader->data + reader->end, reader->block, size);
	reader->block += size;
	reader->block_size -= size;
	reader->end += size;
	return 0;
}

/* Adds at least a byte to the data, unless the file has ended. */
static int reader_fill(struct reader *reader, struct fault *fault)
{
	size_t before = reader->end;

	if (!reader->is_known && reader_find_kind(reader, fault))
		return fault->code;
	while (reader->end == before && !reader->ended)
		if (reader->ahead ? reader_copy(reader, fault)
				  : reader_read(reader, fault))
			return fault->code;
	return reader_sum(reader, before, fault);
}

/* Makes room for `size` bytes from begin on, and one more. */
static int reader_room(struct reader *reader, size_t size, struct fault *fault)
{
	unsigned char *data;
	size_t room = reader->room;

	if (reader->begin && (size > reader->room - reader->begin ||
			      reader->end == reader->room)) {
		memmove(reader->data, reader->data + reader->begin,
			reader->end - reader->begin);
		reader->end -= reader->begin;
		reader->begin = 0;
	}
	if (size <= reader->room - reader->begin && reader->end < reader->room)
		return 0;
	while (room < size || room == reader->end)
		room *= 2;
	data = realloc(reader->data, room);
	if (!data)
		return fault_errno(fault, reader->name, ENOMEM);
	reader->data = data;
	reader->room = room;
	return 0;
}

int reader_need(struct reader *reader, size_t size, struct fault *fault)
{
	while (reader->end - reader->begin < size) {
		size_t before = reader->end - reader->begin;

		if (reader_room(reader, size, fault) ||
		    reader_fill(reader, fault))
			return fault->code;
		if (reader->end - reader->begin == before)
			break;
	}
	return 0;
}

size_t reader_peek(const struct reader *reader, const unsigned char **data)
{
	*data = reader->data + reader->begin;
	return reader->end - reader->begin;
}

void reader_take(struct reader *reader, size_t size)
{
	reader->begin += size;
}

int reader_skip_mark(struct reader *reader, struct fault *fault)
{
	const unsigned char *data;

	if (reader_need(reader, 1, fault))
		return fault->code;
	if (reader_peek(reader, &data) < 1 || *data < 0xef)
		return 0;
	if (reader_need(reader, 2, fault))
		return fault->code;
	if (reader_peek(reader, &data) >= 2 &&
	    (!memcmp(data, "\xff\xfe", 2) || !memcmp(data, "\xfe\xff", 2)))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is in UTF-16; text is read in UTF-8. "
				 "Try: iconv -f UTF-16 -t UTF-8 FILE | coppice "
				 "import STORE -",
				 reader->name);
	if (*data != 0xef)
		return 0;
	if (reader_need(reader, 3, fault))
		return fault->code;
	if (reader_peek(reader, &data) >= 3 && !memcmp(data, "\xef\xbb\xbf", 3))
		reader_take(reader, 3);
	return 0;
}

/* Hands out `size` bytes and drops `skip` after them. */
static void reader_give(struct reader *reader, size_t size, size_t skip,
			const char **line, size_t *line_size)
{
	const unsigned char *data = reader->data + reader->begin;

	reader->begin += size + skip;
	reader->line++;
	if (size && data[size - 1] == '\r')
		size--;
	*line = (const char *)data;
	*line_size = size;
}

int reader_line(struct reader *reader, const char **line, size_t *size,
		struct fault *fault)
{
	size_t seen = 0, have;
	const unsigned char *data, *end;

	if (reader->line == 0 && reader_skip_mark(reader, fault))
		return fault->code;
	for (;;) {
		have = reader_peek(reader, &data);
		end =
		    have > seen ? memchr(data + seen, '\n', have - seen) : NULL;
		if (end) {
			reader_give(reader, (size_t)(end - data), 1, line,
				    size);
			return 0;
		}
		seen = have;
		if (have > READER_LINE_BYTES)
			return fault_set(
			    fault, EXIT_BAD_INPUT,
			    "%s:%llu: the line is longer than 128 MiB",
			    reader->name, (unsigned long long)reader->line + 1);
		if (reader_need(reader, have + 1, fault))
			return fault->code;
		if (reader->end - reader->begin > have)
			continue;
		*line = NULL;
		*size = 0;
		if (have)
			reader_give(reader, have, 0, line, size);
		return 0;
	}
}

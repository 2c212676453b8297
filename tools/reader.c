/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader: a file, plain or gzip, read as it comes.
 *
 * idea
 *	read() into one buffer, unpacked or copied into a second one, from which
 *	lines and runs of bytes are taken.  Whether a file is gzip is seen by
 *	its first two bytes, never by its name, so a pipe may carry it too.
 *	What a read() gave is handed on at once, it does not wait for a full
 *	buffer: `put --each` answers a line while its sender waits.  (zlib's
 *	own gzread() waits.)
 *
 * layout of the second buffer
 *	data      begin          end       room
 *	 | taken   | to be taken  | free    |
 *
 * limits
 *	The buffer grows to the longest line or row, READER_LINE_BYTES at most;
 *	otherwise memory is constant.  A gzip file that breaks off, or has
 *	anything but another member after its end, is bad input.
 */
#include "reader.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READER_RAW_BYTES = 262144, READER_START_BYTES = 1048576 };
enum { READER_UNKNOWN, READER_PLAIN, READER_GZIP };

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
	reader->raw = malloc(READER_RAW_BYTES);
	reader->data = malloc(READER_START_BYTES);
	reader->room = READER_START_BYTES;
	if (!reader->raw || !reader->data)
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
	if (reader->kind == READER_GZIP)
		inflateEnd(&reader->gzip);
	if (reader->name && reader->fd >= 0)
		close(reader->fd);
	free(reader->raw);
	free(reader->data);
	memset(reader, 0, sizeof *reader);
	reader->fd = -1;
}

/* Adds what one read() gives to the raw bytes; none: the file has ended. */
static int reader_read(struct reader *reader, struct fault *fault)
{
	ssize_t got;

	if (reader->raw_begin == reader->raw_end)
		reader->raw_begin = reader->raw_end = 0;
	got = read(reader->fd, reader->raw + reader->raw_end,
		   READER_RAW_BYTES - reader->raw_end);
	if (got < 0 && errno == EINTR && stop_signal())
		return fault_set(fault, 128 + stop_signal(), "%s: interrupted",
				 reader->name);
	if (got < 0 && errno == EINTR)
		return 0;
	if (got < 0) {
		fault_errno(fault, reader->name, errno);
		return fault->code = EXIT_BAD_INPUT;
	}
	reader->raw_end += (size_t)got;
	reader->raw_bytes += (uint64_t)got;
	if (got == 0)
		reader->ended = 1;
	return 0;
}

static int reader_find_kind(struct reader *reader, struct fault *fault)
{
	const unsigned char *raw = reader->raw;

	while (!reader->ended &&
	       (reader->raw_end == 0 || (reader->raw_end == 1 && *raw == 0x1f)))
		if (reader_read(reader, fault))
			return fault->code;
	if (reader->raw_end < 2 || raw[0] != 0x1f || raw[1] != 0x8b) {
		reader->kind = READER_PLAIN;
		return 0;
	}
	if (inflateInit2(&reader->gzip, 15 + 16) != Z_OK)
		return fault_errno(fault, reader->name, ENOMEM);
	reader->kind = READER_GZIP;
	return 0;
}

static void reader_copy(struct reader *reader)
{
	size_t size = reader->raw_end - reader->raw_begin;

	if (size > reader->room - reader->end)
		size = reader->room - reader->end;
	memcpy(reader->data + reader->end, reader->raw + reader->raw_begin,
	       size);
	reader->raw_begin += size;
	reader->end += size;
}

static int reader_inflate(struct reader *reader, struct fault *fault)
{
	z_stream *gzip = &reader->gzip;
	size_t room = reader->room - reader->end;
	int status;

	gzip->next_in = reader->raw + reader->raw_begin;
	gzip->avail_in = (uInt)(reader->raw_end - reader->raw_begin);
	gzip->next_out = reader->data + reader->end;
	gzip->avail_out = (uInt)room;
	status = inflate(gzip, Z_NO_FLUSH);
	reader->raw_begin = reader->raw_end - gzip->avail_in;
	reader->end = reader->room - gzip->avail_out;
	if (status == Z_STREAM_END) {
		/* Another member may follow; anything else is not gzip. */
		inflateReset(gzip);
		return 0;
	}
	if (status == Z_OK || status == Z_BUF_ERROR)
		return 0;
	return fault_set(
	    fault, EXIT_BAD_INPUT, "%s: damaged gzip data near byte %llu (%s)",
	    reader->name,
	    (unsigned long long)(reader->raw_bytes - gzip->avail_in),
	    gzip->msg ? gzip->msg : "bad header");
}

static int reader_gzip_end(struct reader *reader, struct fault *fault)
{
	/* Between members total_in is 0 again, see inflateReset(). */
	if (reader->kind != READER_GZIP || reader->gzip.total_in == 0)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: the gzip data breaks off; is the file complete?",
			 reader->name);
}

/* Adds at least a byte to the data, unless the file has ended. */
static int reader_fill(struct reader *reader, struct fault *fault)
{
	size_t before = reader->end;

	if (reader->kind == READER_UNKNOWN && reader_find_kind(reader, fault))
		return fault->code;
	while (reader->end == before) {
		if (reader->raw_begin == reader->raw_end && !reader->ended &&
		    reader_read(reader, fault))
			return fault->code;
		if (reader->raw_begin == reader->raw_end) {
			if (!reader->ended)
				continue;
			/* what is left inside of the unpacker comes first */
			if (reader->kind == READER_PLAIN)
				return 0;
			if (reader->gzip.total_in == 0)
				return 0;
			if (reader_inflate(reader, fault))
				return fault->code;
			if (reader->end == before)
				return reader_gzip_end(reader, fault);
			continue;
		}
		if (reader->kind == READER_PLAIN)
			reader_copy(reader);
		else if (reader_inflate(reader, fault))
			return fault->code;
	}
	return 0;
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
	if (reader_peek(reader, &data) < 1 || *data != 0xef)
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
			    "%s:%llu: the line is longer than 64 MiB",
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

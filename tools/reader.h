/* SPDX-License-Identifier: Apache-2.0 */
/* A file, plain or packed, read as it comes; reader.c. */
#ifndef TOOLS_READER_H
#define TOOLS_READER_H

#include "fault.h"

struct ahead;

enum { READER_LINE_BYTES = 67108864 /* the longest line or record */ };

struct reader {
	const char *name;   /* for messages */
	const char *member; /* wanted of an archive, NULL: not said */
	int fd;
	int ended;	     /* no more bytes will come */
	int is_known;	     /* whether it is packed */
	uint64_t file_bytes; /* 0: not known */
	uint64_t raw_bytes;  /* read from the file so far */
	uint64_t line;	     /* of the line returned last, from 1 */
	uint64_t limit;	     /* bytes that may be read from the file yet */
	struct ahead *ahead; /* unpacks it; NULL: it is plain */
	const unsigned char *block; /* unpacked, not yet in data */
	size_t block_size;
	unsigned char *data; /* begin to end is there to be taken */
	size_t begin, end, room;
};

/* "-" is standard input.  Returns 0 or an exit status. */
int reader_open(struct reader *reader, const char *path, struct fault *fault);

/*
 * Goes on with `size` bytes of the file at an offset, deflated or as they are,
 * and with nothing after them.
 */
int reader_window(struct reader *reader, uint64_t offset, uint64_t size,
		  int is_deflated, struct fault *fault);

/* Allowed on one that is all zero. */
void reader_close(struct reader *reader);

/*
 * Sees to it that `size` bytes are there, or all that is left in the file:
 * reader_peek says how many.
 */
int reader_need(struct reader *reader, size_t size, struct fault *fault);

/*
 * How many bytes are there now, and where.  Lifetime: until the next call
 * that reads.
 */
size_t reader_peek(const struct reader *reader, const unsigned char **data);

/* Takes bytes that are there. */
void reader_take(struct reader *reader, size_t size);

/*
 * The next line without its end, LF or CRLF; *line is NULL at the end of the
 * file.  A byte order mark in front of the first line is left out.
 * Lifetime: until the next call that reads.
 */
int reader_line(struct reader *reader, const char **line, size_t *size,
		struct fault *fault);

/* Takes a UTF-8 byte order mark if one is next; UTF-16's is refused. */
int reader_skip_mark(struct reader *reader, struct fault *fault);

#endif

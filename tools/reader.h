/* SPDX-License-Identifier: Apache-2.0 */
/* A file, plain or packed, read as it comes; reader.c. */
#ifndef TOOLS_READER_H
#define TOOLS_READER_H

#include "fault.h"

struct ahead;

/* Part of a file that is read as if there were nothing else. */
struct reader_part {
	uint64_t offset;
	uint64_t size;	 /* its bytes in the file */
	uint64_t bytes;	 /* unpacked */
	uint32_t crc;	 /* CRC-32 of those */
	int is_deflated; /* or as they are */
	int is_checked;	 /* against crc, as it is read to its end */
	char name[64];	 /* for messages */
};

/* The longest line or record: a dump's is within it, with all properties and
   tags that a record can have, each byte of them as \u0001. */
enum { READER_LINE_BYTES = 134217728 };

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
	struct reader_part part;
	uint64_t part_bytes; /* of it that were read, and their sum */
	uint32_t part_crc;
	struct ahead *ahead;	    /* unpacks it; NULL: it is plain */
	const unsigned char *block; /* unpacked, not yet in data */
	size_t block_size;
	unsigned char *data; /* begin to end is there to be taken */
	size_t begin, end, room;
};

/* "-" is standard input.  Returns 0 or an exit status. */
int reader_open(struct reader *reader, const char *path, struct fault *fault);

/*
 * Goes on with a part of the file, with nothing after it.  Where it is not what
 * its sum says the last bytes of it are not handed out.
 */
int reader_window(struct reader *reader, const struct reader_part *part,
		  struct fault *fault);

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

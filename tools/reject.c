/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reject: records that an import refused, in a file, so that they can be mended
 * and imported again.
 *
 * layout
 *	A JSON object a line:
 *	  {"file": "a.csv", "line": 17, "error": "..", "record": ".."}
 *	`row` stands for `line` where the file is no text.  `record` is the
 *	record's text without the end of its last line; `record_hex` is its
 *	bytes where they are no UTF-8; neither is there where the format gives a
 *	record no text of its own (GraphML, RDF but for N-Triples, vectors).
 *
 * idea
 *	The file is appended to, for it may have what somebody has yet to mend,
 *	and must be empty or begin as such a file does: a wrong word costs
 *	nobody a file.  A line is handed to the system as it comes, so an import
 *	that is killed leaves all that it had refused.
 */
#include "reject.h"
#include "place.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char reject_begins[] = "{\"file\":";

static int reject_fault(const struct reject *reject, struct fault *fault)
{
	return fault_errno(fault, reject->name, errno ? errno : EIO);
}

/* Whether what is there may be appended to: 0 or an exit status. */
static int reject_check(const struct reject *reject, int fd,
			struct fault *fault)
{
	char text[sizeof reject_begins];
	struct stat st;
	ssize_t size;

	if (fstat(fd, &st))
		return reject_fault(reject, fault);
	if (!S_ISREG(st.st_mode))
		return 0;
	size = pread(fd, text, sizeof reject_begins - 1, 0);
	if (size < 0)
		return reject_fault(reject, fault);
	if (!memcmp(text, reject_begins, (size_t)size) &&
	    (!size || size == sizeof reject_begins - 1))
		return 0;
	return fault_set(fault, EXIT_USAGE,
			 "%s is there and has no refused records, which alone "
			 "would be added to; name another file, or remove that "
			 "one",
			 reject->name);
}

int reject_open(struct reject *reject, const char *name, struct fault *fault)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	reject->name = name;
	if (!stat(name, &st) && S_ISDIR(st.st_mode))
		return fault_set(fault, EXIT_USAGE,
				 "%s is a folder; name a file in it", name);
	if (stat(name, &st) || S_ISREG(st.st_mode)) {
		if (place_find(name, path, fault) ||
		    place_refuse(name, path, fault))
			return fault->code;
	}
	fd = open(name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return reject_fault(reject, fault);
	if (!reject_check(reject, fd, fault)) {
		reject->file = fdopen(fd, "a");
		if (reject->file)
			return 0;
		reject_fault(reject, fault);
	}
	close(fd);
	return fault->code;
}

int reject_is(const struct reject *reject, const char *path)
{
	struct stat st, own;

	return reject->file && !stat(path, &st) &&
	       !fstat(fileno(reject->file), &own) && S_ISREG(st.st_mode) &&
	       st.st_dev == own.st_dev && st.st_ino == own.st_ino;
}

/* Text as JSON; bytes that are no UTF-8 as '?'. */
static json_t *text_of(const char *text)
{
	size_t size = strlen(text), at = 0;
	char *copy = strdup(text);
	json_t *json = NULL;

	while (copy && (at += words_utf8(copy + at, size - at)) < size)
		copy[at] = '?';
	if (copy)
		json = json_stringn(copy, size);
	free(copy);
	return json;
}

/* Adds the text of a record; 0 or -1. */
static int record_add(json_t *line, const char *text, size_t size)
{
	char *hex;
	int code;

	if (!text)
		return 0;
	if (words_utf8(text, size) == size)
		return json_object_set_new(line, "record",
					   json_stringn(text, size));
	hex = malloc(2 * size + 1);
	if (!hex)
		return -1;
	words_hex(hex, text, size);
	code = json_object_set_new(line, "record_hex", json_string(hex));
	free(hex);
	return code;
}

int reject_put(struct reject *reject, const struct place *place,
	       const char *error, const char *text, size_t size,
	       struct fault *fault)
{
	json_t *line;
	int code;

	if (!reject->file)
		return 0;
	line = json_pack("{sosIso}", "file", text_of(place->file),
			 place->is_row ? "row" : "line",
			 (json_int_t)place->number, "error", text_of(error));
	if (!line || record_add(line, text, size)) {
		json_decref(line);
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	}
	errno = 0;
	code = json_dumpf(line, reject->file, JSON_COMPACT) ||
	       fputc('\n', reject->file) == EOF || fflush(reject->file);
	if (code)
		reject_fault(reject, fault);
	json_decref(line);
	return code ? fault->code : 0;
}

int reject_close(struct reject *reject, struct fault *fault)
{
	int code = 0;

	errno = 0;
	if (reject->file && fclose(reject->file))
		code = reject_fault(reject, fault);
	reject->file = NULL;
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where JSON values begin and end, without reading them; json_scan.c. */
#ifndef TOOLS_JSON_SCAN_H
#define TOOLS_JSON_SCAN_H

#include <stddef.h>

enum { JSON_SCAN_DEPTH = 2048 };

/* A value that is being scanned; begins as all zero. */
struct json_scan {
	int state;
	int is_escaped;
	size_t depth; /* over JSON_SCAN_DEPTH: it nests too deep */
	int is_done;
};

/*
 * Goes on to scan a value, whose next bytes are these; returns how many of
 * them are its own.  It is at its end if scan->is_done is set; a number or
 * word ends in front of the byte behind it, or with the input.  What lies
 * within is not checked but for strings and brackets.
 */
size_t json_scan_value(struct json_scan *scan, const char *data, size_t size);

/* Bytes of white space at the begin. */
size_t json_scan_space(const char *data, size_t size);

/*
 * The members of an object, whose `{` is at the begin, in turn.
 */
struct json_members {
	const char *at, *end;
	/* of the member: its name as it is written, and where its value is */
	const char *name;
	size_t name_size;
	const char *value;
	int is_passed; /* `at` is behind the value */
};

void json_members_begin(struct json_members *members, const char *data,
			size_t size);

/* The next member, 0 if there is none, or none that is whole. */
int json_members_next(struct json_members *members);

/* Says where the value ends, so that it need not be looked for. */
void json_members_pass(struct json_members *members, const char *end);

/* Whether the member is called so, without escapes. */
int json_members_is(const struct json_members *members, const char *name);

#endif

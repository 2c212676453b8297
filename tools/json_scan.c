/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan: where JSON values begin and end, without reading them.
 *
 * idea
 *	To cut a value out of a stream it is enough to count brackets outside of
 *	strings; whether it is one is for the parser to say, which gets these
 *	bytes alone.  A closing bracket of the wrong kind counts, too: the
 *	parser finds it.
 *
 * limits
 *	A value that nests deeper than JSON_SCAN_DEPTH is not scanned to its
 *	end.  Nothing is kept but a counter.
 */
#include "json_scan.h"

#include <string.h>

enum { SCAN_START, SCAN_NESTED, SCAN_STRING, SCAN_WORD };

size_t json_scan_space(const char *data, size_t size)
{
	size_t at = 0;

	while (at < size && (data[at] == ' ' || data[at] == '\t' ||
			     data[at] == '\n' || data[at] == '\r'))
		at++;
	return at;
}

/* In a string: the bytes up to its end, or all. */
static size_t scan_string(struct json_scan *scan, const char *data, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		if (scan->is_escaped)
			scan->is_escaped = 0;
		else if (data[at] == '\\')
			scan->is_escaped = 1;
		else if (data[at] == '"') {
			scan->state = SCAN_NESTED;
			return at + 1;
		}
	}
	return size;
}

static int scan_ends_word(char c)
{
	return c == ',' || c == ']' || c == '}' || c == ':' || c == ' ' ||
	       c == '\n' || c == '\r' || c == '\t';
}

static size_t scan_word(struct json_scan *scan, const char *data, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		if (scan_ends_word(data[at])) {
			scan->is_done = 1;
			return at;
		}
	}
	return size;
}

/* Between strings. */
static size_t scan_nested(struct json_scan *scan, const char *data, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		switch (data[at]) {
		case '"': scan->state = SCAN_STRING; return at + 1;
		case '{':
		case '[':
			if (++scan->depth > JSON_SCAN_DEPTH)
				return at;
			break;
		case '}':
		case ']':
			scan->is_done = --scan->depth == 0;
			if (scan->is_done)
				return at + 1;
			break;
		default: break;
		}
	}
	return size;
}

size_t json_scan_value(struct json_scan *scan, const char *data, size_t size)
{
	size_t at = 0;

	if (scan->state == SCAN_START && size)
		scan->state = *data == '{' || *data == '[' || *data == '"'
				  ? SCAN_NESTED
				  : SCAN_WORD;
	while (at < size && !scan->is_done && scan->depth <= JSON_SCAN_DEPTH) {
		if (scan->state == SCAN_WORD)
			return at + scan_word(scan, data + at, size - at);
		if (scan->state == SCAN_NESTED) {
			at += scan_nested(scan, data + at, size - at);
		} else {
			at += scan_string(scan, data + at, size - at);
			if (scan->state == SCAN_NESTED && scan->depth == 0)
				scan->is_done = 1;
		}
	}
	return at;
}

/* ---- members of an object ----------------------------------------------- */

void json_members_begin(struct json_members *members, const char *data,
			size_t size)
{
	memset(members, 0, sizeof *members);
	members->at = data + (size && *data == '{');
	members->end = data + size;
}

static int members_take(struct json_members *members, char c)
{
	members->at +=
	    json_scan_space(members->at, (size_t)(members->end - members->at));
	if (members->at == members->end || *members->at != c)
		return 0;
	members->at++;
	return 1;
}

/* Passes a value; 0 if it does not end here. */
static int members_pass(struct json_members *members)
{
	struct json_scan scan = {0};

	members->at += json_scan_value(&scan, members->at,
				       (size_t)(members->end - members->at));
	return scan.is_done;
}

int json_members_next(struct json_members *members)
{
	if (members->value && !members->is_passed) {
		members->at = members->value;
		members->is_passed = members_pass(members);
	}
	if (members->value &&
	    (!members->is_passed || !members_take(members, ',')))
		return 0;
	members->value = NULL;
	members->is_passed = 0;
	if (!members_take(members, '"'))
		return 0;
	members->name = members->at;
	members->at--;
	if (!members_pass(members))
		return 0;
	members->name_size = (size_t)(members->at - members->name) - 1;
	if (!members_take(members, ':'))
		return 0;
	members->at +=
	    json_scan_space(members->at, (size_t)(members->end - members->at));
	if (members->at == members->end)
		return 0;
	members->value = members->at;
	return 1;
}

void json_members_pass(struct json_members *members, const char *end)
{
	members->at = end;
	members->is_passed = 1;
}

int json_members_is(const struct json_members *members, const char *name)
{
	return members->name_size == strlen(name) &&
	       !memcmp(members->name, name, members->name_size);
}

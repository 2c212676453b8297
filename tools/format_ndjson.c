/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ndjson: entities and edges, a JSON object a line (record.c has the shape).
 *
 * layout
 *	Lines end in LF or CRLF, the last one may end without.  Lines of white
 *	space alone are skipped, a byte order mark in front too.  What comes
 *	behind {"commit":N}, up to the next one, is a commit, and their numbers
 *	ascend; see export_history.c.  Large contents have lines of their own,
 *	see part.c.
 */
#include "import.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * A dump with history has {"commit":N} in front of what a commit changed;
 * *digits is N.
 */
static int is_commit(const char *line, size_t size, const char **digits)
{
	static const char head[] = "{\"commit\":";
	size_t at = sizeof head - 1, begin = at;

	if (size < sizeof head || memcmp(line, head, at) != 0)
		return 0;
	while (at < size && line[at] >= '0' && line[at] <= '9')
		at++;
	*digits = line + begin;
	return at > begin && at + 1 == size && line[at] == '}';
}

/* Its number, which is above that of the last one. */
static int commit_number(struct import *import, const struct place *place,
			 const char *digits, uint64_t *last)
{
	struct fault *fault = &import->cli->fault;
	char text[24];
	size_t size = strcspn(digits, "}");
	uint64_t number = 0;

	snprintf(text, sizeof text, "%.*s", (int)(size < 22 ? size : 22),
		 digits);
	if (!words_u64(text, 10, &number) && number > *last) {
		*last = number;
		return 0;
	}
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s:%" PRIu64 ": commit %s comes after %" PRIu64
			 "; a dump with history has them in order, import the "
			 "file as it was written",
			 place->file, place->number, text, *last);
}

static int commit_begin(struct import *import, const struct place *place)
{
	if (import->stage.is_on) {
		fault_set(&import->cli->fault, EXIT_BAD_INPUT,
			  "a dump with history is put as it is: it takes no "
			  "--on-conflict, --reject, --max-bad or --dry-run");
		return import_bad(import, place);
	}
	import->record.has_history = 1;
	return import_boundary(import);
}

static int lines_import(struct import *import)
{
	struct fault *fault = &import->cli->fault;
	struct place place = {.file = import->reader.name};
	const char *line, *digits;
	uint64_t last = 0;
	size_t size;
	int code;

	for (;;) {
		if (reader_line(&import->reader, &line, &size, fault))
			return fault->code;
		if (!line)
			return 0;
		if (record_is_empty(line, size))
			continue;
		place.number = import->reader.line;
		import->text = line;
		import->text_size = size;
		if (is_commit(line, size, &digits))
			code = commit_number(import, &place, digits, &last)
				   ? fault->code
				   : commit_begin(import, &place);
		else if (part_is(line, size))
			code = import_part(import, line, size);
		else if (resume_is_passing(import))
			code = import_step(import);
		else
			code = import_record(import, &place, line, size);
		if (code)
			return code;
	}
}

int ndjson_import(struct import *import)
{
	int code = lines_import(import);

	import->record.has_history = 0;
	import->resume.holds = 0;
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ndjson: entities and edges, a JSON object a line (record.c has the shape).
 *
 * layout
 *	Lines end in LF or CRLF, the last one may end without.  Lines of white
 *	space alone are skipped, a byte order mark in front too.
 */
#include "import.h"

int ndjson_import(struct import *import)
{
	struct fault *fault = &import->cli->fault;
	struct place place = {.file = import->reader.name};
	const char *line;
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
		if (import_passes(import))
			code = import_step(import);
		else if (record_put(&import->record, import->batch.write, line,
				    size, fault))
			code = import_bad(import, &place);
		else
			code = import_recorded(import, &place);
		if (code)
			return code;
	}
}

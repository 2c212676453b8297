/* SPDX-License-Identifier: Apache-2.0 */
/* The formats that import reads, and how one is told by a file; format.c. */
#ifndef TOOLS_FORMAT_H
#define TOOLS_FORMAT_H

#include "reader.h"

enum format {
	FORMAT_UNKNOWN = -1,
	FORMAT_NDJSON = 0,
	FORMAT_CSV = 1,
	FORMAT_NPY = 2,
	FORMAT_FVECS = 3,
	FORMAT_GRAPHML = 4,
	FORMAT_NTRIPLES = 5,
	FORMAT_NQUADS = 6,
	FORMAT_TURTLE = 7,
	FORMAT_TRIG = 8
};

/* Their names, in the order of enum format; ends in NULL. */
extern const char *const format_names[];

/* The format of a file, by how it begins and what it is called. */
int format_find(struct reader *reader, enum format *out, struct fault *fault);

#endif

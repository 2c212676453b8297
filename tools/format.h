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
	/* rows of vectors: */
	FORMAT_FVECS = 3,
	FORMAT_BVECS,
	FORMAT_IVECS,
	FORMAT_FBIN,
	FORMAT_U8BIN,
	FORMAT_I8BIN,
	FORMAT_IBIN,
	FORMAT_WORD2VEC,
	FORMAT_GLOVE,
	FORMAT_NPZ,
	FORMAT_JSON,
	FORMAT_EDGES,
	FORMAT_TRIPLES,
	FORMAT_GRAPHML,
	/* RDF: */
	FORMAT_NTRIPLES,
	FORMAT_NQUADS,
	FORMAT_TURTLE,
	FORMAT_TRIG
};

/* Their names, in the order of enum format; ends in NULL. */
extern const char *const format_names[];

/* The format of a file, by how it begins and what it is called. */
int format_find(struct reader *reader, enum format *out, struct fault *fault);

/* Whether an object that begins so has lists of records in it. */
int document_has_lists(const char *data, size_t size);

/* Whether it is rows of vectors, which rows.c reads. */
int format_has_rows(enum format format);

#endif

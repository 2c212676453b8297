/* SPDX-License-Identifier: Apache-2.0 */
/* One record in JSON, put into a write; record.c. */
#ifndef TOOLS_RECORD_H
#define TOOLS_RECORD_H

#include "scratch.h"
#include "part.h"

enum record_kind { RECORD_ENTITY = 1, RECORD_EDGE = 2, RECORD_DELETE = 3 };

struct record {
	/* chosen by the caller, the rest zero */
	int32_t dangling; /* enum cop_dangling */
	const char *type; /* of entities that name none, NULL: none */
	int conditional;  /* entities are put if they have this version: */
	uint64_t version; /* 0: if they are absent */
	int is_point;	  /* {"id", "values"} is a point of Pinecone's */
	int has_history;  /* {"set"} and {"delete"} are records, too */
	/* told of what was put, the one or the other, and of the entity's
	   content if it came in parts, which it may take (NULL then); 0 or an
	   exit status whose fault is set; NULL: nobody is */
	int (*taken)(void *user, const struct cop_put *put,
		     const struct cop_put_edge *edge, cop_upload **upload);
	void *user;
	/* of the line put last */
	int kind;	/* enum record_kind, 0: an edge left out */
	int has_vector; /* it came with one */
	int has_parts;	/* it got content that came before, too */
	/* of all lines */
	uint64_t endless;   /* edges left out: an end is the empty text */
	uint64_t doubled;   /* properties in a line and in its `properties` */
	struct parts parts; /* content for the next line's */
	/* the record's own */
	struct scratch scratch;
	float *numbers; /* room for COP_DIM_MAX, NULL: none yet */
	/* of the line, without jansson */
	uint32_t number_count;
	const char *content; /* NULL: it is in what jansson has */
	size_t content_size;
};

/* Puts one line; 0 or an exit status, with nothing put. */
int record_put(struct record *record, cop_write *write, const char *line,
	       size_t size, struct fault *fault);

/*
 * Whether an edge is left out because an end of it is the empty text: no
 * entity is called that, so it dangles.  Counts it.
 */
int record_is_endless(struct record *record, const struct cop_put_edge *edge);

/* Whether a line is white space alone. */
int record_is_empty(const char *line, size_t size);

void record_release(struct record *record);

#endif

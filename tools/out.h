/* SPDX-License-Identifier: Apache-2.0 */
/* What the command writes to stdout: JSON and text; out.c. */
#ifndef TOOLS_OUT_H
#define TOOLS_OUT_H

#include "coppice.h"

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void out_string(const void *data, size_t size);

/* The text of bytes, without quotes. */
void out_base64(const void *data, size_t size);

/* Text for a person: control characters as '?', what is no UTF-8 too. */
void out_plain(const void *data, size_t size);

/* A JSON number that reads back as the same double, never as an integer. */
void out_double(double value);

/* float32 x dim as a JSON list, each number reads back as the same float. */
void out_vector(const float *vector, uint32_t dim);

/* A value as JSON; the same as text, which the caller frees. */
cop_err out_value(const struct cop_value *value);
cop_err out_value_text(const struct cop_value *value, char **text,
		       size_t *size);

enum out_parts {
	OUT_VECTOR = 1,
	OUT_EDGES = 2,
	OUT_VERSION = 4,
	OUT_DUMP = 8 /* content that is no text, too; but large one, which
			is in lines before: part.h */
};

struct out_tag {
	const char *text;
	size_t size;
};

/*
 * The tags that an entity has always, in order of their texts; the caller frees
 * them, also after an error.  The others are added to *timed.
 */
cop_err out_tags(cop_read *read, const struct cop_entity *entity,
		 struct out_tag **tags, uint32_t *count, uint32_t *timed);

/* An entity as the line that import reads; parts: enum out_parts. */
cop_err out_entity(cop_store *store, cop_read *read,
		   const struct cop_entity *entity, int parts);

/*
 * The content, *data NULL if it is no text or too long for a line; *size is
 * what there is.
 */
cop_err out_content(cop_read *read, const struct cop_entity *entity,
		    const void **data, size_t *size);

/* The same, without the line's end. */
cop_err out_entity_object(cop_store *store, cop_read *read,
			  const struct cop_entity *entity, int parts);
cop_err out_edge_object(cop_read *read, const struct cop_edge *edge);

/* An edge as the line that import reads. */
cop_err out_edge(cop_read *read, const struct cop_edge *edge);

/* `,"type":...,"label":...` of an entity, for JSON; "\tlabel" for text. */
cop_err out_label_json(cop_read *read, uint64_t id);
cop_err out_label_text(cop_read *read, uint64_t id);

/*
 * The key of an id, as a member of a JSON object or as text.  The member
 * NAME_hex, with all its bytes, follows that of a key that is no UTF-8.
 */
cop_err out_key_json(cop_read *read, const char *name, uint64_t id);
cop_err out_key_text(cop_read *read, uint64_t id);

/* The text of a name's number. */
cop_err out_name_json(cop_read *read, uint32_t name);
cop_err out_name_text(cop_read *read, uint32_t name);

/* The names of enum cop_metric and enum cop_codes, as init takes them. */
const char *out_metric(int32_t metric);
const char *out_codes(int32_t codes);

/* Whether it can be written to at all. */
int out_is_open(void);

/* Whether nobody reads what is written, or it could not be written. */
int out_failed(void);

/* Whether whoever read the output through a pipe has gone. */
int out_closed(void);

/* Flushes; the exit status: `code`, or that of output that got lost. */
int out_end(int code);

#endif

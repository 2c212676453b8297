/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a store as jansson's values, in the shape of import; json.c. */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include "coppice.h"

#include <jansson.h>

enum json_parts {
	JSON_VECTOR = 1,
	JSON_VERSION = 2,
	JSON_BYTES = 4, /* of content its size alone, to keep what there is */
	JSON_BRIEF = 8	/* neither content nor times */
};

/* Text; what is not UTF-8 becomes U+FFFD.  NULL without memory. */
json_t *json_text(const void *data, size_t size);

/*
 * An entity, an edge, a name, as import reads them.
 * *out is to be released.  Returns the library's error or ENOMEM.
 */
cop_err json_entity(cop_read *read, const struct cop_entity *entity, int parts,
		    json_t **out);
cop_err json_edge(cop_read *read, const struct cop_edge *edge, json_t **out);
cop_err json_name(cop_read *read, uint32_t name, json_t **out);

/* Adds a member, which it takes; ENOMEM if it is NULL. */
cop_err json_member(json_t *object, const char *name, json_t *value);

/* Adds the key of an id and, if it is no UTF-8, all its bytes as NAME_hex. */
cop_err json_key(json_t *object, const char *name, cop_read *read, uint64_t id);

#endif

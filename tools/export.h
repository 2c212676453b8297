/* SPDX-License-Identifier: Apache-2.0 */
/* One export: what is chosen, and how formats are given it; export.c. */
#ifndef TOOLS_EXPORT_H
#define TOOLS_EXPORT_H

#include "args.h"
#include "select.h"

struct export_ids {
	uint64_t *ids; /* ascending */
	size_t count;
};

/* Among the kinds: a whole number that may be another one as a double. */
#define KIND_LONG (1U << 31)

/* A property, by name, of all that are exported: its column, its type. */
struct export_field {
	char *name;
	size_t size;
	int of_edges;
	unsigned kinds;	     /* a bit each: 1 << enum cop_kind, KIND_LONG */
	unsigned item_kinds; /* of lists */
	int is_cut; /* an item has a `;` or a NUL, or is a lone empty text */
};

struct export_fields {
	struct export_field *fields;
	size_t count, room;
	int has_content, has_vector;
};

struct exporter;

typedef cop_err export_entity_visit(struct exporter *run, cop_read *read,
				    const struct cop_entity *entity);
typedef cop_err export_edge_visit(struct exporter *run, cop_read *read,
				  const struct cop_edge *edge);

struct exporter {
	struct cli *cli;
	/* chosen */
	struct select which;
	const char *around; /* a key, NULL: all */
	uint32_t hops;
	const char *output; /* a file or, of several, what they begin with */
	int replaces;
	int vectors; /* with them, where that is left open */
	/* state */
	struct export_ids near;	     /* of `around` */
	struct export_fields fields; /* after export_survey() */
	/* what no property may be called, of entities, of edges; each ends in
	   NULL, or is NULL: all may */
	const char *const *taken[2];
	char taken_first; /* nor begin with; 0: nothing */
	/* whether the format can have a key; NULL: all.  Entities of others
	   are left out, with their edges */
	int (*key_fits)(const void *key, size_t size);
	uint64_t entities, edges;
	uint64_t keys_out;	 /* entities left out for their keys */
	uint64_t left_out;	 /* what the format has no place for */
	uint64_t lists;		 /* that will be read as something else */
	cop_err err;		 /* from inside a visit */
	export_edge_visit *edge; /* of the pass that is under way */
	int of_edges;	 /* whose properties are visited; the format's */
	char name[4096]; /* of the file that is written */
};

/* All that is chosen, in order of keys; 0 or an exit status. */
int export_entities(struct exporter *run, export_entity_visit *visit);

/*
 * All edges of which both ends are chosen, by source, relation, target and
 * discriminator, in order of their texts; 0 or an exit status.
 */
int export_edges(struct exporter *run, export_edge_visit *visit);

/* Names and types of all properties but run->taken into run->fields. */
int export_survey(struct exporter *run);

/* Calls `visit` for each property that an entity or an edge has always. */
typedef cop_err export_property_visit(struct exporter *run, const char *name,
				      size_t size,
				      const struct cop_value *value);
cop_err export_entity_properties(struct exporter *run, cop_read *read,
				 const struct cop_entity *entity,
				 export_property_visit *visit);
cop_err export_edge_properties(struct exporter *run, cop_read *read,
			       const struct cop_edge *edge,
			       export_property_visit *visit);

void export_fields_release(struct export_fields *fields);

/* Calls `visit` for the type, "" for none, then for each tag in order. */
typedef cop_err export_label_visit(struct exporter *run, const char *text,
				   size_t size, int is_type);
cop_err export_labels(struct exporter *run, cop_read *read,
		      const struct cop_entity *entity,
		      export_label_visit *visit);

/* NULL if there is none. */
struct export_field *export_field_find(struct export_fields *fields,
				       const char *name, size_t size,
				       int of_edges);

/*
 * The kind, enum cop_kind, that all values have, by bits, or COP_FLOAT of
 * numbers of both kinds; else COP_STRING.
 */
int export_kind_of(unsigned kinds);

/* A value as text: a scalar as it is, else its JSON. */
cop_err export_plain(const struct cop_value *value,
		     void (*text)(const void *data, size_t size));
cop_err export_json(const struct cop_value *value,
		    void (*text)(const void *data, size_t size));

/* The order of keys and names: by bytes, a text before what begins with it. */
int export_text_compare(const void *a, size_t a_size, const void *b,
			size_t b_size);

/* The text of an entity's key, and of a name. */
cop_err export_key(cop_read *read, uint64_t id,
		   void (*text)(const void *data, size_t size));
cop_err export_name(cop_read *read, uint32_t number,
		    void (*text)(const void *data, size_t size));

/* Sends stdout to run->output with `tail`; or leaves it, if that is "-". */
int export_begin(struct exporter *run, const char *tail);
int export_end(struct exporter *run, int code);

/* A line of NDJSON each. */
cop_err export_ndjson_entity(struct exporter *run, cop_read *read,
			     const struct cop_entity *entity);
cop_err export_ndjson_edge(struct exporter *run, cop_read *read,
			   const struct cop_edge *edge);

/* The formats; each an exit status. */
int export_history(struct exporter *run);
int export_ndjson(struct exporter *run);
int export_csv(struct exporter *run);
int export_graphml(struct exporter *run);
int export_ntriples(struct exporter *run);
int export_dot(struct exporter *run);
int export_npy(struct exporter *run);

#endif

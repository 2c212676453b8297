/* SPDX-License-Identifier: Apache-2.0 */
/* What a GraphML file declares, and one of its records; format_graphml.c. */
#ifndef TOOLS_GRAPHML_H
#define TOOLS_GRAPHML_H

#include "import.h"

/* What a key is for; bits. */
enum graphml_domain {
	GRAPHML_NODE = 1,
	GRAPHML_EDGE = 2,
	GRAPHML_HYPEREDGE = 4,
	GRAPHML_OTHER = 8, /* graphs, ports, endpoints: left out */
	GRAPHML_ALL = 15
};

struct graphml_key {
	char *id;
	char *name; /* of the property; stays where it is */
	size_t name_size;
	char *preset; /* the value of records that have none, NULL: none */
	size_t preset_size;
	int domains;
	int kind;	 /* enum cop_kind */
	int entity_rank; /* how well it tells a type, 2: best, 0: not */
	int edge_rank;	 /* a relation */
};

struct graphml_keys {
	const char *type_name;	   /* of the only key that tells types, or
				      NULL: as is usual */
	const char *relation_name; /* likewise relations */
	struct graphml_key *items;
	size_t count, room;
	size_t next; /* where the next one is looked for first */
};

/* A value as it stands in the file. */
struct graphml_item {
	size_t key; /* its index */
	const char *text;
	size_t size;
	int rank;    /* how well it tells the type or relation, 0: not */
	int is_soft; /* gives way to one of the same name */
	struct cop_value value;
};

/* A node, an edge or a hyperedge that was begun. */
struct graphml_record {
	int domain; /* enum graphml_domain, but one that is left out */
	struct place place;
	const char *key; /* an edge's id, NULL: none */
	const char *source;
	const char *target;
	struct graphml_item *items;
	size_t count, room;
	size_t bytes; /* of all texts */
	int is_put;   /* before what stands inside of it */
	int is_changed;
	int is_bad;	    /* and was reported */
	struct fault fault; /* the first thing that is wrong with it */
	struct scratch scratch;
};

/*
 * Adds a key by its attributes; `type` is its attr.type, or NULL.  Returns 0
 * or an exit status.
 */
int graphml_key_add(struct graphml_keys *keys, const char *id, const char *name,
		    const char *domain, const char *type, struct fault *fault);

/*
 * The index of the key that a data element of a domain names, which is added
 * if nothing declares it; 0 or an exit status.
 */
int graphml_key_find(struct graphml_keys *keys, const char *id, int domain,
		     size_t *out, struct fault *fault);

/* The same of a key of a type by its name. */
int graphml_key_named(struct graphml_keys *keys, const char *name,
		      const char *type, int domain, size_t *out,
		      struct fault *fault);

/* Whether data of that name tell an entity's type. */
int graphml_tells_type(const char *name);

void graphml_keys_release(struct graphml_keys *keys);

enum graphml_weight {
	GRAPHML_DATA,
	GRAPHML_SOFT, /* no data: gives way to those of the same name */
	GRAPHML_LABEL /* likewise, and tells the type or relation best */
};

/*
 * Adds a value to a record.  What is wrong with it is the record's fault;
 * returns 0 or an exit status.
 */
int graphml_item_add(struct graphml_keys *keys, struct graphml_record *record,
		     size_t key, const char *text, size_t size, int weight,
		     struct fault *fault);

/* What a record says: the rest of its values, and its type or relation. */
struct graphml_content {
	struct cop_property *properties;
	uint32_t property_count;
	const char **names; /* the type, "" for none, and tags; the relation */
	size_t *name_sizes;
	uint32_t name_count;
	const char *content; /* of an entity; NULL: none */
	size_t content_size;
	uint32_t discriminator; /* of an edge */
	int has_discriminator;
};

/* Lifetime of `out`: the record's scratch.  Returns 0 or an exit status. */
int graphml_content(struct graphml_keys *keys, struct graphml_record *record,
		    struct graphml_content *out, struct fault *fault);

#endif

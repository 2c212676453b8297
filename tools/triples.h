/* SPDX-License-Identifier: Apache-2.0 */
/* Triples, gathered by their subjects into entities and edges; triples.c. */
#ifndef TOOLS_TRIPLES_H
#define TOOLS_TRIPLES_H

#include "import.h"

struct triples_subject;
struct triples_link;

struct triples {
	struct import *import; /* chosen by the caller, the rest zero */
	/* the gatherer's own */
	struct scratch scratch;
	struct triples_subject *subjects;
	size_t subject_count, subject_room;
	uint32_t *slots; /* of subjects by their keys, from 1; 0: free */
	size_t slot_count;
	struct hashes known; /* of the subject that is merged */
	struct triples_link *links;
	size_t link_count, link_room;
	size_t bytes;
};

/* A text that lives until the next triples_* call, and is copied. */
struct triples_text {
	const char *data;
	size_t size;
};

/* Commits what is under way, for look-ups see no more; 0 or an exit status. */
int triples_begin(struct triples *triples);

/*
 * What a triple says: a type of its subject, a property of it, or an edge to
 * its object.  Each returns 0 or an exit status.
 */
int triples_type(struct triples *triples, const struct place *place,
		 struct triples_text subject, struct triples_text type);
int triples_property(struct triples *triples, const struct place *place,
		     struct triples_text subject, struct triples_text name,
		     const struct cop_value *value);
int triples_edge(struct triples *triples, const struct place *place,
		 struct triples_text subject, struct triples_text relation,
		 struct triples_text object);

/* Puts what is gathered, for the next commit; 0 or an exit status. */
int triples_end(struct triples *triples);

/* Puts and commits what is gathered; 0 or an exit status. */
int triples_flush(struct triples *triples);

void triples_release(struct triples *triples);

#endif

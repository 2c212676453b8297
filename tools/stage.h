/* SPDX-License-Identifier: Apache-2.0 */
/* Records of one commit that wait to be compared with the store; stage.c. */
#ifndef TOOLS_STAGE_H
#define TOOLS_STAGE_H

#include "batch.h"
#include "hashes.h"
#include "scratch.h"

struct import;
struct reject;

/* What becomes of a record whose entity or edge is there already. */
enum stage_conflict {
	CONFLICT_REPLACE, /* it takes the place of what is there */
	CONFLICT_ERROR,	  /* it is a bad record */
	CONFLICT_SKIP,	  /* it is left out */
	CONFLICT_MERGE	  /* merge.h */
};

enum stage_kind {
	STAGED_ENTITY,
	STAGED_EDGE,
	STAGED_ROW,  /* a vector for an entity, which is put if it is absent */
	STAGED_GIVEN /* the same for one that must be there */
};

struct staged {
	int kind; /* enum stage_kind */
	int has_type;
	int is_again;	    /* it was put before, in part */
	int is_out;	    /* left out for good, and reported */
	int has_parts;	    /* its content came in parts */
	cop_upload *upload; /* those, NULL: none, or a dry run */
	struct place place;
	const char *text; /* NULL: not wanted, or there is none */
	size_t text_size;
	union { /* as it came */
		struct cop_put put;
		struct cop_put_edge edge;
	};
	union { /* as it is put */
		struct cop_put now;
		struct cop_put_edge edge_now;
	};
};

struct stage_counts {
	uint64_t entities, edges, stubs; /* put */
	uint64_t skipped;		 /* were there already */
	uint64_t merged;		 /* with what was there */
	uint64_t vectors_out;		 /* of those that were not put */
};

struct stage {
	/* chosen by the caller, the rest zero */
	int is_on;
	int is_dry;	/* nothing is committed */
	int conflict;	/* enum stage_conflict */
	int keeps_text; /* of records, for refused ones */
	/* the stage's own */
	uint64_t begin; /* the newest commit when it began */
	int is_begun;
	struct scratch scratch; /* of what is staged */
	struct scratch work;	/* of one attempt to put it */
	struct staged *items;
	size_t count, room;
	size_t contents;	/* that they hold */
	struct hashes entities; /* put by this attempt: index of the item */
	struct hashes edges;
	struct hashes seen; /* put before, of a dry run */
	struct stage_counts now;
	struct stage_counts total;
	uint64_t edges_skipped; /* an end was missing */
};

/*
 * Copy a record that its write has taken.  is_again: it was put before, as far
 * as it was known then.  Return 0 or an exit status.
 */
int stage_put(struct import *import, int kind, const struct cop_put *put,
	      int is_again);
int stage_edge(struct import *import, const struct cop_put_edge *edge);

/* Content, which it takes over, of the entity that was staged last. */
void stage_content(struct stage *stage, cop_upload *upload);

/* Whether what waits is to be committed for what it takes of memory. */
int stage_is_full(const struct stage *stage);

/* Says where the record stands that was staged last, and its text. */
int stage_place(struct import *import, const struct place *place);

/*
 * Compares what is staged with the store, and commits what is to be put; a dry
 * run drops it.  Returns 0 or an exit status.
 */
int stage_commit(struct import *import);

void stage_release(struct stage *stage);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WordNet into a store.  See import.c.
 */
#ifndef DEMO_IMPORT_H
#define DEMO_IMPORT_H

#include "coppice.h"
#include "textvec.h"
#include "wordnet.h"

struct import_figures {
	uint64_t entities;
	uint64_t edges;
	double entity_seconds; /* vectors and commits included */
	double edge_seconds;
};

/* Document frequencies of all synsets. */
void import_learn(const struct wordnet *wordnet, struct textvec *textvec);

/*
 * Puts every synset, then every relation, with progress on standard error.
 * Returns	0, or -1 after saying why.
 */
int import_run(cop_store *store, const struct wordnet *wordnet,
	       const struct textvec *textvec, struct import_figures *figures);

#endif

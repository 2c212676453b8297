/* SPDX-License-Identifier: Apache-2.0 */
/* One import: its options, where it is, what it has done; verb_import.c. */
#ifndef TOOLS_IMPORT_H
#define TOOLS_IMPORT_H

#include "args.h"
#include "batch.h"
#include "format.h"
#include "parallel.h"
#include "progress.h"
#include "record.h"
#include "resume.h"
#include "table.h"

struct import {
	struct cli *cli;
	/* options */
	int format;	   /* enum format */
	const char *ids;   /* file of keys for vectors, NULL: none */
	const char *array; /* of .npz, NULL: not said */
	int32_t dangling;  /* enum cop_dangling */
	int is_atomic;	   /* all in one commit */
	int skips_bad;	   /* go on after bad records */
	int prints_json;
	int progress_mode;
	const char *type;     /* of entities that name none */
	const char *relation; /* of edges that name none, NULL: usual */
	struct table table;
	const char *type_key;	  /* of GraphML data that tell types */
	const char *relation_key; /* and relations, NULL: the usual ones */
	int local_names;	  /* of RDF, instead of IRIs */
	/* state */
	struct reader reader;
	struct batch batch;
	struct record record;
	struct parallel parallel; /* edges of tables */
	struct progress progress;
	uint64_t bytes_before; /* of the files before this one */
	uint64_t records;      /* taken */
	uint64_t vectors;      /* of those, with one */
	uint64_t bad;	       /* left out */
	struct resume resume;
};

/*
 * After each record: notes where the operation stands that was added, commits
 * when it is time, draws progress.  Returns 0 or an exit status.
 */
int import_added(struct import *import, const struct place *place);

/* The same for an edge that was left out: no operation was added. */
int import_step(struct import *import);

/* The same of the line that import->record has just put. */
int import_recorded(struct import *import, const struct place *place);

/*
 * Whether the record at hand is in the store already, so that import_step() is
 * all that is to be done.
 */
int import_passes(const struct import *import);

/*
 * After a record that could not be added, with cli->fault set: 0 to go on
 * with the next one, or the exit status.
 */
int import_bad(struct import *import, const struct place *place);

/*
 * Put an entity or an edge that stands at a place, and do what follows: commit
 * when it is time, draw progress, leave it out if it is bad.  What they point
 * to is copied.  Return 0 to go on, or the exit status.
 */
int import_entity(struct import *import, const struct place *place,
		  const struct cop_put *put);
int import_edge(struct import *import, const struct place *place,
		struct cop_put_edge *edge);

/* The formats: each reads import->reader to its end. */
int ndjson_import(struct import *import);
int document_import(struct import *import);
int csv_import(struct import *import);
int csv_import_triples(struct import *import);
int edges_import(struct import *import);
int graphml_import(struct import *import);
int rdf_import(struct import *import, int format);
int rows_import(struct import *import, int format);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One import: its options, where it is, what it has done; verb_import.c. */
#ifndef TOOLS_IMPORT_H
#define TOOLS_IMPORT_H

#include "args.h"
#include "batch.h"
#include "format.h"
#include "operands.h"
#include "parallel.h"
#include "progress.h"
#include "record.h"
#include "reject.h"
#include "resume.h"
#include "stage.h"
#include "table.h"
#include "tiles.h"

#include <limits.h>

struct import {
	struct cli *cli;
	/* options */
	int format;		/* enum format */
	const char *ids;	/* file of keys for vectors, NULL: none */
	const char *ids_column; /* of a table that it is, NULL: it is none */
	char ids_file[PATH_MAX];
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
	/* options of what is left out */
	int skips_dangling;  /* edges, as if they were bad */
	uint64_t bad_max;    /* of both, UINT64_MAX: any number */
	const char *refused; /* file of theirs, NULL: none */
	/* state */
	struct operands operands;
	struct reader reader;
	struct batch batch;
	struct record record;
	struct parallel parallel; /* edges of tables */
	struct progress progress;
	struct stage stage;
	struct tiles tiles;
	struct reject reject;
	/* of the JSON at hand: where it is, and its number in a list, NULL: it
	   is in none that has a name */
	const struct place *place;
	const char *list;
	uint64_t index;
	const char *text; /* of the record at hand, NULL: it has none */
	size_t text_size;
	int is_again;	       /* it was put before, in part */
	uint64_t bytes_before; /* of the files before this one */
	uint64_t records;      /* taken */
	uint64_t vectors;      /* of those, with one */
	uint64_t bad;	       /* left out */
	uint64_t lost;	       /* edges that were, as if they were bad */
	struct resume resume;
};

/*
 * After each record: notes where the operation stands that was added, commits
 * when it is time, draws progress.  Returns 0 or an exit status.
 */
int import_added(struct import *import, const struct place *place);

/* The same of a triple: no operation was added. */
int import_step(struct import *import);

/*
 * Takes a line that part_is(), which is no record: it is not counted.  Returns
 * 0 or an exit status.
 */
int import_part(struct import *import, const char *line, size_t size);

/* Puts a record in JSON, and does what follows.  Returns as import_entity(). */
int import_record(struct import *import, const struct place *place,
		  const char *data, size_t size);

/*
 * Here a commit ends, and from here on one ends only at the next such place.
 */
int import_boundary(struct import *import);

/* Has all that was added committed, so that look-ups see it. */
int import_flush(struct import *import);

/*
 * After a record that could not be added, with cli->fault set: 0 to go on
 * with the next one, or the exit status.
 */
int import_bad(struct import *import, const struct place *place);

/* The same of one that was taken, and is found to be bad at the commit. */
int import_refuse(struct import *import, const struct place *place);

/*
 * The same after an edge that is left out since an end is not there.  In
 * import_endless() it is the empty text.
 */
int import_lost(struct import *import, const struct place *place);
int import_endless(struct import *import, const struct place *place);

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

/* SPDX-License-Identifier: Apache-2.0 */
/* How far an import is, kept in the store with what it put; resume.c. */
#ifndef TOOLS_RESUME_H
#define TOOLS_RESUME_H

#include "fault.h"
#include <stdint.h>

struct import;

enum { RESUME_NAME_ROOM = 32 };

/* As of a commit of an import that was not its last one. */
struct resume_point {
	uint64_t contents;   /* a hash of what the files begin with */
	uint64_t turns;	     /* records decided: put, left out, or bad */
	uint64_t file;	     /* index of the one that it is in, from 0 */
	uint64_t file_turns; /* turns before that file */
	uint64_t has_seen;   /* edges of earlier files tell those of later */
	uint64_t records;
	uint64_t vectors;
	uint64_t bad;
	uint64_t endless;
	uint64_t doubled;
	uint64_t commits;
	uint64_t entities_put;
	uint64_t edges_put;
	uint64_t edges_skipped;
	uint64_t stubs_put;
	uint64_t lost;	  /* edges left out as if they were bad */
	uint64_t skipped; /* records that were there */
	uint64_t merged;
	uint64_t begin; /* the newest commit when the import began; 0: it was
			   not looked at */
	uint64_t cuts;	/* 1: edges that come now are cut up (tiles.c) */
	/* of edges that come after `turns`, up to `until`, 0: of none, those
	   are in the store that come before `order`, and `same` of that one */
	uint64_t until;
	uint64_t order;
	uint64_t same;
};

struct resume {
	int is_wanted; /* --resume */
	int is_last;   /* the next commit is the import's last */
	int holds;     /* no commit until what is at hand is put */
	int is_begun;  /* a file is */
	int is_marked; /* there is a mark of this import */
	int is_full;   /* there is no room for one */
	char name[RESUME_NAME_ROOM];  /* of it */
	char stale[RESUME_NAME_ROOM]; /* that goes when it comes; "": none */
	uint64_t edges;		      /* of the operations in the batch */
	uint64_t deletes;	      /* of those, too */
	struct resume_point now;
	struct resume_point sealed; /* of the last pass of which all was */
	struct resume_point before; /* what is passed over; 0 turns: nothing */
};

/*
 * Looks for what an import of the same files, with options by which a record
 * means the same, has left behind, and says what comes of it.  Returns 0 or an
 * exit status.
 */
int resume_begin(struct import *import);

/*
 * Whether the record at hand is in the store already, so that import_step() is
 * all that is to be done.
 */
int resume_is_passing(const struct import *import);

/* A file begins; 1 if all of it is in the store, and it need not be read. */
int resume_file(struct import *import, const char *path);

/* A record was decided.  Returns 0 or an exit status. */
int resume_turn(struct import *import);

/* Whether further edges were cut up with those of which some are there. */
int resume_is_cut(const struct import *import);

/* Adds to the batch's write how far it goes; its `seal`. */
int resume_seal(void *user, struct fault *fault);

/* At the end of the files: all that was to be passed over has come. */
int resume_check(struct import *import);

#endif

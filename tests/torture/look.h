/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look: whether one read sees whole changes only, and sees them everywhere.
 *
 * idea
 *	The roots' stamps and the registers' values, which any snapshot gives,
 *	say all the rest: entities, tags, types, texts, vectors, edges.  Then
 *	gets, scans, searches and walks must answer just so, and the stamps
 *	must lie between what was acknowledged before the read began and what
 *	was under way when it had been made.
 */
#ifndef TORTURE_LOOK_H
#define TORTURE_LOOK_H

#include "coppice.h"
#include "model.h"

struct look {
	cop_read *read;
	uint64_t commit;
	uint64_t stamps[GROUPS];
	uint64_t versions[GROUPS]; /* of the roots */
	uint64_t pairs[GROUPS];	   /* the partner's stamp of a joint change */
	uint64_t ids[GROUPS][MEMBERS]; /* 0: not there */
	uint64_t hub;
	uint64_t registers[REGISTERS];
	uint64_t register_ids[REGISTERS];
};

/* What was known before a read began. */
struct look_floor {
	uint64_t commit;
	uint64_t stamps[GROUPS];
	uint64_t called;
};

enum look_depth { LOOK_SOME, LOOK_ALL };

/* Ends the process with a word if the call did not succeed. */
void look_must(cop_err err, const char *what);

void look_floor(struct look_floor *floor);

/*
 * Reads all there is, compares, and has the oracle fail if anything differs.
 * read		begun after look_floor()
 * seed		what is asked at random
 */
void look_at(struct look *look, cop_read *read, const struct look_floor *floor,
	     enum look_depth depth, uint64_t *seed);

/* The same once more on the same read: nothing may have changed. */
void look_again(const struct look *before, enum look_depth depth,
		uint64_t *seed);

/*
 * The same as of some commit before the read's; nothing is known of its bounds.
 */
void look_past(cop_read *read, uint64_t *seed);

/* A root's stamp; 0 if it was never put. */
uint64_t look_stamp(cop_read *read, uint32_t group);

/* A register's value and the version of its entity; 0 if not there. */
uint64_t look_register(cop_read *read, uint32_t index, uint64_t *version);

#endif

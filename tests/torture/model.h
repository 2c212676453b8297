/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: what a group of entities is like after its s-th change.
 *
 * idea
 *	A group is a few entities, the edges between them and two edges to
 *	others.  All of it follows from the group's number and its stamp, the
 *	count of its changes: who sees the stamp knows every byte.  The root,
 *	member 0, is put by every change and says the stamp.
 *	The last member is another entity every ERA stamps.
 *	A change is a pure function, too, so one whose outcome was lost may be
 *	made once more.  What stamp s does:
 *	s % 4 = 0	all members are put or deleted, all edges anew
 *	s % 4 = 1	vectors alone
 *	s % 4 = 2	edges alone
 *	s % 4 = 3	all members are put, their vectors stay
 *	so each part is as of the newest stamp of its kind.
 */
#ifndef TORTURE_MODEL_H
#define TORTURE_MODEL_H

#include <stddef.h>
#include <stdint.h>

enum {
	SLOTS = 6,	 /* writers at a time, each with its groups */
	GROUPS_EACH = 2, /* of a writer; sometimes changed together */
	GROUPS = SLOTS * GROUPS_EACH,
	MEMBERS = 4,
	REGISTERS = 6, /* entities that every process writes */
	ACCOUNTS = 4,  /* among which everybody moves what they hold */
	BALANCE = 1000,
	DIM = 8,
	KINDS = 4,
	ERA = 16, /* stamps; a multiple of KINDS */
	TAGS = 3,
	TYPES = 3,
	THINGS = GROUPS * MEMBERS + REGISTERS,
	TEXT_MAX = 6000
};

struct model_record {
	uint64_t stamp;
	uint32_t type; /* of TYPES */
	uint32_t tags; /* a bit a tag */
};

/* The stamp that the part was last changed by. */
uint64_t model_full(uint64_t stamp);
uint64_t model_record_stamp(uint32_t member, uint64_t stamp);
uint64_t model_vector_stamp(uint64_t stamp);
uint64_t model_edge_stamp(uint64_t stamp);

int model_is_there(uint32_t group, uint32_t member, uint64_t stamp);
int model_has_vector(uint32_t group, uint32_t member, uint64_t stamp);
struct model_record model_record(uint32_t group, uint32_t member,
				 uint64_t stamp);

/* Whole numbers, whose squared distances are exact in single precision. */
void model_vector(float *vector, uint32_t thing, uint64_t version);
double model_distance(const float *a, const float *b);

/* Text of a property (salt 0) or a content (1); returns its bytes. */
size_t model_text(char *text, uint32_t group, uint32_t member, uint64_t stamp,
		  uint32_t salt);

/* Edges: inside the group, to the hub, to another group's root. */
int model_edge(uint32_t group, uint32_t from, uint32_t to, uint64_t stamp);
int model_at_hub(uint32_t group, uint64_t stamp);
uint32_t model_peer(uint32_t group, uint64_t stamp); /* the group: none */

/* Whether the change is made together with the writer's other group's. */
int model_is_joint(uint32_t group, uint64_t stamp);
uint32_t model_partner(uint32_t group);

extern const char *const model_types[TYPES];
extern const char *const model_tags[TAGS];

/*
 * Keys; return their size.  The last member's, and the name of a property of
 * the root's, are new in each era of a group, so that ids and names are given
 * all the time.
 */
uint64_t model_era(uint64_t stamp);
size_t model_key(char *key, uint32_t group, uint32_t member, uint64_t stamp);
size_t model_name(char *name, uint32_t group, uint64_t stamp);
size_t model_register_key(char *key, uint32_t index);
size_t model_account_key(char *key, uint32_t index);

uint64_t model_mix(uint64_t a, uint64_t b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applying a write to LMDB, and noting what it changes.
 *
 * idea
 *	Operations go into the write transaction one after the other.  What
 *	they come to, entity by entity and edge by edge, is gathered as a list
 *	of changes: how things stood before and how they stand after.  The
 *	segment is then changed from that list, once for each thing, however
 *	often the write touched it.
 */
#ifndef CORE_APPLY_H
#define CORE_APPLY_H

#include "request.h"
#include "rules.h"

enum vector_action { VECTOR_SAME = 0, VECTOR_SET = 1, VECTOR_GONE = 2 };

/* An entity that was touched: changed itself, or the end of an edge. */
struct change {
	uint64_t id;
	uint64_t signature;
	const void *key;     /* of a new entity, in the write's bytes */
	const float *vector; /* VECTOR_SET: likewise */
	uint32_t key_size;
	uint32_t type;
	uint32_t row;	 /* taken for it in the bank, 0: none */
	uint32_t record; /* block with a copy of its new record, 0: none */
	uint8_t alive;
	uint8_t changed; /* its record or its vector */
	uint8_t retyped; /* type or tags */
	uint8_t vector_action;
	uint8_t wiped;	  /* was deleted at some point */
	uint8_t relisted; /* its edges */
	uint8_t recorded; /* its record was put */
};

struct edge_change {
	uint64_t source;
	uint64_t target;
	uint32_t relation;
	uint32_t discriminator;
	uint8_t before;
	uint8_t now;
};

/* A type, tag or relation with others that have it. */
struct name_change {
	int64_t more;
	uint32_t name;
	uint32_t reserved;
};

/* One LMDB transaction, of one request or of many. */
struct apply {
	cop_store *store;
	env_txn *txn;
	uint64_t commit; /* the number it will have */
	struct disk_state state;
	struct request *request; /* that is being applied */
	uint64_t hash;		 /* of all requests applied, for the chain */
	uint64_t edge_count;	 /* edges put and deleted by them */
	struct buffer numbers;	 /* of the request's names, u32 */
	struct buffer touched;	 /* struct name_change */
	struct hashmap touched_map;
	struct buffer changes; /* struct change */
	struct hashmap change_map;
	struct buffer edges; /* struct edge_change */
	struct hashmap edge_map;
	struct buffer scratch; /* a record that is looked at */
	struct buffer results; /* struct disk_result, of posted requests */
	struct buffer deaths;  /* versions that end, for the index by death */
	struct retain_rules rules;
	int keeps;		/* what is replaced stays, as history */
	int ruled;		/* the rules are others now */
	int marked;		/* a mark is another now */
	uint64_t chunks;	/* of content, that came or went */
	struct buffer contents; /* struct content_end, of this transaction */
};

static inline uint32_t apply_change_count(const struct apply *apply)
{
	return (uint32_t)(apply->changes.size / sizeof(struct change));
}

static inline struct change *apply_change(const struct apply *apply, uint32_t i)
{
	return (struct change *)(void *)apply->changes.data + i;
}

static inline uint32_t apply_edge_count(const struct apply *apply)
{
	return (uint32_t)(apply->edges.size / sizeof(struct edge_change));
}

static inline struct edge_change *apply_edge(const struct apply *apply,
					     uint32_t i)
{
	return (struct edge_change *)(void *)apply->edges.data + i;
}

/* The change of an id, NULL if it was not touched. */
struct change *apply_find(const struct apply *apply, uint64_t id);

/* The id that a key was ever given, 0 if none, as the transaction has it. */
cop_err apply_key(const struct apply *apply, const void *key, size_t size,
		  uint64_t *id);

static inline struct disk_edge_key
apply_edge_key(const struct edge_change *edge)
{
	return format_edge_key(edge->source, edge->relation, edge->target,
			       edge->discriminator);
}

/* The change of an id; lifetime: until the next one is asked for. */
cop_err apply_change_of(struct apply *apply, uint64_t id, struct change **out);

/*
 * Puts an entity's record, of this commit and with the dictionary's numbers.
 * head		outside LMDB, which may move it
 */
cop_err apply_record(struct apply *apply, struct change *change,
		     const struct disk_entity *head, size_t bytes);

/*
 * A private copy of an entity's record: LMDB may move it at the next put.
 * out->data is NULL if there is none; lifetime: until the next call.
 */
cop_err apply_record_copy(struct apply *apply, uint64_t id, struct bytes *out);

/*
 * The change of an entity by its key; one that is not there is put, with
 * nothing else.
 */
cop_err apply_entity_make(struct apply *apply, const void *key, size_t size,
			  struct change **out);

/* Puts an entity's vector. */
cop_err apply_vector(struct apply *apply, uint64_t id, const float *vector);

/*
 * Puts an edge between two that are there.
 * edge		its ends and relation
 * record	outside LMDB
 * numbers	of the record's names, NULL: they are the dictionary's
 */
cop_err apply_edge_put(struct apply *apply, const struct edge_change *edge,
		       struct bytes record, const uint32_t *numbers);

/* An entity with nothing but a key, which an edge needs. */
cop_err apply_stub(struct apply *apply, const void *key, size_t size,
		   uint64_t *id);

/* What the parts of applying share: LMDB's codes are returned. */
int apply_get(const struct apply *apply, enum env_db db, struct bytes key,
	      struct bytes *value);
int apply_put(const struct apply *apply, enum env_db db, struct bytes key,
	      struct bytes value);

/* Deletes what a key has, and keeps it as history; *was: it had something. */
cop_err apply_record_end(struct apply *apply, enum env_db db, struct bytes key,
			 int *was);

/* There are `more` more, 1 or -1, of a type, a tag or a relation: or ENOMEM. */
int apply_touch(struct apply *apply, uint32_t name, int64_t more);

/* The dictionary's numbers of the request's names. */
const uint32_t *apply_numbers(const struct apply *apply);

cop_err apply_no_memory(void);

/* Words for LMDB's code. */
cop_err apply_failed(const struct apply *apply, int err);

/* COP_DANGLING and its words; `what` as in "an edge's end". */
cop_err apply_not_there(const void *key, size_t size, const char *what);

/* Whether who has a type or a tag was changed by this transaction. */
int apply_touched(const struct apply *apply, uint32_t name);

/*
 * Applies all operations of a request, and fills in its result.
 * Returns	the first error, with result.failed set; the transaction is
 *		then to be aborted.
 */
cop_err apply_run(struct apply *apply, struct request *request);

/* Whether anything came of it. */
int apply_is_empty(const struct apply *apply);

/* The chain's hash at a commit, from that of the commit before. */
uint64_t apply_chain(uint64_t before, uint64_t commit, uint64_t time_ns,
		     uint64_t hash);

/* Writes the operation record and the state. */
cop_err apply_seal(struct apply *apply, const unsigned char *segment_uuid);

void apply_release(struct apply *apply);

#endif

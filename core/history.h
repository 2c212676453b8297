/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: what was, kept beside what is.
 *
 * idea
 *	The living databases hold what is, each record with the commit that
 *	wrote it, its version.  When a record is replaced or deleted it moves
 *	to a database of versions, under its key and the commit at which it was
 *	born, with the commit at which it died.  So a store that only grows
 *	pays nothing for its history, and a reading of the newest never sees
 *	it.
 *
 *	What a key had as of commit T is the living record if its version is T
 *	or older, else the newest version born at T or before, if it died after
 *	T (past.h).
 *
 *	An index by death says what may be dropped, oldest first (retain.h).
 *
 * limits
 *	A record that comes and goes within one commit leaves nothing.
 */
#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include "apply.h"

/* The key of a version. */
struct version_key {
	size_t size;
	unsigned char bytes[DISK_VERSION_KEY];
};

/* Where the versions of a database's records are. */
static inline enum env_db history_of(enum env_db db)
{
	switch (db) {
	case DB_ENTITIES: return DB_ENTITY_VERSIONS;
	case DB_VECTORS: return DB_VECTOR_VERSIONS;
	case DB_EDGES: return DB_EDGE_VERSIONS;
	case DB_EDGES_IN: return DB_EDGE_IN_VERSIONS;
	default: return DB_MEMBER_VERSIONS;
	}
}

/* A record's version, the commit that wrote it. */
static inline uint64_t history_version(struct bytes record)
{
	uint64_t version = 0;

	if (record.size >= sizeof version)
		memcpy(&version, record.data, sizeof version);
	return version;
}

/*
 * The first key of what a database's key had at `commit`, or before.
 * key		as in `db`, of at most sizeof(struct disk_edge_key)
 */
static inline void version_key_make(struct version_key *out, enum env_db db,
				    struct bytes key, uint64_t commit)
{
	uint64_t born = htobe64(~commit);

	memcpy(out->bytes, key.data, key.size);
	if (db == DB_ENTITIES || db == DB_VECTORS) {
		uint64_t id;

		memcpy(&id, key.data, sizeof id);
		id = htobe64(id);
		memcpy(out->bytes, &id, sizeof id);
	}
	memcpy(out->bytes + key.size, &born, sizeof born);
	out->size = key.size + sizeof born;
}

/* When a version was born, by its key. */
static inline uint64_t version_key_born(struct bytes key)
{
	uint64_t born;

	memcpy(&born, (const char *)key.data + key.size - sizeof born,
	       sizeof born);
	return ~be64toh(born);
}

static inline struct bytes version_bytes(const struct version_key *key)
{
	return bytes_of(key->bytes, key->size);
}

/* An entry of the index by death. */
struct death {
	uint64_t died;
	enum env_db db; /* of the version */
	int has_in;	/* it is an edge's, which has another as incoming one */
	struct version_key version;
	struct version_key in;
};

/* Reads its key; EBADMSG for one that makes no sense. */
int death_read(struct bytes key, struct death *out);

/* Writes its key into a room of DISK_DEATH_KEY bytes. */
struct bytes death_key_make(unsigned char *room, uint64_t died, enum env_db db,
			    const struct version_key *version);

/*
 * Keeps a record that is about to be replaced or deleted.
 * key, record	as in `db`; the record may lie in LMDB
 */
cop_err history_keep(struct apply *apply, enum env_db db, struct bytes key,
		     struct bytes record);

#endif

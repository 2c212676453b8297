/* SPDX-License-Identifier: Apache-2.0 */
/* Versions that ended, and the index by death: their keys; see history.h. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#include "env.h"
#include "format.h"

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

/* A version that the index by death lists. */
struct death {
	enum env_db db; /* of the version */
	int has_in;	/* it is an edge's, which has another as incoming one */
	struct version_key version;
	struct version_key in;
};

/* The commit that ended what a part lists; 0 for a key that makes no sense. */
uint64_t death_commit(struct bytes key);

/*
 * The next of a part.
 * at		where it is in the part, 0 at first; moved on
 * Returns	0, ENV_ABSENT at the end, EBADMSG for what makes no sense.
 */
int death_next(struct bytes part, size_t *at, struct death *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is on disk, byte by byte.  core/README.md draws it.
 *
 * All numbers are little endian, except in keys that LMDB sorts by bytes,
 * where they are big endian.  Records are multiples of 8 bytes, so that a
 * record borrowed from LMDB is aligned to 8.
 */
#ifndef CORE_FORMAT_H
#define CORE_FORMAT_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "coppice's format is written for little-endian machines"
#endif

enum {
	FORMAT_VERSION = 4, /* written, and the only one that is read */
	FORMAT_UUID_BYTES = 16,
	FORMAT_SUM_BYTES = 8 /* behind each value; env.h */
};

#define FORMAT_MAGIC UINT64_C(0x45524f5453504f43) /* "COPSTORE" */

/* DB_META "store": fixed after create. */
struct disk_store {
	uint64_t magic;
	uint32_t format;
	uint32_t dim;
	int32_t metric;
	int32_t rows;
	uint32_t mode;
	uint32_t record_bytes; /* as in cop_options */
	unsigned char uuid[FORMAT_UUID_BYTES];
	uint64_t expected_entities;
	double bloom_rate;
	uint64_t created_ns;
	char shm_dir[256];
	uint64_t cache_bytes; /* these three as in cop_options */
	uint32_t cache_ttl_ms;
	uint32_t cache_idle_ms;
	int32_t codes; /* enum vector_codes */
	uint32_t signs;
	uint32_t coded; /* components that are, 0: all */
	uint32_t reserved;
};

static_assert(sizeof(struct disk_store) == 360, "description is 360 bytes");

/* DB_META "state": written by every commit. */
struct disk_state {
	uint64_t commit;  /* 0: nothing yet */
	uint64_t time_ns; /* since 1970; never goes back */
	uint64_t chain;	  /* rolling hash over all commits */
	uint64_t next_entity;
	uint64_t next_name;
	uint64_t entities;
	uint64_t edges;
	uint64_t vectors;
	uint64_t name_hits;
	uint64_t name_misses;
	uint64_t oldest; /* history is kept from this commit on */
	unsigned char segment[FORMAT_UUID_BYTES]; /* that prepared it */
	uint64_t keys_changed;	/* commit that last made or ended one */
	uint64_t whole;		/* from this commit on history lacks nothing */
	uint64_t names_dropped; /* by a compaction that came after it */
};

static_assert(sizeof(struct disk_state) == 128, "state is 128 bytes");

/*
 * DB_OPS: one a commit, followed by the ids touched, u32 each, ascending,
 * padded to 8; then the results.
 */
struct disk_op {
	uint64_t time_ns;
	uint64_t chain;
	unsigned char segment[FORMAT_UUID_BYTES];
	uint64_t hash; /* of its requests */
	uint64_t touched;
	unsigned char office[FORMAT_UUID_BYTES]; /* the control segment's */
	uint64_t results;
	uint64_t entities; /* how many there are from it on */
	uint64_t edges;
	uint64_t vectors;
};

static_assert(sizeof(struct disk_op) == 96, "operation header is 96 bytes");

/* What came of a request that was executed for another process. */
struct disk_result {
	uint64_t number; /* of the request, in its mailbox */
	uint32_t box;
	uint32_t reserved;
	uint64_t entities_put;
	uint64_t entities_deleted;
	uint64_t edges_put;
	uint64_t edges_deleted;
	uint64_t edges_skipped;
	uint64_t stubs_put;
};

static_assert(sizeof(struct disk_result) == 64, "result is 64 bytes");

/* DB_ENTITIES: header, key, tags, directory, values, content. */
struct disk_entity {
	uint64_t version; /* the commit that wrote it */
	uint32_t type;	  /* a name's number, 0: none */
	uint16_t key_size;
	uint16_t flags; /* ENTITY_CONTENT_LZ4, .. */
	uint32_t tag_count;
	uint32_t property_count;
	uint32_t content_at;	 /* from the record's first byte */
	uint32_t content_stored; /* bytes there */
	uint32_t content_size;	 /* bytes of content */
	uint32_t directory_at;
	unsigned char key[];
};

enum {
	ENTITY_CONTENT_LZ4 = 1,
	ENTITY_CONTENT_CHUNKS = 2, /* instead of it, a struct disk_content */
	ENTITY_CONTENT = 3,	   /* what is about it */
	ENTITY_PROPERTIES_TIMED = 4,
	ENTITY_TAGS_TIMED = 8 /* a validity for each follows them */
};

static_assert(sizeof(struct disk_entity) == 40, "entity header is 40 bytes");

/* Content that lies in DB_CONTENT, as a record names it. */
struct disk_content {
	unsigned char id[FORMAT_UUID_BYTES];
	uint64_t size;	  /* bytes of all of it */
	uint64_t hash[2]; /* XXH3 of them, low half first */
	uint32_t chunks;
	uint32_t reserved;
};

static_assert(sizeof(struct disk_content) == 48, "content is 48 bytes");

/* DB_CONTENT key.  Number 0 has a struct disk_content_head, the others a chunk
   each. */
struct disk_content_key {
	unsigned char id[FORMAT_UUID_BYTES];
	uint32_t number; /* big endian */
};

static_assert(sizeof(struct disk_content_key) == 20, "content key");

struct disk_content_head {
	uint64_t added_ns; /* when it last grew; 0: a record has named it */
	uint64_t size;
	uint64_t owner; /* the entity that was given it first */
	uint32_t chunks;
	uint32_t flags;
};

enum { CONTENT_SHARED = 1 }; /* another was given it, too */

static_assert(sizeof(struct disk_content_head) == 32, "content head");

/* A chunk's header; the bytes follow, an lz4 block if they are fewer. */
struct disk_chunk {
	uint64_t hash; /* XXH3 of the bytes stored */
	uint32_t size; /* CHUNK_BYTES of all but the last */
	uint32_t stored;
};

static_assert(sizeof(struct disk_chunk) == 16, "chunk header is 16 bytes");

/* What with its header, its checksum and LMDB's 16 bytes is 64 pages. */
enum {
	CHUNK_BYTES =
	    64 * 4096 - (int)sizeof(struct disk_chunk) - FORMAT_SUM_BYTES - 16
};

/* The directory: where each property's value is. */
struct disk_property {
	uint32_t name;
	uint32_t value_at; /* from the record's first byte */
};

/* DB_EDGES: header, directory, values. */
struct disk_edge {
	uint64_t version;
	uint32_t property_count;
	uint32_t flags; /* 1: a validity follows the header */
};

enum { EDGE_TIMED = 1 };

static_assert(sizeof(struct disk_edge) == 16, "edge header is 16 bytes");

/*
 * When something is so, in the world: from the one point in time, up to the
 * other.  Seconds since 1970 and nanoseconds; INT64_MIN since ever, INT64_MAX
 * for ever.
 */
struct disk_validity {
	int64_t from;
	int64_t to;
	uint32_t from_nanos;
	uint32_t to_nanos;
};

static_assert(sizeof(struct disk_validity) == 24, "validity is 24 bytes");

/* DB_EDGES_IN value: the edge's version, and its validity if it has one. */
struct disk_edge_in {
	uint64_t version;
	struct disk_validity valid;
};

/* DB_EDGES key; DB_EDGES_IN has source and target changed over. */
struct disk_edge_key {
	uint64_t source;	/* big endian */
	uint32_t relation;	/* big endian */
	uint32_t target[2];	/* big endian, high word first */
	uint32_t discriminator; /* big endian */
};

static_assert(sizeof(struct disk_edge_key) == 24, "edge key is 24 bytes");

/* DB_MEMBERS key. */
struct disk_member_key {
	uint32_t name;	/* big endian: a type or a tag */
	uint32_t id[2]; /* big endian, high word first */
};

static_assert(sizeof(struct disk_member_key) == 12, "member key");

/*
 * DB_NAMES: u64 commit that last changed who has this type or tag, or what
 * edges of this relation there are; u64 how many; u8 space; text.
 */
enum { DISK_NAME_COUNT = 8, DISK_NAME_SYMBOL = 16, DISK_NAME_TEXT = 17 };

/* DB_VECTORS: the version, then float32 x dim, padded to 8. */
enum { DISK_VECTOR_HEADER = 8 };

/*
 * DB_META "retention": which versions are kept; the store's, type 0, first,
 * then those of types that have their own, ascending.
 */
struct disk_retention {
	uint32_t type;
	uint32_t flags;	 /* 1: none are kept */
	uint64_t age_ns; /* since they ended, 0: any */
	uint64_t count;	 /* of one thing's, 0: any */
};

enum { RETENTION_OFF = 1 };

static_assert(sizeof(struct disk_retention) == 24, "retention is 24 bytes");

/*
 * DB_META "marks": those that there are, ascending by name; each is this, the
 * name, the value, padded to 8.
 */
struct disk_mark {
	uint64_t commit; /* that set it */
	uint32_t name_bytes;
	uint32_t value_bytes;
};

static_assert(sizeof(struct disk_mark) == 16, "a mark's header is 16 bytes");

/*
 * Versions that ended: the key that they had (an id big endian), then the
 * complement of the commit that they were born at, big endian, so that the
 * newest comes first.  The value is the commit that ended them, u64, then what
 * the key had; for a member and an incoming edge that is the version alone.
 */
enum {
	DISK_VERSION_KEY = sizeof(struct disk_edge_key) + sizeof(uint64_t),
	DISK_VERSION_HEADER = 8,
	/* DB_DEATHS: by the commit that ended them, big endian, and a part of
	   its versions, big endian u32 from 0: of each u8 its database, u8
	   the size of its key, its key */
	DISK_DEATH_HEADER = 2,
	DISK_DEATH_PART = 1900 /* bytes of a part: several fit in a page */
};

struct disk_death_key {
	uint32_t died[2]; /* big endian, high word first */
	uint32_t part;	  /* big endian */
};

static_assert(sizeof(struct disk_death_key) == 12, "death key is 12 bytes");

/*
 * DB_FLOORS: for an entity or a name's list, the commit from which on its
 * history lacks nothing; none is as all of the store's.
 */
struct disk_floor_key {
	uint32_t kind;
	uint32_t number[2]; /* big endian, high word first */
};

enum disk_floor { FLOOR_ENTITY = 1, FLOOR_NAME = 2 };

/* A value; its parts follow, see codec.c. */
struct disk_value {
	uint8_t kind;
	uint8_t flags;
	uint16_t reserved;
	uint32_t count;
};

enum {
	VALUE_LZ4 = 1,
	VALUE_TIMED = 2 /* a struct disk_validity lies in front of it */
};

static inline void format_split(uint32_t words[2], uint64_t number)
{
	words[0] = htobe32((uint32_t)(number >> 32));
	words[1] = htobe32((uint32_t)number);
}

static inline uint64_t format_join(const uint32_t words[2])
{
	return (uint64_t)be32toh(words[0]) << 32 | be32toh(words[1]);
}

static inline struct disk_edge_key format_edge_key(uint64_t from,
						   uint32_t relation,
						   uint64_t to,
						   uint32_t discriminator)
{
	struct disk_edge_key key = {.source = htobe64(from),
				    .relation = htobe32(relation),
				    .discriminator = htobe32(discriminator)};

	format_split(key.target, to);
	return key;
}

/* The first key that an edge of an entity may have. */
static inline struct disk_edge_key format_edge_first(uint64_t from)
{
	return format_edge_key(from, 0, 0, 0);
}

/* The key of the same edge in the other index. */
static inline struct disk_edge_key
format_edge_turn(const struct disk_edge_key *key)
{
	return format_edge_key(format_join(key->target), be32toh(key->relation),
			       be64toh(key->source),
			       be32toh(key->discriminator));
}

static inline struct disk_member_key format_member_key(uint32_t name,
						       uint64_t id)
{
	struct disk_member_key key = {.name = htobe32(name)};

	format_split(key.id, id);
	return key;
}

#endif

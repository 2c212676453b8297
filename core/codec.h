/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: from a put to bytes, and single fields back.
 *
 * idea
 *	A record is one run of bytes with a directory, so that reading one
 *	field decodes that field.  Names in it are numbers of the dictionary.
 *	It is encoded before the writer lock is asked for, when a new name has
 *	no number yet: the encoder writes numbers of the write's own list of
 *	names, and codec_*_patch() puts the dictionary's in their place.
 *	Values and content of over 1 KiB are compressed where it saves an
 *	eighth.
 *
 * layout
 *	see core/README.md; a value is, at a multiple of 4 bytes:
 *	0 kind, 1 flags, 4 count, then by kind
 *	null, bool	nothing; a bool is the count
 *	int, float	8 bytes
 *	string		count bytes
 *	list		count x u32 offset from the value; the values
 *	map		count x (u32 value, u32 name); a name is u32 size, bytes
 *	compressed	count is the size of the value decoded, u32 stored size,
 *			lz4 block
 *
 * limits
 *	enum cop_limit in coppice.h, each checked while encoding.
 *	Nesting is bounded, so the encoder may recurse.
 *
 * A decoder treats a record as input: out of range is COP_CORRUPT.
 */
#ifndef CORE_CODEC_H
#define CORE_CODEC_H

#include "buffer.h"
#include "coppice.h"
#include "env.h"
#include "format.h"

enum name_space { NAME_TYPE = 1, NAME_RELATION, NAME_TAG, NAME_PROPERTY };

/* The names of one write: number i + 1 is entry i. */
struct names {
	struct buffer text;    /* of all */
	struct buffer entries; /* struct name_entry */
	struct hashmap map;
	uint64_t uses;	  /* names asked for, each time */
	uint32_t marking; /* of name_entry.mark: what is being encoded */
};

struct name_entry {
	uint64_t hash;
	uint32_t text_at;
	uint32_t mark;
	uint8_t space;
	uint8_t size;
	uint16_t reserved;
};

/* A list of names as it is read: a write's own, or a request's. */
struct name_list {
	const struct name_entry *entries;
	const unsigned char *text;
	size_t text_bytes;
	uint64_t uses;
	uint32_t count;
};

struct name_list names_list(const struct names *names);
void names_release(struct names *names);
void names_clear(struct names *names);
uint32_t names_count(const struct names *names);

/* Forgets the names after the first `count`: of a put that failed. */
void names_back(struct names *names, uint32_t count);
const struct name_entry *names_entry(const struct names *names,
				     uint32_t number);

/*
 * The write's number for a name.
 * Returns	0, COP_BAD_TEXT, COP_TOO_LARGE, COP_INVALID if empty, ENOMEM.
 */
cop_err names_intern(struct names *names, enum name_space space,
		     const char *text, size_t size, uint32_t *number);

/* hash of a name in its space, as the dictionary and names use it */
uint64_t name_hash(enum name_space space, const char *text, size_t size);

/* Appends the record, padded to 8; version 0, names of `names`. */
cop_err codec_entity(struct buffer *out, struct names *names,
		     const struct cop_put *put);
cop_err codec_edge(struct buffer *out, struct names *names,
		   const struct cop_put_edge *edge);

/*
 * Sets the version and translates numbers: numbers[i] for name i + 1; of an
 * edge NULL: they stay.
 */
void codec_entity_patch(void *record, uint64_t version,
			const uint32_t *numbers);
void codec_edge_patch(void *record, uint64_t version, const uint32_t *numbers);

/* Content as a record has it. */
struct content_part {
	struct bytes stored;
	uint32_t size;
	uint16_t flags;
};

/* The content of a record that was checked, borrowed. */
struct content_part codec_content_part(const struct disk_entity *record);

/*
 * Compresses the content that `out` ends with, from `start` on, if that saves
 * an eighth; returns its flags.
 */
uint16_t codec_content_pack(struct buffer *out, size_t start);

/*
 * A record with other content.
 * out		holds it afterwards, whatever it held
 * record	checked
 */
cop_err codec_recontent(struct buffer *out, struct bytes record,
			const struct content_part *content);

/*
 * Whether two records, checked, of one entity say the same, whichever commits
 * wrote them and in whatever order their tags are.  -1: no memory.
 */
int codec_entity_same(struct bytes a, struct bytes b);

/* An entity's tags, in a record that was checked. */
const uint32_t *codec_tags(const struct disk_entity *record);

int codec_has_tag(const struct disk_entity *record, uint32_t tag);

const struct disk_property *codec_directory(const struct disk_entity *record);

/* Checks a record's header and directory against its size. */
cop_err codec_entity_check(struct bytes record);
/* The same in silence: what is out of range, NULL if nothing. */
const char *codec_entity_fault(struct bytes record);
cop_err codec_edge_check(struct bytes record);

/* The parts of an edge's record that was checked; validity NULL: always. */
const struct disk_property *codec_edge_directory(const struct disk_edge *edge);
const struct disk_validity *codec_edge_validity(const struct disk_edge *edge);

/* Whether a validity is one: it begins before it ends. */
int codec_validity_is(const struct disk_validity *valid);

/* A caller's; COP_INVALID if it is none.  what: is valid then, "a tag" */
cop_err codec_validity(const struct cop_validity *valid, const char *what,
		       struct disk_validity *out);

/* Memory for what had to be decompressed; freed with the read. */
struct arena {
	struct arena_block *blocks;
	uint64_t inflated; /* bytes decompressed, for whoever counts them */
};

void *arena_take(struct arena *arena, size_t bytes);
void arena_release(struct arena *arena);

/* Decodes the value at an offset of a record. */
cop_err codec_value(struct arena *arena, struct bytes record, uint32_t value_at,
		    struct cop_value *out);

/* The content of a record that was checked. */
cop_err codec_content(struct arena *arena, struct bytes record,
		      struct bytes *out);

/* The floats of a vector record; NULL if it is too short for them. */
const float *codec_vector(struct bytes record, uint32_t dim);

/* A bit of 64 for each tag. */
uint64_t codec_signature(const uint32_t *tags, uint32_t count);

#endif

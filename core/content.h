/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large content: chunks beside the records, of any size in constant memory.
 *
 * idea
 *	What streams in is cut into chunks, each compressed where that pays,
 *	hashed, and put into DB_CONTENT under a random name by commits of its
 *	own, while nothing refers to it (upload.c).  The commit that gives it to
 *	an entity writes the name into the entity's record, so a record with a
 *	gigabyte of content is as small as others, its history costs as little,
 *	and a range is read from the chunks that it lies in.
 *	If a version of the entity has the same content already, by size and
 *	128 bits of hash, the record names that, and the chunks that came go.
 *	When a record that names content ends and is not kept, or is let go of
 *	later, its chunks go with it, unless another version of the entity, or
 *	another entity, has them.
 *
 * crash
 *	Chunks of a sender that died stay until a compaction a day after the
 *	last of them came.  Those that several entities were given, and those of
 *	versions that a compaction leaves out, go with a compaction.
 */
#ifndef CORE_CONTENT_H
#define CORE_CONTENT_H

#include "apply.h"

/* What was not given to an entity for so long is dropped. */
#define CONTENT_IDLE_NS (UINT64_C(86400) * 1000000000)

/* Of less, all of it is in the record. */
enum { CONTENT_INLINE = 65536 };

/* What a record, checked, names; 0 if its content, if any, is its own. */
int content_named(struct bytes record, struct disk_content *out);

struct disk_content_key content_key(const struct disk_content *content,
				    uint32_t number);

/* Bytes of the content that a record names. */
uint64_t content_named_size(struct bytes record);

/* Bytes of an entity's content, by its record. */
static inline uint64_t content_size(struct bytes record)
{
	const struct disk_entity *head = record.data;

	return __builtin_expect(!(head->flags & ENTITY_CONTENT_CHUNKS), 1)
		   ? head->content_size
		   : content_named_size(record);
}

/*
 * Appends a chunk: header and bytes, compressed if that saves an eighth, padded
 * to 8.
 * size		at most CHUNK_BYTES
 * Returns	0 or ENOMEM.
 */
int content_chunk_put(struct buffer *out, const void *data, size_t size);

/* Whether a chunk, as it is stored, is what it was written as. */
int content_chunk_is_sound(struct bytes chunk);

/*
 * Decodes a chunk.
 * room		CHUNK_BYTES
 * Returns	0 or EBADMSG.
 */
int content_chunk_get(struct bytes chunk, void *room, uint32_t *size);

/* A record that named content and is there no more; or chunks that came. */
struct content_end {
	uint64_t id; /* 0: nobody needs them, unless a record names them now */
	struct disk_content content;
};

/* Notes it, if the record, checked or not, names any.  0 or ENOMEM. */
int content_end_note(struct buffer *ends, uint64_t id, struct bytes record);

/* Drops the chunks of contents that ended; at the end of a transaction. */
cop_err content_seal(struct apply *apply);

/* The operations; see write.h. */
cop_err content_chunk_apply(struct apply *apply, const struct op *op);
cop_err content_apply(struct apply *apply, const struct op *op);

/*
 * Sets *kept to a record as it is put by a write that leaves the content as it
 * is: the new one with the old one's.
 * Returns	0, COP_CORRUPT, ENOMEM.
 */
cop_err content_keep(struct buffer *kept, struct bytes fresh, struct bytes old);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write: operations as bytes, ready before any lock is asked for.
 *
 * layout	(of each operation, a multiple of 8 bytes)
 *	struct op; then by kind
 *	OP_PUT		record; vector if op.dim
 *	OP_VECTOR	key, padded to 8; vector if op.dim
 *	OP_DELETE	key
 *	OP_EDGE		source, target, padded to 8; record
 *	OP_UNLINK	source, target
 *	OP_EXPECT	u64 version; key or name; target; relation's text,
 *			record_bytes of it
 *	OP_UNDELETE	u64 commit; key
 *	OP_TAG		struct disk_validity of TAG_ADD_TIMED; key; relation is
 *			the tag
 *	OP_RETAIN	struct disk_retention; relation is its type, or 0
 *	OP_CHUNK	struct chunk_op; record_bytes of a chunk (content.h)
 *	OP_CONTENT	struct content_op; record_bytes of content, padded to 8;
 *			key
 *	OP_MARK		name, padded to 8; record_bytes of its value
 *
 *	Names are numbers of the write's own list (codec.h), so the bytes mean
 *	the same in whatever process applies them, together with that list.
 */
#ifndef CORE_WRITE_H
#define CORE_WRITE_H

#include "codec.h"
#include "store.h"

enum op_kind {
	OP_PUT = 1,
	OP_VECTOR,
	OP_DELETE,
	OP_EDGE,
	OP_UNLINK,
	OP_EXPECT,
	OP_UNDELETE,
	OP_TAG,
	OP_RETAIN,
	OP_CHUNK,
	OP_CONTENT,
	OP_MARK
};

/* The option of OP_CHUNK; one that drops has no chunk. */
enum chunk_change { CHUNK_ADD = 0, CHUNK_DROP = 1 };

/* With the vector's change, the option of OP_PUT. */
enum { PUT_CONTENT_KEEP = 0x100 };

/* The option of OP_TAG. */
enum tag_change { TAG_ADD = 0, TAG_REMOVE = 1, TAG_ADD_TIMED = 2 };

/* The option of OP_MARK; its key is the name. */
enum mark_change { MARK_SET = 0, MARK_REMOVE = 1 };

/* The option of OP_EXPECT; see validate.h. */
enum expect_kind {
	EXPECT_ENTITY = 1,
	EXPECT_VECTOR,
	EXPECT_EDGE,
	EXPECT_EDGES,
	EXPECT_TYPE,
	EXPECT_TAG,
	EXPECT_KEYS
};

struct op {
	uint32_t bytes; /* of all of it */
	uint16_t kind;
	uint16_t option; /* enum cop_vector_change, enum cop_dangling, .. */
	uint32_t record_bytes;
	uint32_t dim;	   /* floats of its vector, 0: none */
	uint32_t key_size; /* of the key, or the source */
	uint32_t target_size;
	uint32_t relation;	/* of the write's names; of OP_TAG, the tag */
	uint32_t discriminator; /* of an edge */
};

/* The body of OP_CHUNK: this, then the chunk. */
struct chunk_op {
	struct disk_content_key key;
	uint32_t reserved;
};

/* The body of OP_CONTENT: this, the content as a record has it, the key. */
struct content_op {
	uint32_t size;
	uint32_t flags;
};

struct cop_write {
	cop_store *store;
	uint64_t process; /* stamp of the process that began it */
	struct buffer ops;
	struct names names;
	uint32_t count;
};

/* COP_FORKED for a write begun before a fork; clears the error's words. */
cop_err write_check(const cop_write *write);

/* Adds a chunk of content, and what gives content to an entity; content.h. */
cop_err write_chunk(cop_write *write, const struct chunk_op *body,
		    const void *data, size_t size);
cop_err write_upload_drop(cop_write *write, const struct disk_content *content);
cop_err write_content(cop_write *write, const void *key, size_t key_size,
		      const void *data, size_t size);
cop_err write_content_named(cop_write *write, const void *key, size_t key_size,
			    const struct disk_content *content);

/* COP_BAD_KEY if it is empty or too long. */
cop_err write_key_check(const void *key, size_t size);

static inline const unsigned char *op_body(const struct op *op)
{
	return (const unsigned char *)(op + 1);
}

static inline size_t op_pad(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

/* How much is in front of an operation's key, of those with one key. */
static inline size_t op_key_at(const struct op *op)
{
	switch (op->kind) {
	case OP_TAG:
		return op->option == TAG_ADD_TIMED
			   ? sizeof(struct disk_validity)
			   : 0;
	case OP_UNDELETE: return sizeof(uint64_t);
	case OP_CONTENT:
		return sizeof(struct content_op) + op_pad(op->record_bytes);
	default: return 0;
	}
}

/* How much content an OP_PUT that keeps it is to find; 0: any. */
static inline uint64_t op_kept(const struct op *op)
{
	return (uint64_t)op->discriminator << 32 | op->relation;
}

static inline void op_kept_set(struct op *op, uint64_t bytes)
{
	op->relation = (uint32_t)bytes;
	op->discriminator = (uint32_t)(bytes >> 32);
}

/* Its key; that of OP_PUT is in its record. */
static inline const unsigned char *op_key(const struct op *op)
{
	return op_body(op) + op_key_at(op);
}

/* The vector of OP_PUT or OP_VECTOR, NULL if none. */
static inline const float *op_vector(const struct op *op)
{
	size_t at =
	    op->kind == OP_PUT ? op->record_bytes : op_pad(op->key_size);

	return op->dim ? (const float *)(const void *)(op_body(op) + at) : NULL;
}

#endif

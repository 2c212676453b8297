/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request: a write as it is applied, by this process or by another.
 *
 * idea
 *	A write's operations are bytes that mean the same in every process,
 *	together with the write's own list of names.  Packed one behind the
 *	other they go through a mailbox; what comes out of one is input, and
 *	checked before anything follows what it says.
 *
 * layout	(packed; every part a multiple of 8 bytes)
 *	struct request_head
 *	ops_bytes	operations (write.h)
 *	name_count	struct name_entry
 *	text_bytes	text of the names, padded to 8
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include "write.h"

enum { REQUEST_WORDS = 280 };

struct request_head {
	uint64_t name_uses;
	uint32_t ops_bytes;
	uint32_t op_count;
	uint32_t name_count;
	uint32_t text_bytes;
	uint32_t durability;
	uint32_t reserved;
};

struct request {
	const unsigned char *ops;
	size_t ops_bytes;
	uint32_t op_count;
	int32_t durability;
	struct name_list names;
	/* the mailbox it came from; number 0: none */
	uint32_t box;
	uint64_t number;
	uint64_t after; /* it is in no commit up to this one */
	/* how it went */
	cop_err err;
	struct cop_result result;
	char words[REQUEST_WORDS]; /* cop_last_error() of err */
};

/* A view of a write, which must outlive it. */
struct request request_of(const cop_write *write);

/* How many bytes request_pack needs. */
size_t request_bytes(const struct request *request);

/* 0 or ENOMEM. */
int request_pack(const struct request *request, struct buffer *out);

/*
 * A view of packed bytes that are aligned to 8, all of it checked: sizes,
 * kinds, keys, names, records' headers, vectors.
 * Returns	COP_CORRUPT and what is wrong.
 */
cop_err request_unpack(const cop_store *store, const void *packed, size_t bytes,
		       struct request *out);

/* Notes how it went; the words are the thread's last error. */
void request_fail(struct request *request, cop_err err);

static inline const struct op *request_op(const struct request *request,
					  size_t at)
{
	return (const struct op *)(const void *)(request->ops + at);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bank: every vector of the store, as searches read it.
 *
 * idea
 *	A row is a version of one entity's vector: born at a commit, dead from
 *	another on.  It has a header line and codes (code.h), 8 bits a
 *	dimension by default, which a scan reads from first to last, and a full
 *	row in half or single precision, which ranks what the codes could not
 *	exclude.  Where the codes are the components, in 16 or 32 bits, there
 *	is no other row.  From NIBBLE_DIM dimensions on the upper halves of
 *	codes of 8 bits lie elsewhere once more, for walks (hnsw_judge.c).
 *	A changed vector, type or set of tags is a new row and a death; nothing
 *	visible is ever rewritten.
 *	To rewrite it where only the latest are kept would save nothing: what
 *	a change costs is its links, which are made anew in any case, and who
 *	reads at an older snapshot would have to look elsewhere.
 *	Rows from which every snapshot has moved on are used again.
 *
 * source
 *	The sequence lock follows Boehm, "Can seqlocks get along with
 *	programming language memory models?" (MSPC 2012).
 *
 * layout	(row i: REGION_CODES at i * line_bytes, REGION_ROWS at i *
 *		row_bytes, REGION_NIBBLES at i * nibble_bytes; row 0 is none)
 *	0   seq		odd while the row is being written
 *	8   entity, type
 *	16  struct row_code (scale, offset, norm, sum, error, row_scale)
 *	40  signature	a bit of 64 for each tag
 *	48  born, died	commit numbers
 *	64  codes	padded with zeros to a multiple of 64
 *
 * ordering
 *	B1	bank_write makes seq odd (release fence), stores everything
 *		with relaxed stores, makes it even (release).  A reader loads
 *		seq (acquire), reads, fences (acquire) and loads seq again
 *		before it lets a distance out.
 *	B2	the row is written, then counted (release); scans acquire
 *		bank_count.
 *	`died` is a word of its own: what it says of snapshot S was stored
 *	before the commit that S saw.
 *
 * progress
 *	Reading: wait-free.  A row that is being written is by the rule of
 *	limbo.h visible to no open snapshot, so a reader skips it.
 *
 * crash
 *	A row half written stays odd, invisible, and is found by its entry in
 *	the intent; bank_collect puts it on the free list.
 */
#ifndef SHM_BANK_H
#define SHM_BANK_H

#include "code.h"
#include "region.h"

struct segment;

#define COMMIT_NEVER UINT64_MAX

struct bank_line {
	_Atomic uint64_t seq;
	_Atomic uint32_t entity; /* of a free row: the next free one */
	_Atomic uint32_t type;
	struct row_code code;
	_Atomic uint64_t signature;
	_Atomic uint64_t born; /* COMMIT_NEVER: the row is free */
	_Atomic uint64_t died;
	unsigned char codes[];
};

static_assert(sizeof(struct bank_line) == ROW_CODES_OFFSET, "a header line");
static_assert(offsetof(struct bank_line, code) == ROW_CODE_OFFSET, "code");

struct bank {
	_Atomic uint32_t row_count; /* rows below it exist, row 0 is none */
	uint32_t free_row;	    /* writer's: head of the free list */
	_Atomic uint64_t free_count;
};

/* In this process: what a row looks like, from the segment's parameters. */
struct bank_shape {
	uint32_t line_bytes;   /* header and codes */
	uint32_t row_bytes;    /* full row, 0 if the code is the row */
	uint32_t nibble_bytes; /* the codes' upper halves, 0: not kept */
	uint32_t dim;
	uint32_t coded; /* components that the codes have */
	int32_t metric;
	int32_t rows;  /* 0: half, 1: single precision */
	int32_t codes; /* enum vector_codes */
	int32_t full;  /* what ranks: CODES_F16, CODES_BF16 or CODES_F32 */
};

/* What a row says of itself besides numbers. */
struct bank_entry {
	uint32_t entity;
	uint32_t type;
	uint64_t signature;
	uint64_t born;
};

/* What bank_peek copies out of a header line. */
struct bank_seen {
	uint32_t entity;
	uint32_t type;
	uint64_t signature;
	uint64_t born;
	uint64_t died;
	float norm;
	float error;
	float row_scale;
};

/*
 * Works out the shape from the header's dim, metric, rows and codes.
 * Returns	0, or EINVAL if they are out of range.
 */
int bank_shape_init(struct segment *segment);

/*
 * After create, when the header has its parameters: an empty bank.  0, or
 * EINVAL.
 */
int bank_init(struct segment *segment);

/* Rows that may be scanned: 1 to bank_count - 1. */
uint32_t bank_count(const struct segment *segment);

/* A header line, NULL if the number is out of range. */
struct bank_line *bank_line_at(const struct segment *segment, uint32_t row);

/* B1: acquires the row; an odd number means that it is being written. */
static inline uint64_t bank_seq(const struct bank_line *line)
{
	return atomic_load_explicit(&line->seq, memory_order_acquire);
}

/* B1: whether all that was read since bank_seq gave `seq` is of one row. */
static inline int bank_unchanged(const struct bank_line *line, uint64_t seq)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&line->seq, memory_order_relaxed) == seq;
}

/* Copies the header between bank_seq and bank_unchanged. */
struct bank_seen bank_peek(const struct bank_line *line);

/* A full row, NULL if the number is out of range; it may be the codes. */
const void *bank_row_at(const struct segment *segment, uint32_t row);

/* A row's nibbles, NULL if there are none; see code_nibbles(). */
const void *bank_nibbles_at(const struct segment *segment, uint32_t row);

/* A query's distance from a full row, whose row_scale is given. */
double bank_distance(const struct segment *segment,
		     const struct query_code *query, const void *full,
		     float row_scale);

/*
 * What bank_write makes of a vector.
 * codes	line_bytes less the header's
 * full		row_bytes
 */
void bank_encode(const struct bank_shape *shape, const float *vector,
		 struct row_code *code, unsigned char *codes, void *full);

/* The rest is for who holds the writer lock. */

/*
 * Takes a free row.
 * Returns	0, or ENOSPC and the like.
 */
int bank_take(struct segment *segment, uint32_t *row);

/*
 * Writes a row that was taken, visible from entry->born on.
 * vector	float32 x dim of the segment, already validated
 */
int bank_write(struct segment *segment, uint32_t row,
	       const struct bank_entry *entry, const float *vector);

/* Sets the commit at which a row dies; COMMIT_NEVER lets it live. */
void bank_kill(struct segment *segment, uint32_t row, uint64_t commit);

/* The commits between which a row lives; 0 if the number is out of range. */
int bank_life(const struct segment *segment, uint32_t row, uint64_t *born,
	      uint64_t *died);

/*
 * A row's components, `dim` of them, by its full row: of the unit vector for
 * cosine.  0 if the number is out of range.
 */
int bank_floats(const struct segment *segment, uint32_t row, float *out);

/* Whether there is a vector in a row, living or dead. */
int bank_is_used(const struct segment *segment, uint32_t row);

/* Rows on the free list, by following it. */
uint64_t bank_free_length(const struct segment *segment);

/* Puts a row on the free list. */
void bank_free(struct segment *segment, uint32_t row);

/*
 * After a death: makes the free list anew and sends every dead row to limbo,
 * out of reach from `commit` on.  Room is made in limbo.
 */
int bank_collect(struct segment *segment, uint64_t commit);

#endif

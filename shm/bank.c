/* SPDX-License-Identifier: Apache-2.0 */
#include "bank.h"
#include "kernel.h"
#include "point.h"
#include "segment.h"

#include <errno.h>
#include <string.h>

enum {
	LINE = 64,
	ROW_MAX = CODE_DIM_MAX * 4,
	NIBBLES_MAX = CODE_DIM_MAX / 2 + LINE
};

int bank_shape_init(struct segment *segment)
{
	const struct segment_header *header = segment->header;
	struct bank_shape shape = {.dim = header->dim,
				   .coded = header->dim,
				   .metric = header->metric,
				   .rows = header->rows,
				   .codes = header->codes,
				   .full =
				       header->rows ? CODES_F32 : CODES_F16};

	if (shape.dim > CODE_DIM_MAX || shape.rows < 0 || shape.rows > 1 ||
	    shape.codes < 0 || shape.codes >= CODES_KINDS ||
	    (shape.dim &&
	     (shape.metric < METRIC_COSINE || shape.metric > METRIC_IP)))
		return EINVAL;
	if (header->coded) {
		if (header->coded > shape.dim || code_is_row(shape.codes))
			return EINVAL;
		shape.coded = header->coded;
	}
	shape.line_bytes = LINE + code_bytes(shape.codes, shape.coded);
	if (code_is_row(shape.codes))
		shape.full = shape.codes;
	else
		shape.row_bytes = code_bytes(shape.full, shape.dim);
	if (shape.codes == CODES_U8 && shape.coded >= NIBBLE_DIM)
		shape.nibble_bytes = code_nibble_bytes(shape.coded);
	segment->bank = shape;
	return 0;
}

int bank_init(struct segment *segment)
{
	int err = bank_shape_init(segment);

	if (err)
		return err;
	atomic_init(&segment->header->bank.row_count, 1);
	kd_init(segment);
	return 0;
}

struct bank_line *bank_line_at(const struct segment *segment, uint32_t row)
{
	uint32_t bytes = segment->bank.line_bytes;

	return region_at(segment->header, segment_region(segment, REGION_CODES),
			 (uint64_t)row * bytes, bytes);
}

uint32_t bank_count(const struct segment *segment)
{
	const struct bank *bank = &segment->header->bank;
	/* B2: acquires the rows counted */
	uint32_t count =
	    atomic_load_explicit(&bank->row_count, memory_order_acquire);
	uint64_t there;

	there = region_bytes(segment_region(segment, REGION_CODES)) /
		segment->bank.line_bytes;
	if (count > there)
		count = (uint32_t)there;
	return count ? count : 1; /* row 0 is none, but counts */
}

/* Relaxed throughout: validated by bank_unchanged. */
struct bank_seen bank_peek(const struct bank_line *line)
{
	struct bank_seen seen;

	seen.entity = atomic_load_explicit(&line->entity, memory_order_relaxed);
	seen.type = atomic_load_explicit(&line->type, memory_order_relaxed);
	seen.signature =
	    atomic_load_explicit(&line->signature, memory_order_relaxed);
	seen.born = atomic_load_explicit(&line->born, memory_order_relaxed);
	seen.died = atomic_load_explicit(&line->died, memory_order_relaxed);
	__atomic_load(&line->code.norm, &seen.norm, __ATOMIC_RELAXED);
	__atomic_load(&line->code.error, &seen.error, __ATOMIC_RELAXED);
	__atomic_load(&line->code.row_scale, &seen.row_scale, __ATOMIC_RELAXED);
	return seen;
}

const void *bank_row_at(const struct segment *segment, uint32_t row)
{
	uint32_t bytes = segment->bank.row_bytes;
	const struct bank_line *line;

	if (code_is_row(segment->bank.codes)) {
		line = bank_line_at(segment, row);
		return line ? line->codes : NULL;
	}
	return region_at(segment->header, segment_region(segment, REGION_ROWS),
			 (uint64_t)row * bytes, bytes);
}

const void *bank_nibbles_at(const struct segment *segment, uint32_t row)
{
	uint32_t bytes = segment->bank.nibble_bytes;

	return bytes ? region_at(segment->header,
				 segment_region(segment, REGION_NIBBLES),
				 (uint64_t)row * bytes, bytes)
		     : NULL;
}

double bank_distance(const struct segment *segment,
		     const struct query_code *query, const void *full,
		     float row_scale)
{
	const struct kernel *kernel = segment->kernel;

	switch (segment->bank.full) {
	case CODES_F32: return kernel->row32(query, full);
	case CODES_BF16: return kernel->rowb16(query, full);
	default: return kernel->row16(query, full, row_scale);
	}
}

void bank_encode(const struct bank_shape *shape, const float *vector,
		 struct row_code *code, unsigned char *codes, void *full)
{
	int has_row = !code_is_row(shape->codes);

	memset(codes, 0, shape->line_bytes - LINE);
	memset(full, 0, shape->row_bytes);
	code_encode_first(shape->codes, shape->metric, vector, shape->dim,
			  shape->coded, code, codes,
			  has_row && !shape->rows ? full : NULL,
			  has_row && shape->rows ? full : NULL);
}

static int take_fresh(struct segment *segment, uint32_t *row)
{
	struct bank *bank = &segment->header->bank;
	uint32_t count =
	    atomic_load_explicit(&bank->row_count, memory_order_relaxed);
	uint64_t after = count + UINT64_C(1);
	struct bank_line *line;
	int err;

	if (after >= UINT32_MAX)
		return ENOSPC;
	err = segment_grow(segment, REGION_CODES,
			   after * segment->bank.line_bytes);
	if (!err)
		err = segment_grow(segment, REGION_ROWS,
				   after * segment->bank.row_bytes);
	if (!err)
		err = segment_grow(segment, REGION_NIBBLES,
				   after * segment->bank.nibble_bytes);
	if (!err) /* now: a row that is free must not want for them later */
		err = hnsw_reserve(segment, count);
	if (!err)
		err = signs_reserve(segment, count);
	if (!err)
		err = kd_reserve(segment, count);
	if (err)
		return err;
	line = bank_line_at(segment, count);
	if (!line)
		return EINVAL;
	point("row-fresh");
	atomic_store_explicit(&line->born, COMMIT_NEVER, memory_order_relaxed);
	/* B2: publishes a row that no snapshot sees yet */
	atomic_store_explicit(&bank->row_count, count + 1,
			      memory_order_release);
	*row = count;
	return 0;
}

int bank_take(struct segment *segment, uint32_t *row)
{
	struct bank *bank = &segment->header->bank;
	struct bank_line *line =
	    bank->free_row ? bank_line_at(segment, bank->free_row) : NULL;

	if (!line || atomic_load_explicit(&line->born, memory_order_relaxed) !=
			 COMMIT_NEVER)
		return take_fresh(segment, row); /* none, or a damaged list */
	*row = bank->free_row;
	point("row-taken");
	bank->free_row =
	    atomic_load_explicit(&line->entity, memory_order_relaxed);
	atomic_fetch_sub_explicit(&bank->free_count, 1, memory_order_relaxed);
	return 0;
}

int bank_floats(const struct segment *segment, uint32_t row, float *out)
{
	const struct bank_line *line = bank_line_at(segment, row);
	const void *full = bank_row_at(segment, row);

	if (!line || !full)
		return 0;
	code_floats(segment->bank.full, full, line->code.row_scale,
		    segment->bank.dim, out);
	return 1;
}

/* Relaxed stores of whole words: readers may look at any time. */
static void store_words(void *to, const void *from, size_t bytes)
{
	_Atomic uint64_t *words = to;
	const unsigned char *at = from;

	for (size_t i = 0; i < bytes / 8; i++) {
		uint64_t word;

		memcpy(&word, at + i * 8, 8);
		atomic_store_explicit(&words[i], word, memory_order_relaxed);
	}
}

static void nibbles_write(const struct segment *segment, uint32_t row,
			  const struct row_code *code, const uint8_t *codes)
{
	_Alignas(LINE) unsigned char nibbles[NIBBLES_MAX];
	void *at = (void *)(uintptr_t)bank_nibbles_at(segment, row);

	if (!at)
		return;
	code_nibbles(code, codes, segment->bank.coded, nibbles);
	store_words(at, nibbles, segment->bank.nibble_bytes);
}

int bank_write(struct segment *segment, uint32_t row,
	       const struct bank_entry *entry, const float *vector)
{
	const struct bank_shape *shape = &segment->bank;
	_Alignas(LINE) unsigned char codes[ROW_MAX];
	_Alignas(LINE) unsigned char full[ROW_MAX];
	struct bank_line *line = bank_line_at(segment, row);
	void *at = (void *)(uintptr_t)bank_row_at(segment, row);
	struct row_code code;
	uint64_t seq;

	if (!line || !at)
		return EINVAL;
	bank_encode(shape, vector, &code, codes, full);
	seq = atomic_load_explicit(&line->seq, memory_order_relaxed) | 1;
	atomic_store_explicit(&line->seq, seq, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* B1 */
	atomic_store_explicit(&line->entity, entry->entity,
			      memory_order_relaxed);
	atomic_store_explicit(&line->type, entry->type, memory_order_relaxed);
	store_words(&line->code, &code, sizeof code);
	atomic_store_explicit(&line->signature, entry->signature,
			      memory_order_relaxed);
	atomic_store_explicit(&line->died, COMMIT_NEVER, memory_order_relaxed);
	atomic_store_explicit(&line->born, entry->born, memory_order_relaxed);
	point("row-half-written");
	store_words(line->codes, codes, shape->line_bytes - LINE);
	store_words(at, full, shape->row_bytes);
	nibbles_write(segment, row, &code, codes);
	/* B1: publishes the row */
	atomic_store_explicit(&line->seq, seq + 1, memory_order_release);
	return 0;
}

void bank_kill(struct segment *segment, uint32_t row, uint64_t commit)
{
	struct bank_line *line = row ? bank_line_at(segment, row) : NULL;

	if (line)
		atomic_store_explicit(&line->died, commit,
				      memory_order_relaxed);
}

int bank_life(const struct segment *segment, uint32_t row, uint64_t *born,
	      uint64_t *died)
{
	const struct bank_line *line = row ? bank_line_at(segment, row) : NULL;

	if (!line)
		return 0;
	*born = atomic_load_explicit(&line->born, memory_order_relaxed);
	*died = atomic_load_explicit(&line->died, memory_order_relaxed);
	return 1;
}

int bank_is_used(const struct segment *segment, uint32_t row)
{
	uint64_t born;
	uint64_t died;

	return bank_life(segment, row, &born, &died) && born != COMMIT_NEVER;
}

void bank_free(struct segment *segment, uint32_t row)
{
	struct bank *bank = &segment->header->bank;
	struct bank_line *line = bank_line_at(segment, row);

	if (!row || !line)
		return;
	atomic_store_explicit(&line->born, COMMIT_NEVER, memory_order_relaxed);
	atomic_store_explicit(&line->entity, bank->free_row,
			      memory_order_relaxed);
	bank->free_row = row;
	atomic_fetch_add_explicit(&bank->free_count, 1, memory_order_relaxed);
}

uint64_t bank_free_length(const struct segment *segment)
{
	uint64_t length = 0;
	uint32_t row = segment->header->bank.free_row;
	const struct bank_line *line;

	while (row && length <= UINT32_MAX &&
	       (line = bank_line_at(segment, row))) {
		length++;
		row = atomic_load_explicit(&line->entity, memory_order_relaxed);
	}
	return length;
}

int bank_collect(struct segment *segment, uint64_t commit)
{
	struct bank *bank = &segment->header->bank;
	uint32_t count = bank_count(segment);

	bank->free_row = 0;
	atomic_store_explicit(&bank->free_count, 0, memory_order_relaxed);
	for (uint32_t row = 1; row < count; row++) {
		uint64_t born;
		uint64_t died;
		int err;

		if (!bank_life(segment, row, &born, &died))
			return EINVAL;
		if (born == COMMIT_NEVER) {
			bank_free(segment, row);
		} else if (died != COMMIT_NEVER) {
			err = limbo_reserve(segment, 1);
			if (err)
				return err;
			limbo_push(segment, commit, LIMBO_ROW, row);
		}
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recall: the vector graph's audit of itself.
 *
 * idea
 *	For entities spread over the bank the exact answer is compared with
 *	what a walk gives.  A hit counts if it is as near as the last of the
 *	exact ones, so that equal distances are no matter of luck.
 *
 *	A walk goes by codes, of which it ranks as many as it is wide.  One of
 *	the nearest that is not among these by its code no graph would lead to:
 *	of signs, a bit a component, many vectors have the same.  So one that
 *	is missed is the codes' fault if at least as many nodes are as near by
 *	their codes, and else the graph's.
 */
#include "store.h"
#include "head.h"
#include "pages.h"

#include <errno.h>
#include <math.h>

enum { K = 10, SAMPLES = 200 };

static_assert((int)COP_RECALL_DEGREES == (int)HNSW_LINKS + 1, "degrees");

/* What is compared. */
struct sample {
	cop_read *read;
	uint32_t ef;
	uint32_t row; /* asked about */
	uint64_t wanted;
	uint64_t found;
	uint64_t excused; /* missed by the codes' fault */
};

/* The row of an entity, 0 if it has changed since. */
static uint32_t row_of(const cop_read *read, uint64_t id)
{
	const struct segment *segment = read_segment(read);
	const struct head *head =
	    head_at(segment->header, segment_region(segment, REGION_HEADS), id);
	struct head_state state;

	return head && head_read(head, read->state.commit, &state) &&
		       state.alive
		   ? state.row
		   : 0;
}

/* Between the codes of two rows, the one asked about and another. */
static float coded_distance(const struct sample *sample, uint32_t row)
{
	const struct segment *segment = read_segment(sample->read);
	const struct bank_shape *bank = &segment->bank;

	return segment->kernel->codes[bank->codes].between(
	    bank->metric, bank->coded,
	    (const void *)bank_line_at(segment, sample->row),
	    (const void *)bank_line_at(segment, row));
}

/* How many of these distances so many nodes are below, or at. */
static uint32_t crowded_count(const struct sample *sample,
			      const float *distances, uint32_t count,
			      uint32_t width)
{
	const struct segment *segment = read_segment(sample->read);
	uint32_t rows = bank_count(segment);
	uint32_t within[K] = {0};
	uint32_t crowded = 0;

	for (uint32_t row = 1; row < rows; row++) {
		float distance;

		if (!hnsw_is_linked(segment, row))
			continue;
		distance = coded_distance(sample, row);
		for (uint32_t i = 0; i < count; i++)
			within[i] += distance <= distances[i];
	}
	for (uint32_t i = 0; i < count; i++)
		crowded += within[i] > width; /* it is one of them itself */
	return crowded;
}

static int has_hit(const struct cop_hit *hits, uint32_t count, uint64_t id)
{
	uint32_t i = 0;

	while (i < count && hits[i].id != id)
		i++;
	return i < count;
}

/* Of the exact hits that were missed, how many no graph would lead to. */
static uint32_t excused_count(const struct sample *sample,
			      const struct cop_hit *exact, uint32_t wanted,
			      const struct cop_hit *hits, uint32_t count,
			      uint32_t width)
{
	float distances[K];
	uint32_t missed = 0;

	for (uint32_t i = 0; i < wanted; i++) {
		uint32_t row = has_hit(hits, count, exact[i].id)
				   ? 0
				   : row_of(sample->read, exact[i].id);

		if (row)
			distances[missed++] = coded_distance(sample, row);
	}
	return crowded_count(sample, distances, missed, width);
}

static cop_err sample_ask(struct sample *sample, uint64_t id,
			  const float *vector)
{
	struct cop_search_report report = {.size = sizeof report};
	struct cop_search search = {.size = sizeof search,
				    .k = K,
				    .vector = vector,
				    .exclude = id,
				    .strategy = COP_SCAN};
	struct cop_hit exact[K];
	struct cop_hit hits[K];
	uint32_t wanted = 0;
	uint32_t count = 0;
	uint32_t found = 0;
	uint32_t excused = 0;
	cop_err err = cop_search(sample->read, &search, exact, &wanted);

	search.strategy = COP_HNSW;
	search.ef = sample->ef;
	search.report = &report;
	if (!err)
		err = cop_search(sample->read, &search, hits, &count);
	if (err)
		return err;
	for (uint32_t i = 0; wanted && i < count; i++)
		found += hits[i].distance <= exact[wanted - 1].distance;
	if (found < wanted)
		excused = excused_count(sample, exact, wanted, hits, count,
					report.ef);
	if (excused > wanted - found)
		excused = wanted - found;
	sample->wanted += wanted;
	sample->found += found;
	sample->excused += excused;
	return 0;
}

/* The entity of a living row, 0 if it has none. */
static uint64_t entity_of(const cop_read *read, uint32_t row)
{
	const struct bank_line *line = bank_line_at(read_segment(read), row);
	struct bank_seen seen;

	if (!line)
		return 0;
	seen = bank_peek(line);
	return seen.born <= read->state.commit && read->state.commit < seen.died
		   ? seen.entity
		   : 0;
}

/* The pages that are read, before LMDB trusts them; the read's own stay. */
static cop_err pages_look(const cop_read *read)
{
	struct env *env = read->env;
	env_txn *txn;
	int code = env_read_begin(env, &txn);
	cop_err err;

	if (code)
		return error_system(code, "%s: cannot read", read->store->path);
	err = pages_check(env, txn, PAGES_MAIN | PAGES_ONE(DB_VECTORS), NULL);
	env_read_abort(txn);
	return err;
}

static double share_of(uint64_t found, uint64_t wanted)
{
	return wanted ? (double)found / (double)wanted : 1;
}

static cop_err samples_ask(cop_read *read, uint32_t samples, uint32_t ef,
			   struct cop_recall *out)
{
	uint32_t rows = bank_count(read_segment(read)) - 1;
	struct sample sample = {.read = read, .ef = ef};
	cop_err err = 0;

	if (samples > rows)
		samples = rows;
	for (uint32_t i = 0; i < samples && !err; i++) {
		const float *vector = NULL;
		uint64_t id;

		sample.row = 1 + (uint32_t)((uint64_t)rows * i / samples);
		id = entity_of(read, sample.row);
		err = id ? cop_vector(read, id, &vector) : 0;
		if (err || !vector)
			continue;
		err = sample_ask(&sample, id, vector);
		out->samples++;
	}
	out->recall = share_of(sample.found, sample.wanted);
	out->recall_coded =
	    share_of(sample.found + sample.excused, sample.wanted);
	return err;
}

static uint64_t dead_count(const struct segment *segment)
{
	uint32_t rows = bank_count(segment);
	uint64_t dead = 0;

	for (uint32_t row = 1; row < rows; row++) {
		uint64_t born;
		uint64_t died = COMMIT_NEVER;

		dead += bank_life(segment, row, &born, &died) &&
			died != COMMIT_NEVER && hnsw_is_linked(segment, row);
	}
	return dead;
}

cop_err cop_recall(cop_read *read, uint32_t samples, uint32_t ef,
		   struct cop_recall *out)
{
	struct cop_recall made = {.size = sizeof made};
	struct hnsw_figures figures;
	cop_err err = read_check(read);

	if (err)
		return err;
	if (!out || out->size != sizeof *out)
		return error_set(COP_INVALID, "the figures are of another "
					      "size; set .size to its sizeof");
	if (!read->store->config.dim)
		return error_set(COP_BAD_VECTOR,
				 "%s was made without vectors; `init --dim` "
				 "makes a store with them",
				 read->store->path);
	err = pages_look(read);
	if (!err)
		err = samples_ask(read, samples ? samples : SAMPLES, ef, &made);
	if (!err && hnsw_validate(read_segment(read), &figures) == ENOMEM)
		err = error_system(ENOMEM, "no memory to look at the graph");
	if (err)
		return err;
	made.nodes = figures.linked;
	made.links = figures.links;
	made.unreachable = figures.unreachable - figures.alike;
	made.one_way = figures.one_way;
	made.broken = figures.broken;
	made.dead = dead_count(read_segment(read));
	made.waiting = hnsw_tail_count(read_segment(read));
	memcpy(made.degrees, figures.degrees, sizeof made.degrees);
	*out = made;
	return 0;
}

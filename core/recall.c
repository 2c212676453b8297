/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recall: the vector graph's audit of itself.
 *
 * idea
 *	For entities spread over the bank the exact answer is compared with
 *	what a walk gives.  A hit counts if it is as near as the last of the
 *	exact ones, so that equal distances are no matter of luck.
 */
#include "store.h"

#include <errno.h>

enum { K = 10, SAMPLES = 200 };

static_assert((int)COP_RECALL_DEGREES == (int)HNSW_LINKS + 1, "degrees");

/* Of the exact hits, how many a walk finds. */
static cop_err sample_ask(cop_read *read, uint64_t id, const float *vector,
			  uint32_t ef, uint32_t *wanted, uint32_t *found)
{
	struct cop_search search = {.size = sizeof search,
				    .k = K,
				    .vector = vector,
				    .exclude = id,
				    .strategy = COP_SCAN};
	struct cop_hit exact[K];
	struct cop_hit hits[K];
	uint32_t count = 0;
	cop_err err = cop_search(read, &search, exact, wanted);

	search.strategy = COP_HNSW;
	search.ef = ef;
	if (!err)
		err = cop_search(read, &search, hits, &count);
	*found = 0;
	for (uint32_t i = 0; !err && *wanted && i < count; i++)
		*found += hits[i].distance <= exact[*wanted - 1].distance;
	return err;
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

static cop_err samples_ask(cop_read *read, uint32_t samples, uint32_t ef,
			   struct cop_recall *out)
{
	uint32_t rows = bank_count(read_segment(read)) - 1;
	uint64_t all_wanted = 0;
	uint64_t all_found = 0;
	cop_err err = 0;

	if (samples > rows)
		samples = rows;
	for (uint32_t i = 0; i < samples && !err; i++) {
		uint32_t row = 1 + (uint32_t)((uint64_t)rows * i / samples);
		uint64_t id = entity_of(read, row);
		const float *vector = NULL;
		uint32_t wanted = 0;
		uint32_t found = 0;

		err = id ? cop_vector(read, id, &vector) : 0;
		if (err || !vector)
			continue;
		err = sample_ask(read, id, vector, ef, &wanted, &found);
		all_wanted += wanted;
		all_found += found;
		out->samples++;
	}
	out->recall = all_wanted ? (double)all_found / (double)all_wanted : 1;
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
	err = samples_ask(read, samples ? samples : SAMPLES, ef, &made);
	if (!err && hnsw_validate(read_segment(read), &figures) == ENOMEM)
		err = error_system(ENOMEM, "no memory to look at the graph");
	if (err)
		return err;
	made.nodes = figures.linked;
	made.links = figures.links;
	made.unreachable = figures.unreachable;
	made.one_way = figures.one_way;
	made.broken = figures.broken;
	made.dead = dead_count(read_segment(read));
	made.waiting = hnsw_tail_count(read_segment(read));
	memcpy(made.degrees, figures.degrees, sizeof made.degrees);
	*out = made;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors that come and go, one thread.
 *
 * idea
 *	Batches of a hundred: put or deleted, committed (on disk when that
 *	returns), then cop_maintain, which links or unlinks what the commit has
 *	left.  A commit does some of that work itself, so the sum of both is
 *	what a vector costs.  Nobody reads meanwhile, or what is deleted would
 *	have to wait.  A second cop_maintain finds nothing to do but the audit
 *	of the graph, whose time, which is one of the rows and not of the
 *	batch, is taken off.  hnswlib is given the same new vectors, one by one.
 */
#include "bench_upkeep.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench_clock.h"
#include "bench_store.h"

enum { BATCH = 100, BATCHES = 20 };

struct upkeep {
	struct ann *ann;
	cop_write *write;
	struct bench_series commit; /* us a vector */
	struct bench_series maintain;
	struct bench_series both;
};

static void finish_batch(struct upkeep *upkeep)
{
	struct cop_maintain_result result = {.size = sizeof result};
	uint64_t start_ns = bench_now_ns();
	double commit;
	double maintain;

	bench_check("cop_commit", cop_commit(upkeep->write, NULL));
	commit = bench_seconds_since(start_ns) * 1e6 / BATCH;
	start_ns = bench_now_ns();
	bench_check("cop_maintain",
		    cop_maintain(upkeep->ann->store, NULL, &result));
	maintain = bench_seconds_since(start_ns) * 1e6 / BATCH;
	start_ns = bench_now_ns();
	bench_check("cop_maintain",
		    cop_maintain(upkeep->ann->store, NULL, NULL));
	maintain -= bench_seconds_since(start_ns) * 1e6 / BATCH;
	if (result.unlinked != 0 || result.waiting != 0)
		bench_note("%llu vectors wait to be linked, %llu to be freed",
			   (unsigned long long)result.unlinked,
			   (unsigned long long)result.waiting);
	bench_series_add(&upkeep->commit, commit);
	bench_series_add(&upkeep->maintain, maintain);
	bench_series_add(&upkeep->both, commit + maintain);
}

static void report(struct upkeep *upkeep, const char *what)
{
	static const char *const names[] = {"commit", "maintain", "both"};
	struct bench_series *series[] = {&upkeep->commit, &upkeep->maintain,
					 &upkeep->both};
	char metric[BENCH_TEXT_BYTES];
	size_t index;

	for (index = 0; index < 3; index++) {
		snprintf(metric, sizeof metric, "%s_%s_a_vector", what,
			 names[index]);
		ann_add(upkeep->ann, ANN_COPPICE, metric,
			bench_series_median(series[index]), "us");
		series[index]->count = 0;
	}
}

static void insert_all(struct upkeep *upkeep, const float *vectors,
		       uint32_t count)
{
	struct ann *ann = upkeep->ann;
	struct cop_put put = {.size = sizeof put,
			      .dim = (uint32_t)ann->rows.columns};
	char key[BENCH_KEY_BYTES];
	uint32_t index;

	put.key = key;
	for (index = 0; index < count; index++) {
		put.key_size = (uint32_t)bench_key(ann->next_key++, key);
		put.vector = vectors + (size_t)index * ann->rows.columns;
		bench_check("cop_put", cop_put(upkeep->write, &put));
		if (index % BATCH == BATCH - 1)
			finish_batch(upkeep);
	}
	report(upkeep, "insert");
}

/* Rows all over the set. */
static void delete_all(struct upkeep *upkeep, uint32_t count)
{
	uint32_t rows = (uint32_t)upkeep->ann->rows.rows;
	char key[BENCH_KEY_BYTES];
	uint32_t index;

	for (index = 0; index < count; index++) {
		size_t size = bench_key(rows / count * index, key);

		bench_check("cop_delete", cop_delete(upkeep->write, key, size));
		if (index % BATCH == BATCH - 1)
			finish_batch(upkeep);
	}
	report(upkeep, "delete");
}

static void insert_peer(const struct ann *ann, const float *vectors,
			uint32_t count)
{
	static struct bench_series series;
	uint64_t start_ns = bench_now_ns();
	uint32_t index;

	series.count = 0;
	for (index = 0; index < count; index++) {
		bench_peer.add(ann->peer,
			       vectors + (size_t)index * ann->rows.columns,
			       (uint32_t)ann->rows.rows + index);
		if (index % BATCH != BATCH - 1)
			continue;
		bench_series_add(&series,
				 bench_seconds_since(start_ns) * 1e6 / BATCH);
		start_ns = bench_now_ns();
	}
	ann_add(ann, ANN_HNSWLIB, "insert_both_a_vector",
		bench_series_median(&series), "us");
}

void ann_upkeep(struct ann *ann)
{
	static struct upkeep upkeep;
	uint32_t count = BATCH * (ann->bench->quick ? 3 : BATCHES);
	size_t dim = ann->rows.columns;
	float *vectors = bench_alloc(count * dim * sizeof *vectors);
	uint32_t index;

	for (index = 0; index < count; index++)
		ann_near(ann, (index * 7919U + 1) % ann->rows.rows,
			 UINT64_C(1) << 40 | index, vectors + index * dim);
	upkeep.ann = ann;
	ann_look_away(ann);
	ann_pin(0);
	bench_check("cop_maintain", cop_maintain(ann->store, NULL, NULL));
	bench_check("cop_write_begin",
		    cop_write_begin(ann->store, &upkeep.write));
	insert_all(&upkeep, vectors, count);
	delete_all(&upkeep, count);
	cop_abort(upkeep.write);
	if (ann->peer != NULL)
		insert_peer(ann, vectors, count);
	ann_pin(-1);
	ann_look(ann);
	free(vectors);
}

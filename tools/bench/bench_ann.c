/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two systems of the approximate search.
 *
 * idea
 *	coppice	the public interface alone: commits of BENCH_BATCH entities,
 *		each with two threads to link what it brought, then cop_maintain
 *		for what is left.  So the time to build is that of a whole load,
 *		LMDB and its syncs included.
 *	hnswlib	the index alone, in private memory, M = 16 and efConstruction =
 *		200, built by two threads.
 *	Linking alone is told apart by building the segment anew from LMDB, as
 *	the first process after a reboot would without an image: cop_open says
 *	by its progress when it begins to link.  Large sets leave that out.
 *
 *	Answers are rows' numbers in both; a hit's id is turned into a row by a
 *	table, and that is counted.  A cosine is asked of hnswlib as a dot
 *	product of vectors of unit length.
 *
 * settings
 *	BENCH_EXACT=1	cop_search with exact = 1: ranked by the float32 in LMDB
 */
#include "bench_ann.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_clock.h"
#include "bench_random.h"
#include "bench_scan.h"
#include "bench_store.h"

enum { PEER_LINKS = 16, PEER_EF = 200, REBUILD_ROWS_MAX = 200000 };

const char *const ann_names[ANN_SYSTEMS] = {"coppice", "hnswlib"};
const uint32_t ann_efs[ANN_POINTS] = {10,  14,	20,  28,  40,  56,  80,
				      112, 160, 224, 300, 420, 580, 800};

int ann_has(const struct ann *ann, enum ann_system system)
{
	return system == ANN_COPPICE || ann->peer != NULL;
}

void ann_add(const struct ann *ann, enum ann_system system, const char *metric,
	     double value, const char *unit)
{
	bench_add(ann->bench, ann->name, ann_names[system], metric, value,
		  unit);
}

void ann_pin(int processor)
{
	size_t count = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;
	size_t index;

	CPU_ZERO(&set);
	for (index = 0; index < count && index < CPU_SETSIZE; index++)
		if (processor < 0 || index == (size_t)processor % count)
			CPU_SET(index, &set);
	(void)sched_setaffinity(0, sizeof set, &set); /* a wish */
}

void ann_near(const struct ann *ann, size_t row, uint64_t seed, float *out)
{
	struct bench_random random = {seed};
	const float *from = ann->rows.data + row * ann->rows.columns;
	double sum = 0;
	float size;
	size_t index;

	for (index = 0; index < ann->rows.columns; index++)
		sum += (double)from[index] * (double)from[index];
	size = (float)sqrt(sum / (double)ann->rows.columns) / 10;
	for (index = 0; index < ann->rows.columns; index++)
		out[index] = from[index] + size * bench_random_normal(&random);
	if (ann->metric == COP_COSINE)
		bench_scan_normalize(out, 1, ann->rows.columns);
}

/* ---- asking ------------------------------------------------------------- */

static size_t ask_store(const struct ann *ann, uint32_t ef, size_t query,
			uint32_t rows[ANN_K])
{
	struct cop_hit hits[ANN_K];
	struct cop_search search = {.size = sizeof search,
				    .k = ANN_K,
				    .exact = ann->exact,
				    .strategy = COP_HNSW,
				    .ef = ef};
	uint32_t count = 0;
	uint32_t index;

	search.vector = ann->queries.data + query * ann->queries.columns;
	if (ann->self != NULL)
		search.exclude = ann->id_of[ann->self[query]];
	bench_check("cop_search", cop_search(ann->read, &search, hits, &count));
	for (index = 0; index < count; index++)
		rows[index] = hits[index].id > ann->id_most
				  ? UINT32_MAX /* put since */
				  : ann->row_of[hits[index].id];
	return count;
}

static size_t ask_peer(const struct ann *ann, size_t query,
		       uint32_t rows[ANN_K])
{
	uint32_t found[ANN_K + 1];
	size_t k = ANN_K + (ann->self != NULL);
	size_t count = bench_peer.search(
	    ann->peer, ann->queries.data + query * ann->queries.columns, k,
	    found);
	size_t kept = 0;
	size_t index;

	for (index = 0; index < count && kept < ANN_K; index++)
		if (ann->self == NULL || found[index] != ann->self[query])
			rows[kept++] = found[index];
	return kept;
}

size_t ann_ask(const struct ann *ann, enum ann_system system, uint32_t ef,
	       size_t query, uint32_t rows[ANN_K])
{
	if (system == ANN_COPPICE)
		return ask_store(ann, ef, query, rows);
	return ask_peer(ann, query, rows);
}

double ann_rate(const struct ann *ann, enum ann_system system, uint32_t ef,
		size_t first, double seconds)
{
	uint32_t rows[ANN_K];
	uint64_t start_ns;
	uint64_t count = 0;
	double passed;

	if (system == ANN_HNSWLIB)
		bench_peer.set_ef(ann->peer, ef);
	start_ns = bench_now_ns();
	do {
		(void)ann_ask(ann, system, ef,
			      (first + count++) % ann->queries.rows, rows);
		passed = bench_seconds_since(start_ns);
	} while (passed < seconds);
	return (double)count / passed;
}

/* ---- the store ---------------------------------------------------------- */

void ann_look_away(struct ann *ann)
{
	cop_read_end(ann->read);
	ann->read = NULL;
}

void ann_look(struct ann *ann)
{
	bench_check("cop_read_begin", cop_read_begin(ann->store, &ann->read));
}

static void put_row(cop_write *write, const struct ann *ann, uint32_t row)
{
	char key[BENCH_KEY_BYTES];
	struct cop_put put = {.size = sizeof put, .key = key};

	put.key_size = (uint32_t)bench_key(row, key);
	put.vector = ann->rows.data + (size_t)row * ann->rows.columns;
	put.dim = (uint32_t)ann->rows.columns;
	if (ann->dress != NULL)
		ann->dress(ann, row, &put);
	bench_check("cop_put", cop_put(write, &put));
}

/* The seconds that it took to link what commits had left. */
static double maintain(cop_store *store)
{
	struct cop_maintain_options options = {.size = sizeof options,
					       .threads = ANN_THREADS};
	struct cop_maintain_result result = {.size = sizeof result};
	uint64_t start_ns = bench_now_ns();

	bench_check("cop_maintain", cop_maintain(store, &options, &result));
	if (result.unlinked != 0)
		bench_note("%llu vectors are not linked",
			   (unsigned long long)result.unlinked);
	return bench_seconds_since(start_ns);
}

static void build_store(struct ann *ann)
{
	struct cop_commit_options options = {.size = sizeof options,
					     .threads = ANN_THREADS};
	uint64_t start_ns = bench_now_ns();
	cop_write *write = NULL;
	uint32_t rows = (uint32_t)ann->rows.rows;
	uint32_t row;

	bench_check("cop_write_begin", cop_write_begin(ann->store, &write));
	for (row = 0; row < rows; row++) {
		uint64_t commit_ns;

		put_row(write, ann, row);
		if ((row + 1) % BENCH_BATCH != 0 && row + 1 < rows)
			continue;
		commit_ns = bench_now_ns();
		bench_check("cop_commit_with",
			    cop_commit_with(write, &options, NULL));
		ann->commit_seconds += bench_seconds_since(commit_ns);
	}
	cop_abort(write);
	ann->maintain_seconds = maintain(ann->store);
	ann->build_seconds[ANN_COPPICE] = bench_seconds_since(start_ns);
}

static int32_t note_linking(void *user, const char *what, uint64_t done,
			    uint64_t total)
{
	uint64_t *linking_ns = user;

	(void)done;
	(void)total;
	if (*linking_ns == 0 && strstr(what, "linking") != NULL)
		*linking_ns = bench_now_ns();
	return 0;
}

static void rebuild_segment(struct ann *ann)
{
	uint64_t linking_ns = 0;
	struct cop_open_options options = {.size = sizeof options,
					   .progress = note_linking,
					   .user = &linking_ns};
	uint64_t start_ns;

	cop_close(ann->store);
	bench_check("cop_detach", cop_detach(ann->path));
	start_ns = bench_now_ns();
	bench_check("cop_open", cop_open(ann->path, &options, &ann->store));
	ann_add(ann, ANN_COPPICE, "segment_rebuild",
		bench_seconds_since(start_ns), "s");
	if (linking_ns != 0)
		ann_add(ann, ANN_COPPICE, "segment_rebuild_linking",
			bench_seconds_since(linking_ns), "s");
}

static void tell_memory(const struct ann *ann)
{
	struct cop_stats stats = {.size = sizeof stats};
	double vectors = (double)ann->rows.rows;
	double plain = 4 * (double)ann->rows.columns;

	bench_check("cop_stat", cop_stat(ann->read, &stats));
	ann_add(ann, ANN_COPPICE, "row_bytes_a_vector", (double)stats.row_bytes,
		"bytes");
	ann_add(ann, ANN_COPPICE, "bank_bytes_a_vector",
		(double)stats.bank_bytes / vectors, "bytes");
	ann_add(ann, ANN_COPPICE, "index_bytes_a_vector",
		(double)stats.index_bytes / vectors, "bytes");
	ann_add(ann, ANN_COPPICE, "memory_a_vector",
		(double)stats.shared_bytes / vectors, "bytes");
	ann_add(ann, ANN_COPPICE, "memory_to_float32",
		(double)stats.shared_bytes / vectors / plain, "x");
	ann_add(ann, ANN_COPPICE, "disk_a_vector",
		(double)stats.disk_bytes / vectors, "bytes");
}

static int is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value == '1';
}

static void learn_ids(struct ann *ann)
{
	size_t row;

	ann->id_of = bench_store_ids(ann->read, (uint32_t)ann->rows.rows);
	for (row = 0; row < ann->rows.rows; row++)
		if (ann->id_of[row] > ann->id_most)
			ann->id_most = ann->id_of[row];
	if (ann->id_most > 2 * ann->rows.rows + 1000)
		bench_fail("ids are far apart");
	ann->row_of = bench_alloc((ann->id_most + 1) * sizeof *ann->row_of);
	for (row = 0; row < ann->rows.rows; row++)
		ann->row_of[ann->id_of[row]] = (uint32_t)row;
}

void ann_fill(struct ann *ann)
{
	char name[64];

	/* an image would be written, and loaded, by itself */
	setenv("COPPICE_CHECKPOINT", "0", 1);
	ann->next_key = (uint32_t)ann->rows.rows;
	snprintf(name, sizeof name, "store-%s", ann->name);
	bench_path(ann->bench, name, ann->path, sizeof ann->path);
	ann->store = bench_store_create(ann->path, (uint32_t)ann->rows.columns,
					ann->metric,
					(uint32_t)(ann->rows.rows + ANN_SPARE));
	build_store(ann);
	ann_look(ann);
	learn_ids(ann);
}

static void open_store(struct ann *ann)
{
	ann_fill(ann);
	ann_add(ann, ANN_COPPICE, "build_commits", ann->commit_seconds, "s");
	ann_add(ann, ANN_COPPICE, "build_maintain", ann->maintain_seconds, "s");
	if (ann->rows.rows <= REBUILD_ROWS_MAX) {
		ann_look_away(ann);
		rebuild_segment(ann);
		ann_look(ann);
	}
	tell_memory(ann);
}

/* ---- the peer ----------------------------------------------------------- */

struct peer_build {
	const struct ann *ann;
	_Atomic size_t next; /* row */
};

static void *peer_work(void *user)
{
	struct peer_build *build = user;
	const struct bench_matrix *rows = &build->ann->rows;
	size_t row;

	while ((row = atomic_fetch_add(&build->next, 1)) < rows->rows)
		bench_peer.add(build->ann->peer,
			       rows->data + row * rows->columns, (uint32_t)row);
	return NULL;
}

static void open_peer(struct ann *ann)
{
	struct peer_build build = {.ann = ann, .next = 1};
	pthread_t threads[ANN_THREADS];
	uint64_t start_ns = bench_now_ns();
	double bytes;
	int index;

	if (&bench_peer == NULL || ann->is_alone)
		return;
	ann->peer =
	    bench_peer.create(ann->rows.columns, ann->rows.rows + ANN_SPARE,
			      ann->metric == COP_COSINE, PEER_LINKS, PEER_EF);
	bench_peer.add(ann->peer, ann->rows.data, 0);
	for (index = 0; index < ANN_THREADS; index++)
		if (pthread_create(&threads[index], NULL, peer_work, &build) !=
		    0)
			bench_fail("no thread");
	for (index = 0; index < ANN_THREADS; index++)
		pthread_join(threads[index], NULL);
	ann->build_seconds[ANN_HNSWLIB] = bench_seconds_since(start_ns);
	bytes = (double)bench_peer.bytes(ann->peer) / (double)ann->rows.rows;
	ann_add(ann, ANN_HNSWLIB, "memory_a_vector", bytes, "bytes");
	ann_add(ann, ANN_HNSWLIB, "memory_to_float32",
		bytes / (4 * (double)ann->rows.columns), "x");
}

/* ---- both --------------------------------------------------------------- */

void ann_open(struct ann *ann)
{
	int system;

	ann->exact = is_set("BENCH_EXACT");
	ann->truth =
	    (struct bench_truth){.rows = &ann->rows,
				 .queries = &ann->queries,
				 .self = ann->self,
				 .is_cosine = ann->metric == COP_COSINE,
				 .k = ANN_K};
	bench_note("%s: %zu x %zu, %s, %zu queries", ann->name, ann->rows.rows,
		   ann->rows.columns,
		   ann->metric == COP_COSINE ? "cosine" : "L2",
		   ann->queries.rows);
	bench_truth_init(&ann->truth, ANN_THREADS);
	open_store(ann);
	open_peer(ann);
	for (system = 0; system < ANN_SYSTEMS; system++) {
		double seconds = ann->build_seconds[system];

		if (!ann_has(ann, (enum ann_system)system))
			continue;
		bench_note("%s built in %.1f s", ann_names[system], seconds);
		ann_add(ann, (enum ann_system)system, "build", seconds, "s");
		ann_add(ann, (enum ann_system)system, "build_a_vector",
			seconds * 1e6 / (double)ann->rows.rows, "us");
	}
	if (ann->peer != NULL)
		ann_add(ann, ANN_COPPICE, "build_ratio",
			ann->build_seconds[ANN_COPPICE] /
			    ann->build_seconds[ANN_HNSWLIB],
			"x");
}

void ann_close(struct ann *ann)
{
	ann_look_away(ann);
	cop_close(ann->store);
	bench_check("cop_detach", cop_detach(ann->path));
	if (ann->peer != NULL)
		bench_peer.destroy(ann->peer);
	bench_truth_release(&ann->truth);
	free(ann->id_of);
	free(ann->row_of);
}

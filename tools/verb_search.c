/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search: the nearest entities to a vector.
 *
 * idea
 *	The query is an entity's own vector (--like, which leaves that entity
 *	out), a vector from a file (--vector), or many (--queries), searched in
 *	portions over the threads asked for, all in one snapshot.
 *
 * layout of the text
 *	rank <tab> distance <tab> key <tab> label
 *	<tab><tab> relation -> KEY       with --context, what is around it
 *	with --queries: query <tab> rank <tab> key <tab> distance
 *	where query is the row in the file, from 0, and rank is from 1.
 *
 * limits
 *	--queries holds a portion's hits in memory: 16 MiB, or one query's.
 */
#include "out.h"
#include "search_vector.h"
#include "rows.h"
#include "step.h"
#include "format.h"
#include "words.h"
#include "verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	SEARCH_LIKE = ARG_OWN,
	SEARCH_VECTOR,
	SEARCH_QUERIES,
	SEARCH_TYPE,
	SEARCH_TAG,
	SEARCH_THRESHOLD,
	SEARCH_EXACT,
	SEARCH_THREADS,
	SEARCH_ANY,
	SEARCH_PREFIX,
	SEARCH_NEAR,
	SEARCH_HOPS,
	SEARCH_STRATEGY,
	SEARCH_EF,
	SEARCH_EXPLAIN,
	SEARCH_CONTEXT
};

enum { SEARCH_PORTION = 1024, SEARCH_PORTION_HITS = 1048576 };
enum { SEARCH_DEGREE = 100, SEARCH_STEPS = 100000 }; /* of a context */

static const struct arg_row search_rows[] = {
    {SEARCH_LIKE, "like", "KEY", "near this entity, itself left out"},
    {SEARCH_VECTOR, "vector", "FILE", "near this vector (`-`: stdin)"},
    {SEARCH_QUERIES, "queries", "FILE", "near each row of .npy or .fvecs"},
    {'k', "k", "N", "how many hits (default: 10)"},
    {SEARCH_TYPE, "type", "NAME", "only entities of this type"},
    {SEARCH_TAG, "tag", "NAME", "only with this tag; with all, if repeated"},
    {SEARCH_ANY, "any-tag", NULL, "of repeated tags one is enough"},
    {SEARCH_PREFIX, "prefix", "TEXT", "only keys that begin with this"},
    {SEARCH_NEAR, "near", "KEY", "only entities near this one in the graph"},
    {SEARCH_HOPS, "hops", "N", "edges, in any direction, of --near (1)"},
    {SEARCH_CONTEXT, "context", "N",
     "with what is within so many edges of each hit"},
    {SEARCH_THRESHOLD, "threshold", "D", "only at this distance or nearer"},
    {SEARCH_EXACT, "exact", NULL, "rank by the float32 as they were put"},
    {SEARCH_STRATEGY, "strategy", "auto|scan|hnsw|lsh|hierarchical|kdtree",
     "how it is done (default: auto)"},
    {SEARCH_EF, "ef", "N", "width of a walk: more finds more, slower"},
    {SEARCH_EXPLAIN, "explain", NULL, "say on stderr how it was done, and why"},
    {SEARCH_THREADS, "threads", "N", "threads for --queries (default: 1)"},
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

static const char search_notes[] =
    "Distances: cosine 1 - cos, l2 squared Euclidean, ip the inner product "
    "negated;\nsmaller is nearer. --vector reads a JSON list, numbers between "
    "spaces, or .npy or\n.fvecs of one row. With --queries a line is `query "
    "rank key distance`. Exit\nstatus 1: no hit.\n";

struct search {
	struct cli *cli;
	struct cop_search search;
	const char *like, *vector, *queries, *near;
	const char *tags[COP_FILTER_TAGS];
	struct cop_search_report report;
	uint32_t threads;
	int json;
	uint32_t dim;
	uint64_t found; /* hits printed */
	float *vectors;
	struct cop_hit *hits;
	uint32_t *counts;
	uint32_t context; /* hops around each hit, 0: none */
	struct cop_step *steps;
	size_t *starts; /* of each hit's steps */
};

/* ---- printing ----------------------------------------------------------- */

/* What is around a hit: its steps, but for itself. */
static const struct cop_step *context_of(const struct search *search,
					 uint32_t hit, size_t *count)
{
	size_t from = search->starts[hit];

	*count = search->starts[hit + 1] - from;
	return search->steps + from;
}

static cop_err context_text(const struct search *search, uint32_t hit)
{
	size_t count;
	const struct cop_step *steps = context_of(search, hit, &count);
	cop_err err = 0;

	for (size_t i = 1; i < count && !err && !out_failed(); i++) {
		printf("\t\t");
		if (steps[i].hops > 1) {
			err = out_key_text(search->cli->read,
					   steps[steps[i].from].id);
			putchar(' ');
		}
		if (!err)
			err = step_text(search->cli->read, &steps[i]);
	}
	return err;
}

static cop_err context_json(const struct search *search, uint32_t hit)
{
	size_t count;
	const struct cop_step *steps = context_of(search, hit, &count);
	cop_err err = 0;

	fputs(",\"context\":[", stdout);
	for (size_t i = 1; i < count && !err; i++) {
		if (i > 1)
			putchar(',');
		err = step_object(search->cli->read, steps, i);
	}
	putchar(']');
	return err;
}

static cop_err search_text(const struct search *search, uint32_t rank,
			   const struct cop_hit *hit)
{
	cop_read *read = search->cli->read;
	cop_err err;

	printf("%" PRIu32 "\t%.6g\t", rank, hit->distance);
	err = out_key_text(read, hit->id);
	if (!err)
		err = out_label_text(read, hit->id);
	putchar('\n');
	return err || !search->context ? err : context_text(search, rank - 1);
}

static cop_err search_json(const struct search *search, int64_t query,
			   uint32_t rank, const struct cop_hit *hit)
{
	cop_read *read = search->cli->read;
	cop_err err;

	putchar('{');
	if (query >= 0)
		printf("\"query\":%" PRId64 ",", query);
	printf("\"rank\":%" PRIu32 ",\"distance\":", rank);
	out_double(hit->distance);
	putchar(',');
	err = out_key_json(read, "key", hit->id);
	if (!err)
		err = out_label_json(read, hit->id);
	if (!err && search->context)
		err = context_json(search, rank - 1);
	fputs("}\n", stdout);
	return err;
}

static cop_err search_tsv(const struct search *search, int64_t query,
			  uint32_t rank, const struct cop_hit *hit)
{
	cop_err err;

	printf("%" PRId64 "\t%" PRIu32 "\t", query, rank);
	err = out_key_text(search->cli->read, hit->id);
	printf("\t%.17g\n", hit->distance);
	return err;
}

/* query	its row, negative: there is only one */
static cop_err search_print(struct search *search, int64_t query,
			    const struct cop_hit *hits, uint32_t count)
{
	cop_err err = 0;

	for (uint32_t i = 0; !err && i < count && !out_failed(); i++) {
		if (search->json)
			err = search_json(search, query, i + 1, &hits[i]);
		else if (query < 0)
			err = search_text(search, i + 1, &hits[i]);
		else
			err = search_tsv(search, query, i + 1, &hits[i]);
	}
	search->found += count;
	return err;
}

/* ---- nothing found: is it for a word that the store does not know? ------- */

static int32_t search_any(void *user, uint32_t thread, cop_read *read,
			  const struct cop_entity *entity)
{
	(void)user;
	(void)thread;
	(void)read;
	(void)entity;
	return 1;
}

static int search_warn(const struct search *search)
{
	struct cli *cli = search->cli;
	const char *type = search->search.type, *tag = search->tags[0];
	cop_err err = COP_STOPPED;

	if (cli->quiet)
		return EXIT_NO_RESULT;
	if (type)
		err = cop_scan(cli->read, type, NULL, 1, search_any, NULL);
	if (!err)
		fault_note("warning: no entity has the type '%s'", type);
	if (err == COP_STOPPED && tag) {
		err = cop_scan(cli->read, NULL, tag, 1, search_any, NULL);
		if (!err)
			fault_note("warning: no entity has the tag '%s'", tag);
	}
	if (err && err != COP_STOPPED)
		return cli_cop(cli, err);
	return EXIT_NO_RESULT;
}

/* ---- one query ---------------------------------------------------------- */

/* The vector of --like, borrowed from the read. */
static int search_like(struct search *search)
{
	struct cli *cli = search->cli;
	const char *key = search->like;
	const float *vector = NULL;
	uint64_t id = 0;
	cop_err err;

	err = cop_lookup(cli->read, key, strlen(key), &id);
	if (!err && id)
		err = cop_vector(cli->read, id, &vector);
	if (err)
		return cli_cop(cli, err);
	if (!vector)
		return fault_set(&cli->fault, EXIT_NO_RESULT,
				 id ? "entity '%s' has no vector"
				    : "there is no entity '%s'",
				 key);
	search->search.vector = vector;
	search->search.exclude = id;
	return 0;
}

static int search_around(struct search *search)
{
	if (!search->near)
		return 0;
	if (!search->search.hops)
		search->search.hops = 1;
	return cli_entity(search->cli, search->near, &search->search.near);
}

/* By their number. */
static const char *const strategies[] = {
    "auto", "scan", "hnsw", "lsh", "hierarchical", "kdtree", NULL};

static void search_explain(const struct search *search)
{
	const struct cop_search_report *report = &search->report;

	fprintf(stderr, "strategy: %s: %s\n", strategies[report->strategy],
		report->reason);
	fprintf(stderr, "rows: %" PRIu64 ", %" PRIu64 " wait to be linked\n",
		report->rows, report->waiting);
	if (report->listed)
		fprintf(stderr, "matches: %" PRIu64 ", each ranked\n",
			report->listed);
	else if (report->share < 1)
		fprintf(stderr,
			"share that the filters let through: %.3g, "
			"estimated\n",
			report->share);
	if (report->ef)
		fprintf(stderr,
			"walk: ef %" PRIu32 ", %" PRIu32 " nodes followed, "
			"%" PRIu32 " distances\n",
			report->ef, report->expanded, report->evaluated);
	if (report->is_complete)
		fprintf(stderr, "no more than these exist\n");
}

static cop_err search_context(struct search *search, uint32_t *count)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = search->context,
				.direction = COP_BOTH,
				.degree_limit = SEARCH_DEGREE};
	int32_t more = 0;
	cop_err err;

	search->steps = calloc(SEARCH_STEPS, sizeof *search->steps);
	search->starts =
	    calloc(search->search.k + (size_t)1, sizeof *search->starts);
	if (!search->steps || !search->starts)
		return ENOMEM;
	err = cop_search_context(search->cli->read, &search->search, &walk,
				 search->hits, count, search->steps,
				 SEARCH_STEPS, search->starts, &more);
	if (!err && more && !search->cli->quiet)
		fault_note("the context is cut off after %d edges of an "
			   "entity, or %d entities in all",
			   SEARCH_DEGREE, SEARCH_STEPS);
	return err;
}

static int search_one(struct search *search)
{
	struct cli *cli = search->cli;
	uint32_t count = 0;
	cop_err err;
	int code;

	search->hits = calloc(search->search.k, sizeof *search->hits);
	search->vectors = calloc(search->dim, sizeof *search->vectors);
	if (!search->hits || !search->vectors)
		return fault_set(&cli->fault, EXIT_NO_SPACE, "out of memory");
	search->search.vector = search->vectors;
	code = search->like ? search_like(search)
			    : search_vector_read(search->vector, search->dim,
						 search->vectors, &cli->fault);
	if (code)
		return code;
	err = search->context ? search_context(search, &count)
			      : cop_search(cli->read, &search->search,
					   search->hits, &count);
	if (!err && search->search.report)
		search_explain(search);
	if (!err)
		err = search_print(search, -1, search->hits, count);
	return err ? cli_cop(cli, err) : 0;
}

/* ---- many queries ------------------------------------------------------- */

/* Queries searched together, so that their hits fit into memory. */
static size_t search_portion(const struct search *search)
{
	size_t portion = SEARCH_PORTION_HITS / search->search.k;

	if (portion > SEARCH_PORTION)
		return SEARCH_PORTION;
	return portion ? portion : 1;
}

static int search_collect(struct search *search, struct rows *rows,
			  size_t portion, size_t *count)
{
	const float *row;

	for (*count = 0; *count < portion; ++*count) {
		if (rows_next(rows, &row, &search->cli->fault))
			return search->cli->fault.code;
		if (!row)
			break;
		memcpy(search->vectors + *count * search->dim, row,
		       search->dim * sizeof *row);
	}
	return 0;
}

static int search_portions(struct search *search, struct rows *rows)
{
	size_t portion = search_portion(search), k = search->search.k, count;
	int64_t query = 0;
	cop_err err;

	search->hits = calloc(portion * k, sizeof *search->hits);
	search->counts = calloc(portion, sizeof *search->counts);
	search->vectors = calloc(portion * search->dim, sizeof(float));
	if (!search->hits || !search->counts || !search->vectors)
		return fault_set(&search->cli->fault, EXIT_NO_SPACE,
				 "out of memory");
	do {
		if (search_collect(search, rows, portion, &count))
			return search->cli->fault.code;
		if (!count)
			break;
		err = cop_search_many(search->cli->read, &search->search,
				      search->vectors, count, search->threads,
				      search->hits, search->counts);
		for (size_t i = 0; !err && i < count; i++)
			err =
			    search_print(search, query++, search->hits + i * k,
					 search->counts[i]);
		if (err)
			return cli_cop(search->cli, err);
	} while (count == portion && !out_failed());
	return 0;
}

static int search_many(struct search *search)
{
	struct fault *fault = &search->cli->fault;
	enum format format = FORMAT_UNKNOWN;
	struct reader reader;
	struct rows rows;
	int code;

	memset(&rows, 0, sizeof rows);
	code = reader_open(&reader, search->queries, fault);
	if (!code)
		code = format_find(&reader, &format, fault);
	if (!code && !format_has_rows(format))
		code = fault_set(fault, EXIT_BAD_INPUT,
				 "%s: is %s, which has no rows of vectors. "
				 "Try: .npy or .fvecs",
				 reader.name, format_names[format]);
	if (!code)
		code =
		    rows_open(&rows, &reader, (int)format, search->dim, fault);
	if (!code)
		code = search_portions(search, &rows);
	rows_close(&rows);
	reader_close(&reader);
	return code;
}

/* ---- the verb ----------------------------------------------------------- */

static int search_strategy(struct search *search)
{
	int chosen = args_word(search->cli, strategies);

	if (chosen < 0)
		return search->cli->fault.code;
	search->search.strategy = chosen;
	return 0;
}

static int search_tag(struct search *search)
{
	struct cop_search *wanted = &search->search;

	if (wanted->tag_count == COP_FILTER_TAGS)
		return args_fault(search->cli, "more than %d tags",
				  COP_FILTER_TAGS);
	search->tags[wanted->tag_count++] = search->cli->value;
	wanted->tags = search->tags;
	return 0;
}

static int search_filter(struct search *search, int id)
{
	struct cli *cli = search->cli;
	struct cop_search *wanted = &search->search;
	uint64_t number;

	switch (id) {
	case SEARCH_TYPE: wanted->type = cli->value; break;
	case SEARCH_TAG: return search_tag(search);
	case SEARCH_ANY: wanted->tag_mode = COP_TAGS_ANY; break;
	case SEARCH_NEAR: search->near = cli->value; break;
	case SEARCH_HOPS:
		if (!args_u64(cli, 1, COP_HOPS_MAX, &number))
			wanted->hops = (uint32_t)number;
		break;
	case SEARCH_PREFIX:
		wanted->prefix = cli->value;
		wanted->prefix_size = (uint32_t)strlen(cli->value);
		break;
	case SEARCH_THRESHOLD:
		wanted->has_threshold = 1;
		return args_double(cli, &wanted->threshold);
	default: break;
	}
	return cli->fault.code;
}

static int search_option(struct search *search, int id)
{
	struct cli *cli = search->cli;
	struct cop_search *wanted = &search->search;
	uint64_t number;

	switch (id) {
	case SEARCH_LIKE: search->like = cli->value; break;
	case SEARCH_VECTOR: search->vector = cli->value; break;
	case SEARCH_QUERIES: search->queries = cli->value; break;
	case SEARCH_EXACT: wanted->exact = 1; break;
	case SEARCH_CONTEXT:
		if (!args_u64(cli, 1, COP_HOPS_MAX, &number))
			search->context = (uint32_t)number;
		break;
	case SEARCH_STRATEGY: return search_strategy(search);
	case SEARCH_EXPLAIN: wanted->report = &search->report; break;
	case SEARCH_EF:
		if (!args_u64(cli, 1, COP_EF_MAX, &number))
			wanted->ef = (uint32_t)number;
		break;
	case 'k':
		if (!args_u64(cli, 1, COP_K_MAX, &number))
			wanted->k = (uint32_t)number;
		break;
	case SEARCH_THREADS:
		if (!args_u64(cli, 1, COP_THREAD_MAX, &number))
			search->threads = (uint32_t)number;
		break;
	case ARG_JSON: search->json = 1; break;
	default: return search_filter(search, id);
	}
	return cli->fault.code;
}

static int search_options(struct search *search)
{
	struct cli *cli = search->cli;
	int id;

	while ((id = args_next(cli)) > 0)
		if (search_option(search, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (!search->like + !search->vector + !search->queries != 2)
		return args_fault(cli, "one of --like, --vector and --queries "
				       "is needed, and no more than one");
	if (args_given(cli, SEARCH_QUERIES) && args_given(cli, SEARCH_EXPLAIN))
		return args_fault(cli, "--explain tells of one search, not of "
				       "--queries");
	if (args_given(cli, SEARCH_QUERIES) && args_given(cli, SEARCH_CONTEXT))
		return args_fault(cli, "--context is for one search, not for "
				       "--queries");
	if (args_given(cli, SEARCH_EF) &&
	    (search->search.strategy == COP_SCAN ||
	     search->search.strategy == COP_KDTREE))
		return args_fault(cli,
				  "--ef is the width of a walk, which a "
				  "%s is not",
				  strategies[search->search.strategy]);
	if (args_needs(cli, SEARCH_HOPS, SEARCH_NEAR) ||
	    args_needs(cli, SEARCH_ANY, SEARCH_TAG))
		return cli->fault.code;
	return args_needs(cli, SEARCH_THREADS, SEARCH_QUERIES);
}

static int search_go(struct search *search)
{
	struct cli *cli = search->cli;
	int code = cli_open_read(cli);

	if (code)
		return code;
	search->dim = cop_dim(cli->store);
	if (!search->dim)
		return fault_set(&cli->fault, EXIT_NO_RESULT,
				 "%s: this store has no vectors; they need "
				 "--dim when it is made",
				 cli->path);
	code = search_around(search);
	if (!code)
		code =
		    search->queries ? search_many(search) : search_one(search);
	if (!code && !search->found && !out_failed())
		code = search_warn(search);
	return code;
}

static int search_run(struct cli *cli)
{
	struct search search;
	int code;

	memset(&search, 0, sizeof search);
	search.cli = cli;
	search.search.size = sizeof search.search;
	search.search.k = 10;
	search.report.size = sizeof search.report;
	search.threads = 1;
	code = search_options(&search);
	if (!code && !cli->helped)
		code = search_go(&search);
	free(search.vectors);
	free(search.hits);
	free(search.counts);
	free(search.steps);
	free(search.starts);
	return code;
}

const struct verb verb_search = {
    .name = "search",
    .operands = "",
    .summary = "print the nearest entities to a vector",
    .rows = search_rows,
    .notes = search_notes,
    .run = search_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches, walks, paths and edges of a snapshot.
 *
 * Answers come as columns, which take a third of the time that objects do: an
 * array of keys, and an array with as many numbers to each, a Float64Array if
 * they are not few.  A relation is the index of its name in a third array,
 * whose first is null.
 */
#include "binding.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- columns ------------------------------------------------------------ */

/* Names that came already; those beyond are there twice, which does no harm. */
enum { NAMES_KNOWN = 64 };

struct names {
	napi_value array;
	uint32_t count;
	uint32_t known[NAMES_KNOWN];
};

static int names_make(napi_env env, struct names *names)
{
	napi_value null;

	names->count = 1;
	names->known[0] = 0;
	return js_failed(env, napi_create_array(env, &names->array)) ||
	       js_failed(env, napi_get_null(env, &null)) ||
	       js_item_set(env, names->array, 0, null);
}

/* The index of a name's number; -1 with an exception. */
static int name_index(napi_env env, cop_read *read, struct names *names,
		      uint32_t name, double *out)
{
	uint32_t known =
	    names->count < NAMES_KNOWN ? names->count : NAMES_KNOWN;

	for (uint32_t i = 0; i < known; i++) {
		if (names->known[i] == name) {
			*out = i;
			return 0;
		}
	}
	if (js_item_set(env, names->array, names->count,
			js_name_to(env, read, name)))
		return -1;
	if (names->count < NAMES_KNOWN)
		names->known[names->count] = name;
	*out = names->count++;
	return 0;
}

/* An array of so many numbers is sooner made than a Float64Array. */
enum { NUMBERS_FEW = 32 };

/* An answer of so many, with so many numbers to each. */
struct columns {
	napi_value parts[4]; /* keys, numbers, names, and what is with them */
	struct names names;
	double few[NUMBERS_FEW];
	double *numbers;
	size_t count; /* of numbers */
	cop_read *read;
	size_t width;
};

static int columns_make(napi_env env, cop_read *read, size_t count,
			size_t width, struct columns *out)
{
	out->read = read;
	out->width = width;
	out->count = count * width;
	out->numbers = out->few;
	if (out->count > NUMBERS_FEW) {
		out->parts[1] = js_numbers_make(env, out->count, &out->numbers);
		if (!out->parts[1])
			return -1;
	}
	if (js_failed(env, napi_create_array_with_length(env, count,
							 &out->parts[0])) ||
	    names_make(env, &out->names))
		return -1;
	out->parts[2] = out->names.array;
	return 0;
}

/* A row's key, its id as the first number, a relation, if any, as the second.
 */
static int columns_set(napi_env env, struct columns *columns, size_t index,
		       uint64_t id, const uint32_t *relation)
{
	double *numbers = columns->numbers + index * columns->width;
	napi_handle_scope scope;
	int err;

	if (js_failed(env, napi_open_handle_scope(env, &scope)))
		return -1;
	err = js_item_set(env, columns->parts[0], index,
			  js_key_to(env, columns->read, id));
	numbers[0] = (double)id;
	if (!err && relation)
		err = name_index(env, columns->read, &columns->names, *relation,
				 &numbers[1]);
	napi_close_handle_scope(env, scope);
	return err;
}

static int few_to(napi_env env, struct columns *columns)
{
	if (js_failed(env, napi_create_array_with_length(env, columns->count,
							 &columns->parts[1])))
		return -1;
	for (size_t i = 0; i < columns->count; i++) {
		napi_value number;

		if (js_failed(env, napi_create_double(env, columns->few[i],
						      &number)) ||
		    js_item_set(env, columns->parts[1], i, number))
			return -1;
	}
	return 0;
}

static napi_value columns_to(napi_env env, struct columns *columns,
			     uint32_t parts)
{
	napi_value array;

	if (columns->numbers == columns->few && few_to(env, columns))
		return NULL;
	if (js_failed(env, napi_create_array_with_length(env, parts, &array)))
		return NULL;
	for (uint32_t i = 0; i < parts; i++)
		if (js_item_set(env, array, i, columns->parts[i]))
			return NULL;
	return array;
}

/* ---- what is searched for ----------------------------------------------- */

struct query {
	struct cop_search search;
	struct cop_search_report report;
	struct js_scratch scratch;
	struct js_floats vectors;
	struct js_text within;
	struct js_text exclude;
	/* the caller's test, if there is one */
	napi_env env;
	napi_value accept;
	int has_thrown;
};

enum { QUERY_ARGUMENTS = 15 };

/*
 * (source, vectors, k, type, tags, tag mode, prefix, within, hops, direction,
 * exact, threshold, exclude, strategy, ef); the vectors come last of all.
 */
static int query_from(napi_env env, const napi_value *given, struct query *out)
{
	struct cop_search *search = &out->search;
	struct js_scratch *scratch = &out->scratch;
	struct js_text prefix;
	uint32_t exact;

	if (js_u32_from(env, given[2], "k", &search->k) ||
	    js_name_or_none_from(env, given[3], "type", scratch,
				 &search->type) ||
	    js_names_from(env, given[4], "tag", scratch, &search->tags,
			  &search->tag_count) ||
	    js_i32_from(env, given[5], "tag mode", &search->tag_mode) ||
	    js_text_or_none_from(env, given[6], "prefix", scratch, &prefix) ||
	    js_text_or_none_from(env, given[7], "within", scratch,
				 &out->within) ||
	    js_u32_from(env, given[8], "hops", &search->hops) ||
	    js_i32_from(env, given[9], "direction", &search->direction) ||
	    js_u32_from(env, given[10], "exact", &exact) ||
	    js_text_or_none_from(env, given[12], "exclude", scratch,
				 &out->exclude) ||
	    js_i32_from(env, given[13], "strategy", &search->strategy) ||
	    js_u32_from(env, given[14], "ef", &search->ef))
		return -1;
	search->exact = exact != 0;
	search->prefix = prefix.data;
	search->prefix_size = (uint32_t)prefix.size;
	search->has_threshold = !js_is_none(env, given[11]);
	if (search->has_threshold &&
	    js_double_from(env, given[11], "threshold", &search->threshold))
		return -1;
	return js_floats_from(env, given[1], "a vector", scratch,
			      &out->vectors);
}

static void query_init(struct query *query)
{
	js_scratch_init(&query->scratch);
	query->search = (struct cop_search){.size = sizeof query->search};
	query->report =
	    (struct cop_search_report){.size = sizeof query->report};
	query->accept = NULL;
	query->has_thrown = 0;
}

/* Finds what keys stand for; *none is 1 if so nothing can be found. */
static cop_err query_resolve(struct query *query, cop_read *read, int *none)
{
	cop_err err = 0;

	*none = 0;
	if (query->within.data) {
		err = cop_lookup(read, query->within.data, query->within.size,
				 &query->search.near);
		*none = !err && !query->search.near;
	}
	if (!err && query->exclude.data)
		err = cop_lookup(read, query->exclude.data, query->exclude.size,
				 &query->search.exclude);
	return err;
}

/* The library cannot see how long a vector is. */
static int dim_holds(napi_env env, uint32_t dim, size_t count)
{
	char text[160];

	if (dim && count == dim)
		return 1;
	snprintf(text, sizeof text,
		 dim ? "a vector has %zu numbers, those of the store have %u: "
		       "make it with the model that theirs are of"
		     : "a vector has %zu numbers, the store has no vectors: "
		       "make one with dim",
		 count, (unsigned int)dim);
	js_throw_own(env, COP_BAD_VECTOR, text);
	return 0;
}

/* Room for k hits; for a k that is refused anyway none. */
static size_t hits_of(const struct query *query)
{
	return query->search.k <= COP_K_MAX ? query->search.k : 0;
}

/* ---- a search ----------------------------------------------------------- */

/* Once it has thrown it is not asked again. */
static int32_t accept_call(void *user, cop_read *read, uint64_t id)
{
	struct query *query = user;
	napi_env env = query->env;
	struct cop_entity entity;
	napi_handle_scope scope;
	napi_value self, fields, answer;
	bool passes = false;

	if (query->has_thrown || cop_get_id(read, id, &entity) || !entity.id)
		return 0;
	if (js_failed(env, napi_open_handle_scope(env, &scope))) {
		query->has_thrown = 1;
		return 0;
	}
	fields = js_entity_to(env, read, &entity);
	query->has_thrown =
	    !fields || js_failed(env, napi_get_undefined(env, &self)) ||
	    js_failed(env, napi_call_function(env, self, query->accept, 1,
					      &fields, &answer)) ||
	    js_failed(env, napi_coerce_to_bool(env, answer, &answer)) ||
	    js_failed(env, napi_get_value_bool(env, answer, &passes));
	napi_close_handle_scope(env, scope);
	return passes && !query->has_thrown;
}

/* A test of the caller's may do anything to the vector meanwhile. */
static int accept_from(napi_env env, napi_value value, struct query *query)
{
	napi_valuetype type = napi_undefined;

	if (js_is_none(env, value))
		return 0;
	if (js_failed(env, napi_typeof(env, value, &type)))
		return -1;
	if (type != napi_function) {
		js_throw_type(env, "accept", "a function");
		return -1;
	}
	query->env = env;
	query->accept = value;
	query->search.accept = accept_call;
	query->search.user = query;
	return js_floats_copy(env, &query->scratch, &query->vectors);
}

static napi_value report_to(napi_env env,
			    const struct cop_search_report *report)
{
	const struct {
		const char *name;
		double number;
	} figures[] = {
	    {"strategy", report->strategy},
	    {"ef", report->ef},
	    {"evaluated", report->evaluated},
	    {"expanded", report->expanded},
	    {"rows", (double)report->rows},
	    {"waiting", (double)report->waiting},
	    {"share", report->share},
	    {"listed", (double)report->listed},
	};
	napi_value object, flag, number;

	if (js_failed(env, napi_create_object(env, &object)) ||
	    js_member_set(
		env, object, "reason",
		js_text_to(env, report->reason, strlen(report->reason))) ||
	    js_failed(env, napi_get_boolean(env, report->is_complete, &flag)) ||
	    js_member_set(env, object, "isComplete", flag))
		return NULL;
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
		if (js_failed(env, napi_create_double(env, figures[i].number,
						      &number)) ||
		    js_member_set(env, object, figures[i].name, number))
			return NULL;
	return object;
}

static napi_value hits_to(napi_env env, cop_read *read,
			  const struct query *query, const struct cop_hit *hits,
			  uint32_t count)
{
	struct columns columns;

	if (columns_make(env, read, count, 2, &columns))
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		if (columns_set(env, &columns, i, hits[i].id, NULL))
			return NULL;
		columns.numbers[2 * i + 1] = hits[i].distance;
	}
	if (!query->search.report)
		return columns_to(env, &columns, 2);
	columns.parts[3] = report_to(env, &query->report);
	return columns.parts[3] ? columns_to(env, &columns, 4) : NULL;
}

static napi_value search_run(napi_env env, const struct js_source *source,
			     struct query *query)
{
	size_t room = hits_of(query);
	struct cop_hit *hits =
	    js_scratch_get(env, &query->scratch, room * sizeof *hits);
	uint32_t count = 0;
	int none = 0;
	cop_err err;

	if (!hits || !dim_holds(env, cop_dim(source->store->handle),
				query->vectors.count))
		return NULL;
	query->search.vector = query->vectors.data;
	err = query_resolve(query, source->read, &none);
	if (!err && !none)
		err = cop_search(source->read, &query->search, hits, &count);
	if (err)
		return js_throw(env, err);
	return query->has_thrown
		   ? NULL
		   : hits_to(env, source->read, query, hits, count);
}

/* (those of query_from, with report, accept): columns of id and distance */
napi_value js_search(napi_env env, napi_callback_info info)
{
	napi_value given[QUERY_ARGUMENTS + 2];
	napi_value result = NULL;
	struct js_source source;
	struct query query;
	uint32_t with_report;

	query_init(&query);
	if (!js_arguments(env, info, QUERY_ARGUMENTS + 2, given) &&
	    !js_u32_from(env, given[QUERY_ARGUMENTS], "report", &with_report) &&
	    !query_from(env, given, &query) &&
	    !accept_from(env, given[QUERY_ARGUMENTS + 1], &query) &&
	    !js_source_enter(env, given[0], &source)) {
		if (with_report)
			query.search.report = &query.report;
		result = search_run(env, &source, &query);
		js_source_leave(&source);
	}
	js_scratch_release(&query.scratch);
	return result;
}

/* ---- many searches ------------------------------------------------------ */

struct many {
	struct js_job job;
	struct query query;
	cop_store *store;
	cop_read *read; /* NULL: one for this job */
	uint32_t threads;
	size_t rows;
	struct cop_hit *hits;
	uint32_t *counts;
	/* keys of the hits of all rows, one behind the other */
	char *keys;
	size_t keys_size;
	size_t keys_room;
	uint32_t *key_sizes;
};

static void many_release(struct js_job *job)
{
	struct many *many = (struct many *)job;

	js_scratch_release(&many->query.scratch);
	free(many->hits);
	free(many->counts);
	free(many->keys);
	free(many->key_sizes);
}

static cop_err many_add_key(struct many *many, cop_read *read, uint64_t id,
			    uint32_t *key_size)
{
	const void *key = NULL;
	size_t size = 0;
	cop_err err = cop_key(read, id, &key, &size);

	if (err)
		return err;
	if (many->keys_room - many->keys_size < size) {
		size_t room = 2 * many->keys_room + 4096;
		char *more = realloc(many->keys, room);

		if (!more)
			return ENOMEM;
		many->keys = more;
		many->keys_room = room;
	}
	if (size)
		memcpy(many->keys + many->keys_size, key, size);
	many->keys_size += size;
	*key_size = (uint32_t)size;
	return 0;
}

static cop_err many_add_keys(struct many *many, cop_read *read)
{
	size_t k = hits_of(&many->query);
	size_t total = 0;
	size_t at = 0;
	cop_err err = 0;

	for (size_t row = 0; row < many->rows; row++)
		total += many->counts[row];
	many->key_sizes = malloc((total + 1) * sizeof *many->key_sizes);
	if (!many->key_sizes)
		return ENOMEM;
	for (size_t row = 0; row < many->rows; row++)
		for (size_t i = 0; !err && i < many->counts[row]; i++)
			err =
			    many_add_key(many, read, many->hits[row * k + i].id,
					 &many->key_sizes[at++]);
	return err;
}

static cop_err many_search(struct many *many, cop_read *read)
{
	size_t k = hits_of(&many->query);
	int none = 0;
	cop_err err = query_resolve(&many->query, read, &none);

	many->hits = malloc((many->rows * k + 1) * sizeof *many->hits);
	many->counts = calloc(many->rows + 1, sizeof *many->counts);
	if (!many->hits || !many->counts)
		return ENOMEM;
	if (!err && !none)
		err = cop_search_many(read, &many->query.search,
				      many->query.vectors.data, many->rows,
				      many->threads, many->hits, many->counts);
	return err ? err : many_add_keys(many, read);
}

static cop_err many_run(struct js_job *job)
{
	struct many *many = (struct many *)job;
	cop_read *read = many->read;
	cop_err err = read ? 0 : cop_read_begin(many->store, &read);

	if (err)
		return err;
	err = many_search(many, read);
	if (err)
		js_job_note(job, err);
	if (!many->read)
		cop_read_end(read);
	return err;
}

/* [keys, numbers, counts of the rows' hits] */
static napi_value many_result(napi_env env, struct js_job *job)
{
	struct many *many = (struct many *)job;
	size_t k = hits_of(&many->query);
	struct columns columns;
	double *counts;
	const char *key = many->keys;
	size_t total = 0;
	size_t at = 0;

	columns.parts[2] = js_numbers_make(env, many->rows, &counts);
	if (!columns.parts[2])
		return NULL;
	for (size_t row = 0; row < many->rows; row++)
		total += many->counts[row];
	columns.parts[1] = js_numbers_make(env, 2 * total, &columns.numbers);
	if (!columns.parts[1] ||
	    js_failed(env, napi_create_array_with_length(env, total,
							 &columns.parts[0])))
		return NULL;
	for (size_t row = 0; row < many->rows; row++) {
		const struct cop_hit *hits = many->hits + row * k;

		counts[row] = many->counts[row];
		for (size_t i = 0; i < many->counts[row]; i++, at++) {
			napi_handle_scope scope;
			int err;

			if (js_failed(env, napi_open_handle_scope(env, &scope)))
				return NULL;
			err = js_item_set(
			    env, columns.parts[0], at,
			    js_text_to(env, key, many->key_sizes[at]));
			napi_close_handle_scope(env, scope);
			if (err)
				return NULL;
			key += many->key_sizes[at];
			columns.numbers[2 * at] = (double)hits[i].id;
			columns.numbers[2 * at + 1] = hits[i].distance;
		}
	}
	return columns_to(env, &columns, 3);
}

/* Enters the source for the job, without a read of a store's. */
static int many_enter(napi_env env, napi_value value, struct many *many)
{
	struct js_object *object =
	    js_object_enter(env, value, JS_STORE | JS_READ);
	uint32_t dim;

	if (!object)
		return -1;
	many->job.object = object;
	if (object->kind == JS_READ)
		many->read = ((struct js_read *)object)->handle;
	many->store = js_store_of(object)->handle;
	dim = cop_dim(many->store);
	if (!dim || many->query.vectors.count % dim) {
		dim_holds(env, dim, many->query.vectors.count);
		return -1;
	}
	many->rows = many->query.vectors.count / dim;
	return 0;
}

/* (those of query_from, threads): a promise of columns, rows together */
napi_value js_search_many(napi_env env, napi_callback_info info)
{
	struct many *many = calloc(1, sizeof *many);
	napi_value given[QUERY_ARGUMENTS + 1];

	if (!many)
		return js_throw_own(env, ENOMEM, "no memory for a job");
	query_init(&many->query);
	many->job.run = many_run;
	many->job.result = many_result;
	many->job.release = many_release;
	many->job.operation = JS_NO_OPERATION;
	if (!js_arguments(env, info, QUERY_ARGUMENTS + 1, given) &&
	    !js_u32_from(env, given[QUERY_ARGUMENTS], "threads",
			 &many->threads) &&
	    !query_from(env, given, &many->query) &&
	    !js_floats_copy(env, &many->query.scratch, &many->query.vectors) &&
	    !many_enter(env, given[0], many))
		return js_job_start(env, &many->job, "coppice.searchMany");
	if (many->job.object)
		js_object_leave(many->job.object);
	many_release(&many->job);
	free(many);
	return NULL;
}

/* ---- walks -------------------------------------------------------------- */

/* Columns of id, relation, hops, direction and origin. */
static napi_value steps_to(napi_env env, cop_read *read,
			   const struct cop_step *steps, size_t count)
{
	struct columns columns;

	if (columns_make(env, read, count, 5, &columns))
		return NULL;
	for (size_t i = 0; i < count; i++) {
		double *numbers = columns.numbers + 5 * i;

		if (columns_set(env, &columns, i, steps[i].id,
				&steps[i].relation))
			return NULL;
		numbers[2] = steps[i].hops;
		numbers[3] = steps[i].direction;
		numbers[4] = steps[i].from;
	}
	return columns_to(env, &columns, 3);
}

static napi_value walk_run(napi_env env, cop_read *read, struct cop_walk *walk,
			   const struct js_text *start, uint32_t limit)
{
	struct cop_step *steps = malloc((limit + (size_t)1) * sizeof *steps);
	napi_value result = NULL;
	size_t count = 0;
	cop_err err;

	if (!steps)
		return js_throw_own(env, ENOMEM, "no memory for the steps");
	err = cop_lookup(read, start->data, start->size, &walk->start);
	if (!err && walk->start)
		err = cop_walk(read, walk, steps, limit, &count, NULL);
	if (err)
		js_throw(env, err);
	else
		result = steps_to(env, read, steps, count);
	free(steps);
	return result;
}

/* (source, start, hops, relation, direction, type, tag, limit, threads) */
napi_value js_walk(napi_env env, napi_callback_info info)
{
	struct cop_walk walk = {.size = sizeof walk};
	struct js_source source;
	struct js_scratch scratch;
	struct js_text start;
	napi_value result = NULL;
	napi_value given[9];
	uint32_t limit;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 9, given) &&
	    !js_text_from(env, given[1], "start", &scratch, &start) &&
	    !js_u32_from(env, given[2], "hops", &walk.hops) &&
	    !js_name_or_none_from(env, given[3], "relation", &scratch,
				  &walk.relation) &&
	    !js_i32_from(env, given[4], "direction", &walk.direction) &&
	    !js_name_or_none_from(env, given[5], "type", &scratch,
				  &walk.type) &&
	    !js_name_or_none_from(env, given[6], "tag", &scratch, &walk.tag) &&
	    !js_u32_from(env, given[7], "limit", &limit) &&
	    !js_u32_from(env, given[8], "threads", &walk.threads) &&
	    !js_source_enter(env, given[0], &source)) {
		result = walk_run(env, source.read, &walk, &start, limit);
		js_source_leave(&source);
	}
	js_scratch_release(&scratch);
	return result;
}

enum { PATH_STEPS = 64 };

static napi_value path_run(napi_env env, cop_read *read, struct cop_path *path,
			   struct js_scratch *scratch)
{
	struct cop_step few[PATH_STEPS];
	struct cop_step *steps = few;
	size_t room = PATH_STEPS;
	size_t count = 0;
	cop_err err;

	for (;;) {
		err = cop_path(read, path, steps, room, &count);
		if (err || count <= room)
			break;
		room = count;
		steps = js_scratch_get(env, scratch, room * sizeof *steps);
		if (!steps)
			return NULL;
	}
	if (err)
		return js_throw(env, err);
	return steps_to(env, read, steps, count);
}

/* (source, from, to, hops, relation, direction, weight) */
napi_value js_path(napi_env env, napi_callback_info info)
{
	struct cop_path path = {.size = sizeof path};
	struct js_source source;
	struct js_scratch scratch;
	struct js_text from, to;
	napi_value result = NULL;
	napi_value given[7];
	cop_err err;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 7, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &from) &&
	    !js_text_from(env, given[2], "a key", &scratch, &to) &&
	    !js_u32_from(env, given[3], "hops", &path.hops) &&
	    !js_name_or_none_from(env, given[4], "relation", &scratch,
				  &path.relation) &&
	    !js_i32_from(env, given[5], "direction", &path.direction) &&
	    !js_name_or_none_from(env, given[6], "weight", &scratch,
				  &path.weight) &&
	    !js_source_enter(env, given[0], &source)) {
		err =
		    cop_lookup(source.read, from.data, from.size, &path.source);
		if (!err)
			err = cop_lookup(source.read, to.data, to.size,
					 &path.target);
		if (err)
			js_throw(env, err);
		else if (path.source && path.target)
			result = path_run(env, source.read, &path, &scratch);
		else
			result = steps_to(env, source.read, NULL, 0);
		js_source_leave(&source);
	}
	js_scratch_release(&scratch);
	return result;
}

/* ---- edges -------------------------------------------------------------- */

/* Columns of id, relation and direction. */
static napi_value neighbors_to(napi_env env, cop_read *read,
			       const struct cop_neighbor *neighbors,
			       size_t count)
{
	struct columns columns;

	if (columns_make(env, read, count, 3, &columns))
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (columns_set(env, &columns, i, neighbors[i].id,
				&neighbors[i].relation))
			return NULL;
		columns.numbers[3 * i + 2] = neighbors[i].direction;
	}
	return columns_to(env, &columns, 3);
}

enum { NEIGHBORS_FEW = 64 };

static napi_value neighbors_run(napi_env env, cop_read *read, uint64_t id,
				const char *relation, int32_t direction,
				size_t limit, struct js_scratch *scratch)
{
	struct cop_neighbor few[NEIGHBORS_FEW];
	struct cop_neighbor *neighbors = few;
	size_t room = NEIGHBORS_FEW;
	size_t count = 0;

	for (;;) {
		cop_err err = cop_neighbors(read, id, relation, direction,
					    neighbors, room, &count);

		if (err)
			return js_throw(env, err);
		if (limit && count > limit)
			count = limit;
		if (count <= room)
			return neighbors_to(env, read, neighbors, count);
		room = count;
		neighbors =
		    js_scratch_get(env, scratch, room * sizeof *neighbors);
		if (!neighbors)
			return NULL;
	}
}

/* (source, key, relation, direction, limit) */
napi_value js_neighbors(napi_env env, napi_callback_info info)
{
	struct js_source source;
	struct js_scratch scratch;
	struct js_text key;
	const char *relation;
	napi_value result = NULL;
	napi_value given[5];
	int32_t direction;
	uint32_t limit;
	uint64_t id = 0;
	cop_err err;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 5, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    !js_name_or_none_from(env, given[2], "relation", &scratch,
				  &relation) &&
	    !js_i32_from(env, given[3], "direction", &direction) &&
	    !js_u32_from(env, given[4], "limit", &limit) &&
	    !js_source_enter(env, given[0], &source)) {
		err = cop_lookup(source.read, key.data, key.size, &id);
		if (err)
			js_throw(env, err);
		else if (id)
			result = neighbors_run(env, source.read, id, relation,
					       direction, limit, &scratch);
		else
			result = neighbors_to(env, source.read, NULL, 0);
		js_source_leave(&source);
	}
	js_scratch_release(&scratch);
	return result;
}

struct edges {
	napi_env env;
	napi_value array;
	uint32_t count;
	uint32_t limit; /* 0: none */
	int has_thrown;
};

static cop_err edge_property(cop_read *read, const void *of, uint32_t index,
			     const char **name, size_t *name_size,
			     struct cop_value *out)
{
	return cop_edge_property_at(read, of, index, name, name_size, out);
}

/* Milliseconds since 1970, an infinity for ever. */
static napi_value instant_to(napi_env env, const struct cop_instant *at)
{
	double ms = (double)at->seconds * 1000 + at->nanos / 1000000;
	napi_value value = NULL;

	if (at->seconds == INT64_MIN || at->seconds == INT64_MAX)
		ms = at->seconds < 0 ? -INFINITY : INFINITY;
	js_failed(env, napi_create_double(env, ms, &value));
	return value;
}

/*
 * [source, relation, target, properties, discriminator, from, to, version]
 */
static napi_value edge_to(napi_env env, cop_read *read,
			  const struct cop_edge *edge)
{
	napi_value fields;

	if (js_failed(env, napi_create_array_with_length(env, 8, &fields)) ||
	    js_item_set(env, fields, 0, js_key_to(env, read, edge->source)) ||
	    js_item_set(env, fields, 1,
			js_name_to(env, read, edge->relation)) ||
	    js_item_set(env, fields, 2, js_key_to(env, read, edge->target)) ||
	    js_item_set(env, fields, 3,
			js_properties_to(env, read, edge, edge->property_count,
					 edge_property)) ||
	    js_item_set(env, fields, 4, js_u64_to(env, edge->discriminator)) ||
	    js_item_set(env, fields, 5, instant_to(env, &edge->valid.from)) ||
	    js_item_set(env, fields, 6, instant_to(env, &edge->valid.to)) ||
	    js_item_set(env, fields, 7, js_u64_to(env, edge->version)))
		return NULL;
	return fields;
}

static int32_t edges_add(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	struct edges *edges = user;
	napi_handle_scope scope;

	if (js_failed(edges->env, napi_open_handle_scope(edges->env, &scope))) {
		edges->has_thrown = 1;
		return 1;
	}
	edges->has_thrown =
	    js_item_set(edges->env, edges->array, edges->count++,
			edge_to(edges->env, read, edge)) != 0;
	napi_close_handle_scope(edges->env, scope);
	return edges->has_thrown || edges->count == edges->limit;
}

static napi_value edges_run(napi_env env, cop_read *read,
			    const struct js_text *key, int32_t direction,
			    uint32_t limit)
{
	struct edges edges = {.env = env, .limit = limit};
	uint64_t id = 0;
	cop_err err = cop_lookup(read, key->data, key->size, &id);

	if (err)
		return js_throw(env, err);
	if (js_failed(env, napi_create_array(env, &edges.array)))
		return NULL;
	if (id)
		err = cop_edges(read, id, direction, edges_add, &edges);
	if (edges.has_thrown)
		return NULL;
	return err && err != COP_STOPPED ? js_throw(env, err) : edges.array;
}

/* (source, key, direction, limit): edges, each an array */
napi_value js_edges(napi_env env, napi_callback_info info)
{
	struct js_source source;
	struct js_scratch scratch;
	struct js_text key;
	napi_value result = NULL;
	napi_value given[4];
	int32_t direction;
	uint32_t limit;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 4, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    !js_i32_from(env, given[2], "direction", &direction) &&
	    !js_u32_from(env, given[3], "limit", &limit) &&
	    !js_source_enter(env, given[0], &source)) {
		result = edges_run(env, source.read, &key, direction, limit);
		js_source_leave(&source);
	}
	js_scratch_release(&scratch);
	return result;
}

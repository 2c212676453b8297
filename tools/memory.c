/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: what assistants do with a store.
 *
 * idea
 *	An entity is something to be remembered; what is known of it are its
 *	observations, a list of texts among its properties.  Relations are
 *	edges.  `name`, `entityType`, `from`, `to` and `relationType` are taken
 *	for key, type, source, target and relation: others call them so.
 *
 * many at once
 *	Each operation reads one snapshot, or is one commit.  One that changes
 *	what is there (an observation more) reads, merges, and commits on the
 *	condition that nobody has changed it meanwhile, else begins anew: two
 *	assistants that remember things of the same entity lose neither.
 */
#include "memory.h"
#include "instant.h"
#include "json.h"
#include "match.h"
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { K = 10, K_MAX = 1000, NEAR = 100, NEAR_MAX = 10000, TRIES = 100 };

/* ---- arguments ---------------------------------------------------------- */

static int bad(struct memory *memory, const char *name, const char *what)
{
	return fault_set(&memory->fault, EXIT_BAD_INPUT, "\"%s\" %s", name,
			 what);
}

static int failed(struct memory *memory, cop_err err)
{
	if (err == ENOMEM)
		return fault_set(&memory->fault, EXIT_NO_SPACE,
				 "out of memory");
	return fault_input(&memory->fault, err);
}

/* A member under its name or the other one. */
static json_t *either(const json_t *object, const char *name, const char *other)
{
	json_t *value = json_object_get(object, name);

	return value ? value : json_object_get(object, other);
}

/* null is the same as absent. */
static int has(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return value && !json_is_null(value);
}

/* A text without NUL, or NULL if there is none. */
static int text_of(struct memory *memory, const json_t *object,
		   const char *name, const char **out)
{
	const json_t *value = json_object_get(object, name);

	*out = NULL;
	if (!value || json_is_null(value))
		return 0;
	*out = json_string_value(value);
	if (!*out || strlen(*out) != json_string_length(value))
		return bad(memory, name, "is no text");
	return 0;
}

static int number_of(struct memory *memory, const json_t *object,
		     const char *name, json_int_t min, json_int_t max,
		     json_int_t usual, json_int_t *out)
{
	const json_t *value = json_object_get(object, name);

	*out = usual;
	if (!value || json_is_null(value))
		return 0;
	*out = json_is_real(value) ? (json_int_t)json_real_value(value)
				   : json_integer_value(value);
	if (json_is_number(value) && json_number_value(value) == (double)*out &&
	    *out >= min && *out <= max)
		return 0;
	return fault_set(&memory->fault, EXIT_BAD_INPUT,
			 "\"%s\" is not a whole number of %lld to %lld", name,
			 (long long)min, (long long)max);
}

static int list_of(struct memory *memory, const json_t *object,
		   const char *name, const json_t **out)
{
	*out = json_object_get(object, name);
	if (!*out || json_is_null(*out))
		*out = NULL;
	else if (!json_is_array(*out))
		return bad(memory, name, "is not a list");
	return 0;
}

/* A list of texts, whose strings are borrowed; up to `room`. */
static int texts_of(struct memory *memory, const json_t *object,
		    const char *name, const char **texts, size_t room,
		    uint32_t *count)
{
	const json_t *list;

	*count = 0;
	if (list_of(memory, object, name, &list))
		return memory->fault.code;
	if (json_array_size(list) > room)
		return bad(memory, name, "has too many members");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		texts[i] = json_string_value(item);
		if (!texts[i] || strlen(texts[i]) != json_string_length(item))
			return bad(memory, name,
				   "has a member that is no text");
		++*count;
	}
	return 0;
}

static int direction_of(struct memory *memory, const json_t *object,
			int32_t usual, int32_t *out)
{
	const char *word;

	*out = usual;
	if (text_of(memory, object, "direction", &word))
		return memory->fault.code;
	if (!word)
		return 0;
	*out = !strcmp(word, "out")    ? COP_OUT
	       : !strcmp(word, "in")   ? COP_IN
	       : !strcmp(word, "both") ? COP_BOTH
				       : 0;
	return *out ? 0 : bad(memory, "direction", "is out, in or both");
}

/* ---- reads -------------------------------------------------------------- */

/* As "as_of" says: the number of a commit, or a time. */
static int read_begin(struct memory *memory, const json_t *arguments,
		      cop_read **out)
{
	const json_t *when = json_object_get(arguments, "as_of");
	const char *word = json_string_value(when);
	uint64_t commit = (uint64_t)json_integer_value(when);
	int64_t ns = 0;
	cop_read *read;
	cop_err err;

	if (when && !json_is_null(when) && !word &&
	    (!json_is_integer(when) || json_integer_value(when) < 0))
		return bad(memory, "as_of", "is no commit and no time");
	if (word && words_u64(word, 10, &commit) && instant_parse_ns(word, &ns))
		return bad(memory, "as_of",
			   "is neither the number of a commit nor a time, such "
			   "as 2026-11-27T10:00Z, or 2h for so long ago");
	err = cop_read_begin(memory->store, &read);
	if (!err && ns)
		err = cop_commit_at(read, ns, &commit);
	if (!err && when && !json_is_null(when))
		err = cop_read_as_of(read, commit);
	if (err) {
		failed(memory, err);
		cop_read_end(read);
		return memory->fault.code;
	}
	*out = read;
	return 0;
}

/* The id of a key that has to be there. */
static int id_of(struct memory *memory, cop_read *read, const char *key,
		 uint64_t *id)
{
	cop_err err = cop_lookup(read, key, strlen(key), id);

	if (err)
		return failed(memory, err);
	return *id ? 0
		   : fault_set(&memory->fault, EXIT_NO_RESULT,
			       "there is no entity '%s'", key);
}

/* ---- search ------------------------------------------------------------- */

/* An entity as a hit of a list, with how good it is. */
static cop_err hit_append(cop_read *read, uint64_t id, const char *measure,
			  double value, json_t *hits)
{
	struct cop_entity entity;
	json_t *hit = NULL;
	cop_err err = cop_get_id(read, id, &entity);

	if (!err && entity.id)
		err = json_entity(read, &entity, 0, &hit);
	if (err || !hit)
		return err;
	err = json_member(hit, measure, json_real(value));
	if (!err)
		return json_array_append_new(hits, hit) ? ENOMEM : 0;
	json_decref(hit);
	return err;
}

/* What a search takes beside what it is near to. */
struct filter {
	const char *tags[COP_FILTER_TAGS];
	uint32_t tag_count;
	const char *type;
	uint32_t k;
};

static int words_search(struct memory *memory, cop_read *read,
			const char *query, const struct filter *filter,
			json_t *hits)
{
	struct cop_select select = {.size = sizeof select,
				    .type = filter->type,
				    .all = filter->tags,
				    .all_count = filter->tag_count};
	struct match *matches = calloc(filter->k, sizeof *matches);
	size_t count = 0;
	cop_err err = matches ? match_find(read, query, strlen(query), &select,
					   matches, filter->k, &count)
			      : ENOMEM;

	for (size_t i = 0; i < count && !err; i++)
		err = hit_append(read, matches[i].id, "score", matches[i].score,
				 hits);
	free(matches);
	return err ? failed(memory, err) : 0;
}

static int vector_of(struct memory *memory, const json_t *list, float *out)
{
	if (json_array_size(list) != memory->dim)
		return fault_set(&memory->fault, EXIT_BAD_INPUT,
				 "\"vector\" has %zu numbers, the store's "
				 "have %u",
				 json_array_size(list), memory->dim);
	for (size_t i = 0; i < memory->dim; i++) {
		const json_t *item = json_array_get(list, i);

		if (!json_is_number(item))
			return bad(memory, "vector",
				   "has a member that is no number");
		out[i] = (float)json_number_value(item);
	}
	return 0;
}

static int vector_search(struct memory *memory, cop_read *read,
			 const json_t *arguments, struct cop_search *search,
			 json_t *hits)
{
	struct cop_hit *found = calloc(search->k, sizeof *found);
	uint32_t count = 0;
	json_int_t hops = 1;
	const char *near = NULL;
	int code = found ? 0 : failed(memory, ENOMEM);
	cop_err err = 0;

	if (!code)
		code = text_of(memory, arguments, "near", &near);
	if (!code)
		code = number_of(memory, arguments, "hops", 1, COP_HOPS_MAX, 1,
				 &hops);
	if (!code && near)
		code = id_of(memory, read, near, &search->near);
	if (!code) {
		search->hops = (uint32_t)hops;
		err = cop_search(read, search, found, &count);
	}
	for (uint32_t i = 0; i < count && !err; i++)
		err = hit_append(read, found[i].id, "distance",
				 found[i].distance, hits);
	free(found);
	return err ? failed(memory, err) : code;
}

/* Near an entity's vector, or one that is given. */
static int near_search(struct memory *memory, cop_read *read,
		       const json_t *arguments, const struct filter *filter,
		       json_t *hits)
{
	struct cop_search search = {.size = sizeof search,
				    .k = filter->k,
				    .type = filter->type,
				    .tags = filter->tags,
				    .tag_count = filter->tag_count};
	const json_t *given;
	const char *like;
	float *vector = NULL;
	cop_err err;
	int code = 0;

	if (!memory->dim)
		return fault_set(&memory->fault, EXIT_BAD_INPUT,
				 "this store has no vectors; search by "
				 "\"query\"");
	if (list_of(memory, arguments, "vector", &given) ||
	    text_of(memory, arguments, "like", &like))
		return memory->fault.code;
	if (like) {
		if (id_of(memory, read, like, &search.exclude))
			return memory->fault.code;
		err = cop_vector(read, search.exclude, &search.vector);
		if (err)
			return failed(memory, err);
		if (!search.vector)
			return bad(memory, "like", "has no vector");
	} else {
		vector = calloc(memory->dim, sizeof *vector);
		code = vector ? vector_of(memory, given, vector)
			      : failed(memory, ENOMEM);
		search.vector = vector;
	}
	if (!code)
		code = vector_search(memory, read, arguments, &search, hits);
	free(vector);
	return code;
}

int memory_search(struct memory *memory, const json_t *arguments,
		  json_t **result)
{
	struct filter filter = {0};
	const char *query;
	json_int_t k;
	json_t *hits;
	cop_read *read;
	int ways = has(arguments, "like") + has(arguments, "vector") +
		   has(arguments, "query");
	int code;

	if (ways != 1)
		return fault_set(&memory->fault, EXIT_BAD_INPUT,
				 "one of \"query\", \"like\" and \"vector\" "
				 "is needed");
	if (text_of(memory, arguments, "query", &query) ||
	    text_of(memory, arguments, "type", &filter.type) ||
	    texts_of(memory, arguments, "tags", filter.tags, COP_FILTER_TAGS,
		     &filter.tag_count) ||
	    number_of(memory, arguments, "k", 1, K_MAX, K, &k) ||
	    read_begin(memory, arguments, &read))
		return memory->fault.code;
	filter.k = (uint32_t)k;
	hits = json_array();
	if (query)
		code = words_search(memory, read, query, &filter, hits);
	else
		code = near_search(memory, read, arguments, &filter, hits);
	*result = json_pack("{so}", "hits", hits);
	cop_read_end(read);
	if (code)
		json_decref(*result);
	return code;
}

/* ---- recall ------------------------------------------------------------- */

struct edges {
	json_t *list;
	int32_t direction; /* of those that are taken now */
	int is_cut;	   /* there are more than NEAR_MAX */
	cop_err err;
};

static int32_t edge_take(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	struct edges *edges = user;
	json_t *json = NULL;

	if (edges->direction == COP_IN && edge->source == edge->target)
		return 0; /* it has been told */
	if (json_array_size(edges->list) >= NEAR_MAX)
		return edges->is_cut = 1;
	edges->err = json_edge(read, edge, &json);
	if (!edges->err && json_array_append_new(edges->list, json))
		edges->err = ENOMEM;
	return edges->err != 0;
}

static cop_err entity_recall(cop_read *read, const char *key, json_t *entities,
			     json_t *missing)
{
	struct cop_entity entity;
	struct edges edges = {.list = NULL};
	json_t *json = NULL;
	cop_err err = cop_get(read, key, strlen(key), &entity);

	if (err)
		return err;
	if (!entity.id)
		return json_array_append_new(missing, json_string(key)) ? ENOMEM
									: 0;
	err = json_entity(read, &entity, 0, &json);
	if (err)
		return err;
	if (json_array_append_new(entities, json))
		return ENOMEM;
	edges.list = json_array();
	err = json_member(json, "relations", edges.list);
	for (edges.direction = COP_OUT; !err && edges.direction <= COP_IN;
	     edges.direction++)
		err = cop_edges(read, entity.id, edges.direction, edge_take,
				&edges);
	if (err == COP_STOPPED)
		err = edges.err;
	if (!err && edges.is_cut)
		err = json_member(json, "more_relations", json_true());
	return err;
}

int memory_recall(struct memory *memory, const json_t *arguments,
		  json_t **result)
{
	const char *keys[K_MAX];
	uint32_t count = 0;
	cop_read *read;
	cop_err err = 0;
	json_t *entities, *missing;

	if (texts_of(memory, arguments, "keys", keys, K_MAX, &count) ||
	    read_begin(memory, arguments, &read))
		return memory->fault.code;
	entities = json_array();
	missing = json_array();
	for (uint32_t i = 0; i < count && !err; i++)
		err = entity_recall(read, keys[i], entities, missing);
	*result = json_pack("{soso}", "entities", entities, "missing", missing);
	cop_read_end(read);
	if (!err && !count)
		return json_decref(*result), bad(memory, "keys", "are missing");
	if (err) {
		json_decref(*result);
		return failed(memory, err);
	}
	return 0;
}

/* ---- neighbours --------------------------------------------------------- */

static cop_err step_json(cop_read *read, const struct cop_step *steps,
			 size_t index, json_t **out)
{
	const struct cop_step *step = &steps[index];
	json_t *json = json_object();
	struct cop_entity entity;
	json_t *part = NULL;
	cop_err err = json ? cop_get_id(read, step->id, &entity) : ENOMEM;

	if (!err)
		err = json_key(json, "key", read, step->id);
	if (!err)
		err = json_name(read, entity.type, &part);
	if (!err)
		err = json_member(json, "type", part);
	if (!err)
		err = json_member(json, "hops", json_integer(step->hops));
	if (!err)
		err = json_name(read, step->relation, &part);
	if (!err)
		err = json_member(json, "relation", part);
	if (!err)
		err = json_member(
		    json, "direction",
		    json_string(step->direction == COP_OUT ? "out" : "in"));
	if (!err)
		err = json_key(json, "from", read, steps[step->from].id);
	if (err)
		json_decref(json);
	else
		*out = json;
	return err;
}

static int walk_from(struct memory *memory, const json_t *arguments,
		     cop_read *read, struct cop_walk *walk)
{
	const char *key;
	json_int_t hops;

	*walk = (struct cop_walk){.size = sizeof *walk};
	if (text_of(memory, arguments, "key", &key) ||
	    text_of(memory, arguments, "relation", &walk->relation) ||
	    text_of(memory, arguments, "type", &walk->type) ||
	    number_of(memory, arguments, "hops", 1, COP_HOPS_MAX, 1, &hops) ||
	    direction_of(memory, arguments, COP_BOTH, &walk->direction))
		return memory->fault.code;
	if (!key)
		return bad(memory, "key", "is missing");
	walk->hops = (uint32_t)hops;
	return id_of(memory, read, key, &walk->start);
}

int memory_neighbors(struct memory *memory, const json_t *arguments,
		     json_t **result)
{
	struct cop_walk walk;
	struct cop_step *steps;
	json_int_t limit;
	int32_t more = 0;
	size_t count = 0;
	cop_read *read;
	cop_err err;
	json_t *list;

	if (number_of(memory, arguments, "limit", 1, NEAR_MAX, NEAR, &limit) ||
	    read_begin(memory, arguments, &read))
		return memory->fault.code;
	if (walk_from(memory, arguments, read, &walk)) {
		cop_read_end(read);
		return memory->fault.code;
	}
	steps = calloc((size_t)limit + 1, sizeof *steps);
	list = json_array();
	err = steps ? cop_walk(read, &walk, steps, (size_t)limit + 1, &count,
			       &more)
		    : ENOMEM;
	if (err == COP_NO_NAME) /* no such relation, so no such neighbours */
		err = 0;
	for (size_t i = 1; i < count && !err; i++) {
		json_t *json = NULL;

		err = step_json(read, steps, i, &json);
		if (!err && json_array_append_new(list, json))
			err = ENOMEM;
	}
	free(steps);
	*result = json_pack("{sosb}", "neighbors", list, "more", (int)more);
	cop_read_end(read);
	if (err) {
		json_decref(*result);
		return failed(memory, err);
	}
	return 0;
}

/* ---- changes ------------------------------------------------------------ */

/* Fills a write from what there is; called again after a conflict. */
typedef int fill_fn(struct memory *memory, cop_read *read, cop_write *write,
		    const json_t *arguments);

struct change {
	struct memory *memory;
	const json_t *arguments;
	fill_fn *fill;
	int code; /* what filling it came to */
};

static int32_t change_fill(void *user, cop_txn *txn)
{
	struct change *change = user;
	struct memory *memory = change->memory;
	cop_read *read;
	cop_err err = cop_read_begin(memory->store, &read);

	if (err)
		return err;
	change->code =
	    change->fill(memory, read, cop_txn_write(txn), change->arguments);
	cop_read_end(read);
	return change->code ? COP_STOPPED : 0;
}

static int change(struct memory *memory, const json_t *arguments, fill_fn *fill,
		  json_t **result)
{
	struct change change = {
	    .memory = memory, .arguments = arguments, .fill = fill};
	struct cop_result done = {.size = sizeof done};
	cop_err err = cop_txn_run(memory->store, change_fill, &change, TRIES,
				  NULL, &done);

	if (change.code)
		return change.code;
	if (err)
		return failed(memory, err);
	*result = json_pack("{sI}", "commit", (json_int_t)done.commit);
	return 0;
}

/* A line as import has it, put on a condition, if there is one. */
static int line_put(struct memory *memory, cop_write *write, const json_t *line,
		    const uint64_t *version)
{
	char *text = json_dumps(line, JSON_COMPACT);
	int code;

	memory->record.conditional = version != NULL;
	memory->record.version = version ? *version : 0;
	code = text ? record_put(&memory->record, write, text, strlen(text),
				 &memory->fault)
		    : failed(memory, ENOMEM);
	free(text);
	return code;
}

/* ---- remember ----------------------------------------------------------- */

/* The texts of a list, as names of an object. */
static json_t *texts_set(const json_t *list)
{
	json_t *set = json_object();

	for (size_t i = 0; set && i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		if (json_is_string(item))
			json_object_set_new(set, json_string_value(item),
					    json_true());
	}
	return set;
}

/* Appends the texts that a list does not have yet. */
static int list_join(struct memory *memory, json_t *list, const char *name,
		     const json_t *more)
{
	json_t *seen = texts_set(list);
	int code = seen ? 0 : failed(memory, ENOMEM);

	for (size_t i = 0; !code && i < json_array_size(more); i++) {
		json_t *item = json_array_get(more, i);
		const char *text = json_string_value(item);

		if (!text || strlen(text) != json_string_length(item))
			code =
			    bad(memory, name, "has a member that is no text");
		else if (!json_object_get(seen, text)) {
			json_array_append(list, item);
			json_object_set_new(seen, text, json_true());
		}
	}
	json_decref(seen);
	return code;
}

/* The list of a member, made if there is none; NULL if it is something else. */
static json_t *list_in(struct memory *memory, json_t *object, const char *name)
{
	json_t *list = json_object_get(object, name);

	if (json_is_array(list))
		return list;
	if (list) {
		bad(memory, name,
		    "is a property of that entity, and no list; give it "
		    "another name first");
		return NULL;
	}
	json_object_set_new(object, name, json_array());
	return json_object_get(object, name);
}

static json_t *properties_in(json_t *entity)
{
	if (!json_object_get(entity, "properties"))
		json_object_set_new(entity, "properties", json_object());
	return json_object_get(entity, "properties");
}

/* Everything that is given of an entity, on top of what is known. */
static int entity_merge(struct memory *memory, json_t *known,
			const json_t *given)
{
	static const char *const replaced[] = {"content", "vector", NULL};
	const json_t *type = either(given, "type", "entityType");
	const json_t *observations, *tags;
	json_t *properties = has(given, "properties")
				 ? json_object_get(given, "properties")
				 : NULL;
	json_t *list;

	if (list_of(memory, given, "observations", &observations) ||
	    list_of(memory, given, "tags", &tags))
		return memory->fault.code;
	if (properties && !json_is_object(properties))
		return bad(memory, "properties", "is not an object");
	if (type)
		json_object_set(known, "type", (json_t *)(uintptr_t)type);
	for (int i = 0; replaced[i]; i++)
		if (json_object_get(given, replaced[i]))
			json_object_set(known, replaced[i],
					json_object_get(given, replaced[i]));
	if (json_object_get(given, "content"))
		json_object_del(known, "content_bytes");
	if (properties)
		json_object_update(properties_in(known), properties);
	list = tags ? list_in(memory, known, "tags") : NULL;
	if (tags && (!list || list_join(memory, list, "tags", tags)))
		return memory->fault.code;
	list = observations
		   ? list_in(memory, properties_in(known), "observations")
		   : NULL;
	if (observations &&
	    (!list || list_join(memory, list, "observations", observations)))
		return memory->fault.code;
	return 0;
}

/* What is known of a key, an object with it alone if nothing is. */
static int entity_known(struct memory *memory, cop_read *read, const char *key,
			json_t **out, uint64_t *version)
{
	struct cop_entity entity;
	cop_err err = cop_get(read, key, strlen(key), &entity);

	*version = err ? 0 : entity.version;
	if (!err && entity.id)
		err = json_entity(read, &entity, JSON_BYTES, out);
	else if (!err)
		*out = json_pack("{ss}", "key", key);
	return err ? failed(memory, err) : 0;
}

/* The key of a member of a list, which no other one may have. */
static int key_in(struct memory *memory, const json_t *list, size_t index,
		  const char **out)
{
	const json_t *item = json_array_get(list, index);
	const json_t *key = either(item, "key", "name");

	*out = json_string_value(key);
	if (!*out || strlen(*out) != json_string_length(key))
		return bad(memory, "key", "is missing, or no text");
	for (size_t i = 0; i < index; i++)
		if (json_equal(either(json_array_get(list, i), "key", "name"),
			       key))
			return fault_set(&memory->fault, EXIT_BAD_INPUT,
					 "'%s' is there twice: say all of it "
					 "at once",
					 *out);
	return 0;
}

static int remember_fill(struct memory *memory, cop_read *read,
			 cop_write *write, const json_t *arguments)
{
	const json_t *list = json_object_get(arguments, "entities");

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *known = NULL;
		uint64_t version = 0;
		const char *key;
		int code = key_in(memory, list, i, &key);

		if (!code)
			code =
			    entity_known(memory, read, key, &known, &version);
		if (!code)
			code = entity_merge(memory, known,
					    json_array_get(list, i));
		if (!code)
			code = line_put(memory, write, known, &version);
		json_decref(known);
		if (code)
			return code;
	}
	return 0;
}

/* A list that has to be there, and have members. */
static int list_needed(struct memory *memory, const json_t *arguments,
		       const char *name)
{
	const json_t *list;

	if (list_of(memory, arguments, name, &list))
		return memory->fault.code;
	return json_array_size(list) ? 0 : bad(memory, name, "is missing");
}

int memory_remember(struct memory *memory, const json_t *arguments,
		    json_t **result)
{
	int code = list_needed(memory, arguments, "entities");

	return code ? code : change(memory, arguments, remember_fill, result);
}

/* ---- relate ------------------------------------------------------------- */

/* The names that import has for what is given; to be released. */
static json_t *edge_line(const json_t *given)
{
	return json_pack("{sO*sO*sO*sO*sO*sO*}", "source",
			 either(given, "source", "from"), "target",
			 either(given, "target", "to"), "relation",
			 either(given, "relation", "relationType"),
			 "properties", json_object_get(given, "properties"),
			 "valid_from", json_object_get(given, "valid_from"),
			 "valid_to", json_object_get(given, "valid_to"));
}

static int relate_fill(struct memory *memory, cop_read *read, cop_write *write,
		       const json_t *arguments)
{
	const json_t *list = json_object_get(arguments, "relations");

	(void)read;
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *line = edge_line(json_array_get(list, i));
		int code = line ? line_put(memory, write, line, NULL)
				: failed(memory, ENOMEM);

		json_decref(line);
		if (code)
			return code;
	}
	return 0;
}

int memory_relate(struct memory *memory, const json_t *arguments,
		  json_t **result)
{
	int code = list_needed(memory, arguments, "relations");

	return code ? code : change(memory, arguments, relate_fill, result);
}

/* ---- forget ------------------------------------------------------------- */

static int edges_forget(struct memory *memory, cop_write *write,
			const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *given = json_array_get(list, i);
		const json_t *ends[3] = {
		    either(given, "source", "from"),
		    either(given, "relation", "relationType"),
		    either(given, "target", "to")};
		cop_err err;

		for (int end = 0; end < 3; end++)
			if (!json_is_string(ends[end]))
				return bad(memory, "relations",
					   "are of source, relation and "
					   "target, which are texts");
		err = cop_delete_edge(
		    write, json_string_value(ends[0]),
		    json_string_length(ends[0]), json_string_value(ends[1]),
		    json_string_length(ends[1]), json_string_value(ends[2]),
		    json_string_length(ends[2]));
		if (err)
			return failed(memory, err);
	}
	return 0;
}

/* Takes texts from a list; returns how many it had. */
static size_t list_part(json_t *list, const json_t *less)
{
	json_t *gone = texts_set(less);
	size_t count = 0;

	for (size_t at = 0; at < json_array_size(list);) {
		const char *text = json_string_value(json_array_get(list, at));

		if (text && json_object_get(gone, text)) {
			json_array_remove(list, at);
			count++;
		} else {
			at++;
		}
	}
	json_decref(gone);
	return count;
}

/* Takes observations from an entity; what is not there is no change. */
static int entity_part(struct memory *memory, cop_read *read, cop_write *write,
		       const char *key, const json_t *gone)
{
	json_t *known = NULL;
	json_t *list;
	uint64_t version = 0;
	int code = entity_known(memory, read, key, &known, &version);

	list = json_object_get(json_object_get(known, "properties"),
			       "observations");
	if (!code && json_is_array(list) && list_part(list, gone))
		code = line_put(memory, write, known, &version);
	json_decref(known);
	return code;
}

static int observations_forget(struct memory *memory, cop_read *read,
			       cop_write *write, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *gone;
		const char *key;

		if (key_in(memory, list, i, &key) ||
		    list_needed(memory, json_array_get(list, i),
				"observations") ||
		    list_of(memory, json_array_get(list, i), "observations",
			    &gone) ||
		    entity_part(memory, read, write, key, gone))
			return memory->fault.code;
	}
	return 0;
}

static int forget_fill(struct memory *memory, cop_read *read, cop_write *write,
		       const json_t *arguments)
{
	const char *keys[K_MAX];
	const json_t *observations, *relations;
	uint32_t count;
	cop_err err = 0;

	if (texts_of(memory, arguments, "keys", keys, K_MAX, &count) ||
	    list_of(memory, arguments, "observations", &observations) ||
	    list_of(memory, arguments, "relations", &relations) ||
	    observations_forget(memory, read, write, observations) ||
	    edges_forget(memory, write, relations))
		return memory->fault.code;
	for (uint32_t i = 0; i < count && !err; i++)
		err = cop_delete(write, keys[i], strlen(keys[i]));
	return err ? failed(memory, err) : 0;
}

int memory_forget(struct memory *memory, const json_t *arguments,
		  json_t **result)
{
	if (!has(arguments, "keys") && !has(arguments, "observations") &&
	    !has(arguments, "relations"))
		return fault_set(&memory->fault, EXIT_BAD_INPUT,
				 "\"keys\", \"observations\" or "
				 "\"relations\" are needed");
	return change(memory, arguments, forget_fill, result);
}

void memory_release(struct memory *memory)
{
	record_release(&memory->record);
}

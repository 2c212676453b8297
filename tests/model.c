/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories against a simple model, everything compared after each
 * commit.
 *
 * idea
 *	A history is a list of operations, cut into commits.  The model runs
 *	it over plain arrays, as the header describes it: a commit is applied
 *	to a copy of the state, which replaces it if all went well.  After
 *	each, a read is asked everything there is to ask and compared with the
 *	state; older reads stay open with the states of their time.  Now and
 *	then another process commits, or the store is closed, detached and
 *	built again.
 *
 * exactness
 *	Vectors are whole numbers in half of the histories (not for cosine),
 *	so that equal distances are common and must be ordered by id; else
 *	Gaussian, with copies of one another among them.  The model's distances
 *	are in long double, the library's exact ones good to 1e-12, so equal
 *	order of ids is asked for.  Searches over half precision rows may
 *	exchange what is nearer to each other than a half is wrong.
 */
#include "fixture.h"

#include <float.h>
#include <sys/mman.h>

enum {
	KEYS = 28,
	RELATIONS = 3,
	TYPES = 3,
	TAGS = 70, /* more than a signature has bits */
	TAGS_MAX = 4,
	DIM_LARGEST = 128,
	OPS_MAX = 40,
	OLD_READS = 4
};

static const char *const relation_names[RELATIONS] = {"r", "knows", "part-of"};
static const char *const type_names[TYPES] = {"person", "place", "t"};

/* ---- the model ---------------------------------------------------------- */

struct thing {
	uint64_t id;	  /* 0: its key was never put */
	uint64_t version; /* of its record; 0: not there */
	uint64_t seed;	  /* its fields follow from it; 0: a stub */
	int has_vector;
	float vector[DIM_LARGEST];
};

struct link {
	uint64_t version; /* 0: not there */
	uint64_t seed;	  /* its properties follow from it */
};

struct state {
	uint64_t commit;
	uint64_t next_id;
	struct thing things[KEYS];
	struct link links[KEYS][RELATIONS][KEYS];
};

enum kind { PUT, VECTOR, DROP, DELETE, LINK, UNLINK, KINDS };

struct op {
	enum kind kind;
	int key;
	int target;
	int relation;
	int dangling;
	int change; /* PUT: enum cop_vector_change, 2: `vector` */
	uint64_t seed;
	float vector[DIM_LARGEST];
};

struct history {
	struct fixture f;
	uint64_t random;
	uint32_t dim;
	int32_t metric;
	int32_t rows;
	int32_t codes;
	int whole; /* vectors of whole numbers */
	struct state *state;
	struct state *next;
	struct cop_result want;
	struct {
		cop_read *read;
		struct state *state;
	} old[OLD_READS];
	int wrong;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct history *h,
							const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (h->wrong++ < 10)
		diag("dim %u, metric %d, codes %d, rows %d, commit %" PRIu64
		     ": %s",
		     h->dim, h->metric, h->codes, h->rows, h->state->commit,
		     text);
}

static uint64_t below(struct history *h, uint64_t end)
{
	return test_below(&h->random, end);
}

static void key_of(char *key, int i)
{
	snprintf(key, 16, "k%d", i);
}

static int is_there(const struct state *state, int key)
{
	return state->things[key].version != 0;
}

/* ---- fields, from a seed ------------------------------------------------ */

struct fields {
	const char *type; /* NULL: none */
	int tags[TAGS_MAX];
	int tag_count;
	char tag_names[TAGS_MAX][8];
	int64_t number;
	char text[3000];
	uint32_t text_size;
	uint32_t property_count; /* number, text, list */
	char content[6000];
	size_t content_size;
};

static void fill(char *to, size_t size, uint64_t seed)
{
	int words = seed & 1; /* else as good as random */

	for (size_t i = 0; i < size; i++)
		to[i] = words ? "lorem ipsum "[i % 12]
			      : (char)(test_random(&seed) & 0x7f);
}

static void fields_of(uint64_t seed, struct fields *out)
{
	static const uint32_t text_sizes[] = {0, 5, 40, 1100, 2999};
	static const uint32_t content_sizes[] = {0, 0, 9, 1500, 6000};
	uint64_t random = seed;
	uint64_t type = test_below(&random, TYPES + 1);

	out->tag_count = 0;
	out->property_count = 0;
	out->type = NULL;
	out->text_size = 0;
	out->content_size = 0;
	if (!seed)
		return;
	out->type = type < TYPES ? type_names[type] : NULL;
	for (uint64_t i = test_below(&random, TAGS_MAX + 1); i; i--) {
		int tag = (int)test_below(&random, TAGS);
		int twice = 0;

		for (int j = 0; j < out->tag_count; j++)
			twice |= out->tags[j] == tag;
		if (twice)
			continue;
		snprintf(out->tag_names[out->tag_count],
			 sizeof out->tag_names[0], "g%d", tag);
		out->tags[out->tag_count++] = tag;
	}
	out->number = (int64_t)test_random(&random);
	out->text_size = text_sizes[test_below(&random, 5)];
	fill(out->text, out->text_size, test_random(&random));
	out->property_count = (uint32_t)test_below(&random, 4);
	out->content_size = content_sizes[test_below(&random, 5)];
	fill(out->content, out->content_size, test_random(&random));
}

static int has_tag(uint64_t seed, int tag)
{
	static struct fields fields;

	fields_of(seed, &fields);
	for (int i = 0; i < fields.tag_count; i++)
		if (fields.tags[i] == tag)
			return 1;
	return 0;
}

static int has_type(uint64_t seed, const char *type)
{
	static struct fields fields;

	fields_of(seed, &fields);
	return fields.type && !strcmp(fields.type, type);
}

/* What a put needs besides its fields. */
struct put_room {
	struct cop_value items[2];
	struct cop_property properties[3];
	const char *tags[TAGS_MAX + 1];
};

static struct cop_put put_of(const struct fields *fields, struct put_room *room)
{
	room->items[0] = (struct cop_value){.kind = COP_FLOAT,
					    .real = (double)fields->number / 8};
	room->items[1] = (struct cop_value){.kind = COP_NULL};
	room->properties[0] = (struct cop_property){
	    "number", 6, {.kind = COP_INT, .integer = fields->number}};
	room->properties[1] = (struct cop_property){"text",
						    4,
						    {.kind = COP_STRING,
						     .count = fields->text_size,
						     .data = fields->text}};
	room->properties[2] = (struct cop_property){
	    "list", 4, {.kind = COP_LIST, .count = 2, .data = room->items}};
	for (int i = 0; i < fields->tag_count; i++)
		room->tags[i] = fields->tag_names[i];
	if (fields->tag_count) /* given twice */
		room->tags[fields->tag_count] = fields->tag_names[0];
	return (struct cop_put){
	    .size = sizeof(struct cop_put),
	    .type = fields->type,
	    .type_size = fields->type ? strlen(fields->type) : 0,
	    .properties = room->properties,
	    .property_count = fields->property_count,
	    .tags = room->tags,
	    .tag_count = (uint32_t)(fields->tag_count + !!fields->tag_count),
	    .content = fields->content_size ? fields->content : NULL,
	    .content_size = fields->content_size};
}

/* ---- the model's commit ------------------------------------------------- */

static void thing_delete(struct history *h, int key)
{
	struct state *next = h->next;

	h->want.entities_deleted++;
	next->things[key].version = 0;
	next->things[key].has_vector = 0;
	for (int r = 0; r < RELATIONS; r++) {
		for (int other = 0; other < KEYS; other++) {
			struct link *out = &next->links[key][r][other];
			struct link *in = &next->links[other][r][key];

			h->want.edges_deleted += out->version != 0;
			out->version = 0;
			h->want.edges_deleted += in->version != 0;
			in->version = 0;
		}
	}
}

static void thing_put(struct history *h, int key, uint64_t seed)
{
	struct thing *thing = &h->next->things[key];

	if (!thing->id)
		thing->id = h->next->next_id++;
	thing->version = h->next->commit;
	thing->seed = seed;
}

/* Both ends of an edge; 0: it is skipped, -1: refused. */
static int ends_find(struct history *h, const struct op *op)
{
	const int ends[2] = {op->key, op->target};

	for (int i = 0; i < 2; i++) {
		if (is_there(h->next, ends[i]))
			continue;
		if (op->dangling == COP_DANGLING_REJECT)
			return -1;
		if (op->dangling == COP_DANGLING_SKIP)
			return 0;
		thing_put(h, ends[i], 0);
		h->want.stubs_put++;
	}
	return 1;
}

/* 0, or -1 if it fails; *effect is set if there is something to commit. */
static int op_model(struct history *h, const struct op *op, int *effect)
{
	struct thing *thing = &h->next->things[op->key];
	struct link *link = &h->next->links[op->key][op->relation][op->target];
	int ends;

	switch (op->kind) {
	case PUT:
		thing_put(h, op->key, op->seed);
		h->want.entities_put++;
		*effect = 1;
		if (op->change == COP_VECTOR_DROP)
			thing->has_vector = 0;
		if (op->change != 2)
			return 0;
		break;
	case VECTOR:
	case DROP:
		if (!is_there(h->next, op->key))
			return -1;
		h->want.entities_put++;
		*effect |= op->kind == VECTOR || thing->has_vector;
		if (op->kind == DROP) {
			thing->has_vector = 0;
			return 0;
		}
		break;
	case DELETE:
		if (!is_there(h->next, op->key))
			return 0;
		thing_delete(h, op->key);
		*effect = 1;
		return 0;
	case LINK:
		ends = ends_find(h, op);
		*effect |= ends > 0;
		if (ends < 0)
			return -1;
		h->want.edges_skipped += !ends;
		h->want.edges_put += ends > 0;
		if (ends)
			*link = (struct link){h->next->commit, op->seed};
		return 0;
	default:
		*effect |= link->version != 0;
		h->want.edges_deleted += link->version != 0;
		link->version = 0;
		return 0;
	}
	thing->has_vector = 1;
	memcpy(thing->vector, op->vector, h->dim * sizeof(float));
	return 0;
}

/* Runs the commit in h->next; -1: it fails at want.failed. */
static int commit_model(struct history *h, const struct op *ops, uint32_t count)
{
	int effect = 0;

	memcpy(h->next, h->state, sizeof *h->next);
	h->next->commit++;
	h->want =
	    (struct cop_result){.size = sizeof h->want, .failed = UINT32_MAX};
	for (uint32_t i = 0; i < count; i++) {
		if (op_model(h, &ops[i], &effect)) {
			h->want.failed = i;
			return -1;
		}
	}
	if (!effect) {
		/* a stub put for an edge that is skipped then is an effect */
		if (h->want.stubs_put)
			bail_out("the model skips an edge with a stub");
		memcpy(h->next, h->state, sizeof *h->next);
	}
	h->want.commit = h->next->commit;
	return 0;
}

/* ---- random operations -------------------------------------------------- */

static void vector_random(struct history *h, float *vector)
{
	int from = (int)below(h, KEYS * 3);

	if (from < KEYS && h->state->things[from].has_vector) {
		memcpy(vector, h->state->things[from].vector,
		       h->dim * sizeof(float));
		return;
	}
	for (uint32_t d = 0; d < h->dim; d++)
		vector[d] = h->whole ? (float)below(h, 5) - 2
				     : (float)test_gaussian(&h->random);
}

static void op_random(struct history *h, struct op *op)
{
	static const enum kind kinds[] = {PUT,	PUT,	PUT,  VECTOR,
					  DROP, DELETE, LINK, LINK,
					  LINK, LINK,	LINK, UNLINK};

	op->kind = kinds[below(h, sizeof kinds / sizeof *kinds)];
	op->key = (int)below(h, KEYS);
	op->target = (int)below(h, below(h, 3) ? KEYS : 3); /* hubs */
	op->relation = (int)below(h, RELATIONS);
	op->dangling = below(h, 30) ? 1 + (int)below(h, 2) : 0;
	op->change = h->dim ? (int)below(h, 3) : 0;
	op->seed = test_random(&h->random) | 1;
	if ((op->kind == VECTOR || op->kind == DROP) &&
	    (!h->dim || (!is_there(h->state, op->key) && below(h, 20))))
		op->kind = PUT;
	if (op->kind == LINK && op->dangling == COP_DANGLING_SKIP &&
	    below(h, 2)) /* one that is there, mostly */
		op->dangling = COP_DANGLING_STUB;
	if (h->dim)
		vector_random(h, op->vector);
}

/* Edges' properties: none, one or two. */
static uint32_t edge_properties(uint64_t seed, struct cop_property *out)
{
	out[0] = (struct cop_property){
	    "w", 1, {.kind = COP_INT, .integer = (int64_t)seed}};
	out[1] = (struct cop_property){
	    "note", 4, {.kind = COP_STRING, .count = 3, .data = "a\0b"}};
	return (uint32_t)(seed >> 8) % 3;
}

static cop_err op_put(const struct history *h, cop_write *write,
		      const struct op *op)
{
	static struct fields fields;
	struct put_room room;
	struct cop_property properties[2];
	struct cop_put put;
	struct cop_put_edge edge = {.size = sizeof edge};
	const char *relation = relation_names[op->relation];
	char key[16];
	char target[16];

	key_of(key, op->key);
	key_of(target, op->target);
	switch (op->kind) {
	case PUT:
		fields_of(op->seed, &fields);
		put = put_of(&fields, &room);
		put.key = key;
		put.key_size = (uint32_t)strlen(key);
		put.vector = op->change == 2 ? op->vector : NULL;
		put.dim = op->change == 2 ? h->dim : 0;
		put.vector_change = op->change == 2 ? 0 : op->change;
		return cop_put(write, &put);
	case VECTOR:
		return cop_put_vector(write, key, strlen(key), op->vector,
				      h->dim);
	case DROP: return cop_put_vector(write, key, strlen(key), NULL, 0);
	case DELETE: return cop_delete(write, key, strlen(key));
	case LINK:
		edge.dangling = op->dangling;
		edge.source = key;
		edge.source_size = strlen(key);
		edge.target = target;
		edge.target_size = strlen(target);
		edge.relation = relation;
		edge.relation_size = strlen(relation);
		edge.properties = properties;
		edge.property_count = edge_properties(op->seed, properties);
		return cop_put_edge(write, &edge);
	default:
		return cop_delete_edge(write, key, strlen(key), relation,
				       strlen(relation), target,
				       strlen(target));
	}
}

/* Puts that follow one another go in one call now and then. */
static cop_err puts_put(const struct history *h, cop_write *write,
			const struct op *ops, uint32_t count, uint32_t threads)
{
	static struct fields fields[OPS_MAX];
	static struct put_room rooms[OPS_MAX];
	static char keys[OPS_MAX][16];
	struct cop_put puts[OPS_MAX];

	for (uint32_t i = 0; i < count; i++) {
		const struct op *op = &ops[i];

		fields_of(op->seed, &fields[i]);
		puts[i] = put_of(&fields[i], &rooms[i]);
		key_of(keys[i], op->key);
		puts[i].key = keys[i];
		puts[i].key_size = (uint32_t)strlen(keys[i]);
		puts[i].vector = op->change == 2 ? op->vector : NULL;
		puts[i].dim = op->change == 2 ? h->dim : 0;
		puts[i].vector_change = op->change == 2 ? 0 : op->change;
	}
	return cop_put_many(write, puts, count, threads);
}

static void ops_put(const struct history *h, cop_write *write,
		    const struct op *ops, uint32_t count)
{
	uint32_t i = 0;

	while (i < count) {
		uint32_t run = 0;

		while (i + run < count && ops[i + run].kind == PUT)
			run++;
		if (run > 1) {
			must(puts_put(h, write, ops + i, run,
				      (uint32_t)(ops[i].seed >> 20) % 5),
			     "put many");
			i += run;
		} else {
			must(op_put(h, write, &ops[i]), "operation");
			i++;
		}
	}
}

/* ---- comparing ---------------------------------------------------------- */

static int name_is(cop_read *read, uint32_t number, const char *want)
{
	const char *text;
	size_t size;

	must(cop_name(read, number, &text, &size), "name");
	return size == strlen(want) && !memcmp(text, want, size);
}

static void fields_compare(struct history *h, cop_read *read,
			   const struct cop_entity *entity, uint64_t seed)
{
	static struct fields want;
	struct cop_value value;
	struct cop_value item;
	const char *text;
	const void *content;
	size_t size;
	int found;

	fields_of(seed, &want);
	if (want.type ? !name_is(read, entity->type, want.type) : entity->type)
		wrong(h, "the type of %" PRIu64, entity->id);
	if (entity->tag_count != (uint32_t)want.tag_count)
		wrong(h, "the number of tags of %" PRIu64, entity->id);
	for (uint32_t i = 0; i < entity->tag_count && !h->wrong; i++) {
		must(cop_entity_tag(read, entity, i, &text, &size), "tag");
		if (size != strlen(want.tag_names[i]) ||
		    memcmp(text, want.tag_names[i], size) != 0)
			wrong(h, "tag %u of %" PRIu64, i, entity->id);
	}
	if (entity->property_count != want.property_count)
		wrong(h, "the number of properties of %" PRIu64, entity->id);
	must(cop_entity_property(read, entity, "number", 6, &found, &value),
	     "property");
	if (found != (want.property_count > 0) ||
	    (found && (value.kind != COP_INT || value.integer != want.number)))
		wrong(h, "number of %" PRIu64, entity->id);
	must(cop_entity_property(read, entity, "text", 4, &found, &value),
	     "property");
	if (found != (want.property_count > 1) ||
	    (found && (value.count != want.text_size ||
		       memcmp(value.data, want.text, want.text_size) != 0)))
		wrong(h, "text of %" PRIu64, entity->id);
	if (want.property_count > 2) {
		must(cop_entity_property_at(read, entity, 2, &text, &size,
					    &value),
		     "property");
		must(cop_value_item(&value, 0, NULL, NULL, &item), "item");
		if (size != 4 || value.count != 2 ||
		    item.real != (double)want.number / 8)
			wrong(h, "list of %" PRIu64, entity->id);
	}
	must(cop_entity_content(read, entity, &content, &size), "content");
	if (size != want.content_size || size != entity->content_size ||
	    (size && memcmp(content, want.content, size) != 0))
		wrong(h, "content of %" PRIu64, entity->id);
}

static void things_compare(struct history *h, cop_read *read,
			   const struct state *state)
{
	for (int i = 0; i < KEYS; i++) {
		const struct thing *thing = &state->things[i];
		uint64_t id = is_there(state, i) ? thing->id : 0;
		struct cop_entity entity;
		struct cop_entity by_id;
		const float *vector;
		const void *key_back;
		size_t size;
		char key[16];

		key_of(key, i);
		if (lookup(read, key) != id)
			wrong(h, "lookup of %s", key);
		must(cop_get(read, key, strlen(key), &entity), "get");
		if (entity.id != id || entity.version != thing->version) {
			wrong(h, "get of %s", key);
			continue;
		}
		if (!thing->id)
			continue;
		must(cop_key(read, thing->id, &key_back, &size), "key");
		if (size != strlen(key) || memcmp(key, key_back, size) != 0)
			wrong(h, "key of %" PRIu64, thing->id);
		must(cop_get_id(read, thing->id, &by_id), "get id");
		if (by_id.id != id || by_id.record != entity.record)
			wrong(h, "get of id %" PRIu64, thing->id);
		must(cop_vector(read, thing->id, &vector), "vector");
		if (!vector != !thing->has_vector ||
		    (vector && memcmp(vector, thing->vector,
				      h->dim * sizeof(float)) != 0))
			wrong(h, "vector of %s", key);
		if (id)
			fields_compare(h, read, &entity, thing->seed);
	}
}

static void many_compare(struct history *h, cop_read *read,
			 const struct state *state)
{
	struct cop_entity entities[KEYS];
	char keys[KEYS][16];
	const void *pointers[KEYS];
	size_t sizes[KEYS];

	for (int i = 0; i < KEYS; i++) {
		key_of(keys[i], i);
		pointers[i] = keys[i];
		sizes[i] = strlen(keys[i]);
	}
	must(cop_get_many(read, pointers, sizes, KEYS, (uint32_t)below(h, 6),
			  entities),
	     "get many");
	for (int i = 0; i < KEYS; i++)
		if (entities[i].id !=
			(is_there(state, i) ? state->things[i].id : 0) ||
		    entities[i].version != state->things[i].version)
			wrong(h, "one of many gets, %s", keys[i]);
}

/* The key of an id, -1 if there is none. */
static int key_by_id(const struct state *state, uint64_t id)
{
	for (int i = 0; i < KEYS; i++)
		if (id && state->things[i].id == id)
			return i;
	return -1;
}

static int relation_of(cop_read *read, uint32_t number)
{
	for (int r = 0; r < RELATIONS; r++)
		if (name_is(read, number, relation_names[r]))
			return r;
	return -1;
}

/* ---- edges -------------------------------------------------------------- */

struct edge_visits {
	struct history *h;
	const struct state *state;
	uint64_t id;
	int direction; /* the second time an edge comes it is incoming */
	uint8_t seen[2][KEYS][RELATIONS][KEYS];
	int count;
};

static void edge_compare(struct history *h, cop_read *read,
			 const struct cop_edge *edge, const struct link *link)
{
	struct cop_property want[2];
	uint32_t count = edge_properties(link->seed, want);

	if (edge->version != link->version || edge->property_count != count) {
		wrong(h, "edge %" PRIu64 " to %" PRIu64, edge->source,
		      edge->target);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct cop_value value;
		const char *name;
		size_t size;

		must(cop_edge_property_at(read, edge, i, &name, &size, &value),
		     "property");
		if (size != want[i].name_size ||
		    memcmp(name, want[i].name, size) != 0 ||
		    value.kind != want[i].value.kind ||
		    (value.kind == COP_INT
			 ? value.integer != want[i].value.integer
			 : memcmp(value.data, "a\0b", 3) != 0))
			wrong(h, "property of edge %" PRIu64 " to %" PRIu64,
			      edge->source, edge->target);
	}
}

static int32_t edge_visit(void *user, cop_read *read,
			  const struct cop_edge *edge)
{
	struct edge_visits *visits = user;
	int source = key_by_id(visits->state, edge->source);
	int target = key_by_id(visits->state, edge->target);
	int r = relation_of(read, edge->relation);
	uint8_t *seen;

	if (source < 0 || target < 0 || r < 0 ||
	    !visits->state->links[source][r][target].version) {
		wrong(visits->h, "an edge that is not there");
		return 0;
	}
	seen = &visits->seen[0][source][r][target];
	if (edge->source != visits->id || *seen)
		seen = &visits->seen[1][source][r][target];
	*seen += 1;
	visits->count++;
	edge_compare(visits->h, read, edge,
		     &visits->state->links[source][r][target]);
	return 0;
}

static void edges_compare(struct history *h, cop_read *read,
			  const struct state *state)
{
	static struct edge_visits visits;

	for (int i = 0; i < KEYS; i++) {
		int32_t direction = 1 + (int32_t)below(h, 3);
		int want = 0;

		if (!state->things[i].id)
			continue;
		memset(&visits, 0, sizeof visits);
		visits.h = h;
		visits.state = state;
		visits.id = state->things[i].id;
		must(cop_edges(read, visits.id, direction, edge_visit, &visits),
		     "edges");
		for (int r = 0; r < RELATIONS; r++)
			for (int j = 0; j < KEYS; j++) {
				int out = state->links[i][r][j].version &&
					  direction & COP_OUT;
				int in = state->links[j][r][i].version &&
					 direction & COP_IN;
				int loop = i == j && !(direction & COP_OUT);

				want += out + in;
				if (out > visits.seen[0][i][r][j] ||
				    in > visits.seen[!loop][j][r][i])
					wrong(h, "an edge of k%d is missing",
					      i);
			}
		if (visits.count != want)
			wrong(h, "%d edges of k%d instead of %d", visits.count,
			      i, want);
	}
	for (int i = 0; i < 60; i++) {
		int a = (int)below(h, KEYS);
		int b = (int)below(h, KEYS);
		int r = (int)below(h, RELATIONS);
		const struct link *link = &state->links[a][r][b];
		struct cop_edge edge;

		must(cop_get_edge(read, state->things[a].id, relation_names[r],
				  strlen(relation_names[r]),
				  state->things[b].id, &edge),
		     "get edge");
		if (edge.version != link->version)
			wrong(h, "the edge k%d %s k%d", a, relation_names[r],
			      b);
		else if (edge.version)
			edge_compare(h, read, &edge, link);
	}
}

/* ---- walks -------------------------------------------------------------- */

static int joined(const struct state *state, int from, int to, int relation,
		  int32_t direction)
{
	for (int r = 0; r < RELATIONS; r++) {
		if (relation >= 0 && r != relation)
			continue;
		if ((direction & COP_OUT &&
		     state->links[from][r][to].version) ||
		    (direction & COP_IN && state->links[to][r][from].version))
			return 1;
	}
	return 0;
}

static uint32_t degree(const struct state *state, int of, int relation,
		       int32_t direction)
{
	uint32_t count = 0;

	for (int r = 0; r < RELATIONS; r++)
		for (int i = 0; i < KEYS; i++)
			if (relation < 0 || r == relation) {
				count += direction & COP_OUT &&
					 state->links[of][r][i].version;
				count += direction & COP_IN &&
					 state->links[i][r][of].version;
			}
	return count;
}

/* Hops to each key, UINT32_MAX if out of reach; how many are reached. */
static size_t walk_model(const struct state *state, int start, int relation,
			 int32_t direction, uint32_t hops, uint32_t *distance)
{
	size_t count = 0;

	for (int i = 0; i < KEYS; i++)
		distance[i] = UINT32_MAX;
	if (!is_there(state, start))
		return 0;
	distance[start] = 0;
	for (uint32_t at = 0; at < hops; at++)
		for (int i = 0; i < KEYS; i++)
			for (int j = 0; j < KEYS; j++)
				if (distance[i] == at &&
				    distance[j] == UINT32_MAX &&
				    joined(state, i, j, relation, direction))
					distance[j] = at + 1;
	for (int i = 0; i < KEYS; i++)
		count += distance[i] != UINT32_MAX;
	return count;
}

/* Each step comes from an earlier one, over an edge that is there. */
static void steps_compare(struct history *h, cop_read *read,
			  const struct state *state,
			  const struct cop_walk *walk,
			  const struct cop_step *steps, size_t count)
{
	uint8_t seen[KEYS] = {0};

	for (size_t i = 0; i < count; i++) {
		const struct cop_step *step = &steps[i];
		int key = key_by_id(state, step->id);
		int from;
		int r;

		if (key < 0 || !is_there(state, key) || seen[key]++) {
			wrong(h, "a step to nowhere, or twice");
			return;
		}
		if (!i) {
			if (step->id != walk->start || step->hops ||
			    step->relation || step->direction)
				wrong(h, "the start of a walk");
			continue;
		}
		if (step->from >= i ||
		    steps[step->from].hops + 1 != step->hops ||
		    step->hops < steps[i - 1].hops) {
			wrong(h, "the order of steps");
			return;
		}
		from = key_by_id(state, steps[step->from].id);
		r = relation_of(read, step->relation);
		if (r < 0 ||
		    (walk->relation &&
		     strcmp(walk->relation, relation_names[r]) != 0) ||
		    !(step->direction &
		      (walk->direction ? walk->direction : COP_OUT)) ||
		    !joined(state, from, key, r, step->direction))
			wrong(h, "a step over an edge that is not there");
	}
}

static uint64_t over_limit; /* walks that look at more edges than they may */

static void walk_compare(struct history *h, cop_read *read,
			 const struct state *state)
{
	int start = (int)below(h, KEYS);
	int relation = (int)below(h, RELATIONS + 1) - 1;
	struct cop_walk walk = {
	    .size = sizeof walk,
	    .hops = (uint32_t)below(h, 6),
	    .start = state->things[start].id,
	    .relation = relation < 0 ? NULL : relation_names[relation],
	    .direction = (int32_t)below(h, 4),
	};
	int32_t direction = walk.direction ? walk.direction : COP_OUT;
	struct cop_step steps[KEYS + 1];
	uint32_t distance[KEYS];
	size_t total =
	    walk_model(state, start, relation, direction, walk.hops, distance);
	size_t capacity = below(h, 3) ? KEYS + 1 : 1 + below(h, KEYS);
	size_t count = 99;
	int32_t more = 9;
	int limited = 0;

	must(cop_walk(read, &walk, steps, capacity, &count, &more), "walk");
	if (count != (total < capacity ? total : capacity) ||
	    more != (total > capacity)) {
		wrong(h, "a walk of %zu steps instead of %zu", count, total);
		return;
	}
	steps_compare(h, read, state, &walk, steps, count);
	for (size_t i = 0; i < count && !h->wrong; i++)
		if (distance[key_by_id(state, steps[i].id)] != steps[i].hops)
			wrong(h, "the hops of a step");
	walk.degree_limit = 1 + (uint32_t)below(h, 6);
	must(cop_walk(read, &walk, steps, KEYS + 1, &count, &more), "walk");
	if (count > total) {
		wrong(h, "a walk with a limit finds more");
		return;
	}
	steps_compare(h, read, state, &walk, steps, count);
	for (size_t i = 0; i < count && !h->wrong; i++) {
		uint32_t children = 0;

		for (size_t j = 1; j < count; j++)
			children += steps[j].from == i;
		if (children > walk.degree_limit && !over_limit++)
			diag("%u steps from one entity, degree_limit %u, "
			     "direction %d, relation %s",
			     children, walk.degree_limit, walk.direction,
			     walk.relation ? walk.relation : "any");
		limited |= steps[i].hops < walk.hops &&
			   degree(state, key_by_id(state, steps[i].id),
				  relation, direction) > walk.degree_limit;
	}
	if (more != limited || (!limited && count != total))
		wrong(h, "a walk with a limit says more %d instead of %d", more,
		      limited);
}

/* ---- searches ----------------------------------------------------------- */

static double product(const float *a, const float *b, uint32_t dim)
{
	long double sum = 0;

	for (uint32_t d = 0; d < dim; d++)
		sum += (long double)a[d] * b[d];
	return (double)sum;
}

static double distance_of(const struct history *h, const float *a,
			  const float *b)
{
	long double ab = 0;
	long double aa = 0;
	long double bb = 0;
	long double dd = 0;

	for (uint32_t d = 0; d < h->dim; d++) {
		long double x = a[d];
		long double y = b[d];

		ab += x * y;
		aa += x * x;
		bb += y * y;
		dd += (x - y) * (x - y);
	}
	switch (h->metric) {
	case COP_L2: return (double)dd;
	case COP_IP: return (double)-ab;
	default: return (double)(1 - ab / (sqrtl(aa) * sqrtl(bb)));
	}
}

/* What a row loses of a component. */
static double rounding_of(const struct history *h)
{
	if (h->codes == COP_CODES_BF16)
		return 0x1p-7;
	return h->rows || h->codes == COP_CODES_F32 ? 0x1p-18 : 0x1p-10;
}

/* How far off an answer may be, on the safe side. */
static double slack_of(const struct history *h, const float *query,
		       const float *vector, double distance, int exact)
{
	double e = exact ? 1e-12 : rounding_of(h);
	double q = sqrt(product(query, query, h->dim));
	double x = sqrt(product(vector, vector, h->dim));

	if (exact)
		return h->metric == COP_IP   ? 1e-12 * q * x + 1e-300
		       : h->metric == COP_L2 ? 1e-12 * distance
					     : 1e-12;
	if (h->metric == COP_IP)
		return e * q * x;
	if (h->metric == COP_L2)
		return 2 * sqrt(distance) * e * x + e * e * x * x +
		       distance * 0x1p-14;
	distance = distance > 0 ? distance : 0;
	return 2 * sqrt(2 * distance) * e + e * e + distance * 0x1p-14;
}

struct candidate {
	uint64_t id;
	double distance;
	double slack;
};

static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

struct question {
	struct cop_search search;
	float query[DIM_LARGEST];
	char tag[8];
	int tag_number; /* -1: none */
};

static void question_random(struct history *h, const struct state *state,
			    struct question *question)
{
	struct cop_search *search = &question->search;
	int near = (int)below(h, KEYS);

	vector_random(h, question->query);
	if (h->metric == COP_COSINE && h->whole)
		question->query[0] += 1;
	*search = (struct cop_search){.size = sizeof *search,
				      .k = 1 + (uint32_t)below(h, 12),
				      .vector = question->query,
				      .exact = (int32_t)below(h, 2)};
	if (!below(h, 4))
		search->k = KEYS + 5;
	if (!below(h, 3))
		search->type = type_names[below(h, TYPES)];
	question->tag_number = -1;
	if (!below(h, 3)) {
		static struct fields fields;

		/* a tag that somebody has, mostly */
		fields_of(is_there(state, near) ? state->things[near].seed : 0,
			  &fields);
		question->tag_number = fields.tag_count && below(h, 4)
					   ? fields.tags[0]
					   : (int)below(h, TAGS);
		snprintf(question->tag, sizeof question->tag, "g%d",
			 question->tag_number);
		search->tag = question->tag;
	}
	if (!below(h, 3))
		search->exclude = state->things[below(h, KEYS)].id;
	if (!below(h, 3) && state->things[near].has_vector) {
		search->has_threshold = 1;
		search->threshold =
		    distance_of(h, question->query, state->things[near].vector);
		if (!h->whole) /* not on an edge of rounding */
			search->threshold +=
			    1e-9 * (1 + fabs(search->threshold));
	}
}

static size_t candidates_of(const struct history *h, const struct state *state,
			    const struct question *question, uint64_t exclude,
			    const float *query, struct candidate *out)
{
	const struct cop_search *search = &question->search;
	size_t count = 0;

	for (int i = 0; i < KEYS; i++) {
		const struct thing *thing = &state->things[i];

		if (!thing->has_vector || thing->id == exclude ||
		    (search->type && !has_type(thing->seed, search->type)) ||
		    (search->tag &&
		     !has_tag(thing->seed, question->tag_number)))
			continue;
		out[count].id = thing->id;
		out[count].distance = distance_of(h, query, thing->vector);
		out[count].slack = slack_of(h, query, thing->vector,
					    out[count].distance, search->exact);
		count++;
	}
	qsort(out, count, sizeof *out, candidate_compare);
	return count;
}

static void exact_compare(struct history *h, const struct cop_search *search,
			  const struct candidate *want, size_t there,
			  const struct cop_hit *hits, uint32_t count)
{
	size_t expected = 0;

	while (expected < there && expected < search->k &&
	       (!search->has_threshold ||
		want[expected].distance <= search->threshold))
		expected++;
	if (count != expected) {
		wrong(h, "%u exact hits instead of %zu", count, expected);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		if (hits[i].id != want[i].id ||
		    !(fabs(hits[i].distance - want[i].distance) <=
		      want[i].slack))
			wrong(h,
			      "exact hit %u is %" PRIu64 " at %.17g instead of "
			      "%" PRIu64 " at %.17g",
			      i, hits[i].id, hits[i].distance, want[i].id,
			      want[i].distance);
}

static const struct candidate *
candidate_find(const struct candidate *candidates, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (candidates[i].id == id)
			return &candidates[i];
	return NULL;
}

/* As exact as rows are: order and completeness up to the slack. */
static void rough_compare(struct history *h, const struct cop_search *search,
			  const struct candidate *want, size_t there,
			  const struct cop_hit *hits, uint32_t count)
{
	double worst = count == search->k ? hits[count - 1].distance : INFINITY;
	uint64_t seen = 0;

	if (search->has_threshold && search->threshold < worst)
		worst = search->threshold;
	for (uint32_t i = 0; i < count; i++) {
		const struct candidate *of =
		    candidate_find(want, there, hits[i].id);

		if (!of || seen >> hits[i].id % 64 & 1 ||
		    !(fabs(of->distance - hits[i].distance) <= of->slack)) {
			wrong(h, "hit %u is %" PRIu64 " at %.17g, not %.17g", i,
			      hits[i].id, hits[i].distance,
			      of ? of->distance : -1);
			return;
		}
		seen |= UINT64_C(1) << hits[i].id % 64;
		if (i && (hits[i].distance < hits[i - 1].distance ||
			  (hits[i].distance == hits[i - 1].distance &&
			   hits[i].id < hits[i - 1].id)))
			wrong(h, "the order of hits");
		if (search->has_threshold &&
		    hits[i].distance > search->threshold)
			wrong(h, "a hit beyond the threshold");
	}
	for (size_t i = 0; i < there; i++)
		if (!(seen >> want[i].id % 64 & 1) &&
		    want[i].distance + want[i].slack < worst)
			wrong(h, "%" PRIu64 " at %.17g is missing", want[i].id,
			      want[i].distance);
}

static void hits_compare(struct history *h, const struct state *state,
			 const struct question *question, uint64_t exclude,
			 const float *query, const struct cop_hit *hits,
			 uint32_t count)
{
	const struct cop_search *search = &question->search;
	struct candidate want[KEYS];
	size_t there = candidates_of(h, state, question, exclude, query, want);

	/* halves and floats hold small whole numbers */
	if (search->exact || (h->whole && h->metric != COP_COSINE))
		exact_compare(h, search, want, there, hits, count);
	else
		rough_compare(h, search, want, there, hits, count);
}

static void search_compare(struct history *h, cop_read *read,
			   const struct state *state)
{
	enum { MANY = 20 };
	static struct question question;
	static float queries[MANY * DIM_LARGEST];
	struct cop_hit hits[KEYS + 5];
	struct cop_hit many_hits[MANY * (KEYS + 5)];
	uint32_t counts[MANY];
	uint32_t count = 99;

	question_random(h, state, &question);
	must(cop_search(read, &question.search, hits, &count), "search");
	hits_compare(h, state, &question, question.search.exclude,
		     question.query, hits, count);
	if (below(h, 4))
		return;
	for (size_t i = 0; i < MANY; i++)
		vector_random(h, queries + i * h->dim);
	must(cop_search_many(read, &question.search, queries, MANY,
			     (uint32_t)below(h, 5), many_hits, counts),
	     "search many");
	for (size_t i = 0; i < MANY; i++)
		hits_compare(h, state, &question, 0, queries + i * h->dim,
			     many_hits + i * question.search.k, counts[i]);
}

/* ---- scans, figures ----------------------------------------------------- */

enum { SCAN_THREADS = 4 };

struct scan_visits {
	_Atomic uint32_t seen[KEYS + 2]; /* by id */
	_Atomic uint32_t strays;
	uint64_t last[SCAN_THREADS];
};

static int32_t scan_visit(void *user, uint32_t thread, cop_read *read,
			  const struct cop_entity *entity)
{
	struct scan_visits *visits = user;
	const void *content;
	size_t size;

	if (entity->id > KEYS || thread >= SCAN_THREADS ||
	    entity->id <= visits->last[thread] ||
	    cop_entity_content(read, entity, &content, &size) ||
	    size != entity->content_size) {
		visits->strays++;
		return 0;
	}
	visits->last[thread] = entity->id;
	visits->seen[entity->id]++;
	return 0;
}

static void scan_compare(struct history *h, cop_read *read,
			 const struct state *state)
{
	const char *type = below(h, 2) ? type_names[below(h, TYPES)] : NULL;
	int tag = below(h, 2) ? (int)below(h, TAGS) : -1;
	struct scan_visits visits;
	char tag_name[8];

	memset(&visits, 0, sizeof visits);
	snprintf(tag_name, sizeof tag_name, "g%d", tag);
	must(cop_scan(read, type, tag < 0 ? NULL : tag_name,
		      (uint32_t)below(h, SCAN_THREADS + 1), scan_visit,
		      &visits),
	     "scan");
	for (int i = 0; i < KEYS; i++) {
		const struct thing *thing = &state->things[i];
		int want = thing->version &&
			   (!type || has_type(thing->seed, type)) &&
			   (tag < 0 || has_tag(thing->seed, tag));

		if (thing->id && visits.seen[thing->id] != (uint32_t)want)
			wrong(h, "a scan of type %s, tag %s at k%d",
			      type ? type : "any", tag < 0 ? "any" : tag_name,
			      i);
	}
	if (visits.strays)
		wrong(h, "a scan visits what is not there, or out of order");
}

static void stats_compare(struct history *h, cop_read *read,
			  const struct state *state)
{
	struct cop_stats stats = {.size = sizeof stats};
	uint64_t entities = 0;
	uint64_t vectors = 0;
	uint64_t edges = 0;

	for (int i = 0; i < KEYS; i++) {
		entities += is_there(state, i) != 0;
		vectors += state->things[i].has_vector != 0;
		for (int r = 0; r < RELATIONS; r++)
			for (int j = 0; j < KEYS; j++)
				edges += state->links[i][r][j].version != 0;
	}
	must(cop_stat(read, &stats), "stat");
	if (stats.entities != entities || stats.vectors != vectors ||
	    stats.edges != edges || stats.commits != state->commit)
		wrong(h, "figures");
}

static void state_compare(struct history *h, cop_read *read,
			  const struct state *state)
{
	if (cop_read_commit(read) != state->commit)
		wrong(h, "a read is at commit %" PRIu64, cop_read_commit(read));
	things_compare(h, read, state);
	many_compare(h, read, state);
	edges_compare(h, read, state);
	for (int i = 0; i < 10; i++)
		walk_compare(h, read, state);
	for (int i = 0; h->dim && i < 10; i++)
		search_compare(h, read, state);
	scan_compare(h, read, state);
	stats_compare(h, read, state);
}

/* ---- histories ---------------------------------------------------------- */

static struct {
	cop_err err;
	struct cop_result result;
} * shared; /* what another process's commit gave */

static cop_err ops_commit(const struct history *h, cop_store *store,
			  const struct op *ops, uint32_t count,
			  struct cop_result *result)
{
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (err)
		return err;
	ops_put(h, write, ops, count);
	if (cop_write_count(write) != count)
		bail_out("a write holds %zu operations instead of %u",
			 cop_write_count(write), count);
	err = cop_commit(write, result);
	if (err == COP_DANGLING && /* it stays as it was, and fails again */
	    (cop_write_count(write) != count ||
	     cop_commit(write, result) != COP_DANGLING))
		bail_out("a commit that failed cannot be repeated");
	cop_abort(write);
	return err;
}

static cop_err ops_commit_elsewhere(const struct history *h,
				    const struct op *ops, uint32_t count,
				    struct cop_result *result)
{
	pid_t pid;

	fflush(stdout);
	shared->result = *result;
	pid = fork();
	if (!pid) {
		cop_store *store;

		alarm(60);
		must(cop_open(h->f.path, NULL, &store), "open elsewhere");
		shared->err = ops_commit(h, store, ops, count, &shared->result);
		if (ops[0].seed >> 30 & 1) /* some just end */
			cop_close(store);
		_exit(0);
	}
	if (child_wait(pid))
		bail_out("the other process did not come through");
	*result = shared->result;
	return shared->err;
}

static void result_compare(struct history *h, const struct cop_result *got)
{
	const struct cop_result *want = &h->want;

	if (got->commit != want->commit ||
	    got->entities_put != want->entities_put ||
	    got->entities_deleted != want->entities_deleted ||
	    got->edges_put != want->edges_put ||
	    got->edges_deleted != want->edges_deleted ||
	    got->edges_skipped != want->edges_skipped ||
	    got->stubs_put != want->stubs_put || got->failed != UINT32_MAX)
		wrong(h, "the result of a commit");
}

static void commit_random(struct history *h)
{
	static struct op ops[OPS_MAX];
	uint32_t count = 1 + (uint32_t)below(h, below(h, 4) ? 8 : OPS_MAX);
	struct cop_result result = {.size = sizeof result, .failed = 77};
	struct state *before = h->state;
	int fails;
	cop_err err;

	for (uint32_t i = 0; i < count; i++)
		op_random(h, &ops[i]);
	fails = commit_model(h, ops, count);
	err = below(h, 10) ? ops_commit(h, h->f.store, ops, count, &result)
			   : ops_commit_elsewhere(h, ops, count, &result);
	if (fails) {
		if (err != COP_DANGLING || result.failed != h->want.failed)
			wrong(h, "a commit to fail at %u gives %d at %u",
			      h->want.failed, err, result.failed);
		return;
	}
	must(err, "commit");
	result_compare(h, &result);
	h->state = h->next;
	h->next = before;
}

static void old_drop(struct history *h, int i)
{
	cop_read_end(h->old[i].read);
	h->old[i].read = NULL;
}

static void old_take(struct history *h, int i)
{
	if (h->old[i].read && below(h, 2))
		must(cop_read_refresh(h->old[i].read), "refresh");
	else {
		cop_read_end(h->old[i].read);
		h->old[i].read = read_of(&h->f);
	}
	memcpy(h->old[i].state, h->state, sizeof *h->state);
}

static void reopen(struct history *h, int detach)
{
	for (int i = 0; i < OLD_READS; i++)
		old_drop(h, i);
	fixture_close(&h->f);
	if (detach)
		must(cop_detach(h->f.path), "detach");
	fixture_open(&h->f);
}

static void *zeroed(size_t bytes)
{
	void *room = calloc(1, bytes);

	if (!room)
		bail_out("no memory");
	return room;
}

/* All names once, so that no filter is of a name never seen. */
static void names_put(struct history *h)
{
	cop_write *write = write_of(&h->f);

	for (int i = 0; i < TAGS; i++) {
		char tag[8];
		const char *tags[1] = {tag};
		struct cop_put put = {.size = sizeof put,
				      .key = "k0",
				      .key_size = 2,
				      .type = type_names[i % TYPES],
				      .type_size =
					  strlen(type_names[i % TYPES]),
				      .tags = tags,
				      .tag_count = 1};

		snprintf(tag, sizeof tag, "g%d", i);
		must(cop_put(write, &put), "put");
	}
	for (int i = 0; i < RELATIONS; i++)
		must(link_simple(write, "k0", relation_names[i], "k0"), "link");
	must(cop_delete(write, "k0", 2), "delete");
	must(cop_commit(write, NULL), "commit");
	cop_abort(write);
	h->state->commit = 1;
	h->state->next_id = 2;
	h->state->things[0].id = 1;
}

static void history_init(struct history *h, uint64_t seed, uint32_t dim,
			 int32_t metric, int32_t codes, int32_t rows,
			 int is_whole)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = dim,
				      .metric = metric,
				      .rows = rows,
				      .codes = codes,
				      .expected_entities = 10};

	*h = (struct history){.random = seed,
			      .dim = dim,
			      .metric = metric,
			      .rows = rows,
			      .codes = codes,
			      .whole = is_whole};
	h->state = zeroed(sizeof *h->state);
	h->next = zeroed(sizeof *h->next);
	for (int i = 0; i < OLD_READS; i++)
		h->old[i].state = zeroed(sizeof *h->state);
	h->state->next_id = 1;
	fixture_folder(&h->f);
	must(cop_create(h->f.path, &options), "create");
	fixture_open(&h->f);
	names_put(h);
}

static void history_release(struct history *h)
{
	for (int i = 0; i < OLD_READS; i++) {
		old_drop(h, i);
		free(h->old[i].state);
	}
	free(h->state);
	free(h->next);
	fixture_release(&h->f);
}

static void a_history_is_as_the_model_says(uint64_t seed, uint32_t dim,
					   int32_t metric, int32_t codes,
					   int32_t rows, int is_whole)
{
	enum { COMMITS = TEST_ASAN ? 15 : 40 };
	static struct history h;
	uint64_t findings = 0;

	history_init(&h, seed, dim, metric, codes, rows, is_whole);
	for (int i = 0; i < COMMITS && !h.wrong; i++) {
		cop_read *read;
		int at = (int)below(&h, OLD_READS * 3);

		commit_random(&h);
		read = read_of(&h.f);
		state_compare(&h, read, h.state);
		cop_read_end(read);
		for (int j = 0; j < OLD_READS && !h.wrong; j++)
			if (h.old[j].read)
				state_compare(&h, h.old[j].read,
					      h.old[j].state);
		if (at < OLD_READS)
			old_take(&h, at);
		if (!below(&h, 15))
			reopen(&h, (int)below(&h, 2));
	}
	must(cop_check(h.f.store, finding_tell, NULL, &findings), "check");
	ok(!h.wrong && !findings,
	   "%" PRIu64 " commits, dim %u, metric %d, codes %d, %s rows, %s "
	   "vectors: the store is as the model says",
	   h.state->commit, dim, metric, codes, rows ? "float" : "half",
	   is_whole ? "whole" : "random");
	history_release(&h);
}

int main(void)
{
	static const uint32_t dims[] = {2, 3, 17, 128};
	uint64_t seed;

	test_begin(600);
	seed = test_seed();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int32_t metric = COP_COSINE; metric <= COP_IP; metric++) {
		for (int i = 0; i < 4; i++) {
			a_history_is_as_the_model_says(test_random(&seed),
						       dims[i], metric,
						       COP_CODES_U8, i % 2, 0);
			if (metric != COP_COSINE)
				a_history_is_as_the_model_says(
				    test_random(&seed), dims[i], metric,
				    COP_CODES_U8, !(i % 2), 1);
			a_history_is_as_the_model_says(
			    test_random(&seed), dims[(i + metric) % 4], metric,
			    COP_CODES_F16 + i, 0, 0);
		}
	}
	a_history_is_as_the_model_says(test_random(&seed), 0, COP_COSINE,
				       COP_CODES_U8, 0, 0);
	is_u64(over_limit, 0,
	       "no walk looks at more edges of one entity than degree_limit");
	return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dangling edges of real data: the MISP galaxies name ends that are nowhere.
 * Such edges are refused with all that came with them, or left out and
 * counted, or given a stub, as their puts ask for; the whole data is compared
 * with its lines each time, and the moments before stay as they were.
 */
#include "corpus.h"

enum { KEY_ROOM = 64, ALONE = 60 };

struct row {
	char source[KEY_ROOM];
	char relation[KEY_ROOM];
	char target[KEY_ROOM];
	int dangles;
	int seen; /* in the store, by whoever compares */
};

struct world {
	struct fixture f;
	json_t **entities; /* by key */
	size_t entity_count;
	struct row *rows; /* in the file's order, no end is empty */
	size_t row_count;
	size_t nowhere; /* lines with an empty end */
	struct row *unique;
	size_t unique_count;
	const char **missing; /* keys, once each, in order */
	size_t missing_count;
	uint64_t seed;
	int wrong;
};

#define note(w, ...)                                                           \
	do {                                                                   \
		if ((w)->wrong++ < 5)                                          \
			diag(__VA_ARGS__);                                     \
	} while (0)

/* ---- the data ----------------------------------------------------------- */

static int entity_compare(const void *a, const void *b)
{
	return strcmp(corpus_key(*(json_t *const *)a),
		      corpus_key(*(json_t *const *)b));
}

static int text_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int row_compare(const void *a, const void *b)
{
	const struct row *x = a;
	const struct row *y = b;
	int way = strcmp(x->source, y->source);

	if (!way)
		way = strcmp(x->relation, y->relation);
	return way ? way : strcmp(x->target, y->target);
}

static int entity_key_compare(const void *key, const void *entity)
{
	return strcmp(key, corpus_key(*(json_t *const *)entity));
}

static int is_known(const struct world *w, const char *key)
{
	return bsearch(key, w->entities, w->entity_count, sizeof *w->entities,
		       entity_key_compare) != NULL;
}

static void entities_load(struct world *w)
{
	struct corpus_file file;
	json_t *json;

	corpus_open(&file, "misp/misp_entities.jsonl.gz");
	while ((json = corpus_json(&file))) {
		w->entities = corpus_grown(w->entities, w->entity_count,
					   sizeof *w->entities);
		w->entities[w->entity_count++] = json;
	}
	corpus_close(&file);
	qsort(w->entities, w->entity_count, sizeof *w->entities,
	      entity_compare);
}

/* The first three fields of a line, none of which is ever quoted. */
static void row_parse(const char *line, struct row *row)
{
	char *fields[3] = {row->source, row->relation, row->target};

	memset(row, 0, sizeof *row);
	for (int i = 0; i < 3; i++) {
		size_t size = strcspn(line, ",");

		if (size >= KEY_ROOM || !line[size] || *line == '"')
			bail_out("an edge's line is of another kind: %s", line);
		memcpy(fields[i], line, size);
		line += size + 1;
	}
}

static void edges_load(struct world *w)
{
	struct corpus_file file;
	struct row row;
	char *line;

	corpus_open(&file, "misp/misp_edges.csv.gz");
	if (!corpus_line(&file))
		bail_out("there are no edges");
	while ((line = corpus_line(&file))) {
		row_parse(line, &row);
		if (!*row.source || !*row.target) {
			w->nowhere++;
			continue;
		}
		row.dangles =
		    !is_known(w, row.source) || !is_known(w, row.target);
		w->rows = corpus_grown(w->rows, w->row_count, sizeof row);
		w->rows[w->row_count++] = row;
	}
	corpus_close(&file);
}

static void unique_find(struct world *w)
{
	struct row *unique = malloc(w->row_count * sizeof *unique);
	size_t count = 0;

	if (!unique)
		bail_out("no memory");
	memcpy(unique, w->rows, w->row_count * sizeof *unique);
	qsort(unique, w->row_count, sizeof *unique, row_compare);
	for (size_t i = 0; i < w->row_count; i++)
		if (!count || row_compare(&unique[count - 1], &unique[i]))
			unique[count++] = unique[i];
	w->unique = unique;
	w->unique_count = count;
}

static void missing_add(struct world *w, const char *key)
{
	if (is_known(w, key))
		return;
	w->missing =
	    corpus_grown(w->missing, w->missing_count, sizeof *w->missing);
	w->missing[w->missing_count++] = key;
}

static void missing_find(struct world *w)
{
	size_t count = 0;

	for (size_t i = 0; i < w->unique_count; i++) {
		missing_add(w, w->unique[i].source);
		missing_add(w, w->unique[i].target);
	}
	qsort(w->missing, w->missing_count, sizeof *w->missing, text_compare);
	for (size_t i = 0; i < w->missing_count; i++)
		if (!count || strcmp(w->missing[count - 1], w->missing[i]))
			w->missing[count++] = w->missing[i];
	w->missing_count = count;
}

static int is_missing(const struct world *w, const char *key)
{
	return bsearch(&key, w->missing, w->missing_count, sizeof *w->missing,
		       text_compare) != NULL;
}

static size_t dangling_count(const struct row *rows, size_t count)
{
	size_t dangling = 0;

	for (size_t i = 0; i < count; i++)
		dangling += rows[i].dangles != 0;
	return dangling;
}

static void world_load(struct world *w)
{
	entities_load(w);
	edges_load(w);
	unique_find(w);
	missing_find(w);
	diag("%zu entities, %zu edges, %zu of them different; %zu dangle, to "
	     "%zu keys",
	     w->entity_count, w->row_count, w->unique_count,
	     dangling_count(w->rows, w->row_count), w->missing_count);
}

static void world_release(struct world *w)
{
	for (size_t i = 0; i < w->entity_count; i++)
		json_decref(w->entities[i]);
	free(w->entities);
	free(w->rows);
	free(w->unique);
	free(w->missing);
}

/* ---- the store ---------------------------------------------------------- */

static cop_err row_put(cop_write *write, const struct row *row, int dangling)
{
	struct cop_put_edge edge = {.size = sizeof edge,
				    .dangling = dangling,
				    .source = row->source,
				    .source_size = strlen(row->source),
				    .relation = row->relation,
				    .relation_size = strlen(row->relation),
				    .target = row->target,
				    .target_size = strlen(row->target)};

	return cop_put_edge(write, &edge);
}

static cop_write *rows_write(struct world *w, int dangling)
{
	cop_write *write = write_of(&w->f);

	for (size_t i = 0; i < w->row_count; i++)
		must(row_put(write, &w->rows[i], dangling), "edge");
	return write;
}

static void entities_put(struct world *w)
{
	cop_write *write = write_of(&w->f);

	for (size_t i = 0; i < w->entity_count; i++)
		corpus_put(write, w->entities[i], NULL, 0);
	commit_of(write);
}

static struct cop_stats figures(struct world *w)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read = read_of(&w->f);

	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	return stats;
}

/* ---- comparing ---------------------------------------------------------- */

struct comparing {
	struct world *w;
	const char *source;
	size_t next;	    /* of the entities */
	size_t next_stub;   /* of the missing keys */
	size_t edges;	    /* that were seen */
	uint64_t commit;    /* that stubs are of, 0: there are none */
	int takes_dangling; /* those edges are there, too */
};

static void text_copy(char *room, const void *text, size_t size)
{
	if (size >= KEY_ROOM)
		bail_out("a key or name that is not in the data");
	memcpy(room, text, size);
	room[size] = '\0';
}

static int32_t edge_seen(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	struct comparing *c = user;
	struct world *w = c->w;
	struct row wanted = {.seen = 0};
	struct row *row;
	const void *key;
	const char *name;
	size_t key_size;
	size_t name_size;

	must(cop_key(read, edge->target, &key, &key_size), "key");
	must(cop_name(read, edge->relation, &name, &name_size), "name");
	text_copy(wanted.source, c->source, strlen(c->source));
	text_copy(wanted.relation, name, name_size);
	text_copy(wanted.target, key, key_size);
	row = bsearch(&wanted, w->unique, w->unique_count, sizeof *row,
		      row_compare);
	if (!row || row->seen || edge->property_count ||
	    (row->dangles && !c->takes_dangling))
		note(w, "there is an edge from %s to %s, by %s", wanted.source,
		     wanted.target, wanted.relation);
	if (row)
		row->seen = 1;
	c->edges++;
	return 0;
}

static int is_stub(const struct comparing *c, const struct cop_entity *entity,
		   const char *key)
{
	return entity->key_size == strlen(key) &&
	       !memcmp(entity->key, key, entity->key_size) &&
	       entity->version == c->commit && !entity->type &&
	       !entity->tag_count && !entity->property_count &&
	       !entity->content_size;
}

/* In order of keys: the next of the entities, or the next stub. */
static int32_t entity_seen(void *user, cop_read *read,
			   const struct cop_entity *entity)
{
	struct comparing *c = user;
	struct world *w = c->w;
	char key[KEY_ROOM];

	text_copy(key, entity->key, entity->key_size);
	if (c->next < w->entity_count &&
	    !strcmp(key, corpus_key(w->entities[c->next]))) {
		if (!corpus_is(read, entity, w->entities[c->next]) ||
		    entity->version != 1)
			note(w, "entity %s is not as its line", key);
		c->next++;
	} else if (c->commit && c->next_stub < w->missing_count &&
		   is_stub(c, entity, w->missing[c->next_stub])) {
		c->next_stub++;
	} else {
		note(w, "there is an entity %s", key);
	}
	c->source = key;
	must(cop_edges(read, entity->id, COP_OUT, edge_seen, c), "edges");
	return 0;
}

/* All of the store, against what is to be there. */
static void store_compare(struct world *w, cop_read *read, uint64_t stubs_of,
			  size_t edges, const char *what)
{
	struct comparing c = {
	    .w = w, .commit = stubs_of, .takes_dangling = stubs_of != 0};

	w->wrong = 0;
	for (size_t i = 0; i < w->unique_count; i++)
		w->unique[i].seen = 0;
	must(cop_keys(read, NULL, 0, entity_seen, &c), "keys");
	ok(!w->wrong && c.next == w->entity_count && c.edges == edges &&
	       c.next_stub == (stubs_of ? w->missing_count : 0),
	   "%s: all entities, %zu edges and %zu stubs, and nothing else", what,
	   c.edges, c.next_stub);
}

/* ---- claims ------------------------------------------------------------- */

static void an_edge_to_nowhere_is_no_edge(struct world *w)
{
	struct row row = {.source = "", .relation = "similar"};
	cop_write *write = write_of(&w->f);
	size_t bytes = cop_write_bytes(write);

	strcpy(row.source, corpus_key(w->entities[0]));
	for (int dangling = COP_DANGLING_REJECT; dangling <= COP_DANGLING_SKIP;
	     dangling++)
		is_int(row_put(write, &row, dangling), COP_BAD_KEY,
		       "an end that is empty, as in %zu lines, is no key: %s",
		       w->nowhere, cop_last_error());
	ok(!cop_write_count(write) && cop_write_bytes(write) == bytes,
	   "and the write is as it was");
	cop_abort(write);
}

static int tells(const struct world *w, const struct row *row)
{
	const char *text = cop_last_error();

	return (!is_known(w, row->source) && strstr(text, row->source)) ||
	       (!is_known(w, row->target) && strstr(text, row->target));
}

/* Commits a write that must fail by row `at`, its operation `failed`. */
static int is_rejected(struct world *w, cop_write *write, const struct row *at,
		       size_t failed)
{
	struct cop_stats before = figures(w);
	struct cop_result result = {.size = sizeof result};
	size_t count = cop_write_count(write);
	cop_err err = cop_commit(write, &result);
	int told = tells(w, at);
	struct cop_stats after = figures(w);

	return err == COP_DANGLING && told && result.failed == failed &&
	       cop_write_count(write) == count &&
	       after.commits == before.commits &&
	       after.entities == before.entities && after.edges == before.edges;
}

static void one_dangling_edge_rejects_all(struct world *w)
{
	cop_write *write = rows_write(w, COP_DANGLING_REJECT);
	size_t first = 0;

	while (first < w->row_count && !w->rows[first].dangles)
		first++;
	ok(is_rejected(w, write, &w->rows[first], first),
	   "edge %zu dangles: all %zu are rejected, the message has the key, "
	   "nothing is put",
	   first, cop_write_count(write));
	ok(is_rejected(w, write, &w->rows[first], first),
	   "the write is as it was: committed again it fails again");
	cop_abort(write);
}

/* Each with an entity that is good, and goes with it. */
static void each_is_told_by_its_key(struct world *w)
{
	size_t told = 0;
	size_t tried = 0;

	while (tried < ALONE) {
		const struct row *row =
		    &w->rows[test_below(&w->seed, w->row_count)];
		cop_write *write;

		if (!row->dangles)
			continue;
		write = write_of(&w->f);
		put_simple(write, "a good one", NULL, NULL, 0);
		must(row_put(write, row, COP_DANGLING_REJECT), "edge");
		told += (size_t)is_rejected(w, write, row, 1);
		cop_abort(write);
		tried++;
	}
	is_u64(told, tried,
	       "each dangling edge that is tried alone is told by its key, and "
	       "takes the entity put with it along");
}

static void skipped_ones_are_left_out(struct world *w)
{
	cop_write *write = rows_write(w, COP_DANGLING_SKIP);
	struct cop_result result = {.size = sizeof result};
	size_t dangling = dangling_count(w->rows, w->row_count);
	cop_read *read;

	must(cop_commit(write, &result), "commit");
	cop_abort(write);
	ok(result.edges_skipped == dangling &&
	       result.edges_put == w->row_count - dangling &&
	       !result.stubs_put && !result.entities_put,
	   "skipped: %zu dangling edges are counted", dangling);
	read = read_of(&w->f);
	store_compare(w, read, 0,
		      w->unique_count -
			  dangling_count(w->unique, w->unique_count),
		      "skipped");
	cop_read_end(read);
}

struct differing {
	struct world *w;
	size_t stubs;
	size_t edges;
};

static int32_t difference_seen(void *user, cop_read *read,
			       const struct cop_difference *difference)
{
	struct differing *d = user;
	const void *key;
	size_t size;
	char target[KEY_ROOM];
	int is_edge = difference->what == COP_EDGE;

	must(cop_key(read, is_edge ? difference->target : difference->id, &key,
		     &size),
	     "key");
	text_copy(target, key, size);
	/* no source of this data is missing */
	if (difference->how != COP_ADDED || difference->what == COP_VECTOR ||
	    !is_missing(d->w, target))
		note(d->w, "what has to do with %s differs", target);
	d->edges += (size_t)is_edge;
	d->stubs += (size_t)!is_edge;
	return 0;
}

static void stubs_stand_for_what_is_missing(struct world *w)
{
	cop_write *write = rows_write(w, COP_DANGLING_STUB);
	struct cop_result result = {.size = sizeof result};
	struct differing d = {.w = w};
	cop_read *read;

	must(cop_commit(write, &result), "commit");
	cop_abort(write);
	ok(result.stubs_put == w->missing_count && !result.edges_skipped &&
	       result.edges_put == w->row_count,
	   "stubs: as many as keys are missing, %zu", w->missing_count);
	read = read_of(&w->f);
	store_compare(w, read, result.commit, w->unique_count, "stubs");
	w->wrong = 0;
	must(cop_diff(read, result.commit - 1, result.commit, difference_seen,
		      &d),
	     "diff");
	ok(!w->wrong && d.stubs == w->missing_count &&
	       d.edges == dangling_count(w->unique, w->unique_count),
	   "stubs and their edges are what differs, edges put again do not");
	must(cop_read_as_of(read, result.commit - 1), "as of");
	store_compare(w, read, 0,
		      w->unique_count -
			  dangling_count(w->unique, w->unique_count),
		      "as of the commit before");
	must(cop_read_as_of(read, result.commit - 2), "as of");
	store_compare(w, read, 0, 0, "as of the one before that");
	cop_read_end(read);
}

int main(void)
{
	struct world w = {.seed = 0};

	test_begin(300);
	world_load(&w);
	w.seed = test_seed();
	fixture_init(&w.f, 0, 0);
	entities_put(&w);
	an_edge_to_nowhere_is_no_edge(&w);
	one_dangling_edge_rejects_all(&w);
	each_is_told_by_its_key(&w);
	skipped_ones_are_left_out(&w);
	stubs_stand_for_what_is_missing(&w);
	is_u64(findings_of(w.f.store), 0, "the store is whole");
	fixture_release(&w.f);
	world_release(&w);
	return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Editions: Open English WordNet 2022, and what changed to that of 2023 and
 * that of 2024, committed one after the other.  As of each edition the store
 * is exactly that edition: every entity, every edge, both ways; differences
 * between editions are those of the files; an entity has as many versions as
 * lines wrote it; and the nearest are those of the edition, by ground truth
 * that others computed.
 *
 * idea
 *	The model of an edition is made from the files alone: an array of JSON
 *	objects by key, and one of edges by their text.  Objects that two
 *	editions have in common are one.
 *
 *	Only some vectors are put: those that the truth of the queries names,
 *	those of entities that an edition deletes, and some more.  The nearest
 *	ten among them are still what the truth says.
 */
#include "code.h"
#include "corpus.h"

/* The truth was ranked in single precision: ours may be nearer by so much. */
#define TRUTH_ERROR 1e-6

enum {
	EDITIONS = 3,
	DIM = 128,
	TRUTH = 100,
	K = 10,
	QUERIES = 50,
	FURTHER = TEST_SANITIZED ? 1 << 30
				 : 6, /* one in so many vectors more is put */
	CHUNK = 500,		      /* lines of a delta in one commit */
	COMMITS = 64,
	TEXT_ROOM = 192,
	AGAIN = 200 /* entities and edges put once more */
};

struct entry {
	json_t *json;
	uint64_t born; /* the commit that wrote it */
	int has_vector;
	int is_gone; /* while an edition is made */
};

struct arc {
	char *text; /* "source relation target" */
	uint64_t born;
	int is_gone;
	int seen; /* in which directions, by whoever compares */
};

struct edition {
	const char *name;
	struct entry *entries; /* by key */
	size_t entry_count;
	struct arc *arcs; /* by text */
	size_t arc_count;
	uint64_t commit; /* that completes it */
};

struct count {
	uint64_t entities;
	uint64_t edges;
};

/* How many lines of the deltas write an entity. */
struct writing {
	const char *key;
	int lines;
};

struct world {
	struct fixture f;
	struct edition editions[EDITIONS];
	json_t *deltas[EDITIONS];     /* lines; of the first there are none */
	struct count counts[COMMITS]; /* as of each commit */
	uint64_t newest;
	struct writing *writings; /* by key, once the last edition is made */
	size_t writing_count;
	char **texts; /* all that were copied */
	size_t text_count;
	char **rows; /* keys of vectors, in order of rows */
	size_t row_count;
	float *vectors;
	unsigned char *is_put; /* by row */
	unsigned char *dies;   /* by row: some delta deletes its entity */
	int32_t *queries;      /* rows */
	int32_t *truth;
	size_t chosen[QUERIES]; /* of the queries */
	int wrong;
};

#define note(w, ...)                                                           \
	do {                                                                   \
		if ((w)->wrong++ < 5)                                          \
			diag(__VA_ARGS__);                                     \
	} while (0)

static char *text_keep(struct world *w, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		bail_out("no memory");
	w->texts = corpus_grown(w->texts, w->text_count, sizeof *w->texts);
	w->texts[w->text_count++] = copy;
	return copy;
}

/* Of structs that begin with one, too. */
static int text_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ---- vectors ------------------------------------------------------------ */

static void vectors_load(struct world *w)
{
	struct corpus_file file;
	size_t bytes;
	uint16_t *halves = data_npy("oewn/oewn2022_lsa128_f16.npy", &bytes);
	char *line;

	w->vectors = malloc(bytes * 2);
	if (!w->vectors)
		bail_out("no memory");
	for (size_t i = 0; i < bytes / 2; i++)
		w->vectors[i] = half_decode(halves[i]);
	free(halves);
	corpus_open(&file, "oewn/oewn2022_lsa128_ids.txt");
	while ((line = corpus_line(&file))) {
		w->rows = corpus_grown(w->rows, w->row_count, sizeof *w->rows);
		w->rows[w->row_count++] = text_keep(w, line);
	}
	corpus_close(&file);
	if (w->row_count != bytes / 2 / DIM)
		bail_out("%zu keys of %zu vectors", w->row_count,
			 bytes / 2 / DIM);
}

static void deleted_mark(struct world *w)
{
	json_t *line;
	size_t i;

	for (int e = 1; e < EDITIONS; e++)
		json_array_foreach(w->deltas[e], i, line)
		{
			if (strcmp(corpus_text(line, "op"), "del_entity") != 0)
				continue;
			for (size_t row = 0; row < w->row_count; row++)
				if (!strcmp(w->rows[row], corpus_key(line)))
					w->dies[row] = 1;
		}
}

/* Whether some of a query's nearest are deleted later. */
static int truth_dies(const struct world *w, size_t query)
{
	for (size_t k = 0; k < K; k++)
		if (w->dies[w->truth[query * TRUTH + k]])
			return 1;
	return 0;
}

/* Those first whose answers change. */
static void queries_choose(struct world *w, size_t count)
{
	size_t chosen = 0;
	size_t dying;

	for (size_t i = 0; i < count && chosen < QUERIES; i++)
		if (truth_dies(w, i))
			w->chosen[chosen++] = i;
	dying = chosen;
	for (size_t i = 0; i < count && chosen < QUERIES; i++)
		if (!truth_dies(w, i))
			w->chosen[chosen++] = i;
	diag("of %d queries %zu had a near one that is deleted later", QUERIES,
	     dying);
}

static void vectors_choose(struct world *w)
{
	size_t bytes;

	w->is_put = calloc(w->row_count, 1);
	w->dies = calloc(w->row_count, 1);
	if (!w->is_put || !w->dies)
		bail_out("no memory");
	deleted_mark(w);
	w->truth =
	    data_npy("oewn/oewn2022_lsa128_gt_cos_top100_i32.npy", &bytes);
	w->queries =
	    data_npy("oewn/oewn2022_lsa128_query_rows_i32.npy", &bytes);
	queries_choose(w, bytes / sizeof *w->queries);
	for (size_t i = 0; i < w->row_count; i++)
		w->is_put[i] = w->dies[i] || i % FURTHER == 0;
	for (size_t i = 0; i < QUERIES; i++) {
		w->is_put[w->queries[w->chosen[i]]] = 1;
		for (size_t k = 0; k < TRUTH; k++)
			w->is_put[w->truth[w->chosen[i] * TRUTH + k]] = 1;
	}
}

/* ---- editions ----------------------------------------------------------- */

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;

	return strcmp(corpus_key(x->json), corpus_key(y->json));
}

static int entry_key_compare(const void *key, const void *entry)
{
	return strcmp(key, corpus_key(((const struct entry *)entry)->json));
}

/* Among the first `count`, which are sorted. */
static struct entry *entry_find(const struct edition *edition, size_t count,
				const char *key)
{
	return bsearch(key, edition->entries, count, sizeof *edition->entries,
		       entry_key_compare);
}

static struct arc *arc_find(const struct edition *edition, size_t count,
			    const char *text)
{
	return bsearch(&text, edition->arcs, count, sizeof *edition->arcs,
		       text_compare);
}

static void entry_add(struct edition *edition, struct entry entry)
{
	edition->entries = corpus_grown(edition->entries, edition->entry_count,
					sizeof *edition->entries);
	edition->entries[edition->entry_count++] = entry;
}

static void arc_add(struct edition *edition, struct arc arc)
{
	edition->arcs = corpus_grown(edition->arcs, edition->arc_count,
				     sizeof *edition->arcs);
	edition->arcs[edition->arc_count++] = arc;
}

static void arc_text(char *text, const char *source, const char *relation,
		     const char *target)
{
	if (snprintf(text, TEXT_ROOM, "%s %s %s", source, relation, target) >=
	    TEXT_ROOM)
		bail_out("an edge has too long a text");
}

static void edition_sort(struct edition *edition)
{
	qsort(edition->entries, edition->entry_count, sizeof *edition->entries,
	      entry_compare);
	qsort(edition->arcs, edition->arc_count, sizeof *edition->arcs,
	      text_compare);
	for (size_t i = 1; i < edition->entry_count; i++)
		if (!entry_compare(&edition->entries[i - 1],
				   &edition->entries[i]))
			bail_out("%s has an entity twice", edition->name);
	for (size_t i = 1; i < edition->arc_count; i++)
		if (!text_compare(&edition->arcs[i - 1], &edition->arcs[i]))
			bail_out("%s has an edge twice", edition->name);
}

/* The one before, to be changed into the next. */
static void edition_copy(struct edition *to, const struct edition *from)
{
	for (size_t i = 0; i < from->entry_count; i++) {
		entry_add(to, from->entries[i]);
		json_incref(from->entries[i].json);
	}
	for (size_t i = 0; i < from->arc_count; i++)
		arc_add(to, from->arcs[i]);
}

/* Takes out what is gone. */
static void edition_pack(struct edition *edition)
{
	size_t entries = 0;
	size_t arcs = 0;

	for (size_t i = 0; i < edition->entry_count; i++)
		if (edition->entries[i].is_gone)
			json_decref(edition->entries[i].json);
		else
			edition->entries[entries++] = edition->entries[i];
	for (size_t i = 0; i < edition->arc_count; i++)
		if (!edition->arcs[i].is_gone)
			edition->arcs[arcs++] = edition->arcs[i];
	edition->entry_count = entries;
	edition->arc_count = arcs;
}

static void entities_load(struct edition *edition)
{
	struct corpus_file file;
	json_t *json;

	corpus_open(&file, "oewn/oewn2022_nodes.jsonl.gz");
	while ((json = corpus_json(&file)))
		entry_add(edition, (struct entry){.json = json});
	corpus_close(&file);
}

/* "source,type,target", none of which is ever quoted. */
static void edges_load(struct world *w, struct edition *edition)
{
	struct corpus_file file;
	char *line;

	corpus_open(&file, "oewn/oewn2022_edges.csv.gz");
	if (!corpus_line(&file))
		bail_out("there are no edges");
	while ((line = corpus_line(&file))) {
		for (char *at = line; *at; at++)
			if (*at == ',')
				*at = ' ';
		arc_add(edition, (struct arc){.text = text_keep(w, line)});
	}
	corpus_close(&file);
}

static json_t *delta_load(const char *name)
{
	struct corpus_file file;
	json_t *lines = json_array();
	json_t *line;

	corpus_open(&file, name);
	while ((line = corpus_json(&file)))
		json_array_append_new(lines, line);
	corpus_close(&file);
	return lines;
}

/* ---- commits ------------------------------------------------------------ */

static void edge_put(cop_write *write, const char *text)
{
	char part[3][TEXT_ROOM];

	if (sscanf(text, "%191s %191s %191s", part[0], part[1], part[2]) != 3)
		bail_out("an edge has another shape: %s", text);
	must(link_simple(write, part[0], part[1], part[2]), "edge");
}

static void commit(struct world *w, cop_write *write, struct count now)
{
	w->newest++;
	if (commit_of(write) != w->newest || w->newest == COMMITS)
		bail_out("a commit has another number");
	w->counts[w->newest] = now;
}

/* Entities in two commits, then the edges. */
static void first_entities_put(struct world *w, struct edition *first)
{
	cop_write *write = write_of(&w->f);
	size_t half = first->entry_count / 2;
	size_t row = 0;

	for (size_t i = 0; i < first->entry_count; i++) {
		struct entry *entry = &first->entries[i];
		const float *vector = NULL;

		/* rows are in order of lines, a few of which have none */
		if (row < w->row_count &&
		    !strcmp(w->rows[row], corpus_key(entry->json))) {
			if (w->is_put[row])
				vector = w->vectors + row * DIM;
			row++;
		}
		entry->has_vector = vector != NULL;
		entry->born = w->newest + 1;
		corpus_put(write, entry->json, vector, DIM);
		if (i == half) {
			commit(w, write, (struct count){i + 1, 0});
			write = write_of(&w->f);
		}
	}
	if (row != w->row_count)
		bail_out("vectors are in another order than lines");
	commit(w, write, (struct count){first->entry_count, 0});
}

static void first_edition_commit(struct world *w)
{
	struct edition *first = &w->editions[0];
	cop_write *write;

	first_entities_put(w, first);
	write = write_of(&w->f);
	for (size_t i = 0; i < first->arc_count; i++) {
		edge_put(write, first->arcs[i].text);
		first->arcs[i].born = w->newest + 1;
	}
	commit(w, write, (struct count){first->entry_count, first->arc_count});
	first->commit = w->newest;
	edition_sort(first);
}

/* ---- deltas ------------------------------------------------------------- */

/* An edition while it is made: what it has of the one before is sorted. */
struct making {
	struct world *w;
	struct edition *edition;
	size_t old_entries; /* the sorted part */
	size_t old_arcs;
	struct count now;
};

static void entity_line(struct making *m, cop_write *write, const char *op,
			const json_t *line)
{
	struct world *w = m->w;
	json_t *json = json_object_get(line, "entity");
	const char *key = corpus_key(json);
	struct entry *old = entry_find(m->edition, m->old_entries, key);
	uint64_t born = w->newest + 1;

	if ((old && !old->is_gone) != !strcmp(op, "update_entity"))
		bail_out("%s of %s", op, key);
	corpus_put(write, json, NULL, 0);
	w->writings =
	    corpus_grown(w->writings, w->writing_count, sizeof *w->writings);
	w->writings[w->writing_count++] = (struct writing){key, 1};
	json_incref(json);
	if (old && !old->is_gone) {
		json_decref(old->json);
		old->json = json;
		old->born = born;
		return;
	}
	entry_add(m->edition, (struct entry){.json = json, .born = born});
	m->now.entities++;
}

static void entity_delete(struct making *m, cop_write *write, const char *key)
{
	struct entry *old = entry_find(m->edition, m->old_entries, key);

	if (!old || old->is_gone)
		bail_out("%s is deleted, but is not there", key);
	must(cop_delete(write, key, strlen(key)), "delete");
	old->is_gone = 1;
	m->now.entities--;
}

/* The deltas name each edge of what they delete themselves. */
static void edge_line(struct making *m, cop_write *write, const char *op,
		      const json_t *line)
{
	const char *source = corpus_text(line, "source");
	const char *relation = corpus_text(line, "type");
	const char *target = corpus_text(line, "target");
	char text[TEXT_ROOM];
	struct arc *old;

	arc_text(text, source, relation, target);
	old = arc_find(m->edition, m->old_arcs, text);
	if ((old && !old->is_gone) != !strcmp(op, "del_edge"))
		bail_out("%s of %s", op, text);
	if (old && !old->is_gone) {
		must(cop_delete_edge(write, source, strlen(source), relation,
				     strlen(relation), target, strlen(target)),
		     "delete");
		old->is_gone = 1;
		m->now.edges--;
		return;
	}
	must(link_simple(write, source, relation, target), "edge");
	arc_add(m->edition, (struct arc){.text = text_keep(m->w, text),
					 .born = m->w->newest + 1});
	m->now.edges++;
}

static void line_apply(struct making *m, cop_write *write, const json_t *line)
{
	const char *op = corpus_text(line, "op");

	if (!strcmp(op, "add_entity") || !strcmp(op, "update_entity"))
		entity_line(m, write, op, line);
	else if (!strcmp(op, "add_edge") || !strcmp(op, "del_edge"))
		edge_line(m, write, op, line);
	else if (!strcmp(op, "del_entity"))
		entity_delete(m, write, corpus_key(line));
	else
		bail_out("a line does %s", op);
}

static void edition_make(struct world *w, int number)
{
	struct edition *last = &w->editions[number - 1];
	struct edition *edition = &w->editions[number];
	struct making m = {.w = w,
			   .edition = edition,
			   .old_entries = last->entry_count,
			   .old_arcs = last->arc_count,
			   .now = w->counts[w->newest]};
	cop_write *write = write_of(&w->f);
	json_t *line;
	size_t i;

	edition_copy(edition, last);
	json_array_foreach(w->deltas[number], i, line)
	{
		if (i && i % CHUNK == 0) {
			commit(w, write, m.now);
			write = write_of(&w->f);
		}
		line_apply(&m, write, line);
	}
	commit(w, write, m.now);
	edition->commit = w->newest;
	edition_pack(edition);
	edition_sort(edition);
	diag("%s: %zu entities, %zu edges, as of commit %llu", edition->name,
	     edition->entry_count, edition->arc_count,
	     (unsigned long long)edition->commit);
}

static void writings_sum(struct world *w)
{
	size_t count = 0;

	qsort(w->writings, w->writing_count, sizeof *w->writings, text_compare);
	for (size_t i = 0; i < w->writing_count; i++)
		if (count &&
		    !text_compare(&w->writings[count - 1], &w->writings[i]))
			w->writings[count - 1].lines++;
		else
			w->writings[count++] = w->writings[i];
	w->writing_count = count;
}

static void world_load(struct world *w)
{
	static const char *const names[EDITIONS] = {"2022", "2023", "2024"};

	for (int i = 0; i < EDITIONS; i++)
		w->editions[i].name = names[i];
	w->deltas[1] = delta_load("oewn/oewn_delta_2023.jsonl.gz");
	w->deltas[2] = delta_load("oewn/oewn_delta_2024.jsonl.gz");
	vectors_load(w);
	vectors_choose(w);
	entities_load(&w->editions[0]);
	edges_load(w, &w->editions[0]);
}

static void world_release(struct world *w)
{
	for (int e = 0; e < EDITIONS; e++) {
		struct edition *edition = &w->editions[e];

		for (size_t i = 0; i < edition->entry_count; i++)
			json_decref(edition->entries[i].json);
		free(edition->entries);
		free(edition->arcs);
		json_decref(w->deltas[e]);
	}
	for (size_t i = 0; i < w->text_count; i++)
		free(w->texts[i]);
	free(w->texts);
	free(w->writings);
	free(w->rows);
	free(w->vectors);
	free(w->is_put);
	free(w->dies);
	free(w->queries);
	free(w->truth);
}

/* ---- contents ----------------------------------------------------------- */

struct comparing {
	struct world *w;
	struct edition *edition;
	size_t next; /* of the entries */
	size_t arcs;
	int direction;
};

static void edge_name(cop_read *read, const struct cop_edge *edge, char *text)
{
	char part[3][TEXT_ROOM];
	const void *data[3];
	const char *relation;
	size_t size[3];

	must(cop_key(read, edge->source, &data[0], &size[0]), "key");
	must(cop_name(read, edge->relation, &relation, &size[1]), "name");
	must(cop_key(read, edge->target, &data[2], &size[2]), "key");
	data[1] = relation;
	for (int i = 0; i < 3; i++) {
		if (size[i] >= TEXT_ROOM)
			bail_out("a key or name that is not in the data");
		memcpy(part[i], data[i], size[i]);
		part[i][size[i]] = '\0';
	}
	arc_text(text, part[0], part[1], part[2]);
}

static int32_t edge_seen(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	struct comparing *c = user;
	char text[TEXT_ROOM];
	struct arc *arc;

	edge_name(read, edge, text);
	arc = arc_find(c->edition, c->edition->arc_count, text);
	if (!arc || arc->seen & c->direction || arc->born != edge->version ||
	    edge->property_count || edge->discriminator ||
	    edge->valid.from.seconds != INT64_MIN ||
	    edge->valid.to.seconds != INT64_MAX)
		note(c->w, "%s has an edge %s", c->edition->name, text);
	if (arc)
		arc->seen |= c->direction;
	c->arcs++;
	return 0;
}

/* In order of keys, as the model is. */
static int32_t entity_seen(void *user, cop_read *read,
			   const struct cop_entity *entity)
{
	struct comparing *c = user;
	const struct entry *entry = &c->edition->entries[c->next];
	const float *vector;

	if (c->next == c->edition->entry_count) {
		note(c->w, "%s has an entity too many", c->edition->name);
		return 0;
	}
	c->next++;
	if (!corpus_is(read, entity, entry->json) ||
	    entity->version != entry->born)
		note(c->w, "%s has another entity %.*s", c->edition->name,
		     (int)entity->key_size, (const char *)entity->key);
	must(cop_vector(read, entity->id, &vector), "vector");
	if ((vector != NULL) != entry->has_vector)
		note(c->w, "%s has another vector of %s", c->edition->name,
		     corpus_key(entry->json));
	for (c->direction = COP_OUT; c->direction <= COP_IN; c->direction++)
		must(cop_edges(read, entity->id, c->direction, edge_seen, c),
		     "edges");
	return 0;
}

static uint64_t vector_count(const struct edition *edition)
{
	uint64_t count = 0;

	for (size_t i = 0; i < edition->entry_count; i++)
		count += edition->entries[i].has_vector != 0;
	return count;
}

static void contents_compare(struct world *w, cop_read *read,
			     struct edition *edition)
{
	struct comparing c = {.w = w, .edition = edition};
	struct cop_stats stats = {.size = sizeof stats};

	w->wrong = 0;
	for (size_t i = 0; i < edition->arc_count; i++)
		edition->arcs[i].seen = 0;
	must(cop_keys(read, NULL, 0, entity_seen, &c), "keys");
	ok(!w->wrong && c.next == edition->entry_count &&
	       c.arcs == 2 * edition->arc_count,
	   "as of %s: all %zu entities and %zu edges of the edition, both "
	   "ways, "
	   "and no others",
	   edition->name, c.next, c.arcs / 2);
	must(cop_stat(read, &stats), "stat");
	ok(stats.entities == edition->entry_count &&
	       stats.edges == edition->arc_count &&
	       stats.vectors == vector_count(edition),
	   "as of %s: that is what the figures say", edition->name);
}

/* Of every entity of all editions whether this one has it. */
static void presence_compare(struct world *w, cop_read *read,
			     const struct edition *edition)
{
	size_t gone = 0;

	w->wrong = 0;
	for (int e = 0; e < EDITIONS; e++)
		for (size_t i = 0; i < w->editions[e].entry_count; i++) {
			const char *key =
			    corpus_key(w->editions[e].entries[i].json);
			const struct entry *entry =
			    entry_find(edition, edition->entry_count, key);
			struct cop_entity entity;

			must(cop_get(read, key, strlen(key), &entity), "get");
			gone += !entry;
			if ((entity.id != 0) != (entry != NULL) ||
			    (entry && entity.version != entry->born))
				note(w, "as of %s %s is another", edition->name,
				     key);
		}
	ok(!w->wrong && gone,
	   "as of %s: by key, too; %zu that other editions have are not there",
	   edition->name, gone);
}

static void every_edition_is_itself(struct world *w)
{
	cop_read *read = read_of(&w->f);

	/* not in their order */
	for (int i = 0; i < EDITIONS; i++) {
		struct edition *edition = &w->editions[(i + 1) % EDITIONS];

		must(cop_read_as_of(read, edition->commit), "as of");
		contents_compare(w, read, edition);
		presence_compare(w, read, edition);
	}
	cop_read_end(read);
}

static void every_commit_counts(struct world *w)
{
	cop_read *read = read_of(&w->f);

	w->wrong = 0;
	for (uint64_t i = 0; i <= w->newest; i++) {
		struct cop_commit_info info = {.size = sizeof info};

		must(cop_commit_info(read, i, &info), "info");
		if (info.entities != w->counts[i].entities ||
		    info.edges != w->counts[i].edges)
			note(w, "commit %llu has other figures",
			     (unsigned long long)i);
	}
	cop_read_end(read);
	ok(!w->wrong && w->newest > 10,
	   "each of %llu commits has as many entities and edges as the lines "
	   "so far say",
	   (unsigned long long)w->newest);
}

/* ---- differences -------------------------------------------------------- */

struct texts {
	struct world *w;
	char **items;
	size_t count;
};

static void text_add(struct texts *texts, int how, int what, const char *name)
{
	char text[TEXT_ROOM + 8];

	snprintf(text, sizeof text, "%d %d %s", what, how, name);
	texts->items =
	    corpus_grown(texts->items, texts->count, sizeof *texts->items);
	texts->items[texts->count++] = text_keep(texts->w, text);
}

static int32_t difference_seen(void *user, cop_read *read,
			       const struct cop_difference *difference)
{
	struct cop_edge edge = {.source = difference->id,
				.target = difference->target,
				.relation = difference->relation};
	char name[TEXT_ROOM];
	const void *key;
	size_t size;

	must(cop_key(read, difference->id, &key, &size), "key");
	if (size >= sizeof name || difference->discriminator)
		bail_out("a difference of nobody");
	memcpy(name, key, size);
	name[size] = '\0';
	if (difference->what == COP_EDGE)
		edge_name(read, &edge, name);
	text_add(user, difference->how, difference->what, name);
	return 0;
}

static void entry_differs(struct texts *want, const struct entry *from,
			  const struct entry *to)
{
	const char *key = corpus_key(from ? from->json : to->json);

	if (!from || !to)
		text_add(want, from ? COP_REMOVED : COP_ADDED, COP_ENTITY, key);
	else if (!json_equal(from->json, to->json))
		text_add(want, COP_CHANGED, COP_ENTITY, key);
	if ((from && from->has_vector) != (to && to->has_vector))
		text_add(want, from ? COP_REMOVED : COP_ADDED, COP_VECTOR, key);
}

/* Both are sorted: whoever is alone at its place differs. */
static void differences_wanted(struct texts *want, const struct edition *from,
			       const struct edition *to)
{
	size_t i = 0;
	size_t k = 0;

	while (i < from->entry_count || k < to->entry_count) {
		const struct entry *a = &from->entries[i];
		const struct entry *b = &to->entries[k];
		int way = i == from->entry_count ? 1
			  : k == to->entry_count ? -1
						 : entry_compare(a, b);

		entry_differs(want, way <= 0 ? a : NULL, way >= 0 ? b : NULL);
		i += way <= 0;
		k += way >= 0;
	}
	for (i = 0, k = 0; i < from->arc_count || k < to->arc_count;) {
		const struct arc *a = &from->arcs[i];
		const struct arc *b = &to->arcs[k];
		int way = i == from->arc_count ? 1
			  : k == to->arc_count ? -1
					       : text_compare(a, b);

		if (way)
			text_add(want, way < 0 ? COP_REMOVED : COP_ADDED,
				 COP_EDGE, way < 0 ? a->text : b->text);
		i += way <= 0;
		k += way >= 0;
	}
}

static int texts_same(struct texts *a, struct texts *b)
{
	size_t i = 0;

	qsort(a->items, a->count, sizeof *a->items, text_compare);
	qsort(b->items, b->count, sizeof *b->items, text_compare);
	while (i < a->count && i < b->count &&
	       !strcmp(a->items[i], b->items[i]))
		i++;
	if (i < a->count)
		diag("told, wrongly or not in its place: %s", a->items[i]);
	if (i < b->count)
		diag("wanted, or not in its place: %s", b->items[i]);
	return a->count == b->count && i == a->count;
}

static void differences_compare(struct world *w, cop_read *read, int from,
				int to)
{
	const struct edition *a = &w->editions[from];
	const struct edition *b = &w->editions[to];
	struct texts got = {.w = w};
	struct texts want = {.w = w};

	differences_wanted(&want, a, b);
	must(cop_diff(read, a->commit, b->commit, difference_seen, &got),
	     "diff");
	ok(got.count && texts_same(&got, &want),
	   "%s differs from %s by the %zu entities, vectors and edges that the "
	   "files say",
	   a->name, b->name, want.count);
	free(got.items);
	free(want.items);
}

static void differences_are_the_deltas(struct world *w)
{
	cop_read *read = read_of(&w->f);

	differences_compare(w, read, 0, 1);
	differences_compare(w, read, 1, 2);
	differences_compare(w, read, 0, 2);
	cop_read_end(read);
}

/* ---- versions ----------------------------------------------------------- */

struct life {
	struct world *w;
	const char *key;
	uint64_t later; /* when the version told before was born */
	int versions;
};

/* In every edition of its time an entity is what that version is. */
static int32_t version_seen(void *user, cop_read *read,
			    const struct cop_version *version,
			    const struct cop_entity *entity)
{
	struct life *life = user;
	struct world *w = life->w;
	uint64_t end = version->died ? version->died : UINT64_MAX;

	if (end > life->later || version->born >= end)
		note(w, "a version of %s overlaps the next", life->key);
	for (int e = 0; e < EDITIONS; e++) {
		const struct edition *edition = &w->editions[e];
		const struct entry *entry =
		    entry_find(edition, edition->entry_count, life->key);

		if (edition->commit < version->born || edition->commit >= end)
			continue;
		if (!entry || entry->born != version->born ||
		    !corpus_is(read, entity, entry->json))
			note(w, "a version of %s was not so in %s", life->key,
			     edition->name);
	}
	life->later = version->born;
	life->versions++;
	return 0;
}

static void versions_are_lines(struct world *w)
{
	const struct edition *first = &w->editions[0];
	cop_read *read = read_of(&w->f);
	int most = 0;

	w->wrong = 0;
	for (size_t i = 0; i < w->writing_count; i++) {
		const struct writing *writing = &w->writings[i];
		struct life life = {w, writing->key, UINT64_MAX, 0};
		int lines =
		    writing->lines +
		    (entry_find(first, first->entry_count, life.key) != NULL);
		uint64_t id;

		must(cop_id(read, life.key, strlen(life.key), &id), "id");
		must(cop_history(read, id, version_seen, &life), "history");
		if (life.versions != lines)
			note(w, "%s has %d versions, not %d", life.key,
			     life.versions, lines);
		most = lines > most ? lines : most;
	}
	cop_read_end(read);
	ok(!w->wrong && most == EDITIONS,
	   "%zu entities that the deltas write have as many versions as lines, "
	   "up to %d, each as its line",
	   w->writing_count, most);
}

/* ---- search ------------------------------------------------------------- */

static double cosine(const float *a, const float *b)
{
	double ab = 0;
	double aa = 0;
	double bb = 0;

	for (int d = 0; d < DIM; d++) {
		ab += (double)a[d] * (double)b[d];
		aa += (double)a[d] * (double)a[d];
		bb += (double)b[d] * (double)b[d];
	}
	return 1 - ab / sqrt(aa * bb);
}

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int row_is_in(const struct world *w, const struct edition *edition,
		     size_t row)
{
	const struct entry *entry =
	    entry_find(edition, edition->entry_count, w->rows[row]);

	return entry && entry->has_vector;
}

/* Distances of the nearest by the truth, of those that the edition has. */
static void nearest_wanted(const struct world *w, const struct edition *edition,
			   size_t query, double *wants)
{
	const float *vector = w->vectors + (size_t)w->queries[query] * DIM;
	size_t count = 0;

	for (size_t k = 0; k < TRUTH && count < K; k++) {
		size_t row = (size_t)w->truth[query * TRUTH + k];

		if (row_is_in(w, edition, row))
			wants[count++] = cosine(vector, w->vectors + row * DIM);
	}
	if (count < K)
		bail_out("the truth does not go that far");
	qsort(wants, K, sizeof *wants, double_compare);
}

static int query_agrees(struct world *w, cop_read *read,
			const struct edition *edition, size_t query,
			uint64_t exclude)
{
	size_t row = (size_t)w->queries[query];
	struct cop_search search = {.size = sizeof search,
				    .k = K,
				    .vector = w->vectors + row * DIM,
				    .exact = 1,
				    .strategy = COP_SCAN,
				    .exclude = exclude};
	struct cop_hit hits[K];
	double wants[K];
	uint32_t found;
	int same = 1;

	nearest_wanted(w, edition, query, wants);
	must(cop_search(read, &search, hits, &found), "search");
	for (uint32_t k = 0; k < found; k++) {
		double off = hits[k].distance - wants[k];
		struct cop_entity entity;

		must(cop_get_id(read, hits[k].id, &entity), "get");
		same &=
		    entity.id && off <= 1e-12 && off >= -1e-12 - TRUTH_ERROR;
	}
	return same && found == K;
}

static void searches_agree(struct world *w, const char *what)
{
	cop_read *read = read_of(&w->f);

	for (int e = 0; e < EDITIONS; e++) {
		const struct edition *edition = &w->editions[e];
		int agree = 0;

		for (size_t i = 0; i < QUERIES; i++) {
			const char *key = w->rows[w->queries[w->chosen[i]]];
			uint64_t id;

			must(cop_id(read, key, strlen(key), &id), "id");
			must(cop_read_as_of(read, edition->commit), "as of");
			agree +=
			    query_agrees(w, read, edition, w->chosen[i], id);
		}
		is_int(agree, QUERIES,
		       "as of %s, %s: the nearest are those of the truth",
		       edition->name, what);
	}
	cop_read_end(read);
}

/* The K least distances of those that the edition has, by trying all. */
static void nearest_tried(const struct world *w, const struct edition *edition,
			  size_t query, double *wants)
{
	const float *vector = w->vectors + query * DIM;
	double *all = malloc(w->row_count * sizeof *all);
	size_t count = 0;

	if (!all)
		bail_out("no memory");
	for (size_t row = 0; row < w->row_count; row++)
		if (w->is_put[row] &&
		    (!w->dies[row] || row_is_in(w, edition, row)))
			all[count++] = cosine(vector, w->vectors + row * DIM);
	qsort(all, count, sizeof *all, double_compare);
	memcpy(wants, all, K * sizeof *wants);
	free(all);
}

/* What is found by the vector of an entity that some delta deletes. */
static int deleted_agrees(struct world *w, cop_read *read,
			  const struct edition *edition, size_t row)
{
	struct cop_search search = {.size = sizeof search,
				    .k = K,
				    .vector = w->vectors + row * DIM,
				    .exact = 1};
	struct cop_hit hits[K];
	double wants[K];
	uint32_t found;
	uint64_t id;
	int itself = 0;
	int same = 1;

	nearest_tried(w, edition, row, wants);
	must(cop_id(read, w->rows[row], strlen(w->rows[row]), &id), "id");
	must(cop_search(read, &search, hits, &found), "search");
	for (uint32_t k = 0; k < found; k++) {
		same &= fabs(hits[k].distance - wants[k]) <= 1e-12;
		itself |= hits[k].id == id;
	}
	return same && found == K && itself == row_is_in(w, edition, row);
}

static void deleted_are_found_while_they_were(struct world *w, const char *what)
{
	cop_read *read = read_of(&w->f);

	for (int e = 0; e < EDITIONS; e++) {
		const struct edition *edition = &w->editions[e];
		int there = 0;
		int agree = 0;
		int all = 0;

		must(cop_read_as_of(read, edition->commit), "as of");
		for (size_t row = 0; row < w->row_count; row++) {
			if (!w->dies[row])
				continue;
			all++;
			there += row_is_in(w, edition, row);
			agree += deleted_agrees(w, read, edition, row);
		}
		ok(all > 0 && agree == all,
		   "as of %s, %s: by the vectors of %d that are ever deleted, "
		   "the nearest are right, %d of these among them",
		   edition->name, what, all, there);
	}
	cop_read_end(read);
}

/* ---- once more ---------------------------------------------------------- */

static int32_t difference_counted(void *user, cop_read *read,
				  const struct cop_difference *difference)
{
	(void)read;
	(void)difference;
	++*(int *)user;
	return 0;
}

static int32_t version_counted(void *user, cop_read *read,
			       const struct cop_version *version,
			       const struct cop_entity *entity)
{
	(void)read;
	(void)version;
	(void)entity;
	++*(int *)user;
	return 0;
}

/* The files have no line that changes nothing, so here are some. */
static void what_is_put_as_it_was_differs_not(struct world *w)
{
	const struct edition *last = &w->editions[EDITIONS - 1];
	size_t step = last->entry_count / AGAIN;
	cop_write *write = write_of(&w->f);
	cop_read *read;
	int differences = 0;
	int before = 0;
	int after = 0;

	for (size_t i = 0; i < AGAIN; i++) {
		corpus_put(write, last->entries[i * step].json, NULL, 0);
		edge_put(write, last->arcs[i * step].text);
	}
	commit(w, write, w->counts[w->newest]);
	read = read_of(&w->f);
	must(cop_diff(read, w->newest - 1, w->newest, difference_counted,
		      &differences),
	     "diff");
	is_int(differences, 0, "what is put as it was is no difference");
	for (size_t i = 0; i < AGAIN; i++) {
		const char *key = corpus_key(last->entries[i * step].json);
		uint64_t id = lookup(read, key);

		must(cop_history(read, id, version_counted, &after), "history");
		must(cop_read_as_of(read, w->newest - 1), "as of");
		must(cop_history(read, id, version_counted, &before),
		     "history");
		must(cop_read_as_of(read, w->newest), "as of");
	}
	is_int(after, before + AGAIN, "but it is a version");
	cop_read_end(read);
}

int main(void)
{
	static struct world w;

	test_begin(TEST_SANITIZED ? 600 : 300);
	world_load(&w);
	fixture_init(&w.f, DIM, COP_COSINE);
	first_edition_commit(&w);
	edition_make(&w, 1);
	edition_make(&w, 2);
	writings_sum(&w);
	every_commit_counts(&w);
	every_edition_is_itself(&w);
	differences_are_the_deltas(&w);
	versions_are_lines(&w);
	searches_agree(&w, "as committed");
	deleted_are_found_while_they_were(&w, "as committed");
	fixture_close(&w.f);
	must(cop_detach(w.f.path), "detach");
	fixture_open(&w.f);
	searches_agree(&w, "opened anew");
	deleted_are_found_while_they_were(&w, "opened anew");
	what_is_put_as_it_was_differs_not(&w);
	is_u64(findings_of(w.f.store), 0, "the store is whole");
	fixture_release(&w.f);
	world_release(&w);
	return done_testing();
}

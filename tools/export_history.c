/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history: NDJSON of what a store was at each commit that it keeps, such that
 * an import into an empty store makes one with the same history.
 *
 * layout
 *	{"commit":1}, then all that there was as of the first commit, and for
 *	each commit after it that changed something {"commit":2} and so on, then
 *	what changed: entities and edges that were put, as ever;
 *	{"set":{"key":..,"vector":..}}, one whose vector alone is another;
 *	{"delete":{"source":..,"relation":..,"target":..}} and
 *	{"delete":{"key":..}}.  Each part is in order of texts.  Large content
 *	has lines before its entity's (part.c), and none where that had it
 *	before: it keeps it.
 *
 * idea
 *	Numbers are of the dump, so that a store that was made from it has the
 *	same: commits of nothing that is exported, and those that are not kept
 *	any more, are not counted.  A commit's changes are in memory at once, of
 *	the first one nothing.
 *
 * limits
 *	Large content comes in by commits of its own, so a store into which such
 *	a dump is imported has other numbers, and only its dump the same ones.
 *	When commits were made is not told: an import makes them anew.  Rules of
 *	retention and marks are not history.
 */
#include "export.h"
#include "out.h"
#include "part.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The parts of a commit, in their order. */
enum part { PART_PUT, PART_SET, PART_EDGE, PART_CUT, PART_DELETE };

struct text {
	const char *data;
	size_t size;
};

struct changed {
	enum part part;
	struct cop_difference what;
	int has_vector; /* which is another, too; an entity's */
	struct text key, relation, target;
};

struct history {
	struct exporter *run;
	struct changed *items;
	size_t count, room;
	uint64_t number;  /* of the commit in the dump */
	uint64_t commit;  /* that is written */
	cop_read *before; /* as of the one before it, where that is asked */
	cop_err err;	  /* from inside a visit */
};

/* ---- what a commit changed ---------------------------------------------- */

static int text_compare(const struct text *a, const struct text *b)
{
	return export_text_compare(a->data, a->size, b->data, b->size);
}

static int changed_compare(const void *a, const void *b)
{
	const struct changed *x = a;
	const struct changed *y = b;
	int order = (int)x->part - (int)y->part;

	if (!order)
		order = text_compare(&x->key, &y->key);
	if (!order)
		order = text_compare(&x->relation, &y->relation);
	if (!order)
		order = text_compare(&x->target, &y->target);
	return order ? order
		     : (x->what.discriminator > y->what.discriminator) -
			   (x->what.discriminator < y->what.discriminator);
}

static struct changed *changed_add(struct history *history)
{
	if (history->count == history->room) {
		size_t room = history->room ? history->room * 2 : 256;
		struct changed *items =
		    realloc(history->items, room * sizeof *items);

		if (!items)
			return NULL;
		history->items = items;
		history->room = room;
	}
	return &history->items[history->count++];
}

static cop_err key_of(cop_read *read, uint64_t id, struct text *out)
{
	const void *key;
	cop_err err = cop_key(read, id, &key, &out->size);

	out->data = err ? NULL : key;
	return err;
}

static enum part part_of(const struct cop_difference *what)
{
	if (what->what == COP_EDGE)
		return what->how == COP_REMOVED ? PART_CUT : PART_EDGE;
	if (what->what == COP_VECTOR)
		return PART_SET;
	return what->how == COP_REMOVED ? PART_DELETE : PART_PUT;
}

/* A vector comes after its entity, whose change may tell of it. */
static int is_told(struct history *history, const struct cop_difference *what)
{
	struct changed *last =
	    history->count ? &history->items[history->count - 1] : NULL;

	if (what->what != COP_VECTOR || !last || last->what.id != what->id ||
	    last->what.what != COP_ENTITY)
		return 0;
	last->has_vector = 1;
	return 1;
}

static int32_t difference_take(void *user, cop_read *read,
			       const struct cop_difference *what)
{
	struct history *history = user;
	struct changed *item;

	if (is_told(history, what))
		return 0;
	item = changed_add(history);
	if (!item) {
		history->err = ENOMEM;
		return 1;
	}
	*item = (struct changed){.part = part_of(what), .what = *what};
	history->err = key_of(read, what->id, &item->key);
	if (!history->err && what->what == COP_EDGE)
		history->err = key_of(read, what->target, &item->target);
	if (!history->err && what->what == COP_EDGE)
		history->err =
		    cop_name(read, what->relation, &item->relation.data,
			     &item->relation.size);
	return history->err != 0;
}

/* ---- lines -------------------------------------------------------------- */

/* Large content, unless the entity had the same before: it keeps that. */
static cop_err content_write(const struct history *history, cop_read *read,
			     const struct changed *item,
			     const struct cop_entity *entity)
{
	struct cop_entity old = {0};
	int is_same = 0;
	cop_err err = 0;

	if (entity->content_size <= PART_BYTES)
		return 0;
	if (item->what.how == COP_CHANGED) {
		err = cop_read_as_of(history->before, history->commit - 1);
		if (!err)
			err = cop_get_id(history->before, item->what.id, &old);
		if (!err)
			err = part_compare(history->before, &old, read, entity,
					   &is_same);
	}
	return err || is_same ? err : part_write(read, entity);
}

static cop_err put_write(const struct history *history, cop_read *read,
			 const struct changed *item)
{
	struct exporter *run = history->run;
	int is_whole = item->has_vector || item->what.how == COP_ADDED;
	struct cop_entity entity;
	cop_err err = cop_get_id(read, item->what.id, &entity);

	if (err)
		return err;
	err = content_write(history, read, item, &entity);
	return err ? err
		   : out_entity(run->cli->store, read, &entity,
				OUT_DUMP | (is_whole ? OUT_VECTOR : 0));
}

static cop_err set_write(struct exporter *run, cop_read *read,
			 const struct changed *item)
{
	const float *vector;
	cop_err err = cop_vector(read, item->what.id, &vector);

	if (err)
		return err;
	fputs("{\"set\":{", stdout);
	err = out_key_json(read, "key", item->what.id);
	fputs(",\"vector\":", stdout);
	if (vector)
		out_vector(vector, cop_dim(run->cli->store));
	else
		fputs("null", stdout);
	fputs("}}\n", stdout);
	return err;
}

static cop_err edge_put_write(cop_read *read, const struct changed *item)
{
	const struct cop_put_edge wanted = {
	    .size = sizeof wanted,
	    .source = item->key.data,
	    .source_size = item->key.size,
	    .relation = item->relation.data,
	    .relation_size = item->relation.size,
	    .target = item->target.data,
	    .target_size = item->target.size,
	    .discriminator = item->what.discriminator};
	struct cop_edge edge;
	cop_err err = cop_find_edge(read, &wanted, &edge);

	return err ? err : out_edge(read, &edge);
}

static cop_err delete_write(cop_read *read, const struct changed *item)
{
	const struct cop_difference *what = &item->what;
	int is_edge = what->what == COP_EDGE;
	cop_err err;

	fputs("{\"delete\":{", stdout);
	err = out_key_json(read, is_edge ? "source" : "key", what->id);
	if (is_edge && !err) {
		fputs(",\"relation\":", stdout);
		err = out_name_json(read, what->relation);
		putchar(',');
	}
	if (is_edge && !err)
		err = out_key_json(read, "target", what->target);
	if (is_edge && what->discriminator)
		printf(",\"discriminator\":%" PRIu32, what->discriminator);
	fputs("}}\n", stdout);
	return err;
}

static cop_err changed_write(const struct history *history, cop_read *read,
			     const struct changed *item)
{
	struct exporter *run = history->run;

	run->entities += item->part == PART_PUT;
	run->edges += item->part == PART_EDGE;
	switch (item->part) {
	case PART_PUT: return put_write(history, read, item);
	case PART_SET: return set_write(run, read, item);
	case PART_EDGE: return edge_put_write(read, item);
	default: return delete_write(read, item);
	}
}

static void commit_write(struct history *history)
{
	printf("{\"commit\":%" PRIu64 "}\n", ++history->number);
}

/* ---- commits ------------------------------------------------------------ */

static cop_err commit_export(struct history *history, uint64_t commit)
{
	cop_read *read = history->run->cli->read;
	cop_err err;

	history->count = 0;
	history->commit = commit;
	err = cop_diff(read, commit - 1, commit, difference_take, history);
	if (err == COP_STOPPED)
		err = history->err;
	if (!err && history->count) {
		qsort(history->items, history->count, sizeof *history->items,
		      changed_compare);
		commit_write(history);
		err = cop_read_as_of(read, commit);
	}
	for (size_t i = 0; i < history->count && !err && !out_failed(); i++)
		err = changed_write(history, read, &history->items[i]);
	return err;
}

static struct history *first; /* of the state that is being written */

static cop_err first_entity(struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	if (!first->number)
		commit_write(first);
	return export_ndjson_entity(run, read, entity);
}

static int first_export(struct history *history, uint64_t commit)
{
	struct exporter *run = history->run;
	cop_err err = cop_read_as_of(run->cli->read, commit);
	int code = err ? cli_cop(run->cli, err) : 0;

	first = history;
	if (!code)
		code = export_entities(run, first_entity);
	return code ? code : export_edges(run, export_ndjson_edge);
}

static int commits_export(struct history *history)
{
	struct cli *cli = history->run->cli;
	uint64_t newest = cop_read_commit(cli->read);
	uint64_t oldest = cop_read_oldest(cli->read);
	uint64_t from = oldest ? oldest : 1;
	int code = newest ? first_export(history, from) : 0;

	for (uint64_t commit = from + 1; !code && commit <= newest; commit++) {
		cop_err err = commit_export(history, commit);

		if (err)
			code = cli_cop(cli, err);
		else if (stop_signal())
			code = cli_stopped(cli);
		else if (out_failed())
			break;
	}
	return code;
}

int export_history(struct exporter *run)
{
	struct history history = {.run = run};
	int code = export_begin(run, "");
	cop_err err =
	    code ? 0 : cop_read_begin(run->cli->store, &history.before);

	if (err)
		code = cli_cop(run->cli, err);
	if (!code)
		code = commits_export(&history);
	cop_read_end(history.before);
	free(history.items);
	return export_end(run, code);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage: records of one commit that wait to be compared with the store.
 *
 * idea
 *	As a rule a record goes into the batch's write and is not thought of any
 *	more.  Where it matters what is there already (--on-conflict), which
 *	edges dangle (--reject, --max-bad), or nothing is to be put at all
 *	(--dry-run), it is put into the write, which checks it, and copied here.
 *	When the batch is full the write is begun anew: each record is compared
 *	with the newest commit and with the records before it, and what is to be
 *	put is put, beside a condition that what was compared is so still.
 *
 * other writers
 *	If one came between, the commit has failed (COP_CONFLICT) and all is
 *	compared again; so it is as if each record had been compared at the
 *	moment of the commit.  Two things have no condition: that a vector is
 *	absent, and that an edge's ends are there; for those the commit sees to
 *	it as ever.
 *
 * a dry run
 *	Nothing is committed, so the hash of each key that would be there is
 *	kept, 16 to 64 bytes each, and edges to entities earlier in the input do
 *	not dangle.
 *
 * stubs
 *	An entity with nothing but its key is not in the way of any record.
 *
 * limits
 *	Memory is that of a commit's records, three times.  While it is
 *	committed nothing is read.
 */
#include "stage.h"
#include "import.h"
#include "merge.h"
#include "own.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

enum {
	STAGE_TRIES = 100,
	STAGE_PAUSE_NS = 1000000,
	STAGE_SHOWN = 80,
	STAGE_CONTENTS = 8 /* uploads, each with a few MiB, of a commit */
};

static struct fault *fault_of(struct import *import)
{
	return &import->cli->fault;
}

static int no_memory(struct import *import)
{
	return fault_set(fault_of(import), EXIT_NO_SPACE, "out of memory");
}

/* ---- what waits --------------------------------------------------------- */

static struct staged *staged_new(struct import *import, int kind)
{
	struct stage *stage = &import->stage;

	if (stage->count == stage->room) {
		size_t room = stage->room ? stage->room * 2 : 1024;
		struct staged *items =
		    realloc(stage->items, room * sizeof *items);

		if (!items) {
			no_memory(import);
			return NULL;
		}
		stage->items = items;
		stage->room = room;
	}
	stage->items[stage->count] = (struct staged){.kind = kind};
	return &stage->items[stage->count++];
}

int stage_put(struct import *import, int kind, const struct cop_put *put,
	      int is_again)
{
	struct staged *item = staged_new(import, kind);

	if (!item)
		return fault_of(import)->code;
	item->is_again = is_again;
	item->has_type = put->type && put->type != import->type;
	if (own_put(&import->stage.scratch, put, &item->put))
		return no_memory(import);
	return 0;
}

int stage_edge(struct import *import, const struct cop_put_edge *edge)
{
	struct staged *item = staged_new(import, STAGED_EDGE);

	if (!item)
		return fault_of(import)->code;
	if (own_edge(&import->stage.scratch, edge, &item->edge))
		return no_memory(import);
	return 0;
}

void stage_content(struct stage *stage, cop_upload *upload)
{
	struct staged *item = &stage->items[stage->count - 1];

	item->has_parts = 1;
	item->upload = upload;
	stage->contents++;
}

int stage_is_full(const struct stage *stage)
{
	return stage->contents >= STAGE_CONTENTS;
}

static void items_drop(struct stage *stage)
{
	for (size_t i = 0; i < stage->count && stage->contents; i++)
		cop_upload_end(stage->items[i].upload);
	stage->count = stage->contents = 0;
}

int stage_place(struct import *import, const struct place *place)
{
	struct stage *stage = &import->stage;
	struct staged *item = &stage->items[stage->count - 1];

	item->place = *place;
	if (!stage->keeps_text || !import->text)
		return 0;
	item->text = own_text(&stage->scratch, import->text, import->text_size);
	item->text_size = import->text_size;
	return item->text ? 0 : no_memory(import);
}

/* ---- what is there ------------------------------------------------------ */

/* An entity or an edge, before a record's turn comes. */
struct there {
	const struct staged *staged; /* put it, NULL: none */
	struct cop_entity entity;    /* as of the newest commit */
	struct cop_edge edge;
	int is_seen; /* put before, of a dry run */
};

static int bytes_equal(const void *a, size_t a_size, const void *b,
		       size_t b_size)
{
	return a_size == b_size && !memcmp(a, b, a_size);
}

/* Whether a record puts an entity of a key; an edge does, as a stub. */
static int has_key(const struct staged *item, const void *key, size_t size)
{
	const struct cop_put_edge *edge = &item->edge;

	if (item->kind != STAGED_EDGE)
		return bytes_equal(item->put.key, item->put.key_size, key,
				   size);
	return bytes_equal(edge->source, edge->source_size, key, size) ||
	       bytes_equal(edge->target, edge->target_size, key, size);
}

static uint64_t hash_of(const void *key, size_t size)
{
	return XXH3_64bits(key, size);
}

static uint64_t edge_hash(const struct cop_put_edge *edge)
{
	return hashes_edge(edge, edge->discriminator + 1);
}

/* Where the record is noted that put an entity last; NULL: none did. */
static uint64_t *put_by(const struct stage *stage, const void *key, size_t size)
{
	uint64_t hash = hash_of(key, size), *value;
	size_t at = 0;

	while ((value = hashes_next(&stage->entities, hash, &at)))
		if (has_key(&stage->items[*value], key, size))
			return value;
	return NULL;
}

static uint64_t *edge_put_by(const struct stage *stage,
			     const struct cop_put_edge *edge)
{
	uint64_t hash = edge_hash(edge), *value;
	size_t at = 0;

	while ((value = hashes_next(&stage->edges, hash, &at))) {
		const struct cop_put_edge *other = &stage->items[*value].edge;

		if (edge->discriminator == other->discriminator &&
		    bytes_equal(edge->source, edge->source_size, other->source,
				other->source_size) &&
		    bytes_equal(edge->target, edge->target_size, other->target,
				other->target_size) &&
		    bytes_equal(edge->relation, edge->relation_size,
				other->relation, other->relation_size))
			return value;
	}
	return NULL;
}

static int is_seen(const struct stage *stage, uint64_t hash)
{
	size_t at = 0;

	return stage->is_dry && hashes_next(&stage->seen, hash, &at) != NULL;
}

/* Notes that a record puts an entity. */
static int note_entity(struct import *import, const struct staged *item,
		       const void *key, size_t size)
{
	struct stage *stage = &import->stage;
	uint64_t *value = put_by(stage, key, size);
	uint64_t index = (uint64_t)(item - stage->items);

	if (value)
		*value = index;
	else if (hashes_add(&stage->entities, hash_of(key, size), index))
		return no_memory(import);
	return 0;
}

static int note_edge(struct import *import, const struct staged *item)
{
	struct stage *stage = &import->stage;
	uint64_t *value = edge_put_by(stage, &item->edge);
	uint64_t index = (uint64_t)(item - stage->items);

	if (value)
		*value = index;
	else if (hashes_add(&stage->edges, edge_hash(&item->edge), index))
		return no_memory(import);
	return 0;
}

/* Whether there is an entity; negative: the fault is set. */
static int is_there(struct import *import, const void *key, size_t size)
{
	uint64_t id = 0;
	cop_err err;

	if (put_by(&import->stage, key, size) ||
	    is_seen(&import->stage, hash_of(key, size)))
		return 1;
	err = cop_lookup(import->cli->read, key, size, &id);
	if (err)
		fault_input(fault_of(import), err);
	return err ? -1 : id != 0;
}

static int there_find(struct import *import, const struct cop_put *put,
		      struct there *there)
{
	struct stage *stage = &import->stage;
	const uint64_t *value = put_by(stage, put->key, put->key_size);
	cop_err err;

	*there = (struct there){0};
	if (value)
		there->staged = &stage->items[*value];
	there->is_seen = is_seen(stage, hash_of(put->key, put->key_size));
	err =
	    cop_get(import->cli->read, put->key, put->key_size, &there->entity);
	return err ? fault_input(fault_of(import), err) : 0;
}

/* What a record before puts, NULL: there is none, or it puts a stub. */
static const struct cop_put *put_before(const struct there *there)
{
	return there->staged && there->staged->kind != STAGED_EDGE
		   ? &there->staged->now
		   : NULL;
}

/* The vector that an entity has; NULL: none. */
static int there_vector(struct import *import, const struct there *there,
			const float **vector)
{
	const struct cop_put *now = put_before(there);
	cop_err err = 0;

	*vector = NULL;
	if (now && (now->vector || now->vector_change == COP_VECTOR_DROP))
		*vector = now->vector;
	else if (there->entity.id && cop_dim(import->cli->store))
		err = cop_vector(import->cli->read, there->entity.id, vector);
	return err ? fault_cop(fault_of(import), err) : 0;
}

/* Whether nothing but its key is there of an entity, as of a stub. */
static int there_is_bare(struct import *import, const struct there *there,
			 int *is_bare)
{
	const struct cop_entity *entity = &there->entity;
	const struct cop_put *now = put_before(there);
	const float *vector;

	if (there_vector(import, there, &vector))
		return fault_of(import)->code;
	*is_bare = !vector && !there->is_seen;
	if (now)
		*is_bare = !vector && !now->type && !now->tag_count &&
			   !now->property_count && !now->content &&
			   !there->staged->has_parts;
	else if (!there->staged && entity->id)
		*is_bare = *is_bare && !entity->type && !entity->tag_count &&
			   !entity->property_count && !entity->content_size;
	return 0;
}

/* ---- what becomes of a record ------------------------------------------- */

static int has_vector(const struct staged *item)
{
	return item->kind != STAGED_EDGE && item->put.vector;
}

/* Has a record left out as a bad one, with the fault that is set. */
static int leave_out(struct import *import, struct staged *item)
{
	import->text = item->text;
	import->text_size = item->text_size;
	item->is_out = 1;
	import->records--;
	import->vectors -= (uint64_t)has_vector(item);
	return import_refuse(import, &item->place);
}

/* The same if it was not put for what it is. */
static int not_put(struct import *import, struct staged *item)
{
	return fault_of(import)->code == EXIT_BAD_INPUT
		   ? leave_out(import, item)
		   : fault_of(import)->code;
}

/* A record that is there already and is not to be put. */
static int not_again(struct import *import, struct staged *item)
{
	const struct cop_put_edge *edge = &item->edge;
	const struct cop_put *put = &item->put;
	int is_vector = item->kind > STAGED_EDGE;

	if (import->stage.conflict == CONFLICT_SKIP) {
		import->stage.now.skipped++;
		import->stage.now.vectors_out += (uint64_t)has_vector(item);
		return 0;
	}
	if (item->kind == STAGED_EDGE)
		fault_set(fault_of(import), EXIT_BAD_INPUT,
			  "the edge '%.*s' %.*s '%.*s' is there already",
			  (int)edge->source_size, (const char *)edge->source,
			  (int)edge->relation_size, edge->relation,
			  (int)edge->target_size, (const char *)edge->target);
	else
		fault_set(fault_of(import), EXIT_BAD_INPUT,
			  "%s '%.*s' is there already",
			  is_vector ? "a vector of" : "the entity",
			  (int)put->key_size, (const char *)put->key);
	return leave_out(import, item);
}

/* The operation that was just added is the record's. */
static int op_added(struct import *import, const struct staged *item,
		    cop_err err)
{
	if (err)
		return fault_input(fault_of(import), err);
	return batch_add(&import->batch, &item->place, fault_of(import));
}

/* A condition that an entity is so still, but in a dry run. */
static int expect(struct import *import, const struct staged *item,
		  const void *key, size_t size, uint64_t version)
{
	if (import->stage.is_dry)
		return 0;
	return op_added(import, item,
			cop_expect(import->batch.write, key, size, version));
}

/* The same of what a record was compared with, if that is in the store. */
static int expect_there(struct import *import, const struct staged *item,
			const struct there *there)
{
	const struct cop_put *put = &item->put;

	if (there->staged)
		return 0;
	return expect(import, item, put->key, put->key_size,
		      there->entity.version);
}

static int expect_edge(struct import *import, const struct staged *item,
		       const struct there *there)
{
	if (there->staged || import->stage.is_dry)
		return 0;
	return op_added(import, item,
			cop_expect_edge(import->batch.write, &item->edge,
					there->edge.version));
}

static int content_put(struct import *import, const struct staged *item)
{
	const struct cop_put *put = &item->put;
	cop_err err = cop_put_content(import->batch.write, put->key,
				      put->key_size, item->upload);

	return err ? fault_input(fault_of(import), err)
		   : batch_add_content(&import->batch, &item->place,
				       fault_of(import));
}

static int entity_put(struct import *import, struct staged *item)
{
	const struct cop_put *put = &item->now;

	if (!import->stage.is_dry &&
	    op_added(import, item, cop_put(import->batch.write, put)))
		return not_put(import, item);
	if (item->upload && content_put(import, item))
		return fault_of(import)->code;
	import->stage.now.entities++;
	return note_entity(import, item, put->key, put->key_size);
}

static int entity_merge(struct import *import, struct staged *item,
			const struct there *there)
{
	struct stage *stage = &import->stage;
	const struct cop_put *now = put_before(there);
	struct cop_put old = {0};
	cop_err err = 0;

	if (now)
		old = *now;
	else if (there->entity.id)
		err = own_entity(&stage->work, import->cli->read,
				 &there->entity, &old);
	if (err)
		return fault_cop(fault_of(import), err);
	if (merge_put(&stage->work, &old, &item->put, item->has_type,
		      &item->now))
		return no_memory(import);
	stage->now.merged += !item->is_again;
	return 0;
}

/* Whether what is there of a record put in part is this import's. */
static int is_own(const struct stage *stage, const struct there *there)
{
	return there->staged || there->is_seen ||
	       there->entity.version > stage->begin;
}

static int entity_resolve(struct import *import, struct staged *item)
{
	struct stage *stage = &import->stage;
	struct there there;
	int is_new, is_bare = 0;

	item->now = item->put;
	if (stage->conflict == CONFLICT_REPLACE)
		return entity_put(import, item);
	if (there_find(import, &item->put, &there) ||
	    there_is_bare(import, &there, &is_bare))
		return fault_of(import)->code;
	is_new = !there.staged && !there.entity.id && !there.is_seen;
	if (stage->conflict == CONFLICT_MERGE) {
		if (!is_new && entity_merge(import, item, &there))
			return fault_of(import)->code;
	} else if (item->is_again) {
		if (!is_own(stage, &there))
			return 0; /* what came first was left out */
	} else if (!is_new && !is_bare) {
		return not_again(import, item);
	}
	if (expect_there(import, item, &there))
		return fault_of(import)->code;
	return entity_put(import, item);
}

/* ---- rows --------------------------------------------------------------- */

/* The operation of a row: the entity that is there keeps all else. */
static int row_add(struct import *import, const struct staged *item,
		   const struct there *there)
{
	const struct cop_put *put = &item->put;
	cop_write *write = import->batch.write;

	if (import->stage.is_dry)
		return 0;
	if (there->staged || there->entity.id)
		return op_added(import, item,
				cop_put_vector(write, put->key, put->key_size,
					       put->vector, put->dim));
	if (expect_there(import, item, there))
		return fault_of(import)->code;
	return op_added(import, item, cop_put(write, put));
}

static int row_put(struct import *import, struct staged *item,
		   const struct there *there)
{
	struct stage *stage = &import->stage;
	const struct cop_put *put = &item->put;
	cop_err err = 0;

	if (row_add(import, item, there))
		return not_put(import, item);
	stage->now.entities++;
	if (put_before(there)) {
		stage->items[there->staged - stage->items].now.vector =
		    put->vector;
		return 0;
	}
	if (stage->conflict == CONFLICT_MERGE && there->entity.id)
		err = own_entity(&stage->work, import->cli->read,
				 &there->entity, &item->now);
	item->now.vector = put->vector;
	return err ? fault_cop(fault_of(import), err)
		   : note_entity(import, item, put->key, put->key_size);
}

static int row_resolve(struct import *import, struct staged *item)
{
	struct stage *stage = &import->stage;
	struct there there;
	const float *vector;

	item->now = item->put;
	if (there_find(import, &item->put, &there) ||
	    there_vector(import, &there, &vector))
		return fault_of(import)->code;
	if (item->kind == STAGED_GIVEN && !there.staged && !there.entity.id &&
	    !there.is_seen) {
		fault_set(fault_of(import), EXIT_BAD_INPUT,
			  "key '%.*s': there is no such entity. Import the "
			  "entities first",
			  item->put.key_size < STAGE_SHOWN
			      ? (int)item->put.key_size
			      : STAGE_SHOWN,
			  (const char *)item->put.key);
		return leave_out(import, item);
	}
	if (vector && (stage->conflict == CONFLICT_ERROR ||
		       stage->conflict == CONFLICT_SKIP))
		return not_again(import, item);
	return row_put(import, item, &there);
}

/* ---- edges -------------------------------------------------------------- */

/* An edge to what is not there is left out, or a bad record. */
static int edge_lost(struct import *import, struct staged *item,
		     const void *key, size_t size)
{
	fault_set(fault_of(import), EXIT_BAD_INPUT,
		  "an edge's end '%.*s' is not there; put that entity first, "
		  "or have such edges skipped or given a stub",
		  (int)size, (const char *)key);
	if (item->edge.dangling == COP_DANGLING_REJECT)
		return leave_out(import, item);
	item->is_out = 1;
	import->stage.edges_skipped++;
	import->text = item->text;
	import->text_size = item->text_size;
	return import_lost(import, &item->place);
}

/* An end of an edge; *is_lost is set if the edge is left out for it. */
static int edge_end(struct import *import, struct staged *item, const void *key,
		    size_t size, int *is_lost)
{
	struct stage *stage = &import->stage;
	int there = is_there(import, key, size);

	if (there < 0)
		return fault_of(import)->code;
	if (there ||
	    (item->edge.dangling == COP_DANGLING_REJECT && !stage->is_dry))
		return 0; /* the commit tells of those that are rejected */
	if (item->edge.dangling != COP_DANGLING_STUB) {
		*is_lost = 1;
		return edge_lost(import, item, key, size);
	}
	if (stage->conflict != CONFLICT_REPLACE &&
	    expect(import, item, key, size, 0))
		return fault_of(import)->code;
	stage->now.stubs++;
	return note_entity(import, item, key, size);
}

static int edge_merge(struct import *import, struct staged *item,
		      const struct there *there)
{
	struct stage *stage = &import->stage;
	struct cop_put_edge old = {0};
	cop_err err = 0;

	if (there->staged)
		old = there->staged->edge_now;
	else if (there->edge.version)
		err = own_edge_read(&stage->work, import->cli->read,
				    &there->edge, &old);
	if (err)
		return fault_cop(fault_of(import), err);
	if (merge_edge(&stage->work, &old, &item->edge, &item->edge_now))
		return no_memory(import);
	stage->now.merged++;
	return 0;
}

/* Whether there is such an edge, and what becomes of this one then. */
static int edge_compare(struct import *import, struct staged *item, int *is_put)
{
	struct stage *stage = &import->stage;
	const uint64_t *value = edge_put_by(stage, &item->edge);
	struct there there = {0};
	cop_err err =
	    cop_find_edge(import->cli->read, &item->edge, &there.edge);

	if (err)
		return fault_input(fault_of(import), err);
	if (value)
		there.staged = &stage->items[*value];
	if (there.staged || there.edge.version ||
	    is_seen(stage, edge_hash(&item->edge))) {
		if (stage->conflict != CONFLICT_MERGE) {
			*is_put = 0;
			return not_again(import, item);
		}
		if (edge_merge(import, item, &there))
			return fault_of(import)->code;
	}
	return expect_edge(import, item, &there);
}

static int edge_resolve(struct import *import, struct staged *item)
{
	const struct cop_put_edge *edge = &item->edge;
	int is_lost = 0, is_put = 1;

	item->edge_now = *edge;
	if (edge_end(import, item, edge->source, edge->source_size, &is_lost))
		return fault_of(import)->code;
	if (!is_lost &&
	    edge_end(import, item, edge->target, edge->target_size, &is_lost))
		return fault_of(import)->code;
	if (is_lost)
		return 0;
	if (import->stage.conflict != CONFLICT_REPLACE &&
	    edge_compare(import, item, &is_put))
		return fault_of(import)->code;
	if (!is_put)
		return 0;
	if (!import->stage.is_dry &&
	    op_added(import, item,
		     cop_put_edge(import->batch.write, &item->edge_now)))
		return not_put(import, item);
	import->stage.now.edges++;
	return import->stage.conflict == CONFLICT_REPLACE
		   ? 0
		   : note_edge(import, item);
}

/* ---- all ---------------------------------------------------------------- */

static int newest(struct import *import)
{
	struct cli *cli = import->cli;
	struct stage *stage = &import->stage;
	cop_err err = cli->read ? cop_read_refresh(cli->read)
				: cop_read_begin(cli->store, &cli->read);

	if (err)
		return fault_cop(&cli->fault, err);
	if (!stage->is_begun)
		stage->begin = cop_read_commit(cli->read);
	stage->is_begun = 1;
	return 0;
}

/* Puts all that is staged into the write, which is begun anew. */
static int resolve(struct import *import)
{
	struct stage *stage = &import->stage;
	const char *text = import->text;
	size_t text_size = import->text_size;
	int code = newest(import);

	scratch_reset(&stage->work);
	hashes_clear(&stage->entities);
	hashes_clear(&stage->edges);
	stage->now = (struct stage_counts){0};
	if (!code)
		code = batch_restart(&import->batch, fault_of(import));
	for (size_t i = 0; i < stage->count && !code; i++) {
		struct staged *item = &stage->items[i];

		if (item->is_out)
			continue;
		if (item->kind == STAGED_ENTITY)
			code = entity_resolve(import, item);
		else if (item->kind == STAGED_EDGE)
			code = edge_resolve(import, item);
		else
			code = row_resolve(import, item);
	}
	import->text = text;
	import->text_size = text_size;
	return code;
}

/* A dry run's keys and edges are there for the records that follow. */
static int remember(struct import *import)
{
	struct stage *stage = &import->stage;
	const struct hashes *from[] = {&stage->entities, &stage->edges};

	for (int i = 0; i < 2; i++)
		for (size_t at = 0; at < from[i]->room; at++) {
			uint64_t hash = from[i]->slots[at].hash;

			if (hash && !is_seen(stage, hash) &&
			    hashes_add(&stage->seen, hash, 0))
				return no_memory(import);
		}
	return 0;
}

static void count(struct import *import)
{
	struct stage *stage = &import->stage;
	const struct stage_counts *now = &stage->now;
	struct cop_result *total = &import->batch.total;

	import->vectors -= now->vectors_out;
	stage->total.skipped += now->skipped;
	stage->total.merged += now->merged;
	if (stage->is_dry) { /* or the commit tells */
		total->entities_put += now->entities;
		total->edges_put += now->edges;
		total->stubs_put += now->stubs;
	}
	items_drop(stage);
	scratch_reset(&stage->scratch);
}

/* After a commit that failed: 0 if it is to be tried once more. */
static int try_again(struct import *import, int tries)
{
	struct timespec pause = {.tv_nsec = STAGE_PAUSE_NS << (tries & 7)};

	if (fault_of(import)->error != COP_CONFLICT)
		return fault_of(import)->code;
	if (tries == STAGE_TRIES) /* others write to the same all the time */
		return fault_of(import)->code = EXIT_BUSY;
	fault_clear(fault_of(import));
	nanosleep(&pause, NULL);
	return stop_signal() ? cli_stopped(import->cli) : 0;
}

int stage_commit(struct import *import)
{
	struct batch *batch = &import->batch;
	struct fault *fault = fault_of(import);
	int code = 0;

	for (int tries = 0; import->stage.count; tries++) {
		code = resolve(import);
		if (code)
			return code;
		if (import->stage.is_dry)
			code = remember(import);
		else if (batch_count(batch))
			code = batch_commit(batch, fault);
		if (!code)
			count(import);
		else if (try_again(import, tries))
			return fault->code;
	}
	return 0;
}

void stage_release(struct stage *stage)
{
	items_drop(stage);
	scratch_release(&stage->scratch);
	scratch_release(&stage->work);
	hashes_release(&stage->entities);
	hashes_release(&stage->edges);
	hashes_release(&stage->seen);
	free(stage->items);
	stage->items = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sift.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	SAMPLE_ROWS = 256,
	SAMPLE_CALLS = 64, /* of the caller's own test */
	SAMPLE_SURE = 8	   /* hits that make an estimate good */
};

/* ---- names -------------------------------------------------------------- */

static cop_err tag_add(struct sift *sift, const char *name, int *missing)
{
	uint32_t number = 0;
	cop_err err =
	    read_symbol(sift->read, NAME_TAG, name, strlen(name), &number);

	if (!err && number)
		sift->tags[sift->tag_count++] = number;
	*missing += !number;
	return err;
}

/* *none: a name that was never seen rules everything out. */
static cop_err names_init(struct sift *sift, int *none)
{
	const struct cop_search *wanted = sift->wanted;
	int missing = 0;
	cop_err err = 0;

	if (wanted->type) {
		err = read_symbol(sift->read, NAME_TYPE, wanted->type,
				  strlen(wanted->type), &sift->sieve.type);
		*none |= !sift->sieve.type;
	}
	if (wanted->tag && !err)
		err = tag_add(sift, wanted->tag, &missing);
	for (uint32_t i = 0; i < wanted->tag_count && !err; i++)
		err = tag_add(sift, wanted->tags[i], &missing);
	sift->is_any = wanted->tag_count && wanted->tag_mode == COP_TAGS_ANY;
	if (sift->is_any)
		*none |= !sift->tag_count;
	else
		*none |= missing;
	if (!sift->is_any)
		sift->sieve.all = codec_signature(sift->tags, sift->tag_count);
	else
		sift->sieve.any = codec_signature(sift->tags, sift->tag_count);
	return err;
}

static cop_err tag_has(const struct sift *sift, uint32_t tag, uint64_t id,
		       int *has)
{
	struct disk_member_key key = format_member_key(tag, id);
	struct bytes value;
	int code = env_get(sift->read->env, sift->read->txn, DB_MEMBERS,
			   bytes_of(&key, sizeof key), &value);

	*has = !code;
	return code && code != ENV_ABSENT
		   ? error_system(code, "cannot read a tag")
		   : 0;
}

cop_err sift_tags(const struct sift *sift, uint64_t id, int *has)
{
	cop_err err = 0;

	*has = 1;
	for (uint32_t i = 0; i < sift->tag_count && !err; i++) {
		err = tag_has(sift, sift->tags[i], id, has);
		if (*has == (int)sift->is_any)
			break; /* that decides it */
	}
	return err;
}

/* ---- what a header cannot tell ------------------------------------------ */

static void entity_set(struct sift *sift, uint64_t id)
{
	uint64_t bit = UINT64_C(1) << (id & 63);

	if (id >= sift->sieve.entity_end || sift->entities[id / 64] & bit)
		return;
	sift->entities[id / 64] |= bit;
	if (sift->listed_count < SIFT_LIST)
		sift->read->listed[sift->listed_count] = (uint32_t)id;
	sift->listed_count++;
}

/* Both narrow: only what was there before stays. */
static cop_err entities_begin(struct sift *sift, uint64_t **before)
{
	uint64_t end = sift->read->state.next_entity;

	*before = sift->entities;
	sift->entities = calloc(end / 64 + 1, sizeof(uint64_t));
	sift->sieve.entities = sift->entities;
	sift->sieve.entity_end = end;
	sift->listed_count = 0;
	return sift->entities ? 0
			      : error_system(ENOMEM, "no memory for a filter");
}

static void entities_end(struct sift *sift, uint64_t *before)
{
	if (before) {
		sift->listed_count = SIFT_LIST + 1; /* unknown */
		for (uint64_t i = 0; i <= sift->sieve.entity_end / 64; i++)
			sift->entities[i] &= before[i];
	}
	free(before);
}

static cop_err prefix_sift(struct sift *sift)
{
	const struct cop_search *wanted = sift->wanted;
	struct bytes key = bytes_of(wanted->prefix, wanted->prefix_size);
	struct bytes value;
	env_cursor *cursor;
	uint64_t *before = NULL;
	uint64_t id;
	cop_err err = entities_begin(sift, &before);
	int code;

	if (err)
		return err;
	code =
	    env_cursor_open(sift->read->env, sift->read->txn, DB_KEYS, &cursor);
	if (!code) {
		code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
		while (!code && key.size >= wanted->prefix_size &&
		       !memcmp(key.data, wanted->prefix, wanted->prefix_size)) {
			if (value.size == sizeof id) {
				memcpy(&id, value.data, sizeof id);
				entity_set(sift, id);
			}
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
		}
		env_cursor_close(cursor);
	}
	entities_end(sift, before);
	return code && code != ENV_ABSENT
		   ? error_system(code, "cannot read keys")
		   : 0;
}

static cop_err near_sift(struct sift *sift)
{
	const struct cop_search *wanted = sift->wanted;
	struct cop_walk walk = {
	    .size = sizeof walk,
	    .hops = wanted->hops,
	    .start = wanted->near,
	    .direction = wanted->direction ? wanted->direction : COP_BOTH};
	size_t room = sift->read->state.next_entity + 1;
	size_t bytes = room * sizeof(struct cop_step);
	struct cop_step *steps =
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t *before = NULL;
	size_t count = 0;
	cop_err err;

	if (steps == MAP_FAILED)
		return error_system(ENOMEM, "no memory for a filter");
	err = cop_walk(sift->read, &walk, steps, room, &count, NULL);
	if (!err)
		err = entities_begin(sift, &before);
	for (size_t i = 0; i < count && !err; i++)
		entity_set(sift, steps[i].id);
	if (!err)
		entities_end(sift, before);
	munmap(steps, bytes);
	return err;
}

/* ---- tags at a point in time -------------------------------------------- */

static cop_err timed_entity(struct sift *sift, uint64_t id)
{
	int has = 1;
	cop_err err = 0;

	for (uint32_t i = 0; i < sift->tag_count && !err; i++) {
		err = read_timed_has(sift->read, id, sift->tags[i], &has);
		if (has == (int)sift->is_any)
			break; /* that decides it */
	}
	if (!err && has)
		entity_set(sift, id);
	return err;
}

/* Those in a tag's list that pass at the time. */
static cop_err timed_list(struct sift *sift, uint32_t tag)
{
	struct disk_member_key first = format_member_key(tag, 0);
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code = env_cursor_open(sift->read->env, sift->read->txn, DB_MEMBERS,
				   &cursor);

	if (code)
		return error_system(code, "cannot read a filter's members");
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && !err && key.size == sizeof first) {
		struct disk_member_key at;

		memcpy(&at, key.data, sizeof at);
		if (at.name != first.name)
			break;
		err = timed_entity(sift, format_join(at.id));
		if (!err)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return !err && code && code != ENV_ABSENT
		   ? error_system(code, "cannot read a filter's members")
		   : err;
}

/* Who has the tags at the read's point in time: the headers do not tell. */
static cop_err timed_sift(struct sift *sift)
{
	uint32_t lists = sift->is_any ? sift->tag_count : 1;
	uint64_t *before = NULL;
	cop_err err = entities_begin(sift, &before);

	for (uint32_t i = 0; i < lists && !err; i++)
		err = timed_list(sift, sift->tags[i]);
	if (sift->entities)
		entities_end(sift, before);
	return err;
}

/* ---- the past ----------------------------------------------------------- */

/* Rows of entities that were touched since are of another time. */
static cop_err past_sift(struct sift *sift)
{
	uint64_t words = sift->read->state.next_entity / 64 + 1;
	cop_err err = moment_touched(sift->read);
	uint64_t *live;

	if (err)
		return err;
	live = malloc(words * sizeof *live);
	if (!live)
		return error_system(ENOMEM, "no memory for a filter");
	sift->allowed = sift->entities;
	for (uint64_t i = 0; i < words; i++)
		live[i] = ~sift->read->touched.bits[i] &
			  (sift->allowed ? sift->allowed[i] : UINT64_MAX);
	sift->entities = live;
	sift->sieve.entities = live;
	sift->sieve.entity_end = sift->read->state.next_entity;
	sift->listed_count = SIFT_LIST + 1; /* unknown */
	return 0;
}

static int tags_pass(const struct sift *sift, const struct disk_entity *record)
{
	for (uint32_t i = 0; i < sift->tag_count; i++)
		if (codec_has_tag(record, sift->tags[i]) == (int)sift->is_any)
			return (int)sift->is_any; /* that decides it */
	return !sift->is_any;
}

/* The caller's own test. */
static int is_accepted(const struct sift *sift, uint64_t id)
{
	const struct cop_search *wanted = sift->wanted;
	int32_t answer;

	sift->read->testing++;
	answer = wanted->accept(wanted->user, sift->read, id);
	sift->read->testing--;
	return answer != 0;
}

cop_err sift_entity(const struct sift *sift, uint64_t id, int *passes)
{
	const struct disk_entity *head;
	struct bytes record;
	cop_err err = read_entity_record(sift->read, id, &record);

	*passes = 0;
	if (err || !record.data)
		return err;
	head = record.data;
	*passes = (!sift->sieve.type || sift->sieve.type == head->type) &&
		  (!sift->allowed || sift->allowed[id / 64] >> (id & 63) & 1) &&
		  tags_pass(sift, head) &&
		  (!sift->wanted->accept || is_accepted(sift, id));
	return 0;
}

/* ---- how many ----------------------------------------------------------- */

/*
 * Rows spread over the bank, tested.
 * Returns	1 if there are surely too many for a list
 */
static int share_estimate(struct sift *sift)
{
	const struct segment *segment = read_segment(sift->read);
	uint32_t rows = bank_count(segment) - 1;
	uint32_t most = sift->sieve.passes ? SAMPLE_CALLS : SAMPLE_ROWS;
	uint32_t count = rows < most ? rows : most;
	uint32_t passing = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct bank_line *line = bank_line_at(
		    segment, 1 + (uint32_t)((uint64_t)rows * i / count));

		passing += line && hnsw_sieve_passes(&sift->sieve, line);
	}
	sift->share = count ? (double)passing / count : 0;
	return passing >= SAMPLE_SURE && sift->share * rows > 2 * SIFT_LIST;
}

static cop_err members_list(struct sift *sift, uint32_t name)
{
	struct disk_member_key first = format_member_key(name, 0);
	struct disk_member_key at;
	struct bytes key = bytes_of(&first, sizeof first);
	struct bytes value;
	env_cursor *cursor;
	int code = env_cursor_open(sift->read->env, sift->read->txn, DB_MEMBERS,
				   &cursor);

	if (code)
		return error_system(code, "cannot read a filter's members");
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && key.size == sizeof at &&
	       sift->listed_count <= SIFT_LIST) {
		memcpy(&at, key.data, sizeof at);
		if (at.name != first.name)
			break;
		if (sift->listed_count < SIFT_LIST)
			sift->read->listed[sift->listed_count] =
			    (uint32_t)format_join(at.id);
		sift->listed_count++;
		code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return code && code != ENV_ABSENT
		   ? error_system(code, "cannot read a filter's members")
		   : 0;
}

static int id_compare(const void *a, const void *b)
{
	const uint32_t *x = a;
	const uint32_t *y = b;

	return (*x > *y) - (*x < *y);
}

/* Who has several of the tags is listed once. */
static void list_unite(struct sift *sift)
{
	uint32_t *ids = sift->read->listed;
	uint32_t kept = 0;

	if (sift->listed_count > SIFT_LIST)
		return;
	qsort(ids, sift->listed_count, sizeof *ids, id_compare);
	for (uint32_t i = 0; i < sift->listed_count; i++)
		if (!kept || ids[kept - 1] != ids[i])
			ids[kept++] = ids[i];
	sift->listed_count = kept;
}

/* All who have one of the tags; or of a tag, or the type, whichever is rare. */
static cop_err list_make(struct sift *sift)
{
	cop_err err = 0;

	sift->listed_count = 0;
	if (sift->is_any) {
		for (uint32_t i = 0; i < sift->tag_count && !err; i++)
			err = members_list(sift, sift->tags[i]);
		list_unite(sift);
		return err;
	}
	sift->listed_count = SIFT_LIST + 1;
	for (uint32_t i = 0;
	     i < sift->tag_count && !err && sift->listed_count > SIFT_LIST;
	     i++) {
		sift->listed_count = 0;
		err = members_list(sift, sift->tags[i]);
	}
	if (!err && sift->sieve.type && sift->listed_count > SIFT_LIST) {
		sift->listed_count = 0;
		err = members_list(sift, sift->sieve.type);
	}
	return err;
}

/* ---- all ---------------------------------------------------------------- */

static int caller_passes(void *user, uint32_t entity)
{
	return is_accepted(user, entity);
}

static cop_err count_learn(struct sift *sift)
{
	cop_err err = 0;

	if (share_estimate(sift))
		return 0;
	if (!sift->entities && (sift->tag_count || sift->sieve.type))
		err = list_make(sift);
	else if (!sift->entities)
		sift->listed_count = SIFT_LIST + 1;
	sift->is_listed = !err && sift->listed_count <= SIFT_LIST;
	return err;
}

cop_err sift_init(struct sift *sift, cop_read *read,
		  const struct cop_search *wanted, int *none)
{
	int has_prefix = wanted->prefix && wanted->prefix_size;
	int past = read_is_past(read);
	cop_err err;

	*sift = (struct sift){.read = read, .wanted = wanted, .share = 1};
	sift->sieve.snapshot = read->state.commit;
	err = names_init(sift, none);
	sift->is_filtered = wanted->type || wanted->tag || wanted->tag_count ||
			    has_prefix || wanted->near || wanted->accept ||
			    past;
	/* no key is that long */
	*none |= wanted->prefix && wanted->prefix_size > COP_KEY_BYTES;
	if (err || *none || !sift->is_filtered)
		return err;
	if (has_prefix)
		err = prefix_sift(sift);
	if (!err && wanted->near)
		err = near_sift(sift);
	if (!err && past)
		err = past_sift(sift);
	if (!err && read->is_timed && sift->tag_count)
		err = timed_sift(sift);
	if (wanted->accept) {
		sift->sieve.passes = caller_passes;
		sift->sieve.user = sift;
	}
	if (!err)
		err = count_learn(sift);
	if (err)
		sift_release(sift);
	return err;
}

void sift_release(struct sift *sift)
{
	free(sift->entities);
	free(sift->allowed);
	sift->entities = NULL;
	sift->allowed = NULL;
}

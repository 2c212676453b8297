/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script: a list of commits that touches everything, and the state after
 * each of them as one number.
 *
 * idea
 *	script_fill() puts step i into a write; script_sum() asks everything
 *	of a store and mixes the answers with the number of the commit.
 *	Run undisturbed once, script_learn() says what the sum after i
 *	commits is.  Nothing here ends the test on an error: errors are what
 *	the tests are about.
 *	The last step is a transaction, which reads what it writes from; begun
 *	before the last but one, it meets it and has to begin again.
 */
#ifndef FAULTS_SCRIPT_H
#define FAULTS_SCRIPT_H

#include "../fixture.h"

enum {
	SCRIPT_DIM = 8,
	SCRIPT_STEPS = 10,
	SCRIPT_KEYS = 20,
	SCRIPT_RIVAL = SCRIPT_STEPS - 2, /* the step before the transaction */
	SCRIPT_YEAR = 1800
};

static uint64_t script_sums[SCRIPT_STEPS + 1]; /* after i commits */

static inline void script_key(char *key, int i)
{
	snprintf(key, 16, "key-%d", i);
}

static inline void script_vector(float *vector, int i, int step)
{
	for (int d = 0; d < SCRIPT_DIM; d++)
		vector[d] = (float)((i * 31 + d * 17 + step * 7) % 23) - 11.5f;
}

static inline cop_err script_put(cop_write *write, int from, int to, int step,
				 const char *type, size_t content)
{
	static const char *const tags[] = {"red", "green"};
	static char text[8192];
	cop_err err = 0;

	for (size_t i = 0; i < content; i++) /* nothing to compress */
		text[i] = (char)('a' + (i * i * 7 + i / 3) % 23 + i % 3);
	for (int i = from; !err && i < to; i++) {
		struct cop_property born = {
		    "born",
		    4,
		    {.kind = COP_INT, .integer = SCRIPT_YEAR + step}};
		float vector[SCRIPT_DIM];
		char key[16];
		struct cop_put put = {.size = sizeof put,
				      .key = key,
				      .type = type,
				      .type_size = strlen(type),
				      .properties = &born,
				      .property_count = i % 3 == 0,
				      .tags = tags,
				      .tag_count = (uint32_t)i % 3,
				      .content = content ? text : NULL,
				      .content_size = content,
				      .vector = i % 5 ? vector : NULL,
				      .dim = i % 5 ? SCRIPT_DIM : 0};

		script_key(key, i);
		put.key_size = (uint32_t)strlen(key);
		script_vector(vector, i, step);
		err = cop_put(write, &put);
	}
	return err;
}

static inline cop_err script_link(cop_write *write, int from, int to, int by,
				  const char *relation)
{
	cop_err err = 0;

	for (int i = from; !err && i < to; i++) {
		char a[16];
		char b[16];

		script_key(a, i);
		script_key(b, from + (i - from + by) % (to - from));
		err = link_simple(write, a, relation, b);
	}
	return err;
}

/* Edges of key-0 come and go, so that its list is compacted. */
static inline cop_err script_hub(cop_write *write, int from, int to, int put)
{
	cop_err err = 0;

	for (int i = from; !err && i < to; i++) {
		char key[16];

		script_key(key, i);
		err = put ? link_simple(write, "key-0", "hub", key)
			  : cop_delete_edge(write, "key-0", 5, "hub", 3, key,
					    strlen(key));
	}
	return err;
}

static inline cop_err script_delete(cop_write *write, int from, int to)
{
	cop_err err = 0;

	for (int i = from; !err && i < to; i++) {
		char key[16];

		script_key(key, i);
		err = cop_delete(write, key, strlen(key));
	}
	return err;
}

static inline cop_err script_fill(cop_write *write, int step)
{
	float vector[SCRIPT_DIM];
	cop_err err = 0;

	switch (step) {
	case 0: return script_put(write, 0, 10, 0, "first", 0);
	case 1:
		err = script_link(write, 0, 10, 1, "next");
		return err ? err : script_put(write, 10, 11, 1, "long", 8192);
	case 2: return script_put(write, 4, SCRIPT_KEYS, 2, "second", 300);
	case 3: return script_hub(write, 1, SCRIPT_KEYS, 1);
	case 4:
		err = script_hub(write, 2, SCRIPT_KEYS, 0);
		return err ? err : script_put(write, 8, 10, 4, "third", 0);
	case 5: return script_delete(write, 0, 3);
	case 6:
		err = script_put(write, 0, 3, 6, "again", 0);
		return err ? err : script_link(write, 0, 6, 2, "next");
	case 7:
		err = script_delete(write, 10, 14);
		if (!err)
			err = script_put(write, 12, 13, 7, "last", 5000);
		script_vector(vector, 4, 7);
		return err ? err
			   : cop_put_vector(write, "key-4", 5, vector,
					    SCRIPT_DIM);
	case SCRIPT_RIVAL:
		err = script_put(write, 6, 7, step, "rival", 100);
		return err ? err : script_link(write, 6, 8, 1, "met");
	default: return script_put(write, 6, 9, step, "traded", 0);
	}
}

/* ---- the transaction ---------------------------------------------------- */

struct script_txn {
	cop_store *store;
	/* commits the step before it, in the middle of the transaction */
	cop_err (*rival)(void *user);
	void *user;
	uint32_t tries;
};

static inline int32_t script_count(void *user, cop_read *read,
				   const struct cop_entity *entity)
{
	(void)read;
	*(int *)user += entity->id != 0;
	return 0;
}

static inline int32_t script_count_edge(void *user, cop_read *read,
					const struct cop_edge *edge)
{
	(void)read;
	*(int *)user += edge->version != 0;
	return 0;
}

/* All ways to read; *step is the one that key-6 was put by. */
static inline cop_err script_txn_read(cop_txn *txn, int *step)
{
	struct cop_entity entity;
	struct cop_edge edge;
	struct cop_value value = {0};
	const float *vector = NULL;
	int found = 0;
	int many = 0;
	cop_err err = cop_txn_get(txn, "key-6", 5, &entity);

	if (!err)
		err = cop_txn_property(txn, &entity, "born", 4, &found, &value);
	*step = found ? (int)(value.integer - SCRIPT_YEAR) : 0;
	if (!err)
		err = cop_txn_get(txn, "never", 5, &entity);
	if (!err)
		err = cop_txn_vector(txn, "key-7", 5, &vector);
	if (!err)
		err =
		    cop_txn_edge(txn, "key-6", 5, "next", 4, "key-7", 5, &edge);
	if (!err)
		err = cop_txn_edges(txn, "key-6", 5, COP_BOTH,
				    script_count_edge, &many);
	if (!err)
		err = cop_txn_scan(txn, "again", "green", script_count, &many);
	return err ? err : cop_txn_keys(txn, "key-1", 5, script_count, &many);
}

static inline int32_t script_txn_work(void *user, cop_txn *txn)
{
	struct script_txn *script = user;
	int step = 0;
	cop_err err = script_txn_read(txn, &step);

	script->tries++;
	if (!err && cop_txn_commit_read(txn) == SCRIPT_RIVAL)
		err = script->rival(script->user);
	return err ? err
		   : script_put(cop_txn_write(txn), 6, 9, step + 1, "traded",
				0);
}

/* The last step; begun before it, the last but one, too. */
static inline cop_err script_transact(struct script_txn *script)
{
	return cop_txn_run(script->store, script_txn_work, script, 0, NULL,
			   NULL);
}

/* ---- a state as one number ---------------------------------------------- */

static inline uint64_t script_mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static int32_t script_edge(void *user, cop_read *read,
			   const struct cop_edge *edge)
{
	uint64_t *sum = user;

	(void)read;
	*sum = script_mix(*sum, edge->target * 64 + edge->relation);
	return 0;
}

static int32_t script_entity(void *user, uint32_t thread, cop_read *read,
			     const struct cop_entity *entity)
{
	uint64_t *sum = user;

	(void)thread;
	(void)read;
	*sum = script_mix(*sum, entity->id * 64 + entity->tag_count);
	return 0;
}

/* What is said of one key. */
static inline cop_err script_ask_key(cop_read *read, const char *key,
				     uint64_t *sum)
{
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 3, .direction = COP_BOTH};
	struct cop_step steps[SCRIPT_KEYS];
	struct cop_entity entity;
	const float *vector = NULL;
	struct cop_value value;
	const void *content;
	size_t size = 0;
	uint64_t id = 0;
	size_t n = 0;
	int found = 0;
	cop_err err = cop_lookup(read, key, strlen(key), &id);

	if (!err)
		err = cop_get(read, key, strlen(key), &entity);
	if (err || !id) {
		*sum = script_mix(*sum, !err && entity.id ? 9 : 0);
		return err;
	}
	*sum = script_mix(*sum, entity.id == id);
	*sum = script_mix(*sum, entity.type * 8 + entity.property_count);
	err = cop_entity_property(read, &entity, "born", 4, &found, &value);
	*sum = script_mix(*sum, !err && found ? (uint64_t)value.integer : 0);
	if (!err)
		err = cop_entity_content(read, &entity, &content, &size);
	for (size_t i = 0; !err && i < size; i += 97)
		*sum = script_mix(*sum, ((const unsigned char *)content)[i]);
	if (!err)
		err = cop_vector(read, id, &vector);
	for (int d = 0; !err && vector && d < SCRIPT_DIM; d++)
		*sum = script_mix(*sum, (uint64_t)(int64_t)(vector[d] * 2));
	if (!err)
		err = cop_edges(read, id, COP_OUT, script_edge, sum);
	walk.start = id;
	if (!err)
		err = cop_walk(read, &walk, steps, SCRIPT_KEYS, &n, NULL);
	*sum = script_mix(*sum, n);
	return err;
}

static inline cop_err script_ask(cop_read *read, uint64_t *sum)
{
	struct cop_search search = {.size = sizeof search, .k = SCRIPT_KEYS};
	struct cop_hit hits[SCRIPT_KEYS];
	float query[SCRIPT_DIM];
	uint32_t count = 0;
	cop_err err = 0;

	*sum = cop_read_commit(read);
	for (int i = 0; !err && i < SCRIPT_KEYS; i++) {
		char key[16];

		script_key(key, i);
		err = script_ask_key(read, key, sum);
	}
	script_vector(query, 3, 9);
	search.vector = query;
	for (int i = 0; !err && i < 2; i++) {
		search.exact = i;
		err = cop_search(read, &search, hits, &count);
		for (uint32_t j = 0; !err && j < count; j++)
			*sum = script_mix(*sum, hits[j].id);
	}
	return err ? err : cop_scan(read, NULL, "green", 1, script_entity, sum);
}

/* The words of script_sum's error: cop_read_end() ends the library's. */
static char script_words[1024];

/* The newest commit's number and the sum of what is asked then. */
static inline cop_err script_sum(cop_store *store, uint64_t *commit,
				 uint64_t *sum)
{
	cop_read *read;
	cop_err err = cop_read_begin(store, &read);

	script_words[0] = 0;
	if (!err) {
		*commit = cop_read_commit(read);
		err = script_ask(read, sum);
		snprintf(script_words, sizeof script_words, "%s",
			 cop_last_error());
		cop_read_end(read);
	} else {
		snprintf(script_words, sizeof script_words, "%s",
			 cop_last_error());
	}
	return err;
}

static inline cop_err script_commit(cop_store *store, int step)
{
	cop_write *write;
	cop_err err = cop_write_begin(store, &write);

	if (err)
		return err;
	err = script_fill(write, step);
	if (!err)
		err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static inline cop_err script_create(const char *path, const char *shm_dir)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = SCRIPT_DIM,
				      .metric = COP_L2,
				      .expected_entities = 1000,
				      .shm_dir = shm_dir};

	return cop_create(path, &options);
}

/* 1 if a store is in the state after `commit` commits, and has no findings. */
static inline int script_is_right(cop_store *store, uint64_t commit)
{
	uint64_t findings = 9;
	uint64_t there = 0;
	uint64_t sum = 0;
	cop_err err = script_sum(store, &there, &sum);

	if (err) {
		diag("asking: %s (%s)", cop_strerror(err), script_words);
		return 0;
	}
	if (there != commit || sum != script_sums[commit]) {
		diag("at commit %" PRIu64 ", want %" PRIu64 "%s", there, commit,
		     there == commit ? ", the state is another" : "");
		return 0;
	}
	err = cop_check(store, finding_tell, NULL, &findings);
	if (err || findings)
		diag("check: %s (%s), %" PRIu64 " findings", cop_strerror(err),
		     cop_last_error(), findings);
	return !err && !findings;
}

/* 1 if the rest of the script runs, and ends in the right state. */
static inline int script_goes_on(cop_store *store, uint64_t commit)
{
	for (uint64_t i = commit; i < SCRIPT_STEPS; i++) {
		cop_err err = script_commit(store, (int)i);

		if (err) {
			diag("commit %" PRIu64 ": %s (%s)", i + 1,
			     cop_strerror(err), cop_last_error());
			return 0;
		}
	}
	return script_is_right(store, SCRIPT_STEPS);
}

/* The sums of a run that nothing disturbs. */
static inline void script_learn(const char *path, const char *shm_dir)
{
	cop_store *store;
	uint64_t commit;

	must(script_create(path, shm_dir), "create");
	must(cop_open(path, NULL, &store), "open");
	must(script_sum(store, &commit, &script_sums[0]), "ask");
	for (int i = 0; i < SCRIPT_STEPS; i++) {
		must(script_commit(store, i), "commit");
		must(script_sum(store, &commit, &script_sums[i + 1]), "ask");
	}
	cop_close(store);
	must(cop_detach(path), "detach");
}

/* Empties a folder without a call into the library. */
static inline void script_clear(const char *path)
{
	nftw(path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* History against what is: versions, and their index by when they ended. */
#include "check.h"
#include "history.h"

/* What a version was written as. */
static int version_is_sound(const struct check *check, enum env_db db,
			    struct bytes record)
{
	switch (db) {
	case DB_ENTITY_VERSIONS: return !codec_entity_check(record);
	case DB_EDGE_VERSIONS: return !codec_edge_check(record);
	case DB_VECTOR_VERSIONS:
		return codec_vector(record, check->store->config.dim) != NULL;
	case DB_EDGE_IN_VERSIONS:
		return record.size == sizeof(uint64_t) ||
		       record.size == sizeof(struct disk_edge_in);
	default: return record.size == sizeof(uint64_t);
	}
}

/* The living database that versions are of. */
static enum env_db living_of(enum env_db versions)
{
	switch (versions) {
	case DB_ENTITY_VERSIONS: return DB_ENTITIES;
	case DB_VECTOR_VERSIONS: return DB_VECTORS;
	case DB_EDGE_VERSIONS: return DB_EDGES;
	case DB_EDGE_IN_VERSIONS: return DB_EDGES_IN;
	default: return DB_MEMBERS;
	}
}

/* The version of what the key has now, UINT64_MAX if nothing. */
static uint64_t living_version(const struct check *check, enum env_db db,
			       struct bytes version_key)
{
	size_t size = version_key.size - sizeof(uint64_t);
	struct bytes value;
	uint64_t id;

	if (db == DB_ENTITIES || db == DB_VECTORS) {
		memcpy(&id, version_key.data, sizeof id);
		id = be64toh(id);
		return check_there(check, db, &id, sizeof id, &value)
			   ? check_number(value)
			   : UINT64_MAX;
	}
	return check_there(check, db, version_key.data, size, &value)
		   ? check_number(value)
		   : UINT64_MAX;
}

static int same_key(struct bytes a, struct bytes b)
{
	return a.size == b.size &&
	       !memcmp(a.data, b.data, a.size - sizeof(uint64_t));
}

/*
 * One version: within one key they come newest first, and one ends before the
 * next begins.  `began`: when that next one did, of the same key.
 */
static void version_check(struct check *check, enum env_db db, struct bytes key,
			  struct bytes value, uint64_t began)
{
	uint64_t born = version_key_born(key);
	uint64_t died = check_number(value);
	struct bytes record =
	    bytes_of((const char *)value.data + DISK_VERSION_HEADER,
		     value.size - DISK_VERSION_HEADER);

	if (!version_is_sound(check, db, record) ||
	    check_number(record) != born)
		check_finding(check, "a version of commit %llu is damaged",
			      (unsigned long long)born);
	else if (db == DB_ENTITY_VERSIONS)
		(void)check_content_wanted(check, record);
	if (born >= died || died > check->state.commit || died > began)
		check_finding(
		    check,
		    "a version of commit %llu ended at %llu, and the next "
		    "began at %llu",
		    (unsigned long long)born, (unsigned long long)died,
		    (unsigned long long)began);
}

static cop_err versions_check(struct check *check, enum env_db db, size_t size)
{
	struct bytes key = bytes_of("", 0);
	struct bytes before = key;
	struct bytes value;
	env_cursor *cursor;
	uint64_t began = 0;
	int err = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (err)
		return error_system(err, "cannot check");
	while (!(err = env_cursor_move(cursor, ENV_NEXT, &key, &value))) {
		if (key.size != size || value.size <= DISK_VERSION_HEADER) {
			check_finding(check, "a version's key has %zu bytes",
				      key.size);
			continue;
		}
		if (!before.size || !same_key(before, key))
			began = living_version(check, living_of(db), key);
		version_check(check, db, key, value, began);
		if (used_note(&check->names, db, key, value) == ENOMEM) {
			err = ENOMEM;
			break;
		}
		began = version_key_born(key);
		before = key;
	}
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : error_system(err, "cannot check");
}

/* Whether there is a version of that key that ended at that commit. */
static int version_ended(const struct check *check, enum env_db db,
			 const struct version_key *key, uint64_t died)
{
	struct bytes value;

	return check_there(check, db, key->bytes, key->size, &value) &&
	       check_number(value) == died;
}

/* Whether one that is listed ended then, in both indexes if it is an edge. */
static int death_is_so(struct check *check, const struct death *death,
		       uint64_t died)
{
	int ended = version_ended(check, death->db, &death->version, died);
	int in = !death->has_in ||
		 version_ended(check, DB_EDGE_IN_VERSIONS, &death->in, died);

	if (ended)
		check->ended++;
	else
		check_finding(check,
			      "the index of what ended at %llu lists what did "
			      "not",
			      (unsigned long long)died);
	if (!in)
		check_finding(check,
			      "an edge that ended at %llu did so in one index "
			      "only",
			      (unsigned long long)died);
	return ended && in;
}

/* What is left of a version of which a part was removed goes, too. */
static void death_drop(struct check *check, const struct death *death)
{
	check_mend_delete(check, death->db,
			  bytes_of(death->version.bytes, death->version.size));
	if (death->has_in)
		check_mend_delete(check, DB_EDGE_IN_VERSIONS,
				  bytes_of(death->in.bytes, death->in.size));
}

static void death_check(struct check *check, struct bytes key,
			struct bytes value)
{
	const int removes = check->options->repair == CHECK_REMOVES;
	uint64_t died = death_commit(key);
	struct buffer kept = {0};
	struct death death;
	size_t at = 0;
	size_t from = 0;
	int code;

	while (!(code = death_next(value, &at, &death))) {
		int is_so = death_is_so(check, &death, died);

		if (removes && is_so)
			check->failed |= buffer_put(
			    &kept, (const char *)value.data + from, at - from);
		else if (removes)
			death_drop(check, &death);
		from = at;
	}
	if (code != ENV_ABSENT)
		check_finding(check,
			      "the index of what ended at %llu is damaged",
			      (unsigned long long)died);
	else if (removes && !kept.size)
		check_mend_delete(check, DB_DEATHS, key);
	else if (removes && kept.size < value.size)
		check_mend_put(check, DB_DEATHS, key,
			       bytes_of(kept.data, kept.size));
	buffer_release(&kept);
}

static void entry_drop(struct check *check, struct bytes key,
		       struct bytes value)
{
	(void)value;
	check_mend_delete(check, check->dropping, key);
}

/* All of it: what does not fit together is not read as of then, anyhow. */
static cop_err history_drop(struct check *check)
{
	static const enum env_db dbs[] = {
	    DB_ENTITY_VERSIONS, DB_VECTOR_VERSIONS,
	    DB_EDGE_VERSIONS,	DB_EDGE_IN_VERSIONS,
	    DB_MEMBER_VERSIONS, DB_DEATHS,
	    DB_FLOORS};
	cop_err err = 0;

	for (size_t i = 0; i < sizeof dbs / sizeof *dbs && !err; i++) {
		check->dropping = dbs[i];
		err = check_database(check, dbs[i], entry_drop);
	}
	return err;
}

cop_err check_history(struct check *check)
{
	static const struct {
		enum env_db db;
		size_t size;
	} kinds[] = {
	    {DB_ENTITY_VERSIONS, 16},
	    {DB_VECTOR_VERSIONS, 16},
	    {DB_EDGE_VERSIONS, DISK_VERSION_KEY},
	    {DB_EDGE_IN_VERSIONS, DISK_VERSION_KEY},
	    {DB_MEMBER_VERSIONS, sizeof(struct disk_member_key) + 8},
	};
	const uint64_t before = check->findings;
	uint64_t ended = 0;
	cop_err err = 0;

	check->place = COP_PLACE_HISTORY;
	check->ended = 0;
	for (size_t i = 0; !err && i < sizeof kinds / sizeof *kinds; i++) {
		err = versions_check(check, kinds[i].db, kinds[i].size);
		if (kinds[i].db != DB_EDGE_IN_VERSIONS)
			ended += check_entries(check, kinds[i].db);
	}
	if (!err)
		err = check_database(check, DB_DEATHS, death_check);
	if (err)
		return err;
	if (check->ended != ended)
		check_finding(check,
			      "%llu versions have ended, and %llu are listed",
			      (unsigned long long)ended,
			      (unsigned long long)check->ended);
	if (check->ended < ended && check->options->repair) {
		err = check_deaths_mend(check);
		if (err)
			return err;
	}
	check_count(check, DB_EDGE_IN_VERSIONS,
		    check_entries(check, DB_EDGE_VERSIONS),
		    "incoming edges that ended");
	return check->findings != before && check->round > ROUND_PATIENT &&
		       check->options->repair == CHECK_REMOVES
		   ? history_drop(check)
		   : 0;
}

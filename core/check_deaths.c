/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting back what the index by death lacks.
 *
 * idea
 *	Every version says when it ended, so the index of that can be made of
 *	them.  What it lists is left as it is, and what it lacks is added to it
 *	in parts of its own: nothing that was known is forgotten.
 *
 * limits
 *	Eight bytes of memory for each version that is listed, some fifty for
 *	each that is not.
 */
#include "buffer.h"
#include "check.h"
#include "version.h"

#include <stdlib.h>
#include <xxhash.h>

/* A version that is not listed, with its entry in the index. */
struct unlisted {
	uint64_t died;
	unsigned char entry[DISK_DEATH_HEADER + DISK_VERSION_KEY];
};

struct deaths {
	struct check *check;
	struct buffer listed;	/* hashes of entries, in order */
	struct buffer unlisted; /* struct unlisted */
};

typedef int deaths_each(struct deaths *deaths, enum env_db db, struct bytes key,
			struct bytes value);

static cop_err deaths_visit(struct deaths *deaths, enum env_db db,
			    deaths_each *each)
{
	const struct check *check = deaths->check;
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	int code = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (code)
		return error_system(code, "cannot check");
	while (!code &&
	       !(code = env_cursor_move(cursor, ENV_NEXT, &key, &value)))
		code = each(deaths, db, key, value);
	env_cursor_close(cursor);
	return code == ENV_ABSENT ? 0 : error_system(code, "cannot check");
}

static struct unlisted entry_of(enum env_db db, struct bytes key, uint64_t died)
{
	struct unlisted one = {.died = died};

	one.entry[0] = (unsigned char)db;
	one.entry[1] = (unsigned char)key.size;
	memcpy(one.entry + DISK_DEATH_HEADER, key.data, key.size);
	return one;
}

static size_t entry_size(const struct unlisted *one)
{
	return DISK_DEATH_HEADER + (size_t)one->entry[1];
}

static uint64_t entry_hash(const struct unlisted *one)
{
	return XXH3_64bits_withSeed(one->entry, entry_size(one), one->died);
}

static int hash_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int unlisted_compare(const void *a, const void *b)
{
	const struct unlisted *x = a;
	const struct unlisted *y = b;

	if (x->died != y->died)
		return x->died < y->died ? -1 : 1;
	return memcmp(x->entry, y->entry, sizeof x->entry);
}

/* What a part lists, as far as it makes sense. */
static int part_note(struct deaths *deaths, enum env_db db, struct bytes key,
		     struct bytes value)
{
	struct death death;
	size_t at = 0;
	int code = 0;

	(void)db;
	while (!code && !death_next(value, &at, &death)) {
		struct unlisted one = entry_of(
		    death.db, version_bytes(&death.version), death_commit(key));
		uint64_t hash = entry_hash(&one);

		code = buffer_put(&deaths->listed, &hash, sizeof hash);
	}
	return code;
}

static int version_note(struct deaths *deaths, enum env_db db, struct bytes key,
			struct bytes value)
{
	uint64_t died = check_number(value);
	struct unlisted one;
	uint64_t hash;

	if (key.size <= sizeof(uint64_t) || key.size > DISK_VERSION_KEY ||
	    !died || died > deaths->check->state.commit)
		return 0; /* told of as it is */
	one = entry_of(db, key, died);
	hash = entry_hash(&one);
	return deaths->listed.size && bsearch(&hash, deaths->listed.data,
					      deaths->listed.size / sizeof hash,
					      sizeof hash, hash_compare)
		   ? 0
		   : buffer_put(&deaths->unlisted, &one, sizeof one);
}

/* Puts back as many as fit in one part from `at` on; where they end. */
static size_t part_mend(struct check *check, const struct unlisted *list,
			size_t at, size_t count, struct disk_death_key *key)
{
	unsigned char part[DISK_DEATH_PART];
	uint64_t died = list[at].died;
	struct bytes value;
	size_t used = 0;

	for (; at < count && list[at].died == died; at++) {
		size_t size = entry_size(&list[at]);

		if (used + size > sizeof part)
			break;
		memcpy(part + used, list[at].entry, size);
		used += size;
	}
	while (check_there(check, DB_DEATHS, key, sizeof *key, &value))
		key->part = htobe32(be32toh(key->part) + 1);
	check_mend_derived(check, DB_DEATHS, bytes_of(key, sizeof *key),
			   bytes_of(part, used));
	return at;
}

static void unlisted_mend(struct deaths *deaths)
{
	const struct unlisted *list = (const void *)deaths->unlisted.data;
	size_t count = deaths->unlisted.size / sizeof *list;
	struct disk_death_key key = {.part = 0};
	uint64_t died = 0;
	size_t at = 0;

	while (at < count) {
		key.part =
		    list[at].died == died ? htobe32(be32toh(key.part) + 1) : 0;
		died = list[at].died;
		format_split(key.died, died);
		at = part_mend(deaths->check, list, at, count, &key);
	}
}

cop_err check_deaths_mend(struct check *check)
{
	static const enum env_db dbs[] = {DB_ENTITY_VERSIONS,
					  DB_VECTOR_VERSIONS, DB_EDGE_VERSIONS,
					  DB_MEMBER_VERSIONS};
	struct deaths deaths = {.check = check};
	cop_err err = deaths_visit(&deaths, DB_DEATHS, part_note);

	if (deaths.listed.size)
		qsort(deaths.listed.data, deaths.listed.size / sizeof(uint64_t),
		      sizeof(uint64_t), hash_compare);
	for (size_t i = 0; !err && i < sizeof dbs / sizeof *dbs; i++)
		err = deaths_visit(&deaths, dbs[i], version_note);
	if (!err && deaths.unlisted.size) {
		qsort(deaths.unlisted.data,
		      deaths.unlisted.size / sizeof(struct unlisted),
		      sizeof(struct unlisted), unlisted_compare);
		unlisted_mend(&deaths);
	}
	buffer_release(&deaths.listed);
	buffer_release(&deaths.unlisted);
	return err;
}

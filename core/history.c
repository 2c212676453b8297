/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"
#include "content.h"

#include <errno.h>

static int version_put(struct apply *apply, enum env_db db,
		       const struct version_key *key, struct bytes record)
{
	struct buffer copy = {0}; /* a put may move what lies in LMDB */
	void *room;
	int code = buffer_put(&copy, record.data, record.size);

	if (!code)
		code =
		    env_put_room(apply->store->env, apply->txn, history_of(db),
				 bytes_of(key->bytes, key->size),
				 DISK_VERSION_HEADER + record.size, &room);
	if (!code) {
		memcpy(room, &apply->commit, DISK_VERSION_HEADER);
		memcpy((unsigned char *)room + DISK_VERSION_HEADER, copy.data,
		       copy.size);
		env_filled(history_of(db), bytes_of(key->bytes, key->size),
			   room, DISK_VERSION_HEADER + copy.size);
	}
	buffer_release(&copy);
	return code;
}

static int death_note(struct apply *apply, enum env_db db,
		      const struct version_key *key)
{
	unsigned char entry[DISK_DEATH_HEADER + DISK_VERSION_KEY] = {
	    (unsigned char)history_of(db), (unsigned char)key->size};

	memcpy(entry + DISK_DEATH_HEADER, key->bytes, key->size);
	return buffer_put(&apply->deaths, entry, DISK_DEATH_HEADER + key->size);
}

/* A record of an entity that is not kept. */
static cop_err content_end(struct apply *apply, struct bytes key,
			   struct bytes record)
{
	uint64_t id;

	memcpy(&id, key.data, sizeof id);
	return content_end_note(&apply->contents, id, record)
		   ? apply_failed(apply, ENOMEM)
		   : 0;
}

cop_err history_keep(struct apply *apply, enum env_db db, struct bytes key,
		     struct bytes record)
{
	uint64_t born = history_version(record);
	struct version_key version;
	int code;

	if (!apply->keeps || born == apply->commit)
		return db == DB_ENTITIES ? content_end(apply, key, record) : 0;
	version_key_make(&version, db, key, born);
	code = version_put(apply, db, &version, record);
	/* an incoming edge is dropped with the one that goes out */
	if (!code && db != DB_EDGES_IN)
		code = death_note(apply, db, &version);
	return code ? apply_failed(apply, code) : 0;
}

/* As many whole entries as fit in a part, from `at` on; where they end. */
static size_t part_end(const struct buffer *deaths, size_t at)
{
	size_t end = at;

	while (end < deaths->size) {
		size_t entry = DISK_DEATH_HEADER + deaths->data[end + 1];

		if (end + entry - at > DISK_DEATH_PART)
			break;
		end += entry;
	}
	return end;
}

cop_err history_seal(struct apply *apply)
{
	const struct buffer *deaths = &apply->deaths;
	struct disk_death_key key;
	uint32_t part = 0;
	size_t at = 0;

	format_split(key.died, apply->commit);
	while (at < deaths->size) {
		size_t end = part_end(deaths, at);
		int code;

		key.part = htobe32(part++);
		code = env_append(apply->store->env, apply->txn, DB_DEATHS,
				  bytes_of(&key, sizeof key),
				  bytes_of(deaths->data + at, end - at));
		if (code)
			return apply_failed(apply, code);
		at = end;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

static int version_put(struct apply *apply, enum env_db db,
		       const struct version_key *key, struct bytes record)
{
	struct buffer copy = {0}; /* a put may move what lies in LMDB */
	void *room;
	int code = buffer_put(&copy, record.data, record.size);

	if (!code)
		code = env_put_reserve(
		    apply->store->env, apply->txn, history_of(db),
		    bytes_of(key->bytes, key->size),
		    DISK_VERSION_HEADER + record.size, &room);
	if (!code) {
		memcpy(room, &apply->commit, DISK_VERSION_HEADER);
		memcpy((unsigned char *)room + DISK_VERSION_HEADER, copy.data,
		       copy.size);
	}
	buffer_release(&copy);
	return code;
}

static int death_put(struct apply *apply, enum env_db db,
		     const struct version_key *key)
{
	unsigned char room[DISK_DEATH_KEY];

	return env_put(apply->store->env, apply->txn, DB_DEATHS,
		       death_key_make(room, apply->commit, history_of(db), key),
		       bytes_of("", 0));
}

cop_err history_keep(struct apply *apply, enum env_db db, struct bytes key,
		     struct bytes record)
{
	uint64_t born = history_version(record);
	struct version_key version;
	int code;

	if (!apply->keeps || born == apply->commit)
		return 0;
	version_key_make(&version, db, key, born);
	code = version_put(apply, db, &version, record);
	/* an incoming edge is dropped with the one that goes out */
	if (!code && db != DB_EDGES_IN)
		code = death_put(apply, db, &version);
	return code ? apply_failed(apply, code) : 0;
}

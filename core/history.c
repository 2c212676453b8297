/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <errno.h>

/* From the key of an edge's version, that of the edge as an incoming one. */
static void version_key_turn(struct bytes version, struct version_key *in)
{
	struct disk_edge_key out;
	struct disk_edge_key back;

	memcpy(&out, version.data, sizeof out);
	back = format_edge_key(format_join(out.target), be32toh(out.relation),
			       be64toh(out.source));
	back.discriminator = out.discriminator;
	version_key_make(in, DB_EDGES_IN, bytes_of(&back, sizeof back),
			 version_key_born(version));
}

int death_read(struct bytes key, struct death *out)
{
	uint64_t died;

	if (key.size <= DISK_DEATH_HEADER + sizeof died ||
	    key.size > DISK_DEATH_KEY)
		return EBADMSG;
	memcpy(&died, key.data, sizeof died);
	out->died = be64toh(died);
	out->db = (enum env_db)(
	    (const unsigned char *)key.data)[DISK_DEATH_HEADER - 1];
	out->version.size = key.size - DISK_DEATH_HEADER;
	memcpy(out->version.bytes,
	       (const unsigned char *)key.data + DISK_DEATH_HEADER,
	       out->version.size);
	out->has_in = out->db == DB_EDGE_VERSIONS;
	if (out->db < DB_ENTITY_VERSIONS || out->db > DB_MEMBER_VERSIONS ||
	    (out->has_in && out->version.size != DISK_VERSION_KEY))
		return EBADMSG;
	if (out->has_in)
		version_key_turn(version_bytes(&out->version), &out->in);
	return 0;
}

struct bytes death_key_make(unsigned char *room, uint64_t died, enum env_db db,
			    const struct version_key *version)
{
	uint64_t big = htobe64(died);

	memcpy(room, &big, sizeof big);
	room[sizeof big] = (unsigned char)db;
	memcpy(room + DISK_DEATH_HEADER, version->bytes, version->size);
	return bytes_of(room, DISK_DEATH_HEADER + version->size);
}

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

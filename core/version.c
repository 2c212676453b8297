/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"

#include <errno.h>

/* From the key of an edge's version, that of the edge as an incoming one. */
static void version_key_turn(struct bytes version, struct version_key *in)
{
	struct disk_edge_key out;
	struct disk_edge_key back;

	memcpy(&out, version.data, sizeof out);
	back = format_edge_turn(&out);
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

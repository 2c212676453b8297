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

uint64_t death_commit(struct bytes key)
{
	struct disk_death_key parts;

	if (key.size != sizeof parts)
		return 0;
	memcpy(&parts, key.data, sizeof parts);
	return format_join(parts.died);
}

int death_next(struct bytes part, size_t *at, struct death *out)
{
	const unsigned char *entry = (const unsigned char *)part.data + *at;

	if (*at == part.size)
		return ENV_ABSENT;
	if (part.size - *at < DISK_DEATH_HEADER)
		return EBADMSG;
	out->db = (enum env_db)entry[0];
	out->version.size = entry[1];
	out->has_in = out->db == DB_EDGE_VERSIONS;
	if (out->db < DB_ENTITY_VERSIONS || out->db > DB_MEMBER_VERSIONS ||
	    out->version.size <= sizeof(uint64_t) ||
	    out->version.size > DISK_VERSION_KEY ||
	    out->version.size > part.size - *at - DISK_DEATH_HEADER ||
	    (out->has_in && out->version.size != DISK_VERSION_KEY))
		return EBADMSG;
	memcpy(out->version.bytes, entry + DISK_DEATH_HEADER,
	       out->version.size);
	if (out->has_in)
		version_key_turn(version_bytes(&out->version), &out->in);
	*at += DISK_DEATH_HEADER + out->version.size;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "used.h"
#include "codec.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>

static int number_note(struct used *used, uint64_t number)
{
	if (number > INT32_MAX)
		return EBADMSG;
	if (number >= used->end) {
		uint64_t end = ((number + 1) * 2 + 63) & ~UINT64_C(63);
		uint64_t *bits = realloc(used->bits, end / 8);

		if (!bits)
			return ENOMEM;
		memset(bits + used->end / 64, 0, (end - used->end) / 8);
		used->bits = bits;
		used->end = end;
	}
	used->bits[number / 64] |= UINT64_C(1) << number % 64;
	if (number >= used->past)
		used->past = number + 1;
	return 0;
}

static int directory_note(struct used *used,
			  const struct disk_property *directory, uint32_t count)
{
	int code = 0;

	for (uint32_t i = 0; i < count && !code; i++)
		code = number_note(used, directory[i].name);
	return code;
}

static int entity_note(struct used *used, struct bytes record)
{
	const struct disk_entity *head = record.data;
	int code = codec_entity_fault(record) ? EBADMSG : 0;

	if (!code)
		code = number_note(used, head->type);
	for (uint32_t i = 0; !code && i < head->tag_count; i++)
		code = number_note(used, codec_tags(head)[i]);
	return code ? code
		    : directory_note(used, codec_directory(head),
				     head->property_count);
}

static int edge_note(struct used *used, struct bytes key, struct bytes record)
{
	const struct disk_edge *head = record.data;
	struct disk_edge_key parts;
	int code;

	if (key.size < sizeof parts || codec_edge_check(record))
		return EBADMSG;
	memcpy(&parts, key.data, sizeof parts);
	code = number_note(used, be32toh(parts.relation));
	return code ? code
		    : directory_note(used, codec_edge_directory(head),
				     head->property_count);
}

static int member_note(struct used *used, struct bytes key)
{
	struct disk_member_key parts;

	if (key.size < sizeof parts)
		return EBADMSG;
	memcpy(&parts, key.data, sizeof parts);
	return number_note(used, be32toh(parts.name));
}

static int floor_note(struct used *used, struct bytes key)
{
	struct disk_floor_key parts;

	if (key.size != sizeof parts)
		return EBADMSG;
	memcpy(&parts, key.data, sizeof parts);
	return be32toh(parts.kind) == FLOOR_NAME
		   ? number_note(used, format_join(parts.number))
		   : 0;
}

int used_rules(struct used *used, struct bytes value)
{
	struct disk_retention rule;
	int code = 0;

	for (size_t at = 0; !code && at + sizeof rule <= value.size;
	     at += sizeof rule) {
		memcpy(&rule, (const char *)value.data + at, sizeof rule);
		code = number_note(used, rule.type);
	}
	return code;
}

/* What a version had, behind the commit that ended it. */
static struct bytes version_record(struct bytes value)
{
	size_t header =
	    value.size < DISK_VERSION_HEADER ? value.size : DISK_VERSION_HEADER;

	return bytes_of((const char *)value.data + header, value.size - header);
}

int used_note(struct used *used, enum env_db db, struct bytes key,
	      struct bytes value)
{
	switch (db) {
	case DB_ENTITIES: return entity_note(used, value);
	case DB_EDGES: return edge_note(used, key, value);
	case DB_MEMBERS:
	case DB_MEMBER_VERSIONS: return member_note(used, key);
	case DB_ENTITY_VERSIONS:
		return entity_note(used, version_record(value));
	case DB_EDGE_VERSIONS:
		return edge_note(used, key, version_record(value));
	case DB_FLOORS: return floor_note(used, key);
	default: return 0;
	}
}

int used_has(const struct used *used, uint64_t number)
{
	return number < used->end &&
	       (used->bits[number / 64] >> number % 64 & 1) != 0;
}

int used_names(const struct used *used, enum env_db db, struct bytes key,
	       struct bytes value)
{
	struct bytes of = db == DB_NAMES ? key : value;
	uint64_t number = 0;

	/* one that makes no sense stays for the check to find */
	if (of.size != sizeof number)
		return 1;
	memcpy(&number, of.data, sizeof number);
	return used_has(used, number);
}

void used_release(struct used *used)
{
	free(used->bits);
	*used = (struct used){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <stdio.h>

enum salt {
	SALT_THERE = 1,
	SALT_VECTOR,
	SALT_RECORD,
	SALT_TEXT,
	SALT_EDGE,
	SALT_HUB,
	SALT_PEER,
	SALT_JOINT
};

const char *const model_types[TYPES] = {"ant", "bee", "cat"};
const char *const model_tags[TAGS] = {"red", "green", "blue"};

uint64_t model_mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0xd1342543de82ef95u + b + 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t hash(enum salt salt, uint32_t group, uint32_t member,
		     uint64_t stamp)
{
	return model_mix(((uint64_t)salt << 32) + group * MEMBERS + member,
			 stamp);
}

uint64_t model_full(uint64_t stamp)
{
	return stamp - stamp % KINDS;
}

uint64_t model_record_stamp(uint32_t member, uint64_t stamp)
{
	return member && stamp % KINDS != 3 ? model_full(stamp) : stamp;
}

uint64_t model_vector_stamp(uint64_t stamp)
{
	return model_full(stamp) + (stamp % KINDS >= 1);
}

uint64_t model_edge_stamp(uint64_t stamp)
{
	return model_full(stamp) + (stamp % KINDS >= 2 ? 2 : 0);
}

int model_is_there(uint32_t group, uint32_t member, uint64_t stamp)
{
	return !member ||
	       hash(SALT_THERE, group, member, model_full(stamp)) % 5 != 0;
}

int model_has_vector(uint32_t group, uint32_t member, uint64_t stamp)
{
	return model_is_there(group, member, stamp) &&
	       hash(SALT_VECTOR, group, member, model_full(stamp)) % 6 != 0;
}

struct model_record model_record(uint32_t group, uint32_t member,
				 uint64_t stamp)
{
	uint64_t at = model_record_stamp(member, stamp);
	uint64_t h = hash(SALT_RECORD, group, member, at);

	return (struct model_record){.stamp = at,
				     .type = (uint32_t)(h % TYPES),
				     .tags = (uint32_t)(h >> 8) % (1u << TAGS)};
}

void model_vector(float *vector, uint32_t thing, uint64_t version)
{
	vector[0] = (float)thing;
	vector[1] = (float)(version % 512);
	vector[2] = (float)(version / 512 % 512);
	for (uint32_t i = 3; i < DIM; i++)
		vector[i] = (float)(model_mix(thing + 1000 * i, version) % 64);
}

double model_distance(const float *a, const float *b)
{
	double sum = 0;

	for (int i = 0; i < DIM; i++)
		sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
	return sum;
}

/* Mostly short; some long enough for compression, some for pages. */
size_t model_text(char *text, uint32_t group, uint32_t member, uint64_t stamp,
		  uint32_t salt)
{
	uint64_t at = model_record_stamp(member, stamp);
	uint64_t h = hash(SALT_TEXT, group, member, at * 2 + salt);
	size_t size = h % 8 ? h >> 8 & 31 : 900 + (h >> 8) % (TEXT_MAX - 900);
	uint64_t word = h;

	for (size_t i = 0; i < size; i++) {
		if (h & 16 || i < 8) /* not to be compressed, or the start */
			word = model_mix(word, i);
		text[i] = (char)('a' + (word >> i % 8 * 4) % 26);
	}
	return size;
}

int model_edge(uint32_t group, uint32_t from, uint32_t to, uint64_t stamp)
{
	return from != to && model_is_there(group, from, stamp) &&
	       model_is_there(group, to, stamp) &&
	       hash(SALT_EDGE, group, from * MEMBERS + to,
		    model_edge_stamp(stamp)) %
		   2;
}

int model_at_hub(uint32_t group, uint64_t stamp)
{
	return hash(SALT_HUB, group, 0, model_edge_stamp(stamp)) % 3 != 0;
}

uint32_t model_peer(uint32_t group, uint64_t stamp)
{
	return (uint32_t)(hash(SALT_PEER, group, 0, model_edge_stamp(stamp)) %
			  GROUPS);
}

int model_is_joint(uint32_t group, uint64_t stamp)
{
	return hash(SALT_JOINT, group, 0, stamp) % 3 == 0;
}

uint32_t model_partner(uint32_t group)
{
	return group ^ 1;
}

uint64_t model_era(uint64_t stamp)
{
	return stamp / ERA;
}

size_t model_key(char *key, uint32_t group, uint32_t member, uint64_t stamp)
{
	if (member + 1 == MEMBERS)
		return (size_t)snprintf(key, 32, "group-%u-%u-%llu", group,
					member,
					(unsigned long long)model_era(stamp));
	return (size_t)snprintf(key, 32, "group-%u-%u", group, member);
}

size_t model_name(char *name, uint32_t group, uint64_t stamp)
{
	return (size_t)snprintf(name, 32, "era-%u-%llu", group,
				(unsigned long long)model_era(stamp));
}

size_t model_register_key(char *key, uint32_t index)
{
	return (size_t)snprintf(key, 32, "register-%u", index);
}

size_t model_account_key(char *key, uint32_t index)
{
	return (size_t)snprintf(key, 32, "account-%u", index);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every limit of the public header, at it and one over it.
 *
 * idea
 *	At the limit a put works and is read back bit for bit.  One over, it is
 *	refused with the error that the header names, the write is as it was
 *	before the call, and what it held already is committed as if nothing
 *	had happened.
 */
#include "fixture.h"

#include <float.h>

/* ---- short forms -------------------------------------------------------- */

static struct cop_put put_of(const char *key)
{
	return (struct cop_put){.size = sizeof(struct cop_put),
				.key = key,
				.key_size = (uint32_t)strlen(key)};
}

static struct cop_put_edge edge_of(const char *source, const char *relation,
				   const char *target)
{
	return (struct cop_put_edge){.size = sizeof(struct cop_put_edge),
				     .source = source,
				     .source_size = strlen(source),
				     .relation = relation,
				     .relation_size = strlen(relation),
				     .target = target,
				     .target_size = strlen(target)};
}

static struct cop_value string_of(const void *data, uint32_t size)
{
	return (struct cop_value){
	    .kind = COP_STRING, .count = size, .data = data};
}

static struct cop_value integer_of(int64_t number)
{
	return (struct cop_value){.kind = COP_INT, .integer = number};
}

static struct cop_entity entity_of(cop_read *read, const char *key)
{
	struct cop_entity entity;

	must(cop_get(read, key, strlen(key), &entity), "get");
	return entity;
}

static void *room_of(size_t bytes)
{
	void *room = malloc(bytes ? bytes : 1);

	if (!room)
		bail_out("no memory for %zu bytes", bytes);
	return room;
}

/* What a write holds, to be compared after a call that was refused. */
struct held {
	size_t count;
	size_t bytes;
};

static struct held held_by(const cop_write *write)
{
	return (struct held){cop_write_count(write), cop_write_bytes(write)};
}

static void refused_check(const cop_write *write, struct held before,
			  cop_err err, cop_err want, const char *what)
{
	struct held now = held_by(write);

	ok(err == want, "%s is refused with \"%s\"", what, cop_strerror(want));
	if (err != want)
		diag("got %d, \"%s\"", err, cop_last_error());
	ok(*cop_last_error(), "and told why: %.100s", cop_last_error());
	ok(now.count == before.count && now.bytes == before.bytes,
	   "and the write is as it was");
	if (now.count != before.count || now.bytes != before.bytes)
		diag("%zu operations of %zu bytes before, %zu of %zu after",
		     before.count, before.bytes, now.count, now.bytes);
}

/* refused(write, call, error, what): the write is looked at before the call. */
#define refused(write, call, want, what)                                       \
	do {                                                                   \
		struct held held_before = held_by(write);                      \
                                                                               \
		refused_check((write), held_before, (call), (want), (what));   \
	} while (0)

/* Ends a test: the whole store is checked. */
static void whole(struct fixture *f)
{
	uint64_t findings = 9;

	must(cop_check(f->store, finding_tell, NULL, &findings), "check");
	is_u64(findings, 0, "the check of the store finds nothing");
	fixture_release(f);
}

/* ---- keys --------------------------------------------------------------- */

static void a_key_has_1_to_480_bytes(void)
{
	static const float vector[2] = {1, 2};
	struct fixture f;
	char long_key[COP_KEY_BYTES + 2];
	struct cop_put put;
	struct cop_put_edge edge;
	struct cop_entity entity = {.id = 77};
	cop_write *write;
	cop_read *read;
	uint64_t id = 77;

	memset(long_key, 'k', sizeof long_key);
	long_key[COP_KEY_BYTES + 1] = 0;
	fixture_init(&f, 2, COP_L2);
	write = write_of(&f);
	put = put_of("other");
	must(cop_put(write, &put), "put");
	put = (struct cop_put){
	    .size = sizeof put, .key = long_key, .key_size = COP_KEY_BYTES};
	must(cop_put(write, &put), "put of 480 bytes");
	put.key_size = COP_KEY_BYTES + 1;
	refused(write, cop_put(write, &put), COP_BAD_KEY, "a key of 481 bytes");
	put.key_size = 0;
	refused(write, cop_put(write, &put), COP_BAD_KEY, "an empty key");
	put.key = NULL;
	put.key_size = 3;
	refused(write, cop_put(write, &put), COP_BAD_KEY, "no key");
	refused(write, cop_delete(write, long_key, COP_KEY_BYTES + 1),
		COP_BAD_KEY, "a delete of a key of 481 bytes");
	refused(write, cop_delete(write, "", 0), COP_BAD_KEY,
		"a delete of an empty key");
	refused(write,
		cop_put_vector(write, long_key, COP_KEY_BYTES + 1, vector, 2),
		COP_BAD_KEY, "a vector for a key of 481 bytes");
	edge = edge_of(long_key, "to", "other");
	edge.source_size = COP_KEY_BYTES + 1;
	refused(write, cop_put_edge(write, &edge), COP_BAD_KEY,
		"an edge from a key of 481 bytes");
	edge.source_size = COP_KEY_BYTES;
	edge.target_size = 0;
	refused(write, cop_put_edge(write, &edge), COP_BAD_KEY,
		"an edge to an empty key");
	edge.target_size = 5;
	must(cop_put_edge(write, &edge), "an edge from 480 bytes");
	refused(write,
		cop_delete_edge(write, long_key, COP_KEY_BYTES + 1, "to", 2,
				"other", 5),
		COP_BAD_KEY, "an edge's delete with a key of 481 bytes");
	is_u64(commit_of(write), 1, "what was not refused is committed");
	read = read_of(&f);
	must(cop_get(read, long_key, COP_KEY_BYTES, &entity), "get");
	ok(entity.key_size == COP_KEY_BYTES &&
	       !memcmp(entity.key, long_key, COP_KEY_BYTES),
	   "a key of 480 bytes is read back");
	ok(cop_lookup(read, long_key, COP_KEY_BYTES + 1, &id) == COP_BAD_KEY &&
	       id == 77,
	   "looking up 481 bytes is refused, the output untouched");
	ok(cop_lookup(read, "", 0, &id) == COP_BAD_KEY && id == 77,
	   "so is the empty key");
	ok(cop_lookup(read, NULL, 0, &id) == COP_BAD_KEY && id == 77,
	   "and none at all");
	entity.id = 55;
	ok(cop_get(read, long_key, COP_KEY_BYTES + 1, &entity) == COP_BAD_KEY &&
	       entity.id == 55,
	   "getting 481 bytes is refused, the output untouched");
	must(cop_lookup(read, long_key, COP_KEY_BYTES - 1, &id), "lookup");
	is_u64(id, 0, "a prefix of a key is another key");
	cop_read_end(read);
	whole(&f);
}

static void a_key_may_be_any_bytes(void)
{
	struct fixture f;
	unsigned char keys[256 + 8][5];
	uint32_t sizes[256 + 8];
	int count = 0;
	int wrong = 0;
	cop_write *write;
	cop_read *read;

	for (int i = 0; i < 256; i++, count++) {
		keys[count][0] = (unsigned char)i;
		sizes[count] = 1;
	}
	for (uint32_t i = 2; i < 6; i++, count++) { /* NULs, more and more */
		memset(keys[count], 0, 5);
		sizes[count] = i;
	}
	for (uint32_t i = 2; i < 6; i++, count++) {
		memset(keys[count], 0xff, 5);
		sizes[count] = i;
	}
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	for (int i = 0; i < count; i++) {
		struct cop_put put = {
		    .size = sizeof put, .key = keys[i], .key_size = sizes[i]};

		must(cop_put(write, &put), "put");
	}
	commit_of(write);
	for (int pass = 0; pass < 2; pass++) {
		read = read_of(&f);
		for (int i = 0; i < count; i++) {
			const void *key;
			size_t size;
			uint64_t id;

			must(cop_lookup(read, keys[i], sizes[i], &id),
			     "lookup");
			must(cop_key(read, id, &key, &size), "key");
			wrong += id != (uint64_t)i + 1 || size != sizes[i] ||
				 memcmp(key, keys[i], size) != 0;
		}
		cop_read_end(read);
		is_int(wrong, 0, "%d keys of all bytes, NUL too, %s", count,
		       pass ? "in a segment built again" : "as put");
		fixture_close(&f);
		must(cop_detach(f.path), "detach");
		fixture_open(&f);
	}
	whole(&f);
}

/* ---- names -------------------------------------------------------------- */

enum name_use { USE_TYPE, USE_TAG, USE_PROPERTY, USE_RELATION, USE_COUNT };

static const char *const use_words[USE_COUNT] = {"type", "tag", "property",
						 "relation"};

static cop_err name_put(cop_write *write, enum name_use use, const char *key,
			const char *name, size_t size)
{
	struct cop_property property = {name, size, {.kind = COP_NULL}};
	struct cop_put put = put_of(key);
	struct cop_put_edge edge = edge_of("end", "", "end");

	switch (use) {
	case USE_TYPE:
		put.type = name;
		put.type_size = size;
		break;
	case USE_TAG:
		put.tags = &name;
		put.tag_sizes = &size;
		put.tag_count = 1;
		break;
	case USE_PROPERTY:
		put.properties = &property;
		put.property_count = 1;
		break;
	default:
		edge.relation = name;
		edge.relation_size = size;
		return cop_put_edge(write, &edge);
	}
	return cop_put(write, &put);
}

static int32_t relation_is(void *user, cop_read *read,
			   const struct cop_edge *edge)
{
	const char *text;
	size_t size;

	must(cop_name(read, edge->relation, &text, &size), "name");
	return size == COP_NAME_BYTES && !memcmp(text, user, size);
}

static int name_is_back(cop_read *read, enum name_use use, char *name)
{
	struct cop_entity entity = entity_of(read, use_words[use]);
	struct cop_value value;
	const char *text = NULL;
	size_t size = 0;
	int found = 0;

	switch (use) {
	case USE_TYPE:
		must(cop_name(read, entity.type, &text, &size), "name");
		break;
	case USE_TAG:
		must(cop_entity_tag(read, &entity, 0, &text, &size), "tag");
		break;
	case USE_PROPERTY:
		must(cop_entity_property(read, &entity, name, COP_NAME_BYTES,
					 &found, &value),
		     "property");
		must(cop_entity_property_at(read, &entity, 0, &text, &size,
					    &value),
		     "property");
		if (!found)
			return 0;
		break;
	default:
		return cop_edges(read, lookup(read, "end"), COP_OUT,
				 relation_is, name) == COP_STOPPED;
	}
	return size == COP_NAME_BYTES && !memcmp(text, name, size);
}

static void names_of_one_use(struct fixture *f, enum name_use use)
{
	static const struct {
		const char *text;
		size_t size;
		const char *what;
	} bad[] = {
	    {"\xff", 1, "a byte of no text"},
	    {"\xc0\x80", 2, "an overlong NUL"},
	    {"\xed\xa0\x80", 3, "a surrogate"},
	    {"\xf4\x90\x80\x80", 4, "a character past the last"},
	    {"abcdefgh\xe2\x82", 10, "a character cut off"},
	    {"12345678\x80", 9, "a byte out of its place"},
	};
	char name[COP_NAME_BYTES + 2];
	char what[96];
	cop_write *write = write_of(f);
	cop_read *read;

	memset(name, 'n', sizeof name);
	name[0] = (char)('a' + (int)use);
	memcpy(name + COP_NAME_BYTES - 2, "\xc3\xa9",
	       2); /* ends in two bytes */
	must(name_put(write, use, use_words[use], name, COP_NAME_BYTES),
	     "a name of 255 bytes");
	name[COP_NAME_BYTES] = 'n';
	snprintf(what, sizeof what, "a %s of 256 bytes", use_words[use]);
	refused(write, name_put(write, use, "x", name, COP_NAME_BYTES + 1),
		COP_TOO_LARGE, what);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(what, sizeof what, "%s in a %s", bad[i].what,
			 use_words[use]);
		refused(write,
			name_put(write, use, "x", bad[i].text, bad[i].size),
			COP_BAD_TEXT, what);
	}
	if (use != USE_TYPE) { /* an empty type is none */
		snprintf(what, sizeof what, "an empty %s", use_words[use]);
		refused(write, name_put(write, use, "x", "", 0), COP_BAD_TEXT,
			what);
	}
	commit_of(write);
	read = read_of(f);
	ok(name_is_back(read, use, name), "a %s of 255 bytes is read back",
	   use_words[use]);
	is_u64(lookup(read, "x"), 0, "nothing of what was refused is there");
	cop_read_end(read);
}

static void a_name_has_1_to_255_bytes_of_utf8(void)
{
	struct fixture f;
	struct cop_stats stats = {.size = sizeof stats};
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 0, 0);
	write = write_of(&f);
	put_simple(write, "end", NULL, NULL, 0);
	commit_of(write);
	for (int use = 0; use < USE_COUNT; use++)
		names_of_one_use(&f, (enum name_use)use);
	read = read_of(&f);
	must(cop_stat(read, &stats), "stat");
	is_u64(stats.names, USE_COUNT,
	       "no name of a refused put is in the dictionary");
	cop_read_end(read);
	whole(&f);
}

/* A put is refused late, after names that are good were given. */
static void a_refused_put_leaves_no_name_behind(void)
{
	struct fixture f;
	struct cop_stats stats = {.size = sizeof stats};
	struct cop_property properties[2] = {
	    {"never-seen", 10, {.kind = COP_NULL}},
	    {"other", 5, {.kind = COP_FLOAT, .real = NAN}}};
	struct cop_put put = put_of("k");
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 0, 0);
	write = write_of(&f);
	put_simple(write, "k", NULL, NULL, 0);
	put.properties = properties;
	put.property_count = 2;
	refused(write, cop_put(write, &put), COP_INVALID,
		"a property that is not a number");
	refused(write, cop_put_many(write, &put, 1, 1), COP_INVALID,
		"the same among many");
	commit_of(write);
	read = read_of(&f);
	must(cop_stat(read, &stats), "stat");
	is_u64(stats.names, 0, "the dictionary has none of its names");
	cop_read_end(read);
	whole(&f);
}

/* ---- tags, properties --------------------------------------------------- */

static char (*texts_make(uint32_t count))[16]
{
	char(*texts)[16] = room_of(count * sizeof *texts);

	for (uint32_t i = 0; i < count; i++)
		snprintf(texts[i], sizeof texts[i], "name-%u", i);
	return texts;
}

static void an_entity_has_up_to_10000_tags(void)
{
	struct fixture f;
	char(*texts)[16] = texts_make(COP_TAG_COUNT + 1);
	const char **tags = room_of((COP_TAG_COUNT + 1) * sizeof *tags);
	struct cop_put put = put_of("tagged");
	struct cop_entity entity;
	int wrong = 0;
	cop_write *write;
	cop_read *read;

	for (uint32_t i = 0; i <= COP_TAG_COUNT; i++)
		tags[i] = texts[i];
	put.tags = tags;
	put.tag_count = COP_TAG_COUNT;
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	must(cop_put(write, &put), "10000 tags");
	put.tag_count++;
	refused(write, cop_put(write, &put), COP_TOO_LARGE,
		"an entity of 10001 tags");
	commit_of(write);
	read = read_of(&f);
	entity = entity_of(read, "tagged");
	is_u64(entity.tag_count, COP_TAG_COUNT, "10000 tags are there");
	for (uint32_t i = 0; i < entity.tag_count; i++) {
		const char *text;
		size_t size;

		must(cop_entity_tag(read, &entity, i, &text, &size), "tag");
		wrong +=
		    size != strlen(tags[i]) || memcmp(text, tags[i], size) != 0;
	}
	is_int(wrong, 0, "each of them in its place");
	{
		const char *text;
		size_t size;

		ok(cop_entity_tag(read, &entity, COP_TAG_COUNT, &text, &size) ==
		       COP_INVALID,
		   "there is no tag past the last");
	}
	cop_read_end(read);
	write = write_of(&f);
	put_simple(write, "tagged", NULL, NULL, 0);
	commit_of(write);
	read = read_of(&f);
	is_u64(entity_of(read, "tagged").tag_count, 0, "and all are taken off");
	cop_read_end(read);
	free(tags);
	free(texts);
	whole(&f);
}

static int32_t edge_keep(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	(void)read;
	*(struct cop_edge *)user = *edge;
	return 0;
}

static void a_record_has_up_to_4096_properties(void)
{
	struct fixture f;
	char(*texts)[16] = texts_make(COP_PROPERTY_COUNT + 1);
	struct cop_property *properties =
	    room_of((COP_PROPERTY_COUNT + 1) * sizeof *properties);
	struct cop_put put = put_of("e");
	struct cop_put_edge edge = edge_of("e", "to", "e");
	struct cop_entity entity;
	struct cop_edge found = {0};
	int wrong = 0;
	cop_write *write;
	cop_read *read;

	for (uint32_t i = 0; i <= COP_PROPERTY_COUNT; i++)
		properties[i] = (struct cop_property){
		    texts[i], strlen(texts[i]), integer_of((int64_t)i * i)};
	put.properties = properties;
	put.property_count = COP_PROPERTY_COUNT;
	edge.properties = properties;
	edge.property_count = COP_PROPERTY_COUNT;
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	must(cop_put(write, &put), "4096 properties");
	must(cop_put_edge(write, &edge), "4096 properties");
	put.property_count++;
	edge.property_count++;
	refused(write, cop_put(write, &put), COP_TOO_LARGE,
		"an entity of 4097 properties");
	refused(write, cop_put_edge(write, &edge), COP_TOO_LARGE,
		"an edge of 4097 properties");
	properties[1] = properties[0];
	put.property_count = 2;
	refused(write, cop_put(write, &put), COP_INVALID,
		"a property given twice");
	commit_of(write);
	read = read_of(&f);
	entity = entity_of(read, "e");
	must(cop_edges(read, entity.id, COP_OUT, edge_keep, &found), "edges");
	is_u64(entity.property_count, COP_PROPERTY_COUNT, "4096 are there");
	is_u64(found.property_count, COP_PROPERTY_COUNT, "of the edge, too");
	for (uint32_t i = 0; i < COP_PROPERTY_COUNT; i++) {
		struct cop_value a;
		struct cop_value b;
		const char *text;
		size_t size;

		must(cop_entity_property_at(read, &entity, i, &text, &size, &a),
		     "property");
		wrong +=
		    size != strlen(texts[i]) || memcmp(text, texts[i], size);
		must(cop_edge_property_at(read, &found, i, &text, &size, &b),
		     "property");
		wrong += a.kind != COP_INT || b.kind != COP_INT ||
			 a.integer != (int64_t)i * i || b.integer != a.integer;
	}
	is_int(wrong, 0, "each of them as it was put, in order");
	cop_read_end(read);
	free(properties);
	free(texts);
	whole(&f);
}

/* `depth` lists and maps inside one another, `inner` in the innermost. */
static struct cop_value nest_make(struct cop_value *lists,
				  struct cop_property *maps, uint32_t depth,
				  const struct cop_value *inner)
{
	struct cop_value value = {.kind = COP_LIST};

	if (inner) {
		value.count = 1;
		value.data = inner;
	}
	for (uint32_t i = 1; i < depth; i++) {
		lists[i] = value;
		maps[i] = (struct cop_property){"m", 1, value};
		value = (struct cop_value){.kind = i % 2 ? COP_MAP : COP_LIST,
					   .count = 1};
		value.data = i % 2 ? (const void *)&maps[i] : &lists[i];
	}
	return value;
}

static int nest_depth(cop_read *read, const char *key, int64_t *inner)
{
	struct cop_entity entity = entity_of(read, key);
	struct cop_value value;
	int found;
	int depth = 0;

	must(cop_entity_property(read, &entity, "nest", 4, &found, &value),
	     "property");
	while (found && value.kind >= COP_LIST) {
		struct cop_value item;

		depth++;
		if (!value.count)
			break;
		must(cop_value_item(&value, 0, NULL, NULL, &item), "item");
		value = item;
	}
	*inner = value.integer;
	return depth;
}

static void values_nest_32_deep(void)
{
	struct fixture f;
	struct cop_value lists[40];
	struct cop_property maps[40];
	struct cop_value seven = integer_of(7);
	struct cop_property property = {"nest", 4, {0}};
	struct cop_put put = put_of("empty");
	int64_t inner;
	cop_write *write;
	cop_read *read;

	put.properties = &property;
	put.property_count = 1;
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	property.value = nest_make(lists, maps, COP_NESTING, NULL);
	ok(cop_put(write, &put) == 0, "32 lists and maps, the innermost empty");
	put = (struct cop_put){.size = sizeof put,
			       .key = "full",
			       .key_size = 4,
			       .properties = &property,
			       .property_count = 1};
	property.value = nest_make(lists, maps, COP_NESTING, &seven);
	ok(cop_put(write, &put) == 0,
	   "32 lists and maps inside one another with a number in the "
	   "innermost: %s",
	   cop_last_error());
	property.value = nest_make(lists, maps, COP_NESTING + 1, NULL);
	refused(write, cop_put(write, &put), COP_TOO_LARGE,
		"33 lists and maps, the innermost empty");
	property.value = nest_make(lists, maps, COP_NESTING + 1, &seven);
	refused(write, cop_put(write, &put), COP_TOO_LARGE,
		"33 lists and maps");
	commit_of(write);
	read = read_of(&f);
	is_int(nest_depth(read, "empty", &inner), COP_NESTING,
	       "32 are read back");
	is_int(nest_depth(read, "full", &inner), COP_NESTING,
	       "32 around a number are read back");
	is_int(inner, 7, "with the number");
	cop_read_end(read);
	whole(&f);
}

/* ---- bytes -------------------------------------------------------------- */

enum filling { FILL_SAME, FILL_RANDOM, FILL_WORDS };

static void fill(char *data, size_t size, enum filling how, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		data[i] = how == FILL_SAME ? 'x'
			  : how == FILL_RANDOM
			      ? (char)(test_random(&seed) & 0x7f)
			      : "the quick brown fox "[(i + i / 97) % 20];
}

static void properties_hold_up_to_16_mib(void)
{
	enum { ROOM = 1024 }; /* for the record's header and directory */
	struct fixture f;
	size_t size = COP_PROPERTY_BYTES;
	char *data = room_of(size + 1);
	struct cop_property property = {"big", 3, {0}};
	struct cop_put put = put_of("k");
	struct cop_entity entity;
	struct cop_value value;
	int found;
	cop_write *write;
	cop_read *read;

	put.properties = &property;
	put.property_count = 1;
	fixture_init(&f, 0, 0);
	for (int how = FILL_SAME; how <= FILL_RANDOM; how++) {
		fill(data, size + 1, (enum filling)how, 3);
		write = write_of(&f);
		property.value = string_of(data, (uint32_t)size - ROOM);
		must(cop_put(write, &put), "just below 16 MiB");
		property.value = string_of(data, (uint32_t)size + 1);
		refused(write, cop_put(write, &put), COP_TOO_LARGE,
			"a string of over 16 MiB");
		property.value = string_of(data, UINT32_MAX);
		refused(write, cop_put(write, &put), COP_TOO_LARGE,
			"a string of 4 GiB");
		property.value.kind = COP_LIST;
		refused(write, cop_put(write, &put), COP_TOO_LARGE,
			"a list of 4,294,967,295");
		commit_of(write);
		read = read_of(&f);
		entity = entity_of(read, "k");
		must(cop_entity_property(read, &entity, "big", 3, &found,
					 &value),
		     "property");
		ok(found && value.count == size - ROOM &&
		       !memcmp(value.data, data, size - ROOM),
		   "a string of nearly 16 MiB, %s, is read back",
		   how == FILL_SAME ? "compressible" : "random");
		cop_read_end(read);
	}
	free(data);
	whole(&f);
}

static int content_is(cop_read *read, const char *key, const void *want,
		      size_t want_size)
{
	struct cop_entity entity = entity_of(read, key);
	const void *data = "";
	size_t size = 9;

	must(cop_entity_content(read, &entity, &data, &size), "content");
	if (!want_size)
		return !data && !size && !entity.content_size;
	return entity.content_size == want_size && size == want_size &&
	       !memcmp(data, want, size);
}

static void content_holds_16777216_bytes(void)
{
	struct fixture f;
	size_t size = COP_CONTENT_BYTES;
	char *data = room_of(size + 1);
	struct cop_put put = put_of("k");
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 0, 0);
	for (int how = FILL_SAME; how <= FILL_WORDS; how++) {
		fill(data, size + 1, (enum filling)how, 5);
		write = write_of(&f);
		put.content = data;
		put.content_size = size;
		must(cop_put(write, &put), "16 MiB of content");
		put.content_size = size + 1;
		refused(write, cop_put(write, &put), COP_TOO_LARGE,
			"content of 16777217 bytes");
		commit_of(write);
		read = read_of(&f);
		ok(content_is(read, "k", data, size),
		   "content of 16777216 bytes is read back");
		cop_read_end(read);
	}
	free(data);
	whole(&f);
}

static int string_is(cop_read *read, const struct cop_entity *entity,
		     const char *name, const void *want, size_t size)
{
	struct cop_value value;
	int found;

	must(cop_entity_property(read, entity, name, strlen(name), &found,
				 &value),
	     "property");
	return found && value.kind == COP_STRING && value.count == size &&
	       (!size || !memcmp(value.data, want, size));
}

/* Around the size at which values begin to be compressed. */
static void bytes_come_back_compressed_or_not(void)
{
	static const uint32_t sizes[] = {0,    1,    7,	    8,	  1015, 1016,
					 1017, 1023, 1024,  1025, 1032, 2000,
					 4095, 4096, 65536, 70001};
	enum { COUNT = sizeof sizes / sizeof *sizes };
	struct fixture f;
	char *data = room_of(70001);
	int wrong = 0;

	fixture_init(&f, 0, 0);
	for (int how = FILL_SAME; how <= FILL_WORDS; how++) {
		for (int i = 0; i < COUNT; i++) {
			struct cop_property properties[2] = {
			    {"whole", 5, string_of(data, sizes[i])},
			    {"half", 4, string_of(data, sizes[i] / 2)}};
			struct cop_put put = put_of("k");
			struct cop_entity entity;
			cop_write *write = write_of(&f);
			cop_read *read;

			fill(data, sizes[i], (enum filling)how,
			     (uint64_t)i + 1);
			if (sizes[i] > 2)
				data[sizes[i] / 2] = 0; /* NUL is text */
			put.properties = properties;
			put.property_count = 2;
			put.content = data;
			put.content_size = sizes[i];
			must(cop_put(write, &put), "put");
			commit_of(write);
			read = read_of(&f);
			entity = entity_of(read, "k");
			if (!content_is(read, "k", data, sizes[i]) ||
			    !string_is(read, &entity, "whole", data,
				       sizes[i]) ||
			    !string_is(read, &entity, "half", data,
				       sizes[i] / 2)) {
				wrong++;
				diag("%u bytes, filling %d", sizes[i], how);
			}
			cop_read_end(read);
		}
	}
	is_int(wrong, 0,
	       "strings and content of 0 to 70001 bytes, the same, "
	       "random, and words, NUL in them");
	free(data);
	whole(&f);
}

/* A list that is compressed, with all kinds in it. */
static void a_compressed_list_is_read_member_by_member(void)
{
	enum { COUNT = 500 };
	struct fixture f;
	struct cop_value *items = room_of(COUNT * sizeof *items);
	struct cop_property member = {
	    "in", 2, {.kind = COP_STRING, .count = 3, .data = "a\0b"}};
	struct cop_property property = {
	    "list", 4, {.kind = COP_LIST, .count = COUNT, .data = items}};
	struct cop_put put = put_of("k");
	struct cop_entity entity;
	struct cop_value list;
	struct cop_value item;
	struct cop_value inner;
	const char *name;
	size_t size;
	int wrong = 0;
	int found;
	cop_write *write;
	cop_read *read;

	for (int i = 0; i < COUNT; i++)
		items[i] =
		    i % 3 == 0 ? integer_of(i - 7)
		    : i % 3 == 1
			? (struct cop_value){.kind = COP_FLOAT, .real = i / 8.0}
			: (struct cop_value){
			      .kind = COP_MAP, .count = 1, .data = &member};
	put.properties = &property;
	put.property_count = 1;
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	must(cop_put(write, &put), "put");
	commit_of(write);
	read = read_of(&f);
	entity = entity_of(read, "k");
	must(cop_entity_property(read, &entity, "list", 4, &found, &list),
	     "property");
	for (uint32_t i = 0; i < COUNT; i++) {
		must(cop_value_item(&list, i, &name, &size, &item), "item");
		wrong += name || item.kind != items[i].kind;
		wrong += i % 3 == 0 && item.integer != (int64_t)i - 7;
		wrong += i % 3 == 1 && item.real != i / 8.0;
		if (i % 3 != 2)
			continue;
		must(cop_value_item(&item, 0, &name, &size, &inner), "item");
		wrong += size != 2 || memcmp(name, "in", 2) != 0 ||
			 inner.count != 3 || memcmp(inner.data, "a\0b", 3) != 0;
	}
	ok(found && list.count == COUNT && !wrong,
	   "500 members of a compressed list");
	ok(cop_value_item(&list, COUNT, NULL, NULL, &item) == COP_INVALID,
	   "there is none past the last");
	cop_read_end(read);
	free(items);
	whole(&f);
}

/* ---- values ------------------------------------------------------------- */

static void numbers_come_back_bit_for_bit(void)
{
	static const double reals[] = {
	    0.0,	 -0.0,	    DBL_MIN,	DBL_MAX,
	    -DBL_MAX,	 0x1p-1074, -0x1p-1074, DBL_TRUE_MIN * 3,
	    DBL_EPSILON, 1e-300,    0.1};
	static const int64_t integers[] = {
	    0, 1, -1, INT64_MAX, INT64_MIN, INT32_MIN, UINT32_MAX};
	enum {
		REALS = sizeof reals / sizeof *reals,
		INTEGERS = sizeof integers / sizeof *integers
	};
	struct fixture f;
	char(*texts)[16] = texts_make(REALS + INTEGERS);
	struct cop_property properties[REALS + INTEGERS];
	struct cop_put put = put_of("k");
	struct cop_entity entity;
	int wrong = 0;
	cop_write *write;
	cop_read *read;

	for (int i = 0; i < REALS + INTEGERS; i++) {
		properties[i] = (struct cop_property){
		    .name = texts[i], .name_size = strlen(texts[i])};
		properties[i].value =
		    i < REALS ? (struct cop_value){.kind = COP_FLOAT,
						   .real = reals[i]}
			      : integer_of(integers[i - REALS]);
	}
	put.properties = properties;
	put.property_count = REALS + INTEGERS;
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	must(cop_put(write, &put), "put");
	for (int i = 0; i < 3; i++) {
		properties[0].value.real = i == 0   ? (double)NAN
					   : i == 1 ? (double)INFINITY
						    : -(double)INFINITY;
		refused(write, cop_put(write, &put), COP_INVALID,
			"a real that is not finite");
	}
	commit_of(write);
	read = read_of(&f);
	entity = entity_of(read, "k");
	for (uint32_t i = 0; i < REALS + INTEGERS; i++) {
		struct cop_value value;
		const char *name;
		size_t size;

		must(cop_entity_property_at(read, &entity, i, &name, &size,
					    &value),
		     "property");
		wrong += i < REALS ? value.kind != COP_FLOAT ||
					 memcmp(&value.real, &reals[i], 8) != 0
				   : value.kind != COP_INT ||
					 value.integer != integers[i - REALS];
	}
	is_int(wrong, 0, "denormals, -0.0, the smallest and largest");
	cop_read_end(read);
	free(texts);
	whole(&f);
}

static void empty_things_are_not_absent(void)
{
	struct fixture f;
	struct cop_property no_name = {"", 0, {.kind = COP_BOOL, .integer = 1}};
	struct cop_property properties[6] = {
	    {"string", 6, string_of(NULL, 0)},
	    {"list", 4, {.kind = COP_LIST}},
	    {"map", 3, {.kind = COP_MAP}},
	    {"null", 4, {.kind = COP_NULL}},
	    {"false", 5, {.kind = COP_BOOL}},
	    {"unnamed", 7, {.kind = COP_MAP, .count = 1, .data = &no_name}}};
	struct cop_put put = put_of("k");
	struct cop_entity entity;
	struct cop_value value;
	struct cop_value item;
	const char *name = "x";
	size_t size = 9;
	int found;
	int wrong = 0;
	cop_write *write;
	cop_read *read;

	put.properties = properties;
	put.property_count = 6;
	put.content = "";
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	must(cop_put(write, &put), "put");
	commit_of(write);
	read = read_of(&f);
	entity = entity_of(read, "k");
	for (uint32_t i = 0; i < 5; i++) {
		must(cop_entity_property(read, &entity, properties[i].name,
					 properties[i].name_size, &found,
					 &value),
		     "property");
		wrong += !found || value.kind != properties[i].value.kind ||
			 value.count;
		wrong +=
		    cop_value_item(&value, 0, NULL, NULL, &item) != COP_INVALID;
	}
	is_int(wrong, 0, "an empty string, list and map, null and false");
	must(cop_entity_property(read, &entity, "unnamed", 7, &found, &value),
	     "property");
	must(cop_value_item(&value, 0, &name, &size, &item), "item");
	ok(name && size == 0 && item.kind == COP_BOOL && item.integer == 1,
	   "a map's member may have an empty name");
	ok(content_is(read, "k", NULL, 0), "empty content is none");
	must(cop_entity_property(read, &entity, "", 0, &found, &value),
	     "property");
	ok(!found, "there is no property of an empty name");
	cop_read_end(read);
	whole(&f);
}

static void text_that_is_not_utf8_is_refused(void)
{
	struct fixture f;
	struct cop_property member = {"a\xff", 2, {.kind = COP_NULL}};
	struct cop_property property = {"p", 1, string_of("ab\xfe", 3)};
	struct cop_put put = put_of("k");
	cop_write *write;

	put.properties = &property;
	put.property_count = 1;
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	refused(write, cop_put(write, &put), COP_BAD_TEXT,
		"a string that is no text");
	property.value =
	    (struct cop_value){.kind = COP_MAP, .count = 1, .data = &member};
	refused(write, cop_put(write, &put), COP_BAD_TEXT,
		"a map's name that is no text");
	property.value.kind = 7;
	refused(write, cop_put(write, &put), COP_INVALID, "a value of kind 7");
	property.value.kind = -1;
	refused(write, cop_put(write, &put), COP_INVALID, "a value of kind -1");
	cop_abort(write);
	whole(&f);
}

/* ---- vectors ------------------------------------------------------------ */

static void a_vector_is_finite_and_of_the_stores_dimension(int32_t metric)
{
	static const float bad[][3] = {
	    {1, NAN, 1}, {INFINITY, 0, 0}, {0, 0, -INFINITY}};
	struct fixture f;
	float zero[4] = {0, -0.0f, 0, 0};
	struct cop_search search = {.size = sizeof search, .k = 3};
	struct cop_hit hits[3] = {{.id = 5}};
	uint32_t count = 9;
	struct cop_put put = put_of("k");
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 3, metric);
	write = write_of(&f);
	put_simple(write, "k", NULL, NULL, 0);
	for (int i = 0; i < 3; i++) {
		put.vector = bad[i];
		put.dim = 3;
		refused(write, cop_put(write, &put), COP_BAD_VECTOR,
			"NaN or an infinity in a vector");
		refused(write, cop_put_vector(write, "k", 1, bad[i], 3),
			COP_BAD_VECTOR, "the same for a vector alone");
	}
	put.vector = zero;
	zero[0] = 1;
	for (put.dim = 0; put.dim < 5; put.dim++) {
		if (put.dim == 3)
			continue;
		refused(write, cop_put(write, &put), COP_BAD_VECTOR,
			"a vector of another dimension");
	}
	zero[0] = 0;
	put.dim = 3;
	if (metric == COP_COSINE)
		refused(write, cop_put(write, &put), COP_BAD_VECTOR,
			"the zero vector, for cosine,");
	else
		must(cop_put(write, &put), "the zero vector");
	put.vector = NULL;
	put.vector_change = 2;
	refused(write, cop_put(write, &put), COP_INVALID,
		"an unknown vector_change");
	put.vector_change = -1;
	refused(write, cop_put(write, &put), COP_INVALID,
		"a negative vector_change");
	commit_of(write);
	read = read_of(&f);
	for (int i = 0; i < 3; i++) {
		search.vector = bad[i];
		ok(cop_search(read, &search, hits, &count) == COP_BAD_VECTOR &&
		       count == 9 && hits[0].id == 5,
		   "a query of NaN or an infinity is refused");
		ok(cop_search_many(read, &search, bad[i], 1, 2, hits, &count) ==
		       COP_BAD_VECTOR,
		   "among many, too");
	}
	search.vector = zero;
	ok(cop_search(read, &search, hits, &count) ==
	       (metric == COP_COSINE ? COP_BAD_VECTOR : 0),
	   "the zero query is refused for cosine alone");
	cop_read_end(read);
	whole(&f);
}

static void a_store_without_vectors_says_so(void)
{
	static const float one[2] = {1, 1};
	struct fixture f;
	struct cop_search search = {
	    .size = sizeof search, .k = 1, .vector = one};
	struct cop_hit hit;
	uint32_t count = 9;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 0, 0);
	is_u64(cop_dim(f.store), 0, "a store may have no vectors");
	write = write_of(&f);
	put_simple(write, "k", NULL, NULL, 0);
	refused(write, cop_put_vector(write, "k", 1, one, 2), COP_BAD_VECTOR,
		"a vector");
	commit_of(write);
	read = read_of(&f);
	ok(cop_search(read, &search, &hit, &count) == COP_BAD_VECTOR &&
	       count == 9,
	   "a search is refused: %s", cop_last_error());
	cop_read_end(read);
	whole(&f);
}

static void options_out_of_range_make_no_store(void)
{
	struct fixture f;
	struct cop_options good = {.size = sizeof good, .dim = 2};
	struct cop_options bad[16];
	int count = 0;
	int wrong = 0;

	fixture_folder(&f);
	for (size_t i = 0; i < 16; i++)
		bad[i] = good;
	bad[count++].dim = 1;
	bad[count++].dim = COP_DIM_MAX + 1;
	bad[count++].dim = UINT32_MAX;
	bad[count++].metric = 4;
	bad[count++].metric = -1;
	bad[count++].rows = 2;
	bad[count++].rows = -1;
	bad[count++].mode = 01777;
	bad[count++].mode = 0060;
	bad[count++].bloom_rate = -1;
	bad[count++].bloom_rate = (double)NAN;
	bad[count++].bloom_rate = 0.5;
	bad[count++].shm_dir = "relative";
	bad[count++].size = 0;
	bad[count++].size = sizeof good + 8;
	for (int i = 0; i < count; i++) {
		cop_err err = cop_create(f.path, &bad[i]);

		if (err != COP_INVALID || !access(f.path, F_OK)) {
			wrong++;
			diag("options %d: %d", i, err);
		}
	}
	is_int(wrong, 0, "%d wrong options are refused, nothing is left",
	       count);
	ok(cop_create(NULL, &good) == COP_INVALID, "so is no path");
	ok(cop_create("", &good) == COP_INVALID, "and an empty one");
	must(cop_create(f.path, &good), "create");
	ok(cop_create(f.path, &good) == COP_EXISTS,
	   "what is there already is not made again");
	fixture_open(&f);
	whole(&f);
}

/* Squares of distances in long double, from the floats as put. */
static double distance_of(int32_t metric, const float *a, const float *b,
			  uint32_t dim)
{
	long double ab = 0;
	long double aa = 0;
	long double bb = 0;
	long double dd = 0;

	for (uint32_t i = 0; i < dim; i++) {
		long double x = a[i];
		long double y = b[i];

		ab += x * y;
		aa += x * x;
		bb += y * y;
		dd += (x - y) * (x - y);
	}
	if (metric == COP_L2)
		return (double)dd;
	if (metric == COP_IP)
		return (double)-ab;
	return (double)(1 - ab / (sqrtl(aa) * sqrtl(bb)));
}

/* How far a half precision answer may be off, generously. */
static double slack_of(int32_t metric, const float *a, const float *b,
		       uint32_t dim, double distance, int exact)
{
	double e = exact ? 1e-12 : 0x1p-9;
	double lengths = sqrt(distance_of(COP_IP, a, a, dim) *
			      distance_of(COP_IP, b, b, dim));

	if (metric == COP_IP)
		return e * lengths;
	if (metric == COP_L2)
		return e * (fabs(distance) +
			    (exact ? 0
				   : -distance_of(COP_IP, b, b, dim) -
					 distance_of(COP_IP, a, a, dim)));
	return e;
}

/* One dimension, one scale: searches against a plain loop. */
static int searches_agree(uint32_t dim, int32_t metric, float scale)
{
	enum { COUNT = 40 };
	struct fixture f;
	uint64_t state = dim * 7 + (uint64_t)metric;
	float *vectors = room_of((COUNT + 1) * dim * sizeof *vectors);
	float *query = vectors + (size_t)COUNT * dim;
	struct cop_search search = {
	    .size = sizeof search, .k = COUNT + 5, .vector = query};
	struct cop_hit hits[COUNT + 5];
	uint32_t count;
	int wrong = 0;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, dim, metric);
	write = write_of(&f);
	for (uint32_t i = 0; i <= COUNT; i++) {
		char key[16];
		float *vector = vectors + (size_t)i * dim;

		for (uint32_t d = 0; d < dim; d++)
			vector[d] = scale * (float)test_gaussian(&state);
		snprintf(key, sizeof key, "k%u", i);
		if (i < COUNT)
			put_simple(write, key, NULL, vector, dim);
	}
	commit_of(write);
	read = read_of(&f);
	for (int exact = 0; exact < 2; exact++) {
		search.exact = exact;
		must(cop_search(read, &search, hits, &count), "search");
		wrong += count != COUNT;
		for (uint32_t i = 0; i < count; i++) {
			const float *vector =
			    vectors + (size_t)(hits[i].id - 1) * dim;
			double want = distance_of(metric, query, vector, dim);
			double slack =
			    slack_of(metric, query, vector, dim, want, exact);

			if (!(fabs(hits[i].distance - want) <= slack) ||
			    (i && hits[i].distance < hits[i - 1].distance)) {
				if (!wrong++)
					diag("dim %u, metric %d, scale %g, "
					     "exact %d: %g instead of %g",
					     dim, metric, (double)scale, exact,
					     hits[i].distance, want);
			}
		}
	}
	cop_read_end(read);
	fixture_release(&f);
	free(vectors);
	return !wrong;
}

static void distances_hold_at_any_dimension_and_scale(void)
{
	static const uint32_t dims[] = {2, 3, 63, 64, 65, 4095, 4096};
	static const float scales[] = {1e-20f, 1e-4f, 1, 1e20f};
	int wrong = 0;

	for (int32_t metric = COP_COSINE; metric <= COP_IP; metric++)
		for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
			wrong += !searches_agree(dims[i], metric, 1);
	is_int(wrong, 0,
	       "dimensions of 2 to 4096 give the distances that a "
	       "plain loop gives");
	wrong = 0;
	for (int32_t metric = COP_COSINE; metric <= COP_IP; metric++)
		for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
			wrong += !searches_agree(5, metric, scales[i]);
	is_int(wrong, 0, "so do values of 1e-20 and 1e20");
}

static void equal_distances_are_ordered_by_id(void)
{
	enum { COUNT = 3000 };
	static const float query[2] = {0, 0};
	struct fixture f;
	struct cop_search search = {
	    .size = sizeof search, .k = 10, .vector = query};
	struct cop_hit *hits = room_of((size_t)COP_K_MAX * sizeof *hits);
	uint32_t count = 0;
	int wrong = 0;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 2, COP_L2);
	write = write_of(&f);
	for (int i = 0; i < COUNT; i++) { /* four points, on one circle */
		float vector[2] = {i % 4 < 2 ? (float)(i % 4 * 2 - 1) : 0,
				   i % 4 < 2 ? 0 : (float)(i % 4 * 2 - 5)};
		char key[16];

		snprintf(key, sizeof key, "k%d", i);
		put_simple(write, key, NULL, vector, 2);
	}
	commit_of(write);
	read = read_of(&f);
	for (int exact = 0; exact < 2; exact++) {
		search.exact = exact;
		search.k = 10;
		must(cop_search(read, &search, hits, &count), "search");
		for (uint32_t i = 0; i < count; i++)
			wrong += hits[i].id != i + 1 || hits[i].distance != 1;
		ok(count == 10 && !wrong, "of 3000 at one distance the ten "
					  "lowest ids are found");
		search.k = COP_K_MAX;
		must(cop_search(read, &search, hits, &count), "search");
		for (uint32_t i = 0; i < count; i++)
			wrong += hits[i].id != i + 1;
		ok(count == COUNT && !wrong,
		   "a k of 1000000 gives all there are, in order");
		search.has_threshold = 1;
		search.threshold = 1;
		must(cop_search(read, &search, hits, &count), "search");
		is_u64(count, COUNT, "a threshold includes what equals it");
		search.threshold = nextafter(1, 0);
		must(cop_search(read, &search, hits, &count), "search");
		is_u64(count, 0, "and nothing beyond");
		search.has_threshold = 0;
	}
	search.k = COP_K_MAX + 1;
	ok(cop_search(read, &search, hits, &count) == COP_INVALID && !count,
	   "a k of 1000001 is refused");
	search.k = 0;
	ok(cop_search(read, &search, hits, &count) == COP_INVALID,
	   "so is a k of 0");
	cop_read_end(read);
	free(hits);
	whole(&f);
}

/* ---- edges -------------------------------------------------------------- */

static int32_t edge_count(void *user, cop_read *read,
			  const struct cop_edge *edge)
{
	(void)read;
	(void)edge;
	++*(int *)user;
	return 0;
}

static void loops_and_parallel_relations_are_edges_of_their_own(void)
{
	struct fixture f;
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = 3, .direction = COP_BOTH};
	struct cop_step steps[8];
	struct cop_edge edge;
	size_t n = 0;
	int32_t more = 9;
	int count = 0;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 0, 0);
	write = write_of(&f);
	put_simple(write, "a", NULL, NULL, 0);
	put_simple(write, "b", NULL, NULL, 0);
	must(link_simple(write, "a", "r", "a"), "a loop");
	must(link_simple(write, "a", "s", "a"), "a second loop");
	must(link_simple(write, "a", "r", "b"), "an edge");
	must(link_simple(write, "a", "s", "b"), "a parallel one");
	must(link_simple(write, "b", "r", "a"), "one back");
	must(link_simple(write, "a", "r", "b"), "the same again");
	commit_of(write);
	read = read_of(&f);
	must(cop_edges(read, 1, COP_OUT, edge_count, &count), "edges");
	is_int(count, 4, "two loops and two parallel edges go out");
	count = 0;
	must(cop_edges(read, 1, COP_BOTH, edge_count, &count), "edges");
	is_int(count, 7, "a loop comes once in each direction");
	walk.start = 1;
	must(cop_walk(read, &walk, steps, 8, &n, &more), "walk");
	ok(n == 2 && steps[1].id == 2 && steps[1].hops == 1 && !more,
	   "a walk comes to each entity once");
	must(cop_walk(read, &walk, steps, 1, &n, &more), "walk");
	ok(n == 1 && more == 1, "room for one step: it says there is more");
	cop_read_end(read);
	write = write_of(&f);
	must(cop_delete_edge(write, "a", 1, "r", 1, "a", 1), "unlink");
	commit_of(write);
	read = read_of(&f);
	must(cop_get_edge(read, 1, "r", 1, 1, &edge), "get edge");
	is_u64(edge.version, 0, "a loop is deleted alone");
	must(cop_get_edge(read, 1, "s", 1, 1, &edge), "get edge");
	is_u64(edge.version, 1, "the other one stays");
	cop_read_end(read);
	write = write_of(&f);
	must(cop_delete(write, "a", 1), "delete");
	commit_of(write);
	read = read_of(&f);
	count = 0;
	must(cop_edges(read, 2, COP_BOTH, edge_count, &count), "edges");
	is_int(count, 0, "an entity is deleted with its loops and edges");
	cop_read_end(read);
	whole(&f);
}

static void a_walk_goes_up_to_64_hops(void)
{
	enum { CHAIN = 70 };
	struct fixture f;
	struct cop_walk walk = {.size = sizeof walk, .hops = COP_HOPS_MAX};
	struct cop_step steps[CHAIN];
	size_t n = 99;
	int32_t more = 9;
	char keys[CHAIN][8];
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 0, 0);
	write = write_of(&f);
	for (int i = 0; i < CHAIN; i++) {
		snprintf(keys[i], sizeof keys[i], "n%d", i);
		put_simple(write, keys[i], NULL, NULL, 0);
		if (i)
			must(link_simple(write, keys[i - 1], "next", keys[i]),
			     "link");
	}
	commit_of(write);
	read = read_of(&f);
	walk.start = 1;
	must(cop_walk(read, &walk, steps, CHAIN, &n, &more), "walk");
	ok(n == COP_HOPS_MAX + 1 && !more && steps[64].hops == 64,
	   "64 hops along a chain");
	walk.hops++;
	ok(cop_walk(read, &walk, steps, CHAIN, &n, &more) == COP_INVALID &&
	       n == COP_HOPS_MAX + 1,
	   "65 are refused");
	walk.hops = 0;
	must(cop_walk(read, &walk, steps, CHAIN, &n, NULL), "walk");
	is_u64(n, 1, "no hops give the start alone");
	ok(cop_walk(read, &walk, steps, 0, &n, NULL) == COP_INVALID && n == 1,
	   "room for no step is refused");
	walk.direction = 4;
	ok(cop_walk(read, &walk, steps, 1, &n, NULL) == COP_INVALID,
	   "so is an unknown direction");
	walk.direction = -1;
	ok(cop_walk(read, &walk, steps, 1, &n, NULL) == COP_INVALID,
	   "and a negative one");
	walk.direction = COP_OUT;
	walk.relation = "never";
	ok(cop_walk(read, &walk, steps, 1, &n, NULL) == COP_NO_NAME,
	   "and a relation never seen: %s", cop_last_error());
	walk.relation = NULL;
	walk.start = 0;
	must(cop_walk(read, &walk, steps, 1, &n, NULL), "walk");
	is_u64(n, 0, "a start that is no id gives no steps");
	walk.start = UINT64_MAX;
	must(cop_walk(read, &walk, steps, 1, &n, NULL), "walk");
	is_u64(n, 0, "nor does one that never was");
	cop_read_end(read);
	whole(&f);
}

/* ---- threads ------------------------------------------------------------ */

static _Atomic uint32_t visited;
static _Atomic uint32_t visits_wrong;

static int32_t visit_count(void *user, uint32_t thread, cop_read *read,
			   const struct cop_entity *entity)
{
	(void)read;
	visited++;
	visits_wrong += !entity->id || thread >= *(const uint32_t *)user;
	return 0;
}

static void more_threads_than_256_are_256(void)
{
	enum { COUNT = 1000 };
	static const uint32_t thread_counts[] = {0,   1,   2,	 255,
						 256, 257, 5000, UINT32_MAX};
	struct fixture f;
	char(*texts)[16] = texts_make(COUNT);
	struct cop_put *puts = room_of(COUNT * sizeof *puts);
	const void **keys = room_of(COUNT * sizeof *keys);
	size_t *sizes = room_of(COUNT * sizeof *sizes);
	struct cop_entity *entities = room_of(COUNT * sizeof *entities);
	float *vectors = room_of(COUNT * 2 * sizeof *vectors);
	struct cop_hit *hits = room_of(COUNT * sizeof *hits);
	uint32_t *counts = room_of(COUNT * sizeof *counts);
	struct cop_search search = {.size = sizeof search, .k = 1};
	const char *tag = "t";
	int wrong = 0;

	for (uint32_t i = 0; i < COUNT; i++) {
		vectors[i * 2] = (float)i;
		vectors[i * 2 + 1] = 0;
		puts[i] = put_of(texts[i]);
		puts[i].vector = vectors + (size_t)i * 2;
		puts[i].dim = 2;
		puts[i].tags = &tag;
		puts[i].tag_count = i % 2;
		keys[i] = texts[i];
		sizes[i] = strlen(texts[i]);
	}
	fixture_init(&f, 2, COP_L2);
	for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts;
	     t++) {
		uint32_t threads = thread_counts[t];
		uint32_t limit = threads > 256 ? 256 : threads ? threads : 1;
		cop_write *write = write_of(&f);
		cop_read *read;

		must(cop_put_many(write, puts, COUNT, threads), "put many");
		wrong += cop_write_count(write) != COUNT;
		commit_of(write);
		read = read_of(&f);
		must(cop_get_many(read, keys, sizes, COUNT, threads, entities),
		     "get many");
		must(cop_search_many(read, &search, vectors, COUNT, threads,
				     hits, counts),
		     "search many");
		for (uint32_t i = 0; i < COUNT; i++)
			wrong += entities[i].id != i + 1 || counts[i] != 1 ||
				 hits[i].id != i + 1 || hits[i].distance != 0;
		visited = 0;
		must(cop_scan(read, NULL, NULL, threads, visit_count, &limit),
		     "scan");
		wrong += visited != COUNT;
		visited = 0;
		must(cop_scan(read, NULL, "t", threads, visit_count, &limit),
		     "scan");
		wrong += visited != COUNT / 2;
		cop_read_end(read);
	}
	ok(!wrong && !visits_wrong,
	   "puts, gets, searches and scans over 0 to 4294967295 threads");
	free(texts);
	free(puts);
	free(keys);
	free(sizes);
	free(entities);
	free(vectors);
	free(hits);
	free(counts);
	whole(&f);
}

/* One of many puts is wrong: none is taken. */
static void many_puts_are_all_taken_or_none(void)
{
	enum { COUNT = 50 };
	struct fixture f;
	char(*texts)[16] = texts_make(COUNT);
	struct cop_put puts[COUNT];
	cop_write *write;
	cop_read *read;

	for (uint32_t i = 0; i < COUNT; i++)
		puts[i] = put_of(texts[i]);
	puts[COUNT - 2].key_size = COP_KEY_BYTES + 1;
	fixture_init(&f, 0, 0);
	write = write_of(&f);
	put_simple(write, "before", NULL, NULL, 0);
	for (uint32_t threads = 1; threads < 5; threads += 3)
		refused(write, cop_put_many(write, puts, COUNT, threads),
			COP_BAD_KEY, "many puts, one of them wrong,");
	must(cop_put_many(write, puts, 0, 4), "no puts");
	commit_of(write);
	read = read_of(&f);
	ok(lookup(read, "before") == 1 && !lookup(read, texts[0]),
	   "what the write held before is committed, of the many nothing");
	cop_read_end(read);
	free(texts);
	whole(&f);
}

/* What a visitor is given is a read: a walk from there works, too. */
static int32_t visit_and_walk(void *user, uint32_t thread, cop_read *read,
			      const struct cop_entity *entity)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = 1,
				.start = entity->id,
				.direction = COP_BOTH};
	struct cop_step steps[4];
	size_t n = 0;

	(void)user;
	(void)thread;
	if (cop_walk(read, &walk, steps, 4, &n, NULL) || n != 2)
		visits_wrong++;
	visited++;
	return 0;
}

static void a_visitor_may_walk(void)
{
	struct fixture f;
	cop_write *write;

	fixture_init(&f, 0, 0);
	write = write_of(&f);
	put_simple(write, "a", NULL, NULL, 0);
	put_simple(write, "b", NULL, NULL, 0);
	must(link_simple(write, "a", "to", "b"), "link");
	commit_of(write);
	for (uint32_t threads = 1; threads < 3; threads++) {
		pid_t pid = fork(); /* it may die of it */
		int status;

		if (!pid) {
			cop_read *read;

			visited = 0;
			visits_wrong = 0;
			fixture_open(&f);
			read = read_of(&f);
			must(cop_scan(read, NULL, NULL, threads, visit_and_walk,
				      NULL),
			     "scan");
			_exit(visited == 2 && !visits_wrong ? 0 : 1);
		}
		status = child_wait(pid);
		is_int(status, 0,
		       "a scan's visitor walks with the read that it is "
		       "given, %u threads",
		       threads);
	}
	whole(&f);
}

/* ---- structs, NULL ------------------------------------------------------ */

static void a_struct_of_another_size_is_refused(void)
{
	struct fixture f;
	struct cop_open_options options = {.size = 4};
	struct cop_put put = put_of("k");
	struct cop_put_edge edge = edge_of("k", "to", "k");
	struct cop_result result = {.size = sizeof result + 1};
	struct cop_stats stats = {.size = 1};
	struct cop_search search = {.size = sizeof search - 8, .k = 1};
	struct cop_walk walk = {.size = 0, .hops = 1};
	struct cop_step step;
	struct cop_hit hit;
	cop_store *store = NULL;
	uint32_t count = 7;
	size_t n = 7;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 0, 0);
	ok(cop_open(f.path, &options, &store) == COP_INVALID && !store,
	   "open options of another size");
	write = write_of(&f);
	put_simple(write, "k", NULL, NULL, 0);
	put.size -= 8;
	refused(write, cop_put(write, &put), COP_INVALID,
		"a put of another size");
	refused(write, cop_put(write, NULL), COP_INVALID, "no put");
	edge.size = 0;
	refused(write, cop_put_edge(write, &edge), COP_INVALID,
		"an edge of another size");
	refused(write, cop_put_edge(write, NULL), COP_INVALID, "no edge");
	edge.size = sizeof edge;
	edge.dangling = 3;
	refused(write, cop_put_edge(write, &edge), COP_INVALID,
		"an unknown way with dangling edges");
	edge.dangling = -1;
	refused(write, cop_put_edge(write, &edge), COP_INVALID,
		"a negative one");
	refused(write, cop_commit(write, &result), COP_INVALID,
		"a result of another size");
	is_u64(commit_of(write), 1, "the put before all that is committed");
	read = read_of(&f);
	ok(cop_stat(read, &stats) == COP_INVALID, "figures of another size");
	ok(cop_stat(read, NULL) == COP_INVALID, "no figures");
	ok(cop_search(read, &search, &hit, &count) == COP_INVALID && count == 7,
	   "a search of another size");
	ok(cop_search(read, NULL, &hit, &count) == COP_INVALID, "no search");
	ok(cop_walk(read, &walk, &step, 1, &n, NULL) == COP_INVALID && n == 7,
	   "a walk of another size");
	ok(cop_walk(read, NULL, &step, 1, &n, NULL) == COP_INVALID, "no walk");
	ok(cop_edges(read, 1, 0, edge_count, &count) == COP_INVALID &&
	       cop_edges(read, 1, 4, edge_count, &count) == COP_INVALID,
	   "an unknown direction of edges");
	cop_read_end(read);
	whole(&f);
}

static void null_is_taken_where_the_header_says_so(void)
{
	struct fixture f;
	cop_store *store = NULL;
	cop_write *write;
	cop_read *read;
	uint64_t findings = 9;

	cop_close(NULL);
	cop_abort(NULL);
	cop_read_end(NULL);
	fixture_folder(&f);
	must(cop_create(f.path, NULL), "create without options");
	ok(cop_open(NULL, NULL, &store) == COP_INVALID, "open of no path");
	ok(cop_open(f.path, NULL, NULL) == COP_INVALID, "open to nowhere");
	ok(cop_detach(NULL) == COP_INVALID, "detach of no path");
	fixture_open(&f);
	is_u64(cop_dim(f.store), 0, "no options: no vectors");
	is_int(cop_metric(f.store), COP_COSINE, "and cosine");
	write = write_of(&f);
	put_simple(write, "k", NULL, NULL, 0);
	must(cop_commit(write, NULL), "commit without a result");
	is_u64(cop_write_count(write), 0, "a committed write is empty");
	must(cop_commit(write, NULL), "commit of nothing");
	cop_abort(write);
	read = read_of(&f);
	is_u64(cop_read_commit(read), 1, "nothing makes no commit");
	cop_read_end(read);
	must(cop_check(f.store, NULL, NULL, &findings), "check");
	is_u64(findings, 0, "check without a callback");
	for (int error = -31100; error < 200; error++)
		if (!cop_strerror(error) || !*cop_strerror(error))
			ok(0, "error %d has no text", error);
	ok(strstr(cop_strerror(-12345), "-12345"),
	   "every number has a text, unknown ones too");
	fixture_release(&f);
}

int main(void)
{
	test_begin(120);
	a_key_has_1_to_480_bytes();
	a_key_may_be_any_bytes();
	a_name_has_1_to_255_bytes_of_utf8();
	a_refused_put_leaves_no_name_behind();
	an_entity_has_up_to_10000_tags();
	a_record_has_up_to_4096_properties();
	values_nest_32_deep();
	properties_hold_up_to_16_mib();
	content_holds_16777216_bytes();
	bytes_come_back_compressed_or_not();
	a_compressed_list_is_read_member_by_member();
	numbers_come_back_bit_for_bit();
	empty_things_are_not_absent();
	text_that_is_not_utf8_is_refused();
	a_vector_is_finite_and_of_the_stores_dimension(COP_COSINE);
	a_vector_is_finite_and_of_the_stores_dimension(COP_L2);
	a_vector_is_finite_and_of_the_stores_dimension(COP_IP);
	a_store_without_vectors_says_so();
	options_out_of_range_make_no_store();
	distances_hold_at_any_dimension_and_scale();
	equal_distances_are_ordered_by_id();
	loops_and_parallel_relations_are_edges_of_their_own();
	a_walk_goes_up_to_64_hops();
	more_threads_than_256_are_256();
	many_puts_are_all_taken_or_none();
	a_visitor_may_walk();
	a_struct_of_another_size_is_refused();
	null_is_taken_where_the_header_says_so();
	return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The store as one process sees it: entities, edges, fields, transactions. */
#include "fixture.h"

static const float east[4] = {1, 0, 0, 0};
static const float north[4] = {0, 1, 0, 0};
static const float northeast[4] = {1, 1, 0, 0};

static void an_empty_store_answers_with_absence(void)
{
	struct fixture f;
	struct cop_entity entity;
	struct cop_search search = {
	    .size = sizeof search, .k = 3, .vector = east};
	struct cop_hit hits[3];
	uint32_t count = 9;
	cop_read *read;

	fixture_init(&f, 4, COP_L2);
	read = read_of(&f);
	is_u64(cop_read_commit(read), 0, "no commit yet");
	is_u64(lookup(read, "nobody"), 0, "a key never put has no id");
	must(cop_get(read, "nobody", 6, &entity), "get");
	is_u64(entity.id, 0, "and no entity");
	must(cop_search(read, &search, hits, &count), "search");
	is_u64(count, 0, "a search finds nothing");
	cop_read_end(read);
	fixture_release(&f);
}

static void what_is_put_is_read_back_field_by_field(void)
{
	struct fixture f;
	struct cop_value numbers[2] = {{.kind = COP_INT, .integer = -7},
				       {.kind = COP_FLOAT, .real = 0.5}};
	struct cop_property inner[1] = {
	    {"deep", 4, {.kind = COP_BOOL, .integer = 1}}};
	struct cop_property properties[4] = {
	    {"name", 4, {.kind = COP_STRING, .count = 3, .data = "Ada"}},
	    {"list", 4, {.kind = COP_LIST, .count = 2, .data = numbers}},
	    {"map", 3, {.kind = COP_MAP, .count = 1, .data = inner}},
	    {"nothing", 7, {.kind = COP_NULL}}};
	const char *tags[3] = {"a", "b", "a"};
	struct cop_put put = {.size = sizeof put,
			      .key = "ada",
			      .key_size = 3,
			      .type = "person",
			      .type_size = 6,
			      .properties = properties,
			      .property_count = 4,
			      .tags = tags,
			      .tag_count = 3,
			      .content = "first programmer",
			      .content_size = 16,
			      .vector = northeast,
			      .dim = 4};
	struct cop_entity entity;
	struct cop_value value;
	struct cop_value item;
	const char *text;
	const void *content;
	const float *vector;
	size_t size;
	int found;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 4, COP_L2);
	write = write_of(&f);
	must(cop_put(write, &put), "put");
	is_u64(commit_of(write), 1, "the first commit is number 1");
	read = read_of(&f);
	must(cop_get(read, "ada", 3, &entity), "get");
	ok(entity.id == 1 && entity.version == 1, "it has an id and a version");
	ok(entity.key_size == 3 && !memcmp(entity.key, "ada", 3), "its key");
	must(cop_name(read, entity.type, &text, &size), "name");
	ok(size == 6 && !memcmp(text, "person", 6), "its type");
	is_u64(entity.tag_count, 2, "a tag given twice counts once");
	must(cop_entity_tag(read, &entity, 1, &text, &size), "tag");
	ok(size == 1 && *text == 'b', "its tags in order");
	must(cop_entity_property(read, &entity, "name", 4, &found, &value),
	     "property");
	ok(found && value.kind == COP_STRING && value.count == 3 &&
	       !memcmp(value.data, "Ada", 3),
	   "a string");
	must(cop_entity_property(read, &entity, "list", 4, &found, &value),
	     "property");
	must(cop_value_item(&value, 0, NULL, NULL, &item), "item");
	ok(item.kind == COP_INT && item.integer == -7, "an integer in a list");
	must(cop_value_item(&value, 1, NULL, NULL, &item), "item");
	ok(item.kind == COP_FLOAT && item.real == 0.5, "a real in a list");
	ok(cop_value_item(&value, 2, NULL, NULL, &item) == COP_INVALID,
	   "a list has no member past its end");
	must(cop_entity_property_at(read, &entity, 2, &text, &size, &value),
	     "property at");
	ok(size == 3 && !memcmp(text, "map", 3) && value.kind == COP_MAP,
	   "properties by index, in order");
	must(cop_value_item(&value, 0, &text, &size, &item), "item");
	ok(size == 4 && !memcmp(text, "deep", 4) && item.kind == COP_BOOL &&
	       item.integer == 1,
	   "a member of a map");
	must(cop_entity_property(read, &entity, "nope", 4, &found, &value),
	     "property");
	ok(!found, "a property it has not is not found");
	must(cop_entity_content(read, &entity, &content, &size), "content");
	ok(size == 16 && !memcmp(content, "first programmer", 16),
	   "its content");
	must(cop_vector(read, entity.id, &vector), "vector");
	ok(vector && !memcmp(vector, northeast, sizeof northeast),
	   "its vector, bit for bit");
	cop_read_end(read);
	fixture_release(&f);
}

static void a_read_keeps_its_snapshot(void)
{
	struct fixture f;
	struct cop_search search = {
	    .size = sizeof search, .k = 3, .vector = east};
	struct cop_hit hits[3];
	uint32_t count;
	cop_write *write;
	cop_read *before;
	cop_read *after;

	fixture_init(&f, 4, COP_L2);
	write = write_of(&f);
	put_simple(write, "e", "t", east, 4);
	put_simple(write, "n", "t", north, 4);
	must(link_simple(write, "e", "to", "n"), "edge");
	commit_of(write);
	before = read_of(&f);
	write = write_of(&f);
	must(cop_delete(write, "e", 1), "delete");
	put_simple(write, "x", "t", northeast, 4);
	commit_of(write);
	after = read_of(&f);
	is_u64(lookup(before, "e"), 1, "the older read has what was deleted");
	is_u64(lookup(before, "x"), 0, "and not what came later");
	is_u64(lookup(after, "e"), 0, "the newer read has it no more");
	is_u64(lookup(after, "x"), 3, "and has what came");
	must(cop_search(before, &search, hits, &count), "search");
	ok(count == 2 && hits[0].id == 1 && hits[0].distance == 0,
	   "a search is as of its read: the older one");
	must(cop_search(after, &search, hits, &count), "search");
	ok(count == 2 && hits[0].id == 3 && hits[0].distance == 1,
	   "and the newer one");
	{
		struct cop_walk walk = {
		    .size = sizeof walk, .hops = 2, .start = 1};
		struct cop_step steps[4];
		size_t n;

		must(cop_walk(before, &walk, steps, 4, &n, NULL), "walk");
		ok(n == 2 && steps[1].id == 2 && steps[1].hops == 1,
		   "a walk is as of its read: the older one");
		must(cop_walk(after, &walk, steps, 4, &n, NULL), "walk");
		is_u64(n, 0, "and the newer one, whose start is gone");
		walk.start = 2;
		walk.direction = COP_BOTH;
		must(cop_walk(after, &walk, steps, 4, &n, NULL), "walk");
		is_u64(n, 1, "the edges of a deleted entity are gone");
	}
	must(cop_read_refresh(before), "refresh");
	is_u64(lookup(before, "e"), 0, "a refreshed read is at the newest");
	cop_read_end(before);
	cop_read_end(after);
	fixture_release(&f);
}

static void a_key_keeps_its_id(void)
{
	struct fixture f;
	cop_write *write;
	cop_read *read;
	const void *key;
	size_t size;

	fixture_init(&f, 4, COP_L2);
	write = write_of(&f);
	put_simple(write, "one", NULL, NULL, 0);
	put_simple(write, "two", NULL, NULL, 0);
	commit_of(write);
	write = write_of(&f);
	must(cop_delete(write, "one", 3), "delete");
	must(cop_delete(write, "never", 5), "delete");
	is_u64(commit_of(write), 2, "a delete of one and of none commits");
	write = write_of(&f);
	must(cop_delete(write, "never", 5), "delete");
	is_u64(commit_of(write), 2, "a delete of none alone needs no commit");
	write = write_of(&f);
	put_simple(write, "one", "again", NULL, 0);
	commit_of(write);
	read = read_of(&f);
	is_u64(lookup(read, "one"), 1, "a key put again has the id it had");
	must(cop_key(read, 2, &key, &size), "key");
	ok(size == 3 && !memcmp(key, "two", 3), "an id gives its key");
	must(cop_key(read, 99, &key, &size), "key");
	is_u64(size, 0, "an id never given has none");
	cop_read_end(read);
	fixture_release(&f);
}

static void all_of_a_write_or_nothing(void)
{
	struct fixture f;
	struct cop_result result = {.size = sizeof result};
	cop_write *write;
	cop_read *read;
	cop_err err;

	fixture_init(&f, 4, COP_L2);
	write = write_of(&f);
	put_simple(write, "a", NULL, east, 4);
	must(link_simple(write, "a", "to", "missing"), "edge");
	err = cop_commit(write, &result);
	ok(err == COP_DANGLING, "an edge to nobody is refused: %s",
	   cop_last_error());
	is_u64(result.failed, 1, "and named by its place");
	read = read_of(&f);
	is_u64(lookup(read, "a"), 0, "nothing of the write is there");
	is_u64(cop_read_commit(read), 0, "no commit took place");
	put_simple(write, "missing", NULL, NULL, 0);
	err = cop_commit(write, &result);
	ok(err == COP_DANGLING, "an edge before its end is dangling");
	cop_abort(write);
	write = write_of(&f);
	put_simple(write, "missing", NULL, NULL, 0);
	put_simple(write, "a", NULL, east, 4);
	must(link_simple(write, "a", "to", "missing"), "edge");
	is_u64(commit_of(write), 1, "with both ends put first it commits");
	must(cop_read_refresh(read), "refresh");
	ok(lookup(read, "a") && lookup(read, "missing"), "all of it is there");
	cop_read_end(read);
	fixture_release(&f);
}

static void a_handle_is_shared_within_a_process(void)
{
	struct fixture f;
	cop_store *again;

	fixture_init(&f, 4, COP_L2);
	must(cop_open(f.path, NULL, &again), "open");
	ok(again == f.store, "the second open gives the first handle");
	cop_close(again);
	is_u64(cop_dim(f.store), 4, "which stays good after the second close");
	ok(cop_detach(f.path) == COP_BUSY, "an open store is not detached");
	fixture_release(&f);
	ok(access(f.folder, F_OK) != 0, "nothing is left of it");
}

static void a_segment_built_from_lmdb_is_the_same(void)
{
	struct fixture f;
	struct cop_search search = {
	    .size = sizeof search, .k = 3, .vector = east};
	struct cop_walk walk = {.size = sizeof walk,
				.hops = 1,
				.start = 1,
				.relation = "to",
				.direction = COP_OUT};
	struct cop_step steps[8];
	struct cop_hit hits[3];
	uint32_t count;
	size_t n;
	cop_write *write;
	cop_read *read;

	fixture_init(&f, 4, COP_COSINE);
	write = write_of(&f);
	put_simple(write, "e", "t", east, 4);
	put_simple(write, "n", "u", north, 4);
	put_simple(write, "x", "t", northeast, 4);
	must(link_simple(write, "e", "to", "n"), "edge");
	must(link_simple(write, "e", "to", "e"), "edge");
	must(link_simple(write, "e", "not", "x"), "edge");
	commit_of(write);
	fixture_close(&f);
	must(cop_detach(f.path), "detach");
	fixture_open(&f);
	read = read_of(&f);
	is_u64(lookup(read, "x"), 3, "keys");
	must(cop_search(read, &search, hits, &count), "search");
	ok(count == 3 && hits[0].id == 1 && hits[1].id == 3 && hits[2].id == 2,
	   "vectors");
	search.type = "u";
	must(cop_search(read, &search, hits, &count), "search");
	ok(count == 1 && hits[0].id == 2, "types");
	must(cop_walk(read, &walk, steps, 8, &n, NULL), "walk");
	ok(n == 2 && steps[1].id == 2, "edges");
	cop_read_end(read);
	fixture_release(&f);
}

int main(void)
{
	test_begin(60);
	an_empty_store_answers_with_absence();
	what_is_put_is_read_back_field_by_field();
	a_read_keeps_its_snapshot();
	a_key_keeps_its_id();
	all_of_a_write_or_nothing();
	a_handle_is_shared_within_a_process();
	a_segment_built_from_lmdb_is_the_same();
	return done_testing();
}

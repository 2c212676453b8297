/* SPDX-License-Identifier: Apache-2.0 */
/*
 * whole: a small store with something of everything, of which inputs are
 * changes; and reading all that a store has, as the library does it.
 */
#ifndef TESTS_FUZZ_WHOLE_H
#define TESTS_FUZZ_WHOLE_H

#include "tests/full.h"
#include "tests/fuzz/fuzz.h"

enum { WHOLE_ENTITIES = 24, WHOLE_NAME = 24 };

static inline void whole_entity(cop_write *write, unsigned i)
{
	const float vector[FULL_DIM] = {(float)i, (float)(i * i), 1, 2};
	char key[WHOLE_NAME];
	char next[WHOLE_NAME];

	snprintf(key, sizeof key, "key-%u", i);
	snprintf(next, sizeof next, "key-%u", (i + 1) % WHOLE_ENTITIES);
	put_simple(write, key, i % 3 ? "thing" : NULL, vector, FULL_DIM);
	must(cop_tag(write, key, strlen(key), i % 2 ? "odd" : "even",
		     i % 2 ? 3 : 4),
	     "tag");
	must(link_simple(write, key, "next", next), "link");
}

static inline void whole_content(cop_write *write)
{
	static char content[20000];
	struct cop_put put = {.size = sizeof put,
			      .key = "large",
			      .key_size = 5,
			      .content = content,
			      .content_size = sizeof content};

	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)(i * i % 251);
	must(cop_put(write, &put), "put");
	put.key = "packed";
	put.key_size = 6;
	memset(content, 'x', sizeof content);
	must(cop_put(write, &put), "put");
}

/* Streamed in: its chunks are beside the record. */
static inline void whole_upload(void)
{
	static char data[70000];
	cop_write *write = write_of(&fuzz_fixture);
	cop_upload *upload;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (char)(i * i * i % 253);
	must(cop_upload_begin(fuzz_fixture.store, &upload), "upload");
	must(cop_upload_add(upload, data, sizeof data), "add");
	put_simple(write, "streamed", NULL, NULL, 0);
	must(cop_put_content(write, "streamed", 8, upload), "content");
	commit_of(write);
	cop_upload_end(upload);
}

/* Commits of all kinds, with a history; the store is open. */
static inline void whole_fill(void)
{
	cop_write *write = write_of(&fuzz_fixture);

	full_put(write);
	put_simple(write, "bob", "person", NULL, 0);
	put_simple(write, "dave", NULL, NULL, 0);
	full_edges(write);
	commit_of(write);
	write = write_of(&fuzz_fixture);
	full_rest(write);
	for (unsigned i = 0; i < WHOLE_ENTITIES; i++) {
		char key[WHOLE_NAME];

		snprintf(key, sizeof key, "key-%u", i);
		put_simple(write, key, NULL, NULL, 0);
	}
	commit_of(write);
	write = write_of(&fuzz_fixture);
	for (unsigned i = 0; i < WHOLE_ENTITIES; i++)
		whole_entity(write, i);
	whole_content(write);
	commit_of(write);
	whole_upload();
	write = write_of(&fuzz_fixture);
	full_put(write);
	must(cop_delete(write, "key-3", 5), "delete");
	commit_of(write);
}

static inline void whole_make(void)
{
	fuzz_folder();
	fuzz_store(FULL_DIM);
	whole_fill();
}

/* A file of the store's, all of it. */
static inline unsigned char *whole_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *data;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		bail_out("%s: %s", path, strerror(errno));
	*size = (size_t)st.st_size;
	data = malloc(*size);
	if (!data || read(fd, data, *size) != (ssize_t)*size)
		bail_out("%s: cannot be read", path);
	close(fd);
	return data;
}

/* ---- reading all of one -------------------------------------------------- */

/* A sum of bytes, so that they are really looked at. */
static inline unsigned whole_look(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	unsigned sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += bytes[i];
	return sum;
}

enum { WHOLE_DEPTH = 40, WHOLE_MEMBERS = 2000 };

static inline void whole_value(const struct cop_value *value, int depth,
			       int *left)
{
	if (value->kind == COP_STRING)
		whole_look(value->data, value->count);
	if (value->kind != COP_LIST && value->kind != COP_MAP)
		return;
	for (uint32_t i = 0; i < value->count && depth && --*left > 0; i++) {
		struct cop_value item;
		const char *name;
		size_t size;

		if (cop_value_item(value, i, &name, &size, &item))
			return;
		if (name)
			whole_look(name, size);
		whole_value(&item, depth - 1, left);
	}
}

static inline void whole_entity_look(cop_read *read,
				     const struct cop_entity *entity)
{
	struct cop_validity valid;
	struct cop_value value;
	const void *content;
	const char *name;
	size_t size;
	int left = WHOLE_MEMBERS;

	whole_look(entity->key, entity->key_size);
	for (uint32_t i = 0; i < entity->tag_count; i++) {
		if (!cop_entity_tag(read, entity, i, &name, &size))
			whole_look(name, size);
		(void)!cop_entity_tag_valid(read, entity, i, &valid);
	}
	for (uint32_t i = 0; i < entity->property_count; i++) {
		if (!cop_entity_property_at(read, entity, i, &name, &size,
					    &value))
			whole_value(&value, WHOLE_DEPTH, &left);
		(void)!cop_entity_property_valid(read, entity, i, &valid);
	}
	if (!cop_entity_content(read, entity, &content, &size))
		whole_look(content, size);
}

static inline int32_t whole_edge(void *user, cop_read *read,
				 const struct cop_edge *edge)
{
	struct cop_value value;
	const char *name;
	size_t size;
	int left = WHOLE_MEMBERS;

	(void)user;
	(void)!cop_name(read, edge->relation, &name, &size);
	for (uint32_t i = 0; i < edge->property_count; i++)
		if (!cop_edge_property_at(read, edge, i, &name, &size, &value))
			whole_value(&value, WHOLE_DEPTH, &left);
	return 0;
}

static inline int32_t whole_version(void *user, cop_read *read,
				    const struct cop_version *version,
				    const struct cop_entity *entity)
{
	(void)user;
	(void)version;
	whole_entity_look(read, entity);
	return 0;
}

static inline int32_t whole_visit(void *user, cop_read *read,
				  const struct cop_entity *entity)
{
	const float *vector;

	(void)user;
	whole_entity_look(read, entity);
	if (!cop_vector(read, entity->id, &vector) && vector)
		whole_look(vector, FULL_DIM * sizeof *vector);
	(void)!cop_edges(read, entity->id, COP_BOTH, whole_edge, NULL);
	(void)!cop_history(read, entity->id, whole_version, NULL);
	return 0;
}

static inline int32_t whole_difference(void *user, cop_read *read,
				       const struct cop_difference *difference)
{
	(void)user;
	(void)read;
	(void)difference;
	return 0;
}

static inline void whole_search(cop_read *read)
{
	static const float vector[FULL_DIM] = {3, 9, 1, 2};
	struct cop_hit hits[8];
	uint32_t count;
	struct cop_search search = {
	    .size = sizeof search, .k = 8, .vector = vector};

	for (int32_t way = COP_AUTO; way <= COP_KDTREE; way++) {
		search.strategy = way;
		(void)!cop_search(read, &search, hits, &count);
	}
	search.strategy = COP_AUTO;
	search.tag = "odd";
	search.exact = 1;
	(void)!cop_search(read, &search, hits, &count);
}

static inline void whole_walk(cop_read *read)
{
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = COP_HOPS_ALL, .direction = COP_BOTH};
	struct cop_step steps[64];
	size_t count;

	if (!cop_lookup(read, "key-5", 5, &walk.start) && walk.start)
		(void)!cop_walk(read, &walk, steps, 64, &count, NULL);
}

/* All that a store says, whether it is damaged or not. */
static inline void whole_read(cop_store *store)
{
	struct cop_instant at = {.seconds = 2002};
	struct cop_commit_info info = {.size = sizeof info};
	cop_read *read;

	if (cop_read_begin(store, &read))
		return;
	(void)!cop_keys(read, NULL, 0, whole_visit, NULL);
	whole_search(read);
	whole_walk(read);
	for (uint64_t commit = 1; commit <= 6; commit++)
		(void)!cop_commit_info(read, commit, &info);
	(void)!cop_diff(read, 1, 4, whole_difference, NULL);
	if (!cop_read_valid_at(read, &at))
		(void)!cop_keys(read, NULL, 0, whole_visit, NULL);
	if (!cop_read_as_of(read, 3)) {
		(void)!cop_keys(read, NULL, 0, whole_visit, NULL);
		whole_search(read);
	}
	cop_read_end(read);
}

/* Opens what may be damaged, and reads, checks and writes it. */
static inline void whole_open(const char *path)
{
	static const float vector[FULL_DIM] = {1, 2, 3, 4};
	struct cop_check_options options = {.size = sizeof options,
					    .depth = COP_CHECK_DEEP};
	struct cop_open_options quiet = {.size = sizeof quiet};
	cop_write *write;
	cop_store *store;

	if (cop_open(path, &quiet, &store))
		return;
	whole_read(store);
	(void)!cop_check_with(store, &options, NULL);
	if (!cop_write_begin(store, &write)) {
		struct cop_commit_options lazy = {.size = sizeof lazy,
						  .durability = COP_LAZY};

		put_simple(write, "key-7", "thing", vector, FULL_DIM);
		(void)!cop_delete(write, "key-8", 5);
		(void)!cop_commit_with(write, &lazy, NULL);
		cop_abort(write);
	}
	cop_close(store);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A write that has an operation of every kind, but for what is expected. */
#ifndef TESTS_FULL_H
#define TESTS_FULL_H

#include "content.h"
#include "fixture.h"
#include "write.h"

enum { FULL_DIM = 4 };

static inline void full_put(cop_write *write)
{
	static const float vector[FULL_DIM] = {1, 2, 3, 4};
	static const char *const tags[] = {"red", "blue"};
	struct cop_value items[2] = {
	    {.kind = COP_INT, .integer = 7},
	    {.kind = COP_STRING, .count = 3, .data = "abc"}};
	struct cop_property properties[] = {
	    {"name", 4, {.kind = COP_STRING, .count = 5, .data = "Alice"}},
	    {"size", 4, {.kind = COP_FLOAT, .real = 1.5}},
	    {"list", 4, {.kind = COP_LIST, .count = 2, .data = items}}};
	struct cop_put put = {.size = sizeof put,
			      .key = "alice",
			      .key_size = 5,
			      .type = "person",
			      .type_size = 6,
			      .properties = properties,
			      .property_count = 3,
			      .tags = tags,
			      .tag_count = 2,
			      .content = "some words",
			      .content_size = 10,
			      .vector = vector,
			      .dim = FULL_DIM};

	must(cop_put(write, &put), "put");
}

static inline void full_edges(cop_write *write)
{
	struct cop_property since = {
	    "since", 5, {.kind = COP_INT, .integer = 1999}};
	static const struct cop_validity term = {{-5, 0, 0}, {INT64_MAX, 0, 0}};
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = "alice",
				    .source_size = 5,
				    .relation = "knows",
				    .relation_size = 5,
				    .target = "bob",
				    .target_size = 3,
				    .properties = &since,
				    .property_count = 1};

	must(cop_put_edge(write, &edge), "edge");
	edge.dangling = COP_DANGLING_STUB;
	edge.target = "carol";
	edge.target_size = 5;
	must(cop_put_edge(write, &edge), "stub");
	edge.dangling = COP_DANGLING_SKIP;
	edge.target = "nobody";
	edge.target_size = 6;
	must(cop_put_edge(write, &edge), "skip");
	must(cop_delete_edge(write, "alice", 5, "likes", 5, "bob", 3),
	     "unlink");
	edge.valid = &term;
	edge.target = "bob";
	edge.target_size = 3;
	edge.discriminator = 7;
	must(cop_put_edge(write, &edge), "an edge of a time");
	edge.discriminator = 8;
	must(cop_unlink(write, &edge), "unlink one of several");
}

static inline void full_rest(cop_write *write)
{
	struct cop_retention retention = {
	    .size = sizeof retention, .history_count = 3, .type = "person"};

	struct cop_validity term = {{2001, 0, 0}, {2005, 0, 0}};
	struct cop_property was = {"rank", 4, {.kind = COP_INT, .integer = 3}};
	const char *tags[] = {"chair"};
	struct cop_put put = {.size = sizeof put,
			      .key = "fay",
			      .key_size = 3,
			      .tags = tags,
			      .tag_count = 1,
			      .tag_valid = &term,
			      .properties = &was,
			      .property_count = 1,
			      .property_valid = &term};

	must(cop_put(write, &put), "a put with times");
	must(cop_tag_valid(write, "fay", 3, "wise", 4, &term), "tag");
	must(cop_tag(write, "alice", 5, "wise", 4), "tag");
	must(cop_untag(write, "alice", 5, "old", 3), "untag");
	must(cop_delete(write, "dave", 4), "delete");
	must(cop_undelete(write, "alice", 5, 0), "undelete");
	must(cop_retain(write, &retention), "retain");
	must(cop_mark(write, "feed", 4, "12", 2), "mark");
	must(cop_mark(write, "old feed", 8, NULL, 0), "no mark");
}

static inline void full_content(cop_write *write)
{
	struct disk_content content = {
	    .id = {7}, .size = 5, .hash = {1, 2}, .chunks = 1};
	struct chunk_op body = {.key = content_key(&content, 1)};

	must(write_content(write, "bob", 3, "text", 4), "content");
	must(write_chunk(write, &body, "chunk", 5), "chunk");
	must(write_content_named(write, "dave", 4, &content), "named");
}

static inline void full_fill(cop_write *write)
{
	static const float vector[FULL_DIM] = {4, 3, 2, 1};

	full_put(write);
	put_simple(write, "bob", "person", vector, FULL_DIM);
	put_simple(write, "dave", NULL, NULL, 0);
	must(cop_put_vector(write, "dave", 4, vector, FULL_DIM), "vector");
	must(cop_put_vector(write, "bob", 3, NULL, 0), "no vector");
	full_edges(write);
	must(cop_delete(write, "eve", 3), "delete");
	full_rest(write);
	full_content(write);
}

#endif

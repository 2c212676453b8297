/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /add {"key":..,"type":..,"tags":[..],"properties":{..},"content":..,
 * "vector":[..],"edges":[{"relation":..,"target":..}]}: puts an entity, with
 * edges that go out from it, by one commit.
 *
 * progress
 *	The commit waits for the disk, and the event loop with it: a few
 *	milliseconds, 5 s at most while other processes write.  It is meant for
 *	low rates; what writes much writes from a process of its own.
 */
#include "web.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ADD_WAIT_MS = 5000 };

/* ---- values ------------------------------------------------------------- */

static ngx_uint_t value_from(struct web_call *call, const json_t *json,
			     struct cop_value *out);

static ngx_uint_t list_from(struct web_call *call, const json_t *json,
			    struct cop_value *out)
{
	size_t count = json_array_size(json);
	struct cop_value *items =
	    ngx_palloc(call->pool, count * sizeof *items + 1);
	ngx_uint_t status = items ? 0 : web_fail_memory(call);

	for (size_t i = 0; i < count && !status; i++)
		status = value_from(call, json_array_get(json, i), &items[i]);
	out->kind = COP_LIST;
	out->count = (uint32_t)count;
	out->data = items;
	return status;
}

static ngx_uint_t members_from(struct web_call *call, const json_t *json,
			       struct cop_property **out, uint32_t *out_count)
{
	json_t *object = (json_t *)(uintptr_t)json;
	size_t count = json_object_size(json);
	struct cop_property *item =
	    ngx_palloc(call->pool, count * sizeof *item + 1);
	ngx_uint_t status = item ? 0 : web_fail_memory(call);
	const char *name;
	json_t *member;

	*out = item;
	*out_count = (uint32_t)count;
	json_object_foreach(object, name, member)
	{
		if (status)
			break;
		item->name = name;
		item->name_size = strlen(name);
		status = value_from(call, member, &item->value);
		item++;
	}
	return status;
}

static ngx_uint_t map_from(struct web_call *call, const json_t *json,
			   struct cop_value *out)
{
	struct cop_property *members;
	ngx_uint_t status = members_from(call, json, &members, &out->count);

	out->kind = COP_MAP;
	out->data = members;
	return status;
}

/* Recurses as deep as jansson reads; coppice refuses over COP_NESTING. */
static ngx_uint_t value_from(struct web_call *call, const json_t *json,
			     struct cop_value *out)
{
	*out = (struct cop_value){.kind = COP_NULL};
	switch (json_typeof(json)) {
	case JSON_TRUE:
	case JSON_FALSE:
		out->kind = COP_BOOL;
		out->integer = json_is_true(json);
		return 0;
	case JSON_INTEGER:
		out->kind = COP_INT;
		out->integer = json_integer_value(json);
		return 0;
	case JSON_REAL:
		out->kind = COP_FLOAT;
		out->real = json_real_value(json);
		return 0;
	case JSON_STRING:
		out->kind = COP_STRING;
		out->data = json_string_value(json);
		out->count = (uint32_t)json_string_length(json);
		return 0;
	case JSON_ARRAY: return list_from(call, json, out);
	case JSON_OBJECT: return map_from(call, json, out);
	default: return 0;
	}
}

/* ---- the entity --------------------------------------------------------- */

static ngx_uint_t add_key(struct web_call *call, const json_t *root,
			  struct cop_put *put)
{
	const char *key;
	size_t size;
	ngx_uint_t status = web_member(call, root, "key", &key, &size);

	if (!status && !key)
		status =
		    web_fail(call, NGX_HTTP_BAD_REQUEST, "\"key\" is missing");
	put->key = key;
	put->key_size = (uint32_t)size;
	return status;
}

static ngx_uint_t add_tags(struct web_call *call, const json_t *root,
			   struct cop_put *put)
{
	const json_t *list;
	ngx_uint_t status = web_member_list(call, root, "tags", &list);
	size_t count = json_array_size(list);
	const char **tags;
	size_t *sizes;

	if (status || !count)
		return status;
	tags = ngx_palloc(call->pool, count * sizeof *tags);
	sizes = ngx_palloc(call->pool, count * sizeof *sizes);
	if (!tags || !sizes)
		return web_fail_memory(call);
	for (size_t i = 0; i < count; i++) {
		const json_t *tag = json_array_get(list, i);

		if (!json_is_string(tag))
			return web_fail(call, NGX_HTTP_BAD_REQUEST,
					"\"tags\": member %zu is no string", i);
		tags[i] = json_string_value(tag);
		sizes[i] = json_string_length(tag);
	}
	put->tags = tags;
	put->tag_sizes = sizes;
	put->tag_count = (uint32_t)count;
	return 0;
}

static ngx_uint_t add_properties(struct web_call *call, const json_t *root,
				 struct cop_put *put)
{
	const json_t *json = json_object_get(root, "properties");
	struct cop_property *items;
	ngx_uint_t status;

	if (!json || json_is_null(json))
		return 0;
	if (!json_is_object(json))
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"\"properties\" is no object");
	status = members_from(call, json, &items, &put->property_count);
	put->properties = items;
	return status;
}

static ngx_uint_t add_content(struct web_call *call, const json_t *root,
			      struct cop_put *put)
{
	const char *content;
	ngx_uint_t status =
	    web_member(call, root, "content", &content, &put->content_size);

	put->content = content;
	return status;
}

static ngx_uint_t add_vector(struct web_call *call, const json_t *root,
			     struct cop_put *put)
{
	size_t count;
	ngx_uint_t status = web_member_vector(call, root, &put->vector, &count);

	put->dim = (uint32_t)count;
	return status;
}

static ngx_uint_t add_entity(struct web_call *call, cop_write *write,
			     const json_t *root)
{
	struct cop_put put = {.size = sizeof put};
	ngx_uint_t status = add_key(call, root, &put);
	cop_err err;

	if (!status)
		status =
		    web_member(call, root, "type", &put.type, &put.type_size);
	if (!status)
		status = add_tags(call, root, &put);
	if (!status)
		status = add_properties(call, root, &put);
	if (!status)
		status = add_content(call, root, &put);
	if (!status)
		status = add_vector(call, root, &put);
	if (status)
		return status;
	err = cop_put(write, &put);
	return err ? web_fail_store(call, err) : 0;
}

/* ---- its edges ---------------------------------------------------------- */

static ngx_uint_t add_edge(struct web_call *call, cop_write *write,
			   const json_t *root, const json_t *json)
{
	const json_t *key = json_object_get(root, "key");
	struct cop_put_edge edge = {
	    .size = sizeof edge,
	    .source = json_string_value(key),
	    .source_size = json_string_length(key),
	};
	const char *target = NULL;
	ngx_uint_t status = web_member(call, json, "relation", &edge.relation,
				       &edge.relation_size);
	cop_err err;

	if (!status)
		status = web_member(call, json, "target", &target,
				    &edge.target_size);
	if (status)
		return status;
	if (!edge.relation || !target)
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"\"edges\": each is an object with a "
				"\"relation\" and a \"target\"");
	edge.target = target;
	err = cop_put_edge(write, &edge);
	return err ? web_fail_store(call, err) : 0;
}

static ngx_uint_t add_edges(struct web_call *call, cop_write *write,
			    const json_t *root)
{
	const json_t *list;
	ngx_uint_t status = web_member_list(call, root, "edges", &list);

	for (size_t i = 0; i < json_array_size(list) && !status; i++)
		status = add_edge(call, write, root, json_array_get(list, i));
	return status;
}

/* ---- all of it ---------------------------------------------------------- */

static ngx_uint_t add_commit(struct web_call *call, cop_write *write)
{
	struct cop_commit_options options = {.size = sizeof options,
					     .timeout_ms = ADD_WAIT_MS};
	struct cop_result result = {.size = sizeof result};
	char answer[64];
	cop_err err = cop_commit_with(write, &options, &result);

	if (err)
		return web_fail_store(call, err);
	snprintf(answer, sizeof answer, "{\"commit\":%" PRIu64 "}",
		 result.commit);
	web_words(&call->out, answer);
	return NGX_HTTP_OK;
}

ngx_uint_t web_add(struct web_call *call)
{
	cop_write *write = NULL;
	json_t *root;
	ngx_uint_t status = web_body(call, &root);
	cop_err err;

	if (status)
		return status;
	err = cop_write_begin(call->store, &write);
	if (err)
		status = web_fail_store(call, err);
	if (!status)
		status = add_entity(call, write, root);
	if (!status)
		status = add_edges(call, write, root);
	if (!status)
		status = add_commit(call, write);
	cop_abort(write);
	json_decref(root);
	return status;
}

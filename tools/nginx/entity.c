/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /entity?key=K: an entity with its neighbours.
 */
#include "web.h"

enum { ENTITY_NEIGHBORS = 100 };

static cop_err entity_tags(struct web_call *call,
			   const struct cop_entity *entity)
{
	struct web_text *out = &call->out;
	uint32_t count = 0;

	web_words(out, "[");
	for (uint32_t i = 0; i < entity->tag_count; i++) {
		struct cop_validity valid;
		const char *tag;
		size_t size;
		cop_err err =
		    cop_entity_tag(call->read, entity, i, &tag, &size);

		if (!err)
			err =
			    cop_entity_tag_valid(call->read, entity, i, &valid);
		if (err)
			return err;
		if (!web_is_always(&valid))
			continue;
		if (count++)
			web_words(out, ",");
		web_string(out, tag, size);
	}
	web_words(out, "]");
	return 0;
}

static cop_err entity_content(struct web_call *call,
			      const struct cop_entity *entity)
{
	const void *data = NULL;
	size_t size = 0;
	cop_err err = cop_entity_content(call->read, entity, &data, &size);

	if (err)
		return err;
	if (data)
		web_string(&call->out, data, size);
	else
		web_words(&call->out, "null");
	return 0;
}

static cop_err entity_neighbor(struct web_call *call,
			       const struct cop_neighbor *neighbor)
{
	struct web_text *out = &call->out;
	cop_err err;

	web_words(out, "{\"key\":");
	err = web_key(out, call->read, neighbor->id);
	web_words(out, ",\"relation\":");
	if (!err)
		err = web_name(out, call->read, neighbor->relation);
	web_words(out, neighbor->direction == COP_OUT
			   ? ",\"direction\":\"out\"}"
			   : ",\"direction\":\"in\"}");
	return err;
}

static cop_err entity_neighbors(struct web_call *call, uint64_t id)
{
	struct cop_neighbor neighbors[ENTITY_NEIGHBORS];
	size_t count = 0;
	cop_err err = cop_neighbors(call->read, id, NULL, COP_BOTH, neighbors,
				    ENTITY_NEIGHBORS, &count);

	if (count > ENTITY_NEIGHBORS)
		count = ENTITY_NEIGHBORS;
	web_words(&call->out, "[");
	for (size_t i = 0; i < count && !err; i++) {
		if (i)
			web_words(&call->out, ",");
		err = entity_neighbor(call, &neighbors[i]);
	}
	web_words(&call->out, "]");
	return err;
}

static cop_err entity_write(struct web_call *call,
			    const struct cop_entity *entity)
{
	struct web_text *out = &call->out;
	cop_err err;

	web_words(out, "{\"key\":");
	web_string(out, entity->key, entity->key_size);
	web_words(out, ",\"type\":");
	err = web_name(out, call->read, entity->type);
	web_words(out, ",\"tags\":");
	if (!err)
		err = entity_tags(call, entity);
	web_words(out, ",\"properties\":");
	if (!err)
		err = web_properties(out, call->read, entity);
	web_words(out, ",\"content\":");
	if (!err)
		err = entity_content(call, entity);
	web_words(out, ",\"neighbors\":");
	if (!err)
		err = entity_neighbors(call, entity->id);
	web_words(out, "}");
	return err;
}

ngx_uint_t web_entity(struct web_call *call)
{
	struct cop_entity entity;
	ngx_str_t key;
	ngx_uint_t status = web_arg(call, "key", &key);
	cop_err err;

	if (status)
		return status;
	if (!key.data)
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"the argument key is missing: ?key=...");
	err = cop_get(call->read, key.data, key.len, &entity);
	if (err)
		return web_fail_store(call, err);
	if (!entity.id)
		return web_fail(call, NGX_HTTP_NOT_FOUND, "no entity '%s'",
				(const char *)key.data);
	err = entity_write(call, &entity);
	return err ? web_fail_store(call, err) : NGX_HTTP_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots, and the entities in them.
 *
 * What is borrowed from a snapshot is copied before a function returns:
 * JavaScript has no moment at which it is done with something.
 */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- a read ------------------------------------------------------------- */

static void read_end(struct js_object *object)
{
	cop_read_end(((struct js_read *)object)->handle);
}

/* (store): a snapshot of its newest commit */
napi_value js_read_begin(napi_env env, napi_callback_info info)
{
	struct js_store *store;
	struct js_read *read;
	napi_value value = NULL;
	napi_value given;
	cop_err err;

	if (js_arguments(env, info, 1, &given))
		return NULL;
	store = (struct js_store *)js_object_enter(env, given, JS_STORE);
	if (!store)
		return NULL;
	read = calloc(1, sizeof *read);
	err = read ? cop_read_begin(store->handle, &read->handle) : ENOMEM;
	if (err) {
		js_throw(env, err);
		free(read);
	} else {
		read->object.kind = JS_READ;
		read->object.owner = &store->object;
		read->object.end = read_end;
		value = js_object_wrap(env, &read->object);
	}
	js_object_leave(&store->object);
	return value;
}

int js_source_enter(napi_env env, napi_value value, struct js_source *out)
{
	struct js_object *object =
	    js_object_enter(env, value, JS_STORE | JS_READ);
	cop_err err;

	if (!object)
		return -1;
	out->object = object;
	out->store = js_store_of(object);
	if (object->kind == JS_READ) {
		out->read = ((struct js_read *)object)->handle;
		return 0;
	}
	err = cop_read_begin(out->store->handle, &out->read);
	if (!err)
		return 0;
	js_throw(env, err);
	js_object_leave(object);
	return -1;
}

void js_source_leave(struct js_source *source)
{
	if (source->object->kind == JS_STORE)
		cop_read_end(source->read);
	js_object_leave(source->object);
}

/* ---- moments ------------------------------------------------------------ */

static napi_value nothing_or(napi_env env, struct js_read *read, cop_err err)
{
	if (err)
		js_throw(env, err);
	js_object_leave(&read->object);
	return NULL;
}

/* (snapshot): the number of the commit that it sees */
napi_value js_read_number(napi_env env, napi_callback_info info)
{
	struct js_read *read;
	napi_value result;
	napi_value given;

	if (js_arguments(env, info, 1, &given))
		return NULL;
	read = (struct js_read *)js_object_enter(env, given, JS_READ);
	if (!read)
		return NULL;
	result = js_u64_to(env, cop_read_commit(read->handle));
	js_object_leave(&read->object);
	return result;
}

/* (snapshot, commit) */
napi_value js_read_as_of(napi_env env, napi_callback_info info)
{
	struct js_read *read;
	napi_value given[2];
	uint64_t commit;

	if (js_arguments(env, info, 2, given) ||
	    js_u64_from(env, given[1], "a commit", &commit))
		return NULL;
	read = (struct js_read *)js_object_enter(env, given[0], JS_READ);
	return read
		   ? nothing_or(env, read, cop_read_as_of(read->handle, commit))
		   : NULL;
}

/* (snapshot, ms since 1970): the number of the newest commit then */
napi_value js_read_commit_at(napi_env env, napi_callback_info info)
{
	struct cop_instant at;
	struct js_read *read;
	napi_value given[2];
	uint64_t commit = 0;
	napi_value result;
	cop_err err;

	if (js_arguments(env, info, 2, given) ||
	    js_instant_from(env, given[1], "a time", 0, &at))
		return NULL;
	if (at.seconds < INT64_MIN / 1000000000 ||
	    at.seconds >= INT64_MAX / 1000000000)
		return js_throw_range(env, "a time", "one of 1678 to 2262");
	read = (struct js_read *)js_object_enter(env, given[0], JS_READ);
	if (!read)
		return NULL;
	err = cop_commit_at(read->handle, at.seconds * 1000000000 + at.nanos,
			    &commit);
	result = err ? js_throw(env, err) : js_u64_to(env, commit);
	js_object_leave(&read->object);
	return result;
}

/* (snapshot, ms since 1970) */
napi_value js_read_valid_at(napi_env env, napi_callback_info info)
{
	struct cop_instant at;
	struct js_read *read;
	napi_value given[2];

	if (js_arguments(env, info, 2, given) ||
	    js_instant_from(env, given[1], "a time", 0, &at))
		return NULL;
	read = (struct js_read *)js_object_enter(env, given[0], JS_READ);
	return read
		   ? nothing_or(env, read, cop_read_valid_at(read->handle, &at))
		   : NULL;
}

/* ---- entities, out ------------------------------------------------------ */

static napi_value null_of(napi_env env)
{
	napi_value null = NULL;

	js_failed(env, napi_get_null(env, &null));
	return null;
}

static napi_value tags_to(napi_env env, cop_read *read,
			  const struct cop_entity *entity)
{
	napi_value tags;

	if (js_failed(env, napi_create_array_with_length(env, entity->tag_count,
							 &tags)))
		return NULL;
	for (uint32_t i = 0; i < entity->tag_count; i++) {
		napi_handle_scope scope;
		const char *text = NULL;
		size_t size = 0;
		cop_err err = cop_entity_tag(read, entity, i, &text, &size);
		int bad;

		if (err)
			return js_throw(env, err);
		if (js_failed(env, napi_open_handle_scope(env, &scope)))
			return NULL;
		bad = js_item_set(env, tags, i, js_text_to(env, text, size));
		napi_close_handle_scope(env, scope);
		if (bad)
			return NULL;
	}
	return tags;
}

static cop_err entity_property(cop_read *read, const void *of, uint32_t index,
			       const char **name, size_t *name_size,
			       struct cop_value *out)
{
	return cop_entity_property_at(read, of, index, name, name_size, out);
}

/* [id, key, type, tags, properties, version, content's size] */
napi_value js_entity_to(napi_env env, cop_read *read,
			const struct cop_entity *entity)
{
	napi_value fields;

	if (!entity->id)
		return null_of(env);
	if (js_failed(env, napi_create_array_with_length(env, 7, &fields)) ||
	    js_item_set(env, fields, 0, js_u64_to(env, entity->id)) ||
	    js_item_set(env, fields, 1,
			js_text_to(env, entity->key, entity->key_size)) ||
	    js_item_set(env, fields, 2, js_name_to(env, read, entity->type)) ||
	    js_item_set(env, fields, 3, tags_to(env, read, entity)) ||
	    js_item_set(env, fields, 4,
			js_properties_to(env, read, entity,
					 entity->property_count,
					 entity_property)) ||
	    js_item_set(env, fields, 5, js_u64_to(env, entity->version)) ||
	    js_item_set(env, fields, 6, js_u64_to(env, entity->content_size)))
		return NULL;
	return fields;
}

napi_value js_key_to(napi_env env, cop_read *read, uint64_t id)
{
	const void *key = NULL;
	size_t size = 0;
	cop_err err = cop_key(read, id, &key, &size);

	return err ? js_throw(env, err) : js_text_to(env, key, size);
}

static napi_value content_to(napi_env env, cop_read *read,
			     const struct cop_entity *entity)
{
	const void *data = NULL;
	napi_value content;
	size_t size = 0;
	cop_err err;

	if (!entity->content_size)
		return null_of(env);
	err = cop_entity_content(read, entity, &data, &size);
	if (err)
		return js_throw(env, err);
	return js_failed(env, napi_create_buffer_copy(env, size, data, NULL,
						      &content))
		   ? NULL
		   : content;
}

static napi_value vector_to(napi_env env, const struct js_source *source,
			    const struct cop_entity *entity)
{
	size_t dim = cop_dim(source->store->handle);
	const float *vector = NULL;
	napi_value buffer, array;
	void *data = NULL;
	cop_err err = cop_vector(source->read, entity->id, &vector);

	if (err)
		return js_throw(env, err);
	if (!vector)
		return null_of(env);
	if (js_failed(env, napi_create_arraybuffer(env, dim * sizeof *vector,
						   &data, &buffer)))
		return NULL;
	memcpy(data, vector, dim * sizeof *vector);
	return js_failed(env, napi_create_typedarray(env, napi_float32_array,
						     dim, buffer, 0, &array))
		   ? NULL
		   : array;
}

/* ---- entities, by key --------------------------------------------------- */

/* What is asked of an entity by key; `key` is good until it is released. */
struct request {
	struct js_source source;
	struct js_scratch scratch;
	struct js_text key;
	struct cop_entity entity;
	napi_value given[4];
};

/* (source, key, ...): finds the entity; -1 with an exception. */
static int request_begin(napi_env env, napi_callback_info info,
			 struct request *out)
{
	cop_err err;

	js_scratch_init(&out->scratch);
	if (js_arguments(env, info, 4, out->given) ||
	    js_text_from(env, out->given[1], "a key", &out->scratch,
			 &out->key) ||
	    js_source_enter(env, out->given[0], &out->source)) {
		js_scratch_release(&out->scratch);
		return -1;
	}
	err = cop_get(out->source.read, out->key.data, out->key.size,
		      &out->entity);
	if (!err)
		return 0;
	js_throw(env, err);
	js_source_leave(&out->source);
	js_scratch_release(&out->scratch);
	return -1;
}

static void request_end(struct request *request)
{
	js_source_leave(&request->source);
	js_scratch_release(&request->scratch);
}

/* (source, key): is there one? */
napi_value js_has(napi_env env, napi_callback_info info)
{
	struct js_source source;
	struct js_scratch scratch;
	struct js_text key;
	napi_value result = NULL;
	napi_value given[2];
	uint64_t id = 0;
	cop_err err;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 2, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    !js_source_enter(env, given[0], &source)) {
		err = cop_lookup(source.read, key.data, key.size, &id);
		if (err)
			js_throw(env, err);
		else
			js_failed(env, napi_get_boolean(env, id, &result));
		js_source_leave(&source);
	}
	js_scratch_release(&scratch);
	return result;
}

/* (source, id): the key, null if there is no such entity */
napi_value js_key(napi_env env, napi_callback_info info)
{
	struct js_source source;
	struct cop_entity entity;
	napi_value result = NULL;
	napi_value given[2];
	uint64_t id;
	cop_err err;

	if (js_arguments(env, info, 2, given) ||
	    js_u64_from(env, given[1], "an id", &id) ||
	    js_source_enter(env, given[0], &source))
		return NULL;
	err = cop_get_id(source.read, id, &entity);
	if (err)
		js_throw(env, err);
	else
		result = entity.id
			     ? js_text_to(env, entity.key, entity.key_size)
			     : null_of(env);
	js_source_leave(&source);
	return result;
}

/* (source, key, with content, with vector): its fields, these behind; null */
napi_value js_get(napi_env env, napi_callback_info info)
{
	struct request request;
	napi_value fields = NULL;
	uint32_t with_content, with_vector;

	if (request_begin(env, info, &request))
		return NULL;
	if (!js_u32_from(env, request.given[2], "content", &with_content) &&
	    !js_u32_from(env, request.given[3], "vector", &with_vector))
		fields =
		    js_entity_to(env, request.source.read, &request.entity);
	if (fields && request.entity.id && with_content &&
	    js_item_set(env, fields, 7,
			content_to(env, request.source.read, &request.entity)))
		fields = NULL;
	if (fields && request.entity.id && with_vector &&
	    js_item_set(env, fields, 8,
			vector_to(env, &request.source, &request.entity)))
		fields = NULL;
	request_end(&request);
	return fields;
}

/* (source, key): a Float32Array, null if there is none */
napi_value js_vector(napi_env env, napi_callback_info info)
{
	struct request request;
	napi_value vector;

	if (request_begin(env, info, &request))
		return NULL;
	vector = request.entity.id
		     ? vector_to(env, &request.source, &request.entity)
		     : null_of(env);
	request_end(&request);
	return vector;
}

/* (source, key): a Buffer, null if there is none */
napi_value js_content(napi_env env, napi_callback_info info)
{
	struct request request;
	napi_value content;

	if (request_begin(env, info, &request))
		return NULL;
	content = request.entity.id
		      ? content_to(env, request.source.read, &request.entity)
		      : null_of(env);
	request_end(&request);
	return content;
}

/* Part of a content, a Buffer. */
static napi_value part_to(napi_env env, const struct request *request,
			  uint64_t offset, size_t size)
{
	uint64_t whole = request->entity.content_size;
	uint64_t left = offset < whole ? whole - offset : 0;
	size_t got = 0;
	napi_value part = NULL;
	void *room;
	cop_err err;

	if (size > left)
		size = (size_t)left;
	room = malloc(size ? size : 1);
	err = !room   ? ENOMEM
	      : !size ? 0
		      : cop_content_read(request->source.read, &request->entity,
					 offset, room, size, &got);
	if (err)
		js_throw(env, err);
	else
		js_failed(env,
			  napi_create_buffer_copy(env, got, room, NULL, &part));
	free(room);
	return part;
}

/* (source, key, offset, size): a Buffer, null if there is no entity */
napi_value js_content_read(napi_env env, napi_callback_info info)
{
	struct request request;
	napi_value part = NULL;
	uint64_t offset, size;

	if (request_begin(env, info, &request))
		return NULL;
	if (!js_u64_from(env, request.given[2], "offset", &offset) &&
	    !js_u64_from(env, request.given[3], "size", &size))
		part = request.entity.id
			   ? part_to(env, &request, offset, (size_t)size)
			   : null_of(env);
	request_end(&request);
	return part;
}

/* ---- many entities ------------------------------------------------------ */

/* Ids as they come, up to a limit. */
struct ids {
	uint64_t *ids;
	size_t count;
	size_t room;
	size_t limit;
	int has_failed;
};

static int32_t ids_add(void *user, cop_read *read,
		       const struct cop_entity *entity)
{
	struct ids *ids = user;

	(void)read;
	if (ids->count == ids->room) {
		size_t room = ids->room ? 2 * ids->room : 256;
		uint64_t *more = realloc(ids->ids, room * sizeof *more);

		ids->has_failed = !more;
		if (!more)
			return 1;
		ids->ids = more;
		ids->room = room;
	}
	ids->ids[ids->count++] = entity->id;
	return ids->count == ids->limit;
}

static int32_t ids_add_selected(void *user, uint32_t thread, cop_read *read,
				const struct cop_entity *entity)
{
	(void)thread;
	return ids_add(user, read, entity);
}

/* Their keys, an array. */
static napi_value ids_to(napi_env env, cop_read *read, struct ids *ids,
			 cop_err err)
{
	napi_value keys = NULL;
	int bad = 0;

	if (err == COP_STOPPED)
		err = ids->has_failed ? ENOMEM : 0;
	if (err)
		js_throw(env, err);
	else if (js_failed(env, napi_create_array_with_length(env, ids->count,
							      &keys)))
		keys = NULL;
	for (size_t i = 0; keys && !bad && i < ids->count; i++) {
		napi_handle_scope scope;

		if (js_failed(env, napi_open_handle_scope(env, &scope)))
			break;
		bad = js_item_set(env, keys, i,
				  js_key_to(env, read, ids->ids[i]));
		napi_close_handle_scope(env, scope);
	}
	free(ids->ids);
	return bad ? NULL : keys;
}

/* 0: no limit */
static int limit_from(napi_env env, napi_value value, struct ids *out)
{
	uint32_t limit;

	if (js_u32_from(env, value, "limit", &limit))
		return -1;
	*out = (struct ids){.limit = limit};
	return 0;
}

/* (source, prefix, limit): keys, in their order */
napi_value js_keys(napi_env env, napi_callback_info info)
{
	struct js_source source;
	struct js_scratch scratch;
	struct js_text prefix;
	napi_value keys = NULL;
	napi_value given[3];
	struct ids ids;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 3, given) &&
	    !js_text_from(env, given[1], "prefix", &scratch, &prefix) &&
	    !limit_from(env, given[2], &ids) &&
	    !js_source_enter(env, given[0], &source)) {
		cop_err err = cop_keys(source.read, prefix.data, prefix.size,
				       ids_add, &ids);

		keys = ids_to(env, source.read, &ids, err);
		js_source_leave(&source);
	}
	js_scratch_release(&scratch);
	return keys;
}

/* (source, type, all, any, none, prefix, limit): keys, in order of ids */
napi_value js_select(napi_env env, napi_callback_info info)
{
	struct cop_select select = {.size = sizeof select};
	struct js_source source;
	struct js_scratch scratch;
	struct js_text prefix;
	napi_value keys = NULL;
	napi_value given[7];
	struct ids ids;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 7, given) &&
	    !js_name_or_none_from(env, given[1], "type", &scratch,
				  &select.type) &&
	    !js_names_from(env, given[2], "all", &scratch, &select.all,
			   &select.all_count) &&
	    !js_names_from(env, given[3], "any", &scratch, &select.any,
			   &select.any_count) &&
	    !js_names_from(env, given[4], "none", &scratch, &select.none,
			   &select.none_count) &&
	    !js_text_or_none_from(env, given[5], "prefix", &scratch, &prefix) &&
	    !limit_from(env, given[6], &ids) &&
	    !js_source_enter(env, given[0], &source)) {
		cop_err err;

		select.prefix = prefix.data;
		select.prefix_size = (uint32_t)prefix.size;
		err = cop_select(source.read, &select, ids_add_selected, &ids);
		keys = ids_to(env, source.read, &ids, err);
		js_source_leave(&source);
	}
	js_scratch_release(&scratch);
	return keys;
}

/* ---- figures ------------------------------------------------------------ */

static napi_value stats_to(napi_env env, const struct cop_stats *stats)
{
	const struct {
		const char *name;
		uint64_t number;
	} figures[] = {
	    {"dim", stats->dim},
	    {"commits", stats->commits},
	    {"entities", stats->entities},
	    {"edges", stats->edges},
	    {"vectors", stats->vectors},
	    {"names", stats->names},
	    {"diskBytes", stats->disk_bytes},
	    {"sharedBytes", stats->shared_bytes},
	    {"readers", stats->readers},
	    {"stalled", stats->stalled},
	    {"oldestSnapshot", stats->oldest_snapshot},
	    {"heldBytes", stats->held_bytes},
	    {"imageCommit", stats->image_commit},
	    {"cacheBytes", stats->cache_bytes},
	    {"cacheHits", stats->cache_hits},
	    {"cacheMisses", stats->cache_misses},
	};
	napi_value object;

	if (js_failed(env, napi_create_object(env, &object)) ||
	    js_member_set(
		env, object, "segment",
		js_text_to(env, stats->segment, strlen(stats->segment))))
		return NULL;
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
		if (js_member_set(env, object, figures[i].name,
				  js_u64_to(env, figures[i].number)))
			return NULL;
	return object;
}

/* (source): an object */
napi_value js_stat(napi_env env, napi_callback_info info)
{
	struct cop_stats stats = {.size = sizeof stats};
	struct js_source source;
	napi_value result;
	napi_value given;
	cop_err err;

	if (js_arguments(env, info, 1, &given) ||
	    js_source_enter(env, given, &source))
		return NULL;
	err = cop_stat(source.read, &stats);
	result = err ? js_throw(env, err) : stats_to(env, &stats);
	js_source_leave(&source);
	return result;
}

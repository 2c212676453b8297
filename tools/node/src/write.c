/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write: what it is to do is gathered at once, the commit is a job.
 */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>

static void write_end(struct js_object *object)
{
	cop_abort(((struct js_write *)object)->handle);
}

/* (store): a write */
napi_value js_write_begin(napi_env env, napi_callback_info info)
{
	struct js_store *store;
	struct js_write *write;
	napi_value value = NULL;
	napi_value given;
	cop_err err;

	if (js_arguments(env, info, 1, &given))
		return NULL;
	store = (struct js_store *)js_object_enter(env, given, JS_STORE);
	if (!store)
		return NULL;
	write = calloc(1, sizeof *write);
	err = write ? cop_write_begin(store->handle, &write->handle) : ENOMEM;
	if (err) {
		js_throw(env, err);
		free(write);
	} else {
		write->object.kind = JS_WRITE;
		write->object.owner = &store->object;
		write->object.end = write_end;
		value = js_object_wrap(env, &write->object);
	}
	js_object_leave(&store->object);
	return value;
}

static struct js_write *write_enter(napi_env env, napi_value value)
{
	return (struct js_write *)js_object_enter(env, value, JS_WRITE);
}

/* Leaves it; throws if there was an error. */
static void write_leave(napi_env env, struct js_write *write, cop_err err)
{
	if (err)
		js_throw(env, err);
	js_object_leave(&write->object);
}

/* ---- entities ----------------------------------------------------------- */

/*
 * Content is a string, which is copied, or borrowed from a Uint8Array, like the
 * vector from a Float32Array: these two are the last to be looked at.
 */
static int put_from(napi_env env, const napi_value *given,
		    struct js_scratch *scratch, struct cop_put *out)
{
	napi_valuetype type = napi_undefined;
	struct cop_property *properties;
	struct js_text key, name, content = {NULL, 0};
	struct js_floats vector = {NULL, 0};

	*out = (struct cop_put){.size = sizeof *out};
	if (js_text_from(env, given[1], "a key", scratch, &key) ||
	    js_text_or_none_from(env, given[2], "type", scratch, &name) ||
	    js_names_from(env, given[3], "tags", scratch, &out->tags,
			  &out->tag_count) ||
	    js_properties_from(env, given[4], scratch, &properties,
			       &out->property_count) ||
	    js_i32_from(env, given[7], "vector change", &out->vector_change) ||
	    js_i32_from(env, given[8], "content change",
			&out->content_change) ||
	    js_failed(env, napi_typeof(env, given[5], &type)))
		return -1;
	if (!js_is_none(env, given[5]) &&
	    (type == napi_string
		 ? js_text_from(env, given[5], "content", scratch, &content)
		 : js_bytes_from(env, given[5], "content", scratch, &content)))
		return -1;
	if (!js_is_none(env, given[6]) &&
	    js_floats_from(env, given[6], "vector", scratch, &vector))
		return -1;
	out->key = key.data;
	out->key_size = (uint32_t)key.size;
	out->type = name.data;
	out->type_size = name.size;
	out->properties = properties;
	out->content = content.data;
	out->content_size = content.size;
	/* an empty one is a wrong one, not none */
	out->vector = vector.data || js_is_none(env, given[6])
			  ? vector.data
			  : (const float *)(const void *)scratch->room;
	out->dim =
	    (uint32_t)(vector.count < UINT32_MAX ? vector.count : UINT32_MAX);
	return 0;
}

/*
 * (write, key, type, tags, properties, content, vector, vector change, content
 * change)
 */
napi_value js_put(napi_env env, napi_callback_info info)
{
	struct js_scratch scratch;
	struct js_write *write;
	struct cop_put put;
	napi_value given[9];

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 9, given) &&
	    !put_from(env, given, &scratch, &put) &&
	    (write = write_enter(env, given[0])))
		write_leave(env, write, cop_put(write->handle, &put));
	js_scratch_release(&scratch);
	return NULL;
}

/* (write, key, vector or null) */
napi_value js_put_vector(napi_env env, napi_callback_info info)
{
	struct js_scratch scratch;
	struct js_write *write;
	struct js_text key;
	struct js_floats vector = {NULL, 0};
	napi_value given[3];

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 3, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    (js_is_none(env, given[2]) ||
	     !js_floats_from(env, given[2], "vector", &scratch, &vector)) &&
	    (write = write_enter(env, given[0]))) {
		if (!vector.data && !js_is_none(env, given[2]))
			vector.data = (const float *)(void *)scratch.room;
		write_leave(env, write,
			    cop_put_vector(write->handle, key.data, key.size,
					   vector.data,
					   (uint32_t)vector.count));
	}
	js_scratch_release(&scratch);
	return NULL;
}

/* (write, key) */
napi_value js_delete(napi_env env, napi_callback_info info)
{
	struct js_scratch scratch;
	struct js_write *write;
	struct js_text key;
	napi_value given[2];

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 2, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    (write = write_enter(env, given[0])))
		write_leave(env, write,
			    cop_delete(write->handle, key.data, key.size));
	js_scratch_release(&scratch);
	return NULL;
}

/* (write, key, number) to a call of the library's that takes them */
static napi_value numbered(napi_env env, napi_callback_info info,
			   cop_err (*call)(cop_write *write, const void *key,
					   size_t key_size, uint64_t number))
{
	struct js_scratch scratch;
	struct js_write *write;
	struct js_text key;
	napi_value given[3];
	uint64_t number;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 3, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    !js_u64_from(env, given[2], "a commit", &number) &&
	    (write = write_enter(env, given[0])))
		write_leave(env, write,
			    call(write->handle, key.data, key.size, number));
	js_scratch_release(&scratch);
	return NULL;
}

/* (write, key, commit) */
napi_value js_undelete(napi_env env, napi_callback_info info)
{
	return numbered(env, info, cop_undelete);
}

/* (write, key, version) */
napi_value js_expect(napi_env env, napi_callback_info info)
{
	return numbered(env, info, cop_expect);
}

/* ---- tags --------------------------------------------------------------- */

/* (from, to), in ms since 1970; undefined: always */
static int validity_from(napi_env env, const napi_value *given,
			 struct cop_validity *room,
			 const struct cop_validity **out)
{
	*out = NULL;
	if (js_is_none(env, given[0]) && js_is_none(env, given[1]))
		return 0;
	if (js_instant_from(env, given[0], "valid", 1, &room->from) ||
	    js_instant_from(env, given[1], "valid", 1, &room->to))
		return -1;
	*out = room;
	return 0;
}

/* (write, key, tag, from, to) */
napi_value js_tag(napi_env env, napi_callback_info info)
{
	const struct cop_validity *valid;
	struct cop_validity room;
	struct js_scratch scratch;
	struct js_write *write;
	struct js_text key, tag;
	napi_value given[5];

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 5, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    !js_text_from(env, given[2], "a tag", &scratch, &tag) &&
	    !validity_from(env, given + 3, &room, &valid) &&
	    (write = write_enter(env, given[0])))
		write_leave(env, write,
			    cop_tag_valid(write->handle, key.data, key.size,
					  tag.data, tag.size, valid));
	js_scratch_release(&scratch);
	return NULL;
}

/* (write, key, tag) */
napi_value js_untag(napi_env env, napi_callback_info info)
{
	struct js_scratch scratch;
	struct js_write *write;
	struct js_text key, tag;
	napi_value given[3];

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 3, given) &&
	    !js_text_from(env, given[1], "a key", &scratch, &key) &&
	    !js_text_from(env, given[2], "a tag", &scratch, &tag) &&
	    (write = write_enter(env, given[0])))
		write_leave(env, write,
			    cop_untag(write->handle, key.data, key.size,
				      tag.data, tag.size));
	js_scratch_release(&scratch);
	return NULL;
}

/* ---- edges -------------------------------------------------------------- */

static int edge_from(napi_env env, const napi_value *given,
		     struct js_scratch *scratch, struct cop_validity *room,
		     struct cop_put_edge *out)
{
	struct js_text source, relation, target;
	struct cop_property *properties;

	*out = (struct cop_put_edge){.size = sizeof *out};
	if (js_text_from(env, given[1], "source", scratch, &source) ||
	    js_text_from(env, given[2], "relation", scratch, &relation) ||
	    js_text_from(env, given[3], "target", scratch, &target) ||
	    js_u32_from(env, given[4], "discriminator", &out->discriminator) ||
	    js_properties_from(env, given[5], scratch, &properties,
			       &out->property_count) ||
	    validity_from(env, given + 6, room, &out->valid) ||
	    js_i32_from(env, given[8], "dangling", &out->dangling))
		return -1;
	out->source = source.data;
	out->source_size = source.size;
	out->relation = relation.data;
	out->relation_size = relation.size;
	out->target = target.data;
	out->target_size = target.size;
	out->properties = properties;
	return 0;
}

/*
 * (write, source, relation, target, discriminator, properties, from, to,
 * dangling)
 */
static napi_value edge_with(napi_env env, napi_callback_info info,
			    cop_err (*call)(cop_write *write,
					    const struct cop_put_edge *edge))
{
	struct js_scratch scratch;
	struct js_write *write;
	struct cop_put_edge edge;
	struct cop_validity room;
	napi_value given[9];

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 9, given) &&
	    !edge_from(env, given, &scratch, &room, &edge) &&
	    (write = write_enter(env, given[0])))
		write_leave(env, write, call(write->handle, &edge));
	js_scratch_release(&scratch);
	return NULL;
}

napi_value js_link(napi_env env, napi_callback_info info)
{
	return edge_with(env, info, cop_put_edge);
}

napi_value js_unlink(napi_env env, napi_callback_info info)
{
	return edge_with(env, info, cop_unlink);
}

/* ---- commit ------------------------------------------------------------- */

/* (write): how many operations it holds */
napi_value js_write_length(napi_env env, napi_callback_info info)
{
	struct js_write *write;
	napi_value result;
	napi_value given;

	if (js_arguments(env, info, 1, &given))
		return NULL;
	write = write_enter(env, given);
	if (!write)
		return NULL;
	result = js_u64_to(env, cop_write_count(write->handle));
	js_object_leave(&write->object);
	return result;
}

struct commit {
	struct js_job job;
	cop_write *write;
	struct cop_commit_options options;
	struct cop_result result;
};

static cop_err commit_run(struct js_job *job)
{
	struct commit *commit = (struct commit *)job;
	cop_err err =
	    cop_commit_with(commit->write, &commit->options, &commit->result);

	if (err)
		job->operation = commit->result.failed;
	return err;
}

static napi_value commit_result(napi_env env, struct js_job *job)
{
	return js_u64_to(env, ((struct commit *)job)->result.commit);
}

/* (write, durability, timeout in ms): a promise of the commit's number */
napi_value js_commit(napi_env env, napi_callback_info info)
{
	struct commit *commit = calloc(1, sizeof *commit);
	struct js_write *write = NULL;
	napi_value given[3];

	if (!commit)
		return js_throw_own(env, ENOMEM, "no memory for a job");
	commit->options.size = sizeof commit->options;
	commit->result.size = sizeof commit->result;
	commit->result.failed = JS_NO_OPERATION;
	commit->job.run = commit_run;
	commit->job.result = commit_result;
	commit->job.operation = JS_NO_OPERATION;
	if (!js_arguments(env, info, 3, given) &&
	    !js_i32_from(env, given[1], "durability",
			 &commit->options.durability) &&
	    !js_u32_from(env, given[2], "timeout", &commit->options.timeout_ms))
		write = write_enter(env, given[0]);
	if (!write) {
		free(commit);
		return NULL;
	}
	commit->write = write->handle;
	commit->job.object = &write->object;
	return js_job_start(env, &commit->job, "coppice.commit");
}

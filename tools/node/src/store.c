/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores: made, opened, looked after.
 */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>

/* ---- of no store in particular ------------------------------------------ */

/*
 * (path, dim, metric, rows, codes, mode, group plus 1, shared folder, expected
 * entities, bloom rate, record bytes, signs, codes' dim, cache bytes, its ttl
 * and idle time in ms, history, its ms and count)
 */
static int options_from(napi_env env, const napi_value *given,
			struct js_scratch *scratch, struct cop_options *out)
{
	return js_u32_from(env, given[1], "dim", &out->dim) ||
	       js_i32_from(env, given[2], "metric", &out->metric) ||
	       js_i32_from(env, given[3], "rows", &out->rows) ||
	       js_i32_from(env, given[4], "codes", &out->codes) ||
	       js_u32_from(env, given[5], "mode", &out->mode) ||
	       js_u32_from(env, given[6], "group", &out->group) ||
	       js_name_or_none_from(env, given[7], "shmDir", scratch,
				    &out->shm_dir) ||
	       js_u64_from(env, given[8], "expectedEntities",
			   &out->expected_entities) ||
	       js_double_from(env, given[9], "bloomRate", &out->bloom_rate) ||
	       js_u32_from(env, given[10], "recordBytes", &out->record_bytes) ||
	       js_u32_from(env, given[11], "signs", &out->signs) ||
	       js_u32_from(env, given[12], "codesDim", &out->codes_dim) ||
	       js_u64_from(env, given[13], "cacheBytes", &out->cache_bytes) ||
	       js_u32_from(env, given[14], "cacheTtl", &out->cache_ttl_ms) ||
	       js_u32_from(env, given[15], "cacheIdle", &out->cache_idle_ms) ||
	       js_i32_from(env, given[16], "history", &out->history) ||
	       js_u64_from(env, given[17], "historyDays", &out->history_ms) ||
	       js_u64_from(env, given[18], "historyCount", &out->history_count);
}

napi_value js_create(napi_env env, napi_callback_info info)
{
	struct cop_options options = {.size = sizeof options};
	struct js_scratch scratch;
	const char *path;
	napi_value given[19];
	cop_err err;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 19, given) &&
	    !js_name_from(env, given[0], "path", &scratch, &path) &&
	    !options_from(env, given, &scratch, &options)) {
		err = cop_create(path, &options);
		if (err)
			js_throw(env, err);
	}
	js_scratch_release(&scratch);
	return NULL;
}

/* (path) */
napi_value js_detach(napi_env env, napi_callback_info info)
{
	struct js_scratch scratch;
	const char *path;
	napi_value given;
	cop_err err;

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 1, &given) &&
	    !js_name_from(env, given, "path", &scratch, &path)) {
		err = cop_detach(path);
		if (err)
			js_throw(env, err);
	}
	js_scratch_release(&scratch);
	return NULL;
}

/* ---- open --------------------------------------------------------------- */

static void store_end(struct js_object *object)
{
	/* the last of all may write an image */
	cop_close(((struct js_store *)object)->handle);
}

static napi_value store_make(napi_env env, const char *path,
			     const struct cop_open_options *options)
{
	struct js_store *store = calloc(1, sizeof *store);
	cop_err err;

	if (!store)
		return js_throw_own(env, ENOMEM, "no memory for a store");
	err = cop_open(path, options, &store->handle);
	if (err) {
		js_throw(env, err);
		free(store);
		return NULL;
	}
	store->object.kind = JS_STORE;
	store->object.end = store_end;
	return js_object_wrap(env, &store->object);
}

/* (path, timeout in ms, name): a store */
napi_value js_open(napi_env env, napi_callback_info info)
{
	struct cop_open_options options = {.size = sizeof options};
	struct js_scratch scratch;
	napi_value store = NULL;
	const char *path;
	napi_value given[3];

	js_scratch_init(&scratch);
	if (!js_arguments(env, info, 3, given) &&
	    !js_name_from(env, given[0], "path", &scratch, &path) &&
	    !js_u32_from(env, given[1], "timeout", &options.timeout_ms) &&
	    !js_name_or_none_from(env, given[2], "name", &scratch,
				  &options.name))
		store = store_make(env, path, &options);
	js_scratch_release(&scratch);
	return store;
}

/* (store or snapshot) */
napi_value js_dim(napi_env env, napi_callback_info info)
{
	struct js_object *object;
	napi_value result;
	napi_value given;

	if (js_arguments(env, info, 1, &given))
		return NULL;
	object = js_object_enter(env, given, JS_STORE | JS_READ);
	if (!object)
		return NULL;
	result = js_u64_to(env, cop_dim(js_store_of(object)->handle));
	js_object_leave(object);
	return result;
}

/* (store): enum cop_metric */
napi_value js_metric(napi_env env, napi_callback_info info)
{
	struct js_store *store;
	napi_value result;
	napi_value given;

	if (js_arguments(env, info, 1, &given))
		return NULL;
	store = (struct js_store *)js_object_enter(env, given, JS_STORE);
	if (!store)
		return NULL;
	result = js_u64_to(env, (uint64_t)cop_metric(store->handle));
	js_object_leave(&store->object);
	return result;
}

/* ---- upkeep ------------------------------------------------------------- */

struct upkeep {
	struct js_job job;
	cop_store *store;
	struct cop_maintain_options options;
	struct cop_maintain_result maintained;
	struct cop_checkpoint_result checkpoint;
	struct cop_compact_result compacted;
};

static napi_value upkeep_start(napi_env env, napi_value value,
			       const struct upkeep *what, const char *name)
{
	struct js_object *object = js_object_enter(env, value, JS_STORE);
	struct upkeep *upkeep = object ? malloc(sizeof *upkeep) : NULL;

	if (!upkeep) {
		if (object) {
			js_throw_own(env, ENOMEM, "no memory for a job");
			js_object_leave(object);
		}
		return NULL;
	}
	*upkeep = *what;
	upkeep->job.object = object;
	upkeep->job.operation = JS_NO_OPERATION;
	upkeep->store = ((struct js_store *)object)->handle;
	return js_job_start(env, &upkeep->job, name);
}

static cop_err checkpoint_run(struct js_job *job)
{
	struct upkeep *upkeep = (struct upkeep *)job;

	upkeep->checkpoint.size = sizeof upkeep->checkpoint;
	return cop_checkpoint(upkeep->store, &upkeep->checkpoint);
}

static napi_value checkpoint_result(napi_env env, struct js_job *job)
{
	struct upkeep *upkeep = (struct upkeep *)job;

	return js_u64_to(env, upkeep->checkpoint.commit);
}

/* (store): a promise of the commit that the image is of */
napi_value js_checkpoint(napi_env env, napi_callback_info info)
{
	struct upkeep what = {
	    .job = {.run = checkpoint_run, .result = checkpoint_result}};
	napi_value given;

	return js_arguments(env, info, 1, &given)
		   ? NULL
		   : upkeep_start(env, given, &what, "coppice.checkpoint");
}

static cop_err compact_run(struct js_job *job)
{
	struct upkeep *upkeep = (struct upkeep *)job;

	upkeep->compacted.size = sizeof upkeep->compacted;
	return cop_compact(upkeep->store, NULL, &upkeep->compacted);
}

static napi_value compact_result(napi_env env, struct js_job *job)
{
	const struct cop_compact_result *done =
	    &((struct upkeep *)job)->compacted;
	napi_value result;

	if (js_failed(env, napi_create_object(env, &result)) ||
	    js_member_set(env, result, "bytesBefore",
			  js_u64_to(env, done->bytes_before)) ||
	    js_member_set(env, result, "bytesAfter",
			  js_u64_to(env, done->bytes_after)))
		return NULL;
	return result;
}

/* (store): a promise */
napi_value js_compact(napi_env env, napi_callback_info info)
{
	struct upkeep what = {
	    .job = {.run = compact_run, .result = compact_result}};
	napi_value given;

	return js_arguments(env, info, 1, &given)
		   ? NULL
		   : upkeep_start(env, given, &what, "coppice.compact");
}

static cop_err maintain_run(struct js_job *job)
{
	struct upkeep *upkeep = (struct upkeep *)job;

	upkeep->maintained.size = sizeof upkeep->maintained;
	return cop_maintain(upkeep->store, &upkeep->options,
			    &upkeep->maintained);
}

static napi_value maintain_result(napi_env env, struct js_job *job)
{
	const struct cop_maintain_result *done =
	    &((struct upkeep *)job)->maintained;
	napi_value result;

	if (js_failed(env, napi_create_object(env, &result)) ||
	    js_member_set(env, result, "linked",
			  js_u64_to(env, done->linked)) ||
	    js_member_set(env, result, "reclaimed",
			  js_u64_to(env, done->reclaimed)) ||
	    js_member_set(env, result, "mended",
			  js_u64_to(env, done->mended)) ||
	    js_member_set(env, result, "unlinked",
			  js_u64_to(env, done->unlinked)) ||
	    js_member_set(env, result, "waiting",
			  js_u64_to(env, done->waiting)))
		return NULL;
	return result;
}

/* (store, threads, budget in ms): a promise */
napi_value js_maintain(napi_env env, napi_callback_info info)
{
	struct upkeep what = {
	    .job = {.run = maintain_run, .result = maintain_result},
	    .options = {.size = sizeof what.options}};
	napi_value given[3];

	if (js_arguments(env, info, 3, given) ||
	    js_u32_from(env, given[1], "threads", &what.options.threads) ||
	    js_u32_from(env, given[2], "budget", &what.options.budget_ms))
		return NULL;
	return upkeep_start(env, given[0], &what, "coppice.maintain");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /search?q=TEXT&k=10&type=T&tag=T: a search by words.
 * POST /search {"vector":[..],"k":10,"type":..,"tag":..}: by a vector.
 */
#include "web.h"

#include <string.h>

enum { SEARCH_K = 10, SEARCH_K_MAX = 1000 };

static ngx_uint_t k_fail(struct web_call *call)
{
	return web_fail(call, NGX_HTTP_BAD_REQUEST,
			"k is no whole number from 1 to %d", SEARCH_K_MAX);
}

/* ---- by words ----------------------------------------------------------- */

/* A name of the store's: coppice takes it as far as its NUL. */
static ngx_uint_t arg_name(struct web_call *call, const char *name,
			   const char **out)
{
	ngx_str_t arg;
	ngx_uint_t status = web_arg(call, name, &arg);

	if (status)
		return status;
	if (arg.data && memchr(arg.data, 0, arg.len))
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"the argument %s has a NUL in it", name);
	*out = (const char *)arg.data;
	return 0;
}

static ngx_uint_t arg_k(struct web_call *call, uint32_t *k)
{
	ngx_str_t arg;
	ngx_uint_t status = web_arg(call, "k", &arg);
	ngx_int_t value;

	if (status || !arg.data)
		return status;
	value = ngx_atoi(arg.data, arg.len);
	if (value < 1 || value > SEARCH_K_MAX)
		return k_fail(call);
	*k = (uint32_t)value;
	return 0;
}

static ngx_uint_t search_by_words(struct web_call *call,
				  struct cop_search *search)
{
	ngx_str_t text;
	ngx_uint_t status = web_arg(call, "q", &text);

	if (!status && !text.data)
		status = web_fail(call, NGX_HTTP_BAD_REQUEST,
				  "the argument q is missing: ?q=words");
	if (!status)
		status = arg_k(call, &search->k);
	if (!status)
		status = arg_name(call, "type", &search->type);
	if (!status)
		status = arg_name(call, "tag", &search->tag);
	if (!status)
		status = web_words_query(call, &text, &search->vector);
	return status;
}

/* ---- by a vector -------------------------------------------------------- */

static ngx_uint_t member_name(struct web_call *call, const json_t *root,
			      const char *name, const char **out)
{
	size_t size;
	ngx_uint_t status = web_member(call, root, name, out, &size);

	if (!status && *out && strlen(*out) != size)
		status = web_fail(call, NGX_HTTP_BAD_REQUEST,
				  "\"%s\" has a NUL in it", name);
	return status;
}

static ngx_uint_t member_k(struct web_call *call, const json_t *root,
			   uint32_t *k)
{
	const json_t *json = json_object_get(root, "k");
	json_int_t value = json_integer_value(json);

	if (!json || json_is_null(json))
		return 0;
	if (value < 1 || value > SEARCH_K_MAX) /* 0 if it is no integer */
		return k_fail(call);
	*k = (uint32_t)value;
	return 0;
}

static ngx_uint_t member_query(struct web_call *call, const json_t *root,
			       const float **vector)
{
	uint32_t dim = cop_dim(call->store);
	size_t count;
	ngx_uint_t status = web_member_vector(call, root, vector, &count);

	if (status)
		return status;
	if (!*vector)
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"\"vector\" is missing");
	if (count != dim)
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"\"vector\" has %zu numbers; this store's have "
				"%u",
				count, dim);
	return 0;
}

static ngx_uint_t search_by_vector(struct web_call *call, const json_t *root,
				   struct cop_search *search)
{
	ngx_uint_t status = member_query(call, root, &search->vector);

	if (!status)
		status = member_k(call, root, &search->k);
	if (!status)
		status = member_name(call, root, "type", &search->type);
	if (!status)
		status = member_name(call, root, "tag", &search->tag);
	return status;
}

/* ---- hits --------------------------------------------------------------- */

static cop_err hit_write(struct web_call *call, const struct cop_hit *hit)
{
	struct web_text *out = &call->out;
	struct cop_entity entity;
	cop_err err = cop_get_id(call->read, hit->id, &entity);

	if (err)
		return err;
	web_words(out, "{\"key\":");
	web_string(out, entity.key, entity.key_size);
	web_words(out, ",\"distance\":");
	web_double(out, hit->distance);
	web_words(out, ",\"properties\":");
	err = web_properties(out, call->read, &entity);
	web_words(out, "}");
	return err;
}

/* Without a vector there are none. */
static ngx_uint_t hits_write(struct web_call *call,
			     const struct cop_search *search)
{
	struct cop_hit *hits = ngx_palloc(call->pool, search->k * sizeof *hits);
	uint32_t count = 0;
	cop_err err = 0;

	if (!hits)
		return web_fail_memory(call);
	if (search->vector)
		err = cop_search(call->read, search, hits, &count);
	web_words(&call->out, "{\"hits\":[");
	for (uint32_t i = 0; i < count && !err; i++) {
		if (i)
			web_words(&call->out, ",");
		err = hit_write(call, &hits[i]);
	}
	web_words(&call->out, "]}");
	return err ? web_fail_store(call, err) : NGX_HTTP_OK;
}

ngx_uint_t web_search(struct web_call *call)
{
	struct cop_search search = {.size = sizeof search, .k = SEARCH_K};
	json_t *root = NULL;
	ngx_uint_t status;

	if (call->request->method == NGX_HTTP_POST) {
		status = web_body(call, &root);
		if (!status)
			status = search_by_vector(call, root, &search);
	} else {
		status = search_by_words(call, &search);
	}
	if (!status)
		status = hits_write(call, &search);
	json_decref(root);
	return status;
}

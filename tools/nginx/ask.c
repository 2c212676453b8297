/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request asks: arguments of its line, members of its body.
 *
 * limits
 *	nginx limits the body, by client_max_body_size; jansson how deep it
 *	nests, to 2,048, and whole numbers, to 64 bits.  A member given twice is
 *	refused: one of them would be lost.
 */
#include "web.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- arguments ---------------------------------------------------------- */

ngx_uint_t web_arg(struct web_call *call, const char *name, ngx_str_t *out)
{
	ngx_str_t raw;
	u_char *from, *to;

	out->data = NULL;
	out->len = 0;
	if (ngx_http_arg(call->request, (u_char *)(uintptr_t)name, strlen(name),
			 &raw) != NGX_OK)
		return 0;
	from = ngx_pnalloc(call->pool, raw.len + 1);
	if (!from)
		return web_fail_memory(call);
	for (size_t i = 0; i < raw.len; i++)
		from[i] = raw.data[i] == '+' ? ' ' : raw.data[i];
	out->data = to = from;
	ngx_unescape_uri(&to, &from, raw.len, 0);
	out->len = (size_t)(to - out->data);
	*to = 0;
	return 0;
}

/* ---- the body ----------------------------------------------------------- */

static size_t body_size(const ngx_http_request_body_t *body)
{
	size_t size = 0;

	for (const ngx_chain_t *link = body->bufs; link; link = link->next)
		size += (size_t)ngx_buf_size(link->buf);
	return size;
}

/* Copies it together; large ones are in a file of nginx's. */
static ngx_int_t body_copy(const ngx_http_request_body_t *body, u_char *to)
{
	for (const ngx_chain_t *link = body->bufs; link; link = link->next) {
		const ngx_buf_t *buf = link->buf;
		size_t size = (size_t)ngx_buf_size(buf);

		if (ngx_buf_in_memory(buf))
			memcpy(to, buf->pos, size);
		else if (ngx_read_file(buf->file, to, size, buf->file_pos) !=
			 (ssize_t)size)
			return NGX_ERROR;
		to += size;
	}
	return NGX_OK;
}

ngx_uint_t web_body(struct web_call *call, json_t **root)
{
	const ngx_http_request_body_t *body = call->request->request_body;
	size_t size = body ? body_size(body) : 0;
	json_error_t error;
	u_char *data;

	*root = NULL;
	if (!size)
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"the body is empty; it is a JSON object");
	data = ngx_pnalloc(call->pool, size);
	if (!data)
		return web_fail_memory(call);
	if (body_copy(body, data) != NGX_OK)
		return web_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE,
				"the body cannot be read from its file");
	*root = json_loadb((const char *)data, size,
			   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!*root)
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"the body is no JSON: line %d, column %d: %s",
				error.line, error.column, error.text);
	if (json_is_object(*root))
		return 0;
	json_decref(*root);
	*root = NULL;
	return web_fail(call, NGX_HTTP_BAD_REQUEST,
			"the body is JSON, but no object");
}

/* ---- its members -------------------------------------------------------- */

ngx_uint_t web_member(struct web_call *call, const json_t *object,
		      const char *name, const char **text, size_t *size)
{
	const json_t *json = json_object_get(object, name);

	*text = NULL;
	*size = 0;
	if (!json || json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return web_fail(call, NGX_HTTP_BAD_REQUEST,
				"\"%s\" is no string", name);
	*text = json_string_value(json);
	*size = json_string_length(json);
	return 0;
}

ngx_uint_t web_member_list(struct web_call *call, const json_t *object,
			   const char *name, const json_t **list)
{
	const json_t *json = json_object_get(object, name);

	*list = NULL;
	if (!json || json_is_null(json))
		return 0;
	if (!json_is_array(json))
		return web_fail(call, NGX_HTTP_BAD_REQUEST, "\"%s\" is no list",
				name);
	*list = json;
	return 0;
}

ngx_uint_t web_member_vector(struct web_call *call, const json_t *object,
			     const float **vector, size_t *count)
{
	const json_t *list;
	ngx_uint_t status = web_member_list(call, object, "vector", &list);
	float *floats;

	*vector = NULL;
	*count = 0;
	if (status || !list)
		return status;
	*count = json_array_size(list);
	floats = ngx_palloc(call->pool, *count * sizeof *floats + 1);
	if (!floats)
		return web_fail_memory(call);
	for (size_t i = 0; i < *count; i++) {
		const json_t *item = json_array_get(list, i);
		double value = json_number_value(item);

		if (!json_is_number(item) || fabs(value) > (double)FLT_MAX)
			return web_fail(call, NGX_HTTP_BAD_REQUEST,
					"\"vector\": member %zu is no number "
					"of float32's range",
					i);
		floats[i] = (float)value;
	}
	*vector = floats;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers: a status and a JSON text, errors too.
 */
#include "web.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FAIL_BYTES = 1024 };

ngx_uint_t web_fail(struct web_call *call, ngx_uint_t status,
		    const char *format, ...)
{
	char reason[FAIL_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(reason, sizeof reason, format, list);
	va_end(list);
	call->out.size = 0;
	web_words(&call->out, "{\"error\":");
	web_string(&call->out, reason, strlen(reason));
	web_words(&call->out, "}");
	return status;
}

ngx_uint_t web_fail_memory(struct web_call *call)
{
	return web_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE, "out of memory");
}

ngx_uint_t web_fail_store(struct web_call *call, cop_err err)
{
	const char *reason = cop_last_error();

	if (!*reason)
		reason = cop_strerror(err);
	switch (err) {
	case COP_INVALID:
	case COP_BAD_KEY:
	case COP_BAD_VECTOR:
	case COP_BAD_TEXT:
	case COP_TOO_LARGE:
	case COP_DANGLING:
	case COP_NO_NAME:
		return web_fail(call, NGX_HTTP_BAD_REQUEST, "%s", reason);
	default: break;
	}
	ngx_log_error(NGX_LOG_ERR, call->request->connection->log, 0,
		      "coppice: %s", reason);
	return web_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE, "%s", reason);
}

ngx_int_t web_send(struct web_call *call, ngx_uint_t status)
{
	ngx_http_request_t *request = call->request;
	ngx_chain_t chain = {NULL, NULL};
	ngx_buf_t *buf = ngx_calloc_buf(call->pool);
	ngx_int_t rc;

	if (!buf || call->out.is_lost)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	request->headers_out.status = status;
	request->headers_out.content_length_n = (off_t)call->out.size;
	ngx_str_set(&request->headers_out.content_type, "application/json");
	request->headers_out.content_type_len =
	    request->headers_out.content_type.len;
	rc = ngx_http_send_header(request);
	if (rc == NGX_ERROR || rc > NGX_OK || request->header_only)
		return rc;
	buf->pos = call->out.data;
	buf->last = buf->pos + call->out.size;
	buf->temporary = 1;
	buf->last_buf = request == request->main;
	buf->last_in_chain = 1;
	chain.buf = buf;
	return ngx_http_output_filter(request, &chain);
}

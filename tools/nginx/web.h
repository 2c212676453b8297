/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the module share.
 *
 * A function that returns a status returns 0, or an HTTP status of 400 or more
 * after it has written the reason into the answer, which is then complete.
 */
#ifndef NGINX_WEB_H
#define NGINX_WEB_H

#include "coppice.h"

#include <jansson.h>
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

/* JSON as it is written, in a pool's memory. */
struct web_text {
	ngx_pool_t *pool;
	u_char *data;
	size_t size;
	size_t room;
	ngx_uint_t is_lost; /* there was no memory for all of it */
};

/* A request on its way to its answer. */
struct web_call {
	ngx_http_request_t *request;
	ngx_pool_t *pool; /* the request's */
	cop_store *store;
	cop_read *read; /* NULL where the endpoint does not read */
	struct web_text out;
};

/* ---- endpoints: entity.c, search.c, add.c ------------------------------- */

/* Each writes an answer and returns its HTTP status. */
ngx_uint_t web_entity(struct web_call *call);
ngx_uint_t web_search(struct web_call *call);
ngx_uint_t web_add(struct web_call *call);

/*
 * A query made of words; words.c.
 * vector	cop_dim() floats in the request's pool, or NULL: there is no
 *		entity of such a name
 */
ngx_uint_t web_words_query(struct web_call *call, const ngx_str_t *text,
			   const float **vector);

/* ---- what is asked: ask.c ----------------------------------------------- */

/*
 * An argument of the request's line, decoded; data is NULL if there is none,
 * else it ends in NUL and may have others before.
 */
ngx_uint_t web_arg(struct web_call *call, const char *name, ngx_str_t *out);

/* The request's body, an object; json_decref(*root) when done. */
ngx_uint_t web_body(struct web_call *call, json_t **root);

/* A member that is a string; NULL if it is absent or null. */
ngx_uint_t web_member(struct web_call *call, const json_t *object,
		      const char *name, const char **text, size_t *size);

/* A member that is a list; NULL if it is absent or null. */
ngx_uint_t web_member_list(struct web_call *call, const json_t *object,
			   const char *name, const json_t **list);

/* The member "vector"; NULL if it is absent or null. */
ngx_uint_t web_member_vector(struct web_call *call, const json_t *object,
			     const float **vector, size_t *count);

/* ---- the answer: answer.c ----------------------------------------------- */

/* The answer becomes {"error":"..."}; returns `status`. */
ngx_uint_t web_fail(struct web_call *call, ngx_uint_t status,
		    const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what coppice's last call returned, with its reason. */
ngx_uint_t web_fail_store(struct web_call *call, cop_err err);
ngx_uint_t web_fail_memory(struct web_call *call);

ngx_int_t web_send(struct web_call *call, ngx_uint_t status);

/* ---- writing JSON: text.c ----------------------------------------------- */

void web_words(struct web_text *text, const char *words);
/* In quotes; a byte that is not UTF-8 becomes U+FFFD. */
void web_string(struct web_text *text, const void *data, size_t size);
/* With the digits that bring it back. */
void web_double(struct web_text *text, double value);
cop_err web_value(struct web_text *text, const struct cop_value *value);
/* The name of a number, null for 0. */
cop_err web_name(struct web_text *text, cop_read *read, uint32_t name);
cop_err web_key(struct web_text *text, cop_read *read, uint64_t id);
/* `{...}`: those properties that hold at all times. */
cop_err web_properties(struct web_text *text, cop_read *read,
		       const struct cop_entity *entity);

/* Whether something holds at all times. */
int web_is_always(const struct cop_validity *valid);

#endif

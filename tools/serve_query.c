/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_query: parameters of a request, and how a refusal is said.
 *
 * idea
 *	Whatever comes is refused in words or taken as it is; the HTTP library
 *	has decoded it, and a broken %-sequence stands for itself.
 */
#include "json.h"
#include "serve.h"
#include "words.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_BYTES = 120 };

void reply_fail(struct reply *reply, unsigned status, const char *format, ...)
{
	char text[SERVE_WORDS];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	json_decref(reply->body);
	free(reply->text);
	reply->text = NULL;
	reply->status = status;
	reply->body = json_object();
	if (reply->body &&
	    json_member(reply->body, "error", json_text(text, strlen(text)))) {
		json_decref(reply->body);
		reply->body = NULL;
	}
}

const char *query_text(struct MHD_Connection *asked, const char *name,
		       struct reply *reply)
{
	const char *value = NULL;
	size_t size = 0;

	if (MHD_lookup_connection_value_n(asked, MHD_GET_ARGUMENT_KIND, name,
					  strlen(name), &value,
					  &size) != MHD_YES ||
	    !value)
		return NULL;
	if (strlen(value) == size)
		return value;
	reply_fail(reply, MHD_HTTP_BAD_REQUEST, "%s has a NUL in it", name);
	return NULL;
}

int query_number(struct MHD_Connection *asked, const char *name, uint32_t min,
		 uint32_t max, uint32_t *out, struct reply *reply)
{
	const char *text = query_text(asked, name, reply);
	uint64_t number;

	if (!text)
		return reply->status ? -1 : 0;
	if (words_u64(text, 10, &number) || number < min || number > max) {
		reply_fail(reply, MHD_HTTP_BAD_REQUEST,
			   "%s takes a whole number from %u to %u", name, min,
			   max);
		return -1;
	}
	*out = (uint32_t)number;
	return 0;
}

cop_err query_entity(cop_read *read, struct MHD_Connection *asked,
		     const char *name, uint64_t *id, struct reply *reply)
{
	const char *key = NULL;
	size_t size = 0;
	cop_err err;

	*id = 0;
	if (MHD_lookup_connection_value_n(asked, MHD_GET_ARGUMENT_KIND, name,
					  strlen(name), &key,
					  &size) != MHD_YES ||
	    !key || !size || size > COP_KEY_BYTES) {
		reply_fail(reply, MHD_HTTP_BAD_REQUEST,
			   "%s takes a key, of 1 to %d bytes", name,
			   COP_KEY_BYTES);
		return 0;
	}
	err = cop_lookup(read, key, size, id);
	if (!err && !*id)
		reply_fail(reply, MHD_HTTP_NOT_FOUND,
			   "there is no entity '%.*s'", (int)size, key);
	return err;
}

/* The property "name", or how the content begins. */
static cop_err label_json(cop_read *read, const struct cop_entity *entity,
			  json_t **out)
{
	char begin[LABEL_BYTES + 4]; /* a character may begin at the end */
	struct cop_value value;
	size_t size = 0;
	int found = 0;
	cop_err err =
	    cop_entity_property(read, entity, "name", 4, &found, &value);

	if (!err && found && value.kind == COP_STRING && value.count)
		*out = json_text(value.data, words_cut(value.data, value.count,
						       LABEL_BYTES));
	else if (!err) {
		err = cop_content_read(read, entity, 0, begin, sizeof begin,
				       &size);
		if (!err)
			*out = json_text(begin,
					 words_cut(begin, size, LABEL_BYTES));
	}
	return err;
}

cop_err entity_brief(cop_read *read, uint64_t id, json_t **out)
{
	json_t *object = json_object(), *part = NULL;
	struct cop_entity entity = {.id = 0};
	cop_err err = json_key(object, "key", read, id);

	if (!err)
		err = cop_get_id(read, id, &entity);
	if (!err && entity.id)
		err = json_name(read, entity.type, &part);
	if (!err && entity.id)
		err = json_member(object, "type", part);
	if (!err && entity.id)
		err = label_json(read, &entity, &part);
	if (!err && entity.id)
		err = json_member(object, "label", part);
	if (err)
		json_decref(object);
	else
		*out = object;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is open, and how long: stores, reads and writes alike.
 */
#include "binding.h"

#include <stdlib.h>

/* Tells objects of this addon's from all others. */
static const napi_type_tag object_tag = {0x7c1a8e0d5b3f4296,
					 0x93d1f5527ae06b48};

/* Ends it if that is wished and nothing uses it, frees it if it was dropped. */
static void object_settle(struct js_object *object)
{
	struct js_object *owner = object->owner;

	if (object->users)
		return;
	if (object->is_closing && !object->is_ended) {
		object->is_ended = 1;
		object->end(object);
		object->owner = NULL;
		if (owner)
			js_object_leave(owner);
	}
	if (object->is_dropped)
		free(object);
}

static void object_drop(struct js_object *object)
{
	object->is_closing = 1;
	object->is_dropped = 1;
	object_settle(object);
}

static void object_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	object_drop(data);
}

napi_value js_object_wrap(napi_env env, struct js_object *object)
{
	napi_value value = NULL;

	if (object->owner)
		js_object_use(object->owner);
	if (!js_failed(env, napi_create_object(env, &value)) &&
	    !js_failed(env, napi_type_tag_object(env, value, &object_tag)) &&
	    !js_failed(env, napi_wrap(env, value, object, object_finalize, NULL,
				      NULL)))
		return value;
	object_drop(object);
	return NULL;
}

/* The object of a value; NULL with an exception. */
static struct js_object *object_from(napi_env env, napi_value value,
				     unsigned kinds)
{
	napi_valuetype type = napi_undefined;
	bool is_ours = false;
	void *found = NULL;

	if (js_failed(env, napi_typeof(env, value, &type)))
		return NULL;
	if (type == napi_object &&
	    js_failed(env, napi_check_object_type_tag(env, value, &object_tag,
						      &is_ours)))
		return NULL;
	if (is_ours && js_failed(env, napi_unwrap(env, value, &found)))
		return NULL;
	if (found && ((struct js_object *)found)->kind & kinds)
		return found;
	js_throw_type(env, "the first argument",
		      kinds & JS_WRITE	? "a write of coppice"
		      : kinds & JS_READ ? "a store or snapshot of coppice"
					: "a store of coppice");
	return NULL;
}

struct js_object *js_object_enter(napi_env env, napi_value value,
				  unsigned kinds)
{
	struct js_object *object = object_from(env, value, kinds);

	if (!object)
		return NULL;
	if (object->is_closing) {
		js_throw_own(env, JS_CLOSED,
			     object->kind == JS_STORE ? "the store is closed"
			     : object->kind == JS_READ
				 ? "the snapshot is closed"
				 : "the write has ended");
		return NULL;
	}
	if (object->users && object->kind != JS_STORE) {
		js_throw_own(env, JS_IN_USE,
			     object->kind == JS_READ
				 ? "a search of this snapshot is under way: "
				   "await it first, or take another snapshot"
				 : "the commit of this write is under way: "
				   "await it first");
		return NULL;
	}
	js_object_use(object);
	return object;
}

void js_object_use(struct js_object *object)
{
	object->users++;
}

void js_object_leave(struct js_object *object)
{
	object->users--;
	object_settle(object);
}

struct js_store *js_store_of(struct js_object *object)
{
	return (struct js_store *)(object->kind == JS_STORE ? object
							    : object->owner);
}

napi_value js_close(napi_env env, napi_callback_info info)
{
	struct js_object *object;
	napi_value value;

	if (js_arguments(env, info, 1, &value))
		return NULL;
	object = object_from(env, value, JS_STORE | JS_READ | JS_WRITE);
	if (object) {
		object->is_closing = 1;
		object_settle(object);
	}
	return NULL;
}

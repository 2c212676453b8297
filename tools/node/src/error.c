/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: the library's are instances of the class CoppiceError, which index.js
 * has; wrong types and numbers are what Node.js itself throws for them.
 */
#include "binding.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct js_instance {
	napi_ref error_class; /* NULL: none yet */
};

/* ---- an instance -------------------------------------------------------- */

static void instance_destroy(napi_env env, void *data, void *hint)
{
	struct js_instance *instance = data;

	(void)hint;
	if (instance->error_class)
		napi_delete_reference(env, instance->error_class);
	free(instance);
}

int js_instance_make(napi_env env)
{
	struct js_instance *instance = calloc(1, sizeof *instance);

	if (!instance) {
		js_throw_own(env, ENOMEM, "no memory for an instance");
		return -1;
	}
	if (!js_failed(env, napi_set_instance_data(env, instance,
						   instance_destroy, NULL)))
		return 0;
	free(instance);
	return -1;
}

napi_value js_setup(napi_env env, napi_callback_info info)
{
	struct js_instance *instance = NULL;
	napi_value given;
	napi_valuetype type = napi_undefined;

	if (js_arguments(env, info, 1, &given) ||
	    js_failed(env, napi_typeof(env, given, &type)) ||
	    js_failed(env, napi_get_instance_data(env, (void **)&instance)))
		return NULL;
	if (type != napi_function)
		return js_throw_type(env, "what errors are made of", "a class");
	if (instance->error_class)
		js_failed(env,
			  napi_delete_reference(env, instance->error_class));
	instance->error_class = NULL;
	js_failed(env,
		  napi_create_reference(env, given, 1, &instance->error_class));
	return NULL;
}

/* ---- errors ------------------------------------------------------------- */

int js_failed(napi_env env, napi_status status)
{
	const napi_extended_error_info *info = NULL;
	const char *text = NULL;
	bool is_pending = false;

	if (status == napi_ok)
		return 0;
	if (napi_get_last_error_info(env, &info) == napi_ok && info)
		text = info->error_message;
	if (napi_is_exception_pending(env, &is_pending) == napi_ok &&
	    !is_pending)
		napi_throw_error(env, NULL, text ? text : "Node-API failed");
	return 1;
}

/* Before there is a class, and should it be none: a plain Error. */
static napi_value error_plain(napi_env env, napi_value text)
{
	napi_value error = NULL;

	return js_failed(env, napi_create_error(env, NULL, text, &error))
		   ? NULL
		   : error;
}

napi_value js_error_make(napi_env env, int32_t number, const char *text,
			 uint32_t operation)
{
	struct js_instance *instance = NULL;
	napi_value type = NULL;
	napi_value error = NULL;
	napi_value given[3];

	if (js_failed(env, napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH,
						   &given[0])) ||
	    js_failed(env, napi_create_int32(env, number, &given[1])) ||
	    js_failed(env, napi_get_undefined(env, &given[2])) ||
	    js_failed(env, napi_get_instance_data(env, (void **)&instance)))
		return NULL;
	if (operation != JS_NO_OPERATION &&
	    js_failed(env, napi_create_uint32(env, operation, &given[2])))
		return NULL;
	if (!instance || !instance->error_class)
		return error_plain(env, given[0]);
	if (js_failed(env, napi_get_reference_value(env, instance->error_class,
						    &type)) ||
	    js_failed(env, napi_new_instance(env, type, 3, given, &error)))
		return NULL;
	return error;
}

napi_value js_throw_own(napi_env env, int32_t number, const char *text)
{
	napi_value error = js_error_make(env, number, text, JS_NO_OPERATION);

	if (error)
		napi_throw(env, error);
	return NULL;
}

napi_value js_throw(napi_env env, cop_err err)
{
	const char *text = cop_last_error();
	bool is_pending = false;

	/* of a callback, which the call was stopped or misled by */
	if (napi_is_exception_pending(env, &is_pending) != napi_ok ||
	    is_pending)
		return NULL;
	return js_throw_own(env, err, text[0] ? text : cop_strerror(err));
}

napi_value js_throw_type(napi_env env, const char *what, const char *wanted)
{
	char text[256];

	snprintf(text, sizeof text, "%s: %s is wanted", what, wanted);
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
	return NULL;
}

napi_value js_throw_range(napi_env env, const char *what, const char *wanted)
{
	char text[256];

	snprintf(text, sizeof text, "%s: %s is wanted", what, wanted);
	napi_throw_range_error(env, "ERR_OUT_OF_RANGE", text);
	return NULL;
}

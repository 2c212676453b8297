/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a caller passes, as C has it.
 */
#include "binding.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAFE_MAX 9007199254740991.0 /* the largest integer of a Number */

/* ---- memory ------------------------------------------------------------- */

struct js_block {
	struct js_block *next;
	_Alignas(16) char bytes[];
};

void js_scratch_init(struct js_scratch *scratch)
{
	scratch->blocks = NULL;
	scratch->used = 0;
	scratch->values = 0;
}

void js_scratch_release(struct js_scratch *scratch)
{
	while (scratch->blocks) {
		struct js_block *block = scratch->blocks;

		scratch->blocks = block->next;
		free(block);
	}
}

void *js_scratch_get(napi_env env, struct js_scratch *scratch, size_t size)
{
	struct js_block *block;
	size_t room = sizeof scratch->room - scratch->used;
	void *found = scratch->room + scratch->used;

	if (size <= room) {
		size_t whole = (size + 15) / 16 * 16;

		scratch->used += whole < room ? whole : room;
		return found;
	}
	block = size < SIZE_MAX - sizeof *block ? malloc(sizeof *block + size)
						: NULL;
	if (!block)
		return js_throw_own(env, ENOMEM, "no memory for an argument");
	block->next = scratch->blocks;
	scratch->blocks = block;
	return block->bytes;
}

int js_arguments(napi_env env, napi_callback_info info, size_t count,
		 napi_value *out)
{
	size_t given = count;

	return js_failed(env,
			 napi_get_cb_info(env, info, &given, out, NULL, NULL))
		   ? -1
		   : 0;
}

int js_is_none(napi_env env, napi_value value)
{
	napi_valuetype type = napi_object;

	napi_typeof(env, value, &type);
	return type == napi_undefined || type == napi_null;
}

/* ---- text --------------------------------------------------------------- */

/* Half of a pair of UTF-16 has no UTF-8: Node-API puts U+FFFD for it. */
static int string_is_whole(napi_env env, napi_value value)
{
	char16_t *units;
	size_t count = 0;
	int is_whole = 1;

	if (napi_get_value_string_utf16(env, value, NULL, 0, &count))
		return 0;
	units = malloc((count + 1) * sizeof *units);
	if (!units ||
	    napi_get_value_string_utf16(env, value, units, count + 1, &count))
		is_whole = 0;
	for (size_t i = 0; is_whole && i < count; i++) {
		int leads = units[i] >= 0xd800 && units[i] < 0xdc00;

		if (leads && i + 1 < count && units[i + 1] >= 0xdc00 &&
		    units[i + 1] < 0xe000)
			i++;
		else
			is_whole = units[i] < 0xd800 || units[i] >= 0xe000;
	}
	free(units);
	return is_whole;
}

static int string_from(napi_env env, napi_value value,
		       struct js_scratch *scratch, struct js_text *out)
{
	size_t size = 0;
	char *data;

	if (js_failed(env,
		      napi_get_value_string_utf8(env, value, NULL, 0, &size)))
		return -1;
	data = js_scratch_get(env, scratch, size + 1);
	if (!data || js_failed(env, napi_get_value_string_utf8(
					env, value, data, size + 1, &size)))
		return -1;
	if (memmem(data, size, "\xef\xbf\xbd", 3) &&
	    !string_is_whole(env, value)) {
		js_throw_own(env, COP_BAD_TEXT,
			     "text with half a surrogate pair, which has no "
			     "UTF-8: cut strings between characters");
		return -1;
	}
	out->data = data;
	out->size = size;
	return 0;
}

/* The memory of a typed array of a type; 1: it is none. */
static int array_from(napi_env env, napi_value value,
		      napi_typedarray_type wanted, void **data, size_t *count,
		      int *is_shared)
{
	napi_typedarray_type type = napi_int8_array;
	napi_value buffer = NULL;
	bool is_array = false;
	bool is_private = false;
	size_t offset;

	if (napi_is_typedarray(env, value, &is_array) || !is_array ||
	    napi_get_typedarray_info(env, value, &type, count, data, &buffer,
				     &offset) ||
	    type != wanted || napi_is_arraybuffer(env, buffer, &is_private))
		return 1;
	*is_shared = !is_private;
	return 0;
}

int js_bytes_from(napi_env env, napi_value value, const char *what,
		  struct js_scratch *scratch, struct js_text *out)
{
	void *data = NULL;
	void *copy;
	size_t size = 0;
	int is_shared = 0;

	if (array_from(env, value, napi_uint8_array, &data, &size,
		       &is_shared)) {
		js_throw_type(env, what, "a string or a Uint8Array");
		return -1;
	}
	if (is_shared) {
		copy = js_scratch_get(env, scratch, size);
		if (!copy)
			return -1;
		data = size ? memcpy(copy, data, size) : copy;
	}
	out->data = data ? data : "";
	out->size = size;
	return 0;
}

int js_text_from(napi_env env, napi_value value, const char *what,
		 struct js_scratch *scratch, struct js_text *out)
{
	napi_valuetype type = napi_undefined;
	char *copy;

	if (js_failed(env, napi_typeof(env, value, &type)))
		return -1;
	if (type == napi_string)
		return string_from(env, value, scratch, out);
	if (js_bytes_from(env, value, what, scratch, out))
		return -1;
	if (out->size > COP_PROPERTY_BYTES) {
		js_throw_own(env, COP_TOO_LARGE, "a text of over 16 MiB");
		return -1;
	}
	copy = js_scratch_get(env, scratch, out->size + 1);
	if (!copy)
		return -1;
	memcpy(copy, out->data, out->size);
	copy[out->size] = 0;
	out->data = copy;
	return 0;
}

int js_text_or_none_from(napi_env env, napi_value value, const char *what,
			 struct js_scratch *scratch, struct js_text *out)
{
	if (!js_is_none(env, value))
		return js_text_from(env, value, what, scratch, out);
	*out = (struct js_text){NULL, 0};
	return 0;
}

int js_name_from(napi_env env, napi_value value, const char *what,
		 struct js_scratch *scratch, const char **out)
{
	struct js_text text;

	if (js_text_from(env, value, what, scratch, &text))
		return -1;
	if (memchr(text.data, 0, text.size)) {
		js_throw_own(env, COP_BAD_TEXT,
			     "a name with a NUL in it: types, relations, tags "
			     "and paths have none");
		return -1;
	}
	*out = text.data;
	return 0;
}

int js_name_or_none_from(napi_env env, napi_value value, const char *what,
			 struct js_scratch *scratch, const char **out)
{
	*out = NULL;
	return js_is_none(env, value)
		   ? 0
		   : js_name_from(env, value, what, scratch, out);
}

int js_names_from(napi_env env, napi_value value, const char *what,
		  struct js_scratch *scratch, const char *const **out,
		  uint32_t *count)
{
	const char **names;
	bool is_array = false;
	uint32_t length = 0;

	*out = NULL;
	*count = 0;
	if (js_is_none(env, value))
		return 0;
	if (js_failed(env, napi_is_array(env, value, &is_array)))
		return -1;
	if (!is_array) {
		js_throw_type(env, what, "an array of strings");
		return -1;
	}
	if (js_failed(env, napi_get_array_length(env, value, &length)))
		return -1;
	if (length > COP_TAG_COUNT) {
		js_throw_own(env, COP_TOO_LARGE, "over 10,000 tags");
		return -1;
	}
	names = js_scratch_get(env, scratch, length * sizeof *names);
	if (!names)
		return -1;
	for (uint32_t i = 0; i < length; i++) {
		napi_value item;

		if (js_failed(env, napi_get_element(env, value, i, &item)) ||
		    js_name_from(env, item, what, scratch, &names[i]))
			return -1;
	}
	*out = names;
	*count = length;
	return 0;
}

/* ---- numbers ------------------------------------------------------------ */

int js_double_from(napi_env env, napi_value value, const char *what,
		   double *out)
{
	napi_valuetype type = napi_undefined;

	if (js_failed(env, napi_typeof(env, value, &type)))
		return -1;
	if (type != napi_number) {
		js_throw_type(env, what, "a number");
		return -1;
	}
	return js_failed(env, napi_get_value_double(env, value, out)) ? -1 : 0;
}

static int whole_from(napi_env env, napi_value value, const char *what,
		      double least, double most, double *out)
{
	if (js_double_from(env, value, what, out))
		return -1;
	if (*out >= least && *out <= most && *out == floor(*out))
		return 0;
	js_throw_range(env, what,
		       least < 0 ? "a whole number of 32 bits"
		       : most > UINT32_MAX
			   ? "a whole number, 0 to 9007199254740991,"
			   : "a whole number, 0 to 4294967295,");
	return -1;
}

int js_i32_from(napi_env env, napi_value value, const char *what, int32_t *out)
{
	double number;

	if (whole_from(env, value, what, INT32_MIN, INT32_MAX, &number))
		return -1;
	*out = (int32_t)number;
	return 0;
}

int js_u32_from(napi_env env, napi_value value, const char *what, uint32_t *out)
{
	double number;

	if (whole_from(env, value, what, 0, UINT32_MAX, &number))
		return -1;
	*out = (uint32_t)number;
	return 0;
}

int js_u64_from(napi_env env, napi_value value, const char *what, uint64_t *out)
{
	double number;

	if (whole_from(env, value, what, 0, SAFE_MAX, &number))
		return -1;
	*out = (uint64_t)number;
	return 0;
}

int js_instant_from(napi_env env, napi_value value, const char *what, int edge,
		    struct cop_instant *out)
{
	double most = 8.64e15; /* as of a Date */
	double ms, seconds;

	if (js_double_from(env, value, what, &ms))
		return -1;
	if (edge && isinf(ms)) {
		*out =
		    (struct cop_instant){ms < 0 ? INT64_MIN : INT64_MAX, 0, 0};
		return 0;
	}
	if (!(ms >= -most && ms <= most)) {
		js_throw_range(env, what, "a time that a Date can have");
		return -1;
	}
	seconds = floor(ms / 1000);
	*out = (struct cop_instant){(int64_t)seconds,
				    (uint32_t)((ms - seconds * 1000) * 1e6), 0};
	if (out->nanos > 999999999)
		out->nanos = 999999999;
	return 0;
}

/* ---- vectors ------------------------------------------------------------ */

int js_floats_copy(napi_env env, struct js_scratch *scratch,
		   struct js_floats *floats)
{
	float *copy =
	    js_scratch_get(env, scratch, floats->count * sizeof *copy);

	if (!copy)
		return -1;
	if (floats->count)
		memcpy(copy, floats->data, floats->count * sizeof *copy);
	floats->data = copy;
	return 0;
}

int js_floats_from(napi_env env, napi_value value, const char *what,
		   struct js_scratch *scratch, struct js_floats *out)
{
	void *data = NULL;
	size_t count = 0;
	int is_shared = 0;

	if (array_from(env, value, napi_float32_array, &data, &count,
		       &is_shared)) {
		js_throw_type(env, what, "a Float32Array");
		return -1;
	}
	out->data = data;
	out->count = count;
	return is_shared ? js_floats_copy(env, scratch, out) : 0;
}

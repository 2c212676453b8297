/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JavaScript's values as coppice's, and back.
 *
 *	null			null
 *	boolean			boolean
 *	number			an integer if it is a safe one, else a float
 *	bigint			an integer; comes back so if it is no safe one
 *	string			text; what is not UTF-8 comes back as a Buffer
 *	array			a list, undefined in it is null
 *	plain object		a map; members that are undefined are left out
 *
 * Objects of classes are refused, as what they stand for would be lost.
 */
#include "binding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAFE_MAX 9007199254740991 /* the largest integer of a Number */

/* ---- text, out ---------------------------------------------------------- */

/* Bytes of the character at `at`, 0 if it is not UTF-8 (Unicode, table 3-7). */
static size_t character_bytes(const unsigned char *at, size_t left)
{
	size_t size = at[0] < 0xc2   ? 0
		      : at[0] < 0xe0 ? 2
		      : at[0] < 0xf0 ? 3
				     : 4;

	if (!size || size > left || at[0] > 0xf4)
		return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) ||
	    (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

static size_t ascii_bytes(const unsigned char *at, size_t size)
{
	size_t i = 0;

	while (i < size && at[i] < 0x80)
		i++;
	return i;
}

napi_value js_text_to(napi_env env, const void *data, size_t size)
{
	const unsigned char *at = data ? data : (const void *)"";
	size_t start = ascii_bytes(at, size);
	napi_value text = NULL;
	size_t i = start;

	if (start == size)
		return js_failed(env, napi_create_string_latin1(
					  env, (const char *)at, size, &text))
			   ? NULL
			   : text;
	while (i < size) {
		size_t next =
		    at[i] < 0x80 ? 1 : character_bytes(at + i, size - i);

		if (!next)
			return js_failed(env, napi_create_buffer_copy(
						  env, size, at, NULL, &text))
				   ? NULL
				   : text;
		i += next;
	}
	return js_failed(env, napi_create_string_utf8(env, (const char *)at,
						      size, &text))
		   ? NULL
		   : text;
}

napi_value js_name_to(napi_env env, cop_read *read, uint32_t name)
{
	napi_value null = NULL;
	const char *text = NULL;
	size_t size = 0;
	cop_err err;

	if (!name) {
		js_failed(env, napi_get_null(env, &null));
		return null;
	}
	err = cop_name(read, name, &text, &size);
	return err ? js_throw(env, err) : js_text_to(env, text, size);
}

/* ---- numbers, out ------------------------------------------------------- */

napi_value js_u64_to(napi_env env, uint64_t number)
{
	napi_value value = NULL;

	return js_failed(env, napi_create_double(env, (double)number, &value))
		   ? NULL
		   : value;
}

static napi_value integer_to(napi_env env, int64_t number)
{
	int is_safe = number >= -SAFE_MAX && number <= SAFE_MAX;
	napi_value value = NULL;

	return js_failed(
		   env, is_safe ? napi_create_int64(env, number, &value)
				: napi_create_bigint_int64(env, number, &value))
		   ? NULL
		   : value;
}

napi_value js_numbers_make(napi_env env, size_t count, double **out)
{
	napi_value buffer, numbers;
	void *data = NULL;

	if (js_failed(env, napi_create_arraybuffer(env, count * sizeof **out,
						   &data, &buffer)) ||
	    js_failed(env, napi_create_typedarray(env, napi_float64_array,
						  count, buffer, 0, &numbers)))
		return NULL;
	*out = data;
	return numbers;
}

/* ---- values, out -------------------------------------------------------- */

int js_item_set(napi_env env, napi_value array, size_t index, napi_value item)
{
	return item && !js_failed(env, napi_set_element(env, array,
							(uint32_t)index, item))
		   ? 0
		   : -1;
}

int js_member_set(napi_env env, napi_value object, const char *name,
		  napi_value value)
{
	return value && !js_failed(env, napi_set_named_property(env, object,
								name, value))
		   ? 0
		   : -1;
}

static napi_value value_to(napi_env env, const struct cop_value *value);

static napi_value list_to(napi_env env, const struct cop_value *value)
{
	napi_value list;
	int err = 0;

	if (js_failed(env,
		      napi_create_array_with_length(env, value->count, &list)))
		return NULL;
	for (uint32_t i = 0; !err && i < value->count; i++) {
		struct cop_value member;
		napi_handle_scope scope;
		cop_err bad = cop_value_item(value, i, NULL, NULL, &member);

		if (bad)
			return js_throw(env, bad);
		if (js_failed(env, napi_open_handle_scope(env, &scope)))
			return NULL;
		err = js_item_set(env, list, i, value_to(env, &member));
		napi_close_handle_scope(env, scope);
	}
	return err ? NULL : list;
}

/*
 * Of several of one name, at different times, the first stays.  A member
 * "__proto__" must be defined: set, it would be something else.
 */
static int member_add(napi_env env, napi_value object, const char *name,
		      size_t size, const struct cop_value *value)
{
	napi_property_descriptor member = {.attributes =
					       napi_default_jsproperty};
	napi_handle_scope scope;
	bool is_there = false;
	int err = -1;

	if (js_failed(env, napi_open_handle_scope(env, &scope)))
		return -1;
	member.name = js_text_to(env, name, size);
	if (member.name &&
	    !js_failed(env, napi_has_own_property(env, object, member.name,
						  &is_there))) {
		member.value = is_there ? NULL : value_to(env, value);
		if (is_there)
			err = 0;
		else if (member.value && size == 9 &&
			 !memcmp(name, "__proto__", 9))
			err = js_failed(env, napi_define_properties(
						 env, object, 1, &member));
		else if (member.value)
			err = js_failed(env, napi_set_property(env, object,
							       member.name,
							       member.value));
	}
	napi_close_handle_scope(env, scope);
	return err;
}

static napi_value map_to(napi_env env, const struct cop_value *value)
{
	napi_value object;

	if (js_failed(env, napi_create_object(env, &object)))
		return NULL;
	for (uint32_t i = 0; i < value->count; i++) {
		struct cop_value member;
		const char *name;
		size_t size;
		cop_err err = cop_value_item(value, i, &name, &size, &member);

		if (err)
			return js_throw(env, err);
		if (member_add(env, object, name, size, &member))
			return NULL;
	}
	return object;
}

/* Lists and maps are at most COP_NESTING deep. */
static napi_value value_to(napi_env env, const struct cop_value *value)
{
	napi_value made = NULL;

	switch (value->kind) {
	case COP_BOOL:
		js_failed(env, napi_get_boolean(env, value->integer, &made));
		return made;
	case COP_INT: return integer_to(env, value->integer);
	case COP_FLOAT:
		js_failed(env, napi_create_double(env, value->real, &made));
		return made;
	case COP_STRING: return js_text_to(env, value->data, value->count);
	case COP_LIST: return list_to(env, value);
	case COP_MAP: return map_to(env, value);
	default: js_failed(env, napi_get_null(env, &made)); return made;
	}
}

napi_value js_properties_to(napi_env env, cop_read *read, const void *of,
			    uint32_t count, js_property_at *at)
{
	napi_value object;

	if (js_failed(env, napi_create_object(env, &object)))
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		struct cop_value value;
		const char *name;
		size_t size;
		cop_err err = at(read, of, i, &name, &size, &value);

		if (err)
			return js_throw(env, err);
		if (member_add(env, object, name, size, &value))
			return NULL;
	}
	return object;
}

/* ---- values, in --------------------------------------------------------- */

static int value_from(napi_env env, napi_value value,
		      struct js_scratch *scratch, int depth,
		      struct cop_value *out);

/* What can never be put is not gathered first. */
static int room_holds(napi_env env, struct js_scratch *scratch, size_t more)
{
	scratch->values += more;
	if (scratch->values <= COP_PROPERTY_BYTES)
		return 1;
	js_throw_own(env, COP_TOO_LARGE,
		     "properties of over 16 MiB; content may be larger");
	return 0;
}

static int string_from(napi_env env, napi_value value,
		       struct js_scratch *scratch, struct cop_value *out)
{
	struct js_text text;
	size_t size = 0;

	if (js_failed(env,
		      napi_get_value_string_utf8(env, value, NULL, 0, &size)) ||
	    !room_holds(env, scratch, size) ||
	    js_text_from(env, value, "a property", scratch, &text))
		return -1;
	out->kind = COP_STRING;
	out->count = (uint32_t)text.size;
	out->data = text.data;
	return 0;
}

static int number_from(napi_env env, napi_value value, struct cop_value *out)
{
	double number;

	if (js_failed(env, napi_get_value_double(env, value, &number)))
		return -1;
	out->kind = COP_FLOAT;
	out->real = number;
	if (fabs(number) <= SAFE_MAX && number == floor(number) &&
	    !(number == 0 && signbit(number))) {
		out->kind = COP_INT;
		out->integer = (int64_t)number;
	}
	return 0;
}

static int bigint_from(napi_env env, napi_value value, struct cop_value *out)
{
	bool is_whole = false;

	if (js_failed(env, napi_get_value_bigint_int64(
			       env, value, &out->integer, &is_whole)))
		return -1;
	out->kind = COP_INT;
	if (is_whole)
		return 0;
	js_throw_range(env, "a property", "a bigint of 64 bits");
	return -1;
}

static int items_from(napi_env env, napi_value array,
		      struct js_scratch *scratch, int depth,
		      struct cop_value *out)
{
	struct cop_value *items;
	uint32_t count = 0;
	int err = 0;

	if (js_failed(env, napi_get_array_length(env, array, &count)) ||
	    !room_holds(env, scratch, count))
		return -1;
	items = js_scratch_get(env, scratch, count * sizeof *items);
	if (!items)
		return -1;
	for (uint32_t i = 0; !err && i < count; i++) {
		napi_handle_scope scope;
		napi_value item;

		if (js_failed(env, napi_open_handle_scope(env, &scope)))
			return -1;
		err = js_failed(env, napi_get_element(env, array, i, &item)) ||
		      value_from(env, item, scratch, depth + 1, &items[i]);
		napi_close_handle_scope(env, scope);
	}
	out->kind = COP_LIST;
	out->count = count;
	out->data = items;
	return err ? -1 : 0;
}

/* 1: {}, or of a class that is made of nothing else; -1 with an exception. */
static int object_is_plain(napi_env env, napi_value object)
{
	napi_valuetype type = napi_null;
	napi_value above;

	if (js_failed(env, napi_get_prototype(env, object, &above)) ||
	    js_failed(env, napi_typeof(env, above, &type)))
		return -1;
	if (type != napi_object)
		return 1;
	if (js_failed(env, napi_get_prototype(env, above, &above)) ||
	    js_failed(env, napi_typeof(env, above, &type)))
		return -1;
	return type == napi_null;
}

/* One member; 0 taken, 1 undefined, -1 with an exception. */
static int member_from(napi_env env, napi_value object, napi_value name,
		       struct js_scratch *scratch, int depth,
		       struct cop_property *out)
{
	napi_valuetype type = napi_undefined;
	struct js_text text;
	napi_value value;

	if (js_failed(env, napi_get_property(env, object, name, &value)) ||
	    js_failed(env, napi_typeof(env, value, &type)))
		return -1;
	if (type == napi_undefined)
		return 1;
	if (js_text_from(env, name, "a property's name", scratch, &text) ||
	    value_from(env, value, scratch, depth + 1, &out->value))
		return -1;
	out->name = text.data;
	out->name_size = text.size;
	return 0;
}

static int members_from(napi_env env, napi_value object,
			struct js_scratch *scratch, int depth,
			struct cop_property **out, uint32_t *count)
{
	struct cop_property *members;
	uint32_t length = 0;
	napi_value names;
	int err = 0;

	*count = 0;
	if (js_failed(env, napi_get_all_property_names(
			       env, object, napi_key_own_only,
			       napi_key_enumerable | napi_key_skip_symbols,
			       napi_key_numbers_to_strings, &names)) ||
	    js_failed(env, napi_get_array_length(env, names, &length)) ||
	    !room_holds(env, scratch, length))
		return -1;
	members = js_scratch_get(env, scratch, length * sizeof *members);
	if (!members)
		return -1;
	for (uint32_t i = 0; err >= 0 && i < length; i++) {
		napi_handle_scope scope;
		napi_value name;

		if (js_failed(env, napi_open_handle_scope(env, &scope)))
			return -1;
		err = js_failed(env, napi_get_element(env, names, i, &name))
			  ? -1
			  : member_from(env, object, name, scratch, depth,
					&members[*count]);
		*count += !err;
		napi_close_handle_scope(env, scope);
	}
	*out = members;
	return err < 0 ? -1 : 0;
}

static int object_from(napi_env env, napi_value object,
		       struct js_scratch *scratch, int depth,
		       struct cop_value *out)
{
	struct cop_property *members = NULL;
	bool is_array = false;
	int is_plain;

	if (js_failed(env, napi_is_array(env, object, &is_array)))
		return -1;
	if (is_array)
		return items_from(env, object, scratch, depth, out);
	is_plain = object_is_plain(env, object);
	if (is_plain < 0)
		return -1;
	if (!is_plain) {
		js_throw_type(env, "a property",
			      "null, a boolean, number, bigint or string, or "
			      "an array or plain object of them");
		return -1;
	}
	if (members_from(env, object, scratch, depth, &members, &out->count))
		return -1;
	out->kind = COP_MAP;
	out->data = members;
	return 0;
}

static int value_from(napi_env env, napi_value value,
		      struct js_scratch *scratch, int depth,
		      struct cop_value *out)
{
	napi_valuetype type = napi_undefined;
	bool is_true = false;

	*out = (struct cop_value){.kind = COP_NULL};
	if (depth > COP_NESTING + 1) {
		js_throw_own(env, COP_TOO_LARGE,
			     "properties with arrays and objects over 32 deep, "
			     "or in a circle");
		return -1;
	}
	if (js_failed(env, napi_typeof(env, value, &type)))
		return -1;
	switch (type) {
	case napi_undefined:
	case napi_null: return 0;
	case napi_boolean:
		if (js_failed(env, napi_get_value_bool(env, value, &is_true)))
			return -1;
		out->kind = COP_BOOL;
		out->integer = is_true;
		return 0;
	case napi_number: return number_from(env, value, out);
	case napi_bigint: return bigint_from(env, value, out);
	case napi_string: return string_from(env, value, scratch, out);
	case napi_object: return object_from(env, value, scratch, depth, out);
	default:
		js_throw_type(env, "a property",
			      "null, a boolean, number, bigint or string, or "
			      "an array or plain object of them");
		return -1;
	}
}

int js_properties_from(napi_env env, napi_value value,
		       struct js_scratch *scratch, struct cop_property **out,
		       uint32_t *count)
{
	napi_valuetype type = napi_undefined;
	bool is_array = false;

	*out = NULL;
	*count = 0;
	if (js_is_none(env, value))
		return 0;
	if (js_failed(env, napi_typeof(env, value, &type)) ||
	    js_failed(env, napi_is_array(env, value, &is_array)))
		return -1;
	if (type == napi_object && !is_array && object_is_plain(env, value) > 0)
		return members_from(env, value, scratch, 0, out, count);
	js_throw_type(env, "properties", "a plain object");
	return -1;
}

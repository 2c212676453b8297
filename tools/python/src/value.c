/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python's values as coppice's, and back.
 */
#include "binding.h"

#include <string.h>

/* ---- text --------------------------------------------------------------- */

int text_from(PyObject *object, void *out)
{
	struct text *text = out;
	char *bytes;

	if (PyUnicode_Check(object)) {
		text->data = PyUnicode_AsUTF8AndSize(object, &text->size);
		return text->data != NULL;
	}
	if (PyBytes_Check(object) &&
	    !PyBytes_AsStringAndSize(object, &bytes, &text->size)) {
		text->data = bytes;
		return 1;
	}
	if (!PyErr_Occurred())
		PyErr_SetString(PyExc_TypeError, "a str or bytes is wanted");
	return 0;
}

int text_or_none_from(PyObject *object, void *out)
{
	if (object != Py_None)
		return text_from(object, out);
	*(struct text *)out = (struct text){NULL, 0};
	return 1;
}

PyObject *text_to(const void *data, size_t size)
{
	PyObject *text = PyUnicode_DecodeUTF8(data, (Py_ssize_t)size, NULL);

	if (text || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
		return text;
	PyErr_Clear();
	return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

PyObject *name_to(cop_read *read, uint32_t name)
{
	const char *text = NULL;
	size_t size = 0;
	cop_err err;

	if (!name)
		Py_RETURN_NONE;
	err = cop_name(read, name, &text, &size);
	return err ? error_raise(err) : text_to(text, size);
}

static int name_holds(const struct text *name)
{
	if (!name->data || strlen(name->data) == (size_t)name->size)
		return 1;
	PyErr_SetString(PyExc_ValueError, "a name or path with a NUL in it");
	return 0;
}

int name_from(PyObject *object, void *out)
{
	return text_from(object, out) && name_holds(out);
}

int name_or_none_from(PyObject *object, void *out)
{
	return text_or_none_from(object, out) && name_holds(out);
}

/* ---- numbers ------------------------------------------------------------ */

/* Out of their range they are refused, not cut. */
int u64_from(PyObject *object, void *out)
{
	PyObject *whole = PyNumber_Index(object);
	uint64_t number = whole ? PyLong_AsUnsignedLongLong(whole) : UINT64_MAX;

	Py_XDECREF(whole);
	if (number == UINT64_MAX && PyErr_Occurred())
		return 0;
	*(uint64_t *)out = number;
	return 1;
}

int u32_from(PyObject *object, void *out)
{
	uint64_t number;

	if (!u64_from(object, &number))
		return 0;
	if (number > UINT32_MAX) {
		PyErr_SetString(PyExc_OverflowError,
				"a number of over 32 bits");
		return 0;
	}
	*(uint32_t *)out = (uint32_t)number;
	return 1;
}

/* ---- memory ------------------------------------------------------------- */

void *scratch_get(struct scratch *scratch, size_t size)
{
	void *block = PyMem_Malloc(size ? size : 1);
	void **blocks =
	    block ? PyMem_Realloc(scratch->blocks,
				  (scratch->count + 1) * sizeof *blocks)
		  : NULL;

	if (!blocks) {
		PyMem_Free(block);
		PyErr_NoMemory();
		return NULL;
	}
	scratch->blocks = blocks;
	return scratch->blocks[scratch->count++] = block;
}

PyObject *scratch_hold(struct scratch *scratch, PyObject *object)
{
	if (object && !scratch->held)
		scratch->held = PyList_New(0);
	if (object && scratch->held && !PyList_Append(scratch->held, object)) {
		Py_DECREF(object);
		return object;
	}
	Py_XDECREF(object);
	return NULL;
}

void scratch_release(struct scratch *scratch)
{
	Py_CLEAR(scratch->held);
	for (size_t i = 0; i < scratch->count; i++)
		PyMem_Free(scratch->blocks[i]);
	PyMem_Free(scratch->blocks);
}

/* ---- values, out -------------------------------------------------------- */

static PyObject *list_to(const struct cop_value *value)
{
	PyObject *list = PyList_New(value->count);

	for (uint32_t i = 0; list && i < value->count; i++) {
		struct cop_value member;
		cop_err err = cop_value_item(value, i, NULL, NULL, &member);
		PyObject *item = err ? error_raise(err) : value_to(&member);

		if (!item || PyList_SetItem(list, i, item))
			Py_CLEAR(list);
	}
	return list;
}

/* Takes the value, if there is one. */
static int member_set(PyObject *dict, const char *name, size_t size,
		      PyObject *value)
{
	PyObject *key = value ? text_to(name, size) : NULL;
	int err = key ? PyDict_SetItem(dict, key, value) : -1;

	Py_XDECREF(key);
	Py_XDECREF(value);
	return err;
}

static PyObject *map_to(const struct cop_value *value)
{
	PyObject *dict = PyDict_New();

	for (uint32_t i = 0; dict && i < value->count; i++) {
		struct cop_value member;
		const char *name;
		size_t size;
		cop_err err = cop_value_item(value, i, &name, &size, &member);

		if (err)
			error_raise(err);
		if (err || member_set(dict, name, size, value_to(&member)))
			Py_CLEAR(dict);
	}
	return dict;
}

/* Lists and maps are at most COP_NESTING deep. */
PyObject *value_to(const struct cop_value *value)
{
	switch (value->kind) {
	case COP_BOOL: return PyBool_FromLong(value->integer != 0);
	case COP_INT: return PyLong_FromLongLong(value->integer);
	case COP_FLOAT: return PyFloat_FromDouble(value->real);
	case COP_STRING: return text_to(value->data, value->count);
	case COP_LIST: return list_to(value);
	case COP_MAP: return map_to(value);
	default: Py_RETURN_NONE;
	}
}

/* ---- values, in --------------------------------------------------------- */

static int value_from(PyObject *object, struct scratch *scratch, int depth,
		      struct cop_value *out);

static int string_from(PyObject *object, struct cop_value *out)
{
	struct text text;

	if (!text_from(object, &text))
		return -1;
	if (text.size > COP_PROPERTY_BYTES) {
		PyErr_SetString(PyExc_ValueError, "a text of over 16 MiB; "
						  "content may be larger");
		return -1;
	}
	out->kind = COP_STRING;
	out->count = (uint32_t)text.size;
	out->data = text.data;
	return 0;
}

static int integer_from(PyObject *object, struct cop_value *out)
{
	out->kind = COP_INT;
	out->integer = PyLong_AsLongLong(object);
	return out->integer == -1 && PyErr_Occurred() ? -1 : 0;
}

static int number_from(PyObject *object, struct cop_value *out)
{
	PyObject *whole;
	int err;

	if (PyLong_Check(object))
		return integer_from(object, out);
	if (!PyFloat_Check(object) && PyIndex_Check(object)) {
		whole = PyNumber_Index(object);
		err = whole ? integer_from(whole, out) : -1;
		Py_XDECREF(whole);
		return err;
	}
	out->kind = COP_FLOAT;
	out->real = PyFloat_AsDouble(object);
	return out->real == -1 && PyErr_Occurred() ? -1 : 0;
}

/*
 * Taking a member may run code of the caller's, which may change the list: a
 * tuple of what is in it now holds them all.
 */
static int items_from(PyObject *sequence, struct scratch *scratch, int depth,
		      struct cop_value *out)
{
	PyObject *now = scratch_hold(scratch, PySequence_Tuple(sequence));
	Py_ssize_t count = now ? PyTuple_Size(now) : -1;
	struct cop_value *items =
	    count < 0 ? NULL
		      : scratch_get(scratch, (size_t)count * sizeof *items);

	if (!items || count > UINT32_MAX)
		return -1;
	for (Py_ssize_t i = 0; i < count; i++)
		if (value_from(PyTuple_GetItem(now, i), scratch, depth + 1,
			       &items[i]))
			return -1;
	out->kind = COP_LIST;
	out->count = (uint32_t)count;
	out->data = items;
	return 0;
}

/* The same of a dict. */
static int members_from(PyObject *dict, struct scratch *scratch, int depth,
			struct cop_property **out, uint32_t *count)
{
	PyObject *pairs = scratch_hold(scratch, PyDict_Items(dict));
	Py_ssize_t room = pairs ? PyList_Size(pairs) : -1;
	struct cop_property *members =
	    room < 0 ? NULL
		     : scratch_get(scratch, (size_t)room * sizeof *members);

	*count = 0;
	*out = members;
	if (!members)
		return -1;
	for (Py_ssize_t i = 0; i < room; i++) {
		PyObject *pair = PyList_GetItem(pairs, i);
		struct text name;

		if (!text_from(PyTuple_GetItem(pair, 0), &name) ||
		    value_from(PyTuple_GetItem(pair, 1), scratch, depth + 1,
			       &members[i].value))
			return -1;
		members[i].name = name.data;
		members[i].name_size = (size_t)name.size;
		++*count;
	}
	return 0;
}

static int map_from(PyObject *dict, struct scratch *scratch, int depth,
		    struct cop_value *out)
{
	struct cop_property *members;
	int err = members_from(dict, scratch, depth, &members, &out->count);

	out->kind = COP_MAP;
	out->data = members;
	return err;
}

static int value_from(PyObject *object, struct scratch *scratch, int depth,
		      struct cop_value *out)
{
	*out = (struct cop_value){.kind = COP_NULL};
	if (depth > COP_NESTING + 1) {
		PyErr_SetString(PyExc_ValueError,
				"lists and dicts over 32 deep");
		return -1;
	}
	if (object == Py_None)
		return 0;
	if (PyBool_Check(object)) {
		out->kind = COP_BOOL;
		out->integer = object == Py_True;
		return 0;
	}
	if (PyUnicode_Check(object))
		return string_from(object, out);
	if (PyDict_Check(object))
		return map_from(object, scratch, depth, out);
	if (PyList_Check(object) || PyTuple_Check(object))
		return items_from(object, scratch, depth, out);
	return number_from(object, out);
}

int properties_from(PyObject *dict, struct scratch *scratch,
		    struct cop_property **out, uint32_t *count)
{
	*out = NULL;
	*count = 0;
	if (dict == Py_None)
		return 0;
	if (PyDict_Check(dict))
		return members_from(dict, scratch, 0, out, count);
	PyErr_SetString(PyExc_TypeError, "properties are a dict");
	return -1;
}

int names_from(PyObject *sequence, struct scratch *scratch,
	       const char *const **out, uint32_t *count)
{
	Py_ssize_t size = 0;
	const char **names;

	*out = NULL;
	*count = 0;
	if (sequence == Py_None)
		return 0;
	size = PyTuple_Check(sequence) ? PyTuple_Size(sequence) : -1;
	names = size < 0 ? NULL
			 : scratch_get(scratch, (size_t)size * sizeof *names);
	if (!names) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_TypeError, "a tuple is wanted");
		return -1;
	}
	for (Py_ssize_t i = 0; i < size; i++) {
		Py_ssize_t bytes = 0;

		names[i] = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(sequence, i),
						   &bytes);
		if (!names[i])
			return -1;
		if (strlen(names[i]) != (size_t)bytes) {
			PyErr_SetString(PyExc_ValueError, "a name with a NUL");
			return -1;
		}
	}
	*out = names;
	*count = (uint32_t)size;
	return 0;
}

/* ---- vectors ------------------------------------------------------------ */

/* The one letter of a format of native numbers, 0 for any other. */
static char letter_of(const Py_buffer *buffer)
{
	const char *format = buffer->format ? buffer->format : "B";

	if (*format == '@' || *format == '=' || *format == '<')
		format++;
	return format[0] && !format[1] ? format[0] : 0;
}

static void shape_take(const Py_buffer *buffer, struct floats *out)
{
	out->dimensions = buffer->ndim;
	out->rows = buffer->ndim == 2 ? (size_t)buffer->shape[0] : 1;
	out->columns = (size_t)buffer->shape[buffer->ndim - 1];
}

/* 0 taken, 1 it is no such buffer, -1 with an exception. */
static int buffer_from(PyObject *object, struct scratch *scratch,
		       struct floats *out)
{
	Py_buffer *buffer = &out->buffer;
	float *copy;
	size_t count;
	char letter;

	if (PyObject_GetBuffer(object, buffer,
			       PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)) {
		PyErr_Clear();
		return 1;
	}
	letter = letter_of(buffer);
	if ((letter != 'f' && letter != 'd') || buffer->ndim < 1 ||
	    buffer->ndim > 2) {
		PyBuffer_Release(buffer);
		return 1;
	}
	shape_take(buffer, out);
	out->data = buffer->buf;
	out->is_borrowed = letter == 'f' && !((uintptr_t)out->data % 4);
	if (out->is_borrowed)
		return 0;
	count = (size_t)(buffer->len / buffer->itemsize);
	copy = scratch_get(scratch, count * sizeof *copy);
	for (size_t i = 0; copy && i < count; i++) {
		const char *at =
		    (char *)buffer->buf + i * (size_t)buffer->itemsize;
		double wide;
		float narrow;

		memcpy(letter == 'd' ? (void *)&wide : (void *)&narrow, at,
		       (size_t)buffer->itemsize);
		copy[i] = letter == 'd' ? (float)wide : narrow;
	}
	PyBuffer_Release(buffer);
	out->data = copy;
	return copy ? 0 : -1;
}

/* The numbers of one row, whose count is known. */
static int row_from(PyObject *sequence, size_t count, float *out)
{
	for (size_t i = 0; i < count; i++) {
		PyObject *item = PySequence_GetItem(sequence, (Py_ssize_t)i);
		double number = item ? PyFloat_AsDouble(item) : -1;

		Py_XDECREF(item);
		if (number == -1 && PyErr_Occurred())
			return -1;
		out[i] = (float)number;
	}
	return 0;
}

static int is_row(PyObject *object)
{
	return PySequence_Check(object) && !PyUnicode_Check(object) &&
	       !PyBytes_Check(object);
}

/* A sequence of numbers, or of such sequences, which are equally long. */
static int sequence_from(PyObject *object, struct scratch *scratch,
			 struct floats *out)
{
	Py_ssize_t size = is_row(object) ? PySequence_Size(object) : -1;
	PyObject *first = size > 0 ? PySequence_GetItem(object, 0) : NULL;
	Py_ssize_t columns =
	    first && is_row(first) ? PySequence_Size(first) : size;
	int is_matrix = first && is_row(first);
	size_t rows = is_matrix ? (size_t)size : 1;
	float *copy;

	Py_XDECREF(first);
	if (columns > COP_DIM_MAX ||
	    (is_matrix && size > PY_SSIZE_T_MAX / (COP_DIM_MAX * 4))) {
		PyErr_SetString(PyExc_ValueError,
				"a vector has 4,096 numbers at most");
		return -1;
	}
	if (size < 0 || columns < 0) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_TypeError,
					"a vector is an array of float32 or a "
					"sequence of numbers");
		return -1;
	}
	copy = scratch_get(scratch, rows * (size_t)columns * sizeof *copy);
	if (!copy)
		return -1;
	out->data = copy;
	out->dimensions = is_matrix ? 2 : 1;
	out->rows = rows;
	out->columns = (size_t)columns;
	if (!is_matrix)
		return row_from(object, out->columns, copy);
	for (size_t i = 0; i < rows; i++) {
		PyObject *row = PySequence_GetItem(object, (Py_ssize_t)i);
		Py_ssize_t width = row ? PySequence_Size(row) : -1;
		int err = width < 0 ? -1 : 0;

		if (!err && width != columns) {
			PyErr_SetString(PyExc_ValueError,
					"rows of different lengths");
			err = -1;
		}
		if (!err)
			err = row_from(row, out->columns,
				       copy + i * out->columns);
		Py_XDECREF(row);
		if (err)
			return -1;
	}
	return 0;
}

int floats_from(PyObject *object, struct scratch *scratch, struct floats *out)
{
	int taken;

	*out = (struct floats){.data = NULL};
	if (object == Py_None)
		return 0;
	taken = buffer_from(object, scratch, out);
	return taken > 0 ? sequence_from(object, scratch, out) : taken;
}

int vector_from(PyObject *object, struct scratch *scratch, struct floats *out)
{
	int err = floats_from(object, scratch, out);

	if (err || out->dimensions < 2)
		return err;
	PyErr_SetString(PyExc_ValueError,
			"a vector of two dimensions; one row of it is wanted");
	return -1;
}

void floats_release(struct floats *floats)
{
	if (floats->is_borrowed)
		PyBuffer_Release(&floats->buffer);
	floats->is_borrowed = 0;
}

/* ---- times -------------------------------------------------------------- */

int validity_from(PyObject *object, struct cop_validity *out,
		  const struct cop_validity **given)
{
	long long from, to;
	uint32_t from_nanos, to_nanos;

	*given = NULL;
	if (object == Py_None)
		return 0;
	if (!PyArg_ParseTuple(object, "LO&LO&", &from, u32_from, &from_nanos,
			      &to, u32_from, &to_nanos))
		return -1;
	*out = (struct cop_validity){{from, from_nanos, 0}, {to, to_nanos, 0}};
	*given = out;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module: its types and exceptions.
 */
#include "binding.h"

#include <stdio.h>
#include <string.h>

struct binding binding;

/* ---- errors ------------------------------------------------------------- */

/* An exception a class of errors; all are an Error, too. */
static struct kind {
	cop_err code;
	const char *name;
	PyObject **base; /* another one that it is, NULL: none */
	const char *text;
	PyObject *type;
} kinds[] = {
    {COP_INVALID, "InvalidError", &PyExc_ValueError,
     "An argument is out of its range.", NULL},
    {COP_BAD_KEY, "BadKeyError", &PyExc_ValueError,
     "A key is empty or over 480 bytes.", NULL},
    {COP_BAD_VECTOR, "BadVectorError", &PyExc_ValueError,
     "A vector of another dimension, with a NaN or an infinity, or zero where "
     "the metric is cosine.",
     NULL},
    {COP_BAD_TEXT, "BadTextError", &PyExc_ValueError,
     "Text is not UTF-8, or a name is empty.", NULL},
    {COP_TOO_LARGE, "TooLargeError", &PyExc_ValueError,
     "Something is over a limit.", NULL},
    {COP_DANGLING, "DanglingError", &PyExc_LookupError,
     "An entity that must be there is not.", NULL},
    {COP_NO_NAME, "NoNameError", &PyExc_LookupError,
     "The store has no such relation.", NULL},
    {COP_NOT_A_STORE, "NotAStoreError", NULL, "The folder is not a store.",
     NULL},
    {COP_VERSION, "VersionError", NULL,
     "The store is of a format that this library does not read.", NULL},
    {COP_CORRUPT, "CorruptError", NULL,
     "Bytes on disk or in memory make no sense.", NULL},
    {COP_NO_SPACE, "NoSpaceError", NULL,
     "The disk, shared memory or the map size is full.", NULL},
    {COP_BUSY, "BusyError", &PyExc_TimeoutError,
     "Something was not had in time.", NULL},
    {COP_MOVED, "MovedError", NULL, "The segment was replaced.", NULL},
    {COP_STALLED, "StalledError", NULL,
     "An old snapshot holds too much memory back.", NULL},
    {COP_FORKED, "ForkedError", NULL,
     "A snapshot or a write of the parent process.", NULL},
    {COP_DENIED, "DeniedError", &PyExc_PermissionError,
     "No permission for what attaching needs.", NULL},
    {COP_CONFLICT, "ConflictError", NULL,
     "Another commit came between: look again, and try again.", NULL},
    {COP_UNKNOWN, "UnknownError", NULL,
     "Whether the commit took place is not known.", NULL},
    {COP_TOO_OLD, "TooOldError", &PyExc_LookupError,
     "History is not kept that far back.", NULL},
    {COP_FOREIGN, "ForeignError", NULL,
     "Another segment serves this store now.", NULL},
    {COP_EXISTS, "ExistsError", &PyExc_FileExistsError,
     "There is something already.", NULL},
    {COP_STOPPED, "StoppedError", NULL, "It was stopped.", NULL},
    {COP_READ_ONLY, "ReadOnlyError", NULL,
     "The store's folder cannot be written.", NULL},
    {0, NULL, NULL, NULL, NULL},
};

static PyObject *error_type;

/* With the error's number as `code`. */
static PyObject *error_throw(PyObject *type, cop_err err, const char *text)
{
	PyObject *code = PyLong_FromLong(err);
	PyObject *words =
	    PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
	PyObject *error =
	    code && words ? PyObject_CallFunction(type, "O", words) : NULL;

	if (error && !PyObject_SetAttrString(error, "code", code))
		PyErr_SetObject(type, error);
	Py_XDECREF(code);
	Py_XDECREF(words);
	Py_XDECREF(error);
	return NULL;
}

PyObject *error_raise(cop_err err)
{
	const char *text = cop_last_error();

	if (PyErr_Occurred()) /* of a callback, which stopped the call */
		return NULL;
	return error_say(err, text[0] ? text : cop_strerror(err));
}

PyObject *error_say(cop_err err, const char *text)
{
	const struct kind *kind = kinds;
	PyObject *pair;

	while (kind->name && kind->code != err)
		kind++;
	if (kind->name || err < 0)
		return error_throw(kind->name ? kind->type : error_type, err,
				   text);
	pair = Py_BuildValue("is", (int)err, text);
	if (pair)
		PyErr_SetObject(PyExc_OSError, pair);
	Py_XDECREF(pair);
	return NULL;
}

static int errors_add(PyObject *module)
{
	char name[64];

	error_type = PyErr_NewExceptionWithDoc(
	    "coppice.Error",
	    "What the store could not do: what, why, and what to do about it.\n"
	    "`code` is the number of the library's error.",
	    NULL, NULL);
	if (!error_type || PyModule_AddObjectRef(module, "Error", error_type))
		return -1;
	for (struct kind *kind = kinds; kind->name; kind++) {
		PyObject *bases = kind->base
				      ? PyTuple_Pack(2, error_type, *kind->base)
				      : PyTuple_Pack(1, error_type);

		snprintf(name, sizeof name, "coppice.%s", kind->name);
		kind->type = bases ? PyErr_NewExceptionWithDoc(name, kind->text,
							       bases, NULL)
				   : NULL;
		Py_XDECREF(bases);
		if (!kind->type ||
		    PyModule_AddObjectRef(module, kind->name, kind->type))
			return -1;
	}
	return 0;
}

/* ---- the module --------------------------------------------------------- */

static int type_add(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
	*out = (PyTypeObject *)PyType_FromSpec(spec);
	return *out ? PyModule_AddType(module, *out) : -1;
}

static int record_add(PyObject *module, PyStructSequence_Desc *desc,
		      PyTypeObject **out)
{
	*out = PyStructSequence_NewType(desc);
	return *out ? PyModule_AddType(module, *out) : -1;
}

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "coppice._coppice",
    .m_doc = "The library's calls; use the module coppice.",
    .m_size = -1,
    .m_methods = store_functions,
};

PyMODINIT_FUNC PyInit__coppice(void);

PyMODINIT_FUNC PyInit__coppice(void)
{
	PyObject *module = PyModule_Create(&module_def);

	if (!module)
		return NULL;
	if (errors_add(module) ||
	    type_add(module, &store_spec, &binding.store) ||
	    type_add(module, &read_spec, &binding.read) ||
	    type_add(module, &entity_spec, &binding.entity) ||
	    type_add(module, &view_spec, &binding.view) ||
	    type_add(module, &write_spec, &binding.write) ||
	    record_add(module, &hit_desc, &binding.hit) ||
	    record_add(module, &step_desc, &binding.step) ||
	    record_add(module, &edge_desc, &binding.edge) ||
	    PyModule_AddStringConstant(module, "version", cop_version()) ||
	    PyModule_AddStringConstant(module, "cpu", cop_cpu()))
		Py_CLEAR(module);
	return module;
}

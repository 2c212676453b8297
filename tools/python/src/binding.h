/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coppice for Python: the parts of the extension module.
 *
 * idea
 *	What is here is close to coppice.h: a store, a read (a snapshot), an
 *	entity of it, a write.  ../coppice/__init__.py makes of it what people
 *	use.  Arguments are positional and have been looked at there.
 *
 * lifetimes
 *	An entity and a view hold their read, a read and a write their store.
 *	Closing a read or a store is a wish: it ends when the last view of it
 *	is gone, so that nothing a NumPy array points to is unmapped.
 *
 * threads
 *	The GIL is released in every call that searches, walks, waits or
 *	commits.  A read belongs to one thread at a time: its mutex says so.
 *
 * fork
 *	coppice attaches a store anew in the child by itself.  A read of the
 *	parent's gives ForkedError there; that it is freed is allowed.
 *
 * limits
 *	Limited API of CPython 3.11: one file for that version and later ones.
 *	One interpreter's objects are not for another's.
 */
#ifndef PYTHON_BINDING_H
#define PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <coppice.h>

/* The types, made when the module is. */
struct binding {
	PyTypeObject *store;
	PyTypeObject *read;
	PyTypeObject *entity;
	PyTypeObject *view;
	PyTypeObject *write;
	PyTypeObject *hit;
	PyTypeObject *step;
	PyTypeObject *edge;
	unsigned long forks; /* in this process's line */
};
extern struct binding binding;

/* ---- errors; module.c --------------------------------------------------- */

/* Sets the exception of an error's class, with cop_last_error().  NULL. */
PyObject *error_raise(cop_err err);

/* The same with other words. */
PyObject *error_say(cop_err err, const char *text);

/* ---- stores; store.c ---------------------------------------------------- */

struct store {
	PyObject_HEAD cop_store *handle; /* NULL: closed */
	Py_ssize_t users;		 /* reads and writes */
	int is_closing;
};

extern PyType_Spec store_spec;
extern PyMethodDef store_functions[]; /* create, detach */

/* The handle, or NULL with an exception. */
cop_store *store_handle(struct store *store);
void store_use(struct store *store);
void store_leave(struct store *store);

/* ---- reads; read.c ------------------------------------------------------ */

struct read {
	PyObject_HEAD struct store *store;
	cop_read *handle; /* NULL: ended */
	PyThread_type_lock mutex;
	unsigned long owner; /* thread that has the mutex */
	int depth;	     /* how often */
	unsigned long forks; /* when it was begun */
	Py_ssize_t views;
	int is_closing;
};

struct entity {
	PyObject_HEAD struct read *read;
	struct cop_entity entity;
};

/* Memory of somebody else's, for memoryview. */
struct view {
	PyObject_HEAD PyObject *owner; /* a read, or bytes */
	const void *data;
	const char *format;
	Py_ssize_t item;
	int dimensions;
	Py_ssize_t shape[2];
	Py_ssize_t strides[2];
};

extern PyType_Spec read_spec;
extern PyType_Spec entity_spec;
extern PyType_Spec view_spec;

PyObject *read_make(struct store *store);

/* Between them the read is this thread's.  NULL with an exception: closed. */
cop_read *read_enter(struct read *read);
void read_leave(struct read *read);
PyObject *entity_make(struct read *read, const struct cop_entity *entity);

/* A memoryview; shape and strides have `dimensions` members. */
PyObject *view_make(PyObject *owner, const void *data, const char *format,
		    Py_ssize_t item, int dimensions, const Py_ssize_t *shape,
		    const Py_ssize_t *strides);

/* ---- searches and walks; find.c ----------------------------------------- */

PyObject *read_search(struct read *read, PyObject *arguments);
PyObject *read_search_many(struct read *read, PyObject *arguments);
PyObject *read_walk(struct read *read, PyObject *arguments);
PyObject *read_path(struct read *read, PyObject *arguments);
PyObject *read_neighbors(struct read *read, PyObject *arguments);
PyObject *read_edges(struct read *read, PyObject *arguments);

extern PyStructSequence_Desc hit_desc;
extern PyStructSequence_Desc step_desc;
extern PyStructSequence_Desc edge_desc;

/* ---- writes; write.c ---------------------------------------------------- */

extern PyType_Spec write_spec;
PyObject *write_make(struct store *store);

/* ---- conversions; value.c ----------------------------------------------- */

/* A key: str or bytes. */
struct text {
	const char *data;
	Py_ssize_t size;
};

/* For "O&": borrowed from the object; None is NULL where it may be. */
int text_from(PyObject *object, void *text);
int text_or_none_from(PyObject *object, void *text);

/* Whole numbers, for "O&". */
int u32_from(PyObject *object, void *out);
int u64_from(PyObject *object, void *out);

/* str, or bytes of what is not UTF-8. */
PyObject *text_to(const void *data, size_t size);

/* Names and paths, which end at a NUL for the library: none may be in one. */
int name_from(PyObject *object, void *text);
int name_or_none_from(PyObject *object, void *text);

/* The name of a number, None for 0. */
PyObject *name_to(cop_read *read, uint32_t name);

PyObject *value_to(const struct cop_value *value);

/* What a call needs until it is over. */
struct scratch {
	void **blocks;
	size_t count;
	PyObject *held; /* objects that are borrowed from */
};

/* Takes an object, if there is one, and keeps it; returns it or NULL. */
PyObject *scratch_hold(struct scratch *scratch, PyObject *object);
void *scratch_get(struct scratch *scratch, size_t size);
void scratch_release(struct scratch *scratch);

/* A dict of properties; -1 with an exception. */
int properties_from(PyObject *dict, struct scratch *scratch,
		    struct cop_property **out, uint32_t *count);

/* A sequence of str; -1 with an exception. */
int names_from(PyObject *sequence, struct scratch *scratch,
	       const char *const **out, uint32_t *count);

/*
 * Vectors: a contiguous buffer of float32 as it is, any other of numbers and
 * any sequence of numbers copied.
 */
struct floats {
	Py_buffer buffer;
	int is_borrowed;
	const float *data;
	int dimensions; /* 1 or 2; 0: None */
	size_t rows;	/* 1 if it has one dimension */
	size_t columns;
};

int floats_from(PyObject *object, struct scratch *scratch, struct floats *out);

/* The same, of one dimension. */
int vector_from(PyObject *object, struct scratch *scratch, struct floats *out);
void floats_release(struct floats *floats);

/* None, or (from seconds, nanos, to seconds, nanos). */
int validity_from(PyObject *object, struct cop_validity *out,
		  const struct cop_validity **given);

#endif

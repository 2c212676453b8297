/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store.
 */
#include "binding.h"

#include <string.h>

/* ---- of no store in particular ------------------------------------------ */

static PyObject *create(PyObject *module, PyObject *arguments)
{
	struct cop_options options = {.size = sizeof options};
	struct text path, shm_dir;
	cop_err err;

	(void)module;
	if (!PyArg_ParseTuple(
		arguments, "O&O&iiiO&O&O&O&dO&O&O&O&O&O&iO&O&", text_from,
		&path, u32_from, &options.dim, &options.metric, &options.rows,
		&options.codes, u32_from, &options.mode, u32_from,
		&options.group, name_or_none_from, &shm_dir, u64_from,
		&options.expected_entities, &options.bloom_rate, u32_from,
		&options.record_bytes, u32_from, &options.signs, u32_from,
		&options.codes_dim, u64_from, &options.cache_bytes, u32_from,
		&options.cache_ttl_ms, u32_from, &options.cache_idle_ms,
		&options.history, u64_from, &options.history_ms, u64_from,
		&options.history_count))
		return NULL;
	options.shm_dir = shm_dir.data;
	Py_BEGIN_ALLOW_THREADS
	err = cop_create(path.data, &options);
	Py_END_ALLOW_THREADS
	if (err)
		return error_raise(err);
	Py_RETURN_NONE;
}

static PyObject *detach(PyObject *module, PyObject *argument)
{
	struct text path;
	cop_err err;

	(void)module;
	if (!name_from(argument, &path))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	err = cop_detach(path.data);
	Py_END_ALLOW_THREADS
	if (err)
		return error_raise(err);
	Py_RETURN_NONE;
}

/* In a child: what other threads held is nobody's. */
static PyObject *forked(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	binding.forks++;
	Py_RETURN_NONE;
}

PyMethodDef store_functions[] = {
    {"forked", forked, METH_NOARGS, NULL},
    {"create", create, METH_VARARGS, NULL},
    {"detach", detach, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* ---- open and close ----------------------------------------------------- */

cop_store *store_handle(struct store *store)
{
	if (store->handle && !store->is_closing)
		return store->handle;
	PyErr_SetString(PyExc_ValueError, "the store is closed");
	return NULL;
}

static void store_end(struct store *store)
{
	cop_store *handle = store->handle;

	if (!handle || store->users)
		return;
	store->handle = NULL;
	/* the last of all may write an image */
	Py_BEGIN_ALLOW_THREADS
	cop_close(handle);
	Py_END_ALLOW_THREADS
}

void store_use(struct store *store)
{
	store->users++;
	Py_INCREF((PyObject *)store);
}

void store_leave(struct store *store)
{
	store->users--;
	if (store->is_closing)
		store_end(store);
	Py_DECREF((PyObject *)store);
}

/* Interrupts (Ctrl-C) are looked at while the segment is built. */
static int32_t progress_tell(void *user, const char *what, uint64_t done,
			     uint64_t total)
{
	PyGILState_STATE state = PyGILState_Ensure();
	int stop;

	(void)user;
	(void)what;
	(void)done;
	(void)total;
	stop = PyErr_CheckSignals();
	PyGILState_Release(state);
	return stop;
}

static PyObject *store_new(PyTypeObject *type, PyObject *arguments,
			   PyObject *keywords)
{
	struct cop_open_options options = {.size = sizeof options,
					   .progress = progress_tell};
	struct text path, name;
	cop_store *handle;
	struct store *store;
	cop_err err;

	(void)keywords;
	if (!PyArg_ParseTuple(arguments, "O&O&O&", name_from, &path, u32_from,
			      &options.timeout_ms, name_or_none_from, &name))
		return NULL;
	options.name = name.data;
	Py_BEGIN_ALLOW_THREADS
	err = cop_open(path.data, &options, &handle);
	Py_END_ALLOW_THREADS
	if (err)
		return error_raise(err);
	store = (struct store *)PyType_GenericAlloc(type, 0);
	if (!store) {
		cop_close(handle);
		return NULL;
	}
	store->handle = handle;
	return (PyObject *)store;
}

static void store_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	store_end((struct store *)self);
	PyObject_Free(self);
	Py_DECREF((PyObject *)type);
}

static PyObject *store_close(PyObject *self, PyObject *unused)
{
	struct store *store = (struct store *)self;

	(void)unused;
	store->is_closing = 1;
	store_end(store);
	Py_RETURN_NONE;
}

/* ---- its methods -------------------------------------------------------- */

static PyObject *store_read(PyObject *self, PyObject *unused)
{
	(void)unused;
	return read_make((struct store *)self);
}

static PyObject *store_write(PyObject *self, PyObject *unused)
{
	(void)unused;
	return write_make((struct store *)self);
}

/* Ends a use of the store; 1 with an exception if the call failed. */
static int call_failed(struct store *store, cop_err err)
{
	if (err)
		error_raise(err);
	store_leave(store);
	return err != 0;
}

static PyObject *store_checkpoint(PyObject *self, PyObject *unused)
{
	cop_store *handle = store_handle((struct store *)self);
	cop_err err;

	(void)unused;
	if (!handle)
		return NULL;
	store_use((struct store *)self);
	Py_BEGIN_ALLOW_THREADS
	err = cop_checkpoint(handle, NULL);
	Py_END_ALLOW_THREADS
	if (call_failed((struct store *)self, err))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *store_compact(PyObject *self, PyObject *unused)
{
	struct cop_compact_result result = {.size = sizeof result};
	struct cop_open_options options = {.size = sizeof options,
					   .progress = progress_tell};
	cop_store *handle = store_handle((struct store *)self);
	cop_err err;

	(void)unused;
	if (!handle)
		return NULL;
	store_use((struct store *)self);
	Py_BEGIN_ALLOW_THREADS
	err = cop_compact(handle, &options, &result);
	Py_END_ALLOW_THREADS
	if (call_failed((struct store *)self, err))
		return NULL;
	return Py_BuildValue(
	    "{sKsK}", "bytes_before", (unsigned long long)result.bytes_before,
	    "bytes_after", (unsigned long long)result.bytes_after);
}

static PyObject *store_maintain(PyObject *self, PyObject *arguments)
{
	struct cop_maintain_options options = {.size = sizeof options};
	struct cop_maintain_result result = {.size = sizeof result};
	cop_store *handle = store_handle((struct store *)self);
	cop_err err;

	if (!handle ||
	    !PyArg_ParseTuple(arguments, "O&O&", u32_from, &options.threads,
			      u32_from, &options.budget_ms))
		return NULL;
	store_use((struct store *)self);
	Py_BEGIN_ALLOW_THREADS
	err = cop_maintain(handle, &options, &result);
	Py_END_ALLOW_THREADS
	if (call_failed((struct store *)self, err))
		return NULL;
	return Py_BuildValue(
	    "{sKsKsKsisKsK}", "linked", (unsigned long long)result.linked,
	    "reclaimed", (unsigned long long)result.reclaimed, "mended",
	    (unsigned long long)result.mended, "audited", (int)result.audited,
	    "unlinked", (unsigned long long)result.unlinked, "waiting",
	    (unsigned long long)result.waiting);
}

static PyObject *store_dim(PyObject *self, void *unused)
{
	cop_store *handle = store_handle((struct store *)self);

	(void)unused;
	return handle ? PyLong_FromUnsignedLong(cop_dim(handle)) : NULL;
}

static PyObject *store_metric(PyObject *self, void *unused)
{
	static const char *const names[] = {"", "cosine", "l2", "ip"};
	cop_store *handle = store_handle((struct store *)self);

	(void)unused;
	return handle ? PyUnicode_FromString(names[cop_metric(handle)]) : NULL;
}

static PyMethodDef store_methods[] = {
    {"close", store_close, METH_NOARGS, NULL},
    {"read", store_read, METH_NOARGS, NULL},
    {"write", store_write, METH_NOARGS, NULL},
    {"checkpoint", store_checkpoint, METH_NOARGS, NULL},
    {"compact", store_compact, METH_NOARGS, NULL},
    {"maintain", store_maintain, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef store_members[] = {
    {"dim", store_dim, NULL, NULL, NULL},
    {"metric", store_metric, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot store_slots[] = {
    {Py_tp_new, (void *)store_new},
    {Py_tp_dealloc, (void *)store_dealloc},
    {Py_tp_methods, store_methods},
    {Py_tp_getset, store_members},
    {0, NULL},
};

PyType_Spec store_spec = {
    .name = "coppice._coppice.Store",
    .basicsize = sizeof(struct store),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = store_slots,
};

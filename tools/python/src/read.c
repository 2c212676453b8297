/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots, the entities in them, and views of what they lend.
 */
#include "binding.h"

#include <stdlib.h>

/* ---- a read ------------------------------------------------------------- */

/* A read with its mutex, or NULL with an exception. */
PyObject *read_make(struct store *store)
{
	cop_store *handle = store_handle(store);
	struct read *read;
	cop_read *begun;
	cop_err err;

	if (!handle)
		return NULL;
	store_use(store);
	Py_BEGIN_ALLOW_THREADS
	err = cop_read_begin(handle, &begun);
	Py_END_ALLOW_THREADS
	if (err)
		error_raise(err);
	read = err ? NULL : (struct read *)PyType_GenericAlloc(binding.read, 0);
	if (read)
		read->mutex = PyThread_allocate_lock();
	if (read && read->mutex) {
		read->handle = begun;
		read->store = store;
		read->forks = binding.forks;
		return (PyObject *)read;
	}
	if (read)
		PyErr_NoMemory();
	if (!err)
		cop_read_end(begun);
	Py_XDECREF((PyObject *)read);
	store_leave(store);
	return NULL;
}

static void read_finish(struct read *read)
{
	cop_read *handle = read->handle;

	if (!handle || read->views ||
	    (read->depth && read->forks == binding.forks))
		return;
	read->handle = NULL;
	cop_read_end(handle);
	store_leave(read->store);
}

static cop_read *forked_raise(void)
{
	(void)error_say(COP_FORKED, "this snapshot was begun before a fork; "
				    "begin one in this process");
	return NULL;
}

cop_read *read_enter(struct read *read)
{
	unsigned long self = PyThread_get_thread_ident();

	/* its mutex may be that of a thread of the parent's */
	if (read->forks != binding.forks)
		return forked_raise();
	if (!read->depth || read->owner != self) {
		if (!PyThread_acquire_lock(read->mutex, NOWAIT_LOCK)) {
			Py_BEGIN_ALLOW_THREADS
			PyThread_acquire_lock(read->mutex, WAIT_LOCK);
			Py_END_ALLOW_THREADS
		}
		read->owner = self;
	}
	read->depth++;
	if (read->handle && !read->is_closing)
		return read->handle;
	PyErr_SetString(PyExc_ValueError, "the snapshot is closed");
	read_leave(read);
	return NULL;
}

void read_leave(struct read *read)
{
	if (--read->depth)
		return;
	if (read->is_closing)
		read_finish(read);
	PyThread_release_lock(read->mutex);
}

static void read_dealloc(PyObject *self)
{
	struct read *read = (struct read *)self;
	PyTypeObject *type = Py_TYPE(self);

	read_finish(read);
	if (read->mutex)
		PyThread_free_lock(read->mutex);
	PyObject_Free(self);
	Py_DECREF((PyObject *)type);
}

static PyObject *read_close(PyObject *self, PyObject *unused)
{
	struct read *read = (struct read *)self;

	(void)unused;
	read->is_closing = 1;
	read_finish(read);
	Py_RETURN_NONE;
}

/* ---- moments ------------------------------------------------------------ */

static PyObject *nothing_or(struct read *read, cop_err err)
{
	PyObject *result = err ? error_raise(err) : Py_NewRef(Py_None);

	read_leave(read);
	return result;
}

static PyObject *read_as_of(PyObject *self, PyObject *argument)
{
	uint64_t commit = 0;
	struct read *read = (struct read *)self;
	cop_read *handle =
	    u64_from(argument, &commit) ? read_enter(read) : NULL;

	return handle ? nothing_or(read, cop_read_as_of(handle, commit)) : NULL;
}

static PyObject *read_commit_at(PyObject *self, PyObject *argument)
{
	long long time_ns = PyLong_AsLongLong(argument);
	struct read *read = (struct read *)self;
	cop_read *handle = PyErr_Occurred() ? NULL : read_enter(read);
	uint64_t commit = 0;
	cop_err err;

	if (!handle)
		return NULL;
	err = cop_commit_at(handle, time_ns, &commit);
	read_leave(read);
	return err ? error_raise(err) : PyLong_FromUnsignedLongLong(commit);
}

static PyObject *read_valid_at(PyObject *self, PyObject *arguments)
{
	struct cop_instant at = {0};
	struct read *read = (struct read *)self;
	long long seconds;
	cop_read *handle;

	if (!PyArg_ParseTuple(arguments, "LO&", &seconds, u32_from, &at.nanos))
		return NULL;
	at.seconds = seconds;
	handle = read_enter(read);
	return handle ? nothing_or(read, cop_read_valid_at(handle, &at)) : NULL;
}

static PyObject *read_commit(PyObject *self, void *unused)
{
	struct read *read = (struct read *)self;
	cop_read *handle = read_enter(read);
	uint64_t commit;

	(void)unused;
	if (!handle)
		return NULL;
	commit = cop_read_commit(handle);
	read_leave(read);
	return PyLong_FromUnsignedLongLong(commit);
}

/* ---- entities ----------------------------------------------------------- */

PyObject *entity_make(struct read *read, const struct cop_entity *entity)
{
	struct entity *made;

	if (!entity->id)
		Py_RETURN_NONE;
	made = (struct entity *)PyType_GenericAlloc(binding.entity, 0);
	if (!made)
		return NULL;
	made->read = (struct read *)Py_NewRef((PyObject *)read);
	made->entity = *entity;
	return (PyObject *)made;
}

static PyObject *read_get(PyObject *self, PyObject *argument)
{
	struct read *read = (struct read *)self;
	struct cop_entity entity;
	struct text key;
	cop_read *handle;
	cop_err err;

	if (!text_from(argument, &key) || !(handle = read_enter(read)))
		return NULL;
	err = cop_get(handle, key.data, (size_t)key.size, &entity);
	read_leave(read);
	return err ? error_raise(err) : entity_make(read, &entity);
}

static PyObject *read_get_id(PyObject *self, PyObject *argument)
{
	uint64_t id = 0;
	struct read *read = (struct read *)self;
	cop_read *handle = u64_from(argument, &id) ? read_enter(read) : NULL;
	struct cop_entity entity;
	cop_err err;

	if (!handle)
		return NULL;
	err = cop_get_id(handle, id, &entity);
	read_leave(read);
	return err ? error_raise(err) : entity_make(read, &entity);
}

static PyObject *read_lookup(PyObject *self, PyObject *argument)
{
	struct read *read = (struct read *)self;
	struct text key;
	uint64_t id = 0;
	cop_read *handle;
	cop_err err;

	if (!text_from(argument, &key) || !(handle = read_enter(read)))
		return NULL;
	err = cop_lookup(handle, key.data, (size_t)key.size, &id);
	read_leave(read);
	return err ? error_raise(err) : PyLong_FromUnsignedLongLong(id);
}

/* Ids as they come, without the GIL. */
struct ids {
	uint64_t *ids;
	size_t count;
	size_t room;
};

static int32_t ids_add(void *user, cop_read *read,
		       const struct cop_entity *entity)
{
	struct ids *ids = user;

	(void)read;
	if (ids->count == ids->room) {
		size_t room = ids->room ? 2 * ids->room : 256;
		uint64_t *more = realloc(ids->ids, room * sizeof *more);

		if (!more)
			return 1;
		ids->ids = more;
		ids->room = room;
	}
	ids->ids[ids->count++] = entity->id;
	return 0;
}

static int32_t ids_add_selected(void *user, uint32_t thread, cop_read *read,
				const struct cop_entity *entity)
{
	(void)thread;
	return ids_add(user, read, entity);
}

static PyObject *ids_to(struct read *read, struct ids *ids, cop_err err)
{
	PyObject *list = NULL;

	read_leave(read);
	if (err == COP_STOPPED)
		PyErr_NoMemory();
	else if (err)
		error_raise(err);
	else
		list = PyList_New((Py_ssize_t)ids->count);
	for (size_t i = 0; list && i < ids->count; i++) {
		PyObject *id = PyLong_FromUnsignedLongLong(ids->ids[i]);

		if (!id || PyList_SetItem(list, (Py_ssize_t)i, id))
			Py_CLEAR(list);
	}
	free(ids->ids);
	return list;
}

/* (prefix): ids, in order of keys. */
static PyObject *read_keys(PyObject *self, PyObject *argument)
{
	struct read *read = (struct read *)self;
	struct ids ids = {0};
	struct text prefix;
	cop_read *handle;
	cop_err err;

	if (!text_from(argument, &prefix) || !(handle = read_enter(read)))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	err = cop_keys(handle, prefix.data, (size_t)prefix.size, ids_add, &ids);
	Py_END_ALLOW_THREADS
	return ids_to(read, &ids, err);
}

/* (type, all, any, none, prefix): ids, in their order. */
static PyObject *read_select(PyObject *self, PyObject *arguments)
{
	struct read *read = (struct read *)self;
	struct cop_select select = {.size = sizeof select};
	struct scratch scratch = {0};
	struct ids ids = {0};
	struct text type, prefix;
	PyObject *all, *any, *none;
	PyObject *result = NULL;
	cop_read *handle;
	cop_err err;

	if (!PyArg_ParseTuple(arguments, "O&OOOO&", name_or_none_from, &type,
			      &all, &any, &none, text_or_none_from, &prefix))
		return NULL;
	select.type = type.data;
	select.prefix = prefix.data;
	select.prefix_size = (uint32_t)prefix.size;
	if (!names_from(all, &scratch, &select.all, &select.all_count) &&
	    !names_from(any, &scratch, &select.any, &select.any_count) &&
	    !names_from(none, &scratch, &select.none, &select.none_count) &&
	    (handle = read_enter(read))) {
		Py_BEGIN_ALLOW_THREADS
		err = cop_select(handle, &select, ids_add_selected, &ids);
		Py_END_ALLOW_THREADS
		result = ids_to(read, &ids, err);
	}
	scratch_release(&scratch);
	return result;
}

static PyObject *read_stat(PyObject *self, PyObject *unused)
{
	struct cop_stats stats = {.size = sizeof stats};
	struct read *read = (struct read *)self;
	cop_read *handle = read_enter(read);
	cop_err err;

	(void)unused;
	if (!handle)
		return NULL;
	err = cop_stat(handle, &stats);
	read_leave(read);
	if (err)
		return error_raise(err);
	return Py_BuildValue(
	    "{sKsKsKsKsKsKsIsIss}", "commits",
	    (unsigned long long)stats.commits, "entities",
	    (unsigned long long)stats.entities, "edges",
	    (unsigned long long)stats.edges, "vectors",
	    (unsigned long long)stats.vectors, "disk_bytes",
	    (unsigned long long)stats.disk_bytes, "shared_bytes",
	    (unsigned long long)stats.shared_bytes, "readers", stats.readers,
	    "stalled", stats.stalled, "segment", stats.segment);
}

#define READ_CALL(name)                                                        \
	static PyObject *call_##name(PyObject *self, PyObject *arguments)      \
	{                                                                      \
		return read_##name((struct read *)self, arguments);            \
	}
READ_CALL(search)
READ_CALL(search_many)
READ_CALL(walk)
READ_CALL(path)
READ_CALL(neighbors)
READ_CALL(edges)

static PyMethodDef read_methods[] = {
    {"close", read_close, METH_NOARGS, NULL},
    {"as_of", read_as_of, METH_O, NULL},
    {"commit_at", read_commit_at, METH_O, NULL},
    {"valid_at", read_valid_at, METH_VARARGS, NULL},
    {"get", read_get, METH_O, NULL},
    {"get_id", read_get_id, METH_O, NULL},
    {"lookup", read_lookup, METH_O, NULL},
    {"keys", read_keys, METH_O, NULL},
    {"select", read_select, METH_VARARGS, NULL},
    {"stat", read_stat, METH_NOARGS, NULL},
    {"search", call_search, METH_VARARGS, NULL},
    {"search_many", call_search_many, METH_VARARGS, NULL},
    {"walk", call_walk, METH_VARARGS, NULL},
    {"path", call_path, METH_VARARGS, NULL},
    {"neighbors", call_neighbors, METH_VARARGS, NULL},
    {"edges", call_edges, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef read_members[] = {
    {"commit", read_commit, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot read_slots[] = {
    {Py_tp_dealloc, (void *)read_dealloc},
    {Py_tp_methods, read_methods},
    {Py_tp_getset, read_members},
    {0, NULL},
};

PyType_Spec read_spec = {
    .name = "coppice._coppice.Read",
    .basicsize = sizeof(struct read),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = read_slots,
};

/* ---- what an entity has ------------------------------------------------- */

static void entity_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	Py_XDECREF((PyObject *)((struct entity *)self)->read);
	PyObject_Free(self);
	Py_DECREF((PyObject *)type);
}

static PyObject *entity_id(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(((struct entity *)self)->entity.id);
}

static PyObject *entity_version(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(
	    ((struct entity *)self)->entity.version);
}

static PyObject *entity_content_size(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(
	    ((struct entity *)self)->entity.content_size);
}

/* What comes of a call with the entity's read, entered. */
typedef PyObject *entity_fn(struct entity *entity, cop_read *read);

static PyObject *entity_with(PyObject *self, entity_fn *get)
{
	struct entity *entity = (struct entity *)self;
	cop_read *handle = read_enter(entity->read);
	PyObject *result;

	if (!handle)
		return NULL;
	result = get(entity, handle);
	read_leave(entity->read);
	return result;
}

static PyObject *key_get(struct entity *entity, cop_read *read)
{
	(void)read;
	return text_to(entity->entity.key, entity->entity.key_size);
}

static PyObject *type_get(struct entity *entity, cop_read *read)
{
	return name_to(read, entity->entity.type);
}

static PyObject *tags_get(struct entity *entity, cop_read *read)
{
	uint32_t count = entity->entity.tag_count;
	PyObject *tags = PyTuple_New(count);

	for (uint32_t i = 0; tags && i < count; i++) {
		const char *text = NULL;
		size_t size = 0;
		cop_err err =
		    cop_entity_tag(read, &entity->entity, i, &text, &size);
		PyObject *tag = err ? error_raise(err) : text_to(text, size);

		if (!tag || PyTuple_SetItem(tags, i, tag))
			Py_CLEAR(tags);
	}
	return tags;
}

/* Of several of one name, at different times, the one that was put first. */
static int first_set(PyObject *dict, PyObject *name, PyObject *value)
{
	int is_there = PyDict_Contains(dict, name);

	return is_there ? is_there < 0 : PyDict_SetItem(dict, name, value);
}

static PyObject *properties_get(struct entity *entity, cop_read *read)
{
	uint32_t count = entity->entity.property_count;
	PyObject *dict = PyDict_New();

	for (uint32_t i = 0; dict && i < count; i++) {
		struct cop_value value;
		const char *text;
		size_t size;
		cop_err err = cop_entity_property_at(read, &entity->entity, i,
						     &text, &size, &value);
		PyObject *name = err ? error_raise(err) : text_to(text, size);
		PyObject *member = name ? value_to(&value) : NULL;

		if (!member || first_set(dict, name, member))
			Py_CLEAR(dict);
		Py_XDECREF(name);
		Py_XDECREF(member);
	}
	return dict;
}

static PyObject *content_get(struct entity *entity, cop_read *read)
{
	const void *data = NULL;
	size_t size = 0;
	cop_err err = cop_entity_content(read, &entity->entity, &data, &size);
	Py_ssize_t shape = (Py_ssize_t)size;
	Py_ssize_t stride = 1;

	return err ? error_raise(err)
		   : view_make((PyObject *)entity->read, data ? data : "", "B",
			       1, 1, &shape, &stride);
}

static PyObject *vector_get(struct entity *entity, cop_read *read)
{
	const float *vector = NULL;
	cop_err err = cop_vector(read, entity->entity.id, &vector);
	Py_ssize_t shape = cop_dim(entity->read->store->handle);
	Py_ssize_t stride = sizeof *vector;

	if (err)
		return error_raise(err);
	if (!vector)
		Py_RETURN_NONE;
	return view_make((PyObject *)entity->read, vector, "f", stride, 1,
			 &shape, &stride);
}

#define ENTITY_GET(name)                                                       \
	static PyObject *entity_##name(PyObject *self, void *unused)           \
	{                                                                      \
		(void)unused;                                                  \
		return entity_with(self, name##_get);                          \
	}
ENTITY_GET(key)
ENTITY_GET(type)
ENTITY_GET(tags)
ENTITY_GET(properties)
ENTITY_GET(content)
ENTITY_GET(vector)

/* (name): (value,) or None. */
static PyObject *entity_property(PyObject *self, PyObject *argument)
{
	struct entity *entity = (struct entity *)self;
	struct cop_value value;
	struct text name;
	PyObject *result;
	cop_read *handle;
	int found = 0;
	cop_err err;

	if (!text_from(argument, &name) || !(handle = read_enter(entity->read)))
		return NULL;
	err = cop_entity_property(handle, &entity->entity, name.data,
				  (size_t)name.size, &found, &value);
	if (err)
		result = error_raise(err);
	else if (!found)
		result = Py_NewRef(Py_None);
	else
		result = Py_BuildValue("(N)", value_to(&value));
	read_leave(entity->read);
	return result;
}

/* (offset, size): bytes. */
static PyObject *entity_content_read(PyObject *self, PyObject *arguments)
{
	struct entity *entity = (struct entity *)self;
	uint64_t offset;
	PyObject *bytes = NULL;
	cop_read *handle;
	Py_ssize_t size;
	size_t got = 0;
	char *room;
	cop_err err;

	if (!PyArg_ParseTuple(arguments, "O&n", u64_from, &offset, &size))
		return NULL;
	if (size < 0)
		return PyErr_Format(PyExc_ValueError, "a size below 0");
	room = PyMem_Malloc(size ? (size_t)size : 1);
	handle = room ? read_enter(entity->read) : NULL;
	if (!room)
		PyErr_NoMemory();
	if (handle) {
		Py_BEGIN_ALLOW_THREADS
		err = cop_content_read(handle, &entity->entity, offset, room,
				       (size_t)size, &got);
		Py_END_ALLOW_THREADS
		read_leave(entity->read);
		bytes = err ? error_raise(err)
			    : PyBytes_FromStringAndSize(room, (Py_ssize_t)got);
	}
	PyMem_Free(room);
	return bytes;
}

static PyMethodDef entity_methods[] = {
    {"_property", entity_property, METH_O, NULL},
    {"_content_read", entity_content_read, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef entity_members[] = {
    {"id", entity_id, NULL, NULL, NULL},
    {"version", entity_version, NULL, NULL, NULL},
    {"key", entity_key, NULL, NULL, NULL},
    {"type", entity_type, NULL, NULL, NULL},
    {"tags", entity_tags, NULL, NULL, NULL},
    {"properties", entity_properties, NULL, NULL, NULL},
    {"content", entity_content, NULL, NULL, NULL},
    {"content_size", entity_content_size, NULL, NULL, NULL},
    {"vector", entity_vector, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot entity_slots[] = {
    {Py_tp_dealloc, (void *)entity_dealloc},
    {Py_tp_methods, entity_methods},
    {Py_tp_getset, entity_members},
    {0, NULL},
};

PyType_Spec entity_spec = {
    .name = "coppice._coppice.Entity",
    .basicsize = sizeof(struct entity),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = entity_slots,
};

/* ---- views -------------------------------------------------------------- */

static struct read *view_read(const struct view *view)
{
	return Py_TYPE(view->owner) == binding.read ? (struct read *)view->owner
						    : NULL;
}

PyObject *view_make(PyObject *owner, const void *data, const char *format,
		    Py_ssize_t item, int dimensions, const Py_ssize_t *shape,
		    const Py_ssize_t *strides)
{
	struct view *view = (struct view *)PyType_GenericAlloc(binding.view, 0);
	PyObject *memory;

	if (!view)
		return NULL;
	view->owner = Py_NewRef(owner);
	view->data = data;
	view->format = format;
	view->item = item;
	view->dimensions = dimensions;
	for (int i = 0; i < dimensions; i++) {
		view->shape[i] = shape[i];
		view->strides[i] = strides[i];
	}
	if (view_read(view))
		view_read(view)->views++;
	memory = PyMemoryView_FromObject((PyObject *)view);
	Py_DECREF((PyObject *)view);
	return memory;
}

static void view_dealloc(PyObject *self)
{
	struct view *view = (struct view *)self;
	PyTypeObject *type = Py_TYPE(self);
	struct read *read = view_read(view);

	if (read && !--read->views && read->is_closing)
		read_finish(read);
	Py_DECREF(view->owner);
	PyObject_Free(self);
	Py_DECREF((PyObject *)type);
}

static int view_getbuffer(PyObject *self, Py_buffer *out, int flags)
{
	struct view *view = (struct view *)self;
	int is_dense = 1;
	Py_ssize_t length = view->item;

	for (int i = view->dimensions; i-- > 0;) {
		is_dense &= view->strides[i] == length;
		length *= view->shape[i];
	}
	if (flags & PyBUF_WRITABLE ||
	    (!is_dense && (flags & PyBUF_STRIDES) != PyBUF_STRIDES)) {
		PyErr_SetString(PyExc_BufferError,
				"the store's memory is read-only");
		return -1;
	}
	*out = (Py_buffer){.buf = (void *)(uintptr_t)view->data,
			   .obj = Py_NewRef(self),
			   .len = length,
			   .itemsize = view->item,
			   .readonly = 1,
			   .ndim = view->dimensions,
			   .format = flags & PyBUF_FORMAT
					 ? (char *)(uintptr_t)view->format
					 : NULL,
			   .shape = view->shape,
			   .strides = view->strides};
	return 0;
}

static PyType_Slot view_slots[] = {
    {Py_tp_dealloc, (void *)view_dealloc},
    {Py_bf_getbuffer, (void *)view_getbuffer},
    {0, NULL},
};

PyType_Spec view_spec = {
    .name = "coppice._coppice.View",
    .basicsize = sizeof(struct view),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = view_slots,
};

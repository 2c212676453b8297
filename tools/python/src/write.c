/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write.
 */
#include "binding.h"

struct write {
	PyObject_HEAD struct store *store;
	cop_write *handle; /* NULL: closed */
	int is_committing;
};

PyObject *write_make(struct store *store)
{
	cop_store *handle = store_handle(store);
	struct write *write;
	cop_write *begun;
	cop_err err;

	if (!handle)
		return NULL;
	err = cop_write_begin(handle, &begun);
	if (err)
		return error_raise(err);
	write = (struct write *)PyType_GenericAlloc(binding.write, 0);
	if (!write) {
		cop_abort(begun);
		return NULL;
	}
	write->handle = begun;
	write->store = store;
	store_use(store);
	return (PyObject *)write;
}

static void write_end(struct write *write)
{
	cop_write *handle = write->handle;

	write->handle = NULL;
	if (!handle)
		return;
	cop_abort(handle);
	store_leave(write->store);
}

static void write_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	write_end((struct write *)self);
	PyObject_Free(self);
	Py_DECREF((PyObject *)type);
}

/* The handle, or NULL with an exception. */
static cop_write *write_handle(PyObject *self)
{
	struct write *write = (struct write *)self;

	if (write->is_committing)
		PyErr_SetString(PyExc_RuntimeError,
				"another thread commits this write");
	else if (!write->handle)
		PyErr_SetString(PyExc_ValueError, "the write is closed");
	else
		return write->handle;
	return NULL;
}

static PyObject *nothing_or(cop_err err)
{
	if (err)
		return error_raise(err);
	Py_RETURN_NONE;
}

static PyObject *write_abort(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (((struct write *)self)->handle && !write_handle(self))
		return NULL;
	write_end((struct write *)self);
	Py_RETURN_NONE;
}

/* ---- entities ----------------------------------------------------------- */

/* A bytes-like object or text; None: no content. */
static int content_from(PyObject *object, Py_buffer *buffer,
			struct cop_put *put)
{
	struct text text;

	if (object == Py_None)
		return 0;
	if (PyUnicode_Check(object)) {
		if (!text_from(object, &text))
			return -1;
		put->content = text.data;
		put->content_size = (size_t)text.size;
		return 0;
	}
	if (PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE))
		return -1;
	put->content = buffer->buf;
	put->content_size = (size_t)buffer->len;
	return 0;
}

/*
 * (key, type, tags, properties, content, vector, vector change, content
 * change)
 */
static PyObject *write_put(PyObject *self, PyObject *arguments)
{
	struct cop_put put = {.size = sizeof put};
	struct cop_property *properties;
	cop_write *handle;
	PyObject *tags, *dict, *content, *vector;
	struct scratch scratch = {0};
	struct floats floats = {.data = NULL};
	Py_buffer buffer = {.obj = NULL};
	PyObject *result = NULL;
	struct text key, type;

	if (!PyArg_ParseTuple(arguments, "O&O&OOOOii", text_from, &key,
			      text_or_none_from, &type, &tags, &dict, &content,
			      &vector, &put.vector_change, &put.content_change))
		return NULL;
	put.key = key.data;
	put.key_size = (uint32_t)key.size;
	put.type = type.data;
	put.type_size = (size_t)type.size;
	if (!names_from(tags, &scratch, &put.tags, &put.tag_count) &&
	    !properties_from(dict, &scratch, &properties,
			     &put.property_count) &&
	    !content_from(content, &buffer, &put) &&
	    !vector_from(vector, &scratch, &floats) &&
	    (handle = write_handle(self))) { /* not before the caller's code */
		put.properties = properties;
		put.vector = floats.data;
		put.dim = (uint32_t)floats.columns;
		result = nothing_or(cop_put(handle, &put));
	}
	floats_release(&floats);
	if (buffer.obj)
		PyBuffer_Release(&buffer);
	scratch_release(&scratch);
	return result;
}

/* Type and tags as an entity has them, each with when it is valid. */
static int likeness_from(const struct entity *entity, cop_read *read,
			 struct scratch *scratch, struct cop_put *put)
{
	uint32_t count = entity->entity.tag_count;
	const char **tags = scratch_get(scratch, count * sizeof *tags);
	size_t *sizes = scratch_get(scratch, count * sizeof *sizes);
	struct cop_validity *valid =
	    scratch_get(scratch, count * sizeof *valid);
	cop_err err = 0;

	if (!tags || !sizes || !valid)
		return -1;
	if (entity->entity.type)
		err = cop_name(read, entity->entity.type, &put->type,
			       &put->type_size);
	for (uint32_t i = 0; i < count && !err; i++) {
		err = cop_entity_tag(read, &entity->entity, i, &tags[i],
				     &sizes[i]);
		if (!err)
			err = cop_entity_tag_valid(read, &entity->entity, i,
						   &valid[i]);
	}
	put->tags = tags;
	put->tag_sizes = sizes;
	put->tag_valid = valid;
	put->tag_count = count;
	if (err)
		error_raise(err);
	return err ? -1 : 0;
}

/* (entity, properties): with other properties, and else as it is. */
static PyObject *write_put_again(PyObject *self, PyObject *arguments)
{
	struct cop_put put = {.size = sizeof put,
			      .content_change = COP_CONTENT_KEEP};
	struct cop_property *properties;
	struct scratch scratch = {0};
	struct entity *entity;
	PyObject *dict, *result = NULL;
	cop_read *read = NULL;
	cop_write *handle;

	if (!PyArg_ParseTuple(arguments, "O!O", binding.entity, &entity, &dict))
		return NULL;
	if (!properties_from(dict, &scratch, &properties,
			     &put.property_count) &&
	    (handle = write_handle(self)) &&
	    (read = read_enter(entity->read)) &&
	    !likeness_from(entity, read, &scratch, &put)) {
		put.key = entity->entity.key;
		put.key_size = entity->entity.key_size;
		put.properties = properties;
		result = nothing_or(cop_put(handle, &put));
	}
	if (read)
		read_leave(entity->read);
	scratch_release(&scratch);
	return result;
}

/* (key, vector or None) */
static PyObject *write_put_vector(PyObject *self, PyObject *arguments)
{
	cop_write *handle;
	struct scratch scratch = {0};
	struct floats floats;
	PyObject *result = NULL;
	PyObject *vector;
	struct text key;

	if (!PyArg_ParseTuple(arguments, "O&O", text_from, &key, &vector))
		return NULL;
	if (!vector_from(vector, &scratch, &floats) &&
	    (handle = write_handle(self)))
		result = nothing_or(
		    cop_put_vector(handle, key.data, (size_t)key.size,
				   floats.data, (uint32_t)floats.columns));
	floats_release(&floats);
	scratch_release(&scratch);
	return result;
}

static PyObject *write_delete(PyObject *self, PyObject *argument)
{
	cop_write *handle = write_handle(self);
	struct text key;

	if (!handle || !text_from(argument, &key))
		return NULL;
	return nothing_or(cop_delete(handle, key.data, (size_t)key.size));
}

/* (key, commit) */
static PyObject *write_undelete(PyObject *self, PyObject *arguments)
{
	cop_write *handle = write_handle(self);
	uint64_t commit;
	struct text key;

	if (!handle || !PyArg_ParseTuple(arguments, "O&O&", text_from, &key,
					 u64_from, &commit))
		return NULL;
	return nothing_or(
	    cop_undelete(handle, key.data, (size_t)key.size, commit));
}

/* (key, version) */
static PyObject *write_expect(PyObject *self, PyObject *arguments)
{
	cop_write *handle = write_handle(self);
	uint64_t version;
	struct text key;

	if (!handle || !PyArg_ParseTuple(arguments, "O&O&", text_from, &key,
					 u64_from, &version))
		return NULL;
	return nothing_or(
	    cop_expect(handle, key.data, (size_t)key.size, version));
}

/* (key, tag, validity) */
static PyObject *write_tag(PyObject *self, PyObject *arguments)
{
	cop_write *handle = write_handle(self);
	const struct cop_validity *valid;
	struct cop_validity room;
	struct text key, tag;
	PyObject *when;

	if (!handle ||
	    !PyArg_ParseTuple(arguments, "O&O&O", text_from, &key, text_from,
			      &tag, &when) ||
	    validity_from(when, &room, &valid))
		return NULL;
	return nothing_or(cop_tag_valid(handle, key.data, (size_t)key.size,
					tag.data, (size_t)tag.size, valid));
}

/* (key, tag) */
static PyObject *write_untag(PyObject *self, PyObject *arguments)
{
	cop_write *handle = write_handle(self);
	struct text key, tag;

	if (!handle || !PyArg_ParseTuple(arguments, "O&O&", text_from, &key,
					 text_from, &tag))
		return NULL;
	return nothing_or(cop_untag(handle, key.data, (size_t)key.size,
				    tag.data, (size_t)tag.size));
}

/* ---- edges -------------------------------------------------------------- */

/* (source, relation, target, discriminator, properties, validity, dangling) */
static int edge_from(PyObject *arguments, struct scratch *scratch,
		     struct cop_validity *valid, struct cop_put_edge *edge)
{
	struct text source, relation, target;
	struct cop_property *properties;
	PyObject *dict, *when;

	*edge = (struct cop_put_edge){.size = sizeof *edge};
	if (!PyArg_ParseTuple(arguments, "O&O&O&O&OOi", text_from, &source,
			      text_from, &relation, text_from, &target,
			      u32_from, &edge->discriminator, &dict, &when,
			      &edge->dangling) ||
	    validity_from(when, valid, &edge->valid) ||
	    properties_from(dict, scratch, &properties, &edge->property_count))
		return -1;
	edge->properties = properties;
	edge->source = source.data;
	edge->source_size = (size_t)source.size;
	edge->relation = relation.data;
	edge->relation_size = (size_t)relation.size;
	edge->target = target.data;
	edge->target_size = (size_t)target.size;
	return 0;
}

static PyObject *edge_with(PyObject *self, PyObject *arguments,
			   cop_err (*call)(cop_write *write,
					   const struct cop_put_edge *edge))
{
	cop_write *handle;
	struct scratch scratch = {0};
	struct cop_put_edge edge;
	struct cop_validity valid;
	PyObject *result = NULL;

	if (!edge_from(arguments, &scratch, &valid, &edge) &&
	    (handle = write_handle(self)))
		result = nothing_or(call(handle, &edge));
	scratch_release(&scratch);
	return result;
}

static PyObject *write_link(PyObject *self, PyObject *arguments)
{
	return edge_with(self, arguments, cop_put_edge);
}

static PyObject *write_unlink(PyObject *self, PyObject *arguments)
{
	return edge_with(self, arguments, cop_unlink);
}

/* ---- commit ------------------------------------------------------------- */

/* (durability, timeout in ms): the number of the commit. */
static PyObject *write_commit(PyObject *self, PyObject *arguments)
{
	struct cop_commit_options options = {.size = sizeof options};
	struct cop_result result = {.size = sizeof result};
	struct write *write = (struct write *)self;
	cop_write *handle = write_handle(self);
	cop_err err;

	if (!handle || !PyArg_ParseTuple(arguments, "iO&", &options.durability,
					 u32_from, &options.timeout_ms))
		return NULL;
	write->is_committing = 1;
	Py_BEGIN_ALLOW_THREADS
	err = cop_commit_with(handle, &options, &result);
	Py_END_ALLOW_THREADS
	write->is_committing = 0;
	return err ? error_raise(err)
		   : PyLong_FromUnsignedLongLong(result.commit);
}

static PyObject *write_count(PyObject *self, void *unused)
{
	cop_write *handle = write_handle(self);

	(void)unused;
	return handle ? PyLong_FromSize_t(cop_write_count(handle)) : NULL;
}

static PyMethodDef write_methods[] = {
    {"put", write_put, METH_VARARGS, NULL},
    {"put_again", write_put_again, METH_VARARGS, NULL},
    {"put_vector", write_put_vector, METH_VARARGS, NULL},
    {"delete", write_delete, METH_O, NULL},
    {"undelete", write_undelete, METH_VARARGS, NULL},
    {"expect", write_expect, METH_VARARGS, NULL},
    {"tag", write_tag, METH_VARARGS, NULL},
    {"untag", write_untag, METH_VARARGS, NULL},
    {"link", write_link, METH_VARARGS, NULL},
    {"unlink", write_unlink, METH_VARARGS, NULL},
    {"commit", write_commit, METH_VARARGS, NULL},
    {"abort", write_abort, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef write_members[] = {
    {"count", write_count, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot write_slots[] = {
    {Py_tp_dealloc, (void *)write_dealloc},
    {Py_tp_methods, write_methods},
    {Py_tp_getset, write_members},
    {0, NULL},
};

PyType_Spec write_spec = {
    .name = "coppice._coppice.Write",
    .basicsize = sizeof(struct write),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = write_slots,
};

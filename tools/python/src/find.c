/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches, walks, paths and edges of a snapshot.
 */
#include "binding.h"

#include <math.h>

/* ---- records ------------------------------------------------------------ */

static PyStructSequence_Field hit_fields[] = {
    {"key", "of the entity"},
    {"distance", "smaller is nearer"},
    {"id", "of the entity"},
    {NULL, NULL},
};
PyStructSequence_Desc hit_desc = {
    "coppice.Hit", "An entity that a search found.", hit_fields, 3};

static PyStructSequence_Field step_fields[] = {
    {"key", "of the entity"},
    {"hops", "from the start"},
    {"relation", "over which it was reached; None for the start"},
    {"direction", "of that edge: 'out' or 'in'; None for the start"},
    {"origin", "index of the step it was reached from"},
    {"id", "of the entity"},
    {NULL, NULL},
};
PyStructSequence_Desc step_desc = {
    "coppice.Step", "An entity on a walk or a path.", step_fields, 6};

static PyStructSequence_Field edge_fields[] = {
    {"source", "key"},
    {"relation", "its name"},
    {"target", "key"},
    {"properties", "a dict"},
    {"discriminator", "tells edges apart that are otherwise the same"},
    {"valid", "((seconds, nanoseconds), the same): from, and up to"},
    {"version", "the commit that wrote it"},
    {NULL, NULL},
};
PyStructSequence_Desc edge_desc = {
    "coppice.Edge", "An edge with its properties.", edge_fields, 7};

/* Takes its members; NULL if one of them is. */
static PyObject *record_make(PyTypeObject *type, PyObject **members,
			     Py_ssize_t count)
{
	PyObject *record = PyStructSequence_New(type);
	int is_whole = record != NULL;

	for (Py_ssize_t i = 0; i < count; i++) {
		is_whole &= members[i] != NULL;
		if (record)
			PyStructSequence_SetItem(record, i, members[i]);
		else
			Py_XDECREF(members[i]);
	}
	if (!is_whole)
		Py_CLEAR(record);
	return record;
}

static PyObject *key_to(cop_read *read, uint64_t id)
{
	const void *key = NULL;
	size_t size = 0;
	cop_err err = cop_key(read, id, &key, &size);

	return err ? error_raise(err) : text_to(key, size);
}

static PyObject *direction_to(int32_t direction)
{
	if (!direction)
		Py_RETURN_NONE;
	return PyUnicode_FromString(direction == COP_OUT ? "out" : "in");
}

/* Takes the list's members one by one; NULL if one of them fails. */
typedef PyObject *item_fn(cop_read *read, const void *items, size_t index);

static PyObject *list_of(cop_read *read, const void *items, size_t count,
			 item_fn *item_to)
{
	PyObject *list = PyList_New((Py_ssize_t)count);

	for (size_t i = 0; list && i < count; i++) {
		PyObject *item = item_to(read, items, i);

		if (!item || PyList_SetItem(list, (Py_ssize_t)i, item))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *hit_to(cop_read *read, const void *items, size_t index)
{
	const struct cop_hit *hit = (const struct cop_hit *)items + index;
	PyObject *members[] = {key_to(read, hit->id),
			       PyFloat_FromDouble(hit->distance),
			       PyLong_FromUnsignedLongLong(hit->id)};

	return record_make(binding.hit, members, 3);
}

static PyObject *step_to(cop_read *read, const void *items, size_t index)
{
	const struct cop_step *step = (const struct cop_step *)items + index;
	PyObject *members[] = {key_to(read, step->id),
			       PyLong_FromUnsignedLong(step->hops),
			       name_to(read, step->relation),
			       direction_to(step->direction),
			       PyLong_FromUnsignedLong(step->from),
			       PyLong_FromUnsignedLongLong(step->id)};

	return record_make(binding.step, members, 6);
}

/* ---- searches ----------------------------------------------------------- */

struct request {
	struct cop_search search;
	struct cop_search_report report;
	struct floats vectors;
	struct scratch scratch;
	struct read *read;
	PyObject *accept;
};

/* A caller's test; an exception of its stops at the search's end. */
static int32_t accept_call(void *user, cop_read *handle, uint64_t id)
{
	const struct request *request = user;
	PyGILState_STATE state = PyGILState_Ensure();
	PyObject *entity = NULL;
	PyObject *answer = NULL;
	struct cop_entity found;
	int passes = 0;

	if (!PyErr_Occurred() && !cop_get_id(handle, id, &found))
		entity = entity_make(request->read, &found);
	if (entity)
		answer =
		    PyObject_CallFunctionObjArgs(request->accept, entity, NULL);
	if (answer)
		passes = PyObject_IsTrue(answer);
	Py_XDECREF(answer);
	Py_XDECREF(entity);
	PyGILState_Release(state);
	return passes > 0;
}

static void request_release(struct request *request)
{
	floats_release(&request->vectors);
	scratch_release(&request->scratch);
}

/*
 * (vectors, k, type, tags, tag mode, prefix, near, hops, direction, accept,
 * exact, threshold, exclude, strategy, ef), and threads where there are any.
 */
static int request_from(struct request *request, struct read *read,
			PyObject *arguments, uint32_t *threads)
{
	struct cop_search *search = &request->search;
	PyObject *vectors, *tags, *threshold;
	struct text type, prefix;
	uint64_t near, exclude;

	*search = (struct cop_search){.size = sizeof *search,
				      .report = &request->report};
	request->report.size = sizeof request->report;
	request->read = read;
	if (!PyArg_ParseTuple(
		arguments, "OO&O&OiO&O&O&iOiOO&iO&|O&", &vectors, u32_from,
		&search->k, name_or_none_from, &type, &tags, &search->tag_mode,
		text_or_none_from, &prefix, u64_from, &near, u32_from,
		&search->hops, &search->direction, &request->accept,
		&search->exact, &threshold, u64_from, &exclude,
		&search->strategy, u32_from, &search->ef, u32_from, threads))
		return -1;
	if (names_from(tags, &request->scratch, &search->tags,
		       &search->tag_count) ||
	    floats_from(vectors, &request->scratch, &request->vectors))
		return -1;
	search->near = near;
	search->exclude = exclude;
	search->type = type.data;
	search->prefix = prefix.data;
	search->prefix_size = (uint32_t)prefix.size;
	search->vector = request->vectors.data;
	search->has_threshold = threshold != Py_None;
	if (search->has_threshold)
		search->threshold = PyFloat_AsDouble(threshold);
	if (request->accept != Py_None) {
		search->accept = accept_call;
		search->user = request;
	}
	return PyErr_Occurred() ? -1 : 0;
}

/* coppice cannot see how long a vector is. */
static int shape_holds(const struct request *request, int dimensions)
{
	uint32_t dim = cop_dim(request->read->store->handle);

	if (request->vectors.dimensions != dimensions)
		PyErr_SetString(PyExc_ValueError,
				dimensions == 1
				    ? "a search takes a vector, of one "
				      "dimension; search_many() takes many"
				    : "many searches take an array of two "
				      "dimensions, a vector a row");
	else if (request->vectors.columns == dim || !request->vectors.rows)
		return 1;
	else
		PyErr_Format(PyExc_ValueError,
			     "vectors of %zu numbers; the store's have %u",
			     request->vectors.columns, (unsigned int)dim);
	return 0;
}

static PyObject *report_to(const struct cop_search_report *report)
{
	static const char *const names[] = {"auto", "scan",	    "hnsw",
					    "lsh",  "hierarchical", "kdtree"};

	return Py_BuildValue(
	    "{sssssisIsIsIsKsKsdsK}", "strategy", names[report->strategy],
	    "reason", report->reason, "is_complete", (int)report->is_complete,
	    "ef", report->ef, "evaluated", report->evaluated, "expanded",
	    report->expanded, "rows", (unsigned long long)report->rows,
	    "waiting", (unsigned long long)report->waiting, "share",
	    report->share, "listed", (unsigned long long)report->listed);
}

static PyObject *search_run(struct request *request, cop_read *read)
{
	uint32_t k = request->search.k <= COP_K_MAX ? request->search.k : 0;
	struct cop_hit *hits =
	    scratch_get(&request->scratch, (size_t)k * sizeof *hits);
	PyObject *list;
	uint32_t count = 0;
	cop_err err;

	if (!hits)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	err = cop_search(read, &request->search, hits, &count);
	Py_END_ALLOW_THREADS
	if (err || PyErr_Occurred())
		return error_raise(err);
	list = list_of(read, hits, count, hit_to);
	if (!list)
		return NULL;
	return Py_BuildValue("(NN)", list, report_to(&request->report));
}

PyObject *read_search(struct read *read, PyObject *arguments)
{
	struct request request = {0};
	PyObject *result = NULL;
	uint32_t threads = 0;
	cop_read *handle;

	if (!request_from(&request, read, arguments, &threads) &&
	    (handle = read_enter(read))) {
		if (shape_holds(&request, 1))
			result = search_run(&request, handle);
		read_leave(read);
	}
	request_release(&request);
	return result;
}

/* The hits' memory, and two views of it: ids and distances, rows x k. */
static PyObject *many_run(struct request *request, cop_read *read,
			  uint32_t threads)
{
	size_t rows = request->vectors.rows;
	size_t k = request->search.k <= COP_K_MAX ? request->search.k : 0;
	Py_ssize_t shape[2] = {(Py_ssize_t)rows, (Py_ssize_t)k};
	Py_ssize_t strides[2] = {(Py_ssize_t)(k * sizeof(struct cop_hit)),
				 sizeof(struct cop_hit)};
	uint32_t *counts =
	    scratch_get(&request->scratch, rows * sizeof *counts);
	PyObject *memory =
	    counts ? PyBytes_FromStringAndSize(
			 NULL, (Py_ssize_t)(rows * k * sizeof(struct cop_hit)))
		   : NULL;
	struct cop_hit *hits =
	    memory ? (struct cop_hit *)PyBytes_AsString(memory) : NULL;
	PyObject *result = NULL;
	cop_err err;

	if (!hits)
		return NULL;
	for (size_t i = 0; i < rows * k; i++)
		hits[i] = (struct cop_hit){0, INFINITY};
	request->search.report = NULL;
	Py_BEGIN_ALLOW_THREADS
	err = cop_search_many(read, &request->search, request->vectors.data,
			      rows, threads, hits, counts);
	Py_END_ALLOW_THREADS
	if (err || PyErr_Occurred())
		error_raise(err);
	else
		result = Py_BuildValue(
		    "(NN)",
		    view_make(memory, &hits->id, "Q", sizeof hits->id, 2, shape,
			      strides),
		    view_make(memory, &hits->distance, "d",
			      sizeof hits->distance, 2, shape, strides));
	Py_DECREF(memory);
	return result;
}

PyObject *read_search_many(struct read *read, PyObject *arguments)
{
	struct request request = {0};
	PyObject *result = NULL;
	uint32_t threads = 0;
	cop_read *handle;

	if (!request_from(&request, read, arguments, &threads) &&
	    (handle = read_enter(read))) {
		if (shape_holds(&request, 2))
			result = many_run(&request, handle, threads);
		read_leave(read);
	}
	request_release(&request);
	return result;
}

/* ---- walks -------------------------------------------------------------- */

/* (start, hops, relation, direction, type, tag, limit, threads). */
PyObject *read_walk(struct read *read, PyObject *arguments)
{
	struct cop_walk walk = {.size = sizeof walk};
	struct text relation, type, tag;
	struct cop_step *steps = NULL;
	PyObject *result = NULL;
	uint64_t start;
	Py_ssize_t limit;
	int32_t more = 0;
	size_t count = 0;
	cop_read *handle;
	cop_err err;

	if (!PyArg_ParseTuple(arguments, "O&O&O&iO&O&nO&", u64_from, &start,
			      u32_from, &walk.hops, name_or_none_from,
			      &relation, &walk.direction, name_or_none_from,
			      &type, name_or_none_from, &tag, &limit, u32_from,
			      &walk.threads))
		return NULL;
	walk.start = start;
	walk.relation = relation.data;
	walk.type = type.data;
	walk.tag = tag.data;
	steps = limit > 0 ? PyMem_Malloc((size_t)limit * sizeof *steps) : NULL;
	if (!steps)
		return limit > 0
			   ? PyErr_NoMemory()
			   : PyErr_Format(PyExc_ValueError, "a limit below 1");
	handle = read_enter(read);
	if (handle) {
		Py_BEGIN_ALLOW_THREADS
		err = cop_walk(handle, &walk, steps, (size_t)limit, &count,
			       &more);
		Py_END_ALLOW_THREADS
		result = err ? error_raise(err)
			     : list_of(handle, steps, count, step_to);
		if (result)
			result = Py_BuildValue("(NO)", result,
					       more ? Py_True : Py_False);
		read_leave(read);
	}
	PyMem_Free(steps);
	return result;
}

enum { PATH_STEPS = 256 };

/* (source, target, hops, relation, direction, weight): (steps, cost). */
PyObject *read_path(struct read *read, PyObject *arguments)
{
	struct cop_path path = {.size = sizeof path};
	struct text relation, weight;
	struct scratch scratch = {0};
	struct cop_step *steps;
	PyObject *result = NULL;
	uint64_t source, target;
	double cost = 0;
	size_t room = PATH_STEPS;
	size_t count = 0;
	cop_read *handle;
	cop_err err = 0;

	if (!PyArg_ParseTuple(arguments, "O&O&O&O&iO&", u64_from, &source,
			      u64_from, &target, u32_from, &path.hops,
			      name_or_none_from, &relation, &path.direction,
			      name_or_none_from, &weight))
		return NULL;
	path.source = source;
	path.target = target;
	path.relation = relation.data;
	path.weight = weight.data;
	path.cost = &cost;
	handle = read_enter(read);
	steps = handle ? scratch_get(&scratch, room * sizeof *steps) : NULL;
	while (steps) {
		Py_BEGIN_ALLOW_THREADS
		err = cop_path(handle, &path, steps, room, &count);
		Py_END_ALLOW_THREADS
		if (err || count <= room)
			break;
		room = count;
		steps = scratch_get(&scratch, room * sizeof *steps);
	}
	if (err)
		error_raise(err);
	else if (steps)
		result = list_of(handle, steps, count, step_to);
	if (result)
		result = Py_BuildValue(
		    "(Nd)", result,
		    path.weight || !count ? cost : (double)(count - 1));
	if (handle)
		read_leave(read);
	scratch_release(&scratch);
	return result;
}

static PyObject *neighbor_to(cop_read *read, const void *items, size_t index)
{
	const struct cop_neighbor *neighbor =
	    (const struct cop_neighbor *)items + index;

	return Py_BuildValue("(NNN)", key_to(read, neighbor->id),
			     name_to(read, neighbor->relation),
			     direction_to(neighbor->direction));
}

/* (id, relation, direction): [(key, relation, direction)]. */
PyObject *read_neighbors(struct read *read, PyObject *arguments)
{
	struct cop_neighbor few[64];
	struct cop_neighbor *neighbors = few;
	struct scratch scratch = {0};
	struct text relation;
	PyObject *result = NULL;
	uint64_t id;
	int direction;
	size_t room = sizeof few / sizeof *few;
	size_t count = 0;
	cop_read *handle;
	cop_err err = 0;

	if (!PyArg_ParseTuple(arguments, "O&O&i", u64_from, &id,
			      name_or_none_from, &relation, &direction) ||
	    !(handle = read_enter(read)))
		return NULL;
	while (neighbors) {
		err = cop_neighbors(handle, id, relation.data, direction,
				    neighbors, room, &count);
		if (err || count <= room)
			break;
		room = count;
		neighbors = scratch_get(&scratch, room * sizeof *neighbors);
	}
	if (err)
		error_raise(err);
	else if (neighbors)
		result = list_of(handle, neighbors, count, neighbor_to);
	read_leave(read);
	scratch_release(&scratch);
	return result;
}

/* ---- edges -------------------------------------------------------------- */

static PyObject *edge_properties(cop_read *read, const struct cop_edge *edge)
{
	PyObject *dict = PyDict_New();

	for (uint32_t i = 0; dict && i < edge->property_count; i++) {
		struct cop_value value;
		const char *text;
		size_t size;
		cop_err err =
		    cop_edge_property_at(read, edge, i, &text, &size, &value);
		PyObject *name = err ? error_raise(err) : text_to(text, size);
		PyObject *member = name ? value_to(&value) : NULL;

		if (!member || PyDict_SetItem(dict, name, member))
			Py_CLEAR(dict);
		Py_XDECREF(name);
		Py_XDECREF(member);
	}
	return dict;
}

static PyObject *validity_to(const struct cop_validity *valid)
{
	return Py_BuildValue("((LI)(LI))", (long long)valid->from.seconds,
			     valid->from.nanos, (long long)valid->to.seconds,
			     valid->to.nanos);
}

static int32_t edge_add(void *user, cop_read *read, const struct cop_edge *edge)
{
	PyObject *members[] = {key_to(read, edge->source),
			       name_to(read, edge->relation),
			       key_to(read, edge->target),
			       edge_properties(read, edge),
			       PyLong_FromUnsignedLong(edge->discriminator),
			       validity_to(&edge->valid),
			       PyLong_FromUnsignedLongLong(edge->version)};
	PyObject *record = record_make(binding.edge, members, 7);
	int err = record ? PyList_Append(user, record) : -1;

	Py_XDECREF(record);
	return err;
}

/* (id, direction): [Edge]. */
PyObject *read_edges(struct read *read, PyObject *arguments)
{
	uint64_t id;
	int direction;
	cop_read *handle;
	PyObject *list;
	cop_err err;

	if (!PyArg_ParseTuple(arguments, "O&i", u64_from, &id, &direction) ||
	    !(handle = read_enter(read)))
		return NULL;
	list = PyList_New(0);
	err = list ? cop_edges(handle, id, direction, edge_add, list) : 0;
	read_leave(read);
	if (err) {
		error_raise(err);
		Py_CLEAR(list);
	}
	return list;
}

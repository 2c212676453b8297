/* SPDX-License-Identifier: Apache-2.0 */
#include "marks.h"
#include "error.h"
#include "write.h"

#include <errno.h>

struct mark_view {
	uint64_t commit;
	struct bytes name;
	struct bytes value;
	struct bytes all; /* of its bytes in the list */
};

/* The next one of a list: 1, 0 at the end, -1 if there is none that fits. */
static int mark_next(struct bytes list, size_t *at, struct mark_view *out)
{
	const unsigned char *from;
	size_t left = list.size - *at;
	struct disk_mark head;
	size_t bytes;

	if (!left)
		return 0;
	if (left < sizeof head)
		return -1;
	from = (const unsigned char *)list.data + *at;
	memcpy(&head, from, sizeof head);
	if (!head.name_bytes || head.name_bytes > COP_NAME_BYTES ||
	    head.value_bytes > COP_MARK_BYTES)
		return -1;
	bytes =
	    op_pad(sizeof head + head.name_bytes + (size_t)head.value_bytes);
	if (bytes > left)
		return -1;
	out->commit = head.commit;
	out->name = bytes_of(from + sizeof head, head.name_bytes);
	out->value =
	    bytes_of(from + sizeof head + head.name_bytes, head.value_bytes);
	out->all = bytes_of(from, bytes);
	*at += bytes;
	return 1;
}

static int name_order(struct bytes a, struct bytes b)
{
	return env_key_compare(DB_META, a, b);
}

int marks_are_sound(struct bytes list)
{
	struct mark_view mark, last = {0};
	size_t at = 0;
	int more;

	while ((more = mark_next(list, &at, &mark)) > 0) {
		if (last.name.size && name_order(last.name, mark.name) >= 0)
			return 0;
		last = mark;
	}
	return !more;
}

/* All of them as of a transaction; none is a list of none. */
static cop_err marks_get(const struct env *env, env_txn *txn, struct bytes *out)
{
	int code = env_get(env, txn, DB_META, marks_key(), out);

	if (code == ENV_ABSENT)
		*out = bytes_of("", 0);
	else if (code == ENV_DAMAGED || (!code && !marks_are_sound(*out)))
		return error_set(COP_CORRUPT,
				 "the store's marks are damaged; `coppice "
				 "check --repair` mends them, or restore a "
				 "backup");
	else if (code)
		return error_system(code, "cannot read the store's marks");
	return 0;
}

/* ---- changing ----------------------------------------------------------- */

static struct bytes op_name(const struct op *op)
{
	return bytes_of(op_body(op), op->key_size);
}

static struct bytes op_value(const struct op *op)
{
	return bytes_of(op_body(op) + op_pad(op->key_size), op->record_bytes);
}

static int mark_add(struct buffer *out, uint64_t commit, const struct op *op)
{
	struct bytes value = op_value(op);
	struct disk_mark head = {.commit = commit,
				 .name_bytes = op->key_size,
				 .value_bytes = op->record_bytes};

	return buffer_put(out, &head, sizeof head) ||
		       buffer_put(out, op_body(op), op->key_size) ||
		       buffer_put(out, value.data, value.size) ||
		       buffer_align(out, 8)
		   ? ENOMEM
		   : 0;
}

static int is_same(const struct mark_view *mark, const struct op *op)
{
	struct bytes value = op_value(op);

	return op->option == MARK_SET && mark->value.size == value.size &&
	       (!value.size ||
		!memcmp(mark->value.data, value.data, value.size));
}

/*
 * The list with one mark set or removed.
 * *changed	0: it is as it was
 */
static int list_change(struct bytes list, uint64_t commit, const struct op *op,
		       struct buffer *out, uint32_t *count, int *changed)
{
	int is_set = op->option == MARK_SET;
	struct mark_view mark;
	size_t at = 0;
	int err = 0;

	*count = 0;
	*changed = is_set;
	while (!err && mark_next(list, &at, &mark) > 0) {
		int order = name_order(mark.name, op_name(op));

		if (!order)
			*changed = !is_same(&mark, op);
		if (order >= 0 && is_set) {
			err = mark_add(out, commit, op);
			is_set = 0;
			++*count;
		}
		if (order && !err) {
			err = buffer_put(out, mark.all.data, mark.all.size);
			++*count;
		}
	}
	*count += (uint32_t)is_set;
	return !err && is_set ? mark_add(out, commit, op) : err;
}

static int list_put(const struct apply *apply, const struct buffer *list)
{
	return list->size ? apply_put(apply, DB_META, marks_key(),
				      bytes_of(list->data, list->size))
			  : env_delete(apply->store->env, apply->txn, DB_META,
				       marks_key());
}

cop_err marks_apply(struct apply *apply, const struct op *op)
{
	struct buffer out = {0};
	struct bytes list;
	uint32_t count;
	int changed;
	cop_err err = marks_get(apply->store->env, apply->txn, &list);
	int code = 0;

	if (err)
		return err;
	if (list_change(list, apply->commit, op, &out, &count, &changed))
		err = apply_no_memory();
	else if (count > COP_MARK_COUNT)
		err = error_set(COP_TOO_LARGE,
				"%s: there are %d marks already, which is all "
				"that a store has room for; remove one",
				apply->store->path, COP_MARK_COUNT);
	else if (changed)
		code = list_put(apply, &out);
	apply->marked |= changed;
	buffer_release(&out);
	return code ? apply_failed(apply, code) : err;
}

/* ---- reading ------------------------------------------------------------ */

static struct cop_mark mark_given(const struct mark_view *mark)
{
	return (struct cop_mark){.size = sizeof(struct cop_mark),
				 .name_size = (uint32_t)mark->name.size,
				 .name = mark->name.data,
				 .value = mark->value.data,
				 .value_size = mark->value.size,
				 .commit = mark->commit};
}

cop_err cop_read_mark(cop_read *read, const char *name, size_t name_size,
		      struct cop_mark *out)
{
	struct mark_view mark;
	struct bytes list;
	size_t at = 0;
	cop_err err = read_check(read);

	if (!err && (!name || !out || out->size != sizeof *out))
		err = error_set(COP_INVALID, "no name, or the mark is of "
					     "another size; set .size to its "
					     "sizeof");
	if (!err)
		err = marks_get(read->env, read->txn, &list);
	if (err)
		return err;
	*out = (struct cop_mark){.size = sizeof *out};
	while (mark_next(list, &at, &mark) > 0)
		if (!name_order(mark.name, bytes_of(name, name_size))) {
			*out = mark_given(&mark);
			break;
		}
	return 0;
}

cop_err cop_marks(cop_read *read,
		  int32_t (*visit)(void *user, cop_read *read,
				   const struct cop_mark *mark),
		  void *user)
{
	struct buffer copy = {0}; /* the callback may refresh the read */
	struct mark_view mark;
	struct bytes list;
	size_t at = 0;
	cop_err err = read_check(read);

	if (!err)
		err = marks_get(read->env, read->txn, &list);
	if (!err && buffer_put(&copy, list.data, list.size))
		err = error_system(ENOMEM, "no memory to read the marks");
	list = bytes_of(copy.data, copy.size);
	while (!err && mark_next(list, &at, &mark) > 0) {
		struct cop_mark given = mark_given(&mark);

		error_clear();
		err = error_answer(visit(user, read, &given));
	}
	buffer_release(&copy);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "group.h"
#include "lock.h"
#include "rules.h"
#include "span.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>

static cop_err no_memory(void)
{
	return error_system(ENOMEM,
			    "no memory for the write; commit in smaller "
			    "parts");
}

cop_err write_check(const cop_write *write)
{
	error_clear();
	if (process_is(write->process))
		return 0;
	return error_set(COP_FORKED,
			 "%s: the write was begun before a fork and is the "
			 "parent process's; abort it here (cop_abort) and "
			 "begin a new one",
			 write->store->path);
}

cop_err cop_write_begin(cop_store *store, cop_write **out)
{
	cop_write *write;
	cop_err err = store_use(store);

	if (err)
		return err;
	write = calloc(1, sizeof *write);
	if (!write)
		return no_memory();
	write->store = store;
	write->process = process_stamp();
	*out = write;
	return 0;
}

void cop_abort(cop_write *write)
{
	if (!write)
		return;
	buffer_release(&write->ops);
	names_release(&write->names);
	free(write);
}

size_t cop_write_count(const cop_write *write)
{
	return write->count;
}

size_t cop_write_bytes(const cop_write *write)
{
	return write->ops.size + write->names.text.size;
}

/* ---- checks ------------------------------------------------------------- */

cop_err write_key_check(const void *key, size_t size)
{
	if (!key || !size)
		return error_set(COP_BAD_KEY, "a key is empty; give at least "
					      "one byte");
	if (size > COP_KEY_BYTES)
		return error_set(COP_BAD_KEY,
				 "the key '%.40s...' has %zu bytes; a key may "
				 "have %d",
				 (const char *)key, size, COP_KEY_BYTES);
	return 0;
}

static cop_err vector_check(const cop_store *store, const float *vector,
			    uint32_t dim)
{
	if (!store->config.dim)
		return error_set(COP_BAD_VECTOR,
				 "%s was made without vectors; `init --dim` "
				 "makes a store with them",
				 store->path);
	if (dim != store->config.dim)
		return error_set(COP_BAD_VECTOR,
				 "the vector has %u dimensions, the store %u",
				 dim, store->config.dim);
	return store_vector_check(store, vector, "vector", "; leave it out");
}

/* ---- operations --------------------------------------------------------- */

/* Where a call began, to be gone back to if it fails. */
struct mark {
	size_t size;
	uint32_t count;
	uint32_t names;
};

static struct mark mark_now(const cop_write *write)
{
	return (struct mark){write->ops.size, write->count,
			     names_count(&write->names)};
}

static cop_err mark_back(cop_write *write, struct mark mark, cop_err err)
{
	write->ops.size = mark.size;
	write->count = mark.count;
	names_back(&write->names, mark.names);
	return err;
}

static struct op *op_at(cop_write *write, size_t at)
{
	return (struct op *)(void *)(write->ops.data + at);
}

/* Counts the operation that began at `at` and now is complete. */
static cop_err op_end(cop_write *write, size_t at, const struct op *op)
{
	size_t bytes;

	if (buffer_align(&write->ops, 8))
		return no_memory();
	bytes = write->ops.size - at;
	if (bytes > UINT32_MAX || write->count == UINT32_MAX - 1)
		return error_set(COP_TOO_LARGE, "the write is too large; "
						"commit in smaller parts");
	*op_at(write, at) = *op;
	op_at(write, at)->bytes = (uint32_t)bytes;
	write->count++;
	return 0;
}

static cop_err bytes_put(cop_write *write, const void *data, size_t size)
{
	return buffer_put(&write->ops, data, size) ? no_memory() : 0;
}

static cop_err vector_put(cop_write *write, const float *vector, uint32_t dim)
{
	return bytes_put(write, vector, dim * sizeof *vector);
}

static cop_err put_check(const cop_store *store, const struct cop_put *put)
{
	cop_err err;

	if (!put || put->size != sizeof *put)
		return error_set(COP_INVALID, "the put is of another size; "
					      "set .size to its sizeof");
	err = write_key_check(put->key, put->key_size);
	if (!err && put->vector)
		err = vector_check(store, put->vector, put->dim);
	if (!err && (put->vector_change < COP_VECTOR_KEEP ||
		     put->vector_change > COP_VECTOR_DROP))
		err = error_set(COP_INVALID, "vector_change %d is unknown",
				put->vector_change);
	if (!err && (put->content_change < COP_CONTENT_REPLACE ||
		     put->content_change > COP_CONTENT_KEEP))
		err = error_set(COP_INVALID, "content_change %d is unknown",
				put->content_change);
	if (!err && put->content_change && put->content)
		err = error_set(COP_INVALID, "there is content, and "
					     "content_change says to keep what "
					     "is there; give one of them");
	return err;
}

cop_err cop_put(cop_write *write, const struct cop_put *put)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_PUT};
	cop_err err = write_check(write);

	if (!err)
		err = put_check(write->store, put);
	if (err)
		return err;
	op.option = (uint16_t)(put->vector_change |
			       (put->content_change ? PUT_CONTENT_KEEP : 0));
	op.key_size = put->key_size;
	if (put->content_change == COP_CONTENT_KEEP)
		op_kept_set(&op, put->content_size);
	op.dim = put->vector ? put->dim : 0;
	if (!buffer_add(&write->ops, sizeof op))
		return no_memory();
	err = codec_entity(&write->ops, &write->names, put);
	op.record_bytes = (uint32_t)(write->ops.size - mark.size - sizeof op);
	if (!err && put->vector)
		err = vector_put(write, put->vector, put->dim);
	if (!err)
		err = op_end(write, mark.size, &op);
	return err ? mark_back(write, mark, err) : 0;
}

cop_err cop_put_vector(cop_write *write, const void *key, size_t key_size,
		       const float *vector, uint32_t dim)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_VECTOR,
			.key_size = (uint32_t)key_size,
			.dim = vector ? dim : 0,
			.option = vector ? COP_VECTOR_KEEP : COP_VECTOR_DROP};
	cop_err err = write_check(write);

	if (!err)
		err = write_key_check(key, key_size);
	if (!err && vector)
		err = vector_check(write->store, vector, dim);
	if (!err)
		err = bytes_put(write, &op, sizeof op);
	if (!err)
		err = bytes_put(write, key, key_size);
	if (!err && buffer_align(&write->ops, 8))
		err = no_memory();
	if (!err && vector)
		err = vector_put(write, vector, dim);
	if (!err)
		err = op_end(write, mark.size, &op);
	return err ? mark_back(write, mark, err) : 0;
}

/* An operation that is its head, a few bytes, and a key. */
static cop_err key_op_put(cop_write *write, struct op *op, const void *data,
			  size_t size, const void *key, size_t key_size)
{
	size_t at = write->ops.size;
	cop_err err = write_key_check(key, key_size);

	op->key_size = (uint32_t)key_size;
	if (!err)
		err = bytes_put(write, op, sizeof *op);
	if (!err)
		err = bytes_put(write, data, size);
	if (!err)
		err = bytes_put(write, key, key_size);
	return err ? err : op_end(write, at, op);
}

cop_err cop_delete(cop_write *write, const void *key, size_t key_size)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_DELETE};
	cop_err err = write_check(write);

	if (!err)
		err = key_op_put(write, &op, "", 0, key, key_size);
	return err ? mark_back(write, mark, err) : 0;
}

/* valid: of TAG_ADD_TIMED */
static cop_err tag_change(cop_write *write, const void *key, size_t key_size,
			  const char *tag, size_t tag_size,
			  enum tag_change change,
			  const struct disk_validity *valid)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_TAG, .option = (uint16_t)change};
	cop_err err =
	    names_intern(&write->names, NAME_TAG, tag, tag_size, &op.relation);

	if (!err)
		err = key_op_put(write, &op, valid, valid ? sizeof *valid : 0,
				 key, key_size);
	return err ? mark_back(write, mark, err) : 0;
}

cop_err cop_tag(cop_write *write, const void *key, size_t key_size,
		const char *tag, size_t tag_size)
{
	cop_err err = write_check(write);

	return err ? err
		   : tag_change(write, key, key_size, tag, tag_size, TAG_ADD,
				NULL);
}

cop_err cop_untag(cop_write *write, const void *key, size_t key_size,
		  const char *tag, size_t tag_size)
{
	cop_err err = write_check(write);

	return err ? err
		   : tag_change(write, key, key_size, tag, tag_size, TAG_REMOVE,
				NULL);
}

cop_err cop_tag_valid(cop_write *write, const void *key, size_t key_size,
		      const char *tag, size_t tag_size,
		      const struct cop_validity *valid)
{
	struct disk_validity disk;
	cop_err err = write_check(write);

	if (err || !valid)
		return err ? err : cop_tag(write, key, key_size, tag, tag_size);
	err = codec_validity(valid, "a tag", &disk);
	return err ? err
		   : tag_change(write, key, key_size, tag, tag_size,
				TAG_ADD_TIMED, &disk);
}

cop_err cop_undelete(cop_write *write, const void *key, size_t key_size,
		     uint64_t commit)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_UNDELETE};
	cop_err err = write_check(write);

	if (!err)
		err = key_op_put(write, &op, &commit, sizeof commit, key,
				 key_size);
	return err ? mark_back(write, mark, err) : 0;
}

/* What an edge is named by: head, both keys, the relation's number. */
static cop_err ends_put(cop_write *write, struct op *op,
			const struct cop_put_edge *edge)
{
	cop_err err = write_key_check(edge->source, edge->source_size);

	if (!err)
		err = write_key_check(edge->target, edge->target_size);
	if (!err)
		err = names_intern(&write->names, NAME_RELATION, edge->relation,
				   edge->relation_size, &op->relation);
	op->key_size = (uint32_t)edge->source_size;
	op->target_size = (uint32_t)edge->target_size;
	op->discriminator = edge->discriminator;
	if (!err)
		err = bytes_put(write, op, sizeof *op);
	if (!err)
		err = bytes_put(write, edge->source, edge->source_size);
	if (!err)
		err = bytes_put(write, edge->target, edge->target_size);
	if (!err && buffer_align(&write->ops, 8))
		err = no_memory();
	return err;
}

cop_err cop_put_edge(cop_write *write, const struct cop_put_edge *edge)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_EDGE};
	size_t record_at;
	cop_err err = write_check(write);

	if (err)
		return err;
	if (!edge || edge->size != sizeof *edge)
		return error_set(COP_INVALID, "the edge is of another size; "
					      "set .size to its sizeof");
	if (edge->dangling < COP_DANGLING_REJECT ||
	    edge->dangling > COP_DANGLING_SKIP)
		return error_set(COP_INVALID, "dangling %d is unknown",
				 edge->dangling);
	op.option = (uint16_t)edge->dangling;
	err = ends_put(write, &op, edge);
	record_at = write->ops.size;
	if (!err)
		err = codec_edge(&write->ops, &write->names, edge);
	op.record_bytes = (uint32_t)(write->ops.size - record_at);
	if (!err)
		err = op_end(write, mark.size, &op);
	return err ? mark_back(write, mark, err) : 0;
}

static cop_err unlink_put(cop_write *write, const struct cop_put_edge *edge)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_UNLINK};
	cop_err err = ends_put(write, &op, edge);

	if (!err)
		err = op_end(write, mark.size, &op);
	return err ? mark_back(write, mark, err) : 0;
}

cop_err cop_delete_edge(cop_write *write, const void *source,
			size_t source_size, const char *relation,
			size_t relation_size, const void *target,
			size_t target_size)
{
	struct cop_put_edge edge = {.source = source,
				    .source_size = source_size,
				    .relation = relation,
				    .relation_size = relation_size,
				    .target = target,
				    .target_size = target_size};
	cop_err err = write_check(write);

	return err ? err : unlink_put(write, &edge);
}

cop_err cop_unlink(cop_write *write, const struct cop_put_edge *edge)
{
	cop_err err = write_check(write);

	if (!err && (!edge || edge->size != sizeof *edge))
		err = error_set(COP_INVALID, "the edge is of another size; "
					     "set .size to its sizeof");
	return err ? err : unlink_put(write, edge);
}

/* ---- content ------------------------------------------------------------ */

static cop_err chunk_put(cop_write *write, enum chunk_change change,
			 const struct chunk_op *body, const void *data,
			 size_t size)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_CHUNK, .option = (uint16_t)change};
	size_t at = mark.size + sizeof op + sizeof *body;
	cop_err err = bytes_put(write, &op, sizeof op);

	if (!err)
		err = bytes_put(write, body, sizeof *body);
	if (!err && change == CHUNK_ADD &&
	    content_chunk_put(&write->ops, data, size))
		err = no_memory();
	op.record_bytes = (uint32_t)(write->ops.size - at);
	if (!err)
		err = op_end(write, mark.size, &op);
	return err ? mark_back(write, mark, err) : 0;
}

cop_err write_chunk(cop_write *write, const struct chunk_op *body,
		    const void *data, size_t size)
{
	return chunk_put(write, CHUNK_ADD, body, data, size);
}

cop_err write_upload_drop(cop_write *write, const struct disk_content *content)
{
	struct chunk_op body = {.key = content_key(content, 0)};

	return chunk_put(write, CHUNK_DROP, &body, NULL, 0);
}

/* is_named: data is a struct disk_content, and not packed. */
static cop_err content_put(cop_write *write, const void *key, size_t key_size,
			   const void *data, size_t size, int is_named)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_CONTENT, .key_size = (uint32_t)key_size};
	struct content_op body = {.size = (uint32_t)size};
	size_t at = mark.size + sizeof op + sizeof body;
	cop_err err = bytes_put(write, &op, sizeof op);

	if (!err)
		err = bytes_put(write, &body, sizeof body);
	if (!err)
		err = bytes_put(write, data, size);
	if (!err)
		body.flags = is_named ? ENTITY_CONTENT_CHUNKS
				      : codec_content_pack(&write->ops, at);
	op.record_bytes = (uint32_t)(write->ops.size - at);
	if (!err && buffer_align(&write->ops, 8))
		err = no_memory();
	if (!err)
		err = bytes_put(write, key, key_size);
	if (!err)
		err = op_end(write, mark.size, &op);
	if (err)
		return mark_back(write, mark, err);
	memcpy(write->ops.data + mark.size + sizeof op, &body, sizeof body);
	return 0;
}

cop_err write_content(cop_write *write, const void *key, size_t key_size,
		      const void *data, size_t size)
{
	return content_put(write, key, key_size, data, size, 0);
}

cop_err write_content_named(cop_write *write, const void *key, size_t key_size,
			    const struct disk_content *content)
{
	return content_put(write, key, key_size, content, sizeof *content, 1);
}

/* ---- retention ---------------------------------------------------------- */

cop_err cop_retain(cop_write *write, const struct cop_retention *retention)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_RETAIN};
	struct disk_retention rule;
	cop_err err = write_check(write);

	if (!err && (!retention || retention->size != sizeof *retention))
		err = error_set(COP_INVALID, "the retention is of another "
					     "size; set .size to its sizeof");
	if (!err)
		err = rules_of(retention, &rule);
	if (!err && retention->type)
		err = names_intern(&write->names, NAME_TYPE, retention->type,
				   strlen(retention->type), &op.relation);
	if (!err)
		err = bytes_put(write, &op, sizeof op);
	if (!err)
		err = bytes_put(write, &rule, sizeof rule);
	if (!err)
		err = op_end(write, mark.size, &op);
	return err ? mark_back(write, mark, err) : 0;
}

/* ---- marks -------------------------------------------------------------- */

static cop_err mark_check(const char *name, size_t name_size, const void *value,
			  size_t size)
{
	if (!name || !name_size || name_size > COP_NAME_BYTES ||
	    text_valid_bytes(name, name_size) != name_size)
		return error_set(name && name_size > COP_NAME_BYTES
				     ? COP_TOO_LARGE
				     : COP_BAD_TEXT,
				 "a mark's name has %zu bytes; it is UTF-8 of "
				 "1 to %d",
				 name ? name_size : 0, COP_NAME_BYTES);
	if (value && size > COP_MARK_BYTES)
		return error_set(COP_TOO_LARGE,
				 "the mark '%.*s' has %zu bytes; it may have "
				 "%d",
				 (int)name_size, name, size, COP_MARK_BYTES);
	return 0;
}

cop_err cop_mark(cop_write *write, const char *name, size_t name_size,
		 const void *value, size_t size)
{
	struct mark mark = mark_now(write);
	struct op op = {.kind = OP_MARK,
			.option = value ? MARK_SET : MARK_REMOVE,
			.key_size = (uint32_t)name_size,
			.record_bytes = value ? (uint32_t)size : 0};
	cop_err err = write_check(write);

	if (!err)
		err = mark_check(name, name_size, value, size);
	if (!err)
		err = bytes_put(write, &op, sizeof op);
	if (!err)
		err = bytes_put(write, name, name_size);
	if (!err && buffer_align(&write->ops, 8))
		err = no_memory();
	if (!err && op.record_bytes)
		err = bytes_put(write, value, size);
	if (!err)
		err = op_end(write, mark.size, &op);
	return err ? mark_back(write, mark, err) : 0;
}

/* ---- many puts ---------------------------------------------------------- */

struct put_many {
	cop_write **parts; /* one a thread */
	const struct cop_put *puts;
	size_t count;
	uint32_t threads;
};

static cop_err put_part(void *user, uint32_t thread)
{
	struct put_many *many = user;
	size_t from = many->count * thread / many->threads;
	size_t to = many->count * (thread + 1) / many->threads;
	cop_err err = 0;

	for (size_t i = from; i < to && !err; i++) {
		err = cop_put(many->parts[thread], &many->puts[i]);
		if (err)
			error_prefix("put %zu: ", i);
	}
	return err;
}

/* The numbers of a part's names in the whole write. */
static cop_err names_merge(cop_write *write, const cop_write *part,
			   uint32_t *numbers)
{
	for (uint32_t i = 0; i < names_count(&part->names); i++) {
		const struct name_entry *name =
		    names_entry(&part->names, i + 1);
		cop_err err = names_intern(
		    &write->names, (enum name_space)name->space,
		    (const char *)part->names.text.data + name->text_at,
		    name->size, &numbers[i]);

		if (err)
			return err;
	}
	return 0;
}

static cop_err part_append(cop_write *write, const cop_write *part)
{
	uint32_t count = names_count(&part->names);
	size_t at = write->ops.size;
	uint32_t *numbers = malloc((count + (size_t)1) * sizeof *numbers);
	cop_err err = numbers ? names_merge(write, part, numbers) : no_memory();

	if (!err && buffer_put(&write->ops, part->ops.data, part->ops.size))
		err = no_memory();
	while (!err && at < write->ops.size) {
		struct op *op = op_at(write, at);

		codec_entity_patch(op + 1, 0, numbers);
		at += op->bytes;
	}
	if (!err) {
		write->count += part->count;
		write->names.uses += part->names.uses - count;
	}
	free(numbers);
	return err;
}

cop_err cop_put_many(cop_write *write, const struct cop_put *puts, size_t count,
		     uint32_t threads)
{
	struct put_many many = {.puts = puts,
				.count = count,
				.threads = threads_for(threads, count)};
	struct mark mark = mark_now(write);
	cop_err err = write_check(write);

	if (err || !count)
		return err;
	many.parts = calloc(many.threads, sizeof *many.parts);
	if (!many.parts)
		return no_memory();
	for (uint32_t i = 0; i < many.threads && !err; i++)
		err = cop_write_begin(write->store, &many.parts[i]);
	if (!err)
		err = threads_run(many.threads, put_part, &many);
	for (uint32_t i = 0; i < many.threads && !err; i++)
		err = part_append(write, many.parts[i]);
	for (uint32_t i = 0; i < many.threads; i++)
		cop_abort(many.parts[i]);
	free(many.parts);
	return err ? mark_back(write, mark, err) : 0;
}

/* ---- committing --------------------------------------------------------- */

static void write_empty(cop_write *write)
{
	write->ops.size = 0;
	write->count = 0;
	names_clear(&write->names);
}

static cop_err options_check(const struct cop_commit_options *options,
			     const struct cop_result *result)
{
	if (result && result->size != sizeof *result)
		return error_set(COP_INVALID, "the result is of another size; "
					      "set .size to its sizeof");
	if (options->size != sizeof *options)
		return error_set(COP_INVALID, "the options are of another "
					      "size; set .size to their "
					      "sizeof");
	if (options->durability < COP_DURABLE ||
	    options->durability > COP_LAZY || options->gather_us > 1000000)
		return error_set(COP_INVALID,
				 "durability %d or gather_us %u is out of "
				 "range",
				 options->durability, options->gather_us);
	return 0;
}

/* Tells the caller how it went; err: of the group, before this request's. */
static cop_err result_tell(const cop_store *store,
			   const struct request *request, cop_err err,
			   struct cop_result *result)
{
	if (!err && request->err)
		err = error_set(request->err, "%s", request->words);
	if (!result)
		return err;
	if (!err) {
		*result = request->result;
		result->size = sizeof *result;
	} else {
		result->failed = request->result.failed;
	}
	if (err == COP_UNKNOWN) {
		memcpy(result->ticket.office, store->mailboxes.office->uuid,
		       sizeof result->ticket.office);
		result->ticket.mailbox = request->box;
		result->ticket.number = request->number;
		result->ticket.after = request->after;
	}
	return err;
}

/* What came of it. */
static void commit_count(const cop_write *write, cop_err err,
			 const struct cop_result *result)
{
	const struct figures *figures = &write->store->figures;

	if (err) {
		figures_count(
		    figures,
		    err == COP_CONFLICT ? FIGURE_CONFLICTS : FIGURE_REFUSED, 1);
		return;
	}
	figures_count(figures, FIGURE_WRITES, 1);
	figures_count(figures, FIGURE_WRITE_BYTES, cop_write_bytes(write));
	figures_count(figures, FIGURE_ENTITIES_PUT, result->entities_put);
	figures_count(figures, FIGURE_ENTITIES_DELETED,
		      result->entities_deleted);
	figures_count(figures, FIGURE_EDGES_PUT, result->edges_put);
	figures_count(figures, FIGURE_EDGES_DELETED, result->edges_deleted);
}

cop_err cop_commit_with(cop_write *write,
			const struct cop_commit_options *options,
			struct cop_result *result)
{
	cop_store *store = write->store;
	struct cop_commit_options filled = {.size = sizeof filled};
	struct request request = request_of(write);
	uint64_t since;
	cop_err err = write_check(write);

	if (options)
		filled = *options;
	if (!err)
		err = options_check(&filled, result);
	if (err)
		return err;
	if (!filled.timeout_ms)
		filled.timeout_ms = store->timeout_ms;
	request.durability = filled.durability;
	since = span_begin(store);
	err = group_commit(store, &request, &filled);
	err = result_tell(store, &request, err, result);
	commit_count(write, err, &request.result);
	span_end(store, TIMING_COMMIT, since, 1);
	if (!err)
		write_empty(write);
	return err;
}

cop_err cop_commit(cop_write *write, struct cop_result *result)
{
	return cop_commit_with(write, NULL, result);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "timed.h"
#include "text.h"

#include <errno.h>

struct request request_of(const cop_write *write)
{
	return (struct request){.ops = write->ops.data,
				.ops_bytes = write->ops.size,
				.op_count = write->count,
				.names = names_list(&write->names),
				.result.failed = UINT32_MAX};
}

size_t request_bytes(const struct request *request)
{
	return sizeof(struct request_head) + request->ops_bytes +
	       request->names.count * sizeof(struct name_entry) +
	       op_pad(request->names.text_bytes);
}

int request_pack(const struct request *request, struct buffer *out)
{
	const struct name_list *names = &request->names;
	struct request_head head = {.name_uses = names->uses,
				    .ops_bytes = (uint32_t)request->ops_bytes,
				    .op_count = request->op_count,
				    .name_count = names->count,
				    .text_bytes = (uint32_t)names->text_bytes,
				    .durability =
					(uint32_t)request->durability};

	return buffer_put(out, &head, sizeof head) ||
		       buffer_put(out, request->ops, request->ops_bytes) ||
		       buffer_put(out, names->entries,
				  names->count * sizeof *names->entries) ||
		       buffer_put(out, names->text, names->text_bytes) ||
		       buffer_align(out, 8)
		   ? ENOMEM
		   : 0;
}

void request_fail(struct request *request, cop_err err)
{
	size_t words = strlen(cop_last_error());

	if (words >= sizeof request->words)
		words = sizeof request->words - 1;
	memcpy(request->words, cop_last_error(), words);
	request->words[words] = 0;
	request->err = err;
}

/* ---- checks of what another process packed ------------------------------ */

static cop_err bad(const char *what)
{
	return error_set(COP_CORRUPT,
			 "the %s of a request in shared memory is out of "
			 "range; the process that wrote it is damaged: restart "
			 "it",
			 what);
}

static cop_err names_check(const struct name_list *names)
{
	for (uint32_t i = 0; i < names->count; i++) {
		const struct name_entry *name = &names->entries[i];
		const char *text = (const char *)names->text + name->text_at;

		if (name->space < NAME_TYPE || name->space > NAME_PROPERTY ||
		    !name->size || name->text_at > names->text_bytes ||
		    names->text_bytes - name->text_at < name->size ||
		    text_valid_bytes(text, name->size) != name->size ||
		    name->hash != name_hash((enum name_space)name->space, text,
					    name->size))
			return bad("name");
	}
	return 0;
}

/* What an expectation names, by its kind; see validate.h. */
static cop_err expect_shape_check(const struct op *op)
{
	int ends = op->option == EXPECT_EDGE ? 2 : 0;
	int there = (op->target_size != 0) + (op->record_bytes != 0);

	if (op->option < EXPECT_ENTITY || op->option > EXPECT_KEYS)
		return bad("expectation");
	if (!op->key_size && op->option != EXPECT_KEYS)
		return bad("key or dimension");
	if (there != ends)
		return bad("target");
	return 0;
}

/* Where an operation's parts must lie, by its kind. */
static cop_err op_shape_check(const cop_store *store, const struct op *op)
{
	uint64_t body = op->bytes - sizeof *op;
	uint64_t floats = op->dim * (uint64_t)sizeof(float);
	uint64_t key = op->key_size;
	uint64_t need;

	if ((!key && op->kind != OP_EXPECT && op->kind != OP_RETAIN &&
	     op->kind != OP_CHUNK) ||
	    key > COP_KEY_BYTES || op->target_size > COP_KEY_BYTES ||
	    (op->dim && op->dim != store->config.dim))
		return bad("key or dimension");
	switch (op->kind) {
	case OP_PUT: need = op->record_bytes + floats; break;
	case OP_VECTOR: need = op_pad(key) + floats; break;
	case OP_DELETE:
	case OP_TAG:
	case OP_UNDELETE:
	case OP_CONTENT: need = op_key_at(op) + key; break;
	case OP_EDGE:
		need = op_pad(key + op->target_size) + op->record_bytes;
		break;
	case OP_UNLINK: need = key + op->target_size; break;
	case OP_MARK: need = op_pad(key) + op->record_bytes; break;
	case OP_RETAIN: need = sizeof(struct disk_retention) + key; break;
	case OP_CHUNK: need = sizeof(struct chunk_op) + op->record_bytes; break;
	case OP_EXPECT:
		need =
		    sizeof(uint64_t) + key + op->target_size + op->record_bytes;
		break;
	default: return bad("kind of operation");
	}
	if ((op->record_bytes % 8 && op->kind != OP_EXPECT &&
	     op->kind != OP_CONTENT && op->kind != OP_MARK) ||
	    need > body)
		return bad("size of an operation");
	if ((op->kind == OP_EDGE || op->kind == OP_UNLINK) && !op->target_size)
		return bad("target");
	return op->kind == OP_EXPECT ? expect_shape_check(op) : 0;
}

/* A number of the request's names, of a name of that space. */
static cop_err number_check(uint32_t number, enum name_space space,
			    const struct request *request)
{
	if (!number || number > request->names.count ||
	    request->names.entries[number - 1].space != space)
		return bad("name's number");
	return 0;
}

static cop_err directory_check(const struct disk_property *directory,
			       uint32_t count, const struct request *request)
{
	cop_err err = 0;

	for (uint32_t i = 0; i < count && !err; i++)
		err = number_check(directory[i].name, NAME_PROPERTY, request);
	return err;
}

static cop_err entity_check(const struct op *op, const struct request *request)
{
	struct bytes record = bytes_of(op_body(op), op->record_bytes);
	const struct disk_entity *head = record.data;
	cop_err err = codec_entity_check(record);
	const uint32_t *tags;

	if (!err && head->key_size != op->key_size)
		err = bad("key");
	if (!err && (op->option & ~PUT_CONTENT_KEEP) > COP_VECTOR_DROP)
		err = bad("option");
	if (!err && head->flags & ENTITY_CONTENT_CHUNKS)
		err = bad("content");
	if (!err && timed_is(head) && !timed_is_sound(record))
		err = bad("time");
	if (!err && head->type)
		err = number_check(head->type, NAME_TYPE, request);
	if (err)
		return err;
	tags = codec_tags(head);
	for (uint32_t i = 0; i < head->tag_count && !err; i++)
		err = number_check(tags[i], NAME_TAG, request);
	return err ? err
		   : directory_check(codec_directory(head),
				     head->property_count, request);
}

static cop_err edge_check(const struct op *op, const struct request *request)
{
	struct bytes record =
	    bytes_of(op_body(op) + op_pad(op->key_size + op->target_size),
		     op->record_bytes);
	const struct disk_edge *head = record.data;
	cop_err err = codec_edge_check(record);

	if (!err && op->option > COP_DANGLING_SKIP)
		err = bad("option");
	if (!err)
		err = number_check(op->relation, NAME_RELATION, request);
	return err ? err
		   : directory_check(codec_edge_directory(head),
				     head->property_count, request);
}

static cop_err vector_check(const cop_store *store, const struct op *op)
{
	const float *vector = op_vector(op);
	int is_zero;

	if (!vector_is_finite(vector, op->dim, &is_zero))
		return bad("vector");
	return op->dim && is_zero && store->config.metric == COP_COSINE
		   ? bad("vector")
		   : 0;
}

static cop_err tag_check(const struct op *op, const struct request *request)
{
	struct disk_validity valid;

	if (op->option > TAG_ADD_TIMED)
		return bad("option");
	memcpy(&valid, op_body(op), op_key_at(op));
	if (op->option == TAG_ADD_TIMED && !codec_validity_is(&valid))
		return bad("time");
	return number_check(op->relation, NAME_TAG, request);
}

static cop_err content_check(const struct op *op)
{
	struct content_op body;
	int is_named;

	memcpy(&body, op_body(op), sizeof body);
	is_named = body.flags == ENTITY_CONTENT_CHUNKS;
	if (body.flags > ENTITY_CONTENT_CHUNKS ||
	    body.size > COP_CONTENT_BYTES ||
	    (is_named && op->record_bytes != sizeof(struct disk_content)) ||
	    (!body.flags && body.size != op->record_bytes))
		return bad("content");
	return 0;
}

static cop_err chunk_check(const struct op *op)
{
	struct bytes chunk =
	    bytes_of(op_body(op) + sizeof(struct chunk_op), op->record_bytes);

	if (op->option > CHUNK_DROP || op->key_size)
		return bad("chunk");
	if (op->option == CHUNK_DROP)
		return op->record_bytes ? bad("chunk") : 0;
	return content_chunk_is_sound(chunk) ? 0 : bad("chunk");
}

static cop_err mark_check(const struct op *op)
{
	const char *name = (const char *)op_body(op);

	if (op->option > MARK_REMOVE)
		return bad("option");
	if (op->key_size > COP_NAME_BYTES ||
	    text_valid_bytes(name, op->key_size) != op->key_size ||
	    op->record_bytes > COP_MARK_BYTES ||
	    (op->option == MARK_REMOVE && op->record_bytes))
		return bad("mark");
	return 0;
}

static cop_err op_check(const cop_store *store, const struct op *op,
			const struct request *request)
{
	cop_err err = op_shape_check(store, op);

	if (!err && op->kind == OP_PUT)
		err = entity_check(op, request);
	if (!err && op->kind == OP_EDGE)
		err = edge_check(op, request);
	if (!err && op->kind == OP_UNLINK)
		err = number_check(op->relation, NAME_RELATION, request);
	if (!err && op->kind == OP_RETAIN)
		err = op->key_size ? bad("key")
		      : op->relation
			  ? number_check(op->relation, NAME_TYPE, request)
			  : 0;
	if (!err && op->kind == OP_TAG)
		err = tag_check(op, request);
	if (!err && (op->kind == OP_PUT || op->kind == OP_VECTOR))
		err = vector_check(store, op);
	if (!err && op->kind == OP_CHUNK)
		err = chunk_check(op);
	if (!err && op->kind == OP_CONTENT)
		err = content_check(op);
	if (!err && op->kind == OP_MARK)
		err = mark_check(op);
	return err;
}

static cop_err ops_check(const cop_store *store, const struct request *request)
{
	size_t at = 0;
	cop_err err = 0;

	for (uint32_t i = 0; i < request->op_count && !err; i++) {
		const struct op *op;

		if (request->ops_bytes - at < sizeof *op)
			return bad("count of operations");
		op = request_op(request, at);
		if (op->bytes < sizeof *op || op->bytes % 8 ||
		    op->bytes > request->ops_bytes - at)
			return bad("size of an operation");
		err = op_check(store, op, request);
		at += op->bytes;
	}
	return err || at == request->ops_bytes ? err
					       : bad("count of operations");
}

cop_err request_unpack(const cop_store *store, const void *packed, size_t bytes,
		       struct request *out)
{
	const struct request_head *head = packed;
	const unsigned char *at = (const unsigned char *)(head + 1);
	uint64_t need;
	cop_err err;

	if (bytes < sizeof *head)
		return bad("size");
	need = sizeof *head + (uint64_t)head->ops_bytes +
	       head->name_count * (uint64_t)sizeof(struct name_entry) +
	       op_pad(head->text_bytes);
	if (need != bytes || head->ops_bytes % 8 ||
	    head->name_uses < head->name_count || head->durability > COP_LAZY)
		return bad("size");
	*out = (struct request){.ops = at,
				.ops_bytes = head->ops_bytes,
				.op_count = head->op_count,
				.durability = (int32_t)head->durability,
				.result.failed = UINT32_MAX};
	at += head->ops_bytes;
	out->names = (struct name_list){
	    .entries = (const struct name_entry *)(const void *)at,
	    .count = head->name_count,
	    .text = at + head->name_count * sizeof(struct name_entry),
	    .text_bytes = head->text_bytes,
	    .uses = head->name_uses};
	err = names_check(&out->names);
	return err ? err : ops_check(store, out);
}

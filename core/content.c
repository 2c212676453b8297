/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "clock.h"
#include "past.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <xxhash.h>

int content_named(struct bytes record, struct disk_content *out)
{
	const struct disk_entity *head = record.data;

	if (!(head->flags & ENTITY_CONTENT_CHUNKS))
		return 0;
	memcpy(out, (const char *)record.data + head->content_at, sizeof *out);
	return 1;
}

uint64_t content_named_size(struct bytes record)
{
	struct disk_content content = {.size = 0};

	(void)content_named(record, &content);
	return content.size;
}

struct disk_content_key content_key(const struct disk_content *content,
				    uint32_t number)
{
	struct disk_content_key key = {.number = htobe32(number)};

	memcpy(key.id, content->id, sizeof key.id);
	return key;
}

/* ---- chunks ------------------------------------------------------------- */

int content_chunk_put(struct buffer *out, const void *data, size_t size)
{
	struct disk_chunk head = {.size = (uint32_t)size};
	size_t at = out->size;
	int room = LZ4_compressBound((int)size);
	int packed;

	if (!buffer_add(out, sizeof head + (size_t)room))
		return ENOMEM;
	packed = LZ4_compress_default(
	    data, (char *)out->data + at + sizeof head, (int)size, room);
	head.stored = (uint32_t)packed;
	if (packed <= 0 || (size_t)packed > size - size / 8) {
		memcpy(out->data + at + sizeof head, data, size);
		head.stored = head.size;
	}
	head.hash = XXH3_64bits(out->data + at + sizeof head, head.stored);
	memcpy(out->data + at, &head, sizeof head);
	out->size = at + sizeof head + head.stored;
	return buffer_align(out, 8);
}

/* The header of a chunk that is as long as it says; 0 if none is. */
static int chunk_head(struct bytes chunk, struct disk_chunk *head)
{
	if (chunk.size < sizeof *head)
		return 0;
	memcpy(head, chunk.data, sizeof *head);
	return head->size && head->size <= CHUNK_BYTES &&
	       head->stored <= head->size &&
	       chunk.size == op_pad(sizeof *head + head->stored);
}

int content_chunk_is_sound(struct bytes chunk)
{
	struct disk_chunk head;

	return chunk_head(chunk, &head) &&
	       head.hash == XXH3_64bits((const char *)chunk.data + sizeof head,
					head.stored);
}

int content_chunk_get(struct bytes chunk, void *room, uint32_t *size)
{
	const char *stored =
	    (const char *)chunk.data + sizeof(struct disk_chunk);
	struct disk_chunk head;

	if (!content_chunk_is_sound(chunk) || !chunk_head(chunk, &head))
		return EBADMSG;
	*size = head.size;
	if (head.stored == head.size)
		memcpy(room, stored, head.size);
	else if (LZ4_decompress_safe(stored, room, (int)head.stored,
				     CHUNK_BYTES) != (int)head.size)
		return EBADMSG;
	return 0;
}

/* ---- chunks that come --------------------------------------------------- */

static cop_err gone(void)
{
	return error_set(COP_INVALID,
			 "the chunks of this content are not there, or not all "
			 "of them: a compaction has dropped them, a day after "
			 "they came; stream it in again");
}

/* The head of a content; 0 if there is none. */
static cop_err head_get(const struct apply *apply,
			const struct disk_content_key *of,
			struct disk_content_head *out)
{
	struct disk_content_key key = *of;
	struct bytes value;
	int code;

	key.number = 0;
	*out = (struct disk_content_head){0};
	code = env_get(apply->store->env, apply->txn, DB_CONTENT,
		       bytes_of(&key, sizeof key), &value);
	if (code && code != ENV_ABSENT)
		return apply_failed(apply, code);
	if (!code && value.size == sizeof *out)
		memcpy(out, value.data, sizeof *out);
	return 0;
}

static int head_put(const struct apply *apply,
		    const struct disk_content_key *of,
		    const struct disk_content_head *head)
{
	struct disk_content_key key = *of;

	key.number = 0;
	return env_put(apply->store->env, apply->txn, DB_CONTENT,
		       bytes_of(&key, sizeof key),
		       bytes_of(head, sizeof *head));
}

/* Drops a content with all its chunks. */
static cop_err chunks_drop(struct apply *apply,
			   const struct disk_content *content,
			   const struct disk_content_head *head)
{
	int code = 0;

	for (uint32_t i = 0; !code && i <= head->chunks; i++) {
		struct disk_content_key key = content_key(content, i);

		code = env_delete(apply->store->env, apply->txn, DB_CONTENT,
				  bytes_of(&key, sizeof key));
	}
	return code ? apply_failed(apply, code) : 0;
}

/* Drops what no record has named. */
static cop_err upload_drop(struct apply *apply,
			   const struct disk_content_key *key)
{
	struct disk_content content = {.size = 0};
	struct disk_content_head head;
	cop_err err = head_get(apply, key, &head);

	memcpy(content.id, key->id, sizeof content.id);
	if (err || !head.added_ns)
		return err;
	apply->chunks += head.chunks;
	return chunks_drop(apply, &content, &head);
}

cop_err content_chunk_apply(struct apply *apply, const struct op *op)
{
	struct bytes chunk =
	    bytes_of(op_body(op) + sizeof(struct chunk_op), op->record_bytes);
	struct disk_content_head head;
	struct disk_chunk is;
	struct chunk_op body;
	cop_err err;
	int code;

	memcpy(&body, op_body(op), sizeof body);
	if (op->option == CHUNK_DROP)
		return upload_drop(apply, &body.key);
	memcpy(&is, chunk.data, sizeof is);
	err = head_get(apply, &body.key, &head);
	if (err)
		return err;
	if (be32toh(body.key.number) != head.chunks + 1 ||
	    (head.chunks && !head.added_ns))
		return gone();
	head.chunks++;
	head.size += is.size;
	head.added_ns = clock_ns(CLOCK_REALTIME) | 1; /* never 0 */
	code = env_put(apply->store->env, apply->txn, DB_CONTENT,
		       bytes_of(&body.key, sizeof body.key), chunk);
	if (!code)
		code = head_put(apply, &body.key, &head);
	apply->chunks++;
	return code ? apply_failed(apply, code) : 0;
}

/* ---- content that is given ---------------------------------------------- */

struct twin {
	const struct disk_content *wanted;
	struct disk_content found;
};

/* Whether a version of the entity has the same content. */
static cop_err twin_look(void *user, uint64_t born, uint64_t died,
			 struct bytes record)
{
	struct twin *twin = user;
	const struct disk_content *wanted = twin->wanted;
	struct disk_content content;

	(void)born;
	(void)died;
	if (codec_entity_fault(record) || !content_named(record, &content) ||
	    content.size != wanted->size ||
	    content.hash[0] != wanted->hash[0] ||
	    content.hash[1] != wanted->hash[1])
		return 0;
	twin->found = content;
	return COP_STOPPED;
}

/* Whose it is; that others have it, too. */
static void head_take(struct disk_content_head *head, uint64_t id)
{
	if (head->added_ns)
		head->owner = id;
	else if (head->owner != id)
		head->flags |= CONTENT_SHARED;
	head->added_ns = 0;
}

/* Finds the chunks that a record will name: these, or the same ones. */
static cop_err content_settle(struct apply *apply, uint64_t id,
			      struct disk_content *content)
{
	struct past past = {apply->store->env, apply->txn, apply->commit,
			    apply->commit, apply->state.whole};
	struct twin twin = {.wanted = content};
	struct disk_content_key key = content_key(content, 0);
	struct disk_content_head head;
	cop_err err = head_get(apply, &key, &head);

	if (!err && (!content->chunks || head.chunks != content->chunks ||
		     head.size != content->size))
		return gone();
	if (!err)
		err = past_history(&past, DB_ENTITIES, bytes_of(&id, sizeof id),
				   twin_look, &twin);
	if (err == COP_STOPPED) {
		if (!memcmp(twin.found.id, content->id, sizeof content->id))
			return 0;
		/* at the end, for others may be given it by this write */
		if (buffer_put(&apply->contents,
			       &(struct content_end){.content = *content},
			       sizeof(struct content_end)))
			return apply_failed(apply, ENOMEM);
		*content = twin.found;
		return 0;
	}
	head_take(&head, id);
	if (!err && head_put(apply, &key, &head))
		err = error_system(EIO, "cannot write content");
	return err;
}

static cop_err record_give(struct apply *apply, struct change *change,
			   const struct content_part *part)
{
	struct buffer record = {0};
	struct disk_entity *head;
	struct bytes old;
	cop_err err = apply_record_copy(apply, change->id, &old);

	if (!err)
		err = codec_recontent(&record, old, part);
	if (!err) {
		head = (struct disk_entity *)(void *)record.data;
		head->version = apply->commit;
		err = apply_record(apply, change, head, record.size);
	}
	buffer_release(&record);
	return err;
}

cop_err content_apply(struct apply *apply, const struct op *op)
{
	const unsigned char *stored = op_body(op) + sizeof(struct content_op);
	struct content_part part = {.stored =
					bytes_of(stored, op->record_bytes)};
	struct disk_content content;
	struct content_op body;
	struct change *change;
	cop_err err =
	    apply_entity_make(apply, op_key(op), op->key_size, &change);

	memcpy(&body, op_body(op), sizeof body);
	part.size = body.size;
	part.flags = (uint16_t)body.flags;
	if (!err && body.flags & ENTITY_CONTENT_CHUNKS) {
		memcpy(&content, stored, sizeof content);
		part.stored = bytes_of(&content, sizeof content);
		err = content_settle(apply, change->id, &content);
	}
	if (!err)
		err = record_give(apply, change, &part);
	if (!err)
		apply->request->result.entities_put++;
	return err;
}

cop_err content_keep(struct buffer *kept, struct bytes fresh, struct bytes old)
{
	struct content_part part = codec_content_part(old.data);

	return codec_recontent(kept, fresh, &part);
}

/* ---- content that ends -------------------------------------------------- */

int content_end_note(struct buffer *ends, uint64_t id, struct bytes record)
{
	struct content_end end = {.id = id};

	if (codec_entity_fault(record) || !content_named(record, &end.content))
		return 0;
	return buffer_put(ends, &end, sizeof end);
}

/* Whether a version of the entity names the very content. */
static cop_err same_look(void *user, uint64_t born, uint64_t died,
			 struct bytes record)
{
	const struct disk_content *wanted = user;
	struct disk_content content;

	(void)born;
	(void)died;
	return !codec_entity_fault(record) && content_named(record, &content) &&
		       !memcmp(content.id, wanted->id, sizeof content.id)
		   ? COP_STOPPED
		   : 0;
}

static cop_err content_let_go(struct apply *apply, struct content_end *end)
{
	struct past past = {apply->store->env, apply->txn, apply->commit,
			    apply->commit, apply->state.whole};
	struct disk_content_key key = content_key(&end->content, 0);
	struct disk_content_head head;
	cop_err err = head_get(apply, &key, &head);

	if (err || !head.chunks)
		return err;
	if (!end->id) /* it came, and was there already */
		return head.added_ns ? chunks_drop(apply, &end->content, &head)
				     : 0;
	if (head.added_ns || head.owner != end->id ||
	    head.flags & CONTENT_SHARED)
		return 0;
	err =
	    past_history(&past, DB_ENTITIES, bytes_of(&end->id, sizeof end->id),
			 same_look, &end->content);
	if (err)
		return err == COP_STOPPED ? 0 : err;
	return chunks_drop(apply, &end->content, &head);
}

cop_err content_seal(struct apply *apply)
{
	struct content_end *ends = (void *)apply->contents.data;
	cop_err err = 0;

	for (size_t i = 0; i < apply->contents.size / sizeof *ends && !err; i++)
		err = content_let_go(apply, &ends[i]);
	return err;
}

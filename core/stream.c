/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content in and out, a chunk at a time; see content.h.
 *
 * idea
 *	An upload gathers a chunk, encodes it as an operation of a write of its
 *	own, and commits that write lazily every few chunks: the durable commit
 *	of whoever gives the content to an entity makes all of them durable.
 *	A read keeps the chunk that it decoded last, so reading in small parts
 *	decodes each chunk once.
 */
#include "content.h"
#include "group.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum { UPLOAD_BATCH = 4 << 20 }; /* bytes of a commit */

struct cop_upload {
	cop_write *write; /* chunks not committed yet */
	XXH3_state_t *hash;
	struct buffer chunk; /* bytes not encoded yet */
	struct disk_content content;
	int is_sent; /* some chunks were committed, or may have been */
	int is_given;
	cop_err err; /* it is of no use any more */
};

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for content");
}

/* ---- in ----------------------------------------------------------------- */

/* Takes back what was committed and will never be given. */
static void upload_drop(cop_upload *upload)
{
	struct cop_commit_options lazy = {.size = sizeof lazy,
					  .durability = COP_LAZY};
	cop_write *write;

	if (write_check(upload->write) ||
	    cop_write_begin(upload->write->store, &write))
		return;
	if (!write_upload_drop(write, &upload->content))
		(void)!cop_commit_with(write, &lazy, NULL);
	cop_abort(write);
}

void cop_upload_end(cop_upload *upload)
{
	if (!upload)
		return;
	if (upload->is_sent && (!upload->is_given || upload->err))
		upload_drop(upload);
	cop_abort(upload->write);
	XXH3_freeState(upload->hash);
	buffer_release(&upload->chunk);
	free(upload);
}

cop_err cop_upload_begin(cop_store *store, cop_upload **out)
{
	cop_upload *upload = calloc(1, sizeof *upload);
	cop_err err;

	if (!upload)
		return no_memory();
	err = cop_write_begin(store, &upload->write);
	upload->hash = XXH3_createState();
	if (!err &&
	    (!upload->hash || buffer_reserve(&upload->chunk, CHUNK_BYTES)))
		err = no_memory();
	if (!err && getrandom(upload->content.id, sizeof upload->content.id,
			      0) != sizeof upload->content.id)
		err = error_system(errno, "no random name for content");
	if (err) {
		cop_upload_end(upload);
		return err;
	}
	XXH3_128bits_reset(upload->hash);
	*out = upload;
	return 0;
}

static cop_err chunks_commit(cop_upload *upload)
{
	struct cop_commit_options options = {.size = sizeof options,
					     .durability = COP_LAZY};

	if (!cop_write_count(upload->write))
		return 0;
	upload->is_sent = 1;
	return cop_commit_with(upload->write, &options, NULL);
}

/* Encodes what was gathered. */
static cop_err chunk_encode(cop_upload *upload)
{
	struct buffer *chunk = &upload->chunk;
	struct chunk_op body = {0};
	cop_err err;

	if (!chunk->size)
		return 0;
	if (upload->content.chunks == UINT32_MAX)
		return error_set(COP_TOO_LARGE,
				 "content of %llu bytes is more "
				 "than a store can hold",
				 (unsigned long long)upload->content.size);
	body.key = content_key(&upload->content, upload->content.chunks + 1);
	err = write_chunk(upload->write, &body, chunk->data, chunk->size);
	if (err)
		return err;
	upload->content.chunks++;
	chunk->size = 0;
	return cop_write_bytes(upload->write) < UPLOAD_BATCH
		   ? 0
		   : chunks_commit(upload);
}

static cop_err bytes_add(cop_upload *upload, const void *data, size_t size)
{
	const char *at = data;

	XXH3_128bits_update(upload->hash, data, size);
	upload->content.size += size;
	while (size) {
		size_t part = CHUNK_BYTES - upload->chunk.size;
		cop_err err;

		if (part > size)
			part = size;
		if (buffer_put(&upload->chunk, at, part))
			return no_memory();
		at += part;
		size -= part;
		err = upload->chunk.size == CHUNK_BYTES ? chunk_encode(upload)
							: 0;
		if (err)
			return err;
	}
	return 0;
}

/* Whether it still takes what comes. */
static cop_err upload_check(const cop_upload *upload)
{
	cop_err err = write_check(upload->write);

	if (!err && upload->err)
		err = error_set(COP_INVALID,
				"an earlier part of this content could not be "
				"stored; end it and begin again");
	return err;
}

cop_err cop_upload_add(cop_upload *upload, const void *data, size_t size)
{
	cop_err err = upload_check(upload);

	if (!err && upload->is_given)
		err = error_set(COP_INVALID, "the content was given to an "
					     "entity already; begin another "
					     "one for more");
	if (err || !size)
		return err;
	upload->err = bytes_add(upload, data, size);
	return upload->err;
}

uint64_t cop_upload_size(const cop_upload *upload)
{
	return upload->content.size;
}

/* All that was added is committed, and its hash known. */
static cop_err upload_close(cop_upload *upload)
{
	XXH128_hash_t hash = XXH3_128bits_digest(upload->hash);
	cop_err err = 0;

	upload->content.hash[0] = hash.low64;
	upload->content.hash[1] = hash.high64;
	upload->is_given = 1;
	if (upload->content.size > CONTENT_INLINE) {
		err = chunk_encode(upload);
		if (!err)
			err = chunks_commit(upload);
	}
	upload->err = err;
	return err;
}

cop_err cop_put_content(cop_write *write, const void *key, size_t key_size,
			cop_upload *upload)
{
	cop_err err = upload ? upload_check(upload)
			     : error_set(COP_INVALID, "there is no upload");

	if (!err)
		err = write_check(write);
	if (!err && write->store != upload->write->store)
		err = error_set(COP_INVALID,
				"the content was streamed into another store");
	if (!err)
		err = write_key_check(key, key_size);
	if (!err && !upload->is_given)
		err = upload_close(upload);
	if (err)
		return err;
	return upload->content.size > CONTENT_INLINE
		   ? write_content_named(write, key, key_size, &upload->content)
		   : write_content(write, key, key_size, upload->chunk.data,
				   upload->chunk.size);
}

/* ---- out ---------------------------------------------------------------- */

static cop_err damaged(const cop_read *read, uint32_t number)
{
	return error_set(COP_CORRUPT,
			 "%s: chunk %u of an entity's content is damaged or "
			 "missing; restore a backup",
			 read->store->path, number);
}

/* Has the read's window show a chunk. */
static cop_err window_move(cop_read *read, const struct disk_content *content,
			   uint32_t number)
{
	struct content_window *window = &read->window;
	struct disk_content_key key = content_key(content, number);
	struct bytes chunk;
	int code;

	if (window->bytes && !memcmp(&window->key, &key, sizeof key))
		return 0;
	if (!window->bytes)
		window->bytes = malloc(CHUNK_BYTES);
	if (!window->bytes)
		return no_memory();
	window->key.number = 0; /* it shows nothing until it is filled */
	code = env_get(read->env, read->txn, DB_CONTENT,
		       bytes_of(&key, sizeof key), &chunk);
	if (code && code != ENV_ABSENT)
		return error_system(code, "%s: cannot read", read->store->path);
	if (code || content_chunk_get(chunk, window->bytes, &window->size))
		return damaged(read, number);
	read_tally(read, TALLY_INFLATED, window->size);
	window->key = key;
	return 0;
}

static cop_err chunks_read(cop_read *read, const struct disk_content *content,
			   uint64_t offset, char *out, size_t size)
{
	while (size) {
		uint32_t number = (uint32_t)(offset / CHUNK_BYTES) + 1;
		uint32_t at = (uint32_t)(offset % CHUNK_BYTES);
		size_t part;
		cop_err err = window_move(read, content, number);

		if (err)
			return err;
		if (at >= read->window.size)
			return damaged(read, number);
		part = read->window.size - at;
		if (part > size)
			part = size;
		memcpy(out, read->window.bytes + at, part);
		out += part;
		offset += part;
		size -= part;
	}
	return 0;
}

void content_window_release(struct content_window *window)
{
	free(window->bytes);
	*window = (struct content_window){.bytes = NULL};
}

cop_err cop_content_read(cop_read *read, const struct cop_entity *entity,
			 uint64_t offset, void *data, size_t size, size_t *got)
{
	struct disk_content content;
	struct bytes record = bytes_of(entity->record, entity->record_size);
	const void *whole;
	size_t whole_size;
	cop_err err = read_check(read);

	*got = 0;
	if (err || !entity->id || offset >= entity->content_size)
		return err;
	if (size > entity->content_size - offset)
		size = entity->content_size - offset;
	if (content_named(record, &content)) {
		err = chunks_read(read, &content, offset, data, size);
	} else {
		err = cop_entity_content(read, entity, &whole, &whole_size);
		if (!err &&
		    (offset >= whole_size || whole_size - offset < size))
			err = damaged(read, 0);
		if (!err)
			memcpy(data, (const char *)whole + offset, size);
	}
	if (!err)
		*got = size;
	return err;
}

/* Content that was streamed in, in one piece. */
static cop_err chunks_gather(cop_read *read, const struct disk_content *content,
			     struct bytes *out)
{
	void *room;
	cop_err err;

	if (content->size > COP_CONTENT_BYTES)
		return error_set(COP_TOO_LARGE,
				 "content of %llu bytes in one piece, where "
				 "%d may be; read it in parts",
				 (unsigned long long)content->size,
				 COP_CONTENT_BYTES);
	room = arena_take(&read->arena, content->size);
	if (!room)
		return no_memory();
	err = chunks_read(read, content, 0, room, content->size);
	*out = bytes_of(room, content->size);
	return err;
}

cop_err cop_entity_content(cop_read *read, const struct cop_entity *entity,
			   const void **data, size_t *size)
{
	struct bytes record = bytes_of(entity->record, entity->record_size);
	struct bytes whole = bytes_of(NULL, 0);
	struct disk_content content;
	cop_err err = read_check(read);

	if (!err && entity->id)
		err = content_named(record, &content)
			  ? chunks_gather(read, &content, &whole)
			  : codec_content(&read->arena, record, &whole);
	if (err)
		return err;
	*data = whole.data;
	*size = whole.size;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backupfile.h"
#include "limit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <lz4.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { WAIT_MS = 1000, FIRST_BYTES = 16 };

static uint64_t seal_of(const void *data, size_t bytes, uint64_t before)
{
	return XXH3_64bits_withSeed(data, bytes, before);
}

static uint64_t header_seal(const struct backup_header *header)
{
	return seal_of(header, offsetof(struct backup_header, seal), 0);
}

static uint64_t first_seal(const struct backup_header *header)
{
	return seal_of(header, FIRST_BYTES, 0);
}

static uint64_t chunk_seal(const struct backup_chunk *head, uint64_t before)
{
	return seal_of(head, offsetof(struct backup_chunk, seal), before);
}

static uint64_t hash_of(const void *data, size_t bytes)
{
	return XXH3_64bits(data, bytes);
}

struct cop_backup_info backup_info(const struct backup_header *header,
				   const struct backup_totals *totals,
				   uint64_t bytes)
{
	struct cop_backup_info info = {.size = sizeof info,
				       .format = header->store.format,
				       .dim = header->store.dim,
				       .metric = header->store.metric,
				       .rows = header->store.rows,
				       .codes =
					   header->store.codes + COP_CODES_U8,
				       .commit = header->state.commit,
				       .oldest = header->state.oldest,
				       .commit_time_ns = header->state.time_ns,
				       .taken_ns = header->taken_ns,
				       .entities = header->state.entities,
				       .edges = header->state.edges,
				       .vectors = header->state.vectors,
				       .data_bytes = totals->bytes,
				       .bytes = bytes};

	for (int i = 0; i < BACKUP_DATABASES; i++)
		info.entries += totals->entries[i];
	for (size_t i = 0; i < FORMAT_UUID_BYTES; i++)
		snprintf(info.uuid + 2 * i, 3, "%02x", header->store.uuid[i]);
	snprintf(info.coppice, sizeof info.coppice, "%.*s",
		 (int)sizeof header->coppice, header->coppice);
	return info;
}

/* ---- writing ------------------------------------------------------------ */

/* Waits until somebody takes bytes; asks now and then whether to go on. */
static cop_err out_wait(struct backup_out *out)
{
	struct pollfd fd = {.fd = out->fd, .events = POLLOUT};
	cop_err err = 0;

	while (!err && poll(&fd, 1, WAIT_MS) <= 0)
		err = out->wait(out->user);
	return err;
}

static cop_err out_write(struct backup_out *out, const void *data, size_t bytes)
{
	const unsigned char *at = data;

	while (bytes) {
		cop_err err = out_wait(out);
		ssize_t put;

		if (err)
			return err;
		put = write(out->fd, at, bytes < out->step ? bytes : out->step);
		if (put < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (put <= 0)
			return error_system(put ? errno : ENOSPC,
					    "cannot write the backup");
		at += put;
		bytes -= (size_t)put;
		out->offset += (uint64_t)put;
	}
	return 0;
}

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for a backup");
}

cop_err backup_out_begin(struct backup_out *out, struct backup_header *header)
{
	struct stat st;

	if (fstat(out->fd, &st))
		return error_system(errno, "cannot write the backup");
	out->is_file = S_ISREG(st.st_mode);
	/* a pipe that is ready has room for so much; more would sleep */
	out->step = out->is_file ? BACKUP_CHUNK_BYTES : PIPE_BUF;
	out->chunk = malloc(BACKUP_CHUNK_BYTES);
	out->room = malloc(BACKUP_CHUNK_BYTES);
	if (!out->chunk || !out->room)
		return no_memory();
	header->magic = BACKUP_MAGIC;
	header->format = BACKUP_FORMAT;
	header->bytes = sizeof *header;
	header->first_seal = first_seal(header);
	header->chunk_bytes = BACKUP_CHUNK_BYTES;
	snprintf(header->coppice, sizeof header->coppice, "%s", cop_version());
	header->seal = header_seal(header);
	out->seal = header->seal;
	return out_write(out, header, sizeof *header);
}

/* What saves less than a sixteenth is not worth unpacking. */
static uint32_t chunk_pack(const struct backup_out *out)
{
	uint32_t most = out->used - out->used / 16;
	int packed = out->is_plain || !most
			 ? 0
			 : LZ4_compress_default((const char *)out->chunk,
						(char *)out->room,
						(int)out->used, (int)most);

	return packed > 0 ? (uint32_t)packed : out->used;
}

static cop_err chunk_write(struct backup_out *out, enum backup_kind kind)
{
	struct backup_chunk head = {.kind = kind,
				    .bytes = out->used,
				    .stored = chunk_pack(out),
				    .number = out->totals.chunks};
	const void *data = head.stored < head.bytes ? out->room : out->chunk;
	cop_err err;

	head.hash = hash_of(data, head.stored);
	head.seal = chunk_seal(&head, out->seal);
	err = out_write(out, &head, sizeof head);
	if (!err)
		err = out_write(out, data, head.stored);
	/* to the disk as it comes: commits would wait for a lot at the end */
	if (out->is_file)
		(void)sync_file_range(out->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	out->seal = head.seal;
	out->totals.chunks++;
	out->used = 0;
	return err;
}

static cop_err stream_put(struct backup_out *out, const void *data,
			  size_t bytes)
{
	const unsigned char *from = data;
	cop_err err = 0;

	out->totals.bytes += bytes;
	while (bytes && !err) {
		size_t room = BACKUP_CHUNK_BYTES - out->used;
		size_t part = bytes < room ? bytes : room;

		memcpy(out->chunk + out->used, from, part);
		out->used += (uint32_t)part;
		from += part;
		bytes -= part;
		if (out->used == BACKUP_CHUNK_BYTES)
			err = chunk_write(out, BACKUP_DATA);
	}
	return err;
}

cop_err backup_out_entry(struct backup_out *out, enum env_db db,
			 struct bytes key, struct bytes value)
{
	struct backup_entry entry = {.value_bytes = (uint32_t)value.size,
				     .key_bytes = (uint16_t)key.size,
				     .db = (uint8_t)db};
	cop_err err = stream_put(out, &entry, sizeof entry);

	if (!err)
		err = stream_put(out, key.data, key.size);
	if (!err)
		err = stream_put(out, value.data, value.size);
	out->totals.entries[db]++;
	return err;
}

cop_err backup_out_end(struct backup_out *out)
{
	cop_err err = out->used ? chunk_write(out, BACKUP_DATA) : 0;

	if (err)
		return err;
	memcpy(out->chunk, &out->totals, sizeof out->totals);
	out->used = sizeof out->totals;
	return chunk_write(out, BACKUP_END);
}

void backup_out_release(struct backup_out *out)
{
	free(out->chunk);
	free(out->room);
}

/* ---- reading ------------------------------------------------------------ */

static cop_err damaged(const struct backup_in *in, const char *what)
{
	return error_set(COP_CORRUPT,
			 "the backup is damaged before byte %" PRIu64
			 ", in chunk %" PRIu64 ": %s; use another one",
			 in->offset, in->totals.chunks, what);
}

/* Reads up to so many bytes; fewer are there: *got. */
static cop_err in_read(struct backup_in *in, void *to, size_t bytes,
		       size_t *got)
{
	struct pollfd fd = {.fd = in->fd, .events = POLLIN};
	unsigned char *at = to;

	cop_err err = 0;
	ssize_t part = 1;

	*got = 0;
	while (!err && part && *got < bytes) {
		part = read(in->fd, at + *got, bytes - *got);
		if (part >= 0) {
			*got += (size_t)part;
			in->offset += (uint64_t)part;
		} else if (errno == EINTR) {
			err = in->wait(in->user);
		} else if (errno == EAGAIN) {
			(void)poll(&fd, 1, WAIT_MS);
		} else {
			err = error_system(errno, "cannot read the backup");
		}
	}
	return err;
}

static cop_err in_read_all(struct backup_in *in, void *to, size_t bytes)
{
	size_t got;
	cop_err err = in_read(in, to, bytes, &got);

	if (err || got == bytes)
		return err;
	return error_set(COP_CORRUPT,
			 "the backup was cut off: it stops at byte %" PRIu64
			 ", in chunk %" PRIu64 ", before its end; use another "
			 "one",
			 in->offset, in->totals.chunks);
}

/* What is the same in all formats: a backup it is, and of which format. */
static cop_err first_read(struct backup_in *in)
{
	struct backup_header *header = &in->header;
	size_t bytes = FIRST_BYTES + sizeof header->first_seal;
	size_t got;
	cop_err err = in_read(in, header, bytes, &got);

	if (err)
		return err;
	if (!got)
		return error_set(COP_CORRUPT, "the backup is empty; use "
					      "another one");
	if (got >= sizeof header->magic && header->magic != BACKUP_MAGIC)
		return error_set(COP_CORRUPT,
				 "this is no backup of coppice's, or its first "
				 "bytes are damaged; a compressed one is to be "
				 "unpacked first");
	if (got < bytes)
		return in_read_all(in, header, 1); /* says where */
	if (header->first_seal != first_seal(header))
		return damaged(in, "the header's first bytes");
	if (header->format != BACKUP_FORMAT)
		return error_set(COP_VERSION,
				 "the backup is of format %" PRIu32
				 " and this coppice reads %d; install a %s one",
				 header->format, BACKUP_FORMAT,
				 header->format > BACKUP_FORMAT ? "newer"
								: "older");
	return header->bytes == sizeof *header
		   ? 0
		   : damaged(in, "the header's length");
}

cop_err backup_in_begin(struct backup_in *in)
{
	struct backup_header *header = &in->header;
	cop_err err;

	in->chunk = malloc(BACKUP_CHUNK_BYTES);
	in->room = malloc(BACKUP_CHUNK_BYTES);
	if (!in->chunk || !in->room)
		return no_memory();
	err = first_read(in);
	if (!err)
		err = in_read_all(in, (char *)header + in->offset,
				  sizeof *header - in->offset);
	if (err)
		return err;
	if (header->seal != header_seal(header))
		return damaged(in, "the header");
	if (header->store.format != FORMAT_VERSION)
		return error_set(
		    COP_VERSION,
		    "the backup is of a store of format %" PRIu32
		    " and this coppice reads %d; install a %s one",
		    header->store.format, FORMAT_VERSION,
		    header->store.format > FORMAT_VERSION ? "newer" : "older");
	if (header->chunk_bytes != BACKUP_CHUNK_BYTES ||
	    header->store.magic != FORMAT_MAGIC)
		return damaged(in, "the header's contents");
	in->seal = header->seal;
	return 0;
}

/* The totals are those that were counted, and the backup ends here. */
static cop_err end_check(struct backup_in *in)
{
	char rest;
	size_t got;
	cop_err err;

	if (in->used != sizeof in->totals ||
	    memcmp(in->chunk, &in->totals, sizeof in->totals) != 0)
		return damaged(in, "the totals are not those of the chunks");
	err = in_read(in, &rest, 1, &got);
	if (err)
		return err;
	if (got)
		return error_set(COP_CORRUPT,
				 "the backup ends at byte %" PRIu64
				 " and something else follows; it may be two "
				 "in one file",
				 in->offset - 1);
	in->is_ended = 1;
	return 0;
}

/* The bytes of a chunk whose header fits. */
static cop_err chunk_fill(struct backup_in *in, const struct backup_chunk *head)
{
	void *to = head->stored < head->bytes ? in->room : in->chunk;
	cop_err err = in_read_all(in, to, head->stored);

	if (err)
		return err;
	if (head->hash != hash_of(to, head->stored))
		return damaged(in, "its bytes are not those that were written");
	if (to == in->room &&
	    LZ4_decompress_safe(to, (char *)in->chunk, (int)head->stored,
				(int)head->bytes) != (int)head->bytes)
		return damaged(in, "its bytes cannot be unpacked");
	in->at = 0;
	in->used = head->bytes;
	in->seal = head->seal;
	return 0;
}

static cop_err chunk_next(struct backup_in *in)
{
	struct backup_chunk head;
	cop_err err = in_read_all(in, &head, sizeof head);

	if (err)
		return err;
	if (head.seal != chunk_seal(&head, in->seal))
		return damaged(in, "it is not the chunk that belongs here");
	if ((head.kind != BACKUP_DATA && head.kind != BACKUP_END) ||
	    !head.bytes || head.bytes > BACKUP_CHUNK_BYTES ||
	    head.stored > head.bytes || head.number != in->totals.chunks)
		return damaged(in, "its header's numbers are out of range");
	err = chunk_fill(in, &head);
	if (!err && head.kind == BACKUP_END)
		return end_check(in);
	in->totals.chunks++;
	return err;
}

/* The next bytes of the stream; `to` may be NULL. */
static cop_err stream_get(struct backup_in *in, void *to, size_t bytes)
{
	unsigned char *at = to;

	while (bytes) {
		size_t part = in->used - in->at;
		cop_err err = part ? 0 : chunk_next(in);

		if (err)
			return err;
		if (in->is_ended)
			return damaged(in, "the last entry is not complete");
		part = in->used - in->at;
		part = part < bytes ? part : bytes;
		if (at)
			memcpy(at, in->chunk + in->at, part);
		at = at ? at + part : NULL;
		in->at += (uint32_t)part;
		in->totals.bytes += part;
		bytes -= part;
	}
	return 0;
}

/* Whether the entry may follow the last one. */
static int entry_follows(const struct backup_entry *entry, const void *key,
			 const struct backup_entry *last, const void *last_key)
{
	if (!last->key_bytes || entry->db != last->db)
		return entry->db >= last->db;
	return env_key_compare((enum env_db)entry->db,
			       bytes_of(key, entry->key_bytes),
			       bytes_of(last_key, last->key_bytes)) > 0;
}

static cop_err entry_read(struct backup_in *in)
{
	unsigned char last_key[sizeof in->key];
	struct backup_entry last = in->entry;
	struct backup_entry *entry = &in->entry;
	cop_err err = stream_get(in, entry, sizeof *entry);

	if (err)
		return err;
	if (entry->db >= DB_COUNT ||
	    !env_key_fits((enum env_db)entry->db, entry->key_bytes))
		return damaged(in, "an entry's numbers are out of range");
	memcpy(last_key, in->key, last.key_bytes);
	err = stream_get(in, in->key, entry->key_bytes);
	if (err)
		return err;
	if (!entry_follows(entry, in->key, &last, last_key))
		return damaged(in, "its entries are not in order");
	in->value_left = entry->value_bytes;
	in->totals.entries[entry->db]++;
	return 0;
}

cop_err backup_in_entry(struct backup_in *in)
{
	cop_err err = stream_get(in, NULL, in->value_left);

	in->value_left = 0;
	while (!err && !in->is_ended && in->at == in->used)
		err = chunk_next(in);
	return err || in->is_ended ? err : entry_read(in);
}

cop_err backup_in_value(struct backup_in *in, void *to)
{
	size_t bytes = in->value_left;

	in->value_left = 0;
	return stream_get(in, to, bytes);
}

void backup_in_release(struct backup_in *in)
{
	free(in->chunk);
	free(in->room);
}

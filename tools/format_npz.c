/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npz: an array among those that numpy.savez() put into one file.
 *
 * source
 *	PKWARE's APPNOTE.TXT 6.3.10: 4.3.7 local header, 4.3.12 directory,
 *	4.3.16 its end, 4.5.3 the extra field with 64-bit sizes.
 *
 * layout
 *	local header, member NAME.npy, ..., directory, end of the directory
 *	The end is the last 22 bytes, or before a comment; the directory tells
 *	where members are, how long and whether stored or deflated.
 *
 * idea
 *	The array that is asked for, or the one called "vectors" or "emb...",
 *	or the only one with rows; the reader is then set to that member alone
 *	and it is read as a .npy file.
 *
 * limits
 *	The file must be one that can be sought in, so no pipe, and its
 *	directory has NPZ_DIRECTORY_MAX bytes at most.  The CRC-32 is that of
 *	the directory, and known to be right only when the member has been read
 *	to its end, so rows before that may have been put.
 */
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NPZ_END_BYTES = 22,
	NPZ_END_MAX = NPZ_END_BYTES + 65535,
	NPZ_ENTRY_BYTES = 46,
	NPZ_LOCAL_BYTES = 30,
	NPZ_DIRECTORY_MAX = 1048576,
	NPZ_STORED = 0,
	NPZ_DEFLATED = 8
};

struct npz_member {
	const unsigned char *name; /* without .npy */
	size_t name_size;
	uint64_t offset; /* of its local header */
	uint64_t packed; /* its bytes in the file */
	uint64_t bytes;	 /* unpacked */
	uint32_t crc;	 /* of those */
	uint32_t method;
};

struct npz {
	struct reader *reader;
	unsigned char *directory;
	size_t size, at;
};

static uint64_t npz_number(const unsigned char *data, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = bytes; i-- > 0;)
		value = value << 8 | data[i];
	return value;
}

static int npz_broken(const struct npz *npz, const char *what,
		      struct fault *fault)
{
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: %s; is this .npz, and complete?",
			 npz->reader->name, what);
}

static int npz_read(const struct npz *npz, uint64_t offset, void *out,
		    size_t size, struct fault *fault)
{
	if (offset > INT64_MAX ||
	    pread(npz->reader->fd, out, size, (off_t)offset) != (ssize_t)size)
		return npz_broken(npz, "a part of it is not there", fault);
	return 0;
}

/* Reads the directory, found from the end of the file. */
static int npz_open(struct npz *npz, struct fault *fault)
{
	uint64_t bytes = npz->reader->file_bytes, offset;
	size_t have = bytes < NPZ_END_MAX ? (size_t)bytes : NPZ_END_MAX, at;
	unsigned char *tail = malloc(NPZ_END_MAX);
	int code = 0;

	if (!tail)
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	if (have < NPZ_END_BYTES)
		code = npz_broken(npz, "it is no file that ends in a directory",
				  fault);
	if (!code)
		code = npz_read(npz, bytes - have, tail, have, fault);
	if (code)
		goto out;
	for (at = have - NPZ_END_BYTES; at && memcmp(tail + at, "PK\5\6", 4);)
		at--;
	npz->size = (size_t)npz_number(tail + at + 12, 4);
	offset = npz_number(tail + at + 16, 4);
	if (memcmp(tail + at, "PK\5\6", 4))
		code = npz_broken(npz, "its directory is not there", fault);
	else if (npz->size > NPZ_DIRECTORY_MAX || offset == UINT32_MAX)
		code = npz_broken(npz, "its directory is too large", fault);
	if (code)
		goto out;
	npz->directory = malloc(npz->size + 1);
	code = npz->directory
		   ? npz_read(npz, offset, npz->directory, npz->size, fault)
		   : fault_set(fault, EXIT_NO_SPACE, "out of memory");
out:
	free(tail);
	return code;
}

/* Sizes and offsets of 64 bits, in the order in which they are missing. */
static void npz_wide(struct npz_member *member, const unsigned char *extra,
		     size_t bytes)
{
	while (bytes >= 4) {
		size_t tag_bytes = (size_t)npz_number(extra + 2, 2) + 4;
		uint64_t *wide[] = {&member->bytes, &member->packed,
				    &member->offset};
		size_t at = 4;

		if (tag_bytes > bytes)
			return;
		for (int i = 0; npz_number(extra, 2) == 1 && i < 3; i++) {
			if (*wide[i] != UINT32_MAX || at + 8 > tag_bytes)
				continue;
			*wide[i] = npz_number(extra + at, 8);
			at += 8;
		}
		extra += tag_bytes;
		bytes -= tag_bytes;
	}
}

/* The next array of the directory; 0 if there is none. */
static int npz_next(struct npz *npz, struct npz_member *member)
{
	while (npz->size - npz->at >= NPZ_ENTRY_BYTES) {
		const unsigned char *entry = npz->directory + npz->at;
		size_t name = (size_t)npz_number(entry + 28, 2);
		size_t extra = (size_t)npz_number(entry + 30, 2);
		size_t all = NPZ_ENTRY_BYTES + name + extra +
			     (size_t)npz_number(entry + 32, 2);

		if (memcmp(entry, "PK\1\2", 4) || all > npz->size - npz->at)
			return 0;
		npz->at += all;
		member->name = entry + NPZ_ENTRY_BYTES;
		if (name < 4 || memcmp(member->name + name - 4, ".npy", 4))
			continue;
		member->name_size = name - 4;
		member->method = (uint32_t)npz_number(entry + 10, 2);
		member->crc = (uint32_t)npz_number(entry + 16, 4);
		member->packed = npz_number(entry + 20, 4);
		member->bytes = npz_number(entry + 24, 4);
		member->offset = npz_number(entry + 42, 4);
		npz_wide(member, member->name + name, extra);
		return 1;
	}
	return 0;
}

/*
 * Sets the reader to a member; what is only looked at is not checked, so that
 * one that is damaged is said to be, not passed over.
 */
static int npz_enter(const struct npz *npz, const struct npz_member *member,
		     int is_checked, struct fault *fault)
{
	const char *name = (const char *)member->name;
	unsigned char local[NPZ_LOCAL_BYTES];
	struct reader_part part = {.size = member->packed,
				   .bytes = member->bytes,
				   .crc = member->crc,
				   .is_deflated =
				       member->method == NPZ_DEFLATED,
				   .is_checked = is_checked};

	if (npz_read(npz, member->offset, local, sizeof local, fault))
		return fault->code;
	if (memcmp(local, "PK\3\4", 4))
		return npz_broken(npz,
				  "a member is not where its directory "
				  "says",
				  fault);
	if (member->method != NPZ_STORED && member->method != NPZ_DEFLATED)
		return fault_set(
		    fault, EXIT_BAD_INPUT,
		    "%s: member '%.*s.npy' is packed by method %u; "
		    "numpy stores and deflates",
		    npz->reader->name, (int)member->name_size, name,
		    member->method);
	part.offset = member->offset + NPZ_LOCAL_BYTES +
		      npz_number(local + 26, 2) + npz_number(local + 28, 2);
	snprintf(part.name, sizeof part.name, "%.*s", (int)member->name_size,
		 name);
	return reader_window(npz->reader, &part, fault);
}

/* How well an array would do, 0: not. */
static int npz_rank(const struct npz *npz, const struct npz_member *member,
		    struct fault *fault)
{
	struct rows rows = {.reader = npz->reader};
	const char *wanted = npz->reader->member;
	const char *name = (const char *)member->name;

	if (wanted)
		return strlen(wanted) == member->name_size &&
		       !memcmp(wanted, name, member->name_size);
	if (npz_enter(npz, member, 0, fault) || npy_begin(&rows, fault) ||
	    rows.count == 1) {
		fault_clear(fault);
		return 0;
	}
	return 1 + (member->name_size >= 3 && !memcmp(name, "emb", 3)) +
	       2 * (member->name_size == 7 && !memcmp(name, "vectors", 7));
}

static int npz_none(struct npz *npz, int best, const char *names,
		    struct fault *fault)
{
	const char *name = npz->reader->name;

	if (npz->reader->member)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "%s: has no array '%s'; it has %s", name,
				 npz->reader->member, names);
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: %s of its arrays is rows of vectors; it has %s. "
			 "Try: --array NAME",
			 name, best ? "more than one" : "none", names);
}

int npz_begin(struct rows *rows, struct fault *fault)
{
	struct npz npz = {.reader = rows->reader};
	struct npz_member member, best = {0};
	int best_rank = 0, is_alone = 1, rank;
	char names[256] = "";
	size_t size = 0;

	if (npz_open(&npz, fault))
		goto out;
	while (npz_next(&npz, &member)) {
		rank = npz_rank(&npz, &member, fault);
		is_alone = rank > best_rank || (is_alone && rank < best_rank) ||
			   (is_alone && !rank);
		if (rank > best_rank) {
			best = member;
			best_rank = rank;
		}
		if (size < sizeof names)
			size += (size_t)snprintf(
			    names + size, sizeof names - size, "%s%.*s",
			    size ? ", " : "", (int)member.name_size,
			    (const char *)member.name);
	}
	if (!best_rank || !is_alone)
		npz_none(&npz, best_rank, names, fault);
	else if (!npz_enter(&npz, &best, 1, fault))
		npy_begin(rows, fault);
out:
	free(npz.directory);
	return fault->code;
}

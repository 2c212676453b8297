/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: which types, relations, tags and properties there are, and how often.
 *
 * idea
 *	The dictionary lists them in order and keeps how many there are of
 *	each.  Of the past, and of tags at a point in time, that is counted: a
 *	type's or tag's list is gone through, and for relations all edges are,
 *	once.
 */
#include "past.h"
#include "timed.h"
#include "valid.h"

#include <errno.h>
#include <stdlib.h>

struct listing {
	cop_read *read;
	enum name_space space;
	int32_t (*visit)(void *user, cop_read *read,
			 const struct cop_name_count *name);
	void *user;
	uint64_t *edges; /* by a relation's number, of the past */
};

static cop_err cannot_read(const struct listing *listing, int code)
{
	return error_system(code, "%s: cannot read",
			    listing->read->store->path);
}

/* ---- the past, and other times ------------------------------------------ */

static cop_err members_count(const struct listing *listing, uint32_t name,
			     uint64_t *count)
{
	struct disk_member_key first = format_member_key(name, 0);
	struct past past = past_of(listing->read);
	struct disk_member_key at;
	struct past_range range;
	struct bytes key;
	struct bytes value;
	cop_err err = 0;
	int code = past_open(&range, &past, DB_MEMBERS,
			     bytes_of(&first, sizeof first), sizeof first.name);

	*count = 0;
	if (code)
		return cannot_read(listing, code);
	while (!err && !(code = past_next(&range, &key, &value)) &&
	       key.size == sizeof at) {
		int has = 1;

		memcpy(&at, key.data, sizeof at);
		if (listing->space == NAME_TAG)
			err = read_timed_has(listing->read, format_join(at.id),
					     name, &has);
		*count += (uint64_t)has;
	}
	past_close(&range);
	return err || code == ENV_ABSENT ? err : cannot_read(listing, code);
}

static cop_err edges_count(struct listing *listing)
{
	uint64_t names = listing->read->state.next_name;
	struct disk_edge_key parts = format_edge_first(0);
	struct past past = past_of(listing->read);
	struct past_range range;
	struct bytes key;
	struct bytes value;
	cop_err err = 0;
	int code;

	listing->edges = calloc(names, sizeof *listing->edges);
	if (!listing->edges)
		return error_system(ENOMEM, "no memory to count edges");
	code = past_open(&range, &past, DB_EDGES,
			 bytes_of(&parts, sizeof parts), 0);
	if (code)
		return cannot_read(listing, code);
	while (!err && !(code = past_next(&range, &key, &value))) {
		int seen = 0;

		if (key.size != sizeof parts)
			continue;
		err = valid_is_seen(listing->read, DB_EDGES, value, &seen);
		memcpy(&parts, key.data, sizeof parts);
		if (be32toh(parts.relation) < names)
			listing->edges[be32toh(parts.relation)] +=
			    (uint64_t)seen;
	}
	past_close(&range);
	return err || code == ENV_ABSENT ? err : cannot_read(listing, code);
}

/* ---- one ---------------------------------------------------------------- */

static cop_err count_of(const struct listing *listing, uint32_t name,
			uint64_t *count)
{
	cop_read *read = listing->read;
	struct name_use use;
	cop_err err;

	*count = 0;
	if (listing->space == NAME_PROPERTY)
		return 0;
	if (listing->edges) {
		*count = listing->edges[name];
		return 0;
	}
	if (read_is_past(read) ||
	    (read->is_timed && listing->space == NAME_TAG))
		return members_count(listing, name, count);
	err = dict_use(read->env, read->txn, name, &use);
	*count = use.count;
	return err;
}

static cop_err name_tell(const struct listing *listing, struct bytes key,
			 struct bytes value)
{
	struct cop_name_count name = {.text = (const char *)key.data + 1,
				      .size = key.size - 1};
	uint64_t number;
	cop_err err;

	if (value.size != sizeof number)
		return error_set(COP_CORRUPT, "a name has no number; restore a "
					      "backup");
	memcpy(&number, value.data, sizeof number);
	if (number >= listing->read->state.next_name)
		return error_set(COP_CORRUPT,
				 "a name's number is out of range; "
				 "restore a backup");
	name.name = (uint32_t)number;
	err = count_of(listing, name.name, &name.count);
	if (err || (!name.count && listing->space != NAME_PROPERTY))
		return err;
	error_clear();
	return error_answer(
	    listing->visit(listing->user, listing->read, &name));
}

/* ---- all ---------------------------------------------------------------- */

static cop_err symbols_list(const struct listing *listing, struct bytes first)
{
	cop_read *read = listing->read;
	struct bytes key = first;
	struct bytes value;
	env_cursor *cursor;
	cop_err err = 0;
	int code = env_cursor_open(read->env, read->txn, DB_SYMBOLS, &cursor);

	if (code)
		return cannot_read(listing, code);
	code = env_cursor_move(cursor, ENV_SEEK, &key, &value);
	while (!code && !err && key.size >= first.size &&
	       !memcmp(key.data, first.data, first.size)) {
		err = name_tell(listing, key, value);
		if (!err)
			code = env_cursor_move(cursor, ENV_NEXT, &key, &value);
	}
	env_cursor_close(cursor);
	return !err && code && code != ENV_ABSENT ? cannot_read(listing, code)
						  : err;
}

cop_err cop_names(cop_read *read, int32_t space, const char *prefix,
		  size_t prefix_size,
		  int32_t (*visit)(void *user, cop_read *read,
				   const struct cop_name_count *name),
		  void *user)
{
	struct listing listing = {.read = read,
				  .space = (enum name_space)space,
				  .visit = visit,
				  .user = user};
	unsigned char first[1 + COP_NAME_BYTES];
	cop_err err = read_check(read);

	if (!err && (space < NAME_TYPE || space > NAME_PROPERTY))
		err = error_set(COP_INVALID,
				"there are names of types 1, relations 2, tags "
				"3 and properties 4, not %d",
				space);
	if (err || prefix_size > COP_NAME_BYTES)
		return err; /* no name is that long */
	first[0] = (unsigned char)space;
	if (prefix_size)
		memcpy(first + 1, prefix, prefix_size);
	if ((read_is_past(read) || read->is_timed) && space == NAME_RELATION)
		err = edges_count(&listing);
	if (!err)
		err = symbols_list(&listing, bytes_of(first, 1 + prefix_size));
	free(listing.edges);
	return err;
}

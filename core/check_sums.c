/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every entry against its checksum (env.h), before anything is believed that
 * one says.
 *
 * what is mended
 *	A bit that flipped: there are few enough to try each, and 64 bits of
 *	checksum say which it was.  An entry that follows from others goes, and
 *	is put anew when they are looked at next.  Any other that is damaged
 *	goes if that is asked for; else it stays, for a backup to replace, and
 *	nothing else is looked at or mended meanwhile, since what hangs on it
 *	would be taken for superfluous.
 */
#include "check.h"

#include <stdio.h>

enum { FLIP_BYTES = 64 << 10 }; /* of a value whose bits are tried */

/* Whether other entries say all that is in this database. */
static int follows(enum env_db db)
{
	return db == DB_KEYS || db == DB_EDGES_IN || db == DB_MEMBERS ||
	       db == DB_SYMBOLS;
}

/* Flips the bit of a value that makes its checksum right; 0: none does. */
static int value_flip(enum env_db db, struct bytes key, struct buffer *value,
		      uint64_t sum)
{
	struct bytes now = bytes_of(value->data, value->size);

	for (size_t bit = 0; bit < value->size * 8; bit++) {
		unsigned char *byte = value->data + bit / 8;
		unsigned char mask = (unsigned char)(1 << bit % 8);

		*byte ^= mask;
		if (env_sum(db, key, now) == sum)
			return 1;
		*byte ^= mask;
	}
	return 0;
}

/* Whether the entry is sound but for one bit of its checksum. */
static int sum_is_near(uint64_t sum, uint64_t stored)
{
	uint64_t differ = sum ^ stored;

	return !(differ & (differ - 1));
}

/* Notes what would make an entry right, if anything would. */
static void entry_mend(struct check *check, enum env_db db, struct bytes key,
		       struct bytes value)
{
	uint64_t stored = env_sum_stored(value);
	struct buffer copy = {0};
	int mended = 0;

	if (value.size && value.size <= FLIP_BYTES &&
	    !buffer_put(&copy, value.data, value.size))
		mended = sum_is_near(env_sum(db, key, value), stored) ||
			 value_flip(db, key, &copy, stored);
	if (mended)
		check_mend_back(check, db, key, bytes_of(copy.data, copy.size));
	else if (follows(db) || check->options->repair == CHECK_REMOVES)
		check_mend_delete(check, db, key);
	buffer_release(&copy);
}

static void entry_tell(struct check *check, enum env_db db, struct bytes key)
{
	const unsigned char *bytes = key.data;
	char text[2 * DISK_VERSION_KEY + 1] = "";

	if (env_key_is_id(db) && key.size == sizeof(uint64_t)) {
		check_finding(
		    check, "%s: what %llu has is not what was written",
		    env_db_name(db), (unsigned long long)check_number(key));
		return;
	}
	for (size_t i = 0; i < key.size && i < DISK_VERSION_KEY; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	check_finding(check,
		      "%s: what the key %s has, in hexadecimal, is not what "
		      "was written",
		      env_db_name(db), text);
}

static cop_err database_sums(struct check *check, enum env_db db)
{
	struct bytes key = bytes_of("", 0);
	struct bytes value;
	env_cursor *cursor;
	int err = env_cursor_open(check->store->env, check->txn, db, &cursor);

	if (err)
		return error_system(err, "cannot check");
	do {
		err = env_cursor_move(cursor, ENV_NEXT, &key, &value);
		if (err != ENV_DAMAGED)
			continue;
		check->damaged++;
		entry_tell(check, db, key);
		if (check->options->repair)
			entry_mend(check, db, key, value);
	} while (!err || err == ENV_DAMAGED);
	env_cursor_close(cursor);
	return err == ENV_ABSENT ? 0 : error_system(err, "cannot check");
}

cop_err check_sums(struct check *check)
{
	cop_err err = 0;

	check->place = COP_PLACE_DATA;
	check->damaged = 0;
	for (int db = DB_META + 1; db < DB_COUNT && !err; db++)
		err = database_sums(check, (enum env_db)db);
	return err;
}

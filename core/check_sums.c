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
#include "flip.h"
#include "marks.h"

#include <stdio.h>

/* Whether other entries say all that is in this database. */
static int follows(enum env_db db)
{
	return db == DB_KEYS || db == DB_EDGES_IN || db == DB_MEMBERS ||
	       db == DB_SYMBOLS;
}

/* Notes what would make an entry right, if anything would. */
static void entry_mend(struct check *check, enum env_db db, struct bytes key,
		       struct bytes value)
{
	struct buffer to_key = {0};
	struct buffer to = {0};

	if (env_size_flip(check->store->env, db, key, &value))
		check_mend_back(check, db, key, key, value);
	else if (!value.size || buffer_put(&to_key, key.data, key.size) ||
		 buffer_put(&to, value.data, value.size) ||
		 !flip_back(db, &to_key, &to, env_sum_stored(value))) {
		if (follows(db))
			check_mend_unlist(check, db, key);
		else if (check->options->repair == CHECK_REMOVES)
			check_mend_delete(check, db, key);
	} else {
		check_mend_back(check, db, key,
				bytes_of(to_key.data, to_key.size),
				bytes_of(to.data, to.size));
	}
	buffer_release(&to_key);
	buffer_release(&to);
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

/* The marks are what somebody wrote, and a list of marks. */
static cop_err marks_check(struct check *check)
{
	struct bytes value;
	int code = env_get(check->store->env, check->txn, DB_META, marks_key(),
			   &value);

	if (code == ENV_ABSENT)
		return 0;
	if (code && code != ENV_DAMAGED)
		return error_system(code, "cannot check");
	if (!code && marks_are_sound(value))
		return 0;
	check_finding(check, "the marks are not what was written");
	if (code) {
		check->damaged++;
		if (check->options->repair)
			entry_mend(check, DB_META, marks_key(), value);
	} else if (check->options->repair == CHECK_REMOVES) {
		check_mend_delete(check, DB_META, marks_key());
	}
	return 0;
}

cop_err check_sums(struct check *check)
{
	cop_err err;

	check->place = COP_PLACE_DATA;
	check->damaged = 0;
	err = marks_check(check);
	for (int db = DB_META + 1; db < DB_COUNT && !err; db++)
		err = database_sums(check, (enum env_db)db);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: what was, kept beside what is.
 *
 * idea
 *	The living databases hold what is, each record with the commit that
 *	wrote it, its version.  When a record is replaced or deleted it moves
 *	to a database of versions, under its key and the commit at which it was
 *	born, with the commit at which it died.  So a store that only grows
 *	pays nothing for its history, and a reading of the newest never sees
 *	it.
 *
 *	What a key had as of commit T is the living record if its version is T
 *	or older, else the newest version born at T or before, if it died after
 *	T (past.h).
 *
 *	An index by death says what may be dropped, oldest first (retain.h).
 *
 * limits
 *	A record that comes and goes within one commit leaves nothing.
 */
#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include "apply.h"
#include "version.h"

/*
 * Keeps a record that is about to be replaced or deleted.
 * key, record	as in `db`; the record may lie in LMDB
 */
cop_err history_keep(struct apply *apply, enum env_db db, struct bytes key,
		     struct bytes record);

/* Writes what of a transaction the index by death lists; at its end. */
cop_err history_seal(struct apply *apply);

#endif

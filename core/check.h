/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a check, and what they share. */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "pages.h"
#include "store.h"
#include "used.h"

enum { CHECK_REMOVES = 2 }; /* cop_check_options.repair */

/* Rounds of mending by what the rest says; what is left is removed then. */
enum { ROUND_PATIENT = 2 };

struct check {
	cop_store *store;
	const struct segment *segment;
	env_txn *txn;
	struct disk_state state;
	const struct cop_check_options *options;
	int32_t place;	   /* enum cop_place, of what is looked at */
	const char *still; /* put before a finding: it was not mended */
	int silent;	   /* findings are counted only */
	uint64_t damaged;  /* entries; nothing else is looked at then */
	uint64_t findings;
	struct buffer mends;   /* struct mend, and its bytes; repair.c */
	int round;	       /* of mending, from 1; 0: the first look */
	enum env_db dropping;  /* all of it */
	int headless;	       /* the content that is looked at */
	int recount;	       /* the counters are to be mended */
	int forgets;	       /* a mend is no more than likely */
	uint64_t members;      /* that the records ask for */
	uint64_t *used;	       /* by a name's number: how often they do */
	struct used names;     /* that any record has, of history, too */
	uint64_t ended;	       /* versions that the index by death lists so */
	uint64_t chain_commit; /* of the operation record seen last */
	uint64_t chain_broken; /* at this one, last; 0: nowhere */
	int seals; /* the newest commit is to get an operation record */
	uint64_t chain;
	uint64_t records;	       /* that heads name in the segment */
	struct disk_content_key chunk; /* seen last, and the head before it */
	struct disk_content_head content;
	uint64_t content_size; /* of the chunks seen since */
	int has_content;       /* one was seen */
	int failed;	       /* what kept an edge list from being looked at */
};

__attribute__((format(printf, 2, 3))) void
check_finding(struct check *check, const char *format, ...);

/* The state as of the transaction, and room for all names. */
cop_err check_begin(struct check *check);

/* COP_INVALID for options or a result that are none. */
cop_err check_options(const struct cop_check_options *options,
		      const struct cop_check_result *result);

/* The data file's pages, before anything is read of it; pages may be NULL. */
cop_err check_pages(struct check *check, int what, struct pages *pages);

/* Whether there is such a key, and its value; damaged, it is there. */
int check_there(const struct check *check, enum env_db db, const void *key,
		size_t size, struct bytes *value);

typedef void entry_check(struct check *check, struct bytes key,
			 struct bytes value);

/* Calls `each` for every entry; from the key `first` on. */
cop_err check_database(struct check *check, enum env_db db, entry_check *each);
cop_err check_database_from(struct check *check, enum env_db db,
			    struct bytes first, entry_check *each);

/* How many entries there are, and a finding if that is not what they say. */
uint64_t check_entries(const struct check *check, enum env_db db);
void check_count(struct check *check, enum env_db db, uint64_t want,
		 const char *what);

static inline uint64_t check_number(struct bytes bytes)
{
	uint64_t number = 0;

	if (bytes.size >= sizeof number)
		memcpy(&number, bytes.data, sizeof number);
	return number;
}

/* ---- check_sums.c: entries against their checksums ---------------------- */

/* Of all databases; check->damaged says how many are not sound. */
cop_err check_sums(struct check *check);

/* ---- check_truth.c: LMDB against itself --------------------------------- */

/* Everything; after check_begin().  If entries are damaged, that alone. */
cop_err check_truth(struct check *check);

/* What its own counts say, and the newest commits of the chain. */
cop_err check_counts(struct check *check);

/* What a record names in DB_CONTENT must be there. */
int check_content_wanted(struct check *check, struct bytes record);

/* ---- check_history.c ---------------------------------------------------- */

cop_err check_history(struct check *check);

/* ---- check_deaths.c ----------------------------------------------------- */

/* What would list the versions that the index by death does not; to repair. */
cop_err check_deaths_mend(struct check *check);

/* ---- check_segment.c: the segment against LMDB; W held ------------------ */

cop_err check_segment(struct check *check);

/* ---- check_image.c ------------------------------------------------------ */

/*
 * Images that are damaged, or of no use: told of, and removed if
 * check->options ask for it; a deep check reads their chunks.
 * mended	those that are no more are added; only looked at to repair
 */
void check_images(struct check *check, uint64_t *mended);

/* ---- check_repair.c ----------------------------------------------------- */

/*
 * Entries against their checksums, and as much of the mending as can be done
 * without a segment; check->findings are what is left.  W held, and nobody
 * has the store attached.
 */
cop_err check_entries_alone(struct check *check, uint64_t *mended);

/* What would mend a finding, if check->options ask for it. */
void check_mend_put(struct check *check, enum env_db db, struct bytes key,
		    struct bytes value);
/* Of what follows from a record that is there: nothing is forgotten. */
void check_mend_derived(struct check *check, enum env_db db, struct bytes key,
			struct bytes value);
void check_mend_unlist(struct check *check, enum env_db db, struct bytes key);
/* Of what is known to have been there, under this key or a damaged one. */
void check_mend_back(struct check *check, enum env_db db, struct bytes key,
		     struct bytes to_key, struct bytes to);
void check_mend_delete(struct check *check, enum env_db db, struct bytes key);

/*
 * Checks LMDB with a write transaction, mends in it what can be mended until
 * nothing is left that can, and commits that as one commit.  W held.
 * mended	findings that are no more
 */
cop_err check_repair(struct check *check, uint64_t *mended);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshot rule: prepare, LMDB's commit, finish; readers at any time;
 * death of the writer at every step; one rule of recovery.
 *
 * models	core/commit.c (commit_locked, writer_settle), core/prepare.c
 *		(all_prepare, prepare_finish), core/recover.c (intent_recover,
 *		entry_recover, attempt_undo), core/read.c (snapshot_try),
 *		shm/head.h (head_mark, head_finish, head_read), shm/bank.c
 *		(bank_take, bank_write, bank_kill, bank_collect), shm/limbo.c
 *		(limbo_push, limbo_drain, limbo_clear_rows), ipc/slot.c
 *		(slot_oldest)
 * claims	A reader gets from shared memory what LMDB had at its snapshot,
 *		of both entities, by their heads and by a scan, and what it
 *		holds stays so until it leaves.  It is never told that the
 *		segment is foreign.  What was acknowledged is seen by whoever
 *		begins after it.  After any death recovery fits, twice too;
 *		in the end no row is lost and none is free twice.
 * assumes	LMDB's commit is one step, after which the next write
 *		transaction shows it (`meta`), followed by one that shows it
 *		to readers (`shown`); orderings hold (see the relacy models).
 * left out	edges, whose entries carry born and died as rows do; blooms
 *		and the id map, which only grow; growth of regions.
 */
#include "model.pml"

/* mutants */
#define NO_MARK		1  /* heads are not marked pending */
#define NO_NEWER	2  /* a reader ignores that a head is newer */
#define NO_RECHECK	3  /* head_read does not look at changed again */
#define NO_BORN		4  /* scans ignore when a row was born */
#define NO_DIED		5  /* scans ignore when a row died */
#define LMDB_FIRST	6  /* LMDB commits before the segment is prepared */
#define PREPARED_LATE	7  /* `prepared` is stored after the commit */
#define INTENT_LATE	8  /* the intent is set after the first change */
#define NO_REPAIR	9  /* recovery trusts what LMDB shows readers */
#define NO_UNDO		10 /* recovery leaves the stamps of deaths */
#define NO_UNDO_ROWS	11 /* recovery leaves the rows born */
#define NO_DERIVE	12 /* recovery leaves the heads pending */
#define NO_ENTRY_ROW	13 /* recovery forgets the row in the intent */
#define NO_COLLECT	14 /* recovery does not collect dead rows */
#define CLEAR_FIRST	15 /* recovery clears the intent first */
#define NO_RECOVERY	16 /* nobody recovers */
#define ENTER_LATE	17 /* S1: the slot is stored after the renewal */
#define NO_OLDEST	18 /* limbo is drained whoever reads */
#define NO_REAP		19 /* a dead reader's slot is not cleared */
#define REAP_LIVING	20 /* a living reader's slot is cleared */
#define FINISH_FIRST	21 /* heads are finished before the commit */
#define ACK_FIRST	22 /* the caller is answered before the commit */

#define COMMITS 3 /* the newest; the first is there at the start */
#define ROWS	5 /* fewer than could be needed: some attempts fail */
#define NEVER	15

typedef head_t {
	byte changed;
	bit pending;
	byte row;
};

typedef row_t {
	bit odd;
	byte entity;
	byte value;
	byte born;
	byte died;
	bit is_free;
	byte limbo; /* the commit from which it is out of reach, or 0 */
};

/* LMDB: the value of entity e at commit n, 0 if it is not alive */
#define TRUTH(n, e) truth[(n) * 2 + (e)]
byte truth[2 * (COMMITS + 1)];
byte meta = 1;
byte shown = 1;

/* the segment */
head_t heads[2];
row_t rows[ROWS + 1]; /* row 0 is none */
byte prepared = 1;
byte committed = 1;
byte attempt;
byte intent_count;
byte intent_row[2]; /* entry e is of entity e */
byte slot;	    /* snapshot + 1 */

bool reader_dead; /* its byte is free */

/* for the claims */
byte serial = 2; /* each attempt writes values of its own */
byte acked = 1;
byte attempts; /* to commit, dead ones too */
hidden byte may_fail; /* 1: LMDB's commit may fail (a full disk) */
byte finished;

inline row_free(r)
{
	assert(!rows[r].is_free && !rows[r].limbo); /* freed twice */
	rows[r].born = NEVER;
	rows[r].is_free = 1
}

inline row_to_limbo(r, n)
{
	assert(!rows[r].is_free && !rows[r].limbo);
	rows[r].limbo = n
}

/* ipc/slot.c: slot_oldest, for the one slot */
inline slot_oldest(out, newest)
{
	STEP(out = newest;
	     if
	     :: slot && slot - 1 < newest ->
		if
		:: reader_dead && !MUTANT(NO_REAP) -> slot = 0
		:: !reader_dead && MUTANT(REAP_LIVING) -> slot = 0
		:: else -> out = slot - 1
		fi
	     :: else
	     fi)
}

inline limbo_drain(newest)
{
	slot_oldest(oldest, newest);
	do
	:: atomic {
		r = 1;
		do
		:: r <= ROWS && !(rows[r].limbo &&
				  (rows[r].limbo <= oldest ||
				   MUTANT(NO_OLDEST))) -> r++
		:: else -> break
		od;
		if
		:: r > ROWS -> break
		:: else
		fi;
		STEP(rows[r].limbo = 0) /* the ring moves on first */
	   };
	   STEP(row_free(r); r = 0)
	od;
	r = 0; oldest = 0
}

/* core/recover.c: attempt_undo */
inline attempt_undo(e)
{
	STEP(r = heads[e].row;
	     if
	     :: r && rows[r].died == tried && !MUTANT(NO_UNDO) ->
		rows[r].died = NEVER
	     :: else
	     fi;
	     r = 0);
	STEP(r = intent_row[e];
	     if
	     :: r && !rows[r].is_free && !MUTANT(NO_UNDO_ROWS) &&
	        (rows[r].born == tried || rows[r].born == NEVER) ->
		row_free(r)
	     :: else
	     fi;
	     r = 0)
}

/* core/recover.c: entry_recover */
inline entry_recover(e)
{
	if
	:: !happened -> attempt_undo(e)
	:: else
	fi;
	WHEN(heads[e].pending && !MUTANT(NO_DERIVE),
	     r = heads[e].row;
	     if
	     :: happened && intent_row[e] && !MUTANT(NO_ENTRY_ROW) ->
		r = intent_row[e]
	     :: else
	     fi;
	     heads[e].row = (TRUTH(state, e) -> r : 0);
	     r = 0);
	WHEN(heads[e].pending && !MUTANT(NO_DERIVE),
	     heads[e].changed = state; heads[e].pending = 0)
}

/* shm/bank.c: bank_collect, after limbo_clear_rows */
inline bank_collect()
{
	r = 1;
	do
	:: atomic { r > ROWS -> break }
	:: atomic {
		r <= ROWS ->
		STEP(rows[r].limbo = 0; r++)
	   }
	od;
	STEP(r = 1;
	     do
	     :: r <= ROWS -> rows[r].is_free = 0; r++
	     :: else -> r = 1; break
	     od);
	do
	:: atomic { r > ROWS -> r = 0; break }
	:: atomic {
		r <= ROWS ->
		STEP(if
		     :: rows[r].born == NEVER -> row_free(r)
		     :: rows[r].born != NEVER && rows[r].died != NEVER &&
		        !rows[r].limbo ->
			row_to_limbo(r, state)
		     :: else
		     fi;
		     r++)
	   }
	od
}

/* core/commit.c: writer_settle, core/recover.c: recover_run */
inline writer_settle()
{
	WHEN(attempt && !MUTANT(NO_REPAIR), shown = meta);
	STEP(state = shown; tried = attempt);
	if
	:: tried && !MUTANT(NO_RECOVERY) ->
		happened = (tried == state);
		assert(tried == state + 1 - happened); /* else: rebuild */
		assert(tried == committed + 1 ||
		       (tried == committed && happened));
		WHEN(MUTANT(CLEAR_FIRST), attempt = 0);
		if
		:: intent_count > 0 -> entry_recover(0)
		:: else
		fi;
		if
		:: intent_count > 1 -> entry_recover(1)
		:: else
		fi;
		if
		:: !MUTANT(NO_COLLECT) -> bank_collect()
		:: else
		fi;
		STEP(prepared = state);
		STEP(committed = state);
		STEP(attempt = 0)
	:: else
	fi;
	assert(committed == state || MUTANT(NO_RECOVERY)); /* else: rebuild */
	happened = 0;
	tried = 0
}

/* shm/bank.c: bank_take; no row: `failed` */
inline bank_take(e)
{
	STEP(r = 1;
	     do
	     :: r <= ROWS && !rows[r].is_free -> r++
	     :: else -> break
	     od;
	     if
	     :: r > ROWS -> r = 0; failed = 1
	     :: else -> rows[r].is_free = 0
	     fi;
	     taken[e] = r;
	     r = 0)
}

/* core/prepare.c: intent_begin */
inline intent_begin()
{
	STEP(intent_count = 0);
	WHEN(!MUTANT(INTENT_LATE), attempt = n);
	if
	:: !gone -> bank_take(0)
	:: gone -> taken[0] = 0
	fi;
	WHEN(!failed, intent_row[0] = taken[0]);
	WHEN(!failed, intent_count = 1);
	if
	:: !failed -> bank_take(1)
	:: failed
	fi;
	WHEN(!failed, intent_row[1] = taken[1]);
	WHEN(!failed, intent_count = 2)
}

/* core/prepare.c: change_prepare; H1 and B1 in their steps */
inline change_prepare(e)
{
	WHEN(!MUTANT(NO_MARK), heads[e].changed = n; heads[e].pending = 1);
	WHEN(taken[e], rows[taken[e]].odd = 1);
	WHEN(taken[e],
	     rows[taken[e]].entity = e; rows[taken[e]].value = value;
	     rows[taken[e]].died = NEVER; rows[taken[e]].born = n);
	WHEN(taken[e], rows[taken[e]].odd = 0);
	WHEN(heads[e].row, rows[heads[e].row].died = n)
}

/* core/prepare.c: change_finish */
inline change_finish(e)
{
	STEP(r = heads[e].row; heads[e].row = taken[e]);
	STEP(heads[e].changed = n; heads[e].pending = 0);
	WHEN(r && r != taken[e], row_to_limbo(r, n); r = 0);
	r = 0
}

inline heads_finish()
{
	change_finish(0);
	change_finish(1)
}

inline lmdb_commit()
{
	STEP(TRUTH(n, 0) = (gone -> 0 : value); TRUTH(n, 1) = value; meta = n);
	STEP(shown = n)
}

inline prepare_run()
{
	intent_begin();
	if
	:: !failed -> change_prepare(0);
		      if
		      :: MUTANT(INTENT_LATE) -> STEP(attempt = n)
		      :: else
		      fi;
		      change_prepare(1)
	:: else
	fi;
	WHEN(!failed && !MUTANT(PREPARED_LATE), prepared = n)
}

/* core/commit.c: commit_locked; a commit may fail, too (a full disk) */
inline commit_locked()
{
	writer_settle();
	n = committed + 1;
	failed = 0;
	if
	:: n > COMMITS -> goto out
	:: n <= COMMITS -> gone = 0
	:: n <= COMMITS && TRUTH(committed, 0) -> gone = 1
	fi;
	STEP(shown = meta; value = serial; serial++); /* begin in LMDB */
	if
	:: MUTANT(ACK_FIRST) -> acked = n
	:: else
	fi;
	if
	:: MUTANT(LMDB_FIRST) -> lmdb_commit()
	:: else
	fi;
	prepare_run();
	if
	:: MUTANT(FINISH_FIRST) && !failed -> heads_finish()
	:: else
	fi;
	if
	:: true
	:: may_fail && !MUTANT(LMDB_FIRST) -> failed = 1
	fi;
	if
	:: failed -> writer_settle() /* attempt_abandon */
	:: !failed && !MUTANT(LMDB_FIRST) -> lmdb_commit() /* C1 */
	:: else
	fi;
	if
	:: !failed ->
		WHEN(MUTANT(PREPARED_LATE), prepared = n);
		if
		:: !MUTANT(FINISH_FIRST) -> heads_finish()
		:: else
		fi;
		STEP(committed = n);
		limbo_drain(n);
		STEP(attempt = 0);
		STEP(acked = (n > acked -> n : acked)) /* the call returns */
	:: else
	fi
}

/*
 * W excludes writers, so one process stands for them all: when it dies
 * another is born that has nothing but what is shared.
 */
proctype writer()
{
	byte n, value, r, state, tried, oldest;
	byte taken[2];
	bit happened, failed, gone;

	do
	:: atomic { attempts == 0 -> finished++; break }
	:: atomic {
		attempts > 0 -> attempts--
	   };
	   commit_locked();
	   goto out;
died:
	   skip;
out:
	   atomic { /* releases W */
		n = 0; value = 0; r = 0; state = 0; tried = 0; oldest = 0;
		taken[0] = 0; taken[1] = 0; happened = 0; failed = 0; gone = 0
	   }
	od
}

#define VISIBLE(r)                                                             \
	(!rows[r].odd && rows[r].born != NEVER &&                              \
	 (rows[r].born <= s || MUTANT(NO_BORN)) &&                             \
	 (s < rows[r].died || MUTANT(NO_DIED)))

/* cop_lookup and what follows from a head; the row is looked at twice */
inline head_get(e)
{
	STEP(changed = heads[e].changed; pending = heads[e].pending);
	if
	:: !pending && (changed <= s || MUTANT(NO_NEWER)) ->
		STEP(r = heads[e].row);
		STEP(pending = !(heads[e].changed == changed &&
				 heads[e].pending == pending) &&
			       !MUTANT(NO_RECHECK));
		if
		:: !pending && r ->
			STEP(assert(VISIBLE(r) && rows[r].entity == e &&
				    rows[r].value == TRUTH(s, e)));
			STEP(assert(rows[r].entity == e &&
				    rows[r].value == TRUTH(s, e)))
		:: !pending && !r -> STEP(assert(!TRUTH(s, e)))
		:: else /* LMDB is asked */
		fi
	:: else /* LMDB is asked */
	fi;
	changed = 0; pending = 0; r = 0
}

inline bank_scan()
{
	r = 1;
	do
	:: r > ROWS -> break
	:: else ->
		STEP(if
		     :: VISIBLE(r) ->
			assert(!seen[rows[r].entity]); /* seen twice */
			assert(rows[r].value == TRUTH(s, rows[r].entity));
			seen[rows[r].entity] = 1
		     :: else
		     fi);
		r++
	od;
	assert(seen[0] == (TRUTH(s, 0) != 0) && seen[1] == (TRUTH(s, 1) != 0));
	seen[0] = 0; seen[1] = 0; r = 0
}

proctype reader()
{
	byte s, r, changed, was;
	bit pending;
	bit seen[2];

	STEP(s = committed; was = acked);
	if
	:: !MUTANT(ENTER_LATE) -> STEP(slot = s + 1)
	:: else -> changed = s
	fi;
	STEP(s = shown); /* the renewal */
	if
	:: MUTANT(ENTER_LATE) -> STEP(slot = changed + 1); changed = 0
	:: else
	fi;
	STEP(assert(prepared >= s)); /* else: foreign */
	assert(s >= was);
	was = 0;
	if
	:: head_get(0); head_get(1)
	:: bank_scan()
	fi;
	STEP(slot = 0);
	goto finish;
died:
	s = 0; r = 0; changed = 0; was = 0; pending = 0;
	seen[0] = 0; seen[1] = 0;
finish:
	atomic {
		reader_dead = 1;
		finished++
	}
}

inline settled_check()
{
	assert(!attempt && committed == meta && shown == meta);
	assert(meta >= acked && (slot == 0 || slot > meta));
	assert(!heads[0].pending && !heads[1].pending);
	for (n : 0 .. 1) {
		r = heads[n].row;
		assert((r == 0) == (TRUTH(meta, n) == 0));
		assert(!r || (rows[r].value == TRUTH(meta, n) &&
			      rows[r].died == NEVER && !rows[r].is_free &&
			      !rows[r].limbo))
	}
	for (r : 1 .. ROWS) { /* no row is lost */
		assert(r == heads[0].row || r == heads[1].row ||
		       rows[r].is_free)
	}
}

init
{
	byte n, r, state, tried, oldest;
	bit happened;

	atomic {
		OPTIONS_READ;
		c_code {
			now.attempts = option("ATTEMPTS", 2);
			may_fail = option("MAY_FAIL", 0);
		};
		for (n : 0 .. 1) {
			TRUTH(1, n) = n + 1;
			heads[n].changed = 1;
			heads[n].row = n + 1;
			rows[n + 1].entity = n;
			rows[n + 1].value = n + 1;
			rows[n + 1].born = 1;
			rows[n + 1].died = NEVER
		}
		for (r : 3 .. ROWS) {
			rows[r].born = NEVER;
			rows[r].is_free = 1
		}
		r = 0;
		n = 0;
		run writer();
		run reader()
	}
	atomic {
		finished == 2;
		deaths = 0; /* who comes last lives */
		writer_settle();
		limbo_drain(committed);
		settled_check()
	}
	goto end;
died:
	assert(false);
end:
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generation switch: the data file is replaced while processes read,
 * write, open the store, and die.
 *
 * models	core/generation.c: cop_compact (begin_settled, next_make,
 *		switch_locked, successor_name), switch_finish, control_say,
 *		generation_settle, generation_open (switch_finish_late),
 *		generation_refresh (move_to), generation_tidy (of writers);
 *		core/read.c: snapshot_try
 * claims	A writer has all that was acknowledged before it commits:
 *		writers are never split over two generations.  A reader sees
 *		all that was acknowledged before it began.  CURRENT always
 *		names a complete folder; who opens or moves finds one.
 *		In the end whoever takes W has finished what was begun.
 * assumes	LMDB's commit is one step (`named`), shown to others in the
 *		next (`shown`), or by the next write transaction; a file that
 *		is open can be read after its folder is removed; CURRENT and
 *		the commits reach the disk in order.
 */
#include "model.pml"

/* mutants */
#define NO_SETTLE	1  /* who has W does not look for a switch */
#define NO_REPAIR	2  /* it trusts what LMDB shows readers */
#define SWITCHING_LATE	3  /* `switching` is set after the naming */
#define NAME_EARLY	4  /* the successor is named before it is complete */
#define NO_REST		5  /* what was committed since the copy is left out */
#define NO_SAY		6  /* the control segment does not get the number */
#define CLEAR_FIRST	7  /* `switching` is cleared before it has */
#define CURRENT_LAST	8  /* the old folder goes before CURRENT changes */
#define NO_BEGIN	9  /* a compaction begins without settling */
#define OPEN_BLIND	10 /* who opens finishes what was found without W */
#define MOVE_ONCE	11 /* who moves does not look again */
#define NO_NUMBER	12 /* a reader does not look at the control segment */
#define NO_BUILD_LOCK	13 /* two compactions may run at once */
#define TIDY_BLIND	14 /* who tidies up trusts what LMDB shows readers */

#define GENERATIONS 4

byte commits[GENERATIONS]; /* in its LMDB */
bool there[GENERATIONS];   /* its folder, complete and synced */
bool named[GENERATIONS];   /* its LMDB names the next one as successor */
bool shown[GENERATIONS];   /* and shows that to readers */
byte current;		   /* the file CURRENT */

byte said; /* control: generation */
bool switching;

byte writer_lock;
byte build_lock;

byte acked; /* for the claims */
byte finished;
hidden byte writers, compactors, reads;

inline current_write(g)
{
	current = g;
	assert(there[current])
}

/* older_remove */
inline older_remove(g)
{
	STEP(i = 0;
	     do
	     :: i < g -> there[i] = 0; i++
	     :: else -> i = 0; break
	     od;
	     assert(there[current]))
}

/* current_install; W held */
inline current_install(g)
{
	if
	:: MUTANT(CURRENT_LAST) -> older_remove(g)
	:: else
	fi;
	STEP(assert(there[g]); current = g)
}

/* switch_finish: CURRENT, then the older folders; W held */
inline switch_finish(g)
{
	current_install(g);
	older_remove(g)
}

inline control_say()
{
	WHEN(MUTANT(CLEAR_FIRST), switching = 0);
	STEP(said = (said < at && !MUTANT(NO_SAY) -> at : said));
	STEP(switching = 0)
}

/* generation_refresh; where a folder is gone CURRENT names another (move_to) */
inline refresh()
{
	atomic { to = said };
	do
	:: atomic { to <= at -> break }
	:: atomic { to > at ->
		STEP(if
		     :: there[to] -> at = to; off = shown[to]; i = 0
		     :: else -> i = 1
		     fi) };
	   if
	   :: i -> STEP(i = 0; assert(current > to && !MUTANT(MOVE_ONCE));
			to = current)
	   :: else
	   fi
	od;
	to = 0
}

/* generation_settle: W held */
inline settle()
{
	if
	:: !MUTANT(NO_SETTLE) ->
		refresh();
		if
		:: switching ->
			WHEN(!MUTANT(NO_REPAIR), shown[at] = named[at]);
			if
			:: shown[at] ->
				switch_finish(at + 1);
				STEP(assert(there[at + 1]); at++; off = 0)
			:: else
			fi;
			control_say()
		:: !switching && said < at -> control_say()
		:: else
		fi
	:: else
	fi
}

inline unlock()
{
	STEP(writer_lock = 0)
}

#define LOCK STEP(!writer_lock -> writer_lock = _pid)

/* generation_open; `off`: LMDB's number was compared after the naming */
inline open()
{
	do
	:: STEP(to = current);
	   STEP(if
		:: there[to] -> at = to; off = shown[at]
		:: else -> assert(current != to); to = GENERATIONS
		fi);
	   if
	   :: to == GENERATIONS
	   :: to < GENERATIONS && !off -> STEP(off = shown[at]);
		if
		:: !off -> break
		:: else
		fi
	   :: to < GENERATIONS && off
	   fi;
	   if
	   :: to == GENERATIONS
	   :: to < GENERATIONS ->
		LOCK;
		if
		:: current < at + 1 || MUTANT(OPEN_BLIND) ->
			switch_finish(at + 1)
		:: else
		fi;
		unlock()
	   fi
	od;
	older_remove(at);
	to = 0
}

/* generation_tidy: later folders are a dead builder's */
inline tidy()
{
	STEP(to = !build_lock; build_lock = (to -> _pid : build_lock));
	WHEN(to && switching && !MUTANT(TIDY_BLIND), to = 0);
	WHEN(to && current != at, to = 0);
	WHEN(to && shown[at], to = 0);
	WHEN(to, there[at + 1] = 0; assert(there[current]));
	STEP(to = 0; build_lock = (build_lock == _pid -> 0 : build_lock))
}

inline end_here()
{
	atomic { /* the kernel */
		at = 0; to = 0; i = 0; off = 0;
		if
		:: writer_lock == _pid -> writer_lock = 0
		:: else
		fi;
		if
		:: build_lock == _pid -> build_lock = 0
		:: else
		fi;
		finished++
	}
}

proctype writer()
{
	byte at, to, i;
	bit off;

	open();
	tidy();
	LOCK;
	settle();
	STEP(assert(commits[at] >= acked); commits[at]++);
	STEP(acked = commits[at]; writer_lock = 0);
died:
	end_here()
}

proctype compactor()
{
	byte at, to, i, from;
	bit off;

	open();
	WHEN(!MUTANT(NO_BUILD_LOCK),
	     if
	     :: !build_lock -> build_lock = _pid
	     :: else -> goto died
	     fi);
	if
	:: !MUTANT(NO_BEGIN) -> LOCK; settle(); unlock()
	:: else -> refresh()
	fi;
	from = at;
	if
	:: from + 1 == GENERATIONS -> goto died
	:: else
	fi;
	STEP(there[from + 1] = 0); /* a dead builder's */
	STEP(commits[from + 1] = commits[from]); /* the copy, in advance */
	LOCK;
	settle();
	if
	:: at != from -> goto died /* somebody else was faster */
	:: else
	fi;
	WHEN(MUTANT(NAME_EARLY), switching = 1; named[from] = 1);
	WHEN(!MUTANT(NO_REST), commits[from + 1] = commits[from]);
	STEP(there[from + 1] = 1);
	WHEN(!MUTANT(SWITCHING_LATE), switching = 1);
	STEP(named[from] = 1); /* that is the switch */
	STEP(shown[from] = 1);
	WHEN(MUTANT(SWITCHING_LATE), switching = 1);
	current_install(from + 1);
	at++;
	control_say();
	unlock();
	older_remove(at);
died:
	from = 0;
	end_here()
}

/* LMDB's transaction number does not fit any more: since the naming. */
#define MISFIT (shown[at] && !off)

/* snapshot_try; a reader never waits */
proctype reader()
{
	byte at, to, i, since, got, todo = reads;
	bit off, misfit, during;

	open();
	do
	:: atomic { todo == 0 -> break }
	:: atomic { todo > 0 -> todo--; since = acked };
	   do
	   :: STEP(misfit = MISFIT; got = commits[at]); /* LMDB's renewal */
	      STEP(during = switching);
	      if
	      :: atomic { (said <= at || MUTANT(NO_NUMBER)) &&
			  (!misfit || during) ->
			  assert(got >= since); break }
	      :: atomic { said > at && !MUTANT(NO_NUMBER) -> skip }
	      :: atomic { (said <= at || MUTANT(NO_NUMBER)) &&
			  misfit && !during ->
			  assert(MUTANT(NO_NUMBER)); break }
	      fi;
	      refresh()
	   od;
	   since = 0; got = 0; misfit = 0; during = 0
	od;
died:
	since = 0; todo = 0; got = 0; misfit = 0; during = 0;
	end_here()
}

init
{
	byte at, to, i;
	bit off;

	atomic {
		OPTIONS_READ;
		c_code {
			writers = option("WRITERS", 2);
			compactors = option("COMPACTORS", 2);
			reads = option("READS", 2);
		};
		there[0] = 1;
		for (i : 1 .. writers) {
			run writer()
		}
		for (i : 1 .. compactors) {
			run compactor()
		}
		i = 0;
		if
		:: reads -> run reader()
		:: else -> finished++
		fi
	}
	atomic { /* a last one opens, and takes W */
		finished == writers + compactors + 1;
		deaths = 0;
		open();
		settle();
		assert(!switching && !named[at] && current == at);
		assert(commits[at] >= acked && said == at);
	}
	goto end;
died:
	assert(false);
end:
}

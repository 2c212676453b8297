/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generation switch: writers and readers move to a successor.
 *
 * models	the switch as it is designed: a generation is an LMDB and a
 *		segment.  Whoever compacts copies in advance, then with W held
 *		copies the rest, syncs it, and names the complete successor in
 *		the old LMDB: that commits the switch.  Finishing it is: set
 *		`retired` in the old control segment, then write CURRENT.
 *		Whoever takes W looks for a successor first, finishes the
 *		switch, and moves.  A reader pins, fences, looks at `retired`,
 *		and if it is set moves to the successor that the old LMDB
 *		names.  A retired segment is punched when nobody pins it.
 * order	`retired` precedes CURRENT: who opens the successor through
 *		CURRENT cannot know that its predecessor was not retired, and
 *		would commit while readers stay there.  So CURRENT may lag,
 *		and readers must not move by it.
 * claims	A writer has all that was acknowledged before it commits:
 *		writers are never split over two generations.  A reader sees
 *		all that was acknowledged before it began, never reads a
 *		punched segment, and, told to move, has somewhere to go.
 *		Nobody moves to what is not complete.  In the end CURRENT is
 *		the newest, the others are retired and can be punched.
 * assumes	CURRENT's rename and LMDB's commits are on disk in order; what
 *		a power cut undoes of them is not modelled.
 */
#include "model.pml"

/* mutants */
#define NO_CHASE	1  /* who has W does not look for a successor */
#define NO_FINISH	2  /* who finds a successor moves, and leaves the rest */
#define CURRENT_FIRST	3  /* CURRENT is written, and used, before the naming */
#define NAME_EARLY	4  /* the successor is named before it is complete */
#define NO_REST		5  /* what was committed since the copy is left out */
#define NO_W		6  /* the switch is made without W */
#define RETIRE_LATE	7  /* `retired` is set after W is let go */
#define CURRENT_SECOND	8  /* CURRENT is written before `retired` is set */
#define LOOK_EARLY	9  /* a reader looks at `retired` before it pins */
#define PUNCH_BLIND	10 /* a segment is punched whoever pins it */
#define PUNCH_EARLY	11 /* pins are looked at before `retired` is set */
#define NO_REAP		12 /* a dead reader's pin stays */
#define MOVE_BY_CURRENT	13 /* a reader that moves asks CURRENT */

#define GENERATIONS 3

byte commits[GENERATIONS];   /* in its LMDB */
bool complete[GENERATIONS];  /* and synced */
byte successor[GENERATIONS]; /* named in its LMDB; 0: none */
bool retired[GENERATIONS];
bool punched[GENERATIONS];
byte current;

byte writer_lock;
byte pin; /* the reader's: generation + 1 */
bool reader_dead;

byte acked; /* for the claims */
byte finished;
hidden byte compactors;

inline move(where)
{
	at = where;
	assert(complete[at])
}

/* With W held, before anything else. */
inline switch_finish()
{
	do
	:: atomic { successor[at] && !MUTANT(NO_CHASE) -> skip };
	   WHEN(MUTANT(CURRENT_SECOND) && current < successor[at],
		current = successor[at]);
	   WHEN(!retired[at] && !MUTANT(NO_FINISH), retired[at] = 1);
	   WHEN(current < successor[at] && !MUTANT(NO_FINISH),
		current = successor[at]);
	   atomic { move(successor[at]) }
	:: atomic { !successor[at] || MUTANT(NO_CHASE) -> break }
	od
}

proctype writer(byte todo)
{
	byte at;

	STEP(move(current)); /* open */
	do
	:: todo == 0 -> break
	:: todo ->
		STEP(!writer_lock -> writer_lock = _pid; todo--);
		switch_finish();
		STEP(assert(commits[at] >= acked); commits[at]++);
		STEP(acked = commits[at]; writer_lock = 0)
	od;
died:
	atomic {
		at = 0; todo = 0;
		if
		:: writer_lock == _pid -> writer_lock = 0
		:: else
		fi;
		finished++
	}
}

/* The slots of the old generation: the one reader's. */
inline pins_wait()
{
	STEP(pin != old + 1 || MUTANT(PUNCH_BLIND) ||
	     (reader_dead && !MUTANT(NO_REAP)))
}

proctype compactor()
{
	byte at, old, next;

	STEP(move(current));
	if
	:: at + 1 == GENERATIONS -> goto died
	:: else -> old = at; next = at + 1
	fi;
	WHEN(!MUTANT(NO_W), !writer_lock -> writer_lock = _pid);
	switch_finish();
	if
	:: at != old || complete[next] -> goto died /* somebody else's */
	:: else
	fi;
	STEP(commits[next] = commits[old]); /* the copy, in advance */
	if
	:: !MUTANT(NO_W) ->
		STEP(writer_lock = 0);
		STEP(!writer_lock -> writer_lock = _pid)
	:: else
	fi;
	switch_finish();
	if
	:: at != old || complete[next] -> goto died
	:: else
	fi;
	WHEN(MUTANT(NAME_EARLY), successor[old] = next);
	if
	:: MUTANT(CURRENT_FIRST) -> STEP(current = next; complete[next] = 1);
				    STEP(writer_lock = 0);
				    STEP(!writer_lock -> writer_lock = _pid)
	:: else
	fi;
	WHEN(!MUTANT(NO_REST), commits[next] = commits[old]);
	STEP(complete[next] = 1);
	STEP(successor[old] = next); /* that commits the switch */
	if
	:: MUTANT(RETIRE_LATE) -> STEP(current = next);
				  STEP(writer_lock = 0);
				  STEP(retired[old] = 1)
	:: MUTANT(PUNCH_EARLY) -> pins_wait(); switch_finish()
	:: else -> switch_finish()
	fi;
	WHEN(writer_lock == _pid, writer_lock = 0);
	if
	:: !MUTANT(PUNCH_EARLY) -> pins_wait()
	:: else
	fi;
	STEP(punched[old] = 1);
died:
	atomic {
		at = 0; old = 0; next = 0;
		if
		:: writer_lock == _pid -> writer_lock = 0
		:: else
		fi;
		finished++
	}
}

proctype reader(byte todo)
{
	byte at, to, since;
	bit stale;

	STEP(move(current)); /* open */
	do
	:: todo == 0 -> goto finish
	:: todo ->
		todo--;
		since = acked;
		do
		:: WHEN(MUTANT(LOOK_EARLY), stale = retired[at]);
		   STEP(pin = at + 1); /* and fences */
		   WHEN(!MUTANT(LOOK_EARLY), stale = retired[at]);
		   if
		   :: !stale -> break
		   :: stale ->
			stale = 0;
			STEP(pin = 0);
			STEP(to = (MUTANT(MOVE_BY_CURRENT) -> current :
							     successor[at]);
			     assert(to > at); /* there is somewhere to go */
			     move(to);
			     to = 0)
		   fi
		od;
		STEP(assert(!punched[at] && commits[at] >= since));
		STEP(assert(!punched[at]));
		STEP(pin = 0);
		since = 0
	od;
died:
	skip;
finish:
	atomic {
		at = 0; to = 0; since = 0; stale = 0; todo = 0;
		reader_dead = 1;
		finished++
	}
}

init
{
	byte at, old;

	atomic {
		OPTIONS_READ;
		complete[0] = 1;
		c_code { compactors = option("COMPACTORS", 1); };
		run writer(1);
		run writer(1);
		run reader(2);
		for (old : 1 .. compactors) {
			run compactor()
		}
	}
	atomic { /* a last one takes W */
		finished == 3 + compactors;
		deaths = 0;
		switch_finish();
		assert(!successor[at] && current == at);
		assert(commits[at] >= acked);
		for (old : 0 .. GENERATIONS - 1) {
			assert(old >= at || retired[old]);
			if
			:: old < at -> pins_wait()
			:: else
			fi
		}
	}
died:
	skip
}

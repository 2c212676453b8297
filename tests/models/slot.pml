/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots: who owns one, who is dead, what may be freed.
 *
 * models	ipc/slot.c (slot_take, slot_give, slot_reap, slot_oldest,
 *		map_apart), ipc/slot.h (slot_enter, slot_leave), ipc/lock.h
 *		(OFD locks), core/read.c (snapshot_try), the fork handlers
 * processes	P has two reading threads and, in turn with another process X,
 *		writes; Q is forked from P, holds P's description until it has
 *		closed it, and then reads, too.  SIGKILL hits all threads of a
 *		process, and each may go on for some steps.
 * claims	A slot has one owner.  What a reader uses is not freed; its
 *		slot says what it published until it leaves.  When all have
 *		ended or are idle, nothing holds the writer back for ever,
 *		though Q may have died with P's description open.
 * assumes	a description's locks vanish after the last step of the last
 *		process that has it open; orderings hold (see slot.cpp).
 */
#include "model.pml"

/* mutants */
#define NO_BITMAP	1  /* slot_take asks the lock alone */
#define NO_CLEAN	2  /* slot_take leaves a dead owner's number */
#define NO_REAP		3  /* slot_oldest clears no dead slot */
#define REAP_BLIND	4  /* slot_reap does not ask the lock */
#define REAP_OWN	5  /* slot_reap does not ask the bitmap */
#define REAP_NO_MUTEX	6  /* slot_reap does not take the mutex */
#define REAP_UNLOCKS	7  /* slot_reap unlocks, then clears */
#define GIVE_UNLOCKS	8  /* slot_give unlocks, then leaves */
#define LIMIT_LATE	9  /* the limit is raised after entering */
#define ENTER_LATE	10 /* S1: the slot is stored after the renewal */
#define OLDEST_EARLY	11 /* S1: the slots are read before the commit */
#define LEAVE_EARLY	12 /* S2: the slot is cleared before the last load */
#define MAP_HOLDS	13 /* a mapping holds the description with the locks */
#define NO_CLOSE	14 /* a forked child keeps the description */

#define SLOTS 2
#define OWNERS 3 /* open file descriptions: of P, of Q, of X */
#define P 0
#define Q 1
#define X 2
#define NONE 255

byte word[SLOTS];	    /* snapshot + 1; 0: idle */
byte locked[SLOTS] = NONE;  /* the description that has the slot's byte */
byte limit;

/* of the kernel: processes with P's description, threads of P */
byte holders = 1;
byte threads;
bool dead[OWNERS];

/* of each process */
bool taken[OWNERS * SLOTS];
bool mutex[OWNERS];

byte shown = 1; /* LMDB's newest commit */
byte committed = 1;
byte freed;    /* what died at or before this commit was freed */
bool writing;  /* W */
bool forked, closed;

byte owners[SLOTS]; /* for the claims */
byte ended[OWNERS], parked[OWNERS], expected;
hidden byte processes; /* 1 a second reader of P, 2 P's writer, 4 Q, 8 X */

#undef STEP
#define STEP(x)                                                                \
	atomic {                                                               \
		if                                                             \
		:: x                                                           \
		:: deaths > 0 && !dead[me] -> deaths--; dead[me] = 1;          \
					      goto died                        \
		:: dead[me] -> goto died                                       \
		fi                                                             \
	}

/* F_OFD_SETLK gives the byte to whom holds it already, too. */
#define CAN_LOCK(i) (locked[i] == NONE || locked[i] == me)

inline unlock(i)
{
	if
	:: locked[i] == me -> locked[i] = NONE
	:: else
	fi
}

/* The kernel, after the last step of who had the description. */
inline locks_drop(d)
{
	for (i : 0 .. SLOTS - 1) {
		if
		:: locked[i] == d -> locked[i] = NONE; owners[i] = 0
		:: else
		fi
	}
	i = 0
}

inline holder_gone()
{
	holders--;
	if
	:: holders == 0 -> locks_drop(P)
	:: else
	fi
}

inline thread_gone()
{
	threads--;
	if
	:: threads == 0 -> holder_gone()
	:: else
	fi
}

inline limit_raise()
{
	limit = (limit < at + 1 -> at + 1 : limit)
}

/* at NONE: all are taken */
inline slot_take()
{
	STEP(!mutex[me] -> mutex[me] = 1; at = 0);
	do
	:: atomic { at == SLOTS -> at = NONE; break }
	:: atomic {
		at < SLOTS && taken[me * SLOTS + at] && !MUTANT(NO_BITMAP) ->
		at++
	   }
	:: atomic {
		at < SLOTS && (!taken[me * SLOTS + at] || MUTANT(NO_BITMAP)) ->
		STEP(if
		     :: CAN_LOCK(at) ->
			locked[at] = me;
			taken[me * SLOTS + at] = 1;
			assert(owners[at] == 0);
			owners[at]++;
			break
		     :: else -> at++
		     fi)
	   }
	od;
	WHEN(at != NONE && !MUTANT(NO_CLEAN), word[at] = 0);
	STEP(if
	     :: at != NONE && !MUTANT(LIMIT_LATE) -> limit_raise()
	     :: else
	     fi;
	     mutex[me] = 0)
}

inline slot_give()
{
	WHEN(MUTANT(GIVE_UNLOCKS), unlock(at); owners[at]--);
	STEP(word[at] = 0);
	STEP(!mutex[me] -> mutex[me] = 1;
	     if
	     :: !MUTANT(GIVE_UNLOCKS) -> unlock(at); owners[at]--
	     :: else
	     fi);
	STEP(taken[me * SLOTS + at] = 0; mutex[me] = 0)
}

inline read()
{
	STEP(s = committed; e = s);
	WHEN(MUTANT(ENTER_LATE), s = shown);
	STEP(word[at] = e + 1);
	WHEN(!MUTANT(ENTER_LATE), s = shown); /* S1 */
	WHEN(MUTANT(LIMIT_LATE), limit_raise());
	WHEN(MUTANT(LEAVE_EARLY), word[at] = 0);
	STEP(assert(freed <= s);
	     assert(word[at] == e + 1 || MUTANT(LEAVE_EARLY)));
	STEP(word[at] = 0; s = 0; e = 0) /* S2 */
}

proctype reader(byte me)
{
	byte at, i, s, e;

	if
	:: me == Q -> /* fork: not while P is dead or holds the mutex */
		if
		:: atomic {
			!forked && !dead[P] && !mutex[P] && threads ->
			forked = 1; holders++
		   }
		:: atomic { dead[P] || !threads -> goto finish }
		fi;
		WHEN(!MUTANT(NO_CLOSE) && !MUTANT(MAP_HOLDS),
		     closed = 1; holder_gone())
	:: else
	fi;
	slot_take();
	if
	:: at != NONE ->
		if
		:: read()
		:: true
		fi;
		if
		:: slot_give()
		:: atomic { at = 0; parked[me]++; goto end_parked }
		fi
	:: else
	fi;
	goto finish;
end_parked: /* lives on, with a slot and without a snapshot */
	STEP(false);
died:
	skip;
finish:
	atomic { /* the kernel */
		at = 0; s = 0; e = 0;
		if
		:: me == P -> thread_gone()
		:: me == Q ->
			locks_drop(Q);
			if
			:: forked && !closed -> holder_gone()
			:: else
			fi
		:: else
		fi;
		ended[me]++
	}
}

/* ipc/slot.c: slot_reap; e: whether it was dead */
inline slot_reap()
{
	WHEN(!MUTANT(REAP_NO_MUTEX), !mutex[me] -> mutex[me] = 1);
	STEP(if
	     :: MUTANT(REAP_BLIND) -> e = 1
	     :: !MUTANT(NO_REAP) && !MUTANT(REAP_BLIND) && CAN_LOCK(at) &&
	        (!taken[me * SLOTS + at] || MUTANT(REAP_OWN)) ->
		locked[at] = me; e = 1
	     :: else -> e = 0
	     fi);
	WHEN(e && MUTANT(REAP_UNLOCKS), unlock(at));
	WHEN(e, word[at] = 0);
	STEP(if
	     :: e -> unlock(at)
	     :: else
	     fi;
	     if
	     :: !MUTANT(REAP_NO_MUTEX) -> mutex[me] = 0
	     :: else
	     fi)
}

/* ipc/slot.c: slot_oldest */
inline slot_oldest()
{
	STEP(oldest = shown; i = limit; at = 0);
	do
	:: atomic { at == i -> at = 0; i = 0; break }
	:: atomic {
		at < i ->
		STEP(s = word[at])
	   };
	   if
	   :: atomic { s && s - 1 < oldest -> skip };
	      slot_reap();
	      atomic { oldest = (e -> oldest : s - 1); e = 0; s = 0; at++ }
	   :: atomic { !s || s - 1 >= oldest -> s = 0; at++ }
	   fi
	od
}

inline commit()
{
	if
	:: MUTANT(OLDEST_EARLY) -> slot_oldest();
				   oldest = (oldest == shown -> shown + 1 :
								oldest);
				   STEP(shown++)
	:: else -> STEP(shown++); slot_oldest()
	fi;
	STEP(committed = shown);
	STEP(freed = (oldest > freed -> oldest : freed))
}

proctype writer(byte me)
{
	byte at, i, s, e, oldest;

	STEP(!writing -> writing = 1);
	committed = shown; /* recovery */
	commit();
died:
	atomic {
		at = 0; s = 0; e = 0; i = 0; oldest = 0;
		writing = 0;
		if
		:: me == P -> thread_gone()
		:: else
		fi;
		ended[me]++
	}
}

#define ALSO(bit) ((processes & bit) != 0)

init
{
	byte me = X, at, i, s, e, oldest;

	atomic {
		OPTIONS_READ;
		c_code { processes = option("PROCESSES", 15); };
		threads = 1 + ALSO(1) + ALSO(2);
		expected = threads + ALSO(4) + ALSO(8);
		run reader(P);
		if
		:: ALSO(1) -> run reader(P)
		:: else
		fi;
		if
		:: ALSO(2) -> run writer(P)
		:: else
		fi;
		if
		:: ALSO(4) -> run reader(Q)
		:: else
		fi;
		if
		:: ALSO(8) -> run writer(X)
		:: else
		fi
	}
	atomic {
		ended[P] + ended[Q] + ended[X] +
			(dead[P] -> 0 : parked[P]) +
			(dead[Q] -> 0 : parked[Q]) == expected;
		deaths = 0;
		dead[X] = 0;
		mutex[X] = 0;
		for (i : 0 .. SLOTS - 1) {
			taken[X * SLOTS + i] = 0
		}
		locks_drop(X);
		shown++;
		slot_oldest();
		assert(oldest == shown) /* nothing holds it back for ever */
	}
died:
	skip
}

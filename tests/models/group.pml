/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: posters, mailboxes, leaders; each applied exactly once.
 *
 * models	core/group.c (group_commit, post_wait, give_up, retry,
 *		group_lead, orphan_answer, group_collect), core/commit.c
 *		(commit_run), ipc/mailbox.c (mailbox_take, box_empty,
 *		mailbox_post, mailbox_collect, mailbox_withdraw,
 *		mailbox_answer, mailbox_wake_heir)
 * claims	Nothing is applied twice.  What its poster was told is done is
 *		applied and on disk; what he was told is refused, or was taken
 *		back, is not and never will be.  Who was told that it is
 *		unknown can ask.  Nobody waits for the dead.  What was posted
 *		when a leader took W is not left posted by it, unless it
 *		retried something alone.  A request that kills whoever executes
 *		it kills, besides its poster, one leader.
 * assumes	W and the locks of mailboxes vanish after their holder's last
 *		step; LMDB's commit is one step, and on disk in the next.
 * sleep	A poster looks again every 2 ms: here, whenever it would find
 *		something.  Wake-ups matter only to the mutant NO_TIMER.
 */
#include "model.pml"

/* mutants */
#define NO_ORPHANS	1  /* nobody answers for a dead leader */
#define ORPHAN_RETRY	2  /* who does, says RETRY unseen */
#define ORPHAN_DONE	3  /* who does, says DONE unseen */
#define ORPHAN_POST	4  /* who does, puts it back for any leader */
#define NO_SYNC		5  /* who does, does not sync LMDB first */
#define NO_RESULTS	6  /* LMDB gets no results */
#define RESULTS_LATER	7  /* LMDB gets them in a transaction after */
#define SAME_NUMBER	8  /* the number does not grow */
#define CAS_PHASE	9  /* taking compares the phase alone */
#define NO_CAS		10 /* taking does not compare */
#define WITHDRAW_BLIND	11 /* taking back does not compare */
#define POST_EARLY	12 /* POSTED is stored before the request */
#define NO_BOX_LOCK	13 /* a mailbox is used without its lock */
#define ANSWER_EARLY	14 /* answers precede the commit */
#define NO_ABORT	15 /* a group that failed stays, and each runs alone */
#define ONE_A_GROUP	16 /* a leader takes one request */
#define NO_TIMER	17 /* posters wait for a wake-up alone */

#define CLIENTS 3
#define BOXES 2
#define NONE 15
#define BIT(r) (1 << (r))

mtype = { EMPTY, POSTED, TAKEN, DONE, RETRY };

typedef box_t {
	mtype phase = EMPTY; /* with number: the word, one for a CAS */
	byte number;
	byte body = NONE; /* of the request */
	byte hash = NONE;
	bit ok;	      /* the answer */
	byte owner;   /* who has its lock, 0: nobody */
	byte result;  /* LMDB's: the number that was applied last */
	byte pending; /* RESULTS_LATER */
	bit woken;    /* NO_TIMER */
};
box_t boxes[BOXES];

typedef taken_t {
	byte number; /* 0: not taken */
	byte r;
};

typedef ticket_t {
	byte box; /* + 1 */
	byte number;
};
ticket_t unknown[CLIENTS + 1];

byte writer_lock;
byte timeouts;

/* sets of requests: bit r */
byte applied, on_disk, said_yes, said_no;
hidden byte poison, refused, failing;
byte poisoned; /* strangers that died of a poison */
byte finished;

/* mailbox_take: `box` NONE if none can be had */
inline mailbox_take()
{
	box = 0;
	do
	:: atomic { box == BOXES -> box = NONE; break }
	:: atomic {
		box < BOXES ->
		STEP(if
		     :: !boxes[box].owner || boxes[box].owner == _pid ||
		        MUTANT(NO_BOX_LOCK) ->
			boxes[box].owner = _pid;
			if
			:: boxes[box].phase == TAKEN -> box++
			:: else -> boxes[box].phase = EMPTY; break
			fi
		     :: else -> box++
		     fi)
	   }
	od
}

inline mailbox_post()
{
	number = boxes[box].number + !MUTANT(SAME_NUMBER);
	WHEN(MUTANT(POST_EARLY),
	     boxes[box].number = number; boxes[box].phase = POSTED);
	STEP(boxes[box].body = r);
	STEP(boxes[box].hash = r);
	WHEN(!MUTANT(POST_EARLY),
	     boxes[box].number = number; boxes[box].phase = POSTED);
	boxes[box].woken = MUTANT(NO_TIMER)
}

#define IS(p) (boxes[box].phase == p && boxes[box].number == number)
#define WAITS (IS(POSTED) || IS(TAKEN))
#define AWAKE (!MUTANT(NO_TIMER) || boxes[box].woken)

/* What a caller is told. */
inline say(r, yes)
{
	assert(!((said_yes | said_no) & BIT(r)));
	if
	:: yes -> assert(on_disk & BIT(r)); said_yes = said_yes | BIT(r)
	:: else -> assert(!(applied & BIT(r))); said_no = said_no | BIT(r)
	fi
}

inline wake(b)
{
	boxes[b].woken = MUTANT(NO_TIMER)
}

/* mailbox_answer, for a request that was taken */
inline mailbox_answer(b, p, yes)
{
	STEP(boxes[b].ok = yes;
	     if
	     :: boxes[b].phase == TAKEN && boxes[b].number == taken[b].number ->
		boxes[b].phase = p;
		wake(b)
	     :: else
	     fi)
}

/* orphan_answer */
inline orphan_answer(b)
{
	if
	:: atomic {
		boxes[b].phase == TAKEN && !MUTANT(NO_ORPHANS) ->
		taken[b].number = boxes[b].number;
		WHEN(!MUTANT(NO_SYNC), on_disk = applied)
	   };
	   if
	   :: MUTANT(ORPHAN_DONE) || (!MUTANT(ORPHAN_RETRY) &&
				      boxes[b].result == boxes[b].number) ->
		mailbox_answer(b, DONE, 1)
	   :: else ->
		mailbox_answer(b, (MUTANT(ORPHAN_POST) -> POSTED : RETRY), 0)
	   fi;
	   taken[b].number = 0
	:: boxes[b].phase != TAKEN || MUTANT(NO_ORPHANS)
	fi
}

/* mailbox_collect */
inline mailbox_collect(b)
{
	if
	:: atomic {
		boxes[b].phase == POSTED &&
		!(MUTANT(ONE_A_GROUP) && group) ->
		STEP(taken[b].number = boxes[b].number; hash = boxes[b].hash)
	   };
	   STEP(copy = boxes[b].body);
	   STEP(if
		:: MUTANT(NO_CAS) ||
		   (boxes[b].phase == POSTED &&
		    (MUTANT(CAS_PHASE) ||
		     boxes[b].number == taken[b].number)) ->
			boxes[b].phase = TAKEN;
			assert(copy == hash); /* not torn */
			taken[b].number = boxes[b].number;
			taken[b].r = copy;
			group = group | BIT(copy)
		:: else -> taken[b].number = 0
		fi;
		copy = 0; hash = 0)
	:: atomic {
		boxes[b].phase != POSTED || (MUTANT(ONE_A_GROUP) && group) ->
		skip
	   }
	fi
}

/* LMDB: in `set` what is to be applied, with results of what was posted */
inline results_store(b)
{
	if
	:: taken[b].number && set & BIT(taken[b].r) ->
		if
		:: MUTANT(RESULTS_LATER) -> boxes[b].pending = taken[b].number
		:: MUTANT(NO_RESULTS)
		:: else -> boxes[b].result = taken[b].number
		fi
	:: else
	fi
}

inline results_later(b)
{
	if
	:: boxes[b].pending ->
		boxes[b].result = boxes[b].pending; boxes[b].pending = 0
	:: else
	fi
}

inline commit_once()
{
	WHEN(set,
	     assert(!(applied & set)); /* twice */
	     assert(!(said_no & set));
	     applied = applied | set;
	     results_store(0);
	     results_store(1));
	WHEN(set, on_disk = applied);
	WHEN(set && MUTANT(RESULTS_LATER), results_later(0); results_later(1));
	done = done | set;
	set = 0
}

/* commit_run: a put that fails aborts; then each runs alone */
inline commit_run()
{
	atomic {
		if
		:: group & poison -> /* dies of it */
			if
			:: own == NONE || !(poison & BIT(own)) ->
				poisoned++;
				assert(poisoned == 1)
			:: else
			fi;
			goto died
		:: else
		fi;
		group = group & ~refused;
		set = (group & failing -> 0 : group);
		if
		:: MUTANT(NO_ABORT) && group & failing ->
			set = group & ~failing
		:: else
		fi
	};
	if
	:: group & failing ->
		if
		:: MUTANT(NO_ABORT) -> commit_once()
		:: else
		fi;
		group = group & ~failing;
		alone_r = 0;
		do
		:: alone_r > CLIENTS -> alone_r = 0; break
		:: alone_r <= CLIENTS && group & BIT(alone_r) ->
			set = BIT(alone_r);
			commit_once();
			alone_r++
		:: alone_r <= CLIENTS && !(group & BIT(alone_r)) -> alone_r++
		od
	:: else -> commit_once()
	fi
}

inline answer_send(b)
{
	if
	:: taken[b].number ->
		mailbox_answer(b, DONE,
			       (done & BIT(taken[b].r)) != 0)
	:: else
	fi
}

/* What was posted when this leader took W. */
inline there_note()
{
	there[0] = (boxes[0].phase == POSTED -> boxes[0].number : 0);
	there[1] = (boxes[1].phase == POSTED -> boxes[1].number : 0)
}

inline there_check(b)
{
	assert(boxes[b].phase != TAKEN); /* all it took is answered */
	assert(alone || !there[b] || boxes[b].phase != POSTED ||
	       boxes[b].number != there[b])
}

/* group_lead: W held */
inline group_lead()
{
	orphan_answer(0);
	orphan_answer(1);
	if
	:: own != NONE -> group = BIT(own)
	:: else
	fi;
	if
	:: !alone -> mailbox_collect(0); mailbox_collect(1)
	:: else
	fi;
	if
	:: MUTANT(ANSWER_EARLY) -> done = group; answer_send(0); answer_send(1)
	:: else
	fi;
	commit_run();
	answer_send(0);
	answer_send(1);
	STEP(there_check(0); there_check(1); writer_lock = 0);
	if
	:: MUTANT(NO_TIMER) && boxes[0].phase == POSTED -> STEP(wake(0))
	:: MUTANT(NO_TIMER) && boxes[0].phase != POSTED -> STEP(wake(1))
	:: else
	fi;
	atomic {
		happened = (own != NONE && done & BIT(own));
		group = 0; done = 0; alone = 0;
		taken[0].number = 0; taken[0].r = 0;
		taken[1].number = 0; taken[1].r = 0;
		there[0] = 0; there[1] = 0
	}
}

/* commits the requests r to last */
proctype client(byte r; byte last)
{
	byte box, number, own, hash, copy, group, set, done, alone_r;
	byte there[BOXES];
	bit alone, happened, back;
	taken_t taken[BOXES];

next:
	box = NONE;
	own = r;
	/* group_commit */
	if
	:: STEP(!writer_lock -> writer_lock = _pid; there_note()); goto lead
	:: atomic { writer_lock -> skip }
	fi;
	mailbox_take();
	if
	:: box == NONE -> /* direct_commit */
		STEP(!writer_lock -> writer_lock = _pid; there_note());
		goto lead
	:: else
	fi;
	mailbox_post();
	/* post_wait */
wait:
	if
	:: atomic { AWAKE && IS(DONE) ->
		STEP(say(r, boxes[box].ok)) };
		STEP(boxes[box].phase = EMPTY);
		goto answered
	:: atomic { AWAKE && IS(RETRY) -> STEP(boxes[box].phase = EMPTY) };
		own = r;
		alone = 1;
		STEP(!writer_lock -> writer_lock = _pid; there_note());
		goto lead
	:: atomic { AWAKE && WAITS && !writer_lock ->
		STEP(writer_lock = _pid; there_note()) };
		STEP(if
		     :: IS(POSTED) -> boxes[box].phase = EMPTY; own = r
		     :: else -> own = NONE
		     fi);
		goto lead
	:: atomic { MUTANT(NO_TIMER) && AWAKE && WAITS && writer_lock ->
		boxes[box].woken = 0 };
		goto wait
	:: atomic { timeouts && WAITS -> timeouts-- }; /* give_up */
		STEP(if
		     :: IS(POSTED) || MUTANT(WITHDRAW_BLIND) ->
			boxes[box].phase = EMPTY; say(r, 0)
		     :: IS(DONE) -> say(r, boxes[box].ok);
				    boxes[box].phase = EMPTY
		     :: else -> unknown[r].box = box + 1;
				unknown[r].number = number
		     fi);
		goto answered
	fi;
lead:
	group_lead();
	if
	:: own == NONE -> goto wait
	:: else -> STEP(say(r, happened)); happened = 0
	fi;
answered:
progress:
	if
	:: r < last -> r++; goto next
	:: else
	fi;
died:
	atomic { /* the kernel */
		if
		:: writer_lock == _pid -> writer_lock = 0
		:: else
		fi;
		for (box : 0 .. BOXES - 1) {
			if
			:: boxes[box].owner == _pid -> boxes[box].owner = 0
			:: else
			fi
		}
		finished++;
		box = 0; number = 0; own = 0; hash = 0; copy = 0; group = 0;
		set = 0; done = 0; alone_r = 0; alone = 0; happened = 0;
		there[0] = 0; there[1] = 0; r = 0; last = 0;
		taken[0].number = 0; taken[0].r = 0;
		taken[1].number = 0; taken[1].r = 0
	}
}

init
{
	byte own = NONE, hash, copy, group, set, done, alone_r, r;
	byte there[BOXES];
	bit alone, happened;
	taken_t taken[BOXES];

	atomic {
		OPTIONS_READ;
		c_code {
			now.timeouts = option("TIMEOUTS", 1);
			poison = option("POISON", 0);
			refused = option("REFUSED", 0);
			failing = option("FAILING", 0);
		};
		run client(0, 1);
		run client(2, 2);
		run client(3, 3)
	}
	atomic { /* cop_poke, cop_outcome */
		finished == CLIENTS && !writer_lock;
		deaths = 0;
		group_lead();
		assert((said_yes & on_disk) == said_yes);
		assert(!(said_no & applied));
		for (r : 0 .. CLIENTS) {
			if
			:: unknown[r].box ->
				assert((boxes[unknown[r].box - 1].result ==
					unknown[r].number) ==
				       ((applied & BIT(r)) != 0) ||
				       boxes[unknown[r].box - 1].result >
					unknown[r].number)
			:: else
			fi
		}
	}
died:
	skip
}

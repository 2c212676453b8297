/* SPDX-License-Identifier: Apache-2.0 */
#include "linear.h"

#include <stdlib.h>
#include <string.h>

enum { NOT_TAKEN = 0, TAKEN = 1 };

/* A call or a return, in a list by time from which placed ones are lifted. */
struct event {
	struct event *previous;
	struct event *next;
	struct event *match; /* a call's return, NULL for an open one */
	uint64_t at;
	size_t op;
	int is_return;
};

struct set {
	uint64_t low;
	uint64_t high;
};

struct seen {
	struct set set;
	uint64_t value;
	uint64_t is_used;
};

struct placed {
	struct event *call;
	uint64_t value; /* of the register before */
};

struct search {
	const struct linear_op *ops;
	struct event *events; /* events[0] is the list's head */
	size_t event_count;
	struct placed *stack;
	size_t depth;
	struct seen *seen;
	size_t seen_count;
	size_t seen_room; /* a power of 2 */
	struct set set;
	uint64_t value;
};

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- operations without an answer --------------------------------------- */

static int writes(const struct linear_op *op)
{
	return op->kind == LINEAR_WRITE || op->kind == LINEAR_CAS;
}

static int takes_part(const struct linear_op *op)
{
	return op->kind &&
	       !(op->kind == LINEAR_READ && op->returned == LINEAR_OPEN);
}

static int op_compare_value(const void *a, const void *b)
{
	const struct linear_op *const *x = a;
	const struct linear_op *const *y = b;

	if ((*x)->value != (*y)->value)
		return (*x)->value < (*y)->value ? -1 : 1;
	return 0;
}

/* The one operation that wrote a value; NULL if none, or several, did. */
static struct linear_op *writer_of(struct linear_op **writers, size_t count,
				   uint64_t value)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (writers[middle]->value < value)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || writers[low]->value != value ||
	    (low + 1 < count && writers[low + 1]->value == value))
		return NULL;
	return writers[low];
}

/* The open operation whose value another one has seen; NULL if none. */
static struct linear_op *seen_of(struct linear_op **writers, size_t count,
				 const struct linear_op *witness,
				 uint64_t initial)
{
	uint64_t value =
	    witness->kind == LINEAR_CAS ? witness->expected : witness->value;
	struct linear_op *writer;

	if (witness->kind == LINEAR_WRITE || value == initial)
		return NULL;
	writer = writer_of(writers, count, value);
	return writer && writer->returned == LINEAR_OPEN && writer != witness
		   ? writer
		   : NULL;
}

/* Whoever has seen a value came after the operation that wrote it. */
static int open_bound(struct linear_op *ops, size_t count,
		      struct linear_op **writers, size_t writer_count,
		      uint64_t initial)
{
	int found = 0;

	for (size_t i = 0; i < count; i++) {
		struct linear_op *writer =
		    seen_of(writers, writer_count, &ops[i], initial);

		if (!writer || ops[i].returned == LINEAR_OPEN ||
		    writer->called > ops[i].returned)
			continue;
		writer->returned = ops[i].returned;
		found = 1;
	}
	return found;
}

/* What nobody saw may as well not have been, if it alone wrote its value. */
static int open_drop(struct linear_op *ops, size_t count,
		     struct linear_op **writers, size_t writer_count,
		     uint64_t initial, unsigned char *seen)
{
	int found = 0;

	memset(seen, 0, count);
	for (size_t i = 0; i < count; i++) {
		struct linear_op *writer =
		    seen_of(writers, writer_count, &ops[i], initial);

		if (writer && takes_part(&ops[i]))
			seen[writer - ops] = 1;
	}
	for (size_t i = 0; i < writer_count; i++) {
		struct linear_op *writer = writers[i];

		if (!writer->kind || writer->returned != LINEAR_OPEN ||
		    writer->value == initial || seen[writer - ops] ||
		    !writer_of(writers, writer_count, writer->value))
			continue;
		writer->kind = 0;
		found = 1;
	}
	return found;
}

/* Of a chain of open ones each pass settles one more. */
static int open_settle(struct linear_op *ops, size_t count, uint64_t initial)
{
	struct linear_op **writers = malloc((count + 1) * sizeof *writers);
	unsigned char *seen = malloc(count + 1);
	size_t n = 0;
	int err = writers && seen ? 0 : -1;

	for (size_t i = 0; !err && i < count; i++)
		if (writes(&ops[i]))
			writers[n++] = &ops[i];
	if (!err) {
		qsort(writers, n, sizeof *writers, op_compare_value);
		while (open_bound(ops, count, writers, n, initial))
			;
		while (open_drop(ops, count, writers, n, initial, seen))
			;
	}
	free(writers);
	free(seen);
	return err;
}

/* ---- the list of events ------------------------------------------------- */

static int event_compare(const void *a, const void *b)
{
	const struct event *x = a;
	const struct event *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->is_return != y->is_return) /* at one instant: concurrent */
		return x->is_return - y->is_return;
	return x->op < y->op ? -1 : x->op > y->op;
}

static int events_link(struct search *search, size_t op_count)
{
	struct event **call_of = calloc(op_count + 1, sizeof(struct event *));
	struct event *last = search->events;

	if (!call_of)
		return -1;
	for (size_t i = 1; i <= search->event_count; i++) {
		struct event *event = &search->events[i];

		event->previous = last;
		last->next = event;
		last = event;
		if (!event->is_return)
			call_of[event->op] = event;
		else
			call_of[event->op]->match = event;
	}
	free(call_of);
	return 0;
}

static int events_init(struct search *search, size_t op_count)
{
	size_t n = 0;

	search->events = calloc(2 * op_count + 1, sizeof *search->events);
	if (!search->events)
		return -1;
	for (size_t i = 0; i < op_count; i++) {
		const struct linear_op *op = &search->ops[i];

		if (!takes_part(op))
			continue;
		search->events[++n] = (struct event){.at = op->called, .op = i};
		if (op->returned != LINEAR_OPEN)
			search->events[++n] = (struct event){
			    .at = op->returned, .op = i, .is_return = 1};
	}
	search->event_count = n;
	qsort(search->events + 1, n, sizeof *search->events, event_compare);
	return events_link(search, op_count);
}

static void event_remove(struct event *event)
{
	event->previous->next = event->next;
	if (event->next)
		event->next->previous = event->previous;
}

static void event_restore(struct event *event)
{
	event->previous->next = event;
	if (event->next)
		event->next->previous = event;
}

static void lift(struct event *call)
{
	event_remove(call);
	if (call->match)
		event_remove(call->match);
}

static void unlift(struct event *call)
{
	if (call->match)
		event_restore(call->match);
	event_restore(call);
}

/* ---- what was seen before ----------------------------------------------- */

static struct seen *seen_find(struct search *search, struct set set,
			      uint64_t value)
{
	size_t mask = search->seen_room - 1;
	size_t at = (set.low ^ mix(value)) & mask;

	while (search->seen[at].is_used &&
	       (search->seen[at].set.low != set.low ||
		search->seen[at].set.high != set.high ||
		search->seen[at].value != value))
		at = (at + 1) & mask;
	return &search->seen[at];
}

static int seen_grow(struct search *search)
{
	struct seen *old = search->seen;
	size_t room = search->seen_room;

	search->seen_room = room ? room * 2 : 1024;
	search->seen = calloc(search->seen_room, sizeof *search->seen);
	if (!search->seen) {
		search->seen = old;
		search->seen_room = room;
		return -1;
	}
	for (size_t i = 0; i < room; i++)
		if (old[i].is_used)
			*seen_find(search, old[i].set, old[i].value) = old[i];
	free(old);
	return 0;
}

/* TAKEN if the pair is new and now noted, NOT_TAKEN if not, -1 no memory. */
static int seen_note(struct search *search, struct set set, uint64_t value)
{
	struct seen *seen;

	if (2 * search->seen_count >= search->seen_room && seen_grow(search))
		return -1;
	seen = seen_find(search, set, value);
	if (seen->is_used)
		return NOT_TAKEN;
	*seen = (struct seen){set, value, 1};
	search->seen_count++;
	return TAKEN;
}

/* ---- the search --------------------------------------------------------- */

static struct set set_toggled(struct set set, size_t op)
{
	set.low ^= mix(2 * op);
	set.high ^= mix(2 * op + 1);
	return set;
}

/* Places the operation next, if it would answer so and leads to news. */
static int place(struct search *search, struct event *call)
{
	const struct linear_op *op = &search->ops[call->op];
	uint64_t value = op->value;
	struct set set = set_toggled(search->set, call->op);
	int taken;

	if ((op->kind == LINEAR_READ && value != search->value) ||
	    (op->kind == LINEAR_CAS && op->expected != search->value))
		return NOT_TAKEN;
	taken = seen_note(search, set, value);
	if (taken != TAKEN)
		return taken;
	search->stack[search->depth++] = (struct placed){call, search->value};
	search->set = set;
	search->value = value;
	lift(call);
	return TAKEN;
}

/* Takes the newest back; the event to go on with, NULL: there is none. */
static struct event *unplace(struct search *search)
{
	struct placed *last;

	if (!search->depth)
		return NULL;
	last = &search->stack[--search->depth];
	search->set = set_toggled(search->set, last->call->op);
	search->value = last->value;
	unlift(last->call);
	return last->call;
}

static int search_run(struct search *search, size_t *stuck)
{
	struct event *event = search->events[0].next;
	size_t deepest = 0;
	uint64_t steps = 0;
	int taken;

	while (event) { /* at the end, no return is left to come to */
		if (event->is_return) {
			if (search->depth >= deepest) {
				deepest = search->depth;
				*stuck = event->op;
			}
			event = unplace(search);
			if (!event)
				return LINEAR_NO;
			event = event->next;
			continue;
		}
		taken = place(search, event);
		if (taken < 0)
			return -1;
		if (taken == TAKEN && ++steps > LINEAR_STEPS)
			return LINEAR_TIRED;
		event = taken == TAKEN ? search->events[0].next : event->next;
	}
	return LINEAR_YES;
}

int linear_check(struct linear_op *ops, size_t count, uint64_t initial,
		 size_t *stuck)
{
	struct search search = {.ops = ops, .value = initial};
	int verdict = -1;

	*stuck = 0;
	if (!open_settle(ops, count, initial) && !events_init(&search, count)) {
		search.stack = malloc((count + 1) * sizeof *search.stack);
		if (search.stack)
			verdict = search_run(&search, stuck);
	}
	free(search.stack);
	free(search.events);
	free(search.seen);
	return verdict;
}

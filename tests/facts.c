/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who held what when: facts with dates of Wikidata and YAGO, whose edges are
 * valid from the beginning of the year or day that a line names up to the end
 * of the other one.  What the store says of an entity at a point in time, as
 * of either commit, is what going over all lines says.
 *
 * idea
 *	A date has unknown parts at its end: "1926-##-##" is a year,
 *	"19##-##-##" a century, "####-##-##" is open.  A year below 0 is taken
 *	as the calendar counts on, with a year 0.  Facts that agree in source,
 *	relation and target are told apart by discriminators, in order of
 *	lines.  Both sides of a comparison are sorted and compared as bytes.
 */
#include "fixture.h"

enum {
	PATH_BYTES = 512,
	LINE_BYTES = 256,
	DAY = 86400,
	QUESTIONS = 16000 / TEST_SLOW,
	WALKS = 1200 / TEST_SLOW,
	COMMITS = 2,
	ENTITIES = 20000, /* numbers are below it, of both sets */
	RELATIONS = 64,
	ROOM = 4096 /* edges of one entity */
};

struct fact {
	int64_t from;
	int64_t to;
	int32_t source;
	int32_t relation;
	int32_t target;
	uint32_t discriminator;
	uint64_t commit;
	size_t line;
};

/* An edge of an answer; all bytes of it count. */
struct answer {
	struct cop_validity valid;
	uint64_t version;
	int32_t source;
	int32_t relation;
	int32_t target;
	uint32_t discriminator;
};

struct step {
	int32_t entity;
	int32_t relation;
	int32_t direction;
};

struct world {
	struct fixture f;
	const char *name;
	struct fact *facts;
	size_t count;
	size_t lines;
	size_t unreadable; /* a date is none */
	size_t backwards;  /* it ends before it begins */
	uint64_t ids[ENTITIES];
	uint64_t seed;
	int wrong;
	struct cop_instant at; /* of the question */
	uint64_t commit;
	struct answer got[ROOM];
	struct answer want[ROOM];
	struct step got_steps[ROOM];
	struct step want_steps[ROOM];
	size_t got_count;
	size_t want_count;
};

#define note(w, ...)                                                           \
	do {                                                                   \
		if ((w)->wrong++ < 5)                                          \
			diag(__VA_ARGS__);                                     \
	} while (0)

/* ---- dates -------------------------------------------------------------- */

static int is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30,
				   31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Seconds from 1970 to the beginning of a day, a year at a time: plain. */
static int64_t seconds_of(int64_t year, int month, int day)
{
	int64_t days = day - 1;

	for (int64_t y = 1970; y < year; y++)
		days += 365 + is_leap(y);
	for (int64_t y = year; y < 1970; y++)
		days -= 365 + is_leap(y);
	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	return days * DAY;
}

/* A year whose last digits may be unknown: the first and the last it may be. */
static int year_parse(const char *text, size_t size, int64_t *first,
		      int64_t *last)
{
	int sign = *text == '-' ? -1 : 1;
	size_t i = *text == '-';
	int unknown = 0;

	*first = 0;
	*last = 0;
	if (i == size)
		return -1;
	for (; i < size; i++) {
		int digit = text[i] - '0';

		unknown |= text[i] == '#';
		if (text[i] != '#' && (digit < 0 || digit > 9 || unknown))
			return -1;
		*first = *first * 10 + (unknown ? 0 : digit);
		*last = *last * 10 + (unknown ? 9 : digit);
	}
	*first *= sign;
	*last *= sign;
	return sign < 0 && unknown ? -1 : 0;
}

/* Two digits, 0 if they are unknown, or -1. */
static int pair_parse(const char *text, size_t size)
{
	if (size != 2)
		return -1;
	if (!memcmp(text, "##", 2))
		return 0;
	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return -1;
	return (text[0] - '0') * 10 + text[1] - '0';
}

/* What a date names, as seconds: from its beginning up to its end. */
static int date_parse(const char *text, int64_t *from, int64_t *to)
{
	const char *last = strrchr(text, '-');
	const char *middle = last;
	int64_t first_year;
	int64_t last_year;
	int month;
	int day;

	if (!strncmp(text, "####", 4)) {
		*from = INT64_MIN;
		*to = INT64_MAX;
		return 0;
	}
	while (middle && middle > text && *--middle != '-')
		;
	if (!last || middle == text ||
	    year_parse(text, (size_t)(middle - text), &first_year, &last_year))
		return -1;
	month = pair_parse(middle + 1, (size_t)(last - middle - 1));
	day = pair_parse(last + 1, strlen(last + 1));
	if (month < 0 || month > 12 || day < 0 || (day && !month) ||
	    (day && day > month_days(first_year, month)))
		return -1;
	*from = seconds_of(first_year, month ? month : 1, day ? day : 1);
	*to = day		    ? *from + DAY
	      : month && month < 12 ? seconds_of(first_year, month + 1, 1)
				    : seconds_of(last_year + 1, 1, 1);
	return 0;
}

static void dates_are_what_they_name(void)
{
	int64_t from;
	int64_t to;

	ok(!date_parse("1969-12-31", &from, &to) && from == -DAY && !to,
	   "a day is a day");
	ok(!date_parse("2000-02-##", &from, &to) && from == 949363200 &&
	       to == from + 29 * DAY,
	   "a month is a month");
	ok(!date_parse("-405-##-##", &from, &to) && to - from == 365 * DAY &&
	       to < -74900000000,
	   "a year is a year, before the first, too");
	ok(!date_parse("19##-##-##", &from, &to) && from == -2208988800 &&
	       to == 946684800,
	   "a century is a century");
	ok(date_parse("307-13047-09", &from, &to), "what is no date is none");
}

/* ---- facts -------------------------------------------------------------- */

static cop_err fact_put(cop_write *write, const struct fact *fact)
{
	char source[16];
	char relation[16];
	char target[16];
	struct cop_validity valid = {{fact->from, 0, 0}, {fact->to, 0, 0}};
	struct cop_put_edge edge = {.size = sizeof edge,
				    .dangling = COP_DANGLING_STUB,
				    .source = source,
				    .relation = relation,
				    .target = target,
				    .discriminator = fact->discriminator,
				    .valid = &valid};

	edge.source_size =
	    (size_t)snprintf(source, sizeof source, "e%d", fact->source);
	edge.relation_size =
	    (size_t)snprintf(relation, sizeof relation, "r%d", fact->relation);
	edge.target_size =
	    (size_t)snprintf(target, sizeof target, "e%d", fact->target);
	return cop_put_edge(write, &edge);
}

/* Whether a store takes what ends before it begins. */
static int is_refused(struct world *w, const struct fact *fact)
{
	cop_write *write = write_of(&w->f);
	int refused =
	    fact_put(write, fact) == COP_INVALID && !cop_write_count(write);

	cop_abort(write);
	return refused;
}

static void line_take(struct world *w, const char *line, uint64_t commit)
{
	struct fact fact = {.commit = commit, .line = w->lines++};
	char from[32];
	char to[32];
	int64_t none;

	if (sscanf(line, "%" SCNd32 "\t%" SCNd32 "\t%" SCNd32 "\t%31s\t%31s",
		   &fact.source, &fact.relation, &fact.target, from, to) != 5 ||
	    fact.source < 0 || fact.source >= ENTITIES || fact.target < 0 ||
	    fact.target >= ENTITIES || fact.relation < 0 ||
	    fact.relation >= RELATIONS)
		bail_out("a line of %s is of another kind: %s", w->name, line);
	if (date_parse(from, &fact.from, &none) ||
	    date_parse(to, &none, &fact.to)) {
		w->unreadable++;
	} else if (fact.to <= fact.from) {
		w->backwards++;
		if (!is_refused(w, &fact))
			note(w, "%s to %s is taken", from, to);
	} else {
		w->facts[w->count++] = fact;
	}
}

static FILE *file_open(const char *set, const char *name)
{
	const char *folder = getenv("COPPICE_TEST_DATA");
	char path[PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof path, "%s/wikidata12k_yago11k/%s/%s",
		 folder ? folder : "../shared/data", set, name);
	file = fopen(path, "r");
	if (!file)
		skip_all("no test data; set COPPICE_TEST_DATA");
	return file;
}

static void file_load(struct world *w, const char *name, uint64_t commit)
{
	FILE *file = file_open(w->name, name);
	char line[LINE_BYTES];
	size_t room = 1 << 16;

	if (!w->facts)
		w->facts = malloc(room * sizeof *w->facts);
	while (fgets(line, sizeof line, file)) {
		if (!w->facts || w->count == room)
			bail_out("no room for the lines of %s", w->name);
		line_take(w, line, commit);
	}
	fclose(file);
}

/* By source, relation, target; of these, in order of lines. */
static int fact_compare(const void *a, const void *b)
{
	const struct fact *x = a;
	const struct fact *y = b;

	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	if (x->relation != y->relation)
		return x->relation < y->relation ? -1 : 1;
	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static void discriminators_set(struct world *w)
{
	struct fact *last = NULL;
	uint32_t most = 0;

	qsort(w->facts, w->count, sizeof *w->facts, fact_compare);
	for (size_t i = 0; i < w->count; i++) {
		struct fact *fact = &w->facts[i];

		if (last && last->source == fact->source &&
		    last->relation == fact->relation &&
		    last->target == fact->target)
			fact->discriminator = last->discriminator + 1;
		last = fact;
		most = fact->discriminator > most ? fact->discriminator : most;
	}
	diag("%s: %zu facts of %zu lines, up to %u alike; %zu end before they "
	     "begin, %zu have a date that is none",
	     w->name, w->count, w->lines, most + 1, w->backwards,
	     w->unreadable);
}

static void facts_commit(struct world *w, uint64_t commit)
{
	cop_write *write = write_of(&w->f);

	for (size_t i = 0; i < w->count; i++)
		if (w->facts[i].commit == commit)
			must(fact_put(write, &w->facts[i]), "edge");
	if (commit_of(write) != commit)
		bail_out("a commit has another number");
}

static void ids_learn(struct world *w)
{
	cop_read *read = read_of(&w->f);
	char key[16];

	for (int i = 0; i < ENTITIES; i++) {
		int size = snprintf(key, sizeof key, "e%d", i);

		must(cop_id(read, key, (size_t)size, &w->ids[i]), "id");
	}
	cop_read_end(read);
}

/* ---- questions ---------------------------------------------------------- */

/* Bounds are whole seconds. */
static int is_seen(const struct world *w, const struct fact *fact)
{
	return fact->commit <= w->commit && fact->from <= w->at.seconds &&
	       w->at.seconds < fact->to;
}

static int32_t number_of(const void *text, size_t size)
{
	char digits[16] = "";

	if (size < 2 || size >= sizeof digits)
		bail_out("a name or key of nobody");
	memcpy(digits, text, size);
	return (int32_t)strtol(digits + 1, NULL, 10);
}

static int32_t entity_of(cop_read *read, uint64_t id)
{
	const void *key;
	size_t size;

	must(cop_key(read, id, &key, &size), "key");
	return number_of(key, size);
}

static int32_t relation_of(cop_read *read, uint32_t name)
{
	const char *text;
	size_t size;

	must(cop_name(read, name, &text, &size), "name");
	return number_of(text, size);
}

/* A point near a bound of some fact, or anywhere; some do not matter. */
static void moment_draw(struct world *w)
{
	const struct fact *fact = &w->facts[test_below(&w->seed, w->count)];
	int64_t bound = test_below(&w->seed, 2) ? fact->from : fact->to;

	w->at = (struct cop_instant){0, 0, 0};
	if (bound == INT64_MIN || bound == INT64_MAX ||
	    test_below(&w->seed, 4) == 0)
		bound =
		    ((int64_t)test_below(&w->seed, 2600) - 2100) * 365 * DAY;
	switch (test_below(&w->seed, 4)) {
	case 0: /* the last moment before it */
		w->at.seconds = bound - 1;
		w->at.nanos = 999999999;
		break;
	case 1: w->at.seconds = bound; break;
	case 2: w->at.seconds = bound + DAY; break;
	default:
		w->at.seconds =
		    bound + (int64_t)test_below(&w->seed, 2000 * DAY);
		w->at.nanos = (uint32_t)test_below(&w->seed, 1000000000);
	}
}

/* One that some fact is about, so that many answers are not empty. */
static int32_t entity_draw(struct world *w)
{
	const struct fact *fact = &w->facts[test_below(&w->seed, w->count)];

	if (test_below(&w->seed, 2)) {
		w->at.seconds =
		    fact->from == INT64_MIN ? fact->to - 1 : fact->from;
		w->at.nanos = 0;
	}
	return test_below(&w->seed, 2) ? fact->source : fact->target;
}

static int32_t edge_got(void *user, cop_read *read, const struct cop_edge *edge)
{
	struct world *w = user;
	struct answer *answer = &w->got[w->got_count++];

	if (w->got_count == ROOM)
		bail_out("an entity has too many edges");
	/* what is reserved is not looked at */
	answer->valid = (struct cop_validity){
	    {edge->valid.from.seconds, edge->valid.from.nanos, 0},
	    {edge->valid.to.seconds, edge->valid.to.nanos, 0}};
	answer->version = edge->version;
	answer->source = entity_of(read, edge->source);
	answer->relation = relation_of(read, edge->relation);
	answer->target = entity_of(read, edge->target);
	answer->discriminator = edge->discriminator;
	return 0;
}

static void want(struct world *w, const struct fact *fact, int32_t direction)
{
	int32_t other = direction == COP_OUT ? fact->target : fact->source;

	if (w->want_count == ROOM)
		bail_out("an entity has too many facts");
	w->want[w->want_count] =
	    (struct answer){{{fact->from, 0, 0}, {fact->to, 0, 0}},
			    fact->commit,
			    fact->source,
			    fact->relation,
			    fact->target,
			    fact->discriminator};
	w->want_steps[w->want_count++] =
	    (struct step){other, fact->relation, direction};
}

/* By going over all lines. */
static void answer_wanted(struct world *w, int32_t entity, int32_t direction)
{
	w->want_count = 0;
	for (size_t i = 0; i < w->count; i++) {
		const struct fact *fact = &w->facts[i];

		if (fact->source == entity && direction & COP_OUT &&
		    is_seen(w, fact))
			want(w, fact, COP_OUT);
		if (fact->target == entity && direction & COP_IN &&
		    is_seen(w, fact))
			want(w, fact, COP_IN);
	}
}

static int answer_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct answer));
}

static int step_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct step));
}

static int edges_agree(struct world *w, cop_read *read, int32_t entity,
		       int32_t direction)
{
	w->got_count = 0;
	must(cop_edges(read, w->ids[entity], direction, edge_got, w), "edges");
	qsort(w->got, w->got_count, sizeof *w->got, answer_compare);
	qsort(w->want, w->want_count, sizeof *w->want, answer_compare);
	return w->got_count == w->want_count &&
	       !memcmp(w->got, w->want, w->got_count * sizeof *w->got);
}

static int neighbors_agree(struct world *w, cop_read *read, int32_t entity,
			   int32_t direction)
{
	static struct cop_neighbor neighbors[ROOM];
	size_t count;

	must(cop_neighbors(read, w->ids[entity], NULL, direction, neighbors,
			   ROOM, &count),
	     "neighbors");
	if (count != w->want_count)
		return 0;
	for (size_t i = 0; i < count; i++)
		w->got_steps[i] =
		    (struct step){entity_of(read, neighbors[i].id),
				  relation_of(read, neighbors[i].relation),
				  neighbors[i].direction};
	qsort(w->got_steps, count, sizeof *w->got_steps, step_compare);
	qsort(w->want_steps, count, sizeof *w->want_steps, step_compare);
	return !memcmp(w->got_steps, w->want_steps,
		       count * sizeof *w->got_steps);
}

/* Of one relation: those of the answer that have it. */
static int relation_agrees(struct world *w, cop_read *read, int32_t entity,
			   int32_t direction)
{
	int32_t relation = w->facts[test_below(&w->seed, w->count)].relation;
	char name[16];
	size_t wanted = 0;
	size_t count;
	struct cop_neighbor one;

	snprintf(name, sizeof name, "r%d", relation);
	for (size_t i = 0; i < w->want_count; i++)
		wanted += w->want_steps[i].relation == relation;
	must(cop_neighbors(read, w->ids[entity], name, direction, &one, 1,
			   &count),
	     "neighbors");
	return count == wanted;
}

static void moment_set(struct world *w, cop_read *read)
{
	must(cop_read_as_of(read, w->commit), "as of");
	must(cop_read_valid_at(read, &w->at), "valid at");
}

static void who_held_what_when(struct world *w, int questions, const char *what)
{
	cop_read *read = read_of(&w->f);
	size_t empty = 0;
	size_t edges = 0;

	w->wrong = 0;
	for (int i = 0; i < questions; i++) {
		int32_t direction = 1 + (int32_t)test_below(&w->seed, 3);
		int32_t entity;

		moment_draw(w);
		entity = entity_draw(w);
		for (w->commit = 1; w->commit <= COMMITS; w->commit++) {
			moment_set(w, read);
			answer_wanted(w, entity, direction);
			if (!edges_agree(w, read, entity, direction) ||
			    !neighbors_agree(w, read, entity, direction) ||
			    !relation_agrees(w, read, entity, direction))
				note(w,
				     "e%d, direction %d, at %lld, as of %llu "
				     "is another",
				     entity, direction,
				     (long long)w->at.seconds,
				     (unsigned long long)w->commit);
			empty += !w->want_count;
			edges += w->want_count;
		}
	}
	cop_read_end(read);
	ok(!w->wrong && edges > 0,
	   "%s, %s: %d questions of who held what when, as of both commits, "
	   "are answered right (%zu edges, %zu answers are empty)",
	   w->name, what, questions, edges, empty);
}

/* ---- walks -------------------------------------------------------------- */

/* hops[]: of each entity, 9 if it is not reached. */
static void walk_wanted(const struct world *w, int32_t start, int32_t direction,
			int32_t relation, unsigned char *hops)
{
	memset(hops, 9, ENTITIES);
	hops[start] = 0;
	for (unsigned char round = 0; round < 2; round++)
		for (size_t i = 0; i < w->count; i++) {
			const struct fact *fact = &w->facts[i];
			unsigned char *source = &hops[fact->source];
			unsigned char *target = &hops[fact->target];

			if ((relation >= 0 && fact->relation != relation) ||
			    !is_seen(w, fact))
				continue;
			if (*source == round && direction & COP_OUT &&
			    *target == 9)
				*target = (unsigned char)(round + 1);
			if (*target == round && direction & COP_IN &&
			    *source == 9)
				*source = (unsigned char)(round + 1);
		}
}

static int is_there(cop_read *read, uint64_t id)
{
	struct cop_entity entity;

	must(cop_get_id(read, id, &entity), "get");
	return entity.id != 0;
}

static size_t walk_compare(struct world *w, cop_read *read)
{
	static struct cop_step steps[ENTITIES];
	unsigned char hops[ENTITIES];
	char name[16];
	int32_t start;
	int32_t relation = -1;
	struct cop_walk walk = {.size = sizeof walk, .hops = 2};
	size_t count;
	size_t wanted = 0;
	size_t right = 0;

	moment_draw(w);
	start = entity_draw(w);
	walk.start = w->ids[start];
	walk.direction = 1 + (int32_t)test_below(&w->seed, 3);
	if (test_below(&w->seed, 4) == 0) {
		relation = w->facts[test_below(&w->seed, w->count)].relation;
		snprintf(name, sizeof name, "r%d", relation);
		walk.relation = name;
	}
	w->commit = 1 + test_below(&w->seed, COMMITS);
	moment_set(w, read);
	walk_wanted(w, start, walk.direction, relation, hops);
	for (int i = 0; i < ENTITIES; i++)
		wanted += hops[i] < 9;
	if (!is_there(read, walk.start))
		wanted = 0;
	must(cop_walk(read, &walk, steps, ENTITIES, &count, NULL), "walk");
	for (size_t i = 0; i < count; i++)
		right += hops[entity_of(read, steps[i].id)] == steps[i].hops;
	if (count != wanted || right != count)
		note(w,
		     "a walk from e%d, direction %d, at %lld, as of %llu "
		     "reaches %zu, not %zu",
		     start, walk.direction, (long long)w->at.seconds,
		     (unsigned long long)w->commit, count, wanted);
	return count;
}

static void walks_go_where_facts_lead(struct world *w)
{
	cop_read *read = read_of(&w->f);
	size_t reached = 0;

	w->wrong = 0;
	for (int i = 0; i < WALKS; i++)
		reached += walk_compare(w, read);
	cop_read_end(read);
	ok(!w->wrong && reached > WALKS,
	   "%s: %d walks of two hops reach what is valid then, %zu entities",
	   w->name, WALKS, reached);
}

/* ---- all ---------------------------------------------------------------- */

static void figures_agree(struct world *w)
{
	cop_read *read = read_of(&w->f);
	uint64_t facts = 0;

	for (uint64_t commit = 1; commit <= COMMITS; commit++) {
		struct cop_commit_info info = {.size = sizeof info};

		for (size_t i = 0; i < w->count; i++)
			facts += w->facts[i].commit == commit;
		must(cop_commit_info(read, commit, &info), "info");
		is_u64(info.edges, facts, "%s: commit %llu has every fact",
		       w->name, (unsigned long long)commit);
	}
	cop_read_end(read);
}

static void facts_hold_when_they_say(const char *name, uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	if (!w)
		bail_out("no memory");
	w->name = name;
	w->seed = seed;
	fclose(file_open(name, "valid.txt")); /* skip before there is a store */
	fixture_make(&w->f, NULL);
	file_load(w, "train.txt", 1);
	file_load(w, "valid.txt", 2);
	is_int(w->wrong, 0,
	       "%s: %zu facts that end before they begin are "
	       "refused",
	       name, w->backwards);
	discriminators_set(w);
	facts_commit(w, 1);
	facts_commit(w, 2);
	ids_learn(w);
	figures_agree(w);
	who_held_what_when(w, QUESTIONS, "as committed");
	walks_go_where_facts_lead(w);
	fixture_close(&w->f);
	must(cop_detach(w->f.path), "detach");
	fixture_open(&w->f);
	who_held_what_when(w, QUESTIONS / 4, "with a segment built anew");
	is_u64(findings_of(w->f.store), 0, "%s: the store is whole", name);
	fixture_release(&w->f);
	free(w->facts);
	free(w);
}

int main(void)
{
	uint64_t seed;

	test_begin(240);
	fclose(file_open("yago", "train.txt"));
	dates_are_what_they_name();
	seed = test_seed();
	facts_hold_when_they_say("wikidata", seed);
	facts_hold_when_they_say("yago", seed + 1);
	return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many edges in a row come to the same as one at a time.
 *
 * Two stores get the same writes of random edges: to ends that are there, that
 * were deleted or never were, by all three ways of dealing with that, the same
 * edge twice and more.  In one of them nothing is between the edges, which are
 * so put together; in the other each is followed by an operation that changes
 * nothing.  Records, ids, counts, history and the operation at fault must be
 * the same.
 */
#include "digest.h"

enum { KEYS = 80, MOST = 300, WRITES = 120 / TEST_SLOW };

static void key_of(uint64_t number, char *out, size_t room)
{
	snprintf(out, room, "k%llu", (unsigned long long)(number * number));
}

/* Changes nothing: an entity that is always there has no such tag. */
static void nothing_add(cop_write *write)
{
	must(cop_untag(write, "root", 4, "none", 4), "untag");
}

static void edge_random(cop_write *write, uint64_t *state, int32_t dangling)
{
	static const char *const relations[] = {"knows", "likes", "is"};
	char source[32];
	char target[32];
	const char *relation = relations[test_below(state, 3)];
	const struct cop_validity valid = {
	    .from = {.seconds = (int64_t)test_below(state, 1000)},
	    .to = {.seconds = 2000}};
	struct cop_property weight = {
	    "weight",
	    6,
	    {.kind = COP_INT, .integer = (int64_t)test_below(state, 1000)}};
	struct cop_put_edge edge = {
	    .size = sizeof edge,
	    .dangling = dangling,
	    .source = source,
	    .relation = relation,
	    .relation_size = strlen(relation),
	    .target = target,
	    .properties = &weight,
	    .property_count = (uint32_t)test_below(state, 2),
	    .discriminator = test_below(state, 8) ? 0 : 7,
	    .valid = test_below(state, 4) ? NULL : &valid};

	key_of(test_below(state, KEYS), source, sizeof source);
	key_of(test_below(state, KEYS), target, sizeof target);
	edge.source_size = strlen(source);
	edge.target_size = strlen(target);
	must(cop_put_edge(write, &edge), "edge");
}

/*
 * Some entities come and go, then there are edges, then some more of both.
 * places	of the edges among the operations
 */
static void write_fill(cop_write *write, uint64_t seed, int is_split,
		       uint32_t *places)
{
	uint64_t state = seed;
	int32_t dangling = (int32_t)test_below(&state, 3);
	uint64_t count = 1 + test_below(&state, MOST);
	char key[32];

	put_simple(write, "root", "type", NULL, 0);
	nothing_add(write); /* names are numbered as they come */
	for (int part = 0; part < 2; part++) {
		for (uint64_t i = test_below(&state, 9); i; i--) {
			key_of(test_below(&state, KEYS), key, sizeof key);
			if (test_below(&state, 3))
				put_simple(write, key, "type", NULL, 0);
			else
				must(cop_delete(write, key, strlen(key)),
				     "delete");
		}
		for (uint64_t i = 0; i < count; i++) {
			*places++ = (uint32_t)cop_write_count(write);
			edge_random(write, &state, dangling);
			if (is_split)
				nothing_add(write);
		}
	}
}

struct end {
	cop_err err;
	struct cop_result result;
	char words[512];
	uint32_t fault; /* which edge it was */
};

static struct end write_run(struct fixture *fixture, uint64_t seed,
			    int is_split)
{
	struct end end = {.result.size = sizeof end.result};
	cop_write *write = write_of(fixture);
	uint32_t places[2 * MOST + 1] = {0};

	write_fill(write, seed, is_split, places);
	end.err = cop_commit(write, &end.result);
	while (end.err && end.fault < 2 * MOST &&
	       places[end.fault] != end.result.failed)
		end.fault++;
	if (end.err)
		snprintf(end.words, sizeof end.words, "%s", cop_last_error());
	cop_abort(write);
	return end;
}

static uint64_t digest_now(struct fixture *fixture)
{
	cop_read *read = read_of(fixture);
	uint64_t digest = digest_all(read, 0);

	cop_read_end(read);
	return digest;
}

static uint64_t digest_then(struct fixture *fixture, uint64_t commit)
{
	cop_read *read = read_of(fixture);
	uint64_t digest;

	must(cop_read_as_of(read, commit), "as of");
	digest = digest_all(read, 0);
	cop_read_end(read);
	return digest;
}

static int ends_agree(const struct end *run, const struct end *single)
{
	return run->err == single->err && run->fault == single->fault &&
	       !strcmp(run->words, single->words) &&
	       run->result.edges_put == single->result.edges_put &&
	       run->result.edges_skipped == single->result.edges_skipped &&
	       run->result.stubs_put == single->result.stubs_put &&
	       run->result.commit == single->result.commit;
}

int main(void)
{
	struct fixture run;
	struct fixture single;
	uint64_t state = test_seed();
	int wrong = 0;
	int refused = 0;
	uint64_t last = 0;

	test_begin(300);
	fixture_init(&run, 0, COP_L2);
	fixture_init(&single, 0, COP_L2);
	for (int i = 0; i < WRITES; i++) {
		uint64_t seed = test_below(&state, UINT32_MAX);
		struct end a = write_run(&run, seed, 0);
		struct end b = write_run(&single, seed, 1);

		if (!ends_agree(&a, &b) && ++wrong < 5)
			diag("write %d: %s / %s", i, a.words, b.words);
		refused += a.err == COP_DANGLING;
		last = a.err ? last : a.result.commit;
		wrong += digest_now(&run) != digest_now(&single);
	}
	is_int(wrong, 0, "edges in a row come to the same as one at a time");
	ok(refused > 0 && refused < WRITES, "some were refused: %d", refused);
	wrong = 0;
	for (uint64_t commit = 1; commit <= last; commit++)
		wrong +=
		    digest_then(&run, commit) != digest_then(&single, commit);
	is_int(wrong, 0, "as of all %d commits", (int)last);
	is_u64(findings_of(run.store) + findings_of(single.store), 0,
	       "and a check finds nothing");
	fixture_release(&run);
	fixture_release(&single);
	return done_testing();
}

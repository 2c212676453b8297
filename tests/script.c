/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The script of the fault tests (faults/script.h), with no fault: after each
 * commit, after a new open and after a rebuild the state is the same, and
 * check finds nothing.  Short, and it touches nearly everything: what
 * `make memcheck` runs under valgrind.
 */
#include "faults/script.h"

static void the_script_is_right_at_every_step(const struct fixture *f)
{
	cop_store *store;
	int right = 1;

	must(script_create(f->path, NULL), "create");
	for (int i = 0; i <= SCRIPT_STEPS; i++) {
		if (i)
			must(script_commit(store, i - 1), "commit");
		if (i)
			right &= script_is_right(store, (uint64_t)i);
		if (i)
			cop_close(store);
		if (i % 3 == 2)
			must(cop_detach(f->path), "detach");
		must(cop_open(f->path, NULL, &store), "open");
		right &= script_is_right(store, (uint64_t)i);
	}
	cop_close(store);
	must(cop_detach(f->path), "detach");
	ok(right, "after %d commits, opens and rebuilds the state is right",
	   SCRIPT_STEPS);
}

static cop_err rival_commit(void *store)
{
	return script_commit(store, SCRIPT_RIVAL);
}

static void a_transaction_meets_a_rival_and_begins_again(void)
{
	struct fixture f;
	struct script_txn script = {.rival = rival_commit};

	fixture_folder(&f);
	must(script_create(f.path, NULL), "create");
	fixture_open(&f);
	for (int i = 0; i < SCRIPT_RIVAL; i++)
		must(script_commit(f.store, i), "commit");
	script.store = script.user = f.store;
	must(script_transact(&script), "transact");
	ok(script.tries == 2 && script_is_right(f.store, SCRIPT_STEPS),
	   "a transaction that another commit came into is run again, and "
	   "both took place");
	fixture_release(&f);
}

int main(void)
{
	struct fixture f;

	test_begin(120);
	fixture_folder(&f);
	script_learn(f.path, NULL);
	script_clear(f.path);
	the_script_is_right_at_every_step(&f);
	a_transaction_meets_a_rival_and_begins_again();
	fixture_release(&f);
	return done_testing();
}

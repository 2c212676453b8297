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

int main(void)
{
	struct fixture f;

	test_begin(120);
	fixture_folder(&f);
	script_learn(f.path, NULL);
	script_clear(f.path);
	the_script_is_right_at_every_step(&f);
	fixture_release(&f);
	return done_testing();
}

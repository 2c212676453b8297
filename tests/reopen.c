/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that was written to hard can be opened again, and does not grow
 * where it need not.
 */
#include "fixture.h"

#include <sys/mman.h>

enum { DIM = 16, MANY = 20000, ROUNDS = 6 };

static void put_content(cop_write *write, const char *key, const void *content,
			size_t size)
{
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .content = content,
			      .content_size = size};

	must(cop_put(write, &put), "put");
}

/* LMDB's file then ends before the pages that it took and gave back. */
static void what_came_and_went_in_one_write_is_no_damage(void)
{
	const size_t size = 15 << 20;
	unsigned char *content = malloc(size);
	uint64_t random = 5;
	struct fixture f;
	cop_write *write;

	if (!content)
		bail_out("no memory");
	for (size_t i = 0; i < size; i++)
		content[i] = (unsigned char)test_random(&random);
	fixture_init(&f, 0, 0);
	for (int i = 0; i < 30; i++) {
		write = write_of(&f);
		put_content(write, "small", "x", 1);
		commit_of(write);
	}
	write = write_of(&f);
	put_content(write, "big 0", content, size);
	put_content(write, "big 1", content, size);
	must(cop_delete(write, "big 0", 5), "delete");
	must(cop_delete(write, "big 1", 5), "delete");
	commit_of(write);
	fixture_close(&f);
	ok(!cop_open(f.path, NULL, &f.store),
	   "a store opens after large things came and went in one write: %s",
	   cop_last_error());
	is_u64(findings_of(f.store), 0, "and is whole");
	fixture_release(&f);
	free(content);
}

/* One such write after the other, and small commits between. */
static void writer_run(const char *path, const _Atomic int *stop)
{
	cop_store *store;
	char keys[20][8];

	if (cop_open(path, NULL, &store))
		_exit(1);
	for (uint64_t round = 0; !*stop; round++) {
		cop_write *write;
		cop_err err = cop_write_begin(store, &write);

		for (int i = 0; i < 20; i++) {
			snprintf(keys[i], sizeof keys[i], "k%d", i);
			put_simple(write, keys[i], NULL, NULL, 0);
		}
		for (int i = 0; round % 8 == 0 && i < 400; i++)
			must(
			    link_simple(write, keys[i / 20], "r", keys[i % 20]),
			    "link");
		for (int i = 399; round % 8 == 0 && i >= 0; i--)
			must(cop_delete_edge(
				 write, keys[i / 20], strlen(keys[i / 20]), "r",
				 1, keys[i % 20], strlen(keys[i % 20])),
			     "unlink");
		if (!err)
			err = cop_commit(write, NULL);
		cop_abort(write);
		if (err)
			_exit(2);
	}
	cop_close(store);
	_exit(0);
}

static void opening_beside_a_writer_is_never_refused(void)
{
	enum { OPENS = 1500 };
	_Atomic int *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct fixture f;
	int refused = 0;
	pid_t pid;

	fixture_init(&f, 0, 0);
	fixture_close(&f);
	pid = fork();
	if (!pid)
		writer_run(f.path, stop);
	for (int i = 0; i < OPENS; i++) {
		cop_err err = cop_open(f.path, NULL, &f.store);

		if (err && !refused++)
			diag("%s", cop_last_error());
		if (!err)
			fixture_close(&f);
	}
	*stop = 1;
	is_int(child_wait(pid), 0, "a writer goes on while others open");
	is_int(refused, 0, "and none of %d opens is refused", OPENS);
	fixture_open(&f);
	is_u64(findings_of(f.store), 0, "the store is whole");
	fixture_release(&f);
	munmap(stop, 4096);
}

static void put_all(struct fixture *f, int round)
{
	cop_write *write = write_of(f);

	for (int i = 0; i < MANY; i++) {
		float vector[DIM];
		char key[16];

		for (int d = 0; d < DIM; d++)
			vector[d] = (float)((i * 7 + d * 3 + round) % 31);
		snprintf(key, sizeof key, "%d", i);
		put_simple(write, key, NULL, vector, DIM);
	}
	commit_of(write);
}

static void vectors_put_again_take_no_more_room(void)
{
	struct fixture f;
	struct cop_stats stats;

	fixture_init(&f, DIM, COP_L2);
	for (int round = 0; round < ROUNDS; round++)
		put_all(&f, round);
	stats = stats_of(f.store);
	ok(stats.bank_rows + stats.limbo <= 3 * MANY,
	   "%d vectors put %d times over keep %" PRIu64 " rows, %" PRIu64
	   " waiting",
	   MANY, ROUNDS, stats.bank_rows, stats.limbo);
	is_u64(findings_of(f.store), 0, "and the bank is whole");
	fixture_release(&f);
}

static cop_err hub_commit(struct fixture *f, int edges, const char *last)
{
	cop_write *write = write_of(f);
	cop_err err;

	for (int i = 0; i < edges; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i % 1000);
		must(link_simple(write, "0", i % 2 ? "a" : "b", key), "link");
		snprintf(key, sizeof key, "r%d", i);
		must(link_simple(write, "0", key, "1"), "link");
	}
	if (last)
		must(link_simple(write, "0", "to", last), "link");
	err = cop_commit(write, NULL);
	cop_abort(write);
	return err;
}

static void edges_that_come_and_go_take_no_more_room(void)
{
	struct fixture f;
	uint64_t after_first = 0;
	uint64_t after_last = 0;
	cop_write *write;

	fixture_init(&f, 0, 0);
	write = write_of(&f);
	for (int i = 0; i < 1000; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		put_simple(write, key, NULL, NULL, 0);
	}
	commit_of(write);
	for (int round = 0; round < 8; round++) {
		must(hub_commit(&f, 4000, NULL), "edges");
		write = write_of(&f);
		must(cop_delete(write, "0", 1), "delete");
		put_simple(write, "0", NULL, NULL, 0);
		commit_of(write);
		after_last = stats_of(f.store).edge_bytes;
		if (round == 1)
			after_first = after_last;
	}
	ok(after_last <= after_first * 2,
	   "a hub whose edges come and go eight times takes %" PRIu64
	   " KiB, and took %" PRIu64,
	   after_last >> 10, after_first >> 10);
	is_u64(findings_of(f.store), 0, "and its lists are whole");
	fixture_release(&f);
}

int main(void)
{
	test_begin(240);
	what_came_and_went_in_one_write_is_no_damage();
	opening_beside_a_writer_is_never_refused();
	vectors_put_again_take_no_more_room();
	edges_that_come_and_go_take_no_more_room();
	return done_testing();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture: a store of its own for a test, removed at the end with its
 * segment, and short forms of the calls that tests make most.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "child.h"
#include "coppice.h"
#include "tap.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct fixture {
	char folder[64]; /* holds the store, removed with all in it */
	char path[96];
	cop_store *store;
};

static inline int fixture_unlink(const char *path, const struct stat *st,
				 int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Fails the whole test if a call that must succeed does not. */
static inline void must(cop_err err, const char *what)
{
	if (err)
		bail_out("%s: %s (%s)", what, cop_strerror(err),
			 cop_last_error());
}

static inline void fixture_folder(struct fixture *fixture)
{
	strcpy(fixture->folder, "/tmp/coppice-test-XXXXXX");
	if (!mkdtemp(fixture->folder))
		bail_out("mkdtemp: %s", strerror(errno));
	snprintf(fixture->path, sizeof fixture->path, "%s/store",
		 fixture->folder);
	fixture->store = NULL;
}

static inline void fixture_open(struct fixture *fixture)
{
	must(cop_open(fixture->path, NULL, &fixture->store), "open");
}

/* A new, open store. */
static inline void fixture_make(struct fixture *fixture,
				const struct cop_options *options)
{
	fixture_folder(fixture);
	must(cop_create(fixture->path, options), "create");
	fixture_open(fixture);
}

static inline void fixture_init(struct fixture *fixture, uint32_t dim,
				int32_t metric)
{
	struct cop_options options = {.size = sizeof options,
				      .dim = dim,
				      .metric = metric,
				      .codes = COP_CODES_U8};

	fixture_make(fixture, &options);
}

static inline void fixture_close(struct fixture *fixture)
{
	cop_close(fixture->store);
	fixture->store = NULL;
}

static inline void fixture_release(struct fixture *fixture)
{
	fixture_close(fixture);
	(void)!cop_detach(fixture->path);
	nftw(fixture->folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline cop_write *write_of(struct fixture *fixture)
{
	cop_write *write = NULL;

	must(cop_write_begin(fixture->store, &write), "write");
	return write;
}

static inline cop_read *read_of(struct fixture *fixture)
{
	cop_read *read = NULL;

	must(cop_read_begin(fixture->store, &read), "read");
	return read;
}

static inline uint64_t commit_of(cop_write *write)
{
	struct cop_result result = {.size = sizeof result};

	must(cop_commit(write, &result), "commit");
	cop_abort(write);
	return result.commit;
}

/* Puts an entity with a key, and a type and a vector unless NULL. */
static inline void put_simple(cop_write *write, const char *key,
			      const char *type, const float *vector,
			      uint32_t dim)
{
	struct cop_put put = {.size = sizeof put,
			      .key = key,
			      .key_size = (uint32_t)strlen(key),
			      .type = type,
			      .type_size = type ? strlen(type) : 0,
			      .vector = vector,
			      .dim = dim};

	must(cop_put(write, &put), "put");
}

static inline cop_err link_simple(cop_write *write, const char *source,
				  const char *relation, const char *target)
{
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = source,
				    .source_size = strlen(source),
				    .relation = relation,
				    .relation_size = strlen(relation),
				    .target = target,
				    .target_size = strlen(target)};

	return cop_put_edge(write, &edge);
}

static inline uint64_t lookup(cop_read *read, const char *key)
{
	uint64_t id = 0;

	must(cop_lookup(read, key, strlen(key), &id), "lookup");
	return id;
}

static inline void finding_tell(void *user, const char *text)
{
	(void)user;
	diag("check: %s", text);
}

static inline struct cop_stats stats_of(cop_store *store)
{
	struct cop_stats stats = {.size = sizeof stats};
	cop_read *read;

	must(cop_read_begin(store, &read), "read");
	must(cop_stat(read, &stats), "stat");
	cop_read_end(read);
	return stats;
}

/* Runs cop_check, tells what it finds, and returns how much. */
static inline uint64_t findings_of(cop_store *store)
{
	uint64_t findings = 0;

	must(cop_check(store, finding_tell, NULL, &findings), "check");
	return findings;
}

#endif

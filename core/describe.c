/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store described, and given other parameters, without attaching it.
 *
 * idea
 *	What the segment is built by is a record in LMDB; the vectors there are
 *	the float32 that were put.  So codes, rows, filters and the like may be
 *	others with the next segment: the one that is there goes, and its
 *	images, and while nobody can attach the record is replaced.
 *
 * a process that is about to attach
 *	has opened LMDB and read the old record, and waits for BUILD.  It reads
 *	it again when it has that (attach.c).  The commit is none of the
 *	store's own, so what it worked out of LMDB's transaction numbers is
 *	worked out again, too.
 *
 * crash
 *	Segment and images go first: a death leaves the old parameters, and a
 *	segment to be built.
 */
#include "checkpoint.h"
#include "create.h"
#include "generation.h"
#include "lock.h"
#include "point.h"
#include "rules.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- describing --------------------------------------------------------- */

static struct cop_options options_of(const struct disk_store *config,
				     const struct retain_rules *rules)
{
	struct cop_retention kept = rules_view(&rules->list[0]);

	return (struct cop_options){
	    .size = sizeof(struct cop_options),
	    .dim = config->dim,
	    .metric = config->metric,
	    .rows = config->rows,
	    .mode = config->mode,
	    .expected_entities = config->expected_entities,
	    .bloom_rate = config->bloom_rate,
	    .record_bytes = config->record_bytes,
	    .codes = config->codes + COP_CODES_U8,
	    .signs = config->signs,
	    .codes_dim = config->coded,
	    .cache_bytes = config->cache_bytes,
	    .cache_ttl_ms = config->cache_ttl_ms,
	    .cache_idle_ms = config->cache_idle_ms,
	    .history = kept.history,
	    .history_ms = kept.history_ms,
	    .history_count = kept.history_count,
	};
}

static int32_t presence_of(const cop_store *store)
{
	char control[sizeof store->shm_path + 16];
	struct stat st;

	snprintf(control, sizeof control, "%s/control", store->shm_path);
	if (lock_is_held(store->lock_fd, LOCK_ATTACH))
		return stat(control, &st) ? COP_PRESENCE_LOST
					  : COP_PRESENCE_ATTACHED;
	return stat(store->shm_path, &st) ? COP_PRESENCE_NONE
					  : COP_PRESENCE_LEFT;
}

static cop_err describe_work(cop_store *store, void *user)
{
	struct cop_description *out = user;
	struct retain_rules rules = {0};
	struct disk_state state;
	env_txn *txn;
	cop_err err;
	int code = env_read_begin(store->env, &txn);

	if (code)
		return error_system(code, "cannot read %s", store->path);
	err = read_state(store->env, txn, &state);
	if (!err)
		err = rules_read(store->env, txn, &rules);
	env_read_abort(txn);
	if (err)
		return err;
	attach_name(store);
	*out = (struct cop_description){
	    .size = sizeof *out,
	    .presence = presence_of(store),
	    .options = options_of(&store->config, &rules),
	    .created_ns = store->config.created_ns,
	    .generation = store->generation->number,
	    .commit = state.commit,
	    .oldest = state.oldest,
	    .group = store->group,
	};
	if (generation_disk(store, out->generation, &out->data_bytes))
		error_clear(); /* its size is not known */
	snprintf(out->shm_dir, sizeof out->shm_dir, "%s",
		 store->config.shm_dir);
	snprintf(out->segment, sizeof out->segment, "%s", store->shm_path);
	rules_release(&rules);
	return 0;
}

cop_err cop_describe(const char *path, struct cop_description *out)
{
	error_clear();
	if (!out || out->size != sizeof *out)
		return error_set(COP_INVALID, "the description is of another "
					      "size; set .size to its sizeof");
	return store_aside(path, describe_work, out);
}

/* ---- configuring -------------------------------------------------------- */

static cop_err fixed_check(const struct cop_options *wanted,
			   const struct cop_options *now)
{
	const char *what = NULL;

	if (wanted->dim != now->dim)
		what = "the dimension";
	else if ((wanted->metric ? wanted->metric : COP_COSINE) != now->metric)
		what = "the metric";
	else if (wanted->mode && wanted->mode != now->mode)
		what = "the mode";
	else if (wanted->group)
		what = "the group";
	if (what)
		return error_set(COP_INVALID,
				 "%s of a store is fixed when it is made; make "
				 "another with `coppice init` and import what "
				 "is in this one",
				 what);
	if (wanted->history == now->history &&
	    wanted->history_ms == now->history_ms &&
	    wanted->history_count == now->history_count)
		return 0;
	return error_set(COP_INVALID,
			 "the history is not changed like this; `coppice "
			 "retain` does it while the store is in use");
}

/* The description that the store is to have. */
static cop_err config_make(const cop_store *store,
			   const struct cop_options *options,
			   struct disk_store *out)
{
	struct cop_options wanted = *options;
	cop_err err;

	if (!wanted.mode)
		wanted.mode = store->config.mode;
	if (!wanted.shm_dir)
		wanted.shm_dir = store->config.shm_dir;
	err = create_config(&wanted, out);
	if (err)
		return err;
	memcpy(out->uuid, store->config.uuid, sizeof out->uuid);
	out->created_ns = store->config.created_ns;
	return 0;
}

static cop_err config_write(cop_store *store, const struct disk_store *config)
{
	env_txn *txn;
	int code = lock_take(store->lock_fd, LOCK_W, LOCK_EXCLUSIVE,
			     store->timeout_ms);

	if (!code)
		code = env_write_begin(store->env, 0, &txn);
	if (!code) {
		code = env_put(store->env, txn, DB_META, bytes_of("store", 5),
			       bytes_of(config, sizeof *config));
		if (code)
			env_write_abort(txn);
		else
			code = env_write_commit(txn);
	}
	lock_release(store->lock_fd, LOCK_W);
	return code ? error_system(code, "%s: cannot write its parameters",
				   store->path)
		    : 0;
}

static cop_err configure_work(cop_store *store, void *user)
{
	const struct cop_options *options = user;
	struct cop_description now;
	struct disk_store config = {0};
	cop_err err = describe_work(store, &now);

	if (!err)
		err = fixed_check(options, &now.options);
	if (!err)
		err = config_make(store, options, &config);
	if (err || !memcmp(&config, &store->config, sizeof config))
		return err;
	point("configure-made");
	err = attach_remove(store);
	/* nobody is attached now; another may have replaced the data file */
	if (!err)
		err = generation_again(store);
	if (!err)
		err = store_config_read(store);
	if (!err)
		err = config_make(store, options, &config);
	if (!err)
		err = checkpoint_remove(store);
	return err ? err : config_write(store, &config);
}

cop_err cop_configure(const char *path, const struct cop_options *options)
{
	error_clear();
	if (!options || options->size != sizeof *options)
		return error_set(COP_INVALID, "options are of another size; "
					      "set .size to their sizeof");
	return store_aside(path, configure_work, (void *)(uintptr_t)options);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: the change feed, one JSON object a line.
 *
 * idea
 *	Waits for commits without polling, and tells of each, once and in their
 *	order, what it changed.  It holds nothing while it waits, and while it
 *	prints only the snapshot that it prints from, which it renews every
 *	WATCH_BATCH commits: who reads slowly is behind, and holds nobody up.
 *
 * schema	"coppice.watch/1"; members are added, never renamed
 *	{"commit":8,"time":T,"op":"put","what":"entity","key":K,"new":true}
 *	{"commit":8,"time":T,"op":"delete","what":"vector","key":K}
 *	{"commit":8,"time":T,"op":"put","what":"edge","source":K,
 *	 "relation":R,"target":K,"discriminator":1,"new":false}
 *	{"commit":8,"time":T,"op":"touch","key":K}	no history is kept
 *	{"commit":8,"time":T,"op":"commit","changes":4}	ends each commit
 *	A key that is no UTF-8 is in "key_hex" as well, likewise "source_hex"
 *	and "target_hex".
 *	With --values a put has "entity", "vector" or "edge", as `get --json`
 *	prints it, as of its commit.
 */
#include "instant.h"
#include "out.h"
#include "select.h"
#include "stop.h"
#include "verbs.h"

#include <inttypes.h>

enum {
	WATCH_SINCE = ARG_OWN,
	WATCH_UNTIL,
	WATCH_COUNT,
	WATCH_NO_WAIT,
	WATCH_VALUES,
	WATCH_SELECT
};
enum { WATCH_BATCH = 64, WATCH_WAIT_MS = 1000 };

static const struct arg_row watch_rows[] = {
    {WATCH_SINCE, "since", "COMMIT|TIME",
     "what came after it (default: what comes from now on)"},
    {WATCH_UNTIL, "until", "COMMIT|TIME", "end with this commit"},
    {WATCH_COUNT, "count", "N", "end after so many commits"},
    {WATCH_NO_WAIT, "no-wait", NULL, "end when all there is has been told"},
    {WATCH_VALUES, "values", NULL, "with what was put, as get prints it"},
    SELECT_ROWS(WATCH_SELECT),
    ARG_JSON_ROW,
    ARG_END,
};

struct watch {
	struct cli *cli;
	struct select which;
	const char *since;
	const char *until;
	uint64_t told; /* the commit told last */
	uint64_t last; /* the one to end with */
	uint64_t count;
	int values;
	int waits;
	/* of the commit that is being told */
	uint64_t newest; /* what the read sees */
	uint64_t changes;
	char time[INSTANT_ROOM];
	cop_err err; /* from inside a visit */
};

static void line_begin(struct watch *watch, const char *op)
{
	printf("{\"commit\":%" PRIu64 ",\"time\":\"%s\",\"op\":\"%s\"",
	       watch->told + 1, watch->time, op);
}

/* ---- whom it is about --------------------------------------------------- */

/* Whether an entity was selected as of a commit; *was: it was there. */
static cop_err selected_at(struct watch *watch, cop_read *read, uint64_t id,
			   uint64_t commit, int *was, int *selected)
{
	struct cop_entity entity = {0};
	cop_err err = cop_read_as_of(read, commit);

	if (!err)
		err = cop_get_id(read, id, &entity);
	*was = !err && entity.id != 0;
	if (*was)
		err = select_matches(&watch->which.select, read, &entity,
				     selected);
	return err;
}

/* Whether it is selected from the commit on, or was before it. */
static cop_err selected(struct watch *watch, cop_read *read, uint64_t id,
			int *is)
{
	int was;
	cop_err err;

	*is = !select_is_given(&watch->which);
	if (*is)
		return 0;
	err = selected_at(watch, read, id, watch->told + 1, &was, is);
	if (!err && !*is)
		err = selected_at(watch, read, id, watch->told, &was, is);
	return err;
}

/* ---- what was put ------------------------------------------------------- */

static int32_t edge_value(void *user, cop_read *read,
			  const struct cop_version *version,
			  const struct cop_edge *edge)
{
	struct watch *watch = user;

	if (version->born == watch->told + 1) {
		fputs(",\"edge\":", stdout);
		watch->err = out_edge_object(read, edge);
	}
	return 1; /* the newest alone */
}

static cop_err edge_print(struct watch *watch, cop_read *read,
			  const struct cop_difference *change)
{
	const char *relation;
	size_t size;
	cop_err err = cop_name(read, change->relation, &relation, &size);

	if (!err)
		err = cop_edge_history(read, change->id, relation, size,
				       change->target, change->discriminator,
				       edge_value, watch);
	return err == COP_STOPPED ? watch->err : err;
}

static cop_err entity_print(struct watch *watch, cop_read *read, uint64_t id)
{
	struct cop_entity entity;
	cop_err err = cop_get_id(read, id, &entity);

	if (err || !entity.id)
		return err;
	fputs(",\"entity\":", stdout);
	return out_entity_object(watch->cli->store, read, &entity, OUT_VERSION);
}

static cop_err vector_print(struct watch *watch, cop_read *read, uint64_t id)
{
	const float *vector;
	cop_err err = cop_vector(read, id, &vector);

	if (err || !vector)
		return err;
	fputs(",\"vector\":", stdout);
	out_vector(vector, cop_dim(watch->cli->store));
	return 0;
}

/* As of the commit, whatever the read is as of. */
static cop_err value_print(struct watch *watch, cop_read *read,
			   const struct cop_difference *change)
{
	cop_err err = cop_read_as_of(read, watch->told + 1);

	if (err)
		return err;
	switch (change->what) {
	case COP_EDGE: return edge_print(watch, read, change);
	case COP_VECTOR: return vector_print(watch, read, change->id);
	default: return entity_print(watch, read, change->id);
	}
}

/* ---- a change ----------------------------------------------------------- */

static cop_err change_print(struct watch *watch, cop_read *read,
			    const struct cop_difference *change)
{
	static const char *const whats[] = {"", "entity", "vector", "edge"};
	int gone = change->how == COP_REMOVED;
	cop_err err;

	line_begin(watch, gone ? "delete" : "put");
	printf(",\"what\":\"%s\",", whats[change->what]);
	err = out_key_json(read, change->what == COP_EDGE ? "source" : "key",
			   change->id);
	if (!err && change->what == COP_EDGE) {
		fputs(",\"relation\":", stdout);
		err = out_name_json(read, change->relation);
		putchar(',');
		if (!err)
			err = out_key_json(read, "target", change->target);
		if (change->discriminator)
			printf(",\"discriminator\":%" PRIu32,
			       change->discriminator);
	}
	if (!gone)
		printf(",\"new\":%s",
		       change->how == COP_ADDED ? "true" : "false");
	if (!err && !gone && watch->values)
		err = value_print(watch, read, change);
	fputs("}\n", stdout);
	return err;
}

static int32_t change_tell(void *user, cop_read *read,
			   const struct cop_difference *change)
{
	struct watch *watch = user;
	int is = 0;

	watch->err = selected(watch, read, change->id, &is);
	if (!watch->err && is) {
		watch->err = change_print(watch, read, change);
		watch->changes++;
	}
	return watch->err != 0 || out_failed();
}

/* Without history: who is not there any more may have been selected. */
static int32_t touch_tell(void *user, cop_read *read, uint64_t id)
{
	struct watch *watch = user;
	int is = !select_is_given(&watch->which);
	int was = 1;

	if (!is)
		watch->err =
		    selected_at(watch, read, id, watch->newest, &was, &is);
	if (watch->err || (was && !is))
		return watch->err != 0;
	line_begin(watch, "touch");
	putchar(',');
	watch->err = out_key_json(read, "key", id);
	fputs("}\n", stdout);
	watch->changes++;
	return watch->err != 0 || out_failed();
}

/* ---- a commit ----------------------------------------------------------- */

static int32_t touch_none(void *user, cop_read *read, uint64_t id)
{
	(void)user;
	(void)read;
	(void)id;
	return 0;
}

static int too_old(struct watch *watch)
{
	return fault_set(&watch->cli->fault, EXIT_NO_RESULT,
			 "what commit %" PRIu64
			 " changed is not kept any more; read the "
			 "store anew (coppice scan), and watch --since %" PRIu64
			 ", the commit that it is at now",
			 watch->told + 1, watch->newest);
}

static int commit_tell(struct watch *watch)
{
	struct cop_commit_info info = {.size = sizeof info};
	cop_read *read = watch->cli->read;
	uint64_t commit = watch->told + 1;
	cop_err err = cop_touched(read, commit, &info, touch_none, NULL);

	if (!err) {
		instant_text_ns(watch->time, info.time_ns);
		watch->changes = 0;
		err = cop_diff(read, watch->told, commit, change_tell, watch);
		if (err == COP_TOO_OLD)
			err =
			    cop_touched(read, commit, NULL, touch_tell, watch);
	}
	if (err == COP_TOO_OLD)
		return too_old(watch);
	if (err == COP_STOPPED)
		err = watch->err;
	if (err || out_failed())
		return err ? cli_cop(watch->cli, err) : 0;
	line_begin(watch, "commit");
	printf(",\"changes\":%" PRIu64 "}\n", watch->changes);
	fflush(stdout);
	watch->told = commit;
	watch->count--;
	return 0;
}

static int watch_ended(const struct watch *watch)
{
	return stop_signal() || out_failed() || !watch->count ||
	       watch->told >= watch->last;
}

/* The commits that a snapshot shows, WATCH_BATCH at most. */
static int batch_tell(struct watch *watch)
{
	struct cli *cli = watch->cli;
	cop_err err = cop_read_begin(cli->store, &cli->read);
	int code = 0;

	if (err)
		return cli_cop(cli, err);
	watch->newest = cop_read_commit(cli->read);
	for (int i = 0; i < WATCH_BATCH && !code && !watch_ended(watch) &&
			watch->told < watch->newest;
	     i++)
		code = commit_tell(watch);
	cop_read_end(cli->read);
	cli->read = NULL;
	return code;
}

/* ---- all ---------------------------------------------------------------- */

static int watch_go(struct watch *watch)
{
	struct cli *cli = watch->cli;
	uint64_t newest = 0;
	int code = 0;

	while (!code && !watch_ended(watch)) {
		cop_err err =
		    cop_wait(cli->store, watch->told,
			     watch->waits ? WATCH_WAIT_MS : 0, &newest);

		if (err)
			return stop_signal() ? 0 : cli_cop(cli, err);
		if (newest > watch->told)
			code = batch_tell(watch);
		else if (!watch->waits || out_closed())
			break;
	}
	return code;
}

/* Where to begin and to end, which --since and --until name. */
static int watch_begin(struct watch *watch)
{
	struct cli *cli = watch->cli;
	int code = cli_open_read(cli);

	if (code)
		return code;
	watch->newest = cop_read_commit(cli->read);
	watch->told = watch->newest;
	if (watch->since)
		code = cli_commit(cli, watch->since, &watch->told);
	if (!code && watch->until)
		code = cli_commit(cli, watch->until, &watch->last);
	if (!code && watch->told > watch->newest)
		code = args_fault(cli,
				  "commit %" PRIu64 " is to come; the newest "
				  "is %" PRIu64,
				  watch->told, watch->newest);
	cop_read_end(cli->read);
	cli->read = NULL;
	return code;
}

static int watch_option(struct watch *watch, int id)
{
	struct cli *cli = watch->cli;

	switch (id) {
	case ARG_JSON: break;
	case WATCH_SINCE: watch->since = cli->value; break;
	case WATCH_UNTIL: watch->until = cli->value; break;
	case WATCH_COUNT: return args_u64(cli, 1, UINT64_MAX, &watch->count);
	case WATCH_NO_WAIT: watch->waits = 0; break;
	case WATCH_VALUES: watch->values = 1; break;
	default: return select_option(&watch->which, cli, id - WATCH_SELECT);
	}
	return 0;
}

static int watch_run(struct cli *cli)
{
	struct watch watch = {
	    .cli = cli, .last = UINT64_MAX, .count = UINT64_MAX, .waits = 1};
	int code, id;

	select_init(&watch.which);
	while ((id = args_next(cli)) > 0)
		if (watch_option(&watch, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	stop_arm();
	code = watch_begin(&watch);
	return code ? code : watch_go(&watch);
}

const struct verb verb_watch = {
    .name = "watch",
    .operands = "",
    .summary = "print what commits change, as they come",
    .rows = watch_rows,
    .notes =
	"A line is a JSON object: commit, time, op (put, delete, commit;\n"
	"touch where no history is kept), what (entity, vector, edge) and\n"
	"whose. A line of op commit ends each commit; go on from there with\n"
	"--since. An edge is selected as its source is.\n",
    .run = watch_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan: all entities as the lines that import reads.
 *
 * idea
 *	One read, constant memory.  With --edges the edges follow after all
 *	entities (those going out, so each once), which is the order an import
 *	wants: `scan --vector --edges` is a copy of a store.
 */
#include "out.h"
#include "select.h"
#include "verbs.h"

enum { SCAN_LIMIT = ARG_OWN, SCAN_VECTOR, SCAN_EDGES, SCAN_SELECT };

static const struct arg_row scan_rows[] = {
    SELECT_ROWS(SCAN_SELECT),
    {SCAN_LIMIT, "limit", "N", "at most so many entities"},
    {SCAN_VECTOR, "vector", NULL, "with their vectors"},
    {SCAN_EDGES, "edges", NULL, "then the edges that go out of them"},
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct scan {
	struct cli *cli;
	struct select which;
	uint64_t limit;
	uint64_t seen;
	int parts;
	cop_err err; /* from inside a visit */
};

static int32_t scan_entity(void *user, uint32_t thread, cop_read *read,
			   const struct cop_entity *entity)
{
	struct scan *scan = user;

	(void)thread;
	if (scan->seen++ == scan->limit)
		return 1;
	scan->err = out_entity(scan->cli->store, read, entity, scan->parts);
	return scan->err != 0 || out_failed();
}

static int32_t scan_edge(void *user, cop_read *read,
			 const struct cop_edge *edge)
{
	struct scan *scan = user;

	scan->err = out_edge(read, edge);
	return scan->err != 0 || out_failed();
}

static int32_t scan_entity_edges(void *user, uint32_t thread, cop_read *read,
				 const struct cop_entity *entity)
{
	struct scan *scan = user;
	cop_err err;

	(void)thread;
	if (scan->seen++ == scan->limit)
		return 1;
	err = cop_edges(read, entity->id, COP_OUT, scan_edge, scan);
	if (err && err != COP_STOPPED)
		scan->err = err;
	return err != 0;
}

static int scan_pass(struct scan *scan,
		     int32_t (*visit)(void *, uint32_t, cop_read *,
				      const struct cop_entity *))
{
	cop_err err;

	scan->seen = 0;
	err = cop_select(scan->cli->read, &scan->which.select, visit, scan);
	if (err == COP_STOPPED)
		err = scan->err;
	return err ? cli_cop(scan->cli, err) : 0;
}

static int scan_option(struct scan *scan, int id)
{
	struct cli *cli = scan->cli;

	switch (id) {
	case ARG_JSON: break;
	case SCAN_LIMIT: return args_u64(cli, 1, UINT64_MAX, &scan->limit);
	case SCAN_VECTOR: scan->parts |= OUT_VECTOR; break;
	case SCAN_EDGES: scan->parts |= OUT_EDGES; break;
	default: return select_option(&scan->which, cli, id - SCAN_SELECT);
	}
	return 0;
}

static int scan_run(struct cli *cli)
{
	struct scan scan = {.cli = cli, .limit = UINT64_MAX};
	int code, id;

	select_init(&scan.which);
	while ((id = args_next(cli)) > 0)
		if (scan_option(&scan, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (!code)
		code = scan_pass(&scan, scan_entity);
	if (!code && scan.seen == 0)
		code = EXIT_NO_RESULT;
	if (!code && scan.parts & OUT_EDGES && !out_failed())
		code = scan_pass(&scan, scan_entity_edges);
	return code;
}

const struct verb verb_scan = {
    .name = "scan",
    .operands = "",
    .summary = "print all entities, as the lines that import reads",
    .rows = scan_rows,
    .run = scan_run,
};

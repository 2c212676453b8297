/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export: what a store has, or a part of it, in a format that others read.
 *
 * idea
 *	A format is given entities and edges in order (export.c) and prints
 *	them.  What it has no place for is left out; how much that is is said at
 *	the end, and NDJSON has a place for everything.
 */
#include "export.h"
#include "out.h"
#include "stop.h"
#include "verbs.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXPORT_FORMAT = ARG_OWN,
	EXPORT_OUTPUT,
	EXPORT_FORCE,
	EXPORT_AROUND,
	EXPORT_HOPS,
	EXPORT_VECTOR,
	EXPORT_HISTORY,
	EXPORT_SELECT
};

static const struct arg_row export_rows[] = {
    {EXPORT_FORMAT, "format", "ndjson|csv|graphml|nt|dot|npy",
     "of what is written (default: ndjson)"},
    {EXPORT_OUTPUT, "output", "FILE",
     "where to; of csv and npy what their two files begin with"},
    {EXPORT_FORCE, "force", NULL, "replace files that are there"},
    {EXPORT_AROUND, "around", "KEY", "only what is near an entity"},
    {EXPORT_HOPS, "hops", "N", "how near (default: 1)"},
    {EXPORT_VECTOR, "vector", NULL, "of csv: with a column of vectors"},
    {EXPORT_HISTORY, "history", NULL, "of ndjson: what each commit changed"},
    SELECT_ROWS(EXPORT_SELECT),
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_END,
};

static const char *const format_words[] = {"ndjson", "csv", "graphml", "nt",
					   "dot",    "npy", NULL};

static const struct {
	int (*run)(struct exporter *run);
	int is_two; /* files */
} formats[] = {{export_ndjson, 0},   {export_csv, 1}, {export_graphml, 0},
	       {export_ntriples, 0}, {export_dot, 0}, {export_npy, 1}};

static int export_option(struct exporter *run, int *format, int id)
{
	struct cli *cli = run->cli;
	uint64_t hops;

	switch (id) {
	case EXPORT_FORMAT:
		*format = args_word(cli, format_words);
		return *format < 0 ? cli->fault.code : 0;
	case EXPORT_OUTPUT: run->output = cli->value; break;
	case EXPORT_FORCE: run->replaces = 1; break;
	case EXPORT_AROUND: run->around = cli->value; break;
	case EXPORT_HOPS:
		if (args_u64(cli, 0, COP_HOPS_MAX, &hops))
			return cli->fault.code;
		run->hops = (uint32_t)hops;
		break;
	case EXPORT_VECTOR: run->vectors = 1; break;
	case EXPORT_HISTORY: break;
	default: return select_option(&run->which, cli, id - EXPORT_SELECT);
	}
	return 0;
}

static void export_tell(const struct exporter *run)
{
	char a[64], b[64];

	if (run->left_out)
		fault_note(
		    "%s no place in this format and %s left out",
		    words_things(a, run->left_out, "value has", "values have"),
		    run->left_out == 1 ? "was" : "were");
	if (run->lists)
		fault_note("%s of one item, or with an item twice, will not "
			   "be read back as they are",
			   words_things(a, run->lists, "list", "lists"));
	if (run->keys_out)
		fault_note(
		    "%s with a key that this format cannot have, left "
		    "out with all edges",
		    words_things(a, run->keys_out, "entity", "entities"));
	if (strcmp(run->output, "-") != 0 && !run->cli->quiet)
		fprintf(stderr, "%s, %s\n",
			words_things(a, run->entities, "entity", "entities"),
			words_things(b, run->edges, "edge", "edges"));
}

static int export_options(struct exporter *run, int *format)
{
	struct cli *cli = run->cli;
	int id;

	while ((id = args_next(cli)) > 0)
		if (export_option(run, format, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli) ||
	    args_needs(cli, EXPORT_HOPS, EXPORT_AROUND))
		return cli->fault.code;
	if (args_given(cli, EXPORT_HISTORY) &&
	    (formats[*format].run != export_ndjson || run->around ||
	     cli->as_of || cli->valid_at || select_is_given(&run->which)))
		return args_fault(cli, "--history goes with ndjson, and is of "
				       "all that there was");
	if (formats[*format].is_two && !strcmp(run->output, "-"))
		return args_fault(cli,
				  "%s is two files; --output says what "
				  "their names begin with",
				  format_words[*format]);
	return 0;
}

static int export_run(struct cli *cli)
{
	struct exporter run = {.cli = cli, .hops = 1, .output = "-"};
	int format = 0;
	int code;

	select_init(&run.which);
	code = export_options(&run, &format);
	if (code || cli->helped)
		return code;
	code = cli_open_read(cli);
	if (!code && formats[format].run == export_npy && !cop_dim(cli->store))
		code = fault_set(&cli->fault, EXIT_NO_RESULT,
				 "%s has no vectors", cli->path);
	if (!code) {
		stop_arm();
		code = args_given(cli, EXPORT_HISTORY)
			   ? export_history(&run)
			   : formats[format].run(&run);
	}
	if (!code)
		export_tell(&run);
	export_fields_release(&run.fields);
	free(run.near.ids);
	return code;
}

const struct verb verb_export = {
    .name = "export",
    .operands = "",
    .summary = "write entities and edges in a format that others read",
    .rows = export_rows,
    .operand_min = 0,
    .operand_max = 0,
    .run = export_run,
};

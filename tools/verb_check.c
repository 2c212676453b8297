/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: compares everything in the store with everything that mentions it.
 *
 * idea
 *	A finding a line on standard output; the status is 1 if there are any.
 *	Commits wait while it runs, reads do not.
 */
#include <inttypes.h>
#include <stdio.h>

#include "verbs.h"

enum { CHECK_RECALL = ARG_OWN, CHECK_SAMPLES, CHECK_EF };

static const struct arg_row check_rows[] = {
    {CHECK_RECALL, "recall", NULL, "audit the vector graph instead"},
    {CHECK_SAMPLES, "samples", "N", "entities that --recall asks about (200)"},
    {CHECK_EF, "ef", "N", "width of its walks"},
    ARG_END,
};

enum { UNREACHABLE_SHARE = 1000 }; /* of which one may be unreachable */

struct check {
	struct cli *cli;
	int recall;
	uint32_t samples;
	uint32_t ef;
};

static void finding_print(void *user, const char *text)
{
	(void)user;
	puts(text);
}

static int check_all(struct cli *cli)
{
	uint64_t findings = 0;
	cop_err err = cop_check(cli->store, finding_print, NULL, &findings);

	if (err)
		return cli_cop(cli, err);
	if (findings)
		fprintf(stderr,
			"coppice: %s: %" PRIu64 " findings; if they are all of "
			"the segment, run `coppice detach` and it is built "
			"anew, else restore a backup\n",
			cli->path, findings);
	return findings != 0;
}

/* How many links nodes have, in eight steps. */
static void degrees_print(const struct cop_recall *recall)
{
	fputs("nodes by links:", stdout);
	for (int from = 0; from < COP_RECALL_DEGREES - 1; from += 4) {
		uint64_t count = from ? 0 : recall->degrees[0];

		for (int i = 1; i <= 4; i++)
			count += recall->degrees[from + i];
		printf(" %d-%d: %" PRIu64, from ? from + 1 : 0, from + 4,
		       count);
	}
	putchar('\n');
}

static int check_recall(const struct check *check)
{
	struct cop_recall recall = {.size = sizeof recall};
	struct cli *cli = check->cli;
	int code = cli_open_read(cli);
	cop_err err;

	if (code)
		return code;
	err = cop_recall(cli->read, check->samples, check->ef, &recall);
	if (err)
		return cli_cop(cli, err);
	printf("recall@10: %.4f, of %" PRIu32 " entities\n", recall.recall,
	       recall.samples);
	printf("nodes: %" PRIu64 ", %" PRIu64 " of them unreachable, %" PRIu64
	       " dead; %" PRIu64 " vectors wait to be linked\n",
	       recall.nodes, recall.unreachable, recall.dead, recall.waiting);
	printf("links: %" PRIu64 ", %.1f a node, %" PRIu64 " one way, %" PRIu64
	       " broken\n",
	       recall.links,
	       recall.nodes ? (double)recall.links / (double)recall.nodes : 0,
	       recall.one_way, recall.broken);
	degrees_print(&recall);
	if (recall.unreachable)
		fprintf(stderr, "coppice: `coppice maintain` links again what "
				"is unreachable\n");
	/* threads that link together leave a few */
	return recall.unreachable > recall.nodes / UNREACHABLE_SHARE ||
	       recall.broken || recall.one_way;
}

static int check_run(struct cli *cli)
{
	struct check check = {.cli = cli};
	uint64_t number = 0;
	int code, id;

	while ((id = args_next(cli)) > 0) {
		if (id == CHECK_RECALL)
			check.recall = 1;
		else if (id == CHECK_SAMPLES &&
			 !args_u64(cli, 1, UINT32_MAX, &number))
			check.samples = (uint32_t)number;
		else if (id == CHECK_EF &&
			 !args_u64(cli, 1, COP_EF_MAX, &number))
			check.ef = (uint32_t)number;
		if (cli->fault.code)
			return cli->fault.code;
	}
	if (id < 0 || args_end(cli) ||
	    args_needs(cli, CHECK_SAMPLES, CHECK_RECALL) ||
	    args_needs(cli, CHECK_EF, CHECK_RECALL))
		return cli->fault.code;
	if (check.recall)
		return check_recall(&check);
	code = cli_open(cli);
	return code ? code : check_all(cli);
}

const struct verb verb_check = {
    .name = "check",
    .operands = "",
    .summary = "compare records, indexes and shared memory with each other",
    .rows = check_rows,
    .run = check_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: compares everything in the store with everything that mentions it.
 *
 * idea
 *	A finding a line on standard output; the status is 1 if there are any
 *	that are not mended.  Commits wait while it runs, reads do not.
 *
 * damage that nothing can be built from
 *	The store cannot be opened then; that is a finding, too, and the status
 *	4, as it is if pages of the data file are damaged.
 */
#include "out.h"
#include "verbs.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	CHECK_RECALL = ARG_OWN,
	CHECK_SAMPLES,
	CHECK_EF,
	CHECK_QUICK,
	CHECK_DEEP,
	CHECK_REPAIR,
	CHECK_DROP
};

static const struct arg_row check_rows[] = {
    {CHECK_QUICK, "quick", NULL, "counters and what is hashed; no lock"},
    {CHECK_DEEP, "deep", NULL, "decode every value, unpack every image, too"},
    {CHECK_REPAIR, "repair", NULL, "mend what can be mended"},
    {CHECK_DROP, "drop-damaged", NULL, "and remove what is damaged past that"},
    ARG_JSON_ROW,
    {CHECK_RECALL, "recall", NULL, "audit the vector graph instead"},
    {CHECK_SAMPLES, "samples", "N", "entities that --recall asks about (200)"},
    {CHECK_EF, "ef", "N", "width of its walks"},
    ARG_END,
};

enum { UNREACHABLE_SHARE = 1000 }; /* of which one may be unreachable */

struct check {
	struct cli *cli;
	struct cop_check_options options;
	int json;
	int recall;
	uint32_t samples;
	uint32_t ef;
	uint64_t told; /* findings */
	uint64_t skip; /* of those that are told of again */
};

static const char *place_word(int32_t place)
{
	switch (place) {
	case COP_PLACE_DATA: return "data";
	case COP_PLACE_HISTORY: return "history";
	case COP_PLACE_SEGMENT: return "segment";
	case COP_PLACE_IMAGE: return "image";
	default: return "graph";
	}
}

static void finding_print(void *user, int32_t place, const char *text)
{
	struct check *check = user;

	if (check->skip) {
		check->skip--;
		return;
	}
	check->told++;
	if (!check->json) {
		printf("%s: ", place_word(place));
		out_plain(text, strlen(text));
		putchar('\n');
		return;
	}
	printf("{\"place\":\"%s\",\"finding\":", place_word(place));
	out_string(text, strlen(text));
	puts("}");
}

/* Tells what came of it; whether findings are left. */
static int result_tell(const struct check *check,
		       const struct cop_check_result *result)
{
	const struct cli *cli = check->cli;
	char text[64];

	if (check->json)
		printf("{\"schema\":\"coppice.check/1\",\"left\":%" PRIu64
		       ",\"mended\":%" PRIu64 "}\n",
		       result->left, result->mended);
	if (result->mended && !cli->quiet)
		fault_note(
		    "%s: %s mended", cli->path,
		    words_things(text, result->mended, "finding", "findings"));
	words_things(text, result->left, "finding", "findings");
	if (result->left && check->options.repair)
		fault_note("%s: %s that cannot be mended: restore a backup, or "
			   "put what is named again; --repair --drop-damaged "
			   "goes on without it",
			   cli->path, text);
	else if (result->left)
		fault_note("%s: %s; `coppice check %s` mends what can be "
			   "mended, after a copy of the folder was made",
			   cli->path, text,
			   check->options.depth == COP_CHECK_DEEP
			       ? "--deep --repair"
			       : "--repair");
	return result->left != 0;
}

/*
 * The data file by itself, while the store is closed.
 * Returns	-1 if it was mended: the store can be looked at
 */
static int file_check(struct check *check, struct cop_check_result *file)
{
	struct cli *cli = check->cli;
	cop_err err = cop_check_file(cli->path, &check->options, file);

	if (err)
		return cli_cop(cli, err);
	if (!file->left && file->mended)
		return -1;
	(void)result_tell(check, file);
	return check->options.repair && !file->left ? 0 : EXIT_CORRUPT;
}

/* Opens the store, if need be after its data file was mended. */
static int check_open(struct check *check, struct cop_check_result *file)
{
	struct cli *cli = check->cli;
	int code = cli_open(cli);

	if (code != EXIT_CORRUPT || check->options.depth == COP_CHECK_QUICK)
		return code;
	fault_clear(&cli->fault);
	code = file_check(check, file);
	return code < 0 ? cli_open(cli) : code;
}

/* What a store with damaged pages is mended by, once it is closed. */
static int pages_mend(struct check *check, struct cop_check_result *file)
{
	struct cli *cli = check->cli;

	cli_close(cli);
	fault_clear(&cli->fault);
	check->skip = check->told;
	return file_check(check, file);
}

static int check_all(struct check *check)
{
	struct cop_check_result file = {.size = sizeof file};
	struct cop_check_result result = {.size = sizeof result};
	struct cli *cli = check->cli;
	int code;
	cop_err err;

	check->options.found = finding_print;
	check->options.user = check;
	code = check_open(check, &file);
	if (code || !cli->store)
		return code;
	err = cop_check_with(cli->store, &check->options, &result);
	if (err == COP_CORRUPT && check->options.repair && !file.mended) {
		code = pages_mend(check, &file);
		if (code >= 0)
			return code;
		code = cli_open(cli);
		if (code)
			return code;
		err = cop_check_with(cli->store, &check->options, &result);
	}
	if (err)
		return cli_cop(cli, err);
	result.mended += file.mended;
	return result_tell(check, &result);
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

static void recall_print(const struct cop_recall *recall)
{
	printf("recall@10: %.4f, of %" PRIu32 " entities; %.4f as far as codes "
	       "tell\n",
	       recall->recall, recall->samples, recall->recall_coded);
	printf("nodes: %" PRIu64 ", %" PRIu64 " of them unreachable, %" PRIu64
	       " dead; %" PRIu64 " vectors wait to be linked\n",
	       recall->nodes, recall->unreachable, recall->dead,
	       recall->waiting);
	printf("links: %" PRIu64 ", %.1f a node, %" PRIu64 " one way, %" PRIu64
	       " broken\n",
	       recall->links,
	       recall->nodes ? (double)recall->links / (double)recall->nodes
			     : 0,
	       recall->one_way, recall->broken);
	degrees_print(recall);
}

static void recall_json(const struct cop_recall *recall)
{
	printf("{\"schema\":\"coppice.recall/1\",\"recall\":");
	out_double(recall->recall);
	printf(",\"recall_coded\":");
	out_double(recall->recall_coded);
	printf(",\"samples\":%" PRIu32 ",\"nodes\":%" PRIu64
	       ",\"unreachable\":%" PRIu64 ",\"dead\":%" PRIu64
	       ",\"waiting\":%" PRIu64 ",\"links\":%" PRIu64
	       ",\"one_way\":%" PRIu64 ",\"broken\":%" PRIu64
	       ",\"nodes_by_links\":[",
	       recall->samples, recall->nodes, recall->unreachable,
	       recall->dead, recall->waiting, recall->links, recall->one_way,
	       recall->broken);
	for (int i = 0; i < COP_RECALL_DEGREES; i++)
		printf("%s%" PRIu64, i ? "," : "",
		       (uint64_t)recall->degrees[i]);
	puts("]}");
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
	(check->json ? recall_json : recall_print)(&recall);
	if (recall.unreachable)
		fprintf(stderr, "coppice: `coppice maintain` links again what "
				"is unreachable\n");
	/* threads that link together leave a few */
	return recall.unreachable > recall.nodes / UNREACHABLE_SHARE ||
	       recall.broken || recall.one_way;
}

/* ---- the verb ----------------------------------------------------------- */

/* A check is of one kind. */
static int check_conflict(struct cli *cli)
{
	int quick = args_given(cli, CHECK_QUICK);

	if (quick &&
	    (args_given(cli, CHECK_DEEP) || args_given(cli, CHECK_REPAIR)))
		return args_fault(cli, "a check that is --quick is not --deep, "
				       "and repairs nothing");
	if (args_given(cli, CHECK_RECALL) &&
	    (quick || args_given(cli, CHECK_DEEP) ||
	     args_given(cli, CHECK_REPAIR)))
		return args_fault(cli, "--recall audits the graph instead: "
				       "there is nothing that it repairs, and "
				       "no depth");
	return 0;
}

static int check_run(struct cli *cli)
{
	struct check check = {.cli = cli,
			      .options = {.size = sizeof check.options}};
	uint64_t number = 0;
	int id;

	while ((id = args_next(cli)) > 0) {
		if (id == CHECK_RECALL)
			check.recall = 1;
		else if (id == CHECK_QUICK)
			check.options.depth = COP_CHECK_QUICK;
		else if (id == CHECK_DEEP)
			check.options.depth = COP_CHECK_DEEP;
		else if (id == ARG_JSON)
			check.json = 1;
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
	    args_needs(cli, CHECK_EF, CHECK_RECALL) ||
	    args_needs(cli, CHECK_DROP, CHECK_REPAIR))
		return cli->fault.code;
	if (check_conflict(cli))
		return cli->fault.code;
	check.options.repair = args_given(cli, CHECK_DROP)
				   ? 2
				   : (uint32_t)args_given(cli, CHECK_REPAIR);
	if (check.recall)
		return check_recall(&check);
	return check_all(&check);
}

const struct verb verb_check = {
    .name = "check",
    .operands = "",
    .summary = "compare records, indexes and shared memory with each other",
    .rows = check_rows,
    .run = check_run,
};

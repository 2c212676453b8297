/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: what is near an entity in the graph.
 *
 * idea
 *	cop_walk() gives every entity within so many hops once, breadth first,
 *	with the step it was reached from.  That is a tree; as text it is
 *	printed depth first, indented, as JSON in the order of the walk.
 *
 * layout of the text
 *	KEY <tab> label
 *	  relation -> KEY <tab> label      over an edge that goes out
 *	  relation <- KEY <tab> label      over one that comes in
 */
#include "out.h"
#include "step.h"
#include "words.h"
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	WALK_HOPS = ARG_OWN,
	WALK_RELATION,
	WALK_DIRECTION,
	WALK_TYPE,
	WALK_TAG,
	WALK_LIMIT
};
enum { WALK_LIMIT_DEFAULT = 1000, WALK_LIMIT_MAX = 100000000 };

static const struct arg_row walk_rows[] = {
    {WALK_HOPS, "hops", "N|all", "how far (default: 1, at most 64, or all)"},
    {WALK_RELATION, "relation", "NAME", "only over edges of this relation"},
    {WALK_DIRECTION, "direction", "out|in|both", "of edges (default: out)"},
    {WALK_TYPE, "type", "NAME", "only to entities of this type"},
    {WALK_TAG, "tag", "NAME", "only to entities with this tag"},
    {WALK_LIMIT, "limit", "N", "at most so many entities (default: 1000)"},
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct walk {
	struct cli *cli;
	struct cop_walk walk;
	int json;
	size_t capacity;
	struct cop_step *steps;
	size_t count;
	/* the tree: of each step its first child and next sibling, 0: none */
	uint32_t *child, *sibling;
};

/* ---- a relation that the store has never seen --------------------------- */

struct walk_seen {
	char text[512];
	size_t size;
	uint32_t names[16];
	size_t count;
	cop_err err; /* from inside a visit */
};

static int32_t walk_see(void *user, cop_read *read, const struct cop_edge *edge)
{
	struct walk_seen *seen = user;
	const char *name;
	size_t size;
	int added;

	for (size_t i = 0; i < seen->count; i++)
		if (seen->names[i] == edge->relation)
			return 0;
	seen->err = cop_name(read, edge->relation, &name, &size);
	if (seen->err)
		return 1;
	added =
	    snprintf(seen->text + seen->size, sizeof seen->text - seen->size,
		     "%s%.*s", seen->count ? ", " : "", (int)size, name);
	if (added < 0 || (size_t)added >= sizeof seen->text - seen->size)
		return 1;
	seen->size += (size_t)added;
	seen->names[seen->count++] = edge->relation;
	return seen->count == sizeof seen->names / sizeof seen->names[0];
}

static int walk_no_relation(struct walk *walk)
{
	struct cli *cli = walk->cli;
	struct walk_seen seen;
	cop_err err;

	memset(&seen, 0, sizeof seen);
	err = cop_edges(cli->read, walk->walk.start, COP_BOTH, walk_see, &seen);
	if (err == COP_STOPPED)
		err = seen.err;
	if (err)
		return cli_cop(cli, err);
	return fault_set(&cli->fault, EXIT_USAGE,
			 "this store has no relation '%s'. At '%s' there %s%s",
			 walk->walk.relation, cli->operands[0],
			 seen.count ? "are: " : "are no edges", seen.text);
}

/* ---- printing ----------------------------------------------------------- */

static cop_err walk_json(const struct walk *walk)
{
	cop_err err = 0;

	for (size_t i = 0; !err && i < walk->count && !out_failed(); i++)
		err = step_json(walk->cli->read, walk->steps, i);
	return err;
}

static cop_err walk_text_step(const struct walk *walk, size_t index)
{
	const struct cop_step *step = &walk->steps[index];

	printf("%*s", (int)step->hops * 2, "");
	return step_text(walk->cli->read, step);
}

/* Links the steps to a tree; children keep the order of the walk. */
static int walk_tree(struct walk *walk)
{
	walk->child = calloc(walk->count, sizeof *walk->child);
	walk->sibling = calloc(walk->count, sizeof *walk->sibling);
	if (!walk->child || !walk->sibling)
		return fault_set(&walk->cli->fault, EXIT_NO_SPACE,
				 "out of memory");
	for (size_t i = walk->count - 1; i > 0; i--) {
		uint32_t from = walk->steps[i].from;

		walk->sibling[i] = walk->child[from];
		walk->child[from] = (uint32_t)i;
	}
	return 0;
}

/* Depth first without a stack: down, else across, else up and across. */
static cop_err walk_text(const struct walk *walk)
{
	uint32_t at = 0;
	cop_err err;

	for (;;) {
		err = walk_text_step(walk, at);
		if (err || out_failed())
			return err;
		if (walk->child[at]) {
			at = walk->child[at];
			continue;
		}
		while (at && !walk->sibling[at])
			at = walk->steps[at].from;
		if (!at)
			return 0;
		at = walk->sibling[at];
	}
}

/* ---- the verb ----------------------------------------------------------- */

static int walk_go(struct walk *walk)
{
	struct cli *cli = walk->cli;
	int32_t more = 0;
	cop_err err;

	walk->steps = calloc(walk->capacity, sizeof *walk->steps);
	if (!walk->steps)
		return fault_set(&cli->fault, EXIT_NO_SPACE, "out of memory");
	err = cop_walk(cli->read, &walk->walk, walk->steps, walk->capacity,
		       &walk->count, &more);
	if (err == COP_NO_NAME)
		return walk_no_relation(walk);
	if (err)
		return cli_cop(cli, err);
	if (walk->count == 0)
		return EXIT_NO_RESULT;
	if (more && !cli->quiet)
		fault_note("there is more: cut off after %zu entities "
			   "(--limit)",
			   walk->count);
	if (!walk->json && walk_tree(walk))
		return cli->fault.code;
	err = walk->json ? walk_json(walk) : walk_text(walk);
	return err ? cli_cop(cli, err) : 0;
}

static int walk_option(struct walk *walk, int id)
{
	struct cli *cli = walk->cli;
	uint64_t number;

	switch (id) {
	case WALK_HOPS:
		if (!strcmp(cli->value, "all"))
			walk->walk.hops = COP_HOPS_ALL;
		else if (!args_u64(cli, 0, COP_HOPS_MAX, &number))
			walk->walk.hops = (uint32_t)number;
		break;
	case WALK_RELATION: walk->walk.relation = cli->value; break;
	case WALK_TYPE: walk->walk.type = cli->value; break;
	case WALK_TAG: walk->walk.tag = cli->value; break;
	case WALK_DIRECTION: walk->walk.direction = step_way(cli); break;
	case WALK_LIMIT:
		if (!args_u64(cli, 1, WALK_LIMIT_MAX, &number))
			walk->capacity = (size_t)number;
		break;
	default: walk->json = 1; break;
	}
	return cli->fault.code;
}

static int walk_run(struct cli *cli)
{
	struct walk walk;
	int code, id;

	memset(&walk, 0, sizeof walk);
	walk.cli = cli;
	walk.capacity = WALK_LIMIT_DEFAULT;
	walk.walk.size = sizeof walk.walk;
	walk.walk.hops = 1;
	walk.walk.direction = COP_OUT;
	while ((id = args_next(cli)) > 0)
		if (walk_option(&walk, id))
			return cli->fault.code;
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	code = cli_open_read(cli);
	if (!code)
		code = cli_entity(cli, cli->operands[0], &walk.walk.start);
	if (!code)
		code = walk_go(&walk);
	free(walk.steps);
	free(walk.child);
	free(walk.sibling);
	return code;
}

const struct verb verb_walk = {
    .name = "walk",
    .operands = "KEY",
    .summary = "print what is within a few hops of an entity",
    .rows = walk_rows,
    .operand_min = 1,
    .operand_max = 1,
    .run = walk_run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export: what is the same for all formats: which entities and edges, in which
 * order, and the file that they go to.
 *
 * order
 *	Entities come in the order of their keys, edges in that of their texts,
 *	so what two stores export can be compared with diff, whatever ids they
 *	gave.  For that the edges that go out of one entity are in memory at
 *	once, and nothing else is.
 *
 * edges
 *	An edge is exported if both of its ends are, so that what comes out can
 *	be imported by itself.
 */
#include "export.h"
#include "out.h"
#include "stop.h"
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct target_kind export_kind = {"an export", "", 0644};

static struct target target; /* there is one at a time: it is stdout */

/* ---- which -------------------------------------------------------------- */

static int id_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int near_take(struct exporter *run, const struct cop_step *steps,
		     size_t count)
{
	run->near.ids = calloc(count, sizeof *run->near.ids);
	if (!run->near.ids)
		return fault_set(&run->cli->fault, EXIT_NO_SPACE,
				 "out of memory");
	for (size_t i = 0; i < count; i++)
		run->near.ids[i] = steps[i].id;
	run->near.count = count;
	qsort(run->near.ids, count, sizeof *run->near.ids, id_compare);
	return 0;
}

/* Whoever is within so many hops of a key, over edges of both directions. */
static int near_find(struct exporter *run)
{
	struct cop_walk walk = {
	    .size = sizeof walk, .hops = run->hops, .direction = COP_BOTH};
	struct cop_step *steps = NULL;
	struct cli *cli = run->cli;
	size_t room = 4096;
	size_t count = 0;
	int32_t more = 1;
	cop_err err = 0;
	int code = cli_entity(cli, run->around, &walk.start);

	while (!code && !err && more) {
		free(steps);
		steps = calloc(room, sizeof *steps);
		if (!steps)
			code = fault_set(&cli->fault, EXIT_NO_SPACE,
					 "out of memory");
		else
			err = cop_walk(cli->read, &walk, steps, room, &count,
				       &more);
		room *= 8;
	}
	if (err)
		code = cli_cop(cli, err);
	if (!code)
		code = near_take(run, steps, count);
	free(steps);
	return code;
}

static int is_near(const struct exporter *run, uint64_t id)
{
	return !run->around || bsearch(&id, run->near.ids, run->near.count,
				       sizeof id, id_compare);
}

static cop_err entity_is_chosen(const struct exporter *run, cop_read *read,
				const struct cop_entity *entity, int *chosen)
{
	*chosen = is_near(run, entity->id);
	return *chosen
		   ? select_matches(&run->which.select, read, entity, chosen)
		   : 0;
}

static int key_is_fit(const struct exporter *run, const void *key, size_t size)
{
	return !run->key_fits || run->key_fits(key, size);
}

static cop_err id_is_chosen(const struct exporter *run, cop_read *read,
			    uint64_t id, int *chosen)
{
	int is_selected = select_is_given(&run->which);
	struct cop_entity entity;
	const void *key;
	size_t size;
	cop_err err;

	*chosen = is_near(run, id);
	if (!*chosen || (!run->key_fits && !is_selected))
		return 0;
	err = cop_key(read, id, &key, &size);
	if (!err)
		*chosen = key_is_fit(run, key, size);
	if (err || !*chosen || !is_selected)
		return err;
	err = cop_get(read, key, size, &entity);
	return err ? err : entity_is_chosen(run, read, &entity, chosen);
}

/* ---- entities ----------------------------------------------------------- */

struct pass {
	struct exporter *run;
	export_entity_visit *entity;
	int is_of_edges; /* who is left out was counted before */
};

static int32_t pass_entity(void *user, cop_read *read,
			   const struct cop_entity *entity)
{
	struct pass *pass = user;
	struct exporter *run = pass->run;
	int chosen;

	run->err = entity_is_chosen(run, read, entity, &chosen);
	if (!run->err && chosen &&
	    !key_is_fit(run, entity->key, entity->key_size)) {
		run->keys_out += !pass->is_of_edges;
		chosen = 0;
	}
	if (!run->err && chosen)
		run->err = pass->entity(run, read, entity);
	return run->err || out_failed() || stop_signal();
}

static int pass_run(struct pass *pass)
{
	struct exporter *run = pass->run;
	const struct cop_select *wanted = &run->which.select;
	struct cli *cli = run->cli;
	cop_err err = run->around && !run->near.ids && near_find(run)
			  ? COP_STOPPED
			  : cop_keys(cli->read, wanted->prefix,
				     wanted->prefix_size, pass_entity, pass);

	if (cli->fault.code)
		return cli->fault.code;
	if (stop_signal())
		return cli_stopped(cli);
	if (err == COP_STOPPED)
		err = run->err;
	return err ? cli_cop(cli, err) : 0;
}

int export_entities(struct exporter *run, export_entity_visit *visit)
{
	struct pass pass = {.run = run, .entity = visit};

	return pass_run(&pass);
}

/* ---- edges -------------------------------------------------------------- */

struct out_edge {
	struct cop_edge edge;
	const char *relation;
	size_t relation_size;
	const void *target;
	size_t target_size;
};

struct out_edges {
	const struct exporter *run;
	struct out_edge *items;
	size_t count, room;
	cop_err err;
};

static cop_err edge_texts(cop_read *read, struct out_edge *one)
{
	cop_err err = cop_name(read, one->edge.relation, &one->relation,
			       &one->relation_size);

	return err ? err
		   : cop_key(read, one->edge.target, &one->target,
			     &one->target_size);
}

static int32_t edge_collect(void *user, cop_read *read,
			    const struct cop_edge *edge)
{
	struct out_edges *edges = user;
	struct out_edge one = {.edge = *edge};
	int chosen;

	edges->err = id_is_chosen(edges->run, read, edge->target, &chosen);
	if (edges->err || !chosen)
		return edges->err != 0;
	edges->err = edge_texts(read, &one);
	if (!edges->err && edges->count == edges->room) {
		size_t room = edges->room ? edges->room * 2 : 64;
		struct out_edge *items =
		    realloc(edges->items, room * sizeof *items);

		if (!items)
			edges->err = ENOMEM;
		else
			edges->items = items;
		edges->room = items ? room : edges->room;
	}
	if (!edges->err)
		edges->items[edges->count++] = one;
	return edges->err != 0;
}

int export_text_compare(const void *a, size_t a_size, const void *b,
			size_t b_size)
{
	size_t size = a_size < b_size ? a_size : b_size;
	int order = size ? memcmp(a, b, size) : 0;

	return order ? order : a_size < b_size ? -1 : a_size > b_size;
}

static int edge_compare(const void *a, const void *b)
{
	const struct out_edge *x = a;
	const struct out_edge *y = b;
	int order = export_text_compare(x->relation, x->relation_size,
					y->relation, y->relation_size);

	if (!order)
		order = export_text_compare(x->target, x->target_size,
					    y->target, y->target_size);
	if (!order)
		order = x->edge.discriminator < y->edge.discriminator
			    ? -1
			    : x->edge.discriminator > y->edge.discriminator;
	return order;
}

static cop_err edges_of(struct exporter *run, cop_read *read,
			const struct cop_entity *entity)
{
	struct out_edges edges = {.run = run};
	cop_err err =
	    cop_edges(read, entity->id, COP_OUT, edge_collect, &edges);

	if (err == COP_STOPPED)
		err = edges.err;
	if (!err && edges.count)
		qsort(edges.items, edges.count, sizeof *edges.items,
		      edge_compare);
	for (size_t i = 0; i < edges.count && !err && !out_failed(); i++)
		err = run->edge(run, read, &edges.items[i].edge);
	free(edges.items);
	return err;
}

int export_edges(struct exporter *run, export_edge_visit *visit)
{
	struct pass pass = {.run = run, .entity = edges_of, .is_of_edges = 1};

	run->edge = visit;
	return pass_run(&pass);
}

/* ---- where to ----------------------------------------------------------- */

int export_begin(struct exporter *run, const char *tail)
{
	struct fault *fault = &run->cli->fault;
	char name[PATH_MAX];

	if (!strcmp(run->output, "-"))
		return 0;
	if (snprintf(name, sizeof name, "%s%s", run->output, tail) >= PATH_MAX)
		return fault_errno(fault, run->output, ENAMETOOLONG);
	snprintf(run->name, sizeof run->name, "%s", name);
	if (target_open(&target, run->name, &export_kind, run->replaces, fault))
		return fault->code;
	fflush(stdout);
	if (dup2(target.fd, STDOUT_FILENO) < 0) {
		target_fault(&target, errno, fault);
		target_close(&target);
	}
	return fault->code;
}

int export_end(struct exporter *run, int code)
{
	struct fault *fault = &run->cli->fault;
	int is_lost = fflush(stdout) || ferror(stdout);
	int number = errno;

	if (!strcmp(run->output, "-"))
		return code;
	if (!code && is_lost)
		code = target_fault(&target, number, fault);
	if (!code)
		code = target_keep(&target, fault);
	target_close(&target);
	return code;
}

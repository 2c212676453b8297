/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_graph: /entity?key= and /graph?key=, with hops and limit.
 *
 * idea
 *	The graph is what a walk finds, and of the edges of each node found
 *	those whose other end was found, too.  `degree` says how many edges a
 *	node has in all, so that one sees where there is more.
 *
 * limits
 *	LIMIT_MAX nodes; of a node EDGE_ROOM edges are looked at, beside the one
 *	that led to it.
 */
#include "json.h"
#include "serve.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>

enum { HOPS_MAX = 2, LIMIT = 60, LIMIT_MAX = 500, EDGE_ROOM = 2048 };
enum { ENTITY_EDGES = 200 };

/* ---- one entity --------------------------------------------------------- */

struct edges {
	json_t *list;
	uint64_t seen;
	cop_err err;
};

static int32_t edge_add(void *user, cop_read *read, const struct cop_edge *edge)
{
	struct edges *edges = user;
	json_t *json = NULL;

	if (edges->seen++ >= ENTITY_EDGES)
		return 1;
	edges->err = json_edge(read, edge, &json);
	if (!edges->err && json_array_append_new(edges->list, json))
		edges->err = ENOMEM;
	return edges->err != 0;
}

static cop_err edges_json(cop_read *read, uint64_t id, json_t *body)
{
	struct edges edges = {.list = json_array()};
	size_t degree = 0;
	cop_err err = json_member(body, "edges", edges.list);

	if (!err)
		err = cop_edges(read, id, COP_BOTH, edge_add, &edges);
	if (edges.err || err == COP_STOPPED)
		err = edges.err;
	if (!err)
		err = cop_neighbors(read, id, NULL, COP_BOTH, NULL, 0, &degree);
	return err ? err
		   : json_member(body, "degree",
				 json_integer((json_int_t)degree));
}

cop_err reply_entity(struct serve *serve, cop_read *read,
		     struct MHD_Connection *asked, struct reply *reply)
{
	struct cop_entity entity;
	json_t *json = NULL;
	uint64_t id;
	cop_err err = query_entity(read, asked, "key", &id, reply);

	(void)serve;
	if (err || reply->status)
		return err;
	err = cop_get_id(read, id, &entity);
	if (!err)
		err = json_entity(read, &entity, JSON_VERSION, &json);
	if (err)
		return err;
	reply->body =
	    json_pack("{sI so}", "commit", (json_int_t)cop_read_commit(read),
		      "entity", json);
	return reply->body ? edges_json(read, id, reply->body) : ENOMEM;
}

/* ---- around one --------------------------------------------------------- */

struct node {
	uint64_t id;
	uint32_t step; /* its place in the answer */
};

struct link {
	uint32_t source; /* places */
	uint32_t target;
	uint32_t relation;
};

struct around {
	uint32_t hops;
	uint32_t limit;
	struct cop_step *steps;
	size_t count;
	int32_t more;
	struct node *nodes; /* by id */
	struct cop_neighbor *room;
	struct link *links;
	size_t link_count;
	size_t link_room;
	json_t *list; /* of nodes */
};

static int node_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct node *)a)->id;
	uint64_t y = ((const struct node *)b)->id;

	return x < y ? -1 : x > y;
}

static int link_compare(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	return x->relation < y->relation ? -1 : x->relation > y->relation;
}

static cop_err link_add(struct around *around, uint32_t from, uint32_t to,
			uint32_t relation, int32_t direction)
{
	int out = direction == COP_OUT;

	if (around->link_count == around->link_room) {
		size_t room = around->link_room ? around->link_room * 2 : 256;
		struct link *links =
		    realloc(around->links, room * sizeof *links);

		if (!links)
			return ENOMEM;
		around->links = links;
		around->link_room = room;
	}
	around->links[around->link_count++] =
	    (struct link){.source = out ? from : to,
			  .target = out ? to : from,
			  .relation = relation};
	return 0;
}

static cop_err node_links(cop_read *read, struct around *around, uint32_t at,
			  size_t *degree)
{
	cop_err err = cop_neighbors(read, around->steps[at].id, NULL, COP_BOTH,
				    around->room, EDGE_ROOM, degree);

	for (size_t i = 0; !err && i < *degree && i < EDGE_ROOM; i++) {
		struct node wanted = {.id = around->room[i].id};
		const struct node *other =
		    bsearch(&wanted, around->nodes, around->count,
			    sizeof wanted, node_compare);

		if (other)
			err = link_add(around, at, other->step,
				       around->room[i].relation,
				       around->room[i].direction);
	}
	if (!err && at)
		err = link_add(around, around->steps[at].from, at,
			       around->steps[at].relation,
			       around->steps[at].direction);
	return err;
}

static cop_err node_json(cop_read *read, struct around *around, uint32_t at)
{
	size_t degree = 0;
	json_t *json = NULL;
	cop_err err = node_links(read, around, at, &degree);

	if (!err)
		err = entity_brief(read, around->steps[at].id, &json);
	if (err)
		return err;
	err = json_member(json, "hops", json_integer(around->steps[at].hops));
	if (!err)
		err = json_member(json, "degree",
				  json_integer((json_int_t)degree));
	if (err)
		json_decref(json);
	return err || !json_array_append_new(around->list, json) ? err : ENOMEM;
}

static cop_err links_json(cop_read *read, const struct around *around,
			  json_t *list)
{
	cop_err err = list ? 0 : ENOMEM;

	for (size_t i = 0; i < around->link_count && !err; i++) {
		const struct link *link = &around->links[i];
		json_t *name = NULL, *json;

		if (i && !link_compare(link - 1, link))
			continue;
		err = json_name(read, link->relation, &name);
		if (err)
			break;
		json = json_pack("{sI sI so}", "source",
				 (json_int_t)link->source, "target",
				 (json_int_t)link->target, "relation", name);
		if (!json || json_array_append_new(list, json))
			err = ENOMEM;
	}
	return err;
}

static cop_err around_walk(cop_read *read, struct around *around, uint64_t id)
{
	struct cop_walk walk = {.size = sizeof walk,
				.hops = around->hops,
				.start = id,
				.direction = COP_BOTH};
	cop_err err;

	around->steps = calloc(around->limit, sizeof *around->steps);
	around->nodes = calloc(around->limit, sizeof *around->nodes);
	around->room = calloc(EDGE_ROOM, sizeof *around->room);
	around->list = json_array();
	if (!around->steps || !around->nodes || !around->room || !around->list)
		return ENOMEM;
	err = cop_walk(read, &walk, around->steps, around->limit,
		       &around->count, &around->more);
	for (uint32_t i = 0; !err && i < around->count; i++)
		around->nodes[i] =
		    (struct node){.id = around->steps[i].id, .step = i};
	if (!err)
		qsort(around->nodes, around->count, sizeof *around->nodes,
		      node_compare);
	for (uint32_t i = 0; !err && i < around->count; i++)
		err = node_json(read, around, i);
	if (!err && around->link_count)
		qsort(around->links, around->link_count, sizeof *around->links,
		      link_compare);
	return err;
}

static void around_release(struct around *around)
{
	free(around->steps);
	free(around->nodes);
	free(around->room);
	free(around->links);
	json_decref(around->list);
}

cop_err reply_graph(struct serve *serve, cop_read *read,
		    struct MHD_Connection *asked, struct reply *reply)
{
	struct around around = {.hops = 1, .limit = LIMIT};
	json_t *links = NULL;
	uint64_t id;
	cop_err err;

	(void)serve;
	if (query_number(asked, "hops", 1, HOPS_MAX, &around.hops, reply) ||
	    query_number(asked, "limit", 1, LIMIT_MAX, &around.limit, reply))
		return 0;
	err = query_entity(read, asked, "key", &id, reply);
	if (err || reply->status)
		return err;
	err = around_walk(read, &around, id);
	if (!err) {
		links = json_array();
		err = links_json(read, &around, links);
	}
	if (!err) {
		reply->body = json_pack("{sI sb sI sO sO}", "commit",
					(json_int_t)cop_read_commit(read),
					"more", (int)around.more, "limit",
					(json_int_t)around.limit, "nodes",
					around.list, "edges", links);
		err = reply->body ? 0 : ENOMEM;
	}
	json_decref(links);
	around_release(&around);
	return err;
}

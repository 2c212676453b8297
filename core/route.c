/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cheapest paths: Dijkstra's, by a property of the edges.
 *
 * idea
 *	Weights are properties, which LMDB has, so the edges of each entity
 *	that is settled are read there, in one run of the cursor.  Whom the
 *	search has met is an array of nodes, in which a map finds an id; those
 *	not settled are in a heap by cost.
 *
 * source
 *	Dijkstra, "A note on two problems in connexion with graphs" (1959).
 *
 * cost
 *	Of everything that is nearer than the target, each edge once.
 */
#include "route.h"
#include "valid.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HEAP_SETTLED UINT32_MAX /* no place in the heap */

/* An entity that the search has met. */
struct node {
	double cost;
	uint32_t id;
	uint32_t from; /* index of the node it is reached from */
	uint32_t relation;
	int32_t direction;
	uint32_t heap_at; /* its place there, or HEAP_SETTLED */
};

struct route {
	cop_read *read;
	const struct graph_way *way;
	const char *weight_name;
	uint32_t weight; /* its number, 0: no edge has it */
	struct node *nodes;
	uint32_t count;
	uint32_t room;
	uint32_t *heap; /* of indices, room for all nodes */
	uint32_t heap_count;
	uint32_t *index; /* of an id's node, plus 1; 0: not met */
	uint64_t ids;
};

/* ---- the heap ----------------------------------------------------------- */

static void heap_place(struct route *route, uint32_t at, uint32_t node)
{
	route->heap[at] = node;
	route->nodes[node].heap_at = at;
}

static void heap_up(struct route *route, uint32_t at)
{
	uint32_t node = route->heap[at];

	while (at) {
		uint32_t parent = (at - 1) / 2;

		if (route->nodes[route->heap[parent]].cost <=
		    route->nodes[node].cost)
			break;
		heap_place(route, at, route->heap[parent]);
		at = parent;
	}
	heap_place(route, at, node);
}

static void heap_down(struct route *route, uint32_t at)
{
	uint32_t node = route->heap[at];
	uint32_t child;

	while ((child = at * 2 + 1) < route->heap_count) {
		if (child + 1 < route->heap_count &&
		    route->nodes[route->heap[child + 1]].cost <
			route->nodes[route->heap[child]].cost)
			child++;
		if (route->nodes[route->heap[child]].cost >=
		    route->nodes[node].cost)
			break;
		heap_place(route, at, route->heap[child]);
		at = child;
	}
	heap_place(route, at, node);
}

static uint32_t heap_take(struct route *route)
{
	uint32_t node = route->heap[0];

	route->nodes[node].heap_at = HEAP_SETTLED;
	if (--route->heap_count) {
		heap_place(route, 0, route->heap[route->heap_count]);
		heap_down(route, 0);
	}
	return node;
}

/* ---- nodes -------------------------------------------------------------- */

static cop_err no_memory(void)
{
	return error_system(ENOMEM, "no memory for a path");
}

static cop_err nodes_grow(struct route *route)
{
	uint32_t room = route->room ? route->room * 2 : 1024;
	struct node *nodes = realloc(route->nodes, room * sizeof *nodes);
	uint32_t *heap;

	if (!nodes)
		return no_memory();
	route->nodes = nodes;
	heap = realloc(route->heap, room * sizeof *heap);
	if (!heap)
		return no_memory();
	route->heap = heap;
	route->room = room;
	return 0;
}

/* A way to an entity: the first one, or perhaps a cheaper one. */
static cop_err node_reach(struct route *route, const struct node *way)
{
	uint32_t *index = &route->index[way->id];
	struct node *node;
	cop_err err = 0;

	if (*index) {
		node = &route->nodes[*index - 1];
		if (node->heap_at == HEAP_SETTLED || node->cost <= way->cost)
			return 0;
		node->cost = way->cost;
		node->from = way->from;
		node->relation = way->relation;
		node->direction = way->direction;
		heap_up(route, node->heap_at);
		return 0;
	}
	if (route->count == route->room)
		err = nodes_grow(route);
	if (err)
		return err;
	route->nodes[route->count] = *way;
	heap_place(route, route->heap_count, route->count);
	*index = ++route->count;
	heap_up(route, route->heap_count++);
	return 0;
}

/* ---- edges -------------------------------------------------------------- */

/* What going over an edge costs: 1 if it does not say. */
static cop_err weight_of(const struct route *route, struct bytes record,
			 double *weight)
{
	const struct disk_edge *head = record.data;
	const struct disk_property *directory;
	struct cop_value value;
	cop_err err = codec_edge_check(record);

	*weight = 1;
	if (err || !route->weight)
		return err;
	directory = codec_edge_directory(head);
	for (uint32_t i = 0; i < head->property_count; i++) {
		if (directory[i].name != route->weight)
			continue;
		err = codec_value(&route->read->arena, record,
				  directory[i].value_at, &value);
		if (err)
			return err;
		if (value.kind == COP_INT)
			*weight = (double)value.integer;
		if (value.kind == COP_FLOAT)
			*weight = value.real;
	}
	if (*weight >= 0)
		return 0;
	return error_set(
	    COP_INVALID,
	    "an edge has the %s %g; a path by weight needs weights "
	    "of 0 or more",
	    route->weight_name, *weight);
}

static cop_err edge_follow(struct route *route, uint32_t at, int32_t direction,
			   struct bytes key, struct bytes record)
{
	struct past past = past_of(route->read);
	struct node way = {.from = at, .direction = direction};
	struct disk_edge_key parts;
	struct disk_edge_key forth;
	double weight;
	cop_err err;
	int seen;
	int code = 0;

	if (key.size != sizeof parts)
		return error_set(COP_CORRUPT,
				 "an edge's key has %zu bytes; "
				 "restore a backup",
				 key.size);
	memcpy(&parts, key.data, sizeof parts);
	way.id = (uint32_t)format_join(parts.target);
	way.relation = be32toh(parts.relation);
	if ((route->way->relation && way.relation != route->way->relation) ||
	    way.id >= route->ids)
		return 0;
	err = valid_is_seen(route->read,
			    direction == COP_OUT ? DB_EDGES : DB_EDGES_IN,
			    record, &seen);
	if (err || !seen)
		return err;
	if (direction == COP_IN) {
		forth = format_edge_turn(&parts);
		code = past_get(&past, DB_EDGES, bytes_of(&forth, sizeof forth),
				&record);
		if (!code && !record.data)
			code = EBADMSG;
	}
	if (code)
		return error_system(code, "%s: cannot read",
				    route->read->store->path);
	err = weight_of(route, record, &weight);
	way.cost = route->nodes[at].cost + weight;
	return err ? err : node_reach(route, &way);
}

static cop_err list_follow(struct route *route, uint32_t at, int32_t direction)
{
	struct disk_edge_key first = format_edge_first(route->nodes[at].id);
	struct past past = past_of(route->read);
	struct past_range range;
	struct bytes key;
	struct bytes value;
	cop_err err = 0;
	int code;

	if (!(route->way->direction & direction))
		return 0;
	code = past_open(&range, &past,
			 direction == COP_OUT ? DB_EDGES : DB_EDGES_IN,
			 bytes_of(&first, sizeof first), sizeof first.source);
	if (code)
		return error_system(code, "%s: cannot read",
				    route->read->store->path);
	while (!err && !(code = past_next(&range, &key, &value)))
		err = edge_follow(route, at, direction, key, value);
	past_close(&range);
	if (!err && code != ENV_ABSENT)
		err = error_system(code, "%s: cannot read",
				   route->read->store->path);
	return err;
}

/* ---- the call ----------------------------------------------------------- */

/* Settles one after the other; *found: the target's index, plus 1. */
static cop_err targets_settle(struct route *route, uint64_t target,
			      uint32_t *found)
{
	cop_err err = 0;

	*found = 0;
	while (!err && route->heap_count) {
		uint32_t at = heap_take(route);

		if (route->nodes[at].id == target) {
			*found = at + 1;
			return 0;
		}
		err = list_follow(route, at, COP_OUT);
		if (!err)
			err = list_follow(route, at, COP_IN);
	}
	return err;
}

static size_t route_write(const struct route *route, uint32_t last,
			  struct cop_step *steps, size_t capacity)
{
	uint32_t hops = 0;
	size_t count;

	for (uint32_t at = last; at; at = route->nodes[at].from)
		hops++;
	count = hops + (size_t)1;
	for (uint32_t at = last;; at = route->nodes[at].from, hops--) {
		const struct node *node = &route->nodes[at];

		if (hops < capacity)
			steps[hops] = (struct cop_step){
			    node->id, hops ? hops - 1 : 0, node->relation, hops,
			    node->direction};
		if (!at)
			return count;
	}
}

static void route_close(struct route *route)
{
	if (route->index)
		munmap(route->index, route->ids * sizeof *route->index);
	free(route->nodes);
	free(route->heap);
}

static cop_err route_open(struct route *route)
{
	void *index;

	route->ids = graph_ids(route->read);
	index = mmap(NULL, route->ids * sizeof *route->index,
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (index == MAP_FAILED)
		return no_memory();
	route->index = index;
	return read_symbol(route->read, NAME_PROPERTY, route->weight_name,
			   strlen(route->weight_name), &route->weight);
}

cop_err route_find(cop_read *read, const struct graph_way *way,
		   const struct cop_path *path, struct cop_step *steps,
		   size_t capacity, size_t *count)
{
	struct route route = {
	    .read = read, .way = way, .weight_name = path->weight};
	struct node start = {.id = (uint32_t)path->source};
	uint32_t found = 0;
	cop_err err = route_open(&route);

	if (!err)
		err = node_reach(&route, &start);
	if (!err)
		err = targets_settle(&route, path->target, &found);
	if (!err && found) {
		*count = route_write(&route, found - 1, steps, capacity);
		if (path->cost)
			*path->cost = route.nodes[found - 1].cost;
	}
	route_close(&route);
	return err;
}

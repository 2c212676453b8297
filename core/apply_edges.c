/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applying many edges that come one after the other, as an import has them.
 *
 * idea
 *	Edges come in any order, so one at a time each of them is some seven
 *	searches in trees, from page to page that nobody has looked at lately.
 *	Here the keys of all their ends are looked for in the order of keys, the
 *	entities in the order of ids, and edges are put in the order of their
 *	own keys, first those of one index, then those of the other.  Each page
 *	is met once, or a few times in a row.
 *
 * as one at a time
 *	What is not there is looked for again, and put if that is wished, in the
 *	order of the operations: ids and the operation at fault are the same.
 *	An edge that is put twice is put once, as the last one says, and counts
 *	twice; nobody can see what it was within a commit.
 *
 * limits
 *	Some 200 bytes an edge of memory meanwhile, EDGE_RUN_MOST edges.
 */
#include "apply_edge.h"

#include <stdlib.h>

/* One end of one edge. */
struct end {
	uint64_t head; /* the first bytes of the key, as a number */
	const unsigned char *key;
	uint64_t id;   /* 0: it is not there */
	uint32_t size; /* of the key */
	uint32_t place;
};

struct joint {
	struct edge_change edge;
	const struct op *op;
};

struct run {
	struct apply *apply;
	const struct op **ops;
	uint32_t count;
	struct end *ends; /* 2 x count */
	uint64_t *ids;	  /* by place: sources are even, targets odd */
	struct joint *joints;
	uint32_t joint_count;
};

static int key_compare(const struct end *x, const struct end *y)
{
	uint32_t size = x->size < y->size ? x->size : y->size;
	int order;

	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	order = memcmp(x->key, y->key, size);
	return order ? order : (x->size > y->size) - (x->size < y->size);
}

static int end_by_key(const void *a, const void *b)
{
	return key_compare(a, b);
}

static int end_by_id(const void *a, const void *b)
{
	const struct end *x = a;
	const struct end *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int number_order(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* By all but the two ends. */
static int rest_compare(const struct joint *x, const struct joint *y)
{
	return number_order(x->edge.discriminator, y->edge.discriminator);
}

static int out_compare(const struct joint *x, const struct joint *y)
{
	int order = number_order(x->edge.source, y->edge.source);

	if (!order)
		order = number_order(x->edge.relation, y->edge.relation);
	if (!order)
		order = number_order(x->edge.target, y->edge.target);
	return order ? order : rest_compare(x, y);
}

/* Those that are the same stay in the order of operations. */
static int joint_by_source(const void *a, const void *b)
{
	const struct joint *x = a;
	const struct joint *y = b;
	int order = out_compare(x, y);

	return order ? order : number_order((uintptr_t)x->op, (uintptr_t)y->op);
}

static int joint_by_target(const void *a, const void *b)
{
	const struct joint *x = a;
	const struct joint *y = b;
	int order = number_order(x->edge.target, y->edge.target);

	if (!order)
		order = number_order(x->edge.relation, y->edge.relation);
	if (!order)
		order = number_order(x->edge.source, y->edge.source);
	return order ? order : rest_compare(x, y);
}

static struct end end_of(const unsigned char *key, uint32_t size,
			 uint32_t place)
{
	struct end end = {.key = key, .size = size, .place = place};

	memcpy(&end.head, key, size < 8 ? size : 8);
	end.head = be64toh(end.head);
	return end;
}

static int run_begin(struct run *run, size_t *at)
{
	size_t count = run->count;

	run->ops = malloc(count * sizeof(const struct op *));
	run->ends = malloc(count * 2 * sizeof *run->ends);
	run->ids = malloc(count * 2 * sizeof *run->ids);
	run->joints = malloc(count * sizeof *run->joints);
	if (!run->ops || !run->ends || !run->ids || !run->joints)
		return ENOMEM;
	for (uint32_t i = 0; i < run->count; i++) {
		const struct op *op = request_op(run->apply->request, *at);
		const unsigned char *key = op_body(op);

		run->ops[i] = op;
		run->ends[2 * i] = end_of(key, op->key_size, 2 * i);
		run->ends[2 * i + 1] =
		    end_of(key + op->key_size, op->target_size, 2 * i + 1);
		*at += op->bytes;
	}
	return 0;
}

static void run_release(struct run *run)
{
	free(run->ops);
	free(run->ends);
	free(run->ids);
	free(run->joints);
}

static cop_err ends_by_key(struct run *run)
{
	uint32_t count = 2 * run->count;
	cop_err err = 0;

	qsort(run->ends, count, sizeof *run->ends, end_by_key);
	for (uint32_t i = 0; !err && i < count; i++) {
		struct end *end = &run->ends[i];

		if (i && !key_compare(end - 1, end))
			end->id = end[-1].id;
		else
			err = apply_key(run->apply, end->key, end->size,
					&end->id);
	}
	return err;
}

static cop_err ends_by_id(struct run *run)
{
	uint32_t count = 2 * run->count;
	uint64_t alive = 0;
	cop_err err = 0;

	qsort(run->ends, count, sizeof *run->ends, end_by_id);
	for (uint32_t i = 0; !err && i < count; i++) {
		const struct end *end = &run->ends[i];
		struct change *change;

		if (end->id && (!i || end[-1].id != end->id)) {
			err = apply_change_of(run->apply, end->id, &change);
			alive = !err && change->alive ? end->id : 0;
		}
		run->ids[end->place] = end->id == alive ? alive : 0;
	}
	return err;
}

/* The edges, where both ends are there; in the order of operations. */
static cop_err joints_make(struct run *run, uint32_t first)
{
	struct apply *apply = run->apply;

	for (uint32_t i = 0; i < run->count; i++) {
		uint64_t *source = &run->ids[2 * i];
		uint64_t *target = source + 1;
		const struct op *op = run->ops[i];
		cop_err err = apply_edge_ends(apply, op, source, target);

		if (err) {
			apply->request->result.failed = first + i;
			return err;
		}
		if (!*source || !*target)
			continue;
		run->joints[run->joint_count++] = (struct joint){
		    apply_edge_of(apply, op, *source, *target), op};
	}
	return 0;
}

/* Leaves of those that are the same the last one. */
static void joints_single(struct run *run)
{
	struct apply *apply = run->apply;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < run->joint_count; i++) {
		struct joint *joint = &run->joints[i];

		if (i + 1 < run->joint_count &&
		    !out_compare(joint, joint + 1)) {
			apply->request->result.edges_put++;
			apply->edge_count++;
		} else {
			run->joints[kept++] = *joint;
		}
	}
	run->joint_count = kept;
}

static cop_err joints_put(struct run *run)
{
	const uint32_t *numbers = apply_numbers(run->apply);
	cop_err err = 0;

	qsort(run->joints, run->joint_count, sizeof *run->joints,
	      joint_by_source);
	joints_single(run);
	for (uint32_t i = 0; !err && i < run->joint_count; i++) {
		const struct joint *joint = &run->joints[i];

		err = apply_edge_out(run->apply, &joint->edge,
				     apply_edge_record(joint->op), numbers);
	}
	qsort(run->joints, run->joint_count, sizeof *run->joints,
	      joint_by_target);
	for (uint32_t i = 0; !err && i < run->joint_count; i++) {
		const struct joint *joint = &run->joints[i];

		err = apply_edge_in(run->apply, &joint->edge,
				    apply_edge_record(joint->op).data);
	}
	return err;
}

cop_err apply_edge_run(struct apply *apply, uint32_t first, uint32_t count,
		       size_t *at)
{
	struct run run = {.apply = apply, .count = count};
	cop_err err = run_begin(&run, at) ? apply_no_memory() : 0;

	if (!err)
		err = ends_by_key(&run);
	if (!err)
		err = ends_by_id(&run);
	if (!err)
		err = joints_make(&run, first);
	if (!err)
		err = joints_put(&run);
	run_release(&run);
	return err;
}

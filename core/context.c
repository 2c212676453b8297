/* SPDX-License-Identifier: Apache-2.0 */
/* Searches whose hits bring what is around them in the graph. */
#include "trace.h"

cop_err cop_search_context(cop_read *read, const struct cop_search *search,
			   const struct cop_walk *walk, struct cop_hit *hits,
			   uint32_t *count, struct cop_step *steps,
			   size_t capacity, size_t *starts, int32_t *more)
{
	struct cop_walk around;
	uint32_t found = 0;
	size_t used = 0;
	int32_t cut = 0;
	uint64_t begin_ns, took_ns;
	cop_err err = read_check_idle(read);

	if (!err && (!walk || walk->size != sizeof *walk))
		err = error_set(COP_INVALID, "the walk is of another size; "
					     "set .size to its sizeof");
	if (err)
		return err;
	begin_ns = trace_begin(read->store, COP_TRACE_SEARCH);
	err = cop_search(read, search, hits, &found);
	if (err)
		return err;
	around = *walk;
	starts[0] = 0;
	for (uint32_t i = 0; i < found && !err; i++) {
		size_t got = 0;
		int32_t left_out = used == capacity;

		around.start = hits[i].id;
		if (used < capacity)
			err = cop_walk(read, &around, steps + used,
				       capacity - used, &got, &left_out);
		used += got;
		cut |= left_out;
		starts[i + 1] = used;
	}
	if (err)
		return err;
	if (trace_due(read->store, COP_TRACE_SEARCH, begin_ns, &took_ns))
		trace_tell(read->store, COP_TRACE_SEARCH, took_ns,
			   "with context: %u hits, %zu steps", found, used);
	*count = found;
	if (more)
		*more = cut;
	return 0;
}

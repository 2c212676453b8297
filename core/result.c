/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

int result_note(struct apply *apply, const struct request *request)
{
	const struct cop_result *counts = &request->result;
	struct disk_result result = {.number = request->number,
				     .box = request->box,
				     .entities_put = counts->entities_put,
				     .entities_deleted =
					 counts->entities_deleted,
				     .edges_put = counts->edges_put,
				     .edges_deleted = counts->edges_deleted,
				     .edges_skipped = counts->edges_skipped,
				     .stubs_put = counts->stubs_put};

	return buffer_put(&apply->results, &result, sizeof result);
}

static struct cop_result result_of(const struct disk_result *result,
				   uint64_t commit)
{
	return (struct cop_result){.failed = UINT32_MAX,
				   .commit = commit,
				   .entities_put = result->entities_put,
				   .entities_deleted = result->entities_deleted,
				   .edges_put = result->edges_put,
				   .edges_deleted = result->edges_deleted,
				   .edges_skipped = result->edges_skipped,
				   .stubs_put = result->stubs_put};
}

/* 1 if the commit's record has it. */
static int record_has(struct bytes record, const unsigned char *office,
		      uint64_t commit, struct request *request)
{
	struct disk_op op;
	uint64_t at;

	if (record.size < sizeof op)
		return 0;
	memcpy(&op, record.data, sizeof op);
	if (memcmp(op.office, office, sizeof op.office) != 0 ||
	    op.touched > record.size / sizeof(uint32_t))
		return 0;
	at = op_pad(sizeof op + op.touched * sizeof(uint32_t));
	for (uint64_t i = 0; i < op.results; i++) {
		struct disk_result result;

		if (at > record.size || record.size - at < sizeof result)
			return 0;
		memcpy(&result, (const char *)record.data + at, sizeof result);
		at += sizeof result;
		if (result.box != request->box ||
		    result.number != request->number)
			continue;
		request->result = result_of(&result, commit);
		return 1;
	}
	return 0;
}

cop_err result_find(const struct env *env, env_txn *txn,
		    const unsigned char *office, uint64_t after,
		    struct request *request)
{
	struct disk_state state;
	cop_err err = read_state(env, txn, &state);

	if (err)
		return err;
	for (uint64_t commit = state.commit; commit > after; commit--) {
		struct bytes record;
		int code = env_get(env, txn, DB_OPS,
				   bytes_of(&commit, sizeof commit), &record);

		if (code == ENV_ABSENT)
			return COP_TOO_OLD;
		if (code)
			return error_system(code, "cannot read a commit");
		if (record_has(record, office, commit, request))
			return 0;
	}
	return COP_UNKNOWN;
}

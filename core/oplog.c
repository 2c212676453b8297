/* SPDX-License-Identifier: Apache-2.0 */
#include "oplog.h"

#include <errno.h>

int oplog_get(const struct env *env, env_txn *txn, uint64_t commit,
	      struct oplog_record *out)
{
	struct bytes value;
	int code =
	    env_get(env, txn, DB_OPS, bytes_of(&commit, sizeof commit), &value);

	if (code)
		return code;
	if (value.size < sizeof out->head)
		return EBADMSG;
	memcpy(&out->head, value.data, sizeof out->head);
	out->ids = (const unsigned char *)value.data + sizeof out->head;
	return out->head.touched >
		       (value.size - sizeof out->head) / sizeof(uint32_t)
		   ? EBADMSG
		   : 0;
}

int oplog_touched(const struct env *env, env_txn *txn, uint64_t first,
		  uint64_t last, uint64_t *bits, uint64_t end)
{
	for (uint64_t commit = first; commit <= last; commit++) {
		struct oplog_record record;
		int code = oplog_get(env, txn, commit, &record);

		if (code)
			return code;
		for (uint64_t i = 0; i < record.head.touched; i++) {
			uint32_t id;

			memcpy(&id, record.ids + i * sizeof id, sizeof id);
			if (id < end)
				bits[id / 64] |= UINT64_C(1) << (id % 64);
		}
	}
	return 0;
}

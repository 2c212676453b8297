/* SPDX-License-Identifier: Apache-2.0 */
/* The operation records: when each commit was, and whom it touched. */
#ifndef CORE_OPLOG_H
#define CORE_OPLOG_H

#include "env.h"
#include "format.h"

struct oplog_record {
	struct disk_op head;
	const unsigned char *ids; /* u32 x head.touched, ascending */
};

/* 0, ENV_ABSENT, EBADMSG for a record that makes no sense, or LMDB's code. */
int oplog_get(const struct env *env, env_txn *txn, uint64_t commit,
	      struct oplog_record *out);

/*
 * Sets the bit of every id that the commits from `first` to `last` touched.
 * bits		of the ids below `end`; others are passed over
 */
int oplog_touched(const struct env *env, env_txn *txn, uint64_t first,
		  uint64_t last, uint64_t *bits, uint64_t end);

#endif

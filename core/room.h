/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for walks through the vector graph, a room for each thread. */
#ifndef CORE_ROOM_H
#define CORE_ROOM_H

#include "segment.h"

struct room {
	struct hnsw_room hnsw;
	void *memory; /* NULL: not opened */
	uint64_t bytes;
};

/* For a segment's rows; untouched pages cost nothing.  0 or an errno. */
int room_open(struct room *room, const struct segment *segment);

/* A room that was not opened is allowed. */
void room_close(struct room *room);

#endif

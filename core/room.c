/* SPDX-License-Identifier: Apache-2.0 */
#include "room.h"

#include <errno.h>
#include <sys/mman.h>

int room_open(struct room *room, const struct segment *segment)
{
	room->bytes = hnsw_room_bytes(segment);
	room->memory = mmap(NULL, room->bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room->memory == MAP_FAILED) {
		room->memory = NULL;
		return errno;
	}
	hnsw_room_init(&room->hnsw, segment, room->memory);
	return 0;
}

void room_close(struct room *room)
{
	if (room->memory)
		munmap(room->memory, room->bytes);
	room->memory = NULL;
}

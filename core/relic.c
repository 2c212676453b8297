/* SPDX-License-Identifier: Apache-2.0 */
#include "relic.h"
#include "lock.h"
#include "point.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASS_MS = 1000 }; /* to wait for reads to end */

struct relic relic_of(cop_store *store)
{
	struct relic relic = {.fd = -1};
	struct index *index;

	if (attach_refresh(store))
		return relic;
	index = index_hold(store);
	relic.fd = attach_index_file(store, index->number);
	relic.from = index->segment.header->regions[0].offset;
	index_drop(store, index);
	return relic;
}

void relic_empty(cop_store *store, const struct relic *relic)
{
	struct stat st;

	if (relic->fd < 0 || fstat(relic->fd, &st))
		return;
	point("relic-looking");
	if (slots_pass(&store->slots, PASS_MS) ||
	    lock_take(store->lock_fd, LOCK_IMAGE, LOCK_EXCLUSIVE, 0))
		return;
	(void)fallocate(relic->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)relic->from, st.st_size - (off_t)relic->from);
	lock_release(store->lock_fd, LOCK_IMAGE);
}

void relic_release(struct relic *relic)
{
	if (relic->fd >= 0)
		close(relic->fd);
	relic->fd = -1;
}

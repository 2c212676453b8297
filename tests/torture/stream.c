/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"
#include "content.h"
#include "look.h"
#include "../tap.h"

#include <xxhash.h>

void stream_put(cop_write *write, const struct cop_put *put, uint64_t *seed)
{
	struct disk_content content = {
	    .size = put->content_size,
	    .hash = {XXH3_64bits(put->content, put->content_size), 1},
	    .chunks = 1};
	struct cop_put rest = *put;
	struct chunk_op body;

	for (size_t i = 0; i < sizeof content.id; i += sizeof *seed) {
		uint64_t random = test_random(seed);

		memcpy(content.id + i, &random, sizeof random);
	}
	rest.content = NULL;
	rest.content_size = 0;
	rest.content_change = COP_CONTENT_KEEP; /* what it had, for a moment */
	body = (struct chunk_op){.key = content_key(&content, 1)};
	look_must(cop_put(write, &rest), "put");
	look_must(write_chunk(write, &body, put->content, put->content_size),
		  "chunk");
	look_must(write_content_named(write, put->key, put->key_size, &content),
		  "content");
}

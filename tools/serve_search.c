/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_search: /search?like=KEY or ?text=WORDS, with k, type and tag.
 *
 * limits
 *	K_MAX hits.  By words all selected entities are gone through, a
 *	microsecond or so each (match.c).
 */
#include "json.h"
#include "match.h"
#include "serve.h"
#include "steady.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

enum { K = 10, K_MAX = 1000 };

struct wanted {
	const char *text;
	const char *type;
	const char *tag;
	uint32_t k;
};

static cop_err hit_add(cop_read *read, uint64_t id, const char *measure,
		       double value, json_t *hits)
{
	json_t *hit = NULL;
	cop_err err = entity_brief(read, id, &hit);

	if (err)
		return err;
	err = json_member(hit, measure, json_real(value));
	if (err)
		json_decref(hit);
	else if (json_array_append_new(hits, hit))
		err = ENOMEM;
	return err;
}

static cop_err by_words(cop_read *read, const struct wanted *wanted,
			json_t *hits)
{
	struct cop_select select = {.size = sizeof select,
				    .type = wanted->type,
				    .all = &wanted->tag,
				    .all_count = wanted->tag != NULL};
	struct match *found = calloc(wanted->k, sizeof *found);
	size_t count = 0;
	cop_err err = found
			  ? match_find(read, wanted->text, strlen(wanted->text),
				       &select, found, wanted->k, &count)
			  : ENOMEM;

	for (size_t i = 0; i < count && !err; i++)
		err = hit_add(read, found[i].id, "score", found[i].score, hits);
	free(found);
	return err;
}

static cop_err by_vector(cop_read *read, const struct wanted *wanted,
			 uint64_t id, const float *vector, json_t *hits)
{
	struct cop_search search = {.size = sizeof search,
				    .k = wanted->k,
				    .vector = vector,
				    .type = wanted->type,
				    .tag = wanted->tag,
				    .exclude = id};
	struct cop_hit *found = calloc(wanted->k, sizeof *found);
	uint32_t count = 0;
	cop_err err = found ? cop_search(read, &search, found, &count) : ENOMEM;

	for (uint32_t i = 0; i < count && !err; i++)
		err = hit_add(read, found[i].id, "distance", found[i].distance,
			      hits);
	free(found);
	return err;
}

static cop_err like(cop_read *read, struct MHD_Connection *asked,
		    const struct wanted *wanted, struct reply *reply,
		    json_t *hits)
{
	const float *vector = NULL;
	uint64_t id;
	cop_err err = query_entity(read, asked, "like", &id, reply);

	if (err || reply->status)
		return err;
	err = cop_vector(read, id, &vector);
	if (!err && !vector)
		reply_fail(reply, MHD_HTTP_NOT_FOUND,
			   "that entity has no vector to search by");
	return err || !vector ? err : by_vector(read, wanted, id, vector, hits);
}

static int wanted_take(struct MHD_Connection *asked, struct wanted *wanted,
		       struct reply *reply)
{
	*wanted = (struct wanted){.text = query_text(asked, "text", reply),
				  .type = query_text(asked, "type", reply),
				  .tag = query_text(asked, "tag", reply),
				  .k = K};
	return query_number(asked, "k", 1, K_MAX, &wanted->k, reply);
}

cop_err reply_search(struct serve *serve, cop_read *read,
		     struct MHD_Connection *asked, struct reply *reply)
{
	uint64_t begun = steady_ns();
	struct wanted wanted;
	json_t *hits;
	cop_err err;

	(void)serve;
	if (wanted_take(asked, &wanted, reply) || reply->status)
		return 0;
	hits = json_array();
	if (!hits)
		return ENOMEM;
	err = wanted.text ? by_words(read, &wanted, hits)
			  : like(read, asked, &wanted, reply, hits);
	if (err || reply->status) {
		json_decref(hits);
		return err;
	}
	reply->body = json_pack("{sI so sf}", "commit",
				(json_int_t)cop_read_commit(read), "hits", hits,
				"took_ms", (double)(steady_ns() - begun) / 1e6);
	return reply->body ? 0 : ENOMEM;
}

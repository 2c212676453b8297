/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A query made of words.
 *
 * idea
 *	Keys begin with the word that they are of: dog.n.02084071.  A word's
 *	vectors are those of the first entities whose keys begin with it and a
 *	point; the query is the mean of all.
 *
 * limits
 *	8 entities a word, found among the first 1,000 of its keys, and 256
 *	words, so that nobody is kept waiting.  Only A to Z have a lower case.
 */
#include "web.h"

#include <string.h>

enum { WORD_ENTITIES = 8, WORD_KEYS = 1000, WORD_COUNT = 256 };

struct words {
	double *sum;
	uint32_t dim;
	uint32_t total;	   /* vectors in the sum */
	uint32_t entities; /* of the word: with vectors, */
	uint32_t keys;	   /* and all */
	cop_err err;
};

static int32_t word_visit(void *user, cop_read *read,
			  const struct cop_entity *entity)
{
	struct words *words = user;
	const float *vector = NULL;

	words->err = cop_vector(read, entity->id, &vector);
	if (words->err)
		return 1;
	if (vector) {
		for (uint32_t i = 0; i < words->dim; i++)
			words->sum[i] += (double)vector[i];
		words->total++;
		words->entities++;
	}
	return words->entities == WORD_ENTITIES || ++words->keys == WORD_KEYS;
}

static cop_err word_add(struct words *words, cop_read *read, const u_char *word,
			size_t size)
{
	u_char prefix[COP_KEY_BYTES];
	cop_err err;

	if (size >= sizeof prefix) /* with the point, longer than any key */
		return 0;
	ngx_strlow(prefix, (u_char *)(uintptr_t)word, size);
	prefix[size] = '.';
	words->entities = words->keys = 0;
	err = cop_keys(read, prefix, size + 1, word_visit, words);
	if (words->err)
		return words->err;
	return err == COP_STOPPED ? 0 : err;
}

static int is_space(u_char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word from *at on: its size, 0 if there is none; moves *at to it. */
static size_t word_next(const ngx_str_t *text, size_t *at)
{
	size_t end;

	while (*at < text->len && is_space(text->data[*at]))
		++*at;
	for (end = *at; end < text->len && !is_space(text->data[end]);)
		end++;
	return end - *at;
}

static float *words_mean(struct web_call *call, const struct words *words)
{
	float *mean = ngx_palloc(call->pool, words->dim * sizeof *mean);

	for (uint32_t i = 0; mean && i < words->dim; i++)
		mean[i] = (float)(words->sum[i] / words->total);
	return mean;
}

ngx_uint_t web_words_query(struct web_call *call, const ngx_str_t *text,
			   const float **vector)
{
	struct words words = {.dim = cop_dim(call->store)};
	size_t at = 0;
	size_t count = 0;
	size_t size;

	*vector = NULL;
	if (!words.dim)
		return 0;
	words.sum = ngx_pcalloc(call->pool, words.dim * sizeof *words.sum);
	if (!words.sum)
		return web_fail_memory(call);
	while ((size = word_next(text, &at))) {
		cop_err err;

		if (count++ == WORD_COUNT)
			return web_fail(call, NGX_HTTP_BAD_REQUEST,
					"more than %d words", WORD_COUNT);
		err = word_add(&words, call->read, text->data + at, size);
		if (err)
			return web_fail_store(call, err);
		at += size;
	}
	if (!words.total)
		return 0;
	*vector = words_mean(call, &words);
	return *vector ? 0 : web_fail_memory(call);
}

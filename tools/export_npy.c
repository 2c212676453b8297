/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npy: the vectors, a row each: PREFIX.npy, and PREFIX.ids with the key of each
 * row in a line: what `import --ids` reads.
 *
 * limits
 *	Keys with a line's end in them, or that are no UTF-8, are left out with
 *	their vectors, and counted.
 */
#include "export.h"
#include "out.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NPY_HEADER = 128 };

static cop_err vector_of(struct exporter *run, cop_read *read,
			 const struct cop_entity *entity, const float **vector)
{
	cop_err err = cop_vector(read, entity->id, vector);

	if (err || !*vector ||
	    (!memchr(entity->key, '\n', entity->key_size) &&
	     !memchr(entity->key, '\r', entity->key_size) &&
	     words_utf8(entity->key, entity->key_size) == entity->key_size))
		return err;
	run->left_out++;
	*vector = NULL;
	return 0;
}

static cop_err count_one(struct exporter *run, cop_read *read,
			 const struct cop_entity *entity)
{
	const float *vector;
	cop_err err = vector_of(run, read, entity, &vector);

	run->entities += !err && vector;
	return err;
}

static cop_err row_write(struct exporter *run, cop_read *read,
			 const struct cop_entity *entity)
{
	const float *vector;
	cop_err err = vector_of(run, read, entity, &vector);

	if (!err && vector)
		fwrite(vector, sizeof *vector, cop_dim(run->cli->store),
		       stdout);
	return err;
}

static cop_err key_write(struct exporter *run, cop_read *read,
			 const struct cop_entity *entity)
{
	const float *vector;
	cop_err err = vector_of(run, read, entity, &vector);

	if (err || !vector)
		return err;
	fwrite(entity->key, 1, entity->key_size, stdout);
	putchar('\n');
	return 0;
}

/* Version 1.0: a dictionary of Python's, padded to a multiple of 64 bytes. */
static void header_write(const struct exporter *run)
{
	char text[NPY_HEADER + 1];

	snprintf(text, sizeof text,
		 "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64
		 ", %u), }",
		 run->entities, cop_dim(run->cli->store));
	printf("\x93NUMPY%c%c%c%c%-*s\n", 1, 0, NPY_HEADER - 10, 0,
	       NPY_HEADER - 11, text);
}

int export_npy(struct exporter *run)
{
	int code = export_entities(run, count_one);
	uint64_t left_out = run->left_out;

	if (!code)
		code = export_begin(run, ".npy");
	if (code)
		return code;
	header_write(run);
	code = export_end(run, export_entities(run, row_write));
	if (!code)
		code = export_begin(run, ".ids");
	if (!code)
		code = export_end(run, export_entities(run, key_write));
	run->left_out = left_out;
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_rows: rows of vectors, from any format that has them.
 *
 * idea
 *	Alone, row n belongs to the entity whose key is n in decimal ("0",
 *	"1", ...), which is put if it is not there yet.  With --ids, row n
 *	belongs to the key in line n + 1 of that file, which must be there, or
 *	in that record of a table, after the one with the names of its columns
 *	unless the column is said by its number.
 *	Where rows begin with a word, that is the key, and put if it is not
 *	there.  An entity that is there keeps everything but its vector.
 *
 * how it is known whether an entity is there
 *	By a look-up as of the last commit.  If another process deletes it in
 *	between, the commit fails and says which row it was.
 */
#include "csv.h"
#include "import.h"
#include "rows.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct row_keys {
	struct reader ids; /* open only with --ids */
	int is_open;
	const char *name; /* of the column, NULL: a key is a line */
	struct csv csv;	  /* in use only with a column */
	size_t column;
	char digits[24];
	const void *key;
	size_t size;
};

static int keys_no_column(const struct row_keys *keys, struct fault *fault)
{
	char names[256] = "";
	size_t size = 0, field_size;
	const char *field;

	for (size_t i = 0; i < keys->csv.field_count && size < sizeof names;
	     i++) {
		field = csv_field(&keys->csv, i, &field_size);
		size += (size_t)snprintf(
		    names + size, sizeof names - size, "%s%.*s", i ? ", " : "",
		    field_size < 60 ? (int)field_size : 60, field);
	}
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: has no column '%s'; it has %s", keys->ids.name,
			 keys->name, size ? names : "none");
}

/* Finds the column, by its number or by the names in the first record. */
static int keys_find(struct row_keys *keys, struct fault *fault)
{
	const char *field;
	uint64_t number;
	size_t size;

	if (*keys->name != '0' && strlen(keys->name) < 6 &&
	    !words_u64(keys->name, 10, &number)) {
		keys->column = (size_t)number - 1;
		return 0;
	}
	if (csv_next(&keys->csv, fault))
		return fault->code;
	for (size_t i = 0; i < keys->csv.field_count; i++) {
		field = csv_field(&keys->csv, i, &size);
		keys->column = i;
		if (size == strlen(keys->name) &&
		    !memcmp(field, keys->name, size))
			return 0;
	}
	return keys_no_column(keys, fault);
}

static int keys_open(struct row_keys *keys, const struct import *import,
		     struct fault *fault)
{
	if (!import->ids)
		return 0;
	keys->is_open = 1;
	keys->name = import->ids_column;
	if (reader_open(&keys->ids, import->ids, fault) || !keys->name)
		return fault->code;
	if (csv_begin(&keys->csv, &keys->ids, &import->table.dialect, fault))
		return fault->code;
	return keys_find(keys, fault);
}

static void keys_close(struct row_keys *keys)
{
	if (!keys->is_open)
		return;
	csv_release(&keys->csv);
	reader_close(&keys->ids);
}

/* The next key of the file, or of the column; *key is NULL at the end. */
static int keys_next(struct row_keys *keys, const char **key, size_t *size,
		     struct fault *fault)
{
	const struct csv *csv = &keys->csv;
	char text[64];

	if (!keys->name)
		return reader_line(&keys->ids, key, size, fault);
	*key = NULL;
	if (csv_next(&keys->csv, fault) || !csv->field_count)
		return fault->code;
	if (csv->mistake)
		return fault_set(fault, EXIT_BAD_INPUT, "%s:%" PRIu64 ": %s",
				 keys->ids.name, csv->line, csv->mistake);
	if (keys->column >= csv->field_count)
		return fault_set(
		    fault, EXIT_BAD_INPUT,
		    "%s:%" PRIu64 ": has %s, there is no column "
		    "%zu",
		    keys->ids.name, csv->line,
		    words_things(text, csv->field_count, "column", "columns"),
		    keys->column + 1);
	*key = csv_field(csv, keys->column, size);
	return 0;
}

/* The key of row `index`, the one that was read last. */
static int row_key(struct row_keys *keys, const struct rows *rows,
		   uint64_t index, struct fault *fault)
{
	const char *line;
	char text[64];

	if (rows->words) {
		keys->key = rows->key;
		keys->size = rows->key_size;
		return 0;
	}
	if (!keys->is_open) {
		keys->key = keys->digits;
		keys->size = (size_t)snprintf(keys->digits, sizeof keys->digits,
					      "%" PRIu64, index);
		return 0;
	}
	if (keys_next(keys, &line, &keys->size, fault))
		return fault->code;
	if (!line)
		return fault_set(
		    fault, EXIT_BAD_INPUT,
		    "%s: has %s, but there is a row %" PRIu64, keys->ids.name,
		    words_things(text, index, "key", "keys"), index);
	keys->key = line;
	return 0;
}

static int row_quoted(const struct row_keys *keys, struct fault *fault)
{
	int size = keys->size < 80 ? (int)keys->size : 80;

	return fault_prefix(fault, "key '%.*s': ", size,
			    (const char *)keys->key);
}

/* The entity that a row makes if it is not there. */
static struct cop_put row_entity(const struct import *import,
				 const struct row_keys *keys,
				 const struct rows *rows, const float *row)
{
	return (struct cop_put){
	    .size = sizeof(struct cop_put),
	    .key = keys->key,
	    .key_size =
		keys->size > UINT32_MAX ? UINT32_MAX : (uint32_t)keys->size,
	    .type = import->type,
	    .type_size = import->type ? strlen(import->type) : 0,
	    .vector = row,
	    .dim = rows->dim};
}

/* Whether the entity is there is seen when it is put. */
static int row_stage(struct import *import, const struct row_keys *keys,
		     const struct cop_put *put)
{
	cop_err err = cop_put(import->batch.write, put);

	if (err)
		return fault_input(&import->cli->fault, err);
	return stage_put(import, keys->is_open ? STAGED_GIVEN : STAGED_ROW, put,
			 0);
}

static int row_put(struct import *import, const struct row_keys *keys,
		   const struct rows *rows, const float *row)
{
	struct cop_put put = row_entity(import, keys, rows, row);
	struct cli *cli = import->cli;
	uint64_t id;
	cop_err err;

	if (import->stage.is_on)
		return row_stage(import, keys, &put);
	err = cop_lookup(cli->read, keys->key, keys->size, &id);
	if (err)
		return fault_cop(&cli->fault, err);
	if (!id && keys->is_open)
		return fault_set(&cli->fault, EXIT_BAD_INPUT,
				 "there is no such entity. Import the entities "
				 "first");
	err = id ? cop_put_vector(import->batch.write, keys->key, keys->size,
				  row, rows->dim)
		 : cop_put(import->batch.write, &put);
	return err ? fault_input(&cli->fault, err) : 0;
}

/* After a commit the look-ups see what it put. */
static int rows_added(struct import *import, const struct place *place)
{
	uint64_t commit = import->batch.commit;
	int code = import_added(import, place);
	cop_err err;

	if (code || import->batch.commit == commit)
		return code;
	err = cop_read_refresh(import->cli->read);
	return err ? fault_cop(&import->cli->fault, err) : 0;
}

static int rows_each(struct import *import, struct rows *rows,
		     struct row_keys *keys)
{
	struct place place = {.file = import->reader.name};
	struct fault *fault = &import->cli->fault;
	uint64_t index;
	const float *row;
	int code;

	for (;;) {
		index = rows->index;
		code = rows_next(rows, &row, fault);
		place.is_row = rows->line == 0;
		place.number = place.is_row ? index : rows->line;
		if (code && !rows->is_bad)
			return code;
		if (!code && !row)
			return 0;
		if (!code && row_key(keys, rows, index, fault))
			return fault->code;
		if (!code && resume_is_passing(import)) {
			code = import_step(import);
		} else if (code) {
			code = import_bad(import, &place);
		} else if (row_put(import, keys, rows, row)) {
			row_quoted(keys, fault);
			code = import_bad(import, &place);
		} else {
			import->vectors++;
			code = rows_added(import, &place);
		}
		if (code)
			return code;
	}
}

/* There must be no key left when the rows have ended. */
static int rows_keys_end(const struct rows *rows, struct row_keys *keys,
			 struct fault *fault)
{
	const char *line;
	size_t size;
	char text[64];

	if (!keys->is_open)
		return 0;
	if (keys_next(keys, &line, &size, fault))
		return fault->code;
	if (!line)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "%s: has more keys than %s, which has %s",
			 keys->ids.name, rows->reader->name,
			 words_things(text, rows->index, "row", "rows"));
}

/*
 * Look-ups see what is committed, so what came before in the same import is
 * committed first.
 */
static int rows_ready(struct import *import)
{
	struct cli *cli = import->cli;
	cop_err err;

	if (import->is_atomic && batch_count(&import->batch))
		return fault_set(&cli->fault, EXIT_USAGE,
				 "%s: with --atomic vectors are imported on "
				 "their own",
				 import->reader.name);
	if (import_flush(import))
		return cli->fault.code;
	err = cli->read ? cop_read_refresh(cli->read)
			: cop_read_begin(cli->store, &cli->read);
	return err ? fault_cop(&cli->fault, err) : 0;
}

int rows_import(struct import *import, int format)
{
	struct cli *cli = import->cli;
	struct fault *fault = &cli->fault;
	struct row_keys keys;
	struct rows rows;
	int code;

	memset(&rows, 0, sizeof rows);
	memset(&keys, 0, sizeof keys);
	code = rows_ready(import);
	if (code)
		return code;
	if (import->ids &&
	    (format == FORMAT_WORD2VEC || format == FORMAT_GLOVE))
		return args_fault(cli,
				  "%s: --ids goes with rows that have no "
				  "keys; the words of %s are keys",
				  import->reader.name, format_names[format]);
	code = keys_open(&keys, import, fault);
	if (code)
		goto out;
	code = rows_open(&rows, &import->reader, format, cop_dim(cli->store),
			 fault);
	if (!code)
		code = rows_each(import, &rows, &keys);
	if (!code)
		code = rows_keys_end(&rows, &keys, fault);
out:
	rows_close(&rows);
	keys_close(&keys);
	return code;
}

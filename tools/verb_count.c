/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count: how many entities there are, or how many of each kind.
 *
 * idea
 *	Types, tags and relations are counted by the store.  By a property all
 *	selected entities are gone through, and their values, as JSON, counted
 *	in a table that is sorted at the end.
 *
 * limits
 *	A million different values of a property.
 */
#include "out.h"
#include "select.h"
#include "verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_BY = ARG_OWN, COUNT_SELECT };
enum { COUNT_VALUES = 1000000 };

static const struct arg_row count_rows[] = {
    {COUNT_BY, "by", "type|tag|relation|NAME",
     "of each kind; NAME is a property's"},
    SELECT_ROWS(COUNT_SELECT),
    ARG_AS_OF_ROW,
    ARG_VALID_AT_ROW,
    ARG_JSON_ROW,
    ARG_END,
};

struct count {
	struct cli *cli;
	struct select which;
	const char *by;
	int json;
	uint64_t all;
	json_t *values; /* how often each was met, by value_key() */
	cop_err err;	/* from inside a visit */
};

/* ---- printing ----------------------------------------------------------- */

/* A name is a string; a value begins with 's' if it is one. */
static void line_print(const struct count *count, const char *text, size_t size,
		       int is_string, uint64_t number)
{
	if (!count->json) {
		printf("%10" PRIu64 "  ", number);
		out_plain(text, size);
		putchar('\n');
		return;
	}
	printf("{\"count\":%" PRIu64 ",\"value\":", number);
	if (is_string)
		out_string(text, size);
	else
		fwrite(text, 1, size, stdout);
	fputs("}\n", stdout);
}

static void total_print(const struct count *count)
{
	printf(count->json ? "{\"count\":%" PRIu64 "}\n" : "%" PRIu64 "\n",
	       count->all);
}

/* ---- names -------------------------------------------------------------- */

static int32_t name_print(void *user, cop_read *read,
			  const struct cop_name_count *name)
{
	struct count *count = user;

	(void)read;
	line_print(count, name->text, name->size, 1, name->count);
	count->all++;
	return out_failed();
}

static cop_err names_count(struct count *count, int32_t space)
{
	cop_err err =
	    cop_names(count->cli->read, space, count->which.select.prefix,
		      count->which.select.prefix_size, name_print, count);

	return err == COP_STOPPED ? 0 : err;
}

/* ---- values ------------------------------------------------------------- */

static void one_more(struct count *count, const char *key, size_t size)
{
	json_t *number = json_object_getn(count->values, key, size);

	if (number)
		json_integer_set(number, json_integer_value(number) + 1);
	else if (json_object_size(count->values) >= COUNT_VALUES ||
		 json_object_setn_new_nocheck(count->values, key, size,
					      json_integer(1)))
		count->err = COP_TOO_LARGE;
}

/* 's' and a string, 'n' and what JSON calls it; a map has no name. */
static void value_add(struct count *count, const struct cop_value *value)
{
	char number[64];
	char *text;

	switch (value->kind) {
	case COP_STRING:
		text = malloc(value->count + (size_t)1);
		if (!text) {
			count->err = ENOMEM;
			return;
		}
		text[0] = 's';
		memcpy(text + 1, value->data, value->count);
		one_more(count, text, value->count + (size_t)1);
		free(text);
		return;
	case COP_INT:
		snprintf(number, sizeof number, "n%" PRId64, value->integer);
		break;
	case COP_FLOAT:
		snprintf(number, sizeof number, "n%.17g", value->real);
		break;
	case COP_BOOL:
		snprintf(number, sizeof number, "n%s",
			 value->integer ? "true" : "false");
		break;
	case COP_NULL: snprintf(number, sizeof number, "nnull"); break;
	default: snprintf(number, sizeof number, "n{}"); break;
	}
	one_more(count, number, strlen(number));
}

/* Of a list, each member counts. */
static void value_count(struct count *count, const struct cop_value *value)
{
	if (value->kind != COP_LIST) {
		value_add(count, value);
		return;
	}
	for (uint32_t i = 0; i < value->count && !count->err; i++) {
		struct cop_value item;

		count->err = cop_value_item(value, i, NULL, NULL, &item);
		if (!count->err)
			value_add(count, &item);
	}
}

static int32_t entity_count(void *user, uint32_t thread, cop_read *read,
			    const struct cop_entity *entity)
{
	struct count *count = user;
	struct cop_value value;
	int found;

	(void)thread;
	count->all++;
	if (!count->values)
		return 0;
	count->err = cop_entity_property(read, entity, count->by,
					 strlen(count->by), &found, &value);
	if (!count->err && found)
		value_count(count, &value);
	return count->err != 0;
}

/* One value of the table, to be sorted. */
struct line {
	const char *key;
	size_t size;
	uint64_t count;
};

static int line_compare(const void *a, const void *b)
{
	const struct line *x = a;
	const struct line *y = b;
	size_t size = x->size < y->size ? x->size : y->size;
	int order = memcmp(x->key, y->key, size);

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Most frequent first. */
static int values_print(const struct count *count)
{
	size_t lines = json_object_size(count->values);
	struct line *line = calloc(lines + 1, sizeof *line);
	size_t at = 0;
	void *iter;

	if (!line)
		return fault_set(&count->cli->fault, EXIT_NO_SPACE,
				 "out of memory");
	for (iter = json_object_iter(count->values); iter && at < lines;
	     iter = json_object_iter_next(count->values, iter)) {
		line[at].key = json_object_iter_key(iter);
		line[at].size = json_object_iter_key_len(iter);
		line[at++].count =
		    (uint64_t)json_integer_value(json_object_iter_value(iter));
	}
	qsort(line, at, sizeof *line, line_compare);
	for (size_t i = 0; i < at && !out_failed(); i++)
		line_print(count, line[i].key + 1, line[i].size - 1,
			   line[i].key[0] == 's', line[i].count);
	free(line);
	return at ? 0
		  : fault_set(&count->cli->fault, EXIT_NO_RESULT,
			      "no entity that is selected has a property "
			      "'%s'",
			      count->by);
}

static int entities_count(struct count *count)
{
	cop_err err;

	if (count->by) {
		count->values = json_object();
		if (!count->values)
			return fault_set(&count->cli->fault, EXIT_NO_SPACE,
					 "out of memory");
	}
	err = cop_select(count->cli->read, &count->which.select, entity_count,
			 count);
	if (err == COP_STOPPED && count->err == COP_TOO_LARGE)
		return fault_set(&count->cli->fault, EXIT_NO_SPACE,
				 "'%s' has more than %d different values",
				 count->by, COUNT_VALUES);
	if (err == COP_STOPPED)
		err = count->err;
	if (err)
		return cli_cop(count->cli, err);
	if (count->by)
		return values_print(count);
	total_print(count);
	return 0;
}

/* ---- the verb ----------------------------------------------------------- */

/* Which names --by means, 0: a property's values. */
static int32_t space_of(const char *by)
{
	static const char *const words[] = {"", "type", "relation", "tag"};

	for (int32_t i = COP_SPACE_TYPE; i <= COP_SPACE_TAG; i++)
		if (by && !strcmp(by, words[i]))
			return i;
	return 0;
}

static int count_go(struct count *count)
{
	int32_t space = space_of(count->by);
	cop_err err;

	if (!space)
		return entities_count(count);
	err = names_count(count, space);
	if (err)
		return cli_cop(count->cli, err);
	return count->all ? 0 : EXIT_NO_RESULT;
}

static int count_run(struct cli *cli)
{
	struct count count = {.cli = cli};
	const struct cop_select *select = &count.which.select;
	int code;
	int id;

	select_init(&count.which);
	while ((id = args_next(cli)) > 0) {
		if (id == ARG_JSON)
			count.json = 1;
		else if (id == COUNT_BY)
			count.by = cli->value;
		else if (select_option(&count.which, cli, id - COUNT_SELECT))
			return cli->fault.code;
	}
	if (id < 0 || args_end(cli))
		return cli->fault.code;
	if (space_of(count.by) && (select->type || select->all_count ||
				   select->any_count || select->none_count))
		return args_fault(cli,
				  "names are counted over the whole store: of "
				  "the options that select, only --prefix goes "
				  "with --by=%s, for the names",
				  count.by);
	code = cli_open_read(cli);
	if (!code)
		code = count_go(&count);
	json_decref(count.values);
	return code;
}

const struct verb verb_count = {
    .name = "count",
    .operands = "",
    .summary = "print how many entities there are, or how many of each kind",
    .rows = count_rows,
    .run = count_run,
};

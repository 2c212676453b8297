/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns: what the columns of a table of entities or edges are.
 *
 * idea
 *	The first record names them, in any order, in one of three ways.  Which
 *	one it is, is seen by the names; all of them may give types to
 *	properties, as `name:type` or `name:type[]`.
 *
 * our own
 *	entities	key (or id), type, tags, content, vector
 *	edges		source, relation (or type), target, valid_from,
 *			valid_to, discriminator
 *	Edges are what has both source and target.
 *
 * neo4j-admin's
 *	entities	:ID, name:ID, :ID(Space), :LABEL
 *	edges		:START_ID, :END_ID, with spaces, :TYPE
 *	:IGNORE is left out.  Ids are unique within their space, so the key is
 *	"Space:id" where a space is named.  An id that has a name is a property,
 *	too.  What stands in braces behind a type is passed over.  As our export
 *	has them, content:string is the content, and vector:float[] the vector:
 *	lists of numbers that are properties are double[] or long[] there.
 *
 * Gremlin's, as Neptune has them
 *	entities	~id, ~label
 *	edges		~from, ~to, ~label, ~id, which becomes a property `id`
 *	(single) and (set) behind a type are passed over.
 *
 * in all of them
 *	name:vector is the entity's vector.  In the last two a word behind a
 *	colon that is no type is refused; in ours it is a part of the name, for
 *	names such as dc:title are common, unless [] is behind it or it is
 *	nearly a type.  With a type behind it, it always is a part of the name.
 */
#include "columns.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* A text in the header. */
struct text {
	const char *data;
	size_t size;
};

static int text_is(struct text text, const char *word)
{
	return strlen(word) == text.size && !memcmp(text.data, word, text.size);
}

static struct text text_trim(struct text text)
{
	while (text.size && *text.data == ' ') {
		text.data++;
		text.size--;
	}
	while (text.size && text.data[text.size - 1] == ' ')
		text.size--;
	return text;
}

/*
 * Cuts "(inner)" off the end of a text, or what else two bytes embrace; 0 if it
 * does not end so.
 */
static int text_cut(struct text *text, char open, char close,
		    struct text *inner)
{
	const char *at;

	if (!text->size || text->data[text->size - 1] != close)
		return 0;
	at = memrchr(text->data, open, text->size);
	if (!at)
		return 0;
	inner->data = at + 1;
	inner->size = (size_t)(text->data + text->size - 1 - inner->data);
	text->size = (size_t)(at - text->data);
	return 1;
}

static int columns_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

/* ---- one column --------------------------------------------------------- */

static int column_name(struct column *column, struct text name)
{
	column->name = strndup(name.data, name.size);
	column->name_size = name.size;
	return column->name ? 0 : -1;
}

static int column_gremlin(struct columns *columns, struct column *column,
			  struct text text, struct fault *fault)
{
	static const struct {
		const char *name;
		int role;
	} names[] = {
	    {"~id", ROLE_KEY},
	    {"~label", ROLE_LABELS},
	    {"~from", ROLE_SOURCE},
	    {"~to", ROLE_TARGET},
	};

	columns->is_gremlin = 1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (text_is(text, names[i].name)) {
			column->role = names[i].role;
			return 0;
		}
	return fault_set(fault, EXIT_BAD_INPUT,
			 "column '%.80s': of names that begin with ~ only ~id, "
			 "~label, ~from and ~to mean something",
			 column->title);
}

/* What neo4j-admin's words mean; 0 if it is none. */
static int column_neo4j(struct column *column, struct text word)
{
	static const struct {
		const char *word;
		int role;
	} words[] = {
	    {"ID", ROLE_KEY},	       {"LABEL", ROLE_LABELS},
	    {"START_ID", ROLE_SOURCE}, {"END_ID", ROLE_TARGET},
	    {"TYPE", ROLE_RELATION},   {"IGNORE", ROLE_IGNORED},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (text_is(word, words[i].word)) {
			column->role = words[i].role;
			return 1;
		}
	return 0;
}

static int column_space(struct column *column, struct text space,
			struct fault *fault)
{
	if (!space.size)
		return 0;
	column->space = strndup(space.data, space.size);
	column->space_size = space.size;
	return column->space ? 0 : columns_memory(fault);
}

/* "name:type", "name:type[]" and what else may be behind it. */
static int column_parse(struct columns *columns, struct column *column,
			struct text text, struct fault *fault)
{
	struct text name = text, word, ignored, space = {NULL, 0};
	const char *colon;
	int is_list;

	column->type.kind = COP_STRING;
	if (text.size && *text.data == '~')
		return column_gremlin(columns, column, text, fault);
	text_cut(&name, '{', '}', &ignored);
	text_cut(&name, '(', ')', &space);
	is_list = text_cut(&name, '[', ']', &ignored);
	colon = memrchr(name.data, ':', name.size);
	word.data = colon ? colon + 1 : name.data + name.size;
	word.size = (size_t)(name.data + name.size - word.data);
	if (colon)
		name.size = (size_t)(colon - name.data);
	column->is_typed = 1;
	if (word.size && column_neo4j(column, word)) {
		columns->is_neo4j = 1;
		if (name.size && column->role == ROLE_KEY &&
		    column_name(column, name))
			return columns_memory(fault);
		return column_space(column, space, fault);
	}
	if (text_is(word, "vector") || text_is(word, "Vector")) {
		column->role = ROLE_VECTOR;
		return 0;
	}
	column->type.is_list = is_list;
	column->type.kind = word.size ? cell_kind(word.data, word.size) : 0;
	if (!column->type.kind) {
		column->is_typed = 0;
		column->type = (struct cell_type){COP_STRING, 0};
		column->odd = colon ? strrchr(column->title, ':') + 1 : NULL;
		column->near = cell_near(word.data, word.size);
		column->is_odd_list = is_list;
		name = text;
	}
	return column_name(column, name) ? columns_memory(fault) : 0;
}

static int column_take(struct columns *columns, const char *data, size_t size,
		       struct fault *fault)
{
	struct column *column = &columns->items[columns->count];
	struct text text = text_trim((struct text){data, size});

	if (words_utf8(data, size) != size || memchr(data, '\0', size))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "column %zu has a name that is not UTF-8, or "
				 "has a NUL in it",
				 columns->count + 1);
	column->title = strndup(text.data, text.size);
	if (!column->title)
		return columns_memory(fault);
	columns->count++;
	if (text.size && column_parse(columns, column, text, fault))
		return fault->code;
	if (!text.size || (column->name && !column->name_size))
		return fault_set(fault, EXIT_BAD_INPUT,
				 "column %zu has no name; give it one, or "
				 ":IGNORE to leave it out",
				 columns->count);
	return 0;
}

/* ---- all of them -------------------------------------------------------- */

/* The index of an untyped column, or SIZE_MAX. */
static size_t columns_find(const struct columns *columns, const char *title)
{
	for (size_t i = 0; i < columns->count; i++)
		if (!columns->items[i].is_typed &&
		    !strcmp(columns->items[i].title, title))
			return i;
	return SIZE_MAX;
}

/* Gives a role of ours to the column of a name; 0 if there is none. */
static int columns_give(struct columns *columns, const char *title, int role)
{
	size_t i = columns_find(columns, title);

	if (i == SIZE_MAX)
		return 0;
	columns->items[i].role = role;
	free(columns->items[i].name);
	columns->items[i].name = NULL;
	return 1;
}

static void columns_own(struct columns *columns)
{
	if (columns_find(columns, "source") != SIZE_MAX &&
	    columns_find(columns, "target") != SIZE_MAX) {
		columns_give(columns, "source", ROLE_SOURCE);
		columns_give(columns, "target", ROLE_TARGET);
		if (!columns_give(columns, "relation", ROLE_RELATION))
			columns_give(columns, "type", ROLE_RELATION);
		columns_give(columns, "valid_from", ROLE_VALID_FROM);
		columns_give(columns, "valid_to", ROLE_VALID_TO);
		columns_give(columns, "discriminator", ROLE_DISCRIMINATOR);
		return;
	}
	if (!columns_give(columns, "key", ROLE_KEY))
		columns_give(columns, "id", ROLE_KEY);
	columns_give(columns, "type", ROLE_TYPE);
	columns_give(columns, "tags", ROLE_TAGS);
	columns_give(columns, "content", ROLE_CONTENT);
	columns_give(columns, "vector", ROLE_VECTOR);
}

/* Of Gremlin's and neo4j's edges: ids are properties, labels relations. */
static int columns_ends(struct columns *columns, struct fault *fault)
{
	for (size_t i = 0; i < columns->count; i++) {
		struct column *column = &columns->items[i];

		if (column->role == ROLE_LABELS)
			column->role = ROLE_RELATION;
		if (column->role != ROLE_KEY)
			continue;
		column->role = ROLE_PROPERTY;
		if (!column->name &&
		    column_name(column, (struct text){"id", 2}))
			return columns_memory(fault);
	}
	return 0;
}

/* Gives a role to a column of neo4j's nodes, as our export calls it. */
static void columns_exported(struct columns *columns, const char *title,
			     int role)
{
	struct column *found = NULL;

	for (size_t i = 0; i < columns->count; i++) {
		struct column *column = &columns->items[i];

		if (column->role == role)
			return;
		if (column->role == ROLE_PROPERTY &&
		    !strcmp(column->title, title))
			found = column;
	}
	if (!found)
		return;
	found->role = role;
	free(found->name);
	found->name = NULL;
}

/* Refuses what stands where a type would, and is none. */
static int column_odd(const struct columns *columns,
		      const struct column *column, struct fault *fault)
{
	int is_ours = !columns->is_gremlin && !columns->is_neo4j;

	if (!column->odd || (is_ours && !column->near && !column->is_odd_list))
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "column '%.80s': '%.40s' is not a type; %s%s; if it "
			 "is a part of the name, say '%.80s:string'",
			 column->title, column->odd,
			 column->near ? "did you mean " : "there are ",
			 column->near ? column->near : cell_kinds,
			 column->title);
}

static int columns_roles(struct columns *columns, struct fault *fault)
{
	int is_edges = 0;

	if (!columns->is_gremlin && !columns->is_neo4j)
		columns_own(columns);
	for (size_t i = 0; i < columns->count; i++) {
		const struct column *column = &columns->items[i];

		is_edges |=
		    column->role == ROLE_SOURCE || column->role == ROLE_TARGET;
		if (column_odd(columns, column, fault))
			return fault->code;
	}
	columns->is_edges = is_edges;
	if (!is_edges && columns->is_neo4j) {
		columns_exported(columns, "content:string", ROLE_CONTENT);
		columns_exported(columns, "vector:float[]", ROLE_VECTOR);
	}
	return is_edges ? columns_ends(columns, fault) : 0;
}

/* A column by its title, or by the name of its property. */
struct column_name {
	const char *text;
	size_t column;
};

static int name_compare(const void *a, const void *b)
{
	const struct column_name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order ? order : x->column < y->column ? -1 : 1;
}

/* The first column that is called as one before it, unless *twice is before. */
static void names_meet(struct column_name *names, size_t count, size_t *twice,
		       size_t *first)
{
	qsort(names, count, sizeof *names, name_compare);
	for (size_t i = 1; i < count; i++)
		if (!strcmp(names[i].text, names[i - 1].text) &&
		    names[i].column < *twice) {
			*twice = names[i].column;
			*first = names[i - 1].column;
		}
}

/* The same of those that have the same role. */
static void roles_meet(struct columns *columns, size_t *twice, size_t *first)
{
	for (int role = 0; role < ROLE_COUNT; role++)
		columns->at[role] = SIZE_MAX;
	for (size_t i = 0; i < columns->count; i++) {
		int role = columns->items[i].role;
		size_t before = columns->at[role];

		if (before != SIZE_MAX && i < *twice && role != ROLE_PROPERTY &&
		    role != ROLE_IGNORED) {
			*twice = i;
			*first = before;
		}
		columns->at[role] = i;
	}
}

static int columns_index(struct columns *columns, struct fault *fault)
{
	struct column_name *names =
	    malloc((columns->count + 1) * sizeof *names);
	size_t twice = SIZE_MAX, first = 0, titles = 0, named = 0;

	if (!names)
		return fault_set(fault, EXIT_NO_SPACE, "out of memory");
	roles_meet(columns, &twice, &first);
	for (size_t i = 0; i < columns->count; i++)
		if (columns->items[i].role != ROLE_IGNORED)
			names[titles++] =
			    (struct column_name){columns->items[i].title, i};
	names_meet(names, titles, &twice, &first);
	for (size_t i = 0; i < columns->count; i++)
		if (columns->items[i].role != ROLE_IGNORED &&
		    columns->items[i].name)
			names[named++] =
			    (struct column_name){columns->items[i].name, i};
	names_meet(names, named, &twice, &first);
	free(names);
	return twice == SIZE_MAX
		   ? 0
		   : fault_set(
			 fault, EXIT_BAD_INPUT,
			 "column %zu, '%.80s', is there twice: column %zu "
			 "is the same",
			 twice + 1, columns->items[twice].title, first + 1);
}

/* What is missing, as the first line would name it; NULL: nothing. */
static const char *columns_missing(const struct columns *columns,
				   int has_relation)
{
	static const char *const words[][3] = {
	    {"'source'", "'target'", "'type' or 'relation'"},
	    {"':START_ID'", "':END_ID'", "':TYPE'"},
	    {"'~from'", "'~to'", "'~label'"}};
	int way = columns->is_gremlin ? 2 : columns->is_neo4j;

	if (!columns->is_edges && columns->at[ROLE_KEY] != SIZE_MAX)
		return NULL;
	if (!columns->is_edges && columns_find(columns, "source") != SIZE_MAX)
		return words[0][1];
	if (!columns->is_edges)
		return way == 2	  ? "'~id'"
		       : way == 1 ? "':ID'"
				  : "'source', of edges, nor 'key', of "
				    "entities";
	if (columns->at[ROLE_SOURCE] == SIZE_MAX)
		return words[way][0];
	if (columns->at[ROLE_TARGET] == SIZE_MAX)
		return words[way][1];
	return columns->at[ROLE_RELATION] == SIZE_MAX && !has_relation
		   ? words[way][2]
		   : NULL;
}

static int columns_complete(struct columns *columns, int has_relation,
			    struct fault *fault)
{
	const char *missing;

	if (columns_roles(columns, fault) || columns_index(columns, fault))
		return fault->code;
	missing = columns_missing(columns, has_relation);
	if (!missing)
		return 0;
	return fault_set(fault, EXIT_BAD_INPUT,
			 "the first line has no column %s; %s", missing,
			 columns->is_edges &&
				 columns->at[ROLE_SOURCE] != SIZE_MAX &&
				 columns->at[ROLE_TARGET] != SIZE_MAX
			     ? "--relation NAME gives all edges the same one"
			     : "edges begin with source,type,target, entities "
			       "with key; if it has no names, say --no-header "
			       "or --header FILE");
}

static int columns_prefix(const struct csv *csv, struct fault *fault)
{
	return fault_prefix(fault, "%s:%llu: ", csv->reader->name,
			    (unsigned long long)csv->line);
}

int columns_read(struct columns *columns, struct csv *csv, int has_relation,
		 struct fault *fault)
{
	size_t count;

	memset(columns, 0, sizeof *columns);
	if (csv_next(csv, fault))
		return fault->code;
	count = csv->field_count;
	if (count > 1 && csv_has_fields(csv, count - 1))
		count--;
	columns->items = calloc(csv->field_count + 1, sizeof *columns->items);
	if (!columns->items)
		return columns_memory(fault);
	if (csv->mistake)
		fault_set(fault, EXIT_BAD_INPUT, "%s", csv->mistake);
	for (size_t i = 0; i < count && !fault->code; i++) {
		size_t size;
		const char *text = csv_field(csv, i, &size);

		column_take(columns, text, size, fault);
	}
	if (fault->code || columns_complete(columns, has_relation, fault))
		return columns_prefix(csv, fault);
	return 0;
}

int columns_guess(struct columns *columns, const struct csv *csv,
		  int has_relation, struct fault *fault)
{
	static const char *const names[] = {"source", "relation", "target"};
	size_t count = csv->field_count;
	char text[64];

	memset(columns, 0, sizeof *columns);
	columns->items = calloc(3, sizeof *columns->items);
	if (!columns->items)
		return columns_memory(fault);
	if (count != 2 && count != 3)
		fault_set(fault, EXIT_BAD_INPUT,
			  "%s without names; 2 would be source and target, 3 "
			  "source, relation and target. Say what they are by "
			  "--header FILE",
			  words_things(text, count, "column", "columns"));
	for (size_t i = 0; i < count && !fault->code; i++) {
		const char *name = names[count == 2 && i ? 2 : i];

		column_take(columns, name, strlen(name), fault);
	}
	if (fault->code || columns_complete(columns, has_relation, fault))
		return columns_prefix(csv, fault);
	return 0;
}

void columns_release(struct columns *columns)
{
	for (size_t i = 0; i < columns->count; i++) {
		free(columns->items[i].title);
		free(columns->items[i].name);
		free(columns->items[i].space);
	}
	free(columns->items);
	memset(columns, 0, sizeof *columns);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graphml: the keys of a GraphML file, and the values of one record.
 *
 * types and relations
 *	GraphML knows neither.  Programs that have them put them into data, by
 *	which they are told here: the first of these names that a record has is
 *	its type or relation, and then no property.  The attributes `labels` of
 *	a node and `label` of an edge, which Neo4j writes, come before all.
 *	  entities	labels (Neo4j; ":A:B" is the type A and the tag B, as is
 *			["A","B"]), labelV (TinkerPop; "A::B" likewise), type,
 *			entity_type
 *	  edges		labelE, relation, relationship, type, label,
 *			Edge Label (Gephi)
 *	--type-key and --relation-key name others.  What is empty, or longer
 *	than a name can be, stays a property.
 *
 * content and discriminators
 *	The text `content` of an entity is its content, the whole number
 *	`discriminator` of an edge its discriminator.
 *
 * values
 *	attr.type says what a value is.  White space around numbers and truth
 *	values is left out, an empty one is none.  Properties have no number
 *	that is not finite: NaN, which igraph writes for what is missing, is no
 *	property, and infinities stay texts.  Types that GraphML does not know
 *	(yEd's, dates) are texts.
 *
 * limits
 *	GRAPHML_KEYS keys, and the texts of one record.
 */
#include "graphml.h"
#include "words.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { GRAPHML_KEYS = 10000, GRAPHML_RECORD_BYTES = 67108864 };

static const char *const entity_names[] = {"labels", "labelV", "type",
					   "entity_type", NULL};
static const char *const edge_names[] = {
    "labelE", "relation", "relationship", "type", "label", "Edge Label", NULL};

static int no_memory(struct fault *fault)
{
	return fault_set(fault, EXIT_NO_SPACE, "out of memory");
}

/* ---- keys --------------------------------------------------------------- */

/* Where a name stands in a list, from 2; 0: nowhere. */
static int rank_of(const char *name, const char *only, const char *const *names)
{
	if (only)
		return strcmp(name, only) ? 0 : 2;
	for (int i = 0; names[i]; i++)
		if (!strcmp(name, names[i]))
			return i + 2;
	return 0;
}

int graphml_tells_type(const char *name)
{
	return rank_of(name, NULL, entity_names) != 0;
}

static int kind_of(const char *type)
{
	static const struct {
		const char *type;
		int kind;
	} kinds[] = {
	    {"boolean", COP_BOOL}, {"bool", COP_BOOL},	   {"int", COP_INT},
	    {"long", COP_INT},	   {"integer", COP_INT},   {"short", COP_INT},
	    {"byte", COP_INT},	   {"double", COP_FLOAT},  {"float", COP_FLOAT},
	    {"real", COP_FLOAT},   {"decimal", COP_FLOAT},
	};

	for (size_t i = 0; type && i < sizeof kinds / sizeof kinds[0]; i++)
		if (!strcasecmp(type, kinds[i].type))
			return kinds[i].kind;
	return COP_STRING;
}

static int domains_of(const char *domain)
{
	if (!domain || !strcmp(domain, "all"))
		return GRAPHML_ALL;
	if (!strcmp(domain, "node"))
		return GRAPHML_NODE;
	if (!strcmp(domain, "edge"))
		return GRAPHML_EDGE;
	if (!strcmp(domain, "hyperedge"))
		return GRAPHML_HYPEREDGE;
	return GRAPHML_OTHER;
}

int graphml_key_add(struct graphml_keys *keys, const char *id, const char *name,
		    const char *domain, const char *type, struct fault *fault)
{
	struct graphml_key *key;

	if (keys->count == GRAPHML_KEYS)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "more than %d keys of data", GRAPHML_KEYS);
	if (keys->count == keys->room) {
		size_t room = keys->room ? keys->room * 2 : 64;

		key = realloc(keys->items, room * sizeof *key);
		if (!key)
			return no_memory(fault);
		keys->items = key;
		keys->room = room;
	}
	key = &keys->items[keys->count++];
	memset(key, 0, sizeof *key);
	key->id = strdup(id);
	key->name = strdup(name && *name ? name : id);
	if (!key->id || !key->name)
		return no_memory(fault);
	key->name_size = strlen(key->name);
	key->domains = domains_of(domain);
	key->kind = kind_of(type);
	key->entity_rank = rank_of(key->name, keys->type_name, entity_names);
	key->edge_rank = rank_of(key->name, keys->relation_name, edge_names);
	return 0;
}

/* Data mostly come in the order of the record before. */
int graphml_key_find(struct graphml_keys *keys, const char *id, int domain,
		     size_t *out, struct fault *fault)
{
	for (size_t i = 0; i < keys->count; i++) {
		size_t at = (keys->next + i) % keys->count;

		if (strcmp(keys->items[at].id, id) != 0 ||
		    !(keys->items[at].domains & domain))
			continue;
		*out = at;
		keys->next = at + 1;
		return 0;
	}
	*out = keys->count;
	return graphml_key_add(keys, id, NULL, NULL, NULL, fault);
}

int graphml_key_named(struct graphml_keys *keys, const char *name,
		      const char *type, int domain, size_t *out,
		      struct fault *fault)
{
	for (size_t i = 0; i < keys->count; i++) {
		const struct graphml_key *key = &keys->items[i];

		*out = i;
		if (!strcmp(key->name, name) && key->domains & domain &&
		    key->kind == kind_of(type))
			return 0;
	}
	*out = keys->count;
	return graphml_key_add(keys, name, NULL, NULL, type, fault);
}

void graphml_keys_release(struct graphml_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		free(keys->items[i].id);
		free(keys->items[i].name);
		free(keys->items[i].preset);
	}
	free(keys->items);
}

/* ---- values ------------------------------------------------------------- */

static int is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int value_bool(const char *text, struct cop_value *out)
{
	out->integer = !strcasecmp(text, "true") || !strcmp(text, "1");
	return !out->integer && strcasecmp(text, "false") != 0 &&
	       strcmp(text, "0") != 0;
}

static int value_int(const char *text, struct cop_value *out)
{
	char *end;

	errno = 0;
	out->integer = strtoll(text, &end, 10);
	return errno || *end;
}

static int value_float(const char *text, struct cop_value *out)
{
	return words_double(text, &out->real);
}

/* A text that is neither a number nor false: 1 if there is nothing to keep. */
static int value_odd(const char *text, struct cop_value *out, int *is_none)
{
	const char *word = text + (*text == '-' || *text == '+');

	*is_none = !*text || !strcasecmp(word, "nan");
	if (*is_none)
		return 0;
	if (strcasecmp(word, "inf") != 0 && strcasecmp(word, "infinity") != 0)
		return 1;
	out->kind = COP_STRING;
	out->data = text;
	out->count = (uint32_t)strlen(text);
	return 0;
}

/* A value of an item's text, which ends in NUL; 1: it is none of its kind. */
static int value_parse(int kind, const char *text, size_t size,
		       struct cop_value *out, int *is_none)
{
	int wrong;

	memset(out, 0, sizeof *out);
	*is_none = 0;
	out->kind = kind;
	if (kind == COP_STRING) {
		out->data = text;
		out->count = (uint32_t)size;
		return 0;
	}
	if (!*text)
		return value_odd(text, out, is_none);
	wrong = kind == COP_BOOL  ? value_bool(text, out)
		: kind == COP_INT ? value_int(text, out)
				  : value_float(text, out);
	return wrong && (kind == COP_BOOL || value_odd(text, out, is_none));
}

static const char *kind_words(int kind)
{
	return kind == COP_BOOL	 ? "true or false"
	       : kind == COP_INT ? "a whole number of 64 bits"
				 : "a number";
}

/* ---- records ------------------------------------------------------------ */

/* A copy of a text in the record, with a NUL; numbers without white space. */
static const char *text_copy(struct graphml_record *record, int kind,
			     const char *text, size_t *size)
{
	char *copy;

	while (kind != COP_STRING && *size && is_space(*text))
		text++, --*size;
	while (kind != COP_STRING && *size && is_space(text[*size - 1]))
		--*size;
	copy = scratch_take(&record->scratch, *size + 1, 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, *size);
	copy[*size] = '\0';
	return copy;
}

/* The place of an item: a new one, or that of a soft one of the same name. */
static struct graphml_item *item_place(const struct graphml_keys *keys,
				       struct graphml_record *record,
				       size_t key)
{
	const char *name = keys->items[key].name;

	for (size_t i = 0; i < record->count; i++)
		if (record->items[i].is_soft &&
		    !strcmp(keys->items[record->items[i].key].name, name))
			return &record->items[i];
	if (record->count == record->room) {
		size_t room = record->room ? record->room * 2 : 16;
		struct graphml_item *items =
		    realloc(record->items, room * sizeof *items);

		if (!items)
			return NULL;
		record->items = items;
		record->room = room;
	}
	memset(&record->items[record->count], 0, sizeof *record->items);
	return &record->items[record->count++];
}

static int has_name(const struct graphml_keys *keys,
		    const struct graphml_record *record, size_t key)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->items[i].key == key ||
		    !strcmp(keys->items[record->items[i].key].name,
			    keys->items[key].name))
			return 1;
	return 0;
}

static int item_rank(const struct graphml_key *key, int domain, size_t size)
{
	if (!size || size > COP_NAME_BYTES)
		return 0;
	return domain == GRAPHML_EDGE ? key->edge_rank : key->entity_rank;
}

int graphml_item_add(struct graphml_keys *keys, struct graphml_record *record,
		     size_t key, const char *text, size_t size, int weight,
		     struct fault *fault)
{
	const struct graphml_key *of = &keys->items[key];
	struct graphml_item *item;
	struct cop_value value;
	int is_none, rank = item_rank(of, record->domain, size);

	if (rank && weight == GRAPHML_LABEL)
		rank = 1;
	if (weight != GRAPHML_DATA && has_name(keys, record, key))
		return 0;
	record->bytes += size;
	if (record->bytes > GRAPHML_RECORD_BYTES)
		return fault_set(fault, EXIT_BAD_INPUT,
				 "the data of one record are more than 64 MiB");
	text = text_copy(record, of->kind, text, &size);
	if (!text)
		return no_memory(fault);
	if (value_parse(of->kind, text, size, &value, &is_none)) {
		if (!record->fault.code)
			fault_set(&record->fault, EXIT_BAD_INPUT,
				  "data of key '%.80s': '%.80s' is not %s",
				  of->id, text, kind_words(of->kind));
		return 0;
	}
	if (is_none)
		return 0;
	item = item_place(keys, record, key);
	if (!item)
		return no_memory(fault);
	if (item->rank && (!rank || item->rank < rank))
		rank = item->rank; /* an attribute says so, too */
	*item = (struct graphml_item){
	    key, text, size, rank, weight != GRAPHML_DATA, value};
	record->is_changed = 1;
	return 0;
}

/* Presets of keys that the record has no value for. */
static int add_presets(struct graphml_keys *keys, struct graphml_record *record,
		       struct fault *fault)
{
	for (size_t i = 0; i < keys->count; i++) {
		const struct graphml_key *key = &keys->items[i];

		if (key->preset && key->domains & record->domain &&
		    graphml_item_add(keys, record, i, key->preset,
				     key->preset_size, GRAPHML_SOFT, fault))
			return fault->code;
	}
	return 0;
}

static int room_for_names(struct graphml_record *record, size_t most,
			  struct graphml_content *out)
{
	out->names = scratch_take(&record->scratch, most, sizeof *out->names);
	out->name_sizes =
	    scratch_take(&record->scratch, most, sizeof *out->name_sizes);
	return !out->names || !out->name_sizes;
}

/* The texts of an array of nothing else; 1 if memory is out. */
static int array_names(struct graphml_record *record, const json_t *array,
		       struct graphml_content *out)
{
	size_t count = json_array_size(array);

	if (room_for_names(record, count, out))
		return 1;
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(array, i);
		size_t size = json_string_length(item);
		char *copy = scratch_take(&record->scratch, size + 1, 1);

		if (!copy)
			return 1;
		memcpy(copy, json_string_value(item), size + 1);
		out->names[i] = copy;
		out->name_sizes[i] = size;
		out->name_count++;
	}
	return 0;
}

static int is_array_of_texts(const json_t *json)
{
	size_t count = json_array_size(json);

	for (size_t i = 0; i < count; i++)
		if (!json_is_string(json_array_get(json, i)))
			return 0;
	return count != 0;
}

/* Cuts ":A:B" or "A::B" where it tells several names; others are one. */
static int cut_names(struct graphml_record *record,
		     const struct graphml_key *key, const char *text,
		     size_t size, struct graphml_content *out)
{
	int is_labels = !strcmp(key->name, "labels");
	int is_cut =
	    record->domain != GRAPHML_EDGE && (is_labels || strstr(text, "::"));

	if (is_labels && is_cut && *text == '[') {
		json_t *json = json_loadb(text, size, 0, NULL);
		int is_array = is_array_of_texts(json);
		int failed = is_array && array_names(record, json, out);

		json_decref(json);
		if (is_array)
			return failed;
	}
	if (room_for_names(record, size + 1, out))
		return 1;
	while (size) {
		const char *end = is_cut ? memchr(text, ':', size) : NULL;
		size_t part = end ? (size_t)(end - text) : size;

		if (part) {
			out->names[out->name_count] = text;
			out->name_sizes[out->name_count++] = part;
		}
		text += part + (end != NULL);
		size -= part + (end != NULL);
	}
	return 0;
}

/* Whether an item is no property but a member of the record of its own. */
static int take_member(const struct graphml_record *record,
		       const struct graphml_key *key,
		       const struct graphml_item *item,
		       struct graphml_content *out)
{
	const struct cop_value *value = &item->value;

	if (record->domain != GRAPHML_EDGE) {
		if (value->kind != COP_STRING || strcmp(key->name, "content"))
			return 0;
		out->content = value->data;
		out->content_size = value->count;
		return 1;
	}
	if (value->kind != COP_INT || value->integer < 0 ||
	    value->integer > UINT32_MAX || strcmp(key->name, "discriminator"))
		return 0;
	out->discriminator = (uint32_t)value->integer;
	out->has_discriminator = 1;
	return 1;
}

int graphml_content(struct graphml_keys *keys, struct graphml_record *record,
		    struct graphml_content *out, struct fault *fault)
{
	const struct graphml_item *best = NULL;

	memset(out, 0, sizeof *out);
	if (add_presets(keys, record, fault))
		return fault->code;
	out->properties = scratch_take(&record->scratch, record->count,
				       sizeof *out->properties);
	if (!out->properties)
		return no_memory(fault);
	for (size_t i = 0; i < record->count; i++) {
		const struct graphml_item *item = &record->items[i];

		if (item->rank && (!best || item->rank < best->rank))
			best = item;
	}
	for (size_t i = 0; i < record->count; i++) {
		const struct graphml_item *item = &record->items[i];
		const struct graphml_key *key = &keys->items[item->key];

		if (item != best && !take_member(record, key, item, out))
			out->properties[out->property_count++] =
			    (struct cop_property){key->name, key->name_size,
						  item->value};
	}
	if (best && cut_names(record, &keys->items[best->key], best->text,
			      best->size, out))
		return no_memory(fault);
	return 0;
}

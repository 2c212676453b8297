/* SPDX-License-Identifier: Apache-2.0 */
/*
 * triples: triples, gathered by their subjects into entities and edges.
 *
 * idea
 *	A put replaces an entity, but the triples of one come apart.  So as many
 *	triples as make a commit are gathered, those of a subject in one place
 *	(found by its key's hash); then each subject is looked up, as of the
 *	last commit, what is gathered is added to what is there, and all is put
 *	and committed.  A subject costs a look-up and a put in each commit that
 *	has triples of it, which is once if they stand together; what adds
 *	nothing is not put, so importing a file again changes nothing.
 *
 * merging
 *	A set: the type stays the first one, further ones are tags; a further
 *	value of a property makes it a list, one that is there already does not.
 *	What is there otherwise, content, vector and times, stays.  Whether a
 *	subject has a tag, a property, a value of it is asked of one table of
 *	hashes (hashes.c), made for each subject anew.
 *
 * edges
 *	The object of a triple is an entity, too: one of which nothing is said
 *	is put with nothing but its key, whatever --dangling says.
 *
 * going on
 *	What is gathered is put by one commit, however much there is of it in
 *	the store already: a mark says how many triples are done (resume.c).
 *
 * limits
 *	Memory is that of one commit (all of the file with --atomic).  What
 *	another process changes in an entity between the look-up and the commit
 *	is lost if both do.  Each commit that has triples of a subject reads
 *	and puts all of it, the values that are there, too.
 */
#include "triples.h"
#include "own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { TRIPLES_BYTES = 8388608 };

/* A type, or a property's value. */
struct fact {
	struct fact *next;
	const char *name;
	size_t name_size;
	struct cop_value value;
};

struct facts {
	struct fact *first, *last;
	size_t count;
};

struct triples_subject {
	const char *key;
	size_t key_size;
	uint64_t hash;
	struct place place; /* of its first triple */
	struct facts types;
	struct facts properties;
};

struct triples_link {
	struct triples_text subject, relation, object;
	struct place place;
};

static int no_memory(struct triples *triples)
{
	return fault_set(&triples->import->cli->fault, EXIT_NO_SPACE,
			 "out of memory");
}

/* ---- gathering ---------------------------------------------------------- */

static const char *copy_of(struct triples *triples, const char *data,
			   size_t size)
{
	char *copy = scratch_take(&triples->scratch, size + 1, 1);

	if (!copy)
		return NULL;
	memcpy(copy, data, size);
	copy[size] = '\0';
	triples->bytes += size;
	return copy;
}

/* Twice as many slots, at least twice the subjects. */
static int slots_grow(struct triples *triples)
{
	size_t count = triples->slot_count ? triples->slot_count * 2 : 4096;
	uint32_t *slots = calloc(count, sizeof *slots);

	if (!slots)
		return no_memory(triples);
	for (size_t i = 0; i < triples->subject_count; i++) {
		size_t at = triples->subjects[i].hash & (count - 1);

		while (slots[at])
			at = (at + 1) & (count - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(triples->slots);
	triples->slots = slots;
	triples->slot_count = count;
	return 0;
}

static int subjects_grow(struct triples *triples)
{
	size_t room = triples->subject_room ? triples->subject_room * 2 : 1024;
	struct triples_subject *subjects =
	    realloc(triples->subjects, room * sizeof *subjects);

	if (!subjects)
		return no_memory(triples);
	triples->subjects = subjects;
	triples->subject_room = room;
	return 0;
}

/* The subject of a key, a new one if it was not there; NULL: no memory. */
static struct triples_subject *subject_of(struct triples *triples,
					  const struct place *place,
					  struct triples_text key)
{
	uint64_t hash = XXH3_64bits(key.data, key.size);
	struct triples_subject *subject;
	size_t at;

	if ((triples->subject_count + 1) * 2 > triples->slot_count &&
	    slots_grow(triples))
		return NULL;
	if (triples->subject_count == triples->subject_room &&
	    subjects_grow(triples))
		return NULL;
	at = hash & (triples->slot_count - 1);
	for (; triples->slots[at]; at = (at + 1) & (triples->slot_count - 1)) {
		subject = &triples->subjects[triples->slots[at] - 1];
		if (subject->hash == hash && subject->key_size == key.size &&
		    !memcmp(subject->key, key.data, key.size))
			return subject;
	}
	subject = &triples->subjects[triples->subject_count];
	*subject = (struct triples_subject){
	    .key_size = key.size, .hash = hash, .place = *place};
	subject->key = copy_of(triples, key.data, key.size);
	if (!subject->key) {
		no_memory(triples);
		return NULL;
	}
	triples->slots[at] = (uint32_t)++triples->subject_count;
	return subject;
}

static int value_equal(const struct cop_value *a, const struct cop_value *b)
{
	if (a->kind != b->kind)
		return 0;
	switch (a->kind) {
	case COP_STRING:
		return a->count == b->count &&
		       !memcmp(a->data, b->data, a->count);
	case COP_FLOAT: return !memcmp(&a->real, &b->real, sizeof a->real);
	case COP_BOOL:
	case COP_INT: return a->integer == b->integer;
	default: return 0;
	}
}

static int fact_add(struct triples *triples, struct facts *facts,
		    struct triples_text name, const struct cop_value *value)
{
	struct fact *fact = scratch_take(&triples->scratch, 1, sizeof *fact);

	if (!fact)
		return no_memory(triples);
	fact->next = NULL;
	fact->name = name.data;
	fact->name_size = name.size;
	fact->value = *value;
	*(facts->last ? &facts->last->next : &facts->first) = fact;
	facts->last = fact;
	facts->count++;
	triples->bytes += sizeof *fact;
	return 0;
}

static int is_full(const struct triples *triples)
{
	const struct batch *batch = &triples->import->batch;

	return triples->subject_count + triples->link_count >=
		   batch->record_max ||
	       (triples->bytes >= TRIPLES_BYTES && batch->byte_max < SIZE_MAX);
}

static int added(struct triples *triples)
{
	int code = import_step(triples->import);

	return !code && is_full(triples) ? triples_flush(triples) : code;
}

int triples_type(struct triples *triples, const struct place *place,
		 struct triples_text subject, struct triples_text type)
{
	static const struct cop_value none;
	struct triples_subject *to = subject_of(triples, place, subject);

	if (!to)
		return triples->import->cli->fault.code;
	type.data = copy_of(triples, type.data, type.size);
	if (!type.data)
		return no_memory(triples);
	if (fact_add(triples, &to->types, type, &none))
		return triples->import->cli->fault.code;
	return added(triples);
}

int triples_property(struct triples *triples, const struct place *place,
		     struct triples_text subject, struct triples_text name,
		     const struct cop_value *value)
{
	struct triples_subject *to = subject_of(triples, place, subject);
	struct cop_value copy = *value;

	if (!to)
		return triples->import->cli->fault.code;
	name.data = copy_of(triples, name.data, name.size);
	if (value->kind == COP_STRING)
		copy.data = copy_of(triples, value->data, value->count);
	if (!name.data || (value->kind == COP_STRING && !copy.data))
		return no_memory(triples);
	if (fact_add(triples, &to->properties, name, &copy))
		return triples->import->cli->fault.code;
	return added(triples);
}

int triples_edge(struct triples *triples, const struct place *place,
		 struct triples_text subject, struct triples_text relation,
		 struct triples_text object)
{
	struct triples_link *link;

	if (triples->link_count == triples->link_room) {
		size_t room =
		    triples->link_room ? triples->link_room * 2 : 1024;

		link = realloc(triples->links, room * sizeof *link);
		if (!link)
			return no_memory(triples);
		triples->links = link;
		triples->link_room = room;
	}
	subject.data = copy_of(triples, subject.data, subject.size);
	relation.data = copy_of(triples, relation.data, relation.size);
	object.data = copy_of(triples, object.data, object.size);
	if (!subject.data || !relation.data || !object.data)
		return no_memory(triples);
	triples->links[triples->link_count++] =
	    (struct triples_link){subject, relation, object, *place};
	return added(triples);
}

/* ---- merging ------------------------------------------------------------ */

/* What the hashes of a subject are of, by their seeds. */
enum { SEED_TAGS, SEED_FIELDS, SEED_VALUES /* of the first field, ... */ };

/* Tables of more slots than this are not kept for the next subject. */
enum { KNOWN_ROOM = 1024 };

/* Whether a value that is there already is added once more. */
enum adding { ADD_ONCE, ADD_ALL };

/* A property on its way: all its values. */
struct field {
	struct triples_text name;
	struct facts values;
	struct cop_validity valid;
	int is_timed;
	int is_list; /* even of one value */
};

struct merged {
	struct triples *triples;
	struct cop_entity entity; /* as it is there, its id 0: it is not */
	int is_changed;
	int is_timed; /* some of it has times */
	struct triples_text type;
	struct triples_text *tags;
	struct cop_validity *tag_valid;
	uint32_t tag_count;
	struct field *fields;
	uint32_t field_count;
	struct hashes *known; /* of tags and fields by their indexes, of facts
				 by their addresses */
};

static const struct cop_validity always = {{INT64_MIN, 0, 0},
					   {INT64_MAX, 0, 0}};

static int is_always(const struct cop_validity *valid)
{
	return valid->from.seconds == INT64_MIN &&
	       valid->to.seconds == INT64_MAX;
}

static int text_equal(struct triples_text a, struct triples_text b)
{
	return a.size == b.size && !memcmp(a.data, b.data, a.size);
}

static uint64_t text_hash(struct triples_text text, uint64_t seed)
{
	return XXH3_64bits_withSeed(text.data, text.size, seed);
}

static int known_add(struct merged *merged, uint64_t hash, uint64_t number)
{
	return hashes_add(merged->known, hash, number)
		   ? no_memory(merged->triples)
		   : 0;
}

/* A tag at the end of them; its times are the caller's. */
static int tag_append(struct merged *merged, struct triples_text tag)
{
	merged->tags[merged->tag_count] = tag;
	return known_add(merged, text_hash(tag, SEED_TAGS),
			 merged->tag_count++);
}

static int tag_is_there(const struct merged *merged, struct triples_text tag)
{
	uint64_t hash = text_hash(tag, SEED_TAGS);
	const uint64_t *index;
	size_t at = 0;

	while ((index = hashes_next(merged->known, hash, &at)))
		if (text_equal(merged->tags[*index], tag))
			return 1;
	return 0;
}

/* A field of that name, with no times of its own, at the end of them. */
static int field_append(struct merged *merged, struct triples_text name,
			struct field **out)
{
	struct field *field = &merged->fields[merged->field_count];

	*out = field;
	field->name = name;
	field->valid = always;
	return known_add(merged, text_hash(name, SEED_FIELDS),
			 merged->field_count++);
}

/* The one that a value may be added to; NULL: there is none. */
static struct field *field_find(const struct merged *merged,
				struct triples_text name)
{
	uint64_t hash = text_hash(name, SEED_FIELDS);
	const uint64_t *index;
	size_t at = 0;

	while ((index = hashes_next(merged->known, hash, &at))) {
		struct field *field = &merged->fields[*index];

		if (!field->is_timed && text_equal(field->name, name))
			return field;
	}
	return NULL;
}

static uint64_t field_seed(const struct merged *merged,
			   const struct field *field)
{
	return SEED_VALUES + (uint64_t)(field - merged->fields);
}

static int value_is_there(const struct merged *merged, uint64_t hash,
			  const struct cop_value *value)
{
	const uint64_t *address;
	size_t at = 0;

	while ((address = hashes_next(merged->known, hash, &at))) {
		const struct fact *fact =
		    (const struct fact *)(uintptr_t)*address;

		if (value_equal(&fact->value, value))
			return 1;
	}
	return 0;
}

/* Adds a value, unless it is there if that matters. */
static int field_add(struct merged *merged, struct field *field,
		     const struct cop_value *value, enum adding adding)
{
	uint64_t hash = hashes_value(value, field_seed(merged, field));
	int is_there = value_is_there(merged, hash, value);
	struct facts *values = &field->values;

	if (is_there && adding == ADD_ONCE)
		return 0;
	merged->is_changed |= adding == ADD_ONCE;
	if (fact_add(merged->triples, values, field->name, value))
		return merged->triples->import->cli->fault.code;
	/* what equals nothing, and a second one, would only be in the way */
	if (is_there || !value_equal(value, value))
		return 0;
	return known_add(merged, hash, (uintptr_t)values->last);
}

/* A property that is there; of a list, its members. */
static cop_err merged_have(struct merged *merged, cop_read *read,
			   uint32_t index)
{
	struct triples_text name;
	struct field *field;
	struct cop_value value, read_value;
	const struct cop_value *items = &value;
	uint32_t count = 1;
	cop_err err = cop_entity_property_at(
	    read, &merged->entity, index, &name.data, &name.size, &read_value);

	if (!err)
		err = own_value(&merged->triples->scratch, &read_value, &value);
	if (!err && field_append(merged, name, &field))
		err = ENOMEM;
	if (!err)
		err = cop_entity_property_valid(read, &merged->entity, index,
						&field->valid);
	if (err)
		return err;
	field->is_timed = !is_always(&field->valid);
	merged->is_timed |= field->is_timed;
	if (value.kind == COP_LIST && !field->is_timed) {
		field->is_list = 1;
		items = value.data;
		count = value.count;
	}
	for (uint32_t i = 0; i < count; i++)
		if (field_add(merged, field, &items[i], ADD_ALL))
			return ENOMEM;
	return 0;
}

/* The entity as it is there. */
static cop_err merged_begin(struct merged *merged, cop_read *read)
{
	const struct cop_entity *entity = &merged->entity;
	cop_err err = 0;

	if (entity->type)
		err = cop_name(read, entity->type, &merged->type.data,
			       &merged->type.size);
	for (uint32_t i = 0; i < entity->tag_count && !err; i++) {
		struct triples_text tag;

		err = cop_entity_tag(read, entity, i, &tag.data, &tag.size);
		if (!err && tag_append(merged, tag))
			err = ENOMEM;
		if (!err)
			err = cop_entity_tag_valid(read, entity, i,
						   &merged->tag_valid[i]);
		merged->is_timed |= !err && !is_always(&merged->tag_valid[i]);
	}
	for (uint32_t i = 0; i < entity->property_count && !err; i++)
		err = merged_have(merged, read, i);
	return err;
}

static int merged_type(struct merged *merged, struct triples_text type)
{
	if (!merged->type.size) {
		merged->type = type;
		merged->is_changed = 1;
		return 0;
	}
	if (text_equal(merged->type, type) || tag_is_there(merged, type))
		return 0;
	merged->tag_valid[merged->tag_count] = always;
	merged->is_changed = 1;
	return tag_append(merged, type);
}

static int merged_property(struct merged *merged, const struct fact *fact)
{
	struct triples_text name = {fact->name, fact->name_size};
	struct field *field = field_find(merged, name);

	if (!field && field_append(merged, name, &field))
		return merged->triples->import->cli->fault.code;
	return field_add(merged, field, &fact->value, ADD_ONCE);
}

/* ---- putting ------------------------------------------------------------ */

/* The values of a field: one, or a list of them. */
static int field_value(struct triples *triples, const struct field *field,
		       struct cop_value *out)
{
	const struct facts *values = &field->values;
	struct cop_value *items;
	size_t i = 0;

	if (values->count == 1 && !field->is_list) {
		*out = values->first->value;
		return 0;
	}
	items = scratch_take(&triples->scratch, values->count, sizeof *items);
	if (!items)
		return no_memory(triples);
	for (const struct fact *fact = values->first; fact; fact = fact->next)
		items[i++] = fact->value;
	*out = (struct cop_value){
	    .kind = COP_LIST, .count = (uint32_t)values->count, .data = items};
	return 0;
}

static int merged_put(struct merged *merged,
		      const struct triples_subject *subject)
{
	struct triples *triples = merged->triples;
	struct scratch *scratch = &triples->scratch;
	size_t count = merged->field_count;
	struct cop_property *properties =
	    scratch_take(scratch, count, sizeof *properties);
	struct cop_validity *valid =
	    scratch_take(scratch, count, sizeof *valid);
	const char **tags =
	    scratch_take(scratch, merged->tag_count, sizeof *tags);
	size_t *tag_sizes =
	    scratch_take(scratch, merged->tag_count, sizeof *tag_sizes);
	struct cop_put put = {.size = sizeof put};

	if (!properties || !valid || !tags || !tag_sizes)
		return no_memory(triples);
	for (size_t i = 0; i < count; i++) {
		properties[i].name = merged->fields[i].name.data;
		properties[i].name_size = merged->fields[i].name.size;
		valid[i] = merged->fields[i].valid;
		if (field_value(triples, &merged->fields[i],
				&properties[i].value))
			return triples->import->cli->fault.code;
	}
	for (uint32_t i = 0; i < merged->tag_count; i++) {
		tags[i] = merged->tags[i].data;
		tag_sizes[i] = merged->tags[i].size;
	}
	put.key = subject->key;
	put.key_size = (uint32_t)subject->key_size;
	put.type =
	    merged->type.size ? merged->type.data : triples->import->type;
	put.type_size = merged->type.size ? merged->type.size
			: put.type	  ? strlen(put.type)
					  : 0;
	put.properties = properties;
	put.property_count = (uint32_t)count;
	put.tags = tags;
	put.tag_sizes = tag_sizes;
	put.tag_count = merged->tag_count;
	put.property_valid = merged->is_timed ? valid : NULL;
	put.tag_valid = merged->is_timed ? merged->tag_valid : NULL;
	put.content_change = merged->entity.id ? COP_CONTENT_KEEP : 0;
	return import_entity(triples->import, &subject->place, &put);
}

/* Room for what is there and what is added. */
static int merged_room(struct merged *merged,
		       const struct triples_subject *subject)
{
	struct scratch *scratch = &merged->triples->scratch;
	size_t tags = merged->entity.tag_count + subject->types.count;
	size_t fields =
	    merged->entity.property_count + subject->properties.count;

	merged->tags = scratch_take(scratch, tags, sizeof *merged->tags);
	merged->tag_valid =
	    scratch_take(scratch, tags, sizeof *merged->tag_valid);
	merged->fields = scratch_take(scratch, fields, sizeof *merged->fields);
	if (!merged->tags || !merged->tag_valid || !merged->fields)
		return no_memory(merged->triples);
	memset(merged->fields, 0, fields * sizeof *merged->fields);
	return 0;
}

/* Adds what was gathered. */
static int merged_add(struct merged *merged,
		      const struct triples_subject *subject)
{
	const struct fact *fact;
	int code = 0;

	for (fact = subject->types.first; fact && !code; fact = fact->next)
		code = merged_type(
		    merged, (struct triples_text){fact->name, fact->name_size});
	for (fact = subject->properties.first; fact && !code; fact = fact->next)
		code = merged_property(merged, fact);
	return code;
}

static int subject_put(struct triples *triples,
		       const struct triples_subject *subject)
{
	struct cli *cli = triples->import->cli;
	struct merged merged = {.triples = triples, .known = &triples->known};
	cop_err err =
	    cop_get(cli->read, subject->key, subject->key_size, &merged.entity);

	if (err) {
		fault_input(&cli->fault, err);
		return import_bad(triples->import, &subject->place);
	}
	if (merged.known->room > KNOWN_ROOM)
		hashes_release(merged.known);
	hashes_clear(merged.known);
	if (merged_room(&merged, subject))
		return cli->fault.code;
	if (merged.entity.id)
		err = merged_begin(&merged, cli->read);
	if (err)
		return fault_cop(&cli->fault, err);
	if (merged_add(&merged, subject))
		return cli->fault.code;
	return merged.is_changed ? merged_put(&merged, subject) : 0;
}

static int link_put(struct triples *triples, const struct triples_link *link)
{
	struct cop_put_edge edge = {.size = sizeof edge,
				    .source = link->subject.data,
				    .source_size = link->subject.size,
				    .relation = link->relation.data,
				    .relation_size = link->relation.size,
				    .target = link->object.data,
				    .target_size = link->object.size};

	return import_edge(triples->import, &link->place, &edge);
}

static int commit(struct triples *triples)
{
	struct cli *cli = triples->import->cli;
	cop_err err;

	if (import_flush(triples->import))
		return cli->fault.code;
	err = cli->read ? cop_read_refresh(cli->read)
			: cop_read_begin(cli->store, &cli->read);
	return err ? fault_cop(&cli->fault, err) : 0;
}

int triples_begin(struct triples *triples)
{
	struct import *import = triples->import;

	if (import->is_atomic && batch_count(&import->batch))
		return fault_set(&import->cli->fault, EXIT_USAGE,
				 "%s: with --atomic triples are imported on "
				 "their own",
				 import->reader.name);
	return commit(triples);
}

int triples_end(struct triples *triples)
{
	struct import *import = triples->import;
	uint64_t records = import->records, turns = import->resume.now.turns;
	int code = 0;

	import->resume.holds = 1;
	import->text = NULL; /* a subject has none of its own */
	for (size_t i = 0; i < triples->subject_count && !code; i++)
		code = subject_put(triples, &triples->subjects[i]);
	for (size_t i = 0; i < triples->link_count && !code; i++)
		code = link_put(triples, &triples->links[i]);
	import->resume.holds = 0;
	import->records = records; /* those are the triples */
	import->resume.now.turns = turns;
	scratch_reset(&triples->scratch);
	if (triples->slots)
		memset(triples->slots, 0,
		       triples->slot_count * sizeof *triples->slots);
	triples->subject_count = triples->link_count = triples->bytes = 0;
	return code;
}

int triples_flush(struct triples *triples)
{
	int code = triples_end(triples);

	return code || triples->import->is_atomic ? code : commit(triples);
}

void triples_release(struct triples *triples)
{
	scratch_release(&triples->scratch);
	hashes_release(&triples->known);
	free(triples->subjects);
	free(triples->slots);
	free(triples->links);
}

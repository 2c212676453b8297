/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ntriples: a line a statement.
 *
 * layout
 *	What looks like an IRI is one; any other key, type, tag, relation or
 *	name of a property is <urn:coppice:WHAT:TEXT>, with %XX for what an IRI
 *	cannot have; a key that begins with `_:` is a blank node.  A type and
 *	tags are rdf:type; lists are a statement an item, maps their JSON.
 *
 * limits
 *	An entity of which there is nothing to tell is there as an end of edges
 *	alone, and counted as left out.  Content is <urn:coppice:content>.
 *	Vectors are left out, and so are, counted, properties of edges,
 *	validities, discriminators, nulls and empty lists.  Who reads it makes
 *	sets of values: a list of one item is that item, one that is there twice
 *	is there once, and such lists are counted, too.  An entity whose key is
 *	too long for one as an IRI is left out with its edges.
 */
#include "export.h"
#include "hashes.h"
#include "out.h"
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define RDF_TYPE "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
#define XSD	 "^^<http://www.w3.org/2001/XMLSchema#"

static struct {
	const void *key;
	size_t key_size;
	int is_told; /* there is a statement of it */
} subject;

static struct hashes items; /* of one list */

static int iri_may_have(unsigned char byte)
{
	return byte > ' ' && byte != '<' && byte != '>' && byte != '"' &&
	       byte != '{' && byte != '}' && byte != '|' && byte != '^' &&
	       byte != '`' && byte != '\\' && byte < 0x7f;
}

/* scheme:something, of characters that an IRI may have */
static int is_iri(const char *text, size_t size)
{
	size_t at = 0;

	while (at < size && (isalnum((unsigned char)text[at]) ||
			     (at && memchr("+-.", text[at], 3))))
		at++;
	if (at < 2 || at + 1 >= size || text[at] != ':' ||
	    !isalpha((unsigned char)text[0]))
		return 0;
	for (size_t i = at; i < size; i++)
		if (!iri_may_have((unsigned char)text[i]) &&
		    (unsigned char)text[i] < 0x80)
			return 0;
	return words_utf8(text, size) == size;
}

static int is_blank(const char *text, size_t size)
{
	if (size < 3 || memcmp(text, "_:", 2) != 0)
		return 0;
	for (size_t i = 2; i < size; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_')
			return 0;
	return 1;
}

static int is_itself(unsigned char byte)
{
	return iri_may_have(byte) && byte != '%';
}

/* Whether the IRI of a key is short enough to be a key. */
static int key_fits(const void *key, size_t size)
{
	const unsigned char *bytes = key;
	size_t room = strlen("urn:coppice:key:") + size;

	if (is_iri(key, size) || is_blank(key, size))
		return 1;
	for (size_t i = 0; i < size; i++)
		room += is_itself(bytes[i]) ? 0 : 2;
	return room <= COP_KEY_BYTES;
}

static void iri(const char *what, const void *data, size_t size)
{
	const char *text = data;

	if (!strcmp(what, "key") && is_blank(text, size)) {
		fwrite(text, 1, size, stdout);
		return;
	}
	putchar('<');
	if (is_iri(text, size)) {
		fwrite(text, 1, size, stdout);
	} else {
		printf("urn:coppice:%s:", what);
		for (size_t i = 0; i < size; i++) {
			unsigned char byte = (unsigned char)text[i];

			if (is_itself(byte))
				putchar(byte);
			else
				printf("%%%02X", byte);
		}
	}
	putchar('>');
}

static void literal(const void *data, size_t size)
{
	const char *text = data;

	putchar('"');
	for (size_t i = 0; i < size; i++) {
		switch (text[i]) {
		case '"': fputs("\\\"", stdout); break;
		case '\\': fputs("\\\\", stdout); break;
		case '\n': fputs("\\n", stdout); break;
		case '\r': fputs("\\r", stdout); break;
		case '\0': fputs("\\u0000", stdout); break;
		default: putchar(text[i]);
		}
	}
	putchar('"');
}

static void subject_write(void)
{
	iri("key", subject.key, subject.key_size);
	putchar(' ');
	subject.is_told = 1;
}

static cop_err value_write(const char *name, size_t size,
			   const struct cop_value *value)
{
	cop_err err;

	subject_write();
	iri("property", name, size);
	putchar(' ');
	err = export_plain(value, literal);
	if (value->kind == COP_BOOL)
		fputs(XSD "boolean>", stdout);
	else if (value->kind == COP_INT)
		fputs(XSD "integer>", stdout);
	else if (value->kind == COP_FLOAT)
		fputs(XSD "double>", stdout);
	puts(" .");
	return err;
}

/* Counts the list if a set of its items is not the same; empty, it is none. */
static cop_err list_note(struct exporter *run, const struct cop_value *list)
{
	int is_other = list->count == 1;
	cop_err err = 0;

	hashes_clear(&items);
	for (uint32_t i = 0; i < list->count && !err && !is_other; i++) {
		struct cop_value item;
		uint64_t hash;

		err = cop_value_item(list, i, NULL, NULL, &item);
		if (err || item.kind == COP_LIST || item.kind == COP_MAP)
			continue;
		hash = hashes_value(&item, 0);
		is_other = hashes_next(&items, hash, &(size_t){0}) != NULL;
		err = hashes_add(&items, hash, 0);
	}
	run->lists += (uint64_t)is_other;
	run->left_out += !list->count;
	return err;
}

static cop_err property_write(struct exporter *run, const char *name,
			      size_t size, const struct cop_value *value)
{
	cop_err err;

	if (value->kind == COP_NULL) {
		run->left_out++;
		return 0;
	}
	if (value->kind != COP_LIST)
		return value_write(name, size, value);
	err = list_note(run, value);
	for (uint32_t i = 0; i < value->count && !err; i++) {
		struct cop_value item;

		err = cop_value_item(value, i, NULL, NULL, &item);
		if (!err && item.kind == COP_NULL)
			run->left_out++;
		else if (!err)
			err = value_write(name, size, &item);
	}
	return err;
}

static cop_err type_write(struct exporter *run, const char *text, size_t size,
			  int is_type)
{
	(void)run;
	if (!size)
		return 0;
	subject_write();
	fputs(RDF_TYPE " ", stdout);
	iri(is_type ? "type" : "tag", text, size);
	puts(" .");
	return 0;
}

static cop_err entity_write(struct exporter *run, cop_read *read,
			    const struct cop_entity *entity)
{
	const void *data = NULL;
	size_t size = 0;
	cop_err err;

	run->entities++;
	subject.key = entity->key;
	subject.key_size = entity->key_size;
	subject.is_told = 0;
	err = export_labels(run, read, entity, type_write);
	if (!err)
		err =
		    export_entity_properties(run, read, entity, property_write);
	if (!err)
		err = out_content(read, entity, &data, &size);
	if (!err && data && size) {
		subject_write();
		fputs("<urn:coppice:content> ", stdout);
		literal(data, size);
		puts(" .");
	} else {
		run->left_out += size != 0;
	}
	run->left_out += !subject.is_told;
	return err;
}

static cop_err edge_write(struct exporter *run, cop_read *read,
			  const struct cop_edge *edge)
{
	const char *relation;
	const void *target;
	size_t size;
	size_t target_size;
	cop_err err =
	    cop_key(read, edge->source, &subject.key, &subject.key_size);

	run->edges++;
	run->left_out += edge->property_count + (edge->discriminator != 0);
	if (!err)
		err = cop_name(read, edge->relation, &relation, &size);
	if (!err)
		err = cop_key(read, edge->target, &target, &target_size);
	if (err)
		return err;
	subject_write();
	iri("relation", relation, size);
	putchar(' ');
	iri("key", target, target_size);
	puts(" .");
	return 0;
}

int export_ntriples(struct exporter *run)
{
	int code = export_begin(run, "");

	run->key_fits = key_fits;
	if (!code)
		code = export_entities(run, entity_write);
	if (!code)
		code = export_edges(run, edge_write);
	hashes_release(&items);
	return export_end(run, code);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: entities, edges, vectors and chunks of content as LMDB has them, past
 * their checksums.
 *
 * An input: what it is; whether it is the record, or changes to a sound one.
 */
#include "tests/fuzz/whole.h"

#include "timed.h"

#include <xxhash.h>

enum { KIND_ENTITY, KIND_EDGE, KIND_VECTOR, KIND_CHUNK, KIND_COUNT };

static struct buffer sound[KIND_COUNT];

/* The records that a full write has, of which the longest is taken. */
static void sound_take(int kind, const struct op *op)
{
	const unsigned char *record = op_body(op);

	if (kind == KIND_EDGE)
		record += op_pad((size_t)op->key_size + op->target_size);
	if (op->record_bytes <= sound[kind].size)
		return;
	sound[kind].size = 0;
	if (buffer_put(&sound[kind], record, op->record_bytes))
		bail_out("no memory");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const float vector[FULL_DIM + 2] = {0, 0, 1, 2, 3, 4};
	static char text[3000];
	cop_write *write;
	size_t at = 0;

	(void)argc;
	(void)argv;
	fuzz_folder();
	fuzz_store(FULL_DIM);
	write = write_of(&fuzz_fixture);
	full_put(write);
	full_edges(write);
	full_rest(write);
	for (uint32_t i = 0; i < write->count; i++) {
		const struct op *op = (const void *)(write->ops.data + at);

		if (op->kind == OP_PUT)
			sound_take(KIND_ENTITY, op);
		if (op->kind == OP_EDGE)
			sound_take(KIND_EDGE, op);
		at += op->bytes;
	}
	cop_abort(write);
	if (buffer_put(&sound[KIND_VECTOR], vector, sizeof vector) ||
	    content_chunk_put(&sound[KIND_CHUNK], text, sizeof text))
		bail_out("no memory");
	return 0;
}

static void value_look(struct arena *arena, struct bytes record,
		       uint32_t value_at)
{
	int left = WHOLE_MEMBERS;
	struct cop_value value;

	if (!codec_value(arena, record, value_at, &value))
		whole_value(&value, WHOLE_DEPTH, &left);
}

static void entity_others(struct bytes record)
{
	const struct disk_entity *head = record.data;
	struct content_part part = codec_content_part(head);
	struct timed_tag tags[4] = {{.tag = 9, .valid = timed_always()}};
	struct buffer out = {0};
	uint32_t count = 0;

	(void)codec_entity_same(record, record);
	while (count < head->tag_count && count < 3) {
		tags[count] = timed_tag_at(head, count);
		count++;
	}
	(void)timed_tags_remove(tags, &count, 3);
	if (!timed_retag(&out, record, tags, count))
		whole_look(out.data, out.size);
	out.size = 0;
	if (!codec_recontent(&out, record, &part))
		whole_look(out.data, out.size);
	out.size = 0;
	if (!content_keep(&out, record, record))
		whole_look(out.data, out.size);
	buffer_release(&out);
}

static void entity_look(struct bytes record)
{
	const struct cop_instant at = {.seconds = 2002};
	const struct disk_entity *head = record.data;
	struct arena arena = {0};
	struct disk_content named;
	struct bytes content;

	if (codec_entity_check(record))
		return;
	whole_look(head->key, head->key_size);
	for (uint32_t i = 0; i < head->property_count; i++) {
		struct disk_validity valid;

		value_look(&arena, record, codec_directory(head)[i].value_at);
		(void)!timed_property(record, &codec_directory(head)[i],
				      &valid);
	}
	(void)codec_signature(codec_tags(head), head->tag_count);
	(void)timed_has_tag(head, 2, &at);
	(void)content_named(record, &named);
	(void)content_size(record);
	if (!codec_content(&arena, record, &content))
		whole_look(content.data, content.size);
	if (timed_is_sound(record))
		entity_others(record);
	if (!timed_view(&arena, &record, &at) && !codec_entity_check(record))
		whole_look(record.data, record.size);
	arena_release(&arena);
}

static void edge_look(struct bytes record)
{
	const struct disk_edge *head = record.data;
	struct arena arena = {0};

	if (codec_edge_check(record))
		return;
	if (codec_edge_validity(head))
		(void)codec_validity_is(codec_edge_validity(head));
	for (uint32_t i = 0; i < head->property_count; i++)
		value_look(&arena, record,
			   codec_edge_directory(head)[i].value_at);
	arena_release(&arena);
}

/* With the hash that its bytes have. */
static void chunk_look(unsigned char *data, size_t size)
{
	static unsigned char room[CHUNK_BYTES];
	struct disk_chunk head;
	uint32_t got;

	if (size >= sizeof head) {
		memcpy(&head, data, sizeof head);
		if (head.stored <= size - sizeof head)
			head.hash =
			    XXH3_64bits(data + sizeof head, head.stored);
		memcpy(data, &head, sizeof head);
	}
	(void)content_chunk_is_sound(bytes_of(data, size));
	if (!content_chunk_get(bytes_of(data, size), room, &got))
		whole_look(room, got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	int kind = (int)(input_byte(&input) % KIND_COUNT);
	int is_changed = input_byte(&input) & 1;
	const struct buffer *from = &sound[kind];
	size_t bytes = is_changed ? from->size : input.size;
	unsigned char *record = malloc(bytes + !bytes);
	const float *floats;

	if (!record)
		bail_out("no memory");
	if (is_changed) {
		memcpy(record, from->data, bytes);
		input_patch(&input, record, bytes);
	} else if (bytes) {
		memcpy(record, input.data, bytes);
	}
	switch (kind) {
	case KIND_ENTITY: entity_look(bytes_of(record, bytes)); break;
	case KIND_EDGE: edge_look(bytes_of(record, bytes)); break;
	case KIND_CHUNK: chunk_look(record, bytes); break;
	default:
		floats = codec_vector(bytes_of(record, bytes), FULL_DIM);
		if (floats)
			whole_look(floats, FULL_DIM * sizeof *floats);
	}
	free(record);
	return 0;
}

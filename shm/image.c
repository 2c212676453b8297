/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <errno.h>
#include <lz4.h>
#include <string.h>
#include <xxhash.h>

/* More than any region of the largest reservation has. */
#define USED_MOST (UINT64_C(1) << 46)

/* ---- the plan ----------------------------------------------------------- */

static uint64_t units_of(const struct segment_header *header)
{
	/* relaxed: the writer lock is held, or it is a private copy */
	return atomic_load_explicit(&header->records.unit_count,
				    memory_order_relaxed);
}

static uint64_t used_of(const struct segment *segment, enum region_id id)
{
	const struct segment_header *header = segment->header;
	uint64_t rows = bank_count(segment);

	switch (id) {
	case REGION_IDMAP: return header->idmap.end;
	case REGION_TEXT: return header->heads.text_bytes;
	case REGION_HEADS:
		/* relaxed: the writer lock is held */
		return atomic_load_explicit(&header->heads.count,
					    memory_order_relaxed) *
		       sizeof(struct head);
	case REGION_LISTS:
		return atomic_load_explicit(&header->heads.count,
					    memory_order_relaxed) *
		       sizeof(struct head_lists);
	case REGION_CODES: return rows * segment->bank.line_bytes;
	case REGION_ROWS: return rows * segment->bank.row_bytes;
	case REGION_NIBBLES: return rows * segment->bank.nibble_bytes;
	case REGION_EDGES: return header->adjacency.unit_count * EDGE_UNIT;
	case REGION_RECORDS: return units_of(header) * RECORD_UNIT;
	case REGION_BLOOM: return header->bloom_end;
	case REGION_LINKS: return hnsw_region_bytes(segment, id);
	case REGION_UPPER: return hnsw_region_bytes(segment, id);
	case REGION_NODES: return hnsw_region_bytes(segment, id);
	case REGION_SIGNS: return signs_bytes(segment);
	case REGION_TAIL: return 0;
	case REGION_INTENT: return 0;
	case REGION_LIMBO: return 0;
	case REGION_TREE: return 0;
	case REGION_LEAVES: return 0;
	default: return UINT64_MAX; /* all that is published */
	}
}

void image_plan_of(const struct segment *segment, struct image_plan *plan)
{
	for (int i = 0; i < REGION_COUNT; i++) {
		uint64_t used = used_of(segment, (enum region_id)i);
		uint64_t there =
		    region_bytes(segment_region(segment, (enum region_id)i));

		plan->used[i] = used < there ? used : there;
	}
	(void)image_plan_make(plan);
}

int image_plan_make(struct image_plan *plan)
{
	uint64_t chunk = 1; /* after the header's */

	for (int i = 0; i < REGION_COUNT; i++) {
		if (plan->used[i] > USED_MOST)
			return EINVAL;
		plan->first[i] = chunk;
		chunk +=
		    (plan->used[i] + IMAGE_CHUNK_BYTES - 1) / IMAGE_CHUNK_BYTES;
	}
	plan->first[REGION_COUNT] = chunk;
	return 0;
}

/* The region of a chunk past the first. */
static int region_of(const struct image_plan *plan, uint64_t chunk)
{
	int id = REGION_COUNT - 1;

	while (id && plan->first[id] > chunk)
		id--;
	return id;
}

uint32_t image_chunk_bytes(const struct image_plan *plan, uint64_t chunk)
{
	uint64_t left;
	int id;

	if (!chunk)
		return sizeof(struct segment_header);
	id = region_of(plan, chunk);
	left = plan->used[id] - (chunk - plan->first[id]) * IMAGE_CHUNK_BYTES;
	return left < IMAGE_CHUNK_BYTES ? (uint32_t)left : IMAGE_CHUNK_BYTES;
}

void *image_chunk_at(const struct segment *segment,
		     const struct image_plan *plan, uint64_t chunk)
{
	int id;

	if (!chunk)
		return segment->header;
	id = region_of(plan, chunk);
	return region_at(segment->header,
			 segment_region(segment, (enum region_id)id),
			 (chunk - plan->first[id]) * IMAGE_CHUNK_BYTES,
			 image_chunk_bytes(plan, chunk));
}

/* ---- chunks ------------------------------------------------------------- */

uint32_t image_room(void)
{
	return (uint32_t)LZ4_compressBound(IMAGE_CHUNK_BYTES);
}

/* Relaxed loads of whole words: a mixture of old and new is all right. */
static void copy_torn(void *to, const void *from, uint32_t bytes)
{
	const _Atomic uint64_t *words = from;
	const _Atomic unsigned char *rest = from;
	unsigned char *at = to;
	uint32_t i;

	for (i = 0; i + 8 <= bytes; i += 8) {
		uint64_t word =
		    atomic_load_explicit(&words[i / 8], memory_order_relaxed);

		memcpy(at + i, &word, 8);
	}
	for (; i < bytes; i++)
		at[i] = atomic_load_explicit(&rest[i], memory_order_relaxed);
}

uint64_t image_hash(const void *at, uint32_t bytes)
{
	return XXH3_64bits(at, bytes);
}

uint32_t image_pack(const void *at, uint32_t bytes, void *copy, void *room,
		    const void **data, uint64_t *hash)
{
	int packed;

	if (copy) {
		copy_torn(copy, at, bytes);
		at = copy;
	}
	*hash = image_hash(at, bytes);
	packed = LZ4_compress_default(at, room, (int)bytes, (int)image_room());
	/* what saves little is not worth unpacking */
	if (packed > 0 && (uint32_t)packed < bytes - bytes / 16) {
		*data = room;
		return (uint32_t)packed;
	}
	*data = at;
	return bytes;
}

int image_unpack(const void *data, uint32_t stored, void *at, uint32_t bytes,
		 uint64_t hash)
{
	if (stored > bytes)
		return EBADMSG;
	if (stored == bytes && data != at)
		memcpy(at, data, bytes);
	if (stored < bytes && LZ4_decompress_safe(data, at, (int)stored,
						  (int)bytes) != (int)bytes)
		return EBADMSG;
	return image_hash(at, bytes) == hash ? 0 : EBADMSG;
}

/* ---- putting back ------------------------------------------------------- */

int image_grow(struct segment *segment, const struct image_plan *plan)
{
	int err = 0;

	for (int i = 0; i < REGION_COUNT && !err; i++)
		err =
		    segment_grow_to(segment, (enum region_id)i, plan->used[i]);
	return err;
}

/* A filter's words; whoever tests a filter looks at them again. */
static int bloom_sane(const struct bloom *bloom, uint64_t end)
{
	/* relaxed here and below: a private copy */
	uint32_t count =
	    atomic_load_explicit(&bloom->layer_count, memory_order_relaxed);

	if (!count || count > BLOOM_LAYERS ||
	    !(bloom->rate > 0 && bloom->rate < 1))
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct bloom_layer *layer = &bloom->layers[i];
		uint64_t offset =
		    atomic_load_explicit(&layer->offset, memory_order_relaxed);
		uint64_t lines = atomic_load_explicit(&layer->line_count,
						      memory_order_relaxed);
		uint64_t capacity = atomic_load_explicit(&layer->capacity,
							 memory_order_relaxed);
		uint32_t probes =
		    atomic_load_explicit(&layer->probes, memory_order_relaxed);

		if (offset % BLOOM_LINE_BYTES || offset > end || !lines ||
		    lines > UINT32_MAX ||
		    lines > (end - offset) / BLOOM_LINE_BYTES || !capacity ||
		    capacity > UINT64_C(1) << 40 || !probes ||
		    probes > BLOOM_PROBES_MAX)
			return 0;
	}
	return 1;
}

static int words_sane(const struct segment *segment,
		      const struct segment_header *kept,
		      const struct image_plan *plan)
{
	const uint64_t *used = plan->used;
	uint64_t heads =
	    atomic_load_explicit(&kept->heads.count, memory_order_relaxed);
	uint64_t rows =
	    atomic_load_explicit(&kept->bank.row_count, memory_order_relaxed);
	uint64_t table =
	    atomic_load_explicit(&kept->idmap.table, memory_order_relaxed);
	uint64_t table_bytes = UINT64_C(64) << (table & 0x1f);

	return kept->idmap.end <= used[REGION_IDMAP] &&
	       !(kept->idmap.end % 64) &&
	       (!table ||
		(!((table & 0xff) >> 5) && table & 0x1f &&
		 table >> 8 <= used[REGION_IDMAP] / 64 &&
		 (table >> 8) * 64 + table_bytes <= kept->idmap.end)) &&
	       kept->heads.text_bytes <= used[REGION_TEXT] &&
	       heads <= used[REGION_HEADS] / sizeof(struct head) &&
	       heads <= used[REGION_LISTS] / sizeof(struct head_lists) &&
	       rows &&
	       (rows == 1 ||
		(rows <= used[REGION_CODES] / segment->bank.line_bytes &&
		 (!segment->bank.row_bytes ||
		  rows <= used[REGION_ROWS] / segment->bank.row_bytes) &&
		 (!segment->bank.nibble_bytes ||
		  rows <=
		      used[REGION_NIBBLES] / segment->bank.nibble_bytes))) &&
	       kept->adjacency.unit_count <= used[REGION_EDGES] / EDGE_UNIT &&
	       kept->adjacency.unit_count <= UINT32_MAX &&
	       units_of(kept) <= used[REGION_RECORDS] / RECORD_UNIT &&
	       units_of(kept) <= UINT32_MAX &&
	       kept->bloom_end <= used[REGION_BLOOM] &&
	       !(kept->bloom_end % BLOOM_LINE_BYTES) &&
	       bloom_sane(&kept->key_bloom, kept->bloom_end) &&
	       bloom_sane(&kept->edge_bloom, kept->bloom_end);
}

static void bloom_take(struct bloom *to, const struct bloom *from)
{
	memcpy((void *)to, (const void *)from, sizeof *to);
}

int image_words_take(struct segment *segment, const struct segment_header *kept,
		     const struct image_plan *plan)
{
	struct segment_header *header = segment->header;

	if (!words_sane(segment, kept, plan))
		return EINVAL;
	header->base_commit = kept->base_commit;
	/* relaxed: nobody else has the segment yet */
	atomic_store_explicit(
	    &header->idmap.table,
	    atomic_load_explicit(&kept->idmap.table, memory_order_relaxed),
	    memory_order_relaxed);
	header->idmap.end = kept->idmap.end;
	atomic_store_explicit(
	    &header->heads.count,
	    atomic_load_explicit(&kept->heads.count, memory_order_relaxed),
	    memory_order_relaxed);
	header->heads.text_bytes = kept->heads.text_bytes;
	atomic_store_explicit(
	    &header->bank.row_count,
	    atomic_load_explicit(&kept->bank.row_count, memory_order_relaxed),
	    memory_order_relaxed);
	/* any values will do */
	atomic_store_explicit(
	    &header->hnsw.nibbles,
	    atomic_load_explicit(&kept->hnsw.nibbles, memory_order_relaxed),
	    memory_order_relaxed);
	atomic_store_explicit(
	    &header->hnsw.quiet,
	    atomic_load_explicit(&kept->hnsw.quiet, memory_order_relaxed),
	    memory_order_relaxed);
	header->adjacency.unit_count = kept->adjacency.unit_count;
	atomic_store_explicit(&header->records.unit_count, units_of(kept),
			      memory_order_relaxed);
	bloom_take(&header->key_bloom, &kept->key_bloom);
	bloom_take(&header->edge_bloom, &kept->edge_bloom);
	header->bloom_end = kept->bloom_end;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags and properties that are so in the world from one time to another.
 *
 * idea
 *	A record may have a tag, and a property, several times, each with when
 *	it is valid.  Whoever reads as of a point in that time gets a record of
 *	his own, with what is valid then and no more said about it, so nothing
 *	that works on records knows of time.  The lists of who has a tag name
 *	all who have it at any time; whoever goes through one asks the record.
 *
 * layout
 *	If flags & 8, a struct disk_validity for each tag follows the tags.  If
 *	a value's flags & 2, its own lies in front of it; the record's flags & 4
 *	say that some value's are.
 */
#ifndef CORE_TIMED_H
#define CORE_TIMED_H

#include "codec.h"

struct timed_tag {
	uint32_t tag;
	uint32_t reserved;
	struct disk_validity valid;
};

static inline struct disk_validity timed_always(void)
{
	return (struct disk_validity){.from = INT64_MIN, .to = INT64_MAX};
}

/* Whether anything of a record has a time. */
static inline int timed_is(const struct disk_entity *record)
{
	return record->flags & (ENTITY_PROPERTIES_TIMED | ENTITY_TAGS_TIMED);
}

/* Tag `index` of a record that was checked. */
struct timed_tag timed_tag_at(const struct disk_entity *record, uint32_t index);

/* Whether two say the same. */
int timed_tag_same(const struct timed_tag *a, const struct timed_tag *b);

/* When a property of a checked record is valid, always or not. */
cop_err timed_property(struct bytes record,
		       const struct disk_property *property,
		       struct disk_validity *out);

/* Whether a tag is valid at a point in time. */
int timed_has_tag(const struct disk_entity *record, uint32_t tag,
		  const struct cop_instant *at);

/*
 * A record with other tags.
 * out		holds it afterwards, whatever it held
 * record	checked
 */
cop_err timed_retag(struct buffer *out, struct bytes record,
		    const struct timed_tag *tags, uint32_t count);

/*
 * Makes *record what of it is valid at a point in time; as it is, if nothing
 * has a time.
 * record	checked; lifetime: the arena's, then
 */
cop_err timed_view(struct arena *arena, struct bytes *record,
		   const struct cop_instant *at);

/*
 * Whether all times in a record, checked, are such: each begins before it ends.
 */
int timed_is_sound(struct bytes record);

/*
 * Tags that are given one more, or lose one; see cop_tag.
 * tags		with room for one more
 * Returns	whether they are others now.
 */
int timed_tags_add(struct timed_tag *tags, uint32_t *count,
		   const struct timed_tag *fresh);
int timed_tags_remove(struct timed_tag *tags, uint32_t *count, uint32_t tag);

/*
 * Writes a record's tags, and behind them when they are valid.
 * timed	out: whether one is not so always; the times are there then
 * Returns	0, or -1 without memory
 */
int timed_tags_put(struct buffer *out, const struct timed_tag *tags,
		   uint32_t count, int *timed);

#endif

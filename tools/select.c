/* SPDX-License-Identifier: Apache-2.0 */
#include "select.h"

#include <string.h>

void select_init(struct select *select)
{
	memset(select, 0, sizeof *select);
	select->select.size = sizeof select->select;
	select->select.all = select->all;
	select->select.any = select->any;
	select->select.none = select->none;
}

static int tag_add(struct cli *cli, const char **tags, uint32_t *count)
{
	if (*count == COP_FILTER_TAGS)
		return args_fault(cli, "more than %d tags of one kind",
				  COP_FILTER_TAGS);
	tags[(*count)++] = cli->value;
	return 0;
}

int select_option(struct select *select, struct cli *cli, int id)
{
	struct cop_select *wanted = &select->select;

	switch (id) {
	case SELECT_TYPE: wanted->type = cli->value; return 0;
	case SELECT_TAG: return tag_add(cli, select->all, &wanted->all_count);
	case SELECT_ANY: return tag_add(cli, select->any, &wanted->any_count);
	case SELECT_NONE:
		return tag_add(cli, select->none, &wanted->none_count);
	default:
		wanted->prefix = cli->value;
		wanted->prefix_size = (uint32_t)strlen(cli->value);
		return 0;
	}
}

int select_is_given(const struct select *select)
{
	const struct cop_select *wanted = &select->select;

	return wanted->type || wanted->all_count || wanted->any_count ||
	       wanted->none_count || wanted->prefix_size;
}

/* How many of the tags an entity has. */
static cop_err tags_had(cop_read *read, const struct cop_entity *entity,
			const char *const *tags, uint32_t count, uint32_t *had)
{
	*had = 0;
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < entity->tag_count; j++) {
			const char *tag;
			size_t size;
			cop_err err =
			    cop_entity_tag(read, entity, j, &tag, &size);

			if (err)
				return err;
			if (size == strlen(tags[i]) &&
			    !memcmp(tag, tags[i], size)) {
				(*had)++;
				break;
			}
		}
	return 0;
}

static cop_err type_matches(const struct cop_select *wanted, cop_read *read,
			    const struct cop_entity *entity, int *matches)
{
	const char *type;
	size_t size;
	cop_err err;

	*matches = !wanted->type;
	if (*matches)
		return 0;
	err = cop_name(read, entity->type, &type, &size);
	if (!err)
		*matches = size == strlen(wanted->type) &&
			   !memcmp(type, wanted->type, size);
	return err;
}

cop_err select_matches(const struct cop_select *wanted, cop_read *read,
		       const struct cop_entity *entity, int *matches)
{
	uint32_t all = 0, any = 0, none = 0;
	int typed;
	cop_err err = type_matches(wanted, read, entity, &typed);

	if (!err)
		err = tags_had(read, entity, wanted->all, wanted->all_count,
			       &all);
	if (!err)
		err = tags_had(read, entity, wanted->any, wanted->any_count,
			       &any);
	if (!err)
		err = tags_had(read, entity, wanted->none, wanted->none_count,
			       &none);
	if (!err)
		*matches =
		    typed && all == wanted->all_count &&
		    (any || !wanted->any_count) && !none &&
		    entity->key_size >= wanted->prefix_size &&
		    (!wanted->prefix_size ||
		     !memcmp(entity->key, wanted->prefix, wanted->prefix_size));
	return err;
}

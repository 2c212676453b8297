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

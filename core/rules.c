/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"
#include "error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_NS	       UINT64_C(86400000000000)
#define HISTORY_MS_MAX (UINT64_MAX / 1000000)

static struct bytes setting_key(void)
{
	return bytes_of("retention", 9);
}

static cop_err rules_check(const struct cop_retention *wanted)
{
	if (wanted->history < COP_HISTORY_AGE ||
	    wanted->history > COP_HISTORY_NONE)
		return error_set(COP_INVALID,
				 "there is no history of kind %d; see enum "
				 "cop_history",
				 wanted->history);
	if (wanted->history_ms && wanted->history != COP_HISTORY_AGE)
		return error_set(COP_INVALID,
				 "all history or none is to be kept, and for "
				 "%" PRIu64 " ms; give one of the two",
				 wanted->history_ms);
	if (wanted->history_ms > HISTORY_MS_MAX)
		return error_set(COP_INVALID,
				 "history of %" PRIu64 " ms; give at most "
				 "%" PRIu64 ", or have all of it kept",
				 wanted->history_ms, HISTORY_MS_MAX);
	if (wanted->history_count && wanted->history == COP_HISTORY_NONE)
		return error_set(COP_INVALID,
				 "no history is to be kept, and %" PRIu64
				 " versions of one thing; give one of the two, "
				 "0 versions for no such limit",
				 wanted->history_count);
	return 0;
}

cop_err rules_of(const struct cop_retention *wanted, struct disk_retention *out)
{
	cop_err err = rules_check(wanted);

	if (err)
		return err;
	*out = (struct disk_retention){.age_ns = 30 * DAY_NS,
				       .count = wanted->history_count};
	if (wanted->history == COP_HISTORY_NONE)
		out->flags = RETENTION_OFF;
	if (wanted->history == COP_HISTORY_ALL)
		out->age_ns = 0;
	if (wanted->history_ms)
		out->age_ns = wanted->history_ms * UINT64_C(1000000);
	return 0;
}

struct cop_retention rules_view(const struct disk_retention *rule)
{
	struct cop_retention view = {.size = sizeof view,
				     .history_ms = rule->age_ns / 1000000,
				     .history_count = rule->count};

	if (rule->flags & RETENTION_OFF)
		view.history = COP_HISTORY_NONE;
	else if (!rule->age_ns)
		view.history = COP_HISTORY_ALL;
	if (view.history)
		view.history_ms = 0;
	return view;
}

cop_err rules_read(const struct env *env, env_txn *txn,
		   struct retain_rules *out)
{
	struct bytes value;
	int code = env_get(env, txn, DB_META, setting_key(), &value);

	if (code)
		return error_system(code, "cannot read the store's retention");
	if (value.size < sizeof *out->list || value.size % sizeof *out->list)
		return error_set(COP_CORRUPT,
				 "the store's retention has %zu bytes; restore "
				 "a backup",
				 value.size);
	free(out->list);
	out->list = malloc(value.size);
	if (!out->list)
		return error_system(ENOMEM, "no memory for the retention");
	memcpy(out->list, value.data, value.size);
	out->count = (uint32_t)(value.size / sizeof *out->list);
	return 0;
}

int rules_set(struct retain_rules *rules, const struct disk_retention *rule)
{
	struct disk_retention *list;
	uint32_t at = 0;

	while (at < rules->count && rules->list[at].type < rule->type)
		at++;
	if (at < rules->count && rules->list[at].type == rule->type) {
		rules->list[at] = *rule;
		return 0;
	}
	list = realloc(rules->list, (rules->count + 1) * sizeof *list);
	if (!list)
		return ENOMEM;
	rules->list = list;
	memmove(&list[at + 1], &list[at], (rules->count - at) * sizeof *list);
	list[at] = *rule;
	rules->count++;
	return 0;
}

int rules_put(const struct env *env, env_txn *txn,
	      const struct retain_rules *rules)
{
	return env_put(
	    env, txn, DB_META, setting_key(),
	    bytes_of(rules->list, rules->count * sizeof *rules->list));
}

const struct disk_retention *rules_for(const struct retain_rules *rules,
				       uint32_t type)
{
	for (uint32_t i = 1; type && i < rules->count; i++)
		if (rules->list[i].type == type)
			return &rules->list[i];
	return rules->list;
}

uint64_t rules_age(const struct retain_rules *rules)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < rules->count; i++) {
		if (rules->list[i].flags & RETENTION_OFF)
			continue;
		if (!rules->list[i].age_ns)
			return 0;
		if (rules->list[i].age_ns > longest)
			longest = rules->list[i].age_ns;
	}
	return longest;
}

void rules_narrow(struct retain_rules *rules, const struct disk_retention *most)
{
	for (uint32_t i = 0; i < rules->count; i++) {
		struct disk_retention *rule = &rules->list[i];

		rule->flags |= most->flags & RETENTION_OFF;
		if (most->age_ns &&
		    (!rule->age_ns || rule->age_ns > most->age_ns))
			rule->age_ns = most->age_ns;
		if (most->count && (!rule->count || rule->count > most->count))
			rule->count = most->count;
	}
}

void rules_release(struct retain_rules *rules)
{
	free(rules->list);
	*rules = (struct retain_rules){0};
}

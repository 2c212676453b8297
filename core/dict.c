/* SPDX-License-Identifier: Apache-2.0 */
#include "dict.h"
#include "error.h"

#include <errno.h>

/* A name's key in DB_SYMBOLS: its space, then its text. */
struct symbol {
	unsigned char bytes[1 + COP_NAME_BYTES];
	size_t size;
};

static struct symbol symbol_of(enum name_space space, const char *text,
			       size_t size)
{
	struct symbol symbol = {.size = size + 1};

	symbol.bytes[0] = (unsigned char)space;
	memcpy(symbol.bytes + 1, text, size);
	return symbol;
}

cop_err dict_find(const struct env *env, env_txn *txn, enum name_space space,
		  const char *text, size_t size, uint32_t *number)
{
	struct symbol symbol;
	struct bytes value;
	uint64_t wide;
	int err;

	*number = 0;
	if (!size || size > COP_NAME_BYTES)
		return 0;
	symbol = symbol_of(space, text, size);
	err = env_get(env, txn, DB_SYMBOLS, bytes_of(symbol.bytes, symbol.size),
		      &value);
	if (err == ENV_ABSENT)
		return 0;
	if (err)
		return error_system(err, "cannot look up a name");
	if (value.size != sizeof wide)
		return error_set(COP_CORRUPT,
				 "the dictionary has a number of "
				 "%zu bytes; restore a backup",
				 value.size);
	memcpy(&wide, value.data, sizeof wide);
	*number = (uint32_t)wide;
	return 0;
}

cop_err dict_text(const struct env *env, env_txn *txn, uint32_t number,
		  struct bytes *text)
{
	uint64_t wide = number;
	struct bytes value;
	int err =
	    env_get(env, txn, DB_NAMES, bytes_of(&wide, sizeof wide), &value);

	*text = bytes_of(NULL, 0);
	if (err == ENV_ABSENT)
		return 0;
	if (err)
		return error_system(err, "cannot look up a name");
	if (value.size <= DISK_NAME_TEXT)
		return error_set(COP_CORRUPT, "the dictionary has an empty "
					      "name; restore a backup");
	*text = bytes_of((const char *)value.data + DISK_NAME_TEXT,
			 value.size - DISK_NAME_TEXT);
	return 0;
}

cop_err dict_use(const struct env *env, env_txn *txn, uint32_t number,
		 struct name_use *use)
{
	struct bytes text;
	const char *record;
	cop_err err = dict_text(env, txn, number, &text);

	*use = (struct name_use){0};
	if (err || !text.data)
		return err;
	record = (const char *)text.data - DISK_NAME_TEXT;
	memcpy(&use->changed, record, sizeof use->changed);
	memcpy(&use->count, record + DISK_NAME_COUNT, sizeof use->count);
	return 0;
}

cop_err dict_touch(const struct env *env, env_txn *txn, uint32_t number,
		   uint64_t commit, int64_t more)
{
	unsigned char record[DISK_NAME_TEXT + COP_NAME_BYTES];
	uint64_t wide = number;
	struct bytes text;
	uint64_t count;
	cop_err err = dict_text(env, txn, number, &text);
	int code;

	if (err || !text.data || text.size > COP_NAME_BYTES)
		return err;
	memcpy(record, (const char *)text.data - DISK_NAME_TEXT,
	       text.size + DISK_NAME_TEXT);
	memcpy(&count, record + DISK_NAME_COUNT, sizeof count);
	count += (uint64_t)more;
	memcpy(record, &commit, sizeof commit);
	memcpy(record + DISK_NAME_COUNT, &count, sizeof count);
	code = env_put(env, txn, DB_NAMES, bytes_of(&wide, sizeof wide),
		       bytes_of(record, text.size + DISK_NAME_TEXT));
	return code ? error_system(code, "cannot change a name") : 0;
}

static uint32_t known_find(const struct dict *dict,
			   const struct name_entry *name, const char *text)
{
	struct hashmap_cursor cursor = {.hash = name->hash};
	uint32_t index;

	while (hashmap_next(&dict->map, &cursor, &index)) {
		const struct dict_entry *entry =
		    (const struct dict_entry *)(void *)dict->entries.data +
		    index;

		if (entry->space == name->space && entry->size == name->size &&
		    !memcmp(dict->text.data + entry->text_at, text,
			    entry->size))
			return entry->number;
	}
	return 0;
}

/* Forgetting is allowed: without memory the name is looked up again. */
static void known_add(struct dict *dict, const struct name_entry *name,
		      const char *text, uint32_t number)
{
	struct dict_entry entry = {.hash = name->hash,
				   .text_at = (uint32_t)dict->text.size,
				   .number = number,
				   .space = name->space,
				   .size = name->size};
	uint32_t index = (uint32_t)(dict->entries.size / sizeof entry);

	if (!buffer_put(&dict->text, text, name->size) &&
	    !buffer_put(&dict->entries, &entry, sizeof entry))
		(void)hashmap_put(&dict->map, name->hash, index);
}

static cop_err name_add(const struct env *env, env_txn *txn,
			const struct symbol *symbol, struct disk_state *state,
			uint32_t *number)
{
	struct bytes text = bytes_of(symbol->bytes, symbol->size);
	unsigned char record[DISK_NAME_TEXT + COP_NAME_BYTES] = {0};
	uint64_t wide = state->next_name;
	struct bytes key = bytes_of(&wide, sizeof wide);
	int err;

	if (wide >= INT32_MAX) /* a head has 31 bits for it */
		return error_set(COP_TOO_LARGE, "the dictionary is full");
	memcpy(record + DISK_NAME_SYMBOL, symbol->bytes, symbol->size);
	err = env_put(env, txn, DB_SYMBOLS, text, key);
	if (!err)
		err =
		    env_put(env, txn, DB_NAMES, key,
			    bytes_of(record, DISK_NAME_SYMBOL + symbol->size));
	if (err)
		return error_system(err, "cannot add a name");
	state->next_name++;
	state->name_misses++;
	*number = (uint32_t)wide;
	return 0;
}

cop_err dict_resolve(struct dict *dict, const struct env *env, env_txn *txn,
		     const struct name_list *names, struct disk_state *state,
		     uint32_t *numbers)
{
	uint64_t misses = state->name_misses;

	for (uint32_t i = 0; i < names->count; i++) {
		const struct name_entry *name = &names->entries[i];
		const char *text = (const char *)names->text + name->text_at;
		struct symbol symbol;
		cop_err err;

		numbers[i] = known_find(dict, name, text);
		if (numbers[i])
			continue;
		err = dict_find(env, txn, (enum name_space)name->space, text,
				name->size, &numbers[i]);
		if (!err && !numbers[i]) {
			symbol = symbol_of((enum name_space)name->space, text,
					   name->size);
			err = name_add(env, txn, &symbol, state, &numbers[i]);
		}
		if (err)
			return err;
		known_add(dict, name, text, numbers[i]);
	}
	state->name_hits += names->uses - (state->name_misses - misses);
	return 0;
}

void dict_follow(struct dict *dict, uint64_t generation)
{
	if (dict->generation != generation)
		dict_clear(dict);
	dict->generation = generation;
}

void dict_clear(struct dict *dict)
{
	hashmap_clear(&dict->map);
	dict->entries.size = 0;
	dict->text.size = 0;
}

void dict_release(struct dict *dict)
{
	hashmap_release(&dict->map);
	buffer_release(&dict->entries);
	buffer_release(&dict->text);
}

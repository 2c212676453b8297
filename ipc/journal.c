/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <string.h>
#include <xxhash.h>

static uint64_t record_hash(const struct journal_record *record)
{
	return XXH3_64bits(&record->number,
			   sizeof *record - sizeof record->hash);
}

void journal_write(struct journal *journal, struct journal_record *record)
{
	uint64_t words[JOURNAL_WORDS];
	_Atomic uint64_t *to;

	/* relaxed, as all below: the hash says whether it is whole */
	record->number = 1 + atomic_fetch_add_explicit(&journal->last, 1,
						       memory_order_relaxed);
	record->hash = record_hash(record);
	memcpy(words, record, sizeof words);
	to = journal->records[record->number % JOURNAL_RECORDS];
	for (uint32_t i = 0; i < JOURNAL_WORDS; i++)
		atomic_store_explicit(&to[i], words[i], memory_order_relaxed);
	bell_ring(&journal->bell);
}

uint64_t journal_last(const struct journal *journal)
{
	return atomic_load_explicit(&journal->last, memory_order_relaxed);
}

int journal_read(const struct journal *journal, uint64_t number,
		 struct journal_record *out)
{
	const _Atomic uint64_t *from =
	    journal->records[number % JOURNAL_RECORDS];
	uint64_t words[JOURNAL_WORDS] = {0};
	struct journal_record record;

	for (uint32_t i = 0; i < JOURNAL_WORDS; i++)
		words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	memcpy(&record, words, sizeof record);
	if (!number || record.number != number ||
	    record.hash != record_hash(&record))
		return 0;
	record.name[JOURNAL_NAME - 1] = 0;
	record.text[JOURNAL_TEXT - 1] = 0;
	*out = record;
	return 1;
}

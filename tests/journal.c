/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journals: a record that is read is whole and the one asked for, however
 * many write at once and whatever else is stored there.
 */
#include "journal.h"
#include "tap.h"

#include <pthread.h>
#include <stdlib.h>

enum { WRITERS = 4, EACH = 20000 };

static struct journal *journal;

/* All of a record follows from one number. */
static void *write_many(void *user)
{
	uint32_t writer = *(uint32_t *)user;

	for (uint32_t i = 1; i <= EACH; i++) {
		struct journal_record record = {.time_ns = i, .pid = writer};

		record.took_ns = (uint64_t)i * 1000 + writer;
		snprintf(record.text, sizeof record.text, "%u of %u", i,
			 writer);
		journal_write(journal, &record);
	}
	return NULL;
}

static int is_whole(const struct journal_record *record)
{
	char text[64];

	snprintf(text, sizeof text, "%u of %u", (unsigned)record->time_ns,
		 record->pid);
	return !strcmp(text, record->text) &&
	       record->took_ns == record->time_ns * 1000 + record->pid;
}

static void what_is_read_is_whole(void)
{
	uint32_t numbers[WRITERS];
	pthread_t threads[WRITERS];
	uint64_t torn = 0, got = 0, there = 0;
	struct journal_record record;

	for (uint32_t i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, write_many, &numbers[i]))
			bail_out("pthread_create");
	}
	while (journal_last(journal) < WRITERS * EACH) {
		uint64_t number = journal_last(journal);

		if (!journal_read(journal, number, &record))
			continue;
		got++;
		torn += record.number != number || !is_whole(&record);
	}
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	is_u64(torn, 0, "of what was read beside writers nothing was torn");
	for (uint64_t i = 0; i < JOURNAL_RECORDS; i++)
		there += (uint64_t)journal_read(journal, WRITERS * EACH - i,
						&record);
	/* a writer that was overtaken by 1,024 others spoils one record */
	ok(there >= JOURNAL_RECORDS - WRITERS, "the newest are kept (%u of %u)",
	   (unsigned)there, JOURNAL_RECORDS);
	ok(!journal_read(journal, 1, &record) &&
	       !journal_read(journal, 0, &record) &&
	       !journal_read(journal, UINT64_MAX, &record),
	   "older ones, none and those to come are not there");
}

static void a_damaged_record_is_none(void)
{
	uint64_t last = journal_last(journal);
	uint32_t missed = 0;
	struct journal_record record = {.pid = 1};

	for (uint32_t i = 0; i < JOURNAL_WORDS; i++) {
		journal_write(journal, &record);
		journal->records[++last % JOURNAL_RECORDS][i] ^= 1;
		missed += (uint32_t)journal_read(journal, last, &record);
	}
	is_u64(missed, 0, "a record with a bit changed is none");
}

int main(void)
{
	test_begin(120);
	journal = aligned_alloc(128, sizeof *journal);
	if (!journal)
		bail_out("no memory");
	memset(journal, 0, sizeof *journal);
	what_is_read_is_whole();
	a_damaged_record_is_none();
	free(journal);
	return done_testing();
}

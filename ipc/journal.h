/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journals: what processes tell of themselves, kept for whoever asks.
 *
 * idea
 *	A ring of records that every process writes and nobody waits for.  A
 *	writer takes a number, which says where its record goes, and stores it
 *	with its number and a hash of all; a reader that finds another number
 *	or hash has no record: it is being written, was overtaken, or its
 *	writer died.  So no order between the stores is needed.
 *
 * progress
 *	journal_write: wait-free; a system call only if somebody waits.
 *
 * limits
 *	JOURNAL_RECORDS are kept, of the newest.
 */
#ifndef IPC_JOURNAL_H
#define IPC_JOURNAL_H

#include "bell.h"

#include <assert.h>

enum { JOURNAL_RECORDS = 1024, JOURNAL_NAME = 32, JOURNAL_TEXT = 184 };

struct journal_record {
	uint64_t hash;	 /* of what follows */
	uint64_t number; /* from 1 */
	uint64_t time_ns;
	uint64_t took_ns;
	uint32_t pid; /* in its own namespace */
	uint32_t subject;
	char name[JOURNAL_NAME]; /* of its process; as the text, ends in NUL */
	char text[JOURNAL_TEXT];
};

enum { JOURNAL_WORDS = sizeof(struct journal_record) / 8 };

static_assert(sizeof(struct journal_record) == 256, "two lines twice");

struct journal {
	_Alignas(128) _Atomic uint64_t last; /* number given out last */
	struct bell bell;
	_Alignas(128) _Atomic uint64_t records[JOURNAL_RECORDS][JOURNAL_WORDS];
};

/* Numbers a record and stores it. */
void journal_write(struct journal *journal, struct journal_record *record);

/* The number given out last. */
uint64_t journal_last(const struct journal *journal);

/* 1 if the record of that number is there, whole. */
int journal_read(const struct journal *journal, uint64_t number,
		 struct journal_record *out);

#endif

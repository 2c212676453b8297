/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limbo: what has died and waits until no snapshot can see it.
 *
 * idea
 *	The commit number is the epoch.  A row that died at commit N, a block
 *	that commit N unlinked while it was being prepared, or the copy of a
 *	record that it replaced, is out of reach for every read at S >= N; once
 *no slot publishes less than N it may be used again.  So one word a reader, its
 *snapshot, protects both. Only the holder of the writer lock adds and takes.
 *
 * layout
 *	a ring in REGION_LIMBO: `capacity` entries, a power of two; `first`
 *	and `last` only ever grow, entry i is at i mod capacity.
 *
 * crash
 *	The ring moves on before what it held is freed, so a death in between
 *	leaks an entry and never frees it twice.  Recovery takes the rows and
 *	records out and collects the dead ones by a scan; a block of a list
 *	that leaked is missing until the segment is built again.
 */
#ifndef SHM_LIMBO_H
#define SHM_LIMBO_H

#include <stdatomic.h>
#include <stdint.h>

struct segment;

enum limbo_kind { LIMBO_ROW = 1, LIMBO_BLOCK = 2, LIMBO_RECORD = 3 };

struct limbo_entry {
	uint64_t commit; /* out of reach for reads at this one and later */
	uint32_t kind;
	uint32_t index; /* a row, or a block's or record's first unit */
};

struct limbo {
	_Atomic uint64_t first;
	_Atomic uint64_t last;
	uint64_t capacity;
	_Atomic uint64_t bytes; /* of what waits; a figure, see limbo_bytes */
};

/* Makes sure that `count` pushes succeed.  Returns 0, ENOSPC or an errno. */
int limbo_reserve(struct segment *segment, uint64_t count);

/* Adds an entry; room must have been reserved. */
void limbo_push(struct segment *segment, uint64_t commit, enum limbo_kind kind,
		uint32_t index);

/*
 * Frees what no read at `oldest` or later can reach, up to `budget` entries;
 * a row that is in the graph is unlinked, and counts for many.
 * oldest	the smallest snapshot in use, or the newest commit
 */
void limbo_drain(struct segment *segment, uint64_t oldest, uint64_t budget);

/* How many wait; wait-free, for figures. */
uint64_t limbo_count(const struct segment *segment);

/* How many of one kind wait; W held. */
uint64_t limbo_count_kind(struct segment *segment, enum limbo_kind kind);

/*
 * Bytes of what waits; wait-free.  A death while it changes leaves it off by
 * an entry, until limbo is empty or recovered.
 */
uint64_t limbo_bytes(const struct segment *segment);

/*
 * Takes out rows and records, before bank_collect and records_collect find
 * them again; only the lists' blocks stay.
 */
void limbo_clear_rows(struct segment *segment);

#endif

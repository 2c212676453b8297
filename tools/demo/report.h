/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the demonstration prints: the table of its processes, and answers that
 * a person likes to read.  See report.c and answers.c.
 */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include "board.h"
#include "coppice.h"
#include "textvec.h"
#include "wordnet.h"

/*
 * Prints the table and what memory was used.
 * Returns	0, or -1 after saying what is missing or wrong.
 */
int report_crew(struct board *board, const struct cop_stats *stats);

/* Searches and a walk, with their answers.  Returns 0, or -1. */
int answers_show(cop_store *store, const struct wordnet *wordnet,
		 const struct textvec *textvec);

#endif

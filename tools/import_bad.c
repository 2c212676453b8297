/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_bad: what an import leaves out, and when that is too much.
 *
 * --skip-bad
 *	A bad record is left out; the first few are reported, all are counted,
 *	and the exit status stays 0.  Edges to entities that are not there show
 *	only at the commit, so with --skip-bad they are left out as
 *	--dangling=skip does, and counted.  A file that cannot be read on
 *	(damaged gzip, a header that makes no sense) still stops the import.
 *
 * --max-bad, --reject
 *	The same, but one more than so many bad records and dangling edges ends
 *	the import as the first one would have; and each is added to a file
 *	(reject.c), the one that ended it, too.  With either, edges are
 *	compared with the store before the commit (stage.c).
 */
#include "import.h"

enum { IMPORT_BAD_SHOWN = 5 };

/* Says where the fault's record stands; returns its exit status. */
static int said_where(struct fault *fault, const struct place *place)
{
	char text[1024];

	place_text(place, text, sizeof text);
	return fault_prefix(fault, "%s: ", text);
}

/* Adds the record at hand to those refused; 0 or an exit status. */
static int refuse(struct import *import, const struct place *place)
{
	struct fault *fault = &import->cli->fault;
	struct fault other = {0};

	if (reject_put(&import->reject, place, fault->text, import->text,
		       import->text_size, &other))
		*fault = other;
	return other.code;
}

/* Whether as many were left out as may be. */
static int has_enough(const struct import *import)
{
	return import->bad + import->lost >= import->bad_max;
}

int import_refuse(struct import *import, const struct place *place)
{
	struct fault *fault = &import->cli->fault;

	if (fault->code == EXIT_BAD_INPUT && refuse(import, place))
		return fault->code;
	said_where(fault, place);
	if (!import->skips_bad || fault->code != EXIT_BAD_INPUT ||
	    has_enough(import))
		return fault->code;
	import->bad++;
	if (import->bad <= IMPORT_BAD_SHOWN && !import->cli->quiet) {
		progress_end(&import->progress);
		fault_print(fault);
	}
	fault_clear(fault);
	return 0;
}

int import_bad(struct import *import, const struct place *place)
{
	struct fault *fault = &import->cli->fault;

	if (resume_is_passing(import) && fault->code == EXIT_BAD_INPUT) {
		fault_clear(fault); /* it was told before */
		import->bad++;
	} else if (import_refuse(import, place)) {
		return fault->code;
	}
	return resume_turn(import);
}

int import_lost(struct import *import, const struct place *place)
{
	struct fault *fault = &import->cli->fault;

	if (refuse(import, place))
		return fault->code;
	if (import->skips_dangling && has_enough(import))
		return said_where(fault, place);
	import->lost += (uint64_t)import->skips_dangling;
	fault_clear(fault);
	return 0;
}

int import_endless(struct import *import, const struct place *place)
{
	if (resume_is_passing(import))
		return import_step(import);
	fault_set(&import->cli->fault, EXIT_BAD_INPUT,
		  "an edge's end is the empty text");
	return import_lost(import, place) ? import->cli->fault.code
					  : import_step(import);
}

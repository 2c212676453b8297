/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a damaged data file still has, into another.
 *
 * idea
 *	An entry's checksum (env.h) says of any bytes whether they are an entry
 *	of a database, wherever they lie.  So a file that LMDB cannot read is
 *	read without it: each tree from its root, but no page, no order and no
 *	count is believed where it does not fit; what is found is put into a
 *	new environment.
 *
 * what is mended
 *	a leaf	each of its bits is turned over, until nodes lie without a gap
 *		and every checksum is right; if more than one is wrong, those of
 *		each entry by itself
 *	a branch	the same, until its nodes do; then of each child's
 *		number, until a page is there that says that it is that one
 *	a meta page	of its header's bits and of the main tree's root's;
 *		of two pages the one that has the newer commit
 *	Below a branch that stays damaged leaves are lost to their tree, but
 *	they are neither reached nor listed as free, and every other page is.
 *	So, where a tree lacks entries, they are taken wherever they are.
 *
 * whole
 *	Nothing was lost of a database that has as many entries as its tree
 *	says, or if all pages are accounted for and every node was read.
 *
 * limits
 *	If the list of free pages is damaged as well, lost leaves cannot be told
 *	from old ones, and are not looked for.
 */
#ifndef CORE_SALVAGE_H
#define CORE_SALVAGE_H

#include "coppice.h"
#include "env.h"

struct salvage {
	/* told of what is lost, in words */
	void (*found)(void *user, const char *text);
	void *user;
	uint64_t lost; /* findings */
};

/*
 * fd		of the data file, which nobody writes to
 * to		new, with nothing in it; if anything was lost, its state says
 *		that history is whole from its newest commit on
 * Returns	0 also if some was lost; COP_CORRUPT if the store's description
 *		or its state is; COP_NO_SPACE and so on
 */
cop_err salvage_run(int fd, struct env *to, struct salvage *salvage);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `coppice doctor` looks at: the machine, and the store's place in it.
 *
 * idea
 *	A check is a function in a table.  It tells any number of findings:
 *	what is so, why that matters, what to do.  What it reads of /proc, /sys,
 *	/etc and /run may be had from another root (COPPICE_DOCTOR_ROOT), so
 *	that tests can have a machine that is not theirs.
 */
#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

#include "args.h"

enum severity { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARN, DOCTOR_BAD };

struct doctor {
	struct cli *cli;
	const char *root;		 /* "" or another */
	const char *check;		 /* that is run */
	struct cop_description store;	 /* size 0: there is none */
	char shm_dir[256];		 /* where its shared memory is to be */
	uint64_t segment_bytes;		 /* it has now, 0: none is there */
	uint64_t need_bytes;		 /* it has, or may need */
	uint32_t counts[DOCTOR_BAD + 1]; /* findings, by severity */
	int json;
	int all; /* what is well is told, too */
};

enum doctor_needs { NEEDS_NOTHING, NEEDS_PATH, NEEDS_STORE };

struct doctor_check {
	const char *name;
	void (*run)(struct doctor *doctor);
	int needs; /* of the store: enum doctor_needs */
};

/* Checks of the machine, and of the store; each ends in a name of NULL. */
extern const struct doctor_check doctor_machine[];
extern const struct doctor_check doctor_place[];

/*
 * A finding: `format` gives three texts with a line's end between them: what,
 * why, what to do.  Of what is well the first will do.
 */
__attribute__((format(printf, 3, 4))) void doctor_tell(struct doctor *doctor,
						       enum severity severity,
						       const char *format, ...);

/*
 * Reads a small file below the root, and ends it in NUL.
 * Returns	its bytes, -1 if it cannot be read
 */
long doctor_file(const struct doctor *doctor, const char *path, char *text,
		 size_t room);

/* The number that a file begins with, `otherwise` if there is none. */
uint64_t doctor_number(const struct doctor *doctor, const char *path,
		       uint64_t otherwise);

#endif

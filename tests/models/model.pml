/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Spin models share: death and mutation.
 *
 * STEP(x)	one indivisible step of a process; in its place, while deaths
 *		are left, SIGKILL: the process goes to its label `died`, where
 *		the kernel drops its locks, later, in a step of its own.
 *		A step that waits can be killed while it waits.
 * WHEN(c, x)	STEP(x) if c holds, which nobody else can change meanwhile
 * MUTANT(m)	whether the step or the check called m is missing in this
 *		run.  pan reads it, and the sizes, from the environment, so
 *		that one program is the model and all its mutants.
 */
c_decl {
	\#include <stdlib.h>
	static unsigned char option(const char *name, int otherwise)
	{
		const char *text = getenv(name);

		return (unsigned char)(text ? atoi(text) : otherwise);
	}
}

hidden byte mutant;

#define MUTANT(m) (mutant == m)

byte deaths;

#define OPTIONS_READ                                                           \
	c_code {                                                               \
		mutant = option("MUTANT", 0);                                  \
		now.deaths = option("DEATHS", 1);                              \
	}

#define STEP(x)                                                                \
	atomic {                                                               \
		if                                                             \
		:: x                                                           \
		:: deaths > 0 -> deaths--; goto died                           \
		fi                                                             \
	}

#define WHEN(condition, x)                                                     \
	atomic {                                                               \
		if                                                             \
		:: condition -> STEP(x)                                        \
		:: else                                                        \
		fi                                                             \
	}

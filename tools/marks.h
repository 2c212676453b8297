/* SPDX-License-Identifier: Apache-2.0 */
/* The marks of a store, as stat shows them; marks.c. */
#ifndef TOOLS_MARKS_H
#define TOOLS_MARKS_H

#include "args.h"

/* `,"marks":[..]` of an object; 0 or an exit status. */
int marks_json(struct cli *cli);

/* A line each. */
int marks_text(struct cli *cli);

#endif

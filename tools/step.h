/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of walks and paths as they are printed, and their options. */
#ifndef TOOLS_STEP_H
#define TOOLS_STEP_H

#include "args.h"

/* The value of --direction; with the fault set if it is none. */
int32_t step_way(struct cli *cli);

/* One of `steps` as a JSON object in a line. */
cop_err step_object(cop_read *read, const struct cop_step *steps, size_t index);
cop_err step_json(cop_read *read, const struct cop_step *steps, size_t index);

/* As a line: how it was reached, key, label. */
cop_err step_text(cop_read *read, const struct cop_step *step);

#endif

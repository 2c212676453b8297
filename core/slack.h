/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_SLACK_H
#define CORE_SLACK_H

#include "store.h"

/* The shared memory's part of what a compaction would free. */
void slack_of_segment(const cop_read *read, struct cop_slack *out);

#endif

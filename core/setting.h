/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the process: COPPICE_* in its environment. */
#ifndef CORE_SETTING_H
#define CORE_SETTING_H

#include <stdint.h>

/* Bytes with an optional suffix K, M, G, T; `otherwise` if unset or no
   number. */
uint64_t setting_bytes(const char *name, uint64_t otherwise);

/* The text, NULL if unset or empty. */
const char *setting_text(const char *name);

#endif

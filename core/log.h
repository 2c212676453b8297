/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator may want to know, told to whoever opened the store with a
 * callback for it (cop_open_options.log); to nobody otherwise.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "store.h"

/* Keeps the error's words of the thread as they are. */
__attribute__((format(printf, 3, 4))) void
log_tell(const cop_store *store, int32_t level, const char *format, ...);

#endif

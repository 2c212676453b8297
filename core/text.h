/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629 has it: shortest forms, no surrogates, to U+10FFFF. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include <stddef.h>

/* Bytes before the first that is no UTF-8; `size` if there is none. */
size_t text_valid_bytes(const void *data, size_t size);

#endif

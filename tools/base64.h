/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as text in base64, RFC 4648 with padding; base64.c. */
#ifndef TOOLS_BASE64_H
#define TOOLS_BASE64_H

#include <stddef.h>

/* Bytes that so much text stands for; 0 if it is not of a length it can have */
size_t base64_size(const char *text, size_t size);

/* Those bytes into `out`; 0 if all of the text is base64. */
int base64_get(const char *text, size_t size, unsigned char *out);

/* The text of up to 3 bytes, without a NUL. */
void base64_put(const unsigned char *data, size_t size, char out[4]);

#endif
